"""Trades or bars from parquet and CSV files, as columns in the order in which a feed would have sent them.

Columns (others are ignored; a file with `open` or `open_e4` holds bars, else trades):

time      ts_ns | ts_us         whole ns or µs since 1970 UTC; ns are truncated to µs
          window_start          the same in ns, bars only, as the vendor's own files call it
          timestamp             a date and time (without a zone: `--timezone`), or epoch seconds
          ts_end                the same, bars only: the CLOSE time. The other names are the OPEN time of a bar
symbol    symbol | ticker       or `--symbol` for a file of one symbol
trades    price | price_e4      dollars, or dollars × 10,000
          size | volume         shares
          conditions            optional: list of Massive condition ids, passed on
          seq                   optional: number of the trade, passed on
          eligible              optional: false = the print may not set a price; left out unless `--all-prints`
bars      open high low close   or …_e4
          volume
          vwap                  optional, may be empty
          trades | transactions optional, may be empty: how many; for repairs
"""

from __future__ import annotations  # polars is an extra: its names must not be needed at import

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from tickstockpl.errors import SettingsError
from tickstockpl.given import GivenBars

POLARS: Final = "polars"

if TYPE_CHECKING:
    import polars as pl
else:

    class _Polars:
        """An extra, and half a second to import: nobody pays for it who replays nothing."""

        def __getattr__(self, name: str) -> object:
            return getattr(importlib.import_module(POLARS), name)

    pl = _Polars()

