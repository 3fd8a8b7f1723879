//! What an engine is told, and what of it is refused.

use crate::benchmark::Benchmark;
use crate::calendar::Calendar;
use crate::channel::Lateness;
use crate::detectors::{DetectorList, Detectors};
use crate::error::KernelError;
use crate::indicator::gauges::{Indicators, Watch};
use crate::indicator::live::{Kernels, LEAST_WINDOW};
use crate::missed::Missed;
use crate::pattern::{PATTERNS, Pattern};
use crate::rule::{Rule, Ruleset};
use crate::rules::{CANDLE_WINDOW_BARS, LongerRules, Rules};
use crate::study;
use crate::time::SECOND_US;
use crate::timeframe::{Align, Grid, Timeframe};

/// Settings of an [`crate::engine::Engine`].
#[derive(Debug)]
pub struct Settings {
    /// Channels, in order of preference: 1 to 64.
    pub channels: usize,
    /// How long bars wait for late ticks: 0 to 60 s a kind.
    pub lateness: Lateness,
    /// How long after its end a bar may be revised: 0 to 900 s.
    pub revise_us: i64,
    /// Bars a window holds: 1 to 100,000.
    pub window_bars: usize,
    /// The most symbols known at once.
    pub symbols: usize,
    /// Decimals of the price column, if it has any.
    pub price_scale: Option<u32>,
    /// Ids of the patterns that are on; `None` is all, but of those that share a name the first.
    pub patterns: Option<Vec<String>>,
    /// What is made of patterns, those that are off included: at most 100, each of them naming none after it.
    pub rules: Vec<Rule>,
    /// `seq` counts the ticks that one sender has sent on a channel, so that a jump tells of lost ones; otherwise it is a
    /// trade's own number.
    pub seq_counts: bool,
    /// `accumulated_volume` of aggregates is held against what was folded.
    pub volume_checked: bool,
    /// Sessions.
    pub calendar: Calendar,
    /// The timeframes of the bars on which patterns are looked for; minutes are rolled up to the longer ones.
    pub timeframes: Vec<Timeframe>,
    /// Where the buckets of those are counted from.
    pub align: Align,
    /// Whose indicators are read; `None` keeps none, not even events' RSI.
    pub watch: Option<Watch>,
    /// RSI below the first is oversold, above the second overbought: 0 to 100, in order.
    pub rsi_bounds: (f64, f64),
    /// The symbol that others' relative strength is measured against.
    pub benchmark: Option<String>,
}

