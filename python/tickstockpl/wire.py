"""What one stage hands to the next: plain values.

ingest ──Inbound──► pipeline ──WriteBatch──► writer
                        └──Findings──► publisher ──WriteBatch(sent=…)──► writer

Times are µs since 1970 UTC; prices in the currency of the feed.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from tickstockpl.events import Events, Expiry
from tickstockpl.outcome_rows import Outcomes
from tickstockpl.position import Position
from tickstockpl.readings import Readings


class FramesLike(Sized, Protocol):
    """One socket read's messages, still raw; `_kernel.Frames` is one. `len` counts messages."""

    @property
    def control(self) -> list[tuple[str, str, int]]:
        """(`subscribe` | `unsubscribe` | `pong` | `error` | `foreign`, channel or text, count), in order."""
        ...

    @property
    def raw(self) -> bytes:
        """The frames as they came: a new framer makes the same of them."""
        ...

    def messages(self) -> list[tuple[int, bytes]]:
        """Channel and payload of each message, in order."""
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
    """`FramesLike`, and what the kernel takes."""
    now_us: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Redis answered a PING sent at `now_us`: everything published before then has been read."""

    now_us: int


@dataclass(frozen=True, slots=True)
class Connected:
    """Every channel's subscription is confirmed.

    first: nobody has listened before, neither in this run nor in another of the same source.
    """

    now_us: int
    first: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The subscription has ended; what is published from now on is missed."""

    now_us: int
    cause: str


@dataclass(frozen=True, slots=True)
class Entries:
    """Messages that bring their own numbers and arrivals: (channel's index, number, arrival in µs, payload), in order.

    index: how many messages the source had ever had with the last of them, where it counts them.
    """

    rows: list[tuple[int, int, int, bytes]]
    index: int | None = None

    @property
    def now_us(self) -> int:
        """When the last of them arrived."""
        return self.rows[-1][2]


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing that arrived up to `now_us` is unread. Not kept by the source: what it closes, a start closes again."""

    now_us: int


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages are gone that nobody of us has read, of arrivals between two moments.

    src: the number at which that stands.
    """

    src: int
    since_us: int
    now_us: int
    cause: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The source has no more, and never will."""

    now_us: int


Inbound = Received | Answered | Connected | Lost | Entries | Passed | Missed | Ended


def numbers_of(item: Inbound) -> int:
    """How many numbers of its source an item takes: one a message, and one if it is something that is kept."""
    if isinstance(item, Received):
        return len(item.frames)
    return int(isinstance(item, Answered | Connected | Lost))


Spans: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The numbers of the first and the last message of each bar; -1 where they are not known in this source."""


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
class Findings:
    """What changed among the patterns. `expired` is to be told first: a new event may stand where the old one stood."""

    expired: tuple[Expiry, ...] = ()
    events: Events | None = None
    readings: Readings | None = None
    """Those that are news."""
    at_us: int | None = None
    """When that was, of what is said again after a restart; None: now."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A window in which ticks may have been missed."""

    started_us: int
    ended_us: int
    cause: str
    channels: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    """Whose ticks; empty: those of all."""
    id: UUID | None = None
    """The same if the gap is told again; None makes one."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Data that could not be used but is kept for a person to look at."""

    reason: str
    symbol: str | None
    channel: str | None
    ts_us: int | None
    payload: bytes
    at_us: int
    id: UUID | None = None
    """The same if it is told again; None makes one."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that went out on Redis."""

    event_id: str
    published_at_us: int


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Rows for the database, stored in one transaction."""

    bars: BarColumns | None = None
    spans: Spans | None = None
    """Which messages went into each of `bars`; None: not known."""
    events: Events | None = None
    readings: Readings | None = None
    outcomes: Outcomes | None = None
    expired: tuple[Expiry, ...] = ()
    gaps: tuple[Gap, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    sent: tuple[Sent, ...] = ()
    position: Position | None = None
    """Where a start begins once this batch and all before it are stored."""
    can_wait: bool = False
    """What it comes of is kept by the source, and nobody waits for it: it may wait for a database that is behind."""
