"""Technical indicators over arrays: TA-Lib's results, or pandas' where AppV2 uses those.

Every function takes one series, oldest first, as anything that numpy makes a float64 array of, and returns new float64
arrays of the same length. Values that are not there yet are NaN, exactly as many as TA-Lib's lookback. Leading NaN are
skipped, as TA-Lib does, so that indicators of indicators work; a number after them that is not finite, or a high below
its low, is a ValueError naming the row, as are columns of different lengths and periods out of range.

`seed` says how a recursive average begins: `"sma"` with the mean of the first n values (TA-Lib, Wilder), `"first"` with
the first value (pandas' `ewm(adjust=False, min_periods=n)`, AppV2). `ddof` 0 divides a variance by n (TA-Lib), 1 by
n - 1 (pandas, AppV2).

EMA, RSI, MACD, ATR, ADX, OBV and the stochastic equal TA-Lib 0.8 bit for bit. Means and deviations do not drift here,
as they do in TA-Lib, and equal it to 1e-12. Many symbols at once, bar by bar: `IndicatorStream`, with the same bits.

>>> import tickstockpl as tp
>>> tp.indicators.sma([1.0, 2.0, 3.0, 4.0], period=3).tolist()
[nan, nan, 2.0, 3.0]
"""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl._kernel import IndicatorStream
from tickstockpl._kernel import adx as _adx
from tickstockpl._kernel import atr as _atr
from tickstockpl._kernel import bollinger as _bollinger
from tickstockpl._kernel import directional as _directional
from tickstockpl._kernel import ema as _ema
from tickstockpl._kernel import macd as _macd
from tickstockpl._kernel import obv as _obv
from tickstockpl._kernel import pivots as _pivots
from tickstockpl._kernel import rsi as _rsi
from tickstockpl._kernel import sma as _sma
from tickstockpl._kernel import stochastic as _stochastic
from tickstockpl._kernel import volume_ratio as _volume_ratio
from tickstockpl._kernel import vwap as _vwap
from tickstockpl.columns import whole

__all__ = [
    "Bollinger",
    "Directional",
    "IndicatorStream",
    "Macd",
    "Pivots",
    "Stochastic",
    "Vwap",
    "adx",
    "atr",
    "bollinger",
    "directional",
    "ema",
    "macd",
    "obv",
    "pivots",
    "rsi",
    "sma",
    "stochastic",
    "volume_ratio",
    "vwap",
]

Seed: TypeAlias = Literal["sma", "first"]
_F64: TypeAlias = NDArray[np.float64]


class Macd(NamedTuple):
    """In price."""

    macd: _F64
    signal: _F64
    histogram: _F64


class Bollinger(NamedTuple):
    """In the unit of the series."""

    upper: _F64
    middle: _F64
    lower: _F64


class Directional(NamedTuple):
    """0 to 100 each."""

    adx: _F64
    plus_di: _F64
    minus_di: _F64


class Stochastic(NamedTuple):
    """0 to 100 each, to rounding."""

    slow_k: _F64
    slow_d: _F64


class Vwap(NamedTuple):
    """In price; the bands of k standard deviations are `vwap + k * sigma` and `vwap - k * sigma`."""

    vwap: _F64
    sigma: _F64


class Pivots(NamedTuple):
    """In price."""

    pivot: _F64
    r1: _F64
    r2: _F64
    r3: _F64
    s1: _F64
    s2: _F64
    s3: _F64


def _f64(column: ArrayLike) -> _F64:
    return np.ascontiguousarray(column, dtype=np.float64)


def _out(columns: int, series: _F64) -> _F64:
    """Room for a result; its columns are made as one block, which costs less than as many small ones."""
    return np.empty((columns, len(series)), dtype=np.float64)


def sma(values: ArrayLike, period: int = 20) -> _F64:
    """The mean of the last `period` values, 1 to 100,000. Lookback period - 1.

    The sum is compensated: right to the last bit after any number of bars.

    >>> sma([10.0, 11.0, 12.0], 2).tolist()
    [nan, 10.5, 11.5]
    """
    series = _f64(values)
    _sma(series, period, out := _out(1, series))
    return out.reshape(-1)


