"""A start that goes on from a snapshot, beside one that reads rows and messages: the same tables whatever follows."""

import asyncio
import shutil
import signal
import uuid
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
import pytest
from redis.asyncio import Redis

from bar_samples import ran, rows
from fault.test_recovery import SYMBOLS, TABLES
from fault.truth import BARS
from running import MINUTE, SECOND, Child, child, newest, settings_for, tick
from tickstockpl import repair
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.given import GivenBars
from tickstockpl.migrate import migrate
from tickstockpl.sessions import Session
from tickstockpl.settings import Settings
from tickstockpl.stream import id_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

SAID = (f"{BARS} ORDER BY symbol, timestamp", TABLES[1], "SELECT cause FROM ingest_gap ORDER BY started_at")
"""What does not depend on how often Redis has answered a PING, which is a number of a spool."""


@pytest.fixture
async def ready(database_uri: str) -> AsyncIterator[str]:
    """A database that can be copied: nobody but us is connected to it."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    await ran(database_uri, f"CREATE DATABASE {name}")
    uri = urlunsplit(urlsplit(database_uri)._replace(path=f"/{name}"))
    await migrate(uri)
    yield uri
    await ran(database_uri, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def spare(database_uri: str) -> AsyncIterator[str]:
    """The name of a database that is not there yet."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    yield urlunsplit(urlsplit(database_uri)._replace(path=f"/{name}"))
    await ran(database_uri, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def kept(settings: Settings) -> Path:
    return settings.state_dir / "snapshot" / settings.ingest.part


async def copied(settings: Settings, database_uri: str, uri: str, state_dir: Path) -> Settings:
    """The same service, as it has ended, on a copy of all that it has left but its snapshot."""
    given, other = (urlsplit(each).path[1:] for each in (settings.database.dsn(), uri))
    # A vacuum or TimescaleDB's scheduler would come again and again, each holding CREATE DATABASE up for five seconds.
    await ran(database_uri, f"ALTER DATABASE {given} ALLOW_CONNECTIONS false")
    async with asyncio.timeout(60):
        while True:  # the session that held the owner's lock may be there still
            try:
                others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{given}'"
                await rows(database_uri, others)
                await ran(database_uri, f"CREATE DATABASE {other} TEMPLATE {given}")
                break
            except asyncpg.ObjectInUseError:
                await asyncio.sleep(0.1)
    await ran(database_uri, f"ALTER DATABASE {given} ALLOW_CONNECTIONS true")
    await asyncio.to_thread(shutil.copytree, settings.state_dir, state_dir)
    values = settings.model_dump() | {"state_dir": state_dir}
    values["database"]["uri"] = uri
    values["redis"]["url"] = settings.redis.connection_url()
    copy = Settings.model_validate(values)
    kept(copy).unlink()
    return copy


def parts_of_a_market(parts: int) -> list[list[bytes]]:
    """Some messages each, of minutes that are long past."""
    begin_us = (SystemClock().now_us() // MINUTE - 40) * MINUTE
    simulated = Market(symbols=SYMBOLS, start_us=begin_us, minutes=16, seed=8, late=0.02, duplicate=0.02, bursts=0.2)
    payloads = [payload for batch in Simulation(simulated).batches() for payload in batch.payloads]
    size = -(-len(payloads) // parts)
    return [payloads[at : at + size] for at in range(0, len(payloads), size)]


class Sending:
    """Messages on the way into services, by a stream or by a channel."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._channel = settings.redis.channels[0]
        self._stream = settings.ingest.stream if settings.ingest.mode == "stream" else None

    async def begun(self, running: Child) -> None:
        await running.until_said("stream opened" if self._stream is not None else "redis subscribed", 30)

    async def send(self, payloads: list[bytes], *listening: Child) -> None:
        """Return when everyone has read all of them."""
        async with self._client.pipeline(transaction=False) as pipe:
            for payload in payloads:
                if self._stream is not None:
                    pipe.xadd(self._stream, {"d": payload})
                else:
                    pipe.publish(self._channel, payload)
            await pipe.execute()
        for running in listening:
            async with asyncio.timeout(60):
                while not (
                    await self._has_read(running, len(payloads)) and await self._has_read(running, len(payloads))
                ):
                    await asyncio.sleep(0.05)

    async def _has_read(self, running: Child, messages: int) -> bool:
        stages = (await running.health())["stages"]
        told = stages["ingest"]
        if self._stream is None:
            # A kill may cost what came in the moment before it, and was not in the spool yet.
            is_spooled = stages["spool"]["next_src"] == stages["pipeline"]["next_src"]
            return sum(map(int, told["messages"].values())) >= messages and is_spooled
        return bool(told["next_id"] == id_of(await newest(self._client, self._stream) + 1))


async def ended(running: Child, number: signal.Signals = signal.SIGTERM) -> None:
    running.signal(number)
    assert await running.ends(20) == (0 if number is signal.SIGTERM else -number)


@pytest.mark.parametrize("mode", ["stream", "pubsub"])
async def test_a_start_with_a_snapshot_and_one_without_lead_to_the_same_tables(
    mode: str, ready: str, spare: str, database_uri: str, redis: str, state_dir: Path
) -> None:
    ingest = {"mode": mode, "stream": f"stream.{uuid.uuid4().hex}"}
    # Silence closes nothing here: it would do so at another moment in each of the two.
    bars = {"revise_s": 120.0, "lateness_a_s": 60.0}
    publish = {"rate_per_s": 5000.0}  # a stop that has nothing left to send is a short one
    one = settings_for(ready, redis, state_dir / mode / "one", ingest=ingest, bars=bars, publish=publish)
    parts = parts_of_a_market(4)
    async with Redis.from_url(redis, protocol=2) as client:
        sending = Sending(client, one)
        async with child(one) as running:
            await sending.begun(running)
            await sending.send(parts[0], running)
            await ended(running)
            assert running.said("snapshot written")
        two = await copied(one, database_uri, spare, state_dir / mode / "two")
        for part, number in zip(parts[1:], (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM), strict=True):
            is_kept = kept(one).exists()
            async with child(one) as fast, child(two) as slow:
                for running in (fast, slow):
                    await sending.begun(running)
                assert not kept(one).exists()
                assert [bool(running.said("restored")) for running in (fast, slow)] == [is_kept, False]
                assert [bool(running.said("warm start")) for running in (fast, slow)] == [not is_kept, True]
                await sending.send(part, fast, slow)
                for running in (fast, slow):
                    await ended(running, number)
            kept(two).unlink(missing_ok=True)
    for query in SAID if mode == "pubsub" else TABLES:
        here, there = await rows(ready, query), await rows(spare, query)
        assert len(here) > 2
        assert [one for one in zip(here, there, strict=True) if one[0] != one[1]] == []
    gaps = "SELECT started_at FROM ingest_gap ORDER BY 1 LIMIT 2"
    assert await rows(ready, gaps) == await rows(spare, gaps), "what was missed began with the last message"


async def test_a_snapshot_that_does_not_fit_is_ignored_with_its_reason(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir, ingest={"mode": "stream", "stream": f"stream.{uuid.uuid4().hex}"})
    other = settings.model_copy(update={"bars": settings.bars.model_copy(update={"revise_s": 60.0})})
    begin_us = (SystemClock().now_us() // MINUTE - 40) * MINUTE
    async with Redis.from_url(redis, protocol=2) as client:
        sending = Sending(client, settings)

        async def run(given: Settings, at: int) -> tuple[str, list[str]]:
            """One run, to its stop: whether it went on, and why not."""
            async with child(given) as running:
                await sending.begun(running)
                await sending.send([tick(begin_us + at * MINUTE + SECOND)], running)
                await ended(running)
            how = "restored" if running.said("restored") else "replayed"
            return how, [line["reason"] for line in running.said("snapshot ignored")]

        def copy() -> bytes:
            return kept(settings).read_bytes()

        assert await run(settings, 1) == ("replayed", [])
        assert await run(settings, 2) == ("restored", [])
        older = copy()
        assert await run(settings, 3) == ("restored", [])
        kept(settings).write_bytes(older)
        assert await run(settings, 4) == ("replayed", ["it was left by run 2, and this is run 4"])
        damaged = bytearray(copy())
        damaged[-1] ^= 1
        kept(settings).write_bytes(damaged)
        assert await run(settings, 5) == ("replayed", ["the snapshot is damaged: its checksum differs"])
        assert await run(other, 6) == ("replayed", ["the snapshot is of other settings"])
        kept(settings).write_bytes(b"of another program")
        assert await run(other, 7) == ("replayed", ["it is of another format"])
        await ran(ready, "UPDATE ingest_checkpoint SET position = jsonb_set(position, '{durable_src}', '1')")
        assert await run(other, 8) == ("replayed", ["the database has not come as far"])
        last_us = begin_us + 7 * MINUTE
        day = Session(date(2026, 1, 2), begin_us, last_us)
        prices = [[101.0]] * 4
        bar = GivenBars.of("a test", ["ZZTEST1"], [begin_us + MINUTE], prices, [5])
        changes = [
            c async for c in repair.repair(other.database, bar, [day], last_us, symbols=["ZZTEST1"], everything=True)
        ]
        assert [change.replaced for change in changes] == [1]
        assert await run(other, 9) == ("replayed", ["rows were repaired since its windows were read"])
        assert await run(other, 10) == ("restored", []), "that run had read them"
    bars = await rows(ready, "SELECT timestamp FROM ohlcv_1min")
    assert len(bars) == 10


async def test_a_disk_that_takes_no_snapshot_costs_a_warning(ready: str, redis: str, state_dir: Path) -> None:
    folder = state_dir / "full"
    settings = settings_for(ready, redis, folder)
    folder.mkdir()
    (folder / "snapshot").write_text("in the way")
    async with Redis.from_url(redis, protocol=2) as client, child(settings) as running:
        sending = Sending(client, settings)
        await sending.begun(running)
        await sending.send([tick(SystemClock().now_us())], running)
        await ended(running)
        (said,) = running.said("no snapshot: the disk does not take it")
        assert said["level"] == "warning"
        assert running.said("stopped")


async def test_events_that_waited_at_the_stop_are_sent_by_the_next_run(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir, publish={"rate_per_s": 3.0})
    begin_us = SystemClock().now_us() // MINUTE * MINUTE - 30 * MINUTE
    names = [f"ZZTEST{n}" for n in range(1, 25)]
    ticks = [
        tick(begin_us + minute * MINUTE + SECOND, name, volume=900 if minute == 22 else 100)
        for minute in range(23)
        for name in names
    ]
    stored = "SELECT event_id::text FROM pattern_event"
    async with Redis.from_url(redis, protocol=2) as client, client.pubsub() as subscription:
        await subscription.subscribe(settings.redis.pattern_channel)
        sending = Sending(client, settings)
        async with child(settings) as running:
            await sending.begun(running)
            await sending.send(
                [*ticks, tick(begin_us + 23 * MINUTE), tick(begin_us + 23 * MINUTE + 3 * SECOND)], running
            )
            await ended(running)
            (said,) = running.said("publisher stopped early")
            assert said["unsent"] > 5
        expected = {row["event_id"] for row in await rows(ready, stored)}
        async with child(settings) as running:
            assert (await running.until_said("restored"))["symbols"] == len(names)
            unsent = f"{stored} WHERE published_at IS NULL"
            async with asyncio.timeout(30):
                while await rows(ready, unsent):
                    await asyncio.sleep(0.1)
            await ended(running)
        heard = []
        while (message := await subscription.get_message(timeout=0.5)) is not None:
            if message["type"] == "message":
                heard.append(orjson.loads(message["data"])["flow_id"])
    assert len(expected) >= len(names)
    assert sorted(heard) == sorted(expected), "each once"
