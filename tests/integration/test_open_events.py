"""Events that a run before has left open, read at a start: how much is read for them."""

import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from bar_samples import NINE_30_US, ran, rows
from tickstockpl.history import History
from tickstockpl.open_events import MINUTES, OpenEvents, groups
from tickstockpl.settings import DatabaseSettings
from tickstockpl.taking_up import TakingUp

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
EVENTS = 30_000
A_YEAR = f"""
INSERT INTO pattern_event
  (event_id, symbol, pattern, pattern_id, direction, confidence, bar_start, bar_end, revision, payload, expires_at,
   timeframe, part)
SELECT gen_random_uuid(), 'S' || n % 1000, 'Doji', 'doji', 1, 0.9, at, at + interval '1 minute', 0,
  '{{"current_price": 1, "atr": 1, "entry": 1, "stop": 0.9, "target": 2}}', at + interval '1 hour', '1min', 'ticks'
FROM generate_series(1, {EVENTS}) n,
  LATERAL (SELECT to_timestamp({NINE_30_US} / 1e6) + interval '6 hours' - n * interval '17 min') AS z(at)
"""
SYMBOLS, SESSION = 300, 360
A_SESSION = f"""
INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume)
SELECT 'S' || n, to_timestamp({NINE_30_US} / 1e6) + minute * interval '1 minute', 1, 1, 1, 1, 1
FROM generate_series(1, {SYMBOLS}) n, generate_series(0, {SESSION - 1}) minute;
INSERT INTO pattern_event
  (event_id, symbol, pattern, pattern_id, direction, confidence, bar_start, bar_end, revision, payload, expires_at,
   timeframe, part)
SELECT gen_random_uuid(), 'S' || n, 'Doji', 'doji', 1, 0.9, at, at + interval '1 minute', 0,
  '{{"current_price": 1, "atr": 1, "entry": 1, "stop": 0.9, "target": 2}}', at + interval '1 hour', '1min', 'ticks'
FROM generate_series(1, {SYMBOLS}) n, to_timestamp({NINE_30_US} / 1e6) AS at
"""
DAYS, SESSION_US = 30, 390 * 60_000_000
OF_DAYS = f"""
INSERT INTO pattern_event
  (event_id, symbol, pattern, pattern_id, direction, confidence, bar_start, bar_end, revision, payload, expires_at,
   timeframe, part)
SELECT md5('day ' || n)::uuid, 'S' || n, 'Doji', 'doji', 1, 0.9, at, at + interval '390 min', 0,
  '{{"current_price": 1, "atr": 1, "entry": 1, "stop": 0.9, "target": 2}}', at + interval '1 day', 'daily', 'ticks'
FROM generate_series(0, {DAYS - 1}) n, LATERAL (SELECT to_timestamp({NINE_30_US} / 1e6) - n * interval '1 day') AS z(at)
"""
"""One a day, back from the one at 09:30."""
READ = "SELECT seq_tup_read, idx_scan FROM pg_stat_user_tables WHERE relname = 'pattern_event'"


def settings(uri: str) -> DatabaseSettings:
    return DatabaseSettings(uri=SecretStr(uri))


async def nothing(_: OpenEvents, __: History) -> None:
    """Takes what is handed over."""


