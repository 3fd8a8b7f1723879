"""What `tickstockpl gaps`, `repair`, `daily` and `retain` do, from the settings to what is printed."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import Progress

from tickstockpl import daily, gaps, recording, repair, reports, retention, sessions, timetable, vendor
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.given import GivenBars
from tickstockpl.moments import moment_at, us_of
from tickstockpl.sessions import Mode, Session, Sessions
from tickstockpl.settings import Settings

Form = Literal["table", "json", "csv"]

DAY_US = 86_400_000_000

SESSIONS_BACK = 5
"""So many are looked at where nobody names a day."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days and symbols a person wants; None and empty: nobody said."""

    first: date | None = None
    last: date | None = None
    symbols: Sequence[str] = ()
    mode: Mode | None = None

    def days(self, calendar: Sessions, mode: Mode, now: datetime) -> list[Session]:
        """The sessions of `mode` in these days; without any the last five, without an end those up to now.

        Raises SettingsError if they end before they begin.
        """
        if self.first is None and self.last is None:
            return calendar.latest(mode, SESSIONS_BACK, us_of(now))
        last = self.last or now.date()
        first = self.first or last
        if first > last:
            raise SettingsError(f"--to {last} is before --from {first}")
        return calendar.between(mode, first, last)


@dataclass(frozen=True, slots=True)
class Repair:
    """How a person wants minutes put right; without files the vendor is asked."""

    files: tuple[Path, ...] = ()
    timezone: str = "UTC"
    """Of a file's stamps that have none."""
    everything: bool = field(default=False, kw_only=True)
    dry_run: bool = field(default=False, kw_only=True)


async def show_gaps(settings: Settings, asked: Asked, *, form: Form, rows: int) -> int:
    """Print what is missing; gives how many flagged bars there are.

    Raises SettingsError or ServerError.
    """
    settings.database.dsn()
    now = datetime.now(UTC)
    days = asked.days(await _calendar(settings), asked.mode or settings.session.mode, now)
    found = await gaps.read(settings.database, days, us_of(now), asked.symbols)
    if form == "json":
        sys.stdout.write(reports.gap_json(found).decode())
    elif form == "csv":
        sys.stdout.write(reports.gap_csv(found))
    else:
        Console().print(*reports.gap_tables(found, rows), sep="\n")
    return found.flagged


async def run_repair(settings: Settings, asked: Asked, how: Repair, *, rows: int) -> None:
    """Repair from files, or without any from the vendor, and print what was changed.

    Raises SettingsError or ServerError.
    """
    settings.database.dsn()
    now = datetime.now(UTC)
    if how.files:
        alone = asked.symbols[0] if len(asked.symbols) == 1 else None
        reading = recording.Reading(bar_seconds=60, timezone=how.timezone, symbol=alone)
        given = await asyncio.to_thread(recording.read_bars, how.files, reading)
        calendar = await _calendar(settings)
        days = _days_of(given, asked, calendar, now)
    else:
        source = vendor.client(settings.feed.api_key)
        calendar = await _calendar(settings)
        chosen = asked.days(calendar, asked.mode or settings.session.mode, now)
        found = await gaps.read(settings.database, chosen, us_of(now), asked.symbols)
        wanted = repair.wanted(found, everything=how.everything)
        terminal = Console(stderr=True)
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as shown:
            asking = shown.add_task("asking the vendor", total=len(wanted))
            report = partial(shown.advance, asking)
            given = await asyncio.to_thread(vendor.fetch, source, wanted, report)
        days = calendar.between("always", chosen[0].day, chosen[-1].day) if chosen else []
    revise_s, database = settings.bars.revise_s, settings.database
    revisable_us = await repair.revisable_from(database, us_of(now), revise_s)
    changes = repair.repair(
        *(database, given, days, revisable_us),
        symbols=asked.symbols,
        everything=how.everything,
        dry_run=how.dry_run,
    )
    done = [change async for change in changes]
    revisable = f"{moment_at(revisable_us):%Y-%m-%d %H:%M}Z"
    Console().print(*reports.repair_tables(done, revisable, rows, dry_run=how.dry_run), sep="\n")


async def run_daily(settings: Settings, asked: Asked) -> None:
    """Write daily bars and print how many: of the days asked for, or of all sessions that lack them or have changed.

    Raises SettingsError or ServerError.
    """
    settings.database.dsn()
    now = datetime.now(UTC)
    calendar, over = await _calendar(settings), daily.over_us(us_of(now), settings.bars.revise_s)
    first, last = asked.first or date.min, asked.last or now.date()
    if first > last:
        raise SettingsError(f"--to {last} is before --from {first}")
    terminal, written = Console(stderr=True), []
    async with daily.daily_bars(settings.database) as bars:
        await timetable.keep(bars.connection, calendar.tables(), calendar.calendar, calendar.timezone)
        oldest_us = await bars.oldest_us()
        if oldest_us is None:
            raise ServerError("ohlcv_1min is empty: daily bars are made of its minutes")
        if asked.first is None and asked.last is None:
            # A session that was on when the oldest minute began has a part of it.
            sessions = await bars.due(oldest_us - DAY_US, over)
        else:
            sessions = await bars.between(max(first, moment_at(oldest_us - DAY_US).date()), last, over)
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as shown:
            writing = shown.add_task("writing daily bars", total=len(sessions))
            for session in sessions:
                written.append(await bars.write(session))
                shown.advance(writing)
    Console().print(reports.daily_table(written))


async def run_retain(settings: Settings, *, dry_run: bool) -> None:
    """Delete old rows, and print how many.

    Raises ServerError if the database cannot be used, or with the SQL for the owner if a right is missing.
    """
    settings.database.dsn()
    done = await retention.retain(settings.database, settings.retention, us_of(datetime.now(UTC)), dry_run=dry_run)
    Console().print(reports.retain_table(done, dry_run=dry_run))
    if done.lacking:
        raise ServerError(f"a right is missing; as the owner of the tables run: {' '.join(done.lacking)}")


def _days_of(given: GivenBars, asked: Asked, calendar: Sessions, now: datetime) -> list[Session]:
    """The market's days that a file reaches over, or those of them that a person wants."""
    if asked.first is not None or asked.last is not None:
        return asked.days(calendar, "always", now)
    days = calendar.days
    held = (days[:, 0] <= given.rows["ts_us"].max()) & (days[:, 1] > given.rows["ts_us"].min())
    return calendar.dated(days[held])


async def _calendar(settings: Settings) -> Sessions:
    named, today = settings.session, datetime.now(UTC).date()
    return await asyncio.to_thread(sessions.load, named.calendar, named.timezone, settings.state_dir, today)
