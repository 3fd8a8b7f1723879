"""What becomes of events, live: rows once each, messages once each, whatever the order and however often."""

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from bar_samples import NINE_30_US, event, outcome, ran, rows, stored
from event_samples import events
from publishing import hearing
from running import MINUTE, SECOND, minutes_ago, narrowed, serving, settings_for, tick
from tickstockpl import teller
from tickstockpl.check import Finding, findings
from tickstockpl.events import Expiry
from tickstockpl.moments import moment_at
from tickstockpl.open_events import open_events
from tickstockpl.settings import DatabaseSettings, Settings
from tickstockpl.teller import TOLD
from tickstockpl.wire import WriteBatch
from waiting import until

pytestmark = pytest.mark.anyio

DAY = 24 * 60 * MINUTE
ROW = "SELECT event_id::text, outcome, bars, price, result, result_bars, part FROM pattern_outcome ORDER BY seq"


def said(event_id: str, **change: Any) -> dict[str, Any]:
    fields = {"outcome": "target", "bars": 3, "price": 11.5, "result": 1, "result_bars": 2, "part": ""}
    return {"event_id": event_id, **fields, **change}


async def test_an_outcome_is_stored_once_and_its_result_when_it_is_known(ready: str) -> None:
    one, two = event("AAPL"), event("MSFT")
    still_open = outcome(two.event_id, "MSFT", end="stop", price=9.5, result=2, result_bars=0)
    status = await stored(
        ready,
        WriteBatch(events=events(one, two)),
        WriteBatch(outcomes=outcome(one.event_id, "AAPL")),
        WriteBatch(outcomes=still_open),
    )
    status["outcomes"] += (
        await stored(ready, WriteBatch(outcomes=outcome(one.event_id, "AAPL", end="stop", result=-1)))
    )["outcomes"]
    later = outcome(two.event_id, "MSFT", end="stop", price=9.5, result=2, result_bars=0)
    status["outcomes"] += (await stored(ready, WriteBatch(outcomes=later)))["outcomes"]
    assert status["outcomes"] == 2
    await stored(
        ready,
        WriteBatch(events=events(event("BOTH"))),
        WriteBatch(outcomes=outcome(event("BOTH").event_id, "BOTH", result=2, result_bars=0)),
        WriteBatch(outcomes=outcome(event("BOTH").event_id, "BOTH")),
    )
    assert (await rows(ready, ROW))[2] == said(event("BOTH").event_id)
    kept = said(two.event_id, outcome="stop", price=9.5, result=None, result_bars=None)
    assert (await rows(ready, ROW))[1] == kept
    later = outcome(two.event_id, "MSFT", result=-1, result_bars=7)
    status = await stored(ready, WriteBatch(outcomes=later))
    assert status["outcomes"] == 0
    assert (await rows(ready, ROW))[1] == kept | {"result": -1, "result_bars": 7}


async def test_a_withdrawn_event_has_none(ready: str) -> None:
    gone = event("AAPL")
    await stored(
        ready,
        WriteBatch(events=events(gone)),
        WriteBatch(expired=(Expiry(gone.event_id, "AAPL", "Doji", gone.bar_end_us),)),
        WriteBatch(outcomes=outcome(gone.event_id, "AAPL")),
    )
    assert await rows(ready, ROW) == []


async def test_outcomes_wait_for_the_events_that_came_before_them(ready: str) -> None:
    made = [event("AAPL", minute=minute) for minute in range(5)]
    ended = [WriteBatch(outcomes=outcome(one.event_id, "AAPL")) for one in made]
    status = await stored(ready, WriteBatch(events=events(*made)), *ended, batch_rows=2)
    assert (status["events"], status["outcomes"]) == (5, 5)


