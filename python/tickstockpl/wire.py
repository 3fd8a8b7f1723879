"""What one stage hands to the next: plain values.

ingest ──Inbound──► pipeline ──WriteBatch──► writer
                        └──Findings──► publisher ──WriteBatch(sent=…)──► writer

Times are µs since 1970 UTC; prices in the currency of the feed.
"""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

QUALITY = ("partial_start", "gap", "provisional", "late_revised")
"""The names of a bar's quality bits, lowest first, as they stand in the database and in events."""


def quality_names(quality: int) -> tuple[str, ...]:
    """The names of the bits set in a bar's quality."""
    return tuple(name for bit, name in enumerate(QUALITY) if quality >> bit & 1)


class FramesLike(Sized, Protocol):
    """One socket read's messages, still raw; `_kernel.Frames` is one. `len` counts messages."""

    @property
    def control(self) -> list[tuple[str, str, int]]:
        """(`subscribe` | `unsubscribe` | `pong` | `error` | `foreign`, channel or text, count), in order."""
        ...

    @property
    def payload_bytes(self) -> int:
        """Sum of the payloads' lengths."""
        ...

    def counts(self) -> list[int]:
        """Messages per channel, in the framer's order."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """One socket read that held at least one message."""

    frames: Any
    now_us: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Redis answered a PING sent at `now_us`: everything published before then has been read."""

    now_us: int


@dataclass(frozen=True, slots=True)
class Connected:
    """Every channel's subscription is confirmed. `first`: never before in this process."""

    now_us: int
    first: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The subscription has ended; what is published from now on is missed."""

    now_us: int
    cause: str


Inbound = Received | Answered | Connected | Lost


class BarColumns(Protocol):
    """The columns of `_kernel.Bars`: one row a bar, arrays of equal length."""

    @property
    def symbol(self) -> NDArray[np.int32]: ...
    @property
    def symbols(self) -> Sequence[str]: ...
    @property
    def ts_us(self) -> NDArray[np.int64]: ...
    @property
    def open(self) -> NDArray[np.float64]: ...
    @property
    def high(self) -> NDArray[np.float64]: ...
    @property
    def low(self) -> NDArray[np.float64]: ...
    @property
    def close(self) -> NDArray[np.float64]: ...
    @property
    def volume(self) -> NDArray[np.int64]: ...
    @property
    def vwap(self) -> NDArray[np.float64]: ...
    @property
    def trades(self) -> NDArray[np.int64]: ...
    @property
    def revision(self) -> NDArray[np.int32]: ...
    @property
    def quality(self) -> NDArray[np.uint8]: ...
    @property
    def open_us(self) -> NDArray[np.int64]: ...
    @property
    def close_us(self) -> NDArray[np.int64]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Event:
    """A pattern that holds at the close of a bar."""

    event_id: str
    """UUID, the same in every replay."""
    symbol: str
    pattern_id: str
    pattern: str
    """The published name."""
    direction: int
    """1 bullish, -1 bearish, 0 neutral."""
    confidence: float
    """0..1."""
    bar_start_us: int
    bar_end_us: int
    first_us: int
    """START of the earliest bar that made the pattern."""
    bars: int
    """How many bars made it."""
    revision: int
    supersedes: str | None
    """The event that this one replaces on the same bar."""
    entry: float | None
    stop: float | None
    target: float | None
    open: float
    high: float
    low: float
    close: float
    volume: int
    price_change: float
    """Percent, against the previous bar's close."""
    indicators: Mapping[str, float]
    quality: tuple[str, ...]
    timeframe: str = "1min"
    tier: str = "intraday"


@dataclass(frozen=True, slots=True)
class Expiry:
    """A revision took the pattern away: its rows expire now."""

    event_id: str
    symbol: str
    pattern: str
    bar_end_us: int


Findings: TypeAlias = tuple[Event | Expiry, ...]
"""What changed among the patterns, in the order in which it is to be told."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A window in which ticks may have been missed."""

    started_us: int
    ended_us: int
    cause: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Data that could not be used but is kept for a person to look at."""

    reason: str
    symbol: str | None
    channel: str | None
    ts_us: int | None
    payload: bytes
    at_us: int


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that went out on Redis."""

    event_id: str
    published_at_us: int


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Rows for the database, stored in one transaction."""

    bars: BarColumns | None = None
    events: tuple[Event, ...] = ()
    expired: tuple[Expiry, ...] = ()
    gaps: tuple[Gap, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    sent: tuple[Sent, ...] = ()
