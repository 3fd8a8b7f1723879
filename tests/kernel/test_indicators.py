"""The indicators equal TA-Lib 0.8, or pandas where AppV2 uses it; they do not drift, and refuse what spoils them."""

import ast
import doctest
import math
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from talib import abstract

import price_series
import tickstockpl as tp
from price_series import F64, MARKET, SERIES, Bars, drawn, real_bars

ta = tp.indicators
series = price_series.series
STUB = Path(tp.__file__).with_name("_kernel.pyi")
SMA = 0  # TA-Lib's type of average
PERIODS = (2, 3, 9, 14, 20, 50)
MACDS = ((12, 26, 9), (5, 35, 5), (26, 12, 9), (2, 3, 1), (3, 10, 16))
STOCHASTICS = ((14, 3, 3), (5, 3, 3), (1, 1, 1), (9, 1, 4), (3, 8, 2))


def assert_bits(ours: F64, expected: F64, what: object = "") -> None:
    """Equal bit for bit, NaN where NaN is, signs of zeros aside."""
    np.testing.assert_array_equal(ours, expected, err_msg=str(what))


def assert_near(ours: F64, expected: F64, what: object = "") -> None:
    """Equal to 1e-12, NaN exactly where NaN is."""
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=0, equal_nan=True, err_msg=str(what))


def assert_equals_talib(bars: Bars, periods: tuple[int, ...] = PERIODS) -> None:
    """All that TA-Lib knows, for some periods."""
    _, high, low, close, volume = bars
    for n in periods:
        assert_bands((ta.sma(close, n),) * 3, (talib.SMA(close, n),) * 3, close, n, 0.0)
        assert_bits(ta.ema(close, n), talib.EMA(close, n), n)
        assert_bits(ta.rsi(close, n), talib.RSI(close, n), n)
        assert_bits(ta.atr(high, low, close, n), talib.ATR(high, low, close, n), n)
        assert_bits(ta.adx(high, low, close, n), talib.ADX(high, low, close, n), n)
        lines = ta.directional(high, low, close, n)
        assert_bits(lines.adx, talib.ADX(high, low, close, n), n)
        assert_bits(lines.plus_di, talib.PLUS_DI(high, low, close, n), n)
        assert_bits(lines.minus_di, talib.MINUS_DI(high, low, close, n), n)
        assert_bands(ta.bollinger(close, n, 2.5), talib.BBANDS(close, n, 2.5, 2.5), close, n, 2.5)
    for spans in MACDS:
        for ours, expected in zip(ta.macd(close, *spans), talib.MACD(close, *spans), strict=True):
            assert_bits(ours, expected, spans)
    for k, slow_k, slow_d in STOCHASTICS:
        expected_lines = cast("Any", talib).STOCH(high, low, close, k, slow_k, SMA, slow_d, SMA)
        for ours, expected in zip(ta.stochastic(high, low, close, k, slow_k, slow_d), expected_lines, strict=True):
            assert_bits(ours, expected, (k, slow_k, slow_d))
    assert_bits(ta.obv(close, volume), talib.OBV(close, volume))


def assert_bands(bands: tuple[F64, ...], expected: tuple[F64, ...], close: F64, n: int, width: float) -> int:
    """Upper, middle and lower equal to 1e-12, or else ours is right: TA-Lib's totals remember what has left the window.

    Returns in how many cells exact arithmetic had to decide.
    """
    decided = 0
    for ours, theirs, side in zip(bands, expected, (1, 0, -1), strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=str(n))
        for row in np.flatnonzero(np.abs(ours - theirs) > 1e-12 * np.abs(theirs)):
            window = [Fraction(x) for x in close[row - n + 1 : row + 1].tolist()]
            mean = sum(window) / n
            sigma = math.sqrt(sum((x - mean) ** 2 for x in window) / n)
            size = float(max(map(abs, window)))
            assert ours[row] == pytest.approx(float(mean) + side * width * sigma, rel=0, abs=4e-15 * size), (n, row)
            decided += 1
    return decided


def test_talib_agrees_on_every_kind_of_series(series: Bars) -> None:
    assert_equals_talib(series)


@pytest.mark.parametrize("name", ["cents", "unrounded", "sub-penny", "large", "fx", "quoted in billionths", "plateaus"])
def test_talibs_means_agree_to_twelve_digits_on_prices_of_one_size(name: str) -> None:
    close = SERIES[name].close
    for n in PERIODS:
        assert_near(ta.sma(close, n), talib.SMA(close, n), n)
        assert assert_bands(ta.bollinger(close, n), talib.BBANDS(close, n, 2, 2), close, n, 2.0) == 0


