"""The report is one whole page that needs nothing else, and says what was found."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US
from commands import Run, said_once
from rate_samples import Planted, evidence, table
from tickstockpl import archive, rate_file
from tickstockpl.archive import in_files
from tickstockpl.findings import Example, Findings, Sought, find
from tickstockpl.found import Found
from tickstockpl.recording import Reading
from tickstockpl.report import Page

pl = pytest.importorskip("polars", reason="reading files needs the extra [replay]")

DAY_US = 86_400_000_000
MADE = datetime(2026, 1, 2, 15, 30, tzinfo=UTC)
WHOLE = {"meta", "br", "hr", "img", "input", "link"}


class Tags(HTMLParser):
    """A page as a reader of HTML sees it: every tag has its end, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        given = dict(attrs)
        assert len(given) == len(attrs), self.get_starttag_text()
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        assert "src" not in given
        if tag not in WHOLE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data))

    def of(self, tag: str) -> list[str]:
        return [text for within, text in self.texts if within == tag]


def walk(symbols: str = "ABC", days: int = 4) -> Any:
    rng = np.random.default_rng(3)
    starts = [NINE_30_US + day * DAY_US + n * MINUTE_US for day in range(days) for n in range(120)]
    parts = []
    for symbol in symbols:
        path = 100 + rng.integers(-5, 6, (len(starts), 4)).cumsum().reshape(-1, 4) / 100
        prices = {"open": path[:, 0], "high": path.max(axis=1), "low": path.min(axis=1), "close": path[:, 3]}
        volume = rng.choice([100, 1000], len(starts))
        parts.append(pl.DataFrame({"symbol": [symbol] * len(starts), "ts_us": starts, **prices, "volume": volume}))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    path = tmp_path_factory.mktemp("report") / "bars.parquet"
    walk().write_parquet(path)
    sought = Sought(tp.EngineSettings(patterns=("doji", "engulfing", "cdl_3inside", "high_of_day")), examples=9)

    async def whole() -> Findings:
        async with in_files([path], Reading(bar_seconds=60)) as opened:
            (bars,) = [bars async for bars in opened.chunks()]
            return find(bars, None, sought, 0)

    return asyncio.run(whole())


def page(findings: Findings, **more: Any) -> str:
    values: dict[str, Any] = {
        "source": "bars.parquet",
        "sessions": "All hours count",
        "timezone": "America/New_York",
        "made": MADE,
    }
    return Page(findings=findings, **values | more).html()


def test_the_page_is_html_that_needs_no_other_file(findings: Findings) -> None:
    text = page(findings)
    tags = Tags(text)
    assert text.startswith("<!doctype html>")
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link|src=", text)
    assert len({*tags.ids}) == len(tags.ids)
    assert {link.removeprefix("#") for link in tags.links} <= {*tags.ids}
    assert "prefers-color-scheme:dark" in text
    assert text.count(".tickstockpl-chart .up{") == 1  # the style of drawings, once
    assert len(text) < 40_000 + 20_000 * tags.names.count("figure")


def test_the_head_says_which_data_how_many_bars_and_when(findings: Findings) -> None:
    tags = Tags(page(findings))
    assert tags.of("title")[0] == tags.of("h1")[0] == "Patterns in bars.parquet"
    assert tags.of("strong") == [f"{findings.found:,}", "1,440", "3 symbols"]
    said = "".join(tags.of("p"))
    assert "2025-10-13 to 2025-10-16" in said
    assert "All hours count; times are those of America/New_York. Made 2026-01-02 10:30 EST." in said


def test_the_table_has_a_row_for_each_pattern_and_direction_the_most_frequent_first(findings: Findings) -> None:
    text = page(findings)
    head, direction, count = (
        r'<tr><th scope="row"><a href="#(\w+)">.*?</th>',
        r"<td>\S (\w+)</td>",
        r'data-value="(\d+)">',
    )
    rows = re.findall(head + direction + '<td class="n" ' + count, text)
    directions = {1: "bullish", -1: "bearish", 0: "neutral"}
    expected = {
        (tp.PATTERNS[pattern]["id"], directions[direction], str(tally.found))
        for (pattern, direction), tally in findings.tallies.items()
    }
    assert {*rows} == expected
    counts = [int(count) for *_, count in rows]
    assert counts == sorted(counts, reverse=True)
    assert re.search(r'<th scope="col" aria-sort="descending" class="n"><button type="button">found<', text)