async def test_a_database_that_cannot_be_read_is_said_until_it_can_be(ready: str) -> None:
    await ran(ready, A_YEAR)
    sessions = np.array([[NINE_30_US, NINE_30_US + 6 * HOUR_US]], dtype=np.int64)
    left = TakingUp(settings(ready), "ticks", sessions, NINE_30_US + 6 * HOUR_US)
    await ran(ready, "ALTER TABLE pattern_event RENAME TO away")
    said: list[dict[str, Any]] = []

    async def sleep(_: float) -> None:
        said.append(left.status())
        if len(said) == 2:
            await ran(ready, "ALTER TABLE away RENAME TO pattern_event")

    await left.hand_over("1min", nothing, sleep=sleep)
    assert [each["state"] for each in said] == ["degraded", "degraded"]
    assert said[0]["reason"].startswith("open events cannot be read, trying again: the database at ")
    assert left.status() == {"state": "ok", "taken_up": 6 * 60 // 17}


async def test_a_start_before_the_first_outcome_does_not_read_a_year_of_events(ready: str) -> None:
    await ran(ready, A_YEAR)
    await ran(ready, "VACUUM ANALYZE pattern_event")
    sessions = np.array([[NINE_30_US, NINE_30_US + 6 * HOUR_US]], dtype=np.int64)
    (before,) = await rows(ready, READ)
    taken: list[int] = []

    async def take(events: OpenEvents, _: Any) -> None:
        taken.append(len(events))

    left = TakingUp(settings(ready), "ticks", sessions, NINE_30_US + 6 * HOUR_US)
    await left.hand_over("1min", take)
    assert left.status() == {"state": "ok", "taken_up": sum(taken)}
    assert sum(taken) == 6 * 60 // 17
    after: dict[str, int] = before
    while after == before:  # a connection tells its numbers when it ends
        (after,) = await rows(ready, READ)
    assert after["seq_tup_read"] == before["seq_tup_read"]


async def test_a_session_of_a_market_is_handed_over_in_parts_that_are_made_beside_the_loop(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ran(ready, A_SESSION)
    sessions = np.array([[NINE_30_US, NINE_30_US + SESSION * 60_000_000]], dtype=np.int64)
    parts: list[tuple[list[str], int]] = []
    makers: set[int] = set()
    of = History.of

    def noted(*given: Any) -> History:
        makers.add(threading.get_ident())
        return of(*given)

    async def take(events: OpenEvents, bars: History) -> None:
        assert bars.symbols == events.symbols
        parts.append((events.symbols, len(bars)))

    monkeypatch.setattr(History, "of", noted)
    left = TakingUp(settings(ready), "ticks", sessions, int(sessions[0, 1]))
    await left.hand_over("1min", take)
    assert [len(symbols) for symbols, _ in parts] == [MINUTES // SESSION, SYMBOLS - MINUTES // SESSION]
    assert len({symbol for symbols, _ in parts for symbol in symbols}) == SYMBOLS
    assert sum(count for _, count in parts) == SYMBOLS * (SESSION - 1)
    assert threading.get_ident() not in makers


def daily_sessions() -> np.ndarray:
    """As many as `OF_DAYS` has events, the last at 09:30."""
    opens = NINE_30_US - np.arange(DAYS)[::-1] * 24 * HOUR_US
    return np.stack([opens, opens + SESSION_US], axis=1)


async def taken(left: TakingUp, timeframe: str) -> list[str]:
    """The ids of the events that are handed over."""
    ids: list[str] = []

    async def take(events: OpenEvents, _: Any) -> None:
        ids.extend(event_id.decode() for event_id in events.event_id.tolist())

    await left.hand_over(timeframe, take)
    return ids


async def test_an_outcome_of_a_day_has_no_start_read_the_weeks_since_its_event(ready: str) -> None:
    await ran(ready, A_YEAR)
    await ran(ready, OF_DAYS)
    # the newest outcome of all is that of an event of a day, weeks ago
    into = """
    INSERT INTO pattern_outcome
      (event_id, symbol, timeframe, bar_start, outcome, outcome_bar, bars, price, part, result)
    SELECT event_id, symbol, timeframe, bar_start, 'expired', now(), 20, 1.0, 'ticks', 0 FROM pattern_event
    """
    await ran(ready, f"{into} WHERE timeframe = '1min' ORDER BY bar_end DESC LIMIT 1")
    await ran(ready, f"{into} WHERE timeframe = 'daily' ORDER BY bar_end LIMIT 1")
    left = TakingUp(settings(ready), "ticks", daily_sessions(), NINE_30_US + 6 * HOUR_US)
    assert 0 < len(await taken(left, "1min")) <= 6 * 60 // 17
    assert len(await taken(left, "daily")) == DAYS - 1


async def test_events_of_days_are_found_among_all_by_an_index_of_their_own(ready: str) -> None:
    await ran(ready, A_YEAR)
    await ran(ready, OF_DAYS)
    await ran(ready, "VACUUM ANALYZE pattern_event")
    looks = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'pattern_event_days'"
    (before,) = await rows(ready, READ)
    (unused,) = await rows(ready, looks)
    assert unused["idx_scan"] == 0
    left = TakingUp(settings(ready), "ticks", daily_sessions(), NINE_30_US + 7 * HOUR_US)
    assert len(await taken(left, "daily")) == DAYS
    used: dict[str, int] = unused
    while used == unused:  # a connection tells its numbers when it ends
        (used,) = await rows(ready, looks)
    (after,) = await rows(ready, READ)
    assert after["seq_tup_read"] == before["seq_tup_read"]
    assert used["idx_tup_read"] <= 2 * DAYS


async def test_an_event_whose_outcome_retention_may_have_deleted_is_not_taken_up_again(ready: str) -> None:
    await ran(ready, OF_DAYS)
    now_us = NINE_30_US + 7 * HOUR_US
    left = TakingUp(settings(ready), "ticks", daily_sessions(), now_us, kept_days=10)
    (kept,) = await rows(
        ready,
        f"SELECT array_agg(event_id::text) AS ids FROM pattern_event "
        f"WHERE bar_start > to_timestamp({now_us} / 1e6) - interval '9 days'",
    )
    found = await taken(left, "daily")
    assert sorted(found) == sorted(kept["ids"])
    assert 0 < len(found) < DAYS


async def test_a_group_is_read_for_each_symbol_as_far_back_as_its_oldest_event_asks() -> None:
    costs = [10, 10, 40_000, 10, 10, 200_000, 10]

    async def found() -> AsyncIterator[dict[str, Any]]:
        for at in range(len(costs)):
            for _ in range(2):
                yield {"symbol": f"S{at}", "cost": costs[at]}

    def cost(row: dict[str, Any]) -> int:
        return int(row["cost"])

    def sizes(group: list[dict[str, Any]]) -> list[int]:
        return list(dict.fromkeys(int(row["symbol"][1:]) for row in group))

    together = [sizes(group) async for group in groups(found(), cost, alike=True)]
    assert together == [[0, 1], [2, 3], [4], [5], [6]]
    assert [sizes(group) async for group in groups(found(), cost)] == [[0, 1, 2, 3, 4], [5], [6]]
