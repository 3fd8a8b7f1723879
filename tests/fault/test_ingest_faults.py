"""What the ingest stage does when Redis, the network or this process itself misbehaves."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from fault.proxy import FaultProxy
from listening import client, listening, own_channels, was_cut
from own_servers import OwnServers
from tickstockpl.channel import Channel
from tickstockpl.clock import SystemClock
from tickstockpl.errors import ClosedChannel
from tickstockpl.ingest import Ingest
from tickstockpl.kernel import Framer
from tickstockpl.settings import RedisSettings
from tickstockpl.wire import Answered, Connected, Inbound, Lost, Received
from waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[FaultProxy]:
    """A proxy before the test server's Redis."""
    target = urlsplit(redis_url)
    async with FaultProxy(str(target.hostname), target.port or 6379) as made:
        yield made


def through(proxy: FaultProxy, **changes: Any) -> RedisSettings:
    """Settings that reach Redis by way of the proxy."""
    return at(f"redis://127.0.0.1:{proxy.port}/0", **changes)


def at(url: str, **changes: Any) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), channels=own_channels(1), **changes)


async def test_a_half_open_link_is_found_within_five_seconds_and_replaced_when_the_network_heals(
    proxy: FaultProxy, redis_url: str
) -> None:
    settings = through(proxy, max_backoff_s=0.5)
    async with listening(settings) as listener:
        await listener.next(Connected)
        await listener.next(Answered)
        proxy.black_hole()
        began_s = time.monotonic()
        lost = await listener.next(Lost)
        assert time.monotonic() - began_s < 5
        assert lost.cause == "no answer to PING for 3.0 s"
        await listener.state("down", "no answer")
        proxy.heal()
        assert not (await listener.next(Connected)).first
        async with client(redis_url) as redis:
            await redis.publish(settings.channels[0], "after")
        assert await listener.heard(1) == [b"after"]
        assert listener.ingest.status()["reconnections"] == 1


async def test_a_link_that_never_confirms_its_subscription_is_given_up(proxy: FaultProxy) -> None:
    settings = through(proxy, connect_timeout_s=0.3, max_backoff_s=0.1)
    proxy.black_hole()
    async with listening(settings) as listener:
        await listener.state("down", "no answer")
        before = proxy.connections
        await until(lambda: proxy.connections >= before + 2)
        proxy.heal()
        assert (await listener.next(Connected)).first