@pytest.mark.market_data
@pytest.mark.skipif(not MARKET.exists(), reason="the vendor's market data is not beside the checkout")
def test_talib_agrees_on_real_bars() -> None:
    bars = real_bars()
    assert sum(len(each.close) for each in bars) == 43_164 + 31_757 + 12_154
    for each in bars:
        assert_equals_talib(each, (2, 14, 20))


@given(drawn(least=1), st.integers(2, 30))
def test_talib_agrees_on_drawn_bars(bars: Bars, n: int) -> None:
    _, high, low, close, volume = bars
    assert_bits(ta.ema(close, n), talib.EMA(close, n))
    assert_bits(ta.rsi(close, n), talib.RSI(close, n))
    assert_bits(ta.atr(high, low, close, n), talib.ATR(high, low, close, n))
    assert_bits(ta.adx(high, low, close, n), talib.ADX(high, low, close, n))
    assert_bits(ta.obv(close, volume), talib.OBV(close, volume))
    assert_bands(ta.bollinger(close, n), talib.BBANDS(close, n, 2, 2), close, n, 2.0)
    for ours, expected in zip(ta.macd(close, n, n + 4, 3), talib.MACD(close, n, n + 4, 3), strict=True):
        assert_bits(ours, expected)
    for ours, expected in zip(
        ta.stochastic(high, low, close, n), cast("Any", talib).STOCH(high, low, close, n, 3, 0, 3, 0), strict=True
    ):
        assert_bits(ours, expected)


@pytest.mark.parametrize("n", [2, 14, 100])
def test_warm_up_is_as_long_as_talibs_lookback(n: int) -> None:
    _, high, low, close, volume = SERIES["cents"]

    def warm(column: F64) -> int:
        return int(np.flatnonzero(~np.isnan(column))[0])

    def lookback(name: str, **periods: int) -> int:
        return int(cast("Any", abstract).Function(name, **periods).lookback)

    assert warm(ta.sma(close, n)) == lookback("SMA", timeperiod=n)
    assert warm(ta.ema(close, n)) == lookback("EMA", timeperiod=n)
    assert warm(ta.rsi(close, n)) == lookback("RSI", timeperiod=n)
    assert warm(ta.atr(high, low, close, n)) == lookback("ATR", timeperiod=n)
    assert warm(ta.adx(high, low, close, n)) == lookback("ADX", timeperiod=n)
    assert warm(ta.directional(high, low, close, n).plus_di) == lookback("PLUS_DI", timeperiod=n)
    assert {warm(band) for band in ta.bollinger(close, n)} == {lookback("BBANDS", timeperiod=n)}
    macd_lookback = lookback("MACD", fastperiod=n, slowperiod=2 * n, signalperiod=9)
    assert {warm(line) for line in ta.macd(close, n, 2 * n, 9)} == {macd_lookback}
    stoch_lookback = lookback("STOCH", fastk_period=n, slowk_period=3, slowd_period=4)
    assert {warm(line) for line in ta.stochastic(high, low, close, n, 3, 4)} == {stoch_lookback}
    assert warm(ta.obv(close, volume)) == lookback("OBV") == 0
    assert warm(ta.volume_ratio(volume, n)) == n


@pytest.mark.parametrize("rows", [0, 1, 13, 14, 15, 27, 28, 33, 34])
def test_short_series_are_nan_up_to_their_lookback(rows: int) -> None:
    bars = Bars(*(column[:rows] for column in SERIES["cents"]))
    if rows:
        assert_equals_talib(bars, (14,))
    _, high, low, close, volume = bars
    columns = [ta.sma(close), ta.ema(close), ta.rsi(close), *ta.macd(close), *ta.bollinger(close)]
    columns += [ta.atr(high, low, close), *ta.directional(high, low, close), ta.obv(close, volume)]
    columns += [*ta.stochastic(high, low, close), *ta.vwap(high, low, close, volume), ta.volume_ratio(volume)]
    assert {len(column) for column in [*columns, *ta.pivots(high, low, close)]} == {rows}


