"""When an event may be sent, and which one is next. Logic only: time is an argument.

AppV2 shows at most 20 patterns each time it flushes, every 250 ms, and throws the rest away; so what leaves faster
is lost without a trace. Better that it waits here, in order, and that what waited too long is counted.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tickstockpl.wire import Event, Expiry

FLUSH_S = 0.25
"""How often AppV2 empties its buffer."""
BURST = 4
"""Sent at once after a pause, or to catch up: small, so that two bursts never share a flush."""


class Pacer:
    """At most `rate_per_s` a second, evenly, and never more than `rate_per_s * 0.25` within any 250 ms.

    Two limits: GCRA (ITU-T I.371, virtual scheduling) spreads the sends; the log of recent ones holds the window even
    right after a burst.
    """

    def __init__(self, rate_per_s: float) -> None:
        self._gap_s = 1.0 / rate_per_s
        window = max(1, math.floor(rate_per_s * FLUSH_S))
        self._burst = min(BURST, window)
        self._recent: deque[float] = deque(maxlen=window)
        self._due_s = -math.inf

    def allowed(self, now_s: float) -> int:
        """How many may be sent now."""
        self._forget(now_s)
        room = (self._recent.maxlen or 0) - len(self._recent)
        ahead_s = max(0.0, self._due_s - now_s)
        return max(0, min(room, math.floor(self._burst - ahead_s / self._gap_s + 1e-6)))

    def sent(self, count: int, now_s: float) -> None:
        """Note `count` sends. now_s: when their answers came, so that the window holds where they arrive."""
        self._forget(now_s)
        self._recent.extend([now_s] * count)
        self._due_s = max(self._due_s, now_s) + count * self._gap_s
        if len(self._recent) == self._recent.maxlen:
            # a full window must not save up for a burst when it opens: that burst would come back every 250 ms
            opens_s = self._recent[0] + FLUSH_S
            self._due_s = max(self._due_s, opens_s + (self._burst - 1) * self._gap_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until `allowed` is at least 1; 0 if it is."""
        if self.allowed(now_s):
            return 0.0
        spread_s = self._due_s - (self._burst - 1) * self._gap_s - now_s
        full = len(self._recent) == self._recent.maxlen
        window_s = self._recent[0] + FLUSH_S - now_s if full else 0.0
        return max(spread_s, window_s, 0.0)

    def _forget(self, now_s: float) -> None:
        while self._recent and now_s - self._recent[0] >= FLUSH_S:
            self._recent.popleft()


class Cadence:
    """Jobs that come round: each is due at once, then once a period."""

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}

    def is_due(self, job: str, period_s: float, now_s: float) -> bool:
        """True once a period; the next one begins now, so that a long pause is not made up for."""
        if now_s < self._next_s.get(job, -math.inf):
            return False
        self._next_s[job] = now_s + period_s
        return True

    def hasten(self, *jobs: str) -> None:
        """Make the jobs (none named: all) due at once."""
        for job in jobs or tuple(self._next_s):
            self._next_s[job] = -math.inf

    def next_s(self) -> float:
        """When the first job is due."""
        return min(self._next_s.values(), default=-math.inf)


class FeedTime:
    """The feed's own time, told by the newest bar with a fresh event: feeds are delayed, replays are of any year.

    late_us: how far behind it a revised bar may be for its event to be news still.
    """

    def __init__(self, late_us: int) -> None:
        self._late_us = late_us
        self._newest: tuple[int, float] | None = None

    def is_history(self, event: Event, now_us: int, now_s: float) -> bool:
        """True for a revision's event whose bar is too old. now_us: the wall clock, used until a fresh event came."""
        if event.revision == 0:
            if self._newest is None or event.bar_end_us > self._newest[0]:
                self._newest = event.bar_end_us, now_s
            return False
        feed_us = now_us
        if self._newest is not None:
            feed_us = self._newest[0] + round((now_s - self._newest[1]) * 1e6)
        return feed_us - event.bar_end_us > self._late_us


@dataclass(slots=True, eq=False)
class Waiting:
    """An event in the outbox."""

    event: Event
    arrived_s: float
    rank: tuple[int, float, int]
    state: Literal["waiting", "taken", "gone"] = "waiting"


