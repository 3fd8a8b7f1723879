"""Bars of history out of files: all of a symbol together, however they stand in the files and however few fit."""

import asyncio
import random
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US
from tickstockpl import archive
from tickstockpl.archive import ROWS, Archive, Asked, grouped, in_files
from tickstockpl.errors import SettingsError
from tickstockpl.history import History
from tickstockpl.recording import Reading

pl = pytest.importorskip("polars", reason="reading files needs the extra [replay]")

NAMES = ("symbol", "ts_us", "open", "high", "low", "close", "volume")
Row = tuple[Any, ...]


def row_of(symbol: str, minute: int, price: float = 10.0, volume: int = 7) -> Row:
    return (symbol, NINE_30_US + minute * MINUTE_US, price, price + 1, price - 1, price + 0.5, volume)


def written(folder: Path, *files: Sequence[Row]) -> list[Path]:
    """Files of these bars, Parquet and CSV by turns."""
    paths = []
    for number, rows in enumerate(files):
        frame = pl.DataFrame(list(rows), schema=list(NAMES), orient="row")
        paths.append(folder / f"{number}.{('parquet', 'csv')[number % 2]}")
        frame.write_parquet(paths[-1]) if number % 2 == 0 else frame.write_csv(paths[-1])
    return paths


def rows_of(bars: History) -> list[Row]:
    columns = [getattr(bars, name).tolist() for name in NAMES[1:]]
    return [(bars.symbols[symbol], *row) for symbol, *row in zip(bars.symbol.tolist(), *columns, strict=True)]


async def chunked(archive: Archive) -> list[History]:
    return [bars async for bars in archive.chunks()]


def read(paths: list[Path], asked: Asked | None = None, rows: int = ROWS, reading: Reading | None = None) -> Any:
    """The counts of an archive and its chunks."""

    async def all_of_it() -> Any:
        async with in_files(paths, reading or Reading(bar_seconds=60), asked, rows=rows) as opened:
            assert opened.left_out == 0
            return opened.counts, await chunked(opened)

    return asyncio.run(all_of_it())


@cases(max_examples=40, deadline=None)
@given(
    bars=st.sets(st.tuples(st.sampled_from("ABCDE"), st.integers(0, 30)), min_size=1),
    files=st.integers(1, 4),
    rows=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_groups_hold_all_bars_of_their_symbols_in_order_and_no_more_bars_than_they_may(
    bars: set[tuple[str, int]], files: int, rows: int, seed: int
) -> None:
    chance = random.Random(seed)
    shuffled = [row_of(*bar, price=chance.randrange(200, 3000) / 100) for bar in sorted(bars)]
    chance.shuffle(shuffled)
    shuffled += chance.sample(shuffled, len(shuffled) // 3)  # the same bar twice
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), *(shuffled[at::files] for at in range(files)))
        counts, chunks = read(paths, rows=rows)
    assert [row for chunk in chunks for row in rows_of(chunk)] == sorted(set(shuffled))
    assert dict(counts) == {
        symbol: sum(row[0] == symbol for row in shuffled) for symbol in sorted({r[0] for r in bars})
    }
    assert [chunk.symbols for chunk in chunks] == list(grouped(counts, rows))
    assert all(len(chunk) <= rows or len(chunk.symbols) == 1 for chunk in chunks)
    assert all(sorted(chunk.symbols) == chunk.symbols for chunk in chunks)


def test_what_is_read_is_what_scan_takes(tmp_path: Path) -> None:
    rows = [
        row_of(symbol, minute, 10 + minute % 7, 100 + 900 * (minute == 25)) for symbol in "AB" for minute in range(40)
    ]
    paths = written(tmp_path, rows)
    _, (first, second) = read(paths, rows=40)
    frame = pl.read_parquet(paths[0])
    for chunk, symbol in ((first, "A"), (second, "B")):
        expected = tp.scan(frame.filter(pl.col("symbol") == symbol)).to_dict()
        found = tp.scan(chunk).to_dict()
        assert len(expected["ts_us"]) > 0
        assert str({name: column.tolist() for name, column in found.items()}) == str(
            {name: column.tolist() for name, column in expected.items()}
        )


@pytest.mark.parametrize("rows", [1, 1000])
def test_symbols_and_days_that_are_not_asked_for_are_left_out(tmp_path: Path, rows: int) -> None:
    bars = [row_of(symbol, minute) for symbol in "ABC" for minute in range(10)]
    asked = Asked({"A", "C", "NONE"}, NINE_30_US + 2 * MINUTE_US, NINE_30_US + 5 * MINUTE_US)
    counts, chunks = read(written(tmp_path, bars), asked, rows)
    assert dict(counts) == {"A": 3, "C": 3}
    assert [row for chunk in chunks for row in rows_of(chunk)] == [row_of(s, m) for s in "AC" for m in (2, 3, 4)]


