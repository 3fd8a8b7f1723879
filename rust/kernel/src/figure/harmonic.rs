//! Harmonic shapes.

use super::seen::{Seen, Sight};
use super::{Kind, margins, within};
use crate::pattern::Direction;
use crate::study::Zigzag;

/// How far a ratio may be off.
const TOLERANCE: f64 = 0.05;

/// A share, from the one to the other.
type Range = (f64, f64);

/// BC in AB, of all shapes.
const BC: Range = (0.382, 0.886);

/// A shape that five pivots make by the ratios of their legs.
///
/// rule, of the pivots X A B C D, D the newest, a low, with XA = A − X and so on: each ratio within 0.05 of its range,
/// BC/AB 0.382 to 0.886 in all shapes. Confirmed by the bar that confirms D. stop = min(X, D) − 0.1a,
/// target = D + 0.618·(A − D). Bearish ones, D a high, are the mirror images.
///
/// | shape | AB/XA | AD/XA |
/// |---|---|---|
/// | gartley | 0.618 | 0.786 |
/// | bat | 0.382 to 0.5 | 0.886 |
/// | butterfly | 0.786 | 1.27 to 1.618 |
/// | crab | 0.382 to 0.618 | 1.618 |
///
/// No pivots fit two of them, since no two have both ranges in common, the 0.05 included.
///
/// margins: ab, bc and ad, how far each ratio is outside of its range against 0.05; 1 within it.
///
/// Source: Carney (2010), Harmonic Trading, vol. 1, for the ratios; Gartley (1935), Profits in the Stock Market, for the
/// first figure of the kind. The tolerance and the levels are ours.
pub(super) struct Harmonic;

struct Shape {
    kind: Kind,
    ab: Range,
    ad: Range,
}

static SHAPES: [Shape; 4] = [
    Shape { kind: Kind::Gartley, ab: (0.618, 0.618), ad: (0.786, 0.786) },
    Shape { kind: Kind::Bat, ab: (0.382, 0.5), ad: (0.886, 0.886) },
    Shape { kind: Kind::Butterfly, ab: (0.786, 0.786), ad: (1.27, 1.618) },
    Shape { kind: Kind::Crab, ab: (0.382, 0.618), ad: (1.618, 1.618) },
];

impl Sight for Harmonic {
    fn look(&self, zigzag: &Zigzag, atr: f64) -> Option<Seen> {
        let (sign, direction) =
            if zigzag.pivot(0)?.is_high { (-1.0, Direction::Bearish) } else { (1.0, Direction::Bullish) };
        let price = |back| zigzag.pivot(back).map(|pivot| sign * pivot.at.price);
        let [x, a, b, c, d] = [price(4)?, price(3)?, price(2)?, price(1)?, price(0)?];
        let [ab, bc, ad] = [(a - b) / (a - x), (c - b) / (a - b), (a - d) / (a - x)];
        let off = |shape: &Shape| [outside(ab, shape.ab), outside(bc, BC), outside(ad, shape.ad)];
        let fits = |shape: &&Shape| off(shape).iter().all(|&off| off <= TOLERANCE);
        let shape = SHAPES.iter().find(fits)?;
        Some(Seen {
            kind: shape.kind,
            direction,
            stop: sign * (x.min(d) - 0.1 * atr),
            target: sign * (d + 0.618 * (a - d)),
            pivots: 5,
            margins: margins(off(shape).map(|off| within(off, TOLERANCE))),
        })
    }
}

/// How far a ratio is from a range; 0 within it.
fn outside(ratio: f64, (least, most): Range) -> f64 {
    if (least..=most).contains(&ratio) { 0.0 } else { (least - ratio).max(ratio - most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_shapes_have_both_ranges_in_common() {
        let apart = |one: Range, other: Range| (one.0 - other.1).max(other.0 - one.1) > 2.0 * TOLERANCE;
        for (at, one) in SHAPES.iter().enumerate() {
            for other in &SHAPES[at + 1..] {
                assert!(apart(one.ab, other.ab) || apart(one.ad, other.ad), "{:?} and {:?}", one.kind, other.kind);
            }
        }
    }
}
