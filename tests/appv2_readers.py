"""What each reader of TickStockAppV2 takes from our messages and keys, release by release, restated in plain Python.

Releases: E1 the first consumer, E2 nested or flat events, E3 and E4 the streaming channels. A reader returns what a
person would see, or None where AppV2 drops the message; where AppV2 raises, so does the reader.
"""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

ERAS = ("E1", "E2", "E3", "E4")
FLUSH_S, FLUSH_SHOWN = 0.25, 20
TIERS = ("daily", "intraday", "combo")
ABBREVIATIONS = {
    "Weekly_Breakout": "WeeklyBO", "Bull_Flag": "BullFlag", "Trendline_Hold": "TrendHold", "Volume_Spike": "VolSpike",
    "Gap_Fill": "GapFill", "Momentum_Shift": "MomShift", "Support_Test": "Support", "Resistance_Break": "ResBreak",
    "Ascending_Triangle": "AscTri", "Reversal_Signal": "Reversal",
}  # fmt: skip


def message(raw: bytes) -> Json:
    """Any channel: UTF-8 JSON, and an object."""
    decoded = json.loads(raw.decode("utf-8"), parse_constant=_not_json)
    assert isinstance(decoded, dict)
    return decoded


def js_date(value: object) -> datetime | None:
    """`new Date(value)`: a number is ms since 1970, a string ISO-8601; None is Invalid Date."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)", value):
        return datetime.fromisoformat(value)
    return None


def pattern_alert(event: Json, era: str) -> Json | None:
    """`_handle_pattern_event`: the alert's name, symbol and confidence."""
    if era == "E1":
        found = event
    else:
        data = event.get("data", {})
        nested = data.get("data", {})  # `data: null` raises here
        found = nested or data or event
    name = found.get("pattern") or (None if era == "E1" else found.get("pattern_name"))
    if not name or not found.get("symbol"):
        return None
    return {"pattern": name, "symbol": found["symbol"], "confidence": found.get("confidence", 0)}


def broadcast(event: Json, subscribed: set[str]) -> Json | None:
    """`WebSocketBroadcaster`: to browsers subscribed to exactly that name."""
    found = event.get("data", event)
    name = found.get("pattern") or found.get("pattern_name")
    if not name or name not in subscribed:
        return None
    return {"pattern": name, "symbol": found.get("symbol"), "confidence": found.get("confidence")}


@dataclass
class CachedPattern:
    """AppV2's own; `CachedPattern(**json)` refuses a missing or a tenth field."""

    symbol: str
    pattern_type: str
    confidence: float
    current_price: float
    price_change: float
    detected_at: float
    expires_at: float
    indicators: dict[str, Any]
    source_tier: str

    def row(self, now_s: float) -> Json:
        """One row of `/api/patterns/scan`."""
        left, ago = self.expires_at - now_s, now_s - self.detected_at
        return {
            "symbol": self.symbol,
            "pattern": ABBREVIATIONS.get(self.pattern_type, self.pattern_type[:8]),
            "conf": round(self.confidence, 2),
            "rs": f"{self.indicators.get('relative_strength', 1.0):.1f}x",
            "vol": f"{self.indicators.get('relative_volume', 1.0):.1f}x",
            "price": f"${self.current_price:.2f}",
            "chg": f"{self.price_change:+.1f}%",
            "time": f"{int(ago)}s" if ago < 60 else f"{int(ago / 60)}m" if ago < 3600 else f"{int(ago / 3600)}h",
            "exp": "Expired" if left <= 0 else f"{int(left / 60)}m" if left < 3600 else f"{int(left / 3600)}h",
            "source": self.source_tier,
        }


def cache_entry(event: Json) -> tuple[str, CachedPattern] | None:
    """`_cache_new_pattern`: the id under which it would be cached, and the entry."""
    if event.get("event_type") not in ("pattern_detected", "pattern_updated"):
        return None
    data = event.get("data", {})
    pattern = CachedPattern(
        symbol=data["symbol"],
        pattern_type=data["pattern"],
        confidence=float(data["confidence"]),
        current_price=float(data.get("current_price", 0)),
        price_change=float(data.get("price_change", 0)),
        detected_at=data["timestamp"],
        expires_at=data["expires_at"],
        indicators=data.get("indicators", {}),
        source_tier=data.get("source", "unknown"),
    )
    if isinstance(data["timestamp"], str):
        raise TypeError("an ISO time has no int()")
    return f"{pattern.symbol}:{pattern.pattern_type}:{int(pattern.detected_at)}", pattern


