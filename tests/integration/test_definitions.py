"""AppV2's table `pattern_definitions` beside a service that runs: off, on, thresholds, and each way to say so."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bar_samples import ran, rows
from minute_rows import APPV2, narrow_role
from own_servers import OwnServers
from publishing import Listener, hearing
from running import (
    MINUTE,
    QUICK_DATABASE,
    SECOND,
    Child,
    Up,
    child,
    minutes_ago,
    narrowed,
    serving,
    settings_for,
    tick,
)
from tickstockpl import definitions as module
from tickstockpl import service
from tickstockpl.aliases import ids_of
from tickstockpl.check import findings
from tickstockpl.definitions import PAUSE_S, Definitions, Unreadable, definitions_in
from tickstockpl.errors import ServerError
from tickstockpl.kernel import PATTERNS
from tickstockpl.migrate import migrate
from tickstockpl.payload import PATTERN_DEFINITIONS
from tickstockpl.postgres import connect
from tickstockpl.settings import Settings
from tickstockpl.switches import Definition
from waiting import until

pytestmark = pytest.mark.anyio

SYMBOLS = tuple(f"ZZTEST{n}" for n in range(1, 6))
OFF = frozenset({"volume_spike", "volume_spike_of_day"})
"""What VolumeSpike means where it is switched off: both that bear the name."""


@pytest.fixture
async def ready(database: str) -> str:
    """AppV2's tables and ours, with VolumeSpike on."""
    await ran(database, APPV2)
    await migrate(database)
    await ran(database, "INSERT INTO pattern_definitions (name) VALUES ('VolumeSpike'), ('AlwaysDetected')")
    return database


async def define(database: str, *, enabled: bool = True, threshold: float | None = None) -> None:
    least = "NULL" if threshold is None else str(threshold)
    await ran(
        database,
        f"UPDATE pattern_definitions SET enabled = {enabled}, confidence_threshold = {least} "
        "WHERE name = 'VolumeSpike'",
    )


class Watching:
    """A service that looks for VolumeSpike, with 22 bars of each symbol; a listener; and how to make a spike."""

    def __init__(self, up: Up, heard: Listener, reread: asyncio.Event, spike_us: int) -> None:
        self.up, self.heard, self.reread = up, heard, reread
        self._spike_us = spike_us

    @property
    def status(self) -> dict[str, Any]:
        return self.up.stages["definitions"]

    @property
    def publisher(self) -> dict[str, Any]:
        return self.up.stages["publisher"]

    async def spike(self, symbol: str, volume: int = 1000) -> None:
        """Have one found, stored, and sorted out by the publisher."""
        before, wanted = self._known(), self.up.stages["writer"]["events"] + 1
        at_us = self._spike_us + 30 * SECOND
        await self.up.send([tick(at_us, symbol, volume=volume), tick(at_us + MINUTE, symbol)])
        await until(lambda: self._known() > before and self.up.stages["writer"]["events"] == wanted)

    def _known(self) -> int:
        names = ("sent", "below_threshold", "patterns_off")
        return sum(self.publisher[name] for name in names)

    async def said(self) -> list[str]:
        """Symbols of the messages so far."""
        channel = self.up.settings.redis.pattern_channel
        await self.heard.count(channel, self.publisher["sent"])
        return [message["symbol"] for message in self.heard.heard.get(channel, [])]


@contextlib.asynccontextmanager
async def watching(database: str, redis: str, state_dir: Path, **sections: Any) -> AsyncIterator[Watching]:
    patterns = {"enabled": ("volume_spike",), **sections.pop("patterns", {})}
    settings = settings_for(database, redis, state_dir, patterns=patterns, **sections)
    begin_us, reread = minutes_ago(26), asyncio.Event()
    async with serving(settings, reread=reread) as up, hearing(redis, settings.redis.pattern_channel) as heard:
        bars = (begin_us + n * MINUTE + 30 * SECOND for n in range(22))
        await up.send(tick(at_us, symbol) for at_us in bars for symbol in SYMBOLS)
        yield Watching(up, heard, reread, begin_us + 22 * MINUTE)


