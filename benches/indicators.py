"""Contests of the indicators: a bar of every symbol in one call, and whole series."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp
from benches import peers
from benches.runner import Contest, Goal

F64 = NDArray[np.float64]
WARM = 200
"""Bars that every contestant has seen before the clock runs."""
NAMES = {
    "SMA 20": ("sma",),
    "EMA 12": ("ema_fast",),
    "EMA 26": ("ema_slow",),
    "RSI 14": ("rsi",),
    "MACD 12/26/9": ("macd", "macd_signal", "macd_histogram"),
    "Bollinger 20 x 2": ("bollinger_upper", "bollinger_middle", "bollinger_lower"),
    "ATR 14": ("atr",),
    "ADX 14": ("adx",),
    "OBV": ("obv",),
    "stochastic 14/3/3": ("stochastic_k", "stochastic_d"),
}


def market(rows: int, symbols: int, seed: int = 1) -> list[F64]:
    """(rows, symbols) each of open, high, low, close in cents and volume: random walks."""
    draw = np.random.default_rng(seed)
    close = np.maximum(np.round(100 + np.cumsum(draw.normal(0, 0.05, (rows, symbols)), axis=0), 2), 0.05)
    open_ = np.vstack((close[:1], close[:-1]))
    reach = np.round(draw.exponential(0.03, (2, rows, symbols)), 2)
    volume = draw.integers(1, 5000, (rows, symbols)).astype(float)
    columns = (open_, np.maximum(open_, close) + reach[0], np.minimum(open_, close) - reach[1], close, volume)
    return [np.ascontiguousarray(column) for column in columns]


Updates = tuple[Any, ...]
"""Bound `update` methods of one symbol's ten objects, in the order of `NAMES`."""


def stream(symbols: int = 1000, minutes: int = 30) -> list[Contest]:
    """Ten indicators of all symbols, minute after minute."""
    if peers.talib is None:
        return []
    columns = market(WARM + minutes, symbols)
    ours = tp.IndicatorStream(symbols)
    for at in range(WARM):
        ours.update(*(column[at] for column in columns))
    updates = [[column[at] for column in columns] for at in range(WARM, WARM + minutes)]
    # Peers' objects take one symbol's numbers: they are Python floats before the clock runs, in their favour.
    bars = [list(zip(*(column.tolist() for column in update[1:]), strict=True)) for update in updates]
    histories = [[column[:WARM, at] for column in columns] for at in range(symbols)]
    made = [("TA-Lib 0.8 stream handles", [talib_handles(history) for history in histories], Goal(25, 40))]
    if peers.ferro_ta is not None:
        made.append(("ferro_ta Streaming*", [ferro_objects(history) for history in histories], Goal(12, 20)))

    def run_ours() -> None:
        for update in updates:
            ours.update(*update)

    def check() -> str:
        said = []
        values = [ours.update(*update) for update in updates]
        for name, objects, _ in made:
            differing = compared = 0
            for at, minute in enumerate(bars):
                for symbol, (each, bar) in enumerate(zip(objects, minute, strict=True)):
                    theirs = np.array([value for made in play(each, bar) for value in np.atleast_1d(made)])
                    mine = np.array([values[at][column][symbol] for names in NAMES.values() for column in names])
                    differing += int((np.abs(mine - theirs) > 1e-12 * np.maximum(np.abs(theirs), 1)).sum())
                    compared += len(mine)
            assert differing == 0 or "TA-Lib" not in name, (name, differing)
            said.append(f"{name}: {differing:,} of {compared:,} values differ by more than 1e-12")
        return "; ".join(said)

    def peer(objects: list[Updates]) -> Callable[[], None]:
        def run() -> None:
            for minute in bars:
                for each, bar in zip(objects, minute, strict=True):
                    play(each, bar)

        return run

    return [
        Contest(
            name="indicators",
            title=f"Ten indicators, stream, {symbols:,} symbols a call",
            unit="bars",
            work=symbols * minutes,
            ours=("IndicatorStream.update: checked, with +DI and -DI", run_ours),
            peers=[(f"{name}, one call a symbol and indicator", peer(objects), goal) for name, objects, goal in made],
            check=check,
            regresses="a symbol's state on more cache lines, a branch on data, an operation that is not vectorised",
            notes=[
                "The same minutes are played again each round, on all sides from where the last one ended; none is kept"
            ],
        )
    ]


