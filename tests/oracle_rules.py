"""The slow, obvious evaluation of rules: over what patterns say of each bar, and what the oracles know of its numbers.

Every bar is looked at with its whole session at hand; what was before the session's open is as good as not there, but
for the numbers. So it is with bars of longer timeframes, of which those are there that were over by the bar's end.
Rules are given as they are meant, not as they are written: comparisons are Python's.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from oracle_bars import Bar
from oracle_day import Day, Session, exponential
from oracle_levels import comparable_day
from oracle_patterns import days

DAY_US = 86_400_000_000

Numbers = Mapping[str, float]
"""Of a bar, by name; NaN is not there."""


class Named(NamedTuple):
    """A pattern that a rule names."""

    pattern: str
    within: int = 1
    direction: int | None = None
    timeframe: str | None = None
    """None: of the rule's own bars."""


class Longer(NamedTuple):
    """A bar of a longer timeframe, and what holds on it."""

    start_us: int
    end_us: int
    held: Sequence["Held"]


Operand = Named | Callable[[Numbers], bool]


class Rule(NamedTuple):
    id: str
    all: Sequence[Operand] = ()
    any: Sequence[Operand] = ()
    direction: int | None = None
    cooldown: int = 0


class Held(NamedTuple):
    """A pattern that holds on a bar, or a rule that does."""

    pattern: str
    direction: int
    confidence: float
    bars: int
    stop: float | None
    target: float | None
    invalidation: float | None
    members: tuple[tuple[str, str | None, int], ...] = ()
    """Of a rule, as it names them: pattern, timeframe if it is not the rule's own, start of the bar."""


def held_by_rules(
    bars: Sequence[Bar],
    said: Mapping[int, Sequence[Held]],
    rules: Sequence[Rule],
    longer: Mapping[str, Sequence[Longer]] = MappingProxyType({}),
    bar_us: int = 60_000_000,
) -> Iterator[tuple[int, Held]]:
    """Every rule that holds, with its bar's start, in order of time, then of rules.

    said: what patterns hold on which bar, by its start. longer: all bars of timeframes that rules name, in order of
    time. bar_us: how long the bars are.
    """
    for day in days(bars, None):
        yield from _Session(day, said, longer, bar_us).held(rules)


class _Session:
    def __init__(
        self, day: Day, said: Mapping[int, Sequence[Held]], longer: Mapping[str, Sequence[Longer]], bar_us: int
    ) -> None:
        self.day = day
        self.longer = longer
        self.bar_us = bar_us
        self.held_at = {at: list(said.get(day.bars[at].ts_us, ())) for at in day.own}

    def held(self, rules: Sequence[Rule]) -> Iterator[tuple[int, Held]]:
        fired: dict[str, int] = {}
        for at in self.day.own:
            numbers = numbers_of(self.day, at)
            for rule in rules:
                if rule.id in fired and at - fired[rule.id] <= rule.cooldown:
                    continue
                holding = self.rule(rule, at, numbers)
                if holding is not None:
                    fired[rule.id] = at
                    self.held_at[at].append(holding)
                    yield self.day.bars[at].ts_us, holding

    def rule(self, rule: Rule, at: int, numbers: Numbers) -> Held | None:
        if rule.direction is not None:
            return self.one_way(rule, rule.direction, at, numbers)
        ways = [self.one_way(rule, way, at, numbers) for way in (1, -1)]
        agreed = [each for each in ways if each is not None and self.points(rule, each, at)]
        if len(agreed) == 2:
            return None
        return agreed[0] if agreed else self.one_way(rule, 0, at, numbers)

    def points(self, rule: Rule, holding: Held, at: int) -> bool:
        """Whether a pattern in it points its way of itself."""
        found = [self.newest(rule, each, holding.direction, at) for each in (*rule.all, *rule.any) if is_named(each)]
        return any(one is not None and one[1].direction == holding.direction for one in found)

    def one_way(self, rule: Rule, way: int, at: int, numbers: Numbers) -> Held | None:
        needed = [self.operand(rule, each, way, at, numbers) for each in rule.all]
        chosen = [self.operand(rule, each, way, at, numbers) for each in rule.any]
        if not all(needed) or (chosen and not any(chosen)):
            return None
        parts = [part for part in (*needed, *chosen) if part is not None]
        most = max((part.confidence for part in chosen if part is not None), default=1.0)
        drawn = [part for part in parts if part.is_here and part.direction == way and part.stop is not None]
        return Held(
            rule.id,
            way,
            min([*(part.confidence for part in needed if part is not None), most]),
            max(part.bars for part in parts),
            *((drawn[0].stop, drawn[0].target, drawn[0].invalidation) if drawn else (None, None, None)),
            tuple((part.pattern, part.timeframe, part.ts_us) for part in parts if part.pattern),
        )

    def operand(self, rule: Rule, operand: Operand, way: int, at: int, numbers: Numbers) -> "_Part | None":
        if not isinstance(operand, Named):
            return _Part("", 0, 0, 1.0, 1, False) if operand(numbers) else None
        if operand.timeframe is not None:
            return self.of_longer(rule, operand, operand.timeframe, way, at)
        found = self.newest(rule, operand, way, at)
        if found is None:
            return None
        back, held = found
        bars = held.bars if back == 0 else back + 1
        levels = (held.stop, held.target, held.invalidation)
        start_us = self.day.bars[at - back].ts_us
        return _Part(held.pattern, start_us, held.direction, held.confidence, bars, back == 0, *levels)

    def of_longer(self, rule: Rule, named: Named, timeframe: str, way: int, at: int) -> "_Part | None":
        end_us = self.day.bars[at].ts_us + self.bar_us
        bars = self.longer[timeframe]
        over = bisect_right(bars, end_us, key=lambda bar: bar.end_us)
        today = self.day.bars[self.day.begin].ts_us // DAY_US
        for bar in reversed(bars[max(0, over - named.within) : over]):
            if timeframe not in ("daily", "weekly") and bar.start_us // DAY_US != today:
                break
            for held in bar.held:
                if held.pattern == named.pattern and goes_along(rule, named, way, held.direction):
                    part = _Part(held.pattern, bar.start_us, held.direction, held.confidence, 1, False)
                    return part._replace(timeframe=timeframe)
        return None

    def newest(self, rule: Rule, named: Operand, way: int, at: int) -> tuple[int, Held] | None:
        """How many bars ago it held, and what was said of it then."""
        assert isinstance(named, Named)
        if named.timeframe is not None:
            part = self.of_longer(rule, named, named.timeframe, way, at)
            return part and (0, Held(part.pattern, part.direction, part.confidence, 1, None, None, None))
        for back in range(min(named.within, at - self.day.begin + 1)):
            for held in self.held_at[at - back]:
                if held.pattern == named.pattern and goes_along(rule, named, way, held.direction):
                    return back, held
        return None


