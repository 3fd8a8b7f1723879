"""Every message that leaves for TickStockAppV2, as bytes. Pure functions of values: no clock, no Redis, no settings.

AppV2's readers differ by release: some look at the top level, some inside `data`, some take `pattern` and some
`pattern_type`, browsers need ISO times and the cache needs epoch seconds. Each message here carries what all of them
read, so what looks repeated is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tickstockpl.readings import Alert, Calculation
from tickstockpl.wire import INDICATORS, QUALITY, TIMEFRAME, Event, Events, quality_names

SOURCE = "TickStockPL"
PATTERNS_STREAMING = "tickstock:patterns:streaming"
INDICATORS_STREAMING = "tickstock:indicators:streaming"
INDICATOR_ALERTS = "tickstock:alerts:indicators"
SESSION_STARTED = "tickstock:streaming:session_started"
SESSION_STOPPED = "tickstock:streaming:session_stopped"
STREAMING_HEALTH = "tickstock:streaming:health"
SYSTEM_HEALTH = "tickstock.health.status"
CRITICAL_ALERTS = "tickstock:alerts:critical"
PRODUCER_HEARTBEAT = "tickstock:producer:heartbeat"
SERVICE_HEARTBEAT = "tickstockpl:heartbeat"

COLOURS = {"ok": "healthy", "degraded": "warning", "down": "critical"}
"""Our states in AppV2's words: it paints `healthy` green, `warning` yellow and everything else red."""

BAR = ("open", "high", "low", "close", "volume")

DIRECTIONS = {1: "bullish", -1: "bearish", 0: "neutral"}
"""A direction in AppV2's words."""

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
    return event.bar_end_us + lifetime_us(ttl_s)


def lifetime_us(ttl_s: float) -> int:
    """How long after the END of its bar an event is shown."""
    return round(ttl_s * 1e6)


def faults(events: Events) -> dict[int, str]:
    """Why AppV2 could not show some of the events, by their places. One such message can blank a whole page there."""
    confidence, direction = events.column("confidence"), events.column("direction")
    calculated = ("open", "high", "low", "close", "price_change")
    finite = np.logical_and.reduce([np.isfinite(events.column(name)) for name in calculated])
    unsure, aimless = ~((confidence >= 0.0) & (confidence <= 1.0)), np.abs(direction) > 1
    names = [each["name"] for each in events.patterns]
    nameless = _is_empty(events.columns.symbols, events.column("symbol")) | _is_empty(names, events.column("pattern"))
    found: dict[int, str] = {}
    for at in (nameless | unsure | ~finite | aimless).nonzero()[0].tolist():
        if nameless[at]:
            found[at] = "symbol and pattern must not be empty"
        elif unsure[at]:
            found[at] = f"confidence must be within 0 and 1, was {confidence[at]}"
        elif not finite[at]:
            found[at] = "prices and price_change must be finite"
        else:
            found[at] = f"direction must be -1, 0 or 1, was {direction[at]}"
    return found


def universal(event: Event, ttl_s: float) -> bytes:
    """The message for `tickstock.events.patterns`: read alike by every release of AppV2.

    event: one that `faults` does not name.
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
        "direction": DIRECTIONS[event.direction],
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
        "parameters": {"direction": DIRECTIONS[event.direction], **_levels(event)},
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


def cached_patterns(events: Events, ttl_s: float) -> list[str]:
    """The values of pattern-cache entries: the nine fields of AppV2's `CachedPattern`, which takes no tenth."""
    ends_us = events.bar_end_us()
    return _objects(
        {
            "symbol": _quoted(events.symbol_names()),
            "pattern_type": _named(events, "name"),
            "confidence": _numbers(events.column("confidence")),
            "current_price": _numbers(events.column("close")),
            "price_change": _numbers(_plainly(events.column("price_change"))),
            "detected_at": _numbers(ends_us / 1e6),
            "expires_at": _numbers((ends_us + lifetime_us(ttl_s)) / 1e6),
            "indicators": _maps({name: _plainly(_cached(events, name)) for name in INDICATORS}),
            "source_tier": _named(events, "tier"),
        }
    )


