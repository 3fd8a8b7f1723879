"""The table `market_session` has the sessions of one calendar, and only who owns the ticks writes it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bar_samples import ran, rows
from commands import Run, said_once
from market_rows import told, xnys
from running import child, settings_for
from tickstockpl.errors import SettingsError
from tickstockpl.postgres import connect
from tickstockpl.sessions import Sessions

LONDON = {"TICKSTOCKPL_SESSION__CALENDAR": "XLON", "TICKSTOCKPL_SESSION__TIMEZONE": "Europe/London"}
BY_CALENDAR = "SELECT calendar, count(*) AS sessions FROM market_session GROUP BY 1 ORDER BY 1"
WAITS = "another process owns the ticks; waiting for it to end"


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


def elsewhere(calendar: Sessions) -> Sessions:
    """Sessions of another exchange, some hours earlier."""
    hours_us = 5 * 3_600_000_000
    moved = {"regular": calendar.regular - hours_us, "extended": calendar.extended - hours_us}
    return replace(calendar, calendar="XLON", timezone="Europe/London", **moved)


@pytest.mark.anyio
async def test_sessions_of_another_calendar_are_refused_and_none_is_changed(ready: str, calendar: Sessions) -> None:
    count = await told(ready, calendar)
    for other in (elsewhere(calendar), replace(calendar, timezone="Europe/London")):
        with pytest.raises(SettingsError, match="market_session holds the sessions of XNYS America/New_York, and"):
            await told(ready, other)
        assert await rows(ready, BY_CALENDAR) == [{"calendar": "XNYS America/New_York", "sessions": count}]
    await ran(ready, "DELETE FROM market_session")
    assert await told(ready, elsewhere(calendar)) == count


@pytest.mark.anyio
async def test_of_two_calendars_at_once_in_an_empty_database_one_is_refused(ready: str, calendar: Sessions) -> None:
    both = (told(ready, each) for each in (calendar, elsewhere(calendar)))
    done = await asyncio.gather(*both, return_exceptions=True)
    assert {type(each) for each in done} == {int, SettingsError}
    assert len(await rows(ready, BY_CALENDAR)) == 1


@pytest.mark.anyio
async def test_sessions_from_before_calendars_had_names_get_that_of_the_first_start(
    ready: str, calendar: Sessions
) -> None:
    count = await told(ready, calendar)
    await ran(ready, "UPDATE market_session SET calendar = NULL, changes = 7, daily_changes = 7")
    assert await told(ready, calendar) == count
    assert await told(ready, calendar) == 0
    assert await rows(ready, "SELECT DISTINCT calendar, changes, daily_changes FROM market_session") == [
        {"calendar": "XNYS America/New_York", "changes": 7, "daily_changes": 7}
    ]


@pytest.mark.parametrize("name", ["run", "daily"])
def test_a_command_with_another_calendar_is_told_so_and_owns_nothing(
    command: Run, ready: str, calendar: Sessions, name: str
) -> None:
    asyncio.run(told(ready, calendar))
    said = said_once(command(name, DATABASE_URI=ready, TICKSTOCKPL_REDIS__URL="redis://127.0.0.1:1", **LONDON))
    assert said.startswith("session.calendar and session.timezone are XLON Europe/London, but market_session holds ")
    assert asyncio.run(rows(ready, "SELECT part FROM ingest_checkpoint")) == []


def test_check_says_that_the_database_has_another_calendar(command: Run, ready: str, calendar: Sessions) -> None:
    asyncio.run(told(ready, calendar))
    (line,) = [each for each in command("check", DATABASE_URI=ready, **LONDON).stdout.splitlines() if "XNYS" in each]
    assert line.startswith("FAIL database: session.calendar and session.timezone are XLON Europe/London, but ")


@pytest.mark.anyio
async def test_a_start_does_not_wait_for_one_who_is_writing_daily_bars(ready: str, calendar: Sessions) -> None:
    """Who was frozen in the middle of that keeps its rows locked."""
    await told(ready, calendar)
    frozen = await connect(ready)
    try:
        await frozen.execute("BEGIN")
        await frozen.execute("UPDATE market_session SET daily_changes = changes")
        assert await asyncio.wait_for(told(ready, calendar), 20) == 0
    finally:
        frozen.terminate()


@pytest.mark.anyio
async def test_a_service_that_waits_for_the_owner_writes_no_session(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir)
    async with child(settings) as first:
        await first.until_said("ready")
        await ran(ready, "DELETE FROM market_session WHERE date = '2019-11-29'")
        (lacking,) = await rows(ready, BY_CALENDAR)
        async with child(settings) as second:
            await second.until_said(WAITS)
            assert await rows(ready, BY_CALENDAR) == [lacking]
            first.signal()
            assert await first.ends(20) == 0
            await second.until_said("ready")
            (whole,) = await rows(ready, BY_CALENDAR)
    assert whole["sessions"] == lacking["sessions"] + 2
