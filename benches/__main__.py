"""`python -m benches [NAME...]`: measure, print the report, write it to benches/results/latest.md."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benches import (
    boundary,
    candles,
    indicators,
    instructions,
    kernels,
    latency,
    patterns,
    peers,
    rollup,
    service,
    store,
    year,
)
from benches.runner import Contest, Table, load, machine, race, rendered

RESULTS = Path(__file__).with_name("results") / "latest.md"


def contests(make: Callable[[], list[Contest]]) -> Callable[[bool], list[Table]]:
    """A bench of contests that run in this process."""
    return lambda quick: [race(contest, rounds=3 if quick else 15) for contest in make()]


BENCHES: dict[str, Callable[[bool], list[Table]]] = {
    "decode": contests(kernels.decode),
    "bars": contests(kernels.bars),
    "rollup": contests(rollup.contests),
    "frames": contests(kernels.frames),
    "candles": candles.run,
    "indicators": contests(indicators.contests),
    "patterns": patterns.run,
    "year": year.run,
    "service": service.run,
    "latency": latency.run,
    "boundary": boundary.run,
    "store": store.run,
    "instructions": instructions.run,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHES)}; default: all of them")
    parser.add_argument("--quick", action="store_true", help="few rounds and little work: to see that all runs")
    parser.add_argument("--out", type=Path, help=f"where to write the report (default: {RESULTS.name}, if all ran)")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in BENCHES]:
        parser.error(f"no bench is called {unknown[0]}; there are {', '.join(BENCHES)}")
    names = given.names or list(BENCHES)
    before = load()
    tables: list[Table] = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        tables += BENCHES[name](given.quick)
    words = ["--quick"] * given.quick + given.names
    command = "make bench" + (f' ARGS="{" ".join(words)}"' if words else "")
    facts = [*machine(), f"load before: {before}, after: {load()} ({os.cpu_count()} cores)", f"command: `{command}`"]
    report = rendered(tables, facts, peers.missing())
    print(report)
    target = given.out or (None if words else RESULTS)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(report, encoding="utf-8")
        print(f"written to {target}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
