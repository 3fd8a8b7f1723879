"""The views of longer bars beside `tp.resample` of the same minutes, in each kind of table that minutes may be in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tickstockpl as tp
from bar_samples import ran, rows
from market_rows import MINUTE_US, PRICES, minutes, put_minutes, told, xnys
from minute_rows import APPV2, KINDS, Kind, prepare
from tickstockpl.migrate import migrate, pending, script
from tickstockpl.moments import us_of
from tickstockpl.sessions import Sessions

pytestmark = pytest.mark.anyio

MARKET = Path(__file__).parents[2] / "../shared/data/market"
VIEWS = ("5min", "15min", "30min", "1hour", "4hour", "weekly")
CHANGE_OF_CLOCKS = ("2011-03-10", "2011-03-15")
HALF_DAY = ("2019-11-27", "2019-12-03")
"""The day before Thanksgiving to the week after it: Friday closes at 13:00."""

real = pytest.mark.skipif(not MARKET.exists(), reason="the vendors' market data is not beside the checkout")


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


async def ready(uri: str, kind: Kind, calendar: Sessions) -> None:
    """Tables of one kind and all views, whatever AppV2 keeps under their names."""
    await prepare(uri, kind)
    if kind != "ours":
        await ran(uri, f"DROP TABLE ohlcv_weekly; {script('0005_longer_bars.sql')}")
    await told(uri, calendar)


def spans(calendar: Sessions, first: str, last: str) -> list[tuple[int, int]]:
    """Each session of these days with an hour before and behind it."""
    found = calendar.between("regular", datetime.fromisoformat(first).date(), datetime.fromisoformat(last).date())
    return [(each.open_us - 60 * MINUTE_US, each.close_us + 60 * MINUTE_US) for each in found]


async def shown(uri: str, timeframe: str) -> dict[str, list[Any]]:
    """What a view says, by column, in the order of `tp.resample`."""
    found = await rows(uri, f"SELECT * FROM ohlcv_{timeframe} ORDER BY timestamp, symbol")
    columns: dict[str, list[Any]] = {
        name: [row[name] for row in found] for name in ("symbol", "volume", "trades", "quality", "vwap")
    }
    columns |= {name: [float(row[name]) for row in found] for name in PRICES}
    stamps = [row["timestamp"] if row["timestamp"].tzinfo else row["timestamp"].replace(tzinfo=UTC) for row in found]
    return columns | {"ts_us": [us_of(stamp) for stamp in stamps]}


def assert_equal(found: dict[str, list[Any]], made: tp.Bars) -> None:
    assert [made.symbols[at] for at in made.symbol.tolist()] == found["symbol"]
    for name in ("ts_us", *PRICES, "volume", "trades"):
        assert getattr(made, name).tolist() == found[name], name
    flagged = [sum({"partial_start": 1, "gap": 2, "late_revised": 8}[word] for word in words.split(",")) if words else 0
               for words in found["quality"]]  # fmt: skip
    assert made.quality.tolist() == flagged
    vwap = [np.nan if value is None else value for value in found["vwap"]]
    np.testing.assert_allclose(made.vwap, np.array(vwap, dtype=np.float64), rtol=1e-12)


def made_of(columns: Any, timeframe: str, calendar: Sessions) -> tp.Bars:
    return tp.resample(columns, timeframe, sessions=calendar.regular, days=calendar.days)


@pytest.mark.parametrize("days", [CHANGE_OF_CLOCKS, HALF_DAY])
@pytest.mark.parametrize("kind", KINDS)
async def test_views_equal_resample_across_a_change_of_clocks_and_a_half_day(
    database: str, calendar: Sessions, kind: Kind, days: tuple[str, str]
) -> None:
    await ready(database, kind, calendar)
    columns = minutes(spans(calendar, *days), seed=5)
    await put_minutes(database, kind, columns)
    for timeframe in VIEWS:
        made = made_of(columns, timeframe, calendar)
        assert len(made) > 0
        assert_equal(await shown(database, timeframe), made)


@pytest.mark.market_data
@real
@pytest.mark.parametrize("timeframe", VIEWS)
async def test_views_of_real_minutes_equal_resample_across_the_change_of_clocks(
    database: str, calendar: Sessions, timeframe: str
) -> None:
    pl = pytest.importorskip("polars", reason="the file is read with the extra [replay]")
    started = pl.col("ts_end").dt.offset_by("-1m").dt.replace_time_zone("UTC").dt.epoch("us").alias("ts_us")
    file = pl.read_parquet(MARKET / "bars_1m_spy_2011_pyalgotrade.parquet").with_columns(started)
    march = file.filter(pl.col("ts_end").dt.month() == 3)
    columns = {name: march[name].to_numpy() for name in ("symbol", "ts_us", *PRICES, "volume")}
    unknown = {"vwap": np.full(len(march), np.nan), "trades": np.zeros(len(march), dtype=np.int64)}
    columns |= unknown | {"quality": np.zeros(len(march), dtype=np.uint8)}
    await ready(database, "ours", calendar)
    await put_minutes(database, "ours", columns)
    made = made_of(columns, timeframe, calendar)
    assert len(made) >= 4
    assert_equal(await shown(database, timeframe), made)


@pytest.mark.market_data
@real
@pytest.mark.parametrize("timeframe", VIEWS)
async def test_views_of_real_minutes_on_a_half_day_equal_resample(
    database: str, calendar: Sessions, timeframe: str
) -> None:
    pl = pytest.importorskip("polars", reason="the file is read with the extra [replay]")
    moved = pl.col("ts_end").dt.offset_by("-1m").dt.offset_by("287d").dt.replace_time_zone("America/New_York")
    file = pl.read_parquet(MARKET / "bars_1m_us22_2019-02_eqker.parquet")
    friday = file.with_columns(moved.dt.epoch("us").alias("ts_us")).filter(pl.col("ts_end").dt.weekday() == 5)
    columns = {name: friday[name].to_numpy() for name in ("symbol", "ts_us", *PRICES, "volume")}
    unknown = {"vwap": np.full(len(friday), np.nan), "trades": np.zeros(len(friday), dtype=np.int64)}
    columns |= unknown | {"quality": np.zeros(len(friday), dtype=np.uint8)}
    assert datetime.fromtimestamp(columns["ts_us"].min() / 1e6, UTC).date().isoformat() == "2019-11-29"
    await ready(database, "ours", calendar)
    await put_minutes(database, "ours", columns)
    made = made_of(columns, timeframe, calendar)
    assert len(made) > 0
    assert_equal(await shown(database, timeframe), made)


async def test_nothing_of_a_forming_bucket_is_visible_at_any_minute(database: str, calendar: Sessions) -> None:
    await ready(database, "ours", calendar)
    (session,) = calendar.between("regular", *[datetime(2019, 11, 29, tzinfo=UTC).date()] * 2)
    columns = minutes([(session.open_us, session.close_us)], seed=3, thin=0.9)
    order = np.argsort(columns["ts_us"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    ends: NDArray[np.int64] = session.open_us + np.array([3, 5, 29, 31, 60, 117, 209, 210]) * MINUTE_US
    begun = 0
    for end_us in ends.tolist():
        upto = int(np.searchsorted(columns["ts_us"], end_us))
        await put_minutes(database, "ours", {name: values[begun:upto] for name, values in columns.items()})
        begun = upto
        known = {name: values[:upto] for name, values in columns.items()}
        for timeframe in VIEWS:
            assert_equal(await shown(database, timeframe), made_of(known, timeframe, calendar))
    assert len(await rows(database, "SELECT FROM ohlcv_weekly")) > 0, "Friday's close ends the week"


async def test_provisional_minutes_and_such_without_prices_are_in_no_bar(database: str, calendar: Sessions) -> None:
    await ready(database, "appv2", calendar)
    (span,) = spans(calendar, "2019-11-29", "2019-11-29")
    columns = minutes([span], seed=4, thin=1.0, names="A")
    inside = 60 + np.array([0, 4, 7])
    columns["quality"][inside[0]] = columns["quality"][-1] = 4
    await put_minutes(database, "appv2", columns)
    without = {
        name: np.delete(values, [*inside.tolist(), len(columns["ts_us"]) - 1]) for name, values in columns.items()
    }
    for place, change in zip(inside[1:].tolist(), ("low = 'NaN'", "close = 0"), strict=True):
        at = f"timestamptz 'epoch' + {columns['ts_us'][place]} * interval '1 microsecond'"
        await ran(database, f"UPDATE ohlcv_1min SET {change} WHERE symbol = 'A' AND timestamp = {at}")
    assert_equal(await shown(database, "5min"), made_of(without, "5min", calendar))


async def test_a_table_of_the_name_of_a_view_stays(database: str) -> None:
    await ran(database, APPV2)
    await ran(database, "INSERT INTO ohlcv_weekly VALUES ('AAPL', '2019-11-25', 1, 2, 1, 2, 5)")
    await migrate(database)
    assert [row["volume"] for row in await rows(database, "SELECT volume FROM ohlcv_weekly")] == [5]
    kinds = await rows(
        database, "SELECT relname, relkind::text FROM pg_class WHERE relname LIKE 'ohlcv%' AND relkind IN ('r', 'v')"
    )
    assert {row["relname"] for row in kinds if row["relkind"] == "v"} == {f"ohlcv_{name}" for name in VIEWS[:-1]}


async def test_views_that_a_change_of_columns_takes_along_come_back_with_migrate(
    database: str, calendar: Sessions
) -> None:
    await ready(database, "ours", calendar)
    (span,) = spans(calendar, "2019-11-29", "2019-11-29")
    columns = minutes([span], seed=4)
    await put_minutes(database, "ours", columns)
    await ran(
        database, "ALTER TABLE ohlcv_1min DROP COLUMN vwap CASCADE; ALTER TABLE ohlcv_1min ADD COLUMN vwap float8"
    )
    assert await pending(database) == []
    assert (await migrate(database)).changed
    assert not (await migrate(database)).changed
    columns["vwap"][:] = np.nan
    assert_equal(await shown(database, "5min"), made_of(columns, "5min", calendar))


async def test_a_calendar_that_says_something_else_replaces_the_sessions(ready: str, calendar: Sessions) -> None:
    assert await told(ready, calendar) == 2 * len(calendar.regular)
    assert await told(ready, calendar) == 0
    await ran(ready, "UPDATE market_session SET close_at = close_at - interval '1 hour' WHERE date = '2019-11-29'")
    await ran(ready, "DELETE FROM market_session WHERE date = '2019-12-02'")
    await ran(ready, "UPDATE market_session SET open_at = open_at + interval '1 day' WHERE date = '2027-12-31'")
    assert await told(ready, calendar) == 4 + 2 + 4
    (half,) = await rows(ready, "SELECT * FROM market_session WHERE kind = 'regular' AND date = '2019-11-29'")
    assert half["close_at"] - half["open_at"] == timedelta(hours=3, minutes=30)
    assert half["week"].isoformat() == "2019-11-25"
