"""AppV2's tables as they are: numeric prices, a foreign key to `symbols`, and other shapes that its eras left."""

from decimal import Decimal
from pathlib import Path

import pytest

from bar_samples import bars, event, ran, rows, stored, writer_for
from event_samples import events
from tickstockpl.errors import ServerError
from tickstockpl.migrate import migrate, pending
from tickstockpl.wire import WriteBatch

pytestmark = pytest.mark.anyio

APPV2 = (Path(__file__).resolve().parent.parent / "appv2_tables.sql").read_text(encoding="utf-8")
REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "appv2_tables.sql"
LONG = "TWENTY1CHARACTERSLONG"


@pytest.fixture
async def appv2(database: str) -> str:
    await ran(database, APPV2)
    await migrate(database)
    return database


async def test_prices_arrive_exactly_at_the_columns_scale(appv2: str) -> None:
    writer, _ = writer_for(appv2)
    async with writer:
        assert writer.price_scale() == 4
    await stored(appv2, WriteBatch(bars=bars(["AAPL"], price=187.0301)))
    (found,) = await rows(appv2, "SELECT open, high, low, close, volume FROM ohlcv_1min")
    prices = ("187.0301", "188.0301", "186.0301", "187.5301")
    assert found == dict(zip(("open", "high", "low", "close"), map(Decimal, prices), strict=True)) | {"volume": 1000}


async def test_numeric_without_scale_gives_the_same_double_back(database: str) -> None:
    await ran(database, APPV2.replace("numeric(10, 4)", "numeric"))
    await migrate(database)
    price = 0.1 + 0.2
    await stored(database, WriteBatch(bars=bars(["AAPL"], price=price)))
    (found,) = await rows(database, "SELECT open FROM ohlcv_1min")
    assert float(found["open"]) == price


async def test_unknown_symbol_is_made_known_as_inactive(appv2: str) -> None:
    status = await stored(appv2, WriteBatch(bars=bars(["AAPL", "NEWCO"]), events=events(event("NEWCO"))))
    assert await rows(appv2, "SELECT symbol, active FROM symbols WHERE symbol IN ('AAPL', 'NEWCO') ORDER BY 1") == [
        {"symbol": "AAPL", "active": True},
        {"symbol": "NEWCO", "active": False},
    ]
    assert (status["rows"], status["rejected"]) == (2, 0)


async def test_a_symbol_deleted_while_we_run_is_made_known_again(appv2: str) -> None:
    writer, inbox = writer_for(appv2, batch_rows=1)
    async with writer:
        for minute in (0, 1):
            inbox.put_nowait(WriteBatch(bars=bars(["NEWCO"], minute)))
        inbox.close()
        await writer.collect()
        flush = writer._backlog.take(1)
        await writer._write(flush)
        await ran(appv2, "DELETE FROM ohlcv_1min; DELETE FROM symbols WHERE symbol = 'NEWCO'")
        await writer.run()
        assert writer.status()["rejected"] == 0
    assert len(await rows(appv2, "SELECT FROM ohlcv_1min")) == 1


async def test_over_long_and_too_dear_bars_harm_only_themselves(appv2: str) -> None:
    await stored(
        appv2,
        WriteBatch(bars=bars(["AAPL", LONG, "MSFT", "NEWCO"])),
        WriteBatch(bars=bars(["GOOGL"], price=123_456_789.1)),
    )
    found = await rows(appv2, "SELECT symbol FROM ohlcv_1min ORDER BY 1")
    assert [row["symbol"] for row in found] == ["AAPL", "MSFT", "NEWCO"]
    dead = await rows(appv2, "SELECT symbol, reason, event_at IS NOT NULL AS dated FROM dead_letter ORDER BY 1")
    assert [(row["symbol"], row["reason"], row["dated"]) for row in dead] == [
        ("GOOGL", "numeric_value_out_of_range", True),
        (LONG, "string_data_right_truncation", True),
    ]
    assert not await rows(appv2, "SELECT FROM symbols WHERE symbol = $1", LONG)


