//! A closed bar that late ticks may still change.

use crate::bar::Fold;
use crate::found::Found;
use crate::rules::Rules;
use crate::window::WindowBar;

/// A closed bar that may still be revised.
#[derive(Debug)]
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
    /// The open of the session whose window it belongs to.
    pub(crate) session: Option<i64>,
    /// The patterns that hold on it.
    pub(crate) found: Found,
}

impl Sealed {
    /// Reads a word of each of its cache lines; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        let last = u64::from(self.evaluation) ^ self.session.map_or(0, |us| us as u64);
        self.fold.touch() ^ last ^ self.found.touch()
    }

    /// The bar as the window takes it; `None` if it belongs to no session of the window.
    pub(crate) fn window_bar(&self, rules: &Rules) -> Option<WindowBar> {
        self.session?;
        self.fold.bar(rules.price_scale).map(WindowBar::from)
    }
}
