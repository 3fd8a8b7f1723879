"""Check the whole chain on a running installation: ticks on Redis -> service -> rows -> pattern events.

    python scripts/test_live_integration.py           asks before it sends anything
    python scripts/test_live_integration.py --auto    asks nothing, exit code 0 = every link holds, 1 = one does not

It reads the same settings as the service (environment, tickstockpl.toml). The ticks it sends are of symbols that no
exchange has (ZZTEST...), and it deletes their rows afterwards. It does not touch a channel that carries live ticks
unless a person says so.
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tickstockpl.dev.feed import overhear, publish, tickers
from tickstockpl.dev.forget import forget_cached, forget_rows
from tickstockpl.dev.simulate import TEST_PREFIX, Market, Simulation, TrueBars
from tickstockpl.dev.stored import equal_rows, stored_rows
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.loading import load
from tickstockpl.moments import MINUTE_US
from tickstockpl.postgres import connect
from tickstockpl.settings import Settings

SYMBOLS, MINUTES = 20, 10
LIVE_MINUTES = 2
ROWS_WAIT_S, EVENTS_WAIT_S = 25.0, 10.0
HEARTBEAT = "tickstock:producer:heartbeat"
OFFLINE_AFTER_S = 30


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain. state: pass, FAIL or skip; advice: what to do about a failure."""

    name: str
    state: str
    detail: str
    advice: str = ""


class Report:
    """Prints each link as it is known and remembers them."""

    def __init__(self) -> None:
        self.links: list[Link] = []

    def add(self, name: str, passed: bool | None, detail: str, advice: str = "") -> bool:
        """Note a link (None = not tried) and return whether it holds."""
        state = {True: "pass", False: "FAIL", None: "skip"}[passed]
        self.links.append(Link(name, state, detail, advice))
        print(f"  {state}  {name}: {detail}", flush=True)
        if passed is False:
            print(f"        what to do: {advice}", flush=True)
        return passed is True

    @property
    def failed(self) -> list[Link]:
        return [link for link in self.links if link.state == "FAIL"]


