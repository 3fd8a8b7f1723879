-- Whose ticks are missing in a gap; NULL: those of all symbols.
-- Every statement may run again. Statements are separated by a blank line.

ALTER TABLE ingest_gap ADD COLUMN IF NOT EXISTS symbols text[];
