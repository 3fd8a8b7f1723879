"""Daily bars: the regular session's minutes folded into one row of `ohlcv_daily`, once they can no longer be revised.

Beside AppV2's seven columns a row has what its session's minutes say, in columns of our own (`session_open`, ...). So a
row of somebody else's, a vendor's for one, keeps its values, and a start reads ours all the same. A row is ours while
its seven columns are what we have written.
"""

# ruff: noqa: S608 - what is put into these texts are our own words and the tables' types; values are parameters

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import structlog

from tickstockpl import postgres
from tickstockpl.clock import Clock
from tickstockpl.faults import Fault, fault_of, sift
from tickstockpl.history import CLOSED, broke_off
from tickstockpl.moments import EPOCH, moment_at, us_of
from tickstockpl.postgres import Connection
from tickstockpl.settings import DatabaseSettings
from tickstockpl.statements import accept
from tickstockpl.tables import PRICES, Tables, whole_tables
from tickstockpl.trouble import Trouble

LOOK_S = 120.0
"""Between two looks at which sessions have ended or changed."""

MARGIN_S = 60.0
"""Beyond the revise window: a bar closes after its end, and its row is written later still."""

_COMMAND_TIMEOUT_S = 300.0

_FOLDED = ("trades", "vwap", "quality", "minutes", "first_at")

_DUE = """
SELECT open_at, close_at, date, changes FROM market_session
WHERE kind = 'regular' AND close_at <= $2 AND daily_changes IS DISTINCT FROM changes
  AND (changes > 0 OR open_at >= $1) ORDER BY open_at
"""

_BETWEEN = """
SELECT open_at, close_at, date, changes FROM market_session
WHERE kind = 'regular' AND close_at <= $3 AND date BETWEEN $1 AND $2 ORDER BY open_at
"""

_DONE = "UPDATE market_session SET daily_changes = $2 WHERE kind = 'regular' AND open_at = $1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `market_session`: a regular session that is over."""

    open_at: datetime
    close_at: datetime
    date: date
    changes: int
    """How often bars of it had been stored after its end when it was read."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the daily bars of one session."""

    date: date
    rows: int
    """Written: new, or with other values than before."""
    foreign: int
    """Of these, rows that somebody else has made: only our own columns were written."""
    refused: int
    """Symbols whose row the table does not take."""


