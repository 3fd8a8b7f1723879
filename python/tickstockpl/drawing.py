"""One pattern among the bars around it, as a candlestick chart: text in, SVG out, the same each time.

Rising candles are hollow and falling ones filled, so that their colours are not needed to tell them apart. A drawing
brings its own background, light or dark as the reader's system is, and needs no other file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tickstockpl.axes import PriceAxis, span_of, time_labels
from tickstockpl.found import Candles, Found
from tickstockpl.moments import moment_at
from tickstockpl.vocabulary import TIMEFRAMES

ZONE = "America/New_York"

STYLE = """\
.tickstockpl-chart{--ground:#fff;--ink:#1f2328;--quiet:#57606a;--grid:#e3e7eb;--up:#00795a;--down:#c4480b;--line:#7a3fb0;
--goal:#0a5fc4;font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;max-width:100%;
height:auto}
@media(prefers-color-scheme:dark){.tickstockpl-chart{--ground:#14171b;--ink:#e6e9ec;--quiet:#9aa4ae;--grid:#2a3037;
--up:#2fbf96;--down:#f5824a;--line:#c79bf2;--goal:#6cb0ff}}
.tickstockpl-chart .ground{fill:var(--ground)}
.tickstockpl-chart text{fill:var(--quiet)}
.tickstockpl-chart .name{fill:var(--ink);font-size:14px;font-weight:600}
.tickstockpl-chart .grid{stroke:var(--grid);fill:none}
.tickstockpl-chart .up{stroke:var(--up);fill:var(--ground)}
.tickstockpl-chart .down{stroke:var(--down);fill:var(--down)}
.tickstockpl-chart .volume{opacity:.55}
.tickstockpl-chart .span{fill:var(--line);opacity:.13}
.tickstockpl-chart .mark{fill:var(--line)}
.tickstockpl-chart .outline{stroke:var(--line);fill:none;stroke-width:1.8;stroke-linejoin:round}
.tickstockpl-chart .side{stroke:var(--line);fill:none;stroke-width:1.2;stroke-dasharray:2 3}
.tickstockpl-chart .study{stroke:var(--quiet);fill:none;stroke-width:1.3;stroke-linejoin:round}
.tickstockpl-chart .dashed{stroke-dasharray:4 3}
.tickstockpl-chart .point{fill:var(--ground);stroke:var(--line);stroke-width:1.5}
.tickstockpl-chart .leader{stroke:var(--line);opacity:.5}
.tickstockpl-chart .role{fill:var(--line);font-weight:600}
.tickstockpl-chart .level{fill:none;stroke-dasharray:5 4;stroke-width:1.2}
.tickstockpl-chart .entry{stroke:var(--ink)}
.tickstockpl-chart .stop{stroke:var(--down)}
.tickstockpl-chart .target{stroke:var(--goal)}
.tickstockpl-chart text.entry{fill:var(--ink);stroke:none;font-weight:600}
.tickstockpl-chart text.stop{fill:var(--down);stroke:none;font-weight:600}
.tickstockpl-chart text.target{fill:var(--goal);stroke:none;font-weight:600}
"""
"""Of every drawing; a page that shows many needs it once."""

_LEFT, _HEAD, _FOOT, _GAP = 10.0, 46.0, 22.0, 10.0
_PRICES, _VOLUME = 220.0, 38.0
"""Heights of the candles and of the volume below them."""

_FONT = 11.0
_ROW = 14.0
"""What a line of text takes."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture; a notebook shows it where it is the last value of a cell."""

    content: str
    """The SVG as it stands in a page of HTML that brings `STYLE`."""
    width: float
    """In pixels, at the size at which its text is made to be read."""

    @property
    def svg(self) -> str:
        """The picture as a file, complete."""
        head, _, rest = self.content.partition(">")
        return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}'

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write it to a file, `.svg` by custom.

        Raises OSError.
        """
        Path(path).write_text(self.svg, encoding="utf-8")


def plot(detections: Any, i: int, bars: Any, *, timezone: str = ZONE) -> Drawing:
    """The pattern of the row `i` among the bars around it: outline, levels, and the bar on which it ends.

    detections: `Detections` of `scan` or an engine. bars: those that were looked through, as `scan` takes them; of a
    pattern on a longer bar those of its timeframe, as `resample` makes them. timezone: of the time axis.
    Raises IndexError if there is no such row, ValueError if its bar is not among `bars`.

    >>> import tickstockpl as tp
    >>> bars = {"symbol": ["A"] * 21, "ts_us": [n * 60_000_000 for n in range(21)], "volume": [100] * 20 + [900]}
    >>> bars |= {name: [10.0] * 21 for name in ("open", "high", "low", "close")}
    >>> tp.plot(tp.scan(bars, ["volume_spike"]), 0, bars).svg[:4]
    '<svg'
    """
    found = Found.of(detections, i)
    candles = Candles.of(bars, found.symbol)
    if found.ts_us not in candles.ts_us:
        raise ValueError(f"the bar of {found.symbol} that starts at {found.ts_us} µs is not among the bars")
    timeframe = TIMEFRAMES[int(detections.timeframe[i])]
    if candles.close[candles.ts_us == found.ts_us] != detections.close[i]:
        raise ValueError(
            f"the bar of {found.symbol} that starts at {found.ts_us} µs is another one among the bars: give those of "
            f"{timeframe}, such as tp.resample(bars, {timeframe!r}, ...)"
        )
    return draw(found, candles.around(found), timezone)


Line = tuple[str, NDArray[np.float64]]
"""What it is called, and its price at each bar; NaN for none."""


def draw(found: Found, candles: Candles, timezone: str = ZONE, *, lines: Sequence[Line] = ()) -> Drawing:
    """The pattern among all of these bars.

    lines: such as averages, of which those called like the first one are solid, others dashed.
    Raises ValueError if there is no bar.
    """
    if not len(candles):
        raise ValueError("there is no bar to draw")
    chart = _Chart(found, candles, ZoneInfo(timezone), lines)
    return Drawing("".join(chart.parts()), chart.width)


class _Chart:
    """Where everything stands: the plot from `left` to `right`, prices above, volume below."""

    def __init__(self, found: Found, candles: Candles, zone: ZoneInfo, lines: Sequence[Line]) -> None:
        self.found = found
        self.candles = candles
        self.zone = zone
        self.lines = lines
        self.count = len(candles)
        prices = [*candles.low.tolist(), *candles.high.tolist(), *candles.open.tolist(), *candles.close.tolist()]
        near = [*found.levels.values(), *(price for _, line in lines for price in line.tolist())]
        low, high = span_of([*prices, *(price for _, _, price in found.points)], near)
        plot = min(max(6.5 * self.count, 360.0), 900.0)
        self.left, self.right = _LEFT, _LEFT + plot
        self.slot = plot / self.count
        top, edge = _HEAD, 0.0
        for rows in range(2 * len(found.points) + 2):
            # the labels of one side may stand on each other: as many rows are kept free as they turn out to need
            edge = 6.0 + rows * _ROW
            self.prices = PriceAxis(low, high, top + edge, top + edge + _PRICES)
            self.labels = list(self._placed())
            if all(top <= label.y - _FONT and label.y + 3.0 <= self.prices.bottom + edge for label in self.labels):
                break
        self.top, self.bottom = top, self.prices.bottom + edge
        self.volume_bottom = self.bottom + _GAP + _VOLUME
        self.height = self.volume_bottom + _FOOT
        texts = [self.prices.tick_text(price) for price in self.prices.ticks()]
        texts += [text for _, text, _ in self._levels()]
        self.width = self.right + 15.0 + max(map(_wide, texts), default=0.0)

    def parts(self) -> Iterator[str]:
        found = self.found
        at = moment_at(found.ts_us).astimezone(self.zone)
        name = f"{found.name} · {found.direction} · {found.symbol}"
        facts = f"{at:%Y-%m-%d %H:%M %Z} · confidence {found.confidence:.2f}"
        if names := list(dict.fromkeys(name for name, _ in self.lines)):
            facts += f" · {names[0]} —" + "".join(f", {each} - -" for each in names[1:])
        yield (
            f'<svg class="tickstockpl-chart" role="img" width="{_n(self.width)}" height="{_n(self.height)}" '
            f'viewBox="0 0 {_n(self.width)} {_n(self.height)}">'
        )
        yield f"<title>{_text(f'{name} · {facts}')}</title>"
        yield f'<rect class="ground" width="{_n(self.width)}" height="{_n(self.height)}" rx="6"/>'
        room = self.width - 2 * _LEFT
        yield f'<text class="name" x="{_n(_LEFT)}" y="20">{_text(_cut(name, room, 14.0))}</text>'
        yield f'<text x="{_n(_LEFT)}" y="36">{_text(_cut(facts, room, _FONT))}</text>'
        yield from self._grid()
        yield from self._span()
        yield from self._volume()
        yield from self._level_lines()
        yield from self._candles()
        yield from self._studies()
        yield from self._sides()
        yield from self._outline()
        yield "</svg>"

    def _x(self, at: float) -> float:
        """The middle of a bar."""
        return self.left + (at + 0.5) * self.slot

    def _place(self, ts_us: int) -> int:
        """The bar that starts then, or the next one; the last one for what is later."""
        return min(int(np.searchsorted(self.candles.ts_us, ts_us)), self.count - 1)

    def _grid(self) -> Iterator[str]:
        taken = [y for y, _, _ in self._levels()]
        for price in self.prices.ticks():
            y = self.prices.y(price)
            yield f'<path class="grid" d="M{_n(self.left)} {_n(y)}H{_n(self.right)}"/>'
            if all(abs(y - other) >= _ROW for other in taken):
                yield f'<text x="{_n(self.right + 9)}" y="{_n(y + 4)}">{self.prices.tick_text(price)}</text>'
        yield f'<path class="grid" d="M{_n(self.left)} {_n(self.volume_bottom)}H{_n(self.right)}"/>'
        for at, text, is_day in time_labels(self.candles.ts_us.tolist(), self.slot, self.zone, 58.0):
            x = self._x(at)
            if is_day:
                edge = x - self.slot / 2
                yield f'<path class="grid" d="M{_n(edge)} {_n(self.top)}V{_n(self.volume_bottom)}"/>'
            half = _wide(text) / 2
            x = min(max(x, self.left + half), self.right - half)
            yield f'<text x="{_n(x)}" y="{_n(self.volume_bottom + 15)}" text-anchor="middle">{text}</text>'

    def _span(self) -> Iterator[str]:
        """The pattern's own bars, and a mark at the one on which it ends."""
        first, last = self._place(self.found.first_us), self._place(self.found.ts_us)
        x, wide = self._x(first) - self.slot / 2, (last - first + 1) * self.slot
        yield (
            f'<rect class="span" x="{_n(x)}" y="{_n(self.top)}" width="{_n(wide)}" '
            f'height="{_n(self.volume_bottom - self.top)}"/>'
        )
        x, y = self._x(last), self.bottom + _GAP - 1
        yield f'<path class="mark" d="M{_n(x)} {_n(y - 8)}l5 8h-10z"/>'

    def _volume(self) -> Iterator[str]:
        most = max(1.0, float(self.candles.volume.max()))
        wide = self._body()
        for at, volume in enumerate(self.candles.volume.tolist()):
            tall = max(0.0, volume) / most * _VOLUME
            x, y = self._x(at) - wide / 2, self.volume_bottom - tall
            kind = self._kind(at)
            yield (f'<rect class="{kind} volume" x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(tall)}"/>')

    def _candles(self) -> Iterator[str]:
        candles, wide = self.candles, self._body()
        columns = (candles.open, candles.high, candles.low, candles.close)
        for at, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            first, high, low, last = (self.prices.y(price) for price in row)
            x, above, below = self._x(at), min(first, last), max(first, last)
            yield (
                f'<path class="{self._kind(at)} candle" d="M{_n(x)} {_n(high)}V{_n(above)}M{_n(x)} {_n(below)}'
                f'V{_n(low)}M{_n(x - wide / 2)} {_n(above)}H{_n(x + wide / 2)}V{_n(below)}H{_n(x - wide / 2)}Z"/>'
            )

    def _body(self) -> float:
        """How wide a candle is."""
        return min(0.64 * self.slot, 14.0)

    def _kind(self, at: int) -> str:
        return "up" if self.candles.close[at] >= self.candles.open[at] else "down"

    def _outline(self) -> Iterator[str]:
        if not self.labels:
            return
        line = " ".join(f"{_n(label.point_x)},{_n(label.point_y)}" for label in self.labels)
        yield f'<polyline class="outline" points="{line}"/>'
        for label in self.labels:
            end = label.y + 2.0 if label.above else label.y - _FONT + 1.0
            if abs(end - label.point_y) > _ROW:
                yield f'<path class="leader" d="M{_n(label.point_x)} {_n(label.point_y)}V{_n(end)}"/>'
            yield f'<circle class="point" cx="{_n(label.point_x)}" cy="{_n(label.point_y)}" r="2.6"/>'
        for label in self.labels:
            yield (
                f'<text class="role" x="{_n(label.x)}" y="{_n(label.y)}" text-anchor="middle">'
                f"{_text(label.text)}</text>"
            )

    def _studies(self) -> Iterator[str]:
        """The lines that were given, where they are within the plot."""
        for name, prices in self.lines:
            kind = "study" if name == self.lines[0][0] else "study dashed"
            way, goes_on = [], False
            for at, price in enumerate(prices.tolist()):
                if is_seen := self.prices.holds(price):
                    way.append(f"{'L' if goes_on else 'M'}{_n(self._x(at))} {_n(self.prices.y(price))}")
                goes_on = is_seen
            yield f'<path class="{kind}" d="{"".join(way)}"/>'

    def _sides(self) -> Iterator[str]:
        """The lines that a figure lies between, or its neckline, on to the bar that ends it."""
        sides: dict[tuple[str, bool], list[_Label]] = {}
        for (role, _, _), label in zip(self.found.points, self.labels, strict=True):
            kind = role.partition("_")[0]
            if kind in {"touch", "neck"}:
                sides.setdefault((kind, label.above), []).append(label)
        end = self._x(self._place(self.found.ts_us))
        for first, *_, last in (side for side in sides.values() if len(side) > 1):
            x, y = last.point_x, last.point_y
            if end > x > first.point_x:
                further = y + (y - first.point_y) / (x - first.point_x) * (end - x)
                x, y = (end, further) if self.top <= further <= self.bottom else (x, y)
            yield f'<path class="side" d="M{_n(first.point_x)} {_n(first.point_y)}L{_n(x)} {_n(y)}"/>'

    def _placed(self) -> Iterator["_Label"]:
        """A label for each point: beyond all candles above or below which it stands, and beyond other labels."""
        put: list[_Label] = []
        for role, ts_us, price in self.found.points:
            at = self._place(ts_us)
            point_x, point_y = self._x(at), self.prices.y(price)
            text = _cut(role.replace("_", " "), self.right - self.left, _FONT)
            half = _wide(text) / 2 + 2.0
            x = min(max(point_x, self.left + half), self.right - half)
            low = max(0, int((x - half - self.left) / self.slot))
            high = min(self.count, int((x + half - self.left) / self.slot) + 1)
            middle = (float(self.candles.high[at]) + float(self.candles.low[at])) / 2
            above = price >= middle
            if above:
                y = min(self.prices.y(float(self.candles.high[low:high].max())), point_y) - 6.0
            else:
                y = max(self.prices.y(float(self.candles.low[low:high].min())), point_y) + 6.0 + _FONT
            beside = [other for other in put if other.above == above and abs(other.x - x) < other.half + half]
            while any(abs(other.y - y) < _ROW for other in beside):
                y += -_ROW if above else _ROW
            label = _Label(text, x, y, half, above, point_x, point_y)
            put.append(label)
            yield label

    def _levels(self) -> list[tuple[float, str, str]]:
        """Height, text and name of each level's label, from the top: apart from each other, and within the plot."""
        rows = []
        for name, price in self.found.levels.items():
            arrow = "" if self.prices.holds(price) else "↑ " if price > self.prices.high else "↓ "
            rows.append((self.prices.y(price), f"{arrow}{name} {self.prices.text(price)}", name))
        rows.sort(key=lambda row: row[0])
        apart = [y for y, _, _ in rows]
        for at in range(1, len(apart)):
            apart[at] = max(apart[at], apart[at - 1] + _ROW)
        for at in range(len(apart) - 1, -1, -1):
            below = apart[at + 1] - _ROW if at + 1 < len(apart) else self.prices.bottom
            apart[at] = min(apart[at], below)
        return [(y, text, name) for y, (_, text, name) in zip(apart, rows, strict=True)]

    def _level_lines(self) -> Iterator[str]:
        begin = self._x(self._place(self.found.ts_us))
        for y, text, name in self._levels():
            at = self.prices.y(self.found.levels[name])
            yield (
                f'<path class="level {name}" d="M{_n(begin)} {_n(at)}H{_n(self.right)}L{_n(self.right + 6)} {_n(y)}"/>'
                f'<text class="{name}" x="{_n(self.right + 9)}" y="{_n(y + 4)}">{text}</text>'
            )


@dataclass(frozen=True, slots=True)
class _Label:
    """A role's text, its middle at `x` and its line at `y`, and the point that it belongs to."""

    text: str
    x: float
    y: float
    half: float
    above: bool
    point_x: float
    point_y: float


def _n(value: float) -> str:
    """A coordinate, to a tenth."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def _text(value: str) -> str:
    """What may stand between tags: XML has no way to write most control characters."""
    return escape("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value))


def _wide(text: str, size: float = _FONT) -> float:
    """How wide a text may be, in any of the fonts."""
    return sum(0.62 if sign.isascii() else 1.0 for sign in text) * size


def _cut(text: str, room: float, size: float) -> str:
    """The text, or what there is room for of it."""
    if _wide(text, size) <= room:
        return text
    while text and _wide(text + "…", size) > room:
        text = text[:-1]
    return text + "…"
