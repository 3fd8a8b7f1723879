"""What a user's type checker is told of `import tickstockpl as tp`, and that it is so when the program runs.

mypy (`make check`) judges each `assert_type` and each `type: ignore`; pytest holds the values against the same claims,
and the mistakes that a checker must find end in an exception.
"""

import __future__

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_type_hints, runtime_checkable

import numpy as np
import pytest
from numpy.typing import NDArray

import tickstockpl as tp
from tickstockpl import _kernel
from tickstockpl.kernel import ALERTS, GAP, LATE_REVISED, PARTIAL_START, PROVISIONAL, REASONS
from typed import holds

if TYPE_CHECKING:
    from typing import assert_type
else:
    from typed import assert_type

MINUTE_US = 60_000_000
START_US = 1_757_600_460_000_000
F64 = np.linspace(10.0, 20.0, 60)
FRAME = b"*3\r\n$7\r\nmessage\r\n$8\r\ndata.raw\r\n$2\r\n{}\r\n"
STUB = Path(_kernel.__file__).with_name("_kernel.pyi")


def payload(minute: int) -> bytes:
    price, stamp = 10 + minute % 7, START_US // 1_000_000 + 60 * minute
    return b'{"ticker": "AAPL", "price": %d, "volume": 5, "timestamp": %d, "event_type": "A"}' % (price, stamp)


@pytest.fixture(scope="module")
def output() -> tp.Output:
    """An hour of one symbol: bars, detections and readings, each with rows."""
    engine = tp.Engine(tp.EngineSettings(indicators=("AAPL",)))
    return engine.ingest([payload(minute) for minute in range(60)], START_US + 60 * MINUTE_US)


@runtime_checkable
class ArrowStream(Protocol):
    """What Polars, pandas and DuckDB ask of an object with columns."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def attributes(name: str) -> dict[str, Any]:
    """What `_kernel.pyi` says of a class's attributes: it runs, once its annotations may name what follows."""
    program = compile(STUB.read_text(encoding="utf-8"), STUB, "exec", __future__.annotations.compiler_flag)
    namespace: dict[str, Any] = {"__name__": "stub"}
    exec(program, namespace)
    return get_type_hints(namespace[name], namespace | vars(_kernel))


def test_decode_gives_ticks_and_their_columns() -> None:
    ticks = tp.decode([payload(0), b"nonsense"])
    assert_type(ticks, tp.Ticks)
    assert_type(len(ticks), int)
    assert_type(ticks.symbols, tuple[str, ...])
    assert_type(ticks.symbol, NDArray[np.int32])
    assert_type(ticks.ts_us, NDArray[np.int64])
    assert_type(ticks.kind, NDArray[np.uint8])
    assert_type(ticks.price, NDArray[np.float64])
    assert_type(ticks.volume, NDArray[np.int64])
    assert_type(ticks.refused, dict[str, int])
    assert_type(ticks.to_dict(), dict[str, NDArray[Any]])


def test_aggregate_takes_what_numpy_takes_and_gives_bars() -> None:
    bars = tp.aggregate([0, 1, MINUTE_US], np.array([1, 2, 3]), (5, 5, 5), interval_s=60)
    assert_type(bars, tp.Bars)
    assert_type(tp.aggregate(np.array([0]), [1.5], [5], [0]), tp.Bars)
    assert_type(bars.symbols, tuple[str, ...])
    assert_type(bars.symbol, NDArray[np.int32])
    assert_type(bars.ts_us, NDArray[np.int64])
    assert_type(bars.close, NDArray[np.float64])
    assert_type(bars.volume, NDArray[np.int64])
    assert_type(bars.vwap, NDArray[np.float64])
    assert_type(bars.revision, NDArray[np.int32])
    assert_type(bars.quality, NDArray[np.uint8])
    assert_type(bars.to_dict(), dict[str, NDArray[Any]])


def test_a_resample_of_bars_or_columns_gives_bars(output: tp.Output) -> None:
    table = np.array([[START_US, START_US + 60 * MINUTE_US]])
    assert_type(tp.resample(output.bars, "5min"), tp.Bars)
    assert_type(tp.resample(output.bars, "1hour", sessions=table, days=table, align="clock"), tp.Bars)
    assert_type(tp.TIMEFRAMES, tuple[str, ...])
    with pytest.raises(ValueError, match="align must be session or clock"):
        tp.resample(output.bars, "5min", align="utc")  # type: ignore[arg-type]


def test_candlesticks_are_int32_by_name() -> None:
    assert_type(tp.candlesticks(F64, F64, F64, F64), dict[str, NDArray[np.int32]])
    assert_type(tp.candlesticks([1], [1], [1], [1], {"CDLDOJI"}), dict[str, NDArray[np.int32]])
    assert_type(tp.CANDLESTICKS, tuple[str, ...])


