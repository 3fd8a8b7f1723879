//! What a pattern says about each lane, gathered into bits: one u64 a bar for all 61.

use pulp::Simd;

use super::lanes::Is;

/// What one pattern says.
#[derive(Clone, Copy)]
pub(super) struct Answer<S: Simd> {
    hit: Is<S>,
    sign: Sign<S>,
    /// Where the value is not 100 but the function's other one, 80 or 200.
    other: Option<Is<S>>,
}

#[derive(Clone, Copy)]
enum Sign<S: Simd> {
    Bullish,
    Bearish,
    BearishWhere(Is<S>),
}

impl<S: Simd> Is<S> {
    /// +100 where yes.
    #[inline(always)]
    pub(super) fn bullish(self) -> Answer<S> {
        Answer { hit: self, sign: Sign::Bullish, other: None }
    }

    /// −100 where yes.
    #[inline(always)]
    pub(super) fn bearish(self) -> Answer<S> {
        Answer { hit: self, sign: Sign::Bearish, other: None }
    }

    /// Where yes: −100 where `bearish` says so too, else +100.
    #[inline(always)]
    pub(super) fn bearish_where(self, bearish: Is<S>) -> Answer<S> {
        Answer { hit: self, sign: Sign::BearishWhere(bearish), other: None }
    }
}

impl<S: Simd> Answer<S> {
    /// ±80, or ±200, in place of ±100 where `other` says so.
    #[inline(always)]
    pub(super) fn other_where(self, other: Is<S>) -> Self {
        Self { other: Some(other), ..self }
    }
}

/// The answers of all patterns, one lane a bar. A set bit of `bearish` or `other` says nothing without the same of `hit`.
#[derive(Clone, Copy)]
pub(super) struct Answers<S: Simd> {
    pub(super) hit: S::u64s,
    pub(super) bearish: S::u64s,
    pub(super) other: S::u64s,
}

impl<S: Simd> Answers<S> {
    #[inline(always)]
    pub(super) fn none(simd: S) -> Self {
        let zero = simd.splat_u64s(0);
        Self { hit: zero, bearish: zero, other: zero }
    }

    /// Takes in what the pattern of this column says.
    #[inline(always)]
    pub(super) fn take(&mut self, simd: S, column: usize, answer: Answer<S>) {
        let bit = 1 << column;
        self.hit = answer.hit.set(self.hit, bit);
        match answer.sign {
            Sign::Bullish => {}
            Sign::Bearish => self.bearish = simd.or_u64s(self.bearish, simd.splat_u64s(bit)),
            Sign::BearishWhere(bearish) => self.bearish = bearish.set(self.bearish, bit),
        }
        if let Some(other) = answer.other {
            self.other = other.set(self.other, bit);
        }
    }
}
