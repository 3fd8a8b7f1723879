"""What is said once stays said: later bars alter nothing, and batch, stream and a snapshot continued say the same."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tickstockpl as tp
from oracle_bars import Bar
from pattern_play import PATTERN_IDS, SPY, US22, columns, market_data, message, real_bars, settings
from rule_play import RULES
from swing_walk import swings
from tickstockpl.events import TOLD_DTYPES

BARS = 2_000
PREFIXES = 60
Rows = dict[str, NDArray[Any]]


def rows_of(detections: tp.Detections) -> Rows:
    """All that is said, by column; the points, margins and members of all rows one after the other."""
    return detections.to_dict() | {name: getattr(detections, name) for name in TOLD_DTYPES}


def replayed(bars: list[Bar]) -> Rows:
    return rows_of(tp.scan(columns({"ZZTEST1": bars}), PATTERN_IDS, rules=RULES))


def streamed(bars: list[Bar], snapshots: Iterable[int] = ()) -> Rows:
    """Bar by bar; from each of these places on in another engine, which a snapshot has made the one before."""
    engine, parts = tp.Engine(settings(PATTERN_IDS, rules=RULES)), []
    places = frozenset(snapshots)
    for place, bar in enumerate(bars):
        if place in places:
            snapshot = engine.snapshot()
            engine = tp.Engine(settings(PATTERN_IDS, rules=RULES))
            engine.restore(snapshot)
        parts.append(rows_of(engine.ingest([message("ZZTEST1", bar)], bar.ts_us + 1_000_000).detections))
    parts.append(rows_of(engine.flush().detections))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # where a row's points begin is counted from its own call's first
    for first, count in (("point_row", "n_points"), ("margin_row", "n_margins"), ("member_row", "n_members")):
        counts = whole[count].astype(np.int64)
        whole[first] = (np.cumsum(counts) - counts).astype(whole[first].dtype)
    return whole


def assert_begins_with(whole: Rows, part: Rows) -> None:
    for name, column in part.items():
        beginning = whole[name][: len(column)]
        assert np.array_equal(beginning, column, equal_nan=column.dtype.kind == "f"), name


def assert_no_reading_is_rewritten(bars: list[Bar]) -> None:
    whole = replayed(bars)
    assert len(whole["ts_us"]) > len(bars)
    assert len(whole["member_us"]) > 100
    rng = random.Random(1)
    for length in rng.sample(range(1, len(bars)), PREFIXES):
        part = replayed(bars[:length])
        assert len(part["ts_us"]) == np.count_nonzero(whole["ts_us"] <= bars[length - 1].ts_us)
        assert_begins_with(whole, part)


def test_no_later_bar_rewrites_a_reading() -> None:
    assert_no_reading_is_rewritten(swings(11, BARS, units=10_000, step=0.01))


@market_data
def test_no_later_real_bar_rewrites_a_reading() -> None:
    assert_no_reading_is_rewritten(real_bars(US22)["AAPL"][:BARS])
    assert_no_reading_is_rewritten(real_bars(SPY)["SPY"][:BARS])


@pytest.mark.parametrize("seed", [12, 13])
def test_batch_stream_and_snapshots_say_the_same(seed: int) -> None:
    bars = swings(seed, BARS, units=10_000, step=0.01)
    batch, stream = replayed(bars), streamed(bars)
    continued = streamed(bars, random.Random(seed).sample(range(BARS), 25))
    assert len(batch["ts_us"]) == len(stream["ts_us"]) == len(continued["ts_us"])
    assert_begins_with(stream, batch)
    assert_begins_with(continued, batch)


@market_data
def test_batch_stream_and_snapshots_say_the_same_of_real_bars() -> None:
    bars = real_bars(US22)["AAPL"]
    batch = replayed(bars)
    assert_begins_with(batch, streamed(bars, random.Random(1).sample(range(len(bars)), 25)))
    assert_begins_with(batch, streamed(bars))
