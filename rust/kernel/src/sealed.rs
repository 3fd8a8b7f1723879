//! A closed bar that late ticks may still change.

use serde::{Deserialize, Serialize};

use crate::bar::{Bar, Fold};
use crate::found::Found;
use crate::rules::Rules;
use crate::session::Session;
use crate::snapshot::is_near;
use crate::window::WindowBar;

/// Revisions of a restored bar: as many may still come.
const MOST_REVISIONS: u32 = u32::MAX / 2;

/// A closed bar that may still be revised.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Its ticks.
    pub(crate) fold: Fold,
    /// 0 when first written, + 1 for each late tick since.
    pub(crate) revision: u32,
    /// Whether a row was ever written: a minute without a price has none.
    pub(crate) written: bool,
    /// How often patterns were looked for on this bar after its minute was final: 0 for those of a bar that closed in time,
    /// 1 for the first ones of a bar that a late tick has made.
    pub(crate) evaluation: u32,
    /// The session whose window it belongs to; of a bar of a day and longer, the stretch of them that is carried on through.
    pub(crate) session: Option<Session>,
    /// The first instant after it, µs.
    pub(crate) end_us: i64,
    /// The patterns that hold on it.
    pub(crate) found: Found,
}

impl Sealed {
    /// Reads a word of each of its cache lines; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        let last = u64::from(self.evaluation) ^ self.open_us().map_or(0, |us| us as u64);
        self.fold.touch() ^ last ^ self.found.touch()
    }

    /// Whether it can be revised without an overflow; only what has a price is in a window.
    pub(crate) fn is_sound(&self, rules: &Rules) -> bool {
        let in_window = self.session.is_none() || self.fold.has_price();
        let few = self.revision.max(self.evaluation) <= MOST_REVISIONS;
        let times = is_near(self.end_us) && self.session.is_none_or(Session::is_sound);
        self.fold.is_sound() && self.found.is_sound(&rules.combined) && in_window && few && times
    }

    /// The open of its session, µs.
    pub(crate) fn open_us(&self) -> Option<i64> {
        self.session.map(|session| session.open_us)
    }

    /// The bar as longer ones are made of it, with its session; `None` if it belongs to none.
    pub(crate) fn rolled_from(&self, rules: &Rules) -> Option<(Bar, Session)> {
        self.fold.bar(rules.price_scale).zip(self.session)
    }

    /// The bar as the window takes it; `None` if it belongs to no session of the window.
    pub(crate) fn window_bar(&self, rules: &Rules) -> Option<WindowBar> {
        self.session?;
        self.fold.bar(rules.price_scale).map(WindowBar::from)
    }
}
