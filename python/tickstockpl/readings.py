"""The indicators of watched symbols at the close of bars: columns from the kernel, and what AppV2 calls them.

A reading is one bar of one symbol; what is sent and stored of it is a calculation for each indicator that is shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tickstockpl.moments import MINUTE_US

COLUMNS = (
    *("sma", "ema_12", "ema_26", "rsi", "macd", "macd_signal", "macd_histogram"),
    *("bollinger_upper", "bollinger_middle", "bollinger_lower", "atr", "adx", "plus_di", "minus_di"),
    *("obv", "stochastic_k", "stochastic_d", "vwap", "vwap_sigma", "relative_volume"),
)
"""The numbers of a reading, as `_kernel.Readings` names them."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One that can be shown: its name is AppV2's `indicator_type`."""

    name: str
    values: Mapping[str, str]
    """The columns that it shows, by the key under which; the first is its one value."""
    parameters: Mapping[str, float]


INDICATORS = {
    each.name: each
    for each in (
        Indicator("RSI", {"value": "rsi"}, {"period": 14}),
        Indicator("SMA", {"value": "sma"}, {"period": 20}),
        Indicator("EMA_12", {"value": "ema_12"}, {"period": 12}),
        Indicator("EMA_26", {"value": "ema_26"}, {"period": 26}),
        Indicator(
            "MACD",
            {"value": "macd", "macd": "macd", "signal": "macd_signal", "histogram": "macd_histogram"},
            {"fast": 12, "slow": 26, "signal": 9},
        ),
        Indicator(
            "BollingerBands",
            {
                "value": "percent_b",
                "upper": "bollinger_upper",
                "middle": "bollinger_middle",
                "lower": "bollinger_lower",
            },
            {"period": 20, "deviations": 2, "ddof": 1},
        ),
        Indicator("ATR", {"value": "atr"}, {"period": 14}),
        Indicator("ADX", {"value": "adx", "plus_di": "plus_di", "minus_di": "minus_di"}, {"period": 14}),
        Indicator("OBV", {"value": "obv"}, {}),
        Indicator("Stochastic", {"value": "stochastic_k", "k": "stochastic_k", "d": "stochastic_d"}, {"k": 14, "d": 3}),
        Indicator(
            "VWAP",
            {"value": "vwap", "upper": "vwap_upper", "lower": "vwap_lower", "sigma": "vwap_sigma"},
            {"deviations": 2},
        ),
        Indicator("RelativeVolume", {"value": "relative_volume"}, {"period": 20}),
    )
}
"""What can be shown, by name."""


