"""A small deterministic world: the real engine, pipeline, backlog and positions, between a source and tables of dicts.

One seed decides everything: what the feed sends, in which order, how often and how late; when what is handed on is
taken in, and stored; whether a commit succeeds, is lost, or succeeds without an answer; and when the process dies.
Nothing runs by itself: each step is taken by `World.step`, between any two of which the process may end.
"""

import json
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

import tickstockpl as tp
from oracle import Oracle, Rules
from running import SECOND
from tickstockpl.backlog import Allowance, Backlog, Flush
from tickstockpl.channel import Channel
from tickstockpl.clock import ManualClock
from tickstockpl.dev.feed import aggregate_message, message_head, message_tail
from tickstockpl.history import Replayed
from tickstockpl.kernel import PROVISIONAL
from tickstockpl.pipeline import POSITION_S, Pipeline
from tickstockpl.position import EVER_US, Begun, Position
from tickstockpl.wire import Entries, Findings, Inbound, Passed, WriteBatch

T0 = 1_757_599_200 * SECOND
SOURCE = UUID(int=7)
CHANNELS = ("data.raw",)
REVISE_S = 20.0
BAR = ("open", "high", "low", "close", "volume", "vwap", "trades", "revision", "quality", "open_us", "close_us")
SETTINGS = tp.EngineSettings(
    channels=CHANNELS, revise_s=REVISE_S, window=40, patterns=("doji", "engulfing", "high_of_day", "volume_spike")
)


class Entry(NamedTuple):
    """A message in the source: acknowledged, numbered, and there for ever."""

    src: int
    now_us: int
    payload: bytes


def feed(rng: random.Random, count: int) -> list[Entry]:
    """A market that goes on, with ticks late, early, doubled and out of order, and with silences."""
    now_us = T0
    entries: list[Entry] = []
    sent: list[bytes] = []
    mid, _ = message_tail("polygon")
    for src in range(count):
        now_us += rng.choice([0, 0, 1, 2, 5, 11]) * SECOND if rng.random() < 0.95 else rng.randrange(60, 200) * SECOND
        stamp_us = now_us - SECOND
        if rng.random() < 0.2:
            stamp_us -= rng.choice([3, 8, 20, 40, 70, 160]) * SECOND
        if sent and rng.random() < 0.08:
            payload = rng.choice(sent)
        else:
            low = rng.randrange(9_900, 10_100)
            first, last = low + rng.randrange(4), low + rng.randrange(5)
            volume = rng.choice([10, 10, 10, 500])
            head = message_head(f"ZZTEST{rng.randrange(1, 4)}")
            prices = first / 100, (low + 4) / 100, low / 100, last / 100
            payload = aggregate_message(head, mid, stamp_us / 1e6, *prices, volume, "null").encode()
        sent.append(payload)
        entries.append(Entry(src, now_us, payload))
    return entries


@dataclass
class Tables:
    """What the database holds: written by whole transactions."""

    bars: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    events: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    position: dict[str, Any] | None = None

    def commit(self, flush: Flush) -> None:
        """One transaction, by the rules of `statements`."""
        for at, name in enumerate(flush.names):
            row = {column: flush.bars[column][at].item() for column in (*BAR, "first_src", "last_src")}
            key = name, int(flush.bars["ts_us"][at])
            self.bars[key] = merged(self.bars.get(key), row)
        for event in flush.events or ():
            self.events.setdefault(event.event_id, (event.symbol, event.bar_start_us, event.revision))
        self.withdrawn |= {expiry.event_id for expiry in flush.expired}
        if flush.position is not None:
            self.position = json.loads(json.dumps(flush.position.to_values()))


