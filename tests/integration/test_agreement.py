"""Timeframes that agree, in the whole service: rows of the tier `combo` that list their members."""

import json
from pathlib import Path

import pytest

import tickstockpl as tp
from bar_samples import rows
from market_rows import xnys
from pattern_play import columns, message
from running import serving, settings_for
from swing_walk import swings
from tickstockpl.selection import engine_settings
from waiting import until

pytestmark = pytest.mark.anyio

STORED = """
SELECT e.event_id::text, e.timeframe, e.confidence, e.payload->>'members' AS members, i.metadata->>'tier' AS tier
FROM pattern_event e JOIN intraday_patterns i USING (event_id) WHERE e.pattern_id = 'agreement'
"""


async def test_what_agrees_in_history_is_stored_live_with_its_members(ready: str, redis: str, state_dir: Path) -> None:
    bars = swings(16, 1_400, units=10_000, step=0.01)
    settings = settings_for(ready, redis, state_dir, patterns={"enabled": ("agreement", "higher_highs")})
    found = tp.scan(columns({"ZZTEST1": bars}), settings=engine_settings(settings, xnys(state_dir), None))
    agreed = [
        row for row in range(len(found)) if found.patterns[found.pattern[row]]["id"] == "agreement" and found.held[row]
    ]
    assert {tp.TIMEFRAMES[found.timeframe[row]] for row in agreed} == {"1min", "5min"}
    async with serving(settings) as up:
        await up.send(message("ZZTEST1", bar) for bar in bars)
        await until(lambda: up.counters["bars"] >= len(bars) - 2)
    stored = {row["event_id"]: row for row in await rows(ready, STORED)}
    assert {*stored} == {found.event_id[row].decode() for row in agreed}
    for row in agreed:
        event = stored[found.event_id[row].decode()]
        members = json.loads(event["members"])
        assert event["tier"] == "combo"
        assert event["confidence"] == min(member["confidence"] for member in members)
        said = [
            (each["pattern_id"], each["timeframe"], round(each["bar_start"] * 1e6), each.get("event_id", ""))
            for each in members
        ]
        assert said == found.members(row)
        assert said[0][1] == event["timeframe"]
        assert {each["direction"] for each in members} == {("bearish", "", "bullish")[found.direction[row] + 1]}