def ema(values: ArrayLike, period: int = 20, *, seed: Seed = "sma") -> _F64:
    """Exponential average with k = 2/(period + 1), period 1 to 100,000. Lookback period - 1 on either seed.

    Source: TA-Lib 0.8 `EMA`; `seed="first"`: `Series.ewm(span=period, adjust=False, min_periods=period).mean()`.

    >>> ema([1.0, 2.0, 3.0, 6.0], 3).tolist()
    [nan, nan, 2.0, 4.0]
    """
    series = _f64(values)
    _ema(series, period, seed, out := _out(1, series))
    return out.reshape(-1)


def rsi(values: ArrayLike, period: int = 14, *, seed: Seed = "sma") -> _F64:
    """Relative strength index, 0 to 100; 0 where nothing has moved. period 2 to 100,000.

    Lookback period; with `seed="first"` period - 1. Source: Wilder (1978), ch. 6; TA-Lib 0.8 `RSI`; AppV2
    `src/analysis/indicators/rsi.py`, whose 100 during warm-up is NaN here.

    >>> rsi([1.0, 2.0, 3.0, 2.0], 2).tolist()
    [nan, nan, 100.0, 50.0]
    """
    series = _f64(values)
    _rsi(series, period, seed, out := _out(1, series))
    return out.reshape(-1)


def macd(values: ArrayLike, fast: int = 12, slow: int = 26, signal: int = 9, *, seed: Seed = "sma") -> Macd:
    """EMA(fast) - EMA(slow), its EMA(signal), and their difference. Lookback slow + signal - 2, on either seed.

    fast, slow: 2 to 100,000, the shorter is the fast one; signal: 1 to 100,000. As in TA-Lib the fast average is seeded
    where the slow one is, so `macd` is not `ema(fast) - ema(slow)` to the last bit. Source: TA-Lib 0.8 `MACD`.

    >>> macd([1.0, 2.0, 3.0, 4.0], 2, 3, 1).macd.tolist()
    [nan, nan, 0.5, 0.5]
    """
    series = _f64(values)
    _macd(series, fast, slow, signal, seed, out := _out(3, series))
    return Macd(*out)


def bollinger(values: ArrayLike, period: int = 20, deviations: float = 2.0, *, ddof: Literal[0, 1] = 0) -> Bollinger:
    """The mean of `period` values, 2 to 100,000, and `deviations` standard deviations around it. Lookback period - 1.

    The deviation is summed anew each bar: O(period), no drift, and exactly 0 on equal values. Source: TA-Lib 0.8
    `BBANDS`; `ddof=1`: `Series.rolling(period).std()`.

    >>> upper, middle, lower = bollinger([1.0, 3.0], 2)
    >>> upper[1], middle[1], lower[1]
    (np.float64(4.0), np.float64(2.0), np.float64(0.0))
    """
    series = _f64(values)
    _bollinger(series, period, deviations, ddof, out := _out(3, series))
    return Bollinger(*out)


def atr(high: ArrayLike, low: ArrayLike, close: ArrayLike, period: int = 14, *, seed: Seed = "sma") -> _F64:
    """Wilder's average true range, in price. period 1 to 100,000.

    Lookback period; with `seed="first"` period - 1, the first bar counting with high - low. Source: Wilder (1978),
    ch. 3; TA-Lib 0.8 `ATR`; AppV2 `src/analysis/indicators/atr.py`.

    >>> atr([2.0, 3.0, 4.0], [1.0, 2.0, 3.0], [1.5, 2.5, 3.5], 2).tolist()
    [nan, nan, 1.5]
    """
    last = _f64(close)
    _atr((_f64(high), _f64(low), last), period, seed, out := _out(1, last))
    return out.reshape(-1)


def adx(high: ArrayLike, low: ArrayLike, close: ArrayLike, period: int = 14, *, seed: Seed = "sma") -> _F64:
    """Average directional movement index, 0 to 100. Lookback 2 * period - 1, on either seed; see `directional`.

    >>> adx([2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 3.5, 4.5], 2).tolist()
    [nan, nan, nan, 100.0]
    """
    last = _f64(close)
    _adx((_f64(high), _f64(low), last), period, seed, out := _out(1, last))
    return out.reshape(-1)


