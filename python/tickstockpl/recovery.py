"""Where a run begins: what the run before has left in the spool and in the database, put together.

There is no other start: one after a kill, one after a stop and the first one of all take the same way.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from tickstockpl.history import Replayed
from tickstockpl.ownership import Ownership
from tickstockpl.position import EVER_US, Begun
from tickstockpl.spool import Spool
from tickstockpl.wire import FramesLike, Inbound, numbers_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a run begins with.

    spool: open. replayed: bars that come of the replay and need not be read. heard_us: when the last message came that
    is in the spool. whole: nothing is missing between what is stored and what the spool holds.
    """

    spool: Spool
    begun: Begun
    replayed: Replayed
    heard_us: int | None
    whole: bool

    async def past(self) -> AsyncIterator[tuple[int, Inbound]]:
        """What the spool holds from the start on, each item with its number."""
        at = self.replayed.start_src
        while items := await asyncio.to_thread(self.spool.read, at, self.begun.next_src):
            for number, item in items:
                yield number, item
                at = number + numbers_of(item)


async def recover(path: Path, framed: Callable[[bytes], FramesLike], ownership: Ownership) -> Recovery:
    """Open the spool and find the place in it at which everything before is stored.

    A spool of which the database knows nothing is of another one: it begins anew.
    Raises ServerError if the spool cannot be used, FencedError if the ownership is lost.
    """
    spool = await asyncio.to_thread(Spool, path, framed)
    try:
        if spool.src_id != ownership.src_id:
            if spool.next_src():
                log.warning("the spool belongs to another database, and begins anew", spool=str(path))
            await asyncio.to_thread(spool.begin_anew)
        await ownership.adopt(spool.src_id)
        position = ownership.position
        first = await asyncio.to_thread(spool.first_src)
        next_src = max(spool.next_src(), position.durable_src + 1 if position is not None else 0)
        wanted = position.replay_src if position is not None else 0
        start = max(wanted, next_src if first is None else first)
        whole = start <= (position.low_src if position is not None else 0)
        if start > wanted:
            log.warning("the spool does not reach back as far as it should", first=start, wanted=wanted, whole=whole)
        return Recovery(
            spool,
            Begun(spool.src_id, next_src, position, continues=next_src > 0),
            Replayed(spool.src_id, position.anew_us if position is not None else EVER_US, start),
            await asyncio.to_thread(spool.heard_us),
            whole,
        )
    except BaseException:
        spool.close()
        raise
