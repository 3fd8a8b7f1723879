//! Prices that go in straight legs, and what patterns say about them.

use crate::rows::{Row, bar};
use tickstockpl_kernel::pattern::{Closing, Match, PATTERNS, SessionRange};
use tickstockpl_kernel::study::{Kernels, Study};
use tickstockpl_kernel::window::Window;

/// A price and the bars that lead to it.
pub(crate) type Leg = (f64, u32);

/// Bars from `start` along the legs, each bar from the close before it to its own.
pub(crate) fn path(start: f64, legs: &[Leg]) -> Vec<Row> {
    let mut rows = vec![(start, start, start, start, 100)];
    let mut from = start;
    for &(to, bars) in legs {
        for step in 1..=bars {
            let price = |step: u32| from + (to - from) * f64::from(step) / f64::from(bars);
            let (open, close) = (price(step - 1), price(step));
            rows.push((open, open.max(close), open.min(close), close, 100));
        }
        from = to;
    }
    rows
}

/// A firing: on which bar, what it says, and its points as (bar, price).
pub(crate) struct Fired {
    pub(crate) bar: usize,
    pub(crate) found: Match,
    pub(crate) points: Vec<(usize, f64)>,
    /// a, with that bar.
    #[allow(dead_code, reason = "not every figure has a level that a makes")]
    pub(crate) atr: f64,
}

pub(crate) fn fired(id: &str, rows: &[Row]) -> Vec<Fired> {
    let pattern = PATTERNS.iter().find(|pattern| pattern.id() == id).expect("a known id");
    let kernels = Kernels::new().expect("periods within their ranges");
    let (mut window, mut study) = (Window::new(200), Study::default());
    let session = SessionRange::opened(Some(0));
    let mut all = Vec::new();
    for (number, &row) in rows.iter().enumerate() {
        window.push(bar(number, row));
        study.take_newest(&window, &kernels);
        let at = Closing::new(&window, &session, None, Some(&study));
        if let Some(found) = pattern.detect(&at) {
            let points = pattern.explain(&at, &found).points;
            let points = points.iter().map(|&(ts_us, price)| ((ts_us / 60_000_000) as usize, price)).collect();
            all.push(Fired { bar: number, found, points, atr: study.atr().expect("14 bars") });
        }
    }
    all
}

/// It fires once, on the last of its points, with these points and levels.
#[track_caller]
pub(crate) fn assert_once(
    id: &str,
    rows: &[Row],
    direction: i32,
    points: &[(usize, f64)],
    stop: f64,
    target: Option<f64>,
) {
    let all = fired(id, rows);
    let bars: Vec<usize> = all.iter().map(|one| one.bar).collect();
    let [one] = &all[..] else { panic!("{id} fired on {bars:?}") };
    assert_eq!((one.bar, one.found.direction as i32), (points[points.len() - 1].0, direction), "{id}");
    assert_eq!(one.points, points, "{id}");
    let levels = one.found.levels;
    assert_eq!((levels.entry, levels.stop, levels.target), (points[points.len() - 1].1, Some(stop), target), "{id}");
    assert_eq!(usize::from(one.found.bars), one.bar - points[0].0 + 1, "{id}");
}

/// Down to 100 and up to 120, where a is 2.
const RISE: [Leg; 2] = [(100.0, 5), (120.0, 10)];

pub(crate) fn after_rise(legs: &[Leg]) -> Vec<Row> {
    path(110.0, &[&RISE[..], legs].concat())
}