async def tables(database: str) -> dict[str, tuple[bool, bool]]:
    """By symbol of each event: whether it was sent, and whether AppV2's table has it."""
    found = await rows(
        database,
        "SELECT e.symbol, e.published_at IS NOT NULL AS sent, i.event_id IS NOT NULL AS shown "
        "FROM pattern_event e LEFT JOIN intraday_patterns i USING (event_id)",
    )
    return {row["symbol"]: (row["sent"], row["shown"]) for row in found}


async def test_a_pattern_is_switched_off_and_on_while_the_service_runs(ready: str, redis: str, state_dir: Path) -> None:
    first, second, third, fourth, fifth = SYMBOLS
    await define(ready, enabled=False)
    async with watching(ready, redis, state_dir) as service, Redis.from_url(redis) as client:
        assert service.status["off"] == len(OFF)
        await service.spike(first)
        assert (service.publisher["patterns_off"], service.publisher["cache_entries"]) == (1, 0)

        await define(ready)
        service.reread.set()
        await until(lambda: service.status["off"] == 0)
        await service.spike(second)
        assert await service.said() == [second]

        await until(lambda: bool(service.status["listening"]))
        await define(ready, threshold=0.9)
        await client.publish(PATTERN_DEFINITIONS, "")
        await until(lambda: service.status["thresholds"] == len(OFF))
        await service.spike(third, volume=450)
        await service.spike(fourth)
        assert await service.said() == [second, fourth]
        assert service.publisher["below_threshold"] == 1

        await define(ready, enabled=False)
        await client.publish(PATTERN_DEFINITIONS, "changed")
        await until(lambda: service.status["off"] == len(OFF))
        await service.spike(fifth)
        assert await service.said() == [second, fourth]
        await service.up.stored()
    told = await tables(ready)
    kept, weak, sent = (False, False), (False, True), (True, True)
    assert told == {first: kept, second: sent, third: weak, fourth: sent, fifth: kept}


async def test_the_higher_of_two_thresholds_counts(ready: str, redis: str, state_dir: Path) -> None:
    await define(ready, threshold=0.5)
    async with watching(ready, redis, state_dir, publish={"min_confidence": 0.8}) as service:
        await service.spike(SYMBOLS[0], volume=450)
        await service.spike(SYMBOLS[1])
        assert await service.said() == [SYMBOLS[1]]
        await service.up.stored()
    assert await tables(ready) == {SYMBOLS[0]: (False, True), SYMBOLS[1]: (True, True)}


async def test_the_table_is_not_heeded_where_the_settings_say_so(ready: str, redis: str, state_dir: Path) -> None:
    await define(ready, enabled=False)
    async with watching(ready, redis, state_dir, patterns={"definitions": False}) as service:
        service.reread.set()
        await service.spike(SYMBOLS[0])
        assert await service.said() == [SYMBOLS[0]]
        assert (service.status["read"], service.status["reads"], service.status["off"]) == (False, 0, 0)
        await service.up.stored()
    assert await tables(ready) == {SYMBOLS[0]: (True, True)}


