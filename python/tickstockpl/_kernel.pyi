"""The boundary to Rust: columns in, columns out; the public page of `tickstockpl._kernel`.

Times are int64 microseconds since 1970, UTC. Prices are float64 in the currency of the feed; NaN means "absent".
Arrays are C-contiguous and of equal length within one object. Nothing here reads a clock: `now_us` is an argument.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl.drawing import Drawing

__all__ = [
    "ALERTS",
    "AMBIGUOUS",
    "CANDLESTICKS",
    "ENDS",
    "GAP",
    "HANDOVER",
    "LATE_REVISED",
    "PARTIAL_START",
    "PATTERNS",
    "PROVISIONAL",
    "REASONS",
    "REPAIRED",
    "TIMEFRAMES",
    "VALUES",
    "Bars",
    "CandlestickStream",
    "Detections",
    "Engine",
    "EventEncoder",
    "Follower",
    "Forming",
    "Framer",
    "Frames",
    "IndicatorStream",
    "LongerBars",
    "Outcomes",
    "Output",
    "PanicException",
    "Readings",
    "Ticks",
    "adx",
    "aggregate",
    "atr",
    "bollinger",
    "candlesticks",
    "decode",
    "directional",
    "ema",
    "event_id",
    "macd",
    "obv",
    "pivots",
    "resample",
    "rsi",
    "sma",
    "stochastic",
    "volume_ratio",
    "vwap",
]

_F64: TypeAlias = NDArray[np.float64]
_Bars: TypeAlias = tuple[_F64, _F64, _F64]
_I64: TypeAlias = NDArray[np.int64]
_I32: TypeAlias = NDArray[np.int32]
_U8: TypeAlias = NDArray[np.uint8]
_S36: TypeAlias = NDArray[np.bytes_]

REASONS: Final[tuple[str, ...]]
"""Why a tick is refused, in the order in which they are looked for: `bad_json`, `not_an_object`, `too_large`,
`missing_field`, `wrong_type`, `bad_ticker`, `bad_price`, `bad_volume`, `bad_timestamp`, `unknown_kind`."""

PATTERNS: Final[tuple[dict[str, Any], ...]]
"""One entry a detector, in the order of `Detections.pattern`: `id`, `name` (published), `bars` (needed), `tier`,
`source`, `longest` (the longest of `TIMEFRAMES` on whose bars it is seen), and of TA-Lib's functions `talib_name`, else
None; `parameters` is part of its events' ids. Of those that share a name the first is on by default."""

CANDLESTICKS: Final[tuple[str, ...]]
"""TA-Lib's 61 candlestick functions by name, in the order in which TA-Lib lists them: the columns of
`CandlestickStream.update`."""

ALERTS: Final[tuple[str, ...]]
"""What can happen between two bars, in the order of the bits of `Readings.alerts`."""

TIMEFRAMES: Final[tuple[str, ...]]
"""How long bars can be, the shortest first: `1min`, `5min`, `15min`, `30min`, `1hour`, `4hour`, `daily`, `weekly`."""

VALUES: Final[dict[str, int]]
"""The numbers of a bar that rules compare, and how many bars the window must hold for each."""

PARTIAL_START: Final = 1
"""Bits of a bar's `quality`; this one: the first minute after the start of listening."""
GAP: Final = 2
"""Ticks may have been missed."""
PROVISIONAL: Final = 4
"""Written while it was still open, at a stop."""
LATE_REVISED: Final = 8
"""A late tick was folded in after it had closed."""
HANDOVER: Final = 16
"""Ticks were added to a bar that was read back and is of another source: which ticks it had is not known."""
AMBIGUOUS: Final = 32
"""Two writers have counted different ticks of one source; the fuller row was kept."""
REPAIRED: Final = 64
"""Taken from a file or the vendor afterwards."""

class PanicException(BaseException):
    """The kernel ended in a panic, which is a bug of ours: whatever it was called on is lost."""

