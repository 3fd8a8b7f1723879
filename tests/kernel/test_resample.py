"""Bars of longer timeframes beside those that Polars makes of the same minutes, on real ones and on made-up ones.

The vendors' files are no part of the project: where they are not beside the checkout, the tests on them skip.
"""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

import tickstockpl as tp
from tickstockpl import _kernel, sessions
from tickstockpl.kernel import GAP, LATE_REVISED, PROVISIONAL, columns_of_bars

pl = pytest.importorskip("polars", reason="the oracle needs the extra [replay]")

MARKET = Path(__file__).parents[2] / "../shared/data/market"
NEW_YORK = "America/New_York"
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
LENGTHS = {"1min": "1m", "5min": "5m", "15min": "15m", "30min": "30m", "1hour": "1h", "4hour": "4h"}
PRICES = ("open", "high", "low", "close")
ALIGNS = ("session", "clock")
US = pl.Datetime("us", "UTC")

real = pytest.mark.skipif(not MARKET.exists(), reason="the vendors' market data is not beside the checkout")
each_timeframe = pytest.mark.parametrize("timeframe", tp.TIMEFRAMES)
each_align = pytest.mark.parametrize("align", ALIGNS)


@pytest.fixture(scope="module")
def xnys(tmp_path_factory: pytest.TempPathFactory) -> sessions.Sessions:
    return sessions.load("XNYS", NEW_YORK, tmp_path_factory.mktemp("state"), date(2019, 12, 1), say=lambda _: None)


def us(text: str, zone: str = "UTC") -> int:
    moment = pl.Series([datetime.fromisoformat(text)]).dt.replace_time_zone(zone)
    return int(moment.dt.epoch("us")[0])


def read(name: str, zone: str) -> Any:
    """A vendor's minutes by the START of each: `symbol`, `ts_us`, prices, `volume`."""
    started = pl.col("ts_end").dt.offset_by("-1m").dt.replace_time_zone(zone).dt.epoch("us").alias("ts_us")
    return pl.read_parquet(MARKET / f"{name}.parquet").with_columns(started).drop("ts_end")


def spy() -> Any:
    """SPY from 04:00 to 20:00 in January and March 2011: New York's clocks went forward on March 13."""
    return read("bars_1m_spy_2011_pyalgotrade", "UTC")


def week() -> Any:
    """24 symbols, thin ones among them, 09:30 to 16:00, Monday to Friday."""
    return read("bars_1m_us22_2019-02_eqker", NEW_YORK)


def redated(from_day: str, to_day: str) -> Any:
    """One day of `week`, on another day at the same times in New York."""
    days = (date.fromisoformat(to_day) - date.fromisoformat(from_day)).days
    shown = local(pl.col("ts_us").cast(US))
    moved = shown.dt.replace_time_zone(None).dt.offset_by(f"{days}d").dt.replace_time_zone(NEW_YORK).dt.epoch("us")
    return week().filter(shown.dt.date() == date.fromisoformat(from_day)).with_columns(ts_us=moved)


def local(column: Any) -> Any:
    return column.dt.convert_time_zone(NEW_YORK)


def oracle(bars: Any, table: Any, timeframe: str, align: str) -> Any:
    """Every bar whose bucket is over by the end of the newest minute; New York's midnights and weeks."""
    listed = pl.DataFrame({"opened": table[:, 0], "closed": table[:, 1]}).cast(US)
    listed = listed.with_columns(week=local(pl.col("closed").dt.offset_by("-1us")).dt.truncate("1w"))
    listed = listed.with_columns(
        week_opened=pl.col("opened").min().over("week"), week_closed=pl.col("closed").max().over("week")
    )
    minutes = bars.with_columns(ts=pl.col("ts_us").cast(US)).sort("ts", maintain_order=True)
    inside = minutes.join_asof(listed, left_on="ts", right_on="opened").filter(pl.col("ts") < pl.col("closed"))
    if timeframe in LENGTHS:
        every = LENGTHS[timeframe]
        if align == "session":
            whole = pl.duration(minutes=int(every[:-1]) * (60 if every[-1] == "h" else 1))
            passed = (pl.col("ts") - pl.col("opened")).dt.total_microseconds() // whole.dt.total_microseconds()
            start, end = pl.col("opened") + passed * whole, pl.col("opened") + (passed + 1) * whole
        else:
            shown = local(pl.col("ts")).dt.truncate(every)
            start = shown.dt.convert_time_zone("UTC")
            after = shown.dt.replace_time_zone(None).dt.offset_by(every).dt.replace_time_zone(NEW_YORK)
            end = (after if timeframe == "4hour" else shown.dt.offset_by(every)).dt.convert_time_zone("UTC")
        start, end = pl.max_horizontal(start, "opened"), pl.min_horizontal(end, "closed")
    else:
        start, end = (
            (pl.col("opened"), pl.col("closed"))
            if timeframe == "daily"
            else (pl.col("week_opened"), pl.col("week_closed"))
        )
    grouped = inside.with_columns(start=start, end=end).group_by("symbol", "start", "end", maintain_order=True)
    made = grouped.agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    until = minutes["ts"].max() + timedelta(minutes=1)
    made = made.filter(pl.col("end") <= until).sort("start", "symbol")
    return made.select("symbol", pl.col("start").dt.epoch("us").alias("ts_us"), *PRICES, "volume")


