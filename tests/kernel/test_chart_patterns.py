"""Chart patterns and breakouts of the engine are the oracle's: on swings, over sessions, after late ticks."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import tickstockpl as tp
from oracle_bars import Bar, Found
from oracle_breakouts import BREAKOUTS
from oracle_charts import CHARTS
from oracle_levels import LEVELS
from oracle_patterns import IDS, detections
from pattern_play import (
    MARKET,
    MINUTE_US,
    MONDAY_US,
    US22,
    Sessions,
    are_alike,
    assert_equal_to_oracle,
    event,
    held_against,
    in_sequence,
    market_data,
    message,
    scanned,
    settings,
)
from swing_walk import FIGURES, swings
from tickstockpl.selection import within_reach

DAY_US = 1_440 * MINUTE_US
WEEK_US = 7 * DAY_US

GRIDS = {
    "cents": (10_000, 0.01),
    "binary": (6_400, 1 / 64),
    "fives": (2_000, 5.0),
    "sub-penny": (20_000, 0.0001),
    "large": (80_000, 0.5),
}
"""Units of a price, and what one of them is."""

BODIES_OF_A_CENT = {"hammer_spec", "hanging_man_spec"}


def on_grid(grid: str) -> dict[str, list[Bar]]:
    units, step = GRIDS[grid]
    return {f"ZZTEST{seed}": swings(seed, 1_400, units=units, step=step) for seed in range(3)}


@pytest.mark.parametrize("grid", GRIDS)
def test_detections_on_swings_are_the_oracles(grid: str) -> None:
    fired = assert_equal_to_oracle(on_grid(grid))
    assert sum(fired[pattern] for pattern in CHARTS) > 150


def sessions_of(days: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Sessions by days after the Monday, minutes after midnight, and their length in minutes."""
    return [
        (MONDAY_US + (day * 1_440 + start) * MINUTE_US, MONDAY_US + (day * 1_440 + start + length) * MINUTE_US)
        for day, start, length in days
    ]


SESSIONS = sessions_of(
    [
        *((0, 870, 390), (1, 870, 210), (2, 810, 390), (4, 810, 390), (7, 810, 30), (8, 810, 390)),
        *((day, 810, 45) for day in (9, 10, 11, 14, 15, 16, 17, 18, 21, 22, 23, 24, 35, 36, 37, 38, 39, 42)),
    ]
)
"""Whole days and short ones, a change of the clock, a holiday, a day of half an hour, weekends, a week without any."""


def market(seed: int, *, units: int, step: float) -> list[Bar]:
    """Swings by session, most of them a gap away from the one before, and one a split.

    With hours outside of sessions, minutes missing, and sessions whose first bar comes late.
    """
    rng = random.Random(seed)
    made: list[Bar] = []
    for place, (open_us, close_us) in enumerate(SESSIONS):
        away = units // rng.choice((30, 80, 150))
        units = max(1_000, units + rng.choice((0, 1, 1)) * rng.randint(-away, away))
        if place == 19:
            units //= 2
        start_us = open_us - 30 * MINUTE_US
        minutes = (close_us - open_us) // MINUTE_US + 45
        bars = swings(100 * seed + place, minutes, units=units, step=step, start_us=start_us)
        opens_late = open_us + rng.choice((0, 0, 3, 20)) * MINUTE_US
        made += [bar for bar in bars if not open_us <= bar.ts_us < opens_late and rng.random() < 0.97]
        units = round(bars[-1].close / step)
    return made


@pytest.mark.parametrize("grid", ["cents", "binary"])
def test_each_session_begins_anew_with_the_200_bars_before_it(grid: str) -> None:
    units, step = GRIDS[grid]
    series = {f"ZZTEST{seed}": market(seed, units=units, step=step) for seed in (3, 4, 5)}
    fired = assert_equal_to_oracle(series, sessions=SESSIONS)
    of_sessions = {"opening_range_5", "opening_range_30", "day1_breakout", "golden_cross", *LEVELS}
    assert min(fired[pattern] for pattern in of_sessions) > 0


def with_gaps(bars: Sequence[Bar], seed: int) -> list[Bar]:
    """The same bars, minutes, hours and days apart."""
    rng = random.Random(seed)
    ts_us, made = bars[0].ts_us, []
    for bar in bars:
        made.append(Bar(ts_us, bar.open, bar.high, bar.low, bar.close, bar.volume))
        ts_us += rng.choices((1, 2, 30, 400, 4_000), (300, 20, 4, 2, 1))[0] * MINUTE_US
    return made


