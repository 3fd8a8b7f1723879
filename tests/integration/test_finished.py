"""A start knows the sessions before today's as a run does that saw them: out of daily bars, or out of minutes."""

from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import ran, rows
from cold_start import ColdStart, minutes_of
from market_rows import MINUTE_US, found, market, put_minutes, told, within, xnys
from minute_rows import Kind, prepare, put
from tickstockpl.daily import daily_bars
from tickstockpl.finished import SESSIONS, counted, finished, last
from tickstockpl.heard import Heard
from tickstockpl.history import Replayed
from tickstockpl.kernel import GAP, columns_of_bars
from tickstockpl.missed import Window
from tickstockpl.position import EVER_US
from tickstockpl.postgres import transaction
from tickstockpl.sessions import Session, Sessions
from tickstockpl.settings import Settings
from tickstockpl.starting import build_engine, warm

pytestmark = pytest.mark.anyio

LEVELS = ("daily_breakout", "weekly_breakout", "gap_up", "gap_down", "gap_fill", "pivot_break")
LOCKED_CHUNKS = """
    SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relnamespace = '_timescaledb_internal'::regnamespace"""
FIRST, TODAY = date(2025, 9, 8), date(2025, 10, 14)
"""A Monday, and a Tuesday some 27 sessions later."""
MONDAY = date(2025, 10, 13)


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


def settings(uri: str, mode: str = "regular") -> Settings:
    patterns = {"enabled": LEVELS, "timeframes": ("1min", "5min", "15min", "30min", "1hour", "4hour")}
    given = {"database": {"uri": uri}, "session": {"mode": mode}, "patterns": patterns, "bars": {"longer_sessions": 60}}
    return Settings.model_validate(given)


def days_until(calendar: Sessions, mode: Any, first: date = FIRST) -> list[Session]:
    return calendar.between(mode, first, TODAY)


@pytest.mark.parametrize(
    ("kind", "mode", "seed"),
    [("ours", "regular", 1), ("ours", "regular", 9), ("appv2", "regular", 3), ("naive", "regular", 4),
     ("ours", "extended", 5), ("naive", "extended", 6), ("ours", "always", 7)],
)  # fmt: skip
async def test_a_start_finds_what_a_run_finds_that_saw_every_session(
    database: str, calendar: Sessions, kind: Kind, mode: Any, seed: int
) -> None:
    await prepare(database, kind)
    await told(database, calendar)
    days = days_until(calendar, mode)
    columns, today = market(days, 100 * seed), days[-1]
    heard = [len({*within(columns, day.open_us, day.close_us)["symbol"].tolist()}) for day in days]
    assert {*heard} == {3}, "nobody is forgotten, who is is the matter of test_heard.py"
    before = within(columns, days[0].open_us, today.open_us)
    await put_minutes(database, kind, before)
    run = build_engine(settings(database, mode), calendar, None)
    found(run, before)
    start = build_engine(settings(database, mode), calendar, None)
    await warm(start, settings(database, mode), calendar, today.open_us + 1)
    expected = found(run, within(columns, today.open_us, today.close_us))
    expected = [each for each in expected if int(each[2]) >= today.open_us]  # a thin symbol's last bars close today
    assert found(start, within(columns, today.open_us, today.close_us)) == expected
    assert {"daily_breakout", "pivot_break", "gap_up"} <= {pattern for _, pattern, *_ in expected}
    daily = (await rows(database, "SELECT count(*) FROM ohlcv_daily"))[0]["count"]
    assert (daily > 0) == (mode == "regular"), "of other sessions there are no daily bars"


@pytest.mark.parametrize("mode", ["regular", "extended", "always"])
@pytest.mark.parametrize("minutes", [0, 1, 700])
async def test_a_start_on_a_monday_knows_what_a_run_knows_that_heard_nothing_on_the_weekend(
    database: str, calendar: Sessions, mode: Any, minutes: int
) -> None:
    """Nobody is forgotten on days without a regular session, and of mode `always` they are days, too."""
    await prepare(database, "ours")
    await told(database, calendar)
    days = [day for day in days_until(calendar, mode) if day.day.weekday() < 5 and day.day <= MONDAY]
    columns, today = market(days, 300), days[-1]
    before = within(columns, days[0].open_us, today.open_us + minutes * MINUTE_US)
    await put_minutes(database, "ours", before)
    run = build_engine(settings(database, mode), calendar, None)
    found(run, before)
    start = build_engine(settings(database, mode), calendar, None)
    await warm(start, settings(database, mode), calendar, today.open_us + minutes * MINUTE_US + 1)
    rest = within(columns, today.open_us + minutes * MINUTE_US, today.close_us)
    expected = [each for each in found(run, rest) if int(each[2]) >= today.open_us]
    assert found(start, rest) == expected
    assert minutes > 300 or {"daily_breakout", "weekly_breakout"} <= {pattern for _, pattern, *_ in expected}


