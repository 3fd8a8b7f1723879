"""The slow, obvious breakouts from the day and the week before, gaps between sessions, and pivot levels.

Written from the doc comments in `rust/kernel/src/pattern/{day_level,gap,pivot_break,days}.rs`: sessions that have
finished are looked at all over again, oldest first, and none counts that may not have been seen from its open on.
"""

from collections.abc import Iterator
from functools import lru_cache, partial

from oracle_bars import Verdict, clipped, drawn_levels, given_levels, graded
from oracle_breakouts import Rule
from oracle_day import Day, Session

DAY_US = 86_400_000_000
UNADJUSTED = 0.35


def comparable_day(day: Day) -> Session | None:
    """The session before; none where this one opens so far from its close that prices were split."""
    last = day.finished[-1] if day.finished else None
    opened = day.bars[day.begin].open
    return None if last is None or abs(opened / last.close - 1) > UNADJUSTED else last


def week_of(open_us: int) -> int:
    """The number of the week, from Monday, of the time six hours after a session's open."""
    return ((open_us + DAY_US // 4) // DAY_US + 3) // 7


def range_of_day(day: Day) -> tuple[float, float] | None:
    last = comparable_day(day)
    return None if last is None else (last.high, last.low)


@lru_cache(maxsize=1)
def range_of_week(day: Day) -> tuple[float, float] | None:
    """Of the newest week before this one; none if no session before that week is known."""
    weeks = sorted({week_of(session.open_us) for session in day.finished})
    older = [week for week in weeks if week < week_of(day.open_us)]
    if comparable_day(day) is None or not older or older[-1] == weeks[0]:
        return None
    sessions = [session for session in day.finished if week_of(session.open_us) == older[-1]]
    return max(session.high for session in sessions), min(session.low for session in sessions)


def level_breakout(is_week: bool, day: Day, at: int) -> Verdict | None:
    a, levels = day.atr[at], range_of_week(day) if is_week else range_of_day(day)
    if a is None or levels is None or at == 0:
        return None
    (high, low), close, earlier = levels, day.closes[at], day.closes[day.begin : at]
    if close > high:
        direction, edge, is_first = 1, high, day.closes[at - 1] <= high and max(earlier, default=high) <= high
    elif close < low:
        direction, edge, is_first = -1, low, day.closes[at - 1] >= low and min(earlier, default=low) >= low
    else:
        return None
    if not is_first:
        return None
    q = clipped(direction * (close - edge) / a)
    told = given_levels(close, direction, edge - direction * a, edge + direction * (high - low), edge)
    return Verdict(direction, graded(q), 1, told, (("break", day.bars[at].ts_us, close),), (("beyond", q),))


def daily_range(day: Day) -> float | None:
    """The mean of the last 14 sessions' true ranges."""
    ranges: list[float] = []
    for number, session in enumerate(day.finished):
        close = day.finished[number - 1].close if number else session.high
        true_range = session.high - session.low
        if number:
            true_range = max(session.high, close) - min(session.low, close)
        ranges.append(true_range)
    mean = sum(reversed(ranges[-14:])) / 14
    return mean if len(ranges) >= 14 and mean > 0 else None


@lru_cache(maxsize=1)
def gap_of(day: Day) -> tuple[int, float] | None:
    """Which way the session opened with a gap, and how far beyond a quarter of the daily range, in daily ranges."""
    last, usual, opened = comparable_day(day), daily_range(day), day.bars[day.begin].open
    if last is None or usual is None:
        return None
    above, below = (opened - last.high) / usual - 0.25, (last.low - opened) / usual - 0.25
    return (1, above) if above > 0 else (-1, below) if below > 0 else None


def gap(direction: int, day: Day, at: int) -> Verdict | None:
    found = gap_of(day) if at == day.begin else None
    if found is None or found[0] != direction:
        return None
    close, filled, q = day.closes[at], day.finished[-1].close, clipped(found[1])
    levels = given_levels(close, direction, filled, close + 2 * (close - filled))
    return Verdict(direction, graded(q), 1, levels, (), (("beyond", q),))


def gap_fill(day: Day, at: int) -> Verdict | None:
    """The first bar to come back to the close before; the session's first bar has opened beyond it."""
    found = gap_of(day)
    if found is None:
        return None
    filled, direction = day.finished[-1].close, -found[0]

    def beyond(n: int) -> float:
        return filled - day.bars[n].low if direction == -1 else day.bars[n].high - filled

    if beyond(at) < 0 or any(beyond(n) >= 0 for n in range(day.begin, at)):
        return None
    bar = day.bars[at]
    is_whole = direction * (bar.close - filled) >= 0 or bar.range == 0
    q = 1.0 if is_whole else clipped(beyond(at) / bar.range)
    return Verdict(direction, graded(q), 1, drawn_levels([bar], direction), (), (("beyond", q),))


def side_of(price: float, level: float, close: float) -> int:
    """1 above the level, -1 below it, 0 at it: within a billionth of the close."""
    off = price - level
    return 0 if abs(off) <= 1e-9 * close else 1 if off > 0 else -1


def pivot_break(day: Day, at: int) -> Verdict | None:
    a, last = day.atr[at], comparable_day(day)
    if a is None or last is None or at == 0:
        return None
    before, close = day.closes[at - 1], day.closes[at]
    p, spread = (last.high + last.low + last.close) / 3, last.high - last.low
    above = [2 * p - last.low, p + spread, last.high + 2 * (p - last.low)]
    below = [2 * p - last.high, p - spread, last.low - 2 * (last.high - p)]
    upward = [*reversed(below), p, *above]
    sides = [(side_of(before, level, close), side_of(close, level, close)) for level in upward]
    if any(old <= 0 < new for old, new in sides):
        direction, levels = 1, upward
    elif any(old >= 0 > new for old, new in sides):
        direction, levels, sides = -1, upward[::-1], sides[::-1]
    else:
        return None
    crossed = max(n for n, (old, new) in enumerate(sides) if direction * old <= 0 < direction * new)
    level, target = levels[crossed], levels[crossed + 1] if crossed + 1 < len(levels) else None
    q = clipped(direction * (close - level) / a)
    told = given_levels(close, direction, level - direction * a, target, level)
    return Verdict(direction, graded(q), 1, told, (("break", day.bars[at].ts_us, close),), (("beyond", q),))


def sessions_seen(days: list[Day]) -> list[tuple[Day, Session]]:
    """Those of finished days that were seen whole, as far back as prices go on from one to the next."""
    seen = list(sessions_whole(days))
    jumps = [at for at in range(1, len(seen)) if abs(seen[at][1].open / seen[at - 1][1].close - 1) > UNADJUSTED]
    return seen[jumps[-1] :] if jumps else seen


def sessions_whole(days: list[Day]) -> Iterator[tuple[Day, Session]]:
    """All but a first one whose first bar came five minutes late."""
    for number, day in enumerate(days):
        if number > 0 or day.minute(day.begin) < 5:
            own = day.bars[day.begin :]
            high, low = max(bar.high for bar in own), min(bar.low for bar in own)
            yield day, Session(day.open_us, own[0].open, high, low, own[-1].close)


LEVELS: dict[str, Rule] = {
    "daily_breakout": partial(level_breakout, False),
    "weekly_breakout": partial(level_breakout, True),
    "gap_up": partial(gap, 1),
    "gap_down": partial(gap, -1),
    "gap_fill": gap_fill,
    "pivot_break": pivot_break,
}
