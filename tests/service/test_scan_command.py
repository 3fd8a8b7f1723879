"""`tickstockpl scan` finds what `tp.scan` finds, whatever the number of processes, and says so in tables and files."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US
from commands import Run, said_once
from market_rows import market, xnys
from tickstockpl import archive, sessions
from tickstockpl.found import DIRECTIONS
from tickstockpl.selection import engine_settings
from tickstockpl.settings import Settings

pl = pytest.importorskip("polars", reason="reading files needs the extra [replay]")

DAY_US = 86_400_000_000
SYMBOLS = ("AAPL", "B", "SPY", "ZZ")
Row = tuple[Any, ...]


def walk(days: int = 2, minutes: int = 90, before_open: int = 5) -> Any:
    """A frame of bars of each symbol, on a grid of cents; the first minutes of each day are before the open."""
    rng = np.random.default_rng(7)
    parts = []
    for symbol in SYMBOLS:
        starts = [
            NINE_30_US + day * DAY_US + (n - before_open) * MINUTE_US for day in range(days) for n in range(minutes)
        ]
        path = 100 + rng.integers(-5, 6, (len(starts), 4)).cumsum().reshape(-1, 4) / 100
        parts.append(
            pl.DataFrame(
                {
                    "symbol": [symbol] * len(starts),
                    "ts_us": starts,
                    "open": path[:, 0],
                    "high": path.max(axis=1),
                    "low": path.min(axis=1),
                    "close": path[:, 3],
                    "volume": rng.choice([100, 1000], len(starts)),
                }
            )
        )
    return pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=1)


@pytest.fixture(scope="module")
def regular(state_dir: Path) -> tp.EngineSettings:
    """The engine of the default settings, whose calendar is then there and need not be announced."""
    calendar = sessions.load("XNYS", "America/New_York", state_dir, date.today(), say=lambda _: None)  # noqa: DTZ011
    return replace(engine_settings(Settings(), calendar, None), timeframes=("1min",))


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "bars.parquet"
    walk().write_parquet(path)
    return path


def found_by_scan(frame: Any, settings: tp.EngineSettings) -> set[Row]:
    found = tp.scan(frame, settings=settings)
    columns = found.to_dict()
    return {
        (
            found.symbols[columns["symbol"][i]],
            tp.PATTERNS[columns["pattern"][i]]["id"],
            DIRECTIONS[int(columns["direction"][i])],
            int(columns["ts_us"][i]),
            *(None if np.isnan(columns[name][i]) else float(columns[name][i]) for name in NUMBERS),
            columns["event_id"][i].decode(),
        )
        for i in range(len(found))
    }


NUMBERS = ("confidence", "entry", "stop", "target", "relative_volume", "rsi", "relative_strength")


def found_in(frame: Any) -> list[Row]:
    names = ["symbol", "pattern_id", "direction", "bar_start", *NUMBERS, "event_id"]
    return [(*row[:3], int(row[3].timestamp()) * 1_000_000, *row[4:]) for row in frame.select(names).iter_rows()]


@pytest.mark.parametrize(("jobs", "rows"), [(1, 1), (1, 1_000_000), (2, 400), (3, 1)])
def test_everything_that_scan_finds_is_in_the_file_once_whatever_the_jobs_and_groups(
    command: Run, bars: Path, regular: tp.EngineSettings, jobs: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ROWS", rows)
    done = command("scan", str(bars), "--jobs", str(jobs), "-o", "found.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    found = found_in(pl.read_parquet("found.parquet"))
    expected = found_by_scan(pl.read_parquet(bars), regular)
    assert len(found) == len(expected) > 500
    assert {*found} == expected
    assert any(row[-2] is not None for row in found)  # strength relative to SPY, whatever group that is in
    assert f"{len(found):,} found in 680 bars of 4 symbols, 2025-10-13 to 2025-10-14, in " in done.stdout


def test_two_runs_write_the_same_file_and_csv_says_the_same(
    command: Run, bars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ROWS", 200)
    command("scan", str(bars), "--jobs", "1", "-o", "one.parquet")
    command("scan", str(bars), "--jobs", "2", "-o", "two.parquet")
    command("scan", str(bars), "--jobs", "2", "-o", "found.csv")
    one = pl.read_parquet("one.parquet")
    assert one.equals(pl.read_parquet("two.parquet"), null_equal=True)
    csv = pl.read_csv("found.csv", try_parse_dates=True, infer_schema_length=None)
    assert csv.columns == one.columns
    assert found_in(csv) == found_in(one)
    first = Path("found.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
    assert first[4:6] == [f"{one[name][0]:%Y-%m-%dT%H:%M:%SZ}" for name in ("bar_start", "bar_end")]


def test_the_table_counts_each_pattern_and_direction(command: Run, bars: Path) -> None:
    done = command("scan", str(bars), "-o", "found.parquet", "--rows", "1000")
    found = pl.read_parquet("found.parquet")
    counted = found.group_by("pattern_id", "direction").agg(
        pl.len(), pl.col("symbol").n_unique(), pl.col("confidence").mean(), pl.col("bar_start").min(),
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    for pattern, direction, count, symbols, confidence, first in counted.iter_rows():
        row = next(line for line in lines if line[:2] == [pattern, direction])
        cells = [str(count), f"{1000 * count / 680:.2f}", str(symbols), f"{confidence:.2f}", f"{first:%Y-%m-%d}"]
        assert row[2:7] == cells
    counts = [int(line[2]) for line in lines if len(line) == 8 and line[1] in DIRECTIONS.values()]
    assert counts == sorted(counts, reverse=True)
    assert "rows more: --rows shows them" in command("scan", str(bars), "--rows", "2").stdout


def test_only_patterns_and_symbols_that_are_named_are_looked_for(command: Run, bars: Path) -> None:
    words = ("--pattern", "doji", "--pattern", "cdl_doj*", "--symbol", "B", "--symbol", "ZZ", "--symbol", "NOPE")
    done = command("scan", str(bars), *words, "-o", "found.parquet")
    assert done.returncode == 0
    assert done.stderr == f"tickstockpl: there are no bars of NOPE in {bars}\n"
    found = pl.read_parquet("found.parquet")
    assert {*found["pattern_id"]} <= {"doji", "cdl_doji", "cdl_dojistar"}
    assert {"doji", "cdl_doji"} <= {*found["pattern_id"]}
    assert {*found["symbol"]} == {"B", "ZZ"}
    whole = command("scan", str(bars), "--pattern", "doji", "-o", "all.parquet")
    assert whole.returncode == 0
    both = [
        [row for row in found_in(pl.read_parquet(name)) if row[:2] == ("B", "doji")]
        for name in ("found.parquet", "all.parquet")
    ]
    assert both[0] == both[1] != []


def test_days_that_are_named_are_looked_at_as_if_the_days_before_had_been_lived_through(
    command: Run, bars: Path
) -> None:
    command("scan", str(bars), "-o", "all.parquet")
    done = command("scan", str(bars), "--from", "2025-10-14", "--to", "2025-10-14", "-o", "found.parquet")
    found, every = (found_in(pl.read_parquet(name)) for name in ("found.parquet", "all.parquet"))
    assert found == [row for row in every if row[3] >= NINE_30_US + DAY_US] != []
    assert "in 340 bars of 4 symbols, 2025-10-14 to 2025-10-14" in done.stdout
    early = command("scan", str(bars), "--to", "2025-10-13", "-o", "found.parquet")
    assert early.returncode == 0
    assert found_in(pl.read_parquet("found.parquet")) == [row for row in every if row[3] < NINE_30_US + DAY_US]


def test_so_many_days_before_are_read_as_a_pattern_asks_for(command: Run, state_dir: Path) -> None:
    """Ten of one minute, which a fortnight has not."""
    days = xnys(state_dir).between("regular", date(2025, 9, 8), date(2025, 10, 14))
    columns = market(days, 1, spikes=0.05, thin=1.0)
    wanted = ("symbol", "ts_us", "open", "high", "low", "close", "volume")
    pl.DataFrame({name: columns[name] for name in wanted}).write_parquet("bars.parquet")
    asked = ("scan", "bars.parquet", "--pattern", "volume_spike_of_day")
    command(*asked, "-o", "all.parquet")
    command(*asked, "--from", "2025-10-14", "-o", "found.parquet")
    command("scan", "bars.parquet", "--pattern", "volume_spike", "--from", "2025-10-14", "-o", "plain.parquet")
    found, every, plain = (found_in(pl.read_parquet(f"{name}.parquet")) for name in ("found", "all", "plain"))
    assert found == [row for row in every if row[3] >= days[-1].open_us]
    assert 0 < len(found) < len(plain)


def test_hours_out_of_session_count_where_they_are_asked_for(command: Run, bars: Path) -> None:
    assert "in 720 bars" in command("scan", str(bars), "--mode", "always").stdout
    assert "in 720 bars" in command("scan", str(bars), "--mode", "extended").stdout
    night = Path("night.parquet")
    pl.read_parquet(bars).with_columns(pl.col("ts_us") + 12 * 3_600_000_000).write_parquet(night)
    line = said_once(command("scan", str(night)))
    assert line == "no bar in night.parquet lies in the regular sessions asked for; --mode always takes all hours"
    assert command("scan", str(night), "--mode", "always").returncode == 0


def test_csv_files_with_local_times_and_without_symbols_are_read(command: Run, bars: Path) -> None:
    frame = pl.read_parquet(bars).filter(pl.col("symbol") == "B").sort("ts_us")
    local = pl.from_epoch("ts_us", "us").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    frame.select(local.dt.replace_time_zone(None).alias("timestamp"), pl.exclude("ts_us", "symbol")).write_csv("b.csv")
    words = ("--symbol", "B", "--timezone", "America/New_York", "-o", "found.parquet")
    assert command("scan", "b.csv", *words).returncode == 0
    command("scan", str(bars), "--symbol", "B", "-o", "expected.parquet")
    found, expected = (found_in(pl.read_parquet(name)) for name in ("found.parquet", "expected.parquet"))
    without = [(*row[:-2], None, row[-1]) for row in expected]  # there is no SPY in the file
    assert found == without != []


def test_nothing_found_is_an_empty_file_with_all_columns(command: Run, bars: Path) -> None:
    words = ("scan", str(bars), "--pattern", "cdl_3starsinsouth", "--symbol", "B", "-o", "found.parquet")
    done = command(*words)
    assert (done.returncode, done.stdout.split(" found in ")[0]) == (0, "0")
    assert len(pl.read_parquet("found.parquet")) == 0
    command("scan", str(bars), "-o", "all.parquet")
    assert pl.read_parquet("found.parquet").schema == pl.read_parquet("all.parquet").schema


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nope.parquet",), "nope.parquet cannot be read"),
        (("bars.xlsx",), "bars.xlsx must end in .parquet or .csv"),
        (("bars.parquet", "--pattern", "doij"), "--pattern: no pattern is called doij; did you mean doji?"),
        (("bars.parquet", "--symbol", "NOPE"), "there are no bars of NOPE in bars.parquet"),
        (("bars.parquet", "--from", "2025-10-14", "--to", "2025-10-13"), "--to 2025-10-13 is before --from 2025-10-14"),
        (("bars.parquet", "--from", "2026-10-14"), "there are no bars in these days in bars.parquet"),
        (("bars.parquet", "-o", "found.xlsx"), "--output must end in .parquet, .csv or .html, was found.xlsx"),
        (("bars.parquet", "-o", "nowhere/found.csv"), "--output: there is no folder nowhere"),
        (("bars.parquet", "--timezone", "Mars/Olympus"), "no timezone is called 'Mars/Olympus'"),
        (("bars.parquet", "--jobs", "0"), "Invalid value for '--jobs'"),
        (("bars.parquet", "--bar-seconds", "300"), "--bar-seconds 300: --timeframe must be as long, was 1min"),
        (("five.csv",), "five.csv: bars must be no longer than 1min, the timeframe that is looked at: all of"),
        ((), "DATABASE_URI is not set"),
    ],
)
@pytest.mark.usefixtures("bars")
def test_a_mistake_is_one_line_that_says_what_to_do(command: Run, words: tuple[str, ...], said: str) -> None:
    walk().filter(pl.col("ts_us") % (5 * MINUTE_US) == 0).write_csv("five.csv")
    assert said in said_once(command("scan", *words))
    assert sorted(path.name for path in Path().iterdir()) == ["bars.parquet", "five.csv"]


of_processes = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="a process's children are read from /proc"
)


class Scanning:
    """A scan of 600,000 bars by two processes, in a process of its own."""

    def __init__(self, folder: Path, state_dir: Path) -> None:
        count = 200_000
        minute = pl.int_range(count, eager=True)
        frame = pl.DataFrame({"ts_us": NINE_30_US + minute * MINUTE_US, "open": 10.0 + minute % 7 / 8, "volume": 100})
        frame = frame.with_columns(close=pl.col("open").reverse(), high=pl.lit(11.0), low=pl.lit(10.0))
        pl.concat([frame.with_columns(symbol=pl.lit(name)) for name in "ABC"]).write_parquet(folder / "bars.parquet")
        temporary = folder / "temporary"
        temporary.mkdir()
        environ = {"TICKSTOCKPL_STATE_DIR": str(state_dir), "TMPDIR": str(temporary)}
        words = ["scan", "bars.parquet", "--mode", "always", "--jobs", "2", "-o", "found.parquet"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickstockpl", *words],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.temporary = temporary

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task")
        with suppress(OSError):
            return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        return []

    def workers(self) -> list[int]:
        """The two, once they are there; not the process that tracks resources, nor what is yet to become one."""
        deadline = time.monotonic() + 60
        while len(found := [pid for pid in self.children() if b"spawn_main" in told_by(pid, "cmdline")]) < 2:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return found


def told_by(pid: int, what: str) -> bytes:
    """What /proc tells of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


