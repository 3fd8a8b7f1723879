"""VolumeSpike by the minute of the session: what pandas finds, live, late, in batches and told of at a start."""

import random
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from oracle_bars import Bar
from pattern_play import (
    MINUTE_US,
    MONDAY_US,
    SPY,
    US22,
    Sessions,
    columns,
    market_data,
    message,
    real_bars,
    scanned,
    settings,
)
from tickstockpl.kernel import GAP, LATE_REVISED

OF_DAY = ("volume_spike_of_day",)
BOTH = ("volume_spike", *OF_DAY)
DAY_US = 1_440 * MINUTE_US
Event = tuple[int, int]
"""Start of the bar and direction."""


def exchange_hours(bars: list[Bar]) -> Sessions:
    """09:30 to 16:00 in New York of every day that has a bar."""
    pandas: Any = pytest.importorskip("pandas", reason="the oracle needs pandas (requirements.lock)")
    stamps = pandas.to_datetime([bar.ts_us for bar in bars], unit="us", utc=True).tz_convert("America/New_York")
    days = stamps.normalize().unique()
    sides = (((days + pandas.Timedelta(hours=hours)).tz_convert("UTC")) for hours in (9.5, 16))
    opens, closes = (side.as_unit("us").asi8.tolist() for side in sides)
    return list(zip(opens, closes, strict=True))


