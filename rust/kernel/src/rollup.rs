//! Closed minutes of one symbol to bars of higher timeframes.
//!
//! A bar is made of the minutes of its bucket, in order of time, and is seen when the bucket is over: its last minute is
//! there, or a later one, or the caller says that none comes any more. A bar that is still forming is nobody's to see.

use serde::{Deserialize, Serialize};

use crate::bar::Bar;
use crate::session::Session;
use crate::snapshot::is_near;
use crate::time::MINUTE_US;
use crate::timeframe::{Bucket, Grid, Timeframe};

/// A bar of a higher timeframe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rolled {
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// First open, highest high, lowest low, last close, Σ volume, Σ trades, every flag of its minutes; `ts_us` is when its
    /// bucket starts by the calendar. The vwap is Σ(vwap·v)/Σv over the minutes that have one; NaN if none has.
    pub bar: Bar,
    /// End of its bucket, µs.
    pub end_us: i64,
    /// Minutes it is made of.
    pub minutes: u32,
    /// Minutes that its bucket has: more than `minutes` where some had no trade.
    pub expected: u32,
}

/// Why a minute was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its bucket has closed.
    Closed,
    /// It is not newer than the newest minute of its bucket.
    NotNewer,
}

/// The minutes of a bucket so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Forming {
    bucket: Bucket,
    newest_us: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    open_us: i64,
    close_us: i64,
    volume: i64,
    trades: i64,
    /// Mean of the vwaps that are known, weighted by volume.
    vwap: f64,
    /// Σ volume of the minutes whose vwap is known.
    weight: i64,
    minutes: u32,
    quality: u8,
}

impl Forming {
    fn new(bar: &Bar, bucket: Bucket) -> Self {
        let mut forming = Self {
            bucket,
            newest_us: bar.ts_us,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            open_us: bar.open_us,
            close_us: bar.close_us,
            volume: 0,
            trades: 0,
            vwap: 0.0,
            weight: 0,
            minutes: 0,
            quality: 0,
        };
        forming.add(bar);
        forming
    }

    #[inline]
    fn add(&mut self, bar: &Bar) {
        self.newest_us = bar.ts_us;
        self.high = if bar.high > self.high { bar.high } else { self.high };
        self.low = if bar.low < self.low { bar.low } else { self.low };
        self.close = bar.close;
        self.close_us = bar.close_us;
        self.volume = self.volume.saturating_add(bar.volume);
        self.trades = self.trades.saturating_add(bar.trades);
        if bar.vwap.is_finite() && bar.volume > 0 {
            // A quotient of two sums may lie above the high by its rounding; a mean moves towards what it takes in. Source:
            // West (1979), Communications of the ACM 22(9), eq. 2.
            self.weight = self.weight.saturating_add(bar.volume);
            self.vwap += (bar.vwap - self.vwap) * (bar.volume as f64 / self.weight as f64);
        }
        self.minutes = self.minutes.saturating_add(1);
        self.quality |= bar.quality;
    }

    fn rolled(&self, timeframe: Timeframe) -> Rolled {
        let bar = Bar {
            ts_us: self.bucket.start_us,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            vwap: if self.weight > 0 { self.vwap } else { f64::NAN },
            trades: self.trades,
            quality: self.quality,
            open_us: self.open_us,
            close_us: self.close_us,
        };
        Rolled { timeframe, bar, end_us: self.bucket.end_us, minutes: self.minutes, expected: self.bucket.minutes }
    }
}

/// The roll-up of one symbol to one timeframe. `O(1)` a minute, and one step over a gap of any length.
///
/// The same minutes give the same bits, however they are cut into calls and snapshots, and whether buckets close by minutes
/// or by [`Rollup::close_up_to`]. No bytes that it is read from make it panic.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Rollup {
    timeframe: Timeframe,
    forming: Option<Forming>,
    /// Buckets that end here or before are over.
    passed_us: i64,
}

impl Rollup {
    /// A roll-up that has seen nothing.
    #[must_use]
    pub fn new(timeframe: Timeframe) -> Self {
        Self { timeframe, forming: None, passed_us: i64::MIN }
    }