@final
class Ticks:
    """Decoded ticks, in arrival order. `len(ticks)` rows; refused ones are counted, not kept."""

    symbol: _I32
    """Index into `symbols`."""
    symbols: tuple[str, ...]
    ts_us: _I64
    """The message's `timestamp`, rounded to microseconds: the END of the window for kind A."""
    kind: _U8
    """`ord("A")`, `ord("T")` or `ord("Q")`."""
    price: _F64
    volume: _I64
    """`tick_volume`, else `volume`."""
    open: _F64
    high: _F64
    low: _F64
    close: _F64
    vwap: _F64
    start_us: _I64
    """`tick_start_timestamp`, or -1."""
    seq: _I64
    """`seq`, or -1."""
    refused: dict[str, int]
    """Refused ticks by reason; only reasons that occurred."""
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name; `symbol` as indices into `symbols`."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class Bars:
    """Bars, in closing order. One row a bar; a revision is a row of its own."""

    symbol: _I32
    symbols: tuple[str, ...]
    ts_us: _I64
    """The START of the bar; of one that was made of minutes, when it was scheduled to start."""
    open: _F64
    high: _F64
    low: _F64
    close: _F64
    volume: _I64
    vwap: _F64
    """Σ(vw·v)/Σv; NaN where Σv = 0."""
    trades: _I64
    """Ticks folded into the bar."""
    revision: _I32
    """0 when first closed; + 1 for each late tick folded afterwards."""
    quality: _U8
    """Bits `PARTIAL_START | GAP | PROVISIONAL | LATE_REVISED | HANDOVER | AMBIGUOUS | REPAIRED`; 0 is a whole bar."""
    open_us: _I64
    """Event time of the tick that set the open."""
    close_us: _I64
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name; `symbol` as indices into `symbols`."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class LongerBars:
    """Bars of longer timeframes that closed, the shortest first where several do, and revised ones."""

    symbol: _I32
    symbols: tuple[str, ...]
    ts_us: _I64
    """When the bar was scheduled to start, whoever traded in it."""
    timeframe: _U8
    """Index into `TIMEFRAMES`."""
    end_us: _I64
    """The first instant after it."""
    open: _F64
    high: _F64
    low: _F64
    close: _F64
    volume: _I64
    vwap: _F64
    """Σ(vwap·v)/Σv of its minutes; NaN where none has one."""
    trades: _I64
    revision: _I32
    """0 when first closed; + 1 each time that its minutes came to something else afterwards."""
    quality: _U8
    """Every flag of its minutes, and of times within it in which nobody listened."""
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name; `symbol` as indices into `symbols`."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class EventEncoder:
    """Writes events, thousands in a call: what AppV2 reads and what the database keeps.

    columns: any object with the columns of `Detections` as attributes, and `hit_rate`, `hit_lo`, `hit_hi`, `n`,
    `base_rate`, `edge`, `match_quality` and `muted`: `events.EventColumns` has them. rows: which, in the order wanted.
    lifetime_us: from a bar's END until its event expires. seq: the first message's number on its channel, 0 or more.
    Raises IndexError for a row or pattern that there is not.
    """

    def __new__(cls, patterns: Sequence[Mapping[str, Any]]) -> EventEncoder:
        """patterns: `id`, `name`, `tier` and `talib_name` of each that the column `pattern` counts."""
    def universal(self, columns: Any, rows: NDArray[np.intp], channel: str, lifetime_us: int, seq: int) -> bytes:
        """PUBLISH commands on `channel`, as RESP one after the other: messages that every release of AppV2 reads."""
    def streaming(self, columns: Any, rows: NDArray[np.intp], channel: str, session_id: str, seq: int) -> bytes:
        """The same of the messages for `tickstock:patterns:streaming`."""
    def cached(self, columns: Any, rows: NDArray[np.intp], lifetime_us: int) -> list[bytes]:
        """Values of AppV2's pattern cache, one a row."""
    def staged(self, columns: Any, rows: NDArray[np.intp]) -> bytes:
        """A binary COPY of `event_id uuid, symbol text, pattern text, direction smallint, confidence float8, payload
        jsonb, tier text, timeframe text, shown boolean`; `payload` is that of `pattern_event`, AppV2's `pattern_data`.

        Raises ValueError if an id is not the text of a UUID.
        """

ENDS: Final[tuple[str, ...]]
"""How an event ends, in the order of `Outcomes.end`."""

@final
class Follower:
    """Says what becomes of the events of one timeframe, each once: the rule of `barriers`, as bars close.

    Bars and events may come again, late, or out of order: a bar that is known is passed over, one that was revised or
    missing is judged as if it had been in time, as long as its events are open. Some 50 ns a bar and open event.
    """

    def __new__(
        cls,
        timeframe: str,
        *,
        horizon: int,
        barrier: float,
        revise_us: int,
        sessions: _I64 | None,
        days: _I64 | None,
    ) -> Follower:
        """horizon: bars that an event waits for. barrier: how far the barriers lie away, in average true ranges.
        revise_us: how long after its end a bar may come. sessions: (n, 2) [open, close) in µs UTC, with which events
        end; those outside, and all with None, end with their row of `days` (None: UTC days). Of `daily` bars and longer
        ones events outlast them.

        Raises ValueError for a timeframe that there is not, and for a table that is none.
        """
    def follow(self, found: Any, bars: Any, reached_us: int | None = None) -> Outcomes | None:
        """Take in what one call of an engine has made; None if nothing came to an end.

        found: `Detections`. bars: `Bars` of the same timeframe. reached_us: that of the engine's `Output`: before all
        channels have come to the end of a session none of its events ends; None: the newest bar tells.
        Raises ValueError for columns that do not fit each other.
        """
    def load(self, found: Any, bars: Any) -> Outcomes | None:
        """Take in events of before the first call of `follow`, and all bars after the oldest of each symbol's.

        found: columns of `Detections`; bars: of `Bars`, with the same `symbols`, oldest first. May come in parts, of
        some symbols each, and again. Raises what `follow` does.
        """
    def loaded(self) -> None:
        """No more events will be loaded: bars need not be kept for them."""
    @property
    def open(self) -> int:
        """Events that have not come to anything, or whose barriers are still open."""

