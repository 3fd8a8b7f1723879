"""The rules of TickStock's earlier specification, by its own pandas formulas, beside what the engine finds.

The engine differs in three ways that are meant: it rests for five bars after some firings; it begins averages anew at
each open with the 200 bars before it, which these bars do not show; and `day1_breakout` looks at 150 minutes where the
formula asks for the hours 9 to 12, and at the mean volume of the 50 bars before the one in question. Where the slope of
closes is 0.01, rounding decides.

Source: TickStockAppV2, docs/planning/patterns_library_patterns.md, at 4ac55ce.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

import tickstockpl as tp
from oracle_bars import Bar
from pattern_play import MINUTE_US, PATTERN_IDS, SPY, US22, columns, market_data, real_bars, settings
from swing_walk import swings

DAY_US = 1_440 * MINUTE_US
TIE = 1e-9
"""In price."""


def slope(closes: pd.Series) -> pd.Series:
    """Of the least squares line through the last 10, in price a bar."""
    slopes = np.polyfit(np.arange(10), np.lib.stride_tricks.sliding_window_view(closes.to_numpy(), 10).T, 1)[0]
    return pd.Series(np.concatenate([np.full(9, np.nan), slopes]), index=closes.index)


def frame_of(bars: list[Bar]) -> pd.DataFrame:
    """Columns by time, with the day and the slope of the last 10 closes."""
    names = ("ts_us", "open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: [getattr(bar, name) for bar in bars] for name in names})
    frame = frame.set_index(pd.to_datetime(frame.ts_us, unit="us"))
    return frame.assign(day=frame.ts_us // DAY_US, slope=slope(frame.close))


def body(bars: pd.DataFrame) -> pd.Series:
    return (bars.close - bars.open).abs()


def doji(bars: pd.DataFrame) -> pd.Series:
    return (body(bars) <= 0.01 * (bars.high - bars.low)) & (bars.high - bars.low >= 0.01)


def hammer(bars: pd.DataFrame) -> pd.Series:
    lower = bars[["open", "close"]].min(axis=1) - bars.low
    upper = bars.high - bars[["open", "close"]].max(axis=1)
    return (lower >= 2 * body(bars)) & (upper < body(bars)) & (body(bars) >= 0.01)


def bullish_engulfing(bars: pd.DataFrame) -> pd.Series:
    before = bars.shift(1)
    covers = (bars.open <= before.close) & (bars.close >= before.open) & (body(bars) >= 1.1 * body(before))
    return (before.close < before.open) & (bars.close > bars.open) & covers


def bearish_engulfing(bars: pd.DataFrame) -> pd.Series:
    before = bars.shift(1)
    covers = (bars.open >= before.close) & (bars.close <= before.open) & (body(bars) >= 1.1 * body(before))
    return (before.close > before.open) & (bars.close < bars.open) & covers


def closed_in_top_range(bars: pd.DataFrame) -> pd.Series:
    spread = bars.high - bars.low
    return (bars.close >= bars.high - 0.10 * spread) & (spread >= 0.02)


def closed_in_bottom_range(bars: pd.DataFrame) -> pd.Series:
    spread = bars.high - bars.low
    return (bars.close <= bars.low + 0.10 * spread) & (spread >= 0.02)


def ema_gap(bars: pd.DataFrame) -> pd.Series:
    return bars.close.ewm(span=12, adjust=False).mean() - bars.close.ewm(span=26, adjust=False).mean()


def crosses_up(bars: pd.DataFrame) -> pd.Series:
    gap = ema_gap(bars)
    return (gap.shift(1) < 0) & (gap > 0)


def crosses_down(bars: pd.DataFrame) -> pd.Series:
    gap = ema_gap(bars)
    return (gap.shift(1) > 0) & (gap < 0)


def high_of_day(bars: pd.DataFrame) -> pd.Series:
    return bars.high > bars.groupby("day").high.cummax().groupby(bars.day).shift(1)


def low_of_day(bars: pd.DataFrame) -> pd.Series:
    return bars.low < bars.groupby("day").low.cummin().groupby(bars.day).shift(1)


def trending_up(bars: pd.DataFrame) -> pd.Series:
    return bars.slope > 0.01


def trending_down(bars: pd.DataFrame) -> pd.Series:
    return bars.slope < -0.01


def breaks_out(bars: pd.DataFrame) -> pd.Series:
    return bars.close > bars.high.rolling(20).max().shift(1)


def breaks_down(bars: pd.DataFrame) -> pd.Series:
    return bars.close < bars.low.rolling(20).min().shift(1)


def day1(breaks: Callable[[pd.DataFrame], pd.Series], bars: pd.DataFrame) -> pd.Series:
    hours = pd.Series((bars.index.hour >= 9) & (bars.index.hour <= 12), index=bars.index)
    return hours & breaks(bars) & (bars.volume > 1.5 * bars.volume.rolling(50).mean())


def day1_as_it_is(breaks: Callable[[pd.DataFrame], pd.Series], bars: pd.DataFrame) -> pd.Series:
    minute = (bars.ts_us // MINUTE_US % 1_440) - 570
    loud = bars.volume > 1.5 * bars.volume.rolling(50).mean().shift(1)
    return (minute >= 0) & (minute < 150) & breaks(bars) & loud


Formula = Callable[[pd.DataFrame], pd.Series]

FORMULAS: dict[tuple[str, int], Formula] = {
    ("doji_spec", 0): doji,
    ("hammer_spec", 1): hammer,
    ("hanging_man_spec", -1): hammer,
    ("engulfing_spec", 1): bullish_engulfing,
    ("engulfing_spec", -1): bearish_engulfing,
    ("closed_in_top_range", 1): closed_in_top_range,
    ("closed_in_bottom_range", -1): closed_in_bottom_range,
    ("ma_crossover", 1): crosses_up,
    ("ma_crossover", -1): crosses_down,
    ("high_of_day", 1): high_of_day,
    ("low_of_day", -1): low_of_day,
    ("trending_up_spec", 1): trending_up,
    ("trending_down_spec", -1): trending_down,
    ("day1_breakout", 1): partial(day1_as_it_is, breaks_out),
    ("day1_breakout", -1): partial(day1_as_it_is, breaks_down),
}
RESTS = {"ma_crossover", "high_of_day", "low_of_day", "trending_up_spec", "trending_down_spec", "day1_breakout"}
"""Silent for five bars of the session after each firing, whichever way."""
BARS_NEEDED = {"ma_crossover": 27}


def ties(pattern: str, bars: pd.DataFrame) -> pd.Series:
    """Bars at which rounding decides."""
    if pattern.startswith("trending"):
        return (bars.slope.abs() - 0.01).abs() < TIE
    return pd.Series(False, index=bars.index)


def silenced(fired: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Bars within five bars of the same day after one of these firings."""
    silent = np.zeros(len(fired), dtype=bool)
    for place in np.flatnonzero(fired):
        after = slice(place + 1, place + 6)
        silent[after] |= day[after] == day[place]
    return silent