def merged(stored: dict[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
    """What stands in a row's place when another version comes."""
    if stored is None:
        return row
    assert row["first_src"] >= 0, "every bar here is of one source"
    inside = row["first_src"] >= stored["first_src"] and row["last_src"] <= stored["last_src"]
    around = row["first_src"] <= stored["first_src"] and row["last_src"] >= stored["last_src"]
    assert inside or around, "one writer's versions never cross"
    provisional = stored["quality"] & PROVISIONAL and row["quality"] != stored["quality"]
    if around and (not inside or row["revision"] > stored["revision"] or provisional):
        return row
    return stored


class World:
    """One seed's run."""

    def __init__(self, seed: int, *, count: int = 250) -> None:
        self.rng = random.Random(seed)
        self.entries = feed(self.rng, count)
        self.tables = Tables()
        self.crashes = self.unknown = 0
        self._end = 0
        """How many entries the feed has sent by now."""
        self._start()

    def _start(self) -> None:
        """A process begins: recovery is the only way there is."""
        rng, values = self.rng, self.tables.position
        position = Position.of_values(values) if values is not None else None
        start = position.replay_src if position is not None else 0
        replayed = Replayed(SOURCE, position.anew_us if position is not None else EVER_US, start)
        self.engine = tp.Engine(SETTINGS)
        self.engine.warm(self._history(replayed))
        if position is not None:
            self.engine.settle(position.anew_us, position.settled_src)
            self.engine.resume(position.standing)
        self.clock = ManualClock(T0)
        self.writes: Channel[WriteBatch] = Channel(10_000, "writes")
        begun = Begun(SOURCE, start, position, continues=position is not None)
        inbox: Channel[Inbound] = Channel(1, "ticks")
        self.events: Channel[Findings] = Channel(10_000, "events")
        self.pipeline = Pipeline(self.engine, CHANNELS, inbox, self.writes, self.events, self.clock, begun=begun)
        self.backlog = Backlog(10_000, Allowance(0))
        self.flush: Flush | None = None
        self.at = start
        # Sometimes every batch bears a position, sometimes few do.
        self._pace_s = rng.choice([0.0, POSITION_S / 3, POSITION_S * 2])

    def _history(self, replayed: Replayed) -> Any:
        """What `warmup.history` would read."""
        rows = [
            (key, row)
            for key, row in sorted(self.tables.bars.items())
            if key[1] < replayed.anew_us or row["first_src"] < replayed.start_src
        ]
        names = sorted({symbol for (symbol, _), _ in rows})
        kinds = {"volume": np.int64, "trades": np.int64, "revision": np.int32, "quality": np.uint8}
        kinds |= dict.fromkeys(("open_us", "close_us", "first_src", "last_src"), np.int64)
        columns = {
            name: np.array([row[name] for _, row in rows], kinds.get(name, np.float64))
            for name in (*BAR, "first_src", "last_src")
        }
        return _Columns(
            symbols=names,
            symbol=np.array([names.index(symbol) for (symbol, _), _ in rows], np.int32),
            ts_us=np.array([ts_us for (_, ts_us), _ in rows], np.int64),
            **columns,
        )

    def step(self) -> None:
        """One thing happens."""
        rng = self.rng
        what = rng.random()
        if what < 0.3:
            self._end = min(len(self.entries), self._end + rng.randrange(1, 8))
        elif what < 0.6:
            self._read(rng.randrange(1, 9))
        elif what < 0.75:
            self._collect(rng.randrange(1, 6))
        elif what < 0.95:
            self._store(rng.choice([2, 5, 5000]))
        else:
            self.crashes += 1
            self._start()

    def finish(self) -> None:
        """No more faults: everything is read, closed and stored."""
        self._end = len(self.entries)
        while self.at < self._end:
            self._read(20)
        # A silence long enough for every bar to close.
        _now(self.pipeline._take(Passed(self.entries[-1].now_us + 3600 * SECOND), None))
        self._collect(10_000)
        while self.flush is not None or len(self.backlog):
            self._store(5000, safely=True)

    def _read(self, most: int) -> None:
        """The source gives some entries, or word of a silence."""
        some = self.entries[self.at : min(self._end, self.at + most)]
        self.clock.advance(self._pace_s)
        if some:
            rows = [(0, entry.src, entry.now_us, entry.payload) for entry in some]
            self.at += len(some)
            _now(self.pipeline._take(Entries(rows), rows[-1][2]))
        elif self._end and self._end < len(self.entries):
            # Nothing has come before the next one does.
            last, following = self.entries[self._end - 1].now_us, self.entries[self._end].now_us
            _now(self.pipeline._take(Passed(self.rng.randint(last, max(last, following)) - 1), None))

    def _collect(self, most: int) -> None:
        for batch in self.writes.take(most):
            self.backlog.add(batch, 0.0)

    def _store(self, limit: int, *, safely: bool = False) -> None:
        """The writer tries the flush that it has, or takes one."""
        if self.flush is None:
            if not len(self.backlog):
                return
            self.flush = self.backlog.take(limit)
        outcome = 0.0 if safely else self.rng.random()
        if outcome < 0.75:
            self.tables.commit(self.flush)
            self.flush, self.backlog.flushing = None, 0
        elif outcome < 0.85:
            self.unknown += 1
            self.tables.commit(self.flush)  # and nobody hears of it: the same flush is tried again
        # else: the transaction was rolled back

    def expected(self) -> tuple[dict[tuple[str, int], dict[str, Any]], set[str], set[str]]:
        """Rows, events and withdrawals of an engine that takes every entry once, in one call, and never ends."""
        engine = tp.Engine(SETTINGS)
        said = [engine.ingest_stamped([(0, entry.src, entry.now_us, entry.payload) for entry in self.entries])]
        said.append(engine.advance(self.entries[-1].now_us + 3600 * SECOND))
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        events: set[str] = set()
        withdrawn: set[str] = set()
        for output in said:
            bars, found = output.bars, output.detections
            for at, symbol in enumerate(bars.symbol.tolist()):
                row = {name: getattr(bars, name)[at].item() for name in BAR}
                row |= {"first_src": output.first_src[at].item(), "last_src": output.last_src[at].item()}
                rows[bars.symbols[symbol], int(bars.ts_us[at])] = row
            ids = [event_id.decode() for event_id in found.event_id.tolist()]
            events |= {event_id for event_id, held in zip(ids, found.held.tolist(), strict=True) if held}
            withdrawn |= {event_id for event_id, held in zip(ids, found.held.tolist(), strict=True) if not held}
        return rows, events, withdrawn

    def folded(self) -> dict[tuple[str, int], tuple[Any, ...]]:
        """The same bars by the oracle: a list of ticks a bar, folded anew whenever one is asked for."""
        oracle = Oracle(Rules(channels=CHANNELS, revise_s=REVISE_S))
        for entry in self.entries:
            oracle.advance(entry.now_us - 1)
            oracle.ingest([entry.payload], entry.now_us)
        oracle.advance(self.entries[-1].now_us + 3600 * SECOND)
        return {(row.symbol, row.ts_us): (*row[2:7], *row[8:10]) for row in oracle.emitted}


class _Columns:
    """An object with columns, as `Engine.warm` takes them."""

    def __init__(self, **columns: Any) -> None:
        self.__dict__.update(columns)


def _now(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never has to wait: channels here have room for everything."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


def run(seed: int) -> World:
    """A world of this seed, from its beginning to its end."""
    world = World(seed)
    steps = world.rng.randrange(100, 300)
    for _ in range(steps):
        world.step()
    world.finish()
    return world
