"""The array API: decode, aggregate, candlesticks and the live engine, for people, notebooks and benchmarks.

Everything here takes and returns columns. Nothing reads a clock, a socket or the environment.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl._kernel import (
    ALERTS,
    AMBIGUOUS,
    CANDLESTICKS,
    GAP,
    HANDOVER,
    LATE_REVISED,
    PARTIAL_START,
    PATTERNS,
    PROVISIONAL,
    REASONS,
    REPAIRED,
    TIMEFRAMES,
    VALUES,
    Bars,
    CandlestickStream,
    Detections,
    Engine,
    EventEncoder,
    Follower,
    Forming,
    Framer,
    Frames,
    LongerBars,
    Outcomes,
    Output,
    Readings,
    Ticks,
    decode,
    event_id,
)
from tickstockpl._kernel import aggregate as _aggregate
from tickstockpl._kernel import candlesticks as _candlesticks
from tickstockpl._kernel import resample as _resample
from tickstockpl.columns import named, refuse_longer, whole
from tickstockpl.rule import Rule

__all__ = [
    "ALERTS",
    "AMBIGUOUS",
    "CANDLESTICKS",
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
    "EngineSettings",
    "EventEncoder",
    "Follower",
    "Forming",
    "Framer",
    "Frames",
    "LongerBars",
    "Outcomes",
    "Output",
    "Readings",
    "Ticks",
    "aggregate",
    "candlesticks",
    "decode",
    "event_id",
    "forming",
    "patterns_with",
    "resample",
    "scan",
    "scan_parts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an `Engine` is told. The defaults suit arrays and files: every hour counts and nothing is rounded."""

    channels: tuple[str, ...] = ("data.raw", "tickstock.data.raw")
    """In order of preference; `channel` arguments are indices into it."""
    lateness_a_s: float = 2.0
    """How long a bar of aggregates waits for late ticks after its end, 0 to 60 s."""
    lateness_t_s: float = 5.0
    """The same for bars of trades."""
    revise_s: float = 900.0
    """How long after its end a late tick may revise a bar, 0 to 900 s."""
    window: int = 200
    """Bars that patterns can look back on; with fewer than 200 some find other things. One that is named and needs more
    is refused, as is one that is on none of `timeframes`."""
    max_symbols: int = 20_000
    price_scale: int | None = None
    """Decimals to which closed bars are rounded: those of the price column."""
    session_mode: Literal["always", "regular", "extended"] = "always"
    """Which bars enter the windows: all, or those of `sessions`."""
    sessions: NDArray[np.int64] | None = None
    """(n, 2) [open, close) in µs UTC, ascending: the sessions of `session_mode`."""
    regular: NDArray[np.int64] | None = None
    """(n, 2) regular sessions: outside of them condition 12 is neutral. None: every hour is outside."""
    days: NDArray[np.int64] | None = None
    """(n, 2) days, at which session values restart under `always`. None: UTC days."""
    patterns: tuple[str, ...] | None = None
    """Ids of the patterns to look for (`PATTERNS`); None is all, but of those that share a name the first. Those of
    TA-Lib need a window of 34 bars: named with a shorter one they are a ValueError, with None they are off."""
    rules: tuple[Rule, ...] = ()
    """What is made of patterns and comparisons, each after those that it names (`read_rules`). The patterns in them are
    looked for even where `patterns` has them off, and then not told."""
    indicators: tuple[str, ...] | None = ()
    """Symbols whose indicators are read at each bar (`Output.readings`), `*` for all; the window then holds at least
    30 bars. None keeps no state at all: detections have no `rsi`."""
    rsi_bounds: tuple[float, float] = (30.0, 70.0)
    """RSI below the first is oversold, above the second overbought."""
    seq_counts: bool = False
    """`seq` counts the ticks that one sender sends on a channel, so that a jump tells of lost ones (`Output.jumps`, and
    `GAP` on the bars). False: it is a trade's own number."""
    volume_checked: bool = True
    """Where aggregates say the day's volume (`accumulated_volume`), it is held against what was folded (`Output.short`,
    and `GAP` on the bars)."""
    benchmark: str | None = "SPY"
    """The symbol that `relative_strength` is measured against."""
    timeframes: tuple[str, ...] = ("1min",)
    """What bars patterns are looked for on: some of `TIMEFRAMES`. Longer ones are rolled up from the minutes that enter
    the windows (`Output.longer`), and seen when they have closed."""
    align: Literal["session", "clock"] = "session"
    """Where bars longer than a minute and shorter than a session are counted from: its open, or midnight in `days`."""

    @property
    def known_patterns(self) -> tuple[dict[str, Any], ...]:
        """What `Detections.pattern` is an index into."""
        return patterns_with(self.rules)