def test_gaps_of_minutes_and_days_are_the_oracles() -> None:
    series = {f"ZZTEST{seed}": with_gaps(swings(seed, 1_200, units=10_000, step=0.01), seed) for seed in range(3)}
    assert_equal_to_oracle(series)


def path(start: float, *legs: tuple[float, int]) -> list[Bar]:
    """Straight legs, each a price and the bars that lead to it."""
    made, price = [Bar(0, start, start, start, start, 100)], start
    for end, bars in legs:
        for left in range(bars, 0, -1):
            close = price + (end - price) / left
            made.append(Bar(0, price, max(price, close), min(price, close), close, 100))
            price = close
    return in_sequence(made)


def planted(figure: Sequence[float], bars: Sequence[int] = (), *, size: float = 4.0) -> list[Bar]:
    """Legs to a figure's turning points, in units of its size, each in so many bars, after one that leads there."""
    legs, price = [(200.0, 14)], 200.0
    for place, end in enumerate(figure):
        target = 200.0 + size * end
        legs.append((target, bars[place] if bars else max(1, round(abs(target - price) / 4))))
        price = target
    return path(232.0 if figure[0] > 0 else 168.0, *legs)


PLANTED: list[tuple[Sequence[float], Sequence[int]]] = [
    *((figure, [round(abs(end - start)) for start, end in pairwise((0, *figure))]) for figure in FIGURES),
    ((10, 0, 10, -8), (10, 2, 3, 6)),
    ((18, 11.5, 15.5, 11.5, 15.5, 22), (6, 2, 3, 3, 3, 1)),
    ((20, 12, 14, 13, 24), (8, 3, 2, 3, 1)),
    ((12, 2, 12, 8, 24), (12, 12, 12, 5, 10)),
    ((10, 3.8, 7.6, 2.2, 9), (10, 6, 4, 5, 7)),
    ((10, 5, 8, -6.2, 2), (10, 5, 4, 12, 7)),
]
"""Turning points, and the bars that lead to each: what swings go along, quick tops, flags, a cup, harmonic shapes."""


def moved(figure: Sequence[float], bars: Sequence[int]) -> list[list[Bar]]:
    """A figure with each of its turning points moved up and down by hundredths of it, and each leg by single bars."""
    made = [planted(figure, size=place / 10) for place in range(6, 40)]
    for point in range(len(figure)):
        for step in range(-26, 27, 2):
            ends = list(figure)
            ends[point] += step / 10
            made.append(planted(ends, bars))
        steps = (-8, -6, -4, -3, -2, -1, 1, 2, 3, 4, 6, 8, 9, 10)
        for step in (*steps, *(range(12, 80, 2) if point == len(figure) - 1 else (16, 24, 25, 26, 32))):
            counts = list(bars)
            counts[point] = max(1, counts[point] + step)
            made.append(planted(figure, counts))
    return made


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_planted_figures_are_the_oracles_wherever_their_points_are(number: int) -> None:
    """Every other one upside down."""
    figure, bars = PLANTED[number]
    cases = moved([(-1) ** number * end for end in figure], bars)
    series = {f"ZZ{place}": bars for place, bars in enumerate(cases)}
    found = scanned(series, CHARTS)
    fired = sum((held_against(symbol, bars, found, CHARTS) for symbol, bars in series.items()), Counter[str]())
    assert fired.total() > len(series) / 2


def test_every_pattern_is_found_in_those_swings_sessions_and_figures() -> None:
    units, step = GRIDS["cents"]
    in_sessions = scanned({"ZZTEST1": market(2, units=units, step=step)}, sessions=SESSIONS)
    fired: Counter[str] = Counter()
    figures = {f"ZZ{place}": planted(figure, bars) for place, (figure, bars) in enumerate(PLANTED)}
    for found in (in_sessions, scanned(figures), *(scanned(on_grid(grid)) for grid in GRIDS)):
        fired.update(match.pattern for matches in found.values() for match in matches)
    assert set(fired) == set(IDS)
    own = {pattern["id"] for pattern in tp.PATTERNS if pattern["talib_name"] is None}
    assert own - {*IDS, "agreement"} == set(), "without an oracle; agreement has its own in test_agreement.py"
    assert set(IDS) <= own


