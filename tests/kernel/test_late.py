"""Ticks and bars, sentence by sentence: late ticks, partial bars, forgotten symbols, counters."""

import numpy as np
import pytest

import tickstockpl as tp
from event_samples import ENCODER, event, events
from feed import Feed, Make, at, minute
from oracle import GAP, LATE_REVISED, MINUTE, PARTIAL_START, PROVISIONAL, SECOND
from rows import unaccounted
from strategies import T0, encoded, message
from tickstockpl.events import EventColumns, Events
from tickstockpl.pacing import FeedTime
from tickstockpl.publisher import LATE_REVISION_US

# Late


def test_a_late_tick_revises_its_bar_and_the_row_is_emitted_again(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", 2.0, 10)
    feed.a("10:02:10", 5.0, 10, now="10:02:10")
    (row,) = feed.a("10:00:10", 1.0, 5)
    assert (minute(row), row.open, row.high, row.low, row.close, row.volume) == ("10:00", 1.0, 2.0, 1.0, 2.0, 15)
    assert (row.trades, row.revision, row.quality) == (2, 1, LATE_REVISED)
    assert (feed.count("revised"), feed.count("bars_revised"), feed.count("folded")) == (1, 1, 3)


def test_each_late_tick_is_a_revision_of_its_own(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.a("10:01:10")
    feed.a("10:00:31")
    feed.a("10:00:32")
    assert [(row.revision, row.trades) for row in feed.rows] == [(0, 1), (1, 2), (2, 3)]


def test_a_late_repeat_revises_nothing(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.a("10:01:10")
    assert feed.a("10:00:30") == []
    assert (feed.count("repeats"), feed.count("revised")) == (1, 0)


def test_a_late_tick_of_a_minute_without_a_bar_makes_and_closes_one_at_once(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", symbol="MSFT")
    feed.a("10:01:10", symbol="MSFT")
    (row,) = feed.a("10:00:30", symbol="AAPL")
    assert (row.symbol, row.revision, row.quality) == ("AAPL", 0, 0)
    assert feed.count("revised") == 0


def test_15_minutes_after_its_end_a_bar_is_still_revised_and_no_later(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    for past in range(1, 16):
        feed.a(f"10:{past:02}:30", symbol="MSFT")
    feed.a("10:16:00", symbol="MSFT")
    assert len(feed.a("10:00:31")) == 1
    feed.a("10:16:00.1", symbol="MSFT")
    assert feed.a("10:00:32") == []
    assert (feed.count("revised"), feed.count("too_late")) == (1, 1)


def test_a_tick_past_the_revise_window_folds_nothing(make: Make) -> None:
    feed = make()
    feed.a("12:00:00")
    assert feed.a("10:00:30") == []
    assert (feed.count("too_late"), feed.count("folded"), feed.count("open_bars")) == (1, 1, 1)


def test_past_the_revise_window_nobody_asks_for_owner_kind_or_repeat(make: Make) -> None:
    feed = make()
    feed.a("12:00:00", symbol="MSFT", channel=0)
    feed.a("12:00:00", symbol="MSFT", channel=1)
    feed.a("10:00:30", channel=0)
    feed.a("10:00:30", channel=1)
    feed.t("10:00:30", channel=0)
    assert feed.count("too_late") == 3


def test_a_minute_not_newer_than_a_bar_behind_the_window_is_too_late_on_any_channel(make: Make) -> None:
    feed = make(revise_s=60.0)
    feed.a("12:00:30", channel=1)
    feed.a("12:02:00.5", symbol="MSFT", channel=1)
    feed.a("10:00:30", channel=0)
    feed.a("12:02:30", channel=0)
    assert (feed.count("too_late"), feed.event_time_us(0)) == (1, at("10:00:30"))
    assert feed.count("held") == 1


def test_late_is_measured_against_the_channels_event_time_not_our_clock(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", now="15:00")
    feed.a("10:01:10", now="18:00")
    assert len(feed.a("10:00:40", now="23:00")) == 1


def test_a_tick_for_a_bar_that_silence_closed_revises_it(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", now="10:00:30")
    feed.advance("10:01:10")
    (row,) = feed.a("10:00:59", now="10:01:11")
    assert (row.revision, row.trades) == (1, 2)


def test_a_late_print_that_may_set_nothing_revises_nothing(make: Make) -> None:
    feed = make()
    feed.t("10:00:30")
    feed.t("10:01:10")
    assert feed.t("10:00:31", conditions=[15]) == []
    assert (feed.count("condition_excluded"), feed.count("revised")) == (1, 0)


def test_late_volume_without_a_price_is_counted_apart_too(make: Make) -> None:
    feed = make()
    feed.t("10:00:30", volume=7, conditions=[37])
    feed.t("10:01:10")
    feed.t("10:00:31", volume=5, conditions=[37])
    assert (feed.count("volume_without_bar"), feed.rows) == (12, [])


def test_a_late_price_gives_a_minute_of_mere_volume_its_first_row(make: Make) -> None:
    feed = make()
    feed.t("10:00:30", volume=7, conditions=[37])
    feed.t("10:01:10")
    (row,) = feed.t("10:00:31", 3.0, 5)
    assert (row.close, row.volume, row.trades, row.revision, row.quality) == (3.0, 12, 2, 0, 0)


def test_a_bar_behind_the_revise_window_is_forgotten_so_its_repeats_are_too_late(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.a("11:00:00")
    feed.a("11:00:01", symbol="MSFT")
    feed.a("10:00:30")
    assert (feed.count("repeats"), feed.count("too_late")) == (0, 1)


def thin_after_20_minutes(late: int) -> tuple[tp.Output, int]:
    """SPY trades for 20 minutes, THIN for 5; then THIN's first tick of minute `late` comes. What it makes, and now."""
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=("doji",), indicators=("*",)))

    def tick(symbol: str, minute: int, price: float) -> bytes:
        bar = {"tick_open": price, "tick_high": price + 1, "tick_low": price - 1}
        return encoded(message(symbol, T0 + minute * MINUTE + 10 * SECOND, "T", price, 100, **bar))

    now_us = T0 + 20 * MINUTE
    for number in range(20):
        now_us = T0 + number * MINUTE + 10 * SECOND
        symbols = ("SPY", "THIN") if number < 5 else ("SPY",)
        engine.ingest([tick(symbol, number, 100.0 + number) for symbol in symbols], now_us)
    return engine.ingest([tick("THIN", late, 120.0)], now_us), now_us


def test_a_bar_that_a_late_tick_makes_is_no_more_news_than_a_revision() -> None:
    made, _ = thin_after_20_minutes(10)
    assert made.bars.revision.tolist() == [0]
    assert made.detections.revision.tolist() == [1]
    assert made.readings.fresh.tolist() == [False]


@pytest.mark.parametrize(("late", "is_history"), [(10, True), (15, True), (16, False), (18, False)])
def test_such_a_bars_events_go_to_the_table_only_once_the_feed_is_2_minutes_on(late: int, is_history: bool) -> None:
    made, now_us = thin_after_20_minutes(late)
    feed = FeedTime(LATE_REVISION_US)
    newest = event("SPY", bar_end_us=T0 + 19 * MINUTE)
    assert not feed.history(events(newest), now_us, 0.0).any()
    found = Events(EventColumns.of(made.detections), tp.PATTERNS, ENCODER, np.arange(1))
    assert feed.history(found, now_us, 0.0).tolist() == [is_history]


def test_what_a_late_tick_has_made_is_known_again_after_a_restart() -> None:
    made, now_us = thin_after_20_minutes(18)
    (ts_us,) = made.bars.ts_us.tolist()
    engine = tp.Engine(tp.EngineSettings(channels=("data.raw",), patterns=("doji",)))
    assert engine.warm(made.bars) == 1
    assert engine.recall([("THIN", "1min", ts_us, "doji", 0, 1)]) == 1
    gone = engine.ingest([encoded(message("THIN", ts_us + 30 * SECOND, "T", 125.0, 100))], now_us)
    assert (gone.detections.held.tolist(), gone.detections.revision.tolist()) == ([False], [1])


# Partial bars


def test_before_any_subscription_nothing_is_flagged(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.flush()
    assert feed.bars["10:00"].quality == 0


def test_the_first_minute_after_the_first_subscription_is_a_partial_start(make: Make) -> None:
    feed = make()
    feed.subscribed("10:00:20", first=True)
    for clock in ("10:00:30", "10:01:10", "10:02:10"):
        feed.a(clock)
    feed.flush()
    assert {name: bar.quality for name, bar in feed.bars.items()} == {"10:00": PARTIAL_START, "10:01": 0, "10:02": 0}


def test_ticks_within_the_lateness_of_the_edge_flag_the_next_minute_too(make: Make) -> None:
    feed = make()
    feed.subscribed("10:00:20", first=True)
    feed.a("10:00:59")
    feed.a("10:01:10")
    feed.flush()
    assert [bar.quality for bar in feed.bars.values()] == [PARTIAL_START, PARTIAL_START]


def test_a_gap_flags_every_minute_from_the_last_tick_to_the_next(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.a("10:01:30")
    feed.subscribed("10:03:20", first=False)
    feed.a("10:03:30")
    feed.a("10:02:30")
    feed.a("10:04:30")
    feed.flush()
    assert {name: bar.quality for name, bar in feed.bars.items()} == {
        "10:00": 0,
        "10:01": GAP,
        "10:02": GAP,
        "10:03": GAP,
        "10:04": 0,
    }


def test_a_late_tick_after_a_resubscription_leaves_the_gap_to_the_next_fresh_one(make: Make) -> None:
    feed = make()
    feed.a("10:01:30")
    feed.subscribed("10:03:20", first=False)
    feed.a("10:00:30")
    feed.a("10:03:30")
    feed.a("10:02:30")
    feed.flush()
    assert {name: bar.quality for name, bar in feed.bars.items()} == {
        "10:00": 0,
        "10:01": GAP,
        "10:02": GAP,
        "10:03": GAP,
    }


def test_the_first_tick_after_a_gap_may_be_late_too_and_those_of_the_next_second_say_so(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", now="10:15:30")
    feed.subscribed("10:17:20", first=False)
    feed.a("10:01:50", now="10:17:20.1")
    feed.a("10:02:05", now="10:17:20.9")
    feed.a("10:03:01", now="10:17:21")  # the one before was a lateness ahead, and the last
    feed.flush()
    flags = {name: bar.quality for name, bar in feed.bars.items()}
    assert flags == {"10:00": GAP, "10:01": GAP, "10:02": GAP, "10:03": 0}


@pytest.mark.parametrize(("stamp", "now"), [("10:02:05", "10:16:51.1"), ("10:02:12", "10:16:50.5")])
def test_a_tick_a_second_after_the_first_one_or_far_ahead_of_it_does_not_make_a_gap_longer(
    make: Make, stamp: str, now: str
) -> None:
    feed = make()
    feed.a("10:00:30", now="10:15:30")
    feed.subscribed("10:16:50", first=False)
    feed.a("10:01:50", now="10:16:50")
    feed.a(stamp, now=now)
    feed.flush()
    assert {name: bar.quality for name, bar in feed.bars.items()} == {"10:00": GAP, "10:01": GAP, "10:02": 0}


def test_a_gap_flags_a_bar_that_a_late_tick_opened_before_the_gaps_end_was_known(make: Make) -> None:
    feed = make(lateness_a_s=60.0)
    feed.a("10:01:30")
    feed.subscribed("10:02:00", first=False)
    feed.a("10:01:20", symbol="MSFT")
    feed.a("10:02:10")
    feed.flush()
    assert feed.bars_of("MSFT")["10:01"].quality == GAP


def test_bars_open_at_a_resubscription_have_a_gap(make: Make) -> None:
    feed = make()
    feed.a("10:00:30")
    feed.subscribed("10:00:40", first=False)
    feed.flush()
    assert feed.bars["10:00"].quality == GAP


def test_each_channel_has_its_own_flagged_minutes(make: Make) -> None:
    feed = make()
    feed.subscribed("10:00:20", first=True)
    feed.a("10:00:30", channel=0, symbol="AAPL")
    feed.a("10:01:30", channel=0, symbol="AAPL")
    feed.a("10:01:30", channel=1, symbol="MSFT")
    feed.flush()
    assert [bar.quality for bar in feed.bars.values()] == [PARTIAL_START, 0]
    assert [bar.quality for bar in feed.bars_of("MSFT").values()] == [PARTIAL_START]


def test_open_bars_can_be_seen_as_they_stand(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", 1.0)
    (row,) = feed.provisional()
    assert (minute(row), row.close, row.quality) == ("10:00", 1.0, PROVISIONAL)
    feed.a("10:00:31", 2.0)
    (row,) = feed.flush()
    assert (row.close, row.trades, row.quality, row.revision) == (2.0, 2, 0, 0)


# Symbols are forgotten

DAYS = ((at("13:30"), at("20:00")), (at("+1 13:30"), at("+1 20:00")), (at("+2 13:30"), at("+2 20:00")))


def test_a_symbol_idle_since_the_session_before_is_forgotten_at_the_next_open(make: Make) -> None:
    feed = make(regular=DAYS, max_symbols=2)
    feed.a("13:30:01", symbol="IDLE")
    feed.a("13:30:02", symbol="AAPL")
    feed.a("+1 13:30:01", symbol="AAPL")
    feed.a("+1 13:30:02", symbol="MSFT")
    assert (feed.count("symbols"), feed.count("refused_symbol_cap")) == (2, 1)
    feed.a("+2 13:30:01", symbol="AAPL")
    feed.a("+2 13:30:02", symbol="MSFT")
    assert (feed.count("symbols"), feed.count("refused_symbol_cap")) == (2, 1)


def test_a_symbol_heard_since_the_session_before_is_kept(make: Make) -> None:
    feed = make(regular=DAYS)
    feed.a("13:30:01", symbol="IDLE")
    feed.a("+1 13:30:01", symbol="AAPL")
    assert feed.count("symbols") == 2
    feed.a("+1 13:30:02", symbol="IDLE")
    feed.a("+2 13:30:01", symbol="AAPL")
    assert feed.count("symbols") == 2


def test_a_symbol_whose_tick_is_the_first_of_a_session_after_one_in_which_it_was_silent_begins_anew() -> None:
    feed = Feed("engine", regular=DAYS)
    assert feed.engine is not None
    for second in range(1, 4):
        feed.a(f"13:3{second}:00", symbol="IDLE")
    feed.a("+1 13:30:01", symbol="AAPL")
    assert len(feed.engine.window("IDLE")) == 3
    feed.a("+2 13:30:01", 5.0, symbol="IDLE")
    assert len(feed.engine.window("IDLE")) == 0
    feed.a("+2 13:30:02", 6.0, symbol="IDLE")
    (row,) = [row for row in feed.flush() if row.symbol == "IDLE"]
    assert (row.open, row.close, row.trades, len(feed.engine.window("IDLE"))) == (5.0, 6.0, 2, 1)


def test_a_bar_bears_the_name_of_its_own_symbol_though_the_id_was_another_symbols_before(make: Make) -> None:
    feed = make(regular=DAYS)
    feed.a("13:30:01", symbol="IDLE")
    feed.a("13:30:02", symbol="AAPL")
    feed.a("+1 13:30:01", symbol="AAPL")
    feed.a("+2 13:30:01", symbol="AAPL")
    feed.a("+2 13:30:02", symbol="MSFT")
    assert [row.symbol for row in feed.flush()] == ["AAPL", "MSFT"]


# Counters


def test_every_tick_is_accounted_for(make: Make) -> None:
    feed = make(max_symbols=2)
    feed.a("10:00:01")
    feed.a("10:00:01")
    feed.a("10:00:01", channel=1)
    feed.t("10:00:02")
    feed.q("10:00:02")
    feed.a("10:00:03", symbol="MSFT", conditions=[15])
    feed.a("10:00:03", symbol="IBM")
    feed.a("09:00:03", symbol="MSFT")
    feed.a("11:00:00", now="10:00:04")
    feed.a("11:00:00", now="12:00")
    feed.a("13:30:00", now="14:00")
    feed.send(b"{")
    names = ("folded", "repeats", "not_owner", "other_kind", "quotes", "condition_excluded", "refused_symbol_cap")
    counters = {name: feed.count(name) for name in (*names, "too_late", "refused_future", "held", "refused_bad_json")}
    assert unaccounted(counters | {"ticks": feed.count("ticks")}) == 0
    assert set(counters.values()) == {1, 2}
