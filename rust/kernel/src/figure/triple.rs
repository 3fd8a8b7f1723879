//! Triple tops and triple bottoms.

use super::{Breaks, Figure, Form, Kind, Line, Pivots, beyond, margins, newest, within};
use crate::study::Zigzag;

/// Three highs at one price, after a rise.
///
/// rule, of the pivots l₀ h₁ l₁ h₂ l₂ h₃, h₃ the newest, with H = min(h) − max(l₁, l₂): H ≥ 2.5a, the highs within
/// 0.12·H of each other, |l₁ − l₂| ≤ 0.30·H, h₁ − l₀ ≥ 0.8·H. Confirmed by a close below min(l₁, l₂); over after a
/// close above the highs, or i(h₃) − i(h₁) bars. stop = max(h), target = min(l₁, l₂) − H. A triple bottom is the mirror image.
///
/// margins: height H against 2.5a; level, the highs' spread against 0.12·H; floor |l₁ − l₂| against 0.30·H; leg
/// h₁ − l₀ against 0.8·H.
///
/// Source: Bulkowski (2021), Encyclopedia of Chart Patterns, 3rd ed.; tolerances by height and a are ours.
pub(super) struct Triple {
    sign: f64,
    kind: Kind,
}

impl Triple {
    pub(super) const TOP: Self = Self { sign: 1.0, kind: Kind::TripleTop };
    pub(super) const BOTTOM: Self = Self { sign: -1.0, kind: Kind::TripleBottom };
}

impl Figure for Triple {
    fn form(&self, zigzag: &Zigzag, atr: f64) -> Option<Form> {
        let [(h3, i3), (l2, _), (h2, _), (l1, _), (h1, i1), (l0, _)] = Pivots::new(zigzag, self.sign).newest()?;
        let (top, lowest_top) = (h1.max(h2).max(h3), h1.min(h2).min(h3));
        let (height, spread, leg) = (lowest_top - l1.max(l2), top - lowest_top, h1 - l0);
        let fits =
            height >= 2.5 * atr && spread <= 0.12 * height && (l1 - l2).abs() <= 0.30 * height && leg >= 0.8 * height;
        let form = Form {
            kind: self.kind,
            upper: Line::level(top),
            lower: Line::level(l1.min(l2)),
            breaks: Breaks::Down,
            clearance: 0.0,
            height,
            stop: top,
            life: i3 - i1,
            drawn: newest(6),
            margins: margins([
                beyond(height, 2.5 * atr),
                within(spread, 0.12 * height),
                within(l1 - l2, 0.30 * height),
                beyond(leg, 0.8 * height),
            ]),
        };
        fits.then(|| form.signed(self.sign, self.kind))
    }
}
