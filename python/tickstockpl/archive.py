"""Bars of history, out of files or out of the database, all those of some symbols at a time.

What looks through history takes one group of symbols after the other: years of a whole market need not fit into memory.

>>> async with in_files([Path("bars.parquet")], Reading(bar_seconds=60)) as archive:    # doctest: +SKIP
...     async for bars in archive.chunks():
...         found = tp.scan(bars)
"""

# ruff: noqa: S608 - what is put into these texts are our own words; values are parameters

from __future__ import annotations  # polars is an extra: its names must not be needed at import

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import asyncpg
import numpy as np
from numpy.typing import NDArray

from tickstockpl import postgres
from tickstockpl.columns import refuse_longer
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.given import COLUMNS, ROW, checked
from tickstockpl.history import PRICED, History, columns, copied
from tickstockpl.postgres import Connection
from tickstockpl.recording import FIRST_US, LAST_US, Reading, bars_of
from tickstockpl.settings import DatabaseSettings
from tickstockpl.tables import Tables, read_tables

if TYPE_CHECKING:
    import polars as pl

ROWS = 500_000
"""Bars of a group, unless one symbol alone has more: some 40 MB as columns."""

_BAR = f"""{PRICED} AND b.low <= b.high AND coalesce(b.volume, 0) >= 0
  AND date_trunc('minute', b.timestamp) = b.timestamp"""
"""Whether a row is a bar of a minute: another writer's may stand at any second."""

_CODED = np.dtype([("symbol", "<i4"), *ROW.descr])
"""A bar as it waits in a file of its group."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which bars are wanted: those that start in [first_us, until_us), of these symbols; without any, of all."""

    symbols: Collection[str] = ()
    first_us: int = FIRST_US
    until_us: int = LAST_US


class Archive(Protocol):
    """Bars that stand ready to be read, some symbols at a time."""

    @property
    def source(self) -> str:
        """What it is, for people."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How many bars each symbol has, in order of their names; at least one."""
        ...

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """The symbols that `chunks` gives together."""
        ...

    @property
    def left_out(self) -> int:
        """Rows of the database that are no bar of a minute."""
        ...

    async def read(self, symbols: Collection[str]) -> History:
        """All bars of some of its symbols, which `symbols` of the answer lists in order.

        Raises SettingsError for a bar of a file that is none, ServerError if the database cannot be used.
        """
        ...

    def chunks(self) -> AsyncIterator[History]:
        """All bars, group by group; symbols in order, and each with all of its bars. Raises what `read` does."""
        ...


@asynccontextmanager
async def in_files(
    paths: Sequence[Path], reading: Reading, asked: Asked | None = None, *, rows: int = ROWS
) -> AsyncIterator[Archive]:
    """The minute bars of files, which are read twice if there are more than `rows`.

    They are then put into a file a group, 68 bytes a bar, in the folder for temporary files (`TMPDIR`).
    Raises SettingsError for a file that cannot be read or lacks a column, and if there is no bar that is asked for.
    """
    asked = asked or Asked()
    ended = threading.Event()
    # left by Ctrl-C, it waits for the batch at hand, not for the files
    with tempfile.TemporaryDirectory(prefix="tickstockpl-") as folder, ThreadPoolExecutor(1) as thread:
        try:
            frames = partial(_frames, paths, reading, asked, ended)
            loop = asyncio.get_running_loop()
            yield await loop.run_in_executor(thread, _sort_files, _named(paths), frames, asked, rows, Path(folder))
        finally:
            ended.set()


