"""Addresses of servers as people write them, made into what the drivers read, and made safe to show."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

MASK = "***"

_POSTGRES = ("postgresql", "postgres")
_REDIS = ("redis", "rediss", "unix")
_TLS_MODES = ("require", "verify-ca", "verify-full")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_ESCAPE = "in a password write / # ? : @ [ ] as %2F %23 %3F %3A %40 %5B %5D"
_PORT = f"must have a number from 0 to 65535 as its port; {_ESCAPE}"
_END = f"must have neither @ nor # behind its host; {_ESCAPE}"
_LIBPQ_ONLY = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "prepared_statement_cache_size",
        "requiressl",
        "sslcompression",
        "tcp_user_timeout",
    }
)
"""What other drivers take from the URI and asyncpg would hand to the server, which then refuses the connection."""

_SHOWN = frozenset(
    {
        *_FILES,
        "application_name",
        "connect_timeout",
        "db",
        "dbname",
        "host",
        "port",
        "protocol",
        "ssl",
        "ssl_cert_reqs",
        "sslmode",
        "target_session_attrs",
        "user",
        "username",
    }
)
"""Options whose values people may see; any other may hold a secret, a misspelt password most of all."""


def postgres_dsn(uri: str) -> str:
    """The URI that asyncpg reads: `postgresql+driver://` of SQLAlchemy loses its driver and `ssl=` becomes `sslmode=`.

    Raises ValueError if it is no PostgreSQL URI.
    """
    parts = _split(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in _POSTGRES or not uri.startswith(f"{parts.scheme}://"):
        raise ValueError("must begin with postgresql://")
    _check_authority(parts)
    query = [
        ("sslmode" if name == "ssl" else name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in _LIBPQ_ONLY
    ]
    return _joined("postgresql", parts.netloc, parts.path, urlencode(query, quote_via=quote, safe="/,"))


def check_postgres_uri(uri: SecretStr) -> SecretStr:
    """The same value; raises ValueError if `postgres_dsn` would, or if a file that it names cannot be read."""
    _check_files(postgres_dsn(uri.get_secret_value()))
    return uri


def _check_files(url: str) -> None:
    """Raises ValueError for a file of TLS that cannot be read: the drivers' own errors do not say which."""
    for name, value in parse_qsl(urlsplit(url).query):
        if name in _FILES:
            try:
                with Path(value).open("rb"):
                    pass
            except OSError as error:
                raise ValueError(f"names a file that cannot be read: {name}={value} ({error.strerror})") from None


def redis_url(url: str | None, *, host: str, port: int, db: int, username: str | None, password: str | None) -> str:
    """The URL that redis-py reads: `url` if there is one, else made of the parts.

    Parts that `url` leaves open (database number, user, password) are filled in from the others.
    """
    parts = urlsplit(url if url is not None else f"redis://{f'[{host}]' if ':' in host else host}:{port}")
    netloc, path, query = parts.netloc, parts.path, parts.query
    if "@" not in netloc and password is not None:
        netloc = f"{quote(username or '', safe='')}:{quote(password, safe='')}@{netloc}"
    if "db" not in dict(parse_qsl(query)) and db:
        if parts.scheme == "unix":
            query = "&".join(filter(None, (query, f"db={db}")))
        elif path in ("", "/"):
            path = f"/{db}"
    return _joined(parts.scheme, netloc, path, query)


def check_redis_url(url: SecretStr) -> SecretStr:
    """The same value; raises ValueError if it is no Redis URL, or has an option that redis-py does not take."""
    text = url.get_secret_value()
    parts = _split(text)
    if parts.scheme not in _REDIS or "://" not in text:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    _check_authority(parts)
    if parts.scheme != "unix" and not unquote(parts.path).strip("/").isdigit() and parts.path not in ("", "/"):
        raise ValueError("must end with a database number, such as /0")
    try:
        pool: Any = ConnectionPool.from_url(text)
        pool.make_connection()  # which connects nothing yet
    except TypeError as error:
        name = str(error).rpartition(" argument ")[2].strip("'")
        raise ValueError(f"has an option that redis-py does not know: {name}") from None
    except (ValueError, RedisError) as error:
        raise ValueError(f"has an option that redis-py does not take: {error}") from None
    _check_files(text)
    return url


def exposed(url: str, environ: Mapping[str, str]) -> bool:
    """Whether others may read what goes to this server: it is on another machine, and nothing asks for TLS.

    environ: where libpq's names stand in for what the URI of a database leaves open.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if not url or parts.scheme in ("rediss", "unix"):
        return False
    hosts = query.get("host") or parts.hostname or ""
    if parts.scheme in _POSTGRES:
        if query.get("sslmode", environ.get("PGSSLMODE")) in _TLS_MODES:
            return False
        hosts = hosts or environ.get("PGHOST", "")
    return not all(not host or host.startswith("/") or is_loopback(host) for host in hosts.split(","))


def is_loopback(host: str) -> bool:
    """Whether it is this machine's own address, of a kind that no other machine can reach."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def masked_url(url: str) -> str:
    """The URL without its password, wherever it stands; of its options those that cannot be one."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    query = "&".join(
        f"{name}={quote(value, safe='/,')}" if name in _SHOWN else f"{name}={MASK}" if value else MASK
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return _joined(parts.scheme, f"{name}{colon}{MASK if colon else ''}{at}{host}", parts.path, query)


def has_password(url: str) -> bool:
    """Whether there is one in the URL, before its host or as an option."""
    parts = urlsplit(url)
    before_host = parts.netloc.rpartition("@")[0].partition(":")[2]
    return bool(before_host) or any(name.lower().endswith("password") for name, _ in parse_qsl(parts.query))


def _split(url: str) -> SplitResult:
    """`urlsplit`, whose own errors repeat the password."""
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(_PORT) from None


def _check_authority(parts: SplitResult) -> None:
    """Raise ValueError if the port is none, or if a password holds what must be escaped.

    Of `scheme://user:12/34@host/name` the port would be 12, and the rest of the password would be shown as a path.
    """
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(_PORT) from None
    if parts.fragment or "@" in parts.path + parts.query:
        raise ValueError(_END)


def _joined(scheme: str, netloc: str, path: str, query: str) -> str:
    """`urlunsplit` that keeps the `//` of an empty host, as in `postgresql:///tickstock`."""
    return f"{scheme}://{netloc}{urlunsplit(('', '', path, query, ''))}"
