"""Simulated and replayed ticks on a real Redis: complete, in order, at their pace, and never among live ones."""

import asyncio
import json
import time
import uuid
from contextlib import aclosing
from io import StringIO
from pathlib import Path

import asyncpg
import polars as pl
import pytest
from redis.asyncio import Redis
from rich.console import Console

from tickstockpl.dev.feed import Batch, Sent, live_symbols, publish
from tickstockpl.dev.forget import forget_cached, forget_rows
from tickstockpl.dev.replay import replay
from tickstockpl.dev.simulate import Market, Simulation, simulate, test_symbols
from tickstockpl.errors import ServerError, SettingsError

pytestmark = pytest.mark.anyio

START_US = 1_757_600_460_000_000


@pytest.fixture
def channel() -> str:
    """A channel of one's own: channels are the server's, whatever the database number."""
    return f"data.raw.test.{uuid.uuid4().hex[:8]}"


async def heard(client: Redis, channel: str, count: int, started: asyncio.Event) -> list[bytes]:
    async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(channel)
        await pubsub.get_message(timeout=5)
        started.set()
        found: list[bytes] = []
        async for message in pubsub.listen():
            if message["type"] == "message":
                found.append(message["data"])
            if len(found) == count:
                return found
    raise AssertionError("the connection ended")


def quiet() -> Console:
    return Console(file=StringIO())


def market(**changes: object) -> Market:
    values = {"symbols": test_symbols(5), "start_us": START_US, "minutes": 3, **changes}
    return Market(**values)  # type: ignore[arg-type]


async def test_a_subscriber_gets_every_message_in_order(redis: str, channel: str) -> None:
    settings = market(late=0.1, duplicate=0.1, broken=0.1)
    expected = [payload for batch in Simulation(settings).batches() for payload in batch.payloads]
    started = asyncio.Event()
    async with aclosing(Redis.from_url(redis)) as client, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(heard(client, channel, len(expected), started))
        await started.wait()
        sent, simulation = await simulate(redis, channel, settings, speed=0, console=quiet())
    assert listening.result() == expected
    assert sent.messages == sent.heard == len(expected)
    assert sent.ticks == simulation.ticks + simulation.duplicates + simulation.broken.total()
    assert sent.bytes == sum(map(len, expected))


async def test_nobody_listening_is_told_by_the_count(redis: str, channel: str) -> None:
    sent, _ = await simulate(redis, channel, market(), speed=0, console=quiet())
    assert sent.messages > 600
    assert sent.heard == 0


async def test_a_pace_is_kept(redis: str, channel: str) -> None:
    began = time.monotonic()
    sent = await publish(redis, channel, Simulation(market(minutes=1)).batches(), speed=120)
    assert 0.45 < time.monotonic() - began < 3
    assert sent.due_us == START_US + 60_000_000


async def test_what_is_due_before_the_origin_goes_out_at_once(redis: str, channel: str) -> None:
    batches = [Batch([b"{}"], START_US + n * 1_000_000, 1) for n in range(5)]
    origin_us = START_US + 4_000_000
    sent = await asyncio.wait_for(publish(redis, channel, batches, speed=1, origin_us=origin_us), 2)
    assert sent.messages == 5


async def test_stop_ends_a_slow_journey_early(redis: str, channel: str) -> None:
    stop = asyncio.Event()

    def enough(sent: Sent) -> None:
        if sent.messages >= 10:
            stop.set()

    sent = await asyncio.wait_for(
        publish(redis, channel, Simulation(market()).batches(), speed=20, stop=stop, progress=enough), 5
    )
    assert 10 <= sent.messages < 20


async def test_a_slow_subscriber_is_waited_for_and_not_dropped(redis: str, channel: str) -> None:
    """60 MB at once is twice what Redis allows a subscriber to be behind."""
    payload = b"x" * 60_000
    batches = [Batch([payload] * 20, START_US, 20) for _ in range(50)]
    started = asyncio.Event()
    async with aclosing(Redis.from_url(redis)) as client, asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(heard(client, channel, 1000, started))
        await started.wait()
        sent = await publish(redis, channel, batches)
    assert sent.heard == 1000
    assert len(listening.result()) == 1000


