"""How often patterns were followed by what they say: the table of measured rates, and what an event is told of it.

A rate is of a pattern, its direction, a timeframe and a third of the match quality (tercile). Of n resolved events k
were won (`barriers` says what that is); p0 is the base rate: the same barriers at all bars, in the same direction.

hit_rate        (k + m · p0) / (n + m), m = 30: few events say little, and are drawn to the base rate. It is the mean of
                the posterior of a rate whose prior is Beta(m · p0, m · (1 - p0)); Gelman et al. (2013), Bayesian Data
                Analysis, 3rd ed., ch. 2.4.
hit_lo, hit_hi  Wilson's 95 % interval of k of n, as they were observed; `proportions.wilson`.
edge            "+" or "-" where k of n differs from p0 by more than chance: the two-sided binomial test is a discovery
                at a share of false ones of 10 % over the whole table (Benjamini & Hochberg), and the interval lies
                beyond p0. Else "0".

What an event is told is its tercile's row; without one (too few qualities to divide) that of the whole pattern. A row
that a held-out check has refuted gives the base rate in its place, and so does a direction that has not been seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
F64 = NDArray[np.float64]
Edge = Literal["+", "-", "0"]

DIRECTIONS: Final = {1: "bullish", -1: "bearish", 0: "neutral"}
TERCILES: Final = ("low", "middle", "high")
_POOLED = 3
_SIGNS: Final[dict[Edge, int]] = {"+": 1, "-": -1, "0": 0}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a table is made with."""

    horizon: int = 20
    """Bars that a barrier may take."""
    barrier: float = 1.0
    """How far each is away, in average true ranges."""
    prior: int = 30
    """m: the events that the base rate counts for."""
    false_share: float = 0.10
    """Of the edges, at most so many are false on average."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Which bars a table is made of. `digest`: SHA-256 of symbols, stamps, prices and volumes, in hexadecimal."""

    name: str
    sessions: str
    """The hours that its bars lie in."""
    symbols: int
    bars: int
    first_us: int
    last_us: int
    digest: str


@dataclass(frozen=True, slots=True)
class Base:
    """What all bars came to in one timeframe, whatever a pattern said."""

    timeframe: str
    bars: int
    up: int
    down: int
    resolved: int
    reach: float
    """How far a barrier is away, as a share of the price; mean over the resolved bars."""

    def rate(self, direction: int) -> float:
        """p0 of a direction; of 0 that of 1."""
        return (self.down if direction < 0 else self.up) / self.resolved


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of an event's chances. Where `hit_rate` is the base rate itself, n is 0 and the interval 0 to 1."""

    hit_rate: float
    hit_lo: float
    hit_hi: float
    n: int
    base_rate: float
    edge: Edge