@of_processes
@pytest.mark.timeout(150)
@pytest.mark.usefixtures("regular")
def test_ctrl_c_ends_all_processes_and_leaves_nothing_behind(tmp_path: Path, state_dir: Path) -> None:
    scanning = Scanning(tmp_path, state_dir)
    with scanning.process:
        workers = scanning.workers()
        os.killpg(scanning.process.pid, signal.SIGINT)  # as a terminal tells all of them
        said = scanning.process.communicate(timeout=60)
    assert (scanning.process.returncode, *said) == (130, "", "")
    assert_gone(workers)
    assert [*scanning.temporary.iterdir()] == []
    assert not (tmp_path / "found.parquet").exists()


@of_processes
@pytest.mark.timeout(150)
@pytest.mark.usefixtures("regular")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path, state_dir: Path) -> None:
    scanning = Scanning(tmp_path, state_dir)
    with scanning.process:
        workers = scanning.workers()
        scanning.process.kill()
    assert_gone(workers)


@of_processes
@pytest.mark.timeout(150)
@pytest.mark.usefixtures("regular")
def test_a_worker_that_is_killed_is_one_line(tmp_path: Path, state_dir: Path) -> None:
    scanning = Scanning(tmp_path, state_dir)
    with scanning.process:
        os.kill(scanning.workers()[0], signal.SIGKILL)
        out, said = scanning.process.communicate(timeout=60)
    assert (scanning.process.returncode, out) == (1, "")
    assert said == "tickstockpl: a worker was killed, for want of memory perhaps: fewer --jobs need less of it\n"


def assert_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while [pid for pid in pids if told_by(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])]:
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)
