"""The schema on real servers: created, adopted, and asked of the owner where this role may not."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from bar_samples import bars, event, outcome, ran, rows, stored
from event_samples import events
from tickstockpl.errors import ServerError
from tickstockpl.events import Expiry
from tickstockpl.migrate import FOLDER, VERSION_TABLE, Migrated, migrate, pending, script
from tickstockpl.tables import NEEDED
from tickstockpl.wire import Gap, Sent, WriteBatch

pytestmark = pytest.mark.anyio

APPV2 = (Path(__file__).resolve().parent.parent / "appv2_tables.sql").read_text(encoding="utf-8")
HYPERTABLES = "SELECT hypertable_name AS name FROM timescaledb_information.hypertables"
SHAPE = """
    SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY 1, 2"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
FILES = sorted(file.name for file in (FOLDER / "sql").glob("*.sql"))
NEWEST = FILES[-1].partition("_")[0]
A_BAR = "INSERT INTO ohlcv_1min VALUES ('AAPL', '2025-10-13 13:30Z', 1, 1, 1, 1, 1)"


@pytest.fixture
async def role(database: str) -> AsyncIterator[str]:
    """The URI of a role in `database` that owns nothing and may create nothing."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    await ran(database, f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    parts = urlsplit(database)
    yield urlunsplit(parts._replace(netloc=f"{name}:x@{parts.hostname}:{parts.port}"))
    await ran(database, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
async def plain(database_uri: str) -> AsyncIterator[str]:
    """The URI of an empty database without the extension."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    await ran(database_uri, f"CREATE DATABASE {name}")
    uri = urlunsplit(urlsplit(database_uri)._replace(path=f"/{name}"))
    await ran(uri, "SET client_min_messages = error; DROP EXTENSION IF EXISTS timescaledb")
    yield uri
    await ran(database_uri, f"DROP DATABASE {name} WITH (FORCE)")


async def test_an_empty_database_gets_every_table_and_a_hypertable_of_one_day_chunks(database: str) -> None:
    assert len(await pending(database)) >= len(NEEDED)
    done = await migrate(database)
    assert (done.changed, done.hypertable) == (True, True)
    assert await pending(database) == []
    (found,) = await rows(database, "SELECT time_interval FROM timescaledb_information.dimensions")
    assert found["time_interval"].days == 1
    assert await rows(database, f"SELECT version_num FROM {VERSION_TABLE}") == [{"version_num": NEWEST}]


async def test_a_second_time_changes_nothing(database: str) -> None:
    await migrate(database)
    before = await rows(database, SHAPE)
    assert not (await migrate(database)).changed
    assert await rows(database, SHAPE) == before


async def test_a_database_of_the_first_revision_gains_what_the_second_brings(database: str) -> None:
    await migrate(database)
    await ran(
        database,
        f"ALTER TABLE intraday_indicators DROP COLUMN bar_start; UPDATE {VERSION_TABLE} SET version_num = '0001'",
    )
    assert any("intraday_indicators_bar" in statement for statement in await pending(database))
    assert (await migrate(database)).changed
    assert await pending(database) == []
    (index,) = await rows(database, "SELECT indexdef FROM pg_indexes WHERE indexname = 'intraday_indicators_bar'")
    assert "UNIQUE" in index["indexdef"]


@pytest.mark.parametrize("adopted", [False, True])
async def test_four_at_once_all_succeed(database: str, adopted: bool) -> None:
    if adopted:
        await ran(database, APPV2 + A_BAR)
    done = await asyncio.gather(*(migrate(database) for _ in range(4)))
    assert {each.hypertable for each in done} == {not adopted}
    assert await pending(database) == []


@asynccontextmanager
async def indexing(database: str) -> AsyncIterator[asyncio.Task[Migrated | ServerError]]:
    """A migration that makes the index of an adopted table, and waits for an older reader while the block lasts."""

    async def attempt() -> Migrated | ServerError:
        try:
            return await migrate(database)
        except ServerError as error:
            return error

    await ran(database, APPV2 + A_BAR)
    reader = await asyncpg.connect(database)
    try:
        async with asyncio.TaskGroup() as tasks, reader.transaction(isolation="repeatable_read"):
            await reader.fetch("SELECT FROM symbols")
            task = tasks.create_task(attempt())
            async with asyncio.timeout(20):
                while not await rows(database, "SELECT FROM pg_index WHERE NOT indisvalid"):
                    await asyncio.sleep(0.05)
            yield task
    finally:
        await reader.close()


