//! Trade conditions: which fields of a bar a print may set.

/// One row of the vendor's reference: an id and the fields that a trade with it updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The id in a message's `conditions`.
    pub id: u8,
    /// The vendor's name.
    pub name: &'static str,
    /// Updates the high and the low.
    pub high_low: bool,
    /// Updates the open and the close.
    pub open_close: bool,
    /// Updates the volume.
    pub volume: bool,
}

const Y: bool = true;
const N: bool = false;

const fn rule(id: u8, name: &'static str, high_low: bool, open_close: bool, volume: bool) -> Condition {
    Condition { id, name, high_low, open_close, volume }
}

/// Extended hours ("form T"): the tape's daily prices leave it out, bars of those hours are made of it.
pub const FORM_T: i64 = 12;

/// Every id that has rules: name, high/low, open/close, volume.
///
/// The ids that are missing are states of a security (57 to 60 short sale, 62 to 71 financial status) or unassigned:
/// they block nothing.
///
/// Source: Massive (Polygon) stock trade conditions, `consolidated` update rules; names and flags as in
/// polygon-io/client-python `test_rest/test_conditions.py` and adamdeprince/massive-speedup `src/cpp/native.hpp`;
/// id 0 from QuantConnect/Lean `ToolBox/Polygon/PolygonSIPMappings.cs`. They agree with the sale conditions of CTS and
/// the matrix of UTP 3.14 but for the conditional opens and closes, which the vendor folds to one flag.
#[rustfmt::skip] // One row a line: it is a table.
pub const CONDITIONS: [Condition; 42] = [
    rule(0, "Regular Sale", Y, Y, Y),
    rule(1, "Acquisition", Y, Y, Y),
    rule(2, "Average Price Trade", N, N, Y),
    rule(3, "Automatic Execution", Y, Y, Y),
    rule(4, "Bunched Trade", Y, Y, Y),
    rule(5, "Bunched Sold Trade", Y, N, Y),
    rule(6, "CAP Election", Y, Y, Y),
    rule(7, "Cash Sale", N, N, Y),
    rule(8, "Closing Prints", Y, Y, Y),
    rule(9, "Cross Trade", Y, Y, Y),
    rule(10, "Derivatively Priced", Y, N, Y),
    rule(11, "Distribution", Y, Y, Y),
    rule(12, "Form T/Extended Hours", N, N, Y),
    rule(13, "Extended Hours (Sold Out Of Sequence)", N, N, Y),
    rule(14, "Intermarket Sweep", Y, Y, Y),
    rule(15, "Market Center Official Close", N, N, N),
    rule(16, "Market Center Official Open", N, N, N),
    rule(17, "Market Center Opening Trade", Y, Y, Y),
    rule(18, "Market Center Reopening Trade", Y, Y, Y),
    rule(19, "Market Center Closing Trade", Y, Y, Y),
    rule(20, "Next Day", N, N, Y),
    rule(21, "Price Variation Trade", N, N, Y),
    rule(22, "Prior Reference Price", Y, N, Y),
    rule(23, "Rule 155 Trade (AMEX)", Y, Y, Y),
    rule(24, "Rule 127 (NYSE Only)", Y, Y, Y),
    rule(25, "Opening Prints", Y, Y, Y),
    rule(27, "Stopped Stock (Regular Trade)", Y, Y, Y),
    rule(28, "Re-Opening Prints", Y, Y, Y),
    rule(29, "Seller", N, N, Y),
    rule(30, "Sold Last", Y, Y, Y),
    rule(31, "Sold Last and Stopped Stock", Y, Y, Y),
    rule(32, "Sold (Out Of Sequence)", Y, N, Y),
    rule(33, "Sold (Out of Sequence) and Stopped Stock", Y, N, Y),
    rule(34, "Split Trade", Y, Y, Y),
    rule(35, "Stock Option", Y, Y, Y),
    rule(36, "Yellow Flag Regular Trade", Y, Y, Y),
    rule(37, "Odd Lot Trade", N, N, Y),
    rule(38, "Corrected Consolidated Close (per listing market)", Y, Y, N),
    rule(41, "Trade Thru Exempt", Y, Y, Y),
    rule(52, "Contingent Trade", N, N, Y),
    rule(53, "Qualified Contingent Trade", N, N, Y),
    rule(55, "Opening Reopening Trade Detail", Y, Y, Y),
];

