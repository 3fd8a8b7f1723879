//! Averages and oscillators whose crossings are patterns, in the conventions that `AppV2` shows.

use serde::{Deserialize, Serialize};

use super::Kernels;
use super::channel::Side;
use super::step::Step;
use crate::indicator::ema::EmaState;
use crate::indicator::live::moved_at_all;
use crate::indicator::macd::MacdState;
use crate::indicator::rsi::RsiState;
use crate::indicator::vwap::{Vwap, VwapState};
use crate::rolling::RollingSum;
use crate::window::{View, WindowBar};

/// %K where all prices of its window are equal: in the middle, so that it crosses nothing.
const FLAT: f64 = 50.0;

/// Percentages that differ by less are one: they err by less than 1e-12.
const EQUAL: f64 = 1e-9;

/// What is carried of averages and oscillators from bar to bar, and what they show at the newest two.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Momentum {
    seen: u32,
    emas: [EmaState<f64>; 2],
    sums: [RollingSum<f64>; 2],
    macd_state: MacdState<f64>,
    rsi_state: RsiState<f64>,
    previous: f64,
    /// Highs, and lows with their sign turned, of the stochastic's bars.
    sides: [Side; 2],
    raw: [f64; 2],
    session: VwapState<f64>,
    /// Exponential averages of 9 and of 20 closes, the one less the other.
    pub ema_9_20: Step,
    /// Of 12 and 26 closes.
    pub ema_12_26: Step,
    /// Plain averages of 50 and 200 closes.
    pub sma_50_200: Step,
    /// Histogram of MACD 12/26/9, in price.
    pub histogram: Step,
    /// RSI 14.
    pub rsi: Step,
    /// %K less %D of the stochastic 14/1/3.
    pub stochastic: Step,
    /// Its %K.
    pub k: f64,
    /// Close less the session's VWAP.
    pub vwap: Step,
    /// The exponential average of 20 closes.
    pub ema_20: f64,
    /// The slower average of each pair: of 20, 26 and 200 closes; NaN while there is none.
    pub slow: [f64; 3],
}

impl Momentum {
    pub(super) fn push(&mut self, bar: &WindowBar, view: View<'_>, kernels: &Kernels) {
        let seen = self.seen as usize;
        self.seen = self.seen.saturating_add(1);
        let close = bar.close;
        let from = |bars: usize, value: f64| if seen + 1 >= bars { value } else { f64::NAN };

        let [ema_9, ema_20] = &mut self.emas;
        let ema_9 = kernels.emas[0].advance(ema_9, seen, close);
        self.ema_20 = kernels.emas[1].advance(ema_20, seen, close);
        self.ema_9_20.take(from(20, ema_9 - self.ema_20));

        let macd = kernels.macd.advance(&mut self.macd_state, seen, close);
        self.histogram.take(macd.histogram);
        self.ema_12_26.take(from(26, self.macd_state.fast - self.macd_state.slow));

        let [mean_50, mean_200] = self.means(close, seen, view, kernels);
        self.sma_50_200.take(mean_50 - mean_200);
        self.slow = [from(20, self.ema_20), from(26, self.macd_state.slow), mean_200];

        let rsi = kernels.rsi.advance(&mut self.rsi_state, seen, close, self.previous);
        self.rsi.take(moved_at_all(&self.rsi_state, rsi));
        self.previous = close;

        self.push_stochastic(bar, seen, view, kernels);

        let vwap = Vwap.step(&mut self.session, true, [bar.high, bar.low, close], bar.volume as f64).vwap;
        self.vwap.take(close - vwap);
    }

    /// Reads a word of each of its lines, in whatever order they lie.
    pub(super) fn touch(&self) -> u64 {
        let steps = [&self.ema_9_20, &self.sma_50_200, &self.rsi, &self.vwap].map(|step| step.is);
        let states = [self.emas[0].value, self.macd_state.signal, self.rsi_state.gain, self.session.mean, self.slow[0]];
        steps.into_iter().chain(states).fold(0, |bits, x| bits ^ x.to_bits())
    }

    /// A session opens: its VWAP begins.
    pub(super) fn open(&mut self) {
        (self.session, self.vwap) = (VwapState::default(), Step::default());
    }

    /// The exponential average of 9 closes; NaN before there are as many, as with the next ones.
    #[must_use]
    pub fn ema_9(&self) -> f64 {
        self.from(9, self.emas[0].value)
    }

    /// Of 12.
    #[must_use]
    pub fn ema_12(&self) -> f64 {
        self.from(12, self.macd_state.fast)
    }

    /// The mean of 50 closes; NaN, too, in a window of so many bars that it does not hold them.
    #[must_use]
    pub fn sma_50(&self, window_bars: usize, kernels: &Kernels) -> f64 {
        let [sma, _] = kernels.smas;
        if window_bars < sma.period() { f64::NAN } else { self.from(sma.period() as u32, sma.mean(&self.sums[0])) }
    }

    /// MACD 12/26/9 and its signal, in price.
    #[must_use]
    pub fn macd(&self) -> [f64; 2] {
        let MacdState { fast, slow, signal } = self.macd_state;
        [fast - slow, signal].map(|value| if self.histogram.is.is_nan() { f64::NAN } else { value })
    }

    /// %K and %D of the stochastic 14/1/3, 0 to 100.
    #[must_use]
    pub fn k_and_d(&self) -> [f64; 2] {
        [self.from(14, self.k), self.k - self.stochastic.is]
    }

    fn from(&self, bars: u32, value: f64) -> f64 {
        if self.seen >= bars { value } else { f64::NAN }
    }

    /// Means of 50 and 200 closes; NaN until there are as many, and in a window of fewer.
    fn means(&mut self, close: f64, seen: usize, view: View<'_>, kernels: &Kernels) -> [f64; 2] {
        let mut means = [f64::NAN; 2];
        for ((mean, sum), sma) in means.iter_mut().zip(&mut self.sums).zip(&kernels.smas) {
            let leaving = if seen < sma.period() { Some(0.0) } else { view.bar(sma.period()).map(|bar| bar.close) };
            let value = sma.step(sum, true, close, leaving.unwrap_or(f64::NAN));
            // What lies behind a shorter window is there on most days, but not after a late tick.
            if seen + 1 >= sma.period() && view.bars() >= sma.period() {
                *mean = value;
            }
        }
        means
    }

    fn push_stochastic(&mut self, bar: &WindowBar, seen: usize, view: View<'_>, kernels: &Kernels) {
        let [k, _, slow_d] = kernels.stochastic.periods();
        let [top, bottom] = &mut self.sides;
        top.push(k, bar.high, seen == 0, |back| view.bar(back).map(|bar| bar.high));
        bottom.push(k, -bar.low, seen == 0, |back| view.bar(back).map(|bar| -bar.low));
        let Some(at) = (seen + 1).checked_sub(k) else { return };
        let raw = kernels.stochastic.within(bar.close, top.price, -bottom.price, FLAT);
        let slow = (raw + self.raw[0] + self.raw[1]) / slow_d as f64;
        self.raw = [raw, self.raw[0]];
        self.k = raw;
        // %K are ratios of few cents, and one in ninety is the mean of three: in floats a hair beside it.
        let less = if (raw - slow).abs() < EQUAL { 0.0 } else { raw - slow };
        self.stochastic.take(if at + 1 >= slow_d { less } else { f64::NAN });
    }
}
