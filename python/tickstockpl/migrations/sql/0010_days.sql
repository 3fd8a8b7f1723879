-- Events on bars of a day and a week, few among all: a start looks weeks back for those that have not come to anything.
-- Every statement may run again. Statements are separated by a blank line.

CREATE INDEX IF NOT EXISTS pattern_event_days ON pattern_event (part, bar_end) WHERE timeframe IN ('daily', 'weekly');
