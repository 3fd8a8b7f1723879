"""What TA-Lib and pandas find of our patterns: the 61 candlestick functions, and the rules that whole columns can say.

Chart patterns are not among them: a swing is known bar by bar, and a loop in Python over bars is no vector any more.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import tickstockpl as tp
from benches import peers

Signs = NDArray[np.signedinteger[Any]]
DAY_US = 86_400_000_000
NEUTRAL = 2
"""Where a pattern holds, it is 1 for bullish, -1 for bearish, and this; of candlesticks what TA-Lib answers."""

COOLDOWN = {
    **dict.fromkeys(("new_high_20", "new_low_20", "high_volume_surge", "high_of_day", "low_of_day"), 5),
    **dict.fromkeys(("ema_9_20_cross", "ma_crossover", "golden_cross", "macd_cross", "stochastic_cross"), 5),
    **dict.fromkeys(("rsi_reversal", "rsi_extreme"), 5),
    **dict.fromkeys(("trending_up", "trending_down", "trending_up_spec", "trending_down_spec"), 5),
    **dict.fromkeys(("range_breakout", "squeeze_breakout", "squeeze_on", "vwap_cross"), 10),
}
"""Bars of a session after a firing in which a pattern is not looked for."""

CANDLES = {f"cdl_{name[3:].lower()}": name for name in tp.CANDLESTICKS}
"""TA-Lib's functions by the ids of our patterns."""