@final
class Outcomes:
    """What became of events; of one whose barriers were still open there is a second row once they are not."""

    symbol: _I32
    symbols: tuple[str, ...]
    event_id: _S36
    ts_us: _I64
    """START of the event's bar."""
    end: _I32
    """Index into `ENDS`: its target was touched first; its stop was, or both within one bar; neither."""
    at_us: _I64
    """START of the bar at which it ended."""
    bars: _I32
    """How many bars after its own that is."""
    price: _F64
    """The level that was touched, or the close of that bar."""
    result: _I32
    """Of the barriers: 1 won, -1 lost, 0 neither, 2 still open, 3 not measured (no `atr`)."""
    result_bars: _I32
    """How many bars after its own a barrier was touched; 0: none was."""
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """The columns by name; `symbol` as ids."""
    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class Detections:
    """Patterns that ended on a closed bar, and patterns that a revision took away."""

    symbol: _I32
    symbols: tuple[str, ...]
    ts_us: _I64
    """START of the bar on which the pattern ends."""
    timeframe: _U8
    """How long that bar is: index into `TIMEFRAMES`."""
    end_us: _I64
    """The first instant after it."""
    pattern: _I32
    """Index into `patterns`."""
    direction: _I32
    """1 bullish, -1 bearish, 0 neutral."""
    confidence: _F64
    """0..1."""
    held: NDArray[np.bool_]
    """True: the pattern holds (a new event). False: a revision took it away (expire its row)."""
    revision: _I32
    """The evaluation of this bar at which the pattern first held: 0 at its close, 1 at the first one of a bar that a
    late tick has made, + 1 each time the bar or an earlier one was revised; so 0 means in time. (symbol, timeframe,
    ts_us, pattern, revision) identifies an event for ever."""
    event_id: _S36
    """What `event_id` makes of symbol, timeframe, ts_us, pattern and revision, as 36 ASCII bytes."""
    conflict: NDArray[np.bool_]
    """Whether a pattern of the opposite direction holds on the same bar, at that evaluation; False of a neutral one."""
    supersedes: _S36
    """The id of the event this one replaces on the same bar, or empty."""
    superseded_pattern: _I32
    """Index of the pattern this one replaces on the same bar, or -1."""
    superseded_revision: _I32
    first_us: _I64
    """START of the earliest bar that made the pattern."""
    bars: _I32
    """How many bars made it."""
    entry: _F64
    """Close of the bar, in price."""
    stop: _F64
    """The price at which the pattern is proved wrong; NaN for none."""
    target: _F64
    invalidation: _F64
    """The price beyond which no later bar may close; NaN for none."""
    atr: _F64
    """Average true range over 14 bars, in price; NaN during warm-up, and where no pattern that is on asks for it."""
    open: _F64
    high: _F64
    low: _F64
    close: _F64
    volume: _I64
    price_change: _F64
    """Percent, against the previous bar's close; against its own open for the first bar of a window."""
    relative_volume: _F64
    """volume / mean of the 20 bars before; NaN until they exist."""
    rsi: _F64
    """Over 14 changes, 0 to 100; NaN during warm-up, and where indicators are off."""
    relative_strength: _F64
    """Return over 20 bars less the benchmark's up to the same minute, in percentage points; NaN without either."""
    quality: _U8
    """Flags of the earlier bars that made it."""
    talib_value: _I32
    """What TA-Lib's function answers: ±80, ±100 or ±200; 0 for patterns that are none of TA-Lib's."""
    point_row: _I32
    """Where in `point_us` and `point_price` the row's points begin."""
    n_points: _U8
    margin_row: _I32
    """Where in `margin` the row's margins begin."""
    n_margins: _U8
    point_us: _I64
    """STARTs of bars: the points of all rows, one row's after the other's. No column: its length is another."""
    point_price: _F64
    margin: _F64
    """How far inside of its threshold each condition is: 0 at it, 1 for a textbook figure. Of all rows."""
    member_row: _I32
    """Where in `member_pattern` and those after it the row's members begin."""
    n_members: _U8
    member_pattern: _I32
    """What rules and agreements were made of: indices into `patterns`, of all rows; the next six go with it."""
    member_direction: NDArray[np.int8]
    member_confidence: _F64
    member_timeframe: _U8
    """How long the bar is on which it held: index into `TIMEFRAMES`."""
    member_us: _I64
    """START of that bar."""
    member_end_us: _I64
    member_id: _S36
    """The id of its event; empty where the pattern is off."""
    patterns: tuple[dict[str, Any], ...]
    """`PATTERNS`, and behind them an entry a rule of the engine."""
    scanned: Any
    """What `scan` was given, which is kept as long as its result is; None of an engine's."""
    def plot(self, row: int, bars: Any = None, *, timezone: str | None = None) -> Drawing:
        """The pattern of a row among the bars around it, as `tickstockpl.plot` draws it.

        bars: as `tickstockpl.plot` takes them; None: those that were scanned.
        Raises what `tickstockpl.plot` raises, and ValueError if there are no bars.
        """
    def _keep(self, bars: Any) -> None:
        """Have `plot` draw among these bars; the first time counts."""
    def points(self, row: int) -> list[tuple[str, int, float]]:
        """What draws the pattern of a row: role, START of a bar in µs and price, oldest first; empty for candlesticks.

        Raises IndexError if there is no such row.
        """
    def margins(self, row: int) -> dict[str, float]:
        """How far inside of its threshold each of a row's conditions is, by name; empty where none is told.

        Raises IndexError if there is no such row.
        """
    def members(self, row: int) -> list[tuple[str, str, int, str]]:
        """What the rule of a row was made of, in the order in which it names them, or an agreement, the pattern of its
        own bar first: a pattern's id, timeframe and START in µs of the bar on which it held, and the id of its event,
        which is empty where the pattern is off; of any other pattern nothing.

        Raises IndexError if there is no such row.
        """
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name; `symbol` as indices into `symbols`."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class Forming:
    """Chart patterns that have formed, and that no close has confirmed yet: each way out of each of them a row.

    None of them is an event: the next bar may end one, a figure in its place replace it, a late tick take it back.
    """

    symbol: _I32
    symbols: tuple[str, ...]
    ts_us: _I64
    """START of the newest bar."""
    timeframe: _U8
    """How long its bars are: index into `TIMEFRAMES`."""
    end_us: _I64
    """The first instant after the newest bar."""
    pattern: _I32
    """What it will be: index into `patterns`."""
    direction: _I32
    """Which way it would be left: 1 up, -1 down. One that may be left on either side is in two rows."""
    trigger: _F64
    """The price that the next bar must close beyond, up or down as `direction` says, for it to be an event."""
    slope: _F64
    """By how much `trigger` changes from bar to bar, in price."""
    stop: _F64
    """In price, as those of the event would be if the next bar confirmed it."""
    target: _F64
    confidence: _F64
    """0..1, by what is measured of it already."""
    close: _F64
    """Of the newest bar."""
    atr: _F64
    """Average true range over 14 bars, in price."""
    waited: _I32
    """Bars since it formed."""
    left: _I32
    """Bars that may still confirm it, the next one among them."""
    point_row: _I32
    """Where in `point_us` and `point_price` the row's points begin."""
    n_points: _U8
    point_us: _I64
    """STARTs of bars: the points of all rows, one row's after the other's. No column: its length is another."""
    point_price: _F64
    patterns: tuple[dict[str, Any], ...]
    """`PATTERNS`, and behind them an entry a rule of the engine."""
    def points(self, row: int) -> list[tuple[str, int, float]]:
        """What draws the pattern of a row: role, START of a bar in µs and price, oldest first; its event has these,
        and the confirming bar behind them.

        Raises IndexError if there is no such row.
        """
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name; `symbol` as indices into `symbols`."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class Readings:
    """The indicators of watched symbols, one row a bar that closed or was looked at again after a revision.

    NaN is what has not seen enough bars. Averages begin with their first value, as in AppV2; each session's state
    begins anew with the last 200 bars before its open.
    """

    symbol: _I32
    symbols: tuple[str, ...]
    ts_us: _I64
    """START of the bar."""
    close: _F64
    alerts: _U8
    """Bits of `ALERTS`: what the bar before did not show and this one does."""
    fresh: NDArray[np.bool_]
    """True: the symbol's newest bar, looked at for the first time. False: a correction, or a late tick's bar."""
    sma: _F64
    """Mean of 20 closes."""
    ema_12: _F64
    """Exponential average of closes, span 12."""
    ema_26: _F64
    rsi: _F64
    """Over 14 changes, 0 to 100."""
    macd: _F64
    """12/26/9."""
    macd_signal: _F64
    macd_histogram: _F64
    bollinger_upper: _F64
    """20 closes, 2 sigma of n - 1."""
    bollinger_middle: _F64
    bollinger_lower: _F64
    atr: _F64
    """14 bars."""
    adx: _F64
    """14 bars, 0 to 100."""
    plus_di: _F64
    minus_di: _F64
    obv: _F64
    """In shares, since the bar that the session's state began with."""
    stochastic_k: _F64
    """14 bars, unsmoothed, 50 where they are flat; %D is its mean of 3."""
    stochastic_d: _F64
    vwap: _F64
    """Of typical prices, since the session's open."""
    vwap_sigma: _F64
    relative_volume: _F64
    """volume / mean of the 20 bars before."""
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name; `symbol` as indices into `symbols`."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: Polars, pandas and DuckDB read the columns; `symbol` as a dictionary."""

