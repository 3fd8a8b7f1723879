//! Prices and truths of several bars at once: one bar a lane, whatever the width of the processor's registers.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

use pulp::Simd;

/// One price, or one distance between prices, a lane.
#[derive(Clone, Copy)]
pub(super) struct Price<S: Simd> {
    simd: S,
    lanes: S::f64s,
}

/// One yes or no a lane.
#[derive(Clone, Copy)]
pub(super) struct Is<S: Simd> {
    simd: S,
    lanes: S::m64s,
}

impl<S: Simd> Price<S> {
    /// The first lanes of `cells`.
    #[inline(always)]
    pub(super) fn load(simd: S, cells: &[f64]) -> Self {
        Self { simd, lanes: S::as_simd_f64s(&cells[..S::F64_LANES]).0[0] }
    }

    #[inline(always)]
    pub(super) fn splat(simd: S, value: f64) -> Self {
        Self { simd, lanes: simd.splat_f64s(value) }
    }

    /// The first lanes of `cells` become these.
    #[inline(always)]
    pub(super) fn store(self, cells: &mut [f64]) {
        S::as_mut_simd_f64s(&mut cells[..S::F64_LANES]).0[0] = self.lanes;
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        let Self { simd, lanes } = self;
        Self { simd, lanes: simd.abs_f64s(lanes) }
    }

    #[inline(always)]
    pub(super) fn min(self, other: Self) -> Self {
        self.lt(other).select(self, other)
    }

    #[inline(always)]
    pub(super) fn max(self, other: Self) -> Self {
        self.gt(other).select(self, other)
    }

    #[inline(always)]
    pub(super) fn lt(self, other: Self) -> Is<S> {
        let Self { simd, lanes } = self;
        Is { simd, lanes: simd.less_than_f64s(lanes, other.lanes) }
    }

    #[inline(always)]
    pub(super) fn le(self, other: Self) -> Is<S> {
        let Self { simd, lanes } = self;
        Is { simd, lanes: simd.less_than_or_equal_f64s(lanes, other.lanes) }
    }

    #[inline(always)]
    pub(super) fn gt(self, other: Self) -> Is<S> {
        other.lt(self)
    }

    #[inline(always)]
    pub(super) fn ge(self, other: Self) -> Is<S> {
        other.le(self)
    }

    #[inline(always)]
    pub(super) fn eq(self, other: Self) -> Is<S> {
        let Self { simd, lanes } = self;
        Is { simd, lanes: simd.equal_f64s(lanes, other.lanes) }
    }

    /// Strictly between the two.
    #[inline(always)]
    pub(super) fn between(self, low: Self, high: Self) -> Is<S> {
        self.gt(low) & self.lt(high)
    }

    /// At most `tolerance` from `other`, judged as TA-Lib does: by the two ends, not by the distance.
    #[inline(always)]
    pub(super) fn near(self, other: Self, tolerance: Self) -> Is<S> {
        self.le(other + tolerance) & self.ge(other - tolerance)
    }
}

impl<S: Simd> Is<S> {
    #[inline(always)]
    pub(super) fn select(self, yes: Price<S>, no: Price<S>) -> Price<S> {
        let Self { simd, lanes } = self;
        Price { simd, lanes: simd.select_f64s(lanes, yes.lanes, no.lanes) }
    }

    /// `bits` one place higher, with the lowest set in the lanes that say yes.
    #[inline(always)]
    pub(super) fn push(self, bits: S::u64s) -> S::u64s {
        let Self { simd, lanes } = self;
        let yes = simd.select_u64s(lanes, simd.splat_u64s(1), simd.splat_u64s(0));
        simd.add_u64s(simd.add_u64s(bits, bits), yes)
    }

    /// `bits` with `bit` set in the lanes that say yes.
    #[inline(always)]
    pub(super) fn set(self, bits: S::u64s, bit: u64) -> S::u64s {
        let Self { simd, lanes } = self;
        simd.or_u64s(bits, simd.select_u64s(lanes, simd.splat_u64s(bit), simd.splat_u64s(0)))
    }
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident $lanes:ident),*) => {$(
        impl<S: Simd> $trait for Price<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self { simd: self.simd, lanes: self.simd.$lanes(self.lanes, other.lanes) }
            }
        }
    )*};
}
arithmetic!(Add add add_f64s, Sub sub sub_f64s);

macro_rules! scaling {
    ($($trait:ident $method:ident $lanes:ident),*) => {$(
        impl<S: Simd> $trait<f64> for Price<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                Self { simd: self.simd, lanes: self.simd.$lanes(self.lanes, self.simd.splat_f64s(other)) }
            }
        }
    )*};
}
scaling!(Mul mul mul_f64s, Div div div_f64s);

macro_rules! logic {
    ($($trait:ident $method:ident $lanes:ident),*) => {$(
        impl<S: Simd> $trait for Is<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self { simd: self.simd, lanes: self.simd.$lanes(self.lanes, other.lanes) }
            }
        }
    )*};
}
logic!(BitAnd bitand and_m64s, BitOr bitor or_m64s, BitXor bitxor xor_m64s);

impl<S: Simd> Not for Is<S> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self { simd: self.simd, lanes: self.simd.not_m64s(self.lanes) }
    }
}