/// What one tick may set, all its conditions taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own; all sixteen combinations occur")]
pub struct Rights {
    /// May set the high and the low.
    pub high_low: bool,
    /// May set the open and the close.
    pub open_close: bool,
    /// Counts for the volume.
    pub volume: bool,
    /// Carries id 12, which blocks prices in regular hours only.
    pub form_t: bool,
}

impl Rights {
    /// A regular sale: no conditions.
    pub const REGULAR_SALE: Self = Self { high_low: true, open_close: true, volume: true, form_t: false };

    /// These rights and one more condition: a field may be set if every id allows it; unknown ids are neutral.
    #[must_use]
    #[inline]
    pub fn with(self, id: i64) -> Self {
        let Some(rights) = usize::try_from(id).ok().and_then(|id| RIGHTS.get(id)) else {
            return self;
        };
        Self {
            high_low: self.high_low & rights.high_low,
            open_close: self.open_close & rights.open_close,
            volume: self.volume & rights.volume,
            form_t: self.form_t | rights.form_t,
        }
    }

    /// The rights that count at the tick's own time: in `regular` hours id 12 blocks high/low and open/close.
    #[must_use]
    pub const fn in_session(self, regular: bool) -> Self {
        let blocked = regular && self.form_t;
        Self { high_low: self.high_low && !blocked, open_close: self.open_close && !blocked, ..self }
    }

    /// The tick may set nothing at all.
    #[must_use]
    pub const fn none(self) -> bool {
        !(self.high_low || self.open_close || self.volume)
    }
}

/// `CONDITIONS` by id. Id 12 blocks nothing here: `in_session` decides.
static RIGHTS: [Rights; 56] = {
    let mut rights = [Rights::REGULAR_SALE; 56];
    let mut row = 0;
    while row < CONDITIONS.len() {
        let Condition { id, high_low, open_close, volume, .. } = CONDITIONS[row];
        rights[id as usize] = if id as i64 == FORM_T {
            Rights { form_t: true, ..Rights::REGULAR_SALE }
        } else {
            Rights { high_low, open_close, volume, form_t: false }
        };
        row += 1;
    }
    rights
};

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(ids: &[i64]) -> (bool, bool, bool) {
        let all = ids.iter().fold(Rights::REGULAR_SALE, |rights, &id| rights.with(id)).in_session(true);
        (all.high_low, all.open_close, all.volume)
    }

    #[test]
    fn the_blocked_ids_are_those_of_the_vendor() {
        let blocked =
            |set: fn((bool, bool, bool)) -> bool| (0..100).filter(|&id| !set(rights(&[id]))).collect::<Vec<_>>();
        assert_eq!(blocked(|r| r.0), [2, 7, 12, 13, 15, 16, 20, 21, 29, 37, 52, 53]);
        assert_eq!(blocked(|r| r.1), [2, 5, 7, 10, 12, 13, 15, 16, 20, 21, 22, 29, 32, 33, 37, 52, 53]);
        assert_eq!(blocked(|r| r.2), [15, 16, 38]);
    }

    #[test]
    fn any_no_wins_among_several_ids() {
        assert_eq!(rights(&[14, 41]), (true, true, true));
        assert_eq!(rights(&[14, 37, 41]), (false, false, true));
        assert_eq!(rights(&[8, 9, 41]), (true, true, true));
        assert_eq!(rights(&[10, 41]), (true, false, true));
        assert_eq!(rights(&[15]), (false, false, false));
        assert!(Rights::REGULAR_SALE.with(38).with(37).none());
    }

    #[test]
    fn form_t_is_neutral_outside_regular_hours() {
        let form_t = Rights::REGULAR_SALE.with(FORM_T);
        let extended = form_t.in_session(false);
        assert!(extended.high_low && extended.open_close && extended.volume);
        let regular = form_t.in_session(true);
        assert!(!regular.high_low && !regular.open_close && regular.volume);
    }

    #[test]
    fn states_and_unknown_ids_are_neutral() {
        assert_eq!(rights(&[57, 62, 71, -1, i64::MIN, i64::MAX, 26, 54]), (true, true, true));
    }
}
