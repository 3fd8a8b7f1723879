"""What `gaps`, `repair`, `daily`, `retain` and `scan` have found and done: tables for people, text for machines."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import orjson
from rich import box
from rich.table import Table
from rich.text import Text

from tickstockpl.daily import Written
from tickstockpl.findings import Findings
from tickstockpl.found import DIRECTIONS
from tickstockpl.gaps import Count, Day, Report
from tickstockpl.moments import moment_at
from tickstockpl.repair import Change
from tickstockpl.retention import Outcome
from tickstockpl.vocabulary import FLAGS, REPAIRED

COLUMNS = (
    *("day", "symbol", "minutes", "bars", "no_bar", "in_gap", "flagged"),
    *(*FLAGS, REPAIRED),
)
"""Of a day and symbol, in the order of the CSV."""

_SHOWN = ("day", "symbol", "bars", "no_bar", "in_gap", "flagged", "partial_start", "gap", "provisional")
"""Those that people see: they fit into 80 columns."""

WIDE = 100
"""Columns of a terminal in which every column of `scan` has its place."""

_NAMED = 3
"""Symbols of a gap that people see."""


def gap_tables(report: Report, limit: int) -> Iterator[Table | Text]:
    """The days, the windows, and the symbols that are not whole: those with most minutes in doubt first.

    limit: rows of symbols at most.
    """
    if not report.days:
        yield Text("no session in these days has begun")
        return
    yield _days(report)
    if report.windows:
        yield _windows(report)
    doubtful = sorted(
        (count for count in report.counts if not count.whole), key=lambda count: -(count.flagged + count.in_gap)
    )
    if not doubtful:
        yield Text(f"nothing is known to be missing, of {len({count.symbol for count in report.counts}):,} symbols")
        return
    table = _table("not whole, by symbol", *_SHOWN)
    for count in doubtful[:limit]:
        row = _row(count)
        table.add_row(*(_cell(row[name]) for name in _SHOWN))
    yield table
    if len(doubtful) > limit:
        yield Text(f"{len(doubtful) - limit:,} rows more: --rows, --symbol or --csv show them")


def gap_json(report: Report) -> bytes:
    """Windows, days and every symbol of every day, as one JSON object."""
    return orjson.dumps(
        {
            "days": [
                {
                    "day": day.session.day,
                    "opens": moment_at(day.session.open_us),
                    "until": moment_at(day.session.close_us),
                    "running": day.running,
                    "minutes": day.minutes,
                    "minutes_in_gap": day.minutes_in_gap,
                }
                for day in report.days
            ],
            "windows": [
                {
                    "started_at": moment_at(window.started_us),
                    "ended_at": moment_at(window.ended_us),
                    "cause": window.cause,
                    "channels": window.channels,
                    "symbols": window.symbols,
                }
                for window in report.windows
            ],
            "symbols": [_row(count) for count in report.counts],
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def gap_csv(report: Report) -> str:
    """Every symbol of every day, with a line of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(count) for count in report.counts)
    return text.getvalue()


def repair_tables(changes: Sequence[Change], revisable: str, limit: int, *, dry_run: bool) -> Iterator[Table | Text]:
    """What was done of each day and symbol, those with most changes first, and in all.

    revisable: from when on the service may still revise. limit: rows at most.
    """
    done = sorted(changes, key=lambda change: -(change.replaced + change.added))
    if done and limit:
        table = _table("repaired, by symbol", "day", "symbol", "replaced", "added", "revisable", "flagged_left")
        for change in done[:limit]:
            table.add_row(
                *(_cell(value) for value in (change.day.day, change.symbol, change.replaced, change.added)),
                *(_cell(value) for value in (change.revisable, change.flagged)),
            )
        yield table
    if len(done) > limit:
        yield Text(f"{len(done) - limit:,} rows more: --rows shows them")
    replaced, added = sum(each.replaced for each in done), sum(each.added for each in done)
    yield Text(f"{'would be ' if dry_run else ''}replaced {replaced:,}, added {added:,} bars")
    if left := sum(each.revisable for each in done):
        yield Text(f"{left:,} left alone: the service may still revise what starts from {revisable} on")
    yield Text(f"{sum(each.flagged for each in done):,} flagged bars left in these days")


