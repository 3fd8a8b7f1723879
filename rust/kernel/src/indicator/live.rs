//! The indicators of a symbol that trades: what is carried from bar to bar, in the conventions that `AppV2` shows.
//!
//! Averages begin with their first value ([`Seed::First`]) and σ divides by n − 1, as in `AppV2`'s own indicators, so
//! that a number on its pages does not depend on who calculated it. The kernels are those of the batches; what is
//! carried here is their state, `advance`d by each bar.

use serde::{Deserialize, Serialize};

use super::Seed;
use super::adx::{Adx, AdxState, Directional, Move};
use super::atr::{Atr, AtrState};
use super::bollinger::Bollinger;
use super::macd::{Macd, MacdState};
use super::obv::{Obv, ObvState};
use super::rsi::{Rsi, RsiState};
use super::sma::Sma;
use super::stochastic::{Stochastic, Total};
use super::vwap::{Vwap, VwapState};
use crate::error::KernelError;
use crate::rolling::RollingSum;
use crate::trail::Carried;
use crate::window::{VOLUME_BARS, View, WindowBar};

/// The shortest window in which every indicator finds the bars that leave its own.
pub const LEAST_WINDOW: usize = 30;

/// Bars that a session's indicators begin with, as a warm start reads them: what was before weighs less than 1e-6 in an
/// average of span 26 or Wilder's of 14, and some 5e-6 in ADX, the slowest, which is smoothed twice.
const BASE_BARS: usize = 200;

/// %K where all prices of its window are equal: in the middle, as `AppV2` has it; the batches' 0 would read as oversold.
const FLAT: f64 = 50.0;

const FAST: usize = 12;
const SLOW: usize = 26;

