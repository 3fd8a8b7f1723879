//! Average directional movement index, with its two directional indicators.

use super::{PIECE, Seed, begin, check_period, fault, made, rest, smoothed, sound, true_range, wilder_alpha};
use crate::error::KernelError;
use crate::pack::{Real, state, widest};

/// Below this a sum of two directional indicators is none: TA-Lib's `TA_EPSILON`.
const NONE: f64 = 1e-14;

state! {
    /// Wilder's sums of movement and range, and the average of DX; its sum, while it is seeded.
    AdxState {
        /// Σ +DM, in price.
        plus,
        /// Σ −DM, in price.
        minus,
        /// Σ true range, in price.
        range,
        /// 0 to 100.
        adx
    }
}

/// What a bar shows: 0 to 100 each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Directional<N> {
    /// Strength of the trend, whatever its direction.
    pub adx: N,
    /// +DI: upward movement as a share of the range, in percent.
    pub plus: N,
    /// −DI.
    pub minus: N,
}

/// One bar as directional movement sees it.
#[derive(Clone, Copy, Debug)]
pub struct Move<N> {
    /// Highest price.
    pub high: N,
    /// Lowest price.
    pub low: N,
    /// Highest price of the bar before.
    pub previous_high: N,
    /// Lowest price of the bar before.
    pub previous_low: N,
    /// Last price of the bar before.
    pub previous_close: N,
}

/// Wilder's average of DX = 100 · |+DI − −DI| / (+DI + −DI). O(1) a bar.
///
/// Lookback 2n − 1, that of the indicators n. [`Seed::Sma`]: the sums begin with those of bars 1 to n − 1, ADX with the
/// mean of n DX; no DX without movement, ADX then stays. TA-Lib's unstable period is 0. [`Seed::First`]: `AppV2`'s
/// `ewm(alpha=1/n, adjust=False, min_periods=n)`: bar 0 counts with h − l, equal movements count on both sides, and its
/// `fillna(0)` makes the DX of the first n bars 0, which ADX begins with; that warm-up is not shown here.
///
/// Source: Wilder (1978), New Concepts in Technical Trading Systems, ch. 4; TA-Lib 0.8 `TA_ADX`, `TA_PLUS_DI`.
#[derive(Clone, Copy, Debug)]
pub struct Adx {
    period: usize,
    seed: Seed,
    alpha: f64,
}

impl Adx {
    /// Over `period` bars.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the period is not from 2 to 100,000.
    pub fn new(period: usize, seed: Seed) -> Result<Self, KernelError> {
        check_period("period", period, 2)?;
        Ok(Self { period, seed, alpha: wilder_alpha(period) })
    }

    /// Bars that precede the first ADX.
    #[must_use]
    pub fn lookback(&self) -> usize {
        2 * self.period - 1
    }

    /// The values after one more bar, once ADX is seeded.
    #[inline(always)]
    pub fn step<N: Real>(&self, state: &mut AdxState<N>, has: N::Mask, bar: Move<N>) -> Directional<N> {
        let mut new = self.moved(state, self.movement(bar));
        let (plus, minus) = indicators(&new);
        new.adx = self.averaged(state.adx, self.dx(plus, minus));
        state.set(has, new);
        Directional { adx: new.adx, plus, minus }
    }

    /// (+DM, −DM, true range) of one bar. Of two outward moves the larger counts; of equal ones none, in `AppV2` both.
    #[inline(always)]
    fn movement<N: Real>(&self, bar: Move<N>) -> [N; 3] {
        let zero = N::all(0.0);
        let (up, down) = (bar.high - bar.previous_high, bar.previous_low - bar.low);
        let (up_out, down_out) = (N::pick(up.above(zero), up, zero), N::pick(down.above(zero), down, zero));
        let (plus, minus) = match self.seed {
            Seed::Sma => (N::pick(up.above(down), up_out, zero), N::pick(down.above(up), down_out, zero)),
            Seed::First => (N::pick(down.above(up), zero, up_out), N::pick(up.above(down), zero, down_out)),
        };
        [plus, minus, true_range(bar.high, bar.low, bar.previous_close)]
    }

    /// The sums after one more movement; ADX as it was.
    #[inline(always)]
    fn moved<N: Real>(&self, state: &AdxState<N>, [plus, minus, range]: [N; 3]) -> AdxState<N> {
        let n = N::all(self.period as f64);
        match self.seed {
            Seed::Sma => AdxState {
                plus: state.plus - state.plus / n + plus,
                minus: state.minus - state.minus / n + minus,
                range: state.range - state.range / n + range,
                adx: state.adx,
            },
            Seed::First => AdxState {
                plus: smoothed(state.plus, plus, self.alpha),
                minus: smoothed(state.minus, minus, self.alpha),
                range: smoothed(state.range, range, self.alpha),
                adx: state.adx,
            },
        }
    }

