"""Definitions of patterns, out of the doc comments in the kernel's sources.

A pattern's definition is the comment of the type that implements it; of a chart pattern, whose type tells only what
the study has confirmed, that of the figure. What is of TA-Lib has none.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tickstockpl.kernel import PATTERNS

FAMILIES = ("candle", "pattern", "figure")
"""Folders of the kernel that hold definitions."""

_DOC = re.compile(r"((?:^ *///.*\n)+)(?:^ *#\[.*\]\n)*^ *(?:pub(?:\([\w ]+\))? +)?(?:struct|enum) +(\w+)", re.MULTILINE)
_IMPL = re.compile(r"^impl(?:<[^>]*>)? (?:(\w+) for )?(\w+)[^{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"fn id\(&self\)[^{]*\{(.*?)^    \}", re.MULTILINE | re.DOTALL)
_MADE = r'(\w+) *(?:\{{([^{{}}]*\bid: *)|\(([^(){{}}]*))"{}"'
_RULE = re.compile(r"^rule\b", re.MULTILINE)


def definitions(kernel: Path) -> dict[str, dict[str, str]]:
    """The `family` and the `text` of every pattern that is none of TA-Lib's, by id.

    kernel: the folder of the kernel's sources.
    Raises ValueError for a pattern whose rule no doc comment says, LookupError for one that nobody implements.
    """
    sources = [_Source.of(path) for family in FAMILIES for path in sorted((kernel / family).glob("*.rs"))]
    found = {}
    for pattern in PATTERNS:
        if pattern["talib_name"] is None:
            family, text = _defined(pattern["id"], sources)
            found[pattern["id"]] = {"family": family, "text": text}
    return found


class _Source:
    """A file without its tests."""

    def __init__(self, family: str, file: str, code: str) -> None:
        self.family = family
        self.file = file
        self.code = code
        self.docs = {name: _plain(comment) for comment, name in _DOC.findall(code)}

    @classmethod
    def of(cls, path: Path) -> "_Source":
        code = path.read_text(encoding="utf-8").partition("#[cfg(test)]")[0]
        return cls(path.parent.name, path.name, code)


def _defined(pattern_id: str, sources: list[_Source]) -> tuple[str, str]:
    """Its family and its definition."""
    types, arguments = _implementing(pattern_id, sources)
    if not types:
        raise LookupError(f"no source implements the pattern {pattern_id}")
    for source in sources:
        for name in types:
            if _RULE.search(text := source.docs.get(name, "")):
                return source.family, _of(pattern_id, text)
    for variant in re.findall(r"\b\w+::\w+", arguments):  # a figure, told by its kind
        for source in sources:
            if source.family == "figure" and source.file != "mod.rs" and re.search(rf"\b{variant}\b", source.code):
                for text in source.docs.values():
                    if _RULE.search(text):
                        return source.family, _of(pattern_id, text)
    raise ValueError(
        f"{pattern_id}: the doc comment of {' or '.join(sorted(types))} needs a paragraph that begins with `rule:`"
    )


def _implementing(pattern_id: str, sources: list[_Source]) -> tuple[set[str], str]:
    """Names of the types that say this id, and the arguments beside it where one is made."""
    types, arguments = set(), []
    for source in sources:
        if f'"{pattern_id}"' not in source.code:
            continue
        for trait, name, body in _IMPL.findall(source.code):
            if trait == "Pattern" and any(f'"{pattern_id}"' in said for said in _ID.findall(body)):
                types.add(name)
        for made in re.finditer(_MADE.format(pattern_id), source.code):
            maker, named, given = made.groups()
            arguments.append(named or given or "")
            types.add(_made_by(maker, sources) if named is None else _itself(maker, source.code, made.start()))
    return types, " ".join(arguments)


def _itself(name: str, code: str, at: int) -> str:
    """The type of that name; for `Self` that of the block around this place."""
    around = (block[2] for block in _IMPL.finditer(code) if block.start() < at < block.end())
    return next(around, name) if name == "Self" else name


def _made_by(function: str, sources: list[_Source]) -> str:
    """The type that a function gives."""
    for source in sources:
        if made := re.search(rf"\bfn {function}\b[^{{]*-> *(\w+)", source.code):
            return made[1]
    return function


def _plain(comment: str) -> str:
    """Paragraphs of Markdown, each on a line of its own but for tables; without its sources and links into the code."""
    lines = [line.strip().removeprefix("///").strip() for line in comment.splitlines()]
    text = re.sub(r"\[(`[^`]+`)\](?:\([^)]*\))?", r"\1", "\n".join(_joined(lines)))
    parts = (part.strip("\n") for part in text.split("\n\n"))
    return "\n\n".join(part for part in parts if part and not part.startswith("Source:"))


def _joined(lines: list[str]) -> Iterator[str]:
    """Lines of a paragraph as one; a line that begins with a label such as `stop:` begins a paragraph."""
    part = ""
    for line in [*lines, ""]:
        is_row = line.startswith("|")
        is_new = not line or is_row or re.match(r"(?:rule|confidence|stop|invalidation|margins)\b[^.]*?:", line)
        if is_new and part:
            yield from (part, "")
            part = ""
        if is_row:
            yield line
        elif line:
            part = f"{part} {line}".lstrip()
        elif not part:
            yield ""


def _of(pattern_id: str, text: str) -> str:
    """The definition with tables cut to the one row that is about this pattern, where one is."""
    return "\n\n".join(_cut(pattern_id, part) for part in text.split("\n\n"))


def _cut(pattern_id: str, part: str) -> str:
    rows = part.split("\n")
    if not part.startswith("|") or len(rows) < 3:
        return part
    words = pattern_id.split("_")
    own = [row for row in rows[2:] if f"`{pattern_id}`" in row or _tells(words, row.split("|")[1])]
    return "\n".join([*rows[:2], *own]) if own else part


def _tells(words: list[str], cell: str) -> bool:
    """Whether each of the words begins one of the cell's."""
    return all(re.search(rf"\b{word}", cell.lower()) for word in words)
