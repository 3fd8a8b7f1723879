"""The table of rates: its numbers beside plain loops, what is found in planted data and in none, and what is told."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp
from oracle_outcomes import Seen
from rate_samples import DATASET, DAY_US, Planted, counts, evidence, found, table
from tickstockpl.barriers import LOST, UNRESOLVED, WON, Barriers
from tickstockpl.calibration import DIRECTIONS, Calibration, Group, Parameters, Rate
from tickstockpl.evidence import Evidence, tabulate
from tickstockpl.holdout import check, cut_at, judged
from tickstockpl.placebo import Moved, _share

MINUTE = 60_000_000
SEEDS = st.integers(0, 2**32 - 1)


def group_of(made: Calibration, pattern: str, direction: int = 1) -> Group:
    return next(group for group in made.groups if (group.pattern, group.direction) == (pattern, direction))


def drawn(seed: int, qualities: int) -> Evidence:
    """Few events of three patterns, with ties of quality, unresolved ones and targets."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 120))
    return Evidence(
        timeframe="1min",
        ids=("a", "b", "c"),
        pattern=rng.integers(0, 3, n).astype(np.int16),
        direction=rng.integers(-1, 2, n).astype(np.int8),
        quality=rng.integers(0, qualities, n) / qualities,
        won=rng.choice([WON, LOST, UNRESOLVED], n).astype(np.int8),
        target=rng.choice([WON, LOST, UNRESOLVED, 2, 3], n).astype(np.int8),
        even=rng.choice([0.25, 0.5], n),
        session_us=rng.integers(0, 9, n) * DAY_US,
        base=counts(9, 900, 0.47),
    )


@given(seed=SEEDS, qualities=st.sampled_from((1, 2, 3, 10, 1000)))
def test_the_table_counts_what_plain_loops_count(seed: int, qualities: int) -> None:
    events = drawn(seed, qualities)
    made = table(events)
    seen = 0
    for group in made.groups:
        rows = [
            at
            for at in range(len(events))
            if (events.ids[events.pattern[at]], events.direction[at]) == (group.pattern, group.direction)
        ]
        seen += len(rows)
        resolved = [at for at in rows if events.won[at] != UNRESOLVED]
        assert group.unresolved == len(rows) - len(resolved)
        assert group.base_rate == pytest.approx(0.53 if group.direction < 0 else 0.47)
        settled = [at for at in rows if abs(events.target[at]) == 1]
        assert (group.targets, group.target_hits) == (len(settled), sum(events.target[at] == WON for at in settled))
        if settled:
            assert group.target_even == pytest.approx(sum(events.even[at] for at in settled) / len(settled))
        for tercile, bucket in group.buckets():
            mine = [at for at in resolved if tercile in (None, group.tercile(events.quality[at]))]
            hits = sum(int(events.won[at] == WON) for at in mine)
            assert (bucket.n, bucket.hits) == (len(mine), hits)
            p0 = Fraction(group.base_rate)
            assert bucket.hit_rate == pytest.approx(float((hits + 30 * p0) / (len(mine) + 30)), rel=1e-12)
    assert seen == len(events)


@given(seed=SEEDS)
def test_terciles_are_as_even_as_ties_allow(seed: int) -> None:
    made = table(drawn(seed, 10**9))
    for group in made.groups:
        sizes = [bucket.n for bucket in group.terciles]
        if sizes and not group.unresolved:
            assert max(sizes) - min(sizes) <= 1


def test_qualities_that_are_all_alike_make_no_terciles() -> None:
    made = table(drawn(5, 1))
    assert len(made.groups) > 3
    assert all(group.terciles == () and group.trend_q == 1.0 for group in made.groups)


def test_a_pattern_that_truly_wins_more_often_is_found_among_many_that_do_not() -> None:
    rng = np.random.default_rng(1)
    planted = [Planted(f"null{at}", 1, 300, 0.5) for at in range(200)]
    planted += [Planted(f"wins{at}", 1, 300, 0.7) for at in range(10)] + [Planted("loses", -1, 300, 0.3)]
    made = table(evidence(rng, planted))
    edges = {(group.pattern, group.direction): group.pooled.edge for group in made.groups}
    assert [edges[f"wins{at}", 1] for at in range(10)] == ["+"] * 10
    assert edges["loses", -1] == "-"
    false = sum(edge != "0" for (pattern, _), edge in edges.items() if pattern.startswith("null"))
    assert false <= 2
    wins = group_of(made, "wins0").pooled
    assert wins.hit_lo < 0.7 < wins.hit_hi
    assert 0.5 < wins.hit_rate < wins.hits / wins.n


