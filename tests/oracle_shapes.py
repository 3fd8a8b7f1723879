"""The slow, obvious cups, divergences and harmonic shapes of a session's swings.

Written from the doc comments in `rust/kernel/src/figure/{cup,divergence,harmonic}.rs`.
"""

from collections.abc import Iterator

from oracle_bars import Verdict
from oracle_day import Day, Series
from oracle_figures import Figure, beyond, level, within
from oracle_swings import Pivot, Said, close_of, measured, point, said

Between = tuple[float, float]

SHAPES: dict[str, tuple[Between, Between]] = {
    "gartley": ((0.618, 0.618), (0.786, 0.786)),
    "bat": ((0.382, 0.5), (0.886, 0.886)),
    "butterfly": ((0.786, 0.786), (1.27, 1.618)),
    "crab": ((0.382, 0.618), (1.618, 1.618)),
}
"""AB in XA, and AD in XA."""


def cup(swings: list[Pivot], a: float) -> Figure | None:
    """With its rims up if the newest pivot, the handle's end, is a low."""
    handle, right = swings[-1], swings[-2] if len(swings) > 1 else None
    sign = -1 if handle.is_high else 1
    for n in range(1, 5):
        if right is None or len(swings) < 2 + 2 * n:
            return None
        left, *within_it = swings[-2 - 2 * n : -2]
        bottom = min(within_it, key=lambda pivot: sign * pivot.price)
        depth = min(sign * left.price, sign * right.price) - sign * bottom.price
        if sign * (right.price - left.price) > 0.15 * depth:
            continue
        bars, since = right.at - left.at, handle.seen - right.at
        apart, low = right.price - left.price, sign * (right.price - handle.price)
        middle = (bottom.at - left.at) / bars
        is_round = depth >= 4 * a and abs(apart) <= 0.15 * depth and bars >= 20 and 0.3 <= middle <= 0.7
        if not is_round or low > 0.5 * depth or not 0.1 <= since / bars <= 0.5:
            return None
        clear = {
            "depth": beyond(depth, 4 * a),
            "rims": within(apart, 0.15 * depth),
            "bottom": within(middle - 0.5, 0.2),
            "handle": within(low, 0.5 * depth),
        }
        far, near = level(right.price), level(handle.price)
        upper, lower = (far, near) if sign > 0 else (near, far)
        name, roles = "cup_and_handle", ("left_rim", "bottom", "right_rim", "handle")
        return Figure(
            name if sign > 0 else f"inverse_{name}", upper, lower, (sign,), 0.0, depth, handle.price,
            0.5 * bars - since, roles, (left, bottom, right, handle), clear,
        )  # fmt: skip
    return None


def at_once(
    day: Day, roles: tuple[str, ...], swings: list[Pivot], direction: int, stop: float, target: float
) -> Verdict:
    """One that the bar that shows its newest pivot confirms."""
    at = swings[-1].seen
    points = [point(role, day, pivot) for role, pivot in zip(roles, swings, strict=True)]
    return said(day, at, direction, swings[0].at, stop, target, (*points, close_of("seen", day, at)))


def divergence(
    day: Day, swings: list[Pivot], line: Series, measure: tuple[float, float, float], least: float, step: float
) -> Verdict | None:
    """measure: a, and the middle and the unit of what is read from the line."""
    if len(swings) < 3:
        return None
    older, between, newer = swings[-3:]
    (a, middle, unit), sign = measure, 1 if newer.is_high else -1
    was, now = line[older.at], line[newer.at]
    if was is None or now is None or not 5 <= newer.at - older.at <= 60:
        return None
    before = sign * (was - middle) / unit
    further, drop = sign * (newer.price - older.price), before - sign * (now - middle) / unit
    if further < 0.3 * a or before < least or drop < step:
        return None
    stop = newer.price + sign * 0.1 * a
    verdict = at_once(day, ("older", "between", "newer"), swings[-3:], -sign, stop, between.price)
    return measured(verdict, price=beyond(further, 0.3 * a), reading=beyond(before, least), drop=beyond(drop, step))


def outside(ratio: float, between: Between) -> float:
    """How far a ratio is from a range."""
    return max(between[0] - ratio, ratio - between[1], 0.0)


def harmonic(day: Day, swings: list[Pivot], a: float) -> tuple[str, Verdict] | None:
    if len(swings) < 5:
        return None
    sign = -1 if swings[-1].is_high else 1
    x, top, b, c, d = (sign * pivot.price for pivot in swings[-5:])
    ab, bc, ad = (top - b) / (top - x), (c - b) / (top - b), (top - d) / (top - x)
    for name, (of_ab, of_ad) in SHAPES.items():
        off = {"ab": outside(ab, of_ab), "bc": outside(bc, (0.382, 0.886)), "ad": outside(ad, of_ad)}
        if max(off.values()) <= 0.05:
            stop, target = sign * (min(x, d) - 0.1 * a), sign * (d + 0.618 * (top - d))
            verdict = at_once(day, ("x", "a", "b", "c", "d"), swings[-5:], sign, stop, target)
            return name, measured(verdict, **{leg: within(far, 0.05) for leg, far in off.items()})
    return None


def shapes(day: Day, swings: list[Pivot]) -> Iterator[Said]:
    """What is confirmed by the bar that shows its newest pivot."""
    for n, pivot in enumerate(swings):
        a, known = day.atr[pivot.seen], swings[: n + 1]
        assert a is not None
        of_rsi = divergence(day, known, day.rsi, (a, 50, 1), 10, 5)
        of_macd = divergence(day, known, day.histogram, (a, 0, a), 0.2, 0.2)
        for name, verdict in (("rsi_divergence", of_rsi), ("macd_divergence", of_macd)):
            if verdict is not None:
                yield pivot.seen, name, verdict
        shape = harmonic(day, known, a)
        if shape is not None:
            yield pivot.seen, *shape
