"""Two events of opposite directions on one bar are marked, both; neutral ones contradict nobody."""

from collections import defaultdict
from typing import Any

import numpy as np

import tickstockpl as tp
from tickstockpl.dev.simulate import Market, Simulation
from tickstockpl.kernel import Engine, EngineSettings

T0 = 1_757_599_200_000_000  # 2025-09-11 14:00:00 UTC


def test_a_scan_marks_what_contradicts_itself() -> None:
    rng = np.random.default_rng(5)
    close = np.round(100 + np.cumsum(rng.normal(0, 0.1, 3000)), 2)
    bars: dict[str, Any] = {"symbol": ["A"] * 3000, "ts_us": T0 + np.arange(3000) * 60_000_000, "close": close}
    bars["open"] = np.append(close[0], close[:-1])
    bars["high"] = np.maximum(bars["open"], close) + np.round(rng.random(3000) / 5, 2)
    bars["low"] = np.minimum(bars["open"], close) - np.round(rng.random(3000) / 5, 2)
    bars["volume"] = rng.integers(1, 1000, 3000)
    found = tp.scan(bars)
    ways = defaultdict(set)
    for ts_us, direction in zip(found.ts_us.tolist(), found.direction.tolist(), strict=True):
        ways[ts_us].add(direction)
    rows = zip(found.ts_us.tolist(), found.direction.tolist(), found.conflict.tolist(), strict=True)
    for ts_us, direction, conflict in rows:
        assert conflict == (direction != 0 and {1, -1} <= ways[ts_us])
    assert 100 < found.conflict.sum() < len(found) / 2
    assert (found.direction == 0).any()


def test_what_a_late_tick_brings_is_held_against_what_held_before() -> None:
    engine = Engine(EngineSettings(channels=("ticks",), patterns=None, lateness_a_s=0.0))
    market = Market(symbols=("ZZTEST1",), start_us=T0, minutes=120, seed=4, late=0.5)
    holds: dict[int, dict[bytes, int]] = defaultdict(dict)
    marked = late = 0
    for batch in Simulation(market).batches():
        for payload in batch.payloads:
            found = engine.ingest([payload], T0 + 2**40).detections
            columns = (found.ts_us, found.direction, found.held, found.event_id, found.conflict, found.revision)
            rows = list(zip(*(column.tolist() for column in columns), strict=True))
            for ts_us, direction, held, event_id, *_ in rows:
                if held:
                    holds[ts_us][event_id] = direction
                else:
                    del holds[ts_us][event_id]
            for ts_us, direction, held, _, conflict, revision in rows:
                assert conflict == (held and direction != 0 and -direction in holds[ts_us].values())
                marked += conflict
                late += conflict and revision > 0
    assert marked > 20, (marked, late)
    assert late > 1
