//! Double tops and double bottoms.

use super::{Breaks, Figure, Form, Kind, Line, Pivots, beyond, margins, newest, within};
use crate::study::Zigzag;

/// Two highs at one price, after a rise.
///
/// rule, of the pivots l₀ h₁ l₁ h₂, h₂ the newest, with H = min(h₁, h₂) − l₁: H ≥ 3a, |h₁ − h₂| ≤ 0.10·H,
/// 5 ≤ i(h₂) − i(h₁) ≤ 120, h₁ − l₀ ≥ 0.8·H. Confirmed by a close below l₁; over after a close above both highs, or
/// i(h₂) − i(h₁) bars. stop = max(h₁, h₂), target = l₁ − H. A double bottom is the mirror image.
///
/// margins: height H against 3a; level |h₁ − h₂| against 0.10·H; leg h₁ − l₀ against 0.8·H.
///
/// Source: Bulkowski (2021), Encyclopedia of Chart Patterns, 3rd ed.; tolerances by height and a are ours.
pub(super) struct Double {
    sign: f64,
    kind: Kind,
}

impl Double {
    pub(super) const TOP: Self = Self { sign: 1.0, kind: Kind::DoubleTop };
    pub(super) const BOTTOM: Self = Self { sign: -1.0, kind: Kind::DoubleBottom };
}

impl Figure for Double {
    fn form(&self, zigzag: &Zigzag, atr: f64) -> Option<Form> {
        let [(h2, i2), (l1, _), (h1, i1), (l0, _)] = Pivots::new(zigzag, self.sign).newest()?;
        let (height, apart, leg) = (h1.min(h2) - l1, i2 - i1, h1 - l0);
        let fits = height >= 3.0 * atr
            && (h1 - h2).abs() <= 0.10 * height
            && (5.0..=120.0).contains(&apart)
            && leg >= 0.8 * height;
        let top = h1.max(h2);
        let form = Form {
            kind: self.kind,
            upper: Line::level(top),
            lower: Line::level(l1),
            breaks: Breaks::Down,
            clearance: 0.0,
            height,
            stop: top,
            life: apart,
            drawn: newest(4),
            margins: margins([beyond(height, 3.0 * atr), within(h1 - h2, 0.10 * height), beyond(leg, 0.8 * height)]),
        };
        fits.then(|| form.signed(self.sign, self.kind))
    }
}
