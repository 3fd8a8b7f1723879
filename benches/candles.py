"""Contests of the 61 candlestick functions against TA-Lib: batch, streams of many symbols, one symbol; and memory."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tickstockpl as tp
from benches import peers
from benches.runner import Contest, Finding, Goal, Table, race

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bars = tuple[F64, F64, F64, F64]

WARM = 40
"""Bars that every handle is opened with, so that none is short of its lookback."""

PENETRATION = {
    "CDLABANDONEDBABY": 0.3,
    "CDLDARKCLOUDCOVER": 0.5,
    "CDLEVENINGDOJISTAR": 0.3,
    "CDLEVENINGSTAR": 0.3,
    "CDLMATHOLD": 0.5,
    "CDLMORNINGDOJISTAR": 0.3,
    "CDLMORNINGSTAR": 0.3,
}
"""The functions with a parameter, at its default."""


def walk(rows: int, seed: int = 1) -> Bars:
    """Cent prices that wander as a stock's minutes do: 1.8 hits a bar."""
    rng = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(rng.normal(0, 0.03, rows)), 2)
    opened = np.round(np.concatenate([close[:1], close[:-1]]) + rng.normal(0, 0.01, rows), 2)
    high = np.round(np.maximum(opened, close) + rng.exponential(0.02, rows), 2)
    low = np.round(np.minimum(opened, close) - rng.exponential(0.02, rows), 2)
    return opened, high, low, close


def batch(rows: int) -> Contest:
    """All bars of one symbol."""
    bars = walk(rows)
    functions = [getattr(peers.talib, name) for name in tp.CANDLESTICKS]

    def ours() -> dict[str, I32]:
        return tp.candlesticks(*bars)

    def theirs() -> list[I32]:
        return [function(*bars) for function in functions]

    def check() -> str:
        found = ours()
        for name, values in zip(tp.CANDLESTICKS, theirs(), strict=True):
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        return f"{61 * rows:,} cells are equal, {sum(map(np.count_nonzero, found.values())) / rows:.2f} hits a bar"

    return Contest(
        name="candles",
        title=f"61 candlesticks, batch, {rows:,} bars",
        unit="bars",
        work=rows,
        ours=("tickstockpl.candlesticks: one call", ours),
        peers=[("TA-Lib Python: 61 calls", theirs, Goal(12, 20))],
        check=check,
        regresses="vectors that lie across cache lines, a SIMD closure that is not inlined, a pass over the output",
        notes=["Both make 61 int32 arrays; from 100,000 bars on, half of our time is fresh memory for them"],
    )


class Market:
    """Symbols with their warm-up, and minutes to come."""

    def __init__(self, symbols: int, minutes: int) -> None:
        rows = WARM + minutes
        columns = [column.reshape(symbols, rows) for column in walk(symbols * rows)]
        self.symbols = symbols
        self.history: list[Bars] = []
        for symbol in range(symbols):
            opened, high, low, close = (np.ascontiguousarray(column[symbol, :WARM]) for column in columns)
            self.history.append((opened, high, low, close))
        self.minutes = [[np.ascontiguousarray(column[:, WARM + at]) for column in columns] for at in range(minutes)]
        self.rows = [list(zip(*(column.tolist() for column in minute), strict=True)) for minute in self.minutes]

    def stream(self) -> tp.CandlestickStream:
        stream = tp.CandlestickStream(self.symbols)
        for at in range(WARM):
            opened, high, low, close = (np.array([bars[field][at] for bars in self.history]) for field in range(4))
            stream.update(opened, high, low, close)
        return stream


class PythonHandles:
    """TA-Lib's own stream objects: 61 a symbol."""

    def __init__(self, market: Market) -> None:
        kinds = [getattr(peers.talib_stream, name) for name in tp.CANDLESTICKS]
        self.updates: list[list[Callable[..., int]]] = [
            [kind(*bars).update for kind in kinds] for bars in market.history
        ]

    def minute(self, rows: list[tuple[Any, ...]]) -> list[list[int]]:
        return [[update(*bar) for update in updates] for updates, bar in zip(self.updates, rows, strict=True)]