async def test_a_reset_is_a_loss_with_its_cause_and_the_next_attempt_is_immediate(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickstockpl.ingest.SETTLED_S", 0.0)
    async with listening(through(proxy)) as listener:
        await listener.next(Answered)
        proxy.reset()
        lost = await listener.next(Lost)
        again = await listener.next(Connected)
        assert lost.cause.startswith("ConnectionResetError")
        assert not again.first
        assert again.now_us - lost.now_us < 100_000


async def test_a_killed_subscription_is_made_again_and_both_ends_are_told(redis_url: str) -> None:
    settings = at(redis_url)
    async with listening(settings) as listener, client(redis_url) as redis:
        await listener.next(Connected)
        for n in range(3):
            ours = [c["id"] for c in await redis.client_list("pubsub") if c["name"] == "tickstockpl-ingest"]
            for client_id in ours:
                await redis.client_kill_filter(_id=client_id)
            assert was_cut((await listener.next(Lost)).cause)
            await listener.next(Connected)
            await redis.publish(settings.channels[0], str(n))
            await listener.heard(n + 1)
    assert listener.payloads[0] == [b"0", b"1", b"2"]


async def test_without_redis_it_is_down_and_connects_once_there_is_one(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(redis=True)
    servers.redis.kill()
    with capture_logs() as logs:
        async with listening(at(servers.redis_url, max_backoff_s=0.05)) as listener:
            await listener.state("down", "connecting to 127.0.0.1")
            await until(lambda: any(entry.get("attempts") == 10 for entry in logs))
            await asyncio.to_thread(servers.redis.restart)
            assert (await listener.next(Connected)).first
            assert listener.ingest.status()["state"] == "ok"
    unusable = [entry["attempts"] for entry in logs if entry["event"] == "redis cannot be used"]
    assert {1, 10} <= set(unusable) <= {1, 10, 100}


async def test_a_killed_redis_is_a_loss_and_its_successor_is_known_to_be_another(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(redis=True)
    with capture_logs() as logs:
        async with listening(at(servers.redis_url, max_backoff_s=0.2)) as listener:
            await listener.next(Connected)
            servers.redis.kill()
            await listener.next(Lost)
            await asyncio.to_thread(servers.redis.restart)
            assert not (await listener.next(Connected)).first
    assert [entry["event"] for entry in logs if "before" in entry] == ["redis is another process than before"]


async def test_a_frozen_redis_is_found_by_its_silence(own_servers: Callable[..., OwnServers]) -> None:
    servers = own_servers(redis=True)
    async with listening(at(servers.redis_url, ping_s=0.1, pong_timeout_s=0.5, connect_timeout_s=0.5)) as listener:
        await listener.next(Answered)
        servers.redis.freeze()
        try:
            assert (await listener.next(Lost)).cause == "no answer to PING for 0.5 s"
        finally:
            servers.redis.thaw()
        await listener.next(Connected)


async def test_a_cut_for_reading_too_slowly_says_so(own_servers: Callable[..., OwnServers]) -> None:
    servers = own_servers(redis=True)
    settings = at(servers.redis_url)
    async with client(servers.redis_url) as redis:
        await redis.config_set("client-output-buffer-limit", "pubsub 1mb 0 0")
        async with listening(settings, capacity=1) as listener:
            await listener.next(Connected)
            sent = 0
            while await redis.publish(settings.channels[0], b"x" * 60_000):
                sent += 1
            lost = await listener.next(Lost)
            assert "read too slowly" in lost.cause
            heard = len(listener.payloads[0])
            assert 0 < heard < sent
            await listener.next(Connected)


async def test_a_process_that_stood_still_does_not_take_its_own_silence_for_redis(redis_url: str) -> None:
    settings = at(redis_url, ping_s=0.1, pong_timeout_s=0.3)
    async with listening(settings) as listener:
        await listener.next(Answered)
        time.sleep(1)  # noqa: ASYNC251 - the whole loop stands still, as under SIGSTOP or a long collection
        async with client(redis_url) as redis:
            await redis.publish(settings.channels[0], "still here")
        assert await listener.heard(1) == [b"still here"]
        for _ in range(5):
            await listener.next(Answered)
        assert listener.ingest.status()["reconnections"] == 0


async def test_a_slow_network_is_not_a_dead_one(proxy: FaultProxy, redis_url: str) -> None:
    proxy.latency_s = 0.2
    settings = through(proxy, ping_s=0.1, pong_timeout_s=1.0)
    async with listening(settings) as listener:
        for _ in range(8):
            await listener.next(Answered)
        async with client(redis_url) as redis:
            await redis.publish(settings.channels[0], "late")
        assert await listener.heard(1) == [b"late"]
        assert listener.ingest.status()["reconnections"] == 0


async def test_a_server_that_is_no_redis_is_named_and_tried_again() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with listening(at(f"redis://127.0.0.1:{port}/0", max_backoff_s=0.1)) as listener:
            await listener.state("down", "Protocol")
        server.close()


async def test_stopping_is_quick_wherever_it_waits(proxy: FaultProxy) -> None:
    proxy.black_hole()
    for settings, reached in (
        (through(proxy, connect_timeout_s=60), lambda _: until(lambda: proxy.connections > 0)),
        (at("redis://127.0.0.1:1/0", max_backoff_s=60), lambda listener: listener.state("down", "Connect call failed")),
    ):
        async with listening(settings) as listener:
            await reached(listener)
            began_s = time.monotonic()
            assert listener.ingest.status()["state"] == "down"
        assert time.monotonic() - began_s < 1


async def test_a_flapping_server_is_not_hammered(proxy: FaultProxy) -> None:
    async with listening(through(proxy)) as listener:
        losses = 0
        began_s = time.monotonic()
        while time.monotonic() - began_s < 2:
            await listener.next(Connected)
            proxy.reset()
            await listener.next(Lost)
            losses += 1
        assert losses < 10


async def test_messages_before_a_loss_are_handed_over_before_it(proxy: FaultProxy, redis_url: str) -> None:
    settings = through(proxy)
    async with listening(settings, capacity=1) as listener, client(redis_url) as redis:
        await listener.next(Connected)
        for n in range(100):
            await redis.publish(settings.channels[0], str(n))
        await until(lambda: listener.ingest.status()["messages"][settings.channels[0]] > 0)
        proxy.reset()
        kinds: list[type] = []
        async with asyncio.timeout(5):
            while Lost not in kinds:
                item = await listener.out.get()
                listener.take(item)
                kinds.append(type(item))
        heard = listener.payloads[0]
        assert heard == [b"%d" % n for n in range(len(heard))]
        assert Received in kinds
        assert len(heard) == listener.ingest.status()["messages"][settings.channels[0]]


async def test_a_bug_in_the_framer_ends_the_stage_instead_of_being_retried(redis_url: str) -> None:
    class Broken:
        pending = 0

        def feed(self, chunk: memoryview) -> Any:
            raise LookupError("a bug")

    out: Channel[Inbound] = Channel(1, "inbound")
    async with asyncio.timeout(5):
        with pytest.raises(LookupError, match="a bug"):
            await Ingest(at(redis_url), Broken, SystemClock()).run(out)
    assert out.closed


async def test_a_channel_that_the_next_stage_has_closed_ends_the_stage(redis_url: str) -> None:
    out: Channel[Inbound] = Channel(1, "inbound")
    out.close()
    async with asyncio.timeout(5):
        with pytest.raises(ClosedChannel):
            await Ingest(at(redis_url), lambda: Framer(["unused"]), SystemClock()).run(out)
