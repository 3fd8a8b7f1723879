//! Figures that are confirmed as they form.

use super::{Confirmed, Drawing, Kind, MOST_MARGINS};
use crate::pattern::Direction;
use crate::study::Zigzag;
use crate::window::WindowBar;

/// A figure that is confirmed by the bar that confirms its newest pivot.
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) direction: Direction,
    pub(super) stop: f64,
    pub(super) target: f64,
    /// How many of the newest pivots draw it.
    pub(super) pivots: u32,
    pub(super) margins: [f64; MOST_MARGINS],
}

/// A kind of figure that has nothing to wait for.
///
/// Nothing is kept of it: whoever asks what the newest bar has confirmed looks at the same pivots again.
pub(super) trait Sight: Sync {
    /// The figure that the newest pivots make, if they make one; `atr` is that of the bar that confirms the newest.
    fn look(&self, zigzag: &Zigzag, atr: f64) -> Option<Seen>;
}

impl Seen {
    /// What it is, with the bar that confirms it.
    pub(super) fn confirmed(self, bar: &WindowBar, zigzag: &Zigzag) -> Option<Confirmed> {
        let Self { direction, stop, target, pivots, margins, .. } = self;
        let mut drawing = Drawing::default();
        for back in (0..pivots).rev() {
            drawing.push(&zigzag.pivot(back)?.at);
        }
        let first = drawing.first;
        let (points, count) = drawing.ended(bar);
        Some(Confirmed { direction, stop, target, invalidation: stop, points, count, first, margins })
    }
}
