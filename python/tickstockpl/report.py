"""What was found in history as one page of HTML, which needs no other file and no network: how often, and examples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from tickstockpl.drawing import STYLE, draw
from tickstockpl.findings import Example, Findings, Tally
from tickstockpl.found import DIRECTIONS, Found
from tickstockpl.moments import moment_at
from tickstockpl.vocabulary import TIERS, TIMEFRAME

SPARE = 3
"""So many times the examples that are shown are needed, for some to be of other symbols and days."""


class Rated(Protocol):
    """What became of a pattern, as `tickstockpl calibrate` has measured it."""

    @property
    def hit_rate(self) -> float: ...
    @property
    def hit_lo(self) -> float: ...
    @property
    def hit_hi(self) -> float: ...
    @property
    def n(self) -> int: ...
    @property
    def base_rate(self) -> float: ...
    @property
    def edge(self) -> str:
        """`+`, `-` or `0`."""
        ...


Rates = Mapping[tuple[str, int, str], Rated]
"""By pattern's id, direction and timeframe."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page is made of."""

    source: str
    """Which bars were looked through."""
    sessions: str
    """The hours of them that count."""
    timezone: str
    made: datetime
    findings: Findings
    examples: int = 3
    """Of a pattern, at most."""
    timeframe: str = TIMEFRAME
    """Of the bars."""
    rates: Rates = field(default_factory=dict)
    """None: no column of them."""

    def html(self) -> str:
        """The whole page."""
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        findings, zone = self.findings, ZoneInfo(self.timezone)
        begun, ended = (moment_at(us or 0).astimezone(zone) for us in (findings.first_us, findings.last_us))
        symbols = "one symbol" if findings.symbols == 1 else f"{findings.symbols:,} symbols"
        title = f"Patterns in {self.source}"
        yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        yield f"<title>{_text(title)}</title>\n<style>\n{_PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n"
        yield f'<header>\n<h1 id="top">{_text(title)}</h1>\n'
        yield (
            f"<p><strong>{findings.found:,}</strong> found in "
            f"<strong>{findings.bars:,}</strong> bars of {self.timeframe}, of "
            f"<strong>{symbols}</strong>, {begun:%Y-%m-%d} to {ended:%Y-%m-%d}.</p>\n"
        )
        yield (
            f"<p>{_text(self.sessions)}; times are those of {_text(self.timezone)}. "
            f"Made {self.made.astimezone(zone):%Y-%m-%d %H:%M %Z}.</p>\n"
        )
        yield f"<details>\n<summary>How to read this page</summary>\n<p>{_HOW}</p>\n"
        yield f"{f'<p>{_HOW_RATES}</p>' if self.rates else ''}</details>\n</header>\n<main>\n"
        yield from self._summary()
        for pattern in dict.fromkeys(tally.pattern for tally in findings.most_frequent()):
            yield from self._section(pattern)
        yield f"</main>\n<script>\n{_SORT}</script>\n</body>\n</html>\n"

    def _summary(self) -> Iterator[str]:
        yield '<section>\n<h2>How often</h2>\n<div class="wide" tabindex="0" role="region" aria-label="How often">\n'
        yield "<table>\n<thead><tr>"
        for name in (*_COUNTED, *(_MEASURED if self.rates else ()), "first", "last"):
            sort = ' aria-sort="descending"' if name == "found" else ""
            kind = "" if name in ("pattern", "direction") else _NUMBER
            yield f'<th scope="col"{sort}{kind}><button type="button">{name}</button></th>'
        yield "</tr></thead>\n<tbody>\n"
        for tally in self.findings.most_frequent():
            yield f"<tr>{''.join(self._cells(tally))}</tr>\n"
        yield "</tbody>\n</table>\n</div>\n</section>\n"

    def _cells(self, tally: Tally) -> Iterator[str]:
        pattern, direction = self.findings.patterns[tally.pattern], DIRECTIONS[tally.direction]
        zone = ZoneInfo(self.timezone)
        link = f'<a href="#{pattern["id"]}">{_text(pattern["name"])}</a>'
        yield f'<th scope="row">{link} <code>{pattern["id"]}</code></th>'
        yield f"<td>{_ARROWS[tally.direction]} {direction}</td>"
        yield _number(tally.found, f"{tally.found:,}")
        per_1000 = 1000 * tally.found / self.findings.bars
        yield _number(per_1000, f"{per_1000:,.2f}")
        yield _number(tally.symbols, f"{tally.symbols:,}")
        yield _number(tally.confidence, f"{tally.confidence:.2f}")
        if self.rates:
            yield from _rate_cells(self.rates.get((pattern["id"], tally.direction, self.timeframe)))
        for us in (tally.first_us, tally.last_us):
            yield _number(us, f"{moment_at(us).astimezone(zone):%Y-%m-%d}")

    def _section(self, number: int) -> Iterator[str]:
        pattern = self.findings.patterns[number]
        name, of = _text(pattern["name"]), f"Source: {_text(pattern['source'])}."
        yield f'<section id="{pattern["id"]}">\n<h2>{name} <code>{pattern["id"]}</code></h2>\n<p class="quiet">'
        counts = [
            f"{tally.found:,} {DIRECTIONS[tally.direction]}"
            for (each, _), tally in sorted(self.findings.tallies.items())
            if each == number
        ]
        yield f'{" and ".join(counts)}. Needs {_bars(pattern["bars"])}. {of}</p>\n<div class="examples">\n'
        for example in self._chosen(number):
            yield _figure(example, self.timezone)
        yield '</div>\n<p class="back"><a href="#top">to the table</a></p>\n</section>\n'

    def _chosen(self, number: int) -> list[Example]:
        """Examples of a pattern, by lot; each of a direction, symbol and day that are shown least, if there is one."""
        zone = ZoneInfo(self.timezone)
        pool = [each for (of, _), some in sorted(self.findings.examples.items()) if of == number for each in some]
        chosen: list[Example] = []

        def shown(example: Example) -> tuple[int, int, int, int]:
            found = [each.found for each in chosen]
            day = moment_at(example.found.ts_us).astimezone(zone).date()
            return (
                sum(each.direction == example.found.direction for each in found),
                sum(each.symbol == example.found.symbol for each in found),
                sum(moment_at(each.ts_us).astimezone(zone).date() == day for each in found),
                example.lot,
            )

        while pool and len(chosen) < self.examples:
            best = min(pool, key=shown)
            pool.remove(best)
            chosen.append(best)
        return chosen


