"""The processes of the benches over Redis: `python -m benches.roles ROLE URL...`.

Each says on standard output, as lines of JSON, when it is ready and what it measured, and goes on when a line comes on
standard input. Times are the machine's monotonic clock, the same for all of them.
"""

import asyncio
import bisect
import json
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hiredis
import numpy as np
import redis
import structlog
import uvloop

from benches import ticks
from tickstockpl import service
from tickstockpl.clock import SystemClock
from tickstockpl.settings import (
    DatabaseSettings,
    HttpSettings,
    IngestSettings,
    PatternSettings,
    PublishSettings,
    RedisSettings,
    Settings,
)

WRITE_BYTES = 1 << 18
POLL_S = 0.01
EVENTS = RedisSettings().pattern_channel


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


def pacer(url: str, stream: Path, schedule: Path) -> None:
    """Write prepared PUBLISH commands when they are due, once for each line that comes in.

    schedule: as numpy saves it: where each command ends in `stream`, and how many seconds after the start it is due.
    What is written late stays due when it was. Says when the start was, and how late the pieces were written.
    """
    connection, sock = connect(url)
    connection.send_command("CLIENT", "REPLY", "OFF")
    commands, found = memoryview(stream.read_bytes()), np.load(schedule)
    ends, due_s = found["ends"].tolist(), found["due_s"].tolist()
    say(ready=True)
    for _ in sys.stdin:
        late_s = []
        started = time.monotonic() + 0.1
        at = written = 0
        while at < len(ends):
            time.sleep(max(0.0, started + due_s[at] - time.monotonic()))
            due = max(at + 1, bisect.bisect_right(due_s, time.monotonic() - started))
            sock.sendall(commands[written : ends[due - 1]])
            late_s.append(time.monotonic() - started - due_s[at])
            at, written = due, ends[due - 1]
        say(started=started, ended=time.monotonic(), late_p99_s=np.percentile(late_s, 99), late_max_s=max(late_s))


def echo(url: str, expected: int, every: int) -> None:
    """Answer every n-th tick with an event that has its number, and do nothing else: what the two hops cost alone."""
    connection, sock = connect(url)
    connection.send_command("SUBSCRIBE", ticks.CHANNEL)
    connection.read_response()
    answers, out = connect(url)
    answers.send_command("CLIENT", "REPLY", "OFF")
    reader, count = hiredis.Reader(), 0
    say(ready=True)
    while count < expected:
        reader.feed(sock.recv(WRITE_BYTES))
        numbers = []
        while reader.gets() is not False:
            if count % every == 0:
                numbers.append(b"%d" % count)
            count += 1
        if numbers:
            out.sendall(ticks.published(numbers, EVENTS))
    say(done=time.monotonic())


def listener(url: str, found: Path) -> None:
    """Note when each event arrived, until a line comes in; then write (second, payload) of all of them to a file."""
    connection, sock = connect(url)
    connection.send_command("SUBSCRIBE", EVENTS)
    connection.read_response()
    reader, heard = hiredis.Reader(), []
    say(ready=True)
    while True:
        ready, _, _ = select.select([sock, sys.stdin], [], [])
        if sock in ready:
            reader.feed(sock.recv(WRITE_BYTES))
            now = time.monotonic()
            while (reply := reader.gets()) is not False:
                heard.append((now, reply[2].decode()))
        elif not sys.stdin.readline():
            return
        else:
            found.write_text(json.dumps(heard), encoding="utf-8")
            say(heard=len(heard))
            heard.clear()


def seed(url: str, expected: int, windows: Path, made: Path) -> None:
    """The seed's service over `expected` ticks; its bars and events go to the file `made`, to be checked."""
    from benches.seed_service import SeedService

    history = np.load(windows)
    running = SeedService(
        redis.Redis.from_url(url), dict(zip(history["symbols"].tolist(), history["bars"], strict=True))
    )
    before_s = 0.0

    def ready() -> None:
        nonlocal before_s
        say(ready=True)
        before_s = cpu_s()

    running.start()
    running.consume(expected, ready)
    done, folded_s = time.monotonic(), cpu_s()
    running.finish()
    finished, finished_s = time.monotonic(), cpu_s()
    made.write_text(json.dumps(running.made()), encoding="utf-8")
    say(
        done=done, cpu_s=folded_s - before_s, finished=finished, cpu_finished_s=finished_s - before_s, rss_mib=rss_mib()
    )


async def until(condition: Callable[[], bool]) -> None:
    """Look every 10 ms: a status costs the service some 50 µs, half a percent of its core."""
    while not condition():  # noqa: ASYNC110  # the service has no event for a bench
        await asyncio.sleep(POLL_S)


class MorningClock(SystemClock):
    """The machine's clock, set to a moment after the simulated ticks, so that stored bars of that day are warm."""

    def __init__(self, now_us: int) -> None:
        self._shift_us = now_us - super().now_us()

    def now_us(self) -> int:
        return super().now_us() + self._shift_us


async def run_service(
    url: str, database: str, expected: int, state_dir: Path, setting: dict[str, Any] | None = None
) -> None:
    """The service as `tickstockpl run` runs it, until every tick has been folded and every bar stored.

    setting: `ingest` for that section, without which there is no spool; and, all three or none, `rate_per_s` of
    `publish`, `patterns` for `patterns.enabled` and `now_us`, what its clock says at first: the service then also runs
    until every event is sent.
    """
    setting = setting or {}
    paced = "rate_per_s" in setting
    settings = Settings(
        redis=RedisSettings.model_validate({"url": url, "channels": (ticks.CHANNEL,)}),
        database=DatabaseSettings.model_validate({"uri": database}),
        ingest=IngestSettings.model_validate(setting.get("ingest", {"spool": False})),
        publish=PublishSettings(rate_per_s=setting["rate_per_s"]) if paced else PublishSettings(),
        patterns=PatternSettings(enabled=setting.get("patterns")),
        http=HttpSettings(port=0),
        state_dir=state_dir,
    )
    clock = MorningClock(setting["now_us"]) if paced else None
    stop = asyncio.Event()
    up: asyncio.Future[service.Running] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run(settings, stop=stop, clock=clock, on_ready=up.set_result))
        health = (await up).health
        await until(lambda: health.statuses()["ingest"]["connected"])
        say(ready=True)
        before_s = cpu_s()
        await until(lambda: health.statuses()["pipeline"]["counters"]["ticks"] >= expected)
        done, folded_s = time.monotonic(), cpu_s()
        await until(lambda: not any(health.statuses()["writer"][name] for name in ("backlog_items", "backlog_rows")))
        stored, stored_s = time.monotonic(), cpu_s()
        if paced:
            await until(lambda: not health.statuses()["publisher"]["queued"])
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
        pauses=statuses["ingest"].get("pauses", 0),
        **{name: statuses["publisher"][name] for name in ("sent", "expired", "dropped")},
    )


def main() -> None:
    role, url, *rest = sys.argv[1:]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if role == "publisher":
        publisher(url, Path(rest[0]))
    elif role == "counter":
        counter(url, int(rest[0]))
    elif role == "pacer":
        pacer(url, Path(rest[0]), Path(rest[1]))
    elif role == "echo":
        echo(url, int(rest[0]), int(rest[1]))
    elif role == "listener":
        listener(url, Path(rest[0]))
    elif role == "seed":
        seed(url, int(rest[0]), Path(rest[1]), Path(rest[2]))
    else:
        setting = json.loads(rest[3]) if len(rest) > 3 else None
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_service(url, rest[0], int(rest[1]), Path(rest[2]), setting))


if __name__ == "__main__":
    main()
