"""Contests inside one process: decode, columns to bars, socket bytes to bars."""

from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import numpy as np

import tickstockpl as tp
from benches import peers, ticks
from benches.runner import Contest, Goal

NANOS = 1000
Bar = tuple[float, float, float, float, int]


def decode(messages: int = 5_000) -> list[Contest]:
    """JSON ticks to columns, in the producer's key order and in any; as many a call as stay in the second cache."""
    if peers.msgspec is None:
        return []
    payloads = ticks.messages(500, 2)[0][:messages]
    return [
        _decode(payloads, "producer's key order", Goal(5, 9)),
        _decode(ticks.shuffled(payloads), "any key order", Goal(2, 2.7)),
    ]


def _decode(payloads: list[bytes], order: str, goal: Goal) -> Contest:
    four, all_fields = peers.msgspec_decoder(4), peers.msgspec_decoder(14)

    def check() -> str:
        ours = tp.decode(payloads)
        theirs = [all_fields(payload) for payload in payloads]
        assert not ours.refused
        assert [ours.symbols[n] for n in ours.symbol.tolist()] == [tick.ticker for tick in theirs]
        assert ours.ts_us.tolist() == [round(tick.timestamp * 1e6) for tick in theirs]
        assert ours.volume.tolist() == [tick.tick_volume for tick in theirs]
        columns = {"price": ours.price, "tick_open": ours.open, "tick_high": ours.high, "tick_low": ours.low}
        columns |= {"tick_close": ours.close, "tick_vwap": ours.vwap}
        for name, column in columns.items():
            assert column.tolist() == [getattr(tick, name) for tick in theirs]
        return f"ticker, stamp, volume and six prices of {len(payloads):,} messages are equal, bit for bit"

    return Contest(
        name="decode",
        title=f"Decode JSON ticks, {order}",
        unit="messages",
        work=len(payloads),
        ours=("tickstockpl.decode: checked, 12 columns", lambda: tp.decode(payloads)),
        peers=[
            ("msgspec Struct, 4 fields, per message", lambda: [four(payload) for payload in payloads], goal),
            ("msgspec Struct, 14 fields, per message", lambda: [all_fields(payload) for payload in payloads], goal),
        ],
        check=check,
        regresses="a slower number parser, a lookup or allocation a field, a second pass over the bytes",
    )


def bars(rows: int = 3_000_000) -> list[Contest]:
    """Columns of trades to 1-minute bars, for many symbols and for one."""
    contests = []
    if peers.numba is not None:
        contests.append(_many_symbols(ticks.trades(rows, 1000)))
    if peers.tickbar is not None or peers.numba is not None:
        contests.append(_one_symbol(ticks.trades(rows, 1)))
    return contests


def _many_symbols(given: ticks.Trades) -> Contest:
    loop, symbols = peers.numba_loop(), int(given.symbol.max()) + 1
    room = len(given.ts_us)

    def ours() -> tp.Bars:
        return tp.aggregate(given.ts_us, given.price, given.size, given.symbol)

    def theirs() -> tuple[Any, ...]:
        return loop(given.ts_us, given.price, given.size, given.symbol, symbols, ticks.MINUTE_US, room)

    return Contest(
        name="bars",
        title=f"Columns to bars, {symbols:,} symbols",
        unit="ticks",
        work=len(given.ts_us),
        ours=("tickstockpl.aggregate: checked, any order, sorted", ours),
        peers=[("numba loop: unchecked, ordered input, closing order", theirs, Goal(1.0, 1.2))],
        check=lambda: _same_as_loop(ours(), theirs()),
        regresses="state of a symbol on more than one cache line, a division a tick, a second pass over the columns",
    )


def _same_as_loop(ours: tp.Bars, theirs: tuple[Any, ...]) -> str:
    order = np.lexsort((theirs[0], theirs[1]))
    symbol, start, *prices, volume, notional, count = (column[order] for column in theirs)
    columns = {"symbol": symbol, "ts_us": start, "volume": volume, "trades": count, "vwap": notional / volume}
    columns |= dict(zip(("open", "high", "low", "close"), prices, strict=True))
    for name, column in columns.items():
        np.testing.assert_array_equal(getattr(ours, name), column, err_msg=name)
    return f"all {len(columns)} columns of {len(ours):,} bars are equal, bit for bit"


