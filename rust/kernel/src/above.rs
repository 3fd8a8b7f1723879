//! The longer timeframes as a bar sees them that closes: those of their bars that were over by its end.
//!
//! What is seen depends on when bars end, and not on the order in which they were closed, so that a bar which is looked at
//! again sees what it would have seen in time. Nothing of a forming bar is there.

use crate::footing::Footing;
use crate::history::History;
use crate::pattern::Direction;
use crate::recent::{Past, is_chart};
use crate::rules::Rules;
use crate::sealed::Sealed;
use crate::timeframe::Timeframe;

/// The timeframes longer than a bar's own, the shortest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Above<'a> {
    tracks: &'a [History],
    rules: &'a [Rules],
    /// Nothing that ends later is seen.
    end_us: i64,
    /// The open of the session that the bar lies in: within sessions, bars of others are not seen.
    open_us: Option<i64>,
}

impl<'a> Above<'a> {
    /// These tracks, each with its rules; of no bar yet.
    pub(crate) fn of(tracks: &'a [History], rules: &'a [Rules]) -> Self {
        Self { tracks, rules, end_us: i64::MIN, open_us: None }
    }

    /// As a bar sees them that ends at `end_us`, in the session that opens at `open_us`.
    pub(crate) fn at(self, end_us: i64, open_us: Option<i64>) -> Self {
        Self { end_us, open_us, ..self }
    }

    /// The chart patterns that have held on one of the newest bars that are remembered ([`crate::recent::BARS`]), with the
    /// rules of their timeframe, the shortest first, and there those of its newest bar first. O(bars that may be revised).
    pub(crate) fn charts(self) -> impl Iterator<Item = (&'a Rules, Past)> {
        self.tracks.iter().zip(self.rules).flat_map(move |(track, rules)| {
            let revisable = (0u16..).zip(self.closed(track, rules)).flat_map(|(ago, sealed)| {
                let held = sealed.found.held().filter(|held| is_chart(held.pattern));
                held.map(move |held| Past::on(sealed, *held, ago))
            });
            let older = self.settled(track, rules).into_iter().flat_map(|base| base.recent.all());
            let count = self.closed(track, rules).count() as u16;
            let all = revisable.chain(older.map(move |past| past.before(count)));
            all.filter(Past::is_recent).map(move |past| (rules, past))
        })
    }

    /// The newest of the last `bars` bars of a timeframe on which a pattern has held in a direction that is accepted, with the
    /// rules of the timeframe.
    pub(crate) fn newest(
        self,
        timeframe: Timeframe,
        pattern: u16,
        bars: u16,
        accepts: impl Fn(Direction) -> bool,
    ) -> Option<(&'a Rules, Past)> {
        let (track, rules) = self.tracks.iter().zip(self.rules).find(|(_, rules)| rules.timeframe == timeframe)?;
        let mut left = bars;
        for (ago, sealed) in (0..bars).zip(self.closed(track, rules)) {
            let found = sealed.found.held().find(|held| held.pattern == pattern && accepts(held.direction));
            if let Some(held) = found {
                return Some((rules, Past::on(sealed, *held, ago)));
            }
            left -= 1;
        }
        let (slot, base) = (rules.combined.slot_of(pattern)?, self.settled(track, rules)?);
        let (direction, seen) = base.memory.newest(slot, left, accepts)?;
        Some((rules, seen.past(pattern, direction).before(bars - left)))
    }

    /// Those of its bars that may be revised and are seen, the newest first.
    fn closed(self, track: &'a History, rules: &'a Rules) -> impl Iterator<Item = &'a Sealed> {
        let session = rules.open_of(self.open_us);
        let (sealed, _) = track.closed();
        let over = sealed.iter().rev().filter(move |sealed| sealed.end_us <= self.end_us && sealed.session.is_some());
        over.take_while(move |sealed| rules.open_of(sealed.open_us()) == session)
    }

    /// Where it stood before those, if that is seen.
    fn settled(self, track: &'a History, rules: &Rules) -> Option<&'a Footing> {
        let (_, base) = track.closed();
        (base.end_us <= self.end_us && base.session == rules.open_of(self.open_us)).then_some(base)
    }
}
