"""Stages meet only in channels: bounded, in order, with an end that loses nothing."""

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickstockpl.channel import Channel
from tickstockpl.errors import ClosedChannel

pytestmark = pytest.mark.anyio


async def turns(count: int = 5) -> None:
    """Let every other task run as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_channel_holds_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="capacity must be at least 1, was 0"):
        Channel[int](0, "none")


async def test_items_leave_in_the_order_they_came() -> None:
    channel: Channel[int] = Channel(3, "numbers")
    for n in range(3):
        await channel.put(n)
    assert [await channel.get() for _ in range(3)] == [0, 1, 2]


async def test_put_waits_while_the_channel_is_full() -> None:
    channel: Channel[str] = Channel(1, "one")
    await channel.put("first")
    waiting = asyncio.create_task(channel.put("second"))
    await turns()
    assert not waiting.done()
    assert len(channel) == 1
    assert await channel.get() == "first"
    await waiting
    assert await channel.get() == "second"


async def test_put_nowait_says_when_there_is_no_room() -> None:
    channel: Channel[int] = Channel(1, "one")
    assert channel.put_nowait(1)
    assert not channel.put_nowait(2)
    assert [await channel.get(), len(channel)] == [1, 0]


async def test_what_was_put_before_the_end_can_be_read_after_it() -> None:
    channel: Channel[int] = Channel(2, "two")
    await channel.put(1)
    await channel.put(2)
    channel.close()
    channel.close()
    assert [item async for item in channel] == [1, 2]
    with pytest.raises(ClosedChannel, match="channel two is closed"):
        await channel.get()


async def test_a_closed_channel_takes_nothing_more() -> None:
    channel: Channel[int] = Channel(1, "done")
    async with aclosing(channel):
        assert not channel.closed
    with pytest.raises(ClosedChannel):
        await channel.put(1)
    with pytest.raises(ClosedChannel):
        channel.put_nowait(1)
    assert channel.closed


async def test_closing_wakes_everybody_who_waits() -> None:
    full: Channel[int] = Channel(1, "full")
    empty: Channel[int] = Channel(1, "empty")
    await full.put(0)
    waiting = [asyncio.create_task(full.put(n)) for n in range(3)]
    reading = [asyncio.create_task(empty.get()) for _ in range(3)]
    await turns()
    full.close()
    empty.close()
    results = await asyncio.gather(*waiting, *reading, return_exceptions=True)
    assert [type(result) for result in results] == [ClosedChannel] * 6
    assert len(full) == 1


async def test_get_within_gives_up_without_losing_the_next_item() -> None:
    channel: Channel[int] = Channel(1, "slow")
    assert await channel.get_within(0.01) is None
    await channel.put(7)
    assert await channel.get_within(0) == 7


async def test_get_within_ends_when_the_channel_does() -> None:
    channel: Channel[int] = Channel(1, "closing")
    reading = asyncio.create_task(channel.get_within(60))
    await turns()
    channel.close()
    with pytest.raises(ClosedChannel):
        await reading


async def test_a_cancelled_producer_keeps_its_item_and_the_next_one_gets_the_room() -> None:
    channel: Channel[str] = Channel(1, "contended")
    await channel.put("first")
    cancelled = asyncio.create_task(channel.put("cancelled"))
    waiting = asyncio.create_task(channel.put("second"))
    await turns()
    assert await channel.get() == "first"  # wakes the one that is cancelled in the same turn
    cancelled.cancel()
    await turns()
    assert waiting.done()
    assert await channel.get() == "second"
    assert cancelled.cancelled()


async def test_a_cancelled_consumer_passes_its_item_on() -> None:
    channel: Channel[int] = Channel(2, "contended")
    cancelled = asyncio.create_task(channel.get())
    waiting = asyncio.create_task(channel.get())
    await turns()
    await channel.put(1)
    cancelled.cancel()
    await turns()
    assert waiting.result() == 1
    assert cancelled.cancelled()


@settings(deadline=None, max_examples=60)
@given(
    capacity=st.integers(1, 4),
    producers=st.integers(1, 3),
    consumers=st.integers(1, 3),
    count=st.integers(0, 30),
    cancels=st.lists(st.integers(0, 40), max_size=5),
)
def test_no_item_is_lost_or_doubled_whoever_waits_and_is_cancelled(
    capacity: int, producers: int, consumers: int, count: int, cancels: list[int]
) -> None:
    async def scenario() -> None:
        channel: Channel[tuple[int, int]] = Channel(capacity, "busy")
        taken: list[tuple[int, int]] = []

        async def produce(who: int) -> None:
            for n in range(count):
                await channel.put((who, n))

        async def consume() -> None:
            async for item in channel:
                taken.append(item)
                assert len(channel) <= capacity

        async with asyncio.TaskGroup() as readers:
            readers_made = [readers.create_task(consume()) for _ in range(consumers + len(cancels))]
            async with asyncio.TaskGroup() as writers:
                for who in range(producers):
                    writers.create_task(produce(who))
                for turn, reader in zip(sorted(cancels), readers_made, strict=False):
                    await turns(turn % 7)
                    reader.cancel()
            channel.close()
        assert sorted(taken) == [(who, n) for who in range(producers) for n in range(count)]
        if consumers + len(cancels) == 1:
            assert [n for who, n in taken if who == 0] == list(range(count))

    asyncio.run(scenario())
