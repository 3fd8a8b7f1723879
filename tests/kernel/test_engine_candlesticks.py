"""What the live engine finds of TA-Lib's functions is what TA-Lib finds, session by session."""

import json
import random
from collections.abc import Iterable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import talib

import candle_bars
import tickstockpl as tp

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
MONDAY_US = 1_550_188_800_000_000
BEFORE = 15
"""The bars before a session that its candlesticks begin with."""
TALIB = tuple(pattern["id"] for pattern in tp.PATTERNS if pattern["talib_name"])
NEUTRAL = {
    "CDLDOJI", "CDLDRAGONFLYDOJI", "CDLGRAVESTONEDOJI", "CDLHIGHWAVE", "CDLLONGLEGGEDDOJI", "CDLRICKSHAWMAN",
    "CDLSHORTLINE", "CDLSPINNINGTOP",
}  # fmt: skip
"""Those that expect neither."""

Cell = tuple[int, str, int]
"""Start of the bar, TA-Lib's name, TA-Lib's value."""


def session_bars(seed: int, days: Sequence[int], grid: str = "cents") -> tuple[np.ndarray, np.ndarray]:
    """Stamps and (rows, 4) prices of days of so many bars each."""
    prices = np.stack(candle_bars.walk(seed, sum(days), grid), axis=1)
    stamps = [MONDAY_US + day * DAY_US + minute * MINUTE_US for day, bars in enumerate(days) for minute in range(bars)]
    return np.array(stamps), prices


def message(symbol: str, ts_us: int, prices: Sequence[float], second: float = 1) -> bytes:
    """A trade that carries a whole bar."""
    open_, high, low, close = prices
    ohlc = {"tick_open": open_, "tick_high": high, "tick_low": low, "tick_close": close}
    tick = {"ticker": symbol, "event_type": "T", "timestamp": ts_us / 1e6 + second, "price": close, "volume": 100}
    return json.dumps(tick | ohlc).encode()


def engine() -> tp.Engine:
    return tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=TALIB))


def cells(outputs: Iterable[tp.Output]) -> set[Cell]:
    """What holds after all of these: found, and not withdrawn."""
    holding: dict[tuple[int, int, int], int] = {}
    for rows in (output.detections for output in outputs):
        keys = zip(rows.ts_us.tolist(), rows.pattern.tolist(), rows.direction.tolist(), strict=True)
        for key, held, value in zip(keys, rows.held.tolist(), rows.talib_value.tolist(), strict=True):
            if held:
                holding[key] = value
            else:
                del holding[key]
    return {(ts_us, tp.PATTERNS[pattern]["talib_name"], value) for (ts_us, pattern, _), value in holding.items()}


def expected(stamps: np.ndarray, prices: np.ndarray) -> set[Cell]:
    """TA-Lib over each day, with the last bars before it in front."""
    found: set[Cell] = set()
    days = stamps // DAY_US
    for day in np.unique(days):
        first, last = np.flatnonzero(days == day)[[0, -1]]
        start = max(0, first - BEFORE)
        columns = np.ascontiguousarray(prices[start : last + 1].T)
        for name in tp.CANDLESTICKS:
            values = getattr(talib, name)(*columns)[first - start :]
            found |= {(int(stamps[first + at]), name, int(values[at])) for at in np.flatnonzero(values)}
    return found


@pytest.mark.parametrize("grid", ["cents", "fx", "binary", "off the grid"])
def test_what_the_engine_finds_is_what_talib_finds_in_each_session(grid: str) -> None:
    stamps, prices = session_bars(1, [390, 7, 390, 200], grid)
    live = engine()
    outputs = [
        live.ingest([message("ZZTEST1", ts_us, bar)], ts_us + 1_000_000)
        for ts_us, bar in zip(stamps.tolist(), prices.tolist(), strict=True)
    ]
    outputs.append(live.flush())
    assert len({name for _, name, _ in cells(outputs)}) > 40
    assert cells(outputs) == expected(stamps, prices)


def test_after_late_ticks_it_is_what_talib_finds_in_the_revised_bars() -> None:
    rng = random.Random(7)
    stamps, prices = session_bars(2, [60, 300])
    revised = prices.copy()
    live, outputs = engine(), []
    for row, (ts_us, bar) in enumerate(zip(stamps.tolist(), prices.tolist(), strict=True)):
        outputs.append(live.ingest([message("ZZTEST1", ts_us, bar)], ts_us + 1_000_000))
        back = rng.randint(1, 12)
        if rng.random() < 0.4 and row >= back and stamps[row - back] // DAY_US == ts_us // DAY_US:
            late = row - back
            price = round(float(revised[late, 3]) + rng.randint(-30, 30) * 0.01, 2)
            tick = message("ZZTEST1", int(stamps[late]), [price] * 4, second=2 + row / 10)
            outputs.append(live.ingest([tick], ts_us + 2_000_000))
            revised[late, 1] = max(revised[late, 1], price)
            revised[late, 2] = min(revised[late, 2], price)
            revised[late, 3] = price
    outputs.append(live.flush())
    assert live.counters()["revised"] > 50

    # An event that holds on is not sent again, though its value may have gone from 100 to 80, or a colour turned.
    def events(found: set[Cell]) -> set[tuple[int, str, bool]]:
        return {(ts_us, name, name not in NEUTRAL and value > 0) for ts_us, name, value in found}

    assert events(cells(outputs)) == events(expected(stamps, revised))


