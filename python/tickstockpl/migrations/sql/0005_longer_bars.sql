-- Daily bars, the sessions that they are of, and views of bars of other lengths.
-- Every statement may run again. Statements are separated by a blank line.

CREATE TABLE IF NOT EXISTS ohlcv_daily (
  symbol varchar(20) NOT NULL,
  date date NOT NULL,
  open double precision CHECK (open > 0 AND open < 'Infinity'),
  high double precision CHECK (high > 0 AND high < 'Infinity'),
  low double precision CHECK (low > 0 AND low < 'Infinity'),
  close double precision CHECK (close > 0 AND close < 'Infinity'),
  volume bigint CHECK (volume >= 0),
  PRIMARY KEY (symbol, date)
);

-- What the minutes of the session say, whoever wrote the seven columns before these.
ALTER TABLE ohlcv_daily
  ADD COLUMN IF NOT EXISTS session_open double precision,
  ADD COLUMN IF NOT EXISTS session_high double precision,
  ADD COLUMN IF NOT EXISTS session_low double precision,
  ADD COLUMN IF NOT EXISTS session_close double precision,
  ADD COLUMN IF NOT EXISTS session_volume bigint,
  ADD COLUMN IF NOT EXISTS trades bigint,
  ADD COLUMN IF NOT EXISTS vwap double precision,
  ADD COLUMN IF NOT EXISTS quality text,
  ADD COLUMN IF NOT EXISTS minutes integer,
  ADD COLUMN IF NOT EXISTS first_at timestamptz;

CREATE TABLE IF NOT EXISTS market_session (
  kind text NOT NULL CHECK (kind IN ('regular', 'extended')),
  open_at timestamptz NOT NULL,
  close_at timestamptz NOT NULL,
  date date NOT NULL,
  week date NOT NULL,
  changes bigint NOT NULL DEFAULT 0,
  daily_changes bigint,
  PRIMARY KEY (kind, open_at)
);

-- Of a table that holds rows it would be made under a lock that readers wait for: `migrate` makes it afterwards.
DO $ohlcv_1min$
BEGIN
  IF NOT EXISTS (SELECT FROM ohlcv_1min) THEN
    CREATE INDEX IF NOT EXISTS ohlcv_1min_timestamp_idx ON ohlcv_1min ("timestamp" DESC);
  END IF;
END
$ohlcv_1min$;

-- Views of longer bars: of the minutes in regular sessions, and only such as are over when the newest minute of all ends.
-- A name that somebody else has given to a table stays his.
DO $market_session$
DECLARE
  naive CONSTANT boolean := 'timestamp'::regtype = (
    SELECT atttypid FROM pg_attribute WHERE attrelid = 'ohlcv_1min'::regclass AND attname = 'timestamp');
  at CONSTANT text := CASE WHEN naive THEN '(b."timestamp" AT TIME ZONE ''UTC'')' ELSE 'b."timestamp"' END;
  closed CONSTANT text := $sql$isfinite(b."timestamp") AND (b.quality LIKE '%provisional%') IS NOT TRUE$sql$;
  minutes CONSTANT text := replace($sql$
    FROM ohlcv_1min b CROSS JOIN LATERAL (
      SELECT m.open_at, m.close_at, m.week FROM market_session m
      WHERE m.kind = 'regular' AND m.open_at <= {at} ORDER BY m.open_at DESC LIMIT 1) s
    WHERE {at} < s.close_at AND {closed} AND b.open > 0 AND b.open < 'Infinity' AND b.high > 0 AND b.high < 'Infinity'
      AND b.low > 0 AND b.low < 'Infinity' AND b.close > 0 AND b.close < 'Infinity'$sql$, '{closed}', closed);
  columns CONSTANT text := $sql$
    (array_agg(b.open ORDER BY b."timestamp"))[1] AS open, max(b.high) AS high, min(b.low) AS low,
    (array_agg(b.close ORDER BY b."timestamp" DESC))[1] AS close,
    coalesce(least(sum(b.volume), 9223372036854775807), 0)::bigint AS volume,
    least(sum(b.trades), 9223372036854775807)::bigint AS trades,
    sum(b.vwap * b.volume) FILTER (WHERE b.vwap < 'Infinity' AND b.volume > 0)
      / sum(b.volume) FILTER (WHERE b.vwap < 'Infinity' AND b.volume > 0) AS vwap,
    (SELECT string_agg(DISTINCT flag, ',') FROM unnest(string_to_array(string_agg(b.quality, ','), ',')) AS flag)
      AS quality,
    count(*)::integer AS minutes$sql$;
  reached CONSTANT text := replace($sql$(
    SELECT {at} + interval '1 minute' FROM ohlcv_1min b WHERE {closed} ORDER BY b."timestamp" DESC LIMIT 1)$sql$,
    '{closed}', closed);
  name text;
  bucket text;
BEGIN
  FOREACH name IN ARRAY ARRAY['5min', '15min', '30min', '1hour', '4hour'] LOOP
    CONTINUE WHEN to_regclass('ohlcv_' || name) IS NOT NULL;
    bucket := replace('date_bin(interval ''{name}'', {at}, s.open_at)', '{name}', name);
    EXECUTE replace(
      'CREATE VIEW ohlcv_' || name || ' AS SELECT b.symbol, ' || bucket || ' AS "timestamp", ' || columns || minutes
      || ' GROUP BY b.symbol, ' || bucket || ', s.close_at'
      || ' HAVING least(s.close_at, ' || bucket || ' + interval ''' || name || ''') <= ' || reached, '{at}', at);
  END LOOP;
  IF to_regclass('ohlcv_weekly') IS NULL THEN
    EXECUTE replace(
      'CREATE VIEW ohlcv_weekly AS SELECT b.symbol, w.week AS date, w.open_at AS "timestamp", ' || columns
      || replace(minutes, 'WHERE {at}', $sql$
           JOIN (SELECT week, min(open_at) AS open_at, max(close_at) AS close_at FROM market_session
                 WHERE kind = 'regular' GROUP BY week) w USING (week)
           WHERE {at}$sql$)
      || ' GROUP BY b.symbol, w.week, w.open_at, w.close_at HAVING w.close_at <= ' || reached, '{at}', at);
  END IF;
END
$market_session$;