def patterns_with(rules: Sequence[Rule]) -> tuple[dict[str, Any], ...]:
    """`PATTERNS`, and behind them an entry a rule."""
    return (*PATTERNS, *(rule.entry() for rule in rules)) if rules else PATTERNS


def aggregate(
    ts_us: ArrayLike, price: ArrayLike, size: ArrayLike, symbol: ArrayLike | None = None, *, interval_s: float = 60
) -> Bars:
    """Fold trades into bars, sorted by time, then symbol.

    ts_us: int64 µs UTC, in any order; equal stamps keep the order of the input. A trade belongs to the bar that starts
    at floor(ts / interval) · interval. price: float64; size: int64 shares; symbol: int32 ids, or None for one symbol.
    Raises ValueError naming the first row whose price is not finite and positive, whose size or symbol is negative, or
    whose stamp, size or symbol is no whole number of its type; and for an interval that is not positive, or that no
    int64 of µs holds.

    >>> import tickstockpl as tp
    >>> bars = tp.aggregate([0, 1_000_000, 61_000_000], [10.0, 11.0, 12.0], [5, 5, 5])
    >>> bars.close.tolist(), bars.volume.tolist()
    ([11.0, 12.0], [10, 5])
    """
    if not 0 < interval_s < 2**62 / 1e6:
        raise ValueError(f"interval_s must be positive and below 2^62 µs, was {interval_s}")
    ids = None if symbol is None else whole("symbol", symbol, np.int32)
    return _aggregate(
        whole("ts_us", ts_us),
        np.ascontiguousarray(price, dtype=np.float64),
        whole("size", size),
        ids,
        round(interval_s * 1e6),
    )


def resample(
    bars: Any,
    timeframe: str,
    *,
    sessions: ArrayLike | None = None,
    days: ArrayLike | None = None,
    align: Literal["session", "clock"] = "session",
    until_us: int | None = None,
) -> Bars:
    """Roll 1-minute bars up to a longer timeframe; of bars that are forming still nothing is shown.

    bars: as `scan` takes them, of many symbols, in any order, flagged `PROVISIONAL` ones left out; of columns by name
    `vwap`, `trades` and `quality` are read, too, where they are there.
    timeframe: one of `TIMEFRAMES`; `daily` is a session, `weekly` the sessions of a week.
    sessions: int64 (n, 2), [open, close) in µs UTC, ascending; bars that start in none are left out. None is `days`.
    days: int64 (n, 2), the market's days, midnight to midnight; a session is in the week, Monday to Sunday, of the day
    that it ends on. None: UTC days.
    align: whether bars within a session count from its open (09:30, 10:30, ...) or from the market's midnight (09:30,
    10:00, 11:00, ...). Either way the session's open and close cut them.
    until_us: no minute that ends by then, in µs UTC, is still to come, though none of these may be so new.
    Returns bars by time, then symbol: first open, highest high, lowest low, last close, sums of volume and trades, each
    minute's flags, and the vwap of the minutes that have one. `ts_us` is when a bar is scheduled to start, whoever
    trades first. A bar is there if it is over by the end of the newest minute of all symbols, in a session or not, or
    by `until_us`; so give whole minutes, and more of them will not change a bar that was returned.
    Raises ValueError naming the row that is no bar of a minute, or is there twice, or is no session.

    >>> import numpy as np, tickstockpl as tp
    >>> bars = {"symbol": ["A"] * 7, "ts_us": np.arange(2, 9) * 60_000_000, "volume": [10] * 7}
    >>> bars |= {name: np.arange(2.0, 9.0) for name in ("open", "high", "low", "close")}
    >>> five = tp.resample(bars, "5min")
    >>> five.ts_us.tolist(), five.open.tolist(), five.close.tolist(), five.volume.tolist()
    ([0], [2.0], [4.0], [30])
    """
    given = bars if isinstance(bars, Bars) else columns_of_bars(bars, ("vwap", "trades", "quality"))
    return _resample(given, timeframe, _table("sessions", sessions), _table("days", days), align, until_us)


