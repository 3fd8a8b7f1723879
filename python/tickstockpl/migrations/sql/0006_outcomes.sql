-- What became of events.
-- Every statement may run again. Statements are separated by a blank line.

CREATE TABLE IF NOT EXISTS pattern_outcome (
  event_id uuid PRIMARY KEY,
  symbol text NOT NULL,
  timeframe text NOT NULL,
  bar_start timestamptz NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('target', 'stop', 'expired')),
  outcome_bar timestamptz NOT NULL,
  bars integer NOT NULL CHECK (bars >= 0),
  price double precision NOT NULL,
  result smallint CHECK (result BETWEEN -1 AND 1),
  result_bars integer,
  part text NOT NULL,
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS pattern_outcome_bar_start ON pattern_outcome (bar_start);

CREATE INDEX IF NOT EXISTS pattern_outcome_seq ON pattern_outcome (part, seq);
