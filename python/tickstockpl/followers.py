"""Who follows what becomes of events: one for each timeframe, with the bars that it is judged on."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tickstockpl.outcome_rows import Outcomes
from tickstockpl.vocabulary import TIMEFRAME, TIMEFRAMES

_FOLLOWED = (
    *("symbol", "ts_us", "direction", "held", "event_id"),
    *("close", "atr", "entry", "stop", "target"),
)
_CLOSED = ("symbol", "ts_us", "high", "low", "close")


class FollowerLike(Protocol):
    """Follows the events of one timeframe; `_kernel.Follower` is one."""

    def follow(self, found: Any, bars: Any, reached_us: int | None = None) -> Any: ...
    def load(self, found: Any, bars: Any) -> Any: ...
    def loaded(self) -> None: ...
    @property
    def open(self) -> int: ...


class Followers:
    """Those of several timeframes, by name."""

    def __init__(self, each: Mapping[str, FollowerLike]) -> None:
        self._each = dict(each)

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Whose events are followed."""
        return tuple(self._each)

    @property
    def open(self) -> int:
        """Events that have not come to anything, or whose barriers are still open."""
        return sum(follower.open for follower in self._each.values())

    def follow(self, output: Any) -> list[Outcomes]:
        """What an engine's output has brought to an end, a timeframe each."""
        found, longer, ended = output.detections, output.longer, []
        for timeframe, follower in self._each.items():
            at = TIMEFRAMES.index(timeframe)
            own, closed = found.timeframe == at, longer.timeframe == at
            bars = output.bars if timeframe == TIMEFRAME else _where(longer, _CLOSED, closed)
            if own.any() or len(bars.ts_us):
                events = found if own.all() else _where(found, _FOLLOWED, own)
                came = follower.follow(events, bars, output.reached_us)
                if came is not None:
                    ended.append(Outcomes.of(came, timeframe))
        return ended

    def load(self, timeframe: str, events: Any, bars: Any) -> Outcomes | None:
        """Follow events of before the run too; bars: those of their symbols since. See `_kernel.Follower.load`."""
        came = self._each[timeframe].load(events, bars)
        return None if came is None else Outcomes.of(came, timeframe)

    def loaded(self, timeframe: str) -> None:
        """No more events of before the run will come."""
        self._each[timeframe].loaded()


def _where(columns: Any, names: Sequence[str], rows: NDArray[np.bool_]) -> Any:
    """Some columns of some rows."""
    return SimpleNamespace(symbols=columns.symbols, **{name: getattr(columns, name)[rows] for name in names})
