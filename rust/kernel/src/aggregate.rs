//! Live ticks to bars: whose tick counts, which bar it belongs to, and when that bar is final.
//!
//! `O(1)` a tick; a gap of a year is one step, because minutes are computed and never walked.

mod closing;
mod placing;

use serde::{Deserialize, Serialize};

use crate::bar::{Bar, Fold, quality};
use crate::begun::Begun;
use crate::benchmark::Benchmark;
use crate::calendar::Calendar;
use crate::channel::{Channel, Held, Lateness};
use crate::fate::{Fate, Sink};
use crate::history::History;
use crate::made::Made;
use crate::offset::Arrival;
use crate::orphans::Orphans;
use crate::owner::Heard;
use crate::pattern::Direction;
use crate::pattern::days::Day;
use crate::roster::Roster;
use crate::rules::Rules;
use crate::session::Session;
use crate::symbol::{SymbolId, Symbols};
use crate::tick::{Kind, Tick};
use crate::time::MINUTE_US;
use crate::timeframe::Timeframe;

/// A stamp this far past the caller's clock is refused.
const FUTURE_US: i64 = 5_000_000;

/// Symbols whose state is brought into the cache together when a minute closes; see [`History::touch`].
pub(crate) const TOUCHED: usize = 64;

/// A channel that has been silent for so many times as long as its bars may be revised is not waited for: what it says
/// then is folded all the same, but a replay may begin after the bars that it would change.
const IDLE_REVISIONS: i64 = 4;

/// Settings of the aggregator.
#[derive(Debug)]
pub struct Limits {
    /// How long bars wait for late ticks.
    pub lateness: Lateness,
    /// The most symbols known at once.
    pub symbols: usize,
    /// See [`crate::settings::Settings::seq_counts`].
    pub seq_counts: bool,
    /// See [`crate::settings::Settings::volume_checked`].
    pub volume_checked: bool,
}

/// What a replay need not look at: ticks of minutes before `minute_us` in messages before `src` stand in rows, or nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Start of the first minute that a replay makes anew, µs.
    pub minute_us: i64,
    /// The message from which on ticks of older minutes come too late.
    pub src: i64,
}

/// The live aggregator of all symbols and channels.
#[derive(Debug)]
pub struct Aggregator {
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    calendar: Calendar,
    pub(crate) roster: Roster,
    pub(crate) channels: Vec<Channel>,
    pub(crate) heard: Heard,
    pub(crate) orphans: Orphans,
    pub(crate) begun: Begun,
    pub(crate) settled: Settled,
    /// The end of the newest minute that has closed, µs.
    pub(crate) newest_us: i64,
    /// What the last change of a history made.
    pub(crate) made: Made,
}

impl Aggregator {
    /// An aggregator that has heard nothing.
    #[must_use]
    pub fn new(channels: usize, limits: Limits, rules: Rules, calendar: Calendar) -> Self {
        Self {
            limits,
            rules,
            calendar,
            roster: Roster::default(),
            channels: (0..channels).map(|_| Channel::default()).collect(),
            heard: Heard::new(channels),
            orphans: Orphans::default(),
            begun: Begun::default(),
            settled: Settled::default(),
            newest_us: i64::MIN,
            made: Made::default(),
        }
    }

    /// Takes one tick of one channel, with its message's number and the time at which that arrived.
    pub fn take(&mut self, channel: u16, tick: &Tick<'_>, raw: &[u8], arrival: Arrival, sink: &mut impl Sink) {
        let now_us = arrival.now_us;
        let at = usize::from(channel);
        if let Some(seq) = tick.seq.filter(|_| self.limits.seq_counts) {
            let missing = self.channels[at].number(seq);
            if missing > 0 {
                let event_us = self.channels[at].event_us().unwrap_or(tick.ts_us);
                sink.jump(channel, missing, event_us.min(tick.ts_us), event_us.max(tick.ts_us));
            }
        }
        if tick.kind == Kind::Q {
            return sink.fate(Fate::Quote, channel, tick, raw);
        }
        if tick.ts_us > now_us.saturating_add(FUTURE_US) {
            return sink.fate(Fate::Future, channel, tick, raw);
        }
        if let Some(held) = self.channels[at].held.take() {
            if self.channels[at].is_ahead(tick.ts_us, now_us) {
                self.accept(channel, &held.tick(), &held.raw, Arrival { src: held.src, now_us }, sink);
            } else {
                sink.fate(Fate::AheadOfFeed, channel, &held.tick(), &held.raw);
            }
        }
        if self.channels[at].is_ahead(tick.ts_us, now_us) {
            self.channels[at].held = Some(Held::new(tick, raw, arrival.src));
            return;
        }
        self.accept(channel, tick, raw, arrival, sink);
    }

    /// A tick of one channel could not be read.
    pub fn refused(&mut self, channel: u16) {
        self.channels[usize::from(channel)].refused();
    }

