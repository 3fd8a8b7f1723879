"""One flush into one transaction.

Bars and events go through temporary tables: a binary COPY, then one INSERT … SELECT in key order, so that two writers
lock rows in the same order. On a hypertable that is several times the rate of a statement per row.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg
import numpy as np
import orjson

from tickstockpl import event_payload, payload, postgres
from tickstockpl.backlog import PAYLOAD_BYTES, Flush, Kept, Mark
from tickstockpl.binary_copy import copied
from tickstockpl.errors import ServerError
from tickstockpl.events import Event, Events
from tickstockpl.faults import sift
from tickstockpl.outcome_rows import Outcomes
from tickstockpl.position import Position
from tickstockpl.postgres import Connection
from tickstockpl.readings import Calculation, Readings
from tickstockpl.statements import (
    CHANGED_SESSIONS,
    CHECKPOINT,
    DEAD,
    EVENTS,
    EXPIRE,
    GAP,
    INDICATORS,
    OUTCOMES,
    SENT,
    STAGED,
    STAGED_EVENTS,
    STAGED_INDICATORS,
    STAGED_OUTCOMES,
    accept,
    upsert,
)
from tickstockpl.tables import QUALITY_TEXT, Tables
from tickstockpl.vocabulary import TIMEFRAME
from tickstockpl.wire import DeadLetter

T = TypeVar("T")
Policy = Literal["accept", "allowlist", "quarantine"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Under which ownership is written, and of which source the rows' messages are."""

    part: str
    epoch: int
    src_id: UUID


class NotOwner(Exception):
    """The epoch is another one: nothing was stored."""


@dataclass(slots=True)
class Outcome:
    """What became of a flush, valid once its transaction is committed."""

    bars: int = 0
    kept_fuller: int = 0
    """Bars not written because what is stored is fuller or newer."""
    ambiguous: int = 0
    """Of the bars, those of which another writer has counted other messages."""
    events: int = 0
    """New ones; an event that is stored already is not counted."""
    indicators: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """How many events ended so, that had not before."""
    expired: int = 0
    gaps: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """Rows that cannot be stored, by reason."""
    letters: int = 0
    """Of the rejected rows, those kept in `dead_letter`; an allowance may have run out."""
    early: list[Mark] = field(default_factory=list)
    """Marks of sending whose event is not stored yet."""