@asynccontextmanager
async def in_database(
    settings: DatabaseSettings, asked: Asked | None = None, *, rows: int = ROWS
) -> AsyncIterator[Archive]:
    """The bars of `ohlcv_1min`; how many there are is counted first.

    Raises SettingsError if there is no bar that is asked for, ServerError if the database cannot be used, in the block
    too, or does not count them in time.
    """
    asked = asked or Asked()
    async with postgres.for_command(settings, writes=False) as connection:
        tables = await read_tables(connection)
        if lacking := tables.lacks().get("ohlcv_1min"):
            raise ServerError(f"ohlcv_1min lacks columns ({', '.join(lacking)}): run `tickstockpl migrate` first")
        try:
            found = await connection.fetch(
                f"""
                SELECT b.symbol::text, count(*) FILTER (WHERE {_BAR}), count(*) FROM ohlcv_1min b
                WHERE b.timestamp >= $1 AND b.timestamp < $2 AND ($3::text[] IS NULL OR b.symbol = ANY ($3))
                GROUP BY 1""",
                *_span(tables, asked),
                sorted(asked.symbols) or None,
            )
        except asyncpg.QueryCanceledError as error:
            raise ServerError(
                f"the bars in {settings.address} cannot be counted in time: "
                "name fewer of them, with --from and --to or --symbol"
            ) from error
        counts = {symbol: bars for symbol, bars, _ in sorted(map(tuple, found)) if bars}
        _refuse_nothing(settings.address, counts, asked)
        left_out = sum(stored - bars for _, bars, stored in found)
        yield _Stored(settings.address, counts, left_out, list(grouped(counts, rows)), connection, tables, asked)


def grouped(counts: Mapping[str, int], rows: int) -> Iterator[list[str]]:
    """Symbols in order, as many together as have at most `rows` bars; one alone may have more."""
    group: list[str] = []
    held = 0
    for symbol, count in counts.items():
        if group and held + count > rows:
            yield group
            group, held = [], 0
        group.append(symbol)
        held += count
    if group:
        yield group


def refuse_longer_than(timeframe: str, bars: History, source: str) -> None:
    """Raises SettingsError for bars that are seen to be longer than those of a timeframe."""
    try:
        refuse_longer(bars.ts_us, timeframe)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}; --timeframe names a longer one") from None


