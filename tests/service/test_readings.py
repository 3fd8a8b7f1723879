"""What is told of indicators: calculations, alerts, and the messages made of them, as AppV2 reads them."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import appv2_readers as appv2
import tickstockpl as tp
from reading_samples import BAR_END_US, readings
from tickstockpl import payload
from tickstockpl.kernel import ALERTS
from tickstockpl.readings import COLUMNS, INDICATORS, Readings

END = datetime.fromtimestamp(BAR_END_US / 1e6, UTC)


def test_the_columns_are_the_kernels() -> None:
    engine = tp.Engine(tp.EngineSettings())
    assert list(engine.flush().readings.to_dict()) == ["symbol", "ts_us", "close", "alerts", "fresh", *COLUMNS]


@pytest.mark.parametrize("era", ["E3", "E4"])
@pytest.mark.parametrize("name", INDICATORS)
def test_every_indicator_is_shown_by_both_releases_with_its_values(era: str, name: str) -> None:
    (calculation,) = readings("AAPL", shown=(name,), bollinger_lower=1.25).calculations()
    shown = appv2.streaming_indicator(appv2.message(payload.streaming_indicator(calculation, "run")), era)
    assert shown == {
        "indicator": name,
        "symbol": "AAPL",
        "values": calculation.values,
        "time": END,
        "timeframe": "1min",
    }
    assert list(calculation.values) == list(INDICATORS[name].values)


def test_what_is_not_there_yet_is_left_out_and_never_null() -> None:
    some = readings("AAPL", shown=("RSI", "MACD", "VWAP"), rsi=math.nan, macd_signal=math.inf)
    made = {each.indicator.name: dict(each.values) for each in some.calculations()}
    assert list(made) == ["MACD", "VWAP"]
    assert list(made["MACD"]) == ["value", "macd", "histogram"]
    assert some.count() == 2


def test_percent_b_is_the_place_within_the_bands() -> None:
    band: dict[str, Any] = {"bollinger_upper": 104.0, "bollinger_lower": 100.0}
    (inside,) = readings("A", shown=("BollingerBands",), close=101.0, **band).calculations()
    (above,) = readings("A", shown=("BollingerBands",), close=105.0, **band).calculations()
    assert (inside.values["value"], above.values["value"]) == (0.25, 1.25)
    flat = readings("A", shown=("BollingerBands",), bollinger_upper=100.0, bollinger_lower=100.0)
    assert list(flat.calculations()) == []
    assert flat.count() == 0


def test_vwap_has_bands_of_two_deviations() -> None:
    (made,) = readings("A", shown=("VWAP",), vwap=100.0, vwap_sigma=0.5).calculations()
    assert made.values == {"value": 100.0, "upper": 101.0, "lower": 99.0, "sigma": 0.5}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("RSI_OVERBOUGHT", {"indicator": "RSI", "rsi": 75.2, "value": 75.2, "threshold": 70.0}),
        ("RSI_OVERSOLD", {"indicator": "RSI", "rsi": 75.2, "value": 75.2, "threshold": 30.0}),
        (
            "MACD_BULLISH_CROSS",
            {"indicator": "MACD", "macd": 1.0, "signal": 0.75, "histogram": 0.25, "value": 0.25, "threshold": 0.0},
        ),
        (
            "MACD_BEARISH_CROSS",
            {"indicator": "MACD", "macd": 1.0, "signal": 0.75, "histogram": 0.25, "value": 0.25, "threshold": 0.0},
        ),
        ("BB_UPPER_BREAK", {"indicator": "BollingerBands", "price": 105.0, "value": 105.0, "threshold": 104.0}),
        ("BB_LOWER_BREAK", {"indicator": "BollingerBands", "price": 105.0, "value": 105.0, "threshold": 100.0}),
    ],
)
def test_each_alert_says_what_crossed_what(kind: str, data: dict[str, object]) -> None:
    values: dict[str, Any] = {"rsi": 75.2, "macd": 1.0, "macd_signal": 0.75, "macd_histogram": 0.25}
    band: dict[str, Any] = {"bollinger_upper": 104.0, "bollinger_lower": 100.0}
    made = readings("TSLA", "CALM", alerts=1 << ALERTS.index(kind), close=105.0, **values, **band)
    alert = next(made.warnings())
    message = appv2.message(payload.indicator_alert(alert, "run"))
    shown = appv2.indicator_alert(message)
    assert shown == {"alert_type": kind, "symbol": "TSLA", "data": data, "session_id": "run", "time": END}
    assert message["alert"] == {key: message[key] for key in message["alert"]}


def test_parts_are_joined_and_cut_without_a_change() -> None:
    parts = [readings("A", "B", alerts=1), readings("B", "C", fresh=False)]
    joined = Readings.joined(parts)
    assert joined is not None
    assert list(joined.calculations()) == [each for part in parts for each in part.calculations()]
    assert list(joined.warnings()) == [each for part in parts for each in part.warnings()]
    halves = (joined.where(slice(3)), joined.where(slice(3, None)))
    assert [each for half in halves for each in half.calculations()] == list(joined.calculations())
    assert [each.symbol for each in joined.where(joined.fresh).calculations()] == ["A", "A", "B", "B"]
    assert Readings.joined([]) is None
    left = Readings.joined([joined.where(slice(3, None)), parts[0].where(slice(1))])
    assert left is not None
    assert left.symbols == ["C", "A"]


def test_kinds_that_are_not_wanted_are_not_told() -> None:
    made = readings("A", alerts=0b111111)
    kernel = type("Kernel", (), {name: made.values[name] for name in COLUMNS} | vars(made))
    some = Readings.of(kernel, (), ALERTS, 0b000101, (30.0, 70.0))
    assert [alert.kind for alert in some.warnings()] == ["RSI_OVERBOUGHT", "MACD_BULLISH_CROSS"]


def test_stored_values_are_json_without_a_word_that_it_does_not_know() -> None:
    (calculation,) = readings("A", shown=("ADX",), plus_di=np.nan).calculations()
    assert json.loads(payload.stored_values(calculation)) == {"value": 11.5, "minus_di": 13.5}
