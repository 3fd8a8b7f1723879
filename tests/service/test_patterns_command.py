"""`tickstockpl patterns` lists what the kernel finds, and says all of those that are named."""

import csv
import io
import json
from typing import Any

import pytest

import tickstockpl as tp
from commands import Run, said_once
from tickstockpl.aliases import aliases_of
from tickstockpl.catalogue import entries, entries_with, in_full

IDS = [pattern["id"] for pattern in tp.PATTERNS]


def ids_in(table: str) -> list[str]:
    words = [line.split() for line in table.splitlines()]
    return [row[0] for row in words if row and row[0] in IDS]


def as_json(command: Run, *words: str) -> list[dict[str, Any]]:
    done = command("patterns", *words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    read: list[dict[str, Any]] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("200", ["id", "name", "tier", "bars", "direction", "aliases", "source"]),
        ("110", ["id", "name", "tier", "bars", "direction", "aliases"]),
        ("80", ["id", "name", "tier", "bars", "direction"]),
    ],
)
def test_the_list_has_every_pattern_and_as_much_of_it_as_there_is_room_for(
    command: Run, columns: str, told: list[str]
) -> None:
    done = command("patterns", COLUMNS=columns)
    assert (done.returncode, done.stderr) == (0, "")
    assert ids_in(done.stdout) == IDS
    assert done.stdout.split("\n")[1].split() == told
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert all(pattern["name"] in done.stdout for pattern in tp.PATTERNS)
    assert done.stdout.endswith(f"\n{len(IDS)} patterns\n")


def test_json_says_all_that_the_kernel_says_and_more(command: Run) -> None:
    read = as_json(command)
    facts = ("id", "name", "tier", "bars", "source", "talib_name", "points", "conditions", "directions")
    for told, pattern in zip(read, tp.PATTERNS, strict=True):
        assert [told[name] for name in facts] == [
            list(value) if isinstance(value := pattern[name], tuple | list) else value for name in facts
        ]
        assert told["aliases"] == list(aliases_of(told["id"]))
        assert "rule" in told["definition"]
    assert sum(told["default"] for told in read) == len({pattern["name"] for pattern in tp.PATTERNS})


def test_csv_has_a_row_a_pattern(command: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(command("patterns", "--csv").stdout)))
    assert [row["id"] for row in rows] == IDS
    triangle = rows[IDS.index("asc_triangle")]
    assert triangle["directions"] == "bullish bearish"
    assert triangle["aliases"].split() == list(aliases_of("asc_triangle"))
    assert triangle["points"] == "touch_1 touch_2 touch_3 touch_4 touch_5 break"
    assert (triangle["talib_name"], triangle["default"]) == ("", "true")
    assert rows[IDS.index("cdl_doji")]["default"] == "false"


def test_filters_narrow_the_list_together(command: Run) -> None:
    neutral = {each["id"] for each in as_json(command, "--direction", "neutral")}
    assert neutral == {pattern["id"] for pattern in tp.PATTERNS if "neutral" in pattern["directions"]}
    assert {each["id"] for each in as_json(command, "--tier", "intraday")} == {
        pattern["id"] for pattern in tp.PATTERNS if pattern["tier"] == "intraday"
    }
    found = command("patterns", "--direction", "neutral", "--search", "DOJI")
    assert {*ids_in(found.stdout)} < neutral
    assert found.stdout.endswith(f"\n{len(ids_in(found.stdout))} of {len(IDS)} patterns\n")


@pytest.mark.parametrize(
    ("words", "known"),
    [("Bulkowski neckline", "head_shoulders"), ("surgedetection", "high_volume_surge"), ("CDLTRISTAR", "cdl_tristar")],
)
def test_search_looks_at_sources_definitions_and_other_names(command: Run, words: str, known: str) -> None:
    assert known in [each["id"] for each in as_json(command, "--search", words)]


def test_nothing_found_is_no_mistake(command: Run) -> None:
    done = command("patterns", "--search", "qqq zzz")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"0 of {len(IDS)} patterns\n", "")
    assert as_json(command, "--search", "qqq zzz") == []
    assert command("patterns", "doji", "--direction", "bullish").stdout == done.stdout


def test_one_pattern_is_told_in_full(command: Run) -> None:
    done = command("patterns", "Double_Top", COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    (told,) = as_json(command, "double_top")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["double_top:", "DoubleTop"]
    for name, values in (("tier", ["intraday"]), ("bars", ["14"]), ("direction", ["bearish"])):
        assert [name, *values] in lines
    assert ["points", "start,", "first,", "between,", "second,", "break"] in lines
    text = " ".join(done.stdout.split())
    for said in (told["source"], *told["definition"].split("\n\n")):
        assert " ".join(said.split()) in text
    assert "B = |c − o|" in text  # what letters mean


def test_several_names_are_told_in_their_order_each_once(command: Run) -> None:
    assert [each["id"] for each in as_json(command, "TrendHold", "doji", "trending_up", "*_pennant")] == [
        *("trending_up", "trending_down", "doji", "bull_pennant", "bear_pennant")
    ]
    done = command("patterns", "cdl_doji", "doji")
    assert [line for line in done.stdout.splitlines() if line.startswith(("cdl_doji:", "doji:"))] == [
        "cdl_doji: Doji, off by default",
        "doji: Doji",
    ]
    assert "the same answer in every cell. Neutral." in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dojo",), "no pattern is called dojo; did you mean doji?"),
        (("doji", "qqq"), "no pattern is called qqq; `tickstockpl patterns` lists them"),
        (("--json", "--csv"), "--json or --csv, not both"),
    ],
)
def test_a_mistake_is_one_line(command: Run, words: tuple[str, ...], said: str) -> None:
    assert said_once(command("patterns", *words)) == said


def test_a_tier_that_does_not_exist_is_one_line_with_those_that_do(command: Run) -> None:
    assert "'daily', 'intraday', 'combo'" in said_once(command("patterns", "--tier", "weekly"))


def test_a_pattern_whose_definition_nobody_has_collected_is_told_without() -> None:
    bare = entries_with({})
    assert [entry.id for entry in bare] == [entry.id for entry in entries()]
    hammer = next(entry for entry in bare if entry.id == "hammer")
    assert (hammer.definition, hammer.family) == (None, None)
    assert not hammer.has("shadow")
    assert [each for each in in_full([hammer]) if "rule" in str(each)] == []


def test_scan_and_calibrate_take_tickstocks_names(command: Run) -> None:
    for name in ("scan", "calibrate"):
        known = command(name, "nothing.parquet", "--pattern", "Trendline_Hold", "--pattern", "VolumeSpikePattern")
        assert "nothing.parquet" in said_once(known)
        assert said_once(command(name, "nothing.parquet", "--pattern", "TrendlineHolt")) == (
            "--pattern: no pattern is called TrendlineHolt; did you mean trending_up or trending_down?"
        )


def test_a_direction_is_told_in_a_word() -> None:
    ways = {entry.id: entry.way for entry in entries()}
    told = {"doji": "neutral", "hammer": "bullish", "engulfing": "both", "volume_spike": "any", "double_top": "bearish"}
    assert {known: ways[known] for known in told} == told
