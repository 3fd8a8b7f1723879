"""The whole service beside a test, in this process or as a child, and what a test asks of it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from redis.asyncio import Redis

from listening import own_channels
from tickstockpl import service
from tickstockpl.dev.feed import aggregate_message, message_head, message_tail
from tickstockpl.settings import Settings

MINUTE = 60_000_000
SECOND = 1_000_000
QUICK_REDIS: dict[str, Any] = {"ping_s": 0.1, "pong_timeout_s": 1.0, "connect_timeout_s": 1.0, "max_backoff_s": 0.1}
QUICK_DATABASE: dict[str, Any] = {"command_timeout_s": 1.0, "connect_timeout_s": 1.0}


def settings_for(database: str, redis: str, state_dir: Path, /, **sections: dict[str, Any]) -> Settings:
    """A service on these servers, with channels that nobody else uses; sessions are `always` unless said otherwise."""
    ticks, patterns, errors = own_channels(3)
    given: dict[str, dict[str, Any]] = {
        "redis": {"url": redis, "channels": (ticks,), "pattern_channel": patterns, "error_channel": errors},
        "database": {"uri": database},
        "ingest": {"part": uuid.uuid4().hex},
        "session": {"mode": "always"},
        "writer": {"batch_age_s": 0.05},
        "http": {"port": 0},
    }
    for name, values in sections.items():
        given[name] = given.get(name, {}) | values
    return Settings.model_validate(given | {"state_dir": state_dir})


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


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for what another task or process does without telling us."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


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


class Child:
    """`tickstockpl run` as a process of its own; its log is JSON lines."""

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

    async def quiet(self, within_s: float = 30.0) -> None:
        """Wait until no bar is open and everything is stored."""
        async with asyncio.timeout(within_s):
            while True:
                stages = (await self.health())["stages"]
                if not stages["pipeline"]["counters"]["open_bars"] and not stages["writer"]["backlog_rows"]:
                    return
                await asyncio.sleep(0.05)

    async def ends(self, within_s: float) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()

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
    following = asyncio.create_task(started.follow())
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await following


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make a process use `settings`, as far as tests set them."""
    redis, database = settings.redis, settings.database
    given = {
        "DATABASE_URI": database.dsn(),
        "REDIS_URL": redis.connection_url(),
        "REDIS_PATTERN_CHANNEL": redis.pattern_channel,
        "REDIS_ERROR_CHANNEL": redis.error_channel,
        "TICKSTOCKPL_REDIS__CHANNELS": ",".join(redis.channels),
        "TICKSTOCKPL_REDIS__MAX_BACKOFF_S": str(redis.max_backoff_s),
        "TICKSTOCKPL_INGEST__PART": settings.ingest.part,
        "TICKSTOCKPL_INGEST__SPOOL": str(settings.ingest.spool),
        "TICKSTOCKPL_INGEST__MODE": settings.ingest.mode,
        "TICKSTOCKPL_INGEST__STREAM": settings.ingest.stream,
        "TICKSTOCKPL_INGEST__FILE": str(settings.ingest.file or ""),
        "TICKSTOCKPL_BARS__MAX_SYMBOLS": str(settings.bars.max_symbols),
        "TICKSTOCKPL_WRITER__QUEUE_MINUTES": str(settings.writer.queue_minutes),
        "TICKSTOCKPL_BARS__REVISE_S": str(settings.bars.revise_s),
        "TICKSTOCKPL_SESSION__MODE": settings.session.mode,
        "TICKSTOCKPL_WRITER__BATCH_AGE_S": str(settings.writer.batch_age_s),
        "TICKSTOCKPL_HTTP__PORT": str(settings.http.port),
        "TICKSTOCKPL_LOG__FORMAT": "json",
        "TICKSTOCKPL_STATE_DIR": str(settings.state_dir),
    }
    return {**os.environ, **given}


def tick(ts_us: int, symbol: str = "ZZTEST1", price: float = 100.0, volume: int = 100) -> bytes:
    """An aggregate as AppV2 sends it, stamped with its END."""
    mid, _ = message_tail("polygon")
    text = aggregate_message(message_head(symbol), mid, ts_us / 1e6, price, price, price, price, volume, "null")
    return text.encode()
