"""A market that never was: prices on a cent grid, second by second, with candlestick patterns drawn into it.

Free minutes are a random walk of realistic volatility; about a third of the minutes follow a drawn shape (hammer,
engulfing, morning star, ...) with noise on top, so that detectors have something to find within an hour.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

SECONDS = 60
# 252 days of 390 minutes: yearly to one-minute volatility.
_MINUTES_A_YEAR = 252 * 390
_SCRIPT_SHARE = 0.2
_SHAPE_NOISE = 0.06
_VOLUME_SPIKE = 8.0
_PULL = 0.002
_LOWEST_CENTS = 100

# Each script is a list of minutes, each minute a list of (second, price) knots; prices are in units of the script's
# height, relative to the close before the minute. A first knot other than 0 is a gap.
_BULL_SCRIPTS: dict[str, list[list[tuple[int, float]]]] = {
    "doji": [[(0, 0.0), (18, 0.7), (42, -0.7), (60, 0.0)]],
    "hammer": [[(0, 0.0), (30, -1.5), (54, 0.1), (60, 0.15)]],
    "engulfing": [[(0, 0.0), (60, -0.5)], [(0, -0.1), (60, 0.95)]],
    "harami": [[(0, 0.0), (60, -1.2)], [(0, 0.4), (60, 0.75)]],
    "star": [[(0, 0.0), (60, -1.3)], [(0, -0.2), (60, -0.1)], [(0, 0.05), (60, 1.2)]],
}


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of every symbol: arrays (symbols, 60). Seconds without a trade are False in `traded`."""

    traded: NDArray[np.bool_]
    open: I64
    """Cents, as all prices here."""
    high: I64
    low: I64
    close: I64
    volume: I64
    vwap_e4: I64
    """Dollars × 10,000."""


def _shapes() -> tuple[F64, list[tuple[int, int]]]:
    """Paths (rows, 61) of all scripted minutes, row 0 being flat, and each script's (first row, minutes)."""
    rows = [np.zeros(SECONDS + 1)]
    scripts: list[tuple[int, int]] = []
    for sign in (1.0, -1.0):
        for script in _BULL_SCRIPTS.values():
            scripts.append((len(rows), len(script)))
            for knots in script:
                at, height = zip(*knots, strict=True)
                rows.append(sign * np.interp(np.arange(SECONDS + 1), at, height))
    return np.array(rows), scripts


class Walk:
    """The prices of `count` symbols, a minute at a time; the same seed and count give the same market."""

    def __init__(self, count: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._paths, self._scripts = _shapes()
        self._base = np.round(np.exp(self._random.uniform(np.log(4_000), np.log(40_000), count)))
        self._level = self._base.astype(np.int64)
        self._minute_sigma = self._random.uniform(0.25, 0.8, count) / np.sqrt(_MINUTES_A_YEAR)
        self._activity = self._random.uniform(0.55, 1.0, count)
        self._log_volume = self._random.uniform(4.5, 7.0, count)
        self._row = np.zeros(count, np.int64)
        self._left = np.zeros(count, np.int64)
        self._height = np.zeros(count)

    def minute(self) -> Minute:
        """The next minute."""
        random, count = self._random, len(self._level)
        sigma = self._level * self._minute_sigma
        spike = random.random(count) < 0.02
        self._next_shapes(sigma)
        shape = self._paths[self._row] * self._height[:, None]
        steps = random.normal(0.0, 1.0, (count, SECONDS)) * (sigma / np.sqrt(SECONDS))[:, None]
        noise = np.concatenate([np.zeros((count, 1)), np.cumsum(steps, axis=1)], axis=1)
        bridge = noise - noise[:, -1:] * np.linspace(0.0, 1.0, SECONDS + 1)
        drift = _PULL * (self._base - self._level)[:, None] * np.linspace(0.0, 1.0, SECONDS + 1)
        scripted = (self._row > 0)[:, None]
        quiet = bridge * (_SHAPE_NOISE * self._height / sigma)[:, None]
        path = np.where(scripted, shape + quiet, noise + drift)
        edges = np.maximum(np.rint(self._level[:, None] + path).astype(np.int64), _LOWEST_CENTS)
        self._level = edges[:, -1]
        return self._seconds(edges, spike)

    def _next_shapes(self, sigma: F64) -> None:
        """Go on with running scripts; start new ones among the free symbols."""
        running = self._left > 1
        self._row = np.where(running, self._row + 1, 0)
        self._left = np.maximum(self._left - 1, 0)
        drawn = self._random.random(len(sigma)) < _SCRIPT_SHARE
        which = self._random.integers(0, len(self._scripts), len(sigma))
        height = sigma * self._random.uniform(1.5, 3.0, len(sigma))
        fresh = drawn & ~running
        firsts, minutes = np.array(self._scripts, np.int64).T
        self._row = np.where(fresh, firsts[which], self._row)
        self._left = np.where(fresh, minutes[which], self._left)
        self._height = np.where(fresh, height, self._height)

    def _seconds(self, edges: I64, spike: NDArray[np.bool_]) -> Minute:
        random, shape = self._random, (len(edges), SECONDS)
        traded = random.random(shape) < np.where(spike, 1.0, self._activity)[:, None]
        opened = np.maximum(edges[:, :-1] + random.integers(-1, 2, shape), _LOWEST_CENTS)
        close = edges[:, 1:]
        high = np.maximum(opened, close) + (random.random(shape) < 0.15)
        low = np.minimum(opened, close) - (random.random(shape) < 0.15)
        volume = np.exp(random.normal(self._log_volume[:, None], 1.0, shape))
        volume *= np.where(spike, _VOLUME_SPIKE, 1.0)[:, None]
        vwap_e4 = low * 100 + np.rint(random.random(shape) * (high - low) * 100).astype(np.int64)
        return Minute(traded, opened, high, low, close, volume.astype(np.int64) + 1, vwap_e4)
