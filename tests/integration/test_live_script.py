"""`scripts/test_live_integration.py --auto` against a real service: it passes, fails and refuses where it must."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from tickstockpl import service
from tickstockpl.migrate import migrate
from tickstockpl.settings import DatabaseSettings, HttpSettings, IngestSettings, RedisSettings, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

TOKEN = "a-token-of-this-test"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "test_live_integration.py"


@pytest.fixture
def settings(redis: str, database: str, state_dir: Path) -> Settings:
    """Channels of one's own: they are the Redis server's, whatever the database number; and files, by the part."""
    run = uuid.uuid4().hex[:8]
    return Settings(
        redis=RedisSettings(
            url=SecretStr(redis), channels=(f"data.raw.{run}",), pattern_channel=f"tickstock.events.patterns.{run}"
        ),
        database=DatabaseSettings(uri=SecretStr(database)),
        http=HttpSettings(port=0, token=SecretStr(TOKEN)),
        ingest=IngestSettings(part=run),
        state_dir=state_dir,
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[int]:
    """The service, migrated and listening; its health port."""
    await migrate(settings.database.dsn())
    stop = asyncio.Event()
    ready: asyncio.Queue[service.Running] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run(settings, stop=stop, on_ready=ready.put_nowait))
        up = await ready.get()
        while not up.health.snapshot()["ready"]:
            await asyncio.sleep(0.05)
        try:
            yield up.port
        finally:
            stop.set()


async def script(
    settings: Settings, port: int, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL
) -> tuple[int, str]:
    """(exit code, output) of the script with the settings in its environment."""
    environment = {
        **os.environ,
        "REDIS_URL": settings.redis.connection_url(),
        "DATABASE_URI": settings.database.dsn(),
        "REDIS_PATTERN_CHANNEL": settings.redis.pattern_channel,
        "TICKSTOCKPL_REDIS__CHANNELS": ",".join(settings.redis.channels),
        "TICKSTOCKPL_HTTP__PORT": str(port),
        "TICKSTOCKPL_HTTP__TOKEN": TOKEN,
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, *arguments, env=environment,
        stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="a person is played through a pseudo-terminal")
@pytest.mark.parametrize("answer", [b"n\n", b"\x04"], ids=["no", "Ctrl-D"])
async def test_a_person_is_asked_before_anything_is_sent(settings: Settings, answer: bytes) -> None:
    person, terminal = os.openpty()
    async with running(settings) as port:
        os.write(person, answer)
        code, out = await script(settings, port, "--watch", "0.5", stdin=terminal)
        assert code == 0, out
        assert f"Send simulated ticks of 20 test symbols to {settings.redis.channels[0]}? [Y/n]" in out
        assert "not sent: you said no" in out
        assert await rows(settings, "ohlcv_1min") == 0
    os.close(person)
    os.close(terminal)


async def rows(settings: Settings, table: str) -> int:
    connection = await asyncpg.connect(settings.database.dsn())
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
    finally:
        await connection.close()


async def test_a_whole_chain_holds_and_leaves_no_rows_behind(settings: Settings) -> None:
    async with running(settings) as port:
        code, out = await script(settings, port, "--auto", "--watch", "0.5")
        assert "FAIL" not in out
        assert code == 0, out
        for link in ("Redis", "database", "service", "simulated ticks", "rows in ohlcv_1min", "pattern events"):
            assert f"pass  {link}" in out
        assert "200 of 200 bars, 200 of them equal to the true ones" in out
        assert await rows(settings, "ohlcv_1min") == 0
        assert await rows(settings, "pattern_event") == 0


async def test_a_service_that_does_not_run_fails_with_advice(settings: Settings) -> None:
    await migrate(settings.database.dsn())
    code, out = await script(settings, 9, "--auto", "--watch", "0.2")
    assert code == 1
    assert "FAIL  service" in out
    assert "what to do: start it with: tickstockpl run" in out
    assert "skip  simulated ticks: not sent" in out


async def test_an_empty_database_fails_with_advice(settings: Settings) -> None:
    code, out = await script(settings, 9, "--auto", "--watch", "0.2")
    assert code == 1
    assert "has no table ohlcv_1min" in out
    assert "what to do: run: tickstockpl migrate" in out


async def test_servers_that_are_not_there_fail_one_by_one(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={
            "redis": RedisSettings(url=SecretStr("redis://127.0.0.1:9/0")),
            "database": DatabaseSettings(uri=SecretStr("postgresql://nobody@127.0.0.1:9/none")),
        }
    )
    code, out = await script(nowhere, 9, "--auto")
    assert code == 1
    assert "FAIL  Redis" in out
    assert "FAIL  database" in out
    assert "Traceback" not in out


async def test_auto_refuses_a_channel_with_live_ticks(settings: Settings) -> None:
    async with aclosing(Redis.from_url(settings.redis.connection_url())) as client, running(settings) as port:
        async with asyncio.TaskGroup() as tasks:
            live = tasks.create_task(_live_ticks(client, settings.redis.channels[0]))
            code, out = await script(settings, port, "--auto", "--watch", "1")
            live.cancel()
        assert code == 1
        assert "pass  live ticks" in out
        assert "refused: the channel carries live ticks" in out
        connection = await asyncpg.connect(settings.database.dsn())
        try:
            assert await connection.fetchval("SELECT count(*) FROM ohlcv_1min WHERE symbol LIKE 'ZZTEST%'") == 0
        finally:
            await connection.close()


async def _live_ticks(client: Redis, channel: str) -> None:
    while True:
        await client.publish(channel, json.dumps({"ticker": "AAPL", "price": 1.0}))
        await asyncio.sleep(0.1)


async def test_without_a_person_and_without_auto_nothing_is_done(settings: Settings) -> None:
    code, out = await script(settings, 9)
    assert code == 2
    assert out.strip() == "nobody is there to answer questions: use --auto"
