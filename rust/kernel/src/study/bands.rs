//! Bollinger's bands, Keltner's, and when the one lies in the other.

use serde::{Deserialize, Serialize};

use super::Kernels;
use super::step::Step;
use crate::rolling::RollingSum;
use crate::window::{View, WindowBar};

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
    sum: RollingSum<f64>,
    widths: [[f64; ROW]; ROWS],
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
            sum: RollingSum::default(),
            widths: [[f64::INFINITY; ROW]; ROWS],
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
    pub(super) fn push(&mut self, bar: &WindowBar, view: View<'_>, ema: f64, atr: f64, kernels: &Kernels) {
        let seen = self.seen as usize;
        self.seen = self.seen.saturating_add(1);
        let period = kernels.bollinger.middle().period();
        let leaving = if seen >= period { view.bar(period).map_or(0.0, |bar| bar.close) } else { 0.0 };
        let mean = kernels.bollinger.middle().step(&mut self.sum, true, bar.close, leaving);
        self.was_squeezed = self.is_squeezed();
        self.narrow = self.narrow.saturating_add(1);
        self.squeezed = self.squeezed.saturating_add(1);
        if seen + 1 < period {
            return;
        }
        let close = |k: usize| view.bar(period - 1 - k).map_or(f64::NAN, |bar| bar.close);
        let bands = kernels.bollinger.step(mean, close);
        (self.upper, self.middle, self.lower) = (bands.upper, bands.middle, bands.lower);
        self.above.take(bar.close - bands.upper);
        self.below.take(bar.close - bands.lower);
        let width = (bands.upper - bands.lower) / bands.middle;
        let at = seen % WIDTHS;
        self.widths[at / ROW][at % ROW] = f64::INFINITY;
        let lowest = self.widths.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        if seen + 1 >= period + WIDTHS - 1 && width < lowest {
            self.narrow = 0;
        }
        self.widths[at / ROW][at % ROW] = width;
        if bands.upper < ema + KELTNER * atr && bands.lower > ema - KELTNER * atr {
            self.squeezed = 0;
        }
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
