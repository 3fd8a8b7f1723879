"""The slow, obvious breakouts, crossings and trends: rules on single bars of a session, with all before at hand.

Written from the doc comments in `rust/kernel/src/pattern/` and of `PinBar`; a is the average true range. A rule says
what it sees whether or not it has just fired: `COOLDOWNS` tells how many bars are silent after that.
"""

from collections.abc import Callable
from functools import partial
from itertools import takewhile

from oracle_bars import Verdict, clipped, drawn_levels, geometric_mean, given_levels, graded
from oracle_day import Day, Series

Rule = Callable[[Day, int], Verdict | None]

HALF_SESSION_MINUTES = 150
"""From 09:30 to noon."""


def highest(day: Day, at: int) -> float:
    """The highest high of the 20 bars before."""
    return max(day.highs[at - 20 : at])


def lowest(day: Day, at: int) -> float:
    return min(day.lows[at - 20 : at])


def out_of_channel(day: Day, at: int, direction: int, beyond: float) -> Verdict:
    """A price is `beyond` the channel of the 20 bars before."""
    a, close, top, bottom = day.atr[at], day.closes[at], highest(day, at), lowest(day, at)
    assert a is not None
    edge, prices = (top, day.highs) if direction == 1 else (bottom, day.lows)
    # of equal ones the newest is told
    edge_at = max(n for n in range(at - 20, at) if prices[n] == edge)
    target = close + direction * (top - bottom)
    levels = given_levels(close, direction, (top + bottom) / 2, target, edge - direction * 0.5 * a)
    q = clipped(beyond / a)
    points = (("level", day.bars[edge_at].ts_us, edge), ("break", day.bars[at].ts_us, close))
    return Verdict(direction, graded(q), 21, levels, points, (("beyond", q),))


def new_extreme(direction: int, day: Day, at: int) -> Verdict | None:
    if day.atr[at] is None or at < 20:
        return None
    bar = day.bars[at]
    beyond = bar.high - highest(day, at) if direction == 1 else lowest(day, at) - bar.low
    return out_of_channel(day, at, direction, beyond) if beyond > 0 else None


def donchian(day: Day, at: int) -> Verdict | None:
    if day.atr[at] is None or at < 21:
        return None
    close, before = day.closes[at], day.closes[at - 1]
    if close > highest(day, at) and before <= highest(day, at - 1):
        return out_of_channel(day, at, 1, close - highest(day, at))
    if close < lowest(day, at) and before >= lowest(day, at - 1):
        return out_of_channel(day, at, -1, lowest(day, at) - close)
    return None


def opening_range(minutes: int, day: Day, at: int) -> Verdict | None:
    a, bar = day.atr[at], day.bars[at]
    if a is None or not minutes <= day.minute(at) < HALF_SESSION_MINUTES:
        return None
    first = [day.bars[n] for n in takewhile(lambda n: day.minute(n) < minutes, day.own)]
    if not first:
        return None
    high, low = max(each.high for each in first), min(each.low for each in first)
    earlier = day.closes[day.begin + len(first) : at]
    if bar.close > high and max(earlier, default=low) <= high:
        direction, edge, other = 1, high, low
    elif bar.close < low and min(earlier, default=high) >= low:
        direction, edge, other = -1, low, high
    else:
        return None
    q = clipped(direction * (bar.close - edge) / a)
    levels = given_levels(bar.close, direction, (high + low) / 2, edge + direction * (high - low), other)
    return Verdict(direction, graded(q), 1, levels, (("break", bar.ts_us, bar.close),), (("beyond", q),))


def day1(day: Day, at: int) -> Verdict | None:
    a, bar, mean = day.atr[at], day.bars[at], day.mean_volume(at, 50)
    if a is None or mean is None or day.minute(at) >= HALF_SESSION_MINUTES:
        return None
    if mean == 0 or not bar.volume > 1.5 * mean:
        return None
    top, bottom = highest(day, at), lowest(day, at)
    if bottom <= bar.close <= top:
        return None
    direction, edge = (1, top) if bar.close > top else (-1, bottom)
    beyond, louder = clipped(direction * (bar.close - edge) / a), clipped(bar.volume / (1.5 * mean) - 1)
    target = bar.close + direction * (top - bottom)
    levels = given_levels(bar.close, direction, (top + bottom) / 2, target, edge - direction * 0.5 * a)
    margins = (("beyond", beyond), ("volume", louder))
    confidence = graded(geometric_mean((beyond, louder)))
    return Verdict(direction, confidence, 51, levels, (("break", bar.ts_us, bar.close),), margins)


