//! Technical indicators: each a batch over a series and a step for one bar, equal bit for bit.
//!
//! A kernel is a state ([`crate::pack`]) with two ways in. `step` is the bar in steady state: branch-free, generic over
//! one symbol or eight. `advance` is one bar of one series, warm-up included: it seeds, then calls `step`. The batch of
//! a series is `advance` through the warm-up and a loop of `step`; [`stream`] runs the same for all symbols in one call.
//!
//! Values that are not there yet are NaN: a batch begins with as many NaN as TA-Lib's lookback. Results equal TA-Lib
//! 0.8 bit for bit, the order of operations and its two fused multiply-adds included, except where its running totals
//! drift and ours do not ([`sma`], [`bollinger`]): there they agree to 1e-12. [`Seed::First`] is `AppV2`'s convention.
#![allow(clippy::inline_always, reason = "see pack: a body that is not inlined is compiled without AVX2 and FMA")]

pub mod adx;
pub mod atr;
mod block;
pub mod bollinger;
pub mod ema;
pub mod gauges;
pub mod live;
pub mod macd;
pub mod obv;
pub mod pivots;
pub mod rsi;
pub mod sma;
pub mod stochastic;
pub mod stream;
pub mod volume_ratio;
pub mod vwap;

use crate::error::KernelError;
use crate::pack::{ALL, Pack, Real, WIDTH};

/// The longest window, as in TA-Lib.
pub const LONGEST: usize = 100_000;

/// How a recursive average begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Seed {
    /// With the mean of the first n values: TA-Lib, Wilder (1978).
    #[default]
    Sma,
    /// With the first value: pandas' `ewm(adjust=False)`, as in `AppV2`.
    First,
}

/// pandas' `ewm(adjust=False)`: (1 − α)·y + α·x, and y itself where x = y, which pandas does not round.
///
/// Source: pandas 3.1, `_libs/window/aggregations.pyx`, `ewm`; (1 − α) + α is 1 in doubles, so its division is left out.
#[inline(always)]
fn smoothed<N: Real>(y: N, x: N, alpha: f64) -> N {
    N::pick(y.equals(x), y, N::all(1.0 - alpha) * y + N::all(alpha) * x)
}

/// α of a span, by way of pandas' centre of mass: 1/(1 + (span − 1)/2).
fn span_alpha(span: usize) -> f64 {
    1.0 / (1.0 + (span as f64 - 1.0) / 2.0)
}

/// α = 1/n, by way of pandas' centre of mass, which may differ from 1/n in the last bit.
fn wilder_alpha(period: usize) -> f64 {
    let alpha = 1.0 / period as f64;
    1.0 / (1.0 + (1.0 - alpha) / alpha)
}

/// max(h − l, |c₋₁ − h|, |c₋₁ − l|), in price.
///
/// Source: Wilder (1978), New Concepts in Technical Trading Systems, ch. 3.
#[inline(always)]
fn true_range<N: Real>(high: N, low: N, previous_close: N) -> N {
    let range = (previous_close - high).abs().max(high - low);
    (previous_close - low).abs().max(range)
}

/// A period within `least..=100_000`.
///
/// # Errors
/// [`KernelError::Setting`] that names it.
fn check_period(name: &'static str, period: usize, least: usize) -> Result<(), KernelError> {
    if (least..=LONGEST).contains(&period) {
        return Ok(());
    }
    let rule = if least == 1 { "from 1 to 100,000" } else { "from 2 to 100,000" };
    Err(KernelError::Setting { name, rule, value: period as f64 })
}

/// Rows that are worked on together: small enough that they stay in the nearest cache between two passes.
const PIECE: usize = 512;

/// Where a series begins: leading rows with a NaN are skipped, as TA-Lib skips them.
///
/// # Errors
/// [`KernelError::Length`] if the columns differ in length.
fn begin(columns: &[(&'static str, &[f64])]) -> Result<usize, KernelError> {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let mut start = 0;
    for (name, column) in columns {
        if column.len() != rows {
            return Err(KernelError::Length { column: name, rows: column.len(), expected: rows });
        }
        start = start.max(column.iter().position(|x| !x.is_nan()).unwrap_or(rows));
    }
    Ok(start)
}

/// Whether all numbers are finite; asked of a piece before it is used, while it is in the cache anyway.
#[inline(always)]
fn finite(piece: &[f64]) -> bool {
    // x · 0 is 0 for every finite number, and a NaN stays in a sum.
    let mut sum = Pack::all(0.0);
    let packs = piece.chunks_exact(WIDTH);
    let mut all = true;
    for x in packs.remainder() {
        all &= x.is_finite();
    }
    for pack in packs {
        sum = Pack::of(pack).mul_add(Pack::all(0.0), sum);
    }
    all && sum.equals(Pack::all(0.0)) == ALL
}

/// The same of bars, none of which may have its high below its low.
#[inline(always)]
fn sound(high: &[f64], low: &[f64], close: &[f64]) -> bool {
    let (highs, lows) = (high.chunks_exact(WIDTH), low.chunks_exact(WIDTH));
    let mut all = finite(high) & finite(low) & finite(close);
    for (high, low) in highs.remainder().iter().zip(lows.remainder()) {
        all &= high >= low;
    }
    let mut least = Pack::all(0.0);
    for (high, low) in highs.zip(lows) {
        least = least.min(Pack::of(high) - Pack::of(low));
    }
    all && least.equals(Pack::all(0.0)) == ALL
}

/// The first number from `start` on that is not finite: it would spoil every later value of a recursive indicator in
/// silence; or else the first high below its low, in columns called so.
fn fault(columns: &[(&'static str, &[f64])], start: usize) -> KernelError {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let mut high = f64::INFINITY;
    for row in start..rows {
        for (name, column) in columns {
            let value = column[row];
            if !value.is_finite() {
                return KernelError::Row { column: name, rule: "finite", row, value };
            }
            match *name {
                "high" => high = value,
                "low" if high < value => {
                    return KernelError::Row { column: "high", rule: "at least the low", row, value: high };
                }
                _ => {}
            }
        }
    }
    KernelError::Length { column: "values", rows, expected: rows }
}

/// The rows of a result that are there: those past the first `warm`, which become NaN.
///
/// # Errors
/// [`KernelError::Length`] if the result has not one row for each of the series.
fn rest(out: &mut [f64], rows: usize, warm: usize) -> Result<&mut [f64], KernelError> {
    if out.len() != rows {
        return Err(KernelError::Length { column: "out", rows: out.len(), expected: rows });
    }
    let (before, rest) = out.split_at_mut(warm.min(rows));
    before.fill(f64::NAN);
    Ok(rest)
}

/// N columns of `rows` values, and what filled them.
///
/// # Errors
/// Those of `fill`.
fn made<const N: usize>(
    rows: usize,
    fill: impl FnOnce([&mut [f64]; N]) -> Result<(), KernelError>,
) -> Result<[Vec<f64>; N], KernelError> {
    let mut columns = [(); N].map(|()| vec![0.0; rows]);
    fill(columns.each_mut().map(Vec::as_mut_slice))?;
    Ok(columns)
}
