"""What k hits of n say about a rate: intervals, exact tests, many tests at once, and a trend over ordered groups."""

from math import erfc, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

Z_95 = 1.959963984540054
"""A normal variable lies within ± this with probability 0.95."""

_REACH_SD = 45.0
"""Further from its mean a binomial variable has less probability than the smallest float."""


class Tails(NamedTuple):
    """P(X ≤ k) and P(X ≥ k) of a binomial variable; together 1 + P(X = k)."""

    low: float
    high: float


def wilson(hits: ArrayLike, n: ArrayLike, z: float = Z_95) -> tuple[F64, F64]:
    """The interval of rates from which `hits` of `n` is less than z standard errors away: its lower and upper ends.

    hits, n: of one shape, 0 ≤ hits ≤ n. Returns float64 within 0..1; 0 and 1 where n is 0.
    Source: Wilson (1927), Journal of the American Statistical Association 22, 209-212.

    >>> [round(float(end), 4) for end in wilson(7, 10)]
    [0.3968, 0.8922]
    """
    k, many = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    some = np.maximum(many, 1.0)
    p = k / some
    centre = (p + z * z / (2 * some)) / (1 + z * z / some)
    half = z * np.sqrt(p * (1 - p) / some + z * z / (4 * some * some)) / (1 + z * z / some)
    # at the ends the interval reaches 0 and 1 exactly; a rounded sum may miss them by a hair
    low = np.where((many > 0) & (k > 0), np.clip(centre - half, 0.0, 1.0), 0.0)
    high = np.where((many > 0) & (k < many), np.clip(centre + half, 0.0, 1.0), 1.0)
    return low, high


def tails(hits: int, n: int, rate: float) -> Tails:
    """How likely `hits` or fewer, and `hits` or more, are in `n` independent trials of `rate`: exact but for rounding.

    Each term is its neighbour times (n - j + 1) / j · rate / (1 - rate), and their sum is made 1, so that no factorial
    is needed; O(√n) terms.
    Source: Clopper & Pearson (1934), Biometrika 26, 404-413, whose interval holds the rates of which neither tail is
    below 0.025.

    >>> [round(tail, 6) for tail in tails(1, 3, 0.5)]
    [0.5, 0.875]
    """
    if not 0.0 < rate < 1.0:
        sure = round(rate) * n
        return Tails(float(sure <= hits), float(sure >= hits))
    reach = _REACH_SD * (sqrt(n * rate * (1 - rate)) + 1)
    first, last = max(0, int(n * rate - reach)), min(n, int(n * rate + reach) + 1)
    j = np.arange(first + 1, last + 1)
    logs = np.concatenate(([0.0], np.cumsum(np.log((n - j + 1) / j * (rate / (1 - rate))))))
    terms = np.exp(logs - logs.max())
    terms /= terms.sum()
    at = hits - first
    low = float(terms[: max(0, at + 1)].sum())
    high = float(terms[max(0, at) :].sum())
    return Tails(min(1.0, low), min(1.0, high))


def two_sided(hits: int, n: int, rate: float) -> float:
    """How likely a result as far out as `hits` of `n` is if the rate is `rate`: twice the smaller tail, at most 1.

    1 for n = 0. Source: Clopper & Pearson (1934), as for `tails`.
    """
    return min(1.0, 2.0 * min(tails(hits, n, rate))) if n else 1.0


def adjusted(p_values: ArrayLike) -> F64:
    """Of each test the smallest share of false discoveries at which it counts as one: p · tests / rank, made monotone.

    Those of at most q are discoveries of which, on average, at most a share of q is false: for independent tests, and
    for such as are positively dependent (Benjamini & Yekutieli 2001).
    Source: Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300, eq. 1.

    >>> adjusted([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    made = np.empty_like(p)
    made[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return made


class Trend(NamedTuple):
    """How much more often the higher groups hit than they would if all had one rate, and the variance of that."""

    excess: float
    variance: float

    @property
    def z(self) -> float:
        """In standard deviations; 0 where nothing could differ."""
        return self.excess / sqrt(self.variance) if self.variance > 0 else 0.0

    @property
    def p_value(self) -> float:
        """How likely it is to be as far from 0, either way, if all groups have one rate."""
        return erfc(abs(self.z) / sqrt(2.0))


def trend(hits: ArrayLike, n: ArrayLike) -> Trend:
    """Whether the rate rises or falls from group to group, the groups being scored 0, 1, 2, ...

    hits, n: one value a group, in order. Trends of several tables add up: `Trend(Σ excess, Σ variance)`.
    Source: Cochran (1954), Biometrics 10, 417-451; Armitage (1955), Biometrics 11, 375-386.
    """
    k, many = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    total = float(many.sum())
    if total == 0:
        return Trend(0.0, 0.0)
    p = float(k.sum()) / total
    score = np.arange(len(k), dtype=np.float64)
    excess = float((score * (k - many * p)).sum())
    spread = float((score * score * many).sum()) - float((score * many).sum()) ** 2 / total
    return Trend(excess, p * (1 - p) * spread)