async def left_open(uri: str, part: str, now_us: int) -> list[str]:
    """The ids of the events that a start of this part takes up."""
    sessions = np.array([[NINE_30_US + n * DAY, NINE_30_US + n * DAY + 390 * MINUTE] for n in range(3)], dtype=np.int64)
    groups = open_events(DatabaseSettings(uri=SecretStr(uri)), part, sessions, now_us, "1min")
    return [event_id.decode() async for found, _ in groups for event_id in found.event_id.tolist()]


async def test_a_start_takes_up_what_its_own_part_has_left_open(ready: str) -> None:
    """Of another part it has not heard the minutes, and would judge its events by those that are stored by then."""
    one, other, later = event("AAPL"), event("MSFT", minute=1), event("AAPL", minute=24 * 60)
    await stored(ready, WriteBatch(events=events(one)), part="one")
    await stored(ready, WriteBatch(events=events(other)), part="other")
    assert await left_open(ready, "one", NINE_30_US + 9 * MINUTE) == [one.event_id]
    assert await left_open(ready, "other", NINE_30_US + 9 * MINUTE) == [other.event_id]
    assert await left_open(ready, "third", NINE_30_US + 9 * MINUTE) == []
    await stored(ready, WriteBatch(events=events(later)), part="one")
    assert await left_open(ready, "other", NINE_30_US + 2 * DAY) == [other.event_id]
    await ran(ready, "UPDATE pattern_event SET part = NULL")  # as an older version has left them
    assert await left_open(ready, "one", NINE_30_US + 2 * DAY) == []


def falling(begin_us: int) -> list[bytes]:
    """Twenty calm minutes, one that closes at its low, which is an event, and then what its minutes bring."""
    calm = [tick(begin_us + n * MINUTE + 30 * SECOND, price=100.0 + n % 2 / 5) for n in range(20)]
    at_us = begin_us + 20 * MINUTE
    return [*calm, tick(at_us + 20 * SECOND, price=100.5), tick(at_us + 30 * SECOND, price=99.5)]


ONE = {"patterns": {"enabled": ("closed_in_bottom_range", "double_top"), "timeframes": ("1min",)}}
"""The second is there for its average range."""


async def test_an_event_ends_at_its_target_in_the_table_and_on_the_channel(
    ready: str, redis: str, state_dir: Path
) -> None:
    begin_us = minutes_ago(30)
    settings = settings_for(ready, redis, state_dir, **ONE)
    channel = settings.redis.outcome_channel
    async with hearing(redis, channel) as heard:
        async with serving(settings) as up:
            await up.send([*falling(begin_us), tick(begin_us + 21 * MINUTE + 30 * SECOND, price=99.0)])
            await up.send(
                [
                    tick(begin_us + 22 * MINUTE + 30 * SECOND, price=97.4),
                    tick(begin_us + 23 * MINUTE + 30 * SECOND, price=97.4),
                ]
            )
            (told, *_) = await heard.count(channel, 1)
            await up.stored()
            assert up.stages["pipeline"]["open_events"] < 4
        assert len(heard.heard[channel]) == up.stages["outcomes"]["told"]
    (found,) = await rows(
        ready,
        "SELECT e.*, o.* FROM pattern_event e JOIN pattern_outcome o USING (event_id) WHERE e.bar_start = $1",
        moment_at(begin_us + 20 * MINUTE),
    )
    payload = json.loads(found["payload"])
    assert (found["outcome"], found["bars"], found["price"]) == ("target", 2, payload["target"])
    assert (found["result"], found["result_bars"]) == (1, 1)
    seconds = begin_us / 1e6
    assert told == {
        "type": "pattern_outcome",
        "event_type": "pattern_outcome",
        "source": "TickStockPL",
        "flow_id": str(found["event_id"]),
        "symbol": "ZZTEST1",
        "pattern": "ClosedInBottomRange",
        "direction": "bearish",
        "confidence": found["confidence"],
        "timeframe": "1min",
        "timestamp": told["timestamp"],
        "outcome": "target",
        "bars": 2,
        "price": payload["target"],
        "bar_start": seconds + 20 * 60,
        "bar_end": seconds + 21 * 60,
        "outcome_bar": seconds + 22 * 60,
        "result": 1,
        "result_bars": 1,
        "seq": 1,
    }