def test_a_candlestick_stream_gives_int32_and_bytes() -> None:
    stream = tp.CandlestickStream(2)
    assert_type(stream, tp.CandlestickStream)
    assert_type(stream.n_symbols, int)
    assert_type(stream.update([1, 2], [1, 2], [1, 2], [1, 2]), NDArray[np.int32])
    assert_type(stream.peek([1, 2], [1, 2], [1, 2], [1, 2]), NDArray[np.int32])
    assert_type(stream.update_one(0, 1.0, 1.0, 1.0, 1.0), NDArray[np.int32])
    assert_type(stream.copy(), tp.CandlestickStream)
    assert_type(stream.snapshot(), bytes)
    assert_type(tp.CandlestickStream.restore(stream.snapshot()), tp.CandlestickStream)


def test_indicators_of_one_column_are_float64() -> None:
    assert_type(tp.indicators.sma([1, 2, 3], 2), NDArray[np.float64])
    assert_type(tp.indicators.ema(F64, seed="first"), NDArray[np.float64])
    assert_type(tp.indicators.rsi(F64), NDArray[np.float64])
    assert_type(tp.indicators.atr(F64, F64, F64), NDArray[np.float64])
    assert_type(tp.indicators.adx(F64, F64, F64), NDArray[np.float64])
    assert_type(tp.indicators.obv(F64, F64), NDArray[np.float64])
    assert_type(tp.indicators.volume_ratio(F64), NDArray[np.float64])


def test_indicators_of_several_columns_have_names_for_them() -> None:
    macd = tp.indicators.macd(F64)
    assert_type(macd, tp.indicators.Macd)
    assert_type(macd.histogram, NDArray[np.float64])
    upper, middle, lower = tp.indicators.bollinger(F64, ddof=1)
    assert_type(upper, NDArray[np.float64])
    assert_type(middle, NDArray[np.float64])
    assert_type(lower, NDArray[np.float64])
    assert_type(tp.indicators.bollinger(F64), tp.indicators.Bollinger)
    assert_type(tp.indicators.directional(F64, F64, F64), tp.indicators.Directional)
    assert_type(tp.indicators.directional(F64, F64, F64).minus_di, NDArray[np.float64])
    assert_type(tp.indicators.stochastic(F64, F64, F64), tp.indicators.Stochastic)
    assert_type(tp.indicators.stochastic(F64, F64, F64).slow_d, NDArray[np.float64])
    assert_type(tp.indicators.vwap(F64, F64, F64, F64, session=[0] * 60), tp.indicators.Vwap)
    assert_type(tp.indicators.vwap(F64, F64, F64, F64).sigma, NDArray[np.float64])
    assert_type(tp.indicators.pivots(F64, F64, F64, "fibonacci"), tp.indicators.Pivots)
    assert_type(tp.indicators.pivots(F64, F64, F64).s3, NDArray[np.float64])


def test_an_indicator_stream_gives_float64_by_name() -> None:
    stream = tp.IndicatorStream(2, bollinger=(10, 2.5), macd=(3, 6, 2), seed="first")
    assert_type(stream, tp.IndicatorStream)
    assert_type(len(stream), int)
    bar = np.array([1.0, 2.0])
    assert_type(stream.update(bar, bar, bar, bar, bar), dict[str, NDArray[np.float64]])
    assert_type(stream.snapshot(), bytes)
    assert_type(stream.restore(stream.snapshot()), None)


def test_an_engine_gives_outputs(output: tp.Output) -> None:
    engine = tp.Engine(tp.EngineSettings())
    assert_type(engine, tp.Engine)
    assert_type(engine.ingest([payload(0)], START_US), tp.Output)
    assert_type(engine.advance(START_US + 9 * MINUTE_US), tp.Output)
    assert_type(engine.provisional(), tp.Output)
    assert_type(engine.flush(), tp.Output)
    assert_type(engine.warm(output.bars), int)
    assert_type(engine.recall([]), int)
    assert_type(engine.counters(), dict[str, int])
    assert_type(engine.event_time_us(), list[int])
    assert_type(engine.clock_skew_us(), int | None)
    assert_type(engine.symbols(), list[str])
    assert_type(engine.window("AAPL"), tp.Bars)
    assert_type(engine.snapshot(), bytes)
    engine.restore(engine.snapshot())


def test_an_output_has_bars_detections_and_readings(output: tp.Output) -> None:
    assert_type(bool(output), bool)
    assert_type(output.bars, tp.Bars)
    assert_type(output.detections, tp.Detections)
    assert_type(output.readings, tp.Readings)
    assert_type(output.ticks, int)
    assert_type(output.refused, list[tuple[str, str, bytes]])
    assert_type(output.dead, list[tuple[str, str, int, bytes]])
    assert len(output.bars)
    assert len(output.detections)
    assert len(output.readings)