class DailyBars:
    """The helper of the service that writes a session's daily bars once it is over, and again if its minutes change."""

    def __init__(self, settings: DatabaseSettings, revise_s: float, first_us: int, clock: Clock) -> None:
        """first_us: the open of the oldest session of which daily bars are made though nothing of it was stored."""
        self._settings = settings
        self._revise_s = revise_s
        self._first_us = first_us
        self._clock = clock
        self._trouble = Trouble()
        self._rows = 0

    def status(self) -> dict[str, Any]:
        """How it goes, as plain values."""
        return {**self._trouble.state("daily bars are not written, trying again"), "rows": self._rows}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look now and then every two minutes; until cancelled."""
        while True:
            await self._once()
            await sleep(LOOK_S)

    async def _once(self) -> None:
        try:
            async with daily_bars(self._settings) as daily:
                for session in await daily.due(self._first_us, over_us(self._clock.now_us(), self._revise_s)):
                    self._rows += (await daily.write(session)).rows
        except Exception as error:  # noqa: BLE001 - ticks must not end with what is made of them once a day
            self._failed(f"{type(error).__name__}: {error}")
            return
        self._trouble.over()

    def _failed(self, error: str) -> None:
        if self._trouble.again(error):
            log.error("daily bars not written, trying again", error=error, times=self._trouble.times)


def over_us(now_us: int, revise_s: float) -> int:
    """Sessions that have ended by then are not revised any more at `now_us`, unless the feed lies behind the clock."""
    return now_us - round((revise_s + MARGIN_S) * 1e6)


@asynccontextmanager
async def daily_bars(settings: DatabaseSettings) -> "AsyncIterator[Daily]":
    """What daily bars are written with, on a connection of its own.

    Raises ServerError if the database cannot be used, in the block too.
    """
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        yield Daily(connection, await whole_tables(connection), settings.symbol_policy)


class Daily:
    """The table `ohlcv_daily` as it is in one database; `policy` is for symbols that `symbols` does not know."""

    def __init__(self, connection: Connection, tables: Tables, policy: str) -> None:
        self.connection = connection
        self._tables = tables
        self._policy = policy
        self._upsert = _upsert(tables, policy)

    async def due(self, first_us: int, until_us: int) -> list[Session]:
        """The sessions that have ended by `until_us` and lack daily bars, or whose minutes changed since, oldest first.

        first_us: those that opened earlier only if minutes of them were stored after their end.
        """
        return _sessions(await self.connection.fetch(_DUE, moment_at(first_us), moment_at(until_us)))

    async def between(self, first: date, last: date, until_us: int) -> list[Session]:
        """Every session of these days that has ended by `until_us`, oldest first."""
        return _sessions(await self.connection.fetch(_BETWEEN, first, last, moment_at(until_us)))

    async def oldest_us(self) -> int | None:
        """The start of the oldest minute that is stored, µs UTC."""
        column = "timestamp AT TIME ZONE 'UTC'" if self._tables.naive else "timestamp"
        oldest = await self.connection.fetchval(
            f"SELECT {column} FROM ohlcv_1min WHERE timestamp >= $1 ORDER BY timestamp LIMIT 1",
            self._tables.moment(us_of(EPOCH)),
        )
        return None if oldest is None else us_of(oldest)

    async def write(self, session: Session) -> Written:
        """Write the daily bars of a session in one transaction; a second time changes nothing.

        A row stays as it is if the minutes that are stored are fewer than those it was made of: old ones are deleted.
        Raises what asyncpg raises; nothing is written then.
        """
        started_s, refused = time.monotonic(), 0
        try:
            rows, foreign = await self._stored(session, None)
        except Exception as error:
            if fault_of(error) is not Fault.POISON:
                raise
            rows, foreign, refused = await self._sifted(session)
        seconds = round(time.monotonic() - started_s, 2)
        if rows or refused:
            log.info(
                "daily bars written",
                date=str(session.date),
                rows=rows,
                foreign=foreign,
                refused=refused,
                seconds=seconds,
            )
        return Written(session.date, rows, foreign, refused)

    async def _stored(self, session: Session, symbols: Sequence[str] | None) -> tuple[int, int]:
        """Rows written, of all symbols or some, and how many of them are somebody else's."""
        span = [self._tables.moment(us_of(at)) for at in (session.open_at, session.close_at)]
        async with postgres.transaction(self.connection):
            if self._policy == "accept" and self._tables.daily_key and not self._tables.symbols_key:
                names = [row[0] for row in await self.connection.fetch(_SYMBOLS, *span)]
                await self.connection.execute(accept(self._tables.columns["symbols"]), names)
            found = await self.connection.fetchrow(self._upsert, *span, session.date, symbols and list(symbols))
            assert found is not None  # noqa: S101  # counts always come
            if symbols is None:
                await self._done(session)
        return found["rows"], found["others"]

    async def _done(self, session: Session) -> None:
        # Its changes were counted before its minutes were read: what was stored meanwhile is found by the next look.
        await self.connection.execute(_DONE, session.open_at, session.changes)

    async def _sifted(self, session: Session) -> tuple[int, int, int]:
        """The same where the table does not take some rows: rows, those of others, symbols that were refused."""
        span = [self._tables.moment(us_of(at)) for at in (session.open_at, session.close_at)]
        names = [row[0] for row in await self.connection.fetch(_SYMBOLS, *span)]
        rows = foreign = 0

        async def store(part: Sequence[str]) -> None:
            nonlocal rows, foreign
            written, others = await self._stored(session, part)
            rows, foreign = rows + written, foreign + others

        bad = await sift(names, store)
        await self._done(session)
        for symbol, error in bad[:3]:
            log.warning("a daily bar cannot be stored", symbol=symbol, date=str(session.date), error=str(error))
        return rows, foreign, len(bad)


