//! What a pattern is, and the list of all of them.
//!
//! A pattern is a pure function of a symbol's window and session range, evaluated each time a bar closes. Its
//! [`id`](Pattern::id) never changes; its [`name`](Pattern::name) is what the outside world sees.

mod day_extreme;
mod session_range;
mod volume_spike;

pub use session_range::SessionRange;

use serde::{Deserialize, Serialize};

use crate::candle::talib::pattern::TALIB;
use crate::candle::talib::{self, Candles};
use crate::candle::{Doji, Engulfing, EveningStar, Hammer, HangingMan, Harami, MorningStar, ShootingStar};
use crate::candle::{DojiSpec, EngulfingSpec, HammerSpec, HangingManSpec};
use crate::window::Window;
use day_extreme::{HighOfDay, LowOfDay};
use volume_spike::VolumeSpike;

/// Patterns of our own and of `TickStock`, in the order of the `pattern` column.
const OWN: [&dyn Pattern; 11] = [
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

/// What came later, in the order of its coming.
const LATER: [&dyn Pattern; 4] = [&DojiSpec, &HammerSpec, &HangingManSpec, &EngulfingSpec];

/// How many patterns there are.
pub const COUNT: usize = OWN.len() + talib::COUNT + LATER.len();

/// Every pattern, in the order of the `pattern` column: our own, TA-Lib's, what came later. Append only: a
/// position is an identity for as long as rows that hold it live. Of those that share a published name, the first is on
/// unless settings say otherwise.
pub static PATTERNS: [&'static dyn Pattern; COUNT] = {
    let mut all = [OWN[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < OWN.len() {
            OWN[at]
        } else if at < OWN.len() + talib::COUNT {
            &TALIB[at - OWN.len()]
        } else {
            LATER[at - OWN.len() - talib::COUNT]
        };
        at += 1;
    }
    all
};

/// What a pattern can look at when a bar closes.
#[derive(Clone, Copy)]
pub struct Closing<'a> {
    /// The window; its newest bar is the one that closes.
    pub window: &'a Window,
    /// The range of the session's bars before the newest.
    pub session: &'a SessionRange,
    /// What TA-Lib's functions say about the newest bar; `None` if none of them is on.
    pub candles: Option<&'a Candles>,
}

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

    /// TA-Lib's name of the function, if it is one of TA-Lib's.
    fn talib_name(&self) -> Option<&'static str> {
        None
    }

    /// The pattern, if it ends on the bar that closes; `None` if not, and while bars are missing.
    ///
    /// Any finite bars are allowed; nothing returned is infinite or NaN.
    fn detect(&self, at: &Closing<'_>) -> Option<Match>;
}

/// Which way a pattern points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What TA-Lib's function answers; 0 if it is none of TA-Lib's.
    pub talib_value: i32,
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
            ids[..11],
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
        for (id, function) in ids[11..72].iter().zip(&talib::CANDLESTICKS) {
            assert_eq!(*id, format!("cdl_{}", function.name[3..].to_lowercase()));
        }
        assert_eq!(ids[72..], ["doji_spec", "hammer_spec", "hanging_man_spec", "engulfing_spec"]);
    }

    #[test]
    fn names_are_camel_case_and_distinct_in_eight_letters() {
        let mut short = HashSet::new();
        let mut names = HashSet::new();
        for pattern in PATTERNS {
            let name = pattern.name();
            assert!(
                name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
            );
            // A name that is shared is one name.
            let is_new = short.insert(name.chars().take(8).collect::<String>());
            assert_eq!(names.insert(name), is_new, "{name}");
            assert!(["daily", "intraday", "combo"].contains(&pattern.tier()));
            assert!(!pattern.source().is_empty());
            assert!(pattern.bars_needed() >= 1);
        }
        assert_eq!(names.len(), 11 + 61 - 8);
    }
}
