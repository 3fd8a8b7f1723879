//! Trading sessions as a table of half-open intervals: the calendar without its rules.

use serde::Serialize;

use crate::error::KernelError;

const DAY_US: i64 = 86_400_000_000;

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
        if !self.listed {
            return Some(us.div_euclid(DAY_US) * DAY_US);
        }
        let after = self.opens.partition_point(|&open| open <= us);
        let row = after.checked_sub(1)?;
        (us < self.closes[row]).then(|| self.opens[row])
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
