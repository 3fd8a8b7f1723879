"""TickStockPL: live market ticks to 1-minute bars and chart-pattern events.

The array API stands here; the service is the command `tickstockpl`.

>>> import tickstockpl as tp
>>> tp.decode([b'{"ticker": "AAPL", "price": 1.5, "volume": 2, "timestamp": 1757600460.0, "event_type": "A"}']).price
array([1.5])
"""

from tickstockpl import indicators
from tickstockpl.barriers import Outcomes
from tickstockpl.drawing import Drawing, plot
from tickstockpl.indicators import IndicatorStream
from tickstockpl.kernel import (
    CANDLESTICKS,
    PATTERNS,
    TIMEFRAMES,
    VALUES,
    Bars,
    CandlestickStream,
    Detections,
    Engine,
    EngineSettings,
    Forming,
    Framer,
    Frames,
    Output,
    Readings,
    Ticks,
    aggregate,
    candlesticks,
    decode,
    event_id,
    forming,
    resample,
    scan,
)
from tickstockpl.measured import outcomes
from tickstockpl.rule import Rule
from tickstockpl.rules import parse_rules, read_rules

__all__ = [
    "CANDLESTICKS",
    "PATTERNS",
    "TIMEFRAMES",
    "VALUES",
    "Bars",
    "CandlestickStream",
    "Detections",
    "Drawing",
    "Engine",
    "EngineSettings",
    "Forming",
    "Framer",
    "Frames",
    "IndicatorStream",
    "Outcomes",
    "Output",
    "Readings",
    "Rule",
    "Ticks",
    "aggregate",
    "candlesticks",
    "decode",
    "event_id",
    "forming",
    "indicators",
    "outcomes",
    "parse_rules",
    "plot",
    "read_rules",
    "resample",
    "scan",
]
