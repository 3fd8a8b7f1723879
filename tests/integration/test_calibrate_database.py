"""`tickstockpl calibrate` without a file: the rates of what is in the database."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US, outcome, ran, stored
from commands import Run, said_once
from event_samples import ENCODER, event
from event_samples import events as made_events
from minute_rows import KINDS, Bar, Kind, prepare, put
from tickstockpl import rate_file
from tickstockpl.events import EventColumns, Events, Expiry
from tickstockpl.kernel import PATTERNS, Follower
from tickstockpl.outcome_rows import Outcomes
from tickstockpl.wire import WriteBatch

pl = pytest.importorskip("polars", reason="files are read with the extra [replay]")

DAY_US = 86_400_000_000
COUNT = 150


def walk(symbol: str, seed: int) -> list[Bar]:
    """Two days of prices that no column rounds."""
    rng = np.random.default_rng(seed)
    starts = [NINE_30_US + day * DAY_US + n * MINUTE_US for day in range(2) for n in range(COUNT)]
    prices = 100 + rng.integers(-8, 9, len(starts)).cumsum() / 8
    return [Bar(symbol, at, price=float(price), volume=100) for at, price in zip(starts, prices, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_database_and_a_file_of_its_bars_have_the_same_rates(command: Run, database: str, kind: Kind) -> None:
    bars = [*walk("AAPL", 1), *walk("SPY", 2)]
    asyncio.run(prepare(database, kind))
    asyncio.run(put(database, kind, bars))
    columns = {name: [getattr(bar, name) for bar in bars] for name in ("symbol", "ts_us", "volume")}
    for name, more in {"open": 0, "high": 1, "low": -1, "close": 0}.items():
        columns[name] = [bar.price + more for bar in bars]
    pl.DataFrame(columns).write_parquet("bars.parquet")
    assert command("calibrate", "bars.parquet", "--name", "bars", "-o", "of_file.json").returncode == 0
    done = command("calibrate", "--name", "bars", "-o", "of_database.json", DATABASE_URI=database)
    assert (done.returncode, done.stderr) == (0, "")
    of_file, of_database = (rate_file.read(Path(name)) for name in ("of_file.json", "of_database.json"))
    assert len(of_file.groups) > 10
    assert replace(of_file, made_at_us=0) == replace(of_database, made_at_us=0)


def test_a_database_that_cannot_be_used_is_one_line(command: Run, database: str) -> None:
    nowhere = "postgresql://me:hidden@127.0.0.1:1/none"
    assert "postgresql://me:***@127.0.0.1:1/none cannot be used" in said_once(
        command("calibrate", DATABASE_URI=nowhere)
    )
    asyncio.run(prepare(database, "ours"))
    assert "there are no bars in postgresql://" in said_once(command("calibrate", DATABASE_URI=database))


def test_rates_of_stored_outcomes_are_those_of_the_events_found_in_the_same_bars(command: Run, database: str) -> None:
    """The service's own events of these bars, with what the follower says; one is withdrawn, one of older rules."""
    asyncio.run(prepare(database, "ours"))
    bars = [*walk("AAPL", 1), *walk("SPY", 2)]
    asyncio.run(put(database, "ours", bars))
    columns: dict[str, Any] = {name: [getattr(bar, name) for bar in bars] for name in ("symbol", "ts_us", "volume")}
    for name, more in {"open": 0, "high": 1, "low": -1, "close": 0}.items():
        columns[name] = [bar.price + more for bar in bars]
    found = tp.scan(columns)
    of = Follower("1min", horizon=20, barrier=1.0, revise_us=0, sessions=None, days=None)
    of.loaded()
    names, codes = np.unique(columns["symbol"], return_inverse=True)
    order = np.argsort(columns["ts_us"], kind="stable")
    closed = SimpleNamespace(
        symbols=tuple(names.tolist()),
        symbol=codes[order].astype(np.int32),
        **{name: np.array(columns[name])[order] for name in ("ts_us", "high", "low", "close")},
    )
    came = of.follow(found, closed)
    assert came is not None
    rows = zip(came.event_id.tolist(), came.result.tolist(), strict=True)
    results = [(event_id.decode(), result) for event_id, result in rows]
    events = Events(EventColumns.of(found), PATTERNS, ENCODER, np.arange(len(found)))
    gone = events[0]
    old = replace(event("AAPL", bar_end_us=gone.bar_end_us), pattern_id="doji", pattern="Doji")
    asyncio.run(
        stored(
            database,
            WriteBatch(events=events),
            WriteBatch(outcomes=Outcomes.of(came, "1min")),
            WriteBatch(expired=(Expiry(gone.event_id, gone.symbol, gone.pattern, gone.bar_end_us),)),
            WriteBatch(events=made_events(old)),
            WriteBatch(outcomes=outcome(old.event_id, "AAPL", ts_us=old.bar_start_us)),
        )
    )
    common = ("--mode", "always", "--holdout", "0", "--placebo", "0", "--name", "bars")
    done = command("calibrate", "--from-outcomes", *common, "-o", "live.json", DATABASE_URI=database)
    assert (done.returncode, done.stderr) == (0, "")
    made = rate_file.read(Path("live.json"))
    assert made.bases == _rates(command, common, database).bases
    measured = {event_id for event_id, result in results if abs(result) < 2} - {gone.event_id}
    assert sum(group.pooled.n + group.unresolved for group in made.groups) == len(measured) > 500
    expected = {event_id: result for event_id, result in results if event_id in measured and result in {1, -1}}
    by_id = {one.event_id: one for one in events}
    for group in made.groups:
        won = [
            result
            for event_id, result in expected.items()
            if (by_id[event_id].pattern_id, by_id[event_id].direction) == (group.pattern, group.direction)
        ]
        assert (group.pooled.n, group.pooled.hits) == (len(won), won.count(1))


def _rates(command: Run, common: tuple[str, ...], database: str) -> Any:
    assert command("calibrate", *common, "-o", "bars.json", DATABASE_URI=database).returncode == 0
    return rate_file.read(Path("bars.json"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bars.parquet",), "--from-outcomes reads the database of the settings: name no files"),
        (("--horizon", "10"), "has what the service measures: --horizon 20 and --barrier 1"),
    ],
)
def test_what_does_not_go_with_stored_outcomes_is_said(command: Run, words: tuple[str, ...], says: str) -> None:
    assert says in said_once(command("calibrate", "--from-outcomes", *words, DATABASE_URI="postgresql://h/d"))


def test_without_the_table_of_outcomes_the_way_to_it_is_said(command: Run, database: str) -> None:
    asyncio.run(prepare(database, "ours"))
    asyncio.run(put(database, "ours", walk("AAPL", 1)))
    asyncio.run(ran(database, "DROP TABLE pattern_outcome"))
    done = command("calibrate", "--from-outcomes", DATABASE_URI=database)
    assert "there is no table pattern_outcome: run `tickstockpl migrate`" in said_once(done)
