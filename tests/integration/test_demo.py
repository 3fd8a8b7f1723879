"""`tickstockpl demo` with servers of its own: ends by itself, and every bar is the simulator's."""

import asyncio
from io import StringIO
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from tickstockpl.dev.demo import Demo, show
from tickstockpl.dev.feed import Sent
from tickstockpl.dev.view import Result, Seen, screen, summary
from tickstockpl.errors import SettingsError
from waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


def printed(width: int = 120, *, terminal: bool = False) -> tuple[StringIO, Console]:
    out = StringIO()
    return out, Console(file=out, width=width, force_terminal=terminal)


async def test_a_demo_ends_by_itself_with_every_bar_right_and_a_terminal_gets_a_live_view_of_the_same(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One seed twice, the second time in a terminal, whose environment names servers that are none of a demo's."""
    out, console = printed()
    plain = await show(Demo(minutes=10, symbols=8, play_s=1, state_dir=state_dir), console=console)
    assert plain.right
    assert plain.complete
    assert plain.sent == plain.folded > 3000
    assert plain.true_bars == plain.stored_bars == plain.equal_bars == 80
    assert sum(plain.patterns.values()) >= plain.heard > 0
    text = out.getvalue()
    assert "80 of 80: all equal" in text
    assert '"event_type": "pattern_detected"' in text
    assert "100% of 10 minutes" in text
    assert (state_dir / "demo.log").read_text().count("ready") >= 1
    monkeypatch.setenv("DATABASE_URI", "postgresql://nobody@nowhere.invalid/none")
    monkeypatch.setenv("REDIS_URL", "redis://nowhere.invalid")
    before = structlog.get_config()
    out, console = printed(terminal=True)
    result = await show(Demo(minutes=10, symbols=8, play_s=2, state_dir=state_dir), console=console)
    assert result.right
    assert result.patterns == plain.patterns != {}
    for part in ("ticks/s", "bars/s", "ms lag", "newest bars", "newest patterns", "healthy", "AAPL"):
        assert part in out.getvalue()
    assert structlog.get_config() == before


async def test_keep_leaves_the_service_running_until_it_is_stopped(state_dir: Path) -> None:
    out, console = printed()
    stop = asyncio.Event()
    options = Demo(minutes=2, symbols=2, play_s=1, keep=True, state_dir=state_dir)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        kept = tasks.create_task(show(options, console=console, stop=stop))
        await until(lambda: "kept running" in out.getvalue(), 60)
        port = int(out.getvalue().split("http://127.0.0.1:")[1].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 200")
        writer.close()
        await writer.wait_closed()
        assert not kept.done()
        stop.set()
    assert kept.result().right


async def test_a_stop_ends_it_early_and_says_so(state_dir: Path) -> None:
    out, console = printed()
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(show(Demo(play_s=60, state_dir=state_dir), console=console, stop=stop))
        await until(lambda: "the service is up" in out.getvalue(), 60)
        stop.set()
    assert not ended.result().complete
    assert "ended early" in out.getvalue()


async def test_more_minutes_than_a_session_has_are_refused(state_dir: Path) -> None:
    with pytest.raises(SettingsError, match=r"minutes must be at most (210|390), the last session's length, was 999"):
        await show(Demo(minutes=999, state_dir=state_dir), console=printed()[1])


def test_a_wrong_bar_is_shown_as_wrong() -> None:
    result = Result(
        minutes=1, symbols=1, sent=60, folded=60, true_bars=1, stored_bars=1, equal_bars=0, patterns={}, heard=0,
        example=None, seconds=1.0, complete=True,
    )  # fmt: skip
    out, console = printed()
    console.print(summary(result))
    assert not result.right
    assert "NOT EQUAL" in out.getvalue()


def test_the_patterns_that_the_result_does_not_name_are_counted_in_one_row() -> None:
    patterns = {f"pattern{at:02}": 100 - at for at in range(15)}
    result = Result(
        minutes=1, symbols=1, sent=60, folded=60, true_bars=1, stored_bars=1, equal_bars=1, patterns=patterns, heard=0,
        example=None, seconds=1.0, complete=True,
    )  # fmt: skip
    out, console = printed()
    console.print(summary(result))
    rows = [line.replace("│", " ").split() for line in out.getvalue().splitlines()]
    assert ["pattern11", "89"] in rows
    assert "pattern12" not in out.getvalue()
    assert ["3", "patterns", "more", str(88 + 87 + 86)] in rows


def test_the_view_stands_before_the_first_tick_and_after_the_last() -> None:
    out, console = printed()
    seen = Seen(start_us=1_757_600_460_000_000, minutes=2)
    console.print(screen(seen))
    assert seen.share == 0.0
    assert "--:--:--" in out.getvalue()
    seen.sent = Sent(ticks=100, due_us=seen.start_us + 120_000_000)
    assert seen.line().startswith("100% of 2 minutes: 100 ticks")
