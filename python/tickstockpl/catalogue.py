"""What there is to say of every pattern, and the ways to say it: a table, one in full, JSON, CSV.

Facts are the kernel's (`PATTERNS`). Definitions are the doc comments of its sources, which `scripts/patterns_page.py`
has collected in `definitions.json`, so that they are there where the sources are not.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, Final

import orjson
from rich import box
from rich.table import Table
from rich.text import Text

from tickstockpl.aliases import Names, aliases_of
from tickstockpl.errors import SettingsError
from tickstockpl.kernel import PATTERNS
from tickstockpl.rule import Rule

DEFINITIONS: Final = "definitions.json"
"""The file with the definitions, beside this one: by id, `family` and `text`."""

TALIB: Final = "talib"
"""The family of TA-Lib's functions, which have no definition of ours."""

NOTATION: Final = (
    "B = |c − o|, R = h − l, U = h − max(o, c), L = min(o, c) − l; bar 0 is the newest, ₋₁ the one before. a is "
    "the average true range of 14 bars (the mean of the ranges so far, then Wilder's; the first bar of a session "
    "has h − l), the unit of tolerances. A pivot is an extreme from which the price has come back by 3a; h₁, l₁, "
    "h₂ … are the newest pivots, highs and lows by turns, i(p) is the number of a pivot's bar, H the height of a "
    "figure. q is how clearly the conditions hold, 0 to 1: where margins are told, their geometric mean. Where "
    "only q is told, the confidence is 0.5 + 0.5 · q."
)
"""What letters mean in definitions."""

RULE: Final = "rule"
"""The family of rules."""

_TALIB_TEXT = """\
rule: that of TA-Lib 0.8.1's {talib_name} with its default settings, the same answer in every cell. {way}

confidence: 0.5 + 0.5 · q, where q is how clearly the function's own comparisons hold: a bare match is 0.5."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One pattern."""

    id: str
    name: str
    """Under which its events are published."""
    tier: str
    bars: int
    """That the window must hold before it can be seen."""
    directions: tuple[str, ...]
    source: str
    aliases: tuple[str, ...]
    talib_name: str | None
    points: tuple[str, ...]
    """What draws it, oldest first."""
    conditions: tuple[str, ...]
    """Whose margins its events tell."""
    default: bool
    """Whether it is on unless settings say otherwise: of those that share a name the first is."""
    family: str | None
    """`candle`, `talib`, `pattern`, `figure` or `rule`; None if there is no definition."""
    definition: str | None
    """Paragraphs, of which those on the rule and the confidence begin with these words."""

    @property
    def way(self) -> str:
        """Its directions in a word."""
        words = {("bullish", "bearish"): "both", ("bullish", "neutral", "bearish"): "any"}
        return words.get(self.directions, " ".join(self.directions))

    def has(self, words: str) -> bool:
        """Whether each of the words stands somewhere in what is said of it, in any case."""
        told = (self.id, self.name, *self.aliases, self.source, self.talib_name, self.definition)
        text = " ".join(filter(None, told)).casefold()
        return all(word in text for word in words.casefold().split())


@cache
def entries() -> tuple[Entry, ...]:
    """Every pattern, in the order of `PATTERNS`."""
    known = orjson.loads(resources.files("tickstockpl").joinpath(DEFINITIONS).read_bytes())
    return entries_with(known)


def entries_with(definitions: dict[str, dict[str, str]]) -> tuple[Entry, ...]:
    """Every pattern with the definition that is given of it, if one is."""
    first: dict[str, str] = {}
    made = []
    for pattern in PATTERNS:
        defined = definitions.get(pattern["id"], {})
        if pattern["talib_name"] is not None:
            way = "Neutral." if tuple(pattern["directions"]) == ("neutral",) else "Direction: the answer's sign."
            defined = {"family": TALIB, "text": _TALIB_TEXT.format(talib_name=pattern["talib_name"], way=way)}
        is_default = first.setdefault(pattern["name"], pattern["id"]) == pattern["id"]
        made.append(_entry(pattern, defined.get("family"), defined.get("text"), is_default))
    return tuple(made)


