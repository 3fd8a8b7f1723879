//! `Harami`, bullish and bearish.

use super::{BASE, bonus, has_range, matched};
use crate::pattern::{Closing, Direction, Match, Pattern};

/// The newest body lies within the previous one, is at most half of it, and is of the other colour.
///
/// rule: bars 0 and −1 are of opposite colours; max(o, c) < max(o₋₁, c₋₁); min(o, c) > min(o₋₁, c₋₁); B₋₁ ≥ 2B and
/// B ≤ 0.5 · B₋₁ (which say the same). Direction: the colour of bar 0.
///
/// confidence: 0.6, + 0.15 if B/B₋₁ ≤ 0.3 (B > 0, as the colours imply), + 0.10 if h < h₋₁ and l > l₋₁, + 0.10 if
/// B₋₁/R₋₁ > 0.7 (R₋₁ > 0), + 0.05 for the opposite colours, which the rule demands: the least that a match is worth
/// is 0.65.
pub(crate) struct Harami;

impl Pattern for Harami {
    fn id(&self) -> &'static str {
        "harami"
    }

    fn name(&self) -> &'static str {
        "Harami"
    }

    fn bars_needed(&self) -> usize {
        2
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/harami.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let bar = window.bar(0)?;
        let previous = window.bar(1)?;

        let direction = if previous.is_bearish() && bar.is_bullish() {
            Direction::Bullish
        } else if previous.is_bullish() && bar.is_bearish() {
            Direction::Bearish
        } else {
            return None;
        };
        let holds = has_range(&bar)
            && bar.top() < previous.top()
            && bar.bottom() > previous.bottom()
            && previous.body() >= 2.0 * bar.body()
            && bar.body() <= 0.5 * previous.body();

        let score = BASE
            + bonus(bar.body() / previous.body() <= 0.3, 0.15)
            + bonus(bar.high < previous.high && bar.low > previous.low, 0.10)
            + bonus(previous.range() > 0.0 && previous.body() / previous.range() > 0.7, 0.10)
            + 0.05;
        holds.then(|| matched(window, direction, 2, score))?
    }
}