def test_a_restart_finds_what_a_long_run_finds() -> None:
    stamps, prices = session_bars(3, [390, 390, 390])
    rows = list(zip(stamps.tolist(), prices.tolist(), strict=True))

    def played(live: tp.Engine, part: Iterable[tuple[int, list[float]]]) -> set[Cell]:
        outputs = [live.ingest([message("ZZTEST1", ts_us, bar)], ts_us + 1_000_000) for ts_us, bar in part]
        return cells([*outputs, live.flush()])

    whole = played(engine(), rows)
    cut = 390 * 2 + 123
    bars = tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=()))
    outputs = [bars.ingest([message("ZZTEST1", ts_us, bar)], ts_us + 1_000_000) for ts_us, bar in rows[:cut]]
    restarted = engine()
    assert sum(restarted.warm(output.bars) for output in (*outputs, bars.flush())) == cut
    after = played(restarted, rows[cut:])
    assert after == {cell for cell in whole if cell[0] >= rows[cut][0]}


def test_after_a_restart_a_withdrawal_names_the_event_that_was_made() -> None:
    rng = random.Random(11)
    stamps, prices = session_bars(5, [120])
    live, bars = engine(), {}
    holding: dict[tuple[int, int, int], tuple[bytes, int]] = {}

    def late_tick(row: int, second: float) -> bytes:
        price = round(float(prices[row, 3]) + rng.randint(-30, 30) * 0.01, 2)
        return message("ZZTEST1", int(stamps[row]), [price] * 4, second=second)

    def note(output: tp.Output) -> None:
        columns = output.bars.to_dict()
        for at, ts_us in enumerate(columns["ts_us"].tolist()):
            bars[ts_us] = {name: values[at] for name, values in columns.items()}
        found = output.detections
        keys = zip(found.ts_us.tolist(), found.pattern.tolist(), found.direction.tolist(), strict=True)
        ids = zip(found.event_id.tolist(), found.revision.tolist(), found.held.tolist(), strict=True)
        for key, (event_id, revision, held) in zip(keys, ids, strict=True):
            if held:
                holding[key] = event_id, revision
            else:
                assert holding.pop(key)[0] == event_id

    for row, (ts_us, bar) in enumerate(zip(stamps.tolist(), prices.tolist(), strict=True)):
        note(live.ingest([message("ZZTEST1", ts_us, bar)], ts_us + 1_000_000))
        if row > 12 and rng.random() < 0.6:
            note(live.ingest([late_tick(row - rng.randint(1, 12), 2 + row / 10)], ts_us + 2_000_000))
    note(live.flush())
    names = list(next(iter(bars.values())))
    stored = {name: np.array([bars[ts_us][name] for ts_us in sorted(bars)]) for name in names}
    restarted = engine()
    assert restarted.warm(SimpleNamespace(symbols=["ZZTEST1"], **stored)) == len(stamps)
    known = [
        ("ZZTEST1", "1min", ts_us, tp.PATTERNS[pattern]["id"], direction, revision)
        for (ts_us, pattern, direction), (_, revision) in holding.items()
    ]
    assert 10 < restarted.recall(known) <= len(known)
    assert (
        restarted.recall(
            [
                ("ZZTEST2", "1min", int(stamps[-1]), "doji", 0, 0),
                ("ZZTEST1", "1min", int(stamps[-1]), "gone", 0, 0),
                ("ZZTEST1", "5min", int(stamps[-1]), "doji", 0, 0),
            ]
        )
        == 0
    )
    withdrawn = []
    for row in range(len(stamps) - 1, len(stamps) - 13, -1):
        found = restarted.ingest([late_tick(row, 50)], int(stamps[-1]) + 3_000_000).detections
        keys = list(zip(found.ts_us.tolist(), found.pattern.tolist(), found.direction.tolist(), strict=True))
        for key, event_id, revision, held in zip(
            keys, found.event_id.tolist(), found.revision.tolist(), found.held.tolist(), strict=True
        ):
            if held:
                holding[key] = event_id, revision
            else:
                withdrawn.append(revision)
                assert holding.pop(key)[0] == event_id
    assert len(withdrawn) > 10
    assert max(withdrawn) > 0


