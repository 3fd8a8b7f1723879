"""A publisher that runs beside a test, and an AppV2 that listens to it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

import appv2_readers as appv2
from tickstockpl.channel import Channel
from tickstockpl.clock import SystemClock
from tickstockpl.metrics import Metrics
from tickstockpl.payload import Pulse
from tickstockpl.publisher import Publisher
from tickstockpl.settings import PublishSettings, RedisSettings, Settings
from tickstockpl.wire import Findings, Sent, WriteBatch

CHANNELS = (
    "tickstock:patterns:streaming",
    "tickstock:streaming:session_started",
    "tickstock:streaming:session_stopped",
    "tickstock:streaming:health",
    "tickstock:alerts:critical",
    "tickstock:indicators:streaming",
    "tickstock:alerts:indicators",
    "tickstock.health.status",
)


def minute_us(ago: int = 0) -> int:
    """The latest full minute, or one before it: an END of a bar that is news."""
    return (SystemClock().now_us() // 60_000_000 - ago) * 60_000_000


class Published:
    """The stage, the writer's side of it, and the channel names of its own."""

    def __init__(self, url: str, drain_s: float, publish: dict[str, Any], redis: dict[str, Any]) -> None:
        run = uuid.uuid4().hex[:8]
        self.channel, self.errors = f"test.{run}.patterns", f"test.{run}.errors"
        link = {"url": url, "pattern_channel": self.channel, "error_channel": self.errors, **redis}
        settings = Settings(redis=RedisSettings(**link), publish=PublishSettings(**publish))
        self.inbox: Channel[Findings] = Channel(100, "events")
        self.outlet: Channel[WriteBatch] = Channel(1000, "sent")
        self.progressing = True
        self.sent: list[Sent] = []
        self.stage = Publisher(
            settings,
            self.inbox,
            self.outlet,
            SystemClock(),
            Metrics(),
            progressing=lambda: self.progressing,
            pulse=lambda: Pulse("ok", 70, 69.8, 70.0, 12.0, 5),
            drain_s=drain_s,
        )

    async def until(self, holds: Callable[[dict[str, Any]], bool], within_s: float = 15.0) -> dict[str, Any]:
        """The stage's status, once `holds` says so."""
        async with asyncio.timeout(within_s):
            while not holds(status := self.stage.status()):
                await asyncio.sleep(0.005)
        return status

    async def write(self) -> None:
        """Stand for the writer."""
        async for batch in self.outlet:
            self.sent += batch.sent


@asynccontextmanager
async def publishing(
    url: str, *, drain_s: float = 5.0, redis: dict[str, Any] | None = None, **publish: Any
) -> AsyncIterator[Published]:
    """A running stage; on leaving its inbox is closed and it must end by itself."""
    published = Published(url, drain_s, publish, redis or {})
    async with asyncio.TaskGroup() as tasks:
        for work in (published.stage.collect(), published.stage.run(), published.write()):
            tasks.create_task(work)
        try:
            yield published
        finally:
            published.inbox.close()


class Listener:
    """Everything published on the channels, by channel and in order, with its time of arrival."""

    def __init__(self) -> None:
        self.heard: dict[str, list[dict[str, Any]]] = {}
        self.at_s: dict[str, list[float]] = {}
        self.subscribed = asyncio.Event()

    async def listen(self, url: str, channels: Iterable[str]) -> None:
        """Subscribe, and again after a loss, as AppV2 does."""
        wanted = list(channels)
        while True:
            try:
                async with Redis.from_url(url, protocol=2) as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(*wanted)
                    async for item in pubsub.listen():
                        self._take(item, len(wanted))
            except (RedisError, OSError):
                await asyncio.sleep(0.02)

    def _take(self, item: dict[str, Any], wanted: int) -> None:
        if item["type"] == "subscribe" and item["data"] == wanted:
            self.subscribed.set()
        if item["type"] == "message":
            channel = item["channel"].decode()
            self.heard.setdefault(channel, []).append(appv2.message(item["data"]))
            self.at_s.setdefault(channel, []).append(asyncio.get_running_loop().time())

    async def count(self, channel: str, count: int, within_s: float = 15.0) -> list[dict[str, Any]]:
        """The channel's messages, once there are `count`."""
        async with asyncio.timeout(within_s):
            while len(self.heard.get(channel, [])) < count:
                await asyncio.sleep(0.005)
        return self.heard[channel]


@asynccontextmanager
async def hearing(url: str, *channels: str) -> AsyncIterator[Listener]:
    """A listener that is subscribed."""
    listener = Listener()
    task = asyncio.create_task(listener.listen(url, channels))
    try:
        async with asyncio.timeout(10):
            await listener.subscribed.wait()
        yield listener
    finally:
        task.cancel()
        await asyncio.wait([task])
