"""The command `tickstockpl`. A person's mistake is one line and exit code 2, never a traceback."""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import orjson
import typer
from pydantic import SecretStr

from tickstockpl import calibrate_command, patterns_command, recording, scan_command
from tickstockpl.dsn import check_redis_url
from tickstockpl.errors import SettingsError, TickstockError
from tickstockpl.loading import masked
from tickstockpl.options import ROWS, Config, First, Last, Mode, Rows, Symbols, once, runner, settings_of
from tickstockpl.settings import Settings

if TYPE_CHECKING:
    from tickstockpl.upkeep import Asked

app = typer.Typer(
    name="tickstockpl",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Channel = Annotated[str, typer.Option(help="The Redis channel to publish on.")]
Url = Annotated[str | None, typer.Option(help="The Redis to publish to; default is that of the settings.")]


class Server(StrEnum):
    """Where which rights are asked for."""

    REDIS = "redis"
    POSTGRES = "postgres"
    TAP = "tap"


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tickstockpl {version('tickstockpl')}\n")
        raise typer.Exit


@app.callback(epilog="Example: tickstockpl demo, which needs no server")
def options(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Live market ticks to 1-minute bars and chart-pattern events."""


def main() -> None:
    """Entry point: errors raised on purpose, ours and typer's, become one line and their exit code."""
    try:
        code = app(standalone_mode=False)
    except TickstockError as error:
        _end(str(error), error.exit_code)
    except typer.TyperException as error:
        _end(" ".join(error.format_message().split()), error.exit_code)
    except typer.Abort:
        _end("aborted", 1)
    else:
        sys.exit(code)


def _end(said: str, code: int) -> NoReturn:
    if said:  # nothing where no command was named: typer has printed the help
        sys.stderr.write(f"tickstockpl: {said}\n")
    sys.exit(code)


@app.command(epilog="Example: DATABASE_URI=postgresql:///tickstock REDIS_URL=redis://localhost:6379/0 tickstockpl run")
def run(
    config: Config = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="Shut out the process that owns the work.")] = False,
) -> None:
    """Run the service until SIGTERM or Ctrl-C; a second signal stops at once. SIGHUP has it read which patterns are on.

    A second service on the same database waits until the first one ends; with --take-over it does not wait, and the
    first one ends with exit code 3.
    """
    from tickstockpl import service

    settings = settings_of(config)
    settings.database.dsn()
    if not settings.redis.given:
        sys.stderr.write(f"tickstockpl: nobody named a Redis, using {settings.redis.address}\n")
    reread = asyncio.Event()
    _loop(lambda stop: service.run(settings, stop=stop, take_over=take_over, reread=reread), reread)


@app.command(epilog="Example: tickstockpl demo --minutes 30 --symbols 20")
def demo(
    minutes: Annotated[int, typer.Option(min=2, help="Minutes of market to simulate.")] = 120,
    symbols: Annotated[int, typer.Option(min=1, max=500, help="How many symbols.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same market.")] = 1,
    keep: Annotated[bool, typer.Option(help="Leave the service and its health port running at the end.")] = False,
) -> None:
    """Show the main job with servers of its own: a simulated market, its bars and its patterns."""
    from tickstockpl.dev import demo as demonstration

    code = 0

    async def play(stop: asyncio.Event) -> None:
        nonlocal code
        code = await demonstration.demo(minutes=minutes, symbols=symbols, seed=seed, keep=keep, stop=stop)

    _loop(play)
    sys.exit(code)


@app.command(name="tap", epilog="Example: REDIS_URL=redis://localhost:6379/0 tickstockpl tap")
def copy_ticks(config: Config = None) -> None:
    """Copy the tick channels into Redis Streams, for a service that was away; runs until SIGTERM or Ctrl-C."""
    from tickstockpl import tap

    settings = settings_of(config)
    if not settings.redis.given:
        sys.stderr.write(f"tickstockpl: nobody named a Redis, using {settings.redis.address}\n")
    _loop(lambda stop: tap.run(settings, stop=stop))


