//! The rules of `TickStock`'s earlier specification, for those who want them under the same names.
//!
//! Source: `TickStockAppV2`, `docs/planning/patterns_library_patterns.md`, at 4ac55ce. Its confidences are not told;
//! here 0.5 + 0.5 · q, where q is 0 at the threshold and 1 for the clearest figure.

use super::matched;
use crate::pattern::{Closing, Direction, Match, Pattern};
use crate::window::WindowBar;

pub(super) const SOURCE: &str = "TickStockAppV2 docs/planning/patterns_library_patterns.md@4ac55ce; confidence is ours";

/// 0.5 + 0.5 · q.
pub(super) fn scored(q: f64) -> f64 {
    0.5 + 0.5 * q
}

/// rule: B ≤ 0.01 · R and R ≥ 0.01. Neutral.
///
/// confidence: q = 1 − (B/R)/0.01.
pub(crate) struct DojiSpec;

impl Pattern for DojiSpec {
    fn id(&self) -> &'static str {
        "doji_spec"
    }

    fn name(&self) -> &'static str {
        "Doji"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Neutral]
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let bar = at.window.bar(0)?;
        let holds = (0.01..=f64::MAX).contains(&bar.range()) && bar.body() <= 0.01 * bar.range();
        holds.then(|| matched(at.window, Direction::Neutral, 1, scored(1.0 - bar.body() / bar.range() / 0.01)))?
    }
}

/// L ≥ 2 · B, U < B, B ≥ 0.01: then q = √((1 − 2B/L) · (1 − U/B)).
fn pin(bar: &WindowBar) -> Option<f64> {
    let (body, upper, lower) = (bar.body(), bar.upper(), bar.lower());
    let holds = lower >= 2.0 * body && upper < body && (0.01..=f64::MAX).contains(&body) && lower <= f64::MAX;
    holds.then(|| ((1.0 - 2.0 * body / lower) * (1.0 - upper / body)).sqrt())
}

/// rule: L ≥ 2 · B, U < B, B ≥ 0.01. Bullish.
///
/// confidence: q = √((1 − 2B/L) · (1 − U/B)).
pub(crate) struct HammerSpec;

impl Pattern for HammerSpec {
    fn id(&self) -> &'static str {
        "hammer_spec"
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
        SOURCE
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let q = pin(&at.window.bar(0)?)?;
        matched(at.window, Direction::Bullish, 1, scored(q))
    }
}

/// The same figure as `HammerSpec`, read the other way: the specification has no test of the trend.
///
/// rule: L ≥ 2 · B, U < B, B ≥ 0.01. Bearish.
///
/// confidence: q = √((1 − 2B/L) · (1 − U/B)).
pub(crate) struct HangingManSpec;

impl Pattern for HangingManSpec {
    fn id(&self) -> &'static str {
        "hanging_man_spec"
    }

    fn name(&self) -> &'static str {
        "HangingMan"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bearish]
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let q = pin(&at.window.bar(0)?)?;
        matched(at.window, Direction::Bearish, 1, scored(q))
    }
}

/// rule: opposite colours, the older body within the newer one (ends may touch), B ≥ 1.1 · B₋₁. In the newer bar's
/// direction.
///
/// confidence: q = min(1, B/(1.1 · B₋₁) − 1).
pub(crate) struct EngulfingSpec;

impl Pattern for EngulfingSpec {
    fn id(&self) -> &'static str {
        "engulfing_spec"
    }

    fn name(&self) -> &'static str {
        "Engulfing"
    }

    fn bars_needed(&self) -> usize {
        2
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (before, bar) = (at.window.bar(1)?, at.window.bar(0)?);
        let direction = match (before.is_bearish() && bar.is_bullish(), before.is_bullish() && bar.is_bearish()) {
            (true, _) => Direction::Bullish,
            (_, true) => Direction::Bearish,
            _ => return None,
        };
        let least = 1.1 * before.body();
        let holds = bar.bottom() <= before.bottom() && bar.top() >= before.top() && bar.body() >= least;
        holds.then(|| matched(at.window, direction, 2, scored((bar.body() / least - 1.0).min(1.0))))?
    }
}
