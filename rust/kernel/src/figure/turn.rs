//! V tops and V bottoms.

use serde::{Deserialize, Serialize};

use super::{Confirmed, Drawing, Kind, beyond, margins};
use crate::pattern::Direction;
use crate::study::Zigzag;
use crate::window::WindowBar;

/// The most bars of the leg into the turn.
const LEG_BARS: u32 = 10;

/// How much of the leg must be taken back.
const RETRACE: f64 = 0.618;

/// A steep rise that is taken back as steeply.
///
/// rule: the newest pivot is a high h, L above the low before it, made in n ≤ 10 bars. Confirmed by the first close, within n
/// bars of h, that is at or below h − 0.618·L while L ≥ 5a, a with that bar. stop = h, target = the low that the leg came from. One a pivot. A V
/// bottom is the mirror image.
///
/// margins: leg L against 5a; speed, the bars that the return took as a share of n, from 1 on.
///
/// Source: `TickStock`'s own list (V-top, V-bottom); 0.618 is the usual retracement, the measures are ours.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Turn {
    /// Number of the newest pivot that was turned, counted from 1.
    turned: u32,
    margins: [f64; 2],
}

impl Turn {
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.turned)
    }

    /// Takes in the bar of a number; the kind that it confirms. `zigzag` and `atr` are those with it.
    pub(super) fn push(&mut self, bar: &WindowBar, zigzag: &Zigzag, sign: f64, index: u32, atr: f64) -> Option<Kind> {
        let newest = zigzag.pivot(0).filter(|pivot| pivot.is_high == (sign > 0.0))?;
        let base = zigzag.pivot(1)?;
        let leg = sign * (newest.at.price - base.at.price);
        let bars = newest.at.index.saturating_sub(base.at.index);
        let back = index.saturating_sub(newest.at.index);
        let is_leg = leg >= 5.0 * atr && (1..=LEG_BARS).contains(&bars);
        let is_back = sign * (newest.at.price - bar.close) >= RETRACE * leg && back <= bars;
        if self.turned == zigzag.count() || !is_leg || !is_back {
            return None;
        }
        self.turned = zigzag.count();
        let speed = 1.0 - f64::from(back) / f64::from(bars);
        self.margins = [beyond(leg, 5.0 * atr), speed];
        Some(if sign > 0.0 { Kind::VTop } else { Kind::VBottom })
    }

    /// What it is, if the newest bar has confirmed it.
    pub(super) fn confirmed(&self, kind: Kind, bar: &WindowBar, zigzag: &Zigzag) -> Option<Confirmed> {
        let (newest, base) = (zigzag.pivot(0)?, zigzag.pivot(1)?);
        if self.turned != zigzag.count() || newest.is_high != (kind == Kind::VTop) {
            return None;
        }
        let mut drawing = Drawing::default();
        drawing.push(&base.at);
        drawing.push(&newest.at);
        let (points, count) = drawing.ended(bar);
        Some(Confirmed {
            direction: if newest.is_high { Direction::Bearish } else { Direction::Bullish },
            stop: newest.at.price,
            target: base.at.price,
            invalidation: newest.at.price,
            points,
            count,
            first: base.at.index,
            margins: margins(self.margins),
        })
    }
}
