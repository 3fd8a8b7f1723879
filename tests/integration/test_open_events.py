"""Events that a run before has left open, read at a start: how much is read for them."""

import threading
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from bar_samples import NINE_30_US, ran, rows
from tickstockpl.history import History
from tickstockpl.open_events import MINUTES, OpenEvents
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
