//! Closes that rise, or fall, along a line.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::study::Study;
use crate::study::trend::{BARS, product};
use crate::window::Window;

/// What makes the line steep enough.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Steep {
    /// 0.15a a bar, and R² above 0.7.
    Measured,
    /// 0.01 a bar, in price, as `TickStock`'s earlier specification has it.
    Absolute,
}

/// The last 10 closes lie along a line that rises (falls).
///
/// rule: with s the slope of the least squares line through the last 10 closes, s/a > 0.15 and R² > 0.7. `TrendingUp` is
/// bullish, `TrendingDown`, with −s, bearish. The rules of the earlier specification, under the same names, ask for
/// s > 0.01 in price alone. The five bars after a firing are silent.
///
/// confidence: q = the geometric mean of s/(0.15a) − 1 and (R² − 0.7)/0.3; of the earlier rule s/0.01 − 1. stop and target
/// as of a figure of 10 bars.
pub(super) struct Trending {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) direction: Direction,
    pub(super) steep: Steep,
}

impl Trending {
    /// Of the slope and of the fit; the earlier rule does not ask for one.
    fn margins(&self, at: &Closing<'_>) -> Option<(f64, Option<f64>)> {
        let known = at.study.and_then(Study::trend);
        let product = known.or_else(|| product(at.window.view()))?;
        let slope = f64::from(self.direction as i8) * product / ACROSS;
        if self.steep == Steep::Absolute {
            return (slope > 0.01).then(|| ((slope / 0.01 - 1.0).min(1.0), None));
        }
        let (_, atr) = at.measured()?;
        if slope <= 0.15 * atr {
            return None;
        }
        let fit = fit(at.window, product)?;
        (fit > 0.7).then(|| ((slope / (0.15 * atr) - 1.0).min(1.0), Some(((fit - 0.7) / 0.3).min(1.0))))
    }
}

/// Σ of the squared distances of the bars from their middle.
const ACROSS: f64 = (BARS * (BARS * BARS - 1)) as f64 / 12.0;

/// R² of that line; 0 where all closes are equal.
fn fit(window: &Window, product: f64) -> Option<f64> {
    let newest = window.bar(0)?.close;
    let mut sums = [0.0; 2];
    for back in 0..BARS {
        let y = window.bar(back)?.close - newest;
        sums = [sums[0] + y, sums[1] + y * y];
    }
    let spread = sums[1] - sums[0] * sums[0] / BARS as f64;
    Some(if spread > 0.0 { product * product / (ACROSS * spread) } else { 0.0 })
}

impl Pattern for Trending {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        if self.steep == Steep::Measured { 14 } else { BARS }
    }

    fn directions(&self) -> &'static [Direction] {
        self.direction.alone()
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 docs/planning/patterns_library_patterns.md: TrendingUp, TrendingDown; the measure in a, R², confidence and \
         cooldown are ours"
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn needs_study(&self) -> bool {
        self.steep == Steep::Measured
    }

    fn conditions(&self) -> &'static [&'static str] {
        if self.steep == Steep::Measured { &["slope", "fit"] } else { &["slope"] }
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (slope, fit) = self.margins(at)?;
        let q = fit.map_or(slope, |fit| (slope * fit).sqrt());
        graded(self.direction, q, BARS as u16, Levels::of(at.window, self.direction, BARS as u16)?)
    }

    fn explain(&self, at: &Closing<'_>, _: &Match) -> Explained {
        let mut said = Explained::default();
        if let Some((slope, fit)) = self.margins(at) {
            said.margins(&[slope]);
            said.margins(fit.as_slice());
        }
        said
    }
}
