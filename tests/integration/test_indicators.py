"""Indicators from the socket to AppV2's channels and table, on real servers."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

import appv2_readers as appv2
from bar_samples import bars, ran, rows, stored
from publishing import hearing, minute_us, publishing
from reading_samples import readings
from running import MINUTE, SECOND, minutes_ago, serving, settings_for, tick
from tickstockpl import service
from tickstockpl.errors import SettingsError
from tickstockpl.migrate import migrate
from tickstockpl.wire import Findings, WriteBatch

pytestmark = pytest.mark.anyio

APPV2 = (Path(__file__).resolve().parent.parent / "appv2_tables.sql").read_text(encoding="utf-8")
VALUES, ALERTS = "tickstock:indicators:streaming", "tickstock:alerts:indicators"


def of(heard: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """Messages about symbols of this test: the channels are the whole server's."""
    return [one for one in heard if one.get("calculation", one)["symbol"].startswith(prefix)]


async def test_values_and_alerts_reach_both_releases_at_the_pace(redis: str) -> None:
    some = readings(*(f"ZZPACE{n}" for n in range(60)), bar_end_us=minute_us(), alerts=1)
    async with publishing(redis) as published, hearing(redis, VALUES, ALERTS) as heard:
        await published.inbox.put(Findings(readings=some))
        status = await published.until(lambda s: s["indicators_sent"] == 120 and s["alerts_sent"] == 60)
        await heard.count(VALUES, 120)
        await heard.count(ALERTS, 60)
    for era in ("E3", "E4"):
        shown = [appv2.streaming_indicator(one, era) for one in of(heard.heard[VALUES], "ZZPACE")]
        assert [one and (one["symbol"], one["indicator"]) for one in shown] == [
            (f"ZZPACE{n}", name) for n in range(60) for name in ("RSI", "MACD")
        ]
    alerts = [appv2.indicator_alert(one) for one in of(heard.heard[ALERTS], "ZZPACE")]
    assert {one["alert_type"] for one in alerts} == {"RSI_OVERBOUGHT"}
    assert {one["session_id"] for one in alerts} == {status["session_id"]}
    for channel, count in ((VALUES, 120), (ALERTS, 60)):
        own = [one["seq"] for one in of(heard.heard[channel], "ZZPACE")]
        assert own == list(range(1, count + 1))
    at_s = heard.at_s[VALUES]
    assert at_s[-1] - at_s[0] > 1.2
    assert all(later - earlier > 0.2 for earlier, later in zip(at_s, at_s[20:], strict=False))


async def test_values_that_wait_too_long_are_counted_and_events_do_not_wait_for_them(redis: str) -> None:
    some = readings(*(f"ZZLATE{n}" for n in range(100)), bar_end_us=minute_us())
    async with publishing(redis, rate_per_s=20.0, expire_s=0.5) as published:
        await published.inbox.put(Findings(readings=some))
        status = await published.until(lambda s: s["indicators_sent"] + s["indicators_expired"] == 200)
        assert status["indicators_expired"] > 150
        assert status["indicators_queued"] == 0


async def test_a_refused_publish_is_tried_again_and_in_order(redis: str) -> None:
    if not redis.startswith("redis://") or "@" in redis:
        pytest.skip("the server's address has no room for another user")
    user = f"test-{uuid.uuid4().hex[:8]}"
    login = {"url": redis.replace("redis://", f"redis://{user}:pw@", 1)}
    async with Redis.from_url(redis) as admin:
        every: dict[str, Any] = {"enabled": True, "passwords": ["+pw"], "keys": ["*"], "categories": ["+@all"]}
        await admin.acl_setuser(user, **every, reset_channels=True, channels=["test.*"])
        try:
            async with publishing(redis, redis=login) as published, hearing(redis, VALUES) as heard:
                with structlog.testing.capture_logs():
                    await published.inbox.put(Findings(readings=readings("ZZACL", bar_end_us=minute_us())))
                    await published.until(lambda s: s["faults"] > 0)
                    assert published.stage.status()["indicators_queued"] == 2
                    await admin.acl_setuser(user, **every, channels=["tickstock*"])
                    await published.until(lambda s: s["indicators_sent"] == 2)
                await heard.count(VALUES, 2)
        finally:
            await admin.acl_deluser(user)
    assert [one["calculation"]["indicator"] for one in of(heard.heard[VALUES], "ZZACL")] == ["RSI", "MACD"]


