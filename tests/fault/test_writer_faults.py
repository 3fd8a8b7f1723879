"""The writer while its database dies, hangs, locks up or turns into a standby: nothing is lost, nothing hangs."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from bar_samples import bars, event, ran, rows, writer_for
from event_samples import events
from fault.proxy import FaultProxy
from own_servers import OwnServers
from tickstockpl import collector
from tickstockpl.channel import Channel
from tickstockpl.clock import SystemClock
from tickstockpl.migrate import migrate
from tickstockpl.postgres import claimed_waiters, connect
from tickstockpl.wire import Gap, WriteBatch
from tickstockpl.writer import Writer
from waiting import until

pytestmark = pytest.mark.anyio

QUICK = {"command_timeout_s": 1.0, "connect_timeout_s": 1.0}


@asynccontextmanager
async def writing(
    uri: str, *, drain_s: float = 5.0, **options: Any
) -> AsyncIterator[tuple[Writer, Channel[WriteBatch]]]:
    """A writer at work; leaving closes its inbox and gives it `drain_s` to store the rest."""
    writer, inbox = writer_for(uri, clock=SystemClock(), database=QUICK, **options)
    async with writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.collect())
        tasks.create_task(writer.run())
        try:
            yield writer, inbox
        finally:
            inbox.close()
            writer.stop(drain_s)


async def stored_rows(uri: str) -> int:
    return int((await rows(uri, "SELECT count(*) FROM ohlcv_1min"))[0]["count"])


async def end_writers_backends(uri: str) -> None:
    await ran(
        uri,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'tickstockpl' AND datname = current_database()",
    )


@asynccontextmanager
async def locked(uri: str) -> AsyncIterator[None]:
    """Nobody else can write bars meanwhile."""
    connection = await asyncpg.connect(uri, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE ohlcv_1min IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


@asynccontextmanager
async def proxied(uri: str) -> AsyncIterator[tuple[str, FaultProxy]]:
    parts = urlsplit(uri)
    async with FaultProxy(parts.hostname or "", parts.port or 5432) as proxy:
        yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}")), proxy


async def test_backend_killed_in_a_flush_loses_and_doubles_nothing(ready: str) -> None:
    async with writing(ready) as (writer, inbox):
        async with locked(ready):
            await inbox.put(WriteBatch(bars=bars(["A", "B"]), events=events(event()), gaps=(Gap(0, 1, "x", ()),)))
            waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'tickstockpl' AND wait_event_type = 'Lock'"
            while not await rows(ready, waiting):
                await asyncio.sleep(0.01)
            await end_writers_backends(ready)
            await until(lambda: writer.status()["retries"] > 0)
            assert writer.status()["state"] == "degraded"
        await until(lambda: writer.status()["batches"] == 1)
        assert writer.status()["state"] == "ok"
    assert await stored_rows(ready) == 2
    for table in ("pattern_event", "intraday_patterns", "ingest_gap"):
        assert len(await rows(ready, f"SELECT FROM {table}")) == 1, table


async def test_bars_queue_while_the_server_is_dead_and_arrive_after_its_restart(
    own_servers: Callable[..., OwnServers],
) -> None:
    servers = await asyncio.to_thread(own_servers, postgres=True)
    await migrate(servers.database_uri)
    async with writing(servers.database_uri) as (writer, inbox):
        await inbox.put(WriteBatch(bars=bars(["A"], 0)))
        await until(lambda: writer.status()["rows"] == 1)
        await asyncio.to_thread(servers.postgres.kill)
        for minute in range(1, 11):
            await inbox.put(WriteBatch(bars=bars(["A"], minute)))
        await until(lambda: writer.status()["retries"] > 0)
        await until(lambda: len(inbox) == 0)
        assert writer.status()["backlog_rows"] == 10
        await asyncio.to_thread(servers.postgres.restart)
        await until(lambda: writer.status()["rows"] == 11)
    assert await stored_rows(servers.database_uri) == 11


async def test_a_black_hole_is_left_in_seconds_and_nothing_is_lost(ready: str) -> None:
    async with proxied(ready) as (uri, proxy), writing(uri) as (writer, inbox):
        await inbox.put(WriteBatch(bars=bars(["A"], 0)))
        await until(lambda: writer.status()["rows"] == 1)
        proxy.black_hole()
        started_s = time.monotonic()
        await inbox.put(WriteBatch(bars=bars(["A"], 1)))
        await until(lambda: writer.status()["retries"] > 0)
        assert time.monotonic() - started_s < 5
        proxy.heal()
        await until(lambda: writer.status()["rows"] == 2)
    assert await stored_rows(ready) == 2


async def test_a_connection_reset_at_any_moment_neither_loses_nor_doubles(ready: str) -> None:
    async with proxied(ready) as (uri, proxy), writing(uri) as (writer, inbox):
        for minute in range(15):
            await inbox.put(
                WriteBatch(
                    bars=bars(["A", "B"], minute), events=events(event(minute=minute)), gaps=(Gap(minute, 99, "x", ()),)
                )
            )
            await asyncio.sleep(0.003 * (minute % 5))
            proxy.reset()
        await until(lambda: writer.status()["backlog_items"] == 0 and writer.status()["backlog_rows"] == 0)
    assert await stored_rows(ready) == 30
    for table in ("pattern_event", "intraday_patterns", "ingest_gap"):
        assert len(await rows(ready, f"SELECT FROM {table}")) == 15, table


async def test_stopping_ends_in_time_with_a_black_holed_server_and_says_what_is_left(ready: str) -> None:
    async with proxied(ready) as (uri, proxy):
        async with writing(uri, drain_s=0.5) as (writer, inbox):
            proxy.black_hole()
            await inbox.put(WriteBatch(bars=bars(["A", "B", "C"])))
            await until(lambda: len(inbox) == 0)
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 2
        assert writer.status()["abandoned"] == 3


async def test_stopping_ends_in_time_with_a_refused_port(ready: str) -> None:
    async with proxied(ready) as (uri, proxy):
        async with writing(uri, drain_s=0.5) as (writer, inbox):
            await proxy.refuse()
            await inbox.put(WriteBatch(bars=bars(["A"])))
            await until(lambda: writer.status()["retries"] > 0)
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 2
        assert writer.status()["abandoned"] == 1


async def test_stopping_stores_what_is_there(ready: str) -> None:
    async with writing(ready) as (_, inbox):
        for minute in range(50):
            await inbox.put(WriteBatch(bars=bars(["A"], minute)))
    assert await stored_rows(ready) == 50


async def test_a_table_locked_for_long_holds_the_rows_and_not_the_inbox(ready: str) -> None:
    async with writing(ready) as (writer, inbox):
        async with locked(ready):
            for minute in range(200):
                await asyncio.wait_for(inbox.put(WriteBatch(bars=bars(["A"], minute))), 1)
            await until(lambda: writer.status()["retries"] > 0)
            assert "55P03" in writer.status()["last_error"]
        await until(lambda: writer.status()["rows"] == 200)


async def test_bars_beyond_the_bound_are_dropped_oldest_first_and_told_as_a_gap(ready: str) -> None:
    async with writing(ready, max_symbols=1, queue_minutes=5, batch_rows=1) as (writer, inbox):
        async with locked(ready):
            for minute in range(20):
                await inbox.put(WriteBatch(bars=bars(["A"], minute)))
            await until(lambda: writer.status()["dropped_bars"] > 0 and len(inbox) == 0)
            assert writer.status()["backlog_rows"] == 5
        await until(lambda: writer.status()["backlog_rows"] == 0 and writer.status()["backlog_items"] == 0)
    assert writer.status()["dropped_bars"] + await stored_rows(ready) == 20
    (gap,) = await rows(ready, "SELECT DISTINCT cause FROM ingest_gap")
    assert gap["cause"] == "writer_backlog_full"


async def test_a_standby_is_left_for_the_server_that_takes_writes(ready: str) -> None:
    name = ready.rpartition("/")[2]
    async with writing(ready) as (writer, inbox):
        await ran(ready, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await end_writers_backends(ready)
        await inbox.put(WriteBatch(bars=bars(["A"])))
        await until(lambda: writer.status()["retries"] > 0)
        await ran(ready, f"BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT")
        await until(lambda: writer.status()["rows"] == 1)


async def test_a_dropped_column_is_down_and_loud_and_keeps_the_rows(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickstockpl.writer.SCHEMA_RETRY_S", 0.1)
    async with writing(ready) as (writer, inbox):
        await ran(ready, "ALTER TABLE ohlcv_1min DROP COLUMN quality CASCADE")
        await inbox.put(WriteBatch(bars=bars(["A"])))
        await until(lambda: writer.status()["state"] == "down")
        assert writer.status()["backlog_rows"] == 1
        await ran(ready, "ALTER TABLE ohlcv_1min ADD COLUMN quality text")
        await until(lambda: writer.status()["rows"] == 1)
        assert writer.status()["state"] == "ok"


async def test_two_writers_over_the_same_rows_both_finish(ready: str) -> None:
    names = [f"S{n:03}" for n in range(200)]
    async with writing(ready, drain_s=20) as (one, first), writing(ready, drain_s=20) as (two, second):
        for minute in range(10):
            await first.put(WriteBatch(bars=bars(names, minute, trades=10)))
            await second.put(WriteBatch(bars=bars(names[::-1], minute, trades=20)))
        await until(lambda: all(w.status()["backlog_rows"] == 0 and w.status()["batches"] for w in (one, two)))
    assert await rows(ready, "SELECT trades, count(*) FROM ohlcv_1min GROUP BY 1") == [{"trades": 20, "count": 2000}]


async def test_only_what_asyncpg_leaves_behind_of_a_dead_connection_is_claimed(ready: str) -> None:
    loop, heard = asyncio.get_running_loop(), []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
    try:
        async with writing(ready):
            for fault in (asyncpg.ConnectionDoesNotExistError("in the middle of operation"), ValueError("a bug")):
                future = loop.create_future()
                future.set_exception(fault)
                del future
        loop.call_exception_handler({"message": "", "exception": KeyError("afterwards")})
    finally:
        loop.set_exception_handler(before)
    assert [type(each) for each in heard] == [ValueError, KeyError]


async def test_a_connect_that_is_cancelled_anywhere_leaves_nothing_in_the_log(database: str) -> None:
    loop = asyncio.get_running_loop()
    before, heard = loop.get_exception_handler(), list[BaseException]()
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
    try:
        with claimed_waiters(), collector.seldom():  # what the session has made is not looked through each time
            # Some turns of the loop reach its first steps; what waits for the server's answers takes real time.
            for delays in (*([0.0] * steps for steps in range(30)), *([0.001 * ms] for ms in range(1, 16))):
                connecting = asyncio.create_task(connect(database))
                for delay_s in delays:
                    await asyncio.sleep(delay_s)
                connecting.cancel()
                await asyncio.wait([connecting])
                if not connecting.cancelled():
                    connecting.result().terminate()
                await asyncio.sleep(0.01)  # the lost connection is told in a later turn of the loop
                gc.collect()
    finally:
        loop.set_exception_handler(before)
    assert heard == []
