//! Which message was the first of each minute: how far back a replay must begin.

use std::collections::VecDeque;

use crate::time::MINUTE_US;

/// Minutes beyond the revisable ones whose messages still count: who owns a bar is decided by who was heard in the minute
/// before it, by stamps that are the END of a window for one kind and the moment for the other.
const BEFORE_US: i64 = 2 * MINUTE_US;

/// The first message of each minute that can still be revised, or decides about one that can. `O(1)` a message in order.
#[derive(Debug, Default)]
pub(crate) struct Begun(VecDeque<(i64, i64)>);

impl Begun {
    /// A tick of this minute stands in the message `src`; true if it is the minute's first, so that others may be past.
    pub(crate) fn note(&mut self, minute_us: i64, src: i64) -> bool {
        match self.0.iter().rposition(|&(known_us, _)| known_us <= minute_us) {
            Some(at) if self.0[at].0 == minute_us => false,
            at => {
                self.0.insert(at.map_or(0, |at| at + 1), (minute_us, src));
                true
            }
        }
    }

    /// Forgets the minutes that no tick can change when event time is `event_us`.
    pub(crate) fn pass(&mut self, event_us: i64, revise_us: i64) {
        let is_past = |minute_us: i64| minute_us.saturating_add(MINUTE_US + revise_us + BEFORE_US) < event_us;
        while self.0.front().is_some_and(|&(minute_us, _)| is_past(minute_us)) {
            self.0.pop_front();
        }
    }

    /// The first message of all minutes that are left.
    pub(crate) fn first(&self) -> Option<i64> {
        self.0.iter().map(|&(_, src)| src).min()
    }
}
