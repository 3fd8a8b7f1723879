//! Where a window stands: which session, and what it has seen.

use serde::{Deserialize, Serialize};

use crate::found::Found;
use crate::pattern::{Rests, SessionRange};
use crate::recent::Recent;
use crate::rule::Ruleset;
use crate::rule::memory::Memory;
use crate::session::Session;
use crate::window::WindowBar;

/// Where a window stands. Bars of a day and longer stand in no session: it goes on from the first one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Footing {
    /// The open of the session, µs.
    pub(crate) session: Option<i64>,
    /// Its bars so far, and the sessions before it.
    pub(crate) range: SessionRange,
    /// The patterns that are not looked for yet again.
    pub(crate) rests: Rests,
    /// What rules look back on.
    pub(crate) memory: Memory,
    /// What shorter timeframes look back on.
    pub(crate) recent: Recent,
    /// The first instant after its newest bar, µs.
    pub(crate) end_us: i64,
}

impl Footing {
    /// Starts the session's values anew at a session's open; whether it is one. `bar_us`: how long bars are.
    pub(crate) fn enter(&mut self, (session, bar_us): (Option<Session>, i64)) -> bool {
        let open_us = session.map(|session| session.open_us);
        let opens = self.session != open_us;
        if opens {
            *self = Self { session: open_us, range: self.range.followed_by(session, bar_us), ..Self::default() };
        }
        opens
    }

    /// Reads a word of each line that taking in a bar will ask for; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        self.range.touch() ^ self.rests.touch() ^ self.end_us as u64 ^ self.session.map_or(0, |us| us as u64)
    }

    /// Takes in a bar that ends at `end_us`, and on which these patterns hold.
    pub(crate) fn push(&mut self, bar: &WindowBar, end_us: i64, found: &Found, rules: &Ruleset) {
        self.range.push(bar);
        self.rests.push(found.patterns());
        self.memory.push(bar, end_us, found.held(), rules);
        self.end_us = end_us;
        if rules.keeps_charts() {
            self.recent.push(bar.ts_us, end_us, found);
        }
    }
}
