"""Events on bars of a day or a week that a run before this one has left open, with the bars since."""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.finished import Finished, finished
from tickstockpl.history import History
from tickstockpl.kernel import PROVISIONAL
from tickstockpl.moments import MINUTE_US, moment_at, us_of
from tickstockpl.open_events import BY_SYMBOL, OF_DAYS, OPEN, PREFETCHED, OpenEvents, groups, minutes_of
from tickstockpl.settings import DatabaseSettings

BARS_BACK = 63
"""Three times as many sessions or weeks as an event waits for bars: some symbols do not trade in each."""
DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US

_NEWEST = f"SELECT max(bar_end) FROM pattern_event WHERE part = $1 AND {OF_DAYS} AND timeframe = $2"


async def open_days(
    settings: DatabaseSettings,
    part: str,
    sessions: NDArray[np.int64],
    now_us: int,
    timeframe: str,
    *,
    regular: bool,
    kept_days: int | None = None,
) -> AsyncIterator[tuple[OpenEvents, History]]:
    """Groups of a part's open events on bars of a day or a week, each with its symbols' sessions since the oldest: of
    each what would be its last minute, had it no other, so that longer bars are rolled up from it.

    Of the last `BARS_BACK` such bars before its newest event, that one's included. A session is over by the clock: one
    that the engine tells of again, since its feed is behind, counts as it is told then.
    sessions: (n, 2) [open, close), µs UTC, sorted. regular: there are daily bars of them; others are folded from
    minutes. kept_days: what is older is deleted, outcomes before their events.
    Raises ServerError if the database cannot be used.
    """
    over = sessions[sessions[:, 1] <= now_us]
    async with postgres.for_command(settings) as connection:
        newest = await connection.fetchval(_NEWEST, part, timeframe)
        if newest is None or not len(over):
            return
        first_us = _first_us(over, us_of(newest), timeframe)
        kept_us = now_us - (kept_days - 1) * DAY_US if kept_days is not None else 0
        over = over[over[:, 0] > max(first_us, kept_us) - WEEK_US]  # no bar begins longer than that before its end

        def cost(row: Any) -> int:
            since = over[over[:, 0] > row["ts_us"]]
            return len(since) if regular or not len(since) else minutes_of(since, int(since[0, 0]), now_us)

        async with finished(settings, over, daily=regular) as reader, postgres.transaction(connection):
            query = f"{OPEN} AND e.{OF_DAYS} AND e.bar_start > $4 {BY_SYMBOL}"
            times = moment_at(first_us), timeframe, moment_at(kept_us)
            found = connection.cursor(query, part, *times, prefetch=PREFETCHED)
            async for group in groups(found, cost, alike=True):
                events = await asyncio.to_thread(OpenEvents.of, group)
                first = int(np.searchsorted(over[:, 0], events.ts_us.min(), side="right"))
                yield events, await _sessions(reader, first, events.symbols)


def _first_us(sessions: NDArray[np.int64], newest_us: int, timeframe: str) -> int:
    """The end of a bar before which no event is open any more."""
    if timeframe == "weekly":
        return newest_us - BARS_BACK * WEEK_US
    before = sessions[sessions[:, 1] < newest_us]
    return int(before[-BARS_BACK:][0, 0]) if len(before) else 0


async def _sessions(reader: Finished, first: int, symbols: list[str]) -> History:
    """Each session from the first on of these symbols as its last minute."""
    opens, closes = reader.opens[first:], reader.closes[first:]
    if not len(opens):
        return History.none(symbols)
    rows = await replace(reader, opens=opens, closes=closes, days=reader.days[first:]).of(symbols)
    at = np.searchsorted(opens, rows.ts_us)
    return replace(rows, ts_us=closes[at] - MINUTE_US, quality=rows.quality & ~np.uint8(PROVISIONAL))
