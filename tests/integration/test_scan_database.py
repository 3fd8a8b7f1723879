"""`tickstockpl scan` without a file: what is in the database is what is looked through."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from bar_samples import MINUTE_US, NINE_30_US
from commands import Run, said_once
from minute_rows import KINDS, Bar, Kind, prepare, put

pl = pytest.importorskip("polars", reason="what is found is written with the extra [replay]")

COUNT = 120


def walk(symbol: str, seed: int) -> list[Bar]:
    """Prices that no column rounds."""
    rng = np.random.default_rng(seed)
    prices = 100 + rng.integers(-8, 9, COUNT).cumsum() / 8
    volumes = rng.choice([100, 1000], COUNT)
    return [
        Bar(symbol, NINE_30_US + n * MINUTE_US, price=float(prices[n]), volume=int(volumes[n])) for n in range(COUNT)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_database_and_a_file_of_its_bars_have_the_same_patterns(command: Run, database: str, kind: Kind) -> None:
    bars = [*walk("AAPL", 1), *walk("SPY", 2)]
    asyncio.run(prepare(database, kind))
    asyncio.run(put(database, kind, bars))
    columns = {
        "symbol": [bar.symbol for bar in bars],
        "ts_us": [bar.ts_us for bar in bars],
        "volume": [bar.volume for bar in bars],
    }
    for name, more in {"open": 0, "high": 1, "low": -1, "close": 0}.items():
        columns[name] = [bar.price + more for bar in bars]
    pl.DataFrame(columns).write_parquet("bars.parquet")
    of_file = command("scan", "bars.parquet", "-o", "of_file.parquet")
    of_database = command("scan", "-o", "of_database.parquet", DATABASE_URI=database)
    assert (of_database.returncode, of_database.stderr) == (0, "")
    found = pl.read_parquet("of_database.parquet")
    assert len(found) > 20
    assert found.equals(pl.read_parquet("of_file.parquet"), null_equal=True)
    assert f"{len(found)} found in 240 bars of 2 symbols, 2025-10-13 to 2025-10-13, in " in of_database.stdout
    assert of_file.stdout.partition(" in bars.parquet")[0] == of_database.stdout.partition(" in postgresql:")[0]


def test_no_pattern_ends_on_a_flagged_bar_and_one_that_was_open_is_no_bar(command: Run, database: str) -> None:
    bars = walk("AAPL", 1)
    flagged = {30: "gap", 60: "partial_start", COUNT - 1: "provisional"}
    asyncio.run(prepare(database, "ours"))
    asyncio.run(
        put(database, "ours", [Bar(b.symbol, b.ts_us, flagged.get(n), b.price, b.volume) for n, b in enumerate(bars)])
    )
    done = command("scan", "-o", "found.parquet", DATABASE_URI=database)
    assert " in 119 bars of one symbol" in done.stdout
    minutes = {
        (int(at.timestamp()) * 1_000_000 - NINE_30_US) // MINUTE_US
        for at in pl.read_parquet("found.parquet")["bar_start"]
    }
    assert len(minutes) > 10
    assert minutes.isdisjoint(flagged)


def test_rows_of_another_writer_that_are_no_bars_are_left_out_and_said(command: Run, database: str) -> None:
    asyncio.run(prepare(database, "appv2"))
    asyncio.run(put(database, "appv2", [*walk("AAPL", 1), Bar("AAPL", NINE_30_US + 1_000_000)]))
    done = command("scan", DATABASE_URI=database)
    assert done.stderr == "tickstockpl: rows that are no bars of a minute were left out: 1\n"
    assert " in 120 bars of one symbol" in done.stdout


def test_a_database_that_cannot_be_used_is_one_line(command: Run, database: str) -> None:
    assert "run `tickstockpl migrate` first" in said_once(command("scan", DATABASE_URI=database))
    nowhere = "postgresql://me:hidden@127.0.0.1:1/none"
    assert "postgresql://me:***@127.0.0.1:1/none cannot be used" in said_once(command("scan", DATABASE_URI=nowhere))
    asyncio.run(prepare(database, "ours"))
    assert "there are no bars in postgresql://" in said_once(command("scan", DATABASE_URI=database))
    assert not [*Path().iterdir()]
