"""The service with exactly the rights that `tickstockpl rights` prints: enough for all it does, and none too many."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import numpy as np
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from bar_samples import NINE_30_US, bars, event, outcome, ran, rows, writer_for
from event_samples import events
from listening import client
from own_servers import OwnServers
from reading_samples import readings
from running import MINUTE, SECOND, minutes_ago, serving, settings_for, tick
from tapping import tap_settings, tapping
from tickstockpl import rights, timetable
from tickstockpl.clock import SystemClock
from tickstockpl.daily import daily_bars
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.events import Expiry
from tickstockpl.migrate import VERSION_TABLE, migrate, pending
from tickstockpl.ownership import Ownership
from tickstockpl.pattern_cache import BY_CONFIDENCE, ENTRY
from tickstockpl.payload import PRODUCER_HEARTBEAT
from tickstockpl.position import Position
from tickstockpl.retention import deleted_from, retain
from tickstockpl.rights import Use
from tickstockpl.settings import DatabaseSettings, RetentionSettings, Settings
from tickstockpl.tables import NEEDED, SERIAL, privileges
from tickstockpl.wire import DeadLetter, Gap, Sent, WriteBatch
from waiting import until

pytestmark = pytest.mark.anyio

APPV2 = (Path(__file__).resolve().parent.parent / "appv2_tables.sql").read_text(encoding="utf-8")
USER = "tickstockpl"
FRESH = f"TRUNCATE {', '.join(NEEDED)};"
SESSION = np.array([[NINE_30_US, NINE_30_US + 390 * MINUTE]], dtype=np.int64)
STALE = "ZZTEST9:Doji:1760000000"


@dataclass
class Watched:
    """A Redis whose default user may do nothing, and what the user of the service has asked of it."""

    url: str
    """Of that user."""
    admin: Any
    said: list[tuple[str, list[str]]] = field(default_factory=list)
    """Address and words of every command while `watching`, whoever gave it."""

    async def addresses(self) -> set[str]:
        """Of the connections that the service has open; the test's own under its user have no such name."""
        return {
            client["addr"]
            for client in await self.admin.client_list()
            if client["user"] == USER and client["name"].startswith("tickstockpl-")
        }

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        ready = asyncio.Event()
        task = asyncio.create_task(self._listen(ready))
        await ready.wait()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _listen(self, ready: asyncio.Event) -> None:
        async with self.admin.monitor() as monitor:
            ready.set()
            async for told in monitor.listen():
                self.said.append((f"{told['client_address']}:{told['client_port']}", told["command"].split(" ")))

    def asked(self, addresses: set[str]) -> list[list[str]]:
        return [command for address, command in self.said if address in addresses]

    def published(self, channel: str) -> bool:
        return any(command[0].lower() == "publish" and command[1] == channel for _, command in self.said)


