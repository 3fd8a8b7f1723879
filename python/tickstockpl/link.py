"""One subscribed socket: from the moment redis-py has sent SUBSCRIBE until the connection ends.

redis-py's `PubSub` costs 6 to 30 µs a message; here a socket read of any number of messages is one call of the framer.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.wire import Answered, Connected, FramesLike, Inbound, Received

READ_BYTES = 1 << 18
"""One socket read at most; also what a full channel leaves in our memory beside the channel itself."""
UNFINISHED_BYTES = 32 << 20
"""More than this of one message is not kept. Redis sends 512 MB if told to, and cuts who is so far behind if not."""

BEHIND_S = 5.0
"""A connection that ends so soon after we had stopped reading was probably cut for that."""

PING = b"*1\r\n$4\r\nPING\r\n"


@dataclass(slots=True)
class Tally:
    """What the links of one process have read, all together."""

    messages: list[int]
    """Per channel, in settings order."""
    bytes: int = 0
    """Of their payloads."""
    pauses: int = 0
    """Times a full channel stopped the reading."""
    answered_s: float | None = None
    """Monotonic time of the latest pong."""


class Framer(Protocol):
    """Cuts bytes into frames; `_kernel.Framer` is one."""

    def feed(self, chunk: memoryview, /) -> FramesLike:
        """Complete frames; the rest waits. Raises ValueError on bytes that are not RESP2."""
        ...

    @property
    def pending(self) -> int:
        """Bytes that wait."""
        ...


class Link(asyncio.BufferedProtocol):
    """Reads, frames and hands over; a PING that stays unanswered ends it.

    When the channel is full the socket is not read (`held`, `hand_over`): nothing is dropped here, and Redis' own limit
    decides how far we may fall behind. `wake` is set when the link needs its owner: something is held, or it ended.
    """

    def __init__(
        self,
        framer: Framer,
        channels: Sequence[str],
        tally: Tally,
        out: Channel[Inbound],
        clock: Clock,
        wake: asyncio.Event,
        *,
        first: bool,
    ) -> None:
        self.cause: str | None = None
        """Why it ended; None while it lives."""
        self.refused = False
        """True if it ended because Redis answered with an error."""
        self.fault: BaseException | None = None
        """A bug of ours that ended it: a transport would only log it."""
        self.connected_us: int | None = None
        """When every channel's subscription was confirmed."""
        self.held: deque[Inbound] = deque()
        """Items that found the channel full, oldest first."""
        self._framer = framer
        self._unconfirmed = set(channels)
        self._tally = tally
        self._out = out
        self._clock = clock
        self._wake = wake
        self._first = first
        self._view = memoryview(bytearray(READ_BYTES))
        self._transport: Any = None
        self._writer: asyncio.StreamWriter | None = None
        self._pings: deque[tuple[int, float]] = deque()
        self._heard_s = clock.monotonic_s()
        self._watched_s = self._heard_s
        self._paused = False
        self._behind_s: float | None = None

    async def take_over(self, connection: Any) -> None:
        """Become the protocol of redis-py's `connection`, beginning with the bytes that it has buffered but not read.

        Its replies so far must have been read, so that whatever is buffered belongs to the subscription.
        """
        # SLF001: redis-py has no public way to give its socket away; a test holds these two names in place
        reader: asyncio.StreamReader = connection._reader  # noqa: SLF001
        # a collected StreamWriter closes its transport, so it is kept; the connection must neither read nor close
        self._writer = connection._writer  # noqa: SLF001
        connection._reader = connection._writer = None  # noqa: SLF001
        self._transport = self._writer.transport
        self._transport.set_protocol(self)
        reader.feed_eof()  # from here on bytes come to us, so this read ends at once, without yielding to the loop
        early = await reader.read()
        self._heard_s = self._watched_s = self._clock.monotonic_s()
        if early:
            self._receive(memoryview(early))
        if self._transport.is_closing():
            self.end("closed by Redis")
        elif not self._transport.is_reading() and not self._paused:
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self._receive(self._view[:nbytes])

    def eof_received(self) -> None:
        self._lost("closed by Redis")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(f"{type(exc).__name__}: {exc}" if exc else "closed by Redis")

    def watch(self, ping_s: float, timeout_s: float) -> None:
        """Send a PING, or end the link if the oldest unanswered one is older than `timeout_s`; call it every `ping_s`.

        Silence counts only if we listened: not while paused, and not if this call itself comes late because the
        process stood still, as then the answer may be waiting in the socket.
        """
        now_s = self._clock.monotonic_s()
        listened = now_s - self._watched_s < 2 * ping_s
        self._watched_s = now_s
        if not listened:
            self._behind_s = now_s
        if self._pings and listened and now_s - max(self._pings[0][1], self._heard_s) > timeout_s:
            self.end(f"no answer to PING for {timeout_s:.1f} s")
        elif self._transport.is_closing():
            self.end("closed by Redis")
        elif self.cause is None:
            self._pings.append((self._clock.now_us(), now_s))
            self._transport.write(PING)

    async def hand_over(self) -> None:
        """Put what is held into the channel, waiting for room, and read on."""
        while self.held:
            await self._out.put(self.held[0])
            self.held.popleft()
        if self._paused:
            self._resume()

    def _resume(self) -> None:
        self._paused = False
        self._behind_s = self._watched_s = self._clock.monotonic_s()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self, cause: str) -> None:
        """Drop the connection. What was read stays in `held`; a second call changes nothing."""
        if self.cause is None:
            self.cause = cause
            self._wake.set()
        if self._transport is not None:
            self._transport.abort()

    def _receive(self, chunk: memoryview) -> None:
        if self.cause is not None:
            return
        try:
            self._sort(self._framer.feed(chunk))
            if self._framer.pending > UNFINISHED_BYTES:
                self.end(f"a message is longer than {UNFINISHED_BYTES >> 20} MiB")
        except ValueError as error:
            self.end(f"not RESP2: {error}")
        except BaseException as fault:  # noqa: BLE001 - the owner raises it again where it ends the service
            self.fault = fault
            self.end(f"{type(fault).__name__}: {fault}")

    def _sort(self, frames: FramesLike) -> None:
        now_us = self._clock.now_us()
        self._heard_s = self._clock.monotonic_s()
        self._tally.bytes += frames.payload_bytes
        control = frames.control
        if control:
            self._confirm(control, now_us)
        if len(frames):
            for channel, count in enumerate(frames.counts()):
                self._tally.messages[channel] += count
            self._deliver(Received(frames, now_us))
        if control:
            self._answer(control)

    def _confirm(self, control: list[tuple[str, str, int]], now_us: int) -> None:
        """Before the messages of the same read: none of them is older than the confirmation."""
        for kind, text, _ in control:
            if kind == "subscribe":
                self._unconfirmed.discard(text)
        if not self._unconfirmed and self.connected_us is None:
            self.connected_us = now_us
            self._deliver(Connected(now_us, self._first))
            self._wake.set()

    def _answer(self, control: list[tuple[str, str, int]]) -> None:
        """After the messages of the same read: those before the pong must have been handed over, the others may."""
        for kind, text, _ in control:
            if kind == "pong" and self._pings:
                self._tally.answered_s = self._heard_s
                sent_us, _ = self._pings.popleft()
                if self.connected_us is not None and sent_us >= self.connected_us:
                    self._deliver(Answered(sent_us))
            elif kind not in ("subscribe", "foreign"):
                self.refused = kind == "error"
                self.end(f"Redis answered: {text}" if kind == "error" else f"unexpected {kind} {text}".rstrip())

    def _deliver(self, item: Inbound) -> None:
        if not self.held and self._out.put_nowait(item):
            return
        self.held.append(item)
        if not self._paused:
            self._paused = True
            self._tally.pauses += 1
            self._wake.set()
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _lost(self, cause: str) -> None:
        if self._behind_s is not None and self._clock.monotonic_s() - self._behind_s < BEHIND_S:
            cause += ", after we had read too slowly (see client-output-buffer-limit pubsub)"
        self.end(cause)
