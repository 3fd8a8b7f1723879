"""Where messages come from: what the service asks of a source, and the sources there are.

A source numbers its messages; a run begins at the number up to which everything is stored. Another kind of source is
another class here, with what it reads in a stage of its own.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Protocol
from uuid import uuid4

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.ingest import Ingest
from tickstockpl.kernel import Framer
from tickstockpl.ownership import Ownership
from tickstockpl.pipeline import Begun
from tickstockpl.position import Position
from tickstockpl.recovery import Recovery, recover
from tickstockpl.settings import Settings
from tickstockpl.spooler import Spooler
from tickstockpl.warmup import Replayed
from tickstockpl.wire import Inbound

Stage = tuple[str, Coroutine[Any, Any, None]]
HEARD = 256
"""Socket reads that may wait for the spool."""


class Source(Protocol):
    """What the service asks of a source."""

    begun: Begun
    """Where this run begins in it."""
    replayed: Replayed | None
    """Bars that come of `past` and are not read from the database; None: none."""
    heard_us: int | None
    """When the last of its messages came to the run before, if that is known."""

    def past(self) -> AsyncIterable[tuple[int, Inbound]] | None:
        """What it gives again, each item with its number, before `stages` give what is new."""
        ...

    def stages(self, inbox: Channel[Inbound]) -> list[Stage]:
        """Coroutines by name that fill `inbox`, and close it when they end."""
        ...

    def queues(self) -> list[Channel[Inbound]]:
        """Channels between them."""
        ...

    def statuses(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Each stage's status by name; one is `ingest`."""
        ...

    def release(self, position: Position) -> None:
        """So far everything is stored."""
        ...

    def stop(self) -> None:
        """Hand over what was read, then end."""
        ...


class PubSub:
    """Channels of Redis that are listened to, by way of a spool if there is one."""

    def __init__(self, settings: Settings, clock: Clock, recovery: Recovery | None) -> None:
        channels = settings.redis.channels
        self.begun = recovery.begun if recovery is not None else Begun(uuid4())
        self.replayed = recovery.replayed if recovery is not None else None
        self.heard_us = recovery.heard_us if recovery is not None else None
        self._recovery = recovery
        self._settings = settings.ingest
        self._clock = clock
        self._ingest = Ingest(settings.redis, lambda: Framer(channels), clock, continues=self.begun.continues)
        self._heard: Channel[Inbound] = Channel(HEARD, "heard")
        self._spooler: Spooler | None = None

    def past(self) -> AsyncIterable[tuple[int, Inbound]] | None:
        return self._recovery.past() if self._recovery is not None else None

    def stages(self, inbox: Channel[Inbound]) -> list[Stage]:
        if self._recovery is None:
            return [("ingest", self._ingest.run(inbox))]
        self._spooler = Spooler(
            self._recovery.spool,
            self._heard,
            inbox,
            self._clock,
            next_src=self.begun.next_src,
            cap_bytes=self._settings.spool_bytes,
            cap_hours=self._settings.spool_hours,
        )
        return [("ingest", self._ingest.run(self._heard)), ("spool", self._spooler.run())]

    def queues(self) -> list[Channel[Inbound]]:
        return [self._heard] if self._recovery is not None else []

    def statuses(self) -> dict[str, Callable[[], dict[str, Any]]]:
        spool = {"spool": self._spooler.status} if self._spooler is not None else {}
        return {"ingest": self._ingest.status, **spool}

    def release(self, position: Position) -> None:
        if self._spooler is not None:
            self._spooler.release(position.replay_src)

    def stop(self) -> None:
        self._ingest.stop()


async def open_source(settings: Settings, ownership: Ownership, clock: Clock, servers: AsyncExitStack) -> Source:
    """The source of the settings, at the place where the run before has left it; `servers` closes it.

    Raises ServerError if it cannot be used, FencedError if the ownership is lost.
    """
    recovery = None
    if settings.ingest.spool:
        channels = settings.redis.channels
        path = settings.state_dir / "spool" / f"{settings.ingest.part}.sqlite"
        recovery = await recover(path, lambda data: Framer(channels).feed(data), ownership)
        servers.push_async_callback(asyncio.to_thread, recovery.spool.close)
    source = PubSub(settings, clock, recovery)
    await ownership.adopt(source.begun.src_id)
    return source
