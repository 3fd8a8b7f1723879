"""How long an event takes from the tick that closes its bar: our service, the seed's and an echo, at one stated load.

Publisher, Redis, PostgreSQL, service and subscriber are processes of their own; `benches.course` has the schedule.
"""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from benches import boundary, peers, servers, ticks
from benches.course import ECHO_EVERY, LATENESS_US, Course, Delays, Feed, echoed, evenly, real_time
from benches.processes import role
from benches.runner import Finding, Goal, Spread, Table
from benches.seed import NAME, WINDOW, Seed, warm_up
from benches.service import MODES, START, STREAM, SYMBOLS, compare
from tickstockpl.dev.simulate import TrueBars
from tickstockpl.settings import PublishSettings

NOW_US = ticks.START_US + 60 * ticks.MINUTE_US
"""What our service's clock says at first: after every simulated tick, in the session of them."""
PACED_PER_S = PublishSettings().rate_per_s
UNPACED_PER_S = 1e6
"""For `publish.rate_per_s`: so fast that only the burst of 4,000 events a round trip is left of the pacing."""
FEW = "volume_spike"
REAL_TIME_S = 108, 124
"""Seconds of the feed from which and until which it goes in real time: 12 s before a minute's end, and 4 after it."""
CONFIDENT = PublishSettings().min_confidence
EMPTY_BUT_HISTORY = (
    "TRUNCATE intraday_patterns, pattern_event, ingest_gap, dead_letter, ingest_checkpoint; "
    "DELETE FROM ohlcv_1min WHERE timestamp >= '2025-10-13 13:30Z'"
)
EVENTS = f"SELECT event_id::text FROM pattern_event WHERE confidence >= {CONFIDENT}"  # noqa: S608  # our own number

ALL_AT_ONCE = "tickstockpl service, all patterns, pacing off"
FEW_AT_ONCE = f"tickstockpl service, {FEW} alone, pacing off"
PACED = f"tickstockpl service, as it comes: {PACED_PER_S:g} events/s"
ECHO = f"echo of every {ECHO_EVERY}th tick: the two hops alone"
AGREEMENT = (
    "our bars in TimescaleDB equal the simulator's; every confident event stored was heard once, or counted as not "
    "sent; {}; no echo was lost"
)

NOTES = [
    "The load is half of what the seed's service gets done with, events and all",
    f"{SYMBOLS:,} symbols, windows of {WINDOW} bars full at both; ticks are due in a piece each millisecond",
    f"Our closing tick is the first stamped {LATENESS_US / 1e6:g} s after the minute: that wait is not counted",
    "The seed closes a bar at its symbol's next tick, whatever may come late",
    f"Pacing off is `publish.rate_per_s` = {UNPACED_PER_S:,.0f}, which leaves 4,000 events a round trip",
    f"The default is {PACED_PER_S:g}/s, as AppV2 shows no more, and would be all that is seen here",
]
REAL_TIME_NOTES = [
    f"The first {REAL_TIME_S[0]} s of the feed are sent at the load above, and what they bring is left out",
    "Each later second's ticks are due over that second. One round: best and median are the same",
]


class Ours:
    """Our service, with stored history.

    per_s: for `publish.rate_per_s`. patterns: for `patterns.enabled`; none means all. mode: the way in.
    """

    def __init__(
        self,
        database: str,
        folder: Path,
        truth: TrueBars,
        per_s: float,
        patterns: Sequence[str] = (),
        mode: str = "spool off",
    ) -> None:
        self._database, self._folder, self._truth = database, folder, truth
        self.unsent = 0
        """Events of the last run that expired or found no room, as the service counts them."""
        setting = {"rate_per_s": per_s, "now_us": NOW_US, "patterns": patterns or None, "ingest": MODES[mode]}
        self._setting = json.dumps(setting)

    def run(self, course: Course) -> Delays:
        """One run, checked."""
        servers.execute(self._database, EMPTY_BUT_HISTORY)
        messages, whole_s = len(course.feed.payloads), course.feed.whole_s
        measured, heard, started_s = course.run("service", self._database, messages, self._folder, self._setting)
        compare(self._database, until(self._truth, whole_s), messages, measured, whole_s)
        stored = asyncio.run(_column(self._database, EVENTS))
        ids = [event["flow_id"] for event in heard.events]
        self.unsent = measured["expired"] + measured["dropped"]
        assert len(ids) == len(set(ids)) == measured["sent"] > 0, measured
        assert set(ids) <= stored, "no event was heard that is not stored"
        assert len(stored) == len(ids) + self.unsent, "every confident event was heard, or counted as not sent"
        closes = course.feed.closed_by_feed()
        return course.delays(heard, started_s, [closes.get(end) for _, end in heard.keys])


