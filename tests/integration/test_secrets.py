"""Secrets stay secret: they are planted wherever one can stand, and looked for in every line that the commands print.

Each password begins and ends with a word that no encoding changes, and holds every character that URLs escape.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
from redis import Redis

from bar_samples import ran, rows
from conftest import execute
from own_servers import lent
from running import MINUTE, SECOND, tick
from tickstockpl.clock import SystemClock
from waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

WORDS = {"database": "quokka", "redis": "wombat", "token": "bilby"}
DATABASE_PASSWORD, REDIS_PASSWORD = (
    f"{WORDS[where]} 1/2#3?4:5@6[7]8%9é&=+'\"{WORDS[where]}" for where in ("database", "redis")
)
TOKEN = f"{WORDS['token']}-~.+/-{WORDS['token']}"
COMMANDS = {
    "run": ("run",),
    "check": ("check",),
    "migrate": ("migrate",),
    "simulate": ("simulate", "--yes", "--minutes", "1", "--speed", "0", "--channel", "test.secrets"),
    "forget": ("simulate", "--forget"),
}


@dataclass(frozen=True, slots=True)
class Planted:
    """Servers that let the user `planted` in by its passwords only."""

    database_port: int
    redis_port: int
    admin_uri: str
    """Of the database `planted`, by the role that may do everything."""
    redis_url: str

    def environment(
        self, database_password: str = DATABASE_PASSWORD, redis_password: str = REDIS_PASSWORD
    ) -> dict[str, str]:
        """Variables with a secret each; the Redis password stands apart from the URL."""
        return {
            "DATABASE_URI": f"postgresql://planted:{quote(database_password, safe='')}"
            f"@127.0.0.1:{self.database_port}/planted",
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.redis_port),
            "TICKSTOCKPL_REDIS__USERNAME": "planted",
            "TICKSTOCKPL_REDIS__PASSWORD": redis_password,
            "TICKSTOCKPL_HTTP__TOKEN": TOKEN,
            "TICKSTOCKPL_HTTP__PORT": "0",
            "TICKSTOCKPL_LOG__LEVEL": "debug",
            "TICKSTOCKPL_REDIS__MAX_BACKOFF_S": "0.2",
            "TICKSTOCKPL_DATABASE__CONNECT_TIMEOUT_S": "2",
            "TICKSTOCKPL_REDIS__CHANNELS": "test.secrets",
            "TICKSTOCKPL_SESSION__MODE": "always",
            "TICKSTOCKPL_WRITER__BATCH_AGE_S": "0.05",
        }

    def with_urls(self, **passwords: str) -> dict[str, str]:
        """The same with the Redis password inside of a URL."""
        environ = self.environment(**passwords)
        user, password = environ.pop("TICKSTOCKPL_REDIS__USERNAME"), environ.pop("TICKSTOCKPL_REDIS__PASSWORD")
        address = f"{environ.pop('REDIS_HOST')}:{environ.pop('REDIS_PORT')}"
        return environ | {"REDIS_URL": f"redis://{user}:{quote(password, safe='')}@{address}/0"}


@pytest.fixture(scope="module")
def planted(server_urls: dict[str, str]) -> Iterator[Planted]:
    del server_urls  # asked for so that a session without servers skips these tests too
    with lent(redis=True, postgres=True) as servers:
        quoted = DATABASE_PASSWORD.replace("'", "''")
        execute(servers.database_uri, f"CREATE ROLE planted LOGIN PASSWORD '{quoted}'")
        execute(servers.database_uri, "CREATE DATABASE planted OWNER planted")
        admin_uri = urlsplit(servers.database_uri)._replace(path="/planted").geturl()
        execute(admin_uri, "CREATE EXTENSION timescaledb")
        access = servers.postgres.folder / "pg" / "pg_hba.conf"
        access.write_text(f"host all planted all scram-sha-256\n{access.read_text()}")
        execute(servers.database_uri, "SELECT pg_reload_conf()")
        with contextlib.closing(Redis.from_url(servers.redis_url)) as client:
            client.acl_setuser(
                "planted",
                enabled=True,
                passwords=[f"+{REDIS_PASSWORD}"],
                keys=["*"],
                channels=["*"],
                categories=["+@all"],
            )
        yield Planted(int(servers.postgres.port), int(servers.redis.port), admin_uri, servers.redis_url)


@pytest.fixture
def state(state_dir: Path) -> dict[str, str]:
    return {"TICKSTOCKPL_STATE_DIR": str(state_dir)}


def leaks(text: str) -> list[str]:
    """The lines with a planted secret, or a part of one, in them."""
    return [line for line in text.splitlines() if any(word in line.lower() for word in WORDS.values())]


async def said(command: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Exit code, and all that the command printed; `run` is told to stop once it has tried its servers."""
    async with started(command, environ) as running:
        if command == "run":
            await until(lambda: running.process.returncode is not None or running.has("redis cannot be"), 40)
            running.stop()
        await asyncio.wait_for(running.process.wait(), 40)
    assert running.process.returncode is not None
    return running.process.returncode, running.text


