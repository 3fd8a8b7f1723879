"""The table of rates as a page in Markdown, written by `tickstockpl calibrate --markdown`, never by hand."""

import textwrap
from collections.abc import Iterator

from tickstockpl.calibration import DIRECTIONS, TERCILES, Calibration, Group
from tickstockpl.moments import moment_at
from tickstockpl.rate_words import finding, has_several, percent, ranked, row_named, told, verdict

_MADE = "<!-- Written by `tickstockpl calibrate --markdown`: changes are lost when it is written again. -->"

_WIDTH = 125

_COLUMNS = (
    *("pattern", "direction", "events", "won", "rate", "95 % interval", "any bar", "edge"),
    *("low", "middle", "high", "quality", "target"),
)

_HOW = """\
An event's outcome is what came of it within the next {horizon} bars of the same symbol and session, measured from
the close of the bar it ends on. Let *a* be the average true range there (Wilder's, 14 bars; a session's first bar
counts with its own range, without the gap before it).

* **Won**: price went {barrier:g} *a* the way the event points before it went as far against it. **Lost**: the other
  way round, or both within one bar, whose order nobody knows. **Unresolved**: neither; such events are in no rate. A
  neutral pattern is measured as if it said up.
* The wait ends with the session. A stop that is left standing overnight is filled at the next open, wherever that is,
  and an opening gap is many times the range of a minute: what such a trade gains or loses is not ± *a*. Of bars of a
  day and of a week nights are a part: their wait goes on.
* **Any bar** is the base rate: the same, measured from every bar of the data, in the same direction.
* **Rate** = (won + {prior} × base rate) / (events + {prior}): few events say little. It is what an event is told
  (`hit_rate`). The **interval** is Wilson's, 95 %, of won / events as they were.
* **Edge**: `+` or `-` if the interval lies beyond the base rate and the two-sided binomial test is a discovery, at a
  share of false ones of {false} over all rows, thirds included (Benjamini and Hochberg). `0`: it cannot be told apart
  from any bar.
* **Low, middle, high**: the rate by third of match quality. **Quality**: whether it predicts the outcome, by the test
  of Cochran and Armitage for a trend over the thirds, at the same share of false discoveries.
* **Target**: of events whose own target or stop was reached within the wait, the share whose target came first, and
  after the stroke the share at which such levels neither gain nor lose.
* In parentheses: refuted by later data, see below; such an event is told the base rate.

The numbers leave out spread, fees and slippage, which make every real result worse. And the intervals take events for
independent, which those of one minute and the next are not, and symbols move together: what that does, the moved events
above say."""


def page(calibration: Calibration, *, pictures: str | None = None) -> str:
    """The page.

    pictures: the folder of `rates.svg` and `reliability.svg`, as seen from the page; None: without them.
    """
    return "\n".join(_lines(calibration, pictures)) + "\n"


def _lines(calibration: Calibration, pictures: str | None) -> Iterator[str]:
    told_with, data = calibration.parameters, calibration.dataset
    yield from ("# Measured rates", "", _MADE, "")
    yield "How often patterns were followed by what they say, in one set of data, and what that is worth. In short:"
    yield ""
    said = list(finding(calibration))
    yield from (textwrap.fill(f"* **{each.about}.** {each.text}", _WIDTH, subsequent_indent="  ") for each in said)
    yield from ("", "## The data", "")
    yield textwrap.fill(
        f"{data.name}: {data.bars:,} one-minute bars of {data.symbols} symbols, {_day(data.first_us)} to "
        f"{_day(data.last_us)}, of which those in sessions ({data.sessions}) count. SHA-256 of symbols, stamps, "
        f"prices and volumes: `{data.digest[:16]}…`. Made on {_day(calibration.made_at_us)} by "
        f"`tickstockpl calibrate`; `scripts/calibrate_market.py` renews the page that goes with the project.",
        _WIDTH,
    )
    yield from ("", "## How it is measured", "")
    yield _HOW.format(
        horizon=told_with.horizon,
        barrier=told_with.barrier,
        prior=told_with.prior,
        false=percent(told_with.false_share, 0),
    )
    if pictures is not None:
        yield from ("", f"![Rates of all patterns beside the base rate]({pictures}/rates.svg)")
    yield from ("", "## All patterns", "")
    yield from _table(calibration)
    yield from ("", "## Held against later data", "")
    yield from _held_out(calibration, pictures)


def _table(calibration: Calibration) -> Iterator[str]:
    yield textwrap.fill(
        f"In percent, best beside its base rate first; {len(calibration.groups)} rows. Looked for and "
        f"never found: {', '.join(_absent(calibration)) or 'none'}.",
        _WIDTH,
    )
    yield ""
    by_timeframe = has_several(calibration)
    yield f"| {' | '.join(('bars', *_COLUMNS) if by_timeframe else _COLUMNS)} |"
    yield ("|---" if by_timeframe else "") + "|---|---|--:|--:|--:|:-:|--:|:-:|--:|--:|--:|---|--:|"
    for group in ranked(calibration):
        cells = _cells(group, calibration.parameters.false_share)
        yield f"| {' | '.join((group.timeframe, *cells) if by_timeframe else cells)} |"


def _cells(group: Group, false_share: float) -> Iterator[str]:
    pooled = group.pooled
    yield from (f"`{group.pattern}`", DIRECTIONS[group.direction], f"{pooled.n:,}")
    yield f"{100 * pooled.hits / pooled.n:.1f}" if pooled.n else "–"
    yield told(pooled)
    yield f"{100 * pooled.hit_lo:.1f} to {100 * pooled.hit_hi:.1f}" if pooled.n else "–"
    yield f"{100 * group.base_rate:.1f}"
    yield f"`{pooled.edge}`"
    thirds = group.terciles or (None,) * len(TERCILES)
    yield from (
        "–" if bucket is None else told(bucket) + (f" `{bucket.edge}`" if bucket.edge != "0" else "")
        for bucket in thirds
    )
    yield verdict(group, false_share)
    yield f"{100 * group.target_hits / group.targets:.0f} / {100 * group.target_even:.0f}" if group.targets else "–"


def _absent(calibration: Calibration) -> list[str]:
    found = {group.pattern for group in calibration.groups}
    return [f"`{name}`" for name in calibration.definitions if name not in found]


def _held_out(calibration: Calibration, pictures: str | None) -> Iterator[str]:
    held = calibration.held_out
    if held is None:
        yield "This table was not held against later data (`--holdout`)."
        return
    yield from (
        textwrap.fill(next(said.text for said in finding(calibration) if said.about == "Later data"), _WIDTH),
        "",
        f"{held.thin} rows have too few later events to be judged.",
    )
    if pictures is not None:
        yield from ("", f"![Published rates and what came later]({pictures}/reliability.svg)")
    outside = [check for check in held.checks if not check.inside]
    if not outside:
        return
    yield from ("", "Rows outside, in percent; their events are told the base rate:", "")
    yield "| row | any bar | published | came later | later events |"
    yield "|---|--:|--:|--:|--:|"
    for check in outside:
        rates = " | ".join(f"{100 * rate:.1f}" for rate in (check.base, check.published, check.hits / check.n))
        yield f"| {row_named(check.key, calibration)} | {rates} | {check.n:,} |"


def _day(us: int) -> str:
    return f"{moment_at(us):%Y-%m-%d}"