    /// Closes what silence has made final. To be called only when all that was sent before `now_us` has been taken.
    pub fn advance(&mut self, now_us: i64, sink: &mut impl Sink) {
        for channel in 0..self.channels.len() as u16 {
            self.close_final(channel, Some(now_us), sink);
        }
        self.close_longer(Some(now_us), now_us, sink);
    }

    /// Accepts what is held back, then closes every open bar, oldest minute first.
    pub fn flush(&mut self, now_us: i64, sink: &mut impl Sink) {
        for channel in 0..self.channels.len() as u16 {
            if let Some(held) = self.channels[usize::from(channel)].held.take() {
                self.accept(channel, &held.tick(), &held.raw, Arrival { src: held.src, now_us }, sink);
            }
        }
        // What was opened again from the database is older than what came since.
        for (symbol, minute_us) in self.orphans.take(|_| true) {
            self.close_bar(symbol, Fold::NO_CHANNEL, minute_us, sink);
        }
        let oldest = |channels: &[Channel]| {
            let minutes = channels.iter().enumerate();
            minutes.filter_map(|(at, channel)| Some((channel.oldest_open_us()?, at))).min()
        };
        while let Some((_, at)) = oldest(&self.channels) {
            let Some((minute_us, _, symbols)) = self.channels[at].take_oldest(self.limits.lateness) else { return };
            self.close_minute(at as u16, minute_us, &symbols, sink);
            self.channels[at].recycle(symbols);
        }
        self.end_longer(sink);
    }

    /// Listening begins (again) at `now_us`; see [`Channel::subscribed`].
    pub fn subscribed(&mut self, now_us: i64, first: bool) {
        let flag = if first { quality::PARTIAL_START } else { quality::GAP };
        for at in 0..self.channels.len() {
            self.channels[at].subscribed(now_us, flag);
            self.note_missed(at);
        }
        // What is open now was open while nobody listened; at the first time, only what came from the database was.
        let deaf = |fold: &&mut Fold| !first || fold.channel == Fold::NO_CHANNEL;
        for fold in self.roster.open_bars_mut().filter(deaf) {
            fold.quality |= quality::GAP;
        }
    }

    /// Feeds one bar of history silently; a provisional one is opened again. False if it is not newer than the last.
    pub fn warm(&mut self, ticker: &[u8], fold: Fold, revision: u32, provisional: bool) -> bool {
        let Some(id) = self.roster.know(ticker, self.limits.symbols, &mut self.rules) else {
            return false;
        };
        let session = self.window_session(id, fold.minute_us);
        let state = &mut self.roster[id];
        state.heard_us = state.heard_us.max(fold.end_us());
        if provisional {
            if state.open.iter().any(|open| open.minute_us == fold.minute_us)
                || state.history.is_behind(fold.minute_us)
                || state.history.sealed(fold.minute_us).is_some()
            {
                return false;
            }
            state.open.push(fold);
            self.orphans.push(id, fold.minute_us);
            return true;
        }
        self.known_up_to(fold.end_us());
        let taken = self.roster[id].history.warm(fold, revision, session, &self.rules);
        self.roster.note_longer(id);
        self.note_benchmark(id);
        taken
    }

    /// Closes one bar of history as if its last tick had just come. False if it is not newer than the last.
    pub fn replay(&mut self, ticker: &[u8], fold: Fold, sink: &mut impl Sink) -> bool {
        let Some(id) = self.roster.know(ticker, self.limits.symbols, &mut self.rules) else {
            return false;
        };
        if fold.minute_us <= self.roster[id].history.newest_us() {
            return false;
        }
        if fold.minute_us >= self.newest_us {
            // The minute before is over for all, as live: what a thin symbol is measured against is still there then.
            self.sweep(fold.minute_us, sink);
        }
        self.seal(id, fold, false, sink);
        true
    }

    /// Reads what [`Aggregator::replay`] will read of these bars' symbols; see [`History::touch`].
    pub(crate) fn touch(&self, bars: &[(&[u8], Bar)]) {
        let touch = |(ticker, bar): &(&[u8], Bar)| {
            let id = self.roster.names().find(ticker);
            id.map_or(0, |id| self.roster[id].history.touch(bar.ts_us.saturating_add(MINUTE_US)))
        };
        // A symbol's next bar finds what the one before has read.
        let others = bars.chunk_by(|(one, _), (other, _)| one == other).filter_map(<[_]>::first);
        std::hint::black_box(others.map(touch).fold(0, std::ops::BitXor::bitxor));
    }

    /// Tells of a finished session of a symbol; see [`History::know`].
    pub fn know(&mut self, ticker: &[u8], day: Day) -> bool {
        let id = self.roster.know(ticker, self.limits.symbols, &mut self.rules);
        id.is_some_and(|id| self.roster[id].history.know(day))
    }