@final
class Output:
    """What one call made; false if there is nothing in it to look at."""

    def __bool__(self) -> bool: ...
    bars: Bars
    first_src: _I64
    """Of each of `bars`, the number of the first message in it; -1 of a bar of another source."""
    last_src: _I64
    longer: LongerBars
    """Bars of the longer timeframes that are on (`EngineSettings.timeframes`)."""
    detections: Detections
    readings: Readings
    ticks: int
    """Ticks read from the payloads, refused ones and quotes included."""
    refused: list[tuple[str, str, bytes]]
    """A sample: (reason, channel, the first 200 bytes), at most one a reason and call."""
    broken: list[tuple[str, str]]
    """(symbol, pattern's id) of detectors that are switched off for a symbol from now on: they ended in a panic."""
    jumps: list[tuple[str, int, int, int]]
    """Numbered ticks that never came, at most one row a channel: (channel, how many, event time before the first of
    them, that of the first tick after them)."""
    short: list[tuple[str, int, int, int]]
    """Shares that the day's volume has and no tick had: (symbol, start of the first minute that may lack them, end of
    the last one, how many)."""
    dead: list[tuple[str, str, int, bytes]]
    """Ticks too late to revise a bar: (symbol, channel, ts_us, the tick's own JSON); at most 1,000 a call."""
    reached_us: int | None
    """The end of the minute that every channel has come to, in µs UTC, but those that have been silent for long."""

