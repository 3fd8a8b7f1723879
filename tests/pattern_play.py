"""Bars played through an engine, and what it finds in them held against the oracle's."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

import tickstockpl as tp
from oracle_bars import Bar, Found
from oracle_patterns import IDS, detections

MINUTE_US = 60_000_000
MONDAY_US = 1_550_188_800_000_000
MARKET = Path(__file__).parents[1] / "../shared/data/market"
PATTERN_IDS = [pattern["id"] for pattern in tp.PATTERNS]

Test = TypeVar("Test", bound=Callable[..., None])
Sessions = Sequence[tuple[int, int]]
"""[open, close) in µs."""

CLOSE = 1e-9
"""As a share, what confidences, levels and margins of the two may differ by: the engine has other roots and sums."""


def settings(ids: Sequence[str] = IDS, sessions: Sessions | None = None, **more: Any) -> tp.EngineSettings:
    if sessions is not None:
        more |= {"session_mode": "regular", "sessions": np.array(sessions, dtype=np.int64)}
    return tp.EngineSettings(channels=("data.raw",), patterns=tuple(ids), **more)


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


def message(symbol: str, bar: Bar, second: int = 1) -> bytes:
    return json.dumps(tick(symbol, bar, second)).encode()


def engine_finds(
    series: dict[str, list[Bar]], ids: Sequence[str] = IDS, sessions: Sessions | None = None
) -> dict[str, list[Found]]:
    """Play the bars minute by minute, all symbols at once, and read what was detected."""
    engine = tp.Engine(settings(ids, sessions))
    minutes: dict[int, list[bytes]] = {}
    for symbol, bars in series.items():
        for bar in bars:
            minutes.setdefault(bar.ts_us, []).append(message(symbol, bar))
    found: dict[str, list[Found]] = {symbol: [] for symbol in series}
    for ts_us in sorted(minutes):
        gather(engine.ingest(minutes[ts_us], ts_us + 1_000_000).detections, found)
    gather(engine.flush().detections, found)
    counters = engine.counters()
    assert counters["folded"] == counters["ticks"] == sum(map(len, series.values()))
    for matches in found.values():
        matches.sort(key=lambda match: (match.ts_us, match.pattern))
    return found


def gather(rows: tp.Detections, found: dict[str, list[Found]]) -> None:
    """Adds each row, which must be an event that came in time, to those of its symbol."""
    assert rows.held.all()
    assert not rows.revision.any()
    for row, symbol in enumerate(rows.symbol.tolist()):
        found.setdefault(rows.symbols[symbol], []).append(event(rows, row))


def event(rows: tp.Detections, row: int) -> Found:
    def price(value: float) -> float | None:
        return None if math.isnan(value) else value

    return Found(
        ts_us=int(rows.ts_us[row]),
        pattern=PATTERN_IDS[rows.pattern[row]],
        direction=int(rows.direction[row]),
        confidence=float(rows.confidence[row]),
        bars=int(rows.bars[row]),
        first_us=int(rows.first_us[row]),
        entry=float(rows.entry[row]),
        stop=price(float(rows.stop[row])),
        target=price(float(rows.target[row])),
        invalidation=price(float(rows.invalidation[row])),
        points=tuple(rows.points(row)),
        margins=tuple(rows.margins(row).items()),
    )


def assert_equal_to_oracle(
    series: dict[str, list[Bar]], ids: Sequence[str] = IDS, sessions: Sessions | None = None
) -> Counter[str]:
    """Every event of the engine is the oracle's and the other way round; returns how often each pattern fired."""
    found = engine_finds(series, ids, sessions)
    return sum((held_against(symbol, bars, found, ids, sessions) for symbol, bars in series.items()), Counter[str]())


def held_against(
    symbol: str,
    bars: list[Bar],
    found: dict[str, list[Found]],
    ids: Sequence[str] = IDS,
    sessions: Sessions | None = None,
) -> Counter[str]:
    """Asserts that the events of a symbol are the oracle's; returns how often each pattern fired."""
    expected = detections(bars, sessions, ids)
    for one, other in zip_longest(found.get(symbol, ()), expected):
        assert are_alike(one, other), f"{symbol}\nengine: {one}\noracle: {other}"
    return Counter(match.pattern for match in expected)


def scanned(
    series: dict[str, list[Bar]], ids: Sequence[str] = IDS, sessions: Sessions | None = None
) -> dict[str, list[Found]]:
    """What is found in the bars as history, by symbol."""
    found: dict[str, list[Found]] = {}
    gather(tp.scan(columns(series), settings=settings(ids, sessions)), found)
    for matches in found.values():
        matches.sort(key=lambda match: (match.ts_us, match.pattern))
    return found


def are_alike(one: Found | None, other: Found | None) -> bool:
    if one is None or other is None or keys(one) != keys(other):
        return False
    return all(map(is_close, numbers(one), numbers(other)))


def keys(match: Found) -> tuple[object, ...]:
    """What must be equal to the last bit, or is not a number."""
    levels = tuple(level is None for level in (match.stop, match.target, match.invalidation))
    names = tuple(name for name, _ in match.margins)
    exact = (match.ts_us, match.pattern, match.direction, match.bars, match.first_us, match.entry)
    return (*exact, levels, match.points, names)


def numbers(match: Found) -> list[float]:
    """The others; margins are of 1, so 1 is added to what they may differ by."""
    levels = [level for level in (match.stop, match.target, match.invalidation) if level is not None]
    return [match.confidence, *levels, *(1 + margin for _, margin in match.margins)]


def is_close(one: float, other: float) -> bool:
    return abs(one - other) <= CLOSE * abs(other)


def in_sequence(bars: Iterable[Bar], start_us: int = MONDAY_US) -> list[Bar]:
    """The same bars, a minute each, from `start_us` on."""
    return [
        Bar(start_us + minute * MINUTE_US, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for minute, bar in enumerate(bars)
    ]


def columns(series: dict[str, list[Bar]]) -> dict[str, list[Any]]:
    """As `tp.scan` takes them."""
    rows = [(symbol, bar) for symbol, bars in series.items() for bar in bars]
    names = ("ts_us", "open", "high", "low", "close", "volume")
    return {"symbol": [symbol for symbol, _ in rows]} | {
        name: [getattr(bar, name) for _, bar in rows] for name in names
    }


def real_bars(file: str) -> dict[str, list[Bar]]:
    """The vendor's bars by symbol, whose stamps are ends of minutes without a zone: they are taken for UTC."""
    polars = pytest.importorskip("polars", reason="reading parquet needs the extra [replay]")
    frame = polars.read_parquet(MARKET / file)
    series: dict[str, list[Bar]] = {}
    stamps = frame["ts_end"].dt.epoch("us").to_list()
    rows = (frame[name].to_list() for name in ("symbol", "open", "high", "low", "close", "volume"))
    for symbol, open_, high, low, close, volume, ts_us in zip(*rows, stamps, strict=True):
        series.setdefault(symbol, []).append(Bar(ts_us - MINUTE_US, open_, high, low, close, volume))
    return series


US22 = "bars_1m_us22_2019-02_eqker.parquet"
"""24 symbols, five days, in New York's time."""
SPY = "bars_1m_spy_2011_pyalgotrade.parquet"
"""One symbol, ten weeks, with extended hours, in UTC."""


def market_data(test: Test) -> Test:
    """A test of the vendor's bars, skipped where they are not beside the checkout."""
    absent = pytest.mark.skipif(not MARKET.is_dir(), reason="the vendor's market data is not beside the checkout")
    marked: Test = pytest.mark.market_data(pytest.mark.timeout(300)(absent(test)))
    return marked