@pytest.mark.parametrize("mode", ["regular", "extended"])
async def test_a_start_knows_as_a_run_which_sessions_broke_off_and_which_have_holes(
    database: str, calendar: Sessions, mode: Any
) -> None:
    """Of regular sessions out of daily bars, of extended ones out of minutes."""
    await prepare(database, "ours")
    await told(database, calendar)
    days = days_until(calendar, mode)
    columns, yesterday, today = market(days, 100), days[-2], days[-1]
    minute = (columns["ts_us"] - yesterday.open_us) // MINUTE_US
    of_yesterday = (minute >= 0) & (columns["ts_us"] < yesterday.close_us)
    deaf_from = np.where(columns["symbol"] == "A", 60, 100)
    lost = of_yesterday & (minute > deaf_from) & ((columns["symbol"] == "A") | (minute < 150))
    for number in range(2):
        own = of_yesterday & ~lost & (columns["symbol"] == "AB"[number]) & (minute <= deaf_from)
        columns["quality"][own.nonzero()[0][-1]] = GAP
    columns = {name: values[~lost] for name, values in columns.items()}
    before = within(columns, days[0].open_us, today.open_us)
    await put_minutes(database, "ours", before)
    run = build_engine(settings(database, mode), calendar, None)
    found(run, before)
    start = build_engine(settings(database, mode), calendar, None)
    await warm(start, settings(database, mode), calendar, today.open_us + 1)
    expected = found(run, within(columns, today.open_us, today.close_us))
    expected = [each for each in expected if int(each[2]) >= today.open_us]
    assert found(start, within(columns, today.open_us, today.close_us)) == expected
    assert {each[1] for each in expected if each[0] == "A"} <= {"weekly_breakout"}, "its session broke off"
    assert {each[-2] for each in expected if each[0] == "B" and each[1] == "daily_breakout"} == {str(GAP)}


