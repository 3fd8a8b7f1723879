"""What the settings choose, by name: patterns, their rates, indicators, alerts; and the engine that does it all."""

from tickstockpl.aliases import ids_of, nearest
from tickstockpl.calibration import Parameters
from tickstockpl.errors import SettingsError
from tickstockpl.kernel import ALERTS, PATTERNS, EngineSettings, Follower, event_id
from tickstockpl.pipeline import Shown
from tickstockpl.rating import RateTable
from tickstockpl.readings import INDICATORS
from tickstockpl.sessions import Sessions
from tickstockpl.settings import IndicatorSettings, PatternSettings, Settings
from tickstockpl.wire import TIMEFRAME


def engine_settings(settings: Settings, calendar: Sessions, price_scale: int | None) -> EngineSettings:
    """What an engine is told that does as the settings say.

    price_scale: decimals of the price column, to which closed bars are rounded; None rounds nothing.
    Raises SettingsError for a pattern that does not exist, for two of one name, or for bounds that cross.
    """
    indicators = settings.indicators
    return EngineSettings(
        channels=settings.tick_channels,
        lateness_a_s=settings.bars.lateness_a_s,
        lateness_t_s=settings.bars.lateness_t_s,
        revise_s=settings.bars.revise_s,
        window=settings.bars.window,
        max_symbols=settings.bars.max_symbols,
        price_scale=price_scale,
        session_mode=settings.session.mode,
        sessions=calendar.table(settings.session.mode),
        regular=calendar.regular,
        days=calendar.days,
        patterns=enabled_patterns(settings.patterns),
        seq_counts=settings.feed.seq == "channel",
        volume_checked=settings.feed.check_volume,
        indicators=indicators.symbols or (),
        rsi_bounds=rsi_bounds(indicators),
        benchmark=indicators.benchmark or None,
    )


def event_follower(settings: Settings, calendar: Sessions) -> Follower:
    """What says what becomes of the events of such an engine: by the parameters that `tickstockpl calibrate` has."""
    measured = Parameters()
    return Follower(
        TIMEFRAME,
        horizon=measured.horizon,
        barrier=measured.barrier,
        revise_us=round(settings.bars.revise_s * 1e6),
        sessions=calendar.table(settings.session.mode),
        days=calendar.days,
    )


def enabled_patterns(settings: PatternSettings, named: str = "patterns.enabled") -> tuple[str, ...] | None:
    """The ids that `patterns.enabled` means, in the order of `PATTERNS`; None for the default.

    named: what a person has written them in, for errors.
    Raises SettingsError for a name that means no pattern, or for two patterns of one published name.
    """
    if settings.enabled is None:
        return None
    wanted: set[str] = set()
    for name in settings.enabled:
        ids = ids_of(name)
        if not ids:
            raise SettingsError(f"{named}: no pattern is called {name}; {nearest(name)}")
        wanted.update(ids)
    chosen = [pattern for pattern in PATTERNS if pattern["id"] in wanted]
    first: dict[str, str] = {}
    for pattern in chosen:
        other = first.setdefault(pattern["name"], pattern["id"])
        if other != pattern["id"] and not settings.same_names:
            raise SettingsError(
                f"{named}: {other} and {pattern['id']} are both published as {pattern['name']}: "
                "take one of them out, or set patterns.same_names"
            )
    return tuple(pattern["id"] for pattern in chosen)


def rate_table(settings: PatternSettings) -> RateTable | None:
    """The measured rates of the patterns that are on; None if no file of them is named.

    Raises SettingsError if it is no whole table, has nothing of these patterns, or is missing where it is needed.
    """
    if settings.rates is None:
        if settings.confidence == "hit_rate":
            raise SettingsError(
                "patterns.confidence is hit_rate, which needs measured rates: "
                "set TICKSTOCKPL_PATTERNS__RATES to the file that `tickstockpl calibrate -o` writes"
            )
        return None
    enabled = enabled_patterns(settings)
    # of those that share a name the first is on by default
    on = {pattern["name"]: pattern["id"] for pattern in reversed(PATTERNS)}.values() if enabled is None else enabled
    definitions = {each["id"]: event_id("", 0, each["id"]) for each in PATTERNS if each["id"] in on}
    return RateTable.read(settings.rates, PATTERNS, definitions)


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
