"""One channel's way into its stream: what waits, what is on its way, and where messages may be missing. No I/O.

A batch is one transaction that also stores its number under a key of this run. After a lost answer the key tells
whether the batch is in. The key is watched since before the batch was sent, and touched on the next connection, so
that a batch which Redis has not carried out by then never will be: each message is in the stream once.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from redis.exceptions import ResponseError

MESSAGE, GAP = b"d", b"gap"
"""Field of an entry: a message as it was published, or JSON with `from_us`, `to_us` and `cause`."""

BATCH = 1000
BATCH_BYTES = 1 << 20
"""Entries, and bytes of them, in one transaction at most: Redis does nothing else for some milliseconds."""

ENTRY_BYTES = 112
"""What a waiting message takes beside its own bytes, measured."""

HOLD_S = 1.0
"""A doubt is cleared so long after the first message behind it: until then another tap has copied that message too."""

FULL = "tap_backlog_full"
"""Cause of the gap that is left where there was no room."""

FORGOTTEN = "redis_lost_entries"
"""Cause of the gap where Redis came back without entries that it had confirmed."""

NOTHING = (0, 0)
"""In place of the id of the newest entry, where there is none."""

KEPT_S = 86_400
"""The key of a run that has ended is gone so much later; so long Redis may be away."""


class Entry(NamedTuple):
    """What becomes an entry of the stream."""

    field: bytes
    value: bytes
    at_s: float
    """Monotonic time of its arrival."""


class Doubt(NamedTuple):
    """A time in which messages may have been missed, unless another tap has them."""

    from_s: float | None
    """None: since the newest entry of the stream."""
    to_s: float
    cause: str


class Lane:
    """Messages of one channel on their way into `stream`, in the order in which they came; times are monotonic.

    key: where its number is kept; `keys`: those of all lanes, since any transaction's end forgets what was watched.
    keep_ms: entries older than so much are trimmed.
    room: bytes that may wait; what comes beyond it is counted as missed, and marked as a gap once there is room again.
    """

    def __init__(self, stream: str, key: str, keys: Sequence[str], *, keep_ms: int, room: int) -> None:
        self.stream = stream
        self.connection = -1
        """Number of the connection that watches the key."""
        self.resume_s = -math.inf
        """Not before then, after a refusal."""
        self.copied = self.copied_bytes = self.missed = self.gaps = 0
        self.waiting = self.bytes = 0
        """Messages, and what they take."""
        self.lag_s = 0.0
        """The longest that a message has waited since `lag_s` was last set."""
        self._key = key
        self._watch = ("WATCH", *keys)
        self._keep_ms = keep_ms
        self._room = room
        self._queue: deque[Entry | Doubt] = deque()
        self._sent: list[Entry] = []
        """The batch that is on its way, or of which nobody knows whether it has arrived."""
        self._number = 0
        self._newest_id = NOTHING
        """Of our own entries, or a later one that may be ours."""
        self._clock = (0, 0.0)
        """Redis' time, µs, and the same moment here."""
        self._full: tuple[float, float] | None = None
        """First and last moment at which there was no room."""

    def __len__(self) -> int:
        """Messages, markers and doubts that are not known to be in the stream."""
        return len(self._queue) + len(self._sent)

    def add(self, payloads: Iterable[bytes], now_s: float) -> None:
        """Take messages in; O(1) each."""
        for payload in payloads:
            size = len(payload) + ENTRY_BYTES
            if self._full is not None or (self.bytes and self.bytes + size > self._room):
                self._full = (self._full or (now_s, now_s))[0], now_s
                self.missed += 1
                continue
            self.waiting += 1
            self.bytes += size
            self._queue.append(Entry(MESSAGE, payload, now_s))

    def doubt(self, doubt: Doubt) -> None:
        """Take note that messages may be missing between those before and those after."""
        if self._full is not None:  # a gap is open already
            self._full = min(self._full[0], self._full[0] if doubt.from_s is None else doubt.from_s), doubt.to_s
        elif self._queue and isinstance(before := self._queue[-1], Doubt):
            self._queue[-1] = Doubt(before.from_s, doubt.to_s, before.cause)
        else:
            self._queue.append(doubt)

    def doubted(self) -> Doubt | None:
        """What has to be cleared before anything else can be sent."""
        head = self._queue[0] if self._queue and not self._sent else None
        return head if isinstance(head, Doubt) else None

    def wait_s(self, now_s: float, *, stopping: bool) -> float:
        """Seconds until something can be done here; infinite if nothing is to be."""
        if not len(self):
            return math.inf
        ready_s = self.resume_s
        if self.doubted() is not None and not stopping:
            behind = self._queue[1] if len(self._queue) > 1 else None
            ready_s = max(ready_s, behind.at_s + HOLD_S if isinstance(behind, Entry) else math.inf)
        return max(0.0, ready_s - now_s)

    def reopening(self) -> list[tuple[Any, ...]]:
        """Commands for a new connection; their answers are for `reopened`."""
        made = ("SET", self._key, 0, "NX", "EX", KEPT_S)
        touched = ("GETEX", self._key, "EX", KEPT_S)  # which leaves the number, should this answer be lost too
        return [("UNWATCH",), ("MULTI",), made, touched, ("EXEC",), self._watch, ("TIME",), self.newest()]

    def reopened(self, answers: Sequence[Any], now_s: float) -> ResponseError | None:
        """Settle the batch of which the last connection left nothing known; gives what Redis refused."""
        if (refused := _refusal(answers)) is not None:
            return refused
        (*_, (_, number), _, (seconds, micros), newest) = answers
        self._clock = int(seconds) * 1_000_000 + int(micros), now_s
        if self._sent and number == str(self._number).encode():
            self._newest_id = max(self._newest_id, _id_of(newest))
            self._settle(now_s)
        self._compare(_id_of(newest), now_s)
        return None

    def newest(self) -> tuple[Any, ...]:
        """The command that shows the newest entry; its answer is for `clear`."""
        return ("XREVRANGE", self.stream, "+", "-", "COUNT", 1)

    def clear(self, newest: Sequence[Any], now_s: float) -> bool:
        """Decide about `doubted`; gives whether it was a gap; its marker has the time of the stream's ids."""
        if (doubt := self.doubted()) is None:
            return False
        self._queue.popleft()
        newest_id = _id_of(newest)
        to_us = self._server_us(doubt.to_s)
        # Whoever has copied since is another tap: what that one missed it marks itself.
        if newest_id != self._newest_id and _id_us(newest_id) > to_us:
            return False
        if doubt.from_s is None and not newest:
            return False  # there is nothing that it could be a gap in
        from_us = _id_us(newest_id) if doubt.from_s is None else self._server_us(doubt.from_s)
        self._queue.appendleft(self._marker(from_us, to_us, doubt.cause, now_s))
        return True

    def batch(self) -> list[tuple[Any, ...]]:
        """Commands for the next batch, or the last one again; their answers are for `settled`. Empty: nothing waits."""
        if not self._sent:
            self._sent = self._next()
        if not self._sent:
            return []
        self._number += 1
        trim = ("MINID", "~", max(0, _id_us(self._newest_id) // 1000 - self._keep_ms))
        adding = [("XADD", self.stream, *trim, "*", entry.field, entry.value) for entry in self._sent]
        number = ("SET", self._key, self._number, "EX", KEPT_S)
        return [("MULTI",), self.newest(), *adding, number, ("EXEC",), self._watch]

    def settled(self, answers: Sequence[Any], now_s: float) -> ResponseError | None:
        """Take note of what became of a batch; gives what Redis refused: then the batch is due again."""
        if (refused := _refusal(answers)) is not None:
            self._number += 1  # the key may have been set all the same
            return refused
        ids = answers[-2]
        if ids is None:  # the key was touched: ask again what is in
            self.connection = -1
            return None
        self._compare(_id_of(ids[0]), now_s)  # redis-py may have connected anew, unasked, before it sent the batch
        self._newest_id = _parsed(ids[-2])
        self._settle(now_s)
        return None

    def _next(self) -> list[Entry]:
        taken: list[Entry] = []
        size = 0
        while self._queue and len(taken) < BATCH and size < BATCH_BYTES:
            entry = self._queue[0]
            if isinstance(entry, Doubt):
                break
            taken.append(entry)
            size += len(entry.value)
            self._queue.popleft()
        return taken

    def _compare(self, newest_id: tuple[int, int], now_s: float) -> None:
        """Mark what a Redis that was restarted has forgotten."""
        if newest_id < self._newest_id:
            self._queue.appendleft(self._marker(_id_us(newest_id), _id_us(self._newest_id), FORGOTTEN, now_s))
            self._newest_id = newest_id

    def _settle(self, now_s: float) -> None:
        """The batch is in the stream."""
        messages = [entry for entry in self._sent if entry.field == MESSAGE]
        size = sum(len(entry.value) for entry in messages)
        self.copied += len(messages)
        self.copied_bytes += size
        self.waiting -= len(messages)
        self.bytes -= size + ENTRY_BYTES * len(messages)
        self.lag_s = max(self.lag_s, now_s - self._sent[0].at_s)
        self._sent = []
        if self._full is not None and self.bytes <= self._room // 2:
            first_s, last_s = self._full
            self._full = None
            self._queue.append(self._marker(self._server_us(first_s), self._server_us(last_s), FULL, now_s))

    def _server_us(self, at_s: float) -> int:
        """What Redis' clock showed at a moment."""
        server_us, here_s = self._clock
        return server_us + round((at_s - here_s) * 1e6)

    def _marker(self, from_us: int, to_us: int, cause: str, now_s: float) -> Entry:
        self.gaps += 1
        return Entry(GAP, orjson.dumps({"from_us": from_us, "to_us": to_us, "cause": cause}), now_s)


def _parsed(entry_id: bytes) -> tuple[int, int]:
    """Milliseconds and number within them."""
    ms, _, number = entry_id.partition(b"-")
    return int(ms), int(number)


def _id_of(newest: Sequence[Any]) -> tuple[int, int]:
    """What `newest` has shown."""
    return _parsed(newest[0][0]) if newest else NOTHING


def _id_us(entry_id: tuple[int, int]) -> int:
    """When Redis has made an entry, by its own clock."""
    return entry_id[0] * 1000


def _refusal(answers: Sequence[Any]) -> ResponseError | None:
    """The first error, at its own place or within what EXEC gave."""
    for answer in answers:
        for each in answer if isinstance(answer, list) else (answer,):
            if isinstance(each, ResponseError):
                return each
    return None
