"""Files of rules: what they say, each mistake in one line, and every part of TickStockPL that is told of them."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp
from commands import Run, said_once
from event_samples import event, events, published
from market_rows import xnys
from pattern_play import columns
from rule_play import LONGER_TEXT, RULES, TEXT
from swing_walk import swings
from tickstockpl import rate_file
from tickstockpl.aliases import Names
from tickstockpl.errors import SettingsError
from tickstockpl.events import SWITCHED_OFF, EventColumns, Events
from tickstockpl.events import Member as MadeOf
from tickstockpl.kernel import patterns_with
from tickstockpl.rule import Comparison, Member
from tickstockpl.selection import chosen_rules, definitions_of, enabled_patterns, engine_settings, rate_table
from tickstockpl.settings import PatternSettings, Settings
from tickstockpl.switches import Definition, Switches

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
BARS = Path(__file__).parents[2] / "docs/examples/bars.csv"


def rule(more: str = "", *, all: str = '["doji"]', id: str = "one", name: str = "RuleOne") -> str:  # noqa: A002
    return f'[[rule]]\nid = "{id}"\nname = "{name}"\nall = {all}\n{more}\n'


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        tp.parse_rules(text, "rules.toml")
    said = str(caught.value)
    assert "\n" not in said
    return said


MISTAKES = {
    "x = 1": "rules.toml: x is nothing that a file of rules has: each rule is a table [[rule]]",
    "rule = 1": "rules.toml: each rule must be a table [[rule]]",
    '[[rule]]\nid = "one': "rules.toml is not TOML: ",
    '[[rule]]\nname = "One"\nall = ["doji"]': "rules.toml: rule number 1: it has no id",
    '[[rule]]\nid = "one"\nall = ["doji"]': "rules.toml: rule one: it has no name",
    '[[rule]]\nid = "one"\nname = "RuleOne"': "rules.toml: rule one: it asks nothing: name patterns or comparisons",
    rule("cooldwon = 3"): "rules.toml: rule one: cooldwon is no key of it; did you mean cooldown?",
    rule("zzz = 3"): "rules.toml: rule one: zzz is no key of it; there are id, name, direction, tier, timeframe, all",
    rule('cooldown = "3"'): "rules.toml: rule one: cooldown should be a valid integer, was '3'",
    rule("cooldown = -1"): "rules.toml: rule one: cooldown should be greater than or equal to 0, was -1",
    rule("cooldown = 10001"): "rules.toml: rule one: cooldown should be less than or equal to 10000, was 10001",
    rule('direction = "up"'): "rules.toml: rule one: direction should be 'bullish', 'bearish' or 'neutral', was 'up'",
    rule('tier = "hourly"'): "rules.toml: rule one: tier should be 'intraday', 'daily' or 'combo', was 'hourly'",
    rule("told = 1"): "rules.toml: rule one: told should be a valid boolean, was 1",
    rule('timeframe = "5mn"'): "rules.toml: rule one: no timeframe is called 5mn; did you mean 5min?",
    rule(
        'timeframe = "15min"', all='["opening_range_5"]'
    ): "rules.toml: rule one: opening_range_5 is looked for on bars up to 5min, and not on those of 15min",
    rule()
    + rule(
        'timeframe = "5min"', all='["one"]', id="two", name="TwoRule"
    ): "rules.toml: rule two: one is decided on bars of 1min, and this rule on those of 5min",
    rule(all='"doji"'): "rules.toml: rule one: all should be a valid list, was 'doji'",
    rule(id="One"): "rules.toml: rule One: id must be lower-case words with _ between them",
    rule(id="one__two"): "rules.toml: rule one__two: id must be lower-case words with _ between them",
    rule(
        name="rule"
    ): "rules.toml: rule one: name must be CamelCase letters and digits, such as DblBottomLow, was 'rule'",
    rule(id="doji"): "rules.toml: rule doji: its id is taken: doji means the pattern doji",
    rule(id="bullish_engulfing"): "rules.toml: rule bullish_engulfing: its id is taken: bullish_engulfing means the "
    "pattern engulfing",
    rule(name="Hammer"): "rules.toml: rule one: its name is taken: Hammer means the pattern hammer",
    rule(
        name="DoubleBo"
    ): "rules.toml: rule one: its name begins like DoubleBottom: the first 8 letters, DoubleBo, must",
    rule() + rule(name="Other"): "rules.toml: rule one: there is another one of this id",
    rule()
    + rule(id="two"): "rules.toml: rule two: its name begins like RuleOne: the first 8 letters, RuleOne, must be",
    rule(all=json.dumps(["doji"] * 101)): "rules.toml: rule one: all and any may have at most 100 parts, they have 101",
    rule(all='["doj"]'): "rules.toml: rule one: all[1]: no pattern is called doj; did you mean doji?",
    rule(all='["qqqq"]'): "rules.toml: rule one: all[1]: no pattern is called qqqq; `tickstockpl patterns` lists them",
    rule(
        all='["doji", "rsi"]'
    ): 'rules.toml: rule one: all[2]: rsi is a number, and no pattern: compare it, as in "rsi > 0"',
    rule(all='["cdl_*star"]'): "rules.toml: rule one: all[1]: cdl_*star means 7 patterns, cdl_dojistar, "
    "cdl_eveningdojistar, cdl_eveningstar, cdl_morningdojistar, ...: name one, or each of them in any",
    rule(all="[3]"): "rules.toml: rule one: all[1]: must be a pattern, a comparison or a table with a pattern, was 3",
    rule(all="[{ within = 3 }]"): "rules.toml: rule one: all[1]: it has no pattern",
    rule(
        all='[{ pattern = "doji", within = 0 }]'
    ): "rules.toml: rule one: all[1]: within should be greater than or equal",
    rule(
        all='[{ pattern = "doji", withn = 3 }]'
    ): "rules.toml: rule one: all[1]: withn is no key of it; did you mean within?",
    rule(
        'timeframe = "15min"', all='[{ pattern = "doji", timeframe = "5min" }]'
    ): "rules.toml: rule one: doji is asked for on bars of 5min, shorter than this rule's of 15min",
    rule(
        all='[{ pattern = "doji", timeframe = "1hr" }]'
    ): "rules.toml: rule one: no timeframe is called 1hr; did you mean 1hour?",
    rule(
        all='[{ pattern = "opening_range_5", timeframe = "15min" }]'
    ): "rules.toml: rule one: opening_range_5 is looked for on bars up to ",
    rule(all='["two"]') + rule('timeframe = "1hour"', id="two", name="Two"): (
        "rules.toml: rule one: two is decided on bars of 1hour, and this rule on those of 1min: "
        'write { pattern = "two", timeframe = "1hour" }'
    ),
    rule(all='["rsi << 3"]'): "rules.toml: rule one: all[1]: 'rsi << 3' must have one of <, <=, >, >=, and once",
    rule(
        all='["20 < rsi < 35"]'
    ): "rules.toml: rule one: all[1]: '20 < rsi < 35' must have one of <, <=, >, >=, and once",
    rule(all='["rsi = 3"]'): "rules.toml: rule one: all[1]: 'rsi = 3': = is no part of a comparison, which has one of",
    rule(all='["rsi != 3"]'): "rules.toml: rule one: all[1]: 'rsi != 3': ! is no part of a comparison",
    rule(all='["1 < 2"]'): "rules.toml: rule one: all[1]: '1 < 2' compares nothing of a bar; there are open, high, low",
    rule(all='["ema_10 > close"]'): "rules.toml: rule one: all[1]: 'ema_10 > close': a bar has no ema_10; did you mean",
    rule(all='["rsi >"]'): "rules.toml: rule one: all[1]: 'rsi >' is no comparison: such as rsi < 35, or close > vwap",
    rule(all='["rsi 3 > 1"]'): "rules.toml: rule one: all[1]: 'rsi 3 > 1': a + or - is missing",
    rule(
        all='["close * vwap > 1"]'
    ): "rules.toml: rule one: all[1]: 'close * vwap > 1': a product is of a number and a",
    rule(
        all='["2 * 3 > close"]'
    ): "rules.toml: rule one: all[1]: '2 * 3 > close': a product is of a number and a value",
    rule(all='["close > * 2"]'): "rules.toml: rule one: all[1]: 'close > * 2' is no comparison: such as",
    rule(all='["rsi < 3"]'): "rules.toml: rule one: say its direction: there is no pattern in it to take it from",
    rule(
        'direction = "bullish"', all='["double_top"]'
    ): "rules.toml: rule one: double_top is never bullish, only bearish: "
    'give it a direction of its own, as in { pattern = "double_top", direction = "bearish" }',
    rule(
        all='[{ pattern = "doji", direction = "bullish" }]'
    ): "rules.toml: rule one: doji is never bullish, only neutral",
    rule(
        all='["double_top", "double_bottom"]'
    ): "rules.toml: rule one: its patterns never agree: double_top is bearish, "
    "double_bottom is bullish; say its direction",
    rule(all='["one"]'): "rules.toml: rule one: it asks for itself: one asks for one",
    rule(all='["two"]') + rule(id="two", name="Two", all='["three"]') + rule(id="three", name="Three", all='["one"]'): (
        "rules.toml: rule one: it asks for itself: one asks for two asks for three asks for one"
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.items(), ids=[said[12:60] for said in MISTAKES.values()])
def test_a_mistake_is_one_line_that_says_where_it_is(text: str, said: str) -> None:
    assert refused(text).startswith(said)


def test_more_rules_than_there_may_be_are_a_mistake() -> None:
    text = "".join(rule(id=f"r{n}", name=f"R{n}") for n in range(101))
    assert refused(text) == "rules.toml: there may be at most 100 rules, there are 101"


@given(st.text(alphabet="rsi clove*+-<>=.0123456789!\"'{}[]", max_size=30))
def test_whatever_stands_in_a_comparison_is_one_or_one_line(text: str) -> None:
    said = ""
    try:
        tp.parse_rules(rule('direction = "bullish"', all=json.dumps([text])))
    except SettingsError as error:
        said = str(error)
    assert "\n" not in said


def test_a_rule_is_what_was_written() -> None:
    text = rule(
        'direction = "bullish"\ncooldown = 4',
        all='["DojiPattern", { pattern = "hammer", within = 3, direction = "bullish" }, "close>-1.5*atr+vwap - 2"]',
    )
    (made,) = tp.parse_rules(text, "rules.toml")
    compared = Comparison(
        ((1.0, "close"),), ">", ((-1.5, "atr"), (1.0, "vwap"), (-2.0, None)), "close>-1.5*atr+vwap - 2"
    )
    assert made.all == (Member("doji"), Member("hammer", 3, "bullish"), compared)
    assert (made.direction, made.directions, made.cooldown, made.tier) == ("bullish", ("bullish",), 4, "intraday")
    assert (made.bars, made.source) == (14, "a rule of rules.toml")
    said = "rule: doji, bullish hammer within 3 bars, close>-1.5*atr+vwap - 2. Then 4 bars are silent."
    assert made.definition == said


def test_a_rule_that_says_no_direction_can_point_where_its_patterns_agree() -> None:
    for members, ways in {
        '["doji"]': ("neutral",),
        '["doji", "engulfing"]': ("bullish", "bearish"),
        '["doji", "hammer"]': ("bullish",),
        '["engulfing", { pattern = "macd_cross", direction = "bearish" }]': ("bearish",),
    }.items():
        assert tp.parse_rules(rule(all=members))[0].directions == ways


def test_rules_come_after_those_that_they_name_and_differ_in_tier_where_these_do() -> None:
    assert [each.id for each in RULES].index("no_reason") < [each.id for each in RULES].index("something")
    mixed = rule(all='["doji", "two"]') + rule('tier = "daily"', id="two", name="Two")
    two, one = tp.parse_rules(mixed)
    assert (two.id, two.tier, one.tier) == ("two", "daily", "combo")


def test_parameters_change_with_what_a_rule_says_or_one_that_it_names_and_with_nothing_else() -> None:
    def parameters(text: str) -> str:
        return next(each for each in tp.parse_rules(text) if each.id == "one").parameters

    two = rule(id="two", name="Two")
    before = parameters(rule(all='["two"]') + two)
    assert parameters(two + rule(all='["two"]', name="Other", more="told = false")) == before
    changed = [
        rule(all='["two"]') + rule(id="two", name="Two", more="cooldown = 1"),
        rule(all='["two"]', more="cooldown = 1") + two,
        rule(all='["two"]', more='direction = "bullish"') + two,
        rule(all='["two", "two"]') + two,
        rule(all='[{ pattern = "two", within = 2 }]') + two,
        rule(all="[]", more='any = ["two"]') + two,
    ]
    assert len({before, *map(parameters, changed)}) == len(changed) + 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_file_is_read_and_one_that_is_not_there_is_named(tmp_path: Path, file: Path) -> None:
    assert [each.id for each in tp.read_rules(file)] == [each.id for each in RULES]
    with pytest.raises(SettingsError, match=r"^rules: .*none.toml cannot be read: No such file or directory$"):
        tp.read_rules(tmp_path / "none.toml")


@pytest.mark.parametrize("words", [("run",), ("check",), ("scan", str(BARS)), ("calibrate", str(BARS)), ("patterns",)])
def test_a_mistake_in_the_file_ends_a_command_with_one_line(
    command: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(rule(all='["doj"]'), encoding="utf-8")
    environ = {"TICKSTOCKPL_PATTERNS__RULES": str(path), "DATABASE_URI": NOWHERE, "REDIS_URL": "redis://127.0.0.1:1/0"}
    line = f"{path}: rule one: all[1]: no pattern is called doj; did you mean doji?"
    if words == ("check",):
        done = command(*words, **environ)
        assert (done.returncode, f"FAIL selection: {line}\n" in done.stdout, done.stderr) == (2, True, "")
    elif words == ("patterns",):
        assert said_once(command(*words, "--rules", str(path))) == line
    else:
        assert said_once(command(*words, **environ)) == line


def test_a_rule_that_asks_for_bars_that_nobody_looks_at_ends_run_and_check_with_one_line(
    command: Run, tmp_path: Path
) -> None:
    path = tmp_path / "hour.toml"
    path.write_text(rule(all='[{ pattern = "doji", timeframe = "1hour" }]'), encoding="utf-8")
    environ = {"TICKSTOCKPL_PATTERNS__RULES": str(path), "DATABASE_URI": NOWHERE, "REDIS_URL": "redis://127.0.0.1:1/0"}
    line = f"{path}: rule one: doji is asked for on bars of 1hour: add these to patterns.timeframes, which has "
    few = environ | {"TICKSTOCKPL_PATTERNS__TIMEFRAMES": "1min,5min"}
    assert said_once(command("run", **few)) == f"{line}1min, 5min"
    assert f"FAIL selection: {line}1min, 5min\n" in command("check", **few).stdout
    assert "ok selection: the default patterns, 1 rule of" in " ".join(command("check", **environ).stdout.split())


def test_check_says_how_many_rules_there_are(command: Run, file: Path) -> None:
    done = command("check", TICKSTOCKPL_PATTERNS__RULES=str(file), TICKSTOCKPL_PATTERNS__ENABLED="doji")
    assert f"selection: 1 pattern, 9 rules of {file}; no symbol's indicators\n" in done.stdout


@pytest.mark.parametrize(
    ("more", "timeframes", "said"),
    [
        ('timeframe = "30min"', ("1min", "5min"), "30min"),
        ("", ("5min",), "1min"),
        ('timeframe = "30min"\ntold = false', ("1min", "5min"), None),
        ('timeframe = "30min"', ("30min",), None),
    ],
)
def test_a_rule_on_bars_that_are_not_looked_at_is_a_mistake_for_the_service_and_for_check(
    command: Run, state_dir: Path, tmp_path: Path, more: str, timeframes: tuple[str, ...], said: str | None
) -> None:
    path = tmp_path / "rules.toml"
    other = rule(f"timeframe = {json.dumps(timeframes[0])}", id="two", name="TwoRule")
    path.write_text(rule(more) + other, encoding="utf-8")
    environ = {"TICKSTOCKPL_PATTERNS__RULES": str(path), "TICKSTOCKPL_PATTERNS__TIMEFRAMES": ",".join(timeframes)}
    done = command("check", **environ)
    settings = Settings(patterns=PatternSettings(rules=path, timeframes=timeframes))
    if said is None:
        assert "ok   selection: the default patterns, " in done.stdout
        assert engine_settings(settings, xnys(state_dir), None).rules
        return
    line = (
        f"rule one is on bars of {said}, which patterns.timeframes does not name: add it there, or write told = false"
    )
    assert f"FAIL selection: {line} in the rule\n" in done.stdout
    with pytest.raises(SettingsError, match=f"^{line} in the rule$"):
        engine_settings(settings, xnys(state_dir), None)


def test_check_names_a_timeframe_that_there_is_not(command: Run) -> None:
    done = command("check", TICKSTOCKPL_PATTERNS__TIMEFRAMES="2min")
    assert "FAIL selection: patterns.timeframes: there is no 2min; there are 1min, " in done.stdout


def test_scan_and_calibrate_say_which_rules_are_on_other_bars(command: Run, tmp_path: Path) -> None:
    pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    path = tmp_path / "rules.toml"
    path.write_text(rule('timeframe = "30min"'), encoding="utf-8")
    words = ("scan", str(BARS), "--symbol", "ZZTEST1", "--rules", str(path), "--mode", "always")
    assert said_once(command(*words)) == f"--timeframe 1min: {path} has rules on other bars alone: one (30min)"
    assert command(*words, "--timeframe", "30min").stderr == ""
    path.write_text(rule('timeframe = "30min"') + rule(id="two", name="TwoRule"), encoding="utf-8")
    left = "tickstockpl: rules on other bars than those of 1min were left out: one (30min)\n"
    done = command(*words, "--rows", "1000")
    assert (done.returncode, done.stderr) == (0, left)
    found = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert found & {"one", "two"} == {"two"}
    done = command("calibrate", *words[1:], "--holdout", "0", "--placebo", "0")
    assert (done.returncode, done.stderr) == (0, left.replace("those of 1min", "those measured"))


def test_all_rules_are_told_unless_the_settings_name_some(file: Path) -> None:
    def told(*enabled: str) -> list[str]:
        settings = PatternSettings(rules=file, enabled=enabled or None)
        return [each.id for each in chosen_rules(settings) if each.told]

    every = [each.id for each in RULES if each.told]
    assert told() == told("doji") == told("cdl_*") == every
    assert told("doji", "either_way") == told("EitherWay") == ["either_way"]
    settings = PatternSettings(rules=file, enabled=("doji", "either_way"))
    assert enabled_patterns(settings, rules=chosen_rules(settings)) == ("doji",)
    with pytest.raises(SettingsError, match=r"no pattern is called either_wa; did you mean either_way\?"):
        enabled_patterns(PatternSettings(rules=file, enabled=("either_wa",)), rules=chosen_rules(settings))


def test_the_list_of_patterns_has_rules_and_says_all_of_one(command: Run, file: Path) -> None:
    done = command("patterns", "--rules", str(file), "--json")
    read = json.loads(done.stdout)
    assert [each["id"] for each in read] == [each["id"] for each in patterns_with(RULES)]
    assert [each["default"] for each in read[len(tp.PATTERNS) :]] == [each.told for each in RULES]
    assert {each["family"] for each in read[len(tp.PATTERNS) :]} == {"rule"}
    full = command("patterns", "busy_hammer", "--rules", str(file)).stdout
    assert "rule: cdl_hammer, relative_volume > 1. Then 5 bars are silent." in full
    assert command("patterns", "--rules", str(file)).stdout.endswith(f"\n{len(read)} patterns\n")


def test_scan_finds_what_tp_scan_finds_and_its_report_says_what_each_was_made_of(command: Run, file: Path) -> None:
    polars = pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    bars = columns({"ZZTEST1": swings(0, 3_000, units=10_000, step=0.01)})
    polars.DataFrame(bars).write_parquet("bars.parquet")
    words = ("scan", "bars.parquet", "--mode", "always", "--rules", str(file), "--pattern", "engulfed_turn")
    assert command(*words, "-o", "found.parquet").returncode == 0
    found = polars.read_parquet("found.parquet")
    (turn,) = (each for each in RULES if each.id == "engulfed_turn")
    expected = tp.scan(bars, (), rules=(turn,), settings=tp.EngineSettings(days=_days(bars)))
    assert found["event_id"].to_list() == [each.decode() for each in expected.event_id.tolist()] != []
    assert set(found["pattern_id"]) == {"engulfed_turn"}
    assert set(found["pattern"]) == {"EngulfTurn"}
    assert command(*words, "-o", "found.html").returncode == 0
    page = Path("found.html").read_text(encoding="utf-8")
    assert "Source: a rule of rules.toml." in page
    assert " · macd_cross at " in page


@pytest.mark.parametrize("timeframe", ["1min", "5min"])
def test_scan_and_calibrate_look_at_the_longer_bars_that_rules_name_and_tell_of_their_own(
    command: Run, tmp_path: Path, timeframe: str
) -> None:
    polars = pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    path = tmp_path / "longer.toml"
    path.write_text(LONGER_TEXT, encoding="utf-8")
    bars = columns({"ZZTEST1": swings(0, 3_000, units=10_000, step=0.01)})
    polars.DataFrame(bars).write_parquet("bars.parquet")
    ids = {"1min": ("with_the_hour", "dip_in_rise"), "5min": ("turn_in_five",)}[timeframe]
    words = ("bars.parquet", "--mode", "always", "--rules", str(path), "--timeframe", timeframe)
    named = [word for known in (*ids, "agreement") for word in ("--pattern", known)]
    done = command("scan", *words, *named, "-o", "found.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    found = polars.read_parquet("found.parquet")
    settings = tp.EngineSettings(days=_days(bars), timeframes=("1min", "5min", "15min", "1hour", "daily"))
    every = tp.scan(bars, ("agreement",), rules=tp.parse_rules(LONGER_TEXT), settings=settings)
    wanted = [
        every.event_id[row].decode()
        for row in (every.timeframe == tp.TIMEFRAMES.index(timeframe)).nonzero()[0].tolist()
        if every.patterns[every.pattern[row]]["id"] in (*ids, "agreement")
    ]
    assert found["event_id"].to_list() == wanted
    assert {*found["pattern_id"]} == {*ids, "agreement"}
    assert command("scan", *words, *named, "-o", "found.html").returncode == 0
    page = Path("found.html").read_text(encoding="utf-8")
    assert re.search(r" · [a-z_]+ at \d\d:\d\d \(15min\)", page)
    done = command("calibrate", *words, *named, "--placebo", "0", "--holdout", "0", "-o", "rates.json")
    assert (done.returncode, done.stderr) == (0, "")
    measured = Counter[str]()
    for group in rate_file.read(Path("rates.json")).groups:
        measured[group.pattern] += group.pooled.n
    of_scan = Counter(found["pattern_id"].to_list())
    assert {*measured} == {*of_scan}
    assert measured <= of_scan


def _days(bars: Any) -> Any:
    """Days of New York in winter, as `--mode always` counts."""
    first = min(bars["ts_us"]) // 86_400_000_000 - 1
    opens = (np.arange(first, first + 8) * 24 + 5) * 3_600_000_000
    return np.stack([opens, opens + 86_400_000_000], axis=1)


def test_rates_of_a_rule_are_measured_and_told_until_it_says_something_else(
    command: Run, file: Path, tmp_path: Path
) -> None:
    polars = pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    polars.DataFrame(columns({"ZZTEST1": swings(0, 3_000, units=10_000, step=0.01)})).write_parquet("bars.parquet")
    words = ("calibrate", "bars.parquet", "--mode", "always", "--rules", str(file), "--placebo", "0", "--holdout", "0")
    done = command(*words, "--pattern", "doji", "--pattern", "either_way", "-o", "rates.json")
    assert (done.returncode, done.stderr) == (0, "")
    rates = tmp_path / "rates.json"
    Path("rates.json").replace(rates)
    settings = PatternSettings(rules=file, rates=rates, enabled=("doji", "either_way"))
    table = rate_table(settings, chosen_rules(settings))
    assert table is not None
    assert set(table.highest) == {"doji", "either_way"}
    file.write_text(TEXT.replace("within = 8", "within = 9"), encoding="utf-8")
    table = rate_table(settings, chosen_rules(settings))
    assert table is not None
    assert (set(table.highest), table.stale) == ({"doji"}, ("either_way",))


def test_definitions_switch_rules_by_id_and_by_name() -> None:
    patterns = patterns_with(RULES)
    names = Names(patterns)
    made = Switches.of(
        [Definition("EitherWay", enabled=False), Definition("no_reason", True, 0.9)], patterns, names.ids_of
    )
    assert (made.off, made.least, made.unknown) == (frozenset({"either_way"}), {"no_reason": 0.9}, ())
    bars = columns({"ZZTEST1": swings(0, 3_000, units=10_000, step=0.01)})
    found = tp.scan(bars, (), rules=RULES)
    muted = made.applied(EventColumns.of(found)).muted
    off = [found.patterns[pattern]["id"] == "either_way" for pattern in found.pattern.tolist()]
    assert (muted & SWITCHED_OFF != 0).tolist() == off
    assert sum(off) > 0


def test_a_definition_is_another_text_once_a_rule_is_another() -> None:
    before = definitions_of(patterns_with(RULES))
    after = definitions_of(patterns_with(tp.parse_rules(TEXT.replace("rsi < 45", "rsi < 46"))))
    assert [known for known in before if before[known] != after[known]] == ["oversold_pause"]


def test_an_event_of_a_rule_says_its_members_in_both_messages_and_in_the_table() -> None:
    id_of_hammer = "36032cf6-9bde-506f-9ec0-3168c6d7661a"
    members = (
        MadeOf("hammer", 1, 0.8, "1min", 1_757_600_340_000_000, 1_757_600_400_000_000, id_of_hammer),
        MadeOf("doji", 0, 0.5, "1hour", 1_757_597_400_000_000, 1_757_601_000_000_000, None),
    )
    made = events(event(pattern_id="one", pattern="RuleOne", members=members), event())
    assert [one.members for one in made] == [members, ()]
    told = [
        {"pattern_id": "hammer", "direction": "bullish", "confidence": 0.8, "timeframe": "1min"}
        | {"bar_start": 1_757_600_340.0, "bar_end": 1_757_600_400.0, "event_id": id_of_hammer},
        {"pattern_id": "doji", "direction": "neutral", "confidence": 0.5, "timeframe": "1hour"}
        | {"bar_start": 1_757_597_400.0, "bar_end": 1_757_601_000.0},
    ]
    columns, rows = made.columns, made.rows
    universal = [json.loads(each) for _, each in published(made.encoder.universal(columns, rows, "c", 0, 1))]
    assert [each["data"].get("members") for each in universal] == [told, None]
    streaming = [json.loads(each) for _, each in published(made.encoder.streaming(columns, rows, "c", "s", 1))]
    assert [each["detection"]["metadata"].get("members") for each in streaming] == [told, None]
    assert made.encoder.staged(columns, rows).count(b'"members":[{"pattern_id":"hammer","direction":"bullish"') == 1


def test_events_keep_their_members_when_they_are_joined_and_cut_down() -> None:
    bars = columns({"ZZTEST1": swings(0, 3_000, units=10_000, step=0.01)})
    found = tp.scan(bars, ("engulfing",), rules=RULES)
    patterns = found.patterns
    encoder = events(event()).encoder
    every = Events(EventColumns.of(found), patterns, encoder, np.arange(len(found)))
    chosen = every.where(np.arange(1, len(found), 3))
    assert any(one.members for one in chosen)
    assert [one.members for one in Events(chosen.compact(), patterns, encoder, np.arange(len(chosen)))] == [
        one.members for one in chosen
    ]
    parts = [every[:10], every[10:500], every[500:]]
    assert [one.members for one in Events.joined(parts)] == [one.members for one in every]
