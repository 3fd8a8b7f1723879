"""How often each pattern comes in 1,000 bars, beside random walks of the same bars in another order.

A pattern that comes as often where the order of returns is chance says nothing by coming. Bars are a parquet file
of minutes: `symbol`, `ts_us` (START, int64 µs UTC) or `ts_end` (END, a datetime), `open`, `high`, `low`, `close`,
`volume`. Several files are one set of symbols. Prints a row for each pattern and direction; the exit code is 1 if one
of the chart patterns whose rate was measured before comes more than twice as often, or less than half as often.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp

MINUTE_US = 60_000_000
DAY_US = 1_440 * MINUTE_US
PRICES = ("open", "high", "low", "close")

KNOWN = {
    ("double_top", -1): 1.42,
    ("double_bottom", 1): 1.38,
    ("head_shoulders", -1): 0.50,
    ("inverse_head_shoulders", 1): 0.40,
    ("triple_top", -1): 0.1,
    ("triple_bottom", 1): 0.1,
    ("asc_triangle", 1): 0.50,
    ("desc_triangle", -1): 0.60,
    ("sym_triangle", 0): 1.9,
    ("rising_wedge", -1): 1.5,
    ("rectangle", 0): 0.28,
    ("bull_flag", 1): 0.5,
    ("bear_flag", -1): 0.5,
}
"""Events in 1,000 bars of an earlier measurement with these thresholds: 96,179 minutes of US stocks. 0: either way."""
FACTOR = 2.0

Columns = dict[str, NDArray[Any]]
Rates = Counter[tuple[str, int]]
"""By pattern and direction, and of each pattern both directions together: 0, if it has two."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bars", type=Path, nargs="+", help="parquet files of 1-minute bars")
    parser.add_argument("--shuffles", type=int, default=5, help="random walks a symbol (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them (default: 1)")
    parser.add_argument("--open", metavar="HH:MM", help="when sessions open, by the stamps (default: UTC days)")
    parser.add_argument("--minutes", type=int, default=390, help="and are so long (default: 390)")
    given = parser.parse_args()
    if given.shuffles < 1:
        parser.error(f"argument --shuffles: must be at least 1, was {given.shuffles}")
    bars = joined([read(path, parser) for path in given.bars])
    settings = all_patterns()
    if given.open is not None:
        settings = replace(settings, session_mode="regular", sessions=sessions(bars, given.open, given.minutes, parser))
    try:
        real = rates(bars, settings)
    except ValueError as error:
        parser.error(str(error))
    walks = [rates(shuffled(bars, given.seed + number), settings) for number in range(given.shuffles)]
    chance = {key: sum(walk[key] for walk in walks) / len(walks) for walk in walks for key in walk}
    symbols = len(set(bars["symbol"].tolist()))
    print(f"{len(bars['ts_us']):,} bars of {symbols:,} symbols; {given.shuffles} walks; events in 1,000 bars")
    return tell(real, Counter(chance))


def all_patterns() -> tp.EngineSettings:
    return tp.EngineSettings(patterns=tuple(pattern["id"] for pattern in tp.PATTERNS))


def read(path: Path, parser: argparse.ArgumentParser) -> Columns:
    try:
        import polars as pl
    except ImportError:
        parser.error("polars is not installed: pip install 'tickstockpl[replay]'")
    try:
        frame = pl.read_parquet(path)
        if "ts_end" in frame.columns:
            frame = frame.with_columns(ts_us=frame["ts_end"].dt.epoch("us") - MINUTE_US)
        return {name: frame[name].to_numpy() for name in ("symbol", "ts_us", *PRICES, "volume")}
    except (OSError, pl.exceptions.PolarsError) as error:
        parser.error(f"{path}: {str(error).splitlines()[0]}")


def joined(files: list[Columns]) -> Columns:
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


def sessions(bars: Columns, clock: str, minutes: int, parser: argparse.ArgumentParser) -> NDArray[np.int64]:
    hour, _, minute = clock.partition(":")
    if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
        parser.error(f"argument --open: must be a time such as 09:30, was {clock!r}")
    opens = np.unique(bars["ts_us"] // DAY_US) * DAY_US + (60 * int(hour) + int(minute)) * MINUTE_US
    if not 1 <= minutes <= 1_440:
        parser.error(f"argument --minutes: must be from 1 to 1440, was {minutes}")
    return np.stack([opens, opens + minutes * MINUTE_US], axis=1)


def shuffled(bars: Columns, seed: int) -> Columns:
    """The same bars of each symbol in another order, each where the one before has ended; stamps stay.

    The first bars of days keep their places: what a price jumps overnight is no return of a minute.
    """
    draw, made = np.random.default_rng(seed), {name: column.copy() for name, column in bars.items()}
    for symbol in np.unique(bars["symbol"]):
        rows = np.flatnonzero(bars["symbol"] == symbol)
        rows = rows[np.argsort(bars["ts_us"][rows], kind="stable")]
        day = bars["ts_us"][rows] // DAY_US
        within = 1 + np.flatnonzero(day[1:] == day[:-1])
        order = np.arange(len(rows))
        order[within] = draw.permutation(within)
        close = bars["close"][rows]
        before = np.concatenate((bars["open"][rows[:1]], close[:-1]))
        level = before[0] * np.cumprod(np.concatenate(([1.0], (close / before)[order])))[:-1]
        for name in PRICES:
            made[name][rows] = np.round(level * (bars[name][rows] / before)[order], 2)
        made["volume"][rows] = bars["volume"][rows][order]
    return made


def rates(bars: Columns, settings: tp.EngineSettings) -> Rates:
    """Events in 1,000 bars."""
    found = tp.scan(bars, settings=settings)
    counted: Counter[tuple[str, int]] = Counter()
    for pattern, direction in zip(found.pattern.tolist(), found.direction.tolist(), strict=True):
        counted.update({(tp.PATTERNS[pattern]["id"], way) for way in (direction, 0)})
    return Counter({key: 1_000 * count / len(bars["ts_us"]) for key, count in counted.items()})


def tell(real: Rates, chance: Rates) -> int:
    """The table; 1 if a known rate is missed."""
    print(f"{'pattern':26}{'':9}{'real':>9}{'walks':>9}{'ratio':>8}{'known':>8}{'ratio':>8}")
    missed = 0
    for key in ((pattern["id"], direction) for pattern in tp.PATTERNS for direction in (1, -1, 0)):
        pattern, direction = key
        known, is_sum = KNOWN.get(key), direction == 0 and (chance[pattern, 1] or chance[pattern, -1])
        if known is None and (is_sum or not chance[key]):
            continue
        way = {1: "bullish", -1: "bearish", 0: "both" if is_sum else "neutral"}[direction]
        line = f"{pattern:26}{way:9}{real[key]:9.2f}{chance[key]:9.2f}{ratio(real[key], chance[key])}"
        if known is not None:
            is_far = not known / FACTOR <= real[key] <= known * FACTOR
            missed += is_far
            line += f"{known:8.2f}{ratio(real[key], known)}{'  far' if is_far else ''}"
        print(line)
    return 1 if missed else 0


def ratio(one: float, other: float) -> str:
    return f"{one / other:8.2f}" if other else f"{'-':>8}"


if __name__ == "__main__":
    sys.exit(main())
