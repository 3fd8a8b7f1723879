"""Ticks to bars to patterns, in the order in which they arrived: the one stage that drives the kernel.

It never waits for a server. Its outlets are drained promptly by stages that buffer on their own.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4, uuid5

import structlog

from tickstockpl._kernel import ALERTS, Detections, Engine, EventEncoder, Output, PanicException
from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.errors import ClosedChannel
from tickstockpl.events import EventColumns, Events, Expiry
from tickstockpl.followers import Followers
from tickstockpl.losses import Losses
from tickstockpl.position import Begun, Mark, Marks, Position, Progress
from tickstockpl.quarantine import Quarantine
from tickstockpl.rating import Rating
from tickstockpl.readings import Indicator, Readings
from tickstockpl.switches import Switches
from tickstockpl.trouble import is_told
from tickstockpl.wire import (
    Answered,
    BarColumns,
    Connected,
    DeadLetter,
    Ended,
    Entries,
    Findings,
    Gap,
    Inbound,
    Lost,
    Missed,
    Passed,
    Received,
    WriteBatch,
    numbers_of,
)

log = structlog.get_logger(__name__)

PASSED_OVER = "message passed over"
"""Cause of the gap that a message leaves which ends the engine."""

POSITION_S = 0.2
"""Between two positions, while there is something to write."""
IDLE_POSITION_S = 2.0
"""The same while there is not: a start then has the less to do again."""
SAID_AGAIN_US = 300_000_000
"""After a restart, the publisher hears of what was found so long ago at most: the rest has expired."""

OLD_US = 60_000_000
"""What the source gives after so long, or had before we began, is caught up on: better late than dropped."""

PROGRESS_S = 10.0
"""Without a word from Redis for so long, the pipeline makes no progress and the heartbeat stops."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is told of watched symbols' indicators."""

    indicators: tuple[Indicator, ...] = ()
    alerts: tuple[str, ...] = ALERTS
    rsi_bounds: tuple[float, float] = (30.0, 70.0)
    """As the engine has them."""


