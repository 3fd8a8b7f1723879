"""What patterns compare the price with, where that is a price too: averages, bands, levels of the day."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tickstockpl import indicators
from tickstockpl.dev.example_bars import MINUTES
from tickstockpl.drawing import Line

F64 = NDArray[np.float64]

_WEEK: Final = 5
"""Sessions."""


def lines_of(pattern_id: str, bars: Mapping[str, Any], at: int) -> list[Line]:
    """Over all bars of a market, for a pattern that ends at one of them; none if it compares with no price.

    Levels of a day are NaN before its session.
    """
    if pattern_id in _AVERAGES:
        return _AVERAGES[pattern_id](bars)
    if pattern_id not in _LEVELS:
        return []
    before = np.arange(len(bars["close"])) < at - at % MINUTES
    return [(name, np.where(before, np.nan, level)) for name, level in _LEVELS[pattern_id](bars)]


def _ema(bars: Mapping[str, Any], *spans: int) -> list[Line]:
    return [(f"EMA {span}", indicators.ema(bars["close"], span, seed="first")) for span in spans]


def _sma(bars: Mapping[str, Any], *spans: int) -> list[Line]:
    return [(f"SMA {span}", indicators.sma(bars["close"], span)) for span in spans]


def _vwap(bars: Mapping[str, Any]) -> list[Line]:
    session = np.arange(len(bars["close"])) // MINUTES
    return [("VWAP", indicators.vwap(bars["high"], bars["low"], bars["close"], bars["volume"], session).vwap)]


def _bollinger(bars: Mapping[str, Any]) -> list[Line]:
    bands = indicators.bollinger(bars["close"], 20, ddof=1)
    return [("Bollinger", bands.upper), ("Bollinger", bands.lower)]


def _keltner(bars: Mapping[str, Any]) -> list[Line]:
    ((_, middle),) = _ema(bars, 20)
    wide = 1.5 * indicators.atr(bars["high"], bars["low"], bars["close"], seed="first")
    return [("Keltner", middle + wide), ("Keltner", middle - wide)]


def _opening_range(bars: Mapping[str, Any], minutes: int) -> list[Line]:
    levels = _daily(bars["high"])[:, :minutes].max(axis=1), _daily(bars["low"])[:, :minutes].min(axis=1)
    return [(f"first {minutes} minutes", level.repeat(MINUTES)) for level in levels]


def _so_far(bars: Mapping[str, Any], side: str) -> list[Line]:
    """The session's highest high, or lowest low, before each bar."""
    extreme = (np.maximum if side == "high" else np.minimum).accumulate(_daily(bars[side]), axis=1)
    return [(f"{side} before", np.insert(extreme[:, :-1], 0, np.nan, axis=1).ravel())]


def _day_before(bars: Mapping[str, Any], *sides: str) -> list[Line]:
    days = dict(zip(("high", "low", "close"), _days(bars), strict=True))
    return [("day before", _later(days[side], 1).repeat(MINUTES)) for side in sides]


def _week_before(bars: Mapping[str, Any]) -> list[Line]:
    high, low, _ = _days(bars)
    weeks = high.reshape(-1, _WEEK).max(axis=1), low.reshape(-1, _WEEK).min(axis=1)
    return [("week before", _later(week, 1).repeat(_WEEK * MINUTES)) for week in weeks]


def _pivots(bars: Mapping[str, Any]) -> list[Line]:
    return [("pivot levels", _later(level, 1).repeat(MINUTES)) for level in indicators.pivots(*_days(bars))]


def _daily(column: F64) -> F64:
    """A row a session."""
    return column.reshape(-1, MINUTES)


def _days(bars: Mapping[str, Any]) -> tuple[F64, F64, F64]:
    """High, low and close of each session."""
    return _daily(bars["high"]).max(axis=1), _daily(bars["low"]).min(axis=1), _daily(bars["close"])[:, -1]


def _later(column: F64, rows: int) -> F64:
    return np.concatenate([np.full(rows, np.nan), column[:-rows]])


_Lines = Callable[[Mapping[str, Any]], list[Line]]

_AVERAGES: Final[Mapping[str, _Lines]] = {
    "ema_9_20_cross": lambda bars: _ema(bars, 9, 20),
    "ma_crossover": lambda bars: _ema(bars, 12, 26),
    "golden_cross": lambda bars: _sma(bars, 50, 200),
    "vwap_cross": _vwap,
    "range_breakout": _bollinger,
    "squeeze_breakout": lambda bars: _bollinger(bars) + _keltner(bars),
    "squeeze_on": lambda bars: _bollinger(bars) + _keltner(bars),
}

_LEVELS: Final[Mapping[str, _Lines]] = {
    "opening_range_5": lambda bars: _opening_range(bars, 5),
    "opening_range_15": lambda bars: _opening_range(bars, 15),
    "opening_range_30": lambda bars: _opening_range(bars, 30),
    "high_of_day": lambda bars: _so_far(bars, "high"),
    "low_of_day": lambda bars: _so_far(bars, "low"),
    "daily_breakout": lambda bars: _day_before(bars, "high", "low"),
    "weekly_breakout": _week_before,
    "gap_up": lambda bars: _day_before(bars, "high"),
    "gap_down": lambda bars: _day_before(bars, "low"),
    "gap_fill": lambda bars: _day_before(bars, "close"),
    "pivot_break": _pivots,
}
