"""One attack on the memory of this process, told as a line of JSON: `python exhausting.py symbols`.

The peak is Linux's VmHWM, which can be reset. That of `resource.getrusage` cannot, and begins with the parent's.
"""

import asyncio
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from running import MINUTE, SECOND, tick
from tickstockpl import logs
from tickstockpl.channel import Channel
from tickstockpl.clock import ManualClock
from tickstockpl.kernel import Engine, EngineSettings, Framer
from tickstockpl.link import Link, Tally
from tickstockpl.metrics import Metrics
from tickstockpl.settings import HttpSettings, LogSettings
from tickstockpl.web import Limits, json_answer, serving
from tickstockpl.wire import Inbound, Received

KB, MB = 1 << 10, 1 << 20
CHANNEL = "data.raw"
CAP = 20_000
MINUTES = 3


class Peak:
    """The most memory that was resident since `begin`, beside what was so then."""

    def __init__(self) -> None:
        self.before_kb = self.peak_kb = 0

    def begin(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self.before_kb = self._of("VmRSS")

    def end(self) -> None:
        self.peak_kb = self._of("VmHWM")

    @staticmethod
    def _of(name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1])


class Service:
    """Socket to bars as in the service, without a socket: a link, and an engine that takes what it hands on.

    It knows every symbol that it may, and has bars of each.
    """

    def __init__(self) -> None:
        self.clock = ManualClock(1_700_000_040_000_000)
        self.engine = Engine(EngineSettings(channels=(CHANNEL,), max_symbols=CAP))
        self._out: Channel[Inbound] = Channel(4, "inbound")
        self._filled = 0
        self.link = Link(Framer([CHANNEL]), (CHANNEL,), Tally([0]), self._out, self.clock, asyncio.Event(), first=True)

    async def start(self) -> "Service":
        transport = SimpleNamespace(
            set_protocol=lambda _: None, is_closing=lambda: False, is_reading=lambda: True, abort=lambda: None
        )
        reader = asyncio.StreamReader()
        await self.link.take_over(SimpleNamespace(_reader=reader, _writer=SimpleNamespace(transport=transport)))
        await self.read([b"*3\r\n$9\r\nsubscribe\r\n$8\r\n%b\r\n:1\r\n" % CHANNEL.encode()])
        for _ in range(MINUTES):
            self.clock.advance(60)
            await self.send(self.ticks(f"S{n}" for n in range(CAP)))
        assert self.engine.counters()["symbols"] == CAP
        return self

    def ticks(self, symbols: Iterable[str]) -> Iterator[bytes]:
        """A good tick of this minute, of each symbol."""
        head, _, tail = self.tick("ZZTEST1").partition(b"ZZTEST1")
        return (head + symbol.encode() + tail for symbol in symbols)

    def tick(self, symbol: str = "S1") -> bytes:
        return tick(self.clock.now_us() // MINUTE * MINUTE + SECOND, symbol)

    async def send(self, payloads: Iterable[bytes]) -> None:
        """What Redis makes of messages."""
        for payload in payloads:
            head = b"*3\r\n$7\r\nmessage\r\n$8\r\n%b\r\n$%d\r\n" % (CHANNEL.encode(), len(payload))
            await self.read((head, payload, b"\r\n"))
        await self._deliver()

    async def read(self, parts: Iterable[bytes]) -> None:
        """Bytes as they come from a socket: many small messages a read, or many reads a message."""
        for part in parts:
            rest = memoryview(part)
            while rest and self.link.cause is None:
                room = self.link.get_buffer(-1)[self._filled :]
                fits = min(len(room), len(rest))
                room[:fits] = rest[:fits]
                rest = rest[fits:]
                self._filled += fits
                if fits == len(room):
                    await self._deliver()

    async def _deliver(self) -> None:
        self.link.buffer_updated(self._filled)
        self._filled = 0
        while len(self._out):
            item = await self._out.get()
            if isinstance(item, Received):
                self.engine.ingest_frames(item.frames, self.clock.now_us())

    def told(self, sent: int) -> dict[str, Any]:
        """What became of `sent` messages or ticks: taken, refused, or cut off with the connection."""
        counted = self.engine.counters()
        refused = sum(count for name, count in counted.items() if name.startswith("refused_"))
        taken = counted["ticks"] - refused - MINUTES * CAP
        return {
            "sent": sent,
            "taken": taken,
            "refused": refused,
            "symbols": counted["symbols"],
            "cause": self.link.cause,
        }


async def symbols(peak: Peak) -> dict[str, Any]:
    """A million names that nobody has."""
    service, chance = await Service().start(), random.Random(1)
    peak.begin()
    await service.send(
        service.ticks("X" + "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=9)) for _ in range(1_000_000))
    )
    return service.told(1_000_000)


async def giants(peak: Peak) -> dict[str, Any]:
    """Messages of the greatest length that is taken, and of one byte more."""
    service = await Service().start()
    good = service.tick()
    longest = good[:-1] + b',"more":"' + b"x" * (64 * KB - len(good) - 10) + b'"}'
    assert len(longest) == 64 * KB
    peak.begin()
    await service.send([longest, longest + b" "] * 2000)
    return service.told(4000)


async def monster(peak: Peak) -> dict[str, Any]:
    """A message of the greatest length that Redis allows."""
    service, piece = await Service().start(), b"x" * MB
    peak.begin()
    await service.read([b"*3\r\n$7\r\nmessage\r\n$8\r\n%b\r\n$%d\r\n" % (CHANNEL.encode(), 512 * MB)])
    await service.read(piece for _ in range(512))
    return service.told(1)


async def nests(peak: Peak) -> dict[str, Any]:
    """JSON as deep as fits, and deeper."""
    service = await Service().start()
    deep = b"[" * 32_000 + b"]" * 32_000
    nested = [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        deep,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 64 * KB,
        service.tick()[:-1] + b',"more":' + deep + b"}",
    ]
    peak.begin()
    await service.send(nested * 200)
    return service.told(1200)


async def arrays(peak: Peak) -> dict[str, Any]:
    """Arrays of as many ticks as fit, and of 50,000."""
    service = await Service().start()
    good = service.tick()
    fits = 64 * KB // (len(good) + 1) - 1
    full, long = (b"[" + b",".join([good] * count) + b"]" for count in (fits, 50_000))
    peak.begin()
    await service.send([full] * 1000)
    await service.send([long] * 10)
    return service.told(1000 * fits + 10)


async def slow(peak: Peak) -> dict[str, Any]:
    """The real server; who started this process attacks it, until standard input ends."""
    metrics, limits = Metrics(), Limits(request_s=1.0)
    async with serving(HttpSettings(port=0), {"/health": lambda _: json_answer({})}, metrics, limits) as port:
        peak.begin()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)

        def cut(reason: str) -> int:
            return int(metrics.registry.get_sample_value("tickstockpl_http_refused_total", {"reason": reason}) or 0)

        return {"crowded": cut("crowded"), "slow": cut("slow")}


ATTACKS = {attack.__name__: attack for attack in (symbols, giants, monster, nests, arrays, slow)}


def main() -> None:
    logs.configure(LogSettings(level="error"))
    peak = Peak()
    outcome = uvloop.run(ATTACKS[sys.argv[1]](peak))
    peak.end()
    sys.stdout.write(json.dumps(outcome | {"before_kb": peak.before_kb, "peak_kb": peak.peak_kb}) + "\n")


if __name__ == "__main__":
    main()