impl Settings {
    /// # Errors
    /// [`KernelError::Setting`] names the first number out of its range.
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let seconds = |us: i64| us as f64 / 1e6;
        let rules = [
            ("channels", "1 to 64", (1..=64).contains(&self.channels), self.channels as f64),
            (
                "lateness_a_s",
                "0 to 60",
                (0..=60 * SECOND_US).contains(&self.lateness.a_us),
                seconds(self.lateness.a_us),
            ),
            (
                "lateness_t_s",
                "0 to 60",
                (0..=60 * SECOND_US).contains(&self.lateness.t_us),
                seconds(self.lateness.t_us),
            ),
            ("revise_s", "0 to 900", (0..=900 * SECOND_US).contains(&self.revise_us), seconds(self.revise_us)),
            ("window", "1 to 100,000", (1..=100_000).contains(&self.window_bars), self.window_bars as f64),
            ("max_symbols", "at least 1", self.symbols >= 1, self.symbols as f64),
            (
                "price_scale",
                "0 to 12",
                self.price_scale.is_none_or(|s| s <= 12),
                f64::from(self.price_scale.unwrap_or(0)),
            ),
        ];
        let broken = rules.into_iter().find(|(_, _, holds, _)| !holds);
        broken.map_or(Ok(()), |(name, rule, _, value)| Err(KernelError::Setting { name, rule, value }))
    }

    /// What histories share, in each timeframe.
    ///
    /// # Errors
    /// [`KernelError::Setting`] names what is out of its range, [`KernelError::UnknownPattern`] an id, [`KernelError::Row`] a
    /// session too far away for longer bars, [`KernelError::Window`] and [`KernelError::Timeframes`] a pattern that was asked
    /// for by its id and could never be found.
    pub(crate) fn rules(&self) -> Result<Rules, KernelError> {
        if self.patterns.is_some() {
            self.on()?.iter().try_for_each(|(_, pattern)| self.reaches(*pattern))?;
        }
        let mut rules = self.rules_of(Timeframe::Min1)?;
        let is_on = |timeframe: &Timeframe| *timeframe != Timeframe::Min1 && self.timeframes.contains(timeframe);
        let each = Timeframe::ALL.into_iter().filter(is_on).map(|timeframe| self.rules_of(timeframe));
        let each = each.collect::<Result<Vec<_>, _>>()?;
        if !each.is_empty() {
            let Calendar { window, simulated, .. } = &self.calendar;
            let grid = Grid::new(window, simulated.clone(), self.align)?;
            rules.longer = Some(Box::new(LongerRules {
                grid,
                each,
                from_us: i64::MIN,
                known_us: i64::MIN,
                missed: Missed::default(),
                passed_us: i64::MIN,
            }));
        }
        Ok(rules)
    }

    /// Whether a pattern can be found at all. What it needs is in the window with the bar that closes.
    fn reaches(&self, pattern: &dyn Pattern) -> Result<(), KernelError> {
        let (id, bars, longest) = (pattern.id(), pattern.bars_needed().saturating_sub(1), pattern.longest());
        if bars > self.window_bars {
            return Err(KernelError::Window { pattern: id, bars, window: self.window_bars });
        }
        // Of an engine that looks at no bars at all nothing is expected.
        if !self.timeframes.is_empty() && self.timeframes.iter().all(|timeframe| *timeframe > longest) {
            return Err(KernelError::Timeframes { pattern: id, longest: longest.name() });
        }
        Ok(())
    }

    fn rules_of(&self, timeframe: Timeframe) -> Result<Rules, KernelError> {
        let mut indicators = self.indicators()?;
        // Of longer bars none are shown.
        if let Some(on) = indicators.as_mut().filter(|_| timeframe != Timeframe::Min1) {
            on.watch = Watch::default();
        }
        let (detectors, combined) = self.patterns(timeframe)?;
        Ok(Rules {
            timeframe,
            window_bars: self.window_bars,
            price_scale: self.price_scale,
            revise_us: self.revise_us,
            detectors,
            combined,
            study: study::Kernels::new()?,
            indicators,
            benchmark: Benchmark::new(self.benchmark.as_deref().unwrap_or_default().as_bytes()),
            longer: None,
        })
    }

    /// The indicators, if any are kept.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if the window is too short for them, or the bounds are none.
    pub(crate) fn indicators(&self) -> Result<Option<Indicators>, KernelError> {
        let Some(watch) = &self.watch else {
            return Ok(None);
        };
        if !watch.is_none() && self.window_bars < LEAST_WINDOW {
            let (rule, value) = ("at least 30 where indicators are watched", self.window_bars as f64);
            return Err(KernelError::Setting { name: "window", rule, value });
        }
        let (low, high) = self.rsi_bounds;
        if !(0.0 <= low && low <= high && high <= 100.0) {
            let value = if (0.0..=100.0).contains(&low) { high } else { low };
            return Err(KernelError::Setting { name: "rsi_bounds", rule: "0 to 100, in order", value });
        }
        Ok(Some(Indicators { kernels: Kernels::new()?, watch: watch.clone(), rsi_bounds: self.rsi_bounds }))
    }

    /// The patterns that are looked for on bars of a timeframe, and the rules that are made of them.
    ///
    /// # Errors
    /// [`KernelError::UnknownPattern`] names an id; [`KernelError::Setting`] if the window is too short for them. See
    /// [`Ruleset::new`] for rules.
    fn patterns(&self, timeframe: Timeframe) -> Result<(DetectorList, Ruleset), KernelError> {
        let mut on = self.on()?;
        let places: Vec<u16> = on.iter().map(|&(at, _)| at).collect();
        let rules = Ruleset::new(&self.rules, &places, timeframe, &self.timeframes)?;
        let agrees = self.timeframes.len() > 1 && self.asks_for_agreement(&on);
        let charts = (0u16..).zip(PATTERNS).filter(|(_, pattern)| agrees && pattern.chart().is_some());
        let rules =
            rules.with(charts.map(|(at, _)| at), &places).keeping_charts(agrees && timeframe != Timeframe::Min1);
        let of = |places: &[u16]| places.iter().map(|&at| (at, PATTERNS[usize::from(at)])).collect::<Detectors>();
        let asked_for = if self.patterns.is_some() { &on[..] } else { &[] };
        let is_talib = |(_, pattern): &(u16, &dyn Pattern)| pattern.talib_name().is_some();
        let has_talib = asked_for.iter().chain(&of(rules.named())).any(is_talib);
        if self.window_bars < CANDLE_WINDOW_BARS && has_talib {
            let value = self.window_bars as f64;
            return Err(KernelError::Setting { name: "window", rule: "at least 34 for TA-Lib's patterns", value });
        }
        on.extend(of(rules.off()));
        let is_on = self.timeframes.contains(&timeframe);
        on.retain(|(_, pattern)| is_on && timeframe <= pattern.longest());
        Ok((DetectorList::new(on), rules))
    }

    /// Whether a pattern that is made of others is on, or named by a rule of any timeframe.
    fn asks_for_agreement(&self, on: &Detectors) -> bool {
        let named = self.rules.iter().flat_map(Rule::members).map(|member| member.pattern.as_str());
        let is_it = |id: &str| PATTERNS.iter().any(|pattern| pattern.is_of_others() && pattern.id() == id);
        on.iter().map(|(_, pattern)| pattern.id()).chain(named).any(is_it)
    }

    /// The patterns that are on.
    fn on(&self) -> Result<Detectors, KernelError> {
        let all = || (0u16..).zip(PATTERNS.iter().copied());
        let Some(ids) = &self.patterns else {
            let is_first = |at: u16, name| PATTERNS[..usize::from(at)].iter().all(|pattern| pattern.name() != name);
            return Ok(all().filter(|(at, pattern)| is_first(*at, pattern.name())).collect());
        };
        let find = |id: &String| {
            all().find(|(_, pattern)| pattern.id() == id).ok_or_else(|| KernelError::UnknownPattern(id.clone()))
        };
        let mut named = Detectors::new();
        for id in ids {
            let found = find(id)?;
            if named.iter().all(|&(at, _)| at != found.0) {
                named.push(found);
            }
        }
        Ok(named)
    }
}
