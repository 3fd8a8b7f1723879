"""The finished sessions of each symbol before the one that is on, which an engine is told of at a start.

What it knows of them after a run that saw them is a function of the last 15: so these are read, and no more unless a
pattern asks for what each minute of them traded. Of regular
sessions they are in `ohlcv_daily`; what that table lacks or holds from before a change is folded from minutes.
"""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.history import CLOSED, History, Replayed, broke_off, copied, is_naive, quality_bits
from tickstockpl.moments import moment_at, us_of
from tickstockpl.position import EVER_US
from tickstockpl.postgres import Connection
from tickstockpl.settings import DatabaseSettings

I64 = NDArray[np.int64]

SESSIONS = 16
"""One more than the engine keeps anything of: the oldest may not be whole."""

WHOLE_US = 300_000_000
"""A session whose first bar began so long after its open was not seen whole, unless the symbol was heard before it: see
`FIRST_MINUTES` in `rust/kernel/src/pattern/session_range.rs`."""

_COMMAND_TIMEOUT_S = 120.0

_FRESH = """
SELECT open_at, date FROM market_session
WHERE kind = 'regular' AND open_at = ANY ($1) AND daily_changes = changes
"""

_DAILY = f"""
SELECT s.id::integer, o.opens, d.session_open, d.session_high, d.session_low, d.session_close, d.session_volume,
  coalesce(d.vwap, 'NaN'), coalesce(d.trades, 0), 0, {quality_bits("d.quality")}, d.first_at, d.first_at,
  -1::bigint, -1::bigint
FROM unnest($1::text[]) WITH ORDINALITY AS s(name, id)
CROSS JOIN unnest($2::date[], $3::timestamptz[]) AS o(day, opens)
JOIN ohlcv_daily d ON d.symbol = s.name AND d.date = o.day AND d.session_open IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """Reads the sessions of some symbols at a time."""

    connection: Connection
    opens: I64
    """Of the last sessions before the one that is on, µs UTC, sorted."""
    closes: I64
    days: list[date | None]
    """The days under which `ohlcv_daily` has them as their minutes are; None: it has not."""
    naive: bool
    """The timestamps of `ohlcv_1min` have no time zone: they are UTC."""
    replayed: Replayed | None

    async def of(self, symbols: Sequence[str]) -> History:
        """A row a session, oldest first per symbol: its open in `ts_us`, when its first bar began in `open_us`, and in
        `close_us` its last; of daily bars both say the first.

        One that broke off is flagged `provisional`.
        """
        at = [place for place, day in enumerate(self.days) if day is not None]
        opens = [moment_at(us) for us in self.opens[at].tolist()]
        parts = [await copied(self.connection, _DAILY, list(symbols), [self.days[place] for place in at], opens)]
        rest = [place for place, day in enumerate(self.days) if day is None]
        if rest:
            parts.append(await self._folded(symbols, rest))
        return History.of(np.concatenate(parts), symbols)

    async def _folded(self, symbols: Sequence[str], places: list[int]) -> NDArray[np.void]:
        """The same of minutes."""
        edges = [[moment_at(us) for us in side[places].tolist()] for side in (self.opens, self.closes)]
        zone = " AT TIME ZONE 'UTC'" if self.naive else ""
        broke = broke_off("b.last_quality", f"(b.last_at{zone})", "o.closes")
        read = "true" if self.replayed is None else self.replayed.left(naive=self.naive)
        # The last condition says nothing new, but of constants: without it each look-up tries every chunk there is.
        # No join of first and last minutes: without statistics the planner reads all rows in those bounds for it.
        return await copied(
            self.connection,
            f"""
            SELECT s.id::integer, o.opens, b.open, b.high, b.low, b.close, 0::bigint, 'NaN'::float8, 0::bigint, 0,
              {quality_bits("q.names")}, b.first_at{zone}, b.last_at{zone}, -1::bigint, -1::bigint
            FROM unnest($1::text[]) WITH ORDINALITY AS s(name, id)
            CROSS JOIN unnest($2::timestamptz[], $3::timestamptz[]) AS o(opens, closes)
            CROSS JOIN LATERAL (
              SELECT min(b.timestamp) AS first_at, max(b.timestamp) AS last_at, max(b.high)::float8 AS high,
                min(b.low)::float8 AS low, string_agg(b.quality, ',') AS quality,
                (array_agg(b.open ORDER BY b.timestamp))[1]::float8 AS open,
                (array_agg(b.close ORDER BY b.timestamp DESC))[1]::float8 AS close,
                (array_agg(b.quality ORDER BY b.timestamp DESC))[1] AS last_quality
              FROM ohlcv_1min b
              WHERE b.symbol = s.name AND b.timestamp >= o.opens{zone} AND b.timestamp < o.closes{zone}
                AND {CLOSED} AND {read}
                AND b.timestamp >= $4::timestamptz{zone} AND b.timestamp < $5::timestamptz{zone}
            ) AS b
            CROSS JOIN LATERAL (
              SELECT concat_ws(',', b.quality, CASE WHEN {broke} THEN 'provisional' END) AS names
            ) AS q
            WHERE b.first_at IS NOT NULL""",
            list(symbols),
            *edges,
            edges[0][0],
            edges[1][-1],
        )


def last(sessions: I64, regular: I64, count: int) -> I64:
    """The last of these sessions, so many of which hold the open of a regular one.

    Both open and close in µs UTC, int64 (n, 2), sorted. Of the days of mode `always` those without trading hold none.
    """
    opens = regular[:, 0]
    at = (np.searchsorted(opens, sessions[:, 0]) < np.searchsorted(opens, sessions[:, 1])).nonzero()[0][-count:]
    return sessions[at[0] :] if len(at) else sessions[-count:]


@asynccontextmanager
async def finished(
    settings: DatabaseSettings,
    sessions: I64,
    *,
    daily: bool,
    replayed: Replayed | None = None,
) -> AsyncIterator[Finished]:
    """What reads these sessions, on a connection of its own.

    sessions: open and close in µs UTC, int64 (n, 2), sorted. daily: they are regular, and there are daily bars of them.
    replayed: what is left out, since it comes by another way.
    Raises ServerError if the database cannot be used, in the block too.
    """
    opens, closes = sessions[:, 0], sessions[:, 1]
    async with postgres.for_command(settings, command_timeout_s=_COMMAND_TIMEOUT_S) as connection:
        known: dict[int, date] = {}
        if daily and (replayed is None or replayed.anew_us != EVER_US):
            rows = await connection.fetch(_FRESH, [moment_at(us) for us in opens.tolist()])
            known = {us_of(row["open_at"]): row["date"] for row in rows}
        days = [known.get(us) for us in opens.tolist()]
        yield Finished(connection, opens, closes, days, await is_naive(connection), replayed)


def counted(rows: History, known_us: I64, today_us: int) -> History:
    """Of each symbol the sessions before today's that a run counts which knows it since `known_us`.

    The first one counts if the symbol was heard from its open on, or before it. rows: as `Finished.of` gives them, by
    symbol and time. known_us: one a symbol, µs UTC.
    """
    since = known_us[rows.symbol]
    kept = (rows.ts_us >= since) & (rows.ts_us < today_us)
    follows = np.r_[False, rows.symbol[1:] == rows.symbol[:-1]]
    is_heard = follows & (np.r_[0, rows.close_us[:-1]] >= since)
    return rows.where(kept & (is_heard | (rows.open_us - rows.ts_us < WHOLE_US)))
