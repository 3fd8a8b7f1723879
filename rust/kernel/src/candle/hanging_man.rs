//! `HangingMan`.

use super::hammer::Pin;
use super::{bonus, matched};
use crate::pattern::{Closing, Direction, Match, Pattern};

/// The hammer's shape after a rise: sellers showed up.
///
/// rule: the shape of [`Hammer`](super::Hammer), and c > mean of the 3 previous closes. Bearish.
///
/// confidence: 0.6, + 0.15 if L/B ≥ 3 (B > 0), + 0.10 if U/R < 0.05, + 0.10 if c < o, + 0.05 if
/// (c − min)/(max − min + 0.0001) > 0.8 over the 3 previous closes.
///
/// The same bar can be a Hammer: the source does not ask a Hammer for a fall before it.
pub(crate) struct HangingMan;

impl Pattern for HangingMan {
    fn id(&self) -> &'static str {
        "hanging_man"
    }

    fn name(&self) -> &'static str {
        "HangingMan"
    }

    fn bars_needed(&self) -> usize {
        4
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bearish]
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 src/analysis/patterns/candlestick/hanging_man.py@864dd0c"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let bar = window.bar(0)?;
        let closes = [window.bar(3)?.close, window.bar(2)?.close, window.bar(1)?.close];
        let [oldest, middle, newest] = closes;
        let pin = Pin::down(&bar);

        let holds = pin.holds() && bar.close > (oldest + middle + newest) / 3.0;

        let max = closes.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let min = closes.into_iter().fold(f64::INFINITY, f64::min);
        let strength = (bar.close - min) / (max - min + 0.0001);
        let score = pin.score(bar.is_bearish()) + bonus(strength > 0.8, 0.05);
        holds.then(|| matched(window, Direction::Bearish, 4, score))?
    }
}
