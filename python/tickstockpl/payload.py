"""The messages that leave for TickStockAppV2, as bytes; those of events are in `event_payload`.

Pure functions of values: no clock, no Redis, no settings.

AppV2's readers differ by release: some look at the top level, some inside `data`, some take `pattern` and some
`pattern_type`, browsers need ISO times and the cache needs epoch seconds. Each message here carries what all of them
read, so what looks repeated is.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from tickstockpl.moments import moment_at
from tickstockpl.readings import Alert, Calculation
from tickstockpl.vocabulary import TIMEFRAME

SOURCE = "TickStockPL"
PATTERNS_STREAMING = "tickstock:patterns:streaming"
INDICATORS_STREAMING = "tickstock:indicators:streaming"
INDICATOR_ALERTS = "tickstock:alerts:indicators"
SESSION_STARTED = "tickstock:streaming:session_started"
SESSION_STOPPED = "tickstock:streaming:session_stopped"
STREAMING_HEALTH = "tickstock:streaming:health"
SYSTEM_HEALTH = "tickstock.health.status"
CRITICAL_ALERTS = "tickstock:alerts:critical"
PATTERN_DEFINITIONS = "tickstock:patterns:definitions"
"""Where anybody may say that the table `pattern_definitions` has changed; whatever the message says."""
PRODUCER_HEARTBEAT = "tickstock:producer:heartbeat"
SERVICE_HEARTBEAT = "tickstockpl:heartbeat"

COLOURS = {"ok": "healthy", "degraded": "warning", "down": "critical"}
"""Our states in AppV2's words: it paints `healthy` green, `warning` yellow and everything else red."""


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


def numbered(message: bytes, seq: int) -> bytes:
    """The message, a JSON object that is not empty, with its number on its channel."""
    return b'%b,"seq":%d}' % (message[:-1], seq)


@lru_cache(maxsize=1024)
def iso(us: int) -> str:
    """ISO-8601 with milliseconds and Z: the one form that Python and every browser's `new Date` read alike."""
    moment = moment_at(us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def streaming_indicator(calculation: Calculation, session_id: str) -> bytes:
    """The message for `tickstock:indicators:streaming`."""
    at, name = iso(calculation.bar_end_us), calculation.indicator.name
    values = {key: _plain(value) for key, value in calculation.values.items()}
    body = {
        "symbol": calculation.symbol,
        "indicator": name,
        "indicator_type": name,
        "value": values["value"],
        "values": values,
        "timestamp": at,
        "timeframe": TIMEFRAME,
        "metadata": calculation.indicator.parameters,
    }
    return orjson.dumps(
        {
            "type": "streaming_indicator",
            "event": "indicator_calculated",
            "session_id": session_id,
            "timestamp": at,
            "source": SOURCE,
            "calculation": body,
        }
    )


def indicator_alert(alert: Alert, session_id: str) -> bytes:
    """The message for `tickstock:alerts:indicators`."""
    body = {
        "symbol": alert.symbol,
        "alert_type": alert.kind,
        "timestamp": iso(alert.bar_end_us),
        "data": {key: _plain(value) if isinstance(value, float) else value for key, value in alert.data.items()},
        "severity": "warning",
    }
    return orjson.dumps({**body, "type": "indicator_alert", "session_id": session_id, "source": SOURCE, "alert": body})


def stored_values(calculation: Calculation) -> str:
    """AppV2's `value_data` of a row in `intraday_indicators`."""
    return orjson.dumps(dict(calculation.values)).decode()


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
            "timestamp": moment_at(now_us).isoformat(timespec="milliseconds"),
        }
    )


def _session(event: str, body: dict[str, Any], now_us: int) -> bytes:
    top = {"type": f"streaming_{event}", "event": event, "timestamp": iso(now_us), "session": body, "data": body}
    return orjson.dumps(top)


def _plain(value: float) -> float:
    """A calculated value in 12 digits: people should read 358.01, not 358.01000000000005."""
    return float(f"{value:.12g}")


def _connection(pulse: Pulse) -> dict[str, int]:
    return {"active": pulse.connections, "failed": pulse.failed, "reconnections": pulse.reconnections}


def _data_flow(pulse: Pulse) -> dict[str, float]:
    return {
        "ticks_per_second": pulse.ticks_per_second,
        "bars_per_minute": pulse.bars_per_minute,
        "processing_lag_ms": pulse.processing_lag_ms,
    }
