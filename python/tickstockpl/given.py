"""Minute bars that somebody gives us, out of a file or from the vendor, checked before anything is made of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl.errors import SettingsError
from tickstockpl.moments import MINUTE_US

COLUMNS = ("ts_us", "open", "high", "low", "close", "volume", "vwap", "trades")

_TYPES = ("<i8", "<f8", "<f8", "<f8", "<f8", "<i8", "<f8", "<i8")


@dataclass(frozen=True, slots=True)
class GivenBars:
    """Bars of one minute, one a symbol and minute, sorted by both."""

    names: NDArray[np.str_]
    """The symbol of each row."""
    rows: NDArray[np.void]
    """COLUMNS: `ts_us` the START in µs UTC; `vwap` NaN and `trades` -1 where nobody said."""

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
        rows = np.empty(len(given), dtype=list(zip(COLUMNS, _TYPES, strict=True)))
        for column, values in zip(COLUMNS, (ts_us, *prices, volume, vwap, trades), strict=True):
            rows[column] = values
        rows["vwap"][~(rows["vwap"] > 0)] = np.nan
        order = np.lexsort((rows["ts_us"], given))
        given, rows = given[order], rows[order]
        _refuse(source, given, rows, _wrong(rows))
        again = np.zeros(len(rows), dtype=np.bool_)
        again[1:] = (given[1:] == given[:-1]) & (rows["ts_us"][1:] == rows["ts_us"][:-1])
        differs = again.copy()
        differs[1:] &= np.any([~_equal(rows[name][1:], rows[name][:-1]) for name in COLUMNS], axis=0)
        _refuse(source, given, rows, {"is there twice, with other values": differs})
        return cls(given[~again], rows[~again])

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


def _refuse(source: str, names: NDArray[np.str_], rows: NDArray[np.void], faults: dict[str, NDArray[np.bool_]]) -> None:
    for said, found in faults.items():
        if found.any():
            at = int(found.argmax())
            moment = datetime.fromtimestamp(rows["ts_us"][at] / 1e6, UTC)
            raise SettingsError(f"{source}: the bar of {names[at]} at {moment:%Y-%m-%d %H:%M:%S}Z {said}")
