"""Every cell of the 61 candlestick functions equals TA-Lib's; batch, stream, one symbol alone and restored are one."""

import doctest
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tickstockpl as tp
import tickstockpl.kernel
from candle_bars import GRIDS, Bars, degenerate, walk

GOLDEN = Path(__file__).parents[2] / "../shared/data/candles"
Table = NDArray[np.int32]
NO_BAR = (np.nan, np.nan, np.nan, np.nan)


def by_talib(bars: Bars) -> Table:
    """(rows, 61): TA-Lib's own answers."""
    if not len(bars[0]):
        return np.zeros((0, 61), np.int32)
    return np.stack([getattr(talib, name)(*bars) for name in tp.CANDLESTICKS], axis=1)


def by_batch(bars: Bars) -> Table:
    found = tp.candlesticks(*bars)
    assert tuple(found) == tp.CANDLESTICKS
    return np.stack(list(found.values()), axis=1)


def stacked(series: Sequence[Bars], absent: NDArray[np.bool_]) -> Iterator[tuple[list[NDArray[np.float64]], list[int]]]:
    """Minute by minute: the four columns by symbol, and each symbol's bar, -1 where it has none.

    absent: (minutes, symbols); a symbol's next bar waits until it has one.
    """
    at = [0] * len(series)
    for minute in absent:
        prices = np.full((4, len(series)), np.nan)
        taken = [-1] * len(series)
        for symbol, bars in enumerate(series):
            if not minute[symbol] and at[symbol] < len(bars[0]):
                prices[:, symbol] = [column[at[symbol]] for column in bars]
                taken[symbol] = at[symbol]
                at[symbol] += 1
        yield list(prices), taken


def assert_same(found: Table, expected: Table, what: str) -> None:
    for row, column in np.argwhere(found != expected)[:1]:
        pytest.fail(f"{what}: {tp.CANDLESTICKS[column]} at {row} is {found[row, column]}, not {expected[row, column]}")


def test_the_examples_of_the_docstrings_are_true() -> None:
    assert doctest.testmod(tickstockpl.kernel).attempted > 0
    assert doctest.testmod(tickstockpl.kernel).failed == 0
    stub = Path(tp.__file__).with_name("_kernel.pyi")
    example = doctest.DocTestParser().get_doctest(
        stub.read_text(encoding="utf-8").replace('"""', "\n"), {}, stub.name, stub.name, 0
    )
    assert len(example.examples) > 0
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_the_columns_are_talibs_functions_in_its_order() -> None:
    groups: dict[str, list[str]] = talib.get_function_groups()  # type: ignore[no-untyped-call]
    assert list(tp.CANDLESTICKS) == groups["Pattern Recognition"]


@pytest.mark.parametrize("grid", GRIDS)
def test_batch_equals_talib_on_random_walks(grid: str) -> None:
    fired = np.zeros(61, int)
    for seed in range(2):
        bars = walk(seed, 12_000, grid)
        expected = by_talib(bars)
        assert_same(by_batch(bars), expected, f"{grid}, seed {seed}")
        fired += (expected != 0).sum(axis=0)
    assert (fired > 0).sum() > 55  # the rarest may be missing on one grid, not on all: see the next test


def test_the_walks_make_every_function_fire_with_every_value() -> None:
    tables = [by_talib(walk(seed, 12_000, grid)) for grid in GRIDS for seed in range(2)]
    found = np.concatenate(tables)
    assert (found != 0).any(axis=0).all()
    assert set(np.unique(found)) == {-200, -100, -80, 0, 80, 100, 200}


@pytest.mark.parametrize(("what", "bars"), list(degenerate()))
def test_degenerate_input_is_answered_as_by_talib(what: str, bars: Bars) -> None:
    expected = by_talib(bars)
    assert_same(by_batch(bars), expected, what)
    stream = tp.CandlestickStream(1)
    for row, bar in enumerate(zip(*bars, strict=True)):
        assert_same(stream.update(*([price] for price in bar)), expected[row : row + 1], what)


