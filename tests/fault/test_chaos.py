"""The short form of `make chaos`: some kills of each kind; what must hold after a hundred must hold after six."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fault.chaos import KILL, Chaos
from own_servers import OwnServers
from tickstockpl.migrate import migrate

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.mark.parametrize(("mode", "kills", "seed"), [("stream", 6, 1422), ("pubsub", 5, 1422)])
async def test_random_kills_of_service_and_servers_cost_no_bar_and_no_event(
    own_servers: Callable[..., OwnServers],
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    kills: int,
    seed: int,
) -> None:
    monkeypatch.setenv("TICKSTOCKPL_TEST_REDIS_CONF", "--appendonly yes --appendfsync always")
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    await migrate(servers.database_uri)
    report = await Chaos(servers, state_dir, mode=mode, seed=seed, kills=kills).run()
    said = "\n".join(report.lines())
    sys.stdout.write(said)  # read it with `pytest -s`
    assert report.holds, said
    assert report.faults[KILL] == kills
    assert report.faults["redis killed"]
    assert report.faults["postgres stopped"]
    assert report.bars > 40
    assert report.events > 10
