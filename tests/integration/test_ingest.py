"""Ticks in from a real Redis: nothing lost or reordered, whatever the socket, the loop or the moment."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis.asyncio import ConnectionPool
from structlog.testing import capture_logs

from fault.proxy import FaultProxy
from listening import client, listening, own_channels
from tickstockpl import ingest as ingest_module
from tickstockpl.channel import Channel
from tickstockpl.clock import SystemClock
from tickstockpl.kernel import Framer
from tickstockpl.link import Link, Tally
from tickstockpl.settings import RedisSettings
from tickstockpl.wire import Answered, Connected, Inbound, Received
from waiting import until

pytestmark = pytest.mark.anyio
CERTIFICATE = Path(__file__).parents[1] / "fault" / "localhost.pem"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both loops: the service runs on uvloop where there is one."""
    if request.param[1]["use_uvloop"]:
        pytest.importorskip("uvloop", reason="install uvloop (requirements.lock) to test its loop too")
    return request.param


def settings_for(url: str, count: int = 2, **changes: Any) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), channels=own_channels(count), **changes)


def numbered(count: int, size: int = 8) -> list[bytes]:
    return [b"%0*d" % (size, n) for n in range(count)]


async def publish(url: str, channel: str, payloads: list[bytes]) -> None:
    async with client(url) as redis:
        for start in range(0, len(payloads), 1000):
            pipeline = redis.pipeline(transaction=False)
            for payload in payloads[start : start + 1000]:
                pipeline.publish(channel, payload)
            await pipeline.execute()


