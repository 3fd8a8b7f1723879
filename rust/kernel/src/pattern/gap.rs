//! Gaps between sessions, and their filling.

use super::session_range::Level;
use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::timeframe::Timeframe;

const SOURCE: &str =
    "Edwards & Magee (1948), Technical Analysis of Stock Trends: gaps; the measure in daily ranges is ours";

/// A session opens beyond the range of the one before.
///
/// rule: on the session's first bar, o > the last session's high + 0.25·A, A the average true range of 14 days. `GapUp` is bullish,
/// `GapDown`, the mirror image, bearish. Not where the session opened more than 35 % from the last close: that is a split,
/// after which A is of the sessions since; nor where the session before broke off.
///
/// confidence: q = (o − high)/A − 0.25. stop = the last session's close (the gap is filled), and so the invalidation; target = close
/// + twice the way from stop to entry.
pub(super) struct Gap {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) direction: Direction,
}

impl Pattern for Gap {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> &'static str {
        "3"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn directions(&self) -> &'static [Direction] {
        self.direction.alone()
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour4
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.level_flags(Level::Day)
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let bar = at.window.bar(0)?;
        let (way, far) = at.session.gap_of(&bar).filter(|_| at.session.bars() == 0)?;
        let filled = at.session.last_day()?.close;
        let levels = Levels::given(bar.close, way, filled, bar.close + 2.0 * (bar.close - filled));
        (way == self.direction).then(|| graded(way, far, 1, levels))?
    }

    fn explain(&self, _: &Closing<'_>, found: &Match) -> Explained {
        Explained::graded(found)
    }
}

/// A gap is filled: the price comes back to the close before it.
///
/// rule: after a gap up of this session, the first l ≤ the last session's close: bearish. After a gap down, h ≥ it: bullish. That may
/// be the session's first bar, which is then both, the gap and its filling.
///
/// confidence: q = 1 where the bar closes beyond that close, else how far of its range is beyond it. stop and target as of a figure of 1
/// bar.
pub(super) struct GapFill;

impl Pattern for GapFill {
    fn id(&self) -> &'static str {
        "gap_fill"
    }

    fn name(&self) -> &'static str {
        "GapFill"
    }

    fn parameters(&self) -> &'static str {
        "3"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Hour4
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.level_flags(Level::Day)
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let bar = at.window.bar(0)?;
        let (gap, filled) = at.session.open_gap(&bar)?;
        let (direction, beyond, closes) = match gap {
            Direction::Bullish => (Direction::Bearish, filled - bar.low, bar.close <= filled),
            _ => (Direction::Bullish, bar.high - filled, bar.close >= filled),
        };
        let q = if closes || bar.range() <= 0.0 { 1.0 } else { beyond / bar.range() };
        let levels = Levels::of(at.window, direction, 1)?;
        (beyond >= 0.0).then(|| graded(direction, q, 1, levels))?
    }

    fn explain(&self, _: &Closing<'_>, found: &Match) -> Explained {
        Explained::graded(found)
    }
}