@pytest.mark.skipif(not GOLDEN.exists(), reason="the vendor's golden vectors are not beside the checkout")
@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.npz")) or ["none"])
def test_golden_vectors_are_met_by_batch_and_stream(name: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as golden:
        columns = [golden[field] for field in ("open", "high", "low", "close")]
        assert tuple(golden["names"]) == tp.CANDLESTICKS
        expected = np.zeros((len(columns[0]), 61), np.int32)
        expected[golden["hit_row"], golden["hit_fn"]] = golden["hit_val"]
        starts = [*golden["seg"].tolist(), len(columns[0])]
    series = [(columns[0][a:b], columns[1][a:b], columns[2][a:b], columns[3][a:b]) for a, b in pairwise(starts)]
    assert_same(np.concatenate([by_batch(bars) for bars in series]), expected, f"{name}, batch")
    stream = tp.CandlestickStream(len(series))
    minutes = min(max(len(bars[0]) for bars in series), 20_000)
    for prices, taken in stacked(series, np.zeros((minutes, len(series)), bool)):
        found = stream.update(*prices)
        rows = [start + row if row >= 0 else -1 for start, row in zip(starts, taken, strict=False)]
        wanted = np.where(np.array(rows)[:, None] >= 0, expected[rows], 0)
        if not np.array_equal(found, wanted):
            assert_same(found, wanted, f"{name}, stream, rows {rows}")


def test_streams_with_gaps_and_late_starts_equal_batch() -> None:
    symbols, minutes = 21, 400
    series = [walk(seed, 300, list(GRIDS)[seed % len(GRIDS)]) for seed in range(symbols)]
    expected = [by_batch(bars) for bars in series]
    rng = np.random.default_rng(7)
    absent = rng.random((minutes, symbols)) < rng.choice([0.0, 0.05, 0.9], symbols)
    absent[:50, ::3] = True
    absent[100:110, 8:16] = True  # a whole block of the kernel has no bar
    stream = tp.CandlestickStream(symbols)
    for prices, taken in stacked(series, absent):
        wanted = np.array([expected[s][row] if row >= 0 else np.zeros(61) for s, row in enumerate(taken)])
        assert_same(stream.peek(*prices), wanted.astype(np.int32), "peek")
        assert_same(stream.update(*prices), wanted.astype(np.int32), "update")


def test_rows_without_a_bar_are_passed_over_by_batch() -> None:
    bars = walk(1, 500, "cents")
    rng = np.random.default_rng(2)
    rows = np.sort(rng.choice(900, 500, replace=False))
    spaced = np.full((4, 900), np.nan)
    spaced[:, rows] = bars
    expected = np.zeros((900, 61), np.int32)
    expected[rows] = by_batch(bars)
    assert_same(by_batch((spaced[0], spaced[1], spaced[2], spaced[3])), expected, "spaced")


def test_one_symbol_alone_equals_the_same_among_others() -> None:
    series = [walk(seed, 120, "cents") for seed in range(11)]
    together, alone = tp.CandlestickStream(11), tp.CandlestickStream(11)
    for prices, _ in stacked(series, np.zeros((120, 11), bool)):
        found = together.update(*prices)
        for symbol in reversed(range(11)):
            one = alone.update_one(symbol, *(float(column[symbol]) for column in prices))
            assert_same(one[None], found[symbol : symbol + 1], f"symbol {symbol}")
    assert alone.snapshot() == together.snapshot()


@pytest.mark.parametrize("split", [0, 1, 9, 14, 15, 40, 150])
def test_restored_and_copied_streams_continue_bit_for_bit(split: int) -> None:
    series = [walk(seed, 160, "sub-penny") for seed in range(9)]
    minutes = [prices for prices, _ in stacked(series, np.random.default_rng(split).random((200, 9)) < 0.2)]
    stream = tp.CandlestickStream(9)
    for prices in minutes[:split]:
        stream.update(*prices)
    copied, restored = stream.copy(), tp.CandlestickStream.restore(stream.snapshot())
    assert restored.n_symbols == 9
    for prices in minutes[split:]:
        found = stream.update(*prices)
        assert_same(copied.update(*prices), found, "copy")
        assert_same(restored.update(*prices), found, "restored")
    assert stream.snapshot() == copied.snapshot() == restored.snapshot()


def test_a_snapshot_that_is_not_whole_is_refused() -> None:
    stream = tp.CandlestickStream(2)
    stream.update([1.0, 2.0], [2.0, 3.0], [1.0, 1.0], [2.0, 2.0])
    whole = stream.snapshot()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(ValueError, match="snapshot is"):
            tp.CandlestickStream.restore(bytes(damaged))
    for length in (0, 3, 15, 16, 24, len(whole) - 1):
        with pytest.raises(ValueError, match="snapshot is"):
            tp.CandlestickStream.restore(whole[:length])
    with pytest.raises(ValueError, match="not as long as its symbols say"):
        tp.CandlestickStream.restore(whole + b"\0" * 8)
    assert tp.CandlestickStream.restore(tp.CandlestickStream(0).snapshot()).n_symbols == 0


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        ((1.0, np.nan, 1.0, 1.0), r"high must be finite, or all four NaN for no bar, row 1 is NaN"),
        ((np.inf, np.inf, 1.0, 1.0), r"open must be finite, .* row 1 is inf"),
        ((np.nan, np.nan, np.nan, -np.inf), r"open must be finite, .* row 1 is NaN"),
        ((1.0, 0.5, 1.0, 1.0), r"high must be at least low, row 1 is 0.5"),
    ],
)
def test_a_row_that_is_no_bar_is_named_and_nothing_is_taken_in(bar: tuple[float, ...], message: str) -> None:
    stream = tp.CandlestickStream(3)
    before = stream.snapshot()
    opened, high, low, close = ([1.0, price, 1.0] for price in bar)
    for call in (stream.update, stream.peek, tp.candlesticks):
        with pytest.raises(ValueError, match=message):
            call(opened, high, low, close)
    with pytest.raises(ValueError, match=message.replace("row 1", "row 0")):
        stream.update_one(1, *bar)
    assert stream.snapshot() == before


