"""The real service over a saturated Redis, beside a process that only counts the bytes, and the seed's service.

Publisher, Redis, PostgreSQL and the subscriber are processes of their own; they take turns, with the same publisher
and the same bytes.
"""

import asyncio
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from benches import peers, servers, ticks
from benches.course import Feed
from benches.processes import role, saturated
from benches.runner import Finding, Goal, Line, Table, ratio
from benches.seed import NAME, Seed, warm_up
from tickstockpl.dev.simulate import TrueBars

SYMBOLS = 1000
START = datetime.fromtimestamp(ticks.START_US / 1e6, UTC)
EMPTY = "TRUNCATE ohlcv_1min, intraday_patterns, pattern_event, ingest_gap, dead_letter, ingest_checkpoint"
STREAM = "bench.stream"
MODES = {
    "spool off": {"spool": False},
    "spool on": {"spool": True},
    "stream": {"mode": "stream", "stream": STREAM},
}
"""How ticks come in, and the settings of `ingest`."""
STORED = (
    "SELECT symbol, (extract(epoch FROM timestamp) * 1e6)::bigint, open, high, low, close, volume "
    "FROM ohlcv_1min WHERE timestamp >= $1"
)

LIFTED = (
    "CONFIG SET client-output-buffer-limit 'pubsub 0 0 0' during the run, for both: Redis' default cuts a subscriber "
    "that is 32 MB behind, and a saturating publisher puts any subscriber there"
)


def run(quick: bool) -> list[Table]:
    """Ticks per second and CPU per tick, as ratios to the counter's."""
    minutes, rounds = (2, 1) if quick else (10, 5)
    payloads, truth = ticks.messages(SYMBOLS, minutes)
    expected_bytes = sum(map(len, ticks.delivered(payloads)))
    counted: list[dict[str, Any]] = []
    served: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    seeded: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.database() as database,
        servers.unlimited_pubsub() as url,
    ):
        stream, entries = Path(folder) / "commands", Path(folder) / "entries"
        stream.write_bytes(ticks.published(payloads))
        entries.write_bytes(ticks.entered(payloads, STREAM))
        seed = Seed(Path(folder), warm_up(SYMBOLS), truth) if peers.talib is not None else None
        with role("publisher", url, stream) as publisher, role("publisher", url, entries) as adder:
            for _ in range(rounds + 1):
                with role("counter", url, expected_bytes) as counter:
                    counted.append(saturated(publisher, counter))
                for mode, ingest in MODES.items():
                    servers.execute(database, EMPTY)
                    setting = json.dumps({"ingest": ingest})
                    with role("service", url, database, len(payloads), folder, setting) as service:
                        served[mode].append(saturated(adder if mode == "stream" else publisher, service))
                    compare(database, truth, len(payloads), served[mode][-1])
                    servers.forget(url, STREAM)
                if seed is not None:
                    seeded.append(seed.flat_out(url, publisher, Feed(payloads)))
    served = {mode: rounds[1:] for mode, rounds in served.items()}  # the first round warmed all up
    table = _table(len(payloads), len(truth), counted[1:], served["spool off"])
    if seed is not None:
        _beside(table, seed, len(payloads), served["spool off"], seeded[1:])
    return [table, _modes(len(payloads), len(truth), counted[1:], served)]


def compare(database: str, truth: TrueBars, messages: int, measured: dict[str, Any], end_s: int | None = None) -> None:
    """Every stored bar is the simulator's, to the last bit, or the rate is worth nothing.

    end_s: bars that end later, in epoch seconds, are not whole and not looked at.
    """

    async def stored() -> set[tuple[Any, ...]]:
        connection = await asyncpg.connect(database)
        try:
            return {tuple(row) for row in await connection.fetch(STORED, START)}
        finally:
            await connection.close()

    assert measured["folded"] == messages, measured
    assert measured["reconnections"] == 0, measured
    rows = {row for row in asyncio.run(stored()) if end_s is None or row[1] < end_s * 1_000_000}
    assert rows == set(truth.rows())


def _rates(messages: int, rounds: list[dict[str, Any]], end: str) -> list[float]:
    return [messages / (each[end] - each["started"]) for each in rounds]


def _beside(
    table: Table, seed: Seed, messages: int, served: list[dict[str, Any]], seeded: list[dict[str, Any]]
) -> None:
    """Put the seed's service into the table."""
    folded, finished = (_rates(messages, seeded, end) for end in ("done", "finished"))
    table.lines += [
        Line(f"{NAME}: until the last tick is folded", folded, ratio(table.lines[0].rates, folded), Goal(15, 20)),
        Line(
            "(the same, until all is detected and sent; beside ours until the last bar is stored)",
            finished,
            ratio(_rates(messages, served, "stored"), finished),
        ),
    ]
    cpu = median(each["cpu_stored_s"] for each in served) / median(each["cpu_finished_s"] for each in seeded)
    table.findings.append(
        Finding("CPU a tick, service until stored ÷ the seed's until sent", cpu, "×", Goal(1 / 50, 1 / 90, most=True))
    )
    table.agreement += f"; {seed.agreement}"
    table.notes.append(
        "The seed's service begins with full windows and stores nothing; ours begins empty and stores all"
    )


def _modes(messages: int, bars: int, counted: list[dict[str, Any]], served: dict[str, list[dict[str, Any]]]) -> Table:
    """What durability costs: the same ticks by each way in, in the same run."""
    wall = _rates(messages, counted, "done")
    rates = {mode: _rates(messages, rounds, "done") for mode, rounds in served.items()}
    cpu = {mode: median(each["cpu_stored_s"] for each in rounds) / messages * 1e6 for mode, rounds in served.items()}
    return Table(
        name="service",
        title="The service by each way in, saturated",
        unit="ticks",
        agreement=f"all {bars:,} bars in TimescaleDB equal the simulator's in every round and mode, exactly",
        regresses="a commit of the spool that waits for the disk, an object an entry of the stream",
        lines=[
            Line("spool on: until the last tick is folded", rates["spool on"]),
            Line("raw byte counter (recv_into, nothing else)", wall, ratio(rates["spool on"], wall), Goal(0.5, 0.7)),
            Line("spool off", rates["spool off"], ratio(rates["spool on"], rates["spool off"])),
            Line("a Redis Stream", rates["stream"], ratio(rates["spool on"], rates["stream"])),
        ],
        findings=[Finding(f"CPU a tick until stored, {mode}", each, "µs") for mode, each in cpu.items()],
        notes=[
            "A stream is bound by what Redis takes in by XADD; its publisher and the service take turns on its core",
            LIFTED,
        ],
    )


def _table(messages: int, bars: int, counted: list[dict[str, Any]], served: list[dict[str, Any]]) -> Table:
    ours, wall = _rates(messages, served, "done"), _rates(messages, counted, "done")
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
            Line("(our own, until the last bar is stored)", _rates(messages, served, "stored")),
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