async def test_what_was_open_at_a_stop_goes_on_and_is_told_by_the_next_run(
    ready: str, redis: str, state_dir: Path
) -> None:
    begin_us = minutes_ago(30)
    settings = settings_for(ready, redis, state_dir, **ONE)
    channel = settings.redis.outcome_channel
    async with hearing(redis, channel) as heard:
        async with serving(settings) as up:
            await up.send([*falling(begin_us), tick(begin_us + 21 * MINUTE + 30 * SECOND, price=99.4)])
            await until(lambda: up.stages["pipeline"]["open_events"] >= 1)
        assert await rows(ready, ROW) == []
        async with serving(settings) as up:
            await up.send([tick(begin_us + n * MINUTE + 30 * SECOND, price=97.0) for n in (22, 23)])
            (told, *_) = await heard.count(channel, 1)
            await up.stored()
    (found, *_) = await rows(ready, ROW)
    assert (told["flow_id"], told["outcome"], told["bars"]) == (found["event_id"], "target", 2)


async def put(uri: str, one: Any, part: str) -> None:
    """Store that the event has expired."""
    await ran(
        uri,
        f"""INSERT INTO pattern_outcome
              (event_id, symbol, timeframe, bar_start, outcome, outcome_bar, bars, price, part)
            VALUES ('{one.event_id}', 'AAPL', '1min', now(), 'expired', now(), 20, 1.5, '{part}')""",
    )


async def told_up_to(client: Any, part: str, is_it: Callable[[bytes | None], bool]) -> None:
    """Wait for what the teller keeps in Redis of the last outcome that it has told."""
    async with asyncio.timeout(20):
        while not is_it(await client.get(f"{TOLD}{part}")):
            await asyncio.sleep(0.005)


async def test_what_was_stored_and_not_told_is_told_by_the_next_start_and_nothing_twice(
    ready: str, redis: str, state_dir: Path
) -> None:
    settings = settings_for(ready, redis, state_dir)
    part, channel = settings.ingest.part, settings.redis.outcome_channel
    known = [event("AAPL", minute=minute) for minute in range(3)]
    await stored(ready, WriteBatch(events=events(*known)))
    await put(ready, known[0], part)
    async with hearing(redis, channel) as heard:
        async with serving(settings) as up, Redis.from_url(redis) as client:
            await told_up_to(client, part, lambda said: said is not None)
            assert up.stages["outcomes"]["state"] == "ok"
        assert channel not in heard.heard  # what was there before anybody told anything is no news
        for one in known[1:]:
            await put(ready, one, part)
        async with serving(settings):
            assert len(await heard.count(channel, 2)) == 2
        async with serving(settings) as up:
            await until(lambda: up.stages["publisher"]["state"] == "ok")
    assert [message["flow_id"] for message in heard.heard[channel]] == [one.event_id for one in known[1:]]
    assert "result" not in heard.heard[channel][0]


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "of another table"])
async def test_after_an_outcome_that_was_deleted_the_next_is_told_and_after_that_of_another_table_the_newest(
    ready: str, redis: str, state_dir: Path, deleted: bool
) -> None:
    settings = settings_for(ready, redis, state_dir)
    part, channel = settings.ingest.part, settings.redis.outcome_channel
    known = [event("AAPL", minute=minute) for minute in range(4)]
    await stored(ready, WriteBatch(events=events(*known)))
    for one in known[:3]:
        await put(ready, one, part)
    (first, *_, last) = [row["seq"] for row in await rows(ready, "SELECT seq FROM pattern_outcome ORDER BY seq")]
    async with Redis.from_url(redis) as client, hearing(redis, channel) as heard:
        if deleted:
            await client.set(f"{TOLD}{part}", f"{first} {known[0].event_id}")
            await ran(ready, f"DELETE FROM pattern_outcome WHERE seq = {first}")
        else:
            await client.set(f"{TOLD}{part}", f"{first} {uuid.uuid4()}")
        async with serving(settings):
            await told_up_to(client, part, lambda said: said == f"{last} {known[2].event_id}".encode())
        await put(ready, known[3], part)
        async with serving(settings):
            told = [each["flow_id"] for each in await heard.count(channel, 3 if deleted else 1)]
    assert told == [one.event_id for one in known[1 if deleted else 3 :]]


