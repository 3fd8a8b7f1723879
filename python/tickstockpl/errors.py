"""What can go wrong for a caller, and with which exit code.

TickstockError                 1
├── SettingsError              2   a person's mistake: one line that says which name and what to do
├── ServerError                2   a server cannot be used at start
├── FencedError                3   another process owns the work (`RestartPreventExitStatus=3`)
├── BehindError                4   rows were dropped that a new start brings back: to be started again
└── ClosedChannel              1   a channel was used after its end
"""

from typing import ClassVar


class TickstockError(Exception):
    """Root of the tree; `exit_code` is what the process ends with when nobody catches it."""

    exit_code: ClassVar[int] = 1


class SettingsError(TickstockError):
    """A setting is missing, unknown or wrong. The message is one line and says what to do."""

    exit_code: ClassVar[int] = 2


class ServerError(TickstockError):
    """A server answers but cannot be used: no right, wrong version, port taken."""

    exit_code: ClassVar[int] = 2


class FencedError(TickstockError):
    """A newer owner has taken over; this process must not write any more."""

    exit_code: ClassVar[int] = 3


class BehindError(TickstockError):
    """The database was away for so long that rows were dropped; the source still has what they were made of."""

    exit_code: ClassVar[int] = 4


class ClosedChannel(TickstockError):
    """`put` after `close`, or `get` after `close` once the channel is empty."""