def directional(
    high: ArrayLike, low: ArrayLike, close: ArrayLike, period: int = 14, *, seed: Seed = "sma"
) -> Directional:
    """ADX with +DI and -DI, 0 to 100; period 2 to 100,000. Lookback 2 * period - 1, of the two indicators period.

    Source: Wilder (1978), ch. 4; TA-Lib 0.8 `ADX`, `PLUS_DI`, `MINUS_DI`; `seed="first"`: AppV2
    `src/analysis/indicators/adx.py`, whose zeros during warm-up seed its averages and are NaN here.
    """
    last = _f64(close)
    _directional((_f64(high), _f64(low), last), period, seed, out := _out(3, last))
    return Directional(*out)


def obv(close: ArrayLike, volume: ArrayLike) -> _F64:
    """On-balance volume, in shares, from the first volume on. No lookback. Source: TA-Lib 0.8 `OBV`.

    >>> obv([1.0, 2.0, 1.0], [10.0, 20.0, 5.0]).tolist()
    [10.0, 30.0, 25.0]
    """
    last = _f64(close)
    _obv(last, _f64(volume), out := _out(1, last))
    return out.reshape(-1)


def stochastic(
    high: ArrayLike, low: ArrayLike, close: ArrayLike, k: int = 14, slow_k: int = 3, slow_d: int = 3
) -> Stochastic:
    """Slow %K and %D with simple means, 0 to 100; 0 where the window is flat. Lookback k + slow_k + slow_d - 3.

    The means are running totals, as TA-Lib keeps them: smoothed lines may pass 100 or 0 by their rounding, 2e-12 after
    300,000 bars. Periods from 1 to 100,000. Source: TA-Lib 0.8 `STOCH`. AppV2's raw %K is `slow_k=1`; it shows 50 on a
    flat window, and so do live readings.

    >>> stochastic([2.0, 3.0], [1.0, 2.0], [1.0, 3.0], 2, 1, 1).slow_k.tolist()
    [nan, 100.0]
    """
    last = _f64(close)
    _stochastic((_f64(high), _f64(low), last), k, slow_k, slow_d, out := _out(2, last))
    return Stochastic(*out)


def vwap(
    high: ArrayLike, low: ArrayLike, close: ArrayLike, volume: ArrayLike, session: ArrayLike | None = None
) -> Vwap:
    """Volume-weighted mean of (high + low + close)/3 since the session's first bar, and its standard deviation.

    session: whole numbers, one a bar, say the day's; where it changes a session begins. None: one session. No lookback;
    NaN until a share of the session was traded. Raises ValueError for a negative volume and a fraction in `session`,
    too. Source: West (1979), WV2.

    >>> vwap([1.0, 4.0, 9.0], [1.0, 4.0, 9.0], [1.0, 4.0, 9.0], [2, 1, 5], session=[1, 1, 2]).vwap.tolist()
    [1.0, 2.0, 9.0]
    """
    days = None if session is None else whole("session", session)
    last = _f64(close)
    _vwap((_f64(high), _f64(low), last), _f64(volume), days, out := _out(2, last))
    return Vwap(*out)


def volume_ratio(volume: ArrayLike, period: int = 20) -> _F64:
    """Volume over the mean of the `period` volumes before it, 1 to 100,000; NaN where those are 0. Lookback period.

    >>> volume_ratio([10, 30, 40], 2).tolist()
    [nan, nan, 2.0]
    """
    series = _f64(volume)
    _volume_ratio(series, period, out := _out(1, series))
    return out.reshape(-1)


def pivots(
    high: ArrayLike, low: ArrayLike, close: ArrayLike, kind: Literal["standard", "fibonacci"] = "standard"
) -> Pivots:
    """Pivot points for the period that follows each of these finished ones, say of days. No lookback, not rounded.

    Source: Person (2004), ch. 5; Fibonacci levels lie 0.382, 0.618 and 1 ranges away.

    >>> pivots([12.0], [9.0], [9.0]).r1.tolist()
    [11.0]
    """
    last = _f64(close)
    _pivots((_f64(high), _f64(low), last), kind, out := _out(7, last))
    return Pivots(*out)
