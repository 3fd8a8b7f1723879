"""A real day, 2013-10-07, SPY and IBM: the vendor's own minutes are the independent truth.

The files are a vendor's sample and no part of the project: where they are not beside the checkout, these tests skip.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from oracle import SECOND, Oracle, Row, Rules
from rows import assert_same_rows, emitted, engine_of
from strategies import Flush, Ingest

MARKET = Path(__file__).parents[2] / "../shared/data/market"
AUCTIONS = frozenset({"09:30", "15:59", "16:00"})  # the vendor puts official auction prices there
NEW_YORK = ZoneInfo("America/New_York")
BATCH = 500
MINUTES = 1281

pytestmark = [
    pytest.mark.market_data,
    pytest.mark.skipif(not MARKET.exists(), reason="the vendor's market data is not beside the checkout"),
]

Prices = dict[tuple[str, int], tuple[float, ...]]


def read(name: str) -> Any:
    polars = pytest.importorskip("polars", reason="reading parquet needs the extra [replay]")
    return polars.read_parquet(MARKET / f"{name}_2013-10-07.parquet")


def appv2_message(
    symbol: str,
    kind: str,
    ts_us: int,
    price_e4: int,
    size: int,
    open_e4: int | None = None,
    high_e4: int | None = None,
    low_e4: int | None = None,
) -> bytes:
    """One tick byte for byte as AppV2's `_handle_tick_data` sends it."""
    opened, high, low = (None if price is None else price / 10_000 for price in (open_e4, high_e4, low_e4))
    tick = {
        "ticker": symbol,
        "price": price_e4 / 10_000,
        "volume": size,
        "timestamp": ts_us / SECOND,
        "event_type": kind,
        "source": "polygon",
        "tick_open": opened,
        "tick_high": high,
        "tick_low": low,
        "tick_close": price_e4 / 10_000,
        "tick_volume": size,
        "tick_vwap": None,
        "bid": None,
        "ask": None,
    }
    return json.dumps(tick).encode()


def second_bars() -> Iterator[tuple[int, bytes]]:
    """(stamp, message) of every second bar as a per-second aggregate, stamped with its END."""
    for row in read("us_bars_1s").sort("ts_ns", "symbol").iter_rows(named=True):
        ts_us = row["ts_ns"] // 1000 + SECOND
        prices = (row["open_e4"], row["high_e4"], row["low_e4"])
        yield ts_us, appv2_message(row["symbol"], "A", ts_us, row["close_e4"], row["volume"], *prices)


def trades() -> Iterator[tuple[int, bytes]]:
    """(stamp, message) of every print that may set a price."""
    prints = read("us_trades").filter("eligible").sort("ts_ns", "symbol", "seq")
    for symbol, ts_ns, price_e4, size in prints.select("symbol", "ts_ns", "price_e4", "size").iter_rows():
        yield ts_ns // 1000, appv2_message(symbol, "T", ts_ns // 1000, price_e4, size)


def in_batches(stream: Iterator[tuple[int, bytes]]) -> Iterator[Ingest]:
    """Batches as a replay sends them: our clock is the day after."""
    ticks = list(stream)
    tomorrow = ticks[-1][0] + 86_400 * SECOND
    for at in range(0, len(ticks), BATCH):
        yield Ingest(tuple(payload for _, payload in ticks[at : at + BATCH]), tomorrow, 0)


def vendors_minutes() -> Prices:
    return {
        (row["symbol"], row["ts_ns"] // 1000): tuple(
            row[name] / 10_000 for name in ("open_e4", "high_e4", "low_e4", "close_e4")
        )
        for row in read("us_bars_1min").iter_rows(named=True)
    }


def prices_of(rows: list[Row]) -> Prices:
    return {(row.symbol, row.ts_us): (row.open, row.high, row.low, row.close) for row in rows}


def without_auctions(prices: Prices) -> Prices:
    def clock(ts_us: int) -> str:
        return datetime.fromtimestamp(ts_us / SECOND, NEW_YORK).strftime("%H:%M")

    return {key: bar for key, bar in prices.items() if clock(key[1]) not in AUCTIONS}


@pytest.mark.parametrize("stream", [second_bars, trades], ids=["second_bars_as_A", "eligible_trades_as_T"])
def test_every_minute_equals_the_vendors(stream: Any) -> None:
    engine = engine_of(Rules())
    rows = emitted(engine, [*in_batches(stream()), Flush()])
    assert len(rows) == len(prices_of(rows)) == MINUTES
    assert without_auctions(prices_of(rows)) == without_auctions(vendors_minutes())
    counters = engine.counters()
    assert counters["ticks"] == counters["folded"] == counters["messages"]


def test_the_oracle_gives_the_vendors_minutes_and_the_engine_the_same_volumes() -> None:
    calls = list(in_batches(second_bars()))
    oracle = Oracle(Rules())
    for call in calls:
        oracle.ingest(call.payloads, call.now_us)
    oracle.flush()
    assert without_auctions(prices_of(oracle.emitted)) == without_auctions(vendors_minutes())
    assert_same_rows(emitted(engine_of(Rules()), [*calls, Flush()]), oracle.emitted)


def test_a_live_clock_gives_the_same_bars_as_a_replays() -> None:
    first_hours = list(second_bars())[:4000]
    live = [Ingest((payload,), ts_us + SECOND // 5, 0) for ts_us, payload in first_hours]
    replayed = emitted(engine_of(Rules()), [*in_batches(iter(first_hours)), Flush()])
    assert_same_rows(emitted(engine_of(Rules()), [*live, Flush()]), replayed)
