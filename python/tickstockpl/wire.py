"""What one stage hands to the next: plain values.

ingest ──Inbound──► pipeline ──WriteBatch──► writer
                        └──Findings──► publisher ──WriteBatch(sent=…)──► writer

Times are µs since 1970 UTC; prices in the currency of the feed.
"""

import math
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self, TypeAlias, overload
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from tickstockpl.position import Position
from tickstockpl.readings import Readings

REPAIRED = "repaired"
"""The bar was put right by hand; no tick changes it any more."""

QUALITY = ("partial_start", "gap", "provisional", "late_revised", "handover", "ambiguous", REPAIRED)
"""The names of a bar's quality bits, lowest first, as they stand in the database and in events."""

FLAGS = tuple(name for name in QUALITY if name not in ("late_revised", REPAIRED))
"""Those of bars in which ticks may be missing, or be twice."""

TIMEFRAME = "1min"
TIMEFRAMES = (TIMEFRAME, "5min", "15min", "30min", "1hour", "4hour", "daily", "weekly")
"""The timeframes of bars, the shortest first, as AppV2 spells them; `_kernel.TIMEFRAMES`."""
TIERS = {"daily": "daily", "weekly": "daily"}
"""AppV2's tier of what is found on bars of a timeframe; of the others it is `INTRADAY`."""
INTRADAY = "intraday"
"""The tier of a pattern that leaves it to its bars."""
"""That of every bar and event, in AppV2's words."""


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
    invalidation: float | None
    open: float
    high: float
    low: float
    close: float
    volume: int
    price_change: float
    """Percent, against the previous bar's close."""
    indicators: Mapping[str, float]
    quality: tuple[str, ...]
    talib_name: str | None = None
    """TA-Lib's name of the function that found it, if it is one of TA-Lib's."""
    talib_value: int = 0
    """What that function answers."""
    points: tuple[tuple[str, int, float], ...] = ()
    """Role, START of a bar in µs and price of what draws it, oldest first."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """How far inside of its threshold each condition is: 0 at it, 1 for a textbook figure."""
    members: tuple[tuple[str, int, str | None], ...] = ()
    """What a rule was made of: a pattern's id, START of the bar on which it held in µs, its event's id if it is on."""
    rates: Mapping[str, Any] = field(default_factory=dict)
    """`RATES` and `edge` ("+", "-" or "0"), as they were measured; empty where nothing is known."""
    match_quality: float | None = None
    """0..1, where `confidence` is the hit rate; None: `confidence` is the match quality."""
    atr: float | None = None
    """Average true range over 14 bars, in price."""
    conflict: bool = False
    """Whether a pattern of the opposite direction ends on the same bar."""
    muted: int = 0
    """Bits `SWITCHED_OFF | TOO_WEAK`: 0 is an event that people want to see."""
    timeframe: str = TIMEFRAME
    tier: str = "intraday"


@dataclass(frozen=True, slots=True)
class Expiry:
    """A revision took the pattern away: its rows expire now."""

    event_id: str
    symbol: str
    pattern: str
    bar_end_us: int


INDICATORS = ("relative_volume", "rsi", "relative_strength")
"""The columns of `EventColumns` that an event shows as its indicators, each where it is not NaN."""

RATES = ("hit_rate", "hit_lo", "hit_hi", "n", "base_rate")
"""The columns of `EventColumns` that say what was measured, `edge` beside them."""

_EDGES = "-0+"

SWITCHED_OFF, TOO_WEAK = 1, 2
"""Bits of an event's `muted`: its pattern is switched off, or wants more confidence. Either way it is not sent; what is
switched off is in no table of AppV2's either."""

