//! `Hammer` and its mirror image `ShootingStar`, with the shape that they and `HangingMan` share.

use super::{BASE, bonus, has_range, matched};
use crate::pattern::{Closing, Direction, Match, Pattern};
use crate::window::WindowBar;

/// A small body at one end of the range, a long shadow (the tail) on one side of it, next to nothing (the nose) on the
/// other.
pub(super) struct Pin {
    body: f64,
    range: f64,
    tail: f64,
    nose: f64,
    in_range: bool,
}

impl Pin {
    /// The tail points down: L is the tail, U the nose.
    pub(super) fn down(bar: &WindowBar) -> Self {
        Self { body: bar.body(), range: bar.range(), tail: bar.lower(), nose: bar.upper(), in_range: has_range(bar) }
    }

    /// The tail points up: U is the tail, L the nose.
    pub(super) fn up(bar: &WindowBar) -> Self {
        Self { body: bar.body(), range: bar.range(), tail: bar.upper(), nose: bar.lower(), in_range: has_range(bar) }
    }

    /// tail ≥ 2B, nose/R < 0.1, tail/R > 0.6, B/R < 0.3.
    pub(super) fn holds(&self) -> bool {
        self.in_range
            && self.tail >= 2.0 * self.body
            && self.nose / self.range < 0.1
            && self.tail / self.range > 0.6
            && self.body / self.range < 0.3
    }

    /// 0.6, + 0.15 if tail/B ≥ 3 (B > 0), + 0.10 if nose/R < 0.05, + 0.10 if the colour points the pattern's way.
    pub(super) fn score(&self, colour: bool) -> f64 {
        BASE + bonus(self.body > 0.0 && self.tail / self.body >= 3.0, 0.15)
            + bonus(self.nose / self.range < 0.05, 0.10)
            + bonus(colour, 0.10)
    }
}

/// Sellers drove the price far down and buyers brought it back.
///
/// rule: L ≥ 2B, U/R < 0.1, L/R > 0.6, B/R < 0.3. Bullish. There is no trend test.
///
/// confidence: 0.6, + 0.15 if L/B ≥ 3 (B > 0), + 0.10 if U/R < 0.05, + 0.10 if c > o.
pub(crate) struct Hammer;

impl Pattern for Hammer {
    fn id(&self) -> &'static str {
        "hammer"
    }

    fn name(&self) -> &'static str {
        "Hammer"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bullish]
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/hammer.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let bar = window.bar(0)?;
        let pin = Pin::down(&bar);
        let score = pin.score(bar.is_bullish());
        pin.holds().then(|| matched(window, Direction::Bullish, 1, score))?
    }
}

/// Buyers drove the price far up and sellers brought it back.
///
/// rule: U ≥ 2B, L/R < 0.1, U/R > 0.6, B/R < 0.3. Bearish. There is no trend test.
///
/// confidence: 0.6, + 0.15 if U/B ≥ 3 (B > 0), + 0.10 if L/R < 0.05, + 0.10 if c < o.
pub(crate) struct ShootingStar;

impl Pattern for ShootingStar {
    fn id(&self) -> &'static str {
        "shooting_star"
    }

    fn name(&self) -> &'static str {
        "ShootingStar"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bearish]
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/shooting_star.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let bar = window.bar(0)?;
        let pin = Pin::up(&bar);
        let score = pin.score(bar.is_bearish());
        pin.holds().then(|| matched(window, Direction::Bearish, 1, score))?
    }
}
