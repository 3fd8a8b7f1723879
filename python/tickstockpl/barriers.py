"""What became of detections: which of two barriers the price touched first, on the bars that followed.

Nothing else here looks ahead. The rule, in words and in this order:

entry     the close of the bar that a detection ends on.
a         Wilder's average true range over 14 bars up to and with that bar: the first 14 values are the mean of the true
          ranges so far, then a = (13 · a + range) / 14. The first bar of a session has the range h - l: the gap that
          lies before it is no movement that a person could have traded within the session. A detection that brings its
          own (`Detections.atr`) is measured by that one: what the service says of it live is the same to the bit.
barriers  entry + barrier · a and entry - barrier · a.
wait      the next `horizon` bars of the same symbol in the SAME session. A stop that is left standing overnight is
          filled at the next open, wherever that is, and an opening gap is many times the range of a minute: what such a
          trade gains or loses is not ± a. So a position is closed with the session, and what has touched nothing by
          then is unresolved. On bars of a day and longer, whose range a night is part of, the next `horizon` bars.
result    the signal's barrier first: won. The other one first, or both within one bar, whose order nobody knows: lost.
          Neither: unresolved. Neither, with bars still to come that the data do not have: open.

A neutral pattern is measured as if it said up. A bar without a range before it (a = 0) is not measured.

Source: the triple barrier of López de Prado (2018), Advances in Financial Machine Learning, ch. 3.2; Wilder (1978), New
Concepts in Technical Trading Systems, ch. 3, of the average true range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tickstockpl.columns import named
from tickstockpl.kernel import PROVISIONAL, columns_of_bars
from tickstockpl.vocabulary import INTERVALS_S, TIMEFRAME

I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

WON: Final = 1
LOST: Final = -1
UNRESOLVED: Final = 0
OPEN: Final = 2
"""Neither barrier was touched as far as the data go, and the wait is not over."""
UNMEASURED: Final = 3
"""There is no barrier to touch: a = 0, no levels, a detection that was withdrawn, or no bar of it."""

_UP, _DOWN, _BOTH = 1, -1, 4
_ATR_BARS = 14
_DAY_US = 86_400_000_000
_EVER_US = 2**62
_CHUNK = 1 << 18


class Found(Protocol):
    """The columns of `Detections` that outcomes and rates are made of: one row a detection."""

    @property
    def symbols(self) -> Sequence[str]: ...
    @property
    def symbol(self) -> I32: ...
    @property
    def ts_us(self) -> I64: ...
    @property
    def pattern(self) -> I32: ...
    @property
    def direction(self) -> I32: ...
    @property
    def confidence(self) -> F64: ...
    @property
    def held(self) -> NDArray[np.bool_]: ...
    @property
    def entry(self) -> F64: ...
    @property
    def stop(self) -> F64: ...
    @property
    def target(self) -> F64: ...
    @property
    def atr(self) -> F64: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each detection, in the order of the detections. Columns of equal length."""

    result: I8
    """`WON` 1, `LOST` -1, `UNRESOLVED` 0, `OPEN` 2 or `UNMEASURED` 3."""
    after: I32
    """The bars until a barrier was touched; 0 where none was."""
    target: I8
    """The same codes for the detection's own levels: its target before its stop, in the same wait."""
    atr: F64
    """a at the detection's bar, in price; NaN where there is no such bar."""
    session_us: I64
    """The open of its session, µs UTC, or the start of its bar of a day or longer; -1 where there is no such bar."""

    def __len__(self) -> int:
        return len(self.result)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Every column by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class BaseCounts:
    """What the same barriers came to at all bars of each session, whatever a pattern said: (n,) int64 columns."""

    session_us: I64
    """The sessions' opens, ascending; the bars' starts of those of a day and longer."""
    bars: I64
    up: I64
    """Bars at which a position that gains from rising prices was won."""
    down: I64
    resolved: I64
    """Bars at which it was won or lost; the same for both directions."""
    reach: F64
    """Sum, over the resolved ones, of the barrier's distance as a share of the close."""

    @classmethod
    def joined(cls, parts: "Sequence[BaseCounts]") -> "BaseCounts":
        """Those of several symbols as one."""
        opens, code = np.unique(np.concatenate([part.session_us for part in parts]), return_inverse=True)
        columns: dict[str, Any] = {}
        for field in fields(cls)[1:]:
            values = np.concatenate([getattr(part, field.name) for part in parts])
            columns[field.name] = np.zeros(len(opens), dtype=values.dtype)
            np.add.at(columns[field.name], code, values)
        return cls(opens, **columns)

    def within(self, first_us: int, until_us: int) -> "BaseCounts":
        """Those of the sessions that open in [first_us, until_us)."""
        chosen = (self.session_us >= first_us) & (self.session_us < until_us)
        return BaseCounts(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def rate(self, direction: int) -> float:
        """Won of resolved over all sessions, for 1 or 0 (up) and -1 (down); NaN without any."""
        resolved = int(self.resolved.sum())
        return int((self.down if direction < 0 else self.up).sum()) / resolved if resolved else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """Bars by symbol and time, and of each of them which barrier around its close was touched first."""

    symbols: tuple[str, ...]
    symbol: I32
    ts_us: I64
    high: F64
    low: F64
    close: F64
    atr: F64
    session_us: I64
    """The open of the session that the bar lies in; of one of a day or longer its own start."""
    wait_us: I64
    """What tells the stretches apart within which is waited: `session_us`; 0 where sessions do not end the wait."""
    begin: I64
    """The first row of that stretch of that symbol."""
    end: I64
    """The row after its last."""
    whole: NDArray[np.bool_]
    """No bar is still to come before the wait ends."""
    touched: I8
    after: I32
    horizon: int
    barrier: float

    @classmethod
    def of(
        cls,
        bars: Any,
        *,
        horizon: int = 20,
        barrier: float = 1.0,
        sessions: I64 | None = None,
        timeframe: str = TIMEFRAME,
    ) -> "Barriers":
        """Measure every bar. timeframe: how long they are. For the other arguments and errors see `outcomes`."""
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1 bar, was {horizon}")
        if not 0 < barrier < float("inf"):
            raise ValueError(f"barrier must be positive and finite, was {barrier}")
        given = columns_of_bars(bars, ("quality",)) if hasattr(bars, "__getitem__") else bars
        _refuse(given)
        names, symbol = named(given)
        opens, closes = _sessions(given.ts_us, sessions) if timeframe in INTERVALS_S else _all(given.ts_us)
        rows = np.flatnonzero((given.ts_us < closes) & (given.quality & PROVISIONAL == 0))
        rows = rows[np.lexsort((given.ts_us[rows], symbol[rows]))]
        symbol, ts_us = symbol[rows], given.ts_us[rows]
        twice = (np.diff(symbol) == 0) & (np.diff(ts_us) == 0)
        if twice.any():
            raise ValueError(f"each bar must be there once; row {rows[1:][twice].min()} is not the first of its minute")
        high, low, close = (np.ascontiguousarray(getattr(given, name)[rows]) for name in ("high", "low", "close"))
        opens, closes = opens[rows], closes[rows]
        begins = _begins(symbol, opens)
        ends = np.append(begins, len(rows))[1:]
        begin, end = (np.repeat(edge, ends - begins) for edge in (begins, ends))
        # a session is over where its last minute is there, or where the symbol has bars of a later one
        over = np.ones(len(begins), dtype=np.bool_)
        over[:-1] = symbol[begins[1:]] == symbol[begins[:-1]]
        over[-1:] = False
        over |= ts_us[ends - 1] + round(INTERVALS_S.get(timeframe, 0.0) * 1e6) >= closes[begins]
        whole = (np.arange(len(rows)) + horizon < end) | np.repeat(over, ends - begins)
        with np.errstate(over="ignore", invalid="ignore"):  # a range past what a float holds is never touched
            atr = _atr(symbol, begins, high, low, close)
            upper, lower = close + barrier * atr, close - barrier * atr
        touched, after = _first_touch(high, low, np.arange(len(rows)), upper, lower, end, horizon)
        touched[(touched == UNRESOLVED) & ~whole] = OPEN
        touched[atr == 0] = UNMEASURED
        after[atr == 0] = 0
        return cls(
            symbols=tuple(names.tolist()),
            symbol=symbol,
            ts_us=ts_us,
            high=high,
            low=low,
            close=close,
            atr=atr,
            session_us=opens if timeframe in INTERVALS_S else ts_us,
            wait_us=opens,
            begin=begin,
            end=end,
            whole=whole,
            touched=touched,
            after=after,
            horizon=horizon,
            barrier=barrier,
        )

    def __len__(self) -> int:
        return len(self.ts_us)

    def rows(self, detections: Found) -> I64:
        """The row of the bar that each detection ends on; -1 where there is none."""
        row = self.first_from(detections, detections.ts_us)
        return np.where((row >= 0) & (self.ts_us[row] == detections.ts_us), row, -1) if len(self) else row

    def first_from(self, detections: Found, ts_us: I64) -> I64:
        """The row of the first bar of each detection's symbol from `ts_us` on; -1 where there is none."""
        if not len(self):
            return np.full(len(detections), -1)
        at = {name: code for code, name in enumerate(self.symbols)}
        codes = np.array([at.get(name, -1) for name in detections.symbols], dtype=np.int64)
        symbol = codes[detections.symbol] if len(codes) else np.empty(0, np.int64)
        stamps = np.unique(self.ts_us)
        places = len(stamps) + 1  # one more, for what is later than all
        key = self.symbol.astype(np.int64) * places + np.searchsorted(stamps, self.ts_us)
        wanted = symbol * places + np.searchsorted(stamps, ts_us)
        row = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        return np.where((self.symbol[row] == symbol) & (key[row] >= wanted), row, -1)

    def outcomes(self, detections: Found, rows: I64 | None = None) -> Outcomes:
        """What became of each detection. rows: of the bars that they end on; None: as `rows` finds them."""
        row = self.rows(detections) if rows is None else rows
        counts = (row >= 0) & detections.held
        at = np.where(row >= 0, row, 0)
        if not len(self):
            at, counts = at[:0], counts[:0]
            nothing = np.full(len(row), UNMEASURED, dtype=np.int8)
            absent = np.full(len(row), np.nan)
            return Outcomes(nothing, np.zeros(len(row), np.int32), nothing.copy(), absent, np.full(len(row), -1))
        result, after, atr = self.results(detections.direction, at), self.after[at], self.atr[at]
        told = np.flatnonzero(counts & (detections.atr > 0))
        atr[told] = detections.atr[told]
        result[told], after[told] = self._by_range(detections.direction[told], at[told], atr[told])
        result[~counts] = UNMEASURED
        return Outcomes(
            result,
            np.where(counts, after, 0).astype(np.int32),
            self._targets(detections, at, counts),
            np.where(row >= 0, atr, np.nan),
            np.where(row >= 0, self.session_us[at], -1),
        )

    def results(self, direction: NDArray[Any], rows: I64) -> I8:
        """What positions in a direction (0 as 1) came to that were taken at the close of these rows."""
        return _came(direction, self.touched[rows])

    def _by_range(self, direction: NDArray[Any], rows: I64, atr: F64) -> tuple[I8, I32]:
        """The same with another range than the rows' own, and after how many bars."""
        with np.errstate(over="ignore"):
            upper, lower = self.close[rows] + self.barrier * atr, self.close[rows] - self.barrier * atr
        touched, after = _first_touch(self.high, self.low, rows, upper, lower, self.end[rows], self.horizon)
        touched[(touched == UNRESOLVED) & ~self.whole[rows]] = OPEN
        return _came(direction, touched), after

    def base(self) -> BaseCounts:
        """What all bars came to, by session."""
        opens, code = np.unique(self.session_us, return_inverse=True)
        size = len(opens)
        bars = np.bincount(code, minlength=size).astype(np.int64)
        up, down, both = (
            np.bincount(code[self.touched == kind], minlength=size).astype(np.int64) for kind in (_UP, _DOWN, _BOTH)
        )
        decided = np.isin(self.touched, (_UP, _DOWN, _BOTH))
        reach = np.bincount(code[decided], (self.barrier * self.atr / self.close)[decided], minlength=size)
        return BaseCounts(opens, bars, up, down, up + down + both, reach.astype(np.float64))

    def _targets(self, detections: Found, at: I64, counts: NDArray[np.bool_]) -> I8:
        """Target before stop, from the detections' own levels; a bar that touches both is lost."""
        entry, stop, target = detections.entry, detections.stop, detections.target
        between = ((stop < entry) & (entry < target)) | ((target < entry) & (entry < stop))  # false with NaN
        result = np.full(len(at), UNMEASURED, dtype=np.int8)
        chosen = np.flatnonzero(counts & between)
        rows, rises = at[chosen], target[chosen] > stop[chosen]
        upper, lower = np.maximum(target, stop)[chosen], np.minimum(target, stop)[chosen]
        touched, _ = _first_touch(self.high, self.low, rows, upper, lower, self.end[rows], self.horizon)
        decided = np.where(touched == _BOTH, LOST, np.where(rises, touched, -touched))
        decided[(touched == UNRESOLVED) & ~self.whole[rows]] = OPEN
        result[chosen] = decided
        return result


def _came(direction: NDArray[Any], touched: I8) -> I8:
    """What positions in a direction came to, by the barrier that was touched."""
    sign = np.where(direction < 0, -1, 1)
    decided = (touched == _UP) | (touched == _DOWN)
    result = np.where(decided, touched * sign, np.where(touched == _BOTH, LOST, touched))
    return result.astype(np.int8)


def _refuse(given: Any) -> None:
    """Raises ValueError naming the first row that is no bar."""
    prices = np.stack([given.high, given.low, given.close])
    wrong = ~(np.isfinite(prices) & (prices > 0)).all(axis=0) | (given.low > given.high)
    if wrong.any():
        raise ValueError(f"bars must have 0 < low <= high, and close > 0; row {int(np.argmax(wrong))} does not")


def _sessions(ts_us: I64, table: I64 | None) -> tuple[I64, I64]:
    """Of each stamp the session that it lies in: open and close; a close before the stamp where it lies in none."""
    if table is None:
        opens = ts_us // _DAY_US * _DAY_US
        return opens, opens + _DAY_US
    known = np.asarray(table, dtype=np.int64)
    if known.ndim != 2 or known.shape[1:] != (2,):
        raise ValueError(f"sessions must be an array of two columns, was of shape {known.shape}")
    if (known[:, 0] >= known[:, 1]).any() or (known[1:, 0] < known[:-1, 1]).any():
        raise ValueError("sessions must be ascending, and each must open before it closes")
    if not len(known):
        return ts_us.copy(), ts_us.copy()
    at = np.searchsorted(known[:, 0], ts_us, side="right") - 1
    return known[at, 0], np.where(at < 0, ts_us, known[at, 1])


def _all(ts_us: I64) -> tuple[I64, I64]:
    """The same where no session ends the wait: one that never closes."""
    return np.zeros_like(ts_us), np.full_like(ts_us, _EVER_US)


def _begins(symbol: I32, opens: I64) -> I64:
    """The first row of each session of each symbol."""
    fresh = np.ones(len(symbol), dtype=np.bool_)
    fresh[1:] = (np.diff(symbol) != 0) | (np.diff(opens) != 0)
    return np.flatnonzero(fresh)


def _atr(symbol: I32, begins: I64, high: F64, low: F64, close: F64) -> F64:
    """Wilder's average true range of each bar, one run through all sessions of a symbol."""
    before = np.empty_like(close)
    before[1:] = close[:-1]
    ranges = np.maximum(high, before) - np.minimum(low, before) if len(close) else close
    ranges[begins] = high[begins] - low[begins]
    made = np.empty_like(ranges)
    edges = np.append(np.flatnonzero(np.diff(symbol, prepend=-1)), len(symbol))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        begun = ranges[first : min(first + _ATR_BARS, last)]
        made[first : first + len(begun)] = np.cumsum(begun) / np.arange(1, len(begun) + 1)
        rest = ranges[first + len(begun) : last].tolist()
        smoothed = accumulate(rest, lambda a, r: (13.0 * a + r) / 14.0, initial=float(made[first + len(begun) - 1]))
        made[first + len(begun) - 1 : last] = np.fromiter(smoothed, np.float64, len(rest) + 1)
    return made


def _first_touch(high: F64, low: F64, rows: I64, upper: F64, lower: F64, ends: I64, horizon: int) -> tuple[I8, I32]:
    """Of each position which barrier a later bar touched first, and after how many bars; 0 where none did."""
    touched = np.zeros(len(rows), dtype=np.int8)
    after = np.zeros(len(rows), dtype=np.int32)
    for waiting in _chunks(len(rows)):
        left = waiting
        for step in range(1, horizon + 1):
            left = left[rows[left] + step < ends[left]]
            if not len(left):
                break
            at = rows[left] + step
            rose, fell = high[at] >= upper[left], low[at] <= lower[left]
            done = rose | fell
            touched[left[done]] = np.where(rose & fell, _BOTH, np.where(rose, _UP, _DOWN))[done]
            after[left[done]] = step
            left = left[~done]
    return touched, after


def _chunks(n: int) -> Iterator[I64]:
    for first in range(0, n, _CHUNK):
        yield np.arange(first, min(first + _CHUNK, n))
