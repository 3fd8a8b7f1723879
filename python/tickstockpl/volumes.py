"""What each minute of the sessions before today's traded at most, which an engine is told of at a start.

Read only where a pattern asks for it (`Engine.needs_volumes`): a month of minutes, which the database sums up by week.
"""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.history import CLOSED, Replayed, copied, is_naive, quality_bits
from tickstockpl.moments import moment_at
from tickstockpl.postgres import Connection
from tickstockpl.settings import DatabaseSettings

I64 = NDArray[np.int64]

WEEKS = 4
"""That of the session that is on, and so many before it less one: see `WEEKS` in
`rust/kernel/src/pattern/minute_volumes.rs`."""

DAYS = 7 * WEEKS
"""The minutes of so many days are enough."""

SESSIONS = DAYS
"""Those of these weeks before the one that is on, and one more: the oldest may not be whole."""

_DAY_US = 86_400_000_000
_PARTIAL = 0b11
"""The bits of the first two of `QUALITY`: of a bar that may lack ticks."""
_COMMAND_TIMEOUT_S = 300.0
_TYPES = {"symbol": ">i4", "open_us": ">i8", "minute": ">i4", "volume": ">i8", "quality": ">i4"}


@dataclass(frozen=True, slots=True)
class Volumes:
    """What `Engine.know_volumes` takes: a row a symbol, week and minute."""

    symbols: list[str]
    symbol: NDArray[np.int32]
    open_us: I64
    """The open of the week's first session that was looked at, µs UTC."""
    minute: NDArray[np.int32]
    """From a session's open, from 0."""
    volume: I64
    """The largest, in shares."""
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.symbol)


@dataclass(frozen=True, slots=True)
class MinuteVolumes:
    """Reads the minutes of some symbols at a time."""

    connection: Connection
    sessions: I64
    """Those of the weeks that are looked at: open and close in µs UTC, (n, 2), sorted."""
    naive: bool
    """The timestamps of `ohlcv_1min` have no time zone: they are UTC."""
    replayed: Replayed | None

    async def of(self, symbols: Sequence[str], since_us: I64) -> Volumes:
        """The largest volume of each minute over the sessions of each week that open at `since_us` or later.

        since_us: one a symbol, µs UTC, as `Engine.volumes_since` says.
        """
        asked = np.flatnonzero(since_us <= (self.sessions[-1, 0] if len(self.sessions) else -1))
        week = week_of(self.sessions[:, 0])
        firsts = self.sessions[np.searchsorted(week, week), 0]
        opens, closes = ([moment_at(us) for us in side] for side in self.sessions.T.tolist())
        zone = " AT TIME ZONE 'UTC'" if self.naive else ""
        read = "true" if self.replayed is None else self.replayed.left(naive=self.naive)
        bits = f"{quality_bits('b.quality')} & {_PARTIAL}"
        # Without OFFSET 0 the planner reads all rows between the first session and the last for these few symbols.
        # The bounds of all sessions say nothing new, but are constants: see `Finished`.
        query = f"""
            SELECT s.id, w.first_us, (extract(epoch FROM m.since_open) / 60)::integer, m.volume, m.quality
            FROM unnest($1::integer[], $2::text[], $3::timestamptz[]) AS s(id, name, since)
            CROSS JOIN unnest($4::bigint[]) AS w(first_us)
            CROSS JOIN LATERAL (
              SELECT b.since_open, max(b.volume) AS volume, bit_or(b.quality) AS quality
              FROM unnest($5::timestamptz[], $6::timestamptz[], $7::bigint[]) AS o(opens, closes, first_us)
              CROSS JOIN LATERAL (
                SELECT b.timestamp - o.opens{zone} AS since_open, coalesce(b.volume, 0)::bigint AS volume,
                  CASE WHEN b.quality IS NULL THEN 0 ELSE {bits} END AS quality
                FROM ohlcv_1min b
                WHERE b.symbol = s.name AND b.timestamp >= o.opens{zone} AND b.timestamp < o.closes{zone}
                  AND {CLOSED} AND {read}
                  AND b.timestamp >= $8::timestamptz{zone} AND b.timestamp < $9::timestamptz{zone}
                OFFSET 0
              ) AS b
              WHERE o.first_us = w.first_us AND o.opens >= s.since
              GROUP BY b.since_open
            ) AS m"""
        rows = np.empty(0, dtype=list(_TYPES.items()))
        if len(asked):
            rows = await copied(
                self.connection,
                query,
                (asked + 1).tolist(),
                [symbols[at] for at in asked.tolist()],
                [moment_at(us) for us in since_us[asked].tolist()],
                np.unique(firsts).tolist(),
                opens,
                closes,
                firsts.tolist(),
                opens[0],
                closes[-1],
                types=_TYPES,
            )
        return Volumes(
            symbols=list(symbols),
            symbol=rows["symbol"].astype(np.int32),
            open_us=rows["open_us"].astype(np.int64),
            minute=rows["minute"].astype(np.int32),
            volume=rows["volume"].astype(np.int64),
            quality=rows["quality"].astype(np.uint8),
        )


@asynccontextmanager
async def minute_volumes(
    settings: DatabaseSettings, sessions: I64, *, replayed: Replayed | None = None
) -> AsyncIterator[MinuteVolumes]:
    """What reads the minutes of those of these sessions that are looked at, on a connection of its own.

    sessions: those before the one that is on: open and close in µs UTC, int64 (n, 2), sorted.
    replayed: what is left out, since it comes by another way.
    Raises ServerError if the database cannot be used, in the block too.
    """
    # Bars of the last one may still be revised, and are then looked at as in its own week.
    wanted = sessions[week_of(sessions[:, 0]) > week_of(sessions[-1:, 0]) - WEEKS]
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        yield MinuteVolumes(connection, wanted, await is_naive(connection), replayed)


def week_of(open_us: I64 | np.int64) -> I64:
    """The number of a session's week, by its open: see `week` in `rust/kernel/src/pattern/days.rs`."""
    return np.asarray(((open_us + _DAY_US // 4) // _DAY_US + 3) // 7)
