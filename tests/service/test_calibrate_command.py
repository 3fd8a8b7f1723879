"""`tickstockpl calibrate` measures what `tp.scan` and `tp.outcomes` find, and says it in tables, words and pictures."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US
from commands import Run, said_once
from rate_samples import Planted, evidence, table
from tickstockpl import calibrate, rate_file, rate_page, rate_plot, sessions
from tickstockpl.calibration import Calibration, Placebo
from tickstockpl.holdout import judged
from tickstockpl.rate_words import finding, named
from tickstockpl.settings import Settings

pl = pytest.importorskip("polars", reason="reading files needs the extra [replay]")

DAY_US = 86_400_000_000
SYMBOLS = ("AAPL", "B", "SPY", "ZZ")
SVG = "{http://www.w3.org/2000/svg}"


def walk(days: int = 4, minutes: int = 200, before_open: int = 5) -> Any:
    """A frame of bars of each symbol, on a grid of cents; the first minutes of each day are before the open."""
    rng = np.random.default_rng(7)
    parts = []
    for symbol in SYMBOLS:
        starts = [
            NINE_30_US + day * DAY_US + (n - before_open) * MINUTE_US for day in range(days) for n in range(minutes)
        ]
        path = 100 + rng.integers(-5, 6, (len(starts), 4)).cumsum().reshape(-1, 4) / 100
        prices = {"open": path[:, 0], "high": path.max(axis=1), "low": path.min(axis=1), "close": path[:, 3]}
        parts.append(
            pl.DataFrame({"symbol": [symbol] * len(starts), "ts_us": starts, **prices}).with_columns(
                volume=pl.Series(rng.choice([100, 1000], len(starts)))
            )
        )
    return pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=1)


def test_the_table_is_of_what_scan_and_outcomes_say(command: Run, state_dir: Path) -> None:
    bars = walk()
    bars.write_parquet("bars.parquet")
    done = command("calibrate", "bars.parquet", "--symbol", "AAPL", "--symbol", "ZZ", "-o", "rates.json")
    assert (done.returncode, done.stderr) == (0, "")
    made = rate_file.read(Path("rates.json"))
    calendar = sessions.load("XNYS", "America/New_York", state_dir, date.today(), say=lambda _: None)  # noqa: DTZ011
    ids = tuple(pattern["id"] for pattern in tp.PATTERNS)
    regular = calendar.regular
    settings = tp.EngineSettings(
        session_mode="regular",
        sessions=regular,
        regular=regular,
        days=calendar.days,
        patterns=ids,
        timeframes=Settings().patterns.timeframes,
    )
    some = bars.filter(pl.col("symbol").is_in(["AAPL", "ZZ"]))
    detections = tp.scan(some, settings=settings)
    result = tp.outcomes(detections, some, sessions=regular, timeframe="1min").result
    counted = {}
    for at, pattern in enumerate(ids):
        for direction in (1, -1, 0):
            mine = result[(detections.pattern == at) & (detections.direction == direction)]
            if np.isin(mine, (1, -1, 0)).any():
                resolved = int((np.abs(mine) == 1).sum())
                counted[pattern, direction] = (resolved, int((mine == 1).sum()), int((mine == 0).sum()))
    assert len(counted) > 50
    assert {
        (group.pattern, group.direction): (group.pooled.n, group.pooled.hits, group.unresolved) for group in made.groups
    } == counted
    assert set(made.definitions) == set(ids)
    assert (made.dataset.symbols, made.dataset.bars) == (2, 1600)
    assert made.bases[0].bars == 2 * 4 * 195
    assert made.placebo is not None
    assert made.placebo.rows == sum(n > 0 for n, _, _ in counted.values())
    assert made.dataset.sessions == "XNYS regular"


def test_the_same_bars_make_the_same_table_in_whatever_parts_they_are_read(
    command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = walk()
    bars.write_parquet("bars.parquet")
    bars.filter(pl.col("symbol") < "C").write_csv("a.csv")
    bars.filter(pl.col("symbol") > "C").sort("ts_us").write_parquet("b.parquet")
    tables = []
    for rows, files in ((10**6, ["bars.parquet"]), (1, ["bars.parquet"]), (900, ["b.parquet", "a.csv"])):
        monkeypatch.setattr(calibrate, "ROWS", rows)
        assert command("calibrate", *files, "--name", "bars", "-o", "rates.json").returncode == 0
        tables.append(replace(rate_file.read(Path("rates.json")), made_at_us=0))
    assert tables[0] == tables[1] == tables[2]
    assert tables[0].held_out is not None
    assert tables[0].placebo is not None


def daily_walk() -> Any:
    """Two symbols of 300 UTC days of 30 minutes; the second begins two months later."""
    bars = walk(days=300, minutes=30)
    later = pl.col("ts_us") >= NINE_30_US + 60 * DAY_US
    return bars.filter((pl.col("symbol") == "AAPL") | ((pl.col("symbol") == "ZZ") & later))


def test_rates_of_daily_bars_are_held_against_later_days(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    daily_walk().write_parquet("bars.parquet")
    tables = []
    for rows in (10**6, 1):
        monkeypatch.setattr(calibrate, "ROWS", rows)
        asked = ("--mode", "always", "--timeframe", "daily", "--pattern", "doji", "--pattern", "pin_bar")
        done = command("calibrate", "bars.parquet", *asked, "-o", "rates.json")
        assert (done.returncode, done.stderr) == (0, "")
        tables.append(replace(rate_file.read(Path("rates.json")), made_at_us=0))
    assert tables[0] == tables[1]
    held, placebo = tables[0].held_out, tables[0].placebo
    assert held is not None
    assert placebo is not None
    assert held.share == pytest.approx(0.3, abs=0.01)
    assert 0 < held.events < sum(group.pooled.n for group in tables[0].groups) / 2
    assert tables[0].bases[0].bars == 2 * 299 - 60  # the last day is not over


@pytest.mark.parametrize("column", ["symbol", "ts_us", "open", "high", "low", "close", "volume"])
def test_other_bars_have_another_digest(command: Run, column: str) -> None:
    bars = walk(days=2, minutes=30)
    last = pl.int_range(pl.len()) == pl.len() - 1
    other = {
        "symbol": pl.when(pl.col("symbol") == "ZZ").then(pl.lit("ZY")).otherwise(pl.col("symbol")),
        "ts_us": pl.col("ts_us") + pl.when(last).then(1000 * MINUTE_US).otherwise(0),
        "high": pl.col("high") + pl.when(last).then(0.5).otherwise(0.0),
        "low": pl.col("low") - pl.when(last).then(0.5).otherwise(0.0),
        "open": pl.when(last).then(pl.col("low") + pl.col("high") - pl.col("open")).otherwise(pl.col("open")),
        "close": pl.when(last).then(pl.col("low") + pl.col("high") - pl.col("close")).otherwise(pl.col("close")),
        "volume": pl.col("volume") + pl.when(last).then(1).otherwise(0),
    }
    digests = []
    for frame in (bars, bars.with_columns(other[column].alias(column))):
        frame.write_parquet("bars.parquet")
        assert command("calibrate", "bars.parquet", "--holdout", "0", "-o", "rates.json").returncode == 0
        digests.append(rate_file.read(Path("rates.json")).dataset.digest)
    assert not bars.equals(frame)
    assert digests[0] != digests[1]


def test_options_reach_the_table(command: Run) -> None:
    walk().write_parquet("bars.parquet")
    asked = ("--pattern", "cdl_*star", "--pattern", "doji", "--horizon", "5", "--barrier", "2", "--holdout", "0")
    done = command("calibrate", "bars.parquet", *asked, "--placebo", "0", "--mode", "always", "-o", "rates.json")
    assert (done.returncode, done.stderr) == (0, "")
    made = rate_file.read(Path("rates.json"))
    assert {"doji", "cdl_morningstar"} < set(made.definitions) < {pattern["id"] for pattern in tp.PATTERNS}
    assert (made.parameters.horizon, made.parameters.barrier) == (5, 2.0)
    assert (made.held_out, made.placebo, made.bases[0].bars) == (None, None, 3200)
    later = command("calibrate", "bars.parquet", "--from", "2025-10-15", "--to", "2025-10-15", "--holdout", "0")
    assert later.returncode == 0
    assert "of 780 bars" in " ".join(later.stdout.split())


def test_files_are_written_and_what_they_say_is_printed(command: Run) -> None:
    walk().write_parquet("bars.parquet")
    done = command("calibrate", "bars.parquet", "--markdown", "page.md", "--plot", "pictures")
    page = Path("page.md").read_text(encoding="utf-8")
    printed, written = (" ".join(text.split()) for text in (done.stdout, page))
    for said in ("cannot be told apart from any bar", "A rate is what happened in this data"):
        assert said in printed
        assert said in written
    assert "](pictures/rates.svg)" in page
    assert {path.name for path in Path("pictures").iterdir()} == {"rates.svg", "reliability.svg"}
    command("calibrate", "bars.parquet", "--plot", "page.html")
    html = Path("page.html").read_text(encoding="utf-8")
    assert html.count("<svg ") == 2
    for name in ("rates.svg", "reliability.svg"):
        assert (Path("pictures") / name).read_text(encoding="utf-8") in html


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["absent.parquet"], "absent.parquet cannot be read"),
        (["bars.txt.gz"], "must end in .parquet or .csv"),
        (["bars.parquet", "--pattern", "dojo"], "--pattern: no pattern is called dojo; did you mean doji?"),
        (
            ["bars.parquet", "--pattern", "vwap_cross", "--timeframe", "daily"],
            "vwap_cross is on bars of 4hour or shorter",
        ),
        (["bars.parquet", "--from", "2025-10-16", "--to", "2025-10-13"], "is before --from"),
        (["bars.parquet", "-o", "absent/rates.json"], "--output: there is no folder absent"),
        (["bars.parquet", "--markdown", "absent/page.md"], "--markdown: there is no folder absent"),
        (["bars.parquet", "--plot", "absent/pictures"], "--plot: there is no folder absent"),
        (["bars.parquet", "--plot", "bars.parquet"], "--plot: bars.parquet cannot be a folder"),
        (["bars.parquet", "--symbol", "NOBODY"], "there are no bars of NOBODY"),
        (["bars.parquet", "--to", "2025-10-13"], "--holdout 0 makes a table that no later data has judged"),
        (["sunday.csv"], "--mode always takes all hours"),
        (["five.csv"], "five.csv: bars must be no longer than 1min, the timeframe that is looked at: all of"),
        (["bars.parquet", "--horizon", "0"], "--horizon"),
        (["bars.parquet", "--barrier", "nan"], "'--barrier'"),
        (["bars.parquet", "--holdout", "1"], "--holdout"),
        ([], "DATABASE_URI is not set"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(command: Run, words: list[str], says: str) -> None:
    walk(days=2, minutes=60).write_parquet("bars.parquet")
    sunday = walk(days=1, minutes=60).with_columns(pl.col("ts_us") - DAY_US)
    sunday.write_csv("sunday.csv")
    walk(days=2, minutes=60).filter(pl.col("ts_us") % (5 * MINUTE_US) == 0).write_csv("five.csv")
    assert says in said_once(command("calibrate", *words))


@pytest.fixture(scope="module")
def planted() -> Calibration:
    """A table with an edge either way, one of them refuted, and quality that predicts."""
    rng = np.random.default_rng(1)
    events = evidence(
        rng,
        [
            Planted("wins", 1, 1500, 0.6),
            Planted("loses", -1, 1500, 0.4),
            Planted("better", 1, 3000, 0.5, slope=0.4),
            Planted("null", 0, 2000, 0.5),
            Planted("rare<&>", 1, 5, 0.5),
        ],
    )
    return replace(judged(table(events), [events], 0.3), placebo=Placebo(20, 5, 2, (0,) * 20, 1.0))


def words(made: Calibration) -> dict[str, str]:
    return {said.about: said.text for said in finding(made)}


def test_the_words_name_what_was_found_and_what_was_not(planted: Calibration) -> None:
    said = words(planted)
    assert "Of 5 patterns and directions 1 were followed by what they say more often" in said["Patterns"]
    assert "More often: wins bullish" in said["Patterns"]
    assert "Less often: loses bearish" in said["Patterns"]
    assert "So it is not clustering that makes them" in said["Chance"]
    assert "predicts the outcome in 1 of 5 patterns" in said["Quality"]
    assert "better shapes are followed through more often in better bullish" in said["Quality"]
    assert "no better trade" not in said["Quality"]
    assert "the best is wins bullish" in said["Money"]
    assert "cannot be told apart" not in said["Money"]
    assert "the aim of 90 % is reached" in said["Later data"]
    assert said["Conclusion"].startswith(
        "A rate is what happened in this data, not what will happen. Only wins bullish"
    )


def test_the_words_are_sober_where_there_is_nothing(planted: Calibration) -> None:
    placebo = Placebo(20, 5, 2, (1, 2) * 10, 3.0)
    refuted = frozenset({("1min", "wins", 1, None)})
    said = words(replace(planted.without(refuted), placebo=placebo))
    assert "are not to be believed" in said["Chance"]
    assert "No pattern here is by itself a reason to trade" in said["Conclusion"]
    events = evidence(np.random.default_rng(4), [Planted(f"null{at}", 1, 1000, 0.5) for at in range(10)])
    said = words(table(events))
    assert "0 were followed by what they say more often than any bar is, 0 less often" in said["Patterns"]
    assert "cannot be told apart from any bar" in said["Money"]
    assert "predicts the outcome in 0 of 10 patterns" in said["Quality"]
    assert "A better-looking shape is no better trade here" in said["Quality"]
    assert set(said) & {"Chance", "Later data"} == set()


def test_the_page_has_every_row_and_names_those_that_were_refuted(planted: Calibration) -> None:
    text = rate_page.page(planted)
    for group in planted.groups:
        assert f"| `{group.pattern}` |" in text
    held = planted.held_out
    assert held is not None
    outside = [check for check in held.checks if not check.inside]
    assert text.count("third of quality |") + text.count(" neutral |") >= len(outside) > 0
    assert "![" not in text
    assert "![" in rate_page.page(planted, pictures="pictures")
    assert "was not held against later data" in rate_page.page(replace(planted, held_out=None))


def test_rows_of_several_timeframes_are_told_apart_by_theirs(planted: Calibration) -> None:
    rng = np.random.default_rng(3)
    minutes = evidence(rng, [Planted("wins", 1, 1500, 0.6), Planted("loses", -1, 1500, 0.4)])
    longer = replace(evidence(rng, [Planted("wins", 1, 1500, 0.4), Planted("null", 0, 1500, 0.5)]), timeframe="15min")
    both = judged(table(minutes, longer), [minutes, longer], 0.3)
    rows = [line.split(" | ")[:4] for line in rate_page.page(both).splitlines() if line.startswith("| ")]
    assert rows[0] == ["| bars", "pattern", "direction", "events"]
    assert {(bars, pattern, direction) for bars, pattern, direction, _ in rows[1:5]} == {
        ("| 1min", "`wins`", "bullish"),
        ("| 15min", "`wins`", "bullish"),
        ("| 1min", "`loses`", "bearish"),
        ("| 15min", "`null`", "neutral"),
    }
    names = {
        text.text for text in ET.fromstring(rate_plot.bars_svg(both)).iter(f"{SVG}text") if text.get("class") == "end"
    }
    assert names == {
        *("wins bullish on 1min", "wins bullish on 15min", "loses bearish on 1min", "null neutral on 15min")
    }
    assert "4 patterns, timeframes and directions" in words(both)["Patterns"]
    assert "More often: wins bullish on 1min " in words(both)["Patterns"]
    assert "wins bullish on 15min " in words(both)["Patterns"].partition("Less often: ")[2]
    assert "1min" not in words(planted)["Patterns"]
    assert "| bars" not in rate_page.page(planted)


def test_pictures_are_the_same_each_time_and_sound_xml(planted: Calibration) -> None:
    for draw in (rate_plot.bars_svg, rate_plot.reliability_svg):
        assert draw(planted) == draw(planted)
        assert ET.fromstring(draw(planted)).tag == f"{SVG}svg"
    assert "<script" not in rate_plot.page_html(planted)
    assert "rare<" not in rate_plot.page_html(planted)


def test_bars_start_at_the_base_rate_and_end_at_the_rate(planted: Calibration) -> None:
    root = ET.fromstring(rate_plot.bars_svg(planted))
    drawn = [group for group in planted.groups if group.pooled.n >= rate_plot.LEAST]
    bars = list(root.iter(f"{SVG}rect"))
    kinds = [rect.get("class", "").removeprefix("bar ") for rect in bars]
    assert sorted(kinds) == sorted({"+": "plus", "-": "minus", "0": "none"}[group.pooled.edge] for group in drawn)
    axis = next(line for line in root.iter(f"{SVG}line") if line.get("class") == "axis")
    middle = float(axis.get("x1", "nan"))
    labels = {text.text: float(text.get("x", "nan")) for text in root.iter(f"{SVG}text")}
    scale = (labels["+5"] - middle) / 0.05
    names = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "end"]
    for name, rect in zip(names, bars, strict=True):
        group = next(one for one in drawn if named(one, planted) == name)
        gain = group.pooled.hit_rate - group.base_rate
        left, width = float(rect.get("x", "nan")), float(rect.get("width", "nan"))
        assert width == pytest.approx(abs(gain) * scale, abs=0.2)
        assert (left if gain > 0 else left + width) == pytest.approx(middle, abs=0.2)


def test_a_dot_lies_where_its_row_was_published_and_came_out(planted: Calibration) -> None:
    held = planted.held_out
    assert held is not None
    root = ET.fromstring(rate_plot.reliability_svg(planted))
    dots = list(root.iter(f"{SVG}circle"))
    assert len(dots) == len(held.checks)
    assert sum("minus" in dot.get("class", "") for dot in dots) == len(held.checks) - held.inside
    ticks = [text for text in root.iter(f"{SVG}text") if (text.text or "").endswith(" %")]
    across = {
        float((text.text or "0").split()[0]): float(text.get("x", "nan"))
        for text in ticks
        if "middle" in text.get("class", "")
    }
    first, last = min(across), max(across)
    scale = (across[last] - across[first]) / (last - first)
    expected = sorted(across[first] + (100 * check.published - first) * scale for check in held.checks)
    assert sorted(float(dot.get("cx", "nan")) for dot in dots) == pytest.approx(expected, abs=0.1)


def test_without_a_check_the_picture_says_so(planted: Calibration) -> None:
    assert "No row was held against later data" in rate_plot.reliability_svg(replace(planted, held_out=None))
    empty = replace(planted, groups=(), held_out=None, placebo=None)
    assert ET.fromstring(rate_plot.bars_svg(empty)).tag == f"{SVG}svg"
    assert "Of 0 patterns" in words(empty)["Patterns"]
