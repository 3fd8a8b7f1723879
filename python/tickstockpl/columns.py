"""Columns out of what callers give."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickstockpl.vocabulary import INTERVALS_S

_TELLING = 20
"""Starts of bars that all lie several minutes apart: of fewer that may be chance, in a symbol that is hardly traded."""
_SAMPLE = 4096
"""Bars of history that show, nearly always, that it is of minutes."""


def whole(
    name: str, values: ArrayLike, kind: type[np.uint8] | type[np.int32] | type[np.int64] = np.int64
) -> NDArray[Any]:
    """The values as C-contiguous whole numbers of `kind`: numpy alone cuts fractions off and wraps what is too large.

    Raises ValueError naming the first row that holds none, or one that does not fit.
    """
    given = np.asarray(values)
    if given.dtype.kind in "uifO" and not np.can_cast(given.dtype, kind):
        limits = np.iinfo(kind)
        if given.dtype.kind == "O":
            fits = np.array([_fits(value, limits) for value in given.flat], dtype=np.bool_)
        else:
            # the upper limit as a float would be rounded up, to the first number that does not fit
            below = given < limits.max + 1.0 if given.dtype.kind == "f" else given <= limits.max
            fits = ((given >= limits.min) & below & (np.floor(given) == given)).ravel()
        if not fits.all():
            row = int(np.argmin(fits))
            raise ValueError(f"{name} must be whole numbers of {limits.bits} bits, row {row} is {given.flat[row]}")
    return np.ascontiguousarray(given, dtype=kind)


def named(bars: Any) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """The symbols of bars in order, and each row's place among them; ids that have no names are called by their number.

    Raises ValueError naming the row whose symbol has none where others have one.
    """
    names, symbol = np.array(bars.symbols, dtype=np.str_), np.asarray(bars.symbol)
    if not len(names):
        ids, symbol = np.unique(symbol, return_inverse=True)
        names = ids.astype(np.str_)
    elif (strange := (symbol < 0) | (symbol >= len(names))).any():
        row = int(np.argmax(strange))
        raise ValueError(f"symbol must index symbols, row {row} is {symbol[row]}")
    ordered, codes = np.unique(names, return_inverse=True)
    return ordered, codes.astype(np.int32)[symbol]


def refuse_longer(ts_us: NDArray[np.int64], timeframe: str) -> None:
    """Raises ValueError if the starts of bars, in any order, tell that these are longer than those of a timeframe.

    They do if all lie whole steps apart that are longer.
    """
    length_us = INTERVALS_S.get(timeframe, 0.0) * 1e6
    if not length_us or len(ts_us) < _TELLING:
        return
    step_us = 0
    for part in (ts_us[:_SAMPLE], ts_us):
        step_us = int(np.gcd.reduce(part - ts_us[0]))
        if 0 < step_us <= length_us:
            return
    if len(np.unique(ts_us)) >= _TELLING:
        raise ValueError(
            f"bars must be no longer than {timeframe}, the timeframe that is looked at: all of these start whole "
            f"{_told(step_us)} apart"
        )


def _told(us: int) -> str:
    units = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "µs": 1}
    unit, length_us = next((unit, length_us) for unit, length_us in units.items() if us % length_us == 0)
    return f"{us // length_us} {unit}{'s' * (us != length_us)}"


def _fits(value: Any, limits: np.iinfo[Any]) -> bool:
    try:
        return bool(limits.min <= value <= limits.max and int(value) == value)
    except (TypeError, ValueError):
        return False
