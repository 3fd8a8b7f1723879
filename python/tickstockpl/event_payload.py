"""Events as AppV2 and the database read them: columns in, commands for Redis or rows for PostgreSQL out.

A minute's end brings thousands of events, so what is said of them is written by the kernel (`encode.rs`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tickstockpl.events import Events
from tickstockpl.payload import PATTERNS_STREAMING


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


def universal(events: Events, channel: str, ttl_s: float, seq: int) -> bytes:
    """Commands that publish each event on AppV2's pattern channel, in the form that every release of it reads.

    events: such as `faults` does not name. ttl_s: seconds from the bar's END until an event expires. seq: the first
    message's number on the channel.
    """
    return events.encoder.universal(events.columns, events.rows, channel, lifetime_us(ttl_s), seq)


def streaming(events: Events, session_id: str, seq: int) -> bytes:
    """Commands that publish each event on the streaming channel.

    events: such as `faults` does not name. seq: the first message's number on the channel.
    """
    return events.encoder.streaming(events.columns, events.rows, PATTERNS_STREAMING, session_id, seq)


def cached(events: Events, ttl_s: float) -> list[bytes]:
    """The values of pattern-cache entries: the nine fields of AppV2's `CachedPattern`, which takes no tenth.

    A relative strength is a multiple there, "1.0x" the market: the page hides every pattern whose own is below 0.
    """
    return events.encoder.cached(events.columns, events.rows, lifetime_us(ttl_s))


def staged(events: Events) -> bytes:
    """What the database is to keep of each event, as a binary COPY of the columns `STAGED_EVENTS`."""
    return events.encoder.staged(events.columns, events.rows)


def _is_empty(names: Sequence[str], column: NDArray[np.int32]) -> NDArray[np.bool_]:
    if "" not in names:
        return np.full(len(column), False)
    return np.array([not name for name in names])[column]
