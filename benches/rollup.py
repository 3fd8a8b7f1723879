"""Contests of minutes to longer bars, beside Polars' `group_by_dynamic`."""

from typing import Any

import numpy as np

import tickstockpl as tp
from benches import peers, ticks
from benches.runner import Contest

SESSION = np.array([[ticks.START_US, ticks.START_US + 390 * ticks.MINUTE_US]])


def contests(symbols: int = 1000, minutes: int = 390) -> list[Contest]:
    """A session's minutes to bars of 5 minutes and of an hour from the open."""
    if peers.polars is None:
        return []
    given = _minutes(symbols, minutes)
    return [_contest(given, "5min", "5m", 5), _contest(given, "1hour", "1h", 60)]


def _minutes(symbols: int, minutes: int) -> tp.Bars:
    """Bars of every symbol and minute, in order of time, made of two trades each."""
    numbers = np.random.default_rng(1)
    rows = 2 * symbols * minutes
    stamps = np.repeat(ticks.START_US + np.arange(2 * minutes) * (ticks.MINUTE_US // 2), symbols)
    cents = 10_000 + numbers.integers(-50, 51, rows)
    ids = np.tile(np.arange(symbols, dtype=np.int32), 2 * minutes)
    return tp.aggregate(stamps, cents / 100, numbers.integers(1, 500, rows), ids)


def _contest(given: tp.Bars, timeframe: str, every: str, minutes: int) -> Contest:
    pl = peers.polars
    bars = given.to_dict()
    names = ("symbol", "open", "high", "low", "close", "volume", "vwap", "trades")
    frame = pl.DataFrame({name: bars[name] for name in names} | {"ts": bars["ts_us"].astype("datetime64[us]")})
    share = pl.col("vwap") * pl.col("volume")
    columns = [pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last()]
    columns += [pl.col("volume").sum(), share.sum() / pl.col("volume").sum(), pl.col("trades").sum()]

    def ours() -> tp.Bars:
        return tp.resample(given, timeframe, sessions=SESSION)

    def theirs() -> Any:
        return frame.group_by_dynamic("ts", every=every, offset="30m", group_by="symbol").agg(columns)

    def check() -> str:
        made, expected = ours().to_dict(), theirs().sort("ts", "symbol")
        np.testing.assert_array_equal(made["ts_us"].astype("datetime64[us]"), expected["ts"].to_numpy())
        for name in names:
            tolerance = 1e-12 if name == "vwap" else 0
            np.testing.assert_allclose(made[name], expected[name].to_numpy(), rtol=tolerance, err_msg=name)
        return f"{len(names) + 1} columns of {len(expected):,} bars are equal, the vwap to 12 digits"

    symbols = int(given.symbol.max()) + 1
    return Contest(
        name="rollup",
        title=f"Minutes to bars of {minutes} minutes, {symbols:,} symbols",
        unit="minutes",
        work=len(given),
        ours=("tickstockpl.resample: checked, any order, sorted, one core", ours),
        peers=[("polars group_by_dynamic: 9 of 13 columns, in order of symbols, all cores", theirs, None)],
        check=check,
        regresses="a search of the calendar a minute, a copy of a closed bar, state of a symbol that leaves the cache",
        notes=["Polars gets its frame before the clock runs, in order, and does not sort what it makes"],
    )
