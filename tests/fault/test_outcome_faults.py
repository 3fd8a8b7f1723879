"""A service that is killed at any moment: each event comes to what the batch says of its bars, and is told once."""

import asyncio
import random
import signal
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

import tickstockpl as tp
from bar_samples import rows
from fault.feeds import add
from publishing import hearing
from rate_samples import Found
from running import child, minutes_ago, newest, settings_for
from tickstockpl import sessions
from tickstockpl.barriers import LOST, OPEN, WON
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.moments import us_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(200)]

SYMBOLS = tuple(f"ZZTEST{n}" for n in range(1, 7))
EVENTS = """
SELECT e.event_id::text, e.symbol, e.timeframe, e.bar_start, e.direction, e.payload->>'atr' AS atr,
       e.payload->>'entry' AS entry, e.payload->>'stop' AS stop, e.payload->>'target' AS target, o.outcome,
       o.result, o.result_bars, o.bars, o.price
FROM pattern_event e LEFT JOIN pattern_outcome o USING (event_id) WHERE e.expired_at IS NULL
"""
BARS = """
SELECT symbol, timestamp, open, high, low, close, volume FROM ohlcv_1min
WHERE (quality LIKE '%provisional%') IS NOT TRUE
"""


async def test_killed_again_and_again_each_event_comes_to_what_the_batch_says_and_is_told_once(
    ready: str, redis: str, state_dir: Path
) -> None:
    stream = f"stream.{uuid.uuid4().hex}"
    settings = settings_for(ready, redis, state_dir, ingest={"mode": "stream", "stream": stream})
    channel = settings.redis.outcome_channel
    # in time: a bar that was corrected after its event had ended is no longer what the event was judged by
    market = Market(symbols=SYMBOLS, start_us=minutes_ago(60), minutes=55, seed=3)
    rng = random.Random(8)
    async with (
        hearing(redis, channel) as heard,
        Redis.from_url(redis, protocol=2) as client,
        asyncio.TaskGroup() as tasks,
    ):
        sending = tasks.create_task(add(client, stream, Simulation(market).batches(), pause_s=0.003))
        for _ in range(6):
            async with child(settings) as running:
                await running.until_said("stream opened", 30)
                said = len(heard.heard.get(channel, []))
                wanted = said + rng.choice([0, 1, 40])
                async with asyncio.timeout(30):
                    while len(heard.heard.get(channel, [])) < wanted and not sending.done():
                        await asyncio.sleep(0.005)
                await asyncio.sleep(rng.random() / 3)
                running.signal(signal.SIGKILL)
                await running.ends(20)
        await asyncio.wait([sending])
        async with child(settings) as running:
            await running.until_said("open events are followed", 30)
            await running.quiet(60, src=await newest(client, stream))
            (counted,) = await rows(ready, "SELECT count(*) AS n FROM pattern_outcome")
            await heard.count(channel, counted["n"])
            running.signal()
            assert await running.ends(20) == 0
    (counted,) = await rows(ready, "SELECT count(*) AS n FROM pattern_outcome")
    told = Counter(message["flow_id"] for message in heard.heard[channel])
    assert set(told.values()) == {1}
    found = await rows(ready, EVENTS)
    ended = {row["event_id"] for row in found if row["outcome"]}
    assert ended == set(told)
    assert len(ended) == counted["n"] > 200
    assert {"target", "stop", "expired"} == {row["outcome"] for row in found if row["outcome"]}
    minutes = [row for row in found if row["timeframe"] == "1min"]
    assert differences(minutes, came(minutes, await rows(ready, BARS), state_dir)) == []


def came(events: list[Any], bars: list[Any], state_dir: Path) -> Any:
    """What the batch says of the events on these bars."""
    days = sessions.load("XNYS", "America/New_York", state_dir, datetime.now(UTC).date()).days
    columns: dict[str, Any] = {
        name: [float(row[name]) for row in bars] for name in ("open", "high", "low", "close", "volume")
    }
    columns |= {"symbol": [row["symbol"] for row in bars], "ts_us": [us_of(row["timestamp"]) for row in bars]}
    prices = {
        name: np.array([np.nan if row[name] is None else float(row[name]) for row in events])
        for name in ("atr", "entry", "stop", "target")
    }
    found: Any = Found(
        SYMBOLS,
        np.array([SYMBOLS.index(row["symbol"]) for row in events], np.int32),
        np.array([us_of(row["bar_start"]) for row in events]),
        np.array([row["direction"] for row in events], np.int32),
        held=np.ones(len(events), np.bool_),
        pattern=np.zeros(len(events), np.int32),
        confidence=np.ones(len(events)),
        **prices,
    )
    return tp.outcomes(found, columns, sessions=days)


def differences(events: list[Any], batch: Any) -> list[Any]:
    wrong = []
    for row, target, result, after in zip(events, batch.target, batch.result, batch.after, strict=True):
        expected = {WON: "target", LOST: "stop", OPEN: None}.get(int(target), "expired")
        if (target, row["outcome"]) == (3, None):
            expected = None  # without levels it waits to the end, which is not there yet
        same = row["outcome"] == expected
        if row["atr"] is not None and row["outcome"] is not None:
            known = None if result == OPEN else int(result)
            same &= (row["result"], row["result_bars"] or 0) == (known, int(after))
        if not same:
            wrong.append((row, int(target), int(result), int(after)))
    return wrong
