"""What several commands are told, and how they run."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from tickstockpl import logs
from tickstockpl.loading import load
from tickstockpl.settings import Settings

T = TypeVar("T")


class Mode(StrEnum):
    """The sessions that minutes are counted in."""

    REGULAR = "regular"
    EXTENDED = "extended"
    ALWAYS = "always"


class Timeframe(StrEnum):
    """How long the bars are that patterns are looked for on."""

    MIN1 = "1min"
    MIN5 = "5min"
    MIN15 = "15min"
    MIN30 = "30min"
    HOUR1 = "1hour"
    HOUR4 = "4hour"
    DAILY = "daily"
    WEEKLY = "weekly"


Config = Annotated[Path | None, typer.Option(help="A TOML file; default ./tickstockpl.toml if there is one.")]
First = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")]
Last = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included.")]
Symbols = Annotated[list[str] | None, typer.Option("--symbol", help="This symbol alone; may be given more than once.")]
Frame = Annotated[Timeframe, typer.Option("--timeframe", help="Bars that minutes are rolled up to first.")]
RuleFile = Annotated[
    Path | None, typer.Option("--rules", help="A file of rules, TOML. Default: patterns.rules of the settings.")
]
Rows = Annotated[int, typer.Option(min=0, help="Rows to print.")]

ROWS = 40
"""Rows that are printed where nobody says how many."""


def settings_of(config: Path | None) -> Settings:
    """The settings, and logging set up as they say.

    Raises SettingsError for one that is wrong.
    """
    settings = load(config)
    logs.configure(settings.log)
    return settings


def once(work: Coroutine[Any, Any, T]) -> T:
    """What work gives that ends by itself and has nothing to drain; the first Ctrl-C cancels it, with exit code 130."""
    with runner() as made:
        return made.run(work)


def runner() -> asyncio.Runner:
    """On the fastest loop there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
