"""The command `tickstockpl scan`."""

from pathlib import Path
from typing import Annotated

import typer

from tickstockpl.options import (
    ROWS,
    Config,
    First,
    Frame,
    Last,
    Mode,
    Rows,
    RuleFile,
    Symbols,
    Timeframe,
    once,
    settings_of,
)

EPILOG = """Example: tickstockpl scan bars.parquet --pattern 'cdl_*' --output found.parquet
         tickstockpl scan bars.parquet --timeframe 15min --output report.html

Files have the columns ts_us, ts_ns, window_start or timestamp (the START of a bar; ts_end is its end), symbol or
ticker, open, high, low, close, volume; `tickstockpl replay --help` says more of them."""


def scan(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Minute bars, Parquet or CSV; none: the database of the settings.")
    ] = None,
    config: Config = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option("--pattern", help="An id, a glob such as cdl_*, or another name; repeatable. Default: settings."),
    ] = None,
    rules: RuleFile = None,
    symbol: Symbols = None,
    since: First = None,
    until: Last = None,
    timeframe: Frame = Timeframe.MIN1,
    mode: Annotated[Mode | None, typer.Option(help="Default: session.mode of the settings.")] = None,
    bar_seconds: Annotated[int, typer.Option(min=60, help="Length of a file's bars.")] = 60,
    timezone: Annotated[str, typer.Option(help="Of a file's stamps that have none.")] = "UTC",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Everything found, as .parquet or .csv, or a report with pictures, .html."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, max=50, help="Pictures of a pattern in a report.")] = 3,
    rates: Annotated[
        Path | None, typer.Option(help="What `tickstockpl calibrate` has measured, .json, for a report.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at a time; default: one a core.")] = None,
    rows: Rows = ROWS,
) -> None:
    """Find every pattern in bars of history, as the service does when each bar closes, and say how often it is there.

    Bars are those of files, or without one those in the database. Two weeks before the first day are read too, so that
    windows are full. Symbols are looked through in groups of half a million bars: memory does not grow with history.
    """
    from tickstockpl import survey

    asked = survey.Survey(
        files=tuple(files or ()),
        bar_seconds=bar_seconds,
        timezone=timezone,
        patterns=tuple(pattern or ()),
        rules=rules,
        symbols=tuple(dict.fromkeys(symbol or ())),
        first=since.date() if since else None,
        last=until.date() if until else None,
        mode=mode.value if mode else None,
        output=output,
        examples=examples,
        rates=rates,
        timeframe=timeframe.value,
        jobs=jobs,
    )
    once(survey.run_scan(settings_of(config), asked, rows=rows))
