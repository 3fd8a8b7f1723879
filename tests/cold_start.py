"""A service that heard every session, and one that starts cold before the last: what both store of that one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bar_samples import ran, rows
from market_rows import MINUTE_US
from running import Shifted, serving, settings_for, tick
from tickstockpl.sessions import Session
from waiting import until

Minute = tuple[int, float, int]
"""Start in µs, close, shares."""


class ColdStart:
    """Services over one market of one symbol, on one database.

    stream: its minutes; the last session of them is `today`.
    """

    def __init__(self, database: str, redis: str, state_dir: Path, stream: Sequence[Minute], today: Session) -> None:
        self._servers = (database, redis, state_dir)
        self._stream = stream
        self._today = today

    async def fired(self, since_us: int, **sections: dict[str, Any]) -> list[Any]:
        """What a service stores of today that hears the market from a session on. sections: of its settings."""
        given = settings_for(*self._servers, session={"mode": "regular"}, ingest={"spool": False}, **sections)
        async with serving(given, clock=Shifted(self._today.close_us + 10 * MINUTE_US)) as up:
            await up.send(self._ticks(since_us))
            await up.stored()
            await until(lambda: up.stages["writer"]["backlog_items"] == 0)
        return await rows(
            self._servers[0],
            "SELECT event_id, pattern_id, direction, confidence, bar_start, revision, supersedes, "
            "payload - 'detection_timestamp' AS payload FROM pattern_event WHERE bar_start >= to_timestamp($1) "
            "ORDER BY bar_start, event_id",
            self._today.open_us / 1e6,
        )

    async def forget(self) -> None:
        """Leave of what was stored the minutes before today alone."""
        await ran(
            self._servers[0],
            f"DELETE FROM ohlcv_1min WHERE timestamp >= to_timestamp({self._today.open_us / 1e6} - 7200); "
            "TRUNCATE pattern_event, intraday_patterns, ohlcv_daily, ingest_checkpoint",
        )

    def _ticks(self, since_us: int) -> list[bytes]:
        """With an hour before the session's open in which a first subscription is over."""
        early = [tick(since_us - minute * MINUTE_US + 30_000_000) for minute in range(60, 0, -1)]
        heard = (minute for minute in self._stream if minute[0] >= since_us)
        later = [tick(us + 30_000_000, price=price, volume=shares) for us, price, shares in heard]
        return [*early, *later, tick(self._stream[-1][0] + MINUTE_US + 30_000_000)]


def minutes_of(columns: dict[str, Any], symbol: str) -> list[Minute]:
    """Those of one symbol."""
    mine = columns["symbol"] == symbol
    return list(zip(*(columns[name][mine].tolist() for name in ("ts_us", "close", "volume")), strict=True))
