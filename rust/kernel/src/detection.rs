//! What is said when a pattern begins or ceases to hold on a closed bar.

use crate::bar::quality;
use crate::indicator::live::relative_volume;
use crate::pattern::{Closing, Direction, Explained, Match, PATTERNS};
use crate::timeframe::Timeframe;
use crate::window::{Window, WindowBar};

/// A pattern that begins or ceases to hold on a closed bar.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Index into [`crate::pattern::PATTERNS`]; behind their end, a rule of the engine.
    pub pattern: u16,
    /// What it says; of a withdrawn one, what it said.
    pub direction: Direction,
    /// True: a new event. False: a revision took it away.
    pub held: bool,
    /// The evaluation of the bar at which it first held.
    pub revision: u32,
    /// Whether a pattern of the opposite direction holds on the same bar.
    pub conflict: bool,
    /// The event that it replaces on the same bar.
    pub supersedes: Option<(u16, u32)>,
    /// The bar on which it ends.
    pub on: On,
    /// Confidence, levels and extent; `None` when withdrawn.
    pub detail: Option<Detail>,
    /// What made it; `None` if there is nothing to say beyond its bars.
    pub explained: Option<Box<Explained>>,
}

/// A bar on which a pattern ends.
#[derive(Clone, Copy, Debug)]
pub struct On {
    /// The bar.
    pub bar: WindowBar,
    /// How long it is.
    pub timeframe: Timeframe,
    /// The first instant after it, µs.
    pub end_us: i64,
}

/// What there is to say about a pattern that holds.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// Confidence, direction, bars and levels.
    pub matched: Match,
    /// Start of the earliest bar that made it, µs.
    pub first_us: i64,
    /// Percent against the previous close; against its own open on a window's first bar.
    pub price_change: f64,
    /// Volume over the mean of the 20 bars before.
    pub relative_volume: Option<f64>,
    /// RSI over 14 changes, 0 to 100.
    pub rsi: Option<f64>,
    /// Return over 20 bars less that of the benchmark, in percentage points.
    pub relative_strength: Option<f64>,
    /// Average true range over 14 bars, in price.
    pub atr: Option<f64>,
    /// Flags of the earlier bars that made it, as far as the window shows them, and of what it was measured from.
    pub quality: u8,
}

/// What there is to say about a bar, whichever pattern ends on it: found out once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    price_change: f64,
    relative_volume: Option<f64>,
    rsi: Option<f64>,
    relative_strength: Option<f64>,
}

impl About {
    /// Of the window's newest bar, with what the window does not know of it.
    pub(crate) fn newest(window: &Window, rsi: Option<f64>, relative_strength: Option<f64>) -> Self {
        Self {
            price_change: price_change(window),
            relative_volume: relative_volume(window.view()),
            rsi,
            relative_strength,
        }
    }
}

/// Of the newest bar against the close before it, in percent; against its own open on a window's first bar.
pub(crate) fn price_change(window: &Window) -> f64 {
    let newest = window.bar(0);
    let from = window.bar(1).map_or(newest.map_or(f64::NAN, |bar| bar.open), |before| before.close);
    newest.map_or(f64::NAN, |bar| (bar.close / from - 1.0) * 100.0)
}

impl Detail {
    /// Of a match that ends on the window's newest bar, with what made it. `flags`: of what it was measured from.
    pub(crate) fn of(
        at: &Closing<'_>,
        pattern: u16,
        matched: Match,
        flags: u8,
        about: &About,
    ) -> (Self, Option<Box<Explained>>) {
        let window = at.window;
        let made_by = usize::from(matched.bars).max(1);
        let About { price_change, relative_volume, rsi, relative_strength } = *about;
        let explained =
            PATTERNS.get(usize::from(pattern)).map(|pattern| pattern.explain(at, &matched)).unwrap_or_default();
        // A chart pattern may begin before the window does.
        let drawn_us = explained.points.first().map_or(i64::MAX, |&(ts_us, _)| ts_us);
        let window_us = window.bar(made_by - 1).map_or(i64::MAX, |bar| bar.ts_us);
        let detail = Self {
            matched,
            first_us: drawn_us.min(window_us),
            price_change,
            relative_volume,
            rsi,
            relative_strength,
            atr: at.measured().map(|(_, atr)| atr),
            quality: (1..made_by).map_while(|back| window.bar(back)).fold(flags, |q, bar| q | bar.quality)
                & quality::PARTIAL,
        };
        (detail, (explained != Explained::default()).then(|| Box::new(explained)))
    }
}
