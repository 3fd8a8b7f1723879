//! A number that moves from bar to bar, and what it passes through.

use serde::{Deserialize, Serialize};

/// A number at the newest bar and at the one before it; NaN where there is none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Step {
    /// At the bar before the newest.
    pub was: f64,
    /// At the newest.
    pub is: f64,
}

impl Default for Step {
    fn default() -> Self {
        Self { was: f64::NAN, is: f64::NAN }
    }
}

impl Step {
    /// The next bar's number.
    #[inline]
    pub(super) fn take(&mut self, value: f64) {
        *self = Self { was: self.is, is: value };
    }

    /// Was on or below `level` and is above it: so a touch does not fire twice. Never for NaN.
    #[inline]
    #[must_use]
    pub fn rises_through(&self, level: f64) -> bool {
        self.was <= level && self.is > level
    }

    /// Was on or above `level` and is below it.
    #[inline]
    #[must_use]
    pub fn falls_through(&self, level: f64) -> bool {
        self.was >= level && self.is < level
    }

    /// 1 if it rises through `level`, −1 if it falls through it, else 0.
    #[inline]
    #[must_use]
    pub fn crosses(&self, level: f64) -> i8 {
        i8::from(self.rises_through(level)) - i8::from(self.falls_through(level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_is_no_crossing_and_leaving_the_level_is_one() {
        let crosses = |was, is| Step { was, is }.crosses(0.0);
        assert_eq!([crosses(-1.0, 0.0), crosses(0.0, 1.0), crosses(-1.0, 1.0)], [0, 1, 1]);
        assert_eq!([crosses(1.0, 0.0), crosses(0.0, -1.0), crosses(1.0, 2.0), crosses(0.0, 0.0)], [0, -1, 0, 0]);
        assert_eq!([crosses(f64::NAN, 1.0), crosses(-1.0, f64::NAN)], [0, 0]);
    }
}
