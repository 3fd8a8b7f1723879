"""Instructions of the hottest kernels, counted by callgrind: what a busy machine does not blur.

The program counted is `rust/kernel/examples/instructions.rs`: the kernel, without Python. A count is the difference
between one run and three, so that making the input and starting the process are not in it.
"""

import json
import re
import shutil
import subprocess

from benches.runner import ROOT, Finding, Table

KERNELS = {
    "decode": ("messages in the producer's key order to columns", "a message"),
    "bars": ("columns of trades to bars, 1,000 symbols", "a trade"),
    "candlesticks": ("61 candlesticks, stream of 1,000 symbols, and counting their hits", "a bar"),
}
RUNS = 1, 3
BUILD = ("build", "--release", "--locked", "--package", "tickstockpl-kernel", "--example", "instructions")


def missing() -> list[str]:
    """What stops the count, and what to do about it."""
    tools = {"valgrind": "install it for instruction counts", "cargo": "a Rust toolchain builds what is counted"}
    return [f"{name} is not on PATH ({why})" for name, why in tools.items() if shutil.which(name) is None]


def program() -> str:
    """The path of the program, built if need be."""
    command = ["cargo", *BUILD, "--quiet", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    paths = [json.loads(line).get("executable") for line in built.stdout.splitlines()]
    found: str = next(path for path in paths if path)
    return found


def counted(path: str, kernel: str, runs: int) -> tuple[int, int, int]:
    """Instructions of a process that runs the kernel so often, units of work a run, and what the runs found."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", path, kernel, str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    assert collected is not None, done.stderr
    return int(collected[1]), said["work"], said["found"]


def a_unit(path: str, kernel: str) -> float:
    """Instructions a unit of the kernel's work."""
    (few, work, found), (many, _, found_often) = (counted(path, kernel, runs) for runs in RUNS)
    assert 0 < found < found_often, f"{kernel} found {found} in {RUNS[0]} run, {found_often} in {RUNS[1]}"
    return (many - few) / (RUNS[1] - RUNS[0]) / work


def run(_: bool) -> list[Table]:
    """A count a kernel; nothing where valgrind or cargo is missing, which the report names."""
    if missing():
        return []
    path = program()
    rustc = subprocess.run(["rustc", "--version"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return [
        Table(
            name="instructions",
            title="Instructions of the hottest kernels",
            unit="",
            agreement="no message was refused, every trade is in a bar, every bar was taken",
            regresses="a bounds check or branch a row, a loop that is no longer vectors, an allocation a message",
            findings=[
                Finding(f"{kernel}: {what}", a_unit(path, kernel), f"instructions {unit}")
                for kernel, (what, unit) in KERNELS.items()
            ],
            notes=[
                f"{version} (its processor knows AVX2, not AVX-512), {rustc}",
                "Counts do not depend on the machine's load; they do on the compiler. Compare with the run before",
            ],
        )
    ]
