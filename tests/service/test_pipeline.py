"""The stage that drives the kernel: what comes in from the socket, what goes out to writer and publisher."""

import asyncio
import uuid
from collections.abc import Iterable
from typing import Any

import pytest

import tickstockpl as tp
from running import MINUTE, SECOND, tick
from tickstockpl.channel import Channel
from tickstockpl.clock import ManualClock
from tickstockpl.events import Event, Expiry
from tickstockpl.losses import JUMP, SHORT
from tickstockpl.pipeline import PROGRESS_S, Pipeline, Shown
from tickstockpl.position import EVER_US, Begun, Position
from tickstockpl.readings import INDICATORS, Readings
from tickstockpl.vocabulary import quality_names
from tickstockpl.wire import Answered, Connected, Findings, Inbound, Lost, Missed, Received, WriteBatch

pytestmark = pytest.mark.anyio

CHANNEL = "data.raw"
T0 = 1_757_599_200 * SECOND  # 2025-09-11 14:00:00 UTC


def has_rows(batch: WriteBatch) -> bool:
    """False for a batch that only says how far the source has come."""
    bars = batch.bars is not None and len(batch.bars)
    return bool(bars or batch.events or batch.readings or batch.expired or batch.gaps or batch.dead)


class Stage:
    """A pipeline over real channels; `play` runs it over items until its inbox ends."""

    def __init__(
        self,
        *,
        heard_until_us: int | None = None,
        shown: Shown | None = None,
        begun: Begun | None = None,
        **settings: Any,
    ) -> None:
        self.clock = ManualClock(T0 + 3600 * SECOND)
        self.engine = tp.Engine(tp.EngineSettings(channels=(CHANNEL,), **settings))
        self.framer = tp.Framer([CHANNEL])
        self.inbox: Channel[Inbound] = Channel(1000, "ticks")
        self.writes: Channel[WriteBatch] = Channel(1000, "writes")
        self.events: Channel[Findings] = Channel(1000, "events")
        self.pipeline = Pipeline(
            self.engine,
            (CHANNEL,),
            self.inbox,
            self.writes,
            self.events,
            self.clock,
            begun=begun,
            heard_until_us=heard_until_us,
            shown=shown,
        )
        self.readings: list[Readings] = []

    def received(self, payloads: Iterable[bytes]) -> Received:
        parts = [
            b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(CHANNEL), CHANNEL.encode(), len(each), each)
            for each in payloads
        ]
        return Received(self.framer.feed(b"".join(parts)), self.clock.now_us())

    async def play(self, *items: Inbound) -> tuple[list[WriteBatch], list[Event | Expiry]]:
        for item in items:
            await self.inbox.put(item)
        self.inbox.close()
        async with asyncio.timeout(10):
            await self.pipeline.run()
            batches = [batch async for batch in self.writes if has_rows(batch)]
            findings = [found async for found in self.events]
            self.readings = [found.readings for found in findings if found.readings is not None]
            return batches, [each for found in findings for each in (*found.expired, *(found.events or ()))]


