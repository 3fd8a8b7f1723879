"""Old rows of ours deleted from real tables, and nothing else."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from bar_samples import MINUTE_US, NINE_30_US, event, ran, rows, stored
from event_samples import events
from minute_rows import KINDS, Bar, Kind, narrow_role, prepare, put
from running import serving, settings_for
from tickstockpl import retention
from tickstockpl.clock import ManualClock, SystemClock
from tickstockpl.growth import growth
from tickstockpl.migrate import migrate
from tickstockpl.missed import Window
from tickstockpl.retention import DAY_S, RETRY_S, Outcome, Removed, Retention, retain
from tickstockpl.settings import DatabaseSettings, RetentionSettings, Settings
from tickstockpl.wire import WriteBatch

pytestmark = pytest.mark.anyio

DAY_US = 86_400_000_000
KEPT_DAYS = 10
NOW_US = NINE_30_US + 40 * DAY_US + 5 * 60 * MINUTE_US
BEFORE_US = NOW_US - KEPT_DAYS * DAY_US


async def kept(uri: str, dry_run: bool = False, now_us: int = NOW_US, **days: int | None) -> Outcome:
    values: dict[str, Any] = {"uri": uri}
    return await retain(DatabaseSettings(**values), RetentionSettings(**days), now_us, dry_run=dry_run)


def of(outcome: Outcome, table: str) -> Removed:
    (found,) = [each for each in outcome.removed if each.table == table]
    return found


async def bars_in(uri: str) -> set[tuple[str, int]]:
    found = await rows(uri, "SELECT symbol, (extract(epoch FROM timestamp) * 1000000)::bigint AS us FROM ohlcv_1min")
    return {(row["symbol"], row["us"]) for row in found}


async def chunks(uri: str) -> int:
    return int((await rows(uri, "SELECT count(*) AS n FROM timescaledb_information.chunks"))[0]["n"])


def history(seed: int) -> list[Bar]:
    """Thirty days of bars around what is kept: ours, repaired ones without trades, and another writer's."""
    chance = random.Random(seed)
    found = []
    for day in range(22, 36):
        others = day % 4 == 0
        for symbol in ("AAPL", "MSFT"):
            for minute in chance.sample(range(390), 12):
                whose = chance.choice([(10, None), (None, "repaired"), *([(None, None)] if others else [])])
                at_us = NINE_30_US + day * DAY_US + minute * MINUTE_US
                found.append(Bar(symbol, at_us, whose[1], trades=whose[0]))
    return found


def is_ours(bar: Bar) -> bool:
    return bar.trades is not None or bar.quality == "repaired"


@pytest.mark.parametrize(("kind", "converted"), [*((kind, False) for kind in KINDS), ("naive", True)])
async def test_old_bars_of_ours_go_and_others_and_younger_ones_stay(
    database: str, kind: Kind, converted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 7)
    monkeypatch.setattr(retention, "BATCH_PAGES", 1)
    await prepare(database, kind)
    bars = history(3)
    await put(database, kind, bars)
    if converted:
        assert (await migrate(database, convert=True)).hypertable
    # Chunks of a day begin at midnight UTC; one that the limit lies in is kept as a whole.
    spread = kind == "ours" or converted
    until_us = BEFORE_US // DAY_US * DAY_US if spread else BEFORE_US
    expected = {(bar.symbol, bar.ts_us) for bar in bars if not (is_ours(bar) and bar.ts_us < until_us)}
    assert 40 < len(expected) < len(bars) - 40

    before = await chunks(database)
    told = of(await kept(database, dry_run=True, bars_days=KEPT_DAYS), "ohlcv_1min")
    assert len(await bars_in(database)) == len(bars)
    done = of(await kept(database, bars_days=KEPT_DAYS), "ohlcv_1min")
    assert done == told
    assert await bars_in(database) == expected
    assert before - await chunks(database) == done.chunks
    assert (done.chunks > 0) == spread
    assert (done.bytes > 0) == (done.chunks > 0)
    again = of(await kept(database, bars_days=KEPT_DAYS), "ohlcv_1min")
    assert (again.rows, again.chunks) == (0, 0)


async def test_nothing_that_people_look_at_goes_unless_it_is_asked_for(database: str) -> None:
    await prepare(database, "ours")
    await put(database, "ours", [Bar("AAPL", NINE_30_US)])
    await stored(database, WriteBatch(events=events(event("AAPL", "Doji", 0))))
    done = await kept(database)
    assert [(each.table, each.rows) for each in done.removed] == [("dead_letter", 0), ("ingest_gap", 0)]
    assert len(await bars_in(database)) == 1
    assert len(await rows(database, "SELECT FROM pattern_event")) == 1


