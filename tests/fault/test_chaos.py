"""The short form of `make chaos`: what must hold after a hundred kills must hold after these."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fault.chaos import KILL, Chaos
from own_servers import OwnServers
from tickstockpl.migrate import migrate

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


STREAM = (KILL, "redis killed", KILL, "postgres stopped", KILL, "redis reset", KILL, "service frozen", KILL, KILL)
PUBSUB = (KILL, "postgres stopped", KILL, "redis killed", KILL, "redis reset", KILL)


@pytest.mark.parametrize(("mode", "faults", "bars"), [("stream", STREAM, 50), ("pubsub", PUBSUB, 40)])
async def test_kills_of_service_and_servers_cost_a_stream_nothing_and_a_channel_nothing_in_silence(
    own_servers: Callable[..., OwnServers],
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    faults: tuple[str, ...],
    bars: int,
) -> None:
    monkeypatch.setenv("TICKSTOCKPL_TEST_REDIS_CONF", "--appendonly yes --appendfsync always")
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    await migrate(servers.database_uri)
    report = await Chaos(servers, state_dir, mode=mode, seed=1, faults=faults).run()
    said = "\n".join(report.lines())
    sys.stdout.write(said)  # read it with `pytest -s`
    assert report.holds, said
    assert report.faults.total() == len(faults)
    assert report.looks > 10
    assert report.bars > bars
    assert report.events > 10