def _table(name: str, rows: ArrayLike | None) -> NDArray[np.int64] | None:
    """Pairs of µs."""
    if rows is None:
        return None
    table = whole(name, rows)
    if table.ndim != 2 or table.shape[1] != 2:
        raise ValueError(f"{name} must be (n, 2), was {table.shape}")
    return table


def candlesticks(
    open: ArrayLike,  # noqa: A002  # the price, as everywhere here
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    names: Iterable[str] | None = None,
) -> dict[str, NDArray[np.int32]]:
    """TA-Lib's candlestick functions over the bars of one symbol: its 61 `CDL*`, equal to TA-Lib's in every cell.

    open, high, low, close: float64 prices of equal length, oldest bar first; open and close may lie outside of low to
    high. A row of four NaN is no bar: its answers are 0, and the bars around it are neighbours.
    names: which functions, by TA-Lib's names (`CANDLESTICKS`); None is all of them. All are computed in one pass, so
    that one costs nearly as much as 61.
    Returns int32 by name, a value a row: 0, ±100; ±80 where the bodies of engulfing or harami share an end; ±200 where
    a hikkake is confirmed; 0 before the function's lookback. The arrays are rows of one block of memory.
    Raises ValueError naming the first row that is not finite, or whose high is below its low; or the unknown name, or a
    text in place of names.
    Source: TA-Lib 0.8.1 with its default candle settings and penetrations.

    >>> import numpy as np, tickstockpl as tp
    >>> open, close = np.full(12, 10.0), np.full(12, 11.0)
    >>> close[11] = 10.01
    >>> tp.candlesticks(open, close + 1, open - 1, close, ["CDLDOJI"])["CDLDOJI"].tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100]
    """
    if isinstance(names, str):
        raise ValueError(f"names must be several names, was the text {names!r}")  # noqa: TRY004  # it iterates, too
    wanted = list(CANDLESTICKS if names is None else dict.fromkeys(names))
    for name in wanted:
        if name not in _COLUMNS:
            raise ValueError(f"no candlestick is called {name!r}")
    answers = _candlesticks(
        np.ascontiguousarray(open, dtype=np.float64),
        np.ascontiguousarray(high, dtype=np.float64),
        np.ascontiguousarray(low, dtype=np.float64),
        np.ascontiguousarray(close, dtype=np.float64),
        [_COLUMNS[name] for name in wanted],
    )
    return dict(zip(wanted, answers, strict=True))


