//! The range of a session so far.

use serde::{Deserialize, Serialize};

use super::Direction;
use super::days::{Day, Days};
use super::opening_range::OpeningRanges;
use crate::bar::quality;
use crate::session::Session;
use crate::time::MINUTE_US;
use crate::window::WindowBar;

/// A session that is seen from within so many minutes of its open is seen whole.
const FIRST_MINUTES: i64 = 5;

/// One whose newest bar may lack ticks, and ended so long before the close, broke off there.
const LAST_MINUTES: i64 = 5;

/// How far beyond the last day's range an open must be to be a gap, in average daily ranges.
const GAP: f64 = 0.25;

/// What a breakout is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The session before.
    Day,
    /// The sessions of the week before.
    Week,
}

/// A session so far: high and low of its bars BEFORE the current one, and of its first minutes; and the sessions before it.
///
/// `push` each bar after its patterns were looked for. A copy restores the state for bars that are taken back. O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionRange {
    opened_us: Option<i64>,
    /// When it closes, µs; 0 where nobody has said.
    closes_us: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    bars: u32,
    opening: OpeningRanges,
    days: Days,
    /// Whether it was seen from its open on, so that it will be a day.
    whole: bool,
    /// The flags of its bars that may lack ticks.
    quality: u8,
    /// Start of the newest bar, if that one may.
    flagged_us: Option<i64>,
    /// Bits of the levels that a close has left: day above, day below, week above, week below.
    left: u8,
    /// 1 after a gap up that is not filled yet, −1 after a gap down.
    gap: i8,
}

impl SessionRange {
    /// A session of which no bar has closed yet, by its open in µs.
    #[must_use]
    pub fn opened(opened_us: Option<i64>) -> Self {
        Self { opened_us, ..Self::default() }
    }

    /// The next session: this one, of bars of `bar_us`, is the last day if it was seen from its open.
    #[must_use]
    pub fn followed_by(&self, next: Option<Session>, bar_us: i64) -> Self {
        let mut days = self.days;
        if let Some(open_us) = self.opened_us.filter(|_| self.whole) {
            let ended = |us: i64| us.saturating_add(bar_us + LAST_MINUTES * MINUTE_US);
            let broke_off = self.flagged_us.is_some_and(|us| ended(us) < self.closes_us);
            let quality = self.quality | if broke_off { quality::PROVISIONAL } else { 0 };
            let Self { open, high, low, close, .. } = *self;
            days.push(Day { open_us, open, high, low, close, quality });
        }
        let (opened_us, closes_us) = (next.map(|next| next.open_us), next.map_or(0, |next| next.close_us));
        // What came before this session was running when it began, so the next one is seen whole.
        Self { opened_us, closes_us, days, whole: self.bars > 0, ..Self::default() }
    }

    /// Reads a word of each line that taking in a bar will ask for.
    pub(crate) fn touch(&self) -> u64 {
        let here = self.opened_us.map_or(0, |us| us as u64) ^ self.high.to_bits() ^ u64::from(self.bars);
        here ^ self.opening.touch() ^ u64::from(self.left)
    }

    /// Tells of a finished session before all that were seen; see [`Days::push`].
    pub fn know(&mut self, day: Day) {
        self.days.push(day);
    }

    /// The session before. Of one that was told of and is fed in part only, none is known: it is not measured from itself.
    #[must_use]
    pub fn last_day(&self) -> Option<&Day> {
        self.days.last().filter(|last| self.opened_us.is_none_or(|opened_us| last.open_us < opened_us))
    }

    /// The session before, if its prices can be compared with those of this one, whose next bar this is.
    #[must_use]
    pub fn comparable_day(&self, bar: &WindowBar) -> Option<&Day> {
        self.last_day().filter(|_| !self.splits_with(bar))
    }

    /// Whether the session, whose next bar this is, opened where its prices cannot be compared with those of the days before.
    #[must_use]
    pub(crate) fn splits_with(&self, bar: &WindowBar) -> bool {
        self.days.is_unadjusted(if self.bars == 0 { bar.open } else { self.open })
    }

    /// Whether the session, whose next bar this is, will be one of the days when it has ended.
    #[must_use]
    pub(crate) fn counts_with(&self, bar: &WindowBar) -> bool {
        let late_us = self.opened_us.map_or(0, |opened_us| bar.ts_us.saturating_sub(opened_us));
        self.whole || self.bars == 0 && late_us < FIRST_MINUTES * MINUTE_US
    }

    /// The sessions before it.
    #[must_use]
    pub(crate) fn days(&self) -> &Days {
        &self.days
    }

