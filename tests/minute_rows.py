"""Rows of `ohlcv_1min` and `ingest_gap` put into real tables by hand: ours, and those that AppV2 may have."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from bar_samples import ran, rows
from tickstockpl.migrate import migrate
from tickstockpl.missed import Window
from tickstockpl.rights import postgres_grants
from tickstockpl.settings import DatabaseSettings, RetentionSettings, Settings

APPV2 = (Path(__file__).resolve().parent / "appv2_tables.sql").read_text(encoding="utf-8")

Kind = Literal["ours", "appv2", "naive"]
KINDS: tuple[Kind, ...] = ("ours", "appv2", "naive")
"""A hypertable of doubles; a plain table of numeric(12,4); the same with a `timestamp` without a zone."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A row; `trades` None is what another writer leaves."""

    symbol: str
    ts_us: int
    quality: str | None = None
    price: float = 10.25
    volume: int = 1000
    trades: int | None = 10
    revision: int | None = 0


async def prepare(uri: str, kind: Kind) -> None:
    """Make the tables of one kind in an empty database."""
    if kind != "ours":
        of_time = "timestamptz" if kind == "appv2" else "timestamp"
        ddl = APPV2.replace("timestamp timestamptz NOT NULL", f"timestamp {of_time} NOT NULL")
        await ran(uri, ddl.replace("numeric(10, 4)", "numeric(12, 4)"))
        # A table that holds a row is not made a hypertable.
        await ran(uri, "INSERT INTO ohlcv_1min VALUES ('AAPL', '2001-01-02', 1, 1, 1, 1, 1)")
    await migrate(uri)
    await ran(uri, "DELETE FROM ohlcv_1min")


async def put(uri: str, kind: Kind, bars: Sequence[Bar], windows: Sequence[Window] = ()) -> None:
    """Insert bars, with their symbols where a foreign key asks for them, and windows."""
    if kind != "ours":
        names = sorted({bar.symbol for bar in bars})
        await rows(uri, "INSERT INTO symbols (symbol) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", names)
    at = "(timestamptz 'epoch' + us * interval '1 microsecond')" + (" AT TIME ZONE 'UTC'" if kind == "naive" else "")
    await rows(
        uri,
        f"""INSERT INTO ohlcv_1min (symbol, timestamp, open, high, low, close, volume, trades, revision, quality)
            SELECT s, {at}, p, p + 1, p - 1, p, v, n, r, q
            FROM unnest($1::text[], $2::bigint[], $3::float8[], $4::bigint[], $5::bigint[], $6::int[], $7::text[])
              AS b(s, us, p, v, n, r, q)""",
        [bar.symbol for bar in bars],
        [bar.ts_us for bar in bars],
        [bar.price for bar in bars],
        [bar.volume for bar in bars],
        [bar.trades for bar in bars],
        [bar.revision for bar in bars],
        [bar.quality for bar in bars],
    )
    for window in windows:
        await rows(
            uri,
            """INSERT INTO ingest_gap (started_at, ended_at, cause, channels, symbols)
               VALUES (timestamptz 'epoch' + $1::bigint * interval '1 microsecond',
                       timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3, $4, $5)""",
            window.started_us,
            window.ended_us,
            window.cause,
            list(window.channels),
            list(window.symbols) or None,
        )


@asynccontextmanager
async def narrow_role(uri: str) -> AsyncIterator[str]:
    """The URI of a role with the rights that `tickstockpl rights` prints where all is kept; it owns nothing."""
    name = f"tickstockpl_test_{uuid.uuid4().hex[:12]}"
    values: dict[str, Any] = {"uri": uri}
    for_ever = RetentionSettings(dead_letters_days=None, gaps_days=None)
    await ran(uri, "\n".join(postgres_grants(Settings(database=DatabaseSettings(**values), retention=for_ever), name)))
    await ran(uri, f"ALTER ROLE {name} PASSWORD 'x'")
    parts = urlsplit(uri)
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:x@{parts.hostname}:{parts.port}"))
    finally:
        await ran(uri, f"DROP OWNED BY {name}; DROP ROLE {name}")
