"""The log on disk, and the stage that fills it: nothing passes before it is written, and a full disk stops nothing."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickstockpl import spool as spool_module
from tickstockpl.channel import Channel
from tickstockpl.clock import ManualClock
from tickstockpl.errors import ServerError
from tickstockpl.kernel import Framer
from tickstockpl.spool import Spool
from tickstockpl.spooler import RETRY_S, TEND_S, Spooler
from tickstockpl.wire import Answered, Connected, Inbound, Lost, Received, numbers_of

CHANNELS = ("data.raw", "other")


def received(at_us: int, *payloads: bytes, channel: str = "data.raw") -> Received:
    parts = [
        b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel.encode(), len(each), each)
        for each in payloads
    ]
    return Received(Framer(CHANNELS).feed(b"".join(parts)), at_us)


def framed(data: bytes) -> Any:
    return Framer(CHANNELS).feed(data)


def shown(item: Inbound) -> object:
    """An item as it can be compared."""
    if isinstance(item, Received):
        return item.now_us, [item.frames.payloads(at) for at in range(len(CHANNELS))]
    return item


ITEMS: list[Inbound] = [
    Connected(1, first=True),
    received(2, b"one", b"two"),
    Answered(3),
    received(4, b"three", channel="other"),
    Lost(5, "closed by Redis"),
    Connected(6, first=False),
]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool" / "ticks.sqlite", framed)
    yield made
    made.close()


def read(spool: Spool, first: int = 0) -> list[tuple[int, object]]:
    found: list[tuple[int, object]] = []
    while items := spool.read(first, spool.next_src()):
        found += [(number, shown(item)) for number, item in items]
        first = items[-1][0] + numbers_of(items[-1][1])
    return found


def test_what_was_written_is_read_again_each_item_with_its_number(spool: Spool) -> None:
    spool.append(0, ITEMS[:3])
    spool.append(4, ITEMS[3:])
    assert read(spool) == [(number, shown(item)) for number, item in zip((0, 1, 3, 4, 5, 6), ITEMS, strict=True)]
    assert (spool.first_src(), spool.next_src(), spool.heard_us(), spool.oldest()) == (0, 7, 6, 1)
    assert [number for number, _ in read(spool, 3)] == [3, 4, 5, 6]


def test_a_loss_is_no_word_that_was_heard(spool: Spool) -> None:
    spool.append(0, ITEMS[:5])
    assert spool.heard_us() == 4


def test_an_empty_one_has_neither_beginning_nor_end(spool: Spool) -> None:
    assert (spool.first_src(), spool.next_src(), spool.heard_us(), spool.oldest()) == (None, 0, None, None)
    assert read(spool) == []


def test_it_is_the_same_source_when_it_is_opened_again_and_another_when_it_begins_anew(tmp_path: Path) -> None:
    first = Spool(tmp_path / "a", framed)
    first.append(0, ITEMS)
    first.close()
    again = Spool(tmp_path / "a", framed)
    assert (again.src_id, again.next_src()) == (first.src_id, 7)
    again.begin_anew()
    assert (again.next_src(), again.src_id == first.src_id) == (0, False)
    again.close()
    anew = Spool(tmp_path / "a", framed)
    assert anew.src_id == again.src_id
    anew.close()


def test_a_hole_is_seen(spool: Spool) -> None:
    spool.append(0, ITEMS[:2])
    spool.append(9, ITEMS[3:4])
    assert spool.first_src() == 9


def test_only_what_nobody_needs_is_deleted(spool: Spool) -> None:
    spool.append(0, ITEMS)
    assert spool.prune(2) == 1, "message 2 stands together with message 1, which is below"
    assert [number for number, _ in read(spool)] == [1, 3, 4, 5, 6]
    assert spool.prune(2) == 0
    assert spool.shed() == 5


def test_a_burst_gives_its_room_back(spool: Spool) -> None:
    big = received(1, *[b"x" * 60_000] * 4)
    for at in range(400):
        spool.append(at * 4, [big])
    full = spool.path.stat().st_size
    while spool.prune(1600):
        pass
    for _ in range(40):
        spool.prune(1600)
    spool.close()
    assert spool.path.stat().st_size < full * 0.8


class Writing(threading.Thread):
    """Writes items, again and again, until the spool does not take them."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self.spool = spool
        self.begun = threading.Event()
        self.refused: sqlite3.Error | None = None

    def run(self) -> None:
        items = [received(1, b"x" * 50_000) for _ in range(20)]
        try:
            for number in range(10_000):
                self.spool.append(number * len(items), items)
                self.begun.set()
        except sqlite3.Error as error:
            self.refused = error


def test_it_is_closed_only_when_what_is_being_written_is_written(tmp_path: Path) -> None:
    """A task that is cancelled leaves its thread at work; SQLite closed under it would end the process."""
    for at in range(20):
        writing = Writing(Spool(tmp_path / f"{at}.sqlite", framed))
        writing.start()
        assert writing.begun.wait(10)
        writing.spool.close()
        writing.join(10)
        assert isinstance(writing.refused, sqlite3.ProgrammingError), "it is closed, and said so"


