//! Sums and extremes over the last bars of a series, that do not drift.
#![allow(clippy::inline_always, reason = "see pack: a body that is not inlined is compiled without AVX2 and FMA")]

use crate::pack::{Real, state};

state! {
    /// The sum of the last n numbers, right to the last bit however long it runs: O(1) a number.
    ///
    /// What each addition rounds away is known exactly and summed beside it. As long as the numbers seen span less
    /// than some 2⁴⁰ (cents beside millions), that second sum is exact too: the result is the true sum, rounded once.
    /// So it depends on the last n numbers alone, not on where the series began or what passed through since.
    ///
    /// Source: Knuth, TAOCP 2 (3rd ed. 1998), 4.2.2, theorem B (two-sum); Neumaier (1974), ZAMM 54, algorithm IV.
    RollingSum {
        /// The sum, as rounded additions have it.
        high,
        /// What they have rounded away.
        low,
    }
}

impl<N: Real> RollingSum<N> {
    /// Add a number.
    #[inline(always)]
    pub fn add(&mut self, has: N::Mask, x: N) {
        let (high, lost) = two_sum(self.high, x);
        let new = Self { high, low: self.low + lost };
        self.set(has, new);
    }

    /// Add the newest number and take the one out that leaves the window.
    #[inline(always)]
    pub fn slide(&mut self, has: N::Mask, newest: N, leaving: N) {
        self.change(has, difference(newest, leaving));
    }

    /// The same, given their [`difference`].
    #[inline(always)]
    pub fn change(&mut self, has: N::Mask, (change, lost_in_it): (N, N)) {
        let (high, lost) = two_sum(self.high, change);
        let new = Self { high, low: self.low + (lost + lost_in_it) };
        self.set(has, new);
    }

    /// The sum.
    #[inline(always)]
    pub fn value(&self) -> N {
        self.high + self.low
    }
}

/// `newest` − `leaving`, rounded, and what that rounded away.
#[inline(always)]
pub fn difference<N: Real>(newest: N, leaving: N) -> (N, N) {
    two_sum(newest, N::all(0.0) - leaving)
}

/// (s, e): s is a + b rounded, e what that rounded away, s + e = a + b.
#[inline(always)]
fn two_sum<N: Real>(a: N, b: N) -> (N, N) {
    let sum = a + b;
    let b_in_sum = sum - a;
    (sum, (a - (sum - b_in_sum)) + (b - b_in_sum))
}

/// √(Σ(x − x̄)² / (n − ddof)) of the n numbers x(0), oldest, to x(n − 1); 0, exactly, if all are equal.
///
/// Summed anew each time: O(n), a few instructions for eight windows at once, and nothing to drift.
/// Deviations are taken from the oldest number: Σ(x − x₀)² is at most n times Σ(x − x̄)² (Samuelson's inequality),
/// so little cancels in Σ(x − x₀)² − (Σ(x − x₀))²/n, whatever the level of the series.
///
/// Source: Chan, Golub & `LeVeque` (1983), The American Statistician 37(3), eq. 1.3 (shifted data);
/// Samuelson (1968), JASA 63(324).
#[inline(always)]
pub fn deviation<N: Real>(n: usize, ddof: usize, x: impl Fn(usize) -> N) -> N {
    let oldest = x(0);
    let (mut sum, mut squares) = (N::all(0.0), N::all(0.0));
    for k in 1..n {
        let deviation = x(k) - oldest;
        sum = sum + deviation;
        squares = deviation.mul_add(deviation, squares);
    }
    let spread = squares - sum * (sum * N::all(1.0 / n as f64));
    N::max(spread * N::all(1.0 / (n - ddof) as f64), N::all(0.0)).sqrt()
}

/// The largest of x(0) to x(n − 1); −∞ for none.
#[inline(always)]
pub fn highest<N: Real>(n: usize, x: impl Fn(usize) -> N) -> N {
    let mut highest = N::all(f64::NEG_INFINITY);
    for k in 0..n {
        highest = highest.max(x(k));
    }
    highest
}

/// The smallest of x(0) to x(n − 1); ∞ for none.
#[inline(always)]
pub fn lowest<N: Real>(n: usize, x: impl Fn(usize) -> N) -> N {
    let mut lowest = N::all(f64::INFINITY);
    for k in 0..n {
        lowest = lowest.min(x(k));
    }
    lowest
}
