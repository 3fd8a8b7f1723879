"""Measured rates through the whole service: in messages, in rows, and as the confidence that people filter by."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis as redis_py

import appv2_readers as appv2
from bar_samples import rows
from publishing import hearing
from rate_samples import Planted, as_of_now, evidence, table
from running import MINUTE, SECOND, Up, minutes_ago, serving, settings_for, tick
from tickstockpl import rate_file
from tickstockpl.calibration import Rate
from tickstockpl.clock import SystemClock
from waiting import until

pytestmark = pytest.mark.anyio

STREAMING = "tickstock:patterns:streaming"
MADE = as_of_now(table(evidence(np.random.default_rng(1), [Planted("volume_spike", 1, 900, 0.52)])))


@contextlib.asynccontextmanager
async def rated(database: str, redis: str, state_dir: Path, **sections: Any) -> AsyncIterator[tuple[Up, int]]:
    """A service with a table of VolumeSpike that has seen 22 bars; gives the start of the next minute."""
    path = state_dir / "rates.json"
    rate_file.write(path, MADE)
    patterns = {"enabled": ("volume_spike", "high_of_day"), "timeframes": ("1min",), "rates": path}
    patterns |= sections.pop("patterns", {})
    begin_us = minutes_ago(26)
    async with serving(settings_for(database, redis, state_dir, patterns=patterns, **sections)) as up:
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND) for n in range(22))
        yield up, begin_us + 22 * MINUTE


def spike(at_us: int) -> list[bytes]:
    """A white bar of ten times the volume, which is no new high, and the tick that closes it."""
    return [
        tick(at_us + 20 * SECOND, price=99.0, volume=500),
        tick(at_us + 30 * SECOND, price=100.0, volume=500),
        tick(at_us + 90 * SECOND),
    ]


def told() -> dict[str, Any]:
    """What the table says of a VolumeSpike of full quality."""
    rate = MADE.rate("volume_spike", 1, "1min", 1.0)
    assert isinstance(rate, Rate)
    values = {name: getattr(rate, name) for name in ("hit_rate", "hit_lo", "hit_hi", "n", "base_rate", "edge")}
    return {name: round(value, 12) if isinstance(value, float) else value for name, value in values.items()}


async def test_every_message_and_row_of_an_event_says_how_its_like_came_out(
    ready: str, redis: str, state_dir: Path
) -> None:
    async with (
        rated(ready, redis, state_dir) as (up, at_us),
        hearing(redis, up.settings.redis.pattern_channel, STREAMING) as heard,
    ):
        await up.send(spike(at_us))
        (event,) = await heard.count(up.settings.redis.pattern_channel, 1)
        (streamed,) = await heard.count(STREAMING, 1)
        await up.stored()
    (row,) = await rows(
        ready,
        "SELECT e.payload, e.confidence, i.pattern_data FROM pattern_event e JOIN intraday_patterns i USING (event_id)",
    )
    assert told()["n"] > 100
    for said in (
        event["data"],
        streamed["detection"]["metadata"],
        json.loads(row["payload"]),
        json.loads(row["pattern_data"]),
    ):
        assert {name: said.get(name) for name in told()} == told()
        assert "match_quality" not in said
    assert event["confidence"] == row["confidence"] == 1.0
    assert all(appv2.streaming_pattern(streamed, era) is not None for era in ("E3", "E4"))
    for era in appv2.ERAS:
        assert appv2.pattern_alert(event, era) == {"pattern": "VolumeSpike", "symbol": "ZZTEST1", "confidence": 1.0}


async def test_as_confidence_the_rate_is_what_is_shown_sorted_and_filtered_by(
    ready: str, redis: str, state_dir: Path
) -> None:
    mode = {"patterns": {"confidence": "hit_rate"}, "publish": {"min_confidence": 0.5}}
    async with (
        rated(ready, redis, state_dir, **mode) as (up, at_us),
        hearing(redis, up.settings.redis.pattern_channel) as heard,
    ):
        await up.send(spike(at_us))
        (event,) = await heard.count(up.settings.redis.pattern_channel, 1)
        with contextlib.closing(redis_py.Redis.from_url(redis, decode_responses=True)) as client:
            await until(lambda: bool(appv2.scan(client, SystemClock().now_us() / 1e6)))
            (entry,) = appv2.scan(client, SystemClock().now_us() / 1e6)
            assert client.zrange("tickstock:indexes:confidence", 0, -1, withscores=True)[0][1] == told()["hit_rate"]
        await up.stored()
    assert event["confidence"] == event["data"]["confidence"] == event["data"]["hit_rate"] == told()["hit_rate"]
    assert event["data"]["match_quality"] == 1.0
    (row,) = await rows(
        ready,
        "SELECT e.payload, e.confidence, i.confidence AS shown "
        "FROM pattern_event e JOIN intraday_patterns i USING (event_id)",
    )
    assert row["confidence"] == float(row["shown"]) == told()["hit_rate"]
    assert json.loads(row["payload"])["match_quality"] == 1.0
    assert entry


async def test_an_honest_rate_below_the_threshold_keeps_its_event_in_the_table_and_others_are_sent(
    ready: str, redis: str, state_dir: Path
) -> None:
    mode = {"patterns": {"confidence": "hit_rate"}}
    async with (
        rated(ready, redis, state_dir, **mode) as (up, at_us),
        hearing(redis, up.settings.redis.pattern_channel) as heard,
    ):
        await up.send(spike(at_us))
        high = [tick(at_us + 150 * SECOND, price=130.0), tick(at_us + 210 * SECOND, price=130.0)]
        await up.send(high)
        (event,) = await heard.count(up.settings.redis.pattern_channel, 1)
        await up.stored()
        assert up.stages["publisher"]["below_threshold"] == 1
    assert (event["pattern"], "hit_rate" in event["data"], "match_quality" in event["data"]) == (
        "HighOfDay",
        False,
        False,
    )
    stored = await rows(
        ready, "SELECT pattern, published_at IS NULL AS kept, confidence FROM pattern_event ORDER BY bar_start"
    )
    assert [(row["pattern"], row["kept"]) for row in stored] == [("VolumeSpike", True), ("HighOfDay", False)]
    assert stored[0]["confidence"] == told()["hit_rate"]