def scan(
    bars: Any,
    patterns: Sequence[str] | None = None,
    *,
    rules: Sequence[Rule] | None = None,
    settings: EngineSettings | None = None,
) -> Detections:
    """Find every pattern in history, as a live engine does when each bar closes: the same bits, the same ids.

    A live one forgets symbols that it does not hear for a whole session; here none is forgotten.

    bars: 1-minute `Bars` or an object with their columns, or columns by name (a dict, a pandas or Polars frame), in any
    order: `symbol` (text), `ts_us` (int64 µs UTC, the START of the minute), `open`, `high`, `low`, `close` (float64,
    positive), `volume` (int64), and `quality` (uint8, its flags) where it is there. Bars flagged `PROVISIONAL` were
    open still and are left out; on those flagged `PARTIAL_START` or `GAP` no pattern ends. Ids that have no names, such
    as those of `aggregate`, are called by their number.
    patterns: ids of `PATTERNS`; None is what `settings` says. settings: the engine's; None: its defaults, under which
    every hour counts, all bars of a UTC day are one session, and only those of a minute are looked at (`timeframes`).
    rules: what is looked for beside them, as `read_rules` and `parse_rules` give it; None is what `settings` says.
    Returns what is found, by minute, then in the order of `bars`; on a longer bar when that has closed. It takes some
    800 bytes a detection while it works. The result keeps `bars`, so that its `plot(i)` can draw the row `i`.
    Bars such as those of `resample` will do where only their `timeframes` and longer ones are looked at; nothing is
    found on the newest one, of which no later bar says that it is over.
    Raises ValueError naming the row that is no bar, or is there twice, and for bars longer than what is looked at.

    >>> import tickstockpl as tp
    >>> bars = {"symbol": ["A"] * 21, "ts_us": [n * 60_000_000 for n in range(21)], "volume": [100] * 20 + [900]}
    >>> bars |= {name: [10.0] * 21 for name in ("open", "high", "low", "close")}
    >>> found = tp.scan(bars, ["volume_spike"])
    >>> [(found.symbols[found.symbol[0]], found.ts_us.tolist(), found.confidence.tolist())]
    [('A', [1200000000], [1.0])]
    """
    engine, ordered = _ready(bars, patterns, settings, rules)
    found = engine.replay(SimpleNamespace(**ordered), last=True).detections
    found._keep(bars)  # noqa: SLF001  # a column set says what it holds, and this is no column
    return found


def forming(
    bars: Any,
    patterns: Sequence[str] | None = None,
    *,
    rules: Sequence[Rule] | None = None,
    settings: EngineSettings | None = None,
) -> Forming:
    """The chart patterns that have formed by the last of these bars, and that no close has confirmed yet.

    bars, patterns, rules, settings: as `scan` takes them. What it returns is what a live engine says then
    (`Engine.forming`), and it is no event: what is confirmed is in what `scan` finds in later bars.
    Raises ValueError as `scan` does.

    >>> import numpy as np, tickstockpl as tp
    >>> turns = [232, 200, 232, 200, 220]
    >>> close = np.concatenate([np.linspace(a, b, 16, endpoint=False) for a, b in zip(turns, turns[1:])])
    >>> bars = {"symbol": ["A"] * 64, "ts_us": np.arange(64) * 60_000_000, "volume": [100] * 64, "open": close}
    >>> waits = tp.forming(bars | {"high": close + 1, "low": close - 1, "close": close}, ["double_bottom"])
    >>> waits.direction.tolist(), waits.trigger.round(2).tolist(), [role for role, _, _ in waits.points(0)]
    ([1], [233.0], ['start', 'first', 'between', 'second'])
    """
    engine, ordered = _ready(bars, patterns, settings, rules)
    engine.replay(SimpleNamespace(**ordered), last=True)
    return engine.forming()


def scan_parts(
    bars: Any, patterns: Sequence[str] | None = None, *, settings: EngineSettings | None = None, rows: int = 100_000
) -> Iterator[Detections]:
    """What `scan` finds, in the same order, in a part for each `rows` bars: all of it need not be in memory at once."""
    engine, ordered = _ready(bars, patterns, settings)
    count = len(ordered["ts_us"])
    for low in range(0, count, rows):
        part = {name: column if name == "symbols" else column[low : low + rows] for name, column in ordered.items()}
        yield engine.replay(SimpleNamespace(**part), last=low + rows >= count).detections


