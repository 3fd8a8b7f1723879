//! The patterns that are switched on, in the order in which they are asked.

use crate::candle::talib::{CANDLESTICKS, Candles, Candlestick};
use crate::figure::Kind;
use crate::pattern::Pattern;
use crate::study::Study;

/// Patterns, each with its place in [`crate::pattern::PATTERNS`].
pub type Detectors = Vec<(u16, &'static dyn Pattern)>;

/// The patterns that are on, TA-Lib's and chart patterns apart: of these only the ones that hit are asked.
pub struct DetectorList {
    own: Detectors,
    /// Chart patterns by kind, and which kinds are on.
    charts: Detectors,
    kinds: u64,
    /// TA-Lib's by column, and which columns are on.
    talib: Detectors,
    columns: u64,
    /// Those that are made of others.
    last: Detectors,
}

impl DetectorList {
    /// These patterns, in their order.
    #[must_use]
    pub fn new(detectors: Detectors) -> Self {
        let (last, detectors): (Detectors, Detectors) =
            detectors.into_iter().partition(|(_, pattern)| pattern.is_of_others());
        let (talib, rest): (Detectors, Detectors) =
            detectors.into_iter().partition(|(_, pattern)| pattern.talib_name().is_some());
        let (drawn, own): (Detectors, Detectors) = rest.into_iter().partition(|(_, pattern)| pattern.chart().is_some());
        let by_column = |function: &Candlestick| {
            talib.iter().find(|(_, pattern)| pattern.talib_name() == Some(function.name)).copied()
        };
        let by_kind = |kind: usize| {
            drawn.iter().find(|(_, pattern)| pattern.chart().is_some_and(|chart| chart as usize == kind)).copied()
        };
        let (talib, columns) = by_place(CANDLESTICKS.iter().map(by_column), talib.first());
        let (charts, kinds) = by_place((0..u64::BITS as usize).map(by_kind), drawn.first());
        Self { own, charts, kinds, talib, columns, last }
    }

    /// Whether any of TA-Lib's is on.
    pub(crate) fn has_candles(&self) -> bool {
        self.columns != 0
    }

    /// Whether any that is on reads a study.
    pub(crate) fn has_study(&self) -> bool {
        self.kinds != 0 || self.own.iter().any(|(_, pattern)| pattern.needs_study())
    }

    /// The place of the chart pattern of a kind, if it is on.
    pub(crate) fn chart(&self, kind: Kind) -> Option<u16> {
        let is_on = self.kinds >> kind as u32 & 1 == 1;
        self.charts.get(kind as usize).filter(|_| is_on).map(|&(place, _)| place)
    }

    /// Whether any that is on reads what the minutes of other sessions traded.
    pub(crate) fn has_volumes(&self) -> bool {
        self.own.iter().any(|(_, pattern)| pattern.needs_volumes())
    }

    /// Those that are asked when the others have been.
    pub(crate) fn last(&self) -> &Detectors {
        &self.last
    }

    /// Those that may hold on a bar of which TA-Lib's functions and the study say this.
    pub(crate) fn on(
        &self,
        candles: Option<&Candles>,
        study: Option<&Study>,
    ) -> impl Iterator<Item = &(u16, &'static dyn Pattern)> {
        let hits = candles.map_or(0, Candles::columns) & self.columns;
        let drawn = study.map_or(0, |study| study.charts().kinds()) & self.kinds;
        let charts = Bits(drawn).filter_map(|kind| self.charts.get(kind));
        self.own.iter().chain(charts).chain(Bits(hits).filter_map(|column| self.talib.get(column)))
    }
}

/// The patterns by their places, with a bit for each place that has one; what stands for one that has none is never asked.
fn by_place(
    known: impl Iterator<Item = Option<(u16, &'static dyn Pattern)>>,
    any: Option<&(u16, &'static dyn Pattern)>,
) -> (Detectors, u64) {
    let known: Vec<_> = known.collect();
    let bits = known.iter().rev().fold(0, |bits, on| bits << 1 | u64::from(on.is_some()));
    (known.into_iter().filter_map(|on| on.or(any.copied())).collect(), bits)
}

/// The places of the bits that are set, the lowest first.
pub(crate) struct Bits(pub(crate) u64);

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
        f.debug_list()
            .entries(self.own.iter().map(|(_, pattern)| pattern.id()))
            .entry(&self.kinds)
            .entry(&self.columns)
            .entries(self.last.iter().map(|(_, pattern)| pattern.id()))
            .finish()
    }
}