def integration_row(event: Json) -> Json:
    """`DatabaseIntegrationLogger`: flow_id as uuid, confidence as numeric(3,2)."""
    flow = event.get("flow_id") or event.get("data", {}).get("flow_id") or event.get("metadata", {}).get("flow_id")
    confidence = round(Decimal(str(event["data"]["confidence"])), 2)
    assert abs(confidence) < 10, "numeric field overflow"
    return {"flow_id": uuid.UUID(flow), "confidence": confidence}


def toast(event: Json, alert: Json) -> str:
    """The browser's toast: the server's name and symbol, the message's own top-level confidence."""
    confidence = event.get("confidence")
    shown = f" {confidence * 100:.0f}%" if confidence else ""
    return f"{alert['pattern']} on {alert['symbol']}{shown}"


def tier_dashboard(event: Json) -> Json | None:
    """`tier_pattern_service.js`: top level only, and a JavaScript date."""
    if not (event.get("pattern") and event.get("symbol") and event.get("confidence")):
        return None
    tier, timeframe = event.get("tier"), str(event.get("timeframe", ""))
    if not tier:
        tier = "intraday" if any(word in timeframe for word in ("1m", "5m", "15m")) else "daily"
    assert tier in TIERS
    shown = {key: event[key] for key in ("pattern", "symbol", "confidence")}
    return {**shown, "tier": tier, "time": js_date(event.get("timestamp"))}


def streaming_pattern(event: Json, era: str) -> Json | None:
    """`tickstock:patterns:streaming`, through the buffer that swallows what has no symbol or name."""
    found = event.get("detection", event)
    names = ("pattern_type",) if era == "E3" else ("pattern", "pattern_type", "pattern_name")
    name = next((found[key] for key in names if found.get(key)), None)
    if not name or not found.get("symbol"):
        return None
    return {
        "pattern": name,
        "symbol": found["symbol"],
        "confidence": found.get("confidence"),
        "time": js_date(found.get("timestamp")),
        "parameters": found.get("parameters", {}),
        "timeframe": found.get("timeframe", "1min"),
    }


def streaming_indicator(event: Json, era: str) -> Json | None:
    """`tickstock:indicators:streaming`: what has no symbol or name is swallowed; `value` alone would show nothing."""
    found = event.get("calculation", event)
    names = ("indicator_type",) if era == "E3" else ("indicator", "indicator_type")
    name = next((found[key] for key in names if found.get(key)), None)
    if not name or not found.get("symbol"):
        return None
    return {
        "indicator": name,
        "symbol": found["symbol"],
        "values": found.get("values", {}),
        "time": js_date(found.get("timestamp")),
        "timeframe": found.get("timeframe", "1min"),
    }


def indicator_alert(event: Json) -> Json:
    """`tickstock:alerts:indicators`, E3 and E4: top level, and never inside `alert`."""
    shown = {key: event.get(key) for key in ("alert_type", "symbol", "data", "session_id")}
    return {**shown, "time": js_date(event.get("timestamp"))}


INDICATORS_LATEST = """
SELECT id, symbol, indicator_type, value, value_data, calculation_timestamp, timeframe, metadata
FROM intraday_indicators
WHERE calculation_timestamp > now() - interval '30 minutes' AND expiration_timestamp > now()
ORDER BY symbol, indicator_type, calculation_timestamp
"""
"""`/api/patterns/indicators/latest` of E3."""


def critical_alert(event: Json) -> Json:
    """`tickstock:alerts:critical`, E3 and E4: top level."""
    shown = {key: event.get(key) for key in ("type", "message", "severity", "data")}
    return {**shown, "time": js_date(event.get("timestamp"))}


def session_started(event: Json, era: str) -> Json:
    """E3 reads `data` or the top level, E4 only `session`."""
    if era == "E3":
        found = event.get("data", event)
        session, universe, at = found.get("session_id"), found.get("symbol_universe_key"), found.get("start_time")
        return {"session_id": session, "universe": universe, "time": js_date(at)}
    found = event.get("session", {})
    return {
        "session_id": found.get("session_id"),
        "universe": found.get("universe"),
        "time": js_date(found.get("started_at")),
        "symbol_count": found.get("symbol_count"),
        "status": found.get("status"),
    }


