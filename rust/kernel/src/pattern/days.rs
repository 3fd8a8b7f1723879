//! The sessions before the one that is on: the day's and the week's prices that breakouts are measured from.

use serde::{Deserialize, Serialize};

use crate::bar::quality;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// Days of the average daily range.
const RANGE_DAYS: usize = 14;

/// A day's open this far from the last close is a split or the like, not a move: what lies before it is not comparable.
const UNADJUSTED: f64 = 0.35;

/// The prices of a finished session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// When it opened, µs.
    pub open_us: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Flags of its bars: those of [`quality::PARTIAL`] where ticks may be missing; [`quality::PROVISIONAL`] for one that broke
    /// off, whose range and close nobody knows.
    pub quality: u8,
}

impl Day {
    fn broke_off(&self) -> bool {
        self.quality & quality::PROVISIONAL != 0
    }

    /// What is said of all that is measured from it.
    fn flags(&self) -> u8 {
        self.quality & quality::PARTIAL | if self.broke_off() { quality::GAP } else { 0 }
    }
}

/// Highest and lowest price of a week's finished sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Week {
    number: i64,
    high: f64,
    low: f64,
    quality: u8,
}

/// The finished sessions of a symbol: the last day, the last week, the average daily range. O(1) a session.
///
/// What it says follows from the last 15 sessions, so that who is told of these knows what one knows that saw all before them.
///
/// A week is the UTC week, from Monday, of the time six hours after a session's open: so it is that of the market's days from
/// Sydney's, which opens in the evening before, to New York's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Days {
    last: Option<Day>,
    week: Week,
    /// Weeks of which a day is known: the first one may have begun before that.
    weeks: u32,
    before: Option<Week>,
    /// True ranges of the last days, the newest first; of the first day of all, its own range.
    ranges: [f64; RANGE_DAYS],
    seen: u32,
}

impl Days {
    /// Reads a word of each line that levels will be asked for.
    pub(crate) fn touch(&self) -> u64 {
        self.last.map_or(0, |last| last.close.to_bits())
            ^ self.before.map_or(0, |week| week.high.to_bits())
            ^ self.week.number as u64
    }

    /// Takes in a finished session; one that is not newer than the last is known already and passed over. After a split all
    /// begins anew: what lies before it has other prices.
    pub fn push(&mut self, day: Day) {
        if self.last.is_some_and(|last| last.open_us >= day.open_us) {
            return;
        }
        if self.is_unadjusted(day.open) {
            *self = Self::default();
        }
        let number = week(day.open_us);
        if self.seen == 0 || self.week.number != number {
            self.before = self.whole();
            self.weeks = self.weeks.saturating_add(1);
            self.week = Week { number, high: day.high, low: day.low, quality: day.flags() };
        } else {
            self.week.high = self.week.high.max(day.high);
            self.week.low = self.week.low.min(day.low);
            self.week.quality |= day.flags();
        }
        let range = self.last().map_or(day.high - day.low, |last| day.high.max(last.close) - day.low.min(last.close));
        self.seen = self.seen.saturating_add(1);
        self.ranges.rotate_right(1);
        self.ranges[0] = range;
        self.last = Some(day);
    }

    /// The session before the one that is on; `None` if it broke off.
    #[must_use]
    pub fn last(&self) -> Option<&Day> {
        self.last.as_ref().filter(|last| !last.broke_off())
    }

    /// Highest and lowest price of the week before that of a session, by its open; `None` if its first day may not be known.
    #[must_use]
    pub fn last_week(&self, open_us: i64) -> Option<(f64, f64)> {
        self.week_before(open_us).map(|week| (week.high, week.low))
    }

    /// The flags of that week's sessions.
    #[must_use]
    pub fn last_week_flags(&self, open_us: i64) -> u8 {
        self.week_before(open_us).map_or(0, |week| week.quality)
    }

    fn week_before(&self, open_us: i64) -> Option<Week> {
        if self.week.number == week(open_us) { self.before } else { self.whole() }
    }

    /// The newest week, if the days known go back to before it.
    fn whole(&self) -> Option<Week> {
        (self.weeks > 1).then_some(self.week)
    }

    /// The mean of the last 14 days' true ranges, in price; `None` while fewer are known.
    #[must_use]
    pub fn range(&self) -> Option<f64> {
        (self.seen as usize >= RANGE_DAYS).then(|| self.ranges.iter().sum::<f64>() / RANGE_DAYS as f64)
    }

    /// Whether a session that opens at this price cannot be compared with the days before it.
    #[must_use]
    pub fn is_unadjusted(&self, open: f64) -> bool {
        self.last.is_some_and(|last| (open / last.close - 1.0).abs() > UNADJUSTED)
    }
}

