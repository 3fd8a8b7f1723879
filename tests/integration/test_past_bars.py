"""The longer bars that a start begins with: each once, whoever is read with whom."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from market_rows import MINUTE_US, PRICES, minutes, put_minutes, told, xnys
from minute_rows import prepare
from strategies import encoded, message
from tickstockpl.archive import in_database
from tickstockpl.daily import daily_bars
from tickstockpl.history import History
from tickstockpl.kernel import columns_of_bars
from tickstockpl.past_bars import past_bars
from tickstockpl.rolled import rolled
from tickstockpl.selection import engine_settings
from tickstockpl.sessions import Sessions
from tickstockpl.settings import Settings
from tickstockpl.starting import build_engine, told_us, warm

pytestmark = pytest.mark.anyio

FIRST, LAST, TODAY = date(2025, 9, 22), date(2025, 10, 13), date(2025, 10, 14)
"""Three weeks and a Monday, before a Tuesday."""
WEDNESDAY = date(2025, 10, 8)


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


def settings(uri: str, *timeframes: str) -> Settings:
    patterns = {"enabled": ("doji",), "timeframes": timeframes}
    return Settings.model_validate({"database": {"uri": uri}, "patterns": patterns, "bars": {"longer_sessions": 3}})


def starts(bars: History, symbol: str) -> list[int]:
    stamps: list[int] = bars.ts_us[bars.symbol == bars.symbols.index(symbol)].tolist()
    return stamps


def without(columns: dict[str, Any], symbol: str, from_us: int) -> dict[str, Any]:
    kept = (columns["symbol"] != symbol) | (columns["ts_us"] < from_us)
    return {name: values[kept] for name, values in columns.items()}


async def test_a_week_is_over_for_a_symbol_whoever_is_read_with_it(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    await told(database, calendar)
    days = calendar.between("regular", FIRST, LAST)
    columns = minutes([(day.open_us, day.close_us) for day in days], 3)
    end_us = next(day.close_us for day in days if day.day == WEDNESDAY)
    await put_minutes(database, "ours", without(columns, "THIN", end_us))
    given = settings(database, "1min", "5min", "1hour", "daily", "weekly")
    async with daily_bars(given.database) as daily:
        for session in await daily.due(days[0].open_us, days[-1].close_us + 60 * MINUTE_US):
            await daily.write(session)
    table = np.array([[day.open_us, day.close_us] for day in days], dtype=np.int64)
    engine = engine_settings(given, calendar, None)
    async with past_bars(given.database, engine, table, back=10, regular=True) as past:
        alone, together = [dict(past.bars(await past.read(symbols))) for symbols in (["THIN"], ["A", "B", "THIN"])]
    mondays = [day.open_us for day in days if day.day.weekday() == 0]
    assert starts(alone["weekly"], "THIN") == mondays[:-1]  # the week of the last one goes on
    assert {name: starts(bars, "THIN") for name, bars in alone.items()} == {
        name: starts(bars, "THIN") for name, bars in together.items()
    }


async def test_after_a_start_each_longer_bar_is_read_or_told(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    await told(database, calendar)
    *_, yesterday, today = calendar.between("regular", FIRST, TODAY)
    columns = minutes([(yesterday.open_us, yesterday.close_us), (today.open_us, today.close_us)], 4)
    columns["quality"][:] = 0
    now_us = today.open_us + 97 * MINUTE_US
    thin = (columns["symbol"] == "B") & (columns["ts_us"] >= today.open_us)
    gone = thin & (columns["ts_us"] >= now_us - 26 * MINUTE_US) & (columns["ts_us"] < now_us + 8 * MINUTE_US)
    columns = {name: values[~gone] for name, values in columns.items()}
    early = columns["ts_us"] < now_us
    await put_minutes(database, "ours", {name: values[early] for name, values in columns.items()})
    given = settings(database, "1min", "5min", "15min", "1hour")
    engine = build_engine(given, calendar, None)
    warmed = await warm(engine, given, calendar, now_us)
    assert warmed.known_us is not None
    later = {name: values[~early] for name, values in columns.items()}
    order = np.lexsort((later["symbol"], later["ts_us"]))
    rows = columns_of_bars({name: values[order] for name, values in later.items()}, ("vwap", "trades", "quality"))
    news = engine.replay(rows, last=True).longer
    async with in_database(given.database) as archive:
        stored = await archive.read(["B"])
    for timeframe in ("5min", "15min", "1hour"):
        read = rolled(stored, timeframe, engine_settings(given, calendar, None), warmed.known_us)
        mine = (news.timeframe == tp.TIMEFRAMES.index(timeframe)) & (np.array(news.symbols)[news.symbol] == "B")
        whole = tp.resample(columns, timeframe, sessions=calendar.regular, days=calendar.days)
        expected = whole.ts_us[np.array(whole.symbols)[whole.symbol] == "B"].tolist()
        assert [*read.ts_us.tolist(), *news.ts_us[mine].tolist()] == expected


def test_after_a_stop_each_longer_bar_is_read_or_told(calendar: Sessions) -> None:
    given = settings("postgresql://localhost/unused", "1min", "5min")
    (today,) = calendar.between("regular", TODAY, TODAY)
    before, after = build_engine(given, calendar, None), build_engine(given, calendar, None)
    stored = [played(before, today.open_us, minute)[0] for minute in range(90)]
    after.restore(before.snapshot())
    known_us = told_us(after, given)
    news = [played(after, today.open_us, minute)[1] for minute in range(90, 130)]
    read = tp.resample(
        {name: np.concatenate([columns[name] for columns in stored]) for name in stored[0]},
        "5min",
        sessions=calendar.regular,
        days=calendar.days,
        until_us=known_us,
    )
    all_us = np.concatenate([read.ts_us, *(columns["ts_us"] for columns in news)])
    assert ((all_us - today.open_us) // MINUTE_US).tolist() == [60, 65, 70, 110]


def played(engine: tp.Engine, open_us: int, minute: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A minute of a feed: what closes of a symbol that has four ticks in all, minutes and longer bars."""
    end_us = open_us + (minute + 1) * MINUTE_US
    names = ("LIQUID", "THIN") if minute in {60, 66, 71, 110} else ("LIQUID",)
    output = engine.ingest([encoded(message(name, end_us)) for name in names], end_us)
    return _of_thin(output.bars), _of_thin(output.longer)


def _of_thin(bars: Any) -> dict[str, Any]:
    rows = np.array(bars.symbols)[bars.symbol] == "THIN"
    return {"symbol": np.full(rows.sum(), "THIN")} | {
        name: getattr(bars, name)[rows] for name in ("ts_us", *PRICES, "volume", "quality")
    }
