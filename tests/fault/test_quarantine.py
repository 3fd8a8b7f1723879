"""A message in which the engine ends is found by the next starts, and passed over."""

import asyncio
import base64
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

import tickstockpl as tp
from bar_samples import rows
from running import MINUTE, SECOND, serving, settings_for, tick
from tickstockpl import starting
from tickstockpl._kernel import PanicException
from tickstockpl.clock import SystemClock
from tickstockpl.quarantine import Quarantine
from tickstockpl.settings import Settings
from waiting import until

pytestmark = pytest.mark.anyio

DEADLY = b"ZZTEST13"


class Fragile:
    """The engine, which ends in a message of this symbol: there is none that the real one is known to end in."""

    def __init__(self, engine: tp.Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def ingest(self, payloads: list[bytes], now_us: int, channel: int) -> tp.Output:
        self._look(payloads)
        return self._engine.ingest(payloads, now_us, channel)

    def ingest_frames(self, frames: tp.Frames, now_us: int, src: int) -> tp.Output:
        self._look(payload for _, payload in frames.messages())
        return self._engine.ingest_frames(frames, now_us, src)

    def ingest_stamped(self, entries: list[tuple[int, int, int, bytes]]) -> tp.Output:
        self._look(payload for *_, payload in entries)
        return self._engine.ingest_stamped(entries)

    def _look(self, payloads: Iterable[bytes]) -> None:
        if any(DEADLY in payload for payload in payloads):
            raise PanicException("index out of bounds")


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    build = starting.build_engine
    monkeypatch.setattr(starting, "build_engine", lambda *given: Fragile(build(*given)))


async def sent(settings: Settings, payloads: list[bytes]) -> None:
    """Put messages where the settings say that they come from."""
    client = Redis.from_url(settings.redis.connection_url(), protocol=2)
    async with client, client.pipeline(transaction=True) as pipe:
        for payload in payloads:
            if settings.ingest.mode == "stream":
                pipe.xadd(settings.ingest.stream, {"d": payload})
            else:
                pipe.publish(settings.redis.channels[0], payload)
        await pipe.execute()


async def ends_by_itself(settings: Settings, payloads: list[bytes]) -> None:
    async def serve() -> None:
        async with serving(settings):
            await sent(settings, payloads)
            await asyncio.Event().wait()

    with pytest.raises(BaseExceptionGroup) as raised:
        await asyncio.wait_for(serve(), 40)  # the first one computes the sessions of years
    assert raised.value.subgroup(PanicException) is not None


@pytest.mark.usefixtures("fragile")
@pytest.mark.parametrize("mode", ["pubsub", "stream"])
async def test_a_message_that_ends_the_engine_twice_is_passed_over_and_costs_no_other(
    ready: str, redis: str, state_dir: Path, mode: str
) -> None:
    source = {"mode": mode, "stream": f"stream.{uuid.uuid4().hex}"}
    settings = settings_for(ready, redis, state_dir, ingest=source)
    begin_us = (SystemClock().now_us() // MINUTE - 3) * MINUTE
    deadly = tick(begin_us + 20 * SECOND, DEADLY.decode())
    await ends_by_itself(
        settings, [tick(begin_us + 10 * SECOND), deadly, *(tick(begin_us + n * SECOND) for n in (20, 30))]
    )
    await ends_by_itself(settings, [])  # this one has found it
    async with serving(settings) as up:
        await sent(settings, [tick(begin_us + 40 * SECOND), tick(begin_us + MINUTE + 30 * SECOND)])
        await until(lambda: up.stages["writer"]["rows"] > 0)
        assert up.stages["pipeline"]["passed_over"] == 1
    (bar,) = await rows(ready, "SELECT trades, quality FROM ohlcv_1min ORDER BY timestamp LIMIT 1")
    assert (bar["trades"], "gap" in bar["quality"]) == (4, True)
    (gap,) = await rows(ready, "SELECT channels FROM ingest_gap WHERE cause = 'message passed over'")
    assert gap["channels"] == list(settings.tick_channels)
    (line,) = (state_dir / "quarantine" / f"{settings.ingest.part}.letters.jsonl").read_text().splitlines()
    letter = json.loads(line)
    assert (letter["channel"], letter["said"]) == (settings.tick_channels[0], "index out of bounds")
    assert base64.b64decode(letter["payload"]) == deadly


def test_a_message_that_is_taken_the_second_time_is_no_suspect_any_more(tmp_path: Path) -> None:
    path, src_id = tmp_path / "part.json", uuid.uuid4()
    Quarantine(path, src_id).ended(10, 20, said="once")
    again = Quarantine(path, src_id)
    assert [again.touches(*span) for span in ((0, 9), (5, 10), (20, 30), (21, 30))] == [False, True, True, False]
    assert not Quarantine(path, src_id).touches(10, 20)


def test_what_is_behind_the_start_or_of_another_source_or_no_json_is_forgotten(tmp_path: Path) -> None:
    path, src_id = tmp_path / "part.json", uuid.uuid4()
    known = Quarantine(path, src_id)
    for _ in range(2):
        known.ended(10, 10, said="again", payload=b"x")
    assert Quarantine(path, src_id, 10).holds(10)
    assert not Quarantine(path, src_id, 11).holds(10)
    assert not Quarantine(path, uuid.uuid4()).holds(10)
    path.write_text("{")
    assert Quarantine(path, src_id).dead == 0
