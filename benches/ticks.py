"""The input of every bench: a seeded market in AppV2's exact message form, and random trades as columns."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickstockpl.dev.simulate import Market, Simulation, TrueBars, test_symbols

START_US = 1_760_362_200_000_000
"""2025-10-13 13:30 UTC: 09:30 in New York, a Monday."""
MINUTE_US = 60_000_000
CHANNEL = "data.raw"


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in order of time, the symbols interleaved at random. `cents` are the prices as whole numbers."""

    ts_us: NDArray[np.int64]
    price: NDArray[np.float64]
    cents: NDArray[np.int64]
    size: NDArray[np.int64]
    symbol: NDArray[np.int32]


def trades(rows: int, symbols: int, seed: int = 1) -> Trades:
    """One trade a millisecond: with 1,000 symbols each has one a second, so 60 a bar."""
    numbers = np.random.default_rng(seed)
    ids = np.tile(np.arange(symbols, dtype=np.int32), (rows // symbols, 1))
    cents = 10_000 + np.cumsum(numbers.integers(-2, 3, rows))
    cents = np.where(cents > 0, cents, 1).astype(np.int64)
    return Trades(
        START_US + np.arange(rows, dtype=np.int64) * 1000,
        cents / 100,
        cents,
        numbers.integers(1, 500, rows),
        numbers.permuted(ids, axis=1).ravel(),
    )


def messages(symbols: int, minutes: int, start_us: int = START_US, seed: int = 1) -> tuple[list[bytes], TrueBars]:
    """A market's messages in sending order, and the bars that a right service makes of them."""
    market = Market(symbols=test_symbols(symbols), start_us=start_us, minutes=minutes, seed=seed)
    simulation = Simulation(market)
    payloads = [payload for batch in simulation.batches() for payload in batch.payloads]
    return payloads, simulation.true_bars()


def shuffled(payloads: Sequence[bytes], seed: int = 1) -> list[bytes]:
    """The same messages, each with its keys in an order of its own."""
    draw = random.Random(seed)
    out = []
    for payload in payloads:
        items = list(json.loads(payload).items())
        draw.shuffle(items)
        out.append(json.dumps(dict(items)).encode())
    return out


def published(payloads: Sequence[bytes], channel: str = CHANNEL) -> bytes:
    """PUBLISH commands, one after the other, as they go to Redis."""
    name = channel.encode()
    head = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n" % (len(name), name)
    return b"".join([b"%b$%d\r\n%b\r\n" % (head, len(payload), payload) for payload in payloads])


def entered(payloads: Sequence[bytes], stream: str) -> bytes:
    """XADD commands, one after the other, as they go to Redis."""
    name = stream.encode()
    head = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$1\r\nd\r\n" % (len(name), name)
    return b"".join([b"%b$%d\r\n%b\r\n" % (head, len(payload), payload) for payload in payloads])


def delivered(payloads: Sequence[bytes], channel: str = CHANNEL, read: int = 1 << 18) -> list[bytes]:
    """What a subscriber's socket gives, in reads of `read` bytes."""
    name = channel.encode()
    head = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n" % (len(name), name)
    stream = b"".join([b"%b$%d\r\n%b\r\n" % (head, len(payload), payload) for payload in payloads])
    return [stream[at : at + read] for at in range(0, len(stream), read)]
