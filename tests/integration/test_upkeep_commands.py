"""`gaps`, `repair`, `daily` and `retain` as a person calls them: tables, machine forms, exit codes."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bar_samples import MINUTE_US
from commands import Done, Run, said_once
from conftest import execute
from minute_rows import Bar, prepare, put
from tickstockpl import sessions, vendor
from tickstockpl.missed import Window
from vendor_server import answering, needs_client

FRIDAY = date(2025, 11, 21)
WEEK = ("--from", "2025-11-17", "--to", "2025-11-21")


@pytest.fixture
def opens_us(state_dir: Path) -> int:
    calendar = sessions.load("XNYS", "America/New_York", state_dir, datetime.now(UTC).date(), say=lambda _: None)
    return calendar.between("regular", FRIDAY, FRIDAY)[0].open_us


@pytest.fixture
def missed(database: str, opens_us: int) -> str:
    """A Friday with a gap in its fourth minute: AAPL has flagged bars around it, THIN has no bar there either."""

    async def make() -> None:
        await prepare(database, "ours")
        bars = [Bar("AAPL", opens_us + n * MINUTE_US, {2: "gap", 4: "gap"}.get(n)) for n in range(390) if n != 3]
        window = Window(opens_us + 3 * MINUTE_US, opens_us + 4 * MINUTE_US, "connection lost", ("data.raw",))
        await put(database, "ours", [*bars, Bar("THIN", opens_us)], [window])

    asyncio.run(make())
    return database


@pytest.fixture
def gaps(command: Run, missed: str) -> Callable[..., Done]:
    return lambda *words: command("gaps", *WEEK, *words, DATABASE_URI=missed)


def test_gaps_shows_people_days_windows_and_what_is_not_whole(gaps: Callable[..., Done]) -> None:
    done = gaps()
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "2025-11-21 14:30-21:00 390 1 2 390 390 2" in lines
    assert "2025-11-21 14:33:00Z 60.0 s connection lost all" in lines
    assert "2025-11-21 AAPL 389 1 1 2 0 2 0" in lines
    assert "2025-11-21 THIN 1 389 1 0 0 0 0" in lines
    assert "1 rows more: --rows, --symbol or --csv show them" in gaps("--rows", "1").stdout


def test_gaps_tells_machines_the_same_of_every_symbol_and_day(gaps: Callable[..., Done]) -> None:
    found = list(csv.DictReader(io.StringIO(gaps("--csv").stdout)))
    assert len(found) == 2 * 5
    told = json.loads(gaps("--json").stdout)
    assert [{name: str(value) for name, value in row.items()} for row in told["symbols"]] == found
    assert [day["minutes"] for day in told["days"]] == [390] * 5
    assert [window["cause"] for window in told["windows"]] == ["connection lost"]


def test_gaps_fails_on_flagged_bars_alone_and_only_if_asked(gaps: Callable[..., Done]) -> None:
    assert gaps("--fail").returncode == 1
    assert gaps("--fail", "--symbol", "THIN").returncode == 0
    assert said_once(gaps("--json", "--csv")) == "--json or --csv, not both"
    assert gaps("--fail", "--mode", "always", "--symbol", "AAPL", "--csv").returncode == 1


def test_a_range_without_a_session_and_one_that_ends_before_it_begins_are_told(command: Run, missed: str) -> None:
    done = command("gaps", "--from", "2025-11-22", "--to", "2025-11-23", DATABASE_URI=missed)
    assert (done.returncode, done.stdout) == (0, "no session in these days has begun\n")
    line = said_once(command("gaps", "--from", "2025-11-21", "--to", "2025-11-20", DATABASE_URI=missed))
    assert line == "--to 2025-11-20 is before --from 2025-11-21"


def test_repair_from_a_file_says_what_it_changed_and_then_has_nothing_to_change(
    command: Run, missed: str, opens_us: int, tmp_path: Path
) -> None:
    pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    file = tmp_path / "bars.csv"
    lines = [f"{symbol},{opens_us + n * MINUTE_US},20,21,19,20.5,7" for symbol in ("AAPL", "OTHER") for n in range(390)]
    file.write_text("\n".join(["symbol,ts_us,open,high,low,close,volume", *lines]))
    words = ("repair", str(file))
    dry = command(*words, "--dry-run", DATABASE_URI=missed)
    assert (dry.returncode, dry.stderr) == (0, "")
    assert "would be replaced 2, added 1 bars\n0 flagged bars left in these days\n" in dry.stdout
    done = command(*words, DATABASE_URI=missed)
    assert "2025-11-21 AAPL 2 1 0 0" in " ".join(done.stdout.split())
    assert "\nreplaced 2, added 1 bars\n" in done.stdout
    assert (
        command(*words, DATABASE_URI=missed).stdout == "replaced 0, added 0 bars\n0 flagged bars left in these days\n"
    )
    assert command("gaps", *WEEK, "--fail", DATABASE_URI=missed).returncode == 0
    others_day = command(*words, "--from", "2025-11-20", "--to", "2025-11-20", "--all", DATABASE_URI=missed)
    assert others_day.stdout.startswith("replaced 0, added 0 bars\n")


@needs_client
def test_repair_without_a_file_asks_the_vendor_for_what_is_not_whole(
    command: Run, missed: str, opens_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = vendor.client
    with answering() as answers:
        monkeypatch.setattr(vendor, "client", lambda key: made(key, answers.base))
        bar = {"o": 20.0, "h": 21, "l": 19, "c": 20.5, "v": 7, "n": 2}
        minutes = [bar | {"t": (opens_us + n * MINUTE_US) // 1000} for n in range(390)]
        answers.answers = [(200, {"results": minutes}), (200, {"results": minutes[:1]})]
        done = command("repair", *WEEK, DATABASE_URI=missed, POLYGON_API_KEY="secret")
        assert [path.split("/")[4] for path, _, _ in answers.asked] == ["AAPL", "THIN"]
    assert (done.returncode, done.stderr) == (0, "")
    assert "replaced 2, added 1 bars\n0 flagged bars left" in done.stdout


def test_repair_without_a_file_or_a_key_and_from_a_file_of_ticks_is_told_in_one_line(
    command: Run, database: str, tmp_path: Path
) -> None:
    assert "name a file, or set MASSIVE_API_KEY" in said_once(command("repair", DATABASE_URI=database))
    pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    ticks = tmp_path / "ticks.csv"
    ticks.write_text("symbol,timestamp,price,size\nA,1757600462,1.5,2\n")
    assert "no column open" in said_once(command("repair", str(ticks), DATABASE_URI=database))
    bars = tmp_path / "bars.csv"
    bars.write_text(f"symbol,timestamp,open,high,low,close,volume\nA,{1757600460},1,1,1,1,2\n")
    assert "run `tickstockpl migrate` first" in said_once(command("repair", str(bars), DATABASE_URI=database))


def test_retain_deletes_what_the_settings_say_and_says_what(command: Run, missed: str) -> None:
    words = {"DATABASE_URI": missed, "TICKSTOCKPL_RETENTION__GAPS_DAYS": "1"}
    execute(
        missed, "UPDATE ingest_gap SET started_at = now() - interval '9 days', ended_at = now() - interval '8 days'"
    )
    dry = command("retain", "--dry-run", **words)
    assert "would be deleted" in dry.stdout
    done = command("retain", **words)
    assert (done.returncode, done.stderr) == (0, "")
    for said in (dry.stdout, done.stdout):
        (line,) = [line.split() for line in said.splitlines() if "ingest_gap" in line]
        assert line[3:] == ["1", "0", "0.0"]
    assert "ohlcv_1min" not in done.stdout
    (line,) = [line.split() for line in command("retain", **words).stdout.splitlines() if "ingest_gap" in line]
    assert line[3] == "0"


def test_daily_writes_what_is_due_once_and_any_day_again_when_asked(command: Run, missed: str) -> None:
    """By default what is due; of named days every session, so that what somebody else has changed is seen."""

    def lines(*words: str) -> list[str]:
        done = command("daily", *words, DATABASE_URI=missed)
        assert (done.returncode, done.stderr) == (0, "")
        return [" ".join(line.split()) for line in done.stdout.splitlines()]

    assert "2025-11-21 2 0 0" in lines()
    assert not any(line.startswith("2025") for line in lines())
    execute(missed, "UPDATE ohlcv_1min SET high = 99 WHERE symbol = 'THIN'")
    assert not any(line.startswith("2025") for line in lines())
    assert "2025-11-21 1 0 0" in lines(*WEEK)
    assert not any(line.startswith("2025") for line in lines("--from", "2025-11-22"))


def test_daily_tells_what_is_wrong_in_one_line(command: Run, database: str) -> None:
    asyncio.run(prepare(database, "ours"))
    assert "ohlcv_1min is empty" in said_once(command("daily", DATABASE_URI=database))
    backwards = command("daily", "--from", "2025-11-21", "--to", "2025-11-20", DATABASE_URI=database)
    assert said_once(backwards) == "--to 2025-11-20 is before --from 2025-11-21"
