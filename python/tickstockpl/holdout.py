"""A table judged by what came after it: made on the earlier part of the data, compared with the later."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from tickstockpl.barriers import UNRESOLVED, WON
from tickstockpl.calibration import Calibration, Check, Group, HeldOut
from tickstockpl.evidence import Count, Evidence, tabulate
from tickstockpl.proportions import Z_95, tails
from tickstockpl.vocabulary import INTERVALS_S

MIN_EVENTS = 30
"""A row with fewer later events is not judged: the band of so few holds nearly every rate."""

_EVER_US = 2**62
_TAIL = 0.025


def cut_at(evidence: Sequence[Evidence], share: float) -> tuple[int, float]:
    """The open of a session such that the share of bars from there on comes nearest to `share`; and that share.

    Time is counted in bars, so that years without data are none. Raises ValueError with fewer than two sessions.
    """
    opens, code = np.unique(np.concatenate([part.base.session_us for part in evidence]), return_inverse=True)
    if len(opens) < 2:
        raise ValueError(f"a part can be held out of at least 2 sessions, there is {len(opens)}")
    bars = np.bincount(code, np.concatenate([part.base.bars for part in evidence]))
    later = 1 - np.cumsum(bars)[:-1] / bars.sum()
    at = int(np.argmin(np.abs(later - share)))
    return int(opens[at + 1]), float(later[at])


def judged(made: Calibration, evidence: Sequence[Evidence], share: float) -> Calibration:
    """The table of all the data, in which the rows that a held-out check has refuted give the base rate.

    made: of all of `evidence`. share: of the bars, the newest; see `cut_at`.
    Raises ValueError if there are too few sessions, or nothing was resolved in the earlier part of a timeframe.
    """
    held_out = check(made, evidence, share)
    return replace(made.without(held_out.refuted()), held_out=held_out)


def check(made: Calibration, evidence: Sequence[Evidence], share: float) -> HeldOut:
    """Make the table of the earlier part as `made` was made, and hold the later part against it.

    A row is borne out if what came, k of n, lies within the central 95 % of a binomial variable of the published rate,
    that is if Clopper and Pearson's interval of k of n holds the rate.
    """
    cut_us, later_share = cut_at(evidence, share)
    early = [part.within(-_EVER_US, _decided_us(part, cut_us, made.parameters.horizon)) for part in evidence]
    late = [part.within(cut_us, _EVER_US) for part in evidence]
    table = tabulate(early, made.parameters, made.dataset, made.definitions, made.made_at_us)
    rows = [row for part in late for row in _rows(table, part)]
    checks = [row for row, _ in rows if row.n >= MIN_EVENTS]
    chances = [_chance(row.n, n, made.parameters.prior) for row, n in rows if row.n >= MIN_EVENTS]
    scores = [_squares(table, part) for part in late]
    published, base, quality = (np.concatenate(columns) for columns in zip(*scores, strict=True))
    # rounded once, so that the order in which symbols came does not tell
    sums = [math.fsum(squares.tolist()) for squares in (published, base, quality)]
    means = [total / len(published) if len(published) else None for total in sums]
    expected = float(np.mean(chances)) if chances else 1.0
    return HeldOut(cut_us, later_share, tuple(checks), expected, len(rows) - len(checks), len(published), *means)


def _decided_us(part: Evidence, cut_us: int, horizon: int) -> int:
    """Until when events may begin whose outcome is known by `cut_us`.

    On bars of a day and longer that is `horizon` of them earlier.
    Source: López de Prado (2018), Advances in Financial Machine Learning, ch. 7.4.1, purging.
    """
    if part.timeframe in INTERVALS_S:
        return cut_us
    starts = part.base.session_us
    at = int(np.searchsorted(starts, cut_us)) - horizon
    return int(starts[at]) if at >= 0 else -_EVER_US


def _chance(later: int, earlier: int, prior: int) -> float:
    """How likely a rate that has not changed lies inside.

    What comes scatters around it by p·q / later, the published rate by p·q · earlier / (earlier + prior)²; the band
    knows of the first alone.
    """
    return erf(Z_95 / sqrt(2.0 * (1.0 + later * earlier / (earlier + prior) ** 2)))


def _rows(table: Calibration, part: Evidence) -> Iterator[tuple[Check, int]]:
    """Each row of the table that has later events, beside them; and how many events it is made of."""
    groups = {(group.pattern, group.direction): group for group in table.groups if group.timeframe == part.timeframe}
    for pattern, direction, rows in part.groups():
        group = groups.get((pattern, direction))
        if group is None:
            continue
        third = _terciles(group, part.quality[rows])
        for tercile, bucket in group.buckets():
            count = Count.of(part.won[rows] if tercile is None else part.won[rows][third == tercile])
            if count.n:
                inside, base_inside = (
                    min(tails(count.hits, count.n, rate)) > _TAIL for rate in (bucket.hit_rate, group.base_rate)
                )
                key = (part.timeframe, pattern, direction, tercile)
                yield Check(key, bucket.hit_rate, group.base_rate, *count, inside, base_inside), bucket.n


def _terciles(group: Group, quality: NDArray[np.float64]) -> NDArray[np.int64]:
    return (quality > group.edges[0]).astype(np.int64) + (quality > group.edges[1])


def _squares(table: Calibration, part: Evidence) -> tuple[NDArray[np.float64], ...]:
    """(rate - outcome)² of each resolved event: of the rate it would have been told, the base rate, its quality."""
    told = table.index(part.ids, part.timeframe).rates(part.pattern, part.direction, part.quality)
    resolved = (part.won != UNRESOLVED) & ~np.isnan(told.hit_rate)
    won = (part.won == WON)[resolved]
    return tuple((column[resolved] - won) ** 2 for column in (told.hit_rate, told.base_rate, part.quality))
