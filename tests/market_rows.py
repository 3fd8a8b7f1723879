"""Minutes of several symbols over several sessions, as columns and as rows of `ohlcv_1min`."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

import tickstockpl as tp
from bar_samples import rows
from minute_rows import Kind
from tickstockpl import sessions, timetable
from tickstockpl.kernel import PATTERNS, columns_of_bars
from tickstockpl.sessions import Session, Sessions

MINUTE_US = 60_000_000
PRICES = ("open", "high", "low", "close")


def xnys(state_dir: Path) -> Sessions:
    return sessions.load("XNYS", "America/New_York", state_dir, date(2026, 1, 1), say=lambda _: None)


async def told(uri: str, calendar: Sessions) -> int:
    """Write the calendar into `market_session`; how many rows changed."""
    connection = await asyncpg.connect(uri, timeout=10)
    try:
        return await timetable.keep(connection, calendar.tables(), calendar.calendar, calendar.timezone)
    finally:
        await connection.close()


def minutes(spans: Sequence[tuple[int, int]], seed: int, *, thin: float = 0.7, names: Sequence[str] = "AB") -> Any:
    """Columns by name: minutes of [start, end) µs, most of them, with a symbol whose minutes are nearly all missing.

    Prices are whole cents, so that every kind of table holds them as they are.
    """
    rng = np.random.default_rng(seed)
    starts = np.concatenate([np.arange(start, end, MINUTE_US) for start, end in spans])
    columns: dict[str, list[Any]] = {name: [] for name in ("symbol", "ts_us", *PRICES, "volume", "vwap", "trades")}
    for name, share in [*((name, thin) for name in names), ("THIN", 0.01)]:
        ts_us = starts[rng.random(len(starts)) < share]
        close = 10_000 + np.cumsum(rng.integers(-20, 21, len(ts_us)))
        opened = np.concatenate([[10_000], close[:-1]]) + rng.integers(-5, 6, len(ts_us)) if len(ts_us) else close
        high = np.maximum(opened, close) + rng.integers(0, 9, len(ts_us))
        low = np.minimum(opened, close) - rng.integers(0, 9, len(ts_us))
        columns["symbol"] += [name] * len(ts_us)
        columns["ts_us"] += ts_us.tolist()
        for price, values in zip(PRICES, (opened, high, low, close), strict=True):
            columns[price] += (values / 100).tolist()
        columns["volume"] += rng.integers(0, 1000, len(ts_us)).tolist()
        columns["vwap"] += np.where(rng.random(len(ts_us)) < 0.1, np.nan, (high + low) / 200).tolist()
        columns["trades"] += rng.integers(1, 9, len(ts_us)).tolist()
    quality = rng.choice([0, 0, 0, 1, 2, 8], len(columns["ts_us"]))
    return {name: np.array(values) for name, values in columns.items()} | {"quality": quality.astype(np.uint8)}


async def put_minutes(uri: str, kind: Kind, columns: Mapping[str, Any]) -> None:
    """Insert columns as rows, with their symbols where a foreign key asks for them."""
    names = [str(name) for name in columns["symbol"]]
    if kind != "ours":
        await rows(uri, "INSERT INTO symbols (symbol) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING", names)
    at = "(timestamptz 'epoch' + us * interval '1 microsecond')" + (" AT TIME ZONE 'UTC'" if kind == "naive" else "")
    flags = {0: None, 1: "partial_start", 2: "gap", 4: "provisional", 8: "late_revised"}
    await rows(
        uri,
        f"""INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume, vwap, trades, quality, revision)
            SELECT s, {at}, o, h, l, c, v, nullif(w, 'NaN'), n, q, 0
            FROM unnest($1::text[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::bigint[],
                        $8::float8[], $9::bigint[], $10::text[]) AS b(s, us, o, h, l, c, v, w, n, q)""",
        names,
        *(columns[name].tolist() for name in ("ts_us", *PRICES, "volume", "vwap", "trades")),
        [flags[bits] for bits in columns["quality"].tolist()],
    )


def market(days: Sequence[Session], seed: int, *, thin: float = 0.7, spikes: float = 0.0) -> dict[str, Any]:
    """Minutes of the sessions, each of which opens somewhere else than the last one closed; the newest far above it.

    spikes: the share of the minutes that trade some ten times as much.
    """
    parts = [minutes([(day.open_us, day.close_us)], seed + at, thin=thin) for at, day in enumerate(days)]
    steps = np.random.default_rng(seed).choice([0.97, 0.99, 1.0, 1.01, 1.03], len(days)).cumprod()
    steps[-1] = 1.1 * steps[-2]
    for part, step in zip(parts, steps, strict=True):
        part["quality"][:] = 0
        if spikes:
            rng = np.random.default_rng(seed + int(part["ts_us"][0] // MINUTE_US))
            much = rng.random(len(part["volume"])) < spikes
            part["volume"][much] = rng.integers(6_000, 12_000, np.count_nonzero(much))
        for name in ("open", "high", "low", "close"):
            part[name] = np.round(part[name] * step, 2)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def within(columns: dict[str, Any], first_us: int, end_us: int) -> dict[str, Any]:
    held = (columns["ts_us"] >= first_us) & (columns["ts_us"] < end_us)
    return {name: values[held] for name, values in columns.items()}


def found(engine: tp.Engine, columns: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What the engine finds in these minutes: ids, prices and all."""
    order = np.lexsort((columns["symbol"], columns["ts_us"]))
    given = columns_of_bars({name: values[order] for name, values in columns.items()}, ("vwap", "trades", "quality"))
    made = engine.replay(given, last=True).detections
    names = ("ts_us", "direction", "confidence", "entry", "stop", "target", "quality", "event_id")
    told = [[repr(value) for value in getattr(made, name).tolist()] for name in names]  # NaN is not equal to itself
    symbols = [made.symbols[at] for at in made.symbol.tolist()]
    return list(zip(symbols, [PATTERNS[at]["id"] for at in made.pattern.tolist()], *told, strict=True))
