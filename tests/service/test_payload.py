"""Every outgoing message, read by every release of AppV2 that reads it."""

import json
import math
import struct
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import appv2_readers as appv2
from copy_reader import rows_of
from event_samples import events as columns
from event_samples import published
from tickstockpl import event_payload, payload
from tickstockpl._kernel import EventEncoder
from tickstockpl.events import SWITCHED_OFF, Event
from tickstockpl.payload import Pulse, Session

END_US = 1_757_600_460_000_000  # 2025-09-11 14:21:00 UTC
END = datetime(2025, 9, 11, 14, 21, tzinfo=UTC)
TTL_S = 3600.0
EVENT = Event(
    event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, "AAPL Hammer")), symbol="AAPL", pattern_id="hammer", pattern="Hammer",
    direction=1, confidence=0.85, bar_start_us=END_US - 60_000_000, bar_end_us=END_US, first_us=END_US - 60_000_000,
    bars=1, revision=0, supersedes=None, entry=227.6, stop=226.2, target=None, invalidation=None, open=227.1,
    high=227.6, low=226.2, close=227.55, volume=184230, price_change=0.2,
    indicators={"relative_volume": 2.1}, quality=(),
)  # fmt: skip
SESSION = Session(str(uuid.uuid4()), "market_leaders:top_500", END_US)
PULSE = Pulse(
    state="ok", active_symbols=70, ticks_per_second=69.8, bars_per_minute=70.0, processing_lag_ms=12.0,
    patterns_detected=5, connections=1, reconnections=2, stale_symbols=("ZZTEST9",),
)  # fmt: skip

CHANNEL = "tickstock.events.patterns"

measured = st.fixed_dictionaries(
    {
        **dict.fromkeys(("hit_rate", "hit_lo", "hit_hi", "base_rate"), st.floats(0, 1)),
        "n": st.integers(0, 2**31 - 1),
        "edge": st.sampled_from("+-0"),
    }
)
events = st.builds(
    replace,
    st.just(EVENT),
    symbol=st.text(st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20),
    pattern=st.sampled_from(["Doji", "Hammer", "ShootingStar", "VolumeSpike", "HighOfDay"]),
    direction=st.sampled_from([-1, 0, 1]),
    confidence=st.floats(0.001, 1.0),
    bar_end_us=st.integers(951_782_400, 4_102_444_800).map(lambda s: s * 1_000_000),
    close=st.floats(0.0001, 1e6),
    price_change=st.floats(-99.0, 1e4),
    supersedes=st.none() | st.uuids().map(str),
    entry=st.none() | st.floats(allow_nan=True),
    indicators=st.dictionaries(
        st.sampled_from(["relative_volume", "relative_strength", "rsi"]), st.floats(0, 100) | st.just(math.nan)
    ),
    quality=st.sampled_from([(), ("gap",), ("partial_start", "late_revised")]),
    rates=st.just({}) | measured,
    match_quality=st.none() | st.floats(0, 1),
    muted=st.integers(0, 3),
    conflict=st.booleans(),
    atr=st.none() | st.floats(0.001, 10.0),
)


def universal_bytes(event: Event) -> bytes:
    ((channel, message),) = published(event_payload.universal(columns(event), CHANNEL, TTL_S, 1))
    assert channel == CHANNEL
    return message


def streaming_bytes(event: Event) -> bytes:
    ((channel, message),) = published(event_payload.streaming(columns(event), SESSION.session_id, 1))
    assert channel == payload.PATTERNS_STREAMING
    return message


def universal(event: Event = EVENT) -> dict[str, Any]:
    return appv2.message(universal_bytes(event))


@pytest.mark.parametrize("era", appv2.ERAS)
@given(event=events)
def test_every_release_shows_the_alert(era: str, event: Event) -> None:
    alert = appv2.pattern_alert(universal(event), era)
    assert alert == {"pattern": event.pattern, "symbol": event.symbol, "confidence": event.confidence}


@given(event=events)
def test_browsers_subscribed_to_the_exact_name_get_the_broadcast(event: Event) -> None:
    assert appv2.broadcast(universal(event), {event.pattern}) is not None
    assert appv2.broadcast(universal(event), {f"{event.pattern}Pattern"}) is None


