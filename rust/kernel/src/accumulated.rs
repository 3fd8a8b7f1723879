//! What the feed says a symbol has traded today, beside what was folded: where it says more, ticks never came.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::snapshot::is_near;
use crate::time::MINUTE_US;

/// Minutes that are remembered of a symbol: one that closes, those beside it, and one that came late.
const MINUTES: usize = 4;

/// A minute's part of the day's volume, by its ticks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Part {
    minute_us: i64,
    /// The channel of its first tick.
    channel: u16,
    /// The day's volume before its first tick.
    low: i64,
    /// The day's volume with its last one.
    high: i64,
    /// Each of its ticks has said the day's volume, all on one channel.
    whole: bool,
}

/// Shares that were traded between two moments, in ticks that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Start of the first minute that may lack them, µs.
    pub from_us: i64,
    /// End of the last one, µs.
    pub to_us: i64,
    /// How many.
    pub volume: i64,
}

/// The day's volume of one symbol, in the newest minutes in which it was heard. `O(1)` a tick.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Accumulated {
    /// Oldest first.
    minutes: ArrayVec<Part, MINUTES>,
}

impl Accumulated {
    /// Whether its times can be counted on from.
    pub(crate) fn is_sound(&self) -> bool {
        self.minutes.iter().all(|part| is_near(part.minute_us))
    }

    /// Whether this is the newest minute and can never be judged: what more its ticks say does not matter.
    pub(crate) fn is_hidden(&self, minute_us: i64) -> bool {
        self.minutes.last().is_some_and(|newest| newest.minute_us == minute_us && !newest.whole)
    }

    /// A tick of this minute says on its channel that the day's volume up to and with its own shares is `accumulated`;
    /// `None`: it says nothing, and the minute cannot be judged.
    pub(crate) fn note(&mut self, minute_us: i64, channel: u16, volume: i64, accumulated: Option<i64>) {
        let (low, high) = accumulated.map_or((i64::MAX, i64::MIN), |high| (high.saturating_sub(volume), high));
        let at = self.minutes.iter().rposition(|known| known.minute_us <= minute_us);
        if let Some(known) = at.map(|at| &mut self.minutes[at]).filter(|known| known.minute_us == minute_us) {
            (known.low, known.high) = (known.low.min(low), known.high.max(high));
            known.whole &= accumulated.is_some() && known.channel == channel;
            return;
        }
        let mut at = at.map_or(0, |at| at + 1);
        if self.minutes.is_full() {
            if at == 0 {
                return;
            }
            self.minutes.remove(0);
            at -= 1;
        }
        self.minutes.insert(at, Part { minute_us, channel, low, high, whole: accumulated.is_some() });
    }

    /// What a minute that closes with `volume` shares of `channel` lacks, and what is missing between it and the one
    /// before, of one day by `same_day`; and whether its bar lacks any of it, as far as can be told: what is missing
    /// between neighbours may belong to either.
    pub(crate) fn judge(
        &self,
        minute_us: i64,
        channel: u16,
        volume: i64,
        same_day: impl Fn(i64, i64) -> bool,
    ) -> (impl Iterator<Item = Short>, bool) {
        let known: ArrayVec<Part, MINUTES> = self.minutes.iter().copied().filter(|known| known.whole).collect();
        let own = known.iter().position(|known| (known.minute_us, known.channel) == (minute_us, channel));
        let end_us = minute_us + MINUTE_US;
        let inside = own.map_or(0, |at| known[at].high.saturating_sub(known[at].low).saturating_sub(volume));
        let inside = Some(Short { from_us: minute_us, to_us: end_us, volume: inside });
        let between = |older: &Part, newer: &Part| {
            let volume = newer.low.saturating_sub(older.high);
            let short = Short { from_us: older.minute_us, to_us: newer.minute_us + MINUTE_US, volume };
            same_day(older.minute_us, newer.minute_us).then_some(short)
        };
        let before = own.and_then(|at| between(known.get(at.checked_sub(1)?)?, &known[at]));
        let after = own.and_then(|at| between(&known[at], known.get(at + 1)?));
        let is_short = |short: &Short| short.volume > 0;
        let touches = |short: &Short| is_short(short) && short.to_us - short.from_us <= 2 * MINUTE_US;
        let lacks = [inside, before, after].iter().flatten().any(touches);
        ([inside, before].into_iter().flatten().filter(move |short| is_short(short)), lacks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: i64 = MINUTE_US;

    fn judged(of: &Accumulated, minute: i64, volume: i64) -> (Vec<(i64, i64, i64)>, bool) {
        let (shorts, lacks) = of.judge(minute * M, 0, volume, |older, newer| older / (100 * M) == newer / (100 * M));
        (shorts.map(|short| (short.from_us / M, short.to_us / M, short.volume)).collect(), lacks)
    }

    #[test]
    fn what_never_came_is_told_by_the_days_volume() {
        let mut of = Accumulated::default();
        for (minute, volume, accumulated) in [(5, 10, 110), (5, 20, 130), (6, 5, 135), (6, 5, 150), (9, 1, 160)] {
            of.note(minute * M, 0, volume, Some(accumulated));
        }
        assert_eq!(judged(&of, 5, 30), (vec![], false));
        assert_eq!(judged(&of, 6, 10), (vec![(6, 7, 10)], true));
        // Between minutes that are no neighbours, it cannot be told which bar lacks it.
        assert_eq!(judged(&of, 9, 1), (vec![(6, 10, 9)], false));
    }

    #[test]
    fn between_neighbours_either_may_lack_it() {
        let mut of = Accumulated::default();
        of.note(5 * M, 0, 10, Some(110));
        assert_eq!(judged(&of, 5, 10), (vec![], false));
        of.note(6 * M, 0, 10, Some(130));
        assert_eq!(judged(&of, 5, 10), (vec![], true));
        assert_eq!(judged(&of, 6, 10), (vec![(5, 7, 10)], true));
    }

    #[test]
    fn another_day_begins_anew_and_a_tick_without_it_hides_its_minute() {
        let mut of = Accumulated::default();
        of.note(99 * M, 0, 10, Some(110));
        of.note(100 * M, 0, 10, Some(500));
        assert_eq!(judged(&of, 100, 10), (vec![], false));
        of.note(101 * M, 0, 10, None);
        of.note(102 * M, 0, 10, Some(520));
        assert_eq!(judged(&of, 101, 10), (vec![], false));
        assert_eq!(judged(&of, 102, 10), (vec![(100, 103, 10)], false));
    }

    #[test]
    fn a_minute_of_two_channels_cannot_be_judged() {
        let mut of = Accumulated::default();
        of.note(5 * M, 0, 10, Some(110));
        assert!(!of.judge(5 * M, 1, 0, |_, _| true).1);
        assert!(of.judge(5 * M, 0, 0, |_, _| true).1);
        assert!(!of.is_hidden(5 * M));
        of.note(5 * M, 1, 10, Some(120));
        assert!(!of.judge(5 * M, 0, 0, |_, _| true).1);
        assert_eq!([4, 5, 6].map(|minute| of.is_hidden(minute * M)), [false, true, false]);
    }

    #[test]
    fn the_newest_minutes_are_kept_and_an_older_one_is_not_looked_at() {
        let mut of = Accumulated::default();
        for minute in [5, 6, 8, 9, 10, 7, 4] {
            of.note(minute * M, 0, 1, Some(minute));
        }
        let kept: Vec<i64> = of.minutes.iter().map(|known| known.minute_us / M).collect();
        assert_eq!(kept, [7, 8, 9, 10]);
        assert_eq!(judged(&of, 4, 0), (vec![], false));
    }
}
