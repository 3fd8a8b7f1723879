"""Whether anything grows while a whole day of ticks goes through the service, by the source `file`.

`make soak`: 24 hours of 500 symbols, a tick a second each, written into a pipe as fast as the service takes them. Its
memory, queues and files are looked at all the while, and its bars compared with the true ones at the end.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tickstockpl.dev.simulate import Market, Simulation, TrueBars, test_symbols
from tickstockpl.dev.stored import equal_rows, stored_rows
from tickstockpl.migrate import migrate

SERVERS = ("TICKSTOCKPL_TEST_DATABASE_URI", "TICKSTOCKPL_TEST_REDIS_URL")
SAMPLE_S = 0.5
LAST_LINES = 20
SEED = 3
MOST_GROWTH = 0.05
"""Of memory, from the middle of the day to its end."""


class Watch(threading.Thread):
    """Looks at a process until it has ended."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._folder = folder
        self.health: str | None = None
        self.samples: list[dict[str, float]] = []

    def run(self) -> None:
        started = time.monotonic()
        while self._process.poll() is None:
            try:
                status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
                sample = {
                    "at_s": time.monotonic() - started,
                    "rss_mib": int(status.split("VmRSS:")[1].split()[0]) / 1024,
                }
                self.samples.append(sample | self._looked())
            except (OSError, IndexError, ValueError):
                pass
            time.sleep(SAMPLE_S)

    def _looked(self) -> dict[str, float]:
        files = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file()) / 2**20
        if self.health is None:
            return {"files_mib": files}
        with urllib.request.urlopen(self.health, timeout=5) as answer:  # noqa: S310 - the address that our own child said
            stages = json.load(answer)["stages"]
        return {
            "files_mib": files,
            "ticks": stages["pipeline"]["counters"]["ticks"],
            "backlog_mib": stages["writer"]["backlog_bytes"] / 2**20,
            "marks": stages["pipeline"]["marks"],
        }


async def _made(admin: str) -> str:
    name = f"tickstockpl_soak_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    uri = urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))
    connection = await asyncpg.connect(uri)
    await connection.execute("SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS timescaledb")
    await connection.close()
    await migrate(uri)
    return uri


async def _dropped(admin: str, uri: str) -> None:
    connection = await asyncpg.connect(admin)
    await connection.execute(f"DROP DATABASE {urlsplit(uri).path[1:]} WITH (FORCE)")
    await connection.close()


async def _equal(uri: str, truth: TrueBars) -> int:
    connection = await asyncpg.connect(uri)
    try:
        return equal_rows(await stored_rows(connection, truth.symbols), truth)
    finally:
        await connection.close()


def _day(hours: int) -> int:
    """The newest weekday that was over so many hours ago, in µs."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=hours + 1)
    day = day.replace(hour=0)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    return int(day.timestamp()) * 1_000_000


def _plot(samples: list[dict[str, float]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (memory, rest) = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
    seen = [sample for sample in samples if "ticks" in sample]
    millions = [sample["ticks"] / 1e6 for sample in seen]
    memory.plot(millions, [sample["rss_mib"] for sample in seen])
    memory.set_ylabel("resident memory, MiB")
    memory.set_ylim(bottom=0)
    rest.plot(millions, [sample["backlog_mib"] for sample in seen], label="waiting for the database")
    rest.plot(millions, [sample["files_mib"] for sample in seen], label="files")
    rest.set_ylabel("MiB")
    rest.set_xlabel("million ticks")
    rest.legend()
    figure.savefig(file, dpi=110)


def _opened(pipe: Path, service: "subprocess.Popen[str]") -> BinaryIO | None:
    """The pipe's end to write to, once the service reads it; None if the service has ended before."""
    while service.poll() is None:
        with contextlib.suppress(OSError):  # nobody reads it yet
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(end, True)
            return os.fdopen(end, "wb", buffering=1 << 20)
        time.sleep(0.05)
    return None


def _fed(pipe: Path, service: "subprocess.Popen[str]", simulation: Simulation) -> int:
    """Write the market into the pipe, as far as the service reads it; how many ticks."""
    ticks = 0
    if (out := _opened(pipe, service)) is not None:
        with contextlib.suppress(BrokenPipeError), out:
            for batch in simulation.batches():
                out.writelines(payload + b"\n" for payload in batch.payloads)
                ticks += batch.ticks
    return ticks


