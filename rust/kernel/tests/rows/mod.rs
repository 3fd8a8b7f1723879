//! Bars written as rows, for tests.

use tickstockpl_kernel::pattern::SessionRange;
use tickstockpl_kernel::window::{Window, WindowBar};

/// A bar as (open, high, low, close, volume).
pub(crate) type Row = (f64, f64, f64, f64, i64);

pub(crate) fn bar(number: usize, (open, high, low, close, volume): Row) -> WindowBar {
    WindowBar { ts_us: number as i64 * 60_000_000, open, high, low, close, volume, quality: 0 }
}

/// The session range before the last row, and a window that ends on it.
pub(crate) fn state(rows: &[Row]) -> (Window, SessionRange) {
    let mut window = Window::new(200);
    let mut session = SessionRange::new();
    for (number, &row) in rows.iter().enumerate() {
        if let Some(previous) = window.bar(0) {
            session.push(&previous);
        }
        window.push(bar(number, row));
    }
    (window, session)
}
