"""Ticks from a Redis Stream: each entry once, over restarts, and what was trimmed unread is said."""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from bar_samples import rows
from running import MINUTE, SECOND, Up, equal_bars, minutes_ago, serving, settings_for, tick
from tickstockpl import service
from tickstockpl.channel import Channel
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.settings import Settings
from tickstockpl.stream import StreamReader, arrival_us, gap_of, id_of, number_of
from tickstockpl.wire import Inbound, Missed
from waiting import until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("entry_id", [b"0-1", b"1757600460000-0", b"1757600460000-1048574", b"9999999999999-3"])
def test_ids_and_numbers_are_the_same(entry_id: bytes) -> None:
    assert id_of(number_of(entry_id)).encode() == entry_id


def test_numbers_rise_with_ids() -> None:
    ids = [b"0-1", b"0-2", b"1-0", b"1757600460000-0", b"1757600460000-7", b"1757600460001-0"]
    numbers = [number_of(each) for each in ids]
    assert numbers == sorted(set(numbers))
    assert arrival_us(numbers[-1]) == 1_757_600_460_001_000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"from_us": 1000, "to_us": 5000, "cause": "start"}', (1000, 5000, "start")),
        (b'{"from_us": 0, "to_us": 5000, "cause": "start"}', (5000, 5000, "start")),
        (b"{", (3_000, 3_000, "tap")),
        (b"[1]", (3_000, 3_000, "tap")),
    ],
)
def test_a_taps_gap_is_read_whatever_it_says(text: bytes, told: tuple[int, int, str]) -> None:
    src = number_of(b"3-0")
    assert gap_of(text, src) == Missed(src, *told)


@pytest.fixture
async def settings(ready: str, redis: str, state_dir: Path) -> Settings:
    stream = f"data.raw.stream.{uuid.uuid4().hex}"
    return settings_for(ready, redis, state_dir, ingest={"mode": "stream", "stream": stream})


async def add(settings: Settings, *payloads: bytes, **options: Any) -> list[bytes]:
    async with Redis.from_url(settings.redis.connection_url(), protocol=2) as client:
        ids: Any = [await client.xadd(settings.ingest.stream, {"d": payload}, **options) for payload in payloads]
        return list(ids)


async def taken(up: Up, messages: int) -> None:
    await until(lambda: up.counters["messages"] >= messages)


async def bars(settings: Settings) -> list[Any]:
    found = await rows(
        settings.database.dsn(),
        "SELECT symbol, (extract(epoch FROM timestamp) * 1000000)::bigint AS ts_us, trades, revision, quality "
        "FROM ohlcv_1min ORDER BY 1, 2",
    )
    return [tuple(row.values()) for row in found]


async def test_a_market_in_a_stream_becomes_its_true_bars_without_a_flag(settings: Settings) -> None:
    market = Market(symbols=("ZZTEST1", "ZZTEST2"), start_us=minutes_ago(22), minutes=20, seed=3)
    simulation = Simulation(market)
    payloads = [payload for batch in simulation.batches() for payload in batch.payloads]
    await add(settings, *payloads[:900])
    async with serving(settings) as up:
        await taken(up, 900)
        await add(settings, *payloads[900:])
        await taken(up, len(payloads))
    async with serving(settings), asyncio.timeout(20):  # the last minute closes by itself, from the entries there
        while "provisional" in {bar[4] for bar in await bars(settings)}:
            await asyncio.sleep(0.05)
    truth = simulation.true_bars()
    assert await equal_bars(settings.database.dsn(), truth) == len(truth) == 40
    assert {bar[4] for bar in await bars(settings)} == {None}
    assert await rows(settings.database.dsn(), "SELECT FROM ingest_gap") == []


async def test_a_late_tick_after_a_restart_revises_and_a_repeated_one_does_not(settings: Settings) -> None:
    begin_us = minutes_ago(10)
    first, second = tick(begin_us + 10 * SECOND), tick(begin_us + 20 * SECOND)
    await add(settings, first, tick(begin_us + 70 * SECOND))
    async with serving(settings) as up:
        await until(lambda: up.stages["writer"]["rows"] >= 1)
    async with serving(settings) as up:
        await taken(up, 2)
        await add(settings, first, second, first, second)
        await taken(up, 6)
        assert up.counters["repeats"] == 3
        await up.stored()
    assert (await bars(settings))[0] == ("ZZTEST1", begin_us, 2, 1, "late_revised")