@pytest.mark.parametrize("rows", [1, 6, 1000])
def test_some_symbols_can_be_read_alone_whatever_group_they_are_in(tmp_path: Path, rows: int) -> None:
    bars = [row_of(symbol, minute) for symbol in "ABCD" for minute in range(3)]

    async def some(symbols: Collection[str]) -> History:
        async with in_files(written(tmp_path, bars), Reading(bar_seconds=60), rows=rows) as archive:
            return await archive.read(symbols)

    found = asyncio.run(some({"D", "B"}))
    assert found.symbols == ["B", "D"]
    assert rows_of(found) == [row_of(symbol, minute) for symbol in "BD" for minute in range(3)]


def test_what_a_file_says_of_vwap_and_trades_is_kept(tmp_path: Path) -> None:
    columns = {name: [value] for name, value in zip(NAMES, row_of("A", 0), strict=True)}
    path = tmp_path / "bars.parquet"
    pl.DataFrame(columns | {"vwap": [10.25], "transactions": [3]}).write_parquet(path)
    _, (bars,) = read([path])
    assert (bars.vwap.tolist(), bars.trades.tolist()) == ([10.25], [3])
    pl.DataFrame(columns).write_parquet(path)
    _, (bars,) = read([path])
    assert (str(bars.vwap.tolist()), bars.trades.tolist(), bars.quality.tolist()) == ("[nan]", [0], [0])


def test_a_file_without_symbols_holds_those_of_the_one_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    pl.DataFrame([row_of("A", 0)[1:]], schema=list(NAMES[1:]), orient="row").write_parquet(path)
    counts, _ = read([path], Asked({"XYZ"}), reading=Reading(bar_seconds=60, symbol="XYZ"))
    assert dict(counts) == {"XYZ": 1}


@pytest.mark.parametrize("rows", [1, 1000])
@pytest.mark.parametrize(
    ("bars", "asked", "said"),
    [
        ([row_of("A", 0), row_of("B", 1, price=-5.0)], None, "the bar of B at .* must have finite prices above 0"),
        ([row_of("A", 0), row_of("A", 0, price=5.0)], None, "the bar of A at .* is there twice, with other values"),
        ([("A", NINE_30_US + 1, *row_of("A", 0)[2:])], None, "must start at a whole minute"),
        ([("A", None, *row_of("A", 0)[2:]), row_of("B", 0)], None, "0.parquet: ts_us is empty in row 1"),
        ([row_of("A", 0)], Asked({"NOPE"}), "there are no bars of NOPE in .*0.parquet"),
        ([row_of("A", 0)], Asked(until_us=NINE_30_US), "there are no bars in these days in .*0.parquet"),
    ],
)
def test_what_is_no_bar_or_is_not_there_is_named(
    tmp_path: Path, bars: list[Row], asked: Asked | None, said: str, rows: int
) -> None:
    with pytest.raises(SettingsError, match=said):
        read(written(tmp_path, bars), asked, rows)


def test_a_row_far_down_in_a_file_is_named_by_its_place(tmp_path: Path) -> None:
    count = 600_001
    frame = pl.DataFrame({"symbol": ["A"] * count, "ts_us": [NINE_30_US + n * MINUTE_US for n in range(count)]})
    frame = frame.with_columns(**{name: pl.lit(1.0) for name in ("open", "high", "low", "close")}, volume=pl.lit(1))
    last = pl.int_range(pl.len()) == count - 1
    path = tmp_path / "long.parquet"
    frame.with_columns(pl.when(~last).then("close").alias("close")).write_parquet(path)
    with pytest.raises(SettingsError, match=f"long.parquet: close is empty in row {count}"):
        read([path])


def test_nothing_is_left_behind_in_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    paths = written(tmp_path, [row_of(symbol, minute) for symbol in "AB" for minute in range(3)])

    async def seen() -> list[Path]:
        async with in_files(paths, Reading(bar_seconds=60), rows=3) as archive:
            await chunked(archive)
            return [path for path in temporary.rglob("*") if path.is_file()]

    assert len(asyncio.run(seen())) == 2
    assert list(temporary.iterdir()) == []


@pytest.mark.anyio
async def test_who_stops_waiting_does_not_wait_for_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, given = asyncio.Event(), 0
    loop = asyncio.get_running_loop()
    (path,) = written(tmp_path, [row_of("A", minute) for minute in range(10)])

    def endless(*_: object) -> Iterator[Any]:
        nonlocal given
        while True:
            given += 1
            loop.call_soon_threadsafe(begun.set)
            yield pl.read_parquet(path)

    monkeypatch.setattr(archive, "bars_of", endless)

    async def opened() -> None:
        async with in_files([path], Reading(bar_seconds=60)):
            pytest.fail("it has no end")

    async with asyncio.timeout(20) as patience:
        task = loop.create_task(opened())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    seen = given
    await asyncio.sleep(0.05)
    assert (given, patience.expired()) == (seen, False)