@dataclass(frozen=True, slots=True)
class Rates:
    """The same of many events, in columns; NaN, with n and edge 0, where nothing is known of a pattern."""

    hit_rate: F64
    hit_lo: F64
    hit_hi: F64
    n: I64
    base_rate: F64
    edge: I8
    """1 "+", -1 "-", 0 "0"."""

    def __len__(self) -> int:
        return len(self.hit_rate)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One row of the table: k of n, and what follows of it."""

    n: int
    hits: int
    hit_rate: float
    hit_lo: float
    hit_hi: float
    p_value: float
    """Of the two-sided binomial test against the base rate."""
    q_value: float
    """The smallest share of false discoveries at which the row is one."""
    edge: Edge
    refuted: bool = False
    """A held-out check contradicts it: what is published is the base rate."""


@dataclass(frozen=True, slots=True)
class Group:
    """All of one pattern, direction and timeframe."""

    pattern: str
    direction: int
    timeframe: str
    base_rate: float
    edges: tuple[float, float]
    """The qualities up to which the lower and the middle third reach, included."""
    pooled: Bucket
    terciles: tuple[Bucket, ...]
    """By rising quality; three, or none where the qualities cannot be divided."""
    unresolved: int
    """Events that touched neither barrier; they are in no rate."""
    trend_z: float
    """Cochran-Armitage over the terciles: above 0 better shapes won more often."""
    trend_p: float
    trend_q: float
    """The smallest share of false discoveries, over all groups, at which the trend is one."""
    targets: int
    """Events whose own target or stop was touched within the wait."""
    target_hits: int
    """Of them the target first."""
    target_even: float
    """The share at which these targets and stops neither gain nor lose: the mean of risk / (risk + reward)."""

    def rate(self, tercile: int | None) -> Rate:
        """What an event of a tercile, 0 to 2, is told; None: its quality is not known."""
        bucket = self.pooled
        if tercile is not None and self.terciles and self.terciles[tercile].n:
            bucket = self.terciles[tercile]
        if bucket.refuted:
            return _nothing_but(self.base_rate)
        return Rate(bucket.hit_rate, bucket.hit_lo, bucket.hit_hi, bucket.n, self.base_rate, bucket.edge)

    def tercile(self, quality: float) -> int:
        """The third that a quality lies in, 0 to 2."""
        return int(quality > self.edges[0]) + int(quality > self.edges[1])

    def buckets(self) -> Iterator[tuple[int | None, Bucket]]:
        """The pooled row, None, then the terciles with events, 0 to 2."""
        yield None, self.pooled
        for tercile, bucket in enumerate(self.terciles):
            if bucket.n:
                yield tercile, bucket


def _nothing_but(base_rate: float) -> Rate:
    """The rate of no events: the formulas of the module with k = n = 0."""
    return Rate(base_rate, 0.0, 1.0, 0, base_rate, "0")


Key = tuple[str, str, int, int | None]
"""A bucket's name: timeframe, pattern, direction, tercile (None: pooled)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One row on the later part of the data: what was published, and what came."""

    key: Key
    published: float
    base: float
    """The base rate of the earlier part."""
    n: int
    hits: int
    inside: bool
    """`hits` of `n` lies within the 95 % band of a binomial variable of the published rate."""
    base_inside: bool
    """The same of `base`."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A table made on the earlier part of the data, judged by the later."""

    cut_us: int
    """The later part begins here, at the open of a session."""
    share: float
    """Of the bars that lie in it."""
    checks: tuple[Check, ...]
    expected: float
    """The share of them that would lie inside if no rate had changed; below 0.95, since each is itself an estimate."""
    thin: int
    """Rows with too few later events to be judged."""
    events: int
    """Later events that were resolved, whose rates the scores below are of."""
    brier_published: float | None
    """Mean of (rate - outcome)², Brier (1950), Monthly Weather Review 78, 1-3: less is better. None: no events."""
    brier_base: float | None
    brier_quality: float | None
    """Of the match quality, taken for a probability."""

    @property
    def inside(self) -> int:
        """How many rows the later part bears out."""
        return sum(check.inside for check in self.checks)

    @property
    def base_inside(self) -> int:
        """How many it would bear out if the base rate had been published for each."""
        return sum(check.base_inside for check in self.checks)

    def refuted(self) -> frozenset[Key]:
        """The rows that it does not."""
        return frozenset(check.key for check in self.checks if not check.inside)


