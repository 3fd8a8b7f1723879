"""The helper that hands over, at a start, the events that a run before this one has left open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from tickstockpl.errors import ServerError
from tickstockpl.history import History
from tickstockpl.open_days import open_days
from tickstockpl.open_events import OpenEvents, open_events
from tickstockpl.settings import DatabaseSettings
from tickstockpl.trouble import Trouble
from tickstockpl.vocabulary import TIERS

RETRY_S = 10.0

log = structlog.get_logger(__name__)


class TakingUp:
    """The helper of the service that hands over what a run before it has left open."""

    def __init__(
        self,
        settings: DatabaseSettings,
        part: str,
        sessions: NDArray[np.int64],
        now_us: int,
        *,
        regular: bool = True,
        kept_days: int | None = None,
    ) -> None:
        """sessions, now_us: as `open_events` takes them; regular, kept_days: as `open_days` does."""
        self._settings = settings
        self._part = part
        self._sessions = sessions
        self._now_us = now_us
        self._regular = regular
        self._kept_days = kept_days
        self._trouble = Trouble()
        self._events = 0

    def status(self) -> dict[str, Any]:
        """How it goes, as plain values."""
        return {**self._trouble.state("open events cannot be read, trying again"), "taken_up": self._events}

    async def hand_over(
        self,
        timeframe: str,
        take: Callable[[OpenEvents, History], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Give all open events of a timeframe to `take`, group by group.

        A database that cannot be used is asked again until it can: what was handed over comes then once more.
        """
        before = self._events
        while True:
            try:
                async for events, bars in self._groups(timeframe):
                    await take(events, bars)
                    self._events += len(events)
            except ServerError as error:
                if self._trouble.again(str(error)):
                    log.warning("open events cannot be read, trying again", error=str(error))
                await sleep(RETRY_S)
                self._events = before
            else:
                self._trouble.over()
                return

    def _groups(self, timeframe: str) -> AsyncIterator[tuple[OpenEvents, History]]:
        database, part, sessions = self._settings, self._part, self._sessions
        if timeframe in TIERS:
            return open_days(
                *(database, part, sessions, self._now_us, timeframe),
                regular=self._regular,
                kept_days=self._kept_days,
            )
        return open_events(database, part, sessions, self._now_us, timeframe)
