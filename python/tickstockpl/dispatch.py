"""What goes out on the pattern and indicator channels: paced, in order, and again where Redis refused it.

An event counts as sent when Redis has answered its PUBLISH on the main pattern channel; a connection that dies between
the two makes it go out twice, with the same id. What that channel refuses is sent there again, and on the streaming
channel only if it was refused there too. What only the streaming channel refuses is counted and not sent again: a right
that is missing there for a day must not hold up events that AppV2 acts on.

The messages of each channel are numbered from 1 in the order in which they go out (`seq`), so that who listens sees
what it has missed; one that goes out again has a number of its own.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tickstockpl import event_payload, payload
from tickstockpl.bulletin import Bulletin
from tickstockpl.clock import Clock
from tickstockpl.connection import Connection, round_trip, send_packed
from tickstockpl.metrics import Metrics
from tickstockpl.outbox import Outbox, Waiting, gathered
from tickstockpl.pacing import Pacer
from tickstockpl.settings import Settings
from tickstockpl.wire import Sent

PART = 100
"""Events that are encoded together; Redis works on them while the next ones are encoded."""
PAUSE_S = 1.0
"""Of a channel, after Redis refused a PUBLISH on it."""


class Dispatch:
    """Events, indicators and alerts that wait to be published; `send` is to be called whenever `wait_s` has passed.

    answered: told how many received each event on the main channel.
    """

    def __init__(
        self,
        settings: Settings,
        link: Connection,
        clock: Clock,
        metrics: Metrics,
        session_id: str,
        answered: Callable[[Sequence[int]], None],
    ) -> None:
        publish = settings.publish
        self._named, self._ttl_s, self._session_id = settings.redis.pattern_channel, publish.event_ttl_s, session_id
        self._link, self._clock, self._metrics = link, clock, metrics
        self._answered = answered
        self._pacer = Pacer(publish.rate_per_s)
        # four times what can be sent before it expires: the order may still change, and Redis may be away
        self.events = Outbox(4 * math.ceil(publish.rate_per_s * publish.expire_s), publish.expire_s)
        self.values = Bulletin(payload.INDICATORS_STREAMING, publish.rate_per_s, publish.expire_s)
        self.alerts = Bulletin(payload.INDICATOR_ALERTS, publish.rate_per_s, publish.expire_s)
        self._bulletins = (self.alerts, self.values)
        self.sent = 0
        """Events."""
        self.unreported: list[Sent] = []
        """Ids of sent events that the writer has not been told."""
        self._resume_s: dict[str, float] = {}
        """When a channel on which Redis refused a message may be tried again."""
        self._numbers: Counter[str] = Counter()
        """Of each channel, the newest message's."""
        self._refusals: dict[str, str] = {}
        """What Redis said, by channel, where it refused the last message."""
        self._expired = 0

    async def send(self, redis: Redis) -> None:
        """Send what may go now; raises one of LOST, and then keeps what nobody knows to be sent."""
        await self._send_events(redis)
        for bulletin in self._bulletins:
            await self._send_bulletin(redis, bulletin)

    def ready(self) -> bool:
        """Whether an event may go now."""
        now_s = self._clock.monotonic_s()
        return bool(self.events) and not self._pause_s(self._named, now_s) and self._pacer.allowed(now_s) > 0

    def wait_s(self, now_s: float) -> float:
        """Seconds until something may go; infinite if nothing waits."""
        waits = [(self._pacer.wait_s(now_s), self._named)] if self.events else []
        waits += [(each.wait_s(now_s), each.channel) for each in self._bulletins if each]
        return min((max(wait_s, self._pause_s(channel, now_s)) for wait_s, channel in waits), default=math.inf)

    def refusal(self) -> str | None:
        """Of the channels on which Redis refused the last message, and why; None if there are none."""
        said = (f"Redis refused the last message on {channel}: {why}" for channel, why in self._refusals.items())
        return "; ".join(said) or None

    def expire(self) -> None:
        """Drop and count what has waited too long."""
        for waiting in (self.events, *self._bulletins):
            waiting.expire(self._clock.monotonic_s())

    def numbers(self) -> dict[str, Any]:
        """Counters, as plain values."""
        return {
            "sent": self.sent,
            "queued": self.events.unsettled,
            "expired": self.events.expired,
            "dropped": self.events.dropped,
            "withdrawn": self.events.withdrawn,
            **_numbers("indicators", self.values),
            **_numbers("alerts", self.alerts),
        }

    async def _send_events(self, redis: Redis) -> None:
        now_s = self._clock.monotonic_s()
        if self._pause_s(self._named, now_s):
            return
        chunk = self.events.take(self._pacer.allowed(now_s), now_s)
        self._metrics.events_expired.inc(self.events.expired - self._expired)
        self._expired = self.events.expired
        if not chunk:
            return
        refused = chunk
        try:
            refused = await self._send(redis, chunk)
        finally:
            self.events.put_back(refused, self._clock.monotonic_s())

    async def _send(self, redis: Redis, chunk: list[Waiting]) -> list[Waiting]:
        """One round trip, the main channel first; returns what that did not take."""
        parts = list(gathered(chunk, PART))
        fresh = [item for item in chunk if not item.streamed]

        def commands() -> Iterator[bytes]:
            for events in parts:
                yield event_payload.universal(events, self._named, self._ttl_s, self._number(self._named, len(events)))
            for events in parts if len(fresh) == len(chunk) else gathered(fresh, PART):
                seq = self._number(payload.PATTERNS_STREAMING, len(events))
                yield event_payload.streaming(events, self._session_id, seq)

        answers = await send_packed(redis, commands(), len(chunk) + len(fresh))
        heard_by, streamed_by = answers[: len(chunk)], answers[len(chunk) :]
        for item, heard in zip(fresh, streamed_by, strict=True):
            item.streamed = not isinstance(heard, ResponseError)
        self._pacer.sent(len(chunk), self._clock.monotonic_s())
        now_us = self._clock.now_us()
        refused: list[Waiting] = []
        sent_of: Counter[int] = Counter()
        ids = chain.from_iterable(events.event_ids() for events in parts)
        for item, event_id, heard in zip(chunk, ids, heard_by, strict=True):
            if isinstance(heard, ResponseError):
                refused.append(item)
                continue
            self.unreported.append(Sent(event_id, now_us))
            sent_of[item.rank[0]] += 1
        self.sent += len(chunk) - len(refused)
        if refused:
            self._resume_s[self._named] = self._clock.monotonic_s() + PAUSE_S
        for end_us, sent in sent_of.items():
            self._metrics.publish_seconds.observe((now_us - end_us) / 1e6, sent)
        self._answered([heard for heard in heard_by if not isinstance(heard, ResponseError)])
        self._count(self._named, heard_by)
        self._count(payload.PATTERNS_STREAMING, streamed_by)
        return refused

    async def _send_bulletin(self, redis: Redis, bulletin: Bulletin) -> None:
        """One round trip for what may go now."""
        now_s, before = self._clock.monotonic_s(), bulletin.expired
        if self._pause_s(bulletin.channel, now_s):
            return
        arrived_s, taken = bulletin.take(now_s)
        self._metrics.events_expired.inc(bulletin.expired - before)
        if not taken:
            return
        refused = taken
        try:
            first = self._number(bulletin.channel, len(taken))
            numbered = (payload.numbered(message, seq) for seq, message in enumerate(taken, first))
            answers = await round_trip(redis, (("PUBLISH", bulletin.channel, message) for message in numbered))
            refused = [each for each, heard in zip(taken, answers, strict=True) if isinstance(heard, ResponseError)]
            self._count(bulletin.channel, answers)
            if refused:
                self._resume_s[bulletin.channel] = self._clock.monotonic_s() + PAUSE_S
        finally:
            bulletin.settle(arrived_s, len(taken), refused, self._clock.monotonic_s())

    def _number(self, channel: str, count: int) -> int:
        """The first of so many messages' numbers."""
        self._numbers[channel] += count
        return self._numbers[channel] - count + 1

    def _pause_s(self, channel: str, now_s: float) -> float:
        """Seconds until the channel may be tried; 0 unless Redis has just refused it. The others go on."""
        return max(0.0, self._resume_s.get(channel, -math.inf) - now_s)

    def _count(self, channel: str, answers: Sequence[int | ResponseError]) -> None:
        """Count what Redis said to messages of one channel."""
        heard = [each for each in answers if not isinstance(each, ResponseError)]
        for error in answers:
            if isinstance(error, ResponseError):
                self._link.failed("redis refused to publish", error)
                self._refusals[channel] = str(error)
        if answers and not isinstance(answers[-1], ResponseError):
            self._refusals.pop(channel, None)
        self._metrics.events_published.labels(channel).inc(len(heard))
        if unheard := heard.count(0):
            self._metrics.events_unheard.labels(channel).inc(unheard)


def _numbers(name: str, bulletin: Bulletin) -> dict[str, int]:
    return {f"{name}_sent": bulletin.sent, f"{name}_queued": len(bulletin), f"{name}_expired": bulletin.expired}
