//! What two lines around five pivots make: rectangles, triangles, wedges, channels, broadening ones.

use super::{Breaks, Figure, Form, Kind, Line, Pivots, beyond, margins, newest, within};
use crate::study::Zigzag;

/// Five pivots between two lines.
///
/// rule: one line through the first and the last of the three pivots of a side, the other through the two pivots of the
/// other side; W and w the greater and the smaller of their distances at the first and at the last pivot. The middle
/// pivot of the three lies within 0.15·W of its line, W ≥ 3a, w > 0.15·W, and 10 bars or more lie between the first
/// and the last pivot. With u and d the changes of the upper and of the lower line over these bars, in W:
///
/// | figure | u | d |
/// |---|---|---|
/// | rectangle | −0.15 to 0.15 | −0.15 to 0.15 |
/// | ascending triangle | −0.15 to 0.15 | > 0.15 |
/// | descending triangle | < −0.15 | −0.15 to 0.15 |
/// | symmetric triangle | < −0.15 | > 0.15 |
/// | broadening | > 0.15 | < −0.15 |
/// | rising wedge | > 0.15 | > 0.15, d − u > 0.2 |
/// | falling wedge | < −0.15 | < −0.15, d − u > 0.2 |
/// | channel up, down | > 0.15, < −0.15 | alike, within 0.2 of u |
///
/// Two lines in one direction that part by more than 0.2·W make none. Confirmed by a close more than 0.1a beyond either
/// line; over when the lines cross, or after as many bars as lie between the pivots. stop = the other line, target = the
/// line ± W.
///
/// margins: width W against 3a; touch, the middle pivot's distance against 0.15·W; room w against 0.15·W.
///
/// Source: Bulkowski (2021), Encyclopedia of Chart Patterns, 3rd ed.; the measures and the table are ours.
pub(super) struct Envelope;

/// A line is level if it changes by no more than this share of the width.
const LEVEL: f64 = 0.15;

/// Lines run side by side if their changes differ by no more than this.
const PARALLEL: f64 = 0.2;

impl Figure for Envelope {
    fn form(&self, zigzag: &Zigzag, atr: f64) -> Option<Form> {
        let sign = if zigzag.pivot(0)?.is_high { 1.0 } else { -1.0 };
        let [last, low2, (middle, there), low1, first] = Pivots::new(zigzag, sign).newest()?;
        let (upper, lower) = (Line::through(first, last), Line::through(low1, low2));
        let (from, to) = (first.1, last.1);
        let widths = [lower.under(first.0, from), lower.under(last.0, to)];
        let (wide, narrow) = (widths[0].max(widths[1]), widths[0].min(widths[1]));
        let touch = upper.under(middle, there);
        let fits = wide >= 3.0 * atr && narrow > 0.15 * wide && touch.abs() <= 0.15 * wide && to - from >= 10.0;
        if !fits {
            return None;
        }
        let change = |line: &Line| line.slope() * (to - from) / wide;
        // Under the turned sign the upper line is the lower one, and what rises falls.
        let (up, down) = if sign > 0.0 { (change(&upper), change(&lower)) } else { (-change(&lower), -change(&upper)) };
        let form = Form {
            kind: kind(up, down)?,
            upper,
            lower,
            breaks: Breaks::Both,
            clearance: 0.1 * atr,
            height: wide,
            stop: f64::NAN,
            life: to - from,
            drawn: newest(5),
            margins: margins([beyond(wide, 3.0 * atr), within(touch, 0.15 * wide), beyond(narrow, 0.15 * wide)]),
        };
        Some(form.signed(sign, form.kind))
    }
}

/// What lines make that change by so much.
fn kind(up: f64, down: f64) -> Option<Kind> {
    let side = |change: f64| i8::from(change > LEVEL) - i8::from(change < -LEVEL);
    Some(match (side(up), side(down)) {
        (0, 0) => Kind::Rectangle,
        (0, 1) => Kind::AscTriangle,
        (-1, 0) => Kind::DescTriangle,
        (-1, 1) => Kind::SymTriangle,
        (1, -1) => Kind::Broadening,
        (1, 1) if down - up > PARALLEL => Kind::RisingWedge,
        (-1, -1) if down - up > PARALLEL => Kind::FallingWedge,
        (1, 1) if (up - down).abs() <= PARALLEL => Kind::ChannelUp,
        (-1, -1) if (up - down).abs() <= PARALLEL => Kind::ChannelDown,
        _ => return None,
    })
}
