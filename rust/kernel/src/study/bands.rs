//! Bollinger's bands, Keltner's, and when the one lies in the other.

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::window::WindowBar;

/// Closes of Bollinger's bands.
const PERIOD: usize = 20;

/// Keltner's bands lie so many average ranges beside their middle.
const KELTNER: f64 = 1.5;

/// Bars whose band widths are compared.
pub(crate) const WIDTHS: usize = ROWS * ROW;
/// As rows, since serde knows no array of 120.
const ROWS: usize = 6;
const ROW: usize = 20;

/// Bars after a squeeze in which a breakout is one of it.
pub(crate) const FRESH: u8 = 10;

/// The bands at the newest bar.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Bands {
    seen: u32,
    /// The newest first: in a window they lie 32 bytes apart.
    closes: [f64; PERIOD],
    widths: [[f64; ROW]; ROWS],
    /// Of each row the lowest.
    lowest: [f64; ROWS],
    /// Mean of 20 closes + 2σ, in price; NaN before 20 closes.
    pub upper: f64,
    /// The mean.
    pub middle: f64,
    /// The mean − 2σ.
    pub lower: f64,
    /// Bars since the bands were narrower than at any of the 119 bars before; 255 for never.
    narrow: u8,
    /// Bars since Bollinger's bands lay within Keltner's; 255 for never.
    squeezed: u8,
    /// Whether they did at the bar before the newest.
    was_squeezed: bool,
    /// Close less the upper band, and less the lower one.
    above: Step,
    below: Step,
}

impl Default for Bands {
    fn default() -> Self {
        Self {
            seen: 0,
            closes: [f64::NAN; PERIOD],
            widths: [[f64::INFINITY; ROW]; ROWS],
            lowest: [f64::INFINITY; ROWS],
            upper: f64::NAN,
            middle: f64::NAN,
            lower: f64::NAN,
            narrow: u8::MAX,
            squeezed: u8::MAX,
            was_squeezed: false,
            above: Step::default(),
            below: Step::default(),
        }
    }
}

impl Bands {
    /// `ema`: the exponential average of 20 closes; `atr`: a. Both with the bar.
    pub(super) fn push(&mut self, bar: &WindowBar, ema: f64, atr: f64) {
        let seen = self.seen as usize;
        self.closes.copy_within(..PERIOD - 1, 1);
        self.closes[0] = bar.close;
        self.seen = self.seen.saturating_add(1);
        self.was_squeezed = self.is_squeezed();
        self.narrow = self.narrow.saturating_add(1);
        self.squeezed = self.squeezed.saturating_add(1);
        if seen + 1 < PERIOD {
            return;
        }
        let (middle, sigma) = spread(&self.closes);
        (self.upper, self.middle, self.lower) = (middle + 2.0 * sigma, middle, middle - 2.0 * sigma);
        self.above.take(bar.close - self.upper);
        self.below.take(bar.close - self.lower);
        self.push_width((self.upper - self.lower) / middle, seen);
        if self.upper < ema + KELTNER * atr && self.lower > ema - KELTNER * atr {
            self.squeezed = 0;
        }
    }

    /// Reads a word of each line that the next bar will ask for.
    pub(super) fn touch(&self) -> u64 {
        let row = &self.widths[self.seen as usize / ROW % ROWS];
        let words =
            [row[0], row[ROW - 1], self.closes[0], self.closes[PERIOD - 1], self.lowest[0], self.upper, self.below.is];
        words.into_iter().fold(u64::from(self.narrow), |bits, x| bits ^ x.to_bits())
    }

    /// The 120th width before it makes room for it.
    fn push_width(&mut self, width: f64, seen: usize) {
        let (row, at) = (seen / ROW % ROWS, seen % ROW);
        let lowest =
            |widths: &[f64]| widths.iter().fold(f64::INFINITY, |low, &width| if width < low { width } else { low });
        self.widths[row][at] = f64::INFINITY;
        self.lowest[row] = lowest(&self.widths[row]);
        if seen + 2 >= PERIOD + WIDTHS && width < lowest(&self.lowest) {
            self.narrow = 0;
        }
        self.widths[row][at] = width;
        self.lowest[row] = lowest(&[self.lowest[row], width]);
    }

    /// Whether Bollinger's bands lie within Keltner's.
    #[must_use]
    pub fn is_squeezed(&self) -> bool {
        self.squeezed == 0
    }

    /// Whether they do, and did not at the bar before.
    #[must_use]
    pub fn begins_squeeze(&self) -> bool {
        self.is_squeezed() && !self.was_squeezed
    }

    /// Bars since the bands were the narrowest of 120 bars, if it is at most [`FRESH`].
    #[must_use]
    pub fn since_narrow(&self) -> Option<u8> {
        (self.narrow <= FRESH).then_some(self.narrow)
    }

    /// Bars since the squeeze, if there is none now and it is at most [`FRESH`].
    #[must_use]
    pub fn since_squeeze(&self) -> Option<u8> {
        (1..=FRESH).contains(&self.squeezed).then_some(self.squeezed)
    }

    /// 1 if the close has just gone above the upper band, −1 if below the lower one, else 0.
    #[must_use]
    pub fn leaves(&self) -> i8 {
        i8::from(self.above.rises_through(0.0)) - i8::from(self.below.falls_through(0.0))
    }
}

/// Mean and standard deviation (n − 1) of the last 20 closes, from their differences to the newest: at any level of prices
/// nothing is lost, and they depend on these closes alone.
fn spread(closes: &[f64; PERIOD]) -> (f64, f64) {
    let newest = closes[0];
    let differences = closes.map(|close| close - newest);
    let mean = differences.iter().sum::<f64>() / PERIOD as f64;
    let squares = differences.iter().map(|difference| (difference - mean) * (difference - mean)).sum::<f64>();
    (newest + mean, (squares / (PERIOD - 1) as f64).sqrt())
}