class Pipeline:
    """The stage from the socket's messages to rows and events.

    engine: warmed; the pipeline is its only user from now on.
    channels: the names behind the engine's channel indices.
    begun: None is a source of its own, that nobody has heard.
    heard_until_us: what came before is known to be stored; the first gap begins there. None: begins at the start.
    quarantine: messages in which the engine ended before.
    rating: what events are told of measured rates; None: nothing.
    switches: gives which patterns people want to see, asked anew whenever some are found.
    followers: say what becomes of events; the pipeline is the only one that has them follow.
    """

    def __init__(
        self,
        engine: Engine,
        channels: Sequence[str],
        inbox: Channel[Inbound],
        writes: Channel[WriteBatch],
        events: Channel[Findings],
        clock: Clock,
        *,
        begun: Begun | None = None,
        heard_until_us: int | None = None,
        shown: Shown | None = None,
        quarantine: Quarantine | None = None,
        rating: Rating | None = None,
        switches: Callable[[], Switches] = Switches,
        followers: Followers | None = None,
    ) -> None:
        self._followers = followers or Followers({})
        self._quarantine = quarantine or Quarantine()
        self._rating = rating or Rating()
        self._switches = switches
        self._engine = engine
        self._patterns = engine.patterns
        self._encoder = EventEncoder(self._patterns)
        self._channels = tuple(channels)
        self._inbox = inbox
        self._writes = writes
        self._events = events
        self._clock = clock
        self._begun = begun or Begun(uuid4())
        self._src = self._begun.next_src
        position = self._begun.position
        self._durable_src = position.durable_src if position is not None else -1
        progress = self._begun.progress
        unsent_us = self._begun.unsent_us
        self._marks = Marks(position, unsent_us) if progress is None else Marks.of(progress, unsent_us)
        self._left: Progress | None = None
        self._told_s: float | None = None
        self._told_src = self._src
        self._replayed = 0
        self._began_us = clock.now_us()
        self._index = position.index if position is not None else None
        self._heard_us = heard_until_us if heard_until_us is not None else clock.now_us()
        self._loss = progress.loss if progress is not None else None
        self._step_s = clock.monotonic_s()
        self._tick_s: float | None = None
        self._gaps = 0
        self._losses = Losses(self._begun.src_id, self._channels)
        self._lag_ms = 0.0
        self._shown = shown or Shown()
        self._alerts = sum(1 << bit for bit, kind in enumerate(ALERTS) if kind in self._shown.alerts)
        self._calculated = 0
        self._refusals: Counter[str] = Counter()

    async def run(self, past: AsyncIterable[tuple[int, Inbound]] | None = None) -> None:
        """Take everything from the inbox until it is closed; then write the open bars as provisional ones.

        past: what the source gives again, each item with its number: taken first, as if it came now. What was stored of
        it is not written once more.
        """
        async with aclosing(self._writes), aclosing(self._events):
            if past is not None and not await self._replay(past):
                return
            async for item in self._inbox:
                self._step_s = self._clock.monotonic_s()
                if isinstance(item, Received | Entries):
                    self._tick_s = self._step_s
                await self._take(item, item.now_us if isinstance(item, Entries) else None)
                if isinstance(item, Received | Entries):
                    self._lag_ms = max(0, self._clock.now_us() - item.now_us) / 1e3
            left = self._engine.provisional()
            if len(left.bars):
                log.info("open bars written as provisional", bars=len(left.bars))
            position = self._position() if len(self._marks) else None
            await self._writes.put(WriteBatch(bars=left.bars, spans=(left.first_src, left.last_src), position=position))
            if position is not None:
                marks = self._marks
                self._left = Progress(self._src, position, self._heard_us, self._loss, marks.least, tuple(marks))

    async def take_up(self, timeframe: str, events: Any, bars: BarColumns) -> None:
        """Follow events of before this run too; bars: those of their symbols since. See `Follower.load`."""
        if (ended := self._followers.load(timeframe, events, bars)) is not None:
            with suppress(ClosedChannel):  # the run is over, and the next one reads them again
                await self._writes.put(WriteBatch(outcomes=ended))

    def left(self) -> Progress | None:
        """After `run`: what it has come to; None if it has not taken all that there was."""
        return self._left

    async def _replay(self, past: AsyncIterable[tuple[int, Inbound]]) -> bool:
        """Take what was received before this run began.

        False if the service stops meanwhile: nothing is to be said of bars that were made in part.
        """
        started_s, end = self._clock.monotonic_s(), self._src
        async for number, item in past:
            if self._inbox.closed:
                return False
            self._step_s = self._clock.monotonic_s()
            self._src = number
            await self._take(item, item.now_us)
            self._replayed += len(item.frames) if isinstance(item, Received) else 0
        self._src = max(self._src, end)
        self._engine.continue_at(self._src)
        seconds = round(self._clock.monotonic_s() - started_s, 2)
        log.info("replayed", messages=self._replayed, until=self._src, durable=self._durable_src, seconds=seconds)
        return True

    async def _take(self, item: Inbound, at_us: int | None) -> None:
        """One item; `at_us`: when it came, of one that may come again."""
        first = item.rows[0][1] if isinstance(item, Entries) else self._src
        engine = self._engine
        if self._marks.is_due(first, item.now_us):
            minute_us, first_src = engine.revisable()
            self._marks.add(Mark(first, item.now_us, minute_us, first_src, tuple(engine.standing())))
        self._src += numbers_of(item)
        match item:
            case Received(_, now_us):
                self._heard_us = now_us
                await self._ingest(item, first, at_us)
            case Entries(rows, index):
                self._src, self._heard_us, self._index = rows[-1][1] + 1, item.now_us, index
                await self._ingest(item, first, at_us)
            case Answered(now_us):
                self._heard_us = max(self._heard_us, now_us)
                engine.continue_at(self._src)
                await self._hand_on(engine.advance(now_us), now_us, at_us)
            case Passed(now_us):
                await self._hand_on(engine.advance(now_us), now_us, at_us, again=True)
            case Ended(now_us):
                await self._hand_on(engine.flush(), now_us, at_us, again=True)
            case Lost(_, cause):
                self._loss = cause
            case Connected(now_us, first_time):
                engine.continue_at(self._src)
                await self._resume(now_us, first=first_time)
            case Missed(src, since_us, now_us, cause):
                self._src = max(self._src, src)
                self._heard_us, self._loss = since_us, cause
                await self._resume(now_us, first=False, stored=src <= self._durable_src)

    async def _ingest(self, item: Received | Entries, first: int, at_us: int | None) -> None:
        """The messages of an item: together, or one by one if the engine has ended in them before."""
        last = self._src - 1
        if self._quarantine.touches(first, last):
            await self._ingest_single(item, first, at_us)
            return
        with self._watched(first, last):
            if isinstance(item, Received):
                output = self._engine.ingest_frames(item.frames, item.now_us, first)
            else:
                output = self._engine.ingest_stamped(item.rows)
        await self._hand_on(output, item.now_us, at_us)

    async def _ingest_single(self, item: Received | Entries, first: int, at_us: int | None) -> None:
        """Those in which the engine is known to end are passed over."""
        if isinstance(item, Received):
            messages = enumerate(item.frames.messages(), first)
            rows = [(channel, src, item.now_us, payload) for src, (channel, payload) in messages]
        else:
            rows = item.rows
        for row in rows:
            channel, src, now_us, payload = row
            self._src = src + 1
            if self._quarantine.holds(src):
                self._heard_us, self._loss = now_us, PASSED_OVER
                self._engine.continue_at(self._src)
                await self._resume(now_us, first=False)
                continue
            with self._watched(src, src, self._channels[channel], payload):
                if isinstance(item, Entries):
                    output = self._engine.ingest_stamped([row])
                else:
                    self._engine.continue_at(src)
                    output = self._engine.ingest([payload], now_us, channel)
            await self._hand_on(output, now_us, at_us)

    @contextmanager
    def _watched(self, first: int, last: int, channel: str = "", payload: bytes = b"") -> Iterator[None]:
        """Have it noted in which messages the engine ends."""
        try:
            yield
        except PanicException as error:
            self._quarantine.ended(first, last, said=str(error), channel=channel, payload=payload)
            raise

    def made_progress(self) -> bool:
        """Whether anything came through lately; an idle feed still has its answered PINGs."""
        return self._clock.monotonic_s() - self._step_s < PROGRESS_S

    def silence_s(self) -> float | None:
        """Seconds since the last message; None before the first."""
        return None if self._tick_s is None else self._clock.monotonic_s() - self._tick_s

    def status(self) -> dict[str, Any]:
        """Plain values: the engine's counters, each channel's event time and how far it lies behind the clock."""
        now_us = self._clock.now_us()
        times = self._engine.event_time_us()
        newest = max(times)
        skew_us = self._engine.clock_skew_us()
        state: dict[str, Any] = {"state": "ok"}
        if skew_us is not None:
            state = {"state": "degraded", "reason": f"clocks differ by {skew_us / 1e6:.0f} s: most ticks lie ahead"}
        elif not self.made_progress():
            state = {"state": "degraded", "reason": f"nothing came through for {PROGRESS_S:.0f} s"}
        return state | {
            "event_time_us": dict(zip(self._channels, times, strict=True)),
            "event_lag_s": None if newest < 0 else round((now_us - newest) / 1e6, 3),
            "silence_s": self.silence_s(),
            "processing_lag_ms": self._lag_ms,
            "gaps": self._gaps + self._losses.count,
            "replayed": self._replayed,
            "passed_over": self._quarantine.dead,
            "next_src": self._src,
            "marks": len(self._marks),
            "indicators_calculated": self._calculated,
            "open_events": self._followers.open,
            "counters": self._engine.counters(),
        }

    async def _resume(self, now_us: int, *, first: bool, stored: bool | None = None) -> None:
        """Ticks are heard again: what was missed becomes a gap row and flags on the bars it touched.

        stored: whether the row is there already; None: if the newest item is.
        """
        self._engine.subscribed(now_us, first)
        # Whoever loses a subscription says why, and a process that ends does not.
        cause, self._loss = self._loss or "start", None
        name = uuid5(self._begun.src_id, f"gap {self._src}")
        gap = Gap(min(self._heard_us, now_us), now_us, cause, self._channels, id=name)
        self._gaps += 1
        self._heard_us = now_us
        log.log(
            logging.INFO if first else logging.WARNING,
            "ticks may have been missed",
            cause=cause,
            seconds=round((gap.ended_us - gap.started_us) / 1e6, 3),
        )
        if not (self._is_stored if stored is None else stored):
            await self._writes.put(WriteBatch(gaps=(gap,)))

    @property
    def _is_stored(self) -> bool:
        """Whether the run before has stored what comes of the newest item."""
        return self._src - 1 <= self._durable_src

    def _can_wait(self, at_us: int | None) -> bool:
        """Whether what came at `at_us`, and may come again, is so old that it may as well wait for the database."""
        if self._begun.can_wait or at_us is None:
            return self._begun.can_wait
        return at_us < self._began_us or self._clock.now_us() - at_us > OLD_US

    def _position(self) -> Position:
        """Where a start begins once all that was handed on is stored."""
        self._told_s, self._told_src = self._clock.monotonic_s(), self._src
        return self._marks.position(self._engine.low_src, max(self._src - 1, self._durable_src), self._index)

    def _is_due(self, period_s: float) -> bool:
        return self._told_s is None or self._clock.monotonic_s() - self._told_s >= period_s

    async def _hand_on(self, output: Output, now_us: int, at_us: int | None, *, again: bool = False) -> None:
        """`again`: it may be stored already, and is handed on all the same: no number of its own tells."""
        if not output:
            if not self._is_stored and self._src != self._told_src and self._is_due(IDLE_POSITION_S):
                await self._writes.put(WriteBatch(position=self._position()))
            return
        for reason, channel, sample in output.refused:
            self._refusals[reason] += 1
            if is_told(self._refusals[reason]):
                log.warning("tick refused", reason=reason, channel=channel, sample=sample)
        for symbol, pattern in output.broken:
            log.error(
                "a pattern panicked and is switched off for the symbol: please report it", symbol=symbol, id=pattern
            )
        bars, found = output.bars, output.detections
        rows = found.held.nonzero()[0]
        readings = self._readings(output)
        findings = Findings(
            expired=tuple(_expired(found)),
            events=Events(self._told(found), self._patterns, self._encoder, rows) if len(rows) else None,
            readings=_news(readings),
            at_us=at_us,
        )
        losses = self._losses
        gaps = (*losses.of_jumps(output.jumps), *losses.of_volume(output.short, self._src, now_us))
        batch = WriteBatch(
            bars=bars if len(bars) else None,
            spans=(output.first_src, output.last_src),
            events=findings.events,
            readings=readings,
            expired=findings.expired,
            gaps=gaps,
            dead=tuple(
                DeadLetter("too_late", symbol, channel, ts_us, payload, now_us, self._name(payload, at))
                for at, (symbol, channel, ts_us, payload) in enumerate(output.dead)
            ),
            position=self._position() if self._is_due(POSITION_S) else None,
            can_wait=self._can_wait(at_us),
        )
        # first, for a subscriber waits for these, and nobody for the rows
        is_news = at_us is None or self._clock.now_us() - at_us < SAID_AGAIN_US
        if is_news and (findings.events or findings.expired or findings.readings):
            await self._events.put(findings)
        if self._is_stored and not again:
            return
        ended = self._followers.follow(output)
        if ended:
            batch = replace(batch, outcomes=ended[0])
        if any((batch.bars, batch.events, batch.readings, batch.outcomes, batch.expired, batch.dead, batch.gaps)):
            await self._writes.put(batch)
        for outcomes in ended[1:]:
            await self._writes.put(WriteBatch(outcomes=outcomes, can_wait=batch.can_wait))

    def _told(self, found: Detections) -> EventColumns:
        """What is said of detections: by the engine, by measured rates, by people who want to see them or not."""
        return self._switches().applied(self._rating.columns(found))

    def _name(self, payload: bytes, at: int) -> UUID:
        """The id of a dead letter: the same if its message comes again."""
        return uuid5(self._begun.src_id, f"dead {self._src} {at} {payload.decode(errors='replace')}")

    def _readings(self, output: Output) -> Readings | None:
        """The indicators of watched symbols, if a bar of theirs closed or changed."""
        if not len(output.readings):
            return None
        shown = self._shown
        readings = Readings.of(output.readings, shown.indicators, ALERTS, self._alerts, shown.rsi_bounds)
        self._calculated += readings.count()
        return readings


def _expired(found: Detections) -> Iterator[Expiry]:
    """The patterns that a revision took away."""
    for row in (~found.held).nonzero()[0].tolist():
        symbol = found.symbols[int(found.symbol[row])]
        pattern = found.patterns[int(found.pattern[row])]
        yield Expiry(found.event_id[row].decode(), symbol, pattern["name"], int(found.end_us[row]))


def _news(readings: Readings | None) -> Readings | None:
    """Those that AppV2 is told; a bar that is read again corrects the table only."""
    return readings.where(readings.fresh) if readings is not None and readings.fresh.any() else None
