//! Breakouts from the range of a session's first minutes.

use serde::{Deserialize, Serialize};

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::bar::quality;
use crate::time::MINUTE_US;
use crate::timeframe::Timeframe;
use crate::window::WindowBar;

/// Minutes of the opening ranges.
pub(super) const MINUTES: [i64; 3] = [5, 15, 30];

/// Minutes after the open in which a breakout is one of the opening range: until noon, for a session from 09:30.
const LAST_MINUTE: i64 = 150;

/// Highest and lowest price of a session's first 5, 15 and 30 minutes, and which of them a close has left. O(1) a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpeningRanges {
    /// High and low; (0, 0) before the first bar.
    ranges: [(f64, f64); MINUTES.len()],
    /// A bit for each range that a close has gone above, and for each that one has gone below.
    left: [u8; 2],
    /// The flags of each range's bars that may lack ticks.
    quality: [u8; MINUTES.len()],
}

impl OpeningRanges {
    /// Reads a word of its lines.
    pub(super) fn touch(&self) -> u64 {
        self.ranges[0].0.to_bits() ^ u64::from(self.left[0])
    }

    /// Takes in a bar of the session that opened at `open_us`, after its patterns were looked for.
    pub(super) fn push(&mut self, bar: &WindowBar, open_us: i64) {
        let minute = minute(bar, open_us);
        for (at, minutes) in MINUTES.into_iter().enumerate() {
            let (high, low) = &mut self.ranges[at];
            if minute < minutes {
                let is_first = *high == 0.0;
                (*high, *low) = if is_first { (bar.high, bar.low) } else { (high.max(bar.high), low.min(bar.low)) };
                self.quality[at] |= bar.quality & quality::PARTIAL;
            } else if *high > 0.0 {
                self.left[0] |= u8::from(bar.close > *high) << at;
                self.left[1] |= u8::from(bar.close < *low) << at;
            }
        }
    }

    /// What may be missing from a range.
    pub(super) fn flags(&self, at: usize) -> u8 {
        self.quality.get(at).copied().unwrap_or_default()
    }

    /// Which way `bar` leaves a range for the first time, with the range; `None` if it does not, or after 150 minutes.
    fn left_by(&self, bar: &WindowBar, open_us: i64, at: usize) -> Option<(Direction, f64, f64)> {
        let &(high, low) = self.ranges.get(at).filter(|range| range.0 > 0.0)?;
        let is_time = (*MINUTES.get(at)?..LAST_MINUTE).contains(&minute(bar, open_us));
        let is_first = |side: usize| self.left[side] >> at & 1 == 0;
        let direction = match (bar.close > high, bar.close < low) {
            (true, _) if is_first(0) => Direction::Bullish,
            (_, true) if is_first(1) => Direction::Bearish,
            _ => return None,
        };
        is_time.then_some((direction, high, low))
    }
}

/// The minute of its session that a bar starts at.
fn minute(bar: &WindowBar, open_us: i64) -> i64 {
    bar.ts_us.saturating_sub(open_us) / MINUTE_US
}

/// The first close above the range of the session's first m minutes (below it: bearish), within 150 minutes of the open.
///
/// rule: c > OR high, the first such close of the session; the range are the bars of the session's first m minutes. It is
/// of the session whose bars patterns see: under `extended` it opens when the pre-market does.
///
/// confidence: q = (c − OR high)/a. stop = the range's middle, target = OR high + its height, invalidation = OR low.
pub(super) struct OpeningRangeBreakout {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// Which of [`MINUTES`].
    pub(super) at: usize,
}

impl Pattern for OpeningRangeBreakout {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        2
    }

    fn longest(&self) -> Timeframe {
        [Timeframe::Min5, Timeframe::Min15, Timeframe::Min30].get(self.at).copied().unwrap_or(Timeframe::Min1)
    }

    fn source(&self) -> &'static str {
        "Crabel (1990), Day Trading with Short Term Price Patterns and Opening Range Breakout; levels and confidence are ours"
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        at.session.opening_flags(self.at)
    }

    fn points(&self) -> &'static [&'static str] {
        &["break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (_, atr) = at.measured()?;
        let bar = at.window.bar(0)?;
        let (direction, high, low) = at.session.opening().left_by(&bar, at.session.opened_us()?, self.at)?;
        let (edge, other, sign) = if direction == Direction::Bullish { (high, low, 1.0) } else { (low, high, -1.0) };
        let levels =
            Levels::given(bar.close, direction, f64::midpoint(high, low), edge + sign * (high - low)).void(other);
        graded(direction, sign * (bar.close - edge) / atr, 1, levels)
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        let mut said = Explained::graded(found);
        said.break_at(at);
        said
    }
}
