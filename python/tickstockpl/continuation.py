"""A run that goes on where the one before it ended: what is left for it at a clean stop, and whether it fits.

The other way to the same state, by rows and messages, is `recovery` and `warmup`; what does not fit here goes there.
"""

import asyncio
import time
from uuid import UUID

import numpy as np
import structlog

from tickstockpl import snapshot
from tickstockpl.events import Events
from tickstockpl.kernel import Engine, EventEncoder
from tickstockpl.ownership import Ownership
from tickstockpl.position import Position, Progress
from tickstockpl.settings import Settings
from tickstockpl.snapshot import Snapshot, Unfit, Unsent
from tickstockpl.wire import Findings

FOLDER = "snapshot"
"""In `state_dir`; a file a part."""

log = structlog.get_logger(__name__)


async def restored(engine: Engine, settings: Settings, ownership: Ownership) -> Snapshot | None:
    """Make the engine what it was when the run before ended, if that has left it and nothing has happened since.

    None: the engine is as it was. The reason is logged, unless nothing was left.
    """
    path = settings.state_dir / FOLDER / settings.ingest.part
    started_s = time.perf_counter()
    try:
        kept = await asyncio.to_thread(snapshot.take, path)
        if kept is None or not settings.ingest.snapshot:
            return None
        kept.check(
            database=settings.database.address,
            src_id=ownership.src_id,
            epoch=ownership.epoch,
            repairs=ownership.repairs,
            channels=settings.tick_channels,
            position=ownership.position,
        )
        await asyncio.to_thread(engine.restore, kept.engine)
    except (Unfit, ValueError) as error:
        ignored(str(error))
        return None
    log.info(
        "restored",
        symbols=engine.counters()["symbols"],
        bytes=len(kept.engine),
        seconds=round(time.perf_counter() - started_s, 2),
        next_src=kept.progress.next_src,
    )
    return kept


def ignored(reason: str) -> None:
    """Say why a snapshot is not gone on from."""
    log.info("snapshot ignored", reason=reason)


def unsent(kept: Snapshot | None, engine: Engine) -> list[Findings]:
    """The events that still waited to be sent. engine: restored from the same."""
    parts = kept.unsent if kept is not None else ()
    patterns, encoder = engine.patterns, EventEncoder(engine.patterns)
    return [
        Findings(events=Events(each.columns, patterns, encoder, np.arange(len(each))), at_us=each.at_us)
        for each in parts
    ]


async def keep(
    engine: Engine,
    settings: Settings,
    ownership: Ownership,
    src_id: UUID,
    reached: Position | None,
    progress: Progress | None,
    waiting: list[tuple[int, Events]] | None,
) -> None:
    """Leave what the next run can go on from, if everything is stored; a disk that does not take it costs a warning.

    reached: up to where everything is stored. progress: the pipeline's. waiting: the publisher's events that are not
    sent; None: more is left than that.
    """
    if progress is None or not settings.ingest.snapshot:
        return
    if progress.position != reached or waiting is None:
        log.info("no snapshot: not everything was stored and sent", next_src=progress.next_src)
        return
    started_s = time.perf_counter()
    path = settings.state_dir / FOLDER / settings.ingest.part
    left = Snapshot(
        settings.database.address,
        src_id,
        ownership.epoch,
        ownership.repairs,
        settings.tick_channels,
        progress,
        tuple(Unsent.of(*each) for each in waiting),
        await asyncio.to_thread(engine.snapshot),
    )
    try:
        written = await asyncio.to_thread(snapshot.write, path, left)
    except OSError as error:
        log.warning("no snapshot: the disk does not take it", path=str(path), error=error.strerror)
        return
    seconds = round(time.perf_counter() - started_s, 2)
    log.info("snapshot written", symbols=engine.counters()["symbols"], bytes=written, seconds=seconds)
