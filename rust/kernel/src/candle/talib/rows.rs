//! What a row of prices may be: a bar, or four NaN for none.

use crate::error::KernelError;

/// Open, high, low and close, a row a bar.
pub type Prices<'a> = [&'a [f64]; 4];

const NAMES: [&str; 4] = ["open", "high", "low", "close"];

/// Whether every row is a bar; false if some are four NaN.
pub(super) fn check(prices: Prices<'_>, rows: usize) -> Result<bool, KernelError> {
    for (name, column) in NAMES.into_iter().zip(prices) {
        if column.len() != rows {
            return Err(KernelError::Length { column: name, rows: column.len(), expected: rows });
        }
    }
    let [open, high, low, close] = prices;
    let bars = open.iter().zip(high).zip(low).zip(close);
    // No early way out: this loop decides nothing, so that it runs in vectors; a row that is no bar is looked for below.
    let whole = bars.fold(true, |whole, (((o, h), l), c)| whole & is_bar([*o, *h, *l, *c]));
    if !whole {
        (0..rows).try_for_each(|row| check_row(prices.map(|column| column[row]), row))?;
    }
    Ok(whole)
}

/// Whether all four are numbers, and high is not below low.
fn is_bar([open, high, low, close]: [f64; 4]) -> bool {
    [open, high, low, close].iter().all(|price| price.abs() < f64::INFINITY) && high >= low
}

/// Whether the row is none.
pub(super) fn is_absent(bar: [f64; 4]) -> bool {
    bar.iter().all(|price| price.is_nan())
}

/// Whether this one row is a bar or none.
pub(super) fn check_row(bar: [f64; 4], row: usize) -> Result<(), KernelError> {
    if is_bar(bar) || is_absent(bar) {
        return Ok(());
    }
    let wrong = NAMES.into_iter().zip(bar).find(|(_, price)| !price.is_finite());
    let (column, value) = wrong.unwrap_or(("high", bar[1]));
    let rule = if wrong.is_some() { "finite, or all four NaN for no bar" } else { "at least low" };
    Err(KernelError::Row { column, rule, row, value })
}

#[cfg(test)]
mod tests {
    use super::check;

    fn checked(rows: &[[f64; 4]]) -> Result<bool, String> {
        let columns = [0, 1, 2, 3].map(|at: usize| rows.iter().map(|row| row[at]).collect::<Vec<_>>());
        check(columns.each_ref().map(Vec::as_slice), rows.len()).map_err(|error| error.to_string())
    }

    const BAR: [f64; 4] = [2.0, 3.0, 1.0, 2.5];
    const NONE: [f64; 4] = [f64::NAN; 4];

    #[test]
    fn bars_are_whole_and_four_nan_are_none() {
        assert_eq!(checked(&[]), Ok(true));
        assert_eq!(checked(&[BAR, BAR]), Ok(true));
        assert_eq!(checked(&[BAR, NONE]), Ok(false));
    }

    #[test]
    fn open_and_close_may_lie_outside() {
        assert_eq!(checked(&[[9.0, 3.0, 1.0, 0.5], [-1.0, -1.0, -1.0, -1.0]]), Ok(true));
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let text = |rows: &[[f64; 4]]| checked(rows).expect_err("no bar");
        assert_eq!(
            text(&[BAR, NONE, [2.0, 3.0, f64::NAN, 2.5], [f64::INFINITY; 4]]),
            "low must be finite, or all four NaN for no bar, row 2 is NaN"
        );
        assert_eq!(text(&[[f64::INFINITY; 4]]), "open must be finite, or all four NaN for no bar, row 0 is inf");
        assert_eq!(text(&[BAR, [2.0, 0.5, 1.0, 2.5]]), "high must be at least low, row 1 is 0.5");
    }

    #[test]
    fn columns_are_of_one_length() {
        let error = check([&[1.0], &[1.0], &[1.0, 1.0], &[1.0]], 1).expect_err("too long");
        assert_eq!(error.to_string(), "low must have 1 rows, had 2");
    }
}