class CHandles:
    """The same in C: the library inside ta-lib's wheel, driven by a loop compiled here."""

    def __init__(self, market: Market) -> None:
        self.library, self.drive = c_library(), c_drive()
        functions = len(tp.CANDLESTICKS)
        self.handles = (ctypes.c_void_p * (market.symbols * functions))()
        self.updates = (ctypes.c_void_p * functions)()
        for at, name in enumerate(tp.CANDLESTICKS):
            update = getattr(self.library, f"TA_{name}_Update")
            self.updates[at] = ctypes.cast(update, ctypes.c_void_p).value
        before = heap_bytes()
        for symbol, bars in enumerate(market.history):
            for at, name in enumerate(tp.CANDLESTICKS):
                self._open(symbol * functions + at, name, bars)
        self.bytes_a_symbol = (heap_bytes() - before) / market.symbols
        self.values = np.zeros((market.symbols, functions), np.int32)

    def _open(self, at: int, name: str, bars: Bars) -> None:
        handle, value = ctypes.c_void_p(), ctypes.c_int()
        words: list[Any] = [ctypes.byref(handle)]
        words += [ctypes.c_void_p(column.ctypes.data) for column in bars]
        words.append(ctypes.c_int(len(bars[0])))
        words += [ctypes.c_double(PENETRATION[name])] if name in PENETRATION else []
        code = getattr(self.library, f"TA_{name}_Open")(*words, ctypes.byref(value))
        assert code == 0, f"TA_{name}_Open returned {code}"
        self.handles[at] = handle.value

    def minute(self, columns: list[F64]) -> I32:
        prices = [ctypes.c_void_p(column.ctypes.data) for column in columns]
        values = ctypes.c_void_p(self.values.ctypes.data)
        symbols, functions = self.values.shape
        assert self.drive(self.updates, functions, self.handles, symbols, *prices, values) == 0
        return self.values

    def close(self) -> None:
        for at, handle in enumerate(self.handles):
            getattr(self.library, f"TA_{tp.CANDLESTICKS[at % 61]}_Close")(ctypes.c_void_p(handle))


def c_missing() -> str | None:
    """Why TA-Lib's C functions cannot be driven directly; None if they can."""
    if peers.talib is None:
        return "TA-Lib C is not measured: ta-lib is not installed (requirements.lock)"
    if shutil.which("cc") is None:
        return "TA-Lib C is not measured: there is no C compiler (cc)"
    if not _c_libraries():
        return "TA-Lib C is not measured: this ta-lib is no wheel that brings its library along"
    return None


def _c_libraries() -> list[Path]:
    return list((Path(peers.talib.__file__).parents[1] / "ta_lib.libs").glob("libta-lib-*.so*"))


def c_library() -> ctypes.CDLL:
    """The very library that `talib` has loaded and initialised."""
    return ctypes.CDLL(str(_c_libraries()[0]))


@cache
def c_drive() -> Callable[..., int]:
    """`drive` of candles_drive.c, compiled into a folder that is gone at once; the mapping stays."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "drive.so"
        source = Path(__file__).with_name("candles_drive.c")
        subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)
        drive: Callable[..., int] = ctypes.CDLL(str(library)).drive
    return drive


def heap_bytes() -> int:
    """What malloc has handed out: glibc's mallinfo2, `uordblks` and `hblkhd`."""

    class Mallinfo2(ctypes.Structure):
        _fields_ = [
            (name, ctypes.c_size_t)
            for name in [
                "arena",
                "ordblks",
                "smblks",
                "hblks",
                "hblkhd",
                "usmblks",
                "fsmblks",
                "uordblks",
                "fordblks",
                "keepcost",
            ]
        ]

    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return int(info.uordblks) + int(info.hblkhd)


