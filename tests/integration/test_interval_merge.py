"""Rows never shrink: whatever versions of a bar are written in whatever order, none of its ticks is lost or doubled."""

import os
import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest

from bar_samples import MINUTE_US, NINE_30_US, Columns, ran, rows
from tickstockpl.backlog import Allowance, Backlog
from tickstockpl.statements import STAGE
from tickstockpl.store import Claim, NotOwner, Store
from tickstockpl.tables import read_tables
from tickstockpl.wire import WriteBatch

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PART = "ticks"
SEEDS = int(os.environ.get("TICKSTOCKPL_TEST_MERGE_SEEDS", "4"))
"""Of 60 bars each; CONTRIBUTING.md says how to play more."""


@dataclass(frozen=True)
class Tick:
    number: int
    price: float
    volume: int


@pytest.fixture
async def ready(ready: str) -> str:
    await ran(ready, f"INSERT INTO ingest_checkpoint (part, epoch, owner) VALUES ('{PART}', 1, 'a test')")
    return ready


def version(ticks: list[Tick], minute: int, revision: int = 0, quality: int = 0) -> tuple[Columns, Any]:
    """The row of a bar that is made of these ticks, and the numbers of its first and its last."""
    start_us = NINE_30_US + minute * MINUTE_US
    volume = sum(tick.volume for tick in ticks)
    cells = {
        "open": ticks[0].price,
        "high": max(tick.price for tick in ticks),
        "low": min(tick.price for tick in ticks),
        "close": ticks[-1].price,
        "vwap": sum(tick.price * tick.volume for tick in ticks) / volume,
    }
    whole: dict[str, int] = {
        "ts_us": start_us,
        "volume": volume,
        "trades": len(ticks),
        "open_us": start_us + ticks[0].number,
        "close_us": start_us + ticks[-1].number,
    }
    given: dict[str, Any] = {name: np.array([value]) for name, value in cells.items()}
    given |= {name: np.array([value], np.int64) for name, value in whole.items()}
    columns = Columns(
        symbol=np.zeros(1, np.int32),
        symbols=["ZZTEST1"],
        revision=np.array([revision], np.int32),
        quality=np.array([quality], np.uint8),
        **given,
    )
    return columns, (np.array([ticks[0].number]), np.array([ticks[-1].number]))


class Table:
    """Writes versions, each in a transaction of its own, as `Store` does."""

    def __init__(self, connection: Any, store: Store) -> None:
        self._connection = connection
        self.store = store

    @classmethod
    async def of(cls, connection: Any, src_id: UUID, epoch: int = 1) -> "Table":
        await connection.execute(STAGE)
        return cls(connection, Store(await read_tables(connection), "accept", 3600.0, Claim(PART, epoch, src_id)))

    async def write(self, ticks: list[Tick], minute: int = 0, **options: int) -> Any:
        backlog = Backlog(10, Allowance(0))
        columns, spans = version(ticks, minute, **options)
        backlog.add(WriteBatch(bars=columns, spans=spans), 0.0)
        return await self.store.write(self._connection, backlog.take(10), sifting=False, letters=0, now_us=NINE_30_US)

    async def row(self, minute: int = 0) -> Any:
        start = f"timestamptz 'epoch' + {NINE_30_US + minute * MINUTE_US} * interval '1 microsecond'"
        row = await self._connection.fetchrow(f"SELECT * FROM ohlcv_1min WHERE timestamp = {start}")
        return None if row is None else dict(row)


def some_ticks(rng: random.Random) -> list[Tick]:
    return [Tick(number, rng.randrange(9000, 11000) / 100, rng.randrange(1, 500)) for number in range(12)]


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_any_order_repetition_and_loss_of_versions_ends_in_the_fold_of_their_union(ready: str, seed: int) -> None:
    """What one writer makes of one source, with commits repeated, lost and out of order.

    A bar grows from its beginning. What came after messages that were lost lies apart, and is written whole.
    """
    rng = random.Random(seed)
    connection = await asyncpg.connect(ready)
    try:
        table = await Table.of(connection, uuid4())
        for minute in range(60):
            ticks = some_ticks(rng)
            cuts = sorted(rng.sample(range(13), 4))
            grown = [(cuts[0], end) for end in range(cuts[0] + 1, cuts[1] + 1)]
            others = [(cuts[2], cuts[3])] * 2 + [(0, 12)] * (rng.random() < 0.3)
            written = [rng.choice(grown) for _ in range(rng.randrange(1, 8))]
            last = max(written)
            written += [rng.choice([*others, last]) for _ in range(rng.randrange(5))]
            held: set[int] = set()
            for low, high in written:
                await table.write(ticks[low:high], minute)
                before, held = held, held | set(range(low, high))
                row = await table.row(minute)
                assert row["trades"] >= len(before), "a row's count never falls"
            row = await table.row(minute)
            union = [ticks[number] for number in sorted(held)]
            assert row["trades"] == len(union)
            assert (row["open"], row["close"]) == (union[0].price, union[-1].price)
            assert (row["high"], row["low"]) == (
                max(tick.price for tick in union),
                min(tick.price for tick in union),
            )
            assert row["volume"] == sum(tick.volume for tick in union)
            assert row["vwap"] == pytest.approx(sum(t.price * t.volume for t in union) / row["volume"], rel=1e-12)
            assert (row["first_src"], row["last_src"]) == (union[0].number, union[-1].number)
            assert row["quality"] is None
    finally:
        await connection.close()


