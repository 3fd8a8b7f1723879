-- Which calendar a session is of: its name and the market's time zone; NULL until a service has said it.
-- Every statement may run again. Statements are separated by a blank line.

ALTER TABLE market_session ADD COLUMN IF NOT EXISTS calendar text;
