"""Stored bars as columns: rows of `ohlcv_1min`, read by symbol.

They come as binary COPY with every column at a fixed width, so that a chunk is read by one numpy view instead of a
Python object per value.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from tickstockpl.moments import EPOCH_2000_US
from tickstockpl.position import EVER_US
from tickstockpl.postgres import Connection
from tickstockpl.vocabulary import QUALITY, REPAIRED

I64 = NDArray[np.int64]

_HEADER_BYTES, _TRAILER_BYTES = 19, 2
_TYPES = {
    "symbol": ">i4",
    "ts_us": ">i8",
    "open": ">f8",
    "high": ">f8",
    "low": ">f8",
    "close": ">f8",
    "volume": ">i8",
    "vwap": ">f8",
    "trades": ">i8",
    "revision": ">i4",
    "quality": ">i4",
    "open_us": ">i8",
    "close_us": ">i8",
    "first_src": ">i8",
    "last_src": ">i8",
}
_TIMES = ("ts_us", "open_us", "close_us")
_NEVER = "timestamptz '1969-12-31 23:59:59.999999Z'"


def quality_bits(names: str) -> str:
    """The bits of a quality's names, a text or NULL, as SQL."""
    bits = (f"CASE WHEN {names} LIKE '%{name}%' THEN {1 << bit} ELSE 0 END" for bit, name in enumerate(QUALITY))
    return f"({' + '.join(bits)})::integer"


_COLUMNS = f"""
  s.id::integer, {{start}}, b.open::float8, b.high::float8, b.low::float8, b.close::float8,
  coalesce(b.volume, 0)::bigint, coalesce(b.vwap, 'NaN')::float8, coalesce(b.trades, 0)::bigint,
  coalesce(b.revision, 0)::integer, {quality_bits("b.quality")},
  coalesce(b.open_at, {_NEVER}), coalesce(b.close_at, {_NEVER}),
  CASE WHEN b.src_id = {{source}} THEN b.first_src ELSE -1 END,
  CASE WHEN b.src_id = {{source}} THEN b.last_src ELSE -1 END
"""
# AppV2's own tables allow NaN, which PostgreSQL puts above Infinity, in a numeric column too, and endless stamps.
PRICED = "isfinite(b.timestamp) AND " + " AND ".join(
    f"b.{price}::float8 > 0 AND b.{price}::float8 < 'Infinity'" for price in ("open", "high", "low", "close")
)
"""Whether a row `b` of `ohlcv_1min` has a time and four prices, as a condition."""

CLOSED = f"{PRICED} AND (b.quality LIKE '%provisional%') IS NOT TRUE"
"""Whether it is a bar that was not open still when it was written."""


def broke_off(quality: str, start: str, close: str) -> str:
    """Whether a session broke off at its last minute: see `LAST_MINUTES` in `rust/kernel/src/pattern/session_range.rs`.

    quality, start: of that minute, as SQL. close: of the session.
    """
    flags = " OR ".join(f"{quality} LIKE '%{name}%'" for name in QUALITY[:2])
    return f"({flags}) AND {start} + interval '6 minutes' < {close}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay makes anew, and is therefore not read: bars of `src_id` that begin at `anew_us` or later and whose
    first message is `start_src` or a later one; of those that begin so late also the repaired ones, whose own messages
    come again.
    """

    src_id: UUID
    anew_us: int
    start_src: int

    def left(self, *, naive: bool) -> str:
        """Whether a row `b` of `ohlcv_1min` is read all the same, as a condition.

        naive: the table's `timestamp` has no time zone: it is UTC.
        """
        other = f"(b.src_id IS DISTINCT FROM '{self.src_id}'::uuid OR b.first_src < {self.start_src})"
        if self.anew_us == EVER_US:
            return other
        zone = " AT TIME ZONE 'UTC'" if naive else ""
        before = f"b.timestamp < (timestamptz 'epoch' + {self.anew_us} * interval '1 microsecond'){zone}"
        return f"({before} OR {other} AND (b.quality LIKE '%{REPAIRED}%') IS NOT TRUE)"


def columns(*, naive: bool, source: str = "NULL::uuid") -> str:
    """What is selected of rows `b` of `ohlcv_1min` and of `s`, whose `id` numbers the symbols from 1.

    naive: the table's `timestamp` has no time zone: it is UTC.
    source: whose messages `first_src` and `last_src` number, as SQL.
    """
    return _COLUMNS.format(start="b.timestamp AT TIME ZONE 'UTC'" if naive else "b.timestamp", source=source)


async def is_naive(connection: Connection) -> bool:
    """Whether the table's `timestamp` has no time zone."""
    kind = await connection.fetchval(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = 'ohlcv_1min'::regclass AND attname = 'timestamp'"
    )
    return bool(kind == "timestamp without time zone")


