"""The minute boundary: one tick closes 10,000 bars, and everything after it waits until they are handed on."""

import asyncio
import time
from dataclasses import dataclass, fields, replace
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
from tickstockpl.settings import PatternSettings
from tickstockpl.wire import Findings, Inbound, Received, WriteBatch

HISTORY = 60
"""Bars of each symbol and timeframe in the windows."""
ORDINARY_US = ticks.START_US
"""A minute that no longer bar ends with."""
FULL_HOUR_US = ticks.START_US + 29 * ticks.MINUTE_US
"""The last minute of an hour: bars of 5 and 15 minutes and of the hour end with it."""
MIDNIGHT_US = ticks.START_US // 86_400_000_000 * 86_400_000_000
TIMEFRAMES = tuple(PatternSettings().timeframes)
LENGTHS = {"5min": 5, "15min": 15, "1hour": 60, "daily": 1440}
"""Minutes of the longer ones, a day of UTC being a session."""


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
    """Two engines with full windows that go from one minute's end to another, `every` minutes later.

    minute_us: START of the first of these minutes.
    """

    def __init__(
        self, symbols: int, timeframes: tuple[str, ...] = ("1min",), minute_us: int = ORDINARY_US, every: int = 5
    ) -> None:
        self.symbols = symbols
        bars = history(symbols, last_us=minute_us - ticks.MINUTE_US)
        self._parts = [bars.where(bars.ts_us == start) for start in np.unique(bars.ts_us).tolist()]
        self._minute_us, self._every = minute_us, every
        self._framer = tp.Framer([ticks.CHANNEL])
        settings = tp.EngineSettings(channels=(ticks.CHANNEL,), lateness_a_s=2.0, timeframes=timeframes)
        self._engines = [tp.Engine(settings) for _ in range(2)]
        for engine in self._engines:
            if len(timeframes) > 1:
                engine.longer_from(MIDNIGHT_US)
            for name in timeframes[1:]:
                longer = redated(bars, LENGTHS[name])
                assert engine.warm_longer(name, longer) == len(longer)
            assert engine.warm(bars) == len(bars)

    def measure(self) -> "Closed":
        """The next of the minutes. Those before are fed in silence; the tick of a symbol of its own ends it."""
        minute = self._dated(self._minute_us)
        end_s = self._minute_us // 1_000_000 + 60
        reads = ticks.delivered(as_messages(minute, end_s))
        clock = replace(minute.where(minute.symbol == minute.symbol[0]), symbols=("ZZCLOCK",) * len(minute.symbols))
        closing = ticks.delivered(as_messages(clock, end_s + 2))
        now_us = (end_s + 2) * 1_000_000
        for engine in self._engines:
            for read in reads:
                engine.ingest_frames(self._framer.feed(read), now_us)
        closed = asyncio.run(self._measure(self._framer.feed(closing[0]), now_us, len(minute)))
        for _ in range(self._every - 1):
            self._minute_us += ticks.MINUTE_US
            between = self._dated(self._minute_us)
            for engine in self._engines:
                assert engine.warm(between) == len(between)
        self._minute_us += ticks.MINUTE_US
        return closed

    def _dated(self, minute_us: int) -> History:
        """A minute of the simulated market, which comes again every hour."""
        part = self._parts[minute_us // ticks.MINUTE_US % len(self._parts)]
        ts_us = np.full(len(part), minute_us)
        return replace(part, ts_us=ts_us, open_us=ts_us + 1, close_us=ts_us + ticks.MINUTE_US)

    async def _measure(self, frames: tp.Frames, now_us: int, bars: int) -> "Closed":
        inbox: Channel[Inbound] = Channel(256, "ticks")
        writes: Channel[WriteBatch] = Channel(1024, "writes")
        events: Channel[Findings] = Channel(1024, "events")
        alone, staged = self._engines
        started, cpu = time.perf_counter(), time.process_time()
        output = alone.ingest_frames(frames, now_us)
        kernel_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        assert len(output.bars) >= bars
        pipeline = Pipeline(staged, (ticks.CHANNEL,), inbox, writes, events, ManualClock(now_us))
        await inbox.put(Received(frames, now_us))
        started = time.perf_counter()
        task = asyncio.ensure_future(pipeline.run())
        batch = await writes.get()
        queued = (await events.get()).events if batch.events else None
        queued_s = time.perf_counter() - started
        inbox.close()
        await task
        assert batch.bars is not None
        assert len(batch.bars) == len(output.bars)
        assert queued is batch.events
        return Closed(kernel_s, cpu_s, queued_s, len(output.bars), len(queued or ()), len(output.longer))


@dataclass(frozen=True, slots=True)
class Closed:
    """How a minute ended."""

    kernel_s: float
    """Seconds until the kernel has closed and detected, and made the columns."""
    cpu_s: float
    """Of the processor's: neighbours on its cores add little to them."""
    queued_s: float
    """Seconds until everything is queued, in another engine."""
    bars: int
    """Those of all symbols, and from the second minute on the clock's."""
    events: int
    longer: int
    """Longer bars that closed, too."""


def redated(bars: History, minutes: int) -> History:
    """The same bars as longer ones that end where the day begins."""
    starts, number = np.unique(bars.ts_us, return_inverse=True)
    ts_us = MIDNIGHT_US + (number - len(starts)) * minutes * ticks.MINUTE_US
    return replace(bars, ts_us=ts_us, open_us=ts_us + 1, close_us=ts_us + minutes * ticks.MINUTE_US)


def run(quick: bool) -> list[Table]:
    """Milliseconds from the closing tick until all is closed, detected and queued."""
    symbols = 1000 if quick else 10_000
    return [
        table(Boundary(symbols), "an ordinary minute, bars of a minute alone", quick),
        table(Boundary(symbols, TIMEFRAMES), "an ordinary minute, five timeframes", quick),
        table(Boundary(symbols, TIMEFRAMES, FULL_HOUR_US, 60), "a full hour, five timeframes", quick),
    ]


def table(boundary: Boundary, name: str, quick: bool) -> Table:
    boundary.measure()
    measured = [boundary.measure() for _ in range(2 if quick else 6)]
    kernel_ms, queued_ms = [1e3 * each.kernel_s for each in measured], [1e3 * each.queued_s for each in measured]
    longer, events = (median(column) for column in zip(*((each.longer, each.events) for each in measured), strict=True))
    # Of those that share a published name the first is on.
    on = len({pattern["name"] for pattern in tp.PATTERNS})
    return Table(
        name="boundary",
        title=f"Minute boundary, {boundary.symbols:,} symbols: {name}",
        unit="",
        agreement=f"one tick closed all {measured[0].bars:,} bars; the queued events are the batch's",
        regresses="a Python object a bar, an event built attribute by attribute, a detector that rereads all",
        findings=[
            Finding("closed, detected, queued: best", min(queued_ms), "ms", Goal(25, 5, "ms", most=True)),
            Finding("closed, detected, queued: median", median(queued_ms), "ms", Goal(25, 5, "ms", most=True)),
            Finding("of it closed and detected, columns made (kernel): best", min(kernel_ms), "ms"),
            Finding("closed and detected, columns made (kernel): median", median(kernel_ms), "ms"),
            Finding("of the processor's time: best", 1e3 * min(each.cpu_s for each in measured), "ms"),
            Finding("of the processor's time: median", 1e3 * median(each.cpu_s for each in measured), "ms"),
            Finding("longer bars that close, too: median", longer, ""),
            Finding("events queued: median", events, ""),
        ],
        notes=[
            f"Windows of {HISTORY} bars a symbol and timeframe; all {on} patterns on; {len(measured)} such minutes",
            "The closing tick is a socket read of its own",
        ],
    )
