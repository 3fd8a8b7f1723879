"""What the follower says as bars close is what `tp.outcomes` says of the same bars afterwards."""

from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickstockpl as tp
from tickstockpl.barriers import LOST, OPEN, UNMEASURED, UNRESOLVED, WON
from tickstockpl.kernel import Detections, EngineSettings, Follower, Outcomes, scan
from tickstockpl.outcome_rows import ENDS

MINUTE = 60_000_000
T0 = 1_757_599_200_000_000  # 2025-09-11 14:00:00 UTC
SESSIONS = np.array([[T0 + day * 1440 * MINUTE, T0 + (day * 1440 + 120) * MINUTE] for day in range(3)])
NAMES = ("A", "B", "C")
EVENT = ("symbol", "ts_us", "direction", "held", "event_id", "close", "atr", "entry", "stop", "target")
BAR = ("symbol", "ts_us", "open", "high", "low", "close", "volume")


def follower(timeframe: str = "1min", *, sessions: Any = SESSIONS, horizon: int = 20) -> Follower:
    return Follower(timeframe, horizon=horizon, barrier=1.0, revise_us=15 * MINUTE, sessions=sessions, days=None)


def market(seed: int) -> dict[str, Any]:
    """Walks of three symbols on a grid of cents, over three sessions of two hours, with minutes missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for symbol in range(len(NAMES)):
        cents = 1000
        for day in range(3):
            for minute in range(125):
                path = np.maximum(cents + np.cumsum(rng.integers(-3, 4, 6)), 1)
                cents = int(path[-1])
                if rng.random() > 0.2:
                    at_us = T0 + (day * 1440 + minute) * MINUTE
                    prices = (path[0], path.max(), path.min(), path[-1])
                    rows.append((symbol, at_us, *(price / 100 for price in prices), int(rng.integers(1, 100))))
    rows.sort(key=lambda row: row[1])
    kinds: dict[str, Any] = {"symbol": np.int32, "ts_us": np.int64, "volume": np.int64}
    return {name: np.array([row[at] for row in rows], kinds.get(name, np.float64)) for at, name in enumerate(BAR)}


def detected(bars: dict[str, Any]) -> Detections:
    named = bars | {"symbol": [NAMES[at] for at in bars["symbol"]]}
    return scan(named, settings=EngineSettings(session_mode="regular", sessions=SESSIONS))


def events(found: Detections, chosen: Any) -> Any:
    return SimpleNamespace(symbols=found.symbols, **{name: getattr(found, name)[chosen] for name in EVENT})


def closed(bars: dict[str, Any], chosen: Any) -> Any:
    return SimpleNamespace(symbols=NAMES, **{name: column[chosen] for name, column in bars.items()})


@dataclass(frozen=True, slots=True)
class Said:
    """The last word on an event."""

    end: str
    bars: int
    at_us: int
    price: float
    result: int
    result_bars: int


def taken(said: dict[bytes, Said], outcomes: Outcomes | None) -> None:
    """Note what is said; how an event ended is never said anew."""
    if outcomes is None:
        return
    columns = outcomes.to_dict()
    for at, event_id in enumerate(outcomes.event_id.tolist()):
        row = {name: columns[name][at].item() for name in ("bars", "at_us", "price", "result", "result_bars")}
        one = Said(ENDS[columns["end"][at]], **row)
        if (before := said.get(event_id)) is not None:
            assert before.result == OPEN
            assert (one.end, one.bars, one.at_us, one.price) == (before.end, before.bars, before.at_us, before.price)
        said[event_id] = one


def play(of: Follower, said: dict[bytes, Said], found: Any, bars: dict[str, Any], edges: list[int]) -> None:
    """Batch by batch; `edges` are rows of bars, in order of time, and events come with the bar that they end on."""
    for low, high in pairwise(edges):
        first, last = bars["ts_us"][low], bars["ts_us"][high - 1]
        ends = np.isin(found.ts_us, bars["ts_us"][low:high]) & (found.ts_us >= first) & (found.ts_us <= last)
        taken(said, of.follow(events(found, ends), closed(bars, slice(low, high))))


def edges(rng: np.random.Generator, bars: dict[str, Any], low: int = 0) -> list[int]:
    """Where batches begin: never within a minute, whose events would come apart from their bars."""
    begins = np.flatnonzero(np.diff(bars["ts_us"], prepend=0)).tolist()
    size = int(rng.choice([1, 3, 40]))
    return [*sorted({low, *(at for at in begins if at >= low)})[::size], len(bars["ts_us"])]


def same(said: dict[bytes, Said], found: Detections, bars: dict[str, Any]) -> int:
    """Whether it is what the batch says; how many ended at a target or a stop."""
    named = bars | {"symbol": [NAMES[at] for at in bars["symbol"]]}
    came = tp.outcomes(found, named, sessions=SESSIONS)
    for at, event_id in enumerate(found.event_id.tolist()):
        target, result = int(came.target[at]), int(came.result[at])
        one = said.get(event_id)
        if one is None:
            assert OPEN in {target, result} or target == UNMEASURED
            continue
        expected = {WON: "target", LOST: "stop"}.get(target, "expired")
        if target == OPEN:  # nobody else's bar has told the batch that the session is over
            expected, target = "expired", UNRESOLVED
        assert one.end == expected
        if one.end != "expired":
            assert one.price == (found.target if one.end == "target" else found.stop)[at]
        if np.isnan(found.atr[at]):
            assert one.result == UNMEASURED
        elif OPEN not in {one.result, result}:
            assert (one.result, one.result_bars) == (result, int(came.after[at]))
    return sum(one.end != "expired" for one in said.values())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_live_is_what_the_batch_says_of_the_same_bars(seed: int) -> None:
    bars, rng = market(seed), np.random.default_rng(seed)
    found, said = detected(bars), dict[bytes, Said]()
    of = follower()
    of.loaded()
    play(of, said, found, bars, edges(rng, bars))
    assert len(found) > 500
    assert same(said, found, bars) > 50
    assert of.open < 60


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_restart_that_reads_the_open_events_says_the_same(seed: int) -> None:
    bars, rng = market(seed), np.random.default_rng(seed)
    found, said = detected(bars), dict[bytes, Said]()
    begins = edges(rng, bars)
    cut = begins[int(rng.integers(1, len(begins) - 1))]
    first = follower()
    first.loaded()
    play(first, said, found, bars, [at for at in begins if at <= cut])
    known = [event_id for event_id, one in said.items() if one.result != OPEN]
    is_open = (found.ts_us < bars["ts_us"][cut]) & ~np.isin(found.event_id, np.array(known, dtype="S36"))

    # the last minutes come again, for they were not stored; what is open is read in the middle of that
    again = int(np.searchsorted(bars["ts_us"], bars["ts_us"][cut] - 3 * MINUTE))
    second = follower()
    rest = [again, *(at for at in begins if at > cut)]
    rows = np.lexsort((bars["ts_us"][:cut], bars["symbol"][:cut]))
    left = events(found, is_open)
    left.symbol = np.array([NAMES.index(found.symbols[at]) for at in left.symbol], dtype=np.int32)
    left.symbols = NAMES
    opened = found.ts_us >= bars["ts_us"][again]
    play(second, said, _Some(found, opened & ~np.isin(found.event_id, np.array(known, dtype="S36"))), bars, rest[:2])
    known = [event_id for event_id, one in said.items() if one.result != OPEN]
    still = ~np.isin(left.event_id, np.array(known, dtype="S36"))
    for name in EVENT:
        setattr(left, name, getattr(left, name)[still])
    taken(said, second.load(left, closed(bars, rows)))
    second.loaded()
    play(second, said, found, bars, rest[1:])
    same(said, found, bars)


class _Some:
    """Some of the detections, as an object with their columns."""

    def __init__(self, found: Any, chosen: Any) -> None:
        self.symbols = found.symbols
        for name in EVENT:
            setattr(self, name, getattr(found, name)[chosen])


def one(found: Any, **change: Any) -> Any:
    """A single event on T0 whose levels are 1 away."""
    fields: dict[str, Any] = {"symbol": 0, "ts_us": T0, "direction": 1, "held": True, "close": 10.0, "atr": 1.0}
    fields |= {"entry": 10.0, "stop": 9.0, "target": 11.0, "event_id": str(found)} | change
    kinds: dict[str, Any] = {"symbol": np.int32, "ts_us": np.int64, "direction": np.int32, "held": np.bool_}
    return SimpleNamespace(
        symbols=("A",),
        **{
            name: np.array([fields[name]], kinds.get(name, "S36" if name == "event_id" else np.float64))
            for name in EVENT
        },
    )


ID = "6473b0bc-e94f-555e-b6d7-a615fb9bf4fc"


def bar(at: int, high: float, low: float, *, interval_us: int = MINUTE) -> Any:
    values = {"ts_us": T0 + at * interval_us, "high": high, "low": low, "close": low}
    return SimpleNamespace(
        symbols=("A",),
        symbol=np.zeros(1, np.int32),
        **{name: np.array([value], np.int64 if name == "ts_us" else np.float64) for name, value in values.items()},
    )


def test_events_of_daily_bars_outlast_sessions_and_those_of_five_minutes_do_not() -> None:
    for timeframe, interval_us, open_after in (("5min", 5 * MINUTE, 0), ("daily", 1440 * MINUTE, 1)):
        of = follower(timeframe)
        of.follow(one(ID), bar(0, 10.0, 10.0))
        of.follow(one(ID, held=False, event_id=ID.replace("6", "7")), bar(30, 10.5, 9.5, interval_us=interval_us))
        assert of.open == open_after


def test_a_withdrawn_event_comes_to_nothing() -> None:
    of = follower()
    of.follow(one(ID), bar(0, 10.0, 10.0))
    assert of.follow(one(ID, held=False), bar(1, 12.0, 10.0)) is None
    assert of.open == 0


@pytest.mark.parametrize("atr", [float("nan"), 0.0])
def test_without_a_range_there_is_no_result(atr: float) -> None:
    of = follower()
    ended = of.follow(one(ID, atr=atr), bar(1, 11.0, 10.0))
    assert ended is not None
    assert (ended.end.tolist(), ended.result.tolist(), ended.bars.tolist()) == ([0], [UNMEASURED], [1])


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"timeframe": "2min"}, "2min"),
        ({"sessions": np.array([[2, 1]])}, "sessions"),
        ({"sessions": np.zeros((1, 3), np.int64)}, "2 columns"),
    ],
)
def test_a_wrong_argument_is_named(how: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        follower(**how)


def test_columns_that_do_not_fit_are_refused() -> None:
    wrong = one(ID)
    wrong.stop = np.zeros(2)
    with pytest.raises(ValueError, match="one length"):
        follower().follow(wrong, bar(0, 10.0, 10.0))
    with pytest.raises(ValueError, match="is no event id"):
        follower().follow(one("x"), bar(0, 10.0, 10.0))
    with pytest.raises(ValueError, match="symbol must index symbols"):
        follower().follow(one(ID, symbol=3), bar(0, 10.0, 10.0))


def test_an_event_waits_for_the_bars_of_a_channel_that_is_behind() -> None:
    """Another symbol's bars are 15 minutes past the close; the delayed one's touch the target before it."""
    event, touch, other = one(ID, ts_us=T0 + 110 * MINUTE), bar(112, 11.0, 10.0), bar(134, 10.0, 10.0)
    other.symbols = ("B",)
    ended = []
    for reached_us in (None, T0 + 113 * MINUTE):
        of = follower()
        of.follow(event, bar(110, 10.0, 10.0), reached_us)
        for each in (other, touch):
            came = of.follow(one(ID, held=False, event_id=ID.replace("6", "7")), each, reached_us)
            ended += [] if came is None else [(reached_us is None, ENDS[came.end[0]], came.result.tolist())]
        assert of.open == 0
    assert ended == [(True, "expired", [UNRESOLVED]), (False, "target", [WON])]


def test_an_event_of_a_session_that_every_channel_is_past_does_not_wait() -> None:
    of = follower()
    of.follow(one(ID, ts_us=T0 + 110 * MINUTE), bar(110, 10.0, 10.0), T0 + 111 * MINUTE)
    assert of.open == 1
    other = bar(140, 10.0, 10.0)
    other.symbols = ("B",)
    for reached_us, still in ((T0 + 134 * MINUTE, 1), (T0 + 135 * MINUTE, 0)):
        of.follow(one(ID, held=False, event_id=ID.replace("6", "7")), other, reached_us)
        assert of.open == still


def test_an_engine_has_come_to_where_the_channel_is_that_is_last() -> None:
    engine = tp.Engine(EngineSettings(channels=("fast", "delayed")))

    def heard(channel: int, minute: float, now: float) -> int | None:
        stamp = (T0 + minute * MINUTE) / 1e6
        tick = f'{{"ticker":"A","price":1,"volume":1,"timestamp":{stamp},"event_type":"T"}}'.encode()
        return engine.ingest([tick], T0 + round(now * MINUTE), channel).reached_us

    assert engine.advance(T0).reached_us is None
    assert heard(0, 20.5, 21) == T0 + 21 * MINUTE
    assert heard(1, 5.5, 21) == T0 + 6 * MINUTE
    assert heard(0, 40.5, 41) == T0 + 6 * MINUTE
    assert heard(0, 90.5, 91) == T0 + 91 * MINUTE, "nobody waits for a channel that has been silent for an hour"
