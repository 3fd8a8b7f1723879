"""Intervals and tests of rates beside exact arithmetic: sums of fractions, and the equations they come from."""

from fractions import Fraction
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstockpl.proportions import Z_95, Trend, adjusted, tails, trend, two_sided, wilson

RATES = st.fractions(min_value=0, max_value=1, max_denominator=200)


def exact_tails(hits: int, n: int, rate: Fraction) -> tuple[Fraction, Fraction]:
    terms = [comb(n, j) * rate**j * (1 - rate) ** (n - j) for j in range(n + 1)]
    return sum(terms[: hits + 1], Fraction(0)), sum(terms[hits:], Fraction(0))


@given(n=st.integers(0, 60), share=st.integers(0, 60), rate=RATES)
def test_tails_are_the_sums_of_exact_terms(n: int, share: int, rate: Fraction) -> None:
    hits = min(share, n)
    low, high = exact_tails(hits, n, rate)
    found = tails(hits, n, float(rate))
    assert found.low == pytest.approx(float(low), rel=1e-11, abs=1e-300)
    assert found.high == pytest.approx(float(high), rel=1e-11, abs=1e-300)
    assert two_sided(hits, n, float(rate)) == pytest.approx(min(1.0, 2 * float(min(low, high))), rel=1e-11, abs=1e-300)


@pytest.mark.parametrize(("hits", "n", "rate"), [(2503, 5000, "1/2"), (40, 3000, "1/50"), (2999, 3000, "99/100")])
def test_tails_of_many_trials_are_exact_too(hits: int, n: int, rate: str) -> None:
    low, high = exact_tails(hits, n, Fraction(rate))
    assert tails(hits, n, float(Fraction(rate))) == pytest.approx((float(low), float(high)), rel=1e-10)


def test_a_million_trials_agree_with_the_normal_limit() -> None:
    assert tails(500_000, 1_000_000, 0.5).low == pytest.approx(0.5 + 0.5 / sqrt(2 * np.pi * 250_000), abs=1e-6)
    assert two_sided(501_000, 1_000_000, 0.5) == pytest.approx(0.0455, abs=2e-4)
    assert tails(1_000_000, 1_000_000, 0.5) == (1.0, 0.0)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_ends_of_wilsons_interval_are_z_standard_errors_away(n: int, share: float) -> None:
    hits = round(n * share)
    for end, beyond in zip(wilson(hits, n), (0, 1), strict=True):
        rate = float(end)
        if rate == beyond:
            assert hits == beyond * n
        else:
            away = abs(hits / n - rate) / sqrt(rate * (1 - rate) / n)
            assert away == pytest.approx(Z_95, rel=1e-6)
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_without_an_event_the_interval_is_everything() -> None:
    low, high = wilson([0, 3], [0, 3])
    assert low[0] == 0.0
    assert high.tolist() == [1.0, 1.0]


def rejected(p_values: list[Fraction], level: Fraction) -> set[int]:
    """Benjamini & Hochberg's own words: the largest i with P(i) ≤ i/m · q, and all up to it."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    largest = max(
        (i for i, at in enumerate(order, 1) if p_values[at] <= Fraction(i, len(p_values)) * level),
        default=0,
    )
    return set(order[:largest])


@given(p=st.lists(st.integers(0, 1000), min_size=1, max_size=40), level=st.sampled_from((10, 100, 333)))
def test_discoveries_are_those_of_the_step_up_rule(p: list[int], level: int) -> None:
    exact = [Fraction(value, 1000) for value in p]
    made = adjusted([float(value) for value in exact])
    # one unit in the last place must not decide: the level lies between two attainable values
    found = {at for at, q in enumerate(made.tolist()) if q <= level / 1000 * (1 + 1e-12)}
    assert found == rejected(exact, Fraction(level, 1000))


def test_a_true_null_is_rarely_a_discovery() -> None:
    rng = np.random.default_rng(7)
    false = [bool((adjusted(rng.random(100)) <= 0.1).any()) for _ in range(2000)]
    assert 0.07 < np.mean(false) < 0.13


@given(
    groups=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (min(pair), max(pair))),
        min_size=3,
        max_size=3,
    )
)
def test_the_trend_is_the_slope_of_outcome_on_score(groups: list[tuple[int, int]]) -> None:
    """z² of Cochran and Armitage is N · r², r the correlation of score and outcome over single events."""
    hits, n = zip(*groups, strict=True)
    score = np.repeat([0.0, 1.0, 2.0], n)
    won = np.concatenate([np.repeat([1.0, 0.0], (k, many - k)) for k, many in groups])
    found = trend(hits, n)
    if len(won) == 0 or np.ptp(won) == 0 or np.ptp(score) == 0:
        assert found.z == pytest.approx(0.0, abs=1e-6)
        return
    r = np.corrcoef(score, won)[0, 1]
    assert found.z == pytest.approx(r * sqrt(len(won)), rel=1e-9, abs=1e-9)


def test_a_trend_in_one_direction_is_seen_and_its_sign_says_which() -> None:
    rising = trend([40, 50, 60], [100, 100, 100])
    assert rising.z == pytest.approx(-trend([60, 50, 40], [100, 100, 100]).z)
    assert rising.z > 2.5
    assert rising.p_value == pytest.approx(0.00468, abs=1e-4)
    assert Trend(0.0, 0.0).p_value == 1.0
