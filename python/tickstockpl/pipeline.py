"""Ticks to bars to patterns, in the order in which they arrived: the one stage that drives the kernel.

It never waits for a server. Its outlets are drained promptly by stages that buffer on their own.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog

from tickstockpl._kernel import ALERTS, PATTERNS, Detections, Engine, EventEncoder, Output
from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.readings import MINUTE_US, Indicator, Readings
from tickstockpl.wire import (
    Answered,
    Connected,
    DeadLetter,
    EventColumns,
    Events,
    Expiry,
    Findings,
    Gap,
    Inbound,
    Lost,
    Received,
    WriteBatch,
)

log = structlog.get_logger(__name__)

ENCODER = EventEncoder(PATTERNS)
"""What the events of this process are written by: those who send and store them have no way to the kernel."""

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
    heard_until_us: what came before is known to be stored; the first gap begins there. None: begins at the start.
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
        heard_until_us: int | None = None,
        shown: Shown | None = None,
    ) -> None:
        self._engine = engine
        self._channels = tuple(channels)
        self._inbox = inbox
        self._writes = writes
        self._events = events
        self._clock = clock
        self._heard_us = heard_until_us if heard_until_us is not None else clock.now_us()
        self._loss: str | None = "start"
        self._step_s = clock.monotonic_s()
        self._tick_s: float | None = None
        self._gaps = 0
        self._lag_ms = 0.0
        self._shown = shown or Shown()
        self._alerts = sum(1 << bit for bit, kind in enumerate(ALERTS) if kind in self._shown.alerts)
        self._calculated = 0
        self._refusals: Counter[str] = Counter()

    async def run(self) -> None:
        """Take everything from the inbox until it is closed; then write the open bars as provisional ones."""
        async with aclosing(self._writes), aclosing(self._events):
            async for item in self._inbox:
                self._step_s = self._clock.monotonic_s()
                match item:
                    case Received(frames, now_us):
                        self._tick_s, self._heard_us = self._step_s, now_us
                        await self._hand_on(self._engine.ingest_frames(frames, now_us), now_us)
                        self._lag_ms = max(0, self._clock.now_us() - now_us) / 1e3
                    case Answered(now_us):
                        self._heard_us = max(self._heard_us, now_us)
                        await self._hand_on(self._engine.advance(now_us), now_us)
                    case Lost(_, cause):
                        self._loss = cause
                    case Connected(now_us, first):
                        await self._resume(now_us, first=first)
            left = self._engine.provisional().bars
            if len(left):
                log.info("open bars written as provisional", bars=len(left))
                await self._writes.put(WriteBatch(bars=left))

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
            "gaps": self._gaps,
            "indicators_calculated": self._calculated,
            "counters": self._engine.counters(),
        }

    async def _resume(self, now_us: int, *, first: bool) -> None:
        """Ticks are heard again: what was missed becomes a gap row and flags on the bars it touched."""
        self._engine.subscribed(now_us, first)
        cause, self._loss = self._loss or "subscribed again", None
        gap = Gap(min(self._heard_us, now_us), now_us, cause, self._channels)
        self._gaps += 1
        self._heard_us = now_us
        log.log(
            logging.INFO if first else logging.WARNING,
            "ticks may have been missed",
            cause=cause,
            seconds=round((gap.ended_us - gap.started_us) / 1e6, 3),
        )
        await self._writes.put(WriteBatch(gaps=(gap,)))

    async def _hand_on(self, output: Output, now_us: int) -> None:
        if not output:
            return
        for reason, channel, sample in output.refused:
            self._refusals[reason] += 1
            if _is_power_of_ten(self._refusals[reason]):
                log.warning("tick refused", reason=reason, channel=channel, sample=sample)
        bars, found = output.bars, output.detections
        rows = found.held.nonzero()[0]
        readings = self._readings(output)
        findings = Findings(
            expired=tuple(_expired(found)),
            events=Events(EventColumns.of(found), PATTERNS, ENCODER, rows) if len(rows) else None,
            readings=_news(readings),
        )
        batch = WriteBatch(
            bars=bars if len(bars) else None,
            events=findings.events,
            readings=readings,
            expired=findings.expired,
            dead=tuple(
                DeadLetter("too_late", symbol, channel, ts_us, payload, now_us)
                for symbol, channel, ts_us, payload in output.dead
            ),
        )
        # first, for a subscriber waits for these, and nobody for the rows
        if findings.events or findings.expired or findings.readings:
            await self._events.put(findings)
        if batch.bars is not None or batch.events or batch.readings or batch.expired or batch.dead:
            await self._writes.put(batch)

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
        pattern = PATTERNS[int(found.pattern[row])]
        yield Expiry(found.event_id[row].decode(), symbol, pattern["name"], int(found.ts_us[row]) + MINUTE_US)


def _news(readings: Readings | None) -> Readings | None:
    """Those that AppV2 is told; a bar that is read again corrects the table only."""
    return readings.where(readings.fresh) if readings is not None and readings.fresh.any() else None


def _is_power_of_ten(count: int) -> bool:
    return str(count).rstrip("0") == "1"
