"""The writer on a real TimescaleDB, in tables of our own making."""

import asyncio
import json
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bar_samples import MINUTE_US, NINE_30_US, bars, event, ran, rows, stored, versions, writer_for
from event_samples import events
from tickstockpl.backlog import Allowance, Backlog
from tickstockpl.clock import ManualClock
from tickstockpl.errors import ServerError
from tickstockpl.events import SWITCHED_OFF, TOO_WEAK, Expiry
from tickstockpl.foreign import LOOK_S
from tickstockpl.postgres import connect
from tickstockpl.statements import STAGE
from tickstockpl.store import Store
from tickstockpl.tables import read_tables
from tickstockpl.wire import DeadLetter, Gap, Sent, WriteBatch
from waiting import until

pytestmark = pytest.mark.anyio


async def test_bars_arrive_with_every_column(ready: str) -> None:
    status = await stored(ready, WriteBatch(bars=bars(["AAPL"], quality=2 | 8)))
    start = datetime.fromtimestamp(NINE_30_US / 1e6, UTC)
    assert await rows(ready, "SELECT * FROM ohlcv_1min") == [
        {
            "symbol": "AAPL",
            "timestamp": start,
            "open": 10.25,
            "high": 11.25,
            "low": 9.25,
            "close": 10.75,
            "volume": 1000,
            "trades": 10,
            "vwap": 10.25,
            "revision": 0,
            "quality": "gap,late_revised",
            "open_at": start.replace(microsecond=1),
            "close_at": start.replace(microsecond=2),
            **dict.fromkeys(("src_id", "first_src", "last_src")),
        }
    ]
    assert (status["state"], status["rows"], status["backlog_rows"]) == ("ok", 1, 0)


async def test_what_the_feed_does_not_know_is_null(ready: str) -> None:
    columns = bars(["AAPL"])
    columns.vwap[:] = float("nan")
    columns.open_us[:] = columns.close_us[:] = -1
    await stored(ready, WriteBatch(bars=columns))
    found = await rows(ready, "SELECT vwap, quality, open_at, close_at FROM ohlcv_1min")
    assert found == [{"vwap": None, "quality": None, "open_at": None, "close_at": None}]


async def test_revision_replaces_its_bar_and_a_poorer_version_does_not(ready: str) -> None:
    await stored(ready, WriteBatch(bars=versions([("A", 0, 10, 0)])))
    await stored(ready, WriteBatch(bars=versions([("A", 0, 11, 1)], price=20.0)))
    status = await stored(ready, WriteBatch(bars=versions([("A", 0, 4, 0)], price=30.0)))
    assert await rows(ready, "SELECT trades, revision, open FROM ohlcv_1min") == [
        {"trades": 11, "revision": 1, "open": 20.0}
    ]
    assert (status["rows"], status["kept_fuller"]) == (0, 1)


async def test_equal_trades_with_a_newer_revision_replace(ready: str) -> None:
    await stored(ready, WriteBatch(bars=versions([("A", 0, 10, 0)])))
    await stored(ready, WriteBatch(bars=versions([("A", 0, 10, 1)], price=20.0)))
    await stored(ready, WriteBatch(bars=versions([("A", 0, 10, 0)], price=30.0)))
    assert await rows(ready, "SELECT revision, open FROM ohlcv_1min") == [{"revision": 1, "open": 20.0}]


async def test_another_writers_fuller_row_stays_and_its_poorer_row_goes(ready: str) -> None:
    when = datetime.fromtimestamp(NINE_30_US / 1e6, UTC)
    await ran(
        ready,
        f"INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume) "
        f"VALUES ('A', '{when}', 1, 1, 1, 1, 5000), ('B', '{when}', 1, 1, 1, 1, 500)",
    )
    status = await stored(ready, WriteBatch(bars=bars(["A", "B"], volume=1000)))
    assert await rows(ready, "SELECT symbol, volume FROM ohlcv_1min ORDER BY symbol") == [
        {"symbol": "A", "volume": 5000},
        {"symbol": "B", "volume": 1000},
    ]
    assert status["kept_fuller"] == 1


