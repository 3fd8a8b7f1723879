//! Stochastic oscillator.

use super::{PIECE, begin, check_period, fault, made, rest, sound};
use crate::error::KernelError;
use crate::pack::{Pack, Real, WIDTH, state, widest};
use crate::rolling::{highest, lowest};

/// A range this small beside its own extremes is none: TA-Lib's `TA_IS_ZERO_SCALED`.
const NONE: f64 = 1e-14;

state! {
    /// A running total of the last n − 1 percentages, as TA-Lib keeps it.
    Total {
        /// In percent.
        total
    }
}

impl<N: Real> Total<N> {
    /// The mean of n after one more; `oldest` is the oldest of those n, the newest included, 0 if there is none yet.
    ///
    /// A plain total, for equality with TA-Lib bit for bit: percentages are bounded, so it errs by less than 1e-10
    /// after a million bars.
    #[inline(always)]
    pub fn step(&mut self, has: N::Mask, x: N, oldest: N, period: usize) -> N {
        self.slide(has, x, oldest) / N::all(period as f64)
    }

    #[inline(always)]
    fn slide(&mut self, has: N::Mask, x: N, oldest: N) -> N {
        let total = self.total + x;
        self.set(has, Self { total: total - oldest });
        total
    }
}

/// %K and %D, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lines<N> {
    /// Mean of the last `slow_k` raw values.
    pub k: N,
    /// Mean of the last `slow_d` %K.
    pub d: N,
}

/// Raw K = 100 · (c − L)/(H − L), H and L the extremes of the last k bars; %K and %D are simple means of it, in turn.
///
/// Lookback k + `slow_k` + `slow_d` − 3 for both. Raw K is 0 where H − L is 0, or lost in rounding beside H and L, in batch
/// and stream; live it is 50 there, as `AppV2` shows it.
/// The means are O(1) a bar, the extremes O(k), eight windows at a time: for k = 14 that is faster than a queue.
///
/// Source: Lane (1984), Technical Analysis of Stocks & Commodities 2(3); TA-Lib 0.8 `TA_STOCH` with simple means.
#[derive(Clone, Copy, Debug)]
pub struct Stochastic {
    k: usize,
    slow_k: usize,
    slow_d: usize,
}

impl Stochastic {
    /// Over `k` bars, smoothed over `slow_k` and `slow_d`.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if one is not from 1 to 100,000.
    pub fn new(k: usize, slow_k: usize, slow_d: usize) -> Result<Self, KernelError> {
        check_period("k", k, 1)?;
        check_period("slow_k", slow_k, 1)?;
        check_period("slow_d", slow_d, 1)?;
        Ok(Self { k, slow_k, slow_d })
    }

    /// The three windows: of the extremes, of %K, of %D.
    #[must_use]
    pub fn periods(&self) -> [usize; 3] {
        [self.k, self.slow_k, self.slow_d]
    }