async def test_what_was_trimmed_while_nobody_read_is_a_gap_and_a_flag(settings: Settings) -> None:
    begin_us = minutes_ago(30)
    await add(settings, *(tick(begin_us + n * 10 * SECOND) for n in range(1, 13)))
    async with serving(settings) as up:
        await taken(up, 12)
        await up.stored()
    *_, kept = await add(settings, *(tick(begin_us + n * 10 * SECOND) for n in range(13, 31)))
    await add(settings, tick(begin_us + 310 * SECOND), minid=kept.decode(), approximate=False)
    async with serving(settings) as up:
        await until(lambda: up.stages["ingest"]["trimmed"] == 17)
        await add(settings, *(tick(begin_us + n * 10 * SECOND) for n in range(32, 48)))
        await taken(up, 17)
        await up.stored()
    flagged = [((ts_us - begin_us) // MINUTE, quality) for _, ts_us, _, _, quality in await bars(settings)]
    assert flagged[0] == (0, None)
    assert (5, "gap") in flagged
    assert (6, None) in flagged
    (gap,) = await rows(settings.database.dsn(), "SELECT * FROM ingest_gap")
    assert (gap["cause"], gap["channels"]) == ("trimmed", [settings.ingest.stream])
    assert gap["started_at"] < gap["ended_at"] < datetime.now(UTC)


async def test_trimming_what_was_read_is_no_gap(settings: Settings) -> None:
    begin_us = minutes_ago(30)
    async with serving(settings) as up:
        *_, last = await add(settings, *(tick(begin_us + n * 10 * SECOND) for n in range(1, 13)))
        await taken(up, 12)
        await up.stored()
    await add(settings, tick(begin_us + 130 * SECOND), minid=f"{int(last.split(b'-')[0]) + 1}-0", approximate=False)
    async with serving(settings) as up:
        await taken(up, 1)
        await up.stored()
        assert up.stages["ingest"]["trimmed"] == 0
    assert await rows(settings.database.dsn(), "SELECT FROM ingest_gap") == []


async def test_a_taps_gap_is_recorded_and_flags_its_minute(settings: Settings) -> None:
    begin_us = minutes_ago(30)
    async with serving(settings) as up:
        await add(settings, *(tick(begin_us + n * 10 * SECOND) for n in range(1, 9)))
        async with Redis.from_url(settings.redis.connection_url(), protocol=2) as client:
            told = '{"from_us": 1757600460000000, "to_us": 1757600461000000, "cause": "closed by Redis"}'
            await client.xadd(settings.ingest.stream, {"gap": told})
            await client.xadd(settings.ingest.stream, {"other": "not a message"})
        await add(settings, *(tick(begin_us + n * 10 * SECOND) for n in range(9, 25)))
        await taken(up, 24)
        assert up.stages["ingest"]["malformed"] == 1
        await up.stored()
    flagged = [((ts_us - begin_us) // MINUTE, quality) for _, ts_us, _, _, quality in await bars(settings)]
    assert flagged[:3] == [(0, None), (1, "gap"), (2, None)]
    (gap,) = await rows(settings.database.dsn(), "SELECT * FROM ingest_gap")
    assert (gap["cause"], gap["started_at"].timestamp()) == ("closed by Redis", 1_757_600_460)


async def test_bars_of_a_silent_stream_close_by_themselves(settings: Settings) -> None:
    async with serving(settings) as up:
        await add(settings, tick(minutes_ago(5) + 59 * SECOND))
        await until(lambda: up.stages["writer"]["rows"] == 1, within_s=15)


async def test_a_redis_that_is_not_there_is_waited_for_and_the_wait_can_be_stopped(settings: Settings) -> None:
    away = settings.redis.model_copy(update={"url": SecretStr("redis://127.0.0.1:1/0")})
    nowhere = settings.model_copy(update={"redis": away})
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0, stop.set)
    async with asyncio.timeout(10):
        await service.run(nowhere, stop=stop)
    assert stop.is_set()


async def test_a_reader_ends_though_redis_py_has_swallowed_its_cancellation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, original = asyncio.Event(), Redis.xread

    async def xread(*given: Any, **options: Any) -> Any:
        """As `asyncio.wait_for` of Python 3.11 may do it in one of thirty."""
        reading.set()
        try:
            return await original(*given, **options)
        except asyncio.CancelledError:
            return []

    monkeypatch.setattr(Redis, "xread", xread)
    out: Channel[Inbound] = Channel(1000, "ticks")
    running = asyncio.create_task(StreamReader(settings.redis, settings.ingest.stream, SystemClock()).run(out))
    await reading.wait()
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
    assert out.closed