def _one_symbol(given: ticks.Trades) -> Contest:
    # tickbar's first push walks every minute since its epoch: its ticks begin at 0 here, in its favour.
    ts_ns = (given.ts_us - given.ts_us[0]) * NANOS

    def ours() -> tp.Bars:
        return tp.aggregate(given.ts_us, given.price, given.size)

    contestants: list[tuple[str, Callable[[], Any], Goal | None]] = []
    checks: list[Callable[[], str]] = []
    if peers.tickbar is not None:

        def tickbar() -> list[list[float]]:
            return peers.tickbar_bars(ts_ns, given.cents, given.size)

        contestants.append(("tickbar push_from_buffer: ordered fixed-point input", tickbar, Goal(1.5, 1.9)))
        checks.append(lambda: _same_as_tickbar(ours(), tickbar()))
    if peers.numba is not None:
        loop, room = peers.numba_loop(), len(given.ts_us)

        def numba() -> tuple[Any, ...]:
            return loop(given.ts_us, given.price, given.size, given.symbol, 1, ticks.MINUTE_US, room)

        contestants.append(("numba loop: unchecked, ordered input", numba, None))
        checks.append(lambda: _same_as_loop(ours(), numba()))
    return Contest(
        name="bars",
        title="Columns to bars, 1 symbol",
        unit="ticks",
        work=len(given.ts_us),
        ours=("tickstockpl.aggregate: checked, any order", ours),
        peers=contestants,
        check=lambda: "; ".join(check() for check in checks),
        regresses="state that leaves the registers, a branch that the order of ticks decides",
        notes=["tickbar's prices were made whole before the clock ran, and its ticks start at 0, both in its favour"],
    )


def _same_as_tickbar(ours: tp.Bars, theirs: list[list[float]]) -> str:
    starts = (ours.ts_us - ours.ts_us[0]) * NANOS
    columns = [starts, *(np.round(getattr(ours, name) * 100) for name in ("open", "high", "low", "close"))]
    columns += [ours.volume, ours.trades]
    for at, column in enumerate(columns):
        np.testing.assert_array_equal(column, [row[at] for row in theirs])
    return f"open, high, low, close in cents, volume and count of {len(ours)} bars equal tickbar's"


def frames(symbols: int = 1000, minutes: int = 4) -> list[Contest]:
    """What a subscriber's socket gives, to bars: framing, decoding, folding, closing."""
    if peers.msgspec is None:
        return []
    payloads, truth = ticks.messages(symbols, minutes)
    reads = ticks.delivered(payloads)
    now_us = ticks.START_US + minutes * ticks.MINUTE_US
    settings = tp.EngineSettings(channels=(ticks.CHANNEL,), patterns=())

    def ours() -> list[tp.Bars]:
        framer, engine = tp.Framer([ticks.CHANNEL]), tp.Engine(settings)
        outputs = [engine.ingest_frames(framer.feed(read), now_us) for read in reads]
        return [output.bars for output in (*outputs, engine.flush()) if len(output.bars)]

    decoder = peers.msgspec_decoder(14)

    def theirs() -> dict[tuple[str, int], list[float]]:
        return python_bars(reads, decoder)

    def check() -> str:
        made: dict[tuple[str, int], Bar] = {}
        for table in ours():
            names = [table.symbols[n] for n in table.symbol.tolist()]
            columns = (table.open, table.high, table.low, table.close, table.volume)
            values = zip(*(column.tolist() for column in columns), strict=True)
            made |= dict(zip(zip(names, table.ts_us.tolist(), strict=True), values, strict=True))
        assert made == {key: tuple(bar[:5]) for key, bar in theirs().items()}
        assert made == {(name, start): tuple(bar) for name, start, *bar in truth.rows()}
        return f"open, high, low, close and volume of {len(made):,} bars equal the peer's and the simulator's, exactly"

    return [
        Contest(
            name="frames",
            title=f"Raw RESP bytes to bars, {symbols:,} symbols",
            unit="ticks",
            work=len(payloads),
            ours=("Framer + Engine.ingest_frames: owners, lateness, revisions kept", ours),
            peers=[("hiredis.Reader + msgspec Struct + dict of lists", theirs, Goal(10, 20))],
            check=check,
            regresses="a Python object a tick, a copy of the payload, a slower decode or fold",
            notes=["No patterns on either side; reads of 256 KiB, as the service makes them"],
        )
    ]


def python_bars(reads: Sequence[bytes], decoder: peers.Decode) -> dict[tuple[str, int], list[float]]:
    """The best that wheels can do: (symbol, start) → [open, high, low, close, volume, Σ vwap·v, count].

    Ordered input is taken for granted: the first tick of a bar opens it, the last one closes it.
    """
    reader = hiredis.Reader()
    made: dict[tuple[str, int], list[float]] = {}
    for read in reads:
        reader.feed(read)
        while (reply := reader.gets()) is not False:
            tick = decoder(reply[2])
            high, low, close, volume = tick.tick_high, tick.tick_low, tick.tick_close, tick.tick_volume
            start_us = (round(tick.timestamp * 1e6) - 1) // ticks.MINUTE_US * ticks.MINUTE_US
            bar = made.get(key := (tick.ticker, start_us))
            if bar is None:
                made[key] = [tick.tick_open, high, low, close, volume, tick.tick_vwap * volume, 1]
                continue
            if high > bar[1]:  # noqa: PLR1730  # max() costs the peer a call
                bar[1] = high
            if low < bar[2]:  # noqa: PLR1730
                bar[2] = low
            bar[3] = close
            bar[4] += volume
            bar[5] += tick.tick_vwap * volume
            bar[6] += 1
    return made
