"""The processes of `benches.roles`, driven from here."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benches.runner import ROOT


class Role:
    """One process of `benches.roles`."""

    def __init__(self, *words: object) -> None:
        self._name = words[0]
        command = [sys.executable, "-m", "benches.roles", *map(str, words)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.answer()

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next line that the process says."""
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"{self._name} ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it in peace, or after ten seconds by force."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def role(*words: object) -> Iterator[Role]:
    started = Role(*words)
    try:
        yield started
    finally:
        started.close()


def saturated(publisher: Role, subscriber: Role) -> dict[str, Any]:
    """One round: the publisher as fast as it can; what both say of it."""
    publisher.go()
    sent = publisher.answer()
    measured = subscriber.answer()
    return measured | {"started": sent["started"], "sent_s": sent["ended"] - sent["started"]}
