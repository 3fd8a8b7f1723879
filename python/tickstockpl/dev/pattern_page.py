"""The page about all patterns, in Markdown, as `scripts/patterns_page.py` writes it."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from tickstockpl.aliases import ALIASES
from tickstockpl.catalogue import NOTATION, TALIB, Entry

PICTURES: Final = "pictures/patterns"
"""The folder of the pictures, as seen from the page."""

_MADE = "<!-- Written by `scripts/patterns_page.py`: changes are lost when it is written again. -->"

_WIDTH = 125

_INTRODUCTION = """\
What the engine looks for when a bar closes: {count} patterns, {on} of them by default. `tickstockpl patterns` lists
them, and `tickstockpl patterns double_top` says all of one. `patterns.enabled` chooses, by id, by a glob such as
`cdl_*`, or by any [other name](#other-names). Patterns that share a published name are not on together: the first
of them is, unless `patterns.enabled` names another (`patterns.same_names` allows both)."""

_PICTURED = """\
Each picture is one detection by the engine, the clearest that it makes in bars that nobody has traded. The bars of
the pattern are shaded, and a mark stands under the one on which it ends; points are joined and bear their names;
entry, stop and target are dashed."""

_FAMILIES: Final = {
    "candle": (
        "Candlesticks of TickStock and our own",
        """\
The eight candlestick rules without an ending and their confidences are AppV2's own; R ≥ 0.001 is asked of bar 0
alone. The `…_spec` rules are those of an earlier specification of AppV2's
(`docs/planning/patterns_library_patterns.md@4ac55ce`).""",
    ),
    "pattern": (
        "Breakouts, gaps, crossings, volume and trend",
        "What looks further back than a few bars, and never ahead.",
    ),
    "figure": (
        "Chart patterns",
        """\
Figures on the swings of the price. They form when a pivot is confirmed, and a close beyond one of their lines
confirms them: that is the event. What has nothing to wait for, a divergence or a harmonic shape, is confirmed as it
forms. Rules are told for one side; the other is the mirror image.""",
    ),
    TALIB: (
        "Candlesticks of TA-Lib",
        """\
TA-Lib's 61 functions with its default settings, equal to TA-Lib in every cell over a session's bars and the 15
before it. Confidence: 0.5 + 0.5 · q, where q says how clearly the function's own comparisons hold: each gives
margin / tolerance within 0..1, where the margin is the distance of the two sides and the tolerance the mean range
of the ten bars before (or the larger side, if that is smaller, as with bodies and shadows); q is the geometric
mean, of alternatives the clearer one counts. A bare match is 0.5.""",
    ),
}

_OTHERS: Final = "Others"
"""Patterns of which no definition has been collected."""

_ALIASES = """\
What TickStock calls patterns beside their ids and published names. Each of all these names may be written in any
case, with or without underscores and the ending `Pattern`: `Volume_Spike` and `VolumeSpikePattern` are
`volume_spike`, `CDLDOJI` is `cdl_doji`. A name that says a direction means a pattern that has both."""

_ORDER = "A position in this table is an identity for stored rows: what is new comes at the end."


def page(entries: Sequence[Entry]) -> str:
    """The page about these patterns, which are all."""
    return "\n\n".join(_blocks(entries)) + "\n"


def _blocks(entries: Sequence[Entry]) -> Iterator[str]:
    yield from ("# Patterns", _MADE)
    on = sum(entry.default for entry in entries)
    yield from map(_filled, (_INTRODUCTION.format(count=len(entries), on=on), _PICTURED, NOTATION))
    families = _grouped(entries)
    yield "\n".join(
        f"* [{title}](#{_anchor(title)}): {', '.join(map(_linked, members))}"
        for title, (_, members) in families.items()
    )
    yield "[Other names](#other-names) · [All, in order](#all-in-order)"
    of_name = {entry.name: entry.id for entry in entries if entry.default}
    defined: dict[str | None, str] = {}
    for title, (about, members) in families.items():
        yield from filter(None, (f"## {title}", _filled(about)))
        for entry in members:
            yield from _pattern(entry, of_name[entry.name], defined.setdefault(entry.definition, entry.id))
    yield from ("## Other names", _filled(_ALIASES), "\n".join(_other_names()))
    yield from ("## All, in order", _filled(_ORDER), "\n".join(_rows(entries)))


def _grouped(entries: Sequence[Entry]) -> dict[str, tuple[str, list[Entry]]]:
    """By title: what is said of the family, and its patterns."""
    grouped: dict[str, tuple[str, list[Entry]]] = {title: (about, []) for title, about in _FAMILIES.values()}
    for entry in entries:
        title, _ = _FAMILIES.get(entry.family or "", (_OTHERS, ""))
        grouped.setdefault(title, ("", []))[1].append(entry)
    return {title: family for title, family in grouped.items() if family[1]}


def _pattern(entry: Entry, of_name: str, defined: str) -> Iterator[str]:
    """Heading, facts, picture, definition.

    of_name: the pattern that is on by default of those of this name. defined: the first one that is so defined.
    """
    yield f"### `{entry.id}`"
    facts = [f"**{entry.name}**", entry.tier, f"{entry.bars} bar{'s' * (entry.bars > 1)}", ", ".join(entry.directions)]
    if entry.aliases:
        facts.append("also called " + ", ".join(f"`{name}`" for name in entry.aliases))
    if not entry.default:
        facts.append(f"off by default: [`{of_name}`](#{of_name}) has the name")
    yield " · ".join(facts)
    yield f"![{entry.name} among the bars around it]({PICTURES}/{entry.id}.svg)"
    paragraphs = (entry.definition or "").split("\n\n")
    if entry.family == TALIB:
        yield _labelled(paragraphs[0])  # the others are those of all of TA-Lib's
        return
    if entry.definition and defined != entry.id:
        yield f"Defined with [`{defined}`](#{defined})."
    else:
        yield from filter(None, map(_labelled, paragraphs))
    told = [f"Points: {', '.join(entry.points)}."] if entry.points else []
    told += [f"Conditions: {', '.join(entry.conditions)}."] if entry.conditions else []
    yield " ".join([*told, f"Source: {entry.source.removesuffix('.')}."])


def _labelled(paragraph: str) -> str:
    """With its label, if it has one, in bold."""
    return re.sub(r"^(rule|confidence|stop|invalidation|margins)\b(?=[^.]*?:)", r"**\1**", paragraph)


def _other_names() -> Iterator[str]:
    yield from ("| name | means |", "|---|---|")
    for name, ids in ALIASES.items():
        yield f"| `{name}` | {', '.join(f'[`{known}`](#{known})' for known in ids)} |"


def _rows(entries: Sequence[Entry]) -> Iterator[str]:
    yield from ("| id | name | bars | tier | direction |", "|---|---|---|---|---|")
    for entry in entries:
        directions = ", ".join(entry.directions)
        yield f"| [`{entry.id}`](#{entry.id}) | {entry.name} | {entry.bars} | {entry.tier} | {directions} |"


def _linked(entry: Entry) -> str:
    return f"[{entry.name if entry.default else entry.id}](#{entry.id})"


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH)


def _anchor(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")
