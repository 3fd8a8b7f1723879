"""Bars as they are in the database, in the shape of the simulator's true ones."""

from collections.abc import Sequence
from typing import TypeAlias

from tickstockpl.dev.simulate import TrueBars
from tickstockpl.postgres import Connection

Row: TypeAlias = tuple[str, int, float, float, float, float, int]
"""(symbol, ts_us, open, high, low, close, volume)"""

# Whatever numeric type the adopted table has: prices are read as the nearest float64, as they were sent.
_SELECT = (
    "SELECT symbol, (extract(epoch FROM timestamp) * 1000000)::bigint, open::float8, high::float8, low::float8, "
    "close::float8, volume::bigint FROM ohlcv_1min WHERE symbol = ANY($1)"
)


async def stored_rows(connection: Connection, symbols: Sequence[str]) -> set[Row]:
    """Every bar of `symbols` in `ohlcv_1min`."""
    return {(r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in await connection.fetch(_SELECT, list(symbols))}


async def newest_rows(connection: Connection, symbols: Sequence[str], count: int) -> list[Row]:
    """The `count` newest bars of `symbols`, newest first."""
    sql = f"{_SELECT} ORDER BY timestamp DESC, symbol LIMIT $2"
    return [(r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in await connection.fetch(sql, list(symbols), count)]


def equal_rows(found: set[Row], truth: TrueBars) -> int:
    """How many true bars are among `found`, in every column."""
    return len(found.intersection(truth.rows()))
