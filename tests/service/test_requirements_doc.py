"""The page for AppV2's developer: its block runs as printed, and its bytes are those that really travel."""

import json
import logging
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tickstockpl as tp
from event_samples import events as columns
from event_samples import published
from tickstockpl import event_payload, payload
from tickstockpl.events import Event

PAGE = Path(__file__).resolve().parents[2] / "docs/integration/tickstockappv2-developer-requirements.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


class Published:
    """A Redis client that remembers."""

    def __init__(self, fails: bool = False) -> None:
        self.messages: list[tuple[str, str]] = []
        self._fails = fails

    def publish(self, channel: str, message: str) -> int:
        if self._fails:
            raise ConnectionError("Redis is away")
        self.messages.append((channel, message))
        return 1


def handle(client: Published | None) -> None:
    """`_handle_tick_data` with the page's block as its body."""
    imports, block = blocks("python")
    tick = SimpleNamespace(
        ticker="AAPL", price=227.43, volume=1523, timestamp=1757600460.0, event_type="A", source="polygon",
        tick_open=227.41, tick_high=227.45, tick_low=227.39, tick_close=227.43, tick_volume=1523, tick_vwap=227.4182,
    )  # fmt: skip
    service = SimpleNamespace(data_publisher=SimpleNamespace(redis_client=client))
    method = f"def _handle_tick_data(self, tick_data):\n{textwrap.indent(textwrap.dedent(block), '    ')}"
    module: dict[str, Any] = {"logger": logging.getLogger("appv2")}
    exec(imports + method, module)
    module["_handle_tick_data"](service, tick)


def test_the_block_publishes_a_tick_that_the_kernel_takes() -> None:
    client = Published()
    handle(client)
    ((channel, message),) = client.messages
    assert channel == "data.raw"
    ticks = tp.decode([message.encode()])
    assert len(ticks) == 1
    assert ticks.refused == {}
    assert message == blocks("json")[0].splitlines()[0]


def test_the_block_never_stops_the_tick_path(caplog: pytest.LogCaptureFixture) -> None:
    handle(None)
    assert caplog.records == []
    handle(Published(fails=True))
    assert [record.getMessage() for record in caplog.records] == ["Failed to publish raw tick to Redis: Redis is away"]


def test_the_ticks_shown_are_taken() -> None:
    lines = blocks("json")[0].splitlines()
    ticks = tp.decode([line.encode() for line in lines])
    assert len(ticks) == len(lines) == 2
    assert ticks.refused == {}


def test_the_events_shown_are_made_byte_for_byte() -> None:
    _, event, streaming, health = (block.strip() for block in blocks("json"))
    shown = json.loads(event)
    data = shown["data"]
    bar, levels = data["bar"], data["levels"]
    made = Event(
        event_id=shown["flow_id"], symbol=shown["symbol"], pattern_id="hammer", pattern=shown["pattern"], direction=1,
        confidence=shown["confidence"], bar_start_us=round(data["bar_start"] * 1e6),
        bar_end_us=round(data["bar_end"] * 1e6), first_us=round(data["bar_start"] * 1e6), bars=1, revision=0,
        supersedes=None, price_change=data["price_change"], indicators=data["indicators"], quality=(), **bar, **levels,
    )  # fmt: skip
    assert published(event_payload.universal(columns(made), "tickstock.events.patterns", 3600, shown["seq"])) == [
        ("tickstock.events.patterns", event.encode())
    ]
    session, seq = (json.loads(streaming)[name] for name in ("session_id", "seq"))
    assert published(event_payload.streaming(columns(made), session, seq)) == [
        (payload.PATTERNS_STREAMING, streaming.encode())
    ]
    pulse = payload.Pulse(
        state="ok", active_symbols=70, ticks_per_second=69.8, bars_per_minute=70.0, processing_lag_ms=12.0,
        patterns_detected=5,
    )  # fmt: skip
    assert payload.system_health(pulse, session, made.bar_end_us).decode() == health


def test_the_seeds_three_commands_are_printed_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for command in (
        "python scripts/test_live_integration.py",
        'redis-cli monitor | grep "data.raw"',
        "psql -d tickstock -c \"SELECT COUNT(*) FROM ohlcv_1min WHERE timestamp > NOW() - INTERVAL '1 hour';\"",
    ):
        assert f"\n{command}\n" in text
