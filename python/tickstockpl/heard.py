"""Since when a run knows each symbol: at a regular session's open it forgets those not heard since the open before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickstockpl.moments import moment_at
from tickstockpl.postgres import Connection

I64 = NDArray[np.int64]

EVER_US = np.iinfo(np.int64).min
"""Of a symbol that was never forgotten, as far as is known."""

OPENS = 300
"""So many regular sessions back it is asked: more than there are bars of days."""

_SILENT = """
SELECT c.id FROM unnest($1::integer[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS c(id, name, since, until)
WHERE NOT EXISTS (
  SELECT FROM ohlcv_1min b WHERE b.symbol = c.name AND b.timestamp >= c.since{zone} AND b.timestamp < c.until{zone}
)"""


@dataclass(frozen=True, slots=True)
class Heard:
    """Asks the minutes that are stored."""

    connection: Connection
    opens: I64
    """Of the regular sessions that have begun, µs UTC, sorted."""
    naive: bool
    """The timestamps of `ohlcv_1min` have no time zone: they are UTC."""

    async def since(self, symbols: Sequence[str], bars: Iterable[tuple[NDArray[np.int32], I64]]) -> I64:
        """For each symbol the open, in µs UTC, at which it was last forgotten; `EVER_US` for never.

        bars: some that are known of them: index into `symbols`, and when each began. Where these leave a symbol out
        from one open to the next it is looked whether there is any other.
        """
        known = np.full(len(symbols), EVER_US, dtype=np.int64)
        silent = self._silent(len(symbols), bars)
        while len(rows := np.flatnonzero(silent.any(axis=1))):
            at = silent.shape[1] - 1 - silent[rows, ::-1].argmax(axis=1)
            forgotten = await self._unheard(symbols, rows, at)
            silent[rows, at] = False
            known[rows[forgotten]] = self.opens[at[forgotten] + 1]
            silent[rows[forgotten]] = False
        return known

    def _silent(self, symbols: int, bars: Iterable[tuple[NDArray[np.int32], I64]]) -> NDArray[np.bool_]:
        """From which opens to the next there is none of these bars of a symbol, after its first: (symbols, opens)."""
        there = np.zeros((symbols, len(self.opens) + 1), dtype=np.bool_)
        for symbol, us in bars:
            there[symbol, np.searchsorted(self.opens, us, side="right")] = True
        silent = ~there & np.logical_or.accumulate(there, axis=1)
        silent[:, -1] = False  # what the last open begins goes on
        return silent[:, 1:]

    async def _unheard(self, symbols: Sequence[str], rows: NDArray[np.intp], at: NDArray[np.intp]) -> NDArray[np.intp]:
        """Places in `rows` of the symbols without any bar from the open `at` to the next."""
        found = await self.connection.fetch(
            _SILENT.format(zone=" AT TIME ZONE 'UTC'" if self.naive else ""),
            list(range(len(rows))),
            [symbols[row] for row in rows.tolist()],
            [moment_at(us) for us in self.opens[at].tolist()],
            [moment_at(us) for us in self.opens[at + 1].tolist()],
        )
        return np.array(sorted(row["id"] for row in found), dtype=np.intp)
