"""All patterns a bar: live, minute by minute, and over history beside what TA-Lib and pandas can do of them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp
from benches import boundary, candles, pattern_peer, peers, ticks
from benches.boundary import History
from benches.runner import Contest, Finding, Goal, Line, Table, race
from tickstockpl import collector
from tickstockpl.settings import PatternSettings

WARM = 200
"""Bars of each symbol before the session, so that windows are full."""
SESSION = 390
DAY_US = 86_400_000_000
MOST_US = Goal(3, 3, "µs", most=True)
"""Issue 5: T0, T1 and T2 together, per bar, symbol and timeframe."""
TIMEFRAMES = tuple(PatternSettings().timeframes)


def tiers() -> dict[str, tuple[str, ...]]:
    """The ids that are on by default, by tier: candles, what bars break and cross, figures of swings, rarer ones, and
    what is made of several timeframes.
    """
    first = {pattern["name"]: pattern["id"] for pattern in reversed(tp.PATTERNS)}.values()
    ids = [pattern["id"] for pattern in tp.PATTERNS]
    drawn = slice(ids.index("double_top"), ids.index("change_of_character") + 1)
    last = slice(ids.index("cup_and_handle"), ids.index("crab") + 1)
    of = dict.fromkeys(ids, "T1")
    of |= {pattern["id"]: "combo" for pattern in tp.PATTERNS if pattern["tier"] == "combo"}
    of |= {name: "T0" for name in ids if name.startswith("cdl_")}
    of |= dict.fromkeys(ids[: ids.index("volume_spike")], "T0")
    of |= dict.fromkeys(ids[drawn], "T2") | dict.fromkeys(ids[last], "T3")
    on = [name for name in ids if name in first]
    return {tier: tuple(name for name in on if of[name] == tier) for tier in ("T0", "T1", "T2", "T3", "combo")}


TIERS = tiers()
ASKED = (*TIERS["T0"], *TIERS["T1"], *TIERS["T2"])
ALL = (*ASKED, *TIERS["T3"], *TIERS["combo"])


@dataclass(frozen=True, slots=True)
class Kind:
    """What an engine is told, and how its session goes."""

    name: str
    patterns: tuple[str, ...]
    timeframes: tuple[str, ...] = ("1min",)
    silent: bool = False
    """Fed as history: looked at all the same, and nothing is said."""


BARE = Kind("bars alone, no pattern", ())
LIVE = Kind("T0, T1 and T2: 119 patterns", ASKED)
KINDS = (
    BARE,
    Kind("T0: candlesticks", TIERS["T0"]),
    Kind("T0 and T1", (*TIERS["T0"], *TIERS["T1"])),
    LIVE,
    Kind("T0 to T3: all that are on by default", ALL),
)
SILENT = tuple(replace(kind, silent=True) for kind in (BARE, LIVE, KINDS[-1]))
LONGER = tuple(replace(kind, timeframes=TIMEFRAMES) for kind in (BARE, LIVE))


class Session:
    """A session of a simulated market, a minute of all symbols at a time, behind full windows."""

    def __init__(self, symbols: int, minutes: int) -> None:
        last_us = ticks.START_US + (minutes - 1) * ticks.MINUTE_US
        bars = boundary.history(symbols, WARM + minutes, last_us)
        self.symbols = symbols
        self.before = bars.where(bars.ts_us < ticks.START_US)
        starts = ticks.START_US + np.arange(minutes) * ticks.MINUTE_US
        self.minutes = [bars.where(bars.ts_us == start) for start in starts.tolist()]
        self.bars = sum(len(minute) for minute in self.minutes)

    def engine(self, kind: Kind) -> tp.Engine:
        engine = tp.Engine(tp.EngineSettings(patterns=kind.patterns, timeframes=kind.timeframes))
        assert engine.warm(self.before) == len(self.before)
        return engine

    def play(self, kind: Kind) -> tuple[float, int, int]:
        """Seconds of the processor for all minutes, how many events there were, and how many longer bars.

        Python looks for garbage as seldom as in the service.
        """
        engine = self.engine(kind)
        play: Callable[[Any], Any] = engine.warm if kind.silent else engine.replay
        events = longer = 0
        with collector.seldom():
            started = time.process_time()
            for minute in self.minutes:
                said = play(minute)
                if not kind.silent:
                    events += len(said.detections)
                    longer += len(said.longer)
            return time.process_time() - started, events, longer

    def check(self) -> str:
        """Minute by minute the same is found as in one call."""
        by_minute, at_once = self.engine(LIVE), self.engine(LIVE)
        ids = [by_minute.replay(minute).detections.event_id for minute in self.minutes]
        found = at_once.replay(joined(self.minutes)).detections.event_id
        np.testing.assert_array_equal(np.concatenate(ids), found)
        return f"the {len(found):,} events of the session are, id by id, those of one call with all its bars"


def joined(parts: Iterable[History]) -> History:
    """The bars of all, one after the other."""
    parts = list(parts)
    names = [name for name in History.__slots__ if name != "symbols"]
    return History(
        symbols=parts[0].symbols, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def stream(symbols: int = 1000, minutes: int = SESSION, rounds: int = 7) -> Table:
    """What a bar takes live: with the patterns, without any, and fed as history, where no event is made."""
    session = Session(symbols, minutes)
    agreement = session.check()
    kinds = (*KINDS, *SILENT, *LONGER)
    seconds: dict[Kind, list[float]] = {kind: [] for kind in kinds}
    said: dict[Kind, tuple[int, int]] = {}
    for number in range(rounds):
        for turn in range(len(kinds)):
            kind = kinds[(number + turn) % len(kinds)]
            taken, *counts = session.play(kind)
            seconds[kind].append(taken)
            said[kind] = (counts[0], counts[1])
    us = {kind: 1e6 * min(taken) / session.bars for kind, taken in seconds.items()}
    median_us = {kind: 1e6 * median(taken) / session.bars for kind, taken in seconds.items()}
    silent_bare, silent, silent_all = SILENT
    longer_bare, longer = LONGER
    more = said[longer][1]
    findings = [
        Finding("T0, T1 and T2, live, events and all, the bar too", us[LIVE], "µs", MOST_US),
        Finding("the bar alone, no pattern", us[BARE], "µs"),
        Finding("so for T0, T1 and T2 with their events", us[LIVE] - us[BARE], "µs", MOST_US),
        Finding("the same of the median rounds", median_us[LIVE] - median_us[BARE], "µs", MOST_US),
        Finding("of it to look for them (fed as history, no event made)", us[silent] - us[silent_bare], "µs", MOST_US),
        Finding("and to make the events, ids and columns", us[LIVE] - us[BARE] - us[silent] + us[silent_bare], "µs"),
        Finding("events a bar", said[LIVE][0] / session.bars, ""),
        Finding("T3 beside them, with its events", us[KINDS[-1]] - us[LIVE], "µs"),
        Finding("T3 to look for (fed as history)", us[silent_all] - us[silent], "µs"),
        Finding("events of T3 a bar", (said[KINDS[-1]][0] - said[LIVE][0]) / session.bars, ""),
        Finding(
            f"on {', '.join(TIMEFRAMES)}: T0, T1 and T2 with events, a bar of any of them",
            1e6 * (min(seconds[longer]) - min(seconds[longer_bare])) / (session.bars + more),
            "µs",
            MOST_US,
        ),
        Finding("longer bars a minute's bar, there", more / session.bars, ""),
        Finding("events a bar of any timeframe, there", said[longer][0] / (session.bars + more), ""),
    ]
    lines = [Line(kind.name, [session.bars / taken for taken in seconds[kind]]) for kind in KINDS]
    return Table(
        name="patterns",
        title=f"Patterns live: a session of {symbols:,} symbols, minute by minute",
        unit="bars",
        agreement=agreement,
        regresses="a pattern that looks at more than the newest bars, a study that is summed anew, an object an event",
        lines=lines,
        findings=findings,
        notes=[
            f"{session.bars:,} bars of a simulated market, {WARM} before them; Engine.replay once a minute, one core",
            "Time is the processor's, as neighbours on its cores would be in the clock's; of the fastest round each",
            "Fed as history, a bar goes the same way and what holds is found in full, but no row is made of it",
        ],
    )


def synthetic(symbols: int, sessions: int, seed: int = 1) -> History:
    """Bars on a cent grid that wander, 390 a day, symbol by symbol; nothing of a real market is in them."""
    rows = sessions * SESSION
    days = ticks.START_US + np.repeat(np.arange(sessions) * DAY_US, SESSION)
    ts_us = np.tile(days + np.tile(np.arange(SESSION) * ticks.MINUTE_US, sessions), symbols)
    parts = [candles.walk(rows, seed + number) for number in range(symbols)]
    opened, high, low, close = (np.concatenate(column) for column in zip(*parts, strict=True))
    volume = np.random.default_rng(seed).lognormal(7.0, 0.6, len(ts_us)).astype(np.int64) + 1
    none = np.zeros(len(ts_us), np.int64)
    return History(
        symbols=tuple(f"ZZ{number:04}" for number in range(symbols)),
        symbol=np.repeat(np.arange(symbols, dtype=np.int32), rows),
        ts_us=ts_us,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=np.full(len(ts_us), np.nan),
        trades=none,
        revision=none.astype(np.int32),
        quality=none.astype(np.uint8),
        open_us=none - 1,
        close_us=none - 1,
    )


def of_symbol(bars: History, symbol: int) -> dict[str, NDArray[Any]]:
    rows = bars.symbol == symbol
    names = ("ts_us", "open", "high", "low", "close", "volume")
    return {name: getattr(bars, name)[rows] for name in names}


def agreement(differ: int, held: int, bars: int) -> str:
    """In words.

    Raises AssertionError if more than one in a thousand differs: our state begins anew with 200 bars at each session's
    open, the peer's runs on, so that the last bits of averages differ, and with them what stands right on a threshold.
    """
    assert differ <= held / 1000, f"{differ:,} of {held:,} differ"
    return f"what holds on {bars:,} bars of the {len(known())} patterns that both know: {differ:,} of {held:,} differ"


def known() -> tuple[str, ...]:
    """The patterns that the peer knows."""
    return tuple(pattern_peer.found(of_symbol(synthetic(1, 1), 0)))


def scans(symbols: int = 4, sessions: int = 50) -> list[Contest]:
    """History of few symbols, each long enough that a call a column costs the peer little."""
    if peers.talib is None:
        return []
    bars = synthetic(symbols, sessions)
    columns = [of_symbol(bars, symbol) for symbol in range(symbols)]
    shared = known()

    def theirs() -> list[dict[str, pattern_peer.Signs]]:
        return [pattern_peer.found(each) for each in columns]

    def check() -> str:
        found = tp.scan(bars, shared)
        each = zip(bars.symbols, columns, theirs(), strict=True)
        pairs = [pattern_peer.apart(found, its, symbol, given["ts_us"]) for symbol, given, its in each]
        differ, held = (sum(column) for column in zip(*pairs, strict=True))
        return agreement(differ, held, len(bars))

    def contest(name: str, ids: tuple[str, ...]) -> Contest:
        return Contest(
            name="patterns",
            title=f"Patterns in history: {name}, {symbols} symbols of {sessions} sessions",
            unit="bars",
            work=len(bars),
            ours=(f"tickstockpl.scan: {len(ids)} patterns, one core", lambda: tp.scan(bars, ids)),
            peers=[(f"TA-Lib + pandas: {len(shared)} patterns, one core", theirs, None)],
            check=check,
            regresses="an event that is built attribute by attribute, a sort of what is in order, a pass over columns",
            notes=[
                "The peer gives a sign a bar and pattern; ours events with levels, points, margins, ids and confidence",
                "It does the 61 candlesticks and what whole columns can say of T1, nothing of T2",
            ],
        )

    return [contest("T0, T1 and T2", ASKED), contest("what the peer can", shared)]


def run(quick: bool) -> list[Table]:
    live = stream(100, 60, 2) if quick else stream()
    contests = scans(2, 10) if quick else scans()
    return [live, *(race(contest, rounds=3 if quick else 7) for contest in contests)]
