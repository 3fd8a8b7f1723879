//! The known symbols, each with what is kept of it.

use std::collections::HashSet;
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::accumulated::Accumulated;
use crate::bar::Fold;
use crate::history::History;
use crate::owner::NEVER_US;
use crate::rules::Rules;
use crate::session::Sessions;
use crate::snapshot::{Sound, holds};
use crate::symbol::{SymbolId, Symbols};

/// What is kept of a symbol.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Symbol {
    /// Open bars, rarely more than two.
    pub(crate) open: Vec<Fold>,
    /// Its closed bars.
    pub(crate) history: History,
    /// Whether its newest tick was a simulated one.
    pub(crate) simulated: bool,
    /// The newest stamp of its ticks, µs.
    pub(crate) heard_us: i64,
    /// What its aggregates say of the day's volume; `None` if there were none, or nobody asks.
    pub(crate) accumulated: Option<Box<Accumulated>>,
}

impl Symbol {
    fn new(rules: &Rules) -> Self {
        Self { open: Vec::new(), history: History::new(rules), simulated: false, heard_us: NEVER_US, accumulated: None }
    }
}

/// The known symbols.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Roster {
    names: Symbols,
    /// By id; of a forgotten one, an empty state.
    states: Vec<Symbol>,
    /// When the first longer bar of each that is forming is over, µs: side by side, since every minute asks for all.
    #[serde(skip)]
    ends_us: Vec<i64>,
    /// The first of them.
    #[serde(skip)]
    first_end_us: Option<i64>,
    /// The regular session open at which idle ones are forgotten next.
    forget_at_us: Option<i64>,
}

impl Index<SymbolId> for Roster {
    type Output = Symbol;

    #[inline]
    fn index(&self, id: SymbolId) -> &Symbol {
        &self.states[id.index()]
    }
}

impl IndexMut<SymbolId> for Roster {
    #[inline]
    fn index_mut(&mut self, id: SymbolId) -> &mut Symbol {
        &mut self.states[id.index()]
    }
}

impl Roster {
    /// Makes one that was read from a snapshot fit what all symbols have in common.
    ///
    /// # Errors
    /// What about it cannot have come of these rules.
    pub(crate) fn fit(&mut self, most: usize, rules: &Rules) -> Sound {
        // Beside the known ones, those that were forgotten in one call wait for its end.
        let few = self.names.len() <= most && self.names.given() <= most.saturating_mul(2);
        holds(self.states.len() == self.names.given() && few, "symbols")?;
        let known: HashSet<SymbolId> = self.names.ids().collect();
        for (at, state) in self.states.iter_mut().enumerate() {
            let id = SymbolId(at as u32);
            let on = rules.indicators.as_ref().filter(|_| known.contains(&id));
            let watched = on.is_some_and(|on| on.watch.has(self.names.name(id).as_bytes()));
            holds(state.open.iter().all(Fold::is_sound), "open bars")?;
            holds(state.accumulated.as_ref().is_none_or(|known| known.is_sound()), "volumes")?;
            state.history.fit(rules, watched)?;
        }
        self.ends_us = self.states.iter().map(|state| state.history.longer_end_us()).collect();
        self.first_end_us = self.ends_us.iter().min().copied();
        Ok(())
    }

    /// Their names.
    pub(crate) fn names(&self) -> &Symbols {
        &self.names
    }

    /// The id of a ticker; a new one begins, unless there are `most` already.
    pub(crate) fn know(&mut self, ticker: &[u8], most: usize, rules: &mut Rules) -> Option<SymbolId> {
        let known = self.names.len();
        let id = self.names.intern(ticker, most)?;
        if self.names.len() != known {
            self.begin(ticker, id, rules);
        }
        Some(id)
    }

    /// A ticker that was not known has got its id.
    fn begin(&mut self, ticker: &[u8], id: SymbolId, rules: &mut Rules) {
        if id.index() == self.states.len() {
            self.states.push(Symbol::new(rules));
            self.ends_us.push(i64::MAX);
        }
        rules.benchmarks().for_each(|benchmark| benchmark.named(ticker, id));
        if rules.indicators.as_ref().is_some_and(|on| on.watch.has(ticker)) {
            self.states[id.index()].history.watch();
        }
    }

    /// Every open bar, by symbol.
    pub(crate) fn open_bars(&self) -> impl Iterator<Item = (SymbolId, &Fold)> + '_ {
        self.names.ids().flat_map(|id| self[id].open.iter().map(move |fold| (id, fold)))
    }

    /// The same, to be changed.
    pub(crate) fn open_bars_mut(&mut self) -> impl Iterator<Item = &mut Fold> + '_ {
        self.states.iter_mut().flat_map(|state| &mut state.open)
    }

    /// Notes what the longer bars of a symbol wait for, after a change of its history.
    #[inline]
    pub(crate) fn note_longer(&mut self, id: SymbolId) {
        let end_us = self[id].history.longer_end_us();
        self.ends_us[id.index()] = end_us;
        self.first_end_us = Some(self.first_end_us.map_or(end_us, |first_us| first_us.min(end_us)));
    }

    /// Whether a longer bar is over at `end_us`.
    #[inline]
    pub(crate) fn has_longer(&self, end_us: i64) -> bool {
        self.first_end_us.is_some_and(|first_us| first_us <= end_us)
    }

    /// The symbols of which a longer bar is over at `end_us`; they are to be noted again.
    pub(crate) fn take_longer(&mut self, end_us: i64) -> Vec<SymbolId> {
        self.first_end_us = self.ends_us.iter().filter(|&&end| end > end_us).min().copied();
        let ids = self.ends_us.iter().zip(0..);
        ids.filter(|(end, _)| **end <= end_us).map(|(_, id)| SymbolId(id)).collect()
    }

    /// At the first tick of a regular session, forgets the symbols that have no open bar and were not heard since the
    /// session's open before that, and says which. `newest`: the symbol of that tick, when it was heard before, and the tick's
    /// minute: it keeps its id, and the bar that the tick has opened.
    pub(crate) fn forget_idle(
        &mut self,
        event_us: i64,
        (newest, heard_us, minute_us): (SymbolId, i64, i64),
        regular: &Sessions,
        rules: &mut Rules,
    ) -> Vec<SymbolId> {
        let due = *self.forget_at_us.get_or_insert_with(|| regular.next_open(event_us));
        if event_us < due {
            return Vec::new();
        }
        self.forget_at_us = Some(regular.next_open(event_us));
        let Some((_, before_us)) = regular.last_two_opens(event_us) else {
            return Vec::new();
        };
        let is_idle = |id: &SymbolId| match &self[*id] {
            known if *id == newest => heard_us < before_us && known.open.iter().all(|fold| fold.minute_us == minute_us),
            known => known.heard_us < before_us && known.open.is_empty(),
        };
        let idle: Vec<SymbolId> = self.names.ids().filter(is_idle).collect();
        for &id in &idle {
            rules.benchmarks().for_each(|benchmark| benchmark.forgotten(id));
            let Symbol { open, simulated, heard_us, .. } = std::mem::replace(&mut self[id], Symbol::new(rules));
            self.ends_us[id.index()] = i64::MAX;
            if id == newest {
                self[id] = Symbol { open, simulated, heard_us, ..Symbol::new(rules) };
                let ticker = self.names.name(id).to_owned();
                self.begin(ticker.as_bytes(), id, rules);
            } else {
                self.names.forget(id);
            }
        }
        idle
    }

    /// Ends a call: ids of forgotten symbols may be given out again.
    pub(crate) fn release(&mut self) {
        self.names.release();
    }
}