def test_wrong_shapes_and_names_are_refused() -> None:
    stream = tp.CandlestickStream(3)
    good = [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="low must have 3 rows, had 2"):
        stream.update(good, good, [1.0, 1.0], good)
    with pytest.raises(ValueError, match="close must have 3 rows, had 2"):
        tp.candlesticks(good, good, good, [1.0, 1.0])
    with pytest.raises(ValueError, match="no candlestick is called 'CDLDOGE'"):
        tp.candlesticks(good, good, good, good, ["CDLDOJI", "CDLDOGE"])
    for symbol in (-1, 3):
        with pytest.raises(IndexError, match=f"symbol must be at least 0 and below 3, was {symbol}"):
            stream.update_one(symbol, 1.0, 1.0, 1.0, 1.0)
    assert not stream.update_one(0, *NO_BAR).any()


def test_names_choose_functions_in_their_order() -> None:
    bars = walk(5, 300, "cents")
    every = tp.candlesticks(*bars)
    some = tp.candlesticks(*bars, names=["CDLHIKKAKE", "CDLDOJI", "CDLHIKKAKE"])
    assert list(some) == ["CDLHIKKAKE", "CDLDOJI"]
    for name, values in some.items():
        assert values.dtype == np.int32
        np.testing.assert_array_equal(values, every[name])
    assert tp.candlesticks(*bars, names=[]) == {}


def test_lists_and_strided_columns_are_taken() -> None:
    bars = walk(6, 200, "cents")
    table = np.stack(bars, axis=1)
    assert_same(by_batch(tuple(table.T)), by_batch(bars), "strided")
    streams = [tp.CandlestickStream(200) for _ in range(3)]
    for column in (20, 50):
        strided = streams[0].update(*(np.roll(table, column, axis=0)[:, field] for field in range(4)))
        listed = streams[1].update(*(np.roll(field, column).tolist() for field in bars))
        plain = streams[2].update(*(np.roll(field, column) for field in bars))
        assert_same(strided, plain, "strided")
        assert_same(listed, plain, "lists")


@st.composite
def made_bars(draw: st.DrawFn) -> Bars:
    """Bars of few units, so that ties and coincidences are the rule."""
    unit = draw(st.sampled_from([0.01, 0.0001, 1.0, 0.1, 12.5]))
    size = draw(st.integers(0, 12))
    unit_rows = st.tuples(*(st.integers(-size, size),) * 2, *(st.integers(0, size),) * 2)
    rows = draw(st.lists(unit_rows, min_size=1, max_size=60))
    end, bars = 5_000, []
    for jump, body, up, down in rows:
        start = end + jump
        end = start + body
        bars.append((start, max(start, end) + up, min(start, end) - down, end))
    opened, high, low, close = (np.array(column) * unit for column in zip(*bars, strict=True))
    return opened, high, low, close


@settings(max_examples=300, deadline=None)
@given(made_bars(), st.integers(0, 60))
def test_made_bars_are_answered_as_by_talib(bars: Bars, split: int) -> None:
    expected = by_talib(bars)
    assert_same(by_batch(bars), expected, "batch")
    stream = tp.CandlestickStream(1)
    for row, bar in enumerate(zip(*bars, strict=True)):
        if row == split:
            stream = tp.CandlestickStream.restore(stream.snapshot())
        assert_same(stream.update(*([price] for price in bar)), expected[row : row + 1], f"stream, row {row}")
