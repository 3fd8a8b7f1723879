"""A service that is killed at any moment: what it had received is in exactly one bar, and every event is there once."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

import tickstockpl as tp
from bar_samples import ran, rows
from oracle import Oracle, Row, Rules
from own_servers import OwnServers
from running import MINUTE, SECOND, Child, child, settings_for, tick
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.dev.stored import equal_rows, stored_rows
from tickstockpl.migrate import migrate
from tickstockpl.postgres import connect
from tickstockpl.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SYMBOLS = tuple(f"ZZTEST{n}" for n in range(1, 7))
BARS = "SELECT symbol, timestamp, open, high, low, close, volume, trades, vwap, revision, quality FROM ohlcv_1min"


@pytest.fixture
async def ready(database: str) -> str:
    await migrate(database)
    return database


class Received:
    """What a service has put on disk, kept beyond what it keeps itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._items: dict[int, tuple[str, int, bytes]] = {}

    def look(self) -> None:
        path = self._settings.state_dir / "spool" / f"{self._settings.ingest.part}.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as db:
            for first, kind, at_us, data in db.execute("SELECT first, kind, at_us, data FROM log"):
                assert self._items.setdefault(first, (kind, at_us, data)) == (kind, at_us, data)

    def folded(self) -> dict[tuple[str, int], Row]:
        """The newest row of each bar that the oracle makes of it."""
        channels = self._settings.redis.channels
        oracle = Oracle(Rules(channels=channels, revise_s=self._settings.bars.revise_s))
        framer = tp.Framer(channels)
        for _, (kind, at_us, data) in sorted(self._items.items()):
            match kind:
                case "received":
                    oracle.ingest(framer.feed(data).payloads(0), at_us)
                case "answered":
                    oracle.advance(at_us)
                case "connected":
                    oracle.subscribed(at_us, data == b"first")
        return {(row.symbol, row.ts_us): row for row in oracle.emitted}


async def differences(uri: str, truth: dict[tuple[str, int], Row]) -> list[Any]:
    """Closed bars that are not as the oracle has them."""
    wrong: list[Any] = []
    stored = {}
    for row in await rows(uri, BARS):
        stored[row["symbol"], int(row["timestamp"].timestamp()) * 1_000_000] = row
    for key, bar in truth.items():
        row = stored.pop(key, None)
        if row is None:
            wrong.append(("missing", key))
            continue
        is_vwap = (row["vwap"] or 0.0) == pytest.approx(bar.vwap, rel=1e-12)
        names = ("open", "high", "low", "close", "volume", "trades", "revision")
        wrong += [(name, key, row[name], getattr(bar, name)) for name in names if row[name] != getattr(bar, name)]
        if not is_vwap:
            wrong.append(("vwap", key, row["vwap"], bar.vwap))
    return wrong + [("extra", key) for key, row in stored.items() if "provisional" not in (row["quality"] or "")]


async def publish(client: Any, channel: str, batches: Iterator[Any]) -> None:
    """Send a market at some 100 times its speed, whether anybody listens or not."""
    for batch in batches:
        for payload in batch.payloads:
            await client.publish(channel, payload)
        await asyncio.sleep(0.01)


async def started(running: Child) -> None:
    await running.until_said("ready", 30)
    await running.until_said("redis subscribed", 30)


async def test_killed_again_and_again_it_counts_what_it_received_once(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir, bars={"revise_s": 60.0})
    received = Received(settings)
    rng = random.Random(4)
    begin_us = (SystemClock().now_us() // MINUTE - 32) * MINUTE
    market = Market(symbols=SYMBOLS, start_us=begin_us, minutes=28, seed=11, late=0.02, duplicate=0.02, bursts=0.1)
    async with Redis.from_url(redis, protocol=2) as client, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(publish(client, settings.redis.channels[0], Simulation(market).batches()))
        ends = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL]
        while not sending.done():
            async with child(settings) as running:
                await started(running)
                await asyncio.wait([sending], timeout=rng.uniform(0.3, 1.5))
                running.signal(ends.pop() if ends else signal.SIGKILL)
                await running.ends(20)
            received.look()
        async with child(settings) as running:
            await started(running)
            await running.until_said("replayed", 30)
            for symbol in SYMBOLS[:2]:  # silence would close a minute whose last seconds nobody heard a minute later
                await client.publish(settings.redis.channels[0], tick(begin_us + 28 * MINUTE - SECOND, symbol))
            await running.quiet()
            running.signal()
            assert await running.ends(20) == 0
    received.look()
    truth = received.folded()
    assert len(truth) > 100
    assert await differences(ready, truth) == []
    events = await rows(ready, "SELECT event_id FROM pattern_event")
    assert len(events) > 5
    once = await rows(ready, "SELECT event_id, count(*) FROM intraday_patterns GROUP BY 1 HAVING count(*) <> 1")
    assert once == []


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
        begin_us = (SystemClock().now_us() // MINUTE - 32) * MINUTE
        market = Market(symbols=SYMBOLS, start_us=begin_us, minutes=12, seed=5, late=0.02, duplicate=0.02, bursts=0.2)
        async with Redis.from_url(redis, protocol=2) as client, asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(add(client, f"stream.{name}", Simulation(market).batches()))
            async with child(both[0]) as stopped, child(both[1]) as killed:
                for each in (stopped, killed):
                    await each.until_said("stream opened", 30)
                await asyncio.wait([sending], timeout=2.0)
                stopped.signal(signal.SIGTERM)
                killed.signal(signal.SIGKILL)
                assert await stopped.ends(20) == 0
                await killed.ends(20)
            async with child(both[0]) as one, child(both[1]) as two:
                await asyncio.wait([sending])
                for each in (one, two):
                    await each.until_said("stream opened", 30)
                    await each.quiet(90)
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
    begin_us = (SystemClock().now_us() // MINUTE - 32) * MINUTE
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
    async with child(settings) as running:
        await running.until_said("stream opened", 30)
        await running.quiet(90)
        running.signal()
        assert await running.ends(20) == 0
    truth = simulation.true_bars()
    connection = await connect(servers.database_uri)
    try:
        assert equal_rows(await stored_rows(connection, truth.symbols), truth) == len(truth) == 144
    finally:
        await connection.close()


async def add(client: Any, stream: str, batches: Iterator[Any], *, pause_s: float = 0.01) -> None:
    """Put a market into a stream, by default at some 100 times its speed."""
    for batch in batches:
        for payload in batch.payloads:
            await client.xadd(stream, {"d": payload})
        await asyncio.sleep(pause_s)
