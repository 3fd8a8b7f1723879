-- Which of several services in one database an event is of (`ingest.part`); NULL: it is from before.
-- Every statement may run again. Statements are separated by a blank line.

ALTER TABLE pattern_event ADD COLUMN IF NOT EXISTS part text;

CREATE INDEX IF NOT EXISTS pattern_event_part ON pattern_event (part, bar_end) WHERE part IS NOT NULL;