@pytest.mark.parametrize("adopted", [True, False])
async def test_rows_are_stored_once_and_a_correction_replaces_them(database: str, adopted: bool) -> None:
    if adopted:
        await ran(database, APPV2)
        await ran(
            database,
            "INSERT INTO intraday_indicators (symbol, indicator_type, value, value_data, expiration_timestamp) "
            "SELECT 'AAPL', 'RSI', 1, '{}', now() - interval '1 day' FROM generate_series(1, 2)",
        )
    await migrate(database)
    end_us = minute_us()
    batch = WriteBatch(bars=bars(["AAPL"]), readings=readings("AAPL", bar_end_us=end_us, rsi=0.1 + 0.2))
    status = await stored(database, batch)
    assert (status["indicators"], status["rows"]) == (2, 1)
    await stored(database, batch)
    corrected = [readings("AAPL", bar_end_us=end_us, fresh=False, rsi=rsi) for rsi in (40.0, 41.5)]
    await stored(database, *(WriteBatch(readings=each) for each in corrected))
    macd, rsi = await rows(database, appv2.INDICATORS_LATEST)
    assert (rsi["symbol"], rsi["indicator_type"], rsi["timeframe"]) == ("AAPL", "RSI", "1min")
    assert (float(rsi["value"]), json.loads(rsi["value_data"])) == (41.5, {"value": 41.5})
    assert json.loads(rsi["metadata"]) == {"source": "TickStockPL", "period": 14}
    assert rsi["calculation_timestamp"] == datetime.fromtimestamp(end_us / 1e6, UTC)
    assert json.loads(macd["value_data"]) == {"value": 4.5, "macd": 4.5, "signal": 5.5, "histogram": 6.5}
    (count,) = await rows(database, "SELECT count(*) AS all, count(bar_start) AS ours FROM intraday_indicators")
    assert dict(count) == {"all": 4 if adopted else 2, "ours": 2}


async def test_a_poison_bar_costs_its_own_row_and_no_indicator_of_others(ready: str) -> None:
    name = "X" * 21
    some = readings("AAPL", name, bar_end_us=minute_us())
    status = await stored(ready, WriteBatch(bars=bars(["AAPL", name]), readings=some))
    assert (status["rows"], status["indicators"], status["rejected"]) == (1, 4, 1)


async def test_symbols_that_are_kept_out_have_no_indicators_either(database: str) -> None:
    await ran(database, APPV2)
    await migrate(database)
    some = readings("AAPL", "ZZTEST1", bar_end_us=minute_us())
    batch = WriteBatch(bars=bars(["AAPL", "ZZTEST1"]), readings=some)
    await stored(database, batch, database={"symbol_policy": "allowlist"})
    await stored(database, WriteBatch(readings=some), database={"symbol_policy": "allowlist"})
    assert {row["symbol"] for row in await rows(database, appv2.INDICATORS_LATEST)} == {"AAPL"}


async def test_the_service_tells_and_stores_the_indicators_of_watched_symbols(
    ready: str, redis: str, state_dir: Path
) -> None:
    watched, other = "ZZSERV1", "ZZSERV2"
    begin_us = minutes_ago(28)
    given = {"symbols": (watched,), "enabled": ("RSI", "VWAP", "RelativeVolume")}
    settings = settings_for(ready, redis, state_dir, indicators=given)
    prices = [100.0 + 0.1 * (n % 2) for n in range(20)] + [101.0 + n for n in range(6)]
    async with serving(settings) as up, hearing(redis, VALUES, ALERTS) as heard:
        for n, price in enumerate(prices):
            ticks = [tick(begin_us + n * MINUTE + 30 * SECOND, symbol, price) for symbol in (watched, other)]
            await up.send(ticks)
        await up.stored()
        calculated = up.stages["pipeline"]["indicators_calculated"]
        async with asyncio.timeout(20):
            while len(of(heard.heard.get(VALUES, []), "ZZSERV")) < calculated:
                await asyncio.sleep(0.01)
            while not of(heard.heard.get(ALERTS, []), "ZZSERV"):
                await asyncio.sleep(0.01)
        assert up.running.health.pulse().indicators_calculated == calculated
    # 25 bars closed, the first of them flagged: RSI from the 14th on, VWAP at once, relative volume from the 21st
    told = of(heard.heard[VALUES], "ZZSERV")
    assert {one["calculation"]["symbol"] for one in told} == {watched}
    counts = {name: sum(one["calculation"]["indicator"] == name for one in told) for name in given["enabled"]}
    assert counts == {"RSI": 12, "VWAP": 24, "RelativeVolume": 5}
    assert calculated == len(told)
    (alert,) = {one["alert_type"] for one in of(heard.heard[ALERTS], "ZZSERV")} & {"RSI_OVERBOUGHT"}
    assert alert == "RSI_OVERBOUGHT"
    found = await rows(ready, appv2.INDICATORS_LATEST)
    assert {(row["symbol"], row["indicator_type"]) for row in found} == {(watched, name) for name in given["enabled"]}
    assert len(found) == len(told)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"enabled": ("RSI", "RSO")}, "indicators.enabled: there is no RSO"),
        ({"alerts": ("RSI_HIGH",)}, "indicators.alerts: there is no RSI_HIGH"),
        ({"rsi_oversold": 80}, "indicators.rsi_oversold must be at most"),
    ],
)
async def test_what_cannot_be_shown_is_said_at_the_start(
    ready: str, redis: str, state_dir: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        await service.run(settings_for(ready, redis, state_dir, indicators=given), stop=asyncio.Event())