/// Declares a struct of numbers, and their names in order.
macro_rules! values {
    ($(#[$doc:meta])* $struct:ident { $($(#[$field_doc:meta])* $name:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Serialize, Deserialize)]
        pub struct $struct {
            $($(#[$field_doc])* pub $name: f64,)*
        }

        impl $struct {
            /// What the numbers are called, in order.
            pub const NAMES: [&str; [$(stringify!($name)),*].len()] = [$(stringify!($name)),*];

            /// The numbers in order.
            #[must_use]
            pub fn columns(&self) -> [f64; Self::NAMES.len()] {
                [$(self.$name),*]
            }
        }
    };
}

values! {
    /// What a symbol's indicators show at the close of a bar; NaN for what has not seen enough bars yet.
    Values {
        /// Mean of 20 closes, in price.
        sma,
        /// Exponential average of closes, span 12, in price.
        ema_12,
        /// The same, span 26.
        ema_26,
        /// RSI over 14 changes, 0 to 100; NaN too while no close has differed from the one before.
        rsi,
        /// MACD 12/26/9, in price.
        macd,
        /// Its signal.
        macd_signal,
        /// Line − signal.
        macd_histogram,
        /// Mean of 20 closes + 2σ, in price.
        bollinger_upper,
        /// The mean.
        bollinger_middle,
        /// The mean − 2σ.
        bollinger_lower,
        /// ATR 14, in price.
        atr,
        /// ADX 14, 0 to 100.
        adx,
        /// +DI 14, 0 to 100.
        plus_di,
        /// −DI 14, 0 to 100.
        minus_di,
        /// On-balance volume since the first bar that the state was begun with, in shares.
        obv,
        /// %K of the stochastic 14/1/3, 0 to 100; 50 where the window is flat.
        stochastic_k,
        /// %D.
        stochastic_d,
        /// Volume-weighted average of typical prices since the session's open.
        vwap,
        /// Their standard deviation, in price.
        vwap_sigma,
        /// Volume over the mean of the 20 bars before.
        relative_volume,
    }
}

/// The indicators with their periods, once for all symbols.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    rsi: Rsi,
    sma: Sma,
    macd: Macd,
    bollinger: Bollinger,
    atr: Atr,
    adx: Adx,
    stochastic: Stochastic,
}

impl Kernels {
    /// The periods that `AppV2` shows.
    ///
    /// # Errors
    /// None: the periods are within their ranges. The kernels' own constructors say so.
    pub fn new() -> Result<Self, KernelError> {
        Ok(Self {
            rsi: Rsi::new(14, Seed::First)?,
            sma: Sma::new(20)?,
            macd: Macd::new(FAST, SLOW, 9, Seed::First)?,
            bollinger: Bollinger::new(20, 2.0, 1)?,
            atr: Atr::new(14, Seed::First)?,
            adx: Adx::new(14, Seed::First)?,
            stochastic: Stochastic::new(14, 1, 3)?,
        })
    }
}

/// RSI alone: what every symbol carries, since every event shows it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Strength {
    seen: u32,
    previous: f64,
    averages: RsiState<f64>,
    rsi: f64,
}

impl Strength {
    /// RSI at the newest bar, 0 to 100; `None` until there are 14 bars and one has closed elsewhere than the one before.
    #[must_use]
    pub fn rsi(&self) -> Option<f64> {
        (self.seen > 0 && !self.rsi.is_nan()).then_some(self.rsi)
    }
}

impl Carried for Strength {
    type Shared = Kernels;
    const BEFORE: usize = BASE_BARS;

    #[inline]
    fn touch(&self) -> u64 {
        self.previous.to_bits()
    }

    #[inline]
    fn push(&mut self, bar: &WindowBar, _: View<'_>, kernels: &Kernels) {
        let rsi = kernels.rsi.advance(&mut self.averages, self.seen as usize, bar.close, self.previous);
        self.rsi = moved_at_all(&self.averages, rsi);
        self.previous = bar.close;
        self.seen = self.seen.saturating_add(1);
    }
}

/// Every indicator of a symbol that is watched.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Live {
    seen: u32,
    rsi: (RsiState<f64>, f64),
    sum: RollingSum<f64>,
    /// Of span 12 and 26 in it are the two exponential averages that are shown by themselves, too.
    macd: MacdState<f64>,
    atr: (AtrState<f64>, f64),
    adx: (AdxState<f64>, [f64; 3]),
    obv: ObvState<f64>,
    /// The last two raw %K, newest first: the older one leaves %D next.
    raw: [f64; 2],
    total: Total<f64>,
    stochastic_d: f64,
    session: VwapState<f64>,
    vwap: [f64; 2],
}

impl Carried for Live {
    type Shared = Kernels;
    const BEFORE: usize = BASE_BARS;

    #[inline]
    fn touch(&self) -> u64 {
        [self.rsi.1, self.macd.fast, self.adx.1[0], self.vwap[1]].into_iter().fold(0, |bits, x| bits ^ x.to_bits())
    }

    fn push(&mut self, bar: &WindowBar, view: View<'_>, kernels: &Kernels) {
        let seen = self.seen as usize;
        let (close, volume) = (bar.close, bar.volume as f64);
        // Nothing reads the bar before the first one.
        let before = view.bar(1).filter(|_| seen > 0).unwrap_or(*bar);
        let period = kernels.sma.period();
        let leaving = if seen >= period { view.bar(period).map_or(0.0, |bar| bar.close) } else { 0.0 };
        kernels.sma.step(&mut self.sum, true, close, leaving);
        let rsi = kernels.rsi.advance(&mut self.rsi.0, seen, close, before.close);
        self.rsi.1 = moved_at_all(&self.rsi.0, rsi);
        kernels.macd.advance(&mut self.macd, seen, close);
        self.atr.1 = kernels.atr.advance(&mut self.atr.0, seen, bar.high, bar.low, before.close);
        let moved = Move {
            high: bar.high,
            low: bar.low,
            previous_high: before.high,
            previous_low: before.low,
            previous_close: before.close,
        };
        let Directional { adx, plus, minus } = kernels.adx.advance(&mut self.adx.0, seen, moved);
        self.adx.1 = [adx, plus, minus];
        Obv.advance(&mut self.obv, seen, close, before.close, volume);
        self.push_stochastic(close, view, &kernels.stochastic);
        let vwap = Vwap.step(&mut self.session, true, [bar.high, bar.low, close], volume);
        self.vwap = [vwap.vwap, vwap.sigma];
        self.seen = self.seen.saturating_add(1);
    }

