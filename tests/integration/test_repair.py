"""Flagged minutes put right in real tables, against rows repaired one by one in Python."""

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bar_samples import MINUTE_US, ran, rows
from minute_rows import KINDS, Bar, Kind, prepare, put
from tickstockpl import sessions
from tickstockpl.errors import ServerError
from tickstockpl.gaps import read
from tickstockpl.given import GivenBars
from tickstockpl.missed import Window
from tickstockpl.repair import MARGIN_S, Change, repair, revisable_from, wanted
from tickstockpl.sessions import Session, Sessions
from tickstockpl.settings import DatabaseSettings

pytestmark = pytest.mark.anyio

FRIDAY = date(2026, 11, 20)
FLAGS = {"partial_start", "gap", "provisional", "handover", "ambiguous"}
Row = tuple[str, int, float, float, float, float, int, float | None, int | None, str | None, int | None]
"""symbol, minute, open, high, low, close, volume, vwap, trades, quality, revision"""


@pytest.fixture(scope="module")
def days(state_dir: Path) -> list[Session]:
    """Thursday and Friday, midnight to midnight in New York."""
    calendar: Sessions = sessions.load("XNYS", "America/New_York", state_dir, FRIDAY, say=lambda _: None)
    return calendar.between("always", date(2026, 11, 19), FRIDAY)


def settings_of(uri: str, **more: Any) -> DatabaseSettings:
    return DatabaseSettings(**{"uri": uri} | more)


async def repaired(
    uri: str, given: GivenBars, days: list[Session], revisable_us: int | None = None, **options: Any
) -> list[Change]:
    revisable_us = days[-1].close_us if revisable_us is None else revisable_us
    return [change async for change in repair(settings_of(uri), given, days, revisable_us, **options)]


def bars_of(*bars: Bar, vwap: float = float("nan")) -> GivenBars:
    prices = [[bar.price + more for bar in bars] for more in (0, 1, -1, 0)]
    return GivenBars.of(
        "a test",
        [bar.symbol for bar in bars],
        [bar.ts_us for bar in bars],
        prices,
        [bar.volume for bar in bars],
        vwap,
        [-1 if bar.trades is None else bar.trades for bar in bars],
    )


async def table(uri: str) -> list[Row]:
    found = await rows(
        uri,
        """SELECT symbol, (extract(epoch FROM timestamp) * 1000000)::bigint AS ts_us, open::float8, high::float8,
                  low::float8, close::float8, volume::bigint, vwap, trades, quality, revision
           FROM ohlcv_1min ORDER BY 1, 2""",
    )
    return [tuple(row.values()) for row in found]


def stored_row(bar: Bar) -> Row:
    p = bar.price
    return (bar.symbol, bar.ts_us, p, p + 1, p - 1, p, bar.volume, None, bar.trades, bar.quality, bar.revision)


