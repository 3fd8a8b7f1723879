"""The whole service beside a test, in this process or as a child, and what a test asks of it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, SecretStr
from redis.asyncio import Redis

from listening import own_channels
from tickstockpl import service
from tickstockpl.clock import SystemClock
from tickstockpl.dev.feed import aggregate_message, message_head, message_tail
from tickstockpl.dev.simulate import TrueBars
from tickstockpl.dev.stored import equal_rows, stored_rows
from tickstockpl.loading import load
from tickstockpl.postgres import connect
from tickstockpl.settings import Settings
from tickstockpl.stream import number_of
from waiting import until

MINUTE = 60_000_000
SECOND = 1_000_000
QUICK_REDIS: dict[str, Any] = {"ping_s": 0.1, "pong_timeout_s": 1.0, "connect_timeout_s": 1.0, "max_backoff_s": 0.1}
QUICK_DATABASE: dict[str, Any] = {"command_timeout_s": 1.0, "connect_timeout_s": 1.0}


def settings_for(database: str, redis: str, state_dir: Path, /, **sections: dict[str, Any]) -> Settings:
    """A service on these servers, with channels that nobody else uses; sessions are `always` unless said otherwise."""
    ticks, patterns, errors, outcomes = own_channels(4)
    given: dict[str, dict[str, Any]] = {
        "redis": {
            "url": redis,
            "channels": (ticks,),
            "pattern_channel": patterns,
            "error_channel": errors,
            "outcome_channel": outcomes,
        },
        "database": {"uri": database},
        "ingest": {"part": uuid.uuid4().hex},
        "session": {"mode": "always"},
        "writer": {"batch_age_s": 0.05},
        "http": {"port": 0},
    }
    for name, values in sections.items():
        given[name] = given.get(name, {}) | values
    return Settings.model_validate(given | {"state_dir": state_dir})


class Shifted:
    """A clock of another day that runs as ours does."""

    def __init__(self, now_us: int) -> None:
        self._ahead_us = now_us - time.time_ns() // 1000

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self._ahead_us

    def monotonic_s(self) -> float:
        return time.monotonic()


class Up:
    """A service that runs in this process."""

    def __init__(self, settings: Settings, running: service.Running, client: Any) -> None:
        self.settings = settings
        self.running = running
        self._client = client

    @property
    def channel(self) -> str:
        return self.settings.redis.channels[0]

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        return self.running.health.statuses()

    @property
    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.stages["pipeline"]["counters"]
        return counters

    async def send(self, payloads: Iterable[bytes]) -> None:
        """Publish messages, and return when the engine has had them."""
        given = list(payloads)
        wanted = self.counters["messages"] + len(given)
        async with self._client.pipeline(transaction=False) as pipe:
            for payload in given:
                pipe.publish(self.channel, payload)
            await pipe.execute()
        await until(lambda: self.counters["messages"] >= wanted)

    async def stored(self) -> None:
        """Wait until nothing is on its way to the database or to a subscriber."""
        await until(lambda: self.stages["writer"]["backlog_items"] == 0 and self.stages["publisher"]["queued"] == 0)
        wanted = self.stages["writer"]["batches"]
        await until(lambda: self.stages["writer"]["backlog_rows"] == 0 and self.stages["writer"]["batches"] >= wanted)


def minutes_ago(count: int) -> int:
    """The start of the minute so long before this one, µs."""
    return (SystemClock().now_us() // MINUTE - count) * MINUTE


async def equal_bars(uri: str, truth: TrueBars) -> int:
    """How many of the stored bars are the true ones."""
    connection = await connect(uri)
    try:
        return equal_rows(await stored_rows(connection, truth.symbols), truth)
    finally:
        await connection.close()


@asynccontextmanager
async def serving(settings: Settings, **options: Any) -> AsyncIterator[Up]:
    """The service, from subscribed to drained."""
    stop = asyncio.Event()
    ready: asyncio.Queue[service.Running] = asyncio.Queue()
    async with Redis.from_url(settings.redis.connection_url(), protocol=2) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run(settings, stop=stop, on_ready=ready.put_nowait, **options))
        async with asyncio.timeout(20):
            up = Up(settings, await ready.get(), client)
        await until(lambda: bool(up.stages["ingest"]["connected"]))
        try:
            yield up
        finally:
            stop.set()


@asynccontextmanager
async def narrowed(
    settings: Settings, *lacking: str, others: str = "tickstock*"
) -> AsyncIterator[tuple[Settings, tuple[Any, str]]]:
    """The settings with a user of Redis who lacks some rights, rules of an ACL, and hears `others` beside our channels.

    With a client who may change that, and the user's name.
    """
    url, name = settings.redis.connection_url(), f"zztest_{uuid.uuid4().hex[:8]}"
    admin: Any
    async with Redis.from_url(url) as admin:
        heard = (*settings.redis.channels, settings.redis.pattern_channel, settings.redis.error_channel)
        channels = [f"&{channel}" for channel in (*heard, settings.redis.outcome_channel, others)]
        allowed = [rule for rule in channels if f"-{rule}" not in lacking]
        rules = [rule for rule in lacking if not rule.startswith("-&")]
        await admin.execute_command("ACL", "SETUSER", name, "on", ">pw", "~*", "+@all", *allowed, *rules)
        try:
            user = SecretStr(url.replace("redis://", f"redis://{name}:pw@"))
            yield settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": user})}), (admin, name)
        finally:
            await admin.execute_command("ACL", "DELUSER", name)


async def newest(client: Any, stream: str) -> int:
    """The number of the stream's last entry."""
    ((entry_id, _),) = await client.xrevrange(stream, count=1)
    return number_of(entry_id)


