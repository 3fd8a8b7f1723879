"""Messages of one channel that wait for their turn. Logic only: time is an argument.

What was read at a minute's end may be more than the channel carries in that minute: it waits unmade, and a message is
made as it is taken.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from tickstockpl.pacing import Pacer


@dataclass(slots=True)
class Lot:
    """Messages that came together. left: how many there still are."""

    arrived_s: float
    left: int
    messages: Iterator[bytes]
    back: deque[bytes] = field(default_factory=deque)
    """Taken and handed back: before `messages`."""


class Bulletin:
    """One channel's messages, as they came, at the pace that AppV2 can show.

    expire_s: how long a message may wait.
    """

    def __init__(self, channel: str, rate_per_s: float, expire_s: float) -> None:
        self.channel = channel
        self.expired = 0
        self.sent = 0
        self._pacer = Pacer(rate_per_s)
        self._expire_s = expire_s
        self._lots: deque[Lot] = deque()

    def __len__(self) -> int:
        return sum(lot.left for lot in self._lots)

    def add(self, count: int, messages: Iterator[bytes], now_s: float) -> None:
        """Put `count` messages behind those that wait."""
        if count:
            self._lots.append(Lot(now_s, count, messages))

    def take(self, now_s: float) -> tuple[float, list[bytes]]:
        """The next messages of one lot, as many as may go now, and when they came."""
        self.expire(now_s)
        if not self._lots or not (allowed := self._pacer.allowed(now_s)):
            return now_s, []
        lot = self._lots[0]
        taken = [lot.back.popleft() for _ in range(min(allowed, len(lot.back)))]
        taken += islice(lot.messages, allowed - len(taken))
        lot.left -= len(taken)
        if not lot.left:
            self._lots.popleft()
        return lot.arrived_s, taken

    def settle(self, arrived_s: float, taken: int, refused: list[bytes], now_s: float) -> None:
        """Note what became of taken messages: `refused` go back to the front."""
        self._pacer.sent(taken, now_s)
        self.sent += taken - len(refused)
        if refused:
            if not self._lots or self._lots[0].arrived_s != arrived_s:
                self._lots.appendleft(Lot(arrived_s, 0, iter(())))
            self._lots[0].back.extendleft(reversed(refused))
            self._lots[0].left += len(refused)

    def expire(self, now_s: float) -> None:
        """Drop and count what has waited for `expire_s`."""
        while self._lots and now_s - self._lots[0].arrived_s >= self._expire_s:
            self.expired += self._lots.popleft().left

    def wait_s(self, now_s: float) -> float:
        """Seconds until one may go; 0 if one may."""
        return self._pacer.wait_s(now_s)