def found(columns: dict[str, NDArray[Any]]) -> dict[str, Signs]:
    """By pattern, which bars of one symbol it holds on: the oldest first, days of UTC as sessions."""
    return candlesticks(columns) | quiet(breakouts(columns), columns["ts_us"] // DAY_US)


def candlesticks(columns: dict[str, NDArray[Any]]) -> dict[str, Signs]:
    prices = [columns[name] for name in ("open", "high", "low", "close")]
    return {each: getattr(peers.talib, name)(*prices) for each, name in CANDLES.items()}


def breakouts(columns: dict[str, NDArray[Any]]) -> dict[str, Signs]:
    """The rules of `rust/kernel/src/pattern/`, without the silence after a firing."""
    bar = pd.DataFrame(columns)
    opened, high, low, close = bar["open"], bar["high"], bar["low"], bar["close"]
    volume = bar["volume"].astype(np.float64)
    day = bar["ts_us"] // DAY_US
    atr = average_range(bar, day)
    a = atr.where((np.arange(len(bar)) >= 13) & (atr > 1e-5 * close))
    top, bottom = high.shift().rolling(20).max(), low.shift().rolling(20).min()
    ema = {span: close.ewm(span=span, adjust=False).mean() for span in (9, 12, 20, 26)}
    macd = ema[12] - ema[26]
    ema_12_26 = behind(25, macd)
    rsi = strength(close)
    k = stochastic(high, low, close)
    k_less_d = k - k.rolling(3).mean()
    k_way = crosses(k_less_d.mask(k_less_d.abs() < 1e-9, 0.0))
    off_vwap = close - session_vwap(bar, volume, day)
    vwap_way = np.where(day == day.shift(), crosses(off_vwap), 0)
    slope, fit = line(close)
    mean_volume = volume.shift().rolling(20).mean()
    busy = ((volume >= 1.5 * mean_volume) & (mean_volume > 0)).rolling(5).sum()
    move = close - close.shift(5)
    middle, sigma = close.rolling(20).mean(), close.rolling(20).std()
    upper, lower = middle + 2 * sigma, middle - 2 * sigma
    width = (upper - lower) / middle
    narrow = (width < width.shift().rolling(119).min()).astype(np.float64).rolling(11, min_periods=1).max() > 0
    squeezed = (upper < ema[20] + 1.5 * atr) & (lower > ema[20] - 1.5 * atr)
    was_squeezed = squeezed.shift(fill_value=False)
    after_squeeze = ~squeezed & (was_squeezed.astype(np.float64).rolling(10, min_periods=1).max() > 0)
    leaves = crosses(close - upper, up=True) + crosses(close - lower, down=True)
    colour = np.where(close > opened, 1, np.where(close < opened, -1, NEUTRAL))
    size = high - low
    tops, bottoms = np.maximum(opened, close), np.minimum(opened, close)
    above, below = high - tops, bottoms - low
    pins_up = below >= above
    third, equal = size / 3, 1e-9 * close
    is_outer = np.where(pins_up, bottoms - (high - third) >= -equal, tops - (low + third) <= equal)
    is_pin = is_outer & (np.maximum(above, below) - 2 * third >= -equal)
    is_pin &= (tops - bottoms - third <= equal) & (size - 0.8 * a >= -equal)
    highest, lowest = high.groupby(day).cummax(), low.groupby(day).cummin()
    same = day == day.shift()
    measured = a.notna()
    into, out_of = crosses(rsi - 30), crosses(rsi - 70)
    donchian = np.where(measured & (close > top) & (close.shift() <= top.shift()), 1, 0)
    donchian -= np.where(measured & (close < bottom) & (close.shift() >= bottom.shift()), 1, 0)
    way: dict[str, Any] = {
        "new_high_20": np.where(measured & (high > top), 1, 0),
        "new_low_20": np.where(measured & (low < bottom), -1, 0),
        "donchian_breakout": donchian,
        "high_volume_surge": np.where(measured & (busy >= 3) & (move.abs() >= 1.5 * a), np.sign(move), 0),
        "range_breakout": np.where(narrow, leaves, 0),
        "squeeze_breakout": np.where(after_squeeze, leaves, 0),
        "squeeze_on": np.where(squeezed & ~was_squeezed, NEUTRAL, 0),
        "ema_9_20_cross": crosses(behind(19, ema[9] - ema[20])),
        "ma_crossover": np.where(ema_12_26.shift() == 0, 0, crosses(ema_12_26)),
        "golden_cross": crosses(close.rolling(50).mean() - close.rolling(200).mean()),
        "macd_cross": crosses(behind(33, macd - macd.ewm(span=9, adjust=False).mean())),
        "rsi_reversal": np.where(into == 1, 1, np.where(out_of == -1, -1, 0)),
        "rsi_extreme": np.where((into == -1) | (out_of == 1), NEUTRAL, 0),
        "stochastic_cross": np.where((k_way == 1) & (k < 20), 1, np.where((k_way == -1) & (k > 80), -1, 0)),
        "vwap_cross": np.where(measured & (off_vwap.abs() >= 0.1 * a), vwap_way, 0),
        "trending_up": np.where((slope > 0.15 * a) & (fit > 0.7), 1, 0),
        "trending_down": np.where((-slope > 0.15 * a) & (fit > 0.7), -1, 0),
        "trending_up_spec": np.where(slope > 0.01, 1, 0),
        "trending_down_spec": np.where(-slope > 0.01, -1, 0),
        "pin_bar": np.where(is_pin, np.where(pins_up, 1, -1), 0),
        "closed_in_top_range": np.where((close >= high - 0.10 * size) & (size >= 0.02), 1, 0),
        "closed_in_bottom_range": np.where((close <= low + 0.10 * size) & (size >= 0.02), -1, 0),
        "volume_spike": np.where((mean_volume > 0) & (volume > 3 * mean_volume), colour, 0),
        "high_of_day": np.where(same & (high > highest.shift()), 1, 0),
        "low_of_day": np.where(same & (low < lowest.shift()), -1, 0),
    }
    return {name: np.asarray(value).astype(np.int8) for name, value in way.items()}


def quiet(way: dict[str, Signs], day: NDArray[np.int64]) -> dict[str, Signs]:
    """The same without what comes within a pattern's silence after it has held; a session begins it anew."""
    for name, bars in COOLDOWN.items():
        value = way[name]
        last, of = -1_000, -1
        rows = np.flatnonzero(value)
        for row, its_day in zip(rows.tolist(), day[rows].tolist(), strict=True):
            if its_day == of and row - last <= bars:
                value[row] = 0
            else:
                last, of = row, its_day
    return way


def crosses(value: "pd.Series[float]", *, up: bool = False, down: bool = False) -> NDArray[np.int64]:
    """1 where it goes from 0 or below to above 0, -1 the other way; one of them alone, if that is asked for."""
    was = value.shift()
    rises = ((was <= 0) & (value > 0)).to_numpy() & (not down)
    falls = ((was >= 0) & (value < 0)).to_numpy() & (not up)
    signs: NDArray[np.int64] = rises.astype(np.int64) - falls.astype(np.int64)
    return signs


def behind(warm: int, value: "pd.Series[float]") -> "pd.Series[float]":
    return value.where(np.arange(len(value)) >= warm)


def average_range(bar: pd.DataFrame, day: "pd.Series[int]") -> "pd.Series[float]":
    """Wilder's over 14 bars, before that the mean of the ranges so far; a session's first bar has its own range."""
    high, low, before = bar["high"], bar["low"], bar["close"].shift()
    own = high - low
    reach = np.maximum(own, np.maximum((high - before).abs(), (low - before).abs()))
    ranges = reach.where(day == day.shift(), own)
    begun = ranges.iloc[:14].expanding().mean()
    return pd.concat([begun.iloc[:13], wilder(pd.concat([begun.iloc[13:], ranges.iloc[14:]]))])


def wilder(value: "pd.Series[float]") -> "pd.Series[float]":
    return value.ewm(alpha=1 / 14, adjust=False).mean()


def strength(close: "pd.Series[float]") -> "pd.Series[float]":
    """RSI over 14 bars."""
    change = close.diff().fillna(0.0)
    gain, loss = wilder(change.clip(lower=0)), wilder(-change.clip(upper=0))
    value = 100 - 100 / (1 + gain / loss)
    return behind(13, value.mask(gain == 0, 0.0).where((gain > 0) | (loss > 0)))


def stochastic(high: "pd.Series[float]", low: "pd.Series[float]", close: "pd.Series[float]") -> "pd.Series[float]":
    """%K over 14 bars; 50 where there is no range."""
    top, bottom = high.rolling(14).max(), low.rolling(14).min()
    return (100 * ((close - bottom) / (top - bottom))).mask(top == bottom, 50.0)


def session_vwap(bar: pd.DataFrame, volume: "pd.Series[float]", day: "pd.Series[int]") -> "pd.Series[float]":
    """Of typical prices."""
    traded = (bar["high"] + bar["low"] + bar["close"]) / 3 * volume
    return traded.groupby(day).cumsum() / volume.groupby(day).cumsum()


def line(close: "pd.Series[float]") -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """Slope and R² of the least squares line through 10 closes."""
    n = 10
    across = n * (n * n - 1) / 12
    products = np.convolve(close - close.iloc[0], 4.5 - np.arange(n))[: len(close)]
    product = behind(n - 1, pd.Series(products, close.index))
    spread = close.rolling(n).var(ddof=0) * n
    return product / across, (product * product / (across * spread)).where(spread > 0, 0.0)


def apart(ours: tp.Detections, theirs: dict[str, Signs], symbol: str, ts_us: NDArray[np.int64]) -> tuple[int, int]:
    """On how many of a symbol's bars the two differ about a pattern that both know, and how many ours finds of them."""
    ids = [pattern["id"] for pattern in ours.patterns]
    mine = ours.symbol == ours.symbols.index(symbol)
    differ = held = 0
    for name, value in theirs.items():
        at = mine & (ours.pattern == ids.index(name))
        way = np.where(ours.direction[at] == 0, NEUTRAL, ours.direction[at])
        own = np.zeros(len(ts_us), np.int64)
        own[np.searchsorted(ts_us, ours.ts_us[at])] = ours.talib_value[at] if name in CANDLES else way
        differ += int(np.count_nonzero(own != value))
        held += int(np.count_nonzero(own))
    return differ, held