def soak(market: Market, plot: Path | None) -> bool:
    """Run a day and say what was seen; whether all is well."""
    admin, redis = (os.environ[name] for name in SERVERS)
    uri = asyncio.run(_made(admin))
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: asyncio.run(_dropped(admin, uri)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pipe, state = folder / "ticks", folder / "state"
        os.mkfifo(pipe)
        environment = os.environ | {
            "DATABASE_URI": uri,
            "REDIS_URL": redis,
            "TICKSTOCKPL_INGEST__MODE": "file",
            "TICKSTOCKPL_INGEST__FILE": str(pipe),
            "TICKSTOCKPL_SESSION__MODE": "always",
            "TICKSTOCKPL_HTTP__PORT": "0",
            "TICKSTOCKPL_LOG__FORMAT": "json",
            "TICKSTOCKPL_STATE_DIR": str(state),
        }
        command = [sys.executable, "-m", "tickstockpl", "run"]
        service = stack.enter_context(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        stack.callback(service.kill)
        watch = Watch(service, state)
        said: list[dict[str, Any]] = []
        lines: deque[str] = deque(maxlen=LAST_LINES)

        def follow() -> None:
            for line in service.stderr or ():
                lines.append(line)
                try:
                    said.append(json.loads(line))
                except ValueError:
                    continue
                if said[-1]["event"] == "ready":
                    watch.health = said[-1]["health"]

        following = threading.Thread(target=follow, daemon=True)
        following.start()
        watch.start()
        simulation, started = Simulation(market), time.monotonic()
        ticks = _fed(pipe, service, simulation)
        code = service.wait()
        seconds = time.monotonic() - started
        following.join()
        watch.join()
        if code:
            sys.stdout.writelines([f"the service ended with {code} after {ticks:,} ticks; its last lines:\n", *lines])
            return False
        truth = simulation.true_bars()
        equal = asyncio.run(_equal(uri, truth))
    if plot is not None:
        _plot(watch.samples, plot)
    return _report(watch.samples, said, ticks, seconds, equal, len(truth))


def _report(
    samples: list[dict[str, float]],
    said: list[dict[str, Any]],
    ticks: int,
    seconds: float,
    equal: int,
    bars: int,
) -> bool:
    seen = [sample for sample in samples if sample.get("ticks", 0) > 0]
    middle = median(each["rss_mib"] for each in seen if 0.4 < each["ticks"] / ticks < 0.6)
    end = median(each["rss_mib"] for each in seen if each["ticks"] / ticks > 0.9)
    growth = end / middle - 1
    loud = [line for line in said if line["level"] in ("warning", "error") and "nobody" not in line["event"]]
    most = {name: max(each[name] for each in seen) for name in ("rss_mib", "backlog_mib", "files_mib", "marks")}
    lines = [
        f"{ticks:,} ticks in {seconds:,.0f} s, {ticks / seconds:,.0f} a second",
        f"{equal:,} of {bars:,} bars equal the true ones",
        f"memory: {middle:.0f} MiB in the middle of the day, {end:.0f} at its end ({growth:+.1%})",
        f"memory at most: {most['rss_mib']:.0f} MiB; waiting for the database: {most['backlog_mib']:.0f} MiB",
        f"files: {most['files_mib']:.1f} MiB at most; marks: {most['marks']:.0f} at most",
        *(f"the log: {line}" for line in loud[:10]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return equal == bars and growth < MOST_GROWTH


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__)
    parser.add_argument("--symbols", type=int, default=500, help="how many (500)")
    parser.add_argument("--hours", type=int, default=24, help="of a tick a second for each symbol (24)")
    parser.add_argument("--plot", type=Path, help="a picture of memory and queues, as PNG")
    given = parser.parse_args()
    if missing := [name for name in SERVERS if not os.environ.get(name)]:
        parser.error(f"{' and '.join(missing)} must be set: `make soak` starts servers and sets both")
    market = Market(
        symbols=test_symbols(given.symbols), start_us=_day(given.hours), minutes=given.hours * 60, seed=SEED
    )
    sys.exit(not soak(market, given.plot))


if __name__ == "__main__":
    main()
