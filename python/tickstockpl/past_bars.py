"""Longer bars of the sessions before today's, which an engine begins with at a start.

Those within a session are rolled up from its minutes, by the kernel as live ones are. Days are in `ohlcv_daily`, and
weeks are made of them. Minutes since the session's open make the rest.
"""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.history import CLOSED, History, Replayed, columns, copied, is_naive, quality_bits
from tickstockpl.kernel import PROVISIONAL, EngineSettings
from tickstockpl.moments import MINUTE_US, moment_at
from tickstockpl.postgres import Connection
from tickstockpl.rolled import rolled
from tickstockpl.settings import DatabaseSettings
from tickstockpl.vocabulary import TIERS, TIMEFRAME

I64 = NDArray[np.int64]

DAYS = 260
"""A window of days and what it takes to begin a week with: a year."""

_COMMAND_TIMEOUT_S = 300.0

_DAILY = f"""
SELECT s.id::integer, o.opens, d.session_open, d.session_high, d.session_low, d.session_close,
  coalesce(d.session_volume, 0)::bigint, coalesce(d.vwap, 'NaN')::float8, coalesce(d.trades, 0)::bigint, 0,
  {quality_bits("d.quality")} & ~{PROVISIONAL},
  d.first_at, d.first_at, -1::bigint, -1::bigint
FROM unnest($1::text[]) WITH ORDINALITY AS s(name, id)
JOIN ohlcv_daily d ON d.symbol = s.name AND d.session_open IS NOT NULL
JOIN market_session m ON m.kind = 'regular' AND m.date = d.date
JOIN unnest($2::timestamptz[]) AS o(opens) ON o.opens = m.open_at
"""


@dataclass(frozen=True, slots=True)
class Past:
    """What longer bars are made of; None where nothing is."""

    minutes: History | None
    days: History | None
    """Of regular sessions; days of others are made of minutes."""

    def since(self, known_us: I64) -> "Past":
        """Of each symbol that which began at `known_us` or later, µs UTC, one a symbol."""
        parts = (None if bars is None else bars.where(bars.ts_us >= known_us[bars.symbol]) for bars in self.all())
        return Past(*parts)

    def all(self) -> tuple[History | None, History | None]:
        """Both."""
        return self.minutes, self.days


@dataclass(frozen=True, slots=True)
class PastBars:
    """Reads the longer bars of some symbols at a time."""

    connection: Connection
    engine: EngineSettings
    sessions: I64
    """Before the one that is on: open and close in µs UTC, (n, 2), sorted."""
    back: int
    """So many of them, the last, are rolled up from minutes."""
    regular: bool
    """They are regular ones, of which there are daily bars."""
    naive: bool
    """The timestamps of `ohlcv_1min` have no time zone: they are UTC."""
    replayed: Replayed | None

    async def read(self, symbols: Sequence[str]) -> "Past":
        """What they are made of."""
        minutes = await self._minutes(symbols) if self.back else None
        return Past(minutes, await self._days(symbols) if self.regular and self._is_long() else None)

    def bars(self, past: "Past") -> list[tuple[str, History]]:
        """Bars of each timeframe that the engine looks at but the minute: oldest first per symbol."""
        longer, until_us = self._longer(), int(self.sessions[-1, 1]) if len(self.sessions) else None
        minutes, days = past.minutes, past.days
        made: list[tuple[str, History]] = []
        if minutes is not None:
            inside = (name for name in longer if name not in TIERS)
            made += [(name, rolled(minutes, name, self.engine, until_us)) for name in inside]
            if self._is_long() and not self.regular:
                days = rolled(minutes, "daily", self.engine, until_us)
        return [*made, *self._long(days, longer)] if days is not None else made

    def _longer(self) -> list[str]:
        return [name for name in self.engine.timeframes if name != TIMEFRAME]

    def _is_long(self) -> bool:
        return any(name in TIERS for name in self._longer())

    async def _minutes(self, symbols: Sequence[str]) -> History:
        zone = " AT TIME ZONE 'UTC'" if self.naive else ""
        read = "true" if self.replayed is None else self.replayed.left(naive=self.naive)
        edges = [[moment_at(us) for us in side] for side in self.sessions[-self.back :].T.tolist()]
        rows = await copied(
            self.connection,
            f"""
            SELECT {columns(naive=self.naive)}
            FROM unnest($1::text[]) WITH ORDINALITY AS s(name, id)
            CROSS JOIN unnest($2::timestamptz[], $3::timestamptz[]) AS o(opens, closes)
            CROSS JOIN LATERAL (
              SELECT * FROM ohlcv_1min b
              WHERE b.symbol = s.name AND b.timestamp >= o.opens{zone} AND b.timestamp < o.closes{zone}
                AND {CLOSED} AND {read}
            ) AS b""",
            list(symbols),
            *edges,
        )
        return History.of(rows, symbols)

    async def _days(self, symbols: Sequence[str]) -> History:
        """A bar a regular session, as far as there are daily bars."""
        opens = [moment_at(us) for us in self.sessions[-DAYS:, 0].tolist()]
        return History.of(await copied(self.connection, _DAILY, list(symbols), opens), symbols)

    def _long(self, days: History, longer: Sequence[str]) -> Iterator[tuple[str, History]]:
        """Weeks before days: those of a week that goes on begin it, which is then the newest."""
        if "weekly" in longer and len(days):
            # A session's one bar as its last minute: so the last one of a week ends it.
            at = np.searchsorted(self.sessions[:, 0], days.ts_us)
            last = replace(days, ts_us=self.sessions[at, 1] - MINUTE_US)
            yield "weekly", rolled(last, "weekly", self.engine, int(self.sessions[-1, 1]))
        yield "daily", days


@asynccontextmanager
async def past_bars(
    settings: DatabaseSettings,
    engine: EngineSettings,
    sessions: I64,
    *,
    back: int,
    regular: bool,
    replayed: Replayed | None = None,
) -> AsyncIterator[PastBars]:
    """What reads the longer bars of these sessions, on a connection of its own.

    sessions: those before the one that is on: open and close in µs UTC, int64 (n, 2), sorted. back: so many of them,
    the last, are read minute by minute. regular: they are regular ones, of which there are daily bars.
    replayed: what is left out, since it comes by another way.
    Raises ServerError if the database cannot be used, in the block too.
    """
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        naive = await is_naive(connection)
        yield PastBars(connection, engine, sessions, min(back, len(sessions)), regular, naive, replayed)
