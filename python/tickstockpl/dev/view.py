"""What a person sees while a demo runs, and what it says at the end."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.json import JSON
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tickstockpl.dev.feed import Sent
from tickstockpl.dev.stored import Row
from tickstockpl.settings import PublishSettings

NEWEST = 8
_RIGHT = ("open", "high", "low", "close", "volume")
_SHOWN = 12
"""Patterns that the result names, the most frequent first."""


@dataclass(slots=True)
class Seen:
    """What is known so far. `health` is the service's own snapshot, empty before the first."""

    start_us: int
    minutes: int
    sent: Sent = field(default_factory=Sent)
    health: Mapping[str, Any] = field(default_factory=dict)
    bars: int = 0
    newest: list[Row] = field(default_factory=list)
    events: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=NEWEST))
    patterns: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """How much of the market has been played, 0 to 1."""
        return min(1.0, max(0.0, (self.sent.due_us - self.start_us) / (self.minutes * 60e6)))

    def line(self) -> str:
        """The state in one line, for a pipe."""
        return (
            f"{self.share:.0%} of {self.minutes} minutes: {self.sent.ticks:,} ticks, {self.bars:,} bars, "
            f"{self.patterns.total():,} patterns"
        )


def screen(seen: Seen) -> RenderableType:
    """The live view: rates, newest bars, newest patterns, lag and health."""
    pipeline = seen.health.get("stages", {}).get("pipeline", {})
    status = seen.health.get("status", "starting")
    facts = Table.grid(padding=(0, 3))
    facts.add_row(
        f"[bold]{seen.health.get('ticks_per_second', 0):,.0f}[/] ticks/s",
        f"[bold]{seen.health.get('bars_per_minute', 0) / 60:,.0f}[/] bars/s",
        f"[bold]{pipeline.get('processing_lag_ms', 0) or 0:,.1f}[/] ms lag",
        f"[bold]{_clock(seen.sent.due_us)}[/] UTC",
        f"[bold {'green' if status == 'healthy' else 'yellow'}]{status}[/]",
    )
    played = Table.grid(padding=(0, 3))
    played.add_row(ProgressBar(total=1.0, completed=seen.share, width=20), Text(seen.line(), style="dim"))
    bars = _table("newest bars", "symbol", "minute", *_RIGHT)
    for symbol, ts_us, *prices, volume in seen.newest:
        bars.add_row(symbol, _clock(ts_us)[:5], *(f"{price:.2f}" for price in prices), f"{volume:,}")
    patterns = _table("newest patterns", "symbol", "minute", "pattern", "confidence")
    for event in reversed(seen.events):
        ends_us = float(event["data"]["timestamp"]) * 1e6 - 60e6
        patterns.add_row(event["symbol"], _clock(int(ends_us))[:5], event["pattern"], f"{event['confidence']:.2f}")
    # Side by side where there is room, else one below the other.
    return Panel(Group(facts, played, Columns([bars, patterns], padding=(0, 3))), title="TickStockPL demo")


@dataclass(frozen=True, slots=True)
class Result:
    """What a demo has shown."""

    minutes: int
    symbols: int
    sent: int
    """Ticks published."""
    folded: int
    """Ticks that the service put into bars."""
    true_bars: int
    stored_bars: int
    equal_bars: int
    patterns: Mapping[str, int]
    """Events found, by published name, whatever their confidence."""
    heard: int
    """Events that a subscriber got."""
    example: Mapping[str, Any] | None
    seconds: float
    complete: bool
    """False if somebody ended it early."""

    @property
    def right(self) -> bool:
        """Every tick folded, every bar there and equal to the true one, and nothing besides."""
        return self.sent == self.folded and self.true_bars == self.stored_bars == self.equal_bars


def summary(result: Result) -> RenderableType:
    """The result, for people."""
    table = Table(title="TickStockPL demo: result", show_header=False, min_width=60)
    table.add_row("simulated market", f"{result.minutes} minutes, {result.symbols} symbols, in {result.seconds:.1f} s")
    table.add_row("ticks sent / folded into bars", f"{result.sent:,} / {result.folded:,}")
    table.add_row("bars in ohlcv_1min", f"{result.stored_bars:,}")
    mark = "[green]all equal[/]" if result.right else "[red]NOT EQUAL[/]" if result.complete else "ended early"
    table.add_row("equal to the simulator's true bars", f"{result.equal_bars:,} of {result.true_bars:,}: {mark}")
    found, least = sum(result.patterns.values()), PublishSettings().min_confidence
    table.add_row("pattern events found / sent", f"{found:,} / {result.heard:,} (confidence ≥ {least:g})")
    often = sorted(result.patterns.items(), key=lambda item: (-item[1], item[0]))
    for name, count in often[:_SHOWN]:
        table.add_row(f"  {name}", f"{count:,}")
    if rare := often[_SHOWN:]:
        table.add_row(f"  {len(rare)} patterns more", f"{sum(count for _, count in rare):,}")
    if result.example is None:
        return table
    # The table comes last: what has been proved is what stands above the prompt.
    return Group("one event, as AppV2 gets it:", JSON.from_data(dict(result.example)), "", table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), title_justify="left", header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=True)
    return table


def _clock(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%H:%M:%S}" if us > 0 else "--:--:--"
