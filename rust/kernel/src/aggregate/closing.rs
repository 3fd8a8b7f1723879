//! Bars that are final, and what their closing makes.

use super::{Aggregator, TOUCHED};
use crate::bar::{Fold, quality};
use crate::channel::Channel;
use crate::fate::Sink;
use crate::symbol::SymbolId;
use crate::tick::Kind;
use crate::time::MINUTE_US;

impl Aggregator {
    pub(super) fn close_final(&mut self, channel: u16, quiet_at: Option<i64>, sink: &mut impl Sink) {
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

    pub(super) fn close_minute(&mut self, channel: u16, minute_us: i64, symbols: &[SymbolId], sink: &mut impl Sink) {
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

    pub(super) fn close_bar(&mut self, id: SymbolId, channel: u16, minute_us: i64, sink: &mut impl Sink) {
        let mut open = self.roster[id].open.iter();
        let at = open.position(|fold| fold.minute_us == minute_us && fold.channel == channel);
        let Some(at) = at else { return };
        self.trim(id);
        let fold = self.roster[id].open.swap_remove(at);
        self.seal(id, fold, false, sink);
    }

    /// Lets go of the symbol's bars that can no longer be revised, each by the event time of its own channel.
    pub(super) fn trim(&mut self, id: SymbolId) {
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
    pub(super) fn seal(&mut self, id: SymbolId, mut fold: Fold, is_late: bool, sink: &mut impl Sink) {
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
}
