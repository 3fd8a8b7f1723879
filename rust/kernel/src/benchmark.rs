//! The symbol that others are measured against.

use crate::symbol::SymbolId;
use crate::window::Window;

/// Bars that a return goes back.
pub const RETURN_BARS: usize = 20;

/// Minutes whose returns are remembered: those of bars that may be revised, and of the bars being closed.
const KEPT: usize = 20;

/// The returns of one symbol over its last minutes, for relative strength.
#[derive(Clone, Debug, Default)]
pub struct Benchmark {
    ticker: Box<[u8]>,
    id: Option<SymbolId>,
    /// (start of the bar in µs, its return over 20 bars in percent).
    returns: Vec<(i64, f64)>,
}

impl Benchmark {
    /// That of a ticker; without one nothing has a relative strength.
    #[must_use]
    pub fn new(ticker: &[u8]) -> Self {
        Self { ticker: ticker.into(), ..Self::default() }
    }

    /// Its id, while it is known.
    #[must_use]
    pub fn id(&self) -> Option<SymbolId> {
        self.id
    }

    /// Finds its id among other symbols, and forgets its returns.
    pub(crate) fn find(&mut self, find: impl FnOnce(&[u8]) -> Option<SymbolId>) {
        self.id = find(&self.ticker);
        self.returns.clear();
    }

    /// A ticker has got an id.
    pub fn named(&mut self, ticker: &[u8], id: SymbolId) {
        if *self.ticker == *ticker {
            self.id = Some(id);
        }
    }

    /// An id has lost its ticker.
    pub fn forgotten(&mut self, id: SymbolId) {
        if self.id == Some(id) {
            self.id = None;
            self.returns.clear();
        }
    }

    /// Forgets its returns: they are about to change, and it is not measured against itself.
    pub fn clear(&mut self) {
        self.returns.clear();
    }

    /// Remembers the returns of its newest bars.
    pub fn note(&mut self, window: &Window) {
        self.returns.clear();
        let of = |back: usize| Some((window.bar(back)?.ts_us, return_of(window, back)?));
        self.returns.extend((0..KEPT).map_while(of));
    }

    /// A window's return less that of the benchmark over the bars up to the same minute, in percentage points.
    #[must_use]
    pub fn strength(&self, window: &Window) -> Option<f64> {
        let minute_us = window.bar(0)?.ts_us;
        let (_, its) = self.returns.iter().find(|(ts_us, _)| *ts_us == minute_us)?;
        Some(return_of(window, 0)? - its)
    }
}

/// The return of the bar `back` before the newest against the close 20 bars before it, in percent.
fn return_of(window: &Window, back: usize) -> Option<f64> {
    Some((window.bar(back)?.close / window.bar(back + RETURN_BARS)?.close - 1.0) * 100.0)
}
