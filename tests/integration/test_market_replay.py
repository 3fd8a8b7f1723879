"""A real day through the whole service: the vendor's own minutes are the independent truth.

The files are a vendor's sample and no part of the project: where they are not beside the checkout, these tests skip.
"""

from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from bar_samples import rows
from running import serving, settings_for
from tickstockpl.dev.replay import replay
from waiting import until

MARKET = Path(__file__).parents[2] / "../shared/data/market"
AUCTIONS = frozenset({"09:30", "15:59", "16:00"})  # the vendor puts official auction prices there
NEW_YORK = ZoneInfo("America/New_York")
MINUTES = 1281

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.market_data,
    pytest.mark.skipif(not MARKET.exists(), reason="the vendor's market data is not beside the checkout"),
]

Prices = dict[tuple[str, int], tuple[float, ...]]


def vendors_minutes() -> Prices:
    polars: Any = pytest.importorskip("polars", reason="reading parquet needs the extra [replay]")
    return {
        (row["symbol"], row["ts_ns"] // 1000): tuple(
            row[name] / 10_000 for name in ("open_e4", "high_e4", "low_e4", "close_e4")
        )
        for row in polars.read_parquet(MARKET / "us_bars_1min_2013-10-07.parquet").iter_rows(named=True)
    }


def without_auctions(prices: Prices) -> Prices:
    def clock(ts_us: int) -> str:
        return datetime.fromtimestamp(ts_us / 1e6, NEW_YORK).strftime("%H:%M")

    return {key: bar for key, bar in prices.items() if clock(key[1]) not in AUCTIONS}


@pytest.mark.parametrize("name", ["us_bars_1s", "us_trades"], ids=["second_bars_as_A", "eligible_trades_as_T"])
async def test_every_minute_in_the_database_equals_the_vendors(
    ready: str, redis: str, state_dir: Path, name: str
) -> None:
    settings = settings_for(ready, redis, state_dir, session={"mode": "regular"})
    path = MARKET / f"{name}_2013-10-07.parquet"
    async with serving(settings) as up:
        sent = await replay(redis, up.channel, [path], console=Console(file=StringIO()))
        await until(lambda: up.counters["messages"] == sent.messages)
        counters = up.counters
        assert counters["ticks"] == counters["folded"] == sent.ticks > 20_000
    found = await rows(
        ready,
        "SELECT symbol, (extract(epoch FROM timestamp) * 1000000)::bigint AS ts_us, open, high, low, close, trades, "
        "quality FROM ohlcv_1min ORDER BY timestamp, symbol",
    )
    assert len(found) == MINUTES
    assert sum(row["trades"] for row in found) == sent.ticks
    prices: Prices = {
        (row["symbol"], row["ts_us"]): (row["open"], row["high"], row["low"], row["close"]) for row in found
    }
    assert without_auctions(prices) == without_auctions(vendors_minutes())
    # The day's last minutes were still open when the service was stopped; all others are final, the first partial.
    flagged = {row["quality"] for row in found if row["quality"]}
    assert flagged <= {"partial_start", "provisional"}
    last_us = found[-1]["ts_us"]
    assert all(row["ts_us"] >= last_us - 60_000_000 for row in found if row["quality"] == "provisional")
    patterns = await rows(ready, "SELECT pattern, count(*) AS times FROM pattern_event GROUP BY 1")
    assert {"Doji", "Hammer", "Engulfing"} <= {row["pattern"] for row in patterns}
