"""Redis and PostgreSQL over TLS, with certificates of a CA that the settings name; and what is said where it fails."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bar_samples import rows
from listening import client, listening
from own_servers import OwnServers
from publishing import hearing, publishing
from running import MINUTE, SECOND, minutes_ago, serving, settings_for, tick
from secured import Authority, authority, postgres_with_tls, redis_with_tls
from tickstockpl.check import Finding, findings
from tickstockpl.errors import ServerError
from tickstockpl.migrate import migrate
from tickstockpl.settings import Settings

pytestmark = pytest.mark.anyio

CERTIFICATE = Path(__file__).parents[1] / "fault" / "localhost.pem"
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that the servers may read, with a CA that signs for them and one that does not."""

    folder: Path
    ca: Authority
    other: Authority


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="tickstockpl-test-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Place(folder, authority(folder, "ours"), authority(folder, "others"))


async def test_the_whole_service_runs_over_tls_with_both_servers(
    own_servers: Callable[..., OwnServers], place: Place, state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    redis = await redis_with_tls(servers, place.ca, place.folder) + f"?ssl_ca_certs={place.ca.file}"
    await postgres_with_tls(servers, place.ca, place.folder)
    trusted = f"sslrootcert={place.ca.file}"
    await migrate(f"{servers.database_uri}?sslmode=verify-full&{trusted}")
    alchemy = servers.database_uri.replace("postgresql://", "postgresql+asyncpg://")
    settings = settings_for(
        f"{alchemy}?ssl=verify-full&{trusted}", redis, state_dir, patterns={"enabled": ("volume_spike",)}
    )
    async with serving(settings) as up, hearing(redis, settings.redis.pattern_channel) as heard:
        begin_us = minutes_ago(26)
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND) for n in range(22))
        await up.send(tick(begin_us + n * MINUTE + 30 * SECOND, volume=1000) for n in (22, 23))
        await heard.count(settings.redis.pattern_channel, 1)
        await up.stored()
        async with client(servers.redis_url) as admin:
            ours = [one for one in await admin.client_list() if one["name"].startswith("tickstockpl-")]
        names = ("ingest", "publisher", "definitions", "outcomes")
        assert {one["name"] for one in ours} == {f"tickstockpl-{name}" for name in names}
        assert {one["laddr"].rpartition(":")[2] for one in ours} == {str(urlsplit(redis).port)}
        used = await rows(
            servers.database_uri,
            "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1",
            "tickstockpl",
        )
        assert used == [{"ssl": True}]
    (stored,) = await rows(servers.database_uri, "SELECT count(*) AS bars FROM ohlcv_1min")
    assert stored["bars"] == 24


async def test_a_redis_with_a_certificate_of_another_ca_is_refused_and_the_setting_named(
    own_servers: Callable[..., OwnServers], place: Place, state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True)
    url = await redis_with_tls(servers, place.ca, place.folder)
    for given in (f"?ssl_ca_certs={place.other.file}", ""):
        settings = settings_for(NO_DATABASE, url + given, state_dir)
        said = "the server's certificate is not trusted (self-signed certificate in certificate chain): "
        said += "ssl_ca_certs in REDIS_URL must name the file of its CA"
        async with listening(settings.redis) as listener:
            await listener.state("down", said)
        async with publishing(url + given, drain_s=0.1) as published:
            status = await published.until(lambda s: s["faults"] > 0)
            assert (status["state"], status["last_error"]) == ("down", f"redis cannot be reached: {said}")
        finding = (await looked_at(settings))["redis"]
        assert (finding.ok, finding.said) == (False, f"{settings.redis.address}: {said}")


async def test_a_refused_certificate_is_not_asked_for_again_at_once(
    own_servers: Callable[..., OwnServers], place: Place, state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True)
    url = await redis_with_tls(servers, place.ca, place.folder)
    settings = settings_for(NO_DATABASE, f"{url}?ssl_ca_certs={place.other.file}", state_dir)
    async with listening(settings.redis) as listener, client(servers.redis_url) as admin:
        await listener.state("down", "not trusted")
        before = (await admin.info("stats"))["total_connections_received"]
        await asyncio.sleep(1)  # not for a state: nothing must happen in it
        assert (await admin.info("stats"))["total_connections_received"] == before


async def test_a_certificate_for_another_name_is_refused_by_that_name(
    own_servers: Callable[..., OwnServers], place: Place, state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    url = await redis_with_tls(servers, place.ca, place.folder, "ticks.example")
    await postgres_with_tls(servers, place.ca, place.folder, "bars.example")
    said = "the server's certificate is for another name"
    settings = settings_for(NO_DATABASE, f"{url}?ssl_ca_certs={place.ca.file}", state_dir)
    async with listening(settings.redis) as listener:
        await listener.state("down", said)
    with pytest.raises(ServerError, match=f"{said} .*: connect by one that is in it"):
        await migrate(f"{servers.database_uri}?sslmode=verify-full&sslrootcert={place.ca.file}")
    await migrate(f"{servers.database_uri}?sslmode=verify-ca&sslrootcert={place.ca.file}")


async def test_a_database_with_a_certificate_of_another_ca_is_refused_and_the_setting_named(
    own_servers: Callable[..., OwnServers], place: Place, state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, postgres=True)
    await postgres_with_tls(servers, place.ca, place.folder)
    uri = f"{servers.database_uri}?sslmode=verify-full&sslrootcert={place.other.file}"
    said = r"not trusted \(.*\): sslrootcert in DATABASE_URI must name the file of its CA$"
    with pytest.raises(ServerError, match=said):
        await migrate(uri)
    finding = (await looked_at(settings_for(uri, "redis://127.0.0.1:1/0", state_dir)))["database"]
    assert not finding.ok
    assert finding.said.endswith("sslrootcert in DATABASE_URI must name the file of its CA")


async def test_a_database_without_tls_is_refused_where_tls_is_asked_for(database: str) -> None:
    for mode in ("require", "verify-full"):
        root = f"&sslrootcert={CERTIFICATE}" if mode == "verify-full" else ""
        with pytest.raises(
            ServerError, match="rejected SSL upgrade: it has no TLS, which sslmode in DATABASE_URI asks"
        ):
            await migrate(f"{database}?sslmode={mode}{root}")
    await migrate(f"{database}?sslmode=prefer")


async def looked_at(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding async for finding in findings(settings, {})}
