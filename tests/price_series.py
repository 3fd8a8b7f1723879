"""Series of bars for the indicator tests: random walks on several price grids, degenerate ones, and hypothesis."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

F64 = NDArray[np.float64]
MARKET = Path(__file__).parents[1] / "../shared/data/market"


class Bars(NamedTuple):
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64


def walk(rows: int, seed: int, *, level: float = 100.0, step: float = 0.05, decimals: int | None = 2) -> Bars:
    """A random walk; `decimals` None leaves prices unrounded."""
    draw = np.random.default_rng(seed)
    close = level + np.cumsum(draw.normal(0, step, rows))
    open_ = np.concatenate(([level], close[:-1]))
    high = np.maximum(open_, close) + draw.exponential(step / 2, rows)
    low = np.minimum(open_, close) - draw.exponential(step / 2, rows)
    prices = [open_, high, low, close]
    if decimals is not None:
        prices = [np.round(column, decimals) for column in prices]
    open_, high, low, close = prices
    return Bars(open_, high, low, close, draw.integers(0, 5000, rows).astype(float))


def flat(rows: int, price: float) -> Bars:
    column = np.full(rows, price)
    return Bars(column, column, column, column, np.zeros(rows))


def plateaus(rows: int, seed: int) -> Bars:
    """A price that rests for some bars, then moves by a cent; bars have no range."""
    draw = np.random.default_rng(seed)
    close = np.round(50 + np.cumsum(draw.integers(-1, 2, rows) * (draw.random(rows) < 0.1)) * 0.01, 2)
    return Bars(close, close, close, close, draw.integers(0, 3, rows).astype(float))


def jumps(rows: int, seed: int) -> Bars:
    """Prices without memory between a cent and a thousand, many of them equal."""
    draw = np.random.default_rng(seed)
    prices = draw.choice([0.01, 1.0, 1.01, 99.99, 100.0, 1000.0], (4, rows))
    return Bars(prices[0], prices.max(axis=0), prices.min(axis=0), prices[1], draw.integers(0, 2, rows).astype(float))


SERIES: dict[str, Bars] = {
    "cents": walk(20_000, 1),
    "unrounded": walk(20_000, 2, decimals=None),
    "sub-penny": walk(20_000, 3, level=0.5, step=2e-4, decimals=4),
    "large": walk(20_000, 4, level=600_000.0, step=250.0),
    "fx": walk(20_000, 5, level=1.1, step=1e-4, decimals=5),
    "quoted in billionths": walk(5000, 6, level=2e-7, step=1e-9, decimals=None),
    "around zero": walk(5000, 7, level=0.0, step=1.0, decimals=None),
    "plateaus": plateaus(5000, 8),
    "jumps": jumps(5000, 9),
    "flat": flat(400, 100.1),
    "flat at zero": flat(400, 0.0),
}


@pytest.fixture(params=SERIES)
def series(request: pytest.FixtureRequest) -> Bars:
    return SERIES[request.param]


def real_bars() -> list[Bars]:
    """Each symbol of the vendors' samples as a series."""
    polars = pytest.importorskip("polars", reason="reading parquet needs the extra [replay]")
    made = []
    for name in ("bars_1m_us22_2019-02_eqker", "bars_1m_spy_2011_pyalgotrade", "daily_bokeh"):
        frame: Any = polars.read_parquet(MARKET / f"{name}.parquet")
        for symbol in frame["symbol"].unique().sort():
            rows = frame.filter(polars.col("symbol") == symbol)
            made.append(Bars(*(rows[column].cast(polars.Float64).to_numpy().copy() for column in Bars._fields)))
    return made


@st.composite
def drawn(draw: st.DrawFn, least: int = 0, most: int = 90) -> Bars:
    """Bars on a coarse grid: equal prices, flat windows and gaps are common, and some close outside of their range."""
    rows = draw(st.integers(least, most))
    cents = st.lists(st.integers(0, 12), min_size=rows, max_size=rows)
    columns = [np.array(draw(cents), dtype=float) for _ in range(4)]
    scale = draw(st.sampled_from((0.01, 1.0, 1e-12, 1e9)))
    base = draw(st.sampled_from((0.0, 100.0, 1e6)))
    first, second, open_, close = (base + column * scale for column in columns)
    volume = np.array(draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)), dtype=float)
    return Bars(open_, np.maximum(first, second), np.minimum(first, second), close, volume)
