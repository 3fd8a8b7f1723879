"""What measured rates say of the events of a run, as columns beside those that the engine makes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from tickstockpl import rate_file
from tickstockpl.calibration import DIRECTIONS, Calibration, RateIndex
from tickstockpl.errors import SettingsError
from tickstockpl.events import ADDED_DTYPES, RATES, EventColumns
from tickstockpl.vocabulary import TIMEFRAMES

DIGITS: Final = 12
"""Rates are rounded to so many decimals, so that a confidence that is one is written as it is."""

_WAYS: Final = {name: direction for direction, name in DIRECTIONS.items()}


@dataclass(frozen=True, slots=True)
class Rating:
    """What events are told of how their like came out.

    indexes: of each timeframe by its place in `TIMEFRAMES`, by position in the engine's list of patterns. Of those that
    are missing nothing is known.
    as_confidence: where a rate is known it is the event's confidence, and the match quality is told beside it.
    """

    indexes: Mapping[int, RateIndex] = field(default_factory=dict)
    as_confidence: bool = False

    def columns(self, found: Any) -> EventColumns:
        """The columns of `Detections` with what is known of each of them; O(1) a row."""
        if not self.indexes:
            return EventColumns.of(found)
        rows = len(found.ts_us)
        told = {name: np.full(rows, 0 if name == "n" else np.nan, ADDED_DTYPES[name]) for name in RATES}
        told["edge"] = np.zeros(rows, np.int8)
        for timeframe, index in self.indexes.items():
            own = (found.timeframe == timeframe).nonzero()[0]
            if len(own):
                rates = index.rates(found.pattern[own], found.direction[own], found.confidence[own])
                for name in (*RATES, "edge"):
                    told[name][own] = getattr(rates, name)
        for name in RATES:
            told[name] = np.round(told[name], DIGITS)
        if self.as_confidence:
            known = np.isfinite(told["hit_rate"])
            told["confidence"] = np.where(known, told["hit_rate"], found.confidence)
            told["match_quality"] = np.where(known, found.confidence, np.nan)
        return EventColumns.of(found, **told)


@dataclass(frozen=True, slots=True)
class RateTable:
    """A table of rates beside the patterns of a run."""

    path: Path
    calibration: Calibration
    indexes: Mapping[int, RateIndex]
    """Of each timeframe that was measured, by its place in `TIMEFRAMES`: by position in the engine's list of patterns.
    Of those that are off nothing is known."""
    highest: Mapping[str, float]
    """Of each pattern that is on and has rates, by id, the highest that an event of it can be told."""
    unknown: tuple[str, ...]
    """Ids of those that are on and have none."""
    stale: tuple[str, ...]
    """Of these, the ones that were measured by another definition than that of now."""

    @classmethod
    def read(cls, path: Path, patterns: Sequence[Mapping[str, Any]], definitions: Mapping[str, str]) -> Self:
        """The table of a file.

        patterns: the engine's, in its order. definitions: of those that are on, by id, what each is now.
        Raises SettingsError if there is no whole table, or one of none of these patterns.
        """
        calibration = rate_file.read(path)
        ids = [pattern["id"] for pattern in patterns]
        measured = [base.timeframe for base in calibration.bases]
        indexes = {
            at: calibration.index(ids, name, definitions) for at, name in enumerate(TIMEFRAMES) if name in measured
        }
        rates = np.full((len(ids), len(DIRECTIONS)), np.nan)
        for index in indexes.values():
            rates = np.fmax(rates, np.round(index.highest(), DIGITS))
        highest: dict[str, float] = {}
        for pattern, told in zip(patterns, rates, strict=True):
            best = max(told[_WAYS[way]].item() for way in pattern["directions"])
            if not math.isnan(best):
                highest[pattern["id"]] = best
        if not highest:
            raise SettingsError(
                f"{path} has no rates of patterns as they are now: make it anew with `tickstockpl calibrate`"
            )
        unknown = tuple(name for name in definitions if name not in highest)
        stale = tuple(name for name in unknown if name in calibration.definitions)
        return cls(path, calibration, indexes, highest, unknown, stale)

    def reaching(self, confidence: float) -> int:
        """How many patterns have a rate that is so high."""
        return sum(rate >= confidence for rate in self.highest.values())

    def silences(self, confidence: float) -> bool:
        """Whether most patterns have none, so that few events would be sent if rates were their confidence."""
        return 2 * self.reaching(confidence) < len(self.highest)
