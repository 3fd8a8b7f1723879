"""How fast the tables grow: their size, and rows and bytes of a day that has rows."""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from tickstockpl.moments import moment_at
from tickstockpl.postgres import Connection, has_timescale

BACK = timedelta(days=10)

_COUNT_MS = 3_000

_SIZE = """
WITH RECURSIVE tree(oid) AS (
  SELECT to_regclass($1)::oid WHERE to_regclass($1) IS NOT NULL
  UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
)
SELECT sum(pg_total_relation_size(oid))::bigint AS bytes, sum(greatest(reltuples, 0))::float8 AS rows,
       (SELECT atttypid = 'timestamp'::regtype FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2)
         AS naive
FROM tree JOIN pg_class USING (oid)
"""

_CHUNKS = """
SELECT sum(pg_total_relation_size(c.oid))::float8 AS bytes, sum(greatest(c.reltuples, 0))::float8 AS rows,
       sum(extract(epoch FROM k.range_end - k.range_start) / 86400)::float8 AS days
FROM timescaledb_information.chunks k
JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', k.chunk_schema, k.chunk_name))
WHERE to_regclass(format('%I.%I', k.hypertable_schema, k.hypertable_name)) = to_regclass($1)
  AND k.range_end <= $2 AND k.range_start >= $2 - $3::interval
"""


@dataclass(frozen=True, slots=True)
class Growth:
    """One table; a day is one that has rows, of the last ten."""

    bytes: int
    rows_a_day: float | None
    """None: there are none, or to count them takes too long."""
    bytes_a_day: float | None


async def growth(connection: Connection, table: str, column: str, now_us: int) -> Growth | None:
    """The growth of a table by the stamps in `column`; None if there is no such table.

    Of a hypertable its finished chunks tell, so nothing is counted; of another its rows are, for three seconds at most.
    """
    now = moment_at(now_us)
    size = await connection.fetchrow(_SIZE, table, column)
    if size is None or size["bytes"] is None:
        return None
    if await has_timescale(connection):
        chunks = await connection.fetchrow(_CHUNKS, table, now, BACK)
        if chunks is not None and chunks["days"]:
            rows = chunks["rows"] / chunks["days"]
            return Growth(size["bytes"], rows or None, chunks["bytes"] / chunks["days"])
    since = (now - BACK).replace(tzinfo=None) if size["naive"] else now - BACK
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {_COUNT_MS}")
            counted = await connection.fetchrow(
                f"SELECT count(*) AS rows, count(DISTINCT {column}::date) AS days FROM {table} WHERE {column} >= $1",
                since,
            )
    except asyncpg.QueryCanceledError:
        counted = None
    if counted is None or not counted["days"]:
        return Growth(size["bytes"], None, None)
    rows = counted["rows"] / counted["days"]
    return Growth(size["bytes"], rows, rows * size["bytes"] / max(size["rows"], counted["rows"]))