def surge(day: Day, at: int) -> Verdict | None:
    a = day.atr[at]
    if a is None or at < 5:
        return None
    move = day.closes[at] - day.closes[at - 5]
    if sum(day.busy[at - 4 : at + 1]) < 3 or abs(move) < 1.5 * a:
        return None
    direction = 1 if move > 0 else -1
    q = clipped(abs(move) / (1.5 * a) - 1)
    levels = drawn_levels(day.newest(at, 5), direction)
    return Verdict(direction, graded(q), 5, levels, (), (("move", q),))


def left_bands(is_after: Callable[[Day, int], bool], day: Day, at: int) -> Verdict | None:
    """A close goes out of Bollinger's bands, where they were narrow just before."""
    a, now, before = day.atr[at], day.bands[at], day.bands[at - 1]
    if a is None or now is None or before is None or not is_after(day, at):
        return None
    close, previous = day.closes[at], day.closes[at - 1]
    if close > now[2] and previous <= before[2]:
        direction, band = 1, now[2]
    elif close < now[0] and previous >= before[0]:
        direction, band = -1, now[0]
    else:
        return None
    q = clipped(direction * (close - band) / a)
    levels = given_levels(close, direction, now[1], close + direction * 2 * (now[2] - now[1]))
    points = (("break", day.bars[at].ts_us, close),)
    return Verdict(direction, graded(q), 20, levels, points, (("beyond", q),))


def after_narrow(day: Day, at: int) -> bool:
    return any(day.narrowest[max(0, at - 10) : at + 1])


def after_squeeze(day: Day, at: int) -> bool:
    return not day.squeezed[at] and any(day.squeezed[max(0, at - 10) : at])


def squeeze_on(day: Day, at: int) -> Verdict | None:
    a, bands = day.atr[at], day.bands[at]
    if a is None or bands is None or not day.squeezed[at] or day.squeezed[at - 1]:
        return None
    q = clipped(1 - (bands[2] - bands[0]) / (3 * a))
    return Verdict(0, graded(q), 20, drawn_levels(day.newest(at, 1), 0), (), (("narrow", q),))


def crosses(line: Series, level: float, at: int) -> int:
    """1 where a line goes from on or below a level to above it, −1 the other way."""
    was, now = line[at - 1], line[at]
    if at == 0 or was is None or now is None:
        return 0
    return int(was <= level < now) - int(was >= level > now)


def said_of_crossing(day: Day, at: int, direction: int, q: float, line: float | None, beyond: float) -> Verdict:
    """With a line to stand behind, `beyond` of it, or else the extreme of two bars."""
    close = day.closes[at]
    levels = drawn_levels(day.newest(at, 2), direction)
    if line is not None:
        stop = line - direction * beyond
        levels = given_levels(close, direction, stop, close + 2 * (close - stop), line)
    return Verdict(direction, graded(q), 2, levels, (), (("speed", clipped(q)),))


def change(line: Series, at: int) -> float:
    was, now = line[at - 1], line[at]
    assert was is not None
    assert now is not None
    return abs(now - was)


def averages_cross(
    line_of: Callable[[Day], Series],
    slow_of: Callable[[Day, int], float | None],
    day: Day,
    at: int,
    is_strict: bool = False,
) -> Verdict | None:
    line, a = line_of(day), day.atr[at]
    direction = crosses(line, 0.0, at)
    if a is None or direction == 0 or (is_strict and line[at - 1] == 0):
        return None
    return said_of_crossing(day, at, direction, change(line, at) / (0.25 * a), slow_of(day, at), a)


def slow_exponential(span: int, day: Day, at: int) -> float | None:
    return day.ema[span][at]


def slow_mean(day: Day, at: int) -> float | None:
    return day.mean(at, 200)


def rsi_reversal(day: Day, at: int) -> Verdict | None:
    leaves = int(crosses(day.rsi, 30.0, at) == 1) - int(crosses(day.rsi, 70.0, at) == -1)
    if day.atr[at] is None or leaves == 0:
        return None
    return said_of_crossing(day, at, leaves, change(day.rsi, at) / 10, None, 0)


def rsi_extreme(day: Day, at: int) -> Verdict | None:
    if day.atr[at] is None or not (crosses(day.rsi, 30.0, at) == -1 or crosses(day.rsi, 70.0, at) == 1):
        return None
    return said_of_crossing(day, at, 0, change(day.rsi, at) / 10, None, 0)


def stochastic_cross(day: Day, at: int) -> Verdict | None:
    direction, k = crosses(day.k_less_d, 0.0, at), day.raw_k[at]
    if day.atr[at] is None or k is None or not (k < 20 if direction == 1 else direction == -1 and k > 80):
        return None
    return said_of_crossing(day, at, direction, change(day.k_less_d, at) / 20, None, 0)


