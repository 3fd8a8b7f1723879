"""Ticks in: a pub/sub subscription that is made again for ever, and says what it hears and what it may have missed.

redis-py opens, authenticates and subscribes; `link.Link` then reads the socket.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import stamina
import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.connection import heed_cancellation, sturdy
from tickstockpl.errors import TickstockError
from tickstockpl.link import Framer, Link, Tally
from tickstockpl.settings import REDIS_TRUST, RedisSettings
from tickstockpl.tls import reason, untrusted
from tickstockpl.trouble import Trouble
from tickstockpl.wire import Inbound, Lost

log = structlog.get_logger(__name__)

REFUSED_RETRY_S = 10.0
"""Neither a wrong password nor a wrong certificate becomes right by asking often, and a try is a line in Redis' log."""

SETTLED_S = 1.0
"""A link that lived so long is replaced at once; after a shorter one we wait, not to hammer a flapping server."""

HEARD_AFTER_S = 10.0


class LinkEnded(TickstockError):
    """The connection could not be made, or ended almost at once."""


class LinkRefused(TickstockError):
    """Redis answered, and the answer was no: user, password, ACL or database number."""


TRIED_AGAIN = (LinkEnded, LinkRefused, RedisError, OSError)


@dataclass(frozen=True, slots=True)
class Server:
    """Who answered."""

    version: str
    run_id: str
    db: int
    subscribers: dict[str, int]
    """Per channel, before us."""