    /// DX of the two indicators; without movement NaN, in `AppV2` 0.
    #[inline(always)]
    fn dx<N: Real>(&self, plus: N, minus: N) -> N {
        let (hundred, total) = (N::all(100.0), minus + plus);
        let dx = hundred * ((minus - plus).abs() / total);
        match self.seed {
            Seed::Sma => N::pick(total.above(N::all(NONE)), dx, N::all(f64::NAN)),
            Seed::First => N::pick(total.above(N::all(0.0)), dx, N::all(0.0)),
        }
    }

    /// ADX after one more DX; a NaN leaves it as it was.
    #[inline(always)]
    fn averaged<N: Real>(&self, adx: N, dx: N) -> N {
        match self.seed {
            Seed::Sma => {
                let n = self.period as f64;
                N::pick(dx.equals(dx), (adx * N::all(n - 1.0) + dx) / N::all(n), adx)
            }
            Seed::First => smoothed(adx, dx, self.alpha),
        }
    }

    /// The same for one series whatever it has seen; NaN during warm-up. What was before its first bar is not read.
    #[inline(always)]
    pub fn advance(&self, state: &mut AdxState<f64>, seen: usize, bar: Move<f64>) -> Directional<f64> {
        if seen == 0 {
            if self.seed == Seed::First {
                state.range = bar.high - bar.low;
            }
            return Directional { adx: f64::NAN, plus: f64::NAN, minus: f64::NAN };
        }
        let value = match self.seed {
            Seed::Sma => self.begun_with_means(state, seen, bar),
            Seed::First => self.begun_with_first(state, seen, bar),
        };
        let shown = |lookback: usize, value: f64| if seen < lookback { f64::NAN } else { value };
        Directional {
            adx: shown(self.lookback(), value.adx),
            plus: shown(self.period, value.plus),
            minus: shown(self.period, value.minus),
        }
    }

    #[inline(always)]
    fn begun_with_means(&self, state: &mut AdxState<f64>, seen: usize, bar: Move<f64>) -> Directional<f64> {
        if seen > self.lookback() {
            return self.step(state, true, bar);
        }
        if seen < self.period {
            let [plus, minus, range] = self.movement(bar);
            state.plus += plus;
            state.minus += minus;
            state.range += range;
            return Directional { adx: 0.0, plus: 0.0, minus: 0.0 };
        }
        *state = self.moved(state, self.movement(bar));
        let (plus, minus) = indicators(state);
        let dx = self.dx(plus, minus);
        state.adx += if dx.is_nan() { 0.0 } else { dx };
        if seen == self.lookback() {
            state.adx /= self.period as f64;
        }
        Directional { adx: state.adx, plus, minus }
    }

    #[inline(always)]
    fn begun_with_first(&self, state: &mut AdxState<f64>, seen: usize, bar: Move<f64>) -> Directional<f64> {
        if seen >= self.period {
            return self.step(state, true, bar);
        }
        if seen == 1 {
            // pandas' first movement is NaN: its average begins one bar after that of the range.
            let [plus, minus, range] = self.movement(bar);
            *state = AdxState { plus, minus, range: smoothed(state.range, range, self.alpha), adx: 0.0 };
        } else {
            *state = self.moved(state, self.movement(bar));
        }
        Directional { adx: 0.0, plus: 0.0, minus: 0.0 }
    }

    /// The values of a series of bars, NaN during warm-up.
    ///
    /// # Errors
    /// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] if a price after leading NaN is not
    /// finite, or a high below its low.
    pub fn batch(&self, high: &[f64], low: &[f64], close: &[f64]) -> Result<Directional<Vec<f64>>, KernelError> {
        let [adx, plus, minus] = made(close.len(), |out| self.fill([high, low, close], out))?;
        Ok(Directional { adx, plus, minus })
    }

