"""What is missing by day and symbol, out of real tables, against rows looked at one by one."""

import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bar_samples import MINUTE_US
from minute_rows import KINDS, Bar, Kind, prepare, put
from tickstockpl import sessions
from tickstockpl.errors import ServerError
from tickstockpl.gaps import Report, read
from tickstockpl.missed import Window
from tickstockpl.sessions import Session, Sessions
from tickstockpl.settings import DatabaseSettings

pytestmark = pytest.mark.anyio

FRIDAY = date(2026, 11, 27)
"""The day after Thanksgiving: the exchange closes at 13:00."""
DOUBTS = ("partial_start", "gap", "provisional", "handover", "ambiguous")
QUALITIES = (None, *DOUBTS, "partial_start,gap", "gap,provisional", "gap,ambiguous", "late_revised")


@pytest.fixture(scope="module")
def calendar(state_dir: Path) -> Sessions:
    return sessions.load("XNYS", "America/New_York", state_dir, FRIDAY, say=lambda _: None)


async def found(uri: str, days: list[Session], now_us: int, *symbols: str) -> Report:
    values: dict[str, Any] = {"uri": uri}
    return await read(DatabaseSettings(**values), days, now_us, symbols)


def table(report: Report) -> dict[tuple[date, str], tuple[int, ...]]:
    """Per day and symbol: minutes, bars, in a gap, flagged, then each flag and repairs."""
    return {
        (each.day.session.day, each.symbol): (
            *(each.day.minutes, each.bars, each.in_gap, each.flagged),
            *(each.partial_start, each.gap, each.provisional, each.handover, each.ambiguous, each.repaired),
        )
        for each in report.counts
    }


def counted(
    days: list[Session], bars: list[Bar], windows: list[Window], now_us: int
) -> dict[tuple[date, str], tuple[int, ...]]:
    """The same, minute by minute."""
    stored = {(bar.symbol, bar.ts_us): (bar.quality or "").split(",") for bar in bars}
    expected = {}
    for symbol in {bar.symbol for bar in bars if any(day.open_us <= bar.ts_us < day.close_us for day in days)}:
        for day in days:
            numbers = dict.fromkeys(("minutes", "bars", "in_gap", "flagged", *DOUBTS, "repaired"), 0)
            for us in range(day.open_us, day.close_us, MINUTE_US):
                if us + MINUTE_US > now_us:
                    break
                numbers["minutes"] += 1
                if (symbol, us) not in stored:
                    of_it = [w for w in windows if not w.symbols or symbol in w.symbols]
                    covered = [w for w in of_it if w.started_us < us + MINUTE_US and w.ended_us > us]
                    numbers["in_gap"] += bool(covered)
                    continue
                numbers["bars"] += 1
                flags = stored[symbol, us]
                numbers["flagged"] += bool({*DOUBTS} & {*flags})
                for name in (*DOUBTS, "repaired"):
                    numbers[name] += name in flags
            expected[day.day, symbol] = tuple(numbers.values())
    return expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
async def test_counts_equal_those_of_every_minute_looked_at_by_itself(
    database: str, calendar: Sessions, kind: Kind, seed: int
) -> None:
    await prepare(database, kind)
    chance = random.Random(seed)
    days = calendar.between("regular", date(2026, 11, 24), FRIDAY)
    assert [(day.day.day, (day.close_us - day.open_us) // MINUTE_US) for day in days] == [
        (24, 390),
        (25, 390),
        (27, 210),
    ]
    now_us = days[-1].open_us + chance.randrange(211) * MINUTE_US + chance.randrange(MINUTE_US)
    bars = [
        Bar(symbol, us + (second * 1_000_000), chance.choice((*[None] * 20, *QUALITIES, "repaired")))
        for symbol, share in (("BUSY", 0.98), ("THIN", 0.05), ("NIGHT", 0.0), ("ONCE", 0.002))
        for day in days
        for us in range(day.open_us - 30 * MINUTE_US, day.close_us + 30 * MINUTE_US, MINUTE_US)
        if chance.random() < share or (symbol == "NIGHT" and us >= day.close_us)
        for second in (0, *([17] if chance.random() < 0.02 else []))  # another writer's row within the minute
    ]
    windows = []
    for day in days:
        for _ in range(chance.randrange(4)):
            begin = day.open_us + chance.randrange(-40 * 60, 400 * 60) * 1_000_000
            end = begin + chance.randrange(0, 9) * chance.randrange(60) * 1_000_000
            windows.append(Window(begin, end, "lost", ("c",), chance.choice(((), (), ("BUSY",), ("NIGHT", "THIN")))))
    await put(database, kind, bars, windows)
    report = await found(database, days, now_us)
    assert table(report) == counted(days, bars, windows, now_us)
    assert [(each.day.session.day, each.symbol) for each in report.counts] == sorted(table(report))
    assert report.flagged == sum(row[3] for row in table(report).values())


async def test_a_session_that_runs_counts_up_to_the_last_whole_minute(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    (today,) = calendar.between("regular", FRIDAY, FRIDAY)
    await put(database, "ours", [Bar("AAPL", today.open_us)])
    report = await found(database, [today], today.open_us + 2 * MINUTE_US + 59_000_000)
    assert (report.days[0].running, report.counts[0].no_bar) == (True, 1)
    assert (await found(database, [today], today.open_us + 59_000_000)).days == []


async def test_named_symbols_are_listed_even_without_a_bar_and_alone(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    days = calendar.latest("regular", 2, calendar.between("regular", FRIDAY, FRIDAY)[0].close_us)
    await put(database, "ours", [Bar("AAPL", days[0].open_us), Bar("MSFT", days[0].open_us)])
    report = await found(database, days, days[-1].close_us, "AAPL", "NONE")
    assert {(each.symbol, each.bars) for each in report.counts} == {("AAPL", 1), ("AAPL", 0), ("NONE", 0)}


async def test_a_database_without_our_tables_asks_for_a_migration(database: str, calendar: Sessions) -> None:
    days = calendar.between("regular", FRIDAY, FRIDAY)
    with pytest.raises(ServerError, match="run `tickstockpl migrate` first"):
        await found(database, days, days[0].close_us)
