"""The slow, obvious chart patterns: figures that pivots make, and the first close that leaves each.

Written from the doc comments in `rust/kernel/src/figure/`. A figure is looked at by itself, from the bar that showed
its newest pivot until a close leaves it, it is over, or a newer figure of its family takes its place.
"""

from collections.abc import Iterator

from oracle_bars import Verdict
from oracle_day import Day
from oracle_figures import Figure, Line, beyond, level, through, within
from oracle_shapes import cup, shapes
from oracle_swings import Pivot, Said, close_of, flags, measured, pivots, point, said, structure, turns

REMEMBERED = 16
"""Pivots, the newest included: a figure whose own are no longer among them is over."""


def one_sided(
    is_top: bool, pattern: str, far: Line, near: Line, height: float, stop: float, life: int, clear: dict[str, float],
    roles: tuple[str, ...], swings: list[Pivot],
) -> Figure:  # fmt: skip
    """One that a close beyond its near line confirms: below, for tops."""
    upper, lower = (far, near) if is_top else (near, far)
    side = -1 if is_top else 1
    return Figure(pattern, upper, lower, (side,), 0.0, height, stop, life, roles, tuple(swings), clear)


def double(swings: list[Pivot], a: float) -> Figure | None:
    if len(swings) < 4:
        return None
    start, first, between, second = swings[-4:]
    is_top = second.is_high
    sign = 1 if is_top else -1
    h1, l1, h2, l0 = (sign * pivot.price for pivot in (first, between, second, start))
    height, apart, leg = min(h1, h2) - l1, second.at - first.at, h1 - l0
    if height < 3 * a or abs(h1 - h2) > 0.10 * height or not 5 <= apart <= 120 or leg < 0.8 * height:
        return None
    top = sign * max(h1, h2)
    clear = {"height": beyond(height, 3 * a), "level": within(h1 - h2, 0.10 * height), "leg": beyond(leg, 0.8 * height)}
    roles = ("start", "first", "between", "second")
    name = "double_top" if is_top else "double_bottom"
    return one_sided(is_top, name, level(top), level(between.price), height, top, apart, clear, roles, swings[-4:])


def triple(swings: list[Pivot], a: float) -> Figure | None:
    if len(swings) < 6:
        return None
    is_top = swings[-1].is_high
    sign = 1 if is_top else -1
    l0, h1, l1, h2, l2, h3 = (sign * pivot.price for pivot in swings[-6:])
    tops = (h1, h2, h3)
    height, spread, leg = min(tops) - max(l1, l2), max(tops) - min(tops), h1 - l0
    if height < 2.5 * a or spread > 0.12 * height or abs(l1 - l2) > 0.30 * height or leg < 0.8 * height:
        return None
    clear = {
        "height": beyond(height, 2.5 * a),
        "level": within(spread, 0.12 * height),
        "floor": within(l1 - l2, 0.30 * height),
        "leg": beyond(leg, 0.8 * height),
    }
    roles = ("start", "first", "between_1", "second", "between_2", "third")
    name, top, floor = "triple_top" if is_top else "triple_bottom", sign * max(tops), sign * min(l1, l2)
    life = swings[-1].at - swings[-5].at
    return one_sided(is_top, name, level(top), level(floor), height, top, life, clear, roles, swings[-6:])


def shoulders(swings: list[Pivot], a: float) -> Figure | None:
    if len(swings) < 6:
        return None
    is_top = swings[-1].is_high
    sign = 1 if is_top else -1
    l0, h1, l1, h2, l2, h3 = (sign * pivot.price for pivot in swings[-6:])
    _, left, low_1, top, low_2, right = swings[-6:]
    neckline = through(low_1, low_2)
    height = sign * neckline.under(top.price, top.at)
    head, room, leg = h2 - max(h1, h3), min(h1, h3) - max(l1, l2), h1 - l0
    fits = (
        height >= 3 * a
        and head >= 0.2 * height
        and abs(h1 - h3) <= 0.25 * height
        and abs(l1 - l2) <= 0.25 * height
        and room >= 0.25 * height
        and 0.4 <= (right.at - top.at) / (top.at - left.at) <= 2.5
        and leg >= 0.4 * height
    )
    if not fits:
        return None
    clear = {
        "height": beyond(height, 3 * a),
        "head": beyond(head, 0.2 * height),
        "shoulders": within(h1 - h3, 0.25 * height),
        "neck": within(l1 - l2, 0.25 * height),
        "room": beyond(room, 0.25 * height),
        "leg": beyond(leg, 0.4 * height),
    }
    roles = ("start", "left_shoulder", "neck_1", "head", "neck_2", "right_shoulder")
    name, life = "head_shoulders" if is_top else "inverse_head_shoulders", right.at - left.at
    return one_sided(is_top, name, level(right.price), neckline, height, right.price, life, clear, roles, swings[-6:])


