"""Seeded bars for the candlestick functions: random walks on price grids, with the rare shapes planted among them."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bars = tuple[F64, F64, F64, F64]
"""Open, high, low, close, oldest first."""

Price = Callable[[NDArray[np.int64]], F64]

GRIDS: dict[str, tuple[int, Price]] = {
    "cents": (10_000, lambda units: units / 100),
    "cents, low": (150, lambda units: units / 100),
    "sub-penny": (31_415, lambda units: units / 10_000),
    "large": (64_000_00, lambda units: units / 10),
    "fx": (108_734, lambda units: units / 100_000),
    "binary": (4_000, lambda units: units / 16),
    "products": (7_000, lambda units: units * np.float64(0.01)),
    "off the grid": (12_345, lambda units: units * np.float64(np.pi / 300)),
}
"""Where a walk starts, in units, and what a unit is worth."""

# Rows of (open, high, low, close), in tenths of the usual body: shapes that random bars hardly ever take.
SHAPES: dict[str, list[tuple[int, int, int, int]]] = {
    "2CROWS": [(0, 21, -1, 20), (30, 31, 24, 25), (28, 29, 9, 10)],
    "UPSIDEGAP2CROWS": [(0, 21, -1, 20), (28, 29, 24, 25), (31, 32, 21, 22)],
    "3BLACKCROWS": [(0, 12, -1, 10), (9, 10, -1, -1), (4, 4, -8, -8), (-3, -3, -15, -15)],
    "IDENTICAL3CROWS": [(0, 0, -10, -10), (-10, -10, -20, -20), (-20, -20, -30, -30)],
    "3STARSINSOUTH": [(0, 0, -40, -15), (-8, -6, -28, -18), (-16, -16, -20, -20)],
    "3WHITESOLDIERS": [(0, 15, -1, 15), (10, 25, 9, 25), (20, 36, 19, 36)],
    "3LINESTRIKE": [(0, 11, -1, 10), (5, 16, 4, 15), (9, 21, 8, 20), (22, 23, -5, -4)],
    "CONCEALBABYSWALL": [(0, 0, -15, -15), (-10, -10, -25, -25), (-30, -20, -36, -35), (-18, -17, -41, -40)],
    "BREAKAWAY": [(0, 1, -16, -15), (-20, -19, -26, -25), (-24, -23, -31, -30), (-30, -27, -37, -36),
                  (-36, -16, -37, -17)],
    "LADDERBOTTOM": [(0, 1, -9, -8), (-2, -1, -14, -13), (-6, -5, -20, -19), (-14, -6, -26, -25), (-12, -3, -13, -4)],
    "MATHOLD": [(0, 21, -1, 20), (28, 29, 24, 25), (24, 25, 19, 20), (21, 22, 16, 17), (20, 36, 19, 35)],
    "RISEFALL3METHODS": [(0, 21, -1, 20), (18, 19, 15, 16), (15, 16, 12, 13), (12, 13, 8, 10), (12, 30, 11, 29)],
    "KICKING": [(0, 0, -20, -20), (10, 30, 10, 30)],
    "ABANDONEDBABY": [(0, 1, -21, -20), (-30, -29, -31, -30), (-25, -4, -26, -5)],
    "UNIQUE3RIVER": [(0, 1, -21, -20), (-6, -5, -30, -12), (-18, -14, -19, -15)],
    "TASUKIGAP": [(0, 11, -1, 10), (16, 27, 15, 26), (21, 22, 11, 12)],
    "GAPSIDESIDEWHITE": [(0, 11, -1, 10), (16, 25, 15, 24), (16, 26, 15, 24)],
    "TRISTAR": [(0, 2, -2, 0), (6, 8, 4, 6), (1, 3, -1, 1)],
    "MORNINGDOJISTAR": [(0, 1, -21, -20), (-26, -24, -28, -26), (-22, -3, -23, -4)],
    "HIKKAKEMOD": [(0, 30, -30, 5), (-10, 20, -20, -18), (-5, 10, -12, 2), (0, 8, -16, -10), (0, 25, -8, 22)],
}  # fmt: skip


def walk(seed: int, rows: int, grid: str) -> Bars:
    """A random walk whose bars keep to whole units, with ties, gaps, flat spells and planted shapes; every low ≥ 1."""
    start, price = GRIDS[grid]
    rng = np.random.default_rng([seed, *grid.encode()])
    spread = np.repeat(rng.choice([0, 1, 2, 5, 12, 40], rows // 25 + 1), 25)[:rows]
    jump = rng.integers(-1, 2, rows) * spread * (rng.random(rows) < 0.3)
    body = np.rint(rng.normal(0, 1, rows) * spread).astype(np.int64)
    top, bottom = (rng.integers(0, 2, rows) * np.rint(rng.exponential(0.6, rows) * spread) for _ in range(2))
    close = np.cumsum(jump + body)
    opened = close - body
    high = np.maximum(opened, close) + top.astype(np.int64)
    low = np.minimum(opened, close) - bottom.astype(np.int64)
    bars = np.stack([opened, high, low, close])
    shapes = list(SHAPES.values())
    for row in range(20, rows - 5, 17):
        shape = np.array(shapes[rng.integers(len(shapes))]).T * max(1, int(spread[row])) // rng.integers(3, 9)
        if rng.random() < 0.5:
            shape = -shape[[0, 2, 1, 3]]
        shape = shape + rng.integers(-1, 2, shape.shape) * (rng.random() < 0.3)
        shape[1] = shape.max(axis=0)
        shape[2] = shape.min(axis=0)
        bars[:, row : row + shape.shape[1]] = shape + bars[3, row - 1]
    bars += max(start, 1 - int(bars.min()))
    opened, high, low, close = (price(column) for column in bars)
    return opened, high, low, close


def degenerate() -> Iterator[tuple[str, Bars]]:
    """Input at the edges: too short, flat, equal prices, tiny, huge, bodies outside of low to high."""
    opened, high, low, close = walk(3, 400, "cents")
    for rows in range(18):
        yield f"{rows} rows", (opened[:rows], high[:rows], low[:rows], close[:rows])
    flat = np.full(60, 100.1)
    yield "flat", (flat, flat, flat, flat)
    yield "zero", (flat * 0, flat * 0, flat * 0, flat * 0)
    yield "no shadows", (opened, np.maximum(opened, close), np.minimum(opened, close), close)
    yield "no bodies", (close, high, low, close)
    yield "high = low", (opened, close, close, close)
    yield "bodies outside", (high + 1, high, low, low - 1)
    yield "negative", (-opened, -low, -high, -close)
    for scale in (1e-300, 5e-324, 1e-9, 1e12, 1e290):
        yield f"× {scale}", (opened * scale, high * scale, low * scale, close * scale)
    still = [np.concatenate([column[:150], np.full(40, close[149]), column[150:]]) for column in walk(4, 300, "cents")]
    yield "a still spell", (still[0], still[1], still[2], still[3])
