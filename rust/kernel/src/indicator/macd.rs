//! Moving average convergence/divergence.

use super::{PIECE, Seed, begin, check_period, fault, finite, made, rest, smoothed, span_alpha};
use crate::error::KernelError;
use crate::pack::{Real, state, widest};

state! {
    /// The two averages of the price and the one of their difference; their sums, while they are seeded.
    MacdState {
        /// Fast average, in price.
        fast,
        /// Slow average, in price.
        slow,
        /// Average of fast − slow, in price.
        signal
    }
}

/// What a MACD shows, in price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdValue<N> {
    /// Fast − slow average.
    pub line: N,
    /// Average of the line.
    pub signal: N,
    /// Line − signal.
    pub histogram: N,
}

/// line = EMA(fast) − EMA(slow); signal = EMA of the line; histogram = line − signal. O(1) a bar.
///
/// Lookback slow + signal − 2 for all three. [`Seed::Sma`]: both averages are seeded so that they start at the same bar,
/// the fast one with the mean of the LAST `fast` of the first `slow` prices; so it is not [`super::ema::Ema`] of the same
/// period. Steps are fused, as in TA-Lib 0.8's build. [`Seed::First`]: pandas' `ewm(span, adjust=False)`.
///
/// Source: Appel (1979), The Moving Average Convergence-Divergence Method; TA-Lib 0.8 `TA_MACD`.
#[derive(Clone, Copy, Debug)]
pub struct Macd {
    fast: usize,
    slow: usize,
    signal: usize,
    seed: Seed,
    /// Of each span, TA-Lib's.
    k: [f64; 3],
    /// Of each span, pandas'.
    alpha: [f64; 3],
}

impl Macd {
    /// Over two spans and the signal's; the shorter of the two is the fast one, whatever their order.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if a price's span is not from 2, or the signal's from 1, to 100,000.
    pub fn new(fast: usize, slow: usize, signal: usize, seed: Seed) -> Result<Self, KernelError> {
        check_period("fast", fast, 2)?;
        check_period("slow", slow, 2)?;
        check_period("signal", signal, 1)?;
        let (fast, slow) = (fast.min(slow), fast.max(slow));
        let spans = [fast, slow, signal];
        let k = spans.map(|span| 2.0 / (span as f64 + 1.0));
        Ok(Self { fast, slow, signal, seed, k, alpha: spans.map(span_alpha) })
    }

    /// Values that precede the first result.
    #[must_use]
    pub fn lookback(&self) -> usize {
        self.slow + self.signal - 2
    }

    /// The values after one more price, once slow + signal − 1 have been seen.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut MacdState<N>, has: N::Mask, x: N) -> MacdValue<N> {
        let (fast, slow) = self.averages(state, x);
        let line = fast - slow;
        let signal = match self.seed {
            Seed::Sma if self.signal == 1 => line,
            Seed::Sma => (line - state.signal).mul_add(N::all(self.k[2]), state.signal),
            Seed::First => smoothed(state.signal, line, self.alpha[2]),
        };
        state.set(has, MacdState { fast, slow, signal });
        MacdValue { line, signal, histogram: line - signal }
    }

    /// (fast, slow) after one more price.
    #[inline(always)]
    fn averages<N: Real>(&self, state: &MacdState<N>, x: N) -> (N, N) {
        match self.seed {
            Seed::Sma => {
                let [fast, slow, _] = self.k;
                let (up, down) = (x - state.fast, x - state.slow);
                (up.mul_add(N::all(fast), state.fast), down.mul_add(N::all(slow), state.slow))
            }
            Seed::First => {
                let [fast, slow, _] = self.alpha;
                (smoothed(state.fast, x, fast), smoothed(state.slow, x, slow))
            }
        }
    }

    /// The same for one series whatever it has seen; NaN during warm-up.
    #[inline(always)]
    pub fn advance(&self, state: &mut MacdState<f64>, seen: usize, x: f64) -> MacdValue<f64> {
        let value = match self.seed {
            Seed::First if seen == 0 => {
                *state = MacdState { fast: x, slow: x, signal: 0.0 };
                MacdValue { line: 0.0, signal: 0.0, histogram: 0.0 }
            }
            Seed::Sma if seen <= self.lookback() => self.seeded(state, seen, x),
            _ => self.step(state, true, x),
        };
        if seen < self.lookback() { MacdValue { line: f64::NAN, signal: f64::NAN, histogram: f64::NAN } } else { value }
    }

    #[inline(always)]
    fn seeded(&self, state: &mut MacdState<f64>, seen: usize, x: f64) -> MacdValue<f64> {
        if seen < self.slow {
            state.slow += x;
            if seen >= self.slow - self.fast {
                state.fast += x;
            }
            if seen + 1 == self.slow {
                state.slow /= self.slow as f64;
                state.fast /= self.fast as f64;
            }
        } else {
            (state.fast, state.slow) = self.averages(state, x);
        }
        let line = state.fast - state.slow;
        if seen + 1 >= self.slow {
            state.signal += line;
        }
        if seen == self.lookback() {
            state.signal /= self.signal as f64;
        }
        MacdValue { line, signal: state.signal, histogram: line - state.signal }
    }

    /// The values of a series, NaN during warm-up.
    ///
    /// # Errors
    /// [`KernelError::Row`] if a price after leading NaN is not finite.
    pub fn batch(&self, values: &[f64]) -> Result<MacdValue<Vec<f64>>, KernelError> {
        let [line, signal, histogram] = made(values.len(), |out| self.fill(values, out))?;
        Ok(MacdValue { line, signal, histogram })
    }

    /// The same into three columns, line, signal and histogram, which have as many rows.
    ///
    /// # Errors
    /// As [`Macd::batch`]; the columns are then of no use.
    pub fn fill(&self, values: &[f64], [line, signal, histogram]: [&mut [f64]; 3]) -> Result<(), KernelError> {
        let start = begin(&[("values", values)])?;
        let (rows, macd, x) = (values.len(), *self, &values[start..]);
        let out = [rest(line, rows, start)?, rest(signal, rows, start)?, rest(histogram, rows, start)?];
        let sound = widest!(<'a> |macd: Macd, x: &'a [f64], out: [&'a mut [f64]; 3]| -> bool {
            let [line, signal, histogram] = out;
            let mut state = MacdState::default();
            let warm = (macd.lookback() + 1).min(x.len());
            let warming = line[..warm].iter_mut().zip(&mut signal[..warm]).zip(&mut histogram[..warm]);
            for (seen, (((line, signal), histogram), &x)) in warming.zip(x).enumerate() {
                let value = macd.advance(&mut state, seen, x);
                (*line, *signal, *histogram) = (value.line, value.signal, value.histogram);
            }
            let mut all = finite(&x[..warm]);
            let lines = line[warm..].chunks_mut(PIECE).zip(signal[warm..].chunks_mut(PIECE));
            let pieces = lines.zip(histogram[warm..].chunks_mut(PIECE)).zip(x[warm..].chunks(PIECE));
            for (((line, signal), histogram), x) in pieces {
                all &= finite(x);
                for (((line, signal), histogram), &x) in line.iter_mut().zip(signal).zip(histogram).zip(x) {
                    let value = macd.step(&mut state, true, x);
                    (*line, *signal, *histogram) = (value.line, value.signal, value.histogram);
                }
            }
            all
        });
        if sound { Ok(()) } else { Err(fault(&[("values", values)], start)) }
    }
}