def envelope(swings: list[Pivot], a: float) -> Figure | None:
    if len(swings) < 5:
        return None
    first, low_1, middle, low_2, last = swings[-5:]
    of_three, of_two = through(first, last), through(low_1, low_2)
    upper, lower = (of_three, of_two) if first.is_high else (of_two, of_three)
    span = last.at - first.at
    # the lines are apart, at the first and the last pivot, by how far these are from the line of the two
    sign = 1 if first.is_high else -1
    widths = [sign * of_two.under(pivot.price, pivot.at) for pivot in (first, last)]
    wide, narrow = max(widths), min(widths)
    touch = of_three.under(middle.price, middle.at)
    if wide < 3 * a or not narrow > 0.15 * wide or abs(touch) > 0.15 * wide or span < 10:
        return None
    pattern = called(upper.slope * span / wide, lower.slope * span / wide)
    if pattern is None:
        return None
    clear = {
        "width": beyond(wide, 3 * a),
        "touch": within(touch, 0.15 * wide),
        "room": beyond(narrow, 0.15 * wide),
    }
    roles = ("touch_1", "touch_2", "touch_3", "touch_4", "touch_5")
    return Figure(pattern, upper, lower, (1, -1), 0.1 * a, wide, None, span, roles, tuple(swings[-5:]), clear)


def called(u: float, d: float) -> str | None:
    """What lines make that change by so much, in W."""
    is_level = {"u": -0.15 <= u <= 0.15, "d": -0.15 <= d <= 0.15}
    if is_level["u"] and is_level["d"]:
        return "rectangle"
    if is_level["u"]:
        return "asc_triangle" if d > 0.15 else None
    if is_level["d"]:
        return "desc_triangle" if u < -0.15 else None
    if u < 0 < d:
        return "sym_triangle"
    if d < 0 < u:
        return "broadening"
    if d - u > 0.2:
        return "rising_wedge" if u > 0 else "falling_wedge"
    if abs(d - u) <= 0.2:
        return "channel_up" if u > 0 else "channel_down"
    return None


def outcome(day: Day, figure: Figure, swings: list[Pivot], formed: int, until: int) -> tuple[int, int] | None:
    """The bar whose close confirms it, and which way; None if it ends before."""
    for at in range(formed, min(until, formed + int(figure.life) + 1)):
        if day.atr[at] is None:
            continue
        since_its_first = sum(1 for pivot in swings if figure.pivots[0].seen <= pivot.seen <= at)
        above = figure.upper.under(day.closes[at], at)
        below = -figure.lower.under(day.closes[at], at)
        is_apart = figure.upper.here(at) > figure.lower.here(at)
        if not is_apart or since_its_first > REMEMBERED:
            return None
        for side, beyond_it in ((1, above), (-1, below)):
            if side not in figure.breaks and beyond_it > 0:
                return None
            if side in figure.breaks and beyond_it > figure.clearance:
                return at, side
    return None


def confirmed(day: Day, figure: Figure, at: int, direction: int) -> Verdict:
    upper, lower = figure.upper.here(at), figure.lower.here(at)
    broken, other = (upper, lower) if direction > 0 else (lower, upper)
    stop = other if figure.stop is None else figure.stop
    points = [point(role, day, pivot) for role, pivot in zip(figure.roles, figure.pivots, strict=True)]
    points.append(close_of("break", day, at))
    target = broken + direction * figure.height
    verdict = said(day, at, direction, figure.pivots[0].at, stop, target, tuple(points))
    return measured(verdict, **figure.margins)


FAMILIES = ((double, True), (double, False), (triple, True), (triple, False), (shoulders, True), (shoulders, False),
            (envelope, None), (cup, True), (cup, False))  # fmt: skip
"""What makes figures, and whether of a newest high; within a family a newer one takes the place of the one before."""


def charts(day: Day) -> Iterator[Said]:
    """All chart patterns of a day, those on the bars that it begins with included."""
    swings = pivots(day)
    for family, of_tops in FAMILIES:
        formed: list[tuple[int, Figure]] = []
        for n, pivot in enumerate(swings):
            a = day.atr[pivot.seen]
            assert a is not None
            figure = family(swings[: n + 1], a) if of_tops in (None, pivot.is_high) else None
            if figure is not None:
                formed.append((pivot.seen, figure))
        ends = [since for since, _ in (*formed, (len(day.bars), None))][1:]
        for (since, figure), until in zip(formed, ends, strict=True):
            result = outcome(day, figure, swings, since, until)
            if result is not None:
                yield result[0], figure.pattern, confirmed(day, figure, *result)
    yield from shapes(day, swings)
    yield from structure(day, swings)
    yield from turns(day, swings)
    yield from flags(day, swings)


CHARTS = (
    "double_top",
    "double_bottom",
    "triple_top",
    "triple_bottom",
    "head_shoulders",
    "inverse_head_shoulders",
    "rectangle",
    "asc_triangle",
    "desc_triangle",
    "sym_triangle",
    "broadening",
    "rising_wedge",
    "falling_wedge",
    "channel_up",
    "channel_down",
    "bull_flag",
    "bear_flag",
    "bull_pennant",
    "bear_pennant",
    "v_top",
    "v_bottom",
    "higher_highs",
    "lower_lows",
    "break_of_structure",
    "change_of_character",
    "cup_and_handle",
    "inverse_cup_and_handle",
    "rsi_divergence",
    "macd_divergence",
    "gartley",
    "bat",
    "butterfly",
    "crab",
)
