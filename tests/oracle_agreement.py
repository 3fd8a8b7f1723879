"""The slow, obvious search for timeframes that agree: over what each of them says alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

BARS = 3
"""Of a longer timeframe, on which a chart pattern counts."""
WHOLE = ("daily", "weekly")
"""Timeframes whose bars are seen from every session."""


class Bar(NamedTuple):
    """A closed bar of a timeframe, with the chart patterns that end on it, in the order of the list of all."""

    start_us: int
    end_us: int
    session_us: int
    """The open of the session that it lies in."""
    held: tuple["Held", ...]


class Held(NamedTuple):
    pattern: str
    direction: int
    confidence: float
    stop: float | None
    target: float | None


class Member(NamedTuple):
    timeframe: str
    start_us: int
    end_us: int
    held: Held


class Agreement(NamedTuple):
    timeframe: str
    start_us: int
    direction: int
    confidence: float
    stop: float | None
    target: float | None
    members: tuple[Member, ...]


def agreements(bars: Mapping[str, Sequence[Bar]]) -> Iterator[Agreement]:
    """Every agreement of one symbol. bars: in order of time, of each timeframe looked at, the shortest first."""
    names = list(bars)
    for place, timeframe in enumerate(names):
        for bar in (each for each in bars[timeframe] if each.held):
            seen = {longer: newest(bar, longer, bars[longer]) for longer in names[place + 1 :]}
            ways = {held.direction for some in seen.values() for each in some for held in each.held}
            here = [held for held in bar.held if {held.direction} == ways]
            if not here:
                continue
            trigger = clearest(here)
            members = [Member(timeframe, bar.start_us, bar.end_us, trigger)]
            for longer, some in seen.items():
                marked = [each for each in some if each.held]
                if marked:
                    last = marked[-1]
                    members.append(Member(longer, last.start_us, last.end_us, clearest(last.held)))
            least = min(member.held.confidence for member in members)
            levels = (trigger.stop, trigger.target)
            yield Agreement(timeframe, bar.start_us, trigger.direction, least, *levels, tuple(members))


def newest(bar: Bar, timeframe: str, closed: Sequence[Bar]) -> list[Bar]:
    """The last bars of a longer timeframe that were over when `bar` was."""
    over = [each for each in closed if each.end_us <= bar.end_us]
    return [each for each in over if timeframe in WHOLE or each.session_us == bar.session_us][-BARS:]


def clearest(held: Sequence[Held]) -> Held:
    """Of equals the first."""
    return max(held, key=lambda one: one.confidence)
