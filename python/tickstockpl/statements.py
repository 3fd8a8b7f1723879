"""The SQL of a flush, fitted to the tables that are there."""

# ruff: noqa: S608 - what is put into these texts are our own words and column names; values are parameters

from tickstockpl.errors import ServerError
from tickstockpl.outcome_rows import ENDS, OUTCOME
from tickstockpl.tables import PRICES, QUALITY_TEXT, Column, Tables
from tickstockpl.vocabulary import REPAIRED

STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_bars (
  symbol text, ts_us bigint, open float8, high float8, low float8, close float8, volume bigint, vwap float8,
  trades bigint, revision integer, quality smallint, open_us bigint, close_us bigint, first_src bigint, last_src bigint
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_events (
  event_id uuid, symbol text, pattern text, direction smallint, confidence float8, payload jsonb, tier text,
  timeframe text, shown boolean
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_indicators (
  symbol text, indicator text, value float8, payload jsonb, metadata jsonb, bar_end_us bigint
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS tickstockpl_outcomes (
  symbol text, event_id uuid, ts_us bigint, "end" smallint, at_us bigint, bars integer, price float8, result integer,
  result_bars integer
) ON COMMIT DELETE ROWS
"""

STAGED = (
    *("symbol", "ts_us", *PRICES, "volume", "vwap"),
    *("trades", "revision", "quality", "open_us", "close_us", "first_src", "last_src"),
)

STAGED_INDICATORS = ("symbol", "indicator", "value", "payload", "metadata", "bar_end_us")

STAGED_OUTCOMES = ("symbol", *(OUTCOME.names or ()))

STAGED_EVENTS = ("event_id", "symbol", "pattern", "direction", "confidence", "payload", "tier", "timeframe", "shown")


_QUALITIES = "{" + ",".join("NULL" if text is None else f'"{text}"' for text in QUALITY_TEXT) + "}"
"""The text of each value of the bits, as an array of PostgreSQL's."""


_ENDS = "'{" + ",".join(ENDS) + "}'::text[]"


def _instant(micros: str) -> str:
    return f"timestamptz 'epoch' + {micros} * interval '1 microsecond'"


def _price(column: Column) -> str:
    # A double cast to numeric keeps 15 digits; its text has all that are needed to read the same double back.
    return f"{column.name}::text::numeric" if column.type.startswith("numeric") else column.name


_SAME = "(stored.src_id = EXCLUDED.src_id) IS TRUE"
"""Both rows are of messages of one source, so that their numbers tell which of them went into both."""

_INSIDE = "(EXCLUDED.first_src >= stored.first_src AND EXCLUDED.last_src <= stored.last_src)"
_AROUND = "(EXCLUDED.first_src <= stored.first_src AND EXCLUDED.last_src >= stored.last_src)"
_APART = "(EXCLUDED.first_src > stored.last_src OR EXCLUDED.last_src < stored.first_src)"
_NEWER = """(_AROUND AND (EXCLUDED.revision > stored.revision
             OR stored.quality LIKE '%provisional%' AND EXCLUDED.quality IS DISTINCT FROM stored.quality))""".replace(
    "_AROUND", _AROUND
)

_OTHERS = """((stored.open, stored.high, stored.low, stored.close, stored.volume) IS DISTINCT FROM
             (EXCLUDED.open, EXCLUDED.high, EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume)
             AND stored.revision IS NOT DISTINCT FROM EXCLUDED.revision)"""
"""Somebody else has changed the row since we have written it."""

_BOTH = """(SELECT string_agg(DISTINCT word, ',') FROM
  unnest(string_to_array(concat_ws(',', stored.quality, EXCLUDED.quality), ',')) AS word WHERE word <> 'provisional')"""

_MERGED = {
    "open": "CASE WHEN stored.open_at <= EXCLUDED.open_at THEN stored.open ELSE EXCLUDED.open END",
    "high": "greatest(stored.high, EXCLUDED.high)",
    "low": "least(stored.low, EXCLUDED.low)",
    "close": "CASE WHEN stored.close_at > EXCLUDED.close_at THEN stored.close ELSE EXCLUDED.close END",
    "volume": "stored.volume + EXCLUDED.volume",
    "trades": "stored.trades + EXCLUDED.trades",
    "vwap": "(coalesce(stored.vwap * stored.volume, 0) + coalesce(EXCLUDED.vwap * EXCLUDED.volume, 0)) "
    "/ nullif(stored.volume + EXCLUDED.volume, 0)",
    "revision": "greatest(stored.revision, EXCLUDED.revision)",
    "quality": _BOTH,
    "open_at": "least(stored.open_at, EXCLUDED.open_at)",
    "close_at": "greatest(stored.close_at, EXCLUDED.close_at)",
    "src_id": "EXCLUDED.src_id",
    "first_src": "least(stored.first_src, EXCLUDED.first_src)",
    "last_src": "greatest(stored.last_src, EXCLUDED.last_src)",
}
"""Of two rows that have no message in common, what the row of all their messages would be."""


def _renewed(name: str) -> str:
    """A column of a row that is written again."""
    kept = f"CASE WHEN stored.trades > EXCLUDED.trades THEN stored.{name} ELSE EXCLUDED.{name} END"
    if name == "quality":
        kept = f"concat_ws(',', ({kept}), 'ambiguous')"
    return (
        f"{name} = CASE WHEN {_SAME} AND {_APART} THEN {_MERGED[name]} "
        f"WHEN {_SAME} AND NOT {_AROUND} THEN {kept} ELSE EXCLUDED.{name} END"
    )


def upsert(tables: Tables) -> str:
    """The statement that moves staged bars, of messages of the source $1, into `ohlcv_1min` without making one poorer.

    Of one source: a row that has all messages of the stored one replaces it, one that has none of its own is left out,
    and two that have none in common become one. Rows that share some of their messages are of two writers: the fuller
    one stays, flagged `ambiguous`. Of another source, or where that is not known, the row with more trades stays; of
    equals, the newer revision. A row without a count of trades is another writer's: it stays if it has more volume.
    What was repaired stays; what somebody else has changed is put right if it is written again.

    Returns the rows written, and how many of them are ambiguous.
    """
    columns = tables.columns["ohlcv_1min"]
    start = at_start(naive=tables.naive)
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
        "src_id": "CASE WHEN first_src >= 0 THEN $1::uuid END",
        "first_src": "nullif(first_src, -1)",
        "last_src": "nullif(last_src, -1)",
    }
    renewed = ", ".join(_renewed(name) for name in list(values)[2:])
    return f"""
        WITH written AS (
          INSERT INTO ohlcv_1min AS stored ({", ".join(values)})
          SELECT {", ".join(values.values())} FROM tickstockpl_bars ORDER BY symbol, ts_us
          ON CONFLICT (symbol, "timestamp") DO UPDATE SET {renewed}
          WHERE CASE
            WHEN stored.quality LIKE '%{REPAIRED}%' THEN false
            WHEN {_SAME} THEN NOT {_INSIDE} OR {_NEWER} OR {_AROUND} AND {_OTHERS}
            WHEN stored.trades IS NULL THEN coalesce(stored.volume, 0) <= EXCLUDED.volume
            WHEN stored.trades = EXCLUDED.trades THEN coalesce(stored.revision, 0) <= EXCLUDED.revision
            ELSE stored.trades < EXCLUDED.trades
          END
          RETURNING quality
        ) SELECT count(*) AS rows, count(*) FILTER (WHERE quality LIKE '%ambiguous%') AS ambiguous FROM written"""


FOREIGN = f"""
SELECT EXISTS (SELECT FROM ohlcv_1min WHERE timestamp > now() - interval '1 hour'
               AND (trades IS NULL OR extract(second FROM timestamp) <> 0)
               AND (quality LIKE '%{REPAIRED}%') IS NOT TRUE)
"""
"""Whether another writer has written lately: its rows have no count of trades, or stand between two minutes."""

CHANGED = """
SELECT count(*) FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::float8[], $5::integer[])
  AS ours(symbol, ts_us, volume, close, revision)
JOIN ohlcv_1min b ON b.symbol = ours.symbol AND b.timestamp = {start}
WHERE (b.volume <> ours.volume OR b.close::float8 <> ours.close) AND coalesce(b.revision, 0) <= ours.revision
"""
"""How many rows that we have written say something else now, and not since we have revised them."""


def at_start(*, naive: bool) -> str:
    """The stamp of a row that starts at `ts_us`, in the column's own type."""
    return f"({_instant('ts_us')})" + (" AT TIME ZONE 'UTC'" if naive else "")


CHECKPOINT = """
UPDATE ingest_checkpoint SET position = coalesce($3::jsonb, position), updated_at = now() WHERE part = $1 AND epoch = $2
"""
"""Says how far the source is stored, and that the owner is still the owner: no row means that it is not."""


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
  SELECT event_id, symbol, pattern, direction, confidence, payload, timeframe, shown,
         to_timestamp((payload->>'bar_start')::float8) AS bar_start,
         to_timestamp((payload->>'bar_end')::float8) AS bar_end,
         array_remove(ARRAY[(payload->>'entry')::float8, (payload->>'stop')::float8,
                            (payload->>'target')::float8]::numeric[], NULL) AS levels,
         jsonb_build_object('source', $1::text, 'event_id', event_id, 'tier', tier, 'quality', payload->'quality')
           || CASE WHEN payload ? 'conflict' THEN '{"conflict": true}'::jsonb ELSE '{}' END AS metadata,
         greatest($2 * interval '1 second', make_interval(secs => (payload->>'bar_end')::float8
                                                                  - (payload->>'bar_start')::float8)) AS lifetime
  FROM tickstockpl_events
), fresh AS (
  INSERT INTO pattern_event (event_id, symbol, pattern, pattern_id, direction, confidence, bar_start, bar_end,
                             revision, supersedes, payload, timeframe, part, expires_at)
  SELECT event_id, symbol, pattern, payload->>'pattern_id', direction, confidence, bar_start, bar_end,
         (payload->>'revision')::integer, (payload->>'supersedes')::uuid, payload, timeframe, $3,
         bar_end + lifetime
  FROM given ORDER BY event_id ON CONFLICT (event_id) DO NOTHING RETURNING event_id
), seen AS (
  INSERT INTO intraday_patterns (symbol, pattern_type, confidence, pattern_data, detection_timestamp,
                                 expiration_timestamp, levels, metadata, timeframe, event_id)
  SELECT symbol, pattern, confidence, payload, bar_end, bar_end + lifetime, levels, metadata, timeframe,
         event_id
  FROM given JOIN fresh USING (event_id) WHERE shown ORDER BY bar_end, symbol, pattern
) SELECT count(*) FROM fresh
"""
"""Moves staged events, of the part $3, into both tables, once each; those of patterns that are switched off into ours
alone. Returns how many were new.

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

OUTCOMES = f"""
WITH written AS (
INSERT INTO pattern_outcome AS stored (event_id, symbol, timeframe, bar_start, outcome, outcome_bar, bars, price,
                                       result, result_bars, part)
SELECT event_id, symbol, $1, {_instant("ts_us")}, ({_ENDS})[o.end + 1], {_instant("at_us")}, bars, price, result,
       nullif(result_bars, 0), $2
FROM (
  SELECT DISTINCT ON (event_id) event_id, symbol, ts_us, "end", at_us, bars, price, result_bars,
         CASE WHEN result BETWEEN -1 AND 1 THEN result END AS result
  FROM tickstockpl_outcomes ORDER BY event_id, ctid DESC
) AS o
WHERE symbol <> ALL ($3::text[])
  AND NOT EXISTS (SELECT FROM pattern_event e WHERE e.event_id = o.event_id AND e.expired_at IS NOT NULL)
ORDER BY at_us, symbol, event_id
ON CONFLICT (event_id) DO UPDATE SET result = EXCLUDED.result, result_bars = EXCLUDED.result_bars
WHERE stored.result IS NULL AND EXCLUDED.result IS NOT NULL
RETURNING outcome, xmax = 0 AS fresh
) SELECT outcome, count(*) AS rows FROM written WHERE fresh GROUP BY outcome
"""
"""Moves staged outcomes of the timeframe $1 into their table, without those of the symbols $3: how an event ended is
said once, and its result once, then or later. A withdrawn event comes to nothing. Returns how many ended how, of those
that had not before.
"""

EXPIRE = (
    """UPDATE intraday_patterns SET expiration_timestamp = now()
       WHERE event_id = ANY ($1::uuid[]) AND expiration_timestamp > now()""",
    "UPDATE pattern_event SET expired_at = now() WHERE event_id = ANY ($1::uuid[]) AND expired_at IS NULL",
)

SENT = f"""
UPDATE pattern_event SET published_at = coalesce(published_at, {_instant("at_us")})
FROM unnest($1::uuid[], $2::bigint[]) AS s(id, at_us) WHERE event_id = id RETURNING event_id::text
"""

CHANGED_SESSIONS = f"""
UPDATE market_session SET changes = changes + 1
WHERE close_at <= {_instant("$3::bigint")} AND close_at > {_instant("$1::bigint")}
  AND open_at <= {_instant("$2::bigint")} AND open_at > {_instant("$1::bigint")} - interval '3 days'
"""
"""Notes that bars between two minutes, µs, were stored: in the sessions that are over by $3."""

GAP = f"""
INSERT INTO ingest_gap (id, started_at, ended_at, cause, channels, symbols)
VALUES ($1, {_instant("$2::bigint")}, {_instant("$3::bigint")}, $4, $5, $6) ON CONFLICT (id) DO NOTHING
"""

DEAD = f"""
INSERT INTO dead_letter (id, at, reason, symbol, channel, event_at, payload, detail)
SELECT id, {_instant("at_us")}, reason, symbol, channel, {_instant("event_us")}, payload, detail
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[], $8::text[])
  AS d(id, at_us, reason, symbol, channel, event_us, payload, detail)
ON CONFLICT (id) DO NOTHING
"""