@final
class CandlestickStream:
    """TA-Lib's 61 candlestick functions for many symbols, one bar of each a call; O(1) a bar, 856 bytes a symbol.

    Every symbol has a history of its own, from its own first bar; its answers are those of `candlesticks` over it, bit
    for bit. One owner; calls are serialised by a lock.

    >>> import tickstockpl as tp
    >>> stream = tp.CandlestickStream(2)
    >>> for minute in range(12):
    ...     close = 10.01 if minute == 11 else 11.0
    ...     found = stream.update([10.0, 10.0], [12.0, 12.0], [9.0, 9.0], [close, 11.0])
    >>> found.nonzero()[0].tolist(), [tp.CANDLESTICKS[column] for column in found.nonzero()[1]]
    ([0, 0, 0, 0, 0], ['CDLDOJI', 'CDLHIGHWAVE', 'CDLLONGLEGGEDDOJI', 'CDLRICKSHAWMAN', 'CDLSPINNINGTOP'])
    """

    def __new__(cls, n_symbols: int) -> CandlestickStream: ...
    @property
    def n_symbols(self) -> int: ...
    def update(self, open: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike) -> _I32:
        """Take in the next bar of each symbol; returns (n_symbols, 61), columns as in `CANDLESTICKS`.

        Float64 prices by symbol; open and close may lie outside of low to high. Four NaN: no bar, the symbol's state
        stays as it was, its row is 0. Raises ValueError, and takes nothing in, naming the first row that is not finite
        otherwise, or whose high is below its low, or the column whose length differs from `n_symbols`.
        """
    def peek(self, open: ArrayLike, high: ArrayLike, low: ArrayLike, close: ArrayLike) -> _I32:
        """What `update` would return, without taking the bars in: for bars that are still open."""
    def update_one(self, symbol: int, open: float, high: float, low: float, close: float) -> _I32:
        """Take in the next bar of one symbol, as `update` does with all others absent; returns (61,).

        Raises IndexError if there is no such symbol, ValueError if the bar is none.
        """
    def copy(self) -> CandlestickStream: ...
    def snapshot(self) -> bytes:
        """All state, for `restore`."""
    @staticmethod
    def restore(snapshot: bytes) -> CandlestickStream:
        """The stream as it was. Raises ValueError unless the bytes are a whole snapshot of this version."""

@final
class Framer:
    """RESP2 pub/sub frames out of raw socket bytes, split anywhere.

    channels: the subscribed names, in settings order; messages of other channels are counted as `foreign`.
    """

    def __new__(cls, channels: Sequence[str]) -> Framer: ...
    def feed(self, chunk: bytes | bytearray | memoryview) -> Frames:
        """Complete frames in `chunk` (and what was left from before); the rest waits for the next call.

        Raises ValueError on bytes that are not RESP2: the connection is to be dropped.
        """
    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame."""

@final
class Frames:
    """Messages of one socket read, still raw; `len(frames)` messages."""

    control: list[tuple[str, str, int]]
    """(`subscribe` | `unsubscribe` | `pong` | `error` | `foreign`, channel or text, count), in order."""
    raw: bytes
    """The frames as they came: a new framer makes the same of them."""
    payload_bytes: int
    """Sum of the payloads' lengths."""
    def __len__(self) -> int: ...
    def counts(self) -> list[int]:
        """Messages per channel, in the framer's order."""
    def messages(self) -> list[tuple[int, bytes]]:
        """Channel and payload of each message, copied, in the order in which they came."""
    def payloads(self, channel: int) -> list[bytes]:
        """The payloads of one channel, copied: for the curious and for tests."""

