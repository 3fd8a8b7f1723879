"""What the settings choose, by name: patterns, indicators, alerts."""

import difflib
from fnmatch import fnmatchcase

from tickstockpl.errors import SettingsError
from tickstockpl.kernel import ALERTS, PATTERNS
from tickstockpl.pipeline import Shown
from tickstockpl.readings import INDICATORS
from tickstockpl.settings import IndicatorSettings, PatternSettings


def enabled_patterns(settings: PatternSettings) -> tuple[str, ...] | None:
    """The ids that `patterns.enabled` means, in the order of `PATTERNS`; None for the default.

    Raises SettingsError for a name that means no pattern, or for two patterns of one published name.
    """
    if settings.enabled is None:
        return None
    known = [pattern["id"] for pattern in PATTERNS]
    for wanted in settings.enabled:
        if not any(fnmatchcase(one, wanted) for one in known):
            near = difflib.get_close_matches(wanted, known, n=1)
            other = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise SettingsError(f"patterns.enabled: no pattern is called {wanted}; {other}")
    chosen = [pattern for pattern in PATTERNS if any(fnmatchcase(pattern["id"], one) for one in settings.enabled)]
    first: dict[str, str] = {}
    for pattern in chosen:
        other = first.setdefault(pattern["name"], pattern["id"])
        if other != pattern["id"] and not settings.same_names:
            raise SettingsError(
                f"patterns.enabled: {other} and {pattern['id']} are both published as {pattern['name']}: "
                "take one of them out, or set patterns.same_names"
            )
    return tuple(pattern["id"] for pattern in chosen)


def rsi_bounds(settings: IndicatorSettings) -> tuple[float, float]:
    """Below and above which RSI is an alert, 0 to 100.

    Raises SettingsError if they cross.
    """
    low, high = settings.rsi_oversold, settings.rsi_overbought
    if low > high:
        raise SettingsError(f"indicators.rsi_oversold must be at most rsi_overbought, {high:g}, was {low:g}")
    return low, high


def shown(settings: IndicatorSettings) -> Shown:
    """What is told of indicators.

    Raises SettingsError for an indicator or an alert that does not exist, or for bounds that cross.
    """
    alerts = ALERTS if settings.alerts is None else settings.alerts
    for name, wanted, known in (("enabled", settings.enabled, tuple(INDICATORS)), ("alerts", alerts, ALERTS)):
        if unknown := [each for each in wanted if each not in known]:
            raise SettingsError(f"indicators.{name}: there is no {unknown[0]}; there are {', '.join(known)}")
    return Shown(tuple(INDICATORS[name] for name in settings.enabled), alerts, rsi_bounds(settings))
