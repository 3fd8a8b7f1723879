"""A year of minutes of 100 symbols looked through in one run, by `tickstockpl scan`'s way and by TA-Lib with pandas.

Each is a process of its own that uses all cores; its memory is that of it and of all that it starts.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benches import pattern_peer, patterns, peers
from benches.runner import ROOT, Finding, Line, Table, ratio
from tickstockpl import survey
from tickstockpl.settings import Settings
from tickstockpl.workers import cores

LOOK_S = 0.2
COLUMNS = ("ts_us", "open", "high", "low", "close", "volume")

Counts = Counter[tuple[str, int]]
"""By pattern and direction: 1, -1, or 0 for neither."""


def write(path: Path, symbols: int, sessions: int) -> int:
    """Bars as Parquet, symbol by symbol; how many."""
    pl = peers.polars
    bars = patterns.synthetic(symbols, sessions)
    names = pl.Series(bars.symbols)
    frame = pl.DataFrame({"symbol": names[bars.symbol], **{name: getattr(bars, name) for name in COLUMNS}})
    frame.write_parquet(path, compression="lz4")
    return len(bars)


def ours(path: Path, state: Path, ids: tuple[str, ...]) -> Counts:
    """What `tickstockpl scan FILE --mode always` counts, of these patterns, all cores at work."""
    settings = Settings.model_validate({"state_dir": state})
    asked = survey.Survey(files=(path,), mode="always", patterns=ids)
    found = asyncio.run(survey.look(settings, asked)).findings
    tallies = found.tallies.items()
    return Counter({(found.patterns[place]["id"], way): tally.found for (place, way), tally in tallies})


def theirs(path: Path) -> Counts:
    """What TA-Lib and pandas find, a symbol after the other, as many at a time as there are cores."""
    pl = peers.polars
    rows = pl.scan_parquet(path).group_by("symbol", maintain_order=True).len().collect()["len"].to_list()
    slices = [(sum(rows[:at]), count) for at, count in enumerate(rows)]
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as workers:
        return sum(workers.map(partial(_counted, path), slices), Counts())


def _counted(path: Path, rows: tuple[int, int]) -> Counts:
    frame = peers.polars.scan_parquet(path).slice(*rows).select(COLUMNS).collect()
    columns: dict[str, NDArray[Any]] = {name: frame[name].to_numpy() for name in COLUMNS}
    counts = Counts()
    for name, value in pattern_peer.found(columns).items():
        for way, sign in ((1, value > 0), (-1, value < 0)):
            neutral = (value == pattern_peer.NEUTRAL) & sign
            counts[name, way] += int((sign & ~neutral).sum())
            counts[name, 0] += int(neutral.sum())
    return counts


class Run:
    """One process of this file: how long it took, and the most memory that it and its own held."""

    def __init__(self, *words: object) -> None:
        command = [sys.executable, "-m", "benches.year", *map(str, words)]
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.peak_bytes = 0
        watch = threading.Thread(target=self._watch, args=(process,))
        watch.start()
        said, _ = process.communicate()
        self.seconds = time.perf_counter() - started
        watch.join()
        assert process.returncode == 0, f"{words[0]} ended with {process.returncode}"
        self.counts = Counts({(name, way): count for name, way, count in json.loads(said.splitlines()[-1])})

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Shared pages are counted in parts, so that workers and their parent add up."""
        while process.poll() is None:
            self.peak_bytes = max(self.peak_bytes, sum(map(held_bytes, family(process.pid))))
            time.sleep(LOOK_S)


def family(pid: int) -> list[int]:
    """A process and all that it has started, as far as they are there still."""
    members = [pid]
    for member in members:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            with suppress(OSError):
                members += map(int, children.read_text(encoding="ascii").split())
    return members


