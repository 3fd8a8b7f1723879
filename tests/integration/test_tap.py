"""The tap on real Redis: every message once and in order, and a mark wherever some may be missing."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import tickstockpl as tp
from bar_samples import rows
from listening import client, was_cut
from rows import rows_of
from running import MINUTE, SECOND, child, serving, settings_for, tick
from tapping import entries_of, gaps_in, messages_in, tap_settings, tapping
from tickstockpl import tap
from tickstockpl.connection import round_trip
from tickstockpl.lane import Doubt, Lane
from waiting import until

pytestmark = pytest.mark.anyio

BEGIN_US = 1_760_362_200_000_000


async def test_every_message_is_copied_as_it_is_and_in_order_a_stream_a_channel(redis: str) -> None:
    first = [b"%d" % n for n in range(5000)]
    second = [b"\x00\xff\r\n", b"", b"x" * 300_000]
    async with tapping(tap_settings(redis, 2)) as tapped:
        await tapped.publish(*first)
        await tapped.publish(*second, channel=1)
        await tapped.copied(5003)
        assert await tapped.entries(0) == [(b"d", payload) for payload in first]
        assert await tapped.entries(1) == [(b"d", payload) for payload in second]
        assert tapped.tap.numbers() == {
            "messages": 5003,
            "bytes": sum(map(len, first + second)),
            "missed": 0,
            "gaps": 0,
            "waiting": 0,
        }


async def test_what_was_heard_is_copied_before_it_ends(redis: str) -> None:
    settings = tap_settings(redis)
    async with tapping(settings) as tapped:
        await tapped.publish(*(b"%d" % n for n in range(3000)))
        await until(lambda: tapped.ingest.status()["messages"][tapped.channels[0]] == 3000)
    async with client(redis) as after:
        assert len(await entries_of(after, tapped.streams[0])) == 3000


async def test_a_service_that_was_away_takes_what_the_tap_has_copied(redis: str, ready: str, state_dir: Path) -> None:
    settings = tap_settings(redis)
    async with tapping(settings) as tapped:
        await tapped.publish(*(tick(BEGIN_US + n * 10 * SECOND) for n in range(1, 31)))
        await tapped.copied(30)
    away = {"mode": "stream", "stream": tapped.streams[0]}
    async with serving(settings_for(ready, redis, state_dir, ingest=away)) as up:
        await until(lambda: up.counters["messages"] >= 30 and not up.counters["open_bars"])
        await up.stored()
        assert (up.stages["ingest"]["malformed"], up.stages["ingest"]["gaps"]) == (0, 0)
    (stored,) = await rows(ready, "SELECT sum(trades) AS ticks, count(quality) AS flagged FROM ohlcv_1min")
    assert dict(stored) == {"ticks": 30, "flagged": 0}


async def test_entries_older_than_what_is_kept_are_trimmed(redis: str) -> None:
    async with tapping(tap_settings(redis, keep_minutes=0.0001)) as tapped:
        await tapped.publish(*(b"old" for _ in range(1000)))
        await tapped.copied(1000)
        async with asyncio.timeout(10):
            while await tapped.redis.xlen(tapped.streams[0]) > 500:  # Redis trims whole nodes of a hundred
                await tapped.publish(b"new")
        assert (await tapped.entries())[-1] == (b"d", b"new")


async def test_the_first_start_on_an_empty_stream_marks_no_gap(redis: str) -> None:
    async with tapping(tap_settings(redis)) as tapped:
        await tapped.publish(b"1")
        await tapped.copied(1)
        assert await tapped.entries() == [(b"d", b"1")]


async def test_a_restart_marks_what_was_missed_since_the_newest_entry(redis: str) -> None:
    settings = tap_settings(redis)
    async with tapping(settings) as tapped:
        await tapped.publish(b"1")
        await tapped.copied(1)
        ((newest, _),) = await tapped.redis.xrange(tapped.streams[0])
        key = await tapped.redis.keys("*.tap:*")
        assert 0 < await tapped.redis.ttl(key[0]) <= 86_400
    before_us = time.time_ns() // 1000
    async with tapping(settings) as tapped:
        await tapped.publish(b"2")
        await tapped.copied(1)
        entries = await tapped.entries()
        assert [field for field, _ in entries] == [b"d", b"gap", b"d"]
        (gap,) = gaps_in(entries)
        assert gap["cause"] == "start"
        assert gap["from_us"] == int(newest.split(b"-")[0]) * 1000
        assert before_us - 1000 < gap["to_us"] < time.time_ns() // 1000


async def test_a_lost_subscription_is_a_marked_gap_and_what_comes_after_it_follows(redis: str) -> None:
    async with tapping(tap_settings(redis)) as tapped:
        await tapped.publish(b"1")
        await tapped.copied(1)
        before_us = time.time_ns() // 1000
        for found in await tapped.redis.client_list("pubsub"):
            if found["name"] == "tickstockpl-ingest":
                await tapped.redis.client_kill_filter(_id=found["id"])
        await until(lambda: tapped.ingest.status()["reconnections"] == 1)
        await tapped.publish(b"2")
        await tapped.copied(2)
        entries = await tapped.entries()
        assert [field for field, _ in entries] == [b"d", b"gap", b"d"]
        (gap,) = gaps_in(entries)
        assert was_cut(gap["cause"])
        # heard until the last PING that was answered, and that is at most a PING's period ago
        assert before_us - 1_000_000 < gap["from_us"] <= gap["to_us"] < time.time_ns() // 1000


async def test_losses_with_nothing_heard_between_them_are_one_gap(redis: str) -> None:
    async with tapping(tap_settings(redis)) as tapped:
        await tapped.publish(b"1")
        await tapped.copied(1)
        for n in range(3):
            for found in await tapped.redis.client_list("pubsub"):
                if found["name"] == "tickstockpl-ingest":
                    await tapped.redis.client_kill_filter(_id=found["id"])
            await until(lambda n=n: tapped.ingest.status()["reconnections"] == n + 1)  # type: ignore[misc]
        await tapped.publish(b"2")
        await tapped.copied(2)
        assert [field for field, _ in await tapped.entries()] == [b"d", b"gap", b"d"]


async def test_a_batch_that_redis_comes_to_after_its_sender_has_connected_anew_is_not_carried_out(redis: str) -> None:
    lane = Lane("stream", "key", ["key"], keep_ms=1000, room=1000)
    lane.add([b"1"], 0.0)

    async with client(redis) as old, client(redis) as new:
        assert lane.reopened(await told(old, lane.reopening()), 0.0) is None
        late = lane.batch()
        assert lane.reopened(await told(new, lane.reopening()), 0.0) is None
        assert (await told(old, late))[-2] is None
        assert await new.exists("stream") == 0
        again = lane.batch()
        await told(new, again)
        # Its answer is lost, and so is that of the first who asks: the next connection finds it there.
        await told(old, lane.reopening())
        assert lane.reopened(await told(old, lane.reopening()), 0.0) is None
        assert len(lane) == 0
        assert await entries_of(new, "stream") == [(b"d", b"1")]


async def test_a_loss_while_there_was_no_room_is_within_the_gap_that_is_marked(redis: str) -> None:
    lane = Lane("stream", "key", ["key"], keep_ms=1_000_000, room=300)
    async with client(redis) as connection:
        assert lane.reopened(await told(connection, lane.reopening()), 10.0) is None
        lane.add([b"x" * 500, b"1"], 10.0)  # a message alone always finds room
        lane.doubt(Doubt(11.0, 15.0, "lost"))
        assert lane.missed == 1
        while commands := lane.batch():
            assert lane.settled(await told(connection, commands), 20.0) is None
        assert len(lane) == 0
        lane.add([b"2"], 21.0)
        assert lane.missed == 1
        field, value = (await entries_of(connection, "stream"))[1]
    gap = json.loads(value)
    assert (field, gap["cause"], gap["to_us"] - gap["from_us"]) == (b"gap", "tap_backlog_full", 5_000_000)


async def test_a_gap_that_another_tap_has_copied_is_not_marked(redis: str) -> None:
    settings = tap_settings(redis)
    async with tapping(settings) as old:
        await old.publish(b"1")
        await old.copied(1)
        async with tapping(settings) as new:
            await new.publish(b"2")
            await new.copied(1)
            await old.copied(2)
            entries = await new.entries()
    assert sorted(messages_in(entries)) == [b"1", b"2", b"2"]
    assert gaps_in(entries) == []


async def test_the_messages_of_two_taps_make_the_bars_of_one(redis: str) -> None:
    settings = tap_settings(redis)
    ticks = [
        tick(BEGIN_US + n * SECOND, f"ZZTEST{n % 3}", 100 + (n * 7 % 11) / 8, volume=100 + n) for n in range(1, 300)
    ]
    async with tapping(settings) as one, tapping(settings) as two:
        for at in range(0, len(ticks), 50):
            await one.publish(*ticks[at : at + 50])
        await one.copied(len(ticks))
        await two.copied(len(ticks))
        merged = messages_in(await one.entries())
    assert len(merged) == 2 * len(ticks)
    assert sorted(merged) == sorted(ticks * 2)

    def bars(payloads: list[bytes]) -> tuple[list[Any], dict[str, int]]:
        engine = tp.Engine(tp.EngineSettings())
        made = [engine.ingest(payloads, BEGIN_US + 10 * MINUTE), engine.flush()]
        return [row for output in made for row in rows_of(output.bars)], engine.counters()

    (once, counted), (twice, counted_twice) = bars(ticks), bars(merged)
    assert twice == once
    assert len(once) == 15
    assert counted_twice["repeats"] - counted["repeats"] == len(ticks)


async def test_a_stream_that_redis_refuses_stops_no_other_and_goes_on_when_it_may(redis: str) -> None:
    async with tapping(tap_settings(redis, 2)) as tapped:
        await tapped.redis.set(tapped.streams[0], "no stream")
        with capture_logs() as logs:
            await tapped.publish(b"1")
            await tapped.publish(b"2", channel=1)
            await tapped.copied(1)
        assert await tapped.entries(1) == [(b"d", b"2")]
        assert any("WRONGTYPE" in str(entry.get("error")) for entry in logs)
        assert tapped.tap.numbers()["waiting"] == 1
        await tapped.redis.delete(tapped.streams[0])
        await tapped.copied(2)
        assert await tapped.entries(0) == [(b"d", b"1")]


async def test_it_says_each_minute_how_it_goes(redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "REPORT_S", 0.2)
    with capture_logs() as logs:
        async with tapping(tap_settings(redis)) as tapped:
            await tapped.publish(b"12345")
            await tapped.copied(1)
            await until(lambda: any(entry["event"] == "tap" and entry["messages"] for entry in logs))
    line = next(entry for entry in logs if entry["event"] == "tap" and entry["messages"])
    assert {name: line[name] for name in ("messages", "bytes", "missed", "gaps", "waiting", "state")} == {
        "messages": 1, "bytes": 5, "missed": 0, "gaps": 0, "waiting": 0, "state": "ok"
    }  # fmt: skip
    assert 0 < line["lag_ms"] < 5000


async def test_sigterm_ends_the_command_within_seconds_with_all_copied(redis: str, state_dir: Path) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/none", redis, state_dir)
    channel = settings.redis.channels[0]
    async with child(settings, "tap") as process, client(redis) as publisher:
        await process.until_said("redis subscribed")
        await publisher.publish(channel, "1")
        await process.until_said("channel heard")
        process.signal(signal.SIGTERM)
        began_s = time.monotonic()
        assert await process.ends(10) == 0
        assert time.monotonic() - began_s < 4
        assert process.said("stopped")[0]["messages"] == 1
        assert await entries_of(publisher, f"{channel}.stream") == [(b"d", b"1")]


async def test_a_killed_tap_is_followed_by_one_that_marks_what_was_missed(redis: str, state_dir: Path) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/none", redis, state_dir)
    channel = settings.redis.channels[0]
    stream = f"{channel}.stream"
    async with client(redis) as publisher:
        async with child(settings, "tap") as process:
            await process.until_said("redis subscribed")
            await publisher.publish(channel, "before")
            async with asyncio.timeout(10):
                while not await publisher.xlen(stream):
                    await asyncio.sleep(0.01)
            process.signal(signal.SIGKILL)
            await process.ends(10)
        await publisher.publish(channel, "missed")
        missed_us = await now_us(publisher)
        async with child(settings, "tap") as process:
            await process.until_said("redis subscribed")
            await publisher.publish(channel, "after")
            async with asyncio.timeout(10):
                while await publisher.xlen(stream) < 3:
                    await asyncio.sleep(0.01)
        entries = await entries_of(publisher, stream)
    assert messages_in(entries) == [b"before", b"after"]
    (gap,) = gaps_in(entries)
    assert gap["from_us"] < missed_us < gap["to_us"]
    assert json.loads(entries[1][1]) == gap


async def told(connection: Any, commands: list[tuple[Any, ...]]) -> list[Any]:
    return await round_trip(connection, commands)


async def now_us(redis: Any) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1_000_000 + int(micros)
