"""An ingest stage that runs beside a test, and what a test asks of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.asyncio import Redis

from tickstockpl.channel import Channel
from tickstockpl.clock import SystemClock
from tickstockpl.ingest import Ingest
from tickstockpl.kernel import Framer
from tickstockpl.settings import RedisSettings
from tickstockpl.wire import Answered, Connected, Inbound, Lost, Received
from waiting import until

Item = TypeVar("Item", Received, Answered, Connected, Lost)


def own_channels(count: int) -> tuple[str, ...]:
    """Names that nobody else publishes on: channels are the server's, whatever the database number."""
    run = uuid.uuid4().hex[:8]
    return tuple(f"test.{run}.{n}" for n in range(count))


class Listener:
    """The stage, its outlet, and every payload taken from it, per channel."""

    def __init__(self, settings: RedisSettings, capacity: int) -> None:
        self.channels = settings.channels
        self.ingest = Ingest(settings, lambda: Framer(list(settings.channels)), SystemClock())
        self.out: Channel[Inbound] = Channel(capacity, "inbound")
        self.payloads: list[list[bytes]] = [[] for _ in settings.channels]

    async def next(self, kind: type[Item], within_s: float = 15.0) -> Item:
        """The next item of this kind; messages on the way to it are kept in `payloads`."""
        async with asyncio.timeout(within_s):
            while True:
                item = await self.out.get()
                self.take(item)
                if isinstance(item, kind):
                    return item

    async def heard(self, count: int, channel: int = 0, within_s: float = 30.0) -> list[bytes]:
        """The payloads of one channel, once there are `count`."""
        while len(self.payloads[channel]) < count:
            await self.next(Received, within_s)
        return self.payloads[channel]

    async def state(self, state: str, reason: str = "", within_s: float = 15.0) -> None:
        """Wait until the stage says so of itself, for a reason that contains `reason`."""

        def says_so() -> bool:
            status = self.ingest.status()
            return status["state"] == state and reason in status.get("reason", "")

        await until(says_so, within_s)

    def take(self, item: Inbound) -> None:
        if isinstance(item, Received):
            for channel in range(len(self.channels)):
                self.payloads[channel] += item.frames.payloads(channel)


@asynccontextmanager
async def listening(settings: RedisSettings, capacity: int = 10_000) -> AsyncIterator[Listener]:
    """A running stage; on leaving it is stopped and must end by itself."""
    listener = Listener(settings, capacity)
    task = asyncio.create_task(listener.ingest.run(listener.out))
    try:
        yield listener
    finally:
        listener.ingest.stop()
        async with asyncio.timeout(5):
            async for item in listener.out:
                listener.take(item)
            await task


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Any]:
    """A Redis client for a test's own commands; redis-py types few of them."""
    async with Redis.from_url(url, protocol=2) as redis:
        yield redis


def was_cut(cause: str) -> bool:
    """Whether a link says that Redis closed it, as TCP tells it: by its end, or by a reset if a PING was on its way."""
    return cause == "closed by Redis" or cause.startswith("ConnectionResetError")