ADDED_DTYPES = {
    **dict.fromkeys(("hit_rate", "hit_lo", "hit_hi", "base_rate", "match_quality"), "f8"),
    "n": "i4",
    "edge": "i1",
    "muted": "u1",
}
"""The columns of `EventColumns` that detections do not have, as numpy calls their types."""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """What events are made of: the columns of `_kernel.Detections` that tell of them, and others. One row an event."""

    symbols: Sequence[str]
    symbol: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    timeframe: NDArray[np.uint8]
    """Indices into `TIMEFRAMES`."""
    end_us: NDArray[np.int64]
    pattern: NDArray[np.int32]
    direction: NDArray[np.int32]
    confidence: NDArray[np.float64]
    revision: NDArray[np.int32]
    event_id: NDArray[np.bytes_]
    supersedes: NDArray[np.bytes_]
    first_us: NDArray[np.int64]
    bars: NDArray[np.int32]
    entry: NDArray[np.float64]
    stop: NDArray[np.float64]
    target: NDArray[np.float64]
    invalidation: NDArray[np.float64]
    atr: NDArray[np.float64]
    conflict: NDArray[np.bool_]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]
    price_change: NDArray[np.float64]
    relative_volume: NDArray[np.float64]
    rsi: NDArray[np.float64]
    relative_strength: NDArray[np.float64]
    quality: NDArray[np.uint8]
    talib_value: NDArray[np.int32]
    point_row: NDArray[np.int32]
    n_points: NDArray[np.uint8]
    margin_row: NDArray[np.int32]
    n_margins: NDArray[np.uint8]
    member_row: NDArray[np.int32]
    n_members: NDArray[np.uint8]
    point_us: NDArray[np.int64]
    """These six are as long as all rows have points, margins, or members: see `_kernel.Detections`."""
    point_price: NDArray[np.float64]
    margin: NDArray[np.float64]
    member_pattern: NDArray[np.int32]
    member_us: NDArray[np.int64]
    member_id: NDArray[np.bytes_]
    hit_rate: NDArray[np.float64]
    """This and the next five: what was measured (`calibration.Rates`). NaN, with n and edge 0: nothing is known."""
    hit_lo: NDArray[np.float64]
    hit_hi: NDArray[np.float64]
    n: NDArray[np.int32]
    base_rate: NDArray[np.float64]
    edge: NDArray[np.int8]
    match_quality: NDArray[np.float64]
    """Where `confidence` is the hit rate; NaN: `confidence` is the match quality."""
    muted: NDArray[np.uint8]
    """Bits `SWITCHED_OFF | TOO_WEAK`."""

    @classmethod
    def of(cls, columns: Any, **told: Any) -> Self:
        """Those of an object that has all but the added ones, such as `_kernel.Detections`; nothing of it is copied.

        told: columns that stand in the place of its own, and added ones; of those not told, nothing is known.
        """
        rows = len(columns.ts_us)
        for name, dtype in ADDED_DTYPES.items():
            if name not in told:
                told[name] = np.full(rows, np.nan if dtype == "f8" else 0, dtype=dtype)
        return cls(*[told[name] if name in told else getattr(columns, name) for name in _COLUMNS])


_COLUMNS = tuple(each.name for each in fields(EventColumns))

EVENT_DTYPES = {
    **dict.fromkeys(("symbol", "pattern", "direction", "revision", "bars", "talib_value"), "i4"),
    **dict.fromkeys(("point_row", "margin_row", "member_row"), "i4"),
    **dict.fromkeys(("ts_us", "end_us", "first_us", "volume"), "i8"),
    **dict.fromkeys(("confidence", "entry", "stop", "target", "invalidation", "open", "high", "low", "close"), "f8"),
    **dict.fromkeys(("atr", "price_change", *INDICATORS), "f8"),
    **dict.fromkeys(("event_id", "supersedes"), "S36"),
    **dict.fromkeys(("timeframe", "quality", "n_points", "n_margins", "n_members"), "u1"),
    "conflict": "?",
    **ADDED_DTYPES,
}
"""The columns of `EventColumns` as numpy calls their types."""

TOLD_DTYPES = {
    "point_us": "i8",
    "point_price": "f8",
    "margin": "f8",
    "member_pattern": "i4",
    "member_us": "i8",
    "member_id": "S36",
}
"""The others: as long as all events have points, margins, or members."""

_TOLD = {
    "point_row": ("n_points", ("point_us", "point_price")),
    "margin_row": ("n_margins", ("margin",)),
    "member_row": ("n_members", ("member_pattern", "member_us", "member_id")),
}
"""Where those of a row begin, how many they are, and which these are."""

Patterns: TypeAlias = Sequence[Mapping[str, Any]]
"""The patterns behind a `pattern` column: `id`, `name`, `tier`, `talib_name`, `points` and `conditions` of each."""


class Encoder(Protocol):
    """Writes events for Redis and PostgreSQL, thousands in a call; `_kernel.EventEncoder` is one.

    columns, rows: those of `Events`, whose patterns are the encoder's. lifetime_us: from a bar's END until it expires.
    seq: the first message's number on its channel.
    """

    def universal(
        self, columns: EventColumns, rows: NDArray[np.intp], channel: str, lifetime_us: int, seq: int
    ) -> bytes: ...
    def streaming(
        self, columns: EventColumns, rows: NDArray[np.intp], channel: str, session_id: str, seq: int
    ) -> bytes: ...
    def cached(self, columns: EventColumns, rows: NDArray[np.intp], lifetime_us: int) -> list[bytes]: ...
    def staged(self, columns: EventColumns, rows: NDArray[np.intp]) -> bytes: ...


