"""The peers, each in the fastest form that we know. One that is not installed is named in the report."""

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benches import instructions


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


msgspec, numba, tickbar = _module("msgspec"), _module("numba"), _module("tickbar")
polars = _module("polars")
talib, talib_stream, ferro_ta = _module("talib"), _module("talib.stream"), _module("ferro_ta.streaming")

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


def missing() -> list[str]:
    """What cannot be compared, and how to get it."""
    found = {"msgspec": msgspec, "numba": numba, "tickbar": tickbar, "ferro-ta": ferro_ta}
    missing = [f"{name} is not installed (requirements-bench.lock)" for name, it in found.items() if it is None]
    if polars is None:
        missing.append("polars is not installed (requirements.lock)")
    if talib is None:
        needing = "candlesticks, indicators, latency and the seed's service"
        missing.append(f"ta-lib is not installed (requirements.lock), and with it {needing}")
    return missing + instructions.missing()


class Decode(Protocol):
    """Bytes of one message to an object with typed attributes."""

    def __call__(self, payload: bytes, /) -> Any: ...


def msgspec_decoder(fields: int) -> Decode:
    """`msgspec.json.Decoder` of a typed Struct with 4 fields, or with all 14; without garbage collection of results."""
    four: list[Any] = [("ticker", str), ("price", float), ("volume", float), ("timestamp", float)]
    prices = ["tick_open", "tick_high", "tick_low", "tick_close", "tick_volume", "tick_vwap", "bid", "ask"]
    rest: list[Any] = [("event_type", str), ("source", str), *((name, float | None, None) for name in prices)]
    struct = msgspec.defstruct("Tick", four if fields == 4 else four + rest, gc=False)
    decode: Decode = msgspec.json.Decoder(struct).decode
    return decode


class Folded(Protocol):
    """Columns to bars: (symbol, start, open, high, low, close, volume, Σ price·size, count), in closing order."""

    def __call__(
        self, ts: I64, price: F64, size: I64, symbol: NDArray[np.int32], symbols: int, interval: int, room: int, /
    ) -> tuple[NDArray[Any], ...]: ...


def numba_loop() -> Folded:
    """One pass over ordered columns, compiled: state in arrays by symbol, results into arrays made before.

    It divides only when a bar ends; it takes every price as good and every tick as in order, which ours does not.
    """

    def loop(ts: Any, price: Any, size: Any, symbol: Any, symbols: Any, interval: Any, room: Any) -> Any:
        start = np.full(symbols, -(1 << 62), np.int64)
        first, high, low, last = np.empty(symbols), np.empty(symbols), np.empty(symbols), np.empty(symbols)
        volume, notional, count = np.zeros(symbols, np.int64), np.zeros(symbols), np.zeros(symbols, np.int64)
        b_symbol, b_start = np.empty(room, np.int32), np.empty(room, np.int64)
        b_open, b_high, b_low, b_close = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
        b_volume, b_notional, b_count = np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64)
        k = 0
        for i in range(len(ts) + symbols):
            closing = i >= len(ts)
            s = i - len(ts) if closing else symbol[i]
            if not closing and ts[i] - start[s] < interval:
                p, v = price[i], size[i]
                high[s] = max(high[s], p)
                low[s] = min(low[s], p)
                last[s] = p
                volume[s] += v
                notional[s] += p * v
                count[s] += 1
                continue
            if count[s] > 0:
                b_symbol[k], b_start[k], b_count[k] = s, start[s], count[s]
                b_open[k], b_high[k], b_low[k], b_close[k] = first[s], high[s], low[s], last[s]
                b_volume[k], b_notional[k] = volume[s], notional[s]
                k += 1
            if not closing:
                p, v = price[i], size[i]
                start[s] = ts[i] // interval * interval
                first[s] = high[s] = low[s] = last[s] = p
                volume[s], notional[s], count[s] = v, p * v, 1
        return (
            b_symbol[:k], b_start[:k], b_open[:k], b_high[:k], b_low[:k], b_close[:k], b_volume[:k], b_notional[:k],
            b_count[:k],
        )  # fmt: skip

    compiled: Folded = numba.njit(loop)
    return compiled


def tickbar_bars(ts_ns: I64, cents: I64, size: I64) -> list[list[float]]:
    """Rows of (ts_ns, open, high, low, close, volume, count, vwap) in fixed point; prices were made whole before."""
    aggregator = tickbar.TickAggregator(60)
    aggregator.push_from_buffer(ts_ns, cents, size)
    rows: list[list[float]] = aggregator.finalize().to_records()
    return rows
