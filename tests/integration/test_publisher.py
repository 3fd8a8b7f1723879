"""The publisher on a real Redis, heard by readers that do what AppV2's do."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

import appv2_readers as appv2
from event_samples import MINUTE_US, event, events, found
from publishing import CHANNELS, hearing, minute_us, publishing
from tickstockpl import publisher
from tickstockpl.events import SWITCHED_OFF, TOO_WEAK, Event
from tickstockpl.wire import Findings

pytestmark = pytest.mark.anyio


def flow_ids(messages: list[dict[str, Any]]) -> list[str]:
    return [message["flow_id"] for message in messages]


def own(messages: list[dict[str, Any]], session_id: str) -> list[dict[str, Any]]:
    """Those of our session: fixed channel names are the whole server's."""
    return [one for one in messages if session_id in str(one)]


async def test_event_is_sent_once_on_each_pattern_channel_and_its_id_reaches_the_writer(redis: str) -> None:
    one = event(bar_end_us=minute_us())
    async with publishing(redis) as published, hearing(redis, published.channel, *CHANNELS) as heard:
        await published.inbox.put(found(one))
        await published.until(lambda status: status["sent"] == 1)
        await heard.count(published.channel, 1)
        streamed = await heard.count("tickstock:patterns:streaming", 1)
        published.inbox.close()
        await heard.count("tickstock:streaming:session_stopped", 1)
    for era in appv2.ERAS:
        assert [appv2.pattern_alert(message, era) for message in heard.heard[published.channel]] == [
            {"pattern": "Hammer", "symbol": "ZZTEST1", "confidence": 0.85}
        ]
    assert [appv2.streaming_pattern(message, "E4") is not None for message in streamed] == [True]
    assert [sent.event_id for sent in published.sent] == [one.event_id]
    assert abs(published.sent[0].published_at_us - minute_us()) < 120_000_000


async def test_cache_page_shows_the_event_within_a_second_or_two(redis: str) -> None:
    async with publishing(redis) as published, Redis.from_url(redis) as client:
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        async with asyncio.timeout(10):
            while not await client.zcard("tickstock:indexes:confidence"):
                await asyncio.sleep(0.01)


async def test_burst_is_spread_and_nothing_of_it_is_lost(redis: str) -> None:
    events = tuple(event(f"ZZ{n}", bar_end_us=minute_us(), confidence=0.6 + n / 1000) for n in range(100))
    async with publishing(redis) as published, hearing(redis, published.channel) as heard:
        began_s = asyncio.get_running_loop().time()
        await published.inbox.put(found(*events))
        messages = await heard.count(published.channel, 100)
    assert flow_ids(messages) == [one.event_id for one in reversed(events)]
    assert [one["seq"] for one in messages] == list(range(1, 101))
    at_s = heard.at_s[published.channel]
    assert at_s[-1] - began_s > 1.15
    # Redis saw at least 250 ms; this listener shares a busy machine, so its own clock is given some room
    assert all(later - earlier > 0.2 for earlier, later in zip(at_s, at_s[20:], strict=False))


async def test_only_what_is_confident_fit_and_new_is_sent(redis: str) -> None:
    now_us = minute_us()
    async with publishing(redis) as published, hearing(redis, published.channel) as heard:
        rows: list[tuple[str, dict[str, Any]]] = [
            ("SENT", {"confidence": 0.6}),
            ("WEAK", {"confidence": 0.599}),
            ("WRONG", {"confidence": 85.0}),
            ("REVISED", {"revision": 1, "bar_end_us": now_us - MINUTE_US}),
            ("HISTORY", {"revision": 1, "bar_end_us": now_us - 3 * MINUTE_US}),
        ]
        await published.inbox.put(found(*(event(name, **{"bar_end_us": now_us, **change}) for name, change in rows)))
        await heard.count(published.channel, 2)
        status = published.stage.status()
    assert [message["symbol"] for message in heard.heard[published.channel]] == ["REVISED", "SENT"]
    assert (status["below_threshold"], status["unfit"], status["late_revisions"]) == (1, 1, 1)


