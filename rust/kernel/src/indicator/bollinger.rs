//! Bollinger bands.

use super::sma::Sma;
use super::{begin, check_period, made, rest};
use crate::error::KernelError;
use crate::pack::{Pack, Real, WIDTH, widest};
use crate::rolling::deviation;

/// Three bands, in the unit of the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands<N> {
    /// Middle + d·σ.
    pub upper: N,
    /// The simple moving average.
    pub middle: N,
    /// Middle − d·σ.
    pub lower: N,
}

/// The mean of n values, and d standard deviations above and below it. Lookback n − 1.
///
/// `ddof` 0 divides by n, as TA-Lib and Bollinger do; 1 by n − 1, as pandas and `AppV2` do. The mean is O(1) a bar and
/// compensated ([`Sma`]); σ is summed anew over its window ([`deviation`]): O(n), and exactly 0 on equal values.
/// TA-Lib agrees to 1e-12 of the band.
///
/// Source: Bollinger (2001), Bollinger on Bollinger Bands, ch. 7.
#[derive(Clone, Copy, Debug)]
pub struct Bollinger {
    sma: Sma,
    deviations: f64,
    ddof: usize,
}

impl Bollinger {
    /// Over `period` values, `deviations` · σ wide on each side.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 2 to 100,000, ddof not 0 or 1, or the width not finite.
    pub fn new(period: usize, deviations: f64, ddof: usize) -> Result<Self, KernelError> {
        check_period("period", period, 2)?;
        if ddof > 1 {
            return Err(KernelError::Setting { name: "ddof", rule: "0 or 1", value: ddof as f64 });
        }
        if !deviations.is_finite() {
            return Err(KernelError::Setting { name: "deviations", rule: "finite", value: deviations });
        }
        Ok(Self { sma: Sma::new(period)?, deviations, ddof })
    }

    /// The mean in the middle.
    #[must_use]
    pub fn middle(&self) -> Sma {
        self.sma
    }

    /// Values that precede the first bands.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.sma.lookback()
    }

    /// The bands around a mean, of the last n values: x(0), the oldest, to x(n − 1).
    #[inline(always)]
    pub fn step<N: Real>(&self, middle: N, x: impl Fn(usize) -> N) -> Bands<N> {
        self.around(middle, self.sigma(x))
    }

    /// σ of the last n values.
    #[inline(always)]
    pub fn sigma<N: Real>(&self, x: impl Fn(usize) -> N) -> N {
        deviation(self.sma.period(), self.ddof, x)
    }

    /// The bands of a mean and a σ.
    #[inline(always)]
    pub fn around<N: Real>(&self, middle: N, sigma: N) -> Bands<N> {
        let width = sigma * N::all(self.deviations);
        Bands { upper: middle + width, middle, lower: middle - width }
    }

    /// The bands of a series, NaN before there are n values.
    ///
    /// # Errors
    /// [`KernelError::Row`] if a value after leading NaN is not finite.
    pub fn batch(&self, values: &[f64]) -> Result<Bands<Vec<f64>>, KernelError> {
        let [upper, middle, lower] = made(values.len(), |out| self.fill(values, out))?;
        Ok(Bands { upper, middle, lower })
    }

    /// The same into three columns, upper, middle and lower, which have as many rows.
    ///
    /// # Errors
    /// As [`Bollinger::batch`]; the columns are then of no use.
    pub fn fill(&self, values: &[f64], [upper, middle, lower]: [&mut [f64]; 3]) -> Result<(), KernelError> {
        self.sma.fill(values, middle)?;
        let start = begin(&[("values", values)])?;
        let (rows, warm) = (values.len(), (start + self.lookback()).min(values.len()));
        let out = [rest(upper, rows, warm)?, rest(lower, rows, warm)?];
        // Row i of the bands has its window in rows i to i + n − 1 of `x`.
        let (bands, x, mean) = (*self, &values[start..], &middle[warm..]);
        widest!(<'a> |bands: Bollinger, x: &'a [f64], mean: &'a [f64], out: [&'a mut [f64]; 2]| -> () {
            let (n, [upper, lower]) = (bands.sma.period(), out);
            let whole = mean.len() - mean.len() % WIDTH;
            for from in (0..whole).step_by(WIDTH) {
                let window = &x[from..from + n - 1 + WIDTH];
                let made = bands.step(Pack::of(&mean[from..]), |k| Pack::of(&window[k..]));
                upper[from..from + WIDTH].copy_from_slice(&made.upper.0);
                lower[from..from + WIDTH].copy_from_slice(&made.lower.0);
            }
            for row in whole..mean.len() {
                let made = bands.step(mean[row], |k| x[row + k]);
                (upper[row], lower[row]) = (made.upper, made.lower);
            }
        });
        Ok(())
    }
}
