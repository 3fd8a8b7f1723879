"""`tickstockpl tap`: copies each tick channel into a Redis Stream, so that a service that is away can catch up.

Pub/sub keeps nothing for who does not listen, so somebody always has to: a process that is too small to need upgrades.
Two of them may fill one stream: the kernel drops what has the same symbol and stamp.
"""

import asyncio
import math
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock, SystemClock
from tickstockpl.connection import LOST, Connection, heed_cancellation, round_trip
from tickstockpl.ingest import Ingest
from tickstockpl.kernel import Framer
from tickstockpl.lane import Doubt, Lane
from tickstockpl.metrics import Metrics
from tickstockpl.settings import Settings
from tickstockpl.wire import Answered, Connected, Inbound, Lost, Received

REPORT_S = 60.0
PAUSE_S = 1.0
"""Of a stream, after Redis refused an entry of it."""
DRAIN_S = 3.0
"""So long a stop may take to copy what has been heard."""

log = structlog.get_logger(__name__)


class Tap:
    """Messages from the subscription into the streams.

    inbox: what the subscription hears.
    drain_s: how long `run` may go on after the inbox was closed.
    """

    def __init__(self, settings: Settings, inbox: Channel[Inbound], clock: Clock, *, drain_s: float = DRAIN_S) -> None:
        tap, run = settings.tap, uuid.uuid4().hex
        keys = {name: f"{name}.tap:{run}" for name in stream_names(settings)}
        self._link = Connection(settings.stream_redis(), Metrics(), client_name="tickstockpl-tap")
        self._inbox, self._clock, self._drain_s = inbox, clock, drain_s
        self.lanes = [
            Lane(name, key, [*keys.values()], keep_ms=round(tap.keep_minutes * 60_000), room=tap.queue_mib << 20)
            for name, key in keys.items()
        ]
        self._wake = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None
        self._closed = False
        self._heard_s = clock.monotonic_s()
        """What was published before then has been read."""
        self._cause: str | None = None

    async def collect(self) -> None:
        """Take messages in as fast as they come; ends when the inbox is closed and empty."""
        async for item in self._inbox:
            self._take(item)
            self._wake.set()
        self._closed = True
        self._wake.set()
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._drain_s)

    async def run(self) -> None:
        """Copy until the inbox is closed and all is copied, or `drain_s` after that; survives any loss of Redis."""
        deadline = asyncio.timeout(self._drain_s if self._closed else None)
        try:
            async with deadline:
                self._deadline = deadline
                await self._copy_for_ever()
        except TimeoutError:
            if not deadline.expired():
                raise
        self._deadline = None
        if left := self.numbers()["waiting"]:
            log.error("stopped with messages that are not copied", messages=left)

    def numbers(self) -> dict[str, Any]:
        """What the line of each minute says; counts are since the start of the process."""
        return {
            "messages": sum(lane.copied for lane in self.lanes),
            "bytes": sum(lane.copied_bytes for lane in self.lanes),
            "missed": sum(lane.missed for lane in self.lanes),
            "gaps": sum(lane.gaps for lane in self.lanes),
            "waiting": sum(lane.waiting for lane in self.lanes),
        }

    def lag_s(self) -> float:
        """The longest that a message has waited since this was last asked."""
        worst = max(lane.lag_s for lane in self.lanes)
        for lane in self.lanes:
            lane.lag_s = 0.0
        return worst

    def _take(self, item: Inbound) -> None:
        now_s = self._clock.monotonic_s()
        at_s = now_s - (self._clock.now_us() - item.now_us) / 1e6
        match item:
            case Received():
                for channel, lane in enumerate(self.lanes):
                    lane.add(item.frames.payloads(channel), now_s)
            case Answered():
                self._heard_s = at_s
            case Lost():
                self._cause = item.cause
            case Connected():
                since_s = None if item.first else self._heard_s
                for lane in self.lanes:
                    lane.doubt(Doubt(since_s, at_s, self._cause or "start"))
                self._heard_s = at_s

    async def _copy_for_ever(self) -> None:
        async with self._link.client() as redis:
            while True:
                try:
                    await self._link.establish(redis)
                    await self._copy(redis)
                except LOST as error:
                    await self._link.lost(redis, error)
                else:
                    return

    async def _copy(self, redis: Redis) -> None:
        """Work until all is done; raises one of LOST when Redis is gone."""
        while True:
            heed_cancellation()
            self._wake.clear()
            for lane in self.lanes:
                if self._wait_s(lane) <= 0 and (refused := await self._advance(redis, lane)) is not None:
                    self._link.failed("redis refused", refused)
                    lane.resume_s = self._clock.monotonic_s() + PAUSE_S
            if self._closed and not any(map(len, self.lanes)):
                return
            await self._rest(min(map(self._wait_s, self.lanes)))

    def _wait_s(self, lane: Lane) -> float:
        return lane.wait_s(self._clock.monotonic_s(), stopping=self._closed)

    async def _rest(self, wait_s: float) -> None:
        if wait_s <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _advance(self, redis: Redis, lane: Lane) -> ResponseError | None:
        """One round trip for one stream; gives what Redis refused."""
        clock = self._clock
        if lane.connection != self._link.made:
            refused = lane.reopened(await round_trip(redis, lane.reopening()), clock.monotonic_s())
            if refused is None:
                lane.connection = self._link.made
            return refused
        if (doubt := lane.doubted()) is not None:
            (newest,) = await round_trip(redis, [lane.newest()])
            if isinstance(newest, ResponseError):
                return newest
            if lane.clear(newest, clock.monotonic_s()):
                log.warning("messages may have been missed", stream=lane.stream, cause=doubt.cause)
        if commands := lane.batch():
            return lane.settled(await round_trip(redis, commands), clock.monotonic_s())
        return None


def stream_names(settings: Settings) -> tuple[str, ...]:
    """The stream of each tick channel, in order."""
    return tuple(f"{channel}{settings.tap.suffix}" for channel in settings.redis.channels)


async def run(
    settings: Settings,
    *,
    stop: asyncio.Event,
    clock: Clock | None = None,
    on_ready: Callable[[Tap, Ingest], None] | None = None,
) -> None:
    """Copy until `stop` is set, then what was heard until then."""
    clock = clock or SystemClock()
    channels = settings.redis.channels
    inbox: Channel[Inbound] = Channel(256, "ticks")
    ingest = Ingest(settings.redis, lambda: Framer(channels), clock)
    tap = Tap(settings, inbox, clock)

    async def end() -> None:
        await stop.wait()
        ingest.stop()

    async def report() -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            log.info("tap", **tap.numbers(), lag_ms=round(1000 * tap.lag_s(), 1), state=ingest.status()["state"])

    async with asyncio.TaskGroup() as tasks:
        stages = [tasks.create_task(work) for work in (ingest.run(inbox), tap.collect(), tap.run())]
        helpers = [tasks.create_task(work) for work in (end(), report())]
        log.info("copying", streams=dict(zip(channels, stream_names(settings), strict=True)))
        if on_ready is not None:
            on_ready(tap, ingest)
        await asyncio.wait(stages)
        for helper in helpers:
            helper.cancel()
    log.info("stopped", **tap.numbers())