    /// Its timeframe.
    #[must_use]
    pub fn timeframe(&self) -> Timeframe {
        self.timeframe
    }

    /// Takes in the next minute, of `session`, and hands on the bars that it closes: the bucket before its own, and its own
    /// if it is the last minute of it.
    ///
    /// # Errors
    /// [`Refused`] if it comes too late; nothing has changed then.
    #[inline]
    pub fn push(
        &mut self,
        bar: &Bar,
        session: Session,
        grid: &Grid,
        mut closed: impl FnMut(Rolled),
    ) -> Result<(), Refused> {
        let end_us = match &mut self.forming {
            Some(forming) if forming.newest_us < bar.ts_us && bar.ts_us < forming.bucket.end_us => {
                forming.add(bar);
                forming.bucket.end_us
            }
            _ => {
                let bucket = grid.bucket(self.timeframe, bar.ts_us, session);
                self.turn(bar, bucket)?.into_iter().for_each(&mut closed);
                bucket.end_us
            }
        };
        if end_us <= bar.ts_us.saturating_add(MINUTE_US) {
            self.close().into_iter().for_each(closed);
        }
        Ok(())
    }

    /// No minute that ends at `end_us` or before comes any more: closes the bucket that is over by then, if one is forming.
    pub fn close_up_to(&mut self, end_us: i64) -> Option<Rolled> {
        let is_over = |forming: &Forming| forming.bucket.end_us <= end_us;
        let closed = if self.forming.as_ref().is_some_and(is_over) { self.close() } else { None };
        self.passed_us = self.passed_us.max(end_us);
        closed
    }

    /// The bar that is forming, as it stands: for the engine's own looking ahead. It will change, and who shows it shows
    /// what no history has.
    #[must_use]
    pub fn forming(&self) -> Option<Rolled> {
        self.forming.as_ref().map(|forming| forming.rolled(self.timeframe))
    }

    /// When the bucket that is forming is over, µs.
    #[must_use]
    pub fn end_us(&self) -> Option<i64> {
        self.forming.as_ref().map(|forming| forming.bucket.end_us)
    }

    /// Whether its times can be counted on from.
    pub(crate) fn is_sound(&self) -> bool {
        self.forming.as_ref().is_none_or(|forming| {
            let Bucket { start_us, end_us, .. } = forming.bucket;
            is_near(start_us) && is_near(end_us) && is_near(forming.newest_us)
        })
    }

    /// Reads a word of each of its cache lines.
    pub(crate) fn touch(&self) -> u64 {
        let of = |forming: &Forming| forming.newest_us as u64 ^ forming.close.to_bits() ^ u64::from(forming.minutes);
        self.forming.as_ref().map_or(0, of) ^ self.passed_us as u64
    }

    /// Begins a bucket with its first minute, and closes the one before.
    fn turn(&mut self, bar: &Bar, bucket: Bucket) -> Result<Option<Rolled>, Refused> {
        if bucket.end_us <= self.passed_us {
            return Err(Refused::Closed);
        }
        if let Some(forming) = self.forming.as_ref().filter(|forming| bar.ts_us < forming.bucket.end_us) {
            let is_older = bucket.end_us <= forming.bucket.start_us;
            return Err(if is_older { Refused::Closed } else { Refused::NotNewer });
        }
        let closed = self.close();
        self.forming = Some(Forming::new(bar, bucket));
        Ok(closed)
    }

