//! Trading sessions as a table of half-open intervals: the calendar without its rules.

use serde::{Deserialize, Serialize};

use crate::error::KernelError;
use crate::snapshot::is_near;
use crate::time::DAY_US;

/// One session, `[open_us, close_us)` in µs UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its first instant.
    pub open_us: i64,
    /// The first instant after it.
    pub close_us: i64,
}

impl Session {
    /// The UTC day of `us`.
    #[must_use]
    pub fn utc_day(us: i64) -> Self {
        let open_us = us.div_euclid(DAY_US) * DAY_US;
        Self { open_us, close_us: open_us + DAY_US }
    }

    /// Whether it has an end after its start, and times can be counted on from both.
    pub(crate) fn is_sound(self) -> bool {
        self.open_us < self.close_us && is_near(self.open_us) && is_near(self.close_us)
    }

    /// Whether `us` lies in it.
    #[must_use]
    pub fn holds(&self, us: i64) -> bool {
        self.open_us <= us && us < self.close_us
    }
}

/// Sessions in ascending order, `[open, close)` in µs UTC; or, the default, one a UTC day, without end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sessions {
    /// False: every instant belongs to the session of its UTC day.
    listed: bool,
    opens: Vec<i64>,
    closes: Vec<i64>,
}

impl Sessions {
    /// Sessions from a table.
    ///
    /// # Errors
    /// [`KernelError::Sessions`] names the first row that is empty, or begins before the one above it has ended.
    pub fn new(rows: &[(i64, i64)]) -> Result<Self, KernelError> {
        let mut free_from = i64::MIN;
        for (row, &(open_us, close_us)) in rows.iter().enumerate() {
            if open_us >= close_us || open_us < free_from {
                return Err(KernelError::Sessions { row });
            }
            free_from = close_us;
        }
        Ok(Self { listed: true, opens: rows.iter().map(|r| r.0).collect(), closes: rows.iter().map(|r| r.1).collect() })
    }

    /// The open of the session that `us` lies in, if it lies in one. `O(log n)`.
    #[must_use]
    pub fn open_at(&self, us: i64) -> Option<i64> {
        self.at(us).map(|session| session.open_us)
    }

    /// The session that `us` lies in, if it lies in one. `O(log n)`.
    #[must_use]
    pub fn at(&self, us: i64) -> Option<Session> {
        if !self.listed {
            return Some(Session::utc_day(us));
        }
        self.last_opened(us).filter(|session| us < session.close_us)
    }

    /// The day that `us` lies in, of a table of days: beyond its ends, and in its holes, days of 24 hours go on from its
    /// edges. `O(log n)`.
    #[must_use]
    pub fn day_at(&self, us: i64) -> Session {
        let Some(&first_us) = self.opens.first() else {
            return Session::utc_day(us);
        };
        match self.last_opened(us) {
            Some(day) if day.holds(us) => day,
            last => {
                let edge_us = last.map_or(first_us, |day| day.close_us);
                let open_us = edge_us + (us - edge_us).div_euclid(DAY_US) * DAY_US;
                Session { open_us, close_us: self.next_open(us).min(open_us + DAY_US) }
            }
        }
    }

    /// The rows of its table; `None` without one.
    #[must_use]
    pub fn rows(&self) -> Option<impl ExactSizeIterator<Item = Session> + '_> {
        let rows = self.opens.iter().zip(&self.closes);
        self.listed.then(|| rows.map(|(&open_us, &close_us)| Session { open_us, close_us }))
    }

    /// The sessions of a table that lie within `[start_us, end_us)`, both at a session's edge.
    pub(crate) fn within(&self, start_us: i64, end_us: i64) -> impl Iterator<Item = Session> + '_ {
        let row = |us: i64| self.opens.partition_point(|&open| open < us);
        let rows = self.opens.iter().zip(&self.closes).take(row(end_us)).skip(row(start_us));
        rows.map(|(&open_us, &close_us)| Session { open_us, close_us })
    }

    /// The newest session of a table that is open at `us` or before.
    fn last_opened(&self, us: i64) -> Option<Session> {
        let row = self.opens.partition_point(|&open| open <= us).checked_sub(1)?;
        Some(Session { open_us: self.opens[row], close_us: self.closes[row] })
    }

    /// The newest session open at or before `us`, and the one before that.
    #[must_use]
    pub fn last_two_opens(&self, us: i64) -> Option<(i64, i64)> {
        if !self.listed {
            let open = us.div_euclid(DAY_US) * DAY_US;
            return Some((open, open - DAY_US));
        }
        let row = self.opens.partition_point(|&open| open <= us).checked_sub(1)?;
        Some((self.opens[row], self.opens[row.checked_sub(1)?]))
    }

    /// The first session open after `us`; `i64::MAX` past the table's end.
    #[must_use]
    pub fn next_open(&self, us: i64) -> i64 {
        if !self.listed {
            return (us.div_euclid(DAY_US) + 1) * DAY_US;
        }
        let row = self.opens.partition_point(|&open| open <= us);
        self.opens.get(row).copied().unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_holds_its_open_and_not_its_close() {
        let sessions = Sessions::new(&[(10, 20), (30, 40)]).unwrap();
        assert_eq!([9, 10, 19, 20, 35].map(|us| sessions.open_at(us)), [None, Some(10), Some(10), None, Some(30)]);
        assert_eq!((sessions.next_open(10), sessions.next_open(30)), (30, i64::MAX));
        assert_eq!(sessions.last_two_opens(25), None);
        assert_eq!(sessions.last_two_opens(45), Some((30, 10)));
    }

    #[test]
    fn days_of_24_hours_go_on_from_the_edges_of_a_table_and_in_its_holes() {
        let day = |open_us, close_us| Session { open_us, close_us };
        let days = Sessions::new(&[(7, DAY_US), (3 * DAY_US + 9, 4 * DAY_US)]).unwrap();
        assert_eq!(days.day_at(7), day(7, DAY_US));
        assert_eq!(days.day_at(6), day(7 - DAY_US, 7));
        assert_eq!(days.day_at(DAY_US), day(DAY_US, 2 * DAY_US));
        assert_eq!(days.day_at(3 * DAY_US + 8), day(3 * DAY_US, 3 * DAY_US + 9));
        assert_eq!(days.day_at(6 * DAY_US - 1), day(5 * DAY_US, 6 * DAY_US));
        for utc in [Sessions::default(), Sessions::new(&[]).unwrap()] {
            assert_eq!(utc.day_at(-1), day(-DAY_US, 0));
        }
    }

    #[test]
    fn without_a_table_every_utc_day_is_a_session() {
        let always = Sessions::default();
        assert_eq!(always.open_at(DAY_US + 5), Some(DAY_US));
        assert_eq!(always.next_open(DAY_US), 2 * DAY_US);
    }

    #[test]
    fn an_empty_table_has_no_session() {
        let never = Sessions::new(&[]).unwrap();
        assert_eq!((never.open_at(5), never.next_open(5), never.last_two_opens(5)), (None, i64::MAX, None));
    }

    #[test]
    fn overlapping_sessions_are_refused_by_row() {
        assert!(matches!(Sessions::new(&[(0, 10), (9, 20)]), Err(KernelError::Sessions { row: 1 })));
    }
}
