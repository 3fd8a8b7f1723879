-- How long the bar of an event is: 1min, 5min, ... weekly.
-- Every statement may run again. Statements are separated by a blank line.

ALTER TABLE pattern_event ADD COLUMN IF NOT EXISTS timeframe text NOT NULL DEFAULT '1min';
