//! Head and shoulders, and the inverse.

use super::{Breaks, Figure, Form, Kind, Line, Pivots, beyond, margins, newest, within};
use crate::study::Zigzag;

/// A high between two lower ones that are alike, after a rise.
///
/// rule, of the pivots l₀ h₁ l₁ h₂ l₂ h₃, h₃ the newest, the neckline through l₁ and l₂, H = h₂ − neckline(i(h₂)):
/// H ≥ 3a, h₂ − max(h₁, h₃) ≥ 0.2·H, |h₁ − h₃| ≤ 0.25·H, |l₁ − l₂| ≤ 0.25·H, min(h₁, h₃) − max(l₁, l₂) ≥ 0.25·H,
/// 0.4 ≤ (i(h₃) − i(h₂))/(i(h₂) − i(h₁)) ≤ 2.5, h₁ − l₀ ≥ 0.4·H. Confirmed by a close below the neckline; over after
/// a close above h₃, or i(h₃) − i(h₁) bars. stop = h₃, target = neckline − H. The inverse is the mirror image.
///
/// margins: height H against 3a; head h₂ − max(h₁, h₃) against 0.2·H; shoulders |h₁ − h₃| and neck |l₁ − l₂| against
/// 0.25·H; room min(h₁, h₃) − max(l₁, l₂) against 0.25·H; leg h₁ − l₀ against 0.4·H.
///
/// Source: Bulkowski (2021), Encyclopedia of Chart Patterns, 3rd ed.; tolerances by height and a are ours.
pub(super) struct Shoulders {
    sign: f64,
    kind: Kind,
}

impl Shoulders {
    pub(super) const TOP: Self = Self { sign: 1.0, kind: Kind::HeadShoulders };
    pub(super) const BOTTOM: Self = Self { sign: -1.0, kind: Kind::InverseHeadShoulders };
}

impl Figure for Shoulders {
    fn form(&self, zigzag: &Zigzag, atr: f64) -> Option<Form> {
        let [(h3, i3), low2, (h2, i2), low1, (h1, i1), (l0, _)] = Pivots::new(zigzag, self.sign).newest()?;
        let ((l1, _), (l2, _)) = (low1, low2);
        let neckline = Line::through(low1, low2);
        let height = neckline.under(h2, i2);
        let (head, room, leg) = (h2 - h1.max(h3), h1.min(h3) - l1.max(l2), h1 - l0);
        let times = (i3 - i2) / (i2 - i1);
        let fits = height >= 3.0 * atr
            && head >= 0.2 * height
            && (h1 - h3).abs() <= 0.25 * height
            && (l1 - l2).abs() <= 0.25 * height
            && room >= 0.25 * height
            && (0.4..=2.5).contains(&times)
            && leg >= 0.4 * height;
        let form = Form {
            kind: self.kind,
            upper: Line::level(h3),
            lower: neckline,
            breaks: Breaks::Down,
            clearance: 0.0,
            height,
            stop: h3,
            life: i3 - i1,
            drawn: newest(6),
            margins: margins([
                beyond(height, 3.0 * atr),
                beyond(head, 0.2 * height),
                within(h1 - h3, 0.25 * height),
                within(l1 - l2, 0.25 * height),
                beyond(room, 0.25 * height),
                beyond(leg, 0.4 * height),
            ]),
        };
        fits.then(|| form.signed(self.sign, self.kind))
    }
}
