"""A service that is killed, frozen and cut off at random moments, its servers too; and what must hold all the same.

A feed writes a market into a stream, and tries again until Redis has taken each tick. At the end the bars must be those
of a fold, by the oracle, of every entry that is there; and every event must be stored once and sent.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bar_samples import rows
from fault.proxy import FaultProxy
from oracle import Oracle, Row, Rules
from own_servers import OwnServers
from running import MINUTE, SECOND, Child, child, settings_for
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.migrate import migrate
from tickstockpl.settings import Settings
from tickstockpl.stream import arrival_us, number_of
from waiting import until

SYMBOLS = tuple(f"ZZTEST{n}" for n in range(1, 9))
PATTERNS = ("volume_spike", "doji", "engulfing", "hammer", "high_of_day")
BARS = "SELECT symbol, timestamp, open, high, low, close, volume, trades, vwap, revision, quality FROM ohlcv_1min"
BARE_BAR = ("open", "high", "low", "close", "volume", "trades", "revision")

KILL = "service killed"
FAULTS = {
    KILL: 30,
    "service frozen": 1,
    "redis killed": 2,
    "redis black hole": 1,
    "redis reset": 2,
    "postgres stopped": 2,
    "postgres black hole": 1,
    "postgres reset": 2,
    "postgres slow": 2,
}
"""Each fault, and how often it comes beside the others."""


@dataclass
class Report:
    """What was done, and what came of it."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    ticks: int = 0
    bars: int = 0
    wrong: list[Any] = field(default_factory=list)
    flagged: int = 0
    gaps: int = 0
    events: int = 0
    heard: int = 0
    repeated: int = 0
    unsent: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Events heard that are in no table, that came again with another content, or that are not stored exactly once."""
    refused: int = 0
    """Starts that ended since a server was away: a service manager tries again."""
    ended: list[Any] = field(default_factory=list)
    """Ends of the service that nobody caused."""
    recoveries_s: list[float] = field(default_factory=list)
    """From a kill until the service reads the stream again."""

    @property
    def holds(self) -> bool:
        return not (self.wrong or self.unsent or self.strange or self.ended or self.flagged or self.gaps)

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        times = sorted(self.recoveries_s) or [0.0]
        yield f"seed {self.seed}, {self.seconds:.0f} s"
        yield "faults     " + ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        yield f"ticks      {self.ticks:,} in the stream"
        yield f"bars       {self.bars:,}, {len(self.wrong)} wrong, {self.flagged} flagged, {self.gaps} gap rows"
        heard = f"{self.heard:,} heard, {self.repeated} of them again"
        yield f"events     {self.events:,} stored, {heard}, {len(self.unsent)} unsent"
        yield f"starts     {self.refused} refused, since a server was away"
        yield f"recovery   {times[len(times) // 2]:.2f} s in the middle, {times[-1]:.2f} s at most"
        for name in ("wrong", "unsent", "strange", "ended"):
            for each in getattr(self, name)[:20]:
                yield f"{name:<10} {str(each)[:400]}"


class Chaos:
    """One run on servers of its own, whose Redis keeps an append-only file and syncs it always.

    kills: how many times the service is killed; the other faults come between.
    """

    def __init__(self, servers: OwnServers, state_dir: Path, *, seed: int, kills: int) -> None:
        self._servers = servers
        self._state_dir = state_dir
        self._rng = random.Random(seed)
        self._kills = kills
        self._report = Report(seed)
        self._service: Child | None = None
        self._expected = False
        self._done = asyncio.Event()
        self._fed = asyncio.Event()
        self._heard: dict[str, list[str]] = defaultdict(list)

    async def run(self) -> Report:
        started_s = time.monotonic()
        redis, database = urlsplit(self._servers.redis_url), urlsplit(self._servers.database_uri)
        async with contextlib.AsyncExitStack() as stack:
            self._redis_proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", redis.port or 0))
            self._postgres_proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", database.port or 0))
            settings = settings_for(
                _through(database, self._postgres_proxy.port),
                _through(redis, self._redis_proxy.port),
                self._state_dir,
                ingest={"mode": "stream"},
                bars={"revise_s": 60.0},
                patterns={"enabled": PATTERNS},
                publish={"rate_per_s": 5000.0},
                redis={"pong_timeout_s": 1.0, "connect_timeout_s": 1.0, "max_backoff_s": 0.5},
                database={"command_timeout_s": 2.0, "connect_timeout_s": 2.0},
            )
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(self._feed(settings))
                hearing = tasks.create_task(self._hear(settings.redis.pattern_channel))
                serving = tasks.create_task(self._serve(settings))
                await self._harm()
                self._fed.set()
                await feeding
                await self._settled(settings)
                self._done.set()
                await serving
                hearing.cancel()
            await self._judge(settings)
        self._report.seconds = time.monotonic() - started_s
        return self._report

    async def _feed(self, settings: Settings) -> None:
        """A market at a hundred times its speed; a tick is tried until Redis has it."""
        begin_us = (SystemClock().now_us() // MINUTE - 1400) * MINUTE
        market = Market(
            symbols=SYMBOLS,
            start_us=begin_us,
            minutes=1390,
            seed=self._report.seed,
            late=0.02,
            duplicate=0.02,
            bursts=0.2,
        )
        client = Redis.from_url(self._servers.redis_url, protocol=2, socket_timeout=2.0)
        async with client:
            for batch in Simulation(market).batches():
                # With the last second of a minute, so that its bars close soon after.
                if self._fed.is_set() and batch.due_us % MINUTE >= 59 * SECOND:
                    return
                while True:
                    try:
                        async with client.pipeline(transaction=True) as pipe:
                            for payload in batch.payloads:
                                pipe.xadd(settings.ingest.stream, {"d": payload})
                            await pipe.execute()
                        break
                    except (RedisError, OSError):
                        await asyncio.sleep(0.05)
                await asyncio.sleep(0.01)

    async def _hear(self, channel: str) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with Redis.from_url(self._servers.redis_url, protocol=2) as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(channel)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            event = json.loads(message["data"])
                            self._heard[event["flow_id"]].append(json.dumps(event, sort_keys=True))
            await asyncio.sleep(0.02)

    async def _serve(self, settings: Settings) -> None:
        """What a service manager does: start it again whenever it has ended."""
        ended_s = 0.0
        while not self._done.is_set():
            async with child(settings) as service:
                self._service, self._expected = service, False
                opened = asyncio.create_task(until(lambda: bool(service.said("stream opened")), 120))
                waiting = asyncio.create_task(service.process.wait())
                await asyncio.wait([opened, waiting], return_when=asyncio.FIRST_COMPLETED)
                if ended_s and opened.done() and not opened.exception():
                    self._report.recoveries_s.append(time.monotonic() - ended_s)
                opened.cancel()
                code = await waiting
                ended_s = time.monotonic()
                if code == 2 and any("cannot be" in line for line in service.other):
                    self._report.refused += 1
                    await asyncio.sleep(0.5)
                elif not self._expected:
                    self._report.ended.append((code, service.other[-3:], service.log[-1:]))

    async def _harm(self) -> None:
        """Faults at random moments until there were enough kills."""
        names, weights = list(FAULTS), list(FAULTS.values())
        while self._report.faults[KILL] < self._kills:
            await asyncio.sleep(self._rng.uniform(0.2, 1.6))
            await self._one(self._rng.choices(names, weights)[0])

    async def _one(self, fault: str) -> None:
        self._report.faults[fault] += 1
        for_s = self._rng.uniform(0.3, 3.0)
        match fault:
            case "service killed":
                self._expected = True
                self._signal(signal.SIGKILL)
                await asyncio.sleep(self._rng.uniform(0.0, 2.0))
            case "service frozen":
                self._signal(signal.SIGSTOP)
                await asyncio.sleep(for_s)
                self._signal(signal.SIGCONT)
            case "redis killed":
                await asyncio.to_thread(self._servers.redis.kill)
                await asyncio.sleep(for_s / 3)
                await asyncio.to_thread(self._servers.redis.restart)
            case "postgres stopped":
                await asyncio.to_thread(self._servers.postgres.kill)
                await asyncio.sleep(for_s)
                await asyncio.to_thread(self._servers.postgres.restart)
            case "redis reset":
                self._redis_proxy.reset()
            case "postgres reset":
                self._postgres_proxy.reset()
            case "postgres slow":
                self._postgres_proxy.latency_s = 0.1
                await asyncio.sleep(for_s)
                self._postgres_proxy.latency_s = 0.0
            case _:
                proxy = self._redis_proxy if fault.startswith("redis") else self._postgres_proxy
                proxy.black_hole()
                await asyncio.sleep(for_s)
                proxy.heal()

    def _signal(self, number: signal.Signals) -> None:
        if self._service is not None:
            with contextlib.suppress(ProcessLookupError):
                self._service.signal(number)

    async def _settled(self, settings: Settings) -> None:
        """Wait until the service has read the stream to its end and stored what came of it, then end it."""
        async with Redis.from_url(self._servers.redis_url, protocol=2) as client:
            newest: Any = await client.xrevrange(settings.ingest.stream, count=1)
        last: bytes = newest[0][0]
        async with asyncio.timeout(120):
            while True:
                service = self._service
                assert service is not None
                try:
                    health = await service.health()
                    stages = health["stages"]
                    read = stages["pipeline"]["next_src"] > number_of(last)
                    if (
                        read
                        and not stages["pipeline"]["counters"]["open_bars"]
                        and not stages["writer"]["backlog_items"]
                    ):
                        break
                except (TimeoutError, OSError, AssertionError, KeyError):
                    pass
                await asyncio.sleep(0.1)
        self._expected = True
        service.signal()

    async def _judge(self, settings: Settings) -> None:
        uri, report = self._servers.database_uri, self._report
        async with Redis.from_url(self._servers.redis_url, protocol=2) as client:
            entries: Any = await client.xrange(settings.ingest.stream)
        report.ticks = len(entries)
        truth = folded(entries, settings)
        stored = await rows(uri, BARS)
        report.bars = len(truth)
        report.wrong = differences(stored, truth)
        report.flagged = sum("gap" in (row["quality"] or "") for row in stored)
        report.gaps = len(await rows(uri, "SELECT FROM ingest_gap"))
        events = await rows(
            uri,
            """SELECT e.event_id::text, e.confidence, e.revision, e.published_at, e.expired_at,
                      count(i.event_id) AS shown
               FROM pattern_event e LEFT JOIN intraday_patterns i USING (event_id)
               GROUP BY 1, 2, 3, 4, 5""",
        )
        report.events, report.heard = len(events), sum(map(len, self._heard.values()))
        report.repeated = report.heard - len(self._heard)
        known = {event["event_id"] for event in events}
        report.strange += [f"{each} is in no table" for each in self._heard if each not in known]
        report.strange += [
            f"{each} came with another content: {_difference(said)}"
            for each, said in self._heard.items()
            if len(set(said)) > 1
        ]
        report.strange += [
            f"{event['event_id']} is shown {event['shown']} times" for event in events if event["shown"] != 1
        ]
        report.unsent = [
            event["event_id"]
            for event in events
            if event["confidence"] >= 0.6
            and event["revision"] == 0
            and event["published_at"] is None
            and event["expired_at"] is None  # a revision took it away before it was sent
            and event["event_id"] not in self._heard
        ]


def _difference(said: list[str]) -> list[Any]:
    """The parts in which contents of one event are not equal."""
    counted = Counter(part for each in set(said) for part in set(each.split(", ")))
    return sorted(part for part, count in counted.items() if count < len(set(said)))


def _through(url: Any, port: int) -> str:
    """The address with the proxy's port in place of the server's."""
    user, at, _ = url.netloc.rpartition("@")
    return str(urlunsplit(url._replace(netloc=f"{user}{at}127.0.0.1:{port}")))


def folded(entries: list[tuple[bytes, dict[bytes, bytes]]], settings: Settings) -> dict[tuple[str, int], Row]:
    """The newest row of each bar that the oracle makes of a stream; bars that are open at its end close with it."""
    oracle = Oracle(Rules(channels=settings.tick_channels, revise_s=settings.bars.revise_s))
    for entry_id, fields in entries:
        now_us = arrival_us(number_of(entry_id))
        oracle.advance(now_us - 1)
        oracle.ingest([fields[b"d"]], now_us)
    oracle.flush()
    return {(row.symbol, row.ts_us): row for row in oracle.emitted}


def differences(stored: list[Any], truth: dict[tuple[str, int], Row]) -> list[Any]:
    """Bars that are not as the oracle has them, value by value."""
    wrong: list[Any] = []
    left = {(row["symbol"], int(row["timestamp"].timestamp()) * 1_000_000): row for row in stored}
    for key, bar in truth.items():
        row = left.pop(key, None)
        if row is None:
            wrong.append(("missing", key))
            continue
        wrong += [(name, key, row[name], getattr(bar, name)) for name in BARE_BAR if row[name] != getattr(bar, name)]
        if abs((row["vwap"] or 0.0) - bar.vwap) > 1e-9 * bar.vwap:
            wrong.append(("vwap", key, row["vwap"], bar.vwap))
    return wrong + [("extra", key) for key, row in left.items() if "provisional" not in (row["quality"] or "")]


async def _long(kills: int, seed: int) -> Report:
    folder = Path(tempfile.mkdtemp(prefix="tickstockpl-chaos-", dir="/var/tmp"))
    os.chmod(folder, 0o755)  # noqa: PTH101 - PostgreSQL runs as another user where we are root
    servers = OwnServers(folder, redis=True, postgres=True)
    try:
        await asyncio.to_thread(servers.start)
        await migrate(servers.database_uri)
        with tempfile.TemporaryDirectory() as state:
            return await Chaos(servers, Path(state), seed=seed, kills=kills).run()
    finally:
        await asyncio.to_thread(servers.stop)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """The long form: exit code 1 if anything does not hold."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of the service; other faults come between (100)")
    parser.add_argument("--seed", type=int, default=1, help="the same faults in the same order (1)")
    given = parser.parse_args()
    os.environ["TICKSTOCKPL_TEST_REDIS_CONF"] = "--appendonly yes --appendfsync always"
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.stdout.write(f"{given.kills} kills with seed {given.seed}: some {given.kills * 3 // 60 + 1} minutes\n")
    report = asyncio.run(_long(given.kills, given.seed))
    sys.stdout.write("\n".join(report.lines()) + f"\n{'holds' if report.holds else 'DOES NOT HOLD'}\n")
    sys.exit(not report.holds)


if __name__ == "__main__":
    main()
