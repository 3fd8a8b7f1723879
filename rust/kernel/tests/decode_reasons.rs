//! Which tick is refused, and why: one claim for each rule.
#![allow(missing_docs, reason = "a test has no readers of its docs")]

mod messages;

use messages::{AGGREGATE, EXAMPLE, answer, plus, reason, tick, with};
use tickstockpl_kernel::condition::Rights;
use tickstockpl_kernel::tick::{Reason, Tick};

/// Each case alone is refused for its reason; with the one before it in the list, for the earlier one's.
#[test]
fn the_first_check_that_fails_names_the_reason() {
    let cases = [
        ("\"ticker\": \"AAPL\"", "\"ticker\": 7", Reason::WrongType),
        ("\"event_type\": \"A\"", "\"event_type\": \"AM\"", Reason::UnknownKind),
        ("\"timestamp\": 1757600460.0", "\"timestamp\": 1757600460000.0", Reason::BadTimestamp),
        ("\"price\": 227.43", "\"price\": -1", Reason::BadPrice),
        ("\"tick_open\": 227.41", "\"tick_open\": \"227\"", Reason::WrongType),
        ("\"tick_high\": 227.45", "\"tick_high\": 0", Reason::BadPrice),
        ("\"tick_low\": 227.39", "\"tick_low\": true", Reason::WrongType),
        ("\"tick_close\": 227.43", "\"tick_close\": -0.0", Reason::BadPrice),
        ("\"tick_vwap\": 227.4182", "\"tick_vwap\": {}", Reason::WrongType),
        ("\"tick_volume\": 1523", "\"tick_volume\": 1.5", Reason::BadVolume),
        ("\"volume\": 1523", "\"volume\": []", Reason::WrongType),
        ("\"bid\": null", "\"tick_start_timestamp\": 1757600399.9", Reason::BadTimestamp),
        ("\"ask\": null", "\"seq\": -1", Reason::BadVolume),
        ("\"source\": \"polygon\"", "\"source\": 1", Reason::WrongType),
    ];
    for (index, (piece, other, expected)) in cases.into_iter().enumerate() {
        assert_eq!(reason(with(piece, other)), expected, "{other}");
        for (later_piece, later_other, _) in cases.into_iter().skip(index + 1) {
            let both = with(piece, other).replacen(later_piece, later_other, 1);
            assert_eq!(reason(both), expected, "{other} before {later_other}");
        }
    }
}

#[test]
fn a_field_that_every_tick_has_is_missed_also_when_null() {
    for key in ["ticker", "event_type", "timestamp", "price"] {
        let renamed = with(&format!("\"{key}\""), "\"other\"");
        assert_eq!(reason(renamed), Reason::MissingField, "{key}");
        assert_eq!(reason(plus(&format!("\"{key}\": null"))), Reason::MissingField, "{key}");
    }
}

/// The keys are compared with zeros behind them.
#[test]
fn a_control_character_in_a_key_is_no_json() {
    let keys = AGGREGATE.split('"').filter(|word| AGGREGATE.contains(&format!("\"{word}\": ")));
    for key in keys {
        for zeros in 1..16 {
            let longer = format!("\"{key}{}\"", "\0".repeat(zeros));
            let written = with(&format!("\"{key}\""), &longer);
            assert_eq!(reason(&written), Reason::BadJson, "{longer:?}");
            assert_eq!(reason(format!("[{written}]")), Reason::BadJson, "{longer:?} in an array");
        }
    }
}

#[test]
fn a_ticker_is_1_to_20_bytes_without_spaces_and_controls() {
    for bad in ["", "ABCDEFGHIJKLMNOPQRSTU", "A B", "\\n", "A\\u007f", "\u{7f}", "\\ud800", "ééééééééééé"] {
        assert_eq!(reason(with("AAPL", bad)), Reason::BadTicker, "{bad}");
    }
    for (written, read) in
        [("ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQRST"), ("\\u0041\\/\\\"", "A/\""), ("\\ud83d\\ude00", "😀")]
    {
        assert_eq!(answer(with("AAPL", written)).map(|(ticker, _)| ticker), Ok(read.into()));
    }
}

#[test]
fn symbol_stands_in_for_an_absent_ticker_only() {
    assert_eq!(answer(plus("\"symbol\": \"MSFT\"")), Ok(("AAPL".into(), EXAMPLE)));
    assert_eq!(answer(plus("\"symbol\": \"MSFT\", \"ticker\": null")), Ok(("MSFT".into(), EXAMPLE)));
    assert_eq!(reason(with("\"event_type\": \"A\"", "\"type\": \"other\"")), Reason::MissingField);
    assert_eq!(tick(with("\"event_type\": \"A\"", "\"type\": \"market_tick\"")), EXAMPLE);
}

#[test]
fn a_stamp_lies_in_2000_to_2100() {
    for (written, ts_us) in [("946684800", 946_684_800_000_000), ("4102444800.0", 4_102_444_800_000_000)] {
        assert_eq!(tick(with("1757600460.0", written)).ts_us, ts_us);
    }
    for bad in ["946684799.999999", "4102444800.000001", "NaN", "Infinity", "-Infinity", "0", "1e400"] {
        assert_eq!(reason(with("1757600460.0", bad)), Reason::BadTimestamp, "{bad}");
    }
    for wrong in ["\"1757600460\"", "true", "[1757600460]", "\"2025-09-11T14:30:00Z\""] {
        assert_eq!(reason(with("1757600460.0", wrong)), Reason::WrongType, "{wrong}");
    }
}