class Store:
    """Writes flushes into the tables as they are in one database.

    Raises ServerError if they are not what the service needs.
    """

    def __init__(self, tables: Tables, policy: Policy, event_ttl_s: float, claim: Claim | None = None) -> None:
        if lacking := tables.lacks():
            raise ServerError(f"columns are missing, run `tickstockpl migrate`: {lacking}")
        self.tables = tables
        self._policy = policy
        self._ttl_s = event_ttl_s
        self._claim = claim
        self._part = claim.part if claim is not None else ""
        self._upsert = upsert(tables)
        symbols = tables.columns.get("symbols")
        if policy != "accept" and symbols is None:
            raise ServerError(f"symbol policy {policy} needs the table symbols, and there is none")
        self._accept = accept(symbols) if policy == "accept" and tables.symbols_key and symbols else None
        self._asks = policy != "accept" or self._accept is not None
        self._known: set[str] = set()

    def forget_symbols(self) -> None:
        """Look every symbol up again: somebody may have deleted one."""
        self._known.clear()

    async def write(self, connection: Connection, flush: Flush, *, sifting: bool, letters: int, now_us: int) -> Outcome:
        """Store a flush in one transaction; storing it again changes nothing.

        sifting: a row that cannot be stored is found and put aside; False is faster, and such a row raises.
        letters: rejected rows kept in `dead_letter` at most.
        Raises what asyncpg raises; nothing is stored then (or all of it, if only the answer to COMMIT was lost).
        Raises NotOwner, and nothing is stored, if the claim does not hold.
        """
        done = Outcome()
        aside: list[tuple[DeadLetter, str]] = []
        async with postgres.transaction(connection):
            strangers = await self._strangers(connection, flush) if self._asks else set()
            bars = [i for i, name in enumerate(flush.names) if name not in strangers]
            events = flush.events
            if strangers:
                why = "unknown_symbol" if self._policy == "allowlist" else "quarantined"
                aside += [(_letter(flush, i, why, now_us), "") for i, n in enumerate(flush.names) if n in strangers]
                if events is not None:
                    strange = np.array([name in strangers for name in events.symbol_names()], dtype=np.bool_)
                    aside += [(_event_letter(event, why, now_us), "") for event in events.where(strange)]
                    events = events.where(~strange)
            if bars:
                aside += await self._store_bars(connection, flush, bars, done, sifting, now_us)
            if events:
                aside += await self._store_events(connection, events, done, sifting, now_us)
            if flush.readings is not None and (calculations := _latest(flush.readings, strangers)):
                aside += await self._store_indicators(connection, calculations, done, sifting, now_us)
            if flush.expired:
                ids = sorted(expiry.event_id for expiry in flush.expired)
                for statement in EXPIRE:
                    await connection.execute(statement, ids)
                done.expired = len(ids)
            await self._store_outcomes(connection, flush, strangers, done)
            if flush.sent:
                await self._mark_sent(connection, flush.sent, done)
            if flush.gaps:
                await connection.executemany(GAP, [_gap_row(kept) for kept in flush.gaps])
                done.gaps = len(flush.gaps)
            for letter, _ in aside:
                done.rejected[letter.reason] = done.rejected.get(letter.reason, 0) + 1
            done.letters = min(len(aside), letters)
            rows: list[tuple[UUID, DeadLetter, str | None]] = [(kept.id, kept.row, None) for kept in flush.dead]
            rows += [(_letter_id(letter), letter, detail or None) for letter, detail in aside[: done.letters]]
            if rows:
                await _store_letters(connection, rows)
            if self._claim is not None:
                await _confirm(connection, self._claim, flush.position)
        if self._asks and not sifting:
            self._known.update(set(flush.names) - strangers)
        return done

    async def _strangers(self, connection: Connection, flush: Flush) -> set[str]:
        """Symbols that the policy keeps out."""
        if self._policy == "accept":
            return set()
        read = () if flush.readings is None else flush.readings.symbol_names()
        found = () if flush.events is None else flush.events.symbol_names()
        ended = (name for outcomes in flush.outcomes for name in outcomes.names)
        asked = {*flush.names, *found, *read, *ended} - self._known
        if not asked:
            return set()
        rows = await connection.fetch("SELECT symbol FROM symbols WHERE symbol = ANY ($1::text[])", sorted(asked))
        return asked - {row["symbol"] for row in rows}

    async def _store_bars(
        self, connection: Connection, flush: Flush, bars: list[int], done: Outcome, sifting: bool, now_us: int
    ) -> list[tuple[DeadLetter, str]]:
        async def store(part: Sequence[int]) -> None:
            names = [flush.names[i] for i in part]
            if self._accept is not None and (fresh := sorted(set(names) - self._known)):
                await connection.execute(self._accept, fresh)
            rows = flush.bars if len(part) == len(flush.bars) else flush.bars[np.asarray(part)]
            await _copy(connection, "tickstockpl_bars", STAGED, copied(names, rows, STAGED[1:]))
            written = await connection.fetchrow(self._upsert, self._claim.src_id if self._claim is not None else None)
            assert written is not None  # noqa: S101  # counts always come
            done.bars += written["rows"]
            done.ambiguous += written["ambiguous"]
            done.kept_fuller += len(part) - written["rows"]

        bad = await _sifted(connection, "tickstockpl_bars", bars, store, sifting)
        minutes = flush.bars["ts_us"]
        await connection.execute(CHANGED_SESSIONS, int(minutes.min()), int(minutes.max()), now_us)
        return [(_letter(flush, i, _reason(error), now_us), str(error)) for i, error in bad]

    async def _store_events(
        self, connection: Connection, events: Events, done: Outcome, sifting: bool, now_us: int
    ) -> list[tuple[DeadLetter, str]]:
        async def store(part: Sequence[int]) -> None:
            rows = event_payload.staged(events if len(part) == len(events) else events.where(np.asarray(part)))
            await _copy(connection, "tickstockpl_events", STAGED_EVENTS, rows)
            done.events += await connection.fetchval(EVENTS, payload.SOURCE, self._ttl_s, self._part)

        bad = await _sifted(connection, "tickstockpl_events", range(len(events)), store, sifting)
        return [(_event_letter(events[at], _reason(error), now_us), str(error)) for at, error in bad]

    async def _store_indicators(
        self, connection: Connection, calculations: Sequence[Calculation], done: Outcome, sifting: bool, now_us: int
    ) -> list[tuple[DeadLetter, str]]:
        async def store(part: Sequence[Calculation]) -> None:
            await connection.copy_records_to_table(
                "tickstockpl_indicators", records=map(_indicator_record, part), columns=list(STAGED_INDICATORS)
            )
            done.indicators += _count(await connection.execute(INDICATORS, self._ttl_s, TIMEFRAME))

        bad = await _sifted(connection, "tickstockpl_indicators", calculations, store, sifting)
        return [(_indicator_letter(each, _reason(error), now_us), str(error)) for each, error in bad]

    async def _store_outcomes(self, connection: Connection, flush: Flush, strangers: set[str], done: Outcome) -> None:
        for outcomes in Outcomes.joined(flush.outcomes):
            rows = copied(outcomes.names, outcomes.rows, STAGED_OUTCOMES[1:])
            await _copy(connection, "tickstockpl_outcomes", STAGED_OUTCOMES, rows)
            for row in await connection.fetch(OUTCOMES, outcomes.timeframe, self._part, sorted(strangers)):
                done.outcomes[row["outcome"]] = done.outcomes.get(row["outcome"], 0) + row["rows"]
            await connection.execute("TRUNCATE tickstockpl_outcomes")

    async def _mark_sent(self, connection: Connection, marks: list[Mark], done: Outcome) -> None:
        first: dict[str, Mark] = {}
        for mark in marks:
            first.setdefault(mark.sent.event_id, mark)
        ids = sorted(first)
        rows = await connection.fetch(SENT, ids, [first[i].sent.published_at_us for i in ids])
        found = {row["event_id"] for row in rows}
        done.early = [mark for event_id, mark in first.items() if event_id not in found]


