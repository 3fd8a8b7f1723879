"""What `tickstockpl scan` does: history looked through by groups of symbols, on all cores, and what came of it."""

import asyncio
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import Progress

from tickstockpl import archive, rate_file, recording, report, reports, sessions
from tickstockpl.archive import Archive, Asked
from tickstockpl.errors import SettingsError
from tickstockpl.findings import Findings, Sought, find
from tickstockpl.kernel import Engine, patterns_with
from tickstockpl.moments import us_of
from tickstockpl.recording import Reading
from tickstockpl.rule import Rule, only
from tickstockpl.selection import (
    chosen_rules,
    definitions_of,
    elsewhere,
    enabled_patterns,
    engine_settings,
    looking_at,
    reached,
    timeframes,
    within_reach,
)
from tickstockpl.sessions import Mode
from tickstockpl.settings import PatternSettings, Settings
from tickstockpl.vocabulary import INTERVALS_S, TIMEFRAME, TIMEFRAMES
from tickstockpl.volumes import DAYS as VOLUME_DAYS
from tickstockpl.workers import cores, processes

_DAY_US = 86_400_000_000
_WARM_DAYS = (14, 14, 28, 42, 60, 150, 420, 2100)
WARM_US = {name: days * _DAY_US for name, days in zip(TIMEFRAMES, _WARM_DAYS, strict=True)}
"""So much before the first day asked for is read too, so that windows are as full as they were on that day: 200 bars of
each timeframe, and a fortnight for the days before. What minutes traded on other days takes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a person wants to be looked through, and for what; None and empty: nobody said."""

    files: Sequence[Path] = ()
    """None: the database of the settings."""
    bar_seconds: int = 60
    timezone: str = "UTC"
    """Of a file's stamps that have none."""
    patterns: Sequence[str] = ()
    """Ids and globs."""
    rules: Path | None = None
    """A file of them, in the place of the settings'."""
    symbols: Sequence[str] = ()
    first: date | None = None
    last: date | None = None
    mode: Mode | None = None
    output: Path | None = None
    examples: int = 3
    """Of a pattern, in a report."""
    rates: Path | None = None
    """What `tickstockpl calibrate` has measured, for a report."""
    timeframe: str = TIMEFRAME
    """Of the bars that patterns are looked for on."""
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a survey has looked at, and what it has found."""

    source: str
    sessions: str
    """Which hours count, for people."""
    timezone: str
    examples: int
    """Of a pattern, in a report."""
    timeframe: str
    findings: Findings


async def run_scan(settings: Settings, survey: Survey, *, rows: int) -> None:
    """Look through history, print how often each pattern is there, and write the file that is named.

    rows: of the table. Raises SettingsError or ServerError.
    """
    form = _form_of(survey.output)
    if survey.rates is not None and form != ".html":
        raise SettingsError("--rates are shown in a report: --output must end in .html")
    rates = _rates(survey.rates, settings, survey)
    with tempfile.TemporaryDirectory(prefix="tickstockpl-") as folder:
        kept = Path(folder) if form in (".parquet", ".csv") else None
        examples = report.SPARE * survey.examples if form == ".html" else 0
        done = await look(settings, survey, examples=examples, folder=kept)
        if survey.output is not None:
            write = partial(_write_rows, Path(folder)) if kept is not None else partial(_write_page, done, rates)
            await asyncio.to_thread(_put, survey.output, write)
    console = Console()
    console.print(*reports.scan_tables(done.source, done.findings, rows, console.width), sep="\n")


async def look(settings: Settings, survey: Survey, *, examples: int = 0, folder: Path | None = None) -> Surveyed:
    """What is found in history.

    examples: of each pattern and direction. folder: where all that is found goes, as Parquet.
    Raises SettingsError or ServerError.
    """
    if survey.first and survey.last and survey.first > survey.last:
        raise SettingsError(f"--to {survey.last} is before --from {survey.first}")
    if survey.bar_seconds > INTERVALS_S.get(survey.timeframe, survey.bar_seconds):
        raise SettingsError(f"--bar-seconds {survey.bar_seconds}: --timeframe must be as long, was {survey.timeframe}")
    chosen = _chosen(settings, survey)
    today = datetime.now(UTC).date()
    named = settings.session
    calendar = await asyncio.to_thread(sessions.load, named.calendar, named.timezone, settings.state_dir, today)
    engine = engine_settings(chosen, calendar, None, _rules(chosen.patterns, survey))
    engine = looking_at(engine, survey.timeframe, timeframes(settings.patterns))
    if survey.patterns:
        reached(engine, "--pattern")
    engine = within_reach(engine)
    zone = ZoneInfo(named.timezone)
    first_us = recording.FIRST_US if survey.first is None else us_of(datetime.combine(survey.first, time(), zone))
    sought = Sought(engine, frozenset(survey.symbols) or None, first_us, examples, folder, survey.timeframe)
    async with _archive(settings, survey, sought, zone) as opened:
        missing = [symbol for symbol in survey.symbols if symbol not in opened.counts]
        if survey.symbols and len(missing) == len(survey.symbols):
            raise SettingsError(f"there are no bars of {', '.join(missing)} in {opened.source}")
        findings = await _find(opened, sought, survey.jobs or cores())
        if not findings.bars:
            raise SettingsError(_nothing(opened.source, chosen))
        if missing:
            sys.stderr.write(f"tickstockpl: there are no bars of {', '.join(missing)} in {opened.source}\n")
        if opened.left_out:
            sys.stderr.write(f"tickstockpl: rows that are no bars of a minute were left out: {opened.left_out:,}\n")
        return Surveyed(opened.source, _hours(chosen), named.timezone, survey.examples, survey.timeframe, findings)


def _hours(settings: Settings) -> str:
    session = settings.session
    if session.mode == "always":
        return "All hours count"
    return f"Bars of the {session.mode} sessions of {session.calendar} count"


def _chosen(settings: Settings, survey: Survey) -> Settings:
    """The settings with what the survey has asked for in their place."""
    changed: dict[str, Any] = {}
    if survey.mode is not None:
        changed["session"] = settings.session.model_copy(update={"mode": survey.mode})
    asked: dict[str, Any] = {"rules": survey.rules or settings.patterns.rules, "timeframes": (survey.timeframe,)}
    if survey.patterns:
        asked |= {"enabled": tuple(survey.patterns), "same_names": True}
    changed["patterns"] = wanted = settings.patterns.model_copy(update=asked)
    if survey.patterns:
        enabled_patterns(wanted, "--pattern", rules=chosen_rules(wanted))
    return settings.model_copy(update=changed)


def _rules(chosen: PatternSettings, survey: Survey) -> tuple[Rule, ...]:
    """The rules, of which those on other bars than the survey's make no events; a word says which.

    Raises SettingsError where it has named a file that has no other ones.
    """
    rules = chosen_rules(chosen)
    others = elsewhere(rules, chosen.timeframes)
    left = ", ".join(f"{rule.id} ({rule.timeframe})" for rule in others)
    if survey.rules is not None and len(others) == sum(rule.told for rule in rules) > 0:
        raise SettingsError(f"--timeframe {survey.timeframe}: {survey.rules} has rules on other bars alone: {left}")
    if others:
        sys.stderr.write(f"tickstockpl: rules on other bars than those of {survey.timeframe} were left out: {left}\n")
    return only(rules, [rule.id for rule in rules if rule not in others])


def _archive(
    settings: Settings, survey: Survey, sought: Sought, zone: ZoneInfo
) -> AbstractAsyncContextManager[Archive]:
    """The bars of the survey's days and symbols, those before that fill windows, and the benchmark's."""
    until_us = recording.LAST_US
    if survey.last is not None:
        until_us = us_of(datetime.combine(survey.last + timedelta(days=1), time(), zone))
    measured = [sought.engine.benchmark] if sought.engine.benchmark else []
    symbols = {*survey.symbols, *measured} if survey.symbols else ()
    warm_us = WARM_US[sought.engine.timeframes[-1]]
    if Engine(sought.engine).needs_volumes:
        warm_us = max(warm_us, VOLUME_DAYS * _DAY_US)
    asked = Asked(symbols, max(recording.FIRST_US, sought.first_us - warm_us), until_us)
    if not survey.files:
        return archive.in_database(settings.database, asked, rows=archive.ROWS)
    alone = survey.symbols[0] if len(survey.symbols) == 1 else None
    reading = Reading(bar_seconds=survey.bar_seconds, timezone=survey.timezone, symbol=alone)
    return archive.in_files(survey.files, reading, asked, rows=archive.ROWS)


def _nothing(source: str, settings: Settings) -> str:
    mode = settings.session.mode
    if mode == "always":
        return f"there are no bars in these days in {source}"
    return f"no bar in {source} lies in the {mode} sessions asked for; --mode always takes all hours"


async def _find(history: Archive, sought: Sought, jobs: int) -> Findings:
    """What is found in all groups of symbols, each looked through by a process of its own, `jobs` at a time."""
    name = sought.engine.benchmark
    benchmark = await history.read([name]) if name is not None and name in history.counts else None
    loop = asyncio.get_running_loop()
    jobs = min(jobs, len(history.groups))
    whole = Findings()
    begun: deque[tuple[int, asyncio.Future[Findings]]] = deque()
    with processes(jobs) as workers, _progress(sum(history.counts.values())) as advance:

        async def take() -> None:
            nonlocal whole
            bars, found = begun.popleft()
            whole = whole.with_those_of(await found, sought.examples)
            advance(bars)

        number = 0
        async for bars in history.chunks():
            archive.refuse_longer_than(sought.timeframe, bars, history.source)
            beside = None if name in bars.symbols else benchmark
            begun.append((len(bars), loop.run_in_executor(workers, find, bars, beside, sought, number)))
            begun[-1][1].add_done_callback(_look_at)
            number += 1
            if len(begun) > jobs:
                await take()
        while begun:
            await take()
    return whole


def _look_at(done: asyncio.Future[Findings]) -> None:
    """Claim the error of a group that nobody waits for any more, since an earlier one has ended in one too."""
    if not done.cancelled():
        done.exception()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal; what is given is told of bars that are done."""
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as shown:
        looking = shown.add_task("looking through bars", total=total)
        yield lambda bars: shown.advance(looking, bars)


