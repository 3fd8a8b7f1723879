"""Rules that name patterns of longer timeframes hold where the oracle says so, and see no bar that is forming."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import tickstockpl as tp
from oracle_bars import Bar
from oracle_rules import Held, Longer, held_by_rules
from pattern_play import MINUTE_US, SPY, columns, market_data, real_bars, settings
from rule_play import LONGER_MEANT, LONGER_RULES, said_by
from swing_walk import swings
from tickstockpl.kernel import columns_of_bars
from tickstockpl.rule import Member

TIMEFRAMES = ("1min", "5min", "15min", "daily")


def meant(bars: list[Bar]) -> dict[str, list[tuple[int, Held]]]:
    """What rules hold, by timeframe: over what each timeframe says that is looked at alone."""
    at = tp.TIMEFRAMES.index
    longer: dict[str, list[Longer]] = {}
    by_rules: dict[str, list[tuple[int, Held]]] = {}
    for timeframe in reversed(TIMEFRAMES):
        seen = [each["id"] for each in tp.PATTERNS if at(each["longest"]) >= at(timeframe)]
        told = settings(seen, timeframes=(timeframe,))
        output = tp.Engine(told).replay(columns_of_bars(columns({"ZZTEST1": bars})), last=True)
        of = output.bars if timeframe == "1min" else output.longer
        told_of = (getattr(of, name).tolist() for name in ("ts_us", "open", "high", "low", "close", "volume"))
        rows = [Bar(*bar) for bar in zip(*told_of, strict=True)]
        ends = [row.ts_us + MINUTE_US for row in rows] if timeframe == "1min" else output.longer.end_us.tolist()
        said: dict[int, list[Held]] = {}
        for ts_us, each in said_by(output.detections, rules=False, timeframe=timeframe):
            said.setdefault(ts_us, []).append(each)
        of_rules = LONGER_MEANT.get(timeframe, ())
        minutes = {"1min": 1, "5min": 5}.get(timeframe, 0)
        by_rules[timeframe] = list(held_by_rules(rows, said, of_rules, longer, minutes * MINUTE_US)) if of_rules else []
        for ts_us, each in by_rules[timeframe]:
            said.setdefault(ts_us, []).append(each)
        longer[timeframe] = [
            Longer(row.ts_us, end, said.get(row.ts_us, ())) for row, end in zip(rows, ends, strict=True)
        ]
    return by_rules


def assert_equal_to_oracle(bars: list[Bar]) -> Counter[tuple[str, int]]:
    told = settings((), timeframes=TIMEFRAMES, rules=LONGER_RULES)
    found = tp.scan(columns({"ZZTEST1": bars}), settings=told)
    expected = meant(bars)
    for timeframe in TIMEFRAMES:
        assert said_by(found, rules=True, timeframe=timeframe) == expected[timeframe], timeframe
    return Counter((each.pattern, each.direction) for said in expected.values() for _, each in said)


def test_rules_of_several_timeframes_hold_where_the_oracle_says_so() -> None:
    fired: Counter[Any] = Counter()
    for seed in range(4):
        fired += assert_equal_to_oracle(swings(seed, 4_000, units=10_000, step=0.01))
    assert {name for name, _ in fired} == {"with_the_hour", "dip_in_rise", "turn_in_five"}


@market_data
def test_rules_of_several_timeframes_hold_where_the_oracle_says_so_on_real_bars() -> None:
    fired = assert_equal_to_oracle(real_bars(SPY)["SPY"][:20_000])
    assert {name for name, _ in fired} == {rule.id for rule in LONGER_RULES}


def test_what_more_minutes_bring_changes_nothing_that_was_found() -> None:
    bars = swings(1, 3_000, units=10_000, step=0.01)
    told = settings((), timeframes=TIMEFRAMES, rules=LONGER_RULES)
    whole = tp.scan(columns({"ZZTEST1": bars}), settings=told)
    assert len(whole) > 50
    for cut in range(300, 3_000, 90):
        seen = tp.scan(columns({"ZZTEST1": bars[:cut]}), settings=told)
        ended = whole.end_us <= bars[cut - 1].ts_us + MINUTE_US
        assert seen.event_id.tolist() == whole.event_id[ended].tolist()
        assert seen.confidence.tolist() == whole.confidence[ended].tolist()


def test_a_member_of_a_longer_timeframe_bears_the_id_of_its_event() -> None:
    told = settings(("cdl_longline",), timeframes=TIMEFRAMES, rules=LONGER_RULES)
    found = tp.scan(columns({"ZZTEST1": swings(0, 3_000, units=10_000, step=0.01)}), settings=told)
    ids = {each.decode() for each in found.event_id.tolist()}
    members = [member for row in range(len(found)) for member in found.members(row)]
    assert {timeframe for pattern, timeframe, _, _ in members if pattern == "cdl_longline"} == {"15min"}
    for pattern, _, _, event_id in members:
        assert (event_id in ids) == (pattern in ("cdl_longline", "turn_in_five"))


def test_a_rule_may_name_the_agreement_of_timeframes() -> None:
    text = '[[rule]]\nid = "agreed_and_up"\nname = "AgreedUp"\nall = ["agreement", "rsi > 0"]\n'
    told = settings((), timeframes=TIMEFRAMES, rules=tp.parse_rules(text))
    minutes = columns({"ZZTEST1": swings(1, 6_000, units=10_000, step=0.01)})
    found = tp.scan(minutes, settings=told)
    agreed = tp.scan(minutes, settings=replace(told, patterns=("agreement",), rules=()))
    agreed_at = agreed.ts_us[agreed.timeframe == 0].tolist()
    assert found.ts_us.tolist() == agreed_at
    assert len(agreed_at) > 30
    assert {member[0] for row in range(len(found)) for member in found.members(row)} == {"agreement"}


@pytest.mark.parametrize(
    ("of", "timeframes"), [("15min", ("1min", "5min")), ("1min", ("1min", "5min", "15min")), ("1hour", ("5min",))]
)
def test_a_timeframe_that_a_rule_cannot_see_is_refused(of: str, timeframes: tuple[str, ...]) -> None:
    rule = tp.parse_rules('[[rule]]\nid = "r"\nname = "Rule"\ntimeframe = "5min"\nall = ["doji"]\n')[0]
    told = settings((), timeframes=timeframes, rules=(replace(rule, all=(Member("doji", timeframe=of),)),))
    said = (
        f"timeframe of a rule's pattern must be one of those that are on, and not shorter than the rule's, was \"{of}\""
    )
    with pytest.raises(ValueError, match=re.escape(said)):
        tp.Engine(told)
