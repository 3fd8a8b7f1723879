//! `ClosedInTopRange` and its mirror image `ClosedInBottomRange`.

use super::matched;
use super::spec::{SOURCE, scored};
use crate::pattern::{Closing, Direction, Match, Pattern};

/// The bar closes in the top (bottom) tenth of its range.
///
/// rule: c ≥ h − 0.10 · R, R ≥ 0.02 in price. Bullish. `ClosedInBottomRange`: c ≤ l + 0.10 · R. Bearish.
///
/// confidence: q = 0.5 − 0.5 · (h − c)/(0.10 · R): no more than 0.75, as a sixth of all bars closes so.
pub(crate) struct ClosedInRange {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) direction: Direction,
}

impl Pattern for ClosedInRange {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        self.direction.alone()
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let bar = at.window.bar(0)?;
        let range = bar.range();
        let (holds, off) = if self.direction == Direction::Bullish {
            (bar.close >= bar.high - 0.10 * range, bar.high - bar.close)
        } else {
            (bar.close <= bar.low + 0.10 * range, bar.close - bar.low)
        };
        let holds = holds && (0.02..=f64::MAX).contains(&range);
        holds.then(|| matched(at.window, self.direction, 1, scored(0.5 - 0.5 * off / (0.10 * range))))?
    }
}