@final
class Engine:
    """Ticks to bars to patterns for many symbols: the live composition. One owner; calls are serialised by a lock."""

    def __new__(cls, settings: Any) -> Engine: ...
    def ingest(self, payloads: Sequence[bytes], now_us: int, channel: int = 0) -> Output:
        """Run raw messages through decode, aggregate, window and detect. Never raises on bad input."""
    def ingest_frames(self, frames: Frames, now_us: int, src: int | None = None) -> Output:
        """The same for one socket read, whatever its channels. src: the number of its first message in the source; the
        others count on from it. None counts on from the last one.
        """
    def ingest_stamped(self, entries: Sequence[tuple[int, int, int, bytes]]) -> Output:
        """The same for messages with a number and an arrival each: (channel, src, now_us, payload); neither falls.

        Everything that arrived before a message stands before it. What silence has made final by then is closed first,
        so that it matters neither how many come in one call nor whether `advance` is called between.
        """
    def advance(self, now_us: int) -> Output:
        """Close what silence has made final. Call it only when everything sent before `now_us` has been read."""
    def flush(self) -> Output:
        """Accept what is held and close every open bar."""
    def provisional(self) -> Output:
        """The open bars as they stand, flagged `PROVISIONAL`; they stay open and feed no pattern."""
    def know(self, sessions: Any) -> int:
        """Tell of finished sessions before any bar is fed: what breakouts from the last day and week are measured from,
        and whose minutes' volumes `know_volumes` tells.

        sessions: an object with `Bars`' columns, a row a session, oldest first per symbol; `ts_us` its open. A week is
        known once a session of the week before it is, and gaps are measured once 14 sessions are.
        Returns the rows taken: not those of symbols of which bars were fed, nor such with a price that is none. Raises
        ValueError as `warm` does.
        """
    @property
    def needs_volumes(self) -> bool:
        """Whether a pattern that is on asks what a minute traded on other days: `know_volumes` tells it."""
    def volumes_since(self, symbols: Sequence[str]) -> NDArray[np.int64]:
        """The open of each symbol's first session whose minutes count, in µs UTC, of those that `know` told of.

        Those before it are of before a split. 2^63 - 1 where none counts, and where `needs_volumes` is False.
        """
    def know_volumes(self, volumes: Any) -> int:
        """Tell what each minute of finished sessions traded at most, after `know` and before any bar is fed.

        volumes: an object with `symbols` and columns of equal length, a row a symbol, week and minute: `symbol` int32,
        an index into `symbols`; `open_us` int64, the open of any session of the week, µs UTC; `minute` int32, from the
        session's open, from 0; `volume` int64, the largest of that minute over the week's sessions since
        `volumes_since`, in shares; `quality` uint8, the flags of these bars.
        Returns the rows taken: those of the last four weeks that were told of, of symbols of which no bar was fed.
        Raises ValueError if columns differ in length, or a symbol is none.
        """
    def warm(self, bars: Any) -> int:
        """Feed history (an object with `Bars`' columns, oldest first per symbol) through the same path, silently.

        `first_src` and `last_src`, if the object has these columns, say which messages of this source are in a row:
        they are passed over when they come again (-1: none). Rows flagged `PROVISIONAL` are opened again; those with a
        price that is not finite and positive, and those that are not newer than their symbol's last, are left out.
        Returns the rows taken. Raises ValueError if columns differ in length, or naming the row whose stamp is 2^60 µs
        from 1970, or whose trades are more than 2^53.
        """
    def replay(self, bars: Any, last: bool = False) -> Output:
        """Close bars of history (an object with `Bars`' columns) in the order given, as if they had been live.

        last: no bars come after these; longer bars that are over by the newest of them close, whoever traded last.

        Raises ValueError if columns differ in length, or a bar has a price that is not finite and positive, or is not
        newer than its symbol's last; the others have then been taken.
        """
    def longer_from(self, us: int) -> None:
        """Say that minutes before `us`, in µs UTC, are in longer bars that are fed whole by `warm_longer`.

        Minutes from `us` on, which is to be a session's open, make longer bars; those before it are for the windows of
        minutes alone.
        """
    def missed(self, from_us: int, to_us: int) -> None:
        """Tell that nobody listened between these two, in µs UTC; to be told before all bars.

        Longer bars that hold such a time are flagged `GAP`, whoever traded in it. What lies between history and the
        first tick, and before later subscriptions, the engine knows.
        """
    def warm_longer(self, timeframe: str, bars: Any) -> int:
        """Feed longer bars (an object with `Bars`' columns, oldest first per symbol) that end where `longer_from` said.

        Days of a week that goes on with the minutes also begin that week's bar. Returns the rows taken: not those that
        start where no bar of `timeframe` does, that end later, or are not newer than their symbol's last. Raises
        ValueError as `warm` does, and for a timeframe that there is not.
        """
    def recall(self, events: Sequence[tuple[str, str, int, str | None, int, int]]) -> int:
        """Tell of bars that were fed at which evaluation a pattern first held, as the events made of them say.

        events: symbol, timeframe, start of the bar in µs UTC, pattern's id, direction, revision: from the last follows
        the id that a withdrawal names. A pattern of None: the event was withdrawn, and no later one may bear its
        revision.
        Returns how many of them hold. Raises ValueError for a revision that is not from 0 to 1,000,000,000.
        """
    @property
    def patterns(self) -> tuple[dict[str, Any], ...]:
        """What `Detections.pattern` is an index into: `PATTERNS`, and behind them an entry a rule."""
    @property
    def next_src(self) -> int:
        """The number of the next message that comes without one."""
    @property
    def low_src(self) -> int:
        """The number of the first message of any open bar; `next_src` with none open."""
    def continue_at(self, src: int) -> None:
        """Set the number of the next message that comes without one."""
    def revisable(self) -> tuple[int, int]:
        """START of the oldest minute that may still be revised, µs (-2^63: all may), and the number of the first
        message that went into it or a later one, or decided about one.
        """
    def standing(self) -> list[tuple[str, str]]:
        """What each channel has come to, as JSON by the channel's name; open bars are not in it."""
    def resume(self, standing: Sequence[tuple[str, str]]) -> None:
        """Give channels the standing that `standing` told; names that are none of the channels are passed over.

        A replay goes like this: `resume`, `settle`, `warm` with the rows of older minutes, then the messages since.
        Raises ValueError for a text that is no standing.
        """
    def settle(self, minute_us: int, src: int) -> None:
        """Pass over ticks of minutes before `minute_us` in messages before `src`: they are in rows, or nowhere."""
    def snapshot(self) -> bytes:
        """All state, for `restore`, in this process or another: with windows of 200 bars some 28 KB a symbol where
        minutes alone are looked at, 94 KB with five timeframes.

        What comes of the same messages afterwards is the same, to the bit: bars, revisions, ids and contents of events,
        counters. Equal states give equal bytes.
        """
    def restore(self, snapshot: bytes) -> None:
        """Become what an engine of the same settings was when it made the snapshot.

        Raises ValueError, and stays as it was, if the bytes are damaged, of another version or of other settings; of
        channels only the number counts.
        """
    def subscribed(self, now_us: int, first: bool) -> None:
        """The channels are heard from now on: the minute of each channel's next tick is flagged (`PARTIAL_START` if
        `first`, else `GAP` together with every minute since its last tick), and silence is counted from here.
        """
    def set_price_scale(self, scale: int | None) -> None: ...
    def counters(self) -> dict[str, int]: ...
    def event_time_us(self) -> list[int]:
        """Each channel's event time E; -1 before its first tick."""
    def clock_skew_us(self) -> int | None:
        """How far ahead the feed's stamps were, if over half of the last second's ticks were refused as `future`."""
    def symbols(self) -> list[str]: ...
    def forming(self, symbol: str | None = None) -> Forming:
        """The chart patterns that have formed in the closed bars and wait for a close that confirms them, of patterns
        that are on; where a session is over, those that the next one will begin with. symbol: of this one alone; None:
        of all. O(symbols).
        """
    def window(self, symbol: str, timeframe: str = "1min") -> Bars:
        """The symbol's rolling window of a timeframe, oldest first; empty if it is not on."""