def retain_table(done: Outcome, *, dry_run: bool) -> Table:
    """What was deleted of each table."""
    table = _table("would be deleted" if dry_run else "deleted", "table", "before", "rows", "chunks", "dropped_MiB")
    for each in done.removed:
        mib = Text(f"{each.bytes / 2**20:,.1f}")
        table.add_row(each.table, f"{each.before:%Y-%m-%d %H:%M}Z", _cell(each.rows), _cell(each.chunks), mib)
    return table


def daily_table(done: Sequence[Written]) -> Table:
    """What was written of each session; those of which nothing was are counted in one row."""
    table = _table("daily bars written", "day", "rows", "of_others", "refused")
    for each in done:
        if each.rows or each.refused:
            table.add_row(str(each.date), _cell(each.rows), _cell(each.foreign), _cell(each.refused))
    same = sum(not (each.rows or each.refused) for each in done)
    table.add_row(f"{same:,} more", "as they are", "", "")
    return table


def scan_tables(source: str, findings: Findings, limit: int, width: int) -> Iterator[Table | Text]:
    """How often each pattern was found, the most frequent first.

    limit: rows at most. width: of the terminal; a narrow one does not see when the first and the last was.
    """
    tallies = findings.most_frequent()
    if tallies and limit:
        when = ("first", "last") if width >= WIDE else ()
        table = _table("found", "pattern", "direction", "found", "per_1,000_bars", "symbols", "mean_confidence", *when)
        for tally in tallies[:limit]:
            days = (f"{moment_at(us):%Y-%m-%d}" for us in (tally.first_us, tally.last_us))
            table.add_row(
                *(findings.patterns[tally.pattern]["id"], DIRECTIONS[tally.direction], _cell(tally.found)),
                *(f"{1000 * tally.found / findings.bars:,.2f}", _cell(tally.symbols), f"{tally.confidence:.2f}"),
                *(days if when else ()),
            )
        yield table
    if len(tallies) > limit:
        yield Text(f"{len(tallies) - limit:,} rows more: --rows shows them")
    begun, ended = (f"{moment_at(us or 0):%Y-%m-%d}" for us in (findings.first_us, findings.last_us))
    symbols = "one symbol" if findings.symbols == 1 else f"{findings.symbols:,} symbols"
    yield Text(f"{findings.found:,} found in {findings.bars:,} bars of {symbols}, {begun} to {ended}, in {source}")


def _days(report: Report) -> Table:
    table = _table("sessions", "day", "UTC", "minutes", "in_gap", "symbols", "bars", "no_bar", "flagged")
    of_day: dict[date, list[Count]] = {day.session.day: [] for day in report.days}
    for count in report.counts:
        of_day[count.day.session.day].append(count)
    for day in report.days:
        counts = of_day[day.session.day]
        table.add_row(
            str(day.session.day),
            f"{_time(day.session.open_us)}-{_time(day.session.close_us)}{'…' if day.running else ''}",
            *map(_cell, (day.minutes, day.minutes_in_gap, sum(count.bars > 0 for count in counts))),
            *map(_cell, (sum(count.bars for count in counts), sum(count.no_bar for count in counts))),
            _cell(sum(count.flagged for count in counts)),
        )
    return table


def _windows(report: Report) -> Table:
    table = _table("gaps in the feed", "started", "lasted", "cause", "of")
    for window in report.windows:
        lasted_s = (window.ended_us - window.started_us) / 1e6
        names = " ".join(window.symbols[:_NAMED]) + (" …" if len(window.symbols) > _NAMED else "")
        table.add_row(
            f"{moment_at(window.started_us):%Y-%m-%d %H:%M:%S}Z",
            f"{lasted_s:,.1f} s",
            Text(window.cause),
            Text(names or "all"),
        )
    return table


def _row(count: Count) -> dict[str, Any]:
    day: Day = count.day
    values = (
        *(day.session.day, count.symbol, day.minutes, count.bars, count.no_bar, count.in_gap, count.flagged),
        *(count.partial_start, count.gap, count.provisional, count.handover, count.ambiguous, count.repaired),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in columns:
        words = name in {"day", "UTC", "symbol", "started", "cause", "table", "before", "pattern", "direction"}
        table.add_column(name.replace("_", "\n"), justify="left" if words else "right", no_wrap=name != "cause")
    return table


def _cell(value: object) -> Text:
    return Text(f"{value:,}" if isinstance(value, int) else str(value))


def _time(us: int) -> str:
    return f"{moment_at(us):%H:%M}"
