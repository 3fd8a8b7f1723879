//! Breakouts from the channel of the last 20 bars.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::study::{CHANNEL_BARS, Edge};

const SOURCE: &str = "Donchian's channel of 20 bars (Donchian, 1960); confidence and levels are ours";

/// A bar's high is above the highs of the 20 bars before it (its low below their lows).
///
/// rule: h > max(h₋₁ … h₋₂₀). A tie does not fire, nor do the five bars after a firing. `NewHigh20` is bullish, `NewLow20`,
/// the mirror image, bearish.
///
/// confidence: q = (h − top)/a. stop = the channel's middle, target = close + the channel's height, invalidation = top − 0.5a.
pub(super) struct NewExtreme {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) direction: Direction,
}

impl Pattern for NewExtreme {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        CHANNEL_BARS + 1
    }

    fn directions(&self) -> &'static [Direction] {
        self.direction.alone()
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn points(&self) -> &'static [&'static str] {
        &["level", "break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (study, atr) = at.measured()?;
        let bar = at.window.bar(0)?;
        let edges = study.channel().edges()?;
        let beyond = beyond(self.direction, bar.high, bar.low, &edges);
        (beyond > 0.0).then(|| broken(at, self.direction, &edges, beyond / atr, atr))?
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        explained(at, found)
    }
}

/// A close leaves the channel of the 20 bars before it.
///
/// rule: c > max(h₋₁ … h₋₂₀), and c₋₁ ≤ max(h₋₂ … h₋₂₁): not while it stays outside. Bullish; the mirror image is bearish.
///
/// confidence: q = (c − top)/a. Levels as of `NewHigh20`.
pub(super) struct DonchianBreakout;

impl Pattern for DonchianBreakout {
    fn id(&self) -> &'static str {
        "donchian_breakout"
    }

    fn name(&self) -> &'static str {
        "DonchianBO"
    }

    fn bars_needed(&self) -> usize {
        CHANNEL_BARS + 2
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn points(&self) -> &'static [&'static str] {
        &["level", "break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (study, atr) = at.measured()?;
        let (bar, before) = (at.window.bar(0)?, at.window.bar(1)?);
        let (edges, previous) = (study.channel().edges()?, study.channel().previous()?);
        [Direction::Bullish, Direction::Bearish].into_iter().find_map(|direction| {
            let now = beyond(direction, bar.close, bar.close, &edges);
            let is_fresh = beyond(direction, before.close, before.close, &previous) <= 0.0;
            (now > 0.0 && is_fresh).then(|| broken(at, direction, &edges, now / atr, atr))?
        })
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        explained(at, found)
    }
}

/// How far a price is out of the channel on a side: `high` above its top, `low` below its bottom.
fn beyond(direction: Direction, high: f64, low: f64, [top, bottom]: &[Edge; 2]) -> f64 {
    if direction == Direction::Bullish { high - top.price } else { bottom.price - low }
}

fn broken(at: &Closing<'_>, direction: Direction, edges: &[Edge; 2], q: f64, atr: f64) -> Option<Match> {
    let entry = at.window.bar(0)?.close;
    let [top, bottom] = edges.map(|edge| edge.price);
    let (sign, edge) = if direction == Direction::Bullish { (1.0, top) } else { (-1.0, bottom) };
    let levels = Levels::given(entry, direction, f64::midpoint(top, bottom), entry + sign * (top - bottom))
        .void(edge - sign * 0.5 * atr);
    graded(direction, q, CHANNEL_BARS as u16 + 1, levels)
}

fn explained(at: &Closing<'_>, found: &Match) -> Explained {
    let mut said = Explained::graded(found);
    let side = usize::from(found.direction == Direction::Bearish);
    let edge = at.study.and_then(|study| study.channel().edges()).map(|edges| edges[side]);
    if let Some((edge, bar)) = edge.and_then(|edge| Some((edge, at.window.bar(edge.back)?))) {
        said.point(bar.ts_us, edge.price);
    }
    said.break_at(at);
    said
}
