//! The 61 candlestick functions of TA-Lib, bit for bit, for many bars or many symbols at once.
//!
//! Each function is written once, as a branch-free statement about a [`view::View`]: bar 0 is the newest, bar 1 the one
//! before it. The same statement is compiled for [`stream`] (lanes are symbols) and for [`block::Block`] of one lane (one
//! symbol alone), where the answer is three u64 a bar, one bit a function: a hit, its sign, its size. It is read with
//! margins by [`grade`], and once, to be written down as part of a [`plan`], which [`batch`] carries out over all bars of
//! a symbol.
//!
//! To be equal to TA-Lib in every cell, prices are f64, expressions keep TA-Lib's order, and averages come from running
//! totals that start where TA-Lib's do ([`total`]). Candle settings and penetrations are TA-Lib's defaults.
//!
//! Source: TA-Lib 0.8.1, `TA_CDL*`; the default settings of `TA_SetCandleSettings`.
#![allow(
    clippy::inline_always,
    reason = "a closure over SIMD lanes keeps its instruction set only where it is inlined"
)]

pub mod batch;
pub mod block;
pub mod stream;

mod aligned;
mod answer;
mod candles;
mod columns;
mod draft;
mod four_bars;
mod grade;
mod hikkake;
mod lanes;
mod one_bar;
pub(crate) mod pattern;
mod plan;
mod rows;
mod sheet;
mod snapshot;
mod three_bars;
mod total;
mod two_bars;
mod view;
mod words;

use pulp::Simd;
use serde::{Deserialize, Serialize};

pub use candles::Candles;
pub use rows::Prices;

use answer::{Answer, Answers};
use draft::{ByPlace, Drafting};
use grade::Grading;
use view::{Layout, View};

/// How many functions there are.
pub const COUNT: usize = 61;

/// The bars that the longest lookback needs before a bar; from then on every function answers.
const WARM: usize = 14;

/// One of TA-Lib's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candlestick {
    /// TA-Lib's name, `CDLDOJI`.
    pub name: &'static str,
    /// How many bars must precede the first that it answers for; before, the answer is 0.
    pub lookback: usize,
    /// What a set bit of [`Hits::other`] makes of 100.
    pub other: i32,
}