@pytest.mark.parametrize("seed", range(4))
async def test_no_order_of_versions_ever_makes_a_row_poorer(ready: str, seed: int) -> None:
    order = [("A", 0, trades, trades - 1) for trades in range(1, 9)] * 2
    random.Random(seed).shuffle(order)
    best = 0
    while order:
        part, order = order[: seed + 1], order[seed + 1 :]
        await stored(ready, WriteBatch(bars=versions(part)))
        best = max(best, *(row[2] for row in part))
        assert await rows(ready, "SELECT trades, revision FROM ohlcv_1min") == [{"trades": best, "revision": best - 1}]
    assert best == 8


async def test_event_is_stored_once_with_its_row_for_appv2(ready: str) -> None:
    batch = WriteBatch(events=events(event("AAPL", quality=("gap",))))
    await stored(ready, batch)
    status = await stored(ready, batch)
    end = datetime.fromtimestamp((NINE_30_US + MINUTE_US) / 1e6, UTC)
    (found,) = await rows(ready, "SELECT * FROM intraday_patterns")
    assert (found["symbol"], found["pattern_type"], float(found["confidence"])) == ("AAPL", "Doji", 0.85)
    assert (found["detection_timestamp"], found["timeframe"]) == (end, "1min")
    assert (found["expiration_timestamp"] - end).total_seconds() == 3600
    assert [float(level) for level in found["levels"]] == [227.6, 226.2]
    (own,) = await rows(ready, "SELECT event_id, bar_end, published_at, expired_at FROM pattern_event")
    assert own == {"event_id": found["event_id"], "bar_end": end, "published_at": None, "expired_at": None}
    assert status["events"] == 0


async def test_a_days_event_is_a_row_beside_the_minutes_and_appv2s_own_table_stays(ready: str) -> None:
    await ran(ready, "CREATE TABLE daily_patterns (LIKE intraday_patterns INCLUDING DEFAULTS)")
    session_us = 390 * MINUTE_US
    daily = event("AAPL", "Hammer", bar_start_us=NINE_30_US - session_us, timeframe="daily", tier="daily")
    await stored(ready, WriteBatch(events=events(event("AAPL"), daily)))
    found = await rows(ready, "SELECT timeframe, metadata->>'tier' AS tier FROM intraday_patterns ORDER BY 1")
    assert found == [{"timeframe": "1min", "tier": "intraday"}, {"timeframe": "daily", "tier": "daily"}]
    assert await rows(ready, "SELECT FROM daily_patterns") == []


async def test_every_column_of_an_event_is_what_the_event_says(ready: str) -> None:
    prices: dict[str, Any] = {"entry": 227.6, "stop": 0.1 + 0.2, "target": None, "invalidation": 226.1}
    prices |= {"atr": 0.3, "conflict": True}
    one = event("AAPL", "Hammer", direction=-1, revision=3, quality=("gap", "late_revised"), confidence=0.7, **prices)
    one = replace(one, supersedes=str(uuid.uuid4()), first_us=one.bar_start_us - 3 * MINUTE_US, bars=4)
    await stored(ready, WriteBatch(events=events(one, event("MSFT", "Doji", indicators={}))), part="ticks")
    start = datetime.fromtimestamp(one.bar_start_us / 1e6, UTC)
    (own,) = await rows(ready, "SELECT * FROM pattern_event WHERE symbol = 'AAPL'")
    document = json.loads(own.pop("payload"))
    assert own.pop("detected_at") is not None
    assert own == {
        "event_id": uuid.UUID(one.event_id),
        "symbol": "AAPL",
        "pattern": "Hammer",
        "timeframe": "1min",
        "part": "ticks",
        "pattern_id": "hammer",
        "direction": -1,
        "confidence": 0.7,
        "bar_start": start,
        "bar_end": start + timedelta(minutes=1),
        "revision": 3,
        "supersedes": uuid.UUID(one.supersedes),
        "published_at": None,
        "expires_at": start + timedelta(minutes=61),
        "expired_at": None,
    }
    assert document == {
        "pattern_id": "hammer",
        "direction": "bearish",
        "current_price": one.close,
        "price_change": one.price_change,
        "bar_start": one.bar_start_us / 1e6,
        "bar_end": one.bar_end_us / 1e6,
        "first_bar": one.first_us / 1e6,
        "bars": 4,
        "revision": 3,
        "supersedes": one.supersedes,
        **prices,
        "invalidation": one.invalidation,
        "bar": {"open": one.open, "high": one.high, "low": one.low, "close": one.close, "volume": one.volume},
        "indicators": {"relative_volume": 2.1},
        "quality": ["gap", "late_revised"],
        "talib_name": None,
        "talib_value": 0,
    }
    (shown,) = await rows(ready, "SELECT pattern_data, metadata, levels FROM intraday_patterns WHERE symbol = 'AAPL'")
    assert json.loads(shown["pattern_data"]) == document
    assert json.loads(shown["metadata"]) == {
        "source": "TickStockPL",
        "event_id": one.event_id,
        "tier": "intraday",
        "quality": ["gap", "late_revised"],
        "conflict": True,
    }
    (other,) = await rows(
        ready,
        "SELECT payload, metadata FROM pattern_event JOIN intraday_patterns USING (event_id) WHERE pattern = 'Doji'",
    )
    assert not {"conflict"} & {*json.loads(other["payload"]), *json.loads(other["metadata"])}
    assert [str(level) for level in shown["levels"]] == ["227.6", "0.3"]


