"""Of each pattern the clearest example that the engine finds in bars that nobody has traded, as a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from tickstockpl.dev.example_bars import MINUTES, markets, settings
from tickstockpl.dev.example_lines import lines_of
from tickstockpl.drawing import Drawing, Line, draw
from tickstockpl.found import Candles, Found
from tickstockpl.kernel import PATTERNS, scan
from tickstockpl.moments import MINUTE_US

MOST: Final = 46
"""Candles of a picture; where a pattern takes more minutes, several make one."""

_FEWEST: Final = 18

_OPENING: Final = 5
"""Minutes of a session in which what was before it counts."""

_LOOKED_AT: Final = 20
"""Detections of a pattern and market, those of the highest confidence, that are looked at closely."""


@dataclass(frozen=True, slots=True)
class Example:
    """A pattern that was found, and the bars around it."""

    found: Found
    candles: Candles
    lines: tuple[Line, ...]
    """What the price is compared with, where that is a price too."""

    @property
    def drawing(self) -> Drawing:
        """Its picture. The pattern's id stands where the symbol does."""
        return draw(replace(self.found, symbol=self.found.pattern_id), self.candles, lines=self.lines)


def examples(ids: Sequence[str] | None = None) -> dict[str, Example]:
    """By id of the pattern; patterns that are found nowhere are left out.

    ids: of the patterns to look for; None: all. What is found of one does not depend on the others.
    """
    wanted = [pattern["id"] for pattern in PATTERNS] if ids is None else list(ids)
    best: dict[str, tuple[float, Example]] = {}
    for bars in markets():
        detections = scan(bars, wanted, settings=settings())
        for row in _surest(detections):
            known = PATTERNS[int(detections.pattern[row])]["id"]
            least = best[known][0] if known in best else 0.0
            if round(float(detections.confidence[row]), 3) + _REST <= least:
                continue
            example = _around(Found.of(detections, row), bars)
            if (clear := clarity(example)) > least:
                best[known] = (clear, example)
    return {known: example for known, (_, example) in best.items()}


def clarity(example: Example) -> float:
    """How easily a picture is read: a sure pattern, large enough, on one day, with its levels and lines, few bars."""
    found, candles = example.found, example.candles
    first, last = np.searchsorted(candles.ts_us, (_begun(found), found.ts_us)).tolist()
    own = slice(first, last + 1)
    low, high = float(candles.low.min()), float(candles.high.max())
    span = max(*found.levels.values(), high) - min(*found.levels.values(), low)
    large = (candles.high[own].max() - candles.low[own].min()) / span if span else 0.0
    room = 0.7 * (high - low)
    is_seen = not any(((line < low - room) | (line > high + room)).any() for _, line in example.lines)
    is_one_day = candles.ts_us[-1] - candles.ts_us[0] < MINUTES * MINUTE_US
    fits = _FEWEST <= len(candles) <= MOST
    moved = candles.close[own][-1] - candles.open[own][-1]
    agrees = {"bullish": moved > 0, "bearish": moved < 0}.get(found.direction, True)
    rest = min(large, 0.5) + 0.3 * is_one_day + 0.1 * len(found.levels) + 0.5 * agrees
    rest += fits - len(candles) / 500 + 0.5 * (bool(example.lines) and is_seen)
    # rounded: the last digits of a float are not what decides
    return round(float(found.confidence + rest), 3)


_REST: Final = 0.5 + 0.3 + 0.3 + 0.5 + 1.0 + 0.5
"""The most that a picture is worth beside the confidence."""


def _surest(detections: Any) -> Iterator[int]:
    """Rows of each pattern's highest confidence on bars of a minute, short ones first."""
    long = detections.ts_us - detections.first_us
    order = np.lexsort((long, -np.round(detections.confidence, 3), detections.pattern))
    order = order[detections.timeframe[order] == 0]
    edges = np.searchsorted(detections.pattern[order], np.arange(len(PATTERNS) + 1)).tolist()
    for low, high in pairwise(edges):
        yield from order[low : min(high, low + _LOOKED_AT)].tolist()


def _begun(found: Found) -> int:
    """Where its first bar is, or its first point if that is earlier."""
    return min(found.first_us, *(ts_us for _, ts_us, _ in found.points), found.ts_us)


def _around(found: Found, bars: dict[str, Any]) -> Example:
    """With some bars before and after, of the same sessions; before the first bars of one, of the session before."""
    ts_us = bars["ts_us"]
    low, last = (int(np.searchsorted(ts_us, us)) for us in (_begun(found), found.ts_us))
    room = max(MOST - (last - low + 1), 3)
    after = min(6, room // 3)
    before = min(14, room - after)
    open_at = low - low % MINUTES if last % MINUTES >= _OPENING else 0
    low, high = max(open_at, low - before), min(last - last % MINUTES + MINUTES, last + 1 + after)
    names = ("ts_us", "open", "high", "low", "close", "volume")
    lines = tuple((name, prices[low:high]) for name, prices in lines_of(found.pattern_id, bars, last))
    return Example(found, Candles(*(bars[name][low:high] for name in names)), lines)
