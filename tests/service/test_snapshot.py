"""The file that a clean stop leaves: read once, whole or not at all, and only by the run that comes next."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_samples import event, events
from tickstockpl import snapshot
from tickstockpl.events import EVENT_DTYPES, Events
from tickstockpl.position import EVER_US, Mark, Marks, Position, Progress
from tickstockpl.snapshot import Snapshot, Unfit, Unsent

SRC_ID = UUID(int=7)
STANDING = (("data.raw", '{"event_us":1}'),)
POSITION = Position(7, 3, EVER_US, 5, 9, STANDING, 12)
PROGRESS = Progress(10, POSITION, 5_000_000, "start", (EVER_US, 5), (Mark(3, 1, -1, 2, STANDING), Mark(8, 2, 0, 3, ())))


def sample() -> Snapshot:
    waiting = events(event("ZZTEST1"), event("ZZTEST2", direction=-1), event("ZZTEST3", target=230.0))
    unsent = (Unsent.of(3_000_000, waiting[1:]), Unsent.of(4_000_000, waiting[:1]))
    return Snapshot("a database", SRC_ID, 4, 1, ("data.raw",), PROGRESS, unsent, b"an engine\n" * 30)


def found(**changed: Any) -> dict[str, Any]:
    fits = {"database": "a database", "src_id": SRC_ID, "epoch": 5, "repairs": 1, "channels": ("data.raw",)}
    return {**fits, "position": POSITION, **changed}


def cells(part: Unsent) -> list[Any]:
    named = [part.columns.symbols[at] for at in part.columns.symbol.tolist()]
    return [part.at_us, named, *(getattr(part.columns, name).tobytes() for name in EVENT_DTYPES if name != "symbol")]


def test_what_was_written_is_taken_once(tmp_path: Path) -> None:
    path, left = tmp_path / "snapshot" / "ticks", sample()
    assert snapshot.write(path, left) == path.stat().st_size
    assert list(path.parent.iterdir()) == [path]
    taken = snapshot.take(path)
    assert taken is not None
    assert replace(taken, unsent=()) == replace(left, unsent=())
    assert [cells(part) for part in taken.unsent] == [cells(part) for part in left.unsent]
    assert [len(part) for part in taken.unsent] == [2, 1]
    taken.check(**found())
    assert snapshot.take(path) is None


def test_a_written_one_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "ticks"
    snapshot.write(path, sample())
    snapshot.write(path, replace(sample(), epoch=9))
    taken = snapshot.take(path)
    assert taken is not None
    assert taken.epoch == 9


def test_a_disk_that_does_not_take_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        snapshot.write(tmp_path / "ticks", sample())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"database": "another"}, "it is of another database"),
        ({"src_id": uuid4()}, "it is of another source"),
        ({"epoch": 6}, "it was left by run 4, and this is run 6"),
        ({"position": replace(POSITION, durable_src=8)}, "the database has not come as far"),
        ({"position": None}, "the database has not come as far"),
        ({"repairs": 2}, "rows were repaired since its windows were read"),
        ({"channels": ("data.raw", "more")}, "it is of other channels"),
    ],
)
def test_what_has_happened_since_makes_it_unfit(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        sample().check(**found(**changed))


def test_one_of_another_version_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot.write(tmp_path / "ticks", sample())
    monkeypatch.setattr(snapshot, "version", lambda _: "99.0")
    with pytest.raises(Unfit, match=r"it is of version .*, and this is 99\.0"):
        snapshot.take(tmp_path / "ticks")
    assert list(tmp_path.iterdir()) == [], "it is not looked at again"


def test_what_cannot_be_removed_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "ticks").mkdir()
    with pytest.raises(Unfit, match="it cannot be read and removed"):
        snapshot.take(tmp_path / "ticks")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A place for files, and one that is whole."""
    path = tmp_path_factory.mktemp("snapshot") / "ticks"
    snapshot.write(path, sample())
    return path, path.read_bytes()


@given(st.data())
def test_a_damaged_file_is_refused(written: tuple[Path, bytes], data: st.DataObject) -> None:
    path, whole = written
    covered = len(whole) - len(sample().engine)  # what comes behind has a checksum of the kernel's
    at = data.draw(st.integers(0, covered - 1))
    if data.draw(st.booleans()):
        changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    else:
        changed = whole[: data.draw(st.integers(0, len(whole) - 1))]
    path.write_bytes(changed)
    with pytest.raises(Unfit):
        snapshot.take(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(written: tuple[Path, bytes], some: bytes) -> None:
    path, _ = written
    for content in (some, snapshot.FORMAT + b" " + some, snapshot.FORMAT + b" 00000000 {}\n" + some):
        path.write_bytes(content)
        with pytest.raises(Unfit):
            snapshot.take(path)


def test_marks_go_on_as_if_the_run_had_not_ended() -> None:
    whole = Marks(Position(0, 0, EVER_US, 2, 0, ()))
    for src in range(0, 50, 10):
        whole.add(Mark(src, src, src - 20, max(0, src - 15), ()))
    position = whole.position(30, 44)
    again = Marks.of(Progress(45, position, 0, None, whole.least, tuple(whole)))
    for src in (50, 60, 70):
        for marks in (whole, again):
            marks.add(Mark(src, src, src - 20, src - 15, ()))
        assert again.position(src - 5, src) == whole.position(src - 5, src)
        assert tuple(again) == tuple(whole)


def test_events_name_only_their_own_symbols() -> None:
    many = events(*(event(f"ZZTEST{n}") for n in range(9)))
    part = Unsent.of(1, Events(many.columns, many.patterns, many.encoder, np.array([7, 2])))
    assert part.columns.symbols == ["ZZTEST2", "ZZTEST7"]
    assert [part.columns.symbols[at] for at in part.columns.symbol.tolist()] == ["ZZTEST7", "ZZTEST2"]