def decode(payloads: Sequence[bytes]) -> Ticks: ...
def aggregate(ts_us: _I64, price: _F64, size: _I64, symbol: _I32 | None, interval_us: int) -> Bars: ...
def candlesticks(open: _F64, high: _F64, low: _F64, close: _F64, columns: Sequence[int]) -> _I32: ...
def resample(
    bars: Any, timeframe: str, sessions: _I64 | None, days: _I64 | None, align: str, until_us: int | None
) -> Bars:
    """bars: an object with `Bars`' columns, C-contiguous; `tickstockpl.resample` says what comes out."""

def event_id(
    symbol: str,
    ts_us: int,
    pattern_id: str,
    revision: int = 0,
    timeframe: str = "1min",
    *,
    parameters: str | None = None,
) -> str:
    """The id of the event that a pattern of `PATTERNS` is on the bar that starts at `ts_us`: the same in every replay.

    revision: the evaluation of the bar at which the pattern first held; see `Detections.revision`.
    A UUID of version 5 (RFC 9562) of `symbol|timeframe|ts_us|pattern_id|parameters|revision`; `parameters` changes when
    a definition does: it stands in the entries of `PATTERNS` and `Detections.patterns`. None: as in `PATTERNS`, "1" for
    an id that is not in it.
    """

