"""`tickstockpl calibrate` without a file: the rates of what is in the database."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bar_samples import MINUTE_US, NINE_30_US
from commands import Run, said_once
from minute_rows import KINDS, Bar, Kind, prepare, put
from tickstockpl import rate_file

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