    fn open(&mut self) {
        (self.session, self.vwap) = (VwapState::default(), [f64::NAN; 2]);
    }
}

impl Live {
    fn push_stochastic(&mut self, close: f64, view: View<'_>, kernel: &Stochastic) {
        let [k, _, slow_d] = kernel.periods();
        let Some(at) = (self.seen as usize + 1).checked_sub(k) else { return };
        let price = |back: usize, of: fn(&WindowBar) -> f64| view.bar(back).map_or(f64::NAN, |bar| of(&bar));
        let raw = kernel.raw(close, |back| price(back, |bar| bar.high), |back| price(back, |bar| bar.low), FLAT);
        let oldest = if at + 1 >= slow_d { self.raw[1] } else { 0.0 };
        self.stochastic_d = self.total.step(true, raw, oldest, slow_d);
        self.raw = [raw, self.raw[0]];
    }

    /// What is shown at the newest bar of `view`, the last one that was pushed.
    #[must_use]
    pub fn values(&self, view: View<'_>, kernels: &Kernels) -> Values {
        let from = |lookback: usize, value: f64| if self.seen as usize > lookback { value } else { f64::NAN };
        let sma = from(kernels.sma.lookback(), kernels.sma.mean(&self.sum));
        let middle = kernels.bollinger.middle().period();
        let close = |k: usize| view.bar(middle - 1 - k).map_or(f64::NAN, |bar| bar.close);
        let bands = kernels.bollinger.step(sma, close);
        let line = self.macd.fast - self.macd.slow;
        let macd = kernels.macd.lookback();
        let [adx, plus_di, minus_di] = if self.seen == 0 { [f64::NAN; 3] } else { self.adx.1 };
        let stochastic = kernels.stochastic.lookback();
        Values {
            sma,
            ema_12: from(FAST - 1, self.macd.fast),
            ema_26: from(SLOW - 1, self.macd.slow),
            rsi: from(0, self.rsi.1),
            macd: from(macd, line),
            macd_signal: from(macd, self.macd.signal),
            macd_histogram: from(macd, line - self.macd.signal),
            bollinger_upper: bands.upper,
            bollinger_middle: bands.middle,
            bollinger_lower: bands.lower,
            atr: from(0, self.atr.1),
            adx,
            plus_di,
            minus_di,
            obv: from(0, self.obv.total),
            stochastic_k: from(stochastic, self.raw[0]),
            stochastic_d: from(stochastic, self.stochastic_d),
            vwap: from(0, self.vwap[0]),
            vwap_sigma: from(0, self.vwap[1]),
            relative_volume: relative_volume(view).unwrap_or(f64::NAN),
        }
    }
}

/// RSI where a price has moved. Of one that never did it is 0/0, of which the batches make 0, as TA-Lib does: beside an
/// event that would read as oversold.
pub(crate) fn moved_at_all(averages: &RsiState<f64>, rsi: f64) -> f64 {
    if *averages == RsiState::default() { f64::NAN } else { rsi }
}

/// Volume over the mean of the 20 bars before; `None` until there are that many, or if nothing was traded in them.
#[must_use]
pub fn relative_volume(view: View<'_>) -> Option<f64> {
    let mean = view.mean_volume(1, VOLUME_BARS).filter(|&mean| mean > 0.0)?;
    view.bar(0).map(|bar| bar.volume as f64 / mean)
}