def bars_of(batches: list[WriteBatch]) -> list[tuple[int, int, str]]:
    """(minute since T0, trades, quality) of every row written."""
    return [
        ((ts_us - T0) // MINUTE, trades, ",".join(quality_names(quality)))
        for batch in batches
        if batch.bars is not None
        for ts_us, trades, quality in zip(
            batch.bars.ts_us.tolist(), batch.bars.trades.tolist(), batch.bars.quality.tolist(), strict=True
        )
    ]


async def test_closed_bars_are_written_and_open_ones_follow_as_provisional_at_the_end() -> None:
    stage = Stage()
    ticks = [tick(T0 + at * SECOND) for at in (10, 20, 70)]
    batches, _ = await stage.play(stage.received(ticks))
    assert bars_of(batches) == [(0, 2, ""), (1, 1, "provisional")]


async def test_an_answered_ping_closes_a_quiet_bar() -> None:
    stage = Stage()
    received = stage.received([tick(T0 + 50 * SECOND)])
    stage.clock.advance(13)
    batches, _ = await stage.play(received, Answered(stage.clock.now_us()))
    assert bars_of(batches) == [(0, 1, "")]


async def test_a_loss_becomes_a_gap_row_from_the_last_word_to_the_new_subscription() -> None:
    stage = Stage()
    begin_us = stage.clock.now_us()
    items: list[Inbound] = [Connected(begin_us, first=True), Answered(begin_us + SECOND)]
    items += [Lost(begin_us + 2 * SECOND, "closed by Redis"), Connected(begin_us + 5 * SECOND, first=False)]
    batches, _ = await stage.play(*items)
    first, second = (gap for batch in batches for gap in batch.gaps)
    assert (first.started_us, first.ended_us, first.cause) == (begin_us, begin_us, "start")
    assert (second.started_us, second.ended_us) == (begin_us + SECOND, begin_us + 5 * SECOND)
    assert (second.cause, second.channels) == ("closed by Redis", (CHANNEL,))
    assert stage.pipeline.status()["gaps"] == 2


async def test_what_lies_between_two_processes_is_a_start_when_a_third_one_replays_both() -> None:
    stage = Stage()
    now_us = stage.clock.now_us()
    items = [Connected(now_us, first=True), Connected(now_us + SECOND, first=False)]
    batches, _ = await stage.play(*items, Lost(now_us, "frozen"), Connected(now_us + 2 * SECOND, first=False))
    assert [gap.cause for batch in batches for gap in batch.gaps] == ["start", "start", "frozen"]


async def test_the_first_gap_begins_where_the_stored_history_ends() -> None:
    stage = Stage(heard_until_us=T0)
    now_us = stage.clock.now_us()
    (batch,), _ = await stage.play(Connected(now_us, first=True))
    assert [(gap.started_us, gap.ended_us) for gap in batch.gaps] == [(T0, now_us)]


async def test_bars_open_during_a_loss_are_flagged() -> None:
    stage = Stage()
    now_us = stage.clock.now_us()
    before, after = (
        stage.received([tick(T0 + 10 * SECOND)]),
        stage.received([tick(T0 + at * SECOND) for at in (40, 70)]),
    )
    batches, _ = await stage.play(
        Connected(now_us, first=True), before, Lost(now_us, "x"), Connected(now_us, first=False), after
    )
    assert bars_of(batches)[0][:2] == (0, 2)
    assert "gap" in bars_of(batches)[0][2]


async def test_subscribers_are_told_of_a_pattern_before_its_rows_find_room() -> None:
    stage = Stage(patterns=("volume_spike",))
    while stage.writes.put_nowait(WriteBatch()):
        pass
    ticks = [tick(T0 + n * MINUTE + 30 * SECOND) for n in range(21)]
    ticks += [tick(T0 + 21 * MINUTE + 30 * SECOND, volume=1000), tick(T0 + 22 * MINUTE + 30 * SECOND)]
    await stage.inbox.put(stage.received(ticks))
    stage.inbox.close()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.pipeline.run())
        found = await anext(aiter(stage.events))
        assert [event.pattern for event in found.events or ()] == ["VolumeSpike"]
        assert len(stage.writes) == stage.writes.capacity
        assert [batch.bars is not None for batch in [each async for each in stage.writes]].count(True) == 2


async def test_a_withdrawn_pattern_is_told_to_both_before_what_replaces_it() -> None:
    stage = Stage(patterns=("volume_spike",))
    ticks = [tick(T0 + n * MINUTE + 30 * SECOND) for n in range(21)]
    ticks += [tick(T0 + 21 * MINUTE + 30 * SECOND, volume=1000), tick(T0 + 22 * MINUTE + 30 * SECOND)]
    late = tick(T0 + 16 * MINUTE + 45 * SECOND, volume=50_000)
    batches, found = await stage.play(stage.received(ticks), stage.received([late]))
    event, expiry = found
    assert isinstance(event, Event)
    assert isinstance(expiry, Expiry)
    assert expiry.event_id == event.event_id
    assert expiry.bar_end_us == event.bar_end_us == T0 + 22 * MINUTE
    assert [list(batch.events) for batch in batches if batch.events] == [[event]]
    assert [batch.expired for batch in batches if batch.expired] == [(expiry,)]
    assert (event.pattern, event.confidence, event.bars) == ("VolumeSpike", 1.0, 21)
    assert event.indicators == {"relative_volume": 10.0}


