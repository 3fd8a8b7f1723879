"""What was received, on disk before anything is made of it: a kill loses nothing that the kernel has seen.

One row of SQLite holds what came together. A run that begins reads them again from where its position says.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from tickstockpl.errors import ServerError
from tickstockpl.wire import Answered, Connected, FramesLike, Inbound, Lost, Received, numbers_of

VERSION = 1
LOCKED_S = 5.0
"""How long a file that another process holds is tried: the one whose work was taken over ends within a second."""
SHED_ROWS = 512
PAGE_BYTES = 16_384
WAL_PAGES = 256
"""4 MB: what is copied into the file at once, while items wait."""
SPARE_PAGES = 4_096
"""Free pages that the file may keep: 64 MB."""
PRUNE_ROWS = 2_000
"""Deleted in one commit: more would keep received items waiting."""
READ_ROWS = 64

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (version INTEGER NOT NULL, src_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS log (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, at_us INTEGER NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL
);
"""


class Spool:
    """The log of one source in one file. Everything here blocks: it is called in a thread.

    path: the file; it and its folder are made if they are not there.
    framed: cuts the bytes of whole frames, by the channels of today.
    Raises ServerError if the file cannot be used.
    """

    def __init__(self, path: Path, framed: Callable[[bytes], FramesLike]) -> None:
        self.path = path
        # A task that is cancelled does not end its thread: closed under it, SQLite would read memory that is gone.
        self._use = threading.Lock()
        self._framed = framed
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=LOCKED_S)
            # Reads of the socket come in pieces of up to 256 KiB: pages of 16 KiB take half the time that 4 KiB do.
            self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            # Held as long as this process lives: a second one would number its messages like ours.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            # A kill loses nothing that was committed; only a loss of power may take the last moments.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            self._db.executescript(_SCHEMA)
            row = self._db.execute("SELECT version, src_id FROM meta").fetchone()
            if row is None:
                row = VERSION, str(uuid4())
                self._db.execute("INSERT INTO meta VALUES (?, ?)", row)
        except (sqlite3.Error, OSError) as error:
            raise ServerError(f"the spool {path} cannot be used: {_said(path, error)}") from error
        if row[0] != VERSION:
            raise ServerError(f"the spool {path} is of version {row[0]}, and this is {VERSION}: move it away")
        self.src_id = UUID(row[1])

    def close(self) -> None:
        """Let go of the file, once nothing is written or read any more."""
        with self._use:
            self._db.close()

    def begin_anew(self) -> None:
        """Forget all items, and become another source."""
        self.src_id = uuid4()
        self._db.execute("BEGIN")
        self._db.execute("DELETE FROM log")
        self._db.execute("UPDATE meta SET src_id = ?", (str(self.src_id),))
        self._db.execute("COMMIT")

    def next_src(self) -> int:
        """The number after the last one."""
        (last,) = self._db.execute("SELECT max(first + count) FROM log").fetchone()
        return int(last or 0)

    def first_src(self) -> int | None:
        """The lowest number from which on none is missing; None if nothing is there."""
        row = self._db.execute(
            "SELECT max(first) FROM (SELECT first, lag(first + count) OVER (ORDER BY first) AS expected FROM log) "
            "WHERE expected IS NOT first"
        ).fetchone()
        return row[0] if row else None

    def heard_us(self) -> int | None:
        """When the last item came that was heard: a loss is noticed later."""
        row = self._db.execute("SELECT at_us FROM log WHERE kind <> 'lost' ORDER BY first DESC LIMIT 1").fetchone()
        return row[0] if row else None

    def append(self, first: int, items: Sequence[Inbound]) -> int:
        """Write items that are numbered from `first` on, all or none; how many bytes they hold.

        Raises sqlite3.Error if the disk does not take them.
        """
        rows = []
        for item in items:
            count = numbers_of(item)
            rows.append((first, count, item.now_us, *_written(item)))
            first += count
        with self._use:
            self._db.execute("BEGIN")
            try:
                self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", rows)
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        return sum(len(row[-1]) for row in rows)

    def read(self, first: int, before: int) -> list[tuple[int, Inbound]]:
        """The next items from the number `first` on and below `before`, each with its own; empty at the end."""
        with self._use:
            rows = self._db.execute(
                "SELECT first, at_us, kind, data FROM log WHERE first >= ? AND first < ? ORDER BY first LIMIT ?",
                (first, before, READ_ROWS),
            ).fetchall()
        return [(number, self._item(at_us, kind, data)) for number, at_us, kind, data in rows]

    def prune(self, src: int) -> int:
        """Delete the oldest items that end below `src`, a bounded number of them; how many there were."""
        with self._use:
            done = self._db.execute(
                "DELETE FROM log WHERE first IN "
                "(SELECT first FROM log WHERE first + count <= ? ORDER BY first LIMIT ?)",
                (src, PRUNE_ROWS),
            ).rowcount
            self._shrink()
        return done

    def shed(self) -> int:
        """Delete the oldest items, whoever needs them; how many."""
        statement = "DELETE FROM log WHERE first IN (SELECT first FROM log ORDER BY first LIMIT ?)"
        with self._use:
            return self._db.execute(statement, (SHED_ROWS,)).rowcount

    def _shrink(self) -> None:
        """Give pages back that a burst has left free; a few are used again and again."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        if free > SPARE_PAGES and free > pages // 2:
            # As a script: a statement with rows of no columns is stepped once by `execute`, and frees one page.
            self._db.executescript(f"PRAGMA incremental_vacuum({SPARE_PAGES // 16})")

    def size(self) -> int:
        """Bytes on disk that items take; freed pages, which are used again, not counted."""
        with self._use:
            (pages,) = self._db.execute("PRAGMA page_count").fetchone()
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            (page,) = self._db.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * page)

    def oldest(self) -> int | None:
        """When the oldest item came, µs; None if there is none."""
        with self._use:
            row = self._db.execute("SELECT at_us FROM log ORDER BY first LIMIT 1").fetchone()
        return row[0] if row else None

    def _item(self, at_us: int, kind: str, data: bytes) -> Inbound:
        if kind == "received":
            return Received(self._framed(data), at_us)
        if kind == "answered":
            return Answered(at_us)
        if kind == "lost":
            return Lost(at_us, data.decode())
        return Connected(at_us, first=data == b"first")


def _said(path: Path, error: Exception) -> str:
    if "locked" in str(error):
        return "another process writes it: end that one, or give this one an ingest.part of its own"
    if "not a database" in str(error) or "malformed" in str(error):
        return f"{error}; move {path.name} away to begin without it"
    return f"{error}; see that {path.parent} can be written, or set TICKSTOCKPL_STATE_DIR"


def _written(item: Inbound) -> tuple[str, bytes]:
    if isinstance(item, Received):
        return "received", item.frames.raw
    if isinstance(item, Answered):
        return "answered", b""
    if isinstance(item, Lost):
        return "lost", item.cause.encode()
    if isinstance(item, Connected):
        return "connected", b"first" if item.first else b""
    raise TypeError(f"{type(item).__name__} comes of a source that needs no spool")
