"""The way of a tick from publisher to subscriber, and when each tick is due on it.

The schedule is made before, so whoever lags, the publisher too, lags behind that: no coordinated omission.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp
from benches import ticks
from benches.processes import role
from tickstockpl.settings import BarSettings

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Key = tuple[str, int]
"""A bar: its symbol, and its END in epoch seconds."""

ECHO_EVERY = 97
PIECES_PER_S = 1000
LATENESS_US = round(BarSettings().lateness_a_s * 1e6)


@dataclass(frozen=True)
class Feed:
    """Messages in sending order, and which of them closes which bar. Every message is one tick of kind `A`."""

    payloads: list[bytes]

    @cached_property
    def columns(self) -> tp.Ticks:
        return tp.decode(self.payloads)

    @property
    def whole_s(self) -> int:
        """END of the last minute that is whole, in epoch seconds."""
        return int(self.columns.ts_us.max()) // ticks.MINUTE_US * 60

    @cached_property
    def end_s(self) -> I64:
        """END of the minute of each tick, which is stamped with the END of its second."""
        return -(-self.columns.ts_us // ticks.MINUTE_US) * 60

    def until(self, seconds: int) -> "Feed":
        """The ticks stamped within so many seconds after START."""
        return Feed(self.payloads[: int(np.searchsorted(self.columns.ts_us, ticks.START_US + seconds * 1_000_000 + 1))])

    def closed_by_feed(self) -> dict[int, int]:
        """END of a minute → the first tick stamped so late that our service closes the minute, for all symbols."""
        newest = np.maximum.accumulate(self.columns.ts_us)
        ends = np.unique(self.end_s).tolist()
        at = np.searchsorted(newest, np.array(ends) * 1_000_000 + LATENESS_US).tolist()
        return {end: n for end, n in zip(ends, at, strict=True) if n < len(self.payloads)}

    def closed_by_symbol(self) -> dict[Key, int]:
        """Bar → its symbol's next tick of a later minute: the one at which the seed's service closes it."""
        order = np.argsort(self.columns.symbol, kind="stable")
        symbol, end = self.columns.symbol[order], self.end_s[order]
        last = ((symbol[1:] == symbol[:-1]) & (end[1:] != end[:-1])).nonzero()[0]
        keys = zip(symbol[last].tolist(), end[last].tolist(), strict=True)
        return {(self.columns.symbols[n], end): at for (n, end), at in zip(keys, order[last + 1].tolist(), strict=True)}


@dataclass(frozen=True, slots=True)
class Heard:
    """What the subscriber heard: when, and what."""

    at_s: F64
    events: list[Any]

    @property
    def keys(self) -> list[Key]:
        return [(event["symbol"], round(event["data"]["bar_end"])) for event in self.events]


def evenly(count: int, rate: float) -> F64:
    """When each of so many ticks is due, in seconds after the start: `rate` a second, in a piece each millisecond."""
    piece = max(1, round(rate / PIECES_PER_S))
    return np.arange(count) // piece * piece / rate


def real_time(feed: Feed, early_s: int, rate: float) -> tuple[F64, int]:
    """The same in real time, after `early_s` seconds of the feed were sent at `rate`; and how many ticks these were.

    Each later second's ticks are spread over the second at whose end they are stamped.
    """
    second = (feed.columns.ts_us - ticks.START_US) // 1_000_000 - 1
    _, first, counts = np.unique(second, return_index=True, return_counts=True)
    within = (np.arange(len(second)) - np.repeat(first, counts)) / np.repeat(counts, counts)
    early = int((second < early_s).sum())
    return np.concatenate([evenly(early, rate), early / rate + (second + within)[early:] - early_s]), early


class Course:
    """The way from publisher to subscriber, on which each service is put in turn.

    due_s: when each tick is due, in seconds after the start. folder: for what the processes tell each other, and for
    nothing else. counted_from: a tick; events that earlier ones bring are left out. command: what sends a message.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        feed: Feed,
        due_s: F64,
        counted_from: int = 0,
        command: Callable[[Sequence[bytes]], bytes] = ticks.published,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._url, self._folder, self.feed, self._due_s = url, folder, feed, due_s
        self.counted_from = counted_from
        self._commands, self._schedule = folder / "commands", folder / "schedule.npz"
        commands = [command([payload]) for payload in feed.payloads]
        self._commands.write_bytes(b"".join(commands))
        np.savez(self._schedule, ends=np.cumsum([len(command) for command in commands]), due_s=due_s)
        self.late_ms: list[tuple[float, float]] = []
        """How late the publisher wrote a piece, each run: p99 and most."""

    def run(self, service: str, *words: object) -> tuple[dict[str, Any], Heard, float]:
        """One run of a service: what it says, what was heard of it, and when the first tick was due."""
        heard = self._folder / "heard"
        with (
            role("listener", self._url, heard) as listener,
            role("pacer", self._url, self._commands, self._schedule) as pacer,
            role(service, self._url, *words) as serving,
        ):
            pacer.go()
            sent, measured = pacer.answer(), serving.answer()
            self.late_ms.append((1e3 * sent["late_p99_s"], 1e3 * sent["late_max_s"]))
            time.sleep(0.2)  # Redis has answered the last PUBLISH; its message may still be on the way
            listener.go()
            listener.answer()
        pairs = json.loads(heard.read_text(encoding="utf-8"))
        found = Heard(np.array([at for at, _ in pairs]), [json.loads(payload) for _, payload in pairs])
        return measured, found, sent["started"]

    def delays(self, found: Heard, started_s: float, closing: list[int | None]) -> "Delays":
        """Milliseconds from when the closing tick was due to the event. None: no tick closed the bar."""
        known = np.array([n is not None and n >= self.counted_from for n in closing], dtype=bool)
        at = np.array([-1 if n is None else n for n in closing], dtype=np.int64)[known]
        return Delays(
            1e3 * (found.at_s[known] - started_s - self._due_s[at]), self.feed.end_s[at], len(closing) - len(at)
        )


@dataclass(frozen=True, slots=True)
class Delays:
    """One run: each event's milliseconds and the END of its closing tick's minute, and how many events are left out."""

    ms: F64
    end_s: I64
    left_out: int

    def first_ms(self) -> list[float]:
        """That of the first event of each minute."""
        return [float(self.ms[self.end_s == end].min()) for end in np.unique(self.end_s)]


def echoed(course: Course) -> Delays:
    """One run of the echo, of which nothing may be lost."""
    count = len(course.feed.payloads)
    _, heard, started_s = course.run("echo", count, ECHO_EVERY)
    assert heard.events == list(range(0, count, ECHO_EVERY))
    return course.delays(heard, started_s, list(range(0, count, ECHO_EVERY)))
