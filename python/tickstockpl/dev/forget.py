"""Test symbols leave no trace: their rows and their entries in AppV2's pattern cache."""

from contextlib import aclosing
from typing import Final

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tickstockpl.dev.simulate import TEST_PREFIX
from tickstockpl.errors import ServerError
from tickstockpl.pattern_cache import BY_CONFIDENCE, BY_PATTERN, BY_SYMBOL, BY_TIME, ENTRY
from tickstockpl.postgres import connect

# `symbols` last: the others may refer to it.
TABLES: Final = (
    *("intraday_patterns", "intraday_indicators", "pattern_event", "pattern_outcome"),
    *("dead_letter", "ohlcv_daily", "ohlcv_1min"),
    "symbols",
)
_PATTERN: Final = f"^{TEST_PREFIX}[0-9]+$"


async def forget_rows(dsn: str) -> dict[str, int]:
    """Delete the rows of `ZZTEST…` symbols, and nothing else; rows by table, only tables that exist.

    Raises ServerError if the database cannot be reached or does not let us.
    """
    gone: dict[str, int] = {}
    try:
        connection = await connect(dsn)
        try:
            for table in TABLES:
                if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table):
                    delete = f"DELETE FROM {table} WHERE symbol ~ $1"  # noqa: S608  # a name from TABLES
                    status = await connection.execute(delete, _PATTERN)
                    gone[table] = int(status.split()[-1])
        finally:
            await connection.close(timeout=5)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise ServerError(f"cannot delete the rows of test symbols: {error}") from error
    return gone


async def forget_cached(url: str) -> int:
    """Delete the entries of `ZZTEST…` symbols from AppV2's pattern cache, indexes included; how many there were.

    Raises ServerError if Redis cannot be reached or refuses.
    """
    try:
        async with aclosing(Redis.from_url(url, protocol=2)) as client:
            entries = [key async for key in client.scan_iter(match=f"{ENTRY}{TEST_PREFIX}[0-9]*")]
            if entries:
                await client.unlink(*entries)
            for index in (BY_CONFIDENCE, BY_SYMBOL, BY_PATTERN, BY_TIME):
                # An index holds the id alone, or behind the symbol or the pattern: `{name}:{id}`.
                for match in (f"{TEST_PREFIX}[0-9]*", f"*:{TEST_PREFIX}[0-9]*"):
                    found = [member async for member, _ in client.zscan_iter(index, match=match)]
                    if found:
                        await client.zrem(index, *found)
            return len(entries)
    except (RedisError, OSError) as error:
        raise ServerError(f"cannot delete the cached patterns of test symbols: {error}") from error
