"""What is found in some symbols' history: how often, some examples, and all of it in files.

It runs in processes of its own, so that what goes in and comes out is plain columns and values.
"""

from __future__ import annotations  # polars is an extra: its names must not be needed at import

import importlib
import zlib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tickstockpl.found import DIRECTIONS, Candles, Found
from tickstockpl.history import History
from tickstockpl.kernel import PATTERNS, PROVISIONAL, Detections, EngineSettings, scan_parts
from tickstockpl.recording import POLARS
from tickstockpl.rolled import rolled
from tickstockpl.vocabulary import TIMEFRAME, TIMEFRAMES

if TYPE_CHECKING:
    import polars as pl

_NUMBERS = (
    *("confidence", "bars", "entry", "stop", "target", "open", "high", "low", "close", "volume"),
    *("price_change", "relative_volume", "rsi", "relative_strength", "quality", "talib_value"),
)


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for, and what is kept of it."""

    engine: EngineSettings
    """That looks at bars of `timeframe`, and at longer ones that these may see."""
    symbols: frozenset[str] | None = None
    """Of these alone; None: of all."""
    first_us: int = 0
    """Older bars are there to fill windows: what ends on them is left out."""
    examples: int = 0
    """Of each pattern and direction."""
    folder: Path | None = None
    """Where all that is found goes, as Parquet; None: nowhere."""
    timeframe: str = TIMEFRAME
    """What is found on other bars is left out."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one pattern was found in one direction."""

    pattern: int
    """Its place in `Findings.patterns`."""
    direction: int
    found: int
    symbols: int
    first_us: int
    last_us: int
    confidence: float
    """The mean of all."""

    def __add__(self, other: Tally) -> Tally:
        """Both, of other symbols each."""
        found = self.found + other.found
        return Tally(
            self.pattern,
            self.direction,
            found,
            self.symbols + other.symbols,
            min(self.first_us, other.first_us),
            max(self.last_us, other.last_us),
            (self.confidence * self.found + other.confidence * other.found) / found,
        )