class Events(Sequence[Event]):
    """Events that are still rows of columns: thousands begin at one bar's end, and most are only ever stored.

    An `Event` is made each time that one is asked for. A slice shares the columns.
    rows: the events, as rows of `columns`, in the order in which they were found.
    """

    __slots__ = ("columns", "encoder", "patterns", "rows")

    def __init__(self, columns: EventColumns, patterns: Patterns, encoder: Encoder, rows: NDArray[np.intp]) -> None:
        self.columns = columns
        self.patterns = patterns
        self.encoder = encoder
        self.rows = rows

    @classmethod
    def joined(cls, parts: Sequence["Events"]) -> Self:
        """All events of parts that share their patterns, one part after the other. Of one id only the first is kept.

        parts: at least one.
        """
        given = [part.compact() for part in parts]
        symbols = [name for columns in given for name in columns.symbols]
        cells = {
            name: np.concatenate([getattr(columns, name) for columns in given])
            for name in (*EVENT_DTYPES, *TOLD_DTYPES)
        }
        for place, told in {"symbol": "symbols", **{place: told[0] for place, (_, told) in _TOLD.items()}}.items():
            before = np.cumsum([0, *(len(getattr(columns, told)) for columns in given)])[:-1]
            cells[place] += np.repeat(before, [len(columns.symbol) for columns in given]).astype(np.int32)
        rows: dict[bytes, int] = {}
        for row, event_id in enumerate(cells["event_id"].tolist()):
            rows.setdefault(event_id, row)
        kept = np.array(list(rows.values()), dtype=np.intp)
        return cls(EventColumns(symbols, **cells), parts[0].patterns, parts[0].encoder, kept)

    def compact(self) -> EventColumns:
        """Columns of these events alone, in their order, with no more symbols, points and the like than they have."""
        used, code = np.unique(self.column("symbol"), return_inverse=True)
        cells = {name: self.column(name) for name in EVENT_DTYPES}
        cells["symbol"] = code.astype(np.int32)
        for place, (count, told) in _TOLD.items():
            ends = np.cumsum(cells[count], dtype=np.int64)
            moved = np.repeat(cells[place] - (ends - cells[count]), cells[count]) + np.arange(
                ends[-1] if len(ends) else 0
            )
            cells |= {name: getattr(self.columns, name)[moved] for name in told}
            cells[place] = (ends - cells[count]).astype(np.int32)
        return EventColumns([self.columns.symbols[at] for at in used.tolist()], **cells)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<{len(self)} events>"

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> "Events": ...
    def __getitem__(self, at: int | slice) -> "Event | Events":
        if isinstance(at, slice):
            return Events(self.columns, self.patterns, self.encoder, self.rows[at])
        return self._event(self.rows[at])

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Events":
        """Some of them: by a mask, or by their places in the order wanted."""
        return Events(self.columns, self.patterns, self.encoder, self.rows[chosen])

    def column(self, name: str) -> NDArray[Any]:
        """One of the columns, a value for each event."""
        column: NDArray[Any] = getattr(self.columns, name)[self.rows]
        return column

    def bar_end_us(self) -> NDArray[np.int64]:
        """The END of each event's bar."""
        return self.column("end_us")

    def symbol_names(self) -> list[str]:
        """Each event's symbol."""
        names = self.columns.symbols
        return [names[at] for at in self.column("symbol").tolist()]

    def event_ids(self) -> list[str]:
        """Each event's id."""
        return [event_id.decode() for event_id in self.column("event_id").tolist()]

    def event_id(self, at: int) -> str:
        """The id of one event."""
        text: bytes = self.columns.event_id[self.rows[at]]
        return text.decode()

    def _event(self, row: np.intp) -> Event:
        columns, pattern = self.columns, self.patterns[self.columns.pattern[row]]
        cells = {name: getattr(columns, name)[row].item() for name in _CELLS}
        indicators = {name: getattr(columns, name)[row].item() for name in INDICATORS}
        return Event(
            event_id=columns.event_id[row].decode(),
            symbol=columns.symbols[columns.symbol[row]],
            pattern_id=pattern["id"],
            pattern=pattern["name"],
            timeframe=(timeframe := TIMEFRAMES[columns.timeframe[row]]),
            tier=pattern["tier"] if pattern["tier"] != INTRADAY else TIERS.get(timeframe, INTRADAY),
            talib_name=pattern["talib_name"],
            bar_start_us=columns.ts_us[row].item(),
            bar_end_us=columns.end_us[row].item(),
            supersedes=columns.supersedes[row].decode() or None,
            entry=_present(columns.entry[row].item()),
            stop=_present(columns.stop[row].item()),
            target=_present(columns.target[row].item()),
            invalidation=_present(columns.invalidation[row].item()),
            atr=_present(columns.atr[row].item()),
            points=self._points(row, pattern["points"]),
            margins=self._margins(row, pattern["conditions"]),
            members=self._members(row),
            rates=self._rates(row),
            match_quality=_present(columns.match_quality[row].item()),
            indicators={name: value for name, value in indicators.items() if not math.isnan(value)},
            quality=quality_names(columns.quality[row].item()),
            **cells,
        )

    def _points(self, row: np.intp, roles: Sequence[str]) -> tuple[tuple[str, int, float], ...]:
        first, count = self.columns.point_row[row], self.columns.n_points[row]
        ts_us = self.columns.point_us[first : first + count].tolist()
        return tuple(zip(roles, ts_us, self.columns.point_price[first : first + count].tolist(), strict=False))

    def _margins(self, row: np.intp, names: Sequence[str]) -> dict[str, float]:
        first, count = self.columns.margin_row[row], self.columns.n_margins[row]
        return dict(zip(names, self.columns.margin[first : first + count].tolist(), strict=False))

    def _members(self, row: np.intp) -> tuple[tuple[str, int, str | None], ...]:
        columns = self.columns
        first, count = columns.member_row[row], columns.n_members[row]
        return tuple(
            (self.patterns[pattern]["id"], ts_us, event_id.decode() or None)
            for pattern, ts_us, event_id in zip(
                *(getattr(columns, name)[first : first + count].tolist() for name in _TOLD["member_row"][1]),
                strict=True,
            )
        )

    def _rates(self, row: np.intp) -> dict[str, Any]:
        if math.isnan(self.columns.hit_rate[row]):
            return {}
        known: dict[str, Any] = {name: getattr(self.columns, name)[row].item() for name in RATES}
        return known | {"edge": _EDGES[self.columns.edge[row] + 1]}


