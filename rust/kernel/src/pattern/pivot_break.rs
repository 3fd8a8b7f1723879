//! Closes that cross a pivot level of the day.

use super::session_range::Level;
use super::{Closing, Direction, EQUAL, Explained, Levels, Match, Pattern, graded};
use crate::indicator::pivots::{Kind, Pivots};
use crate::timeframe::Timeframe;

/// A close crosses one of the day's pivot levels.
///
/// rule: with S3 … S1, P, R1 … R3 of the session before (P = (h + l + c)/3, the floor traders' levels), c₋₁ ≤ level and c > level
/// is bullish, c₋₁ ≥ level and c < level bearish; of several levels crossed at once the last one. A close within 10⁻⁹ of itself of a
/// level is at it. Not where the session opened more than 35 % from the last close, nor where the one before broke off. The five
/// bars after a firing are silent.
///
/// confidence: q = (c − level)/a. stop = level − a, target = the next level, invalidation = level.
pub(super) struct PivotBreak;

impl Pattern for PivotBreak {
    fn id(&self) -> &'static str {
        "pivot_break"
    }

    fn name(&self) -> &'static str {
        "PivotBreak"
    }

    fn parameters(&self) -> &'static str {
        "3"
    }

    fn bars_needed(&self) -> usize {
        14
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour4
    }

    fn source(&self) -> &'static str {
        "Person (2004), A Complete Guide to Technical Trading Tactics, ch. 5; the rule on closes is ours"
    }

    fn cooldown(&self) -> u8 {
        5
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.level_flags(Level::Day)
    }

    fn points(&self) -> &'static [&'static str] {
        &["break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (_, atr) = at.measured()?;
        let (bar, before) = (at.window.bar(0)?, at.window.bar(1)?.close);
        let (close, day) = (bar.close, at.session.comparable_day(&bar)?);
        let made = Pivots::new(Kind::Standard).step(day.high, day.low, day.close);
        let ([r1, r2, r3], [s1, s2, s3]) = (made.resistance, made.support);
        let levels = [s3, s2, s1, made.pivot, r1, r2, r3];
        // A third, and what is made of it, is not the price that a person calculates, to the last bit.
        let same = EQUAL * close;
        let up = levels.iter().rposition(|&level| before - level <= same && close - level > same);
        let down = levels.iter().position(|&level| level - before <= same && level - close > same);
        let (direction, sign, crossed, next) = match (up, down) {
            (Some(up), _) => (Direction::Bullish, 1.0, up, levels.get(up + 1)),
            (_, Some(down)) => (Direction::Bearish, -1.0, down, down.checked_sub(1).and_then(|next| levels.get(next))),
            _ => return None,
        };
        let level = levels[crossed];
        let told = Levels::given(close, direction, level - sign * atr, next.copied().unwrap_or(f64::NAN)).void(level);
        graded(direction, sign * (close - level) / atr, 1, told)
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        let mut said = Explained::graded(found);
        said.break_at(at);
        said
    }
}