@app.command(epilog="Example: tickstockpl check --config tickstockpl.toml")
def check(config: Config = None) -> None:
    """Print the effective settings (secrets masked), names that nobody reads, and try each server."""
    from tickstockpl import check as checks

    settings = settings_of(config)
    sys.stdout.write(orjson.dumps(masked(settings), option=orjson.OPT_INDENT_2).decode() + "\n")
    failed = 0

    async def look() -> None:
        nonlocal failed
        async for finding in checks.findings(settings):
            verdict = "FAIL" if not finding.ok else "warn" if finding.warning else "ok  "
            sys.stdout.write(f"{verdict} {finding.what}: {finding.said}\n")
            failed += not finding.ok

    once(look())
    sys.exit(2 if failed else 0)


@app.command(name="migrate", epilog="Example: DATABASE_URI=postgresql:///tickstock tickstockpl migrate")
def migrate_database(
    config: Config = None,
    convert: Annotated[
        bool, typer.Option(help="Make an ohlcv_1min that holds rows a hypertable; it is locked meanwhile.")
    ] = False,
) -> None:
    """Create our tables, adopt AppV2's (only nullable columns are added); a second run changes nothing."""
    from tickstockpl import migrate

    settings = settings_of(config)

    async def upgrade() -> None:
        done = await migrate.migrate(settings.database.dsn(), convert=convert)
        plain = "a plain table; `tickstockpl migrate --convert` makes it a hypertable"
        if not done.timescale:
            plain += ", after CREATE EXTENSION timescaledb in this database"
        table = "a hypertable" if done.hypertable else plain
        sys.stdout.write(f"{'migrated' if done.changed else 'nothing to do'}; ohlcv_1min is {table}\n")

    once(upgrade())


@app.command(name="rights", epilog="Example: tickstockpl rights redis | redis-cli")
def print_rights(
    server: Annotated[
        Server | None,
        typer.Argument(help="The service's of one server, or the tap's of Redis; default: redis and postgres."),
    ] = None,
    config: Config = None,
    name: Annotated[
        str | None, typer.Option(help="Of the user; default tickstockpl, of the tap tickstockpl-tap.")
    ] = None,
) -> None:
    r"""Print the least rights that `run` or `tap` needs with these settings, as commands for administrators.

    Neither sets a password: ACL SETUSER tickstockpl >PASSWORD does in Redis, \password tickstockpl in psql.
    """
    from tickstockpl import rights

    settings = settings_of(config)
    if server is Server.TAP:
        sys.stdout.write(f"{rights.redis_rule(rights.tap_uses(settings), name or 'tickstockpl-tap')}\n")
    if server in (Server.REDIS, None):
        sys.stdout.write(f"{rights.redis_rule(rights.service_uses(settings), name or 'tickstockpl')}\n")
    if server in (Server.POSTGRES, None):
        sys.stdout.write("\n".join(rights.postgres_grants(settings, name or "tickstockpl")) + "\n")


@app.command(epilog="Example: tickstockpl gaps --from 2026-11-23 --symbol AAPL --csv")
def gaps(
    config: Config = None,
    since: First = None,
    until: Last = None,
    symbol: Symbols = None,
    mode: Annotated[Mode | None, typer.Option(help="Default: session.mode of the settings.")] = None,
    rows: Rows = ROWS,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every symbol of every day, as CSV.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 if there is a flagged bar.")] = False,
) -> None:
    """List what may be missing, by day and symbol, against the exchange's calendar; by default of five sessions."""
    from tickstockpl import upkeep

    asked = _asked(since, until, symbol, mode)
    if as_json and as_csv:
        raise SettingsError("--json or --csv, not both")
    form: upkeep.Form = "json" if as_json else "csv" if as_csv else "table"
    flagged = once(upkeep.show_gaps(settings_of(config), asked, form=form, rows=rows))
    sys.exit(1 if fail and flagged else 0)


