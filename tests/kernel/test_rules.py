"""Rules hold where the oracle says so, of what patterns say and of a bar's numbers; what is said once stays said."""

import itertools
import json
import math
import random
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from oracle_bars import Bar
from oracle_patterns import days
from oracle_rules import Held, held_by_rules, numbers_of
from pattern_play import (
    MINUTE_US,
    MONDAY_US,
    PATTERN_IDS,
    SPY,
    US22,
    columns,
    market_data,
    message,
    real_bars,
    settings,
    tick,
)
from rule_play import MEANT, RULES, said_by
from swing_walk import swings
from tickstockpl.kernel import columns_of_bars, patterns_with
from tickstockpl.rule import Comparison, Member

DAY_US = 86_400_000_000
UNTOLD = {rule.id for rule in RULES if not rule.told}


def meant(bars: list[Bar]) -> list[tuple[int, Held]]:
    said: dict[int, list[Held]] = {}
    for ts_us, held in said_by(tp.scan(columns({"ZZTEST1": bars}), PATTERN_IDS), rules=False):
        said.setdefault(ts_us, []).append(held)
    return [each for each in held_by_rules(bars, said, MEANT) if each[1].pattern not in UNTOLD]


def assert_equal_to_oracle(bars: list[Bar]) -> Counter[tuple[str, int]]:
    found = tp.scan(columns({"ZZTEST1": bars}), ("hammer",), rules=RULES)
    expected = meant(bars)
    assert said_by(found, rules=True) == expected
    closes = {bar.ts_us: bar.close for bar in bars}
    is_rule = found.pattern >= len(tp.PATTERNS)
    assert [closes[ts_us] for ts_us in found.ts_us[is_rule].tolist()] == found.entry[is_rule].tolist()
    return Counter((held.pattern, held.direction) for _, held in expected)


def test_rules_hold_where_the_oracle_says_so() -> None:
    fired: Counter[Any] = Counter()
    for seed in range(5):
        fired += assert_equal_to_oracle(swings(seed, 3_000, units=10_000, step=0.01))
    assert {name for name, _ in fired} == {rule.id for rule in RULES} - UNTOLD
    assert {way for name, way in fired if name == "engulfed_turn"} == {1, -1}
    assert {way for name, way in fired if name == "either_way"} == {1, -1}


@market_data
def test_rules_hold_where_the_oracle_says_so_on_real_bars() -> None:
    fired: Counter[Any] = Counter()
    for symbol in ("AAPL", "TSLA", "BAC"):
        fired += assert_equal_to_oracle(real_bars(US22)[symbol])
    fired += assert_equal_to_oracle(real_bars(SPY)["SPY"][:8_000])
    assert {name for name, _ in fired} == {rule.id for rule in RULES} - UNTOLD


@cache
def walked() -> tuple[Bar, ...]:
    return tuple(swings(3, 3_000, units=10_000, step=0.01))


@cache
def numbered() -> list[tuple[int, dict[str, float]]]:
    """All numbers of each bar of `walked`, by its start."""
    return [(day.bars[at].ts_us, numbers_of(day, at)) for day in days(list(walked()), None) for at in day.own]