def _ready(
    bars: Any, patterns: Sequence[str] | None, settings: EngineSettings | None, rules: Sequence[Rule] | None = None
) -> tuple[Engine, dict[str, Any]]:
    """An engine, and the columns of what is to be replayed in it, in order.

    Raises ValueError as `scan` does.
    """
    if isinstance(patterns, str):
        raise ValueError(f"patterns must be several ids, was the text {patterns!r}")  # noqa: TRY004  # it iterates, too
    given = columns_of_bars(bars, ("quality",)) if hasattr(bars, "__getitem__") else bars
    wrong = _faults(given)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"bars must start at a minute, have 0 < low <= high, and open, close > 0; row {row} does not")
    chosen = settings or EngineSettings()
    if patterns is not None:
        chosen = replace(chosen, patterns=tuple(patterns))
    if rules is not None:
        chosen = replace(chosen, rules=tuple(rules))
    if shortest := [name for name in TIMEFRAMES if name in chosen.timeframes]:
        refuse_longer(given.ts_us, shortest[0])
    names, symbol = named(given)
    # the benchmark first: strength relative to it is asked for when the others' bars of its minute close
    rank = np.where(names[symbol] == chosen.benchmark, -1, np.arange(len(symbol)))
    rows = np.lexsort((rank, given.ts_us))
    rows = rows[given.quality[rows] & PROVISIONAL == 0]
    order = rows[np.lexsort((given.ts_us[rows], symbol[rows]))]
    twice = (np.diff(symbol[order]) == 0) & (np.diff(given.ts_us[order]) == 0)
    if twice.any():
        raise ValueError(f"each bar must be there once; row {order[1:][twice].min()} is not the first of its minute")
    columns = {name: np.ascontiguousarray(getattr(given, name)[rows]) for name in _GIVEN}
    engine = Engine(replace(chosen, max_symbols=max(1, len(names))))
    return engine, {"symbols": names.tolist(), "symbol": symbol[rows], **columns}


def columns_of_bars(columns: Any, also: Sequence[str] = ()) -> SimpleNamespace:
    """Columns by name as those of `Bars`. also: those that are read, too, where they are there."""
    names, symbol = np.unique(np.asarray(columns["symbol"], dtype=np.str_), return_inverse=True)
    rows = len(symbol)
    numbers = {name: whole(name, columns[name]) for name in ("ts_us", "volume")}
    prices = {name: np.ascontiguousarray(columns[name], dtype=np.float64) for name in _PRICES}
    known: dict[str, NDArray[Any]] = {
        "vwap": np.full(rows, np.nan),
        "trades": np.zeros(rows, dtype=np.int64),
        "quality": np.zeros(rows, dtype=np.uint8),
    }
    for name in (name for name in also if name in columns):
        if name == "vwap":
            known[name] = np.ascontiguousarray(columns[name], dtype=np.float64)
        else:
            known[name] = whole(name, columns[name], np.uint8 if name == "quality" else np.int64)
    if any(column.shape != (rows,) for column in (*numbers.values(), *prices.values(), *known.values())):
        raise ValueError("bars must have columns of one length")
    unknown = np.full(rows, -1, dtype=np.int64)
    return SimpleNamespace(
        symbols=names.tolist(),
        symbol=symbol.astype(np.int32),
        **numbers,
        **prices,
        **known,
        revision=np.zeros(rows, dtype=np.int32),
        open_us=unknown,
        close_us=unknown,
    )


def _faults(bars: Any) -> NDArray[np.bool_]:
    """The rows that are no bar of a minute."""
    prices = np.stack([getattr(bars, name) for name in _PRICES])
    stamped: NDArray[np.bool_] = (bars.ts_us % 60_000_000 == 0) & (np.abs(bars.ts_us) < 2**60) & (bars.volume >= 0)
    wrong: NDArray[np.bool_] = ~(np.isfinite(prices) & (prices > 0)).all(axis=0)
    wrong |= ~stamped | (bars.low > bars.high)
    return wrong


_PRICES = ("open", "high", "low", "close")
_GIVEN = (*_PRICES, *("ts_us", "volume", "vwap", "trades", "revision", "quality", "open_us", "close_us"))
_COLUMNS = {name: column for column, name in enumerate(CANDLESTICKS)}
