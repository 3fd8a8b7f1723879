//! `HighOfDay` and its mirror image `LowOfDay`.

use super::{Closing, Direction, Levels, Match, Pattern};
use crate::timeframe::Timeframe;

const SOURCE: &str =
    "TickStockAppV2 docs/planning/patterns_library_patterns.md: HighOfDay, LowOfDay; confidence and cooldown are ours";

/// The bar's high is above the high of all earlier bars of the session.
///
/// rule: h > session high of the bars before it. A tie does not fire, nor does the session's first bar, nor the five
/// bars after a firing. Bullish.
///
/// confidence: 0.5 + 0.5 · min(1, (h − old high) / R): 0.5 for a touch, 1 if the whole bar lies above. A bar without a
/// range lies wholly above: 1.
pub(super) struct HighOfDay;

impl Pattern for HighOfDay {
    fn id(&self) -> &'static str {
        "high_of_day"
    }

    fn name(&self) -> &'static str {
        "HighOfDay"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bullish]
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour4
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.flags()
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (window, session) = (at.window, at.session);
        let bar = window.bar(0)?;
        let old_high = session.high().filter(|&high| bar.high > high)?;
        Some(Match {
            direction: Direction::Bullish,
            confidence: share_beyond(bar.high - old_high, bar.range()),
            bars: 1,
            levels: Levels::of(window, Direction::Bullish, 1)?,
            talib_value: 0,
        })
    }
}

/// The mirror image of [`HighOfDay`]: the bar's low is below the low of all earlier bars of the session.
///
/// rule: l < session low of the bars before it. A tie does not fire, nor does the session's first bar, nor the five bars
/// after a firing. Bearish.
///
/// confidence: 0.5 + 0.5 · min(1, (old low − l) / R); 1 for a bar without a range.
pub(super) struct LowOfDay;

impl Pattern for LowOfDay {
    fn id(&self) -> &'static str {
        "low_of_day"
    }

    fn name(&self) -> &'static str {
        "LowOfDay"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bearish]
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour4
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.flags()
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (window, session) = (at.window, at.session);
        let bar = window.bar(0)?;
        let old_low = session.low().filter(|&low| bar.low < low)?;
        Some(Match {
            direction: Direction::Bearish,
            confidence: share_beyond(old_low - bar.low, bar.range()),
            bars: 1,
            levels: Levels::of(window, Direction::Bearish, 1)?,
            talib_value: 0,
        })
    }
}

/// 0.5 + 0.5 · min(1, excess / range); 1 where there is no range.
fn share_beyond(excess: f64, range: f64) -> f64 {
    if range > 0.0 { 0.5 + 0.5 * (excess / range).min(1.0) } else { 1.0 }
}
