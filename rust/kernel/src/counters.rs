//! Every tick accounted for: what is read by people, Prometheus and the tests' invariant.

use serde::{Deserialize, Serialize};

use crate::fate::Fate;
use crate::snapshot::FEW;
use crate::tick::Reason;
use crate::time::SECOND_US;

/// How many ticks met which fate, and what came of the others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Messages taken.
    pub messages: u64,
    /// Ticks in them.
    pub ticks: u64,
    /// By [`Fate`], in the order of [`Counters::FATES`].
    fates: [u64; Counters::FATES.len()],
    /// By [`Reason`], in the order of [`Reason::ALL`].
    refused: [u64; Reason::ALL.len()],
    /// Shares of minutes in which no tick could set a price.
    pub volume_without_bar: u64,
    /// Bars closed.
    pub bars: u64,
    /// Rows of revised bars.
    pub bars_revised: u64,
    /// Bars of longer timeframes, closed or revised.
    pub longer_bars: u64,
    /// Patterns found.
    pub detections: u64,
    /// Patterns that a revision took away.
    pub withdrawn: u64,
    /// Bars of watched symbols at which their indicators were read.
    pub readings: u64,
    /// Patterns switched off for a symbol after a panic.
    pub broken: u64,
    /// Numbered ticks that never came.
    pub missing_ticks: u64,
    /// Shares that the day's volume has and no tick had.
    pub missing_volume: u64,
}

impl Counters {
    /// The names of the fates, in the order of [`Fate`]. A revision counts as folded too; what is held has no fate yet.
    const FATES: [&'static str; 12] = [
        "folded",
        "revised",
        "quotes",
        "repeats",
        "replayed",
        "not_owner",
        "other_kind",
        "too_late",
        "condition_excluded",
        "refused_future",
        "refused_ahead_of_feed",
        "refused_symbol_cap",
    ];

    /// Counts one tick.
    pub fn count(&mut self, fate: Fate) {
        self.fates[fate as usize] += 1;
        if fate == Fate::Revised {
            self.fates[Fate::Folded as usize] += 1;
        }
    }

    /// Counts one tick, or one message, that could not be decoded.
    pub fn refuse(&mut self, reason: Reason) {
        self.refused[reason as usize] += 1;
    }

    /// Those that stay at the most there can be.
    const SATURATING: [&'static str; 3] = ["volume_without_bar", "missing_ticks", "missing_volume"];

    /// Whether all can be counted on.
    pub(crate) fn is_sound(&self) -> bool {
        let few = |(name, count): &(String, u64)| *count <= FEW as u64 || Self::SATURATING.contains(&name.as_str());
        self.by_name().iter().all(few)
    }

    /// Every counter by name.
    #[must_use]
    pub fn by_name(&self) -> Vec<(String, u64)> {
        let mut all = vec![
            ("messages".into(), self.messages),
            ("ticks".into(), self.ticks),
            ("volume_without_bar".into(), self.volume_without_bar),
            ("bars".into(), self.bars),
            ("bars_revised".into(), self.bars_revised),
            ("longer_bars".into(), self.longer_bars),
            ("detections".into(), self.detections),
            ("withdrawn".into(), self.withdrawn),
            ("readings".into(), self.readings),
            ("broken".into(), self.broken),
            ("missing_ticks".into(), self.missing_ticks),
            ("missing_volume".into(), self.missing_volume),
        ];
        all.extend(Self::FATES.iter().zip(self.fates).map(|(name, n)| ((*name).to_owned(), n)));
        all.extend(Reason::ALL.iter().zip(self.refused).map(|(reason, n)| (format!("refused_{}", reason.name()), n)));
        all
    }
}

/// How many of the ticks of one second of the caller's time lay in its future.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Skew {
    second: i64,
    ticks: u64,
    future: u64,
    ahead_us: i64,
    /// What the last whole second showed.
    pub shown_us: Option<i64>,
}

impl Skew {
    /// A call begins; the first one of a second shows what the second before was like.
    pub fn begin(&mut self, now_us: i64) {
        let second = now_us.div_euclid(SECOND_US);
        if second != self.second {
            let most = self.ticks > 0 && self.future * 2 > self.ticks;
            *self = Self { second, shown_us: most.then_some(self.ahead_us), ..Self::default() };
        }
    }

    /// Whether its ticks can be counted on.
    pub(crate) fn is_sound(&self) -> bool {
        self.ticks.max(self.future) <= FEW as u64
    }

    /// Notes one tick; `ahead_us` if it was refused as future.
    pub fn tick(&mut self, ahead_us: Option<i64>) {
        self.ticks += 1;
        if let Some(ahead_us) = ahead_us {
            self.future += 1;
            self.ahead_us = ahead_us;
        }
    }
}
