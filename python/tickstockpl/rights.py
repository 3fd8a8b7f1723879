"""The least rights in which the service runs: what it asks of Redis and of PostgreSQL, as these servers' own commands.

Tests run the service with exactly these, and fail for one that is missing and for one that nothing uses. So whoever
makes the service ask for more adds it here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import parse_url

from tickstockpl import payload, tap
from tickstockpl.definitions import TABLE
from tickstockpl.errors import SettingsError
from tickstockpl.migrate import VERSION_TABLE
from tickstockpl.pattern_cache import API_CACHE, ENTRY, INDEXES
from tickstockpl.retention import deleted_from
from tickstockpl.settings import Settings
from tickstockpl.tables import NEEDED, SERIAL, privileges
from tickstockpl.teller import TOLD


@dataclass(frozen=True, slots=True)
class Use:
    """What one part of the service asks of Redis; names are plain, patterns are Redis' globs."""

    why: str
    commands: tuple[str, ...]
    """As ACL rules write them."""
    keys: tuple[str, ...] = ()
    """Patterns of keys that are read and written."""
    written: tuple[str, ...] = ()
    """Patterns of keys that are only written."""
    read: tuple[str, ...] = ()
    """Patterns of keys that are only read."""
    channels: tuple[str, ...] = ()


def service_uses(settings: Settings) -> tuple[Use, ...]:
    """What `tickstockpl run` asks of Redis with these settings."""
    redis = settings.redis
    named = (redis.pattern_channel, payload.PATTERNS_STREAMING, payload.SESSION_STARTED, payload.SESSION_STOPPED)
    told = (payload.STREAMING_HEALTH, payload.SYSTEM_HEALTH, payload.CRITICAL_ALERTS, redis.error_channel)
    shown = (payload.INDICATORS_STREAMING, payload.INDICATOR_ALERTS) if settings.indicators.symbols else ()
    beats = (payload.PRODUCER_HEARTBEAT, payload.SERVICE_HEARTBEAT)
    return (
        *_connecting(settings),
        *_ticks(settings),
        Use("events", ("publish", "pubsub|numpat"), channels=_literal((*named, *told, *shown))),
        Use(
            "what became of events, each once",
            ("multi", "exec", "publish", "get", "set"),
            keys=_literal((f"{TOLD}{settings.ingest.part}",)),
            channels=_literal((redis.outcome_channel,)),
        ),
        Use("heartbeats", ("set",), written=_literal(beats)),
        Use(
            "AppV2's pattern page",
            ("hset", "zadd", "expire", "zrange", "hget", "zrem", "del"),
            keys=(f"{ENTRY}*", *_literal(INDEXES)),
        ),
        *_definitions(settings),
        # With no entries to keep, those of an earlier run are removed all the same.
        Use("AppV2's own answers, dropped after a change", ("scan", "del"), written=(API_CACHE,)),
    )


def tap_uses(settings: Settings) -> tuple[Use, ...]:
    """What `tickstockpl tap` asks of Redis; of both, if the streams are kept on another one than the ticks' own."""
    streams = tap.stream_names(settings)
    return (
        *_connecting(settings),
        Use("ticks", ("subscribe", "info"), channels=_literal(settings.redis.channels)),
        Use("the streams", ("xadd", "xrevrange"), keys=_literal(streams)),
        Use(
            "each message once",
            ("multi", "exec", "watch", "unwatch", "getex", "set", "time"),
            keys=tuple(f"{name}.tap:*" for name in _literal(streams)),
        ),
    )


def redis_rule(uses: Iterable[Use], name: str) -> str:
    """The command that gives a user just these rights; it may be given again, and leaves the password alone.

    Raises SettingsError for a name that Redis could not take.
    """
    if not name or re.search(r"[\s\0\"']", name):
        raise SettingsError(f"a Redis user's name has neither spaces nor quotes, was {name!r}")
    all_uses = list(uses)
    rules = [f"&{channel}" for use in all_uses for channel in use.channels]
    rules += [f"~{key}" for use in all_uses for key in use.keys]
    rules += [f"%W~{key}" for use in all_uses for key in use.written]
    rules += [f"%R~{key}" for use in all_uses for key in use.read]
    rules += [f"+{command}" for use in all_uses for command in use.commands]
    return " ".join(["ACL SETUSER", name, "on resetkeys resetchannels clearselectors -@all", *dict.fromkeys(rules)])


def postgres_grants(settings: Settings, name: str) -> list[str]:
    """The statements that make a role and give it just what the service needs, for the owner of the tables."""
    policy = settings.database.symbol_policy
    role = _identifier(name)
    tables: dict[tuple[str, ...], list[str]] = {}
    for table in NEEDED:
        tables.setdefault(privileges(table), []).append(table)
    emptied = ", ".join(deleted_from(settings.retention))
    sequences = ", ".join(f"{table}_id_seq" for table in SERIAL)
    symbols = f"GRANT {', '.join(privileges('symbols', policy))} ON symbols TO {role};"
    return [
        f"CREATE ROLE {role} LOGIN;",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {_identifier(_database(settings))} TO {role};",
        f"GRANT USAGE ON SCHEMA public TO {role};",
        *(f"GRANT {', '.join(rights)} ON {', '.join(names)} TO {role};" for rights, names in tables.items()),
        f"GRANT USAGE ON SEQUENCE {sequences} TO {role};",
        *([f"GRANT DELETE ON {emptied} TO {role};"] if emptied else []),
        f"GRANT SELECT ON {VERSION_TABLE} TO {role};",
        f"-- where ohlcv_1min has a foreign key to symbols: {symbols}" if policy == "accept" else symbols,
        *(
            [f"-- where AppV2's {TABLE} is: GRANT SELECT ON {TABLE} TO {role};"]
            if settings.patterns.definitions
            else []
        ),
    ]


def _connecting(settings: Settings) -> tuple[Use, ...]:
    """What every connection asks, whatever it is for."""
    asked = Use("connections", ("client|setname", "client|setinfo", "ping", "pubsub|numsub"))
    numbered = int(parse_url(settings.redis.connection_url()).get("db", 0)) != 0
    return (asked, Use("a database number other than 0", ("select",))) if numbered else (asked,)


def _ticks(settings: Settings) -> tuple[Use, ...]:
    """What reading ticks asks: of a file, nothing."""
    if settings.ingest.mode == "file":
        return ()
    if settings.ingest.mode == "stream":
        return (Use("ticks", ("xread", "xrange", "xinfo|stream", "time"), read=_literal((settings.ingest.stream,))),)
    return (Use("ticks", ("subscribe", "info"), channels=_literal(settings.redis.channels)),)


def _definitions(settings: Settings) -> tuple[Use, ...]:
    """What it asks to be told that patterns were switched on or off."""
    if not settings.patterns.definitions:
        return ()
    return (Use("patterns switched on and off", ("subscribe",), channels=_literal((payload.PATTERN_DEFINITIONS,))),)


def _literal(names: Iterable[str]) -> tuple[str, ...]:
    """Globs that match just these names; where a rule has no room for a character, any single one."""
    return tuple(re.sub(r"[\s\"']", "?", re.sub(r"([\\*?\[])", r"\\\1", name)) for name in names)


def _database(settings: Settings) -> str:
    """The database's name in `DATABASE_URI`; AppV2's where none is said."""
    path = urlsplit(settings.database.dsn()).path if settings.database.uri is not None else ""
    return unquote(path.strip("/")) or "tickstock"


def _identifier(name: str) -> str:
    """The name as SQL takes it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
