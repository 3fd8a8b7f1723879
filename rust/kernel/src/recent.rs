//! The chart patterns on the newest bars that can no longer be revised.

use serde::{Deserialize, Serialize};

use crate::found::{Found, Held};
use crate::pattern::PATTERNS;
use crate::rule::{MadeOf, Ruleset};
use crate::sealed::Sealed;
use crate::snapshot::is_near;
use crate::timeframe::Timeframe;

/// Bars on which a chart pattern is remembered.
pub(crate) const BARS: u16 = 3;

/// A pattern that has held on a bar.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) held: Held,
    /// START of the bar, µs.
    pub(crate) ts_us: i64,
    /// Its END.
    pub(crate) end_us: i64,
    /// Bars since then, 0 for the newest.
    pub(crate) ago: u16,
}

impl Past {
    /// Of a bar that may be revised still.
    pub(crate) fn on(sealed: &Sealed, held: Held, ago: u16) -> Self {
        Self { held, ts_us: sealed.fold.minute_us, end_us: sealed.end_us, ago }
    }

    /// The same, if there are `bars` after those that it was counted from.
    pub(crate) fn before(self, bars: u16) -> Self {
        Self { ago: self.ago.saturating_add(bars), ..self }
    }

    /// Whether it is on one of the newest [`BARS`].
    pub(crate) fn is_recent(&self) -> bool {
        self.ago < BARS
    }

    /// It as a part of another pattern; `rules`: those of its timeframe, which say whether an event was made of it.
    pub(crate) fn made_of(&self, timeframe: Timeframe, rules: &Ruleset) -> MadeOf {
        let Self { held: Held { pattern, direction, evaluation, confidence }, ts_us, end_us, .. } = *self;
        let evaluation = rules.is_told(pattern).then_some(evaluation);
        MadeOf { pattern, direction, confidence, timeframe, ts_us, end_us, evaluation }
    }
}

/// Whether the pattern at a place is a chart pattern.
pub(crate) fn is_chart(place: u16) -> bool {
    PATTERNS.get(usize::from(place)).is_some_and(|pattern| pattern.chart().is_some())
}

/// The chart patterns on the newest [`BARS`] bars of a session, the newest bar's first.
///
/// `push` for each bar; no memory until a bar has one. A copy restores the state for bars that are taken back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recent(Vec<Past>);

impl Recent {
    /// A bar of `ts_us` to `end_us` has closed on which these patterns hold. O(patterns that hold).
    pub(crate) fn push(&mut self, ts_us: i64, end_us: i64, found: &Found) {
        for past in &mut self.0 {
            past.ago += 1;
        }
        self.0.retain(Past::is_recent);
        let charts = found.held().filter(|held| is_chart(held.pattern));
        let first = self.0.len();
        self.0.extend(charts.map(|held| Past { held: *held, ts_us, end_us, ago: 0 }));
        let new = self.0.len() - first;
        self.0.rotate_right(new);
    }

    /// They.
    pub(crate) fn all(&self) -> impl Iterator<Item = Past> + '_ {
        self.0.iter().copied()
    }

    /// Whether they can be counted on from.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |past: &Past| {
            let near = is_near(past.ts_us) && is_near(past.end_us);
            past.is_recent() && is_chart(past.held.pattern) && past.held.confidence.is_finite() && near
        };
        self.0.iter().all(sound)
    }
}
