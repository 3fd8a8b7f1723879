//! Cups with a handle, and the inverse.

use super::{Breaks, Figure, Form, Kind, Line, beyond, margins, within};
use crate::study::Zigzag;

/// The right rim, as a pivot before the newest, and where the left one may be: 1, 3, 5 or 7 pivots lie between.
const RIGHT: u32 = 1;
const LEFT: [u32; 4] = [3, 5, 7, 9];

/// A low between two highs at one price, and a smaller one after it.
///
/// rule, of the pivots h₁ … h₂ l, l the newest, a low, with b the lowest pivot between the rims h₁ and h₂ (of equal ones the
/// oldest), D = min(h₁, h₂) − b and C = i(h₂) − i(h₁): h₁ is the newest high before h₂ that h₂ is not above by more than
/// 0.15·D, at most 7 pivots between them, so that lower highs are swings within the cup. |h₁ − h₂| ≤ 0.15·D, D ≥ 4a,
/// C ≥ 20, 0.3 ≤ (i(b) − i(h₁))/C ≤ 0.7. The handle: h₂ − l ≤ 0.5·D, and l is confirmed 0.1·C to 0.5·C after h₂. Confirmed
/// by a close above h₂; over after a close below l, or 0.5·C after h₂. stop = l, target = h₂ + D. An inverse cup is the
/// mirror image.
///
/// A handle is a swing, and so 3a deep when its top is confirmed: a cup that has one is as a rule 6a deep or more.
///
/// margins: depth D against 4a; rims |h₁ − h₂| against 0.15·D; bottom, b's distance from the middle against 0.2·C;
/// handle h₂ − l against 0.5·D.
///
/// Source: O'Neil (2009), How to Make Money in Stocks, 4th ed., for the figure; Bulkowski (2021), Encyclopedia of Chart
/// Patterns, 3rd ed., for the inverse and the target; the measures are ours.
pub(super) struct CupHandle {
    sign: f64,
    kind: Kind,
}

impl CupHandle {
    pub(super) const UPRIGHT: Self = Self { sign: 1.0, kind: Kind::CupHandle };
    pub(super) const INVERSE: Self = Self { sign: -1.0, kind: Kind::InverseCupHandle };
}

impl Figure for CupHandle {
    fn form(&self, zigzag: &Zigzag, atr: f64) -> Option<Form> {
        let handle = zigzag.pivot(0).filter(|handle| handle.is_high != (self.sign > 0.0))?;
        let pivot = |back| zigzag.pivot(back).map(|pivot| (self.sign * pivot.at.price, f64::from(pivot.at.index)));
        let ((low, _), (h2, i2)) = (pivot(0)?, pivot(RIGHT)?);
        let mut lowest = (f64::INFINITY, 0.0, 0);
        for left in LEFT {
            let ((price, index), (h1, i1)) = (pivot(left - 1)?, pivot(left)?);
            if price <= lowest.0 {
                lowest = (price, index, left - 1);
            }
            let (bottom, ib, at) = lowest;
            let depth = h1.min(h2) - bottom;
            if h2 - h1 > 0.15 * depth {
                continue;
            }
            let (bars, since) = (i2 - i1, f64::from(handle.confirmed) - i2);
            let middle = (ib - i1) / bars;
            let fits = depth >= 4.0 * atr
                && (h1 - h2).abs() <= 0.15 * depth
                && bars >= 20.0
                && (0.3..=0.7).contains(&middle)
                && h2 - low <= 0.5 * depth
                && (0.1..=0.5).contains(&(since / bars));
            let form = Form {
                kind: self.kind,
                upper: Line::level(h2),
                lower: Line::level(low),
                breaks: Breaks::Up,
                clearance: 0.0,
                height: depth,
                stop: low,
                life: 0.5 * bars - since,
                drawn: [0, RIGHT, at, left].into_iter().fold(0, |drawn, back| drawn | 1 << back),
                margins: margins([
                    beyond(depth, 4.0 * atr),
                    within(h1 - h2, 0.15 * depth),
                    within(middle - 0.5, 0.2),
                    within(h2 - low, 0.5 * depth),
                ]),
            };
            return fits.then(|| form.signed(self.sign, self.kind));
        }
        None
    }
}