_SYMBOLS = "SELECT DISTINCT symbol::text FROM ohlcv_1min WHERE timestamp >= $1 AND timestamp < $2 ORDER BY 1"


def _sessions(rows: "Sequence[Any]") -> list[Session]:
    return [Session(row["open_at"], row["close_at"], row["date"], row["changes"]) for row in rows]


def _upsert(tables: Tables, policy: str) -> str:
    """The statement that folds the minutes in [$1, $2) into the daily bars of the day $3, of the symbols $4 or of all.

    Returns how many rows it wrote, and how many of them are somebody else's.
    """
    columns, first_at = tables.columns["ohlcv_daily"], "m.first_at AT TIME ZONE 'UTC'" if tables.naive else "m.first_at"
    values = (*PRICES, "volume")
    ours = [f"session_{name}" for name in values] + list(_FOLDED)
    same = "(" + ", ".join(f"stored.{name}" for name in values) + ") IS NOT DISTINCT FROM ("
    same += ", ".join(f"stored.session_{name}::{columns[name].type}" for name in values) + ")"
    known = "EXISTS (SELECT FROM symbols s WHERE s.symbol = m.symbol)" if policy != "accept" else "true"
    changed = [f"{name} = CASE WHEN {same} THEN EXCLUDED.{name} ELSE stored.{name} END" for name in values]
    changed += [f"{name} = EXCLUDED.{name}" for name in ours]
    # The last bits of a mean depend on the order in which the rows are read.
    told = [name for name in ours if name != "vwap"]
    broke = broke_off("c.quality", "m.last_at", "$2")
    weighed = "b.vwap < 'Infinity' AND b.volume > 0"
    return f"""
        WITH m AS MATERIALIZED (
          SELECT b.symbol, min(b.timestamp) AS first_at, max(b.timestamp) AS last_at,
            max(b.high)::float8 AS high, min(b.low)::float8 AS low,
            coalesce(least(sum(b.volume), {2**63 - 1}), 0)::bigint AS volume,
            least(sum(b.trades), {2**63 - 1})::bigint AS trades,
            sum(b.vwap * b.volume) FILTER (WHERE {weighed}) / sum(b.volume) FILTER (WHERE {weighed}) AS vwap,
            (SELECT string_agg(DISTINCT flag, ',')
             FROM unnest(string_to_array(string_agg(b.quality, ','), ',')) AS flag) AS quality,
            count(*)::integer AS minutes
          FROM ohlcv_1min b
          WHERE b.timestamp >= $1 AND b.timestamp < $2 AND ($4::text[] IS NULL OR b.symbol = ANY ($4)) AND {CLOSED}
          GROUP BY b.symbol
        ), day AS (
          SELECT m.symbol, o.open::float8 AS open, m.high, m.low, c.close::float8 AS close, m.volume, m.trades, m.vwap,
            nullif(concat_ws(',', m.quality, CASE WHEN {broke} THEN 'provisional' END), '') AS quality, m.minutes,
            {first_at} AS first_at
          FROM m
          JOIN ohlcv_1min o
            ON o.symbol = m.symbol AND o.timestamp = m.first_at AND o.timestamp >= $1 AND o.timestamp < $2
          JOIN ohlcv_1min c
            ON c.symbol = m.symbol AND c.timestamp = m.last_at AND c.timestamp >= $1 AND c.timestamp < $2
          WHERE {known}
        ), written AS (
          INSERT INTO ohlcv_daily AS stored (symbol, date, {", ".join(values)}, {", ".join(ours)})
          SELECT symbol, $3::date, {", ".join(values)}, {", ".join(values)}, {", ".join(_FOLDED)}
          FROM day ORDER BY symbol
          ON CONFLICT (symbol, date) DO UPDATE SET {", ".join(changed)}
          WHERE (stored.minutes IS NULL OR EXCLUDED.minutes >= stored.minutes)
            AND ({", ".join(f"stored.{name}" for name in told)}) IS DISTINCT FROM
                ({", ".join(f"EXCLUDED.{name}" for name in told)})
          RETURNING NOT ({same}) AS other
        ) SELECT count(*) AS rows, count(*) FILTER (WHERE other) AS others FROM written"""
