"""Events as columns: thousands begin at one bar's end, and most are only ever stored.

Times are µs since 1970 UTC; prices in the currency of the feed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol, Self, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from tickstockpl.vocabulary import INTRADAY, TIERS, TIMEFRAME, TIMEFRAMES, quality_names


class Member(NamedTuple):
    """A pattern that a rule, or an agreement, was made of."""

    pattern_id: str
    direction: int
    confidence: float
    timeframe: str
    """How long the bar is on which it held."""
    bar_start_us: int
    bar_end_us: int
    event_id: str | None
    """None: it is off, and no event was made of it."""


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
    members: tuple[Member, ...] = ()
    """What a rule, or an agreement, was made of."""
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
    """This and those up to `member_id` are as long as all rows have points, margins, or members: see
    `_kernel.Detections`."""
    point_price: NDArray[np.float64]
    margin: NDArray[np.float64]
    member_pattern: NDArray[np.int32]
    member_direction: NDArray[np.int8]
    member_confidence: NDArray[np.float64]
    member_timeframe: NDArray[np.uint8]
    member_us: NDArray[np.int64]
    member_end_us: NDArray[np.int64]
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
    "member_direction": "i1",
    "member_confidence": "f8",
    "member_timeframe": "u1",
    "member_us": "i8",
    "member_end_us": "i8",
    "member_id": "S36",
}
"""The others: as long as all events have points, margins, or members."""

_TOLD = {
    "point_row": ("n_points", ("point_us", "point_price")),
    "margin_row": ("n_margins", ("margin",)),
    "member_row": ("n_members", tuple(name for name in TOLD_DTYPES if name.startswith("member_"))),
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

    def _members(self, row: np.intp) -> tuple[Member, ...]:
        columns = self.columns
        first, count = columns.member_row[row], columns.n_members[row]
        told = (getattr(columns, name)[first : first + count].tolist() for name in _TOLD["member_row"][1])
        return tuple(
            Member(
                self.patterns[pattern]["id"], way, sure, TIMEFRAMES[timeframe], start, end, event_id.decode() or None
            )
            for pattern, way, sure, timeframe, start, end, event_id in zip(*told, strict=True)
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
