"""A file of messages through the whole service: it ends with the file, and goes on where a killed run had come to."""

import asyncio
import signal
from pathlib import Path

import pytest

from bar_samples import rows
from running import child, equal_bars, minutes_ago, settings_for
from tickstockpl import service
from tickstockpl.dev.simulate import Market, Simulation, TrueBars
from tickstockpl.errors import SettingsError
from tickstockpl.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


def recorded(path: Path, *, symbols: int, minutes: int) -> TrueBars:
    begin_us = minutes_ago(minutes + 2)
    names = tuple(f"ZZTEST{n}" for n in range(1, symbols + 1))
    simulation = Simulation(Market(symbols=names, start_us=begin_us, minutes=minutes, seed=9, duplicate=0.01))
    with path.open("wb") as file:
        for batch in simulation.batches():
            file.write(b"".join(payload + b"\n" for payload in batch.payloads))
    return simulation.true_bars()


@pytest.fixture
async def settings(ready: str, redis: str, state_dir: Path, tmp_path: Path) -> Settings:
    path = tmp_path / "ticks.jsonl"
    return settings_for(ready, redis, state_dir, ingest={"mode": "file", "file": path})


async def test_a_file_becomes_its_true_bars_and_the_service_ends_with_it(settings: Settings) -> None:
    assert settings.ingest.file is not None
    truth = recorded(settings.ingest.file, symbols=4, minutes=30)
    async with asyncio.timeout(30):
        await service.run(settings, stop=asyncio.Event())
    assert await equal_bars(settings.database.dsn(), truth) == len(truth) == 120
    assert await rows(settings.database.dsn(), "SELECT FROM ohlcv_1min WHERE quality IS NOT NULL") == []


async def test_a_second_run_over_the_same_file_changes_nothing(settings: Settings) -> None:
    assert settings.ingest.file is not None
    recorded(settings.ingest.file, symbols=2, minutes=10)
    everything = "SELECT *, xmin FROM ohlcv_1min ORDER BY symbol, timestamp"
    await service.run(settings, stop=asyncio.Event())
    before = await rows(settings.database.dsn(), everything)
    await service.run(settings, stop=asyncio.Event())
    assert await rows(settings.database.dsn(), everything) == before


async def test_a_run_that_is_killed_goes_on_where_it_had_come_to(settings: Settings) -> None:
    assert settings.ingest.file is not None
    truth = recorded(settings.ingest.file, symbols=40, minutes=60)
    quick = settings.model_copy(update={"bars": settings.bars.model_copy(update={"revise_s": 60.0})})
    kills = 0
    async with asyncio.timeout(60):
        for delay_s in (0.05, 0.15, 0.3, 30.0):
            async with child(quick) as running:
                await running.until_said("ready", 30)
                try:
                    assert await running.ends(delay_s) == 0
                except TimeoutError:
                    running.signal(signal.SIGKILL)
                    await running.ends(10)
                    kills += 1
    assert kills >= 2
    assert await equal_bars(settings.database.dsn(), truth) == len(truth) == 2400


async def test_a_file_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"ingest\.file .*ticks\.jsonl cannot be read: No such file"):
        await service.run(settings, stop=asyncio.Event())


async def test_the_mode_needs_a_file(settings: Settings) -> None:
    nameless = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"file": None})})
    with pytest.raises(SettingsError, match=r"ingest\.file is not set"):
        await service.run(nameless, stop=asyncio.Event())
