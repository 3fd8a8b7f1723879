"""Stored bars looked at again and again: what is counted in a row may never become less."""

import asyncio
from typing import Any

import asyncpg

from bar_samples import rows


class Sampled:
    """Every bar's trades and volume, as often as it was looked at."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._most: dict[tuple[str, Any], tuple[int, int]] = {}
        self.looks = 0
        self.shrunk: list[Any] = []
        """Bar, what it had, and what it has."""

    async def look(self) -> None:
        for row in await rows(self._uri, "SELECT symbol, timestamp, trades, volume FROM ohlcv_1min"):
            key, now = (row["symbol"], row["timestamp"]), (row["trades"], row["volume"])
            before = self._most.get(key, (0, 0))
            if now[0] < before[0] or now[1] < before[1]:
                self.shrunk.append((*key, before, now))
            self._most[key] = now
        self.looks += 1

    async def watch(self, pause_s: float = 0.02) -> None:
        """Look until cancelled, whenever the server answers."""
        while True:
            try:
                await self.look()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                await asyncio.sleep(0.05)  # the last one: asyncpg closes what was lost in the middle of a query
            await asyncio.sleep(pause_s)
