//! Follows events as the bars after them close: what each came to is said once, as soon as it is known.
//!
//! What an event comes to is a pure function of it and of the bars after it, in order of time ([`crate::outcome`]): bars are
//! kept as far back as one of them may still be revised under an event that is open, so that a late tick, or a bar that comes
//! by another way, is judged as if it had been in time. What was said of an event stays said.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::event::EventId;
use crate::outcome::{Bar, Event, Judged, Outcome, Terms, Waiting};
use crate::rules::MOST_REVISABLE;
use crate::time::DAY_US;

/// Bars of a symbol that are kept while events of before the start are still to come.
const KEPT_AT_START: usize = 512;

/// What a bar is beside those that are there.
enum Kept {
    Newest,
    Between,
    /// It, or one that can matter no more, was there.
    AsItWas,
}

/// What is looked at, bar by bar, of an event: the event itself has left the cache.
#[derive(Clone, Copy, Debug)]
struct Look {
    upper: f64,
    lower: f64,
    ts_us: i64,
    /// Which of the symbol's bars is the last that it can wait for, or an earlier one.
    due: u64,
}

/// One symbol: its newest bars, oldest first, and its events that are not through.
#[derive(Debug, Default)]
struct Track {
    symbol: Box<str>,
    bars: VecDeque<Bar>,
    /// Bars that were the newest when they came.
    seen: u64,
    looks: Vec<Look>,
    /// As many, in the same order.
    open: Vec<Waiting>,
    /// No event that is open ends earlier, µs.
    until_us: i64,
}

impl Track {
    /// Puts a bar in its place among the others.
    fn keep(&mut self, bar: Bar, most: usize) -> Kept {
        if self.bars.back().is_none_or(|newest| newest.ts_us < bar.ts_us) {
            self.bars.push_back(bar);
            self.seen += 1;
            while self.bars.len() > most {
                self.bars.pop_front();
            }
            return Kept::Newest;
        }
        let at = self.bars.partition_point(|kept| kept.ts_us < bar.ts_us);
        if self.bars[at].ts_us == bar.ts_us {
            let before = std::mem::replace(&mut self.bars[at], bar);
            return if before == bar { Kept::AsItWas } else { Kept::Between };
        }
        if self.bars.len() >= most {
            if at == 0 {
                return Kept::AsItWas; // too old for any event that is open
            }
            self.bars.pop_front();
            self.bars.insert(at - 1, bar);
        } else {
            self.bars.insert(at, bar);
        }
        Kept::Between
    }

    fn take(&mut self, bar: Bar, most: usize, terms: &Terms, told: &mut impl FnMut(Outcome)) {
        let kept = self.keep(bar, most);
        let ends = bar.ts_us.saturating_add(terms.interval_us) >= self.until_us;
        for at in (0..self.looks.len()).rev() {
            let look = self.looks[at];
            let is_due = match kept {
                Kept::AsItWas => return,
                Kept::Newest => bar.high >= look.upper || bar.low <= look.lower || self.seen >= look.due || ends,
                Kept::Between => look.ts_us < bar.ts_us,
            };
            if is_due {
                self.judge(at, terms, false, told);
            }
        }
    }

    /// Judges an event by the bars that are kept. `is_closed`: no more can come.
    fn judge(&mut self, at: usize, terms: &Terms, is_closed: bool, told: &mut impl FnMut(Outcome)) {
        let ts_us = self.looks[at].ts_us;
        let first = self.bars.partition_point(|bar| bar.ts_us <= ts_us);
        let judged = self.open[at].judged(self.bars.range(first..), terms, is_closed);
        self.settle(at, &judged, terms, told);
    }

