"""AppV2's table `pattern_definitions`: read at the start, and again whenever somebody says that it has changed.

That is said by SIGHUP, by any message on `payload.PATTERN_DEFINITIONS`, and by each new connection to the database or
to Redis, for what was said meanwhile was not heard. A reading that fails changes nothing: it is told once, and tried
again until it succeeds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import stamina
import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tickstockpl import payload, postgres
from tickstockpl.connection import LOST, Connection, heed_cancellation
from tickstockpl.errors import ServerError
from tickstockpl.metrics import Metrics
from tickstockpl.settings import Settings
from tickstockpl.switches import Definition, Switches
from tickstockpl.trouble import Trouble

TABLE = "pattern_definitions"
NEEDED = ("name", "enabled")
"""Columns without which it is not AppV2's; `confidence_threshold` is read where it is."""

TRIES = 5
"""To read it before anything is sent."""
RETRY_S = 10.0
PAUSE_S = 1.0
"""Between two readings, however often it is said that the table has changed."""
SILENCE_S = 10.0
"""Without a word from Redis for so long it is asked whether it is there."""
REFUSED_RETRY_S = 10.0

_COLUMNS = """
SELECT attname::text AS name FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""

log = structlog.get_logger(__name__)


class Unreadable(Exception):
    """The table is there and we may not read it; the message says what its owner has to run."""


async def definitions_in(connection: postgres.Connection) -> list[Definition] | None:
    """The rows of the table; None if there is none.

    Raises Unreadable without the right to read it, ServerError if it is not AppV2's, and what asyncpg raises.
    """
    columns = {row["name"] for row in await connection.fetch(_COLUMNS, TABLE)}
    if not columns:
        return None
    if missing := [name for name in NEEDED if name not in columns]:
        raise ServerError(f"{TABLE} has no column {missing[0]}")
    least = "confidence_threshold::float8" if "confidence_threshold" in columns else "NULL::float8"
    values = f"name::text, coalesce(enabled::boolean, true), {least}"
    try:
        # S608: the names are our own words
        rows = await connection.fetch(f"SELECT {values} FROM {TABLE} WHERE name IS NOT NULL ORDER BY name")  # noqa: S608
    except asyncpg.InsufficientPrivilegeError:
        user = await connection.fetchval("SELECT quote_ident(current_user)")
        raise Unreadable(f"GRANT SELECT ON {TABLE} TO {user};") from None
    return [Definition(*row) for row in rows]


class Definitions:
    """The newest that the table has said: `switches`, which others read whenever they need it.

    patterns, ids_of: as `Switches.of` takes them. asked: set whenever the table may have changed.
    """

    def __init__(
        self,
        settings: Settings,
        patterns: Sequence[Mapping[str, Any]],
        ids_of: Callable[[str], Iterable[str]],
        asked: asyncio.Event,
    ) -> None:
        self.switches = Switches()
        self._is_read = settings.patterns.definitions
        self._database = settings.database
        self._link = Connection(settings.redis, Metrics(), client_name="tickstockpl-definitions")
        self._max_backoff_s = settings.redis.max_backoff_s
        self._patterns, self._ids_of = patterns, ids_of
        self._asked = asked
        self._trouble = Trouble()
        self._refusal = Trouble()
        self._is_there: bool | None = None
        self._listens = False
        self._reads = 0
        self._told: set[tuple[str, str]] = set()
        """What was logged, and of what."""

    def ask(self) -> None:
        """Have the table read soon."""
        self._asked.set()

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What is to run beside the stages, until cancelled; nothing where the settings do not want the table."""
        if self._is_read:
            yield "definitions", self.run()
            yield "definitions.listen", self.listen()

    def status(self) -> dict[str, Any]:
        """How it goes, as plain values."""
        unheard = self._refusal.state(f"that {TABLE} has changed is not heard")
        unread = self._trouble.state(f"{TABLE} cannot be read, what it said before holds")
        return {
            **(unread if self._trouble.times else unheard),
            "read": self._is_read,
            "reads": self._reads,
            "table": bool(self._is_there),
            "listening": self._listens,
            "off": len(self.switches.off),
            "thresholds": len(self.switches.least),
            "unknown": len(self.switches.unknown),
        }

    async def read(self) -> bool:
        """Read the table; False, and what it said before holds, if that fails."""
        if not self._is_read:
            return True
        self._asked.clear()
        timeout_s = self._database.command_timeout_s
        try:
            async with postgres.for_command(self._database, command_timeout_s=timeout_s) as connection:
                rows = await definitions_in(connection)
        except Unreadable as error:
            self._tell_once(log.warning, "pattern_definitions may not be read: as its owner run", str(error))
            self._trouble.over()
            return True
        except ServerError as error:
            if self._trouble.again(str(error)):
                log.warning("pattern_definitions cannot be read, what it said before holds", error=str(error))
            return False
        self._take(rows)
        if self._trouble.times:
            self._trouble.over()
            log.info("pattern_definitions can be read again")
        self._reads += 1
        return True

    async def begin(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read the table for the first time: what it switches off must not be sent because it was not known.

        Raises ServerError if it cannot be read in several tries.
        """
        for _ in range(TRIES - 1):
            if await self.read():
                return
            await sleep(PAUSE_S)
        if not await self.read():
            raise ServerError(
                f"{TABLE} cannot be read, and what it switches off would be sent: {self._trouble.reason}; "
                "TICKSTOCKPL_PATTERNS__DEFINITIONS=false does without it"
            )

    async def run(self) -> None:
        """Read whenever it is asked for, and again where that failed."""
        while True:
            heed_cancellation()
            if self._trouble.times:
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_S):
                        await self._asked.wait()
            else:
                await self._asked.wait()
            await self.read()
            await asyncio.sleep(PAUSE_S)

    async def listen(self) -> None:
        """Ask whenever somebody says on Redis that the table has changed; survives any loss of Redis."""
        retries = stamina.retry_context(
            self._again, attempts=None, timeout=None, wait_initial=0.1, wait_max=self._max_backoff_s, wait_jitter=0.5
        )
        async with self._link.client() as redis:
            async for attempt in retries:
                heed_cancellation()
                with attempt:
                    try:
                        await self._hear(redis)
                    finally:
                        self._listens = False

    async def _hear(self, redis: Redis) -> None:
        """One subscription, to its end; raises one of LOST, or what Redis refused."""
        waiting = False
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(payload.PATTERN_DEFINITIONS)
            while True:
                heed_cancellation()
                message = await pubsub.get_message(timeout=SILENCE_S)
                if message is None and waiting:
                    raise RedisConnectionError(f"no answer for {SILENCE_S:g} s")
                if message is None:
                    await pubsub.ping()
                elif message["type"] != "pong":
                    self._listens = True
                    self._refusal.over()
                    self.ask()
                waiting = message is None

    def _again(self, error: Exception) -> bool | float:
        """Whether and when to subscribe again; called by stamina. That Redis is away, others say."""
        if isinstance(error, ResponseError):
            if self._refusal.again(str(error)):
                log.warning("redis refused", error=str(error), channel=payload.PATTERN_DEFINITIONS)
            return REFUSED_RETRY_S
        return isinstance(error, LOST)

    def _take(self, rows: list[Definition] | None) -> None:
        if rows is None and self._is_there is not False:
            log.debug("there is no table pattern_definitions: the settings decide")
        self._is_there = rows is not None
        before, self.switches = self.switches, Switches.of(rows or (), self._patterns, self._ids_of)
        now = self.switches
        if (now.off, now.least) != (before.off, before.least):
            log.info("patterns are switched", off=sorted(now.off), thresholds=len(now.least))
        self._tell_once(log.info, "pattern_definitions has names that are none of our patterns", *now.unknown)
        self._tell_once(log.warning, "a confidence_threshold is not within 0 and 1: not heeded", *now.unfit)

    def _tell_once(self, say: Callable[..., Any], event: str, *what: str) -> None:
        fresh = [each for each in what if (event, each) not in self._told]
        self._told.update((event, each) for each in fresh)
        if fresh:
            say(event, what=fresh)