def test_where_nothing_is_to_be_found_a_table_with_an_edge_is_rare() -> None:
    tables = [
        table(evidence(np.random.default_rng(seed), [Planted(f"null{at}", 1, 200, 0.5) for at in range(60)]))
        for seed in range(100)
    ]
    with_edge = sum(any(b.edge != "0" for group in made.groups for _, b in group.buckets()) for made in tables)
    assert with_edge <= 12  # at 10 %, of 100


def walks(seed: int, symbols: int, minutes: int) -> dict[str, Any]:
    """Random walks on a grid of cents: whatever was, the next step is as likely up as down."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in ("symbol", "ts_us", "open", "high", "low", "close", "volume")}
    for symbol in range(symbols):
        path = 10_000 + np.cumsum(rng.integers(-3, 4, (minutes, 8)).ravel())
        steps = np.concatenate(([10_000], path))[: minutes * 8].reshape(minutes, 8)
        ends = path.reshape(minutes, 8)
        rows["symbol"] += [f"S{symbol}"] * minutes
        rows["ts_us"] += [at * MINUTE for at in range(minutes)]
        for name, column in (
            ("open", steps[:, 0]),
            ("high", np.maximum(steps[:, 0], ends.max(axis=1))),
            ("low", np.minimum(steps[:, 0], ends.min(axis=1))),
            ("close", ends[:, -1]),
        ):
            rows[name] += (column / 100).tolist()
        rows["volume"] += rng.integers(1, 1000, minutes).tolist()
    return rows


def test_no_pattern_has_an_edge_on_random_walks() -> None:
    edges = rows = 0
    for seed in range(6):
        bars = walks(seed, 4, 4000)
        detections = tp.scan(bars)
        barriers = Barriers.of(bars)
        ids = [pattern["id"] for pattern in tp.PATTERNS]
        made = table(Evidence.of(detections, barriers.outcomes(detections), barriers, ids))
        assert made.bases[0].rate(1) == pytest.approx(0.5, abs=0.03)
        cells = [bucket for group in made.groups for _, bucket in group.buckets()]
        rows += len(cells)
        edges += sum(bucket.edge != "0" for bucket in cells)
    assert rows > 600
    assert edges <= 3


def planted_bars(seed: int, events: int, rate: float) -> tuple[dict[str, Any], Any]:
    """A calm price that jumps now and then; detections before every other jump, which goes up at a rate.

    The jumps between go down at that rate, so that over all bars up is as likely as down.
    """
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.integers(25, 60, 2 * events))
    close = np.full(at[-1] + 30, 100_000.0)
    seen = rng.permutation(2 * events) % 2 == 0
    up = (rng.random(2 * events) < rate) == seen
    jumps = np.zeros(len(close))
    jumps[at + 1] = np.where(up, 5.0, -5.0)
    close += np.cumsum(jumps) + rng.choice([-0.5, 0.5], len(close))
    bars: dict[str, Any] = {"symbol": ["A"] * len(close), "ts_us": np.arange(len(close)) * MINUTE, "close": close}
    bars |= {"open": close, "high": close + 1.0, "low": close - 1.0, "volume": [1] * len(close)}
    nan = float("nan")
    return bars, found([("A", Seen(int(one) * MINUTE, 1, nan, nan, nan)) for one in at[seen]], ("A",))


def test_a_rate_that_is_in_the_bars_is_the_one_in_the_table() -> None:
    bars, detections = planted_bars(3, 1000, 0.7)
    barriers = Barriers.of(bars)
    events = Evidence.of(detections, barriers.outcomes(detections), barriers, ("jump",))
    pooled = group_of(table(events), "jump").pooled
    assert pooled.n == 1000
    assert pooled.hit_lo < 0.7 < pooled.hit_hi
    assert pooled.edge == "+"


def test_quality_that_predicts_is_told_apart_from_quality_that_does_not() -> None:
    planted = [Planted("better", 1, 1500, 0.5, slope=0.4), Planted("worse", -1, 1500, 0.5, slope=-0.4)]
    planted += [Planted(f"null{at}", 1, 500, 0.5) for at in range(50)]
    made = table(evidence(np.random.default_rng(4), planted))
    better, worse = group_of(made, "better"), group_of(made, "worse", -1)
    assert (better.trend_z > 3, better.trend_q < 0.1) == (True, True)
    assert (worse.trend_z < -3, worse.trend_q < 0.1) == (True, True)
    assert [bucket.hit_rate for bucket in better.terciles] == sorted(bucket.hit_rate for bucket in better.terciles)
    assert sum(group.trend_q <= 0.1 for group in made.groups) <= 4
    assert made.overall_z["bearish"] == pytest.approx(worse.trend_z)
    assert abs(made.overall_z["neutral"]) == 0.0


def test_without_a_resolved_bar_there_is_no_table() -> None:
    events = drawn(1, 3).within(-2, -1)
    with pytest.raises(ValueError, match="no bar of 1min"):
        table(events)


def test_an_event_is_told_its_tercile_then_its_pattern_then_the_base_rate() -> None:
    rng = np.random.default_rng(2)
    events = evidence(rng, [Planted("a", 1, 900, 0.6), Planted("b", -1, 2, 0.5)], p0=0.49)
    made = table(events, ids=("unseen",))
    group = group_of(made, "a")
    low, _, high = group.terciles
    told = made.rate("a", 1, "1min", group.edges[0])
    assert told == Rate(low.hit_rate, low.hit_lo, low.hit_hi, low.n, 0.49, low.edge)
    assert made.rate("a", 1, "1min", 1.0) == Rate(high.hit_rate, high.hit_lo, high.hit_hi, high.n, 0.49, high.edge)
    pooled = made.rate("a", 1, "1min", float("nan"))
    assert pooled is not None
    assert pooled.n == 900
    base = Rate(0.49, 0.0, 1.0, 0, 0.49, "0")
    assert made.rate("unseen", 0, "1min", 0.5) == base
    assert made.rate("a", -1, "1min", 0.5) == Rate(0.51, 0.0, 1.0, 0, 0.51, "0")
    assert made.rate("nobody", 1, "1min", 0.5) is None
    assert made.rate("a", 1, "5min", 0.5) is None
    refuted = made.without(frozenset({("1min", "a", 1, 0)}))
    assert refuted.rate("a", 1, "1min", 0.0) == base
    assert refuted.rate("a", 1, "1min", 1.0) == made.rate("a", 1, "1min", 1.0)
    assert refuted.without(frozenset()) == made


@given(seed=SEEDS, qualities=st.sampled_from((1, 2, 3, 1000)))
def test_columns_of_events_are_told_what_each_of_them_is_told(seed: int, qualities: int) -> None:
    rng = np.random.default_rng(seed)
    made = table(drawn(seed, qualities), ids=("unseen",))
    keys = [
        (group.timeframe, group.pattern, group.direction, tercile)
        for group in made.groups
        for tercile, _ in group.buckets()
        if rng.random() < 0.3
    ]
    made = made.without(frozenset(keys))
    ids = ("c", "nobody", "a", "unseen", "b")
    pattern, direction = rng.integers(0, 5, 60), rng.integers(-1, 2, 60)
    quality = np.where(rng.random(60) < 0.1, np.nan, rng.integers(0, 11, 60) / 10)
    rates = made.index(ids).rates(pattern, direction, quality)
    assert len(rates) == 60
    for at in range(60):
        told = made.rate(ids[pattern[at]], int(direction[at]), "1min", float(quality[at]))
        n, edge = int(rates.n[at]), {1: "+", -1: "-", 0: "0"}[int(rates.edge[at])]
        values = tuple(float(column[at]) for column in (rates.hit_rate, rates.hit_lo, rates.hit_hi, rates.base_rate))
        if told is None:
            assert (n, edge) == (0, "0")
            assert np.isnan(values).all()
        else:
            assert (told.hit_rate, told.hit_lo, told.hit_hi, told.base_rate) == values
            assert (told.n, told.edge) == (n, edge)


def test_a_pattern_that_is_defined_otherwise_now_is_unknown() -> None:
    made = table(evidence(np.random.default_rng(1), [Planted("a", 1, 50, 0.5), Planted("b", 1, 50, 0.5)]))
    now = dict(made.definitions) | {"a": "another"}
    rates = made.index(("a", "b"), definitions=now).rates(np.array([0, 1]), np.array([1, 1]), np.array([0.5, 0.5]))
    assert np.isnan(rates.hit_rate).tolist() == [True, False]
    highest = made.index(("a", "b", "c"), definitions=now).highest()
    assert highest.shape == (3, 3)
    assert np.isnan(highest).all(axis=1).tolist() == [True, False, True]
    for direction in (-1, 0, 1):
        told = [made.rate("b", direction, "1min", quality) for quality in (*np.linspace(0, 1, 50), np.nan)]
        assert highest[1, direction] == max(rate.hit_rate for rate in told if rate is not None)


@given(seed=SEEDS, cut=st.integers(0, 9))
def test_parts_of_the_evidence_are_all_of_it(seed: int, cut: int) -> None:
    events = drawn(seed, 10)
    parts = [events.within(-1, cut * DAY_US), events.within(cut * DAY_US, 99 * DAY_US)]
    joined = Evidence.joined(parts[::-1])
    assert sum(map(len, parts)) == len(joined) == len(events)
    assert joined.base.session_us.tolist() == events.base.session_us.tolist()
    assert joined.base.resolved.tolist() == events.base.resolved.tolist()
    again, made = table(joined), table(events)
    assert again.groups == made.groups


def stationary(seed: int) -> Evidence:
    """Patterns whose rates differ a little, and stay as they are."""
    rng = np.random.default_rng(seed)
    planted = [
        Planted(f"p{at}", direction, int(rng.integers(100, 2000)), float(rng.normal(0.5, 0.05)))
        for at in range(40)
        for direction in DIRECTIONS
    ]
    return evidence(rng, planted)


def test_rates_that_stay_as_they_are_lie_within_their_bands() -> None:
    shares, expected = [], []
    for seed in range(12):
        events = stationary(seed)
        held = check(table(events), [events], 0.3)
        assert len(held.checks) > 300
        shares.append(held.inside / len(held.checks))
        expected.append(held.expected)
        assert held.brier_published is not None
        assert held.brier_base is not None
        assert held.brier_published < held.brier_base
    assert np.mean(shares) >= 0.9
    assert min(shares) > 0.87
    assert np.mean(shares) == pytest.approx(np.mean(expected), abs=0.015)


def test_a_rate_that_turns_is_refuted_and_gives_the_base_rate() -> None:
    early = evidence(np.random.default_rng(1), [Planted("turns", 1, 700, 0.65), Planted("stays", 1, 700, 0.65)])
    late = evidence(np.random.default_rng(2), [Planted("turns", 1, 300, 0.35), Planted("stays", 1, 300, 0.65)])
    joined = Evidence.joined([early.within(-1, 14 * DAY_US), late.within(14 * DAY_US, 99 * DAY_US)])
    made = judged(table(joined), [joined], 0.3)
    held = made.held_out
    assert held is not None
    assert held.cut_us == 14 * DAY_US
    assert held.share == pytest.approx(0.3)
    assert ("1min", "turns", 1, None) in held.refuted()
    assert not {key for key in held.refuted() if key[1] == "stays"}
    assert made.rate("turns", 1, "1min", float("nan")) == Rate(0.5, 0.0, 1.0, 0, 0.5, "0")
    assert group_of(made, "turns").pooled.n == len(joined) - group_of(made, "stays").pooled.n
    told = made.rate("stays", 1, "1min", float("nan"))
    assert told is not None
    assert told.edge == "+"


@pytest.mark.parametrize(("timeframe", "known"), [("1min", 700), ("4hour", 700), ("daily", 500), ("weekly", 500)])
def test_what_the_later_part_has_decided_is_not_in_the_earlier_one(timeframe: str, known: int) -> None:
    # all are lost, but those of the last 20 of 70 earlier sessions
    events = evidence(np.random.default_rng(1), [Planted("a", 1, 1000, 0.5)], sessions=100)
    session = np.arange(1000) // 10
    won = np.where((session >= 50) & (session < 70), WON, np.where(session % 2 == 0, WON, LOST))
    won = np.where(session < 50, LOST, won).astype(np.int8)
    events = replace(events, timeframe=timeframe, session_us=session * DAY_US, won=won)
    held = check(table(events), [events], 0.3)
    assert held.cut_us == 70 * DAY_US
    (whole,) = [row for row in held.checks if row.key == (timeframe, "a", 1, None)]
    hits = int((won[:known] == WON).sum())
    assert whole.published == pytest.approx((hits + 30 * 0.5) / (known + 30))


def test_a_row_with_few_later_events_is_not_judged() -> None:
    events = evidence(np.random.default_rng(1), [Planted("rare", 1, 60, 0.5)])
    held = check(table(events), [events], 0.3)
    assert (held.checks, held.thin) == ((), 4)


def test_the_cut_is_at_the_session_that_leaves_the_share_nearest_to_the_one_asked_for() -> None:
    events = drawn(1, 3)
    cut_us, later = cut_at([events], 0.3)
    assert cut_us == 6 * DAY_US
    assert later == pytest.approx(1 / 3)
    assert cut_at([events], 0.0001)[0] == 8 * DAY_US
    assert cut_at([events], 0.9999)[0] == DAY_US
    with pytest.raises(ValueError, match="2 sessions, there is 1"):
        cut_at([events.within(0, 1)], 0.3)


def test_what_clusters_is_found_where_it_is_moved_to_and_what_is_in_the_bars_is_not() -> None:
    bars, detections = planted_bars(3, 600, 0.7)
    barriers = Barriers.of(bars)
    moved = Moved(20, 1)
    moved.add(detections, barriers)
    placebo = moved.placebo(barriers.base(), Parameters())
    assert (placebo.rounds, placebo.rows, placebo.found) == (20, 1, 1)
    assert sum(placebo.found_moved) <= 2

    # price rises all day on even days and falls on odd ones; the pattern is there on even days
    days, minutes = 40, 200
    drift = np.where(np.arange(days) % 2 == 0, 1.0, -1.0).repeat(minutes)
    close = 5000 + np.cumsum(drift)
    stamps = (np.arange(days)[:, None] * DAY_US + np.arange(minutes) * MINUTE).ravel()
    bars = {"symbol": ["A"] * len(close), "ts_us": stamps, "close": close, "open": close}
    bars |= {"high": close + 1.0, "low": close - 1.0, "volume": [1] * len(close)}
    nan = float("nan")
    even = [("A", Seen(int(at), 1, nan, nan, nan)) for at in stamps if at // DAY_US % 2 == 0]
    barriers = Barriers.of(bars)
    moved = Moved(20, 1)
    moved.add(found(even[:2000], ("A",)), barriers)
    placebo = moved.placebo(barriers.base(), Parameters())
    assert (placebo.found, placebo.found_moved) == (1, (1,) * 20)
    assert placebo.widening is not None
    assert placebo.widening > 5


def test_the_events_of_a_session_move_together_and_those_of_others_otherwise() -> None:
    shares = {_share(turn, session) for turn in (1, 2) for session in (0, DAY_US, -DAY_US)}
    assert len(shares) == 6
    assert all(0.1 <= share <= 0.9 for share in shares)
    assert _share(1, DAY_US) == _share(1, DAY_US)


def test_counts_of_symbols_added_one_by_one_are_those_of_all_together() -> None:
    bars = walks(1, 3, 500)
    ids = [pattern["id"] for pattern in tp.PATTERNS]
    together, apart = Moved(5, len(ids)), Moved(5, len(ids))
    whole = Barriers.of(bars)
    together.add(tp.scan(bars), whole)
    parts = []
    for symbol in ("S2", "S0", "S1"):
        chosen = [at for at, name in enumerate(bars["symbol"]) if name == symbol]
        one = {name: [column[at] for at in chosen] for name, column in bars.items()}
        barriers, detections = Barriers.of(one), tp.scan(one)
        apart.add(detections, barriers)
        parts.append(Evidence.of(detections, barriers.outcomes(detections), barriers, ids))
    base = Evidence.joined(parts).base
    assert apart.placebo(base, Parameters()) == together.placebo(whole.base(), Parameters())
    events = Evidence.of(tp.scan(bars), whole.outcomes(tp.scan(bars)), whole, ids)
    definitions = dict.fromkeys(ids, "")
    joined = tabulate([Evidence.joined(parts)], Parameters(), DATASET, definitions, 0)
    assert joined.groups == tabulate([events], Parameters(), DATASET, definitions, 0).groups
