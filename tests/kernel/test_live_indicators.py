"""The engine's indicators, beside formulas as one would write them in a notebook."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import tickstockpl as tp
from feed import MIDNIGHT, at
from oracle import MINUTE
from strategies import encoded, message

OPEN = at("14:30")


def closes(seed: int, count: int) -> list[float]:
    rng = random.Random(seed)
    price, made = 100.0, []
    for _ in range(count):
        price = max(1.0, round(price + rng.choice((-0.2, -0.1, 0.0, 0.1, 0.2)), 2))
        made.append(price)
    return made


def played(engine: tp.Engine, series: dict[str, Sequence[float | None]], start_us: int = OPEN) -> list[tp.Output]:
    """One aggregate a bar that opens where it closes, so that every bar is a doji; None is no bar."""
    outputs = []
    for minute in range(max(map(len, series.values()))):
        end_us = start_us + (minute + 1) * MINUTE
        for symbol, prices in series.items():
            price = prices[minute] if minute < len(prices) else None
            if price is not None:
                spread = {"tick_open": price, "tick_high": price + 0.3, "tick_low": price - 0.3}
                outputs.append(
                    engine.ingest(
                        [encoded(message(symbol, end_us, "A", price, 100 + end_us // MINUTE % 7, **spread))], end_us
                    )
                )
    outputs.append(engine.flush())
    return outputs


def shown(outputs: Sequence[tp.Output], symbol: str, name: str) -> dict[int, float]:
    """An indicator of the symbol's dojis, by minute since the open."""
    made = {}
    for found in (output.detections for output in outputs):
        for row in range(len(found)):
            if found.symbols[found.symbol[row]] == symbol:
                made[(int(found.ts_us[row]) - OPEN) // MINUTE] = float(getattr(found, name)[row])
    return made


def rsi(prices: Sequence[float]) -> float:
    """Wilder's averages of 14, begun with the first change; NaN before there are 14 bars."""
    gain = loss = 0.0
    for before, after in pairwise(prices):
        gain += (max(0.0, after - before) - gain) / 14
        loss += (max(0.0, before - after) - loss) / 14
    if len(prices) < 14:
        return math.nan
    return 0.0 if gain == 0.0 else 100.0 * gain / (gain + loss)


def engine(**settings: object) -> tp.Engine:
    return tp.Engine(tp.EngineSettings(patterns=("doji",), **settings))  # type: ignore[arg-type]


def test_an_events_rsi_is_that_of_the_closes_up_to_its_bar() -> None:
    prices = closes(1, 80)
    found = shown(played(engine(), {"AAPL": prices}), "AAPL", "rsi")
    assert len(found) == 80
    expected = [rsi(prices[: minute + 1]) for minute in found]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-9)
    assert sum(map(math.isnan, expected)) == 13


@pytest.mark.parametrize("order", [("SPY", "AAPL"), ("AAPL", "SPY")])
def test_relative_strength_is_the_return_over_20_bars_less_spys(order: tuple[str, str]) -> None:
    series: dict[str, Sequence[float | None]] = {"SPY": closes(2, 60), "AAPL": closes(3, 60)}
    found = shown(played(engine(), {symbol: series[symbol] for symbol in order}), "AAPL", "relative_strength")
    assert len(found) == 60

    def gained(symbol: str, minute: int) -> float:
        prices = series[symbol]
        now, then = prices[minute], prices[minute - 20]
        assert now is not None
        assert then is not None
        return 100.0 * (now / then - 1.0)

    for minute, strength in found.items():
        if minute < 20:
            assert math.isnan(strength)
        else:
            assert strength == pytest.approx(gained("AAPL", minute) - gained("SPY", minute), rel=1e-9, abs=1e-9)


def test_there_is_no_relative_strength_without_spys_bar_of_the_same_minute() -> None:
    spy: list[float | None] = [*closes(2, 60)]
    spy[45] = None
    prices = closes(3, 60)
    found = shown(played(engine(), {"SPY": spy, "AAPL": prices}), "AAPL", "relative_strength")
    assert [minute for minute, strength in found.items() if math.isnan(strength)] == [*range(20), 45]
    for settings in ({"benchmark": None}, {"benchmark": "QQQ"}):
        alone = shown(played(engine(**settings), {"SPY": spy, "AAPL": prices}), "AAPL", "relative_strength")
        assert all(map(math.isnan, alone.values()))
        assert len(alone) == 60


