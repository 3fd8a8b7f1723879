"""What the tests of the table find where there is nothing to be found.

The binomial test takes events for independent. They are not: those of one hour share the bars that decide about them,
and symbols move together. So the events are moved along within their sessions (those on bars of a day and longer within
all that there is), in each round all of a session by the same share of its length. That keeps how they cluster and in
what company they are, but cuts them from the bars that they stood on: what the same tests still find is the work of
chance and of clustering, and so is as much of what they find where the events stand.

Source: the circular shift of Politis & Romano (1992), in Exploring the Limits of Bootstrap, 263-270.
"""

import numpy as np
from numpy.typing import NDArray

from tickstockpl.barriers import LOST, WON, Barriers, BaseCounts, Found
from tickstockpl.calibration import Parameters, Placebo
from tickstockpl.proportions import adjusted, two_sided, wilson

I64 = NDArray[np.int64]

_SEED = 20_251_127
_NEAR = 0.1
"""Of a session's length: events are moved by more than that, and by less than all but that."""
_MANY = 200
"""Events of a row from which on its scatter is looked at."""


class Moved:
    """Counts of the events where they stand (round 0) and of each round, gathered symbol by symbol."""

    def __init__(self, rounds: int, patterns: int) -> None:
        self._rounds = rounds
        self._won: I64 = np.zeros((rounds + 1, patterns, 3), dtype=np.int64)
        self._lost = np.zeros_like(self._won)

    def add(self, detections: Found, barriers: Barriers) -> None:
        """Take in the events of some symbols."""
        rows = barriers.rows(detections)
        held = (rows >= 0) & detections.held
        rows, pattern, direction = rows[held], detections.pattern[held], detections.direction[held]
        begin, length = barriers.begin[rows], (barriers.end - barriers.begin)[rows]
        opens, session = np.unique(barriers.wait_us[rows], return_inverse=True)
        for turn in range(self._rounds + 1):
            at = rows
            if turn:
                shares = np.array([_share(turn, int(session_us)) for session_us in opens.tolist()])
                moved = (shares[session] * length).astype(np.int64) if len(rows) else rows
                at = begin + (rows - begin + moved) % length
            result = barriers.results(direction, at)
            for counts, code in ((self._won, WON), (self._lost, LOST)):
                chosen = result == code
                np.add.at(counts[turn], (pattern[chosen], direction[chosen]), 1)

    def placebo(self, base: BaseCounts, parameters: Parameters) -> Placebo:
        """What was found, of all that was added. base: what all bars came to."""
        n = self._won + self._lost
        p0 = np.array([base.rate(direction) for direction in (0, 1, -1)])
        found = [self._edges(turn, n[turn], p0, parameters) for turn in range(self._rounds + 1)]
        many = n[0] >= _MANY
        scatter: list[float] = []
        for pattern, direction in zip(*np.nonzero(many), strict=True):
            rate, of = p0[direction], n[1:, pattern, direction]
            if self._rounds and (of > 0).all():
                z = (self._won[1:, pattern, direction] - of * rate) / np.sqrt(of * rate * (1 - rate))
                scatter.append(float(np.sqrt(np.mean(z * z))))
        widening = float(np.median(scatter)) if scatter else None
        return Placebo(self._rounds, int((n[0] > 0).sum()), found[0], tuple(found[1:]), widening)

    def _edges(self, turn: int, n: I64, p0: NDArray[np.float64], parameters: Parameters) -> int:
        """How many pooled rows are told apart from the base rate."""
        rows = [(int(self._won[turn, p, d]), int(n[p, d]), float(p0[d])) for p, d in zip(*np.nonzero(n), strict=True)]
        if not rows:
            return 0
        low, high = wilson([hits for hits, _, _ in rows], [many for _, many, _ in rows])
        beyond = (low > [rate for _, _, rate in rows]) | (high < [rate for _, _, rate in rows])
        return int((beyond & (adjusted([two_sided(*row) for row in rows]) <= parameters.false_share)).sum())


def _share(turn: int, session_us: int) -> float:
    """By how much of a session's length its events are moved: the same for every symbol, whenever it is added."""
    return float(np.random.default_rng((_SEED, turn, session_us % 2**63)).uniform(_NEAR, 1 - _NEAR))
