//! When the patterns that rules name have last held, in the session so far.

use serde::{Deserialize, Serialize};

use super::Ruleset;
use crate::found::Held;
use crate::pattern::Direction::{self, Bearish, Bullish, Neutral};
use crate::recent::Past;
use crate::snapshot::is_near;
use crate::window::WindowBar;

/// A pattern that has held, one way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Bars since then, 0 for the newest; [`Seen::NEVER`] while it has not.
    pub(super) ago: u16,
    pub(super) evaluation: u32,
    pub(super) ts_us: i64,
    pub(super) end_us: i64,
    pub(super) confidence: f64,
}

impl Seen {
    const NEVER: u16 = u16::MAX;

    /// Whether that was on one of the newest `bars`.
    pub(super) fn is_within(&self, bars: u16) -> bool {
        self.ago < bars
    }

    /// It as what has held.
    pub(crate) fn past(&self, pattern: u16, direction: Direction) -> Past {
        let Self { ago, evaluation, ts_us, end_us, confidence } = *self;
        Past { held: Held { pattern, direction, evaluation, confidence }, ts_us, end_us, ago }
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self { ago: Self::NEVER, evaluation: 0, ts_us: 0, end_us: 0, confidence: 0.0 }
    }
}

/// Of each pattern that rules name, when it last held, bearish, neutral and bullish.
///
/// `push` for each bar of a session after its patterns were looked for; a new session begins with a new one. O(patterns
/// that rules name) a bar, and no memory where there are no rules. A copy restores the state for bars that are taken back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory(Vec<[Seen; 3]>);

impl Memory {
    /// A bar that ends at `end_us` has closed on which these patterns hold.
    pub(crate) fn push<'a>(
        &mut self,
        bar: &WindowBar,
        end_us: i64,
        held: impl Iterator<Item = &'a Held>,
        rules: &Ruleset,
    ) {
        if rules.is_empty() {
            return;
        }
        self.0.resize_with(rules.slots(), Default::default);
        for seen in self.0.iter_mut().flatten() {
            seen.ago = seen.ago.saturating_add(1);
        }
        for held in held {
            if let Some(slot) = rules.slot_of(held.pattern).and_then(|slot| self.0.get_mut(slot)) {
                let Held { evaluation, confidence, .. } = *held;
                slot[place(held.direction)] = Seen { ago: 0, evaluation, ts_us: bar.ts_us, end_us, confidence };
            }
        }
    }

    /// When the pattern of a slot last held this way; `None` before a session's first bar.
    pub(super) fn seen(&self, slot: usize, direction: Direction) -> Option<&Seen> {
        self.0.get(slot).map(|ways| &ways[place(direction)])
    }

    /// Which way and when the pattern of a slot last held in a direction that is accepted, on one of the newest `bars`.
    pub(crate) fn newest(
        &self,
        slot: usize,
        bars: u16,
        accepts: impl Fn(Direction) -> bool,
    ) -> Option<(Direction, &Seen)> {
        let held = [Bearish, Neutral, Bullish].into_iter().filter(|&held| accepts(held));
        let seen = held.filter_map(|held| Some((held, self.seen(slot, held)?)));
        seen.filter(|(_, seen)| seen.is_within(bars)).min_by_key(|(_, seen)| seen.ago)
    }

    /// Whether it can be one of these rules, and be counted on from.
    pub(crate) fn is_sound(&self, rules: &Ruleset) -> bool {
        let fits = self.0.is_empty() || self.0.len() == rules.slots();
        fits && self
            .0
            .iter()
            .flatten()
            .all(|seen| is_near(seen.ts_us) && is_near(seen.end_us) && seen.confidence.is_finite())
    }
}

fn place(direction: Direction) -> usize {
    (direction as i8 + 1) as usize
}
