"""Events on bars of a day or a week that a run before this one has left open, with the bars since."""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.finished import finished
from tickstockpl.history import History
from tickstockpl.kernel import PROVISIONAL
from tickstockpl.moments import MINUTE_US, moment_at, us_of
from tickstockpl.open_events import BY_SYMBOL, OPEN, PREFETCHED, OpenEvents, groups
from tickstockpl.settings import DatabaseSettings

BARS_BACK = 63
"""Three times as many days or weeks as an event waits for bars: some symbols do not trade in each."""
WEEK_US = 7 * 86_400_000_000

# Both by the index that has the rows of these timeframes alone.
_DAYS = "e.timeframe IN ('daily', 'weekly')"
_NEWEST = f"SELECT max(e.bar_end) FROM pattern_event e WHERE e.part = $1 AND {_DAYS} AND e.timeframe = $2"


async def open_days(
    settings: DatabaseSettings,
    part: str,
    sessions: NDArray[np.int64],
    known_us: int | None,
    timeframe: str,
    *,
    regular: bool,
) -> AsyncIterator[tuple[OpenEvents, History]]:
    """Groups of a part's open events on bars of a day or a week, each with its symbols' sessions since the oldest: of
    each what would be its last minute, had it no other, so that longer bars are rolled up from it.

    Of the last `BARS_BACK` such bars before its newest event, that one's included.
    sessions: (n, 2) [open, close), µs UTC; those that were not over by `known_us` are told of by the engine; None: all.
    regular: they are regular ones, of which there are daily bars; others are folded from minutes.
    Raises ServerError if the database cannot be used.
    """
    over = sessions[sessions[:, 1] <= known_us] if known_us is not None else sessions[:0]
    async with postgres.for_command(settings) as connection:
        newest = await connection.fetchval(_NEWEST, part, timeframe)
        if newest is None:
            return
        first_us = _first_us(over, us_of(newest), timeframe)
        async with postgres.transaction(connection):
            query = f"{OPEN} AND {_DAYS} {BY_SYMBOL}"
            found = connection.cursor(query, part, moment_at(first_us), timeframe, prefetch=PREFETCHED)
            async for group in groups(found, lambda row: int(np.sum(over[:, 0] > row["ts_us"]))):
                events = await asyncio.to_thread(OpenEvents.of, group)
                since = over[over[:, 0] > events.ts_us.min()]
                yield events, await _sessions(settings, since, events.symbols, regular=regular)


def _first_us(sessions: NDArray[np.int64], newest_us: int, timeframe: str) -> int:
    """The end of a bar before which no event is open any more."""
    if timeframe == "weekly":
        return newest_us - BARS_BACK * WEEK_US
    before = sessions[sessions[:, 1] < newest_us]
    return int(before[-BARS_BACK:][0, 0]) if len(before) else 0


async def _sessions(
    settings: DatabaseSettings, sessions: NDArray[np.int64], symbols: list[str], *, regular: bool
) -> History:
    """Each session of these symbols as its last minute."""
    if not len(sessions):
        return History.none(symbols)
    async with finished(settings, sessions, daily=regular) as reader:
        rows = await reader.of(symbols)
    at = np.searchsorted(sessions[:, 0], rows.ts_us)
    return replace(rows, ts_us=sessions[at, 1] - MINUTE_US, quality=rows.quality & ~np.uint8(PROVISIONAL))
