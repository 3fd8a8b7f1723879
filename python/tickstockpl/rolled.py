"""The bars of a timeframe in history, as the engine sees them, and what it finds on these."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tickstockpl.history import History
from tickstockpl.kernel import Detections, EngineSettings, resample
from tickstockpl.vocabulary import TIMEFRAME, TIMEFRAMES


@dataclass(frozen=True, slots=True)
class Rows:
    """Detections on bars of one timeframe: the columns that outcomes and rates are made of."""

    symbols: tuple[str, ...]
    symbol: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    pattern: NDArray[np.int32]
    direction: NDArray[np.int32]
    confidence: NDArray[np.float64]
    held: NDArray[np.bool_]
    entry: NDArray[np.float64]
    stop: NDArray[np.float64]
    target: NDArray[np.float64]
    atr: NDArray[np.float64]

    @classmethod
    def on(cls, timeframe: str, detections: Detections) -> Self:
        """Those of these, in their order."""
        rows = detections.timeframe == TIMEFRAMES.index(timeframe)
        names = [each.name for each in fields(cls) if each.name != "symbols"]
        return cls(tuple(detections.symbols), **{name: getattr(detections, name)[rows] for name in names})

    def __len__(self) -> int:
        return len(self.pattern)


def rolled(minutes: History, timeframe: str, engine: EngineSettings, until_us: int | None = None) -> History:
    """Bars of `timeframe`, by symbol and start, rolled up from minutes as an engine of these settings does.

    until_us: bars that are over by then are there, whoever traded last.
    Raises ValueError naming the row that is no bar of a minute.
    """
    if timeframe == TIMEFRAME:
        return minutes
    sessions = None if engine.session_mode == "always" else engine.sessions
    made = resample(
        {"symbol": np.array(minutes.symbols, dtype=np.str_)[minutes.symbol], **_columns(minutes)},
        timeframe,
        sessions=sessions,
        days=engine.days,
        align=engine.align,
        until_us=until_us,
    )
    place = {name: at for at, name in enumerate(minutes.symbols)}
    symbol = np.array([place[name] for name in made.symbols], dtype=np.int32)[made.symbol]
    order = np.lexsort((made.ts_us, symbol))
    names = ("ts_us", "open", "high", "low", "close", "volume", "vwap", "trades", "revision", "quality")
    unknown = np.full(len(order), -1, dtype=np.int64)
    return History(
        symbol=symbol[order],
        symbols=minutes.symbols,
        **{name: np.ascontiguousarray(getattr(made, name)[order]) for name in names},
        open_us=unknown,
        close_us=unknown,
        first_src=unknown,
        last_src=unknown,
    )


def _columns(minutes: History) -> dict[str, np.ndarray]:
    names = ("ts_us", "open", "high", "low", "close", "volume", "vwap", "trades", "quality")
    return {name: getattr(minutes, name) for name in names}
