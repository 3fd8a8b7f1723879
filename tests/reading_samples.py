"""Readings as the pipeline hands them on."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from tickstockpl.kernel import ALERTS
from tickstockpl.moments import MINUTE_US
from tickstockpl.readings import COLUMNS, INDICATORS, Readings

BAR_END_US = 1_757_600_460_000_000
ALL_ALERTS = (1 << len(ALERTS)) - 1


def readings(
    *symbols: str,
    shown: Sequence[str] = ("RSI", "MACD"),
    bar_end_us: int = BAR_END_US,
    alerts: int = 0,
    fresh: bool = True,
    close: float = 101.5,
    **values: Any,
) -> Readings:
    """One reading a symbol; a number that is not named is its place in COLUMNS plus a half."""
    count = len(symbols)
    columns: dict[str, Any] = {name: np.full(count, values.get(name, at + 0.5)) for at, name in enumerate(COLUMNS)}
    kernel = SimpleNamespace(
        symbols=symbols,
        symbol=np.arange(count, dtype=np.int32),
        ts_us=np.full(count, bar_end_us - MINUTE_US),
        close=np.full(count, close),
        alerts=np.full(count, alerts, dtype=np.uint8),
        fresh=np.full(count, fresh),
        **columns,
    )
    wanted = tuple(INDICATORS[name] for name in shown)
    return Readings.of(kernel, wanted, ALERTS, ALL_ALERTS, (30.0, 70.0))
