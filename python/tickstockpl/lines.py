"""Ticks in from a file of messages, one a line: a recorded day through the whole service, as fast as it goes.

A line's number is where it begins in the file, so that a run that was ended goes on there. A pipe will do, once.
"""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from tickstockpl.channel import Channel
from tickstockpl.clock import Clock
from tickstockpl.errors import SettingsError
from tickstockpl.wire import Ended, Entries, Inbound

CHUNK_BYTES = 1 << 20
REPORT_S = 10.0

log = structlog.get_logger(__name__)


class LineReader:
    """The stage from a file to the pipeline; it ends with the file, and the service with it.

    start_src: where the first line to read begins.
    Raises SettingsError if the file cannot be read.
    """

    def __init__(self, path: Path, clock: Clock, *, start_src: int = 0) -> None:
        self._path = path
        self._clock = clock
        self._at = start_src
        # One moment for all of them: a file has no arrivals, and what is in it is past.
        self._now_us = clock.now_us()
        self._stopping = False
        self._done = False
        self._counts = {"messages": 0, "bytes": 0}
        try:
            self._file: BinaryIO = path.open("rb")
            self._size = path.stat().st_size
        except OSError as error:
            raise SettingsError(f"ingest.file {path} cannot be read: {error.strerror}") from None

    async def run(self, out: Channel[Inbound]) -> None:
        """Read to the end and hand over; closes `out` on leaving."""
        report_s = self._clock.monotonic_s() + REPORT_S
        async with aclosing(out):
            with self._file:
                if self._at:  # a pipe has no places, and begins where it is
                    self._file.seek(self._at)
                while not self._stopping and (rows := await asyncio.to_thread(self._rows)):
                    self._counts["messages"] += len(rows)
                    self._counts["bytes"] += sum(len(row[3]) for row in rows)
                    await out.put(Entries(rows, None))
                    if self._clock.monotonic_s() >= report_s:
                        report_s = self._clock.monotonic_s() + REPORT_S
                        log.info("file is read", share=round(self._at / max(1, self._size), 3), **self._counts)
            if not self._stopping:
                self._done = True
                log.info("file has ended", path=str(self._path), **self._counts)
                await out.put(Ended(self._now_us))

    def stop(self) -> None:
        """End `run` with the chunk it is at."""
        self._stopping = True

    def status(self) -> dict[str, Any]:
        """Plain values: what `/health` shows."""
        return {
            "state": "ok",
            "connected": True,
            "path": str(self._path),
            "bytes_in_all": self._size,
            "at": self._at,
            "done": self._done,
            "reconnections": 0,
            **self._counts,
        }

    def _rows(self) -> list[tuple[int, int, int, bytes]]:
        """The lines of the next chunk, empty ones left out; none at the end."""
        rows: list[tuple[int, int, int, bytes]] = []
        while not rows:
            lines = self._file.readlines(CHUNK_BYTES)
            if not lines:
                return []
            for line in lines:
                message = line.strip()
                if message:
                    rows.append((0, self._at, self._now_us, message))
                self._at += len(line)
        return rows
