//! Event time: whole microseconds since 1970, UTC.

use crate::tick::Kind;

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE_US: i64 = 60 * SECOND_US;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 60 * MINUTE_US;
/// Microseconds in a day of 24 hours.
pub const DAY_US: i64 = 24 * HOUR_US;
/// 2000-01-01 UTC in seconds: the earliest stamp that is believed.
pub const EARLIEST_S: f64 = 946_684_800.0;
/// 2100-01-01 UTC in seconds: the latest stamp that is believed.
pub const LATEST_S: f64 = 4_102_444_800.0;

/// A stamp in seconds as whole microseconds: the double product `seconds · 10⁶`, rounded half to even.
///
/// `None` unless `EARLIEST_S <= seconds <= LATEST_S` (so also for NaN and infinities).
#[must_use]
pub fn micros(seconds: f64) -> Option<i64> {
    (EARLIEST_S..=LATEST_S).contains(&seconds).then(|| nearest_us(seconds))
}

/// `seconds · 10⁶` rounded half to even, for `0 <= seconds < 2⁵² / 10⁶` (the year 2112).
///
/// A double in [2⁵², 2⁵³) has no fraction bits, so adding 2⁵² rounds by the processor's own rule; `round_ties_even`
/// is a library call on machines without SSE4.1.
#[inline]
pub(crate) fn nearest_us(seconds: f64) -> i64 {
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    ((seconds * 1e6 + TWO_52) - TWO_52) as i64
}

/// Start of the minute that a tick belongs to, in microseconds.
///
/// An aggregate (`A`) is stamped with the END of its window: its minute is that of `start_us` where known (`>= 0`),
/// else that of the microsecond before `ts_us`. A trade or quote belongs to the minute of its own stamp.
#[must_use]
pub fn minute_of(kind: Kind, ts_us: i64, start_us: i64) -> i64 {
    let inside_us = match kind {
        Kind::A if start_us >= 0 => start_us,
        Kind::A => ts_us - 1,
        Kind::T | Kind::Q => ts_us,
    };
    inside_us - inside_us.rem_euclid(MINUTE_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE_THIRTY_US: i64 = 1_757_597_400 * SECOND_US;

    #[test]
    fn an_aggregate_belongs_to_the_minute_its_window_ends_in_or_at() {
        assert_eq!(minute_of(Kind::A, NINE_THIRTY_US + MINUTE_US, -1), NINE_THIRTY_US);
        assert_eq!(minute_of(Kind::A, NINE_THIRTY_US + 1, -1), NINE_THIRTY_US);
        assert_eq!(minute_of(Kind::A, NINE_THIRTY_US, -1), NINE_THIRTY_US - MINUTE_US);
    }

    #[test]
    fn a_known_window_start_decides_the_minute_of_an_aggregate() {
        let start_us = NINE_THIRTY_US + 59 * SECOND_US;
        assert_eq!(minute_of(Kind::A, NINE_THIRTY_US + 61 * SECOND_US, start_us), NINE_THIRTY_US);
    }

    #[test]
    fn a_trade_on_the_minute_opens_the_new_minute() {
        assert_eq!(minute_of(Kind::T, NINE_THIRTY_US, -1), NINE_THIRTY_US);
        assert_eq!(minute_of(Kind::T, NINE_THIRTY_US - 1, -1), NINE_THIRTY_US - MINUTE_US);
    }

    #[test]
    fn micros_round_the_product_half_to_even() {
        for seconds in [1_757_600_460.123, 1_795_389_832.184_455_4, 946_684_800.000_000_1, 4_102_444_799.999_999_5] {
            assert_eq!(micros(seconds), Some((seconds * 1e6).round_ties_even() as i64));
        }
    }

    #[test]
    fn micros_are_none_outside_2000_to_2100() {
        assert_eq!(micros(EARLIEST_S), Some(946_684_800_000_000));
        assert_eq!(micros(LATEST_S), Some(4_102_444_800_000_000));
        for seconds in [
            f64::from_bits(EARLIEST_S.to_bits() - 1),
            f64::from_bits(LATEST_S.to_bits() + 1),
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -1.0,
        ] {
            assert_eq!(micros(seconds), None);
        }
    }
}