def yes(question: str, *, default: bool) -> bool:
    """Ask a person; the end of the input is a no."""
    try:
        answer = input(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
    except EOFError:
        return False
    return default if not answer else answer.startswith("y")


async def redis_answers(settings: Settings, report: Report) -> bool:
    advice = "start Redis, or set REDIS_URL (or REDIS_HOST, REDIS_PORT, REDIS_DB) to the one that AppV2 uses"
    try:
        async with aclosing(Redis.from_url(settings.redis.connection_url(), socket_connect_timeout=3)) as client:
            info = await client.info("server")
    except (RedisError, OSError) as error:
        return report.add("Redis", False, f"{settings.redis.address}: {error}", advice)
    return report.add("Redis", True, f"version {info['redis_version']} at {settings.redis.address}")


async def database_answers(settings: Settings, report: Report) -> bool:
    try:
        dsn = settings.database.dsn()
    except SettingsError as error:
        return report.add("database", False, "no database is named", str(error))
    try:
        connection = await connect(dsn)
        try:
            table = await connection.fetchval("SELECT to_regclass('ohlcv_1min') IS NOT NULL")
        finally:
            await connection.close(timeout=5)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        advice = "check DATABASE_URI: host, port, database, user and password"
        return report.add("database", False, f"{settings.database.address}: {error}", advice)
    if not table:
        advice = "run: tickstockpl migrate"
        return report.add("database", False, f"{settings.database.address} has no table ohlcv_1min", advice)
    return report.add("database", True, f"{settings.database.address} has ohlcv_1min")


def ask_health(url: str, token: str | None) -> tuple[int, str]:
    """(HTTP status, body); status 0 if nobody answers."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        asked = urllib.request.Request(url, headers=headers)  # noqa: S310  # http, from our own settings
        with urllib.request.urlopen(asked, timeout=3) as answer:  # noqa: S310  # the same
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


async def service_is_up(settings: Settings, report: Report) -> bool:
    url = f"http://{settings.http.host}:{settings.http.port}/health"
    token = settings.http.token
    status, body = await asyncio.to_thread(ask_health, url, None if token is None else token.get_secret_value())
    if status == 0:
        advice = "start it with: tickstockpl run (or set TICKSTOCKPL_HTTP__PORT to the port it uses)"
        return report.add("service", False, f"{url}: {body}", advice)
    if status == 401:
        advice = (
            "give this script the token that the service has: TICKSTOCKPL_HTTP__TOKEN or TICKSTOCKPL_HTTP__TOKEN_FILE"
        )
        return report.add("service", False, f"{url} asks for a token", advice)
    try:
        said = json.loads(body)
        text = f"{said.get('status', 'up')}" if isinstance(said, dict) else "up"
    except ValueError:
        advice = f"another program answers on port {settings.http.port}: set TICKSTOCKPL_HTTP__PORT to a free one"
        return report.add("service", False, f"{url} answers with something else than JSON", advice)
    advice = f"open {url} and the service's log: it names the stage and the reason"
    return report.add("service", status == 200, f"{url} answers {status}, {text}", advice)


async def service_listens(settings: Settings, channel: str, report: Report) -> bool:
    async with aclosing(Redis.from_url(settings.redis.connection_url())) as client:
        ((_, count),) = await client.pubsub_numsub(channel)
    advice = (
        f"the service subscribes to {', '.join(settings.redis.channels)} (setting redis.channels) on its Redis; "
        "compare its first log lines with the address above"
    )
    return report.add(f"subscribers of {channel}", count > 0, f"{count}", advice)


async def watch(settings: Settings, channel: str, seconds: float, report: Report) -> list[str]:
    """What the feed sends now: symbols of live ticks. Silence is no failure: markets close."""
    heard = await overhear(settings.redis.connection_url(), [channel], seconds)
    live = sorted(name for name in tickers(payload for _, payload in heard) if not name.startswith(TEST_PREFIX))
    if not heard:
        advice = " (when the market is open: add the block of docs/integration to AppV2, see there)"
        report.add("live ticks", None, f"none on {channel} within {seconds:g} s{advice}")
    elif not live:
        advice = "compare one message with docs/integration/tickstockappv2-developer-requirements.md, 'Ticks'"
        report.add("live ticks", False, f"no symbol in {len(heard)} messages, e.g. {heard[0][1][:120]!r}", advice)
    else:
        more = ", ..." if len(live) > 5 else ""
        report.add("live ticks", True, f"{len(heard)} messages in {seconds:g} s: {', '.join(live[:5])}{more}")
    return live


@asynccontextmanager
async def events(settings: Settings) -> AsyncIterator[list[dict[str, Any]]]:
    """A list that fills with the pattern events of test symbols while the block runs."""
    found: list[dict[str, Any]] = []
    async with aclosing(Redis.from_url(settings.redis.connection_url())) as client, asyncio.TaskGroup() as tasks:
        subscribed = asyncio.Event()

        async def listen() -> None:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(settings.redis.pattern_channel)
                async for message in pubsub.listen():
                    subscribed.set()
                    if message["type"] != "message":
                        continue
                    try:
                        event = json.loads(message["data"])
                    except ValueError:
                        event = None
                    if isinstance(event, dict) and str(event.get("symbol", "")).startswith(TEST_PREFIX):
                        found.append(event)

        listener = tasks.create_task(listen())
        await subscribed.wait()
        try:
            yield found
        finally:
            listener.cancel()


def test_market(now_us: int, *, live: bool) -> Market:
    """Fresh symbols each time (at most 10 bytes: AppV2 has columns so short), so that no run repeats the last one.

    Beside a live feed the ticks must be of now: older ones would be late. Alone, the last minutes do.
    """
    run = now_us // 10_000_000 % 100
    symbols = tuple(f"{TEST_PREFIX}{run:02d}{n:02d}" for n in range(SYMBOLS))
    minutes = LIVE_MINUTES if live else MINUTES
    start_us = now_us // MINUTE_US * MINUTE_US - (0 if live else minutes * MINUTE_US)
    return Market(symbols=symbols, start_us=start_us, minutes=minutes, seed=run, source="simulated")


async def rows_arrive(settings: Settings, truth: TrueBars, report: Report) -> bool:
    """Wait for the true bars in ohlcv_1min, and compare them."""
    expected = set(truth.rows())
    until = time.monotonic() + ROWS_WAIT_S
    connection = await connect(settings.database.dsn())
    try:
        rows = await stored_rows(connection, truth.symbols)
        while rows != expected and time.monotonic() < until:
            await asyncio.sleep(0.25)
            rows = await stored_rows(connection, truth.symbols)
    finally:
        await connection.close(timeout=5)
    equal = equal_rows(rows, truth)
    detail = f"{len(rows)} of {len(expected)} bars, {equal} of them equal to the true ones"
    if not rows:
        advice = (
            "ticks were heard but no bar was written: see the stage 'writer' in /health and the service's log; "
            "is DATABASE_URI here the service's? does symbol_policy refuse unknown symbols?"
        )
    else:
        advice = "see /metrics for refused, late and repeated ticks; does another program write ohlcv_1min too?"
    return report.add("rows in ohlcv_1min", equal == len(expected), detail, advice)


async def events_arrive(settings: Settings, found: list[dict[str, Any]], *, live: bool, report: Report) -> None:
    until = time.monotonic() + EVENTS_WAIT_S
    while not found and time.monotonic() < until:
        await asyncio.sleep(0.1)
    channel = settings.redis.pattern_channel
    if not found and live:
        report.add("pattern events", None, f"none on {channel}; {LIVE_MINUTES} minutes may well hold no pattern")
        return
    names = Counter(str(event.get("pattern")) for event in found)
    advice = (
        f"see the stage 'publisher' in /health; settings publish.min_confidence ({settings.publish.min_confidence}) "
        "and patterns.enabled may exclude everything"
    )
    detail = f"{len(found)} on {channel}: {', '.join(f'{count} {name}' for name, count in names.most_common(4))}"
    if report.add("pattern events", bool(found), detail if found else f"none on {channel}", advice):
        print(f"        one of them: {json.dumps(found[0])[:300]}")


async def heartbeat_is_fresh(settings: Settings, report: Report) -> None:
    async with aclosing(Redis.from_url(settings.redis.connection_url())) as client:
        beat = await client.get(HEARTBEAT)
    age_s = time.time() - float(beat) if beat else None
    detail = f"{HEARTBEAT} is {age_s:.0f} s old" if age_s is not None else f"{HEARTBEAT} does not exist"
    advice = "AppV2 shows the service as offline: see the stage 'publisher' in /health; do the machines' clocks agree?"
    report.add("heartbeat", age_s is not None and age_s < OFFLINE_AFTER_S, detail, advice)


async def send_and_follow(settings: Settings, channel: str, report: Report, *, live: bool) -> None:
    """The links that only ticks can show."""
    now_us = time.time_ns() // 1000
    market = test_market(now_us, live=live)
    simulation = Simulation(market)
    url = settings.redis.connection_url()
    how = {"speed": 1.0, "origin_us": now_us} if live else {}
    if live:
        print(f"  sending {LIVE_MINUTES} minutes of ticks at the pace of the market ...", flush=True)
    async with events(settings) as found:
        sent = await publish(url, channel, simulation.batches(), **how)  # type: ignore[arg-type]
        detail = f"{sent.ticks} ticks of {SYMBOLS} test symbols to {channel}, received by {sent.heard // sent.messages}"
        report.add("simulated ticks", sent.heard > 0, detail, "nobody subscribes to the channel: see above")
        rows = await rows_arrive(settings, simulation.true_bars(), report)
        if rows:
            await events_arrive(settings, found, live=live, report=report)
        else:
            report.add("pattern events", None, "not tried: no right bars, no right patterns")


async def check(options: argparse.Namespace, settings: Settings) -> Report:
    """Try every link in the order in which a tick takes them."""
    report = Report()
    channel = options.channel or settings.redis.channels[0]
    redis = await redis_answers(settings, report)
    database = await database_answers(settings, report)
    service = await service_is_up(settings, report)
    if not redis:
        return report
    listens = await service_listens(settings, channel, report)
    live = await watch(settings, channel, options.watch, report)
    if service:
        await heartbeat_is_fresh(settings, report)
    if not (database and listens):
        report.add("simulated ticks", None, "not sent: they need Redis, a database and a subscriber")
        return report
    if live and options.auto:
        advice = f"run it when the feed is quiet, or without --auto, or with --channel (now {channel})"
        report.add("simulated ticks", False, "refused: the channel carries live ticks", advice)
        return report
    question = f"Send simulated ticks of {SYMBOLS} test symbols to {channel}?"
    if live:
        question = f"{channel} carries LIVE ticks. {question[:-1]} among them, for {LIVE_MINUTES} minutes?"
    if not options.auto and not await asyncio.to_thread(yes, question, default=not live):
        report.add("simulated ticks", None, "not sent: you said no")
        return report
    try:
        await send_and_follow(settings, channel, report, live=bool(live))
    finally:
        if options.auto or not options.ask_delete or await asyncio.to_thread(yes, "Delete their rows?", default=True):
            gone = await forget_rows(settings.database.dsn())
            cached = await forget_cached(settings.redis.connection_url())
            print(f"  deleted the test symbols' rows ({sum(gone.values())}) and cache entries ({cached})")
    return report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--auto", action="store_true", help="ask nothing; the exit code is the result")
    parser.add_argument("--config", type=Path, help="a TOML file (default: tickstockpl.toml if there is one)")
    parser.add_argument("--channel", help="the tick channel to try (default: the first of the settings)")
    parser.add_argument("--watch", type=float, default=3.0, metavar="SECONDS", help="listen for live ticks so long")
    parser.add_argument("--ask-delete", action="store_true", help="ask before the test rows are deleted")
    options = parser.parse_args(arguments)
    if not 0 <= options.watch < float("inf"):
        parser.error(f"argument --watch: must be at least 0, was {options.watch:g}")
    if not options.auto and not sys.stdin.isatty():
        print("nobody is there to answer questions: use --auto", file=sys.stderr)
        return 2
    try:
        report = asyncio.run(check(options, load(options.config)))
    except (SettingsError, ServerError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    passed = sum(link.state == "pass" for link in report.links)
    print(
        f"{passed} links hold, {len(report.failed)} do not, {len(report.links) - passed - len(report.failed)} not tried"
    )
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
