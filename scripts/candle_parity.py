"""Compare every cell of the 61 candlestick functions with TA-Lib over millions of bars: `make parity`.

Each series is answered by TA-Lib, by one batch call and by a stream of many symbols with gaps; any cell that differs is
printed with its bars, and the exit code is 1.
"""

import argparse
import importlib.util
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from candle_bars import GRIDS, Bars, walk  # it lies beside the tests that walk the same bars

ROWS = 25_000
SYMBOLS = 50
"""Series that stream together: 500 bars each, cut from one walk."""

Table = NDArray[np.int32]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=float, default=10e6, help="how many bars at least (default: 10e6)")
    bars_wanted: float = parser.parse_args().bars
    if not 0 < bars_wanted < float("inf"):
        parser.error(f"argument --bars: must be more than 0, was {bars_wanted:g}")
    if importlib.util.find_spec("talib") is None:
        parser.error("ta-lib is not installed: pip install ta-lib, or use `make parity`")
    print(f"ta-lib {version('ta-lib')}, {len(GRIDS)} price grids", flush=True)
    begun, told = time.monotonic(), 0.0
    bars = cells = hits = 0
    fired = np.zeros(len(tp.CANDLESTICKS), np.int64)
    differing = 0
    seed = 0
    while bars < bars_wanted:
        for grid in GRIDS:
            series = walk(1_000 + seed, ROWS, grid)
            expected = by_talib(series)
            batch = np.stack(list(tp.candlesticks(*series).values()), axis=1)
            differing += tell(batch, expected, series, f"batch, {grid}, seed {seed}")
            parts = [tuple(column[start : start + ROWS // SYMBOLS] for column in series) for start in starts()]
            streamed = by_stream(parts, seed)
            for part, found in zip(parts, streamed, strict=True):
                opened, high, low, close = part
                whole = (opened, high, low, close)
                differing += tell(found, by_talib(whole), whole, f"stream, {grid}, seed {seed}")
            bars += ROWS
            cells += 2 * expected.size
            hits += int((expected != 0).sum())
            fired += (expected != 0).sum(axis=0)
        seed += 1
        if time.monotonic() - told > 5:
            told = time.monotonic()
            print(f"{bars / 1e6:6.2f} M bars, {cells / 1e6:8.0f} M cells, {differing} differ", flush=True)
    rarest = int(fired.argmin())
    print(
        f"{bars:,} bars by batch and by stream, {cells:,} cells, {hits:,} hits by batch "
        f"(the rarest, {tp.CANDLESTICKS[rarest]}, {fired[rarest]:,}): {differing} cells differ; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if differing else 0


def starts() -> range:
    return range(0, ROWS, ROWS // SYMBOLS)


def by_talib(series: Bars) -> Table:
    import talib

    return np.stack([getattr(talib, name)(*series) for name in tp.CANDLESTICKS], axis=1)


def by_stream(parts: list[tuple[NDArray[np.float64], ...]], seed: int) -> list[Table]:
    """One bar a symbol and call, with every twentieth absent: it comes with the symbol's next call."""
    rng = np.random.default_rng(seed)
    rows = len(parts[0][0])
    prices = np.array(parts)
    stream = tp.CandlestickStream(len(parts))
    found = np.zeros((len(parts), rows, len(tp.CANDLESTICKS)), np.int32)
    at, symbols = np.zeros(len(parts), np.int64), np.arange(len(parts))
    while (at < rows).any():
        here = (at < rows) & (rng.random(len(parts)) > 0.05)
        minute = np.full((4, len(parts)), np.nan)
        minute[:, here] = prices[symbols[here], :, at[here]].T
        found[symbols[here], at[here]] = stream.update(*minute)[here]
        at += here
    return list(found)


def tell(found: Table, expected: Table, series: Bars, what: str) -> int:
    """How many cells differ; the first of them is printed with its bars."""
    wrong = np.argwhere(found != expected)
    if len(wrong):
        row, column = wrong[0]
        print(f"{what}: {tp.CANDLESTICKS[column]} at row {row} is {found[row, column]}, not {expected[row, column]}")
        for at in range(max(0, row - 14), row + 1):
            print("   ", *(repr(float(prices[at])) for prices in series))
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