@dataclass(frozen=True, slots=True)
class Example:
    """One that was found, with the bars around it. Those with the lowest `lot` are kept, which is chance, but the same
    one each time.
    """

    lot: int
    found: Found
    candles: Candles


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in some symbols."""

    bars: int = 0
    """Those that were looked at: in session, and not before what was asked for."""
    symbols: int = 0
    first_us: int | None = None
    """START of the first bar that was looked at, and of the last one."""
    last_us: int | None = None
    tallies: dict[tuple[int, int], Tally] = field(default_factory=dict)
    """By place in `patterns` and direction."""
    examples: dict[tuple[int, int], list[Example]] = field(default_factory=dict)
    patterns: tuple[dict[str, Any], ...] = PATTERNS
    """What was looked for, rules behind the others."""

    @property
    def found(self) -> int:
        """How many patterns."""
        return sum(tally.found for tally in self.tallies.values())

    def most_frequent(self) -> list[Tally]:
        """The most frequent first; of equals in the order of `patterns`."""
        return sorted(self.tallies.values(), key=lambda tally: (-tally.found, tally.pattern, -tally.direction))

    def with_those_of(self, other: Findings, examples: int) -> Findings:
        """Both together, of other symbols each; of each pattern and direction so many examples."""
        tallies = dict(self.tallies)
        for kind, tally in other.tallies.items():
            tallies[kind] = tallies[kind] + tally if kind in tallies else tally
        return Findings(
            self.bars + other.bars,
            self.symbols + other.symbols,
            min((us for us in (self.first_us, other.first_us) if us is not None), default=None),
            max((us for us in (self.last_us, other.last_us) if us is not None), default=None),
            tallies,
            {
                kind: sorted([*self.examples.get(kind, ()), *other.examples.get(kind, ())], key=lambda each: each.lot)[
                    :examples
                ]
                for kind in {**self.examples, **other.examples}
            },
            other.patterns,
        )


def find(bars: History, benchmark: History | None, sought: Sought, number: int) -> Findings:
    """Look through all bars of some symbols.

    bars: their minutes. benchmark: bars that others' strength is measured against, if they are not among these.
    number: of the group, which names its files.
    Raises ValueError naming the row that is no bar of a minute.
    """
    given = bars if benchmark is None else bars.beside(benchmark)
    bars = rolled(bars, sought.timeframe, sought.engine)
    seen = _seen(bars, sought)
    asked = {*bars.symbols} if sought.symbols is None else {*bars.symbols} & sought.symbols
    counted = seen & _are(asked, bars) & (bars.ts_us >= sought.first_us)
    patterns = sought.engine.known_patterns
    kinds = tuple((pattern, direction) for pattern in range(len(patterns)) for direction in DIRECTIONS)
    tallies = _Tallies(kinds)
    drawn = _Drawn(bars, seen, sought.examples, kinds)
    for at, part in enumerate(scan_parts(given, settings=sought.engine)):
        own = part.held & (part.timeframe == TIMEFRAMES.index(sought.timeframe))
        rows = (own & _are(asked, part) & (part.ts_us >= sought.first_us)).nonzero()[0]
        if len(rows):
            tallies.add(part, rows)
            drawn.add(part, rows)
        if sought.folder is not None and (len(rows) or number == at == 0):  # the first may be empty: it has the columns
            _frame(part, rows).write_parquet(sought.folder / f"{number:08}-{at:04}.parquet", compression="lz4")
    times = bars.ts_us[counted]
    return Findings(
        len(times),
        len(np.unique(bars.symbol[counted])),
        int(times.min()) if len(times) else None,
        int(times.max()) if len(times) else None,
        tallies.all(),
        drawn.examples(),
        patterns,
    )


def _are(asked: AbstractSet[str], columns: History | Detections) -> NDArray[np.bool_]:
    """The rows that are of these symbols."""
    of_these = np.array([name in asked for name in columns.symbols], dtype=np.bool_)
    return of_these[columns.symbol]


def _seen(bars: History, sought: Sought) -> NDArray[np.bool_]:
    """The bars that patterns see."""
    whole: NDArray[np.bool_] = bars.quality & PROVISIONAL == 0
    sessions = sought.engine.sessions
    if sought.engine.session_mode == "always" or sessions is None:
        return whole
    row = np.searchsorted(sessions[:, 0], bars.ts_us, side="right") - 1
    whole &= (row >= 0) & (bars.ts_us < sessions[np.maximum(row, 0), 1])
    return whole


_Kinds = tuple[tuple[int, int], ...]
"""Place of a pattern and direction: what is counted apart."""


class _Tallies:
    """Counts of each pattern and direction, part by part."""

    def __init__(self, kinds: _Kinds) -> None:
        self._kinds = kinds
        self._found = np.zeros(len(kinds), dtype=np.int64)
        self._confidence = np.zeros(len(kinds))
        self._first_us = np.full(len(kinds), np.iinfo(np.int64).max)
        self._last_us = np.full(len(kinds), np.iinfo(np.int64).min)
        self._symbols: list[set[str]] = [set() for _ in kinds]

    def add(self, part: Detections, rows: NDArray[np.intp]) -> None:
        kind, ts_us = _kinds(part)[rows], part.ts_us[rows]
        self._found += np.bincount(kind, minlength=len(self._kinds))
        self._confidence += np.bincount(kind, part.confidence[rows], minlength=len(self._kinds))
        np.minimum.at(self._first_us, kind, ts_us)
        np.maximum.at(self._last_us, kind, ts_us)
        for code in np.unique(kind * len(part.symbols) + part.symbol[rows]).tolist():
            of, symbol = divmod(code, len(part.symbols))
            self._symbols[of].add(part.symbols[symbol])

    def all(self) -> dict[tuple[int, int], Tally]:
        return {
            self._kinds[at]: Tally(
                *self._kinds[at],
                int(self._found[at]),
                len(self._symbols[at]),
                int(self._first_us[at]),
                int(self._last_us[at]),
                float(self._confidence[at] / self._found[at]),
            )
            for at in self._found.nonzero()[0].tolist()
        }


class _Drawn:
    """Examples of each pattern and direction, by lot."""

    def __init__(self, bars: History, seen: NDArray[np.bool_], count: int, kinds: _Kinds) -> None:
        self._kinds = kinds
        self._bars = bars
        self._seen = seen
        self._count = count
        self._kept: dict[int, list[tuple[int, Found]]] = {}

    def add(self, part: Detections, rows: NDArray[np.intp]) -> None:
        if not self._count:
            return
        kind, lot = _kinds(part)[rows], _lots(part, rows)
        order = np.lexsort((lot, kind))
        begins = np.searchsorted(kind[order], np.arange(len(self._kinds) + 1))
        for at in np.flatnonzero(np.diff(begins)).tolist():
            chosen = order[begins[at] : begins[at + 1]][: self._count].tolist()
            kept = self._kept.get(at, [])
            kept += [(int(lot[one]), Found.of(part, int(rows[one]))) for one in chosen]
            self._kept[at] = sorted(kept, key=lambda each: each[0])[: self._count]

    def examples(self) -> dict[tuple[int, int], list[Example]]:
        named = {found.symbol for kept in self._kept.values() for _, found in kept}
        candles = {symbol: self._candles(symbol) for symbol in named}
        return {
            self._kinds[at]: [Example(lot, found, candles[found.symbol].around(found)) for lot, found in kept]
            for at, kept in self._kept.items()
        }

    def _candles(self, symbol: str) -> Candles:
        """The bars of a symbol that patterns see."""
        bars = self._bars
        at = bars.symbols.index(symbol)
        low, high = np.searchsorted(bars.symbol, [at, at + 1]).tolist()
        rows = low + np.flatnonzero(self._seen[low:high])
        columns = (getattr(bars, name)[rows] for name in ("ts_us", "open", "high", "low", "close", "volume"))
        return Candles(*columns)


def _kinds(part: Detections) -> NDArray[np.int64]:
    """Each row's place among the kinds."""
    order = np.array([list(DIRECTIONS).index(direction) for direction in (-1, 0, 1)], dtype=np.int64)
    kinds: NDArray[np.int64] = part.pattern * np.int64(len(DIRECTIONS)) + order[part.direction + 1]
    return kinds


