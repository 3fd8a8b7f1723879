//! Candlestick rules at and beside their thresholds, with what each bonus is worth.

mod claims;
mod rows;

use claims::{assert_match, assert_none, detect};
use rows::Row;
use tickstockpl_kernel::pattern::Direction;

#[test]
fn doji_is_a_body_below_a_tenth_of_the_range() {
    use Direction::Neutral;
    assert_match("doji", &[(10.0, 11.0, 9.0, 10.0, 1)], Neutral, 1.0); // 1 + 0.15, capped
    assert_match("doji", &[(10.0, 10.0, 9.0, 10.0, 1)], Neutral, 1.0); // dragonfly: no symmetry
    assert_match("doji", &[(10.0, 11.0, 9.0, 10.125, 1)], Neutral, 0.516); // B/R 0.0625, |U-L|/R 0.0625: 0.515625
    // 0.0625 + 0.15 * 0.09375
    assert_match("doji", &[(10.0, 10.1875, 8.1875, 10.1875, 1)], Neutral, 0.077);
    assert_none("doji", &[(10.0, 11.0, 9.0, 10.25, 1)]);
    assert_none("doji", &[(1.0, 11.0, 1.0, 2.0, 1)]); // exactly a tenth
}

#[test]
fn doji_needs_a_range_of_a_thousandth() {
    assert!(detect("doji", &[(1.0, 1.001, 1.0, 1.0, 1)]).is_none()); // 1.001 - 1.0 is 0.00099999… in floats
    assert!(detect("doji", &[(0.0, 0.001, 0.0, 0.0, 1)]).is_some());
    assert_none("doji", &[(10.0, 10.0, 10.0, 10.0, 1)]);
}

#[test]
fn hammer_is_a_long_lower_shadow_under_a_small_body() {
    use Direction::Bullish;
    // R 16: B 3, U 0, L 13: 13/3 >= 3, U/R < 0.05, c > o
    assert_match("hammer", &[(13.0, 16.0, 0.0, 16.0, 1)], Bullish, 0.95);
    assert_match("hammer", &[(16.0, 16.0, 0.0, 13.0, 1)], Bullish, 0.85); // black
    assert_match("hammer", &[(12.0, 16.0, 0.0, 15.0, 1)], Bullish, 0.85); // U/R 0.0625
    assert_match("hammer", &[(11.0, 16.0, 0.0, 15.0, 1)], Bullish, 0.7); // L/B 2.75
    assert_match("hammer", &[(10.75, 16.0, 0.0, 15.25, 1)], Bullish, 0.8); // L/R 0.672
    assert_match("hammer", &[(16.0, 16.0, 0.0, 16.0, 1)], Bullish, 0.7); // no body: no shadow/body bonus, no colour
    assert_none("hammer", &[(11.0, 16.0, 0.0, 14.0, 1)]); // U/R 0.125
    assert_none("hammer", &[(11.0, 16.0, 0.0, 16.0, 1)]); // B/R 0.3125
    assert_none("hammer", &[(1.0, 10.0, 0.0, 10.0, 1)]);
    assert_none("hammer", &[(9.0, 10.0, 0.0, 9.0, 1)]); // U/R exactly 0.1
}

#[test]
fn shooting_star_is_a_long_upper_shadow_over_a_small_body() {
    use Direction::Bearish;
    assert_match("shooting_star", &[(3.0, 16.0, 0.0, 0.0, 1)], Bearish, 0.95);
    assert_match("shooting_star", &[(0.0, 16.0, 0.0, 3.0, 1)], Bearish, 0.85); // white
    assert_match("shooting_star", &[(4.0, 16.0, 0.0, 1.0, 1)], Bearish, 0.85); // L/R 0.0625
    assert_match("shooting_star", &[(5.0, 16.0, 0.0, 1.0, 1)], Bearish, 0.7); // U/B 2.75
    assert_none("shooting_star", &[(5.0, 16.0, 0.0, 2.0, 1)]); // L/R 0.125
    assert_none("shooting_star", &[(5.0, 16.0, 0.0, 0.0, 1)]); // B/R 0.3125
}

