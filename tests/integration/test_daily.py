"""Daily bars in `ohlcv_daily`: what the session's minutes say, once each, and never in place of somebody else's."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import tickstockpl as tp
from bar_samples import NINE_30_US, bars, ran, rows, stored, versions
from market_rows import MINUTE_US, PRICES, minutes, put_minutes, told, xnys
from minute_rows import APPV2, KINDS, Kind, prepare
from tickstockpl.clock import ManualClock
from tickstockpl.daily import MARGIN_S, DailyBars, Written, daily_bars, over_us
from tickstockpl.errors import ServerError
from tickstockpl.given import GivenBars
from tickstockpl.migrate import migrate, pending
from tickstockpl.recording import Reading, read_bars
from tickstockpl.repair import repair
from tickstockpl.sessions import Sessions
from tickstockpl.settings import DatabaseSettings
from tickstockpl.wire import WriteBatch
from waiting import until

pytestmark = pytest.mark.anyio

REVISE_S = 900.0
DAY_US = 86_400_000_000
MONDAY = date(2025, 10, 13)
CLOSE_US = NINE_30_US + 390 * MINUTE_US
LATER_US = NINE_30_US + 30 * DAY_US
OURS = ("session_open", "session_high", "session_low", "session_close", "session_volume")


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


@pytest.fixture
async def ready(ready: str, calendar: Sessions) -> str:
    await told(ready, calendar)
    return ready


def settings(uri: str, policy: Any = "accept") -> DatabaseSettings:
    return DatabaseSettings(uri=SecretStr(uri), symbol_policy=policy)


async def written(uri: str, first: date = MONDAY, last: date | None = None, policy: Any = "accept") -> list[Written]:
    """What comes of writing each session of these days."""
    async with daily_bars(settings(uri, policy)) as daily:
        sessions = await daily.between(first, last or first, LATER_US)
        return [await daily.write(session) for session in sessions]


async def due(uri: str, first_us: int = NINE_30_US - DAY_US) -> list[date]:
    async with daily_bars(settings(uri)) as daily:
        return [session.date for session in await daily.due(first_us, over_us(NINE_30_US + DAY_US, REVISE_S))]


async def table(uri: str, *columns: str) -> list[tuple[Any, ...]]:
    found = await rows(uri, f"SELECT {', '.join(columns)} FROM ohlcv_daily ORDER BY date, symbol")
    return [tuple(row.values()) for row in found]


@pytest.mark.parametrize("kind", KINDS)
async def test_daily_bars_equal_resample_and_a_second_time_changes_nothing(
    database: str, calendar: Sessions, kind: Kind
) -> None:
    await prepare(database, kind)
    await told(database, calendar)
    days = calendar.between("regular", date(2019, 11, 27), date(2019, 12, 3))
    columns = minutes([(day.open_us - 30 * MINUTE_US, day.close_us + 30 * MINUTE_US) for day in days], seed=8)
    await put_minutes(database, kind, columns)
    made = tp.resample(columns, "daily", sessions=calendar.regular, days=calendar.days)
    done = await written(database, days[0].day, days[-1].day)
    assert [each.date for each in done] == [day.day for day in days]
    assert sum(each.rows for each in done) == len(made) > 8
    found = await table(database, "symbol", *PRICES, "volume", *OURS, "trades")
    for row, symbol in zip(found, made.symbol.tolist(), strict=True):
        assert row[0] == made.symbols[symbol]
    for place, name in enumerate((*PRICES, "volume", *PRICES, "volume", "trades"), 1):
        assert [float(row[place]) for row in found] == getattr(made, name).tolist(), name
    opened = {day.open_us: day.day for day in days}
    assert [row[0] for row in await table(database, "date")] == [opened[us] for us in made.ts_us.tolist()]
    again = await written(database, days[0].day, days[-1].day)
    assert [(each.rows, each.foreign, each.refused) for each in again] == [(0, 0, 0)] * len(days)


async def test_minutes_out_of_session_and_provisional_ones_are_in_no_daily_bar(ready: str) -> None:
    await stored(ready, WriteBatch(bars=versions([("A", minute, 1, 0) for minute in (-1, 0, 389, 390)], volume=5)))
    await stored(ready, WriteBatch(bars=versions([("A", 200, 1, 0)], price=50, quality=4)))
    await written(ready)
    assert await table(ready, "volume", "high", "minutes") == [(10, 11.25, 2)]


async def test_a_row_of_somebody_else_keeps_its_values_and_gets_ours_beside_them(
    database: str, calendar: Sessions
) -> None:
    await ran(database, APPV2)
    await ran(database, "INSERT INTO ohlcv_daily VALUES ('AAPL', '2025-10-13', 9, 12, 8, 11, 77)")
    await migrate(database)
    await told(database, calendar)
    await stored(database, WriteBatch(bars=bars(["AAPL", "MSFT"])))
    (done,) = await written(database)
    assert (done.rows, done.foreign) == (2, 1)
    theirs, ours = await table(database, *PRICES, "volume", *OURS)
    assert [float(value) for value in theirs] == [9, 12, 8, 11, 77, 10.25, 11.25, 9.25, 10.75, 1000]
    assert [float(value) for value in ours[:5]] == [float(value) for value in ours[5:]]


async def test_a_row_of_ours_that_somebody_has_changed_is_his_from_then_on(ready: str) -> None:
    await stored(ready, WriteBatch(bars=bars(["A", "B"])))
    await written(ready)
    await ran(ready, "UPDATE ohlcv_daily SET close = 10.5 WHERE symbol = 'A'")
    await stored(ready, WriteBatch(bars=bars(["A", "B"], minute=1, price=20)))
    (done,) = await written(ready)
    assert (done.rows, done.foreign) == (2, 1)
    assert await table(ready, "close", "session_close") == [(10.5, 20.5), (20.5, 20.5)]


async def test_ours_is_known_by_its_values_where_the_columns_hold_fewer_digits(
    database: str, calendar: Sessions
) -> None:
    await ran(database, APPV2.replace("open numeric(10, 4), high", "open float8, high", 1))
    await ran(database, "ALTER TABLE ohlcv_1min ALTER high TYPE float8, ALTER low TYPE float8, ALTER close TYPE float8")
    await migrate(database)
    await told(database, calendar)
    for minute, trades in ((0, 1), (1, 1)):
        columns = bars(["AAPL"], minute=minute, trades=trades, price=10.123456789 + minute)
        await stored(database, WriteBatch(bars=columns))
        (done,) = await written(database)
        assert (done.rows, done.foreign) == (1, 0)
    ((close, exact),) = await table(database, "close::float8", "session_close")
    assert (close, exact) == (11.6235, 11.123456789 + 0.5)


async def test_minutes_that_were_deleted_since_do_not_make_a_daily_bar_poorer(ready: str) -> None:
    await stored(ready, WriteBatch(bars=versions([("A", minute, 1, 0) for minute in range(9)])))
    await written(ready)
    await ran(ready, f"DELETE FROM ohlcv_1min WHERE timestamp < to_timestamp({NINE_30_US / 1e6 + 300})")
    assert (await written(ready))[0].rows == 0
    assert await table(ready, "minutes", "volume") == [(9, 9000)]


async def test_a_session_is_due_until_it_is_written_and_again_when_its_minutes_change(ready: str) -> None:
    await stored(ready, WriteBatch(bars=bars(["A"])))
    assert await due(ready) == [MONDAY]
    await written(ready)
    assert await due(ready) == []
    await stored(ready, WriteBatch(bars=bars(["A"], minute=5)), clock=ManualClock(CLOSE_US + MINUTE_US))
    assert await due(ready) == [MONDAY]
    await written(ready)
    assert await due(ready) == []


async def test_what_is_stored_while_a_session_is_on_is_no_change_of_it(ready: str) -> None:
    await written(ready)
    await stored(ready, WriteBatch(bars=bars(["A"])), clock=ManualClock(CLOSE_US - 1))
    assert await due(ready) == []


async def test_bars_of_an_old_session_make_it_due_however_old_it_is(ready: str) -> None:
    assert MONDAY not in await due(ready, first_us=LATER_US)
    await stored(ready, WriteBatch(bars=bars(["A"])), clock=ManualClock(LATER_US))
    assert await due(ready, first_us=LATER_US) == [MONDAY]


async def test_a_repair_makes_its_session_due(ready: str, calendar: Sessions, tmp_path: Path) -> None:
    await stored(ready, WriteBatch(bars=bars(["A"], quality=2)))
    await written(ready)
    file = tmp_path / "given.csv"
    file.write_text("symbol,timestamp,open,high,low,close,volume\nA,2025-10-13T13:30:00,20,21,19,20.5,7\n")
    given: GivenBars = read_bars([file], Reading(bar_seconds=60))
    days = calendar.between("always", MONDAY, MONDAY)
    done = [change async for change in repair(settings(ready), given, days, LATER_US)]
    assert sum(change.replaced for change in done) == 1
    assert await due(ready) == [MONDAY]
    await written(ready)
    assert await table(ready, "high", "volume", "quality") == [(21.0, 7, "repaired")]


async def test_a_session_is_over_when_it_cannot_be_revised_any_more() -> None:
    assert over_us(CLOSE_US + round((REVISE_S + MARGIN_S) * 1e6), REVISE_S) == CLOSE_US


@pytest.mark.parametrize("policy", ["accept", "allowlist", "quarantine"])
async def test_the_policy_for_unknown_symbols_holds_for_daily_bars(
    database: str, calendar: Sessions, policy: str
) -> None:
    await ran(database, APPV2)
    await ran(database, "ALTER TABLE ohlcv_1min DROP CONSTRAINT ohlcv_1min_symbol_fkey")
    await migrate(database)
    assert await pending(database, policy=policy) == []
    await told(database, calendar)
    await stored(database, WriteBatch(bars=bars(["AAPL", "ZZTEST1"])))
    await written(database, policy=policy)
    found = [row[0] for row in await table(database, "symbol")]
    assert found == (["AAPL", "ZZTEST1"] if policy == "accept" else ["AAPL"])
    made = await rows(database, "SELECT active FROM symbols WHERE symbol = 'ZZTEST1'")
    assert made == ([{"active": False}] if policy == "accept" else [])


async def test_what_the_table_does_not_take_is_counted_and_the_rest_is_written(
    database: str, calendar: Sessions
) -> None:
    await ran(database, APPV2.replace("date date NOT NULL,", "date date NOT NULL CHECK (symbol <> 'GOOGL'),", 1))
    await migrate(database)
    await told(database, calendar)
    await stored(database, WriteBatch(bars=bars(["AAPL", "GOOGL", "MSFT"])))
    (done,) = await written(database)
    assert (done.rows, done.refused) == (2, 1)
    assert [row[0] for row in await table(database, "symbol")] == ["AAPL", "MSFT"]
    assert await due(database) == []


async def test_a_table_without_a_key_gets_a_unique_index_from_its_owner(database: str) -> None:
    await ran(database, APPV2.replace("PRIMARY KEY (symbol, date));", "note text);", 1))
    (said,) = [sql for sql in await pending(database) if "UNIQUE" in sql and "daily" in sql]
    await ran(database, said)
    await migrate(database)
    assert await pending(database) == []


async def test_a_table_that_is_not_appv2s_is_refused_by_name(database: str) -> None:
    await ran(database, "CREATE TABLE ohlcv_daily (ticker text, day date)")
    with pytest.raises(ServerError, match="table ohlcv_daily has no column symbol, date"):
        await migrate(database)


async def test_the_helper_writes_once_the_session_is_over_and_again_after_a_change(ready: str) -> None:
    clock, looks = ManualClock(CLOSE_US + round(REVISE_S * 1e6)), 0
    again: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        await again.get()

    async def looked() -> Sequence[tuple[Any, ...]]:
        wanted = looks + 1
        again.put_nowait(None)
        await until(lambda: looks >= wanted)
        return await table(ready, "close")

    await stored(ready, WriteBatch(bars=bars(["A"])))
    helper = DailyBars(settings(ready), REVISE_S, NINE_30_US - DAY_US, clock)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(helper.run(sleep))
        await until(lambda: looks == 1)
        assert await table(ready, "close") == [], "it may be revised yet"
        clock.advance(MARGIN_S)
        assert await looked() == [(10.75,)]
        await stored(ready, WriteBatch(bars=bars(["A"], minute=9, price=12)), clock=clock)
        assert await looked() == [(12.5,)]
        await stored(ready, WriteBatch(bars=bars(["A"], minute=10, price=13)), clock=clock)
        await ran(ready, "ALTER TABLE ohlcv_daily RENAME TO away")
        again.put_nowait(None)
        await until(lambda: looks == 4)
        assert "ohlcv_daily" in helper.status().pop("reason")
        await ran(ready, "ALTER TABLE away RENAME TO ohlcv_daily")
        assert await looked() == [(13.5,)], "it goes on after a failure"
        assert helper.status() == {"state": "ok", "rows": 3}
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
