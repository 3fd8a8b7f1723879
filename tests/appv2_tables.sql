-- The tables of TickStockAppV2 that we share, as its code reads and writes them: numeric prices, a foreign key.
CREATE TABLE symbols (
  symbol varchar(20) PRIMARY KEY, name varchar(100), exchange varchar(20), market varchar(20), locale varchar(10),
  type varchar(20), active boolean DEFAULT true, market_cap bigint, last_updated timestamp DEFAULT now());
CREATE TABLE ohlcv_1min (
  symbol varchar(20) NOT NULL REFERENCES symbols (symbol), timestamp timestamptz NOT NULL,
  open numeric(10, 4), high numeric(10, 4), low numeric(10, 4), close numeric(10, 4), volume bigint,
  PRIMARY KEY (symbol, timestamp));
CREATE TABLE ohlcv_daily (
  symbol varchar(20) NOT NULL REFERENCES symbols (symbol), date date NOT NULL,
  open numeric(10, 4), high numeric(10, 4), low numeric(10, 4), close numeric(10, 4), volume bigint,
  PRIMARY KEY (symbol, date));
CREATE TABLE ohlcv_weekly (
  symbol varchar(20) REFERENCES symbols (symbol), week_start date,
  open numeric(10, 4), high numeric(10, 4), low numeric(10, 4), close numeric(10, 4), volume bigint,
  PRIMARY KEY (symbol, week_start));
CREATE TABLE intraday_patterns (
  id serial PRIMARY KEY, symbol text NOT NULL, pattern_type text NOT NULL,
  confidence numeric NOT NULL CHECK (confidence BETWEEN 0 AND 1), pattern_data jsonb NOT NULL,
  detection_timestamp timestamptz DEFAULT now(), expiration_timestamp timestamptz NOT NULL, levels numeric[],
  metadata jsonb, timeframe text DEFAULT '5min');
CREATE TABLE intraday_indicators (
  id serial PRIMARY KEY, symbol text NOT NULL, indicator_type text NOT NULL, value numeric, value_data jsonb NOT NULL,
  calculation_timestamp timestamptz DEFAULT now(), expiration_timestamp timestamptz NOT NULL, metadata jsonb,
  timeframe text DEFAULT '5min');
CREATE TABLE pattern_definitions (
  id serial PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, short_description varchar(255) NOT NULL DEFAULT '',
  long_description text, basic_logic_description text, code_reference varchar(255),
  category varchar(50) DEFAULT 'pattern', created_date timestamp DEFAULT now(), updated_date timestamp DEFAULT now(),
  enabled boolean NOT NULL DEFAULT true, display_order int DEFAULT 0, confidence_threshold numeric(3, 2) DEFAULT 0.50,
  risk_level varchar(20) DEFAULT 'medium', typical_success_rate numeric(5, 2),
  created_by varchar(100) DEFAULT 'system', applicable_timeframes text[] DEFAULT ARRAY['daily']);
INSERT INTO symbols (symbol, name, market, type)
SELECT s, s, 'stocks', 'CS' FROM unnest(ARRAY['AAPL', 'GOOGL', 'MSFT']) AS s;
