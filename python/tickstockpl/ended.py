"""Events of the service with what became of them, as they are stored: what measuring else finds again in bars."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.barriers import LOST, UNMEASURED, UNRESOLVED, WON, Barriers, Outcomes
from tickstockpl.errors import ServerError
from tickstockpl.kernel import PATTERNS, event_id
from tickstockpl.postgres import Connection
from tickstockpl.rolled import Rows
from tickstockpl.settings import DatabaseSettings

_STORED = """
SELECT e.event_id::text, e.symbol, (extract(epoch FROM e.bar_start) * 1000000)::bigint AS ts_us, e.pattern_id,
       e.direction::integer, e.revision, coalesce((e.payload->>'match_quality')::float8, e.confidence) AS confidence,
       (e.payload->>'entry')::float8 AS entry, (e.payload->>'stop')::float8 AS stop,
       (e.payload->>'target')::float8 AS target, (e.payload->>'atr')::float8 AS atr,
       o.timeframe, o.outcome, o.result::integer, coalesce(o.result_bars, 0) AS after
FROM pattern_event e JOIN pattern_outcome o USING (event_id)
WHERE e.symbol = ANY ($1::text[]) AND e.pattern_id = ANY ($2::text[]) AND o.timeframe = $3
  AND e.expired_at IS NULL AND o.result IS NOT NULL
ORDER BY e.symbol, e.bar_start, e.event_id
"""
_PLACES = {pattern["id"]: place for place, pattern in enumerate(PATTERNS)}


@dataclass(frozen=True, slots=True)
class Ended(Rows):
    """Events of one timeframe with a result, and what they came to."""

    end: NDArray[np.int8]
    """`WON` for the target, `LOST` for the stop, else `UNRESOLVED`."""
    result: NDArray[np.int8]
    after: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Sequence[Any], symbols: Sequence[str]) -> Self:
        """Those of rows that were made by the patterns as they are defined now: an event's id says by which."""
        told = [(row["symbol"], row["ts_us"], row["pattern_id"], row["revision"], row["timeframe"]) for row in rows]
        rows = [row for row, made_of in zip(rows, told, strict=True) if row["event_id"] == event_id(*made_of)]
        place = {symbol: at for at, symbol in enumerate(symbols)}
        ends = {"target": WON, "stop": LOST}

        def column(name: str, kind: Any) -> NDArray[Any]:
            return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=kind)

        prices = {name: column(name, np.float64) for name in ("confidence", "entry", "stop", "target", "atr")}
        return cls(
            symbols=tuple(symbols),
            symbol=np.array([place[row["symbol"]] for row in rows], dtype=np.int32),
            ts_us=column("ts_us", np.int64),
            pattern=np.array([_PLACES[row["pattern_id"]] for row in rows], dtype=np.int32),
            direction=column("direction", np.int32),
            held=np.ones(len(rows), dtype=np.bool_),
            end=np.array([ends.get(row["outcome"], UNRESOLVED) for row in rows], dtype=np.int8),
            result=column("result", np.int8),
            after=column("after", np.int32),
            **prices,
        )

    def outcomes(self, barriers: Barriers) -> Outcomes:
        """What became of them; of those whose bar is none of `barriers`, nothing."""
        row = barriers.rows(self)
        known, at = row >= 0, np.where(row >= 0, row, 0)
        between = (self.stop < self.entry) & (self.entry < self.target)
        between |= (self.target < self.entry) & (self.entry < self.stop)
        opens = barriers.session_us[at] if len(barriers) else row
        return Outcomes(
            np.where(known, self.result, UNMEASURED).astype(np.int8),
            np.where(known, self.after, 0).astype(np.int32),
            np.where(known & between, self.end, UNMEASURED).astype(np.int8),
            np.where(known, self.atr, np.nan),
            np.where(known, opens, -1),
        )


class EndedEvents:
    """Reads them, by symbol."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of(self, symbols: Sequence[str], patterns: Collection[str], timeframe: str) -> Ended:
        """Those of some symbols and of some of `PATTERNS`, by id, on bars of a timeframe."""
        known = [name for name in patterns if name in _PLACES]
        rows = await self._connection.fetch(_STORED, list(symbols), known, timeframe)
        return Ended.of(rows, symbols)


@asynccontextmanager
async def ended_events(settings: DatabaseSettings) -> AsyncIterator[EndedEvents]:
    """Gives who reads them.

    Raises ServerError if the database cannot be used, in the block too, and if it has none of our tables.
    """
    async with postgres.for_command(settings, writes=False) as connection:
        if await connection.fetchval("SELECT to_regclass('pattern_outcome')") is None:
            raise ServerError("there is no table pattern_outcome: run `tickstockpl migrate`, and then the service")
        yield EndedEvents(connection)
