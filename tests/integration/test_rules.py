"""Rules in the whole service: rows and events of their own, and over a restart a late tick takes them away."""

import json
from pathlib import Path

import pytest

from bar_samples import rows
from publishing import hearing
from running import MINUTE, SECOND, minutes_ago, serving, settings_for, tick
from waiting import until

pytestmark = pytest.mark.anyio

RULES = """
[[rule]]
id = "busy"
name = "BusyRule"
direction = "neutral"
all = ["volume_spike"]

[[rule]]
id = "after_busy"
name = "AfterBusy"
all = [{ pattern = "busy", within = 3 }, "relative_volume < 1"]
"""

EVENTS = """
SELECT e.pattern_id, e.pattern, e.event_id::text, e.expired_at IS NOT NULL AS expired, e.payload->>'members' AS members,
    extract(epoch FROM e.bar_start)::float8 AS start_s, i.expiration_timestamp <= now() AS gone
FROM pattern_event e JOIN intraday_patterns i USING (event_id) ORDER BY e.bar_start, e.pattern_id
"""


@pytest.mark.parametrize("snapshot", [True, False])
async def test_a_rule_becomes_rows_and_events_that_a_late_tick_after_a_restart_takes_away(
    ready: str, redis: str, state_dir: Path, tmp_path: Path, snapshot: bool
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    patterns = {"enabled": ("doji_spec", "busy", "after_busy"), "rules": file}
    settings = settings_for(ready, redis, state_dir, patterns=patterns, ingest={"snapshot": snapshot})
    begin_us = minutes_ago(27)
    spike_us = begin_us + 22 * MINUTE
    channel = settings.redis.pattern_channel
    async with serving(settings) as up, hearing(redis, channel) as heard:
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND) for n in range(22))
        await up.send([tick(spike_us + 30 * SECOND, volume=1000)])
        await up.send([tick(spike_us + 90 * SECOND, volume=10), tick(spike_us + 150 * SECOND)])
        told = await heard.count(channel, 2)
    assert [(each["pattern"], each["confidence"]) for each in told] == [("BusyRule", 1.0), ("AfterBusy", 1.0)]
    busy, after = told
    of_spike = {"direction": "neutral", "confidence": 1.0, "timeframe": "1min"}
    of_spike |= {"bar_start": spike_us / 1e6, "bar_end": (spike_us + MINUTE) / 1e6}
    assert busy["data"]["members"] == [{"pattern_id": "volume_spike"} | of_spike]
    named = {"pattern_id": "busy", "event_id": busy["flow_id"]} | of_spike
    assert after["data"]["members"] == [named]
    stored = await rows(ready, EVENTS)
    assert [(row["pattern_id"], row["pattern"], row["gone"]) for row in stored] == [
        ("busy", "BusyRule", False),
        ("after_busy", "AfterBusy", False),
    ]
    assert [row["event_id"] for row in stored] == [busy["flow_id"], after["flow_id"]]
    assert [json.loads(row["members"]) for row in stored] == [busy["data"]["members"], [named]]
    async with serving(settings) as up:
        await up.send([tick(spike_us - 5 * MINUTE + 45 * SECOND, volume=50_000)])
        await until(lambda: up.counters["withdrawn"] == 2)
    stored = await rows(ready, EVENTS)
    assert [(row["pattern_id"], row["expired"], row["gone"]) for row in stored] == [
        ("busy", True, True),
        ("after_busy", True, True),
    ]


async def test_a_rule_is_switched_off_by_appv2_s_table(ready: str, redis: str, state_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    await rows(
        ready,
        "CREATE TABLE pattern_definitions (name varchar(100), enabled boolean, confidence_threshold numeric)",
    )
    await rows(ready, "INSERT INTO pattern_definitions VALUES ('BusyRule', false, NULL), ('volume_spike', false, NULL)")
    settings = settings_for(ready, redis, state_dir, patterns={"enabled": ("doji_spec",), "rules": file})
    begin_us = minutes_ago(27)
    spike_us = begin_us + 22 * MINUTE
    channel = settings.redis.pattern_channel
    async with serving(settings) as up, hearing(redis, channel) as heard:
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND) for n in range(22))
        await up.send([tick(spike_us + 30 * SECOND, volume=1000)])
        await up.send([tick(spike_us + 90 * SECOND, volume=10), tick(spike_us + 150 * SECOND)])
        (only,) = await heard.count(channel, 1)
        assert up.stages["definitions"]["unknown"] == 0
    assert only["pattern"] == "AfterBusy"
    assert [row["pattern_id"] for row in await rows(ready, EVENTS)] == ["after_busy"]
    assert len(await rows(ready, "SELECT FROM pattern_event")) == 2
