"""The socket's protocol alone: bytes in, items out, no network and no waiting."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickstockpl.channel import Channel
from tickstockpl.clock import ManualClock
from tickstockpl.kernel import Framer
from tickstockpl.link import PING, READ_BYTES, Link, Tally
from tickstockpl.wire import Answered, Connected, Inbound, Received

pytestmark = pytest.mark.anyio
CHANNELS = ("data.raw", "other")
NOW_US = 1_700_000_000_000_000


def array(*parts: bytes | int) -> bytes:
    """A RESP2 array of bulk strings and integers."""
    body = b"".join(b":%d\r\n" % p if isinstance(p, int) else b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
    return b"*%d\r\n%s" % (len(parts), body)


def message(payload: bytes, channel: bytes = b"data.raw") -> bytes:
    return array(b"message", channel, payload)


CONFIRMED = array(b"subscribe", b"data.raw", 1) + array(b"subscribe", b"other", 2)
PONG = array(b"pong", b"")


@dataclass
class FakeTransport:
    """Remembers what was asked of it."""

    protocol: Any = None
    written: list[bytes] = field(default_factory=list)
    reading: bool = True
    aborted: bool = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.aborted

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


class Bench:
    """A link on a fake transport, with a clock that moves when told."""

    def __init__(self, capacity: int = 1000, framer: Any = None) -> None:
        self.clock = ManualClock(NOW_US)
        self.out: Channel[Inbound] = Channel(capacity, "inbound")
        self.tally = Tally([0, 0])
        self.transport = FakeTransport()
        self.link = Link(
            framer or Framer(list(CHANNELS)), CHANNELS, self.tally, self.out, self.clock, asyncio.Event(), first=True
        )

    async def take_over(self, early: bytes = b"") -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(early)
        await self.link.take_over(SimpleNamespace(_reader=reader, _writer=SimpleNamespace(transport=self.transport)))
        assert self.transport.protocol is self.link

    def arrive(self, data: bytes) -> None:
        """What a transport does with bytes from the socket."""
        while data:
            buffer = self.link.get_buffer(-1)
            part, data = data[: len(buffer)], data[len(buffer) :]
            buffer[: len(part)] = part
            self.link.buffer_updated(len(part))

    def cause(self) -> str | None:
        return self.link.cause

    def items(self) -> list[Inbound]:
        taken: list[Inbound] = []
        while len(self.out):
            taken.append(self.out._items.popleft())
        return taken


def payloads(items: list[Inbound], channel: int = 0) -> list[bytes]:
    return [p for item in items if isinstance(item, Received) for p in item.frames.payloads(channel)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.lists(st.integers(0, 700), max_size=12))
def test_frames_may_be_split_at_any_byte(bodies: list[bytes], cuts: list[int]) -> None:
    async def scenario() -> None:
        stream = CONFIRMED + b"".join(map(message, bodies)) + PONG
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        bench = Bench()
        await bench.take_over(stream[: edges[1]])
        bench.link.watch(0.5, 3.0)
        for start, end in pairwise(edges[1:]):
            bench.arrive(stream[start:end])
        assert payloads(bench.items()) == bodies
        assert bench.tally.messages == [len(bodies), 0]

    asyncio.run(scenario())


async def test_every_single_cut_gives_the_same_items() -> None:
    stream = CONFIRMED + message(b'{"a": "\r\n"}') + message(b"", b"other") + message(b"x" * 30)
    for cut in range(1, len(stream)):
        bench = Bench()
        await bench.take_over(stream[:cut])
        bench.arrive(stream[cut:])
        items = bench.items()
        assert isinstance(items[0], Connected)
        assert (payloads(items), payloads(items, 1)) == ([b'{"a": "\r\n"}', b"x" * 30], [b""])


async def test_a_message_longer_than_one_read_arrives_whole() -> None:
    bench = Bench()
    await bench.take_over(CONFIRMED)
    bench.arrive(message(b"x" * (2 * READ_BYTES)) + message(b"next"))
    assert payloads(bench.items()) == [b"x" * (2 * READ_BYTES), b"next"]


async def test_it_is_connected_when_every_channel_is_confirmed_and_not_before() -> None:
    bench = Bench()
    await bench.take_over(array(b"subscribe", b"data.raw", 1))
    assert bench.items() == []
    bench.arrive(array(b"subscribe", b"other", 2) + message(b"1"))
    connected, received = bench.items()
    assert connected == Connected(NOW_US, first=True)
    assert isinstance(received, Received)


async def test_a_pong_answers_for_the_time_its_ping_was_sent_after_the_messages_before_it() -> None:
    bench = Bench()
    await bench.take_over(CONFIRMED)
    bench.link.watch(0.5, 3.0)
    bench.clock.advance(0.25)
    bench.arrive(message(b"1") + PONG)
    kinds = bench.items()
    assert [type(item) for item in kinds] == [Connected, Received, Answered]
    assert kinds[-1] == Answered(NOW_US)
    assert bench.transport.written == [PING]


async def test_a_pong_for_a_ping_older_than_the_subscription_answers_for_nothing() -> None:
    bench = Bench()
    await bench.take_over()
    bench.link.watch(0.5, 3.0)
    bench.clock.advance(0.1)
    bench.arrive(CONFIRMED + PONG)
    assert [type(item) for item in bench.items()] == [Connected]
    assert bench.tally.answered_s == pytest.approx(0.1)


async def test_a_ping_that_nobody_answers_ends_the_link() -> None:
    bench = Bench()
    await bench.take_over(CONFIRMED)
    for _ in range(7):
        bench.link.watch(0.5, 3.0)
        bench.clock.advance(0.5)
    assert bench.cause() is None
    bench.link.watch(0.5, 3.0)
    assert bench.cause() == "no answer to PING for 3.0 s"
    assert bench.transport.aborted


async def test_bytes_are_a_sign_of_life_while_the_pong_waits_behind_them() -> None:
    bench = Bench()
    await bench.take_over(CONFIRMED)
    for _ in range(40):
        bench.link.watch(0.5, 3.0)
        bench.arrive(message(b"1"))
        bench.clock.advance(0.5)
    assert bench.cause() is None


async def test_silence_does_not_count_while_we_did_not_listen() -> None:
    bench = Bench(capacity=1)
    await bench.take_over(CONFIRMED)
    bench.link.watch(0.5, 3.0)
    bench.arrive(message(b"1"))
    assert not bench.transport.is_reading()
    bench.clock.advance(60)
    assert len(bench.items()) == 1
    await bench.link.hand_over()
    assert bench.transport.is_reading()
    bench.clock.advance(0.5)
    bench.arrive(PONG)
    bench.link.watch(0.5, 3.0)
    bench.clock.advance(60)
    bench.link.watch(0.5, 3.0)
    assert bench.cause() is None
    bench.link.connection_lost(ConnectionResetError("reset"))
    assert bench.cause() == (
        "ConnectionResetError: reset, after we had read too slowly (see client-output-buffer-limit pubsub)"
    )


async def test_a_full_channel_holds_items_in_order_and_counts_one_pause() -> None:
    bench = Bench(capacity=1)
    await bench.take_over(CONFIRMED)
    for n in range(5):
        bench.arrive(message(b"%d" % n))
    assert (len(bench.out), len(bench.link.held), bench.tally.pauses) == (1, 5, 1)
    taken: list[Inbound] = []
    handing = asyncio.create_task(bench.link.hand_over())
    while len(taken) < 6:
        taken.append(await bench.out.get())
    await handing
    assert payloads(taken) == [b"%d" % n for n in range(5)]
    assert bench.transport.is_reading()


async def test_an_error_of_redis_ends_the_link_as_refused() -> None:
    bench = Bench()
    await bench.take_over(b"-NOPERM No permissions to access a channel\r\n")
    assert bench.link.refused
    assert bench.cause() == "Redis answered: NOPERM No permissions to access a channel"
    assert bench.transport.aborted


async def test_bytes_that_are_not_resp_end_the_link() -> None:
    bench = Bench()
    await bench.take_over(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert str(bench.cause()).startswith("not RESP2")
    assert bench.transport.aborted


async def test_another_channels_message_is_passed_over() -> None:
    bench = Bench()
    await bench.take_over(CONFIRMED + message(b"?", b"foreign") + message(b"1"))
    assert payloads(bench.items()) == [b"1"]
    assert bench.cause() is None


async def test_a_bug_is_kept_for_the_owner_instead_of_vanishing_in_the_transport() -> None:
    class Broken:
        def feed(self, chunk: memoryview) -> Any:
            raise LookupError("a bug")

    bench = Bench(framer=Broken())
    await bench.take_over(CONFIRMED)
    assert isinstance(bench.link.fault, LookupError)
    assert bench.transport.aborted
    bench.arrive(message(b"1"))
    assert bench.items() == []


async def test_a_message_without_end_is_not_waited_for() -> None:
    bench = Bench()
    await bench.take_over(CONFIRMED)
    bench.arrive(message(b"x" * 20_000_000))
    assert bench.cause() is None
    bench.arrive(b"*3\r\n$7\r\nmessage\r\n$8\r\ndata.raw\r\n$500000000\r\n" + b"x" * 40_000_000)
    assert bench.cause() == "a message is longer than 32 MiB"
    assert bench.transport.aborted
    assert [len(payload) for payload in payloads(bench.items())] == [20_000_000]


async def test_a_connection_that_was_closed_before_we_took_it_over_is_a_loss_with_its_last_bytes_read() -> None:
    bench = Bench()
    bench.transport.aborted = True
    await bench.take_over(CONFIRMED + message(b"last"))
    assert payloads(bench.items()) == [b"last"]
    assert bench.cause() == "closed by Redis"
