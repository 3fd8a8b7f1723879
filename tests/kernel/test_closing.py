"""Ticks and bars, sentence by sentence: when a bar is final, and ticks far ahead of the feed."""

from feed import Make, at, minute

# Closing


def test_a_bar_of_aggregates_is_final_2_seconds_of_event_time_after_its_end(make: Make) -> None:
    feed = make()
    feed.a("10:00:59", 1.0)
    assert feed.a("10:01:01.9", 2.0) == []
    (row,) = feed.a("10:01:02", 3.0)
    assert (minute(row), row.close, row.revision, row.quality) == ("10:00", 1.0, 0, 0)


def test_a_bar_of_trades_is_final_5_seconds_of_event_time_after_its_end(make: Make) -> None:
    feed = make()
    feed.t("10:00:59")
    assert feed.t("10:01:04.9") == []
    assert [minute(row) for row in feed.t("10:01:05")] == ["10:00"]


def test_lateness_may_be_0(make: Make) -> None:
    feed = make(lateness_a_s=0.0)
    feed.a("10:00:59", 1.0)
    (row,) = feed.a("10:01:00", 2.0)
    assert (row.close, row.revision) == (2.0, 0)


def test_the_tick_that_closes_a_bar_is_folded_first(make: Make) -> None:
    feed = make(lateness_t_s=0.0)
    feed.t("10:00:59")
    (row,) = feed.t("10:01:00")
    assert row.trades == 1
    assert feed.count("open_bars") == 1


