"""Windows in which ticks may have been missed, as `ingest_gap` keeps them, and the minutes that they touch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickstockpl.moments import MINUTE_US, moment_at, us_of
from tickstockpl.postgres import Connection

I64 = NDArray[np.int64]


_READ = """
SELECT started_at, ended_at, cause, channels FROM ingest_gap
WHERE started_at < $2 AND ended_at > $1 ORDER BY started_at, ended_at
"""


@dataclass(frozen=True, slots=True)
class Window:
    """One row of `ingest_gap`; times in µs UTC."""

    started_us: int
    ended_us: int
    cause: str
    channels: tuple[str, ...]


async def windows(connection: Connection, first_us: int, last_us: int) -> list[Window]:
    """The windows that reach into [first_us, last_us), in order of their start."""
    rows = await connection.fetch(_READ, moment_at(first_us), moment_at(last_us))
    return [Window(us_of(row[0]), us_of(row[1]), row[2], tuple(row[3])) for row in rows]


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
