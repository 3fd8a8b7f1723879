//! What a change of a symbol's closed bars made.

use crate::bar::Bar;
use crate::detection::Detection;
use crate::indicator::gauges::Reading;
use crate::offset::Span;
use crate::rollup::Rolled;

/// A row to write: a closed or revised bar.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The bar, rounded.
    pub bar: Bar,
    /// Its revision.
    pub revision: u32,
    /// The messages it is made of.
    pub span: Span,
}

/// A closed or revised bar of a longer timeframe.
#[derive(Clone, Copy, Debug)]
pub struct Longer {
    /// The bar.
    pub rolled: Rolled,
    /// Its revision.
    pub revision: u32,
}

/// What a change of a symbol's history made. Thousands of symbols change in a row, and each fills it anew.
#[derive(Debug, Default)]
pub struct Made {
    /// Rows to write.
    pub row: Option<Row>,
    /// Bars of longer timeframes, the shortest first.
    pub longer: Vec<Longer>,
    /// Patterns that came and went.
    pub detections: Vec<Detection>,
    /// The indicators of each bar that was looked at, if the symbol is watched.
    pub readings: Vec<Reading>,
    /// Patterns that are switched off from now on, since looking for them here ended in a panic.
    pub broken: Vec<u16>,
}

impl Made {
    /// Brings it into the order of timeframes, the shortest first; of each it stays as it is.
    pub(crate) fn order(&mut self) {
        if !self.longer.is_empty() {
            self.longer.sort_by_key(|longer| longer.rolled.timeframe);
            self.detections.sort_by_key(|detection| detection.on.timeframe);
        }
    }

    /// Empties it, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.row = None;
        self.longer.clear();
        self.detections.clear();
        self.readings.clear();
        self.broken.clear();
    }
}
