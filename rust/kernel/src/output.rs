//! What one call of the engine makes, and how it is collected.

use crate::accumulated::Short;
use crate::counters::{Counters, Skew};
use crate::detections::Detections;
use crate::fate::{Fate, Sink};
use crate::indicator::gauges::Reading;
use crate::made::{Longer, Made, Row};
use crate::symbol::SymbolId;
use crate::tick::Tick;

/// Bytes of a refused message that are shown.
const SAMPLE_BYTES: usize = 200;

/// Events a bar for which room is made: with all patterns on there are 3.8 in a simulated market.
const EVENTS_PER_BAR: usize = 5;

/// Ticks too late that one call hands out; the rest is counted.
const DEAD_PER_CALL: usize = 1_000;

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

/// Numbered ticks of one channel that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// On which channel.
    pub channel: u16,
    /// How many.
    pub ticks: i64,
    /// Event time before the first of them, µs.
    pub from_us: i64,
    /// Event time of the first tick after them, µs.
    pub to_us: i64,
}

/// What one call made.
#[derive(Debug, Default)]
pub struct Output {
    /// Rows to write, in closing order.
    pub bars: Vec<(SymbolId, Row)>,
    /// Bars of longer timeframes.
    pub longer: Vec<(SymbolId, Longer)>,
    /// Patterns that came and went.
    pub detections: Detections,
    /// The indicators of watched symbols, at each bar that closed or was looked at again.
    pub readings: Vec<(SymbolId, Reading)>,
    /// Ticks read, refused ones and quotes included.
    pub ticks: u64,
    /// At most one sample a reason.
    pub refused: Vec<Sample>,
    /// Ticks for the dead-letter table.
    pub dead: Vec<Dead>,
    /// Patterns that are switched off for a symbol from now on, by their place in the list of all.
    pub broken: Vec<(SymbolId, u16)>,
    /// What numbers of ticks say is missing, at most one a channel.
    pub jumps: Vec<Jump>,
    /// What the day's volume says is missing.
    pub short: Vec<(SymbolId, Short)>,
    /// See [`Aggregator::reached_us`].
    ///
    /// [`Aggregator::reached_us`]: crate::aggregate::Aggregator::reached_us
    pub reached_us: Option<i64>,
}

/// Collects what the aggregator says during one call.
pub(crate) struct Collector<'a> {
    pub(crate) output: &'a mut Output,
    pub(crate) counters: &'a mut Counters,
    pub(crate) skew: &'a mut Skew,
    pub(crate) now_us: i64,
    /// How many detections there may be, where room for them is still to be made.
    pub(crate) expected: usize,
}

impl Collector<'_> {
    /// Keeps the first refused one of each reason.
    pub(crate) fn sample(&mut self, reason: &'static str, channel: u16, raw: &[u8]) {
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
        self.expected = self.output.detections.len() + EVENTS_PER_BAR * bars;
    }

    fn made(&mut self, symbol: SymbolId, made: &mut Made) {
        if let Some(row) = made.row {
            *(if row.revision == 0 { &mut self.counters.bars } else { &mut self.counters.bars_revised }) += 1;
            self.output.bars.push((symbol, row));
        }
        self.counters.longer_bars += made.longer.len() as u64;
        self.output.longer.extend(made.longer.iter().map(|longer| (symbol, *longer)));
        let held = made.detections.iter().filter(|detection| detection.held).count();
        self.counters.detections += held as u64;
        self.counters.withdrawn += (made.detections.len() - held) as u64;
        if !made.detections.is_empty() {
            // Grown step by step, what is found at a minute's close would be moved twice; room that is not used costs nothing.
            let room = std::mem::take(&mut self.expected).saturating_sub(self.output.detections.len());
            if room > 0 {
                self.output.detections.reserve(room);
            }
            self.output.detections.extend(symbol, &made.detections);
        }
        self.counters.readings += made.readings.len() as u64;
        self.output.readings.extend(made.readings.iter().map(|reading| (symbol, *reading)));
        self.counters.broken += made.broken.len() as u64;
        self.output.broken.extend(made.broken.iter().map(|&pattern| (symbol, pattern)));
    }

    fn jump(&mut self, channel: u16, ticks: i64, from_us: i64, to_us: i64) {
        self.counters.missing_ticks = self.counters.missing_ticks.saturating_add(ticks as u64);
        if let Some(jump) = self.output.jumps.iter_mut().find(|jump| jump.channel == channel) {
            (jump.from_us, jump.to_us) = (jump.from_us.min(from_us), jump.to_us.max(to_us));
            jump.ticks = jump.ticks.saturating_add(ticks);
        } else {
            self.output.jumps.push(Jump { channel, ticks, from_us, to_us });
        }
    }

    fn short(&mut self, symbol: SymbolId, short: Short) {
        self.counters.missing_volume = self.counters.missing_volume.saturating_add(short.volume as u64);
        self.output.short.push((symbol, short));
    }

    fn without_price(&mut self, volume: i64) {
        let all = &mut self.counters.volume_without_bar;
        *all = all.saturating_add(volume.max(0) as u64);
    }
}
