//! What forms in the bars of a symbol as they stand.

use super::History;
use crate::figure::Forming;
use crate::rules::Rules;
use crate::timeframe::Timeframe;
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
    /// What forms, in bars of each timeframe, of patterns that are on and told; the shortest timeframe first. O(1) a timeframe.
    pub fn forming<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = Formed> + 'a {
        let longer = self.longer.as_deref().zip(rules.longer.as_ref());
        let longer = longer.into_iter().flat_map(|(longer, rules)| longer.each(rules));
        std::iter::once((self, rules)).chain(longer).flat_map(|(history, rules)| history.formed(rules))
    }

    fn formed<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = Formed> + 'a {
        let study = self.study.as_deref().map(crate::trail::Trail::now);
        let known = study.and_then(|study| Some((study, study.atr()?, self.window.bar(0)?)));
        known.into_iter().flat_map(move |(study, atr, bar)| {
            let told = |pattern: &u16| !self.broken.contains(pattern) && rules.combined.is_told(*pattern);
            study.charts().forming(self.window.view(), study.zigzag(), atr).filter_map(move |figure| {
                let pattern = rules.detectors.chart(figure.kind).filter(told)?;
                Some(Formed { pattern, timeframe: rules.timeframe, bar, end_us: self.now.end_us, atr, figure })
            })
        })
    }
}
