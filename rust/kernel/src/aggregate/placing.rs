//! A tick that counts, and the bar that it goes to.

use super::Aggregator;
use crate::bar::Fold;
use crate::fate::{Fate, Sink};
use crate::offset::Arrival;
use crate::symbol::SymbolId;
use crate::tick::{Kind, Tick};
use crate::time::{MINUTE_US, minute_of};

impl Aggregator {
    pub(super) fn accept(&mut self, channel: u16, tick: &Tick<'_>, raw: &[u8], arrival: Arrival, sink: &mut impl Sink) {
        let Some(id) = self.roster.know(tick.ticker, self.limits.symbols, &mut self.rules) else {
            return sink.fate(Fate::SymbolCap, channel, tick, raw);
        };
        let at = usize::from(channel);
        self.heard.note(id, channel, tick.kind, tick.ts_us);
        let state = &mut self.roster[id];
        state.simulated = tick.simulated;
        let before_us = state.heard_us;
        state.heard_us = before_us.max(tick.ts_us);
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
            if self.forget_idle(tick.ts_us, (id, before_us, minute_us)) {
                // With this tick it begins anew.
                self.heard.note(id, channel, tick.kind, tick.ts_us);
                self.account(id, channel, tick, minute_us);
            }
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
