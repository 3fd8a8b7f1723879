"""A plain Python service as this project's seed describes it: the peer of `service` and `latency`.

redis-py's pub/sub, a message at a time; json; bars in dicts behind a lock; a thread that takes closed bars from a
queue, keeps the last 200 of each symbol, calls TA-Lib's 61 candlestick functions on them and publishes what they find,
one event after the other. It stores nothing and refuses nothing, which is in its favour.
"""

import json
import math
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import talib
from numpy.typing import NDArray

from benches import ticks

F64 = NDArray[np.float64]

WINDOW = 200
EVENTS = "tickstock.events.patterns"
CANDLESTICKS: list[tuple[str, Callable[..., Any]]] = [
    (name, getattr(talib, name)) for name in sorted(dir(talib)) if name.startswith("CDL")
]


class SeedService:
    """Ticks from `data.raw` to bars to events.

    client: redis-py's. windows: of each symbol the last 200 bars, (4, 200): open, high, low, close; they move.
    """

    def __init__(self, client: Any, windows: dict[str, F64]) -> None:
        self._redis = client
        self._windows = windows
        self._lock = threading.Lock()
        self._current: dict[str, dict[str, Any]] = {}
        self._closed: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._detector = threading.Thread(target=self._detect_all, daemon=True)
        self.bars: list[dict[str, Any]] = []
        """Closed bars, as they closed."""
        self.published: list[tuple[str, int, str, int]] = []
        """Symbol, END of the bar in epoch seconds, function, its value."""

    def start(self) -> None:
        """Begin to detect."""
        self._detector.start()

    def consume(self, expected: int, on_ready: Callable[[], None]) -> None:
        """Listen until so many ticks have come and are folded."""
        pubsub = self._redis.pubsub()
        pubsub.subscribe(ticks.CHANNEL)
        for message in pubsub.listen():
            if message["type"] == "message":
                self.fold(json.loads(message["data"]))
                expected -= 1
            else:
                on_ready()
            if expected == 0:
                break
        pubsub.close()

    def fold(self, tick: dict[str, Any]) -> None:
        """Take one tick into its symbol's bar; the first of a later minute closes that."""
        symbol = tick["ticker"]
        end = 60 * math.ceil(tick["timestamp"] / 60)  # stamps are ENDs of seconds: the last one is the minute's own END
        with self._lock:
            bar = self._current.get(symbol)
            if bar is not None and bar["end"] == end:
                bar["high"] = max(bar["high"], tick["tick_high"])
                bar["low"] = min(bar["low"], tick["tick_low"])
                bar["close"] = tick["tick_close"]
                bar["volume"] += tick["tick_volume"]
                return
            if bar is not None:
                self._closed.put(bar)
            self._current[symbol] = {
                "symbol": symbol,
                "end": end,
                "open": tick["tick_open"],
                "high": tick["tick_high"],
                "low": tick["tick_low"],
                "close": tick["tick_close"],
                "volume": tick["tick_volume"],
            }

    def finish(self) -> None:
        """Return once everything that was closed is detected and published."""
        self._closed.put(None)
        self._detector.join()

    def made(self) -> dict[str, Any]:
        """Everything that it made, for whoever checks it; after `finish`."""
        return {"closed": self.bars, "open": list(self._current.values()), "published": self.published}

    def _detect_all(self) -> None:
        while (bar := self._closed.get()) is not None:
            self.bars.append(bar)
            for name, value in self.detect(bar):
                self._publish(bar, name, value)

    def detect(self, bar: dict[str, Any]) -> list[tuple[str, int]]:
        """What TA-Lib finds on the window that ends with this bar: function and value."""
        window = self._windows[bar["symbol"]]
        window[:, :-1] = window[:, 1:]
        window[:, -1] = bar["open"], bar["high"], bar["low"], bar["close"]
        values = [(name, int(function(*window)[-1])) for name, function in CANDLESTICKS]
        return [(name, value) for name, value in values if value]

    def _publish(self, bar: dict[str, Any], name: str, value: int) -> None:
        event = {
            "event_type": "pattern_detected",
            "pattern": name,
            "symbol": bar["symbol"],
            "confidence": abs(value) / 200,
            "timestamp": bar["end"],
            "timeframe": "1min",
            "source": "tickstock_pl",
            "data": {
                "bar_end": bar["end"],
                "value": value,
                "direction": "bullish" if value > 0 else "bearish",
                "current_price": bar["close"],
                "bar": bar,
            },
        }
        self._redis.publish(EVENTS, json.dumps(event))
        self.published.append((bar["symbol"], bar["end"], name, value))