def streams(symbols: int = 1000, minutes: int = 10) -> Contest:
    """One bar of every symbol a call."""
    market = Market(symbols, minutes)
    stream, handles = market.stream(), PythonHandles(market)
    in_c = None if c_missing() else CHandles(market)

    def ours() -> list[I32]:
        return [stream.update(*minute) for minute in market.minutes]

    def python() -> list[list[list[int]]]:
        return [handles.minute(rows) for rows in market.rows]

    def check() -> str:
        found = ours()
        for ours_, theirs in zip(found, python(), strict=True):
            np.testing.assert_array_equal(ours_, theirs)
        if in_c is not None:
            for ours_, minute in zip(found, market.minutes, strict=True):
                np.testing.assert_array_equal(ours_, in_c.minute(minute))
        return f"{61 * symbols * minutes:,} cells are equal"

    contestants: list[tuple[str, Callable[[], Any], Goal | None]] = [
        ("TA-Lib 0.8 Python handles: 61 calls a symbol", python, Goal(100, 250))
    ]
    notes = [missing] if (missing := c_missing()) else []
    if in_c is not None:
        driven = in_c
        contestants.append(
            (
                "TA-Lib 0.8 C TA_CDL*_Update, no Python: 61 calls a symbol",
                lambda: [driven.minute(minute) for minute in market.minutes],
                Goal(12, 25),
            )
        )
    return Contest(
        name="candles",
        title=f"61 candlesticks, stream, {symbols:,} symbols a call",
        unit="bars",
        work=symbols * minutes,
        ours=("CandlestickStream.update from Python: checked, one call a minute", ours),
        peers=contestants,
        check=check,
        regresses="rows of a symbol that share no cache line with its neighbours', a SIMD closure that is not inlined",
        notes=notes,
    )


def alone(bars: int = 2000) -> Contest:
    """One bar of one symbol a call, as a late bar comes."""
    market = Market(1, bars)
    stream, handles = market.stream(), PythonHandles(market)
    rows = [row[0] for row in market.rows]

    def ours() -> list[I32]:
        return [stream.update_one(0, *bar) for bar in rows]

    def theirs() -> list[list[int]]:
        return [handles.minute([bar])[0] for bar in rows]

    def check() -> str:
        np.testing.assert_array_equal(ours(), theirs())
        return f"{61 * bars:,} cells are equal"

    return Contest(
        name="candles",
        title="61 candlesticks, one bar of one symbol a call",
        unit="bars",
        work=bars,
        ours=("CandlestickStream.update_one from Python", ours),
        peers=[("TA-Lib 0.8 Python handles: 61 calls", theirs, Goal(25, 40))],
        check=check,
        regresses="taking the symbol out of its block and putting it back, an array a bar",
    )


def memory(symbols: int = 200) -> Table:
    """State of a symbol, ours beside the handles'."""
    stream = tp.CandlestickStream(8 * symbols)
    # The snapshot holds every value of the state; a block of eight symbols has 64 bytes besides.
    ours = (len(stream.snapshot()) - 24) / (8 * symbols) + 64 / 8
    findings = [Finding("CandlestickStream", ours, "bytes a symbol")]
    notes = [missing] if (missing := c_missing()) else []
    if not notes:
        handles = CHandles(Market(symbols, 1))
        theirs = handles.bytes_a_symbol
        handles.close()
        findings.append(Finding("TA-Lib 0.8 C handles, 61 a symbol", theirs, "bytes a symbol"))
        findings.append(Finding("ours over theirs", ours / theirs, "", Goal(1 / 4, 1 / 8, unit="", most=True)))
    return Table(
        name="candles",
        title="Candlestick state of a symbol",
        unit="",
        agreement="nothing to compare",
        regresses="another total, another bar of history, a row a feature",
        findings=findings,
        notes=[*notes, "Theirs as malloc counts it, without the Python objects around the handles"],
    )


def run(quick: bool) -> list[Table]:
    """The contests with TA-Lib, and what our state takes; that alone where ta-lib is missing."""
    if peers.talib is None:
        return [memory()]
    rounds = 3 if quick else 15
    made: list[Callable[[], Contest]] = [lambda: batch(300_000), lambda: batch(20_000), streams, alone]
    return [*(race(make(), rounds) for make in made), memory()]
