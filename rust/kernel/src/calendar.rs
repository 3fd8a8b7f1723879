//! Which sessions decide about a bar, and which about a trade.

use crate::session::{Session, Sessions};

/// Which sessions decide what.
#[derive(Debug, Default)]
pub struct Calendar {
    /// The sessions whose bars enter the windows.
    pub window: Sessions,
    /// The sessions of simulated symbols: always.
    pub simulated: Sessions,
    /// Regular hours, for condition 12 and for forgetting; `None` treats every hour as extended.
    pub regular: Option<Sessions>,
}

impl Calendar {
    /// The session whose window a symbol's minute belongs to, if it belongs to one.
    pub(crate) fn window_session(&self, simulated: bool, minute_us: i64) -> Option<Session> {
        let sessions = if simulated { &self.simulated } else { &self.window };
        sessions.at(minute_us)
    }

    /// The end of the session of a window, or else of the day, that `us` lies in.
    pub(crate) fn end_at(&self, us: i64) -> i64 {
        self.window.at(us).unwrap_or_else(|| self.simulated.day_at(us)).close_us
    }

    /// Whether `us` lies in regular hours.
    pub(crate) fn is_regular(&self, us: i64) -> bool {
        self.regular.as_ref().is_some_and(|sessions| sessions.open_at(us).is_some())
    }
}
