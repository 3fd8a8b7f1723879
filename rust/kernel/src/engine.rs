//! The live composition: messages in, rows and detections out, every tick accounted for.

use crate::aggregate::{Aggregator, Calendar, Limits};
use crate::bar::{Bar, Fold, quality};
use crate::benchmark::Benchmark;
use crate::channel::Lateness;
use crate::counters::{Counters, Skew};
use crate::decode::{BATCH, Decoder};
use crate::detection::Detection;
use crate::detectors::DetectorList;
use crate::error::KernelError;
use crate::fate::{Fate, Sink};
use crate::history::{Made, Row};
use crate::indicator::gauges::{Indicators, Reading, Watch};
use crate::indicator::live::{Kernels, LEAST_WINDOW};
use crate::pattern::{Direction, PATTERNS};
use crate::rules::{CANDLE_WINDOW_BARS, Rules};
use crate::symbol::SymbolId;
use crate::tick::{Kind, Tick};
use crate::time::SECOND_US;
use crate::window::Window;

/// Bytes of a refused message that are shown.
const SAMPLE_BYTES: usize = 200;

/// Ticks too late that one call hands out; the rest is counted.
const DEAD_PER_CALL: usize = 1_000;

/// Settings of an [`Engine`].
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
    /// Sessions.
    pub calendar: Calendar,
    /// Whose indicators are read; `None` keeps none, not even events' RSI.
    pub watch: Option<Watch>,
    /// RSI below the first is oversold, above the second overbought: 0 to 100, in order.
    pub rsi_bounds: (f64, f64),
    /// The symbol that others' relative strength is measured against.
    pub benchmark: Option<String>,
}

impl Settings {
    fn check(&self) -> Result<(), KernelError> {
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

    fn indicators(&self) -> Result<Option<Indicators>, KernelError> {
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

    fn detectors(&self) -> Result<DetectorList, KernelError> {
        let all = || (0u16..).zip(PATTERNS.iter().copied());
        let Some(ids) = &self.patterns else {
            let is_first = |at: u16, name| PATTERNS[..usize::from(at)].iter().all(|pattern| pattern.name() != name);
            return Ok(DetectorList::new(all().filter(|(at, pattern)| is_first(*at, pattern.name())).collect()));
        };
        let find = |id: &String| {
            all().find(|(_, pattern)| pattern.id() == id).ok_or_else(|| KernelError::UnknownPattern(id.clone()))
        };
        let mut named = Vec::new();
        for id in ids {
            let found = find(id)?;
            if named.iter().all(|&(at, _)| at != found.0) {
                named.push(found);
            }
        }
        if self.window_bars < CANDLE_WINDOW_BARS && named.iter().any(|(_, pattern)| pattern.talib_name().is_some()) {
            let value = self.window_bars as f64;
            return Err(KernelError::Setting { name: "window", rule: "at least 34 for TA-Lib's patterns", value });
        }
        Ok(DetectorList::new(named))
    }
}

/// A message or tick that was refused, for the log.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Why.
    pub reason: &'static str,
    /// On which channel.
    pub channel: u16,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// A tick too late to revise its bar.
#[derive(Clone, Debug)]
pub struct Dead {
    /// Its ticker.
    pub ticker: Box<str>,
    /// On which channel it came.
    pub channel: u16,
    /// Its stamp, µs.
    pub ts_us: i64,
    /// Its own JSON.
    pub bytes: Vec<u8>,
}

/// What one call made.
#[derive(Debug, Default)]
pub struct Output {
    /// Rows to write, in closing order.
    pub bars: Vec<(SymbolId, Row)>,
    /// Patterns that came and went.
    pub detections: Vec<(SymbolId, Detection)>,
    /// The indicators of watched symbols, at each bar that closed or was looked at again.
    pub readings: Vec<(SymbolId, Reading)>,
    /// Ticks read, refused ones and quotes included.
    pub ticks: u64,
    /// At most one sample a reason.
    pub refused: Vec<Sample>,
    /// Ticks for the dead-letter table.
    pub dead: Vec<Dead>,
}

/// Collects what the aggregator says during one call.
struct Collector<'a> {
    output: &'a mut Output,
    counters: &'a mut Counters,
    skew: &'a mut Skew,
    now_us: i64,
}

impl Collector<'_> {
    fn sample(&mut self, reason: &'static str, channel: u16, raw: &[u8]) {
        if self.output.refused.iter().all(|sample| sample.reason != reason) {
            let bytes = raw[..raw.len().min(SAMPLE_BYTES)].to_vec();
            self.output.refused.push(Sample { reason, channel, bytes });
        }
    }
}

