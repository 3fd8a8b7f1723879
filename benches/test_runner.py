"""What the report says about a measurement."""

import numpy as np
import pytest

from benches.runner import Contest, Finding, Goal, Line, Spread, Table, race, ratio, rendered, short, timed


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.9, "**must not reached**"),
        (1.0, "must reached, aim not"),
        (1.1, "must reached, aim not"),
        (1.2, "aim reached"),
    ],
)
def test_a_ratio_is_judged_by_must_and_aim(value: float, verdict: str) -> None:
    assert Goal(1.0, 1.2).judged(value) == verdict


def test_where_less_is_better_the_bounds_are_upper_ones() -> None:
    goal = Goal(25, 5, "ms", most=True)
    assert [goal.judged(value) for value in (26, 25, 5)] == [
        "**must not reached**",
        "must reached, aim not",
        "aim reached",
    ]
    assert str(goal) == "≤ 25 ms / ≤ 5 ms"


def test_a_ratio_compares_best_with_best_and_median_with_median() -> None:
    assert ratio([1.0, 6.0, 2.0], [3.0, 1.0, 1.0]) == (2.0, 2.0)


def test_a_race_checks_first_and_gives_each_contestant_every_round() -> None:
    calls: list[str] = []

    def check() -> str:
        calls.append("check")
        return "equal"

    contest = Contest(
        name="toy",
        title="Toy",
        unit="calls",
        work=1,
        ours=("ours", lambda: calls.append("ours")),
        peers=[("peer", lambda: calls.append("peer"), Goal(1, 2))],
        check=check,
        regresses="nothing",
    )
    table = race(contest, rounds=2, turn_s=0)
    warm_up, timing = ["ours", "peer"], ["ours", "peer"]
    assert calls == ["check", *warm_up, *timing, "ours", "peer", "peer", "ours"]
    assert [len(line.rates) for line in table.lines] == [2, 2]


def test_a_turn_repeats_a_short_call() -> None:
    calls: list[None] = []
    timed(lambda: calls.append(None), 5)
    assert len(calls) == 5


def test_a_race_is_not_run_when_results_differ() -> None:
    def check() -> str:
        raise AssertionError("they differ")

    contest = Contest("toy", "Toy", "calls", 1, ("ours", lambda: None), [], check, "nothing")
    with pytest.raises(AssertionError, match="they differ"):
        race(contest, rounds=1)


def test_the_report_names_ratio_goal_verdict_and_what_is_missing() -> None:
    lines = [Line("ours", [2e6, 1e6]), Line("theirs", [1e6, 1e6], (2.0, 1.5), Goal(1.5, 3))]
    findings = [Finding("CPU", 3.0, "×", Goal(4, 2.5, most=True))]
    spreads = [Spread("a service", [np.array([1.0, 2.0, 30.0]), np.array([2.0, 4.0, 5000.0])])]
    table = Table("toy", "Toy", "ticks", "equal", "nothing", lines, spreads, findings)
    report = rendered([table], ["machine: m"], ["numba"])
    assert "| theirs | 1M | 1M | 2.00 × (1.50 ×) | 1.5 × / 3 × | must reached, aim not |" in report
    assert "| a service | 3 | 2 (3) |" in report
    assert "| 30 (2,515) |\n" in report
    assert "| CPU | 3 × | ≤ 4 × / ≤ 2.5 × | must reached, aim not |" in report
    assert "* **not measured**: numba" in report


def test_rates_are_short() -> None:
    assert [short(value) for value in (12.34, 12_340, 1_234_000)] == ["12.3", "12.3k", "1.23M"]
