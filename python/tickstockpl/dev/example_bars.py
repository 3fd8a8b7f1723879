"""Bars that nobody has traded, rich in patterns: markets that jump, swing between prices, run and rest, and go round.

They are made of raw bits in whole cents, so that they are the same with every NumPy and on every machine.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tickstockpl.kernel import EngineSettings
from tickstockpl.moments import MINUTE_US

I64 = NDArray[np.int64]

DAY_US: Final = 1440 * MINUTE_US
MINUTES: Final = 390
"""Of a session."""

_SEEDS: Final = 8
"""Markets of each kind."""

_DAYS: Final = 20
_OPEN_US: Final = 1_757_338_200_000_000
"""Monday, 2025-09-08 09:30 in New York; no clock is changed in the weeks after it."""
_OPENS: Final[I64] = _OPEN_US + (np.arange(_DAYS) // 5 * 7 + np.arange(_DAYS) % 5) * DAY_US
_ROWS: Final = _DAYS * MINUTES

_SHAPES: Final[tuple[tuple[tuple[int, int, int, int], ...], ...]] = (
    ((0, 0, -40, -15), (-8, -6, -28, -18), (-16, -16, -20, -20)),
    ((0, 0, -15, -15), (-10, -10, -25, -25), (-30, -20, -36, -35), (-18, -17, -41, -40)),
    ((0, 21, -1, 20), (28, 29, 24, 25), (24, 25, 18, 19), (21, 22, 16, 17), (20, 36, 19, 35)),
)
"""Open, high, low and close of bars that hardly ever come by chance: three stars in the south, a concealing baby
swallow, a mat hold."""


def settings() -> EngineSettings:
    """What the engine has to know of these markets: their sessions and days."""
    sessions = np.stack([_OPENS, _OPENS + MINUTES * MINUTE_US], axis=1)
    days = np.stack([_OPENS - 570 * MINUTE_US, _OPENS + 870 * MINUTE_US], axis=1)
    return EngineSettings(
        session_mode="regular",
        sessions=sessions,
        regular=sessions,
        days=days,
        timeframes=("1min", "5min", "15min"),
        benchmark=None,
    )


def markets() -> Iterator[dict[str, Any]]:
    """Bars of one symbol each, as `scan` takes them: four weeks of regular sessions."""
    kinds: tuple[Callable[[_Draw], tuple[I64, I64, I64]], ...] = (_jumps, _swings, _runs, _bowls)
    for seed in range(_SEEDS):
        for number, kind in enumerate(kinds):
            draw = _Draw(number, seed)
            yield _columns(draw, _prices(draw, *kind(draw)))
    draw = _Draw(len(kinds))
    yield _columns(draw, _planted(_prices(draw, *_jumps(draw))))


class _Draw:
    """Whole numbers at random."""

    def __init__(self, *seed: int) -> None:
        self._bits = np.random.PCG64(list(seed))

    def whole(self, count: int, low: int, high: int) -> I64:
        """Evenly from low to high, both included."""
        return low + self._raw(count) % (high - low + 1)

    def bell(self, count: int, width: I64 | int) -> I64:
        """Around 0, mostly within a third of the width, never beyond it."""
        raw = self._raw(count)
        total = sum(((raw >> shift & 0x7FFF for shift in (0, 16, 32, 48))), np.zeros(count, dtype=np.int64))
        return _share(total - 2 * 0x7FFF, width, 2 * 0x7FFF)

    def chance(self, count: int, percent: int) -> I64:
        """1 so often, else 0."""
        return (self.whole(count, 1, 100) <= percent).astype(np.int64)

    def sign(self, count: int) -> I64:
        return 1 - 2 * self.chance(count, 50)

    def _raw(self, count: int) -> I64:
        return (self._bits.random_raw(count) >> np.uint64(1)).astype(np.int64)


def _share(amount: I64, times: I64 | int, of: int) -> I64:
    """So much of an amount, towards 0: rounded down it would lean."""
    product = np.asarray(amount * times, dtype=np.int64)
    parts: I64 = np.sign(product) * (np.abs(product) // of)
    return parts


def _jumps(draw: _Draw) -> tuple[I64, I64, I64]:
    """Open, close and usual width of bars, in cents: of any colour, often not open where the one before closed."""
    width = np.array([16, 24, 36, 56], dtype=np.int64)[draw.whole(_ROWS // 60 + 1, 0, 3)].repeat(60)[:_ROWS]
    lean = _share(draw.whole(_ROWS // 15, -3, 3).repeat(15), width, 30)
    body = draw.bell(_ROWS, width) + lean
    jump = draw.bell(_ROWS, width) * draw.chance(_ROWS, 50) + _nights(draw, 400)
    close = np.cumsum(body + jump)
    return close - body, close, width // 2


def _swings(draw: _Draw) -> tuple[I64, I64, I64]:
    """Legs of a few bars between prices at which the market has turned before."""
    legs = _ROWS // 3
    centre = np.cumsum(draw.whole(legs, -4, 4) * (np.arange(legs) % 6 == 0) * 12)
    side = 1 - 2 * (np.arange(legs) % 2)
    return _along(draw, draw.whole(legs, 3, 9), centre + side * 25 * draw.whole(legs, 2, 6) + draw.bell(legs, 12))


def _runs(draw: _Draw) -> tuple[I64, I64, I64]:
    """Calm spells, steep legs, pauses that narrow, and on."""
    count = _ROWS // 20
    lean, width = np.zeros(2 * _ROWS, dtype=np.int64), np.full(2 * _ROWS, 6, dtype=np.int64)
    lengths = np.stack([draw.whole(count, *some) for some in ((10, 20), (4, 8), (6, 16), (4, 8))], axis=1)
    turns = np.cumsum(lengths).reshape(-1, 4)
    steep, back, narrows = draw.whole(count, 16, 32) * draw.sign(count), draw.whole(count, 0, 3), draw.chance(count, 60)
    for (begun, tip, rest, end), leg, slow, is_narrow in zip(turns, steep, back, narrows, strict=True):
        lean[begun:tip], lean[tip:rest], lean[rest:end] = leg, -np.sign(leg) * slow, np.sign(leg) * 14
        width[tip : (2 * tip + rest) // 3] = 12
        width[(tip + rest) // 2 : rest] = 2 if is_narrow else 6
    body = lean[:_ROWS] + draw.bell(_ROWS, 3 * width[:_ROWS] // 2)
    close = np.cumsum(body + _nights(draw, 400))
    return close - body, close, width[:_ROWS]


def _bowls(draw: _Draw) -> tuple[I64, I64, I64]:
    """A leg to the rim, a round way back to it, a short rest, and on; as often upside down."""
    count = _ROWS // 40
    lengths, prices = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    level = 0
    sizes = (draw.whole(count, 24, 48), draw.whole(count, 150, 320), draw.whole(count, 15, 45), draw.sign(count))
    for span, depth, share, sign in zip(*(size.tolist() for size in sizes), strict=True):
        rim = level + sign * depth
        apart = 2 * np.arange(1, span + 1) - span
        bowl = rim - sign * (depth * (span * span - apart * apart) // (span * span))
        level = rim + sign * depth // 2
        lengths.append(np.array([8, *[1] * span, 6, 8]))
        prices.append(np.array([rim, *bowl.tolist(), rim - sign * depth * share // 100, level]))
    return _along(draw, np.concatenate(lengths), np.concatenate(prices))


def _along(draw: _Draw, lengths: I64, ends: I64) -> tuple[I64, I64, I64]:
    """Bars along straight legs of so many bars, which end at these prices."""
    x, y = np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([[0], ends])
    at = np.arange(1, _ROWS + 1)
    leg = np.searchsorted(x, at)
    path = y[leg - 1] + (y[leg] - y[leg - 1]) * (at - x[leg - 1]) // (x[leg] - x[leg - 1])
    night = _nights(draw, 240)
    close = path + draw.bell(_ROWS, 14) + np.cumsum(night)
    return np.concatenate([close[:1], close[:-1]]) + night, close, np.full(_ROWS, 10, dtype=np.int64)


def _nights(draw: _Draw, width: int) -> I64:
    """What the price has moved between two sessions, at the first bar of each."""
    moved = np.zeros(_ROWS, dtype=np.int64)
    moved[::MINUTES] = draw.bell(_DAYS, width)
    return moved


def _prices(draw: _Draw, opened: I64, close: I64, width: I64) -> I64:
    """Open, high, low and close: with shadows."""
    above, below = (np.abs(draw.bell(_ROWS, width)) * draw.chance(_ROWS, 70) for _ in range(2))
    return np.stack([opened, np.maximum(opened, close) + above, np.minimum(opened, close) - below, close])


def _planted(prices: I64) -> I64:
    """With the rare shapes among them."""
    for number, row in enumerate(range(200, _ROWS - 10, 53)):
        shape = np.array(_SHAPES[number % len(_SHAPES)], dtype=np.int64).T
        end = row + shape.shape[1]
        prices[:, row:end] = 2 * shape + prices[3, row - 1]
        prices[:, end:] += prices[3, end - 1] - prices[0, end]
    return prices


def _columns(draw: _Draw, prices: I64) -> dict[str, Any]:
    """As `scan` takes them, with volume; no price is below 20."""
    busy = np.array([1] * 30 + [2] * 6 + [5] * 2, dtype=np.int64)[draw.whole(_ROWS, 0, 37)]
    dollars = (prices + max(10_000, 2_000 - int(prices.min()))) / 100
    return {
        "symbol": ["EXAMPLE"] * _ROWS,
        "ts_us": (_OPENS[:, None] + np.arange(MINUTES) * MINUTE_US).ravel(),
        "volume": (400 + draw.whole(_ROWS, 0, 400)) * busy,
        **dict(zip(("open", "high", "low", "close"), dollars, strict=True)),
    }
