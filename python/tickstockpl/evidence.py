"""Measured detections of history, and the table of rates that is made of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickstockpl.barriers import LOST, UNRESOLVED, WON, Barriers, BaseCounts, Found, Outcomes
from tickstockpl.calibration import DIRECTIONS, Base, Bucket, Calibration, Dataset, Edge, Group, Parameters
from tickstockpl.proportions import Trend, adjusted, trend, two_sided, wilson

I8 = NDArray[np.int8]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Events of one timeframe whose outcome is known, and what all of its bars came to. Columns of equal length."""

    timeframe: str
    ids: tuple[str, ...]
    """What `pattern` counts."""
    pattern: NDArray[np.int16]
    direction: I8
    quality: F64
    won: I8
    """`WON`, `LOST` or `UNRESOLVED`; what is still open, or has no barrier, is no evidence."""
    target: I8
    """The same codes, and those of `OPEN` and `UNMEASURED`, of the event's own target and stop."""
    even: F64
    """risk / (risk + reward) of its levels; NaN without."""
    session_us: I64
    """The open of its session; of bars of a day and longer their start."""
    base: BaseCounts

    @classmethod
    def of(
        cls, detections: Found, came: Outcomes, barriers: Barriers, ids: Sequence[str], timeframe: str = "1min"
    ) -> "Evidence":
        """What detections on these bars have come to."""
        known = np.flatnonzero(np.isin(came.result, (WON, LOST, UNRESOLVED)))
        risk = np.abs(detections.entry - detections.stop)[known]
        with np.errstate(invalid="ignore"):  # 0 / 0: no levels
            even = risk / (risk + np.abs(detections.target - detections.entry)[known])
        return cls(
            timeframe=timeframe,
            ids=tuple(ids),
            pattern=detections.pattern[known].astype(np.int16),
            direction=detections.direction[known].astype(np.int8),
            quality=detections.confidence[known],
            won=came.result[known],
            target=came.target[known],
            even=even,
            session_us=came.session_us[known],
            base=barriers.base(),
        )

    @classmethod
    def joined(cls, parts: Sequence["Evidence"]) -> "Evidence":
        """Those of several symbols as one; of one timeframe and the same ids."""
        first = parts[0]
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
        base = BaseCounts.joined([part.base for part in parts])
        return cls(timeframe=first.timeframe, ids=first.ids, base=base, **columns)

    def __len__(self) -> int:
        return len(self.pattern)

    def within(self, first_us: int, until_us: int) -> "Evidence":
        """Events and bars of the sessions that open in [first_us, until_us).

        No outcome reaches over the end of its session, so nothing in one part was decided in another; of bars of a day
        and longer, which wait on, the next `horizon` of them decide.
        """
        chosen = (self.session_us >= first_us) & (self.session_us < until_us)
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in _COLUMNS}
        base = self.base.within(first_us, until_us)
        return Evidence(timeframe=self.timeframe, ids=self.ids, base=base, **columns)

    def groups(self) -> Iterator[tuple[str, int, I64]]:
        """Pattern, direction and rows of each group with an event, patterns in the order of `ids`, bullish first."""
        place = {direction: at for at, direction in enumerate(DIRECTIONS)}
        order = np.array([place[direction] for direction in (-1, 0, 1)], dtype=np.int64)
        key = self.pattern.astype(np.int64) * 3 + order[self.direction.astype(np.int64) + 1]
        rows = np.argsort(key, kind="stable")
        names = list(DIRECTIONS)
        edges = np.flatnonzero(np.diff(key[rows])) + 1
        for part in np.split(rows, edges) if len(rows) else ():
            pattern, direction = divmod(int(key[part[0]]), 3)
            yield self.ids[pattern], names[direction], part


_COLUMNS = ("pattern", "direction", "quality", "won", "target", "even", "session_us")


class Count(NamedTuple):
    """k of n."""

    n: int
    hits: int

    @classmethod
    def of(cls, won: I8) -> "Count":
        """Of events; unresolved ones do not count."""
        return cls(int((won != UNRESOLVED).sum()), int((won == WON).sum()))


class _Draft(NamedTuple):
    """A group before the tests of the whole table are seen together."""

    pattern: str
    direction: int
    timeframe: str
    base_rate: float
    edges: tuple[float, float]
    counts: list[Count]
    """Pooled, then the terciles, if there are any."""
    unresolved: int
    trend: Trend
    targets: Count
    even: float