def _figure(example: Example, timezone: str) -> str:
    found = example.found
    facts = [f"confidence {found.confidence:.2f}", *(f"{name} {_price(price)}" for name, price in found.levels.items())]
    facts += [f"{_text(known)} at {_bar(timeframe, ts_us, timezone)}" for known, timeframe, ts_us in found.members]
    if (ratio := _reward(found)) is not None:
        facts.append(f"reward {ratio:.1f} times the risk")
    drawing = draw(found, example.candles, timezone)
    caption = f"<figcaption>{' · '.join(facts)}{_margins(found.margins)}</figcaption>"
    if drawing.width <= _LONG:
        return f"<figure>\n{drawing.content}\n{caption}\n</figure>\n"
    name = _text(f"{found.name} of {found.symbol}")
    scrolled = f'<div class="wide" tabindex="0" role="region" aria-label="{name}">{drawing.content}</div>'
    return f'<figure class="long">\n{scrolled}\n{caption}\n</figure>\n'


def _bar(timeframe: str, ts_us: int, timezone: str) -> str:
    """When it began; of one longer than a minute how long it is, too."""
    begun = moment_at(ts_us).astimezone(ZoneInfo(timezone))
    told = f"{begun:%Y-%m-%d}" if timeframe in TIERS else f"{begun:%H:%M}"
    return told if timeframe == TIMEFRAME else f"{told} ({timeframe})"


def _price(price: float) -> str:
    return f"{price:.6g}" if abs(price) < 1e5 else f"{price:,.2f}"


def _reward(found: Found) -> float | None:
    """How far away the target is, in distances of the stop."""
    if found.entry is None or found.stop is None or found.target is None or found.stop == found.entry:
        return None
    return abs(found.target - found.entry) / abs(found.entry - found.stop)


def _margins(margins: Mapping[str, float]) -> str:
    """Each margin as a bar; a full one is 1, or the largest of them."""
    if not margins:
        return ""
    largest = max(1.0, *map(abs, margins.values()))
    rows = "".join(
        f'<tr><th scope="row">{_text(name.replace("_", " "))}</th>'
        f'<td><span class="bar" style="width:{100 * abs(value) / largest:.0f}%"></span></td>'
        f"<td{_NUMBER}>{value:.2f}</td></tr>"
        for name, value in margins.items()
    )
    return f'<table class="margins"><caption>inside of its thresholds: 0 just, 1 by far</caption>{rows}</table>'


def _rate_cells(rate: Rated | None) -> Iterator[str]:
    if rate is None or not rate.n:
        yield from ['<td class="n" data-value="-2">–</td>'] * len(_MEASURED)
        return
    yield _number(rate.hit_rate, f"{rate.hit_rate:.3f}")
    yield _number(rate.hit_lo, f"{rate.hit_lo:.3f} to {rate.hit_hi:.3f}")
    yield _number(rate.base_rate, f"{rate.base_rate:.3f}")
    said = {"+": "+ above", "-": "− below", "0": "none"}[rate.edge]
    yield _number({"+": 1, "-": -1, "0": 0}[rate.edge], said)
    yield _number(rate.n, f"{rate.n:,}")


