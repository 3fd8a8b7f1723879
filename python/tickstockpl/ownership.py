"""One owner at a time: an advisory lock says who may begin, an epoch in every transaction who may write.

The lock goes with its connection, and a frozen process does not know that it lost it; the epoch is what keeps it from
writing all the same.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from tickstockpl import postgres
from tickstockpl.errors import FencedError, ServerError
from tickstockpl.position import Position
from tickstockpl.postgres import Connection
from tickstockpl.settings import DatabaseSettings

WATCH_S = 1.0
TAKE_OVER_S = 5.0
"""How long a new owner waits for the old one to let go of the lock; its rows are refused from the first moment on."""

_LOCK = "SELECT pg_try_advisory_lock(hashtext('tickstockpl'), hashtext($1))"
_CLAIM = """
INSERT INTO ingest_checkpoint AS known (part, epoch, owner) VALUES ($1, 1, $2)
ON CONFLICT (part) DO UPDATE SET epoch = known.epoch + 1, owner = $2, updated_at = now()
RETURNING epoch, src_id, position, (SELECT epoch FROM ingest_checkpoint WHERE part = '*repair') AS repairs
"""
_ADOPT = "UPDATE ingest_checkpoint SET src_id = $3, position = NULL, updated_at = now() WHERE part = $1 AND epoch = $2"
_OWNER = "SELECT epoch, owner FROM ingest_checkpoint WHERE part = $1"
_EVICT = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid() AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = hashtext('tickstockpl')::bit(32)::bigint AND objid = hashtext($1)::bit(32)::bigint
"""

log = structlog.get_logger(__name__)


class Ownership:
    """The right to write one part of the work.

    part: what is owned; two services with different parts may share a database. connected: told of each new connection
    to the database.
    """

    def __init__(self, settings: DatabaseSettings, part: str, connected: Callable[[], None] | None = None) -> None:
        self._settings = settings
        self._connected = connected
        self.part = part
        self.epoch = 0
        self.src_id: UUID | None = None
        """The source whose messages the rows name; None before the first run."""
        self.position: Position | None = None
        """Where the run before had come to, of that source."""
        self.repairs = 0
        """How often rows had been put right by hand when this run began."""
        self.locked = False
        self._owner = f"{socket.gethostname()} pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        self._connection: Connection | None = None

    async def acquire(self, *, take_over: bool = False) -> None:
        """Become the owner, waiting for as long as another one lives.

        take_over: do not wait: from now on the other one's transactions fail.
        Raises ServerError if the database cannot be used.
        """
        with postgres.usable(self._settings.address):
            await self._acquire(take_over=take_over)

    async def _acquire(self, *, take_over: bool) -> None:
        connection = await self._connect()
        if take_over:
            await self._claim(connection)
            await self._evict(connection)
            return
        told = ""
        while not await self._try_lock(connection):
            holder = await connection.fetchrow(_OWNER, self.part)
            who = str(holder["owner"]) if holder is not None else "somebody who has not said its name yet"
            if who != told:
                told = who
                log.warning("another process owns the ticks; waiting for it to end", owner=who, part=self.part)
            await asyncio.sleep(WATCH_S)
        await self._claim(connection)

    async def adopt(self, src_id: UUID) -> None:
        """From now on rows name messages of this source; of another one's position nothing is left.

        Raises FencedError if another process has taken over, ServerError if the database cannot be used.
        """
        if src_id == self.src_id:
            return
        with postgres.usable(self._settings.address):
            connection = self._connection or await self._connect()
            adopted = await connection.execute(_ADOPT, self.part, self.epoch, src_id)
        if adopted != "UPDATE 1":
            raise self.fenced()
        self.src_id, self.position = src_id, None

    async def watch(self) -> None:
        """Notice that another process has taken over, and get the lock back that went with a lost connection.

        Ends only with FencedError.
        """
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                connection = self._connection or await self._connect()
                row = await connection.fetchrow(_OWNER, self.part)
                if row is None or row["epoch"] != self.epoch:
                    raise self.fenced(row["owner"] if row is not None else "nobody")
                if not self.locked and not await self._try_lock(connection):
                    log.debug("the owner's lock is held by another process still", part=self.part)
            except postgres.UNUSABLE:
                self._drop()

    def fenced(self, owner: str = "") -> FencedError:
        """What to raise when a transaction finds another epoch."""
        by = f" ({owner})" if owner else ""
        return FencedError(f"another process has taken over {self.part!r}{by}: this one must not write any more")

    def close(self) -> None:
        """Give the lock up."""
        self._drop()

    async def _connect(self) -> Connection:
        connection = await postgres.connect(
            self._settings.dsn(),
            connect_timeout_s=self._settings.connect_timeout_s,
            command_timeout_s=self._settings.command_timeout_s,
        )
        self._connection = connection
        if self._connected is not None:
            self._connected()
        return connection

    async def _try_lock(self, connection: Connection) -> bool:
        self.locked = bool(await connection.fetchval(_LOCK, self.part))
        return self.locked

    async def _claim(self, connection: Connection) -> None:
        row = await connection.fetchrow(_CLAIM, self.part, self._owner)
        assert row is not None  # noqa: S101  # it inserts or updates
        self.epoch, self.src_id = row["epoch"], row["src_id"]
        self.position = position_of(row["position"])
        self.repairs = row["repairs"] or 0

    async def _evict(self, connection: Connection) -> None:
        """End the session that holds the lock; whoever may not do that goes on without it, for the epoch decides."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TAKE_OVER_S
        while not await self._try_lock(connection) and loop.time() < until:
            with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
                await connection.execute(_EVICT, self.part)
            await asyncio.sleep(0.05)
        log.warning("taken over", part=self.part, epoch=self.epoch, locked=self.locked)

    def _drop(self) -> None:
        connection, self._connection, self.locked = self._connection, None, False
        if connection is not None:
            connection.terminate()


def position_of(text: Any) -> Position | None:
    """What the checkpoint's column holds.

    Raises ServerError if that is no position.
    """
    if text is None:
        return None
    try:
        return Position.of_values(orjson.loads(text))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ServerError(
            f"ingest_checkpoint.position cannot be read ({error!r}): set it to NULL to begin without it; "
            "bars that were open are then flagged"
        ) from None
