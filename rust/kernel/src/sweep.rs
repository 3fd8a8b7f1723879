//! When longer bars are over that no minute ends: the feed's time has passed their bucket, for thin symbols and at the close.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregator, Settled};
use crate::bar::{Bar, quality};
use crate::channel::{Channel, Flagged, Lateness};
use crate::fate::Sink;
use crate::missed::Missed;
use crate::rules::LongerRules;
use crate::snapshot::is_near;
use crate::standing::Passed;
use crate::symbol::SymbolId;
use crate::time::MINUTE_US;
use crate::timeframe::Timeframe;

/// For a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    /// µs each: where the minutes that longer bars are made of begin, where history ended, where the newest minute did, and what
    /// may have closed of them.
    stamps: [i64; 4],
    missed: Missed,
}

impl Known {
    /// Whether nothing is beyond what minutes can be.
    pub(crate) fn is_sound(&self) -> bool {
        self.stamps.into_iter().all(|us| us == i64::MIN || is_near(us)) && self.missed.is_sound()
    }
}

impl Aggregator {
    /// Closes the longer bars whose minutes are final in every channel. `O(1)` until one is over, then a look at each symbol.
    pub(crate) fn close_longer(&mut self, quiet_at: Option<i64>, now_us: i64, sink: &mut impl Sink) {
        let Lateness { a_us, t_us } = self.limits.lateness;
        let (soonest_us, lateness_us) = (a_us.min(t_us), a_us.max(t_us));
        let reached_us = self.moving(now_us).filter_map(|channel| channel.reached_us(quiet_at)).min();
        if let Some(longer) = &mut self.rules.longer {
            let farthest_us = self.channels.iter().filter_map(|channel| channel.reached_us(quiet_at)).max();
            let over_us = farthest_us.map_or(i64::MIN, |us| us.saturating_sub(soonest_us));
            longer.passed_us = longer.passed_us.max(over_us);
        }
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

    /// Ticks may have been missed from `from_us` to `to_us`; see [`crate::engine::Engine::missed`].
    pub fn missed(&mut self, from_us: i64, to_us: i64) {
        if let Some(longer) = &mut self.rules.longer {
            let minute_us = |us: i64| us.div_euclid(MINUTE_US) * MINUTE_US;
            let (from_us, to_us) = (minute_us(from_us), minute_us(to_us - 1));
            longer.missed.note(Flagged { from_us, to_us, flag: quality::GAP });
        }
    }

    /// Has the longer bars know what a channel may have missed, before any of them closes. Before the first tick of all that is
    /// what came after history: by the feed's time, since the clock may be far ahead of it.
    pub(crate) fn note_missed(&mut self, channel: usize) {
        let newest = self.channels.get(channel).and_then(Channel::newest_missed);
        if let (Some(longer), Some(mut stretch)) = (&mut self.rules.longer, newest) {
            let LongerRules { known_us, passed_us, .. } = **longer;
            if passed_us == i64::MIN && known_us > i64::MIN {
                stretch.from_us = stretch.from_us.min(known_us.div_euclid(MINUTE_US) * MINUTE_US);
            }
            longer.missed.learn(stretch, passed_us);
        }
    }

    /// For a snapshot.
    pub(crate) fn known(&self) -> Known {
        let longer = self.rules.longer.as_deref();
        let of = |longer: &LongerRules| [longer.from_us, longer.known_us, longer.passed_us];
        let [from_us, known_us, passed_us] = longer.map_or([i64::MIN; 3], of);
        let missed = longer.map(|longer| longer.missed.clone()).unwrap_or_default();
        Known { stamps: [from_us, known_us, self.newest_us, passed_us], missed }
    }

    /// Of a snapshot.
    pub(crate) fn set_known(&mut self, known: Known) {
        let [from_us, known_us, newest_us, passed_us] = known.stamps;
        self.newest_us = newest_us;
        if let Some(longer) = &mut self.rules.longer {
            (longer.from_us, longer.known_us, longer.passed_us) = (from_us, known_us, passed_us);
            longer.missed = known.missed;
        }
    }

    /// When ticks may have been missed, and up to where longer bars that are over may have closed: for a channel's standing.
    pub(crate) fn passed(&self) -> Passed<'_> {
        let longer = self.rules.longer.as_ref();
        let stretches = longer.map_or(&[][..], |longer| longer.missed.stretches());
        let us = longer.map_or(i64::MIN, |longer| longer.passed_us);
        Passed { us: (us > i64::MIN).then_some(us), stretches: stretches.into() }
    }

    /// Of a channel's standing.
    pub(crate) fn pass(&mut self, passed: &Passed<'_>) {
        if let Some(longer) = &mut self.rules.longer {
            longer.passed_us = longer.passed_us.max(passed.us.unwrap_or(i64::MIN));
            passed.stretches.iter().for_each(|stretch| longer.missed.note(*stretch));
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