impl Sink for Collector<'_> {
    fn fate(&mut self, fate: Fate, channel: u16, tick: &Tick<'_>, raw: &[u8]) {
        self.counters.count(fate);
        let ahead_us = || tick.ts_us.saturating_sub(self.now_us);
        self.skew.tick((fate == Fate::Future).then(ahead_us));
        match fate {
            Fate::Future => self.sample("future", channel, raw),
            Fate::AheadOfFeed => self.sample("ahead_of_feed", channel, raw),
            Fate::SymbolCap => self.sample("symbol_cap", channel, raw),
            Fate::TooLate if self.output.dead.len() < DEAD_PER_CALL => {
                self.output.dead.push(Dead {
                    ticker: String::from_utf8_lossy(tick.ticker).into(),
                    channel,
                    ts_us: tick.ts_us,
                    bytes: raw.to_vec(),
                });
            }
            _ => {}
        }
    }

    fn expect(&mut self, bars: usize) {
        self.output.bars.reserve(bars);
        self.output.detections.reserve(bars);
    }

    fn made(&mut self, symbol: SymbolId, made: Made) {
        if let Some(row) = made.row {
            *(if row.revision == 0 { &mut self.counters.bars } else { &mut self.counters.bars_revised }) += 1;
            self.output.bars.push((symbol, row));
        }
        for detection in made.detections {
            let counter = if detection.held { &mut self.counters.detections } else { &mut self.counters.withdrawn };
            *counter += 1;
            self.output.detections.push((symbol, detection));
        }
        self.counters.readings += made.readings.len() as u64;
        self.output.readings.extend(made.readings.into_iter().map(|reading| (symbol, reading)));
    }

    fn without_price(&mut self, volume: i64) {
        self.counters.volume_without_bar += volume.max(0) as u64;
    }
}

/// Ticks to bars to patterns for many symbols and channels. Deterministic: the same calls give the same bits.
#[derive(Debug)]
pub struct Engine {
    decoders: Vec<Decoder>,
    aggregator: Aggregator,
    counters: Counters,
    skew: Skew,
    /// The latest time that a caller has named.
    now_us: i64,
}

impl Engine {
    /// An engine that has heard nothing.
    ///
    /// # Errors
    /// [`KernelError::Setting`] names the first setting out of its range, [`KernelError::UnknownPattern`] an id.
    pub fn new(settings: Settings) -> Result<Self, KernelError> {
        settings.check()?;
        let rules = Rules {
            window_bars: settings.window_bars,
            price_scale: settings.price_scale,
            revise_us: settings.revise_us,
            detectors: settings.detectors()?,
            indicators: settings.indicators()?,
            benchmark: Benchmark::new(settings.benchmark.as_deref().unwrap_or_default().as_bytes()),
        };
        let limits = Limits { lateness: settings.lateness, symbols: settings.symbols };
        Ok(Self {
            decoders: (0..settings.channels).map(|_| Decoder::default()).collect(),
            aggregator: Aggregator::new(settings.channels, limits, rules, settings.calendar),
            counters: Counters::default(),
            skew: Skew::default(),
            now_us: i64::MIN,
        })
    }

    /// Takes messages in arrival order, each with the index of its channel. Bad input is counted, never an error.
    ///
    /// # Errors
    /// [`KernelError::Channel`] if an index is not one of the channels; nothing after it is taken.
    pub fn ingest<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (usize, &'a [u8])>,
        now_us: i64,
    ) -> Result<Output, KernelError> {
        self.now_us = self.now_us.max(now_us);
        self.skew.begin(now_us);
        let mut output = Output::default();
        let (aggregator, counters, skew) = (&mut self.aggregator, &mut self.counters, &mut self.skew);
        let mut sink = Collector { output: &mut output, counters, skew, now_us };
        let channels = self.decoders.len();
        let mut messages = messages.into_iter().peekable();
        while let Some((channel, first)) = messages.next() {
            let decoder = self.decoders.get_mut(channel).ok_or(KernelError::Channel { channels, channel })?;
            let mut batch = [first; BATCH];
            let mut count = 1;
            while let Some(payload) = batch.get_mut(count) {
                let Some((_, next)) = messages.next_if(|(other, _)| *other == channel) else { break };
                *payload = next;
                count += 1;
            }
            sink.counters.messages += count as u64;
            decoder.decode(&batch[..count], |tick, raw| {
                sink.counters.ticks += 1;
                sink.output.ticks += 1;
                match tick {
                    Ok(tick) => aggregator.take(channel as u16, &tick, raw, now_us, &mut sink),
                    Err(reason) => {
                        sink.counters.refuse(reason);
                        sink.sample(reason.name(), channel as u16, raw);
                    }
                }
            });
        }
        self.aggregator.end_call();
        Ok(output)
    }