async def test_an_event_keeps_its_id_in_every_replay() -> None:
    ids = []
    for _ in range(2):
        stage = Stage(patterns=("high_of_day",))
        ticks = [tick(T0 + n * MINUTE + 30 * SECOND, price=100.0 + n) for n in range(4)]
        _, (event,) = await stage.play(stage.received(ticks))
        assert isinstance(event, Event)
        ids.append(event.event_id)
    assert ids == [tp.event_id("ZZTEST1", T0 + MINUTE, "high_of_day", 0)] * 2
    assert uuid.UUID(ids[0]).version == 5
    assert tp.event_id("ZZTEST1", T0 + MINUTE, "high_of_day", 1) != ids[0]


async def test_ticks_too_late_to_count_are_dead_letters() -> None:
    stage = Stage()
    too_late = tick(T0 + 10 * SECOND)
    batches, _ = await stage.play(stage.received([tick(T0 + 1800 * SECOND), too_late]))
    (letter,) = (letter for batch in batches for letter in batch.dead)
    assert (letter.reason, letter.symbol, letter.channel) == ("too_late", "ZZTEST1", CHANNEL)
    assert (letter.ts_us, letter.payload) == (T0 + 10 * SECOND, too_late)


async def test_broken_messages_are_counted_and_harm_nothing() -> None:
    stage = Stage()
    batches, _ = await stage.play(stage.received([b"{", b"[]", b"7", tick(T0 + 30 * SECOND), tick(T0 + 65 * SECOND)]))
    assert bars_of(batches)[0] == (0, 1, "")
    counters = stage.pipeline.status()["counters"]
    assert (counters["refused_bad_json"], counters["refused_not_an_object"], counters["folded"]) == (1, 1, 2)


async def test_a_feed_ahead_of_our_clock_is_told_as_clocks_that_differ() -> None:
    stage = Stage()
    seconds = []
    for _ in range(2):
        ahead_us = stage.clock.now_us() + 40 * SECOND
        seconds.append(stage.received(tick(ahead_us, symbol=f"ZZTEST{n}") for n in range(20)))
        stage.clock.advance(1)
    await stage.play(*seconds)
    status = stage.pipeline.status()
    assert status["state"] == "degraded"
    assert status["reason"].startswith("clocks differ by 40 s")


async def test_progress_ends_when_nothing_comes_through() -> None:
    stage = Stage()
    await stage.play(Answered(stage.clock.now_us()))
    assert stage.pipeline.made_progress()
    assert stage.pipeline.status()["silence_s"] is None
    stage.clock.advance(PROGRESS_S + 1)
    assert not stage.pipeline.made_progress()
    assert stage.pipeline.status()["state"] == "degraded"


async def test_indicators_of_watched_symbols_go_to_both_and_corrections_to_the_table_only() -> None:
    stage = Stage(indicators=("ZZTEST1",), patterns=(), shown=Shown((INDICATORS["RSI"], INDICATORS["VWAP"])))
    prices = [100.0 + n % 3 for n in range(20)]
    ticks = [tick(T0 + n * MINUTE + 30 * SECOND, price=price) for n, price in enumerate(prices)]
    ticks += [tick(T0 + n * MINUTE + 31 * SECOND, "ZZTEST2") for n in range(20)]
    late = tick(T0 + 17 * MINUTE + 45 * SECOND, price=110.0)
    batches, found = await stage.play(stage.received(ticks), stage.received([late]))
    assert found == []
    told = [batch.readings for batch in batches if batch.readings is not None]
    assert [set(part.symbol_names()) for part in told] == [{"ZZTEST1"}] * 2
    first, corrected = told
    assert (len(first), bool(first.fresh.all())) == (19, True)
    assert (len(corrected), bool(corrected.fresh.any())) == (2, False)
    assert sum(map(len, stage.readings)) == 19
    assert stage.pipeline.status()["indicators_calculated"] == first.count() + corrected.count() == 19 + 6 + 4