/// The number of a session's week, by its open in µs.
pub(super) fn week(open_us: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    (open_us.saturating_add(6 * HOUR_US).div_euclid(DAY_US) + 3).div_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2019-02-11, 09:30 in New York.
    const MONDAY_US: i64 = 1_549_895_400_000_000;

    fn day(number: i64, high: f64, low: f64) -> Day {
        Day { open_us: MONDAY_US + number * DAY_US, open: low, high, low, close: high, quality: 0 }
    }

    #[test]
    fn a_week_ends_with_its_last_session_and_is_told_once_the_one_before_is_known() {
        let mut days = Days::default();
        for number in [-4, -3, 0, 1, 3] {
            days.push(day(number, 60.0 + number as f64, 50.0 + number as f64));
        }
        assert_eq!(days.last_week(MONDAY_US + 4 * DAY_US), None, "nobody knows whether it began on Thursday");
        assert_eq!(days.last_week(MONDAY_US + 7 * DAY_US), Some((63.0, 50.0)));
        days.push(day(7, 70.0, 69.0));
        assert_eq!(days.last_week(MONDAY_US + 8 * DAY_US), Some((63.0, 50.0)));
        assert_eq!(days.last_week(MONDAY_US + 14 * DAY_US), Some((70.0, 69.0)));
    }

    #[test]
    fn weeks_are_those_of_markets_that_open_in_the_evening_before() {
        let sunday_evening = MONDAY_US - 15 * HOUR_US; // 23:30 UTC
        assert_eq!(week(sunday_evening), week(MONDAY_US));
        assert_ne!(week(sunday_evening - DAY_US), week(MONDAY_US));
    }

    #[test]
    fn a_day_that_is_known_already_is_passed_over() {
        let mut days = Days::default();
        days.push(day(0, 20.0, 10.0));
        let known = days;
        days.push(day(0, 30.0, 5.0));
        days.push(day(-1, 30.0, 5.0));
        assert_eq!(days, known);
    }

    #[test]
    fn the_average_range_counts_gaps_and_needs_fourteen_days() {
        let mut days = Days::default();
        for number in 0..13 {
            days.push(day(number, 100.0, 90.0));
        }
        assert_eq!(days.range(), None);
        days.push(day(13, 124.0, 120.0));
        assert_eq!(days.range(), Some((13.0 * 10.0 + 24.0) / 14.0));
        days.push(day(14, 124.0, 120.0));
        assert_eq!(days.range(), Some((12.0 * 10.0 + 24.0 + 4.0) / 14.0), "the first day's has gone");
    }

    #[test]
    fn fifteen_sessions_tell_what_all_before_them_do() {
        let price = |number: i64| 100.0 + (number * 37 % 11) as f64 / 3.0;
        let seen = |numbers: std::ops::Range<i64>| {
            let mut days = Days::default();
            numbers
                .filter(|number| number % 7 < 5)
                .for_each(|number| days.push(day(number, price(number) + 1.0, price(number))));
            days
        };
        let says = |days: Days, open_us| (days.last, days.last_week(open_us), days.range().map(f64::to_bits));
        for end in 60..68 {
            let open_us = MONDAY_US + end * DAY_US;
            assert_eq!(says(seen(end - 21..end), open_us), says(seen(0..end), open_us), "before day {end}");
            assert_ne!(says(seen(end - 14..end), open_us), says(seen(0..end), open_us), "before day {end}");
        }
    }

    #[test]
    fn after_a_split_no_range_and_no_week_has_prices_of_before_it() {
        let mut days = Days::default();
        (0..19).filter(|number| number % 7 < 5).for_each(|number| days.push(day(number, 101.0, 100.0)));
        assert_eq!(days.range(), Some(1.0));
        days.push(day(21, 50.5, 50.0));
        assert_eq!((days.range(), days.last_week(MONDAY_US + 22 * DAY_US)), (None, None));
        (22..40).filter(|number| number % 7 < 5).for_each(|number| days.push(day(number, 50.5, 50.0)));
        assert_eq!(days.range(), Some(0.5));
        assert_eq!(days.last_week(MONDAY_US + 42 * DAY_US), Some((50.5, 50.0)));
        assert_eq!(days.last().map(|last| last.high), Some(50.5));
    }

    #[test]
    fn an_open_beyond_35_percent_of_the_last_close_is_not_comparable() {
        let mut days = Days::default();
        days.push(day(0, 100.0, 90.0));
        assert_eq!([64.0, 65.5, 134.5, 136.0].map(|open| days.is_unadjusted(open)), [true, false, false, true]);
    }
}
