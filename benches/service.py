"""The real service over a saturated Redis, beside a process that only counts the bytes.

Publisher, Redis, PostgreSQL and the subscriber are processes of their own; service and counter take turns, with the
same publisher and the same bytes.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from benches import servers, ticks
from benches.runner import ROOT, Finding, Goal, Line, Table, ratio
from tickstockpl.dev.simulate import TrueBars

SYMBOLS = 1000
EMPTY = "TRUNCATE ohlcv_1min, intraday_patterns, pattern_event, ingest_gap, dead_letter"
STORED = "SELECT symbol, (extract(epoch FROM timestamp) * 1e6)::bigint, open, high, low, close, volume FROM ohlcv_1min"

LIFTED = (
    "CONFIG SET client-output-buffer-limit 'pubsub 0 0 0' during the run, for both: Redis' default cuts a subscriber "
    "that is 32 MB behind, and a saturating publisher puts any subscriber there"
)


class Role:
    """One process of `benches.roles`."""

    def __init__(self, *words: object) -> None:
        self._name = words[0]
        command = [sys.executable, "-m", "benches.roles", *map(str, words)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.answer()

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next line that the process says."""
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"{self._name} ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it in peace, or after ten seconds by force."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def role(*words: object) -> Iterator[Role]:
    started = Role(*words)
    try:
        yield started
    finally:
        started.close()


def run(quick: bool) -> list[Table]:
    """Ticks per second and CPU per tick, as ratios to the counter's."""
    minutes, rounds = (2, 1) if quick else (10, 5)
    payloads, truth = ticks.messages(SYMBOLS, minutes)
    expected_bytes = sum(map(len, ticks.delivered(payloads)))
    counted: list[dict[str, Any]] = []
    served: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.database() as database,
        servers.unlimited_pubsub() as url,
    ):
        stream = Path(folder) / "commands"
        stream.write_bytes(ticks.published(payloads))
        with role("publisher", url, stream) as publisher:
            for _ in range(rounds + 1):
                with role("counter", url, expected_bytes) as counter:
                    counted.append(_round(publisher, counter))
                servers.execute(database, EMPTY)
                with role("service", url, database, len(payloads), folder) as service:
                    served.append(_round(publisher, service))
                _compare(database, truth, len(payloads), served[-1])
    return [_table(len(payloads), len(truth), counted[1:], served[1:])]  # the first round warmed both up


def _round(publisher: Role, subscriber: Role) -> dict[str, Any]:
    publisher.go()
    sent = publisher.answer()
    measured = subscriber.answer()
    return measured | {"started": sent["started"], "sent_s": sent["ended"] - sent["started"]}


def _compare(database: str, truth: TrueBars, messages: int, measured: dict[str, Any]) -> None:
    """Every stored bar is the simulator's, to the last bit, or the rate is worth nothing."""

    async def stored() -> set[tuple[Any, ...]]:
        connection = await asyncpg.connect(database)
        try:
            return {tuple(row) for row in await connection.fetch(STORED)}
        finally:
            await connection.close()

    assert measured["folded"] == messages, measured
    assert measured["reconnections"] == 0, measured
    assert asyncio.run(stored()) == set(truth.rows())


def _table(messages: int, bars: int, counted: list[dict[str, Any]], served: list[dict[str, Any]]) -> Table:
    def rates(rounds: list[dict[str, Any]], until: str) -> list[float]:
        return [messages / (each[until] - each["started"]) for each in rounds]

    ours, wall = rates(served, "done"), rates(counted, "done")
    cpu = [median(each[name] for each in served) / messages * 1e6 for name in ("cpu_s", "cpu_stored_s")]
    counter_cpu = median(each["cpu_s"] for each in counted) / messages * 1e6
    return Table(
        name="service",
        title="The service over Redis, saturated, spool off",
        unit="ticks",
        agreement=f"all {bars:,} bars in TimescaleDB equal the simulator's in every round, exactly; no tick was lost",
        regresses="a Python object a tick, events built one by one, the writer and the publisher on the same core",
        lines=[
            Line("tickstockpl service: until the last tick is folded", ours),
            Line("raw byte counter (recv_into, nothing else)", wall, ratio(ours, wall), Goal(0.85, 0.95)),
            Line("(our own, until the last bar is stored)", rates(served, "stored")),
        ],
        findings=[
            Finding("CPU a tick, service until stored ÷ counter", cpu[1] / counter_cpu, "×", Goal(4, 2.5, most=True)),
            Finding("CPU a tick, service until folded ÷ counter", cpu[0] / counter_cpu, "×"),
            Finding("CPU a tick, service until stored", cpu[1], "µs"),
            Finding("CPU a tick, service until folded", cpu[0], "µs"),
            Finding("CPU a tick, counter", counter_cpu, "µs"),
            Finding("service, largest resident memory", max(each["rss_mib"] for each in served), "MiB"),
        ],
        notes=[
            f"{messages:,} ticks of {SYMBOLS:,} symbols, one a message; {served[-1]['detections']:,} detections",
            "A rate counts from the publisher's first byte",
            LIFTED,
            "The publisher writes prepared commands with CLIENT REPLY OFF",
        ],
    )