def with_rules(rules: Sequence[Rule]) -> tuple[Entry, ...]:
    """Every pattern, and behind them the rules."""
    return (*entries(), *(_entry(rule.entry(), RULE, rule.definition, rule.told) for rule in rules))


def _entry(pattern: Mapping[str, Any], family: str | None, definition: str | None, is_default: bool) -> Entry:
    return Entry(
        id=pattern["id"],
        name=pattern["name"],
        tier=pattern["tier"],
        bars=pattern["bars"],
        directions=tuple(pattern["directions"]),
        source=pattern["source"],
        aliases=aliases_of(pattern["id"]),
        talib_name=pattern["talib_name"],
        points=tuple(pattern["points"]),
        conditions=tuple(pattern["conditions"]),
        default=is_default,
        family=family,
        definition=definition,
    )


def named(names: Sequence[str], known: Sequence[Entry]) -> list[Entry]:
    """Those of the known ones that are named, each once, in the order of the names.

    Raises SettingsError for a name that means no pattern.
    """
    by_id = {entry.id: entry for entry in known}
    meanings = Names([{"id": entry.id, "name": entry.name} for entry in known])
    chosen: dict[str, Entry] = {}
    for name in names:
        ids = meanings.ids_of(name)
        if not ids:
            raise SettingsError(f"no pattern is called {name}; {meanings.nearest(name)}")
        chosen |= {each: by_id[each] for each in ids}
    return list(chosen.values())


def table(chosen: Sequence[Entry], width: int, count: int) -> Iterator[Table | Text]:
    """A row a pattern, and how many there are.

    count: of all. width: of the terminal; a narrow one does not see other names and sources.
    """
    more = [name for name, least in _WIDE.items() if width >= least]
    if chosen:
        rows = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
        for name in ("id", "name", "tier", "bars", "direction"):
            rows.add_column(name, justify="right" if name == "bars" else "left", no_wrap=True)
        for name in more:
            rows.add_column(name, max_width=34 if name == "aliases" else None)
        for entry in chosen:
            source = Text(entry.source)
            source.truncate(width - _WIDE["source"] + 30, overflow="ellipsis")
            other = {"aliases": Text(", ".join(entry.aliases)), "source": source}
            row = (entry.id, entry.name, entry.tier, str(entry.bars), entry.way)
            rows.add_row(*map(Text, row), *(other[name] for name in more))
        yield rows
    yield Text(f"{count} patterns" if len(chosen) == count else f"{len(chosen)} of {count} patterns")


_WIDE: Final = {"aliases": 100, "source": 145}
"""Columns of a terminal from which these have room."""


def in_full(chosen: Sequence[Entry]) -> Iterator[Table | Text]:
    """All that there is to say of each, and what the letters of definitions mean."""
    for entry in chosen:
        yield Text.assemble((entry.id, "bold"), f": {entry.name}{'' if entry.default else ', off by default'}")
        yield _facts(entry)
        for paragraph in (entry.definition or "").split("\n\n"):
            yield Text(f"\n{paragraph}" if paragraph else "")
        yield Text()
    if any(entry.definition for entry in chosen):
        yield Text(NOTATION, style="dim")


def _facts(entry: Entry) -> Table:
    told = {
        "tier": entry.tier,
        "bars": str(entry.bars),
        "direction": ", ".join(entry.directions),
        "aliases": ", ".join(entry.aliases),
        "TA-Lib": entry.talib_name,
        "points": ", ".join(entry.points),
        "conditions": ", ".join(entry.conditions),
        "source": entry.source,
    }
    facts = Table.grid(padding=(0, 2, 0, 0))
    for name, value in told.items():
        if value:
            facts.add_row(Text(name), Text(value))
    return facts


def as_json(chosen: Sequence[Entry]) -> bytes:
    """Everything, as a JSON array."""
    return orjson.dumps([asdict(entry) for entry in chosen], option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


COLUMNS: Final = tuple(each.name for each in fields(Entry) if each.name != "definition")
"""Of the CSV."""


def as_csv(chosen: Sequence[Entry]) -> str:
    """All but the definitions, with a line of names; several values of one column stand beside each other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in chosen:
        writer.writerow([_cell(getattr(entry, name)) for name in COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else value
