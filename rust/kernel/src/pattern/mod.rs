//! What a pattern is, and the list of all of them.
//!
//! A pattern is a pure function of a symbol's window and session range, evaluated each time a bar closes. Its
//! [`id`](Pattern::id) never changes; its [`name`](Pattern::name) is what the outside world sees.

mod day_extreme;
mod session_range;
mod volume_spike;

pub use session_range::SessionRange;

use crate::candle::{Doji, Engulfing, EveningStar, Hammer, HangingMan, Harami, MorningStar, ShootingStar};
use crate::window::Window;
use day_extreme::{HighOfDay, LowOfDay};
use volume_spike::VolumeSpike;

/// Every pattern, in the order of the `pattern` column. Append only: a position is an identity for as long as rows
/// that hold it live.
pub static PATTERNS: [&'static dyn Pattern; 11] = [
    &Doji,
    &Hammer,
    &HangingMan,
    &ShootingStar,
    &Engulfing,
    &Harami,
    &MorningStar,
    &EveningStar,
    &VolumeSpike,
    &HighOfDay,
    &LowOfDay,
];

/// A detector. It holds no state of its own: what it knows is in the window and in the session range.
pub trait Pattern: Sync {
    /// Lower-case identity, fixed for ever: it is part of every event's id.
    fn id(&self) -> &'static str;

    /// The published name, CamelCase, distinct from all others in its first eight letters (consumers cut it there).
    fn name(&self) -> &'static str;

    /// Bars the window must hold before the pattern can be seen.
    fn bars_needed(&self) -> usize;

    /// The consumer's tier: `daily`, `intraday` or `combo`.
    fn tier(&self) -> &'static str {
        "intraday"
    }

    /// Where the definition comes from.
    fn source(&self) -> &'static str;

    /// The pattern, if it ends on the window's newest bar; `None` if not, and while bars are missing.
    ///
    /// session: the range of the session's bars before the newest. Any finite bars are allowed; nothing returned is
    /// infinite or NaN.
    fn detect(&self, window: &Window, session: &SessionRange) -> Option<Match>;
}

/// Which way a pattern points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Direction {
    /// Prices are expected to fall.
    Bearish = -1,
    /// No expectation.
    Neutral = 0,
    /// Prices are expected to rise.
    Bullish = 1,
}

/// A pattern that was found on the newest bar of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Which way it points.
    pub direction: Direction,
    /// How well the bars fit the definition, 0..1: match quality, not a probability.
    pub confidence: f64,
    /// The newest bars that the rule looked at, the newest included; a flag on any of them is a flag on the event.
    pub bars: u8,
    /// Key prices.
    pub levels: Levels,
}

/// Key prices of a match: a convention for drawing and for measuring what follows, not a promise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Close of the bar on which the pattern ends.
    pub entry: f64,
    /// The price at which the pattern is proved wrong.
    pub stop: Option<f64>,
    /// Entry plus twice the way from stop to entry.
    pub target: Option<f64>,
}

impl Levels {
    /// Levels of a figure drawn by the newest `bars` bars; `None` if the window holds fewer, or for `bars` = 0.
    ///
    /// stop: lowest low (bullish) or highest high (bearish) of those bars. Neutral patterns have no stop, and so has
    /// a figure whose stop is not beyond its entry. Without a stop there is no target. A target that no price can
    /// reach (not above 0, or beyond what a float holds) is `None`.
    #[must_use]
    pub fn of(window: &Window, direction: Direction, bars: u8) -> Option<Self> {
        let newest = window.bar(0)?;
        let entry = newest.close;
        let mut low = newest.low;
        let mut high = newest.high;
        for back in 1..usize::from(bars) {
            let bar = window.bar(back)?;
            low = low.min(bar.low);
            high = high.max(bar.high);
        }
        let stop = match direction {
            Direction::Bullish => Some(low).filter(|&stop| stop < entry),
            Direction::Bearish => Some(high).filter(|&stop| stop > entry),
            Direction::Neutral => None,
        };
        let target = stop.map(|stop| entry + 2.0 * (entry - stop)).filter(|target| target.is_finite() && *target > 0.0);
        Some(Self { entry, stop, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_the_documented_ones_in_their_fixed_order() {
        let ids: Vec<_> = PATTERNS.iter().map(|p| p.id()).collect();
        assert_eq!(
            ids,
            [
                "doji",
                "hammer",
                "hanging_man",
                "shooting_star",
                "engulfing",
                "harami",
                "morning_star",
                "evening_star",
                "volume_spike",
                "high_of_day",
                "low_of_day"
            ]
        );
    }

    #[test]
    fn names_are_the_ids_in_camel_case_and_distinct_in_eight_letters() {
        let mut short = HashSet::new();
        for pattern in PATTERNS {
            let camel: String = pattern.id().split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            assert_eq!(pattern.name(), camel);
            assert!(short.insert(pattern.name().chars().take(8).collect::<String>()), "{camel}");
            assert!(["daily", "intraday", "combo"].contains(&pattern.tier()));
            assert!(!pattern.source().is_empty());
            assert!(pattern.bars_needed() >= 1);
        }
    }
}
