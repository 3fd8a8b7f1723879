"""Two services on one database: one writes, the other waits, or takes over and shuts the first one out."""

import asyncio
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bar_samples import rows
from running import MINUTE, SECOND, Child, child, minutes_ago, settings_for, tick
from tickstockpl.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

WAITS = "another process owns the ticks; waiting for it to end"


@pytest.fixture
async def settings(ready: str, redis: str, state_dir: Path) -> Settings:
    return settings_for(ready, redis, state_dir)


async def bars(settings: Settings) -> list[tuple[int, int]]:
    """(trades, epoch that is written in the checkpoint) of every bar."""
    found = await rows(
        settings.database.dsn(),
        "SELECT b.trades, c.epoch FROM ohlcv_1min b, ingest_checkpoint c ORDER BY b.timestamp",
    )
    return [(row["trades"], row["epoch"]) for row in found]


@pytest.fixture
def begin_us() -> int:
    """An hour before the test, so that a minute that ends in between moves nothing."""
    return minutes_ago(60)


async def publish(settings: Settings, begin_us: int, *minutes: int) -> None:
    """A tick in each of these minutes, counted from `begin_us`."""
    async with Redis.from_url(settings.redis.connection_url(), protocol=2) as client:
        for minute in minutes:
            await client.publish(settings.redis.channels[0], tick(begin_us + minute * MINUTE + 30 * SECOND))


async def listens(running: Child) -> None:
    await running.until_said("redis subscribed", 30)


async def stored(running: Child, count: int) -> None:
    async with asyncio.timeout(20):
        while (await running.health())["stages"]["writer"]["rows"] < count:
            await asyncio.sleep(0.05)


async def test_a_second_service_waits_says_for_whom_and_goes_on_when_the_first_ends(
    settings: Settings, begin_us: int
) -> None:
    async with child(settings) as first:
        await listens(first)
        async with child(settings) as second:
            waiting = await second.until_said(WAITS)
            assert f"pid {first.process.pid} " in waiting["owner"]
            await publish(settings, begin_us, 0, 1)
            await stored(first, 1)
            assert second.process.returncode is None
            first.signal()
            assert await first.ends(20) == 0
            await listens(second)
            await publish(settings, begin_us, 2, 3)
            await stored(second, 2)
            second.signal()
            assert await second.ends(20) == 0
    assert len(second.said(WAITS)) == 1
    assert await bars(settings) == [(1, 2)] * 4


async def test_a_service_that_waits_can_be_stopped(settings: Settings) -> None:
    async with child(settings) as first:
        await listens(first)
        async with child(settings) as second:
            await second.until_said(WAITS)
            second.signal()
            assert await second.ends(10) == 0


async def test_a_killed_owner_keeps_nobody_waiting(settings: Settings) -> None:
    async with child(settings) as first:
        await first.until_said("ready")
        async with child(settings) as second:
            await second.until_said(WAITS)
            first.signal(signal.SIGKILL)
            await first.ends(10)
            await listens(second)


async def test_taking_over_shuts_the_first_one_out_and_makes_no_wrong_bar(settings: Settings, begin_us: int) -> None:
    async with child(settings) as first:
        await listens(first)
        await publish(settings, begin_us, 0, 1)
        await stored(first, 1)
        async with child(settings, "run", "--take-over") as second:
            assert await first.ends(20) == 3
            await listens(second)
            await publish(settings, begin_us, 1, 2)
            await stored(second, 1)
            second.signal()
            assert await second.ends(20) == 0
        (said,) = first.other  # no traceback
        assert "another process has taken over" in said
    assert await bars(settings) == [(1, 2), (1, 2), (1, 2)], "the tick that came twice is in its bar once"


async def test_a_frozen_owner_that_was_taken_over_cannot_write_when_it_wakes(settings: Settings, begin_us: int) -> None:
    async with child(settings) as first:
        await listens(first)
        await publish(settings, begin_us, 0, 1)
        await stored(first, 1)
        first.signal(signal.SIGSTOP)  # a stopped child is killed at the end like any other
        other = settings.model_copy(update={"state_dir": settings.state_dir / "other"})
        async with child(other, "run", "--take-over") as second:
            await listens(second)
            await publish(settings, begin_us, 1, 2, 3)
            await stored(second, 2)
            first.signal(signal.SIGCONT)
            assert await first.ends(20) == 3
            second.signal()
            assert await second.ends(20) == 0
    found = await rows(settings.database.dsn(), "SELECT trades, volume FROM ohlcv_1min ORDER BY timestamp")
    assert [row["trades"] for row in found] == [1, 1, 1, 1]
