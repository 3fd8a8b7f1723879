"""What waits for the database: newest version of each bar, events in order, all of it bounded.

Bars wait as packed bytes in a dict by (symbol, start): 1.2 million of them (20,000 symbols, an hour) take a third of
the memory that tuples would.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from tickstockpl.events import Events, Expiry
from tickstockpl.moments import MINUTE_US
from tickstockpl.outcome_rows import Outcomes
from tickstockpl.position import Position
from tickstockpl.readings import Readings
from tickstockpl.wire import BarColumns, DeadLetter, Gap, Sent, Spans, WriteBatch

ROW = np.dtype(
    [
        ("at_s", "<f8"),
        ("symbol", "<i4"),
        ("ts_us", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<i8"),
        ("vwap", "<f8"),
        ("trades", "<i8"),
        ("revision", "<i4"),
        ("quality", "u1"),
        ("open_us", "<i8"),
        ("close_us", "<i8"),
        ("first_src", "<i8"),
        ("last_src", "<i8"),
    ]
)
"""A waiting bar: the columns of `BarColumns`, when it came (monotonic seconds), and which messages went into it."""

ROW_BYTES = 246
"""Of memory for one waiting bar: 117 packed, the rest is Python's bytes object, key and dict entry (measured)."""

EVENT_BYTES = 400
"""Of memory for one waiting event, its withdrawal or its mark: 284 in columns, the others as objects (measured)."""

PART_BYTES = 6000
"""Of memory for a set of columns, however few events are in it (measured)."""

PARTS = 500
"""Sets of columns that may wait; beyond it they become one."""

READING_BYTES = 200
"""Of memory for the readings of one bar of a watched symbol: 182 in columns."""

OUTCOME_BYTES = 60
"""Of memory for what became of one event."""

PAYLOAD_BYTES = 4096
"""A dead letter's payload is cut to this."""

GAPS = 1000
"""Gaps that may wait; further ones widen the last, so that the window they stand for is never lost."""

OVERFLOW = "writer_backlog_full"
ORPHAN_S = 60.0
"""How long a mark of sending waits for its event, which comes by another way."""

_OURS = ("at_s", "symbol", "first_src", "last_src")
_VALUES = tuple(name for name in ROW.names or () if name not in _OURS)
_RANK = struct.Struct(f"<{ROW.fields['trades'][1] if ROW.fields else 0}xqi")  # trades and revision stand together
_AT = struct.Struct("<d")


@dataclass(frozen=True, slots=True)
class Kept:
    """A row with the id that makes storing it twice the same as storing it once."""

    row: Any
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Mark:
    """An event's mark of sending, and when it came."""

    sent: Sent
    came_s: float


@dataclass(frozen=True, slots=True)
class Flush:
    """What goes into one transaction. `names[i]` is the symbol of `bars[i]`; no key and no event id occurs twice."""

    bars: NDArray[np.void]
    names: list[str]
    events: Events | None
    readings: Readings | None
    outcomes: list[Outcomes]
    expired: list[Expiry]
    sent: list[Mark]
    gaps: list[Kept]
    dead: list[Kept]
    position: Position | None = None
    """How far the source is stored with this."""


class Allowance:
    """So many in an hour, and no more until the next one begins."""

    PERIOD_S = 3600.0

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit
        self._since_s: float | None = None

    def left(self, now_s: float) -> int:
        if self._since_s is None or now_s - self._since_s >= self.PERIOD_S:
            self._since_s, self._left = now_s, self._limit
        return self._left

    def spend(self, count: int) -> None:
        self._left -= count


