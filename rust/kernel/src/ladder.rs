//! One symbol's closed minutes to bars of several timeframes at once.

use serde::{Deserialize, Serialize};

use crate::bar::Bar;
use crate::rollup::{Refused, Rolled, Rollup};
use crate::session::Session;
use crate::timeframe::{Grid, Timeframe};

/// The roll-ups of one symbol.
///
/// To put a late minute in its place, keep a second ladder that was given the minutes which can no longer change and no
/// watermark. Go on from a copy of it: push the minutes that can, then close up to [`Ladder::passed_us`] of the one that is
/// given up. What it hands on then is, to the bit, what minutes in order of time give; of bars that were handed on before,
/// those that differ are revised.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ladder {
    /// By timeframe; `None` where nobody asked for it.
    rungs: [Option<Rollup>; Timeframe::COUNT],
    passed_us: i64,
}

impl Ladder {
    /// A ladder that has seen nothing.
    #[must_use]
    pub fn new(timeframes: &[Timeframe]) -> Self {
        let rung = |timeframe| timeframes.contains(&timeframe).then(|| Rollup::new(timeframe));
        Self { rungs: Timeframe::ALL.map(rung), passed_us: i64::MIN }
    }

    /// The roll-up to one timeframe.
    #[must_use]
    pub fn rung(&self, timeframe: Timeframe) -> Option<&Rollup> {
        self.rungs[timeframe as usize].as_ref()
    }

    /// The highest watermark that it was given, µs.
    #[must_use]
    pub fn passed_us(&self) -> i64 {
        self.passed_us
    }

    /// When the first of the buckets that are forming is over, µs; `i64::MAX` if none is.
    #[must_use]
    pub fn end_us(&self) -> i64 {
        self.ends_us().flatten().min().unwrap_or(i64::MAX)
    }

    /// When the bucket that is forming is over, of each timeframe that it has, the shortest first, µs.
    pub(crate) fn ends_us(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        self.rungs.iter().flatten().map(Rollup::end_us)
    }

    /// Whether it is of these timeframes, and its times can be counted on from.
    pub(crate) fn is_sound(&self, of: impl Fn(Timeframe) -> bool) -> bool {
        let sound = |(timeframe, rung): (Timeframe, &Option<Rollup>)| match rung {
            Some(rung) => of(timeframe) && rung.timeframe() == timeframe && rung.is_sound(),
            None => !of(timeframe),
        };
        Timeframe::ALL.into_iter().zip(&self.rungs).all(sound)
    }

    /// Reads a word of each of its cache lines that the next minute will ask for.
    pub(crate) fn touch(&self) -> u64 {
        self.rungs.iter().flatten().map(Rollup::touch).fold(self.passed_us as u64, std::ops::BitXor::bitxor)
    }

    /// Takes a longer bar into the bucket of one timeframe, as if it were a minute: for a bucket that was under way. Whether
    /// it was taken.
    pub(crate) fn go_on(&mut self, timeframe: Timeframe, bar: &Bar, session: Session, grid: &Grid) -> bool {
        let rung = self.rungs[timeframe as usize].as_mut();
        rung.is_some_and(|rung| rung.push(bar, session, grid, drop).is_ok())
    }

    /// Takes the next minute into every timeframe and hands on the bars that it closes, the shortest timeframe first.
    ///
    /// # Errors
    /// [`Refused`] by the shortest timeframe; nothing has changed then. As buckets nest, what that takes all others take.
    pub fn push(
        &mut self,
        bar: &Bar,
        session: Session,
        grid: &Grid,
        mut closed: impl FnMut(Rolled),
    ) -> Result<(), Refused> {
        for rung in self.rungs.iter_mut().flatten() {
            rung.push(bar, session, grid, &mut closed)?;
        }
        Ok(())
    }

    /// [`Rollup::close_up_to`] for every timeframe, the shortest first.
    pub fn close_up_to(&mut self, end_us: i64, closed: impl FnMut(Rolled)) {
        self.passed_us = self.passed_us.max(end_us);
        self.rungs.iter_mut().flatten().filter_map(|rung| rung.close_up_to(end_us)).for_each(closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Sessions;
    use crate::time::{HOUR_US, MINUTE_US};
    use crate::timeframe::Align;

    fn bar(minute: i64) -> Bar {
        let (ts_us, price) = (minute * MINUTE_US, 10.0);
        Bar {
            ts_us,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 1,
            vwap: price,
            trades: 1,
            quality: 0,
            open_us: ts_us,
            close_us: ts_us,
        }
    }

    #[test]
    fn a_symbol_carries_144_bytes_a_timeframe() {
        assert_eq!((size_of::<Rollup>(), size_of::<Ladder>()), (144, 1160));
    }

    #[test]
    fn the_shortest_is_handed_on_first_and_a_minute_is_taken_by_all_or_none() {
        let (session, grid) = three_hours();
        let mut ladder = Ladder::new(&[Timeframe::Hour1, Timeframe::Min5, Timeframe::Daily]);
        let mut closed = Vec::new();
        let mut take = |minute| ladder.push(&bar(minute), session, &grid, |rolled| closed.push(rolled.timeframe));
        assert_eq!([177, 179, 178].map(&mut take), [Ok(()), Ok(()), Err(Refused::Closed)]);
        assert_eq!(closed, [Timeframe::Min5, Timeframe::Hour1, Timeframe::Daily]);
        assert!(ladder.rung(Timeframe::Weekly).is_none());
    }

    #[test]
    fn the_watermark_closes_what_is_over_in_each_timeframe_and_is_remembered() {
        let (session, grid) = three_hours();
        let mut ladder = Ladder::new(&Timeframe::ALL);
        ladder.push(&bar(0), session, &grid, drop).unwrap();
        let mut closed = Vec::new();
        ladder.close_up_to(HOUR_US, |rolled| closed.push(rolled.timeframe));
        ladder.close_up_to(MINUTE_US, |rolled| closed.push(rolled.timeframe));
        assert_eq!(closed, [Timeframe::Min5, Timeframe::Min15, Timeframe::Min30, Timeframe::Hour1]);
        assert_eq!(ladder.passed_us(), HOUR_US);
    }

    fn three_hours() -> (Session, Grid) {
        let session = Session { open_us: 0, close_us: 3 * HOUR_US };
        let sessions = Sessions::new(&[(session.open_us, session.close_us)]).unwrap();
        (session, Grid::new(&sessions, Sessions::default(), Align::Session).unwrap())
    }
}
