//! `Day1Breakout`.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::time::MINUTE_US;
use crate::timeframe::Timeframe;

/// Bars of the mean volume; the newest is not one of them.
const MEAN_BARS: usize = 50;

/// Minutes after the open in which it is looked for: until noon, for a session from 09:30.
const LAST_MINUTE: i64 = 150;

/// A close beyond the last 20 bars in a session's morning, on much volume.
///
/// rule: within 150 minutes of the session's open, c > max(h₋₁ … h₋₂₀) and v > 1.5 times the mean volume of the 50 bars
/// before. Bullish; the mirror image is bearish. The five bars after a firing are silent.
///
/// confidence: q = the geometric mean of (c − top)/a and v/(1.5 · mean) − 1. stop = the channel's middle, target = close +
/// the channel's height, invalidation = top − 0.5a.
pub(super) struct Day1Breakout;

impl Pattern for Day1Breakout {
    fn id(&self) -> &'static str {
        "day1_breakout"
    }

    fn name(&self) -> &'static str {
        "Day1Breakout"
    }

    fn bars_needed(&self) -> usize {
        MEAN_BARS + 1
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour1
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 docs/planning/patterns_library_patterns.md: Day1Breakout, its hours 9 to 12 as the session's first \
         150 minutes; confidence, levels and cooldown are ours"
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn points(&self) -> &'static [&'static str] {
        &["break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond", "volume"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let bar = at.window.bar(0)?;
        let minute = bar.ts_us.saturating_sub(at.session.opened_us()?) / MINUTE_US;
        if minute >= LAST_MINUTE {
            return None;
        }
        let (study, atr) = at.measured()?;
        let [top, bottom] = study.channel().edges()?.map(|edge| edge.price);
        let (direction, edge, sign) = match (bar.close > top, bar.close < bottom) {
            (true, _) => (Direction::Bullish, top, 1.0),
            (_, true) => (Direction::Bearish, bottom, -1.0),
            _ => return None,
        };
        let (least, volume) = (1.5 * at.window.mean_volume(1, MEAN_BARS)?, bar.volume as f64);
        if least <= 0.0 || volume <= least {
            return None;
        }
        let [beyond, louder] = margins(sign * (bar.close - edge) / atr, volume / least);
        let levels = Levels::given(bar.close, direction, f64::midpoint(top, bottom), bar.close + sign * (top - bottom))
            .void(edge - sign * 0.5 * atr);
        graded(direction, (beyond * louder).sqrt(), MEAN_BARS as u16 + 1, levels)
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        let mut said = Explained::default();
        let parts = || {
            let (study, atr) = at.measured()?;
            let bar = at.window.bar(0)?;
            let [top, bottom] = study.channel().edges()?.map(|edge| edge.price);
            let beyond = if found.direction == Direction::Bullish { bar.close - top } else { bottom - bar.close };
            Some(margins(beyond / atr, bar.volume as f64 / (1.5 * at.window.mean_volume(1, MEAN_BARS)?)))
        };
        said.margins(&parts().unwrap_or_default());
        said.break_at(at);
        said
    }
}

fn margins(beyond: f64, times: f64) -> [f64; 2] {
    [beyond.clamp(0.0, 1.0), (times - 1.0).clamp(0.0, 1.0)]
}
