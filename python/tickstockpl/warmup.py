"""What the engine must know before the first tick: each symbol's bars before today's session, and all since.

10,000 symbols with 200 bars each take seconds.
"""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import structlog
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.history import PRICED, History, Replayed, columns, copied, is_naive
from tickstockpl.moments import MINUTE_US, moment_at, us_of
from tickstockpl.postgres import Connection
from tickstockpl.settings import DatabaseSettings

I64 = NDArray[np.int64]

SYMBOLS_PER_CHUNK = 250

_COMMAND_TIMEOUT_S = 120.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """Which bars are needed, all in µs UTC."""

    first_us: int
    """Nothing older is ever read: the open of the oldest session."""
    heard_us: int
    """A symbol without a bar since then is not fed: the engine has forgotten it, too."""
    since_us: int
    """Every bar from here on is fed, in session or not."""
    before: I64
    """The sessions that end before `since_us` reaches them, (n, 2), oldest first."""


def span(sessions: I64, now_us: int, revise_s: float, heard_us: int | None = None) -> Span:
    """What `history` reads at `now_us`.

    sessions: open and close of each session, int64 (n, 2), sorted; today's may be among them.
    heard_us: since when a symbol must have been heard, µs UTC; None: since the open of the session before.
    """
    begun = sessions[sessions[:, 0] <= now_us]
    revisable_us = (now_us - round(revise_s * 1e6)) // MINUTE_US * MINUTE_US - MINUTE_US
    if not len(begun):
        return Span(revisable_us, revisable_us, revisable_us, np.empty((0, 2), dtype=np.int64))
    since_us = min(int(begun[-1, 0]), revisable_us)
    before = np.minimum(begun, since_us)
    before = before[before[:, 0] < before[:, 1]]
    if heard_us is None:
        heard_us = int(before[-1, 0]) if len(before) else since_us
    return Span(int(begun[0, 0]), heard_us, since_us, before)


async def history(
    settings: DatabaseSettings,
    sessions: I64,
    now_us: int,
    *,
    window: int = 200,
    revise_s: float = 900.0,
    heard_us: int | None = None,
    replayed: Replayed | None = None,
) -> AsyncIterator[History]:
    """Chunks of bars for `Engine.warm`, each with all bars of some symbols, oldest first per symbol.

    For each symbol with a bar since `heard_us` (None: since the previous session's open): the last `window` bars in
    session before today's session, and every bar since its open, since the start of the revise window, and every
    provisional one.
    sessions: open and close of each session, µs UTC, int64 (n, 2), sorted: how far they reach back bounds the search.
    replayed: what is left out, since it comes by another way.
    Raises ServerError if the database cannot be used.
    """
    wanted = span(sessions, now_us, revise_s, heard_us)
    started_s, rows = time.monotonic(), 0
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        reader = _Reader(connection, wanted, window, await is_naive(connection), replayed)
        symbols, unfinished = await reader.symbols(), await reader.unfinished()
        log.info("warm start", symbols=len(symbols), since_us=wanted.since_us, sessions=len(wanted.before))
        for low in range(0, len(symbols), SYMBOLS_PER_CHUNK):
            chunk = await reader.chunk(symbols[low : low + SYMBOLS_PER_CHUNK], unfinished)
            rows += len(chunk)
            if low and low % (SYMBOLS_PER_CHUNK * 8) == 0:
                log.info("warm start goes on", symbols=low, of=len(symbols), rows=rows)
            if len(chunk):
                yield chunk
        log.info("warm start read", symbols=len(symbols), rows=rows, seconds=round(time.monotonic() - started_s, 2))


