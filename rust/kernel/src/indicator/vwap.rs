//! Volume-weighted average price of a session, with its standard deviation.

use super::{begin, fault, finite, made, rest, sound};
use crate::error::KernelError;
use crate::pack::{Real, state};

state! {
    /// The weighted mean so far and what spreads around it.
    VwapState {
        /// Σ v, in shares.
        volume,
        /// Σ v·p / Σ v, in price.
        mean,
        /// Σ v·(p − mean)², in price² · shares.
        spread
    }
}

/// The mean and the standard deviation of typical prices, in price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VwapValue<N> {
    /// Σ v·p / Σ v.
    pub vwap: N,
    /// √(Σ v·(p − vwap)² / Σ v).
    pub sigma: N,
}

/// Σ v·p / Σ v since the session's first bar, p = (h + l + c)/3, and its σ for bands. O(1) a bar.
///
/// No lookback; NaN until a share was traded. Mean and spread are updated, not summed, so that neither cancels.
///
/// Source: Berkowitz, Logue & Noser (1988), J. Finance 43(1); West (1979), Communications of the ACM 22(9), WV2.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vwap;

impl Vwap {
    /// The values after one more bar of the session.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut VwapState<N>, has: N::Mask, bar: [N; 3], volume: N) -> VwapValue<N> {
        let [high, low, close] = bar;
        let (zero, nan) = (N::all(0.0), N::all(f64::NAN));
        let price = (high + low + close) / N::all(3.0);
        let total = state.volume + volume;
        let deviation = price - state.mean;
        let share = N::pick(volume.above(zero), volume / total, zero);
        let mean = state.mean + share * deviation;
        let new = VwapState { volume: total, mean, spread: state.spread + volume * deviation * (price - mean) };
        state.set(has, new);
        let traded = total.above(zero);
        let sigma = (new.spread / total).max(zero).sqrt();
        VwapValue { vwap: N::pick(traded, mean, nan), sigma: N::pick(traded, sigma, nan) }
    }

    /// The values of `[high, low, close]` and volume. `session`: a number a bar; where it changes a session begins.
    /// `None`: one session.
    ///
    /// # Errors
    /// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] if a number after leading NaN is not
    /// finite, a high below its low, or a volume negative.
    pub fn batch(
        &self,
        bars: [&[f64]; 3],
        volume: &[f64],
        session: Option<&[i64]>,
    ) -> Result<VwapValue<Vec<f64>>, KernelError> {
        let [vwap, sigma] = made(volume.len(), |out| self.fill(bars, volume, session, out))?;
        Ok(VwapValue { vwap, sigma })
    }

    /// The same into two columns, vwap and σ, which have as many rows.
    ///
    /// # Errors
    /// As [`Vwap::batch`]; the columns are then of no use.
    pub fn fill(
        &self,
        [high, low, close]: [&[f64]; 3],
        volume: &[f64],
        session: Option<&[i64]>,
        [vwap, sigma]: [&mut [f64]; 2],
    ) -> Result<(), KernelError> {
        let columns = [("high", high), ("low", low), ("close", close), ("volume", volume)];
        let start = begin(&columns)?;
        let rows = close.len();
        if let Some(session) = session.filter(|session| session.len() != rows) {
            return Err(KernelError::Length { column: "session", rows: session.len(), expected: rows });
        }
        if !(sound(&high[start..], &low[start..], &close[start..]) && finite(&volume[start..])) {
            return Err(fault(&columns, start));
        }
        if let Some(at) = volume[start..].iter().position(|&volume| volume < 0.0) {
            let row = start + at;
            return Err(KernelError::Row { column: "volume", rule: "not negative", row, value: volume[row] });
        }
        let out = rest(vwap, rows, start)?.iter_mut().zip(rest(sigma, rows, start)?);
        let mut state = VwapState::default();
        for (row, (vwap, sigma)) in (start..rows).zip(out) {
            if session.is_some_and(|session| row > start && session[row] != session[row - 1]) {
                state = VwapState::default();
            }
            let value = Vwap.step(&mut state, true, [high[row], low[row], close[row]], volume[row]);
            (*vwap, *sigma) = (value.vwap, value.sigma);
        }
        Ok(())
    }
}