    /// See [`MinuteVolumes::since_us`].
    ///
    /// [`MinuteVolumes::since_us`]: crate::pattern::MinuteVolumes::since_us
    #[must_use]
    pub fn volumes_since_us(&self, ticker: &[u8]) -> Option<i64> {
        self.roster[self.roster.names().find(ticker)?].history.volumes()?.since_us()
    }

    /// See [`History::know_volume`].
    pub fn know_volume(&mut self, ticker: &[u8], open_us: i64, minute: i64, volume: i64, flags: u8) -> bool {
        let id = self.roster.names().find(ticker);
        id.is_some_and(|id| self.roster[id].history.know_volume(open_us, minute, volume, flags))
    }

    /// See [`History::recall`].
    pub fn recall(
        &mut self,
        ticker: &[u8],
        timeframe: Timeframe,
        start_us: i64,
        event: Option<(u16, Direction)>,
        evaluation: u32,
    ) -> bool {
        let Some(id) = self.roster.names().find(ticker) else {
            return false;
        };
        self.roster[id].history.recall_of(timeframe, start_us, event, evaluation, &self.rules)
    }

    /// The flags that the minutes of a bar's channel give it.
    #[must_use]
    pub fn flags(&self, fold: &Fold) -> u8 {
        self.channels.get(usize::from(fold.channel)).map_or(0, |channel| channel.flags(fold.minute_us))
    }

    /// Every open bar, by symbol.
    pub fn open_bars(&self) -> impl Iterator<Item = (SymbolId, &Fold)> + '_ {
        self.roster.open_bars()
    }

    /// Ends a call: ids of forgotten symbols may be given out again.
    pub fn end_call(&mut self) {
        self.roster.release();
    }

    /// The known symbols.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        self.roster.names()
    }

    /// The closed bars of a symbol.
    #[must_use]
    pub fn history(&self, id: SymbolId) -> &History {
        &self.roster[id].history
    }

    /// The channels, in settings order.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The same, to be changed.
    pub fn channels_mut(&mut self) -> &mut [Channel] {
        &mut self.channels
    }

    /// A replay begins, or goes on as nothing but a replay: see [`Settled`].
    pub fn settle(&mut self, settled: Settled) {
        self.settled = settled;
        self.known_up_to(i64::MIN);
    }

    /// From which minute on bars may still be revised, and made anew from their messages; and the number of the first
    /// message that went into one of those minutes or decided about it. `None` where there is none.
    pub fn revisable(&mut self, now_us: i64) -> (Option<i64>, Option<i64>) {
        let revise_us = self.rules.revise_us;
        let event_us = self.moving(now_us).filter_map(Channel::event_us).min();
        if let Some(event_us) = event_us {
            self.begun.pass(event_us, revise_us);
        }
        let minute_us = event_us.map(|event_us| (event_us - revise_us - MINUTE_US).max(self.begun.whole_us()));
        (minute_us, self.begun.first())
    }

    /// The end of the minute that every channel has come to, µs, but those that have been silent for long; `None` where none
    /// has said anything.
    #[must_use]
    pub fn reached_us(&self, now_us: i64) -> Option<i64> {
        let event_us = self.moving(now_us).filter_map(Channel::event_us).min()?;
        Some(event_us.div_euclid(MINUTE_US).saturating_add(1).saturating_mul(MINUTE_US))
    }

    /// The channels that have said something, but those that have been silent for long.
    pub(crate) fn moving(&self, now_us: i64) -> impl Iterator<Item = &Channel> {
        let idle_us = IDLE_REVISIONS * (self.rules.revise_us + MINUTE_US);
        self.channels.iter().filter(move |channel| channel.is_moving(idle_us, now_us))
    }

    /// What all histories share.
    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// What all histories share.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The benchmark's bars are about to change.
    pub(crate) fn clear_benchmark(&mut self, id: SymbolId) {
        if self.rules.benchmark.id() == Some(id) {
            self.rules.benchmarks().for_each(Benchmark::clear);
        }
    }

    /// The benchmark's bars have changed.
    pub(crate) fn note_benchmark(&mut self, id: SymbolId) {
        if self.rules.benchmark.id() == Some(id) {
            self.roster[id].history.note_returns(&mut self.rules);
        }
    }

    pub(crate) fn window_session(&self, id: SymbolId, minute_us: i64) -> Option<Session> {
        self.calendar.window_session(self.roster[id].simulated, minute_us)
    }

    /// At a regular session's open, forgets symbols not heard since the open before; whether that of the newest tick is one of
    /// them, of which is given when it was heard before, and the tick's minute.
    fn forget_idle(&mut self, event_us: i64, newest: (SymbolId, i64, i64)) -> bool {
        let Some(regular) = &self.calendar.regular else {
            return false;
        };
        let idle = self.roster.forget_idle(event_us, newest, regular, &mut self.rules);
        for &id in &idle {
            self.heard.forget(id);
        }
        idle.contains(&newest.0)
    }
}