def framed(made: tp.Bars) -> Any:
    """What is compared with the oracle."""
    columns = made.to_dict()
    names = np.array(made.symbols or ["none"])[columns["symbol"]]
    return pl.DataFrame({"symbol": names} | {name: columns[name] for name in ("ts_us", *PRICES, "volume")})


def assert_equal(made: tp.Bars, expected: Any) -> None:
    found = framed(made)
    assert found.columns == expected.columns
    for column in found.columns:
        np.testing.assert_array_equal(found[column].to_numpy(), expected[column].to_numpy(), err_msg=column)


@pytest.mark.market_data
@real
@pytest.mark.parametrize("mode", ["regular", "extended", "always"])
@each_align
@each_timeframe
def test_three_months_of_spy_across_a_change_of_clocks_equal_polars(
    xnys: sessions.Sessions, timeframe: str, align: Any, mode: Any
) -> None:
    bars, table = spy(), xnys.table(mode)
    made = tp.resample(bars, timeframe, sessions=table, days=xnys.days, align=align)
    assert len(made) >= (8 if timeframe == "weekly" else 40)
    assert_equal(made, oracle(bars, table, timeframe, align))


@pytest.mark.market_data
@real
@each_align
@each_timeframe
def test_a_week_of_24_symbols_in_any_order_of_rows_equals_polars(
    xnys: sessions.Sessions, timeframe: str, align: Any
) -> None:
    bars = week()
    expected = oracle(bars, xnys.regular, timeframe, align)
    for rows in (bars, bars.sort("ts_us"), bars.sample(fraction=1, shuffle=True, seed=7)):
        made = tp.resample(rows, timeframe, sessions=xnys.regular, days=xnys.days, align=align)
        assert_equal(made, expected)
    assert len(expected) >= 24


@pytest.mark.market_data
@real
@pytest.mark.parametrize(("from_day", "to_day"), [("2019-02-13", "2019-07-03"), ("2019-02-15", "2019-11-29")])
@each_align
@each_timeframe
def test_a_half_day_ends_at_13_00_in_every_timeframe(
    xnys: sessions.Sessions, timeframe: str, align: Any, from_day: str, to_day: str
) -> None:
    bars = redated(from_day, to_day)
    made = tp.resample(bars, timeframe, sessions=xnys.regular, days=xnys.days, align=align)
    assert_equal(made, oracle(bars, xnys.regular, timeframe, align))
    # On 2019-07-05 the exchange was open again; 2019-11-29 was a Friday.
    assert (len(made) == 0) == (timeframe == "weekly" and to_day == "2019-07-03")
    assert made.ts_us.max(initial=0) < us(f"{to_day}T13:00", NEW_YORK)


@pytest.mark.market_data
@real
@each_align
def test_hours_of_a_half_day_are_those_of_a_chart(xnys: sessions.Sessions, align: Any) -> None:
    bars = redated("2019-02-15", "2019-11-29").filter(pl.col("symbol") == "SPY")
    made = tp.resample(bars, "1hour", sessions=xnys.regular, days=xnys.days, align=align)
    shown = local(pl.Series(made.ts_us).cast(US)).dt.strftime("%H:%M").to_list()
    expected = {
        "session": ["09:30", "10:30", "11:30", "12:30"],
        "clock": ["09:30", "10:00", "11:00", "12:00"],
    }
    assert shown == expected[align]


@pytest.mark.market_data
@real
@each_align
@each_timeframe
def test_more_minutes_rewrite_no_bar_that_was_returned(xnys: sessions.Sessions, timeframe: str, align: Any) -> None:
    rng = np.random.default_rng(tp.TIMEFRAMES.index(timeframe))
    for bars in (spy(), week()):
        whole = framed(tp.resample(bars, timeframe, sessions=xnys.regular, days=xnys.days, align=align))
        for until_us in rng.choice(bars["ts_us"].unique(), 60):
            rows = bars.filter(pl.col("ts_us") <= until_us)
            some = framed(tp.resample(rows, timeframe, sessions=xnys.regular, days=xnys.days, align=align))
            assert some.equals(whole.head(len(some)))


