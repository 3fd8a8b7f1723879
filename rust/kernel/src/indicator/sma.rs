//! Simple moving average.

use super::{PIECE, begin, check_period, fault, finite, made, rest};
use crate::error::KernelError;
use crate::pack::{Real, widest};
use crate::rolling::{RollingSum, difference};

/// (x₀ + x₋₁ + … + x₋ₙ₊₁)/n. Lookback n − 1. O(1) a bar.
///
/// The sum is compensated: it equals the true one, rounded once, after any number of bars, and it does not depend on
/// what was seen before the window. TA-Lib's running total drifts by some 1e-14 in 10⁵ bars.
#[derive(Clone, Copy, Debug)]
pub struct Sma {
    period: usize,
}

impl Sma {
    /// Over `period` values.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 1 to 100,000.
    pub fn new(period: usize) -> Result<Self, KernelError> {
        check_period("period", period, 1)?;
        Ok(Self { period })
    }

    /// n.
    #[must_use]
    pub fn period(&self) -> usize {
        self.period
    }

    /// Values that precede the first mean.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.period - 1
    }

    /// The mean after one more value; `leaving` is the value n before it, 0 if there is none yet.
    ///
    /// Right once n values have been seen; to subtract a 0 changes no bit, so warm-up needs no form of its own.
    #[inline(always)]
    pub fn step<N: Real>(&self, sum: &mut RollingSum<N>, has: N::Mask, newest: N, leaving: N) -> N {
        sum.slide(has, newest, leaving);
        self.mean(sum)
    }

    /// The mean of a full window's sum.
    #[inline(always)]
    pub fn mean<N: Real>(&self, sum: &RollingSum<N>) -> N {
        sum.value() / N::all(self.period as f64)
    }

    /// The means of a series, NaN before there are n values.
    ///
    /// # Errors
    /// [`KernelError::Row`] if a value after leading NaN is not finite.
    pub fn batch(&self, values: &[f64]) -> Result<Vec<f64>, KernelError> {
        made(values.len(), |[out]| self.fill(values, out)).map(|[means]| means)
    }

    /// The same into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`Sma::batch`]; `out` is then of no use.
    pub fn fill(&self, values: &[f64], out: &mut [f64]) -> Result<(), KernelError> {
        let start = begin(&[("values", values)])?;
        let out = rest(out, values.len(), start + self.lookback())?;
        let (sma, x) = (*self, &values[start..]);
        let sound = widest!(<'a> |sma: Sma, x: &'a [f64], out: &'a mut [f64]| -> bool {
            let mut sum = RollingSum::<f64>::default();
            let warm = sma.lookback().min(x.len());
            for &value in &x[..warm] {
                sum.slide(true, value, 0.0);
            }
            let mut all = finite(&x[..warm]);
            let mut leaving = 0.0;
            let (mut changes, mut lost) = ([0.0; PIECE], [0.0; PIECE]);
            for ((newest, oldest), out) in x[warm..].chunks(PIECE).zip(x.chunks(PIECE)).zip(out.chunks_mut(PIECE)) {
                all &= finite(newest);
                // What waits for nothing is made many at a time; only the sum is one after the other.
                let rows = newest.len();
                (changes[0], lost[0]) = difference(newest[0], leaving);
                let made = changes[1..rows].iter_mut().zip(&mut lost[1..rows]);
                for (((change, lost), &newest), &leaving) in made.zip(&newest[1..]).zip(oldest) {
                    (*change, *lost) = difference(newest, leaving);
                }
                leaving = oldest[rows - 1];
                for ((out, &change), &lost) in out.iter_mut().zip(&changes).zip(&lost) {
                    sum.change(true, (change, lost));
                    *out = sum.value();
                }
                for out in out {
                    *out /= sma.period as f64;
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&[("values", values)], start)) }
    }
}
