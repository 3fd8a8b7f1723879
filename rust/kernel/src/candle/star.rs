//! `MorningStar` and its mirror image `EveningStar`.

use super::{BASE, bonus, has_range, matched};
use crate::pattern::{Closing, Direction, Match, Pattern};

/// A fall, a pause, and a rise that wins back half of the fall.
///
/// rule: bar −2 is black; B₋₁ ≤ 0.3 · R₋₂; bar 0 is white and c ≥ (max(o₋₂, c₋₂) + min(o₋₂, c₋₂))/2. Bullish. Neither a
/// gap nor a long first body is asked for.
///
/// confidence: 0.6, + 0.15 if h₋₁ < l₋₂, + 0.10 if B₋₁/R₋₂ < 0.2, + 0.10 if B/R > 0.7, + 0.05 if
/// (c − min(o₋₂, c₋₂))/B₋₂ > 0.7.
pub(crate) struct MorningStar;

impl Pattern for MorningStar {
    fn id(&self) -> &'static str {
        "morning_star"
    }

    fn name(&self) -> &'static str {
        "MorningStar"
    }

    fn bars_needed(&self) -> usize {
        3
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bullish]
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/morning_star.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let (first, middle, bar) = (window.bar(2)?, window.bar(1)?, window.bar(0)?);

        let holds = has_range(&bar)
            && first.is_bearish()
            && middle.body() <= 0.3 * first.range()
            && bar.is_bullish()
            && bar.close >= f64::midpoint(first.top(), first.bottom());

        let penetration = (bar.close - first.bottom()) / first.body();
        let score = BASE
            + bonus(middle.high < first.low, 0.15)
            + bonus(middle.body() / first.range() < 0.2, 0.10)
            + bonus(bar.body() / bar.range() > 0.7, 0.10)
            + bonus(penetration > 0.7, 0.05);
        holds.then(|| matched(window, Direction::Bullish, 3, score))?
    }
}

/// A rise, a pause, and a fall that takes back half of the rise.
///
/// rule: bar −2 is white; B₋₁ ≤ 0.3 · R₋₂; bar 0 is black and c ≤ (max(o₋₂, c₋₂) + min(o₋₂, c₋₂))/2. Bearish.
///
/// confidence: 0.6, + 0.15 if l₋₁ > h₋₂, + 0.10 if B₋₁/R₋₂ < 0.2, + 0.10 if B/R > 0.7, + 0.05 if
/// (max(o₋₂, c₋₂) − c)/B₋₂ > 0.7.
pub(crate) struct EveningStar;

impl Pattern for EveningStar {
    fn id(&self) -> &'static str {
        "evening_star"
    }

    fn name(&self) -> &'static str {
        "EveningStar"
    }

    fn bars_needed(&self) -> usize {
        3
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bearish]
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/evening_star.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let (first, middle, bar) = (window.bar(2)?, window.bar(1)?, window.bar(0)?);

        let holds = has_range(&bar)
            && first.is_bullish()
            && middle.body() <= 0.3 * first.range()
            && bar.is_bearish()
            && bar.close <= f64::midpoint(first.top(), first.bottom());

        let penetration = (first.top() - bar.close) / first.body();
        let score = BASE
            + bonus(middle.low > first.high, 0.15)
            + bonus(middle.body() / first.range() < 0.2, 0.10)
            + bonus(bar.body() / bar.range() > 0.7, 0.10)
            + bonus(penetration > 0.7, 0.05);
        holds.then(|| matched(window, Direction::Bearish, 3, score))?
    }
}
