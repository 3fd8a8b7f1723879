"""Events to send, and a setting up of the publisher that sends them."""

import uuid
from typing import Any

from tickstockpl.wire import Event

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
