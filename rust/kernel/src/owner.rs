//! Which channel, and which kind of tick, a symbol's bar is made of.
//!
//! One tick is published on several channels, and a trade comes as a trade and within an aggregate: counting both
//! would double the volume.

use serde::{Deserialize, Serialize};

use crate::symbol::SymbolId;
use crate::tick::Kind;
use crate::time::MINUTE_US;

/// A channel or kind not heard for this long before a minute loses the symbol to the next.
const HEARD_US: i64 = MINUTE_US;

/// The stamp of what was never heard.
pub const NEVER_US: i64 = i64::MIN / 2;

/// When each symbol was heard, by channel and kind. `O(1)` a tick.
#[derive(Debug, Serialize, Deserialize)]
pub struct Heard {
    channels: usize,
    /// Per symbol and channel, the newest stamps of kinds A and T.
    stamps: Vec<[i64; 2]>,
}

impl Heard {
    /// Nobody was heard.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { channels, stamps: Vec::new() }
    }

    /// Whether it is one of so many channels and at most so many symbols.
    pub(crate) fn is_sound(&self, channels: usize, ids: usize) -> bool {
        self.channels == channels && self.stamps.len() <= ids * channels && self.stamps.len() % channels == 0
    }

    /// Notes a stamp.
    pub fn note(&mut self, id: SymbolId, channel: u16, kind: Kind, ts_us: i64) {
        let row = id.index() * self.channels;
        if self.stamps.len() <= row {
            self.stamps.resize(row + self.channels, [NEVER_US; 2]);
        }
        let stamp = &mut self.stamps[row + usize::from(channel)][usize::from(kind != Kind::A)];
        *stamp = (*stamp).max(ts_us);
    }

    /// The owner and kind of a symbol's bar in a minute: the first channel heard since a minute before, and kind A if
    /// that channel was heard with it since then.
    #[must_use]
    pub fn owner(&self, id: SymbolId, minute_us: i64) -> (u16, Kind) {
        let since = minute_us - HEARD_US;
        let row = id.index() * self.channels;
        let heard = self.stamps.get(row..row + self.channels).unwrap_or_default();
        let owner = heard.iter().position(|kinds| kinds[0].max(kinds[1]) >= since).unwrap_or(0);
        let aggregates = heard.get(owner).is_some_and(|kinds| kinds[0] >= since);
        (owner as u16, if aggregates { Kind::A } else { Kind::T })
    }

    /// Forgets a symbol.
    pub fn forget(&mut self, id: SymbolId) {
        let row = id.index() * self.channels;
        if let Some(stamps) = self.stamps.get_mut(row..row + self.channels) {
            stamps.fill([NEVER_US; 2]);
        }
    }
}
