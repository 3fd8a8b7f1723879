"""What became of detections, by plain loops over one symbol's bars: slow, obvious, and from the definition alone.

No array, no index over sessions, no look at what the module under test does: each detection walks its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000

WON, LOST, UNRESOLVED, OPEN, UNMEASURED = 1, -1, 0, 2, 3


@dataclass(frozen=True, slots=True)
class Bar:
    ts_us: int
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A detection of one symbol."""

    ts_us: int
    direction: int
    entry: float
    stop: float
    target: float
    held: bool = True


@dataclass(frozen=True, slots=True)
class Came:
    result: int
    after: int
    target: int
    atr: float


def session_of(ts_us: int, sessions: Sequence[tuple[int, int]] | None) -> tuple[int, int] | None:
    if sessions is None:
        return ts_us // DAY_US * DAY_US, (ts_us // DAY_US + 1) * DAY_US
    return next(((opened, closed) for opened, closed in sessions if opened <= ts_us < closed), None)


def true_ranges(bars: Sequence[Bar], sessions: Sequence[tuple[int, int]] | None) -> list[float]:
    ranges = []
    for at, bar in enumerate(bars):
        value = bar.high - bar.low
        if at and session_of(bars[at - 1].ts_us, sessions) == session_of(bar.ts_us, sessions):
            last = bars[at - 1].close
            value = max(value, abs(bar.high - last), abs(bar.low - last))
        ranges.append(value)
    return ranges


def average(ranges: Sequence[float]) -> float:
    """Wilder's, of the last of them."""
    if len(ranges) <= 14:
        return sum(ranges) / len(ranges)
    a = sum(ranges[:14]) / 14
    for value in ranges[14:]:
        a = (13 * a + value) / 14
    return a


def came(
    all_bars: Sequence[Bar],
    seen: Seen,
    *,
    horizon: int = 20,
    barrier: float = 1.0,
    sessions: Sequence[tuple[int, int]] | None = None,
) -> Came:
    bars = [bar for bar in sorted(all_bars, key=lambda bar: bar.ts_us) if session_of(bar.ts_us, sessions)]
    at = next((at for at, bar in enumerate(bars) if bar.ts_us == seen.ts_us), None)
    if at is None:
        return Came(UNMEASURED, 0, UNMEASURED, nan)
    a = average(true_ranges(bars[: at + 1], sessions))
    if not seen.held:
        return Came(UNMEASURED, 0, UNMEASURED, a)
    session = session_of(seen.ts_us, sessions)
    assert session is not None
    waited = [bar for bar in bars[at + 1 :] if session_of(bar.ts_us, sessions) == session][:horizon]
    last = max(bar.ts_us for bar in bars if session_of(bar.ts_us, sessions) == session)
    is_over = last + MINUTE_US >= session[1] or any(bar.ts_us >= session[1] for bar in bars)
    neither = UNRESOLVED if len(waited) == horizon or is_over else OPEN

    def walk(profit: float, loss: float) -> tuple[int, int]:
        for step, bar in enumerate(waited, 1):
            gains = bar.high >= profit if profit > loss else bar.low <= profit
            loses = bar.low <= loss if profit > loss else bar.high >= loss
            if gains or loses:
                return (LOST if loses else WON), step
        return neither, 0

    entry = bars[at].close
    up, down = entry + barrier * a, entry - barrier * a
    result, after = (UNMEASURED, 0) if a == 0 else walk(down, up) if seen.direction < 0 else walk(up, down)
    levels = (seen.entry, seen.stop, seen.target)
    target = UNMEASURED
    if not any(map(isnan, levels)) and sorted(levels) in ([*levels[1::-1], levels[2]], [levels[2], *levels[:2]]):
        has_room = len(set(levels)) == 3
        target = walk(seen.target, seen.stop)[0] if has_room else UNMEASURED
    return Came(result, after, target, a)
