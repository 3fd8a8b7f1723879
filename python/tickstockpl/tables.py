"""The tables that the service reads and writes, as they are in this database.

`ohlcv_1min` and `intraday_patterns` may be older than we are: their types are read, never assumed.
"""

from dataclasses import dataclass
from datetime import datetime

from tickstockpl.errors import ServerError
from tickstockpl.moments import moment_at
from tickstockpl.postgres import Connection, has_timescale
from tickstockpl.vocabulary import FLAGS, QUALITY, quality_names

QUALITY_TEXT: tuple[str | None, ...] = tuple(",".join(quality_names(bits)) or None for bits in range(1 << len(QUALITY)))
"""The column's text for each value of the bits: the names joined by a comma, or NULL."""

BASE = ("symbol", "timestamp", "open", "high", "low", "close", "volume")
"""AppV2's columns of `ohlcv_1min`: an adopted table without one of them is not AppV2's."""

DAILY_BASE = ("symbol", "date", "open", "high", "low", "close", "volume")
"""The same of `ohlcv_daily`."""

SOURCE = ("src_id", "first_src", "last_src")
"""Our columns of `ohlcv_1min` that say which messages of which source went into a row."""

PRICES = ("open", "high", "low", "close")

NEEDED: dict[str, tuple[str, ...]] = {
    "ohlcv_1min": (*BASE, "trades", "vwap", "revision", "quality", "open_at", "close_at", *SOURCE),
    "ohlcv_daily": (
        *DAILY_BASE,
        *(f"session_{name}" for name in (*PRICES, "volume")),
        *("trades", "vwap", "quality", "minutes", "first_at"),
    ),
    "market_session": ("kind", "open_at", "close_at", "date", "week", "changes", "daily_changes", "calendar"),
    "intraday_patterns": (
        "symbol",
        "pattern_type",
        "confidence",
        "pattern_data",
        "detection_timestamp",
        "expiration_timestamp",
        "levels",
        "metadata",
        "timeframe",
        "event_id",
    ),
    "intraday_indicators": (
        "symbol",
        "indicator_type",
        "value",
        "value_data",
        "calculation_timestamp",
        "expiration_timestamp",
        "metadata",
        "timeframe",
        "bar_start",
    ),
    "pattern_event": (
        "event_id",
        "symbol",
        "pattern",
        "pattern_id",
        "direction",
        "confidence",
        "bar_start",
        "bar_end",
        "revision",
        "supersedes",
        "payload",
        "timeframe",
        "part",
        "detected_at",
        "published_at",
        "expires_at",
        "expired_at",
    ),
    "pattern_outcome": (
        "event_id",
        "symbol",
        "timeframe",
        "bar_start",
        "outcome",
        "outcome_bar",
        "bars",
        "price",
        "result",
        "result_bars",
        "part",
        "seq",
        "recorded_at",
    ),
    "ingest_gap": ("id", "started_at", "ended_at", "cause", "channels", "symbols", "recorded_at"),
    "ingest_checkpoint": ("part", "epoch", "owner", "src_id", "position", "updated_at"),
    "dead_letter": ("id", "at", "reason", "symbol", "channel", "event_at", "payload", "detail"),
}
"""Columns that must be there before the service starts."""

SERIAL = ("intraday_patterns", "intraday_indicators")
"""Those whose `id` comes from a sequence; AppV2 made them so."""

APPENDED = frozenset({"ingest_gap", "dead_letter"})
"""Those whose rows stay as they were written."""


def has(flag: str) -> str:
    """Whether a row `b` of `ohlcv_1min` bears a flag, as a condition."""
    return f"b.quality LIKE '%{flag}%'"


FLAGGED = f"({' OR '.join(map(has, FLAGS))})"
"""Whether it bears one of those that say that ticks may be missing or be there twice."""