def _form_of(output: Path | None) -> str | None:
    """How the file is written that a person has named, by its ending.

    Raises SettingsError for a name that does not say, and for a folder that is not there.
    """
    if output is None:
        return None
    form = output.suffix.lower()
    if form not in (".parquet", ".csv", ".html"):
        raise SettingsError(f"--output must end in .parquet, .csv or .html, was {output}")
    if not output.parent.is_dir():
        raise SettingsError(f"--output: there is no folder {output.parent}")
    if form != ".html":
        recording.need_polars("what is found is written")
    return form


def _put(output: Path, write: Callable[[Path], None]) -> None:
    """A file that is there whole or not at all: what was there before is there until then."""
    unfinished = output.with_name(f".{output.stem}.unfinished{output.suffix}")
    try:
        write(unfinished)
        unfinished.replace(output)
    except OSError as error:
        raise SettingsError(f"{output} cannot be written: {error.strerror or error}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _write_rows(folder: Path, output: Path) -> None:
    """All that was found, which lies in a folder as Parquet, as one file."""
    import polars as pl

    found = pl.scan_parquet(sorted(folder.glob("*.parquet")))
    if output.suffix.lower() == ".csv":
        found.sink_csv(output, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    else:
        found.sink_parquet(output)


def _write_page(done: Surveyed, rates: report.Rates, output: Path) -> None:
    page = report.Page(
        done.source,
        done.sessions,
        done.timezone,
        datetime.now(UTC),
        done.findings,
        examples=done.examples,
        timeframe=done.timeframe,
        rates=rates,
    )
    output.write_text(page.html(), encoding="utf-8")


def _rates(path: Path | None, settings: Settings, survey: Survey) -> report.Rates:
    """The rates of a file, of patterns whose definition is still the one that was measured.

    Raises SettingsError if it is no whole table of rates, or one of none of these patterns.
    """
    if path is None:
        return {}
    measured = rate_file.read(path)
    now = definitions_of(patterns_with(chosen_rules(_chosen(settings, survey).patterns)))
    rates = {
        (group.pattern, group.direction, group.timeframe): group.rate(None)
        for group in measured.groups
        if now.get(group.pattern, "") == measured.definitions.get(group.pattern)
    }
    if not rates:
        raise SettingsError(
            f"{path} has no rates of patterns as they are now: make it anew with `tickstockpl calibrate`"
        )
    return rates