async def test_what_people_do_not_want_to_see_is_not_sent_and_counted_apart(redis: str) -> None:
    now_us = minute_us()
    async with publishing(redis) as published, hearing(redis, published.channel) as heard:
        rows: list[tuple[str, dict[str, Any]]] = [
            ("SENT", {}),
            ("OFF", {"muted": SWITCHED_OFF}),
            ("BOTH", {"muted": SWITCHED_OFF | TOO_WEAK, "confidence": 0.1}),
            ("WEAK", {"muted": TOO_WEAK}),
            ("OLD", {"muted": SWITCHED_OFF, "revision": 1, "bar_end_us": now_us - 3 * MINUTE_US}),
        ]
        await published.inbox.put(found(*(event(name, **{"bar_end_us": now_us, **change}) for name, change in rows)))
        await heard.count(published.channel, 1)
        status = published.stage.status()
    assert [message["symbol"] for message in heard.heard[published.channel]] == ["SENT"]
    assert (status["patterns_off"], status["below_threshold"], status["late_revisions"]) == (3, 1, 0)
    assert status["cache_entries"] <= 1


async def test_event_that_waits_too_long_is_counted_and_never_reported_as_sent(redis: str) -> None:
    events = tuple(event(f"ZZ{n}", bar_end_us=minute_us()) for n in range(10))
    async with publishing(redis, rate_per_s=4.0, expire_s=0.6) as published, hearing(redis, published.channel):
        await published.inbox.put(found(*events))
        status = await published.until(lambda status: status["sent"] + status["expired"] == 10)
    assert status["expired"] >= 5
    assert len(published.sent) == status["sent"]


@pytest.mark.parametrize("era", ["E3", "E4"])
async def test_session_is_announced_to_each_newcomer_and_its_end_carries_the_totals(redis: str, era: str) -> None:
    async with publishing(redis, session_universe="test:universe") as published:
        session_id = (await published.until(lambda status: status["state"] == "ok"))["session_id"]
        async with hearing(redis, *CHANNELS, published.channel) as heard:
            await heard.count("tickstock:streaming:session_started", 1)
            await published.inbox.put(found(event(bar_end_us=minute_us())))
            await heard.count(published.channel, 1)
            published.inbox.close()
            await heard.count("tickstock:streaming:session_stopped", 1)
    (started,) = own(heard.heard["tickstock:streaming:session_started"], session_id)
    assert appv2.session_started(started, era)["universe"] == "test:universe"
    (stopped,) = own(heard.heard["tickstock:streaming:session_stopped"], session_id)
    shown = appv2.session_stopped(stopped, era)
    assert shown["session_id"] == session_id
    assert era == "E3" or (shown["total_patterns"], shown["final_status"]) == (1, "completed")


async def test_heartbeats_stop_when_the_pipeline_does_and_health_turns_red(redis: str) -> None:
    async with (
        publishing(redis, heartbeat_s=0.05) as published,
        hearing(redis, *CHANNELS) as heard,
        Redis.from_url(redis, decode_responses=True) as client,
    ):
        session_id = published.stage.status()["session_id"]
        await heard.count("tickstock:streaming:health", 2)
        beat = await client.get("tickstock:producer:heartbeat")
        age_s = appv2.producer_age_s(beat, (await client.time())[0])
        assert age_s is not None
        assert age_s < 30
        assert await client.get("tickstockpl:heartbeat")
        assert 50 <= await client.ttl("tickstock:producer:heartbeat") <= 60
        assert (
            appv2.streaming_health(own(heard.heard["tickstock:streaming:health"], session_id)[0], "E3")["colour"]
            == "green"
        )
        published.progressing = False
        async with asyncio.timeout(10):
            while own(heard.heard["tickstock:streaming:health"], session_id)[-1]["status"] != "critical":
                await asyncio.sleep(0.01)
        beat = await client.get("tickstock:producer:heartbeat")
        await heard.count("tickstock.health.status", len(heard.heard["tickstock.health.status"]) + 3)
        assert await client.get("tickstock:producer:heartbeat") == beat