    fn close(&mut self) -> Option<Rolled> {
        let forming = self.forming.take()?;
        self.passed_us = self.passed_us.max(forming.bucket.end_us);
        Some(forming.rolled(self.timeframe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::quality;
    use crate::session::Sessions;
    use crate::time::{DAY_US, HOUR_US};
    use crate::timeframe::Align;

    /// Two sessions, 09:30 to 16:00 and 09:30 to 13:00, on a Thursday and the next day; and one a year later.
    const OPENS: [i64; 3] = [34_200_000_000, DAY_US + 34_200_000_000, 365 * DAY_US + 34_200_000_000];

    fn sessions() -> Sessions {
        let lengths = [390, 210, 390].map(|minutes| minutes * MINUTE_US);
        let rows: Vec<_> =
            OPENS.iter().zip(lengths).map(|(open_us, length_us)| (*open_us, open_us + length_us)).collect();
        Sessions::new(&rows).unwrap()
    }

    fn grid() -> Grid {
        Grid::new(&sessions(), Sessions::default(), Align::Session).unwrap()
    }

    /// Minute `minute` of a session: prices tell which it is.
    fn bar(session: usize, minute: i64) -> Bar {
        let price = 100.0 + minute as f64;
        Bar {
            ts_us: OPENS[session] + minute * MINUTE_US,
            open: price,
            high: price + 0.5,
            low: price - 0.5,
            close: price + 0.25,
            volume: 10 + minute,
            vwap: price,
            trades: 2,
            quality: 0,
            open_us: OPENS[session] + minute * MINUTE_US + 1,
            close_us: OPENS[session] + minute * MINUTE_US + 59,
        }
    }

    fn push(rollup: &mut Rollup, bar: &Bar) -> Vec<Rolled> {
        let mut closed = Vec::new();
        rollup.push(bar, sessions().at(bar.ts_us).unwrap(), &grid(), |rolled| closed.push(rolled)).unwrap();
        closed
    }

    #[test]
    fn the_last_minute_of_a_bucket_closes_it_and_the_one_before_does_not() {
        let mut rollup = Rollup::new(Timeframe::Min5);
        assert!((0..4).all(|minute| push(&mut rollup, &bar(0, minute)).is_empty()));
        let closed = push(&mut rollup, &bar(0, 4));
        let expected = Bar {
            ts_us: OPENS[0],
            open: 100.0,
            high: 104.5,
            low: 99.5,
            close: 104.25,
            volume: 60,
            vwap: (0..5).map(|minute| (100 + minute) * (10 + minute)).sum::<i64>() as f64 / 60.0,
            trades: 10,
            quality: 0,
            open_us: OPENS[0] + 1,
            close_us: OPENS[0] + 4 * MINUTE_US + 59,
        };
        let end_us = OPENS[0] + 5 * MINUTE_US;
        assert_eq!(closed, [Rolled { timeframe: Timeframe::Min5, bar: expected, end_us, minutes: 5, expected: 5 }]);
        assert_eq!(rollup.forming(), None);
    }

    #[test]
    fn a_bar_starts_when_it_is_scheduled_to_whoever_trades_first() {
        let mut rollup = Rollup::new(Timeframe::Hour1);
        assert!(push(&mut rollup, &bar(0, 2)).is_empty());
        let closed = push(&mut rollup, &bar(0, 61));
        assert_eq!((closed[0].bar.ts_us, closed[0].bar.open_us), (OPENS[0], OPENS[0] + 2 * MINUTE_US + 1));
        assert_eq!((closed[0].minutes, closed[0].expected), (1, 60), "a reader sees what it lacks");
    }

    #[test]
    fn one_minute_may_close_two_buckets() {
        let mut rollup = Rollup::new(Timeframe::Min5);
        assert!(push(&mut rollup, &bar(0, 1)).is_empty());
        let closed = push(&mut rollup, &bar(0, 9));
        assert_eq!(closed.iter().map(|rolled| rolled.bar.open).collect::<Vec<_>>(), [101.0, 109.0]);
    }

    #[test]
    fn the_close_of_the_session_cuts_the_last_bucket_and_a_half_day_does_so_early() {
        let mut rollup = Rollup::new(Timeframe::Hour1);
        for (session, last) in [(0, 389), (1, 209)] {
            let closed = push(&mut rollup, &bar(session, last));
            assert_eq!((closed.len(), closed[0].expected), (1, 30));
            assert_eq!(closed[0].end_us - closed[0].bar.ts_us, HOUR_US / 2);
        }
    }

    #[test]
    fn a_week_closes_with_the_last_session_that_the_calendar_has_of_it() {
        let mut rollup = Rollup::new(Timeframe::Weekly);
        assert!(push(&mut rollup, &bar(0, 389)).is_empty());
        let closed = push(&mut rollup, &bar(1, 209));
        assert_eq!((closed[0].bar.ts_us, closed[0].end_us), (OPENS[0], OPENS[1] + 210 * MINUTE_US));
        assert_eq!((closed[0].minutes, closed[0].expected), (2, 600));
    }

    #[test]
    fn a_gap_of_a_year_is_one_step() {
        for timeframe in Timeframe::ALL.into_iter().skip(1) {
            let mut rollup = Rollup::new(timeframe);
            assert!(push(&mut rollup, &bar(0, 3)).is_empty());
            let closed = push(&mut rollup, &bar(2, 0));
            assert_eq!((closed.len(), closed[0].bar.open), (1, 103.0), "{timeframe:?}");
            assert_eq!(rollup.forming().unwrap().bar.ts_us, OPENS[2]);
        }
    }

    #[test]
    fn every_flag_of_a_minute_stays_on_the_bar() {
        let mut rollup = Rollup::new(Timeframe::Min5);
        let flagged = |minute, quality| Bar { quality, ..bar(0, minute) };
        push(&mut rollup, &flagged(0, quality::PARTIAL_START));
        push(&mut rollup, &flagged(1, quality::GAP));
        push(&mut rollup, &flagged(2, 0));
        let closed = push(&mut rollup, &flagged(4, quality::LATE_REVISED | quality::GAP));
        assert_eq!(closed[0].bar.quality, quality::PARTIAL_START | quality::GAP | quality::LATE_REVISED);
        assert_eq!(push(&mut rollup, &flagged(9, 0))[0].bar.quality, 0, "and on that bar alone");
    }

    #[test]
    fn the_watermark_closes_what_is_over_and_nothing_else() {
        let mut rollup = Rollup::new(Timeframe::Min5);
        push(&mut rollup, &bar(0, 1));
        let end_us = OPENS[0] + 5 * MINUTE_US;
        assert_eq!(rollup.close_up_to(end_us - 1), None);
        let closed = rollup.close_up_to(end_us).unwrap();
        assert_eq!((closed.bar.ts_us, closed.bar.open, closed.minutes), (OPENS[0], 101.0, 1));
        assert_eq!(rollup.close_up_to(end_us + HOUR_US), None, "a bar closes once");
    }

    #[test]
    fn a_minute_too_late_is_refused_and_changes_nothing() {
        let mut rollup = Rollup::new(Timeframe::Min5);
        let mut refused = |minute: i64| {
            let before = postcard::to_allocvec(&rollup).unwrap();
            let refused = rollup.push(&bar(0, minute), sessions().at(OPENS[0]).unwrap(), &grid(), drop);
            assert!(refused.is_ok() || postcard::to_allocvec(&rollup).unwrap() == before);
            refused.err()
        };
        assert_eq!([12, 12, 11].map(&mut refused), [None, Some(Refused::NotNewer), Some(Refused::NotNewer)]);
        assert_eq!([9, 5, 0].map(&mut refused), [Some(Refused::Closed); 3], "a newer bucket is open");
        assert_eq!([14, 14, 13].map(&mut refused), [None, Some(Refused::Closed), Some(Refused::Closed)]);
        rollup.close_up_to(OPENS[0] + 23 * MINUTE_US);
        let mut refused = |minute| rollup.push(&bar(0, minute), sessions().at(OPENS[0]).unwrap(), &grid(), drop).err();
        assert_eq!([19, 20].map(&mut refused), [Some(Refused::Closed), None], "20 to 25 is not over at 23");
    }

    #[test]
    fn a_vwap_is_of_the_minutes_that_have_one_and_within_their_range() {
        let mut rollup = Rollup::new(Timeframe::Min5);
        let with = |minute, vwap, volume| Bar { volume, vwap, ..bar(0, minute) };
        push(&mut rollup, &with(0, 0.1, 1));
        push(&mut rollup, &with(1, f64::NAN, 1000));
        push(&mut rollup, &with(2, 0.1, 1));
        push(&mut rollup, &with(3, f64::NAN, 0));
        let closed = push(&mut rollup, &with(4, 0.1, 1));
        assert_eq!((closed[0].bar.vwap, closed[0].bar.volume), (0.1, 1003), "as 0.1 + 0.1 + 0.1 over 3 is not");
        assert!(push(&mut rollup, &with(9, f64::NAN, 5))[0].bar.vwap.is_nan());
    }
}
