//! On-balance volume.

use super::{PIECE, begin, fault, finite, made, rest};
use crate::error::KernelError;
use crate::pack::{Real, state, widest};

state! {
    /// The balance.
    ObvState {
        /// In shares.
        total
    }
}

/// Σ volume of bars that closed higher − Σ volume of those that closed lower, the first bar's volume first, in shares.
///
/// No lookback. Exact below 2⁵³ shares. O(1) a bar.
///
/// Source: Granville (1963), New Key to Stock Market Profits; TA-Lib 0.8 `TA_OBV`, which starts with the first volume.
#[derive(Clone, Copy, Debug, Default)]
pub struct Obv;

impl Obv {
    /// The balance after one more bar, `previous` being the close before it.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut ObvState<N>, has: N::Mask, close: N, previous: N, volume: N) -> N {
        let zero = N::all(0.0);
        let falling = N::pick(previous.above(close), zero - volume, zero);
        let total = state.total + N::pick(close.above(previous), volume, falling);
        state.set(has, ObvState { total });
        total
    }

    /// The same for one series whatever it has seen. `previous` is not read at its first bar.
    #[inline(always)]
    pub fn advance(&self, state: &mut ObvState<f64>, seen: usize, close: f64, previous: f64, volume: f64) -> f64 {
        if seen == 0 {
            state.total = volume;
            return volume;
        }
        self.step(state, true, close, previous, volume)
    }

    /// The balance of a series of bars.
    ///
    /// # Errors
    /// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] if a number after leading NaN is not
    /// finite.
    pub fn batch(&self, close: &[f64], volume: &[f64]) -> Result<Vec<f64>, KernelError> {
        made(close.len(), |[out]| self.fill(close, volume, out)).map(|[balance]| balance)
    }

    /// The same into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`Obv::batch`]; `out` is then of no use.
    pub fn fill(&self, close: &[f64], volume: &[f64], out: &mut [f64]) -> Result<(), KernelError> {
        let columns = [("close", close), ("volume", volume)];
        let start = begin(&columns)?;
        let out = rest(out, close.len(), start)?;
        let (close, volume) = (&close[start..], &volume[start..]);
        let sound = widest!(<'a> |close: &'a [f64], volume: &'a [f64], out: &'a mut [f64]| -> bool {
            let Some((&first, &total)) = close.first().zip(volume.first()) else {
                return true;
            };
            // The first bar neither rises nor falls against itself, and its volume is there already.
            let mut state = ObvState { total };
            let mut previous = first;
            let mut all = true;
            for ((close, volume), out) in close.chunks(PIECE).zip(volume.chunks(PIECE)).zip(out.chunks_mut(PIECE)) {
                all &= finite(close) & finite(volume);
                for ((out, &close), &volume) in out.iter_mut().zip(close).zip(volume) {
                    *out = Obv.step(&mut state, true, close, previous, volume);
                    previous = close;
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&columns, start)) }
    }
}
