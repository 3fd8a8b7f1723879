"""Every detection of the engine equals the oracle's, on real bars and on random ones."""

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

import tickstockpl as tp
from oracle_bars import Bar
from oracle_patterns import IDS, RULES, detections
from pattern_play import (
    MINUTE_US,
    MONDAY_US,
    PATTERN_IDS,
    SPY,
    US22,
    assert_equal_to_oracle,
    columns,
    in_sequence,
    market_data,
    message,
    real_bars,
    settings,
)

CANDLES = (*RULES, "high_of_day", "low_of_day")
"""What a few bars are enough for."""
DAY_US = 1_440 * MINUTE_US


def assert_ids_are_of_their_rows(rows: tp.Detections) -> None:
    """Each row is named by `event_id` of what it says, and what it replaces by that of the same bar."""
    columns = (rows.symbol, rows.ts_us, rows.pattern, rows.revision, rows.superseded_pattern, rows.superseded_revision)
    for n, (symbol, ts_us, pattern, revision, old, old_revision) in enumerate(zip(*columns, strict=True)):
        name = rows.symbols[symbol]
        assert rows.event_id[n].decode() == tp.event_id(name, int(ts_us), tp.PATTERNS[pattern]["id"], int(revision))
        replaced = "" if old < 0 else tp.event_id(name, int(ts_us), tp.PATTERNS[old]["id"], int(old_revision))
        assert rows.supersedes[n].decode() == replaced


def walk(seed: int, bars: int, *, units: int, step: float, minutes: Callable[[random.Random], int]) -> list[Bar]:
    """A random walk of whole price units, each bar in reach of the one before; `minutes` to the next bar."""
    rng = random.Random(seed)
    ts_us, price, made = MONDAY_US, units, []
    for _ in range(bars):
        spread = rng.choice((0, 1, 2, 5, 12, 40))
        start = max(50, price + rng.randint(-spread, spread))
        end = max(50, start + rng.randint(-spread, spread))
        top = max(start, end) + rng.choice((0, 0, rng.randint(0, spread), 3 * spread))
        bottom = max(1, min(start, end) - rng.choice((0, 0, rng.randint(0, spread), 3 * spread)))
        volume = rng.choice((0, 1, 100, rng.randint(0, 1_000), rng.randint(0, 20_000)))
        made.append(Bar(ts_us, start * step, top * step, bottom * step, end * step, volume))
        price = end
        ts_us += minutes(rng) * MINUTE_US
    return made


def every_minute(_: random.Random) -> int:
    return 1


def with_gaps(rng: random.Random) -> int:
    return rng.choice((1, 1, 1, 2, 30, 700))


