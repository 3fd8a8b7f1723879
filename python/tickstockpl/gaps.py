"""What is whole and what is not, by day and symbol: the stored bars beside the exchange's calendar.

A minute without a bar is no fault by itself: no tick, no bar. It may be one where a window of `ingest_gap` covers it.
"""

# ruff: noqa: S608 - what is put into this text are our own words; values are parameters

from collections.abc import Sequence
from dataclasses import dataclass

from tickstockpl import postgres
from tickstockpl.missed import Missed, Window, in_gap, windows
from tickstockpl.moments import MINUTE_US
from tickstockpl.postgres import Connection
from tickstockpl.sessions import Session
from tickstockpl.settings import DatabaseSettings
from tickstockpl.tables import FLAGGED, Tables, has, whole_tables
from tickstockpl.vocabulary import FLAGS, REPAIRED


@dataclass(frozen=True, slots=True)
class Day:
    """One session as far as it has come."""

    session: Session
    """`close_us` is now, where the session is still on."""
    running: bool
    missed: Missed

    @property
    def minutes(self) -> int:
        """How many have passed."""
        return (self.session.close_us - self.session.open_us) // MINUTE_US

    @property
    def minutes_in_gap(self) -> int:
        """How many of them lie in a window of all symbols, at least in part."""
        return self.missed.minutes()


@dataclass(frozen=True, slots=True)
class Count:
    """One symbol on one day, in minutes."""

    day: Day
    symbol: str
    bars: int
    in_gap: int
    """Without a bar, and in a window of `ingest_gap`."""
    flagged: int
    """With a bar that carries at least one of the flags that follow."""
    partial_start: int
    gap: int
    provisional: int
    handover: int
    ambiguous: int
    repaired: int

    @property
    def no_bar(self) -> int:
        """Without a bar, in a window or not."""
        return self.day.minutes - self.bars

    @property
    def whole(self) -> bool:
        """Nothing is known to be missing."""
        return not self.flagged and not self.in_gap


@dataclass(frozen=True, slots=True)
class Report:
    """What `read` has found; `counts` in order of day and symbol."""

    days: list[Day]
    windows: list[Window]
    counts: list[Count]

    @property
    def flagged(self) -> int:
        """Bars that may lack ticks."""
        return sum(count.flagged for count in self.counts)


async def read(
    settings: DatabaseSettings, sessions: Sequence[Session], now_us: int, symbols: Sequence[str] = ()
) -> Report:
    """Count the bars of each session.

    sessions: in order; one that has not begun is left out.
    symbols: of these alone, whether there are bars of them or not; empty: of all with a bar in any of the sessions.
    Raises ServerError if the database cannot be asked.
    """
    now_us = now_us // MINUTE_US * MINUTE_US
    begun = [session for session in sessions if session.open_us < now_us]
    if not begun:
        return Report([], [], [])
    async with postgres.for_command(settings) as connection:
        return await _read(connection, begun, now_us, symbols)


async def _read(connection: Connection, begun: list[Session], now_us: int, symbols: Sequence[str]) -> Report:
    tables = await whole_tables(connection)
    found = await windows(connection, begun[0].open_us, min(begun[-1].close_us, now_us))
    days = []
    for session in begun:
        seen = session._replace(close_us=min(session.close_us, now_us))
        days.append(Day(seen, seen != session, Missed.of(found, seen.open_us, seen.close_us)))
    rows = [await _count(connection, tables, day, symbols) for day in days]
    names = sorted({*symbols} or {name for of_day in rows for name in of_day})
    none = (0,) * (3 + len(FLAGS) + 1)
    counts = []
    for day, of_day in zip(days, rows, strict=True):
        for name in names:
            bars, bars_in_gap, *flags = of_day.get(name, none)
            counts.append(Count(day, name, bars, day.missed.minutes(name) - bars_in_gap, *flags))
    return Report(days, found, counts)


async def _count(
    connection: Connection, tables: Tables, day: Day, symbols: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Of each symbol: bars, those in a gap, flagged ones, and those of each flag and of repairs.

    One pass over the rows of one session: its bounds alone decide which chunks are looked at. Another writer's rows may
    stand at any second; only those at a whole minute are bars.
    """
    values = [*map(tables.moment, day.session[1:]), list(symbols) or None, *day.missed.arguments(tables)]
    join, is_missed = in_gap(tables, "b", 4)
    of_flags = ", ".join(f"count(*) FILTER (WHERE {has(name)})" for name in (*FLAGS, REPAIRED))
    rows = await connection.fetch(
        f"""
        SELECT b.symbol::text, count(*), count(*) FILTER (WHERE {is_missed}), count(*) FILTER (WHERE {FLAGGED}),
               {of_flags}
        FROM ohlcv_1min b {join}
        WHERE b.timestamp >= $1 AND b.timestamp < $2 AND ($3::text[] IS NULL OR b.symbol = ANY ($3))
          AND date_bin('1 minute', b.timestamp, $1) = b.timestamp
        GROUP BY b.symbol""",
        *values,
    )
    return {row[0]: tuple(row)[1:] for row in rows}