def _number(value: float, text: str) -> str:
    sorted_by = value if isinstance(value, int) else f"{value:.9g}"
    return f'<td{_NUMBER} data-value="{sorted_by}">{text}</td>'


def _bars(count: int) -> str:
    return "one bar" if count == 1 else f"{count} bars"


def _text(value: Any) -> str:
    """What may stand between tags and in quotes."""
    return escape("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value)))


_LONG = 640.0
"""Pixels of a drawing from which it has a row of its own."""

_NUMBER = ' class="n"'
_COUNTED = ("pattern", "direction", "found", "per 1,000 bars", "symbols", "mean confidence")
_MEASURED = ("hit rate", "95 % interval", "base rate", "edge", "events")
_ARROWS = {1: "▲", -1: "▼", 0: "–"}

_HOW = """\
Bars are those in session; per 1,000 bars says how often a pattern is there. Confidence is how well a shape matches its
definition, 0 to 1; it is no chance of a gain. Examples are drawn by lot, not chosen for their beauty: the same data
give the same ones. In a picture rising candles are hollow and falling ones filled, the shaded bars made the pattern,
and the triangle marks the bar at whose close it was found; what follows was not known then. Levels are a convention,
not advice."""
_HOW_RATES = """\
Hit rate: the share of measured events after which the price went a fixed distance in the pattern's direction before it
went as far against it, drawn to the base rate where events are few. Base rate: the same of all bars. Edge: where the
two differ by more than chance."""

_PAGE_STYLE = """\
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1f2328;--soft:#57606a;--edge:#d8dde2;--link:#0a5fc4;
--tint:#7a3fb0}
@media(prefers-color-scheme:dark){:root{--page:#0d0f12;--card:#14171b;--text:#e6e9ec;--soft:#9aa4ae;--edge:#2a3037;
--link:#6cb0ff;--tint:#c79bf2}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:100rem;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .25rem}
p{margin:.25rem 0;max-width:60rem}
a{color:var(--link)}
code{color:var(--soft);font-size:.85em;font-weight:400}
.quiet,figcaption,caption,details p{color:var(--soft)}
.quiet{overflow-wrap:anywhere}
details{margin:.5rem 0}
summary{cursor:pointer}
section{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:1rem;margin:1rem 0;
scroll-margin-top:.5rem}
.wide{overflow-x:auto}
.wide:focus-visible,a:focus-visible,button:focus-visible,summary:focus-visible{outline:2px solid var(--tint);
outline-offset:2px}
main>section>.wide>table{border-spacing:0;width:100%;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{text-align:left;padding:.25rem .6rem;font-weight:400}
main>section>.wide tbody>tr>*{border-top:1px solid var(--edge)}
tbody tr:hover{background:color-mix(in srgb,var(--tint) 8%,transparent)}
.n{text-align:right}
thead th{vertical-align:bottom;white-space:normal}
thead button{all:unset;cursor:pointer;color:var(--soft);font-size:.85rem}
[aria-sort=ascending] button::after{content:"\\a0↑"}
[aria-sort=descending] button::after{content:"\\a0↓"}
main>section>.wide tbody th{position:sticky;left:0;background:var(--card)}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,28rem),1fr));gap:1rem;margin-top:.75rem}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;height:auto}
.long{grid-column:1/-1}
.long svg{max-width:64rem}
figcaption{font-size:.85rem;font-variant-numeric:tabular-nums;padding:.25rem .6rem}
.margins{border-collapse:collapse;margin-top:.25rem;width:100%;max-width:26rem}
.margins caption{text-align:left}
.margins th,.margins td{padding:0 .5rem 0 0;border:0}
.margins td:nth-child(2){width:60%}
.bar{display:block;height:.5rem;border-radius:3px;background:var(--tint);min-width:1px}
.back{text-align:right;font-size:.85rem;margin:.5rem 0 0 auto}
@media(max-width:40rem){body{padding:.5rem}section{padding:.6rem}main>section>.wide tbody code{display:block}
th,td{padding:.25rem .4rem}.long svg{width:44rem;max-width:none!important}}
@media print{body{max-width:none;background:none;font-size:11px}section{border:0;padding:0}figure,tr{break-inside:avoid}
h2,.quiet{break-after:avoid}.back,details,thead button::after{display:none!important}.wide{overflow:visible}
.examples{grid-template-columns:1fr 1fr}}
"""

_SORT = """\
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), row = head.parentElement, at = [...row.children].indexOf(head);
    const down = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("n") ||
      head.getAttribute("aria-sort") === "ascending";
    for (const each of row.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = row.closest("table").tBodies[0], value = (line) => line.cells[at].dataset.value;
    const compare = (a, b) => head.classList.contains("n") ? value(a) - value(b)
      : a.cells[at].textContent.localeCompare(b.cells[at].textContent);
    body.append(...[...body.rows].sort((a, b) => down ? compare(b, a) : compare(a, b)));
  });
}
"""
