"""Old rows deleted, so that the disk does not fill: once a day beside the stages, or by hand.

Only rows that we wrote are touched, whoever made the table. Whole chunks of a hypertable are dropped; everything else
goes in small batches, each a transaction of its own, with a pause as long as the work after each: the writer never
waits for one.
"""

# ruff: noqa: S608 - what is put into these texts are our own words and the catalogue's names; values are parameters

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import asyncpg
import structlog

from tickstockpl import postgres
from tickstockpl.clock import Clock
from tickstockpl.moments import EPOCH, moment_at
from tickstockpl.postgres import Connection
from tickstockpl.settings import DatabaseSettings, RetentionSettings, Settings
from tickstockpl.trouble import Trouble
from tickstockpl.vocabulary import REPAIRED

DAY_S, RETRY_S = 86_400.0, 3_600.0
BATCH_ROWS = 5_000
BATCH_PAGES = 64
"""Of 8 KiB, where no index leads to old rows: at some 80 bars a page, no more rows than in the other batches."""

_BUSY = "1s"
"""A chunk that somebody uses is left for the next time: who waits to drop it makes others wait behind."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which rows of a table are old, and which of them are ours."""

    table: str
    column: str
    setting: str
    """Of the section `retention`: how many days; None keeps them for ever."""
    ours: str = "true"
    """In SQL, of a row `t`; never NULL, whose opposite is NULL too."""

    def days(self, settings: RetentionSettings) -> int | None:
        """How long rows are kept."""
        found: int | None = getattr(settings, self.setting)
        return found


_BY_HAND = f"coalesce(t.quality LIKE '%{REPAIRED}%', false)"

RULES = (
    Rule("ohlcv_1min", "timestamp", "bars_days", f"(t.trades IS NOT NULL OR {_BY_HAND})"),
    Rule("pattern_event", "bar_end", "patterns_days"),
    Rule("pattern_outcome", "bar_start", "patterns_days"),
    Rule("intraday_patterns", "detection_timestamp", "patterns_days", "t.event_id IS NOT NULL"),
    Rule("intraday_indicators", "calculation_timestamp", "patterns_days", "t.bar_start IS NOT NULL"),
    Rule("dead_letter", "at", "dead_letters_days"),
    Rule("ingest_gap", "ended_at", "gaps_days"),
)
"""Other writers' bars have no `trades`; their patterns and indicators lack what our events and bars are known by."""


def deleted_from(settings: RetentionSettings) -> list[str]:
    """The tables whose rows are not kept for ever."""
    return [rule.table for rule in RULES if rule.days(settings) is not None]


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of the old rows of one table."""

    table: str
    before: datetime
    rows: int = 0
    """Deleted one by one."""
    chunks: int = 0
    """Dropped as a whole, `bytes` of them."""
    bytes: int = 0


@dataclass(slots=True)
class Outcome:
    """What `retain` has done, or would do."""

    removed: list[Removed] = field(default_factory=list)
    """Of each table whose rows are not kept for ever, and that we may delete from."""
    lacking: list[str] = field(default_factory=list)
    """SQL for the tables' owner: rights without which nothing is deleted there."""


class Retention:
    """The helper of the service that deletes once a day."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._trouble = Trouble()
        self._rows = self._chunks = 0

    def status(self) -> dict[str, Any]:
        """How it goes, as plain values."""
        return {**self._trouble.state("old rows are not deleted"), "rows": self._rows, "chunks": self._chunks}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Delete what is old now and then each day, after a failure in an hour; until cancelled."""
        while True:
            await sleep(DAY_S if await self._once() else RETRY_S)

    async def _once(self) -> bool:
        try:
            done = await retain(self._settings.database, self._settings.retention, self._clock.now_us())
        except Exception as error:  # noqa: BLE001 - who keeps house must not burn it down, whatever the fault
            why = f"{type(error).__name__}: {error}"
            self._failed(why, "old rows not deleted, trying again in an hour", error=why)
            return False
        for each in done.removed:
            self._rows, self._chunks = self._rows + each.rows, self._chunks + each.chunks
            if each.rows or each.chunks:
                log.info("old rows deleted", table=each.table, rows=each.rows, chunks=each.chunks, bytes=each.bytes)
        if done.lacking:
            sql = " ".join(done.lacking)
            why = f"as the tables' owner run: {sql}"
            self._failed(why, "old rows not deleted, a right is missing", sql_for_the_owner=sql)
            return False
        self._trouble.over()
        return True

    def _failed(self, why: str, what: str, **facts: str) -> None:
        if self._trouble.again(why):
            log.error(what, times=self._trouble.times, **facts)


