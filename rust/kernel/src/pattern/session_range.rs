//! The range of a session so far.

use serde::{Deserialize, Serialize};

use super::opening_range::OpeningRanges;
use crate::window::WindowBar;

/// High and low of a session's bars BEFORE the current one, and of its first minutes.
///
/// `push` each bar after its patterns were looked for. A copy restores the state for bars that are taken back. O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionRange {
    opened_us: Option<i64>,
    high: f64,
    low: f64,
    bars: u32,
    opening: OpeningRanges,
}

impl SessionRange {
    /// A session of which no bar has closed yet, by its open in µs.
    #[must_use]
    pub fn opened(opened_us: Option<i64>) -> Self {
        Self { opened_us, ..Self::default() }
    }

    /// When the session opened, µs.
    #[must_use]
    pub fn opened_us(&self) -> Option<i64> {
        self.opened_us
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

    /// The ranges of its first minutes.
    #[must_use]
    pub fn opening(&self) -> &OpeningRanges {
        &self.opening
    }

    /// Take in a bar whose patterns have been looked for. Every bar widens the range, flagged ones too.
    pub fn push(&mut self, bar: &WindowBar) {
        self.high = self.high().map_or(bar.high, |high| high.max(bar.high));
        self.low = self.low().map_or(bar.low, |low| low.min(bar.low));
        self.bars = self.bars.saturating_add(1);
        if let Some(opened_us) = self.opened_us {
            self.opening.push(bar, opened_us);
        }
    }
}