GRIDS = {
    "cents": (10_000, 0.01),
    "sub-penny": (30_000, 0.0001),
    "a few sub-pennies": (60, 0.0001),
    "binary": (400, 0.0625),
    "large": (500_000, 12.5),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("minutes", [every_minute, with_gaps])
def test_detections_on_random_walks_are_the_oracles(grid: str, minutes: Callable[[random.Random], int]) -> None:
    units, step = GRIDS[grid]
    series = {f"ZZTEST{seed}": walk(seed, 600, units=units, step=step, minutes=minutes) for seed in range(2)}
    fired = assert_equal_to_oracle(series)
    bodies_of_a_cent = {"hammer_spec", "hanging_man_spec", "closed_in_top_range", "closed_in_bottom_range"}
    assert set(fired) | (bodies_of_a_cent if step < 0.01 else set()) >= set(CANDLES)


def flat(price: float, volume: int = 100) -> Bar:
    return Bar(0, price, price, price, price, volume)


def closes(*prices: float, volume: int = 100) -> list[Bar]:
    return [flat(price, volume) for price in prices]


def walked(seed: int, bars: int) -> list[float]:
    rng = random.Random(seed)
    cents, prices = 11_000 + seed * 37, list[float]()
    for _ in range(bars):
        cents += rng.randint(-30, 30)
        prices.append(cents / 100)
    return prices


DEGENERATE = {
    "flat": [flat(10.0)] * 40,
    "flat without volume": [flat(10.0, 0)] * 40,
    "steps of flat bars": [flat(10.0 + place) for place in range(40)],
    "flat, then a spike of volume": [flat(10.0)] * 30 + [flat(10.0, 301), flat(10.0, 2**53)],
    "no volume, then some": [flat(10.0, 0)] * 25 + [flat(10.0, 5)],
    "ranges about a thousandth": [Bar(0, 0.5, 0.5 + r, 0.5, 0.5 + r, 1) for r in (0.0009, 0.001, 0.0011, 0.002)] * 5,
    "tiny prices": [Bar(0, p, 3 * p, p / 2, 2 * p, 1) for p in (1e-300, 1e-9, 1e-6, 1e-3)] * 5,
    "huge prices": [Bar(0, p, 3 * p, p / 2, 2 * p, 1) for p in (1e9, 1e15, 1e100, 1e300)] * 5,
    "targets below zero": [Bar(0, 0.3, 1.0, 0.29, 0.29, 1), Bar(0, 0.29, 2.0, 0.28, 0.28, 1)] * 5,
    "two bars": [Bar(0, 10.0, 10.5, 9.0, 9.5, 10), Bar(0, 9.0, 11.0, 8.5, 10.5, 20)],
    "one price for hours": [flat(10.0)] * 400,
    "a line": closes(*(100 + place / 4 for place in range(300))),
    "a saw": closes(*(100 + place % 5 for place in range(300))),
    "steps to and fro": closes(*(100 + 8 * (place // 6 % 2) for place in range(300))),
    "swings without volume": closes(*(100 + abs(place % 24 - 12) for place in range(300)), volume=0),
    "jumps from price to price": closes(*(1.0 + 999 * (place * place % 7 < 3) for place in range(300))),
    "a walk of tiny prices": [Bar(0, *(p * 1e-12,) * 4, 1) for p in walked(1, 300)],
    "a walk of huge prices": [Bar(0, *(p * 1e100,) * 4, 1) for p in walked(2, 300)],
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_detections_on_degenerate_bars_are_the_oracles(case: str) -> None:
    # squares of prices above 1e150 are no floats, so there are no bands to speak of
    ids = CANDLES if case == "huge prices" else IDS
    assert_equal_to_oracle({"ZZTEST1": in_sequence(DEGENERATE[case])}, ids)


def test_what_is_told_of_prices_whose_squares_are_no_floats_is_finite() -> None:
    bars = in_sequence(Bar(0, *(p * 1e290,) * 4, 1) for p in walked(2, 300))
    rows = tp.scan(columns({"ZZTEST1": bars}), IDS)
    assert len(rows) > 0
    assert np.isfinite([rows.confidence, rows.entry, rows.close]).all()
    assert not np.isinf([rows.stop, rows.target, rows.invalidation, rows.atr]).any()
    assert np.isfinite(rows.margin).all()


def test_nothing_is_left_or_crossed_by_a_price_that_stands_still() -> None:
    """Means of equal closes are those closes, whatever rounding makes of twenty times one."""
    series = {f"ZZTEST{seed}": [*walked(seed, 180), *walked(seed, 180)[-1:] * 60] for seed in range(20)}
    bars = {symbol: in_sequence(closes(*prices)) for symbol, prices in series.items()}
    assert assert_equal_to_oracle(bars, ids=("range_breakout",))["range_breakout"] > 0


def test_percentages_that_are_equal_do_not_cross() -> None:
    """%K of 100 three times running is its own mean, whatever was in the total before."""
    series = {f"ZZTEST{seed}": walked(seed, 30) for seed in range(40)}
    bars = {
        symbol: in_sequence(closes(*prices, *(max(prices) + place / 10 for place in range(1, 9))))
        for symbol, prices in series.items()
    }
    assert assert_equal_to_oracle(bars, ids=("stochastic_cross",))["stochastic_cross"] > 0


def test_doji_confidences_are_rounded_as_python_rounds() -> None:
    """Bodies and shadows on a fine grid: some thousand different confidences, many of them near a tie."""
    bars = [
        Bar(0, 100.0 + shadow / 64, 104.0, 100.0, 100.0 + (shadow + body) / 64, 1)
        for body in range(27)
        for shadow in range(0, 229, 4)
    ]
    series = {"ZZTEST1": in_sequence(bars)}
    assert assert_equal_to_oracle(series)["doji"] > 1_000


@pytest.mark.parametrize("seed", range(6))
def test_what_holds_after_late_ticks_is_what_the_oracle_finds_in_the_revised_bars(seed: int) -> None:
    rng = random.Random(seed)
    first = walk(seed, 400, units=10_000, step=0.01, minutes=every_minute)
    engine = tp.Engine(settings())
    outputs: list[tp.Detections] = []
    late: dict[int, list[int]] = {}
    revised = list(first)
    for place, bar in enumerate(first):
        outputs.append(engine.ingest([message("ZZTEST1", bar)], bar.ts_us + 1_000_000).detections)
        if rng.random() < 0.3:
            late.setdefault(place + rng.randint(1, 13), []).append(place)
        for earlier in late.get(place, ()):
            old = first[earlier]
            close = old.close + rng.randint(-20, 20) * 0.01
            extra = Bar(old.ts_us, close, close, close, close, rng.choice((0, 500, 50_000)))
            outputs.append(engine.ingest([message("ZZTEST1", extra, 30)], bar.ts_us + 2_000_000).detections)
            high, low = max(old.high, close), min(old.low, close)
            revised[earlier] = Bar(old.ts_us, old.open, high, low, close, old.volume + extra.volume)
    outputs.append(engine.flush().detections)

    holding: Counter[tuple[int, str, int]] = Counter()
    for rows in outputs:
        assert_ids_are_of_their_rows(rows)
        keys = zip(rows.ts_us.tolist(), rows.pattern.tolist(), rows.direction.tolist(), strict=True)
        for (ts_us, pattern, direction), held in zip(keys, rows.held.tolist(), strict=True):
            holding[ts_us, PATTERN_IDS[pattern], direction] += 1 if held else -1
    assert engine.counters()["revised"] > 50
    assert engine.counters()["withdrawn"] > 20
    assert set(holding.values()) == {0, 1}
    expected = {(match.ts_us, match.pattern, match.direction) for match in detections(revised)}
    assert {key for key, count in holding.items() if count} == expected


@market_data
def test_detections_on_a_week_of_24_symbols_are_the_oracles() -> None:
    series = real_bars(US22)
    days = sorted({bar.ts_us // DAY_US * DAY_US for bars in series.values() for bar in bars})
    fired = assert_equal_to_oracle(series, sessions=[(day + 570 * MINUTE_US, day + 960 * MINUTE_US) for day in days])
    assert sum(map(len, series.values())) == 43_164
    of_weeks = {"weekly_breakout", "gap_up", "gap_down", "gap_fill"}
    assert set(IDS) - set(fired) == of_weeks


@market_data
def test_detections_on_ten_weeks_of_long_days_are_the_oracles() -> None:
    series = real_bars(SPY)
    fired = assert_equal_to_oracle(series)
    assert sum(map(len, series.values())) == 31_757
    assert set(IDS) - set(fired) == {"bear_pennant"}


def test_names_are_distinct_where_consumers_cut_them() -> None:
    # TickStock's own names: what it cuts alike it tells apart by the direction
    names = {pattern["name"] for pattern in tp.PATTERNS} - {"TrendingDown", "ClosedInBottomRange"}
    assert len({name[:8] for name in names}) == len(names)


def test_of_patterns_that_share_a_name_the_first_is_on_by_default() -> None:
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",)))
    fired: set[str] = set()
    for bar in walk(1, 3_000, units=10_000, step=0.01, minutes=every_minute):
        rows = engine.ingest([message("ZZTEST1", bar)], bar.ts_us + 1_000_000).detections
        fired |= {tp.PATTERNS[pattern]["id"] for pattern in rows.pattern.tolist()}
    assert {"doji", "hammer", "cdl_marubozu", "cdl_3inside"} <= fired
    assert fired.isdisjoint({"cdl_doji", "cdl_hammer", "doji_spec", "engulfing_spec"})