class _Part(NamedTuple):
    pattern: str
    ts_us: int
    direction: int
    confidence: float
    bars: int
    is_here: bool
    stop: float | None = None
    target: float | None = None
    invalidation: float | None = None
    timeframe: str | None = None


def is_named(operand: Operand) -> bool:
    return isinstance(operand, Named)


def goes_along(rule: Rule, named: Named, way: int, direction: int) -> bool:
    """Whether a pattern of this direction may be part of a rule that is asked about one way."""
    if named.direction is not None and rule.direction is not None:
        return direction == named.direction
    if named.direction is not None:
        return direction == named.direction and direction in (way, 0)
    return rule.direction == 0 or direction in (way, 0)


@lru_cache(maxsize=1)
def macd(day: Day) -> tuple[list[float], list[float]]:
    """Its line and its signal, from the first bar on."""
    line = [fast - slow for fast, slow in zip(day.ema[12], day.ema[26], strict=True)]
    return line, exponential(line, 9)


def numbers_of(day: Day, at: int) -> dict[str, float]:
    """All that a bar has to be compared."""
    bar, mean = day.bars[at], day.mean_volume(at, 20)
    before = day.bars[at - 1].close if at else bar.open
    bands = day.bands[at] or (None, None, None)
    highs, lows = (prices[day.begin : at] for prices in (day.highs, day.lows))
    last: Session | None = comparable_day(day)
    off_vwap, k, less = day.off_vwap[at], day.raw_k[at], day.k_less_d[at]
    line, signal = macd(day)
    told = {
        **{name: getattr(bar, name) for name in ("open", "high", "low", "close", "volume")},
        "price_change": (bar.close / before - 1) * 100,
        "relative_volume": bar.volume / mean if mean else None,
        "atr": day.atr[at],
        "rsi": day.rsi[at],
        **{f"ema_{span}": day.ema[span][at] if at >= span - 1 else None for span in (9, 12, 20, 26)},
        "sma_50": day.mean(at, 50),
        "sma_200": day.mean(at, 200),
        "macd": line[at] if at >= 33 else None,
        "macd_signal": signal[at] if at >= 33 else None,
        "macd_histogram": day.histogram[at],
        "bollinger_lower": bands[0],
        "bollinger_middle": bands[1],
        "bollinger_upper": bands[2],
        "stochastic_k": k,
        "stochastic_d": None if k is None or less is None else k - less,
        "vwap": None if off_vwap is None else bar.close - off_vwap,
        "session_high": max(highs, default=None),
        "session_low": min(lows, default=None),
        **{f"previous_{name}": None if last is None else getattr(last, name) for name in ("high", "low", "close")},
        "previous_open": None if last is None else last.open,
    }
    return {name: math.nan if value is None else float(value) for name, value in told.items()}
