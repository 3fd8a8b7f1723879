"""What does not work, and how often it was tried: what is repeated is logged the 1st, 10th, 100th, ... time."""

from typing import Any


def is_told(times: int) -> bool:
    """Whether to log what has happened so many times."""
    return str(times).rstrip("0") == "1"


class Trouble:
    """One thing that is tried until it works, and why it does not. `reason`: the last one, or what it begins with."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.times = 0
        """In a row, for this reason."""

    def again(self, reason: str) -> bool:
        """It has not worked; whether to log that: each new reason is."""
        self.times = self.times + 1 if reason == self.reason else 1
        self.reason = reason
        return is_told(self.times)

    def state(self, what: str) -> dict[str, Any]:
        """How it goes, as a stage's status says it. what: what does not work, for people."""
        return {"state": "degraded", "reason": f"{what}: {self.reason}"} if self.times else {"state": "ok"}

    def over(self) -> None:
        """It works; the reason stays, for who asks what it was."""
        self.times = 0
