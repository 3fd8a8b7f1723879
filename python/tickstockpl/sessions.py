"""When an exchange trades: regular sessions, extended sessions and market days, as arrays of µs UTC.

The calendar library needs pandas and seconds, so it runs in a process of its own (`python -m tickstockpl.sessions`)
and its answer is kept in the state folder until the year turns or the library is upgraded.
"""

import argparse
import importlib
import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from numpy.typing import NDArray

from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.moments import us_of

I64 = NDArray[np.int64]
Mode = Literal["regular", "extended", "always"]

FIRST_YEAR = 2000
LIBRARY = "exchange_calendars"
# Pre-market and after-hours trading of the US exchanges; elsewhere it is a frame around the regular session.
EXTENDED_OPEN = time(4)
EXTENDED_CLOSE = time(20)
_UNKNOWN_CALENDAR = 3
_TIMEOUT_S = 120.0

log = structlog.get_logger(__name__)


class Session(NamedTuple):
    """One session, [open_us, close_us) in µs UTC, and the market's day that it ends on."""

    day: date
    open_us: int
    close_us: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one exchange from 2000 to the end of a year.

    Each table is int64 (n, 2), C-contiguous, sorted and without overlaps: [open, close) in µs UTC.
    `days` are the midnights of the market's timezone; they bound the day for mode `always`.
    """

    calendar: str
    timezone: str
    regular: I64
    extended: I64
    days: I64

    def table(self, mode: Mode) -> I64:
        """The table that a session mode takes its bars from."""
        return {"regular": self.regular, "extended": self.extended, "always": self.days}[mode]

    def tables(self) -> dict[Literal["regular", "extended"], I64]:
        """What of the exchange's sessions the database is told, by kind."""
        return {"regular": self.regular, "extended": self.extended}

    def current(self, mode: Mode, now_us: int) -> tuple[int, int] | None:
        """The session that `now_us` lies in, None between sessions."""
        row = self._last_opened(mode, now_us)
        return row if row is not None and now_us < row[1] else None

    def last_finished(self, now_us: int) -> tuple[int, int]:
        """The newest regular session that is over at `now_us`.

        Raises ValueError before the first session of the table.
        """
        row = int(np.searchsorted(self.regular[:, 1], now_us, side="right")) - 1
        if row < 0:
            raise ValueError(f"no session of {self.calendar} is over at {now_us} µs; the table starts in {FIRST_YEAR}")
        return int(self.regular[row, 0]), int(self.regular[row, 1])

    def latest(self, mode: Mode, count: int, now_us: int) -> list[Session]:
        """The last `count` sessions that have begun by `now_us`, oldest first; fewer at the table's beginning."""
        table = self.table(mode)
        end = int(np.searchsorted(table[:, 0], now_us, side="right"))
        return self.dated(table[max(0, end - count) : end])

    def between(self, mode: Mode, first: date, last: date) -> list[Session]:
        """The sessions of the days from `first` to `last`, both included."""
        zone, margin = ZoneInfo(self.timezone), timedelta(days=2)  # a night's session begins on another day
        table = self.table(mode)
        low, high = (
            int(np.searchsorted(table[:, 0], us_of(datetime.combine(day, time(), zone))))
            for day in (max(first, date(FIRST_YEAR, 1, 3)) - margin, min(last, date(9999, 1, 1)) + margin)
        )
        return [session for session in self.dated(table[low:high]) if first <= session.day <= last]

    def dated(self, rows: I64) -> list[Session]:
        """Rows of one of the tables, with their days."""
        zone = ZoneInfo(self.timezone)
        return [
            Session(datetime.fromtimestamp((close_us - 1) / 1e6, zone).date(), open_us, close_us)
            for open_us, close_us in rows.tolist()
        ]

    def _last_opened(self, mode: Mode, now_us: int) -> tuple[int, int] | None:
        table = self.table(mode)
        row = int(np.searchsorted(table[:, 0], now_us, side="right")) - 1
        return None if row < 0 else (int(table[row, 0]), int(table[row, 1]))


def load(
    calendar: str,
    timezone: str,
    state_dir: Path,
    today: date,
    *,
    say: Callable[[str], None] | None = None,
) -> Sessions:
    """The sessions of `calendar` from 2000 to the end of the year after `today`: from the cache, else computed.

    Computing takes seconds and is announced by one line to `say` (default: the log). Blocks; call it before the loop
    runs or from a thread.

    Raises SettingsError for a calendar nobody knows, ServerError if the table can be neither read nor made.
    """
    last_year = today.year + 1
    name = re.sub(r"[^A-Za-z0-9+-]", "_", f"{calendar}-{timezone}-{last_year}")
    cache = state_dir / f"sessions-{name}.npz"
    found = _read(cache, calendar, timezone)
    if found is not None:
        return found
    if say is None:
        log.info("computing sessions, which takes some seconds once a year", calendar=calendar, last_year=last_year)
    else:
        say(f"computing the sessions of {calendar} up to {last_year}, which takes some seconds once a year")
    _compute_apart(calendar, timezone, last_year, cache)
    found = _read(cache, calendar, timezone)
    if found is None:
        raise ServerError(f"{cache} was written but cannot be read; delete it and start again")
    return found