def test_any_symbol_of_the_channel_moves_its_event_time(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", symbol="AAPL")
    (row,) = feed.a("10:01:02", symbol="MSFT")
    assert row.symbol == "AAPL"


def test_each_channel_has_its_own_event_time(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", symbol="AAPL", channel=0)
    feed.a("10:00:50", symbol="MSFT", channel=1)
    assert feed.a("10:01:30", symbol="MSFT", channel=1) != []
    assert [row.symbol for row in feed.rows] == ["MSFT"]
    assert [feed.event_time_us(0), feed.event_time_us(1)] == [at("10:00:10"), at("10:01:30")]


def test_ticks_that_are_not_folded_move_the_event_time_too(make: Make) -> None:
    feed = make()
    feed.a("10:00:59")
    feed.t("10:01:01")
    assert [minute(row) for row in feed.t("10:01:02")] == ["10:00"]
    assert feed.count("other_kind") == 2


def test_event_time_never_falls(make: Make) -> None:
    feed = make()
    feed.a("10:00:50")
    feed.a("10:00:20")
    assert feed.event_time_us() == at("10:00:50")


def test_a_quiet_channels_bar_is_final_a_second_later_by_our_clock(make: Make) -> None:
    feed = make()
    feed.a("10:00:50", now="10:00:50.2")
    assert feed.advance("10:01:03.1") == []
    assert [minute(row) for row in feed.advance("10:01:03.2")] == ["10:00"]
    assert feed.event_time_us() == at("10:00:50")


def test_silence_is_counted_from_the_tick_that_moved_event_time(make: Make) -> None:
    feed = make()
    feed.a("10:00:50", now="10:00:50")
    feed.a("10:00:49", now="10:00:59")
    assert [minute(row) for row in feed.advance("10:01:03")] == ["10:00"]


def test_silence_is_counted_from_the_subscription(make: Make) -> None:
    feed = make()
    feed.a("10:00:50", now="10:00:50")
    feed.subscribed("10:20:00", first=False)
    assert feed.advance("10:20:12.9") == []
    assert len(feed.advance("10:20:13")) == 1


def test_a_channel_that_was_never_heard_closes_nothing(make: Make) -> None:
    feed = make()
    assert feed.advance("10:01:03") == []


def test_a_feed_delayed_by_15_minutes_closes_by_the_same_rule(make: Make) -> None:
    feed = make()
    feed.a("10:00:59", now="10:15:59")
    assert feed.a("10:01:01", now="10:16:01") == []
    assert len(feed.a("10:01:02", now="10:16:02")) == 1


def test_a_replay_of_any_speed_closes_by_the_same_rule(make: Make) -> None:
    feed = make()
    for second in range(1, 60):
        assert feed.a(f"10:00:{second}", now="+30 00:00") == []
    assert feed.a("10:01:01", now="+30 00:00") == []
    assert len(feed.a("10:01:02", now="+30 00:00")) == 1


def test_bars_of_one_symbol_close_oldest_first(make: Make) -> None:
    feed = make(lateness_a_s=60.0)
    feed.a("10:01:10")
    feed.a("10:00:10")
    feed.a("10:02:10")
    assert [minute(row) for row in feed.flush()] == ["10:01", "10:02"]
    assert [minute(row) for row in feed.rows] == ["10:00", "10:01", "10:02"]


def test_flush_closes_every_open_bar_and_a_second_one_nothing(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", symbol="AAPL", channel=0)
    feed.a("10:00:10", symbol="MSFT", channel=1)
    assert sorted(row.symbol for row in feed.flush()) == ["AAPL", "MSFT"]
    assert feed.flush() == []


def test_flush_closes_a_symbols_bars_oldest_first_whatever_their_channels(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", channel=1)
    feed.a("10:04:10", channel=0)
    assert [minute(row) for row in feed.flush()] == ["10:00", "10:04"]


def test_a_flush_that_accepts_a_held_tick_leaves_the_feed_whole(make: Make) -> None:
    feed = make()
    feed.a("10:00:10", now="11:00")
    feed.a("10:10:10", now="11:00")
    assert [minute(row) for row in feed.flush()] == ["10:00", "10:10"]
    assert feed.advance("11:30") == []
    feed.a("10:11:10", now="11:31")
    assert [minute(row) for row in feed.flush()] == ["10:11"]


# Held: far ahead of the feed


def test_a_stamp_60_seconds_ahead_is_accepted_and_one_further_is_held(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", now="12:00")
    feed.a("10:01:00", now="12:00")
    assert (feed.event_time_us(), feed.count("held")) == (at("10:01:00"), 0)
    feed.a("10:02:00.5", now="12:00")
    assert (feed.event_time_us(), feed.count("held"), feed.count("folded")) == (at("10:01:00"), 1, 2)


def test_a_held_tick_is_refused_if_the_next_falls_back(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", now="12:00")
    feed.a("11:00:00", 9.0, now="12:00")
    feed.a("10:00:01", now="12:00")
    assert (feed.count("refused_ahead_of_feed"), feed.count("held"), feed.count("folded")) == (1, 0, 2)
    assert feed.event_time_us() == at("10:00:01")


def test_a_held_tick_is_accepted_if_the_next_is_ahead_too(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", now="12:00")
    feed.a("11:00:00", now="12:00")
    feed.a("11:00:30", now="12:00")
    assert (feed.count("refused_ahead_of_feed"), feed.count("held"), feed.count("folded")) == (0, 0, 3)
    assert feed.event_time_us() == at("11:00:30")


def test_the_next_tick_may_be_held_in_its_turn(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", now="14:00")
    feed.a("11:00:00", now="14:00")
    feed.a("13:00:00", now="14:00")
    assert (feed.event_time_us(), feed.count("held"), feed.count("folded")) == (at("11:00:00"), 1, 2)


def test_a_held_tick_is_accepted_at_flush(make: Make) -> None:
    feed = make()
    feed.a("10:00:30", now="12:00")
    feed.a("11:00:30", now="12:00")
    feed.flush()
    assert list(feed.bars) == ["10:00", "11:00"]
    assert feed.count("held") == 0


def test_after_silence_the_feed_may_be_as_much_further(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", now="11:00:00")
    feed.a("10:06:00.5", now="11:05:00")
    assert (feed.event_time_us(), feed.count("held")) == (at("10:00:00"), 1)
    feed.a("10:06:00", now="11:05:00")
    assert (feed.event_time_us(), feed.count("refused_ahead_of_feed")) == (at("10:06:00"), 1)


def test_after_a_reconnection_silence_still_counts_since_event_time_moved(make: Make) -> None:
    feed = make()
    feed.a("10:00:00")
    feed.subscribed("10:10:00", first=False)
    feed.a("10:10:01")
    assert (feed.event_time_us(), feed.count("held")) == (at("10:10:01"), 0)


def test_overnight_is_one_step(make: Make) -> None:
    feed = make()
    feed.a("20:00:00", now="20:00:00")
    feed.a("+1 13:30:01", now="+1 13:30:01")
    assert feed.event_time_us() == at("+1 13:30:01")
    assert [minute(row) for row in feed.rows] == ["19:59"]


def test_quotes_and_refused_ticks_leave_the_held_one_alone(make: Make) -> None:
    feed = make()
    feed.a("10:00:00", now="12:00")
    feed.a("11:00:00", now="12:00")
    feed.q("10:00:01", now="12:00")
    feed.send(b"{")
    feed.a("13:00:00", now="12:00")
    assert (feed.count("held"), feed.count("refused_ahead_of_feed")) == (1, 0)


def test_each_channel_holds_its_own(make: Make) -> None:
    feed = make()
    for channel in (0, 1):
        feed.a("10:00:00", now="12:00", channel=channel)
        feed.a("11:00:00", now="12:00", channel=channel)
    assert feed.count("held") == 2