async def copied(
    connection: Connection, query: str, *values: object, types: Mapping[str, str] = _TYPES
) -> NDArray[np.void]:
    """The rows of a query that selects `columns`, in its order, as PostgreSQL has them; `symbol` counts from 0.

    types: where it selects others, big-endian types of a fixed width by name; `symbol` is one of them. None is NULL.
    """
    received = bytearray()

    async def take(data: bytes) -> None:
        received.extend(data)

    await connection.copy_from_query(query, *values, output=take, format="binary")
    return await asyncio.to_thread(_parsed, received, types)


def _parsed(received: bytearray, types: Mapping[str, str]) -> NDArray[np.void]:
    """The tuples of a binary COPY, as `copied` gives them: of a million too long a work for the loop."""
    wire = _wire(types)
    rows = np.frombuffer(received, dtype=wire, offset=_HEADER_BYTES, count=_tuples(received, wire.itemsize))
    if len(rows) and (rows["fields"] != len(types)).any():
        raise RuntimeError("binary COPY has another shape than was asked for")
    rows = rows[list(types)].copy()
    rows["symbol"] -= 1  # WITH ORDINALITY counts from 1, and so do we
    return rows


def _wire(types: Mapping[str, str]) -> np.dtype[np.void]:
    """A tuple of binary COPY: the number of its fields, then the length and value of each."""
    fields = [part for name, kind in types.items() for part in ((f"{name}_bytes", ">i4"), (name, kind))]
    return np.dtype([("fields", ">i2"), *fields])


def _tuples(received: bytearray, tuple_bytes: int) -> int:
    tuples, rest = divmod(len(received) - _HEADER_BYTES - _TRAILER_BYTES, tuple_bytes)
    if rest:
        raise RuntimeError("binary COPY has another shape than was asked for")
    return tuples


@dataclass(frozen=True, slots=True)
class History:
    """Bars in the shape of `wire.BarColumns`, sorted by symbol and start: what `tp.scan` and `Engine.warm` take.

    What is not known is 0 in `volume`, `trades`, `revision` and `quality`, NaN in `vwap`, -1 in `open_us` and
    `close_us`. In `first_src` and `last_src`, -1 is a bar of another source.
    """

    symbol: NDArray[np.int32]
    symbols: list[str]
    ts_us: I64
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: I64
    vwap: NDArray[np.float64]
    trades: I64
    revision: NDArray[np.int32]
    quality: NDArray[np.uint8]
    open_us: I64
    close_us: I64
    first_src: I64
    last_src: I64

    @classmethod
    def of(cls, rows: NDArray[np.void], symbols: Sequence[str]) -> Self:
        """What `copied` gave, sorted; a row that was asked for twice counts once."""
        rows = rows[np.lexsort((rows["ts_us"], rows["symbol"]))]
        if len(rows):
            again = (rows["symbol"][1:] == rows["symbol"][:-1]) & (rows["ts_us"][1:] == rows["ts_us"][:-1])
            rows = rows[np.concatenate([[True], ~again])]
        found = {name: rows[name].astype(np.dtype(kind).newbyteorder("=")) for name, kind in _TYPES.items()}
        for name in _TIMES:
            found[name] += EPOCH_2000_US
        found["quality"] = found["quality"].astype(np.uint8)
        return cls(symbols=list(symbols), **found)

    @classmethod
    def none(cls, symbols: Sequence[str]) -> Self:
        """No bar of these symbols."""
        return cls.of(np.empty(0, dtype=list(_TYPES.items())), symbols)

    def __len__(self) -> int:
        return len(self.ts_us)

    def where(self, chosen: NDArray[np.bool_]) -> "History":
        """The chosen ones of these bars."""
        columns = {name: getattr(self, name)[chosen] for name in self.__slots__ if name != "symbols"}
        return History(symbols=self.symbols, **columns)

    def beside(self, other: "History") -> "History":
        """These bars, and behind them those of other symbols."""
        both = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in self.__slots__
            if name not in ("symbol", "symbols")
        }
        symbol = np.concatenate([self.symbol, other.symbol + np.int32(len(self.symbols))])
        return History(symbol=symbol, symbols=[*self.symbols, *other.symbols], **both)
