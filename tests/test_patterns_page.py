"""docs/patterns.md and its pictures are what `scripts/patterns_page.py` makes of this kernel; else run it."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import orjson
import pytest

import tickstockpl as tp
from tickstockpl import catalogue
from tickstockpl.dev import doc_comments
from tickstockpl.dev.doc_comments import definitions
from tickstockpl.dev.example_bars import markets, settings
from tickstockpl.dev.examples import Example, clarity, examples
from tickstockpl.dev.pattern_page import PICTURES, page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / PICTURES
PAGE = (ROOT / "docs/patterns.md").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"
IDS = [pattern["id"] for pattern in tp.PATTERNS]
OWN = [pattern["id"] for pattern in tp.PATTERNS if pattern["talib_name"] is None]
RENEW = "python scripts/patterns_page.py makes it anew"


@pytest.fixture(scope="module")
def found() -> dict[str, Example]:
    return examples()


def test_the_definitions_are_those_of_the_sources() -> None:
    kept = orjson.loads((ROOT / "python/tickstockpl" / catalogue.DEFINITIONS).read_bytes())
    assert kept == definitions(ROOT / "rust/kernel/src"), RENEW
    assert [*kept] == OWN


def test_the_page_is_what_the_generator_makes() -> None:
    assert page(catalogue.entries()) == PAGE, RENEW


def test_every_pattern_has_a_heading_its_facts_and_its_definition() -> None:
    sections = dict(zip(*[iter(re.split(r"^### `(\w+)`$", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert {*sections} == {*IDS}
    for entry in catalogue.entries():
        section = sections[entry.id]
        for said in (entry.name, entry.tier, f" {entry.bars} bar", ", ".join(entry.directions), *entry.aliases):
            assert said in section, (entry.id, said)
        assert f"]({PICTURES}/{entry.id}.svg)" in section
        assert "**rule" in section or "Defined with" in section, entry.id
        if entry.talib_name is None:
            assert entry.source.removesuffix(".") in section
            assert all(name in section for name in (*entry.points, *entry.conditions))


def test_every_definition_says_a_rule_and_most_a_confidence() -> None:
    texts = {entry.id: entry.definition or "" for entry in catalogue.entries()}
    assert [known for known, text in texts.items() if not re.search(r"^rule\b.*:", text, re.MULTILINE)] == []
    without = [known for known, text in texts.items() if "confidence:" not in text and "margins:" not in text]
    assert without == []


def test_a_pattern_has_its_own_row_of_a_table_alone() -> None:
    texts = {entry.id: entry.definition or "" for entry in catalogue.entries()}
    assert "| `vwap_cross` |" in texts["vwap_cross"]
    assert "macd_cross" not in texts["vwap_cross"]
    assert "| descending triangle | < −0.15 | −0.15 to 0.15 |" in texts["desc_triangle"]
    assert "| channel up, down |" in texts["channel_down"]
    assert "wedge" not in texts["channel_down"]


def test_there_is_a_picture_of_each_pattern_and_no_other() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {f"{known}.svg" for known in IDS}, RENEW


@pytest.mark.parametrize("pattern", tp.PATTERNS, ids=IDS)
def test_a_picture_is_small_and_of_its_pattern(pattern: dict[str, Any]) -> None:
    svg = (FOLDER / f"{pattern['id']}.svg").read_bytes()
    assert len(svg) <= 16 * 1024
    root = ET.fromstring(svg)
    name, direction, known, _, _, *_ = root.findtext(f"{SVG}title", "").split(" · ")
    assert (name, known) == (pattern["name"], pattern["id"])
    assert direction in pattern["directions"]
    classes = [each.get("class", "").split() for each in root.iter()]
    assert sum("candle" in each for each in classes) >= 5
    assert sum("entry" in each for each in classes) == 2
    roles = [each.text for each in root.iter(f"{SVG}text") if each.get("class") == "role"]
    assert roles == [role.replace("_", " ") for role in pattern["points"]] or len(roles) < len(pattern["points"])


def test_every_picture_is_what_the_engine_finds(found: dict[str, Example]) -> None:
    assert {*found} == {*IDS}
    stale = [
        known
        for known, example in found.items()
        if example.drawing.svg != (FOLDER / f"{known}.svg").read_text(encoding="utf-8")
    ]
    assert stale == [], RENEW


def test_what_is_found_of_one_pattern_does_not_depend_on_the_others(found: dict[str, Example]) -> None:
    some = ["cdl_mathold", "double_top", "vwap_cross"]
    alone = examples(some)
    assert sorted(alone) == some
    for known in some:
        assert alone[known].drawing.svg == found[known].drawing.svg
        assert clarity(alone[known]) == clarity(found[known])


def test_markets_are_the_same_each_time_and_of_whole_cents() -> None:
    for bars, again in zip(markets(), markets(), strict=True):
        for name in ("open", "high", "low", "close"):
            assert (bars[name] == again[name]).all()
            assert ((bars[name] * 100).round() / 100 == bars[name]).all()
            assert bars[name].min() >= 20
        assert (bars["high"] >= bars["close"]).all()
        assert (bars["low"] <= bars["open"]).all()
        sessions = settings().sessions
        assert sessions is not None
        assert {*bars["ts_us"][::390].tolist()} == {*sessions[:, 0].tolist()}


SOURCES = {
    "candle/bar.rs": """
