"""The table of rates as pictures: SVG, drawn by hand, the same bytes for the same table; light and dark."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from html import escape
from math import ceil, floor, sqrt
from typing import Final

from tickstockpl.calibration import Calibration, Check, Group
from tickstockpl.proportions import wilson
from tickstockpl.rate_words import finding, has_several, named, ranked

_STYLE: Final = """
svg { background: var(--page); font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
svg { --page: #ffffff; --text: #1f2328; --quiet: #656d76; --line: #d0d7de; --plus: #0969da; --minus: #bc4c00;
      --none: #8c959f; }
@media (prefers-color-scheme: dark) {
  svg { --page: #0d1117; --text: #e6edf3; --quiet: #8d96a0; --line: #30363d; --plus: #58a6ff; --minus: #f0883e;
        --none: #6e7681; }
}
text { fill: var(--text); } .quiet { fill: var(--quiet); } .grid { stroke: var(--line); stroke-width: 1; }
.axis { stroke: var(--quiet); stroke-width: 1; } .title { font-size: 15px; font-weight: 600; }
.plus { fill: var(--plus); stroke: var(--plus); } .minus { fill: var(--minus); stroke: var(--minus); }
.none { fill: var(--none); stroke: var(--none); } .bar { stroke: none; opacity: .55; }
.whisker { stroke-width: 1.5; fill: none; } .dot { stroke: var(--page); stroke-width: 1; opacity: .8; }
.curve { stroke: var(--text); stroke-width: 1.5; fill: none; } .end { text-anchor: end; }
.middle { text-anchor: middle; }
"""
Scale = Callable[[float], float]
_CLASS: Final = {"+": "plus", "-": "minus", "0": "none"}

_ROW, _TOP, _LEFT, _RIGHT, _WIDTH = 15, 92, 236, 92, 860
_TIMEFRAME = 72
"""What the names of rows take beside, where they bear a timeframe."""
_SIDE, _FRAME = 560, 64

_STEP: Final = 200
"""Events of a step of the line."""

LEAST: Final = 30
"""Events of a pattern from which on it is drawn: the interval of fewer fills the picture."""


def bars_svg(calibration: Calibration) -> str:
    """Every pattern's rate less its base rate, sorted, with its 95 % interval."""
    groups = [group for group in ranked(calibration) if group.pooled.n >= LEAST]
    ends = [edge - g.base_rate for g in groups for edge in (g.pooled.hit_lo, g.pooled.hit_hi)]
    reach = max(5, 5 * ceil(max((abs(100 * end) for end in ends), default=5) / 5))
    height = _TOP + _ROW * len(groups) + 40
    aside = _TIMEFRAME if has_several(calibration) else 0
    left, width = _LEFT + aside, _WIDTH + aside
    middle = (left + width - _RIGHT) / 2
    scale = (width - _RIGHT - left) / 2 / reach

    def x(share: float) -> float:
        return middle + 100 * share * scale

    bottom = _TOP + _ROW * len(groups)
    out = [
        _text(16, 24, "How often a pattern was followed by what it says, beside any bar", "title"),
        _text(16, 44, "Rate less base rate in percentage points, with 95 % interval; right: events."),
        _text(16, 60, "Blue: more often than any bar. Orange: less often. Grey: cannot be told apart.", "quiet"),
    ]
    for tick in range(-reach, reach + 1, 5):
        at = x(tick / 100)
        out.append(_line(at, _TOP - 4, at, bottom, "axis" if tick == 0 else "grid"))
        label = f"{tick:+d}" if tick else "0"
        out += [_text(at, up, label, "quiet middle") for up in (_TOP - 10, bottom + 16)]
    for number, group in enumerate(groups):
        y = _TOP + _ROW * number + _ROW / 2
        out += [
            _text(left - 8, y + 4, named(group, calibration), "end"),
            *_bar(group, y, x),
            _text(width - 16, y + 4, f"{group.pooled.n:,}", "quiet end"),
        ]
    return _svg(width, height, out)


def _bar(group: Group, y: float, x: Scale) -> Iterator[str]:
    pooled, kind = group.pooled, _CLASS[group.pooled.edge]
    rate, low, high = (edge - group.base_rate for edge in (pooled.hit_rate, pooled.hit_lo, pooled.hit_hi))
    left, right = sorted((x(0.0), x(rate)))
    yield f'<rect class="bar {kind}" x="{left:.1f}" y="{y - 4.5:.1f}" width="{right - left:.1f}" height="9"/>'
    yield _line(x(low), y, x(high), y, f"whisker {kind}")
    yield f'<circle class="{kind}" cx="{x(rate):.1f}" cy="{y:.1f}" r="2.5"/>'


def reliability_svg(calibration: Calibration) -> str:
    """What was published of each row beside what came later; on the diagonal the two are equal.

    Without a held-out check there is none to draw: the picture says so.
    """
    held = calibration.held_out
    title = _text(16, 24, "Published rates and what came later", "title")
    if held is None or not held.checks:
        return _svg(_SIDE + 60, 60, [title, _text(16, 46, "No row was held against later data.", "quiet")])
    checks = sorted(held.checks, key=lambda check: (check.inside, -check.n, check.key[1:3], str(check.key[3])))[::-1]
    rates = [check.published for check in checks] + [check.hits / check.n for check in checks]
    first, last = floor(20 * min(rates)) / 20, ceil(20 * max(rates)) / 20
    size = _SIDE - 2 * _FRAME + 40

    def x(rate: float) -> float:
        return _FRAME + (rate - first) / (last - first) * size

    def y(rate: float) -> float:
        return 76 + size - (rate - first) / (last - first) * size

    out = [
        title,
        _text(
            16, 44, f"One dot a row, {held.inside} of {len(checks)} within the 95 % band (blue); larger: more events."
        ),
        _text(16, 60, "Line: rows of two points together, with 95 % intervals. Diagonal: as published.", "quiet"),
    ]
    for step in range(round(20 * first), round(20 * last) + 1):
        rate = step / 20
        out.append(_line(x(rate), y(first), x(rate), y(last), "grid"))
        out.append(_line(x(first), y(rate), x(last), y(rate), "grid"))
        out.append(_text(x(rate), y(first) + 18, f"{100 * rate:.0f} %", "quiet middle"))
        out.append(_text(x(first) - 8, y(rate) + 4, f"{100 * rate:.0f} %", "quiet end"))
    out.append(_line(x(first), y(first), x(last), y(last), "axis"))
    out.append(_text(x((first + last) / 2), y(first) + 36, "published", "middle"))
    turn = f"rotate(-90 14 {y((first + last) / 2):.1f})"
    out.append(f'<text class="middle" x="14" y="{y((first + last) / 2):.1f}" transform="{turn}">came later</text>')
    for check in checks:
        kind, radius = ("plus" if check.inside else "minus"), min(9.0, 1.5 + sqrt(check.n) / 8)
        at = f'cx="{x(check.published):.1f}" cy="{y(check.hits / check.n):.1f}" r="{radius:.1f}"'
        out.append(f'<circle class="dot {kind}" {at}/>')
    out += _curve(checks, x, y)
    return _svg(_SIDE + 60, 76 + size + 50, out)


def _curve(checks: list[Check], x: Scale, y: Scale) -> Iterator[str]:
    """Rows in steps of two points of the published rate, each with the interval of what came of all of them."""
    divided = {check.key[:3] for check in checks if check.key[3] is not None}
    steps: dict[int, list[Check]] = defaultdict(list)
    for check in checks:
        if check.key[3] is not None or check.key[:3] not in divided:  # no event twice
            steps[round(50 * check.published)].append(check)
    points = []
    for _, rows in sorted(steps.items()):
        n, hits = sum(row.n for row in rows), sum(row.hits for row in rows)
        if n < _STEP:
            continue
        published = sum(row.published * row.n for row in rows) / n
        low, high = (float(end) for end in wilson(hits, n))
        points.append((x(published), y(hits / n)))
        yield _line(x(published), y(low), x(published), y(high), "curve")
    path = " ".join(f"{at:.1f},{up:.1f}" for at, up in points)
    yield f'<polyline class="curve" points="{path}"/>'


def page_html(calibration: Calibration) -> str:
    """Both pictures and the finding, as one page that needs nothing else."""
    said = "\n".join(f"<dt>{escape(each.about)}</dt><dd>{escape(each.text)}</dd>" for each in finding(calibration))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Measured rates: {escape(calibration.dataset.name)}</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }}
body {{ max-width: 900px; margin: 2rem auto; padding: 0 1rem; background: light-dark(#ffffff, #0d1117);
       color: light-dark(#1f2328, #e6edf3); }}
dt {{ font-weight: 600; }} dd {{ margin: 0 0 .8rem; }} svg {{ max-width: 100%; height: auto; }}
</style></head><body>
<h1>Measured rates: {escape(calibration.dataset.name)}</h1>
<dl>
{said}
</dl>
{bars_svg(calibration)}
{reliability_svg(calibration)}
</body></html>
"""


def _svg(width: float, height: float, parts: list[str]) -> str:
    body = "\n".join(parts)
    box = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n<style>{_STYLE}</style>\n{body}\n</svg>\n'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
