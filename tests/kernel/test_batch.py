"""Columns of trades to bars: the batch fold equals every bar made by hand from its own trades."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp

MINUTE = 60_000_000
COLUMNS = ("symbol", "ts_us", "open", "high", "low", "close", "volume", "vwap", "trades", "open_us", "close_us")


class Trade(NamedTuple):
    ts_us: int
    price: float
    size: int
    symbol: int


def by_hand(trades: list[Trade], interval_us: int) -> list[tuple[Any, ...]]:
    """Every bar from all of its trades; Python's sort is stable, so equal stamps keep the order of the input."""
    groups: dict[tuple[int, int], list[Trade]] = {}
    for trade in trades:
        groups.setdefault((trade.ts_us // interval_us * interval_us, trade.symbol), []).append(trade)
    bars = []
    for (start_us, symbol), group in sorted(groups.items()):
        in_time = sorted(group, key=lambda trade: trade.ts_us)
        prices = [trade.price for trade in group]
        volume, notional = 0, 0.0
        for trade in group:
            volume += trade.size
            notional += trade.price * trade.size
        vwap = notional / volume if volume else None
        first, last = in_time[0], in_time[-1]
        span = (first.price, max(prices), min(prices), last.price)
        bars.append((symbol, start_us, *span, volume, vwap, len(group), first.ts_us, last.ts_us))
    return bars


def aggregated(trades: list[Trade], **how: Any) -> list[tuple[Any, ...]]:
    """The kernel's rows, with None for a vwap that is NaN."""
    ts_us, price, size, symbol = (np.array([trade[n] for trade in trades]) for n in range(4))
    bars = tp.aggregate(ts_us, price, size, symbol, **how)
    columns = [getattr(bars, name).tolist() for name in COLUMNS]
    columns[COLUMNS.index("vwap")] = [None if vwap != vwap else vwap for vwap in bars.vwap.tolist()]  # noqa: PLR0124
    return list(zip(*columns, strict=True))


def trades(symbols: int) -> st.SearchStrategy[list[Trade]]:
    near = st.integers(-2 * MINUTE, 3 * MINUTE)
    coarse = st.integers(-12, 18).map(lambda tenth: tenth * MINUTE // 6)
    far = st.sampled_from([365 * 1440 * MINUTE, -1, 0, MINUTE - 1, MINUTE, -(2**62), 2**62 - 1])
    cents = st.integers(1, 10**7).map(lambda cents: cents / 100)
    prices = cents | st.floats(min_value=0, max_value=1e300, exclude_min=True)
    trade = st.builds(Trade, coarse | near | far, prices, st.integers(0, 10**6), st.integers(0, symbols - 1))
    return st.lists(trade, max_size=80)


@given(trades(4))
def test_bars_equal_those_made_by_hand_in_any_order_of_input(given_trades: list[Trade]) -> None:
    assert aggregated(given_trades) == by_hand(given_trades, MINUTE)


@given(trades(3))
def test_bars_of_ordered_trades_equal_those_made_by_hand(given_trades: list[Trade]) -> None:
    ordered = sorted(given_trades)
    assert aggregated(ordered) == by_hand(ordered, MINUTE)


@given(trades(1), st.integers(1, 10**9))
def test_any_interval_is_floored_alike(given_trades: list[Trade], interval_us: int) -> None:
    assert aggregated(given_trades, interval_s=interval_us / 1e6) == by_hand(given_trades, interval_us)


@given(trades(1))
def test_without_ids_there_is_one_symbol(given_trades: list[Trade]) -> None:
    ts_us, price, size, symbol = (np.array([trade[n] for trade in given_trades]) for n in range(4))
    with_ids, without = tp.aggregate(ts_us, price, size, symbol), tp.aggregate(ts_us, price, size)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(with_ids, name), getattr(without, name))


@pytest.mark.parametrize(
    ("column", "bad", "message"),
    [
        ("price", 0.0, "price must be finite and positive, row 2 is 0"),
        ("price", -1.0, "price must be finite and positive, row 2 is -1"),
        ("price", float("nan"), "price must be finite and positive, row 2 is NaN"),
        ("price", float("inf"), "price must be finite and positive, row 2 is inf"),
        ("size", -1, "size must be 0 or more, row 2 is -1"),
        ("symbol", -1, "symbol must be 0 or more, row 2 is -1"),
        ("symbol", 2**24, "symbol must be below 16,777,216, row 2 is 16777216"),
        ("ts_us", 2**63 - 1, r"ts_us must be below 2\^62 either way, row 2 is"),
    ],
)
def test_the_first_bad_row_is_named(column: str, bad: float, message: str) -> None:
    columns: dict[str, list[Any]] = {"ts_us": [0, 1, 2, 3], "price": [1.0] * 4, "size": [1] * 4, "symbol": [0] * 4}
    columns[column][2] = columns[column][3] = bad
    with pytest.raises(ValueError, match=message):
        tp.aggregate(columns["ts_us"], columns["price"], columns["size"], columns["symbol"])


def test_columns_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="size must be as long as ts_us, was 1"):
        tp.aggregate([0, 1], [1.0, 1.0], [1])


def test_no_trades_are_no_bars() -> None:
    assert len(tp.aggregate([], [], [])) == 0
