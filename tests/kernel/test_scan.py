"""History looked through at once, beside the live engine that saw the same bars close."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

import tickstockpl as tp
from running import MINUTE, SECOND, tick
from tickstockpl.barriers import Barriers
from tickstockpl.dev.feed import aggregate_message, message_head, message_tail
from tickstockpl.found import Candles
from tickstockpl.kernel import GAP, LATE_REVISED, PROVISIONAL, columns_of_bars, scan_parts

T0 = 1_757_599_200 * SECOND  # 2025-09-11 14:00:00 UTC
NAMES = ("SPY", "AAPL", "ZZ")


def bars(seed: int, minutes: int) -> dict[str, Any]:
    """A walk of each symbol on a grid of cents, with minutes missing; one bar is one tick of ours with its OHLC."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in ("symbol", "ts_us", "open", "high", "low", "close", "volume")}
    for symbol in NAMES:
        cents = 1000
        for minute in range(minutes):
            steps = np.concatenate(([0], rng.integers(-3, 4, 4)))
            path = np.maximum(cents + np.cumsum(steps), 1)
            cents = int(path[-1])
            if rng.random() < 0.1:
                continue
            prices = path / 100
            values = (symbol, T0 + minute * MINUTE, prices[0], prices.max(), prices.min(), prices[-1])
            for name, value in zip(rows, (*values, int(rng.choice([100, 1000]))), strict=True):
                rows[name].append(value)
    return rows


def live(rows: dict[str, Any], settings: tp.EngineSettings) -> set[tuple[Any, ...]]:
    """What an engine says that hears each bar as one aggregate, minute by minute."""
    engine = tp.Engine(settings)
    messages = []
    mid, _ = message_tail("polygon")
    for at in sorted(range(len(rows["symbol"])), key=lambda at: (rows["ts_us"][at], at)):
        symbol, ts_us, *prices, volume = (column[at] for column in rows.values())
        opened, high, low, close = (float(price) for price in prices)
        stamp_s = ts_us / 1e6 + 30
        text = aggregate_message(message_head(symbol), mid, stamp_s, opened, high, low, close, volume, "null")
        messages.append(text.encode())
    outputs = engine.ingest(messages, T0 + 10_000 * MINUTE), engine.flush()
    return set().union(*(found(output.detections) for output in outputs))


def found(detections: tp.Detections) -> set[tuple[Any, ...]]:
    """Every detection with all that it says; symbols by name."""
    columns = detections.to_dict()
    columns["symbol"] = np.array(detections.symbols)[columns["symbol"]] if len(detections) else columns["symbol"]
    cells = {name: column.tolist() for name, column in columns.items()}
    # where they stand depends on what stands before them
    cells["point_row"] = [tuple(detections.points(row)) for row in range(len(detections))]
    cells["margin_row"] = [tuple(detections.margins(row).items()) for row in range(len(detections))]
    return {
        tuple("nan" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row)
        for row in zip(*cells.values(), strict=True)
    }


@cases(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), shuffled=st.booleans())
def test_history_says_what_the_live_engine_said(seed: int, shuffled: bool) -> None:
    rows = bars(seed, 60)
    settings = tp.EngineSettings(channels=("data.raw",), lateness_a_s=60)
    heard = live(rows, settings)
    if shuffled:
        order = np.random.default_rng(seed).permutation(len(rows["symbol"]))
        rows = {name: np.array(column)[order] for name, column in rows.items()}
    scanned = tp.scan(rows, settings=settings)
    assert found(scanned) == heard != set()
    assert np.all(np.diff(scanned.ts_us) >= 0)


def test_bars_of_the_engine_and_columns_by_name_are_taken_alike() -> None:
    rows = bars(1, 40)
    engine = tp.Engine(tp.EngineSettings())
    engine.replay(columns_of_bars(rows))
    made = engine.window("AAPL")
    chosen = np.array(rows["symbol"]) == "AAPL"
    named = {name: np.array(column)[chosen] for name, column in rows.items()}
    assert len(made) == chosen.sum()
    assert found(tp.scan(made)) == found(tp.scan(named)) != set()


@cases(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 200))
def test_parts_are_what_is_found_at_once_however_long_they_are(seed: int, rows: int) -> None:
    history = bars(seed, 60)
    whole = tp.scan(history).to_dict()
    parts = [part.to_dict() for part in scan_parts(history, rows=rows)]
    counted = {"symbol", *(name for name in whole if name.endswith("_row"))}  # these number what their own part has
    joined = {name: np.concatenate([part[name] for part in parts]) for name in whole if name not in counted}
    assert len(joined) > 20
    for name, column in joined.items():
        np.testing.assert_array_equal(column, whole[name])


def test_only_the_patterns_named_are_looked_for() -> None:
    scanned = tp.scan(bars(2, 60), ["doji", "volume_spike"])
    assert {tp.PATTERNS[n]["id"] for n in scanned.pattern.tolist()} == {"doji", "volume_spike"}
    with pytest.raises(ValueError, match="no_such"):
        tp.scan(bars(2, 60), ["no_such"])


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("close", float("nan"), "row 7"),
        ("open", 0.0, "row 7"),
        ("low", 1e9, "row 7"),
        ("volume", -1, "row 7"),
        ("ts_us", T0 + 1, "row 7"),
        ("ts_us", -(2**63), "row 7"),
        ("ts_us", T0, "each bar must be there once"),
    ],
)
def test_a_row_that_is_no_bar_is_named(column: str, value: float, says: str) -> None:
    rows = bars(3, 60)
    rows[column][7] = value
    with pytest.raises(ValueError, match=says):
        tp.scan(rows)


