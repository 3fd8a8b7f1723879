"""Minute bars that somebody gives us, out of a file or from the vendor, checked before anything is made of them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl.errors import SettingsError
from tickstockpl.moments import MINUTE_US, moment_at

COLUMNS = ("ts_us", "open", "high", "low", "close", "volume", "vwap", "trades")

ROW = np.dtype(list(zip(COLUMNS, ("<i8", "<f8", "<f8", "<f8", "<f8", "<i8", "<f8", "<i8"), strict=True)))
"""A bar: `ts_us` the START in µs UTC; `vwap` NaN and `trades` -1 where nobody said."""


@dataclass(frozen=True, slots=True)
class GivenBars:
    """Bars of one minute, one a symbol and minute, sorted by both."""

    names: NDArray[np.str_]
    """The symbol of each row."""
    rows: NDArray[np.void]
    """Of the type ROW."""

    @classmethod
    def of(
        cls,
        source: str,
        names: ArrayLike,
        ts_us: ArrayLike,
        prices: Sequence[ArrayLike],
        volume: ArrayLike,
        vwap: ArrayLike = np.nan,
        trades: ArrayLike = -1,
    ) -> Self:
        """Bars out of columns of equal length, in any order; a row that is there twice counts once.

        source: where they are from, for errors. prices: open, high, low, close.
        Raises SettingsError for a row that is no bar of a minute, and for two rows of one minute that differ.
        """
        given = np.asarray(names, dtype=np.str_)
        rows = np.empty(len(given), dtype=ROW)
        for column, values in zip(COLUMNS, (ts_us, *prices, volume, vwap, trades), strict=True):
            rows[column] = values
        order = np.lexsort((rows["ts_us"], given))
        given, rows = given[order], rows[order]
        kept = checked(source, given, rows, lambda at: str(given[at]))
        return cls(given[kept], rows[kept])

    def __len__(self) -> int:
        return len(self.rows)

    def within(self, first_us: int, last_us: int) -> Self:
        """Those that start in [first_us, last_us)."""
        return self._where((self.rows["ts_us"] >= first_us) & (self.rows["ts_us"] < last_us))

    def only(self, symbols: Collection[str]) -> Self:
        """Those of some symbols."""
        return self._where(np.isin(self.names, np.array(sorted(symbols), dtype=np.str_)))

    def symbols(self) -> set[str]:
        """Every symbol that has a bar."""
        return set(np.unique(self.names).tolist())

    def parts(self, size: int) -> Iterator[Self]:
        """All rows in order, at most `size` at a time."""
        for low in range(0, len(self), size):
            yield type(self)(self.names[low : low + size], self.rows[low : low + size])

    def _where(self, mask: NDArray[np.bool_]) -> Self:
        return type(self)(self.names[mask], self.rows[mask])


def checked(source: str, symbol: NDArray[Any], rows: NDArray[np.void], name: Callable[[int], str]) -> NDArray[np.bool_]:
    """Which rows stay: of those of one symbol and minute the first. A `vwap` that is none becomes NaN.

    symbol, rows: of the type ROW, sorted by symbol and minute. source and name, of a row: for errors.
    Raises SettingsError for a row that is no bar of a minute, and for two rows of one minute that differ.
    """
    rows["vwap"][~(rows["vwap"] > 0)] = np.nan
    again = np.zeros(len(rows), dtype=np.bool_)
    again[1:] = (symbol[1:] == symbol[:-1]) & (rows["ts_us"][1:] == rows["ts_us"][:-1])
    differs = again.copy()
    if again.any():
        differs[1:] &= np.any([~_equal(rows[column][1:], rows[column][:-1]) for column in COLUMNS], axis=0)
    for said, found in {**_wrong(rows), "is there twice, with other values": differs}.items():
        if found.any():
            at = int(found.argmax())
            moment = moment_at(int(rows["ts_us"][at]))
            raise SettingsError(f"{source}: the bar of {name(at)} at {moment:%Y-%m-%d %H:%M:%S}Z {said}")
    return ~again


def _wrong(rows: NDArray[np.void]) -> dict[str, NDArray[np.bool_]]:
    """What makes a row no bar, and which rows it is true of."""
    o, h, l, c = (rows[name] for name in ("open", "high", "low", "close"))  # noqa: E741 - a price
    prices = np.stack([o, h, l, c])
    return {
        "must start at a whole minute": rows["ts_us"] % MINUTE_US != 0,
        "must have finite prices above 0": ~(np.isfinite(prices) & (prices > 0)).all(axis=0),
        "must have a high that no price is above and a low that none is below": ~(
            (h >= np.maximum(o, c)) & (l <= np.minimum(o, c))
        ),
        "must have a volume of at least 0": rows["volume"] < 0,
    }


def _equal(left: NDArray[np.generic], right: NDArray[np.generic]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (left == right) | ((left != left) & (right != right))  # noqa: PLR0124 - NaN is NaN here
    return same