def vwap_cross(day: Day, at: int) -> Verdict | None:
    direction, a, off = crosses(day.off_vwap, 0.0, at), day.atr[at], day.off_vwap[at]
    if a is None or off is None or direction == 0 or abs(off) < 0.1 * a:
        return None
    return said_of_crossing(day, at, direction, abs(off) / a, day.closes[at] - off, 0.5 * a)


def trending(direction: int, day: Day, at: int) -> Verdict | None:
    a, line = day.atr[at], day.line[at]
    if a is None or line is None:
        return None
    slope, fit = direction * line[0], line[1]
    if not slope > 0.15 * a or not fit > 0.7:
        return None
    margins = (("slope", clipped(slope / (0.15 * a) - 1)), ("fit", clipped((fit - 0.7) / 0.3)))
    levels = drawn_levels(day.newest(at, 10), direction)
    return Verdict(direction, graded(geometric_mean(margin for _, margin in margins)), 10, levels, (), margins)


def trending_spec(direction: int, day: Day, at: int) -> Verdict | None:
    line = day.line[at]
    if line is None or not direction * line[0] > 0.01:
        return None
    slope = direction * line[0]
    q = clipped(slope / 0.01 - 1)
    levels = drawn_levels(day.newest(at, 10), direction)
    return Verdict(direction, graded(q), 10, levels, (), (("slope", q),))


def pin_bar(day: Day, at: int) -> Verdict | None:
    a, bar = day.atr[at], day.bars[at]
    if a is None:
        return None
    third, direction = bar.range / 3, 1 if bar.lower >= bar.upper else -1
    tail = max(bar.lower, bar.upper)
    inward = bar.high - bar.bottom if direction == 1 else bar.top - bar.low
    missing = (0.8 * a - bar.range, 2 * third - tail, bar.body - third, inward - third)
    if max(missing) > 1e-9 * bar.close:
        return None
    margins = (("tail", clipped((tail - 2 * third) / third)), ("range", clipped(bar.range / (0.8 * a) - 1)))
    levels = drawn_levels(day.newest(at, 1), direction)
    return Verdict(direction, graded(geometric_mean(margin for _, margin in margins)), 1, levels, (), margins)


BREAKOUTS: dict[str, Rule] = {
    "new_high_20": partial(new_extreme, 1),
    "new_low_20": partial(new_extreme, -1),
    "donchian_breakout": donchian,
    "opening_range_5": partial(opening_range, 5),
    "opening_range_15": partial(opening_range, 15),
    "opening_range_30": partial(opening_range, 30),
    "day1_breakout": day1,
    "high_volume_surge": surge,
    "range_breakout": partial(left_bands, after_narrow),
    "squeeze_breakout": partial(left_bands, after_squeeze),
    "squeeze_on": squeeze_on,
    "ema_9_20_cross": partial(averages_cross, lambda day: day.ema_9_20, partial(slow_exponential, 20)),
    "ma_crossover": partial(averages_cross, lambda day: day.ema_12_26, partial(slow_exponential, 26), is_strict=True),
    "golden_cross": partial(averages_cross, lambda day: day.sma_50_200, slow_mean),
    "macd_cross": partial(averages_cross, lambda day: day.histogram, lambda _day, _at: None),
    "rsi_reversal": rsi_reversal,
    "rsi_extreme": rsi_extreme,
    "stochastic_cross": stochastic_cross,
    "vwap_cross": vwap_cross,
    "trending_up": partial(trending, 1),
    "trending_down": partial(trending, -1),
    "trending_up_spec": partial(trending_spec, 1),
    "trending_down_spec": partial(trending_spec, -1),
    "pin_bar": pin_bar,
}

COOLDOWNS = {
    "new_high_20": 5,
    "new_low_20": 5,
    "day1_breakout": 5,
    "high_volume_surge": 5,
    "range_breakout": 10,
    "squeeze_breakout": 10,
    "squeeze_on": 10,
    "ema_9_20_cross": 5,
    "ma_crossover": 5,
    "golden_cross": 5,
    "macd_cross": 5,
    "rsi_reversal": 5,
    "rsi_extreme": 5,
    "stochastic_cross": 5,
    "vwap_cross": 10,
    "trending_up": 5,
    "trending_down": 5,
    "trending_up_spec": 5,
    "trending_down_spec": 5,
    "pivot_break": 5,
}
"""Bars after a firing in which a rule is not asked, within a session."""