@pytest.mark.parametrize("weeks", [1, 52, -300])
def test_the_same_bars_in_other_weeks_say_the_same_there(weeks: int) -> None:
    units, step = GRIDS["cents"]
    away_us = weeks * WEEK_US
    bars = market(2, units=units, step=step)
    there = {"ZZTEST1": [replace(bar, ts_us=bar.ts_us + away_us) for bar in bars]}
    found = scanned({"ZZTEST1": bars}, sessions=SESSIONS)["ZZTEST1"]
    expected = [
        match._replace(
            ts_us=match.ts_us + away_us,
            first_us=match.first_us + away_us,
            points=tuple((role, ts_us + away_us, price) for role, ts_us, price in match.points),
        )
        for match in found
    ]
    sessions = [(open_us + away_us, close_us + away_us) for open_us, close_us in SESSIONS]
    assert scanned(there, sessions=sessions)["ZZTEST1"] == expected
    assert len({match.pattern for match in found}) > 50


@pytest.mark.parametrize(("swings_since", "is_over"), [(12, False), (14, True)])
def test_a_figure_is_over_when_its_pivots_are_no_longer_among_the_newest_16(swings_since: int, is_over: bool) -> None:
    """Two tops 100 bars apart, swings that fall too fast for tops of their own, and a close below the low between."""
    down = [(160.0 - 4 * place + 16 * (place % 2), 5) for place in range(swings_since)]
    bars = path(100.0, (200.0, 50), (100.0, 50), (200.0, 50), *down, (90.0, 10))
    fired = assert_equal_to_oracle({"ZZTEST1": bars}, ids=("double_top",))
    assert fired["double_top"] == (0 if is_over else 1)


def disguised(bars: Sequence[Bar], *, later_us: int = 0, times: int = 1) -> list[Bar]:
    def same(bar: Bar) -> Bar:
        open_, high, low, close = (times * price for price in (bar.open, bar.high, bar.low, bar.close))
        return Bar(bar.ts_us + later_us, open_, high, low, close, bar.volume)

    return [same(bar) for bar in bars]


@pytest.mark.parametrize("weeks", [1, 52, -400])
def test_the_same_bars_whole_weeks_later_give_the_same_events(weeks: int) -> None:
    bars = swings(7, 3_000, units=10_000, step=0.01)
    later_us = weeks * WEEK_US
    moved = [
        match._replace(
            ts_us=match.ts_us + later_us,
            first_us=match.first_us + later_us,
            points=tuple((role, ts_us + later_us, price) for role, ts_us, price in match.points),
        )
        for match in scanned({"ZZTEST1": bars})["ZZTEST1"]
    ]
    assert scanned({"ZZTEST1": disguised(bars, later_us=later_us)})["ZZTEST1"] == moved


IN_PRICE = {"trending_up_spec", "trending_down_spec"}
"""Rules with a threshold in price."""


def test_prices_ten_times_as_high_give_the_same_events_ten_times_as_high() -> None:
    """Whole prices, so that ten times one is what a tenfold price would be."""
    bars = swings(8, 4_000, units=4_000, step=1.0)
    found, expected = (
        [match for match in scanned({"X": each})["X"] if match.pattern in {*CHARTS, *BREAKOUTS} - IN_PRICE]
        for each in (disguised(bars, times=10), bars)
    )
    assert len({match.pattern for match in expected} & set(CHARTS)) > 20
    for one, other in zip(found, expected, strict=True):
        assert are_alike(one, ten_times(other)), f"{other}\nten times as high: {one}"


def ten_times(match: Found) -> Found:
    def tenfold(level: float | None) -> float | None:
        return None if level is None else 10 * level

    return match._replace(
        entry=10 * match.entry,
        stop=tenfold(match.stop),
        target=tenfold(match.target),
        invalidation=tenfold(match.invalidation),
        points=tuple((role, ts_us, 10 * price) for role, ts_us, price in match.points),
    )


SHORT = [(MONDAY_US + place * MINUTE_US, MONDAY_US + (place + 40) * MINUTE_US) for place in range(0, 1_000, 40)]
"""One session after the other, so that late ticks go back over an open."""


