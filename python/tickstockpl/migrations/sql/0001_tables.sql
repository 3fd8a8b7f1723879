-- AppV2's tables, made where they are missing and given our own nullable columns where they are not.
-- Every statement may run again. Statements are separated by a blank line.

CREATE TABLE IF NOT EXISTS ohlcv_1min (
  symbol varchar(20) NOT NULL,
  "timestamp" timestamptz NOT NULL,
  open double precision CHECK (open > 0 AND open < 'Infinity'),
  high double precision CHECK (high > 0 AND high < 'Infinity'),
  low double precision CHECK (low > 0 AND low < 'Infinity'),
  close double precision CHECK (close > 0 AND close < 'Infinity'),
  volume bigint CHECK (volume >= 0),
  PRIMARY KEY (symbol, "timestamp")
);

ALTER TABLE ohlcv_1min
  ADD COLUMN IF NOT EXISTS trades bigint,
  ADD COLUMN IF NOT EXISTS vwap double precision,
  ADD COLUMN IF NOT EXISTS revision integer,
  ADD COLUMN IF NOT EXISTS quality text,
  ADD COLUMN IF NOT EXISTS open_at timestamptz,
  ADD COLUMN IF NOT EXISTS close_at timestamptz;

CREATE TABLE IF NOT EXISTS intraday_patterns (
  id serial PRIMARY KEY,
  symbol text NOT NULL,
  pattern_type text NOT NULL,
  confidence numeric NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  pattern_data jsonb NOT NULL,
  detection_timestamp timestamptz DEFAULT now(),
  expiration_timestamp timestamptz NOT NULL,
  levels numeric[],
  metadata jsonb,
  timeframe text DEFAULT '5min'
);

ALTER TABLE intraday_patterns
  ADD COLUMN IF NOT EXISTS levels numeric[],
  ADD COLUMN IF NOT EXISTS metadata jsonb,
  ADD COLUMN IF NOT EXISTS timeframe text,
  ADD COLUMN IF NOT EXISTS event_id uuid;

CREATE INDEX IF NOT EXISTS intraday_patterns_event_id ON intraday_patterns (event_id) WHERE event_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS intraday_patterns_detection ON intraday_patterns (detection_timestamp);

CREATE TABLE IF NOT EXISTS intraday_indicators (
  id serial PRIMARY KEY,
  symbol text NOT NULL,
  indicator_type text NOT NULL,
  value numeric,
  value_data jsonb NOT NULL,
  calculation_timestamp timestamptz DEFAULT now(),
  expiration_timestamp timestamptz NOT NULL,
  metadata jsonb,
  timeframe text DEFAULT '5min'
);

ALTER TABLE intraday_indicators
  ADD COLUMN IF NOT EXISTS value numeric,
  ADD COLUMN IF NOT EXISTS metadata jsonb,
  ADD COLUMN IF NOT EXISTS timeframe text;

CREATE TABLE IF NOT EXISTS pattern_event (
  event_id uuid PRIMARY KEY,
  symbol text NOT NULL,
  pattern text NOT NULL,
  pattern_id text NOT NULL,
  direction smallint NOT NULL CHECK (direction BETWEEN -1 AND 1),
  confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  bar_start timestamptz NOT NULL,
  bar_end timestamptz NOT NULL,
  revision integer NOT NULL,
  supersedes uuid,
  payload jsonb NOT NULL,
  detected_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  expires_at timestamptz NOT NULL,
  expired_at timestamptz
);

CREATE INDEX IF NOT EXISTS pattern_event_bar_end ON pattern_event (bar_end);

CREATE INDEX IF NOT EXISTS pattern_event_symbol ON pattern_event (symbol, bar_end);

CREATE TABLE IF NOT EXISTS ingest_gap (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  cause text NOT NULL,
  channels text[] NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS ingest_gap_started_at ON ingest_gap (started_at);

CREATE TABLE IF NOT EXISTS dead_letter (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  at timestamptz NOT NULL,
  reason text NOT NULL,
  symbol text,
  channel text,
  event_at timestamptz,
  payload bytea NOT NULL,
  detail text
);

CREATE INDEX IF NOT EXISTS dead_letter_at ON dead_letter (at);