async def test_a_lost_connection_to_either_server_has_the_table_read_again(
    ready: str, redis: str, state_dir: Path
) -> None:
    async with watching(ready, redis, state_dir) as service, Redis.from_url(redis) as client:
        await until(lambda: bool(service.status["listening"]))
        await define(ready, enabled=False)
        await ran(
            ready,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        await until(lambda: service.status["off"] == len(OFF))
        await define(ready)
        await client.client_kill_filter(_type="pubsub")
        await until(lambda: service.status["off"] == 0)
        assert service.status["state"] == "ok"


async def test_a_hangup_has_the_process_read_the_table_and_go_on(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir)
    async with child(settings) as service:

        async def off(count: int) -> None:
            async with asyncio.timeout(20):
                while (await service.health())["stages"]["definitions"]["off"] != count:
                    await asyncio.sleep(0.02)

        await off(0)
        for enabled in (False, True):
            await define(ready, enabled=enabled)
            service.signal(signal.SIGHUP)
            await off(0 if enabled else len(OFF))
        assert service.said("patterns are switched")[1]["off"] == sorted(OFF)
        (unknown,) = service.said("pattern_definitions has names that are none of our patterns")
        assert unknown["what"] == ["AlwaysDetected"]
        await stopped(service)


async def test_health_and_check_say_that_a_change_would_not_be_heard(ready: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(ready, redis, state_dir)
    async with narrowed(settings, others="tickstock:[se]*") as (narrow, _):
        (finding,) = [each async for each in findings(narrow, {}) if each.what == "redis"]
        assert (finding.ok, finding.warning) == (True, True)
        assert "this user does not hear that pattern_definitions has changed" in finding.said
        async with serving(narrow) as up:
            await until(lambda: up.stages["definitions"]["state"] == "degraded")
            assert "that pattern_definitions has changed is not heard" in up.stages["definitions"]["reason"]


async def stopped(service: Child) -> None:
    service.signal()
    assert await service.ends(20) == 0


def definitions(database: str, redis: str = "redis://127.0.0.1:1/0", /, **sections: Any) -> Definitions:
    given = {"redis": {"url": redis}, "database": {"uri": database}, **sections}
    return Definitions(Settings.model_validate(given), PATTERNS, ids_of, asyncio.Event())


async def held(database: str) -> Any:
    """A connection that keeps everybody else from the table, until it is closed."""
    connection: Any = await connect(database)
    await connection.execute("BEGIN; LOCK TABLE pattern_definitions IN ACCESS EXCLUSIVE MODE")
    return connection


async def test_a_start_waits_for_the_table_before_anything_is_sent(ready: str) -> None:
    await define(ready, enabled=False)
    table, holder = definitions(ready, database={"uri": ready} | QUICK_DATABASE), await held(ready)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            await holder.close()

    await table.begin(sleep)
    assert waits == [PAUSE_S, PAUSE_S]
    assert table.switches.off == OFF
    assert table.status()["state"] == "ok"


async def test_a_start_that_cannot_read_the_table_ends_and_says_what_to_do(
    ready: str, redis: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    settings = settings_for(ready, redis, state_dir, database=QUICK_DATABASE)
    holder = await held(ready)
    try:
        with pytest.raises(ServerError, match="pattern_definitions cannot be read, and what it switches off") as error:
            await service.run(settings, stop=asyncio.Event())
    finally:
        await holder.close()
    assert str(error.value).endswith("; TICKSTOCKPL_PATTERNS__DEFINITIONS=false does without it")


async def test_a_reading_that_fails_leaves_what_was_known(ready: str) -> None:
    await define(ready, enabled=False)
    table = definitions(ready)
    assert await table.read()
    known = table.switches
    assert known.off == OFF
    for breaking, mending, said in (
        (
            "ALTER TABLE pattern_definitions RENAME enabled TO on_now",
            "RENAME on_now TO enabled",
            "has no column enabled",
        ),
        (
            "ALTER TABLE pattern_definitions ALTER enabled TYPE text USING 'perhaps'",
            "ALTER enabled TYPE boolean USING false",
            "perhaps",
        ),
    ):
        before = table.switches
        await ran(ready, "ALTER TABLE pattern_definitions ALTER enabled DROP DEFAULT")
        await ran(ready, breaking)
        assert not await table.read()
        assert table.switches is before
        status = table.status()
        assert status["state"] == "degraded"
        assert said in status["reason"]
        await ran(ready, f"ALTER TABLE pattern_definitions {mending}")
        assert await table.read()
        assert table.status()["state"] == "ok"
    assert table.switches == known
    await ran(ready, "DROP TABLE pattern_definitions")
    assert await table.read()
    assert (table.switches.off, table.status()["table"]) == (frozenset(), False)


async def test_a_database_that_is_away_is_tried_again_and_told_once(
    monkeypatch: pytest.MonkeyPatch, ready: str
) -> None:
    monkeypatch.setattr("tickstockpl.definitions.RETRY_S", 0.01)
    monkeypatch.setattr("tickstockpl.definitions.PAUSE_S", 0.0)
    table = definitions("postgresql://nobody@127.0.0.1:1/none")
    async with asyncio.TaskGroup() as tasks:
        table.ask()
        running = tasks.create_task(table.run())
        await until(lambda: table._trouble.times > 3)
        table._database = definitions(ready)._database
        await until(lambda: table.status()["reads"] > 0)
        running.cancel()
    assert table.status()["state"] == "ok"
    assert table.switches.unknown == ("AlwaysDetected",)


async def test_without_the_right_to_read_it_the_settings_decide_and_the_statement_is_known(ready: str) -> None:
    await define(ready, enabled=False)
    async with narrow_role(ready) as uri:
        table = definitions(uri)
        assert await table.read()
        assert (table.status()["state"], table.switches.off) == ("ok", frozenset())
        connection = await connect(uri)
        try:
            with pytest.raises(Unreadable) as caught:
                await definitions_in(connection)
        finally:
            await connection.close()
        await ran(ready, str(caught.value))
        assert await table.read()
        assert table.switches.off == OFF


async def test_columns_that_some_versions_lack_are_not_needed(database: str) -> None:
    await ran(database, "CREATE TABLE pattern_definitions (name text, enabled boolean)")
    await ran(database, "INSERT INTO pattern_definitions VALUES ('Doji', NULL), ('hammer', false), (NULL, false)")
    connection = await connect(database)
    try:
        found = await definitions_in(connection)
        await connection.execute("ALTER TABLE pattern_definitions DROP name")
        with pytest.raises(ServerError, match="pattern_definitions has no column name"):
            await definitions_in(connection)
    finally:
        await connection.close()
    assert found == [Definition("Doji", True), Definition("hammer", False)]


async def test_a_redis_that_lets_nobody_listen_is_asked_again_and_costs_nothing_else(
    own_servers: Callable[..., OwnServers], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickstockpl.definitions.REFUSED_RETRY_S", 0.01)
    servers = await asyncio.to_thread(own_servers, redis=True)
    async with Redis.from_url(servers.redis_url) as admin, asyncio.TaskGroup() as tasks:
        commands = ["+ping", "+subscribe", "+client|setname", "+client|setinfo"]
        await admin.acl_setuser("narrow", enabled=True, passwords=["+secret"], commands=commands)
        url = servers.redis_url.replace("redis://", "redis://narrow:secret@")
        table = definitions(database, url)
        listening = tasks.create_task(table.listen())
        await until(lambda: table._refusal.times > 2)
        assert not table.status()["listening"]
        assert "No permissions to access a channel" in table._refusal.reason
        await admin.acl_setuser("narrow", enabled=True, channels=[PATTERN_DEFINITIONS])
        await until(lambda: bool(table.status()["listening"]))
        assert table._asked.is_set()
        listening.cancel()


async def test_a_redis_that_is_silent_is_asked_whether_it_is_there(
    own_servers: Callable[..., OwnServers], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickstockpl.definitions.SILENCE_S", 0.1)
    servers = await asyncio.to_thread(own_servers, redis=True)
    table = definitions(database, servers.redis_url)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(table.listen())
        await until(lambda: bool(table.status()["listening"]))
        async with Redis.from_url(servers.redis_url) as client:
            while (await client.info("commandstats")).get("cmdstat_ping", {}).get("calls", 0) < 4:
                await asyncio.sleep(0.01)
        assert table.status()["listening"], "each was answered"
        servers.redis.freeze()
        await until(lambda: not table.status()["listening"])
        servers.redis.thaw()
        await until(lambda: bool(table.status()["listening"]))
        listening.cancel()