async def test_test_ticks_never_join_live_ones_unasked(redis: str, channel: str) -> None:
    async with aclosing(Redis.from_url(redis)) as client, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        live = tasks.create_task(_live_ticks(client, channel))
        assert await live_symbols(redis, channel, "ZZTEST", 0.3) == ["AAPL", "MSFT"]
        with pytest.raises(SettingsError, match=rf"{channel} carries live ticks \(AAPL, MSFT\)"):
            await simulate(redis, channel, market(), speed=0, console=quiet())
        asked: list[str] = []

        def answer(question: str) -> bool:
            asked.append(question)
            return True

        sent, _ = await simulate(redis, channel, market(), speed=0, may_join=answer, console=quiet())
        live.cancel()
    assert asked == [f"{channel} carries live ticks (AAPL, MSFT). Send simulated ones among them?"]
    assert sent.messages > 600


async def _live_ticks(client: Redis, channel: str) -> None:
    """A feed of two symbols, ten messages a second each."""
    while True:
        for name in ("AAPL", "MSFT"):
            await client.publish(channel, json.dumps({"ticker": name, "price": 1.0}))
        await asyncio.sleep(0.1)


async def test_other_peoples_test_ticks_are_nobodys_live_traffic(redis: str, channel: str) -> None:
    async with aclosing(Redis.from_url(redis)) as client, asyncio.TaskGroup() as tasks:
        started = asyncio.Event()
        listening = tasks.create_task(heard(client, channel, 1, started))
        await started.wait()
        await client.publish(channel, b'{"ticker": "ZZTEST9"}')
        await listening
    assert await live_symbols(redis, channel, "ZZTEST", 0.1) == []


async def test_a_file_is_replayed_with_progress(redis: str, channel: str, tmp_path: Path) -> None:
    count = 10_000
    path = tmp_path / "trades.parquet"
    columns = {
        "symbol": ["SPY"] * count, "ts_us": [START_US + n * 1000 for n in range(count)],
        "price": [1.5] * count, "size": [1] * count,
    }  # fmt: skip
    pl.DataFrame(columns).write_parquet(path)
    out = StringIO()
    sent = await replay(redis, channel, [path], console=Console(file=out, width=100))
    assert sent.ticks == count
    assert out.getvalue().splitlines()[-1].startswith("replay: 100 %, 10,000 ticks, ")
    with pytest.raises(SettingsError, match="speed must be at least 0, was -1"):
        await replay(redis, channel, [path], speed=-1, console=quiet())


async def test_a_redis_that_is_not_there_is_a_server_error(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/none.sock"
    with pytest.raises(ServerError, match=r"cannot publish to data\.raw"):
        await publish(url, "data.raw", [Batch([b"{}"], 0, 1)])
    with pytest.raises(ServerError, match=r"cannot listen on data\.raw"):
        await live_symbols(url, "data.raw", "ZZTEST", 0.1)


async def test_rows_of_test_symbols_are_forgotten_and_no_others(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "CREATE TABLE symbols (symbol text PRIMARY KEY);"
            "CREATE TABLE ohlcv_1min (symbol text REFERENCES symbols, timestamp timestamptz);"
            "INSERT INTO symbols VALUES ('ZZTEST1'), ('ZZTEST22'), ('ZZTESTX'), ('AAPL');"
            "INSERT INTO ohlcv_1min SELECT symbol, now() FROM symbols"
        )
        assert await forget_rows(database) == {"ohlcv_1min": 2, "symbols": 2}
        left = await connection.fetch("SELECT symbol FROM ohlcv_1min ORDER BY 1")
    finally:
        await connection.close()
    assert [row["symbol"] for row in left] == ["AAPL", "ZZTESTX"]


async def test_cached_patterns_of_test_symbols_are_forgotten_and_no_others(redis: str) -> None:
    async with aclosing(Redis.from_url(redis, decode_responses=True)) as client:
        for symbol in ("ZZTEST1", "AAPL"):
            entry = f"{symbol}:Doji:1757600460"
            await client.hset(f"tickstock:patterns:{entry}", "data", "{}")
            await client.zadd("tickstock:indexes:confidence", {entry: 0.9})
            await client.zadd("tickstock:indexes:symbol", {f"{symbol}:{entry}": 1.0})
            await client.zadd("tickstock:indexes:pattern_type", {f"Doji:{entry}": 1.0})
            await client.zadd("tickstock:indexes:time", {entry: 1.0})
        assert await forget_cached(redis) == 1
        assert await client.keys("tickstock:patterns:*") == ["tickstock:patterns:AAPL:Doji:1757600460"]
        for index in ("confidence", "symbol", "pattern_type", "time"):
            (member,) = await client.zrange(f"tickstock:indexes:{index}", 0, -1)
            assert str(member).endswith("AAPL:Doji:1757600460")
