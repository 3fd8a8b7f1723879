//! Pivot points.

use super::{begin, fault, made, rest, sound};
use crate::error::KernelError;
use crate::pack::Real;

/// How resistance and support are set off from the pivot.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// The floor traders' levels.
    #[default]
    Standard,
    /// 0.382, 0.618 and 1 of the range.
    Fibonacci,
}

/// Levels for the period after the one that they are computed from, in price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels<N> {
    /// (h + l + c)/3.
    pub pivot: N,
    /// R1, R2, R3, upward.
    pub resistance: [N; 3],
    /// S1, S2, S3, downward.
    pub support: [N; 3],
}

/// p = (h + l + c)/3 of a finished period, and three levels above and below it, for the period that follows.
///
/// Standard: r₁ = 2p − l, s₁ = 2p − h, r₂ = p + (h − l), s₂ = p − (h − l), r₃ = h + 2(p − l), s₃ = l − 2(h − p).
/// Fibonacci: p ± 0.382, 0.618, 1 times (h − l). Not rounded. No lookback.
///
/// Source: Person (2004), A Complete Guide to Technical Trading Tactics, ch. 5.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pivots {
    kind: Kind,
}

impl Pivots {
    /// Levels of a kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind }
    }

    /// The levels after one finished period.
    #[inline(always)]
    pub fn step<N: Real>(&self, high: N, low: N, close: N) -> Levels<N> {
        let pivot = (high + low + close) / N::all(3.0);
        let (range, two) = (high - low, N::all(2.0));
        match self.kind {
            Kind::Standard => Levels {
                pivot,
                resistance: [two * pivot - low, pivot + range, high + two * (pivot - low)],
                support: [two * pivot - high, pivot - range, low - two * (high - pivot)],
            },
            Kind::Fibonacci => {
                let steps = [0.382, 0.618, 1.0].map(|share| N::all(share) * range);
                Levels { pivot, resistance: steps.map(|step| pivot + step), support: steps.map(|step| pivot - step) }
            }
        }
    }

    /// The levels after each of some finished periods.
    ///
    /// # Errors
    /// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] if a price after leading NaN is not
    /// finite, or a high below its low.
    pub fn batch(&self, high: &[f64], low: &[f64], close: &[f64]) -> Result<Levels<Vec<f64>>, KernelError> {
        let [pivot, r1, r2, r3, s1, s2, s3] = made(close.len(), |out| self.fill([high, low, close], out))?;
        Ok(Levels { pivot, resistance: [r1, r2, r3], support: [s1, s2, s3] })
    }

    /// The same of `[high, low, close]` into seven columns, pivot, R1 to R3 and S1 to S3, which have as many rows.
    ///
    /// # Errors
    /// As [`Pivots::batch`]; the columns are then of no use.
    pub fn fill(&self, [high, low, close]: [&[f64]; 3], out: [&mut [f64]; 7]) -> Result<(), KernelError> {
        let columns = [("high", high), ("low", low), ("close", close)];
        let start = begin(&columns)?;
        if !sound(&high[start..], &low[start..], &close[start..]) {
            return Err(fault(&columns, start));
        }
        for (at, column) in out.into_iter().enumerate() {
            let rest = rest(column, close.len(), start)?;
            for (row, level) in (start..close.len()).zip(rest) {
                let made = self.step(high[row], low[row], close[row]);
                *level = match at {
                    0 => made.pivot,
                    1..=3 => made.resistance[at - 1],
                    _ => made.support[at - 4],
                };
            }
        }
        Ok(())
    }
}
