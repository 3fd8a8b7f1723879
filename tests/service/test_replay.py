"""Recordings become AppV2's messages, in order of stamp; what would have to be guessed is refused with a hint."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from tickstockpl import recording
from tickstockpl.dev.progress import progress
from tickstockpl.dev.replay import batches
from tickstockpl.errors import SettingsError
from tickstockpl.recording import Reading, read

DATA = Path(__file__).resolve().parents[2] / "../shared/data/market"
OPEN_NS = 1_381_152_600_000_000_000  # 2013-10-07 13:30 UTC
no_market_data = pytest.mark.skipif(not DATA.is_dir(), reason="the vendor's market data is not beside the checkout")


def parquet(tmp_path: Path, columns: dict[str, Any], name: str = "file.parquet") -> Path:
    path = tmp_path / name
    pl.DataFrame(columns).write_parquet(path)
    return path


def messages(paths: Path | list[Path], reading: Reading | None = None, **how: Any) -> list[dict[str, Any]]:
    found = read([paths] if isinstance(paths, Path) else paths, reading or Reading())
    return [json.loads(payload) for batch in batches(found, **how) for payload in batch.payloads]


def trades(**changes: Any) -> dict[str, Any]:
    columns = {
        "symbol": ["SPY", "SPY", "IBM"],
        "ts_ns": [OPEN_NS + 1_999, OPEN_NS + 5_000_000, OPEN_NS + 1_000_000],
        "price": [168.5, 168.51, 182.0],
        "size": [100, 200, 300],
    }
    return {name: values for name, values in {**columns, **changes}.items() if values is not None}


def bars(**changes: Any) -> dict[str, Any]:
    columns = {
        "ticker": ["SPY", "SPY"],
        "ts_ns": [OPEN_NS, OPEN_NS + 1_000_000_000],
        "open": [168.5, 168.6],
        "high": [168.7, 168.8],
        "low": [168.4, 168.5],
        "close": [168.6, 168.55],
        "volume": [1000, 2000],
    }
    return {name: values for name, values in {**columns, **changes}.items() if values is not None}


def test_trades_become_t_messages_merged_by_stamp(tmp_path: Path) -> None:
    found = messages(parquet(tmp_path, trades()))
    assert [tick["ticker"] for tick in found] == ["SPY", "IBM", "SPY"]
    assert found[1] == {
        "ticker": "IBM", "price": 182.0, "volume": 300, "timestamp": 1381152600.001, "event_type": "T",
        "source": "polygon", "tick_open": None, "tick_high": None, "tick_low": None, "tick_close": 182.0,
        "tick_volume": 300, "tick_vwap": None, "bid": None, "ask": None,
    }  # fmt: skip


def test_nanoseconds_are_truncated_to_microseconds(tmp_path: Path) -> None:
    first = messages(parquet(tmp_path, trades()))[0]
    assert round(first["timestamp"] * 1_000_000) == OPEN_NS // 1000 + 1


def test_second_bars_are_stamped_with_their_end(tmp_path: Path) -> None:
    first, second = messages(parquet(tmp_path, bars()))
    assert (first["timestamp"], second["timestamp"]) == (1381152601.0, 1381152602.0)
    assert first["event_type"] == "A"
    assert [first[name] for name in ("tick_open", "tick_high", "tick_low", "tick_close", "price")] == [
        168.5, 168.7, 168.4, 168.6, 168.6,
    ]  # fmt: skip
    assert (first["volume"], first["tick_volume"], first["tick_vwap"]) == (1000, 1000, None)


def test_longer_bars_end_when_they_are_said_to(tmp_path: Path) -> None:
    columns = bars(ts_ns=[OPEN_NS, OPEN_NS + 60_000_000_000])
    first, _ = messages(parquet(tmp_path, columns), Reading(bar_seconds=60))
    assert first["timestamp"] == 1381152660.0


def test_close_times_are_taken_as_they_are(tmp_path: Path) -> None:
    ends = [datetime.fromisoformat(f"2013-10-07T09:3{minute}") for minute in (1, 2)]  # without a zone, as in files
    columns = bars(ts_ns=None, ts_end=ends)
    first, _ = messages(parquet(tmp_path, columns), Reading(timezone="America/New_York"))
    assert first["timestamp"] == datetime(2013, 10, 7, 13, 31, tzinfo=UTC).timestamp()


def test_every_message_is_what_json_dumps_would_write(tmp_path: Path) -> None:
    columns = trades(seq=[1, 2, 1], conditions=[[37, 12], None, []])
    for path in (parquet(tmp_path, columns), parquet(tmp_path, bars(vwap=[168.55, None]), "bars.parquet")):
        for batch in batches(read([path], Reading())):
            assert [json.dumps(json.loads(payload)).encode() for payload in batch.payloads] == batch.payloads


def test_sequence_numbers_conditions_and_vwaps_are_passed_on(tmp_path: Path) -> None:
    columns = trades(seq=[7, 8, None], conditions=[[37, 12], [], None])
    first, ibm, second = messages(parquet(tmp_path, columns))
    assert (first["seq"], first["conditions"]) == (7, [37, 12])
    assert "seq" not in ibm
    assert "conditions" not in ibm
    assert second["seq"] == 8
    with_vwap = messages(parquet(tmp_path, bars(vwap=[168.55, None])))
    assert [tick["tick_vwap"] for tick in with_vwap] == [168.55, None]


def test_prints_that_may_not_set_a_price_stay_out_unless_asked_for(tmp_path: Path) -> None:
    path = parquet(tmp_path, trades(eligible=[True, False, True]))
    assert len(messages(path)) == 2
    assert len(messages(path, Reading(all_prints=True))) == 3


def test_prices_may_come_in_ten_thousandths(tmp_path: Path) -> None:
    found = messages(parquet(tmp_path, trades(price=None, price_e4=[1_685_000, 1_685_100, 1_820_000])))
    assert [tick["price"] for tick in found] == [168.5, 182.0, 168.51]


@pytest.mark.parametrize(
    "stamps",
    [
        ["2013-10-07T13:30:00.000001Z", "2013-10-07T13:30:00.005Z", "2013-10-07T13:30:00.001Z"],
        [1381152600.000001, 1381152600.005, 1381152600.001],
    ],
)
def test_csv_gives_the_same_messages_as_parquet(tmp_path: Path, stamps: list[Any]) -> None:
    path = tmp_path / "file.csv"
    pl.DataFrame(trades(ts_ns=None, timestamp=stamps)).write_csv(path)
    assert messages(path) == messages(parquet(tmp_path, trades()))


def test_a_file_of_one_symbol_needs_only_its_name(tmp_path: Path) -> None:
    path = parquet(tmp_path, trades(symbol=None, ts_ns=[OPEN_NS, OPEN_NS + 1000, OPEN_NS + 2000]))
    assert {tick["ticker"] for tick in messages(path, Reading(symbol="QQQ"))} == {"QQQ"}


def test_ties_keep_the_order_of_the_file(tmp_path: Path) -> None:
    columns = trades(symbol=["SPY"] * 3, ts_ns=[OPEN_NS] * 3)
    assert [tick["volume"] for tick in messages(parquet(tmp_path, columns))] == [100, 200, 300]


def test_several_files_are_merged_by_stamp(tmp_path: Path) -> None:
    early = parquet(tmp_path, bars(ticker=["IBM", "IBM"], ts_ns=[OPEN_NS - 1_000_000_000, OPEN_NS + 1]), "ibm.parquet")
    found = messages([parquet(tmp_path, bars()), early])
    assert [tick["ticker"] for tick in found] == ["IBM", "SPY", "IBM", "SPY"]


def test_an_unsorted_file_is_refused_with_its_row_and_a_hint(tmp_path: Path) -> None:
    columns = trades(symbol=["SPY", "IBM", "SPY"], ts_ns=[OPEN_NS + 9000, OPEN_NS, OPEN_NS + 8000])
    with pytest.raises(SettingsError, match=r"is not sorted: SPY goes back in time at row 3; .*\.sort\("):
        messages(parquet(tmp_path, columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (trades(size=None), "has no column size or volume; its columns are symbol, ts_ns, price"),
        (trades(symbol=None), "has no column symbol or ticker"),
        (trades(price=[168.5, None, 182.0]), "price is empty in row 2"),
        (trades(price=["a", "b", "c"]), "price must be a number"),
        (trades(size=[1.5, 2.0, 3.0]), "size must be whole numbers"),
        (trades(ts_ns=None, timestamp=[1, 2, 3]), "must lie between 2000 and 2100"),
        (trades(ts_ns=None, timestamp=[OPEN_NS] * 3), "nanoseconds are called ts_ns"),
        (trades(ts_ns=None, timestamp=["a", "b", "c"]), "must be a date and time or epoch seconds"),
        (trades(conditions=[1, 2, 3]), "conditions must be a list of numbers"),
        (trades(eligible=[False] * 3), "has no rows to play"),
        (bars(close=None), "has no column close or close_e4"),
    ],
)
def test_a_file_that_cannot_be_played_says_why(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        messages(parquet(tmp_path, columns))


def test_what_is_no_file_of_rows_says_so(tmp_path: Path) -> None:
    (tmp_path / "file.parquet").write_text("no parquet")
    for name, message in (
        ("file.parquet", "cannot be read"),
        ("gone.csv", "cannot be read"),
        ("a.xlsx", "must end in"),
    ):
        with pytest.raises(SettingsError, match=message):
            messages(tmp_path / name)


def test_trades_and_bars_are_not_mixed(tmp_path: Path) -> None:
    paths = [parquet(tmp_path, trades(), "trades.parquet"), parquet(tmp_path, bars(), "bars.parquet")]
    with pytest.raises(SettingsError, match="one kind at a time"):
        messages(paths)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, trades())
    with pytest.raises(SettingsError, match="bar-seconds must be at least 1, was 0"):
        messages(path, Reading(bar_seconds=0))
    with pytest.raises(SettingsError, match="no timezone is called 'Mars'"):
        messages(path, Reading(timezone="Mars"))
    with pytest.raises(SettingsError, match="pack must be at least 1, was 0"):
        messages(path, pack=0)


def test_without_polars_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recording, "POLARS", "no_such_polars")
    with pytest.raises(SettingsError, match=r"pip install 'tickstockpl\[replay\]'"):
        read([tmp_path / "file.parquet"], Reading())


def test_paced_batches_end_within_a_tenth_of_a_second_and_lose_nothing(tmp_path: Path) -> None:
    count = 10_000
    columns = {
        "symbol": ["SPY"] * count, "ts_us": [OPEN_NS // 1000 + n * 20 for n in range(count)],
        "price": [168.5] * count, "size": list(range(count)),
    }  # fmt: skip
    found = read([parquet(tmp_path, columns)], Reading())
    for paced in (True, False):
        made = list(batches(found, paced=paced, pack=10))
        assert sum(batch.ticks for batch in made) == count
        sizes = [tick["volume"] for batch in made for payload in batch.payloads for tick in json.loads(payload)]
        assert sizes == list(range(count))
        assert max(batch.ticks for batch in made) <= 4096
    assert len(list(batches(found, paced=True))) == 4  # 0.2 s: two edges of 0.1 s, each cut once by size


@pytest.mark.market_data
@no_market_data
def test_recorded_seconds_give_the_vendors_own_minutes() -> None:
    """Open, high, low and close from the A rule alone; the auction minutes use official prices."""
    by_minute: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for tick in messages(DATA / "us_bars_1s_2013-10-07.parquet"):
        minute = (round(tick["timestamp"] * 1_000_000) - 1) // 60_000_000 * 60_000
        by_minute.setdefault((tick["ticker"], minute), []).append(tick)
    vendor = pl.read_parquet(DATA / "us_bars_1min_2013-10-07.parquet")
    auctions = {1_381_152_600_000, 1_381_175_940_000, 1_381_176_000_000}
    compared = 0
    for row in vendor.iter_rows(named=True):
        minute = row["ts_ns"] // 1_000_000
        if minute in auctions:
            continue
        ticks = by_minute[row["symbol"], minute]
        assert ticks[0]["tick_open"] == row["open_e4"] / 10_000
        assert max(tick["tick_high"] for tick in ticks) == row["high_e4"] / 10_000
        assert min(tick["tick_low"] for tick in ticks) == row["low_e4"] / 10_000
        assert ticks[-1]["tick_close"] == row["close_e4"] / 10_000
        compared += 1
    assert compared > 1_200


@pytest.mark.market_data
@no_market_data
def test_a_recorded_day_of_trades_is_in_order_of_stamp_and_sequence() -> None:
    found = read([DATA / "us_trades_2013-10-07.parquet"], Reading())
    assert found.symbols == ["IBM", "SPY"]
    assert len(found) == 146_540
    assert (np.diff(found.ts_us) >= 0).all()
    assert found.seq is not None
    for number in range(2):
        assert (np.diff(found.seq[found.symbol == number]) > 0).all()


def test_a_terminal_gets_a_bar_and_a_pipe_gets_a_line_every_tenth() -> None:
    pipe = StringIO()
    with progress("replay", 1000, Console(file=pipe, width=60)) as report:
        for done in range(0, 1001, 10):
            report(done, f"{done} ticks")
    lines = pipe.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"replay: {n} %" for n in range(10, 101, 10)]
    terminal = StringIO()
    with progress("replay", 1000, Console(file=terminal, width=80, force_terminal=True)) as report:
        report(1000, "1000 ticks")
    assert "100%" in terminal.getvalue()
    assert "1000 ticks" in terminal.getvalue()
