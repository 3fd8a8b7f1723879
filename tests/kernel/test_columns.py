"""`aggregate`: columns of trades into bars, against a fold that a reader can check."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp

Trade = tuple[int, float, int, int]  # ts_us, price, size, symbol


def folded(trades: list[Trade], interval_us: int) -> dict[tuple[int, int], tuple[float, ...]]:
    """(bar start, symbol) -> open, high, low, close, volume, trades."""
    groups: dict[tuple[int, int], list[Trade]] = {}
    for trade in sorted(trades, key=lambda trade: trade[0]):
        groups.setdefault((trade[0] // interval_us * interval_us, trade[3]), []).append(trade)
    bars: dict[tuple[int, int], tuple[float, ...]] = {}
    for key, group in groups.items():
        prices = [price for _, price, _, _ in group]
        volume = sum(size for _, _, size, _ in group)
        bars[key] = (prices[0], max(prices), min(prices), prices[-1], volume, len(group))
    return bars


def trades() -> st.SearchStrategy[list[Trade]]:
    trade = st.tuples(
        st.integers(0, 400_000_000), st.integers(1, 9).map(float), st.integers(0, 1000), st.integers(0, 3)
    )
    return st.lists(trade, max_size=60)


@given(trades(), st.sampled_from((1, 60, 300)))
def test_columns_fold_as_a_reader_would(ticks: list[Trade], interval_s: int) -> None:
    ts_us, price, size, symbol = (list(column) for column in zip(*ticks, strict=True)) if ticks else ([], [], [], [])
    bars = tp.aggregate(ts_us, price, size, symbol, interval_s=interval_s)
    expected = folded(ticks, interval_s * 1_000_000)
    keys = list(zip(bars.ts_us.tolist(), bars.symbol.tolist(), strict=True))
    assert keys == sorted(expected)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.trades)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    assert dict(zip(keys, rows, strict=True)) == expected


@given(trades())
def test_vwap_is_the_mean_price_weighed_by_size(ticks: list[Trade]) -> None:
    ts_us, price, size, symbol = (list(column) for column in zip(*ticks, strict=True)) if ticks else ([], [], [], [])
    bars = tp.aggregate(ts_us, price, size, symbol)
    for start, name, vwap, volume in zip(bars.ts_us, bars.symbol, bars.vwap, bars.volume, strict=True):
        inside = [trade for trade in ticks if trade[0] // 60_000_000 * 60_000_000 == start and trade[3] == name]
        notional = sum(trade[1] * trade[2] for trade in inside)
        assert np.isnan(vwap) if volume == 0 else vwap == pytest.approx(notional / volume, rel=1e-12)


def test_one_symbol_needs_no_ids() -> None:
    bars = tp.aggregate([0, 59_999_999, 60_000_000], [1.0, 2.0, 3.0], [10, 20, 30])
    assert bars.ts_us.tolist() == [0, 60_000_000]
    assert bars.close.tolist() == [2.0, 3.0]
    assert bars.volume.tolist() == [30, 30]


def test_equal_stamps_keep_the_order_of_the_input() -> None:
    bars = tp.aggregate([5, 5, 1, 5], [3.0, 1.0, 2.0, 4.0], [1, 1, 1, 1])
    assert (bars.open[0], bars.close[0]) == (2.0, 4.0)


def test_nothing_gives_no_bars() -> None:
    assert len(tp.aggregate([], [], [])) == 0


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_bad_price_is_a_callers_fault_named_by_its_row(price: float) -> None:
    with pytest.raises(ValueError, match="1"):
        tp.aggregate([0, 1], [1.0, price], [1, 1])


@pytest.mark.parametrize("interval_s", [0, -1.0, 1e-9, 5e12, float("nan"), float("inf")])
def test_an_interval_that_is_none_is_a_callers_fault(interval_s: float) -> None:
    with pytest.raises(ValueError, match="interval_s must be positive and below 2"):
        tp.aggregate([0], [1.0], [1], interval_s=interval_s)


def test_a_negative_size_or_symbol_is_a_callers_fault() -> None:
    with pytest.raises(ValueError, match="size"):
        tp.aggregate([0], [1.0], [-1])
    with pytest.raises(ValueError, match="symbol"):
        tp.aggregate([0], [1.0], [1], [-1])
