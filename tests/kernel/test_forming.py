"""What forms: nothing is confirmed that did not form before, and what a close triggers is confirmed."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

import tickstockpl as tp
from oracle_bars import Bar
from oracle_charts import CHARTS
from oracle_day import Day
from oracle_swings import pivots
from pattern_play import MINUTE_US, MONDAY_US, US22, columns, is_close, market_data, message, real_bars, settings
from swing_walk import swings
from tickstockpl.kernel import columns_of_bars

AT_ONCE = {
    *("higher_highs", "lower_lows", "break_of_structure", "change_of_character", "rsi_divergence", "macd_divergence"),
    *("gartley", "bat", "butterfly", "crab"),
}
"""Confirmed as they form: nothing of them is ever seen forming."""

FORM = [pattern for pattern in CHARTS if pattern not in AT_ONCE]
TURNS = ("v_top", "v_bottom")


class Row(NamedTuple):
    """A way out of a figure."""

    pattern: str
    direction: int
    timeframe: str
    ts_us: int
    trigger: float
    slope: float
    stop: float
    target: float
    confidence: float
    waited: int
    left: int
    points: tuple[tuple[str, int, float], ...]


def rows(now: tp.Forming, symbol: str = "A") -> list[Row]:
    """Those of a symbol."""
    cells = {name: column.tolist() for name, column in now.to_dict().items()}
    return [
        Row(
            now.patterns[cells["pattern"][at]]["id"],
            cells["direction"][at],
            tp.TIMEFRAMES[cells["timeframe"][at]],
            cells["ts_us"][at],
            cells["trigger"][at],
            cells["slope"][at],
            cells["stop"][at],
            cells["target"][at],
            cells["confidence"][at],
            cells["waited"][at],
            cells["left"][at],
            tuple(now.points(at)),
        )
        for at in range(len(now))
        if now.symbols[cells["symbol"][at]] == symbol
    ]


class Step(NamedTuple):
    """A bar, what formed before it, the events on it and what forms with it."""

    bar: Bar
    before: list[Row]
    events: list[tuple[str, int, float, float, tuple[tuple[str, int, float], ...]]]
    after: list[Row]


def steps(bars: Sequence[Bar], ids: Sequence[str] = CHARTS) -> Iterator[Step]:
    """Bar by bar. An event: pattern, direction, stop, target, points."""
    engine = tp.Engine(settings(ids))
    before: list[Row] = []
    for bar in bars:
        found = engine.replay(given([bar])).detections
        events = [
            (
                found.patterns[found.pattern[at]]["id"],
                int(found.direction[at]),
                float(found.stop[at]),
                float(found.target[at]),
                tuple(found.points(at)),
            )
            for at in range(len(found))
        ]
        after = rows(engine.forming())
        yield Step(bar, before, events, after)
        before = after


def given(bars: Sequence[Bar]) -> Any:
    """The bars of one symbol, as an engine takes them."""
    return columns_of_bars(columns({"A": list(bars)}))


def held_together(bars: Sequence[Bar]) -> Counter[str]:
    """Events of a session and what formed before them say the same; how many of each were seen to form first."""
    day = Day([], bars, bars[0].ts_us, {bars[0].ts_us})
    shown = {bars[pivot.seen].ts_us for pivot in pivots(day)}
    formed: Counter[str] = Counter()
    for bar, before, events, after in steps(bars):
        waiting = {(row.pattern, row.direction, row.points): row for row in before}
        for pattern, direction, stop, target, points in events:
            if pattern in AT_ONCE:
                continue
            row = waiting.get((pattern, direction, points[:-1]))
            if row is None:
                # a pivot has just made it, or the average range has just shrunk to a fifth of the leg into a turn
                assert bar.ts_us in shown or pattern in TURNS, (pattern, bar)
                continue
            formed[pattern] += 1
            assert direction * (bar.close - row.trigger) >= 0, (row, bar)
            assert is_close(row.stop, stop)
            assert is_close(row.target, target)
        told = {(pattern, direction) for pattern, direction, *_ in events}
        for row in before:
            if bar.ts_us not in shown and row.pattern not in TURNS and row.direction * (bar.close - row.trigger) > 1e-9:
                assert (row.pattern, row.direction) in told, (row, bar)
        kept = {(row.pattern, row.direction, row.points): row for row in after}
        for key in kept.keys() & waiting.keys():
            assert kept[key].waited == waiting[key].waited + 1
            assert kept[key].left == waiting[key].left - 1
            assert is_close(kept[key].trigger, waiting[key].trigger + waiting[key].slope)
        assert all(row.ts_us == bar.ts_us and row.left > 0 and row.pattern not in AT_ONCE for row in after)
    return formed


@pytest.mark.parametrize("seed", range(4))
def test_what_a_later_close_confirms_had_formed_with_its_points_and_levels(seed: int) -> None:
    assert held_together(swings(seed, 1_400, units=10_000, step=0.01)).total() > 30


def test_every_figure_that_waits_for_a_close_is_seen_to_form() -> None:
    seen: Counter[str] = Counter()
    for seed in range(10, 30):
        for step in steps(swings(seed, 1_000, units=10_000, step=0.01), FORM):
            seen.update(row.pattern for row in step.after if row.waited == 0)
    assert {*FORM} - {*seen} <= {"cup_and_handle", "inverse_cup_and_handle"}, seen


@market_data
def test_on_real_bars_too() -> None:
    formed: Counter[str] = Counter()
    for bars in real_bars(US22).values():
        formed += held_together([bar for bar in bars if bar.ts_us < bars[0].ts_us + 12 * 60 * MINUTE_US])
    assert formed.total() > 100


def test_it_is_what_history_up_to_there_says_and_what_a_snapshot_goes_on_with() -> None:
    bars = list(swings(5, 600, units=10_000, step=0.01))
    going, total = tp.Engine(settings(FORM)), 0
    for count, bar in enumerate(bars, 1):
        going.replay(given([bar]))
        if count % 9 == 0:
            other = tp.Engine(settings(FORM))
            other.restore(going.snapshot())
            now = rows(going.forming())
            assert (
                rows(tp.forming(columns({"A": bars[:count]}), settings=settings(FORM))) == now == rows(other.forming())
            )
            total += len(now)
    assert total > 15


def test_a_late_tick_leaves_what_would_have_formed_had_it_been_in_time() -> None:
    bars = list(swings(8, 500, units=10_000, step=0.01))
    differs = 0
    for end in range(100, 500, 10):
        late = bars[end - 5]
        high = late.high * 1.05
        revised = Bar(late.ts_us, late.open, high, late.low, high, late.volume + 1)
        in_time = [*bars[: end - 5], revised, *bars[end - 4 : end]]
        engine = tp.Engine(settings(FORM))
        for bar in bars[:end]:
            engine.ingest([message("A", bar)], bar.ts_us + 1_000_000)
        unrevised = rows(engine.forming())
        tick = Bar(late.ts_us, high, high, high, high, 1)
        engine.ingest([message("A", tick, second=2)], bars[end - 1].ts_us + 2_000_000)
        engine.flush()
        now = rows(engine.forming())
        assert now == rows(tp.forming(columns({"A": in_time}), settings=settings(FORM)))
        differs += now != unrevised
    assert differs > 3


def test_prices_upside_down_form_the_opposite() -> None:
    bars = list(swings(3, 900, units=6_400, step=1 / 64))
    turned = [
        Bar(bar.ts_us, 256 - bar.open, 256 - bar.low, 256 - bar.high, 256 - bar.close, bar.volume) for bar in bars
    ]
    opposite = {"double_top": "double_bottom", "head_shoulders": "inverse_head_shoulders", "bull_flag": "bear_flag"}
    opposite |= {"bull_pennant": "bear_pennant", "v_top": "v_bottom", "triple_top": "triple_bottom"}
    opposite |= {other: one for one, other in opposite.items()}
    count = 0
    for one, other in zip(steps(bars, list(opposite)), steps(turned, list(opposite)), strict=True):
        # 61.8 % of a leg is no price of the grid
        mirrored = [(opposite[row.pattern], -row.direction, row.left, round(256 - row.trigger, 9)) for row in one.after]
        found = [(row.pattern, row.direction, row.left, round(row.trigger, 9)) for row in other.after]
        assert sorted(found) == sorted(mirrored)
        count += len(found)
    assert count > 50


def test_a_longer_timeframe_forms_as_its_own_bars_do() -> None:
    bars = list(swings(4, 2_400, units=10_000, step=0.01))
    minutes = columns({"A": bars})
    five = tp.resample(minutes, "5min", until_us=bars[-1].ts_us + MINUTE_US)
    names = ("ts_us", "open", "high", "low", "close", "volume")
    longer = [Bar(*row) for row in zip(*(getattr(five, name).tolist() for name in names), strict=True)]
    of_five = settings(FORM, timeframes=("5min",))
    total = 0
    for count in range(500, 2_401, 50):
        now = rows(tp.forming(columns({"A": bars[:count]}), settings=settings(FORM, timeframes=("1min", "5min"))))
        own = [row for row in now if row.timeframe == "5min"]
        assert [row for row in now if row.timeframe == "1min"] == rows(
            tp.forming(columns({"A": bars[:count]}), settings=settings(FORM))
        )
        over = five.ts_us + 5 * MINUTE_US <= bars[count - 1].ts_us + MINUTE_US
        alone = tp.Engine(settings(FORM))
        alone.replay(given([bar for bar, is_over in zip(longer, over.tolist(), strict=True) if is_over]))
        assert [row._replace(timeframe="1min") for row in own] == rows(alone.forming())
        assert rows(tp.forming(columns({"A": bars[:count]}), settings=of_five)) == own
        total += len(own)
    assert total > 5


def slow(seed: int, count: int) -> list[Bar]:
    """To and fro between two lines, a leg in 25 to 60 bars: figures older than the bars that a session begins with."""
    rng, price, end, left, side = random.Random(seed), 100.0, 100.0, 0, 1
    made: list[Bar] = []
    tilt = rng.choice((-0.004, 0.0, 0.0, 0.004))
    for at in range(count):
        if left == 0:
            side, left = -side, rng.randint(25, 60)
            end = 100 + side + tilt * (at + left) + rng.gauss(0, 0.05)
        close = round(price + (end - price) / left + rng.gauss(0, 0.01), 2)
        left -= 1
        high, low = round(max(price, close) + 0.03, 2), round(min(price, close) - 0.03, 2)
        made.append(Bar(MONDAY_US + at * MINUTE_US, price, high, low, close, 100))
        price = close
    return made


def test_when_a_session_is_over_what_forms_is_what_the_next_one_begins_with() -> None:
    """Its state begins anew with the 200 bars before its open: older figures are no more."""
    ends = 0
    for seed in range(40):
        bars = slow(seed, 390)
        over = [
            (MONDAY_US, MONDAY_US + 390 * MINUTE_US),
            (MONDAY_US + 2_000 * MINUTE_US, MONDAY_US + 2_390 * MINUTE_US),
        ]
        on = [(MONDAY_US, MONDAY_US + 391 * MINUTE_US)]
        inside = rows(tp.forming(columns({"A": bars}), settings=settings(FORM, on)))
        begins = rows(tp.forming(columns({"A": bars[-200:]}), settings=settings(FORM, on)))
        assert rows(tp.forming(columns({"A": bars}), settings=settings(FORM, over))) == (begins if inside else [])
        ends += bool(inside) and inside != begins
    assert ends > 5


def test_what_forms_when_a_session_is_over_is_confirmed_by_the_first_bar_of_the_next() -> None:
    opens_us = MONDAY_US + 2_000 * MINUTE_US
    sessions = [(MONDAY_US, MONDAY_US + 390 * MINUTE_US), (opens_us, opens_us + 390 * MINUTE_US)]
    confirmed = tried = 0
    for seed in range(40):
        engine = tp.Engine(settings(FORM, sessions))
        engine.replay(given(slow(seed, 390)))
        for row in rows(engine.forming()):
            if row.pattern in TURNS:
                continue
            next_one = tp.Engine(settings(FORM, sessions))
            next_one.restore(engine.snapshot())
            close = row.trigger + 0.02 * row.direction
            found = next_one.replay(given([Bar(opens_us, close, close, close, close, 100)])).detections
            events = {
                (found.patterns[found.pattern[at]]["id"], int(found.direction[at]), tuple(found.points(at)[:-1]))
                for at in range(len(found))
            }
            tried += 1
            confirmed += (row.pattern, row.direction, row.points) in events
    # a bar that confirms a swing may make another figure of it
    assert confirmed > 0.85 * tried > 20


def test_only_patterns_that_are_on_form_and_only_of_the_symbol_that_is_asked() -> None:
    series = {f"ZZ{seed}": list(swings(seed, 700, units=10_000, step=0.01)) for seed in range(20, 60)}
    bars = columns(series)
    every = tp.forming(bars, settings=settings(FORM))
    names = {every.patterns[at]["id"] for at in every.pattern.tolist()}
    assert len(names) > 2
    one = min(names)
    alone = tp.forming(bars, [one])
    assert {row.pattern for name in series for row in rows(alone, name)} == {one}
    engine = tp.Engine(settings(FORM))
    engine.replay(columns_of_bars(bars))
    assert len(tp.forming(bars, ["doji"])) == 0
    assert len(engine.forming("ZZNONE")) == 0
    all_together = engine.forming()
    for name in series:
        assert rows(engine.forming(name), name) == rows(all_together, name)
        assert set(engine.forming(name).symbols) <= {name}


def test_a_row_that_there_is_not_is_an_index_error() -> None:
    none = tp.Engine(tp.EngineSettings()).forming()
    assert (len(none), repr(none)) == (0, "<Forming: 0 rows>")
    with pytest.raises(IndexError, match="there are 0 rows, asked was 0"):
        none.points(0)
