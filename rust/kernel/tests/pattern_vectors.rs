//! Volume, the day's extremes and key prices at and beside their thresholds.

mod claims;
mod rows;

use claims::{assert_match, assert_none, detect};
use rows::{Row, bar, state};
use tickstockpl_kernel::pattern::{Direction, Levels, SessionRange};
use tickstockpl_kernel::window::WindowBar;

#[test]
fn volume_spike_is_more_than_three_times_the_mean_of_the_twenty_before() {
    let after_twenty_of = |volume: i64, last: Row| {
        let mut rows = vec![(5.0, 6.0, 4.0, 5.0, volume); 20];
        rows.push(last);
        rows
    };
    let white = |volume| after_twenty_of(100, (5.0, 6.0, 4.0, 5.5, volume));
    assert_none("volume_spike", &white(300));
    assert_none("volume_spike", &white(10_000)[1..]); // nineteen before it
    let just = detect("volume_spike", &white(301)).expect("a match");
    assert_eq!(just.direction, Direction::Bullish);
    assert_eq!(just.confidence, 0.5 + 0.5 * (301.0 / 300.0 - 1.0));
    assert_eq!(just.bars, 21);
    assert_match("volume_spike", &white(450), Direction::Bullish, 0.75);
    assert_match("volume_spike", &white(600), Direction::Bullish, 1.0);
    assert_match("volume_spike", &white(60_000), Direction::Bullish, 1.0);
    assert_match("volume_spike", &after_twenty_of(100, (5.0, 6.0, 4.0, 4.5, 450)), Direction::Bearish, 0.75);
    assert_match("volume_spike", &after_twenty_of(100, (5.0, 6.0, 4.0, 5.0, 450)), Direction::Neutral, 0.75);
    // no mean
    assert_none("volume_spike", &after_twenty_of(0, (5.0, 6.0, 4.0, 5.0, 450)));
}

#[test]
fn high_of_day_exceeds_the_session_and_not_by_a_tie() {
    let first = (10.0, 12.0, 8.0, 10.0, 1);
    assert_none("high_of_day", &[first]);
    assert_none("high_of_day", &[first, (10.0, 12.0, 9.0, 11.0, 1)]);
    // 1 of 4
    assert_match("high_of_day", &[first, (10.0, 13.0, 9.0, 11.0, 1)], Direction::Bullish, 0.625);
    // wholly above
    assert_match("high_of_day", &[first, (14.0, 15.0, 13.0, 14.0, 1)], Direction::Bullish, 1.0);
    // no range
    assert_match("high_of_day", &[first, (14.0, 14.0, 14.0, 14.0, 1)], Direction::Bullish, 1.0);
}

#[test]
fn low_of_day_undercuts_the_session_and_not_by_a_tie() {
    let first = (10.0, 12.0, 8.0, 10.0, 1);
    assert_none("low_of_day", &[first]);
    assert_none("low_of_day", &[first, (10.0, 11.0, 8.0, 9.0, 1)]);
    assert_match("low_of_day", &[first, (10.0, 11.0, 7.0, 9.0, 1)], Direction::Bearish, 0.625);
    assert_match("low_of_day", &[first, (6.0, 7.0, 5.0, 6.0, 1)], Direction::Bearish, 1.0);
    assert_match("low_of_day", &[first, (7.0, 7.0, 7.0, 7.0, 1)], Direction::Bearish, 1.0);
}

#[test]
fn a_session_knows_its_bars_alone_and_flagged_ones_widen_it() {
    let mut session = SessionRange::opened(Some(0));
    session.push(&bar(0, (10.0, 12.0, 8.0, 10.0, 1)));
    session.push(&WindowBar { quality: 1, ..bar(1, (10.0, 13.0, 8.0, 10.0, 1)) });
    assert_eq!((session.high(), session.low(), session.bars()), (Some(13.0), Some(8.0), 2));
    let next = SessionRange::opened(Some(60_000_000));
    assert_eq!((next.high(), next.low(), next.bars(), next.opened_us()), (None, None, 0, Some(60_000_000)));
}

#[test]
fn levels_are_close_extreme_and_twice_the_risk() {
    let rows = [(18.0, 20.0, 10.0, 10.0, 1), (9.0, 9.5, 8.0, 8.0, 1), (8.5, 17.0, 8.5, 17.0, 1)];
    let (window, _) = state(&rows);
    let levels = |direction, bars| Levels::of(&window, direction, bars).expect("bars");
    let expected = |stop, target| Levels { entry: 17.0, stop, target, invalidation: stop };
    assert_eq!(levels(Direction::Bullish, 3), expected(Some(8.0), Some(35.0)));
    assert_eq!(levels(Direction::Bullish, 1), expected(Some(8.5), Some(34.0)));
    assert_eq!(levels(Direction::Bearish, 3), expected(Some(20.0), Some(11.0)));
    assert_eq!(levels(Direction::Bearish, 1), expected(None, None)); // the stop is the entry
    assert_eq!(levels(Direction::Neutral, 3), expected(None, None));
    let (falling, _) = state(&rows[..1]);
    let at_the_low = Levels { entry: 10.0, stop: None, target: None, invalidation: None };
    assert_eq!(Levels::of(&falling, Direction::Bullish, 1), Some(at_the_low));
    assert_eq!(Levels::of(&window, Direction::Bullish, 4), None);
}

#[test]
fn a_target_below_zero_is_no_target() {
    let (window, _) = state(&[(1.0, 2.0, 0.5, 1.0, 1)]);
    let levels = Levels::of(&window, Direction::Bearish, 1).expect("a bar");
    assert_eq!(levels, Levels { entry: 1.0, stop: Some(2.0), target: None, invalidation: Some(2.0) });
}
