//! Which message was the first of each minute: how far back a replay must begin.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::snapshot::is_near;
use crate::time::MINUTE_US;

/// Minutes beyond the revisable ones whose messages still count. A bar is held against the day's volume of the minute before
/// it. Whose volume counts there is decided by who was heard from the start of the minute before that one on; and a stamp at
/// that very start, the END of a window, is of one minute more.
const BEFORE_US: i64 = 3 * MINUTE_US;

/// The first message of each minute that can still be revised, or decides about one that can. `O(1)` a message in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Start of the minute and number of its first message, oldest first.
    minutes: VecDeque<(i64, i64)>,
    /// The first minute that can be made anew: neither its messages nor those that decide about it are forgotten.
    whole_us: i64,
}

impl Default for Begun {
    fn default() -> Self {
        Self { minutes: VecDeque::new(), whole_us: i64::MIN }
    }
}

impl Begun {
    /// Whether its times can be counted on from.
    pub(crate) fn is_sound(&self) -> bool {
        self.minutes.iter().all(|&(minute_us, _)| is_near(minute_us))
    }

    /// A tick of this minute stands in the message `src`; true if it is the minute's first, so that others may be past.
    pub(crate) fn note(&mut self, minute_us: i64, src: i64) -> bool {
        match self.minutes.iter().rposition(|&(known_us, _)| known_us <= minute_us) {
            Some(at) if self.minutes[at].0 == minute_us => false,
            at => {
                self.minutes.insert(at.map_or(0, |at| at + 1), (minute_us, src));
                true
            }
        }
    }

    /// Forgets the minutes that no tick can change when event time is `event_us`.
    pub(crate) fn pass(&mut self, event_us: i64, revise_us: i64) {
        let is_past = |minute_us: i64| minute_us.saturating_add(MINUTE_US + revise_us + BEFORE_US) < event_us;
        while let Some(&(minute_us, _)) = self.minutes.front().filter(|(minute_us, _)| is_past(*minute_us)) {
            self.whole_us = self.whole_us.max(minute_us + MINUTE_US + BEFORE_US);
            self.minutes.pop_front();
        }
    }

    /// Start of the first minute that can be made anew. Event time may fall behind it, when a channel is heard again that
    /// had gone silent.
    pub(crate) fn whole_us(&self) -> i64 {
        self.whole_us
    }

    /// The first message of all minutes that are left.
    pub(crate) fn first(&self) -> Option<i64> {
        self.minutes.iter().map(|&(_, src)| src).min()
    }
}
