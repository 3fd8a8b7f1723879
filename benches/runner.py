"""One way to measure: peers and ours take turns in one process, round after round, after their results agreed.

Rates are of the fastest round ("best") and of the middle one ("median"); a ratio above 1 means that we are faster.
"""

import gc
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("msgspec", "numba", "tickbar", "polars", "ta-lib", "ferro-ta", "hiredis", "asyncpg")

Call = Callable[[], Any]

TURN_S = 0.05
"""A contestant's turn takes at least so long: a call of less would measure how cold the caches are after the others."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What DESIGN asks of a ratio, or of a value where less is better (`most=True`)."""

    must: float
    aim: float
    unit: str = "×"
    most: bool = False

    def judged(self, value: float) -> str:
        reached = [value <= bound if self.most else value >= bound for bound in (self.must, self.aim)]
        return "aim reached" if all(reached) else "must reached, aim not" if reached[0] else "**must not reached**"

    def __str__(self) -> str:
        sign = "≤ " if self.most else ""
        return f"{sign}{self.must:g} {self.unit} / {sign}{self.aim:g} {self.unit}"


@dataclass(slots=True)
class Line:
    """One contestant. `rates` has one value a round; ratios are ours over this one, at the best and at the median."""

    name: str
    rates: list[float]
    ratio: tuple[float, float] | None = None
    goal: Goal | None = None


@dataclass(slots=True)
class Spread:
    """How long events took at one contestant: `rounds` has the milliseconds of every event, one array a round."""

    name: str
    rounds: list[NDArray[np.float64]]

    def at(self, percent: float) -> tuple[float, float]:
        """A percentile of the events: that of the best round, and of the middle one."""
        each = [float(np.percentile(ms, percent)) for ms in self.rounds]
        return min(each), median(each)


@dataclass(slots=True)
class Finding:
    """One of DESIGN's values that is not a ratio of rates."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None


@dataclass(slots=True)
class Table:
    """The outcome of one bench."""

    name: str
    title: str
    unit: str
    agreement: str
    """What was compared before the clock ran, and how it came out."""
    regresses: str
    """What would make it slower."""
    lines: list[Line] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        return f'make bench ARGS="{self.name}"'


@dataclass(slots=True)
class Contest:
    """Contestants that do the same work in this process; the first is ours.

    check: raises AssertionError unless their results agree, and says in words what it compared.
    """

    name: str
    title: str
    unit: str
    work: int
    ours: tuple[str, Call]
    peers: list[tuple[str, Call, Goal | None]]
    check: Callable[[], str]
    regresses: str
    notes: list[str] = field(default_factory=list)


def race(contest: Contest, rounds: int, turn_s: float = TURN_S) -> Table:
    """Check, warm up, then let each take its turn in every round, in an order that rotates."""
    agreement = contest.check()
    calls = [contest.ours[1], *(call for _, call, _ in contest.peers)]
    for call in calls:
        call()
    times = [max(1, math.ceil(turn_s / timed(call))) for call in calls]
    seconds: list[list[float]] = [[] for _ in calls]
    for number in range(rounds):
        for turn in range(len(calls)):
            at = (number + turn) % len(calls)
            seconds[at].append(timed(calls[at], times[at]))
    rates = [[contest.work / taken for taken in each] for each in seconds]
    ours = Line(contest.ours[0], rates[0])
    lines = [ours]
    for (name, _, goal), its in zip(contest.peers, rates[1:], strict=True):
        lines.append(Line(name, its, ratio(rates[0], its), goal))
    return Table(
        contest.name, contest.title, contest.unit, agreement, contest.regresses, lines, notes=list(contest.notes)
    )


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Ours over theirs, at the best rounds and at the median ones."""
    return max(ours) / max(theirs), median(ours) / median(theirs)


def timed(call: Call, times: int = 1) -> float:
    """Seconds of a call, one of so many in a row; the collector runs before, not during them, for all alike."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        for _ in range(times):
            call()
        taken = time.perf_counter() - started
    finally:
        gc.enable()
    return taken / times


def rendered(tables: Iterable[Table], facts: Iterable[str], missing: Iterable[str]) -> str:
    """The report as Markdown."""
    out = ["# Benchmarks: one run", "", "Written by `make bench`; docs/performance.md explains the method.", ""]
    out += [f"* {fact}" for fact in facts]
    out += [f"* **not measured**: {name}" for name in missing]
    for table in tables:
        out += ["", f"## {table.title}", "", f"`{table.command}`", ""]
        out += _header(table.unit) if table.lines else []
        for line in table.lines:
            times = "" if line.ratio is None else f"{line.ratio[0]:.2f} × ({line.ratio[1]:.2f} ×)"
            goal = str(line.goal) if line.goal else ""
            verdict = line.goal.judged(line.ratio[0]) if line.goal and line.ratio else ""
            best, middle = short(max(line.rates)), short(median(line.rates))
            out.append(f"| {line.name} | {best} | {middle} | {times} | {goal} | {verdict} |")
        out += _spreads(table.spreads) if table.spreads else []
        if (table.lines or table.spreads) and table.findings:
            out.append("")
        if table.findings:
            out += ["| value | measured | must / aim | verdict |", "|---|---:|---:|---|"]
        for found in table.findings:
            goal, verdict = (str(found.goal), found.goal.judged(found.value)) if found.goal else ("", "")
            out.append(f"| {found.name} | {plain(found.value)} {found.unit} | {goal} | {verdict} |")
        out += ["", f"Agreement: {table.agreement}.", f"What would slow it: {table.regresses}."]
        out += [f"{note}." for note in table.notes]
    return "\n".join(out) + "\n"


def _header(unit: str) -> list[str]:
    return [
        f"| contestant | best {unit}/s | median | ours is faster, best (median) | must / aim | verdict |",
        "|---|---:|---:|---:|---:|---|",
    ]


def _spreads(spreads: Iterable[Spread]) -> list[str]:
    out = ["| service | events a round | p50 ms, best (median) | p90 | p99 | max |", "|---|---:|---:|---:|---:|---:|"]
    for spread in spreads:
        cells = [f"{plain(best)} ({plain(middle)})" for best, middle in map(spread.at, (50, 90, 99, 100))]
        out.append(f"| {spread.name} | {median(map(len, spread.rounds)):,.0f} | {' | '.join(cells)} |")
    return out


def short(value: float) -> str:
    """A rate in three digits: 1.23M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def plain(value: float) -> str:
    """A value in three digits, or in all that stand before the point: 12.3, 1,234."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def machine() -> list[str]:
    """What the numbers depend on, as lines."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown",
    )
    names = ("tickstockpl", "numpy", *PEERS, "redis", "uvloop")
    versions = ", ".join(f"{name} {found}" for name in names if (found := installed(name)))
    return [
        f"machine: {cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()} ({platform.python_compiler()}); {versions}",
        f"commit: {_commit()}",
    ]


def load() -> str:
    """The load average: numbers taken beside other work are worth less, and the report says so."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg()) if sys.platform != "win32" else "unknown"


def installed(name: str) -> str | None:
    """A distribution's version; None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """The commit, and whether the tree differs from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if not head:
        return "none yet"
    return f"{head}{' with uncommitted changes' if _git('status', '--porcelain', '--untracked-files=no') else ''}"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text(encoding="utf-8") if file.exists() else ""
