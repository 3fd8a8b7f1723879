"""The SQL of a flush, fitted to the tables that are there."""

# ruff: noqa: S608 - what is put into these texts are our own words and column names; values are parameters

from tickstockpl.errors import ServerError
from tickstockpl.tables import PRICES, QUALITY_TEXT, Column, Tables

STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_bars (
  symbol text, ts_us bigint, open float8, high float8, low float8, close float8, volume bigint, vwap float8,
  trades bigint, revision integer, quality smallint, open_us bigint, close_us bigint
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_events (
  event_id uuid, symbol text, pattern text, direction smallint, confidence float8, payload jsonb, tier text
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_indicators (
  symbol text, indicator text, value float8, payload jsonb, metadata jsonb, bar_end_us bigint
) ON COMMIT DELETE ROWS
"""

STAGED = (
    *("symbol", "ts_us", *PRICES, "volume", "vwap"),
    *("trades", "revision", "quality", "open_us", "close_us"),
)

STAGED_INDICATORS = ("symbol", "indicator", "value", "payload", "metadata", "bar_end_us")

STAGED_EVENTS = ("event_id", "symbol", "pattern", "direction", "confidence", "payload", "tier")


_QUALITIES = "{" + ",".join("NULL" if text is None else f'"{text}"' for text in QUALITY_TEXT) + "}"
"""The text of each value of the bits, as an array of PostgreSQL's."""


def _instant(micros: str) -> str:
    return f"timestamptz 'epoch' + {micros} * interval '1 microsecond'"


def _price(column: Column) -> str:
    # A double cast to numeric keeps 15 digits; its text has all that are needed to read the same double back.
    return f"{column.name}::text::numeric" if column.type.startswith("numeric") else column.name


def upsert(tables: Tables) -> str:
    """The statement that moves staged bars into `ohlcv_1min` without ever making a row poorer.

    A row with more trades stays; of equals, the newer revision wins. A row without a count of trades is another
    writer's: it stays if it has more volume.
    """
    columns = tables.columns["ohlcv_1min"]
    start = _instant("ts_us")
    if columns["timestamp"].type == "timestamp without time zone":
        start = f"({start}) AT TIME ZONE 'UTC'"
    values = {
        "symbol": "symbol",
        '"timestamp"': start,
        **{name: _price(columns[name]) for name in PRICES},
        "volume": "volume",
        "trades": "trades",
        "vwap": "nullif(vwap, 'NaN')",
        "revision": "revision",
        "quality": f"('{_QUALITIES}'::text[])[quality + 1]",
        "open_at": f"CASE WHEN open_us >= 0 THEN {_instant('open_us')} END",
        "close_at": f"CASE WHEN close_us >= 0 THEN {_instant('close_us')} END",
    }
    renewed = ", ".join(f"{name} = EXCLUDED.{name}" for name in list(values)[2:])
    return f"""
        INSERT INTO ohlcv_1min AS stored ({", ".join(values)})
        SELECT {", ".join(values.values())} FROM tickstockpl_bars ORDER BY symbol, ts_us
        ON CONFLICT (symbol, "timestamp") DO UPDATE SET {renewed}
        WHERE CASE
          WHEN stored.trades IS NULL THEN coalesce(stored.volume, 0) <= EXCLUDED.volume
          WHEN stored.trades = EXCLUDED.trades THEN coalesce(stored.revision, 0) <= EXCLUDED.revision
          ELSE stored.trades < EXCLUDED.trades
        END"""


def accept(symbols: dict[str, Column]) -> str:
    """The statement that makes symbols ($1) known; values only for the columns that demand one.

    Raises ServerError if one demands what we cannot make up.
    """
    values = {"symbol": "s"}
    if "active" in symbols:
        values["active"] = "false"
    for column in symbols.values():
        if not column.required or column.name in values:
            continue
        if column.type.startswith(("character", "text")):
            values[column.name] = "s" if column.name == "name" else "''"
        elif column.type.startswith(("numeric", "integer", "bigint", "smallint", "double", "real")):
            values[column.name] = "0"
        elif column.type.startswith(("timestamp", "date")):
            values[column.name] = "now()"
        else:
            raise ServerError(
                f"symbols.{column.name} ({column.type}) must be filled for a new symbol and has no default: "
                "give it one, or set TICKSTOCKPL_DATABASE__SYMBOL_POLICY=quarantine"
            )
    return (
        f"INSERT INTO symbols ({', '.join(values)}) SELECT {', '.join(values.values())} "
        "FROM unnest($1::text[]) AS s ORDER BY s ON CONFLICT DO NOTHING"
    )


EVENTS = """
WITH given AS (
  SELECT event_id, symbol, pattern, direction, confidence, payload,
         to_timestamp((payload->>'bar_start')::float8) AS bar_start,
         to_timestamp((payload->>'bar_end')::float8) AS bar_end,
         array_remove(ARRAY[(payload->>'entry')::float8, (payload->>'stop')::float8,
                            (payload->>'target')::float8]::numeric[], NULL) AS levels,
         jsonb_build_object('source', $1::text, 'event_id', event_id, 'tier', tier, 'quality', payload->'quality')
           AS metadata
  FROM tickstockpl_events
), fresh AS (
  INSERT INTO pattern_event (event_id, symbol, pattern, pattern_id, direction, confidence, bar_start, bar_end,
                             revision, supersedes, payload, expires_at)
  SELECT event_id, symbol, pattern, payload->>'pattern_id', direction, confidence, bar_start, bar_end,
         (payload->>'revision')::integer, (payload->>'supersedes')::uuid, payload, bar_end + $2 * interval '1 second'
  FROM given ORDER BY event_id ON CONFLICT (event_id) DO NOTHING RETURNING event_id
)
INSERT INTO intraday_patterns (symbol, pattern_type, confidence, pattern_data, detection_timestamp,
                               expiration_timestamp, levels, metadata, timeframe, event_id)
SELECT symbol, pattern, confidence, payload, bar_end, bar_end + $2 * interval '1 second', levels, metadata, $3,
       event_id
FROM given JOIN fresh USING (event_id) ORDER BY bar_end, symbol, pattern
"""
"""Moves staged events into both tables, once each.

What `payload` says is taken from it: sent a second time, it would cost more than it does here.
"""

INDICATORS = f"""
INSERT INTO intraday_indicators (symbol, indicator_type, value, value_data, calculation_timestamp,
                                 expiration_timestamp, metadata, timeframe, bar_start)
SELECT symbol, indicator, value::text::numeric, payload, {_instant("bar_end_us")},
       {_instant("bar_end_us")} + $1 * interval '1 second', metadata, $2,
       {_instant("bar_end_us")} - interval '1 minute'
FROM tickstockpl_indicators ORDER BY symbol, indicator, bar_end_us
ON CONFLICT (symbol, indicator_type, calculation_timestamp) WHERE bar_start IS NOT NULL
DO UPDATE SET value = EXCLUDED.value, value_data = EXCLUDED.value_data, metadata = EXCLUDED.metadata
"""
"""Moves staged indicators into AppV2's table; what is calculated again, after a revision, replaces what was there."""

EXPIRE = (
    """UPDATE intraday_patterns SET expiration_timestamp = now()
       WHERE event_id = ANY ($1::uuid[]) AND expiration_timestamp > now()""",
    "UPDATE pattern_event SET expired_at = now() WHERE event_id = ANY ($1::uuid[]) AND expired_at IS NULL",
)

SENT = f"""
UPDATE pattern_event SET published_at = coalesce(published_at, {_instant("at_us")})
FROM unnest($1::uuid[], $2::bigint[]) AS s(id, at_us) WHERE event_id = id RETURNING event_id::text
"""

GAP = f"""
INSERT INTO ingest_gap (id, started_at, ended_at, cause, channels)
VALUES ($1, {_instant("$2::bigint")}, {_instant("$3::bigint")}, $4, $5) ON CONFLICT (id) DO NOTHING
"""

DEAD = f"""
INSERT INTO dead_letter (id, at, reason, symbol, channel, event_at, payload, detail)
SELECT id, {_instant("at_us")}, reason, symbol, channel, {_instant("event_us")}, payload, detail
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[], $8::text[])
  AS d(id, at_us, reason, symbol, channel, event_us, payload, detail)
ON CONFLICT (id) DO NOTHING
"""
