"""What `tickstockpl calibrate` does: bars of history become a table of rates, in a file, on a page, in pictures."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from tickstockpl import rate_file, rate_page, rate_plot, recording, sessions
from tickstockpl.archive import Archive, Asked, in_database, in_files, refuse_longer_than
from tickstockpl.barriers import Barriers, Found
from tickstockpl.calibration import DIRECTIONS, Calibration, Dataset, Parameters
from tickstockpl.ended import Ended, EndedEvents, ended_events
from tickstockpl.errors import SettingsError
from tickstockpl.evidence import Evidence, tabulate
from tickstockpl.history import History
from tickstockpl.holdout import judged
from tickstockpl.kernel import PATTERNS, EngineSettings, scan
from tickstockpl.moments import us_of
from tickstockpl.placebo import Moved
from tickstockpl.rate_words import finding, ranked, told, verdict
from tickstockpl.rolled import Rows, rolled
from tickstockpl.rule import only
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
from tickstockpl.sessions import Mode, Sessions
from tickstockpl.settings import PatternSettings, Settings
from tickstockpl.vocabulary import TIMEFRAME, TIMEFRAMES

ROWS = 100_000
"""Bars at a time, unless one symbol alone has more."""

LEAST = 30
"""Events of a pattern from which on its row is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrate:
    """What a person wants measured, and where it is to go; None and empty: nobody said."""

    files: tuple[Path, ...] = ()
    """Empty: the database of the settings."""
    timezone: str = "UTC"
    """Of a file's stamps that have none."""
    name: str | None = None
    """What the data are called."""
    patterns: tuple[str, ...] = ()
    """Ids and globs; empty: all there are, so that what is switched on later has a rate too."""
    rules: Path | None = None
    """A file of them, in the place of the settings'."""
    symbols: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    timeframes: tuple[str, ...] = (TIMEFRAME,)
    """Of the bars that patterns are looked for on, each apart."""
    mode: Mode | None = None
    parameters: Parameters = field(default_factory=Parameters)
    holdout: float = 0.3
    """The share of the bars, the newest, that the table is held against; 0: none."""
    placebo: int = 20
    """How often the events are moved along."""
    from_outcomes: bool = False
    """Whether events and outcomes are those that the service has stored; bars then only say what any bar came to."""
    output: Path | None = None
    markdown: Path | None = None
    plot: Path | None = None
    """A folder for two SVG files, or one page that ends in .html."""


async def run_calibrate(settings: Settings, wanted: Calibrate) -> None:
    """Measure, print the table and what it says, and write what was asked for.

    Raises SettingsError or ServerError.
    """
    _refuse(wanted)
    made = await measure(settings, wanted)
    _put(wanted, made)
    console = Console()
    console.print(table(made))
    for said in finding(made):
        console.print(Text.assemble((f"{said.about}. ", "bold"), said.text))


async def measure(settings: Settings, wanted: Calibrate) -> Calibration:
    """The table of these bars.

    Raises SettingsError or ServerError.
    """
    chosen = _patterns(wanted, settings)
    rules = chosen_rules(chosen)
    if others := elsewhere(rules, wanted.timeframes):
        left = ", ".join(f"{rule.id} ({rule.timeframe})" for rule in others)
        sys.stderr.write(f"tickstockpl: rules on other bars than those measured were left out: {left}\n")
        rules = only(rules, [rule.id for rule in rules if rule not in others])
    ids = enabled_patterns(chosen, "--pattern", rules=rules)
    measured = settings.patterns.model_copy(update={"timeframes": wanted.timeframes})
    named = settings.session
    mode = wanted.mode or named.mode
    now = datetime.now(UTC)
    calendar = await asyncio.to_thread(sessions.load, named.calendar, named.timezone, settings.state_dir, now.date())
    engine = replace(
        engine_settings(settings.model_copy(update={"patterns": measured}), calendar, None, rules),
        session_mode=mode,
        sessions=calendar.table(mode),
        patterns=tuple(pattern["id"] for pattern in PATTERNS) if ids is None else ids,
        indicators=None,  # no outcome needs them
    )
    if ids is not None:
        reached(replace(engine, timeframes=wanted.timeframes), "--pattern")
    work = _Work(engine, timeframes(settings.patterns), calendar, mode, wanted)
    async with _archive(settings, wanted, ZoneInfo(named.timezone)) as archive, _ended(settings, wanted) as ended:
        if missing := [symbol for symbol in wanted.symbols if symbol not in archive.counts]:
            sys.stderr.write(f"tickstockpl: no bars of {', '.join(missing)} in {archive.source}\n")
        if archive.left_out:
            sys.stderr.write(f"tickstockpl: rows that are no bars of a minute were left out: {archive.left_out:,}\n")
        with _progress(sum(archive.counts.values())) as advance:
            async for bars in archive.chunks():
                refuse_longer_than(min(wanted.timeframes, key=TIMEFRAMES.index), bars, archive.source)
                stored: dict[str, Ended] = {}
                if ended is not None:
                    asked = engine.patterns or ()
                    stored = {name: await ended.of(bars.symbols, asked, name) for name in wanted.timeframes}
                await asyncio.to_thread(work.take, bars, stored)
                advance(len(bars))
        name = wanted.name or (", ".join(file.name for file in wanted.files) if wanted.files else archive.source)
        hours = f"{named.calendar} {mode}" if mode != "always" else f"all hours, days of {named.timezone}"
        return work.made(name, hours, us_of(now))


