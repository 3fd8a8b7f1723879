//! Volume, the day's extremes and key prices at and beside their thresholds.

mod claims;
mod rows;

use claims::{assert_match, assert_none, detect};
use rows::{Row, bar, state};
use tickstockpl_kernel::pattern::days::Day;
use tickstockpl_kernel::pattern::{Closing, Direction, Levels, Match, PATTERNS, SessionRange};
use tickstockpl_kernel::study::{Kernels, Study};
use tickstockpl_kernel::window::{Window, WindowBar};

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
fn a_volume_spike_of_day_is_one_where_no_volumes_of_other_days_are_kept() {
    let mut rows = vec![(5.0, 6.0, 4.0, 5.0, 100); 20];
    rows.push((5.0, 6.0, 4.0, 5.5, 301));
    assert_eq!(detect("volume_spike_of_day", &rows), detect("volume_spike", &rows));
    rows[20].4 = 300;
    assert_none("volume_spike_of_day", &rows);
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

/// 2019-02-11 14:30 UTC, a Monday.
const MONDAY_US: i64 = 1_549_895_400_000_000;
const DAY_US: i64 = 86_400_000_000;

/// A session that follows three weeks of days from 90 to 100, the last one from 95 to 105 with a close of 100.
fn after_days() -> SessionRange {
    let mut session = SessionRange::opened(Some(MONDAY_US + 22 * DAY_US));
    for number in (0..22).filter(|number| number % 7 < 5) {
        let last = number == 21;
        let (high, low) = if last { (105.0, 95.0) } else { (100.0, 90.0) };
        session.know(Day { open_us: MONDAY_US + number * DAY_US, open: 97.0, high, low, close: 100.0, quality: 0 });
    }
    session
}

/// What a pattern says on each of some bars of that session.
fn through(id: &str, rows: &[Row]) -> Vec<Option<Match>> {
    through_session(after_days(), id, rows)
}

/// The same of one of which only the day before is known.
fn through_after(day: Day, id: &str, rows: &[Row]) -> Vec<Option<Match>> {
    let mut session = SessionRange::opened(Some(MONDAY_US + 22 * DAY_US));
    session.know(day);
    through_session(session, id, rows)
}

fn through_session(mut session: SessionRange, id: &str, rows: &[Row]) -> Vec<Option<Match>> {
    let pattern = PATTERNS.iter().find(|pattern| pattern.id() == id).expect("a known id");
    let kernels = Kernels::new().expect("periods within their ranges");
    let (mut window, mut study) = (Window::new(200), Study::default());
    // of the session before: an average range of 1
    for number in 0..20 {
        window.push(bar(number, (100.0, 100.5, 99.5, 100.0, 100)));
        study.take_newest(&window, &kernels);
    }
    let mut said = Vec::new();
    for (number, &row) in rows.iter().enumerate() {
        let bar = WindowBar { ts_us: MONDAY_US + 22 * DAY_US + number as i64 * 60_000_000, ..bar(0, row) };
        window.push(bar);
        study.take_newest(&window, &kernels);
        let at = Closing::new(&window, &session, None, Some(&study));
        said.push(pattern.detect(&at));
        session.push(&bar);
    }
    said
}

/// The places of those that hold, with their directions.
fn held(said: &[Option<Match>]) -> Vec<(usize, i32)> {
    said.iter().enumerate().filter_map(|(at, one)| one.map(|one| (at, one.direction as i32))).collect()
}

fn at(close: f64) -> Row {
    (close, close + 0.5, close - 0.5, close, 100)
}

#[test]
fn a_daily_breakout_is_the_first_close_beyond_the_session_before() {
    let said = through("daily_breakout", &[at(104.0), at(105.0), at(105.5), at(104.0), at(106.0), at(96.0), at(94.0)]);
    assert_eq!(held(&said), [(2, 1), (6, -1)], "a touch is none, and once a side is all");
    let levels = said[2].expect("a match").levels;
    assert_eq!((levels.entry, levels.target, levels.invalidation), (105.5, Some(115.0), Some(105.0)));
    assert_eq!(held(&through("daily_breakout", &[at(107.0), at(108.0)])), [(0, 1)], "a session may open beyond it");
}

#[test]
fn a_weekly_breakout_is_from_the_sessions_of_the_week_before() {
    // the day before is of this week: last week's were from 90 to 100
    assert_eq!(held(&through("weekly_breakout", &[at(100.0), at(101.0), at(102.0), at(89.0)])), [(1, 1), (3, -1)]);
}

#[test]
fn a_gap_is_an_open_a_quarter_of_a_daily_range_beyond_and_is_filled_once() {
    // the average range of 14 days is a little over 10: a gap is an open above 107.5 and some
    assert_eq!(held(&through("gap_up", &[at(107.0), at(120.0)])), []);
    assert_eq!(held(&through("gap_up", &[at(108.0), at(120.0)])), [(0, 1)]);
    assert_eq!(held(&through("gap_down", &[at(92.0)])), [(0, -1)]);
    let back = [at(108.0), at(103.0), at(100.5), at(99.0), at(108.0), at(99.0)];
    assert_eq!(held(&through("gap_fill", &back)), [(2, -1)], "a low at the close before fills it");
    assert_eq!(held(&through("gap_fill", &[at(107.0), at(99.0)])), [], "and where there was none nothing does");
    assert_eq!(held(&through("gap_fill", &[at(92.0), at(101.0)])), [(1, 1)]);
}

#[test]
fn the_first_bar_of_a_session_may_fill_its_own_gap() {
    let (back, halfway) = ((108.0, 108.5, 99.0, 99.5, 100), (108.0, 108.5, 99.5, 107.0, 100));
    for (first, confidence) in [(back, 1.0), (halfway, 0.5 + 0.5 * 0.5 / 9.0)] {
        let rows = [first, at(108.0), at(99.0)];
        assert_eq!(held(&through("gap_up", &rows)), [(0, 1)]);
        let said = through("gap_fill", &rows);
        assert_eq!(held(&said), [(0, -1)], "once");
        assert!((said[0].expect("a match").confidence - confidence).abs() < 1e-12);
    }
    let up = (92.0, 100.0, 91.5, 95.0, 100);
    assert_eq!(held(&through("gap_fill", &[up, at(100.0)])), [(0, 1)], "a high at the close before fills it");
    assert_eq!(
        held(&through("gap_fill", &[(107.0, 107.5, 99.0, 99.5, 100), at(99.0)])),
        [],
        "an open within a quarter is no gap"
    );
    let before_split = (50.0, 100.5, 49.5, 50.0, 100);
    assert_eq!(held(&through("gap_fill", &[before_split])), []);
}

#[test]
fn after_a_split_nothing_is_measured_from_the_days_before() {
    for id in ["daily_breakout", "weekly_breakout", "gap_up", "gap_down", "gap_fill", "pivot_break"] {
        assert_eq!(held(&through(id, &[at(50.0), at(49.0), at(106.0), at(94.0), at(101.0)])), [], "{id}");
    }
}

#[test]
fn a_pivot_break_is_of_the_last_level_crossed_and_leads_to_the_next() {
    // P = 100, R1 = 105, S1 = 95, R2 = 110, S2 = 90
    let said = through("pivot_break", &[at(100.0), at(100.5), at(110.5), at(104.0)]);
    assert_eq!(held(&said), [(1, 1), (2, 1), (3, -1)]);
    let levels = said[2].expect("a match").levels;
    assert_eq!((levels.target, levels.invalidation), (Some(115.0), Some(110.0)));
}

#[test]
fn a_close_at_a_pivot_level_on_paper_is_at_it_in_floats_too() {
    // P = 99.4 and R1 = 100.5 on paper, in floats a little less; P = 99.1, in floats a little more
    let day = |low, close| Day { open_us: MONDAY_US, open: 99.0, high: 100.1, low, close, quality: 0 };
    let said = |day, closes: &[f64]| {
        let rows: Vec<Row> = closes.iter().map(|&close| at(close)).collect();
        held(&through_after(day, "pivot_break", &rows))
    };
    let (less, more) = (day(98.3, 99.8), day(97.7, 99.5));
    assert_eq!(said(less, &[100.0, 100.5]), [], "a touch from below is no break");
    assert_eq!(said(less, &[100.0, 100.5, 100.51]), [(2, 1)], "from the level itself it is one");
    assert_eq!(said(less, &[100.0, 100.5, 100.49]), [(2, -1)]);
    assert_eq!(said(more, &[99.5, 99.1]), [], "nor is a touch from above");
    assert_eq!(said(more, &[99.5, 99.1, 99.09]), [(2, -1)]);
    assert_eq!(said(more, &[99.5, 99.1, 99.11]), [(2, 1)]);
}

#[test]
fn a_close_a_hundred_millionth_beyond_a_pivot_level_is_beyond_it() {
    let day = Day { open_us: MONDAY_US, open: 100.0, high: 106.0, low: 94.0, close: 100.0, quality: 0 };
    let flat = |close: f64| (close, close, close, close, 100);
    let rows = [flat(100.0), flat(100.000_001)];
    assert_eq!(held(&through_after(day, "pivot_break", &rows)), [(1, 1)]);
}

#[test]
fn a_pin_bar_may_lie_on_its_thresholds_on_paper() {
    // ranges of 1.2, 1.5, 1.8 at 99.0, 99.1 … whose bodies and tails are a third and two thirds of them
    for (low, third) in (9_900..10_000).step_by(10).flat_map(|low| [40, 50, 60].map(|third| (low, third))) {
        let high = low + 3 * third;
        let bar = |open, close| {
            let [o, h, l, c] = [open, high, low, close].map(|cents| f64::from(cents) / 100.0);
            (o, h, l, c, 100)
        };
        let said = |open, close| held(&through("pin_bar", &[bar(open, close)]));
        assert_eq!(said(high - third, high), [(0, 1)], "{low} {third}");
        assert_eq!(said(low + third, low), [(0, -1)], "{low} {third}");
        assert_eq!(said(high - third - 1, high), [], "{low} {third}: a cent more of body");
        assert_eq!(said(low + third + 1, low), [], "{low} {third}: a cent more of body");
    }
}
