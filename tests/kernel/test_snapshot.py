"""An engine that goes on where another one was: as bytes, into a process of its own, or not at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tickstockpl as tp
from tickstockpl.dev.simulate import Market, Simulation

START_US = 1_757_599_200_000_000
SYMBOLS = ("ZZTEST1", "ZZTEST2", "ZZTEST3")


def engine(**settings: object) -> tp.Engine:
    return tp.Engine(tp.EngineSettings(channels=("data.raw",), **settings))  # type: ignore[arg-type]


def market() -> list[tuple[list[bytes], int]]:
    """Batches of messages with their arrivals."""
    simulated = Market(symbols=SYMBOLS, start_us=START_US, minutes=12, seed=3, late=0.05, duplicate=0.02)
    batches = [list(batch.payloads) for batch in Simulation(simulated).batches()]
    return [(payloads, START_US + at * 1_000_000) for at, payloads in enumerate(batches)]


def told(output: tp.Output) -> list[object]:
    bars, found = output.bars, output.detections
    names = [found.symbols[at] for at in found.symbol.tolist()]
    columns = ("ts_us", "open", "high", "low", "close", "volume", "vwap", "trades", "revision", "quality")
    rows = [getattr(bars, name).tobytes() for name in columns]
    return [*rows, output.first_src.tobytes(), found.event_id.tobytes(), found.confidence.tobytes(), names, output.dead]


def test_a_restored_engine_says_what_the_first_one_says() -> None:
    feed = market()
    first, second = engine(), engine()
    for payloads, now_us in feed[:400]:
        first.ingest(payloads, now_us)
    snapshot = first.snapshot()
    assert snapshot == first.snapshot()
    second.restore(snapshot)
    assert second.symbols() == first.symbols() == list(SYMBOLS)
    for payloads, now_us in feed[400:]:
        assert told(second.ingest(payloads, now_us)) == told(first.ingest(payloads, now_us))
    assert told(second.flush()) == told(first.flush())
    assert second.counters() == first.counters()
    assert second.snapshot() == first.snapshot()


def test_names_are_those_of_the_snapshot_and_not_those_from_before() -> None:
    first, second = engine(), engine()
    feed = market()
    for payloads, now_us in feed[:200]:
        first.ingest(payloads, now_us)
    snapshot = first.snapshot()
    renamed = [payload.replace(b"ZZTEST", b"ZZELSE") for payloads, _ in feed[:200] for payload in payloads]
    assert len(second.ingest(renamed, feed[200][1]).bars)
    second.restore(snapshot)
    assert set(second.flush().bars.symbols) == set(SYMBOLS)


def test_another_process_makes_the_same_of_it(tmp_path: Path) -> None:
    first = engine()
    for payloads, now_us in market()[:300]:
        first.ingest(payloads, now_us)
    (tmp_path / "state").write_bytes(first.snapshot())
    code = (
        "import sys, pathlib, tickstockpl as tp; engine = tp.Engine(tp.EngineSettings(channels=('data.raw',))); "
        "path = pathlib.Path(sys.argv[1]); engine.restore(path.read_bytes()); path.write_bytes(engine.snapshot())"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "state"], check=True)
    assert (tmp_path / "state").read_bytes() == first.snapshot()


@pytest.mark.parametrize(
    "changed",
    [
        {"window": 100},
        {"price_scale": 2},
        {"patterns": ("doji",)},
        {"sessions": np.array([[1, 2]]), "session_mode": "extended"},
    ],
)
def test_a_snapshot_of_other_settings_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the snapshot is of other settings"):
        engine(**changed).restore(engine().snapshot())


@pytest.mark.parametrize("at", [0, 4, 30, -1])
def test_a_damaged_snapshot_is_refused_and_changes_nothing(at: int) -> None:
    live = engine()
    for payloads, now_us in market()[:100]:
        live.ingest(payloads, now_us)
    before = live.snapshot()
    damaged = bytearray(before)
    damaged[at] ^= 1
    with pytest.raises(ValueError, match="the snapshot is"):
        live.restore(bytes(damaged))
    assert live.snapshot() == before
