//! Live ticks to bars: whose tick counts, which bar it belongs to, and when that bar is final.
//!
//! `O(1)` a tick; a gap of a year is one step, because minutes are computed and never walked.

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
use crate::time::{MINUTE_US, minute_of};
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

    fn accept(&mut self, channel: u16, tick: &Tick<'_>, raw: &[u8], arrival: Arrival, sink: &mut impl Sink) {
        let Some(id) = self.roster.know(tick.ticker, self.limits.symbols, &mut self.rules) else {
            return sink.fate(Fate::SymbolCap, channel, tick, raw);
        };
        let at = usize::from(channel);
        self.heard.note(id, channel, tick.kind, tick.ts_us);
        let state = &mut self.roster[id];
        state.simulated = tick.simulated;
        state.heard_us = state.heard_us.max(tick.ts_us);
        let moved = self.channels[at].hear(tick, arrival.now_us, self.limits.lateness.of(tick.kind));
        if moved && self.channels[at].deaf {
            // One that speaks for the first time hours later ends no outage: what it missed is known from its last tick on.
            self.channels.iter_mut().for_each(|channel| channel.deaf = false);
            self.note_missed(at);
        }
        let minute_us = minute_of(tick.kind, tick.ts_us, tick.start_us.unwrap_or(-1));
        if self.begun.note(minute_us, arrival.src) {
            self.revisable(arrival.now_us);
        }
        self.account(id, channel, tick, minute_us);
        let fate = self.place(id, channel, tick, minute_us, arrival.src, sink);
        sink.fate(fate, channel, tick, raw);
        if moved {
            self.close_final(channel, None, sink);
            self.close_longer(None, arrival.now_us, sink);
            self.forget_idle(tick.ts_us);
        }
    }

    /// Notes what an aggregate of the symbol's owner says of the day's volume, whether it is folded or was before. That one
    /// says nothing counts even before the first that says it: a replay begins anywhere, and must know what a run knew.
    fn account(&mut self, id: SymbolId, channel: u16, tick: &Tick<'_>, minute_us: i64) {
        if !self.limits.volume_checked || tick.kind != Kind::A {
            return;
        }
        // Of a minute that stands not even beside one made anew, a replay may have no more than this late tick.
        let is_known = minute_us >= self.settled.minute_us.saturating_sub(MINUTE_US);
        let is_hidden = self.roster[id].accumulated.as_ref().is_some_and(|known| known.is_hidden(minute_us));
        if is_known && !is_hidden && self.heard.owner(id, minute_us) == (channel, Kind::A) {
            let accumulated = tick.accumulated_volume.filter(|_| tick.rights.volume);
            self.roster[id].accumulated.get_or_insert_default().note(minute_us, channel, tick.volume, accumulated);
        }
    }

    /// Finds the bar of an accepted tick and folds it.
    fn place(
        &mut self,
        id: SymbolId,
        channel: u16,
        tick: &Tick<'_>,
        minute_us: i64,
        src: i64,
        sink: &mut impl Sink,
    ) -> Fate {
        if src < self.settled.src && minute_us < self.settled.minute_us {
            return Fate::Replayed;
        }
        let regular = tick.rights.form_t && self.calendar.is_regular(tick.ts_us);
        let rights = tick.rights.in_session(regular);
        let open = self.roster[id].open.iter().position(|fold| fold.minute_us == minute_us);
        if let Some(open) = open {
            if self.roster[id].open[open].is_replayed(src) {
                return Fate::Replayed;
            }
            if self.roster[id].open[open].channel == Fold::NO_CHANNEL {
                self.adopt(id, open, src);
            }
            let fold = &mut self.roster[id].open[open];
            if let Some(fate) = refusal(fold.channel, fold.kind, Some(fold), channel, tick) {
                return fate;
            }
            if !(rights.volume || rights.high_low || rights.open_close) {
                return Fate::Excluded;
            }
            fold.add(tick, rights, src);
            return Fate::Folded;
        }
        let event_us = self.channels[usize::from(channel)].event_us().unwrap_or(tick.ts_us);
        let end_us = minute_us + MINUTE_US;
        self.trim(id);
        let history = &self.roster[id].history;
        // First of all: what is behind the window is forgotten, its owner and its seconds too.
        if event_us > end_us + self.rules.revise_us || history.is_behind(minute_us) {
            return Fate::TooLate;
        }
        let sealed = history.sealed(minute_us);
        if sealed.is_some_and(|fold| fold.is_replayed(src)) {
            return Fate::Replayed;
        }
        let (owner, kind) = match sealed {
            Some(fold) if fold.channel != Fold::NO_CHANNEL => (fold.channel, fold.kind),
            _ => self.heard.owner(id, minute_us),
        };
        if let Some(fate) = refusal(owner, kind, sealed, channel, tick) {
            return fate;
        }
        if !(rights.volume || rights.high_low || rights.open_close) {
            return Fate::Excluded;
        }
        if sealed.is_some() {
            let session = self.window_session(id, minute_us);
            let flags = self.channels[usize::from(channel)].flags(minute_us);
            self.clear_benchmark(id);
            let history = &mut self.roster[id].history;
            let add = |fold: &mut Fold| {
                (fold.channel, fold.kind) = (channel, tick.kind);
                fold.quality |= flags;
                fold.add(tick, rights, src);
            };
            history.revise(minute_us, session, &self.rules, add, &mut self.made);
            self.roster.note_longer(id);
            self.note_benchmark(id);
            if self.made.row.is_none() && rights.volume {
                sink.without_price(tick.volume);
            }
            sink.made(id, &mut self.made);
            return Fate::Revised;
        }
        let mut fold = Fold::new(minute_us, channel, tick.kind, 0);
        fold.add(tick, rights, src);
        if event_us >= end_us + self.limits.lateness.of(tick.kind) {
            self.seal(id, fold, true, sink);
        } else {
            let session = self.window_session(id, minute_us);
            let state = &mut self.roster[id];
            state.history.foresee(minute_us, session, &self.rules);
            state.open.push(fold);
            self.channels[usize::from(channel)].opened(id, minute_us, tick.kind, self.limits.lateness, src);
        }
        Fate::Folded
    }

    /// Gives a bar from the database to the channel and kind that own its symbol now.
    fn adopt(&mut self, id: SymbolId, open: usize, src: i64) {
        let minute_us = self.roster[id].open[open].minute_us;
        let (channel, kind) = self.heard.owner(id, minute_us);
        let fold = &mut self.roster[id].open[open];
        (fold.channel, fold.kind) = (channel, kind);
        self.orphans.remove(id, minute_us);
        self.channels[usize::from(channel)].opened(id, minute_us, kind, self.limits.lateness, src);
    }

    fn close_final(&mut self, channel: u16, quiet_at: Option<i64>, sink: &mut impl Sink) {
        let at = usize::from(channel);
        while let Some((minute_us, _, symbols)) = self.channels[at].take_final(quiet_at, self.limits.lateness) {
            self.close_minute(channel, minute_us, &symbols, sink);
            self.channels[at].recycle(symbols);
        }
        let (heard, limits) = (&self.channels[at], self.limits.lateness);
        let after_us = MINUTE_US + limits.a_us.max(limits.t_us);
        let is_final = |minute_us: i64| heard.reached_us(quiet_at).is_some_and(|us| us >= minute_us + after_us);
        for (symbol, minute_us) in self.orphans.take(is_final) {
            self.close_bar(symbol, Fold::NO_CHANNEL, minute_us, sink);
        }
    }

    fn close_minute(&mut self, channel: u16, minute_us: i64, symbols: &[SymbolId], sink: &mut impl Sink) {
        sink.expect(symbols.len());
        // First, so that the others' relative strength finds its bar of the same minute.
        if let Some(benchmark) = self.rules.benchmark.id().filter(|id| symbols.contains(id)) {
            self.close_bar(benchmark, channel, minute_us, sink);
        }
        let end_us = minute_us + MINUTE_US;
        // With longer bars that close too, so many would not stay in the cache until they are asked for.
        let touched = if self.roster.has_longer(end_us) { TOUCHED / 4 } else { TOUCHED };
        for some in symbols.chunks(touched) {
            let touch = |id: &SymbolId| {
                let state = &self.roster[*id];
                state.history.touch(end_us) ^ state.open.first().map_or(0, Fold::touch)
            };
            std::hint::black_box(some.iter().map(touch).fold(0, std::ops::BitXor::bitxor));
            for &symbol in some {
                self.close_bar(symbol, channel, minute_us, sink);
            }
        }
    }

    fn close_bar(&mut self, id: SymbolId, channel: u16, minute_us: i64, sink: &mut impl Sink) {
        let mut open = self.roster[id].open.iter();
        let at = open.position(|fold| fold.minute_us == minute_us && fold.channel == channel);
        let Some(at) = at else { return };
        self.trim(id);
        let fold = self.roster[id].open.swap_remove(at);
        self.seal(id, fold, false, sink);
    }

    /// Lets go of the symbol's bars that can no longer be revised, each by the event time of its own channel.
    fn trim(&mut self, id: SymbolId) {
        let newest_us = self.channels.iter().filter_map(Channel::event_us).max().unwrap_or(i64::MIN);
        let channels = &self.channels;
        let event_us = |fold: &Fold| match channels.get(usize::from(fold.channel)) {
            Some(channel) => channel.event_us().unwrap_or(i64::MIN),
            None => newest_us,
        };
        let state = &mut self.roster[id];
        let open_us = state.open.iter().map(|fold| fold.minute_us).min().unwrap_or(i64::MAX);
        state.history.trim(newest_us, event_us, open_us, &self.rules);
    }

    /// Closes a bar, `is_late` if its first tick came after its minute was final.
    fn seal(&mut self, id: SymbolId, mut fold: Fold, is_late: bool, sink: &mut impl Sink) {
        self.newest_us = self.newest_us.max(fold.end_us());
        fold.quality |= self.flags(&fold);
        if let Some(accumulated) = self.roster[id].accumulated.as_ref().filter(|_| fold.kind == Kind::A) {
            let day = |us: i64| self.calendar.simulated.open_at(us);
            let same_day = |one, other| day(one) == day(other);
            let (shorts, lacks) = accumulated.judge(fold.minute_us, fold.channel, fold.volume(), same_day);
            shorts.for_each(|short| sink.short(id, short));
            fold.quality |= if lacks { quality::GAP } else { 0 };
        }
        if !fold.has_price() {
            sink.without_price(fold.volume());
        }
        let session = self.window_session(id, fold.minute_us);
        self.clear_benchmark(id);
        self.roster[id].history.close(fold, session, is_late, &self.rules, &mut self.made);
        self.roster.note_longer(id);
        self.note_benchmark(id);
        sink.made(id, &mut self.made);
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

    /// At a regular session's open, forgets symbols not heard since the open before.
    fn forget_idle(&mut self, event_us: i64) {
        let Some(regular) = &self.calendar.regular else {
            return;
        };
        for id in self.roster.forget_idle(event_us, regular, &mut self.rules) {
            self.heard.forget(id);
        }
    }
}

fn refusal(owner: u16, kind: Kind, fold: Option<&Fold>, channel: u16, tick: &Tick<'_>) -> Option<Fate> {
    if owner != channel {
        Some(Fate::NotOwner)
    } else if kind != tick.kind {
        Some(Fate::OtherKind)
    } else if fold.is_some_and(|fold| fold.is_repeat(tick)) {
        Some(Fate::Repeat)
    } else {
        None
    }
}