def test_leading_nan_are_skipped_as_talib_does() -> None:
    _, high, low, close, volume = (column[:300].copy() for column in SERIES["cents"])
    high[:3], low[:7], close[:5], volume[:6] = (math.nan,) * 4
    assert_equals_talib(Bars(close, high, low, close, volume), (14,))
    of_an_indicator = ta.sma(ta.rsi(close))
    assert_near(of_an_indicator, talib.SMA(talib.RSI(close), 20))
    assert np.isnan(ta.sma(np.full(9, math.nan), 2)).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_would_spoil_all_later_values_is_refused_by_its_row(bad: float) -> None:
    bars = SERIES["cents"]
    for rows, at in ((100, 3), (100, 99), (2000, 1500)):
        columns = {name: column[:rows].copy() for name, column in zip(Bars._fields, bars, strict=True)}
        for name in ("high", "low", "close", "volume"):
            spoilt = columns | {name: columns[name].copy()}
            spoilt[name][at] = bad
            high, low, close, volume = (spoilt[key] for key in ("high", "low", "close", "volume"))
            bar = (high, low, close)
            calls: list[tuple[Callable[..., object], tuple[F64, ...]]] = [(ta.vwap, (*bar, volume))]
            if name == "close":
                calls += [(call, (close,)) for call in (ta.sma, ta.ema, ta.rsi, ta.macd, ta.bollinger)]
            if name in {"close", "volume"}:
                calls += [(ta.obv, (close, volume))]
            if name == "volume":
                calls += [(ta.volume_ratio, (volume,))]
            else:
                calls += [(call, bar) for call in (ta.atr, ta.adx, ta.directional, ta.stochastic, ta.pivots)]
            for call, columns_of_it in calls:
                with pytest.raises(ValueError, match=rf"({name}|values) must be finite, row {at} is"):
                    call(*columns_of_it)


def test_a_high_below_its_low_is_refused_by_its_row() -> None:
    _, high, low, close, volume = (column[:1500].copy() for column in SERIES["cents"])
    high[1200] = low[1200] - 0.01
    for call in (ta.atr, ta.adx, ta.directional, ta.stochastic, ta.pivots):
        with pytest.raises(ValueError, match="high must be at least the low, row 1200"):
            call(high, low, close)
    with pytest.raises(ValueError, match="row 1200"):
        ta.vwap(high, low, close, volume)


