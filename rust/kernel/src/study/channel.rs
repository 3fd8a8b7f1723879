//! The highest high and the lowest low of the last bars.

use serde::{Deserialize, Serialize};

use crate::window::{View, WindowBar};

/// Bars of the channel.
pub(crate) const BARS: usize = 20;

/// One side of a channel: the most extreme price of the last bars, signed so that more is further out.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) price: f64,
    /// How many bars ago.
    age: u8,
}

impl Side {
    /// The last `bars`. Amortised O(1): they are looked through again only when the extreme one leaves.
    pub(super) fn push(&mut self, bars: usize, price: f64, is_first: bool, at: impl Fn(usize) -> Option<f64>) {
        if is_first || price >= self.price {
            *self = Self { price, age: 0 };
            return;
        }
        self.age = self.age.saturating_add(1);
        if usize::from(self.age) >= bars {
            *self = Self { price, age: 0 };
            for back in 1..bars {
                if let Some(older) = at(back).filter(|older| *older > self.price) {
                    *self = Self { price: older, age: back as u8 };
                }
            }
        }
    }
}

/// An edge of the channel: the price, and how many bars before the newest bar it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// In price.
    pub price: f64,
    /// Bars before the newest one.
    pub back: usize,
}

/// Highest high and lowest low of the 20 bars before the newest, and of the 20 before the one before that.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Channel {
    seen: u32,
    /// Of the newest 20 bars: highs, and lows with their sign turned.
    sides: [Side; 2],
    /// The same, one bar and two bars ago.
    before: [[Side; 2]; 2],
}

impl Channel {
    pub(super) fn push(&mut self, bar: &WindowBar, view: View<'_>) {
        self.before = [self.sides, self.before[0]];
        let is_first = self.seen == 0;
        let [top, bottom] = &mut self.sides;
        top.push(BARS, bar.high, is_first, |back| view.bar(back).map(|bar| bar.high));
        bottom.push(BARS, -bar.low, is_first, |back| view.bar(back).map(|bar| -bar.low));
        self.seen = self.seen.saturating_add(1);
    }

    /// Reads a word of each of its lines.
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.seen) ^ self.sides[0].price.to_bits() ^ self.before[1][1].price.to_bits()
    }

    /// Top and bottom of the 20 bars before the newest; `None` until there are that many.
    #[must_use]
    pub fn edges(&self) -> Option<[Edge; 2]> {
        self.of(0)
    }

    /// Top and bottom of the 20 bars before the one before the newest; `None` until there are that many.
    #[must_use]
    pub fn previous(&self) -> Option<[Edge; 2]> {
        self.of(1)
    }

    fn of(&self, back: usize) -> Option<[Edge; 2]> {
        let edge = |side: &Side, sign: f64| Edge { price: sign * side.price, back: usize::from(side.age) + back + 1 };
        let [top, bottom] = self.before.get(back)?;
        (self.seen as usize > BARS + back).then(|| [edge(top, 1.0), edge(bottom, -1.0)])
    }
}