    /// Closes what silence has made final; see [`Aggregator::advance`].
    pub fn advance(&mut self, now_us: i64) -> Output {
        self.collect(now_us, |aggregator, sink| aggregator.advance(now_us, sink))
    }

    /// Accepts what is held back and closes every open bar.
    pub fn flush(&mut self) -> Output {
        let now_us = self.now_us;
        self.collect(now_us, |aggregator, sink| aggregator.flush(now_us, sink))
    }

    /// The open bars as they stand, flagged [`quality::PROVISIONAL`]. They stay open.
    #[must_use]
    pub fn provisional(&self) -> Output {
        let scale = self.aggregator.rules().price_scale;
        let row = |fold: &Fold| {
            let bar = fold.bar(scale)?;
            let quality = bar.quality | self.aggregator.flags(fold) | quality::PROVISIONAL;
            Some(Row { bar: Bar { quality, ..bar }, revision: 0 })
        };
        let bars = self.aggregator.open_bars().filter_map(|(id, fold)| Some((id, row(fold)?))).collect();
        Output { bars, ..Output::default() }
    }

    /// Listening begins (again): see [`Aggregator::subscribed`].
    pub fn subscribed(&mut self, now_us: i64, first: bool) {
        self.aggregator.subscribed(now_us, first);
    }

    /// Feeds one bar of history silently; false if it was not taken (not newer than the last, or past the cap).
    pub fn warm(&mut self, ticker: &[u8], bar: &Bar, revision: u32) -> bool {
        let provisional = bar.quality & quality::PROVISIONAL != 0;
        let fold = Fold::from_bar(bar, Fold::NO_CHANNEL, Kind::T);
        self.aggregator.warm(ticker, fold, revision, provisional)
    }

    /// Tells of a bar of history at which evaluation a pattern first held, as the event says that was made of it: the
    /// event's id follows from it, and a withdrawal has to name that. Whether there is such a pattern and it holds.
    pub fn recall(&mut self, ticker: &[u8], ts_us: i64, pattern: &str, direction: Direction, evaluation: u32) -> bool {
        let found = (0u16..).zip(PATTERNS.iter()).find(|(_, each)| each.id() == pattern);
        found.is_some_and(|(at, _)| self.aggregator.recall(ticker, ts_us, at, direction, evaluation))
    }

    /// Sets the decimals of the price column.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if there are more than 12.
    pub fn set_price_scale(&mut self, scale: Option<u32>) -> Result<(), KernelError> {
        if let Some(scale) = scale.filter(|&scale| scale > 12) {
            return Err(KernelError::Setting { name: "price_scale", rule: "0 to 12", value: f64::from(scale) });
        }
        self.aggregator.rules_mut().price_scale = scale;
        Ok(())
    }

    /// Every counter by name.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        let held = self.aggregator.channels().iter().filter(|channel| channel.held.is_some()).count();
        let mut all = self.counters.by_name();
        all.push(("held".into(), held as u64));
        all.push(("symbols".into(), self.aggregator.symbols().len() as u64));
        all.push(("open_bars".into(), self.aggregator.open_bars().count() as u64));
        all
    }

    /// Each channel's event time, µs.
    #[must_use]
    pub fn event_time_us(&self) -> Vec<Option<i64>> {
        self.aggregator.channels().iter().map(crate::channel::Channel::event_us).collect()
    }

    /// How far ahead the stamps were, if over half of the last whole second's ticks were refused as future.
    #[must_use]
    pub fn clock_skew_us(&self) -> Option<i64> {
        self.skew.shown_us
    }

    /// The name of a symbol that stands in an output.
    #[must_use]
    pub fn symbol_name(&self, id: SymbolId) -> &str {
        self.aggregator.symbols().name(id)
    }

    /// See [`crate::symbol::Symbols::renamed`].
    #[must_use]
    pub fn symbols_renamed(&self) -> u64 {
        self.aggregator.symbols().renamed()
    }

    /// The names of all known symbols.
    pub fn symbol_names(&self) -> impl Iterator<Item = &str> {
        self.aggregator.symbols().ids().map(|id| self.aggregator.symbols().name(id))
    }

    /// The window of a symbol, if it is known.
    #[must_use]
    pub fn window(&self, ticker: &[u8]) -> Option<&Window> {
        let id = self.aggregator.symbols().find(ticker)?;
        Some(self.aggregator.history(id).window())
    }

    fn collect(&mut self, now_us: i64, call: impl FnOnce(&mut Aggregator, &mut Collector<'_>)) -> Output {
        self.now_us = self.now_us.max(now_us);
        self.skew.begin(now_us);
        let mut output = Output::default();
        let mut sink = Collector { output: &mut output, counters: &mut self.counters, skew: &mut self.skew, now_us };
        call(&mut self.aggregator, &mut sink);
        self.aggregator.end_call();
        output
    }
}