def test_each_pattern_has_its_examples_from_as_many_directions_symbols_and_days_as_there_are(
    findings: Findings,
) -> None:
    text = page(findings)
    for pattern in ("doji", "engulfing", "cdl_3inside", "high_of_day"):
        section = text.partition(f'<section id="{pattern}">')[2].partition("</section>")[0]
        titles = re.findall(r"<title>(.*?)</title>", section)
        assert len(titles) == section.count("<figure>") == 3
        assert len({title.split(" · ")[2] for title in titles}) == 3  # symbols
        if pattern in ("engulfing", "cdl_3inside"):
            assert {title.split(" · ")[1] for title in titles} == {"bullish", "bearish"}
    assert Tags(page(findings, examples=1)).names.count("figure") == 4
    assert Tags(page(findings, examples=0)).names.count("figure") == 0


def test_the_drawings_are_svg_of_the_bars_around_the_pattern(findings: Findings) -> None:
    charts = re.findall(r"<svg.*?</svg>", page(findings))
    assert len(charts) == 12
    for chart in charts:
        root = ET.fromstring(chart)
        assert 12 <= sum("candle" in each.get("class", "") for each in root.iter("path")) <= 75
        assert sum(each.get("class") == "mark" for each in root.iter("path")) == 1


def test_the_pages_style_is_about_nothing_in_a_drawing(findings: Findings) -> None:
    text = page(findings)
    style = text.partition("<style>")[2].partition(".tickstockpl-chart{")[0]
    drawn = {
        name for names in re.findall(r'<(?:path|rect|text|circle)[^>]* class="(.*?)"', text) for name in names.split()
    }
    assert {"up", "down", "candle", "span"} <= drawn
    assert drawn.isdisjoint(re.findall(r"\.([a-z]+)", style))


def test_names_are_escaped(findings: Findings) -> None:
    text = page(findings, source='<script>alert("x")</script>&', sessions="<b>")
    Tags(text)
    assert text.count("<script>") == 1  # our own
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;" in text
    assert "<b>" not in text


def test_margins_are_bars_beside_the_largest(findings: Findings) -> None:
    kind, (example, *_) = next(iter(findings.examples.items()))
    found = replace(example.found, margins={"depth": 2.0, "<even>_side": -0.5, "none": 0.0})
    text = page(replace(findings, examples={kind: [replace(example, found=found)]}))
    Tags(text)
    name, bar = r'<th scope="row">(.*?)</th>', r'<td><span class="bar" style="width:(\d+)%"></span></td>'
    bars = re.findall(name + bar + r'<td class="n">(.*?)<', text)
    assert bars == [("depth", "100", "2.00"), ("&lt;even&gt; side", "25", "-0.50"), ("none", "0", "0.00")]
    assert 'class="margins"' not in page(findings)
    less = replace(found, margins={"depth": 0.4})
    assert 'style="width:40%"' in page(replace(findings, examples={kind: [replace(example, found=less)]}))


def test_a_long_drawing_has_a_row_of_its_own_and_is_scrolled_where_there_is_no_room(findings: Findings) -> None:
    kind, (example, *_) = next(iter(findings.examples.items()))
    candles = example.candles
    begin_us = example.found.ts_us - 150 * MINUTE_US
    many = {each.name: np.resize(getattr(candles, each.name), 180) for each in fields(candles)}
    many["ts_us"] = begin_us + np.arange(180) * MINUTE_US
    text = page(replace(findings, examples={kind: [replace(example, candles=replace(candles, **many)), example]}))
    Tags(text)
    assert text.count("<figure") == 2
    (long,) = re.findall(
        r'<figure class="long">\n<div class="wide" tabindex="0" role="region" aria-label="(.*?)">', text
    )
    assert long == f"{example.found.name} of {example.found.symbol}"


@dataclass(frozen=True)
class Measured:
    hit_rate: float = 0.512
    hit_lo: float = 0.49
    hit_hi: float = 0.5333
    n: int = 2100
    base_rate: float = 0.498
    edge: str = "0"


def test_measured_rates_have_columns_where_they_are_given(findings: Findings) -> None:
    rates: Mapping[tuple[str, int, str], Measured] = {
        ("doji", 0, "1min"): Measured(),
        ("engulfing", 1, "1min"): Measured(edge="+"),
        ("engulfing", -1, "1min"): Measured(n=0),
        ("high_of_day", 1, "5min"): Measured(),
    }
    text = page(findings, rates=rates)
    Tags(text)
    rows = {
        pattern + direction: re.findall(r'<td class="n"[^>]*>(.*?)</td>', cells)[4:9]
        for pattern, direction, cells in re.findall(r'<tr><th .*?#(\w+)">.*?<td>(\S) (.*?)</tr>', text)
    }
    assert rows["doji–"] == ["0.512", "0.490 to 0.533", "0.498", "none", "2,100"]
    assert rows["engulfing▲"][3] == "+ above"
    assert rows["engulfing▼"] == rows["high_of_day▲"] == ["–"] * 5
    assert "hit rate" in text
    assert "hit rate" not in page(findings)


