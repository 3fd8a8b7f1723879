"""Ticks in from a Redis Stream: every entry that is still there, in the order of its ids, from where we are stored.

No consumer group: one would hand single entries to several readers, and forget with Redis what we had read. How far we
are stored is in the database, beside what came of it.
"""

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import stamina
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.connection import LOST, heed_cancellation, sturdy
from tickstockpl.lane import GAP, MESSAGE
from tickstockpl.settings import REDIS_TRUST, RedisSettings
from tickstockpl.tls import reason
from tickstockpl.trouble import Trouble
from tickstockpl.wire import Entries, Inbound, Missed, Passed

COUNT = 2000
BLOCK_S = 0.2
"""How long an empty read waits for the next entry; what silence makes final is closed as often."""
INSPECT_S = 2.0
"""Between two looks at whether Redis has trimmed what we had not read."""
SEQUENCE_BITS = 20
"""Of an id's sequence; a million entries in one millisecond."""

log = structlog.get_logger(__name__)


def number_of(entry_id: bytes) -> int:
    """An entry's id as a number that rises with it."""
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms) << SEQUENCE_BITS | min(int(sequence or 0), (1 << SEQUENCE_BITS) - 1)


def id_of(number: int) -> str:
    """The id of an entry's number; of one below all of them the first there could be."""
    ms, sequence = divmod(max(0, number), 1 << SEQUENCE_BITS)
    return f"{ms}-{sequence}"


def arrival_us(number: int) -> int:
    """When Redis took an entry in, to the millisecond."""
    return (number >> SEQUENCE_BITS) * 1000


