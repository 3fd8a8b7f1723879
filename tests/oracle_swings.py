"""The slow, obvious swings of a session: pivots, the trend that they make, V turns and flags.

Written from the doc comments in `rust/kernel/src/study/zigzag.rs` and `figure/{structure,turn,flag}.rs`. In each rule
`sign` −1 turns the prices' sign, which makes tops of bottoms.
"""

from collections.abc import Iterator
from typing import NamedTuple

from oracle_bars import Points, Verdict, clipped, geometric_mean, given_levels, graded
from oracle_day import Day

RETRACE = 3.0


class Pivot(NamedTuple):
    at: int
    price: float
    is_high: bool
    seen: int
    """The bar that has come back 3a from it."""


Said = tuple[int, str, Verdict]
"""A bar's place, a pattern's id and what it says there."""


def pivots(day: Day) -> list[Pivot]:
    """Highs and lows in turn: each leg is looked at from the bar that showed the pivot before it."""
    first = first_pivot(day)
    found = [] if first is None else [first]
    while found:
        sought = not found[-1].is_high
        pivot = next((each for each in shown(day, found[-1].seen, sought) if each is not None), None)
        if pivot is None:
            break
        found.append(pivot)
    return found


def shown(day: Day, since: int, is_high: bool) -> Iterator[Pivot | None]:
    """For each bar after `since`: the extreme of the bars from `since` to the one before, if it comes back from that.

    A bar that makes a new extreme does not come back from the old one. Of equal prices the first is the extreme.
    """
    sign = 1 if is_high else -1
    extreme = since
    for now in range(since + 1, len(day.bars)):
        a, top = day.atr[now], sign * side(day, extreme, is_high)
        if sign * side(day, now, is_high) > top:
            extreme = now
            yield None
        elif a is not None and top - sign * side(day, now, not is_high) >= RETRACE * a:
            yield Pivot(extreme, sign * top, is_high, now)
        else:
            yield None


def side(day: Day, at: int, is_high: bool) -> float:
    return day.bars[at].high if is_high else day.bars[at].low


def first_pivot(day: Day) -> Pivot | None:
    """Both sides are followed; where one bar comes back from both, the older extreme is the pivot."""
    for high, low in zip(shown(day, 0, True), shown(day, 0, False), strict=True):
        if high is not None and low is not None:
            if high.at != low.at:
                return min(high, low)
        elif high is not None or low is not None:
            return high or low
    return None


def point(role: str, day: Day, pivot: Pivot) -> tuple[str, int, float]:
    return role, day.bars[pivot.at].ts_us, pivot.price


def close_of(role: str, day: Day, at: int) -> tuple[str, int, float]:
    return role, day.bars[at].ts_us, day.closes[at]


def said(day: Day, at: int, direction: int, first: int, stop: float, target: float | None, points: Points) -> Verdict:
    """Without its confidence."""
    levels = given_levels(day.closes[at], direction, stop, target, stop)
    return Verdict(direction, 0.5, at - first + 1, levels, points)


def measured(verdict: Verdict, **margins: float) -> Verdict:
    clear = tuple((name, clipped(margin)) for name, margin in margins.items())
    return verdict._replace(confidence=graded(geometric_mean(margin for _, margin in clear)), margins=clear)


