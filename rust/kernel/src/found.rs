//! The patterns that hold on one bar, and what changes when it is looked at again.

use serde::{Deserialize, Serialize};

use crate::detection::{Detail, Detection, On};
use crate::pattern::{Direction, Explained, Match};
use crate::rule::Ruleset;

/// A pattern that holds on a bar, and since which evaluation of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) pattern: u16,
    pub(crate) direction: Direction,
    pub(crate) evaluation: u32,
    pub(crate) confidence: f64,
}

/// The patterns that hold on a bar.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found(Vec<Held>);

impl Found {
    /// None yet, in the memory of those of a bar that is no more.
    pub(crate) fn in_place_of(mut self) -> Self {
        self.0.clear();
        self
    }

    /// Whether each is a pattern that there is.
    pub(crate) fn is_sound(&self, rules: &Ruleset) -> bool {
        self.0.iter().all(|held| usize::from(held.pattern) < rules.patterns() && held.confidence.is_finite())
    }

    /// They.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.0.iter()
    }

    /// Their places among all patterns.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().map(|held| held.pattern)
    }

    /// Reads a word of the first of them; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        self.0.first().map_or(0, |held| u64::from(held.evaluation))
    }

    /// Tells at which evaluation a pattern first held; whether it holds.
    pub(crate) fn recall(&mut self, pattern: u16, direction: Direction, evaluation: u32) -> bool {
        let is_it = |held: &&mut Held| held.pattern == pattern && held.direction == direction;
        self.0.iter_mut().find(is_it).map(|held| held.evaluation = evaluation).is_some()
    }

    /// Makes room for so many, and some more: the memory goes from bar to bar, and none holds as many as the last.
    fn reserve(&mut self, count: usize) {
        self.0.reserve_exact(count.next_multiple_of(8));
    }

    /// Makes them what the first look at the bar has matched.
    pub(crate) fn hold(&mut self, matches: &[(u16, Match)], evaluation: u32) {
        self.reserve(matches.len());
        self.0.extend(matches.iter().map(|&(pattern, matched)| {
            let Match { direction, confidence, .. } = matched;
            Held { pattern, direction, evaluation, confidence }
        }));
    }

    /// Makes them what `evaluation` of the bar has matched, and says which came and went of those that are told.
    pub(crate) fn renew(
        &mut self,
        matches: &[(u16, Match)],
        evaluation: u32,
        on: On,
        rules: &Ruleset,
        detail: impl Fn(u16, Match) -> (Detail, Option<Box<Explained>>),
        detections: &mut Vec<Detection>,
    ) {
        // As a rule there were none, and the memory stays where it is.
        let before = if self.0.is_empty() { Vec::new() } else { std::mem::take(&mut self.0) };
        let stays = |held: &Held| matches.iter().any(|(id, m)| *id == held.pattern && m.direction == held.direction);
        let gone: Vec<Held> =
            before.iter().filter(|held| !stays(held) && rules.is_told(held.pattern)).copied().collect();
        for held in &gone {
            detections.push(Detection {
                pattern: held.pattern,
                direction: held.direction,
                held: false,
                revision: held.evaluation,
                conflict: false,
                supersedes: None,
                on,
                detail: None,
                explained: None,
            });
        }
        let points = |way| matches.iter().any(|(_, m)| m.direction == way);
        let conflict = points(Direction::Bullish) && points(Direction::Bearish);
        self.reserve(matches.len());
        for &(pattern, matched) in matches {
            let Match { direction, confidence, .. } = matched;
            let known = before.iter().find(|held| held.pattern == pattern && held.direction == direction);
            self.0.push(Held {
                confidence,
                ..known.copied().unwrap_or(Held { pattern, direction, evaluation, confidence })
            });
            if known.is_none() && rules.is_told(pattern) {
                let (detail, explained) = detail(pattern, matched);
                let replaced = gone.iter().find(|held| held.pattern == pattern).or_else(|| gone.first());
                detections.push(Detection {
                    pattern,
                    direction,
                    held: true,
                    revision: evaluation,
                    conflict: conflict && direction != Direction::Neutral,
                    supersedes: replaced.map(|held| (held.pattern, held.evaluation)),
                    on,
                    detail: Some(detail),
                    explained,
                });
            }
        }
    }
}
