"""What the ticks themselves say was lost on the way: gaps by the numbers of a channel, and by the day's volume.

Logic only: the engine finds them (`Output.jumps`, `Output.short`), and here they become rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID, uuid5

import structlog

from tickstockpl.moments import MINUTE_US
from tickstockpl.trouble import is_told
from tickstockpl.wire import Gap

JUMP = "seq jump"
"""Cause of a gap that the numbers of ticks tell of."""
SHORT = "volume missing"
"""Cause of a gap that the day's volume tells of."""

log = structlog.get_logger(__name__)


class Losses:
    """Of one source, whose id makes those of its gaps: the same when it is read again."""

    def __init__(self, src_id: UUID, channels: tuple[str, ...]) -> None:
        self._src_id = src_id
        self._channels = channels
        self._newest: dict[str, UUID] = {}
        """Of each channel, the newest gap that numbers have told of."""
        self._counts: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many gaps there were."""
        return self._counts.total()

    def of_jumps(self, jumps: Iterable[tuple[str, int, int, int]]) -> Iterator[Gap]:
        """What numbers say is missing, in whole minutes: a feed that always jumps is one gap a minute."""
        for channel, ticks, from_us, to_us in jumps:
            started_us, ended_us = from_us // MINUTE_US * MINUTE_US, -(-(to_us + 1) // MINUTE_US) * MINUTE_US
            name = uuid5(self._src_id, f"{JUMP} {channel} {started_us} {ended_us}")
            if self._newest.get(channel) == name:
                continue
            self._newest[channel] = name
            self._note(JUMP, channel=channel, ticks=ticks)
            yield Gap(started_us, ended_us, JUMP, (channel,), id=name)

    def of_volume(self, short: Iterable[tuple[str, int, int, int]], src: int, now_us: int) -> Iterator[Gap]:
        """What the day's volume says is missing: one gap for all symbols of the same minutes.

        src, now_us: of the message, or the moment, that has closed the bars.
        """
        symbols: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
        for symbol, from_us, to_us, volume in short:
            symbols[from_us, to_us][symbol] = volume
        for (from_us, to_us), shares in symbols.items():
            names = tuple(sorted(shares))
            name = uuid5(self._src_id, f"{SHORT} {src} {now_us} {from_us} {to_us}")
            self._note(SHORT, symbols=len(names), shares=sum(shares.values()), first=names[0])
            yield Gap(from_us, to_us, SHORT, self._channels, names, name)

    def _note(self, cause: str, **facts: Any) -> None:
        self._counts[cause] += 1
        if is_told(self._counts[cause]):
            log.warning("ticks are missing", cause=cause, times=self._counts[cause], **facts)
