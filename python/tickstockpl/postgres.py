"""Connections to PostgreSQL with every timeout set.

asyncpg waits for ever on a black-holed socket, even inside `asyncio.timeout`, because the cancellation itself asks the
server. So each command has a limit on both sides, and a connection that has passed one is dropped, never reused.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from tickstockpl.errors import ServerError
from tickstockpl.settings import DATABASE_TRUST, DatabaseSettings
from tickstockpl.tls import reason

APPLICATION = "tickstockpl"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""One connection, of its own or out of a pool."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


def _session(command_timeout_s: float) -> dict[str, str]:
    """The server's own limits: a little tighter than ours, so that its error, which says more, comes first."""

    def ms(share: float) -> str:
        return str(max(1, round(1000 * share * command_timeout_s)))

    return {
        "application_name": APPLICATION,
        "statement_timeout": ms(0.9),
        "lock_timeout": ms(0.5),
        "idle_in_transaction_session_timeout": ms(2),
        "jit": "off",
    }


UNUSABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What is raised of a database that is not there, is lost, or refuses; a timeout is an OSError."""

_CANCELLED_OPENING = "unexpected connection_lost() call"
"""What asyncpg says to a connection that was asked for TLS and is gone before anybody waits for the answer."""


@contextmanager
def claimed_waiters() -> Iterator[None]:
    """Claim what asyncpg leaves behind when a connection dies as a COPY begins, or is cancelled as it opens.

    The operation itself has raised its error; the future's own would be a traceback of asyncio's in the log. Whatever
    else nobody claims goes where it went before.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unclaimed = context.get("exception")
        if isinstance(unclaimed, asyncpg.ConnectionDoesNotExistError) or str(unclaimed) == _CANCELLED_OPENING:
            return
        if before is None:
            loop.default_exception_handler(context)
        else:
            before(loop, context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


async def connect(
    dsn: str, *, connect_timeout_s: float = 5.0, command_timeout_s: float = 10.0, writes: bool = True
) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection to a server that takes writes, or without `writes` to any.

    Raises OSError, TimeoutError or an asyncpg error if there is none.
    """
    return await asyncpg.connect(
        dsn,
        timeout=connect_timeout_s,
        command_timeout=command_timeout_s,
        server_settings=_session(command_timeout_s),
        target_session_attrs=SessionAttribute.read_write if writes else SessionAttribute.any,
    )


async def has_timescale(connection: Connection) -> bool:
    """Whether the database has the extension."""
    has: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')")
    return has


@contextmanager
def usable(address: str) -> Iterator[None]:
    """Raise ServerError, with the address and what is wrong, for what a database does not manage in the block."""
    try:
        yield
    except UNUSABLE as error:
        raise ServerError(f"the database at {address} cannot be used: {reason(error, DATABASE_TRUST)}") from error


@asynccontextmanager
async def for_command(
    settings: DatabaseSettings, *, command_timeout_s: float = 600.0, writes: bool = True
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection for work that somebody waits for, dropped at the end; without `writes` a replica will do.

    Raises ServerError if the server cannot be used, in the block too.
    """
    with usable(settings.address):
        connection = await connect(
            settings.dsn(),
            connect_timeout_s=settings.connect_timeout_s,
            command_timeout_s=command_timeout_s,
            writes=writes,
        )
        try:
            yield connection
        finally:
            connection.terminate()


async def open_pool(
    dsn: str,
    *,
    size: tuple[int, int],
    connect_timeout_s: float,
    command_timeout_s: float,
    init: Callable[[Connection], Coroutine[Any, Any, None]],
) -> Pool:
    """A pool of connections to a server that takes writes.

    size: connections at least and at most.
    init: runs once on each new connection.
    """
    least, most = size
    return await asyncpg.create_pool(
        dsn,
        min_size=min(least, most),
        max_size=most,
        timeout=connect_timeout_s,
        command_timeout=command_timeout_s,
        server_settings=_session(command_timeout_s),
        target_session_attrs=SessionAttribute.read_write,
        init=init,
    )


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """One transaction that never waits for a server that no longer answers.

    Left by the server's own error: rolled back. Left by anything else (a timeout, a lost or cancelled connection): the
    connection is dropped, for a ROLLBACK would wait behind the very command that hangs.
    """
    current = connection.transaction()
    await current.start()
    try:
        yield
        await current.commit()
    except asyncpg.PostgresError:
        if not connection.is_closed():
            await current.rollback()
        raise
    except BaseException:
        with suppress(asyncpg.InterfaceError):  # its pool was dropped meanwhile, and it with it
            connection.terminate()
        raise