/// Declares the functions in column order, the order in which TA-Lib lists them.
macro_rules! candlesticks {
    ($($name:literal $lookback:literal $statement:ident $(or $other:literal)?;)*) => {
        /// The functions, in column order.
        pub const CANDLESTICKS: [Candlestick; COUNT] = [$(
            Candlestick { name: $name, lookback: $lookback, other: 100 $(- 100 + $other)? },
        )*];

        /// The functions' statements about one symbol alone, to be read with margins.
        const GRADED: [fn(View<'_, Grading, block::BySymbol<1>>) -> Answer<Grading>; COUNT] = [
            $(|view| view.by($lookback).$statement(),)*
        ];

        /// The same, to be written down.
        const DRAFTED: [for<'a> fn(View<'_, Drafting<'a>, ByPlace>) -> Answer<Drafting<'a>>; COUNT] = [
            $(|view| view.by($lookback).$statement(),)*
        ];

        /// What all functions say about the newest bar of each lane.
        #[inline(always)]
        fn evaluate<S: Simd, L: Layout>(simd: S, view: View<'_, S, L>) -> Answers<S> {
            let mut answers = Answers::none(simd);
            candlesticks!(@last_first answers, view, [] $($lookback $statement)*);
            answers.whole()
        }
    };
    // A shift a function and no constant, if the last column comes first.
    (@last_first $answers:ident, $view:ident, [$($calls:tt)*] $lookback:literal $statement:ident $($rest:tt)*) => {
        candlesticks!(@last_first $answers, $view, [$answers.take($view.by($lookback).$statement()); $($calls)*] $($rest)*)
    };
    (@last_first $answers:ident, $view:ident, [$($calls:tt)*]) => { $($calls)* };
}

candlesticks! {
    "CDL2CROWS" 12 cdl_two_crows;
    "CDL3BLACKCROWS" 13 cdl_three_black_crows;
    "CDL3INSIDE" 12 cdl_three_inside;
    "CDL3LINESTRIKE" 8 cdl_three_line_strike;
    "CDL3OUTSIDE" 3 cdl_three_outside;
    "CDL3STARSINSOUTH" 12 cdl_three_stars_in_the_south;
    "CDL3WHITESOLDIERS" 12 cdl_three_white_soldiers;
    "CDLABANDONEDBABY" 12 cdl_abandoned_baby;
    "CDLADVANCEBLOCK" 12 cdl_advance_block;
    "CDLBELTHOLD" 10 cdl_belt_hold;
    "CDLBREAKAWAY" 14 cdl_breakaway;
    "CDLCLOSINGMARUBOZU" 10 cdl_closing_marubozu;
    "CDLCONCEALBABYSWALL" 13 cdl_concealing_baby_swallow;
    "CDLCOUNTERATTACK" 11 cdl_counterattack;
    "CDLDARKCLOUDCOVER" 11 cdl_dark_cloud_cover;
    "CDLDOJI" 10 cdl_doji;
    "CDLDOJISTAR" 11 cdl_doji_star;
    "CDLDRAGONFLYDOJI" 10 cdl_dragonfly_doji;
    "CDLENGULFING" 2 cdl_engulfing or 80;
    "CDLEVENINGDOJISTAR" 12 cdl_evening_doji_star;
    "CDLEVENINGSTAR" 12 cdl_evening_star;
    "CDLGAPSIDESIDEWHITE" 7 cdl_gap_side_by_side_white;
    "CDLGRAVESTONEDOJI" 10 cdl_gravestone_doji;
    "CDLHAMMER" 11 cdl_hammer;
    "CDLHANGINGMAN" 11 cdl_hanging_man;
    "CDLHARAMI" 11 cdl_harami or 80;
    "CDLHARAMICROSS" 11 cdl_harami_cross or 80;
    "CDLHIGHWAVE" 10 cdl_high_wave;
    "CDLHIKKAKE" 5 cdl_hikkake or 200;
    "CDLHIKKAKEMOD" 10 cdl_modified_hikkake or 200;
    "CDLHOMINGPIGEON" 11 cdl_homing_pigeon;
    "CDLIDENTICAL3CROWS" 12 cdl_identical_three_crows;
    "CDLINNECK" 11 cdl_in_neck;
    "CDLINVERTEDHAMMER" 11 cdl_inverted_hammer;
    "CDLKICKING" 11 cdl_kicking;
    "CDLKICKINGBYLENGTH" 11 cdl_kicking_by_length;
    "CDLLADDERBOTTOM" 14 cdl_ladder_bottom;
    "CDLLONGLEGGEDDOJI" 10 cdl_long_legged_doji;
    "CDLLONGLINE" 10 cdl_long_line;
    "CDLMARUBOZU" 10 cdl_marubozu;
    "CDLMATCHINGLOW" 6 cdl_matching_low;
    "CDLMATHOLD" 14 cdl_mat_hold;
    "CDLMORNINGDOJISTAR" 12 cdl_morning_doji_star;
    "CDLMORNINGSTAR" 12 cdl_morning_star;
    "CDLONNECK" 11 cdl_on_neck;
    "CDLPIERCING" 11 cdl_piercing;
    "CDLRICKSHAWMAN" 10 cdl_rickshaw_man;
    "CDLRISEFALL3METHODS" 14 cdl_rise_fall_three_methods;
    "CDLSEPARATINGLINES" 11 cdl_separating_lines;
    "CDLSHOOTINGSTAR" 11 cdl_shooting_star;
    "CDLSHORTLINE" 10 cdl_short_line;
    "CDLSPINNINGTOP" 10 cdl_spinning_top;
    "CDLSTALLEDPATTERN" 12 cdl_stalled_pattern;
    "CDLSTICKSANDWICH" 7 cdl_stick_sandwich;
    "CDLTAKURI" 10 cdl_takuri;
    "CDLTASUKIGAP" 7 cdl_tasuki_gap;
    "CDLTHRUSTING" 11 cdl_thrusting;
    "CDLTRISTAR" 12 cdl_tristar;
    "CDLUNIQUE3RIVER" 12 cdl_unique_three_river;
    "CDLUPSIDEGAP2CROWS" 12 cdl_upside_gap_two_crows;
    "CDLXSIDEGAP3METHODS" 2 cdl_side_gap_three_methods;
}

/// For each number of bars before a bar, the functions that answer for it.
const ANSWERING: [u64; WARM + 1] = {
    let mut bits = [0; WARM + 1];
    let mut column = 0;
    while column < COUNT {
        let mut before = CANDLESTICKS[column].lookback;
        while before <= WARM {
            bits[before] |= 1 << column;
            before += 1;
        }
        column += 1;
    }
    bits
};

/// What the 61 functions say about one bar: bit n is the function of column n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// The functions that answer something else than 0.
    pub hit: u64,
    /// Those of them whose answer is negative.
    pub bearish: u64,
    /// Those of them whose answer is the function's other size: ±80 or ±200 in place of ±100.
    pub other: u64,
}

impl Hits {
    /// The functions that hit, by column, with TA-Lib's value.
    pub fn values(self) -> impl Iterator<Item = (usize, i32)> {
        let mut left = self.hit;
        std::iter::from_fn(move || {
            let column = left.trailing_zeros() as usize;
            let candlestick = CANDLESTICKS.get(column)?;
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let size = if self.other & bit == 0 { 100 } else { candlestick.other };
            Some((column, if self.bearish & bit == 0 { size } else { -size }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWERING, CANDLESTICKS, COUNT, Hits, WARM};

    #[test]
    fn columns_are_sorted_by_name() {
        assert!(CANDLESTICKS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn every_function_answers_once_warm() {
        assert_eq!(ANSWERING[WARM], (1 << COUNT) - 1);
        assert_eq!(CANDLESTICKS.iter().map(|candlestick| candlestick.lookback).max(), Some(WARM));
        assert_eq!(ANSWERING[1], 0);
    }

    #[test]
    fn values_are_signed_and_sized() {
        let hits = Hits { hit: 1 | 1 << 18 | 1 << 28, bearish: 1 << 28 | 1 << 5, other: 1 << 18 | 1 << 28 };
        assert_eq!(hits.values().collect::<Vec<_>>(), [(0, 100), (18, 80), (28, -200)]);
        assert_eq!(Hits { bearish: 1, other: 1, hit: 0 }.values().next(), None);
    }
}