def session_stopped(event: Json, era: str) -> Json:
    """E3 takes the id from `data` or the top level, E4 the totals from `session` or the top level."""
    if era == "E3":
        return {"session_id": event.get("data", event).get("session_id")}
    found = event.get("session", event)
    keys = ("session_id", "duration_seconds", "total_patterns", "total_indicators", "final_status")
    return {**{key: found.get(key) for key in keys}, "time": js_date(found.get("stopped_at"))}


def streaming_health(event: Json, era: str) -> Json:
    """E3 reads the top level, E4 `health` or the top level; the dot's colour is the browser's."""
    found = event if era == "E3" else event.get("health", event)
    assert isinstance(found["data_flow"], dict)
    keys = ["session_id", "status", "connection", "data_flow", "resources", "active_symbols", "stale_symbols"]
    if era == "E4":
        keys += ["ticks_per_second", "patterns_detected", "indicators_calculated"]
    colour = {"healthy": "green", "warning": "yellow"}.get(found["status"], "red")
    return {**{key: found[key] for key in keys}, "time": js_date(found["timestamp"]), "colour": colour}


def error_log(event: Json) -> Json:
    """`ErrorMessage`: five required fields; Python's own ISO reader, which took no Z before 3.11."""
    assert all(isinstance(event[key], str) for key in ("error_id", "source", "severity", "message", "timestamp"))
    assert event["severity"] in ("critical", "error", "warning", "info", "debug")
    assert not event["timestamp"].endswith("Z")
    uuid.UUID(event["error_id"])
    return {**event, "timestamp": datetime.fromisoformat(event["timestamp"])}


def producer_age_s(heartbeat: str | bytes | None, now_s: float) -> float | None:
    """`tickstock:producer:heartbeat`: online under 60 s for the subscriber, under 30 s for the fallback detector."""
    return None if heartbeat is None else now_s - float(heartbeat)


def scan(redis: Any, now_s: float, *, confidence_min: float = 0.5, symbols: tuple[str, ...] = ()) -> list[Json]:
    """`/api/patterns/scan`, best confidence first. redis: synchronous, `decode_responses=True`.

    Anything it cannot compare makes AppV2 answer empty for everybody; here it raises.
    """
    rows = []
    for key in redis.zrevrangebyscore("tickstock:indexes:confidence", "+inf", confidence_min):
        data = redis.hget(f"tickstock:patterns:{key}", "data")
        if not data:
            continue
        pattern = CachedPattern(**json.loads(data))
        wanted = not symbols or pattern.symbol in symbols
        strong = pattern.indicators.get("relative_strength", 1.0) >= 0
        loud = pattern.indicators.get("relative_volume", 1.0) >= 0
        if (
            wanted
            and strong
            and loud
            and 0 <= pattern.indicators.get("rsi", 50.0) <= 100
            and pattern.expires_at > now_s
        ):
            rows.append(pattern.row(now_s))
    return rows


def cleanup(redis: Any, now_s: float) -> int:
    """AppV2's own, once a minute: HGET on every key under the prefix; the hash goes, its names in the sets stay."""
    removed = 0
    for key in redis.keys("tickstock:patterns:*"):
        data = redis.hget(key, "data")
        if not data:
            continue
        pattern = json.loads(data)
        if pattern.get("expires_at", 0) <= now_s:
            last_word = key.split(":")[-1]
            redis.delete(key)
            for index in ("confidence", "time"):
                redis.zrem(f"tickstock:indexes:{index}", last_word)
            removed += 1
    return removed


def shown(arrivals_s: list[float], flush_s: float = FLUSH_S) -> int:
    """`StreamingBuffer`: how many patterns, arriving at these times, each of its own symbol, reach a browser."""
    flushes: dict[int, int] = {}
    for at_s in arrivals_s:
        flushes[int(at_s / flush_s)] = flushes.get(int(at_s / flush_s), 0) + 1
    return sum(min(FLUSH_SHOWN, count) for count in flushes.values())


def _not_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