class Outbox:
    """Events to be sent: oldest bar first, within it best confidence, but a symbol's events of one bar as they came.

    capacity: events; above it, those that would be sent last are dropped.
    expire_s: how long an event may wait.
    """

    def __init__(self, capacity: int, expire_s: float) -> None:
        self._capacity = capacity
        self._expire_s = expire_s
        self._heads: list[tuple[tuple[int, float, int], Waiting]] = []
        self._groups: dict[tuple[int, str], deque[Waiting]] = {}
        self._arrivals: deque[Waiting] = deque()
        self._count = 0
        self._order = 0
        self.expired = 0
        self.dropped = 0
        self.withdrawn = 0

    def __len__(self) -> int:
        return self._count

    def add(self, events: Iterable[Event], now_s: float) -> None:
        """Put events in, in the order in which they were detected."""
        for event in events:
            self._order += 1
            item = Waiting(event, now_s, (event.bar_end_us, -event.confidence, self._order))
            self._arrivals.append(item)
            group = self._groups.setdefault(_key(item), deque())
            group.append(item)
            if group[0] is item:
                heapq.heappush(self._heads, (item.rank, item))
            self._count += 1
        if self._count > self._capacity:
            self._shrink()

    def take(self, count: int, now_s: float) -> list[Waiting]:
        """The next events, at most `count`. What then could not be sent is handed back with `put_back`."""
        self.expire(now_s)
        taken: list[Waiting] = []
        while self._heads and len(taken) < count:
            item = heapq.heappop(self._heads)[1]
            group = self._groups.get(_key(item))
            # an entry is stale when its event expired, or when an earlier one was put back before it
            if item.state != "waiting" or group is None or group[0] is not item:
                continue
            item.state = "taken"
            self._count -= 1
            taken.append(item)
            self._advance(item)
        return taken

    def put_back(self, items: list[Waiting], now_s: float) -> None:
        """Restore taken events to the front, as if they had not been taken."""
        for item in reversed(items):
            if now_s - item.arrived_s >= self._expire_s:
                self.expired += 1
                continue
            item.state = "waiting"
            self._count += 1
            self._groups.setdefault(_key(item), deque()).appendleft(item)
            heapq.heappush(self._heads, (item.rank, item))

    def expire(self, now_s: float) -> None:
        """Take out and count what has waited for `expire_s`."""
        while self._arrivals and now_s - self._arrivals[0].arrived_s >= self._expire_s:
            item = self._arrivals.popleft()
            if item.state == "waiting":
                self.expired += 1
                self._kill(item)

    def withdraw(self, gone: Expiry) -> None:
        """Take out an event that a revision took away before it was sent; nothing if it is not waiting."""
        group = self._groups.get((gone.bar_end_us, gone.symbol), ())
        waiting = (item for item in group if item.state == "waiting" and item.event.event_id == gone.event_id)
        if (item := next(waiting, None)) is not None:
            self.withdrawn += 1
            self._kill(item)

    def _kill(self, item: Waiting) -> None:
        item.state = "gone"
        self._count -= 1
        if self._groups[_key(item)][0] is item:
            self._advance(item)

    def _advance(self, item: Waiting) -> None:
        """Bring the next waiting event of the group to its head."""
        key = _key(item)
        group = self._groups[key]
        while group and group[0].state != "waiting":
            group.popleft()
        if group:
            heapq.heappush(self._heads, (group[0].rank, group[0]))
        else:
            del self._groups[key]

    def _shrink(self) -> None:
        """Drop a tenth more than needed: sorting on every arrival at the limit would cost more than what is lost."""
        waiting = sorted((item for item in self._arrivals if item.state == "waiting"), key=lambda item: item.rank)
        for item in waiting[self._capacity - self._capacity // 10 :]:
            self.dropped += 1
            self._kill(item)
        self._arrivals = deque(item for item in self._arrivals if item.state != "gone")
        self._heads = [(group[0].rank, group[0]) for group in self._groups.values()]
        heapq.heapify(self._heads)


def _key(item: Waiting) -> tuple[int, str]:
    return item.event.bar_end_us, item.event.symbol
