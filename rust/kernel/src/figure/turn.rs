//! V tops and V bottoms.

use serde::{Deserialize, Serialize};

use super::forming::Forming;
use super::{Confirmed, Drawing, Kind, beyond, margins};
use crate::pattern::Direction;
use crate::study::{Pivot, Zigzag};
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

/// A leg into a pivot: its length in price, and in bars.
struct Leg<'a> {
    base: &'a Pivot,
    newest: &'a Pivot,
    height: f64,
    bars: u32,
}

impl Turn {
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.turned)
    }

    /// Takes in the bar of a number; the kind that it confirms. `zigzag` and `atr` are those with it.
    pub(super) fn push(&mut self, bar: &WindowBar, zigzag: &Zigzag, sign: f64, index: u32, atr: f64) -> Option<Kind> {
        let Leg { newest, height, bars, .. } = self.leg(zigzag, sign, atr)?;
        let back = index.saturating_sub(newest.at.index);
        let is_back = sign * (newest.at.price - bar.close) >= RETRACE * height && back <= bars;
        if !is_back {
            return None;
        }
        self.turned = zigzag.count();
        let speed = 1.0 - f64::from(back) / f64::from(bars);
        self.margins = [beyond(height, 5.0 * atr), speed];
        Some(if sign > 0.0 { Kind::VTop } else { Kind::VBottom })
    }

    /// The leg that ends at the newest pivot, if it is one that may be turned and has not been.
    fn leg<'a>(&self, zigzag: &'a Zigzag, sign: f64, atr: f64) -> Option<Leg<'a>> {
        let newest = zigzag.pivot(0).filter(|pivot| pivot.is_high == (sign > 0.0))?;
        let base = zigzag.pivot(1)?;
        let height = sign * (newest.at.price - base.at.price);
        let bars = newest.at.index.saturating_sub(base.at.index);
        let is_leg = height >= 5.0 * atr && (1..=LEG_BARS).contains(&bars);
        (is_leg && self.turned != zigzag.count()).then_some(Leg { base, newest, height, bars })
    }

    /// What forms with the bar of a number, with which `zigzag` and `atr` are.
    pub(super) fn forming(&self, zigzag: &Zigzag, sign: f64, index: u32, atr: f64) -> Option<Forming> {
        let Leg { base, newest, height, bars } = self.leg(zigzag, sign, atr)?;
        let left = bars.checked_sub(index.saturating_sub(newest.at.index)).filter(|&left| left > 0)?;
        let drawing = Drawing::of([&base.at, &newest.at]);
        Some(Forming {
            kind: if sign > 0.0 { Kind::VTop } else { Kind::VBottom },
            direction: if sign > 0.0 { Direction::Bearish } else { Direction::Bullish },
            trigger: newest.at.price - sign * RETRACE * height,
            slope: 0.0,
            stop: newest.at.price,
            target: base.at.price,
            waited: index.saturating_sub(newest.confirmed),
            left,
            points: drawing.points,
            count: drawing.count,
            margins: margins([beyond(height, 5.0 * atr)]),
        })
    }

    /// What it is, if the newest bar has confirmed it.
    pub(super) fn confirmed(&self, kind: Kind, bar: &WindowBar, zigzag: &Zigzag) -> Option<Confirmed> {
        let (newest, base) = (zigzag.pivot(0)?, zigzag.pivot(1)?);
        if self.turned != zigzag.count() || newest.is_high != (kind == Kind::VTop) {
            return None;
        }
        let (points, count) = Drawing::of([&base.at, &newest.at]).ended(bar);
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
