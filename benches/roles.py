"""The processes of the service bench: `python -m benches.roles publisher|counter|service URL...`.

Each says on standard output, as lines of JSON, when it is ready and what it measured, and goes on when a line comes on
standard input. Times are the machine's monotonic clock, the same for all of them.
"""

import asyncio
import json
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import structlog
import uvloop

from benches import ticks
from tickstockpl import service
from tickstockpl.settings import DatabaseSettings, HttpSettings, RedisSettings, Settings

WRITE_BYTES = 1 << 18
POLL_S = 0.01


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def cpu_s() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_mib() -> float:
    """Largest resident memory so far; getrusage's own counts what the parent had before this process began."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def connect(url: str) -> tuple[Any, socket.socket]:
    """A connection that redis-py has opened and authenticated, and its socket, which is ours from then on."""
    connection: Any = redis.Redis.from_url(url, protocol=2).connection_pool.get_connection()
    sock: socket.socket = connection._sock  # noqa: SLF001  # redis-py has no public way to it
    sock.settimeout(None)
    return connection, sock


def publisher(url: str, stream: Path) -> None:
    """Write prepared PUBLISH commands as fast as Redis takes them, once for each line that comes in.

    Redis is told not to answer: nobody would read the answers.
    """
    connection, sock = connect(url)
    connection.send_command("CLIENT", "REPLY", "OFF")
    commands = memoryview(stream.read_bytes())
    say(ready=True)
    for _ in sys.stdin:
        started = time.monotonic()
        for at in range(0, len(commands), WRITE_BYTES):
            sock.sendall(commands[at : at + WRITE_BYTES])
        say(started=started, ended=time.monotonic())


def counter(url: str, expected: int) -> None:
    """Subscribe and count bytes until all have come: the least that any subscriber must do."""
    connection, sock = connect(url)
    connection.send_command("SUBSCRIBE", ticks.CHANNEL)
    connection.read_response()
    buffer = bytearray(WRITE_BYTES)
    say(ready=True)
    count = 0
    before_s = cpu_s()
    while count < expected:
        count += sock.recv_into(buffer)
    say(done=time.monotonic(), cpu_s=cpu_s() - before_s)


async def until(condition: Callable[[], bool]) -> None:
    """Look every 10 ms: a status costs the service some 50 µs, half a percent of its core."""
    while not condition():  # noqa: ASYNC110  # the service has no event for a bench
        await asyncio.sleep(POLL_S)


async def run_service(url: str, database: str, expected: int, state_dir: Path) -> None:
    """The service as `tickstockpl run` runs it, until every tick has been folded and every bar stored."""
    settings = Settings(
        redis=RedisSettings.model_validate({"url": url, "channels": (ticks.CHANNEL,)}),
        database=DatabaseSettings.model_validate({"uri": database}),
        http=HttpSettings(port=0),
        state_dir=state_dir,
    )
    stop = asyncio.Event()
    up: asyncio.Future[service.Running] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run(settings, stop=stop, on_ready=up.set_result))
        health = (await up).health
        await until(lambda: health.statuses()["ingest"]["connected"])
        say(ready=True)
        before_s = cpu_s()
        await until(lambda: health.statuses()["pipeline"]["counters"]["ticks"] >= expected)
        done, folded_s = time.monotonic(), cpu_s()
        await until(lambda: not any(health.statuses()["writer"][name] for name in ("backlog_items", "backlog_rows")))
        stored, stored_s = time.monotonic(), cpu_s()
        statuses = health.statuses()
        counters = statuses["pipeline"]["counters"]
        stop.set()
    say(
        done=done,
        cpu_s=folded_s - before_s,
        stored=stored,
        cpu_stored_s=stored_s - before_s,
        rss_mib=rss_mib(),
        folded=counters["folded"],
        detections=counters["detections"],
        reconnections=statuses["ingest"]["reconnections"],
        pauses=statuses["ingest"]["pauses"],
    )


def main() -> None:
    role, url, *rest = sys.argv[1:]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if role == "publisher":
        publisher(url, Path(rest[0]))
    elif role == "counter":
        counter(url, int(rest[0]))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_service(url, rest[0], int(rest[1]), Path(rest[2])))


if __name__ == "__main__":
    main()
