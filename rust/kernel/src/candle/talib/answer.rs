//! What a pattern says about each lane, gathered into bits: one u64 a bar for all 61.

use pulp::Simd;

use super::COUNT;
use super::lanes::{Is, Judge};

/// What one pattern says.
#[derive(Clone, Copy)]
pub(super) struct Answer<J: Judge> {
    pub(super) hit: Is<J>,
    pub(super) sign: Sign<Is<J>>,
    /// Where the value is not 100 but the function's other one, 80 or 200.
    pub(super) other: Option<Is<J>>,
}

#[derive(Clone, Copy)]
pub(super) enum Sign<T> {
    Bullish,
    Bearish,
    BearishWhere(T),
}

impl<T> Sign<T> {
    pub(super) fn map<U>(self, to: impl FnOnce(T) -> U) -> Sign<U> {
        match self {
            Self::Bullish => Sign::Bullish,
            Self::Bearish => Sign::Bearish,
            Self::BearishWhere(bearish) => Sign::BearishWhere(to(bearish)),
        }
    }

    pub(super) fn bearish(&self) -> Option<&T> {
        if let Self::BearishWhere(bearish) = self { Some(bearish) } else { None }
    }
}

impl<J: Judge> Is<J> {
    /// +100 where yes.
    #[inline(always)]
    pub(super) fn bullish(self) -> Answer<J> {
        Answer { hit: self, sign: Sign::Bullish, other: None }
    }

    /// −100 where yes.
    #[inline(always)]
    pub(super) fn bearish(self) -> Answer<J> {
        Answer { hit: self, sign: Sign::Bearish, other: None }
    }

    /// Where yes: −100 where `bearish` says so too, else +100.
    #[inline(always)]
    pub(super) fn bearish_where(self, bearish: Is<J>) -> Answer<J> {
        Answer { hit: self, sign: Sign::BearishWhere(bearish), other: None }
    }
}

impl<J: Judge> Answer<J> {
    /// ±80, or ±200, in place of ±100 where `other` says so.
    #[inline(always)]
    pub(super) fn other_where(self, other: Is<J>) -> Self {
        Self { other: Some(other), ..self }
    }
}

/// The answers of all patterns, one lane a bar. A set bit of `bearish` or `other` says nothing without the same of `hit`.
#[derive(Clone, Copy)]
pub(super) struct Answers<S: Simd> {
    simd: S,
    pub(super) hit: S::u64s,
    pub(super) bearish: S::u64s,
    pub(super) other: S::u64s,
    /// The column of the pattern that was taken in last.
    column: usize,
    /// Patterns that are bearish wherever they hit.
    always_bearish: u64,
}

impl<S: Simd> Answers<S> {
    #[inline(always)]
    pub(super) fn none(simd: S) -> Self {
        let zero = simd.splat_u64s(0);
        Self { simd, hit: zero, bearish: zero, other: zero, column: COUNT, always_bearish: 0 }
    }

    /// Takes in what the pattern says whose column is the one before that of the pattern taken in last.
    #[inline(always)]
    pub(super) fn take(&mut self, answer: Answer<S>) {
        self.column -= 1;
        let bit = 1 << self.column;
        self.hit = answer.hit.push(self.hit);
        match answer.sign {
            Sign::Bullish => {}
            Sign::Bearish => self.always_bearish |= bit,
            Sign::BearishWhere(bearish) => self.bearish = bearish.set(self.bearish, bit),
        }
        if let Some(other) = answer.other {
            self.other = other.set(self.other, bit);
        }
    }

    /// The answers, all patterns taken in.
    #[inline(always)]
    pub(super) fn whole(self) -> Self {
        let always = self.simd.splat_u64s(self.always_bearish);
        Self { bearish: self.simd.or_u64s(self.bearish, always), ..self }
    }
}