class Late:
    """Bars of which some are told of late: each late tick goes past the bar's extreme, so that pivots move."""

    def __init__(self, seed: int, bars: int) -> None:
        rng = random.Random(seed)
        self.first = swings(seed, bars, units=10_000, step=0.01)
        self.revised = list(self.first)
        self.ticks: dict[int, list[tuple[int, Bar]]] = {}
        """By the bar after which they come."""
        for place in range(20, bars - 20):
            if rng.random() > 0.1:
                continue
            old = self.first[place]
            price = round(rng.choice((old.high + rng.randint(1, 60) / 100, old.low - rng.randint(1, 60) / 100)), 2)
            self.ticks.setdefault(place + rng.randint(1, 13), []).append((place, Bar(old.ts_us, *(price,) * 4, 1)))
            high, low = max(old.high, price), min(old.low, price)
            self.revised[place] = Bar(old.ts_us, old.open, high, low, price, old.volume + 1)

    def play(
        self, *, in_time: bool, sessions: Sessions | None = None, window: int = 200
    ) -> tuple[tp.Engine, list[tp.Detections]]:
        engine = tp.Engine(within_reach(settings(sessions=sessions, window=window)))
        outputs = []
        early = {place: tick for ticks in self.ticks.values() for place, tick in ticks}
        for place, bar in enumerate(self.first):
            messages = [message("ZZTEST1", bar)]
            if in_time and place in early:
                messages.append(message("ZZTEST1", early[place], 30))
            outputs.append(engine.ingest(messages, bar.ts_us + 31_000_000).detections)
            for _, tick in () if in_time else self.ticks.get(place, ()):
                outputs.append(engine.ingest([message("ZZTEST1", tick, 30)], bar.ts_us + 32_000_000).detections)
        return engine, outputs


@pytest.mark.parametrize(("seed", "sessions"), [(0, None), (1, None), (2, SHORT), (3, SHORT)])
def test_a_late_tick_that_moves_a_pivot_withdraws_what_no_longer_holds(seed: int, sessions: Sessions | None) -> None:
    late = Late(seed, 700)
    engine, outputs = late.play(in_time=False, sessions=sessions)
    outputs.append(engine.flush().detections)
    holding: dict[tuple[int, str, int], str] = {}
    charts_gone = replaced = 0
    for rows in outputs:
        gone: dict[int, dict[str, str]] = {}
        for row in range(len(rows)):
            match, name = event(rows, row), rows.event_id[row].decode()
            key, superseded = (match.ts_us, match.pattern, match.direction), rows.supersedes[row].decode()
            if not rows.held[row]:
                assert holding.pop(key) == name
                gone.setdefault(match.ts_us, {})[name] = match.pattern
                charts_gone += match.pattern in CHARTS
                continue
            assert key not in holding
            holding[key] = name
            if superseded:
                replaced += 1
                patterns = gone[match.ts_us]
                # that of its own kind, if there was one
                assert patterns[superseded] == match.pattern or match.pattern not in patterns.values()
    assert engine.counters()["revised"] > 40
    assert charts_gone > 3
    assert replaced > 20
    expected = {(match.ts_us, match.pattern, match.direction) for match in detections(late.revised, sessions)}
    assert set(holding) == expected


@pytest.mark.parametrize(
    ("seed", "sessions", "window"),
    [(0, None, 200), (1, SHORT, 200), (2, None, 34), (3, None, 190), (4, SHORT, 190), (5, None, 260)],
)
def test_after_late_ticks_the_rest_is_what_it_had_been_had_they_been_in_time(
    seed: int, sessions: Sessions | None, window: int
) -> None:
    late = Late(seed, 500)
    (one, _), (other, _) = (late.play(in_time=in_time, sessions=sessions, window=window) for in_time in (False, True))
    rest = swings(seed + 50, 300, units=10_000, step=0.01, start_us=late.first[-1].ts_us + MINUTE_US)
    for bar in rest:
        messages = [message("ZZTEST1", bar)]
        outputs = [engine.ingest(messages, bar.ts_us + 1_000_000) for engine in (one, other)]
        after_late, after_timely = (said(output.detections) for output in outputs)
        assert after_late == after_timely


def said(rows: tp.Detections) -> list[Found]:
    return [event(rows, row) for row in range(len(rows))]


@market_data
def test_chart_patterns_come_as_often_as_their_thresholds_were_chosen_for() -> None:
    script = Path(__file__).parents[2] / "scripts/pattern_rates.py"
    command = [sys.executable, str(script), str(MARKET / US22), "--shuffles", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("43,164 bars of 24 symbols")
    assert "far" not in done.stdout
