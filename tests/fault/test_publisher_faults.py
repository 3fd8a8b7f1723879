"""The publisher while Redis loses connections, data, rights, or itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis as redis_py
import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

import appv2_readers as appv2
from event_samples import event, events, found
from own_servers import OwnServers
from publishing import CHANNELS, Published, hearing, minute_us, publishing
from reading_samples import readings
from tickstockpl import dispatch
from tickstockpl.connection import Connection
from tickstockpl.events import Event, Expiry
from tickstockpl.metrics import Metrics
from tickstockpl.settings import RedisSettings
from tickstockpl.wire import Findings

pytestmark = pytest.mark.anyio

QUICK: dict[str, Any] = {"pong_timeout_s": 0.3, "connect_timeout_s": 0.3, "max_backoff_s": 0.1}


def numbered(symbols: int, each: int) -> tuple[Event, ...]:
    """`each` events of every symbol, one a minute; `volume` is the number of the symbol's event."""
    return tuple(
        event(f"ZZ{symbol}", bar_end_us=minute_us(each - n), volume=n) for n in range(each) for symbol in range(symbols)
    )


def orders(messages: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Each symbol's event numbers as they came, without what came twice."""
    found: dict[str, dict[int, None]] = {}
    for message in messages:
        found.setdefault(message["symbol"], {})[message["data"]["bar"]["volume"]] = None
    return {symbol: list(numbers) for symbol, numbers in found.items()}


async def test_killed_connections_lose_no_event_and_keep_each_symbols_order(redis: str) -> None:
    events = numbered(symbols=10, each=12)
    async with (
        publishing(redis, redis=QUICK) as published,
        hearing(redis, published.channel) as heard,
        Redis.from_url(redis) as client,
    ):
        await published.inbox.put(found(*events))
        for sent in (20, 50, 80):
            await published.until(lambda status, sent=sent: status["sent"] >= sent)  # type: ignore[misc]
            (own,) = (one for one in await client.client_list() if one["name"] == "tickstockpl-publisher")
            await client.client_kill_filter(_id=own["id"])
        status = await published.until(lambda status: status["sent"] == len(events))
    assert orders(heard.heard[published.channel]) == {f"ZZ{n}": list(range(12)) for n in range(10)}
    numbers = [message["seq"] for message in heard.heard[published.channel]]
    assert numbers == sorted({*numbers})  # what went out again has a new one
    assert [sent.event_id for sent in published.sent] == [one.event_id for one in events]
    assert status["reconnections"] >= 3


async def test_events_wait_for_a_redis_that_restarts_and_its_empty_cache_is_filled_again(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(redis=True)
    url = servers.redis_url
    with structlog.testing.capture_logs() as logs:
        async with publishing(url, redis=QUICK) as published, hearing(url, published.channel, *CHANNELS) as heard:
            await published.inbox.put(found(event("ZZBEFORE", bar_end_us=minute_us(1))))
            await heard.count(published.channel, 1)
            await heard.count("tickstock:streaming:session_started", 1)
            heard.subscribed.clear()
            servers.redis.kill()
            await published.inbox.put(found(*numbered(symbols=5, each=4)))
            status = await published.until(lambda status: status["state"] == "down")
            assert status["queued"] + status["sent"] == 21
            await asyncio.to_thread(servers.redis.restart)
            async with asyncio.timeout(10):
                await heard.subscribed.wait()
            await published.until(lambda status: status["state"] == "ok" and status["sent"] == 21)
            started = await heard.count("tickstock:streaming:session_started", 2)
            assert len({one["session"]["session_id"] for one in started}) == 1
            await published.until(lambda status: status["cache_entries"] == 21)
            with contextlib.closing(redis_py.Redis.from_url(url, decode_responses=True)) as client:
                async with asyncio.timeout(10):
                    while len(rows := appv2.scan(client, minute_us() / 1e6)) < 21:
                        await asyncio.sleep(0.02)
            assert "ZZBEFORE" in {row["symbol"] for row in rows}
    assert [entry["event"] for entry in logs].count("redis lost") == 1


async def test_what_expires_while_redis_is_gone_is_counted_and_not_sent_later(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(redis=True)
    async with publishing(servers.redis_url, redis=QUICK, expire_s=0.5) as published:
        await published.until(lambda status: status["state"] == "ok")
        servers.redis.kill()
        await published.until(lambda status: status["state"] == "down")
        await published.inbox.put(found(*numbered(symbols=7, each=1)))
        status = await published.until(lambda status: status["expired"] == 7)
        assert (status["sent"], status["queued"]) == (0, 0)
        await asyncio.to_thread(servers.redis.restart)
        await published.inbox.put(found(event("ZZAFTER", bar_end_us=minute_us())))
        status = await published.until(lambda status: status["sent"] == 1)
    assert (status["expired"], len(published.sent)) == (7, 1)


async def test_redis_that_does_not_answer_is_given_up_and_found_again(own_servers: Callable[..., OwnServers]) -> None:
    servers = own_servers(redis=True)
    async with publishing(servers.redis_url, redis=QUICK) as published:
        await published.until(lambda status: status["state"] == "ok")
        servers.redis.freeze()
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        status = await published.until(lambda status: status["state"] == "down")
        assert any(words in status["last_error"] for words in ("Timeout", "no answer for 0.3 s"))
        servers.redis.thaw()
        await published.until(lambda status: status["sent"] == 1)


async def test_an_event_withdrawn_while_its_answer_is_awaited_is_not_sent_again(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = event(bar_end_us=minute_us())
    async with publishing(redis, redis=QUICK) as published:

        async def lose_the_answer(*_: Any) -> Any:
            monkeypatch.undo()
            gone = Expiry(one.event_id, one.symbol, one.pattern, one.bar_end_us)
            await published.inbox.put(Findings(expired=(gone,)))
            while len(published.inbox):
                await asyncio.sleep(0)
            raise RedisConnectionError("gone before it answered")

        monkeypatch.setattr(dispatch, "send_packed", lose_the_answer)
        await published.inbox.put(found(one))
        await published.until(lambda status: status["withdrawn"] == 1)
        await published.inbox.put(found(event("ZZAFTER", bar_end_us=minute_us())))
        status = await published.until(lambda status: status["sent"] == 1)
    assert (status["faults"], status["queued"], len(published.sent)) == (1, 0, 1)


async def test_a_stop_that_comes_while_redis_py_is_sending_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncio.wait_for` of Python 3.11 may swallow it; whatever does, the next attempt sees it."""
    link = Connection(RedisSettings.model_validate({"url": "redis://127.0.0.1:1/0", **QUICK}), Metrics())
    async with link.client() as client:
        sending = asyncio.Event()

        async def ping() -> None:
            sending.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            raise RedisConnectionError("nothing there")

        monkeypatch.setattr(client, "ping", ping)
        task = asyncio.create_task(link.establish(client))
        async with asyncio.timeout(10):
            await sending.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_events_go_on_between_the_steps_of_a_walk_over_many_foreign_keys(
    own_servers: Callable[..., OwnServers],
) -> None:
    """Counted in Redis's own order of commands, so that a slow machine says the same."""
    url = own_servers(redis=True).redis_url
    fill = "for n = 1, 100000 do redis.call('SET', KEYS[1] .. n, n) end"
    async with Redis.from_url(url) as client:
        for n in range(3):
            await client.eval(fill, 1, f"other:{n}:")
    async with Redis.from_url(url) as onlooker, onlooker.monitor() as monitor:
        seen: list[str] = []

        async def look() -> None:
            async for one in monitor.listen():
                seen.append(one["command"].split()[0].upper() if published.channel in one["command"] else "")
                if one["command"].startswith("SCAN"):
                    seen[-1] = "SCAN"

        async with publishing(url) as published:
            looking = asyncio.create_task(look())
            await published.until(lambda status: status["state"] == "ok")
            await published.inbox.put(found(*(event(f"ZZ{n}", bar_end_us=minute_us()) for n in range(240))))
            await published.until(lambda status: status["sent"] == 240)
            looking.cancel()
    order = "".join({"PUBLISH": "P", "SCAN": "s"}.get(what, "") for what in seen)
    between = [len(scans) for scans in order.strip("s").split("P")]
    assert max(between) <= 40
    assert sum(between) >= 100


async def test_stopping_ends_in_time_without_redis(own_servers: Callable[..., OwnServers]) -> None:
    servers = own_servers(redis=True)
    servers.redis.kill()
    loop = asyncio.get_running_loop()
    with structlog.testing.capture_logs() as logs:
        async with publishing(servers.redis_url, redis=QUICK, drain_s=0.2) as published:
            await published.inbox.put(found(event(bar_end_us=minute_us())))
            await published.until(lambda status: status["state"] == "down" and status["queued"] == 1)
            began_s = loop.time()
        assert loop.time() - began_s < 2
    (stopped,) = (entry for entry in logs if entry["event"] == "publisher stopped early")
    assert stopped["unsent"] == 1


@asynccontextmanager
async def limited(url: str, *channels: str) -> AsyncIterator[tuple[Published, Redis]]:
    """A publisher whose user may, once it runs, use these channels alone, and a client that may change that."""
    async with Redis.from_url(url, protocol=2) as admin, publishing(url, redis=QUICK) as published:
        await published.until(lambda status: status["state"] == "ok")
        await admin.acl_setuser("default", enabled=True, reset_channels=True, channels=channels)
        yield published, admin


async def test_refused_publish_waits_for_the_right_and_harms_nothing_else(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(redis=True)
    async with limited(servers.redis_url, "tickstock:*") as (published, admin):
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        status = await published.until(lambda status: status["state"] == "degraded")
        assert "permission" in status["reason"].lower()
        assert (status["sent"], await admin.exists("tickstock:producer:heartbeat")) == (0, 1)
        await admin.acl_setuser("default", enabled=True, channels=["*"])
        status = await published.until(lambda status: status["sent"] == 1)
        assert status["state"] == "ok"


async def test_an_event_that_only_the_main_channel_refuses_is_streamed_once_and_the_stage_says_so_throughout(
    own_servers: Callable[..., OwnServers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PAUSE_S", 0.0)
    servers = own_servers(redis=True)
    async with (
        limited(servers.redis_url, "tickstock*") as (published, admin),
        hearing(servers.redis_url, "tickstock:patterns:streaming") as heard,
    ):
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        status = await published.until(lambda status: status["state"] == "degraded")
        async with asyncio.timeout(10):
            while status["faults"] < 10:
                await asyncio.sleep(0.002)
                status = published.stage.status()
                assert (status["state"], status["sent"]) == ("degraded", 0)
        assert f"on {published.channel}: " in status["reason"]
        await admin.acl_setuser("default", enabled=True, channels=["*"])
        status = await published.until(lambda status: status["sent"] == 1)
        assert status["state"] == "ok"
        await published.inbox.put(found(event("ZZLAST", bar_end_us=minute_us())))
        await heard.count("tickstock:patterns:streaming", 2)
    streamed = [one["detection"]["symbol"] for one in heard.heard["tickstock:patterns:streaming"]]
    assert streamed == ["ZZTEST1", "ZZLAST"]
    assert len(published.sent) == 2


async def test_an_event_that_only_the_streaming_channel_refuses_is_sent_and_the_stage_says_what_is_missing(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = own_servers(redis=True)
    async with limited(servers.redis_url, "test.*", "*health*") as (published, admin):
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        status = await published.until(lambda status: status["sent"] == 1)
        assert (status["state"], status["queued"]) == ("degraded", 0)
        assert "on tickstock:patterns:streaming: " in status["reason"]
        await admin.acl_setuser("default", enabled=True, channels=["*"])
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        await published.until(lambda status: status["sent"] == 2 and status["state"] == "ok")
    assert len(published.sent) == 2


async def test_a_refused_indicator_channel_does_not_slow_the_events(own_servers: Callable[..., OwnServers]) -> None:
    servers = own_servers(redis=True)
    names = [f"ZZ{n}" for n in range(100)]
    async with (
        Redis.from_url(servers.redis_url, protocol=2) as admin,
        publishing(servers.redis_url, redis=QUICK) as published,
    ):
        await published.until(lambda status: status["state"] == "ok")
        channels = ["test.*", "*health*", "tickstock:patterns:streaming"]
        await admin.acl_setuser("default", enabled=True, reset_channels=True, channels=channels)
        values = readings(*names, bar_end_us=minute_us())
        await published.inbox.put(
            Findings(events=events(*(event(n, bar_end_us=minute_us()) for n in names)), readings=values)
        )
        status = await published.until(lambda status: status["sent"] == len(names), within_s=4)
        assert (status["state"], status["indicators_sent"]) == ("degraded", 0)
        assert "on tickstock:indicators:streaming: " in status["reason"]


async def test_keys_of_the_wrong_type_stop_neither_events_nor_heartbeats(redis: str) -> None:
    async with Redis.from_url(redis) as client, publishing(redis, heartbeat_s=0.05) as published:
        for index in ("time", "confidence", "symbol", "pattern_type"):
            await client.set(f"tickstock:indexes:{index}", "somebody's string")
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        await published.until(lambda status: status["sent"] == 1 and "WRONGTYPE" in str(status["last_error"]))
        await client.delete("tickstock:producer:heartbeat")
        async with asyncio.timeout(10):
            while not await client.exists("tickstock:producer:heartbeat"):
                await asyncio.sleep(0.01)
        for index in ("time", "confidence", "symbol", "pattern_type"):
            await client.delete(f"tickstock:indexes:{index}")
        async with asyncio.timeout(10):
            while not await client.zcard("tickstock:indexes:time"):
                await asyncio.sleep(0.01)