async def retain(
    database: DatabaseSettings, retention: RetentionSettings, now_us: int, *, dry_run: bool = False
) -> Outcome:
    """Delete the rows that are older than the settings keep them.

    now_us: µs UTC; where the server's clock is behind it, that one counts.
    dry_run: only count them.
    Raises ServerError if the database cannot be used; what was deleted before stays deleted.
    """
    done = Outcome()
    async with postgres.for_command(database) as connection:
        done.lacking = await lacking(connection, retention)
        # A machine that wakes up in another year must not take all rows for old ones.
        now = min(moment_at(now_us), await connection.fetchval("SELECT now()"))
        for rule in RULES:
            days = rule.days(retention)
            if days is None or any(f" {rule.table} " in sql for sql in done.lacking):
                continue
            removed = Removed(rule.table, now - timedelta(days=days))
            for leaf in await _leaves(connection, rule):
                removed = await _clear(connection, rule, leaf, removed, dry_run=dry_run)
            done.removed.append(removed)
    return done


async def lacking(connection: Connection, retention: RetentionSettings) -> list[str]:
    """The SQL that gives this role the rights that retention needs and it has not."""
    rows = await connection.fetch(
        """SELECT name, quote_ident(current_user) AS role FROM unnest($1::text[]) AS t(name)
           WHERE to_regclass(name) IS NOT NULL AND NOT has_table_privilege(to_regclass(name), 'DELETE')""",
        deleted_from(retention),
    )
    return [f"GRANT DELETE ON {row['name']} TO {row['role']};" for row in rows]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A table that holds rows itself: a plain one, a partition, or a chunk of a hypertable."""

    name: str
    naive: bool
    """Its column has no time zone: it is UTC."""
    indexed: bool
    """An index leads to the oldest rows."""
    pages: int
    bytes: int
    mine: bool
    """This role owns the table, and may drop chunks."""
    begins: datetime | None
    ends: datetime | None
    """The bounds of a chunk; None: this is none."""

    def moment(self, at: datetime) -> datetime:
        return at.replace(tzinfo=None) if self.naive else at


_CHUNKS = """
  SELECT to_regclass(format('%I.%I', chunk_schema, chunk_name))::oid AS oid, range_start, range_end
  FROM timescaledb_information.chunks
  WHERE to_regclass(format('%I.%I', hypertable_schema, hypertable_name)) = to_regclass($1)
"""

_NO_CHUNKS = "SELECT NULL::oid AS oid, NULL::timestamptz AS range_start, NULL::timestamptz AS range_end"

_LEAVES = """
WITH RECURSIVE tree(oid) AS (
  SELECT to_regclass($1)::oid WHERE to_regclass($1) IS NOT NULL
  UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
), chunks AS ({chunks})
SELECT c.oid::regclass::text AS name, a.atttypid = 'timestamp'::regtype AS naive,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum) AS indexed,
  (pg_relation_size(c.oid) / current_setting('block_size')::bigint)::bigint AS pages,
  pg_total_relation_size(c.oid) AS bytes,
  pg_has_role(top.relowner, 'USAGE') AS mine, k.range_start AS begins, k.range_end AS ends
