"""Where messages come from: what the service asks of a source, and the sources there are.

A source numbers its messages; a run begins at the number up to which everything is stored. Another kind of source is
another class here, with what it reads in a stage of its own.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid4, uuid5

import structlog

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.errors import SettingsError
from tickstockpl.history import Replayed
from tickstockpl.ingest import Ingest
from tickstockpl.kernel import Framer
from tickstockpl.lines import LineReader
from tickstockpl.ownership import Ownership
from tickstockpl.position import EVER_US, Begun, Position, Progress
from tickstockpl.recovery import Recovery, recover
from tickstockpl.settings import Settings
from tickstockpl.spooler import Spooler
from tickstockpl.stream import StreamReader, id_of, oldest_src
from tickstockpl.wire import Inbound

Stage = tuple[str, Coroutine[Any, Any, None]]
HEARD = 256
"""Socket reads that may wait for the spool."""

log = structlog.get_logger(__name__)


class Source(Protocol):
    """What the service asks of a source."""

    begun: Begun
    """Where this run begins in it."""
    replayed: Replayed | None
    """Bars that come of `past` and are not read from the database; None: none."""
    heard_us: int | None
    """When the last of its messages came to the run before, if that is known."""
    resumes: bool
    """Whether a new start gives again what is not stored."""
    continues: bool
    """Whether what it gives has a number and an arrival of its own, so that a snapshot can be gone on from."""

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

    def __init__(
        self, settings: Settings, clock: Clock, recovery: Recovery | None, progress: Progress | None = None
    ) -> None:
        channels = settings.redis.channels
        begun = recovery.begun if recovery is not None else Begun(uuid4())
        if progress is not None and (recovery is None or progress.next_src != begun.next_src):
            progress = None
        self.begun = replace(begun, unsent_us=_unsent_us(settings), progress=progress)
        self.replayed = recovery.replayed if recovery is not None else None
        self.heard_us = recovery.heard_us if recovery is not None else None
        self.resumes = self.continues = recovery is not None
        self._recovery = recovery
        self._settings = settings.ingest
        self._clock = clock
        self._ingest = Ingest(settings.redis, lambda: Framer(channels), clock, continues=self.begun.continues)
        self._heard: Channel[Inbound] = Channel(HEARD, "heard")
        self._spooler: Spooler | None = None

    def past(self) -> AsyncIterable[tuple[int, Inbound]] | None:
        is_needed = self._recovery is not None and self.begun.progress is None
        return self._recovery.past() if self._recovery is not None and is_needed else None

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


class Reader(Protocol):
    """A stage that reads by number: what came again is read like what is new."""

    async def run(self, out: Channel[Inbound]) -> None:
        """Hand over what there is; closes `out` on leaving."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain values: what `/health` shows."""
        ...

    def stop(self) -> None:
        """End `run` soon."""
        ...


class Numbered:
    """What keeps its messages and their numbers itself, so that it is read from where everything before is stored.

    start_src: where `reader` begins: at the position, or behind it if what stands there is gone.
    """

    resumes = True

    def __init__(self, reader: Reader, begun: Begun, start_src: int, *, continues: bool) -> None:
        anew_us = begun.position.anew_us if begun.position is not None else EVER_US
        self.begun = begun
        self.continues = continues
        self.replayed: Replayed | None = Replayed(begun.src_id, anew_us, start_src)
        self.heard_us: int | None = None
        self._reader = reader

    def past(self) -> AsyncIterable[tuple[int, Inbound]] | None:
        return None

    def stages(self, inbox: Channel[Inbound]) -> list[Stage]:
        return [("ingest", self._reader.run(inbox))]

    def queues(self) -> list[Channel[Inbound]]:
        return []

    def statuses(self) -> dict[str, Callable[[], dict[str, Any]]]:
        return {"ingest": self._reader.status}

    def release(self, position: Position) -> None:
        """Nothing: who fills it decides how long it is kept."""

    def stop(self) -> None:
        self._reader.stop()


async def _stream(settings: Settings, ownership: Ownership, clock: Clock, progress: Progress | None) -> Source:
    """A stream of Redis; waits until Redis answers."""
    key = settings.ingest.stream
    src_id = uuid5(NAMESPACE_URL, f"tickstockpl:stream:{key}")
    await ownership.adopt(src_id)
    position = ownership.position
    wanted = position.replay_src if position is not None else 0
    if progress is not None:
        wanted = progress.next_src
    start = max(wanted, await oldest_src(settings.redis, key) or 0)
    # The entry after the last one may be the oldest; whether there was one between them, the reader finds out.
    if position is not None and progress is None and start > wanted:
        log.warning("the stream does not reach back as far as it should", first=id_of(start))
    reader = StreamReader(
        settings.redis,
        key,
        clock,
        start_src=start,
        stored_src=position.durable_src if position is not None else 0,
        stored_index=position.index if position is not None else None,
    )
    begun = Begun(
        src_id,
        wanted,
        position,
        continues=position is not None,
        unsent_us=_unsent_us(settings),
        progress=progress,
    )
    return Numbered(reader, begun, start, continues=True)


async def _lines(settings: Settings, ownership: Ownership, clock: Clock) -> Source:
    """A file of messages, one a line; the service ends with it."""
    path = settings.ingest.file
    if path is None:
        raise SettingsError("ingest.file is not set: ingest.mode file reads messages from it, one a line")
    src_id = uuid5(NAMESPACE_URL, f"tickstockpl:file:{path.absolute()}")
    await ownership.adopt(src_id)
    position = ownership.position
    start = position.replay_src if position is not None else 0
    begun = Begun(src_id, start, position, continues=position is not None, can_wait=True)
    # Its lines have no arrivals: what is open would be closed by the time that passes between two runs.
    return Numbered(LineReader(path, clock, start_src=start), begun, start, continues=False)


def _unsent_us(settings: Settings) -> int:
    """How long an event may wait to be sent, with some seconds for a start."""
    return round(settings.publish.expire_s * 1e6) + 30_000_000


async def open_source(
    settings: Settings,
    ownership: Ownership,
    clock: Clock,
    servers: AsyncExitStack,
    progress: Progress | None = None,
) -> Source:
    """The source of the settings, at the place where the run before has left it; `servers` closes it.

    progress: what that run had come to, where the engine is as it was then. If the source can go on from there, its
    `begun` says so, and nothing is given again.
    Raises SettingsError or ServerError if it cannot be used, FencedError if the ownership is lost.
    """
    ingest = settings.ingest
    if ingest.mode == "stream":
        return await _stream(settings, ownership, clock, progress)
    if ingest.mode == "file":
        return await _lines(settings, ownership, clock)
    recovery = None
    if ingest.spool:
        channels = settings.redis.channels
        path = settings.state_dir / "spool" / f"{ingest.part}.sqlite"
        recovery = await recover(path, lambda data: Framer(channels).feed(data), ownership)
        servers.push_async_callback(asyncio.to_thread, recovery.spool.close)
    source = PubSub(settings, clock, recovery, progress)
    await ownership.adopt(source.begun.src_id)
    return source
