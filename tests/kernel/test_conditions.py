"""Ticks and bars, sentence by sentence: which prints may set which field of a bar."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tickstockpl as tp
from feed import Make, at
from oracle import BLOCKED_HIGH_LOW, BLOCKED_OPEN_CLOSE, BLOCKED_VOLUME
from strategies import T0, encoded, message

CONDITIONS_TABLE = Path(__file__).parents[2] / "../shared/reference/trade_conditions.csv"
REGULAR = ((at("13:30"), at("20:00")),)


@pytest.mark.skipif(not CONDITIONS_TABLE.exists(), reason="the vendor's table of conditions is not beside the checkout")
def test_the_oracles_conditions_are_the_vendors() -> None:
    with CONDITIONS_TABLE.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    for column, blocked in (
        ("updates_high_low", BLOCKED_HIGH_LOW),
        ("updates_open_close", BLOCKED_OPEN_CLOSE),
        ("updates_volume", BLOCKED_VOLUME),
    ):
        assert {int(line["id"]) for line in table if line[column] == "false"} == blocked


@pytest.mark.parametrize("sale", [None, [], [0], [14, 41], [99], [62], [-1], [1e300], [41.0]])
def test_a_regular_sale_and_unknown_conditions_set_everything(make: Make, sale: list[float] | None) -> None:
    feed = make()
    feed.t("10:00:10", 5.0, 10)
    feed.t("10:00:11", 9.0, 20, conditions=sale)
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades) == (5.0, 9.0, 5.0, 9.0, 30, 2)


@pytest.mark.parametrize("condition", sorted(BLOCKED_OPEN_CLOSE | BLOCKED_VOLUME))
def test_a_field_is_set_if_the_condition_allows_it(make: Make, condition: int) -> None:
    feed = make(regular=REGULAR)
    feed.t("14:00:10", 5.0, 10)
    feed.t("14:00:11", 9.0, 20, conditions=[condition])
    feed.flush()
    bar = feed.bars["14:00"]
    assert bar.high == (5.0 if condition in BLOCKED_HIGH_LOW else 9.0)
    assert bar.close == (5.0 if condition in BLOCKED_OPEN_CLOSE else 9.0)
    assert bar.volume == (10 if condition in BLOCKED_VOLUME else 30)


def test_a_field_is_set_only_if_every_condition_allows_it(make: Make) -> None:
    feed = make()
    feed.t("10:00:10", 5.0, 10)
    feed.t("10:00:11", 9.0, 20, conditions=[10, 38])
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.high, bar.close, bar.volume) == (9.0, 5.0, 10)


def test_a_print_that_may_set_nothing_is_counted_and_opens_no_bar(make: Make) -> None:
    feed = make()
    feed.t("10:00:10", 5.0, 10, conditions=[15])
    feed.t("10:00:11", 5.0, 10, conditions=[2, 38])
    assert (feed.count("condition_excluded"), feed.count("folded"), feed.count("open_bars")) == (2, 0, 0)


def test_extended_hours_are_neutral_outside_regular_hours_only(make: Make) -> None:
    feed = make(regular=REGULAR)
    feed.t("13:29:59.999", 5.0, conditions=[12])
    feed.t("13:30:00", 5.0, conditions=[12])
    feed.t("19:59:59", 5.0, conditions=[12])
    feed.t("20:00:00", 5.0, conditions=[12])
    feed.t("20:01:00", 5.0, conditions=[12, 37])
    feed.flush()
    assert list(feed.bars) == ["13:29", "20:00"]


def test_without_an_open_or_close_print_those_that_may_set_high_and_low_do(make: Make) -> None:
    feed = make()
    feed.t("10:00:10", 3.0, conditions=[10])
    feed.t("10:00:11", 4.0, conditions=[22])
    feed.t("10:00:12", 9.0, conditions=[37])
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.open, bar.close, bar.high, bar.low) == (3.0, 4.0, 4.0, 3.0)
    assert (bar.open_us, bar.close_us, bar.trades) == (at("10:00:10"), at("10:00:11"), 3)


def test_one_open_or_close_print_sets_both_ends_alone(make: Make) -> None:
    feed = make()
    feed.t("10:00:10", 3.0, conditions=[10])
    feed.t("10:00:11", 4.0)
    feed.t("10:00:12", 2.0, conditions=[32])
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.open, bar.close, bar.high, bar.low) == (4.0, 4.0, 4.0, 2.0)


def test_without_any_price_there_is_no_bar_and_the_volume_is_counted_apart(make: Make) -> None:
    feed = make()
    feed.t("10:00:10", 3.0, 40, conditions=[37])
    feed.t("10:00:20", 3.0, 2, conditions=[2])
    feed.t("10:01:10", 3.0, 7)
    feed.flush()
    assert list(feed.bars) == ["10:01"]
    assert (feed.count("volume_without_bar"), feed.count("folded"), feed.count("bars")) == (42, 3, 1)


def test_an_odd_lots_shares_and_price_count_in_volume_and_vwap(make: Make) -> None:
    feed = make()
    feed.t("10:00:10", 2.0, 30)
    feed.t("10:00:11", 6.0, 10, conditions=[37])
    feed.flush()
    assert (feed.bars["10:00"].volume, feed.bars["10:00"].vwap, feed.bars["10:00"].high) == (40, 3.0, 2.0)


@pytest.mark.parametrize("table", [None, np.zeros((0, 2), dtype=np.int64)])
def test_without_regular_sessions_every_hour_is_extended(table: NDArray[np.int64] | None) -> None:
    engine = tp.Engine(tp.EngineSettings(regular=table))
    engine.ingest([encoded(message(kind="T", conditions=[12]))], T0 + 60_000_000)
    assert len(engine.flush().bars) == 1
