"""What bars and events are said in: the names of flags, timeframes and tiers, as they stand in rows and messages."""

REPAIRED = "repaired"
"""The bar was put right by hand; no tick changes it any more."""

QUALITY = ("partial_start", "gap", "provisional", "late_revised", "handover", "ambiguous", REPAIRED)
"""The names of a bar's quality bits, lowest first, as they stand in the database and in events."""

FLAGS = tuple(name for name in QUALITY if name not in ("late_revised", REPAIRED))
"""Those of bars in which ticks may be missing, or be twice."""

TIMEFRAME = "1min"
TIMEFRAMES = (TIMEFRAME, "5min", "15min", "30min", "1hour", "4hour", "daily", "weekly")
"""The timeframes of bars, the shortest first, as AppV2 spells them; `_kernel.TIMEFRAMES`."""
INTERVALS_S = {"1min": 60.0, "5min": 300.0, "15min": 900.0, "30min": 1800.0, "1hour": 3600.0, "4hour": 14400.0}
"""How long bars of the timeframes shorter than a session are; the others are as long as the calendar says."""
TIERS = {"daily": "daily", "weekly": "daily"}
"""AppV2's tier of what is found on bars of a timeframe; of the others it is `INTRADAY`."""
INTRADAY = "intraday"
"""The tier of a pattern that leaves it to its bars."""


def quality_names(quality: int) -> tuple[str, ...]:
    """The names of the bits set in a bar's quality."""
    return tuple(name for bit, name in enumerate(QUALITY) if quality >> bit & 1)
