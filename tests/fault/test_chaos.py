"""The short form of `make chaos`: some kills of each kind; what must hold after a hundred must hold after eight."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fault.chaos import Chaos
from own_servers import OwnServers
from tickstockpl.migrate import migrate

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


async def test_random_kills_of_service_and_servers_cost_no_bar_and_no_event(
    own_servers: Callable[..., OwnServers], state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKSTOCKPL_TEST_REDIS_CONF", "--appendonly yes --appendfsync always")
    servers = await asyncio.to_thread(own_servers, redis=True, postgres=True)
    await migrate(servers.database_uri)
    report = await Chaos(servers, state_dir, seed=7, kills=6).run()
    said = "\n".join(report.lines())
    sys.stdout.write(said)  # read it with `pytest -s`
    assert report.holds, said
    assert report.bars > 50
    assert report.events > 10