#[test]
fn hanging_man_is_a_hammer_above_the_mean_of_three_closes() {
    use Direction::Bearish;
    let after = |closes: [f64; 3], last: Row| {
        let mut rows: Vec<Row> = closes.iter().map(|&c| (c, c, c, c, 1)).collect();
        rows.push(last);
        rows
    };
    let black = (16.0, 16.0, 0.0, 13.0, 1); // L/B >= 3, U/R < 0.05, c < o
    assert_match("hanging_man", &after([1.0, 2.0, 3.0], black), Bearish, 1.0); // and (13-1)/2 > 0.8
    // c 13 just above the mean 12.666 and 0.6 of the way from 7 to 17: no strength bonus
    assert_match("hanging_man", &after([7.0, 17.0, 14.0], black), Bearish, 0.95);
    let white = (13.0, 16.0, 0.0, 16.0, 1);
    assert_match("hanging_man", &after([1.0, 2.0, 3.0], white), Bearish, 0.9);
    assert_none("hanging_man", &after([13.0, 13.0, 13.0], black)); // equal to the mean
    // no hammer
    assert_none("hanging_man", &after([1.0, 2.0, 3.0], (11.0, 16.0, 0.0, 16.0, 1)));
    assert_none("hanging_man", &after([1.0, 2.0, 3.0], black)[1..]); // two closes only
    assert!(detect("hammer", &after([1.0, 2.0, 3.0], black)).is_some());
}

#[test]
fn engulfing_covers_the_previous_body_with_the_other_colour() {
    use Direction::{Bearish, Bullish};
    let black = (12.0, 13.0, 9.0, 10.0, 100); // body 10..12
    // body 9..13, B/B-1 = 2; range 8..14 outside 9..13; more volume
    assert_match("engulfing", &[black, (9.0, 14.0, 8.0, 13.0, 101)], Bullish, 1.0);
    // no more volume
    assert_match("engulfing", &[black, (9.0, 14.0, 8.0, 13.0, 100)], Bullish, 0.9);
    // high not above
    assert_match("engulfing", &[black, (9.0, 13.0, 8.0, 13.0, 100)], Bullish, 0.8);
    // B/B-1 = 1.375
    assert_match("engulfing", &[black, (9.5, 13.0, 9.0, 12.25, 100)], Bullish, 0.65);
    let white = (10.0, 13.0, 9.0, 12.0, 100);
    assert_match("engulfing", &[white, (13.0, 14.0, 8.0, 9.0, 101)], Bearish, 1.0);
    assert_none("engulfing", &[white, (9.0, 14.0, 8.0, 13.0, 101)]); // same colour
    assert_none("engulfing", &[black, (10.0, 14.0, 8.0, 13.0, 101)]); // lower ends tie
    assert_none("engulfing", &[black, (9.0, 14.0, 8.0, 12.0, 101)]); // upper ends tie
    // no colour before
    assert_none("engulfing", &[(11.0, 13.0, 9.0, 11.0, 100), (9.0, 14.0, 8.0, 13.0, 101)]);
    assert_none("engulfing", &[(9.0, 14.0, 8.0, 13.0, 101)]);
}

