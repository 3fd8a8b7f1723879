"""The Redis keys behind AppV2's `/api/patterns/scan`.

No release of AppV2 fills them from events, so they are written here, in its own layout: a hash per pattern and four
sorted sets that index them. AppV2's cleanup deletes expired hashes but leaves their names in the sets for ever;
here an entry leaves every set by name. Memory holds what Redis should hold; rounds make it so, a small step at a time,
for events and heartbeats go over the same connection. After a change a walk over all keys drops AppV2's own answers.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tickstockpl import event_payload
from tickstockpl.clock import Clock
from tickstockpl.connection import round_trip
from tickstockpl.events import Events, Expiry

ENTRY = "tickstock:patterns:"
BY_CONFIDENCE = "tickstock:indexes:confidence"
BY_SYMBOL = "tickstock:indexes:symbol"
BY_PATTERN = "tickstock:indexes:pattern_type"
BY_TIME = "tickstock:indexes:time"
INDEXES = (BY_CONFIDENCE, BY_SYMBOL, BY_PATTERN, BY_TIME)
API_CACHE = "tickstock:api_cache:*"
FIELDS = {
    "symbol",
    "pattern_type",
    "confidence",
    "current_price",
    "price_change",
    "detected_at",
    "expires_at",
    "indicators",
    "source_tier",
}
CHUNK = 250
SCANNED = 1000
"""Keys that Redis looks at for one SCAN, a fraction of a millisecond."""
SCANS = 4
"""So many of them are one step of a walk."""
ADDED = 32
"""Sets of events that wait to be made entries of."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Entry(NamedTuple):
    """A pattern as AppV2's scan shows it."""

    key: str
    """`{symbol}:{pattern}:{END of the bar, s}`."""
    at_s: int
    confidence: float
    expires_us: int
    data: bytes
    event_id: bytes = b""
    """Whose it is; empty: an earlier run's."""
    length_us: int = 0
    """Of its bar: a key has no timeframe, and of several that end together the longest is kept."""

    def members(self) -> tuple[str, str, str, str]:
        """Its name in each of `INDEXES`."""
        return _members(self.key)


