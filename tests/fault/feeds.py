"""How a market reaches the service in `fault.chaos`, and what must have come of it in the end."""

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bar_samples import rows
from fault.report import Report
from fault.truth import Received, Truth, of_stream
from oracle import minute_of
from oracle_decode import Tick, decode_message
from running import newest, tick
from tickstockpl.dev.feed import Batch
from tickstockpl.moments import us_of
from tickstockpl.settings import Settings

PATIENCE_S = 0.02


class Feed(Protocol):
    """One way of the two."""

    async def send(self, batch: Batch) -> None:
        """Send a second of the market."""
        ...

    async def is_read(self, pipeline: dict[str, Any]) -> bool:
        """Whether the service has had everything, by what its pipeline says."""
        ...

    async def truth(self, report: Report, uri: str, stored: list[dict[str, Any]]) -> Truth:
        """The bars that must be there; what was lost in silence is put into the report."""
        ...


class StreamFeed:
    """Into a stream: each tick is tried until Redis has it, so that nothing may be missing."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._client = Redis.from_url(url, protocol=2, socket_timeout=2.0)
        self._settings = settings
        self._stream = settings.ingest.stream

    async def send(self, batch: Batch) -> None:
        while not await self._is_taken(batch.payloads):
            await asyncio.sleep(PATIENCE_S)

    async def _is_taken(self, payloads: list[bytes]) -> bool:
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                for payload in payloads:
                    pipe.xadd(self._stream, {"d": payload})
                await pipe.execute()
        except (RedisError, OSError):
            return False
        return True

    async def is_read(self, pipeline: dict[str, Any]) -> bool:
        return bool(pipeline["next_src"] > await newest(self._client, self._stream))

    async def truth(self, report: Report, uri: str, stored: list[dict[str, Any]]) -> Truth:
        del uri
        entries: Any = await self._client.xrange(self._stream)
        report.sent = report.ticks = len(entries)
        if report.gaps:
            report.silent.append(f"{report.gaps} gap rows of a stream that has everything")
        report.silent += [f"a flag, and nothing is missing: {row}" for row in stored if "gap" in (row["quality"] or "")]
        await self._client.aclose()
        return of_stream(entries, self._settings)


class ChannelFeed:
    """On a channel: what is sent while nobody listens is lost, which is a few seconds of the market in each outage.

    Every message has a number of its own, by which it is known whether the service has put it on disk.
    """

    def __init__(self, url: str, settings: Settings, seed: int) -> None:
        # A command that is sent again by itself would publish one number twice.
        self._client = Redis.from_url(url, protocol=2, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
        self._channel = settings.redis.channels[0]
        self._received = Received(settings)
        self._rng = random.Random(seed)
        self._void = 0
        self._sent: list[bytes] = []
        self._due_us = 0

    async def send(self, batch: Batch) -> None:
        while not await self._is_heard():
            if self._void:
                self._void -= 1
                break
            await asyncio.sleep(PATIENCE_S)
        else:
            self._void = self._rng.randint(0, 20)
        self._due_us = batch.due_us
        await self._publish(batch.payloads)

    async def is_read(self, pipeline: dict[str, Any]) -> bool:
        if max(pipeline["event_time_us"].values()) >= self._due_us:
            return True
        await self._publish([tick(self._due_us)])
        return False

    async def truth(self, report: Report, uri: str, stored: list[dict[str, Any]]) -> Truth:
        had: set[int] = set()
        folded, closed = self._received.folded()
        over: dict[int, set[tuple[str, int]]] = {}
        """Of each message that was lost, the bars that had closed when nobody listened any more."""
        last, anew = -1, next(iter(closed), None)
        for item, payloads in self._received.messages():
            if item.kind == "connected" and anew is None:
                anew = item.first
            for payload in payloads:
                number = json.loads(payload)["n"]
                if number != last + 1 and anew is None:
                    report.silent.append(f"{last + 1} to {number - 1} within a connection")
                had.add(number)
                over |= {lost: closed[anew] for lost in range(last + 1, number) if anew is not None}
                last, anew = number, None
        report.sent, report.ticks = len(self._sent), len(had)
        gaps = await rows(uri, "SELECT started_at, ended_at FROM ingest_gap")
        windows = {(us_of(gap["started_at"]), us_of(gap["ended_at"])) for gap in gaps}
        report.silent += [f"{window} is no gap row" for window in self._received.windows() if window not in windows]
        flagged = {
            (row["symbol"], us_of(row["timestamp"]))
            for row in stored
            if any(name in (row["quality"] or "") for name in ("gap", "partial_start", "provisional"))
        }
        bars = {(row["symbol"], us_of(row["timestamp"])) for row in stored}
        lacking = self._lacking(had, over)
        report.silent += [
            f"{bar} lacks the messages {lacking[bar]} without a flag" for bar in sorted(lacking.keys() & bars - flagged)
        ]
        await self._client.aclose()
        return folded

    def _lacking(self, had: set[int], over: dict[int, set[tuple[str, int]]]) -> dict[tuple[str, int], list[int]]:
        """Bars, each with the messages that it lost while it was open: of one that had closed, by a later tick or in a
        silence, nobody knows what is missing.
        """
        ticks: list[Tick] = []
        for payload in self._sent:
            (found,) = decode_message(payload)
            assert isinstance(found, Tick)
            ticks.append(found)
        known = {(ticks[number].symbol, ticks[number].ts_us) for number in had}
        lacking: dict[tuple[str, int], list[int]] = {}
        newest_us = 0
        for number, found in enumerate(ticks):
            bar = found.symbol, minute_of(found.ts_us, found.kind)
            is_known = (found.symbol, found.ts_us) in known or bar in over.get(number, ())
            if found.ts_us >= newest_us and not is_known:
                lacking.setdefault(bar, []).append(number)
            newest_us = max(newest_us, found.ts_us)
        return lacking

    async def _is_heard(self) -> bool:
        try:
            found: Any = await self._client.pubsub_numsub(self._channel)
        except (RedisError, OSError):
            return False
        return bool(found[0][1])

    async def _publish(self, payloads: list[bytes]) -> None:
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for payload in payloads:
                    numbered = payload[:-1] + b', "n": %d}' % len(self._sent)
                    self._sent.append(numbered)
                    pipe.publish(self._channel, numbered)
                await pipe.execute()
        except (RedisError, OSError):
            await asyncio.sleep(PATIENCE_S)


async def add(client: Any, stream: str, batches: Iterator[Any], *, pause_s: float = 0.01) -> None:
    """Put a market into a stream, by default at some 100 times its speed."""
    for batch in batches:
        for payload in batch.payloads:
            await client.xadd(stream, {"d": payload})
        await asyncio.sleep(pause_s)
