"""What became of detections, for people: on which bars they are measured, and that those are the right ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickstockpl.barriers import Barriers, Outcomes
from tickstockpl.columns import refuse_longer
from tickstockpl.kernel import Detections
from tickstockpl.moments import moment_at
from tickstockpl.vocabulary import TIMEFRAME, TIMEFRAMES

I64 = NDArray[np.int64]


def outcomes(
    detections: Detections,
    bars: Any,
    *,
    timeframe: str | None = None,
    horizon: int = 20,
    barrier: float = 1.0,
    sessions: I64 | None = None,
) -> Outcomes:
    """What became of detections: whether price went a · `barrier` their way before it went as far against them.

    detections: of these bars, as `scan` finds them. bars: as for `scan`, in any order; of detections on longer ones
    than a minute those of their timeframe, as `resample` makes them. Bars outside of `sessions` and those flagged
    `PROVISIONAL` are left out.
    timeframe: of the bars; detections on others are not measured. None: that of all detections.
    horizon: how many bars it may take. sessions: (n, 2) [open, close) in µs UTC, ascending; None: UTC days. They end
    the wait on bars shorter than they are.
    Returns columns in the order of `detections`; `help(tickstockpl.barriers)` has the rule. O(bars · horizon) at worst.
    Raises ValueError naming the row that is no bar, or is there twice; for detections on bars of several timeframes of
    which none is named; for bars shorter or longer than `timeframe`; and for a timeframe, horizon, barrier or table of
    sessions that is none.

    >>> import tickstockpl as tp
    >>> close = [10.0] * 20 + [10.2, 10.3, 10.5, 10.4]
    >>> bars = {"symbol": ["A"] * 24, "ts_us": [n * 60_000_000 for n in range(24)], "close": close, "open": close}
    >>> bars |= {"high": [c + 0.05 for c in close], "low": [c - 0.05 for c in close]}
    >>> bars |= {"volume": [100] * 20 + [900] + [100] * 3}
    >>> found = tp.scan(bars, ["volume_spike"])
    >>> tp.outcomes(found, bars).result.tolist(), tp.outcomes(found, bars).after.tolist()
    ([1], [1])
    """
    name = _named(detections, timeframe)
    of_these = detections.timeframe == TIMEFRAMES.index(name)
    measured = Barriers.of(bars, horizon=horizon, barrier=barrier, sessions=sessions, timeframe=name)
    refuse_longer(measured.ts_us, name)
    _refuse_shorter(measured, detections, of_these, name)
    return measured.outcomes(detections, np.where(of_these, measured.rows(detections), -1))


def _named(detections: Detections, timeframe: str | None) -> str:
    """The timeframe that is measured."""
    if timeframe is not None:
        if timeframe not in TIMEFRAMES:
            raise ValueError(f"timeframe must be one of {', '.join(TIMEFRAMES)}, was {timeframe!r}")
        return timeframe
    found = [TIMEFRAMES[at] for at in np.unique(detections.timeframe).tolist()]
    if len(found) > 1:
        raise ValueError(
            f"detections are on bars of {', '.join(found)}: name one, such as timeframe={found[0]!r}, and give its bars"
        )
    return found[0] if found else TIMEFRAME


def _refuse_shorter(measured: Barriers, detections: Detections, rows: NDArray[np.bool_], name: str) -> None:
    """Raises ValueError if a detection would be entered, and judged, within the bar on which it ends."""
    later = measured.first_from(detections, detections.ts_us + 1)
    inside = np.flatnonzero(rows & (later >= 0))
    inside = inside[measured.ts_us[later[inside]] < detections.end_us[inside]]
    if len(inside):
        row = int(inside[0])
        symbol = detections.symbols[int(detections.symbol[row])]
        at = moment_at(int(measured.ts_us[later[row]]))
        raise ValueError(
            f"bars must be of {name}, such as tp.resample(bars, {name!r}, ...): that of {symbol} at {at:%Y-%m-%d %H:%M}"
            f" UTC is within the one on which a detection ends"
        )
