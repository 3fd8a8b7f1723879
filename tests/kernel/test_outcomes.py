"""What became of detections, beside an oracle of plain loops, and case by case."""

from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import oracle_outcomes as oracle
import tickstockpl as tp
from oracle_outcomes import LOST, OPEN, UNMEASURED, UNRESOLVED, WON, Bar, Seen
from rate_samples import found as detections_of
from tickstockpl.barriers import Barriers
from tickstockpl.kernel import PROVISIONAL

MINUTE = 60_000_000
DAY = 86_400_000_000
T0 = 1_757_599_200_000_000  # 2025-09-11 14:00:00 UTC
NAMES = ("B", "A", "C")
SESSIONS = ((T0 + 5 * MINUTE, T0 + 30 * MINUTE), (T0 + 40 * MINUTE, T0 + 65 * MINUTE), (T0 + DAY, T0 + DAY + DAY // 4))


def found(seen: list[tuple[str, Seen]]) -> Any:
    return detections_of(seen, NAMES)


def columns(series: dict[str, list[Bar]], order: NDArray[np.int64] | None = None) -> dict[str, Any]:
    rows = [(name, bar) for name, bars in series.items() for bar in bars]
    if order is not None:
        rows = [rows[at] for at in order.tolist()]
    made: dict[str, Any] = {name: [getattr(bar, name) for _, bar in rows] for name in ("ts_us", "high", "low", "close")}
    return made | {"symbol": [name for name, _ in rows], "open": made["close"], "volume": [1] * len(rows)}


def walk(rng: np.random.Generator, minutes: int) -> list[Bar]:
    """A walk on a grid of cents with minutes missing, and a night in the middle: prices tie with barriers."""
    bars = []
    cents = 1000
    for minute in range(minutes):
        path = np.maximum(cents + np.cumsum(rng.integers(-2, 3, 4)), 1)
        cents = int(path[-1])
        night = DAY if minute > minutes // 2 else 0
        if rng.random() > 0.15:
            bars.append(Bar(T0 + minute * MINUTE + night, path.max() / 100, path.min() / 100, cents / 100))
    return bars


def draw(rng: np.random.Generator, series: dict[str, list[Bar]], count: int) -> list[tuple[str, Seen]]:
    """Detections anywhere, some on no bar, with levels on either side, on none, or on the wrong one."""
    seen = []
    for _ in range(count):
        name = str(rng.choice(NAMES))
        bars = series.get(name) or series["A"]
        bar = bars[int(rng.integers(len(bars)))]
        ts_us = bar.ts_us + int(rng.choice([0, 0, 0, 0, 1, 7 * MINUTE, -DAY]))
        steps = rng.integers(-4, 5, 2) / 100
        stop, target = (nan if rng.random() < 0.1 else float(bar.close + step) for step in steps)
        direction = int(rng.integers(-1, 2))
        seen.append((name, Seen(ts_us, direction, bar.close, stop, target, held=bool(rng.random() < 0.9))))
    return seen


@given(
    seed=st.integers(0, 2**32 - 1),
    minutes=st.integers(1, 80),
    horizon=st.integers(1, 25),
    barrier=st.sampled_from((1.0, 0.5, 3.0)),
    in_sessions=st.booleans(),
)
def test_outcomes_are_those_of_the_oracle(
    seed: int, minutes: int, horizon: int, barrier: float, in_sessions: bool
) -> None:
    rng = np.random.default_rng(seed)
    series = {name: walk(rng, minutes) for name in ("A", "B")}
    series["A"] = series["A"] or [Bar(T0, 10.0, 10.0, 10.0)]
    seen = draw(rng, series, 40)
    order = rng.permutation(sum(map(len, series.values())))
    table = SESSIONS if in_sessions else None
    came = tp.outcomes(
        found(seen),
        columns(series, order),
        horizon=horizon,
        barrier=barrier,
        sessions=None if table is None else np.array(table),
    )
    told = zip(came.result.tolist(), came.after.tolist(), came.target.tolist(), came.atr.tolist(), strict=True)
    for (name, one), (result, after, target, atr) in zip(seen, told, strict=True):
        expected = oracle.came(series.get(name, []), one, horizon=horizon, barrier=barrier, sessions=table)
        assert (result, after, target) == (expected.result, expected.after, expected.target), (name, one)
        assert atr == expected.atr or (atr != atr and expected.atr != expected.atr)  # noqa: PLR0124 - NaN is NaN


@given(seed=st.integers(0, 2**32 - 1), in_sessions=st.booleans())
def test_the_base_counts_what_the_oracle_says_of_every_bar(seed: int, in_sessions: bool) -> None:
    rng = np.random.default_rng(seed)
    series = {name: walk(rng, 60) for name in ("A", "B")}
    table = SESSIONS if in_sessions else None
    base = Barriers.of(columns(series), sessions=None if table is None else np.array(table)).base()
    for direction, won in ((1, base.up), (-1, base.down)):
        came = [
            oracle.came(bars, Seen(bar.ts_us, direction, nan, nan, nan), sessions=table).result
            for bars in series.values()
            for bar in bars
        ]
        assert (won.sum(), base.resolved.sum()) == (came.count(WON), came.count(WON) + came.count(LOST))
        assert base.rate(direction) == won.sum() / base.resolved.sum() if base.resolved.sum() else True
    assert np.all(np.diff(base.session_us) > 0)


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 79))
def test_what_is_decided_stays_so_when_more_bars_come(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    bars = [Bar(T0, 10.0, 9.9, 9.95), *walk(rng, 80)[1:]]
    seen = [("A", Seen(bar.ts_us, 1, bar.close, bar.close - 0.02, bar.close + 0.03)) for bar in bars[:cut]]
    early = tp.outcomes(found(seen), columns({"A": bars[:cut]}))
    late = tp.outcomes(found(seen), columns({"A": bars}))
    for name in ("result", "target"):
        decided = getattr(early, name) != OPEN
        assert getattr(early, name)[decided].tolist() == getattr(late, name)[decided].tolist()
    assert early.atr.tolist() == late.atr.tolist()


@given(seed=st.integers(0, 2**32 - 1))
def test_one_direction_wins_where_the_other_loses_unless_one_bar_touches_both(seed: int) -> None:
    bars = walk(np.random.default_rng(seed), 80)
    longs = [("A", Seen(bar.ts_us, 1, nan, nan, nan)) for bar in bars]
    shorts = [("A", Seen(bar.ts_us, -1, nan, nan, nan)) for bar in bars]
    up, down = (tp.outcomes(found(seen), columns({"A": bars})).result for seen in (longs, shorts))
    decided = np.abs(up) == 1
    assert np.array_equal(up[~decided], down[~decided])
    assert not np.any((up == WON) & (down == WON))


FLAT = [Bar(T0 + at * MINUTE, 10.1, 9.9, 10.0) for at in range(20)]


def result_of(after: list[Bar], direction: int = 1, **how: Any) -> tuple[int, int]:
    """What became of a detection on the last of twenty bars whose average range is 0.2, by what came then."""
    seen = found([("A", Seen(FLAT[-1].ts_us, direction, nan, nan, nan))])
    came = tp.outcomes(seen, columns({"A": [*FLAT, *after]}), **how)
    return int(came.result[0]), int(came.after[0])


def then(*prices: tuple[float, float], minute: int = 20) -> list[Bar]:
    return [Bar(T0 + (minute + at) * MINUTE, high, low, (high + low) / 2) for at, (high, low) in enumerate(prices)]


CALM = (10.1, 9.9)


@pytest.mark.parametrize(
    ("after", "direction", "expected"),
    [
        (then(CALM, (10.21, 10.0)), 1, (WON, 2)),
        (then(CALM, (10.21, 10.0)), -1, (LOST, 2)),
        (then(CALM, (10.21, 10.0)), 0, (WON, 2)),
        (then((10.0, 9.79)), -1, (WON, 1)),
        (then((10.0, 9.79)), 0, (LOST, 1)),
        (then((10.3, 9.7)), 1, (LOST, 1)),
        (then((10.3, 9.7)), -1, (LOST, 1)),
        (then((10.19, 9.81)), 1, (OPEN, 0)),
        (then(*[CALM] * 20, (10.3, 10.0)), 1, (UNRESOLVED, 0)),
        (then(*[CALM] * 19, (10.3, 10.0)), 1, (WON, 20)),
        (then(*[CALM] * 19), 1, (OPEN, 0)),
        ([], 1, (OPEN, 0)),
    ],
)
def test_a_barrier_is_touched_or_it_is_not(after: list[Bar], direction: int, expected: tuple[int, int]) -> None:
    assert result_of(after, direction) == expected


def test_a_position_is_closed_with_its_session_whatever_the_next_one_opens_at() -> None:
    table = np.array([[T0, T0 + 25 * MINUTE], [T0 + DAY, T0 + DAY + 25 * MINUTE]])
    gap_up = [Bar(T0 + DAY, 12.0, 11.9, 12.0)]
    assert result_of(then(CALM) + gap_up, sessions=table) == (UNRESOLVED, 0)
    assert result_of(then(*[CALM] * 5), sessions=table) == (UNRESOLVED, 0)  # the session's last minute is there
    assert result_of(then(*[CALM] * 4), sessions=table) == (OPEN, 0)


def test_of_longer_bars_the_last_one_of_a_session_ends_it() -> None:
    table = np.array([[T0, T0 + 12 * MINUTE]])
    bars = columns({"A": [Bar(T0 + at * 5 * MINUTE, 10.1, 9.9, 10.0) for at in range(3)]})
    assert Barriers.of(bars, sessions=table, timeframe="5min").touched.tolist() == [UNRESOLVED] * 3
    assert Barriers.of(bars, sessions=table, timeframe="1min").touched.tolist() == [OPEN] * 3


def test_on_days_and_weeks_the_wait_goes_on_through_the_bars_that_follow() -> None:
    rng = np.random.default_rng(3)
    path = 100 * np.exp(np.cumsum(rng.normal(0, 3e-3, (400 * 20, 4)).ravel())).reshape(-1, 4)
    stamps = (np.arange(400)[:, None] * DAY + np.arange(20) * MINUTE).ravel()
    minutes = {"symbol": ["A"] * len(path), "ts_us": stamps, "volume": [100] * len(path), "open": path[:, 0]}
    minutes |= {"high": path.max(axis=1), "low": path.min(axis=1), "close": path[:, 3]}
    table = np.stack([np.arange(400) * DAY, np.arange(400) * DAY + 20 * MINUTE], axis=1)
    for timeframe, least in (("daily", 300), ("weekly", 20)):
        detections = found_on(minutes, timeframe)
        bars = tp.resample(minutes, timeframe)
        came = tp.outcomes(detections, bars)
        assert (np.abs(came.result) == WON).sum() > least
        assert came.session_us.tolist() == detections.ts_us.tolist()
        assert tp.outcomes(detections, bars, sessions=table).result.tolist() == came.result.tolist()
        base = Barriers.of(bars, timeframe=timeframe).base()
        assert base.session_us.tolist() == bars.ts_us.tolist()
        last = Barriers.of(bars, timeframe=timeframe).touched[-1]
        assert last == OPEN


def found_on(bars: dict[str, Any], *timeframes: str) -> tp.Detections:
    return tp.scan(bars, settings=tp.EngineSettings(timeframes=timeframes))


def test_detections_on_longer_bars_are_not_measured_on_the_minutes_that_made_them() -> None:
    bars = columns({"A": walk(np.random.default_rng(3), 600)})
    detections = found_on(bars, "5min")
    assert len(detections) > 10
    with pytest.raises(ValueError, match=r"bars must be of 5min, such as tp.resample\(bars, '5min', ...\): that of A"):
        tp.outcomes(detections, bars)
    five = tp.resample(bars, "5min")
    came = tp.outcomes(detections, five)
    assert UNMEASURED not in came.result
    assert {WON, LOST} < set(came.result.tolist())
    with pytest.raises(ValueError, match="bars must be of 5min"):
        tp.outcomes(detections, {name: np.array(column)[1:] for name, column in bars.items()})


def test_detections_on_minutes_are_not_measured_on_longer_bars() -> None:
    bars = columns({"A": walk(np.random.default_rng(3), 600)})
    with pytest.raises(ValueError, match="bars must be no longer than 1min"):
        tp.outcomes(found_on(bars, "1min"), tp.resample(bars, "5min"))


def test_detections_of_several_timeframes_are_measured_on_the_bars_of_one_at_a_time() -> None:
    bars = columns({name: walk(np.random.default_rng(4), 600) for name in ("A", "B")})
    detections = found_on(bars, "1min", "5min")
    with pytest.raises(ValueError, match="detections are on bars of 1min, 5min: name one"):
        tp.outcomes(detections, bars)
    with pytest.raises(ValueError, match=r"timeframe must be one of 1min, .*, was '3min'"):
        tp.outcomes(detections, bars, timeframe="3min")
    for place, (timeframe, given_bars) in enumerate({"1min": bars, "5min": tp.resample(bars, "5min")}.items()):
        came = tp.outcomes(detections, given_bars, timeframe=timeframe)
        alone = tp.outcomes(found_on(bars, timeframe), given_bars)
        of_it = detections.timeframe == place
        assert 0 < of_it.sum() < len(detections)
        for name, column in alone.to_dict().items():
            np.testing.assert_array_equal(came.to_dict()[name][of_it], column)
        assert set(came.result[~of_it].tolist()) == {UNMEASURED}


def test_an_overnight_gap_is_no_range() -> None:
    nights = [Bar(bar.ts_us + DAY, bar.high + 5, bar.low + 5, bar.close + 5) for bar in FLAT]
    seen = found([("A", Seen(nights[0].ts_us, 1, nan, nan, nan))])
    assert tp.outcomes(seen, columns({"A": FLAT + nights})).atr[0] == pytest.approx(0.2)


def test_bars_outside_of_sessions_and_provisional_ones_are_not_there() -> None:
    table = np.array([[T0, T0 + 21 * MINUTE], [T0 + 22 * MINUTE, T0 + 60 * MINUTE]])
    late = then((10.3, 10.0), minute=21)
    assert result_of(late) == (WON, 1)
    assert result_of(late, sessions=table) == (OPEN, 0)
    on_it = found([("A", Seen(late[0].ts_us, 1, nan, nan, nan))])
    assert tp.outcomes(on_it, columns({"A": [*FLAT, *late]}), sessions=table).result.tolist() == [UNMEASURED]
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",)))
    engine.ingest([b'{"ticker": "A", "event_type": "A", "timestamp": 1757600460.0, "price": 10.0, "volume": 5}'], 2**50)
    assert len(Barriers.of(engine.provisional().bars)) == 0
    named = columns({"A": [*FLAT, *late]})
    assert len(Barriers.of(named | {"quality": [0] * 20 + [PROVISIONAL]})) == len(FLAT)


def test_without_a_range_there_is_no_barrier() -> None:
    still = [Bar(T0 + at * MINUTE, 10.0, 10.0, 10.0) for at in range(30)]
    seen = found([("A", Seen(still[5].ts_us, 1, nan, nan, nan))])
    came = tp.outcomes(seen, columns({"A": still}))
    assert (came.result.tolist(), came.after.tolist(), came.atr.tolist()) == ([UNMEASURED], [0], [0.0])
    assert Barriers.of(columns({"A": still})).base().resolved.sum() == 0


def test_nothing_in_nothing_out() -> None:
    nothing = columns({})
    assert len(tp.outcomes(found([]), nothing)) == 0
    assert tp.outcomes(found([("A", Seen(T0, 1, nan, nan, nan))]), nothing).result.tolist() == [UNMEASURED]
    assert len(tp.outcomes(found([]), columns({"A": FLAT}))) == 0
    assert np.isnan(Barriers.of(nothing).base().rate(1))


def test_outcomes_of_a_scan_are_in_its_order_and_become_a_frame() -> None:
    rng = np.random.default_rng(1)
    bars = columns({name: walk(rng, 200) for name in ("A", "B")})
    detections = tp.scan(bars)
    came = tp.outcomes(detections, bars)
    assert len(came) == len(detections) > 100
    assert set(came.to_dict()) == {"result", "after", "target", "atr", "session_us"}
    assert UNMEASURED not in came.result
    # the target that two times the risk lies away is reached less often than the barrier that is as near as the other
    decided = np.abs(came.target) == 1
    assert decided.sum() > 50
    assert np.mean(came.target[decided] == WON) < 0.5


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"horizon": 0}, "horizon must be at least 1 bar, was 0"),
        ({"barrier": 0.0}, "barrier must be positive"),
        ({"barrier": nan}, "barrier must be positive"),
        ({"sessions": np.array([1, 2])}, "two columns"),
        ({"sessions": np.array([[2, 1]])}, "ascending"),
        ({"sessions": np.array([[0, 3], [2, 4]])}, "ascending"),
    ],
)
def test_a_wrong_argument_is_named(how: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tp.outcomes(found([]), columns({"A": FLAT}), **how)


def test_a_row_that_is_no_bar_is_named() -> None:
    broken = columns({"A": FLAT})
    broken["low"] = [9.9] * 3 + [11.0] + [9.9] * 16
    with pytest.raises(ValueError, match="row 3 does not"):
        tp.outcomes(found([]), broken)
    with pytest.raises(ValueError, match="row 20 is not the first of its minute"):
        tp.outcomes(found([]), columns({"A": [*FLAT, FLAT[4]]}))