@dataclass(frozen=True, slots=True)
class _Stored:
    """Rows of a database; its symbols are read as they are asked for."""

    source: str
    counts: Mapping[str, int]
    left_out: int
    groups: list[list[str]]
    connection: Connection
    tables: Tables
    asked: Asked

    async def read(self, symbols: Collection[str]) -> History:
        names = sorted(symbols)
        found = await copied(
            self.connection,
            f"""
            SELECT {columns(naive=self.tables.naive)} FROM unnest($1::text[]) WITH ORDINALITY AS s(name, id)
            CROSS JOIN LATERAL (
              SELECT * FROM ohlcv_1min b WHERE b.symbol = s.name AND b.timestamp >= $2 AND b.timestamp < $3
            ) AS b WHERE {_BAR}""",
            names,
            *_span(self.tables, self.asked),
        )
        return History.of(found, names)

    async def chunks(self) -> AsyncIterator[History]:
        for group in self.groups:
            yield await self.read(group)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Rows of files, group by group: in `folder`, or in memory if there is one group alone."""

    source: str
    counts: Mapping[str, int]
    groups: list[list[str]]
    folder: Path
    only: NDArray[np.void] | None
    left_out: int = 0

    async def read(self, symbols: Collection[str]) -> History:
        places = [at for at, group in enumerate(self.groups) if not {*group}.isdisjoint(symbols)]
        parts = await asyncio.to_thread(lambda: [self._rows(at) for at in places])
        return self._history(np.concatenate(parts), sorted(symbols))

    async def chunks(self) -> AsyncIterator[History]:
        for at, group in enumerate(self.groups):
            rows = await asyncio.to_thread(self._rows, at)
            yield self._history(rows, group)

    def _rows(self, at: int) -> NDArray[np.void]:
        return self.only if self.only is not None else np.fromfile(self.folder / str(at), dtype=_CODED)

    def _history(self, rows: NDArray[np.void], symbols: Sequence[str]) -> History:
        """Bars of some symbols, out of rows that have those of others too, in any order."""
        numbers = np.full(len(self.counts), -1, dtype=np.int32)
        place = {symbol: at for at, symbol in enumerate(self.counts)}
        numbers[[place[symbol] for symbol in symbols]] = np.arange(len(symbols), dtype=np.int32)
        symbol, ts_us = numbers[rows["symbol"]], rows["ts_us"]
        order = np.lexsort((ts_us, symbol))
        order = order[int((symbol < 0).sum()) :]
        symbol, bars = symbol[order], rows[list(COLUMNS)][order].astype(ROW)
        kept = checked(self.source, symbol, bars, lambda at: symbols[symbol[at]])
        return _history(symbol[kept], bars[kept], list(symbols))


def _history(symbol: NDArray[np.int32], rows: NDArray[np.void], symbols: list[str]) -> History:
    known = {name: np.ascontiguousarray(rows[name]) for name in COLUMNS}
    known["trades"] = np.maximum(known["trades"], 0)
    nothing = np.zeros(len(rows), dtype=np.int32)
    unknown = np.full(len(rows), -1, dtype=np.int64)
    return History(
        symbol,
        symbols,
        revision=nothing,
        quality=nothing.astype(np.uint8),
        open_us=unknown,
        close_us=unknown,
        first_src=unknown,
        last_src=unknown,
        **known,
    )


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"


def _sort_files(
    source: str, frames: Callable[[], Iterator[pl.DataFrame]], asked: Asked, rows: int, folder: Path
) -> _Sorted:
    """Bars sorted into groups of at most `rows`; `frames` gives them, each time it is called."""
    seen: Counter[str] = Counter()
    held: list[pl.DataFrame] = []
    for frame in frames():
        seen.update(dict(frame["symbol"].value_counts().iter_rows()))
        held = [*held, frame] if seen.total() <= rows else []
    counts = {symbol: seen[symbol] for symbol in sorted(seen)}
    _refuse_nothing(source, counts, asked)
    sorted_into = list(grouped(counts, rows))
    if len(sorted_into) == 1:
        only = np.concatenate(list(_coded(held or frames(), counts)))  # one symbol may have more than `rows`
        return _Sorted(source, counts, sorted_into, folder, only)
    of_symbol = np.repeat(np.arange(len(sorted_into)), [len(group) for group in sorted_into])
    for coded in _coded(frames(), counts):
        place = of_symbol[coded["symbol"]]
        order = np.argsort(place, kind="stable")
        edges = np.flatnonzero(np.diff(place[order])) + 1
        for part in np.split(order, edges):
            with (folder / str(place[part[0]])).open("ab") as file:
                file.write(coded[part].tobytes())
    return _Sorted(source, counts, sorted_into, folder, None)


def _frames(paths: Sequence[Path], reading: Reading, asked: Asked, ended: threading.Event) -> Iterator[pl.DataFrame]:
    """The bars that are asked for; no more of them once nobody waits."""
    for frame in bars_of(paths, reading):
        if ended.is_set():
            return
        chosen = frame["ts_us"].is_between(asked.first_us, asked.until_us, closed="left")
        if asked.symbols:
            chosen &= frame["symbol"].is_in(list(asked.symbols))
        if chosen.any():
            yield frame if chosen.all() else frame.filter(chosen)


def _coded(frames: Iterable[pl.DataFrame], counts: Mapping[str, int]) -> Iterator[NDArray[np.void]]:
    """Rows of each frame, with the symbol's place in `counts`."""
    names = list(counts)
    places = list(range(len(names)))
    for frame in frames:
        coded = np.empty(len(frame), dtype=_CODED)
        coded["symbol"] = frame["symbol"].replace_strict(names, places).to_numpy()
        for name in COLUMNS:
            coded[name] = frame[name].to_numpy()
        yield coded


def _span(tables: Tables, asked: Asked) -> tuple[object, object]:
    return tables.moment(asked.first_us), tables.moment(asked.until_us)


def _refuse_nothing(source: str, counts: Mapping[str, int], asked: Asked) -> None:
    if not counts:
        of = f" of {', '.join(sorted(asked.symbols)[:5])}" if asked.symbols else ""
        when = "" if (asked.first_us, asked.until_us) == (FIRST_US, LAST_US) else " in these days"
        raise SettingsError(f"there are no bars{of}{when} in {source}")
