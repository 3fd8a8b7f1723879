"""What `check` finds, for people who are about to run the service."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from bar_samples import MINUTE_US, ran
from minute_rows import Bar, narrow_role, prepare, put
from own_servers import OwnServers
from rate_samples import Planted, as_of_now, evidence, table
from running import settings_for
from tickstockpl import rate_file
from tickstockpl.check import Finding, findings
from tickstockpl.clock import SystemClock
from tickstockpl.settings import Settings

pytestmark = pytest.mark.anyio

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
DAY_US = 86_400_000_000


async def found(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, Finding]:
    return {finding.what: finding async for finding in findings(settings, environ or {})}


async def test_everything_is_fine_on_migrated_servers(ready: str, redis: str, state_dir: Path) -> None:
    looked_at = await found(settings_for(ready, redis, state_dir))
    assert list(looked_at) == [
        "names",
        "selection",
        "redis",
        "database",
        "retention",
        "sessions",
        "http",
        "spool",
        "memory",
    ]
    assert all(finding.ok for finding in looked_at.values()), looked_at
    assert "version 8" in looked_at["redis"].said
    assert "XNYS, always: open now" in looked_at["sessions"].said
    assert "1,200,000 bars" in looked_at["memory"].said
    assert looked_at["spool"].said.startswith(f"at most 4.0 GiB or 24 hours of messages in {state_dir / 'spool'}, ")
    kept = looked_at["retention"].said
    assert kept.startswith("ohlcv_1min 0.0 MiB, kept for ever; pattern_event 0.0 MiB, kept for ever; ")
    assert kept.endswith("; dead_letter 0.0 MiB, kept 90 days; ingest_gap 0.0 MiB, kept 365 days")


async def test_growth_and_what_is_kept_are_told_and_a_missing_right_with_its_sql(
    database: str, redis: str, state_dir: Path
) -> None:
    await prepare(database, "ours")
    noon_us = (SystemClock().now_us() // DAY_US - 3) * DAY_US + DAY_US // 2
    await put(database, "ours", [Bar("AAPL", noon_us + n * MINUTE_US) for n in range(60)])
    await ran(database, "ANALYZE")
    async with narrow_role(database) as narrow:
        finding = (await found(settings_for(narrow, redis, state_dir, retention={"bars_days": 30})))["retention"]
    assert not finding.ok
    assert "as the tables' owner run: GRANT DELETE ON ohlcv_1min TO tickstockpl_test_" in finding.said
    assert re.search(r"\(ohlcv_1min 0\.\d MiB, 60 rows and 0\.\d MiB a day, kept 30 days; ", finding.said), finding.said


async def test_subscribers_of_the_event_channel_are_counted(database: str, redis: str, state_dir: Path) -> None:
    settings = settings_for(database, redis, state_dir)
    async with Redis.from_url(redis) as client, client.pubsub() as pubsub:
        await pubsub.subscribe(settings.redis.pattern_channel)
        await pubsub.get_message(timeout=5)
        assert f"{settings.redis.pattern_channel}: 1" in (await found(settings))["redis"].said


async def test_misspelt_names_are_reported_and_appv2s_own_are_not(redis: str, state_dir: Path) -> None:
    settings = settings_for(NOWHERE, redis, state_dir)
    names = {"TICKSTOCKPL_HOST": "x", "TICKSTOCKPL_API_KEY": "x", "TICKSTOCKPL_HTTP__PROT": "1", "HOME": "/"}
    finding = (await found(settings, names))["names"]
    assert (finding.ok, finding.said) == (False, "not settings: TICKSTOCKPL_HTTP__PROT")


@pytest.mark.parametrize(
    ("given", "ok", "said"),
    [
        ({}, True, "the default patterns; no symbol's indicators"),
        ({"patterns": {"enabled": ("cdl_doji*", "hammer")}}, True, "3 patterns; no symbol's indicators"),
        ({"indicators": {"symbols": ("*",), "enabled": ("RSI",)}}, True, "the default patterns; RSI of every symbol"),
        (
            {"patterns": {"enabled": ("doji",)}, "indicators": {"symbols": ("SPY",), "enabled": ("RSI",)}},
            True,
            "1 pattern; RSI of 1 symbol",
        ),
        (
            {"patterns": {"enabled": ("hamer",)}},
            False,
            "patterns.enabled: no pattern is called hamer; did you mean hammer?",
        ),
        (
            {"patterns": {"enabled": ("xyz_*",)}},
            False,
            "patterns.enabled: no pattern is called xyz_*; `tickstockpl patterns` lists them",
        ),
        (
            {"indicators": {"rsi_oversold": 80.0}},
            False,
            "indicators.rsi_oversold must be at most rsi_overbought, 70, was 80",
        ),
        ({"indicators": {"enabled": ("RSO",)}}, False, "indicators.enabled: there is no RSO"),
    ],
)
async def test_patterns_and_indicators_that_do_not_exist_are_reported(
    redis: str, state_dir: Path, given: dict[str, Any], ok: bool, said: str
) -> None:
    settings = settings_for(NOWHERE, redis, state_dir, **given)
    finding = (await found(settings))["selection"]
    assert finding.ok is ok
    assert finding.said.startswith(said)


async def test_the_patterns_that_appv2s_table_switches_are_told_and_what_in_it_is_not_heeded(
    ready: str, redis: str, state_dir: Path
) -> None:
    await ran(ready, "CREATE TABLE pattern_definitions (name text, enabled boolean, confidence_threshold numeric)")
    rows = "('hammer', false, 0.5), ('Doji', false, NULL), ('AlwaysDetected', true, 0.5), ('Harami', true, 5)"
    await ran(ready, f"INSERT INTO pattern_definitions (name, enabled, confidence_threshold) VALUES {rows}")
    finding = (await found(settings_for(ready, redis, state_dir)))["definitions"]
    assert (finding.ok, finding.warning) == (True, True)
    assert finding.said == (
        "pattern_definitions switches off cdl_doji, cdl_hammer, doji, doji_spec, hammer, hammer_spec; "
        "thresholds for 3 patterns; "
        "none of our patterns: AlwaysDetected; confidence_threshold is not within 0 and 1: Harami"
    )
    async with narrow_role(ready) as narrow:
        unreadable = (await found(settings_for(narrow, redis, state_dir)))["definitions"]
    assert (unreadable.ok, unreadable.warning) == (True, True)
    assert re.search(
        r"as its owner run: GRANT SELECT ON pattern_definitions TO tickstockpl_test_\w+;$", unreadable.said
    )
    settings = settings_for(ready, redis, state_dir, patterns={"definitions": False})
    assert "definitions" not in await found(settings)
    await ran(ready, "ALTER TABLE pattern_definitions DROP enabled")
    wrong = (await found(settings_for(ready, redis, state_dir)))["definitions"]
    assert (wrong.ok, wrong.said) == (False, "pattern_definitions has no column enabled")


async def test_the_table_of_rates_is_told_with_what_it_knows_and_whether_events_would_still_be_sent(
    redis: str, state_dir: Path
) -> None:
    path = state_dir / "rates.json"
    planted = [Planted("hammer", 1, 900, 0.5), Planted("doji", 0, 90, 0.5)]
    made = as_of_now(table(evidence(np.random.default_rng(1), planted)))
    rate_file.write(path, replace(made, definitions={**made.definitions, "doji": "another"}))

    async def said(**sections: Any) -> Finding:
        patterns = {"enabled": ("hammer", "doji", "harami"), "rates": path, **sections.pop("patterns", {})}
        return (await found(settings_for(NOWHERE, redis, state_dir, patterns=patterns, **sections)))["rates"]

    finding = await said()
    assert finding == Finding(
        "rates",
        True,
        f"{path} of 1970-01-01, measured on a test (UTC days, 1 symbol, 1 bars): rates of 1 pattern, "
        "2 that are on have none; defined otherwise since then: doji",
    )
    silent = await said(patterns={"confidence": "hit_rate"})
    assert silent.warning
    assert re.search(
        r"; confidence is the hit rate, 0\.5\d\d at most: of 0 of them it reaches publish\.min_confidence, 0\.6; "
        r"set TICKSTOCKPL_PUBLISH__MIN_CONFIDENCE lower$",
        silent.said,
    )
    loud = await said(patterns={"confidence": "hit_rate"}, publish={"min_confidence": 0.4})
    assert (loud.ok, loud.warning) == (True, False)
    path.write_bytes(b"{}")
    assert not (await said()).ok
    lacking = await found(settings_for(NOWHERE, redis, state_dir, patterns={"confidence": "hit_rate"}))
    assert lacking["rates"].said.startswith("patterns.confidence is hit_rate, which needs measured rates")
    assert "rates" not in await found(settings_for(NOWHERE, redis, state_dir))


async def test_a_database_without_our_tables_and_one_that_is_not_there_are_told_apart(
    database: str, redis: str, state_dir: Path
) -> None:
    behind = (await found(settings_for(database, redis, state_dir)))["database"]
    assert not behind.ok
    assert "run `tickstockpl migrate`" in behind.said
    gone = (await found(settings_for("postgresql://me:hidden@127.0.0.1:1/none", redis, state_dir)))["database"]
    assert not gone.ok
    assert "me:***@127.0.0.1:1" in gone.said
    assert "hidden" not in gone.said


async def test_a_user_who_may_not_ask_redis_for_more_may_still_run(
    own_servers: Callable[..., OwnServers], state_dir: Path
) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True)
    async with Redis.from_url(servers.redis_url) as client:
        await client.acl_setuser(
            "narrow", enabled=True, passwords=["+secret"], channels=["*"], commands=["+ping", "+subscribe", "+publish"]
        )
    url = servers.redis_url.replace("redis://", "redis://narrow:secret@")
    finding = (await found(settings_for(NOWHERE, url, state_dir)))["redis"]
    assert finding.ok, finding
    assert "does not say more" in finding.said
    assert "secret" not in finding.said


async def test_a_server_elsewhere_without_tls_is_a_warning_and_no_fault(state_dir: Path) -> None:
    uri = "postgresql://me:hidden@db.invalid/tickstock"
    settings = settings_for(uri, "redis://:hidden@redis.invalid:6379/0", state_dir, redis={"connect_timeout_s": 5.0})
    finding = (await found(settings))["tls"]
    assert (finding.ok, finding.warning) == (True, True)
    assert finding.said == (
        "passwords and market data go in the clear to redis://:***@redis.invalid:6379/0 and "
        "postgresql://me:***@db.invalid/tickstock"
    )
    tapped = settings_for(NOWHERE, "redis://127.0.0.1:1/0", state_dir, tap={"url": "redis://tap.invalid:6379/0"})
    assert (await found(tapped))["tls"].said.endswith(" to redis://tap.invalid:6379/0")
    secure = settings_for(f"{uri}?sslmode=require", "rediss://redis.invalid:6379/0", state_dir)
    assert "tls" not in await found(secure)


async def test_a_redis_that_hangs_is_given_up_on(own_servers: Callable[..., OwnServers], state_dir: Path) -> None:
    servers = await asyncio.to_thread(own_servers, redis=True)
    await asyncio.to_thread(servers.redis.freeze)
    settings = settings_for(NOWHERE, servers.redis_url, state_dir, redis={"connect_timeout_s": 0.3})
    began = time.monotonic()
    finding = (await found(settings))["redis"]
    assert not finding.ok
    assert finding.said.endswith("no answer within 0.3 s")
    assert time.monotonic() - began < 3
