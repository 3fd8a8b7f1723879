"""The array API: decode, aggregate and the live engine, for people, notebooks and benchmarks.

Everything here takes and returns columns. Nothing reads a clock, a socket or the environment.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl._kernel import (
    GAP,
    LATE_REVISED,
    PARTIAL_START,
    PATTERNS,
    PROVISIONAL,
    REASONS,
    Bars,
    Detections,
    Engine,
    Framer,
    Frames,
    Output,
    Ticks,
    decode,
    event_id,
)
from tickstockpl._kernel import aggregate as _aggregate

__all__ = [
    "GAP",
    "LATE_REVISED",
    "PARTIAL_START",
    "PATTERNS",
    "PROVISIONAL",
    "REASONS",
    "Bars",
    "Detections",
    "Engine",
    "EngineSettings",
    "Framer",
    "Frames",
    "Output",
    "Ticks",
    "aggregate",
    "decode",
    "event_id",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an `Engine` is told. The defaults suit arrays and files: every hour counts and nothing is rounded."""

    channels: tuple[str, ...] = ("data.raw", "tickstock.data.raw")
    """In order of preference; `channel` arguments are indices into it."""
    lateness_a_s: float = 2.0
    """How long a bar of aggregates waits for late ticks after its end, 0 to 60 s."""
    lateness_t_s: float = 5.0
    """The same for bars of trades."""
    revise_s: float = 900.0
    """How long after its end a late tick may revise a bar, 0 to 900 s."""
    window: int = 200
    """Bars that patterns can look back on."""
    max_symbols: int = 20_000
    price_scale: int | None = None
    """Decimals to which closed bars are rounded: those of the price column."""
    session_mode: Literal["always", "regular", "extended"] = "always"
    """Which bars enter the windows: all, or those of `sessions`."""
    sessions: NDArray[np.int64] | None = None
    """(n, 2) [open, close) in µs UTC, ascending: the sessions of `session_mode`."""
    regular: NDArray[np.int64] | None = None
    """(n, 2) regular sessions: outside of them condition 12 is neutral. None: every hour is outside."""
    days: NDArray[np.int64] | None = None
    """(n, 2) days, at which session values restart under `always`. None: UTC days."""
    patterns: tuple[str, ...] | None = None
    """Ids of the patterns to look for (`PATTERNS`); None is all."""


def aggregate(
    ts_us: ArrayLike, price: ArrayLike, size: ArrayLike, symbol: ArrayLike | None = None, *, interval_s: float = 60
) -> Bars:
    """Fold trades into bars, sorted by time, then symbol.

    ts_us: int64 µs UTC, in any order; equal stamps keep the order of the input. A trade belongs to the bar that starts
    at floor(ts / interval) · interval. price: float64; size: int64 shares; symbol: int32 ids, or None for one symbol.
    Raises ValueError naming the first row whose price is not finite and positive, or whose size or symbol is negative.

    >>> import tickstockpl as tp
    >>> bars = tp.aggregate([0, 1_000_000, 61_000_000], [10.0, 11.0, 12.0], [5, 5, 5])
    >>> bars.close.tolist(), bars.volume.tolist()
    ([11.0, 12.0], [10, 5])
    """
    ids = None if symbol is None else np.ascontiguousarray(symbol, dtype=np.int32)
    return _aggregate(
        np.ascontiguousarray(ts_us, dtype=np.int64),
        np.ascontiguousarray(price, dtype=np.float64),
        np.ascontiguousarray(size, dtype=np.int64),
        ids,
        round(interval_s * 1e6),
    )
