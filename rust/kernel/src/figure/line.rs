//! A straight line over the numbers of bars.

use serde::{Deserialize, Serialize};

/// A price that changes by as much from bar to bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    price: f64,
    index: f64,
    slope: f64,
}

impl Line {
    pub(super) fn touch(&self) -> u64 {
        self.price.to_bits()
    }

    /// At one price.
    #[must_use]
    pub fn level(price: f64) -> Self {
        Self { price, index: 0.0, slope: 0.0 }
    }

    /// Through two points (price, number of the bar); level if they are on one bar.
    #[must_use]
    pub fn through((price, index): (f64, f64), (later, there): (f64, f64)) -> Self {
        let slope = if there == index { 0.0 } else { (later - price) / (there - index) };
        Self { price, index, slope }
    }

    /// Its change a bar, in price.
    #[must_use]
    pub fn slope(&self) -> f64 {
        self.slope
    }

    /// The line's price at a bar.
    #[must_use]
    pub fn at(&self, index: f64) -> f64 {
        self.price + self.slope * (index - self.index)
    }

    /// How far a price at a bar is above the line. Taken from differences, so that the mirror image gives the negative.
    #[must_use]
    pub fn under(&self, price: f64, index: f64) -> f64 {
        (price - self.price) - self.slope * (index - self.index)
    }

    /// The line under the other sign of prices.
    #[must_use]
    pub(super) fn mirrored(self) -> Self {
        Self { price: -self.price, slope: -self.slope, ..self }
    }
}