def gap_of(text: bytes, src: int) -> Missed:
    """What a tap says of messages that it may have missed; times are by Redis' clock."""
    try:
        told = orjson.loads(text)
        since_us, until_us, cause = int(told["from_us"]), int(told["to_us"]), str(told["cause"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        since_us = until_us = arrival_us(src)
        cause = "tap"
    return Missed(src, min(since_us or until_us, until_us), until_us, cause)


async def oldest_src(settings: RedisSettings, key: str) -> int | None:
    """The number of the oldest entry that is still in the stream; waits until Redis answers.

    None: there is none.
    """
    trouble = Trouble()
    async for attempt in stamina.retry_context(on=LOST, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0):
        with attempt:
            try:
                async with _client(settings, settings.pong_timeout_s) as client:
                    found: Any = await client.xrange(key, count=1)
            except LOST as error:
                _note(trouble, error, settings)
                heed_cancellation()
                raise
            return number_of(found[0][0]) if found else None
    raise AssertionError("it is tried for ever")


def _note(trouble: Trouble, error: Exception, settings: RedisSettings) -> None:
    if trouble.again(why := reason(error, REDIS_TRUST)):
        log.warning("stream cannot be read", address=settings.address, reason=why, tries=trouble.times)


def _client(settings: RedisSettings, timeout_s: float) -> Redis:
    client: Redis = Redis.from_url(
        settings.connection_url(),
        protocol=2,
        client_name="tickstockpl-stream",
        socket_connect_timeout=settings.connect_timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    sturdy(client.connection_pool)
    return client


class StreamReader:
    """The stage from a stream to the pipeline.

    key: the stream's. start_src: the number of the first entry to read. stored_src: that of the last one that is
    stored, and stored_index: how many entries the stream had ever had with it, if that is known: what was trimmed is
    counted from there.
    """

    def __init__(
        self,
        settings: RedisSettings,
        key: str,
        clock: Clock,
        *,
        start_src: int = 0,
        stored_src: int = 0,
        stored_index: int | None = None,
    ) -> None:
        self._settings = settings
        self._key = key
        self._clock = clock
        self._next_src = start_src
        self._stored_src = stored_src
        self._counted_src = stored_src
        self._index = stored_index if stored_src else 0
        self._stopping = asyncio.Event()
        self._connected = False
        self._trouble = Trouble("not connected yet")
        self._connections = 0
        self._read_s: float | None = None
        self._inspect_s = 0.0
        self._counts = {"messages": 0, "bytes": 0, "malformed": 0, "trimmed": 0, "gaps": 0}

    async def run(self, out: Channel[Inbound]) -> None:
        """Read and hand over, for ever; closes `out` on leaving."""
        async with aclosing(out):
            while not self._stopping.is_set():
                await self._until_lost(out)

    def stop(self) -> None:
        """End `run` within one empty read."""
        self._stopping.set()

    def status(self) -> dict[str, Any]:
        """Plain values: what `/health` shows. Counts are since the start of the process."""
        age_s = None if self._read_s is None else round(self._clock.monotonic_s() - self._read_s, 3)
        return {
            "state": "ok" if self._connected else "down",
            **({} if self._connected else {"reason": self._trouble.reason}),
            "connected": self._connected,
            "address": self._settings.address,
            "stream": self._key,
            **self._counts,
            "next_id": id_of(self._next_src),
            "reconnections": max(0, self._connections - 1),
            "last_read_age_s": age_s,
        }

    async def _until_lost(self, out: Channel[Inbound]) -> None:
        async for attempt in stamina.retry_context(
            on=LOST,
            attempts=None,
            timeout=None,
            wait_initial=0.1,
            wait_max=self._settings.max_backoff_s,
            wait_jitter=0.5,
        ):
            with attempt:
                if self._stopping.is_set():
                    return
                try:
                    await self._read(out)
                except LOST as error:
                    _note(self._trouble, error, self._settings)
                    raise

    async def _read(self, out: Channel[Inbound]) -> None:
        """One connection from its beginning to its end."""
        client = _client(self._settings, self._settings.pong_timeout_s + BLOCK_S)
        async with client:
            await client.ping()
            self._connections += 1
            self._trouble.over()
            self._connected = True
            log.info("stream opened", address=self._settings.address, stream=self._key, first=id_of(self._next_src))
            try:
                if self._next_src > self._stored_src:
                    await self._inspect(client, out)
                while not self._stopping.is_set():
                    await self._read_some(client, out)
                    heed_cancellation()
            finally:
                self._connected = False

    async def _read_some(self, client: Redis, out: Channel[Inbound]) -> None:
        """What is there, or word of a silence up to the moment before the read."""
        if self._next_src <= self._stored_src:
            await self._read_again(client, out)
            return
        seconds, micros = await client.time()
        after: Any = {self._key: id_of(self._next_src - 1)}
        found: Any = await client.xread(after, count=COUNT, block=round(BLOCK_S * 1000))
        self._read_s = self._clock.monotonic_s()
        if found:
            await self._hand_over(found[0][1], out)
        else:
            # An entry of this very millisecond may still come.
            await out.put(Passed((seconds * 1000 + micros // 1000) * 1000 - 1))
        if self._read_s >= self._inspect_s:
            await self._inspect(client, out)

    async def _read_again(self, client: Redis, out: Channel[Inbound]) -> None:
        """Some of what the run before has stored, and nothing newer: what was trimmed since stands behind it."""
        first, last = id_of(self._next_src), id_of(self._stored_src)
        found: Any = await client.xrange(self._key, first, last, count=COUNT)
        self._read_s = self._clock.monotonic_s()
        if found:
            await self._hand_over(found, out)
        else:
            self._next_src = self._stored_src + 1
        if self._next_src > self._stored_src:
            await self._inspect(client, out)

    async def _hand_over(self, entries: list[tuple[bytes, dict[bytes, bytes]]], out: Channel[Inbound]) -> None:
        rows: list[tuple[int, int, int, bytes]] = []
        for entry_id, fields in entries:
            src = number_of(entry_id)
            if src > self._counted_src:
                self._counted_src = src
                self._index = None if self._index is None else self._index + 1
            payload = fields.get(MESSAGE)
            if payload is not None:
                rows.append((0, src, arrival_us(src), payload))
                continue
            self._next_src = src + 1
            if GAP in fields:
                await self._put(rows, out)
                rows = []
                await self._report(gap_of(fields[GAP], src), out)
            else:
                self._counts["malformed"] += 1
        self._next_src = number_of(entries[-1][0]) + 1
        await self._put(rows, out)

    async def _put(self, rows: list[tuple[int, int, int, bytes]], out: Channel[Inbound]) -> None:
        if rows:
            self._counts["messages"] += len(rows)
            self._counts["bytes"] += sum(len(row[3]) for row in rows)
            await out.put(Entries(rows, self._index))

    async def _inspect(self, client: Redis, out: Channel[Inbound]) -> None:
        """Notice entries that were trimmed before we had read them: Redis counts what it ever took in."""
        self._inspect_s = self._clock.monotonic_s() + INSPECT_S
        try:
            info: Any = await client.xinfo_stream(self._key)
        except ResponseError:
            return  # there is no such stream yet
        length, added = info["length"], info.get("entries-added")
        first = info["first-entry"]
        first_src = number_of(first[0]) if first else None
        if first_src is not None and first_src <= self._counted_src:
            return  # what we read last is there still, and all that came after it
        lost = 0
        if self._index is not None and added is not None and added >= self._index:
            lost = added - self._index - length
            self._index += lost
        elif self._counted_src and first_src is not None:
            lost, self._index = 1, None  # at least: it was made anew, or Redis does not count
        if lost <= 0:
            return
        until_us = arrival_us(first_src) if first_src is not None else self._clock.now_us()
        log.warning("entries were trimmed before they were read", stream=self._key, entries=lost)
        self._counts["trimmed"] += lost
        since_us = arrival_us(self._counted_src) if self._counted_src else until_us
        await self._report(Missed(self._next_src, since_us, until_us, "trimmed"), out)

    async def _report(self, missed: Missed, out: Channel[Inbound]) -> None:
        self._counts["gaps"] += 1
        await out.put(missed)
