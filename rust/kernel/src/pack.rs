//! One formula for one symbol and for eight: numbers that are an `f64`, or eight of them side by side.
//!
//! A kernel is written once, over [`Real`], without a branch on data. With `f64` it is the form for one bar of one
//! series; with [`Pack`] the compiler turns each operation into one or two vector instructions. Both round alike, so
//! eight symbols at once give the bits that each would give alone.
//!
//! `widest!` compiles a loop a second time for processors with AVX2 and FMA and chooses at run time (crate `pulp`).
//! No operation is fused that is not written as [`Real::mul_add`], so both give the same bits.
#![allow(clippy::inline_always, reason = "a body that is not inlined into `widest!` is compiled without AVX2 and FMA")]

use std::ops::{Add, Div, Mul, Sub};

/// Symbols in a [`Pack`].
pub const WIDTH: usize = 8;

/// A number, or [`WIDTH`] of them.
pub trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Send + Sync
{
    /// The answer to a comparison, one a lane.
    type Mask: Copy;

    /// `x` in every lane.
    fn all(x: f64) -> Self;

    /// `yes` in every lane.
    fn mask(yes: bool) -> Self::Mask;

    /// self · b + c, rounded once.
    #[must_use]
    fn mul_add(self, b: Self, c: Self) -> Self;

    /// |self|.
    #[must_use]
    fn abs(self) -> Self;

    /// √self.
    #[must_use]
    fn sqrt(self) -> Self;

    /// self > other.
    fn above(self, other: Self) -> Self::Mask;

    /// self = other.
    fn equals(self, other: Self) -> Self::Mask;

    /// `yes` where the mask holds, else `no`.
    #[must_use]
    fn pick(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// The larger of two; the second if either is NaN.
    #[must_use]
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::pick(self.above(other), self, other)
    }

    /// The smaller of two; the second if either is NaN.
    #[must_use]
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::pick(other.above(self), self, other)
    }
}

impl Real for f64 {
    type Mask = bool;

    #[inline(always)]
    fn all(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn mask(yes: bool) -> bool {
        yes
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f64::mul_add(self, b, c)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn above(self, other: Self) -> bool {
        self > other
    }

    #[inline(always)]
    fn equals(self, other: Self) -> bool {
        self == other
    }

    #[inline(always)]
    fn pick(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
}

/// Lanes of a [`Pack`]: all bits set where the answer is yes, as vector instructions have it; bytes would be repacked.
pub type Mask = [u64; WIDTH];

/// No lane.
pub const NONE: Mask = [0; WIDTH];

/// Every lane.
pub const ALL: Mask = [u64::MAX; WIDTH];

/// Eight numbers, one a symbol, or eight neighbours of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct Pack(pub [f64; WIDTH]);

impl Pack {
    /// The first [`WIDTH`] numbers of a slice that has as many.
    #[must_use]
    #[inline(always)]
    pub fn of(slice: &[f64]) -> Self {
        let mut lanes = [0.0; WIDTH];
        lanes.copy_from_slice(&slice[..WIDTH]);
        Self(lanes)
    }

    /// Up to [`WIDTH`] numbers; lanes past the slice's end hold `rest`.
    #[must_use]
    #[inline(always)]
    pub fn padded(slice: &[f64], rest: f64) -> Self {
        if slice.len() >= WIDTH {
            return Self::of(slice);
        }
        let mut lanes = [rest; WIDTH];
        lanes[..slice.len()].copy_from_slice(slice);
        Self(lanes)
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let mut lanes = self.0;
        for lane in &mut lanes {
            *lane = f(*lane);
        }
        Self(lanes)
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut lanes = self.0;
        for (lane, other) in lanes.iter_mut().zip(other.0) {
            *lane = f(*lane, other);
        }
        Self(lanes)
    }

    #[inline(always)]
    fn ask(self, other: Self, f: impl Fn(f64, f64) -> bool) -> Mask {
        let mut mask = NONE;
        for ((answer, a), b) in mask.iter_mut().zip(self.0).zip(other.0) {
            *answer = if f(a, b) { u64::MAX } else { 0 };
        }
        mask
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $sign:tt) => {
        impl $trait for Pack {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $sign b)
            }
        }
    };
}
operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);

impl Real for Pack {
    type Mask = Mask;

    #[inline(always)]
    fn all(x: f64) -> Self {
        Self([x; WIDTH])
    }

    #[inline(always)]
    fn mask(yes: bool) -> Mask {
        if yes { ALL } else { NONE }
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        let mut lanes = self.0;
        for ((lane, b), c) in lanes.iter_mut().zip(b.0).zip(c.0) {
            *lane = lane.mul_add(b, c);
        }
        Self(lanes)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f64::abs)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    #[inline(always)]
    fn above(self, other: Self) -> Mask {
        self.ask(other, |a, b| a > b)
    }

    #[inline(always)]
    fn equals(self, other: Self) -> Mask {
        self.ask(other, |a, b| a == b)
    }

    #[inline(always)]
    fn pick(mask: Mask, yes: Self, no: Self) -> Self {
        let mut lanes = no.0;
        for ((lane, yes), chosen) in lanes.iter_mut().zip(yes.0).zip(mask) {
            *lane = f64::from_bits((yes.to_bits() & chosen) | (lane.to_bits() & !chosen));
        }
        Self(lanes)
    }
}

/// Runs a block compiled for the widest vectors that this processor has.
///
/// The arguments are moved into the block; what it calls must be `#[inline(always)]` to be compiled along.
macro_rules! widest {
    (<$life:lifetime> |$($arg:ident: $type:ty),* $(,)?| -> $output:ty $body:block) => {{
        struct Task<$life> {
            $($arg: $type,)*
            life: std::marker::PhantomData<&$life ()>,
        }
        impl<$life> pulp::NullaryFnOnce for Task<$life> {
            type Output = $output;

            #[inline(always)]
            fn call(self) -> $output {
                let Self { $($arg,)* life: _ } = self;
                $body
            }
        }
        pulp::Arch::new().dispatch(Task { $($arg,)* life: std::marker::PhantomData })
    }};
}

/// Declares what a kernel remembers between bars: numbers, for one symbol or for a pack of them.
macro_rules! state {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name<N> {
            $($(#[$field_doc])* pub $field: N,)*
        }

        impl<N: $crate::pack::Real> Default for $name<N> {
            fn default() -> Self {
                Self { $($field: N::all(0.0),)* }
            }
        }

        impl<N: $crate::pack::Real> $name<N> {
            /// Become `new` in the lanes of the mask.
            #[inline(always)]
            pub fn set(&mut self, has: N::Mask, new: Self) {
                $(self.$field = N::pick(has, new.$field, self.$field);)*
            }
        }

        impl $name<$crate::pack::Pack> {
            /// What one lane remembers.
            #[must_use]
            pub fn lane(&self, lane: usize) -> $name<f64> {
                $name { $($field: self.$field.0[lane],)* }
            }

            /// Let one lane remember this.
            pub fn set_lane(&mut self, lane: usize, state: $name<f64>) {
                $(self.$field.0[lane] = state.$field;)*
            }

            /// Shows every number, always in the same order: for snapshots.
            pub fn visit(&mut self, see: &mut impl FnMut(&mut $crate::pack::Pack)) {
                $(see(&mut self.$field);)*
            }
        }
    };
}

pub(crate) use {state, widest};
