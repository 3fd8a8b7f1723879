//! Swings of the price, without a look ahead.

use serde::{Deserialize, Serialize};

use crate::window::WindowBar;

/// Pivots that are remembered.
pub(crate) const KEPT: u32 = 16;

/// Average ranges that the price must come back from an extreme, for it to be a pivot.
const RETRACE: f64 = 3.0;

/// The highest or the lowest price of a swing, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extreme {
    /// In price.
    pub price: f64,
    /// Start of its bar, µs.
    pub ts_us: i64,
    /// Number of its bar.
    pub index: u32,
    /// RSI at its bar; NaN where there is none.
    pub rsi: f64,
    /// Histogram of MACD at its bar, in price; NaN where there is none.
    pub histogram: f64,
}

/// An extreme that is one for good, since the price has come back far enough from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pivot {
    /// Price and place.
    pub at: Extreme,
    /// Number of the bar that showed it.
    pub confirmed: u32,
    /// A high; else a low.
    pub is_high: bool,
}

/// Alternating highs and lows, each confirmed by a bar that came back 3 a from it. Append-only: no later bar alters a
/// pivot. O(1) a bar.
///
/// Of equal prices the first is the extreme. A bar that makes a new extreme does not confirm it. Before the first pivot both sides are followed; the older
/// extreme is it, if one bar comes back from both.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Zigzag {
    pivots: [Pivot; KEPT as usize],
    /// Pivots so far.
    count: u32,
    /// 1: the swing goes up, and `high` is its extreme so far. −1: down, `low`. 0: no pivot yet.
    direction: i8,
    high: Extreme,
    low: Extreme,
}

impl Zigzag {
    /// Takes in the bar of a number; whether it has confirmed a pivot. `atr`: a, with the bar.
    pub(super) fn push(&mut self, bar: &WindowBar, atr: f64, here: Extreme) -> bool {
        let high = Extreme { price: bar.high, ..here };
        let low = Extreme { price: bar.low, ..here };
        if here.index == 0 {
            (self.high, self.low) = (high, low);
            return false;
        }
        let (up, down) = (self.direction >= 0, self.direction <= 0);
        let (higher, lower) = (up && bar.high > self.high.price, down && bar.low < self.low.price);
        if higher {
            self.high = high;
        }
        if lower {
            self.low = low;
        }
        let back = RETRACE * atr;
        let fell = up && !higher && back > 0.0 && self.high.price - bar.low >= back;
        let rose = down && !lower && back > 0.0 && bar.high - self.low.price >= back;
        let is_high = match (fell, rose) {
            (true, true) if self.high.index == self.low.index => return false,
            (true, true) => self.high.index < self.low.index,
            (false, false) => return false,
            (fell, _) => fell,
        };
        let at = if is_high { self.high } else { self.low };
        let slot = self.count as usize % KEPT as usize;
        self.pivots[slot] = Pivot { at, confirmed: here.index, is_high };
        self.count = self.count.saturating_add(1);
        if is_high {
            self.direction = -1;
            self.low = low;
        } else {
            self.direction = 1;
            self.high = high;
        }
        true
    }

    /// Reads a word of each line that a bar which makes no pivot will ask for.
    pub(super) fn touch(&self) -> u64 {
        let word = |pivot: &Pivot| u64::from(pivot.confirmed) ^ pivot.at.price.to_bits();
        let newest = [0, 1, 2, 3].map(|back| self.pivot(back).map_or(0, word));
        newest.into_iter().fold(self.high.price.to_bits() ^ self.low.price.to_bits(), std::ops::BitXor::bitxor)
    }

    /// Pivots so far, those included that are no longer remembered.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The pivot `back` before the newest, while it is remembered.
    #[must_use]
    pub fn pivot(&self, back: u32) -> Option<&Pivot> {
        (back < self.count && back < KEPT).then(|| &self.pivots[(self.count - 1 - back) as usize % KEPT as usize])
    }

    /// The newest pivot of a side.
    #[must_use]
    pub fn newest(&self, is_high: bool) -> Option<&Pivot> {
        self.pivot(0).filter(|pivot| pivot.is_high == is_high).or_else(|| self.pivot(1))
    }
}
