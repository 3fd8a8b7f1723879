"""Windows in which ticks may have been missed, as `ingest_gap` keeps them, and the minutes that they touch."""

# ruff: noqa: S608 - what is put into this text are our own words; values are parameters

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import asyncpg
import numpy as np
from numpy.typing import NDArray

from tickstockpl.moments import MINUTE_US, moment_at, us_of
from tickstockpl.postgres import Connection
from tickstockpl.tables import Tables

I64 = NDArray[np.int64]

_READ = """
SELECT started_at, ended_at, cause, channels, symbols FROM ingest_gap
WHERE started_at < $2 AND ended_at > $1 ORDER BY started_at, ended_at
"""


@dataclass(frozen=True, slots=True)
class Window:
    """One row of `ingest_gap`; times in µs UTC."""

    started_us: int
    ended_us: int
    cause: str
    channels: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    """Whose ticks; empty: those of all."""


@dataclass(frozen=True, slots=True)
class Missed:
    """The minutes of a session in which ticks may be missing: int64 (n, 2), [start, end) of each span in µs UTC."""

    of_all: I64
    of_symbol: dict[str, I64]
    """Of those with a window of their own: these minutes, and those of all."""

    @classmethod
    def of(cls, found: Iterable[Window], first_us: int, last_us: int) -> Self:
        """first_us, last_us: see `touched`."""
        for_all: list[Window] = []
        own: dict[str, list[Window]] = defaultdict(list)
        for window in found:
            for symbol in window.symbols:
                own[symbol].append(window)
            if not window.symbols:
                for_all.append(window)
        each = {symbol: touched(for_all + more, first_us, last_us) for symbol, more in own.items()}
        return cls(touched(for_all, first_us, last_us), each)

    def minutes(self, symbol: str | None = None) -> int:
        """How many there are of a symbol; without one, of every symbol."""
        spans = self.of_all if symbol is None else self.of_symbol.get(symbol, self.of_all)
        return int((spans[:, 1] - spans[:, 0]).sum()) // MINUTE_US

    def arguments(self, tables: Tables) -> list[Any]:
        """The three arguments of `in_gap`."""

        def ranges(spans: I64) -> list[Any]:
            return [asyncpg.Range(*map(tables.moment, span)) for span in spans.tolist()]

        named = [(symbol, span) for symbol, spans in self.of_symbol.items() for span in ranges(spans)]
        return [ranges(self.of_all), [symbol for symbol, _ in named], [span for _, span in named]]


def in_gap(tables: Tables, bar: str, first: int) -> tuple[str, str]:
    """A join, and a condition that holds for rows of `bar` in a missed minute; `first`: the first argument's place."""
    kind = "ts" if tables.naive else "tstz"
    join = f"""LEFT JOIN (
          SELECT own.symbol, range_agg(own.span) AS spans
          FROM unnest(${first + 1}::text[], ${first + 2}::{kind}range[]) AS own(symbol, span) GROUP BY own.symbol
        ) missed ON missed.symbol = {bar}.symbol"""
    return join, f"{bar}.timestamp <@ coalesce(missed.spans, ${first}::{kind}multirange)"


async def windows(connection: Connection, first_us: int, last_us: int) -> list[Window]:
    """The windows that reach into [first_us, last_us), in order of their start."""
    rows = await connection.fetch(_READ, moment_at(first_us), moment_at(last_us))
    return [Window(us_of(row[0]), us_of(row[1]), row[2], tuple(row[3]), tuple(row[4] or ())) for row in rows]


def touched(found: Iterable[Window], first_us: int, last_us: int) -> I64:
    """The minutes that lie in a window even in part, as spans that neither overlap nor touch.

    first_us, last_us: whole minutes; nothing outside of [first_us, last_us) is given.
    Returns int64 (n, 2), [start, end) of each span in µs UTC, in order.
    """
    spans: list[list[int]] = []
    for window in sorted(found, key=lambda window: window.started_us):
        begin = max(first_us, window.started_us // MINUTE_US * MINUTE_US)
        end = min(last_us, -(-window.ended_us // MINUTE_US) * MINUTE_US)
        if begin >= end:
            continue
        if spans and begin <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([begin, end])
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
