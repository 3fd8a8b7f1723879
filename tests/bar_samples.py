"""Bars and events for tests of the tables: columns as the engine makes them, and rows as the database holds them."""

import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

import event_samples
from tickstockpl.channel import Channel
from tickstockpl.clock import Clock, ManualClock
from tickstockpl.events import Event
from tickstockpl.metrics import Metrics
from tickstockpl.outcome_rows import ENDS, Outcomes
from tickstockpl.ownership import Ownership
from tickstockpl.settings import BarSettings, DatabaseSettings, Settings, WriterSettings
from tickstockpl.vocabulary import TIMEFRAME
from tickstockpl.wire import WriteBatch
from tickstockpl.writer import Writer

MINUTE_US = 60_000_000
NINE_30_US = 1_760_362_200_000_000
"""2025-10-13 13:30 UTC: 09:30 in New York, a Monday."""


@dataclass(frozen=True, slots=True)
class Columns:
    symbol: NDArray[np.int32]
    symbols: list[str]
    ts_us: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]
    vwap: NDArray[np.float64]
    trades: NDArray[np.int64]
    revision: NDArray[np.int32]
    quality: NDArray[np.uint8]
    open_us: NDArray[np.int64]
    close_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ts_us)


def bars(
    symbols: list[str],
    minute: int = 0,
    *,
    trades: int = 10,
    revision: int = 0,
    price: float = 10.25,
    volume: int = 1000,
    quality: int = 0,
) -> Columns:
    """One bar of each symbol, `minute` minutes after 09:30."""
    return versions([(symbol, minute, trades, revision) for symbol in symbols], price, volume, quality)


def versions(
    rows: list[tuple[str, int, int, int]], price: float = 10.25, volume: int = 1000, quality: int = 0
) -> Columns:
    """Bars by (symbol, minute, trades, revision)."""
    names = list(dict.fromkeys(row[0] for row in rows))
    n = len(rows)
    ts_us = np.array([NINE_30_US + row[1] * MINUTE_US for row in rows], dtype=np.int64)

    def whole(value: float) -> NDArray[np.float64]:
        return np.full(n, value)

    return Columns(
        symbol=np.array([names.index(row[0]) for row in rows], dtype=np.int32),
        symbols=names,
        ts_us=ts_us,
        open=whole(price),
        high=whole(price + 1),
        low=whole(price - 1),
        close=whole(price + 0.5),
        volume=np.full(n, volume, dtype=np.int64),
        vwap=whole(price),
        trades=np.array([row[2] for row in rows], dtype=np.int64),
        revision=np.array([row[3] for row in rows], dtype=np.int32),
        quality=np.full(n, quality, dtype=np.uint8),
        open_us=ts_us + 1,
        close_us=ts_us + 2,
    )


def event(symbol: str = "ZZTEST1", pattern: str = "Doji", minute: int = 0, **changed: Any) -> Event:
    """An event whose id follows from symbol, pattern and minute."""
    values: dict[str, Any] = {
        "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{symbol}/{pattern}/{minute}")),
        "pattern": pattern,
        "bar_end_us": NINE_30_US + (minute + 1) * MINUTE_US,
    }
    return event_samples.event(symbol, **values | changed)


def outcome(event_id: str, symbol: str = "ZZTEST1", **changed: Any) -> Outcomes:
    """A target that was touched three bars after an event on the first minute; result 2 is still open."""
    values: dict[str, Any] = {
        "ts_us": NINE_30_US,
        "end": "target",
        "at_us": NINE_30_US + 3 * MINUTE_US,
        "bars": 3,
        "price": 11.5,
        "result": 1,
        "result_bars": 2,
    } | changed
    values["end"] = ENDS.index(values["end"])
    columns = {name: np.array([value]) for name, value in values.items()}
    ids = np.array([event_id], dtype="S36")
    return Outcomes.of(SimpleNamespace(symbols=(symbol,), symbol=np.zeros(1, int), event_id=ids, **columns), TIMEFRAME)


def writer_for(
    uri: str,
    *,
    clock: Clock | None = None,
    max_symbols: int = 1000,
    database: dict[str, Any] | None = None,
    ownership: Ownership | None = None,
    **writer: Any,
) -> tuple[Writer, Channel[WriteBatch]]:
    """A writer that flushes at once, and its inbox. Further names are settings of its section."""
    store: dict[str, Any] = {"uri": uri, "pool_max": 2} | (database or {})
    flow: dict[str, Any] = {"batch_age_s": 0.0} | writer
    settings = Settings(
        database=DatabaseSettings(**store),
        writer=WriterSettings(**flow),
        bars=BarSettings(max_symbols=max_symbols),
    )
    inbox: Channel[WriteBatch] = Channel(100, "writer")
    return Writer(settings, inbox, clock or ManualClock(NINE_30_US), Metrics(), ownership=ownership), inbox


async def stored(uri: str, *batches: WriteBatch, part: str | None = None, **settings: Any) -> dict[str, Any]:
    """The writer's status after it has stored the batches, in one transaction if they fit; as the owner of a part."""
    ownership = None if part is None else Ownership(DatabaseSettings(uri=SecretStr(uri)), part)
    writer, inbox = writer_for(uri, ownership=ownership, **settings)
    for batch in batches:
        inbox.put_nowait(batch)
    inbox.close()
    async with AsyncExitStack() as held:
        await held.enter_async_context(writer)
        if ownership is not None:
            held.callback(ownership.close)
            await ownership.acquire()
            await ownership.adopt(src_id := uuid.uuid4())
            writer.claimed(src_id, resumes=False)
        await writer.collect()
        await writer.run()
        return writer.status()


async def rows(uri: str, query: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(uri, timeout=10)
    try:
        return [dict(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


async def ran(uri: str, sql: str) -> None:
    connection = await asyncpg.connect(uri, timeout=10)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