OHLC: Final = ("open", "high", "low", "close")
FIRST_US: Final = 946_684_800_000_000
LAST_US: Final = 4_102_444_800_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """Ticks by stamp; ties in file order. Columns of equal length.

    kind: "A" for bars, "T" for trades. ts_us: the message's stamp, for bars the END.
    prices: (price,) for trades, (open, high, low, close) for bars; float64.
    """

    kind: str
    symbols: list[str]
    symbol: NDArray[np.int64]
    ts_us: NDArray[np.int64]
    prices: tuple[NDArray[np.float64], ...]
    volume: NDArray[np.int64]
    vwap: NDArray[np.float64] | None
    seq: NDArray[np.int64] | None
    conditions: list[list[int] | None] | None

    def __len__(self) -> int:
        return len(self.ts_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read the files. bar_seconds: length of a bar. symbol: for files without a symbol column."""

    bar_seconds: int = 1
    timezone: str = "UTC"
    symbol: str | None = None
    all_prints: bool = False


def read(paths: Sequence[Path], reading: Reading) -> Recording:
    """All rows of all files, merged by stamp.

    Raises SettingsError for a file that cannot be read, lacks a column, or whose symbols go back in time.
    """
    _refuse_reading(reading)
    if reading.bar_seconds < 1:
        raise SettingsError(f"bar-seconds must be at least 1, was {reading.bar_seconds}")
    frames = []
    for path in paths:
        frame = _ticks(_frame(path), _Part(path), reading)
        _refuse_unsorted(frame, path)
        frames.append(frame)
    if len({frame.columns[2] for frame in frames}) > 1:
        raise SettingsError("the files hold trades and bars; replay one kind at a time")
    merged = pl.concat(frames, how="diagonal").sort("ts_us", maintain_order=True)
    return _recording(merged)


def read_bars(paths: Sequence[Path], reading: Reading) -> GivenBars:
    """The minute bars of all files, in any order; of a file without a symbol column those of `reading.symbol`.

    Raises SettingsError for a file that cannot be read, lacks a column, or holds what is no bar of a minute.
    """
    frames = list(bars_of(paths, reading))
    if not frames:
        raise SettingsError(f"no bars in {', '.join(map(str, paths))}")
    merged = pl.concat(frames)
    return GivenBars.of(
        ", ".join(map(str, paths)),
        merged["symbol"].to_numpy(),
        merged["ts_us"].to_numpy(),
        [merged[name].to_numpy() for name in OHLC],
        merged["volume"].to_numpy(),
        merged["vwap"].to_numpy(),
        merged["trades"].to_numpy(),
    )


def bars_of(paths: Sequence[Path], reading: Reading, rows: int = 250_000) -> Iterator[pl.DataFrame]:
    """The same as frames, file by file, some `rows` of one at a time: columns of `given.COLUMNS` behind `symbol`.

    Raises SettingsError for a file that cannot be read, lacks a column, or has a cell that is empty or no number.
    """
    _refuse_reading(reading)
    for path in paths:
        done = 0
        for frame in _batches(path, rows):
            if frame.is_empty():
                continue
            part = _Part(path, done)
            done += len(frame)
            columns = [_symbol(frame, part, None if {"symbol", "ticker"} & {*frame.columns} else reading.symbol)]
            columns += [_stamp(frame, part, reading, bars=True) - reading.bar_seconds * 1_000_000]
            columns += [
                *(_price(frame, part, name) for name in OHLC),
                _whole(frame, part, _one_of(frame, part, ("volume",)), "volume"),
            ]
            columns += [_number(frame, part, ("vwap",), "vwap").fill_null(float("nan"))]
            columns += [_number(frame, part, ("trades", "transactions"), "trades").fill_null(-1).cast(pl.Int64)]
            yield pl.DataFrame(columns)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of a file, for errors."""

    path: Path
    before: int = 0
    """How many rows of the file come before these."""

    def __str__(self) -> str:
        return str(self.path)


def need_polars(what: str) -> None:
    """Raises SettingsError, saying what is done with it, unless polars is installed."""
    if importlib.util.find_spec(POLARS) is None:
        raise SettingsError(f"{what} with polars: pip install 'tickstockpl[replay]'")


def _refuse_reading(reading: Reading) -> None:
    need_polars("files are read")
    try:
        ZoneInfo(reading.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(f"no timezone is called {reading.timezone!r}; try America/New_York") from None


def _number(frame: pl.DataFrame, path: _Part, names: Sequence[str], alias: str) -> pl.Series:
    """An optional column of numbers; all null where there is none."""
    found = next((frame[name] for name in names if name in frame.columns), None)
    if found is None or found.null_count() == len(found):  # an empty column of a CSV is one of text
        return pl.Series(alias, [None] * len(frame), dtype=pl.Float64)
    if not found.dtype.is_numeric():
        raise SettingsError(f"{path}: {found.name} must be a number, is {found.dtype}")
    return found.cast(pl.Float64).alias(alias)


def _frame(path: Path) -> pl.DataFrame:
    with _readable(path):
        return _scanned(path).collect()


def _batches(path: Path, rows: int) -> Iterator[pl.DataFrame]:
    with _readable(path):
        yield from _scanned(path).collect_batches(chunk_size=rows, maintain_order=True, lazy=True)


def _scanned(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() in (".csv", ".txt"):
        return pl.scan_csv(path, try_parse_dates=True, infer_schema_length=10_000, glob=False)
    if path.suffix.lower() in (".parquet", ".pq"):
        return pl.scan_parquet(path, glob=False)
    raise SettingsError(f"{path} must end in .parquet or .csv")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SettingsError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _ticks(frame: pl.DataFrame, path: _Part, reading: Reading) -> pl.DataFrame:
    """The columns symbol, ts_us, prices, volume and what is optional, checked; rows as in the file."""
    bars = "open" in frame.columns or "open_e4" in frame.columns
    if "eligible" in frame.columns and not bars and not reading.all_prints:
        frame = frame.filter(pl.col("eligible"))
    if frame.is_empty():
        raise SettingsError(f"{path} has no rows to play")
    columns = [_symbol(frame, path, reading.symbol), _stamp(frame, path, reading, bars)]
    columns += [_price(frame, path, name) for name in (OHLC if bars else ("price",))]
    columns.append(_whole(frame, path, _one_of(frame, path, ("volume",) if bars else ("size", "volume")), "volume"))
    if bars and "vwap" in frame.columns:
        columns.append(frame["vwap"].cast(pl.Float64))
    if not bars and "seq" in frame.columns:
        columns.append(_whole(frame.with_columns(pl.col("seq").fill_null(-1)), path, "seq", "seq"))
    if not bars and "conditions" in frame.columns:
        if frame["conditions"].dtype != pl.List:
            raise SettingsError(f"{path}: conditions must be a list of numbers, is {frame['conditions'].dtype}")
        columns.append(frame["conditions"].cast(pl.List(pl.Int64)))
    return pl.DataFrame(columns)


def _one_of(frame: pl.DataFrame, path: _Part, names: Sequence[str]) -> str:
    for name in names:
        if name in frame.columns:
            return name
    raise SettingsError(f"{path} has no column {' or '.join(names)}; its columns are {', '.join(frame.columns)}")


def _full(column: pl.Series, path: _Part) -> pl.Series:
    if column.null_count():
        row = path.before + column.is_null().arg_true()[0] + 1
        raise SettingsError(f"{path}: {column.name} is empty in row {row}")
    return column


def _symbol(frame: pl.DataFrame, path: _Part, symbol: str | None) -> pl.Series:
    if symbol is not None:
        return pl.repeat(symbol, len(frame), eager=True).alias("symbol")
    return _full(frame[_one_of(frame, path, ("symbol", "ticker"))], path).cast(pl.String).alias("symbol")


def _price(frame: pl.DataFrame, path: _Part, name: str) -> pl.Series:
    found = _full(frame[_one_of(frame, path, (name, f"{name}_e4"))], path)
    if not found.dtype.is_numeric():
        raise SettingsError(f"{path}: {found.name} must be a number, is {found.dtype}")
    price = found.cast(pl.Float64).to_numpy()
    # numpy divides; polars multiplies by the inverse, which makes 181.92000000000002 of 1819200.
    return pl.Series(name, price / 10_000 if found.name.endswith("_e4") else price)


def _whole(frame: pl.DataFrame, path: _Part, name: str, alias: str) -> pl.Series:
    found = _full(frame[name], path)
    if not found.dtype.is_numeric() or (found.dtype.is_float() and not (found == found.floor()).all()):
        raise SettingsError(f"{path}: {name} must be whole numbers")
    return found.cast(pl.Int64).alias(alias)


def _stamp(frame: pl.DataFrame, path: _Part, reading: Reading, bars: bool) -> pl.Series:
    of_bars = ("ts_end", "window_start") if bars else ()
    name = _one_of(frame, path, ("ts_ns", "ts_us", "timestamp", *of_bars))
    found = _full(frame[name], path)
    if name in ("ts_ns", "ts_us", "window_start"):
        ts_us = _whole(frame, path, name, "ts_us") // (1 if name == "ts_us" else 1000)
    elif isinstance(found.dtype, pl.Datetime):
        zoned = found if found.dtype.time_zone else found.dt.replace_time_zone(reading.timezone, ambiguous="earliest")
        ts_us = zoned.dt.epoch("ns") // 1000 if found.dtype.time_unit == "ns" else zoned.dt.epoch("us")
    elif found.dtype.is_numeric():
        ts_us = (found.cast(pl.Float64) * 1e6).round().cast(pl.Int64, strict=False).fill_null(-1)
    else:
        raise SettingsError(f"{path}: {name} must be a date and time or epoch seconds, is {found.dtype}")
    if not ts_us.is_between(FIRST_US, LAST_US, closed="left").all():
        raise SettingsError(
            f"{path}: {name} must lie between 2000 and 2100; nanoseconds are called ts_ns, microseconds ts_us, "
            "and timestamp is a date and time or epoch seconds"
        )
    if bars and name != "ts_end":
        ts_us = ts_us + reading.bar_seconds * 1_000_000
    return ts_us.alias("ts_us")


def _refuse_unsorted(frame: pl.DataFrame, path: Path) -> None:
    """Within a symbol, stamps may not go back: the first and last of a minute would be somebody's guess."""
    _, symbol = np.unique(frame["symbol"].to_numpy(), return_inverse=True)
    ts_us = frame["ts_us"].to_numpy()
    order = np.argsort(symbol, kind="stable")
    back = (np.diff(ts_us[order]) < 0) & (np.diff(symbol[order]) == 0)
    if not back.any():
        return
    row = int(order[1:][back].min())
    kind = "csv" if path.suffix == ".csv" else "parquet"
    raise SettingsError(
        f"{path} is not sorted: {frame['symbol'][row]} goes back in time at row {row + 1}; sort each symbol by time "
        f"first, keeping ties in their order: polars.read_{kind}(FILE).sort(TIME_COLUMN, maintain_order=True)"
        f".write_{kind}(SORTED_FILE)"
    )


def _recording(frame: pl.DataFrame) -> Recording:
    symbols, symbol = np.unique(frame["symbol"].to_numpy(), return_inverse=True)
    names = OHLC if "open" in frame.columns else ("price",)
    return Recording(
        kind="A" if "open" in frame.columns else "T",
        symbols=[str(name) for name in symbols],
        symbol=symbol.astype(np.int64),
        ts_us=frame["ts_us"].to_numpy(),
        prices=tuple(frame[name].to_numpy() for name in names),
        volume=frame["volume"].to_numpy(),
        vwap=frame["vwap"].to_numpy() if "vwap" in frame.columns else None,
        seq=frame["seq"].fill_null(-1).to_numpy() if "seq" in frame.columns else None,
        conditions=frame["conditions"].to_list() if "conditions" in frame.columns else None,
    )
