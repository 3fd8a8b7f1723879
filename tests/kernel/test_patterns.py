"""Every detection of the engine equals the oracle's, on real bars and on random ones."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import tickstockpl as tp
from oracle_patterns import IDS, Bar, Found, detections

MINUTE_US = 60_000_000
MONDAY_US = 1_550_188_800_000_000
MARKET = Path(__file__).parents[2] / "../shared/data/market"


def tick(symbol: str, bar: Bar, second: int = 1) -> dict[str, object]:
    """One trade, in that second of the bar, that carries all of it."""
    return {
        "ticker": symbol,
        "event_type": "T",
        "timestamp": bar.ts_us / 1e6 + second,
        "price": bar.close,
        "volume": bar.volume,
        "tick_open": bar.open,
        "tick_high": bar.high,
        "tick_low": bar.low,
        "tick_close": bar.close,
        "tick_volume": bar.volume,
    }


def engine_finds(series: dict[str, list[Bar]]) -> dict[str, list[Found]]:
    """Play the bars minute by minute, all symbols at once, and read what was detected."""
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=IDS))
    minutes: dict[int, list[bytes]] = {}
    for symbol, bars in series.items():
        for bar in bars:
            minutes.setdefault(bar.ts_us, []).append(json.dumps(tick(symbol, bar)).encode())
    found: dict[str, list[Found]] = {symbol: [] for symbol in series}
    for ts_us in sorted(minutes):
        gather(engine.ingest(minutes[ts_us], ts_us + 1_000_000).detections, found)
    gather(engine.flush().detections, found)
    counters = engine.counters()
    assert counters["folded"] == counters["ticks"] == sum(map(len, series.values()))
    for matches in found.values():
        matches.sort(key=lambda match: (match.ts_us, match.pattern))
    return found


def assert_ids_are_of_their_rows(rows: tp.Detections) -> None:
    """Each row is named by `event_id` of what it says, and what it replaces by that of the same bar."""
    columns = (rows.symbol, rows.ts_us, rows.pattern, rows.revision, rows.superseded_pattern, rows.superseded_revision)
    for n, (symbol, ts_us, pattern, revision, old, old_revision) in enumerate(zip(*columns, strict=True)):
        name = rows.symbols[symbol]
        assert rows.event_id[n].decode() == tp.event_id(name, int(ts_us), tp.PATTERNS[pattern]["id"], int(revision))
        replaced = "" if old < 0 else tp.event_id(name, int(ts_us), tp.PATTERNS[old]["id"], int(old_revision))
        assert rows.supersedes[n].decode() == replaced


def gather(rows: tp.Detections, found: dict[str, list[Found]]) -> None:
    assert rows.held.all()
    assert not rows.revision.any()

    def price(value: float) -> float | None:
        return None if math.isnan(value) else value

    for row, symbol in enumerate(rows.symbol.tolist()):
        match = Found(
            ts_us=int(rows.ts_us[row]),
            pattern=tp.PATTERNS[rows.pattern[row]]["id"],
            direction=int(rows.direction[row]),
            confidence=float(rows.confidence[row]),
            bars=int(rows.bars[row]),
            first_us=int(rows.first_us[row]),
            entry=float(rows.entry[row]),
            stop=price(float(rows.stop[row])),
            target=price(float(rows.target[row])),
        )
        found[rows.symbols[symbol]].append(match)


def assert_equal_to_oracle(series: dict[str, list[Bar]]) -> Counter[str]:
    """Exact equality, floats included; returns how often each pattern fired."""
    found = engine_finds(series)
    for symbol, bars in series.items():
        assert found[symbol] == detections(bars), symbol
    return Counter(match.pattern for matches in found.values() for match in matches)


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
    series = {f"ZZTEST{seed}": walk(seed, 1_200, units=units, step=step, minutes=minutes) for seed in range(4)}
    fired = assert_equal_to_oracle(series)
    bodies_of_a_cent = {"hammer_spec", "hanging_man_spec"}
    assert set(fired) | (bodies_of_a_cent if step < 0.01 else set()) == set(IDS)


def flat(price: float, volume: int = 100) -> Bar:
    return Bar(0, price, price, price, price, volume)


def in_sequence(bars: Iterable[Bar]) -> list[Bar]:
    return [
        Bar(MONDAY_US + minute * MINUTE_US, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for minute, bar in enumerate(bars)
    ]


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
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_detections_on_degenerate_bars_are_the_oracles(case: str) -> None:
    assert_equal_to_oracle({"ZZTEST1": in_sequence(DEGENERATE[case])})


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
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=IDS))
    outputs: list[tp.Detections] = []
    late: dict[int, list[int]] = {}
    revised = list(first)
    for place, bar in enumerate(first):
        outputs.append(engine.ingest([json.dumps(tick("ZZTEST1", bar)).encode()], bar.ts_us + 1_000_000).detections)
        if rng.random() < 0.3:
            late.setdefault(place + rng.randint(1, 13), []).append(place)
        for earlier in late.get(place, ()):
            old = first[earlier]
            close = old.close + rng.randint(-20, 20) * 0.01
            extra = Bar(old.ts_us, close, close, close, close, rng.choice((0, 500, 50_000)))
            payload = json.dumps(tick("ZZTEST1", extra, second=30)).encode()
            outputs.append(engine.ingest([payload], bar.ts_us + 2_000_000).detections)
            high, low = max(old.high, close), min(old.low, close)
            revised[earlier] = Bar(old.ts_us, old.open, high, low, close, old.volume + extra.volume)
    outputs.append(engine.flush().detections)

    holding: Counter[tuple[int, str, int]] = Counter()
    for rows in outputs:
        assert_ids_are_of_their_rows(rows)
        keys = zip(rows.ts_us.tolist(), rows.pattern.tolist(), rows.direction.tolist(), strict=True)
        for (ts_us, pattern, direction), held in zip(keys, rows.held.tolist(), strict=True):
            holding[ts_us, tp.PATTERNS[pattern]["id"], direction] += 1 if held else -1
    assert engine.counters()["revised"] > 50
    assert engine.counters()["withdrawn"] > 20
    assert set(holding.values()) == {0, 1}
    expected = {(match.ts_us, match.pattern, match.direction) for match in detections(revised)}
    assert {key for key, count in holding.items() if count} == expected


@pytest.mark.market_data
@pytest.mark.skipif(not MARKET.is_dir(), reason="the vendor's market data is not beside the checkout")
@pytest.mark.timeout(300)
def test_detections_on_a_week_of_real_bars_are_the_oracles() -> None:
    polars = pytest.importorskip("polars", reason="reading parquet needs the extra [replay]")
    frame = polars.read_parquet(MARKET / "bars_1m_us22_2019-02_eqker.parquet")
    series: dict[str, list[Bar]] = {}
    stamps = frame["ts_end"].dt.epoch("us").to_list()
    columns = (frame[name].to_list() for name in ("symbol", "open", "high", "low", "close", "volume"))
    for symbol, open_, high, low, close, volume, ts_us in zip(*columns, stamps, strict=True):
        series.setdefault(symbol, []).append(Bar(ts_us - MINUTE_US, open_, high, low, close, volume))
    fired = assert_equal_to_oracle(series)
    assert sum(map(len, series.values())) == 43_164
    assert set(fired) == set(IDS)


def test_names_are_distinct_where_consumers_cut_them() -> None:
    # TickStock's own names: what it cuts alike it tells apart by the direction
    names = {pattern["name"] for pattern in tp.PATTERNS} - {"TrendingDown", "ClosedInBottomRange"}
    assert len({name[:8] for name in names}) == len(names)


def test_of_patterns_that_share_a_name_the_first_is_on_by_default() -> None:
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",)))
    fired: set[str] = set()
    for bar in walk(1, 3_000, units=10_000, step=0.01, minutes=every_minute):
        rows = engine.ingest([json.dumps(tick("ZZTEST1", bar)).encode()], bar.ts_us + 1_000_000).detections
        fired |= {tp.PATTERNS[pattern]["id"] for pattern in rows.pattern.tolist()}
    assert {"doji", "hammer", "cdl_marubozu", "cdl_3inside"} <= fired
    assert fired.isdisjoint({"cdl_doji", "cdl_hammer", "doji_spec", "engulfing_spec"})
