//! The candlesticks of one symbol in the live engine, bar by bar, and what they say about the newest one.

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::{CANDLESTICKS, Hits, WARM};
use crate::trail::Carried;
use crate::window::{View, WindowBar};

/// The bars before a session that its candlesticks begin with: as many as the longest look-back needs.
const BEFORE: usize = WARM + 1;

/// TA-Lib's functions over the bars of one symbol.
///
/// At a session's open they begin anew with the last 15 bars before it: running totals remember how they were rounded, and
/// so a service that has run for a week and one that has just started agree to the last bit.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Candles {
    block: Block<1>,
    hits: Hits,
}

impl Candles {
    /// A window must hold so many bars beyond those that can be revised.
    pub(crate) const WINDOW_BARS: usize = BEFORE + 1;

    /// Takes in the next bar. O(1).
    pub fn push(&mut self, bar: &WindowBar) {
        self.hits = self.block.update(bar.open, bar.high, bar.low, bar.close);
    }

    /// A bit for each function that answers something else than 0.
    pub(crate) fn columns(&self) -> u64 {
        self.hits.hit
    }

    /// What the function of `column` answers for the newest bar; `None` for 0.
    pub(crate) fn value(&self, column: usize) -> Option<i32> {
        let bit = 1 << column;
        let size = if self.hits.other & bit == 0 { 100 } else { CANDLESTICKS[column].other };
        (self.hits.hit & bit != 0).then_some(if self.hits.bearish & bit == 0 { size } else { -size })
    }

    /// How clearly it does so, 0 to 1.
    pub(crate) fn quality(&self, column: usize) -> f64 {
        self.block.quality(column)
    }
}

impl Carried for Candles {
    type Shared = ();
    const BEFORE: usize = BEFORE;

    #[inline]
    fn touch(&self) -> u64 {
        self.block.touch() ^ self.hits.hit
    }

    #[inline]
    fn push(&mut self, bar: &WindowBar, _: View<'_>, (): &()) {
        self.push(bar);
    }

    #[inline]
    fn pass(&mut self, bar: &WindowBar, _: View<'_>, (): &()) {
        self.block.pass(bar.open, bar.high, bar.low, bar.close);
    }
}