FROM tree JOIN pg_class c USING (oid) JOIN pg_class top ON top.oid = to_regclass($1)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2
LEFT JOIN chunks k ON k.oid = c.oid
WHERE c.relkind = 'r' ORDER BY k.range_start, c.oid
"""


async def _leaves(connection: Connection, rule: Rule) -> list[_Leaf]:
    query = _LEAVES.format(chunks=_CHUNKS if await postgres.has_timescale(connection) else _NO_CHUNKS)
    return [_Leaf(**dict(row)) for row in await connection.fetch(query, rule.table, rule.column)]


async def _clear(connection: Connection, rule: Rule, leaf: _Leaf, removed: Removed, *, dry_run: bool) -> Removed:
    """Delete what is old in one leaf."""
    if leaf.begins is not None and leaf.begins >= removed.before:
        return removed
    before = leaf.moment(removed.before)
    old = f"t.{rule.column} >= $1 AND t.{rule.column} < $2 AND {rule.ours}"
    if leaf.ends is not None:
        if leaf.ends > removed.before or await _holds_none_of_ours(connection, rule, leaf):
            return removed  # the rest of a chunk goes with the whole of it
        fate = await _drop(connection, rule, leaf, dry_run=dry_run) if leaf.mine else "shared"
        if fate == "dropped":
            return replace(removed, chunks=removed.chunks + 1, bytes=removed.bytes + leaf.bytes)
        if fate == "busy":
            return removed
    since = leaf.moment(EPOCH)
    if dry_run:
        count = await connection.fetchval(f"SELECT count(*) FROM ONLY {leaf.name} t WHERE {old}", since, before)
        return replace(removed, rows=removed.rows + count)
    if leaf.indexed:
        gone = await _delete_along_index(connection, rule, leaf, old, before)
    else:
        gone = await _delete_by_pages(connection, leaf, old, (since, before))
    return replace(removed, rows=removed.rows + gone)


async def _holds_none_of_ours(connection: Connection, rule: Rule, leaf: _Leaf) -> bool:
    """By PostgreSQL's statistics: others' history of years is not read again each day to find nothing in it.

    Where they err, some rows of ours are kept.
    """
    if rule.table != "ohlcv_1min":
        return False
    found: bool = await connection.fetchval(
        """SELECT count(*) FILTER (WHERE null_frac = 1) = 2 FROM pg_stats
           WHERE format('%I.%I', schemaname, tablename)::regclass = $1::text::regclass
             AND attname IN ('trades', 'quality')""",
        leaf.name,
    )
    return found


async def _drop(
    connection: Connection, rule: Rule, leaf: _Leaf, *, dry_run: bool
) -> Literal["dropped", "shared", "busy"]:
    """Drop a chunk, unless it holds a row of somebody else, or is in use just now."""
    kind = "timestamp" if leaf.naive else "timestamptz"
    try:
        async with postgres.transaction(connection):
            await connection.execute(f"SET LOCAL lock_timeout = '{_BUSY}'")
            await connection.execute(
                f"LOCK TABLE {leaf.name} IN SHARE ROW EXCLUSIVE MODE"
            )  # nobody adds a row while we look
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {leaf.name} t WHERE NOT {rule.ours})"):
                return "shared"
            if not dry_run:
                await connection.execute(
                    f"SELECT drop_chunks(to_regclass($1), older_than => $2::{kind}, newer_than => $3::{kind})",
                    rule.table,
                    *(at and leaf.moment(at) for at in (leaf.ends, leaf.begins)),
                )
    except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):  # the latter: another call has dropped it
        log.info("an old chunk is in use and stays until the next time", chunk=leaf.name)
        return "busy"
    return "dropped"


async def _delete_along_index(connection: Connection, rule: Rule, leaf: _Leaf, old: str, before: datetime) -> int:
    statement = f"""
        WITH gone AS (
          DELETE FROM ONLY {leaf.name} WHERE ctid = ANY (ARRAY(
            SELECT t.ctid FROM ONLY {leaf.name} t WHERE {old} ORDER BY t.{rule.column} LIMIT $3))
          RETURNING {rule.column} AS at
        ) SELECT count(*), max(at) FROM gone"""
    total, since = 0, leaf.moment(EPOCH)
    while True:
        started_s = time.monotonic()
        row = await connection.fetchrow(statement, since, before, BATCH_ROWS)
        if row is None or not row[0]:
            return total
        total, since = total + row[0], row[1]
        await asyncio.sleep(time.monotonic() - started_s)


async def _delete_by_pages(connection: Connection, leaf: _Leaf, old: str, bounds: tuple[datetime, datetime]) -> int:
    total = 0
    for low, high in _steps(leaf.pages):
        started_s = time.monotonic()
        tag = await connection.execute(
            f"DELETE FROM ONLY {leaf.name} t WHERE t.ctid >= '({low},0)' AND t.ctid < '({high},0)' AND {old}", *bounds
        )
        total += int(tag.rpartition(" ")[2])
        await asyncio.sleep(time.monotonic() - started_s)
    return total


def _steps(pages: int) -> Iterator[tuple[int, int]]:
    for low in range(0, pages, BATCH_PAGES):
        yield low, min(pages, low + BATCH_PAGES)