    /// Bars that precede the first values.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.k + self.slow_k + self.slow_d - 3
    }

    /// Raw K, `high(0)` to `high(k − 1)` and `low` likewise being those of the last k bars; `flat` where they are equal.
    #[inline(always)]
    pub fn raw<N: Real>(&self, close: N, high: impl Fn(usize) -> N, low: impl Fn(usize) -> N, flat: N) -> N {
        let [top, bottom] = self.extremes(high, low);
        self.within(close, top, bottom, flat)
    }

    /// H and L of the last k bars.
    #[inline(always)]
    pub fn extremes<N: Real>(&self, high: impl Fn(usize) -> N, low: impl Fn(usize) -> N) -> [N; 2] {
        [highest(self.k, high), lowest(self.k, low)]
    }

    /// Raw K of a close between H and L; `flat` where those are equal.
    #[inline(always)]
    pub fn within<N: Real>(&self, close: N, top: N, bottom: N, flat: N) -> N {
        let range = top - bottom;
        let seen = range.abs().above(N::all(NONE) * (top.abs() + bottom.abs()));
        N::pick(seen, N::all(100.0) * ((close - bottom) / range), flat)
    }

    /// %K and %D of a series of bars, NaN during warm-up.
    ///
    /// # Errors
    /// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] if a price after leading NaN is not
    /// finite, or a high below its low.
    pub fn batch(&self, high: &[f64], low: &[f64], close: &[f64]) -> Result<Lines<Vec<f64>>, KernelError> {
        let [k, d] = made(close.len(), |out| self.fill([high, low, close], out))?;
        Ok(Lines { k, d })
    }

    /// The same of `[high, low, close]` into two columns, %K and %D, which have as many rows.
    ///
    /// # Errors
    /// As [`Stochastic::batch`]; the columns are then of no use.
    pub fn fill(&self, [high, low, close]: [&[f64]; 3], [k, d]: [&mut [f64]; 2]) -> Result<(), KernelError> {
        let columns = [("high", high), ("low", low), ("close", close)];
        let start = begin(&columns)?;
        let (rows, warm) = (close.len(), start + self.lookback());
        let (kernel, bars) = (*self, [&high[start..], &low[start..], &close[start..]]);
        let out = [rest(k, rows, warm)?, rest(d, rows, warm)?];
        let sound = widest!(<'a> |kernel: Stochastic, bars: [&'a [f64]; 3], out: [&'a mut [f64]; 2]| -> bool {
            let ([high, low, close], [k_out, d_out]) = (bars, out);
            let first = (kernel.k - 1).min(close.len());
            let mut all = sound(&high[..first], &low[..first], &close[..first]);
            let (mut slow_k, mut slow_d) = (Mean::new(kernel.slow_k), Mean::new(kernel.slow_d));
            let (mut from, mut done) = (0, 0);
            for close in close[first..].chunks(PIECE) {
                let span = from..from + first + close.len();
                let (high, low) = (&high[span.clone()], &low[span]);
                all &= sound(&high[first..], &low[first..], close);
                kernel.raws(high, low, close, slow_k.room(close.len()));
                let k = slow_k.means(close.len());
                slow_d.room(k.len()).copy_from_slice(k);
                let d = slow_d.means(k.len());
                k_out[done..done + d.len()].copy_from_slice(&k[k.len() - d.len()..]);
                d_out[done..done + d.len()].copy_from_slice(d);
                from += close.len();
                done += d.len();
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&columns, start)) }
    }

    /// Raw K of a piece, whose highs and lows begin k − 1 bars before its closes.
    #[inline(always)]
    fn raws(&self, high: &[f64], low: &[f64], close: &[f64], out: &mut [f64]) {
        let (mut tops, mut bottoms) = ([0.0; PIECE], [0.0; PIECE]);
        let whole = close.len() - close.len() % WIDTH;
        for from in (0..whole).step_by(WIDTH) {
            let span = from..from + self.k - 1 + WIDTH;
            let (high, low) = (&high[span.clone()], &low[span]);
            let [top, bottom] = self.extremes(|k| Pack::of(&high[k..]), |k| Pack::of(&low[k..]));
            tops[from..from + WIDTH].copy_from_slice(&top.0);
            bottoms[from..from + WIDTH].copy_from_slice(&bottom.0);
        }
        for row in whole..close.len() {
            [tops[row], bottoms[row]] = self.extremes(|k| high[row + k], |k| low[row + k]);
        }
        for (((out, &close), &top), &bottom) in out.iter_mut().zip(close).zip(&tops).zip(&bottoms) {
            *out = self.within(close, top, bottom, 0.0);
        }
    }
}

/// A simple mean that takes its numbers piece by piece.
struct Mean {
    period: usize,
    total: Total<f64>,
    /// Numbers of the window that are still to leave it, then those of the piece.
    held: Vec<f64>,
    means: Vec<f64>,
}

impl Mean {
    fn new(period: usize) -> Self {
        Self { period, total: Total::default(), held: Vec::new(), means: Vec::new() }
    }

    /// Where the `rows` numbers of a piece go, before their means are asked for.
    #[inline(always)]
    fn room(&mut self, rows: usize) -> &mut [f64] {
        let before = self.held.len();
        self.held.resize(before + rows, 0.0);
        &mut self.held[before..]
    }

    /// The means of the newest `rows` numbers; fewer than those while the first window fills.
    #[inline(always)]
    fn means(&mut self, rows: usize) -> &[f64] {
        let before = self.held.len() - rows;
        let filling = (self.period - 1).saturating_sub(before).min(rows);
        for &x in &self.held[before..before + filling] {
            self.total.slide(true, x, 0.0);
        }
        self.means.resize(rows - filling, 0.0);
        let newest = &self.held[before + filling..];
        for ((mean, &x), &oldest) in self.means.iter_mut().zip(newest).zip(&self.held) {
            *mean = self.total.slide(true, x, oldest);
        }
        // apart, as many at a time
        for mean in &mut self.means {
            *mean /= self.period as f64;
        }
        let spent = self.held.len().saturating_sub(self.period - 1);
        self.held.copy_within(spent.., 0);
        self.held.truncate(self.held.len() - spent);
        &self.means
    }
}