@app.command(epilog="Example: tickstockpl repair bars.csv --from 2026-11-23 --dry-run")
def repair(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Minute bars, Parquet or CSV; none: ask the vendor.")
    ] = None,
    config: Config = None,
    since: First = None,
    until: Last = None,
    symbol: Symbols = None,
    mode: Annotated[Mode | None, typer.Option(help="The sessions that the vendor is asked for.")] = None,
    timezone: Annotated[str, typer.Option(help="Of a file's stamps that have none.")] = "UTC",
    everything: Annotated[
        bool, typer.Option("--all", help="Also minutes that nothing is known to be wrong with.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only say what would be.")] = False,
    rows: Rows = ROWS,
) -> None:
    """Put flagged minutes right from a file of bars, or from the vendor; a second time changes nothing."""
    from tickstockpl import upkeep

    settings, asked = settings_of(config), _asked(since, until, symbol, mode)
    how = upkeep.Repair(tuple(files or ()), timezone, everything=everything, dry_run=dry_run)
    once(upkeep.run_repair(settings, asked, how, rows=rows))


@app.command(
    epilog="Examples: tickstockpl daily, before a first start on minutes that are there; "
    "tickstockpl daily --from 2026-01-02, after somebody else has changed them"
)
def daily(config: Config = None, since: First = None, until: Last = None) -> None:
    """Fold stored minutes into ohlcv_daily, as the service does after each session; rows of others keep their values.

    By default of all sessions that lack daily bars, or whose minutes the service or a repair has changed since; with
    --from or --to of every session of these days. A second time changes nothing.
    """
    from tickstockpl import upkeep

    once(upkeep.run_daily(settings_of(config), _asked(since, until, None, None)))


@app.command(epilog="Example: TICKSTOCKPL_RETENTION__BARS_DAYS=365 tickstockpl retain --dry-run")
def retain(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, only say what would be.")] = False,
) -> None:
    """Delete rows older than the settings keep them, as the service does once a day."""
    from tickstockpl import upkeep

    once(upkeep.run_retain(settings_of(config), dry_run=dry_run))


app.command(epilog=patterns_command.EPILOG)(patterns_command.patterns)
app.command(epilog=scan_command.EPILOG)(scan_command.scan)
app.command(epilog=calibrate_command.EPILOG)(calibrate_command.calibrate)


@app.command(epilog="Example: tickstockpl simulate --symbols 20 --minutes 10 --late 0.01 --truth true_bars.csv")
def simulate(
    config: Config = None,
    url: Url = None,
    channel: Channel = "data.raw",
    symbols: Annotated[int, typer.Option(min=1, help="How many: ZZTEST1, ZZTEST2, ...")] = 10,
    minutes: Annotated[int, typer.Option(min=1, help="Minutes of market to simulate.")] = 5,
    speed: Annotated[float, typer.Option(min=0, help="Event seconds a second; 0 is as fast as it goes.")] = 1.0,
    start: Annotated[float | None, typer.Option(help="Epoch seconds; default: now, or ending now.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same market.")] = 1,
    source: Annotated[str, typer.Option(help="The messages' source; simulated: patterns at any hour.")] = "polygon",
    bursts: Annotated[float, typer.Option(min=0, max=1, help="Share of minutes with a burst.")] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share of late ticks.")] = 0.0,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Share of ticks sent twice.")] = 0.0,
    broken: Annotated[float, typer.Option(min=0, max=1, help="Share of broken messages beside the good ones.")] = 0.0,
    pack: Annotated[int, typer.Option(min=1, help="Ticks a message; more than 1 makes JSON arrays.")] = 1,
    truth: Annotated[Path | None, typer.Option(help="Write the true bars to this CSV.")] = None,
    yes: Annotated[bool, typer.Option(help="Send even among live ticks, without asking.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Send nothing: delete what simulations left.")] = False,
) -> None:
    """Publish a seeded market in AppV2's message form, with symbols that no exchange has."""
    from tickstockpl.dev import simulate as simulating

    address = _address(url, config)
    if forget:
        once(_forget(address, settings_of(config)))
        return
    if start is not None and not math.isfinite(start):
        raise SettingsError(f"--start must be epoch seconds, was {start}")
    now_us = time.time_ns() // 1000
    begin_us = now_us if start is None else round(start * 1e6)
    if start is None and speed != 1:
        begin_us -= minutes * 60_000_000
    market = simulating.Market(
        symbols=simulating.test_symbols(symbols),
        start_us=begin_us,
        minutes=minutes,
        seed=seed,
        source=source,
        bursts=bursts,
        late=late,
        duplicate=duplicate,
        broken=broken,
        pack=pack,
    )

    async def send(stop: asyncio.Event) -> None:
        sent, _ = await simulating.simulate(
            address, channel, market, speed=speed, origin_us=begin_us, truth=truth, may_join=_ask(yes), stop=stop
        )
        sys.stdout.write(f"{sent.ticks:,} ticks in {sent.messages:,} messages on {channel}, {sent.rate:,.0f} ticks/s\n")

    _loop(send)


