"""`tickstockpl check`: what the service would run with, and whether each server would have it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from tickstockpl import migrate, postgres, retention, sessions, timetable
from tickstockpl.aliases import Names
from tickstockpl.backlog import Allowance, Backlog
from tickstockpl.connection import round_trip
from tickstockpl.definitions import TABLE, Unreadable, definitions_in
from tickstockpl.dsn import exposed
from tickstockpl.errors import TickstockError
from tickstockpl.growth import Growth, growth
from tickstockpl.kernel import patterns_with
from tickstockpl.loading import unknown_names
from tickstockpl.moments import moment_at, us_of
from tickstockpl.payload import PATTERN_DEFINITIONS
from tickstockpl.selection import chosen_rules, enabled_patterns, rate_table, rules_on, shown, timeframes
from tickstockpl.settings import REDIS_TRUST, Settings
from tickstockpl.switches import Switches
from tickstockpl.teller import TOLD
from tickstockpl.tls import reason
from tickstockpl.web import access


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    said: str
    warning: bool = False
    """The service runs all the same, but somebody should know."""


async def findings(settings: Settings, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Finding]:
    """Look at everything that `run` needs, one thing after another."""
    unknown = unknown_names(environ)
    yield Finding("names", not unknown, f"not settings: {', '.join(unknown)}" if unknown else "all names are known")
    yield _selection(settings)
    if settings.patterns.rates is not None or settings.patterns.confidence == "hit_rate":
        yield await asyncio.to_thread(_rates, settings)
    yield await _redis(settings)
    database = await _database(settings)
    yield database
    if database.ok:
        yield await _retention(settings)
        if settings.patterns.definitions and (switched := await _definitions(settings)) is not None:
            yield switched
    addresses = (settings.redis.address, settings.database.address, settings.stream_redis().address)
    if seen := [url for url in dict.fromkeys(addresses) if exposed(url, environ)]:
        yield Finding("tls", True, f"passwords and market data go in the clear to {' and '.join(seen)}", warning=True)
    yield await _calendar(settings)
    yield _http(settings)
    if settings.ingest.mode == "pubsub" and settings.ingest.spool:
        yield await asyncio.to_thread(_spool, settings)
    minutes, symbols = settings.writer.queue_minutes, settings.bars.max_symbols
    backlog = Backlog(minutes * symbols, Allowance(0))
    yield Finding(
        "memory",
        True,
        f"at most {backlog.max_rows:,} bars wait for the database ({minutes} minutes x {symbols:,} symbols), "
        f"{backlog.max_bytes / 2**20:,.0f} MiB with their events",
    )


def _spool(settings: Settings) -> Finding:
    """Where what is received is kept, and whether its disk could hold the most that may be."""
    folder = settings.state_dir.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free, cap = shutil.disk_usage(there).free, settings.ingest.spool_bytes
    said = f"at most {cap / 2**30:,.1f} GiB or {settings.ingest.spool_hours:g} hours of messages in {folder / 'spool'}"
    said += f", whose disk has {free / 2**30:,.1f} GiB free; how many minutes that is, /health says (cap_minutes)"
    return Finding("spool", True, said, warning=free < cap)


def _selection(settings: Settings) -> Finding:
    try:
        rules = rules_on(settings.patterns)
        ids, told = enabled_patterns(settings.patterns, rules=rules), shown(settings.indicators)
        timeframes(settings.patterns, rules)
    except TickstockError as error:
        return Finding("selection", False, str(error))
    patterns = "the default patterns" if ids is None else _counted(len(ids), "pattern")
    if rules:
        patterns += f", {_counted(sum(rule.told for rule in rules), 'rule')} of {settings.patterns.rules}"
    symbols = settings.indicators.symbols or ()
    names = ", ".join(indicator.name for indicator in told.indicators)
    of = "every symbol" if "*" in symbols else _counted(len(symbols), "symbol")
    return Finding("selection", True, f"{patterns}; " + (f"{names} of {of}" if symbols else "no symbol's indicators"))


def _rates(settings: Settings) -> Finding:
    """Which table of rates events are told of, and whether rates as confidences would still be sent."""
    try:
        table = rate_table(settings.patterns, chosen_rules(settings.patterns))
    except TickstockError as error:
        return Finding("rates", False, str(error))
    assert table is not None  # noqa: S101  # a file is named
    made, data = table.calibration, table.calibration.dataset
    said = (
        f"{table.path} of {moment_at(made.made_at_us):%Y-%m-%d}, measured on {data.name} ({data.sessions}, "
        f"{_counted(data.symbols, 'symbol')}, {data.bars:,} bars): rates of {_counted(len(table.highest), 'pattern')}"
    )
    if table.unknown:
        said += f", {len(table.unknown)} that are on have none"
    if table.stale:
        said += f"; defined otherwise since then: {', '.join(table.stale)}"
    if settings.patterns.confidence == "quality":
        return Finding("rates", True, said)
    least, most = settings.publish.min_confidence, max(table.highest.values())
    said += f"; confidence is the hit rate, {most:.3f} at most: "
    said += f"of {table.reaching(least)} of them it reaches publish.min_confidence, {least:g}"
    if table.silences(least):
        return Finding("rates", True, f"{said}; set TICKSTOCKPL_PUBLISH__MIN_CONFIDENCE lower", warning=True)
    return Finding("rates", True, said)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


async def _redis(settings: Settings) -> Finding:
    named = settings.redis
    address = named.address + ("" if named.given else " (the default: nobody named a Redis)")
    client = redis.asyncio.Redis.from_url(
        named.connection_url(),
        protocol=2,
        socket_connect_timeout=named.connect_timeout_s,
        socket_timeout=None,  # with one redis-py may swallow Ctrl-C: see `connection.heed_cancellation`
        retry=Retry(NoBackoff(), 0),
    )
    try:
        async with asyncio.timeout(named.connect_timeout_s):
            await client.ping()
            said = await _told(client, *named.channels, named.pattern_channel)
            refused = await _refused(client, settings)
    except TimeoutError:
        return Finding("redis", False, f"{address}: no answer within {named.connect_timeout_s:g} s")
    except (RedisError, OSError) as error:
        return Finding("redis", False, f"{address}: {reason(error, REDIS_TRUST)}")
    finally:
        await client.aclose()
    if refused:
        said += f"; {refused}: give it what `tickstockpl rights redis` prints"
    return Finding("redis", True, f"{address}, {said}", warning=bool(refused))


async def _told(client: "redis.asyncio.Redis", *channels: str) -> str:
    """What Redis says of itself; a user who may not ask can still run the service."""
    try:
        info: dict[str, Any] = await client.info("server")
        heard: list[tuple[bytes | str, int]] = await client.pubsub_numsub(*channels)
    except ResponseError as refused:
        return f"which does not say more: {refused}"
    counts = ", ".join(f"{name.decode() if isinstance(name, bytes) else name}: {count}" for name, count in heard)
    return f"version {info['redis_version']}; subscribers now: {counts}"


async def _refused(client: "redis.asyncio.Redis", settings: Settings) -> str:
    """What this user may not do beside sending events; empty if there is nothing. Leaves the connection unusable.

    Redis refuses a command of a transaction when it is given, and a transaction that is never ended does nothing.
    """
    key, channel = f"{TOLD}{settings.ingest.part}", settings.redis.outcome_channel
    refused = await _tried(client, ("GET", key), ("MULTI",), ("EXEC",))
    refused = refused or await _tried(client, ("MULTI",), ("SET", key, ""), ("PUBLISH", channel, ""))
    if refused:
        return f"this user cannot tell what becomes of events: {refused}"
    if settings.patterns.definitions and (refused := await _tried(client, ("SUBSCRIBE", PATTERN_DEFINITIONS))):
        return f"this user does not hear that {TABLE} has changed: {refused}"
    return ""


async def _tried(client: "redis.asyncio.Redis", *commands: tuple[str, ...]) -> str:
    """Which of them Redis refuses first, and in which words; empty if none."""
    answers = zip(commands, await round_trip(client, commands), strict=True)
    told = (f"{' '.join(command[:2])}: {answer}" for command, answer in answers if isinstance(answer, ResponseError))
    return next(told, "")


async def _database(settings: Settings) -> Finding:
    address = settings.database.address
    try:
        missing = await migrate.pending(settings.database.dsn(), policy=settings.database.symbol_policy)
        if missing:
            said = f"{address}: {len(missing)} statements missing: run `tickstockpl migrate`"
            return Finding("database", False, said)
        async with postgres.for_command(settings.database, command_timeout_s=30) as connection:
            await timetable.refuse_another(connection, settings.session.calendar, settings.session.timezone)
    except TickstockError as error:
        return Finding("database", False, str(error))
    return Finding("database", True, f"{address}: the tables are as they must be")


def _http(settings: Settings) -> Finding:
    try:
        return Finding("http", True, f"{settings.http.host}:{settings.http.port}: {access(settings.http)}")
    except TickstockError as error:
        return Finding("http", False, str(error))


async def _retention(settings: Settings) -> Finding:
    """What is kept how long, how fast it grows, and whether we may delete the rest."""
    told = []
    now_us = us_of(datetime.now(UTC))
    try:
        async with postgres.for_command(settings.database, command_timeout_s=30) as connection:
            for rule in retention.RULES:
                days = rule.days(settings.retention)
                kept = "kept for ever" if days is None else f"kept {_counted(days, 'day')}"
                found = await growth(connection, rule.table, rule.column, now_us)
                told.append(f"{rule.table} {_grows(found)}{kept}")
            lacking = await retention.lacking(connection, settings.retention)
    except TickstockError as error:
        return Finding("retention", False, str(error))
    said = "; ".join(told)
    if lacking:
        said = f"old rows cannot be deleted; as the tables' owner run: {' '.join(lacking)} ({said})"
    return Finding("retention", not lacking, said)


def _grows(found: Growth | None) -> str:
    if found is None:
        return ""
    size = f"{found.bytes / 2**20:,.1f} MiB, "
    if found.bytes_a_day is None:
        return size
    rows = "" if found.rows_a_day is None else f"{found.rows_a_day:,.0f} rows and "
    return f"{size}{rows}{found.bytes_a_day / 2**20:,.1f} MiB a day, "


async def _definitions(settings: Settings) -> Finding | None:
    """Which patterns AppV2's table switches off; None if there is no such table."""
    try:
        rules = chosen_rules(settings.patterns)
        async with postgres.for_command(settings.database, command_timeout_s=30) as connection:
            rows = await definitions_in(connection)
    except Unreadable as error:
        return Finding("definitions", True, f"{TABLE} may not be read, as its owner run: {error}", warning=True)
    except TickstockError as error:
        return Finding("definitions", False, str(error))
    if rows is None:
        return None
    patterns = patterns_with(rules)
    switches = Switches.of(rows, patterns, Names(patterns).ids_of)
    said = f"{TABLE} switches off {', '.join(sorted(switches.off)) or 'nothing'}"
    said += f"; thresholds for {_counted(len(switches.least), 'pattern')}"
    if switches.unknown:
        said += f"; none of our patterns: {', '.join(switches.unknown)}"
    if switches.unfit:
        said += f"; confidence_threshold is not within 0 and 1: {', '.join(switches.unfit)}"
    return Finding("definitions", True, said, warning=bool(switches.unfit))


async def _calendar(settings: Settings) -> Finding:
    now, named = datetime.now(UTC), settings.session
    try:
        found = await asyncio.to_thread(sessions.load, named.calendar, named.timezone, settings.state_dir, now.date())
    except TickstockError as error:
        return Finding("sessions", False, str(error))
    current = found.current(named.mode, us_of(now))
    state = "open now" if current else "no session now"
    return Finding("sessions", True, f"{named.calendar}, {named.mode}: {state}")
