//! The patterns that are switched on, in the order in which they are asked.

use crate::candle::talib::{CANDLESTICKS, Candles, Candlestick};
use crate::pattern::Pattern;

/// Patterns, each with its place in [`crate::pattern::PATTERNS`].
pub type Detectors = Vec<(u16, &'static dyn Pattern)>;

/// The patterns that are on, those of TA-Lib apart: of these only the ones that hit are asked.
pub struct DetectorList {
    own: Detectors,
    /// TA-Lib's by column, and which columns are on.
    talib: Detectors,
    columns: u64,
}

impl DetectorList {
    /// These patterns, in their order.
    #[must_use]
    pub fn new(detectors: Detectors) -> Self {
        let (talib, own): (Detectors, Detectors) =
            detectors.into_iter().partition(|(_, pattern)| pattern.talib_name().is_some());
        let by_column = |function: &Candlestick| {
            talib.iter().find(|(_, pattern)| pattern.talib_name() == Some(function.name)).copied()
        };
        let known: Vec<_> = CANDLESTICKS.iter().map(by_column).collect();
        let columns = known.iter().rev().fold(0, |columns, on| columns << 1 | u64::from(on.is_some()));
        // What stands for a column that is off is never looked at.
        let any = talib.first().copied();
        Self { own, talib: known.into_iter().filter_map(|on| on.or(any)).collect(), columns }
    }

    /// Whether any of TA-Lib's is on.
    pub(crate) fn has_candles(&self) -> bool {
        self.columns != 0
    }

    /// Whether any that is on reads a study.
    pub(crate) fn has_study(&self) -> bool {
        self.own.iter().any(|(_, pattern)| pattern.needs_study())
    }

    /// Those that may hold on a bar of which TA-Lib's functions say this.
    pub(crate) fn on(&self, candles: Option<&Candles>) -> impl Iterator<Item = &(u16, &'static dyn Pattern)> {
        let hits = candles.map_or(0, Candles::columns) & self.columns;
        self.own.iter().chain(Bits(hits).filter_map(|column| self.talib.get(column)))
    }
}

/// The places of the bits that are set.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (place < 64).then_some(place)
    }
}

impl std::fmt::Debug for DetectorList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.own.iter().map(|(_, pattern)| pattern.id())).entry(&self.columns).finish()
    }
}
