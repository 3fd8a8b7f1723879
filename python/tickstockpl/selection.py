"""What the settings choose, by name: patterns, rules, their rates, indicators, alerts; and the engine of it all."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tickstockpl.aliases import Names
from tickstockpl.calibration import Parameters
from tickstockpl.errors import SettingsError
from tickstockpl.followers import Followers
from tickstockpl.kernel import ALERTS, PATTERNS, TIMEFRAMES, EngineSettings, Follower, event_id, patterns_with
from tickstockpl.pipeline import Shown
from tickstockpl.rating import RateTable
from tickstockpl.readings import INDICATORS
from tickstockpl.rule import Rule, only
from tickstockpl.rules import read_rules
from tickstockpl.sessions import Sessions
from tickstockpl.settings import IndicatorSettings, PatternSettings, Settings

AGREEMENT: Final = "agreement"
"""The pattern that is made of those on several timeframes."""


def engine_settings(
    settings: Settings, calendar: Sessions, price_scale: int | None, rules: Sequence[Rule] | None = None
) -> EngineSettings:
    """What an engine is told that does as the settings say.

    price_scale: decimals of the price column, to which closed bars are rounded; None rounds nothing. rules: those of
    the settings, where they have been read; None reads them.
    Raises SettingsError for a pattern or a timeframe that does not exist, for two of one name, for a mistake in a file
    of rules, for a rule on bars that are not looked at, or for bounds that cross.
    """
    indicators = settings.indicators
    told = chosen_rules(settings.patterns) if rules is None else tuple(rules)
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
        patterns=enabled_patterns(settings.patterns, rules=told),
        rules=told,
        seq_counts=settings.feed.seq == "channel",
        volume_checked=settings.feed.check_volume,
        indicators=indicators.symbols or (),
        rsi_bounds=rsi_bounds(indicators),
        benchmark=indicators.benchmark or None,
        timeframes=timeframes(settings.patterns, told),
        align=settings.patterns.align,
    )


def reached(told: EngineSettings, named: str) -> None:
    """Look whether such an engine can find each of the patterns that it is told.

    named: what a person has written them in, for errors.
    Raises SettingsError for one that needs more bars than the window has, or is on none of the timeframes.
    """
    wanted = frozenset(told.patterns or ())
    lacking = (_lacking(pattern, told) for pattern in PATTERNS if pattern["id"] in wanted)
    if first := next(filter(None, lacking), None):
        raise SettingsError(f"{named}: {first}")


def within_reach(told: EngineSettings) -> EngineSettings:
    """The same engine, told only of patterns that it can find."""
    if told.patterns is None:
        return told
    never = {pattern["id"] for pattern in PATTERNS if _lacking(pattern, told)}
    return replace(told, patterns=tuple(name for name in told.patterns if name not in never))


def _lacking(pattern: Mapping[str, Any], told: EngineSettings) -> str | None:
    """Why such an engine never finds a pattern, as the kernel has it; None if it may."""
    name, bars, longest = pattern["id"], pattern["bars"] - 1, pattern["longest"]
    if bars > told.window:
        return f"{name} needs a window of at least {bars} bars: TICKSTOCKPL_BARS__WINDOW is {told.window}"
    if told.timeframes and all(TIMEFRAMES.index(each) > TIMEFRAMES.index(longest) for each in told.timeframes):
        return f"{name} is on bars of {longest} or shorter, and not on {', '.join(told.timeframes)}"
    return None


def event_followers(settings: Settings, calendar: Sessions) -> Followers:
    """What says what becomes of such an engine's events, by timeframe: by the parameters of `tickstockpl calibrate`."""
    measured = Parameters()
    each = {
        timeframe: Follower(
            timeframe,
            horizon=measured.horizon,
            barrier=measured.barrier,
            revise_us=round(settings.bars.revise_s * 1e6),
            sessions=calendar.table(settings.session.mode),
            days=calendar.days,
        )
        for timeframe in timeframes(settings.patterns)
    }
    return Followers(each)


def timeframes(settings: PatternSettings, rules: Iterable[Rule] = ()) -> tuple[str, ...]:
    """The timeframes that `patterns.timeframes` names, the shortest first.

    rules: each that makes events is to be on bars of one of them.
    Raises SettingsError for one that there is not, and for a rule on bars of another: it would never be looked for.
    """
    for name in settings.timeframes:
        if name not in TIMEFRAMES:
            raise SettingsError(f"patterns.timeframes: there is no {name}; there are {', '.join(TIMEFRAMES)}")
    if idle := elsewhere(rules, settings.timeframes):
        raise SettingsError(
            f"rule {idle[0].id} is on bars of {idle[0].timeframe}, which patterns.timeframes does not name: add it "
            "there, or write told = false in the rule"
        )
    return tuple(name for name in TIMEFRAMES if name in settings.timeframes)


