"""Bars and what is found in them, as the oracles of the patterns see them: a bar's place in its list is its time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Bar:
    ts_us: int
    open: float
    high: float
    low: float
    close: float
    volume: int

    @property
    def body(self) -> float:
        return abs(self.close - self.open)

    @property
    def range(self) -> float:
        return self.high - self.low

    @property
    def top(self) -> float:
        return max(self.open, self.close)

    @property
    def bottom(self) -> float:
        return min(self.open, self.close)

    @property
    def upper(self) -> float:
        return self.high - self.top

    @property
    def lower(self) -> float:
        return self.bottom - self.low

    @property
    def colour(self) -> int:
        return (self.close > self.open) - (self.close < self.open)


class Levels(NamedTuple):
    stop: float | None
    target: float | None
    invalidation: float | None


Points = tuple[tuple[str, int, float], ...]
"""Role, start of the bar in µs, price; oldest first."""

Margins = tuple[tuple[str, float], ...]
"""Condition, how far inside of its threshold it is."""


class Verdict(NamedTuple):
    direction: int
    confidence: float
    bars: int
    """How many made it."""
    levels: Levels
    points: Points = ()
    margins: Margins = ()


class Found(NamedTuple):
    """One match: the columns of `Detections` that a pattern decides."""

    ts_us: int
    pattern: str
    direction: int
    confidence: float
    bars: int
    first_us: int
    entry: float
    stop: float | None
    target: float | None
    invalidation: float | None
    points: Points
    margins: Margins


def found(bars: Sequence[Bar], pattern: str, verdict: Verdict) -> Found:
    """The verdict on the last of these bars, which made it."""
    bar, first = bars[-1], bars[0]
    direction, confidence, count, levels, points, margins = verdict
    return Found(
        bar.ts_us,
        pattern,
        direction,
        confidence,
        count,
        first.ts_us,
        bar.close,
        *levels,
        points=points,
        margins=margins,
    )


def drawn_levels(bars: Sequence[Bar], direction: int) -> Levels:
    """Stop at the far extreme of the bars, target at twice the risk; no stop where it is at the entry."""
    close = bars[-1].close
    if direction == 0:
        return Levels(None, None, None)
    stop = min(bar.low for bar in bars) if direction == 1 else max(bar.high for bar in bars)
    if stop == close:
        return Levels(None, None, None)
    target = close + 2 * (close - stop)
    return Levels(stop, target if 0 < target < float("inf") else None, stop)


def given_levels(
    close: float, direction: int, stop: float | None, target: float | None, invalidation: float | None = None
) -> Levels:
    """Levels that a definition names: those on the wrong side of the close are none, nor is a target without a stop."""

    def reachable(price: float | None) -> float | None:
        return price if price is not None and 0 < price < float("inf") else None

    stop, target = reachable(stop), reachable(target)
    if stop is not None and not direction * (close - stop) > 0:
        stop = None
    if stop is None or (target is not None and not direction * (target - close) > 0):
        target = None
    return Levels(stop, target, stop if invalidation is None else reachable(invalidation))


def graded(q: float) -> float:
    """A confidence: 0.5 where the conditions just hold, 1 for a textbook figure."""
    return 0.5 + 0.5 * clipped(q)


def clipped(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def geometric_mean(margins: Iterable[float]) -> float:
    product, count = 1.0, 0
    for margin in margins:
        product *= clipped(margin)
        count += 1
    return float(product ** (1 / count))