@dataclass(frozen=True, slots=True)
class Placebo:
    """What the same tests find where there is nothing to be found: events moved along within their sessions."""

    rounds: int
    rows: int
    """Pooled rows that were tested, in one family."""
    found: int
    """Edges among them where they stand."""
    found_moved: tuple[int, ...]
    """Edges in each round."""
    widening: float | None
    """By how much rates scatter more than independent events would: the median, over rows, of root mean squares;
    None without a row of 200 events."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The whole table. `rate` answers for one event, `index` for columns of them."""

    made_at_us: int
    dataset: Dataset
    parameters: Parameters
    definitions: Mapping[str, str]
    """Of each pattern that was looked for an id that changes with its definition; without one its rate is unknown."""
    bases: tuple[Base, ...]
    groups: tuple[Group, ...]
    overall_z: Mapping[str, float]
    """The trends over quality of all groups of a direction, by its name, added up."""
    held_out: HeldOut | None = None
    placebo: Placebo | None = None

    def rate(self, pattern_id: str, direction: int, timeframe: str, quality: float) -> Rate | None:
        """What an event is told: its tercile's rate, else its pattern's, else the base rate; None: unknown pattern.

        direction: 1, -1 or 0. quality: the event's match quality, 0 to 1; NaN where there is none. O(groups): for many
        events ask an `index`.
        """
        group = self._groups(timeframe).get((pattern_id, direction))
        tercile = None if group is None or np.isnan(quality) else group.tercile(quality)
        return self._told(group, pattern_id, direction, timeframe, tercile)

    def index(
        self, ids: Sequence[str], timeframe: str = "1min", definitions: Mapping[str, str] | None = None
    ) -> "RateIndex":
        """The rates by position in `ids`, for columns of events; made once, asked for each batch.

        definitions: of each pattern what its definition is now; one that was another then is unknown.
        """
        now = self.definitions if definitions is None else definitions
        groups = self._groups(timeframe)
        edges = np.full((len(ids), 3, 2), np.inf)
        cells = np.full((len(ids), 3, 4, 5), np.nan)
        cells[..., 3] = 0
        signs = np.zeros((len(ids), 3, 4), dtype=np.int8)
        for at, pattern in enumerate(ids):
            if now.get(pattern) != self.definitions.get(pattern):
                continue
            for direction in DIRECTIONS:
                group = groups.get((pattern, direction))
                if group is not None:
                    edges[at, direction] = group.edges
                for slot, tercile in enumerate((0, 1, 2, None)):
                    told = self._told(group, pattern, direction, timeframe, tercile)
                    if told is not None:
                        cells[at, direction, slot] = (told.hit_rate, told.hit_lo, told.hit_hi, told.n, told.base_rate)
                        signs[at, direction, slot] = _SIGNS[told.edge]
        return RateIndex(edges, cells, signs)

    def _groups(self, timeframe: str) -> dict[tuple[str, int], Group]:
        return {(group.pattern, group.direction): group for group in self.groups if group.timeframe == timeframe}

    def _told(
        self, group: Group | None, pattern: str, direction: int, timeframe: str, tercile: int | None
    ) -> Rate | None:
        if group is not None:
            return group.rate(tercile)
        base = next((base for base in self.bases if base.timeframe == timeframe), None)
        return None if base is None or pattern not in self.definitions else _nothing_but(base.rate(direction))

    def without(self, refuted: frozenset[Key]) -> "Calibration":
        """The same table in which these rows give the base rate."""
        groups = []
        for group in self.groups:
            name = (group.timeframe, group.pattern, group.direction)
            terciles = tuple(
                replace(bucket, refuted=(*name, at) in refuted) for at, bucket in enumerate(group.terciles)
            )
            pooled = replace(group.pooled, refuted=(*name, None) in refuted)
            groups.append(replace(group, pooled=pooled, terciles=terciles))
        return replace(self, groups=tuple(groups))


@dataclass(frozen=True, slots=True)
class RateIndex:
    """Rates by pattern, direction and third; directions 1, -1 and 0 are themselves places of an axis of three."""

    _edges: F64
    _cells: F64
    _signs: I8

    def highest(self) -> F64:
        """The highest hit rate that an event can be told, by pattern and direction; NaN where nothing is known."""
        rates: F64 = np.maximum.reduce(self._cells[..., 0], axis=2)
        return rates

    def rates(self, pattern: NDArray[np.integer], direction: NDArray[np.integer], quality: F64) -> Rates:
        """What each event is told, as `Calibration.rate` says it of one. Columns of equal length; O(1) an event.

        pattern: positions in the `ids` of the index, as `Detections.pattern` are in `PATTERNS`.
        """
        edges = self._edges[pattern, direction]
        slot = (quality > edges[:, 0]).astype(np.int64) + (quality > edges[:, 1])
        slot[np.isnan(quality)] = _POOLED
        cells = self._cells[pattern, direction, slot]
        signs = self._signs[pattern, direction, slot]
        hit_rate, low, high, n, base = (np.ascontiguousarray(cells[:, at]) for at in range(5))
        return Rates(hit_rate, low, high, n.astype(np.int64), base, signs)