def mended(
    before: list[Bar], given: list[Bar], windows: list[Window], days: list[Session], until_us: int, *, everything: bool
) -> list[Row]:
    """The table after a repair, minute by minute; prices are such that no column rounds them."""
    stored = {(bar.symbol, bar.ts_us): bar for bar in before}
    known = {bar.symbol for bar in before if days[0].open_us - 7 * 86_400_000_000 <= bar.ts_us < days[-1].close_us}
    for bar in given:
        if bar.symbol not in known or not days[0].open_us <= bar.ts_us < days[-1].close_us or bar.ts_us >= until_us:
            continue
        was = stored.get((bar.symbol, bar.ts_us))
        of_it = [w for w in windows if not w.symbols or bar.symbol in w.symbols]
        in_gap = any(w.started_us < bar.ts_us + MINUTE_US and w.ended_us > bar.ts_us for w in of_it)
        if was is None:
            due = in_gap or everything
        elif FLAGS & {*(was.quality or "").split(",")}:
            due = True
        else:
            same = (was.price, was.volume) == (bar.price, bar.volume) and bar.trades in (None, was.trades)
            due = everything and not same
        if due:
            revision = 0 if was is None else (was.revision or 0) + 1
            stored[bar.symbol, bar.ts_us] = replace(bar, quality="repaired", revision=revision)
    return sorted(map(stored_row, stored.values()), key=lambda row: row[:2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("everything", [False, True])
async def test_a_repair_does_what_one_minute_after_the_other_does_and_nothing_the_second_time(
    database: str, days: list[Session], kind: Kind, everything: bool
) -> None:
    await prepare(database, kind)
    chance = random.Random(7)
    begins = [days[0].open_us - 3 * MINUTE_US, days[0].open_us + 600 * MINUTE_US, days[1].open_us + 700 * MINUTE_US]
    minutes = [begin + n * MINUTE_US for begin in begins for n in range(40)]
    qualities = (*[None] * 6, *sorted(FLAGS), "partial_start,gap", "late_revised", "gap,repaired", "repaired")

    def bar(symbol: str, us: int) -> Bar:
        price, volume = 10 + chance.randrange(40) / 8, chance.randrange(3)
        return Bar(symbol, us, None, price, volume, chance.choice((None, 3, 4)), chance.choice((None, 0, 2)))

    before = [
        replace(bar(symbol, us), quality=chance.choice(qualities))
        for symbol in ("BUSY", "THIN", "ALSO")
        for us in minutes
        if chance.random() < (0.2 if symbol == "THIN" else 0.9)
    ]
    given = [bar(symbol, us) for symbol in ("BUSY", "THIN", "NONE") for us in minutes if chance.random() < 0.9]
    windows = [
        Window(us + chance.randrange(60_000_000), us + chance.randrange(60_000_000, 300_000_000), "lost", ("c",), of)
        for us, of in zip(chance.sample(minutes, 10), [(), (), ("BUSY",), ("THIN",), ("BUSY", "THIN")] * 2, strict=True)
    ]
    until_us = minutes[-9]
    await put(database, kind, before, windows)
    expected = mended(before, given, windows, days, until_us, everything=everything)
    was = await table(database)

    told = await repaired(database, bars_of(*given), days, until_us, everything=everything, dry_run=True)
    assert await table(database) == was
    done = await repaired(database, bars_of(*given), days, until_us, everything=everything)
    assert done == told
    after = await table(database)
    assert after == expected
    assert sum(change.added for change in done) == len(after) - len(was)
    assert sum(change.replaced for change in done) == len({*was} - {*after}) > 10
    inside = [row for row in after if days[0].open_us <= row[1] < days[1].close_us]
    assert sum(change.flagged for change in done) == sum(bool(FLAGS & {*(row[9] or "").split(",")}) for row in inside)

    again = await repaired(database, bars_of(*given), days, until_us, everything=everything)
    assert await table(database) == after
    assert [(change.replaced, change.added) for change in again] == [(0, 0)] * len(again)


@pytest.mark.parametrize("kind", KINDS)
async def test_prices_are_those_of_the_file_to_the_columns_last_digit(
    database: str, days: list[Session], kind: Kind
) -> None:
    await prepare(database, kind)
    at_us = days[0].open_us
    await put(database, kind, [Bar("AAPL", at_us, "gap")])
    source = "src_id = gen_random_uuid(), first_src = 1, last_src = 2"
    await ran(database, f"UPDATE ohlcv_1min SET open_at = now(), close_at = now(), vwap = 3, {source}")
    await repaired(database, bars_of(Bar("AAPL", at_us, price=187.00345), vwap=187.123456789), days)
    (row,) = await rows(database, "SELECT * FROM ohlcv_1min")
    assert row["open"] == (187.00345 if kind == "ours" else Decimal("187.0035"))
    assert (row["vwap"], row["open_at"], row["close_at"]) == (187.123456789, None, None)
    assert (row["quality"], row["revision"], row["trades"]) == ("repaired", 1, 10)
    assert (row["src_id"], row["first_src"], row["last_src"]) == (None, None, None)
    assert (await repaired(database, bars_of(Bar("AAPL", at_us, price=187.00345)), days, everything=True)) == []


async def test_a_vwap_that_the_file_does_not_have_is_null_and_one_that_is_right_is_kept(
    database: str, days: list[Session]
) -> None:
    await prepare(database, "ours")
    at_us = days[0].open_us
    await put(database, "ours", [Bar("AAPL", at_us, "gap"), Bar("AAPL", at_us + MINUTE_US)])
    await ran(database, "UPDATE ohlcv_1min SET vwap = 3")
    given = bars_of(Bar("AAPL", at_us, trades=None), Bar("AAPL", at_us + MINUTE_US, trades=None))
    await repaired(database, given, days, everything=True)
    assert [(row[7], row[8], row[9]) for row in await table(database)] == [(None, None, "repaired"), (3.0, 10, None)]


async def test_what_may_still_be_revised_is_left_and_counted(database: str, days: list[Session]) -> None:
    await prepare(database, "ours")
    at_us = days[0].open_us
    await put(database, "ours", [Bar("AAPL", at_us + n * MINUTE_US, "provisional") for n in range(3)])
    given = bars_of(*(Bar("AAPL", at_us + n * MINUTE_US) for n in range(3)))
    (change,) = await repaired(database, given, days, at_us + MINUTE_US)
    assert (change.replaced, change.revisable, change.flagged) == (1, 2, 2)


async def test_the_revisable_minutes_reach_back_from_now_or_from_a_delayed_feeds_newest_bar(
    database: str, days: list[Session]
) -> None:
    await prepare(database, "ours")
    now_us, revise_s = days[0].open_us + 100 * MINUTE_US + 1, 900.0
    back_us = round((revise_s + MARGIN_S) * 1e6)
    assert await revisable_from(settings_of(database), now_us, revise_s) == now_us - 1 - back_us
    await put(database, "ours", [Bar("AAPL", now_us - 1 - 15 * MINUTE_US), Bar("ODD", now_us + 900 * MINUTE_US)])
    assert await revisable_from(settings_of(database), now_us, revise_s) == now_us - 1 - 14 * MINUTE_US - back_us


async def test_symbols_of_the_whole_market_are_left_aside_unless_they_are_named(
    database: str, days: list[Session]
) -> None:
    await prepare(database, "appv2")
    at_us = days[0].open_us
    window = Window(at_us, at_us + MINUTE_US, "lost", ("data.raw",))
    await put(database, "appv2", [Bar("AAPL", at_us - 6 * 1440 * MINUTE_US)], [window])
    given = bars_of(Bar("AAPL", at_us), Bar("OTHER", at_us))
    assert [(each.symbol, each.added) for each in await repaired(database, given, days)] == [("AAPL", 1)]
    named = await repaired(database, given, days, symbols=["OTHER"])
    assert [(each.symbol, each.added) for each in named] == [("OTHER", 1)]
    assert await rows(database, "SELECT active FROM symbols WHERE symbol = 'OTHER'") == [{"active": False}]


async def test_a_foreign_key_that_refuses_a_named_symbol_is_one_error_and_nothing_is_changed(
    database: str, days: list[Session]
) -> None:
    await prepare(database, "appv2")
    at_us = days[0].open_us
    await put(database, "appv2", [], [Window(at_us, at_us + MINUTE_US, "lost", ("data.raw",))])
    settings = settings_of(database, symbol_policy="quarantine")
    changes = repair(settings, bars_of(Bar("OTHER", at_us)), days, days[-1].close_us, symbols=["OTHER"])
    with pytest.raises(ServerError, match="foreign key"):
        [change async for change in changes]
    assert await table(database) == []


async def test_the_vendor_is_wanted_for_sessions_of_symbols_that_are_not_whole(
    database: str, days: list[Session]
) -> None:
    await prepare(database, "ours")
    at_us = days[0].open_us
    window = Window(at_us, at_us + 2 * MINUTE_US, "lost", ("data.raw",))
    bars = [Bar("WHOLE", at_us), Bar("WHOLE", at_us + MINUTE_US), Bar("THIN", at_us), Bar("FLAG", at_us, "gap")]
    await put(database, "ours", [*bars, Bar("FLAG", at_us + MINUTE_US)], [window])
    report = await read(settings_of(database), days, days[-1].close_us)
    assert [each.symbol for each in wanted(report)] == ["FLAG", "THIN"]
    assert {(each.first_us, each.last_us) for each in wanted(report)} == {(at_us, days[0].close_us)}
    assert len(wanted(report, everything=True)) == 3 * 2


def test_the_days_of_a_test_are_whole(days: list[Session]) -> None:
    assert np.diff([edge for day in days for edge in day[1:]]).tolist() == [1440 * MINUTE_US, 0, 1440 * MINUTE_US]
