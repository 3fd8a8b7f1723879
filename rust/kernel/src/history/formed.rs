//! What forms in the bars of a symbol as they stand.

use super::History;
use crate::figure::Forming;
use crate::rules::Rules;
use crate::study::Study;
use crate::timeframe::Timeframe;
use crate::trail::Trail;
use crate::window::WindowBar;

/// A figure that forms in bars of a timeframe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Formed {
    /// The pattern that it will be, as an index into [`crate::pattern::PATTERNS`].
    pub pattern: u16,
    /// How long its bars are.
    pub timeframe: Timeframe,
    /// The newest of them.
    pub bar: WindowBar,
    /// The first instant after that, µs.
    pub end_us: i64,
    /// The average true range with it, in price.
    pub atr: f64,
    /// The figure.
    pub figure: Forming,
}

impl History {
    /// What forms, in bars of each timeframe, of patterns that are on and told; the shortest timeframe first.
    ///
    /// O(1) a timeframe. Where what the newest bar stands in is over at `now_us`, the next one will begin anew with the bars
    /// before it: which of the figures form then, if there are any, takes O(200).
    pub fn forming<'a>(&'a self, rules: &'a Rules, now_us: i64) -> impl Iterator<Item = Formed> + 'a {
        let longer = self.longer.as_deref().zip(rules.longer.as_ref());
        let longer = longer.into_iter().flat_map(|(longer, rules)| longer.each(rules));
        std::iter::once((self, rules)).chain(longer).flat_map(move |(history, rules)| history.formed(rules, now_us))
    }

    fn formed(&self, rules: &Rules, now_us: i64) -> Vec<Formed> {
        let study = self.study.as_deref().map(Trail::now);
        let all = study.map_or_else(Vec::new, |study| self.formed_of(study, rules));
        if all.is_empty() || now_us.max(self.now.end_us) < self.closes_us {
            return all;
        }
        self.formed_of(&Trail::begun(&self.window, &rules.study), rules)
    }

    fn formed_of(&self, study: &Study, rules: &Rules) -> Vec<Formed> {
        let Some((atr, bar)) = study.atr().zip(self.window.bar(0)) else {
            return Vec::new();
        };
        let told = |pattern: &u16| !self.broken.contains(pattern) && rules.combined.is_told(*pattern);
        let formed = |figure: Forming| {
            let pattern = rules.detectors.chart(figure.kind).filter(told)?;
            Some(Formed { pattern, timeframe: rules.timeframe, bar, end_us: self.now.end_us, atr, figure })
        };
        study.charts().forming(self.window.view(), study.zigzag(), atr).filter_map(formed).collect()
    }
}
