"""Servers that speak TLS: certificates made by openssl, and the test servers told to use them."""

import asyncio
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from own_servers import OwnServers


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA of one test's own."""

    file: Path
    """Its certificate."""
    key: Path

    def signs(self, folder: Path, name: str, host: str = "127.0.0.1") -> tuple[Path, Path]:
        """A server's certificate for `host`, and its key."""
        certificate, key, request = (folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        kind = "IP" if host[0].isdigit() else "DNS"
        openssl("req", "-new", *NEW_KEY, key, "-subj", "/CN=tickstockpl test server", "-out", request)
        extensions = folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={kind}:{host}\n")
        signed = ("-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", "2", "-extfile", extensions)
        openssl("x509", "-req", "-in", request, *signed, "-out", certificate)
        return certificate, key


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")


def authority(folder: Path, name: str) -> Authority:
    """A new one; its files go into `folder`."""
    made = Authority(folder / f"{name}.crt", folder / f"{name}.key")
    openssl("req", "-x509", *NEW_KEY, made.key, "-days", "2", "-subj", f"/CN={name}", "-out", made.file)
    return made


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def lend(servers: OwnServers, key: Path) -> None:
    """Give the key to the user that the servers run as: PostgreSQL refuses one that others may read."""
    key.chmod(0o600)
    if os.getuid() == 0:
        owner = servers.redis.folder.stat()
        os.chown(key, owner.st_uid, owner.st_gid)


async def redis_with_tls(servers: OwnServers, ca: Authority, folder: Path, host: str = "127.0.0.1") -> str:
    """The URL by which the Redis of `servers` speaks TLS, without the CA; its own port stays open."""
    certificate, key = ca.signs(folder, "redis", host)
    lend(servers, key)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    files = ("tls-cert-file", certificate, "tls-key-file", key, "tls-ca-cert-file", ca.file)
    async with Redis.from_url(servers.redis_url) as client:
        admin: Any = client
        await admin.execute_command("CONFIG", "SET", *map(str, files), "tls-auth-clients", "no", "tls-port", port)
    return f"rediss://127.0.0.1:{port}/0"


async def postgres_with_tls(servers: OwnServers, ca: Authority, folder: Path, host: str = "127.0.0.1") -> None:
    """Have the PostgreSQL of `servers` offer TLS."""
    certificate, key = ca.signs(folder, "postgres", host)
    lend(servers, key)
    connection: Any = await asyncpg.connect(servers.database_uri)
    try:
        for name, value in (("ssl_cert_file", certificate), ("ssl_key_file", key), ("ssl", "on")):
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    async with asyncio.timeout(10):
        while not await _offers_tls(servers.database_uri):
            await asyncio.sleep(0.01)


async def _offers_tls(uri: str) -> bool:
    try:
        connection = await asyncpg.connect(f"{uri}?sslmode=require")
    except OSError:
        return False
    await connection.close()
    return True
