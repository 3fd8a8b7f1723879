//! Relative volume.

use super::{PIECE, begin, check_period, fault, finite, made, rest};
use crate::error::KernelError;
use crate::pack::{Real, widest};
use crate::rolling::RollingSum;

/// v / mean of the n volumes before it. Lookback n. O(1) a bar.
///
/// NaN where nothing was traded in those n bars: there is no ratio. Whole volumes are summed exactly below 2⁵³.
///
/// Source: `TickStock`'s relative volume, "volume relative to its SMA20" (its pattern and indicator list), the newest
/// bar left out so that a spike does not raise what it is measured by.
#[derive(Clone, Copy, Debug)]
pub struct VolumeRatio {
    period: usize,
}

impl VolumeRatio {
    /// Against `period` bars.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 1 to 100,000.
    pub fn new(period: usize) -> Result<Self, KernelError> {
        check_period("period", period, 1)?;
        Ok(Self { period })
    }

    /// Bars that precede the first ratio.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.period
    }

    /// The ratio of one more volume, then counted among the n of the next; `leaving` is the volume n before it.
    #[inline(always)]
    pub fn step<N: Real>(&self, before: &mut RollingSum<N>, has: N::Mask, volume: N, leaving: N) -> N {
        let (zero, mean) = (N::all(0.0), before.value() / N::all(self.period as f64));
        before.slide(has, volume, leaving);
        N::pick(mean.above(zero), volume / mean, N::all(f64::NAN))
    }

    /// The ratios of a series, NaN before there are n + 1 volumes.
    ///
    /// # Errors
    /// [`KernelError::Row`] if a volume after leading NaN is not finite.
    pub fn batch(&self, volume: &[f64]) -> Result<Vec<f64>, KernelError> {
        made(volume.len(), |[out]| self.fill(volume, out)).map(|[ratios]| ratios)
    }

    /// The same into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`VolumeRatio::batch`]; `out` is then of no use.
    pub fn fill(&self, volume: &[f64], out: &mut [f64]) -> Result<(), KernelError> {
        let start = begin(&[("volume", volume)])?;
        let out = rest(out, volume.len(), start + self.lookback())?;
        let (ratio, x) = (*self, &volume[start..]);
        let sound = widest!(<'a> |ratio: VolumeRatio, x: &'a [f64], out: &'a mut [f64]| -> bool {
            let mut before = RollingSum::<f64>::default();
            let (warming, steady) = x.split_at(ratio.period.min(x.len()));
            for &volume in warming {
                before.slide(true, volume, 0.0);
            }
            let mut all = finite(warming);
            for ((newest, leaving), out) in steady.chunks(PIECE).zip(x.chunks(PIECE)).zip(out.chunks_mut(PIECE)) {
                all &= finite(newest);
                for ((out, &volume), &leaving) in out.iter_mut().zip(newest).zip(leaving) {
                    *out = ratio.step(&mut before, true, volume, leaving);
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&[("volume", volume)], start)) }
    }
}
