"""The slow, obvious pattern detector: what the kernel must find in a symbol's bars.

Written from the definitions, with B = |c - o|, R = h - l, U = h - max(o, c), L = min(o, c) - l; a bar's list index is
its time, and every bar is looked at with the whole past at hand. The eight candlestick rules and their confidences
are TickStock's (TickStockAppV2, src/analysis/patterns/candlestick/*.py at 864dd0c).
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from oracle_bars import Bar, Found, drawn_levels, found
from oracle_bars import Verdict as Said
from oracle_breakouts import BREAKOUTS, COOLDOWNS
from oracle_charts import CHARTS, charts
from oracle_day import Day
from oracle_levels import LEVELS, sessions_seen
from oracle_volumes import is_busiest

DAY_US = 86_400_000_000
MIN_RANGE = 0.001
COOLDOWN = 5


class Verdict(NamedTuple):
    """Of a candlestick, whose levels follow from its bars."""

    direction: int
    confidence: float
    bars: int
    """How many made it."""
    drawn_by: int
    """How many of them bear the stop."""


Rule = Callable[[Sequence[Bar]], Verdict | None]
"""The past up to and including the bar in question, oldest first."""


def rounded(confidence: float) -> float:
    return round(min(confidence, 1.0), 3)


def doji(past: Sequence[Bar]) -> Verdict | None:
    bar = past[-1]
    if bar.range < MIN_RANGE or not bar.body / bar.range < 0.10:
        return None
    confidence = 1.0 - (bar.body / bar.range) / 0.10
    confidence += 0.15 * (1.0 - abs(bar.upper - bar.lower) / bar.range)
    return Verdict(0, rounded(max(confidence, 0.0)), 1, 1)


def hammer_shape(bar: Bar) -> bool:
    return (
        bar.range >= MIN_RANGE
        and bar.lower >= 2.0 * bar.body
        and bar.upper / bar.range < 0.1
        and bar.lower / bar.range > 0.6
        and bar.body / bar.range < 0.3
    )


def hammer_confidence(bar: Bar) -> float:
    confidence = 0.6
    if bar.body > 0 and bar.lower / bar.body >= 3:
        confidence += 0.15
    if bar.upper / bar.range < 0.05:
        confidence += 0.10
    return confidence


def hammer(past: Sequence[Bar]) -> Verdict | None:
    bar = past[-1]
    if not hammer_shape(bar):
        return None
    confidence = hammer_confidence(bar)
    if bar.close > bar.open:
        confidence += 0.10
    return Verdict(1, rounded(confidence), 1, 1)


def hanging_man(past: Sequence[Bar]) -> Verdict | None:
    bar = past[-1]
    closes = [earlier.close for earlier in past[-4:-1]]
    if len(closes) < 3 or not hammer_shape(bar) or not bar.close > (closes[0] + closes[1] + closes[2]) / 3:
        return None
    confidence = hammer_confidence(bar)
    if bar.close < bar.open:
        confidence += 0.10
    if (bar.close - min(closes)) / (max(closes) - min(closes) + 0.0001) > 0.8:
        confidence += 0.05
    return Verdict(-1, rounded(confidence), 4, 4)


def shooting_star(past: Sequence[Bar]) -> Verdict | None:
    bar = past[-1]
    if (
        bar.range < MIN_RANGE
        or not bar.upper >= 2.0 * bar.body
        or not bar.lower / bar.range < 0.1
        or not bar.upper / bar.range > 0.6
        or not bar.body / bar.range < 0.3
    ):
        return None
    confidence = 0.6
    if bar.body > 0 and bar.upper / bar.body >= 3:
        confidence += 0.15
    if bar.lower / bar.range < 0.05:
        confidence += 0.10
    if bar.close < bar.open:
        confidence += 0.10
    return Verdict(-1, rounded(confidence), 1, 1)


def engulfing(past: Sequence[Bar]) -> Verdict | None:
    if len(past) < 2:
        return None
    before, bar = past[-2:]
    opposite = bar.colour * before.colour == -1
    covers = bar.top > before.top and bar.bottom < before.bottom and bar.body >= 1.0 * before.body
    if bar.range < MIN_RANGE or not opposite or not covers:
        return None
    confidence = 0.6
    if bar.body / before.body >= 1.5:
        confidence += 0.15
    if bar.high > before.high and bar.low < before.low:
        confidence += 0.10
    if bar.volume > before.volume:
        confidence += 0.10
    if opposite:
        confidence += 0.05
    return Verdict(bar.colour, rounded(confidence), 2, 2)


def harami(past: Sequence[Bar]) -> Verdict | None:
    if len(past) < 2:
        return None
    before, bar = past[-2:]
    opposite = bar.colour * before.colour == -1
    inside = bar.top < before.top and bar.bottom > before.bottom
    small = before.body >= 2.0 * bar.body and bar.body <= 0.5 * before.body
    if bar.range < MIN_RANGE or not opposite or not inside or not small:
        return None
    confidence = 0.6
    if bar.body > 0 and bar.body / before.body <= 0.3:
        confidence += 0.15
    if bar.high < before.high and bar.low > before.low:
        confidence += 0.10
    if before.range > 0 and before.body / before.range > 0.7:
        confidence += 0.10
    if opposite:
        confidence += 0.05
    return Verdict(bar.colour, rounded(confidence), 2, 2)


def morning_star(past: Sequence[Bar]) -> Verdict | None:
    if len(past) < 3:
        return None
    first, middle, bar = past[-3:]
    wins_half_back = bar.colour == 1 and bar.close >= (first.top + first.bottom) / 2
    if bar.range < MIN_RANGE or first.colour != -1 or not middle.body <= 0.3 * first.range or not wins_half_back:
        return None
    confidence = 0.6
    if middle.high < first.low:
        confidence += 0.15
    if middle.body / first.range < 0.2:
        confidence += 0.10
    if bar.body / bar.range > 0.7:
        confidence += 0.10
    if (bar.close - first.bottom) / first.body > 0.7:
        confidence += 0.05
    return Verdict(1, rounded(confidence), 3, 3)


def evening_star(past: Sequence[Bar]) -> Verdict | None:
    if len(past) < 3:
        return None
    first, middle, bar = past[-3:]
    takes_half_back = bar.colour == -1 and bar.close <= (first.top + first.bottom) / 2
    if bar.range < MIN_RANGE or first.colour != 1 or not middle.body <= 0.3 * first.range or not takes_half_back:
        return None
    confidence = 0.6
    if middle.low > first.high:
        confidence += 0.15
    if middle.body / first.range < 0.2:
        confidence += 0.10
    if bar.body / bar.range > 0.7:
        confidence += 0.10
    if (first.top - bar.close) / first.body > 0.7:
        confidence += 0.05
    return Verdict(-1, rounded(confidence), 3, 3)


def volume_spike(past: Sequence[Bar]) -> Verdict | None:
    before = [earlier.volume for earlier in past[-21:-1]]
    if len(before) < 20:
        return None
    bar = past[-1]
    mean = sum(before) / 20
    if not mean > 0 or not bar.volume > 3 * mean:
        return None
    return Verdict(bar.colour, 0.5 + 0.5 * min(1.0, bar.volume / (3 * mean) - 1), 21, 1)


def doji_spec(past: Sequence[Bar]) -> Verdict | None:
    bar = past[-1]
    if bar.range < 0.01 or bar.body > 0.01 * bar.range:
        return None
    return Verdict(0, rounded(0.5 + 0.5 * (1.0 - bar.body / bar.range / 0.01)), 1, 1)


def pin_spec(bar: Bar) -> float | None:
    if bar.lower < 2.0 * bar.body or bar.upper >= bar.body or bar.body < 0.01:
        return None
    return rounded(0.5 + 0.5 * math.sqrt((1.0 - 2.0 * bar.body / bar.lower) * (1.0 - bar.upper / bar.body)))


def hammer_spec(past: Sequence[Bar]) -> Verdict | None:
    confidence = pin_spec(past[-1])
    return None if confidence is None else Verdict(1, confidence, 1, 1)


def hanging_man_spec(past: Sequence[Bar]) -> Verdict | None:
    confidence = pin_spec(past[-1])
    return None if confidence is None else Verdict(-1, confidence, 1, 1)


def engulfing_spec(past: Sequence[Bar]) -> Verdict | None:
    if len(past) < 2:
        return None
    before, bar = past[-2:]
    least = 1.1 * before.body
    covers = bar.bottom <= before.bottom and bar.top >= before.top and bar.body >= least
    if bar.colour * before.colour != -1 or not covers:
        return None
    return Verdict(bar.colour, rounded(0.5 + 0.5 * min(1.0, bar.body / least - 1.0)), 2, 2)


def closed_in_range(direction: int, past: Sequence[Bar]) -> Verdict | None:
    bar = past[-1]
    if direction == 1:
        holds, off = bar.close >= bar.high - 0.10 * bar.range, bar.high - bar.close
    else:
        holds, off = bar.close <= bar.low + 0.10 * bar.range, bar.close - bar.low
    if not holds or bar.range < 0.02:
        return None
    return Verdict(direction, rounded(0.5 + 0.5 * (0.5 - 0.5 * off / (0.10 * bar.range))), 1, 1)


RULES: dict[str, Rule] = {
    "doji": doji,
    "hammer": hammer,
    "hanging_man": hanging_man,
    "shooting_star": shooting_star,
    "engulfing": engulfing,
    "harami": harami,
    "morning_star": morning_star,
    "evening_star": evening_star,
    "volume_spike": volume_spike,
    "doji_spec": doji_spec,
    "hammer_spec": hammer_spec,
    "hanging_man_spec": hanging_man_spec,
    "engulfing_spec": engulfing_spec,
    "closed_in_top_range": partial(closed_in_range, 1),
    "closed_in_bottom_range": partial(closed_in_range, -1),
}

IDS = (*RULES, "volume_spike_of_day", "high_of_day", "low_of_day", *BREAKOUTS, *LEVELS, *CHARTS)
"""Every pattern that is written here: all but TA-Lib's."""


