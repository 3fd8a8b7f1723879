//! The average true range, the unit of every tolerance.

use serde::{Deserialize, Serialize};

use crate::window::WindowBar;

/// Bars that the average looks back on.
const PERIOD: u32 = 14;

/// The least average range that anything is measured by, as a share of the price.
const LEAST: f64 = 1e-5;

/// a: the average true range over 14 bars, in price.
///
/// The first 14 values are the mean of the ranges so far, then a + (r − a)/14. The first bar of a session has the range
/// h − l: a gap overnight is not how far the price moves in a bar.
///
/// Source: Wilder (1978), New Concepts in Technical Trading Systems; his mean begins with the 14th range.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct AverageRange {
    mean: f64,
    close: f64,
    seen: u32,
}

impl AverageRange {
    pub(super) fn push(&mut self, bar: &WindowBar) {
        let range = if self.seen == 0 || bar.opens_session() {
            bar.range()
        } else {
            bar.range().max((bar.high - self.close).abs()).max((bar.low - self.close).abs())
        };
        self.seen = self.seen.saturating_add(1);
        self.mean += (range - self.mean) / f64::from(self.seen.min(PERIOD));
        self.close = bar.close;
    }

    /// a at the newest bar; 0 before the first one.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// a, if there are as many bars and it is one: on a price that stands still it goes to nothing, and the last bits of
    /// averages would be moves.
    pub(super) fn measure(&self) -> Option<f64> {
        (self.seen >= PERIOD && self.mean > LEAST * self.close).then_some(self.mean)
    }
}
