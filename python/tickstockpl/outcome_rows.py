"""What became of events, as rows: a minute brings as many of them as events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tickstockpl.vocabulary import TIMEFRAME

ENDS = ("target", "stop", "expired")
"""How an event ends, in the order of the column `end` of outcomes."""

OUTCOME = np.dtype(
    [
        ("event_id", "V16"),
        ("ts_us", "<i8"),
        ("end", "u1"),
        ("at_us", "<i8"),
        ("bars", "<i4"),
        ("price", "<f8"),
        ("result", "<i4"),
        ("result_bars", "<i4"),
    ]
)
"""What became of an event: the columns of `_kernel.Outcomes`, its id as the 16 bytes of a UUID."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of events of one timeframe, as rows of `OUTCOME`: a minute brings as many of them as events."""

    names: list[str]
    """The symbol of each row."""
    rows: NDArray[np.void]
    timeframe: str = TIMEFRAME

    @classmethod
    def of(cls, columns: Any, timeframe: str) -> Self:
        """Those of columns such as `_kernel.Outcomes`."""
        rows = np.empty(len(columns.ts_us), dtype=OUTCOME)
        rows["event_id"] = _uuids(columns.event_id)
        for name in OUTCOME.names or ():
            if name != "event_id":
                rows[name] = getattr(columns, name)
        symbols = columns.symbols
        return cls([symbols[at] for at in columns.symbol.tolist()], rows, timeframe)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def joined(cls, parts: Sequence["Outcomes"]) -> list[Self]:
        """All of them, those of a timeframe together, in their order."""
        of: dict[str, list[Outcomes]] = {}
        for part in parts:
            of.setdefault(part.timeframe, []).append(part)
        return [
            cls([name for part in some for name in part.names], np.concatenate([part.rows for part in some]), timeframe)
            for timeframe, some in of.items()
        ]

    def part(self, which: slice) -> "Outcomes":
        """Some of them."""
        return Outcomes(self.names[which], self.rows[which], self.timeframe)


def _uuids(texts: NDArray[np.bytes_]) -> NDArray[np.void]:
    """The bytes of UUIDs in text: lower-case digits, and dashes at their four places."""
    letters = np.ascontiguousarray(texts).view(np.uint8).reshape(-1, 36)
    digits = np.delete(letters, (8, 13, 18, 23), axis=1)
    values = np.where(digits < ord("a"), digits - ord("0"), digits - ord("a") + 10).astype(np.uint8)
    return np.ascontiguousarray(values[:, ::2] << 4 | values[:, 1::2]).view("V16").reshape(-1)