#[test]
fn a_price_is_finite_and_above_0() {
    for bad in ["0", "-0", "0.0", "-227.43", "NaN", "Infinity", "-Infinity", "1e999", "1e-999"] {
        for key in ["price", "tick_open", "tick_high", "tick_low", "tick_close", "tick_vwap"] {
            assert_eq!(reason(plus(&format!("\"{key}\": {bad}"))), Reason::BadPrice, "{key} {bad}");
        }
    }
    assert_eq!(tick(with("\"price\": 227.43", "\"price\": 227")).price, 227.0);
    assert_eq!(tick(with("\"price\": 227.43", "\"price\": 22743e-2")).price, 227.43);
}

#[test]
fn a_volume_is_a_whole_number_up_to_2_to_the_53rd() {
    for (written, volume) in [("1523.0", 1523), ("0", 0), ("-0", 0), ("1.5e3", 1500), ("9007199254740992", 1 << 53)] {
        assert_eq!(tick(with("\"tick_volume\": 1523", &format!("\"tick_volume\": {written}"))).volume, volume);
    }
    for bad in ["-1", "0.5", "NaN", "Infinity", "9007199254740993", "9007199254740994.0", "1e400"] {
        for key in ["tick_volume", "volume"] {
            assert_eq!(reason(plus(&format!("\"{key}\": {bad}"))), Reason::BadVolume, "{key} {bad}");
        }
    }
}

#[test]
fn tick_volume_wins_and_only_a_quote_may_have_none() {
    assert_eq!(tick(with("\"volume\": 1523", "\"volume\": 7")).volume, 1523);
    assert_eq!(tick(with("\"tick_volume\": 1523", "\"tick_volume\": null")).volume, 1523);
    let none = with("\"volume\": 1523, ", "").replace("\"tick_volume\": 1523", "\"tick_volume\": null");
    assert_eq!(reason(&none), Reason::MissingField);
    assert_eq!(tick(none.replace("\"A\"", "\"Q\"")).volume, 0);
}

#[test]
fn a_window_starts_within_the_minute_before_its_end() {
    let start = |written: &str| plus(&format!("\"tick_start_timestamp\": {written}"));
    assert_eq!(tick(start("1757600400")).start_us, Some(1_757_600_400_000_000));
    assert_eq!(tick(start("1757600460.0")).start_us, Some(1_757_600_460_000_000));
    assert_eq!(tick(start("null")).start_us, None);
    for bad in ["1757600399.999", "1757600460.001", "NaN", "0", "1e400"] {
        assert_eq!(reason(start(bad)), Reason::BadTimestamp, "{bad}");
    }
}

#[test]
fn numbers_of_the_feed_are_whole_and_not_negative() {
    let feed = plus("\"seq\": 9223372036854775807, \"accumulated_volume\": 18234567.0");
    assert_eq!(tick(feed), Tick { seq: Some(i64::MAX), accumulated_volume: Some(18_234_567), ..EXAMPLE });
    for bad in ["-1", "1.5", "NaN", "9223372036854775808", "1e19"] {
        assert_eq!(reason(plus(&format!("\"seq\": {bad}"))), Reason::BadVolume, "{bad}");
        assert_eq!(reason(plus(&format!("\"accumulated_volume\": {bad}"))), Reason::BadVolume, "{bad}");
    }
}

#[test]
fn conditions_are_whole_numbers_and_any_no_wins() {
    let rights = |written: &str| tick(plus(&format!("\"conditions\": {written}"))).rights;
    for all in ["null", "[]", "[ ]", "[0]", "[14,41]", "[-1, 999, 1e3, 123456789012345678901234567890]"] {
        assert_eq!(rights(all), Rights::REGULAR_SALE, "{all}");
    }
    assert_eq!(rights("[ 10 , 41.0 ]"), Rights::REGULAR_SALE.with(10));
    assert_eq!(rights("[12, 37]"), Rights::REGULAR_SALE.with(12).with(37));
    for wrong in
        ["12", "\"12\"", "{}", "[\"12\"]", "[1.5]", "[null]", "[true]", "[NaN]", "[[12]]", "[12, {\"a\": [1]}]"]
    {
        assert_eq!(reason(plus(&format!("\"conditions\": {wrong}"))), Reason::WrongType, "{wrong}");
    }
}

#[test]
fn what_is_not_looked_at_may_hold_anything() {
    let odd = plus("\"ask\": [-1, {\"price\": \"x\"}], \"é\\n\": \"\\ud800\", \"\": NaN")
        .replace("\"bid\": null", "\"bid\": \"\"");
    assert_eq!(tick(odd), EXAMPLE);
}

#[test]
fn of_a_repeated_key_the_last_value_counts_also_when_escaped() {
    assert_eq!(tick(plus("\"price\": -1, \"price\": 1")).price, 1.0);
    assert_eq!(tick(plus("\"pric\\u0065\": 1")).price, 1.0);
    assert_eq!(reason(plus("\"price\": null")), Reason::MissingField);
    assert_eq!(tick(plus("\"tick_open\": null")).open, None);
}