def test_a_callers_fault_is_named() -> None:
    close = np.arange(30.0)
    two: list[Callable[[F64, int], object]] = [ta.rsi, ta.bollinger]
    for from_two in two:
        with pytest.raises(ValueError, match="period must be from 2 to 100,000, was 1"):
            from_two(close, 1)
    one: list[Callable[[F64, int], object]] = [ta.sma, ta.ema, ta.volume_ratio]
    for from_one in one:
        with pytest.raises(ValueError, match="period must be from 1 to 100,000, was 0"):
            from_one(close, 0)
    with pytest.raises(ValueError, match="low must have 30 rows, had 29"):
        ta.atr(close, close[1:], close)
    with pytest.raises(ValueError, match="session must have 30 rows"):
        ta.vwap(close, close, close, close, session=[1, 2])
    with pytest.raises(ValueError, match="volume must be not negative, row 4"):
        ta.vwap(close, close, close, np.where(close == 4, -1.0, 1.0))
    with pytest.raises(ValueError, match="seed must be sma or first"):
        ta.ema(close, seed="wilder")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ddof must be 0 or 1"):
        ta.bollinger(close, ddof=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind must be"):
        ta.pivots(close, close, close, "woodie")  # type: ignore[arg-type]


def ewm(values: pd.Series, period: int) -> pd.Series:
    """Wilder's average as AppV2 writes it."""
    made: pd.Series = values.ewm(alpha=1 / period, min_periods=period, adjust=False).mean()
    return made


@pytest.mark.parametrize("n", [2, 9, 14, 26])
def test_seed_first_equals_appv2s_pandas(series: Bars, n: int) -> None:
    # src/analysis/indicators/{ema,macd,rsi,atr}.py of AppV2 at 61658a8
    high, low, close = (pd.Series(column) for column in (series.high, series.low, series.close))

    assert_bits(ta.ema(close, n, seed="first"), close.ewm(span=n, min_periods=n, adjust=False).mean().to_numpy())

    line = close.ewm(span=n, adjust=False).mean() - close.ewm(span=2 * n, adjust=False).mean()
    signal = line.ewm(span=9, adjust=False).mean()
    for ours, expected in zip(ta.macd(close, n, 2 * n, 9, seed="first"), (line, signal, line - signal), strict=True):
        assert np.isnan(ours[: 2 * n + 7]).all()
        assert_bits(ours[2 * n + 7 :], expected.to_numpy()[2 * n + 7 :])

    delta = close.diff()
    gain, loss = ewm(delta.where(delta > 0, 0.0), n), ewm(-delta.where(delta < 0, 0.0), n)
    rsi = (100 - (100 / (1 + gain / loss))).fillna(100.0)
    rsi[gain == 0] = 0.0
    ours = ta.rsi(close, n, seed="first")
    assert np.isnan(ours[: n - 1]).all()
    assert_bits(ours[n - 1 :], rsi.to_numpy()[n - 1 :])

    previous = close.shift(1)
    ranges = pd.concat([high - low, (high - previous).abs(), (low - previous).abs()], axis=1).max(axis=1)
    ranges.iloc[0] = high.iloc[0] - low.iloc[0]
    assert_bits(ta.atr(high, low, close, n, seed="first"), ewm(ranges, n).to_numpy())


@pytest.mark.parametrize("n", [2, 9, 14])
def test_seed_first_equals_appv2s_adx_after_its_warm_up(series: Bars, n: int) -> None:
    # src/analysis/indicators/adx.py of AppV2 at 61658a8; what its fillna invents before is NaN here
    high, low, close = (pd.Series(column) for column in (series.high, series.low, series.close))
    previous = close.shift(1)
    ranges = pd.concat([high - low, (high - previous).abs(), (low - previous).abs()], axis=1).max(axis=1)
    up, down = high.diff(), -low.diff()
    plus, minus = up.copy(), down.copy()
    plus[(plus < 0) | (plus < down)] = 0
    minus[(minus < 0) | (minus < up)] = 0
    plus_di = (ewm(plus, n) / ewm(ranges, n) * 100).fillna(0.0)
    minus_di = (ewm(minus, n) / ewm(ranges, n) * 100).fillna(0.0)
    dx = ((plus_di - minus_di).abs() / (plus_di + minus_di) * 100).fillna(0.0)
    ours = ta.directional(high, low, close, n, seed="first")
    assert_bits(ours.adx, np.where(np.arange(len(close)) < 2 * n - 1, np.nan, ewm(dx, n)))
    assert_bits(ours.plus_di, np.where(np.arange(len(close)) < n, np.nan, plus_di))
    assert_bits(ours.minus_di, np.where(np.arange(len(close)) < n, np.nan, minus_di))


def test_ddof_one_is_the_sample_deviation_of_pandas() -> None:
    close = pd.Series(SERIES["cents"].close)
    mean, sigma = close.rolling(20).mean(), close.rolling(20).std()
    upper, middle, lower = ta.bollinger(close, 20, 2.0, ddof=1)
    assert_near(middle, mean.to_numpy())
    np.testing.assert_allclose(upper, mean + 2 * sigma, rtol=1e-11)
    np.testing.assert_allclose(lower, mean - 2 * sigma, rtol=1e-11)
    width = ta.bollinger(close, 20, 1.0, ddof=0).upper - middle
    np.testing.assert_allclose(upper - middle, 2 * width * math.sqrt(20 / 19), rtol=1e-9)


@pytest.fixture(scope="module")
def a_million() -> F64:
    """Prices far from 0 that hardly move, with a burst a million times as large in between."""
    draw = np.random.default_rng(11)
    values: F64 = np.round(1e6 + draw.integers(-3, 4, 1_000_000) * 0.01, 2)
    values[400_000:400_050] = draw.normal(0, 1e12, 50)
    return values


@pytest.mark.parametrize("n", [5, 20, 200])
def test_means_are_exact_after_a_million_bars(a_million: F64, n: int) -> None:
    means = ta.sma(a_million, n)
    for at in (n - 1, 1000, 399_999, 400_300, 700_000, 999_999):
        assert means[at] == math.fsum(a_million[at - n + 1 : at + 1]) / n
    ends = np.arange(990_000, 1_000_000)
    assert means[ends].tolist() == [math.fsum(a_million[at - n + 1 : at + 1]) / n for at in ends]
    # Had it run on without compensation, the burst would still be there.
    assert (talib.SMA(a_million, n)[ends] != means[ends]).all()


@pytest.mark.parametrize("n", [5, 20, 200])
def test_deviations_do_not_drift_in_a_million_bars(a_million: F64, n: int) -> None:
    bands = ta.bollinger(a_million, n, 1.0)
    for at in range(999_000, 1_000_000):
        window = a_million[at - n + 1 : at + 1]
        mean = math.fsum(window) / n
        sigma = math.sqrt(math.fsum((x - mean) ** 2 for x in window) / n)
        assert bands.middle[at] == mean
        assert bands.upper[at] == pytest.approx(mean + sigma, rel=1e-15)
        # σ is some 0.02 beside a price of a million, in which a bit is 1e-10
        assert bands.upper[at] - mean == pytest.approx(sigma, rel=1e-7)


def test_a_mean_depends_on_its_window_alone() -> None:
    close = SERIES["cents"].close
    whole, part = ta.sma(close, 20), ta.sma(close[5000:], 20)
    assert_bits(part[19:], whole[5019:])
    for ours, expected in zip(ta.bollinger(close[5000:]), ta.bollinger(close), strict=True):
        assert_bits(ours[19:], expected[5019:])


def test_the_stochastic_stays_within_a_ten_billionth_for_a_million_bars() -> None:
    _, high, low, close, _ = walk = price_series.walk(1_000_000, 12)
    lines = ta.stochastic(high, low, close)
    tail = Bars(*(column[-2000:] for column in walk))
    fresh = ta.stochastic(tail.high, tail.low, tail.close)
    for ours, expected in zip(lines, fresh, strict=True):
        assert np.abs(ours[-1900:] - expected[100:]).max() < 1e-10


def test_equal_values_have_no_deviation_at_all() -> None:
    for price in (100.1, 0.1, 1e-7, 123_456.789):
        upper, middle, lower = ta.bollinger(np.full(60, price), 20)
        assert_bits(upper, middle)
        assert_bits(lower, middle)


@given(drawn(least=1))
def test_vwap_is_the_weighted_mean_of_the_session(bars: Bars) -> None:
    session = np.arange(len(bars.close)) // 7
    made = ta.vwap(bars.high, bars.low, bars.close, bars.volume, session)
    for row in range(len(session)):
        rows = [at for at in range(row + 1) if session[at] == session[row]]
        weights = [bars.volume[at] for at in rows]
        prices = [(bars.high[at] + bars.low[at] + bars.close[at]) / 3 for at in rows]
        total = math.fsum(weights)
        if total == 0:
            assert math.isnan(made.vwap[row])
            assert math.isnan(made.sigma[row])
            continue
        mean = math.fsum(w * p for w, p in zip(weights, prices, strict=True)) / total
        variance = math.fsum(w * (p - mean) ** 2 for w, p in zip(weights, prices, strict=True)) / total
        size = max(map(abs, prices))
        assert made.vwap[row] == pytest.approx(mean, rel=1e-12, abs=1e-14 * size)
        assert made.sigma[row] == pytest.approx(math.sqrt(variance), rel=1e-6, abs=1e-13 * size)


def test_without_sessions_vwap_is_one() -> None:
    bars = SERIES["cents"]
    one = ta.vwap(bars.high, bars.low, bars.close, bars.volume, np.zeros(len(bars.close)))
    assert_bits(ta.vwap(bars.high, bars.low, bars.close, bars.volume).vwap, one.vwap)


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 8))
def test_the_volume_ratio_leaves_the_newest_bar_out_of_its_mean(volumes: list[int], n: int) -> None:
    made = ta.volume_ratio(volumes, n)
    for row, volume in enumerate(volumes):
        before = sum(volumes[row - n : row]) if row >= n else 0
        if before == 0:
            assert math.isnan(made[row])
        else:
            assert made[row] == volume / (before / n)


