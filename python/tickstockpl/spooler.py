"""The stage that puts what is received on disk before the kernel sees it; it never stops the reading.

While the disk takes nothing, items go on to the pipeline all the same: bars stay right, and only a kill costs them.
"""

import asyncio
import sqlite3
from collections import deque
from contextlib import aclosing
from typing import Any

import structlog

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.spool import Spool
from tickstockpl.wire import Inbound, numbers_of

GROUP_ITEMS = 256
"""Items of one commit at most."""
RETRY_S = 5.0
"""Between two tries to write to a disk that took nothing."""
TEND_S = 5.0
"""Between two looks at what may be deleted."""
RATE_S = 60.0
"""The rate of what comes is that of so long."""

log = structlog.get_logger(__name__)


class Spooler:
    """From the socket to the pipeline, by way of the disk.

    next_src: the number of the first message.
    cap_bytes, cap_hours: beyond either the oldest items are deleted, needed or not.
    """

    def __init__(
        self,
        spool: Spool,
        inbox: Channel[Inbound],
        outlet: Channel[Inbound],
        clock: Clock,
        *,
        next_src: int,
        cap_bytes: int,
        cap_hours: float,
    ) -> None:
        self._spool = spool
        self._inbox = inbox
        self._outlet = outlet
        self._clock = clock
        self._next_src = next_src
        self._cap_bytes = cap_bytes
        self._cap_us = round(cap_hours * 3.6e9)
        self._needed_src = 0
        self._fault: str | None = None
        self._retry_s = 0.0
        self._tend_s = 0.0
        self._written: deque[tuple[float, int]] = deque([(clock.monotonic_s(), 0)])
        """Bytes written up to some moments of the last `RATE_S`, and one before."""
        self._counts = {"items": 0, "commits": 0, "bytes_written": 0, "unspooled": 0, "dropped": 0}
        self._bytes = 0
        self._oldest_us: int | None = None

    async def run(self) -> None:
        """Take everything from the inbox until it is closed; closes the outlet on leaving."""
        async with aclosing(self._outlet):
            async for first in self._inbox:
                # What came while the last commit was on its way is the next one's.
                items = [first, *self._inbox.take(GROUP_ITEMS - 1)]
                await self._keep(items)
                for item in items:
                    await self._outlet.put(item)
                await self._tend()

    def release(self, src: int) -> None:
        """Messages below this number are not needed any more."""
        self._needed_src = max(self._needed_src, src)

    def status(self) -> dict[str, Any]:
        """Plain values: what `/health` shows."""
        age_s = None if self._oldest_us is None else max(0.0, (self._clock.now_us() - self._oldest_us) / 1e6)
        since_s, before = self._written[0]
        rate = (self._counts["bytes_written"] - before) / max(1.0, self._clock.monotonic_s() - since_s)
        state: dict[str, Any] = {"state": "ok"}
        if self._fault is not None:
            state = {"state": "degraded", "reason": f"what is received is in memory only: {self._fault}"}
        elif self._counts["dropped"]:
            state = {"state": "degraded", "reason": "the spool is full: a start would miss what was deleted"}
        return {
            **state,
            **self._counts,
            "bytes": self._bytes,
            "cap_bytes": self._cap_bytes,
            "cap_minutes": round(self._cap_bytes / rate / 60, 1) if rate else None,
            "oldest_age_s": age_s,
            "next_src": self._next_src,
            "needed_src": self._needed_src,
        }

    async def _keep(self, items: list[Inbound]) -> None:
        """Commit items, or count them as unspooled."""
        first = self._next_src
        self._next_src += sum(map(numbers_of, items))
        if self._fault is not None and self._clock.monotonic_s() < self._retry_s:
            self._counts["unspooled"] += len(items)
            return
        try:
            written = await asyncio.to_thread(self._spool.append, first, items)
        except sqlite3.Error as error:
            self._counts["unspooled"] += len(items)
            self._retry_s = self._clock.monotonic_s() + RETRY_S
            if self._fault is None:
                log.warning("the spool cannot be written; what is received is in memory only", error=str(error))
            self._fault = str(error)
            return
        if self._fault is not None:
            log.info("the spool is written again", unspooled=self._counts["unspooled"])
            self._fault = None
        self._counts["items"] += len(items)
        self._counts["commits"] += 1
        self._counts["bytes_written"] += written

    async def _tend(self) -> None:
        """Delete a few of the items that nobody needs, or that do not fit."""
        now_s = self._clock.monotonic_s()
        if now_s - self._written[-1][0] >= TEND_S:
            self._written.append((now_s, self._counts["bytes_written"]))
            while now_s - self._written[1][0] >= RATE_S:
                self._written.popleft()
        if now_s < self._tend_s or self._fault is not None:
            return
        try:
            more, self._bytes, oldest = await asyncio.to_thread(self._prune)
        except sqlite3.Error as error:
            log.warning("the spool cannot be pruned", error=str(error))
            more, oldest = False, None
        if oldest is not None:
            self._oldest_us = oldest
        self._tend_s = now_s if more else now_s + TEND_S

    def _prune(self) -> tuple[bool, int, int | None]:
        """Whether there is more to delete at once; bytes; arrival of the oldest item."""
        pruned = self._spool.prune(self._needed_src)
        size, oldest = self._spool.size(), self._spool.oldest()
        is_old = oldest is not None and self._clock.now_us() - oldest > self._cap_us
        if not pruned and (size > self._cap_bytes or is_old):
            pruned = self._spool.shed()
            self._counts["dropped"] += pruned
        return pruned > 0, size, oldest