def until(truth: TrueBars, end_s: int) -> TrueBars:
    """The bars that end by then."""
    rows = truth.ts_us < end_s * 1_000_000
    columns = {each.name: getattr(truth, each.name) for each in fields(truth)}
    return TrueBars(**{name: column if name == "symbols" else column[rows] for name, column in columns.items()})


async def _column(database: str, sql: str) -> set[Any]:
    connection = await asyncpg.connect(database)
    try:
        return {row[0] for row in await connection.fetch(sql)}
    finally:
        await connection.close()


async def store(database: str, history: boundary.History) -> None:
    """Put the history into `ohlcv_1min`, for our service to warm up from."""
    names = [history.symbols[n] for n in history.symbol.tolist()]
    starts = (history.ts_us.astype("datetime64[us]")).tolist()
    columns = (history.open, history.high, history.low, history.close, history.volume)
    rows = zip(names, (at.replace(tzinfo=START.tzinfo) for at in starts), *(c.tolist() for c in columns), strict=True)
    connection = await asyncpg.connect(database)
    try:
        fields = ["symbol", "timestamp", "open", "high", "low", "close", "volume"]
        await connection.copy_records_to_table("ohlcv_1min", records=rows, columns=fields)
    finally:
        await connection.close()


def run(quick: bool) -> list[Table]:
    """At half of what the seed's service can take, and in real time; ours beside it and beside the hops alone."""
    if peers.talib is None:
        return []
    minutes, rounds = (3, 1) if quick else (6, 3)
    payloads, truth = ticks.messages(SYMBOLS, minutes)
    feed, history = Feed(payloads), warm_up(SYMBOLS)
    with (
        tempfile.TemporaryDirectory() as name,
        servers.database() as database,
        servers.unlimited_pubsub() as url,
    ):
        folder = Path(name)
        asyncio.run(store(database, history))
        seed = Seed(folder, history, truth)
        every, few, paced = (
            Ours(database, folder, truth, *setting)
            for setting in ((UNPACED_PER_S,), (UNPACED_PER_S, (FEW,)), (PACED_PER_S,))
        )
        most = saturation(url, folder, feed, seed, 1 if quick else 3)
        half = Course(url, folder, feed, evenly(len(payloads), most / 2))
        runs = [(every.run(half), few.run(half), seed.run(half), echoed(half)) for _ in range(rounds)]
        assert every.unsent == few.unsent == 0, "all that was found was measured"
        tables = [_loaded(half, most, runs, seed), by_mode(url, database, folder, half, truth, most / 2, rounds)]
        if not quick:
            short = feed.until(REAL_TIME_S[1])
            course = Course(url, folder, short, *real_time(short, REAL_TIME_S[0], most / 2))
            once = [each.run(course) for each in (every, few, paced, seed)]
            tables.append(_real_time(course, [*once, echoed(course)], seed))
            tables[-1].findings.append(Finding(f"events not sent: {PACED}", paced.unsent, ""))
    return tables