async def test_an_event_of_a_pattern_that_is_switched_off_is_in_our_table_alone_and_counted(ready: str) -> None:
    hidden, weak = event("OFF", muted=SWITCHED_OFF | TOO_WEAK), event("WEAK", muted=TOO_WEAK)
    status = await stored(ready, WriteBatch(events=events(hidden, weak)))
    assert status["events"] == 2
    assert await rows(ready, "SELECT symbol FROM pattern_event ORDER BY 1") == [{"symbol": "OFF"}, {"symbol": "WEAK"}]
    assert await rows(ready, "SELECT symbol FROM intraday_patterns") == [{"symbol": "WEAK"}]
    again = event("OFF", event_id=hidden.event_id)
    status = await stored(ready, WriteBatch(events=events(again, event("NEW"))))
    assert status["events"] == 1, "what was found while it was off is found once"
    assert len(await rows(ready, "SELECT FROM intraday_patterns")) == 2


async def test_withdrawn_event_expires_now_in_both_tables(ready: str) -> None:
    held = event("AAPL", bar_end_us=4_000_000_000_000_000)
    await stored(ready, WriteBatch(events=events(held)))
    await stored(ready, WriteBatch(expired=(Expiry(held.event_id, "AAPL", "Doji", held.bar_end_us),)))
    assert await rows(ready, "SELECT expired_at <= now() AS gone FROM pattern_event") == [{"gone": True}]
    assert await rows(ready, "SELECT expiration_timestamp <= now() AS gone FROM intraday_patterns") == [{"gone": True}]


async def test_mark_of_sending_finds_its_event_even_if_it_comes_first(ready: str) -> None:
    writer, inbox = writer_for(ready)
    async with writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.collect())
        tasks.create_task(writer.run())
        await inbox.put(WriteBatch(sent=(Sent(event().event_id, NINE_30_US),)))
        while not writer.status()["batches"]:
            await asyncio.sleep(0.01)
        await inbox.put(WriteBatch(events=events(event())))
        while not (await rows(ready, "SELECT FROM pattern_event WHERE published_at IS NOT NULL")):
            await asyncio.sleep(0.01)
        inbox.close()
    (found,) = await rows(ready, "SELECT published_at FROM pattern_event")
    assert found["published_at"] == datetime.fromtimestamp(NINE_30_US / 1e6, UTC)


