"""What forms now: the answer to `GET /forming`, nearest to its trigger first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tickstockpl.clock import Clock
from tickstockpl.kernel import TIMEFRAMES, Engine, Forming
from tickstockpl.switches import Switches
from tickstockpl.web import Answer, Answers, Query, json_answer

FRESH_S: Final = 1.0
"""So old may an answer be: whoever asks in a loop must not hold up the ticks."""
ROWS: Final = 100
MOST_ROWS: Final = 1_000
MOST_WORDS: Final = 200
MOST_TOLD: Final = 64

NAMES: Final = ("symbol", "timeframe", "pattern")
"""What may be asked for, several of each with commas between them."""


class Wrong(Exception):
    """A question that has no answer; the message says why."""


class Formations:
    """Says what forms in an engine, of the patterns that are not switched off.

    ids_of: the ids that a pattern's name means.
    """

    def __init__(self, clock: Clock, switches: Callable[[], Switches], ids_of: Callable[[str], Iterable[str]]) -> None:
        self._clock = clock
        self._switches = switches
        self._ids_of = ids_of
        self._engine: Engine | None = None
        self._looked_s = 0.0
        self._newest: tuple[tuple[int, ...], Forming] | None = None
        """How many bars had closed, and what formed then."""
        self._told: dict[tuple[tuple[str, str], ...], Answer] = {}
        """By question, since it was looked."""

    def ready(self, engine: Engine) -> None:
        """From now on there is an answer."""
        self._engine = engine

    def answers(self) -> Answers:
        """`/forming`."""
        return {"/forming": self.answer}

    def answer(self, query: Query) -> Answer:
        """The rows that are asked for, as JSON; 400 for a question that is none, 503 before there is an engine."""
        if self._engine is None:
            return json_answer({"error": "the service is starting"}, 503)
        try:
            limit, asked = _limit(query), self._asked(query)
        except Wrong as wrong:
            return json_answer({"error": str(wrong)}, 400)
        now, question = self._forming(self._engine), tuple(sorted(query.items()))
        if question not in self._told:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told[question] = self._answered(now, limit, asked)
        return self._told[question]

    def _answered(self, now: Forming, limit: int, asked: Mapping[str, frozenset[str]]) -> Answer:
        rows = self._rows(now, asked)
        away = np.abs(now.trigger[rows] - now.close[rows]) / now.atr[rows]
        first = rows[np.argsort(away, kind="stable")][:limit]
        return json_answer({"count": len(rows), "forming": [_said(now, row) for row in first.tolist()]})

    def _forming(self, engine: Engine) -> Forming:
        """What forms, at most so old; nothing else does before a bar closes."""
        now_s = self._clock.monotonic_s()
        if self._newest is None or now_s - self._looked_s >= FRESH_S:
            counters, self._looked_s = engine.counters(), now_s
            self._told.clear()
            closed = tuple(counters[name] for name in ("bars", "bars_revised", "longer_bars"))
            if self._newest is None or closed != self._newest[0]:
                self._newest = (closed, engine.forming())
        return self._newest[1]

    def _asked(self, query: Query) -> dict[str, frozenset[str]]:
        """What is asked for, by name: nothing of a name means all. Raises Wrong."""
        if unknown := sorted(set(query) - {*NAMES, "limit"}):
            raise Wrong(f"there is no {unknown[0]!r}: ask for {', '.join(NAMES)} or limit")
        given = {name: frozenset(filter(None, query.get(name, "").split(","))) for name in NAMES}
        asked = {name: words for name, words in given.items() if words}
        for name, words in asked.items():
            if len(words) > MOST_WORDS:
                raise Wrong(f"{name} takes at most {MOST_WORDS} at once, were {len(words)}")
        for timeframe in sorted(asked.get("timeframe", ())):
            if timeframe not in TIMEFRAMES:
                raise Wrong(f"there is no timeframe {timeframe!r}: there are {', '.join(TIMEFRAMES)}")
        if "pattern" in asked:
            asked["pattern"] = frozenset().union(*map(self._meant, sorted(asked["pattern"])))
        return asked

    def _meant(self, name: str) -> frozenset[str]:
        """The patterns of a name, by id. Raises Wrong."""
        ids = frozenset(self._ids_of(name))
        if not ids:
            raise Wrong(f"there is no pattern {name!r}: `tickstockpl patterns` prints them all")
        return ids

    def _rows(self, now: Forming, asked: Mapping[str, frozenset[str]]) -> NDArray[np.intp]:
        """The rows of these, by places."""
        ids, off = [each["id"] for each in now.patterns], self._switches().off
        kept = _among(now.pattern, ids, frozenset(ids) - off)
        known: dict[str, tuple[NDArray[Any], Sequence[str]]] = {
            "symbol": (now.symbol, now.symbols),
            "timeframe": (now.timeframe, TIMEFRAMES),
            "pattern": (now.pattern, ids),
        }
        for name, wanted in asked.items():
            column, names = known[name]
            kept &= _among(column, names, wanted)
        return kept.nonzero()[0]


def _limit(query: Query) -> int:
    """How many rows. Raises Wrong."""
    given = query.get("limit", str(ROWS))
    is_number = given.isascii() and given.isdecimal() and len(given) <= len(str(MOST_ROWS))
    if not is_number or not 1 <= int(given) <= MOST_ROWS:
        raise Wrong(f"limit must be a number from 1 to {MOST_ROWS:,}, was {given[:40]!r}")
    return int(given)


def _among(column: NDArray[Any], names: Sequence[str], wanted: frozenset[str]) -> NDArray[np.bool_]:
    """The rows whose name is wanted."""
    is_wanted = np.array([name in wanted for name in names], dtype=np.bool_)
    rows: NDArray[np.bool_] = is_wanted[column]
    return rows


def _said(now: Forming, row: int) -> dict[str, Any]:
    """A row as an event of it would say it."""
    at = {name: column[row].item() for name, column in now.to_dict().items()}
    pattern = now.patterns[at["pattern"]]
    return {
        "symbol": now.symbols[at["symbol"]],
        "pattern": pattern["name"],
        "pattern_id": pattern["id"],
        "direction": "bullish" if at["direction"] > 0 else "bearish",
        "timeframe": TIMEFRAMES[at["timeframe"]],
        "confidence": _short(at["confidence"]),
        "bar_start": at["ts_us"] / 1e6,
        "bar_end": at["end_us"] / 1e6,
        "close": at["close"],
        "trigger": _short(at["trigger"]),
        "trigger_per_bar": _short(at["slope"]),
        "away_atr": _short(abs(at["trigger"] - at["close"]) / at["atr"]),
        "levels": {"stop": _short(at["stop"]), "target": _short(at["target"])},
        "bars_waited": at["waited"],
        "bars_left": at["left"],
        "points": [{"role": role, "time": ts_us / 1e6, "price": price} for role, ts_us, price in now.points(row)],
    }


def _short(value: float) -> float:
    """A calculated number with the 12 digits that are true of it."""
    return float(f"{value:.12g}") + 0.0  # no -0.0
