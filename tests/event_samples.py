"""Events one by one and as columns."""

import math
import uuid
from typing import Any

import hiredis
import numpy as np

from tickstockpl._kernel import PATTERNS as BUILT_IN
from tickstockpl._kernel import EventEncoder
from tickstockpl.events import EVENT_DTYPES, INDICATORS, RATES, Event, EventColumns, Events
from tickstockpl.vocabulary import INTRADAY, QUALITY, TIERS, TIMEFRAMES
from tickstockpl.wire import Findings

MINUTE_US = 60_000_000


def event(symbol: str = "ZZTEST1", *, bar_end_us: int = 1_757_600_460_000_000, **change: Any) -> Event:
    """A Hammer on one bar, with an id of its own; `change` replaces any field."""
    fields: dict[str, Any] = {
        "event_id": str(uuid.uuid4()),
        "symbol": symbol,
        "pattern_id": "hammer",
        "pattern": "Hammer",
        "direction": 1,
        "confidence": 0.85,
        "bar_start_us": bar_end_us - MINUTE_US,
        "bar_end_us": bar_end_us,
        "first_us": bar_end_us - MINUTE_US,
        "bars": 1,
        "revision": 0,
        "supersedes": None,
        "entry": 227.6,
        "stop": 226.2,
        "target": None,
        "invalidation": 226.2,
        "open": 227.1,
        "high": 227.6,
        "low": 226.2,
        "close": 227.55,
        "volume": 184230,
        "price_change": 0.2,
        "indicators": {"relative_volume": 2.1},
        "quality": (),
    }
    return Event(**fields | change)


ENCODER = EventEncoder(BUILT_IN)
"""Of events that an engine without rules has found."""

PATTERNS: list[dict[str, Any]] = []
"""What the events of all tests are said to be; grows with them."""


def events(*made: Event) -> Events:
    """Events as the pipeline hands them on: columns that give back these very events."""
    symbols = list(dict.fromkeys(one.symbol for one in made))
    cells: dict[str, list[Any]] = {
        "symbol": [symbols.index(one.symbol) for one in made],
        "ts_us": [one.bar_end_us - MINUTE_US if one.timeframe == TIMEFRAMES[0] else one.bar_start_us for one in made],
        "end_us": [one.bar_end_us for one in made],
        "timeframe": [TIMEFRAMES.index(one.timeframe) for one in made],
        "pattern": [_pattern(one) for one in made],
        "event_id": [one.event_id for one in made],
        "supersedes": [one.supersedes or "" for one in made],
        **{name: [one.indicators.get(name, math.nan) for one in made] for name in INDICATORS},
        "quality": [sum(1 << QUALITY.index(name) for name in one.quality) for one in made],
        **{name: [one.rates.get(name, math.nan) for one in made] for name in RATES},
        "n": [one.rates.get("n", 0) for one in made],
        "edge": [{"+": 1, "-": -1, "0": 0}[one.rates.get("edge", "0")] for one in made],
        "muted": [one.muted for one in made],
        "match_quality": [math.nan if one.match_quality is None else one.match_quality for one in made],
    }
    for name in ("entry", "stop", "target", "invalidation", "atr"):
        cells[name] = [math.nan if (price := getattr(one, name)) is None else price for one in made]
    for name in ("direction", "confidence", "revision", "first_us", "bars", "price_change", "talib_value", "conflict"):
        cells[name] = [getattr(one, name) for one in made]
    for name in ("open", "high", "low", "close", "volume"):
        cells[name] = [getattr(one, name) for one in made]
    for name in ("points", "margins"):
        counts = [len(getattr(one, name)) for one in made]
        cells[f"n_{name}"], cells[f"{name[:-1]}_row"] = counts, np.cumsum([0, *counts])[:-1].tolist()
    counts = [len(one.members) for one in made]
    cells["n_members"], cells["member_row"] = counts, np.cumsum([0, *counts])[:-1].tolist()
    members = [member for one in made for member in one.members]
    points = [point for one in made for point in one.points]
    told: dict[str, Any] = {
        "point_us": np.array([ts_us for _, ts_us, _ in points], dtype=np.int64),
        "point_price": np.array([price for *_, price in points], dtype=np.float64),
        "margin": np.array([margin for one in made for margin in one.margins.values()], dtype=np.float64),
        "member_pattern": np.array([_named(each.pattern_id) for each in members], dtype=np.int32),
        "member_direction": np.array([each.direction for each in members], dtype=np.int8),
        "member_confidence": np.array([each.confidence for each in members], dtype=np.float64),
        "member_timeframe": np.array([TIMEFRAMES.index(each.timeframe) for each in members], dtype=np.uint8),
        "member_us": np.array([each.bar_start_us for each in members], dtype=np.int64),
        "member_end_us": np.array([each.bar_end_us for each in members], dtype=np.int64),
        "member_id": np.array([each.event_id or "" for each in members], dtype="S36"),
    }
    columns = {name: np.array(cells[name], dtype=dtype) for name, dtype in EVENT_DTYPES.items()}
    return Events(EventColumns(symbols, **columns, **told), PATTERNS, EventEncoder(PATTERNS), np.arange(len(made)))


def found(*made: Event) -> Findings:
    """Events as the publisher takes them."""
    return Findings(events=events(*made))


def published(commands: bytes) -> list[tuple[str, bytes]]:
    """Channel and message of every command for Redis."""
    reader = hiredis.Reader()
    reader.feed(commands)
    read = list(iter(reader.gets, False))
    assert all(name == b"PUBLISH" for name, _, _ in read)
    return [(channel.decode(), message) for _, channel, message in read]


def _pattern(one: Event) -> int:
    pattern = {
        "id": one.pattern_id,
        "name": one.pattern,
        "tier": one.tier if one.tier != TIERS.get(one.timeframe) else INTRADAY,
        "talib_name": one.talib_name,
        "points": tuple(role for role, *_ in one.points),
        "conditions": tuple(one.margins),
    }
    return _place(pattern)


def _named(pattern_id: str) -> int:
    """A pattern of which nothing more is asked than its id."""
    name = {"name": pattern_id, "tier": "intraday", "talib_name": None, "points": (), "conditions": ()}
    return _place({"id": pattern_id} | name)


def _place(pattern: dict[str, Any]) -> int:
    if pattern not in PATTERNS:
        PATTERNS.append(pattern)
    return PATTERNS.index(pattern)
