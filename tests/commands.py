"""The command `tickstockpl` called within this process, and what it has said; the fixture `command` is in conftest."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has said, without its log."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


def said_once(done: Done) -> str:
    """The one line that a mistake gets."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("tickstockpl: ")
    return line.removeprefix("tickstockpl: ")
