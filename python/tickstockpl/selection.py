"""What the settings choose, by name: patterns, indicators, alerts."""

import fnmatch

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
        if not fnmatch.filter(known, wanted):
            raise SettingsError(f"patterns.enabled: no pattern is called {wanted}; there are {', '.join(known)}")
    chosen = [
        pattern for pattern in PATTERNS if any(fnmatch.fnmatchcase(pattern["id"], one) for one in settings.enabled)
    ]
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
    """Below and above which RSI is an alert.

    Raises SettingsError if they cross.
    """
    if settings.rsi_oversold > settings.rsi_overbought:
        raise SettingsError("indicators.rsi_oversold must not be above indicators.rsi_overbought")
    return settings.rsi_oversold, settings.rsi_overbought


def shown(settings: IndicatorSettings) -> Shown:
    """What is told of indicators.

    Raises SettingsError for an indicator or an alert that does not exist, or for bounds that cross.
    """
    alerts = ALERTS if settings.alerts is None else settings.alerts
    for name, wanted, known in (("enabled", settings.enabled, tuple(INDICATORS)), ("alerts", alerts, ALERTS)):
        if unknown := [each for each in wanted if each not in known]:
            raise SettingsError(f"indicators.{name}: there is no {unknown[0]}; there are {', '.join(known)}")
    return Shown(tuple(INDICATORS[name] for name in settings.enabled), alerts, rsi_bounds(settings))
