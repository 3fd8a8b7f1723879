"""The command `tickstockpl patterns`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tickstockpl.errors import SettingsError

EPILOG = """Example: tickstockpl patterns --direction bullish --search volume

docs/patterns.md has a picture of each."""


class Tier(StrEnum):
    """AppV2's tiers."""

    DAILY = "daily"
    INTRADAY = "intraday"
    COMBO = "combo"


class Direction(StrEnum):
    """Which way a pattern can point."""

    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"


def patterns(
    names: Annotated[
        list[str] | None, typer.Argument(help="Ids, globs such as cdl_*, or other names: these in full. Default: all.")
    ] = None,
    tier: Annotated[Tier | None, typer.Option(help="Of this tier alone.")] = None,
    direction: Annotated[Direction | None, typer.Option(help="That can point this way.")] = None,
    search: Annotated[str | None, typer.Option(help="With these words in name, source or definition.")] = None,
    rules: Annotated[Path | None, typer.Option(help="A file of rules, TOML, to be listed with them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The list, as CSV.")] = False,
) -> None:
    """List the patterns that there are, or say all of those that are named.

    Names are those that `patterns.enabled` and `--pattern` take: TickStock's other names, too, in any spelling.
    """
    from rich.console import Console

    from tickstockpl import catalogue
    from tickstockpl.rules import read_rules

    if as_json and as_csv:
        raise SettingsError("--json or --csv, not both")
    known = catalogue.with_rules(read_rules(rules)) if rules is not None else catalogue.entries()
    chosen = [
        entry
        for entry in (catalogue.named(names, known) if names else known)
        if (tier is None or entry.tier == tier)
        and (direction is None or direction in entry.directions)
        and (search is None or entry.has(search))
    ]
    if as_json:
        sys.stdout.write(catalogue.as_json(chosen).decode())
    elif as_csv:
        sys.stdout.write(catalogue.as_csv(chosen))
    else:
        console = Console()
        told = catalogue.in_full(chosen) if names and chosen else catalogue.table(chosen, console.width, len(known))
        console.print(*told, sep="\n")
