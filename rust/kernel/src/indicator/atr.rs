//! Average true range.

use super::{PIECE, Seed, begin, check_period, fault, made, rest, smoothed, sound, true_range, wilder_alpha};
use crate::error::KernelError;
use crate::pack::{Real, state, widest};

state! {
    /// The average; its sum, while it is seeded.
    AtrState {
        /// In price.
        value
    }
}

/// Wilder's average of the true range max(h − l, |c₋₁ − h|, |c₋₁ − l|), in price. O(1) a bar.
///
/// [`Seed::Sma`]: lookback n; begins as the mean of the n true ranges of bars 1 to n, bar 0 having none. The step is
/// β·a + α·r, fused, β = (n − 1)/n and α = 1 − β, as in TA-Lib 0.8's build.
/// [`Seed::First`]: `AppV2`'s `ewm(alpha=1/n, adjust=False, min_periods=n)`, lookback n − 1; bar 0 counts with h − l.
///
/// Source: Wilder (1978), New Concepts in Technical Trading Systems, ch. 3; TA-Lib 0.8 `TA_ATR`.
#[derive(Clone, Copy, Debug)]
pub struct Atr {
    period: usize,
    seed: Seed,
    alpha: f64,
    beta: f64,
}

impl Atr {
    /// Over `period` true ranges.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 1 to 100,000.
    pub fn new(period: usize, seed: Seed) -> Result<Self, KernelError> {
        check_period("period", period, 1)?;
        let beta = (period as f64 - 1.0) / period as f64;
        let alpha = match seed {
            Seed::Sma => 1.0 - beta,
            Seed::First => wilder_alpha(period),
        };
        Ok(Self { period, seed, alpha, beta })
    }

    /// Bars that precede the first average.
    #[must_use]
    pub fn lookback(&self) -> usize {
        match self.seed {
            Seed::Sma => self.period,
            Seed::First => self.period - 1,
        }
    }

    /// The average after one more bar, once it is seeded.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut AtrState<N>, has: N::Mask, high: N, low: N, previous_close: N) -> N {
        self.averaged(state, has, true_range(high, low, previous_close))
    }

    #[inline(always)]
    fn averaged<N: Real>(&self, state: &mut AtrState<N>, has: N::Mask, range: N) -> N {
        let value = match self.seed {
            Seed::Sma => N::all(self.beta).mul_add(state.value, N::all(self.alpha) * range),
            Seed::First => smoothed(state.value, range, self.alpha),
        };
        state.set(has, AtrState { value });
        value
    }

    /// The same for one series whatever it has seen; NaN during warm-up. `previous_close` is not read at its first bar.
    #[inline(always)]
    pub fn advance(&self, state: &mut AtrState<f64>, seen: usize, high: f64, low: f64, previous_close: f64) -> f64 {
        match self.seed {
            Seed::Sma if seen == 0 => {}
            Seed::First if seen == 0 => state.value = high - low,
            Seed::Sma if seen <= self.period => {
                state.value += true_range(high, low, previous_close);
                if seen == self.period {
                    state.value /= self.period as f64;
                }
            }
            _ => {
                self.step(state, true, high, low, previous_close);
            }
        }
        if seen < self.lookback() { f64::NAN } else { state.value }
    }

    /// The averages of a series of bars, NaN during warm-up.
    ///
    /// # Errors
    /// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] if a price after leading NaN is not
    /// finite, or a high below its low.
    pub fn batch(&self, high: &[f64], low: &[f64], close: &[f64]) -> Result<Vec<f64>, KernelError> {
        made(close.len(), |[out]| self.fill([high, low, close], out)).map(|[averages]| averages)
    }

    /// The same of `[high, low, close]` into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`Atr::batch`]; `out` is then of no use.
    pub fn fill(&self, [high, low, close]: [&[f64]; 3], out: &mut [f64]) -> Result<(), KernelError> {
        let columns = [("high", high), ("low", low), ("close", close)];
        let start = begin(&columns)?;
        let out = rest(out, close.len(), start)?;
        let (atr, bars) = (*self, [&high[start..], &low[start..], &close[start..]]);
        let sound = widest!(<'a> |atr: Atr, bars: [&'a [f64]; 3], out: &'a mut [f64]| -> bool {
            let [high, low, close] = bars;
            let mut state = AtrState::default();
            let warm = (atr.period + 1).min(close.len());
            let mut all = sound(&high[..warm], &low[..warm], &close[..warm]);
            for row in 0..warm {
                out[row] = atr.advance(&mut state, row, high[row], low[row], close[row.saturating_sub(1)]);
            }
            for from in (warm..close.len()).step_by(PIECE) {
                let span = from..close.len().min(from + PIECE);
                let (high, low, out) = (&high[span.clone()], &low[span.clone()], &mut out[span.clone()]);
                all &= sound(high, low, &close[span]);
                // Ranges wait for nothing and are made many at a time; only the average is one after the other.
                for (((out, &high), &low), &previous) in out.iter_mut().zip(high).zip(low).zip(&close[from - 1..]) {
                    *out = true_range(high, low, previous);
                }
                for out in out {
                    *out = atr.averaged(&mut state, true, *out);
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&columns, start)) }
    }
}