def _lots(part: Detections, rows: NDArray[np.intp]) -> NDArray[np.uint64]:
    """A number for each row that chance might have drawn, made of its symbol and time.

    Source: Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, the finaliser of SplitMix64.
    """
    names = np.array([zlib.crc32(name.encode()) for name in part.symbols], dtype=np.uint64)
    mixed: NDArray[np.uint64] = part.ts_us[rows].astype(np.uint64) ^ (names[part.symbol[rows]] << np.uint64(32))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _frame(part: Detections, rows: NDArray[np.intp]) -> pl.DataFrame:
    """Rows as they are exported: names in place of numbers, moments in place of µs; NaN is null."""
    polars: Any = importlib.import_module(POLARS)

    def named(values: Sequence[str], column: NDArray[Any]) -> Any:
        return polars.Series(values, dtype=polars.String).gather(column[rows])

    def moment(ts_us: NDArray[np.int64]) -> Any:
        return polars.Series(ts_us[rows]).cast(polars.Datetime("us", "UTC"))

    columns = {
        "symbol": named(part.symbols, part.symbol),
        "pattern": named([pattern["name"] for pattern in part.patterns], part.pattern),
        "pattern_id": named([pattern["id"] for pattern in part.patterns], part.pattern),
        "direction": named([DIRECTIONS[direction] for direction in (-1, 0, 1)], part.direction + 1),
        "bar_start": moment(part.ts_us),
        "bar_end": moment(part.end_us),
        "timeframe": named(TIMEFRAMES, part.timeframe),
        "first_bar_start": moment(part.first_us),
        **{name: polars.Series(getattr(part, name)[rows], nan_to_null=True) for name in _NUMBERS},
        "event_id": polars.Series(part.event_id[rows].astype("U36").tolist(), dtype=polars.String),
    }
    frame: pl.DataFrame = polars.DataFrame(columns)
    return frame
