//! What a symbol's bars have come to: the state behind patterns that look further back than a few bars.
//!
//! Everything here is carried from bar to bar in O(1), and begun anew at each session's open with the last 200 bars before
//! it ([`Carried`]), so that a long run and a restart agree bit for bit. A pattern only reads it.

mod bands;
mod channel;
mod momentum;
mod range;
mod step;
pub(crate) mod trend;
mod zigzag;

pub use bands::Bands;
pub use channel::{Channel, Edge};
pub use momentum::Momentum;
pub use step::Step;
pub use zigzag::{Extreme, Pivot, Zigzag};

pub(crate) use channel::BARS as CHANNEL_BARS;
pub(crate) use zigzag::KEPT as PIVOTS_KEPT;

use serde::{Deserialize, Serialize};

use crate::error::KernelError;
use crate::figure::Charts;
use crate::indicator::Seed;
use crate::indicator::ema::Ema;
use crate::indicator::macd::Macd;
use crate::indicator::rsi::Rsi;
use crate::indicator::sma::Sma;
use crate::indicator::stochastic::Stochastic;
use crate::trail::Carried;
use crate::window::{VOLUME_BARS, View, Window, WindowBar};
use range::AverageRange;

/// Bars that a session's state begins with, as a warm start reads them.
const BASE_BARS: usize = 200;

/// The periods of a study, once for all symbols.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    rsi: Rsi,
    macd: Macd,
    stochastic: Stochastic,
    emas: [Ema; 2],
    smas: [Sma; 2],
}

impl Kernels {
    /// The periods that the patterns' definitions name.
    ///
    /// # Errors
    /// None: the periods are within their ranges. The kernels' own constructors say so.
    pub fn new() -> Result<Self, KernelError> {
        Ok(Self {
            rsi: Rsi::new(14, Seed::First)?,
            macd: Macd::new(12, 26, 9, Seed::First)?,
            stochastic: Stochastic::new(14, 1, 3)?,
            emas: [Ema::new(9, Seed::First)?, Ema::new(20, Seed::First)?],
            smas: [Sma::new(50)?, Sma::new(200)?],
        })
    }
}

/// What a symbol's bars have come to.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Study {
    /// Bars taken in: the number of the next one.
    seen: u32,
    range: AverageRange,
    zigzag: Zigzag,
    charts: Charts,
    channel: Channel,
    momentum: Momentum,
    bands: Bands,
    /// A bit a bar, the newest lowest: whether it traded 1.5 times the mean of the 20 before it.
    busy: u8,
    /// See [`trend::product`]. Four patterns ask for it.
    #[serde(skip)]
    trend: Option<f64>,
}

impl Study {
    /// Takes in the newest bar of a window, if it holds one. O(1).
    pub fn take_newest(&mut self, window: &Window, kernels: &Kernels) {
        if let Some(bar) = window.bar(0) {
            self.push(&bar, window.view(), kernels);
        }
    }

    /// a: the average true range over 14 bars, in price; `None` while there are fewer, or if it is at most 0.00001 of the close.
    #[must_use]
    pub fn atr(&self) -> Option<f64> {
        self.range.measure()
    }

    /// The number of the newest bar.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.seen.saturating_sub(1)
    }

    /// Its swings.
    #[must_use]
    pub fn zigzag(&self) -> &Zigzag {
        &self.zigzag
    }

    /// Chart patterns that form and those that the newest bar confirms.
    #[must_use]
    pub fn charts(&self) -> &Charts {
        &self.charts
    }

    /// Highest highs and lowest lows.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Averages and oscillators.
    #[must_use]
    pub fn momentum(&self) -> &Momentum {
        &self.momentum
    }

    /// Bollinger's and Keltner's bands.
    #[must_use]
    pub fn bands(&self) -> &Bands {
        &self.bands
    }

    /// Σ distance from the middle × price of the last 10 closes; `None` until there are that many, or if nobody has summed it.
    #[must_use]
    pub(crate) fn trend(&self) -> Option<f64> {
        self.trend
    }

    /// How many of the last 5 bars traded 1.5 times the mean of the 20 before each.
    #[must_use]
    pub fn busy_bars(&self) -> u32 {
        (self.busy & 0b1_1111).count_ones()
    }
}

impl Carried for Study {
    type Shared = Kernels;
    const BEFORE: usize = BASE_BARS;

    fn push(&mut self, bar: &WindowBar, view: View<'_>, kernels: &Kernels) {
        let index = self.seen;
        self.seen = self.seen.saturating_add(1);
        let before = self.atr();
        self.range.push(bar);
        self.momentum.push(bar, view, kernels);
        self.bands.push(bar, self.momentum.ema_20, self.range.mean());
        self.channel.push(bar, view);
        let mean = view.mean_volume(1, VOLUME_BARS).filter(|&mean| mean > 0.0);
        let is_busy = mean.is_some_and(|mean| bar.volume as f64 >= 1.5 * mean);
        self.busy = self.busy << 1 | u8::from(is_busy);
        self.trend = trend::product(view);

        self.charts.begin(index);
        if let Some(atr) = before {
            self.charts.fly(bar, view, &self.zigzag, atr);
        }
        // No swing is measured before the average range is one of 14 bars.
        let atr = self.atr();
        let (rsi, histogram) = (self.momentum.rsi.is, self.momentum.histogram.is);
        let here = Extreme { price: bar.close, ts_us: bar.ts_us, index, rsi, histogram };
        let is_pivot = self.zigzag.push(bar, atr.unwrap_or(0.0), here);
        if let Some(atr) = atr {
            self.charts.push(bar, &self.zigzag, is_pivot, atr);
        }
    }

    fn touch(&self) -> u64 {
        let parts = [self.zigzag.touch(), self.channel.touch(), self.momentum.touch(), self.bands.touch()];
        parts.into_iter().fold(u64::from(self.seen) ^ self.charts.touch(), std::ops::BitXor::bitxor)
    }

    fn open(&mut self) {
        self.momentum.open();
    }
}
