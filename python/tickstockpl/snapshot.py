"""What a clean stop leaves in a file, so that the next start need neither read history nor replay.

Never needed, and never a second way to the truth: a file that is not of the run just before this one, to the last
message, is ignored with the reason, and the start makes the same state from rows and messages.

One line of text: the name of the format, a checksum of all that follows in the line and of the events, and JSON. Then
the events, a record each; then the engine, which has a checksum of its own.
"""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import numpy as np
import orjson

from tickstockpl.events import EVENT_DTYPES, TOLD_DTYPES, EventColumns, Events
from tickstockpl.position import Position, Progress

FORMAT = b"tickstockpl-snapshot 3"
HEAD_BYTES = 1 << 26
"""A first line that is longer is none of ours."""

_RECORD = np.dtype(list(EVENT_DTYPES.items()))


class Unfit(Exception):
    """The snapshot cannot be gone on from; the message says why."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """Events that came together and wait to be sent. at_us: when they were found."""

    at_us: int
    columns: EventColumns

    @classmethod
    def of(cls, at_us: int, events: Events) -> "Unsent":
        """Only the rows that wait, with the symbols that they name."""
        return cls(at_us, events.compact())

    def __len__(self) -> int:
        return len(self.columns.symbol)

    def head(self) -> tuple[int, int, Sequence[str], dict[str, int]]:
        """What stands in the file's first line: when, rows, symbols, and the other columns' lengths."""
        return (
            self.at_us,
            len(self),
            self.columns.symbols,
            {name: len(getattr(self.columns, name)) for name in TOLD_DTYPES},
        )

    def tobytes(self) -> bytes:
        """Records of a row each, then the other columns."""
        records = np.empty(len(self), dtype=_RECORD)
        for name in EVENT_DTYPES:
            records[name] = getattr(self.columns, name)
        told = [getattr(self.columns, name).astype(dtype, copy=False).tobytes() for name, dtype in TOLD_DTYPES.items()]
        return b"".join((records.tobytes(), *told))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as it ended.

    database: where its rows are. src_id: its source. epoch: its ownership's. repairs: how often rows had been put right
    by hand when its windows were read from them. channels: the names of the engine's. engine: what `Engine.snapshot`
    gave.
    """

    database: str
    src_id: UUID
    epoch: int
    repairs: int
    channels: tuple[str, ...]
    progress: Progress
    unsent: tuple[Unsent, ...]
    engine: bytes

    def check(
        self,
        *,
        database: str,
        src_id: UUID | None,
        epoch: int,
        repairs: int,
        channels: Sequence[str],
        position: Position | None,
    ) -> None:
        """See that nothing has happened since, by what the owner of `epoch` finds in the database.

        Raises Unfit.
        """
        if self.database != database:
            raise Unfit("it is of another database")
        if self.src_id != src_id:
            raise Unfit("it is of another source")
        if self.epoch + 1 != epoch:
            raise Unfit(f"it was left by run {self.epoch}, and this is run {epoch}")
        if self.progress.position != position:
            raise Unfit("the database has not come as far")
        if self.repairs != repairs:
            raise Unfit("rows were repaired since its windows were read")
        if self.channels != tuple(channels):
            raise Unfit("it is of other channels")


def write(path: Path, snapshot: Snapshot) -> int:
    """Put a snapshot there, whole or not at all; how many bytes.

    Raises OSError.
    """
    events = b"".join(each.tobytes() for each in snapshot.unsent)
    told = orjson.dumps(
        {
            "version": version("tickstockpl"),
            "database": snapshot.database,
            "src_id": snapshot.src_id,
            "epoch": snapshot.epoch,
            "repairs": snapshot.repairs,
            "channels": snapshot.channels,
            "progress": snapshot.progress.to_values(),
            "unsent": [each.head() for each in snapshot.unsent],
            "engine_bytes": len(snapshot.engine),
        }
    )
    head = b"%b %08x %b\n" % (FORMAT, zlib.crc32(events, zlib.crc32(told)), told)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".new")
    try:
        with half.open("wb") as file:
            file.write(head)
            file.write(events)
            file.write(snapshot.engine)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return len(head) + len(events) + len(snapshot.engine)


def take(path: Path) -> Snapshot | None:
    """What is there, and remove it: it is gone on from once or never. None if nothing is there.

    Raises Unfit if it is damaged, of another version, or can be neither read nor removed.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(HEAD_BYTES)
            rest = file.read()
        path.unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unfit(f"it cannot be read and removed: {error.strerror}") from None
    return _read(line, rest)


def _read(line: bytes, rest: bytes) -> Snapshot:
    if not line.startswith(FORMAT + b" "):
        raise Unfit("it is of another format")
    written, _, told = line[len(FORMAT) + 1 :].rstrip(b"\n").partition(b" ")
    try:
        values = orjson.loads(told)
        if (made_by := values["version"]) != (ours := version("tickstockpl")):
            raise Unfit(f"it is of version {made_by}, and this is {ours}")
        events = rest[: sum(_bytes(count, lengths) for _, count, _, lengths in values["unsent"])]
        if b"%08x" % zlib.crc32(events, zlib.crc32(told)) != written:
            raise Unfit("it is damaged: its checksum differs")
        engine = rest[len(events) :]
        if len(engine) != values["engine_bytes"]:
            raise Unfit("it is damaged: it is not as long as it says")
        return Snapshot(
            values["database"],
            UUID(values["src_id"]),
            values["epoch"],
            values["repairs"],
            tuple(values["channels"]),
            Progress.of_values(values["progress"]),
            tuple(_unsent(values["unsent"], events)),
            engine,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unfit(f"it is damaged: {error!r}") from None


def _bytes(count: int, lengths: dict[str, int]) -> int:
    return _RECORD.itemsize * count + sum(np.dtype(TOLD_DTYPES[name]).itemsize * n for name, n in lengths.items())


def _unsent(parts: Sequence[tuple[int, int, list[str], dict[str, int]]], events: bytes) -> list[Unsent]:
    made, at = [], 0
    for at_us, count, symbols, lengths in parts:
        records = np.frombuffer(events, dtype=_RECORD, count=count, offset=at)
        # a column of records does not lie together, and the encoder wants that
        cells = {name: np.ascontiguousarray(records[name]) for name in EVENT_DTYPES}
        at += records.nbytes
        for name, length in lengths.items():
            cells[name] = np.frombuffer(events, dtype=TOLD_DTYPES[name], count=length, offset=at).copy()
            at += cells[name].nbytes
        made.append(Unsent(at_us, EventColumns(symbols, **cells)))
    return made


def _sync_folder(folder: Path) -> None:
    """Have the new name last, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
