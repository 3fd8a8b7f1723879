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
    /// The product of the qualities, and of how many.
    product: f64,
    terms: i32,
}

impl Grade {
    fn compared(holds: bool, margin: f64) -> Self {
        Self { holds, margin: Some(margin), product: margin.clamp(0.0, 1.0), terms: 1 }
    }

    /// The geometric mean of the comparisons' qualities; 1 if there was none.
    pub(super) fn quality(self) -> f64 {
        match self.terms {
            0 | 1 => self.product,
            2 => self.product.sqrt(),
            terms => self.product.powf(1.0 / f64::from(terms)),
        }
    }

    fn with(self, other: Self, holds: bool) -> Self {
        Self { holds, margin: None, product: self.product * other.product, terms: self.terms + other.terms }
    }
}

impl Grading {
    /// By how much `a` is below `b`, as a part of the tolerance.
    fn margin(self, a: f64, b: f64) -> f64 {
        let tolerance = self.noise.min(a.abs().max(b.abs()));
        let margin = (b - a) / tolerance;
        if margin.is_nan() { 0.0 } else { margin }
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
        Grade { holds: a == b, margin: None, product: 1.0, terms: 0 }
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
            None => Grade { holds: !a.holds, margin: None, product: 1.0, terms: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRADING: Grading = Grading { noise: 2.0 };

    #[test]
    fn a_comparison_is_graded_by_noise_or_by_the_larger_length() {
        let quality = |a, b| GRADING.less(a, b).quality();
        assert_eq!(
            [quality(100.0, 100.0), quality(100.0, 101.0), quality(100.0, 102.0), quality(100.0, 110.0)],
            [0.0, 0.5, 1.0, 1.0]
        );
        assert_eq!([quality(0.0, 0.5), quality(0.25, 0.5), quality(0.5, 0.5)], [1.0, 0.5, 0.0]);
        assert_eq!(quality(0.0, 0.0), 0.0);
    }

    #[test]
    fn all_of_a_conjunction_count_and_of_an_alternative_the_clearer_one_that_holds() {
        let (half, whole, fails) = (GRADING.less(0.0, 1.0), GRADING.less(0.0, 2.0), GRADING.less(9.0, 0.0));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let product = GRADING.and(GRADING.less(10.0, 11.0), GRADING.less(10.0, 12.0)).quality();
        assert!(near(product, 0.5_f64.sqrt()), "{product}");
        assert!(near(GRADING.or(half, fails).quality(), 1.0));
        assert_eq!(GRADING.or(fails, whole).quality(), 1.0);
        assert!(GRADING.xor(fails, whole).holds && !GRADING.xor(half, whole).holds);
    }

    #[test]
    fn what_is_denied_is_graded_by_the_opposite() {
        let denied = GRADING.not(GRADING.less_or_equal(11.0, 10.0));
        assert!(denied.holds);
        assert_eq!(denied.quality(), 0.5);
        assert_eq!(GRADING.not(GRADING.and(denied, denied)).quality(), 1.0);
    }
}