async def test_gaps_and_dead_letters_are_kept_whatever_they_hold(ready: str) -> None:
    gap = Gap(NINE_30_US, NINE_30_US + 5_000_000, "lost\0link", ("data.raw", "tickstock.data.raw"))
    letter = DeadLetter("bad_ticker", "\0\ud800", "data.raw", None, b"\xff\0{", NINE_30_US)
    of_two = replace(gap, cause="of two", symbols=("A", "B\0"))
    status = await stored(ready, WriteBatch(gaps=(gap, of_two), dead=(letter,)))
    found, other = await rows(ready, "SELECT *, ended_at - started_at AS length FROM ingest_gap ORDER BY cause")
    assert (found["cause"], found["channels"]) == ("lost\\0link", ["data.raw", "tickstock.data.raw"])
    assert (found["length"].total_seconds(), found["symbols"]) == (5, None)
    assert other["symbols"] == ["A", "B\\0"]
    (found,) = await rows(ready, "SELECT reason, symbol, payload, event_at FROM dead_letter")
    assert found == {"reason": "bad_ticker", "symbol": "\\0\\ud800", "payload": b"\xff\0{", "event_at": None}
    assert status["dead_letters"] == 1


async def test_a_row_that_cannot_be_stored_harms_only_itself(ready: str) -> None:
    long = "X" * 21
    names = [f"S{n:03}" for n in range(300)] + [long]
    status = await stored(ready, WriteBatch(bars=bars(names), events=events(event(), event(minute=1, confidence=1.5))))
    assert (await rows(ready, "SELECT count(*) FROM ohlcv_1min"))[0]["count"] == 300
    found = await rows(ready, "SELECT reason, symbol, detail FROM dead_letter ORDER BY reason")
    assert [(row["reason"], row["symbol"]) for row in found] == [
        ("check_violation", "ZZTEST1"),
        ("string_data_right_truncation", long),
    ]
    assert "too long" in found[1]["detail"]
    assert (status["rows"], status["events"], status["rejected"], status["state"]) == (300, 1, 2, "ok")


async def test_poison_costs_statements_in_proportion_to_its_logarithm(ready: str) -> None:
    await ran(ready, "ALTER TABLE ohlcv_1min ADD CONSTRAINT dear CHECK (open < 100)")
    waiting = Backlog(10_000, Allowance(100))
    for n in range(1000):
        waiting.add(WriteBatch(bars=bars([f"S{n:04}"], price=500.0 if n in (3, 700) else 10.0)), 0.0)
    statements = 0

    def count(_: Any) -> None:
        nonlocal statements
        statements += 1

    connection = await connect(ready)
    try:
        await connection.execute(STAGE)
        store = Store(await read_tables(connection), "accept", 3600.0)
        connection.add_query_logger(count)
        done = await store.write(connection, waiting.take(1000), sifting=True, letters=100, now_us=NINE_30_US)
    finally:
        await connection.close()
    assert (done.bars, done.rejected) == (998, {"check_violation": 2})
    tries = 2 * (2 * 10) + 1
    assert statements <= 5 * tries + 10


async def test_rejected_rows_beyond_the_hours_allowance_are_only_counted(ready: str) -> None:
    names = [f"{n}" + "X" * 21 for n in range(5)]
    status = await stored(ready, WriteBatch(bars=bars(names)), dead_letters_per_hour=2)
    assert (status["rejected"], status["dead_letters"]) == (5, 2)
    assert (await rows(ready, "SELECT count(*) FROM dead_letter"))[0]["count"] == 2


async def test_a_large_backlog_goes_in_several_transactions(ready: str) -> None:
    status = await stored(ready, WriteBatch(bars=bars([f"S{n}" for n in range(25)])), batch_rows=10)
    assert (status["rows"], status["batches"]) == (25, 3)


async def test_small_batches_wait_for_company_until_their_age_is_up(ready: str) -> None:
    writer, inbox = writer_for(ready, batch_age_s=0.3, clock=None)
    async with writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.collect())
        tasks.create_task(writer.run())
        for minute in range(20):
            await inbox.put(WriteBatch(bars=bars(["A"], minute)))
            await asyncio.sleep(0)
        inbox.close()
    assert writer.status()["batches"] == 1


