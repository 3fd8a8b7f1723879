"""What was missed is said of all that is measured from it: levels of sessions seen in part, and bars over a hole."""

import json
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
    """A session seen until 09:40 has no high and no close."""
    assert {name for name, *_ in found(LEVELS)} == set(LEVELS), "the market has them"
    assert found(LEVELS, gone=minutes(2, 10, SESSION), flagged={(2, 9): GAP}) == []


def test_a_session_that_was_heard_again_is_measured_from_and_flagged() -> None:
    hole: dict[str, Any] = {"gone": minutes(2, 10, 60), "flagged": {(2, 9): GAP, (2, 60): GAP}}
    told = found(LEVELS, **hole)
    assert {name for name, *_ in told} == set(LEVELS)
    assert {flags for *_, flags in told} == {GAP}
    assert {flags for *_, flags in found(LEVELS)} == {0}


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


Longer = dict[tuple[str, str, int], int]
"""Flags by symbol, timeframe and the minute of the session at which the bar starts."""


class Wire:
    """A session's trades live: of BUSY every minute, of THIN every seventh, with its longer bars and their events."""

    def __init__(self) -> None:
        self.told = tp.EngineSettings(
            session_mode="regular",
            sessions=sessions(10),
            timeframes=("1min", "5min", "1hour", "daily", "weekly"),
            patterns=("closed_in_top_range",),
            benchmark=None,
        )
        self.engine = tp.Engine(self.told)
        self.longer: Longer = {}
        self.events: set[tuple[str, str, int]] = set()

    def subscribe(self, minute: int, *, first: bool) -> None:
        self.engine.subscribed(OPEN_US + minute * MINUTE, first)

    def hear(self, first: int, end: int, channel: int = 0) -> None:
        """Minutes after the first session's open, from `first` to before `end`."""
        for minute in range(first, end):
            traded = ["BUSY"] if minute % 7 != 1 or minute < 0 else ["BUSY", "THIN"]
            end_us, price = OPEN_US + (minute + 1) * MINUTE, 100 + minute / 100
            ticks = [
                {"ticker": name, "price": price, "volume": 7, "timestamp": end_us / 1e6}
                | {"event_type": "A", "tick_open": price - 1, "tick_high": price + 0.01, "tick_low": price - 1}
                for name in traded
            ]
            self.keep(self.engine.ingest([json.dumps(each).encode() for each in ticks], end_us, channel))
            self.keep(self.engine.advance(end_us + 500_000))

    def keep(self, output: tp.Output) -> None:
        bars, found = output.longer, output.detections
        for at, us in enumerate(bars.ts_us.tolist()):
            name, timeframe = bars.symbols[bars.symbol[at]], tp.TIMEFRAMES[bars.timeframe[at]]
            self.longer[name, timeframe, (us - OPEN_US) // MINUTE] = int(bars.quality[at])
        for at, us in enumerate(found.ts_us.tolist()):
            if found.timeframe[at]:
                name, timeframe = found.symbols[found.symbol[at]], tp.TIMEFRAMES[found.timeframe[at]]
                self.events.add((name, timeframe, (us - OPEN_US) // MINUTE))

    def of(self, name: str, timeframe: str) -> dict[int, int]:
        return {at: flags for (who, which, at), flags in self.longer.items() if (who, which) == (name, timeframe)}


def test_an_outage_is_in_a_channels_standing() -> None:
    wire = Wire()
    wire.subscribe(-30, first=True)
    wire.hear(-20, 80)
    wire.subscribe(150, first=False)
    wire.hear(150, 170)
    standing = wire.engine.standing()
    wire.engine = tp.Engine(wire.told)
    wire.engine.resume(standing)
    wire.longer.clear()
    wire.hear(170, SESSION)
    wire.keep(wire.engine.flush())
    assert {at for at, flags in wire.of("THIN", "1hour").items() if flags} == {120}
    assert wire.of("THIN", "daily") == {0: GAP}


@pytest.mark.parametrize("restored", [False, True])
def test_longer_bars_over_an_outage_are_flagged_whoever_traded_when_it_began_and_ended(restored: bool) -> None:
    """80 to 149 are not heard: THIN traded in 78 and again in 155, so that none of its minutes is flagged."""
    wire = Wire()
    wire.subscribe(-30, first=True)
    wire.hear(-20, 80)
    wire.subscribe(150, first=False)
    wire.hear(150, 170)
    if restored:
        again = tp.Engine(wire.told)
        again.restore(wire.engine.snapshot())
        wire.engine = again
    wire.hear(170, SESSION)
    wire.keep(wire.engine.flush())
    hours = {hour: GAP if hour in (60, 120) else 0 for hour in range(0, SESSION, 60)}
    assert wire.of("THIN", "1hour") == wire.of("BUSY", "1hour") == hours
    assert wire.of("THIN", "daily") == wire.of("BUSY", "daily") == {0: GAP}
    assert wire.of("THIN", "5min")[75] == wire.of("BUSY", "5min")[75] == GAP, "the last tick before it was in 79"
    assert {at for at, flags in wire.of("THIN", "5min").items() if flags} == {75}
    assert ("THIN", "1hour", 0) in wire.events
    assert not {(name, "1hour", at) for name in ("THIN", "BUSY") for at in (60, 120)} & wire.events
    assert not {event for event in wire.events if event[1] == "daily"}, "that day was not seen whole"


def test_without_an_outage_no_longer_bar_is_flagged() -> None:
    wire = Wire()
    wire.subscribe(-30, first=True)
    wire.hear(-20, SESSION)
    wire.keep(wire.engine.flush())
    assert set(wire.longer.values()) == {0}
    assert {("THIN", "daily", 0), ("BUSY", "daily", 0)} <= wire.events


def test_what_is_told_of_before_the_first_tick_flags_longer_bars_too() -> None:
    wire = Wire()
    wire.engine.missed(OPEN_US + 61 * MINUTE, OPEN_US + 65 * MINUTE)
    wire.engine.missed(OPEN_US + 130 * MINUTE, OPEN_US + 130 * MINUTE)
    wire.engine.missed(-(2**63), 2**63 - 1)
    wire.subscribe(-30, first=True)
    wire.hear(-20, SESSION)
    wire.keep(wire.engine.flush())
    assert {at for at, flags in wire.of("THIN", "1hour").items() if flags} == {60}
    assert {at for at, flags in wire.of("BUSY", "5min").items() if flags} == {60}
    assert wire.of("THIN", "daily") == {0: GAP}


def test_an_outage_between_two_sessions_flags_neither_of_them_nor_their_week() -> None:
    """The link is lost half an hour after the close, and is back an hour before the next open."""
    wire, next_day = Wire(), 1440
    wire.subscribe(-30, first=True)
    wire.hear(-20, SESSION + 30)
    wire.subscribe(next_day - 60, first=False)
    wire.hear(next_day - 60, next_day + SESSION + 30)
    wire.hear(7 * next_day, 7 * next_day + SESSION)
    assert wire.of("THIN", "daily") == wire.of("BUSY", "daily") == {0: 0, next_day: 0}
    assert wire.of("THIN", "weekly") == wire.of("BUSY", "weekly") == {0: 0}


def test_an_outage_within_a_session_flags_its_week() -> None:
    wire = Wire()
    wire.subscribe(-30, first=True)
    wire.hear(-20, 80)
    wire.subscribe(150, first=False)
    wire.hear(150, SESSION)
    wire.hear(7 * 1440, 7 * 1440 + SESSION)
    assert wire.of("THIN", "weekly") == wire.of("BUSY", "weekly") == {0: GAP}


def test_what_lies_between_history_and_the_first_tick_is_flagged() -> None:
    """History ends with minute 69; the first tick is of minute 150."""
    wire = Wire()
    columns = {name: np.full(70, 100.0) for name in ("open", "high", "low", "close")}
    columns |= {"ts_us": OPEN_US + np.arange(70) * MINUTE, "volume": np.full(70, 7), "symbol": np.array(["THIN"] * 70)}
    wire.engine.longer_from(OPEN_US)
    assert wire.engine.warm(columns_of_bars(columns)) == 70
    wire.subscribe(150, first=True)
    wire.hear(150, SESSION)
    wire.keep(wire.engine.flush())
    assert wire.of("THIN", "1hour") == {60: PARTIAL_START, 120: PARTIAL_START, 180: 0, 240: 0, 300: 0, 360: 0}
    assert wire.of("THIN", "daily") == {0: PARTIAL_START}


@pytest.mark.parametrize("known", [False, True])
def test_a_channel_that_speaks_again_hours_later_ends_no_outage(known: bool) -> None:
    """What it may have missed lies before the first tick of the other one."""
    wire = Wire()
    wire.subscribe(-30, first=True)
    if known:
        wire.hear(-20, -19, channel=1)
    wire.hear(-19, 80)
    wire.subscribe(150, first=False)
    wire.hear(150, 200)
    wire.hear(200, 201, channel=1)
    wire.hear(201, SESSION)
    wire.keep(wire.engine.flush())
    hours = {hour: GAP if hour in (60, 120) else 0 for hour in range(0, SESSION, 60)}
    assert wire.of("THIN", "1hour") == hours
    assert {at for at, flags in wire.of("THIN", "5min").items() if flags} == {75}
