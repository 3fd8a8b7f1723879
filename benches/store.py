"""Closed bars into a hypertable: what the writer does with a flush, beside asyncpg's executemany."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import asyncpg

from benches import servers, ticks
from benches.boundary import History, history
from benches.runner import Goal, Line, Table, ratio
from tickstockpl.backlog import Allowance, Backlog, Flush
from tickstockpl.statements import STAGE
from tickstockpl.store import Store
from tickstockpl.tables import read_tables
from tickstockpl.wire import WriteBatch

ROWS = 5000
"""A flush: the writer's default."""

UPSERT = """
INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (symbol, timestamp) DO UPDATE SET open = EXCLUDED.open, high = EXCLUDED.high, low = EXCLUDED.low,
close = EXCLUDED.close, volume = EXCLUDED.volume"""
SEVEN = "SELECT symbol, timestamp, open, high, low, close, volume FROM ohlcv_1min"


def flushes(bars: History) -> list[Flush]:
    """The backlog's flushes, as the writer would take them."""
    backlog = Backlog(len(bars), Allowance(0))
    backlog.add(WriteBatch(bars=bars), 0.0)
    taken = []
    while len(backlog):
        taken.append(backlog.take(ROWS))
    return taken


def records(bars: History) -> list[tuple[Any, ...]]:
    """AppV2's seven columns as asyncpg wants them; made before the clock runs."""
    names = [bars.symbols[n] for n in bars.symbol.tolist()]
    stamps = [datetime.fromtimestamp(us / 1e6, UTC) for us in bars.ts_us.tolist()]
    columns = [getattr(bars, name).tolist() for name in ("open", "high", "low", "close", "volume")]
    return list(zip(names, stamps, *columns, strict=True))


def run(quick: bool) -> list[Table]:
    """Rows per second, new ones and conflicting ones."""
    with servers.database() as uri:
        return asyncio.run(_run(uri, history(100 if quick else 400), 1 if quick else 3))


async def _run(uri: str, bars: History, rounds: int) -> list[Table]:
    rows = len(bars)
    connection = await asyncpg.connect(uri)
    try:
        await connection.execute(STAGE)
        store = Store(await read_tables(connection), "accept", 3600.0)
        prepared, plain = flushes(bars), records(bars)

        async def ours() -> float:
            started = time.perf_counter()
            for flush in prepared:
                await store.write(connection, flush, sifting=False, letters=0, now_us=ticks.START_US)
            return rows / (time.perf_counter() - started)

        async def theirs() -> float:
            started = time.perf_counter()
            for at in range(0, rows, ROWS):
                await connection.executemany(UPSERT, plain[at : at + ROWS])
            return rows / (time.perf_counter() - started)

        async def emptied() -> None:
            await connection.execute("TRUNCATE ohlcv_1min")

        async def stored() -> set[tuple[Any, ...]]:
            return {tuple(row) for row in await connection.fetch(SEVEN)}

        rates: dict[str, list[float]] = {name: [] for name in ("ours new", "ours old", "theirs new", "theirs old")}
        for number in range(rounds + 1):
            await emptied()
            fresh = [await ours(), await ours()]
            assert await stored() == set(plain)
            await emptied()
            fresh += [await theirs(), await theirs()]
            assert await stored() == set(plain)
            if number > 0:  # the first round warmed both up
                for each, rate in zip(rates.values(), fresh, strict=True):
                    each.append(rate)
    finally:
        await connection.close()
    return [
        _table(rates["ours new"], rates["theirs new"], rows, "new"),
        _table(rates["ours old"], rates["theirs old"], rows, "all of them there already"),
    ]


def _table(ours: list[float], theirs: list[float], rows: int, what: str) -> Table:
    return Table(
        name="store",
        title=f"Bars upserted into a hypertable, {what}",
        unit="rows",
        agreement=f"after each contestant the {rows:,} rows hold the same seven columns, exactly",
        regresses="a statement a row, a stage table that is analysed or indexed, unsorted keys",
        lines=[
            Line("Store.write: COPY to a stage, one upsert; 13 columns, fuller rows win", ours),
            Line(
                "asyncpg executemany, INSERT … ON CONFLICT DO UPDATE; 7 columns",
                theirs,
                ratio(ours, theirs),
                Goal(5, 7),
            ),
        ],
        notes=[
            f"{ROWS:,} rows a transaction for both; the peer's rows were made before the clock ran, ours from a flush"
        ],
    )
