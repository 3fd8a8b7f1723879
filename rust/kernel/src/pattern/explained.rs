//! What made a match: the points that draw it, and how clearly each condition holds.

use arrayvec::ArrayVec;

use super::{Closing, Match};
use crate::rule::MadeOf;

/// The most points of a pattern.
pub const MOST_POINTS: usize = crate::figure::MOST_POINTS;

/// The most conditions of a pattern.
pub const MOST_CONDITIONS: usize = crate::figure::MOST_MARGINS;

/// What made a match; the names are [`super::Pattern::points`] and [`super::Pattern::conditions`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// START of a bar (µs) and a price at it, oldest first. There may be fewer than names.
    pub points: ArrayVec<(i64, f64), MOST_POINTS>,
    /// How far inside of its threshold each condition is: 0 at it, 1 for a textbook figure.
    pub margins: ArrayVec<f64, MOST_CONDITIONS>,
    /// Of a rule the patterns that it was made of, in the order in which it names them.
    pub made_of: Vec<MadeOf>,
}

impl Explained {
    /// Of a match whose one condition is its confidence.
    pub(super) fn graded(found: &Match) -> Self {
        let mut said = Self::default();
        said.margins(&[2.0 * found.confidence - 1.0]);
        said
    }

    /// Adds a point; past [`MOST_POINTS`] nothing.
    pub(super) fn point(&mut self, ts_us: i64, price: f64) {
        // An error is the point that has no room.
        self.points.try_push((ts_us, price)).unwrap_or_default();
    }

    /// Adds the newest bar at its close.
    pub(super) fn break_at(&mut self, at: &Closing<'_>) {
        if let Some(bar) = at.window.bar(0) {
            self.point(bar.ts_us, bar.close);
        }
    }

    /// Adds margins; past [`MOST_CONDITIONS`] nothing.
    pub(crate) fn margins(&mut self, margins: &[f64]) {
        let room = self.margins.remaining_capacity();
        self.margins.extend(margins.iter().copied().take(room));
    }
}
