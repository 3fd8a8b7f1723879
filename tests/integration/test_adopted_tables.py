"""The whole service on AppV2's own tables: the same rows arrive, and AppV2's own query finds the patterns."""

from pathlib import Path

import pytest

from bar_samples import ran, rows
from running import MINUTE, SECOND, minutes_ago, serving, settings_for, tick
from tickstockpl.clock import SystemClock
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.dev.stored import equal_rows, stored_rows
from tickstockpl.migrate import migrate
from tickstockpl.postgres import connect

pytestmark = pytest.mark.anyio

APPV2 = (Path(__file__).resolve().parent.parent / "appv2_tables.sql").read_text(encoding="utf-8")
KNOWN, UNKNOWN, TWENTY_BYTES = "AAPL", "ZZTEST1", "ZZTESTTWENTYBYTESXXX"

INTRADAY = """
SELECT id, symbol, pattern_type, confidence, pattern_data, detection_timestamp, expiration_timestamp, levels, metadata
FROM intraday_patterns WHERE confidence >= 0.6 AND detection_timestamp > now() - interval '24 hours'
"""
"""AppV2's `/api/patterns/intraday`."""


@pytest.mark.parametrize(("width", "fits"), [("varchar(20)", True), ("varchar(10)", False)])
async def test_rows_arrive_and_an_unknown_or_over_long_symbol_harms_only_itself(
    database: str, redis: str, state_dir: Path, width: str, fits: bool
) -> None:
    await ran(database, APPV2.replace("symbol varchar(20)", f"symbol {width}"))
    assert (await migrate(database)).changed
    now_us = SystemClock().now_us()
    symbols = (KNOWN, "MSFT", UNKNOWN, TWENTY_BYTES)
    simulation = Simulation(Market(symbols=symbols, start_us=now_us - 32 * MINUTE, minutes=30, seed=3))
    async with serving(settings_for(database, redis, state_dir)) as up:
        await up.send(payload for batch in simulation.batches() for payload in batch.payloads)
        writer = up.stages["writer"]
        assert writer["state"] == "ok"
    truth = simulation.true_bars()
    connection = await connect(database)
    try:
        found = await stored_rows(connection, symbols)
    finally:
        await connection.close()
    kept = [symbol for symbol in symbols if fits or len(symbol) <= 10]
    assert {row[0] for row in found} == set(kept)
    assert equal_rows(found, truth) == len(found) == 30 * len(kept)
    assert await rows(database, "SELECT active FROM symbols WHERE symbol = $1", UNKNOWN) == [{"active": False}]
    dead = await rows(database, "SELECT reason, symbol, count(*) AS rows FROM dead_letter GROUP BY 1, 2")
    assert [(row["reason"], row["symbol"]) for row in dead] == (
        [] if fits else [("string_data_right_truncation", TWENTY_BYTES)]
    )

    shown = await rows(database, INTRADAY)
    assert {row["symbol"] for row in shown} >= set(kept)
    assert all(row["expiration_timestamp"] > row["detection_timestamp"] for row in shown)
    assert all(row["levels"] and row["pattern_data"] and row["metadata"] for row in shown)


async def test_prices_are_rounded_once_to_the_columns_scale_before_anything_is_made_of_them(
    database: str, redis: str, state_dir: Path
) -> None:
    await ran(database, APPV2)
    await migrate(database)
    begin_us = minutes_ago(5)
    async with serving(settings_for(database, redis, state_dir, patterns={"enabled": ("high_of_day",)})) as up:
        prices = (100.00001, 100.00002, 101.00004, 100.0)
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND, KNOWN, price) for n, price in enumerate(prices))
    stored = await rows(database, "SELECT close::text AS close FROM ohlcv_1min ORDER BY timestamp")
    assert [row["close"] for row in stored] == ["100.0000", "100.0000", "101.0000", "100.0000"]
    # 100.00002 is no higher high once both are rounded.
    (event,) = await rows(database, "SELECT payload FROM pattern_event")
    assert '"close":101.0' in str(event["payload"]).replace(" ", "")
