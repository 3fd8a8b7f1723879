"""Rules as plain values: patterns that are made of others and of comparisons. `rules` reads them out of a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

Direction: TypeAlias = Literal["bullish", "bearish", "neutral"]

Side: TypeAlias = tuple[tuple[float, str | None], ...]
"""A sum: a factor and the name of a value each, or None for the factor alone."""


@dataclass(frozen=True, slots=True)
class Member:
    """A pattern that has to hold, or has just held."""

    pattern: str
    """Its id, or that of a rule before the one that names it."""
    within: int = 1
    """On one of so many bars of the session, this one included."""
    direction: Direction | None = None
    """Which way; None: not against the rule's."""
    timeframe: str | None = None
    """On whose bars, as they had closed by the end of the rule's; None: on the rule's own."""

    def __str__(self) -> str:
        told = [self.pattern]
        if self.direction is not None:
            told.insert(0, self.direction)
        bars = "bars" if self.timeframe is None else f"bars of {self.timeframe}"
        if self.within > 1:
            told.append(f"within {self.within} {bars}")
        elif self.timeframe is not None:
            told.append(f"on the last bar of {self.timeframe}")
        return " ".join(told)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sums beside each other; false while one of their values is not there yet."""

    left: Side
    relation: str
    """<, <=, > or >=."""
    right: Side
    text: str
    """As it was written."""

    def __str__(self) -> str:
        return self.text


Operand: TypeAlias = Member | Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A pattern that holds on a bar on which all of `all` and one of `any` do."""

    id: str
    name: str
    """Under which its events are published."""
    direction: Direction | None
    """None: that in which its patterns agree."""
    directions: tuple[Direction, ...]
    """Which ways it can point."""
    tier: str
    timeframe: str
    """Of the bars at whose close it is looked for."""
    cooldown: int
    """Bars after it has held in which it is not looked for, within a session."""
    all: tuple[Operand, ...]
    any: tuple[Operand, ...]
    told: bool
    """False: it makes no events, and is there for other rules that name it."""
    bars: int
    """That its window must hold."""
    source: str
    parameters: str
    """Part of its events' ids: another one when what it says, or a rule that it names says, is changed."""

    @property
    def members(self) -> tuple[Member, ...]:
        """The patterns that it names."""
        return tuple(each for each in (*self.all, *self.any) if isinstance(each, Member))

    @property
    def definition(self) -> str:
        """What it says, in words."""
        parts = [", ".join(map(str, self.all)), " or ".join(map(str, self.any))]
        text = f"rule: {', and '.join(part for part in parts if part)}."
        return text + (f" Then {self.cooldown} bars are silent." if self.cooldown else "")

    def entry(self) -> dict[str, Any]:
        """What is said of it beside the entries of `PATTERNS`."""
        told = {name: getattr(self, name) for name in ("id", "name", "bars", "tier", "directions", "source")}
        return told | {"talib_name": None, "points": (), "conditions": (), "parameters": self.parameters}


def only(rules: Sequence[Rule], ids: Sequence[str]) -> tuple[Rule, ...]:
    """The same, of which these alone make events."""
    return tuple(replace(rule, told=rule.told and rule.id in ids) for rule in rules)