@app.command(epilog=f"Example: tickstockpl replay trades.parquet --speed 60\n\n{recording.__doc__}")
def replay(
    files: Annotated[list[Path], typer.Argument(help="Parquet or CSV; columns as described below.")],
    config: Config = None,
    url: Url = None,
    channel: Channel = "data.raw",
    speed: Annotated[float, typer.Option(min=0, help="Event seconds a second; 0 is as fast as it goes.")] = 0.0,
    bar_seconds: Annotated[int, typer.Option(min=1, max=86_400, help="Length of the file's bars.")] = 1,
    timezone: Annotated[str, typer.Option(help="Of stamps that have none.")] = "UTC",
    symbol: Annotated[str | None, typer.Option(help="For files without a symbol column.")] = None,
    all_prints: Annotated[bool, typer.Option(help="Send prints too that the file calls not eligible.")] = False,
    pack: Annotated[int, typer.Option(min=1, help="Ticks a message; more than 1 makes JSON arrays.")] = 1,
) -> None:
    """Play trades or bars from files onto a Redis channel, merged by stamp."""
    from tickstockpl.dev import replay as replaying

    address = _address(url, config)
    reading = recording.Reading(bar_seconds=bar_seconds, timezone=timezone, symbol=symbol, all_prints=all_prints)

    async def play(stop: asyncio.Event) -> None:
        sent = await replaying.replay(address, channel, files, speed=speed, reading=reading, pack=pack, stop=stop)
        sys.stdout.write(f"{sent.ticks:,} ticks in {sent.messages:,} messages on {channel}, {sent.rate:,.0f} ticks/s\n")

    _loop(play)


async def _forget(url: str, settings: Settings) -> None:
    """Delete the rows and the cached patterns of `ZZTEST…` symbols, and say how many there were."""
    from tickstockpl.dev import forget as forgetting

    rows = await forgetting.forget_rows(settings.database.dsn())
    rows["cached patterns"] = await forgetting.forget_cached(url)
    sys.stdout.write("".join(f"{count:,} {what} deleted\n" for what, count in rows.items()))


def _asked(since: datetime | None, until: datetime | None, symbols: list[str] | None, mode: Mode | None) -> "Asked":
    from tickstockpl.upkeep import Asked

    return Asked(
        since.date() if since else None,
        until.date() if until else None,
        tuple(symbols or ()),
        mode.value if mode else None,
    )


def _address(url: str | None, config: Path | None) -> str:
    """The Redis to publish to.

    Raises SettingsError if `--url` is none.
    """
    if url is None:
        return settings_of(config).redis.connection_url()
    try:
        return check_redis_url(SecretStr(url)).get_secret_value()
    except ValueError as error:
        raise SettingsError(f"--url {error}") from None


def _ask(yes: bool) -> Callable[[str], bool] | None:
    if yes:
        return lambda _: True
    return typer.confirm if sys.stdin.isatty() else None


def _loop(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]], reread: asyncio.Event | None = None) -> None:
    """Run `main(stop)`; the first signal sets `stop`, the second ends the process. SIGHUP sets `reread`."""
    with runner() as made:
        stop = asyncio.Event()
        _listen(made.get_loop(), stop)
        if reread is not None and hasattr(signal, "SIGHUP"):  # Windows has none
            made.get_loop().add_signal_handler(signal.SIGHUP, reread.set)
        try:
            made.run(main(stop))
        except BaseExceptionGroup as group:
            known, others = group.split(TickstockError)
            if known is None or others is not None:
                raise
            raise _first(known) from None


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _listen(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for name in ("SIGINT", "SIGTERM"):
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, on_signal, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(on_signal, number))