class Backlog:
    """Rows on their way to the database.

    max_rows: bars held at most; beyond it the oldest go, counted in `dropped_bars` and told as a gap.
    letters: how many dead letters an hour are kept; the others are counted in `dropped_letters`.
    """

    def __init__(self, max_rows: int, letters: Allowance) -> None:
        self.max_rows = max_rows
        self.max_events = max(1000, max_rows // 10)
        self.letters = letters
        self.coalesced = 0
        self.dropped_bars = 0
        self.dropped_events = 0
        self.dropped_letters = 0
        self.dropped_readings = 0
        self.dropped_outcomes = 0
        self.orphaned = 0
        self.flushing = 0
        """Bars taken and not yet stored: they count against `max_rows`."""
        self._bars: dict[int, bytes] = {}
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self._log: deque[tuple[float, Events | Expiry | Mark]] = deque()
        self._logged = 0
        """Events, withdrawals and marks in the log."""
        self._parts = 0
        self._readings: deque[tuple[float, Readings]] = deque()
        self._read = 0
        """Readings in it."""
        self._outcomes: deque[tuple[float, Outcomes]] = deque()
        self._ended = 0
        """Rows in it."""
        self._gaps: deque[tuple[float, Kept]] = deque()
        self._dead: deque[tuple[float, Kept]] = deque()
        self._marks = 0
        """Marks in the log."""
        self._position: tuple[float, Position] | None = None
        """The newest one; it holds once nothing waits that came before it."""

    def __len__(self) -> int:
        """Items of every kind that wait; a position is one."""
        others = self._read + self._ended + len(self._gaps) + len(self._dead) + (self._position is not None)
        return len(self._bars) + self._logged + others

    @property
    def rows(self) -> int:
        """Bars that wait or are being stored."""
        return len(self._bars) + self.flushing

    @property
    def bytes(self) -> int:
        """Estimate of the memory that waiting items take."""
        letters = sum(len(kept.row.payload) for _, kept in self._dead)
        columns = (self._parts + len(self._readings)) * PART_BYTES + self._read * READING_BYTES
        outcomes = self._ended * OUTCOME_BYTES
        return self.rows * ROW_BYTES + self._logged * EVENT_BYTES + columns + outcomes + letters

    @property
    def max_bytes(self) -> int:
        """What `bytes` can never pass by much: the bound in bytes that the settings amount to."""
        each = EVENT_BYTES + READING_BYTES + OUTCOME_BYTES
        return self.max_rows * ROW_BYTES + self.max_events * each + 2 * PARTS * PART_BYTES

    @property
    def is_half_full(self) -> bool:
        """Whether what can wait should."""
        return self.rows * 2 > self.max_rows or self._logged * 2 > self.max_events or self._read * 2 > self.max_events

    def oldest_s(self) -> float | None:
        """When the item that has waited longest came; None if nothing waits."""
        first = [_AT.unpack_from(row)[0] for row in islice(self._bars.values(), 1)]
        first += [queue[0][0] for queue in self._queues() if queue]
        first += [self._position[0]] if self._position is not None else []
        return min(first, default=None)

    def add(self, batch: WriteBatch, now_s: float) -> None:
        """Take a batch in; O(rows), never waits.

        A bar that waits already is replaced by the version with more trades, of equals by the newer revision: the
        same rule as in the database, so it does not matter where two versions meet.
        """
        if batch.bars is not None and len(batch.bars):
            self._add_bars(batch.bars, batch.spans, now_s)
        if batch.events:
            self._note(now_s, batch.events)
        if batch.readings:
            self._add_readings(batch.readings, now_s)
        if batch.outcomes:
            self._add_outcomes(batch.outcomes, now_s)
        for expiry in batch.expired:
            self._note(now_s, expiry)
        for sent in batch.sent:
            self._note(now_s, Mark(sent, now_s))
        if self._parts > PARTS:
            self._join()
        if (surplus := self._logged - self.max_events) > 0:
            self.dropped_events += surplus
            for _ in self._oldest(surplus):
                pass
        for gap in batch.gaps:
            self._add_gap(gap, now_s)
        kept = min(len(batch.dead), self.letters.left(now_s))
        self.letters.spend(kept)
        self.dropped_letters += len(batch.dead) - kept
        self._dead.extend((now_s, _kept(letter)) for letter in batch.dead[:kept])
        if batch.position is not None:
            self._position = self._position[0] if self._position is not None else now_s, batch.position

    def take(self, limit: int) -> Flush:
        """Remove the oldest: at most `limit` bars, events, dead letters, and rows of indicators."""
        keys = list(islice(self._bars, limit))
        bars = np.frombuffer(b"".join([self._bars.pop(key) for key in keys]), dtype=ROW)
        names = [self._names[i] for i in bars["symbol"].tolist()]
        if not self._bars:
            self._ids.clear()
            self._names.clear()
        self.flushing = len(bars)
        events: list[Events] = []
        expired: list[Expiry] = []
        sent: list[Mark] = []
        for item in self._oldest(limit):
            if isinstance(item, Events):
                events.append(item)
            elif isinstance(item, Expiry):
                expired.append(item)
            else:
                sent.append(item)
        shown = len(self._readings[0][1].shown) if self._readings else 0
        readings = self._take_readings(max(1, limit // max(1, shown)))
        # while events wait, theirs may be among what became of some
        outcomes = [] if self._logged > self._marks else list(self._take_outcomes(limit))
        gaps = [self._gaps.popleft()[1] for _ in range(len(self._gaps))]
        dead = [self._dead.popleft()[1] for _ in range(min(limit, len(self._dead)))]
        found = Events.joined(events) if events else None
        return Flush(bars, names, found, readings, outcomes, expired, sent, gaps, dead, self._reached())

    @property
    def lost(self) -> bool:
        """Whether something was dropped that only a start, from the position of before, would bring back."""
        return bool(self.dropped_bars or self.dropped_events or self.dropped_readings)

    def _reached(self) -> Position | None:
        """How far the source is stored with what was taken: no further if something of it waits still, or is lost."""
        if self._bars or self._logged > self._marks or self._read or self._gaps or self._dead or self.lost:
            if self._position is not None and self.lost:
                self._position = None
            return None
        reached, self._position = self._position, None
        return reached[1] if reached is not None else None

    def put_back(self, marks: Iterable[Mark], now_s: float) -> None:
        """Marks whose event is not in the database yet wait for it; after `ORPHAN_S` they are counted and forgotten."""
        for mark in marks:
            if now_s - mark.came_s >= ORPHAN_S or self._logged >= self.max_events:
                self.orphaned += 1
            else:
                self._note(now_s, mark)

    def _note(self, now_s: float, item: Events | Expiry | Mark) -> None:
        self._log.append((now_s, item))
        self._parts += isinstance(item, Events)
        self._marks += isinstance(item, Mark)
        self._logged += _size(item)

    def _oldest(self, limit: int) -> Iterator[Events | Expiry | Mark]:
        """Remove at most `limit` events, withdrawals and marks, in order."""
        while limit > 0 and self._log:
            at_s, item = self._log.popleft()
            if isinstance(item, Events):
                if len(item) > limit:
                    self._log.appendleft((at_s, item[limit:]))
                    item = item[:limit]
                else:
                    self._parts -= 1
            limit -= _size(item)
            self._logged -= _size(item)
            self._marks -= isinstance(item, Mark)
            yield item

    def _join(self) -> None:
        """Make all events one set of columns, in the place of the first: each stays before what speaks of it."""
        parts = [(at_s, item) for at_s, item in self._log if isinstance(item, Events)]
        events = Events.joined([item for _, item in parts])
        self._logged -= sum(len(item) for _, item in parts) - len(events)
        self._parts = 1
        rest = [each for each in self._log if not isinstance(each[1], Events)]
        self._log = deque([(parts[0][0], events), *rest])

    def _add_readings(self, readings: Readings, now_s: float) -> None:
        self._readings.append((now_s, readings))
        self._read += len(readings)
        if len(self._readings) > PARTS and (joined := Readings.joined([part for _, part in self._readings])):
            self._readings = deque([(self._readings[0][0], joined)])
        if (surplus := self._read - self.max_events) > 0:
            self.dropped_readings += surplus
            self._take_readings(surplus)

    def _take_readings(self, limit: int) -> Readings | None:
        """Remove the oldest, at most `limit`."""
        taken: list[Readings] = []
        while limit > 0 and self._readings:
            at_s, part = self._readings.popleft()
            if len(part) > limit:
                self._readings.appendleft((at_s, part.where(slice(limit, None))))
                part = part.where(slice(limit))
            limit -= len(part)
            self._read -= len(part)
            taken.append(part)
        return Readings.joined(taken)

    def _add_outcomes(self, outcomes: Outcomes, now_s: float) -> None:
        """What is dropped is not lost: a start judges the events that have no outcome."""
        self._outcomes.append((now_s, outcomes))
        self._ended += len(outcomes)
        if len(self._outcomes) > PARTS:
            rows = self._ended
            self._outcomes.extend((now_s, part) for part in Outcomes.joined(list(self._take_outcomes(rows))))
            self._ended = rows
        if (surplus := self._ended - self.max_events) > 0:
            self.dropped_outcomes += surplus
            for _ in self._take_outcomes(surplus):
                pass

    def _take_outcomes(self, limit: int) -> Iterator[Outcomes]:
        """Remove the oldest, at most `limit`."""
        while limit > 0 and self._outcomes:
            at_s, part = self._outcomes.popleft()
            if len(part) > limit:
                self._outcomes.appendleft((at_s, part.part(slice(limit, None))))
                part = part.part(slice(limit))
            limit -= len(part)
            self._ended -= len(part)
            yield part

    def _queues(self) -> Iterator[deque[tuple[float, Any]]]:
        yield from (self._log, self._readings, self._gaps, self._dead)
        if self._logged <= self._marks:
            yield self._outcomes

    def _add_bars(self, bars: BarColumns, spans: Spans | None, now_s: float) -> None:
        ids = np.zeros(len(bars.symbols), dtype=np.int32)
        for i in np.unique(bars.symbol).tolist():
            name = bars.symbols[i]
            ids[i] = self._ids.setdefault(name, len(self._names))
            if ids[i] == len(self._names):
                self._names.append(name)
        rows = np.empty(len(bars), dtype=ROW)
        rows["at_s"] = now_s
        rows["symbol"] = ids[bars.symbol]
        for name in _VALUES:
            rows[name] = getattr(bars, name)
        rows["first_src"], rows["last_src"] = spans if spans is not None else (-1, -1)
        packed, size, waiting = rows.tobytes(), ROW.itemsize, self._bars
        for n, (symbol, ts_us) in enumerate(zip(rows["symbol"].tolist(), bars.ts_us.tolist(), strict=True)):
            key, row = symbol << 64 | ts_us, packed[n * size : (n + 1) * size]
            old = waiting.get(key)
            if old is not None:
                self.coalesced += 1
                if _RANK.unpack_from(row) < _RANK.unpack_from(old):
                    continue
                row = old[: _AT.size] + row[_AT.size :]
            waiting[key] = row
        if (surplus := self.rows - self.max_rows) > 0:
            self._drop(min(surplus, len(waiting)), now_s)

    def _drop(self, count: int, now_s: float) -> None:
        keys = list(islice(self._bars, count))
        lost = np.frombuffer(b"".join([self._bars.pop(key) for key in keys]), dtype=ROW)["ts_us"]
        self.dropped_bars += count
        self._add_gap(Gap(int(lost.min()), int(lost.max()) + MINUTE_US, OVERFLOW, ()), now_s)

    def _add_gap(self, gap: Gap, now_s: float) -> None:
        last = self._gaps[-1][1].row if self._gaps else None
        if last is not None and (len(self._gaps) >= GAPS or (gap.cause == OVERFLOW and last.cause == OVERFLOW)):
            wide = Gap(
                min(last.started_us, gap.started_us),
                max(last.ended_us, gap.ended_us),
                last.cause,
                tuple(dict.fromkeys(last.channels + gap.channels)),
                tuple(dict.fromkeys(last.symbols + gap.symbols)) if last.symbols and gap.symbols else (),
            )
            at_s, kept = self._gaps[-1]
            self._gaps[-1] = at_s, Kept(wide, kept.id)
        else:
            self._gaps.append((now_s, _kept(gap)))


def _kept(row: Gap | DeadLetter) -> Kept:
    return Kept(row, row.id) if row.id is not None else Kept(row)


def _size(item: Events | Expiry | Mark) -> int:
    return len(item) if isinstance(item, Events) else 1
