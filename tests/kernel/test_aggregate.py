"""Ticks and bars, sentence by sentence: channels, minutes, the fold, rounding, what is refused."""

import json
import math
from typing import Any

import pytest

from feed import Make, at, minute
from strategies import encoded, message

# Channels


def test_the_owner_is_the_first_channel_in_settings_order_heard_in_the_last_minute(make: Make) -> None:
    feed = make()
    feed.a("10:00:01", 1.0, channel=0)
    feed.a("10:00:01", 9.0, channel=1)
    feed.a("10:00:02", 9.0, channel=1)
    feed.flush()
    assert feed.bars["10:00"].high == 1.0
    assert feed.count("not_owner") == 2


def test_a_bar_keeps_the_owner_that_opened_it(make: Make) -> None:
    feed = make()
    feed.a("10:00:01", 5.0, channel=1)
    feed.a("10:00:02", 1.0, channel=0)
    feed.a("10:01:01", 5.0, channel=1)
    feed.a("10:01:02", 1.0, channel=0)
    feed.flush()
    assert feed.bars["10:00"].close == 5.0
    assert feed.bars["10:01"].close == 1.0


def test_another_channel_takes_over_when_the_first_was_silent_for_a_minute(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", 1.0, channel=0)
    feed.a("10:01:10", 2.0, channel=1)
    feed.a("10:02:10", 2.0, channel=1)
    feed.flush()
    assert list(feed.bars) == ["10:00", "10:02"]
    assert feed.count("not_owner") == 1


def test_the_channel_before_takes_over_again_at_a_minutes_edge(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", 2.0, channel=1)
    feed.a("10:00:40", 1.0, channel=0)
    feed.a("10:01:10", 1.0, channel=0)
    feed.a("10:01:20", 2.0, channel=1)
    feed.flush()
    assert [feed.bars[name].close for name in ("10:00", "10:01")] == [2.0, 1.0]


def test_owners_are_per_symbol(make: Make) -> None:
    feed = make()
    feed.a("10:00:01", channel=0, symbol="AAPL")
    feed.a("10:00:01", channel=1, symbol="MSFT")
    feed.flush()
    assert feed.count("folded") == 2


def test_trades_are_the_kind_until_an_aggregate_is_seen_and_then_at_the_next_minutes_edge(make: Make) -> None:
    feed = make()
    feed.t("10:00:01", 1.0)
    feed.a("10:00:02", 9.0)
    feed.t("10:01:01", 1.0)
    feed.a("10:01:02", 9.0)
    feed.flush()
    assert [feed.bars[name].high for name in ("10:00", "10:01")] == [1.0, 9.0]
    assert feed.count("other_kind") == 2


def test_trades_are_the_kind_again_after_a_minute_without_aggregates(make: Make) -> None:
    feed = make()
    feed.a("10:00:10")
    feed.t("10:01:00")
    feed.t("10:02:00")
    feed.flush()
    assert list(feed.bars) == ["10:00", "10:02"]
    assert feed.count("other_kind") == 1


# Messages


def test_an_array_is_one_message_with_many_ticks(make: Make) -> None:
    feed = make()
    feed.now_us = at("10:00:02")
    feed.send(encoded([message(ts_us=at("10:00:01")), {"price": 1}, message(ts_us=at("10:00:02"))]))
    assert (feed.count("messages"), feed.count("ticks"), feed.count("folded")) == (1, 3, 2)
    assert feed.count("refused_missing_field") == 1


# Minutes


def test_an_aggregate_is_stamped_with_the_end_of_its_window(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", 1.0)
    feed.a("10:00:00.000001", 2.0)
    feed.a("10:01:00", 3.0)
    feed.flush()
    assert {name: (bar.open, bar.close) for name, bar in feed.bars.items()} == {"09:59": (1, 1), "10:00": (2, 3)}


def test_a_trade_belongs_to_the_minute_of_its_stamp(make: Make) -> None:
    feed = make()
    feed.t("09:59:59.999", 1.0)
    feed.t("10:00:00", 2.0)
    feed.flush()
    assert {name: bar.close for name, bar in feed.bars.items()} == {"09:59": 1.0, "10:00": 2.0}


def test_a_quote_touches_nothing(make: Make) -> None:
    feed = make()
    feed.q("10:00:01", 500.0)
    assert feed.event_time_us() == -1
    feed.a("10:00:02", 1.0)
    feed.q("10:09:00", 500.0)
    assert feed.event_time_us() == at("10:00:02")
    assert feed.rows == []
    feed.flush()
    assert feed.bars["10:00"].high == 1.0
    assert (feed.count("quotes"), feed.count("symbols")) == (2, 1)


def test_the_bars_timestamp_is_the_start_of_the_minute(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.flush()
    assert feed.rows[0].ts_us == at("10:00")


# The fold


def test_open_is_the_earliest_and_close_the_latest_by_event_time(make: Make) -> None:
    feed = make()
    for clock, price in (("10:00:20", 2.0), ("10:00:40", 4.0), ("10:00:10", 1.0), ("10:00:30", 3.0)):
        feed.a(clock, price)
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.open, bar.close) == (1.0, 4.0)
    assert (bar.open_us, bar.close_us) == (at("10:00:10"), at("10:00:40"))


def test_equal_stamps_are_taken_in_the_order_of_arrival(make: Make) -> None:
    feed = make()
    for price in (3.0, 1.0, 4.0, 2.0):
        feed.t("10:00:20", price)
    feed.flush()
    assert (feed.bars["10:00"].open, feed.bars["10:00"].close) == (3.0, 2.0)


def test_open_is_the_ticks_own_open_and_close_its_own_close(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", 5.0, tick_open=4.0, tick_close=6.0)
    feed.flush()
    assert (feed.bars["10:00"].open, feed.bars["10:00"].close) == (4.0, 6.0)


@pytest.mark.parametrize("name", ["tick_high", "tick_low", "tick_open", "tick_close", "price"])
def test_high_and_low_look_at_all_five_prices(make: Make, name: str) -> None:
    feed = make()
    feed.a("10:00:10", 5.0, tick_open=5.0, tick_high=5.0, tick_low=5.0)
    for clock, price in (("10:00:11", 9.0), ("10:00:12", 1.0)):
        more: dict[str, Any] = {"price": 5.0, "tick_close": 5.0, name: price}
        feed.a(clock, **more)
    feed.flush()
    assert (feed.bars["10:00"].high, feed.bars["10:00"].low) == (9.0, 1.0)


def test_volume_is_the_sum_of_tick_volume_else_volume(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", volume=100, tick_volume=7)
    feed.a("10:00:11", volume=30, tick_volume=None)
    feed.flush()
    assert (feed.bars["10:00"].volume, feed.bars["10:00"].trades) == (37, 2)


def test_vwap_weighs_each_ticks_vwap_else_close_else_price(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", 5.0, 10, tick_vwap=2.0, tick_close=9.0)
    feed.a("10:00:11", 5.0, 10, tick_vwap=None, tick_close=3.0)
    feed.a("10:00:12", 7.0, 20, tick_vwap=None, tick_close=None)
    feed.flush()
    assert feed.bars["10:00"].vwap == pytest.approx((2.0 * 10 + 3.0 * 10 + 7.0 * 20) / 40, rel=1e-12)


def test_vwap_is_absent_without_volume(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", volume=0)
    feed.flush()
    assert math.isnan(feed.bars["10:00"].vwap)
    assert feed.bars["10:00"].volume == 0


def test_a_repeated_aggregate_is_dropped_and_counted_even_if_others_came_between(make: Make) -> None:
    feed = make()
    for clock in ("10:00:01", "10:00:02", "10:00:03", "10:00:01", "10:00:03"):
        feed.a(clock, volume=10)
    feed.a("10:01:00", volume=5)
    feed.a("10:01:00", volume=5)
    feed.flush()
    assert feed.bars["10:00"].volume == 35
    assert feed.count("repeats") == 3


def test_a_repeat_is_known_by_its_stamp_whatever_it_says(make: Make) -> None:
    feed = make()
    feed.a("10:00:01", 1.0)
    feed.a("10:00:01", 9.0)
    feed.flush()
    assert feed.bars["10:00"].high == 1.0


def test_an_odd_stamp_repeats_only_against_the_newest_odd_stamp(make: Make) -> None:
    feed = make()
    for clock in ("10:00:01.5", "10:00:01.5", "10:00:03", "10:00:01.5", "10:00:02.5", "10:00:01.5"):
        feed.a(clock, volume=10)
    feed.flush()
    assert feed.bars["10:00"].volume == 40
    assert feed.count("repeats") == 2


def test_the_same_stamp_of_another_symbol_is_no_repeat(make: Make) -> None:
    feed = make()
    feed.a("10:00:01", symbol="AAPL")
    feed.a("10:00:01", symbol="MSFT")
    assert feed.count("repeats") == 0


def test_minute_aggregates_alone_fold_to_the_right_bar(make: Make) -> None:
    feed = make()
    feed.a("10:01:00", 2.0, 60, tick_open=1.0, tick_high=4.0, tick_low=0.5, tick_vwap=2.5)
    feed.a("10:02:00", 3.0, 70, tick_open=2.0, tick_high=3.0, tick_low=2.0)
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap) == (1.0, 4.0, 0.5, 2.0, 60, 2.5)
    assert feed.bars["10:01"].volume == 70


def test_two_equal_trades_without_seq_are_two_trades(make: Make) -> None:
    feed = make()
    feed.t("10:00:01", volume=10)
    feed.t("10:00:01", volume=10)
    feed.flush()
    assert feed.bars["10:00"].volume == 20


def test_a_trade_with_the_stamp_and_seq_of_the_newest_is_a_repeat(make: Make) -> None:
    feed = make()
    feed.t("10:00:01", volume=10, seq=7)
    feed.t("10:00:01", volume=10, seq=7)
    feed.t("10:00:01", volume=10, seq=8)
    feed.t("10:00:02", volume=10, seq=8)
    feed.flush()
    assert feed.bars["10:00"].volume == 30
    assert feed.count("repeats") == 1


# Rounding


def test_a_closed_bar_is_rounded_once_to_the_price_columns_scale(make: Make) -> None:
    feed = make(price_scale=2)
    feed.a("10:00:10", 1.004, tick_open=1.0049, tick_high=1.0051, tick_low=0.996)
    feed.a("10:00:11", 1.0049)
    feed.flush()
    bar = feed.bars["10:00"]
    assert (bar.open, bar.high, bar.low, bar.close) == (1.0, 1.01, 1.0, 1.0)


def test_without_a_scale_nothing_is_rounded(make: Make) -> None:
    feed = make(price_scale=None)
    feed.a("10:00:10", 167.44165300744962)
    feed.flush()
    assert feed.bars["10:00"].close == 167.44165300744962


def test_a_revision_folds_unrounded_prices_and_rounds_again(make: Make) -> None:
    feed = make(price_scale=1)
    feed.a("10:00:10", 1.04)
    feed.a("10:01:10", 1.04)
    feed.a("10:00:20", 1.02)
    assert (feed.bars["10:00"].high, feed.bars["10:00"].close, feed.bars["10:00"].revision) == (1.0, 1.0, 1)
    feed.a("10:00:30", 1.051)
    assert feed.bars["10:00"].high == 1.1


# Refused, counted by reason, never raised


def test_a_stamp_more_than_5_seconds_past_our_clock_is_refused_as_future(make: Make) -> None:
    feed = make()
    feed.a("10:00:05", now="10:00:00")
    feed.a("10:00:05.000001", now="10:00:00")
    assert (feed.count("refused_future"), feed.count("folded")) == (1, 1)


def test_a_future_tick_moves_nothing(make: Make) -> None:
    feed = make()
    feed.a("10:00:01")
    feed.a("10:00:50", symbol="MSFT", now="10:00:02")
    assert feed.event_time_us() == at("10:00:01")
    assert feed.count("symbols") == 1


def test_symbols_past_the_cap_are_refused_and_move_nothing(make: Make) -> None:
    feed = make(max_symbols=2)
    feed.a("10:00:01", symbol="AAPL")
    feed.a("10:00:01", symbol="MSFT")
    feed.a("10:00:30", symbol="IBM")
    feed.a("10:00:02", symbol="AAPL")
    assert (feed.count("refused_symbol_cap"), feed.count("symbols"), feed.count("folded")) == (1, 2, 3)
    assert feed.event_time_us() == at("10:00:02")


def test_no_tick_no_bar(make: Make) -> None:
    feed = make()
    feed.a("10:00:10")
    feed.a("10:01:10", symbol="MSFT")
    feed.a("10:02:10")
    feed.flush()
    assert [minute(row) for row in feed.rows if row.symbol == "AAPL"] == ["10:00", "10:02"]


def test_bad_input_is_counted_by_reason_and_never_raised(make: Make) -> None:
    feed = make()
    for payload in (b"{", b"7", json.dumps({"ticker": "A"}).encode(), encoded(message(price=-1))):
        feed.send(payload)
    counts = {
        name: feed.count(f"refused_{name}") for name in ("bad_json", "not_an_object", "missing_field", "bad_price")
    }
    assert set(counts.values()) == {1}
    assert feed.count("ticks") == 4
