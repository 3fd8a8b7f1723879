//! When longer bars are over that no minute ends: the feed's time has passed their bucket, for thin symbols and at the close.

use crate::aggregate::{Aggregator, IDLE_REVISIONS, Settled};
use crate::bar::Bar;
use crate::fate::Sink;
use crate::snapshot::is_near;
use crate::symbol::SymbolId;
use crate::time::MINUTE_US;
use crate::timeframe::Timeframe;

/// For a snapshot, µs each: where the minutes that longer bars are made of begin, where history ended, and where the newest
/// minute did.
pub(crate) type Known = [i64; 3];

/// Whether none of them is beyond what minutes can be.
pub(crate) fn is_sound(known: Known) -> bool {
    known.into_iter().all(|us| us == i64::MIN || is_near(us))
}

impl Aggregator {
    /// Closes the longer bars whose minutes are final in every channel. `O(1)` until one is over, then a look at each symbol.
    pub(crate) fn close_longer(&mut self, quiet_at: Option<i64>, now_us: i64, sink: &mut impl Sink) {
        let lateness_us = self.limits.lateness.a_us.max(self.limits.lateness.t_us);
        let idle_us = IDLE_REVISIONS * (self.rules.revise_us + MINUTE_US);
        let moving = self.channels.iter().filter(|channel| channel.moving_us(idle_us, now_us).is_some());
        let reached_us = moving.filter_map(|channel| channel.reached_us(quiet_at)).min();
        if let Some(final_us) = reached_us.map(|us| us.saturating_sub(lateness_us)) {
            self.sweep(final_us, sink);
        }
    }

    /// No minute comes any more: closes the longer bars that are over by the end of the newest, whoever traded in it.
    pub(crate) fn end_longer(&mut self, sink: &mut impl Sink) {
        self.sweep(self.newest_us, sink);
    }

    pub(crate) fn sweep(&mut self, end_us: i64, sink: &mut impl Sink) {
        if !self.roster.has_longer(end_us) {
            return;
        }
        let mut over = self.roster.take_longer(end_us);
        // First, so that the others' relative strength finds its bar.
        if let Some(at) = self.rules.benchmark.id().and_then(|benchmark| over.iter().position(|id| *id == benchmark)) {
            over.swap(0, at);
        }
        for id in over {
            self.end_longer_of(id, end_us, sink);
        }
    }

    fn end_longer_of(&mut self, id: SymbolId, end_us: i64, sink: &mut impl Sink) {
        self.clear_benchmark(id);
        self.roster[id].history.close_longer(end_us, &self.rules, &mut self.made);
        self.roster.note_longer(id);
        self.note_benchmark(id);
        sink.made(id, &mut self.made);
    }

    /// Minutes before this one are in longer bars that are fed whole.
    pub fn longer_from(&mut self, us: i64) {
        if let Some(longer) = &mut self.rules.longer {
            longer.from_us = us;
        }
    }

    /// Feeds a longer bar; see [`crate::engine::Engine::warm_longer`].
    pub fn warm_longer(&mut self, ticker: &[u8], timeframe: Timeframe, bar: &Bar) -> bool {
        let Some(id) = self.roster.know(ticker, self.limits.symbols, &mut self.rules) else {
            return false;
        };
        let Some(session) = self.window_session(id, bar.ts_us) else {
            return false;
        };
        let fed = self.roster[id].history.warm_longer(timeframe, bar, session, &self.rules);
        self.roster.note_longer(id);
        self.note_benchmark(id);
        fed
    }

    /// For a snapshot.
    pub(crate) fn known(&self) -> Known {
        let (from_us, known_us) =
            self.rules.longer.as_ref().map_or((i64::MIN, i64::MIN), |longer| (longer.from_us, longer.known_us));
        [from_us, known_us, self.newest_us]
    }

    /// Of a snapshot.
    pub(crate) fn set_known(&mut self, known: Known) {
        let [from_us, known_us, newest_us] = known;
        self.newest_us = newest_us;
        if let Some(longer) = &mut self.rules.longer {
            (longer.from_us, longer.known_us) = (from_us, known_us);
        }
    }

    /// Finds what others are measured against among symbols that were restored.
    pub(crate) fn find_benchmark(&mut self) {
        for benchmark in self.rules.benchmarks() {
            benchmark.find(|ticker| self.roster.names().find(ticker));
        }
        if let Some(id) = self.rules.benchmark.id() {
            self.note_benchmark(id);
        }
    }

    /// History goes on up to here: longer bars that were over by then are no news, unless a replay makes them anew.
    pub(crate) fn known_up_to(&mut self, end_us: i64) {
        let Settled { minute_us, .. } = self.settled;
        if let Some(longer) = &mut self.rules.longer {
            let anew_us = if self.settled == Settled::default() { i64::MAX } else { minute_us };
            longer.known_us = longer.known_us.max(end_us).min(anew_us);
        }
    }
}
