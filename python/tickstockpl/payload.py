"""Every message that leaves for TickStockAppV2, as bytes. Pure functions of values: no clock, no Redis, no settings.

AppV2's readers differ by release: some look at the top level, some inside `data`, some take `pattern` and some
`pattern_type`, browsers need ISO times and the cache needs epoch seconds. Each message here carries what all of them
read, so what looks repeated is.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tickstockpl.wire import Event

SOURCE = "TickStockPL"
PATTERNS_STREAMING = "tickstock:patterns:streaming"
SESSION_STARTED = "tickstock:streaming:session_started"
SESSION_STOPPED = "tickstock:streaming:session_stopped"
STREAMING_HEALTH = "tickstock:streaming:health"
SYSTEM_HEALTH = "tickstock.health.status"
CRITICAL_ALERTS = "tickstock:alerts:critical"
PRODUCER_HEARTBEAT = "tickstock:producer:heartbeat"
SERVICE_HEARTBEAT = "tickstockpl:heartbeat"

COLOURS = {"ok": "healthy", "degraded": "warning", "down": "critical"}
"""Our states in AppV2's words: it paints `healthy` green, `warning` yellow and everything else red."""

_DIRECTIONS = {1: "bullish", -1: "bearish", 0: "neutral"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the service, as AppV2's dashboard shows it."""

    session_id: str
    universe: str
    started_us: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """The service's own numbers, for the health messages; all finite."""

    state: str
    """`ok`, `degraded` or `down`."""
    active_symbols: int
    ticks_per_second: float
    bars_per_minute: float
    processing_lag_ms: float
    """From a bar's last tick to its event being queued."""
    patterns_detected: int
    indicators_calculated: int = 0
    connections: int = 1
    failed: int = 0
    reconnections: int = 0
    stale_symbols: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()
    resources: dict[str, float] = field(default_factory=dict)


def iso(us: int) -> str:
    """ISO-8601 with milliseconds and Z: the one form that Python and every browser's `new Date` read alike."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def expires_us(event: Event, ttl_s: float) -> int:
    """When AppV2 stops showing the event: `ttl_s` after the END of its bar."""
    return event.bar_end_us + round(ttl_s * 1e6)


def fault(event: Event) -> str | None:
    """Why AppV2 could not show the event, or None. One such message can blank a whole page there."""
    if not event.symbol or not event.pattern:
        return "symbol and pattern must not be empty"
    if not 0.0 <= event.confidence <= 1.0:
        return f"confidence must be within 0 and 1, was {event.confidence}"
    if not all(map(math.isfinite, (event.open, event.high, event.low, event.close, event.price_change))):
        return "prices and price_change must be finite"
    if event.direction not in _DIRECTIONS:
        return f"direction must be -1, 0 or 1, was {event.direction}"
    return None


def universal(event: Event, ttl_s: float) -> bytes:
    """The message for `tickstock.events.patterns`: read alike by every release of AppV2.

    event: one for which `fault` is None.
    ttl_s: seconds from the bar's END until it expires.
    """
    named = {**_names(event), "tier": event.tier, "timeframe": event.timeframe, "flow_id": event.event_id}
    data = {
        **named,
        "source": event.tier,
        "timestamp": event.bar_end_us / 1e6,
        "expires_at": expires_us(event, ttl_s) / 1e6,
        "current_price": event.close,
        "price_change": _plain(event.price_change),
        "direction": _DIRECTIONS[event.direction],
        "indicators": _indicators(event),
        "bar": _bar(event),
        "bar_start": event.bar_start_us / 1e6,
        "bar_end": event.bar_end_us / 1e6,
        **_levels(event),
        **_remarks(event),
    }
    top = {**named, "event_type": "pattern_detected", "source": SOURCE, "timestamp": iso(event.bar_end_us)}
    return orjson.dumps({**top, "data": data})


def streaming_pattern(event: Event, session_id: str) -> bytes:
    """The message for `tickstock:patterns:streaming`."""
    at = iso(event.bar_end_us)
    detection = {
        **_names(event),
        "timestamp": at,
        "timeframe": event.timeframe,
        "parameters": {"direction": _DIRECTIONS[event.direction], **_levels(event)},
        "bar_data": _bar(event),
        "metadata": {"session_id": session_id, "event_id": event.event_id, **_remarks(event)},
    }
    return orjson.dumps(
        {
            "type": "streaming_pattern",
            "event": "pattern_detected",
            "session_id": session_id,
            "timestamp": at,
            "source": SOURCE,
            "detection": detection,
        }
    )


def cached_pattern(event: Event, ttl_s: float) -> bytes:
    """The value of a pattern-cache entry: the nine fields of AppV2's `CachedPattern`, which takes no tenth."""
    return orjson.dumps(
        {
            "symbol": event.symbol,
            "pattern_type": event.pattern,
            "confidence": event.confidence,
            "current_price": event.close,
            "price_change": _plain(event.price_change),
            "detected_at": event.bar_end_us / 1e6,
            "expires_at": expires_us(event, ttl_s) / 1e6,
            "indicators": _indicators(event),
            "source_tier": event.tier,
        }
    )


def session_started(session: Session, symbol_count: int, now_us: int) -> bytes:
    """The message for `tickstock:streaming:session_started`; AppV2 may receive it any number of times."""
    started = iso(session.started_us)
    body = {
        "session_id": session.session_id,
        "universe": session.universe,
        "symbol_universe_key": session.universe,
        "started_at": started,
        "start_time": started,
        "symbol_count": symbol_count,
        "status": "active",
    }
    return _session("session_started", body, now_us)


def session_stopped(session: Session, total_patterns: int, total_indicators: int, now_us: int) -> bytes:
    """The message for `tickstock:streaming:session_stopped`, with the totals of the run."""
    body = {
        "session_id": session.session_id,
        "stopped_at": iso(now_us),
        "duration_seconds": round((now_us - session.started_us) / 1e6, 3),
        "total_patterns": total_patterns,
        "total_indicators": total_indicators,
        "final_status": "completed",
    }
    return _session("session_stopped", body, now_us)


def streaming_health(pulse: Pulse, session_id: str, now_us: int) -> bytes:
    """The message for `tickstock:streaming:health`: everything at the top level and again in `health`."""
    body = {
        "session_id": session_id,
        "status": COLOURS[pulse.state],
        "active_symbols": pulse.active_symbols,
        "ticks_per_second": pulse.ticks_per_second,
        "patterns_detected": pulse.patterns_detected,
        "indicators_calculated": pulse.indicators_calculated,
        "timestamp": iso(now_us),
        "connection": _connection(pulse),
        "data_flow": _data_flow(pulse),
        "resources": pulse.resources,
        "stale_symbols": {"count": len(pulse.stale_symbols), "symbols": pulse.stale_symbols},
        "issues": pulse.issues,
    }
    return orjson.dumps({**body, "type": "streaming_health", "event": "streaming_health", "health": body})


def system_health(pulse: Pulse, session_id: str, now_us: int) -> bytes:
    """The message for `tickstock.health.status`, which AppV2 hands to browsers as it is."""
    return orjson.dumps(
        {
            "event_type": "system_health",
            "source": SOURCE,
            "timestamp": now_us / 1e6,
            "status": COLOURS[pulse.state],
            "session_id": session_id,
            "active_symbols": pulse.active_symbols,
            "patterns_detected": pulse.patterns_detected,
            "connection": _connection(pulse),
            "data_flow": _data_flow(pulse),
            "issues": pulse.issues,
        }
    )


def critical_alert(kind: str, message: str, severity: str, data: dict[str, Any], now_us: int) -> bytes:
    """The message for `tickstock:alerts:critical`.

    kind: such as `FEED_STALLED`.
    """
    body = {"type": kind, "message": message, "severity": severity, "timestamp": iso(now_us), "data": data}
    return orjson.dumps({**body, "alert": body})


def error(
    error_id: str, severity: str, category: str, message: str, component: str, context: dict[str, Any], now_us: int
) -> bytes:
    """The message for `tickstock:errors`.

    severity: `critical`, `error`, `warning`, `info` or `debug`; category: one of AppV2's, such as `network`.
    """
    return orjson.dumps(
        {
            "error_id": error_id,
            "source": SOURCE,
            "severity": severity,
            "category": category,
            "message": message,
            "component": component,
            "traceback": None,
            "context": context,
            # +00:00 and not Z: this one is read by Python's fromisoformat, which knows Z only since 3.11
            "timestamp": (_EPOCH + timedelta(microseconds=now_us)).isoformat(timespec="milliseconds"),
        }
    )


def _session(event: str, body: dict[str, Any], now_us: int) -> bytes:
    top = {"type": f"streaming_{event}", "event": event, "timestamp": iso(now_us), "session": body, "data": body}
    return orjson.dumps(top)


def _names(event: Event) -> dict[str, Any]:
    name = event.pattern
    names = {"pattern": name, "pattern_name": name, "pattern_type": name}
    return {"symbol": event.symbol, **names, "confidence": event.confidence}


def _bar(event: Event) -> dict[str, Any]:
    return {
        "open": event.open,
        "high": event.high,
        "low": event.low,
        "close": event.close,
        "volume": event.volume,
    }


def _indicators(event: Event) -> dict[str, float]:
    return {name: _plain(value) for name, value in event.indicators.items() if math.isfinite(value)}


def _levels(event: Event) -> dict[str, dict[str, float]]:
    prices = {"entry": event.entry, "stop": event.stop, "target": event.target}
    known = {name: _plain(price) for name, price in prices.items() if price is not None and math.isfinite(price)}
    return {"levels": known} if known else {}


def _plain(value: float) -> float:
    """A calculated value in 12 digits: people should read 358.01, not 358.01000000000005."""
    return float(f"{value:.12g}")


def _remarks(event: Event) -> dict[str, Any]:
    remarks: dict[str, Any] = {}
    if event.supersedes is not None:
        remarks["supersedes"] = event.supersedes
    if event.quality:
        remarks["quality"] = event.quality
    return remarks


def _connection(pulse: Pulse) -> dict[str, int]:
    return {"active": pulse.connections, "failed": pulse.failed, "reconnections": pulse.reconnections}


def _data_flow(pulse: Pulse) -> dict[str, float]:
    return {
        "ticks_per_second": pulse.ticks_per_second,
        "bars_per_minute": pulse.bars_per_minute,
        "processing_lag_ms": pulse.processing_lag_ms,
    }