async def test_others_read_and_write_while_an_adopted_table_gets_its_index(database: str) -> None:
    async with indexing(database) as migrating:
        await ran(database, f"SET lock_timeout = '1s'; {A_BAR.replace('13:30', '13:31')}; SELECT FROM ohlcv_1min")
        assert not migrating.done()
    assert isinstance(migrating.result(), Migrated)
    assert await pending(database) == []


async def test_an_index_whose_making_was_interrupted_is_made_anew(database: str) -> None:
    async with indexing(database) as migrating:
        await ran(database, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'")
        assert "ON ohlcv_1min" in str(await migrating)
    assert [sql.partition(" ON ")[0] for sql in await pending(database)] == [
        "DROP INDEX CONCURRENTLY ohlcv_1min_timestamp_idx;",
        "CREATE INDEX CONCURRENTLY ohlcv_1min_timestamp_idx",
    ]
    assert (await migrate(database)).changed
    assert await pending(database) == []


async def test_a_hypertable_without_its_index_gets_it(database: str) -> None:
    await migrate(database)
    await ran(database, A_BAR)
    await ran(database, "DROP INDEX ohlcv_1min_timestamp_idx")
    assert len(await pending(database)) == 1
    assert (await migrate(database)).changed
    assert await pending(database) == []


async def test_without_the_extension_the_table_is_plain_and_takes_bars(plain: str) -> None:
    done = await migrate(plain)
    assert (done.changed, done.hypertable) == (True, False)
    assert not (await migrate(plain)).changed
    assert (await stored(plain, WriteBatch(bars=bars(["AAPL"]))))["rows"] == 1
    with pytest.raises(ServerError, match="CREATE EXTENSION timescaledb"):
        await migrate(plain, convert=True)


async def test_adopting_only_adds_nullable_columns(database: str) -> None:
    await ran(database, APPV2)
    before = await rows(database, SHAPE)
    await migrate(database)
    after = await rows(database, SHAPE)
    assert all(column in after for column in before)
    adopted = {row["table_name"] for row in before}
    added = [row for row in after if row["table_name"] in adopted and row not in before]
    assert {row["column_name"] for row in added} == {
        *("trades", "vwap", "revision", "quality", "open_at", "close_at"),
        *("event_id", "bar_start", "src_id", "first_src", "last_src"),
        *("session_open", "session_high", "session_low", "session_close", "session_volume", "minutes", "first_at"),
    }
    assert {row["is_nullable"] for row in added} == {"YES"}


async def test_a_table_with_rows_becomes_a_hypertable_only_when_asked(database: str) -> None:
    await ran(database, APPV2 + A_BAR)
    assert not (await migrate(database)).hypertable
    assert not await rows(database, HYPERTABLES)
    done = await migrate(database, convert=True)
    assert (done.changed, done.hypertable) == (True, True)
    assert len(await rows(database, "SELECT FROM ohlcv_1min")) == 1


async def test_an_adopted_table_without_rows_becomes_a_hypertable(database: str) -> None:
    await ran(database, APPV2)
    assert (await migrate(database)).hypertable


async def run_by_the_owner(database: str, role: str) -> None:
    """Have the owner run what the role is told, as psql does, until it is told nothing more."""
    # Rights on tables that did not exist yet can only be asked for once they do.
    for _ in range(2):
        asked = await pending(role)
        for statement in asked:
            await ran(database, statement)
    assert await pending(role) == []


async def stored_by(role: str) -> list[Any]:
    """What the service's writer says of two bars, two events and what became of one of them."""
    held, gone = event("NEWCO"), event("NEWCO", minute=1)
    status = await stored(
        role,
        WriteBatch(bars=bars(["AAPL", "NEWCO"]), events=events(held, gone), gaps=(Gap(0, 1, "x", ()),)),
        WriteBatch(outcomes=outcome(held.event_id, "NEWCO")),
        WriteBatch(sent=(Sent(held.event_id, 1),), expired=(Expiry(gone.event_id, "NEWCO", "Doji", 1),)),
    )
    return [status[name] for name in ("state", "last_error", "rows", "events", "outcomes")]


ALL_STORED = ["ok", "", 2, 2, 1]


async def test_a_role_without_rights_gets_the_sql_and_passes_once_the_owner_has_run_it(
    database: str, role: str
) -> None:
    await ran(database, APPV2 + A_BAR)
    with pytest.raises(ServerError, match="As the owner of the tables, run one by one") as refused:
        await migrate(role)
    assert refused.value.exit_code == 2
    assert str(refused.value).partition("\n\n")[2] == "\n".join(await pending(role))
    await run_by_the_owner(database, role)
    assert not (await migrate(role)).changed
    assert await stored_by(role) == ALL_STORED


@pytest.mark.parametrize(
    ("at", "versioned"), [*((at, False) for at in range(1, len(FILES))), (1, True), (len(FILES) - 1, True)]
)
async def test_from_each_revision_the_printed_sql_alone_makes_what_migrate_makes(
    database: str, plain: str, role: str, at: int, versioned: bool
) -> None:
    await ran(plain, APPV2 + A_BAR)
    await migrate(plain)
    await ran(database, APPV2 + A_BAR)
    for name in FILES[:at]:
        await ran(database, script(name))
    if versioned:
        await ran(
            database,
            f"CREATE TABLE {VERSION_TABLE} (version_num varchar(32) PRIMARY KEY); "
            f"INSERT INTO {VERSION_TABLE} VALUES ('{at:04}'); GRANT SELECT ON {VERSION_TABLE} TO PUBLIC",
        )
    await run_by_the_owner(database, role)
    for what, name in ((SHAPE, "table_name"), (INDEXES, "indexname")):
        made, migrated = await rows(database, what), await rows(plain, what)
        assert [row for row in made if VERSION_TABLE not in row[name]] == [
            row for row in migrated if VERSION_TABLE not in row[name]
        ]
    assert await stored_by(role) == ALL_STORED
    if versioned:
        assert await rows(database, f"SELECT version_num FROM {VERSION_TABLE}") == [{"version_num": NEWEST}]
    assert not (await migrate(database)).changed


async def test_a_table_that_is_not_appv2s_is_refused_by_name(database: str) -> None:
    await ran(database, "CREATE TABLE ohlcv_1min (symbol text, time timestamptz, open_price float8)")
    with pytest.raises(ServerError, match="has no column timestamp, open, high, low, close, volume"):
        await migrate(database)


async def test_a_missing_unique_key_is_asked_of_the_owner(database: str) -> None:
    await ran(database, APPV2.replace(",\n  PRIMARY KEY (symbol, timestamp)", ""))
    with pytest.raises(ServerError, match="CREATE UNIQUE INDEX"):
        await migrate(database)


async def test_a_column_that_we_could_not_fill_is_refused_by_name(database: str) -> None:
    await ran(database, APPV2.replace("volume bigint,", "volume bigint, vendor text NOT NULL,", 1))
    with pytest.raises(ServerError, match=r"ohlcv_1min\.vendor must be filled"):
        await migrate(database)


async def test_a_server_that_is_not_there_is_one_line_without_its_password() -> None:
    with pytest.raises(ServerError, match="cannot be used") as refused:
        await migrate("postgresql+asyncpg://me:geheim@127.0.0.1:1/nothing")
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_files_are_where_the_package_looks_and_at_the_top_of_the_checkout() -> None:
    assert (FOLDER / "sql" / "0001_tables.sql").is_file()
    assert (FOLDER / "sql" / "0002_indicators.sql").is_file()
    top = Path(__file__).resolve().parents[2] / "migrations"
    assert (top / "env.py").read_bytes() == (FOLDER / "env.py").read_bytes()