def tabulate(
    evidence: Sequence[Evidence],
    parameters: Parameters,
    dataset: Dataset,
    definitions: Mapping[str, str],
    made_at_us: int,
) -> Calibration:
    """The table of rates; `calibration` has its formulas.

    evidence: one of each timeframe. definitions: of each pattern that was looked for, found or not.
    The terciles of a group divide the qualities of its events as evenly as their ties allow. Whether quality predicts
    outcome is the Cochran-Armitage trend over them, a discovery at the same share of false ones over all groups.
    Raises ValueError if no bar of a timeframe was resolved: there is nothing to compare with.
    """
    for part in evidence:
        if not part.base.resolved.sum():
            raise ValueError(f"no bar of {part.timeframe} was followed by one that touches a barrier")
    drafts = [draft for part in evidence for draft in _drafts(part)]
    cells = [(draft, count) for draft in drafts for count in draft.counts]
    p_values = [two_sided(count.hits, count.n, draft.base_rate) for draft, count in cells]
    tested = [at for at, (_, count) in enumerate(cells) if count.n]
    q_values = np.ones(len(cells))
    q_values[tested] = adjusted([p_values[at] for at in tested])
    buckets = iter(
        [
            _bucket(count, draft.base_rate, p, q, parameters)
            for (draft, count), p, q in zip(cells, p_values, q_values.tolist(), strict=True)
        ]
    )
    trended = [at for at, draft in enumerate(drafts) if len(draft.counts) > 1]
    trend_q = np.ones(len(drafts))
    trend_q[trended] = adjusted([drafts[at].trend.p_value for at in trended])
    groups = []
    for draft, q in zip(drafts, trend_q.tolist(), strict=True):
        pooled, *terciles = (next(buckets) for _ in draft.counts)
        named = (draft.pattern, draft.direction, draft.timeframe, draft.base_rate, draft.edges)
        trends = (draft.trend.z, draft.trend.p_value, q)
        targets = (draft.targets.n, draft.targets.hits, draft.even)
        groups.append(Group(*named, pooled, tuple(terciles), draft.unresolved, *trends, *targets))
    bases = [_base(part) for part in evidence]
    overall = {
        name: _sum(d.trend for d in drafts if d.direction == direction).z for direction, name in DIRECTIONS.items()
    }
    return Calibration(made_at_us, dataset, parameters, dict(definitions), tuple(bases), tuple(groups), overall)


def _base(part: Evidence) -> Base:
    counts = part.base
    bars, up, down, resolved = (int(c.sum()) for c in (counts.bars, counts.up, counts.down, counts.resolved))
    return Base(part.timeframe, bars, up, down, resolved, float(counts.reach.sum()) / resolved)


def _drafts(part: Evidence) -> Iterator[_Draft]:
    for pattern, direction, rows in part.groups():
        won, quality = part.won[rows], part.quality[rows]
        low, high = (float(edge) for edge in np.quantile(quality, (1 / 3, 2 / 3), method="inverted_cdf"))
        third = (quality > low).astype(np.int64) + (quality > high)
        terciles = [Count.of(won[third == at]) for at in range(3)]
        divided = sum(count.n > 0 for count in terciles) > 1
        settled = np.isin(part.target[rows], (WON, LOST))
        targets = Count.of(part.target[rows][settled])
        yield _Draft(
            *(pattern, direction, part.timeframe, part.base.rate(direction), (low, high)),
            [Count.of(won), *(terciles if divided else ())],
            int((won == UNRESOLVED).sum()),
            trend([c.hits for c in terciles], [c.n for c in terciles]) if divided else Trend(0.0, 0.0),
            targets,
            # rounded once, so that the order in which symbols came does not tell
            math.fsum(part.even[rows][settled].tolist()) / targets.n if targets.n else 0.0,
        )


def _bucket(count: Count, base_rate: float, p: float, q: float, parameters: Parameters) -> Bucket:
    m = parameters.prior
    low, high = (float(end) for end in wilson(count.hits, count.n))
    edge: Edge = "0"
    if count.n and q <= parameters.false_share:
        edge = "+" if low > base_rate else "-" if high < base_rate else "0"
    return Bucket(count.n, count.hits, (count.hits + m * base_rate) / (count.n + m), low, high, p, q, edge)


def _sum(trends: Iterator[Trend]) -> Trend:
    excess, variance = 0.0, 0.0
    for each in trends:
        excess, variance = excess + each.excess, variance + each.variance
    return Trend(excess, variance)
