"""What a run begins with: the calendar, and the engine as the run before has left it or as the database says."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from tickstockpl import migrate, postgres, timetable
from tickstockpl import sessions as calendars
from tickstockpl.clock import Clock
from tickstockpl.continuation import ignored, restored
from tickstockpl.daily import daily_bars, over_us
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.finished import SESSIONS, counted, finished, last
from tickstockpl.heard import OPENS, Heard
from tickstockpl.history import Replayed
from tickstockpl.kernel import PROVISIONAL, Engine
from tickstockpl.losses import JUMP
from tickstockpl.missed import windows
from tickstockpl.moments import MINUTE_US, moment_at
from tickstockpl.ownership import Ownership
from tickstockpl.past_bars import DAYS, Past, PastBars, past_bars
from tickstockpl.position import EVER_US
from tickstockpl.rule import Rule
from tickstockpl.selection import engine_settings, reached
from tickstockpl.settings import Settings
from tickstockpl.snapshot import Snapshot
from tickstockpl.sources import Source, open_source
from tickstockpl.volumes import DAYS as VOLUME_DAYS
from tickstockpl.volumes import SESSIONS as VOLUME_SESSIONS
from tickstockpl.volumes import MinuteVolumes, minute_volumes
from tickstockpl.warmup import history, revised
from tickstockpl.writer import Writer

log = structlog.get_logger(__name__)

SESSIONS_BACK = 30
"""How many sessions the search for history goes back: 200 bars of a thin symbol, and bounded chunks to look at."""
SESSION_AHEAD_US = 86_400_000_000


async def prepared(settings: Settings, clock: Clock) -> calendars.Sessions:
    """The calendar, after a look at the database: nothing is written, for it may have another owner still.

    Raises ServerError if either cannot be had, SettingsError if the database has another calendar.
    """
    missing = await migrate.pending(settings.database.dsn(), policy=settings.database.symbol_policy)
    if missing:
        raise ServerError(f"the database is not ready ({len(missing)} statements): run `tickstockpl migrate` first")
    named = settings.session
    async with postgres.for_command(settings.database, command_timeout_s=30) as connection:
        await timetable.refuse_another(connection, named.calendar, named.timezone)
    today = datetime.fromtimestamp(clock.now_us() / 1e6, UTC).date()
    return await asyncio.to_thread(calendars.load, named.calendar, named.timezone, settings.state_dir, today)


class Warmed(NamedTuple):
    """What an engine was fed."""

    bars: int
    heard_us: int | None
    """Until when ticks are known."""
    known_us: int | None
    """The end of the newest final minute: longer bars that were over by then are no news, and not told."""


async def warm(
    engine: Engine,
    settings: Settings,
    calendar: calendars.Sessions,
    now_us: int,
    replayed: Replayed | None = None,
) -> Warmed:
    """Tell the engine of finished sessions and feed it history.

    replayed: bars that come by another way.
    Raises ServerError if the database cannot be read.
    """
    over = over_us(now_us, settings.bars.revise_s)
    if replayed is not None and replayed.anew_us > 0:
        # A feed may lag by minutes or be of another year: what its own session has had is what the state begins with.
        now_us = min(now_us, replayed.anew_us)
    table = calendar.table(settings.session.mode)
    longer = _past(settings, calendar, table, now_us, replayed)
    lately = table[table[:, 0] <= now_us + SESSION_AHEAD_US][-SESSIONS_BACK:]
    begun, daily = table[table[:, 0] <= now_us], settings.session.mode == "regular"
    before = last(begun[:-1], calendar.regular, VOLUME_SESSIONS if engine.needs_volumes else SESSIONS)
    if daily and len(before):
        await _catch_up(settings, before, over)
    taken, told, newest_us, known_us = 0, 0, None, None
    opens = calendar.regular[calendar.regular[:, 0] <= now_us][-OPENS:, 0]
    chunks = history(
        settings.database,
        lately,
        now_us,
        window=settings.bars.window,
        revise_s=settings.bars.revise_s,
        heard_us=int(opens[-2]) if len(opens) > 1 else None,  # at the last of them a run forgot the others
        replayed=replayed,
    )
    # Today's, too, where a symbol may have been heard in it before the regular open.
    read = before if daily else begun[len(begun) - len(before) - 1 :]
    today_us = int(begun[-1, 0]) if len(begun) else now_us
    sessions_read = finished(settings.database, read, daily=daily, replayed=replayed)
    volumes_read = _volumes(settings, before, replayed) if engine.needs_volumes else nullcontext()
    async with sessions_read as sessions, volumes_read as volumes, longer as past:
        heard = Heard(sessions.connection, opens, sessions.naive)
        if past is not None:
            engine.longer_from(today_us)
            await _tell_missed(engine, past, now_us)
        async for read_chunk in chunks:
            symbols, finished_rows = read_chunk.symbols, await sessions.of(read_chunk.symbols)
            past_rows = await past.read(symbols) if past is not None else Past(None, None)
            bars = [(each.symbol, each.ts_us) for each in (read_chunk, *past_rows.all()) if each is not None]
            bars += [(finished_rows.symbol, us) for us in (finished_rows.open_us, finished_rows.close_us)]
            since_us = await heard.since(symbols, bars)
            chunk = read_chunk.where(read_chunk.ts_us >= since_us[read_chunk.symbol])
            told += engine.know(counted(finished_rows, since_us, today_us))
            if volumes is not None:
                engine.know_volumes(await volumes.of(symbols, engine.volumes_since(symbols)))
            for timeframe, made in past.bars(past_rows.since(since_us)) if past is not None else ():
                engine.warm_longer(timeframe, made)
            taken += engine.warm(chunk)
            if not len(chunk):
                continue
            # After a kill the newest minute may be stored for some symbols only: it belongs to the gap.
            is_open = chunk.quality & PROVISIONAL != 0
            newest_us = max(newest_us or 0, int(np.where(is_open, chunk.close_us, chunk.ts_us).max()))
            if not is_open.all():
                known_us = max(known_us or 0, int(chunk.ts_us[~is_open].max()) + MINUTE_US)
    log.info("finished sessions told", sessions=len(before), rows=told)
    engine.recall(await revised(settings.database, lately, now_us, revise_s=settings.bars.revise_s))
    return Warmed(taken, newest_us, known_us)


def _volumes(
    settings: Settings, before: NDArray[np.int64], replayed: Replayed | None
) -> AbstractAsyncContextManager[MinuteVolumes | None]:
    """What reads what minutes of those sessions traded; nothing, if there are none."""
    if not len(before):
        return nullcontext()
    return minute_volumes(settings.database, before, replayed=replayed)


def _past(
    settings: Settings, calendar: calendars.Sessions, table: NDArray[np.int64], now_us: int, replayed: Replayed | None
) -> AbstractAsyncContextManager[PastBars | None]:
    """What reads the longer bars of the sessions before the one that is on; nothing, if all minutes come again."""
    begun = table[table[:, 0] <= now_us]
    if not len(begun) or (replayed is not None and replayed.anew_us == EVER_US):
        return nullcontext()
    return past_bars(
        settings.database,
        engine_settings(settings, calendar, None),
        begun[:-1],
        back=settings.bars.longer_sessions,
        regular=settings.session.mode == "regular",
        replayed=replayed,
    )


async def _tell_missed(engine: Engine, past: PastBars, now_us: int) -> None:
    """When nobody listened, which minutes do not say of symbols that had no bar then."""
    first_us = int(past.sessions[-DAYS:][0, 0]) if len(past.sessions) else now_us - SESSION_AHEAD_US
    for window in await windows(past.connection, first_us, now_us):
        if not window.symbols and window.cause != JUMP:
            engine.missed(window.started_us, window.ended_us)


async def _catch_up(settings: Settings, sessions: NDArray[np.int64], over: int) -> None:
    """Write the daily bars that these sessions lack: of 10,000 symbols a session takes seconds, once."""
    first, last = moment_at(int(sessions[0, 0])), moment_at(int(sessions[-1, 0]))
    async with daily_bars(settings.database) as daily:
        for session in await daily.due(int(sessions[0, 0]), over):
            if first <= session.open_at <= last:
                await daily.write(session)


@dataclass(frozen=True, slots=True)
class Start:
    """What the stages begin with. kept: of the run before, if it is gone on from; the engine is as it was then."""

    engine: Engine
    source: Source
    kept: Snapshot | None
    warm_bars: int
    heard_us: int | None
    known_us: int | None
    """Longer bars that were over by then are not told any more."""


async def begin(
    settings: Settings,
    rules: Sequence[Rule],
    calendar: calendars.Sessions,
    clock: Clock,
    writer: Writer,
    ownership: Ownership,
    servers: AsyncExitStack,
) -> Start:
    """The engine as the run before has left it: from its snapshot, else from rows, and from messages yet to come.

    The database is told of the calendar's sessions first. Raises SettingsError if it has another calendar.
    """
    async with postgres.for_command(settings.database, command_timeout_s=30) as connection:
        await timetable.keep(connection, calendar.tables(), calendar.calendar, calendar.timezone)
    engine = build_engine(settings, calendar, writer.price_scale(), rules)
    kept = await restored(engine, settings, ownership)
    source = await open_source(settings, ownership, clock, servers, kept.progress if kept is not None else None)
    begun = source.begun
    writer.claimed(begun.src_id, resumes=source.resumes)
    if kept is not None and begun.progress is not None:
        return Start(engine, source, kept, 0, begun.progress.heard_us, told_us(engine, settings))
    if kept is not None:
        ignored("the source has come to another place")
        engine = build_engine(settings, calendar, writer.price_scale(), rules)
    # Of a spool that has nothing yet, no row can come again.
    replayed = source.replayed if begun.continues or settings.ingest.mode != "pubsub" else None
    warmed = await warm(engine, settings, calendar, clock.now_us(), replayed)
    if begun.position is not None:
        engine.settle(begun.position.anew_us, begun.position.settled_src)
        engine.resume(begun.position.standing)
    heard_us = warmed.heard_us if source.heard_us is None else source.heard_us
    return Start(engine, source, None, warmed.bars, heard_us, warmed.known_us)


def told_us(engine: Engine, settings: Settings) -> int | None:
    """Until when the run before has told of longer bars: where the feed was in every channel, for sure."""
    reached = [us for us in engine.event_time_us() if us >= 0]
    lateness_s = max(settings.bars.lateness_a_s, settings.bars.lateness_t_s)
    return min(reached) - round(lateness_s * 1e6) if reached else None


def build_engine(
    settings: Settings, calendar: calendars.Sessions, price_scale: int | None, rules: Sequence[Rule] | None = None
) -> Engine:
    """The engine as the settings want it.

    rules: those of the settings, where they have been read.
    Raises SettingsError for a pattern that does not exist or can never be found, for two of one name, for a mistake in
    a file of rules, or for bounds that cross; for minutes that are deleted before a start can read them.
    """
    told = engine_settings(settings, calendar, price_scale, rules)
    reached(told, "patterns.enabled")
    engine = Engine(told)
    kept = settings.retention.bars_days
    if engine.needs_volumes and kept is not None and kept < VOLUME_DAYS:
        raise SettingsError(
            f"retention.bars_days must be at least {VOLUME_DAYS} where a pattern asks what a minute traded on other "
            f"days, was {kept}"
        )
    return engine