async def test_another_writer_on_the_table_is_reported(ready: str) -> None:
    await ran(
        ready,
        "INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume) "
        "VALUES ('A', date_trunc('minute', now()) + interval '7 s', 1, 1, 1, 1, 1)",
    )
    writer, _ = writer_for(ready)
    async with writer:
        status = writer.status()
    assert (status["state"], status["foreign_writer"]) == ("degraded", True)


async def test_rows_are_stored_once_though_nobody_can_tell_who_else_writes(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(NINE_30_US)
    writer, inbox = writer_for(ready, clock=clock, database={"command_timeout_s": 1.0})
    async with writer, asyncio.TaskGroup() as tasks:
        monkeypatch.setattr("tickstockpl.foreign.FOREIGN", "SELECT true FROM pg_sleep(30)")
        clock.advance(LOOK_S + 1)
        inbox.put_nowait(WriteBatch(bars=bars(["AAPL"], 0)))
        inbox.close()
        await writer.collect()
        tasks.create_task(writer.run())
    status = writer.status()
    assert (status["batches"], status["rows"], status["retries"], status["acquires"]) == (1, 1, 0, 1)


async def test_a_repaired_bar_without_a_count_is_no_other_writers(ready: str) -> None:
    await ran(
        ready,
        "INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume, quality) "
        "VALUES ('A', date_trunc('minute', now()), 1, 1, 1, 1, 1, 'repaired')",
    )
    writer, _ = writer_for(ready)
    async with writer:
        assert not writer.status()["foreign_writer"]


async def test_a_writer_that_changes_our_rows_is_reported_and_put_right_if_we_are_told_to(ready: str) -> None:
    clock = ManualClock(NINE_30_US)
    writer, inbox = writer_for(ready, clock=clock, reassert_after_s=60.0)

    async def stores(minute: int) -> dict[str, Any]:
        batches = writer.status()["batches"]
        inbox.put_nowait(WriteBatch(bars=bars(["AAPL"], minute)))
        await until(lambda: writer.status()["batches"] > batches)
        return writer.status()

    async with writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.collect())
        tasks.create_task(writer.run())
        assert not (await stores(0))["foreign_writer"]
        await ran(ready, "UPDATE ohlcv_1min SET volume = volume + 77")
        clock.advance(LOOK_S + 1)
        status = await stores(1)
        assert (status["foreign_writer"], status["foreign_changes"], status["state"]) == (True, 1, "degraded")
        clock.advance(60)
        await stores(2)
        volumes = await rows(ready, "SELECT volume FROM ohlcv_1min ORDER BY timestamp")
        assert [row["volume"] for row in volumes] == [1000, 1000, 1000]
        inbox.close()


async def test_price_scale_of_double_precision_is_unbounded(ready: str) -> None:
    writer, _ = writer_for(ready)
    async with writer:
        assert writer.price_scale() is None


async def test_a_database_without_our_columns_is_refused_at_start(database: str) -> None:
    writer, _ = writer_for(database)
    with pytest.raises(ServerError, match="tickstockpl migrate"):
        await writer.__aenter__()


async def test_a_server_that_is_not_there_is_refused_at_start_without_its_password() -> None:
    writer, _ = writer_for("postgresql://me:geheim@127.0.0.1:1/nothing")
    with pytest.raises(ServerError, match="cannot be used") as refused:
        await writer.__aenter__()
    assert "geheim" not in str(refused.value)


async def test_no_connection_is_left_after_the_writer(ready: str) -> None:
    await stored(ready, WriteBatch(bars=bars(["A"])))
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tickstockpl' AND datname = current_database()"
    )
    while (await rows(ready, asked))[0]["count"]:
        await asyncio.sleep(0.01)


async def test_every_limit_is_set_on_the_server_too(ready: str) -> None:
    connection = await connect(ready, command_timeout_s=10)
    try:
        limits = await connection.fetchrow(
            "SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock, "
            "current_setting('idle_in_transaction_session_timeout') AS idle"
        )
    finally:
        await connection.close()
    assert limits is not None
    assert dict(limits) == {"statement": "9s", "lock": "5s", "idle": "20s"}
