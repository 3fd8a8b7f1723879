"""Detections and evidence for tests of outcomes and rates: the kernel's columns, and what a test says they came to."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle_outcomes import Seen
from tickstockpl.barriers import BaseCounts
from tickstockpl.calibration import Calibration, Dataset, Parameters
from tickstockpl.evidence import Evidence, tabulate
from tickstockpl.kernel import PATTERNS, event_id

DAY_US = 86_400_000_000
DATASET = Dataset("a test", "UTC days", 1, 1, 0, 1, "00")


@dataclass(frozen=True, slots=True)
class Found:
    """The columns of `Detections` that outcomes and rates are made of."""

    symbols: tuple[str, ...]
    symbol: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    direction: NDArray[np.int32]
    entry: NDArray[np.float64]
    stop: NDArray[np.float64]
    target: NDArray[np.float64]
    held: NDArray[np.bool_]
    pattern: NDArray[np.int32]
    confidence: NDArray[np.float64]
    atr: NDArray[np.float64]

    @property
    def timeframe(self) -> NDArray[np.uint8]:
        """All on minutes."""
        return np.zeros(len(self), dtype=np.uint8)

    @property
    def end_us(self) -> NDArray[np.int64]:
        return (self.ts_us // 60_000_000 + 1) * 60_000_000

    def __len__(self) -> int:
        return len(self.ts_us)


def found(seen: list[tuple[str, Seen]], symbols: tuple[str, ...]) -> Any:
    """Detections of pattern 0, by symbol."""
    rows = [one for _, one in seen]
    return Found(
        symbols,
        np.array([symbols.index(name) for name, _ in seen], dtype=np.int32),
        np.array([one.ts_us for one in rows], dtype=np.int64),
        np.array([one.direction for one in rows], dtype=np.int32),
        np.array([one.entry for one in rows], dtype=np.float64),
        np.array([one.stop for one in rows], dtype=np.float64),
        np.array([one.target for one in rows], dtype=np.float64),
        np.array([one.held for one in rows], dtype=np.bool_),
        np.zeros(len(rows), dtype=np.int32),
        np.linspace(0.5, 1.0, len(rows)),
        np.full(len(rows), np.nan),
    )


@dataclass(frozen=True, slots=True)
class Planted:
    """Events of one pattern and direction that win at a rate, which rises by `slope` from quality 0 to 1."""

    pattern: str
    direction: int
    n: int
    rate: float
    slope: float = 0.0


def evidence(
    rng: np.random.Generator, planted: list[Planted], *, sessions: int = 20, base: int = 100_000, p0: float = 0.5
) -> Evidence:
    """Independent events, spread evenly over sessions of equally many bars, `base` in all."""
    ids = tuple(dict.fromkeys(each.pattern for each in planted))
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("pattern", "direction", "quality", "won", "at")}
    for each in planted:
        quality = rng.random(each.n)
        wins = rng.random(each.n) < each.rate + each.slope * (quality - 0.5)
        columns["pattern"].append(np.full(each.n, ids.index(each.pattern), dtype=np.int16))
        columns["direction"].append(np.full(each.n, each.direction, dtype=np.int8))
        columns["quality"].append(quality)
        columns["won"].append(np.where(wins, 1, -1).astype(np.int8))
        columns["at"].append(rng.integers(0, sessions, each.n))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    events = len(joined["pattern"])
    return Evidence(
        timeframe="1min",
        ids=ids,
        pattern=joined["pattern"],
        direction=joined["direction"],
        quality=joined["quality"],
        won=joined["won"],
        target=np.full(events, 3, dtype=np.int8),
        even=np.full(events, np.nan),
        session_us=joined["at"] * DAY_US,
        base=counts(sessions, base, p0),
    )


def counts(sessions: int, base: int, p0: float) -> BaseCounts:
    """Bars of which each is resolved, the same in each session."""
    bars = np.full(sessions, base // sessions, dtype=np.int64)
    up = np.round(bars * p0).astype(np.int64)
    return BaseCounts(np.arange(sessions) * DAY_US, bars, up, bars - up, bars, (bars * 0.0005).astype(np.float64))


def table(*parts: Evidence, ids: tuple[str, ...] = (), parameters: Parameters | None = None) -> Calibration:
    """The table made of them; `ids` are patterns that were looked for and not found."""
    known = {name: f"definition of {name}" for name in (*parts[0].ids, *ids)}
    return tabulate(parts, parameters or Parameters(), DATASET, known, 0)


def as_of_now(made: Calibration) -> Calibration:
    """The same, measured by the definitions that the engine's patterns have; those of other names stay."""
    known = {pattern["id"] for pattern in PATTERNS}
    now = {name: event_id("", 0, name) if name in known else told for name, told in made.definitions.items()}
    return replace(made, definitions=now)
