"""What the tap does when the Redis of the ticks, that of the streams, or both fail."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from fault.proxy import FaultProxy, through
from listening import was_cut
from own_servers import OwnServers
from tapping import gaps_in, messages_in, tap_settings, tapping
from waiting import until

pytestmark = pytest.mark.anyio

AOF = "--appendonly yes --appendfsync always"
"""With `everysec` a kill may cost what was confirmed while a sync was going on: found by these tests."""


async def test_a_killed_redis_with_aof_costs_only_a_marked_gap(
    own_servers: Callable[..., OwnServers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKSTOCKPL_TEST_REDIS_CONF", AOF)
    servers = await asyncio.to_thread(own_servers, redis=True)
    async with tapping(tap_settings(servers.redis_url)) as tapped:
        for n in range(3):
            await tapped.publish(*(b"%d.%d" % (n, at) for at in range(700)))
            await tapped.copied(700 * (n + 1))
            servers.redis.kill()
            await until(lambda: not tapped.ingest.status()["connected"])
            await asyncio.to_thread(servers.redis.restart)
            await until(lambda n=n: tapped.ingest.status()["reconnections"] == n + 1)  # type: ignore[misc]
        await tapped.publish(b"last")
        await tapped.copied(2101)
        entries = await tapped.entries()
    assert messages_in(entries) == [b"%d.%d" % (n, at) for n in range(3) for at in range(700)] + [b"last"]
    gaps = gaps_in(entries)
    assert len(gaps) == 3
    assert all(was_cut(gap["cause"]) and gap["from_us"] < gap["to_us"] for gap in gaps)
    assert [at for at, (field, _) in enumerate(entries) if field == b"gap"] == [700, 1401, 2102]


async def test_streams_on_a_redis_that_is_killed_or_frozen_lose_nothing_and_hold_nothing_twice(
    redis_url: str, own_servers: Callable[..., OwnServers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKSTOCKPL_TEST_REDIS_CONF", AOF)
    servers = await asyncio.to_thread(own_servers, redis=True)
    settings = tap_settings(redis_url, redis={"pong_timeout_s": 0.5, "connect_timeout_s": 0.5}, url=servers.redis_url)
    sent: list[bytes] = []

    async with tapping(settings) as tapped:

        async def feed(count: int) -> None:
            """More than a socket's buffer holds, so that batches are cut off in their middle."""
            payloads = [b"%d %s" % (len(sent) + n, b"x" * 2000) for n in range(count)]
            sent.extend(payloads)
            await tapped.publish(*payloads)

        for harm, repair in ((servers.redis.freeze, servers.redis.thaw), (servers.redis.kill, servers.redis.restart)):
            for _ in range(3):
                await feed(1000)
                faults = tapped.faults
                harm()
                await feed(1000)
                # An answer that timed out or was cut off, and a link that could not be made anew.
                await until(lambda faults=faults: tapped.faults >= faults + 2)  # type: ignore[misc]
                assert tapped.tap.numbers()["waiting"] > 0
                await asyncio.to_thread(repair)
                await feed(10)
                await tapped.copied(len(sent))
        entries = await tapped.entries()
        assert tapped.ingest.status()["reconnections"] == 0
    assert messages_in(entries) == sent
    assert gaps_in(entries) == []


async def test_entries_that_redis_forgets_are_a_marked_gap(
    redis_url: str, own_servers: Callable[..., OwnServers]
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True)
    async with tapping(tap_settings(redis_url, url=servers.redis_url)) as tapped:
        await tapped.publish(b"1")
        await tapped.copied(1)
        ((newest, _),) = await tapped.redis.xrange(tapped.streams[0])
        servers.redis.kill()
        await asyncio.to_thread(servers.redis.restart)
        await tapped.publish(b"2")
        await tapped.copied(2)
        await until(lambda: tapped.tap.numbers()["gaps"] == 1 and not any(map(len, tapped.tap.lanes)))
        entries = await tapped.entries()
    assert messages_in(entries) == [b"2"]
    upto_us = int(newest.split(b"-")[0]) * 1000
    assert gaps_in(entries) == [{"from_us": 0, "to_us": upto_us, "cause": "redis_lost_entries"}]


async def test_an_answer_that_is_lost_does_not_make_messages_twice(redis: str) -> None:
    server = urlsplit(redis)
    async with (
        FaultProxy(server.hostname or "", server.port or 6379) as proxy,
        tapping(tap_settings(redis, url=through(proxy, redis))) as tapped,
    ):
        sent: list[bytes] = []
        for n in range(100):
            sent += [b"%d.%d" % (n, at) for at in range(50)]
            await tapped.publish(*sent[-50:])
            proxy.reset()
        await tapped.copied(len(sent))
        assert messages_in(await tapped.entries()) == sent


async def test_what_finds_no_room_is_counted_and_marked_once_there_is_room_again(
    redis_url: str, own_servers: Callable[..., OwnServers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKSTOCKPL_TEST_REDIS_CONF", AOF)
    servers = await asyncio.to_thread(own_servers, redis=True)
    async with tapping(tap_settings(redis_url, url=servers.redis_url, queue_mib=1)) as tapped:
        await tapped.publish(b"before")
        await tapped.copied(1)
        servers.redis.kill()
        await tapped.publish(*(b"x" * 1000 for _ in range(3000)))
        await until(lambda: sum(tapped.tap.numbers()[name] for name in ("waiting", "missed")) == 3000)
        numbers = tapped.tap.numbers()
        assert 0 < numbers["waiting"] * 1000 < 1 << 20
        await asyncio.to_thread(servers.redis.restart)
        await until(lambda: tapped.tap.numbers()["gaps"] == 1)
        await tapped.publish(b"after")
        await tapped.copied(numbers["waiting"] + 2)
        entries = await tapped.entries()
        assert tapped.tap.numbers()["missed"] == numbers["missed"]
    assert messages_in(entries)[-1] == b"after"
    (gap,) = gaps_in(entries)
    assert gap["cause"] == "tap_backlog_full"
    assert gap["from_us"] <= gap["to_us"]
    assert entries[-2][0] == b"gap"


async def test_it_ends_within_seconds_though_the_streams_redis_is_away(
    redis_url: str, own_servers: Callable[..., OwnServers]
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True)
    async with tapping(tap_settings(redis_url, url=servers.redis_url)) as tapped:
        servers.redis.freeze()
        await tapped.publish(b"1")
        await until(lambda: tapped.tap.numbers()["waiting"] == 1)
        began_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began_s < 5
