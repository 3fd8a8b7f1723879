"""Events that a run before this one has left open, with the bars since: read from rows while new ones come already."""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.history import PRICED, History, columns, copied, is_naive
from tickstockpl.moments import MINUTE_US, moment_at, us_of
from tickstockpl.settings import DatabaseSettings

EVENTS = 5_000
MINUTES = 100_000
"""So many events, and bars of their symbols, are read together, unless one symbol alone has more: some 10 MB."""
PREFETCHED = 500
"""Rows that the loop decodes in one piece."""
BEFORE_US = 3_600_000_000
"""How much later than the open of its session an event may end that waits for that session's last corrections."""

OF_DAYS = "timeframe IN ('daily', 'weekly')"
"""Of an event that outlasts its session; as in the index that has those events alone."""

# The index has the newest end; max(bar_start) would read every event there is.
_NEWEST = f"""
SELECT coalesce((SELECT bar_start FROM pattern_outcome
                 WHERE part = $1 AND NOT {OF_DAYS} ORDER BY seq DESC LIMIT 1),
                (SELECT bar_start FROM pattern_event
                 WHERE part = $1 AND bar_end <= $2 AND NOT {OF_DAYS}
                 ORDER BY bar_end DESC, bar_start DESC LIMIT 1))
"""
OPEN = """
SELECT e.event_id::text, e.symbol, (extract(epoch FROM e.bar_start) * 1000000)::bigint AS ts_us, e.direction::integer,
       (e.payload->>'current_price')::float8 AS close, (e.payload->>'atr')::float8 AS atr,
       (e.payload->>'entry')::float8 AS entry, (e.payload->>'stop')::float8 AS stop,
       (e.payload->>'target')::float8 AS target
FROM pattern_event e LEFT JOIN pattern_outcome o USING (event_id)
WHERE e.part = $1 AND e.bar_end > $2 AND e.timeframe = $3 AND e.expired_at IS NULL
  AND (o.event_id IS NULL OR o.result IS NULL AND e.payload->>'atr' IS NOT NULL)
"""
"""A part's events of a timeframe after a moment that have not come to anything, or not to all that they can."""

BY_SYMBOL = "ORDER BY e.symbol, e.bar_start"


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """Events of some symbols that have not come to anything yet: the columns that `Follower.load` takes."""

    symbols: list[str]
    symbol: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    direction: NDArray[np.int32]
    held: NDArray[np.bool_]
    event_id: NDArray[np.bytes_]
    close: NDArray[np.float64]
    atr: NDArray[np.float64]
    entry: NDArray[np.float64]
    stop: NDArray[np.float64]
    target: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "OpenEvents":
        """Those of rows, which lie together by symbol."""
        symbols = list(dict.fromkeys(row["symbol"] for row in rows))
        place = {symbol: at for at, symbol in enumerate(symbols)}
        prices = {
            name: np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)
            for name in ("close", "atr", "entry", "stop", "target")
        }
        return cls(
            symbols,
            np.array([place[row["symbol"]] for row in rows], dtype=np.int32),
            np.array([row["ts_us"] for row in rows], dtype=np.int64),
            np.array([row["direction"] for row in rows], dtype=np.int32),
            np.ones(len(rows), dtype=np.bool_),
            np.array([row["event_id"] for row in rows], dtype="S36"),
            **prices,
        )

    def __len__(self) -> int:
        return len(self.ts_us)


async def open_events(
    settings: DatabaseSettings, part: str, sessions: NDArray[np.int64], now_us: int, timeframe: str
) -> AsyncIterator[tuple[OpenEvents, History]]:
    """Groups of a part's open events on bars within a session, each with its symbols' final minutes since the oldest.

    Of the session of the newest outcome that this part has stored, and of all later ones: whatever began before came to
    something in it. Before the first outcome: of the newest event's session. Those of another part are left to it: of
    its symbols more may have come than is stored.
    sessions: (n, 2) [open, close), µs UTC.
    Raises ServerError if the database cannot be used.
    """
    async with postgres.for_command(settings) as connection:
        newest = await connection.fetchval(_NEWEST, part, moment_at(now_us))
        if newest is None:
            return
        at = int(np.searchsorted(sessions[:, 0], us_of(newest) - BEFORE_US, side="right")) - 1
        sessions = sessions[max(at, 0) :]
        since = moment_at(int(sessions[0, 0]))
        naive = await is_naive(connection)
        async with postgres.transaction(connection):
            found = connection.cursor(f"{OPEN} {BY_SYMBOL}", part, since, timeframe, prefetch=PREFETCHED)
            async for group in groups(found, lambda row: minutes_of(sessions, row["ts_us"], now_us)):
                yield await _with_bars(connection, group, naive)


async def groups(
    found: AsyncIterable[Any], cost: Callable[[Any], int], *, alike: bool = False
) -> AsyncIterator[list[Any]]:
    """Rows of open events, those of a symbol together, in groups that are not too much for one reading.

    cost: how many bars are read for a symbol of which this is the first row. alike: for each as many as for the most.
    """
    group: list[Any] = []
    symbols, most, total = 0, 0, 0
    async for row in found:
        if not group or row["symbol"] != group[-1]["symbol"]:
            bars = cost(row)
            read = (symbols + 1) * max(most, bars) if alike else total + bars
            if group and (len(group) >= EVENTS or read > MINUTES):
                yield group
                group, symbols, most, total = [], 0, 0, 0
            symbols, most, total = symbols + 1, max(most, bars), total + bars
        group.append(row)
    if group:
        yield group


def minutes_of(sessions: NDArray[np.int64], since_us: int, until_us: int) -> int:
    """How many minutes of sessions there are between two moments."""
    within = np.clip(sessions, since_us, until_us)
    return int((within[:, 1] - within[:, 0]).sum()) // MINUTE_US


async def _with_bars(connection: postgres.Connection, group: list[Any], naive: bool) -> tuple[OpenEvents, History]:
    """What is made of rows is made beside the loop, which ticks pass through."""
    events = await asyncio.to_thread(OpenEvents.of, group)
    kind = "timestamp" if naive else "timestamptz"
    first = [moment_at(us) for us in events.ts_us[np.unique(events.symbol, return_index=True)[1]].tolist()]
    rows = await copied(
        connection,
        f"""
        SELECT {columns(naive=naive)} FROM unnest($1::text[], $2::{kind}[]) WITH ORDINALITY AS s(name, since, id)
        CROSS JOIN LATERAL (
          SELECT * FROM ohlcv_1min b WHERE b.symbol = s.name AND b.timestamp > s.since
        ) AS b WHERE {PRICED} AND (b.quality LIKE '%provisional%') IS NOT TRUE ORDER BY s.id, b.timestamp""",
        events.symbols,
        [at.replace(tzinfo=None) for at in first] if naive else first,
    )
    return events, await asyncio.to_thread(History.of, rows, events.symbols)
