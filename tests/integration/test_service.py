"""The whole service on real servers: from ticks on Redis to rows, events and AppV2's page; and over a restart."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import numpy as np
import pytest
import redis as redis_py

import appv2_readers as appv2
import tickstockpl as tp
from bar_samples import rows
from publishing import hearing
from running import MINUTE, SECOND, Up, equal_bars, minutes_ago, serving, settings_for, tick
from tickstockpl import sessions
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.kernel import PATTERNS
from tickstockpl.settings import Settings
from tickstockpl.starting import build_engine
from waiting import until

pytestmark = pytest.mark.anyio

SYMBOL = "ZZTEST1"


@contextlib.asynccontextmanager
async def spiking(database: str, redis: str, state_dir: Path) -> AsyncIterator[tuple[Up, int]]:
    """A service that looks for VolumeSpike and has seen 21 bars of 100 shares; gives the start of the next minute."""
    settings = settings_for(database, redis, state_dir, patterns={"enabled": ("volume_spike",)})
    begin_us = minutes_ago(26)
    async with serving(settings) as up:
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND) for n in range(22))
        yield up, begin_us + 22 * MINUTE


async def test_a_planted_pattern_becomes_a_row_an_event_and_an_entry_of_appv2s_page(
    ready: str, redis: str, state_dir: Path
) -> None:
    async with (
        spiking(ready, redis, state_dir) as (up, spike_us),
        hearing(redis, up.settings.redis.pattern_channel, "tickstock:patterns:streaming") as heard,
    ):
        await up.send([tick(spike_us + 30 * SECOND, volume=1000), tick(spike_us + 90 * SECOND)])
        (event,) = await heard.count(up.settings.redis.pattern_channel, 1)
        await until(lambda: up.stages["publisher"]["cache_entries"] == 1)
        async with contextlib.AsyncExitStack() as page:
            client = page.enter_context(contextlib.closing(redis_py.Redis.from_url(redis, decode_responses=True)))
            await until(lambda: bool(appv2.scan(client, SystemClock().now_us() / 1e6)))
    bar_end = datetime.fromtimestamp(spike_us / 1e6 + 60, UTC)
    for era in appv2.ERAS:
        alert = appv2.pattern_alert(event, era)
        assert alert == {"pattern": "VolumeSpike", "symbol": SYMBOL, "confidence": 1.0}
    assert appv2.js_date(event["timestamp"]) == bar_end
    streamed = [appv2.streaming_pattern(each, "E4") for each in heard.heard["tickstock:patterns:streaming"]]
    assert any(shown is not None and shown["symbol"] == SYMBOL for shown in streamed)
    (row,) = await rows(
        ready,
        "SELECT e.*, i.pattern_type, i.confidence AS shown, i.detection_timestamp FROM pattern_event e "
        "JOIN intraday_patterns i USING (event_id)",
    )
    assert (row["symbol"], row["pattern_type"], float(row["shown"])) == (SYMBOL, "VolumeSpike", 1.0)
    assert row["detection_timestamp"] == row["bar_end"] == bar_end
    assert row["published_at"] is not None
    assert event["flow_id"] == str(row["event_id"])


async def test_an_event_below_the_threshold_is_only_in_the_table(ready: str, redis: str, state_dir: Path) -> None:
    async with (
        spiking(ready, redis, state_dir) as (up, spike_us),
        hearing(redis, up.settings.redis.pattern_channel) as heard,
    ):
        weak, strong = spike_us, spike_us + MINUTE
        await up.send(
            [
                tick(weak + 30 * SECOND, volume=330),
                tick(strong + 30 * SECOND, volume=5000),
                tick(strong + 90 * SECOND),
            ]
        )
        await heard.count(up.settings.redis.pattern_channel, 1)
        assert up.stages["publisher"]["below_threshold"] == 1
    events = await rows(ready, "SELECT confidence, published_at FROM pattern_event ORDER BY bar_start")
    assert [(round(row["confidence"], 2), row["published_at"] is None) for row in events] == [(0.55, True), (1, False)]
    assert len(await rows(ready, "SELECT FROM intraday_patterns")) == 2
    assert [message["confidence"] for message in heard.heard[up.settings.redis.pattern_channel]] == [1.0]


async def test_a_late_tick_that_takes_a_pattern_away_expires_its_row_and_its_entry(
    ready: str, redis: str, state_dir: Path
) -> None:
    async with spiking(ready, redis, state_dir) as (up, spike_us):
        await up.send([tick(spike_us + 30 * SECOND, volume=1000), tick(spike_us + 90 * SECOND)])
        with contextlib.closing(redis_py.Redis.from_url(redis, decode_responses=True)) as client:

            def shown() -> list[Any]:
                return appv2.scan(client, SystemClock().now_us() / 1e6)

            await until(lambda: bool(shown()))
            await up.send([tick(spike_us - 5 * MINUTE + 45 * SECOND, volume=50_000)])
            assert up.counters["withdrawn"] == 1
            await until(lambda: not shown())
            assert not client.keys("tickstock:patterns:*")
    (row,) = await rows(
        ready,
        "SELECT i.expiration_timestamp <= now() AS gone, e.expired_at IS NOT NULL AS expired "
        "FROM intraday_patterns i JOIN pattern_event e USING (event_id)",
    )
    assert row == {"gone": True, "expired": True}
    revised = await rows(ready, "SELECT volume, revision, quality FROM ohlcv_1min WHERE revision > 0")
    assert revised == [{"volume": 50_100, "revision": 1, "quality": "late_revised"}]


def played(simulation: Simulation) -> list[bytes]:
    return [payload for batch in simulation.batches() for payload in batch.payloads]


def found_without_a_break(
    settings: Settings, state_dir: Path, before: list[bytes], after: list[bytes]
) -> set[tuple[Any, ...]]:
    """What one engine finds that hears it all and is told of the break: symbol, bar, timeframe, pattern, confidence."""
    calendar = sessions.load("XNYS", "America/New_York", state_dir, datetime.now(UTC).date())
    engine = build_engine(settings, calendar, None)
    outputs = []
    for payloads, first in ((before, True), (after, False)):
        engine.subscribed(SystemClock().now_us(), first)
        outputs.append(engine.ingest(payloads, SystemClock().now_us()))
    return {found for output in outputs for found in detections(output.detections)}


def detections(found: tp.Detections) -> set[tuple[Any, ...]]:
    columns = (found.symbol, found.ts_us, found.timeframe, found.pattern, found.confidence)
    held = [column[found.held].tolist() for column in columns]
    return {
        (found.symbols[symbol], ts_us, tp.TIMEFRAMES[timeframe], PATTERNS[pattern]["id"], confidence)
        for symbol, ts_us, timeframe, pattern, confidence in zip(*held, strict=True)
    }


async def test_a_restart_continues_open_bars_and_finds_what_an_unbroken_run_finds(
    ready: str, redis: str, state_dir: Path
) -> None:
    settings = settings_for(ready, redis, state_dir)
    begin_us, started = minutes_ago(42), datetime.now(UTC)
    simulation = Simulation(Market(symbols=("ZZTEST1", "ZZTEST2", "ZZTEST3"), start_us=begin_us, minutes=40, seed=7))
    payloads = played(simulation)
    stamps = np.array([json.loads(payload)["timestamp"] for payload in payloads]) * 1e6
    cut_us = begin_us + 20 * MINUTE + 30 * SECOND
    before = [payload for payload, ts_us in zip(payloads, stamps, strict=True) if ts_us <= cut_us]
    after = payloads[len(before) :]
    async with serving(settings) as up:
        await up.send(before)
    quality = "SELECT quality, count(*) AS bars FROM ohlcv_1min WHERE quality IS NOT NULL GROUP BY 1 ORDER BY 1"
    assert await rows(ready, quality) == [
        {"quality": "partial_start", "bars": 3},
        {"quality": "provisional", "bars": 3},
    ]
    async with serving(settings) as up:
        await up.send(after)
    truth = simulation.true_bars()
    assert await equal_bars(ready, truth) == len(truth) == 120
    minute = datetime.fromtimestamp((begin_us + 20 * MINUTE) / 1e6, UTC)
    split = await rows(ready, "SELECT quality FROM ohlcv_1min WHERE timestamp = $1", minute)
    assert len(split) == 3
    assert all("gap" in row["quality"].split(",") and "provisional" not in row["quality"] for row in split)

    stored = await rows(
        ready,
        "SELECT symbol, (extract(epoch FROM bar_start) * 1000000)::bigint AS ts_us, timeframe, pattern_id, confidence "
        "FROM pattern_event",
    )
    got = {tuple(row.values()) for row in stored}
    assert got == found_without_a_break(settings, state_dir, before, after)
    assert len(got) == len(stored)
    assert sum(found[1] > cut_us for found in got) > 20
    gaps = await rows(ready, "SELECT started_at, ended_at, cause FROM ingest_gap ORDER BY recorded_at")
    assert [gap["cause"] for gap in gaps] == ["start", "start"]
    assert started < gaps[0]["ended_at"] < gaps[1]["started_at"] < gaps[1]["ended_at"]


async def test_the_gap_after_a_kill_takes_in_the_newest_stored_minute(ready: str, redis: str, state_dir: Path) -> None:
    """Its bars may be stored for some symbols only."""
    newest_us = minutes_ago(3)
    connection = await asyncpg.connect(ready)
    try:
        await connection.execute(
            "INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume, trades) "
            "VALUES ('ZZTEST1', $1, 1, 1, 1, 1, 1, 1)",
            datetime.fromtimestamp(newest_us / 1e6, UTC),
        )
    finally:
        await connection.close()
    async with serving(settings_for(ready, redis, state_dir)):
        pass
    (gap,) = await rows(ready, "SELECT started_at, cause FROM ingest_gap")
    assert (gap["started_at"], gap["cause"]) == (datetime.fromtimestamp(newest_us / 1e6, UTC), "start")


async def test_health_over_http_has_the_services_own_numbers(ready: str, redis: str, state_dir: Path) -> None:
    begin_us = minutes_ago(3)
    async with serving(settings_for(ready, redis, state_dir)) as up, aiohttp.ClientSession() as client:
        await up.send([b"{", *(tick(begin_us + n * MINUTE + 30 * SECOND) for n in range(3))])
        await until(lambda: up.stages["writer"]["rows"] == 2)
        await until(lambda: up.stages["publisher"]["state"] == "ok")
        base = f"http://127.0.0.1:{up.running.port}"
        async with client.get(f"{base}/health") as answer:
            body = await answer.json()
        assert (answer.status, body["status"], body["ready"], body["issues"]) == (200, "healthy", True, [])
        assert list(body["stages"]) == [
            *("ingest", "spool", "pipeline", "writer", "publisher"),
            *("definitions", "outcomes", "open_events", "daily", "retention"),
        ]
        assert body["stages"]["ingest"]["messages"] == {up.channel: 4}
        assert body["stages"]["pipeline"]["counters"]["refused_bad_json"] == 1
        async with client.get(f"{base}/ready") as answer:
            assert (answer.status, await answer.json()) == (200, {"ready": True, "issues": []})
        async with client.get(f"{base}/metrics") as answer:
            metrics = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[:1] != "#")
        async with client.get(f"{base}/forming?symbol=AAPL&limit=5") as answer:
            assert (answer.status, await answer.json()) == (200, {"count": 0, "forming": []})
    for name, value in (
        ("tickstockpl_bars_total", 2),
        ('tickstockpl_refused_total{reason="bad_json"}', 1),
        ('tickstockpl_tick_outcomes_total{outcome="folded"}', 3),
        ('tickstockpl_rows_written_total{table="ohlcv_1min"}', 2),
        ('tickstockpl_stage_state{stage="writer"}', 0),
        ('tickstockpl_queue_items{queue="ticks"}', 0),
    ):
        assert float(metrics[name]) == value, name


async def test_a_silent_feed_and_its_return_are_told_to_appv2(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir, feed={"stall_s": 0.2})
    alerts, errors = "tickstock:alerts:critical", settings.redis.error_channel
    async with hearing(redis, alerts, errors) as heard, serving(settings) as up:
        (stalled,) = await heard.count(errors, 1)
        assert "feed: no tick for" in up.running.health.snapshot()["issues"][0]
        await up.send([tick(SystemClock().now_us())])
        _, back, *_ = await heard.count(errors, 2)
        await heard.count(alerts, 2)
    assert "no ticks for" in appv2.error_log(stalled)["message"]
    assert appv2.error_log(back)["severity"] == "info"
    kinds = [appv2.critical_alert(alert)["type"] for alert in heard.heard[alerts]]
    assert kinds[:2] == ["FEED_STALLED", "FEED_RECOVERED"]
