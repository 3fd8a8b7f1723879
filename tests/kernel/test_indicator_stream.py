"""A stream of many symbols gives each symbol, bit for bit, what the batches give of its own bars."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp
from price_series import F64, Bars, drawn, jumps, plateaus, walk

ta = tp.indicators
Columns = dict[str, F64]


@dataclass(frozen=True)
class Settings:
    """The keywords of a stream."""

    sma: int = 20
    ema: tuple[int, int] = (12, 26)
    rsi: int = 14
    macd: tuple[int, int, int] = (12, 26, 9)
    bollinger: tuple[int, float] = (20, 2.0)
    atr: int = 14
    adx: int = 14
    stochastic: tuple[int, int, int] = (14, 3, 3)
    seed: Literal["sma", "first"] = "sma"
    ddof: Literal[0, 1] = 0

    def stream(self, symbols: int) -> tp.IndicatorStream:
        return tp.IndicatorStream(symbols, **vars(self))


SMALL = Settings(3, (2, 5), 3, (2, 4, 3), (4, 1.5), 1, 2, (3, 2, 2))


def batches(bars: Bars, settings: Settings) -> Columns:
    """What the array functions say of one symbol."""
    _, high, low, close, volume = bars
    seed = settings.seed
    macd = ta.macd(close, *settings.macd, seed=seed)
    bands = ta.bollinger(close, *settings.bollinger, ddof=settings.ddof)
    lines = ta.directional(high, low, close, settings.adx, seed=seed)
    stochastic = ta.stochastic(high, low, close, *settings.stochastic)
    return {
        "sma": ta.sma(close, settings.sma),
        "ema_fast": ta.ema(close, settings.ema[0], seed=seed),
        "ema_slow": ta.ema(close, settings.ema[1], seed=seed),
        "rsi": ta.rsi(close, settings.rsi, seed=seed),
        "macd": macd.macd,
        "macd_signal": macd.signal,
        "macd_histogram": macd.histogram,
        "bollinger_upper": bands.upper,
        "bollinger_middle": bands.middle,
        "bollinger_lower": bands.lower,
        "atr": ta.atr(high, low, close, settings.atr, seed=seed),
        "adx": lines.adx,
        "plus_di": lines.plus_di,
        "minus_di": lines.minus_di,
        "obv": ta.obv(close, volume),
        "stochastic_k": stochastic.slow_k,
        "stochastic_d": stochastic.slow_d,
    }


def played(stream: tp.IndicatorStream, symbols: list[Bars], minutes: list[list[int]]) -> list[Columns]:
    """Each symbol's values, its bars handed out in order to the minutes that have one for it."""
    next_bar = [0] * len(symbols)
    rows: list[dict[str, list[float]]] = [{} for _ in symbols]
    for present in minutes:
        update = [np.full(len(symbols), math.nan) for _ in range(5)]
        for symbol in present:
            for column, values in zip(update, symbols[symbol], strict=True):
                column[symbol] = values[next_bar[symbol]]
            next_bar[symbol] += 1
        made = stream.update(*update)
        for symbol in range(len(symbols)):
            for name, column in made.items():
                if symbol in present:
                    rows[symbol].setdefault(name, []).append(column[symbol])
                else:
                    assert math.isnan(column[symbol]), name
    return [{name: np.array(values) for name, values in each.items()} for each in rows]


def assert_same(streamed: list[Columns], symbols: list[Bars], settings: Settings) -> None:
    for made, bars in zip(streamed, symbols, strict=True):
        expected = batches(bars, settings)
        assert len(bars.close) == 0 or list(made) == list(expected)
        for name, column in made.items():
            np.testing.assert_array_equal(column, expected[name], err_msg=name)


@pytest.mark.parametrize("seed", ["sma", "first"])
@pytest.mark.parametrize("ddof", [0, 1])
def test_symbols_that_come_and_go_have_what_their_own_bars_give(
    seed: Literal["sma", "first"], ddof: Literal[0, 1]
) -> None:
    # 19 symbols: two whole blocks of lanes and a part of one; liquid, thin, late and silent ones
    rng = np.random.default_rng(3)
    shares = [1.0] * 8 + [1.0, 0.9, 0.5, 0.1, 0.0, 1.0, 0.7, 0.3] + [1.0, 0.6, 0.02]
    minutes = [[symbol for symbol, share in enumerate(shares) if rng.random() < share] for _ in range(400)]
    counts = [sum(symbol in present for present in minutes) for symbol in range(len(shares))]
    kinds: list[Callable[[int, int], Bars]] = [walk, plateaus, jumps]
    symbols = [kinds[at % 3](count, at) for at, count in enumerate(counts)]
    settings = Settings(seed=seed, ddof=ddof)
    stream = settings.stream(len(symbols))
    assert len(stream) == 19
    assert_same(played(stream, symbols, minutes), symbols, settings)


