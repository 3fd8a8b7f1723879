"""Fixtures for all tests: the two servers, a database and a Redis number of one's own, servers that may be killed.

The servers are those of TICKSTOCKPL_TEST_DATABASE_URI and TICKSTOCKPL_TEST_REDIS_URL (`make test` sets them); without
these names a session starts its own through scripts/with_servers.py. Each further worker of pytest-xdist starts servers
of its own in any case: who names servers uses one worker, `-n 0`, as `make test` then does.

The service's own variables are taken out of the environment first, so that no test can reach a server that somebody
works with.
"""

import asyncio
import contextlib
import gc
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis as redis_py
import structlog

from commands import Done, Run
from own_servers import OwnServers, lent
from tickstockpl import cli, logs
from tickstockpl.migrate import migrate

WITH_SERVERS = Path(__file__).resolve().parent.parent / "scripts" / "with_servers.py"
DATABASE, REDIS = "TICKSTOCKPL_TEST_DATABASE_URI", "TICKSTOCKPL_TEST_REDIS_URL"
SERVICE_NAMES = {
    "DATABASE_URI", "MARKET_TIMEZONE", "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_USERNAME",
    "REDIS_PASSWORD", "REDIS_PATTERN_CHANNEL", "REDIS_ERROR_CHANNEL", "MASSIVE_API_KEY", "POLYGON_API_KEY",
}  # fmt: skip
LIBPQ_NAMES = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGPASSFILE", "PGSERVICE", "PGSSLMODE"}


def pytest_configure() -> None:
    """Take every variable of the service out of the environment, for this process and those that tests start."""
    for name in list(os.environ):
        ours = name.startswith("TICKSTOCKPL_") and not name.startswith("TICKSTOCKPL_TEST_")
        if ours or name.removesuffix("_FILE") in SERVICE_NAMES | LIBPQ_NAMES:
            del os.environ[name]


def pytest_collection_finish() -> None:
    """Let no later look for garbage go through what importing and collecting the tests has made."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """asyncio is what the service runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def server_urls() -> Iterator[dict[str, str]]:
    """The two servers' URLs by variable name; a session that is not given any starts and stops its own."""
    if os.environ.get("TICKSTOCKPL_TEST_WITHOUT_SERVERS") == "1":
        pytest.skip("TICKSTOCKPL_TEST_WITHOUT_SERVERS=1: tests that need a server do not run")
    named = {name: os.environ[name] for name in (DATABASE, REDIS) if os.environ.get(name)}
    further = os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0"
    if len(named) == 2 and not further:
        yield named
        return
    # The servers live until the holder's standard input ends, which it does however this process ends.
    holder = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"
    command: list[str | Path] = [sys.executable, WITH_SERVERS, *["--fresh"] * further, sys.executable, "-c", holder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        assert started.stdout is not None
        line = started.stdout.readline()
        if not line:
            pytest.fail(
                f"the test servers did not start (see above); name your own with {DATABASE} and {REDIS}, "
                "or set TICKSTOCKPL_TEST_WITHOUT_SERVERS=1 to run only what needs none"
            )
        environment = json.loads(line)
        yield {name: environment[name] for name in (DATABASE, REDIS)}
    assert started.returncode == 0


@pytest.fixture(scope="session")
def database_uri(server_urls: dict[str, str]) -> str:
    """The test server's administrator, who may create and drop databases."""
    return server_urls[DATABASE]


@pytest.fixture(scope="session")
def redis_url(server_urls: dict[str, str]) -> str:
    """The test server's Redis; its database numbers 1 to 15 are lent to tests."""
    return server_urls[REDIS]


@pytest.fixture(scope="session")
def template(database_uri: str) -> Iterator[str]:
    """The name of a database with the timescaledb extension, to be copied: nobody can connect to it."""
    with lent_database(database_uri) as uri:
        execute(uri, "SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS timescaledb")
        yield closed(database_uri, uri)


@pytest.fixture(scope="session")
def migrated_template(database_uri: str, template: str) -> Iterator[str]:
    """As `template`, with the tables that `tickstockpl migrate` makes in an empty database."""
    with lent_database(database_uri, template) as uri:
        asyncio.run(migrate(uri))
        yield closed(database_uri, uri)


@pytest.fixture
def database(database_uri: str, template: str) -> Iterator[str]:
    """The URI of an empty database with the timescaledb extension, dropped after the test with all who use it."""
    with lent_database(database_uri, template) as uri:
        yield uri


@pytest.fixture
def ready(database_uri: str, migrated_template: str) -> Iterator[str]:
    """As `database`, and migrated: what a service may start on."""
    with lent_database(database_uri, migrated_template) as uri:
        yield uri


@pytest.fixture
def redis(redis_url: str) -> Iterator[str]:
    """The URL of an empty database number, flushed after the test. Channels know no numbers: they are the server's."""
    for number in range(1, 16):
        url = urlunsplit(urlsplit(redis_url)._replace(path=f"/{number}"))
        with contextlib.closing(redis_py.Redis.from_url(url)) as client:
            if client.dbsize() == 0:
                yield url
                client.flushdb()
                return
    pytest.fail(f"{REDIS} has no empty database number between 1 and 15")


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One calendar for all tests that run the service: it takes seconds to compute."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def command(
    tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the command in this process, in an empty folder; names given are environment variables.

    Its log is silent: loggers that are made for one test's standard error would outlive it.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure", lambda _: None)
    monkeypatch.setenv("TICKSTOCKPL_STATE_DIR", str(state_dir))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TICKSTOCKPL_HTTP__PORT", "0")

    def run(*words: str, **environ: str) -> Done:
        capsys.readouterr()
        code = 0
        with monkeypatch.context() as patched, structlog.testing.capture_logs():
            patched.setattr(sys, "argv", ["tickstockpl", *words])
            for name, value in environ.items():
                patched.setenv(name, value)
            try:
                cli.main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def own_servers(server_urls: dict[str, str]) -> Iterator[Callable[..., OwnServers]]:
    """Makes servers that one test may kill, freeze and restart: `own_servers(redis=True, postgres=True)`."""
    del server_urls  # asked for so that a session without servers skips these tests too
    with contextlib.ExitStack() as made:

        def make(*, redis: bool = False, postgres: bool = False) -> OwnServers:
            return made.enter_context(lent(redis=redis, postgres=postgres))

        yield make


@contextlib.contextmanager
def lent_database(server: str, template: str = "") -> Iterator[str]:
    """The URI of a new database on the server, a copy of `template` if any, dropped in the end with all who use it."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    # Whose template is named, be it the usual one, is visited by TimescaleDB's scheduler just then.
    execute(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def closed(server: str, uri: str) -> str:
    """The name of the database at `uri`, which nobody is connected to any more, nor can be."""
    name = urlsplit(uri).path.removeprefix("/")
    execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    # TimescaleDB's scheduler was faster than that.
    execute(server, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    return name


def execute(uri: str, sql: str) -> None:
    """Run statements on a connection of their own, outside of any test's loop."""

    async def once() -> None:
        connection = cast("Any", await asyncpg.connect(uri, timeout=10))
        try:
            await connection.execute(sql, timeout=30)
        finally:
            await connection.close()

    asyncio.run(once())