_CELLS = (
    *("direction", "confidence", "first_us", "bars", "revision", "talib_value"),
    *("open", "high", "low", "close", "volume", "price_change", "conflict", "muted"),
)


def _present(price: float) -> float | None:
    return None if math.isnan(price) else price


ENDS = ("target", "stop", "expired")
"""How an event ends, in the order of the column `end` of outcomes."""

OUTCOME = np.dtype(
    [
        ("event_id", "V16"),
        ("ts_us", "<i8"),
        ("end", "u1"),
        ("at_us", "<i8"),
        ("bars", "<i4"),
        ("price", "<f8"),
        ("result", "<i4"),
        ("result_bars", "<i4"),
    ]
)
"""What became of an event: the columns of `_kernel.Outcomes`, its id as the 16 bytes of a UUID."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of events of one timeframe, as rows of `OUTCOME`: a minute brings as many of them as events."""

    names: list[str]
    """The symbol of each row."""
    rows: NDArray[np.void]
    timeframe: str = TIMEFRAME

    @classmethod
    def of(cls, columns: Any, timeframe: str) -> Self:
        """Those of columns such as `_kernel.Outcomes`."""
        rows = np.empty(len(columns.ts_us), dtype=OUTCOME)
        rows["event_id"] = _uuids(columns.event_id)
        for name in OUTCOME.names or ():
            if name != "event_id":
                rows[name] = getattr(columns, name)
        symbols = columns.symbols
        return cls([symbols[at] for at in columns.symbol.tolist()], rows, timeframe)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def joined(cls, parts: Sequence["Outcomes"]) -> list[Self]:
        """All of them, those of a timeframe together, in their order."""
        of: dict[str, list[Outcomes]] = {}
        for part in parts:
            of.setdefault(part.timeframe, []).append(part)
        return [
            cls([name for part in some for name in part.names], np.concatenate([part.rows for part in some]), timeframe)
            for timeframe, some in of.items()
        ]

    def part(self, which: slice) -> "Outcomes":
        """Some of them."""
        return Outcomes(self.names[which], self.rows[which], self.timeframe)


def _uuids(texts: NDArray[np.bytes_]) -> NDArray[np.void]:
    """The bytes of UUIDs in text: lower-case digits, and dashes at their four places."""
    letters = np.ascontiguousarray(texts).view(np.uint8).reshape(-1, 36)
    digits = np.delete(letters, (8, 13, 18, 23), axis=1)
    values = np.where(digits < ord("a"), digits - ord("0"), digits - ord("a") + 10).astype(np.uint8)
    return np.ascontiguousarray(values[:, ::2] << 4 | values[:, 1::2]).view("V16").reshape(-1)


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
