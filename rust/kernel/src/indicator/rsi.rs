//! Relative strength index.

use super::{PIECE, Seed, begin, check_period, fault, finite, made, rest, smoothed, wilder_alpha};
use crate::error::KernelError;
use crate::pack::{Real, state, widest};

state! {
    /// Wilder's averages of gains and losses; their sums, while they are seeded.
    RsiState {
        /// Average gain a bar, in price, ≥ 0.
        gain,
        /// Average loss a bar, in price, ≥ 0.
        loss
    }
}

/// 100 · G/(G + L), G and L Wilder's averages of gains and losses; 0 to 100. O(1) a bar.
///
/// [`Seed::Sma`]: lookback n; seeded with the means of the first n changes; 0 where nothing has moved yet, as TA-Lib 0.8.
/// [`Seed::First`]: `AppV2`'s 100 − 100/(1 + G/L) of `ewm(alpha=1/n, adjust=False, min_periods=n)`, lookback n − 1: pandas'
/// first change is NaN, which its `where` makes a gain and a loss of 0, and the averages begin with those.
///
/// Source: Wilder (1978), New Concepts in Technical Trading Systems, ch. 6; TA-Lib 0.8 `TA_RSI`.
#[derive(Clone, Copy, Debug)]
pub struct Rsi {
    period: usize,
    seed: Seed,
    inverse: f64,
    alpha: f64,
}

impl Rsi {
    /// Over `period` changes.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 2 to 100,000.
    pub fn new(period: usize, seed: Seed) -> Result<Self, KernelError> {
        check_period("period", period, 2)?;
        Ok(Self { period, seed, inverse: 1.0 / period as f64, alpha: wilder_alpha(period) })
    }

    /// Values that precede the first result.
    #[must_use]
    pub fn lookback(&self) -> usize {
        match self.seed {
            Seed::Sma => self.period,
            Seed::First => self.period - 1,
        }
    }

    /// The index after one more value, `previous` being the one before it, once the averages are seeded.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut RsiState<N>, has: N::Mask, x: N, previous: N) -> N {
        let (gain, loss) = moved(x, previous);
        let new = match self.seed {
            Seed::Sma => {
                let (before, inverse) = (N::all(self.period as f64 - 1.0), N::all(self.inverse));
                RsiState { gain: (state.gain * before + gain) * inverse, loss: (state.loss * before + loss) * inverse }
            }
            Seed::First => {
                RsiState { gain: smoothed(state.gain, gain, self.alpha), loss: smoothed(state.loss, loss, self.alpha) }
            }
        };
        state.set(has, new);
        self.value(new)
    }

    #[inline(always)]
    fn value<N: Real>(&self, averages: RsiState<N>) -> N {
        let (zero, hundred) = (N::all(0.0), N::all(100.0));
        match self.seed {
            Seed::Sma => {
                let total = averages.gain + averages.loss;
                N::pick(total.above(zero), hundred * (averages.gain / total), zero)
            }
            Seed::First => {
                let strength = averages.gain / averages.loss;
                N::pick(averages.gain.equals(zero), zero, hundred - hundred / (N::all(1.0) + strength))
            }
        }
    }

    /// The same for one series whatever it has seen; NaN during warm-up. `previous` is not read at its first bar.
    #[inline(always)]
    pub fn advance(&self, state: &mut RsiState<f64>, seen: usize, x: f64, previous: f64) -> f64 {
        if seen == 0 {
            return f64::NAN; // the averages are 0 on either seed, and no period is 1
        }
        let value = match self.seed {
            Seed::Sma if seen <= self.period => {
                let (gain, loss) = moved(x, previous);
                state.gain += gain;
                state.loss += loss;
                if seen == self.period {
                    state.gain *= self.inverse;
                    state.loss *= self.inverse;
                }
                self.value(*state)
            }
            _ => self.step(state, true, x, previous),
        };
        if seen < self.lookback() { f64::NAN } else { value }
    }

    /// The index of a series, NaN during warm-up.
    ///
    /// # Errors
    /// [`KernelError::Row`] if a value after leading NaN is not finite.
    pub fn batch(&self, values: &[f64]) -> Result<Vec<f64>, KernelError> {
        made(values.len(), |[out]| self.fill(values, out)).map(|[index]| index)
    }

    /// The same into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`Rsi::batch`]; `out` is then of no use.
    pub fn fill(&self, values: &[f64], out: &mut [f64]) -> Result<(), KernelError> {
        let start = begin(&[("values", values)])?;
        let out = rest(out, values.len(), start)?;
        let (rsi, x) = (*self, &values[start..]);
        let sound = widest!(<'a> |rsi: Rsi, x: &'a [f64], out: &'a mut [f64]| -> bool {
            let mut state = RsiState::default();
            let warm = (rsi.period + 1).min(x.len());
            let mut previous = 0.0;
            for (seen, (out, &x)) in out[..warm].iter_mut().zip(x).enumerate() {
                *out = rsi.advance(&mut state, seen, x, previous);
                previous = x;
            }
            let mut all = finite(&x[..warm]);
            for (x, out) in x[warm..].chunks(PIECE).zip(out[warm..].chunks_mut(PIECE)) {
                all &= finite(x);
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = rsi.step(&mut state, true, x, previous);
                    previous = x;
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&[("values", values)], start)) }
    }
}

/// (gain, loss) of one bar; one of the two is 0.
#[inline(always)]
fn moved<N: Real>(x: N, previous: N) -> (N, N) {
    let (zero, change) = (N::all(0.0), x - previous);
    let gain = N::pick(change.above(zero), change, zero);
    (gain, gain - change)
}