# The indicators: C-contiguous float64 in; `out` is a C-contiguous float64 (columns, rows) that numpy made, so that its
# memory is numpy's to use again; after a ValueError it is of no use. `tickstockpl.indicators` says what each is; `seed`
# is "sma" or "first", `kind` "standard" or "fibonacci"; `bars` are high, low and close.

def sma(values: _F64, period: int, out: _F64) -> None: ...
def ema(values: _F64, period: int, seed: str, out: _F64) -> None: ...
def rsi(values: _F64, period: int, seed: str, out: _F64) -> None: ...
def macd(values: _F64, fast: int, slow: int, signal: int, seed: str, out: _F64) -> None:
    """Line, signal, histogram."""

def bollinger(values: _F64, period: int, deviations: float, ddof: int, out: _F64) -> None:
    """Upper, middle, lower."""

def atr(bars: _Bars, period: int, seed: str, out: _F64) -> None: ...
def adx(bars: _Bars, period: int, seed: str, out: _F64) -> None: ...
def directional(bars: _Bars, period: int, seed: str, out: _F64) -> None:
    """ADX, +DI, -DI."""

def obv(close: _F64, volume: _F64, out: _F64) -> None: ...
def stochastic(bars: _Bars, k: int, slow_k: int, slow_d: int, out: _F64) -> None:
    """%K, %D."""

def vwap(bars: _Bars, volume: _F64, session: _I64 | None, out: _F64) -> None:
    """The mean and sigma."""

def volume_ratio(volume: _F64, period: int, out: _F64) -> None: ...
def pivots(bars: _Bars, kind: str, out: _F64) -> None:
    """The pivot, R1 to R3, S1 to S3."""

@final
class IndicatorStream:
    """Ten indicators of `n_symbols` symbols, one bar of each in one call; what a bar costs does not grow with time.

    Periods default to what charts show: SMA 20, EMA 12 and 26, RSI 14, MACD 12/26/9, Bollinger 20 x 2, ATR 14, ADX 14
    (with +DI and -DI), OBV, stochastic 14/3/3. `seed`, `ddof`: as in `tickstockpl.indicators`.

    >>> import numpy as np
    >>> import tickstockpl as tp
    >>> stream = tp.IndicatorStream(2, sma=2)
    >>> bar = np.array([10.0, 20.0])
    >>> first = stream.update(bar, bar, bar, bar, np.array([100.0, 100.0]))
    >>> second = stream.update(*np.array([[12.0, np.nan]] * 5))
    >>> second["sma"].tolist()
    [11.0, nan]

    One owner; calls are serialised by a lock, the interpreter is released meanwhile.
    Raises ValueError for a period out of its range, and for more than 1,000,000 symbols.
    """

    def __new__(
        cls,
        n_symbols: int,
        *,
        sma: int = 20,
        ema: tuple[int, int] = ...,
        rsi: int = 14,
        macd: tuple[int, int, int] = ...,
        bollinger: tuple[int, float] = ...,
        atr: int = 14,
        adx: int = 14,
        stochastic: tuple[int, int, int] = ...,
        seed: str = "sma",
        ddof: int = 0,
    ) -> IndicatorStream: ...
    def update(self, open: _F64, high: _F64, low: _F64, close: _F64, volume: _F64) -> dict[str, _F64]:
        """Each symbol's values after one more bar, bit for bit those that a batch of its own bars ends with.

        open, high, low, close, volume: C-contiguous float64 (n_symbols,). Five NaN: no bar for that symbol; its state
        stays as it was and its values are NaN. Returns new float64 (n_symbols,) arrays by name: `sma`, `ema_fast`,
        `ema_slow`, `rsi`, `macd`, `macd_signal`, `macd_histogram`, `bollinger_upper`, `bollinger_middle`,
        `bollinger_lower`, `atr`, `adx`, `plus_di`, `minus_di`, `obv`, `stochastic_k`, `stochastic_d`; NaN in warm-up.
        Raises ValueError naming the first row that is neither a bar nor NaN throughout: not finite, or its high below
        its low; nothing has changed then.
        """
    def snapshot(self) -> bytes:
        """The state: continue from it with `restore`, in this process or another. Equal states give equal bytes."""
    def restore(self, snapshot: bytes) -> None:
        """Become what a snapshot holds.

        Raises ValueError if it is of other settings, another number of symbols or another version; nothing has changed
        then.
        """
    def __len__(self) -> int:
        """How many symbols there are."""