class PatternCache:
    """The newest patterns, best confidence kept, in AppV2's keys.

    capacity: entries; 0 writes none. Above it, first go those whose bar ended `ttl_s` ago or earlier, then the least
    confident, of those the oldest.
    ttl_s: from the bar's END until an entry expires; one of a longer bar lasts as long as that.
    """

    def __init__(self, capacity: int, ttl_s: float, clock: Clock) -> None:
        self._capacity = capacity
        self._ttl_s = ttl_s
        self._clock = clock
        self._added: deque[tuple[Events, int]] = deque()
        """Events and when they came: entries are made of many at once."""
        self._entries: dict[str, Entry] = {}
        self._keys: dict[bytes, str] = {}
        """event_id -> key, to find what a later event supersedes."""
        self._unwritten: dict[str, Entry] = {}
        self._unwanted: set[str] = set()
        self._stored: set[str] = set()
        """What Redis may hold: only that has to be removed from it."""
        self._begun = False
        self._removing: list[str] = []
        self._writing: list[Entry] = []
        """What is left of the round."""
        self._last_us = 0
        """When the last of the entries expires that there were at its begin."""
        self._changed = False
        """Whether Redis was changed since the last walk began."""
        self._cursor: int | None = None
        """Where the walk is; None: there is none."""
        self._longest_s = ttl_s
        """How long the entry lasts that lasts longest."""
        self._floor = -math.inf
        """Below this confidence nothing new is kept: the cache is full of better."""
        self.evicted = 0

    def __len__(self) -> int:
        """Entries, without those that still wait to be made."""
        return len(self._entries)

    def add(self, events: Events) -> None:
        """Remember the events (and forget those they supersede) until the next round; no I/O."""
        self._added.append((events, self._clock.now_us()))
        if len(self._added) > ADDED:
            self._absorb()

    def withdraw(self, expiry: Expiry) -> None:
        """Forget what a revision took away, whichever run of ours had found it; no I/O.

        An entry that another event has taken over meanwhile stays. One that memory does not hold may be in Redis, from
        an earlier run: it is removed there, and not adopted by a `load` that comes first.
        """
        self._absorb()
        key = _key(expiry.symbol, expiry.pattern, expiry.bar_end_us // 1_000_000)
        entry = self._entries.get(key)
        if entry is None and self._capacity:
            self._unwanted.add(key)
        elif entry is not None and entry.event_id in {b"", expiry.event_id.encode()}:
            self._drop(key)

    async def load(self, redis: Redis) -> None:
        """Meet a Redis that may have lost entries, or hold those of an earlier run. Call after each connect.

        What memory holds is written again in the next round; sound entries found in Redis are adopted, names in the
        index sets without one are removed. What was withdrawn or dropped while Redis was away is removed, not adopted.

        What Redis refuses to show is left alone, and the first refusal is raised when all else is done.
        """
        refused: list[ResponseError] = []
        found = await round_trip(redis, [("ZRANGE", index, 0, -1) for index in INDEXES])
        candidates: set[str] = set()
        for index, members in zip(INDEXES, found, strict=True):
            if isinstance(members, ResponseError):
                refused.append(members)
            else:
                candidates.update(_keys_in(index, {_text(member) for member in members}))
        self._stored |= candidates
        self._break_off()
        self._absorb()
        self._unwritten.update(self._entries)
        for chunk in _chunks(sorted(candidates - self._entries.keys() - self._unwanted)):
            answers = await round_trip(redis, [("HGET", ENTRY + key, "data") for key in chunk])
            for key, data in zip(chunk, answers, strict=True):
                if isinstance(data, ResponseError) and not str(data).startswith("WRONGTYPE"):
                    refused.append(data)  # it may be sound: left alone
                elif (entry := _entry(key, data)) is None:
                    self._unwanted.add(key)
                elif key not in self._entries and key not in self._unwanted:
                    self._put(entry)
        log.info("pattern cache loaded", entries=len(self._entries), removed=len(self._unwanted))
        if refused:
            raise refused[0]

    def begin(self) -> None:
        """Let a round begin: `step` by step, Redis is made to hold what memory holds. Call once a second."""
        self._begun = True
        if self._added:
            self._trim()  # what has expired makes room

    @property
    def in_round(self) -> bool:
        """Whether `step` has something to write or to remove."""
        return self._begun or bool(self._removing or self._writing)

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return self.in_round or self._cursor is not None

    async def step(self, redis: Redis) -> int:
        """Do a few milliseconds' work of the round, or of the walk that follows it if the round changed anything.

        Returns the number of entries written or removed. After an error everything is still due, in the next round.
        """
        try:
            done = await self._step(redis)
        except BaseException:
            self._removing, self._writing = [], []
            self._break_off()
            raise
        if self._changed and not self.busy:
            self._changed, self._cursor = False, 0
        return done

    async def upkeep(self, redis: Redis, *, walk: bool = True) -> int:
        """Do a whole round, and the walk after it unless `walk` is False.

        Returns the number of entries written or removed.
        """
        self.begin()
        done = 0
        while self.in_round or (walk and self.busy):
            done += await self.step(redis)
        return done

    async def _step(self, redis: Redis) -> int:
        if self._begun and self._added:
            self._absorb_some()
        elif self._begun:
            self._begun = False
            self._trim()
            self._removing, self._writing = sorted(self._unwanted), list(self._unwritten.values())
            self._last_us = max((entry.expires_us for entry in self._entries.values()), default=0)
        elif self._removing:
            chunk, self._removing = self._removing[:CHUNK], self._removing[CHUNK:]
            return await self._remove(redis, [key for key in chunk if key in self._unwanted])
        elif self._writing:
            entries, self._writing = self._writing[:CHUNK], self._writing[CHUNK:]
            return await self._write(redis, [each for each in entries if self._unwritten.get(each.key) is each])
        elif self._cursor is not None:
            await self._walk(redis, self._cursor)
        return 0

    def _break_off(self) -> None:
        """End the walk where it is; another is due."""
        if self._cursor is not None:
            self._changed, self._cursor = True, None

    def _absorb(self) -> None:
        """Make entries of all that was added."""
        while self._added:
            self._absorb_some()

    def _absorb_some(self) -> None:
        """Make entries of the oldest that was added, of a chunk at most: a minute's are too many for one piece."""
        events, came_us = self._added.popleft()
        if len(events) > CHUNK:
            self._added.appendleft((events[CHUNK:], came_us))
            events = events[:CHUNK]
        events = self._worth(events)
        names = [pattern["name"] for pattern in events.patterns]
        texts = event_payload.cached(events, self._ttl_s)
        ends, ttl_us = events.bar_end_us(), event_payload.lifetime_us(self._ttl_s)
        lengths = (ends - events.column("ts_us")).tolist()
        columns = (events.column(name).tolist() for name in ("pattern", "confidence", "event_id", "supersedes"))
        for symbol, end_us, length_us, data, pattern, confidence, event_id, superseded in zip(
            events.symbol_names(), ends.tolist(), lengths, texts, *columns, strict=True
        ):
            before = self._entries.get(self._keys.get(superseded, ""))
            if before is not None and before.event_id == superseded:
                self._drop(before.key)
            expires_us = end_us + max(ttl_us, length_us)
            if self._capacity == 0 or expires_us <= came_us:
                continue
            at_s = end_us // 1_000_000
            key = _key(symbol, names[pattern], at_s)
            other = self._entries.get(key)
            if other is not None and other.length_us > length_us:
                continue
            self._longest_s = max(self._longest_s, length_us / 1e6)
            self._put(Entry(key, at_s, confidence, expires_us, data, event_id, length_us))
            self._keys[event_id] = key
            if len(self._entries) > 2 * self._capacity:
                self._trim()

    def _worth(self, events: Events) -> Events:
        """Those that may be kept, and those that supersede another: of a busy minute's events most are neither."""
        if self._floor == -math.inf:
            return events
        worth = (events.column("confidence") >= self._floor) | (events.column("supersedes") != b"")
        self.evicted += len(events) - int(worth.sum())
        return events.where(worth)

    def _put(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        self._unwritten[entry.key] = entry
        self._unwanted.discard(entry.key)

    def _drop(self, key: str) -> None:
        if self._entries.pop(key, None) is not None:
            self._floor = -math.inf
            self._unwritten.pop(key, None)
            if key in self._stored:
                self._unwanted.add(key)

    def _trim(self) -> None:
        """Drop what has expired, then what is least worth above the capacity."""
        now_us = self._clock.now_us()
        for key in [key for key, entry in self._entries.items() if entry.expires_us <= now_us]:
            self._drop(key)
        # a day's events last as long as a day, and must not keep out the minute's
        stale_s = now_us / 1e6 - self._ttl_s
        surplus = len(self._entries) - self._capacity
        if surplus > 0:
            worst = heapq.nsmallest(
                surplus, self._entries.values(), key=lambda e: (e.at_s > stale_s, e.confidence, e.at_s, e.key)
            )
            for entry in worst:
                self._drop(entry.key)
            self.evicted += surplus
        kept = self._entries.values()
        full = len(kept) == self._capacity and all(entry.at_s > stale_s for entry in kept)
        self._floor = min((entry.confidence for entry in kept), default=-math.inf) if full else -math.inf
        self._keys = {event_id: key for event_id, key in self._keys.items() if key in self._entries}
        # what Redis need not hold, and what a load would drop as expired, is not remembered for ever
        self._unwanted = {key for key in self._unwanted if key in self._stored or not self._expired(key, now_us)}

    def _expired(self, key: str, now_us: int) -> bool:
        return (int(key.rpartition(":")[2]) + self._longest_s) * 1e6 <= now_us

    async def _remove(self, redis: Redis, keys: list[str]) -> int:
        if not keys:
            return 0
        members = zip(INDEXES, zip(*map(_members, keys), strict=True), strict=True)
        await _carried_out(
            redis, [("ZREM", index, *each) for index, each in members] + [("DEL", *(ENTRY + key for key in keys))]
        )
        self._changed = True
        self._stored.difference_update(keys)
        self._unwanted.difference_update(keys)
        return len(keys)

    async def _write(self, redis: Redis, entries: list[Entry]) -> int:
        if not entries:
            return 0
        self._stored.update(entry.key for entry in entries)
        now_us = self._clock.now_us()
        cached_at = str(now_us / 1e6)
        commands: list[tuple[Any, ...]] = []
        for entry in entries:
            name = ENTRY + entry.key
            lasts_s = _seconds(entry.expires_us - now_us)  # a safety net, should nobody be left to expire it by name
            commands += ("HSET", name, "data", entry.data, "cached_at", cached_at), ("EXPIRE", name, lasts_s)
        for index, members in zip(INDEXES, zip(*(entry.members() for entry in entries), strict=True), strict=True):
            scores = [entry.confidence if index == BY_CONFIDENCE else entry.at_s for entry in entries]
            commands += (
                ("ZADD", index, *chain.from_iterable(zip(scores, members, strict=True))),
                ("EXPIRE", index, _seconds(self._last_us - now_us)),
            )
        await _carried_out(redis, commands)
        self._changed = True
        for entry in entries:
            if self._unwritten.get(entry.key) is entry:  # what was added or dropped meanwhile is newer
                del self._unwritten[entry.key]
        return len(entries)

    async def _walk(self, redis: Redis, cursor: int) -> None:
        """Drop AppV2's answers, which it keeps for 30 s; SCAN, because KEYS would stop Redis for everybody."""
        for _ in range(SCANS):
            ((at, stale),) = await _carried_out(redis, [("SCAN", cursor, "MATCH", API_CACHE, "COUNT", SCANNED)])
            for keys in _chunks(stale):
                await _carried_out(redis, [("DEL", *keys)])
            cursor = int(at)
            if not cursor:
                self._cursor = None
                return
        self._cursor = cursor


async def _carried_out(redis: Redis, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The answers; raises what Redis refused first."""
    answers = await round_trip(redis, commands)
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers


def _seconds(us: int) -> int:
    """At least one, for Redis."""
    return max(1, math.ceil(us / 1e6))


def _key(symbol: str, pattern: str, at_s: int) -> str:
    return f"{symbol}:{pattern}:{at_s}"


def _members(key: str) -> tuple[str, str, str, str]:
    symbol, pattern, _ = key.rsplit(":", 2)
    return key, f"{symbol}:{key}", f"{pattern}:{key}", key


def _keys_in(index: str, members: set[str]) -> Iterator[str]:
    """The entries that members of one index name; what no entry could be named is left alone."""
    for member in members:
        key = member
        if index == BY_PATTERN:
            key = member.partition(":")[2]
        elif index == BY_SYMBOL:
            doubled = member.rsplit(":", 2)[0]
            key = member[len(doubled) // 2 + 1 :]
        parts = key.rsplit(":", 2)
        if len(parts) == 3 and all(parts) and member in _members(key):
            yield key


def _entry(key: str, data: Any) -> Entry | None:
    """The entry that Redis holds under `key`, or None if AppV2 could not read it."""
    try:
        fields = orjson.loads(data or b"")
        symbol, pattern, at = key.rsplit(":", 2)
        sound = isinstance(fields, dict) and fields.keys() == FIELDS and isinstance(fields["indicators"], dict)
        if not sound or (fields["symbol"], fields["pattern_type"]) != (symbol, pattern):
            return None
        expires_us, confidence = round(fields["expires_at"] * 1e6), float(fields["confidence"])
        return Entry(key, int(at), confidence, expires_us, _bytes(data))
    except (ValueError, TypeError, ArithmeticError):
        return None


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