def play(updates: Updates, bar: tuple[float, float, float, float]) -> tuple[Any, ...]:
    """One bar of one symbol through the ten objects of a peer."""
    sma, ema_fast, ema_slow, rsi, macd, bollinger, atr, adx, obv, stochastic = updates
    high, low, close, volume = bar
    return (
        sma(close), ema_fast(close), ema_slow(close), rsi(close), macd(close), bollinger(close), atr(high, low, close),
        adx(high, low, close), obv(close, volume), stochastic(high, low, close),
    )  # fmt: skip


def talib_handles(history: list[F64]) -> Updates:
    """TA-Lib's ten handles of one symbol, opened on its history."""
    _, high, low, close, volume = history
    ta = peers.talib_stream
    handles = (
        ta.SMA(close, 20), ta.EMA(close, 12), ta.EMA(close, 26), ta.RSI(close, 14), ta.MACD(close, 12, 26, 9),
        ta.BBANDS(close, 20, 2.0, 2.0), ta.ATR(high, low, close, 14), ta.ADX(high, low, close, 14),
        ta.OBV(close, volume), ta.STOCH(high, low, close, 14, 3, 0, 3, 0),
    )  # fmt: skip
    return tuple(handle.update for handle in handles)


def ferro_objects(history: list[F64]) -> Updates:
    """ferro_ta's ten objects of one symbol, fed its history."""
    ft = peers.ferro_ta
    objects = (
        ft.StreamingSMA(20), ft.StreamingEMA(12), ft.StreamingEMA(26), ft.StreamingRSI(14),
        ft.StreamingMACD(12, 26, 9), ft.StreamingBBands(20, 2.0, 2.0), ft.StreamingATR(14), ft.StreamingAdx(14),
        ft.StreamingObv(), ft.StreamingStoch(14, 3, 3),
    )  # fmt: skip
    updates = tuple(each.update for each in objects)
    for bar in zip(*(column.tolist() for column in history[1:]), strict=True):
        play(updates, bar)
    return updates


def batch(rows: int = 300_000) -> list[Contest]:
    """Ten indicators of one series."""
    if peers.talib is None:
        return []
    _, high, low, close, volume = (column[:, 0].copy() for column in market(rows, 1))
    ours, ta = tp.indicators, cast("Any", peers.talib)

    our_calls: list[Callable[[], Any]] = [
        lambda: ours.sma(close, 20), lambda: ours.ema(close, 12), lambda: ours.ema(close, 26),
        lambda: ours.rsi(close, 14), lambda: ours.macd(close), lambda: ours.bollinger(close),
        lambda: ours.atr(high, low, close), lambda: ours.adx(high, low, close), lambda: ours.obv(close, volume),
        lambda: ours.stochastic(high, low, close),
    ]  # fmt: skip
    talib_calls: list[Callable[[], Any]] = [
        lambda: ta.SMA(close, 20), lambda: ta.EMA(close, 12), lambda: ta.EMA(close, 26), lambda: ta.RSI(close, 14),
        lambda: ta.MACD(close, 12, 26, 9), lambda: ta.BBANDS(close, 20, 2.0, 2.0),
        lambda: ta.ATR(high, low, close, 14), lambda: ta.ADX(high, low, close, 14), lambda: ta.OBV(close, volume),
        lambda: ta.STOCH(high, low, close, 14, 3, 0, 3, 0),
    ]  # fmt: skip

    def each(calls: list[Callable[[], Any]]) -> None:
        for call in calls:
            call()

    def check() -> str:
        equal: list[str] = []
        near: list[str] = []
        for label, our_call, talib_call in zip(NAMES, our_calls, talib_calls, strict=True):
            mine, theirs = our_call(), talib_call()
            same = np.array_equal(np.atleast_2d(mine), np.atleast_2d(theirs), equal_nan=True)
            np.testing.assert_allclose(np.atleast_2d(mine), np.atleast_2d(theirs), rtol=1e-12, err_msg=label)
            (equal if same else near).append(label)
        return f"{', '.join(equal)}: equal bit for bit; {', '.join(near)}: to 1e-12; {rows:,} bars"

    return [
        Contest(
            name="indicators",
            title="Ten indicators, batch",
            unit="bars",
            work=rows,
            ours=("tickstockpl.indicators: checked", lambda: each(our_calls)),
            peers=[("TA-Lib 0.8, Python", lambda: each(talib_calls), Goal(1.0, 1.5))],
            check=check,
            regresses="a pass over a series that no longer fits the cache, a recursion with one more operation",
            notes=[
                "A result is dropped before the next call; kept ones cost both sides fresh memory, and the ratio less"
            ],
        )
    ]


def contests() -> list[Contest]:
    """Both."""
    return [*stream(), *batch()]
