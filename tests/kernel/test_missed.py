"""What was missed is said of all that is measured from it: levels of sessions seen in part, and bars over a hole."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tickstockpl as tp
from tickstockpl.kernel import GAP, PARTIAL_START, columns_of_bars
from tickstockpl.rules import parse_rules

MINUTE = 60_000_000
DAY = 1440 * MINUTE
OPEN_US = 1_299_508_200_000_000
"""Monday 2011-03-07, 09:30 in New York."""
SESSION = 390

LEVELS = ("daily_breakout", "pivot_break")
OPENING = ("opening_range_5", "opening_range_15", "opening_range_30")
OF_SESSION = ("high_of_day", "low_of_day", "vwap_cross")

Heard = dict[tuple[int, int], int]
"""Flags by session and minute."""


def sessions(count: int) -> NDArray[np.int64]:
    opens = [OPEN_US + (number // 5 * 7 + number % 5) * DAY for number in range(count)]
    return np.array([(at, at + SESSION * MINUTE) for at in opens])


def market(count: int, seed: int, gone: set[tuple[int, int]], flagged: Heard) -> dict[str, NDArray[Any]]:
    """Minutes of one symbol by column; the same prices whatever is gone."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, count * SESSION)))
    opened = np.concatenate([[100.0], close[:-1]])
    at = [(number, minute) for number in range(count) for minute in range(SESSION)]
    kept = np.array([place not in gone for place in at])
    columns = {
        "ts_us": np.array([sessions(count)[number, 0] + minute * MINUTE for number, minute in at]),
        "open": opened,
        "high": np.maximum(opened, close) * 1.0002,
        "low": np.minimum(opened, close) * 0.9998,
        "close": close,
        "volume": rng.integers(100, 900, len(close)),
        "quality": np.array([flagged.get(place, 0) for place in at], dtype=np.uint8),
    }
    return {name: values[kept] for name, values in columns.items()}


