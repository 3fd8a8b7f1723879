"""The whole product in under a minute: own servers, a simulated market, the service, and the proof at the end.

Nothing of the machine's settings is read and nothing is left behind: Redis and PostgreSQL live in a private folder for
as long as the demo does.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from rich.console import Console
from rich.live import Live

from tickstockpl import service, sessions
from tickstockpl.dev.feed import Sent, publish
from tickstockpl.dev.servers import EmbeddedServers, embedded_servers
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.dev.stored import equal_rows, newest_rows, stored_rows
from tickstockpl.dev.view import NEWEST, Result, Seen, screen, summary
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.migrate import migrate
from tickstockpl.moments import MINUTE_US
from tickstockpl.postgres import Connection, connect
from tickstockpl.settings import DatabaseSettings, HttpSettings, PublishSettings, RedisSettings, Settings

NAMES: Final = (
    "AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "AVGO", "BRK.B", "JPM",
    "LLY", "V", "XOM", "UNH", "MA", "COST", "HD", "PG", "JNJ", "SPY",
)  # fmt: skip
PLAY_S: Final = 20.0
"""How long the market is played, whatever its minutes: slow enough to watch."""
_SETTLE_S: Final = 20.0
_REFRESH_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What to show. keep: leave the service and its health port running until `stop`."""

    minutes: int = 120
    symbols: int = 20
    seed: int = 1
    keep: bool = False
    play_s: float = PLAY_S
    state_dir: Path | None = None
    """Holds the calendar cache and the service's log; default: the platform's own place."""


async def demo(
    *, minutes: int = 120, symbols: int = 20, seed: int = 1, keep: bool = False, stop: asyncio.Event | None = None
) -> int:
    """Run a demo on standard output; the exit code is 0 if every tick was folded and every bar is the true one.

    stop: ends it early, or ends the waiting of `keep`. Raises as `show` does.
    """
    result = await show(Demo(minutes=minutes, symbols=symbols, seed=seed, keep=keep), stop=stop)
    return 0 if result.right else 1


async def show(options: Demo, *, console: Console | None = None, stop: asyncio.Event | None = None) -> Result:
    """Run a demo to its end, showing it on `console` (default: standard output), and return what it has shown.

    stop: ends it early, or ends the waiting of `keep`.

    Raises SettingsError for options out of range or servers that are not installed, ServerError if one fails.
    """
    console = console or Console()
    stop = stop or asyncio.Event()
    began = time.monotonic()
    with embedded_servers() as servers:
        settings = _settings(servers, options)
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        with _log_to(settings.state_dir / "demo.log") as log_file:
            market = await _market(options, settings, console)
            await migrate(settings.database.dsn())
            stopped = asyncio.Event()
            async with _service(settings, stopped) as running:
                console.print(
                    f"the service is up: http://127.0.0.1:{running.port}/health, its log: {log_file}", soft_wrap=True
                )
                result = await _play(options, settings, market, running, console, stop, began)
                console.print(summary(result))
                if options.keep and not stop.is_set():
                    console.print(f"kept running: http://127.0.0.1:{running.port}/health, {servers.redis_url},")
                    console.print(f"{servers.database_uri}; Ctrl-C ends it", soft_wrap=True)
                    await stop.wait()
    return result


def _settings(servers: EmbeddedServers, options: Demo) -> Settings:
    """Ours alone: whatever the environment says is meant for a real service.

    Hours pass in seconds: at the pace that AppV2 can show, the events would take longer than the market.
    """
    settings = Settings(
        publish=PublishSettings(rate_per_s=2000.0),
        redis=RedisSettings(url=SecretStr(servers.redis_url)),
        database=DatabaseSettings(uri=SecretStr(servers.database_uri)),
        http=HttpSettings(port=0),
    )
    if options.state_dir is None:
        return settings
    return settings.model_copy(update={"state_dir": options.state_dir})


@contextmanager
def _log_to(path: Path) -> Iterator[Path]:
    """The service's log goes to a file while a person watches the screen."""
    before = structlog.get_config()
    with path.open("w", encoding="utf-8") as file:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.PrintLoggerFactory(file),
            cache_logger_on_first_use=False,
        )
        try:
            yield path
        finally:
            structlog.configure(**before)


async def _market(options: Demo, settings: Settings, console: Console) -> Market:
    """The beginning of the last finished session."""
    today = datetime.now(UTC).date()
    named = settings.session
    calendar = await asyncio.to_thread(
        sessions.load, named.calendar, named.timezone, settings.state_dir, today, say=console.print
    )
    opened_us, closed_us = calendar.last_finished(time.time_ns() // 1000)
    longest = (closed_us - opened_us) // MINUTE_US
    if options.minutes > longest:
        raise SettingsError(f"minutes must be at most {longest}, the last session's length, was {options.minutes}")
    names = NAMES[: options.symbols] + tuple(f"SIM{n}" for n in range(len(NAMES) + 1, options.symbols + 1))
    return Market(symbols=names, start_us=opened_us, minutes=options.minutes, seed=options.seed)


@asynccontextmanager
async def _service(settings: Settings, stopped: asyncio.Event) -> AsyncIterator[service.Running]:
    """The service in this process, from ready to drained."""
    ready: asyncio.Queue[service.Running] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run(settings, stop=stopped, on_ready=ready.put_nowait), name="service")
        running = await ready.get()
        await _until(lambda: bool(running.health.snapshot()["ready"]), "the service did not get ready")
        try:
            yield running
        finally:
            stopped.set()


