//! How clearly a pattern holds: its own statement, read once more with margins.
//!
//! Each comparison of the statement gets a quality q = margin / tolerance within 0..1: 0 if it holds by a hair, 1 if by
//! the whole tolerance. The margin is the distance of the two sides. The tolerance is the mean range of the ten bars
//! before, or the larger side where that is smaller: prices are compared by the market's noise, bodies and shadows with
//! each other. The pattern's quality is the geometric mean over its comparisons, of alternatives the clearer one.

use super::lanes::Judge;

/// Judges the comparisons of one bar. `noise` is the mean range of the bars before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grading {
    pub(super) noise: f64,
}

/// An answer and how clear it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grade {
    holds: bool,
    /// Of a single comparison: its margin, below 0 if it fails, as a part of the tolerance.
    margin: Option<f64>,
    /// The sum of the qualities' logarithms, and of how many.
    log: f64,
    terms: f64,
}

impl Grade {
    fn compared(holds: bool, margin: f64) -> Self {
        Self { holds, margin: Some(margin), log: margin.clamp(0.0, 1.0).ln(), terms: 1.0 }
    }

    /// The geometric mean of the comparisons' qualities; 1 if there was none.
    pub(super) fn quality(self) -> f64 {
        if self.terms == 0.0 { 1.0 } else { (self.log / self.terms).exp() }
    }

    fn with(self, other: Self, holds: bool) -> Self {
        Self { holds, margin: None, log: self.log + other.log, terms: self.terms + other.terms }
    }
}

impl Grading {
    /// By how much `a` is below `b`, as a part of the tolerance.
    fn margin(self, a: f64, b: f64) -> f64 {
        let tolerance = self.noise.min(a.abs().max(b.abs()));
        if tolerance > 0.0 { (b - a) / tolerance } else { 0.0 }
    }
}

impl Judge for Grading {
    type Number = f64;
    type Truth = Grade;
    const LANES: usize = 1;

    fn load(self, cells: &[f64]) -> f64 {
        cells[0]
    }

    fn splat(self, value: f64) -> f64 {
        value
    }

    fn add(self, a: f64, b: f64) -> f64 {
        a + b
    }

    fn sub(self, a: f64, b: f64) -> f64 {
        a - b
    }

    fn mul(self, a: f64, b: f64) -> f64 {
        a * b
    }

    fn div(self, a: f64, b: f64) -> f64 {
        a / b
    }

    fn abs(self, a: f64) -> f64 {
        a.abs()
    }

    fn less(self, a: f64, b: f64) -> Grade {
        Grade::compared(a < b, self.margin(a, b))
    }

    fn less_or_equal(self, a: f64, b: f64) -> Grade {
        Grade::compared(a <= b, self.margin(a, b))
    }

    /// Equal is equal: there is nothing to be clearer about.
    fn equal(self, a: f64, b: f64) -> Grade {
        Grade { holds: a == b, margin: None, log: 0.0, terms: 0.0 }
    }

    fn select(self, truth: Grade, yes: f64, no: f64) -> f64 {
        if truth.holds { yes } else { no }
    }

    fn and(self, a: Grade, b: Grade) -> Grade {
        a.with(b, a.holds & b.holds)
    }

    /// The clearer one of those that hold.
    fn or(self, a: Grade, b: Grade) -> Grade {
        let better = if a.holds == b.holds { a.quality() >= b.quality() } else { a.holds };
        Grade { margin: None, ..if better { a } else { b } }
    }

    fn xor(self, a: Grade, b: Grade) -> Grade {
        let (one, other) = (self.not(a), self.not(b));
        let (one, other) = (if a.holds { a } else { one }, if b.holds { b } else { other });
        one.with(other, a.holds != b.holds)
    }

    /// Of a comparison the opposite one; that something composed fails says nothing about how clearly.
    fn not(self, a: Grade) -> Grade {
        match a.margin {
            Some(margin) => Grade::compared(!a.holds, -margin),
            None => Grade { holds: !a.holds, margin: None, log: 0.0, terms: 0.0 },
        }
    }
}
