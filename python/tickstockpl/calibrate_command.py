"""The command `tickstockpl calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from tickstockpl.options import Config, First, Last, Mode, RuleFile, Symbols, Timeframe, once, settings_of

EPILOG = """Example: tickstockpl calibrate bars.parquet --output rates.json --plot rates.html

Files are those of `tickstockpl scan`. docs/calibration.md says how rates are measured, and what they are in one set of
real data."""


def calibrate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Minute bars, Parquet or CSV; none: the database of the settings.")
    ] = None,
    config: Config = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option("--pattern", help="An id, a glob such as cdl_*, or another name; repeatable. Default: all."),
    ] = None,
    rules: RuleFile = None,
    symbol: Symbols = None,
    since: First = None,
    until: Last = None,
    timeframe: Annotated[
        list[Timeframe] | None,
        typer.Option(help="Bars that minutes are rolled up to first; repeatable. Default: 1min."),
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="Default: session.mode of the settings.")] = None,
    timezone: Annotated[str, typer.Option(help="Of a file's stamps that have none.")] = "UTC",
    horizon: Annotated[int, typer.Option(min=1, help="Bars of the same session that a barrier may take.")] = 20,
    barrier: Annotated[
        float, typer.Option(min=0.01, max=100, help="How far the barriers are away, in average true ranges.")
    ] = 1.0,
    holdout: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the bars, the newest, that judges the table; 0: none.")
    ] = 0.3,
    placebo: Annotated[
        int, typer.Option(min=0, max=1000, help="How often events are moved along, to see what chance finds.")
    ] = 20,
    from_outcomes: Annotated[
        bool, typer.Option(help="Take the service's own events, and what it has said became of them, live.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What the data are called. Default: the files' names.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The table, as .json.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="The table and what it says, as a page.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="A folder for rates.svg and reliability.svg, or one page that ends in .html.")
    ] = None,
) -> None:
    """Measure on history how often each pattern is followed by what it says, beside any bar, and what that is worth.

    A table made on the earlier part of the bars is held against the newest; rows that these refute give the rate of any
    bar. The table that is printed and written is of all bars.
    """
    from tickstockpl.calibrate import Calibrate, run_calibrate
    from tickstockpl.calibration import Parameters

    wanted = Calibrate(
        files=tuple(files or ()),
        timezone=timezone,
        name=name,
        patterns=tuple(pattern or ()),
        rules=rules,
        symbols=tuple(dict.fromkeys(symbol or ())),
        first=since.date() if since else None,
        last=until.date() if until else None,
        timeframes=tuple(each.value for each in timeframe or [Timeframe.MIN1]),
        mode=mode.value if mode else None,
        parameters=Parameters(horizon=horizon, barrier=barrier),
        holdout=holdout,
        placebo=placebo,
        from_outcomes=from_outcomes,
        output=output,
        markdown=markdown,
        plot=plot,
    )
    once(run_calibrate(settings_of(config), wanted))
