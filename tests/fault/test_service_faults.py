"""The whole service while its servers are killed, cut off and frozen, and while it is told to stop."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bar_samples import ran, rows
from fault.sampled import Sampled
from own_servers import OwnServers
from running import (
    MINUTE,
    QUICK_DATABASE,
    QUICK_REDIS,
    SECOND,
    Child,
    Up,
    child,
    minutes_ago,
    serving,
    settings_for,
    tick,
)
from tickstockpl import service
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.dev.stored import stored_rows
from tickstockpl.migrate import migrate
from tickstockpl.postgres import connect
from waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SYMBOLS = ("ZZTEST1", "ZZTEST2", "ZZTEST3", "ZZTEST4")
MINUTES = 30
CUT = "client_kill", "redis_dead", "backend_killed", "postgres_dead"


async def play(url: str, channel: str, batches: Iterator[Any], until_us: int) -> None:
    """Publish what is due before `until_us`, as a producer does that loses what it cannot send."""
    async with Redis.from_url(url, protocol=2, socket_timeout=1.0) as client:
        for batch in batches:
            try:
                for payload in batch.payloads:
                    await client.publish(channel, payload)
            except (RedisError, OSError):
                await asyncio.sleep(0.01)
            if batch.due_us >= until_us:
                return


async def test_killed_servers_and_connections_leave_gaps_flags_and_no_smaller_bar(
    own_servers: Callable[..., OwnServers], state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    await migrate(servers.database_uri)
    settings = settings_for(
        servers.database_uri, servers.redis_url, state_dir, redis=QUICK_REDIS, database=QUICK_DATABASE
    )
    begin_us = minutes_ago(MINUTES + 2)
    simulation = Simulation(Market(symbols=SYMBOLS, start_us=begin_us, minutes=MINUTES, seed=5))
    batches = simulation.batches()
    sampled = Sampled(servers.database_uri)

    async def cut(up: Up, what: str) -> None:
        if what == "client_kill":
            async with Redis.from_url(servers.redis_url, protocol=2) as client:
                await client.client_kill_filter(_type="pubsub")
        elif what == "redis_dead":
            await asyncio.to_thread(servers.redis.kill)
            await until(lambda: not up.stages["ingest"]["connected"])
            await asyncio.to_thread(servers.redis.restart)
        elif what == "backend_killed":
            await ran(
                servers.database_uri,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tickstockpl'",
            )
        else:
            await asyncio.to_thread(servers.postgres.kill)
            await play(servers.redis_url, up.channel, batches, begin_us + 25 * MINUTE)
            await until(lambda: up.stages["writer"]["state"] == "degraded")
            await asyncio.to_thread(servers.postgres.restart)

    async with serving(settings) as up:
        watching = asyncio.create_task(sampled.watch())
        for step, what in enumerate(CUT, start=1):
            # Cut in the middle of a minute, while messages are on their way.
            middle_us = begin_us + step * 5 * MINUTE + 30 * SECOND
            playing = asyncio.create_task(play(servers.redis_url, up.channel, batches, middle_us))
            before = up.stages["pipeline"]["gaps"]
            await until(lambda: up.counters["messages"] > 0 and up.counters["bars"] > 0)
            await cut(up, what)
            await playing
            if what in ("client_kill", "redis_dead"):
                await until(lambda before=before: up.stages["pipeline"]["gaps"] > before)  # type: ignore[misc]
            await until(lambda: bool(up.stages["ingest"]["connected"]))
        await play(servers.redis_url, up.channel, batches, begin_us + MINUTES * MINUTE)
        await until(lambda: up.stages["writer"]["state"] == "ok" and up.stages["writer"]["backlog_rows"] == 0)
        assert up.stages["publisher"]["state"] == "ok"
        watching.cancel()
        await asyncio.wait([watching])
        assert watching.cancelled()
        counters = up.counters
        assert counters["ticks"] == counters["folded"]
    await sampled.look()
    assert sampled.looks > 20
    assert sampled.shrunk == []

    gaps = await rows(servers.database_uri, "SELECT * FROM ingest_gap ORDER BY ended_at")
    assert len(gaps) == 3
    assert gaps[0]["cause"] == "start"
    assert all(gap["ended_at"] > gap["started_at"] and gap["channels"] == [up.channel] for gap in gaps)
    assert all("closed by Redis" in gap["cause"] or "reset" in gap["cause"].lower() for gap in gaps[1:]), gaps

    connection = await connect(servers.database_uri)
    try:
        found = await stored_rows(connection, SYMBOLS)
    finally:
        await connection.close()
    truth = set(simulation.true_bars().rows())
    flags = {
        (row["symbol"], row["ts_us"]): row["quality"]
        for row in await rows(
            servers.database_uri,
            "SELECT symbol, (extract(epoch FROM timestamp) * 1000000)::bigint AS ts_us, quality FROM ohlcv_1min",
        )
    }
    flagged = {key for key, quality in flags.items() if "gap" in (quality or "")}
    assert {row[:2] for row in found - truth} <= flagged
    assert 0 < len(flagged) < len(found) // 2
    sent = {row[:2]: row[6] for row in truth}
    assert all(row[6] <= sent[row[0], row[1]] for row in found)


@asynccontextmanager
async def with_open_bar(database: str, redis: str, state_dir: Path) -> AsyncIterator[Child]:
    """`tickstockpl run` as a child that has a closed bar and an open one, which began a minute ago."""
    settings = settings_for(database, redis, state_dir, redis=QUICK_REDIS)
    async with child(settings) as run:
        await run.until_said("redis subscribed")
        async with Redis.from_url(redis, protocol=2) as client:
            # One message, so that none of its ticks is still on its way when the first is heard.
            open_us = minutes_ago(1)
            ticks = [tick(open_us + at * SECOND) for at in (-30, 5, 6)]
            await client.publish(settings.redis.channels[0], b"[" + b",".join(ticks) + b"]")
        await run.until_said("channel heard")
        yield run


async def test_sigterm_drains_and_the_next_start_continues_the_open_bar(
    ready: str, redis: str, state_dir: Path
) -> None:
    bars = "SELECT trades, volume, quality FROM ohlcv_1min ORDER BY timestamp"
    async with with_open_bar(ready, redis, state_dir) as run:
        began = time.monotonic()
        run.signal()
        assert await run.ends(10) == 0, run.log
        assert time.monotonic() - began < 10
        assert not run.other
    stored = await rows(ready, bars)
    assert [(row["trades"], row["quality"]) for row in stored] == [(1, "partial_start"), (2, "provisional")]

    (last,) = await rows(ready, "SELECT max(extract(epoch FROM timestamp)) AS start FROM ohlcv_1min")
    open_us = int(last["start"]) * SECOND
    settings = settings_for(ready, redis, state_dir)
    async with serving(settings) as up:
        await up.send([tick(open_us + 40 * SECOND), tick(open_us + 63 * SECOND)])
    stored = await rows(ready, bars)
    assert [(row["trades"], row["volume"]) for row in stored] == [(1, 100), (3, 300), (1, 100)]
    assert "gap" in stored[1]["quality"]
    assert "provisional" not in stored[1]["quality"]


async def test_the_process_ends_well_in_ten_seconds_with_a_server_frozen(
    own_servers: Callable[..., OwnServers], state_dir: Path
) -> None:
    async def stopped(victim: str) -> None:
        servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
        await migrate(servers.database_uri)
        async with with_open_bar(servers.database_uri, servers.redis_url, state_dir) as run:
            await asyncio.to_thread((servers.redis if victim == "redis" else servers.postgres).freeze)
            began = time.monotonic()
            run.signal()
            code = await run.ends(15)
            took = time.monotonic() - began
            assert (code, took < 10) == (0, True), (victim, code, took, run.log, run.other)
            assert not run.other, (victim, run.other)
            assert run.said("stopped")
            if victim == "postgres":
                assert run.said("stopped with rows that are not stored"), run.log
            else:
                stored = await rows(servers.database_uri, "SELECT quality FROM ohlcv_1min ORDER BY timestamp")
                assert [row["quality"] for row in stored] == ["partial_start", "provisional"]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stopped("redis"))
        tasks.create_task(stopped("postgres"))


async def test_a_stop_ends_when_its_time_is_up_with_a_server_dead(
    own_servers: Callable[..., OwnServers], state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STOP_S", 2.0)
    monkeypatch.setattr(service, "PUBLISH_DRAIN_S", 0.5)

    async def stopped(victim: str) -> None:
        servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
        await migrate(servers.database_uri)
        began = 0.0
        async with serving(settings_for(servers.database_uri, servers.redis_url, state_dir)) as up:
            await up.send([tick(minutes_ago(1) + 5 * SECOND)])
            await asyncio.to_thread((servers.redis if victim == "redis" else servers.postgres).kill)
            began = time.monotonic()
        assert time.monotonic() - began < 4, victim
        if victim == "redis":
            stored = await rows(servers.database_uri, "SELECT quality FROM ohlcv_1min")
            assert ["provisional" in row["quality"] for row in stored] == [True]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stopped("redis"))
        tasks.create_task(stopped("postgres"))


async def test_a_second_signal_stops_at_once(own_servers: Callable[..., OwnServers], state_dir: Path) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    await migrate(servers.database_uri)
    async with with_open_bar(servers.database_uri, servers.redis_url, state_dir) as run:
        await asyncio.to_thread(servers.postgres.freeze)
        run.signal(signal.SIGTERM)
        await run.until_said("stopping: draining what is closed")
        began = time.monotonic()
        run.signal(signal.SIGINT)
        assert await run.ends(2) != 0
        assert time.monotonic() - began < 1


async def test_a_stop_before_the_service_is_up_is_a_stop(redis: str, state_dir: Path) -> None:
    reached, stop = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = settings_for(f"postgresql://nobody@127.0.0.1:{port}/none", redis, state_dir)
        async with asyncio.timeout(4), asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run(settings, stop=stop))
            await reached.wait()
            stop.set()
