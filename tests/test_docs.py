"""What the pages say is so: code runs as printed, names exist, links lead somewhere."""

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import tickstockpl as tp
from commands import Run
from tickstockpl import catalogue, rights
from tickstockpl.cli import app
from tickstockpl.environment import FOLDERS
from tickstockpl.kernel import REASONS
from tickstockpl.loading import SHARED
from tickstockpl.metrics import Metrics
from tickstockpl.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language; "" is those that name none."""
    parts = re.split(r"^```(\w*)\n", text(page), flags=re.MULTILINE)
    return [body for named, body in zip(parts[1::4], parts[2::4], strict=True) if named == language]


def settings_table() -> dict[str, tuple[str, str, str]]:
    """The rows of the operations page: environment name -> (other name, path, default), without backquotes."""
    rows = re.findall(
        r"^\| `(TICKSTOCKPL_\w+)` \| (.*?) \| `([\w.]+)` \| (.*?) \|", text("docs/operations.md"), re.MULTILINE
    )
    return {name: (shared.replace("`", ""), path, default.strip("`")) for name, shared, path, default in rows}


def fields(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= fields(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return flat


def written(value: Any) -> str:
    """A default as the page writes it."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ",".join(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def test_the_python_block_of_the_readme_does_what_it_prints() -> None:
    block, _ = blocks("README.md", "python")
    assert block.count(">>>") >= 10
    test = doctest.DocTestParser().get_doctest(block, {}, "README.md", "README.md", 0)
    result = doctest.DocTestRunner(verbose=False).run(test)
    assert result.failed == 0


def test_the_page_of_rules_has_rules_and_python_that_does_what_it_prints() -> None:
    examples = blocks("docs/rules.md", "toml")
    assert [rule.id for block in examples for rule in tp.parse_rules(block)] == re.findall(
        r'^id = "(.*)"$', "".join(examples), re.MULTILINE
    )
    (block,) = blocks("docs/rules.md", "python")
    test = doctest.DocTestParser().get_doctest(block, {}, "rules.md", "rules.md", 0)
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_page_of_rules_lists_every_number_with_its_bars() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", text("docs/rules.md"), re.MULTILINE)
    assert {name: int(bars) for name, bars in rows} == tp.VALUES
    assert len(rows) == len(tp.VALUES)


def test_the_commands_of_the_page_of_rules_find_and_list_them(command: Run) -> None:
    listed, scanned, _ = re.findall(r"^    tickstockpl (.*)$", text("docs/rules.md"), re.MULTILINE)
    Path("docs").symlink_to(ROOT / "docs")
    done = command(*shlex.split(listed))
    assert (done.returncode, "engulfing_below_vwap" in done.stdout, "turn_agreed" in done.stdout) == (0, True, False)
    done = command(*shlex.split(scanned))
    assert (done.returncode, done.stderr, "turn_agreed" in done.stdout) == (0, "", True)
    assert "engulfing" not in done.stdout


