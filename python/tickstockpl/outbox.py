"""Which event is sent next, and which never. Logic only: time is an argument.

A minute's end brings thousands of events of which some are sent and the rest expires: they wait as columns, sorted
once, and are taken as columns again.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, takewhile

import numpy as np
from numpy.typing import NDArray

from tickstockpl.events import Events, Expiry

BULK = 64
"""So many events that come together wait as columns; fewer are not worth the sorting."""

LOOK = 64
"""Places of a queue that are looked at together for the next event that waits."""

Rank = tuple[int, float, int]
"""END of the bar, minus the confidence, order of arrival: the lowest is sent first."""

Key = tuple[int, str]
"""A group: the events of one bar's END and one symbol."""


class Waiting:
    """An event of the outbox, waiting or taken. Thousands are made at once: what is seldom set stands at the class."""

    streamed = False
    """Whether the second channel has it already; it waits for the first, which decides."""
    taken = False
    gone = False
    watched = False
    """Whether it stands among the arrivals, which expire one by one."""

    def __init__(self, events: Events, at: int, arrived_s: float, rank: Rank, symbol: str) -> None:
        self.events, self.at = events, at
        """Which one of those that came together."""
        self.arrived_s = arrived_s
        self.rank = rank
        self.symbol = symbol

    @property
    def key(self) -> Key:
        return self.rank[0], self.symbol

    @property
    def event_id(self) -> str:
        return self.events.event_id(self.at)

    @property
    def waits(self) -> bool:
        return not (self.taken or self.gone)


def gathered(items: Sequence[Waiting], most: int) -> Iterator[Events]:
    """The events of items, in their order; neighbours that came together are columns together, at most `most`."""
    for _, neighbours in groupby(items, key=lambda item: id(item.events)):
        part = list(neighbours)
        events = part[0].events.where(np.array([item.at for item in part]))
        for at in range(0, len(part), most):
            yield events[at : at + most]


class Run:
    """Events that came together and whose groups no other event waits in, sorted as they are to be sent.

    chosen: those of `events` that belong to it, at least one. order: that of the first of `events`.
    """

    def __init__(self, events: Events, chosen: NDArray[np.bool_], arrived_s: float, order: int) -> None:
        self.events = events
        self.arrived_s = arrived_s
        self.waiting = chosen
        self.count = int(chosen.sum())
        self.end_us = events.bar_end_us()
        self.descending = -events.column("confidence")
        self.minutes = frozenset(np.unique(self.end_us[chosen]).tolist())
        self._order = order
        self._symbol = events.column("symbol")
        self._places: dict[str, int] = {}
        self._queue = np.empty(0, dtype=np.intp)
        self._next = 0
        """Before it, nothing of the queue waits."""
        self.rank: Rank | None = None
        """That of the next event; None if none is left."""
        self.arrange()

    def rank_of(self, at: int) -> Rank:
        return int(self.end_us[at]), float(self.descending[at]), self._order + at

    def ranks(self) -> NDArray[np.int64]:
        """The third part of every event's rank."""
        return np.arange(self._order, self._order + len(self.events))

    def keys(self, minutes: set[int]) -> set[Key]:
        """The groups that wait in it and end at one of `minutes`."""
        rows = (self.waiting & np.isin(self.end_us, list(minutes))).nonzero()[0]
        names = self.events.columns.symbols
        return {(end, names[n]) for end, n in zip(self.end_us[rows].tolist(), self._symbol[rows].tolist(), strict=True)}

    def arrange(self) -> None:
        """Sort what waits. An event goes after those of its group that came before it, however good it is.

        That is the order of the worst rank among the event and its predecessors, of equals as they came.
        """
        rows = self.waiting.nonzero()[0]
        end_us, symbol = self.end_us[rows], self._symbol[rows]
        by_rank = np.lexsort((self.descending[rows], end_us))
        place = np.empty(len(rows), dtype=np.int64)
        place[by_rank] = np.arange(len(rows))
        grouped = np.lexsort((symbol, end_us))
        begins = (np.diff(symbol[grouped]) != 0) | (np.diff(end_us[grouped]) != 0)
        group = np.concatenate(([0], np.cumsum(begins))) * len(rows)
        worst = np.empty(len(rows), dtype=np.int64)
        worst[grouped] = np.maximum.accumulate(place[grouped] + group) - group
        self._queue, self._next = rows[np.lexsort((worst,))], 0
        self._settle()

    def take(self, count: int, before: Rank | None) -> list[Waiting]:
        """The next events, at most `count`, of lower rank than `before`; `rank` must be one of them."""
        rows = self._queue[self._next : self._next + count]
        rows = rows[self.waiting[rows]]
        items = self._items(rows)
        if before is not None:
            items = list(takewhile(lambda item: item.rank < before, items))
        self._drop(rows[: len(items)])
        return items

    def release(self, key: Key) -> list[Waiting]:
        """Take a group out, in order."""
        if not self._places:
            self._places = {name: n for n, name in enumerate(self.events.columns.symbols)}
        place = self._places.get(key[1], -1)
        rows = (self.waiting & (self.end_us == key[0]) & (self._symbol == place)).nonzero()[0]
        self._drop(rows)
        return self._items(rows)

    def _items(self, rows: NDArray[np.intp]) -> list[Waiting]:
        names, events, arrived_s, order = self.events.columns.symbols, self.events, self.arrived_s, self._order
        columns = (column[rows].tolist() for column in (self.end_us, self.descending, self._symbol))
        return [
            Waiting(events, at, arrived_s, (end_us, descending, order + at), names[name])
            for at, end_us, descending, name in zip(rows.tolist(), *columns, strict=True)
        ]

    def _drop(self, rows: NDArray[np.intp]) -> None:
        self.waiting[rows] = False
        self.count -= len(rows)
        self._settle()

    def _settle(self) -> None:
        """Go to the next one that waits."""
        while self._next < len(self._queue):
            waits = self.waiting[self._queue[self._next : self._next + LOOK]]
            if waits.any():
                self._next += int(waits.argmax())
                self.rank = self.rank_of(int(self._queue[self._next]))
                return
            self._next += len(waits)
        self.rank = None