async def _play(
    options: Demo,
    settings: Settings,
    market: Market,
    running: service.Running,
    console: Console,
    stop: asyncio.Event,
    began: float,
) -> Result:
    seen = Seen(market.start_us, market.minutes)
    simulation = Simulation(market)
    url, channel = settings.redis.connection_url(), settings.redis.channels[0]
    connection = await connect(settings.database.dsn())
    try:
        async with asyncio.TaskGroup() as tasks:
            subscribed = asyncio.Event()
            listener = tasks.create_task(_listen(settings, seen, subscribed))
            await subscribed.wait()
            played = asyncio.Event()
            tasks.create_task(_show(seen, running, connection, market, console, played))

            def note(sent: Sent) -> None:
                seen.sent = sent

            speed = market.minutes * 60 / options.play_s
            await publish(url, channel, simulation.batches(), speed=speed, stop=stop, progress=note)
            await _settle(running, simulation, seen, stop)
            listener.cancel()
            played.set()
        truth = simulation.true_bars()
        found = await stored_rows(connection, market.symbols)
        patterns = await connection.fetch("SELECT pattern, count(*) FROM pattern_event GROUP BY pattern")
    finally:
        await connection.close(timeout=5)
    return Result(
        minutes=market.minutes,
        symbols=len(market.symbols),
        sent=seen.sent.ticks,
        folded=_counters(running)["folded"],
        true_bars=len(truth),
        stored_bars=len(found),
        equal_bars=equal_rows(found, truth),
        patterns={str(name): int(count) for name, count in patterns},
        heard=seen.patterns.total(),
        example=seen.events[-1] if seen.events else None,
        seconds=time.monotonic() - began,
        complete=not stop.is_set(),
    )


async def _settle(running: service.Running, simulation: Simulation, seen: Seen, stop: asyncio.Event) -> None:
    """Wait until the last minute is closed, written and published; the comparison says if it never is."""
    expected = len(simulation.true_bars())
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until and not stop.is_set():
        stages = running.health.snapshot()["stages"]
        written = seen.bars >= expected and stages["writer"]["backlog_items"] == 0
        if written and stages["publisher"]["queued"] == 0:
            return
        await asyncio.sleep(_REFRESH_S)


async def _listen(settings: Settings, seen: Seen, subscribed: asyncio.Event) -> None:
    """Hear the pattern events as AppV2 would."""
    async with aclosing(Redis.from_url(settings.redis.connection_url())) as client, client.pubsub() as pubsub:
        await pubsub.subscribe(settings.redis.pattern_channel)
        async for message in pubsub.listen():
            subscribed.set()
            if message["type"] == "message":
                event: dict[str, Any] = json.loads(message["data"])
                seen.events.append(event)
                seen.patterns[event["pattern"]] += 1


async def _show(
    seen: Seen,
    running: service.Running,
    connection: Connection,
    market: Market,
    console: Console,
    played: asyncio.Event,
) -> None:
    """Keep `seen` and the screen fresh until all is played; without a terminal, a line every tenth."""
    symbols = list(market.symbols)

    async def refresh() -> None:
        seen.health = running.health.snapshot()
        seen.newest = await newest_rows(connection, symbols, NEWEST)
        seen.bars = await connection.fetchval("SELECT count(*) FROM ohlcv_1min WHERE symbol = ANY($1)", symbols)

    if console.is_terminal:
        with Live(screen(seen), console=console, auto_refresh=False, transient=True) as live:
            while not played.is_set():
                await refresh()
                live.update(screen(seen), refresh=True)
                await asyncio.sleep(_REFRESH_S)
        return
    tenths = 0
    while not played.is_set():
        await refresh()
        if (reached := int(seen.share * 10)) > tenths:
            tenths = reached
            console.print(seen.line(), highlight=False, soft_wrap=True)
        await asyncio.sleep(_REFRESH_S)


async def _until(holds: Callable[[], bool], complaint: str) -> None:
    until = time.monotonic() + _SETTLE_S
    while not holds():
        if time.monotonic() > until:
            raise ServerError(f"{complaint} within {_SETTLE_S:.0f} s")
        await asyncio.sleep(0.05)


def _counters(running: service.Running) -> dict[str, int]:
    counters: dict[str, int] = running.health.snapshot()["stages"]["pipeline"]["counters"]
    return counters
