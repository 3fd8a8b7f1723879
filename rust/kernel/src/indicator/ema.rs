//! Exponential moving average.

use super::{PIECE, Seed, begin, check_period, fault, finite, made, rest, smoothed, span_alpha};
use crate::error::KernelError;
use crate::pack::{Real, state, widest};

state! {
    /// The average; its sum, while it is seeded.
    EmaState {
        /// In the unit of the series.
        value
    }
}

/// e + k·(x − e), k = 2/(n + 1). Lookback n − 1. O(1) a bar.
///
/// [`Seed::Sma`]: e begins as the mean of the first n values; the step is one fused multiply-add, as in TA-Lib's build.
/// [`Seed::First`]: pandas' `ewm(span=n, adjust=False, min_periods=n)`.
///
/// Source: Brown (1956), Exponential Smoothing for Predicting Demand; TA-Lib 0.8 `TA_EMA`.
#[derive(Clone, Copy, Debug)]
pub struct Ema {
    period: usize,
    seed: Seed,
    k: f64,
    alpha: f64,
}

impl Ema {
    /// Over a span of `period` values.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 1 to 100,000.
    pub fn new(period: usize, seed: Seed) -> Result<Self, KernelError> {
        check_period("period", period, 1)?;
        Ok(Self { period, seed, k: 2.0 / (period as f64 + 1.0), alpha: span_alpha(period) })
    }

    /// Values that precede the first average.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.period - 1
    }

    /// The average after one more value, once n have been seen.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut EmaState<N>, has: N::Mask, x: N) -> N {
        let old = state.value;
        let value = match self.seed {
            Seed::Sma if self.period == 1 => x,
            Seed::Sma => (x - old).mul_add(N::all(self.k), old),
            Seed::First => smoothed(old, x, self.alpha),
        };
        state.set(has, EmaState { value });
        value
    }

    /// The same for one series whatever it has seen; NaN during warm-up.
    #[inline(always)]
    pub fn advance(&self, state: &mut EmaState<f64>, seen: usize, x: f64) -> f64 {
        match self.seed {
            Seed::First if seen == 0 => state.value = x,
            Seed::Sma if seen < self.period => {
                state.value += x;
                if seen + 1 == self.period {
                    state.value /= self.period as f64;
                }
            }
            _ => return self.shown(seen, self.step(state, true, x)),
        }
        self.shown(seen, state.value)
    }

    #[inline(always)]
    fn shown(&self, seen: usize, value: f64) -> f64 {
        if seen < self.lookback() { f64::NAN } else { value }
    }

    /// The averages of a series, NaN before there are n values.
    ///
    /// # Errors
    /// [`KernelError::Row`] if a value after leading NaN is not finite.
    pub fn batch(&self, values: &[f64]) -> Result<Vec<f64>, KernelError> {
        made(values.len(), |[out]| self.fill(values, out)).map(|[averages]| averages)
    }

    /// The same into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`Ema::batch`]; `out` is then of no use.
    pub fn fill(&self, values: &[f64], out: &mut [f64]) -> Result<(), KernelError> {
        let start = begin(&[("values", values)])?;
        let out = rest(out, values.len(), start)?;
        let (ema, x) = (*self, &values[start..]);
        let sound = widest!(<'a> |ema: Ema, x: &'a [f64], out: &'a mut [f64]| -> bool {
            let mut state = EmaState::default();
            let warm = ema.period.min(x.len());
            for (seen, (out, &x)) in out[..warm].iter_mut().zip(x).enumerate() {
                *out = ema.advance(&mut state, seen, x);
            }
            let mut all = finite(&x[..warm]);
            for (x, out) in x[warm..].chunks(PIECE).zip(out[warm..].chunks_mut(PIECE)) {
                all &= finite(x);
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = ema.step(&mut state, true, x);
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&[("values", values)], start)) }
    }
}