async def revised(
    settings: DatabaseSettings, sessions: I64, now_us: int, *, revise_s: float = 900.0
) -> list[tuple[str, str, int, str | None, int, int]]:
    """Events for `Engine.recall`: those that first held at another revision of their bar than the one that is stored,
    and those withdrawn that did at a later one.

    The correction of an earlier bar has a bar looked at again without a new revision of its row, so that the table
    alone does not tell which numbers are used: an event with the id of a withdrawn one would find no place in it.

    Of bars that end since `span(...).since_us`, from where on `history` feeds every one, and in the revise window of
    the newest event: feeds are delayed, so the clock does not tell where that is. Arguments and errors are `history`'s.
    Of longer bars there are no rows: those that first held at another revision than 0 are all told.
    Returns symbol, timeframe, start of the bar in µs UTC, pattern's id (None: withdrawn), direction and revision, the
    lowest revision first.
    """
    since_us = span(sessions, now_us, revise_s).since_us
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        naive = await is_naive(connection)
        start = "e.bar_start AT TIME ZONE 'UTC'" if naive else "e.bar_start"
        newest = await connection.fetchval("SELECT max(bar_end) FROM pattern_event WHERE bar_end <= $1", _at(now_us))
        if newest is None:
            return []
        # Bars close after their end, and events are of closed bars: what may be revised ends no earlier than this.
        revisable_us = us_of(newest) - round(revise_s * 1e6) - 2 * MINUTE_US
        since_us = max(since_us, revisable_us)
        rows = await connection.fetch(
            f"""
            WITH told AS (
              SELECT e.symbol::text, e.timeframe, (extract(epoch FROM e.bar_start) * 1000000)::bigint AS start_us,
                     CASE WHEN e.expired_at IS NULL THEN e.pattern_id::text END AS pattern_id, e.direction::integer,
                     e.revision,
                     {start} AS start
              FROM pattern_event e WHERE e.bar_end >= $1
            )
            SELECT e.symbol, e.timeframe, e.start_us, e.pattern_id, e.direction, e.revision FROM told e
            JOIN ohlcv_1min b ON b.symbol = e.symbol AND b.timestamp = e.start
            WHERE e.timeframe = '1min' AND b.timestamp >= $2 AND e.revision <> coalesce(b.revision, 0)
              AND (e.pattern_id IS NOT NULL OR e.revision > coalesce(b.revision, 0))
            UNION ALL
            SELECT e.symbol, e.timeframe, e.start_us, e.pattern_id, e.direction, e.revision FROM told e
            WHERE e.timeframe <> '1min' AND e.revision > 0
            ORDER BY revision""",
            _at(since_us),
            _at(since_us - MINUTE_US, naive=naive),
        )
        return [tuple(row) for row in rows]