async def test_rows_that_share_some_ticks_keep_the_fuller_one_and_say_so(ready: str) -> None:
    connection = await asyncpg.connect(ready)
    try:
        table = await Table.of(connection, uuid4())
        ticks = some_ticks(random.Random(1))
        await table.write(ticks[0:6])
        done = await table.write(ticks[4:8])
        row = await table.row()
        assert (row["trades"], row["quality"], done.ambiguous) == (6, "ambiguous", 1)
        await table.write(ticks[3:12], minute=1)
        await table.write(ticks[0:5], minute=1, quality=2)
        row = await table.row(1)
        assert (row["trades"], row["close"], row["quality"]) == (9, ticks[11].price, "ambiguous")
    finally:
        await connection.close()


async def test_a_revision_and_the_end_of_a_provisional_bar_replace_a_row_of_the_same_ticks(ready: str) -> None:
    connection = await asyncpg.connect(ready)
    try:
        table = await Table.of(connection, uuid4())
        ticks = some_ticks(random.Random(2))
        await table.write(ticks[0:6], quality=4)
        assert (await table.row())["quality"] == "provisional"
        await table.write(ticks[0:6])
        assert (await table.row())["quality"] is None
        done = await table.write(ticks[0:6])
        assert (done.bars, done.kept_fuller) == (0, 1), "no dead row for what is there already"
        await table.write(ticks[0:6], revision=1, quality=8)
        assert (await table.row())["revision"] == 1
        await table.write(ticks[0:6], quality=4)
        assert (await table.row())["quality"] == "late_revised"
    finally:
        await connection.close()


async def test_a_row_of_another_source_gives_way_to_a_fuller_one_only(ready: str) -> None:
    connection = await asyncpg.connect(ready)
    try:
        ticks = some_ticks(random.Random(3))
        await (await Table.of(connection, uuid4())).write(ticks[0:6])
        other = await Table.of(connection, uuid4())
        await other.write(ticks[0:4])
        assert (await other.row())["trades"] == 6
        await other.write(ticks[0:8], quality=16)
        assert ((await other.row())["trades"], (await other.row())["quality"]) == (8, "handover")
    finally:
        await connection.close()


async def test_a_row_that_somebody_changed_is_put_right_when_it_is_written_again(ready: str) -> None:
    connection = await asyncpg.connect(ready)
    try:
        table = await Table.of(connection, uuid4())
        ticks = some_ticks(random.Random(6))
        await table.write(ticks[0:6])
        row = await table.row()
        await connection.execute("UPDATE ohlcv_1min SET volume = volume * 2, high = high + 1")
        done = await table.write(ticks[0:6])
        assert done.bars == 1
        assert await table.row() == row
    finally:
        await connection.close()


async def test_what_was_repaired_stays(ready: str) -> None:
    connection = await asyncpg.connect(ready)
    try:
        table = await Table.of(connection, uuid4())
        ticks = some_ticks(random.Random(4))
        await table.write(ticks[0:6], quality=2)
        await connection.execute("UPDATE ohlcv_1min SET close = 1, trades = NULL, quality = 'repaired', revision = 1")
        await table.write(ticks[0:12], revision=5)
        assert ((await table.row())["close"], (await table.row())["quality"]) == (1, "repaired")
    finally:
        await connection.close()


async def test_a_transaction_under_an_old_epoch_leaves_nothing_behind(ready: str) -> None:
    connection = await asyncpg.connect(ready)
    try:
        table = await Table.of(connection, uuid4())
        await ran(ready, "UPDATE ingest_checkpoint SET epoch = 2")
        with pytest.raises(NotOwner):
            await table.write(some_ticks(random.Random(5)))
    finally:
        await connection.close()
    assert await rows(ready, "SELECT FROM ohlcv_1min") == []
