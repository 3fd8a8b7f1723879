"""Who listens to what we publish: nobody at all must not go unnoticed for hours."""

from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis

log = structlog.get_logger(__name__)


class Audience:
    """Subscribers per channel, and whether the main one is heard by anybody.

    channel: the main one; `others` are only counted.
    redis_name: address and database, for the log: a wrong one is the usual cause of silence.
    """

    def __init__(self, channel: str, others: tuple[str, ...], redis_name: str) -> None:
        self.heard: bool | None = None
        """None until known."""
        self.unheard = 0
        """Events sent to nobody."""
        self.subscribers: dict[str, int] = {}
        self._channel = channel
        self._others = others
        self._redis_name = redis_name

    async def watch(self, redis: Redis) -> frozenset[str]:
        """Count subscribers; returns the channels that have more of them than before."""
        channels = (self._channel, *self._others)
        async with redis.pipeline(transaction=False) as pipe:
            pipe.pubsub_numsub(*channels)
            pipe.pubsub_numpat()
            answers: list[Any] = await pipe.execute()
        counted, patterns = answers
        before = self.subscribers
        self.subscribers = dict(zip(channels, (int(number) for _, number in counted), strict=True))
        # NUMSUB leaves pattern subscribers out: where there are any, only PUBLISH's answer can say that nobody hears
        if self.subscribers[self._channel]:
            self._set(True)
        elif patterns == 0:
            self._set(False)
        return frozenset(name for name in channels if self.subscribers[name] > before.get(name, 0))

    def answered(self, receivers: Sequence[int]) -> None:
        """Take note of what PUBLISH returned for each of some events on the main channel, oldest first."""
        self.unheard += receivers.count(0)
        if receivers:
            self._set(receivers[-1] > 0)

    def _set(self, heard: bool) -> None:
        if heard is self.heard:
            return
        self.heard = heard
        if heard:
            log.info("subscribers found", channel=self._channel, redis=self._redis_name)
        else:
            log.warning("nobody subscribes", channel=self._channel, redis=self._redis_name)
