//! Patterns that have just held and rest.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{COUNT, PATTERNS};

/// Patterns that may rest.
const PLACES: usize = 32;

/// The place of each pattern that rests after it has held, with how long.
static RESTING: LazyLock<[Option<(u8, u8)>; COUNT]> = LazyLock::new(|| {
    let mut places = 0..PLACES as u8;
    PATTERNS
        .map(|pattern| Some(pattern.cooldown()).filter(|&bars| bars > 0).and_then(|bars| Some((places.next()?, bars))))
});

/// The pattern at each place.
static PLACED: LazyLock<Vec<u16>> = LazyLock::new(|| {
    (0u16..).zip(RESTING.iter()).filter_map(|(pattern, resting)| resting.is_some().then_some(pattern)).collect()
});

/// Patterns that are not looked for on a bar: a bit each, by their place among all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silent([u64; 4]);

const _: () = assert!(COUNT <= 256, "each pattern has a bit");

impl Silent {
    fn add(&mut self, pattern: u16) {
        if let Some(bits) = self.0.get_mut(usize::from(pattern / 64)) {
            *bits |= 1 << (pattern % 64);
        }
    }

    /// Whether a pattern is one of them.
    pub(crate) fn has(&self, pattern: u16) -> bool {
        self.0.get(usize::from(pattern / 64)).is_some_and(|bits| bits >> (pattern % 64) & 1 == 1)
    }
}

/// How many more bars each pattern rests: in a steady climb every bar makes a new high, and one event says it.
///
/// `push` for each bar of a session after its patterns were looked for; a new session begins with a new one. O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rests {
    left: [u8; PLACES],
}

impl Rests {
    /// Those that rest, and these besides: what each of a bar's patterns is held against.
    pub(crate) fn and(&self, others: &[u16]) -> Silent {
        let mut all = Silent::default();
        let resting = PLACED.iter().zip(self.left).filter(|&(_, left)| left > 0);
        others.iter().chain(resting.map(|(pattern, _)| pattern)).for_each(|&pattern| all.add(pattern));
        all
    }

    /// Reads a word of its lines.
    pub(crate) fn touch(&self) -> u64 {
        u64::from(self.left[0] ^ self.left[PLACES - 1])
    }

    /// A bar has closed on which these patterns held.
    pub(crate) fn push(&mut self, held: impl Iterator<Item = u16>) {
        for left in &mut self.left {
            *left = left.saturating_sub(1);
        }
        for (at, bars) in held.filter_map(place) {
            if let Some(left) = self.left.get_mut(usize::from(at)) {
                *left = bars;
            }
        }
    }
}

fn place(pattern: u16) -> Option<(u8, u8)> {
    RESTING.get(usize::from(pattern)).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_that_rests_has_a_place() {
        assert!(PATTERNS.iter().filter(|pattern| pattern.cooldown() > 0).count() <= PLACES);
    }

    #[test]
    fn a_pattern_rests_for_its_bars_and_no_other_does() {
        let new_high = (0u16..).zip(PATTERNS).find(|(_, pattern)| pattern.id() == "new_high_20").unwrap().0;
        let mut rests = Rests::default();
        rests.push([new_high].into_iter());
        let rested: Vec<bool> = (0..6).map(|_| (rests.and(&[]).has(new_high), rests.push([].into_iter())).0).collect();
        assert_eq!(rested, [true, true, true, true, true, false]);
        let silent = |rests: Rests, others: &[u16]| {
            let silent = rests.and(others);
            (0..COUNT as u16).filter(|&pattern| silent.has(pattern)).collect::<Vec<_>>()
        };
        assert!(silent(rests, &[]).is_empty());
        rests.push([new_high].into_iter());
        let last = COUNT as u16 - 1;
        assert_eq!(silent(rests, &[last, 0]), [0, new_high, last]);
    }
}