def by_mode(
    url: str, database: str, folder: Path, published: Course, truth: TrueBars, load: float, rounds: int
) -> Table:
    """What durability costs an event: the same ticks by each way in, one after the other in each round."""

    def entered(payloads: Sequence[bytes]) -> bytes:
        return ticks.entered(payloads, STREAM)

    feed = published.feed
    added = Course(url, folder / "added", feed, evenly(len(feed.payloads), load), command=entered)
    runs: dict[str, list[Delays]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode, found in runs.items():
            ours = Ours(database, folder / mode.replace(" ", "_"), truth, UNPACED_PER_S, (FEW,), mode)
            found.append(ours.run(added if mode == "stream" else published))
            assert ours.unsent == 0, "all that was found was measured"
            servers.forget(url, STREAM)
    spreads = [Spread(mode, [each.ms for each in found]) for mode, found in runs.items()]
    p99 = {spread.name: spread.at(99)[0] for spread in spreads}
    return Table(
        name="latency",
        title=f"The same by each way in, {FEW} alone, {load:,.0f} ticks/s",
        unit="",
        agreement="our bars in TimescaleDB equal the simulator's in every round and mode; every event was heard once",
        regresses="a commit of the spool that events wait for, a read of the stream that waits for company",
        spreads=spreads,
        findings=[Finding(f"p99, {mode} ÷ spool off", p99[mode] / p99["spool off"], "×") for mode in list(MODES)[1:]],
        notes=["Each mode begins with its spool or stream empty; ticks are written to Redis by the same publisher"],
    )


def saturation(url: str, folder: Path, feed: Feed, seed: Seed, rounds: int) -> float:
    """Ticks a second that the seed's service gets done with, events and all, in its best round."""
    stream = folder / "commands"
    stream.write_bytes(ticks.published(feed.payloads))
    with role("publisher", url, stream) as publisher:
        found = [seed.flat_out(url, publisher, feed) for _ in range(rounds)]
    rates: list[float] = [len(feed.payloads) / (each["finished"] - each["started"]) for each in found]
    return max(rates)


def _loaded(course: Course, most: float, runs: Sequence[tuple[Delays, ...]], seed: Seed) -> Table:
    names = ALL_AT_ONCE, FEW_AT_ONCE, NAME, ECHO
    columns = list(zip(*runs, strict=True))
    spreads = [Spread(name, [each.ms for each in column]) for name, column in zip(names, columns, strict=True)]
    every, few, its, floor = (spread.at(99)[0] for spread in spreads)
    goal, hops = Goal(1 / 100, 1 / 300, most=True), Goal(5, 5, most=True)
    return Table(
        name="latency",
        title=f"Event at the subscriber after its closing tick was due, {most / 2:,.0f} ticks/s",
        unit="",
        agreement=AGREEMENT.format(seed.agreement),
        regresses="work before a minute's events are handed on, a round trip an event, a timer where a wake-up is due",
        spreads=spreads,
        findings=[
            Finding("p99 of all patterns ÷ the seed's", every / its, "×", goal),
            Finding("p99 of all patterns ÷ the echo's", every / floor, "×", hops),
            Finding(f"p99 of {FEW} alone ÷ the seed's", few / its, "×", goal),
            Finding(f"p99 of {FEW} alone ÷ the echo's", few / floor, "×", hops),
            *(_first(name, column) for name, column in zip(names[:3], columns[:3], strict=True)),
            Finding("ticks a second that the seed gets done with, best round", most, ""),
            *_lateness(course),
        ],
        notes=[
            *NOTES,
            f"{runs[-1][0].left_out} of our events in the last round are left out: their bars closed by silence",
        ],
    )


def _real_time(course: Course, runs: list[Delays], seed: Seed) -> Table:
    names = ALL_AT_ONCE, FEW_AT_ONCE, PACED, NAME, ECHO
    per_s = len(course.feed.payloads) / REAL_TIME_S[1]
    return Table(
        name="latency",
        title=f"The same in real time: a minute's end, {SYMBOLS:,} symbols, {per_s:,.0f} ticks/s",
        unit="",
        agreement=AGREEMENT.format(seed.agreement),
        regresses="the same",
        spreads=[Spread(name, [each.ms]) for name, each in zip(names, runs, strict=True)],
        findings=[
            *(_first(name, [each]) for name, each in zip(names[:4], runs[:4], strict=True)),
            *_lateness(course),
        ],
        notes=REAL_TIME_NOTES,
    )


def _first(name: str, runs: Sequence[Delays]) -> Finding:
    return Finding(
        f"first event of a minute, median: {name}", median(ms for each in runs for ms in each.first_ms()), "ms"
    )


def _lateness(course: Course) -> list[Finding]:
    p99, most = (max(each) for each in zip(*course.late_ms, strict=True))
    return [
        Finding("publisher behind its schedule: p99 of the worst run", p99, "ms"),
        Finding("publisher behind its schedule: most", most, "ms"),
    ]