class Child:
    """`tickstockpl run` as a process of its own; its log is JSON lines."""

    following: asyncio.Task[None]
    """Reads the log to its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.other: list[str] = []

    async def follow(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.other.append(line.decode())

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line.get("event") == event]

    async def until_said(self, event: str, within_s: float = 60.0) -> dict[str, Any]:
        """The first line of the log with this event."""
        await until(lambda: bool(self.said(event)) or self.process.returncode is not None, within_s)
        assert self.said(event), (self.process.returncode, self.log, self.other)
        return self.said(event)[0]

    async def health(self) -> dict[str, Any]:
        """What it answers at the address that it said."""
        url = (await self.until_said("ready"))["health"]
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            body: dict[str, Any] = await answer.json()
            return body

    async def quiet(self, within_s: float = 30.0, *, messages: int = 0, src: int = -1) -> None:
        """Wait until no bar is open and everything is stored, which it also is before anything was read.

        messages: so many must have come that are no replay. src: up to this number the source must have been read.
        """
        async with asyncio.timeout(within_s):
            while True:
                stages = (await self.health())["stages"]
                pipeline, writer = stages["pipeline"], stages["writer"]
                counters = pipeline["counters"]
                read = counters["messages"] - pipeline["replayed"] >= messages and pipeline["next_src"] > src
                if read and not (counters["open_bars"] or writer["backlog_rows"] or writer["backlog_items"]):
                    return
                await asyncio.sleep(0.05)

    async def ends(self, within_s: float | None) -> int:
        """Its exit code, once its log is read to the end."""
        async with asyncio.timeout(within_s):
            code = await self.process.wait()
            await asyncio.wait([self.following])
            return code

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)


@asynccontextmanager
async def child(settings: Settings, *command: str) -> AsyncIterator[Child]:
    """The command (default: run) in a process of its own, with these settings as its environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tickstockpl", *(command or ("run",))),
        env=environment_of(settings),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    started = Child(process)
    started.following = asyncio.create_task(started.follow())
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await started.following


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make a process use `settings`, and log lines of JSON."""
    given = {f"TICKSTOCKPL_{name}": value for name, value in _told(settings, type(settings)())}
    environ = {**os.environ, **given, "TICKSTOCKPL_LOG__FORMAT": "json"}
    wanted = settings.model_copy(update={"log": settings.log.model_copy(update={"format": "json"})})
    assert load(environ=environ) == wanted, "a setting of this test cannot be told to a process, or is overruled"
    return environ


def _told(section: BaseModel, usual: BaseModel) -> Iterator[tuple[str, str]]:
    """Name and text of each setting that is not as usual."""
    for name in type(section).model_fields:
        value, default = getattr(section, name), getattr(usual, name)
        if isinstance(value, BaseModel):
            yield from ((f"{name.upper()}__{rest}", text) for rest, text in _told(value, default))
        elif value != default:
            value = value.get_secret_value() if isinstance(value, SecretStr) else value
            yield name.upper(), ",".join(value) if isinstance(value, tuple) else str(value)


def tick(ts_us: int, symbol: str = "ZZTEST1", price: float = 100.0, volume: int = 100) -> bytes:
    """An aggregate as AppV2 sends it, stamped with its END."""
    mid, _ = message_tail("polygon")
    text = aggregate_message(message_head(symbol), mid, ts_us / 1e6, price, price, price, price, volume, "null")
    return text.encode()
