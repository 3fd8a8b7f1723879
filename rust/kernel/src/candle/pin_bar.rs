//! `PinBar`.

use crate::pattern::{Closing, Direction, EQUAL, Explained, Levels, Match, Pattern, graded};

/// A long tail that the price came back from.
///
/// rule: tail ≥ 2/3 · R, B ≤ R/3, the whole body in the outer third opposite to the tail, R ≥ 0.8a; what differs by at most
/// 10⁻⁹ · c is equal. With the tail below bullish, above bearish.
///
/// confidence: q = the geometric mean of (tail/R − 2/3)/(1/3) and R/(0.8a) − 1. stop = the tail's end, target as of a figure
/// of 1 bar.
pub(crate) struct PinBar;

impl PinBar {
    fn margins(at: &Closing<'_>) -> Option<(Direction, [f64; 2])> {
        let (_, atr) = at.measured()?;
        let bar = at.window.bar(0)?;
        let range = bar.range();
        let third = range / 3.0;
        // Bars of whole cents often lie exactly on a threshold, and their prices' differences do not.
        let same = EQUAL * bar.close;
        let is_wide = range - 0.8 * atr >= -same && bar.body() - third <= same;
        let (direction, tail, is_outer) = if bar.lower() >= bar.upper() {
            (Direction::Bullish, bar.lower(), bar.bottom() - (bar.high - third) >= -same)
        } else {
            (Direction::Bearish, bar.upper(), bar.top() - (bar.low + third) <= same)
        };
        let holds = is_wide && is_outer && tail - 2.0 * third >= -same;
        holds.then(|| (direction, [(tail - 2.0 * third) / third, range / (0.8 * atr) - 1.0].map(|m| m.clamp(0.0, 1.0))))
    }
}

impl Pattern for PinBar {
    fn id(&self) -> &'static str {
        "pin_bar"
    }

    fn name(&self) -> &'static str {
        "PinBar"
    }

    fn parameters(&self) -> &'static str {
        "2"
    }

    fn bars_needed(&self) -> usize {
        14
    }

    fn source(&self) -> &'static str {
        "TickStock's list of intraday patterns: pin bar; Pring's \"Pinocchio bar\", the measures are ours"
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["tail", "range"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (direction, [tail, range]) = Self::margins(at)?;
        graded(direction, (tail * range).sqrt(), 1, Levels::of(at.window, direction, 1)?)
    }

    fn explain(&self, at: &Closing<'_>, _: &Match) -> Explained {
        let mut said = Explained::default();
        said.margins(&Self::margins(at).map_or([0.0; 2], |(_, margins)| margins));
        said
    }
}
