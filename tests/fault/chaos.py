"""A service that is killed, frozen and cut off at random moments, its servers too; and what must hold all the same.

A market comes through a stream, whose feed tries again until Redis has taken each tick, or on a channel, where what is
sent while nobody listens is lost. At the end the bars must be those of a fold, by the oracle, of every entry that is in
the stream, or of every message that the service has put on disk; no loss may be silent; no bar may have lost a tick
while we looked on; and every event must be stored once and sent.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from bar_samples import rows
from fault.feeds import ChannelFeed, Feed, StreamFeed
from fault.proxy import FaultProxy, through
from fault.report import Report
from fault.sampled import Sampled
from fault.truth import BARS, differences
from own_servers import OwnServers, lent
from publishing import Listener, hearing
from running import MINUTE, SECOND, Child, child, minutes_ago, settings_for
from tickstockpl.dev.simulate import Market, Simulation, test_symbols
from tickstockpl.migrate import migrate
from tickstockpl.settings import Settings
from waiting import until

READS = {"stream": "stream opened", "pubsub": "redis subscribed"}
"""What the service says when it reads its source, by mode."""
SAMPLE_S = 0.5

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


class Chaos:
    """One run on servers of its own, whose Redis keeps an append-only file and syncs it always.

    mode: of the source, "stream" or "pubsub". faults: what is done, one after the other.
    """

    def __init__(self, servers: OwnServers, state_dir: Path, *, mode: str, seed: int, faults: Iterable[str]) -> None:
        self._servers = servers
        self._state_dir = state_dir
        self._rng = random.Random(seed)
        self._faults = faults
        self._report = Report(mode, seed)
        self._service: Child | None = None
        self._batches = 0
        self._expected = False
        self._done = asyncio.Event()
        self._harmed = asyncio.Event()

    async def run(self) -> Report:
        started_s = time.monotonic()
        redis, database = urlsplit(self._servers.redis_url), urlsplit(self._servers.database_uri)
        async with contextlib.AsyncExitStack() as stack:
            self._redis_proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", redis.port or 0))
            self._postgres_proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", database.port or 0))
            settings = settings_for(
                through(self._postgres_proxy, self._servers.database_uri),
                through(self._redis_proxy, self._servers.redis_url),
                self._state_dir,
                ingest={"mode": self._report.mode},
                bars={"revise_s": 60.0},
                publish={"rate_per_s": 5000.0},
                redis={"pong_timeout_s": 1.0, "connect_timeout_s": 1.0, "max_backoff_s": 0.5},
                database={"command_timeout_s": 2.0, "connect_timeout_s": 2.0},
            )
            feed = self._feed(settings)
            channel = settings.redis.pattern_channel
            heard = await stack.enter_async_context(hearing(self._servers.redis_url, channel))
            sampled = Sampled(self._servers.database_uri)
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(self._play(feed))
                watching = tasks.create_task(sampled.watch(SAMPLE_S))
                serving = tasks.create_task(self._serve(settings))
                await self._harm()
                self._harmed.set()
                await feeding
                await self._settled(feed)
                self._done.set()
                await serving
                watching.cancel()
            await sampled.look()
            self._report.looks, self._report.shrunk = sampled.looks, sampled.shrunk
            await self._judge(feed, heard, channel)
        self._report.seconds = time.monotonic() - started_s
        return self._report

    def _feed(self, settings: Settings) -> Feed:
        url = self._servers.redis_url
        if settings.ingest.mode == "stream":
            return StreamFeed(url, settings)
        return ChannelFeed(url, settings, self._report.seed)

    async def _play(self, feed: Feed) -> None:
        """A market at a hundred times its speed, until no more harm is done."""
        market = Market(
            symbols=test_symbols(8),
            start_us=minutes_ago(1400),
            minutes=1390,
            seed=self._report.seed,
            late=0.02,
            duplicate=0.02,
            bursts=0.2,
        )
        for batch in Simulation(market).batches():
            # With the last second of a minute, so that its bars close soon after.
            if self._harmed.is_set() and batch.due_us % MINUTE >= 59 * SECOND:
                return
            await feed.send(batch)
            self._batches += 1
            await asyncio.sleep(0.01)

    async def _serve(self, settings: Settings) -> None:
        """What a service manager does: start it again whenever it has ended."""
        ended_s = 0.0
        while not self._done.is_set():
            async with child(settings) as service:
                self._service, self._expected = service, False
                opened = asyncio.create_task(until(lambda: bool(service.said(READS[self._report.mode])), 120))
                waiting = asyncio.create_task(service.ends(None))
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
        """The faults, at random moments."""
        for fault in self._faults:
            await self._pause()
            await self._one(fault)

    async def _pause(self) -> None:
        """Until some of the market was sent to a service that reads, however slow the machine; or not, so that starts
        fail too.
        """
        is_hasty, pause_s, batches = self._rng.random() < 0.25, self._rng.uniform(0.2, 1.6), self._rng.randint(20, 160)
        if is_hasty:
            await asyncio.sleep(pause_s)
            return
        reads = READS[self._report.mode]
        await until(lambda: self._service is not None and bool(self._service.said(reads)), 60)
        wanted = self._batches + batches
        await until(lambda: self._batches >= wanted, 60)

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

    async def _settled(self, feed: Feed) -> None:
        """Wait until the service has read everything and stored what came of it, then end it."""
        async with asyncio.timeout(120):
            while True:
                service = self._service
                assert service is not None
                try:
                    stages = (await service.health())["stages"]
                    pipeline, writer = stages["pipeline"], stages["writer"]
                    read = await feed.is_read(pipeline)
                    if read and not pipeline["counters"]["open_bars"] and not writer["backlog_items"]:
                        break
                except (TimeoutError, OSError, AssertionError, KeyError):
                    pass
                await asyncio.sleep(0.1)
        self._expected = True
        service.signal()

    async def _judge(self, feed: Feed, heard: Listener, channel: str) -> None:
        uri, report = self._servers.database_uri, self._report
        stored = await rows(uri, BARS)
        report.gaps = len(await rows(uri, "SELECT FROM ingest_gap"))
        report.flagged = sum("gap" in (row["quality"] or "") for row in stored)
        truth = await feed.truth(report, uri, stored)
        report.bars, report.wrong = len(truth), differences(stored, truth)
        said: dict[str, list[str]] = {}
        for event in heard.heard.get(channel, []):
            # An event that goes out again has a number of its own on the channel, and nothing else is another.
            content = {name: value for name, value in event.items() if name != "seq"}
            said.setdefault(event["flow_id"], []).append(json.dumps(content, sort_keys=True))
        await report.add_events(uri, said)


def at_random(kills: int, seed: int) -> Iterator[str]:
    """Faults until the service was killed so often, the others between."""
    rng, names, weights = random.Random(seed), list(FAULTS), list(FAULTS.values())
    while kills:
        (fault,) = rng.choices(names, weights)
        kills -= fault == KILL
        yield fault


async def _long(mode: str, kills: int, seed: int) -> Report:
    with lent(redis=True, postgres=True) as servers, tempfile.TemporaryDirectory() as state:
        await migrate(servers.database_uri)
        return await Chaos(servers, Path(state), mode=mode, seed=seed, faults=at_random(kills, seed)).run()


def main() -> None:
    """The long form: exit code 1 if anything does not hold."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--mode", choices=READS, default="stream", help="how ticks come to it (stream)")
    parser.add_argument("--kills", type=int, default=100, help="of the service; other faults come between (100)")
    parser.add_argument("--seed", type=int, default=1, help="the same faults in the same order (1)")
    given = parser.parse_args()
    os.environ["TICKSTOCKPL_TEST_REDIS_CONF"] = "--appendonly yes --appendfsync always"
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.stdout.write(f"{given.kills} kills with seed {given.seed}: some {given.kills * 4 // 60 + 1} minutes\n")
    sys.stdout.flush()
    report = asyncio.run(_long(given.mode, given.kills, given.seed))
    sys.stdout.write("\n".join(report.lines()) + f"\n{'holds' if report.holds else 'DOES NOT HOLD'}\n")
    sys.exit(not report.holds)


if __name__ == "__main__":
    main()
