"""The minute boundary: one tick closes 10,000 bars, and everything after it waits until they are handed on."""

import asyncio
import time
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp
from benches import ticks
from benches.runner import Finding, Goal, Table
from tickstockpl.channel import Channel
from tickstockpl.clock import ManualClock
from tickstockpl.dev.feed import aggregate_message, message_head, message_tail
from tickstockpl.dev.market import Walk
from tickstockpl.dev.simulate import test_symbols, true_minute
from tickstockpl.pipeline import Pipeline
from tickstockpl.wire import Findings, Inbound, Received, WriteBatch

HISTORY = 60


@dataclass(frozen=True, slots=True)
class History:
    """Bars for `Engine.warm`: the columns of `tickstockpl.Bars`."""

    symbols: tuple[str, ...]
    symbol: NDArray[np.int32]
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

    def where(self, rows: NDArray[np.bool_]) -> "History":
        """Some of the bars."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        return History(**{name: column[rows] if name != "symbols" else column for name, column in columns.items()})


def history(symbols: int, minutes: int = HISTORY, last_us: int = ticks.START_US) -> History:
    """The bars of a simulated market; `last_us` is the START of the last minute."""
    walk = Walk(symbols, seed=1)
    starts = last_us + (np.arange(minutes) - minutes + 1) * ticks.MINUTE_US
    made = [true_minute(walk.minute(), start) for start in starts.tolist()]
    columns: list[NDArray[Any]] = [np.concatenate(column) for column in zip(*made, strict=True)]
    symbol, ts_us, opened, high, low, close, volume, vwap, trades = columns
    rows = len(ts_us)
    return History(
        test_symbols(symbols),
        symbol.astype(np.int32),
        ts_us,
        opened,
        high,
        low,
        close,
        volume,
        vwap,
        trades,
        np.zeros(rows, np.int32),
        np.zeros(rows, np.uint8),
        ts_us + 1,
        ts_us + ticks.MINUTE_US,
    )


def as_messages(bars: History, stamp_s: int) -> list[bytes]:
    """One minute aggregate a bar, in AppV2's form."""
    mid, _ = message_tail("polygon")
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap)
    values = zip(bars.symbol.tolist(), *(column.tolist() for column in columns), strict=True)
    heads = [message_head(symbol) for symbol in bars.symbols]
    return [aggregate_message(heads[n], mid, stamp_s, *cells).encode() for n, *cells in values]


class Boundary:
    """An engine with full windows and one more minute folded, and the tick that closes it, two seconds later."""

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols
        bars = history(symbols)
        last = bars.ts_us == ticks.START_US
        self._history, minute = bars.where(~last), bars.where(last)
        self.bars = len(minute)
        end_s = ticks.START_US // 1_000_000 + 60
        self._minute = ticks.delivered(as_messages(minute, end_s))
        self._closing = ticks.delivered(as_messages(minute, end_s + 2)[:1])
        self._now_us = (end_s + 2) * 1_000_000

    def measure(self) -> tuple[float, float, int]:
        """Seconds until the kernel has closed and detected; until everything is queued; how many events there were."""
        return asyncio.run(self._measure())

    async def _measure(self) -> tuple[float, float, int]:
        framer = tp.Framer([ticks.CHANNEL])
        inbox: Channel[Inbound] = Channel(256, "ticks")
        writes: Channel[WriteBatch] = Channel(1024, "writes")
        events: Channel[Findings] = Channel(1024, "events")
        engines = [tp.Engine(tp.EngineSettings(channels=(ticks.CHANNEL,), lateness_a_s=2.0)) for _ in range(2)]
        for engine in engines:
            assert engine.warm(self._history) == len(self._history.ts_us)
            for read in self._minute:
                engine.ingest_frames(framer.feed(read), self._now_us)
        frames = framer.feed(self._closing[0])
        started = time.perf_counter()
        output = engines[0].ingest_frames(frames, self._now_us)
        kernel_s = time.perf_counter() - started
        assert len(output.bars) == self.bars
        pipeline = Pipeline(engines[1], (ticks.CHANNEL,), inbox, writes, events, ManualClock(self._now_us))
        await inbox.put(Received(frames, self._now_us))
        started = time.perf_counter()
        task = asyncio.ensure_future(pipeline.run())
        batch = await writes.get()
        queued = (await events.get()).events if batch.events else None
        queued_s = time.perf_counter() - started
        inbox.close()
        await task
        assert batch.bars is not None
        assert len(batch.bars) == self.bars
        assert queued is batch.events
        return kernel_s, queued_s, len(queued or ())


def run(quick: bool) -> list[Table]:
    """Milliseconds from the closing tick until all is closed, detected and queued."""
    boundary = Boundary(1000 if quick else 10_000)
    boundary.measure()
    measured = [boundary.measure() for _ in range(3 if quick else 9)]
    kernel_ms, queued_ms = ([1e3 * each[at] for each in measured] for at in range(2))
    return [
        Table(
            name="boundary",
            title=f"Minute boundary, {boundary.symbols:,} symbols",
            unit="",
            agreement=f"one tick closed all {boundary.bars:,} bars; the queued events are the batch's",
            regresses="a Python object a bar, an event built attribute by attribute, a detector that rereads all",
            findings=[
                Finding("closed, detected, queued: best", min(queued_ms), "ms", Goal(25, 5, "ms", most=True)),
                Finding("closed, detected, queued: median", median(queued_ms), "ms", Goal(25, 5, "ms", most=True)),
                Finding("of it closed and detected, columns made (kernel): best", min(kernel_ms), "ms"),
                Finding("closed and detected, columns made (kernel): median", median(kernel_ms), "ms"),
                Finding("events queued", measured[0][2], ""),
            ],
            notes=[
                f"Windows of {HISTORY} bars a symbol; all patterns on; the closing tick is a socket read of its own"
            ],
        )
    ]