def day_extremes(session: Sequence[Bar]) -> Iterator[tuple[int, str, Verdict]]:
    """New highs and lows of one session's bars: above all earlier ones, at least six bars apart on each side."""
    last_high = last_low = -COOLDOWN - 1
    highest, lowest = session[0].high, session[0].low
    for now, bar in enumerate(session):
        if bar.high > highest and now - last_high > COOLDOWN:
            last_high = now
            share = 1.0 if bar.range == 0 else min(1.0, (bar.high - highest) / bar.range)
            yield now, "high_of_day", Verdict(1, 0.5 + 0.5 * share, 1, 1)
        if bar.low < lowest and now - last_low > COOLDOWN:
            last_low = now
            share = 1.0 if bar.range == 0 else min(1.0, (lowest - bar.low) / bar.range)
            yield now, "low_of_day", Verdict(-1, 0.5 + 0.5 * share, 1, 1)
        highest, lowest = max(highest, bar.high), min(lowest, bar.low)


def candlesticks(day: Day) -> Iterator[tuple[int, str, Said]]:
    """What a few bars say, whatever came before them."""
    verdicts = [(day.begin + now, pattern, verdict) for now, pattern, verdict in day_extremes(day.bars[day.begin :])]
    for at in day.own:
        past = day.bars[max(0, at - 20) : at + 1]
        verdicts += [(at, pattern, verdict) for pattern, rule in RULES.items() if (verdict := rule(past)) is not None]
    spikes = [one for one in verdicts if one[1] == "volume_spike"]
    verdicts += [(at, "volume_spike_of_day", verdict) for at, _, verdict in spikes if is_busiest(day, at)]
    for at, pattern, (direction, confidence, bars, drawn_by) in verdicts:
        levels = drawn_levels(day.newest(at, drawn_by), direction)
        yield at, pattern, Said(direction, confidence, bars, levels)