def minutes(ts_us: Any, **columns: Any) -> dict[str, Any]:
    """Bars of one symbol, of a walk of prices."""
    rows = len(ts_us)
    steps = np.random.default_rng(rows).integers(-3, 4, (rows, 4))
    prices = 100 + np.cumsum(steps.sum(axis=1))[:, None] / 100 + steps / 100
    named = {"open": prices[:, 0], "high": prices.max(axis=1), "low": prices.min(axis=1), "close": prices[:, 3]}
    return {"symbol": ["A"] * rows, "ts_us": ts_us, **named, "volume": np.arange(rows) % 7, **columns}


def frame(rows: dict[str, Any]) -> Any:
    return pl.DataFrame(rows)


@each_align
@each_timeframe
def test_a_market_that_never_closes_follows_its_own_midnights_when_clocks_change(timeframe: str, align: Any) -> None:
    days = sessions.market_days(NEW_YORK, 2011)
    for change in ("2011-03-13", "2011-11-06"):
        noon_us = us(f"{change}T12:00")
        rows = minutes(np.arange(noon_us - 9 * DAY_US, noon_us + 9 * DAY_US, 7 * MINUTE_US))
        made = tp.resample(rows, timeframe, days=days, align=align)
        assert_equal(made, oracle(frame(rows), days, timeframe, align))


def test_a_bar_starts_when_it_is_scheduled_to_whoever_trades_first() -> None:
    table = [(us("2026-11-25T14:30"), us("2026-11-25T21:00"))]
    rows = minutes([us("2026-11-25T14:32"), us("2026-11-25T14:47"), us("2026-11-25T20:59")])
    made = {name: tp.resample(rows, name, sessions=table) for name in ("15min", "1hour", "daily", "weekly")}
    assert made["15min"].ts_us.tolist() == [us(f"2026-11-25T{at}") for at in ("14:30", "14:45", "20:45")]
    assert made["1hour"].ts_us.tolist() == [us("2026-11-25T14:30"), us("2026-11-25T20:30")]
    for name in ("daily", "weekly"):
        assert made[name].ts_us.tolist() == [us("2026-11-25T14:30")]
        assert made[name].close.tolist() == [rows["close"][2]]


def test_a_thin_symbols_bar_closes_by_anothers_minute() -> None:
    rows = {name: [*column[:1], *column] for name, column in minutes(np.arange(5) * MINUTE_US).items()}
    rows["symbol"] = ["THIN", *["BUSY"] * 5]
    assert len(tp.resample({name: column[:5] for name, column in rows.items()}, "5min")) == 0
    made = tp.resample(rows, "5min")
    assert [made.symbols[symbol] for symbol in made.symbol.tolist()] == ["BUSY", "THIN"]


def test_what_a_bar_says_beside_its_prices_is_that_of_its_minutes() -> None:
    said = {
        "vwap": [10.0, np.nan, 12.0, 11.0, 13.0],
        "trades": [1, 2, 3, 4, 5],
        "quality": [0, GAP, 0, LATE_REVISED, 0],
    }
    rows = minutes(np.arange(5) * MINUTE_US, **said) | {"volume": [3, 100, 1, 0, 4]}
    for given_bars in (rows, frame(rows)):
        made = tp.resample(given_bars, "5min")
        assert made.vwap.tolist() == pytest.approx([(3 * 10 + 1 * 12 + 4 * 13) / 8])
        assert (made.trades.tolist(), made.quality.tolist()) == ([15], [GAP | LATE_REVISED])
        assert (made.volume.tolist(), made.revision.tolist(), made.close_us.tolist()) == ([108], [0], [-1])
    untold = tp.resample({name: rows[name] for name in rows if name not in said}, "5min")
    assert np.isnan(untold.vwap).tolist() == [True]
    assert (untold.trades.tolist(), untold.quality.tolist()) == ([0], [0])


def test_minutes_that_were_open_still_are_left_out() -> None:
    rows = minutes(np.arange(5) * MINUTE_US, quality=[0, 0, 0, 0, PROVISIONAL])
    assert len(tp.resample(rows, "5min")) == 0
    assert tp.resample(rows, "1min").ts_us.tolist() == [minute * MINUTE_US for minute in range(4)]