def test_rates_that_calibrate_has_measured_are_shown(command: Run) -> None:
    walk("ABC", 5).write_parquet("bars.parquet")
    measure = ("calibrate", "bars.parquet", "--holdout", "0", "--placebo", "0", "--output", "rates.json")
    assert command(*measure).returncode == 0
    done = command("scan", "bars.parquet", "-o", "report.html", "--examples", "0", "--rates", "rates.json")
    assert (done.returncode, done.stderr) == (0, "")
    text = Path("report.html").read_text(encoding="utf-8")
    (group,) = (
        each for each in rate_file.read(Path("rates.json")).groups if (each.pattern, each.direction) == ("hammer", 1)
    )
    rate = group.pooled
    row = re.findall(r'<tr><th scope="row"><a href="#hammer">.*?</tr>', text)
    cells = re.findall(r'<td class="n"[^>]*>(.*?)</td>', row[0])[4:9]
    assert [*cells[:2], cells[4]] == [f"{rate.hit_rate:.3f}", f"{rate.hit_lo:.3f} to {rate.hit_hi:.3f}", f"{rate.n:,}"]


def test_rates_that_cannot_be_shown_are_one_line(command: Run) -> None:
    walk("A", 1).write_parquet("bars.parquet")
    Path("rates.json").write_text("{}", encoding="utf-8")
    words = ("scan", "bars.parquet", "--rates", "rates.json")
    assert "--output must end in .html" in said_once(command(*words))
    assert "rates.json is no table of rates" in said_once(command(*words, "-o", "report.html"))
    events = evidence(np.random.default_rng(1), [Planted("doji", 1, 900, 0.6)])
    rate_file.write(Path("rates.json"), replace(table(events), definitions={"doji": "another"}))
    assert "has no rates of patterns as they are now" in said_once(command(*words, "-o", "report.html"))
    assert not Path("report.html").exists()


def test_examples_are_the_same_whatever_the_groups_and_processes(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    walk("ABCDE").write_parquet("bars.parquet")
    pages = []
    for rows, jobs in ((1_000_000, "1"), (1, "1"), (500, "2")):
        monkeypatch.setattr(archive, "ROWS", rows)
        done = command("scan", "bars.parquet", "--jobs", jobs, "-o", "report.html", "--examples", "2")
        assert (done.returncode, done.stderr) == (0, "")
        pages.append(re.sub(r"Made .*?\.", "", Path("report.html").read_text(encoding="utf-8")))
    assert pages[0] == pages[1] == pages[2]
    tags = Tags(pages[0])
    assert 60 < tags.names.count("figure") <= 2 * len(tp.PATTERNS)
    assert "Bars of the regular sessions of XNYS count" in pages[0]
    assert sorted(path.name for path in Path().iterdir()) == ["bars.parquet", "report.html"]


def test_a_report_that_cannot_be_written_is_one_line_and_leaves_the_old_one(command: Run) -> None:
    walk("A", 1).write_parquet("bars.parquet")
    Path("report.html").mkdir()
    done = command("scan", "bars.parquet", "-o", "report.html", "--pattern", "doji")
    assert (done.returncode, done.stderr) == (2, "tickstockpl: report.html cannot be written: Is a directory\n")
    assert sorted(path.name for path in Path().iterdir()) == ["bars.parquet", "report.html"]


def test_an_example_holds_its_own_bars_and_no_others(findings: Findings) -> None:
    examples = [each for some in findings.examples.values() for each in some]
    assert len(examples) > 20
    assert {getattr(each.candles, name).base is None for each in examples for name in ("ts_us", "close")} == {True}


def test_lots_are_drawn_evenly_over_time(findings: Findings) -> None:
    """Of the examples of a frequent pattern half are in the first half of the days."""
    examples: list[Example] = [each for some in findings.examples.values() for each in some]
    days = [datetime.fromtimestamp(each.found.ts_us / 1e6, UTC).date() for each in examples]
    early = sum(day <= date(2025, 10, 14) for day in days)
    assert 0.25 < early / len(days) < 0.75
    assert all(isinstance(each.found, Found) for each in examples)