def breakouts(day: Day) -> Iterator[tuple[int, str, Said]]:
    for pattern, rule in (BREAKOUTS | LEVELS).items():
        silent_until = day.begin
        for at in day.own:
            verdict = rule(day, at) if at >= silent_until else None
            if verdict is not None:
                silent_until = at + 1 + COOLDOWNS.get(pattern, 0)
                yield at, pattern, verdict


def days(bars: Sequence[Bar], sessions: Sequence[tuple[int, int]] | None) -> Iterator[Day]:
    """The bars by session; those outside of the sessions are as good as not there. None: sessions are UTC days."""
    by_open: dict[int, list[Bar]] = {}
    for bar in bars:
        if sessions is None:
            by_open.setdefault(bar.ts_us // DAY_US * DAY_US, []).append(bar)
        for open_us, close_us in sessions or ():
            if open_us <= bar.ts_us < close_us:
                by_open.setdefault(open_us, []).append(bar)
    openings = {own[0].ts_us for own in by_open.values()}
    made: list[Day] = []
    before: list[Bar] = []
    for open_us, own in by_open.items():
        day = Day(before, own, open_us, openings)
        for earlier, session in sessions_seen(made):
            day.earlier.append(earlier)
            day.finished.append(session)
        yield day
        made.append(day)
        before = [*before, *own]


def detections(
    bars: Sequence[Bar], sessions: Sequence[tuple[int, int]] | None = None, ids: Collection[str] = IDS
) -> list[Found]:
    """All matches of these patterns in one symbol's bars (oldest first), sorted by time and pattern."""
    matches = []
    for day in days(bars, sessions):
        said = [one for one in charts(day) if one[0] >= day.begin]
        if not set(ids) <= set(CHARTS):
            said += [*candlesticks(day), *breakouts(day)]
        for at, pattern, verdict in said:
            if pattern in ids:
                matches.append(found(day.newest(at, verdict.bars), pattern, verdict))
    return sorted(matches, key=lambda match: (match.ts_us, match.pattern))
