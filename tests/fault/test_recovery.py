"""A service that is killed at any moment: what it had received is in exactly one bar, and every event is there once."""

import asyncio
import random
import signal
import uuid
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from bar_samples import ran, rows
from fault.feeds import add
from fault.truth import BARS, Received, differences
from own_servers import OwnServers
from running import child, equal_bars, minutes_ago, newest, settings_for
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.migrate import migrate
from tickstockpl.moments import us_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SYMBOLS = tuple(f"ZZTEST{n}" for n in range(1, 7))


class Sender:
    """A market at some 200 times its speed, which does not go on unless it is told to; and when nobody heard it."""

    def __init__(self, client: Any, channel: str, market: Market) -> None:
        self._client = client
        self._channel = channel
        self._payloads = (payload for batch in Simulation(market).batches() for payload in batch.payloads)
        self.deaf_us: list[int] = []

    async def send(self, most: int) -> int:
        """The next messages, some six of which are a second of the market; how many there were."""
        count = 0
        for payload in islice(self._payloads, most):
            now_us = SystemClock().now_us()
            if not await self._client.publish(self._channel, payload):
                self.deaf_us.append(now_us)
            count += 1
            if count % len(SYMBOLS) == 0:
                await asyncio.sleep(0.005)
        return count


ENDS = (*[signal.SIGKILL] * 3, signal.SIGTERM, *[signal.SIGKILL] * 5)


@pytest.mark.timeout(300)
async def test_killed_again_and_again_it_counts_what_it_received_once(ready: str, redis: str, state_dir: Path) -> None:
    # With a long patience, so that a machine that stands still for seconds has no outages of its own.
    settings = settings_for(
        *(ready, redis, state_dir),
        bars={"revise_s": 60.0},
        redis={"pong_timeout_s": 60.0},
        publish={"rate_per_s": 5000.0},
    )
    received = Received(settings)
    rng = random.Random(4)
    start_us = minutes_ago(26)
    market = Market(symbols=SYMBOLS, start_us=start_us, minutes=22, seed=11, late=0.02, duplicate=0.02, bursts=0.1)
    outages_us: list[int] = []
    async with Redis.from_url(redis, protocol=2) as client:
        sender = Sender(client, settings.redis.channels[0], market)
        for end in ENDS:
            async with child(settings) as running:
                await running.until_said("redis subscribed", 60)
                assert await sender.send(rng.randint(240, 1100)) >= 240
                running.signal(end)
                await running.ends(30)
            outages_us.append(SystemClock().now_us())
            await sender.send(rng.randint(0, 120))
        async with child(settings) as running:
            await running.until_said("redis subscribed", 60)
            sent = await sender.send(100_000)
            assert sent > 360
            await running.quiet(60, messages=sent)
            running.signal()
            assert await running.ends(30) == 0
    truth, _ = received.folded()
    assert len(truth) > 115
    assert differences(await rows(ready, BARS), truth) == []
    events = await rows(ready, "SELECT event_id FROM pattern_event")
    assert len(events) > 120
    once = await rows(ready, "SELECT event_id, count(*) FROM intraday_patterns GROUP BY 1 HAVING count(*) <> 1")
    assert once == []
    found = await rows(ready, "SELECT started_at, ended_at FROM ingest_gap ORDER BY started_at")
    gaps = [(us_of(gap["started_at"]), us_of(gap["ended_at"])) for gap in found]
    assert gaps[1:] == list(received.windows())
    assert len(gaps) == 1 + len(ENDS)
    assert len(sender.deaf_us) > 400
    unheard_us = [*outages_us, *sender.deaf_us]
    assert [us for us in unheard_us if not any(begin_us < us < end_us for begin_us, end_us in gaps)] == []


TABLES = (
    """SELECT symbol, timestamp, open, high, low, close, volume, trades, vwap, revision, quality, first_src, last_src
       FROM ohlcv_1min ORDER BY symbol, timestamp""",
    "SELECT event_id, symbol, bar_start, revision, payload, expired_at IS NULL AS holds FROM pattern_event ORDER BY 1",
)


async def test_a_stop_and_a_kill_at_one_moment_lead_to_the_same_tables(
    ready: str, database_uri: str, redis: str, state_dir: Path
) -> None:
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    await ran(database_uri, f"CREATE DATABASE {name}")
    other = urlunsplit(urlsplit(database_uri)._replace(path=f"/{name}"))
    try:
        await migrate(other)
        source = {"mode": "stream", "stream": f"stream.{name}", "part": uuid.uuid4().hex}
        both = [settings_for(uri, redis, state_dir, ingest=source) for uri in (ready, other)]
        begin_us = minutes_ago(32)
        market = Market(symbols=SYMBOLS, start_us=begin_us, minutes=12, seed=5, late=0.02, duplicate=0.02, bursts=0.2)
        async with Redis.from_url(redis, protocol=2) as client, asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(add(client, f"stream.{name}", Simulation(market).batches()))
            async with child(both[0]) as stopped, child(both[1]) as killed:
                for each in (stopped, killed):
                    await each.until_said("stream opened", 30)
                for each in (stopped, killed):  # something must have come of what was read
                    async with asyncio.timeout(30):
                        while not (await each.health())["stages"]["writer"]["rows"]:
                            await asyncio.sleep(0.05)
                assert not sending.done()
                stopped.signal(signal.SIGTERM)
                killed.signal(signal.SIGKILL)
                assert await stopped.ends(20) == 0
                await killed.ends(20)
            async with child(both[0]) as one, child(both[1]) as two:
                await asyncio.wait([sending])
                last = await newest(client, f"stream.{name}")
                for each in (one, two):
                    await each.quiet(90, src=last)
                    each.signal()
                    assert await each.ends(20) == 0
        for query in TABLES:
            here, there = await rows(ready, query), await rows(other, query)
            assert len(here) > 20
            assert here == there
    finally:
        await ran(database_uri, f"DROP DATABASE {name} WITH (FORCE)")


async def test_what_was_dropped_while_the_database_was_away_is_brought_back_by_a_new_start(
    own_servers: Callable[..., OwnServers], redis: str, state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, postgres=True)
    await migrate(servers.database_uri)
    settings = settings_for(
        servers.database_uri,
        redis,
        state_dir,
        ingest={"mode": "stream", "stream": f"stream.{uuid.uuid4().hex}"},
        writer={"queue_minutes": 1},
        bars={"max_symbols": 100},
    )
    begin_us = minutes_ago(32)
    market = Market(symbols=SYMBOLS, start_us=begin_us, minutes=24, seed=6)
    simulation = Simulation(market)
    async with Redis.from_url(redis, protocol=2) as client, child(settings) as running:
        await running.until_said("stream opened", 30)
        await asyncio.to_thread(servers.postgres.kill)
        # Entries young enough to be live: what is caught up on would wait.
        await add(client, settings.ingest.stream, simulation.batches(), pause_s=0.002)
        await running.until_said("bars dropped: the database has been away for too long")
        await asyncio.to_thread(servers.postgres.restart)
        assert await running.ends(60) == 4
        (said,) = running.other
        assert "start again to have them made from the source once more" in said
        last = await newest(client, settings.ingest.stream)
    async with child(settings) as running:
        await running.quiet(90, src=last)
        running.signal()
        assert await running.ends(20) == 0
    truth = simulation.true_bars()
    assert await equal_bars(servers.database_uri, truth) == len(truth) == 144