def test_a_second_process_is_told_that_the_file_is_taken(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "LOCKED_S", 0.1)
    with pytest.raises(ServerError, match=r"another process writes it: end that one, or give this one an ingest\.part"):
        Spool(spool.path, framed)


def test_a_file_that_is_none_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ticks.sqlite"
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 40)
    with pytest.raises(ServerError, match=r"file is not a database; move ticks\.sqlite away"):
        Spool(path, framed)
    assert path.read_bytes().startswith(b"something else")


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    made = Spool(tmp_path / "a", framed)
    made.close()
    with sqlite3.connect(tmp_path / "a") as db:
        db.execute("UPDATE meta SET version = 99")
    with pytest.raises(ServerError, match="of version 99, and this is 1"):
        Spool(tmp_path / "a", framed)


class Stage:
    """A spooler between two channels, on a clock of its own."""

    def __init__(self, spool: Spool, **caps: Any) -> None:
        self.clock = ManualClock(1_000_000_000)
        self.spool = spool
        self.inbox: Channel[Inbound] = Channel(1000, "heard")
        self.outlet: Channel[Inbound] = Channel(1000, "ticks")
        given: dict[str, Any] = {"next_src": 0, "cap_bytes": 1 << 30, "cap_hours": 24.0} | caps
        self.spooler = Spooler(spool, self.inbox, self.outlet, self.clock, **given)

    async def take(self, *items: Inbound) -> list[object]:
        """Hand items in, and wait until as many came out."""
        for item in items:
            await self.inbox.put(item)
        async with asyncio.timeout(10):
            return [shown(await self.outlet.get()) for _ in items]


@pytest.mark.anyio
async def test_what_comes_out_is_on_disk(spool: Spool) -> None:
    stage = Stage(spool)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.spooler.run())
        assert await stage.take(*ITEMS) == [shown(item) for item in ITEMS]
        assert [item for _, item in read(spool)] == [shown(item) for item in ITEMS]
        stage.inbox.close()
        await running
    assert stage.outlet.closed
    status = stage.spooler.status()
    assert (status["state"], status["items"], status["unspooled"], status["next_src"]) == ("ok", 6, 0, 7)


@pytest.mark.anyio
async def test_a_full_disk_stops_nothing_is_said_and_leaves_a_hole(spool: Spool) -> None:
    stage = Stage(spool)
    big = received(2, b"x" * 60_000)
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.spooler.run())
        await stage.take(big)
        spool._db.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own "database or disk is full"
        assert await stage.take(big, big) == [shown(big), shown(big)]
        status = stage.spooler.status()
        assert (status["state"], status["unspooled"]) == ("degraded", 2)
        assert "disk is full" in status["reason"]
        spool._db.execute("PRAGMA max_page_count = 100000")
        await stage.take(big)
        assert stage.spooler.status()["unspooled"] == 3, "not tried at every item"
        stage.clock.advance(RETRY_S)
        await stage.take(big)
        assert stage.spooler.status()["state"] == "ok"
        stage.inbox.close()
    assert spool.first_src() == 4, "messages 1 to 3 are missing"


@pytest.mark.anyio
@pytest.mark.parametrize("caps", [{"cap_bytes": 1 << 20}, {"cap_hours": 0.001}])
async def test_beyond_its_cap_the_oldest_go_and_it_says_so(spool: Spool, caps: dict[str, Any]) -> None:
    stage = Stage(spool, **caps)
    big = [received(stage.clock.now_us(), b"x" * 60_000) for _ in range(30)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.spooler.run())
        await stage.take(*big)
        stage.clock.advance(TEND_S)
        await stage.take(Answered(stage.clock.now_us()))
        stage.inbox.close()
    status = stage.spooler.status()
    assert (status["state"], status["dropped"] > 0) == ("degraded", True)
    assert "the spool is full" in status["reason"]


@pytest.mark.anyio
async def test_what_is_stored_is_let_go(spool: Spool) -> None:
    stage = Stage(spool)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.spooler.run())
        await stage.take(*ITEMS)
        stage.spooler.release(4)
        stage.clock.advance(TEND_S)
        await stage.take(Answered(7))
        stage.inbox.close()
    assert [number for number, _ in read(spool)] == [4, 5, 6, 7]
    assert stage.spooler.status()["state"] == "ok"


@pytest.mark.anyio
async def test_the_minutes_of_the_cap_are_those_at_the_rate_of_the_last_minute(spool: Spool) -> None:
    stage = Stage(spool, cap_bytes=60 << 20)

    async def takes_a_minute_of(size: int) -> float:
        for _ in range(12):
            stage.clock.advance(TEND_S)
            await stage.take(received(1, b"x" * size))
        minutes: float = stage.spooler.status()["cap_minutes"]
        return minutes

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.spooler.run())
        slow = await takes_a_minute_of(10_000)
        fast = await takes_a_minute_of(100_000)
        assert slow == pytest.approx((60 << 20) / 120_000, rel=0.2)
        assert fast == pytest.approx((60 << 20) / 1_200_000, rel=0.2)
        stage.inbox.close()
