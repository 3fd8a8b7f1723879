//! Key prices of a match.

use super::Direction;
use crate::window::Window;

/// Key prices of a match: a convention for drawing and for measuring what follows, not a promise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Close of the bar on which the pattern ends.
    pub entry: f64,
    /// The price at which the pattern is proved wrong.
    pub stop: Option<f64>,
    /// Of a candlestick entry plus twice the way from stop to entry; of others what their definition says.
    pub target: Option<f64>,
    /// The price beyond which no bar may close; of a candlestick the stop.
    pub invalidation: Option<f64>,
}

impl Levels {
    /// Levels of a figure drawn by the newest `bars` bars; `None` if the window holds fewer, or for `bars` = 0.
    ///
    /// stop: lowest low (bullish) or highest high (bearish) of those bars. Neutral patterns have no stop, and so has
    /// a figure whose stop is not beyond its entry. Without a stop there is no target. A target that no price can
    /// reach (not above 0, or beyond what a float holds) is `None`.
    #[must_use]
    pub fn of(window: &Window, direction: Direction, bars: u16) -> Option<Self> {
        let newest = window.bar(0)?;
        let entry = newest.close;
        let mut low = newest.low;
        let mut high = newest.high;
        for back in 1..usize::from(bars) {
            let bar = window.bar(back)?;
            low = low.min(bar.low);
            high = high.max(bar.high);
        }
        let stop = match direction {
            Direction::Bullish => Some(low).filter(|&stop| stop < entry),
            Direction::Bearish => Some(high).filter(|&stop| stop > entry),
            Direction::Neutral => None,
        };
        let target = stop.map(|stop| entry + 2.0 * (entry - stop)).filter(|&price| is_reachable(price));
        Some(Self { entry, stop, target, invalidation: stop })
    }

    /// Levels that a definition gives; of those that are not on their side of the entry, or that no price can reach, there are
    /// none, nor is there a target without a stop. The invalidation is the stop, unless [`Levels::void`] says otherwise.
    #[must_use]
    pub fn given(entry: f64, direction: Direction, stop: f64, target: f64) -> Self {
        let sign = f64::from(direction as i8);
        let stop = Some(stop).filter(|stop| is_reachable(*stop) && sign * (entry - stop) > 0.0);
        let target =
            Some(target).filter(|target| stop.is_some() && is_reachable(*target) && sign * (target - entry) > 0.0);
        Self { entry, stop, target, invalidation: stop }
    }

    /// An entry, and nothing else.
    #[must_use]
    pub fn bare(entry: f64) -> Self {
        Self { entry, stop: None, target: None, invalidation: None }
    }

    /// The same with another invalidation.
    #[must_use]
    pub fn void(self, invalidation: f64) -> Self {
        Self { invalidation: Some(invalidation).filter(|&price| is_reachable(price)), ..self }
    }
}

fn is_reachable(price: f64) -> bool {
    price.is_finite() && price > 0.0
}
