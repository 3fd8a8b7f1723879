"""A wrong value is a ValueError that names the argument and what was given, whatever Rust would call it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp

SERIES = [1.0, 2.0, 3.0, 4.0, 5.0]
HUGE = 2**70
ta = tp.indicators


def wrong(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(ValueError, match=r" (must|was) ") as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("period", [-1, 0, 100_001, HUGE])
def test_a_period_out_of_range_is_named_with_its_value(period: int) -> None:
    said = str(period)
    for average in (ta.sma, ta.ema, ta.rsi, ta.bollinger, ta.volume_ratio):
        wrong(lambda average=average: average(SERIES, period), "period", said)  # type: ignore[misc]
    for of_bars in (ta.atr, ta.adx, ta.directional):
        wrong(lambda of_bars=of_bars: of_bars(SERIES, SERIES, SERIES, period), "period", said)  # type: ignore[misc]
    for name in ("fast", "slow", "signal"):
        wrong(lambda name=name: ta.macd(SERIES, **{name: period}), name, said)  # type: ignore[misc, arg-type]
    for name in ("k", "slow_k", "slow_d"):
        wrong(lambda name=name: ta.stochastic(SERIES, SERIES, SERIES, **{name: period}), name, said)  # type: ignore[misc]
    for settings in (
        {"sma": period},
        {"ema": (12, period)},
        {"stochastic": (period, 3, 3)},
        {"bollinger": (period, 2.0)},
    ):
        wrong(lambda settings=settings: tp.IndicatorStream(1, **settings), said)  # type: ignore[misc]


@pytest.mark.parametrize("ddof", [-1, 2, HUGE])
def test_a_ddof_that_is_neither_0_nor_1_is_named(ddof: Any) -> None:
    wrong(lambda: ta.bollinger(SERIES, 2, ddof=ddof), "ddof", str(ddof))
    wrong(lambda: tp.IndicatorStream(1, ddof=ddof), "ddof", str(ddof))


@pytest.mark.parametrize("symbols", [-1, 1_000_001, 2**62, HUGE])
@pytest.mark.parametrize("stream", [tp.IndicatorStream, tp.CandlestickStream])
def test_more_symbols_than_a_stream_can_have_are_named(stream: Callable[[int], object], symbols: int) -> None:
    wrong(lambda: stream(symbols), "n_symbols", str(symbols))


@pytest.mark.parametrize("number", [-1, HUGE])
@pytest.mark.parametrize("name", ["window", "price_scale", "max_symbols"])
def test_a_setting_that_no_number_of_its_kind_holds_is_named(name: str, number: int) -> None:
    settings: dict[str, Any] = {name: number}
    wrong(lambda: tp.Engine(tp.EngineSettings(**settings)), name, str(number))


def test_a_scale_of_the_price_column_out_of_range_is_named() -> None:
    engine = tp.Engine(tp.EngineSettings())
    for scale in (-1, 13, HUGE):
        wrong(lambda scale=scale: engine.set_price_scale(scale), "price_scale", str(scale))  # type: ignore[misc]


@pytest.mark.parametrize("revision", [-1, 1_000_000_001, 2**32 - 1, HUGE])
def test_a_revision_out_of_range_is_not_recalled(revision: int) -> None:
    engine = tp.Engine(tp.EngineSettings())
    wrong(lambda: engine.recall([("A", "1min", 0, "doji", 0, revision)]), "revision", str(revision))


@pytest.mark.parametrize("revision", [-1, 2**32])
def test_no_event_has_such_a_revision(revision: int) -> None:
    wrong(lambda: tp.event_id("A", 0, "doji", revision), "revision", str(revision))


@pytest.mark.parametrize(
    ("session", "row"),
    [
        ([1, 1, 1.5, 2, 2], "row 2 is 1.5"),
        ([1, np.nan, 1, 1, 1], "row 1 is nan"),
        ([1, 1, 1, 1, HUGE], f"row 4 is {HUGE}"),
    ],
)
def test_a_session_is_a_whole_number(session: list[float], row: str) -> None:
    wrong(lambda: ta.vwap(SERIES, SERIES, SERIES, SERIES, session=session), "session", row)


def test_whole_numbers_of_any_type_are_sessions() -> None:
    expected = ta.vwap(SERIES, SERIES, SERIES, SERIES, session=[1, 1, 2, 2, 2]).vwap.tolist()
    for session in ([1.0, 1.0, 2.0, 2.0, 2.0], np.array([1, 1, 2, 2, 2], np.uint64), np.array([1, 1, 2, 2, 2], object)):
        assert ta.vwap(SERIES, SERIES, SERIES, SERIES, session=session).vwap.tolist() == expected


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ts_us": [0.0, 1.5]}, "ts_us must be whole numbers of 64 bits, row 1 is 1.5"),
        ({"ts_us": [0.0, 2.0**63]}, "ts_us must be whole numbers of 64 bits, row 1 is 9.2"),
        ({"size": [0.5, 1]}, "size must be whole numbers of 64 bits, row 0 is 0.5"),
        (
            {"size": np.array([1, 2**63], np.uint64)},
            "size must be whole numbers of 64 bits, row 1 is 9223372036854775808",
        ),
        ({"symbol": [0, 2**31]}, "symbol must be whole numbers of 32 bits, row 1 is 2147483648"),
        ({"symbol": [0, -(2**40)]}, "symbol must be whole numbers of 32 bits, row 1 is -1099511627776"),
    ],
)
def test_numbers_of_trades_are_neither_cut_off_nor_wrapped(changed: dict[str, Any], words: str) -> None:
    columns: dict[str, Any] = {"ts_us": [0, 1], "price": [1.0, 1.0], "size": [1, 1], "symbol": [0, 0]}
    wrong(lambda: tp.aggregate(**columns | changed), words)


def test_no_fraction_of_a_bars_stamp_is_cut_off() -> None:
    bars = {"symbol": ["A"], "ts_us": [0.5], "volume": [1]} | {name: [1.0] for name in ("open", "high", "low", "close")}
    wrong(lambda: tp.scan(bars), "ts_us must be whole numbers of 64 bits, row 0 is 0.5")


def test_a_text_is_not_several_names() -> None:
    ones = np.ones(3)
    wrong(lambda: tp.candlesticks(ones, ones, ones, ones, "CDLDOJI"), "names", "'CDLDOJI'")
    wrong(lambda: tp.scan({}, patterns="doji"), "patterns", "'doji'")
