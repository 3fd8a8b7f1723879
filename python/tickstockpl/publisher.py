"""The stage that tells AppV2: events, session, health and heartbeats, and the keys behind its pattern page.

`collect` never blocks: what cannot be sent yet waits in order in a bounded outbox. `run` alone talks to Redis; a loss
of Redis costs only what waits longer than `publish.expire_s`.
"""

import asyncio
import math
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import structlog
from redis.asyncio import Redis

from tickstockpl import event_payload, payload
from tickstockpl.audience import Audience
from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.connection import LOST, Connection, heed_cancellation
from tickstockpl.dispatch import Dispatch
from tickstockpl.errors import ClosedChannel
from tickstockpl.events import SWITCHED_OFF, TOO_WEAK, Events
from tickstockpl.metrics import Metrics
from tickstockpl.pacing import Cadence, FeedTime
from tickstockpl.pattern_cache import PatternCache
from tickstockpl.payload import Pulse, Session
from tickstockpl.readings import Readings
from tickstockpl.settings import Settings
from tickstockpl.wire import Findings, WriteBatch

WATCH_S = 1.0
CACHE_S = 1.0
WALK_PAUSE_S = 0.005
"""Between two steps of a walk over all keys of Redis: it may take some seconds, but not a core."""
SESSION_S = 60.0
HEARTBEAT_TTL_S = 60
LATE_REVISION_US = 120_000_000
"""A pattern that a revision finds this long after its bar is history: it goes to the table only."""
PATIENCE_S = 0.5
"""How long heartbeats and the pattern cache may be put off while a minute's events are sent."""

log = structlog.get_logger(__name__)


