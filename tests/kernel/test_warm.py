"""Bars of history, as stored: what of them is taken, what is refused, and that a late tick finds the window sound."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from oracle import PROVISIONAL

MINUTE_US = 60_000_000
START_US = 1_757_595_000_000_000
BARS = 10


def bars(**changed: Any) -> SimpleNamespace:
    """Ten quiet bars of ZZTEST1; a column of `changed` replaces theirs, or a pair (row, value) one cell."""
    whole, numbers = np.zeros(BARS, dtype=np.int64), np.full(BARS, 100.0)
    columns = {
        "ts_us": START_US + np.arange(BARS) * MINUTE_US,
        "open": numbers,
        "high": numbers + 1,
        "low": numbers - 1,
        "close": numbers + np.arange(BARS) * 0.01,
        "volume": whole + 100,
        "vwap": numbers,
        "trades": whole + 1,
        "revision": whole.astype(np.int32),
        "quality": whole.astype(np.uint8),
        "open_us": whole - 1,
        "close_us": whole - 1,
    }
    for name, (row, value) in changed.items():
        columns[name] = columns[name].copy()
        columns[name][row] = value
    return SimpleNamespace(symbol=whole.astype(np.int32), symbols=["ZZTEST1"], **columns)


def tick(minute: int, second: float, price: float) -> bytes:
    at_s = (START_US + minute * MINUTE_US) / 1e6 + second
    return json.dumps(
        {"ticker": "ZZTEST1", "event_type": "T", "timestamp": at_s, "price": price, "volume": 100}
    ).encode()


def engine() -> tp.Engine:
    return tp.Engine(tp.EngineSettings(channels=("data.raw",)))


def minutes(live: tp.Engine) -> list[int]:
    return [(ts_us - START_US) // MINUTE_US for ts_us in live.window("ZZTEST1").ts_us.tolist()]


@pytest.mark.parametrize("price", [np.nan, np.inf, -np.inf, 0.0, -1.0])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("quality", [0, PROVISIONAL])
def test_a_bar_with_a_price_that_is_none_is_left_out_and_the_window_stays_sound(
    column: str, price: float, quality: int
) -> None:
    live = engine()
    assert live.warm(bars(**{column: (5, price), "quality": (5, quality)})) == BARS - 1
    live.ingest([tick(BARS, 1, 100.0)], START_US + BARS * MINUTE_US + 1_000_000)
    live.ingest([tick(BARS - 1, 50, 100.5)], START_US + BARS * MINUTE_US + 2_000_000)
    assert minutes(live) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize("price", [np.nan, np.inf, 0.0])
def test_no_such_bar_can_be_replayed(price: float) -> None:
    live = engine()
    with pytest.raises(ValueError, match=r"must have finite, positive prices .* 1 are not so"):
        live.replay(bars(high=(5, price)))
    assert minutes(live) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize("ts_us", [2**63 - 1, -(2**63), 2**60 + 1])
def test_a_stamp_beyond_all_years_is_refused_by_its_row(ts_us: int) -> None:
    with pytest.raises(ValueError, match=f"ts_us must be within 2\\^60 µs of 1970, row 5 is {ts_us}"):
        engine().warm(bars(ts_us=(5, ts_us)))


def test_more_trades_than_can_be_counted_on_are_refused_by_their_row() -> None:
    with pytest.raises(ValueError, match=r"trades must be at most 2\^53, row 9 is 9223372036854775807"):
        engine().warm(bars(trades=(9, 2**63 - 1)))


def test_the_highest_revision_of_a_row_can_be_counted_on() -> None:
    live = engine()
    assert live.warm(bars(revision=(9, 2**31 - 1))) == BARS
    live.ingest([tick(BARS, 1, 100.0)], START_US + BARS * MINUTE_US + 1_000_000)
    (revision,) = live.ingest([tick(BARS - 1, 50, 100.5)], START_US + BARS * MINUTE_US + 2_000_000).bars.revision
    assert revision == 1_000_000_001


def around(ts_us: list[int], price: list[float], spread: float) -> SimpleNamespace:
    """Bars of one symbol that open and close at a price."""
    middle, rows = np.array(price), len(ts_us)
    columns = {"open": middle, "close": middle, "high": middle + spread, "low": middle - spread, "vwap": middle}
    zeros = {name: np.zeros(rows, dtype=np.int64) for name in ("volume", "trades", "open_us", "close_us")}
    none = {
        "symbol": np.zeros(rows, np.int32),
        "revision": np.zeros(rows, np.int32),
        "quality": np.zeros(rows, np.uint8),
    }
    return SimpleNamespace(symbols=["A"], ts_us=np.array(ts_us), **columns, **zeros, **none)


def test_sessions_that_were_told_are_what_breakouts_are_measured_from() -> None:
    day_us = 86_400_000_000
    opens = np.array([[n * day_us, n * day_us + 390 * MINUTE_US] for n in range(30)])
    told = [n for n in range(20) if n % 7 < 5]
    sessions = around([n * day_us for n in told], [100.0] * len(told), 5.0)
    settings = tp.EngineSettings(
        session_mode="regular", sessions=opens, patterns=("daily_breakout", "weekly_breakout", "gap_up")
    )
    broken = around([20 * day_us + n * MINUTE_US for n in range(21)], [104.0] * 20 + [107.0], 1.0)

    def found(engine: tp.Engine) -> set[str]:
        return {tp.PATTERNS[pattern]["id"] for pattern in engine.replay(broken).detections.pattern.tolist()}

    knowing = tp.Engine(settings)
    assert knowing.know(sessions) == len(told)
    assert found(knowing) == {"daily_breakout", "weekly_breakout"}
    assert knowing.know(sessions) == 0, "it has bars now"
    assert found(tp.Engine(settings)) == set()
