//! One minute of one symbol: the fold of its ticks, and the bar that comes of it.

use serde::{Deserialize, Serialize};

use crate::condition::Rights;
use crate::offset::Span;
use crate::snapshot::{FEW, is_near};
use crate::tick::{Kind, Tick};
use crate::time::{MINUTE_US, SECOND_US};

/// What is known to be missing from a bar, or special about it.
pub mod quality {
    /// The first minute after the start of listening.
    pub const PARTIAL_START: u8 = 1;
    /// A minute in which ticks may have been missed.
    pub const GAP: u8 = 2;
    /// Written while still open, at a shutdown.
    pub const PROVISIONAL: u8 = 4;
    /// A late tick was folded in after the bar had closed.
    pub const LATE_REVISED: u8 = 8;
    /// Ticks of one source were added to a bar of another, of which it cannot be told which ticks it has.
    pub const HANDOVER: u8 = 16;
    /// Two writers have counted different ticks of one source; the fuller row was kept.
    pub const AMBIGUOUS: u8 = 32;
    /// Taken from a file or the vendor afterwards.
    pub const REPAIRED: u8 = 64;
    /// Flags of bars that may lack ticks: no pattern ends on such a bar.
    pub const PARTIAL: u8 = PARTIAL_START | GAP;
}

/// A minute as it is written, shown and looked at: rounded once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Start of the minute, µs.
    pub ts_us: i64,
    /// Price of the earliest tick.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of the latest tick.
    pub close: f64,
    /// Shares.
    pub volume: i64,
    /// Σ(vw·v)/Σv; NaN where Σv = 0.
    pub vwap: f64,
    /// Ticks folded.
    pub trades: i64,
    /// Bits of [`quality`].
    pub quality: u8,
    /// Event time of the tick that set the open, µs; -1 if unknown.
    pub open_us: i64,
    /// Event time of the tick that set the close, µs; -1 if unknown.
    pub close_us: i64,
}

impl Bar {
    /// Whether its four prices are finite and positive, as those of every bar that is made of ticks.
    #[must_use]
    pub fn is_priced(&self) -> bool {
        [self.open, self.high, self.low, self.close].iter().all(|&price| price > 0.0 && price.is_finite())
    }
}

/// The running fold of one minute. `O(1)` a tick; the same ticks in the same order give the same bits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Fold {
    /// Start of the minute, µs.
    pub minute_us: i64,
    /// The channel that owns the bar, fixed by the tick that opened it; [`Fold::NO_CHANNEL`] until then.
    pub channel: u16,
    /// The kind of tick it is made of, fixed likewise.
    pub kind: Kind,
    /// Bits of [`quality`].
    pub quality: u8,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    open_us: i64,
    close_us: i64,
    volume: i64,
    /// Σ vw·v, in price · shares.
    notional: f64,
    trades: i64,
    /// Whether open and close come from prints that may set them; if not, from such as may set high and low.
    full_right: bool,
    /// One bit a whole second of the minute: bit k for a stamp k + 1 s after its start.
    seconds: u64,
    /// The newest stamp without a bit of its own.
    newest_us: i64,
    newest_seq: Option<i64>,
    /// The messages it is made of.
    span: Span,
    /// Up to this number, messages are in it already: it was read back from its row. -1: it was not.
    covered: i64,
}

impl Fold {
    /// The channel of a bar that was opened again from the database and has not heard a tick yet.
    pub const NO_CHANNEL: u16 = u16::MAX;

    /// An empty minute.
    #[must_use]
    pub fn new(minute_us: i64, channel: u16, kind: Kind, quality: u8) -> Self {
        Self {
            minute_us,
            channel,
            kind,
            quality,
            open: f64::NAN,
            high: f64::NAN,
            low: f64::NAN,
            close: f64::NAN,
            open_us: i64::MAX,
            close_us: i64::MIN,
            volume: 0,
            notional: 0.0,
            trades: 0,
            full_right: false,
            seconds: 0,
            newest_us: i64::MIN,
            newest_seq: None,
            span: Span::NONE,
            covered: -1,
        }
    }

    /// A minute continued from a written bar, made of the messages of `span`. Which stamps it has seen is no longer known.
    #[must_use]
    pub fn from_bar(bar: &Bar, span: Span, channel: u16, kind: Kind) -> Self {
        let volume = bar.volume.max(0);
        let known = |us: i64, unknown: i64| if us >= 0 { us } else { unknown };
        Self {
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            open_us: known(bar.open_us, bar.ts_us),
            close_us: known(bar.close_us, bar.ts_us),
            volume,
            // Of shares whose prices nobody knows no mean is known, however many are added.
            notional: if bar.vwap.is_finite() || volume > 0 { bar.vwap * volume as f64 } else { 0.0 },
            trades: bar.trades,
            full_right: true,
            span,
            covered: span.last,
            ..Self::new(bar.ts_us, channel, kind, bar.quality & !quality::PROVISIONAL)
        }
    }

    /// End of the minute, µs.
    #[must_use]
    pub fn end_us(&self) -> i64 {
        self.minute_us + MINUTE_US
    }

    /// Whether any tick set a price: a bar without one is not written.
    #[must_use]
    pub fn has_price(&self) -> bool {
        self.high.is_finite()
    }

    /// Reads a word of each of its cache lines; see [`crate::history::History::touch`].
    #[must_use]
    pub fn touch(&self) -> u64 {
        let times = self.minute_us ^ self.open_us ^ self.close_us ^ self.newest_us;
        times as u64 ^ self.open.to_bits() ^ self.notional.to_bits() ^ self.seconds
    }

