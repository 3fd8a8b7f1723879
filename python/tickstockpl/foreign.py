"""Whether somebody else writes `ohlcv_1min`: rows that are not ours, and rows of ours that say something else by now.

Some versions of AppV2 write bars themselves: a row a second, or volumes added to ours.
"""

from dataclasses import dataclass
from typing import Any

from tickstockpl.backlog import Flush
from tickstockpl.postgres import Connection
from tickstockpl.statements import CHANGED, FOREIGN, at_start

SAMPLE = 200
"""Rows of ours that are looked at again."""
LOOK_S = 30.0
"""Between two looks: the sample has then stood in the table for as long."""


@dataclass(slots=True)
class ForeignWriter:
    """What is known of another writer; `look` asks the database.

    naive: the table's `timestamp` has no time zone.
    """

    naive: bool
    seen: bool = False
    changed: int = 0
    """Rows of the last sample that somebody has changed."""
    _sample: tuple[list[str], list[int], list[int], list[float], list[int]] | None = None
    _looked_s: float | None = None

    def note(self, flush: Flush) -> None:
        """Rows were stored; of the first since the last look some are kept to be looked at again."""
        if self._sample is None and len(flush.bars):
            rows = flush.bars[:SAMPLE]
            columns: list[Any] = [rows[name].tolist() for name in ("ts_us", "volume", "close", "revision")]
            self._sample = (flush.names[:SAMPLE], *columns)

    async def look(self, connection: Connection, now_s: float) -> None:
        """Ask, if it is time to."""
        if self._looked_s is not None and now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        sample, self._sample = self._sample, None
        if sample is not None:
            names, ts_us, volume, close, revision = sample
            query = CHANGED.format(start=at_start(naive=self.naive))
            self.changed = await connection.fetchval(query, names, ts_us, volume, close, revision)
        self.seen = self.changed > 0 or bool(await connection.fetchval(FOREIGN))