def structure(day: Day, swings: list[Pivot]) -> Iterator[Said]:
    """Where the trend of the swings begins, and closes beyond the newest of them."""
    trend, broken = 0, set()
    for at in range(len(day.bars)):
        known = [pivot for pivot in swings if pivot.seen <= at][-4:]
        a = day.atr[at]
        if a is None or not known:
            continue
        newest = {is_high: [pivot for pivot in known if pivot.is_high is is_high][-1:] for is_high in (True, False)}
        if len(known) == 4 and known[-1].seen == at:
            one, other = known[3].price - known[1].price, known[2].price - known[0].price
            begins = 1 if one > 0 and other > 0 else -1 if one < 0 and other < 0 else 0
            if begins not in (0, trend):
                trend = begins
                opposite = newest[begins < 0][0]
                roles = ("swing_1", "swing_2", "swing_3", "swing_4")
                points = [point(role, day, pivot) for role, pivot in zip(roles, known, strict=True)]
                points.append(close_of("seen", day, at))
                verdict = said(day, at, begins, known[0].at, opposite.price, None, tuple(points))
                margins = measured(verdict, newest=abs(one) / a, other=abs(other) / a)
                yield at, "higher_highs" if begins > 0 else "lower_lows", margins
        for sign in (1, -1):
            for swing in newest[sign > 0]:
                beyond = sign * (day.closes[at] - swing.price)
                if swing in broken or not beyond > 0:
                    continue
                broken.add(swing)
                if trend == 0:
                    continue
                name = "break_of_structure" if trend == sign else "change_of_character"
                trend = sign
                opposite = newest[sign < 0][0]
                points = [point("swing", day, swing), close_of("break", day, at)]
                verdict = said(day, at, sign, swing.at, opposite.price, None, tuple(points))
                yield at, name, measured(verdict, beyond=beyond / a)


def turns(day: Day, swings: list[Pivot]) -> Iterator[Said]:
    """For each pivot the first bar, until the next pivot, that takes back 0.618 of a steep leg into it."""
    for n in range(1, len(swings)):
        base, tip = swings[n - 1], swings[n]
        until = swings[n + 1].seen if n + 1 < len(swings) else len(day.bars)
        bars, leg = tip.at - base.at, abs(tip.price - base.price)
        sign = 1 if tip.is_high else -1
        for at in range(tip.seen, min(until, tip.at + bars + 1)):
            a = day.atr[at]
            is_back = sign * (tip.price - day.closes[at]) >= 0.618 * leg
            if a is not None and leg >= 5 * a and 1 <= bars <= 10 and is_back:
                points = (point("base", day, base), point("turn", day, tip), close_of("break", day, at))
                verdict = said(day, at, -sign, base.at, tip.price, base.price, points)
                speed = 1 - (at - tip.at) / bars
                margins = measured(verdict, leg=(leg - 5 * a) / (5 * a), speed=speed)
                yield at, "v_top" if tip.is_high else "v_bottom", margins
                break


def flags(day: Day, swings: list[Pivot]) -> Iterator[Said]:
    """For each pole the first close beyond the bars that followed it; a is that of the bar before."""
    for n in range(1, len(swings)):
        base, tip = swings[n - 1], swings[n]
        sign = 1 if tip.is_high else -1
        pole = abs(tip.price - base.price)
        # the pole must be the newest leg before the bar
        until = swings[n + 1].seen + 1 if n + 1 < len(swings) else len(day.bars)
        for at in range(max(tip.at + 5, tip.seen + 1), min(until, tip.at + 22)):
            a = day.atr[at - 1]
            if a is None or pole < 6 * a or tip.at - base.at > 15:
                continue
            flag = range(tip.at + 1, at)
            edge = max(sign * side(day, each, tip.is_high) for each in flag)
            # of equal returns the newest is told
            dip = min(flag, key=lambda each: (sign * side(day, each, not tip.is_high), -each))
            deepest = side(day, dip, not tip.is_high)
            retrace = sign * (tip.price - deepest) / pole
            if retrace > 0.5 or sign * day.closes[at] <= edge:
                continue
            third = len(flag) // 3
            is_pennant = width(day, flag[-third:]) <= 0.6 * width(day, flag[:third])
            points = (
                point("base", day, base),
                point("tip", day, tip),
                ("flag", day.bars[dip].ts_us, deepest),
                close_of("break", day, at),
            )
            verdict = said(day, at, sign, base.at, deepest, sign * edge + tip.price - base.price, points)
            margins = measured(verdict, pole=(pole - 6 * a) / (6 * a), retrace=1 - retrace / 0.5)
            yield at, ("bull_" if sign > 0 else "bear_") + ("pennant" if is_pennant else "flag"), margins
            break


def width(day: Day, places: range) -> float:
    return max(day.bars[at].high for at in places) - min(day.bars[at].low for at in places)
