"""When an event may be sent. Logic only: time is an argument.

AppV2 shows at most 20 patterns each time it flushes, every 250 ms, and throws the rest away; so what leaves faster
is lost without a trace. Better that it waits, in order, and that what waited too long is counted.
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from tickstockpl.events import Events

FLUSH_S = 0.25
"""How often AppV2 empties its buffer."""
BURST_S, LEAST_BURST, MOST_BURST = 0.05, 4, 4000
"""Sent at once after a pause, or to catch up: what the rate allows in 50 ms (4 at 80 a second), so that two bursts
never share a flush, and where somebody has raised the rate, a round trip to Redis serves many events."""
_NEVER_US = -(1 << 62)


class Pacer:
    """At most `rate_per_s` a second, evenly, and never more than `rate_per_s * 0.25` within any 250 ms.

    Two limits: GCRA (ITU-T I.371, virtual scheduling) spreads the sends; the log of recent ones holds the window even
    right after a burst.
    """

    def __init__(self, rate_per_s: float) -> None:
        self._gap_s = 1.0 / rate_per_s
        window = max(1, math.floor(rate_per_s * FLUSH_S))
        self._burst = min(max(LEAST_BURST, min(math.floor(rate_per_s * BURST_S), MOST_BURST)), window)
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

    def put_off(self, job: str, due_s: float) -> None:
        """Make a job due at a time of its own; infinite: when it is told again."""
        self._next_s[job] = due_s

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

    def history(self, events: Events, now_us: int, now_s: float) -> NDArray[np.bool_]:
        """True for a revision's event whose bar is too old. now_us: the wall clock, used until a fresh event came."""
        ends = events.bar_end_us()
        fresh: NDArray[np.bool_] = events.column("revision") == 0
        reached_us, feed_us = _NEVER_US, now_us
        if self._newest is not None:
            reached_us, since_s = self._newest
            feed_us = reached_us + round((now_s - since_s) * 1e6)
        newest = np.maximum.accumulate(np.where(fresh, ends, _NEVER_US))
        if len(newest) and newest[-1] > reached_us:
            self._newest = int(newest[-1]), now_s
        behind_us: NDArray[np.int64] = np.where(newest > reached_us, newest, feed_us) - ends
        return (behind_us > self._late_us) & ~fresh
