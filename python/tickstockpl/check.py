"""`tickstockpl check`: what the service would run with, and whether each server would have it."""

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from tickstockpl import migrate, sessions
from tickstockpl.errors import TickstockError
from tickstockpl.settings import Settings, unknown_names

ROW_BYTES = 400
"""A waiting bar in the writer's memory, rounded up; `Backlog` states the same bound."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    said: str


async def findings(settings: Settings, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Finding]:
    """Look at everything that `run` needs, one thing after another."""
    unknown = unknown_names(environ)
    yield Finding("names", not unknown, f"not settings: {', '.join(unknown)}" if unknown else "all names are known")
    yield await _redis(settings)
    yield await _database(settings)
    yield _calendar(settings)
    rows = settings.writer.queue_minutes * settings.bars.max_symbols
    yield Finding(
        "memory",
        True,
        f"at most {rows:,} bars wait for the database ({settings.writer.queue_minutes} minutes x "
        f"{settings.bars.max_symbols:,} symbols), {rows * ROW_BYTES / 2**20:,.0f} MiB",
    )


async def _redis(settings: Settings) -> Finding:
    address = settings.redis.address + ("" if settings.redis.given else " (the default: nobody named a Redis)")
    client = redis.asyncio.Redis.from_url(
        settings.redis.connection_url(), protocol=2, socket_connect_timeout=settings.redis.connect_timeout_s
    )
    try:
        info: dict[str, Any] = await client.info("server")
        heard: list[tuple[Any, int]] = await client.pubsub_numsub(
            *settings.redis.channels, settings.redis.pattern_channel
        )
    except (RedisError, OSError) as error:
        return Finding("redis", False, f"{address}: {error}")
    finally:
        await client.aclose()
    subscribers = ", ".join(f"{name.decode()}: {count}" for name, count in heard)
    return Finding("redis", True, f"{address}, version {info['redis_version']}; subscribers now: {subscribers}")


async def _database(settings: Settings) -> Finding:
    try:
        missing = await migrate.pending(settings.database.dsn())
    except TickstockError as error:
        return Finding("database", False, str(error))
    if missing:
        return Finding(
            "database",
            False,
            f"{settings.database.address}: {len(missing)} statements are missing: run `tickstockpl migrate`",
        )
    return Finding("database", True, f"{settings.database.address}: the tables are as they must be")


def _calendar(settings: Settings) -> Finding:
    now = datetime.now(UTC)
    try:
        found = sessions.load(settings.session.calendar, settings.session.timezone, settings.state_dir, now.date())
    except TickstockError as error:
        return Finding("sessions", False, str(error))
    current = found.current(settings.session.mode, int(now.timestamp() * 1e6))
    state = "open now" if current else "no session now"
    return Finding("sessions", True, f"{settings.session.calendar}, {settings.session.mode}: {state}")