def _library_version() -> str | None:
    try:
        return version(LIBRARY)
    except PackageNotFoundError:
        return None


def _read(cache: Path, calendar: str, timezone: str) -> Sessions | None:
    """The cached table; None if there is none, it is damaged, or an upgraded library may know better."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            made_by = str(stored["library"])
            tables = [np.ascontiguousarray(stored[k], dtype=np.int64) for k in ("regular", "extended", "days")]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as damaged:
        log.warning("session cache cannot be read and is made again", cache=str(cache), error=str(damaged))
        return None
    # Without the library a cached table is all there is, whoever made it.
    if _library_version() not in (made_by, None):
        return None
    return Sessions(calendar, timezone, *tables)


def _compute_apart(calendar: str, timezone: str, last_year: int, cache: Path) -> None:
    if _library_version() is None:
        raise ServerError(f"{LIBRARY} is not installed: pip install {LIBRARY}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerError(f"cannot make the folder {cache.parent} ({error}); set TICKSTOCKPL_STATE_DIR") from error
    command = [sys.executable, "-m", "tickstockpl.sessions", calendar, timezone, str(last_year), str(cache)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"cannot compute the sessions of {calendar}: {error}") from error
    if done.returncode == _UNKNOWN_CALENDAR:
        raise SettingsError(f"{done.stderr.strip()}; set TICKSTOCKPL_SESSION__CALENDAR, e.g. to XNYS")
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ServerError(f"cannot compute the sessions of {calendar} (exit {done.returncode}): {last_line}")


def compute(calendar: str, timezone: str, last_year: int) -> dict[str, I64]:
    """The three tables, by the calendar library. Imports pandas; never called in the service's process.

    Extended sessions run from 04:00 to 20:00 exchange time; after an early close they end as much earlier.
    """
    library: Any = importlib.import_module(LIBRARY)
    first, last = f"{FIRST_YEAR}-01-01", f"{last_year}-12-31"
    exchange = library.get_calendar(calendar, start=first, end=last)
    regular = np.stack(
        [
            exchange.schedule[side].dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
            for side in ("open", "close")
        ],
        axis=1,
    )
    zone = ZoneInfo(str(exchange.tz))
    labels = [label.date() for label in exchange.sessions]
    early = {label.date() for label in exchange.early_closes}
    extended = regular.copy()
    for row, label in enumerate(labels):
        end = datetime.combine(label, EXTENDED_CLOSE, zone)
        if label in early:
            usual = [at for since, at in exchange.close_times if since is None or since.date() <= label][-1]
            closed = datetime.fromtimestamp(int(regular[row, 1]) / 1e6, zone)
            end -= datetime.combine(label, usual, zone) - closed
        extended[row, 0] = min(extended[row, 0], us_of(datetime.combine(label, EXTENDED_OPEN, zone)))
        extended[row, 1] = max(extended[row, 1], us_of(end))
    # Calendars that trade through the night would overlap themselves.
    extended[:-1, 1] = np.minimum(extended[:-1, 1], extended[1:, 0])
    return {"regular": regular, "extended": extended, "days": market_days(timezone, last_year)}


def market_days(timezone: str, last_year: int) -> I64:
    """Midnight to midnight in `timezone`, 2000-01-01 to the end of `last_year`: 23, 24 or 25 hours each."""
    zone = ZoneInfo(timezone)
    first = date(FIRST_YEAR, 1, 1)
    count = (date(last_year + 1, 1, 1) - first).days
    edges = [us_of(datetime.combine(first + timedelta(days=n), time(), zone)) for n in range(count + 1)]
    return np.stack([np.array(edges[:-1], np.int64), np.array(edges[1:], np.int64)], axis=1)


def _write(cache: Path, tables: dict[str, I64]) -> None:
    """Put the tables in place in one step: a reader sees the old file or the new one, never a half."""
    handle, temporary = tempfile.mkstemp(dir=cache.parent, prefix=cache.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, library=np.array(_library_version() or ""), **tables)
        Path(temporary).replace(cache)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Compute one calendar into one file: the process that `load` starts."""
    parser = argparse.ArgumentParser(prog="python -m tickstockpl.sessions", description=main.__doc__)
    parser.add_argument("calendar", help="an exchange_calendars name: XNYS, XLON, ...")
    parser.add_argument("timezone", help="the market's timezone, for its days: America/New_York, ...")
    parser.add_argument("last_year", type=int)
    parser.add_argument("cache", type=Path, help="the .npz file to write")
    given = parser.parse_args(arguments)
    library: Any = importlib.import_module(LIBRARY)
    if given.calendar not in library.get_calendar_names(include_aliases=True):
        sys.stderr.write(f"no exchange calendar is called {given.calendar!r}\n")
        return _UNKNOWN_CALENDAR
    tables = compute(given.calendar, given.timezone, given.last_year)
    try:
        _write(given.cache, tables)
    except OSError as error:
        sys.stderr.write(f"cannot write to {given.cache.parent} ({error.strerror}); set TICKSTOCKPL_STATE_DIR\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