def held_bytes(pid: int) -> int:
    """Its proportional set size; 0 once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def apart(one: Counts, other: Counts, ids: tuple[str, ...]) -> tuple[int, int]:
    """By how many the counts of these patterns differ, whichever way they point, and how many `one` has."""
    both = [(sum(counts[name, way] for way in (1, 0, -1)) for counts in (one, other)) for name in ids]
    pairs = [tuple(pair) for pair in both]
    return sum(abs(mine - its) for mine, its in pairs), sum(mine for mine, _ in pairs)


def run(quick: bool) -> list[Table]:
    """Bars a second of one run each, and how much memory it took."""
    if peers.talib is None or peers.polars is None:
        return []
    symbols, sessions, rounds = (4, 20, 1) if quick else (100, 252, 1)
    shared = patterns.known()
    with tempfile.TemporaryDirectory(prefix="tickstockpl-") as folder:
        path, state = Path(folder) / "year.parquet", Path(folder) / "state"
        bars = write(path, symbols, sessions)
        small = Path(folder) / "day.parquet"
        write(small, 1, 1)
        Run("ours", small, state)  # the calendar is made once a year, by a process of its own
        runs: dict[str, list[Run]] = {"all": [], "shared": [], "peer": []}
        for _ in range(rounds):
            runs["all"].append(Run("ours", path, state))
            runs["shared"].append(Run("ours", path, state, "--pattern", *shared))
            runs["peer"].append(Run("peer", path))
    differ, held = apart(runs["shared"][0].counts, runs["peer"][0].counts, shared)
    assert differ <= held / 1000, f"{differ:,} of {held:,} differ"
    rates = {name: [bars / one.seconds for one in its] for name, its in runs.items()}
    mib = {name: max(one.peak_bytes for one in its) / 2**20 for name, its in runs.items()}
    best = {name: min(one.seconds for one in its) for name, its in runs.items()}
    on, events = len(patterns.ALL), sum(runs["all"][0].counts.values())
    return [
        Table(
            name="year",
            title=f"{sessions} sessions of minutes of {symbols} symbols, {bars:,} bars, in one run",
            unit="bars",
            agreement=f"of {len(shared)} patterns of both {held:,} are found, and counts differ by {differ:,}",
            regresses="a copy of a group's bars, all that is found in memory at once, workers that wait for the reader",
            lines=[
                Line(f"tickstockpl scan, {on} patterns, {cores()} cores", rates["all"]),
                Line(
                    f"TA-Lib + pandas, {len(shared)} patterns, {cores()} cores",
                    rates["peer"],
                    ratio(rates["all"], rates["peer"]),
                ),
                Line(f"tickstockpl scan, those {len(shared)}", rates["shared"]),
                Line("(the peer beside that)", rates["peer"], ratio(rates["shared"], rates["peer"])),
            ],
            findings=[
                Finding(f"tickstockpl scan, {on} patterns", best["all"], "s"),
                Finding(f"tickstockpl scan, {len(shared)} patterns", best["shared"], "s"),
                Finding("TA-Lib + pandas", best["peer"], "s"),
                Finding(f"most memory, tickstockpl scan, {on} patterns", mib["all"], "MiB"),
                Finding(f"most memory, tickstockpl scan, {len(shared)} patterns", mib["shared"], "MiB"),
                Finding("most memory, TA-Lib + pandas", mib["peer"], "MiB"),
                Finding("events a bar", events / bars, ""),
            ],
            notes=[
                "Synthetic bars on a cent grid, from Parquet, start of the interpreter and reading included",
                "Memory is proportional set size, of all processes of a run, looked at five times a second",
                "The peer counts signs; ours makes each event with levels, points, margins, id and confidence",
            ],
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=("ours", "peer"))
    parser.add_argument("path", type=Path)
    parser.add_argument("state", type=Path, nargs="?")
    parser.add_argument("--pattern", nargs="+", default=())
    given = parser.parse_args()
    counts = theirs(given.path) if given.who == "peer" else ours(given.path, given.state, tuple(given.pattern))
    print(json.dumps([[name, way, count] for (name, way), count in counts.items()]))


if __name__ == "__main__":
    main()