@given(event=events)
def test_tier_dashboard_shows_the_end_of_the_bar_and_not_1970(event: Event) -> None:
    shown = appv2.tier_dashboard(universal(event))
    assert shown is not None
    assert shown["time"] == datetime.fromtimestamp(event.bar_end_us // 1_000_000, UTC)
    assert shown["tier"] == "intraday"


@given(event=events)
def test_app_would_cache_the_event_under_the_key_and_with_the_fields_that_we_write(event: Event) -> None:
    (event,) = shown = columns(event)
    cached = appv2.cache_entry(universal(event))
    assert cached is not None
    key, entry = cached
    assert key == f"{event.symbol}:{event.pattern}:{event.bar_end_us // 1_000_000}"
    written = appv2.CachedPattern(**json.loads(event_payload.cached(shown, TTL_S)[0]))
    if (strength := entry.indicators.pop("relative_strength", None)) is not None:
        assert written.indicators.pop("relative_strength") == pytest.approx(1 + strength / 100)
    assert written == entry
    assert entry.expires_at - entry.detected_at == TTL_S


def test_toast_and_integration_log_get_confidence_and_flow_id() -> None:
    event = universal()
    alert = appv2.pattern_alert(event, "E4")
    assert alert is not None
    assert appv2.toast(event, alert) == "Hammer on AAPL 85%"
    assert appv2.integration_row(event) == {"flow_id": uuid.UUID(EVENT.event_id), "confidence": Decimal("0.85")}


def test_universal_payload_is_this_byte_for_byte() -> None:
    flow = EVENT.event_id
    assert universal_bytes(EVENT).decode() == (
        '{"symbol":"AAPL","pattern":"Hammer","pattern_name":"Hammer","pattern_type":"Hammer","confidence":0.85,'
        f'"tier":"intraday","timeframe":"1min","flow_id":"{flow}","event_type":"pattern_detected",'
        '"source":"TickStockPL","timestamp":"2025-09-11T14:21:00.000Z","data":{"symbol":"AAPL","pattern":"Hammer",'
        '"pattern_name":"Hammer","pattern_type":"Hammer","confidence":0.85,"tier":"intraday","timeframe":"1min",'
        f'"flow_id":"{flow}","source":"intraday","timestamp":1757600460.0,"expires_at":1757604060.0,'
        '"current_price":227.55,"price_change":0.2,"direction":"bullish","indicators":{"relative_volume":2.1},'
        '"bar":{"open":227.1,"high":227.6,"low":226.2,"close":227.55,"volume":184230},"bar_start":1757600400.0,'
        '"bar_end":1757600460.0,"levels":{"entry":227.6,"stop":226.2}},"seq":1}'
    )


def plain(value: float) -> float:
    return float(f"{value:.12g}")


class OneByOne:
    """Every text of an event, as a dict and one `orjson.dumps` an event write it."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.names = {
            "symbol": event.symbol,
            "pattern": event.pattern,
            "pattern_name": event.pattern,
            "pattern_type": event.pattern,
            "confidence": event.confidence,
        }
        self.direction = {1: "bullish", -1: "bearish", 0: "neutral"}[event.direction]
        self.bar = {name: getattr(event, name) for name in ("open", "high", "low", "close", "volume")}
        self.indicators = {name: plain(value) for name, value in event.indicators.items() if math.isfinite(value)}
        names = ("entry", "stop", "target", "invalidation")
        prices = {name: getattr(event, name) for name in names}
        levels = {name: plain(price) for name, price in prices.items() if price is not None and math.isfinite(price)}
        self.levels = {"levels": levels} if levels else {}
        self.explained: dict[str, Any] = {"conflict": True} if event.conflict else {}
        if event.points:
            points = [{"role": role, "time": us / 1e6, "price": plain(price)} for role, us, price in event.points]
            self.explained["points"] = points
        if event.margins:
            self.explained["margins"] = {name: plain(margin) for name, margin in event.margins.items()}
        if event.rates:
            told = ("hit_rate", "hit_lo", "hit_hi", "n", "base_rate", "edge")
            shown = {name: event.rates[name] for name in told}
            self.explained |= {name: plain(rate) if isinstance(rate, float) else rate for name, rate in shown.items()}
            if event.match_quality is not None:
                self.explained["match_quality"] = event.match_quality
        self.remarks = dict(self.explained)
        if event.supersedes is not None:
            self.remarks["supersedes"] = event.supersedes
        if event.quality:
            self.remarks["quality"] = event.quality
        if event.talib_name is not None:
            self.remarks |= {"talib_name": event.talib_name, "talib_value": event.talib_value}

    @property
    def expires_us(self) -> int:
        """An event of a longer bar lasts as long as that."""
        return self.event.bar_end_us + max(round(TTL_S * 1e6), self.event.bar_end_us - self.event.bar_start_us)

    def universal(self, seq: int) -> bytes:
        event = self.event
        named = {**self.names, "tier": event.tier, "timeframe": event.timeframe, "flow_id": event.event_id}
        data = {
            **named,
            "source": event.tier,
            "timestamp": event.bar_end_us / 1e6,
            "expires_at": self.expires_us / 1e6,
            "current_price": event.close,
            "price_change": plain(event.price_change),
            "direction": self.direction,
            "indicators": self.indicators,
            "bar": self.bar,
            "bar_start": event.bar_start_us / 1e6,
            "bar_end": event.bar_end_us / 1e6,
            **self.levels,
            **self.remarks,
        }
        top = {"event_type": "pattern_detected", "source": "TickStockPL", "timestamp": payload.iso(event.bar_end_us)}
        return orjson.dumps({**named, **top, "data": data, "seq": seq})

    def streaming(self, seq: int) -> bytes:
        event, session_id, at = self.event, SESSION.session_id, payload.iso(self.event.bar_end_us)
        detection = {
            **self.names,
            "timestamp": at,
            "timeframe": event.timeframe,
            "parameters": {"direction": self.direction, **self.levels},
            "bar_data": self.bar,
            "metadata": {"session_id": session_id, "event_id": event.event_id, **self.remarks},
        }
        top = {"type": "streaming_pattern", "event": "pattern_detected", "session_id": session_id, "timestamp": at}
        return orjson.dumps({**top, "source": "TickStockPL", "detection": detection, "seq": seq})

    def cached(self) -> bytes:
        event = self.event
        fields = {
            "symbol": event.symbol,
            "pattern_type": event.pattern,
            "confidence": event.confidence,
            "current_price": event.close,
            "price_change": plain(event.price_change),
            "detected_at": event.bar_end_us / 1e6,
            "expires_at": self.expires_us / 1e6,
            "indicators": self.indicators,
            "source_tier": event.tier,
        }
        return orjson.dumps(fields)

    def staged(self) -> tuple[bytes, ...]:
        event = self.event
        fields = {
            "pattern_id": event.pattern_id,
            "direction": self.direction,
            "current_price": event.close,
            "price_change": event.price_change,
            "bar_start": event.bar_start_us / 1e6,
            "bar_end": event.bar_end_us / 1e6,
            "first_bar": event.first_us / 1e6,
            "bars": event.bars,
            "revision": event.revision,
            "supersedes": event.supersedes,
            "entry": event.entry,
            "stop": event.stop,
            "target": event.target,
            "invalidation": event.invalidation,
            "atr": event.atr,
            **self.explained,
            "bar": self.bar,
            "indicators": dict(event.indicators),
            "quality": event.quality,
            "talib_name": event.talib_name,
            "talib_value": event.talib_value,
        }
        return (
            uuid.UUID(event.event_id).bytes,
            event.symbol.encode(),
            event.pattern.encode(),
            struct.pack(">h", event.direction),
            struct.pack(">d", event.confidence),
            b"\1" + orjson.dumps(fields),
            event.tier.encode(),
            event.timeframe.encode(),
            struct.pack("?", not event.muted & SWITCHED_OFF),
        )


prices = st.floats(allow_nan=False, allow_infinity=False)
anything = st.builds(
    replace,
    events,
    symbol=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    event_id=st.uuids().map(str),
    first_us=st.integers(0, 4_102_444_800_000_000),
    bars=st.integers(1, 255),
    revision=st.integers(0, 1000),
    **dict.fromkeys(("open", "high", "low", "close", "confidence", "price_change"), prices),
    **dict.fromkeys(("entry", "stop", "target", "invalidation"), st.none() | prices),
    points=st.lists(st.tuples(st.text(max_size=9), st.integers(0, 4_102_444_800_000_000), prices), max_size=8).map(
        tuple
    ),
    margins=st.dictionaries(st.text(max_size=9), st.floats(0, 1), max_size=6),
    volume=st.integers(0, 2**63 - 1),
    indicators=st.just({}) | st.fixed_dictionaries({"relative_volume": prices}),
    talib_name=st.none() | st.sampled_from(["CDLDOJI", "CDLENGULFING"]),
    talib_value=st.sampled_from([-200, -100, -80, 0, 80, 100, 200]),
)
BARS_S = {"1min": 60, "5min": 300, "4hour": 14_400, "daily": 23_400, "weekly": 370_800}


def on_a_bar_of(event: Event, timeframe: str) -> Event:
    """The same on a bar of a timeframe."""
    start_us = event.bar_end_us - BARS_S[timeframe] * 1_000_000
    tier = "daily" if timeframe in ("daily", "weekly") else "intraday"
    return replace(event, bar_start_us=start_us, timeframe=timeframe, tier=tier)


@given(made=st.lists(st.builds(on_a_bar_of, anything, st.sampled_from(list(BARS_S))), max_size=5))
def test_events_written_together_are_byte_for_byte_those_written_one_by_one(made: list[Event]) -> None:
    together = columns(*made)
    assert list(together) == made
    alone = [OneByOne(one) for one in together]
    universal = published(event_payload.universal(together, CHANNEL, TTL_S, 7))
    assert universal == [(CHANNEL, one.universal(seq)) for seq, one in enumerate(alone, 7)]
    streaming = published(event_payload.streaming(together, SESSION.session_id, 2**53))
    assert streaming == [(payload.PATTERNS_STREAMING, one.streaming(seq)) for seq, one in enumerate(alone, 2**53)]
    assert event_payload.cached(together, TTL_S) == [one.cached() for one in alone]
    assert rows_of(event_payload.staged(together)) == [one.staged() for one in alone]


sizes = st.integers(-12, 18).map(lambda power: float(f"1e{power}"))
beside_ties = st.builds(
    lambda digits, power, off: (digits + 0.5) * 10.0**power * (1 + off * 2.0**-52),
    st.integers(10**11, 10**12),
    st.integers(-16, 5),
    st.integers(-8, 8),
)


@given(value=st.floats(allow_nan=False, allow_infinity=False) | sizes | beside_ties | st.floats(-1e6, 1e6))
def test_a_calculated_value_is_written_in_12_digits(value: float) -> None:
    made = replace(EVENT, price_change=value, entry=value)
    data = universal(made)["data"]
    assert (data["price_change"], data["levels"]["entry"]) == (plain(value), plain(value))


def test_a_row_or_pattern_that_is_not_there_is_named() -> None:
    shown = columns(EVENT)
    with pytest.raises(IndexError, match="no row 1"):
        shown.encoder.staged(shown.columns, np.array([1]))
    with pytest.raises(IndexError, match="no pattern"):
        EventEncoder([]).staged(shown.columns, shown.rows)


@given(event=events)
def test_nothing_in_an_event_is_null(event: Event) -> None:
    for raw in (universal_bytes(event), streaming_bytes(event)):
        assert b"null" not in raw


def test_rates_and_match_quality_are_there_only_when_known() -> None:
    data = universal()["data"]
    assert {"hit_rate", "hit_lo", "hit_hi", "n", "base_rate", "edge", "match_quality"}.isdisjoint(data)
    told = {"hit_rate": 0.512, "hit_lo": 0.484, "hit_hi": 0.54, "n": 1234, "base_rate": 0.498, "edge": "0"}
    shown = replace(EVENT, confidence=0.512, rates=told, match_quality=0.85)
    for part in (universal(shown)["data"], appv2.message(streaming_bytes(shown))["detection"]["metadata"]):
        assert {name: part[name] for name in told} == told
        assert part["match_quality"] == 0.85
    text = universal_bytes(shown).decode()
    assert (
        '"hit_rate":0.512,"hit_lo":0.484,"hit_hi":0.54,"n":1234,"base_rate":0.498,"edge":"0","match_quality":0.85'
        in text
    )
    assert json.loads(event_payload.cached(columns(shown), TTL_S)[0])["confidence"] == 0.512


def test_supersedes_and_quality_are_there_only_when_known() -> None:
    assert {"supersedes", "quality", "talib_name", "talib_value"}.isdisjoint(universal()["data"])
    found = universal(replace(EVENT, talib_name="CDLENGULFING", talib_value=-80))["data"]
    assert (found["talib_name"], found["talib_value"]) == ("CDLENGULFING", -80)
    remarked = universal(replace(EVENT, supersedes=EVENT.event_id, quality=("gap",)))["data"]
    assert (remarked["supersedes"], remarked["quality"]) == (EVENT.event_id, ["gap"])


@pytest.mark.parametrize("era", ["E3", "E4"])
@given(event=events)
def test_streaming_channel_shows_the_detection(era: str, event: Event) -> None:
    shown = appv2.streaming_pattern(appv2.message(streaming_bytes(event)), era)
    assert shown is not None
    assert (shown["pattern"], shown["symbol"], shown["confidence"]) == (event.pattern, event.symbol, event.confidence)
    assert shown["time"] == datetime.fromtimestamp(event.bar_end_us // 1_000_000, UTC)
    assert shown["timeframe"] == "1min"
    assert shown["parameters"]["direction"] in ("bullish", "bearish", "neutral")


@pytest.mark.parametrize("era", ["E3", "E4"])
def test_session_shows_its_universe_start_and_totals(era: str) -> None:
    started = appv2.session_started(appv2.message(payload.session_started(SESSION, 70, END_US)), era)
    assert (started["session_id"], started["universe"], started["time"]) == (SESSION.session_id, SESSION.universe, END)
    stopped = appv2.session_stopped(appv2.message(payload.session_stopped(SESSION, 12, 0, END_US + 90_000_000)), era)
    assert stopped["session_id"] == SESSION.session_id
    if era == "E4":
        assert (started["symbol_count"], started["status"]) == (70, "active")
        assert (stopped["duration_seconds"], stopped["total_patterns"], stopped["final_status"]) == (
            90.0,
            12,
            "completed",
        )


@pytest.mark.parametrize("era", ["E3", "E4"])
@pytest.mark.parametrize(("state", "colour"), [("ok", "green"), ("degraded", "yellow"), ("down", "red")])
def test_health_shows_our_numbers_in_the_right_colour(era: str, state: str, colour: str) -> None:
    pulse = replace(PULSE, state=state)
    shown = appv2.streaming_health(appv2.message(payload.streaming_health(pulse, SESSION.session_id, END_US)), era)
    assert (shown["colour"], shown["time"], shown["active_symbols"]) == (colour, END, 70)
    assert shown["data_flow"] == {"ticks_per_second": 69.8, "bars_per_minute": 70.0, "processing_lag_ms": 12.0}
    assert shown["connection"] == {"active": 1, "failed": 0, "reconnections": 2}
    assert shown["stale_symbols"] == {"count": 1, "symbols": ["ZZTEST9"]}
    system = appv2.message(payload.system_health(pulse, SESSION.session_id, END_US))
    assert (system["status"], system["timestamp"]) == (payload.COLOURS[state], END_US / 1e6)


def test_alert_and_error_are_read_with_their_times() -> None:
    alert = appv2.critical_alert(
        appv2.message(payload.critical_alert("FEED_STALLED", "no ticks for 30 s", "critical", {}, END_US))
    )
    assert alert == {
        "type": "FEED_STALLED",
        "message": "no ticks for 30 s",
        "severity": "critical",
        "data": {},
        "time": END,
    }
    raw = payload.error(str(uuid.uuid4()), "error", "network", "no ticks", "consumer", {}, END_US)
    assert appv2.error_log(appv2.message(raw))["timestamp"] == END


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"confidence": 85.0}, "was 85.0"),
        ({"confidence": math.nan}, "was nan"),
        ({"symbol": ""}, "must not be empty"),
        ({"close": math.inf}, "must be finite"),
        ({"price_change": math.nan}, "must be finite"),
        ({"direction": 2}, "was 2"),
    ],
)
def test_event_that_appv2_would_show_wrong_is_named(change: dict[str, Any], says: str) -> None:
    wrong = event_payload.faults(columns(EVENT, replace(EVENT, **change), EVENT))
    assert list(wrong) == [1]
    assert says in wrong[1]


@given(us=st.integers(0, 4_102_444_800_000_000))
def test_iso_time_is_cut_to_milliseconds_for_browsers(us: int) -> None:
    shown = appv2.js_date(payload.iso(us))
    assert shown is not None
    assert round(shown.timestamp() * 1000) == us // 1000


def test_readers_drop_what_the_contract_says_they_drop() -> None:
    nested = {"event_type": "pattern_detected", "data": universal()["data"]}
    assert appv2.pattern_alert(nested, "E1") is None
    assert appv2.pattern_alert(nested, "E2") is not None
    assert appv2.tier_dashboard(nested) is None
    assert appv2.pattern_alert({"data": {"pattern_type": "Hammer", "symbol": "AAPL"}}, "E4") is None
    assert appv2.cache_entry({**universal(), "event_type": "PATTERN_DETECTED"}) is None
    with pytest.raises(KeyError):
        appv2.cache_entry({"event_type": "pattern_detected", "data": {"symbol": "AAPL", "pattern_name": "Hammer"}})
    with pytest.raises(TypeError):
        appv2.CachedPattern(
            **{**json.loads(event_payload.cached(columns(EVENT), TTL_S)[0]), "flow_id": "a tenth field"}
        )
    seconds = appv2.js_date(1757600460.0)
    assert seconds is not None
    assert seconds.year == 1970


def test_a_weak_symbol_is_still_seen_on_the_pattern_page() -> None:
    weak = columns(replace(EVENT, indicators={"relative_strength": -0.75, "rsi": 30.0}))
    (entry,) = (json.loads(text) for text in event_payload.cached(weak, TTL_S))
    assert entry["indicators"] == {"rsi": 30.0, "relative_strength": 0.9925}
    told = universal(weak[0])
    assert told["data"]["indicators"] == {"rsi": 30.0, "relative_strength": -0.75}
