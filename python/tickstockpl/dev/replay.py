"""Recorded trades or bars as AppV2 would have published them, at any speed.

`recording` says which columns a file needs; trades become `T` messages, bars `A` messages stamped with their END.
"""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from tickstockpl.dev.feed import (
    Batch,
    Sent,
    aggregate_message,
    message_head,
    message_tail,
    packed,
    publish,
    trade_message,
)
from tickstockpl.dev.progress import progress
from tickstockpl.errors import SettingsError
from tickstockpl.recording import Reading, Recording, read

_BATCH_ROWS: Final = 4096
_PACE_US: Final = 100_000


def batches(recording: Recording, *, source: str = "polygon", pack: int = 1, paced: bool = False) -> Iterator[Batch]:
    """The recording's messages in order of stamp.

    pack: ticks per message, more than 1 makes JSON arrays. paced: batches end every 0.1 s of event time, so that
    they can be sent when they are due.

    Raises SettingsError if `pack` is less than 1.
    """
    if pack < 1:
        raise SettingsError(f"pack must be at least 1, was {pack}")
    heads = [message_head(name) for name in recording.symbols]
    mid_a, mid_t = message_tail(source)
    for start, end in _slices(recording, paced):
        rows = slice(start, end)
        if recording.kind == "A":
            texts = _aggregates(recording, rows, heads, mid_a)
        else:
            texts = _trades(recording, rows, heads, mid_t)
        yield Batch(packed(texts, pack), int(recording.ts_us[end - 1]), len(texts))


def _slices(recording: Recording, paced: bool) -> Iterator[tuple[int, int]]:
    count = len(recording)
    edges = [0, count]
    if paced:
        edges = [0, *(np.flatnonzero(np.diff(recording.ts_us // _PACE_US)) + 1).tolist(), count]
    for start, end in pairwise(edges):
        for at in range(start, end, _BATCH_ROWS):
            yield at, min(at + _BATCH_ROWS, end)


def _aggregates(recording: Recording, rows: slice, heads: list[str], mid: str) -> list[str]:
    count = rows.stop - rows.start
    vwaps = [math.nan] * count if recording.vwap is None else recording.vwap[rows].tolist()
    return [
        aggregate_message(heads[n], mid, stamp, o, h, low, c, volume, "null" if math.isnan(vwap) else vwap)
        for n, stamp, o, h, low, c, volume, vwap in zip(
            recording.symbol[rows].tolist(),
            (recording.ts_us[rows] / 1e6).tolist(),
            *(prices[rows].tolist() for prices in recording.prices),
            recording.volume[rows].tolist(),
            vwaps,
            strict=True,
        )
    ]


def _trades(recording: Recording, rows: slice, heads: list[str], mid: str) -> list[str]:
    count = rows.stop - rows.start
    extras = [""] * count
    if recording.seq is not None:
        extras = [f', "seq": {seq}' if seq >= 0 else "" for seq in recording.seq[rows].tolist()]
    if recording.conditions is not None:
        listed = recording.conditions[rows]
        extras = [
            e + (f', "conditions": {json.dumps(ids)}' if ids else "") for e, ids in zip(extras, listed, strict=True)
        ]
    return [
        trade_message(heads[n], mid, stamp, price, size, extra)
        for n, stamp, price, size, extra in zip(
            recording.symbol[rows].tolist(),
            (recording.ts_us[rows] / 1e6).tolist(),
            recording.prices[0][rows].tolist(),
            recording.volume[rows].tolist(),
            extras,
            strict=True,
        )
    ]


async def replay(
    url: str,
    channel: str,
    paths: Sequence[Path],
    *,
    speed: float = 0.0,
    reading: Reading | None = None,
    source: str = "polygon",
    pack: int = 1,
    stop: asyncio.Event | None = None,
    console: Console | None = None,
) -> Sent:
    """Play files of trades or bars onto a Redis channel and return what was sent.

    speed: event seconds per second; 0 is as fast as the subscribers can take it. Shows progress on `console`
    (default: standard error).

    Raises SettingsError for a file that cannot be played, ServerError if Redis cannot be used.
    """
    if speed < 0:
        raise SettingsError(f"speed must be at least 0, was {speed}")
    recording = read(paths, reading or Reading())
    console = console or Console(stderr=True)
    with progress("replay", len(recording), console) as report:
        return await publish(
            url,
            channel,
            batches(recording, source=source, pack=pack, paced=speed > 0),
            speed=speed,
            stop=stop,
            progress=lambda sent: report(sent.ticks, f"{sent.ticks:,} ticks, {sent.rate:,.0f}/s"),
        )
