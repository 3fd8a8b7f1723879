//! `Doji`.

use super::{has_range, matched};
use crate::pattern::{Closing, Direction, Match, Pattern};

/// Largest body, as a share of the range.
const BODY: f64 = 0.10;

/// Open and close are nearly equal: nobody won.
///
/// rule: B/R < 0.10. Neutral.
///
/// confidence: (1 − (B/R)/0.10) + 0.15 · (1 − |U−L|/R). It is not kept above 0.6: a body near the threshold under
/// lopsided shadows is worth next to nothing.
pub(crate) struct Doji;

impl Pattern for Doji {
    fn id(&self) -> &'static str {
        "doji"
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
        "TickStockAppV2 src/analysis/patterns/candlestick/doji.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let bar = window.bar(0)?;
        let range = bar.range();
        let body_share = bar.body() / range;

        let holds = has_range(&bar) && body_share < BODY;

        let smallness = 1.0 - body_share / BODY;
        let symmetry = 1.0 - (bar.upper() - bar.lower()).abs() / range;
        holds.then(|| matched(window, Direction::Neutral, 1, smallness + symmetry * 0.15))?
    }
}