@pytest.mark.parametrize(("policy", "reason"), [("allowlist", "unknown_symbol"), ("quarantine", "quarantined")])
async def test_policy_keeps_unknown_symbols_out_and_puts_their_rows_aside(appv2: str, policy: str, reason: str) -> None:
    batch = WriteBatch(bars=bars(["AAPL", "NEWCO"]), events=events(event("AAPL"), event("NEWCO")))
    status = await stored(appv2, batch, database={"symbol_policy": policy})
    assert [row["symbol"] for row in await rows(appv2, "SELECT symbol FROM ohlcv_1min")] == ["AAPL"]
    assert [row["symbol"] for row in await rows(appv2, "SELECT symbol FROM intraday_patterns")] == ["AAPL"]
    dead = await rows(appv2, "SELECT reason, symbol, payload FROM dead_letter")
    assert [(row["reason"], row["symbol"]) for row in dead] == [(reason, "NEWCO")] * 2
    assert any(b'"trades":10' in row["payload"] for row in dead)
    assert status["rejected"] == 2


async def test_the_foreign_key_is_found_whatever_its_name(database: str) -> None:
    await ran(database, APPV2.replace("REFERENCES", "CONSTRAINT odd_name REFERENCES"))
    await migrate(database)
    assert (await stored(database, WriteBatch(bars=bars(["NEWCO"]))))["rows"] == 1


async def test_needed_columns_of_symbols_are_filled(database: str) -> None:
    strict = APPV2.replace("name varchar(100)", "name varchar(100) NOT NULL").replace(
        "market_cap bigint", "market_cap bigint NOT NULL DEFAULT 0, kind text NOT NULL DEFAULT ''"
    )
    await ran(database, strict)
    await migrate(database)
    await stored(database, WriteBatch(bars=bars(["NEWCO"])))
    assert await rows(database, "SELECT name FROM symbols WHERE symbol = 'NEWCO'") == [{"name": "NEWCO"}]


async def test_without_a_table_of_symbols_every_symbol_is_accepted(ready: str) -> None:
    assert (await stored(ready, WriteBatch(bars=bars(["NEWCO"]))))["rows"] == 1
    writer, _ = writer_for(ready, database={"symbol_policy": "allowlist"})
    with pytest.raises(ServerError, match="needs the table symbols"):
        await writer.__aenter__()


async def test_times_without_zone_are_utc(database: str) -> None:
    await ran(database, APPV2.replace("timestamp timestamptz NOT NULL", "timestamp timestamp NOT NULL"))
    await migrate(database)
    await ran(
        database,
        'ALTER ROLE CURRENT_USER IN DATABASE "' + database.rpartition("/")[2] + "\" SET timezone = 'Asia/Tokyo'",
    )
    await stored(database, WriteBatch(bars=bars(["AAPL"])))
    assert await rows(database, "SELECT timestamp::text AS at FROM ohlcv_1min") == [{"at": "2025-10-13 13:30:00"}]


async def test_a_plain_integer_volume_overflows_for_its_own_row_only(database: str) -> None:
    await ran(database, APPV2.replace("volume bigint", "volume integer"))
    await migrate(database)
    await stored(database, WriteBatch(bars=bars(["AAPL"])), WriteBatch(bars=bars(["MSFT"], volume=3_000_000_000)))
    assert [row["symbol"] for row in await rows(database, "SELECT symbol FROM ohlcv_1min")] == ["AAPL"]


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference schema is not beside this checkout")
async def test_the_whole_reference_schema_is_adopted(database: str) -> None:
    await ran(database, REFERENCE.read_text(encoding="utf-8"))
    assert (await migrate(database)).changed
    assert await pending(database) == []
    status = await stored(database, WriteBatch(bars=bars(["AAPL", "ZZTEST1", LONG]), events=events(event("AAPL"))))
    assert (status["rows"], status["events"], status["rejected"]) == (2, 1, 1)