def stored_patterns(events: Events) -> list[str]:
    """What the database keeps of each event: `payload` of `pattern_event`, AppV2's own `pattern_data`."""
    directions = {value: _quoted([name])[0] for value, name in DIRECTIONS.items()}
    return _objects(
        {
            "pattern_id": _named(events, "id"),
            "direction": [directions.get(value, directions[0]) for value in events.column("direction").tolist()],
            "current_price": _numbers(events.column("close")),
            "price_change": _numbers(events.column("price_change")),
            "bar_start": _numbers(events.column("ts_us") / 1e6),
            "bar_end": _numbers(events.bar_end_us() / 1e6),
            "first_bar": _numbers(events.column("first_us") / 1e6),
            "bars": _numbers(events.column("bars")),
            "revision": _numbers(events.column("revision")),
            "supersedes": [f'"{old.decode()}"' if old else "null" for old in events.column("supersedes").tolist()],
            **{name: _numbers(events.column(name)) for name in ("entry", "stop", "target")},
            "bar": _objects({name: _numbers(events.column(name)) for name in BAR}),
            "indicators": _maps({name: events.column(name) for name in INDICATORS}),
            "quality": _qualities(events),
            "talib_name": _named(events, "talib_name"),
            "talib_value": _numbers(events.column("talib_value")),
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


def _is_empty(names: Sequence[str], column: NDArray[np.int32]) -> NDArray[np.bool_]:
    if "" not in names:
        return np.full(len(column), False)
    return np.array([not name for name in names])[column]


def _session(event: str, body: dict[str, Any], now_us: int) -> bytes:
    top = {"type": f"streaming_{event}", "event": event, "timestamp": iso(now_us), "session": body, "data": body}
    return orjson.dumps(top)


def _names(event: Event) -> dict[str, Any]:
    name = event.pattern
    names = {"pattern": name, "pattern_name": name, "pattern_type": name}
    return {"symbol": event.symbol, **names, "confidence": event.confidence}


def _bar(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in BAR}


def _indicators(event: Event) -> dict[str, float]:
    return {name: _plain(value) for name, value in event.indicators.items() if math.isfinite(value)}


def _levels(event: Event) -> dict[str, dict[str, float]]:
    prices = {"entry": event.entry, "stop": event.stop, "target": event.target}
    known = {name: _plain(price) for name, price in prices.items() if price is not None and math.isfinite(price)}
    return {"levels": known} if known else {}


def _objects(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """A JSON object of each row; `columns` are JSON already, by key."""
    template = "{" + ",".join(f'"{name}":%s' for name in columns) + "}"
    return list(map(template.__mod__, zip(*columns.values(), strict=True)))


def _cached(events: Events, name: str) -> NDArray[np.float64]:
    """An indicator as AppV2's pattern page takes it.

    It shows a relative strength as a multiple ("1.0x" is the market) and hides every pattern whose own is below 0; as
    percentage points half of the market would never be seen.
    """
    column: NDArray[np.float64] = events.column(name)
    return 1.0 + column / 100.0 if name == "relative_strength" else column


def _plainly(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([_plain(value) for value in column.tolist()], dtype=np.float64)


def _numbers(column: NDArray[Any]) -> list[str]:
    """Each number as JSON, `null` for one that is not finite: all in one call, for a call costs more than a number."""
    whole = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
    return whole[1:-1].decode().split(",") if len(column) else []


def _quoted(names: Sequence[str | None]) -> list[str]:
    return [orjson.dumps(name).decode() for name in names]


def _named(events: Events, what: str) -> list[str]:
    names = _quoted([pattern[what] for pattern in events.patterns])
    return [names[at] for at in events.column("pattern").tolist()]


def _qualities(events: Events) -> list[str]:
    texts = [orjson.dumps(quality_names(bits)).decode() for bits in range(1 << len(QUALITY))]
    return [texts[bits] for bits in events.column("quality").tolist()]


def _maps(columns: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """A JSON object of each row, of the values that are finite."""
    cells = [
        [f'"{name}":{text}' if text != "null" else "" for text in _numbers(column)] for name, column in columns.items()
    ]
    return [f"{{{','.join(filter(None, row))}}}" for row in zip(*cells, strict=True)]


def _plain(value: float) -> float:
    """A calculated value in 12 digits: people should read 358.01, not 358.01000000000005."""
    return float(f"{value:.12g}")


def _remarks(event: Event) -> dict[str, Any]:
    remarks: dict[str, Any] = {}
    if event.supersedes is not None:
        remarks["supersedes"] = event.supersedes
    if event.quality:
        remarks["quality"] = event.quality
    if event.talib_name is not None:
        remarks |= {"talib_name": event.talib_name, "talib_value": event.talib_value}
    return remarks


def _connection(pulse: Pulse) -> dict[str, int]:
    return {"active": pulse.connections, "failed": pulse.failed, "reconnections": pulse.reconnections}


def _data_flow(pulse: Pulse) -> dict[str, float]:
    return {
        "ticks_per_second": pulse.ticks_per_second,
        "bars_per_minute": pulse.bars_per_minute,
        "processing_lag_ms": pulse.processing_lag_ms,
    }
