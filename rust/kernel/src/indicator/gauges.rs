//! What a symbol's history carries for its indicators: RSI always, the others where they are watched.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::live::{Kernels, Live, Strength, Values};
use crate::bar::quality;
use crate::trail::Trail;
use crate::window::{Window, WindowBar};

/// Whose indicators are shown.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Every symbol's.
    pub all: bool,
    /// Those of these.
    pub symbols: HashSet<Box<[u8]>>,
}

impl Watch {
    /// Whether a symbol is watched.
    #[must_use]
    pub fn has(&self, ticker: &[u8]) -> bool {
        self.all || self.symbols.contains(ticker)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.all && self.symbols.is_empty()
    }
}

/// What all symbols share.
#[derive(Clone, Debug)]
pub struct Indicators {
    /// The indicators.
    pub kernels: Kernels,
    /// Whose are shown.
    pub watch: Watch,
    /// RSI below the first is oversold, above the second overbought.
    pub rsi_bounds: (f64, f64),
}

/// What can happen between two bars, in the order of the bits of [`Reading::alerts`].
pub const ALERTS: [&str; 6] =
    ["RSI_OVERBOUGHT", "RSI_OVERSOLD", "MACD_BULLISH_CROSS", "MACD_BEARISH_CROSS", "BB_UPPER_BREAK", "BB_LOWER_BREAK"];

/// The indicators of a watched symbol at the close of a bar.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The bar that closed.
    pub bar: WindowBar,
    /// What they show.
    pub values: Values,
    /// Bits of [`ALERTS`]: what the bar before did not show and this one does.
    pub alerts: u8,
    /// Whether it is news: the newest bar, looked at for the first time, and not made by a late tick.
    pub fresh: bool,
}

/// A watched symbol's state, and its readings that nobody has taken yet.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Watched {
    trail: Trail<Live>,
    /// The close before the newest bar and what was shown there.
    before: Option<(f64, Values)>,
    #[serde(skip)]
    readings: Vec<Reading>,
}

/// A symbol's indicators.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Gauges {
    strength: Trail<Strength>,
    watched: Option<Box<Watched>>,
}

impl Gauges {
    /// Shows all indicators of the symbol from now on.
    pub fn watch(&mut self) {
        self.watched = Some(Box::default());
    }

    /// Whether all indicators are read.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// RSI at the newest bar, 0 to 100.
    #[must_use]
    pub fn rsi(&self) -> Option<f64> {
        self.strength.now().rsi()
    }

    /// A bar of `session` has opened: the next to go into the window, as a rule.
    #[inline]
    pub fn foresee(&mut self, session: Option<i64>, window: &Window, on: &Indicators) {
        self.strength.foresee(session, window, &on.kernels);
        if let Some(watched) = &mut self.watched {
            watched.trail.foresee(session, window, &on.kernels);
        }
    }

    /// A bar of `session` is about to go into the window.
    #[inline]
    pub fn enter(&mut self, session: Option<i64>, window: &Window, on: &Indicators) {
        self.strength.enter(session, window, &on.kernels);
        if let Some(watched) = &mut self.watched {
            watched.trail.enter(session, window, &on.kernels);
            let close = window.bar(0).map(|bar| bar.close);
            watched.before = close.map(|close| (close, watched.trail.now().values(window.view(), &on.kernels)));
        }
    }

    /// Takes in the window's newest bar and says nothing about it.
    #[inline]
    pub fn push(&mut self, bar: &WindowBar, window: &Window, on: &Indicators) {
        self.strength.push(bar, window, &on.kernels);
        if let Some(watched) = &mut self.watched {
            watched.trail.push(bar, window, &on.kernels);
        }
    }

    /// Takes in the window's newest bar and reads the indicators there, if ticks of it cannot have been missed.
    #[inline]
    pub fn read(&mut self, bar: &WindowBar, window: &Window, on: &Indicators) {
        self.push(bar, window, on);
        let Some(watched) = self.watched.as_mut().filter(|_| bar.quality & quality::PARTIAL == 0) else { return };
        let values = watched.trail.now().values(window.view(), &on.kernels);
        let alerts = watched.before.map_or(0, |before| crossed(&before, &(bar.close, values), on.rsi_bounds));
        watched.readings.push(Reading { bar: *bar, values, alerts, fresh: false });
    }

    /// The oldest revisable bar, `after` bars before the window's newest, can no longer be revised.
    #[inline]
    pub fn settle(&mut self, session: Option<i64>, after: usize, window: &Window, on: &Indicators) {
        let view = window.view().before(after);
        self.strength.settle(session, view, &on.kernels);
        if let Some(watched) = &mut self.watched {
            watched.trail.settle(session, view, &on.kernels);
        }
    }

    /// Goes back to before the oldest revisable bar.
    pub fn rewind(&mut self, window: &Window, on: &Indicators) {
        self.strength.rewind(window, &on.kernels);
        if let Some(watched) = &mut self.watched {
            watched.trail.rewind(window, &on.kernels);
        }
    }

    /// Reads a word of each of its cache lines; see `History::touch`.
    #[inline]
    #[must_use]
    pub fn touch(&self) -> u64 {
        self.strength.touch() ^ self.watched.as_ref().map_or(0, |watched| watched.trail.touch())
    }

    /// What was read since the last time.
    #[inline]
    pub fn take(&mut self) -> Vec<Reading> {
        self.watched.as_mut().map_or_else(Vec::new, |watched| std::mem::take(&mut watched.readings))
    }
}

/// What holds after and did not hold before, (close, values) each; a value that is not there yet crosses nothing.
fn crossed(before: &(f64, Values), after: &(f64, Values), (low, high): (f64, f64)) -> u8 {
    let (old, new) = (&before.1, &after.1);
    let happened = [
        old.rsi <= high && new.rsi > high,
        old.rsi >= low && new.rsi < low,
        old.macd_histogram <= 0.0 && new.macd_histogram > 0.0,
        old.macd_histogram >= 0.0 && new.macd_histogram < 0.0,
        before.0 <= old.bollinger_upper && after.0 > new.bollinger_upper,
        before.0 >= old.bollinger_lower && after.0 < new.bollinger_lower,
    ];
    happened.iter().enumerate().fold(0, |bits, (bit, &yes)| bits | u8::from(yes) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_carries_little_unless_it_is_watched() {
        assert_eq!((size_of::<Gauges>(), size_of::<Watched>()), (288, 1216));
    }
}
