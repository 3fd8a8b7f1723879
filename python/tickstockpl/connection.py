"""The connection to Redis that sends: made, lost, made again, and what went wrong on it."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import hiredis
import stamina
import structlog
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tickstockpl.metrics import Metrics
from tickstockpl.settings import REDIS_TRUST, RedisSettings
from tickstockpl.tls import reason

LOST = (RedisConnectionError, RedisTimeoutError, InvalidResponse, OSError)
"""What says that there is no Redis at the other end any more; a `ResponseError` says that there is."""

log = structlog.get_logger(__name__)


class _Sturdy:
    """Of a connection that was just reset, uvloop says RuntimeError where asyncio only drops what is written."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:
            if "closed" not in str(error):
                raise
            raise RedisConnectionError(f"connection lost: {error}") from error


def sturdy(pool: Any) -> None:
    """Have the connections of a pool of redis-py raise one of `LOST`, and nothing else, when they are lost."""
    pool.connection_class = type("Connection", (_Sturdy, pool.connection_class), {})


def heed_cancellation() -> None:
    """Raise a cancellation of this task that was swallowed; call it wherever work goes on for ever.

    Before Python 3.12, `asyncio.wait_for`, in which redis-py sends, returns as if nothing had happened if it is
    cancelled while its own work ends. A stop that comes in that moment would never be seen.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def round_trip(redis: Redis, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Send commands together, then read their answers; a `ResponseError` stands where Redis refused one.

    A pipeline of redis-py does the same and takes several times as long for it: each command is packed in Python and
    gets an object, a retry and a timer of its own.
    commands: name and arguments, text, bytes or numbers each.
    Raises one of `LOST`: then nobody knows which of the commands were carried out.
    """
    packed = [hiredis.pack_command(command) for command in commands]
    return await send_packed(redis, (b"".join(packed),), len(packed))


async def send_packed(redis: Redis, parts: Iterable[bytes], count: int) -> list[Any]:
    """`round_trip` with `count` commands that are RESP already; Redis has a part while the next one is made."""
    pool = redis.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # deprecated arguments hide its type
    try:
        for part in parts:
            await connection.send_packed_command(part)
        async with asyncio.timeout(connection.socket_timeout):
            return await _answers(connection, count)
    except BaseException as error:
        await connection.disconnect(nowait=True)  # whose answers still come must not be used again
        if isinstance(error, TimeoutError):
            raise RedisTimeoutError(f"no answer for {connection.socket_timeout:g} s") from error
        raise
    finally:
        await pool.release(connection)


async def _answers(connection: AbstractConnection, count: int) -> list[Any]:
    """The next `count` answers. redis-py waits for the first one of a socket read; those after it are only parsed."""
    # SLF001: a call of redis-py an answer costs several times the parsing; the tests of this module hold the names
    parsed: Callable[[], Any] = connection._parser._reader.gets  # type: ignore[attr-defined]  # noqa: SLF001
    answers: list[Any] = []
    while len(answers) < count:
        try:
            answers.append(await connection.read_response(timeout=math.inf))
        except ResponseError as error:
            answers.append(error)
        while len(answers) < count and (answer := parsed()) is not NOT_ENOUGH_DATA:
            if isinstance(answer, RedisConnectionError):
                raise answer
            answers.append(answer)
    return answers


class Connection:
    """One client's state: whether it is connected, how often it was, and its last fault."""

    def __init__(
        self, settings: RedisSettings, metrics: Metrics, *, client_name: str = "tickstockpl-publisher"
    ) -> None:
        self._settings = settings
        self._client_name = client_name
        self._metrics = metrics
        self.db = int(parse_url(settings.connection_url()).get("db", 0))
        self.name = f"{settings.address} db {self.db}"
        """For people: without the password."""
        self.alive = False
        self.made = 0
        """Connections until now. redis-py replaces a broken idle one unasked, maybe to a Redis that lost its data."""
        self.faults = 0
        self.last_error: str | None = None
        self._repeats: dict[str, int] = {}

    def client(self) -> Redis:
        """A client that opens nothing yet. It never repeats a command by itself: its events may not be fresh then."""
        client: Redis = Redis.from_url(
            self._settings.connection_url(),
            protocol=2,
            client_name=self._client_name,
            socket_connect_timeout=self._settings.connect_timeout_s,
            socket_timeout=self._settings.pong_timeout_s,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._greet,
        )
        sturdy(client.connection_pool)
        return client

    async def establish(self, redis: Redis) -> None:
        """Wait until Redis answers, for ever, with jitter and a cap."""
        wait_max = self._settings.max_backoff_s
        retries = stamina.retry_context(
            LOST, attempts=None, timeout=None, wait_initial=0.05, wait_max=wait_max, wait_jitter=0.1
        )
        async for attempt in retries:
            heed_cancellation()
            with attempt:
                try:
                    await self.attempt(redis.ping())
                except LOST as error:
                    self.failed("redis cannot be reached", error)
                    raise
        self.alive = True
        self._repeats.clear()
        log.info("redis found", redis=self.name)

    async def lost(self, redis: Redis, error: Exception) -> None:
        """Close what is left of it."""
        self.alive = False
        self.failed("redis lost", error)
        await redis.connection_pool.disconnect()

    async def attempt(self, work: Awaitable[Any]) -> None:
        """Do it; a refusal by Redis (rights, memory, wrong type) is noted and nothing else stops for it."""
        try:
            await work
        except ResponseError as error:
            self.failed("redis refused", error)

    def failed(self, what: str, error: Exception) -> None:
        """Count a fault."""
        self.faults += 1
        self._metrics.publish_errors.inc()
        self.last_error = f"{what}: {reason(error, REDIS_TRUST)}"
        self.note(what, error=self.last_error, redis=self.name)

    def note(self, what: str, **facts: Any) -> None:
        """Log the 1st, 10th, 100th… of the same since Redis was last found."""
        count = self._repeats[what] = self._repeats.get(what, 0) + 1
        if count == 10 ** (len(str(count)) - 1):
            log.warning(what, count=count, **facts)

    async def _greet(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        self.made += 1