class Running:
    """A command in a process of its own, and what it has printed until now."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def follow(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.text += line.decode()

    def has(self, words: str) -> bool:
        return words in self.text

    async def until_said(self, words: str) -> None:
        await until(lambda: self.has(words) or self.process.returncode is not None, 40)
        assert self.has(words), self.text

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def started(command: str, environ: Mapping[str, str]) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tickstockpl", *COMMANDS[command]),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Running(process)
    following = asyncio.create_task(running.follow())
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await following


def files_of(environ: dict[str, str], folder: Path) -> dict[str, str]:
    """The same settings, each secret in a file of its own that a variable names."""
    given = {}
    for name, value in environ.items():
        if leaks(value):
            (folder / name).write_text(f"{value}\n", encoding="utf-8")
            given[f"{name}_FILE"] = str(folder / name)
        else:
            given[name] = value
    return given


def folder_of(environ: dict[str, str], folder: Path) -> dict[str, str]:
    """The same settings, all of them files in a folder of secrets."""
    for name, value in environ.items():
        (folder / name.lower()).write_text(f"{value}\n", encoding="utf-8")
    return {"TICKSTOCKPL_SECRETS_DIR": str(folder)}


@pytest.mark.parametrize("form", ["console", "json"])
async def test_with_the_right_secrets_every_command_works_and_prints_none(
    planted: Planted, state: dict[str, str], tmp_path: Path, form: str
) -> None:
    environ = planted.environment() | state | {"TICKSTOCKPL_LOG__FORMAT": form}
    given = folder_of(environ, tmp_path) if form == "json" else files_of(environ, tmp_path)
    for command in ("migrate", "check", "simulate", "forget"):
        code, text = await said(command, given)
        assert (code, leaks(text)) == (0, []), (command, text)
    assert "***" in (await said("check", given))[1]


@pytest.mark.parametrize(
    ("fault", "form"),
    [
        ("wrong", "json"),
        ("wrong in the URL", "console"),
        ("unreachable", "json"),
        ("malformed URI", "console"),
        ("malformed URL", "json"),
    ],
)
async def test_with_wrong_secrets_or_servers_no_command_prints_one(
    planted: Planted, state: dict[str, str], fault: str, form: str
) -> None:
    # what is wrong is nearly right: to print it is to print most of the secret
    wrong = {"database_password": f"{DATABASE_PASSWORD}x", "redis_password": f"{REDIS_PASSWORD}x"}
    environ = planted.environment(**wrong) if fault == "wrong" else planted.with_urls(**wrong)
    if fault == "unreachable":
        environ["DATABASE_URI"] = environ["DATABASE_URI"].replace(f":{planted.database_port}/", ":1/")
        environ["REDIS_URL"] = environ["REDIS_URL"].replace(f":{planted.redis_port}/", ":1/")
    elif fault == "malformed URI":
        environ["DATABASE_URI"] = environ["DATABASE_URI"].replace(quote(DATABASE_PASSWORD, safe=""), DATABASE_PASSWORD)
    elif fault == "malformed URL":
        environ["REDIS_URL"] = environ["REDIS_URL"].replace(quote(REDIS_PASSWORD, safe=""), REDIS_PASSWORD)
    environ |= state | {"TICKSTOCKPL_LOG__FORMAT": form}
    done = await asyncio.gather(*(said(command, environ) for command in COMMANDS))
    for command, (code, text) in zip(COMMANDS, done, strict=True):
        assert (code, leaks(text)) == (2, []), (command, text)
        assert "Traceback" not in text
    checked = done[list(COMMANDS).index("check")][1]
    expected = {
        "unreachable": "Connection refused",
        "malformed URI": "DATABASE_URI: must",
        "malformed URL": "REDIS_URL: must",
    }
    assert expected.get(fault, "password authentication failed") in checked
    assert ("invalid username-password pair" in checked) is fault.startswith("wrong")


@pytest.mark.parametrize("form", ["console", "json"])
async def test_a_service_whose_passwords_are_taken_away_prints_none_and_shows_none_over_http(
    planted: Planted, state: dict[str, str], form: str
) -> None:
    environ = planted.with_urls() | state | {"TICKSTOCKPL_LOG__FORMAT": form}
    assert (await said("migrate", environ))[0] == 0
    now_us = SystemClock().now_us() // MINUTE * MINUTE
    async with started("run", environ) as running, aiohttp.ClientSession() as client:
        await running.until_said("redis subscribed")
        await running.until_said("redis found")
        (line,) = (line for line in running.text.splitlines() if "/health" in line)
        url = line.partition("http://")[2].partition("/health")[0]

        async def seen() -> str:
            """Everything that is answered, with the token and without."""
            text = ""
            for path in ("/health", "/ready", "/metrics", "/nothing"):
                for token in (TOKEN, f"{TOKEN}x", None):
                    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
                    async with client.get(f"http://{url}{path}", headers=headers) as answer:
                        assert (answer.status == 401) is (token != TOKEN)
                        text += f"{answer.headers}\n{await answer.text()}\n"
            return text

        before = await seen()
        with contextlib.closing(Redis.from_url(planted.redis_url)) as admin:

            def play(minute: int) -> None:
                for n in range(3):
                    admin.publish("test.secrets", tick(now_us - (9 - minute) * MINUTE + (50 + n * 5) * SECOND))

            await ran(planted.admin_uri, "ALTER ROLE planted PASSWORD 'another'")
            try:
                gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'planted'"
                await rows(planted.admin_uri, gone)
                for minute in range(3):
                    play(minute)
                await running.until_said("bars not stored")
                async with asyncio.timeout(20):
                    while "password authentication failed" not in await seen():
                        await asyncio.sleep(0.05)
                admin.acl_setuser("planted", enabled=False)
                admin.client_kill_filter(user="planted", skipme=False)
                await running.until_said("redis cannot be used")
                await running.until_said("redis cannot be reached")
                assert "invalid username-password pair" in running.text
                after = await seen()
            finally:
                quoted = DATABASE_PASSWORD.replace("'", "''")
                await ran(planted.admin_uri, f"ALTER ROLE planted PASSWORD '{quoted}'")
                admin.acl_setuser("planted", enabled=True)
        assert "password authentication failed" in after
        running.stop()
        assert await asyncio.wait_for(running.process.wait(), 30) == 0
    assert leaks(before + after) == []
    assert leaks(running.text) == []
