"""Every contest in small: the results agree. `pytest benches --benchmark-enable` measures, ours beside its best peer.

A machine that is busy makes no test fail: what is asserted is equality, never a time.
"""

from collections.abc import Callable
from functools import cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches import boundary, candles, indicators, kernels, peers, rollup
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
    _, _, events = boundary.Boundary(50).measure()
    assert events > 0
