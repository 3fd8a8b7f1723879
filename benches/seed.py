"""The seed's service as a peer: driven, and what it made compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp
from benches import boundary, ticks
from benches.course import Course, Delays, Feed, Key
from benches.processes import Role, role, saturated
from tickstockpl.dev.simulate import TrueBars

F64 = NDArray[np.float64]

NAME = "the seed's service: redis-py, json, dicts, TA-Lib on 200 bars"
WINDOW = 200
FRIDAY_US = ticks.START_US - (65 * 60 + 31) * ticks.MINUTE_US
"""2025-10-10 19:59 UTC: the session's last minute before START."""


def warm_up(symbols: int) -> boundary.History:
    """The bars of the session before START that fill every window."""
    return boundary.history(symbols, WINDOW, FRIDAY_US)


class Seed:
    """The seed's service, with the same history; `truth` are the bars that it must make."""

    def __init__(self, folder: Path, history: boundary.History, truth: TrueBars) -> None:
        self._windows, self.made = folder / "windows.npz", folder / "made"
        """What it begins with, and where it leaves what it made."""
        np.savez(self._windows, symbols=np.array(history.symbols), bars=windows(history))
        self._bars = {(name, start // 1_000_000 + 60): tuple(bar) for name, start, *bar in truth.rows()}
        self._right = right_events(history, truth)
        self.agreement = ""

    def words(self, feed: Feed) -> tuple[object, ...]:
        return len(feed.payloads), self._windows, self.made

    def flat_out(self, url: str, publisher: Role, feed: Feed) -> dict[str, Any]:
        """One round over a saturated Redis, checked."""
        with role("seed", url, *self.words(feed)) as running:
            measured = saturated(publisher, running)
        self.check(feed)
        return measured

    def run(self, course: Course) -> Delays:
        """One run, checked."""
        _, heard, started_s = course.run("seed", *self.words(course.feed))
        published = self.check(course.feed)
        assert [*zip(heard.keys, (event["pattern"] for event in heard.events), strict=True)] == published
        closes = course.feed.closed_by_symbol()
        return course.delays(heard, started_s, [closes[key] for key in heard.keys])

    def check(self, feed: Feed) -> list[tuple[Key, str]]:
        """The events of its last run, after they and its bars were found right."""
        made = json.loads(self.made.read_text(encoding="utf-8"))
        fields = ("open", "high", "low", "close", "volume")
        closed, still = (
            {(bar["symbol"], bar["end"]): tuple(bar[name] for name in fields) for bar in made[kind]}
            for kind in ("closed", "open")
        )
        whole, right = (
            {key: bar for key, bar in bars.items() if key[1] <= feed.whole_s} for bars in (closed | still, self._bars)
        )
        assert whole == right, "every bar is the simulator's"
        found = {(symbol, end, name): value for symbol, end, name, value in made["published"]}
        assert len(found) == len(made["published"]), "no event twice"
        hits = {key: value for key, value in self._right.items() if key[:2] in closed}
        wrong = sum(found.get(key) != hits.get(key) for key in found | hits)
        assert wrong == 0, f"{wrong} of {len(hits)} events differ from TA-Lib's over the whole series"
        self.agreement = (
            f"the seed's {len(whole):,} bars equal the simulator's, and its {len(found):,} events are the hits of the "
            "61 functions over history and run together"
        )
        return [((symbol, end), name) for symbol, end, name, _ in made["published"]]


def windows(history: boundary.History) -> F64:
    """(symbols, 4, 200): open, high, low, close of each symbol's history."""
    shape = WINDOW, len(history.symbols)
    assert (history.symbol.reshape(shape) == np.arange(shape[1])).all(), "every symbol has every minute"
    columns = (history.open, history.high, history.low, history.close)
    return np.ascontiguousarray(np.stack([column.reshape(shape).T for column in columns], axis=1))


def right_events(history: boundary.History, truth: TrueBars) -> dict[tuple[str, int, str], int]:
    """(symbol, END of the bar, function) → value, of every hit after the history."""
    before = windows(history)
    found: dict[tuple[str, int, str], int] = {}
    for n, name in enumerate(truth.symbols):
        rows = truth.symbol == n
        live = np.stack([column[rows] for column in (truth.open, truth.high, truth.low, truth.close)])
        ends = (truth.ts_us[rows] // 1_000_000 + 60).tolist()
        for function, values in tp.candlesticks(*np.hstack([before[n], live])).items():
            new = values[WINDOW:]
            found |= {(name, ends[at], function): int(new[at]) for at in new.nonzero()[0].tolist()}
    return found