def test_bars_of_aggregate_keep_their_bare_ids() -> None:
    ticks = np.arange(0, 20 * MINUTE_US, MINUTE_US // 2)
    made = tp.resample(tp.aggregate(ticks, 10 + ticks / 1e12, [1] * 40, np.arange(40) % 2 * 70_000), "5min")
    assert (made.symbols, made.symbol.tolist()) == ((), [0, 70_000] * 4)
    assert made.ts_us.tolist() == np.repeat(np.arange(4) * 5 * MINUTE_US, 2).tolist()
    assert made.open_us.tolist()[:2] == [0, MINUTE_US // 2]


def test_no_bars_make_none_and_minutes_are_what_they_were() -> None:
    nothing: dict[str, Any] = {name: column[:0] for name, column in minutes([0]).items()}
    assert len(tp.resample(nothing, "weekly")) == 0
    rows = minutes(np.arange(9) * 3 * MINUTE_US, vwap=np.linspace(9, 10, 9), trades=np.arange(9))
    rows["volume"] = rows["volume"] + 1
    made = tp.resample(rows, "1min").to_dict()
    for name in ("ts_us", *PRICES, "vwap", "trades", "volume"):
        np.testing.assert_array_equal(made[name], rows[name], err_msg=name)


@cases(max_examples=50)
@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    opens=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 11)), min_size=1, max_size=4),
    timeframe=st.sampled_from(tp.TIMEFRAMES),
    align=st.sampled_from(ALIGNS),
)
def test_any_minutes_in_any_sessions_equal_the_oracles(
    gaps: list[int], opens: list[tuple[int, int]], timeframe: str, align: Any
) -> None:
    first_us = us("2026-11-23", NEW_YORK)  # a Monday
    table = [
        (first_us + day * DAY_US + hour * HOUR_US, first_us + day * DAY_US + (hour + hours) * HOUR_US)
        for day, (hour, hours) in enumerate(opens)
    ]
    rows = minutes(first_us + np.cumsum(gaps) * MINUTE_US)
    made = tp.resample(rows, timeframe, sessions=table, days=sessions.market_days(NEW_YORK, 2026), align=align)
    assert_equal(made, oracle(frame(rows), np.array(table), timeframe, align))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"timeframe": "3min"},
            'timeframe must be 1min, 5min, 15min, 30min, 1hour, 4hour, daily or weekly, was "3min"',
        ),
        ({"align": "utc"}, 'align must be session or clock, was "utc"'),
        ({"sessions": [[0, 1, 2]]}, "sessions must be .n, 2., was .1, 3."),
        ({"days": [0, 1]}, "days must be .n, 2., was .2,."),
        ({"sessions": [[0.5, 1.0]]}, "sessions must be whole numbers"),
        ({"sessions": [[5, 9], [8, 10]]}, "sessions must be ascending and not empty, row 1 is not"),
        ({"days": [[0, 2**61]]}, "days must be within 2.60 µs of 1970, row 0 is "),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_may_be(change: dict[str, Any], says: str) -> None:
    arguments: dict[str, Any] = {"timeframe": "5min"} | change
    with pytest.raises(ValueError, match=says):
        tp.resample(minutes(np.arange(9) * MINUTE_US), **arguments)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("close", float("nan"), "close must be finite and positive, row 7 is NaN"),
        ("open", 0.0, "open must be finite and positive, row 7 is 0"),
        ("low", 1e9, "low must be at most high, row 7"),
        ("volume", -1, "volume must be 0 or more, row 7 is -1"),
        ("ts_us", 1, "ts_us must be whole minutes within 2.60 µs of 1970, row 7 is 1"),
        ("ts_us", -(2**63), "ts_us must be whole minutes"),
        ("ts_us", 0, "each bar must be there once; row 7 is not the first of its minute"),
        ("trades", 2**60, "trades must be 0 to 2.53, row 7"),
        ("quality", 256, "quality must be whole numbers of 8 bits, row 7 is 256"),
    ],
)
def test_a_row_that_is_no_bar_is_named(column: str, value: float, says: str) -> None:
    rows = minutes(np.arange(9) * MINUTE_US, trades=[0] * 9, quality=[0] * 9)
    rows[column] = [*rows[column][:7], value, *rows[column][8:]]
    with pytest.raises(ValueError, match=says):
        tp.resample(rows, "5min")


def test_columns_must_have_one_length_and_symbols_names() -> None:
    rows = minutes(np.arange(9) * MINUTE_US)
    with pytest.raises(ValueError, match="one length"):
        tp.resample(rows | {"trades": [1]}, "5min")
    bars = columns_of_bars(rows)
    bars.symbol = bars.symbol + 1
    with pytest.raises(ValueError, match="symbol must index symbols, row 0 is 1"):
        _kernel.resample(bars, "5min", None, None, "session", None)
