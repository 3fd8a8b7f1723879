"""Bars, events and everything else that is kept, into PostgreSQL; the tick path never waits for it.

`collect` takes what the other stages hand over into a bounded backlog and is always prompt; `run` stores the backlog,
one transaction a flush, and keeps a flush until the database has taken it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import asyncpg
import stamina
import structlog

from tickstockpl import postgres
from tickstockpl.backlog import Allowance, Backlog, Flush
from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.errors import BehindError, ServerError
from tickstockpl.faults import Fault, fault_of
from tickstockpl.foreign import ForeignWriter
from tickstockpl.metrics import Metrics
from tickstockpl.ownership import Ownership
from tickstockpl.position import Position
from tickstockpl.postgres import Connection, Pool
from tickstockpl.settings import Settings
from tickstockpl.statements import STAGE
from tickstockpl.store import Claim, NotOwner, Outcome, Store
from tickstockpl.tables import read_tables
from tickstockpl.trouble import is_told
from tickstockpl.wire import WriteBatch

SCHEMA_RETRY_S = 10.0
"""Between two tries while the tables or our rights on them are wrong: a person has to act first."""

_COUNTS = (
    *("rows", "kept_fuller", "ambiguous", "events", "outcomes", "indicators", "rejected", "dead_letters"),
    *("batches", "retries", "abandoned", "acquires"),
)

log = structlog.get_logger(__name__)


class Writer:
    """The stage that owns the database.

    Use as a context manager around `collect` and `run`: entering opens the pool and looks at the tables, leaving
    closes the pool. Entering raises ServerError if the database cannot be used.
    inbox: what to store; both tasks end when it is closed and everything is stored.
    ownership: without it anybody may write; `claimed` is to be called when it is had, before `run`.
    stored: told how far the source is stored. ended: called when it is stored that events have ended.
    """

    def __init__(
        self,
        settings: Settings,
        inbox: Channel[WriteBatch],
        clock: Clock,
        metrics: Metrics,
        *,
        ownership: Ownership | None = None,
        stored: Callable[[Position], None] | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings.database
        self._batch_rows = settings.writer.batch_rows
        self._batch_age_s = settings.writer.batch_age_s
        self._ttl_s = settings.publish.event_ttl_s
        self._inbox = inbox
        self._clock = clock
        self._metrics = metrics
        self._ownership = ownership
        self._stored = stored
        self._ended_events = ended
        self._letters = Allowance(settings.writer.dead_letters_per_hour)
        self._backlog = Backlog(settings.writer.queue_minutes * settings.bars.max_symbols, self._letters)
        self._arrived = asyncio.Event()
        self._written = asyncio.Event()
        """Something was stored since it was cleared."""
        self._drained = self._ended = False
        self._stop_at: float | None = None
        self._deadline: asyncio.Timeout | None = None
        self._cutoff: asyncio.TimerHandle | None = None
        self._claims = ExitStack()
        self._pool: Pool | None = None
        self._store: Store | None = None
        self._claim: Claim | None = None
        self._foreign: ForeignWriter | None = None
        self._told_foreign = False
        self._reassert_s = settings.writer.reassert_after_s
        self._again: deque[tuple[float, WriteBatch]] = deque()
        """Finished bars that are to be written once more, and when."""
        self._resumes = False
        self._fault: Fault | None = None
        self._error = ""
        self._failures = 0
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._told: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._claims.enter_context(postgres.claimed_waiters())
        try:
            await self._connected()
        except BaseException as error:
            self._claims.close()
            if not isinstance(error, Exception) or isinstance(error, ServerError) or fault_of(error) is None:
                raise
            raise ServerError(f"the database at {self._settings.address} cannot be used: {_said(error)}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop_pool()
        self._claims.close()

    def price_scale(self) -> int | None:
        """Digits after the point that the table keeps of a price; None: all of a double's.

        Bars are rounded to it before anything else is made of them, so that what is read back is what was live.
        """
        if self._store is None:
            raise RuntimeError("the writer must be entered before its tables are known")
        return self._store.tables.price_scale()

    def claimed(self, src_id: UUID, *, resumes: bool) -> None:
        """From now on transactions are those of the ownership, and rows name messages of this source.

        To be called once the writer was entered. resumes: a new start would make again what was dropped.
        """
        self._resumes = resumes
        if self._ownership is not None and self._store is not None:
            self._claim = Claim(self._ownership.part, self._ownership.epoch, src_id)
            self._store = Store(self._store.tables, self._settings.symbol_policy, self._ttl_s, self._claim)

    async def collect(self) -> None:
        """Move what arrives into the backlog, until the inbox is closed and empty."""
        async for batch in self._inbox:
            while batch.can_wait and self._backlog.is_half_full and not self._ended:
                self._written.clear()
                await self._written.wait()
            self._take_in(batch, self._clock.monotonic_s())
            self._tell("bars dropped: the database has been away for too long", self._backlog.dropped_bars)
            self._tell("events dropped: the database has been away for too long", self._backlog.dropped_events)
            self._tell("indicators dropped: the database has been away for too long", self._backlog.dropped_readings)
            self._tell("outcomes dropped: the database has been away for too long", self._backlog.dropped_outcomes)
            self._tell("dead letters beyond the hour's allowance are only counted", self._backlog.dropped_letters)
            self._arrived.set()
        self._drained = True
        self._arrived.set()

    async def run(self) -> None:
        """Store the backlog as it fills or ages, until the inbox has ended and all is stored, or `stop` says so."""
        try:
            async with asyncio.timeout_at(self._stop_at) as self._deadline:
                while await self._due():
                    await self._write(self._backlog.take(self._batch_rows))
                    self._mind_what_was_dropped()
        except TimeoutError:
            if self._deadline is None or not self._deadline.expired():
                raise
        finally:
            self._ended = True
            self._written.set()
            self._deadline = None
            if self._cutoff is not None:
                self._cutoff.cancel()
        if left := len(self._backlog) + self._backlog.flushing:
            self._counts["abandoned"] = left
            log.error("stopped with rows that are not stored", rows=left)

    def stop(self, within_s: float) -> None:
        """Give `run` so many seconds to store the rest; then it gives up, says what is left and returns."""
        loop = asyncio.get_running_loop()
        self._stop_at = loop.time() + within_s
        if self._deadline is not None:
            self._deadline.reschedule(self._stop_at)
        # A little earlier, for a cancelled query waits for its server, and that of a dropped connection does not.
        self._cutoff = loop.call_later(max(0.0, within_s - 0.05), self._drop_pool)

    def status(self) -> dict[str, Any]:
        """How it goes, as plain values."""
        backlog, pool = self._backlog, self._pool
        oldest_s = backlog.oldest_s()
        state, reason = "ok", None
        if self._fault is Fault.SCHEMA:
            state, reason = "down", f"the tables cannot be written: {self._error}"
        elif self._fault is not None:
            state, reason = "degraded", f"the database does not take rows: {self._error}"
        elif self._foreign is not None and self._foreign.seen:
            state, reason = "degraded", "another writer fills ohlcv_1min too: rows that we have not counted"
        return {
            "state": state,
            **({"reason": reason} if reason else {}),
            **self._counts,
            "foreign_writer": self._foreign is not None and self._foreign.seen,
            "foreign_changes": self._foreign.changed if self._foreign is not None else 0,
            "backlog_rows": backlog.rows,
            "backlog_items": len(backlog),
            "backlog_bytes": backlog.bytes,
            "backlog_max_rows": backlog.max_rows,
            "backlog_max_bytes": backlog.max_bytes,
            "backlog_age_s": 0.0 if oldest_s is None else max(0.0, self._clock.monotonic_s() - oldest_s),
            "coalesced": backlog.coalesced,
            "dropped_bars": backlog.dropped_bars,
            "dropped_events": backlog.dropped_events,
            "dropped_letters": backlog.dropped_letters,
            "dropped_readings": backlog.dropped_readings,
            "dropped_outcomes": backlog.dropped_outcomes,
            "sent_without_event": backlog.orphaned,
            "failures": self._failures,
            "last_error": self._error,
            "pool_size": pool.get_size() if pool else 0,
            "pool_idle": pool.get_idle_size() if pool else 0,
        }

    def _take_in(self, batch: WriteBatch, now_s: float) -> None:
        self._backlog.add(batch, now_s)
        if self._reassert_s is None:
            return
        if batch.bars is not None and len(batch.bars):
            self._again.append((now_s + self._reassert_s, WriteBatch(bars=batch.bars, spans=batch.spans)))
        while self._again and self._again[0][0] <= now_s:
            self._backlog.add(self._again.popleft()[1], now_s)

    def _mind_what_was_dropped(self) -> None:
        """Once all that is left is stored, a start is the way to what was dropped.

        Raises BehindError then.
        """
        if self._resumes and self._stop_at is None and self._backlog.lost and not len(self._backlog):
            raise BehindError(
                f"{self._backlog.dropped_bars} bars and {self._backlog.dropped_events} events were dropped while the "
                "database was away; start again to have them made from the source once more"
            )

    async def _due(self) -> bool:
        """Wait until a flush is due; False: there will be no more."""
        while True:
            self._arrived.clear()
            oldest_s = self._backlog.oldest_s()
            if oldest_s is None:
                if self._drained:
                    return False
                await self._arrived.wait()
                continue
            left_s = self._batch_age_s - (self._clock.monotonic_s() - oldest_s)
            if self._drained or left_s <= 0 or len(self._backlog) >= self._batch_rows:
                return True
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._arrived.wait()

    async def _write(self, flush: Flush) -> None:
        """Store a flush, however long it takes."""
        async for attempt in stamina.retry_context(
            on=self._backoff, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0, wait_jitter=0.5
        ):
            with attempt:
                started_s = time.perf_counter()
                done = await self._try(flush)
                self._metrics.write_seconds.observe(time.perf_counter() - started_s)
                self._backlog.flushing = 0
                self._written.set()
                self._account(flush, done)

    async def _try(self, flush: Flush) -> Outcome:
        pool, store = await self._connected()
        connection = await pool.acquire(timeout=self._settings.connect_timeout_s)
        self._counts["acquires"] += 1
        now_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
        try:
            letters = self._letters.left(now_s)
            try:
                done = await store.write(connection, flush, sifting=False, letters=letters, now_us=now_us)
            except Exception as error:
                if fault_of(error) is not Fault.POISON:
                    raise
                log.warning("a row cannot be stored; looking for it", error=_said(error), bars=len(flush.bars))
                store.forget_symbols()
                done = await store.write(connection, flush, sifting=True, letters=letters, now_us=now_us)
            await self._look_for_others(connection, store, flush)
        except NotOwner:
            assert self._ownership is not None  # noqa: S101  # without one there is no claim
            raise self._ownership.fenced() from None
        finally:
            await pool.release(connection, timeout=self._settings.connect_timeout_s)
        return done

    async def _look_for_others(self, connection: Connection, store: Store, flush: Flush | None) -> None:
        """Now and then, see whether somebody else writes the table too; said once, until it has ended.

        Whether it can be seen is no matter of the rows: they are stored by now.
        """
        if self._foreign is None:
            self._foreign = ForeignWriter(store.tables.naive)
        try:
            await self._foreign.look(connection, self._clock.monotonic_s())
        except postgres.UNUSABLE as error:
            log.warning("cannot see whether somebody else writes ohlcv_1min too", error=_said(error))
        if flush is not None:
            self._foreign.note(flush)
        if self._foreign.seen and not self._told_foreign:
            log.warning(
                "another writer fills ohlcv_1min too: fuller rows win; switch one of them off",
                rows_changed=self._foreign.changed,
            )
        self._told_foreign = self._foreign.seen

    def _backoff(self, error: Exception) -> bool | float:
        """Whether and when to try again after `error`; called by stamina."""
        fault = fault_of(error)
        if fault is None:
            return False
        self._fault, self._error = fault, _said(error)
        self._failures += 1
        self._counts["retries"] += 1
        self._metrics.write_errors.labels(fault.value).inc()
        if is_told(self._failures):
            log.error("bars not stored, trying again", error=self._error, tries=self._failures, rows=self._backlog.rows)
        if fault is Fault.RETRY:
            return True
        self._drop_pool()
        return True if fault is Fault.READ_ONLY else SCHEMA_RETRY_S

    def _account(self, flush: Flush, done: Outcome) -> None:
        if self._failures:
            log.info("bars are stored again", tries=self._failures, rows=len(self._backlog))
            self._fault, self._error, self._failures = None, "", 0
        if not self._drained:
            self._backlog.put_back(done.early, self._clock.monotonic_s())
        self._letters.spend(done.letters)
        rejected = sum(done.rejected.values())
        written = {"ohlcv_1min": done.bars, "pattern_event": done.events, "ingest_gap": done.gaps}
        outcomes = sum(done.outcomes.values())
        written |= {"intraday_indicators": done.indicators, "pattern_outcome": outcomes}
        for table, rows in (written | {"dead_letter": done.letters + len(flush.dead)}).items():
            self._metrics.rows_written.labels(table).inc(rows)
        for end, count in done.outcomes.items():
            self._metrics.pattern_outcomes.labels(end).inc(count)
        if outcomes and self._ended_events is not None:
            self._ended_events()
        for reason, rows in done.rejected.items():
            self._metrics.dead_letters.labels(reason).inc(rows)
            log.warning("rows put aside", reason=reason, rows=rows, kept=done.letters)
        for kept in flush.dead:
            self._metrics.dead_letters.labels(kept.row.reason).inc()
        self._metrics.write_batches.inc()
        for name, count in (
            ("rows", done.bars),
            ("kept_fuller", done.kept_fuller),
            ("ambiguous", done.ambiguous),
            ("events", done.events),
            ("outcomes", outcomes),
            ("indicators", done.indicators),
            ("batches", 1),
            ("rejected", rejected),
            ("dead_letters", done.letters + len(flush.dead)),
        ):
            self._counts[name] += count
        if done.ambiguous:
            log.error("another writer has counted other ticks of the same bars", bars=done.ambiguous)
        if flush.position is not None and self._stored is not None:
            self._stored(flush.position)
        log.debug("bars written", rows=done.bars, kept_fuller=done.kept_fuller, events=done.events)

    async def _connected(self) -> tuple[Pool, Store]:
        if self._pool is None or self._store is None:
            pool = await postgres.open_pool(
                self._settings.dsn(),
                size=(self._settings.pool_min, self._settings.pool_max),
                connect_timeout_s=self._settings.connect_timeout_s,
                command_timeout_s=self._settings.command_timeout_s,
                init=_stage,
            )
            try:
                async with pool.acquire(timeout=self._settings.connect_timeout_s) as connection:
                    tables = await read_tables(connection)
                    self._store = Store(tables, self._settings.symbol_policy, self._ttl_s, self._claim)
                    await self._look_for_others(connection, self._store, None)
            except BaseException:
                pool.terminate()
                raise
            self._pool = pool
        return self._pool, self._store

    def _drop_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    def _tell(self, what: str, count: int) -> None:
        """Log a growing count at 1, 10, 100 and so on."""
        if count >= self._told.get(what, 1):
            log.error(what, count=count)
            self._told[what] = 10 ** len(str(count))


async def _stage(connection: Connection) -> None:
    await connection.execute(STAGE)


def _said(error: BaseException) -> str:
    """The error in one line, with its SQLSTATE."""
    state = f" ({error.sqlstate})" if isinstance(error, asyncpg.PostgresError) and error.sqlstate else ""
    return f"{str(error) or type(error).__name__}{state}".partition("\n")[0]
