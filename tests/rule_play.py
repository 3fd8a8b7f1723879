"""Some rules, as a person writes them and as the oracle means them."""

import math

import tickstockpl as tp
from oracle_rules import Held, Named, Rule

TEXT = """
[[rule]]
id = "busy_hammer"
name = "BusyHammer"
all = ["cdl_hammer", "relative_volume > 1"]
cooldown = 5

[[rule]]
id = "engulfed_turn"
name = "EngulfTurn"
all = [{ pattern = "engulfing", within = 3 }, { pattern = "macd_cross", within = 10 }]

[[rule]]
id = "oversold_pause"
name = "PauseLow"
direction = "bullish"
all = ["rsi < 45", "close > ema_20 - 2 * atr"]
any = ["doji", { pattern = "harami", within = 4 }, "volume >= 5000"]
cooldown = 3

[[rule]]
id = "failed_engulfing"
name = "FailedEngulf"
direction = "bearish"
all = [{ pattern = "cdl_engulfing", direction = "bullish" }, "close < vwap"]

[[rule]]
id = "either_way"
name = "EitherWay"
all = [{ pattern = "engulfing", within = 8 }]
cooldown = 12

[[rule]]
id = "something"
name = "Something"
direction = "neutral"
any = ["engulfing", "pin_bar", "no_reason"]

[[rule]]
id = "below_everything"
name = "BelowAll"
direction = "bearish"
all = ["close < bollinger_lower", "stochastic_k < 20", "macd < macd_signal", "1.5 * relative_volume > 1"]
cooldown = 30

[[rule]]
id = "day_and_hammer"
name = "DayHammer"
tier = "combo"
all = [{ pattern = "day_leads", within = 60 }, { pattern = "busy_hammer", within = 20 }]

[[rule]]
id = "day_leads"
name = "LeadsDay"
told = false
direction = "bullish"
all = ["close > previous_high + 0.1 * atr"]
cooldown = 4

[[rule]]
id = "no_reason"
name = "NoReason"
direction = "bullish"
all = ["sma_200 < close", "price_change > 0.05", "rsi <= 100"]
"""

RULES = tp.parse_rules(TEXT)

MEANT = (
    Rule("busy_hammer", [Named("cdl_hammer"), lambda bar: bar["relative_volume"] > 1], cooldown=5),
    Rule("engulfed_turn", [Named("engulfing", 3), Named("macd_cross", 10)]),
    Rule(
        "oversold_pause",
        [lambda bar: bar["rsi"] < 45, lambda bar: bar["close"] > bar["ema_20"] - 2 * bar["atr"]],
        [Named("doji"), Named("harami", 4), lambda bar: bar["volume"] >= 5000],
        direction=1,
        cooldown=3,
    ),
    Rule(
        "failed_engulfing", [Named("cdl_engulfing", direction=1), lambda bar: bar["close"] < bar["vwap"]], direction=-1
    ),
    Rule("either_way", [Named("engulfing", 8)], cooldown=12),
    Rule(
        "no_reason",
        [
            lambda bar: bar["sma_200"] < bar["close"],
            lambda bar: bar["price_change"] > 0.05,
            lambda bar: bar["rsi"] <= 100,
        ],
        direction=1,
    ),
    Rule("something", [], [Named("engulfing"), Named("pin_bar"), Named("no_reason")], direction=0),
    Rule(
        "below_everything",
        [
            lambda bar: bar["close"] < bar["bollinger_lower"],
            lambda bar: bar["stochastic_k"] < 20,
            lambda bar: bar["macd"] < bar["macd_signal"],
            lambda bar: 1.5 * bar["relative_volume"] > 1,
        ],
        direction=-1,
        cooldown=30,
    ),
    Rule("day_leads", [lambda bar: bar["close"] > bar["previous_high"] + 0.1 * bar["atr"]], direction=1, cooldown=4),
    Rule("day_and_hammer", [Named("day_leads", 60), Named("busy_hammer", 20)]),
)
"""In the order in which they are asked."""

LONGER_TEXT = """
[[rule]]
id = "with_the_hour"
name = "WithTheHour"
all = ["engulfing", { pattern = "macd_cross", timeframe = "5min", within = 6 }]

[[rule]]
id = "dip_in_rise"
name = "DipInRise"
direction = "bullish"
all = [
  { pattern = "cdl_longline", timeframe = "15min", within = 4 },
  "rsi < 45",
  { pattern = "turn_in_five", timeframe = "5min", within = 10 },
]
any = ["hammer", "harami", { pattern = "doji", timeframe = "5min" }]
cooldown = 3

[[rule]]
id = "turn_in_five"
name = "FiveTurn"
timeframe = "5min"
all = [{ pattern = "cdl_harami", within = 3 }, { pattern = "cdl_longline", timeframe = "15min", within = 10 }]

[[rule]]
id = "against_the_day"
name = "AgainstDay"
direction = "neutral"
timeframe = "5min"
all = [{ pattern = "cdl_longline", timeframe = "daily", within = 30, direction = "bearish" }, "volume_spike"]
"""

LONGER_RULES = tp.parse_rules(LONGER_TEXT)

LONGER_MEANT = {
    "1min": (
        Rule("with_the_hour", [Named("engulfing"), Named("macd_cross", 6, timeframe="5min")]),
        Rule(
            "dip_in_rise",
            [
                Named("cdl_longline", 4, timeframe="15min"),
                lambda bar: bar["rsi"] < 45,
                Named("turn_in_five", 10, timeframe="5min"),
            ],
            [Named("hammer"), Named("harami"), Named("doji", timeframe="5min")],
            direction=1,
            cooldown=3,
        ),
    ),
    "5min": (
        Rule("turn_in_five", [Named("cdl_harami", 3), Named("cdl_longline", 10, timeframe="15min")]),
        Rule(
            "against_the_day",
            [Named("cdl_longline", 30, -1, timeframe="daily"), Named("volume_spike")],
            direction=0,
        ),
    ),
}
"""By timeframe, in the order in which they are asked."""


def said_by(found: tp.Detections, *, rules: bool, timeframe: str = "1min") -> list[tuple[int, Held]]:
    """Events of a timeframe's patterns, or of its rules, by the start of their bar."""

    def price(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    def held(row: int) -> Held:
        stop, target, invalidation = (price(getattr(found, name)[row]) for name in ("stop", "target", "invalidation"))
        of_members = found.members(row)
        members = tuple((pattern, of if of != timeframe else None, ts_us) for pattern, of, ts_us, _ in of_members)
        said = (int(found.direction[row]), float(found.confidence[row]), int(found.bars[row]))
        return Held(found.patterns[found.pattern[row]]["id"], *said, stop, target, invalidation, members)

    is_rule = found.pattern >= len(tp.PATTERNS)
    rows = ((is_rule == rules) & (found.timeframe == tp.TIMEFRAMES.index(timeframe))).nonzero()[0].tolist()
    return [(int(found.ts_us[row]), held(row)) for row in rows]