def test_detections_and_readings_have_columns(output: tp.Output) -> None:
    found = output.detections
    assert_type(found.pattern, NDArray[np.int32])
    assert_type(found.direction, NDArray[np.int32])
    assert_type(found.confidence, NDArray[np.float64])
    assert_type(found.held, NDArray[np.bool_])
    assert_type(found.event_id, NDArray[np.bytes_])
    assert_type(found.to_dict(), dict[str, NDArray[Any]])
    assert_type(output.readings.alerts, NDArray[np.uint8])
    assert_type(output.readings.fresh, NDArray[np.bool_])
    assert_type(output.readings.rsi, NDArray[np.float64])
    assert_type(tp.PATTERNS, tuple[dict[str, Any], ...])
    assert_type(tp.event_id("AAPL", START_US, "doji"), str)


def test_a_scan_of_bars_or_columns_gives_detections(output: tp.Output) -> None:
    assert_type(tp.scan(output.bars), tp.Detections)
    assert_type(tp.scan(output.bars, ["doji"], settings=tp.EngineSettings()), tp.Detections)
    assert_type(tp.Engine(tp.EngineSettings()).replay(output.bars), tp.Output)


def test_a_framer_gives_frames_that_an_engine_takes() -> None:
    framer = tp.Framer(["data.raw"])
    frames = framer.feed(FRAME)
    assert_type(frames, tp.Frames)
    assert_type(framer.pending, int)
    assert_type(len(frames), int)
    assert_type(frames.control, list[tuple[str, str, int]])
    assert_type(frames.payload_bytes, int)
    assert_type(frames.counts(), list[int])
    assert_type(frames.payloads(0), list[bytes])
    assert_type(tp.Engine(tp.EngineSettings(channels=("data.raw",))).ingest_frames(frames, START_US), tp.Output)


@pytest.mark.parametrize("name", ["Ticks", "Bars", "Detections", "Readings", "Output", "Frames"])
def test_every_attribute_of_the_stub_is_there_and_of_its_type(output: tp.Output, name: str) -> None:
    made = {"Ticks": tp.decode([payload(0)]), "Output": output, "Frames": tp.Framer(["data.raw"]).feed(FRAME)}
    thing = made.get(name) or getattr(output, name.lower())
    told = attributes(name)
    assert told
    for attribute, annotation in told.items():
        assert holds(getattr(thing, attribute), annotation), f"{name}.{attribute} is not {annotation}"


def test_constants_have_their_values_as_types() -> None:
    assert_type(PARTIAL_START, Literal[1])
    assert_type(GAP, Literal[2])
    assert_type(PROVISIONAL, Literal[4])
    assert_type(LATE_REVISED, Literal[8])
    assert_type(REASONS, tuple[str, ...])
    assert_type(ALERTS, tuple[str, ...])


def test_what_has_columns_streams_them_as_arrow(output: tp.Output) -> None:
    streams: list[ArrowStream] = [tp.decode([payload(0)]), output.bars, output.detections, output.readings]
    for each in streams:
        assert isinstance(each, ArrowStream)
        assert_type(each.__arrow_c_stream__(), object)
        assert type(each.__arrow_c_stream__()).__name__ == "PyCapsule"


def test_a_name_that_is_not_there_is_found(output: tp.Output) -> None:
    with pytest.raises(AttributeError, match="vwaps"):
        _ = output.bars.vwaps  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="supertrend"):
        _ = tp.indicators.supertrend  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="windows"):
        tp.EngineSettings(windows=100)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="ema_fast"):
        tp.IndicatorStream(2, ema_fast=12)  # type: ignore[call-arg]


def test_a_value_of_another_type_is_found() -> None:
    with pytest.raises(TypeError):
        tp.decode([payload(0).decode()])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        tp.decode(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tp.IndicatorStream(1).update([1.0], [1.0], [1.0], [1.0], [1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tp.IndicatorStream(2, macd=26)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tp.Engine(tp.EngineSettings()).ingest([payload(0)], START_US / 1e6)  # type: ignore[arg-type]


def test_a_word_that_is_none_of_the_choices_is_found() -> None:
    with pytest.raises(ValueError, match="wilder"):
        tp.indicators.ema(F64, seed="wilder")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="camarilla"):
        tp.indicators.pivots(F64, F64, F64, "camarilla")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2"):
        tp.indicators.bollinger(F64, ddof=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sometimes"):
        tp.Engine(tp.EngineSettings(session_mode="sometimes"))  # type: ignore[arg-type]


def test_an_argument_that_is_missing_or_out_of_place_is_found() -> None:
    with pytest.raises(TypeError, match="size"):
        tp.aggregate([0], [1.5])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        tp.indicators.ema(F64, 20, "first")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        tp.EngineSettings(("data.raw",))  # type: ignore[call-arg]


def test_settings_and_classes_are_closed() -> None:
    settings = tp.EngineSettings()
    with pytest.raises(FrozenInstanceError):
        settings.window = 50  # type: ignore[misc]
    with pytest.raises(TypeError, match="not an acceptable base type"):

        class Wider(tp.Engine):  # type: ignore[misc]
            pass