    /// Shares so far.
    #[must_use]
    pub fn volume(&self) -> i64 {
        self.volume
    }

    /// The messages it is made of.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whether the bar was read back with this message in it.
    #[must_use]
    pub fn is_replayed(&self, src: i64) -> bool {
        src <= self.covered
    }

    /// Whether this tick was folded before: by its stamp for kind A, by stamp and `seq` for kind T.
    ///
    /// Two equal trades without `seq` are two trades.
    #[must_use]
    pub fn is_repeat(&self, tick: &Tick<'_>) -> bool {
        match tick.kind {
            Kind::A => match self.second_bit(tick.ts_us) {
                Some(bit) => self.seconds & bit != 0,
                None => self.newest_us == tick.ts_us,
            },
            Kind::T => tick.seq.is_some() && self.newest_us == tick.ts_us && self.newest_seq == tick.seq,
            Kind::Q => false,
        }
    }

    /// Folds one tick, of the message `src`, with the rights its conditions leave it. The caller has asked
    /// [`Fold::is_replayed`] and [`Fold::is_repeat`].
    pub fn add(&mut self, tick: &Tick<'_>, rights: Rights, src: i64) {
        if self.span.first < 0 && self.trades > 0 {
            self.quality |= quality::HANDOVER;
        }
        self.span.extend(src);
        match (tick.kind, self.second_bit(tick.ts_us)) {
            (Kind::A, Some(bit)) => self.seconds |= bit,
            _ if tick.ts_us >= self.newest_us => {
                self.newest_us = tick.ts_us;
                self.newest_seq = tick.seq;
            }
            _ => {}
        }
        self.trades += 1;
        if rights.volume {
            let weight = tick.vwap.or(tick.close).unwrap_or(tick.price);
            self.volume = self.volume.saturating_add(tick.volume);
            self.notional += weight * tick.volume as f64;
        }
        if rights.high_low || rights.open_close {
            self.set_prices(tick, rights);
        }
    }

    fn set_prices(&mut self, tick: &Tick<'_>, rights: Rights) {
        let open = tick.open.unwrap_or(tick.price);
        let close = tick.close.unwrap_or(tick.price);
        if rights.high_low {
            // f64::max and f64::min pass over NaN, the value of an empty minute.
            let high = tick.price.max(open).max(close).max(tick.high.unwrap_or(open)).max(tick.low.unwrap_or(open));
            let low = tick.price.min(open).min(close).min(tick.low.unwrap_or(open)).min(tick.high.unwrap_or(open));
            self.high = self.high.max(high);
            self.low = self.low.min(low);
        }
        if rights.open_close && !self.full_right {
            self.full_right = true;
            (self.open_us, self.close_us) = (i64::MAX, i64::MIN);
        } else if rights.open_close != self.full_right {
            return;
        }
        if tick.ts_us < self.open_us {
            (self.open, self.open_us) = (open, tick.ts_us);
        }
        if tick.ts_us >= self.close_us {
            (self.close, self.close_us) = (close, tick.ts_us);
        }
    }

    /// Whether ticks can be folded into it, and times counted on from it, without an overflow.
    pub(crate) fn is_sound(&self) -> bool {
        is_near(self.minute_us) && self.trades <= FEW
    }

    /// The bar as it stands, prices rounded to `scale` decimals; `None` without a price.
    #[must_use]
    pub fn bar(&self, scale: Option<u32>) -> Option<Bar> {
        self.has_price().then(|| Bar {
            ts_us: self.minute_us,
            open: round_price(self.open, scale),
            high: round_price(self.high, scale),
            low: round_price(self.low, scale),
            close: round_price(self.close, scale),
            volume: self.volume,
            vwap: if self.volume > 0 { self.notional / self.volume as f64 } else { f64::NAN },
            trades: self.trades,
            quality: self.quality,
            open_us: self.open_us,
            close_us: self.close_us,
        })
    }

    /// The bit of a whole-second stamp 1 to 60 s after the minute's start.
    fn second_bit(&self, ts_us: i64) -> Option<u64> {
        let offset = ts_us - self.minute_us;
        let whole = offset % SECOND_US == 0 && (SECOND_US..=MINUTE_US).contains(&offset);
        whole.then(|| 1 << (offset / SECOND_US - 1))
    }
}

/// Rounds half away from zero to `scale` decimals, as `numeric` of `PostgreSQL` does; `None` leaves the price alone.
///
/// The result is the double nearest to the decimal, so that reading the column back gives the same bits.
#[must_use]
pub fn round_price(price: f64, scale: Option<u32>) -> f64 {
    let Some(scale) = scale else { return price };
    let unit = 10_f64.powi(scale as i32);
    // Four ulps up: 1.005 is a half to the person who wrote it, though its double lies a little below.
    let units = (price * unit * (1.0 + 4.0 * f64::EPSILON)).round();
    // Past 2^53 there are no decimals left to round.
    if units.abs() < 9_007_199_254_740_992.0 { units / unit } else { price }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_rounded_away_from_zero_as_it_was_written() {
        let rounded = |price| round_price(price, Some(2));
        assert_eq!([1.005, 1.015, 2.675, 1.004_999_999, 227.43].map(rounded), [1.01, 1.02, 2.68, 1.0, 227.43]);
        assert_eq!(round_price(1.23456, None), 1.23456);
    }
}
