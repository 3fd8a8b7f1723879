//! Chart patterns as patterns: what the study has confirmed, told.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::figure::{Confirmed, Kind, quality};

/// A chart pattern: its rule stands where its figure is, in `figure/`.
pub(super) struct Chart {
    pub(super) kind: Kind,
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) points: &'static [&'static str],
    pub(super) conditions: &'static [&'static str],
    pub(super) source: &'static str,
}

impl Chart {
    fn confirmed(&self, at: &Closing<'_>) -> Option<Confirmed> {
        let study = at.study?;
        study.charts().confirmed(self.kind, &at.window.bar(0)?, study.zigzag(), study.atr())
    }
}

impl Pattern for Chart {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        match self.kind {
            // Two swings that have a reading, five bars apart, the newer one seen.
            Kind::RsiDivergence => 20,
            Kind::MacdDivergence => 40,
            _ => 14,
        }
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn directions(&self) -> &'static [Direction] {
        match self.kind {
            Kind::DoubleTop
            | Kind::TripleTop
            | Kind::HeadShoulders
            | Kind::BearFlag
            | Kind::BearPennant
            | Kind::VTop
            | Kind::LowerLows
            | Kind::InverseCupHandle => &[Direction::Bearish],
            Kind::DoubleBottom
            | Kind::TripleBottom
            | Kind::InverseHeadShoulders
            | Kind::BullFlag
            | Kind::BullPennant
            | Kind::VBottom
            | Kind::HigherHighs
            | Kind::CupHandle => &[Direction::Bullish],
            _ => &[Direction::Bullish, Direction::Bearish],
        }
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn chart(&self) -> Option<Kind> {
        Some(self.kind)
    }

    fn points(&self) -> &'static [&'static str] {
        self.points
    }

    fn conditions(&self) -> &'static [&'static str] {
        self.conditions
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let found = self.confirmed(at)?;
        let bar = at.window.bar(0)?;
        let bars = at.study?.index().saturating_sub(found.first).saturating_add(1);
        let levels = Levels::given(bar.close, found.direction, found.stop, found.target).void(found.invalidation);
        graded(found.direction, quality(&found.margins), u16::try_from(bars).unwrap_or(u16::MAX), levels)
    }

    fn explain(&self, at: &Closing<'_>, _: &Match) -> Explained {
        let mut said = Explained::default();
        if let Some(found) = self.confirmed(at) {
            said.margins(&found.margins[..self.conditions.len().min(found.margins.len())]);
            for &(ts_us, price) in &found.points[..found.count] {
                said.point(ts_us, price);
            }
        }
        said
    }
}
