"""The two servers of a bench: those that scripts/with_servers.py named, and a database of one's own on one of them."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis

from tickstockpl.migrate import migrate

DATABASE, REDIS = "TICKSTOCKPL_TEST_DATABASE_URI", "TICKSTOCKPL_TEST_REDIS_URL"
LIMIT = "client-output-buffer-limit"


def url(name: str) -> str:
    """The URL that scripts/with_servers.py put into the environment."""
    if found := os.environ.get(name):
        return found
    raise SystemExit(f"{name} is not set: run `make bench`, which starts the servers")


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The URI of a fresh database with TimescaleDB and our tables; dropped at the end."""
    admin, name = url(DATABASE), f"tickstockpl_bench_{uuid.uuid4().hex[:12]}"
    uri = urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))
    execute(admin, f"CREATE DATABASE {name}")
    try:
        execute(uri, "SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS timescaledb")
        if not asyncio.run(migrate(uri)).hypertable:
            raise SystemExit("ohlcv_1min is no hypertable here: the numbers would be another table's")
        yield uri
    finally:
        execute(admin, f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def unlimited_pubsub() -> Iterator[str]:
    """Redis without its limit for slow subscribers, which would cut one that lags 32 MB behind; set back at the end."""
    address = url(REDIS)
    with contextlib.closing(redis.Redis.from_url(address, protocol=2)) as client:
        before = str(client.config_get(LIMIT)[LIMIT])
        client.config_set(LIMIT, "pubsub 0 0 0")
        try:
            yield address
        finally:
            client.config_set(LIMIT, before)


def execute(uri: str, sql: str) -> None:
    """Run SQL on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(uri)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run())


def forget(url: str, key: str) -> None:
    """Delete a key of Redis."""
    with redis.Redis.from_url(url) as client:
        client.delete(key)
