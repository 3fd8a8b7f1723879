//! `HighVolumeSurge`.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};

/// Bars over which the price must have moved, and of which most must have traded much.
const BARS: usize = 5;
const LEAST_BUSY: u32 = 3;

/// The price moves on several busy bars.
///
/// rule: at least 3 of the last 5 bars traded 1.5 times the mean of the 20 bars before each, and |c − c₋₅| ≥ 1.5a. In the
/// direction of the move. The five bars after a firing are silent.
///
/// confidence: q = |c − c₋₅|/(1.5a) − 1. stop and target as of a figure of 5 bars.
pub(super) struct HighVolumeSurge;

impl Pattern for HighVolumeSurge {
    fn id(&self) -> &'static str {
        "high_volume_surge"
    }

    fn name(&self) -> &'static str {
        "HighVolumeSurge"
    }

    fn bars_needed(&self) -> usize {
        20 + BARS
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 fallback_pattern_detector.py: High_Volume_Surge, there of single ticks; the rule on bars is ours"
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["move"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (study, atr) = at.measured()?;
        let (bar, from) = (at.window.bar(0)?, at.window.bar(BARS)?);
        let way = bar.close - from.close;
        if study.busy_bars() < LEAST_BUSY || way.abs() < 1.5 * atr {
            return None;
        }
        let direction = if way > 0.0 { Direction::Bullish } else { Direction::Bearish };
        graded(direction, way.abs() / (1.5 * atr) - 1.0, BARS as u16, Levels::of(at.window, direction, BARS as u16)?)
    }

    fn explain(&self, _: &Closing<'_>, found: &Match) -> Explained {
        Explained::graded(found)
    }
}
