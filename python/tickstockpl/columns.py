"""Columns out of what callers give."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


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


def _fits(value: Any, limits: np.iinfo[Any]) -> bool:
    try:
        return bool(limits.min <= value <= limits.max and int(value) == value)
    except (TypeError, ValueError):
        return False