async def test_unwatched_symbols_are_not_told_of() -> None:
    stage = Stage(patterns=(), shown=Shown((INDICATORS["RSI"],)))
    ticks = [tick(T0 + n * MINUTE + 30 * SECOND) for n in range(20)]
    batches, found = await stage.play(stage.received(ticks))
    assert found == []
    assert all(batch.readings is None for batch in batches)
    assert stage.pipeline.status()["indicators_calculated"] == 0


def numbered(second: int, seq: int, day_volume: int, symbol: str = "ZZTEST1") -> bytes:
    """A tick of 100 shares that says its number on the channel, and what its symbol has traded today."""
    head = tick(T0 + second * SECOND, symbol)[:-1]
    return head + b', "seq": %d, "accumulated_volume": %d}' % (seq, day_volume)


def gaps_of(batches: list[WriteBatch]) -> list[tuple[int, int, str, tuple[str, ...]]]:
    """(first minute since T0, the one after the last, cause, symbols) of every gap."""
    return [
        ((gap.started_us - T0) // MINUTE, (gap.ended_us - T0) // MINUTE, gap.cause, gap.symbols)
        for batch in batches
        for gap in batch.gaps
    ]


async def test_a_jump_in_the_channels_numbers_is_one_gap_a_minute_and_a_flag() -> None:
    stage = Stage(seq_counts=True)
    ticks = [(10, 1), (20, 2), (30, 5), (40, 9), (70, 10), (80, 10), (130, 11), (135, 12)]
    payloads = [numbered(second, seq, 100 * at) for at, (second, seq) in enumerate(ticks, 1)]
    batches, _ = await stage.play(*(stage.received([payload]) for payload in payloads))
    assert gaps_of(batches) == [(0, 1, JUMP, ())]
    assert stage.engine.counters()["missing_ticks"] == 5
    assert [row for row in bars_of(batches) if "provisional" not in row[2]] == [(0, 4, "gap"), (1, 2, "")]


async def test_a_gap_right_behind_the_last_entry_that_is_stored_is_not_stored_yet() -> None:
    stage = Stage(begun=Begun(uuid.uuid4(), 9, Position(9, 9, EVER_US, 0, 9, ())))
    gaps = [Missed(src, T0, T0 + src, "told by a tap") for src in (9, 10)]
    batches, _ = await stage.play(*gaps)
    assert [gap.ended_us for batch in batches for gap in batch.gaps] == [T0 + 10]


async def test_numbers_that_do_not_count_the_channel_tell_of_no_gap() -> None:
    stage = Stage()
    payloads = [numbered(second, seq, 100 * at) for at, (second, seq) in enumerate([(10, 1), (20, 900), (130, 7)], 1)]
    batches, _ = await stage.play(stage.received(payloads))
    assert gaps_of(batches) == []


async def test_what_the_days_volume_says_is_missing_is_one_gap_for_all_symbols_and_a_flag_on_their_bars() -> None:
    stage = Stage()
    days = {"ZZTEST1": (100, 200, 300), "ZZTEST2": (100, 350, 450), "ZZTEST3": (100, 300, 400)}
    payloads = [
        numbered(second, 1, said[at], symbol)
        for at, second in enumerate((10, 20, 130))
        for symbol, said in days.items()
    ]
    batches, _ = await stage.play(stage.received(payloads))
    assert gaps_of(batches) == [(0, 1, SHORT, ("ZZTEST2", "ZZTEST3"))]
    assert stage.engine.counters()["missing_volume"] == 250
    closed = [quality for minute, _, quality in bars_of(batches) if minute == 0]
    assert sorted(closed) == ["", "gap", "gap"]


async def test_a_feed_whose_volumes_are_not_to_be_believed_is_not_asked() -> None:
    stage = Stage(volume_checked=False)
    batches, _ = await stage.play(stage.received([numbered(10, 1, 100), numbered(20, 2, 9000), numbered(130, 3, 9100)]))
    assert gaps_of(batches) == []