def privileges(table: str, policy: str = "accept") -> tuple[str, ...]:
    """What the service's role needs on a table; on `symbols`, by the policy for unknown ones."""
    if table == "symbols":
        return ("INSERT",) if policy == "accept" else ("SELECT",)
    if table == "market_session":  # a session that the calendar no longer has goes
        return ("SELECT", "INSERT", "UPDATE", "DELETE")
    # ON CONFLICT reads the columns of the key, so that INSERT alone is nowhere enough
    return ("SELECT", "INSERT") if table in APPENDED else ("SELECT", "INSERT", "UPDATE")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` as format_type() writes it; `scale` of a numeric(p, s), else None."""

    name: str
    type: str
    scale: int | None
    required: bool
    """NOT NULL, and neither a default nor an identity fills it."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What was found: columns by table (a missing table is absent), and the ties between `ohlcv_1min` and `symbols`."""

    columns: dict[str, dict[str, Column]]
    unique: bool
    """`ohlcv_1min` has a unique index on exactly (symbol, timestamp); without one ON CONFLICT fails."""
    symbols_key: bool
    """`ohlcv_1min` has a foreign key to `symbols`, whatever its name."""
    daily_unique: bool
    """`ohlcv_daily` has a unique index on exactly (symbol, date)."""
    daily_key: bool
    """`ohlcv_daily` has a foreign key to `symbols`."""
    by_time: bool
    """An index of `ohlcv_1min` begins with its timestamp; without one the newest minute is found by reading all."""
    half_made: bool
    """`BY_TIME` is there and not valid: whoever made it was interrupted."""
    of_days: bool
    """There is `OF_DAYS`; without it a start reads every event of three months for those of days and weeks."""
    timescale: bool
    hypertable: bool

    def price_scale(self) -> int | None:
        """Digits after the point that `ohlcv_1min` keeps; None: all of a double's."""
        found = [column.scale for name in PRICES if (column := self.columns["ohlcv_1min"][name]).scale is not None]
        return min(found, default=None)

    @property
    def naive(self) -> bool:
        """`ohlcv_1min.timestamp` has no time zone: it is UTC."""
        return self.columns["ohlcv_1min"]["timestamp"].type == "timestamp without time zone"

    def moment(self, us: int) -> datetime:
        """A value of the type of `ohlcv_1min.timestamp`: a cast of the column would keep the planner from its index."""
        moment = moment_at(us)
        return moment.replace(tzinfo=None) if self.naive else moment

    def lacks(self) -> dict[str, tuple[str, ...]]:
        """Missing columns by table; all of them for a missing table."""
        missing = {
            table: tuple(name for name in needed if name not in self.columns.get(table, {}))
            for table, needed in NEEDED.items()
        }
        return {table: names for table, names in missing.items() if names}

    def foreign_columns(self) -> list[str]:
        """`table.column` for each column that demands a value we do not know."""
        return [
            f"{table}.{column.name}"
            for table, needed in NEEDED.items()
            for column in self.columns.get(table, {}).values()
            if column.required and column.name not in needed
        ]


_COLUMNS = """
SELECT c.relname AS "table", a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.atttypid = 'numeric'::regtype AND a.atttypmod >= 0 THEN (a.atttypmod - 4) & 1023 END AS scale,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required
FROM unnest($1::text[]) AS wanted(name)
JOIN pg_class c ON c.oid = to_regclass(wanted.name)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""

_TIES = """
SELECT
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid
    AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 2
    AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attnum IN (i.indkey[0], i.indkey[1])) = $2::text[]
  ) AS "unique",
  EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = to_regclass($1)
    AND k.confrelid = to_regclass('symbols')) AS symbols_key
"""

BY_TIME = "ohlcv_1min_timestamp_idx"
OF_DAYS = "pattern_event_days"

_INDEXED = """
SELECT coalesce(bool_or(i.indisvalid), false) AS by_time,
       coalesce(bool_or(NOT i.indisvalid AND c.relname = $1), false) AS half_made
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = 'timestamp'
WHERE i.indrelid = to_regclass('ohlcv_1min') AND i.indpred IS NULL
"""

_HYPERTABLE = """
SELECT EXISTS (SELECT FROM timescaledb_information.hypertables h
  WHERE to_regclass(format('%I.%I', h.hypertable_schema, h.hypertable_name)) = to_regclass('ohlcv_1min'))
"""


async def read_tables(connection: Connection) -> Tables:
    """Look at the tables that the connection's search path leads to."""
    columns: dict[str, dict[str, Column]] = {}
    for row in await connection.fetch(_COLUMNS, [*NEEDED, "symbols"]):
        columns.setdefault(row["table"], {})[row["name"]] = Column(
            row["name"], row["type"], row["scale"], row["required"]
        )
    (minutes,) = await connection.fetch(_TIES, "ohlcv_1min", ["symbol", "timestamp"])
    (daily,) = await connection.fetch(_TIES, "ohlcv_daily", ["date", "symbol"])
    (indexed,) = await connection.fetch(_INDEXED, BY_TIME)
    timescale = await has_timescale(connection)
    return Tables(
        columns=columns,
        unique=minutes["unique"],
        symbols_key=minutes["symbols_key"],
        daily_unique=daily["unique"],
        daily_key=daily["symbols_key"],
        by_time=indexed["by_time"],
        half_made=indexed["half_made"],
        of_days=await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", OF_DAYS),
        timescale=timescale,
        hypertable=timescale and await connection.fetchval(_HYPERTABLE),
    )


async def whole_tables(connection: Connection) -> Tables:
    """The tables, which a person asks about.

    Raises ServerError if one of them, or a column, is missing.
    """
    tables = await read_tables(connection)
    if lacking := tables.lacks():
        raise ServerError(f"tables or columns are missing ({', '.join(lacking)}): run `tickstockpl migrate` first")
    return tables
