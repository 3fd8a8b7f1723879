"""How far a run has come in its source, and where a start must begin to become the same again. Logic only.

A start reads the bars of minutes before `anew_us` from their rows and makes the later ones anew from their messages,
beginning at `replay_src` with the channels as `standing` says. Ticks of older minutes in messages before
`settled_src` are in rows, or nowhere. Everything that came of messages up to `durable_src` is stored.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

MARK_S = 2.0
"""Seconds of arrivals between two marks."""
MARK_MESSAGES = 100_000
"""Messages between two marks, where many come in a moment."""

EVER_US = -(2**63)
"""Before every minute."""

Standing = tuple[tuple[str, str], ...]
"""By channel, what it has come to: text of the kernel's."""


def _standing(pairs: Iterable[Any]) -> Standing:
    return tuple((str(name), str(text)) for name, text in pairs)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a start begins. Numbers are the source's own, counted by message."""

    low_src: int
    """The first message of any bar that was open."""
    replay_src: int
    anew_us: int
    settled_src: int
    durable_src: int
    standing: Standing
    index: int | None = None
    """How many messages the source had ever had with the last one that is stored, where it counts them."""

    def to_values(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """What `to_values` gave.

        Raises KeyError, TypeError or ValueError if it is something else.
        """
        standing = _standing(values["standing"])
        numbers = ("low_src", "replay_src", "anew_us", "settled_src", "durable_src")
        index = values.get("index")
        return cls(**{name: int(values[name]) for name in numbers}, standing=standing, index=index)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment between two messages to which a start may go back."""

    src: int
    """The next message."""
    at_us: int
    """When the last one had arrived."""
    minute_us: int
    """The oldest minute that could be revised then."""
    first_src: int
    """The first message that went into such a minute or decided about it."""
    standing: Standing


_NUMBERS = ("src", "at_us", "minute_us", "first_src")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run had come to when it ended: with its engine, the next one goes on from there.

    heard_us, loss: since when, and why, nothing may have been heard. least, marks: those of `Marks`.
    """

    next_src: int
    position: Position
    heard_us: int
    loss: str | None
    least: tuple[int, int]
    marks: tuple[Mark, ...]

    def to_values(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """What `to_values` gave.

        Raises KeyError, TypeError or ValueError if it is something else.
        """
        marks = (
            Mark(standing=_standing(mark["standing"]), **{name: int(mark[name]) for name in _NUMBERS})
            for mark in values["marks"]
        )
        minute_us, src = values["least"]
        loss = values["loss"]
        return cls(
            int(values["next_src"]),
            Position.of_values(values["position"]),
            int(values["heard_us"]),
            None if loss is None else str(loss),
            (int(minute_us), int(src)),
            tuple(marks),
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """Where in its source a pipeline begins.

    src_id: the source. next_src: the number of the first item. position: where the run before had come to, if it is of
    this source: what came of messages up to its `durable_src` is stored. continues: the source was heard before.
    unsent_us: how long an event may wait to be sent. can_wait: nobody waits for what comes of it.
    """

    src_id: UUID
    next_src: int = 0
    position: Position | None = None
    continues: bool = False
    unsent_us: int = 0
    can_wait: bool = False
    progress: Progress | None = None
    """What the run before had come to, if the engine is as it was then."""


class Marks:
    """The marks that a start may still need, oldest first: some hundred for the half hour that it goes back.

    begun: the position at which this run began. Its marks do not stand where those of the run before stood, so what was
    settled then must not be opened again: messages of such minutes from before the first mark are gone.
    unsent_us: what arrived so long ago may have made events that are not sent yet: a start finds them again.
    """

    def __init__(self, begun: Position | None = None, unsent_us: int = 0) -> None:
        self._unsent_us = unsent_us
        self._least = (begun.anew_us, begun.settled_src) if begun is not None else (EVER_US, 0)
        self._marks: deque[Mark] = deque()

    @classmethod
    def of(cls, progress: "Progress", unsent_us: int = 0) -> Self:
        """Those that a run had when it ended."""
        marks = cls(unsent_us=unsent_us)
        marks._least, marks._marks = progress.least, deque(progress.marks)
        return marks

    def __len__(self) -> int:
        return len(self._marks)

    def __iter__(self) -> Iterator[Mark]:
        return iter(self._marks)

    @property
    def least(self) -> tuple[int, int]:
        """Minute and message before which nothing is opened again."""
        return self._least

    def is_due(self, src: int, at_us: int) -> bool:
        """Whether a mark should be set before the message `src`."""
        if not self._marks:
            return True
        last = self._marks[-1]
        return src > last.src and (at_us - last.at_us >= MARK_S * 1e6 or src - last.src >= MARK_MESSAGES)

    def add(self, mark: Mark) -> None:
        """Append a mark; its numbers must not be below the last one's."""
        self._marks.append(mark)

    def position(self, low_src: int, durable_src: int, index: int | None = None) -> Position:
        """Where a start begins if what came of messages up to `durable_src` is stored, and `low_src` began the first
        open bar. Marks that no later position can need are forgotten: neither number may fall from call to call.

        Any mark at or before a message serves for it: a start then only does more than it must.
        """
        sent_us = self._marks[-1].at_us - self._unsent_us
        low = self._before(lambda mark: mark.src <= low_src and mark.at_us <= sent_us)
        oldest = self._before(lambda mark: mark.src <= self._marks[low].first_src)
        between = list(self._marks)[oldest : low + 1]
        first_src = min(mark.first_src for mark in between)
        start = self._before(lambda mark: mark.src <= first_src)
        anew, begin = self._marks[oldest], self._marks[start]
        for _ in range(start):
            self._marks.popleft()
        anew_us, settled_src = max(anew.minute_us, self._least[0]), max(anew.src, self._least[1])
        return Position(low_src, begin.src, anew_us, settled_src, durable_src, begin.standing, index)

    def _before(self, is_before: Callable[[Mark], bool]) -> int:
        """The newest mark that is before something; the first one if none is."""
        for at in range(len(self._marks) - 1, 0, -1):
            if is_before(self._marks[at]):
                return at
        return 0