async def published(settings: DatabaseSettings, *, lately_s: float) -> set[str]:
    """The ids of the events that were stored in the last `lately_s` and have been sent.

    Raises ServerError if the database cannot be used.
    """
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        rows = await connection.fetch(
            """SELECT event_id::text FROM pattern_event
               WHERE published_at IS NOT NULL AND detected_at > now() - $1 * interval '1 second'""",
            lately_s,
        )
        return {row["event_id"] for row in rows}


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: Connection
    wanted: Span
    window: int
    naive: bool
    """The table's `timestamp` has no time zone: it is UTC."""
    replayed: Replayed | None = None

    async def symbols(self) -> list[str]:
        """One index probe a symbol, where SELECT DISTINCT would read every row of two days."""
        rows = await self.connection.fetch(
            """
            WITH RECURSIVE s AS (
              (SELECT symbol::text FROM ohlcv_1min WHERE timestamp >= $1 ORDER BY symbol LIMIT 1)
              UNION ALL
              SELECT (SELECT b.symbol::text FROM ohlcv_1min b
                      WHERE b.symbol > s.symbol AND b.timestamp >= $1 ORDER BY b.symbol LIMIT 1)
              FROM s WHERE s.symbol IS NOT NULL
            ) SELECT symbol FROM s WHERE symbol IS NOT NULL""",
            self._at(self.wanted.heard_us),
        )
        return [row["symbol"] for row in rows]

    async def unfinished(self) -> set[str]:
        """Symbols with a provisional bar before `since_us`: one pass, which is cheaper than looking in each symbol."""
        rows = await self.connection.fetch(
            """SELECT DISTINCT symbol::text FROM ohlcv_1min
               WHERE timestamp >= $1 AND timestamp < $2 AND quality LIKE '%provisional%'""",
            self._at(self.wanted.heard_us),
            self._at(self.wanted.since_us),
        )
        return {row["symbol"] for row in rows}

    async def chunk(self, symbols: Sequence[str], unfinished: set[str]) -> History:
        """Every bar that is needed of some symbols."""
        parts = [await self._since(symbols, unfinished)]
        short = np.full(len(symbols), self.window)
        # The newest session alone has enough of a busy symbol; thin ones are sought in ever more sessions at a time.
        end, count = len(self.wanted.before), 1
        while end > 0 and (short > 0).any():
            begin = max(0, end - count)
            part = await self._before(symbols, short, self.wanted.before[begin:end])
            short -= np.bincount(part["symbol"], minlength=len(symbols))
            parts.append(part)
            end, count = begin, count * 2
        return History.of(np.concatenate(parts), symbols)

    async def _since(self, symbols: Sequence[str], unfinished: set[str]) -> NDArray[np.void]:
        return await copied(
            self.connection,
            f"""
            SELECT {self._columns()} FROM unnest($1::text[], $2::boolean[]) WITH ORDINALITY AS s(name, unfinished, id)
            CROSS JOIN LATERAL (
              SELECT * FROM ohlcv_1min b WHERE b.symbol = s.name AND b.timestamp >= $3
              UNION ALL
              SELECT * FROM ohlcv_1min b
              WHERE s.unfinished AND b.symbol = s.name AND b.timestamp >= $4 AND b.timestamp < $3
                AND b.quality LIKE '%provisional%'
            ) AS b WHERE {PRICED} AND {self._read()}""",
            list(symbols),
            [symbol in unfinished for symbol in symbols],
            self._at(self.wanted.since_us),
            self._at(self.wanted.heard_us),
        )

    async def _before(self, symbols: Sequence[str], short: I64, sessions: I64) -> NDArray[np.void]:
        """The last `short[i]` bars of each symbol in these sessions."""
        kind = "timestamp" if self.naive else "timestamptz"
        some = np.flatnonzero(short > 0)
        return await copied(
            self.connection,
            f"""
            SELECT {self._columns()}
            FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS s(name, id, short)
            CROSS JOIN LATERAL (
              SELECT * FROM ohlcv_1min b
              WHERE b.symbol = s.name AND b.timestamp >= $4 AND b.timestamp < $5 AND {PRICED} AND {self._read()}
                AND EXISTS (SELECT FROM unnest($6::{kind}[], $7::{kind}[]) AS o(opens, closes)
                            WHERE b.timestamp >= o.opens AND b.timestamp < o.closes)
              ORDER BY b.timestamp DESC LIMIT s.short
            ) AS b""",
            [symbols[i] for i in some.tolist()],
            (some + 1).tolist(),
            short[some].tolist(),
            self._at(sessions[0, 0]),
            self._at(sessions[-1, 1]),
            [self._at(us) for us in sessions[:, 0]],
            [self._at(us) for us in sessions[:, 1]],
        )

    def _columns(self) -> str:
        left_out = self.replayed
        source = {} if left_out is None else {"source": f"'{left_out.src_id}'::uuid"}
        return columns(naive=self.naive, **source)

    def _read(self) -> str:
        """The condition on bars that are read."""
        return "true" if self.replayed is None else self.replayed.left(naive=self.naive)

    def _at(self, us: int) -> datetime:
        """A value of the column's own type: a cast of the column would keep the planner from its index and chunks."""
        return _at(us, naive=self.naive)


def _at(us: int, *, naive: bool = False) -> datetime:
    moment = moment_at(int(us))
    return moment.replace(tzinfo=None) if naive else moment
