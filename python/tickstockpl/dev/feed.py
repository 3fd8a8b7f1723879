"""Ticks on their way to Redis: AppV2's message form, the pace, and PUBLISH in bulk.

`simulate` and `replay` make `Batch`es; `publish` sends them. Nothing here invents or changes a tick.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from tickstockpl.errors import ServerError

# A subscriber that lags by this much is waited for: Redis drops pub/sub clients at 32 MB, and at 8 MB after a minute.
LAG_BYTES = 4_000_000
Number = float | str
"""A number, or its JSON text."""
_ROUND_MESSAGES = 4096
_ROUND_BYTES = 1_000_000
_LAG_WAIT_S = 0.01


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that are due at one moment, in sending order.

    due_us: event time at which the live feed would have sent them, µs UTC.
    ticks: ticks inside the payloads, whatever their worth.
    """

    payloads: list[bytes]
    due_us: int
    ticks: int


@dataclass(slots=True)
class Sent:
    """What has been published so far."""

    messages: int = 0
    ticks: int = 0
    bytes: int = 0
    due_us: int = 0
    heard: int = 0
    """Σ of PUBLISH's answers: how many subscribers got a message; 0 means that nobody listens."""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Ticks per second so far."""
        return self.ticks / self.seconds if self.seconds > 0 else 0.0


def message_head(ticker: str) -> str:
    """The start of every message of one symbol."""
    return f'{{"ticker": {json.dumps(ticker)}, "price": '


def message_tail(source: str) -> tuple[str, str]:
    """The middle of a message for A and for T: event type and source, up to the next value."""
    name = json.dumps(source)
    return f', "event_type": "A", "source": {name}, "tick_open": ', f', "event_type": "T", "source": {name}'


def aggregate_message(
    head: str,
    mid: str,
    stamp_s: Number,
    opened: Number,
    high: Number,
    low: Number,
    close: Number,
    volume: int,
    vwap: Number,
) -> str:
    """AppV2's message for one `A` aggregate, key for key and byte for byte as its `json.dumps` writes it.

    stamp_s: END of the window, epoch seconds. vwap: `null` where the source has none.
    """
    return (
        f'{head}{close}, "volume": {volume}, "timestamp": {stamp_s}{mid}{opened}, "tick_high": {high}, '
        f'"tick_low": {low}, "tick_close": {close}, "tick_volume": {volume}, "tick_vwap": {vwap}, '
        '"bid": null, "ask": null}'
    )


def trade_message(head: str, mid: str, stamp_s: float, price: float, size: int, extra: str = "") -> str:
    """AppV2's message for one `T` trade. extra: further members as JSON text, starting with a comma."""
    return (
        f'{head}{price}, "volume": {size}, "timestamp": {stamp_s}{mid}, "tick_open": null, "tick_high": null, '
        f'"tick_low": null, "tick_close": {price}, "tick_volume": {size}, "tick_vwap": null, '
        f'"bid": null, "ask": null{extra}}}'
    )


def packed(messages: Sequence[str], pack: int) -> list[bytes]:
    """Payloads of `pack` ticks each: objects for 1, else JSON arrays."""
    if pack == 1:
        return [text.encode() for text in messages]
    return [f"[{', '.join(messages[at : at + pack])}]".encode() for at in range(0, len(messages), pack)]


async def publish(
    url: str,
    channel: str,
    batches: Iterable[Batch],
    *,
    speed: float = 0.0,
    origin_us: int | None = None,
    stop: asyncio.Event | None = None,
    progress: Callable[[Sent], None] | None = None,
) -> Sent:
    """PUBLISH every batch when it is due and return what was sent.

    speed: event seconds per second; 0 is as fast as the subscribers can take it (a subscriber that falls
    behind is waited for, since Redis would drop it and with it every tick in between).
    origin_us: the event time that is now; the first batch's if not given. What is due earlier goes out at once.

    Raises ServerError if Redis cannot be reached or refuses.
    """
    client = Redis.from_url(url, protocol=2)
    try:
        connection: AbstractConnection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        return await _publish(_Wire(connection), channel, batches, speed, origin_us, stop or asyncio.Event(), progress)
    except (RedisError, OSError) as error:
        raise ServerError(f"cannot publish to {channel}: {error}") from error
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()


async def _publish(
    wire: "_Wire",
    channel: str,
    batches: Iterable[Batch],
    speed: float,
    origin_us: int | None,
    stop: asyncio.Event,
    progress: Callable[[Sent], None] | None,
) -> Sent:
    started = time.monotonic()
    sent = Sent()
    for batch in batches if speed > 0 else _merged(batches):
        if speed > 0:
            origin_us = batch.due_us if origin_us is None else origin_us
            await _wait(stop, started + (batch.due_us - origin_us) / 1e6 / speed - time.monotonic())
        if stop.is_set():
            break
        for part in _rounds(batch.payloads):
            sent.heard += await wire.publish(channel, part)
            sent.messages += len(part)
            before, sent.bytes = sent.bytes, sent.bytes + sum(map(len, part))
            if before // LAG_BYTES != sent.bytes // LAG_BYTES:
                while not stop.is_set() and await wire.largest_lag() > LAG_BYTES:
                    await _wait(stop, _LAG_WAIT_S)
        sent.ticks += batch.ticks
        sent.due_us = batch.due_us
        sent.seconds = time.monotonic() - started
        if progress is not None:
            progress(sent)
    return sent


