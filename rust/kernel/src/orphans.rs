//! Bars opened again from the database that no tick has claimed yet.

use serde::{Deserialize, Serialize};

use crate::snapshot::is_near;
use crate::symbol::SymbolId;

/// Which bars they are, by symbol and minute; a handful at a start, none soon after.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Orphans(Vec<(SymbolId, i64)>);

impl Orphans {
    /// Whether each is of one of so many ids.
    pub(crate) fn is_sound(&self, ids: usize) -> bool {
        self.0.iter().all(|&(id, minute_us)| id.index() < ids && is_near(minute_us))
    }

    /// One more.
    pub(crate) fn push(&mut self, id: SymbolId, minute_us: i64) {
        self.0.push((id, minute_us));
    }

    /// A tick has claimed it.
    pub(crate) fn remove(&mut self, id: SymbolId, minute_us: i64) {
        self.0.retain(|&orphan| orphan != (id, minute_us));
    }

    /// Hands out those of the minutes that are final, in the order in which they came.
    pub(crate) fn take(&mut self, is_final: impl Fn(i64) -> bool) -> Vec<(SymbolId, i64)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|&(_, minute_us)| is_final(minute_us));
        self.0 = left;
        taken
    }
}