async def test_a_start_flags_todays_longer_bars_over_windows_in_which_ticks_were_missed(
    database: str, calendar: Sessions
) -> None:
    """No minute says so: of what was missed a symbol without a bar just before and after has none that is flagged."""
    await prepare(database, "ours")
    await told(database, calendar)
    days = days_until(calendar, "regular")
    today = days[-1]
    deaf_us = today.open_us + 70 * MINUTE_US
    columns, now_us = within(market(days[-3:], 100), days[-3].open_us, today.close_us), deaf_us + 20 * MINUTE_US
    await put_minutes(database, "ours", within(columns, days[-3].open_us, deaf_us))
    channels = ("data.raw",)
    missed = Window(deaf_us, now_us, "connection lost", channels)
    ofsome = Window(today.open_us, deaf_us, "volume missing", channels, ("B",))
    await put(database, "ours", [], [missed, ofsome])
    given = settings(database)
    start = build_engine(given, calendar, None)
    await warm(start, given, calendar, now_us)
    rest = within(columns, now_us, today.close_us)
    order = np.lexsort((rest["symbol"], rest["ts_us"]))
    made = start.replay(columns_of_bars({name: each[order] for name, each in rest.items()}, ("quality",)), last=True)
    hour = made.longer.timeframe == tp.TIMEFRAMES.index("1hour")
    flags = {
        (made.longer.symbols[symbol], (us - today.open_us) // MINUTE_US): bits
        for symbol, us, bits in zip(
            made.longer.symbol[hour].tolist(),
            made.longer.ts_us[hour].tolist(),
            made.longer.quality[hour].tolist(),
            strict=True,
        )
    }
    assert {at for _, at in flags} == set(range(60, 390, 60))
    assert {who for who, bits in flags.items() if bits} == {(name, 60) for name in made.longer.symbols}


async def test_without_what_it_is_told_a_start_finds_none_of_them(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    days = days_until(calendar, "regular")
    columns, today = market(days, 100), days[-1]
    await told(database, calendar)
    await put_minutes(database, "ours", within(columns, days[-2].open_us + 120 * MINUTE_US, today.open_us))
    start = build_engine(settings(database), calendar, None)
    await warm(start, settings(database), calendar, today.open_us + 1)
    assert found(start, within(columns, today.open_us, today.close_us)) == []


async def told_of(uri: str, calendar: Sessions, symbols: list[str], **options: Any) -> dict[str, list[date]]:
    """By symbol, the sessions before today's that a start is told of."""
    days = days_until(calendar, "regular")[:-1]
    table = np.array([[day.open_us, day.close_us] for day in days], dtype=np.int64)
    named = {day.open_us: day.day for day in days}
    read, today_us = last(table, calendar.regular, SESSIONS), int(table[-1, 1])
    async with finished(settings(uri).database, read, daily=True, **options) as sessions:
        rows_read = await sessions.of(symbols)
        opens = calendar.regular[:, 0]
        heard = Heard(sessions.connection, opens[opens <= today_us], sessions.naive)
        made = counted(rows_read, await heard.since(symbols, [(rows_read.symbol, rows_read.ts_us)]), today_us)
    by_name: dict[str, list[date]] = {name: [] for name in symbols}
    for at, us in zip(made.symbol.tolist(), made.ts_us.tolist(), strict=True):
        by_name[symbols[at]].append(named[us])
    return by_name


async def test_sessions_are_told_back_to_the_first_in_which_a_symbol_had_no_bar(
    database: str, calendar: Sessions
) -> None:
    """As a run forgets a symbol that it did not hear for a session; the first counts if it was seen from its open."""
    await prepare(database, "ours")
    await told(database, calendar)
    days = days_until(calendar, "regular")[:-1]
    columns = market(days, 7, thin=1.0)
    named, ts_us = columns["symbol"], columns["ts_us"]
    columns["symbol"] = np.where(named == "THIN", "C", named)
    gone = (columns["symbol"] == "B") & (ts_us >= days[-4].open_us) & (ts_us < days[-4].close_us)
    late = (columns["symbol"] == "B") & (ts_us >= days[-3].open_us) & (ts_us < days[-3].open_us + 5 * MINUTE_US)
    await put_minutes(database, "ours", {name: values[~gone & ~late] for name, values in columns.items()})
    for fresh in (False, True):
        if fresh:
            async with daily_bars(settings(database).database) as daily:
                for session in await daily.between(days[0].day, days[-1].day, days[-1].close_us):
                    await daily.write(session)
            await ran(database, "DELETE FROM ohlcv_1min")
        by_name = await told_of(database, calendar, ["A", "B", "NEVER"])
        assert by_name == {
            "A": [day.day for day in days[-SESSIONS:]],
            "B": [days[-2].day, days[-1].day],
            "NEVER": [],
        }


async def test_a_session_whose_minutes_changed_since_is_told_out_of_minutes(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    await told(database, calendar)
    days = days_until(calendar, "regular")
    await put_minutes(database, "ours", within(market(days, 7), days[-3].open_us, days[-2].close_us))
    start = build_engine(settings(database), calendar, None)
    await warm(start, settings(database), calendar, days[-1].open_us + 1)
    await ran(database, "UPDATE ohlcv_1min SET high = 500 WHERE symbol = 'A'")
    highs: list[list[float]] = []
    for change in ("SELECT 1", "UPDATE market_session SET changes = changes + 1 WHERE kind = 'regular'"):
        await ran(database, change)
        table = np.array([[day.open_us, day.close_us] for day in days[:-1]], dtype=np.int64)
        async with finished(
            settings(database).database, last(table, calendar.regular, SESSIONS), daily=True
        ) as sessions:
            highs.append((await sessions.of(["A"])).high.tolist())
    assert max(highs[0]) < 200
    assert highs[1] == [500, 500]


async def test_what_a_replay_brings_again_from_its_beginning_is_not_told(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    await told(database, calendar)
    days = days_until(calendar, "regular")
    await put_minutes(database, "ours", within(market(days, 7), days[-4].open_us, days[-2].close_us))
    start = build_engine(settings(database), calendar, None)
    await warm(start, settings(database), calendar, days[-1].open_us + 1)
    src_id = uuid4()
    await ran(database, f"UPDATE ohlcv_1min SET src_id = '{src_id}', first_src = 5, last_src = 6 WHERE symbol = 'A'")
    both = ["A", "B"]
    assert all((await told_of(database, calendar, both)).values())
    by_name = await told_of(database, calendar, both, replayed=Replayed(src_id, EVER_US, 0))
    assert (by_name["A"], len(by_name["B"])) == ([], 3)


@pytest.mark.parametrize("kind", ["ours", "naive"])
async def test_only_chunks_of_the_sessions_that_are_told_are_looked_at(
    database: str, calendar: Sessions, kind: Kind
) -> None:
    await prepare(database, kind)
    await ran(
        database,
        "SELECT create_hypertable('ohlcv_1min', 'timestamp', chunk_time_interval => INTERVAL '1 day', "
        "if_not_exists => true)",
    )
    days = days_until(calendar, "extended")
    await put_minutes(database, kind, market(days, 7, thin=0.02))
    table = np.array([[day.open_us, day.close_us] for day in days], dtype=np.int64)
    reading = finished(settings(database).database, last(table, calendar.regular, SESSIONS), daily=False)
    # What a transaction has looked at stays locked until it ends.
    async with reading as sessions, transaction(sessions.connection):
        assert len(await sessions.of(["A", "B"]))
        looked_at = await sessions.connection.fetchval(LOCKED_CHUNKS)
    assert looked_at == SESSIONS < len(days), "each of these sessions is within one day of UTC"


async def test_a_service_that_starts_cold_fires_what_one_fires_that_ran_through(
    ready: str, redis: str, calendar: Sessions, state_dir: Path
) -> None:
    days = days_until(calendar, "regular", date(2025, 9, 22))
    today = days[-1]
    columns = market(days, 11, thin=1.0)
    market_of_a = ColdStart(ready, redis, state_dir, minutes_of(columns, "A"), today)
    sections: dict[str, dict[str, Any]] = {"patterns": {"enabled": LEVELS}, "bars": {"longer_sessions": 30}}
    through = await market_of_a.fired(days[0].open_us, **sections)
    assert {"daily_breakout", "pivot_break", "gap_up"} <= {row["pattern_id"] for row in through}
    await market_of_a.forget()
    assert await market_of_a.fired(today.open_us, **sections) == through