def test_pivots_are_the_floor_traders_and_fibonaccis() -> None:
    standard = ta.pivots([110.0], [100.0], [105.0])
    assert [level[0] for level in standard] == [105.0, 110.0, 115.0, 120.0, 100.0, 95.0, 90.0]
    fibonacci = ta.pivots([110.0], [100.0], [105.0], "fibonacci")
    expected = [105.0, 108.82, 111.18, 115.0, 101.18, 98.82, 95.0]
    assert [level[0] for level in fibonacci] == pytest.approx(expected, rel=1e-15)


def test_any_array_like_is_taken_and_none_is_changed() -> None:
    strided = np.arange(40, dtype=np.int32)[::2]
    before = strided.copy()
    assert_bits(ta.sma(strided, 2)[1:], (strided[1:] + strided[:-1]) / 2)
    assert_bits(ta.sma(pd.Series([1, 2, 3]), 3), np.array([math.nan, math.nan, 2.0]))
    assert_bits(strided.astype(float), before.astype(float))


def test_the_examples_do_what_they_print() -> None:
    module = doctest.testmod(sys.modules["tickstockpl.indicators"])
    assert (module.failed, module.attempted >= 12) == (0, True)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(ast.parse(STUB.read_text(encoding="utf-8"))) if isinstance(node, documented))
    runner = doctest.DocTestRunner()
    for text in filter(None, map(ast.get_docstring, nodes)):
        runner.run(doctest.DocTestParser().get_doctest(text, {}, STUB.name, str(STUB), 0))
    assert (runner.summarize().failed, runner.tries >= 6) == (0, True)