async def test_heartbeats_and_session_messages_keep_their_period_while_thousands_of_events_are_sent_unpaced(
    redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may be late by `PATIENCE_S`, by one round trip, and by what a busy machine takes."""
    monkeypatch.setattr(publisher, "SESSION_S", 0.5)
    period_s, beats, starts = 0.5, "tickstock:streaming:health", "tickstock:streaming:session_started"
    async with (
        publishing(redis, rate_per_s=1e6, heartbeat_s=period_s) as published,
        hearing(redis, beats, starts) as heard,
        Redis.from_url(redis) as client,
    ):
        await published.until(lambda status: status["state"] == "ok")
        batches = [events(*(event(f"ZZ{n}-{k}", bar_end_us=minute_us()) for n in range(1000))) for k in range(4)]
        loop, began_s, put = asyncio.get_running_loop(), asyncio.get_running_loop().time(), 0
        await client.delete("tickstock:producer:heartbeat")
        while loop.time() - began_s < 4:
            # never empty, so that an event may always go: jobs get a turn only because they are late
            if len(published.stage._dispatch.events) < 1000:
                await published.inbox.put(Findings(events=batches[put % 4]))
                put += 1
            await asyncio.sleep(0)
        ended_s = loop.time()
        assert published.stage.status()["sent"] > 4000
        assert await client.exists("tickstock:producer:heartbeat")
    for channel in (beats, starts):
        at_s = [began_s, *(at for at in heard.at_s[channel] if began_s < at < ended_s), ended_s]
        pauses = [after - before for before, after in pairwise(at_s)]
        assert max(pauses) < period_s + publisher.PATIENCE_S + 0.5, (channel, pauses)


async def test_feed_stall_is_one_alert_and_one_error_and_again_on_recovery(redis: str) -> None:
    async with publishing(redis) as published, hearing(redis, *CHANNELS, published.errors) as heard:
        published.stage.feed_recovered(1.0)
        for since_s in (30.0, 31.0):
            published.stage.feed_stalled(since_s)
        published.stage.feed_recovered(45.0)
        published.stage.feed_recovered(45.0)
        errors = [appv2.error_log(one) for one in await heard.count(published.errors, 2)]
        alerts = [appv2.critical_alert(one) for one in await heard.count("tickstock:alerts:critical", 2)]
    assert [(one["type"], one["severity"], one["message"]) for one in alerts] == [
        ("FEED_STALLED", "critical", "no ticks for 30 s"),
        ("FEED_RECOVERED", "info", "ticks again after 45 s"),
    ]
    assert [(one["severity"], one["message"]) for one in errors] == [
        ("critical", "no ticks for 30 s"),
        ("info", "ticks again after 45 s"),
    ]


async def test_nobody_listening_is_warned_of_once_and_again_after_somebody_did(redis: str) -> None:
    with structlog.testing.capture_logs() as logs:
        async with publishing(redis) as published:
            await published.inbox.put(found(*(event(f"ZZ{n}", bar_end_us=minute_us()) for n in range(5))))
            await published.until(lambda status: status["sent"] == 5)
            assert published.stage.status()["unheard"] == 5
            async with hearing(redis, published.channel) as heard:
                status = await published.until(lambda status: status["heard"] is True)
                assert status["subscribers"][published.channel] == 1
                await published.inbox.put(found(event(bar_end_us=minute_us())))
                await heard.count(published.channel, 1)
            await published.until(lambda status: status["heard"] is False)
    silence = [entry for entry in logs if entry["event"] == "nobody subscribes"]
    assert [entry["channel"] for entry in silence] == [published.channel] * 2
    assert " db " in silence[0]["redis"]


async def test_pattern_subscriber_counts_as_somebody(redis: str) -> None:
    async with Redis.from_url(redis) as client, client.pubsub() as monitor, publishing(redis) as published:
        await monitor.psubscribe(f"{published.channel[:-3]}*")
        await monitor.get_message(timeout=5)
        await published.inbox.put(found(event(bar_end_us=minute_us())))
        status = await published.until(lambda status: status["sent"] == 1)
        assert (status["heard"], status["unheard"]) == (True, 0)


async def test_stopping_sends_what_waits(redis: str) -> None:
    events = tuple(event(f"ZZ{n}", bar_end_us=minute_us()) for n in range(60))
    async with publishing(redis) as published, hearing(redis, published.channel):
        await published.until(lambda status: status["state"] == "ok")
        await published.inbox.put(found(*events))
    assert {sent.event_id for sent in published.sent} == {one.event_id for one in events}
    assert published.outlet.closed


async def test_stopping_ends_at_its_deadline_however_much_waits_and_still_says_goodbye(redis: str) -> None:
    events: tuple[Event, ...] = tuple(event(f"ZZ{n}", bar_end_us=minute_us()) for n in range(1000))
    async with hearing(redis, *CHANNELS) as heard:
        async with publishing(redis, drain_s=0.3) as published:
            session_id = (await published.until(lambda status: status["state"] == "ok"))["session_id"]
            await published.inbox.put(found(*events))
            began_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_s < 2
        stopped = await heard.count("tickstock:streaming:session_stopped", 1)
    status = published.stage.status()
    assert status["queued"] + status["sent"] == 1000
    assert appv2.session_stopped(own(stopped, session_id)[-1], "E4")["total_patterns"] == status["sent"]