def by_pandas(bars: list[Bar], sessions: Sessions | None) -> tuple[list[Event], int]:
    """What the definition finds where nothing is split, and of how many spikes ten days are known."""
    pandas: Any = pytest.importorskip("pandas", reason="the oracle needs pandas (requirements.lock)")
    frame = pandas.DataFrame([asdict(bar) for bar in bars])
    table = sessions or [(us, us + DAY_US) for us in (frame.ts_us // DAY_US * DAY_US).unique().tolist()]
    opens = pandas.IntervalIndex.from_tuples(table, closed="left").get_indexer(frame.ts_us)
    frame = frame.assign(place=opens)[opens >= 0].reset_index(drop=True)
    frame["open_us"] = np.array(table)[frame.place, 0]
    frame["minute"] = (frame.ts_us - frame.open_us) // MINUTE_US
    starts = pandas.to_datetime(frame.open_us, unit="us") + pandas.Timedelta(hours=6)
    frame["week"] = (starts - pandas.to_timedelta(starts.dt.day_of_week, unit="D")).dt.normalize()
    sums = frame.volume.shift(1).rolling(20).sum()
    spikes = frame[(sums > 0) & (20 * frame.volume > 3 * sums)]
    traded = frame.pivot_table(index="minute", columns="open_us", values="volume", fill_value=0)
    late = frame.groupby("open_us").minute.min().iloc[0] >= 5
    weeks = frame.groupby("open_us").week.first().iloc[1 if late else 0 :]
    found, known = [], 0
    for spike in spikes.itertuples():
        others = weeks[(weeks.index < spike.open_us) & (weeks > spike.week - pandas.Timedelta(weeks=4))].index
        if len(others) >= 10:
            known += 1
            if spike.volume < traded.loc[spike.minute, others].quantile(0.99, interpolation="higher"):
                continue
        found.append((spike.ts_us, int(np.sign(spike.close - spike.open))))
    return found, known


def events(bars: list[Bar], sessions: Sessions | None, ids: tuple[str, ...] = OF_DAY) -> list[Event]:
    return [(match.ts_us, match.direction) for match in scanned({"X": bars}, ids, sessions).get("X", [])]


@market_data
@pytest.mark.parametrize("file", [SPY, US22])
@pytest.mark.parametrize("hours", ["regular", "always"])
def test_on_real_bars_it_finds_what_pandas_does(file: str, hours: str) -> None:
    narrowed = 0
    for bars in real_bars(file).values():
        sessions = exchange_hours(bars) if hours == "regular" and file == SPY else None
        expected, known = by_pandas(bars, sessions)
        assert events(bars, sessions) == expected
        spikes = events(bars, sessions, ("volume_spike",))
        assert set(expected) <= set(spikes)
        narrowed += len(spikes) - len(expected)
        assert (known > 100) == (file == SPY), "five days are too few"
    assert (narrowed > 50) == (file == SPY)


@market_data
def test_no_later_real_bar_rewrites_it() -> None:
    bars = real_bars(SPY)["SPY"]
    sessions = exchange_hours(bars)
    whole = events(bars, sessions)
    for length in random.Random(1).sample(range(len(bars)), 30):
        before = [event for event in whole if event[0] <= bars[length - 1].ts_us]
        assert events(bars[:length], sessions) == before


SHORT = [(MONDAY_US + place * DAY_US, MONDAY_US + place * DAY_US + 12 * MINUTE_US) for place in range(60)]


def busy(seed: int, minutes: int, apart_us: int, days: int, *, shares: int = 100) -> list[Bar]:
    """Days of so many minutes, so far apart, with a spike in some of their minutes and a few without a bar."""
    rng = random.Random(seed)
    made = []
    for day in range(days):
        for minute in range(minutes):
            close = 100 + rng.randint(-3, 3)
            volume = shares * rng.choice((5, 10, 10, 10, 10, 100 + rng.randint(0, 3)))
            if rng.random() < 0.95:
                ts_us = MONDAY_US + day * apart_us + minute * MINUTE_US
                made.append(Bar(ts_us, 100.0, max(100.0, close), min(100.0, close), float(close), volume))
    return made


def streamed(bars: list[Bar], sessions: Sessions, snapshots: set[int]) -> list[Any]:
    engine, made = tp.Engine(settings(OF_DAY, sessions)), []
    for place, bar in enumerate(bars):
        if place in snapshots:
            snapshot = engine.snapshot()
            engine = tp.Engine(settings(OF_DAY, sessions))
            engine.restore(snapshot)
        made.append(engine.ingest([message("X", bar)], bar.ts_us + 1_000_000).detections)
    made.append(engine.flush().detections)
    return [(us, event_id) for each in made for us, event_id in zip(each.ts_us, each.event_id, strict=True)]


@pytest.mark.parametrize("seed", [1, 2])
def test_batch_stream_and_snapshots_say_the_same(seed: int) -> None:
    bars = busy(seed, 12, DAY_US, 60)
    batch = tp.scan(columns({"X": bars}), settings=settings(OF_DAY, SHORT))
    told = list(zip(batch.ts_us, batch.event_id, strict=True))
    assert 20 < len(told) < len(tp.scan(columns({"X": bars}), settings=settings(("volume_spike",), SHORT)))
    assert streamed(bars, SHORT, set()) == told
    assert streamed(bars, SHORT, set(random.Random(seed).sample(range(len(bars)), 40))) == told


def test_a_late_tick_ends_where_one_in_time_does_over_midnight_too() -> None:
    """Days of 24 hours; the last minutes of some are traded again after midnight."""
    days = [(MONDAY_US + day * DAY_US, MONDAY_US + (day + 1) * DAY_US) for day in range(30)]
    rng = random.Random(3)
    bars = [
        replace(bar, ts_us=bar.ts_us - 6 * MINUTE_US)
        for bar in busy(3, 12, DAY_US, 30)
        if bar.ts_us > MONDAY_US + DAY_US
    ]
    more = {place: 2_000 for place in range(40, len(bars) - 12) if rng.random() < 0.1}

    def held(*, late: bool) -> set[tuple[int, int]]:
        engine, outputs, waiting = tp.Engine(settings(OF_DAY, days)), [], []
        for place, bar in enumerate(bars):
            tick = message("X", replace(bar, volume=more.get(place, 0)), 30)
            again = [tick] if place in more else []
            outputs.append(engine.ingest([message("X", bar), *([] if late else again)], bar.ts_us + 31_000_000))
            waiting += [(place + rng.randint(1, 5), tick) for tick in again if late]
            for due, tick in list(waiting):
                if due <= place:
                    outputs.append(engine.ingest([tick], bar.ts_us + 32_000_000))
                    waiting.remove((due, tick))
        outputs.append(engine.flush())
        now: set[tuple[int, int]] = set()
        for each in (output.detections for output in outputs):
            for us, direction, holds in zip(
                each.ts_us.tolist(), each.direction.tolist(), each.held.tolist(), strict=True
            ):
                now = now | {(us, direction)} if holds else now - {(us, direction)}
        return now

    assert held(late=True) == held(late=False)
    assert len(held(late=True)) > 10


def test_what_it_is_measured_from_flags_the_event_and_other_minutes_do_not() -> None:
    bars = [bar for bar in busy(4, 12, DAY_US, 20) if bar.volume < 5_000]
    rows = columns({"X": bars})
    own = (np.array(rows["ts_us"]) - MONDAY_US) // DAY_US * 1_440 + (
        np.array(rows["ts_us"]) - MONDAY_US
    ) // MINUTE_US % 1_440
    last = MONDAY_US + 20 * DAY_US
    spikes = [Bar(last + minute * MINUTE_US, 100.0, 101.0, 100.0, 101.0, 50_000) for minute in (3, 7)]
    quality = np.zeros(len(bars) + 2, dtype=np.uint8)
    rows = columns({"X": [*bars, *spikes]})
    for day, minute, flag in ((2, 3, GAP), (15, 7, LATE_REVISED), (16, 7, GAP), (14, 8, GAP)):
        (place,) = np.flatnonzero(own == day * 1_440 + minute)
        quality[place] = flag
    found = tp.scan(rows | {"quality": quality}, settings=settings(OF_DAY, SHORT))
    of_last = {
        int(us - last) // MINUTE_US: int(bits)
        for us, bits in zip(found.ts_us, found.quality, strict=True)
        if us >= last
    }
    assert of_last == {3: GAP, 7: GAP}
    quality[:] = 0
    found = tp.scan(rows | {"quality": quality}, settings=settings(OF_DAY, SHORT))
    assert not found.quality[found.ts_us >= last].any()


def test_more_shares_than_are_kept_are_as_many_as_are_kept() -> None:
    """Every spike reaches what no number that is kept can exceed."""
    bars = busy(5, 12, DAY_US, 60, shares=2**40)
    assert events(bars, SHORT) == events(bars, SHORT, ("volume_spike",))


def test_it_is_off_unless_it_is_asked_for_and_of_minutes_alone() -> None:
    assert not tp.Engine(tp.EngineSettings()).needs_volumes
    assert tp.Engine(settings(OF_DAY)).needs_volumes
    assert not tp.Engine(settings(OF_DAY, timeframes=())).needs_volumes
    with pytest.raises(ValueError, match="volume_spike_of_day"):
        tp.Engine(settings(OF_DAY, timeframes=("5min",)))
    assert tp.Engine(settings(BOTH, SHORT)).volumes_since(["X"]).tolist() == [2**63 - 1]


def sessions_of(days: list[int], *, splits: int = -1) -> SimpleNamespace:
    """Finished sessions of X as `know` takes them; from the day `splits` on at twice the price."""
    whole, price = (
        np.zeros(len(days), dtype=np.int64),
        np.array([200.0 if day >= splits > 0 else 100.0 for day in days]),
    )
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), price)
    more = {"volume": whole, "trades": whole, "open_us": whole, "close_us": whole}
    return SimpleNamespace(
        symbol=whole.astype(np.int32),
        symbols=["X"],
        ts_us=MONDAY_US + np.array(days, dtype=np.int64) * DAY_US,
        revision=whole.astype(np.int32),
        quality=whole.astype(np.uint8),
        **prices,
        **more,
    )


