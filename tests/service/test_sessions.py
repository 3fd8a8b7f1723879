"""Session tables against dates that anybody can look up, and the cache that keeps them."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from tickstockpl import sessions
from tickstockpl.errors import ServerError, SettingsError

TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def xnys(state_dir: Path) -> sessions.Sessions:
    return sessions.load("XNYS", "America/New_York", state_dir, TODAY, say=lambda _: None)


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def on(table: sessions.I64, day: str) -> tuple[str, str]:
    """The session that begins on a day (UTC), as two times of day."""
    rows = table[(table[:, 0] >= us(day)) & (table[:, 0] < us(day) + 86_400_000_000)]
    assert len(rows) == 1
    opened, closed = (datetime.fromtimestamp(edge / 1e6, UTC) for edge in rows[0].tolist())
    return f"{opened:%H:%M}", f"{closed:%H:%M}"


@pytest.mark.parametrize(
    ("day", "opened", "closed"),
    [
        ("2013-10-07", "13:30", "20:00"),
        ("2026-10-30", "13:30", "20:00"),  # the last session before summer time ends on 2026-11-01
        ("2026-11-02", "14:30", "21:00"),
        ("2026-11-27", "14:30", "18:00"),  # the day after Thanksgiving
        ("2027-03-12", "14:30", "21:00"),  # the last session before summer time starts on 2027-03-14
        ("2027-03-15", "13:30", "20:00"),
        ("2000-01-03", "14:30", "21:00"),
    ],
)
def test_regular_sessions_follow_the_exchange_and_its_clocks(
    xnys: sessions.Sessions, day: str, opened: str, closed: str
) -> None:
    assert on(xnys.regular, day) == (opened, closed)


@pytest.mark.parametrize("day", ["2026-11-26", "2026-11-28", "2001-09-11", "2012-10-29"])
def test_a_holiday_a_weekend_and_a_closed_exchange_have_no_session(xnys: sessions.Sessions, day: str) -> None:
    noon_us = us(f"{day}T17:00")
    assert xnys.current("regular", noon_us) is None
    assert xnys.current("extended", noon_us) is None
    assert xnys.current("always", noon_us) is not None


def test_extended_sessions_run_from_4_to_20_new_york_time(xnys: sessions.Sessions) -> None:
    opens = xnys.extended[:, 0]
    summer = xnys.extended[np.searchsorted(opens, us("2026-07-01"))]
    winter = xnys.extended[np.searchsorted(opens, us("2026-12-01"))]
    assert summer.tolist() == [us("2026-07-01T08:00"), us("2026-07-02T00:00")]
    assert winter.tolist() == [us("2026-12-01T09:00"), us("2026-12-02T01:00")]


def test_after_hours_of_a_half_day_end_as_much_earlier_as_the_session(xnys: sessions.Sessions) -> None:
    assert on(xnys.extended, "2026-11-27") == ("09:00", "22:00")  # 04:00 to 17:00 in New York


def test_market_days_are_23_or_25_hours_long_when_the_clocks_change(xnys: sessions.Sessions) -> None:
    hours = {int(row[0]): int(row[1] - row[0]) // 3_600_000_000 for row in xnys.days}
    assert hours[us("2026-11-01T04:00")] == 25
    assert hours[us("2027-03-14T05:00")] == 23
    assert hours[us("2026-11-23T05:00")] == 24
    assert xnys.days[0, 0] == us("2000-01-01T05:00")
    assert xnys.days[-1, 1] == us("2028-01-01T05:00")


def test_tables_are_sorted_whole_and_free_of_overlaps(xnys: sessions.Sessions) -> None:
    for table in (xnys.regular, xnys.extended, xnys.days):
        assert table.dtype == np.int64
        assert table.flags.c_contiguous
        assert (table[:, 0] < table[:, 1]).all()
        assert (table[:-1, 1] <= table[1:, 0]).all()
    assert (xnys.extended[:, 0] <= xnys.regular[:, 0]).all()
    assert (xnys.extended[:, 1] >= xnys.regular[:, 1]).all()


def test_the_last_finished_session_is_over(xnys: sessions.Sessions) -> None:
    friday = (us("2026-11-20T14:30"), us("2026-11-20T21:00"))
    assert xnys.last_finished(us("2026-11-23T06:00")) == friday
    assert xnys.last_finished(friday[1]) == friday
    assert xnys.last_finished(friday[1] - 1)[0] == us("2026-11-19T14:30")
    with pytest.raises(ValueError, match="the table starts in 2000"):
        xnys.last_finished(us("1999-12-31"))


def test_a_session_holds_its_open_and_not_its_close(xnys: sessions.Sessions) -> None:
    opened, closed = us("2026-11-20T14:30"), us("2026-11-20T21:00")
    assert xnys.current("regular", opened) == (opened, closed)
    assert xnys.current("regular", closed - 1) == (opened, closed)
    assert xnys.current("regular", closed) is None
    assert xnys.current("regular", opened - 1) is None


@pytest.mark.parametrize("zone", ["America/New_York", "UTC"])
def test_the_machines_own_timezone_changes_nothing(xnys: sessions.Sessions, tmp_path: Path, zone: str) -> None:
    cache = tmp_path / "made.npz"
    command = [sys.executable, "-m", "tickstockpl.sessions", "XNYS", "America/New_York", "2027", str(cache)]
    subprocess.run(command, check=True, env={**os.environ, "TZ": zone})
    with np.load(cache) as made:
        for name in ("regular", "extended", "days"):
            assert np.array_equal(made[name], getattr(xnys, name))


def test_the_cache_is_announced_once_and_used_afterwards(xnys: sessions.Sessions, state_dir: Path) -> None:
    said: list[str] = []
    again = sessions.load("XNYS", "America/New_York", state_dir, TODAY, say=said.append)
    assert said == []
    assert np.array_equal(again.regular, xnys.regular)
    assert [path.name for path in state_dir.iterdir()] == ["sessions-XNYS-America_New_York-2027.npz"]
    sessions.load("XNYS", "America/New_York", state_dir, date(2027, 1, 1), say=said.append)
    assert len(said) == 1
    assert "up to 2028" in said[0]


def test_the_service_process_never_imports_the_calendar_library(tmp_path: Path) -> None:
    program = (
        "import sys, datetime, pathlib; from tickstockpl import sessions; "
        "sessions.load('XNYS', 'UTC', pathlib.Path(sys.argv[1]), datetime.date(2026, 1, 1)); "
        "sys.exit(bool({'pandas', 'exchange_calendars'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file"])
def test_a_damaged_cache_is_made_again(xnys: sessions.Sessions, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "sessions-XNYS-America_New_York-2027.npz"
    cache.write_bytes(damage)
    made = sessions.load("XNYS", "America/New_York", tmp_path, TODAY, say=lambda _: None)
    assert np.array_equal(made.regular, xnys.regular)


def test_a_calendar_nobody_knows_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no exchange calendar is called 'NOPE'.*TICKSTOCKPL_SESSION__CALENDAR"):
        sessions.load("NOPE", "America/New_York", tmp_path, TODAY, say=lambda _: None)


def test_a_failing_subprocess_is_a_server_error_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"cannot compute the sessions of XNYS.*No time zone found"):
        sessions.load("XNYS", "Nowhere/At_All", tmp_path, TODAY, say=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_an_old_cache_is_used_and_no_cache_is_an_error(
    xnys: sessions.Sessions, state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LIBRARY", "no_such_library")
    again = sessions.load("XNYS", "America/New_York", state_dir, TODAY)
    assert np.array_equal(again.days, xnys.days)
    with pytest.raises(ServerError, match="is not installed"):
        sessions.load("XNYS", "America/New_York", tmp_path, TODAY, say=lambda _: None)


@pytest.mark.usefixtures("xnys")
def test_an_upgraded_library_makes_the_table_again(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(sessions, "_library_version", lambda: "999")
    # What the process writes carries the real version, so that this one still cannot trust it.
    with pytest.raises(ServerError, match="cannot be read"):
        sessions.load("XNYS", "America/New_York", state_dir, TODAY, say=said.append)
    assert len(said) == 1


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServerError, match="set TICKSTOCKPL_STATE_DIR"):
        sessions.load("XNYS", "America/New_York", tmp_path / "file" / "below", TODAY, say=lambda _: None)


def test_a_folder_that_cannot_be_written_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sessions, "compute", lambda *_: {})
    cache = tmp_path / "gone" / "sessions.npz"
    assert sessions.main(["XNYS", "America/New_York", "2027", str(cache)]) == 1
    assert capsys.readouterr().err == (
        f"cannot write to {cache.parent} (No such file or directory); set TICKSTOCKPL_STATE_DIR\n"
    )


def test_a_calendar_that_never_closes_has_no_overlaps(tmp_path: Path) -> None:
    always = sessions.load("24/7", "UTC", tmp_path, TODAY, say=lambda _: None)
    assert (always.extended[:-1, 1] <= always.extended[1:, 0]).all()
    assert np.array_equal(always.regular, always.days)


def test_days_are_chosen_by_the_markets_own_date(xnys: sessions.Sessions) -> None:
    week = xnys.between("regular", date(2026, 11, 23), date(2026, 11, 29))
    assert [session.day.day for session in week] == [23, 24, 25, 27]
    assert week[-1][1:] == (us("2026-11-27T14:30"), us("2026-11-27T18:00"))
    assert [session.day.day for session in xnys.between("always", date(2026, 11, 28), date(2026, 11, 29))] == [28, 29]
    assert len(xnys.between("extended", date(2026, 11, 27), date(2026, 11, 27))) == 1
    assert xnys.between("regular", date(1, 1, 1), date(1999, 12, 31)) == []
    assert xnys.between("regular", date(2000, 1, 1), date(2000, 1, 3))[0].day == date(2000, 1, 3)
    assert xnys.between("regular", date(2099, 1, 1), date.max) == []


def test_the_latest_sessions_are_those_that_have_begun(xnys: sessions.Sessions) -> None:
    opens = us("2026-11-27T14:30")
    assert [session.day.day for session in xnys.latest("regular", 2, opens)] == [25, 27]
    assert [session.day.day for session in xnys.latest("regular", 2, opens - 1)] == [24, 25]
    assert xnys.latest("regular", 5, us("2000-01-03T15:00")) == [xnys.latest("regular", 1, us("2000-01-03T15:00"))[0]]