def test_spy_is_not_measured_against_itself() -> None:
    driven = engine()
    assert all(map(math.isnan, shown(played(driven, {"SPY": closes(2, 40)}), "SPY", "relative_strength").values()))
    # nor is a bar that a late tick makes a doji, when the returns of SPY are known
    end_us = OPEN + 41 * MINUTE
    for late_us, price in ((-30_000_000, 100.5), (MINUTE, 100.0)):
        driven.ingest([encoded(message("SPY", end_us + late_us, "A", price, 9, tick_open=100.0))], end_us + MINUTE)
    driven.flush()
    late = driven.ingest([encoded(message("SPY", end_us, "A", 100.0, 9))], end_us + MINUTE).detections
    assert late.held.tolist() == [True]
    assert math.isnan(late.relative_strength[0])
    assert not math.isnan(late.rsi[0])


def test_indicators_that_are_off_keep_nothing() -> None:
    prices = closes(1, 40)
    found = shown(played(engine(indicators=None), {"AAPL": prices}), "AAPL", "rsi")
    assert len(found) == 40
    assert all(map(math.isnan, found.values()))


def test_only_watched_symbols_are_read_and_all_of_them_by_a_star() -> None:
    series: dict[str, Sequence[float | None]] = {"AAPL": closes(1, 5), "MSFT": closes(2, 5)}
    for names, symbols in ((("MSFT",), {"MSFT"}), (("*",), {"AAPL", "MSFT"}), ((), set())):
        outputs = played(engine(indicators=names), series)
        read = {o.readings.symbols[at] for o in outputs for at in o.readings.symbol.tolist()}
        assert read == symbols


def test_a_reading_is_equal_in_a_long_run_and_after_a_restart() -> None:
    days = np.array([[MIDNIGHT, OPEN + 250 * MINUTE], [OPEN + 250 * MINUTE, OPEN + 10_000 * MINUTE]], dtype=np.int64)
    prices = closes(4, 300)

    def made() -> tp.Engine:
        return engine(indicators=("AAPL",), days=days)

    long = made()
    outputs = played(long, {"AAPL": prices})
    bars = [output.bars for output in outputs if len(output.bars)]
    columns = {name: np.concatenate([getattr(part, name) for part in bars]) for name in bars[0].to_dict()}

    kept = {name: column[50:280] for name, column in columns.items()}
    restarted = made()
    assert restarted.warm(SimpleNamespace(symbols=("AAPL",), **kept)) == 230
    again = played(restarted, {"AAPL": prices[280:]}, OPEN + 280 * MINUTE)

    def rows(outputs: Sequence[tp.Output]) -> dict[int, list[float]]:
        found: dict[int, list[float]] = {}
        for read in (output.readings for output in outputs):
            columns = [column.tolist() for column in read.to_dict().values()]
            found.update({int(ts_us): list(row) for ts_us, *row in zip(read.ts_us.tolist(), *columns, strict=True)})
        return found

    tail = {ts_us: row for ts_us, row in rows(outputs).items() if ts_us >= OPEN + 280 * MINUTE}
    assert len(tail) == 20
    assert rows(again) == tail


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"indicators": ("*",), "window": 29}, "window must be at least 30 where indicators are watched, was 29"),
        ({"rsi_bounds": (70.0, 30.0)}, "rsi_bounds must be 0 to 100, in order, was 30"),
        ({"rsi_bounds": (-1.0, 30.0)}, "rsi_bounds must be 0 to 100, in order, was -1"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine(**settings)


def test_percent_k_of_a_flat_window_is_50_and_not_oversold() -> None:
    live, read = engine(indicators=("*",)), []
    for minute in range(17):
        price = 50.0 if minute < 16 else 50.5
        end_us = OPEN + (minute + 1) * MINUTE
        read.append(live.ingest([encoded(message("AAPL", end_us, "A", price, 100))], end_us).readings)
    read.append(live.flush().readings)
    lines = [(part.stochastic_k[0], part.stochastic_d[0]) for part in read if len(part)]
    assert lines[15:] == [(50.0, 50.0), (100.0, (50.0 + 50.0 + 100.0) / 3)]
    flat = np.full(16, 50.0)
    assert tp.indicators.stochastic(flat, flat, flat, 14, 1, 3).slow_k[15] == 0.0