def volumes_of(rows: list[tuple[int, int, int]], symbol: int = 0) -> SimpleNamespace:
    """Day, minute and volume."""
    day, minute, volume = np.array(rows, dtype=np.int64).T
    return SimpleNamespace(
        symbol=np.full(len(rows), symbol, dtype=np.int32),
        symbols=["X"],
        open_us=MONDAY_US + day * DAY_US,
        minute=minute.astype(np.int32),
        volume=volume.copy(),
        quality=np.zeros(len(rows), dtype=np.uint8),
    )


def test_an_engine_takes_volumes_of_sessions_that_it_was_told_of_and_before_any_bar() -> None:
    engine = tp.Engine(settings(OF_DAY, SHORT))
    assert engine.know_volumes(volumes_of([(0, 0, 5)])) == 0, "it was told of no session"
    assert engine.know(sessions_of(list(range(40)), splits=30)) == 40
    assert engine.volumes_since(["X", "Y"]).tolist() == [MONDAY_US + 30 * DAY_US, 2**63 - 1]
    assert engine.know_volumes(volumes_of([(29, 0, 5), (30, 0, 5), (39, 1_559, 5), (39, 1_560, 5), (39, -1, 5)])) == 3
    engine.ingest([message("X", Bar(SHORT[40][0], 1.0, 1.0, 1.0, 1.0, 1))], SHORT[40][0] + 1_000_000)
    engine.flush()
    assert engine.know_volumes(volumes_of([(39, 0, 5)])) == 0
    with pytest.raises(ValueError, match="symbol must index symbols, row 0 is 1"):
        engine.know_volumes(volumes_of([(39, 0, 5)], symbol=1))
    uneven = volumes_of([(39, 0, 5)])
    uneven.minute = np.zeros(2, dtype=np.int32)
    with pytest.raises(ValueError, match="one length"):
        engine.know_volumes(uneven)
    assert tp.Engine(settings(("doji",), SHORT)).know_volumes(volumes_of([(39, 0, 5)])) == 0
