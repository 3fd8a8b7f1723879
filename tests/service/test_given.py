"""Minute bars out of files and columns: read as they stand, refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bar_samples import MINUTE_US, NINE_30_US
from tickstockpl.errors import SettingsError
from tickstockpl.given import GivenBars
from tickstockpl.recording import Reading, read_bars

pl = pytest.importorskip("polars", reason="reading files needs the extra [replay]")

HEAD = "symbol,timestamp,open,high,low,close,volume"
MINUTES = Reading(bar_seconds=60)


def of(names: list[str], ts_us: list[int], **columns: Any) -> GivenBars:
    values = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 5} | columns
    *prices, volume = (np.broadcast_to(value, len(names)) for value in values.values())
    return GivenBars.of("a test", names, ts_us, prices, volume)


def test_the_start_of_a_minute_is_its_timestamp_and_what_is_absent_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text(f"{HEAD}\nB,2025-10-13T13:30:00Z,1,2,0.5,1.5,70\nA,2025-10-13T13:31:00Z,10.1,11,9.9,10,0\n")
    bars = read_bars([file], MINUTES)
    assert bars.names.tolist() == ["A", "B"]
    assert bars.rows["ts_us"].tolist() == [NINE_30_US + MINUTE_US, NINE_30_US]
    assert bars.rows[0].tolist()[1:6] == (10.1, 11.0, 9.9, 10.0, 0)
    assert np.isnan(bars.rows["vwap"]).all()
    assert bars.rows["trades"].tolist() == [-1, -1]


def test_the_vendors_own_files_are_read_and_parquet_is(tmp_path: Path) -> None:
    file = tmp_path / "flat.csv"
    file.write_text(
        "ticker,volume,open,close,high,low,window_start,transactions\n"
        f"A,1200,10.1,10.2,10.3,10,{NINE_30_US * 1000},37\n"
    )
    (row,) = read_bars([file], MINUTES).rows
    assert (row["ts_us"], row["close"], row["high"], row["trades"]) == (NINE_30_US, 10.2, 10.3, 37)
    again = tmp_path / "flat.parquet"
    pl.read_csv(file).with_columns(vwap=pl.lit(10.15)).write_parquet(again)
    (row,) = read_bars([again], MINUTES).rows
    assert (row["ts_us"], row["vwap"], row["trades"]) == (NINE_30_US, 10.15, 37)


def test_a_file_without_symbols_holds_those_of_the_one_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("timestamp,open,high,low,close,volume,vwap,trades\n2025-10-13T13:30:00Z,1,2,0.5,1.5,70,,\n")
    bars = read_bars([file], Reading(bar_seconds=60, symbol="AAPL"))
    assert (bars.names.tolist(), bars.rows["trades"].tolist()) == (["AAPL"], [-1])
    with pytest.raises(SettingsError, match="no column symbol or ticker"):
        read_bars([file], MINUTES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}\n", "no bars in"),
        ("symbol,timestamp,price,size\nA,1757600462,1.5,2\n", "no column open or open_e4"),
        (f"{HEAD}\nA,2025-10-13T13:30:01Z,1,2,0.5,1,7\n", "A at 2025-10-13 13:30:01Z must start at a whole minute"),
        (f"{HEAD}\nA,2025-10-13T13:30:00Z,1,2,0.5,1,7.5\n", "volume must be whole numbers"),
        (f"{HEAD},vwap\nA,2025-10-13T13:30:00Z,1,2,0.5,1,7,much\n", "vwap must be a number"),
    ],
)
def test_a_file_that_holds_no_minute_bars_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bars.csv"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_bars([file], MINUTES)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"high": [10.25]}, "a high that no price is above"),
        ({"low": [10.25]}, "a high that no price is above and a low that none is below"),
        ({"close": [float("nan")]}, "finite prices above 0"),
        ({"low": [0.0]}, "finite prices above 0"),
        ({"volume": -1}, "a volume of at least 0"),
    ],
)
def test_a_row_that_is_no_bar_is_named(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"a test: the bar of A at 2025-10-13 13:30:00Z must have {said}"):
        of(["A"], [NINE_30_US], **columns)


def test_a_bar_that_is_there_twice_counts_once_and_two_that_differ_are_refused() -> None:
    assert of(["A", "B", "A"], [NINE_30_US] * 3).names.tolist() == ["A", "B"]
    with pytest.raises(SettingsError, match=r"the bar of A at .* is there twice, with other values"):
        of(["A", "B", "A"], [NINE_30_US] * 3, close=[10, 10.5, 10.5])
