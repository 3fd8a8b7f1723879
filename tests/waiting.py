"""Waiting for a state, and for nothing else."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for what another task or process does without telling us."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.005)