async def test_a_redis_of_another_database_does_not_keep_outcomes_from_being_told(
    ready: str, redis: str, state_dir: Path
) -> None:
    begin_us = minutes_ago(30)
    settings = settings_for(ready, redis, state_dir, **ONE)
    async with Redis.from_url(redis) as client:
        await client.set(f"{TOLD}{settings.ingest.part}", f"999999 {uuid.uuid4()}")
    async with hearing(redis, settings.redis.outcome_channel) as heard, serving(settings) as up:
        await up.send([*falling(begin_us), tick(begin_us + 21 * MINUTE + 30 * SECOND, price=97.0)])
        await up.send([tick(begin_us + 22 * MINUTE + 30 * SECOND, price=97.0)])
        assert await heard.count(settings.redis.outcome_channel, 1)


async def looked_at(settings: Settings) -> Finding:
    return next(iter([each async for each in findings(settings, {}) if each.what == "redis"]))


@pytest.mark.parametrize("right", ["get", "channel", "multi"])
async def test_check_says_that_redis_would_refuse_outcomes_and_leaves_no_trace(
    ready: str, redis: str, state_dir: Path, right: str
) -> None:
    settings = settings_for(ready, redis, state_dir)
    key, channel = f"{TOLD}{settings.ingest.part}", settings.redis.outcome_channel
    lacking = {"get": "-get", "channel": f"-&{channel}", "multi": "-multi"}[right]
    refused = {"get": f"GET {key}", "channel": f"PUBLISH {channel}", "multi": "MULTI"}[right]
    async with narrowed(settings, lacking) as (user, (admin, _)), hearing(redis, channel) as heard:
        await admin.set(key, "7 x")
        finding = await looked_at(user)
        assert (finding.ok, finding.warning) == (True, True)
        assert f"this user cannot tell what becomes of events: {refused}: " in finding.said
        assert (await looked_at(settings)).warning is False
        await admin.publish(channel, b"{}")
        assert (await heard.count(channel, 1), await admin.get(key)) == ([{}], b"7 x")


@pytest.mark.parametrize("right", ["get", "channel"])
async def test_health_says_that_redis_refuses_outcomes_until_it_does_not(
    ready: str, redis: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    monkeypatch.setattr(teller, "RETRY_S", 0.05)
    settings = settings_for(ready, redis, state_dir)
    part, channel = settings.ingest.part, settings.redis.outcome_channel
    lacking = {"get": "-get", "channel": f"-&{channel}"}[right]
    one = event("AAPL")
    await stored(ready, WriteBatch(events=events(one)))
    async with narrowed(settings, lacking) as (user, (admin, name)), hearing(redis, channel) as heard:
        await admin.set(f"{TOLD}{part}", "0 ")
        await put(ready, one, part)
        async with serving(user) as up:
            await until(lambda: up.stages["outcomes"]["state"] == "degraded")
            (issue,) = [each for each in up.running.health.snapshot()["issues"] if each.startswith("outcomes: ")]
            assert issue.startswith("outcomes: outcomes are not told, trying again: ")
            assert "permissions" in issue
            await admin.execute_command("ACL", "SETUSER", name, "+@all", "allchannels")
            assert await heard.count(channel, 1)
            await until(lambda: up.stages["outcomes"]["state"] == "ok")
            assert up.stages["outcomes"]["told"] == 1
