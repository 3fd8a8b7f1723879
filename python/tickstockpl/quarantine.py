"""Messages in which the engine ended, kept from run to run until the one that did it is found and passed over.

A panic is our bug, and the service ends with it; but the start after it replays what came before, and would end again.
So what was being taken is noted. The next run takes those messages one by one; the one in which it ends once more is
written to a file of dead letters, and the runs after that pass it over.
"""

import base64
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

log = structlog.get_logger(__name__)

REASON = "ended_the_engine"


class Quarantine:
    """What is known of such messages in one source. Numbers are the source's.

    path: where it is kept; None keeps nothing. since_src: what comes before is not read again.
    """

    def __init__(self, path: Path | None = None, src_id: UUID | None = None, since_src: int = 0) -> None:
        self._path = path
        self._src_id = str(src_id)
        self._suspects: tuple[int, int] | None = None
        self._dead: list[int] = []
        if path is None or not path.exists():
            return
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["src_id"] == self._src_id:
                first, last = known["suspects"] or (0, -1)
                self._suspects = (int(first), int(last)) if last >= since_src else None
                self._dead = [int(src) for src in known["dead"] if src >= since_src]
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("what ended the engine before cannot be read", path=str(path), error=str(error))

    @property
    def dead(self) -> int:
        """Messages that are passed over."""
        return len(self._dead)

    def touches(self, first: int, last: int) -> bool:
        """Whether these messages are to be taken one by one."""
        if self._suspects is not None and first > self._suspects[1]:
            self._suspects = None  # they were taken this time
            self._keep()
        suspects = self._suspects is not None and last >= self._suspects[0]
        return suspects or any(first <= src <= last for src in self._dead)

    def holds(self, src: int) -> bool:
        """Whether a message is to be passed over."""
        return src in self._dead

    def ended(self, first: int, last: int, *, said: str, channel: str = "", payload: bytes = b"") -> None:
        """The engine ended in these messages; channel, payload: of a single one."""
        again = self._suspects is not None and self._suspects[0] <= first == last <= self._suspects[1]
        if again:
            self._dead.append(first)
            self._suspects = None
            letter = {"reason": REASON, "src_id": self._src_id, "src": first, "channel": channel, "said": said}
            self._write_letter(letter | {"payload": base64.b64encode(payload).decode()})
        else:
            self._suspects = (first, last)
        self._keep()
        what = "the engine ended, and the next start takes what it had in hand one by one: please report it"
        if again:
            what = "the engine ended in a message, which the next start passes over: please report it"
        log.critical(what, first=first, last=last, error=said)

    def _keep(self) -> None:
        if self._path is None:
            return
        known = {"src_id": self._src_id, "suspects": self._suspects, "dead": self._dead}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            made = self._path.with_suffix(".new")
            made.write_text(json.dumps(known), encoding="utf-8")
            made.replace(self._path)
        except OSError as error:
            log.warning("what ended the engine cannot be kept", path=str(self._path), error=str(error))

    def _write_letter(self, letter: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_name(f"{self._path.stem}.letters.jsonl").open("a", encoding="utf-8") as letters:
                letters.write(json.dumps(letter) + "\n")
        except OSError as error:
            log.warning("a dead letter cannot be written", error=str(error), **letter)
