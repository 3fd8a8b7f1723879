//! What a pattern says on the last of some rows, and claims about it.

use crate::rows::{Row, Scene};
use tickstockpl_kernel::pattern::{Direction, Match, PATTERNS};

/// What the pattern says on the last row.
pub(crate) fn detect(id: &str, rows: &[Row]) -> Option<Match> {
    let pattern = PATTERNS.iter().find(|pattern| pattern.id() == id).expect("a known id");
    pattern.detect(&Scene::of(rows).closing())
}

#[track_caller]
pub(crate) fn assert_match(id: &str, rows: &[Row], direction: Direction, confidence: f64) {
    let found = detect(id, rows).expect("a match");
    assert_eq!((found.direction, found.confidence), (direction, confidence), "{id}");
}

#[track_caller]
pub(crate) fn assert_none(id: &str, rows: &[Row]) {
    assert_eq!(detect(id, rows), None, "{id}");
}
