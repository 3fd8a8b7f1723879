"""Drawings are XML that stays within its frame, has a candle for each bar, and says what it shows."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US
from tickstockpl.axes import PriceAxis, round_step, time_labels
from tickstockpl.drawing import ZONE, draw
from tickstockpl.found import Candles, Found, Point
from tickstockpl.kernel import columns_of_bars

SVG = "{http://www.w3.org/2000/svg}"
DAY_US = 86_400_000_000


def candles_of(rows: list[tuple[float, float, float, float]], starts: list[int] | None = None) -> Candles:
    o, h, l, c = (np.array(column) for column in zip(*rows, strict=True))  # noqa: E741 - a price
    ts_us = np.array(starts or [NINE_30_US + n * MINUTE_US for n in range(len(rows))])
    return Candles(ts_us, o, h, l, c, np.arange(len(rows), dtype=np.int64) * 100)


def wave(count: int = 60) -> Candles:
    close = 100 + np.sin(np.arange(count) / 5)
    return candles_of([(c - 0.1, c + 0.2, c - 0.3, c) for c in close.tolist()])


def found_at(candles: Candles, at: int, points: tuple[Point, ...] = (), **more: Any) -> Found:
    begin = min([at, *(int(np.searchsorted(candles.ts_us, us)) for _, us, _ in points)])
    close = float(candles.close[at])
    values: dict[str, Any] = {
        "pattern_id": "double_top", "name": "DoubleTop", "direction": "bearish", "symbol": "AAPL",
        "ts_us": int(candles.ts_us[at]), "first_us": int(candles.ts_us[begin]), "confidence": 0.835,
        "entry": close, "stop": close * 1.01, "target": close * 0.98, "event_id": "x", "points": points,
    }  # fmt: skip
    return Found(**values | more)


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def of_class(root: ET.Element, *names: str) -> list[ET.Element]:
    return [each for each in root.iter() if {*names} <= {*each.get("class", "").split()}]


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def path_points(d: str) -> Iterator[tuple[float, float]]:
    """Where a path of ours goes."""
    x = y = 0.0
    for command, rest in re.findall(r"([MLHVlhZ])([^MLHVlhZ]*)", d):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", rest)]
        match command:
            case "M" | "L":
                x, y = numbers
            case "H":
                (x,) = numbers
            case "V":
                (y,) = numbers
            case "l":
                x, y = x + numbers[0], y + numbers[1]
            case "h":
                x += numbers[0]
        yield x, y


def line_points(line: ET.Element) -> Iterator[tuple[float, float]]:
    for pair in (line.get("points") or "").split():
        x, y = pair.split(",")
        yield float(x), float(y)


def places(element: ET.Element) -> Iterator[tuple[float, float]]:
    """Every point that an element reaches."""
    if d := element.get("d"):
        yield from path_points(d)
    yield from line_points(element)
    x, y = (float(element.get(name) or element.get(f"c{name}") or 0) for name in "xy")
    yield x, y
    if element.tag == f"{SVG}rect":
        yield x + float(element.get("width", 0)), y + float(element.get("height", 0))
    if element.tag == f"{SVG}text":
        wide = 0.5 * (14 if "name" in element.get("class", "") else 11) * len(element.text or "")
        begin = x - wide / 2 if element.get("text-anchor") == "middle" else x
        yield from ((begin, y - 8), (begin + wide, y))


def assert_inside(root: ET.Element) -> None:
    _, _, wide, tall = (float(number) for number in root.get("viewBox", "").split())
    for element in root.iter():
        if element.tag not in (f"{SVG}title", f"{SVG}style"):
            for x, y in places(element):
                assert -0.1 <= x <= wide + 0.1, ET.tostring(element)
                assert -0.1 <= y <= tall + 0.1, ET.tostring(element)


def bodies(root: ET.Element) -> list[tuple[float, float, float, float]]:
    """Left, right, top and bottom of each candle."""
    found = []
    for each in of_class(root, "candle"):
        x, y = zip(*path_points(each.get("d", "")), strict=True)
        found.append((min(x), max(x), min(y), max(y)))
    return found


def assert_labels_are_free(root: ET.Element) -> None:
    """No role's text lies on a candle or on another one's, and all text of the plot is between head and volume."""
    volume = min(float(each.get("y", 0)) for each in of_class(root, "volume"))
    for name in ("role", "entry", "stop", "target"):
        for each in root.iter(f"{SVG}text"):
            if each.get("class") == name:
                assert 38 < float(each.get("y", 0)) - 8 < volume - 8, (each.text, volume)
    boxes = []
    for each in of_class(root, "role"):
        x, y, half = float(each.get("x", 0)), float(each.get("y", 0)), 0.25 * 11 * len(each.text or "")
        boxes.append((x - half, x + half, y - 8, y))
    for at, box in enumerate(boxes):
        for other in [*bodies(root), *boxes[:at]]:
            apart = box[1] <= other[0] or other[1] <= box[0] or box[3] <= other[2] or other[3] <= box[2]
            assert apart, (box, other)


@st.composite
def charts(draws: st.DrawFn) -> tuple[Candles, Found]:
    """Any bars, at any price, with any points on them and any levels."""
    count = draws(st.integers(1, 150))
    scale = draws(st.sampled_from([1e-9, 1e-4, 0.01, 1.0, 1e3, 1e9, 1e15]))
    width = draws(st.sampled_from([0.0, 1e-12, 1e-4, 0.02, 0.9]))
    rng = np.random.default_rng(draws(st.integers(0, 2**32 - 1)))
    prices = scale * (1 + width * rng.uniform(-1, 1, (count, 4)))
    steps = rng.choice([1, 1, 1, 1, 5, 1050], count).cumsum() * MINUTE_US
    candles = Candles(
        NINE_30_US + steps,
        prices[:, 0],
        prices.max(axis=1),
        prices.min(axis=1),
        prices[:, 3],
        rng.integers(0, 3, count),
    )
    role = st.sampled_from(["head", "left shoulder", "neck", "touch_1", "break", "<&>"])
    places = draws(st.lists(st.tuples(role, st.integers(0, count - 1), st.booleans()), max_size=8))
    points = tuple(
        (name, int(candles.ts_us[at]), float((candles.high if top else candles.low)[at])) for name, at, top in places
    )
    level = st.one_of(st.none(), st.floats(-2.0, 3.0).map(lambda share: scale * share))
    levels = {name: draws(level) for name in ("entry", "stop", "target")}
    return candles, found_at(candles, draws(st.integers(0, count - 1)), points, **levels)


@cases(max_examples=200, deadline=None)
@given(chart=charts())
def test_whatever_the_bars_all_is_within_the_frame_and_no_label_lies_on_a_candle(chart: tuple[Candles, Found]) -> None:
    candles, found = chart
    svg = draw(found, candles).svg
    root = drawn(svg)
    assert_inside(root)
    assert_labels_are_free(root)
    assert len(of_class(root, "candle")) == len(of_class(root, "volume")) == len(candles)
    assert [each.text for each in of_class(root, "role")] == [role.replace("_", " ") for role, _, _ in found.points]
    assert len(of_class(root, "level")) == len(found.levels)
    assert "nan" not in svg
    assert "inf" not in svg.replace("info", "")
    assert draw(found, candles).svg == svg


def test_rising_candles_are_hollow_and_falling_ones_filled() -> None:
    candles = candles_of([(10, 12, 9, 11), (11, 12, 9, 10), (10, 10, 10, 10)])
    root = drawn(draw(found_at(candles, 0), candles).svg)
    assert [each.get("class", "").split()[0] for each in of_class(root, "candle")] == ["up", "down", "up"]
    style = root.findtext(f"{SVG}style", "")
    assert re.search(r"\.up\{[^}]*fill:var\(--ground\)", style)
    assert re.search(r"\.down\{[^}]*fill:var\(--down\)", style)


def test_higher_prices_stand_higher_and_a_candle_reaches_from_low_to_high() -> None:
    candles = candles_of([(10, 12, 9, 11), (20, 22, 19, 21)])
    found = found_at(candles, 1, entry=None, stop=None, target=None)
    first, second = bodies(drawn(draw(found, candles).svg))
    assert first[2] > second[3]
    assert (first[3] - first[2]) == pytest.approx(second[3] - second[2])
    assert (first[3] - first[2]) * 13 / 3 == pytest.approx(first[3] - second[2], rel=0.01)


def test_what_it_shows_is_said_in_text() -> None:
    candles = wave()
    root = drawn(draw(found_at(candles, 31, entry=99.91, stop=100.5, target=98.75), candles).svg)
    said = "2025-10-13 10:01 EDT · confidence 0.83"
    assert root.findtext(f"{SVG}title") == f"DoubleTop · bearish · AAPL · {said}"
    assert {"DoubleTop · bearish · AAPL", said, "entry 99.91", "stop 100.50", "target 98.75"} <= {*texts(root)}


def test_names_are_escaped_and_long_ones_cut() -> None:
    candles = wave(20)
    points = (("<b>&", int(candles.ts_us[3]), float(candles.high[3])),)
    svg = draw(found_at(candles, 5, points, symbol='<script>"&\x07', name="N" * 200), candles).svg
    root = drawn(svg)
    assert "<script>" not in svg
    assert root.findtext(f"{SVG}title", "").startswith("N" * 200 + ' · bearish · <script>"&\N{REPLACEMENT CHARACTER}')
    (name,) = of_class(root, "name")
    assert re.fullmatch("N+…", name.text or "")
    assert [each.text for each in of_class(root, "role")] == ["<b>&"]
    assert_inside(root)


def test_the_outline_goes_through_the_points_and_the_last_bar_is_marked() -> None:
    candles = wave()
    points = tuple((str(at), int(candles.ts_us[at]), float(candles.close[at])) for at in (8, 23, 38))
    root = drawn(draw(found_at(candles, 40, points), candles).svg)
    (outline,) = of_class(root, "outline")
    middle = [(left + right) / 2 for left, right, _, _ in bodies(root)]
    assert [x for x, _ in line_points(outline)] == pytest.approx([middle[at] for at in (8, 23, 38)], abs=0.1)
    (mark,) = of_class(root, "mark")
    assert next(path_points(mark.get("d", "")))[0] == pytest.approx(middle[40], abs=0.1)
    (span,) = of_class(root, "span")
    begin, wide = float(span.get("x", 0)), float(span.get("width", 0))
    assert begin < middle[8] < begin + 8
    assert begin + wide - 8 < middle[40] < begin + wide


def test_a_figures_sides_and_its_neckline_go_on_to_the_bar_that_ends_it() -> None:
    candles = wave()
    high, low = float(candles.high.max()), float(candles.low.min())
    above = {"touch_1": 5, "touch_3": 15, "head": 22, "touch_5": 28, "break": 35}
    below = {"touch_2": 10, "neck_1": 18, "touch_4": 20, "neck_2": 24}
    bars = sorted((above | below).items(), key=lambda each: each[1])
    points = tuple((role, int(candles.ts_us[at]), high if role in above else low) for role, at in bars)
    root = drawn(draw(found_at(candles, 35, points), candles).svg)
    middle = [(left + right) / 2 for left, right, _, _ in bodies(root)]
    ends = [[x for x, _ in path_points(each.get("d", ""))] for each in of_class(root, "side")]
    assert ends == [pytest.approx([middle[at], middle[35]], abs=0.1) for at in (5, 10, 18)]
    assert [len({y for _, y in path_points(each.get("d", ""))}) for each in of_class(root, "side")] == [1, 1, 1]


def test_a_side_that_would_leave_the_plot_ends_at_its_last_point() -> None:
    candles = wave()
    low, high = float(candles.low.min()), float(candles.high.max())
    prices = {5: low, 9: low - 5 * (high - low)}
    points = tuple((f"neck_{at}", int(candles.ts_us[at]), price) for at, price in prices.items())
    root = drawn(draw(found_at(candles, 35, points), candles).svg)
    (side,) = of_class(root, "side")
    middle = [(left + right) / 2 for left, right, _, _ in bodies(root)]
    assert [x for x, _ in path_points(side.get("d", ""))] == pytest.approx([middle[5], middle[9]], abs=0.1)


def test_lines_are_drawn_where_they_have_a_price_and_the_second_is_dashed() -> None:
    candles = wave()
    mean = float(candles.close.mean())
    first = np.full(len(candles), mean)
    second = np.where(np.arange(len(candles)) % 10 < 4, np.nan, mean)
    lines = [("SMA 50", first), ("VWAP", second), ("SMA 50", first + 0.01)]
    drawing = draw(found_at(candles, 31), candles, lines=lines)
    root = drawn(drawing.svg)
    solid, dashed, also = of_class(root, "study")
    assert [each.get("class") for each in (solid, dashed, also)] == ["study", "study dashed", "study"]
    assert len([*path_points(solid.get("d", ""))]) == len(candles)
    assert len([*path_points(dashed.get("d", ""))]) == np.isfinite(second).sum()
    assert dashed.get("d", "").count("M") == len(candles) // 10  # it is not joined over what has no price
    assert "SMA 50 —, VWAP - -" in (root.findtext(f"{SVG}title") or "")
    assert_inside(root)
    assert "nan" not in drawing.svg


def test_a_level_far_away_is_told_at_the_edge_and_leaves_the_candles_their_room() -> None:
    candles = wave()
    near, far = (drawn(draw(found_at(candles, 31, target=target), candles).svg) for target in (100.0, 250.0))
    assert "↑ target 250.00" in texts(far)
    tall = [max(b for *_, b in bodies(root)) - min(t for _, _, t, _ in bodies(root)) for root in (near, far)]
    assert tall[1] == pytest.approx(tall[0], rel=0.01)


def test_labels_of_levels_at_one_price_stand_below_each_other() -> None:
    candles = wave()
    found = found_at(candles, 31, entry=100.0, stop=100.0, target=100.01)
    root = drawn(draw(found, candles).svg)
    heights = [float(each.get("y", 0)) for name in ("entry", "stop", "target") for each in of_class(root, name)[1:]]
    assert len(heights) == 3
    assert min(np.diff(sorted(heights))) >= 14


def test_a_page_of_many_can_bring_the_style_once(tmp_path: Path) -> None:
    candles = wave()
    drawing = draw(found_at(candles, 31), candles)
    assert "<style>" not in drawing.content
    assert drawing.svg.count("<style>") == 1
    assert "http" not in drawing.content
    assert drawing._repr_svg_() == drawing.svg
    drawing.save(tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_text(encoding="utf-8") == drawing.svg


def test_no_bar_is_an_error() -> None:
    candles = wave()
    nothing = Candles(*(getattr(candles, name)[:0] for name in ("ts_us", "open", "high", "low", "close", "volume")))
    with pytest.raises(ValueError, match="no bar to draw"):
        draw(found_at(candles, 3), nothing)


class Pointed:
    """Detections that have points and margins, as those of chart patterns have."""

    def __init__(self, detections: tp.Detections, points: list[Point], margins: dict[str, float]) -> None:
        self._detections = detections
        self._points = points
        self._margins = margins

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detections, name)

    def points(self, i: int) -> list[Point]:
        return self._points if i == 0 else []

    def margins(self, i: int) -> Mapping[str, float]:
        return self._margins if i == 0 else {}


def spiked() -> dict[str, Any]:
    bars: dict[str, Any] = {
        "symbol": ["B"] * 100 + ["A"] * 100,
        "ts_us": [NINE_30_US + n * MINUTE_US for n in range(100)] * 2,
        "volume": [100] * 50 + [900] + [100] * 149,
    }
    return bars | {name: [10.0] * 100 + [20.0] * 100 for name in ("open", "high", "low", "close")}


def test_plot_draws_a_row_of_detections_among_the_bars_of_its_symbol() -> None:
    bars = spiked()
    root = drawn(tp.plot(tp.scan(bars, ["volume_spike"]), 0, bars).svg)
    assert "VolumeSpike · neutral · B" in texts(root)
    assert len(of_class(root, "candle")) == 60  # of its own 100
    assert not of_class(root, "outline")
    assert {"9.99", "10.01", "entry 10.00"} <= {*texts(root)}
    shanghai = drawn(tp.plot(tp.scan(bars, ["volume_spike"]), 0, bars, timezone="Asia/Shanghai").svg)
    assert "2025-10-13 22:20 CST · confidence 1.00" in texts(shanghai)


def test_what_a_scan_has_found_draws_itself_among_the_bars_that_were_scanned() -> None:
    bars = spiked()
    found = tp.scan(bars, ["volume_spike"])
    assert found.scanned is bars
    assert found.plot(0).svg == found.plot(0, bars).svg == tp.plot(found, 0, bars).svg
    shanghai = tp.plot(found, 0, bars, timezone="Asia/Shanghai")
    assert found.plot(-len(found), timezone="Asia/Shanghai").svg == shanghai.svg
    with pytest.raises(IndexError):
        found.plot(99)


def test_detections_of_an_engine_are_drawn_among_the_bars_that_are_given() -> None:
    bars = spiked()
    engine = tp.Engine(tp.EngineSettings(patterns=("volume_spike",)))
    found = engine.replay(columns_of_bars(bars), last=True).detections
    assert found.scanned is None
    assert found.plot(0, bars).svg == tp.plot(found, 0, bars).svg
    with pytest.raises(ValueError, match=r"give them, as in plot\(row, bars\)"):
        found.plot(0)


def test_plot_draws_the_points_that_detections_have() -> None:
    bars = spiked()
    points: list[Point] = [("top", NINE_30_US + 20 * MINUTE_US, 10.0), ("break", NINE_30_US + 50 * MINUTE_US, 9.5)]
    found = Pointed(tp.scan(bars, ["volume_spike"]), points, {"depth": 0.4})
    root = drawn(tp.plot(found, 0, bars).svg)
    assert [each.text for each in of_class(root, "role")] == ["top", "break"]
    assert Found.of(found, 0).margins == {"depth": 0.4}
    assert Found.of(found, 0).points == tuple(points)


def test_plot_says_what_it_cannot_draw() -> None:
    bars = spiked()
    found = tp.scan(bars, ["volume_spike"])
    with pytest.raises(IndexError):
        tp.plot(found, 99, bars)
    with pytest.raises(ValueError, match="there is no bar of B"):
        tp.plot(found, 0, {name: column[100:] for name, column in bars.items()})
    with pytest.raises(ValueError, match=r"the bar of B that starts at \d+ µs is not among the bars"):
        tp.plot(found, 0, {name: column[:40] for name, column in bars.items()})


def test_plot_draws_longer_bars_among_their_own_kind_alone() -> None:
    bars = spiked() | {"close": [10.0 + n % 7 / 100 for n in range(100)] * 2}
    bars |= {"high": [11.0] * 200, "low": [9.0] * 200, "open": [10.0] * 200}
    found = tp.scan(bars, ["doji"], settings=tp.EngineSettings(timeframes=("5min",)))
    assert len(found)
    with pytest.raises(ValueError, match=r"give those of 5min, such as tp.resample\(bars, '5min', ...\)"):
        tp.plot(found, 0, bars)
    five = tp.resample(bars, "5min")
    assert len(of_class(drawn(tp.plot(found, 0, five).svg), "candle")) == 13  # it and twelve after it


@pytest.mark.parametrize(("own", "shown"), [(1, 60), (30, 60), (80, 106), (199, 200)])
def test_a_patterns_surroundings_grow_with_it(own: int, shown: int) -> None:
    candles = wave(200)
    last = 150 if own < 150 else 199
    found = found_at(candles, last, first_us=int(candles.ts_us[last - own + 1]))
    assert len(candles.around(found)) == shown


@cases(max_examples=300)
@given(low=st.floats(1e-9, 1e12), share=st.floats(1e-9, 10))
def test_ticks_are_round_and_within_the_axis(low: float, share: float) -> None:
    axis = PriceAxis(low, low * (1 + share), 0, 100)
    ticks = axis.ticks()
    rounding = 4 * np.spacing(axis.high)
    assert all(axis.low - rounding <= tick <= axis.high + rounding for tick in ticks)
    assert 1 <= len(ticks) <= 7
    seen = 1e-6 < low < 1e9 and share > 1e-5  # beyond that, nobody would read the decimals that tell them apart
    assert not seen or len({axis.tick_text(tick) for tick in ticks}) == len(ticks)
    heights = [axis.y(tick) for tick in ticks]
    assert heights == sorted(heights, reverse=True)


def test_steps_are_one_two_two_and_a_half_and_five() -> None:
    assert [round_step(span, 1.0) for span in (0.9, 1.0, 1.1, 2.2, 3, 7)] == [1, 1, 2, 2.5, 5, 10]


@pytest.mark.parametrize(
    ("price", "high", "text"),
    [
        (227.43, 228.0, "227.43"),
        (99.85000000000001, 101.0, "99.85"),
        (0.02277, 0.0231, "0.02277"),
        (1234567.5, 1240000.0, "1,234,567.50"),
        (3e15, 4e15, "3e+15"),
    ],
)
def test_a_price_has_its_own_decimals(price: float, high: float, text: str) -> None:
    assert PriceAxis(price * 0.99, high, 0, 100).text(price) == text


def labels(starts: list[int], slot: float = 8.0) -> list[tuple[int, str, bool]]:
    return list(time_labels(starts, slot, ZoneInfo(ZONE), 58.0))


def test_time_labels_are_round_local_times_and_days_where_they_begin() -> None:
    day = [NINE_30_US + n * MINUTE_US for n in range(30)]
    assert labels(day) == [(0, "09:30", False), (10, "09:40", False), (20, "09:50", False)]
    assert labels([*day, *(us + DAY_US for us in day)]) == [
        *[(0, "09:30", False), (10, "09:40", False), (20, "09:50", False)],
        *[(30, "Oct 14", True), (40, "09:40", False), (50, "09:50", False)],
    ]
    assert labels([NINE_30_US + 7 * MINUTE_US]) == [(0, "09:37", False)]


def test_the_hour_that_comes_twice_is_labelled_twice() -> None:
    begin = 1_762_061_400_000_000  # 2025-11-02 01:30 EDT
    assert [text for _, text, _ in labels([begin + n * MINUTE_US for n in range(0, 120, 10)], slot=60.0)][3:9:3] == [
        "01:00",
        "01:30",
    ]