def elsewhere(rules: Iterable[Rule], timeframes: Collection[str]) -> list[Rule]:
    """The rules that make events on bars of none of these timeframes."""
    return [rule for rule in rules if rule.told and rule.timeframe not in timeframes]


def looking_at(engine: EngineSettings, timeframe: str, others: Sequence[str]) -> EngineSettings:
    """The same, looking at bars of one timeframe, and at longer ones as far as what is found on those depends on them:
    those that rules name, and where it is asked whether timeframes agree, all `others` that are longer.
    """
    seen = {timeframe}
    for rule in reversed(engine.rules):  # one comes after those that it names
        if rule.timeframe in seen:
            seen.update(member.timeframe for member in rule.members if member.timeframe is not None)
    asked = {*(engine.patterns or ()), *(member.pattern for rule in engine.rules for member in rule.members)}
    if AGREEMENT in asked:
        seen.update(name for name in others if TIMEFRAMES.index(name) > TIMEFRAMES.index(timeframe))
    return replace(engine, timeframes=tuple(name for name in TIMEFRAMES if name in seen))


def rules_on(settings: PatternSettings) -> tuple[Rule, ...]:
    """The chosen rules, which see all that they ask for.

    Raises SettingsError for one that asks for bars that are not looked at, and as `chosen_rules` does.
    """
    rules, on = chosen_rules(settings), timeframes(settings)
    for rule in rules:
        for member in rule.members if rule.timeframe in on else ():
            if member.timeframe is not None and member.timeframe not in on:
                raise SettingsError(
                    f"{settings.rules}: rule {rule.id}: {member.pattern} is asked for on bars of {member.timeframe}: "
                    f"add these to patterns.timeframes, which has {', '.join(on)}"
                )
    return rules


def chosen_rules(settings: PatternSettings) -> tuple[Rule, ...]:
    """The rules of the settings' file, if one is named. Where `patterns.enabled` names some, the others are not told.

    Raises SettingsError for a mistake in the file.
    """
    rules = read_rules(settings.rules) if settings.rules is not None else ()
    names = Names(patterns_with(rules))
    wanted = {known for name in settings.enabled or () for known in names.ids_of(name)}
    named = [rule.id for rule in rules if rule.id in wanted]
    return only(rules, named) if named else rules


def enabled_patterns(
    settings: PatternSettings, named: str = "patterns.enabled", *, rules: Sequence[Rule] = ()
) -> tuple[str, ...] | None:
    """The ids of `PATTERNS` that `patterns.enabled` means, in their order; None for the default.

    named: what a person has written them in, for errors. rules: whose names are known, too.
    Raises SettingsError for a name that means no pattern, or for two patterns of one published name.
    """
    if settings.enabled is None:
        return None
    wanted: set[str] = set()
    names = Names(patterns_with(rules))
    for name in settings.enabled:
        ids = names.ids_of(name)
        if not ids:
            raise SettingsError(f"{named}: no pattern is called {name}; {names.nearest(name)}")
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


def rate_table(settings: PatternSettings, rules: Sequence[Rule] = ()) -> RateTable | None:
    """The measured rates of the patterns that are on and of the rules that are told; None if no file of them is named.

    Raises SettingsError if it is no whole table, has nothing of these patterns, or is missing where it is needed.
    """
    if settings.rates is None:
        if settings.confidence == "hit_rate":
            raise SettingsError(
                "patterns.confidence is hit_rate, which needs measured rates: "
                "set TICKSTOCKPL_PATTERNS__RATES to the file that `tickstockpl calibrate -o` writes"
            )
        return None
    enabled = enabled_patterns(settings, rules=rules)
    # of those that share a name the first is on by default
    first = {pattern["name"]: pattern["id"] for pattern in reversed(PATTERNS)}.values()
    on = {*(first if enabled is None else enabled), *(rule.id for rule in rules if rule.told)}
    patterns = patterns_with(rules)
    return RateTable.read(settings.rates, patterns, definitions_of(each for each in patterns if each["id"] in on))


def definitions_of(patterns: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What each pattern is now, by id: another text once its definition is another one."""
    return {each["id"]: event_id("", 0, each["id"], parameters=each["parameters"]) for each in patterns}


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
