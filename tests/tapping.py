"""A tap that runs beside a test, and what a test reads from its streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from listening import own_channels
from tickstockpl import tap
from tickstockpl.ingest import Ingest
from tickstockpl.settings import Settings
from tickstockpl.tap import Tap
from waiting import until


def tap_settings(url: str, /, channels: int = 1, *, redis: dict[str, Any] | None = None, **given: Any) -> Settings:
    """Of a tap on channels that nobody else uses."""
    quick = {"url": url, "channels": own_channels(channels), "max_backoff_s": 0.1, "ping_s": 0.1}
    return Settings.model_validate({"redis": quick | (redis or {}), "tap": given})


class Tapped:
    """A tap in this process, a client of the ticks' Redis and one of the streams'."""

    def __init__(self, settings: Settings, tap: Tap, ingest: Ingest, ticks: Any, streams: Any) -> None:
        self.channels = settings.redis.channels
        self.streams = [f"{channel}.stream" for channel in self.channels]
        self.tap, self.ingest = tap, ingest
        self.ticks, self.redis = ticks, streams

    @property
    def faults(self) -> int:
        """Answers of the streams' Redis that did not come, and links to it that could not be made."""
        return self.tap._link.faults

    async def publish(self, *payloads: bytes, channel: int = 0) -> None:
        async with self.ticks.pipeline(transaction=False) as pipe:
            for payload in payloads:
                pipe.publish(self.channels[channel], payload)
            await pipe.execute()

    async def copied(self, count: int, within_s: float = 20.0) -> None:
        """Wait until so many messages are known to be in the streams."""
        await until(lambda: self.tap.numbers()["messages"] >= count, within_s)

    async def entries(self, stream: int = 0) -> list[tuple[bytes, bytes]]:
        """Field and value of every entry."""
        return await entries_of(self.redis, self.streams[stream])


async def entries_of(redis: Any, stream: str) -> list[tuple[bytes, bytes]]:
    return [pair for _, fields in await redis.xrange(stream) for pair in fields.items()]


def gaps_in(entries: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    return [json.loads(value) for field, value in entries if field == b"gap"]


def messages_in(entries: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for field, value in entries if field == b"d"]


@asynccontextmanager
async def tapping(settings: Settings) -> AsyncIterator[Tapped]:
    """A running tap, subscribed; on leaving it is stopped and must end by itself."""
    stop = asyncio.Event()
    ready: asyncio.Queue[tuple[Tap, Ingest]] = asyncio.Queue()
    streams = settings.tap.url.get_secret_value() if settings.tap.url else settings.redis.connection_url()
    async with (
        Redis.from_url(settings.redis.connection_url(), protocol=2) as ticks,
        Redis.from_url(streams, protocol=2) as redis,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(tap.run(settings, stop=stop, on_ready=lambda *made: ready.put_nowait(made)))
        tapped = Tapped(settings, *await ready.get(), ticks, redis)
        try:
            await until(lambda: bool(tapped.ingest.status()["connected"]))
            yield tapped
        finally:
            stop.set()