/// Wide.
///
/// rule: R > 1
/// and more.
///
/// confidence: q = R.
///
/// Source: nobody.
#[derive(Clone)]
pub(crate) struct Wide;

impl Pattern for Wide {
    fn id(&self) -> &'static str {
        "wide"
    }
}

#[cfg(test)]
mod tests {
    const NOT: Other = Other { id: "wide" };
}
""",
    "pattern/list.rs": """
const LATER: [&dyn Pattern; 4] = [
    &Wide, &Line { name: "A", id: "line_a" }, &crossing("cross_b", 3),
    &chart(Kind::Cup, "cup", "Cup", &DRAWN), &Pair::LEFT,
];
const fn crossing(id: &'static str, bars: usize) -> Crossing { Crossing { id } }
const fn chart(kind: Kind, id: &'static str) -> Chart { Chart { kind, id } }
""",
    "pattern/lines.rs": """
/// A line.
///
/// rule, of [`Line`](super::Line): c > line.
pub(super) struct Line { id: &'static str }
/// rule: they cross.
///
/// | id | d |
/// |---|---|
/// | `cross_a` | one |
/// | `cross_b` | two |
///
/// stop: here.
/// invalidation: there.
struct Crossing { id: &'static str }
/// Two.
///
/// rule: left or right.
enum Pair { Left, Right }
impl Pair {
    const LEFT: Self = Self { id: "left" };
}
impl Pattern for Pair {
    fn id(&self) -> &'static str {
        match self { Self::Left => "left", Self::Right => "right" }
    }
}
""",
    "pattern/chart.rs": "/// Its rule stands elsewhere.\nstruct Chart { id: &'static str }\n",
    "figure/mod.rs": "/// rule: none.\npub enum Kind { Cup }\nfn all() { Kind::Cup }\n",
    "figure/cup.rs": "/// A cup.\n///\n/// rule: round.\nstruct Cup;\nconst KIND: Kind = Kind::Cup;\n",
}


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    for name, code in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("known", "family", "text"),
    [
        ("wide", "candle", "Wide.\n\nrule: R > 1 and more.\n\nconfidence: q = R."),
        ("line_a", "pattern", "A line.\n\nrule, of `Line`: c > line."),
        (
            "cross_b",
            "pattern",
            "rule: they cross.\n\n| id | d |\n|---|---|\n| `cross_b` | two |\n\nstop: here.\n\ninvalidation: there.",
        ),
        ("cup", "figure", "A cup.\n\nrule: round."),
        ("left", "pattern", "Two.\n\nrule: left or right."),
        ("right", "pattern", "Two.\n\nrule: left or right."),
    ],
)
def test_a_definition_is_found_however_its_pattern_is_made(
    kernel: Path, monkeypatch: pytest.MonkeyPatch, known: str, family: str, text: str
) -> None:
    monkeypatch.setattr(doc_comments, "PATTERNS", ({"id": known, "talib_name": None},))
    assert definitions(kernel) == {known: {"family": family, "text": text}}


@pytest.mark.parametrize(
    ("known", "error", "said"),
    [
        ("nothing", LookupError, "no source implements the pattern nothing"),
        ("bare", ValueError, "bare: the doc comment of Bare needs a paragraph that begins with `rule:`"),
    ],
)
def test_a_pattern_without_a_definition_is_named(
    kernel: Path, monkeypatch: pytest.MonkeyPatch, known: str, error: type[Exception], said: str
) -> None:
    bare = '/// Bare.\nstruct Bare;\nimpl Pattern for Bare {\n    fn id(&self) -> &str {\n        "bare"\n    }\n}\n'
    (kernel / "candle/bare.rs").write_text(bare, encoding="utf-8")
    monkeypatch.setattr(doc_comments, "PATTERNS", ({"id": known, "talib_name": None},))
    with pytest.raises(error, match=re.escape(said)):
        definitions(kernel)