def found(
    ids: tuple[str, ...],
    *,
    count: int = 4,
    seed: int = 4,
    gone: Any = (),
    flagged: Heard | None = None,
    rules: Any = (),
) -> list[tuple[str, int, int]]:
    """Pattern, minute of the last session, flags."""
    told = sessions(count)
    engine = tp.Engine(
        tp.EngineSettings(session_mode="regular", sessions=told, regular=told, patterns=ids, rules=rules)
    )
    columns = market(count, seed, set(gone), flagged or {})
    columns["symbol"] = np.full(len(columns["ts_us"]), "ZZ")
    made = engine.replay(columns_of_bars(columns, ("quality",)), last=True).detections
    at = [(us - told[-1, 0]) // MINUTE for us in made.ts_us.tolist()]
    names = [made.patterns[place]["id"] for place in made.pattern.tolist()]
    return [one for one in zip(names, at, made.quality.tolist(), strict=True) if one[1] >= 0]


def minutes(number: int, first: int, end: int) -> set[tuple[int, int]]:
    return {(number, minute) for minute in range(first, end)}


def test_from_a_session_that_broke_off_nothing_is_measured() -> None:
    """A session seen until 09:40 has no high and no close; the week's and the ranges of days go on."""
    assert {name for name, *_ in found(LEVELS)} == set(LEVELS), "the market has them"
    assert found(LEVELS, gone=minutes(2, 10, SESSION), flagged={(2, 9): GAP}) == []


def test_a_session_that_was_heard_again_is_measured_from_and_flagged() -> None:
    hole: dict[str, Any] = {"gone": minutes(2, 10, 60), "flagged": {(2, 9): GAP, (2, 60): GAP}}
    told = found(LEVELS, **hole)
    assert {name for name, *_ in told} == set(LEVELS)
    assert {flags for *_, flags in told} == {GAP}
    assert {flags for *_, flags in found(LEVELS, seed=4)} == {0}


def test_a_session_whose_last_minutes_had_no_trade_is_whole() -> None:
    told = found(LEVELS, gone=minutes(2, 300, SESSION))
    assert {name for name, *_ in told} == set(LEVELS)
    assert {flags for *_, flags in told} == {0}, "no tick, no bar; nobody was deaf"


def test_a_session_whose_last_bars_are_flagged_near_the_close_is_measured_from_and_flagged() -> None:
    told = found(LEVELS, gone=minutes(2, 387, SESSION), flagged={(2, 386): GAP})
    assert {name for name, *_ in told} == set(LEVELS)
    assert {flags for *_, flags in told} == {GAP}


def test_a_week_with_a_session_seen_in_part_is_flagged() -> None:
    def weekly(flagged: Heard) -> set[int]:
        of_weeks = [found(("weekly_breakout",), count=11, seed=seed, flagged=flagged) for seed in range(8)]
        return {flags for each in of_weeks for *_, flags in each}

    assert weekly({}) == {0}
    assert weekly({(6, 100): GAP}) == {GAP}
    assert weekly({(3, 100): GAP}) == {0}, "that was the week before it"


@pytest.mark.parametrize("flag", [GAP, PARTIAL_START])
def test_opening_ranges_with_a_flagged_minute_are_flagged_and_others_are_not(flag: int) -> None:
    whole = [found(OPENING, seed=seed) for seed in range(6)]
    holed = [found(OPENING, seed=seed, flagged={(3, 7): flag}) for seed in range(6)]
    assert {(name, flags) for each in whole for name, _, flags in each} == {(name, 0) for name in OPENING}
    assert {(name, flags) for each in holed for name, _, flags in each} == {
        ("opening_range_5", 0),
        ("opening_range_15", flag),
        ("opening_range_30", flag),
    }


def test_the_days_extremes_and_its_vwap_are_flagged_from_a_hole_on() -> None:
    told = [one for seed in range(8) for one in found(OF_SESSION, seed=seed, flagged={(3, 100): GAP})]
    before = {(name, flags) for name, at, flags in told if at < 100}
    after = {(name, flags) for name, at, flags in told if at > 100}
    assert before == {(name, 0) for name in OF_SESSION}
    assert after == {(name, GAP) for name in OF_SESSION}


def test_a_first_session_that_was_not_seen_from_its_open_is_flagged() -> None:
    told = [one for seed in range(6) for one in found(OPENING + OF_SESSION, count=1, seed=seed, gone=minutes(0, 0, 20))]
    assert {name for name, *_ in told} == {"opening_range_30", *OF_SESSION}
    assert {flags for *_, flags in told} == {PARTIAL_START}
    heard = [one for seed in range(6) for one in found(OPENING, count=1, seed=seed, gone=minutes(0, 0, 4))]
    assert {flags for *_, flags in heard} == {0}, "some minutes without a trade are none that were missed"


def test_a_rule_is_flagged_as_what_it_asks_for_is() -> None:
    text = """
[[rule]]
id = "by_pattern"
name = "ByPattern"
all = ["opening_range_15"]

[[rule]]
id = "by_value"
name = "ByValue"
direction = "bullish"
all = ["close > session_high"]

[[rule]]
id = "by_rule"
name = "ByRule"
direction = "bullish"
all = ["by_value"]

[[rule]]
id = "by_bar"
name = "UpBar"
direction = "bullish"
all = ["close > open"]
"""
    rules = parse_rules(text)
    whole = [one for seed in range(6) for one in found((), seed=seed, rules=rules)]
    holed = [one for seed in range(6) for one in found((), seed=seed, rules=rules, flagged={(3, 7): GAP})]
    assert {(name, flags) for name, _, flags in whole} == {(rule.id, 0) for rule in rules}
    assert {(name, flags) for name, at, flags in holed if at > 7} == {
        ("by_pattern", GAP),
        ("by_value", GAP),
        ("by_rule", GAP),
        ("by_bar", 0),
    }
