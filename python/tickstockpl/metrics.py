"""Every number of the service that Prometheus may ask for, in a registry of its own.

What happens seldom is counted on the spot in an attribute of `Metrics`. What happens per tick is counted in plain
integers by the kernel and the stages, and read from them once a scrape: see the `read_…` methods.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

PREFIX = "tickstockpl"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_STATES = {"ok": 0, "degraded": 1, "down": 2}
_GAUGES = {
    "symbols": "Symbols known to the engine.",
    "open_bars": "Bars that are not final yet.",
    "held": "Ticks held because they are far ahead of their channel.",
}
_COUNTERS = {
    "messages": "Messages read from the tick channels.",
    "ticks": "Ticks read, refused ones and quotes included.",
    "bars": "Bars that became final.",
    "bars_revised": "Final bars that a late tick changed.",
    "detections": "Patterns found at the close of a bar.",
    "withdrawn": "Patterns that a revision took away.",
    "broken": "Patterns switched off for a symbol after a panic.",
    "readings": "Bars of watched symbols at which their indicators were read.",
    "volume_without_bar": "Shares of trades that set no price and made no bar.",
    "foreign": "Messages of channels that were not asked for.",
}
_REFUSED = "refused_"
_LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One service's metrics; names begin with `tickstockpl_`, units are in the names."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": PREFIX, "registry": self.registry}
        self.rows_written = Counter("rows_written", "Rows stored.", ["table"], **own)
        self.write_batches = Counter("write_batches", "Transactions committed.", **own)
        self.write_errors = Counter("write_errors", "Transactions that failed and were tried again.", ["kind"], **own)
        self.write_seconds = Histogram("write_seconds", "One transaction.", buckets=_LATENCIES_S, **own)
        self.dead_letters = Counter("dead_letters", "Rows put aside because they cannot be stored.", ["reason"], **own)
        self.events_published = Counter("events_published", "Events sent.", ["channel"], **own)
        self.events_expired = Counter("events_expired", "Events not sent because they were too old.", **own)
        self.events_unheard = Counter("events_unheard", "Events sent to no subscriber.", ["channel"], **own)
        self.publish_errors = Counter("publish_errors", "Sends that failed and were tried again.", **own)
        self.publish_seconds = Durations("publish_seconds", "Bar's end to event sent.")
        self.registry.register(self.publish_seconds)
        self.pattern_outcomes = Counter("pattern_outcomes", "Events by what became of them.", ["outcome"], **own)
        self.http_refused = Counter("http_refused", "Requests refused or cut off.", ["reason"], **own)
        self.event_lag_seconds = Gauge("event_lag_seconds", "Wall clock minus event time.", ["channel"], **own)
        self.loop_lag_seconds = Gauge("loop_lag_seconds", "How late the event loop ran a timer, worst lately.", **own)

    def read_engine(self, counters: Callable[[], Mapping[str, int]]) -> None:
        """Export the engine's counters; `counters` is called once a scrape."""
        self.registry.register(_Scraped(lambda: _engine(counters())))

    def read_queues(self, queues: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        """Export the depth of the channels between the stages: (name, items, capacity) each."""
        self.registry.register(_Scraped(lambda: _queues(queues())))

    def read_stages(self, statuses: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        """Export each stage's state (0 ok, 1 degraded, 2 down) and every number in its status, by stage name.

        A number becomes `tickstockpl_<stage>_<key>`, a mapping of numbers the same with a label `of`.
        """
        self.registry.register(_Scraped(lambda: _stages(statuses())))

    def exposition(self) -> bytes:
        """The text that Prometheus reads, of type `CONTENT_TYPE`."""
        return generate_latest(self.registry)


class Durations(Collector):
    """A histogram that takes many equal durations at once: a minute's events leave together."""

    def __init__(self, name: str, documentation: str) -> None:
        self._name, self._documentation = f"{PREFIX}_{name}", documentation
        self._counts = [0] * (len(_LATENCIES_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float, count: int) -> None:
        """Count `seconds` so many times."""
        self._counts[bisect_left(_LATENCIES_S, seconds)] += count
        self._sum_s += seconds * count

    def collect(self) -> Iterable[Metric]:
        """One family, as `prometheus_client.Histogram` has it."""
        bounds = [*map(str, _LATENCIES_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets, self._sum_s)


class _Scraped(Collector):
    """Families made anew for each scrape."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()

    def describe(self) -> Iterable[Metric]:
        """Empty: what there is, is known only once the service runs."""
        return ()


def _engine(counters: Mapping[str, int]) -> Iterator[Metric]:
    outcomes = CounterMetricFamily(f"{PREFIX}_tick_outcomes", "Ticks by what became of them.", labels=["outcome"])
    refused = CounterMetricFamily(f"{PREFIX}_refused", "Ticks refused, by reason.", labels=["reason"])
    for name, value in counters.items():
        if name in _GAUGES:
            yield GaugeMetricFamily(f"{PREFIX}_{name}", _GAUGES[name], value)
        elif name in _COUNTERS:
            yield CounterMetricFamily(f"{PREFIX}_{name}", _COUNTERS[name], value)
        elif name.startswith(_REFUSED):
            refused.add_metric([name.removeprefix(_REFUSED)], value)
        else:
            outcomes.add_metric([name], value)
    yield outcomes
    yield refused


def _queues(queues: Iterable[tuple[str, int, int]]) -> Iterator[Metric]:
    items = GaugeMetricFamily(f"{PREFIX}_queue_items", "Items waiting for a stage.", labels=["queue"])
    capacity = GaugeMetricFamily(f"{PREFIX}_queue_capacity", "Items a stage's queue holds.", labels=["queue"])
    for name, depth, limit in queues:
        items.add_metric([name], depth)
        capacity.add_metric([name], limit)
    yield items
    yield capacity


def _stages(statuses: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    states = GaugeMetricFamily(f"{PREFIX}_stage_state", "0 ok, 1 degraded, 2 down.", labels=["stage"])
    for stage, status in statuses.items():
        states.add_metric([stage], _STATES[status["state"]])
        yield from _numbers(stage, status)
    yield states


def _numbers(stage: str, status: Mapping[str, Any]) -> Iterator[Metric]:
    for key, value in status.items():
        name = f"{PREFIX}_{stage}_{re.sub(r'[^a-zA-Z0-9_]', '_', key)}"
        if isinstance(value, (bool, int, float)):
            yield UnknownMetricFamily(name, f"{key} of the stage {stage}.", float(value))
        elif isinstance(value, Mapping) and value and all(isinstance(v, (bool, int, float)) for v in value.values()):
            family = UnknownMetricFamily(name, f"{key} of the stage {stage}.", labels=["of"])
            for label, number in value.items():
                family.add_metric([str(label)], float(number))
            yield family
