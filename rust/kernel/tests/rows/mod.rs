//! Bars written as rows, for tests.

use tickstockpl_kernel::candle::talib::Candles;
use tickstockpl_kernel::pattern::{Closing, SessionRange};
use tickstockpl_kernel::study::{Kernels, Study};
use tickstockpl_kernel::window::{Window, WindowBar};

/// A bar as (open, high, low, close, volume).
pub(crate) type Row = (f64, f64, f64, f64, i64);

pub(crate) fn bar(number: usize, (open, high, low, close, volume): Row) -> WindowBar {
    WindowBar { ts_us: number as i64 * 60_000_000, open, high, low, close, volume, quality: 0 }
}

/// The session range before the last row, and a window that ends on it.
pub(crate) fn state(rows: &[Row]) -> (Window, SessionRange) {
    let mut window = Window::new(200);
    let mut session = SessionRange::opened(Some(0));
    for (number, &row) in rows.iter().enumerate() {
        if let Some(previous) = window.bar(0) {
            session.push(&previous);
        }
        window.push(bar(number, row));
    }
    (window, session)
}

/// All that a pattern looks at on the last row.
#[allow(dead_code, reason = "not every test looks at patterns")]
pub(crate) struct Scene {
    pub(crate) window: Window,
    session: SessionRange,
    candles: Candles,
    study: Study,
}

#[allow(dead_code, reason = "not every test looks at patterns")]
impl Scene {
    pub(crate) fn of(rows: &[Row]) -> Self {
        let (window, session) = state(rows);
        let (mut candles, mut study) = (Candles::default(), Study::default());
        let (mut growing, kernels) = (Window::new(200), Kernels::new().expect("periods within their ranges"));
        for (number, &row) in rows.iter().enumerate() {
            candles.push(&bar(number, row));
            growing.push(bar(number, row));
            study.take_newest(&growing, &kernels);
        }
        Self { window, session, candles, study }
    }

    pub(crate) fn closing(&self) -> Closing<'_> {
        Closing::new(&self.window, &self.session, Some(&self.candles), Some(&self.study))
    }
}
