"""Every contest in small: the results agree. `pytest benches --benchmark-enable` measures, ours beside its best peer.

A machine that is busy makes no test fail: what is asserted is equality, never a time.
"""

from collections.abc import Callable
from functools import cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import tickstockpl as tp
from benches import boundary, candles, indicators, kernels, patterns, peers, rollup
from benches.runner import Contest


def with_talib(make: Callable[[], Contest]) -> Callable[[], list[Contest]]:
    return cache(lambda: [] if peers.talib is None else [make()])


SMALL: dict[str, tuple[Callable[[], list[Contest]], int]] = {
    "decode, producer's order": (cache(lambda: kernels.decode(2000)), 0),
    "decode, any order": (cache(lambda: kernels.decode(2000)), 1),
    "bars, 1,000 symbols": (cache(lambda: kernels.bars(100_000)), 0),
    "bars, 1 symbol": (cache(lambda: kernels.bars(100_000)), 1),
    "candlesticks, batch": (with_talib(lambda: candles.batch(3000)), 0),
    "candlesticks, streams": (with_talib(lambda: candles.streams(20, 5)), 0),
    "candlesticks, one symbol": (with_talib(lambda: candles.alone(50)), 0),
    "rollup, 5 minutes": (cache(lambda: rollup.contests(50, 60)), 0),
    "rollup, hours": (cache(lambda: rollup.contests(50, 390)), 1),
    "frames": (cache(lambda: kernels.frames(100, 2)), 0),
    "indicators, stream": (cache(lambda: indicators.stream(20, 3)), 0),
    "indicators, batch": (cache(lambda: indicators.batch(5000)), 0),
    "patterns, those that were asked for": (cache(lambda: patterns.scans(2, 3)), 0),
    "patterns, those of the peer": (cache(lambda: patterns.scans(2, 3)), 1),
}


@pytest.fixture(params=SMALL)
def contest(request: pytest.FixtureRequest) -> Contest:
    make, at = SMALL[request.param]
    contests = make()
    if at >= len(contests):
        pytest.skip(
            "its peer is not installed: requirements.lock has ta-lib and polars, requirements-bench.lock the others"
        )
    return contests[at]


def test_ours_and_the_peers_agree(contest: Contest) -> None:
    assert contest.check()


def test_ours(benchmark: BenchmarkFixture, contest: Contest) -> None:
    benchmark.group = contest.title
    benchmark(contest.ours[1])


def test_the_peer(benchmark: BenchmarkFixture, contest: Contest) -> None:
    benchmark.group = contest.title
    benchmark(contest.peers[0][1])


def test_one_tick_closes_every_bar_of_the_minute() -> None:
    assert boundary.Boundary(50).measure().events > 0


def test_a_full_hour_closes_bars_of_three_longer_timeframes() -> None:
    hours = boundary.Boundary(50, boundary.TIMEFRAMES, boundary.FULL_HOUR_US, 60)
    assert [hours.measure().longer for _ in range(2)] == [150, 150]
    assert boundary.Boundary(50, boundary.TIMEFRAMES, boundary.ORDINARY_US).measure().longer == 0


def test_minute_by_minute_the_same_events_come_as_in_one_call() -> None:
    assert patterns.Session(10, 30).check()


def test_the_tiers_are_all_patterns_that_are_on_by_default() -> None:
    counts = {tier: len(ids) for tier, ids in patterns.TIERS.items()}
    assert counts == {"T0": 61, "T1": 33, "T2": 25, "T3": 8, "combo": 1}
    assert len({*patterns.ALL}) == len({pattern["name"] for pattern in tp.PATTERNS})