class Ingest:
    """The stage from Redis to the pipeline.

    framer: makes a fresh one for each connection, for the channels of `settings` in their order.
    continues: a run before this one has listened: the first subscription is not the first.
    """

    def __init__(
        self, settings: RedisSettings, framer: Callable[[], Framer], clock: Clock, *, continues: bool = False
    ) -> None:
        self._settings = settings
        self._framer = framer
        self._clock = clock
        self._continues = continues
        self._stopping = False
        self._deadline: asyncio.Timeout | None = None
        self._link: Link | None = None
        self._server: Server | None = None
        self._tally = Tally([0] * len(settings.channels))
        self._connections = 0
        self._trouble = Trouble("not connected yet")
        self._heard: set[str] = set()

    async def run(self, out: Channel[Inbound]) -> None:
        """Subscribe and hand over, for ever; closes `out` on leaving.

        After `stop`, what has been read is handed over first: it waits for room in `out` as long as that takes.
        """
        async with aclosing(out):
            try:
                async with asyncio.timeout(0 if self._stopping else None) as self._deadline:
                    while not self._stopping:
                        await self._until_lost(out)
            except TimeoutError:
                if not self._stopping:
                    raise
            finally:
                if self._link is not None:
                    self._link.end("stopped")
            if self._link is not None:
                await self._link.hand_over()

    def stop(self) -> None:
        """End `run` soon, wherever it waits. To be called from the event loop."""
        self._stopping = True
        if self._deadline is not None:
            with suppress(RuntimeError):  # it is over already
                self._deadline.reschedule(asyncio.get_running_loop().time())

    def status(self) -> dict[str, Any]:
        """Plain values: what `/health` shows. Counts are since the start of the process."""
        link, server, tally = self._link, self._server, self._tally
        connected = link is not None and link.connected_us is not None and link.cause is None
        age_s = None if tally.answered_s is None else round(self._clock.monotonic_s() - tally.answered_s, 3)
        return {
            "state": "ok" if connected else "down",
            **({} if connected else {"reason": self._trouble.reason}),
            "connected": connected,
            "address": self._settings.address,
            "db": server.db if server else None,
            "redis_version": server.version if server else None,
            "run_id": server.run_id if server else None,
            "channels": list(self._settings.channels),
            "messages": dict(zip(self._settings.channels, tally.messages, strict=True)),
            "bytes": tally.bytes,
            "reconnections": max(0, self._connections - 1),
            "pauses": tally.pauses,
            "last_pong_age_s": age_s,
        }

    async def _until_lost(self, out: Channel[Inbound]) -> None:
        """Connect, at first at once, then ever more slowly; returns when a link that had settled is lost."""
        async for attempt in stamina.retry_context(
            on=_pause,
            attempts=None,
            timeout=None,
            wait_initial=0.1,
            wait_max=self._settings.max_backoff_s,
            wait_jitter=0.5,
        ):
            with attempt:
                try:
                    await self._listen(out)
                except TRIED_AGAIN as error:
                    if self._link is None or self._link.connected_us is None:
                        self._note(error)
                    raise

    async def _listen(self, out: Channel[Inbound]) -> None:
        """One connection from its beginning to its end."""
        wake = asyncio.Event()
        self._link = link = Link(
            self._framer(),
            self._settings.channels,
            self._tally,
            out,
            self._clock,
            wake,
            first=self._connections == 0 and not self._continues,
        )
        server = await self._open(link)
        began_s = self._clock.monotonic_s()
        await self._attend(link, server, wake)
        if link.cause is None:
            return
        if link.connected_us is not None:
            await out.put(Lost(self._clock.now_us(), link.cause))
            log.warning("redis subscription lost", address=self._settings.address, cause=link.cause)
        self._trouble.reason = link.cause
        if link.refused:
            raise LinkRefused(link.cause)
        if self._clock.monotonic_s() - began_s < SETTLED_S:
            raise LinkEnded(link.cause)

    async def _open(self, link: Link) -> Server:
        """Connect, authenticate, ask who is there, subscribe, and hand the socket to `link`."""
        timeout_s = self._settings.connect_timeout_s
        pool: Any = ConnectionPool.from_url(
            self._settings.connection_url(),
            client_name="tickstockpl-ingest",
            socket_connect_timeout=timeout_s,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )
        sturdy(pool)
        pool.connection_kwargs |= {"protocol": 2, "decode_responses": False}  # whatever the URL's query asks for
        connection = pool.make_connection()
        try:
            async with asyncio.timeout(timeout_s):
                await connection.connect()
                server = await self._ask(connection)
                await connection.send_command("SUBSCRIBE", *self._settings.channels)
                await link.take_over(connection)
        except TimeoutError:
            raise LinkEnded(f"no answer within {timeout_s} s") from None
        finally:
            await connection.disconnect(nowait=True)
        if self._server is not None and self._server.run_id != server.run_id:
            log.info("redis is another process than before", run_id=server.run_id, before=self._server.run_id)
        self._server = server
        return server

    async def _ask(self, connection: Any) -> Server:
        """Which Redis this is and who listens there already; a user who may not ask gets no answer, and no error."""
        await connection.send_command("INFO", "server")
        info = dict(line.partition(":")[::2] for line in (await _reply(connection, b"")).decode().splitlines())
        await connection.send_command("PUBSUB", "NUMSUB", *self._settings.channels)
        counts = await _reply(connection, [])
        return Server(
            version=info.get("redis_version", "unknown"),
            run_id=info.get("run_id", "unknown"),
            db=int(connection.db),
            subscribers={name.decode(): count for name, count in zip(counts[::2], counts[1::2], strict=True)},
        )

    async def _attend(self, link: Link, server: Server, wake: asyncio.Event) -> None:
        """Keep the link going until it ends: its PINGs, its full channel, its log lines."""
        heed_cancellation()
        loop = asyncio.get_running_loop()
        watch_at = loop.time()
        report_at = watch_at + HEARD_AFTER_S
        announced = False
        while True:
            if link.connected_us is not None and not announced:
                announced = True
                self._announce(server)
            self._hear()
            if loop.time() >= report_at:
                report_at = float("inf")
                self._report()
            await link.hand_over()
            if link.fault is not None:
                raise link.fault
            if link.cause is not None or self._stopping:
                return
            wake.clear()
            try:
                async with asyncio.timeout_at(watch_at):
                    await wake.wait()
            except TimeoutError:
                link.watch(self._settings.ping_s, self._settings.pong_timeout_s)
                watch_at = loop.time() + self._settings.ping_s

    def _announce(self, server: Server) -> None:
        self._connections += 1
        self._trouble.over()
        log.info(
            "redis subscribed",
            address=self._settings.address,
            db=server.db,
            redis_version=server.version,
            run_id=server.run_id,
            channels=list(self._settings.channels),
            other_subscribers=server.subscribers,
        )

    def _hear(self) -> None:
        """Log each channel's first message, once."""
        for channel, count in zip(self._settings.channels, self._tally.messages, strict=True):
            if count and channel not in self._heard:
                self._heard.add(channel)
                log.info("channel heard", channel=channel)

    def _report(self) -> None:
        for channel, count in zip(self._settings.channels, self._tally.messages, strict=True):
            if count:
                log.info("messages heard", channel=channel, messages=count)
            else:
                log.log(
                    logging.INFO if self._heard else logging.WARNING,
                    "nothing heard",
                    channel=channel,
                    address=self._settings.address,
                    after_s=HEARD_AFTER_S,
                )

    def _note(self, error: Exception) -> None:
        if self._trouble.again(why := reason(error, REDIS_TRUST)):
            say = log.error if _refusal(error) else log.warning
            say("redis cannot be used", address=self._settings.address, reason=why, attempts=self._trouble.times)


async def _reply(connection: Any, otherwise: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError:
        return otherwise


def _refusal(error: Exception) -> bool:
    return isinstance(error, (LinkRefused, AuthenticationError, ResponseError)) or untrusted(error) is not None


def _pause(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds; True leaves that to stamina's backoff."""
    if _refusal(error):
        return REFUSED_RETRY_S
    return isinstance(error, TRIED_AGAIN)
