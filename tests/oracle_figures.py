"""A figure that pivots have formed: two lines, which closes confirm it, and what it tells."""

from dataclasses import dataclass

from oracle_swings import Pivot


@dataclass(frozen=True)
class Line:
    """A price at a bar, and its change from bar to bar."""

    price: float
    at: int
    slope: float

    def here(self, at: int) -> float:
        return self.price + self.slope * (at - self.at)

    def under(self, price: float, at: int) -> float:
        """How far a price is above it."""
        return (price - self.price) - self.slope * (at - self.at)


def level(price: float) -> Line:
    return Line(price, 0, 0.0)


def through(one: Pivot, other: Pivot) -> Line:
    return Line(one.price, one.at, (other.price - one.price) / (other.at - one.at))


@dataclass(frozen=True)
class Figure:
    pattern: str
    upper: Line
    lower: Line
    breaks: tuple[int, ...]
    """1: a close above confirms it; −1: one below; a close on the other side ends it."""
    clearance: float
    height: float
    stop: float | None
    """None: the other line."""
    life: float
    """Bars after it has formed in which it may be confirmed."""
    roles: tuple[str, ...]
    pivots: tuple[Pivot, ...]
    margins: dict[str, float]


def beyond(value: float, least: float) -> float:
    return (value - least) / least


def within(value: float, tolerance: float) -> float:
    return 1 - abs(value) / tolerance
