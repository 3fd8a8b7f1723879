"""One pattern that was found, out of the columns of `Detections`: what a drawing and a report say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tickstockpl.columns import named
from tickstockpl.kernel import columns_of_bars

DIRECTIONS = {1: "bullish", -1: "bearish", 0: "neutral"}
"""By `Detections.direction`."""

Point = tuple[str, int, float]
"""What it is of the pattern, such as `head`; the START of its bar, µs UTC; the price."""


@runtime_checkable
class Outlined(Protocol):
    """Detections that say at which points a pattern stands, and by how much it is one."""

    def points(self, i: int, /) -> Sequence[Point]:
        """In order of time; none for patterns without an outline."""
        ...

    def margins(self, i: int, /) -> Mapping[str, float]:
        """How far inside of each of its thresholds it is, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """One row of `Detections`; what is absent there is None here."""

    pattern_id: str
    name: str
    direction: str
    symbol: str
    ts_us: int
    """START of the bar on which it ends."""
    first_us: int
    confidence: float
    entry: float | None
    stop: float | None
    target: float | None
    event_id: str
    points: tuple[Point, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    members: tuple[tuple[str, str, int], ...] = ()
    """Of a rule or an agreement, the patterns that it was made of by id, and the timeframe and START, µs UTC, of the
    bar on which each held."""

    @classmethod
    def of(cls, detections: Any, i: int) -> Self:
        """The row `i`.

        Raises IndexError if there is none.
        """
        pattern = detections.patterns[int(detections.pattern[i])]
        has_outline = isinstance(detections, Outlined)
        return cls(
            pattern_id=pattern["id"],
            name=pattern["name"],
            direction=DIRECTIONS[int(detections.direction[i])],
            symbol=detections.symbols[int(detections.symbol[i])],
            ts_us=int(detections.ts_us[i]),
            first_us=int(detections.first_us[i]),
            confidence=float(detections.confidence[i]),
            **{name: _known(getattr(detections, name)[i]) for name in LEVELS},
            event_id=bytes(detections.event_id[i]).decode(),
            points=tuple((role, int(ts_us), float(price)) for role, ts_us, price in detections.points(i))
            if has_outline
            else (),
            margins=dict(detections.margins(i)) if has_outline else {},
            members=tuple((known, of, int(ts_us)) for known, of, ts_us, _ in detections.members(i))
            if has_outline
            else (),
        )

    @property
    def levels(self) -> dict[str, float]:
        """Entry, stop and target, those that there are."""
        found = {name: getattr(self, name) for name in LEVELS}
        return {name: price for name, price in found.items() if price is not None}


LEVELS = ("entry", "stop", "target")


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars of one symbol, oldest first: columns of equal length."""

    ts_us: NDArray[np.int64]
    """The START of each."""
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]

    @classmethod
    def of(cls, bars: Any, symbol: str) -> Self:
        """Those of one symbol: of `Bars` or an object with its columns, or of columns by name; in any order.

        Raises ValueError if there is none.
        """
        given = columns_of_bars(bars) if hasattr(bars, "__getitem__") else bars
        names, place = named(given)
        rows = np.flatnonzero((names == symbol)[place])
        if not len(rows):
            raise ValueError(f"there is no bar of {symbol}")
        rows = rows[np.argsort(given.ts_us[rows], kind="stable")]
        return cls(*(getattr(given, each.name)[rows] for each in fields(cls)))

    def __len__(self) -> int:
        return len(self.ts_us)

    def around(self, found: "Found") -> Self:
        """The bars of a pattern with some before and after: about 60, or all of its own and a third more."""
        begin_us = min(found.first_us, *(ts_us for _, ts_us, _ in found.points), found.ts_us)
        low = int(np.searchsorted(self.ts_us, begin_us))
        high = int(np.searchsorted(self.ts_us, found.ts_us, side="right"))
        own = high - low
        after = max(12, own // 6)
        before = max(12, own // 6, 60 - own - after)
        chosen = slice(max(0, low - before), high + after)
        # a view would keep all bars of the symbol in memory
        return type(self)(*(getattr(self, each.name)[chosen].copy() for each in fields(self)))


def _known(price: Any) -> float | None:
    value = float(price)
    return value if value == value else None  # noqa: PLR0124 - NaN is not