    /// The same of `[high, low, close]` into three columns, ADX, +DI and −DI, which have as many rows.
    ///
    /// # Errors
    /// As [`Adx::batch`]; the columns are then of no use.
    pub fn fill(&self, bars: [&[f64]; 3], [adx, plus, minus]: [&mut [f64]; 3]) -> Result<(), KernelError> {
        self.sounded(bars, |kernel, bars, start| {
            let rows = start + bars[0].len();
            let out = [rest(adx, rows, start)?, rest(plus, rows, start)?, rest(minus, rows, start)?];
            Ok(widest!(<'a> |kernel: Adx, bars: [&'a [f64]; 3], out: [&'a mut [f64]; 3]| -> bool {
                let [adx_out, plus_out, minus_out] = out;
                kernel.run(bars, |from, adx, plus, minus| {
                    adx_out[from..from + adx.len()].copy_from_slice(adx);
                    plus_out[from..from + adx.len()].copy_from_slice(plus);
                    minus_out[from..from + adx.len()].copy_from_slice(minus);
                })
            }))
        })
    }

    /// The ADX alone of `[high, low, close]` into `out`, which has as many rows.
    ///
    /// # Errors
    /// As [`Adx::batch`]; `out` is then of no use.
    pub fn fill_adx(&self, bars: [&[f64]; 3], out: &mut [f64]) -> Result<(), KernelError> {
        self.sounded(bars, |kernel, bars, start| {
            let out = rest(out, start + bars[0].len(), start)?;
            Ok(widest!(<'a> |kernel: Adx, bars: [&'a [f64]; 3], out: &'a mut [f64]| -> bool {
                kernel.run(bars, |from, adx, _, _| out[from..from + adx.len()].copy_from_slice(adx))
            }))
        })
    }

    /// Runs over the bars after leading NaN, and says what is wrong if not all are sound.
    fn sounded<'a>(
        &self,
        [high, low, close]: [&'a [f64]; 3],
        run: impl FnOnce(Self, [&'a [f64]; 3], usize) -> Result<bool, KernelError>,
    ) -> Result<(), KernelError> {
        let columns = [("high", high), ("low", low), ("close", close)];
        let start = begin(&columns)?;
        let sound = run(*self, [&high[start..], &low[start..], &close[start..]], start)?;
        if sound { Ok(()) } else { Err(fault(&columns, start)) }
    }

    /// Hands (row, ADX, +DI, −DI) on in pieces; false if a bar is not sound.
    ///
    /// In steady state [`Adx::step`] is taken apart: movements and ratios, which wait for nothing, are made many at a
    /// time. The two recursions wait for their own last bar only: that of ADX runs a piece behind that of the sums, in
    /// the same loop, so that one fills the other's waits.
    #[inline(always)]
    fn run(&self, [high, low, close]: [&[f64]; 3], mut emit: impl FnMut(usize, &[f64], &[f64], &[f64])) -> bool {
        let mut state = AdxState::default();
        let warm = (self.lookback() + 1).min(close.len());
        let mut all = sound(&high[..warm], &low[..warm], &close[..warm]);
        for row in 0..warm {
            let value = self.advance(&mut state, row, bar_of(high, low, close, row));
            emit(row, &[value.adx], &[value.plus], &[value.minus]);
        }
        let mut adx = state.adx;
        let mut movements = [[0.0; PIECE]; 3];
        let mut sums = [AdxState::<f64>::default(); PIECE];
        // Of the piece before: its rows' start and number, indicators and DX.
        let (mut behind, mut waiting) = (warm, 0);
        let (mut plus, mut minus, mut dx) = ([0.0; PIECE], [0.0; PIECE], [0.0; PIECE]);
        let mut from = warm;
        while from < close.len() {
            let rows = PIECE.min(close.len() - from);
            // with the bar before, which the first of these moves away from
            let span = from - 1..from + rows;
            let [high, low, close] = [&high[span.clone()], &low[span.clone()], &close[span]];
            all &= sound(&high[1..], &low[1..], &close[1..]);
            self.movements([high, low, close], &mut movements, rows);
            let [ups, downs, ranges] = &movements;
            let moves = ups.iter().zip(downs).zip(ranges).zip(&mut sums).zip(&mut dx);
            for ((((&up, &down), &range), sum), dx) in moves.take(rows) {
                state = self.moved(&state, [up, down, range]);
                *sum = state;
                // past the end of what waits, it is only moved about
                adx = self.averaged(adx, *dx);
                *dx = adx;
            }
            if waiting > 0 {
                for dx in &mut dx[rows.min(waiting)..waiting] {
                    adx = self.averaged(adx, *dx);
                    *dx = adx;
                }
                emit(behind, &dx[..waiting], &plus[..waiting], &minus[..waiting]);
                adx = dx[waiting - 1];
            } else {
                adx = state.adx;
            }
            for (((sum, plus), minus), dx) in sums[..rows].iter().zip(&mut plus).zip(&mut minus).zip(&mut dx) {
                (*plus, *minus) = indicators(sum);
                *dx = self.dx(*plus, *minus);
            }
            (behind, waiting) = (from, rows);
            from += rows;
        }
        for dx in &mut dx[..waiting] {
            adx = self.averaged(adx, *dx);
            *dx = adx;
        }
        if waiting > 0 {
            emit(behind, &dx[..waiting], &plus[..waiting], &minus[..waiting]);
        }
        all
    }

    /// [`Adx::movement`] of `rows` bars, the first row being the bar before them.
    #[inline(always)]
    fn movements(&self, [high, low, close]: [&[f64]; 3], out: &mut [[f64; PIECE]; 3], rows: usize) {
        let [plus, minus, range] = out;
        for row in 0..rows {
            [plus[row], minus[row], range[row]] = self.movement(bar_of(high, low, close, row + 1));
        }
    }
}

/// A row as a move away from the row before it; the first row has none, and says it is not to be read.
#[inline(always)]
fn bar_of(high: &[f64], low: &[f64], close: &[f64], row: usize) -> Move<f64> {
    let before = row.saturating_sub(1);
    Move {
        high: high[row],
        low: low[row],
        previous_high: high[before],
        previous_low: low[before],
        previous_close: close[before],
    }
}

/// (+DI, −DI): 0 where there was no range.
#[inline(always)]
fn indicators<N: Real>(sums: &AdxState<N>) -> (N, N) {
    let (zero, hundred) = (N::all(0.0), N::all(100.0));
    let ranged = sums.range.above(zero);
    let share = |movement: N| N::pick(ranged, hundred * (movement / sums.range), zero);
    (share(sums.plus), share(sums.minus))
}