async def test_messages_follow_connected_in_the_order_of_their_channel(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with listening(settings) as listener:
        assert (await listener.next(Connected)).first
        first, second = settings.channels
        await publish(redis_url, first, numbered(2500))
        await publish(redis_url, second, [b"other"])
        assert await listener.heard(2500) == numbered(2500)
        assert await listener.heard(1, channel=1) == [b"other"]
        status = listener.ingest.status()
    assert status["messages"] == {first: 2500, second: 1}
    assert (status["state"], status["connected"], status["db"]) == ("ok", True, 0)


@pytest.mark.parametrize("size", [8, 2000], ids=["few bytes", "more than redis-py reads ahead"])
async def test_what_redis_py_had_buffered_when_we_took_over_is_not_lost(redis_url: str, size: int) -> None:
    channels, payloads = own_channels(1), numbered(1000, size)
    out: Channel[Inbound] = Channel(10_000, "inbound")
    link = Link(Framer(list(channels)), channels, Tally([0]), out, SystemClock(), asyncio.Event(), first=True)
    pool: Any = ConnectionPool.from_url(redis_url, protocol=2)
    connection = pool.make_connection()
    await connection.connect()
    await connection.send_command("SUBSCRIBE", *channels)
    await publish(redis_url, channels[0], payloads)
    await until(lambda: len(connection._reader._buffer) >= min(1000 * size, 1 << 17))
    await link.take_over(connection)
    heard: list[bytes] = []
    try:
        async with asyncio.timeout(10):
            while len(heard) < 1000:
                match await out.get():
                    case Received(frames=frames):
                        heard += frames.payloads(0)
    finally:
        link.end("done")
    assert heard == payloads


async def test_a_flood_while_subscribing_is_heard_without_a_hole_from_its_first_message_on(redis_url: str) -> None:
    settings = settings_for(redis_url, 1)
    flood, past = numbered(15_000), asyncio.Event()

    async def flooding() -> None:
        for start in range(0, len(flood), 500):
            await publish(redis_url, settings.channels[0], flood[start : start + 500])
            past.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(flooding())
        await past.wait()
        async with listening(settings) as listener:
            await listener.next(Connected)
            while not listener.payloads[0] or listener.payloads[0][-1] != flood[-1]:
                await listener.next(Received)
            heard = listener.payloads[0]
    assert heard == flood[len(flood) - len(heard) :]


async def test_a_full_channel_stops_the_reading_and_loses_nothing(redis_url: str) -> None:
    settings = settings_for(redis_url, 1, ping_s=0.05, pong_timeout_s=0.2)
    payloads = numbered(10_000, 500)
    async with listening(settings, capacity=1) as listener:
        await listener.next(Connected)
        await publish(redis_url, settings.channels[0], payloads)
        await until(lambda: listener.ingest.status()["pauses"] > 0)
        await asyncio.sleep(0.5)  # longer than the PING may stay unanswered: nobody listens, so nothing is missed
        assert await listener.heard(len(payloads)) == payloads
        assert listener.ingest.status()["reconnections"] == 0


async def test_what_was_published_before_an_answered_ping_has_been_handed_over(redis_url: str) -> None:
    settings = settings_for(redis_url, 1, ping_s=0.02)
    async with listening(settings) as listener:
        await listener.next(Connected)
        for n in range(1, 20):
            await publish(redis_url, settings.channels[0], numbered(50))
            published_us = SystemClock().now_us()
            while (await listener.next(Answered)).now_us < published_us:
                pass
            assert len(listener.payloads[0]) == 50 * n


async def test_stopping_hands_over_all_that_was_read_and_closes_the_channel(redis_url: str) -> None:
    settings = settings_for(redis_url, 1)
    async with listening(settings, capacity=1) as listener:
        await listener.next(Connected)
        await publish(redis_url, settings.channels[0], numbered(10_000, 500))
        await until(lambda: listener.ingest.status()["pauses"] > 0)
        read = listener.ingest.status()["messages"][settings.channels[0]]
    assert listener.payloads[0] == numbered(10_000, 500)[:read]
    assert read > 0
    assert listener.out.closed
    assert listener.ingest.status()["messages"][settings.channels[0]] == read


async def test_a_unix_socket_works(redis_url: str, tmp_path: Path) -> None:
    target = urlsplit(redis_url)
    path = str(tmp_path / "redis.sock")
    async with FaultProxy(str(target.hostname), target.port or 6379, unix_path=path):
        settings = settings_for(f"unix://{path}?db=3", 1)
        async with listening(settings) as listener:
            await listener.next(Connected)
            await publish(redis_url, settings.channels[0], numbered(1000))
            assert await listener.heard(1000) == numbered(1000)
            assert listener.ingest.status()["db"] == 3


async def test_a_url_that_asks_for_another_protocol_is_not_followed(redis_url: str) -> None:
    target = urlsplit(redis_url)
    settings = settings_for(f"redis://{target.hostname}:{target.port}/0?protocol=3&decode_responses=true", 1)
    async with listening(settings) as listener:
        await listener.next(Connected)
        await publish(redis_url, settings.channels[0], numbered(10))
        assert await listener.heard(10) == numbered(10)


async def test_tls_works(redis_url: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    target = urlsplit(redis_url)
    async with FaultProxy(str(target.hostname), target.port or 6379, tls=context) as proxy:
        settings = settings_for(f"rediss://localhost:{proxy.port}/0?ssl_ca_certs={CERTIFICATE}", 1)
        async with listening(settings) as listener:
            await listener.next(Connected)
            await publish(redis_url, settings.channels[0], numbered(5000, 300))
            assert await listener.heard(5000) == numbered(5000, 300)


async def test_it_says_where_it_listens_and_what_it_hears(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "HEARD_AFTER_S", 0.3)
    settings = settings_for(redis_url, 2, ping_s=0.1)
    spoken, silent = settings.channels
    with capture_logs() as logs:
        async with listening(settings) as listener:
            await listener.next(Connected)
            await publish(redis_url, spoken, [b"1"])
            async with asyncio.timeout(5):
                while not any(entry["event"] == "nothing heard" for entry in logs):
                    await listener.next(Answered)
            await publish(redis_url, silent, [b"1"])
            async with asyncio.timeout(5):
                while not any(entry["event"] == "channel heard" and entry["channel"] == silent for entry in logs):
                    await listener.next(Answered)
    by_event = {entry["event"]: entry for entry in logs}
    subscribed = by_event["redis subscribed"]
    assert subscribed["db"] == 0
    assert subscribed["redis_version"].startswith("8.")
    assert len(subscribed["run_id"]) == 40
    assert subscribed["other_subscribers"] == {spoken: 0, silent: 0}
    assert (by_event["messages heard"]["channel"], by_event["messages heard"]["messages"]) == (spoken, 1)
    assert by_event["nothing heard"]["channel"] == silent
    assert [entry["channel"] for entry in logs if entry["event"] == "channel heard"] == [spoken, silent]


@pytest.fixture
async def user(redis_url: str) -> AsyncIterator[str]:
    """A Redis user who may do everything but subscribe."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    async with client(redis_url) as redis:
        await redis.execute_command("ACL", "SETUSER", name, "on", ">secret", "+@all", "resetchannels")
        try:
            yield name
        finally:
            await redis.execute_command("ACL", "DELUSER", name)


def as_user(redis_url: str, name: str, password: str) -> str:
    target = urlsplit(redis_url)
    return f"redis://{name}:{password}@{target.hostname}:{target.port}/0"


async def test_a_wrong_password_is_said_once_and_tried_slowly(
    redis_url: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "REFUSED_RETRY_S", 0.2)
    settings = settings_for(as_user(redis_url, user, "wrong"), 1)
    with capture_logs() as logs:
        async with listening(settings) as listener:
            await listener.state("down", "invalid username-password pair")
            async with client(redis_url) as redis:
                await redis.execute_command("ACL", "SETUSER", user, ">wrong", "allchannels")
            await listener.next(Connected)
    refused = [entry for entry in logs if entry["log_level"] == "error"]
    assert [entry["attempts"] for entry in refused] == [1]
    assert ":wrong@" not in str(logs)


async def test_a_channel_that_the_user_may_not_hear_is_named_as_the_reason(redis_url: str, user: str) -> None:
    settings = settings_for(as_user(redis_url, user, "secret"), 1)
    with capture_logs() as logs:
        async with listening(settings) as listener:
            await listener.state("down", "No permissions to access a channel")
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["redis cannot be used"]


async def test_a_missing_database_number_is_named_as_the_reason(redis_url: str) -> None:
    target = urlsplit(redis_url)
    settings = settings_for(f"redis://{target.hostname}:{target.port}/99", 1)
    async with listening(settings) as listener:
        await listener.state("down", "DB index is out of range")


async def test_redis_pys_connection_still_has_the_parts_that_we_take(redis_url: str) -> None:
    pool: Any = ConnectionPool.from_url(redis_url, protocol=2)
    connection = pool.make_connection()
    await connection.connect()
    try:
        assert isinstance(connection._reader, asyncio.StreamReader)
        assert isinstance(connection._writer, asyncio.StreamWriter)
    finally:
        await connection.disconnect()
