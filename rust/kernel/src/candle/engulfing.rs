//! `Engulfing`, bullish and bearish.

use super::{BASE, bonus, has_range, matched};
use crate::pattern::{Closing, Direction, Match, Pattern};

/// The newest body covers the previous one, and is of the other colour.
///
/// rule: bars 0 and −1 are of opposite colours; max(o, c) > max(o₋₁, c₋₁); min(o, c) < min(o₋₁, c₋₁); B ≥ 1.0 · B₋₁
/// (which the two before it imply). Direction: the colour of bar 0.
///
/// confidence: 0.6, + 0.15 if B/B₋₁ ≥ 1.5, + 0.10 if h > h₋₁ and l < l₋₁, + 0.10 if v > v₋₁, + 0.05 for the opposite
/// colours, which the rule demands: the least that a match is worth is 0.65.
pub(crate) struct Engulfing;

impl Pattern for Engulfing {
    fn id(&self) -> &'static str {
        "engulfing"
    }

    fn name(&self) -> &'static str {
        "Engulfing"
    }

    fn bars_needed(&self) -> usize {
        2
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/engulfing.py@864dd0c"
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
            && bar.top() > previous.top()
            && bar.bottom() < previous.bottom()
            && bar.body() >= 1.0 * previous.body();

        let score = BASE
            + bonus(bar.body() / previous.body() >= 1.5, 0.15)
            + bonus(bar.high > previous.high && bar.low < previous.low, 0.10)
            + bonus(bar.volume > previous.volume, 0.10)
            + 0.05;
        holds.then(|| matched(window, direction, 2, score))?
    }
}
