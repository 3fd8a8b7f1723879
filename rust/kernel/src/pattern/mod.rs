//! What a pattern is, and the list of all of them.
//!
//! A pattern is a pure function of a symbol's window and session range, evaluated each time a bar closes. Its
//! [`id`](Pattern::id) never changes; its [`name`](Pattern::name) is what the outside world sees.

mod agreement;
mod breakout;
mod chart;
mod crossing;
mod day1;
mod day_extreme;
mod day_level;
pub mod days;
mod explained;
mod gap;
mod levels;
mod list;
mod minute_volumes;
mod opening_range;
mod pivot_break;
mod rests;
mod session_range;
mod squeeze;
mod surge;
mod trending;
mod volume_spike;

pub(crate) use agreement::Agreement;
pub use explained::{Explained, MOST_CONDITIONS, MOST_POINTS};
pub use levels::Levels;
pub use list::{COUNT, PATTERNS};
pub use minute_volumes::{MinuteVolumes, Usual};
pub use opening_range::OpeningRanges;
pub(crate) use rests::Rests;
pub use session_range::{Level, SessionRange};

use serde::{Deserialize, Serialize};

use crate::above::Above;
use crate::candle::talib::Candles;
use crate::event::PARAMETERS;
use crate::figure::Kind;
use crate::study::Study;
use crate::timeframe::Timeframe;
use crate::window::Window;

/// As a share of the close, by how much prices that were calculated may differ and be equal: rounding is far below it, a tick of any
/// market far above.
pub(crate) const EQUAL: f64 = 1e-9;

/// What a pattern can look at when a bar closes.
#[derive(Clone, Copy)]
pub struct Closing<'a> {
    /// The window; its newest bar is the one that closes.
    pub window: &'a Window,
    /// The session's bars before the newest, and the sessions before it.
    pub session: &'a SessionRange,
    /// What TA-Lib's functions say about the newest bar; `None` if none of them is on.
    pub candles: Option<&'a Candles>,
    /// What the bars have come to, the newest included; `None` if no pattern that is on reads it.
    pub study: Option<&'a Study>,
    /// What the minutes of the sessions before traded; `None` if no pattern that is on reads it.
    pub volumes: Option<&'a MinuteVolumes>,
    /// The patterns that hold on the newest bar, as far as they have been asked.
    pub held: &'a [(u16, Match)],
    /// What had closed of longer timeframes by its end.
    pub above: Above<'a>,
}

impl<'a> Closing<'a> {
    /// A bar of which no pattern has been asked, and that sees no longer timeframe.
    #[must_use]
    pub fn new(
        window: &'a Window,
        session: &'a SessionRange,
        candles: Option<&'a Candles>,
        study: Option<&'a Study>,
    ) -> Self {
        Self { window, session, candles, study, volumes: None, held: &[], above: Above::default() }
    }

    /// The study, with a: the average true range in price; `None` while there are too few bars for one.
    #[must_use]
    pub fn measured(&self) -> Option<(&'a Study, f64)> {
        self.study.and_then(|study| Some((study, study.atr()?)))
    }
}

/// A detector. It holds no state of its own: what it knows is in what [`Closing`] shows.
pub trait Pattern: Sync {
    /// Lower-case identity, fixed for ever: it is part of every event's id.
    fn id(&self) -> &'static str;

    /// The published name, CamelCase, distinct from all others in its first eight letters (consumers cut it there).
    fn name(&self) -> &'static str;

    /// Part of its events' ids: raised whenever its definition or a threshold changes, so that two definitions never make one event.
    fn parameters(&self) -> &'static str {
        PARAMETERS
    }

    /// Bars the window must hold before the pattern can be seen.
    fn bars_needed(&self) -> usize;

    /// The consumer's tier: `daily`, `intraday` or `combo`.
    fn tier(&self) -> &'static str {
        "intraday"
    }

    /// The longest bars on which it can be seen: what looks at a session from within cannot be seen on whole ones.
    fn longest(&self) -> Timeframe {
        Timeframe::Weekly
    }

    /// Which ways it can point.
    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bullish, Direction::Bearish]
    }

    /// Where the definition comes from.
    fn source(&self) -> &'static str;

    /// TA-Lib's name of the function, if it is one of TA-Lib's.
    fn talib_name(&self) -> Option<&'static str> {
        None
    }

    /// Bars after it has held in which it is not looked for, within a session.
    fn cooldown(&self) -> u8 {
        0
    }

    /// Whether it reads [`Closing::study`].
    fn needs_study(&self) -> bool {
        false
    }

    /// Whether it reads [`Closing::volumes`].
    fn needs_volumes(&self) -> bool {
        false
    }

    /// Whether it reads [`Closing::held`]: it is asked when all others have been.
    fn is_of_others(&self) -> bool {
        false
    }

    /// Flags of what it is measured from beyond the bars of a match: a level, the session so far. Asked only for events.
    fn flags(&self, at: &Closing<'_>) -> u8 {
        let _ = at;
        0
    }

    /// The kind of figure, if it is a chart pattern.
    fn chart(&self) -> Option<Kind> {
        None
    }

    /// What the points that draw it are called, in the order of [`Explained::points`].
    fn points(&self) -> &'static [&'static str] {
        &[]
    }

    /// What its conditions are called, in the order of [`Explained::margins`].
    fn conditions(&self) -> &'static [&'static str] {
        &[]
    }

    /// The pattern, if it ends on the bar that closes; `None` if not, and while bars are missing.
    ///
    /// Any finite bars are allowed; nothing returned is infinite or NaN.
    fn detect(&self, at: &Closing<'_>) -> Option<Match>;

    /// What made it, of a match that `detect` has just returned. Asked only for events.
    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        let _ = (at, found);
        Explained::default()
    }
}

/// Which way a pattern points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(i8)]
pub enum Direction {
    /// Prices are expected to fall.
    Bearish = -1,
    /// No expectation.
    Neutral = 0,
    /// Prices are expected to rise.
    Bullish = 1,
}

impl Direction {
    /// It and no other.
    #[must_use]
    pub fn alone(self) -> &'static [Self] {
        match self {
            Self::Bearish => &[Self::Bearish],
            Self::Neutral => &[Self::Neutral],
            Self::Bullish => &[Self::Bullish],
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearish => "bearish",
            Self::Neutral => "neutral",
            Self::Bullish => "bullish",
        }
    }
}

/// A pattern that was found on the newest bar of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Which way it points.
    pub direction: Direction,
    /// How well the bars fit the definition, 0..1: match quality, not a probability.
    pub confidence: f64,
    /// The newest bars that the rule looked at, the newest included; a flag on any of them is a flag on the event.
    pub bars: u16,
    /// Key prices.
    pub levels: Levels,
    /// What TA-Lib's function answers; 0 if it is none of TA-Lib's.
    pub talib_value: i32,
}

/// A match whose confidence is 0.5 + 0.5 · q, q within 0..1; `None` for NaN.
pub(crate) fn graded(direction: Direction, q: f64, bars: u16, levels: Levels) -> Option<Match> {
    let confidence = 0.5 + 0.5 * q.clamp(0.0, 1.0);
    (!q.is_nan()).then_some(Match { direction, confidence, bars, levels, talib_value: 0 })
}
