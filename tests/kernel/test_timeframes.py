"""Longer bars in the engine are those of `tp.resample`; patterns on them are seen when they have closed, not before."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tickstockpl as tp

MINUTE = 60_000_000
OPEN_US = 1_299_508_200_000_000
"""Monday 2011-03-07, 09:30 in New York; clocks go forward on the Sunday after it."""
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONGER = tuple(name for name in tp.TIMEFRAMES if name != "1min")


def sessions() -> NDArray[np.int64]:
    """Ten trading days across the change of clocks; the second Friday is a half day."""
    days = [*range(5), *range(7, 12)]
    opens = [OPEN_US + day * DAY - (HOUR if day >= 6 else 0) for day in days]
    return np.array([(at, at + (210 if day == 11 else 390) * MINUTE) for day, at in zip(days, opens, strict=True)])


def midnights() -> NDArray[np.int64]:
    """New York's days."""
    edges = [OPEN_US - 9 * HOUR - HOUR // 2 + day * DAY - (HOUR if day >= 7 else 0) for day in range(15)]
    return np.array(list(pairwise(edges)))


def bars(seed: int, symbols: int = 3) -> dict[str, NDArray[Any]]:
    """Minutes in and out of the sessions; the last symbol trades seldom."""
    rng = np.random.default_rng(seed)
    minutes = np.concatenate(
        [np.arange(open_us - 30 * MINUTE, end_us + 30 * MINUTE, MINUTE) for open_us, end_us in sessions()]
    )
    parts = []
    for number in range(symbols):
        kept = minutes[rng.random(len(minutes)) < (0.05 if number == symbols - 1 else 0.97)]
        close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.001, len(kept)))), 2)
        open_ = np.round(close + rng.normal(0, 0.05, len(kept)), 2)
        high = np.maximum(open_, close) + np.round(np.abs(rng.normal(0, 0.04, len(kept))), 2)
        low = np.minimum(open_, close) - np.round(np.abs(rng.normal(0, 0.04, len(kept))), 2)
        volume = rng.integers(1, 500, len(kept)) * 100
        columns = {"ts_us": kept, "open": open_, "high": high, "low": low, "close": close, "volume": volume}
        parts.append({"symbol": np.full(len(kept), f"ZZ{number}"), **columns})
    order = np.argsort(np.concatenate([part["ts_us"] for part in parts]), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def settings(**changed: Any) -> tp.EngineSettings:
    told = tp.EngineSettings(session_mode="regular", sessions=sessions(), days=midnights(), timeframes=LONGER)
    return replace(told, **changed)


def given(columns: dict[str, NDArray[Any]]) -> Any:
    from tickstockpl.kernel import columns_of_bars

    return columns_of_bars(columns)


@pytest.mark.parametrize("align", ["session", "clock"])
def test_the_engines_longer_bars_are_those_of_resample(align: Any) -> None:
    minutes = bars(1)
    engine = tp.Engine(settings(align=align, patterns=()))
    made = engine.replay(given(minutes), last=True).longer
    assert len(made) > 1000
    for at, timeframe in enumerate(tp.TIMEFRAMES):
        if timeframe == "1min":
            continue
        expected = tp.resample(minutes, timeframe, sessions=sessions(), days=midnights(), align=align)
        own = (made.timeframe == at).nonzero()[0]
        rows = own[np.lexsort((np.array(made.symbols)[made.symbol[own]], made.ts_us[own]))]
        order = np.lexsort((np.array(expected.symbols)[expected.symbol], expected.ts_us))
        assert len(rows) == len(order) > 0
        for name in ("ts_us", "open", "high", "low", "close", "volume", "trades", "quality"):
            assert getattr(made, name)[rows].tolist() == getattr(expected, name)[order].tolist(), (timeframe, name)
        assert np.array_equal(made.vwap[rows], expected.vwap[order], equal_nan=True)


def test_what_is_found_on_longer_bars_does_not_depend_on_what_else_is_looked_at_but_for_agreements() -> None:
    minutes = bars(2)

    def found(timeframes: tuple[str, ...], of: str) -> set[tuple[Any, ...]]:
        made = tp.scan(minutes, settings=settings(timeframes=timeframes))
        of_several = [pattern["tier"] == "combo" for pattern in tp.PATTERNS]
        own = ((made.timeframe == tp.TIMEFRAMES.index(of)) & ~np.take(of_several, made.pattern)).nonzero()[0].tolist()
        names = ("ts_us", "end_us", "pattern", "direction", "confidence", "stop", "target", "event_id")
        return {(made.symbols[made.symbol[row]], *(str(getattr(made, name)[row]) for name in names)) for row in own}

    for of in ("5min", "1hour", "daily"):
        alone = found((of,), of)
        assert alone == found(("1min", *LONGER), of)
        assert alone
    assert found(("1min",), "1min") == found(("1min", *LONGER), "1min")


def test_no_prefix_shows_anything_that_more_minutes_take_back() -> None:
    minutes = bars(3)
    whole = tp.scan(minutes, settings=settings())
    ids = {(bytes(one), float(confidence)) for one, confidence in zip(whole.event_id, whole.confidence, strict=True)}
    ends = dict(zip(map(bytes, whole.event_id), whole.end_us.tolist(), strict=True))
    times = np.unique(minutes["ts_us"])
    for cut_us in times[np.linspace(len(times) // 10, len(times) - 1, 60).astype(int)].tolist():
        part = {name: column[minutes["ts_us"] < cut_us] for name, column in minutes.items()}
        found = tp.scan(part, settings=settings())
        seen = {
            (bytes(one), float(confidence)) for one, confidence in zip(found.event_id, found.confidence, strict=True)
        }
        assert seen <= ids
        newest_us = int(part["ts_us"].max()) + MINUTE
        assert all(ends[one] <= newest_us for one, _ in seen), "no bar is seen before it is over"


def test_patterns_of_a_session_are_not_looked_for_on_bars_that_are_none() -> None:
    found = tp.scan(bars(4), settings=settings())
    for at, timeframe in enumerate(tp.TIMEFRAMES):
        longest = [tp.TIMEFRAMES.index(tp.PATTERNS[which]["longest"]) for which in found.pattern[found.timeframe == at]]
        assert all(at <= limit for limit in longest), timeframe
    names = {pattern["id"]: pattern["longest"] for pattern in tp.PATTERNS}
    assert (names["high_of_day"], names["opening_range_15"], names["double_top"]) == ("4hour", "15min", "weekly")


def test_of_one_name_symbol_and_end_the_longest_bars_event_comes_last() -> None:
    minutes = bars(6, symbols=2)
    live = tp.Engine(settings(channels=("data.raw",)))
    came: dict[tuple[str, int, int], list[int]] = {}
    names = ("symbol", "ts_us", "open", "high", "low", "close")
    for symbol, ts_us, *prices in zip(*(minutes[name].tolist() for name in names), strict=True):
        now_us = ts_us + 30_000_000
        ohlc = dict(zip(("tick_open", "tick_high", "tick_low", "tick_close"), prices, strict=True))
        tick = {"ticker": symbol, "event_type": "T", "timestamp": now_us / 1e6, "price": prices[3], "volume": 100}
        found = live.ingest([json.dumps(tick | ohlc).encode()], now_us).detections
        columns = (found.symbol, found.pattern, found.end_us, found.timeframe)
        for at, pattern, end_us, timeframe in zip(*(column.tolist() for column in columns), strict=True):
            came.setdefault((found.symbols[at], pattern, end_us), []).append(timeframe)
    assert all(timeframes == sorted(timeframes) for timeframes in came.values())
    assert sum(len(timeframes) > 2 for timeframes in came.values()) > 50


def test_fed_longer_bars_and_todays_minutes_go_on_as_a_run_that_saw_all_minutes() -> None:
    minutes = bars(5)
    today_us = int(sessions()[-1][0])
    told = settings(timeframes=("1min", "5min", "15min", "daily"), window=60)
    whole, again = tp.Engine(told), tp.Engine(told)
    earlier = minutes["ts_us"] < today_us
    cut = {name: column[earlier] for name, column in minutes.items()}
    rest = {name: column[~earlier] for name, column in minutes.items()}
    whole.replay(given(cut), last=True)
    again.longer_from(today_us)
    for timeframe in ("5min", "15min", "daily"):
        fed = tp.resample(cut, timeframe, sessions=sessions(), days=midnights())
        order = np.lexsort((fed.ts_us, fed.symbol))
        names = {"symbol": np.array(fed.symbols)[fed.symbol[order]]}
        names |= {name: getattr(fed, name)[order] for name in ("ts_us", "open", "high", "low", "close", "volume")}
        assert again.warm_longer(timeframe, given(names)) == len(order)
    in_session = cut["ts_us"] >= int(sessions()[-3][0])
    again.warm(given({name: column[in_session] for name, column in cut.items()}))
    one, other = whole.replay(given(rest), last=True), again.replay(given(rest), last=True)

    def events(output: tp.Output) -> set[tuple[int, bytes, float]]:
        found = output.detections
        rows = (found.timeframe > 0).nonzero()[0].tolist()
        return {(int(found.timeframe[at]), bytes(found.event_id[at]), float(found.confidence[at])) for at in rows}

    assert events(one) == events(other)
    assert {timeframe for timeframe, *_ in events(one)} >= {1, 2}


@pytest.mark.parametrize(
    ("name", "changed", "says"),
    [
        ("golden_cross", {"window": 199}, "golden_cross needs a window of at least 200 bars, was 199"),
        ("range_breakout", {"window": 138}, "range_breakout needs a window of at least 139 bars, was 138"),
        ("vwap_cross", {"timeframes": ("daily", "weekly")}, "vwap_cross is on bars of 4hour or shorter"),
        ("opening_range_30", {"timeframes": ("1hour",)}, "opening_range_30 is on bars of 30min or shorter"),
    ],
)
def test_a_pattern_that_is_asked_for_and_can_never_be_found_is_refused(
    name: str, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        tp.Engine(settings(patterns=("doji", name), **changed))
    tp.Engine(settings(patterns=("doji", name), timeframes=("1min", "daily")))
    tp.Engine(settings(**changed))


def test_relative_strength_on_a_thin_symbols_longer_bars_is_that_of_the_live_run() -> None:
    """Half an hour without a trade, in which the benchmark's bars go on."""
    levels = ("new_high_20", "new_low_20", "high_of_day", "low_of_day")
    rng, told = np.random.default_rng(1), settings(timeframes=("5min",), benchmark="SPY", patterns=levels)
    live, prices = tp.Engine(told), {"SPY": 100.0, "THIN": 50.0}
    live.subscribed(int(sessions()[0, 0]) - 10 * MINUTE, True)
    made: list[tp.Output] = []
    for open_us, close_us in sessions()[:4].tolist():
        for minute, start_us in enumerate(range(open_us, close_us, MINUTE)):
            ticks = []
            for name, before in prices.items():
                prices[name] = before * np.exp(rng.normal(0, 1e-3))
                if name == "SPY" or (minute % 7 == 0 and not 100 < minute < 220):
                    tick = {"ticker": name, "price": round(prices[name], 2), "volume": 9, "event_type": "A"}
                    ticks.append(json.dumps(tick | {"timestamp": (start_us + MINUTE) / 1e6}).encode())
            made.append(live.ingest(ticks, start_us + MINUTE))
        made.append(live.advance(close_us + 10 * MINUTE))
    made.append(live.flush())
    names = ("ts_us", "open", "high", "low", "close", "volume")
    minutes = {name: np.concatenate([getattr(each.bars, name) for each in made]) for name in names}
    minutes["symbol"] = np.concatenate([np.array([*each.bars.symbols, ""])[each.bars.symbol] for each in made])

    def strengths(found: tp.Detections) -> dict[str, str]:
        thin = [at for at, symbol in enumerate(found.symbol.tolist()) if found.symbols[symbol] == "THIN"]
        return {str(found.event_id[at]): str(found.relative_strength[at]) for at in thin}

    said = {name: value for each in made for name, value in strengths(each.detections).items()}
    assert sum(value != "nan" for value in said.values()) > 20
    assert strengths(tp.scan(minutes, settings=told)) == said
