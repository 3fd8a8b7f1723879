//! Candlestick rules of `TickStock`, the eight and those of its earlier specification, and our own.
//!
//! In every definition B = |c − o|, R = h − l, U = h − max(o, c), L = min(o, c) − l; bar 0 is the newest, bar −1 the
//! one before it. A bar is white if c > o, black if c < o, and colourless if c = o: colourless bars satisfy no rule
//! that asks for a colour. Of the eight, R ≥ 0.001 is asked of bar 0 alone.
//!
//! Expressions are written as in the source, division and order included, so that the same bars at the edge of a
//! rule fall on the same side of it.
//!
//! Source of the eight: `TickStockAppV2`, `src/analysis/patterns/candlestick/`, at 864dd0c.

mod closed_in_range;
mod doji;
mod engulfing;
mod hammer;
mod hanging_man;
mod harami;
mod pin_bar;
mod spec;
mod star;
pub mod talib;

pub(crate) use closed_in_range::ClosedInRange;
pub(crate) use doji::Doji;
pub(crate) use engulfing::Engulfing;
pub(crate) use hammer::{Hammer, ShootingStar};
pub(crate) use hanging_man::HangingMan;
pub(crate) use harami::Harami;
pub(crate) use pin_bar::PinBar;
pub(crate) use spec::{DojiSpec, EngulfingSpec, HammerSpec, HangingManSpec};
pub(crate) use star::{EveningStar, MorningStar};

use crate::pattern::{Direction, Levels, Match};
use crate::window::{Window, WindowBar};

/// What a match is worth before its bonuses; the Doji alone has none.
const BASE: f64 = 0.6;

/// R ≥ 0.001: the smallest range in which a shape is seen, in price. A range past what a float holds is none either: no quotient
/// of two that have one is NaN.
fn has_range(bar: &WindowBar) -> bool {
    (0.001..=f64::MAX).contains(&bar.range())
}

/// `amount` if `earned`.
fn bonus(earned: bool, amount: f64) -> f64 {
    if earned { amount } else { 0.0 }
}

/// A match on the newest `bars` bars, whose confidence is `score` within 0..1, to three decimals; none if it is no number.
fn matched(window: &Window, direction: Direction, bars: u16, score: f64) -> Option<Match> {
    let levels = Levels::of(window, direction, bars).filter(|_| !score.is_nan())?;
    Some(Match { direction, confidence: round3(score.clamp(0.0, 1.0)), bars, levels, talib_value: 0 })
}

/// `x`, for 0 ≤ x ≤ 1, to three decimals: the float nearest to the decimal that Python's `round(x, 3)` gives.
///
/// The tie is judged on the exact value of the float, and goes to the even digit: 0.0625 → 0.062, but 0.0005, which
/// lies a hair above its name, → 0.001. `(x * 1000).round() / 1000` would judge the rounded product.
fn round3(x: f64) -> f64 {
    let product = x * 1000.0;
    let lost = x.mul_add(1000.0, -product); // x · 1000 = product + lost, exactly
    let below = product.floor();
    let from_middle = product - below - 0.5; // exact, and either 0 or larger than what was lost
    let up = if from_middle == 0.0 && lost == 0.0 {
        below % 2.0 == 1.0
    } else {
        from_middle > 0.0 || (from_middle == 0.0 && lost > 0.0)
    };
    (below + if up { 1.0 } else { 0.0 }) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::round3;
    use proptest::prelude::*;

    #[test]
    fn rounding_is_pythons() {
        // (x, round(x, 3)) as CPython 3.12 prints them.
        for (x, rounded) in [
            (0.0, 0.0),
            (0.0004, 0.0),
            (0.0005, 0.001),
            (0.0015, 0.002),
            (0.0025, 0.003),
            (0.0035, 0.004),
            (0.0045, 0.004),
            (0.0625, 0.062),
            (0.1875, 0.188),
            (0.3125, 0.312),
            (0.4375, 0.438),
            (0.5625, 0.562),
            (0.6875, 0.688),
            (0.8125, 0.812),
            (0.9375, 0.938),
            (0.9995, 1.0),
            (0.999_499_999_999_999_9, 0.999),
            (1.0, 1.0),
        ] {
            assert_eq!(round3(x), rounded, "{x}");
        }
    }

    proptest! {
        #[test]
        fn rounding_is_that_of_the_exact_decimal_expansion(x in 0.0_f64..=1.0) {
            prop_assert_eq!(round3(x), format!("{x:.3}").parse::<f64>().expect("a number"));
        }

        #[test]
        fn rounding_near_ties_is_that_of_the_exact_decimal_expansion(
            thousandth in 0_u32..1000, steps in -3_i64..=3
        ) {
            let tie = (f64::from(thousandth) + 0.5) / 1000.0;
            let x = f64::from_bits((tie.to_bits() as i64 + steps) as u64);
            prop_assert_eq!(round3(x), format!("{x:.3}").parse::<f64>().expect("a number"));
        }

        #[test]
        fn rounding_exact_ties_goes_to_the_even_digit(sixteenth in 0_u32..16) {
            let x = f64::from(sixteenth) / 16.0;
            prop_assert_eq!(round3(x), format!("{x:.3}").parse::<f64>().expect("a number"));
        }
    }
}