async def _sifted(
    connection: Connection, stage: str, rows: Sequence[T], move: Callable[[Sequence[T]], Awaitable[None]], sifting: bool
) -> list[tuple[T, Exception]]:
    """Store rows through the temporary table `stage`; if sifting, all but those that come back, each with its error.

    move: copies rows into `stage` and moves them on; what it raises comes through, unless a sifted row is at fault.
    """
    if not sifting:
        await move(rows)
        return []

    async def store_part(part: Sequence[T]) -> None:
        async with connection.transaction():
            await move(part)
            await connection.execute(f"TRUNCATE {stage}")

    return await sift(rows, store_part)


async def _copy(connection: Connection, stage: str, columns: Sequence[str], rows: bytes) -> None:
    """Fill the temporary table `stage` from a binary COPY."""

    async def source() -> AsyncIterator[bytes]:
        yield rows

    await connection.copy_to_table(stage, source=source(), columns=list(columns), format="binary")


async def _confirm(connection: Connection, claim: Claim, position: Position | None) -> None:
    """Note how far the source is stored, last of all: the row stays locked until the commit."""
    values = orjson.dumps(position.to_values()).decode() if position is not None else None
    if _count(await connection.execute(CHECKPOINT, claim.part, claim.epoch, values)) != 1:
        raise NotOwner


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _reason(error: Exception) -> str:
    """The SQLSTATE's name, such as `string_data_right_truncation`: few values, fit for a metric's label."""
    if isinstance(error, asyncpg.PostgresError):
        name = type(error).__name__.removesuffix("Error")
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return "not_encodable"


def _latest(readings: Readings, strangers: set[str]) -> list[Calculation]:
    """The newest calculation of each indicator and bar; not of symbols that are kept out, whose bars are not there."""
    newest = {(each.symbol, each.indicator.name, each.bar_end_us): each for each in readings.calculations()}
    return [each for each in newest.values() if each.symbol not in strangers]


def _indicator_record(calculation: Calculation) -> tuple[Any, ...]:
    """A row of STAGED_INDICATORS."""
    metadata = orjson.dumps({"source": payload.SOURCE, **calculation.indicator.parameters}).decode()
    return (
        calculation.symbol,
        calculation.indicator.name,
        calculation.values["value"],
        payload.stored_values(calculation),
        metadata,
        calculation.bar_end_us,
    )


def _indicator_letter(calculation: Calculation, reason: str, now_us: int) -> DeadLetter:
    text = payload.stored_values(calculation).encode()
    return DeadLetter(reason, calculation.symbol, None, calculation.bar_end_us, text, now_us)


def _letter(flush: Flush, i: int, reason: str, now_us: int) -> DeadLetter:
    """The whole row, as JSON: enough to store it by hand once its symbol is welcome."""
    row = flush.bars[i]
    values = {name: row[name].item() for name in STAGED[1:]} | {"quality": QUALITY_TEXT[row["quality"]]}
    text = orjson.dumps({"symbol": flush.names[i], **values})
    return DeadLetter(reason, flush.names[i], None, int(row["ts_us"]), text, now_us)


def _event_letter(event: Event, reason: str, now_us: int) -> DeadLetter:
    return DeadLetter(reason, event.symbol, None, event.bar_end_us, orjson.dumps(event), now_us)


def _letter_id(letter: DeadLetter) -> UUID:
    """The same for the same rejected row, so that a transaction whose COMMIT was not answered may be repeated."""
    return uuid5(NAMESPACE_OID, f"{letter.reason} {letter.ts_us} {letter.payload.decode()}")


def _gap_row(kept: Kept) -> tuple[Any, ...]:
    gap = kept.row
    channels, symbols = ([_storable(name) for name in names] for names in (gap.channels, gap.symbols))
    return kept.id, gap.started_us, gap.ended_us, _storable(gap.cause), channels, symbols or None


def _storable(text: str | None) -> str | None:
    """Text that PostgreSQL takes: it refuses U+0000 and lone surrogates, and dead letters come with anything."""
    if text is None:
        return None
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


async def _store_letters(connection: Connection, rows: Sequence[tuple[UUID, DeadLetter, str | None]]) -> None:
    await connection.execute(
        DEAD,
        [id_ for id_, _, _ in rows],
        [letter.at_us for _, letter, _ in rows],
        [_storable(letter.reason) for _, letter, _ in rows],
        [_storable(letter.symbol) for _, letter, _ in rows],
        [_storable(letter.channel) for _, letter, _ in rows],
        [letter.ts_us for _, letter, _ in rows],
        [letter.payload[:PAYLOAD_BYTES] for _, letter, _ in rows],
        [_storable(detail) for _, _, detail in rows],
    )