    /// High and low of what breakouts are from, if they can be compared with the session's next bar.
    #[must_use]
    pub fn level(&self, level: Level, bar: &WindowBar) -> Option<(f64, f64)> {
        let day = self.comparable_day(bar)?;
        match level {
            Level::Day => Some((day.high, day.low)),
            Level::Week => self.days.last_week(self.opened_us?),
        }
    }

    /// What may be missing from the session's bars so far; of one that was not seen from its open, its beginning.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.quality | self.unseen()
    }

    /// What may be missing from the range of its first minutes, the shortest first.
    #[must_use]
    pub fn opening_flags(&self, at: usize) -> u8 {
        self.opening.flags(at) | self.unseen()
    }

    /// What may be missing from what breakouts are from.
    #[must_use]
    pub fn level_flags(&self, level: Level) -> u8 {
        match level {
            Level::Day => self.last_day().map_or(0, |day| day.quality & quality::PARTIAL),
            Level::Week => self.opened_us.map_or(0, |opened_us| self.days.last_week_flags(opened_us)),
        }
    }

    fn unseen(&self) -> u8 {
        if self.whole || self.bars == 0 { 0 } else { quality::PARTIAL_START }
    }

    /// Whether a close of this session before the current one has left a level on that side.
    #[must_use]
    pub fn has_left(&self, level: Level, direction: Direction) -> bool {
        self.left & side(level, direction == Direction::Bullish) != 0
    }

    /// Which way a session opens with a gap whose first bar this is, and how far in average daily ranges beyond the least.
    #[must_use]
    pub fn gap_of(&self, first: &WindowBar) -> Option<(Direction, f64)> {
        let (day, range) = (self.last_day()?, self.days.range()?);
        if self.days.is_unadjusted(first.open) || range <= 0.0 {
            return None;
        }
        let (above, below) = ((first.open - day.high) / range - GAP, (day.low - first.open) / range - GAP);
        match (above > 0.0, below > 0.0) {
            (true, _) => Some((Direction::Bullish, above)),
            (_, true) => Some((Direction::Bearish, below)),
            _ => None,
        }
    }

    /// The gap that the session opened with, if no bar before this one has filled it, and the close that fills it.
    #[must_use]
    pub fn open_gap(&self, bar: &WindowBar) -> Option<(Direction, f64)> {
        let direction = match self.gap {
            _ if self.bars == 0 => self.gap_of(bar)?.0,
            0 => return None,
            gap if gap > 0 => Direction::Bullish,
            _ => Direction::Bearish,
        };
        Some((direction, self.last_day()?.close))
    }

    /// When the session opened, µs.
    #[must_use]
    pub fn opened_us(&self) -> Option<i64> {
        self.opened_us
    }

    /// Highest price of the session's bars so far; `None` before its first bar.
    #[must_use]
    pub fn high(&self) -> Option<f64> {
        (self.bars > 0).then_some(self.high)
    }

    /// Lowest price of the session's bars so far; `None` before its first bar.
    #[must_use]
    pub fn low(&self) -> Option<f64> {
        (self.bars > 0).then_some(self.low)
    }

    /// Bars of the session so far.
    #[must_use]
    pub fn bars(&self) -> u32 {
        self.bars
    }

    /// The ranges of its first minutes.
    #[must_use]
    pub fn opening(&self) -> &OpeningRanges {
        &self.opening
    }

    /// Take in a bar whose patterns have been looked for. Every bar widens the range, flagged ones too, which flag it.
    pub fn push(&mut self, bar: &WindowBar) {
        for level in [Level::Day, Level::Week] {
            if let Some((high, low)) = self.level(level, bar) {
                let (above, below) = (bar.close > high, bar.close < low);
                self.left |= u8::from(above) * side(level, true);
                self.left |= u8::from(below) * side(level, false);
            }
        }
        self.whole = self.counts_with(bar);
        if self.bars == 0 {
            self.open = bar.open;
        }
        let gap = self.open_gap(bar).filter(|&(gap, filled)| match gap {
            Direction::Bullish => bar.low > filled,
            _ => bar.high < filled,
        });
        self.gap = gap.map_or(0, |(gap, _)| gap as i8);
        self.high = self.high().map_or(bar.high, |high| high.max(bar.high));
        self.low = self.low().map_or(bar.low, |low| low.min(bar.low));
        self.close = bar.close;
        let flags = bar.quality & quality::PARTIAL;
        self.quality |= flags;
        self.flagged_us = (flags != 0).then_some(bar.ts_us);
        self.bars = self.bars.saturating_add(1);
        if let Some(opened_us) = self.opened_us {
            self.opening.push(bar, opened_us);
        }
    }
}

fn side(level: Level, above: bool) -> u8 {
    1 << (2 * u8::from(level == Level::Week) + u8::from(!above))
}