@dataclass(frozen=True, slots=True)
class Calculation:
    """One indicator of one symbol at the END of one bar."""

    symbol: str
    indicator: Indicator
    bar_end_us: int
    values: Mapping[str, float]
    """By `Indicator.values`' keys; only what is finite, `value` always."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What one bar shows and the bar before did not."""

    symbol: str
    kind: str
    """One of `_kernel.ALERTS`."""
    bar_end_us: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Readings:
    """Readings as columns, one row each, and which indicators and alerts of them are wanted.

    alerts: bits, by place in `kinds`; those of kinds that are not wanted are 0.
    fresh: the newest bar, read for the first time; the others correct what was said before.
    """

    symbols: Sequence[str]
    symbol: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    close: NDArray[np.float64]
    alerts: NDArray[np.uint8]
    fresh: NDArray[np.bool_]
    values: Mapping[str, NDArray[np.float64]]
    shown: tuple[Indicator, ...] = ()
    kinds: tuple[str, ...] = ()
    rsi_bounds: tuple[float, float] = (30.0, 70.0)

    @classmethod
    def of(
        cls,
        columns: Any,
        shown: tuple[Indicator, ...],
        kinds: tuple[str, ...],
        wanted: int,
        bounds: tuple[float, float],
    ) -> Self:
        """Those of a `_kernel.Readings`.

        shown: what `calculations` gives. kinds: `_kernel.ALERTS`; wanted: the bits of those to tell. bounds: of RSI, 0
        to 100, below and above which it is an alert.
        """
        values = {name: getattr(columns, name) for name in COLUMNS}
        alerts = columns.alerts & np.uint8(wanted)
        return cls(
            columns.symbols,
            columns.symbol,
            columns.ts_us,
            columns.close,
            alerts,
            columns.fresh,
            values,
            shown,
            kinds,
            bounds,
        )

    @classmethod
    def joined(cls, parts: Sequence["Readings"]) -> "Readings | None":
        """All readings of parts that show the same, one part after the other; None of none."""
        if len(parts) < 2:
            return parts[0] if parts else None
        offsets = np.cumsum([0, *(len(part.symbols) for part in parts)])[:-1].astype(np.int32)
        names = [name for part in parts for name in part.symbols]
        symbol = np.concatenate([part.symbol + offset for part, offset in zip(parts, offsets, strict=True)])
        # only names that a row still has: parts are joined again and again while they wait
        used, symbol = np.unique(symbol, return_inverse=True)
        return replace(
            parts[0],
            symbols=[names[at] for at in used.tolist()],
            symbol=symbol.astype(np.int32),
            ts_us=np.concatenate([part.ts_us for part in parts]),
            close=np.concatenate([part.close for part in parts]),
            alerts=np.concatenate([part.alerts for part in parts]),
            fresh=np.concatenate([part.fresh for part in parts]),
            values={name: np.concatenate([part.values[name] for part in parts]) for name in COLUMNS},
        )

    def __len__(self) -> int:
        return len(self.ts_us)

    def where(self, chosen: NDArray[np.bool_] | slice) -> "Readings":
        """Some of them."""
        return replace(
            self,
            symbol=self.symbol[chosen],
            ts_us=self.ts_us[chosen],
            close=self.close[chosen],
            alerts=self.alerts[chosen],
            fresh=self.fresh[chosen],
            values={name: column[chosen] for name, column in self.values.items()},
        )

    def column(self, name: str) -> NDArray[np.float64]:
        """A number of each reading: of COLUMNS, or made of those."""
        return self._made[name]

    def symbol_names(self) -> list[str]:
        """Each reading's symbol."""
        return [self.symbols[at] for at in self.symbol.tolist()]

    def count(self) -> int:
        """How many calculations there are."""
        return sum(int(np.isfinite(self.column(each.values["value"])).sum()) for each in self.shown)

    def calculations(self) -> Iterator[Calculation]:
        """Each indicator that is shown, of each reading in turn, where its value is there."""
        shown = [(each, {key: self.column(name).tolist() for key, name in each.values.items()}) for each in self.shown]
        ends_us = (self.ts_us + MINUTE_US).tolist()
        for row, symbol in enumerate(self.symbol_names()):
            for indicator, columns in shown:
                if math.isfinite(columns["value"][row]):
                    finite = {key: column[row] for key, column in columns.items() if math.isfinite(column[row])}
                    yield Calculation(symbol, indicator, ends_us[row], finite)

    def warnings(self) -> Iterator[Alert]:
        """What crossed, of each reading in turn."""
        for row in self.alerts.nonzero()[0].tolist():
            symbol, end_us = self.symbols[int(self.symbol[row])], int(self.ts_us[row]) + MINUTE_US
            for bit, kind in enumerate(self.kinds):
                if self.alerts[row] >> bit & 1:
                    yield Alert(symbol, kind, end_us, self._crossed(kind, row))

    def _crossed(self, kind: str, row: int) -> dict[str, Any]:
        """The facts of an alert: `value` went past `threshold`."""

        def cell(name: str) -> float:
            return float(self.column(name)[row])

        if kind.startswith("RSI"):
            threshold = self.rsi_bounds[kind == "RSI_OVERBOUGHT"]
            return {"indicator": "RSI", "rsi": cell("rsi"), "value": cell("rsi"), "threshold": threshold}
        if kind.startswith("MACD"):
            told = {"macd": cell("macd"), "signal": cell("macd_signal"), "histogram": cell("macd_histogram")}
            return {"indicator": "MACD", **told, "value": told["histogram"], "threshold": 0.0}
        band = cell("bollinger_upper" if kind == "BB_UPPER_BREAK" else "bollinger_lower")
        close = float(self.close[row])
        return {"indicator": "BollingerBands", "price": close, "value": close, "threshold": band}

    @cached_property
    def _made(self) -> dict[str, NDArray[np.float64]]:
        values = self.values
        width = values["bollinger_upper"] - values["bollinger_lower"]
        above = self.close - values["bollinger_lower"]
        return {
            **values,
            # where the band has no width there is no place within it
            "percent_b": np.divide(above, width, out=np.full(len(self), math.nan), where=width > 0.0),
            "vwap_upper": values["vwap"] + 2.0 * values["vwap_sigma"],
            "vwap_lower": values["vwap"] - 2.0 * values["vwap_sigma"],
        }