@given(st.data())
def test_any_gaps_and_any_bars_give_what_the_batches_give(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 10))
    symbols = [data.draw(drawn(most=25)) for _ in range(count)]
    order = data.draw(st.permutations([at for at, bars in enumerate(symbols) for _ in bars.close]))
    minutes: list[list[int]] = [[]]
    for symbol in order:
        if symbol in minutes[-1] or data.draw(st.integers(0, 5)) == 0:
            minutes.append([])
        minutes[-1].append(symbol)
    settings = data.draw(st.sampled_from((SMALL, replace(SMALL, seed="first"))))
    assert_same(played(settings.stream(count), symbols, minutes), symbols, settings)


def test_a_snapshot_continues_bit_for_bit_wherever_it_is_taken() -> None:
    symbols = [walk(120, seed) for seed in range(11)]
    updates = [[np.array([bars[column][at] for bars in symbols]) for column in range(5)] for at in range(120)]
    for at, update in enumerate(updates):
        for column in update:
            column[at % 11] = math.nan
    whole = tp.IndicatorStream(11)
    expected = [whole.update(*update) for update in updates]
    for cut in (0, 1, 13, 34, 77, 119):
        first, second = tp.IndicatorStream(11), tp.IndicatorStream(11)
        for update in updates[:cut]:
            first.update(*update)
        second.restore(first.snapshot())
        assert second.snapshot() == first.snapshot()
        for update, values in zip(updates[cut:], expected[cut:], strict=True):
            for stream in (first, second):
                for name, column in stream.update(*update).items():
                    np.testing.assert_array_equal(column, values[name], err_msg=name)


def test_equal_states_have_equal_snapshots_however_they_came_about() -> None:
    bars = walk(50, 1)
    alone, among = tp.IndicatorStream(1), tp.IndicatorStream(1)
    for at in range(50):
        bar = [column[at : at + 1] for column in bars]
        alone.update(*bar)
        among.update(*(np.full(1, math.nan) for _ in range(5)))
        among.update(*bar)
    assert alone.snapshot() == among.snapshot()


def test_a_foreign_snapshot_is_refused_and_changes_nothing() -> None:
    stream = tp.IndicatorStream(3)
    stream.update(*np.arange(15.0).reshape(5, 3)[[2, 3, 1, 2, 4]])
    before = stream.snapshot()
    for other in (tp.IndicatorStream(4), tp.IndicatorStream(3, rsi=15), tp.IndicatorStream(3, bollinger=(20, 2.5))):
        with pytest.raises(ValueError, match="of other settings"):
            stream.restore(other.snapshot())
    for cut in (before[:-1], before + b"\0"):
        with pytest.raises(ValueError, match="cut short or too long"):
            stream.restore(cut)
    with pytest.raises(ValueError, match="another version"):
        stream.restore(b"")
    assert stream.snapshot() == before


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_neither_a_bar_nor_nan_throughout_is_refused_by_its_number(column: int, bad: float) -> None:
    stream = tp.IndicatorStream(12)
    bar = [np.full(12, price) for price in (2.0, 3.0, 1.0, 2.0, 100.0)]
    stream.update(*bar)
    before = stream.snapshot()
    bar[column][10] = bad
    name = Bars._fields[column]
    with pytest.raises(ValueError, match=f"{name} must be finite, or NaN in the whole row, row 10"):
        stream.update(*bar)
    assert stream.snapshot() == before


def test_a_high_below_the_low_is_refused_and_a_close_outside_of_them_is_not() -> None:
    stream = tp.IndicatorStream(2)
    one = np.ones(2)
    stream.update(5 * one, 3 * one, one, 9 * one, one)
    with pytest.raises(ValueError, match="high must be at least the low, row 1"):
        stream.update(one, np.array([1.0, 0.5]), one, one, one)
    with pytest.raises(ValueError, match="volume must have 2 rows, had 3"):
        stream.update(one, one, one, one, np.ones(3))


def test_a_period_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="period must be from 2 to 100,000, was 1"):
        tp.IndicatorStream(1, adx=1)
    with pytest.raises(ValueError, match="seed must be sma or first"):
        tp.IndicatorStream(1, seed="wilder")


def test_no_symbols_give_empty_columns() -> None:
    empty = np.empty(0)
    assert {len(column) for column in tp.IndicatorStream(0).update(empty, empty, empty, empty, empty).values()} == {0}


def test_the_stream_does_not_drift_in_two_hundred_thousand_bars() -> None:
    bars = walk(200_000, 4, level=1e6, step=0.01)
    stream = tp.IndicatorStream(1)
    last: Columns = {}
    for row in np.ascontiguousarray(np.array(bars).T[:, :, None]):
        last = stream.update(*row)
    window = bars.close[-20:]
    mean = math.fsum(window) / 20
    assert last["sma"][0] == last["bollinger_middle"][0] == mean
    sigma = math.sqrt(math.fsum((x - mean) ** 2 for x in window) / 20)
    assert last["bollinger_upper"][0] == pytest.approx(mean + 2 * sigma, rel=1e-15)
    expected = batches(bars, Settings())
    assert {name: column[0] for name, column in last.items()} == {name: column[-1] for name, column in expected.items()}