@pytest.mark.parametrize("name", tp.VALUES)
def test_a_number_is_what_the_oracle_makes_of_the_bars_and_is_there_from_the_same_bar_on(name: str) -> None:
    bars = list(walked())
    known = [(ts_us, numbers[name]) for ts_us, numbers in numbered()]
    there = np.unique([value for _, value in known if not math.isnan(value)])
    middle = float(there[len(there) // 2 - 1 : len(there) // 2 + 1].mean())
    rules = tp.parse_rules(
        f'''
        [[rule]]
        id = "above"
        name = "Above"
        direction = "bullish"
        all = ["{name} > {middle}"]

        [[rule]]
        id = "there"
        name = "There"
        direction = "bullish"
        any = ["{name} > 0", "{name} <= 0"]
        '''
    )
    found = tp.scan(columns({"ZZTEST1": bars}), (), rules=rules)
    above, is_there = (
        set(found.ts_us[found.pattern == len(tp.PATTERNS) + place].tolist()) for place in range(len(rules))
    )
    assert is_there == {ts_us for ts_us, value in known if not math.isnan(value)}
    assert above == {ts_us for ts_us, value in known if value > middle}
    alone = tp.scan(columns({"ZZTEST1": bars[: tp.VALUES[name] - 1]}), (), rules=rules[1:])
    assert len(alone) == 0


def test_the_rsi_of_rules_is_that_of_events() -> None:
    bars = columns({"ZZTEST1": swings(4, 1_500, units=10_000, step=0.01)})
    rules = tp.parse_rules('[[rule]]\nid = "low"\nname = "Low"\ndirection = "bullish"\nall = ["rsi < 40", "doji"]\n')
    found = tp.scan(bars, ("doji",), rules=rules)
    doji, low = (set(found.ts_us[(found.pattern == place) & (found.rsi < 40)]) for place in (0, len(tp.PATTERNS)))
    assert doji == low
    assert len(low) > 10
    assert np.count_nonzero(found.pattern == len(tp.PATTERNS)) == len(low)


def test_a_pattern_that_is_off_is_looked_for_and_no_word_is_said_of_it() -> None:
    bars = columns({"ZZTEST1": swings(1, 2_000, units=10_000, step=0.01)})
    every, none = (tp.scan(bars, ids, rules=RULES) for ids in (PATTERN_IDS, ()))
    assert said_by(every, rules=True) == said_by(none, rules=True) != []
    assert said_by(none, rules=False) == []
    assert not UNTOLD & {held.pattern for _, held in said_by(every, rules=True)}


def test_a_member_bears_the_id_of_its_event_where_it_has_one() -> None:
    bars = columns({"ZZTEST1": swings(0, 5_000, units=10_000, step=0.01)})
    found = tp.scan(bars, ("engulfing",), rules=RULES)
    events = {
        (found.patterns[found.pattern[row]]["id"], int(found.ts_us[row])): found.event_id[row].decode()
        for row in range(len(found))
    }
    members = [member for row in range(len(found)) for member in found.members(row)]
    told = {"engulfing", *(rule.id for rule in RULES if rule.told)}
    assert {pattern for pattern, *_ in members} > {"macd_cross", "engulfing", "busy_hammer"}
    for pattern, _, ts_us, event_id in members:
        assert event_id == (events[pattern, ts_us] if pattern in told else "")


def test_of_rules_alone_their_confidence_is_1_and_they_have_an_entry_and_no_stop() -> None:
    bars = columns({"ZZTEST1": swings(1, 400, units=10_000, step=0.01)})
    rules = tp.parse_rules('[[rule]]\nid = "up"\nname = "Up"\ndirection = "bullish"\nall = ["close > open"]\n')
    found = tp.scan(bars, (), rules=rules)
    assert len(found) > 50
    assert (found.confidence == 1).all()
    assert (found.entry == found.close).all()
    assert np.isnan([found.stop, found.target, found.invalidation]).all()


def test_an_event_id_is_made_of_the_rule_s_own_parameters() -> None:
    bars = columns({"ZZTEST1": swings(1, 2_000, units=10_000, step=0.01)})
    found = tp.scan(bars, PATTERN_IDS, rules=RULES)
    for row in range(len(found)):
        pattern = found.patterns[found.pattern[row]]
        made = tp.event_id("ZZTEST1", int(found.ts_us[row]), pattern["id"], parameters=pattern["parameters"])
        assert found.event_id[row].decode() == made
    assert len({rule.parameters for rule in RULES}) == len(RULES)


UP_AND_AFTER = tp.parse_rules(
    """
    [[rule]]
    id = "up"
    name = "Up"
    direction = "bullish"
    all = ["close > open"]

    [[rule]]
    id = "after"
    name = "After"
    all = [{ pattern = "up", within = 3 }, "close <= open"]
    """
)


def test_a_bar_with_missing_ticks_makes_no_rule_hold_and_counts_as_a_bar() -> None:
    bars = columns({"A": [bar(0, 1), bar(1, -1), bar(2, -1), bar(3, -1)]}) | {"quality": [0, 2, 0, 0]}
    found = tp.scan(bars, (), rules=UP_AND_AFTER)
    assert [(held.pattern, minute(ts_us)) for ts_us, held in said_by(found, rules=True)] == [("up", 0), ("after", 2)]


def test_what_held_before_the_session_s_open_is_forgotten() -> None:
    rules = (replace(UP_AND_AFTER[0], cooldown=9), UP_AND_AFTER[1])
    day = 24 * 60
    bars = [bar(day - 2, 1), bar(day - 1, -1), bar(day, -1), bar(day + 1, 1)]
    found = tp.scan(columns({"A": bars}), (), rules=rules)
    told = [(held.pattern, minute(ts_us) - day) for ts_us, held in said_by(found, rules=True)]
    assert told == [("up", -2), ("after", -1), ("up", 1)]


def live(**more: Any) -> tp.Engine:
    return tp.Engine(settings((), rules=UP_AND_AFTER, **more))


def feed(engine: tp.Engine, *ticks: bytes, minute: int) -> list[tuple[bool, str, int, int, str, str]]:
    """What is said of these ticks: whether it holds, which rule, its bar, revision, id, and the id that it replaces."""
    found = engine.ingest(ticks, at_us(minute) + 59_000_000).detections
    return [
        (
            bool(found.held[row]),
            found.patterns[found.pattern[row]]["id"],
            (int(found.ts_us[row]) - at_us(0)) // MINUTE_US,
            int(found.revision[row]),
            found.event_id[row].decode(),
            found.supersedes[row].decode(),
        )
        for row in range(len(found))
    ]


def trade(at: int, price: float, second: int) -> bytes:
    """One that moves the close of a bar and nothing else of it."""
    return json.dumps(tick("A", replace(bar(at, 0), close=price), second)).encode()


def test_a_late_tick_takes_a_rule_away_with_all_that_was_made_of_it_and_another_one_brings_it_back() -> None:
    engine = live()
    ticks = [message("A", bar(at, way), 10) for at, way in enumerate((1, -1, -1, -1))]
    said = [one for at, each in enumerate(ticks) for one in feed(engine, each, minute=at)]
    assert [each[:4] for each in said] == [(True, "up", 0, 0), (True, "after", 1, 0), (True, "after", 2, 0)]
    gone = feed(engine, trade(0, 9.9, 30), minute=3)
    assert [(each[0], each[4]) for each in gone] == [(False, each[4]) for each in said]
    again = feed(engine, trade(0, 10.1, 40), minute=3)
    assert [each[:4] for each in again] == [(True, "up", 0, 2), (True, "after", 1, 2), (True, "after", 2, 2)]
    assert not {each[4] for each in again} & {each[4] for each in said}
    assert feed(engine, trade(0, 10.15, 45), minute=3) == []


def test_a_late_tick_is_told_alike_by_an_engine_that_a_snapshot_has_made_and_by_one_that_was_warmed() -> None:
    engine, warmed = live(), live()
    ticks = [message("A", bar(at, way), 10) for at, way in enumerate((1, -1, -1, -1))]
    said = [one for at, each in enumerate(ticks) for one in feed(engine, each, minute=at)]
    restored = live()
    restored.restore(engine.snapshot())
    rows = [bar(at, way) for at, way in enumerate((1, -1, -1))]
    warmed.warm(columns_of_bars(columns({"A": rows})))
    known = [("A", "1min", at_us(at), name, 1, revision) for _, name, at, revision, *_ in said]
    assert warmed.recall(known) == len(said)
    feed(warmed, ticks[3], minute=3)
    expected = feed(engine, trade(0, 9.9, 30), minute=3)
    assert [each[0] for each in expected] == [False] * 3
    assert feed(restored, trade(0, 9.9, 30), minute=3) == expected
    assert feed(warmed, trade(0, 9.9, 30), minute=3) == expected


@pytest.mark.parametrize("seed", range(4))
def test_what_holds_after_late_ticks_is_what_is_found_in_the_revised_bars(seed: int) -> None:
    rng = random.Random(seed)
    first = swings(seed, 800, units=10_000, step=0.01)
    engine = tp.Engine(settings((), rules=RULES))
    outputs: list[tp.Detections] = []
    late: dict[int, list[int]] = {}
    revised = list(first)
    for place, one in enumerate(first):
        outputs.append(engine.ingest([message("ZZTEST1", one)], one.ts_us + 1_000_000).detections)
        if rng.random() < 0.3:
            late.setdefault(place + rng.randint(1, 13), []).append(place)
        for earlier in late.get(place, ()):
            old = first[earlier]
            close = old.close + rng.randint(-20, 20) * 0.01
            extra = Bar(old.ts_us, close, close, close, close, rng.choice((0, 500, 50_000)))
            outputs.append(engine.ingest([message("ZZTEST1", extra, 30)], one.ts_us + 2_000_000).detections)
            high, low = max(old.high, close), min(old.low, close)
            revised[earlier] = Bar(old.ts_us, old.open, high, low, close, old.volume + extra.volume)
    outputs.append(engine.flush().detections)
    holding: Counter[tuple[int, str, int]] = Counter()
    ids: set[bytes] = set()
    for found in outputs:
        for row in range(len(found)):
            key = int(found.ts_us[row]), found.patterns[found.pattern[row]]["id"], int(found.direction[row])
            holding[key] += 1 if found.held[row] else -1
            assert bool(found.held[row]) != (found.event_id[row] in ids)
            ids ^= {found.event_id[row]}
    assert engine.counters()["withdrawn"] > 10
    assert set(holding.values()) == {0, 1}
    expected = {(ts_us, held.pattern, held.direction) for ts_us, held in meant(revised)}
    assert {key for key, count in holding.items() if count} == expected != set()


def test_a_restart_finds_what_a_long_run_finds() -> None:
    bars = swings(2, 4_000, units=10_000, step=0.01)
    opens = [
        place for place, one in enumerate(bars) if place and one.ts_us // DAY_US != bars[place - 1].ts_us // DAY_US
    ]
    cut = opens[-1] + 100
    whole = tp.scan(columns({"ZZTEST1": bars}), (), rules=RULES)
    restarted = tp.Engine(settings((), rules=RULES))
    days = [
        Bar(own[0].ts_us, own[0].open, max(one.high for one in own), min(one.low for one in own), own[-1].close, 1)
        for own in (bars[begin:end] for begin, end in itertools.pairwise((0, *opens)))
    ]
    restarted.know(columns_of_bars(columns({"ZZTEST1": days})))
    restarted.warm(columns_of_bars(columns({"ZZTEST1": bars[opens[-1] - 200 : cut]})))
    after = restarted.replay(columns_of_bars(columns({"ZZTEST1": bars[cut:]}))).detections
    told = [each for each in said_by(whole, rules=True) if each[0] >= bars[cut].ts_us]
    assert said_by(after, rules=True) == told != []


def test_a_snapshot_is_of_its_rules() -> None:
    with pytest.raises(ValueError, match="of other settings"):
        tp.Engine(settings(())).restore(live().snapshot())
    other = tp.Engine(settings((), rules=(replace(UP_AND_AFTER[0], cooldown=1), UP_AND_AFTER[1])))
    with pytest.raises(ValueError, match="of other settings"):
        other.restore(live().snapshot())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"all": (Member("no_such"),)}, 'no pattern is called "no_such"'),
        ({"all": (Member("after"),)}, 'no pattern is called "after"'),
        ({"all": (Member("doji", within=0),)}, "within must be 1 to 10,000, was 0"),
        ({"all": (Member("doji", within=10_001),)}, "within must be 1 to 10,000, was 10001"),
        ({"cooldown": 10_001}, "cooldown must be 0 to 10,000, was 10001"),
        ({"cooldown": -1}, "cooldown must be 0 to 10,000, was -1"),
        ({"all": (Member("doji"),) * 101}, "parts of a rule must be at most 100, was 101"),
        ({"id": "doji"}, 'rule must be an id that no pattern and no other rule has, was "doji"'),
        ({"direction": "up"}, "a direction must be bullish, bearish or neutral, was up"),
        ({"all": (Comparison(((1.0, "ema_21"),), ">", ((1.0, None),), ""),)}, 'no value of a bar is called "ema_21"'),
        (
            {"all": (Comparison(((1.0, "close"),), "=", ((1.0, None),), ""),)},
            "a relation must be <, <=, > or >=, was =",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        tp.Engine(settings((), rules=(replace(UP_AND_AFTER[0], **change), UP_AND_AFTER[1])))


def test_there_may_be_100_rules_and_no_more() -> None:
    rules = tuple(replace(UP_AND_AFTER[0], id=f"up_{number}") for number in range(101))
    found = tp.scan(columns({"A": [bar(0, 1)]}), rules=rules[:100])
    assert np.count_nonzero(found.pattern >= len(tp.PATTERNS)) == 100
    with pytest.raises(ValueError, match="rules must be at most 100, was 101"):
        tp.scan(columns({"A": [bar(0, 1)]}), rules=rules)


def test_a_function_of_ta_lib_in_a_rule_needs_its_window() -> None:
    with pytest.raises(ValueError, match="window must be at least 34 for TA-Lib's patterns, was 33"):
        tp.Engine(settings((), rules=RULES, window=33))
    assert tp.Engine(settings((), rules=UP_AND_AFTER, window=1)).patterns == patterns_with(UP_AND_AFTER)


def bar(at: int, way: int) -> Bar:
    return Bar(at_us(at), 10.0, 10.2, 9.8, 10.0 + 0.1 * way, 100)


def at_us(at: int) -> int:
    return MONDAY_US // 86_400_000_000 * 86_400_000_000 + at * MINUTE_US


def minute(ts_us: int) -> int:
    return (ts_us - at_us(0)) // MINUTE_US