class _Work:
    """What is known of the bars so far."""

    def __init__(
        self, engine: EngineSettings, others: Sequence[str], calendar: Sessions, mode: Mode, wanted: Calibrate
    ) -> None:
        self._engine = engine
        self._others = others
        self._patterns = engine.known_patterns
        self._sessions = calendar.table(mode)
        self._wanted = wanted
        self._parts: dict[str, list[Evidence]] = {name: [] for name in wanted.timeframes}
        self._moved = Moved(wanted.placebo, len(self._patterns))
        self._digest = hashlib.sha256()
        self._bars = self._symbols = 0
        self._first_us, self._last_us = 2**62, 0

    def take(self, bars: History, stored: Mapping[str, Ended]) -> None:
        """Look through all bars of some symbols. stored: their events by timeframe, which are then not looked for."""
        self._tell(bars)
        told_with = self._wanted.parameters
        ids = [pattern["id"] for pattern in self._patterns]
        for timeframe, parts in self._parts.items():
            engine = within_reach(looking_at(self._engine, timeframe, self._others))
            seen = rolled(bars, timeframe, engine)
            barriers = Barriers.of(
                seen,
                horizon=told_with.horizon,
                barrier=told_with.barrier,
                sessions=self._sessions,
                timeframe=timeframe,
            )
            if timeframe in stored:
                detections: Found = stored[timeframe]
                came = stored[timeframe].outcomes(barriers)
            else:
                detections = Rows.on(timeframe, scan(bars, settings=engine))
                came = barriers.outcomes(detections)
            parts.append(Evidence.of(detections, came, barriers, ids, timeframe))
            self._moved.add(detections, barriers)

    def made(self, name: str, hours: str, now_us: int) -> Calibration:
        """The table, judged.

        Raises SettingsError if the bars are too few.
        """
        data = Dataset(
            *(name, hours, self._symbols, self._bars, self._first_us, self._last_us), self._digest.hexdigest()
        )
        evidence = [Evidence.joined(parts) for parts in self._parts.values()]
        on = {*(self._engine.patterns or ()), *(rule.id for rule in self._engine.rules if rule.told)}
        definitions = definitions_of(pattern for pattern in self._patterns if pattern["id"] in on)
        try:
            made = tabulate(evidence, self._wanted.parameters, data, definitions, now_us)
        except ValueError as error:
            raise SettingsError(f"{name}: {error} in its session; --mode always takes all hours") from None
        if self._wanted.holdout:
            try:
                made = judged(made, evidence, self._wanted.holdout)
            except ValueError as error:
                raise SettingsError(f"{error}; --holdout 0 makes a table that no later data has judged") from None
        if not self._wanted.placebo or len(evidence) > 1:
            return made  # what is moved along is held against the base rate of one timeframe
        return replace(made, placebo=self._moved.placebo(evidence[0].base, self._wanted.parameters))

    def _tell(self, bars: History) -> None:
        self._bars += len(bars)
        self._symbols += len(bars.symbols)
        self._first_us = min(self._first_us, int(bars.ts_us.min()))
        self._last_us = max(self._last_us, int(bars.ts_us.max()))
        edges = np.searchsorted(bars.symbol, np.arange(len(bars.symbols) + 1))
        for at, symbol in enumerate(bars.symbols):
            self._digest.update(symbol.encode() + b"\0")
            for name in ("ts_us", "open", "high", "low", "close", "volume"):
                column = getattr(bars, name)[edges[at] : edges[at + 1]]
                self._digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())