#[test]
fn harami_lies_within_the_previous_body_with_the_other_colour() {
    use Direction::{Bearish, Bullish};
    let black = (18.0, 18.5, 9.5, 10.0, 100); // B 8, R 9, B/R > 0.7
    // B 2: 0.25
    assert_match("harami", &[black, (12.0, 15.0, 11.0, 14.0, 1)], Bullish, 1.0);
    // B 3: 0.375
    assert_match("harami", &[black, (12.0, 16.0, 11.0, 15.0, 1)], Bullish, 0.85);
    // B 4: exactly half
    assert_match("harami", &[black, (12.0, 17.0, 11.0, 16.0, 1)], Bullish, 0.85);
    // range not inside
    assert_match("harami", &[black, (12.0, 19.0, 11.0, 16.0, 1)], Bullish, 0.75);
    let long_shadows = (18.0, 22.0, 6.0, 10.0, 100); // B/R 0.5
    assert_match("harami", &[long_shadows, (12.0, 23.0, 11.0, 16.0, 1)], Bullish, 0.65);
    let white = (10.0, 18.5, 9.5, 18.0, 100);
    assert_match("harami", &[white, (14.0, 15.0, 11.0, 12.0, 1)], Bearish, 1.0);
    assert_none("harami", &[black, (12.0, 17.0, 11.0, 16.25, 1)]); // more than half
    assert_none("harami", &[black, (14.0, 15.0, 11.0, 12.0, 1)]); // same colour
    assert_none("harami", &[black, (10.0, 15.0, 9.75, 12.0, 1)]); // lower ends tie
    assert_none("harami", &[black, (12.0, 15.0, 11.0, 12.0, 1)]); // no colour
}

#[test]
fn morning_star_wins_back_half_of_a_fall_after_a_pause() {
    use Direction::Bullish;
    let fall = (18.0, 20.0, 10.0, 10.0, 1); // body 10..18, R 10
    let pause = (9.0, 9.5, 8.0, 8.0, 1); // B 1, below the fall's low
    let rise = (8.5, 17.0, 8.5, 17.0, 1); // B/R 1, penetration 7/8
    assert_match("morning_star", &[fall, pause, rise], Bullish, 1.0);
    let touching = (9.0, 10.0, 8.0, 8.0, 1);
    assert_match("morning_star", &[fall, touching, rise], Bullish, 0.85); // no gap
    let longer = (10.5, 11.0, 8.0, 8.0, 1); // B/R-2 0.25
    assert_match("morning_star", &[fall, longer, rise], Bullish, 0.75);
    // B/R 0.5
    assert_match("morning_star", &[fall, longer, (8.5, 25.5, 8.5, 17.0, 1)], Bullish, 0.65);
    // exactly the middle
    assert_match("morning_star", &[fall, longer, (8.5, 25.5, 8.5, 14.0, 1)], Bullish, 0.6);
    assert_none("morning_star", &[fall, longer, (8.5, 25.5, 8.5, 13.75, 1)]);
    assert_none("morning_star", &[fall, (11.25, 11.5, 8.0, 8.0, 1), rise]); // B/R-2 0.325
    assert_none("morning_star", &[(10.0, 20.0, 10.0, 18.0, 1), pause, rise]); // a rise before
    assert_none("morning_star", &[fall, pause, (17.0, 17.5, 8.5, 16.0, 1)]); // black
    assert_none("morning_star", &[pause, rise]);
}

#[test]
fn evening_star_takes_back_half_of_a_rise_after_a_pause() {
    use Direction::Bearish;
    let rise = (10.0, 18.0, 8.0, 18.0, 1); // body 10..18, R 10
    let pause = (19.0, 20.0, 18.5, 20.0, 1); // above the rise's high
    let fall = (19.5, 19.5, 11.0, 11.0, 1); // B/R 1, penetration 7/8
    assert_match("evening_star", &[rise, pause, fall], Bearish, 1.0);
    let touching = (19.0, 20.0, 18.0, 20.0, 1);
    assert_match("evening_star", &[rise, touching, fall], Bearish, 0.85);
    let longer = (17.5, 20.0, 17.0, 20.0, 1); // B/R-2 0.25
    assert_match("evening_star", &[rise, longer, fall], Bearish, 0.75);
    assert_match("evening_star", &[rise, longer, (19.5, 19.5, 2.5, 11.0, 1)], Bearish, 0.65);
    assert_match("evening_star", &[rise, longer, (19.5, 19.5, 2.5, 14.0, 1)], Bearish, 0.6);
    assert_none("evening_star", &[rise, longer, (19.5, 19.5, 2.5, 14.25, 1)]);
    assert_none("evening_star", &[rise, pause, (11.0, 19.5, 10.5, 12.0, 1)]); // white
}
