"""The table `market_session`: the exchange's sessions, half days and all, where SQL can ask for them.

Each row counts how often bars of its time were stored after its end, so that what was made of them is known to be old.
All are of one calendar: whoever reads them, daily bars and the views too, knows no other.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tickstockpl.errors import SettingsError
from tickstockpl.postgres import Connection, transaction

I64 = NDArray[np.int64]
Kind = Literal["regular", "extended"]

EMPTIED = "DELETE FROM market_session"
"""What a person may run who wants another calendar."""

_LOCK = 0x5449434B4341  # "TICKCA"

_GIVEN = """
WITH given AS (
  SELECT kind, open_at, close_at, (close_at - interval '1 microsecond') AT TIME ZONE $4 AS ends
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS g(kind, open_us, close_us),
    LATERAL (SELECT timestamptz 'epoch' + open_us * interval '1 microsecond' AS open_at,
                    timestamptz 'epoch' + close_us * interval '1 microsecond' AS close_at) AS at
), wanted AS (SELECT kind, open_at, close_at, ends::date AS date, date_trunc('week', ends)::date AS week FROM given)
"""

_OTHERS = f"""
{_GIVEN}
DELETE FROM market_session s WHERE NOT EXISTS (
  SELECT FROM wanted w WHERE (w.kind, w.open_at, w.close_at, w.date) = (s.kind, s.open_at, s.close_at, s.date))
"""  # noqa: S608  # our own words

_MISSING = f"""
{_GIVEN}
INSERT INTO market_session (kind, open_at, close_at, date, week, calendar)
SELECT kind, open_at, close_at, date, week, $5 FROM wanted w
WHERE NOT EXISTS (SELECT FROM market_session s WHERE (s.kind, s.open_at) = (w.kind, w.open_at))
"""  # noqa: S608  # our own words
# ON CONFLICT would wait for who is changing a row that is there: who writes daily bars, be it a frozen process.

_UNNAMED = "UPDATE market_session SET calendar = $1 WHERE calendar IS NULL"
"""Of a version that named none."""


async def refuse_another(connection: Connection, calendar: str, timezone: str) -> None:
    """Raises SettingsError if the table holds the sessions of another calendar, or of another time zone's days."""
    kept = await connection.fetchval("SELECT calendar FROM market_session WHERE calendar IS NOT NULL LIMIT 1")
    if kept not in (None, _named(calendar, timezone)):
        raise SettingsError(
            f"session.calendar and session.timezone are {_named(calendar, timezone)}, but market_session holds the "
            f"sessions of {kept}, and a database has one calendar: set these, use another database, or, "
            f"if nothing else uses this one, run {EMPTIED}"
        )


async def keep(connection: Connection, tables: Mapping[Kind, I64], calendar: str, timezone: str) -> int:
    """Make the table say what the calendar says; a second time changes nothing. Returns how many rows changed.

    tables: [open, close) of each session in µs UTC, int64 (n, 2), by kind.
    timezone: the market's: a session is of the day that it ends on, and of that day's week, from Monday.
    Raises SettingsError as `refuse_another` does.
    """
    kinds = [kind for kind, rows in tables.items() for _ in range(len(rows))]
    edges = [np.concatenate([rows[:, side] for rows in tables.values()]).tolist() for side in (0, 1)]
    changed = 0
    async with transaction(connection):
        # Of two that begin with an empty table the second sees what the first has written.
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await refuse_another(connection, calendar, timezone)
        named, given = _named(calendar, timezone), (kinds, *edges, timezone)
        for statement, values in ((_OTHERS, given), (_UNNAMED, (named,)), (_MISSING, (*given, named))):
            tag = await connection.execute(statement, *values)
            changed += int(tag.rpartition(" ")[2])
    return changed


def _named(calendar: str, timezone: str) -> str:
    return f"{calendar} {timezone}"