    /// Says what is news of an event, and lets go of it if that was all.
    fn settle(&mut self, at: usize, judged: &Judged, terms: &Terms, told: &mut impl FnMut(Outcome)) {
        if let Some(news) = self.open[at].news(judged) {
            told(news);
        }
        if let Some(watch) = self.open[at].watch(judged, terms) {
            let look = &mut self.looks[at];
            (look.upper, look.lower) = (watch.upper, watch.lower);
            look.due = self.seen + u64::from(watch.left);
        } else {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        self.looks.swap_remove(at);
        self.open.swap_remove(at);
    }

    /// Adds an event; whether it was not there.
    fn add(&mut self, event: &Event, terms: &Terms) -> bool {
        let of_its_bar = self.looks.iter().enumerate().filter(|(_, look)| look.ts_us == event.ts_us);
        if of_its_bar.into_iter().any(|(at, _)| self.open[at].id == event.id) {
            return false;
        }
        let waiting = Waiting::new(event, terms);
        let until_us = if self.open.is_empty() { i64::MAX } else { self.until_us };
        self.until_us = until_us.min(waiting.until_us);
        // looked at by the first bar, which tells it what to look for
        let (upper, lower) = (f64::NEG_INFINITY, f64::INFINITY);
        self.looks.push(Look { upper, lower, ts_us: event.ts_us, due: 0 });
        self.open.push(waiting);
        true
    }
}

/// A symbol's place in a [`Follower`], until it has forgotten some.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

/// Follows the events of one timeframe, of all symbols. A batch is its events, then its bars, then [`Follower::end_batch`].
///
/// `O(open events of the symbol)` a bar: two comparisons each, until one of them has something to say.
#[derive(Debug)]
pub struct Follower {
    terms: Terms,
    places: HashMap<Box<str>, usize>,
    tracks: Vec<Track>,
    free: Vec<usize>,
    /// The bars before the start are known.
    is_loaded: bool,
    /// The END of the newest bar of any symbol, µs.
    reached_us: i64,
    /// Up to where every channel has come, µs.
    heard_us: i64,
    /// No event that is open ends earlier.
    next_end_us: i64,
    told: Vec<(Place, Outcome)>,
    forgotten: u64,
}

impl Follower {
    /// One that knows of no event. Events of before the start come by [`Follower::load`], until [`Follower::loaded`].
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            places: HashMap::new(),
            tracks: Vec::new(),
            free: Vec::new(),
            is_loaded: false,
            reached_us: i64::MIN,
            heard_us: i64::MAX,
            next_end_us: i64::MAX,
            told: Vec::new(),
            forgotten: 0,
        }
    }

    /// Where a symbol stands.
    pub fn place(&mut self, symbol: &str) -> Place {
        if let Some(&at) = self.places.get(symbol) {
            return Place(at);
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.tracks.push(Track::default());
            self.tracks.len() - 1
        });
        self.tracks[at].symbol = symbol.into();
        self.places.insert(symbol.into(), at);
        Place(at)
    }

    /// Reads what a batch of these symbols will read, and gives a value that must be kept alive: each would be a chain of
    /// misses of its own, and read in a row those of several overlap.
    #[must_use]
    pub fn touch(&self, places: &[Place]) -> u64 {
        let tracks = || places.iter().map(|place| &self.tracks[place.0]);
        let heads = tracks().fold(0, |all, track| all ^ track.seen ^ track.until_us as u64);
        tracks().fold(heads, |all, track| {
            let newest = track.bars.back().map_or(0, |bar| bar.ts_us as u64);
            // a line of the cache has two of them
            track.looks.iter().step_by(2).fold(all ^ newest, |all, look| all ^ look.due)
        })
    }

    /// How often symbols were forgotten: a place that was given before is then another symbol's, or nobody's.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many events are not through.
    #[must_use]
    pub fn open(&self) -> usize {
        self.tracks.iter().map(|track| track.open.len()).sum()
    }

    /// An event begins; one that is known is not begun again.
    pub fn begin(&mut self, place: Place, event: &Event) {
        let track = &mut self.tracks[place.0];
        if track.add(event, &self.terms) {
            self.next_end_us = self.next_end_us.min(track.until_us);
            // of a bar that was revised, there may be bars after it
            let at = track.open.len() - 1;
            track.judge(at, &self.terms, false, &mut |outcome| self.told.push((place, outcome)));
        }
    }

    /// A revision took an event away: nothing becomes of it.
    pub fn withdraw(&mut self, place: Place, id: EventId) {
        let track = &mut self.tracks[place.0];
        if let Some(at) = track.open.iter().position(|waiting| waiting.id == id) {
            track.remove(at);
        }
    }

    /// A bar has closed, or was revised.
    pub fn bar(&mut self, place: Place, bar: Bar) {
        self.reached_us = self.reached_us.max(bar.ts_us.saturating_add(self.terms.interval_us));
        let most = self.most();
        self.tracks[place.0].take(bar, most, &self.terms, &mut |outcome| self.told.push((place, outcome)));
    }

    /// Takes in events of a symbol from before the start, and the bars after the oldest of them, oldest first. Bars and
    /// events that have come since are known already, and count.
    pub fn load(&mut self, place: Place, events: &[Event], bars: &[Bar]) {
        let most = self.most();
        let track = &mut self.tracks[place.0];
        let mut all: Vec<Bar> = bars.iter().chain(&track.bars).copied().collect();
        // Stable: of two of one stamp the one that came by itself is last, and stays.
        all.sort_by_key(|bar| bar.ts_us);
        all.reverse();
        all.dedup_by_key(|bar| bar.ts_us);
        all.reverse();
        for event in events {
            track.add(event, &self.terms);
        }
        self.next_end_us = self.next_end_us.min(if track.open.is_empty() { i64::MAX } else { track.until_us });
        for at in (0..track.open.len()).rev() {
            let first = all.partition_point(|bar| bar.ts_us <= track.looks[at].ts_us);
            let judged = track.open[at].judged(all[first..].iter(), &self.terms, false);
            track.settle(at, &judged, &self.terms, &mut |outcome| self.told.push((place, outcome)));
        }
        track.bars = all[all.len().saturating_sub(most)..].to_vec().into();
    }

    /// No more events of before the start will come.
    pub fn loaded(&mut self) {
        self.is_loaded = true;
    }

    /// Every channel has come to here, µs: of a session that ends later, or so little earlier that its bars may be revised,
    /// one of them may still bring bars. Until it is said, the newest bar of any symbol tells.
    pub fn hear(&mut self, heard_us: i64) {
        self.heard_us = heard_us;
    }

    /// Ends the events whose session no bar can come of any more. Gives what `each` makes of all that was told since the
    /// last time, with its symbol.
    pub fn end_batch<T>(&mut self, mut each: impl FnMut(&str, &Outcome) -> T) -> Vec<T> {
        let ends = self.over_us() >= self.next_end_us;
        if ends {
            self.end_sessions();
        }
        let said = self.told.iter().map(|(place, outcome)| each(&self.tracks[place.0].symbol, outcome)).collect();
        self.told.clear();
        if ends {
            self.forget_idle();
        }
        said
    }

    /// Of a session that ends here or before no bar comes any more.
    fn over_us(&self) -> i64 {
        self.reached_us.min(self.heard_us).saturating_sub(self.terms.revise_us)
    }

    fn end_sessions(&mut self) {
        let over_us = self.over_us();
        self.next_end_us = i64::MAX;
        for (place, track) in self.tracks.iter_mut().enumerate() {
            for at in (0..track.open.len()).rev() {
                if track.open[at].until_us <= over_us {
                    track.judge(at, &self.terms, true, &mut |outcome| self.told.push((Place(place), outcome)));
                }
            }
            track.until_us = track.open.iter().map(|waiting| waiting.until_us).min().unwrap_or(i64::MAX);
            self.next_end_us = self.next_end_us.min(track.until_us);
        }
    }

    /// Forgets symbols without an open event that have had no bar for a day.
    fn forget_idle(&mut self) {
        self.forgotten += 1;
        let since_us = self.reached_us.saturating_sub(DAY_US);
        let (tracks, free) = (&mut self.tracks, &mut self.free);
        self.places.retain(|_, &mut at| {
            let track = &mut tracks[at];
            let is_idle = track.open.is_empty() && track.bars.back().is_none_or(|newest| newest.ts_us < since_us);
            if is_idle {
                *track = Track::default();
                free.push(at);
            }
            !is_idle
        });
    }

    /// Bars that are kept of a symbol.
    fn most(&self) -> usize {
        let needed = self.terms.horizon as usize + MOST_REVISABLE;
        if self.is_loaded { needed } else { needed.max(KEPT_AT_START) }
    }
}
