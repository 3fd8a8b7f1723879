"""How long a tick takes from the socket to the kernel, with the database there and with it black-holed.

`make outage`: a thousand ticks a second for a minute, then for another with PostgreSQL cut off. The newest read of the
socket is looked at 200 times a second, which is no list of them all: some are seen twice, and some not at all.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import structlog
from redis.asyncio import Redis

from fault.proxy import FaultProxy, through
from own_servers import OwnServers, lent
from running import Up, serving, settings_for, tick
from tickstockpl.clock import SystemClock
from tickstockpl.migrate import migrate

SYMBOLS = 200
PER_S = 1000
STEP_S = 0.01


async def _feed(url: str, channel: str, stop: asyncio.Event) -> None:
    """Ticks of now, evenly."""
    number = 0
    async with Redis.from_url(url, protocol=2) as client:
        while not stop.is_set():
            now_us = SystemClock().now_us()
            async with client.pipeline(transaction=False) as pipe:
                for _ in range(round(PER_S * STEP_S)):
                    number += 1
                    pipe.publish(channel, tick(now_us, f"ZZTEST{number % SYMBOLS}"))
                await pipe.execute()
            await asyncio.sleep(STEP_S)


async def _watched(up: Up, seconds: float) -> list[float]:
    """The time that the newest socket read took to be folded, in ms, 200 times a second."""
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        lags.append(up.stages["pipeline"]["processing_lag_ms"])
        await asyncio.sleep(0.005)
    return lags


def _said(lags: list[float]) -> str:
    cuts = quantiles(lags, n=1000)
    return f"p50 {cuts[499]:.2f} ms, p99 {cuts[989]:.2f} ms, p99.9 {cuts[998]:.2f} ms, most {max(lags):.1f} ms"


async def _run(servers: OwnServers, state_dir: Path, seconds: float) -> Iterator[str]:
    await migrate(servers.database_uri)
    port = urlsplit(servers.database_uri).port or 0
    async with contextlib.AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", port))
        uri = through(proxy, servers.database_uri)
        settings = settings_for(uri, servers.redis_url, state_dir, database={"command_timeout_s": 3.0})
        stop = asyncio.Event()
        up = await stack.enter_async_context(serving(settings))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(servers.redis_url, up.channel, stop))
            await _watched(up, min(5.0, seconds))
            there = await _watched(up, seconds)
            proxy.black_hole()
            away = await _watched(up, seconds)
            waiting = up.stages["writer"]["backlog_rows"]
            proxy.heal()
            stop.set()
        await up.stored()
        folded, ticks = up.counters["folded"], up.counters["ticks"]
    return iter(
        (
            f"database there:       {_said(there)}",
            f"database black-holed: {_said(away)}",
            f"{waiting} bars waited at the end of the outage; {folded:,} of {ticks:,} ticks folded, all bars stored",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="with the database, and without (60)")
    given = parser.parse_args()
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with lent(redis=True, postgres=True) as servers, tempfile.TemporaryDirectory() as state:
        sys.stdout.write("\n".join(asyncio.run(_run(servers, Path(state), given.seconds))) + "\n")


if __name__ == "__main__":
    main()