class Outbox:
    """Events to be sent: oldest bar first, within it best confidence, but a symbol's events of one bar as they came.

    A group waits either in one run, or loose: event by event, once more than one arrival or a withdrawal touched it.
    capacity: events; above it, those that would be sent last are dropped.
    expire_s: how long an event may wait.
    """

    def __init__(self, capacity: int, expire_s: float, *, bulk: int = BULK) -> None:
        self._capacity = capacity
        self._expire_s = expire_s
        self._bulk = bulk
        self._runs: list[Run] = []
        self._heads: list[tuple[Rank, Waiting]] = []
        self._groups: dict[Key, deque[Waiting]] = {}
        self._arrivals: list[tuple[float, int, Waiting]] = []
        self._taken: list[Waiting] = []
        """In flight: until it is known whether they were sent, a withdrawal must find them."""
        self._count = 0
        self._order = 0
        self.expired = 0
        self.dropped = 0
        self.withdrawn = 0

    def __len__(self) -> int:
        """Events that wait, without those in flight."""
        return self._count

    @property
    def unsettled(self) -> int:
        """Events that wait or are in flight."""
        return self._count + len(self._taken)

    def add(self, events: Events, now_s: float) -> None:
        """Put events in, in the order in which they were detected."""
        few = len(events) < self._bulk
        loose = np.full(len(events), True) if few else self._joining(events)
        ends, descending, names = events.bar_end_us(), -events.column("confidence"), events.column("symbol")
        for at in loose.nonzero()[0].tolist():
            rank = int(ends[at]), float(descending[at]), self._order + at
            item = Waiting(events, at, now_s, rank, events.columns.symbols[names[at]])
            self._loosen(item.key)
            self._append(item)
        if not loose.all():
            self._runs.append(Run(events, ~loose, now_s, self._order))
        self._order += len(events)
        self._count += len(events)
        if self._count > self._capacity:
            self._shrink()

    def waiting(self) -> list[tuple[float, Events]]:
        """What waits, and when it came, in the order in which it did."""
        parts: dict[int, tuple[float, Events, list[int]]] = {}
        for run in self._runs:
            first = run.rank_of(0)[2]
            parts[first] = (run.arrived_s, run.events, run.waiting.nonzero()[0].tolist())
        for item in chain.from_iterable(self._groups.values()):
            if item.waits:
                parts.setdefault(item.rank[2] - item.at, (item.arrived_s, item.events, []))[2].append(item.at)
        lots = (lot for _, lot in sorted(parts.items()) if lot[2])
        return [(arrived_s, events.where(np.array(sorted(at)))) for arrived_s, events, at in lots]

    def take(self, count: int, now_s: float) -> list[Waiting]:
        """The next events, at most `count`. What became of them is told with `put_back`, before the next `take`."""
        self.expire(now_s)
        taken: list[Waiting] = []
        while len(taken) < count and (items := self._next(count - len(taken))):
            taken += items
        for item in taken:
            item.taken = True
        self._count -= len(taken)
        self._taken = list(taken)
        return taken

    def put_back(self, items: list[Waiting], now_s: float) -> None:
        """Restore events of the last `take` to the front, as if they had not been taken; the others of it were sent.

        Those that were withdrawn or expired meanwhile are dropped and counted.
        """
        self._taken = []
        for item in reversed(items):
            if item.gone:
                self.withdrawn += 1
                continue
            if now_s - item.arrived_s >= self._expire_s:
                self.expired += 1
                continue
            item.taken = False
            self._count += 1
            self._loosen(item.key)
            self._groups.setdefault(item.key, deque()).appendleft(item)
            heapq.heappush(self._heads, (item.rank, item))
            self._watch(item)

    def expire(self, now_s: float) -> None:
        """Take out and count what has waited for `expire_s`."""
        while self._arrivals and now_s - self._arrivals[0][0] >= self._expire_s:
            item = heapq.heappop(self._arrivals)[2]
            if item.waits:
                self.expired += 1
                self._kill(item)
        for run in self._runs:
            if now_s - run.arrived_s >= self._expire_s:
                self.expired += run.count
                self._count -= run.count
                run.rank = None
        self._runs = [run for run in self._runs if run.rank is not None]

    def withdraw(self, gone: Expiry) -> None:
        """Take out an event that a revision took away before it was sent; nothing if it is not waiting.

        One in flight is taken out if it comes back.
        """
        key = gone.bar_end_us, gone.symbol
        for taken in self._taken:
            if taken.key == key and taken.event_id == gone.event_id:
                taken.gone = True
                return
        self._loosen(key)
        waiting = (item for item in self._groups.get(key, ()) if item.waits and item.event_id == gone.event_id)
        if (item := next(waiting, None)) is not None:
            self.withdrawn += 1
            self._kill(item)

    def _joining(self, events: Events) -> NDArray[np.bool_]:
        """Which events come to a group that waits already."""
        ends = events.bar_end_us()
        minutes = set(np.unique(ends).tolist())
        keys = {key for key in self._groups if key[0] in minutes}
        keys.update(*(run.keys(minutes) for run in self._runs if run.minutes & minutes))
        if not keys:
            return np.full(len(events), False)
        return np.array([key in keys for key in zip(ends.tolist(), events.symbol_names(), strict=True)])

    def _loosen(self, key: Key) -> None:
        """Take a group out of its run."""
        for run in self._runs:
            if key[0] in run.minutes:
                for item in run.release(key):
                    self._append(item)

    def _append(self, item: Waiting) -> None:
        group = self._groups.setdefault(item.key, deque())
        group.append(item)
        if group[0] is item:
            heapq.heappush(self._heads, (item.rank, item))
        self._watch(item)

    def _watch(self, item: Waiting) -> None:
        if not item.watched:
            item.watched = True
            heapq.heappush(self._arrivals, (item.arrived_s, item.rank[2], item))

    def _next(self, count: int) -> list[Waiting]:
        """Take out the event of the lowest rank among those that are first of their group.

        Of a run also those after it, at most `count` in all, up to where another's turn is.
        """
        while self._heads and not self._is_head(self._heads[0][1]):
            heapq.heappop(self._heads)
        runs = heapq.nsmallest(2, (run for run in self._runs if run.rank is not None), key=_rank)
        others = [_rank(run) for run in runs[1:]] + [head[0] for head in self._heads[:1]]
        if runs and all(_rank(runs[0]) < other for other in others):
            return runs[0].take(count, min(others, default=None))
        if not self._heads:
            return []
        item = heapq.heappop(self._heads)[1]
        self._groups[item.key].popleft()
        self._advance(item.key)
        return [item]

    def _is_head(self, item: Waiting) -> bool:
        """False if the event expired or was taken, or if an earlier one was put back before it."""
        group = self._groups.get(item.key)
        return item.waits and group is not None and group[0] is item

    def _kill(self, item: Waiting) -> None:
        item.gone = True
        self._count -= 1
        if self._groups[item.key][0] is item:
            self._advance(item.key)

    def _advance(self, key: Key) -> None:
        """Bring the next waiting event of the group to its head."""
        group = self._groups[key]
        while group and not group[0].waits:
            group.popleft()
        if group:
            heapq.heappush(self._heads, (group[0].rank, group[0]))
        else:
            del self._groups[key]

    def _shrink(self) -> None:
        """Drop a tenth more than needed: sorting on every arrival at the limit would cost more than what is lost."""
        loose = [item for item in chain.from_iterable(self._groups.values()) if item.waits]
        ranks = [tuple(np.array(part) for part in zip(*(item.rank for item in loose), strict=True))] if loose else []
        rows = [run.waiting.nonzero()[0] for run in self._runs]
        ranks += [
            (run.end_us[at], run.descending[at], run.ranks()[at]) for run, at in zip(self._runs, rows, strict=True)
        ]
        ends, descending, orders = (np.concatenate(part) for part in zip(*ranks, strict=True))
        kept = np.full(len(ends), False)
        kept[np.lexsort((orders, descending, ends))[: self._capacity - self._capacity // 10]] = True
        self.dropped += int((~kept).sum())
        for item, keeps in zip(loose, kept[: len(loose)].tolist(), strict=True):
            if not keeps:
                self._kill(item)
        begin = len(loose)
        for run, at in zip(self._runs, rows, strict=True):
            lost = at[~kept[begin : begin + len(at)]]
            begin += len(at)
            run.waiting[lost] = False
            run.count -= len(lost)
            self._count -= len(lost)
            if len(lost):
                run.arrange()
        self._runs = [run for run in self._runs if run.rank is not None]
        self._arrivals = [entry for entry in self._arrivals if not entry[2].gone]
        heapq.heapify(self._arrivals)
        self._heads = [(group[0].rank, group[0]) for group in self._groups.values()]
        heapq.heapify(self._heads)


def _rank(run: Run) -> Rank:
    assert run.rank is not None  # noqa: S101  # a run without one has been left out
    return run.rank