def _rounds(payloads: list[bytes]) -> Iterator[list[bytes]]:
    """What goes out before the replies are read: little enough that Redis can pass it on in time."""
    start = size = 0
    for at, payload in enumerate(payloads):
        if at > start and (at - start == _ROUND_MESSAGES or size + len(payload) > _ROUND_BYTES):
            yield payloads[start:at]
            start, size = at, 0
        size += len(payload)
    if payloads:
        yield payloads[start:]


def _merged(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same messages in fewer batches, for a journey without appointments: each one costs a round trip."""
    payloads: list[bytes] = []
    ticks = due_us = 0
    for batch in batches:
        payloads += batch.payloads
        ticks += batch.ticks
        due_us = batch.due_us
        if len(payloads) >= _ROUND_MESSAGES:
            yield Batch(payloads, due_us, ticks)
            payloads, ticks = [], 0
    if payloads:
        yield Batch(payloads, due_us, ticks)


class _Wire:
    """Commands in bulk on a connection that redis-py has opened: its own way costs a coroutine a reply."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._replies = hiredis.Reader()

    async def publish(self, channel: str, payloads: Sequence[bytes]) -> int:
        """PUBLISH each payload; Σ of the subscribers that got one."""
        name = channel.encode()
        head = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n" % (len(name), name)
        await self._connection.send_packed_command(
            [b"".join([b"%b$%d\r\n%b\r\n" % (head, len(payload), payload) for payload in payloads])]
        )
        return sum(await self._read(len(payloads)))

    async def largest_lag(self) -> int:
        """Bytes that Redis holds for the slowest subscriber; 0 where we may not ask."""
        await self._connection.send_command("CLIENT", "LIST", "TYPE", "pubsub")
        try:
            (listed,) = await self._read(1)
        except NoPermissionError:
            return 0
        return max((int(word[5:]) for word in listed.decode().split() if word.startswith("omem=")), default=0)

    async def _read(self, count: int) -> list[Any]:
        stream = self._connection._reader  # noqa: SLF001  # redis-py has no public way to the bytes
        if stream is None:
            raise RedisConnectionError("the connection is closed")
        replies: list[Any] = []
        while len(replies) < count:
            reply = self._replies.gets()
            if reply is not False:
                if isinstance(reply, hiredis.ReplyError):
                    raise NoPermissionError(str(reply)) if "NOPERM" in str(reply) else ResponseError(str(reply))
                replies.append(reply)
            elif chunk := await stream.read(65_536):
                self._replies.feed(chunk)
            else:
                raise RedisConnectionError("Redis closed the connection")
        return replies


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def tickers(payloads: Iterable[bytes]) -> set[str]:
    """The symbols that AppV2's messages speak of; what cannot be read speaks of none."""
    found: set[str] = set()
    for payload in payloads:
        try:
            message = json.loads(payload)
        except ValueError:
            continue
        for tick in message if isinstance(message, list) else [message]:
            if isinstance(tick, dict):
                name = tick.get("ticker") or tick.get("symbol")
                found |= {name} if isinstance(name, str) else set()
    return found


async def live_symbols(url: str, channel: str, own_prefix: str, seconds: float = 1.5) -> list[str]:
    """Symbols of other people's ticks heard on `channel` within `seconds`, sorted; empty on a quiet channel.

    own_prefix: symbols that begin so are test ticks.

    Raises ServerError if Redis cannot be reached or refuses.
    """
    heard = await overhear(url, [channel], seconds)
    return sorted(name for name in tickers(payload for _, payload in heard) if not name.startswith(own_prefix))


async def overhear(url: str, channels: Sequence[str], seconds: float) -> list[tuple[str, bytes]]:
    """Messages that somebody else sends on `channels` within `seconds`, at most 100.

    Call it before publishing test ticks: a channel with live traffic is nobody's playground.

    Raises ServerError if Redis cannot be reached or refuses.
    """
    client = Redis.from_url(url, protocol=2)
    heard: list[tuple[str, bytes]] = []
    try:
        async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(*channels)
            until = time.monotonic() + seconds
            while len(heard) < 100 and (left := until - time.monotonic()) > 0:
                message = await pubsub.get_message(timeout=left)
                if message is not None:
                    heard.append((bytes(message["channel"]).decode(), bytes(message["data"])))
    except (RedisError, OSError) as error:
        raise ServerError(f"cannot listen on {', '.join(channels)}: {error}") from error
    finally:
        await client.aclose()
    return heard
