-- What rows of indicators need beyond AppV2's columns: their bar, and that one made again replaces itself.
-- Every statement may run again. Statements are separated by a blank line.

ALTER TABLE intraday_indicators
  ADD COLUMN IF NOT EXISTS calculation_timestamp timestamptz,
  ADD COLUMN IF NOT EXISTS bar_start timestamptz;

CREATE UNIQUE INDEX IF NOT EXISTS intraday_indicators_bar ON intraday_indicators
  (symbol, indicator_type, calculation_timestamp) WHERE bar_start IS NOT NULL;
