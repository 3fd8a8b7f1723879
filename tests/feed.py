"""A feed written by hand in wall-clock words, for claims that a reader checks in the head.

The same claim is put to the engine and to the oracle: an oracle that fails a hand-written number judges nobody.
"""

from collections.abc import Callable
from typing import Any

import tickstockpl as tp
from oracle import MINUTE, SECOND, Oracle, Row, Rules
from rows import engine_of, rows_of
from strategies import encoded, message

MIDNIGHT = 1_757_548_800 * SECOND  # 2025-09-11 00:00:00 UTC


def at(clock: str) -> int:
    """µs UTC of "10:00", "10:00:01" or "10:00:01.5" on the feed's day; "+1 10:00" is the day after."""
    days, _, clock = clock.rpartition(" ")
    hours, minutes, seconds = (clock + ":0").split(":")[:3]
    return (
        MIDNIGHT
        + int(days or 0) * 86_400 * SECOND
        + (int(hours) * 60 + int(minutes)) * MINUTE
        + round(float(seconds) * SECOND)
    )


def minute(row: Row) -> str:
    """The start of the row's minute as "10:00"."""
    since = (row.ts_us - MIDNIGHT) // MINUTE % 1440
    return f"{since // 60:02}:{since % 60:02}"


class Feed:
    """Messages and calls on an engine or on the oracle. Our clock is the newest stamp sent, unless `now` is given."""

    def __init__(self, judge: str, **settings: Any) -> None:
        self.rules = Rules(**settings)
        self.oracle = Oracle(self.rules) if judge == "oracle" else None
        self.engine = engine_of(self.rules) if judge == "engine" else None
        self.now_us = 0
        self.rows: list[Row] = []

    def a(self, clock: str, price: float = 100.0, volume: float = 100, symbol: str = "AAPL", **more: Any) -> list[Row]:
        """One aggregate, stamped with the END of its window. Returns the rows that it made."""
        return self._tick("A", clock, price, volume, symbol, **more)

    def t(self, clock: str, price: float = 100.0, volume: float = 100, symbol: str = "AAPL", **more: Any) -> list[Row]:
        """One trade."""
        return self._tick("T", clock, price, volume, symbol, **more)

    def q(self, clock: str, price: float = 100.0, symbol: str = "AAPL", **more: Any) -> list[Row]:
        """One quote: its volume is 0 and its tick_volume null."""
        return self._tick("Q", clock, price, 0, symbol, tick_volume=None, **more)

    def send(self, payload: bytes, channel: int = 0) -> list[Row]:
        if self.oracle is not None:
            self.oracle.ingest([payload], self.now_us, channel)
        return self._made(self.engine and self.engine.ingest([payload], self.now_us, channel))

    def advance(self, clock: str) -> list[Row]:
        self.now_us = at(clock)
        if self.oracle is not None:
            self.oracle.advance(self.now_us)
        return self._made(self.engine and self.engine.advance(self.now_us))

    def flush(self) -> list[Row]:
        if self.oracle is not None:
            self.oracle.flush()
        return self._made(self.engine and self.engine.flush())

    def subscribed(self, clock: str, *, first: bool) -> None:
        self.now_us = at(clock)
        judge = self.oracle if self.oracle is not None else self.engine
        assert judge is not None
        judge.subscribed(self.now_us, first)

    def provisional(self) -> list[Row]:
        if self.oracle is not None:
            return self.oracle.provisional()
        assert self.engine is not None
        return rows_of(self.engine.provisional().bars)

    def count(self, name: str) -> int:
        judge = self.oracle if self.oracle is not None else self.engine
        assert judge is not None
        return judge.counters().get(name, 0)

    def event_time_us(self, channel: int = 0) -> int:
        judge = self.oracle if self.oracle is not None else self.engine
        assert judge is not None
        return judge.event_time_us()[channel]

    @property
    def bars(self) -> dict[str, Row]:
        """AAPL's bars so far, by minute; of a revised one its last row."""
        return self.bars_of("AAPL")

    def bars_of(self, symbol: str) -> dict[str, Row]:
        return {minute(row): row for row in self.rows if row.symbol == symbol}

    def _tick(
        self,
        kind: str,
        clock: str,
        price: float,
        volume: float,
        symbol: str,
        channel: int = 0,
        now: str | None = None,
        **more: Any,
    ) -> list[Row]:
        ts_us = at(clock)
        self.now_us = max(self.now_us, ts_us) if now is None else at(now)
        return self.send(encoded(message(symbol, ts_us, kind, price, volume, **more)), channel)

    def _made(self, output: tp.Output | None) -> list[Row]:
        if self.oracle is not None:
            made = self.oracle.emitted[len(self.rows) :]
        else:
            assert output is not None
            made = rows_of(output.bars)
        self.rows.extend(made)
        return made


Make = Callable[..., Feed]
"""A feed from the settings of `oracle.Rules`."""