@pytest.fixture
async def watched(own_servers: Callable[..., OwnServers]) -> AsyncIterator[Callable[[Iterable[Use]], Any]]:
    """Gives a Redis with the rights for some uses."""
    servers = await asyncio.to_thread(own_servers, redis=True)
    location = servers.redis_url.removeprefix("redis://").partition("/")[0]
    async with contextlib.AsyncExitStack() as held:
        default: Any = await held.enter_async_context(Redis.from_url(servers.redis_url))
        await default.execute_command("ACL", "SETUSER", "admin", "on", ">pw", "~*", "&*", "+@all")
        admin: Any = await held.enter_async_context(
            Redis.from_url(f"redis://admin:pw@{location}/1", protocol=2, decode_responses=True)
        )

        async def allow(uses: Iterable[Use]) -> Watched:
            await admin.execute_command(*rights.redis_rule(uses, USER).split(" "))
            await admin.execute_command("ACL", "SETUSER", USER, ">secret")
            await admin.execute_command("ACL", "SETUSER", "default", "resetkeys", "resetchannels", "-@all")
            return Watched(f"redis://{USER}:secret@{location}/1", admin)

        try:
            yield allow
        finally:
            # the script that stops the server asks it who it is, as its default user
            await admin.execute_command("ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "+@all")


@pytest.fixture
async def role(database: str) -> AsyncIterator[str]:
    """The name of a role, dropped at the end; everybody's rights on `database` are revoked."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    await ran(
        database, f"REVOKE ALL ON DATABASE {named(database)} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    )
    yield name
    await ran(database, f"DROP OWNED BY {name}; DROP ROLE {name}")


def named(uri: str) -> str:
    return urlsplit(uri).path.strip("/")


def as_role(uri: str, role: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))


def settings_of(uri: str, **sections: Any) -> Settings:
    return Settings.model_validate(sections | {"database": {"uri": uri} | sections.get("database", {})})


async def granted(uri: str, role: str, **sections: Any) -> str:
    """The URI of the role, which has the printed rights and no others."""
    await ran(uri, "\n".join(rights.postgres_grants(settings_of(uri, **sections), role)))
    return as_role(uri, role)


def everything() -> WriteBatch:
    """Rows for every table, and changes to some of them."""
    held = event("AAPL")
    return WriteBatch(
        bars=bars(["AAPL"]),
        events=events(held),
        readings=readings("AAPL"),
        outcomes=outcome(str(uuid.uuid4()), "AAPL", ts_us=held.bar_start_us),
        expired=(Expiry(held.event_id, "AAPL", "Doji", 1),),
        gaps=(Gap(0, 1, "x", ()),),
        dead=(DeadLetter("x", "AAPL", None, None, b"{}", 1),),
        sent=(Sent(held.event_id, 1),),
        position=Position(1, 1, 0, 1, 1, ()),
    )


async def written(uri: str, **settings: Any) -> dict[str, Any]:
    """The writer's status after it has stored everything as the owner of a part of its own, or failed to."""
    ownership, src_id = Ownership(DatabaseSettings(uri=SecretStr(uri)), uuid.uuid4().hex), uuid.uuid4()
    writer, inbox = writer_for(uri, ownership=ownership, **settings)
    inbox.put_nowait(everything())
    inbox.close()
    async with contextlib.AsyncExitStack() as held:
        await held.enter_async_context(writer)
        held.callback(ownership.close)
        await ownership.acquire()
        await ownership.adopt(src_id)
        writer.claimed(resumes=False, src_id=src_id)
        await writer.collect()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(writer.run())
            await until(lambda: running.done() or writer.status()["failures"] > 0)
            writer.stop(0.2)
    async with daily_bars(settings_of(uri, **settings).database) as daily:
        await timetable.keep(daily.connection, {"regular": SESSION}, "XNYS", "America/New_York")
        for session in await daily.due(0, int(SESSION[0, 1])):
            await daily.write(session)
    return writer.status()


@pytest.mark.parametrize("mode", ["pubsub", "stream"])
async def test_the_printed_rights_are_enough_for_a_whole_life_and_each_of_redis_is_used(
    watched: Callable[[Iterable[Use]], Any], database: str, role: str, state_dir: Path, mode: str
) -> None:
    await migrate(database)
    settings = settings_for(
        await granted(database, role),
        "redis://127.0.0.1/1",
        state_dir,
        patterns={"enabled": ("volume_spike",)},
        indicators={"symbols": ("*",)},
        feed={"stall_s": 1.0},
        ingest={"mode": mode},
    )
    uses = rights.service_uses(settings)
    redis = await watched(uses)
    settings = settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": SecretStr(redis.url)})})
    await redis.admin.zadd(BY_CONFIDENCE, {STALE: 0.9})
    await redis.admin.hset("tickstock:api_cache:old", "data", "x")
    async with redis.watching(), serving(settings) as up:
        begin_us = minutes_ago(55)
        falling = [tick(begin_us + n * MINUTE + 30 * SECOND, price=100.0 - n / 10) for n in range(25)]
        spike = tick(begin_us + 25 * MINUTE + 30 * SECOND, price=120.0, volume=10_000)
        # until it has waited long enough to have come to nothing
        after = [tick(begin_us + n * MINUTE + 30 * SECOND, price=120.0) for n in range(26, 48)]
        payloads = [*falling, spike, *after]
        if mode == "pubsub":
            await up.send(payloads)
        for payload in payloads if mode == "stream" else ():
            await redis.admin.xadd(settings.ingest.stream, {"d": payload})
        await until(lambda: all(up.stages["publisher"][f"{what}sent"] for what in ("", "indicators_", "alerts_")))
        await until(lambda: redis.published(settings.redis.error_channel))
        await until(lambda: up.stages["outcomes"]["told"] == 1)
        await up.stored()
        addresses = await redis.addresses()
        while await redis.admin.keys("tickstock:api_cache:*"):
            await asyncio.sleep(0.01)
        (kept,) = await redis.admin.keys(f"{ENTRY}*")
        assert await redis.admin.zrange(BY_CONFIDENCE, 0, -1) == [kept.removeprefix(ENTRY)]
        assert await redis.admin.get(PRODUCER_HEARTBEAT)
        assert (up.stages["publisher"]["faults"], up.stages["writer"]["failures"]) == (0, 0)
    assert await redis.admin.acl_log() == []
    (bars_stored,) = await rows(database, "SELECT count(*) AS all, count(vwap) AS full FROM ohlcv_1min")
    assert dict(bars_stored) == {"all": 48, "full": 48}
    (told,) = await rows(database, "SELECT published_at FROM pattern_event")
    assert told["published_at"] is not None

    each_is_used(uses, redis.asked(addresses))


async def test_the_printed_rights_of_the_tap_are_enough_and_each_is_used(
    watched: Callable[[Iterable[Use]], Any],
) -> None:
    settings = tap_settings("redis://127.0.0.1/1", 2)
    uses = rights.tap_uses(settings)
    redis = await watched(uses)
    settings = settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": SecretStr(redis.url)})})
    async with redis.watching(), tapping(settings) as tapped:
        for channel, stream in zip(tapped.channels, tapped.streams, strict=True):
            await redis.admin.publish(channel, "1")
            while not await redis.admin.xlen(stream):
                await asyncio.sleep(0.01)
        await tapped.copied(2)
        addresses = await redis.addresses()
    assert await redis.admin.acl_log() == []
    each_is_used(uses, redis.asked(addresses))


def each_is_used(uses: Iterable[Use], asked: list[list[str]]) -> None:
    used = {command for said in asked for command in (said[0].lower(), "|".join(said[:2]).lower())}
    assert {command for use in uses for command in use.commands} <= used
    arguments = {word for said in asked for word in said[1:]}
    for pattern in (pattern for use in uses for pattern in (*use.keys, *use.written, *use.read, *use.channels)):
        assert any(fnmatchcase(word, pattern) for word in arguments), pattern


async def test_the_user_of_redis_may_do_nothing_else(watched: Callable[[Iterable[Use]], Any]) -> None:
    redis = await watched(rights.service_uses(Settings()))
    async with client(redis.url.removesuffix("/1")) as user:
        for command in (
            "GET tickstock:producer:heartbeat",
            "HGET tickstock:api_cache:old data",
            "SET other 1",
            "PUBLISH other x",
            "SUBSCRIBE other",
            "PSUBSCRIBE *",
            "KEYS *",
            "FLUSHALL",
            "CONFIG GET dir",
            "ACL WHOAMI",
            "SELECT 1",
        ):
            with pytest.raises(NoPermissionError):
                await user.execute_command(*command.split())


def test_names_with_the_signs_of_globs_stand_for_themselves() -> None:
    settings = Settings.model_validate({"redis": {"channels": ["a*b[c]?", "two words"], "username": "x"}})
    rule = rights.redis_rule(rights.service_uses(settings), "me").split(" ")
    assert rule[:3] == ["ACL", "SETUSER", "me"]
    assert {r"&a\*b\[c]\?", "&two?words"} <= set(rule)
    with pytest.raises(SettingsError, match="has neither spaces nor quotes"):
        rights.redis_rule((), "two words")


def test_a_file_of_ticks_needs_neither_channels_nor_a_stream_of_redis() -> None:
    given = {"ingest": {"mode": "file"}, "patterns": {"definitions": False}}
    rule = rights.redis_rule(rights.service_uses(Settings.model_validate(given)), "me")
    assert "data.raw" not in rule
    assert "subscribe" not in rule


def test_who_does_not_heed_the_table_of_patterns_needs_no_right_for_it() -> None:
    for heeds in (True, False):
        settings = settings_of("postgresql://h/d", patterns={"definitions": heeds})
        assert ("&tickstock:patterns:definitions" in rights.redis_rule(rights.service_uses(settings), "me")) is heeds
        assert (
            any("GRANT SELECT ON pattern_definitions TO me;" in sql for sql in rights.postgres_grants(settings, "me"))
            is heeds
        )


def test_indicators_channels_are_allowed_only_where_indicators_are_sent() -> None:
    def rule(**indicators: Any) -> str:
        return rights.redis_rule(rights.service_uses(Settings.model_validate({"indicators": indicators})), "me")

    assert "tickstock:indicators:streaming" in rule(symbols=["SPY"])
    assert "indicators" not in rule()


async def test_each_right_in_the_database_is_needed(database: str, role: str) -> None:
    await ran(database, APPV2)
    await migrate(database)
    uri = await granted(database, role)
    await ran(database, f"GRANT INSERT ON symbols TO {role}")
    status = await written(uri)
    assert (status["state"], status["rows"], status["events"], status["indicators"]) == ("ok", 1, 1, 2)
    assert (status["dead_letters"], status["rejected"]) == (1, 0)
    tables = [(f"{right} ON {table}", table) for table in (*NEEDED, "symbols") for right in privileges(table)]
    others = [(f"USAGE ON SEQUENCE {table}_id_seq", f"{table}_id_seq") for table in SERIAL]
    others += [(f"TEMPORARY ON DATABASE {named(database)}", "temporary tables"), ("USAGE ON SCHEMA public", "")]
    for right, named_in_error in tables + others:
        await ran(database, f"{FRESH} REVOKE {right} FROM {role}")
        asked = await refused(uri)
        assert named_in_error in asked, right
        if named_in_error:  # without the schema there are no tables to ask about
            assert [said.replace("public.", "") for said in await pending(uri)] == [f"GRANT {right} TO {role};"]
        await ran(database, f"GRANT {right} TO {role}")
    assert await pending(uri) == []


async def refused(uri: str) -> str:
    """What PostgreSQL says when everything is written and one right is missing."""
    try:
        status = await written(uri)
    except (ServerError, asyncpg.PostgresError) as error:
        return str(error)
    assert status["failures"], status
    return str(status["last_error"])


async def test_each_right_to_delete_is_needed_where_rows_are_not_kept_for_ever(database: str, role: str) -> None:
    await ran(database, APPV2)
    await migrate(database)
    kept = RetentionSettings(bars_days=7, patterns_days=2)
    uri = await granted(database, role, retention=kept.model_dump())
    await ran(database, f"GRANT INSERT ON symbols TO {role}")
    tables = deleted_from(kept)
    assert {*tables} == {*NEEDED} - {"ingest_checkpoint", "ohlcv_daily", "market_session"}
    for lacking in (None, *tables):
        await ran(database, FRESH)
        await written(uri)
        if lacking:
            await ran(database, f"REVOKE DELETE ON {lacking} FROM {role}")
        done = await retain(DatabaseSettings(uri=SecretStr(uri)), kept, SystemClock().now_us())
        assert done.lacking == [f"GRANT DELETE ON {lacking} TO {role};" for _ in range(lacking is not None)]
        for table in tables:
            (left,) = await rows(database, f"SELECT count(*) AS rows FROM {table}")
            assert (left["rows"] > 0) == (table == lacking), (table, lacking)
        if lacking:
            await ran(database, f"GRANT DELETE ON {lacking} TO {role}")


async def test_by_default_it_may_delete_what_it_does_not_keep_for_ever(database: str, role: str) -> None:
    await migrate(database)
    settings = DatabaseSettings(uri=SecretStr(await granted(database, role)))
    assert (await retain(settings, RetentionSettings(), SystemClock().now_us())).lacking == []
    ever = {"dead_letters_days": None, "gaps_days": None}
    asked = " ".join(rights.postgres_grants(settings_of(database, retention=ever), role))
    assert asked.count("DELETE") == asked.count("DELETE ON market_session") == 1, (
        "only of what the calendar has no more"
    )


@pytest.mark.parametrize("policy", ["allowlist", "quarantine"])
async def test_a_policy_that_keeps_symbols_out_reads_the_table_symbols_and_adds_nothing(
    database: str, role: str, policy: str
) -> None:
    await ran(database, APPV2)
    await migrate(database)
    uri = await granted(database, role, database={"symbol_policy": policy})
    assert await pending(uri, policy=policy) == []
    assert (await written(uri, database={"symbol_policy": policy}))["rows"] == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ran(uri, "INSERT INTO symbols (symbol) VALUES ('ZZTEST1')")
    await ran(database, f"REVOKE SELECT ON symbols FROM {role}")
    assert await pending(uri, policy=policy) == [f"GRANT SELECT ON symbols TO {role};"]


async def test_the_role_in_the_database_may_do_nothing_else(database: str, role: str) -> None:
    await migrate(database)
    uri = await granted(database, role)
    emptied = {*deleted_from(RetentionSettings()), "market_session"}
    for statement in (
        *(f"DELETE FROM {table}" for table in {*NEEDED, VERSION_TABLE} - emptied),
        *(f"{what} {table}" for table in (*NEEDED, VERSION_TABLE) for what in ("TRUNCATE", "DROP TABLE")),
        "UPDATE dead_letter SET reason = 'x'",
        "UPDATE ingest_gap SET cause = 'x'",
        f"UPDATE {VERSION_TABLE} SET version_num = 'x'",
        "ALTER TABLE ohlcv_1min ADD COLUMN more int",
        "CREATE TABLE public.more (n int)",
        "CREATE SCHEMA more",
        "CREATE ROLE more",
        "SELECT setval('intraday_patterns_id_seq', 1)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ran(uri, statement)


async def test_taking_over_from_a_service_of_the_same_role_needs_no_further_right(database: str, role: str) -> None:
    await migrate(database)
    settings = DatabaseSettings(uri=SecretStr(await granted(database, role)))
    first, second = Ownership(settings, "ticks"), Ownership(settings, "ticks")
    try:
        await first.acquire()
        await second.acquire(take_over=True)
        assert (second.epoch, second.locked) == (first.epoch + 1, True)
    finally:
        first.close()
        second.close()


async def test_the_service_sees_that_a_migration_is_missing_since_it_may_read_the_version(
    database: str, role: str
) -> None:
    await migrate(database)
    uri = await granted(database, role)
    await ran(database, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    assert await pending(uri)
    await ran(database, f"REVOKE SELECT ON {VERSION_TABLE} FROM {role}")
    assert await pending(uri) == []


def test_a_name_that_sql_would_change_is_quoted() -> None:
    sql = "\n".join(rights.postgres_grants(settings_of("postgresql://h/Tick%20Stock"), 'my "own"'))
    assert 'CREATE ROLE "my ""own""" LOGIN;' in sql
    assert 'ON DATABASE "Tick Stock" TO "my ""own""";' in sql
