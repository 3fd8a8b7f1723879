//! The line through the last closes.

use crate::window::View;

/// Closes that the line is laid through.
pub(crate) const BARS: usize = 10;

const MIDDLE: f64 = (BARS as f64 - 1.0) / 2.0;

/// Of the last 10 closes Σ distance from the middle × price; `None` until there are that many. Over the sum of the squared
/// distances it is the slope of the least squares line. Prices are differences from the newest close, so that nothing is lost
/// at high ones.
pub(crate) fn product(view: View<'_>) -> Option<f64> {
    // Bars behind the window's oldest are held, but not in it.
    let newest = view.bar(0).filter(|_| view.len() >= BARS)?.close;
    (0..BARS).try_fold(0.0, |sum, back| Some(sum + (MIDDLE - back as f64) * (view.bar(back)?.close - newest)))
}
