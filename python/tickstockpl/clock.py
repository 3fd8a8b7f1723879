"""Time as a value that is handed in: the one place where the service reads a clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """What a stage may ask about time."""

    def now_us(self) -> int:
        """Wall clock, µs since 1970 UTC; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back. For ages and timeouts."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told, for tests and replays.

    now_us: the wall time it starts at; its monotonic time starts at 0.
    """

    def __init__(self, now_us: int) -> None:
        self._start_us = now_us
        self._elapsed_us = 0

    def now_us(self) -> int:
        return self._start_us + self._elapsed_us

    def monotonic_s(self) -> float:
        return self._elapsed_us / 1e6

    def advance(self, seconds: float) -> None:
        """Move both times forward.

        Raises ValueError if `seconds` is negative: monotonic time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"seconds must be at least 0, was {seconds}")
        self._elapsed_us += round(seconds * 1e6)
