-- Which messages of which source went into a bar, and how far each source has been stored.
-- Every statement may run again. Statements are separated by a blank line.

ALTER TABLE ohlcv_1min
  ADD COLUMN IF NOT EXISTS src_id uuid,
  ADD COLUMN IF NOT EXISTS first_src bigint,
  ADD COLUMN IF NOT EXISTS last_src bigint;

CREATE TABLE IF NOT EXISTS ingest_checkpoint (
  part text PRIMARY KEY,
  epoch bigint NOT NULL,
  owner text NOT NULL,
  src_id uuid,
  position jsonb,
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