class Publisher:
    """Events to Redis, paced; the ids of what went out to the writer.

    inbox: what was found and what was withdrawn, in the order in which that happened.
    outlet: batches with only `sent`; closed when `run` ends.
    progressing: False stops the heartbeats, so that AppV2 sees that the pipeline stands still.
    pulse: the service's numbers, read each time a health message is due.
    drain_s: how long `run` may go on sending after the inbox was closed.
    sent: ids of events that a run before this one has sent: of what is said again, these are not.
    """

    def __init__(
        self,
        settings: Settings,
        inbox: Channel[Findings],
        outlet: Channel[WriteBatch],
        clock: Clock,
        metrics: Metrics,
        *,
        progressing: Callable[[], bool],
        pulse: Callable[[], Pulse],
        drain_s: float = 5.0,
        sent: Collection[str] = (),
    ) -> None:
        self._redis, self._publish = settings.redis, settings.publish
        self._link = Connection(settings.redis, metrics)
        self._inbox, self._outlet = inbox, outlet
        self._clock, self._metrics = clock, metrics
        self._progressing, self._pulse = progressing, pulse
        self._drain_s = drain_s
        self._sent_before = frozenset(sent)
        publish = settings.publish
        self._session = Session(str(uuid.uuid4()), publish.session_universe, clock.now_us())
        self._audience = Audience(
            settings.redis.pattern_channel, (payload.PATTERNS_STREAMING, payload.SESSION_STARTED), self._link.name
        )
        self._feed = FeedTime(LATE_REVISION_US)
        self._cadence = Cadence()
        self._dispatch = Dispatch(
            settings, self._link, clock, metrics, self._session.session_id, self._audience.answered
        )
        self._cache = PatternCache(publish.cache_entries, publish.event_ttl_s, clock)
        self._notices: deque[tuple[str, bytes]] = deque(maxlen=32)
        self._wake = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None
        self._drain_until_s: float | None = None
        self._stalled = False
        self._loaded = 0
        self._below = self._late = self._unfit = self._off = 0

    async def collect(self) -> None:
        """Take events in as fast as they come; ends when the inbox is closed and empty."""
        async for findings in self._inbox:
            self.admit(findings)
        self._drain_until_s = self._clock.monotonic_s() + self._drain_s
        self._limit_run()
        self._wake.set()

    def admit(self, findings: Findings) -> None:
        """Sort out what will never be sent, keep the rest; what was withdrawn leaves AppV2's pattern page."""
        for gone in findings.expired:
            self._cache.withdraw(gone)
            self._dispatch.events.withdraw(gone)
        if findings.events is not None:
            self._admit_events(findings.events, findings.at_us)
        if findings.readings is not None:
            self._admit_readings(findings.readings)

    def _admit_events(self, events: Events, at_us: int | None) -> None:
        """`at_us`: when they were found, of those that are said again."""
        now_us, now_s = self._clock.now_us(), self._clock.monotonic_s()
        age_us = max(0, now_us - at_us) if at_us is not None else 0
        found_s = now_s - age_us / 1e6
        if not (fit := self._fit(events, now_us - age_us, found_s)):
            return
        self._cache.add(fit)
        if at_us is not None and self._sent_before:
            fit = fit.where(np.array([event_id not in self._sent_before for event_id in fit.event_ids()]))
        if fit:
            self._dispatch.events.add(fit, found_s)
            self._wake.set()

    def _admit_readings(self, readings: Readings) -> None:
        now_s, session_id = self._clock.monotonic_s(), self._session.session_id
        values = (payload.streaming_indicator(each, session_id) for each in readings.calculations())
        self._dispatch.values.add(readings.count(), values, now_s)
        alerts = [payload.indicator_alert(each, session_id) for each in readings.warnings()]
        self._dispatch.alerts.add(len(alerts), iter(alerts), now_s)
        self._wake.set()

    def feed_stalled(self, since_s: float) -> None:
        """Report that no tick has come for `since_s`; once, until `feed_recovered`."""
        if not self._stalled:
            self._stalled = True
            self._report_feed("FEED_STALLED", f"no ticks for {since_s:.0f} s", "critical", since_s)

    def feed_recovered(self, after_s: float) -> None:
        """Report that ticks come again, `after_s` after the last one before; nothing if no stall was reported."""
        if self._stalled:
            self._stalled = False
            self._report_feed("FEED_RECOVERED", f"ticks again after {after_s:.0f} s", "info", after_s)

    async def run(self) -> None:
        """Send until the inbox is closed and everything is out, or `drain_s` after that; survives any loss of Redis."""
        deadline = asyncio.timeout(None)
        async with aclosing(self._outlet):
            try:
                async with deadline:
                    self._deadline = deadline
                    self._limit_run()
                    await self._send_for_ever()
            except TimeoutError:
                if not deadline.expired():
                    raise
            self._report_sent()
        unsent, unreported = len(self._dispatch.events), len(self._dispatch.unreported)
        if unsent or unreported:
            log.warning("publisher stopped early", unsent=unsent, unreported=unreported)

    def unsent(self) -> list[tuple[int, Events]] | None:
        """After `run`: the events that wait still, and when they were found.

        None: more is left than that, which a start would find again in what it replays.
        """
        self._dispatch.expire()
        if self._dispatch.unreported or self._dispatch.alerts:
            return None
        now_us, now_s = self._clock.now_us(), self._clock.monotonic_s()
        waiting = self._dispatch.events.waiting()
        return [(now_us - round((now_s - arrived_s) * 1e6), events) for arrived_s, events in waiting if len(events)]

    def status(self) -> dict[str, Any]:
        """Counters and state, as plain values."""
        self._dispatch.expire()
        state: dict[str, Any] = {"state": "ok"}
        if not self._link.alive:
            state = {"state": "down", "reason": self._link.last_error or "not connected to Redis yet"}
        elif (why := self._dispatch.refusal()) is not None:
            state = {"state": "degraded", "reason": why}
        return {
            **state,
            "session_id": self._session.session_id,
            **self._dispatch.numbers(),
            "below_threshold": self._below,
            "patterns_off": self._off,
            "late_revisions": self._late,
            "unfit": self._unfit,
            "unheard": self._audience.unheard,
            "heard": self._audience.heard,
            "subscribers": dict(self._audience.subscribers),
            "cache_entries": len(self._cache),
            "cache_evicted": self._cache.evicted,
            "faults": self._link.faults,
            "last_error": self._link.last_error,
            "reconnections": max(0, self._link.made - 1),
            "redis": self._redis.address,
            "db": self._link.db,
        }

    def _fit(self, events: Events, now_us: int, now_s: float) -> Events:
        """Those that can be shown, are wanted, news, and confident enough; the others are counted."""
        if wrong := event_payload.faults(events):
            self._unfit += len(wrong)
            for at, why in wrong.items():
                event = events[at]
                self._link.note("event cannot be published", symbol=event.symbol, event_id=event.event_id, error=why)
            events = events.where(np.delete(np.arange(len(events)), list(wrong)))
        late, muted = self._feed.history(events, now_us, now_s), events.column("muted")
        off = (muted & SWITCHED_OFF) != 0
        weak = (events.column("confidence") < self._publish.min_confidence) | ((muted & TOO_WEAK) != 0)
        self._off += int(off.sum())
        self._late += int((late & ~off).sum())
        self._below += int((weak & ~(late | off)).sum())
        return events.where(~(late | weak | off))

    def _report_feed(self, kind: str, message: str, severity: str, seconds: float) -> None:
        now_us = self._clock.now_us()
        facts = {"component": "consumer", "seconds": round(seconds, 3)}
        alert = payload.critical_alert(kind, message, severity, facts, now_us)
        error = payload.error(str(uuid.uuid4()), severity, "network", message, "consumer", {"type": kind}, now_us)
        self._notices.extend([(payload.CRITICAL_ALERTS, alert), (self._redis.error_channel, error)])
        self._wake.set()

    def _limit_run(self) -> None:
        """Give a `run` that hangs in a call to Redis an end, a second after it should have stopped by itself."""
        if self._deadline is not None and self._drain_until_s is not None:
            left_s = self._drain_until_s - self._clock.monotonic_s() + 1.0
            self._deadline.reschedule(asyncio.get_running_loop().time() + left_s)

    async def _send_for_ever(self) -> None:
        async with self._link.client() as redis:
            while True:
                try:
                    await self._link.establish(redis)
                    await self._serve(redis)
                except LOST as error:
                    await self._link.lost(redis, error)
                else:
                    return

    async def _serve(self, redis: Redis) -> None:
        """Work until all is done; raises one of LOST when Redis is gone."""
        jobs: tuple[tuple[str, float, Callable[[Redis], Awaitable[Any]]], ...] = (
            ("watch", WATCH_S, self._watch),
            ("session", SESSION_S, self._announce),
            ("pulse", self._publish.heartbeat_s, self._beat),
            ("cache", CACHE_S, self._begin_round),
            ("cache step", math.inf, self._step_cache),
        )
        while True:
            heed_cancellation()
            self._wake.clear()
            if self._loaded != self._link.made:
                self._loaded = self._link.made
                self._cadence.hasten()
                await self._link.attempt(self._cache.load(redis))
            await self._send_notices(redis)
            await self._dispatch.send(redis)
            if not self._events_first():
                for job, period_s, work in jobs:
                    if self._cadence.is_due(job, period_s, self._clock.monotonic_s()):
                        await self._link.attempt(work(redis))
            if self._drained():
                await self._link.attempt(self._cache.upkeep(redis, walk=False))
                await self._link.attempt(self._farewell(redis))
                with suppress(*LOST):  # said good-bye; answers that stay expire in 30 s
                    await self._link.attempt(self._cache.upkeep(redis))
                return
            await self._rest()

    def _events_first(self) -> bool:
        """Whether jobs wait: an event may go now, and no job has been due for long."""
        return self._dispatch.ready() and self._clock.monotonic_s() - self._cadence.next_s() < PATIENCE_S

    def _drained(self) -> bool:
        if self._drain_until_s is None:
            return False
        # Values of the last minute are not worth waiting for; an alert is.
        return not (self._dispatch.events or self._dispatch.alerts) or self._clock.monotonic_s() >= self._drain_until_s

    async def _rest(self) -> None:
        """Wait for the next thing to do."""
        now_s = self._clock.monotonic_s()
        wait_s = min(self._cadence.next_s() - now_s, self._dispatch.wait_s(now_s))
        if wait_s <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send_notices(self, redis: Redis) -> None:
        while self._notices:
            await self._link.attempt(redis.publish(*self._notices[0]))
            self._notices.popleft()

    def _report_sent(self) -> None:
        """Tell the writer, without waiting for it: `published_at` may be late, events and heartbeats may not."""
        sent = self._dispatch.unreported
        if not sent:
            return
        try:
            if self._outlet.put_nowait(WriteBatch(sent=tuple(sent))):
                sent.clear()
        except ClosedChannel:
            self._link.note("the writer takes no more ids of sent events", lost=len(sent))
            sent.clear()

    async def _watch(self, redis: Redis) -> None:
        self._report_sent()
        if payload.SESSION_STARTED in await self._audience.watch(redis):
            self._cadence.hasten("session")

    async def _announce(self, redis: Redis) -> None:
        message = payload.session_started(self._session, self._pulse().active_symbols, self._clock.now_us())
        await redis.publish(payload.SESSION_STARTED, message)

    async def _beat(self, redis: Redis) -> None:
        """Heartbeats while the pipeline moves; health always, for it can say what is wrong."""
        now_us, pulse, session_id = self._clock.now_us(), self._pulse(), self._session.session_id
        moving = self._progressing()
        if not moving:
            pulse = replace(pulse, state="down", issues=(*pulse.issues, "the pipeline makes no progress"))
        async with redis.pipeline(transaction=False) as pipe:
            if moving:
                at = str(now_us / 1e6)
                pipe.set(payload.PRODUCER_HEARTBEAT, at, ex=HEARTBEAT_TTL_S)
                pipe.set(payload.SERVICE_HEARTBEAT, at, ex=HEARTBEAT_TTL_S)
            pipe.publish(payload.STREAMING_HEALTH, payload.streaming_health(pulse, session_id, now_us))
            pipe.publish(payload.SYSTEM_HEALTH, payload.system_health(pulse, session_id, now_us))
            await pipe.execute()

    async def _begin_round(self, _: Redis) -> None:
        self._cache.begin()
        self._cadence.put_off("cache step", self._clock.monotonic_s())

    async def _step_cache(self, redis: Redis) -> None:
        """One step, so that what is due otherwise gets its turn before the next."""
        await self._cache.step(redis)
        if self._cache.busy:
            pause_s = 0.0 if self._cache.in_round else WALK_PAUSE_S
            self._cadence.put_off("cache step", self._clock.monotonic_s() + pause_s)

    async def _farewell(self, redis: Redis) -> None:
        totals = self._dispatch.sent, self._pulse().indicators_calculated
        message = payload.session_stopped(self._session, *totals, self._clock.now_us())
        await redis.publish(payload.SESSION_STOPPED, message)