async def test_a_clock_that_is_ahead_of_the_servers_makes_nothing_old(database: str) -> None:
    await prepare(database, "ours")
    now_us = SystemClock().now_us()
    await put(database, "ours", [Bar("AAPL", now_us // MINUTE_US * MINUTE_US - 2 * DAY_US)])
    done = of(await kept(database, now_us=now_us + 9_000 * DAY_US, bars_days=KEPT_DAYS), "ohlcv_1min")
    assert (done.rows, done.chunks) == (0, 0)
    assert len(await bars_in(database)) == 1


async def test_dead_letters_and_gaps_go_after_their_days(database: str) -> None:
    await prepare(database, "ours")
    for days_ago in (89, 91):
        at = f"to_timestamp({NOW_US / 1e6}) - interval '{days_ago} days'"
        await ran(database, f"INSERT INTO dead_letter (at, reason, payload) VALUES ({at}, 'too_late', '')")
    windows = [Window(NINE_30_US - 500 * DAY_US, NOW_US - days * DAY_US, "start", ("data.raw",)) for days in (364, 366)]
    await put(database, "ours", [], windows)
    done = await kept(database)
    assert (of(done, "dead_letter").rows, of(done, "ingest_gap").rows) == (1, 1)
    assert len(await rows(database, "SELECT FROM dead_letter")) == 1
    assert len(await rows(database, "SELECT FROM ingest_gap")) == 1


@pytest.mark.parametrize("kind", ["ours", "appv2"])
async def test_patterns_and_indicators_of_ours_go_and_appv2s_stay(
    database: str, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    await prepare(database, kind)
    await put(database, kind, [Bar("AAPL", NINE_30_US)])
    await stored(database, WriteBatch(events=events(*(event("AAPL", "Doji", minute) for minute in range(8)))))
    old, young = f"to_timestamp({BEFORE_US / 1e6}) - interval '1 s'", f"to_timestamp({BEFORE_US / 1e6})"
    for at in (old, young):
        await ran(
            database,
            f"""INSERT INTO intraday_patterns (symbol, pattern_type, confidence, pattern_data, detection_timestamp,
                  expiration_timestamp) VALUES ('AAPL', 'Theirs', 0.9, '{{}}', {at}, {at});
                INSERT INTO intraday_indicators (symbol, indicator_type, value_data, calculation_timestamp,
                  expiration_timestamp, bar_start)
                VALUES ('AAPL', 'RSI', '{{}}', {at}, {at}, NULL), ('AAPL', 'RSI', '{{}}', {at}, {at}, {at})""",
        )
    told = await kept(database, dry_run=True, patterns_days=KEPT_DAYS)
    done = await kept(database, patterns_days=KEPT_DAYS)
    assert done == told
    counts = {each.table: each.rows for each in done.removed}
    assert (counts["pattern_event"], counts["intraday_patterns"], counts["intraday_indicators"]) == (8, 8, 1)
    left = await rows(database, "SELECT pattern_type FROM intraday_patterns")
    assert [row["pattern_type"] for row in left] == ["Theirs", "Theirs"]
    assert len(await rows(database, "SELECT FROM intraday_indicators")) == 3


async def test_a_chunk_that_is_in_use_stays_until_the_next_time(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BUSY", "20ms")
    await prepare(database, "ours")
    await put(database, "ours", [Bar("AAPL", NINE_30_US), Bar("AAPL", NINE_30_US + DAY_US)])
    somebody = await asyncpg.connect(database)
    try:
        async with somebody.transaction():
            await somebody.execute("INSERT INTO ohlcv_1min VALUES ('MSFT', '2025-10-13 13:30Z', 1, 1, 1, 1, 1)")
            assert of(await kept(database, bars_days=KEPT_DAYS), "ohlcv_1min").chunks == 1
    finally:
        await somebody.close()
    assert await bars_in(database) == {("AAPL", NINE_30_US), ("MSFT", NINE_30_US)}
    # It holds another writer's bar now, so that it cannot go as a whole.
    assert of(await kept(database, bars_days=KEPT_DAYS), "ohlcv_1min").rows == 1
    assert await bars_in(database) == {("MSFT", NINE_30_US)}


async def test_others_history_is_not_read_for_rows_of_ours(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await prepare(database, "ours")
    await put(database, "ours", [Bar("AAPL", NINE_30_US + n * MINUTE_US, trades=None) for n in range(100)])
    await ran(database, "ANALYZE ohlcv_1min")

    async def dropped(*_: object, **__: object) -> str:
        raise AssertionError("the chunk was looked at")

    monkeypatch.setattr(retention, "_drop", dropped)
    assert of(await kept(database, bars_days=KEPT_DAYS), "ohlcv_1min").rows == 0


@pytest.fixture
async def role(database: str) -> AsyncIterator[str]:
    await prepare(database, "ours")
    async with narrow_role(database) as narrow:
        yield narrow


async def test_a_role_that_lacks_a_right_gets_the_sql_and_without_ownership_deletes_rows(
    database: str, role: str
) -> None:
    bars = [Bar("AAPL", NINE_30_US + n * MINUTE_US) for n in range(20)]
    await put(database, "ours", bars)
    await ran(database, "GRANT DELETE ON ingest_gap TO " + str(urlsplit(role).username))
    refused = await kept(role, bars_days=KEPT_DAYS)
    assert [sql.split(" TO ")[0] for sql in refused.lacking] == [
        "GRANT DELETE ON ohlcv_1min",
        "GRANT DELETE ON dead_letter",
    ]
    assert [each.table for each in refused.removed] == ["ingest_gap"]
    assert len(await bars_in(database)) == 20
    await ran(database, " ".join(refused.lacking))
    done = await kept(role, bars_days=KEPT_DAYS)
    assert done.lacking == []
    removed = of(done, "ohlcv_1min")
    assert (removed.rows, removed.chunks) == (20, 0)
    assert await bars_in(database) == set()


class Ended(Exception):
    """The test has slept enough."""


async def slept(settings: Settings, times: int) -> tuple[list[float], list[Any], dict[str, Any]]:
    """How long the helper of the service sleeps, what it logs, and what it says of itself in the end."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        if len(found) == times:
            raise Ended

    helper = Retention(settings, ManualClock(NOW_US))
    with structlog.testing.capture_logs() as logs, pytest.raises(Ended):
        await helper.run(sleep)
    return found, logs, helper.status()


async def test_a_failure_is_logged_once_and_tried_again_in_an_hour_and_success_in_a_day(
    database: str, redis: str, state_dir: Path
) -> None:
    gone = settings_for("postgresql://me:hidden@127.0.0.1:1/none", redis, state_dir)
    waits, logs, status = await slept(gone, 3)
    assert waits == [RETRY_S] * 3
    (line,) = logs
    assert line["event"] == "old rows not deleted, trying again in an hour"
    assert "hidden" not in line["error"] + status["reason"]
    assert status["state"] == "degraded"

    await prepare(database, "ours")
    await put(database, "ours", [Bar("AAPL", NINE_30_US)])
    settings = settings_for(database, redis, state_dir, retention={"bars_days": KEPT_DAYS})
    waits, logs, status = await slept(settings, 1)
    assert waits == [DAY_S]
    assert status == {"state": "ok", "rows": 0, "chunks": 1}
    assert [(line["event"], line["table"], line["chunks"]) for line in logs] == [("old rows deleted", "ohlcv_1min", 1)]


async def test_a_missing_right_is_one_line_with_the_sql_and_tried_again_in_an_hour(
    role: str, redis: str, state_dir: Path
) -> None:
    waits, logs, status = await slept(settings_for(role, redis, state_dir), 2)
    assert waits == [RETRY_S] * 2
    (line,) = logs
    assert line["event"] == "old rows not deleted, a right is missing"
    assert line["sql_for_the_owner"].startswith("GRANT DELETE ON dead_letter TO tickstockpl_test_")
    assert status["reason"] == f"old rows are not deleted: as the tables' owner run: {line['sql_for_the_owner']}"


async def test_the_service_deletes_beside_its_stages(ready: str, redis: str, state_dir: Path) -> None:
    long_ago = "now() - interval '91 days'"
    await ran(ready, f"INSERT INTO dead_letter (at, reason, payload) VALUES ({long_ago}, 'too_late', '')")
    async with serving(settings_for(ready, redis, state_dir)):
        async with asyncio.timeout(20):
            while await rows(ready, "SELECT FROM dead_letter"):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
async def test_growth_is_that_of_a_day_with_rows(database: str, kind: Kind) -> None:
    await prepare(database, kind)
    bars = [Bar("AAPL", NINE_30_US + (day * 1440 + n) * MINUTE_US) for day in (0, 1, 3) for n in range(50)]
    await put(database, kind, [*bars, Bar("AAPL", NINE_30_US - 90 * DAY_US)])
    await ran(database, "ANALYZE")
    connection = await asyncpg.connect(database)
    try:
        now_us = NINE_30_US + 4 * DAY_US
        found = await growth(connection, "ohlcv_1min", "timestamp", now_us)
        none = await growth(connection, "pattern_event", "bar_end", now_us)
        assert await growth(connection, "nowhere", "bar_end", now_us) is None
    finally:
        await connection.close()
    assert found is not None
    assert found.rows_a_day == 50
    assert found.bytes_a_day is not None
    assert 0 < found.bytes_a_day < found.bytes
    assert none is not None
    assert (none.rows_a_day, none.bytes_a_day) == (None, None)


def test_days_that_a_start_or_an_event_still_needs_cannot_be_deleted() -> None:
    for values in ({"bars_days": 6}, {"patterns_days": 1}, {"dead_letters_days": 0}):
        with pytest.raises(ValueError, match="greater than or equal to"):
            RetentionSettings(**values)
    assert RetentionSettings().bars_days is RetentionSettings().patterns_days is None
    assert SystemClock().now_us() > NOW_US