def test_the_picture_of_the_readme_is_drawn(tmp_path: Path) -> None:
    _, script = blocks("README.md", "python")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    command = [sys.executable, "-W", "error", "-c", script]
    environ = os.environ | {"MPLBACKEND": "agg", "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "candlesticks.png").read_bytes().startswith(b"\x89PNG")


def test_the_scan_of_the_readme_finds_what_it_looks_for(command: Run) -> None:
    (line,) = re.findall(r"^    tickstockpl (scan .*)$", text("README.md"), re.MULTILINE)
    Path("docs").symlink_to(ROOT / "docs")
    done = command(*shlex.split(line))
    assert (done.returncode, done.stderr) == (0, "")
    found = Path("found.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert {row.split(",")[2] for row in found} >= {"engulfing", "cdl_morningstar", "cdl_eveningstar"}


def test_the_settings_table_has_every_setting_once_with_its_default() -> None:
    defaults = fields(Settings().model_dump(mode="json")) | {"state_dir": "~/.local/state/tickstockpl"}
    other: dict[str, str] = {}
    for name, path in SHARED.items():
        other[".".join(path)] = ", ".join(filter(None, (other.get(".".join(path)), name)))
    table = settings_table()
    assert table == {
        "TICKSTOCKPL_" + path.replace(".", "__").upper(): (other.get(path, ""), path, written(default))
        for path, default in defaults.items()
    }
    assert text("docs/operations.md").count("| `TICKSTOCKPL_") == len(table)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_of_the_environment_exists(page: Path) -> None:
    known = set(settings_table()) | set(FOLDERS)
    known |= {f"TICKSTOCKPL_{name}" for name in ("HOST", "PORT", "API_KEY", "API_URL")}
    # Tests have names of their own; one that ends in _ stands for several; a file may hold any setting.
    named = {name for name in re.findall(r"\bTICKSTOCKPL_\w+", page.read_text(encoding="utf-8")) if name[-1] != "_"}
    named = {name if name in known else name.removesuffix("_FILE") for name in named}
    assert {name for name in named if not name.startswith("TICKSTOCKPL_TEST_")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists_and_has_the_options_that_are_printed(page: Path) -> None:
    group: Any = typer.main.get_command(app)
    printed = re.findall(r"(?:^    |`)tickstockpl ([a-z]+)([^`#\n]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    for name, rest in printed:
        assert name in group.commands, name
        options = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= options, rest


def test_the_operations_page_prints_the_rights_of_the_default_settings() -> None:
    page = text("docs/operations.md")
    assert rights.redis_rule(rights.service_uses(Settings()), "tickstockpl") in page
    assert rights.redis_rule(rights.tap_uses(Settings()), "tickstockpl-tap") in page
    assert "\n".join(["```sql", *rights.postgres_grants(Settings(), "tickstockpl"), "```"]) in page


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.is_file(), target
        if not anchor:
            continue
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_the_wire_page_refuses_its_examples_by_the_reasons_it_gives() -> None:
    (examples,) = (block for block in blocks("docs/wire-format.md", "") if block.startswith("bad_json"))
    reasons = []
    for line in examples.splitlines():
        reason, payload = line.split(maxsplit=1)
        assert tp.decode([payload.encode()]).refused == {reason: 1}, line
        reasons.append(reason)
    assert sorted([*reasons, "too_large"]) == sorted(REASONS)


def test_the_wire_pages_ticks_are_taken_and_its_messages_are_json() -> None:
    ticks, *messages = blocks("docs/wire-format.md", "json")
    taken = tp.decode([line.encode() for line in ticks.splitlines()])
    assert [chr(kind) for kind in taken.kind] == ["A", "T", "Q", "A"]
    assert taken.refused == {}
    for line in "".join(messages).splitlines():
        assert isinstance(json.loads(line), dict)


def test_the_pages_list_every_pattern() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\) \| (\w+) \| (\d+) \|", text("docs/patterns.md"), re.MULTILINE)
    assert rows == [(each["id"], each["id"], each["name"], str(each["bars"])) for each in tp.PATTERNS]
    for pattern in (pattern for pattern in tp.PATTERNS if pattern["talib_name"] is None):
        assert pattern["name"] in text("README.md")
        assert pattern["name"] in text("CHANGELOG.md")
    on = sum(entry.default for entry in catalogue.entries())
    assert re.findall(r"^\* (\d+) patterns by default: ", text("README.md"), re.MULTILINE) == [str(on)]


def test_the_layout_names_every_module_and_no_other() -> None:
    layout = next(block for block in blocks("docs/architecture.md", "") if block.startswith("rust/kernel/"))
    kernel, rest = layout.split("rust/bindings/")
    named = {word.strip("/") for line in kernel.splitlines()[1:] for word in line[2:23].split()}
    found = {path.stem for path in (ROOT / "rust/kernel/src").iterdir()}
    assert named == found - {"lib"}
    modules = {path.stem for path in (ROOT / "python/tickstockpl").glob("*.py")} - {"__init__", "__main__"}
    assert modules <= set(re.findall(r"\w+", rest))


def test_the_operations_page_names_every_metric() -> None:
    metrics = Metrics()
    metrics.read_engine(tp.Engine(tp.EngineSettings()).counters)
    metrics.read_queues(list)
    metrics.read_stages(dict)
    page = text("docs/operations.md")
    for name in re.findall(r"^# TYPE tickstockpl_(\w+)", metrics.exposition().decode(), re.MULTILINE):
        assert name.endswith("_created") or f"`{name}`" in page or f"`{name}{{" in page, name


def test_each_failure_is_shown_by_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text("docs/reliability.md"))
    assert len(named) > 25
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", text(file), re.MULTILINE), f"{file} has no {test}"
    for row in re.findall(r"^\| (?!what fails|---).*$", text("docs/reliability.md"), re.MULTILINE):
        assert "::t" in row, row