def regular_days(series: dict[str, list[Bar]]) -> list[tuple[int, int]]:
    """09:30 to 16:00 of each day, by the stamps as they are."""
    days = sorted({bar.ts_us // DAY_US * DAY_US for bars in series.values() for bar in bars})
    return [(day + 570 * MINUTE_US, day + 960 * MINUTE_US) for day in days]


def found_in(series: dict[str, list[Bar]]) -> dict[str, dict[tuple[str, int], set[int]]]:
    """Stamps of what the engine finds in regular hours, by symbol, pattern and direction."""
    ids = tuple({pattern for pattern, _ in FORMULAS})
    rows = tp.scan(columns(series), settings=settings(ids, regular_days(series)))
    found: dict[str, dict[tuple[str, int], set[int]]] = {symbol: {} for symbol in series}
    for symbol, pattern, direction, ts_us in zip(rows.symbol, rows.pattern, rows.direction, rows.ts_us, strict=True):
        key = (PATTERN_IDS[pattern], int(direction))
        found[rows.symbols[symbol]].setdefault(key, set()).add(int(ts_us))
    return found


def assert_is_the_formulas(series: dict[str, list[Bar]]) -> Counter[str]:
    """What the engine finds, the formula finds; what else that finds comes while the engine rests, or is a tie."""
    found, fired = found_in(series), Counter[str]()
    for symbol, own in series.items():
        bars = frame_of([bar for bar in own if 570 <= bar.ts_us // MINUTE_US % 1_440 < 960])
        at = {key: bars.ts_us.isin(list(stamps)).to_numpy() for key, stamps in found[symbol].items()}
        none = np.zeros(len(bars), dtype=bool)
        for (pattern, direction), formula in FORMULAS.items():
            engine, specified = at.get((pattern, direction), none), formula(bars).to_numpy()
            tie = ties(pattern, bars).to_numpy()
            both_ways = np.logical_or.reduce([at.get((pattern, way), none) for way in (1, 0, -1)])
            silent = silenced(both_ways, bars.day.to_numpy()) if pattern in RESTS else none
            warm = np.arange(len(bars)) >= BARS_NEEDED.get(pattern, 1) - 1
            assert not (engine & ~specified & ~tie).any(), (symbol, pattern)
            assert not (specified & ~engine & ~silent & ~tie & warm).any(), (symbol, pattern)
            fired[pattern] += int(engine.sum())
    return fired


def in_regular_hours(seed: int, days: int) -> list[Bar]:
    bars: list[Bar] = []
    for day in range(days):
        start_us = (17_942 + day) * DAY_US + 570 * MINUTE_US
        bars += swings(10 * seed + day, 390, units=10_000, step=0.01, start_us=start_us)
    return bars


def test_events_on_swings_are_those_of_the_specifications_formulas() -> None:
    fired = assert_is_the_formulas({f"ZZTEST{seed}": in_regular_hours(seed, 4) for seed in range(5)})
    assert min(fired[pattern] for pattern, _ in FORMULAS) > 2


@market_data
@pytest.mark.parametrize("file", [US22, SPY])
def test_events_on_real_bars_are_those_of_the_specifications_formulas(file: str) -> None:
    fired = assert_is_the_formulas(real_bars(file))
    assert min(fired[pattern] for pattern, _ in FORMULAS) >= 20


@market_data
def test_day1_is_its_formula_but_for_the_hours_the_rests_and_a_bars_own_volume_in_the_mean() -> None:
    series = real_bars(US22)
    found, seen = found_in(series), Counter[str]()
    for symbol, own in series.items():
        bars = frame_of(own)
        is_late = bars.ts_us // MINUTE_US % 1_440 >= 720
        for direction, breaks in ((1, breaks_out), (-1, breaks_down)):
            engine = bars.ts_us.isin(list(found[symbol].get(("day1_breakout", direction), ())))
            formula, as_it_is = day1(breaks, bars), day1_as_it_is(breaks, bars)
            counts = {
                "engine": engine,
                "formula": formula,
                "both": engine & formula,
                "only the formula, from noon on": formula & is_late,
                "only the formula, at rest": formula & ~is_late & ~engine & as_it_is,
                "only the formula, by its mean": formula & ~is_late & ~as_it_is,
                "only the engine, by its mean": engine & ~formula,
            }
            seen.update({name: int(bars_of.sum()) for name, bars_of in counts.items()})
    assert seen == {
        "engine": 413,
        "formula": 829,
        "both": 406,
        "only the formula, from noon on": 237,
        "only the formula, at rest": 180,
        "only the formula, by its mean": 6,
        "only the engine, by its mean": 7,
    }
