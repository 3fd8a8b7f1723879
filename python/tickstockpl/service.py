"""The life of the service: warm up, run the stages as one group, drain them in order.

ingest ─► pipeline ─► writer, publisher: each closes its outlet when it ends, so that stopping the first stops all.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from tickstockpl import collector
from tickstockpl import sessions as calendars
from tickstockpl.aliases import Names
from tickstockpl.channel import Channel
from tickstockpl.clock import Clock, SystemClock
from tickstockpl.continuation import keep, unsent
from tickstockpl.daily import DailyBars
from tickstockpl.definitions import Definitions
from tickstockpl.followers import Followers
from tickstockpl.formations import Formations
from tickstockpl.health import Health
from tickstockpl.history import History
from tickstockpl.kernel import Engine, EngineSettings, patterns_with
from tickstockpl.metrics import Metrics
from tickstockpl.moments import moment_at
from tickstockpl.open_events import OpenEvents
from tickstockpl.ownership import Ownership
from tickstockpl.pipeline import Pipeline
from tickstockpl.position import Begun, Position
from tickstockpl.publisher import Publisher
from tickstockpl.quarantine import Quarantine
from tickstockpl.rating import Rating
from tickstockpl.retention import Retention
from tickstockpl.rolled import rolled
from tickstockpl.rule import Rule
from tickstockpl.selection import engine_settings, event_followers, rate_table, rules_on, shown
from tickstockpl.settings import Settings
from tickstockpl.sources import Source
from tickstockpl.starting import SESSIONS_BACK, begin, prepared
from tickstockpl.taking_up import TakingUp
from tickstockpl.teller import Teller
from tickstockpl.vocabulary import TIERS
from tickstockpl.warmup import published
from tickstockpl.web import serving
from tickstockpl.wire import Findings, Inbound, WriteBatch
from tickstockpl.writer import Writer

log = structlog.get_logger(__name__)

STOP_S = 7.0
"""A stop has so long to store the rest; a service manager that waits ten seconds sees a clean exit."""

PUBLISH_DRAIN_S = 3.0
READ_S = 1.0
SENT_BEFORE_S = 300.0
"""Events stored so long ago may not have expired yet by our clock."""


class StoppedEarly(Exception):
    """`stop` came before the service was up."""


class Running:
    """A service that is up: what an embedder may ask of it."""

    def __init__(self, health: Health, port: int) -> None:
        self.health = health
        self.port = port


async def run(
    settings: Settings,
    *,
    stop: asyncio.Event,
    clock: Clock | None = None,
    on_ready: Callable[[Running], None] | None = None,
    take_over: bool = False,
    reread: asyncio.Event | None = None,
) -> None:
    """Run until `stop` is set, then drain: closed bars and events are written and sent, open bars kept as provisional.

    on_ready: called once the stages run; the tick channels may not have been reached yet.
    take_over: do not wait until the process that owns the work ends, but shut it out.
    reread: set whenever the table `pattern_definitions` is to be read again.
    Raises SettingsError or ServerError at the start, if something is set wrong or a server cannot be used, and
    FencedError when another process has taken over.
    """
    clock = clock or SystemClock()
    told, rules, metrics = shown(settings.indicators), rules_on(settings.patterns), Metrics()
    inbox: Channel[Inbound] = Channel(256, "ticks")
    writes: Channel[WriteBatch] = Channel(1024, "writes", producers=2)
    events: Channel[Findings] = Channel(1024, "events")
    rating, teller = _rating(settings, rules), Teller(settings, clock, metrics)
    definitions = _definitions(settings, rules, reread or asyncio.Event())
    ownership = Ownership(settings.database, settings.ingest.part, definitions.ask)
    source: Source | None = None

    reached: Position | None = None

    def stored(position: Position) -> None:
        nonlocal reached
        reached = position
        if source is not None:
            source.release(position)

    writer = Writer(settings, writes, clock, metrics, ownership=ownership, stored=stored, ended=teller.stored)
    mode = settings.session.mode
    calendar: calendars.Sessions | None = None

    def in_session() -> bool | None:
        if mode == "always":
            return True
        return None if calendar is None else calendar.current(mode, clock.now_us()) is not None

    health = Health(clock, metrics, settings.feed, in_session)
    formations = Formations(clock, lambda: definitions.switches, Names(patterns_with(rules)).ids_of)
    async with (
        AsyncExitStack() as servers,
        serving(settings.http, {**health.answers(), **formations.answers()}, metrics) as port,
    ):
        try:
            async with _unless(stop):
                calendar = await prepared(settings, clock)
                await servers.enter_async_context(writer)
                servers.callback(ownership.close)
                await ownership.acquire(take_over=take_over)
                await definitions.begin()
                start = await begin(settings, rules, calendar, clock, writer, ownership, servers)
                sent = await published(settings.database, lately_s=settings.publish.expire_s + SENT_BEFORE_S)
        except StoppedEarly:
            log.info("stopped before it was ready")
            return
        engine, source, begun = start.engine, start.source, start.source.begun
        helpers = _Helpers.of(settings, rules, calendar, clock, start.known_us)
        pipeline = Pipeline(
            *(engine, settings.tick_channels, inbox, writes, events, clock),
            begun=begun,
            heard_until_us=start.heard_us,
            shown=told,
            quarantine=_quarantine(settings, begun),
            rating=rating,
            switches=lambda: definitions.switches,
            followers=helpers.followers,
        )
        publisher = Publisher(
            settings,
            events,
            writes,
            clock,
            metrics,
            progressing=pipeline.made_progress,
            pulse=health.pulse,
            drain_s=PUBLISH_DRAIN_S,
            sent=sent,
        )
        for findings in unsent(start.kept, engine):
            publisher.admit(findings)
        _show(engine, [*source.queues(), inbox, writes, events], metrics, health, formations)

        async def drain() -> None:
            await stop.wait()
            log.info("stopping: draining what is closed")
            writer.stop(STOP_S)
            source.stop()

        servers.enter_context(collector.seldom())
        async with asyncio.TaskGroup() as tasks:
            stages = [
                *(tasks.create_task(filler, name=name) for name, filler in source.stages(inbox)),
                tasks.create_task(pipeline.run(source.past()), name="pipeline"),
                tasks.create_task(writer.collect(), name="writer.collect"),
                tasks.create_task(writer.run(), name="writer.run"),
                tasks.create_task(publisher.collect(), name="publisher.collect"),
                tasks.create_task(publisher.run(), name="publisher.run"),
            ]
            health.ready(
                {
                    **source.statuses(),
                    "pipeline": pipeline.status,
                    "writer": writer.status,
                    "publisher": publisher.status,
                    "definitions": definitions.status,
                    "outcomes": teller.status,
                    **helpers.statuses(),
                }
            )
            taking_up = tasks.create_task(helpers.follow(pipeline), name="open events")
            beside = [
                taking_up,
                tasks.create_task(drain(), name="drain"),
                tasks.create_task(health.watch(publisher), name="health"),
                tasks.create_task(ownership.watch(), name="ownership"),
                tasks.create_task(teller.run(), name="outcomes"),
                tasks.create_task(helpers.retention.run(), name="retention"),
                tasks.create_task(helpers.daily.run(), name="daily"),
                *(tasks.create_task(task, name=name) for name, task in definitions.tasks()),
            ]
            log.info("ready", health=f"http://{settings.http.host}:{port}/health", warm_bars=start.warm_bars)
            if on_ready is not None:
                on_ready(Running(health, port))
            await _ended(stages, taking_up, beside)
        if source.continues:
            left = reached, pipeline.left(), publisher.unsent()
            await keep(engine, settings, ownership, begun.src_id, *left)
        log.info("stopped", **_totals(engine.counters()))


async def _ended(
    stages: Sequence[asyncio.Task[None]], reading: asyncio.Task[None], helpers: Sequence[asyncio.Task[None]]
) -> None:
    """Returns when all stages have ended, and their helpers are told to."""
    await asyncio.wait(stages)
    await asyncio.wait([reading], timeout=READ_S)  # a query that is cancelled leaves a connection behind
    for helper in helpers:
        helper.cancel()


@dataclass(frozen=True, slots=True)
class _Helpers:
    """What works on rows beside the stages. followers: the pipeline's, to be told what the run before has left open.

    engine: what the bars since are rolled up by. known_us: longer bars within a session that were over by then come
    from rows, for the engine does not tell of them; now_us: the same of days and weeks.
    """

    followers: Followers
    open_events: TakingUp
    daily: DailyBars
    retention: Retention
    engine: EngineSettings
    known_us: int | None
    now_us: int

    @classmethod
    def of(
        cls,
        settings: Settings,
        rules: Sequence[Rule],
        calendar: calendars.Sessions,
        clock: Clock,
        known_us: int | None,
    ) -> "_Helpers":
        database, part, now_us, mode = settings.database, settings.ingest.part, clock.now_us(), settings.session.mode
        back = calendar.latest("regular", SESSIONS_BACK, now_us)
        first_us = back[0].open_us if back else now_us
        return cls(
            event_followers(settings, calendar),
            TakingUp(
                *(database, part, calendar.table(mode), now_us),
                regular=mode == "regular",
                kept_days=settings.retention.patterns_days,
            ),
            DailyBars(database, settings.bars.revise_s, first_us, clock),
            Retention(settings, clock),
            engine_settings(settings, calendar, None, rules),
            known_us,
            now_us,
        )

    def statuses(self) -> dict[str, Callable[[], dict[str, Any]]]:
        told = {"open_events": self.open_events.status, "daily": self.daily.status}
        return {**told, "retention": self.retention.status}

    async def follow(self, pipeline: Pipeline) -> None:
        """Have the pipeline follow the events that are still open, while it works already."""
        for timeframe in self.followers.timeframes:
            until_us = self.now_us if timeframe in TIERS else self.known_us

            async def take(
                events: OpenEvents, minutes: History, timeframe: str = timeframe, until_us: int | None = until_us
            ) -> None:
                bars = await asyncio.to_thread(rolled, minutes, timeframe, self.engine, until_us)
                await pipeline.take_up(timeframe, events, bars)

            await self.open_events.hand_over(timeframe, take)
            self.followers.loaded(timeframe)
        log.info("open events are followed", events=self.open_events.status()["taken_up"])


def _show(engine: Engine, queues: list[Channel[Any]], metrics: Metrics, health: Health, formations: Formations) -> None:
    """Have the engine and the queues told of to those who ask."""
    formations.ready(engine)
    metrics.read_engine(engine.counters)
    metrics.read_queues(lambda: [(c.name, len(c), c.capacity) for c in queues])
    metrics.read_stages(health.statuses)


def _definitions(settings: Settings, rules: Sequence[Rule], asked: asyncio.Event) -> Definitions:
    patterns = patterns_with(rules)
    return Definitions(settings, patterns, Names(patterns).ids_of, asked)


def _rating(settings: Settings, rules: Sequence[Rule] = ()) -> Rating:
    """What events are told of measured rates, after a word about what that is.

    Raises SettingsError.
    """
    table = rate_table(settings.patterns, rules)
    if table is None:
        return Rating()
    made, mode, least = table.calibration, settings.patterns.confidence, settings.publish.min_confidence
    log.info(
        "rates are told",
        file=str(table.path),
        data=made.dataset.name,
        made=f"{moment_at(made.made_at_us):%Y-%m-%d}",
        patterns=len(table.highest),
        without=len(table.unknown),
        confidence=mode,
    )
    if table.stale:
        log.warning("rates of patterns that are defined otherwise now are not used", ids=list(table.stale))
    if mode == "hit_rate" and table.silences(least):
        reach = table.reaching(least)
        log.warning("few rates reach publish.min_confidence: most events will not be sent", was=least, patterns=reach)
    return Rating(table.indexes, as_confidence=mode == "hit_rate")


def _quarantine(settings: Settings, begun: Begun) -> Quarantine:
    begins_src = begun.position.replay_src if begun.position is not None else 0
    return Quarantine(settings.state_dir / "quarantine" / f"{settings.ingest.part}.json", begun.src_id, begins_src)


@asynccontextmanager
async def _unless(stop: asyncio.Event) -> AsyncIterator[None]:
    """Leave the block with StoppedEarly as soon as `stop` is set: a start may wait long for a slow database."""
    loop, deadline = asyncio.get_running_loop(), asyncio.timeout(None)

    def cut(watch: asyncio.Task[Any]) -> None:
        if not watch.cancelled():
            with suppress(RuntimeError):  # the block is over already
                deadline.reschedule(loop.time())

    try:
        async with deadline:
            watch = loop.create_task(stop.wait(), name="start")
            watch.add_done_callback(cut)
            try:
                yield
            finally:
                watch.cancel()
    except TimeoutError:
        if not deadline.expired():
            raise
        raise StoppedEarly from None


def _totals(counters: dict[str, int]) -> dict[str, int]:
    return {name: counters[name] for name in ("ticks", "folded", "bars", "bars_revised", "detections")}
