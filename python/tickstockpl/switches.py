"""Which patterns people want to see, and from which confidence on, as AppV2's table `pattern_definitions` says."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickstockpl.events import SWITCHED_OFF, TOO_WEAK, EventColumns


class Definition(NamedTuple):
    """A row of the table. least: its `confidence_threshold`; None: none."""

    name: str
    enabled: bool
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Switches:
    """What a table says; by default nothing.

    A pattern that several rows name is off if one of them says so, and the highest of their thresholds counts.
    """

    off: frozenset[str] = frozenset()
    """Ids of patterns that are neither sent nor shown."""
    least: Mapping[str, float] = field(default_factory=dict)
    """By id, the confidence below which an event is not sent."""
    unknown: tuple[str, ...] = ()
    """Names that mean none of our patterns."""
    unfit: tuple[str, ...] = ()
    """Names whose threshold is not within 0 and 1, and is not heeded."""
    _muted: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, dtype=np.uint8), compare=False, repr=False)
    _least: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)

    @classmethod
    def of(
        cls,
        rows: Iterable[Definition],
        patterns: Sequence[Mapping[str, Any]],
        ids_of: Callable[[str], Iterable[str]],
    ) -> "Switches":
        """What these rows say.

        patterns: the engine's, in its order. ids_of: what a name means. One that means the first pattern of a published
        name means all that have it: AppV2 cannot tell them apart.
        """
        off: set[str] = set()
        least: dict[str, float] = {}
        unknown, unfit = [], []
        named: dict[str, list[str]] = {}
        for each in patterns:
            named.setdefault(each["name"], []).append(each["id"])
        namesakes = {ids[0]: ids for ids in named.values()}
        for row in rows:
            ids = {other for name in ids_of(row.name) for other in namesakes.get(name, (name,))}
            if not ids:
                unknown.append(row.name)
            if not row.enabled:
                off |= ids
            if row.least is None:
                continue
            if not 0 <= row.least <= 1:
                unfit.append(row.name)
                continue
            least |= {name: max(row.least, least.get(name, 0.0)) for name in ids}
        known = [each["id"] for each in patterns]
        return cls(
            frozenset(off),
            least,
            tuple(unknown),
            tuple(unfit),
            np.array([SWITCHED_OFF if name in off else 0 for name in known], dtype=np.uint8),
            np.array([least.get(name, -math.inf) for name in known], dtype=np.float64),
        )

    def applied(self, columns: EventColumns) -> EventColumns:
        """The same events, each with whether it is to be shown and sent; O(1) an event."""
        if not self.off and not self.least:
            return columns
        weak = np.where(columns.confidence < self._least[columns.pattern], TOO_WEAK, 0)
        return replace(columns, muted=self._muted[columns.pattern] | weak.astype(np.uint8))
