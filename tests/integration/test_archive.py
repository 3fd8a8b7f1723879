"""Bars of history out of real tables: ours, and those that AppV2 may have."""

from functools import partial
from typing import Any

import pytest

from bar_samples import MINUTE_US, NINE_30_US, ran
from minute_rows import KINDS, Bar, Kind, prepare, put
from tickstockpl import postgres
from tickstockpl.archive import ROWS, Asked, in_database
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.history import History
from tickstockpl.kernel import GAP, PROVISIONAL
from tickstockpl.settings import DatabaseSettings

pytestmark = pytest.mark.anyio


def settings_of(uri: str) -> DatabaseSettings:
    values: dict[str, Any] = {"uri": uri}
    return DatabaseSettings(**values)


def bars_of(*symbols: str, minutes: int = 5) -> list[Bar]:
    return [Bar(symbol, NINE_30_US + n * MINUTE_US, price=10.25 + n) for symbol in symbols for n in range(minutes)]


async def read(uri: str, asked: Asked | None = None, rows: int = ROWS) -> tuple[dict[str, int], int, list[History]]:
    async with in_database(settings_of(uri), asked, rows=rows) as archive:
        return dict(archive.counts), archive.left_out, [bars async for bars in archive.chunks()]


def kept(chunks: list[History]) -> list[tuple[Any, ...]]:
    names = ("ts_us", "open", "high", "low", "close", "volume", "trades")
    return [
        (chunk.symbols[symbol], *row)
        for chunk in chunks
        for symbol, *row in zip(chunk.symbol.tolist(), *(getattr(chunk, name).tolist() for name in names), strict=True)
    ]


def expected(bars: list[Bar]) -> list[tuple[Any, ...]]:
    return [(b.symbol, b.ts_us, b.price, b.price + 1, b.price - 1, b.price, b.volume, b.trades) for b in bars]


@pytest.mark.parametrize("rows", [1, 10, 1000])
@pytest.mark.parametrize("kind", KINDS)
async def test_all_bars_of_a_symbol_come_together_in_order(database: str, kind: Kind, rows: int) -> None:
    await prepare(database, kind)
    bars = bars_of("AAPL", "B", "ZZ")
    await put(database, kind, bars[::-1])
    counts, left_out, chunks = await read(database, rows=rows)
    assert (counts, left_out) == ({"AAPL": 5, "B": 5, "ZZ": 5}, 0)
    assert kept(chunks) == expected(bars)
    assert len(chunks) == {1: 3, 10: 2, 1000: 1}[rows]


@pytest.mark.parametrize("kind", KINDS)
async def test_symbols_and_minutes_that_are_not_asked_for_are_left_out(database: str, kind: Kind) -> None:
    await prepare(database, kind)
    bars = bars_of("AAPL", "B", "ZZ")
    await put(database, kind, bars)
    asked = Asked(["ZZ", "AAPL", "NONE"], NINE_30_US + MINUTE_US, NINE_30_US + 3 * MINUTE_US)
    counts, _, chunks = await read(database, asked)
    assert counts == {"AAPL": 2, "ZZ": 2}
    wanted = [bar for bar in bars if bar.symbol != "B" and asked.first_us <= bar.ts_us < asked.until_us]
    assert kept(chunks) == expected(wanted)


@pytest.mark.parametrize("kind", ["appv2", "naive"])  # our own table refuses such prices
async def test_rows_of_another_writer_that_are_no_bars_are_counted(database: str, kind: Kind) -> None:
    await prepare(database, kind)
    bars = bars_of("AAPL")
    await put(database, kind, [*bars, Bar("AAPL", NINE_30_US + 30_000_000), *bars_of("BAD", minutes=3)])
    await ran(database, "UPDATE ohlcv_1min SET close = 'NaN' WHERE symbol = 'BAD' AND open = 10.25")
    await ran(database, "UPDATE ohlcv_1min SET low = high + 1 WHERE symbol = 'BAD' AND open = 11.25")
    await ran(database, "UPDATE ohlcv_1min SET volume = -1 WHERE symbol = 'BAD' AND open = 12.25")
    counts, left_out, chunks = await read(database)
    assert (counts, left_out) == ({"AAPL": 5}, 4)
    assert kept(chunks) == expected(bars)


async def test_flags_come_with_the_bars(database: str) -> None:
    await prepare(database, "ours")
    flags = [None, "gap", "gap,provisional"]
    await put(database, "ours", [Bar("AAPL", NINE_30_US + n * MINUTE_US, flag) for n, flag in enumerate(flags)])
    _, _, (bars,) = await read(database)
    assert bars.quality.tolist() == [0, GAP, GAP | PROVISIONAL]


async def test_a_server_that_takes_no_writes_is_read_like_any_other(database: str) -> None:
    await prepare(database, "ours")
    bars = bars_of("AAPL")
    await put(database, "ours", bars)
    await ran(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert kept((await read(database))[2]) == expected(bars)


async def test_a_database_without_the_bars_says_what_to_do(database: str) -> None:
    with pytest.raises(ServerError, match="run `tickstockpl migrate` first"):
        await read(database)
    await prepare(database, "ours")
    with pytest.raises(SettingsError, match="there are no bars of NOPE in postgresql://"):
        await read(database, Asked(["NOPE"]))


async def test_what_takes_too_long_to_count_is_asked_for_in_part(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(database, "appv2")
    await put(database, "appv2", bars_of("AAPL", minutes=20))
    slow = "CREATE VIEW ohlcv_1min AS SELECT b.* FROM bars b, LATERAL (SELECT pg_sleep(0.1 + 0 * volume)) AS waited"
    await ran(database, f"ALTER TABLE ohlcv_1min RENAME TO bars; {slow}")
    monkeypatch.setattr(postgres, "for_command", partial(postgres.for_command, command_timeout_s=1.0))
    with pytest.raises(ServerError, match=r"cannot be counted in time: name fewer of them, with --from and --to or"):
        await read(database)
    few = Asked(first_us=NINE_30_US, until_us=NINE_30_US + 2 * MINUTE_US)
    assert (await read(database, few))[0] == {"AAPL": 2}
