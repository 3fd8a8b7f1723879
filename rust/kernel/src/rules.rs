//! What the histories of all symbols have in common.

use std::ops::Deref;

use crate::above::Above;
use crate::benchmark::Benchmark;
use crate::candle::talib::Candles;
use crate::detectors::DetectorList;
use crate::indicator::gauges::Indicators;
use crate::missed::Missed;
use crate::rule::Ruleset;
use crate::session::Session;
use crate::study::Kernels;
use crate::timeframe::{Grid, Timeframe};

/// Bars that may be revised at once: 15 minutes, those still open beside them, and one of a second channel.
pub(crate) const MOST_REVISABLE: usize = 18;
/// With fewer bars in a window TA-Lib's functions cannot begin a session anew.
pub const CANDLE_WINDOW_BARS: usize = Candles::WINDOW_BARS + MOST_REVISABLE;
const _: () = assert!(CANDLE_WINDOW_BARS == 34, "as messages and pages say");

/// What every history of one timeframe shares.
#[derive(Debug)]
pub struct Rules {
    /// How long its bars are.
    pub timeframe: Timeframe,
    /// Bars a window holds.
    pub window_bars: usize,
    /// Decimals of the price column, if it has any.
    pub price_scale: Option<u32>,
    /// How long after its end a bar may be revised, µs.
    pub revise_us: i64,
    /// The patterns that are on.
    pub detectors: DetectorList,
    /// What is made of them.
    pub combined: Ruleset,
    /// The periods of what patterns read.
    pub study: Kernels,
    /// The indicators, if they are on.
    pub indicators: Option<Indicators>,
    /// Whose return others' are measured against.
    pub benchmark: Benchmark,
    /// The longer timeframes that its bars are rolled up to; `None` if there are none.
    pub longer: Option<Box<LongerRules>>,
}

/// The rules of a timeframe, and what its bars see of longer ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach<'a> {
    pub(crate) rules: &'a Rules,
    /// Of a symbol's minutes nothing: they know their longer bars themselves.
    pub(crate) above: Above<'a>,
}

impl<'a> From<&'a Rules> for Reach<'a> {
    fn from(rules: &'a Rules) -> Self {
        Self { rules, above: Above::default() }
    }
}

impl Deref for Reach<'_> {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        self.rules
    }
}

/// What the longer bars of all symbols have in common.
#[derive(Debug)]
pub struct LongerRules {
    /// Their buckets.
    pub grid: Grid,
    /// The rules of each timeframe, the shortest first.
    pub each: Vec<Rules>,
    /// Minutes before this one are in bars that are fed whole.
    pub from_us: i64,
    /// Where history ends: what was over by then is no news.
    pub known_us: i64,
    /// When ticks may have been missed.
    pub(crate) missed: Missed,
    /// Bars that end here or before may have closed, by the channel that had come farthest, µs.
    pub(crate) passed_us: i64,
}

impl Rules {
    /// What others are measured against, in each timeframe.
    pub(crate) fn benchmarks(&mut self) -> impl Iterator<Item = &mut Benchmark> {
        let longer = self.longer.iter_mut().flat_map(|longer| &mut longer.each);
        std::iter::once(&mut self.benchmark).chain(longer.map(|rules| &mut rules.benchmark))
    }

    /// The open of the session that a bar stands in, by that of the stretch it is carried on through; `None` for days and longer.
    pub(crate) fn open_of(&self, open_us: Option<i64>) -> Option<i64> {
        open_us.filter(|_| self.timeframe.is_intraday())
    }

    /// The session that a bar stands in, of the stretch it is carried on through, and how long such bars are, µs; `None` for
    /// days and longer.
    pub(crate) fn stands_in(&self, stretch: Option<Session>) -> (Option<Session>, i64) {
        let bar_us = self.timeframe.length_us();
        (stretch.filter(|_| bar_us.is_some()), bar_us.unwrap_or(0))
    }

    /// Whether any of TA-Lib's functions is on, and windows hold what it takes to begin a session anew.
    pub(crate) fn has_candles(&self) -> bool {
        self.window_bars >= CANDLE_WINDOW_BARS && self.detectors.has_candles()
    }

    /// Whether a pattern that is on, or a rule, reads a study.
    pub(crate) fn has_study(&self) -> bool {
        self.detectors.has_study() || self.combined.needs_study()
    }

    /// Whether a pattern that is on reads what the minutes of other sessions traded.
    pub(crate) fn has_volumes(&self) -> bool {
        self.detectors.has_volumes()
    }
}