def table(made: Calibration) -> Table:
    """The whole patterns with enough events, best beside their base rate first."""
    shown = [group for group in ranked(made) if group.pooled.n >= LEAST]
    title = f"measured rates in percent, {len(shown)} of {len(made.groups)} patterns: those with {LEAST} events or more"
    out = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in (
        "pattern",
        "bars",
        "direction",
        "events",
        "rate",
        "95 %",
        "any bar",
        "edge",
        "low",
        "middle",
        "high",
        "quality",
    ):
        words = name in {"pattern", "bars", "direction", "quality"}
        out.add_column(name, justify="left" if words else "right", no_wrap=True)
    for group in shown:
        pooled = group.pooled
        thirds = [told(bucket) for bucket in group.terciles] or ["–"] * 3
        out.add_row(
            *(group.pattern, group.timeframe, DIRECTIONS[group.direction], f"{pooled.n:,}", told(pooled)),
            *(f"{100 * pooled.hit_lo:.1f}-{100 * pooled.hit_hi:.1f}", f"{100 * group.base_rate:.1f}", pooled.edge),
            *(*thirds, verdict(group, made.parameters.false_share)),
        )
    return out


def _refuse(wanted: Calibrate) -> None:
    """Raises SettingsError for what can be seen to fail before an hour of work."""
    if wanted.first and wanted.last and wanted.first > wanted.last:
        raise SettingsError(f"--to {wanted.last} is before --from {wanted.first}")
    if wanted.from_outcomes and wanted.files:
        raise SettingsError("--from-outcomes reads the database of the settings: name no files")
    if wanted.from_outcomes and wanted.parameters != (asked := Parameters()):
        raise SettingsError(
            f"--from-outcomes has what the service measures: --horizon {asked.horizon} and --barrier {asked.barrier:g}"
        )
    for option, path in (("--output", wanted.output), ("--markdown", wanted.markdown), ("--plot", wanted.plot)):
        if path is not None and not path.parent.is_dir():
            raise SettingsError(f"{option}: there is no folder {path.parent}")


def _patterns(wanted: Calibrate, settings: Settings) -> PatternSettings:
    """Those that are named, or all."""
    rules = wanted.rules or settings.patterns.rules
    return PatternSettings(enabled=wanted.patterns or None, same_names=True, rules=rules)


def _archive(settings: Settings, wanted: Calibrate, zone: ZoneInfo) -> AbstractAsyncContextManager[Archive]:
    """The bars that were asked for: days are the market's."""
    first_us, until_us = recording.FIRST_US, recording.LAST_US
    if wanted.first is not None:
        first_us = us_of(datetime.combine(wanted.first, time(), zone))
    if wanted.last is not None:
        until_us = us_of(datetime.combine(wanted.last + timedelta(days=1), time(), zone))
    asked = Asked(wanted.symbols, first_us, until_us)
    if not wanted.files:
        settings.database.dsn()
        return in_database(settings.database, asked, rows=ROWS)
    alone = wanted.symbols[0] if len(wanted.symbols) == 1 else None
    reading = recording.Reading(bar_seconds=60, timezone=wanted.timezone, symbol=alone)
    return in_files(wanted.files, reading, asked, rows=ROWS)


def _ended(settings: Settings, wanted: Calibrate) -> AbstractAsyncContextManager[EndedEvents | None]:
    return ended_events(settings.database) if wanted.from_outcomes else nullcontext()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal; what is given is told of bars that are done."""
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as shown:
        measuring = shown.add_task("measuring bars", total=total)
        yield lambda bars: shown.advance(measuring, bars)


def _put(wanted: Calibrate, made: Calibration) -> None:
    """Write the files that were asked for."""
    if wanted.output is not None:
        rate_file.write(wanted.output, made)
    pictures = _draw(wanted.plot, made)
    if wanted.markdown is not None:
        seen = None if pictures is None else Path(os.path.relpath(pictures, wanted.markdown.parent)).as_posix()
        _write(wanted.markdown, rate_page.page(made, pictures=seen))


def _draw(plot: Path | None, made: Calibration) -> Path | None:
    """Put the pictures there; gives the folder of the SVG files, if there are any."""
    if plot is None:
        return None
    if plot.suffix.lower() in {".html", ".htm"}:
        _write(plot, rate_plot.page_html(made))
        return None
    try:
        plot.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--plot: {plot} cannot be a folder: {error.strerror}") from None
    _write(plot / "rates.svg", rate_plot.bars_svg(made))
    _write(plot / "reliability.svg", rate_plot.reliability_svg(made))
    return plot


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from None
