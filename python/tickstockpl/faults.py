"""What a database error means for the rows that were being written, and how the guilty rows are found."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import TypeVar

import asyncpg

from tickstockpl.errors import ServerError

T = TypeVar("T")


class Fault(Enum):
    """What to do about an error."""

    RETRY = "retry"
    """The server is away, busy or gave the work up: the same rows go in later."""
    READ_ONLY = "read_only"
    """This server is a standby now: drop its connections and look for the one that takes writes."""
    POISON = "poison"
    """A row cannot be stored: find it, put it aside, store the rest."""
    SCHEMA = "schema"
    """The tables are not what they were, or a right is missing: loud, and tried again slowly."""


_BY_STATE = {
    "40001": Fault.RETRY,
    "40P01": Fault.RETRY,
    "55P03": Fault.RETRY,
    "25006": Fault.READ_ONLY,
    "23502": Fault.SCHEMA,  # we write no NULL where one was ever refused, so a column has become NOT NULL
    "42P10": Fault.SCHEMA,
}
_BY_CLASS = {
    "08": Fault.RETRY,
    "25": Fault.RETRY,
    "40": Fault.RETRY,
    "53": Fault.RETRY,
    "55": Fault.RETRY,
    "57": Fault.RETRY,
    "58": Fault.RETRY,
    "21": Fault.POISON,
    "22": Fault.POISON,
    "23": Fault.POISON,
    "44": Fault.POISON,
    "54": Fault.POISON,
    "P0": Fault.POISON,  # a trigger's RAISE EXCEPTION
}


def fault_of(error: BaseException) -> Fault | None:
    """What `error` means; None: it is not the database's, but a mistake of ours."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        # What is in neither table (rights, authentication, internal errors) does not pass by waiting a second.
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2], Fault.SCHEMA)
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return Fault.POISON  # refused by asyncpg's encoder: the value does not fit its type
    if isinstance(error, ServerError):
        return Fault.SCHEMA
    if isinstance(error, (OSError, EOFError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return Fault.RETRY
    return None


async def sift(rows: Sequence[T], store: Callable[[Sequence[T]], Awaitable[None]]) -> list[tuple[T, Exception]]:
    """Store all rows except those that cannot be stored; these come back, each with its error, in order.

    rows: n rows, of which k are bad; `store` is called O(k log n) times. It must leave nothing behind when it raises.
    Raises what `store` raises if it is not a `Fault.POISON`.
    """
    bad: list[tuple[T, Exception]] = []
    spans = [(0, len(rows))] if rows else []
    while spans:
        low, high = spans.pop()
        try:
            await store(rows[low:high])
        except Exception as error:
            if fault_of(error) is not Fault.POISON:
                raise
            if high - low == 1:
                bad.append((rows[low], error))
                continue
            middle = (low + high) // 2
            spans += [(middle, high), (low, middle)]
    return bad