def test_after_a_restart_no_event_bears_the_id_of_a_withdrawn_one() -> None:
    quiet = [100.0, 101.0, 99.0, 100.5]
    rows = [*[quiet] * 20, [100.5, 101.0, 100.3, 100.8], [100.1, 101.0, 100.0, 100.9]]
    now_us = MONDAY_US + len(rows) * MINUTE_US + 3_000_000
    stored: dict[int, dict[str, float]] = {}

    def made() -> tp.Engine:
        return tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=("engulfing",)))

    def found(output: tp.Output) -> list[tuple[bool, int, bytes]]:
        columns = {name: values.tolist() for name, values in output.bars.to_dict().items()}
        stored.update(
            {ts_us: {name: columns[name][at] for name in columns} for at, ts_us in enumerate(columns["ts_us"])}
        )
        rows = output.detections
        return list(zip(rows.held.tolist(), rows.revision.tolist(), rows.event_id.tolist(), strict=True))

    def corrected(engine: tp.Engine, close: float, second: float) -> list[tuple[bool, int, bytes]]:
        """The last bar but one closes elsewhere: below its open the last one engulfs it."""
        return found(
            engine.ingest([message("ZZTEST1", MONDAY_US + 20 * MINUTE_US, [close] * 4, second=second)], now_us)
        )

    live = made()
    for at, bar in enumerate(rows):
        ts_us = MONDAY_US + at * MINUTE_US
        assert not found(live.ingest([message("ZZTEST1", ts_us, bar)], ts_us + 1_000_000))
    assert not found(live.flush())
    ((held, used, event_id),) = corrected(live, 100.2, 10)
    assert (held, used) == (True, 1)
    assert corrected(live, 100.8, 11) == [(False, 1, event_id)]
    columns = {name: np.array([stored[ts_us][name] for ts_us in sorted(stored)]) for name in stored[MONDAY_US]}
    types = {name: values.dtype for name, values in live.window("ZZTEST1").to_dict().items()}
    bars = SimpleNamespace(symbols=["ZZTEST1"], **{name: columns[name].astype(types[name]) for name in columns})
    assert bars.revision.tolist()[-2:] == [2, 0]  # the later bar's row tells nothing of it
    for known, revision in (([], 1), ([("ZZTEST1", "1min", MONDAY_US + 21 * MINUTE_US, None, 1, used)], 2)):
        restarted = made()
        assert restarted.warm(bars) == len(rows)
        assert restarted.recall(known) == 0
        assert [made[:2] for made in corrected(restarted, 100.2, 12)] == [(True, revision)]


def test_confidence_is_half_for_a_bare_match_and_one_for_the_clearest() -> None:
    quiet = [[100.0, 101.25, 98.75, 100.5]] * 12
    for body, confidence in ((0.25, 0.5), (0.125, 0.75), (0.0, 1.0)):
        live = tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=("cdl_doji",)))
        bars = [*quiet, [100.0, 101.25, 98.75, 100.0 + body]]
        outputs = [
            live.ingest([message("ZZTEST1", MONDAY_US + at * MINUTE_US, bar)], MONDAY_US + at * MINUTE_US + 1_000_000)
            for at, bar in enumerate(bars)
        ]
        found = [*outputs, live.flush()][-1].detections
        assert found.talib_value.tolist() == [100]
        assert found.confidence[0] == pytest.approx(confidence, abs=1e-6)


def test_short_windows_have_no_candlesticks() -> None:
    stamps, prices = session_bars(4, [200])
    for window, some in ((33, False), (34, True)):
        live = tp.Engine(tp.EngineSettings(channels=("data.raw",), window=window))
        ticks = [message("ZZTEST1", ts_us, bar) for ts_us, bar in zip(stamps.tolist(), prices.tolist(), strict=True)]
        found = live.ingest(ticks, int(stamps[-1])).detections.pattern.tolist()
        assert any(tp.PATTERNS[pattern]["talib_name"] for pattern in found) is some


def test_a_window_too_short_for_candlesticks_is_refused_if_they_are_named() -> None:
    with pytest.raises(ValueError, match=r"window must be at least 34 for TA-Lib's patterns, was 33"):
        tp.Engine(tp.EngineSettings(window=33, patterns=("doji", "cdl_doji")))
    tp.Engine(tp.EngineSettings(window=33, patterns=("doji",)))
    tp.Engine(tp.EngineSettings(window=34, patterns=("doji", "cdl_doji")))


def test_a_pattern_named_twice_is_found_once() -> None:
    stamps, prices = session_bars(1, [60])
    found = []
    for patterns in (("cdl_doji", "doji"), ("cdl_doji", "doji", "cdl_doji", "doji")):
        engine = tp.Engine(tp.EngineSettings(patterns=patterns))
        ticks = [message("AAPL", ts_us, row) for ts_us, row in zip(stamps.tolist(), prices.tolist(), strict=True)]
        rows = engine.ingest(ticks, now_us=int(stamps[-1])).detections
        found.append([(int(ts_us), int(pattern)) for ts_us, pattern in zip(rows.ts_us, rows.pattern, strict=True)])
    assert found[0] == found[1] != []
