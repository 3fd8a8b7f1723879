//! The range of a session so far, and when its extremes were last reported.

use serde::{Deserialize, Serialize};

use crate::window::WindowBar;

/// Bars after a new extreme of the day during which no further one on that side is reported: in a steady climb every
/// bar makes a new high, and one event says it.
const COOLDOWN_BARS: u8 = 5;

/// High and low of a session's bars BEFORE the current one, with the cooldown of each side.
///
/// `push` each bar after its patterns were looked for; `reset` at the session's open. A copy restores the state for
/// bars that are taken back. O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionRange {
    high: f64,
    low: f64,
    bars: u32,
    high_rest: u8,
    low_rest: u8,
}

impl SessionRange {
    /// A session of which no bar has closed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Highest price of the session's bars so far; `None` before its first bar.
    #[must_use]
    pub fn high(&self) -> Option<f64> {
        (self.bars > 0).then_some(self.high)
    }

    /// Lowest price of the session's bars so far; `None` before its first bar.
    #[must_use]
    pub fn low(&self) -> Option<f64> {
        (self.bars > 0).then_some(self.low)
    }

    /// Bars of the session so far.
    #[must_use]
    pub fn bars(&self) -> u32 {
        self.bars
    }

    /// The session high that `bar` exceeds, if that is to be reported.
    ///
    /// A tie does not exceed; the five bars after a report are silent; a bar flagged incomplete is never reported, so
    /// it starts no silence either.
    #[must_use]
    pub fn exceeded_high(&self, bar: &WindowBar) -> Option<f64> {
        self.high().filter(|&high| bar.high > high && self.high_rest == 0 && bar.is_complete())
    }

    /// The mirror image: the session low that `bar` undercuts, if that is to be reported.
    #[must_use]
    pub fn exceeded_low(&self, bar: &WindowBar) -> Option<f64> {
        self.low().filter(|&low| bar.low < low && self.low_rest == 0 && bar.is_complete())
    }

    /// Take in a bar whose patterns have been looked for. Every bar widens the range, flagged ones too.
    pub fn push(&mut self, bar: &WindowBar) {
        let rest = |reported: bool, left: u8| {
            if reported { COOLDOWN_BARS } else { left.saturating_sub(1) }
        };
        self.high_rest = rest(self.exceeded_high(bar).is_some(), self.high_rest);
        self.low_rest = rest(self.exceeded_low(bar).is_some(), self.low_rest);
        self.high = self.high().map_or(bar.high, |high| high.max(bar.high));
        self.low = self.low().map_or(bar.low, |low| low.min(bar.low));
        self.bars = self.bars.saturating_add(1);
    }

    /// A new session: nothing is known of it, and nothing is left of the silence.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
