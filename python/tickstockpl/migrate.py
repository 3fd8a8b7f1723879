"""The database made ready: our tables created, AppV2's adopted.

Adopting adds nullable columns and nothing else. What this role may not do is said as SQL for the table's owner; where
the owner has run it, this role needs no rights to create anything.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import asyncpg
import structlog

from tickstockpl import postgres
from tickstockpl.dsn import masked_url, postgres_dsn
from tickstockpl.errors import ServerError
from tickstockpl.tables import BASE, BY_TIME, DAILY_BASE, NEEDED, OF_DAYS, SERIAL, Tables, privileges, read_tables

VERSION_TABLE = "tickstockpl_schema_version"
FOLDER = Path(__file__).with_name("migrations")

HYPERTABLE = (
    "SELECT create_hypertable('ohlcv_1min', 'timestamp', chunk_time_interval => INTERVAL '1 day', "
    "migrate_data => true, if_not_exists => true);"
)
DAILY_UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY ohlcv_daily_symbol_date ON ohlcv_daily (symbol, date);"
UNIQUE = 'CREATE UNIQUE INDEX CONCURRENTLY ohlcv_1min_symbol_timestamp ON ohlcv_1min (symbol, "timestamp");'

VIEWS = ("ohlcv_5min", "ohlcv_15min", "ohlcv_30min", "ohlcv_1hour", "ohlcv_4hour", "ohlcv_weekly")
"""Of longer bars; whatever else has such a name stays."""

_LOCK = 0x5449434B504C  # "TICKPL"
_INDEX_LOCK = _LOCK + 1
_POLL_S = 0.2
_BUSY_S = 10
_COMMAND_TIMEOUT_S = 3600.0
_TARGET = re.compile(
    r"^(?:CREATE TABLE IF NOT EXISTS |ALTER TABLE |CREATE (?:UNIQUE )?INDEX IF NOT EXISTS \w+ ON |DO \$)(\w+)",
    re.MULTILINE,
)
"""Finds the table that a statement is about; a block is about the one that its quotes name."""

_RIGHTS = """
SELECT n.name, n.privilege FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n(name, privilege, place)
WHERE to_regclass(n.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(n.name), n.privilege) ORDER BY n.place
"""

_SEQUENCES = """
SELECT s.name FROM unnest($1::text[]) AS t(name), pg_get_serial_sequence(t.name, 'id') AS s(name)
WHERE s.name IS NOT NULL AND NOT has_sequence_privilege(s.name, 'USAGE')
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` has done."""

    changed: bool
    hypertable: bool
    """`ohlcv_1min` is one now, or was before."""
    timescale: bool
    """The database has the extension."""


async def pending(uri: str, *, policy: str = "accept") -> list[str]:
    """The SQL that must run before the service can; empty: it can.

    uri: as people write it, `DATABASE_URI`.
    policy: for symbols that the table `symbols` does not know; what the role needs there depends on it.
    Raises ServerError if the database cannot be asked, or its tables can never fit.
    """
    async with _connected(uri) as connection:
        return await _pending(connection, policy)


async def migrate(uri: str, *, convert: bool = False) -> Migrated:
    """Make the database ready; a second call, or one at the same time, changes nothing more.

    convert: make `ohlcv_1min` a hypertable even if it holds rows: it is locked while they are moved.
    Raises ServerError with the SQL for the owner if this role lacks a right.
    """
    async with _connected(uri) as connection:
        before = await read_tables(connection)
        if wanted := await _pending(connection):
            await _upgrade(connection, wanted)
            await _index(connection)
        if still := await _pending(connection):
            raise ServerError(_for_owner("this is still missing", still))
        made = await _spread(connection, convert)
        made |= await _shown(connection)
        after = await read_tables(connection)
    changed = bool(wanted) or made
    log.info("database ready", changed=changed, adopted=sorted(before.columns), hypertable=after.hypertable)
    return Migrated(changed, after.hypertable, after.timescale)


def script(name: str) -> str:
    """The text of one file of `migrations/sql`."""
    return (FOLDER / "sql" / name).read_text(encoding="utf-8")


async def _upgrade(connection: postgres.Connection, wanted: list[str]) -> None:
    """Run what alembic would run, in one transaction and on our own connection."""
    try:
        async with _alone(connection):
            if sql := _upgrade_sql(await _version(connection)):  # empty if another migration was quicker
                await connection.execute(sql)
    except asyncpg.PostgresError as error:
        raise _refused(error, wanted) from error


async def _index(connection: postgres.Connection) -> None:
    """Make the index by time where it is missing, outside of any transaction: others read and write meanwhile."""
    while _indexing(await read_tables(connection)):
        # Waiting for the lock would be a statement, which whoever makes the index waits for.
        if await connection.fetchval(f"SELECT pg_try_advisory_lock({_INDEX_LOCK})"):
            wanted = _indexing(await read_tables(connection))
            try:
                for statement in wanted:
                    await connection.execute(statement)
            except asyncpg.PostgresError as error:
                raise _refused(error, wanted) from error
            return
        await asyncio.sleep(_POLL_S)


def _indexing(tables: Tables) -> list[str]:
    """The SQL that makes the index by time of a table that holds rows; none if there is one, or no table yet."""
    if tables.by_time or "ohlcv_1min" not in tables.columns:
        return []
    # Of a hypertable it is made chunk by chunk: TimescaleDB knows no other way that lets others write.
    how, so = ("", " WITH (timescaledb.transaction_per_chunk)") if tables.hypertable else ("CONCURRENTLY ", "")
    return [
        *([f"DROP INDEX {how}{BY_TIME};"] if tables.half_made else []),
        f'CREATE INDEX {how}{BY_TIME} ON ohlcv_1min ("timestamp" DESC){so};',
    ]


def _upgrade_sql(at: str | None) -> str:
    """Alembic's own SQL from revision `at` (None: the beginning) to the newest, version table included."""
    from alembic import command
    from alembic.config import Config

    out = StringIO()
    config = Config(output_buffer=out)
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head" if at is None else f"{at}:head", sql=True)
    return out.getvalue().strip()


@asynccontextmanager
async def _alone(connection: postgres.Connection) -> AsyncIterator[None]:
    """A transaction that only one migration at a time is in."""
    async with postgres.transaction(connection):
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        # An ALTER that waits makes every reader wait behind it.
        await connection.execute(f"SET LOCAL lock_timeout = '{_BUSY_S}s'")
        yield


async def _spread(connection: postgres.Connection, convert: bool) -> bool:
    """Make `ohlcv_1min` a hypertable of one-day chunks, if it may become one; True if it was not one before."""
    tables = await read_tables(connection)
    if not tables.timescale:
        if convert:
            raise ServerError("--convert needs the extension: CREATE EXTENSION timescaledb; as a superuser, then again")
        return False
    if tables.hypertable or (not convert and await connection.fetchval("SELECT EXISTS (SELECT FROM ohlcv_1min)")):
        return False
    try:
        async with _alone(connection):
            await connection.execute("LOCK TABLE ohlcv_1min IN ACCESS EXCLUSIVE MODE")
            await connection.execute(HYPERTABLE)
    except asyncpg.PostgresError as error:
        if convert:
            raise _refused(error, [HYPERTABLE]) from error
        log.warning("ohlcv_1min stays a plain table", error=str(error), sql_for_its_owner=HYPERTABLE)
        return False
    return True


async def _shown(connection: postgres.Connection) -> bool:
    """Make the views of longer bars that somebody has dropped; True if there was one.

    The service does not need them: without the right to make them, the rest is done all the same.
    """
    gone = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS v(name) WHERE to_regclass(name) IS NULL", VIEWS
    )
    if not gone:
        return False
    (block,) = [statement for _, _, statement in _statements() if "CREATE VIEW" in statement]
    try:
        async with _alone(connection):
            await connection.execute(block)
    except asyncpg.PostgresError as error:
        log.warning("views are not made", error=str(error), views=[row["name"] for row in gone])
        return False
    return True


async def _pending(connection: postgres.Connection, policy: str = "accept") -> list[str]:
    tables = await read_tables(connection)
    _check(tables)
    lacking, at = tables.lacks(), await _version(connection)
    statements = _statements()
    sql = [
        statement
        for revision, table, statement in statements
        if table in lacking or (at is not None and revision > at) or (OF_DAYS in statement and not tables.of_days)
    ]
    newest = statements[-1][0]
    if sql and (at or "") < newest and await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", VERSION_TABLE):
        sql.append(f"UPDATE {VERSION_TABLE} SET version_num = '{newest}';")  # noqa: S608 - our own
    if not tables.unique and "ohlcv_1min" in tables.columns:
        sql.append(UNIQUE)
    sql += _indexing(tables)
    if not tables.daily_unique and "ohlcv_daily" in tables.columns:
        sql.append(DAILY_UNIQUE)
    return sql + await _grants(connection, tables, policy)


def _check(tables: Tables) -> None:
    """Raises ServerError for what adding columns cannot mend."""
    for table, base in (("ohlcv_1min", BASE), ("ohlcv_daily", DAILY_BASE)):
        bars = tables.columns.get(table)
        if bars is not None and (missing := [name for name in base if name not in bars]):
            raise ServerError(
                f"table {table} has no column {', '.join(missing)}: it is not AppV2's; "
                "rename it, or use another database or search_path"
            )
    if demanding := tables.foreign_columns():
        sql = [
            f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL;"
            for table, column in (name.split(".", 1) for name in demanding)
        ]
        raise ServerError(_for_owner(f"{', '.join(demanding)} must be filled and has no default", sql))


async def _version(connection: postgres.Connection) -> str | None:
    """The revision that the database says it has; None if it says nothing: then only the tables themselves count."""
    if not await connection.fetchval(
        "SELECT to_regclass($1) IS NOT NULL AND has_table_privilege(to_regclass($1), 'SELECT')", VERSION_TABLE
    ):
        return None
    version: str | None = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - our own
    return version


def _statements() -> list[tuple[str, str, str]]:
    """(revision, table, statement) of the SQL files, in order: alembic takes longer to import than the rest."""
    return [
        (file.name.partition("_")[0], target[1], statement.strip())
        for file in sorted((FOLDER / "sql").glob("*.sql"))
        for statement in file.read_text(encoding="utf-8").split("\n\n")
        if (target := _TARGET.search(statement))
    ]


async def _grants(connection: postgres.Connection, tables: Tables, policy: str) -> list[str]:
    role = await connection.fetchval("SELECT quote_ident(current_user)")
    asks_symbols = (tables.symbols_key or tables.daily_key) if policy == "accept" else "symbols" in tables.columns
    needed = [(name, right) for name in NEEDED for right in privileges(name)]
    needed += [("symbols", right) for right in privileges("symbols", policy) if asks_symbols]
    lacking: dict[str, list[str]] = {}
    for row in await connection.fetch(_RIGHTS, *map(list, zip(*needed, strict=True))):
        lacking.setdefault(row["name"], []).append(row["privilege"])
    sql = [f"GRANT {', '.join(rights)} ON {name} TO {role};" for name, rights in lacking.items()]
    serial = [name for name in SERIAL if "id" in tables.columns.get(name, {})]
    sql += [f"GRANT USAGE ON SEQUENCE {row['name']} TO {role};" for row in await connection.fetch(_SEQUENCES, serial)]
    if not await connection.fetchval("SELECT has_database_privilege(current_database(), 'TEMPORARY')"):
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        sql.append(f"GRANT TEMPORARY ON DATABASE {database} TO {role};")
    return sql


def _refused(error: Exception, wanted: list[str]) -> ServerError:
    if isinstance(error, asyncpg.LockNotAvailableError):
        return ServerError("a table stayed locked by another session: run `tickstockpl migrate` again")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return ServerError(_for_owner(f"this role may not change the schema ({error})", wanted))
    return ServerError(_for_owner(f"the schema cannot be changed ({error})", wanted))


def _for_owner(why: str, sql: list[str]) -> str:
    alone = any("CONCURRENTLY" in statement for statement in sql)
    how = " one by one (CONCURRENTLY is refused in a transaction)" if alone else ""
    return "\n".join([f"{why}. As the owner of the tables, run{how}:", "", *sql])


@asynccontextmanager
async def _connected(uri: str) -> AsyncIterator[postgres.Connection]:
    with postgres.usable(masked_url(uri)):
        connection = await postgres.connect(postgres_dsn(uri), command_timeout_s=_COMMAND_TIMEOUT_S)
        try:
            yield connection
        finally:
            connection.terminate()
