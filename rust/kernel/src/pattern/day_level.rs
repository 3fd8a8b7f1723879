//! Breakouts from the range of the last day and of the last week.

use super::session_range::Level;
use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::timeframe::Timeframe;

/// A close leaves the range of the session before (of the week before).
///
/// rule: c > high and c₋₁ ≤ high, the first such close of the session; high that of the session before, or of the sessions of the
/// week before. Bullish; below the low bearish. Not where the session opened more than 35 % from the last close: prices before a
/// split are not comparable, and of the week with one nobody knows the range; nor where the session before broke off.
///
/// confidence: q = (c − high)/a. stop = high − a, target = high + the range's height, invalidation = high.
pub(super) struct LevelBreakout {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) of: Level,
}

impl Pattern for LevelBreakout {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> &'static str {
        "2"
    }

    fn bars_needed(&self) -> usize {
        14
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour4
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 SPRINT22_KICKOFF: DailyBO, WeeklyBO, price above the day's, the week's high; levels and confidence are ours"
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.level_flags(self.of)
    }

    fn points(&self) -> &'static [&'static str] {
        &["break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (_, atr) = at.measured()?;
        let (bar, before) = (at.window.bar(0)?, at.window.bar(1)?);
        let (high, low) = at.session.level(self.of, &bar)?;
        let (direction, sign, edge) = match (bar.close > high, bar.close < low) {
            (true, _) => (Direction::Bullish, 1.0, high),
            (_, true) => (Direction::Bearish, -1.0, low),
            _ => return None,
        };
        let is_fresh = sign * (before.close - edge) <= 0.0 && !at.session.has_left(self.of, direction);
        let levels = Levels::given(bar.close, direction, edge - sign * atr, edge + sign * (high - low)).void(edge);
        is_fresh.then(|| graded(direction, sign * (bar.close - edge) / atr, 1, levels))?
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        let mut said = Explained::graded(found);
        said.break_at(at);
        said
    }
}