def test_columns_must_have_one_length_and_none_is_fine() -> None:
    with pytest.raises(ValueError, match="one length"):
        tp.scan(bars(4, 10) | {"close": [1.0]})
    nothing: dict[str, Any] = {name: [] for name in bars(4, 0)}
    assert len(tp.scan(nothing)) == 0


def test_bars_that_were_still_open_are_left_out() -> None:
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",)))
    engine.ingest([tick(T0 + 30 * SECOND, volume=5)], T0 + 31 * SECOND)
    still_open = engine.provisional().bars
    assert len(still_open) == 1
    assert len(tp.scan(still_open)) == 0


@pytest.mark.parametrize(("flag", "found"), [(0, 1), (LATE_REVISED, 1), (GAP, 0), (PROVISIONAL, 0)])
def test_a_frame_says_by_its_quality_which_bars_no_pattern_ends_on(flag: int, found: int) -> None:
    rows: dict[str, Any] = {"symbol": ["A"] * 21, "ts_us": np.arange(21) * MINUTE, "volume": [100] * 20 + [900]}
    rows |= {name: [10.0] * 21 for name in ("open", "high", "low", "close")}
    assert len(tp.scan(rows | {"quality": [0] * 20 + [flag]}, ["volume_spike"])) == found
    with pytest.raises(ValueError, match="quality must be whole numbers of 8 bits, row 20 is 256"):
        tp.scan(rows | {"quality": [0] * 20 + [256]})


def apart(minutes: int, count: int = 40) -> dict[str, Any]:
    """Bars of two symbols that start so many minutes apart."""
    rng = np.random.default_rng(minutes)
    rows: dict[str, Any] = {"symbol": ["A", "B"] * count, "ts_us": T0 + np.arange(count).repeat(2) * minutes * MINUTE}
    close = 100 + np.cumsum(rng.normal(0, 1, 2 * count))
    return rows | {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": [100] * 2 * count}


@pytest.mark.parametrize(("minutes", "told"), [(2, "2 minutes"), (5, "5 minutes"), (60, "1 hour"), (2880, "2 days")])
def test_bars_that_are_longer_than_what_is_looked_at_are_refused(minutes: int, told: str) -> None:
    with pytest.raises(ValueError, match=f"bars must be no longer than 1min, .* all of these start whole {told} apart"):
        tp.scan(apart(minutes), ["doji"])
    with pytest.raises(ValueError, match="bars must be no longer than 1min"):
        tp.scan(apart(minutes), settings=tp.EngineSettings(timeframes=("1min", "weekly")))
    tp.scan(apart(minutes), settings=tp.EngineSettings(timeframes=("weekly",)))  # these are shorter


def test_bars_of_which_few_are_there_or_one_starts_between_are_minutes() -> None:
    assert len(tp.scan(apart(5, 19))) > 0
    one = {name: [*column, column[0]] for name, column in apart(5).items()} | {"symbol": ["A", "B"] * 40 + ["C"]}
    one["ts_us"][-1] = T0 + MINUTE
    assert len(tp.scan(one)) > 0


def test_bars_that_were_rolled_up_say_what_their_minutes_say_but_for_the_newest() -> None:
    rows = bars(5, 800)
    settings = tp.EngineSettings(timeframes=("5min",))
    minutes, rolled = tp.scan(rows, settings=settings), tp.scan(tp.resample(rows, "5min"), settings=settings)
    newest = minutes.ts_us == tp.resample(rows, "5min").ts_us.max()
    ids = set(minutes.event_id[~newest].tolist())
    assert set(rolled.event_id.tolist()) == ids
    assert len(ids) > 100


@pytest.mark.parametrize("symbol", [None, np.arange(1200) % 2 * 70_000])
def test_bars_of_trades_without_names_are_called_by_their_ids(symbol: Any) -> None:
    stamps = T0 + np.arange(1200) * 15 * SECOND
    made = tp.aggregate(stamps, 10 + np.sin(np.arange(1200) / 9.0).round(2), np.full(1200, 100), symbol)
    rows = made.to_dict()
    seen = tp.scan(made)
    assert found(seen) == found(tp.scan(rows | {"symbol": rows["symbol"].astype(str)})) != set()
    assert set(seen.symbols) == {"0"} if symbol is None else {"0", "70000"}
    came = tp.outcomes(seen, made)
    assert {-1, 1} < set(came.result.tolist())
    assert seen.symbols[seen.symbol[0]] in tp.plot(seen, 0, made).svg
    five = tp.scan(tp.resample(made, "5min"), settings=tp.EngineSettings(timeframes=("5min",)))
    assert set(five.symbols) == set(seen.symbols)


def test_a_symbol_that_has_no_name_is_named_by_its_row() -> None:
    rows = columns_of_bars(bars(1, 40))
    rows.symbol[5] = 3
    for look in (tp.scan, Barriers.of, lambda given: Candles.of(given, "AAPL")):
        with pytest.raises(ValueError, match="symbol must index symbols, row 5 is 3"):
            look(rows)
