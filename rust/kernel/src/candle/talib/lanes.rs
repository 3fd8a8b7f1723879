//! Prices and truths of several bars at once: one bar a lane, whatever the width of the processor's registers.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Not, Sub};

use pulp::Simd;

/// How prices are held and compared: many bars with a yes or no each; where a pattern was found, one bar with how clear
/// each answer is; or not at all, but for what is asked being written down. So that a pattern is written once, and read
/// by all.
pub(super) trait Judge: Copy {
    /// A price or a distance of each bar.
    type Number: Copy;
    /// The answers to one question.
    type Truth: Copy;
    /// Bars side by side.
    const LANES: usize;

    fn load(self, cells: &[f64]) -> Self::Number;
    fn splat(self, value: f64) -> Self::Number;
    fn add(self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn sub(self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn mul(self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn div(self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn abs(self, a: Self::Number) -> Self::Number;
    fn less(self, a: Self::Number, b: Self::Number) -> Self::Truth;
    fn less_or_equal(self, a: Self::Number, b: Self::Number) -> Self::Truth;
    fn equal(self, a: Self::Number, b: Self::Number) -> Self::Truth;
    fn select(self, truth: Self::Truth, yes: Self::Number, no: Self::Number) -> Self::Number;
    fn and(self, a: Self::Truth, b: Self::Truth) -> Self::Truth;
    fn or(self, a: Self::Truth, b: Self::Truth) -> Self::Truth;
    fn xor(self, a: Self::Truth, b: Self::Truth) -> Self::Truth;
    fn not(self, a: Self::Truth) -> Self::Truth;
}

/// Declares what a processor's registers do, each with one call.
macro_rules! registers {
    ($($method:ident($($argument:ident: $kind:ident),*) -> $out:ident = $lanes:ident;)*) => {
        impl<S: Simd> Judge for S {
            type Number = S::f64s;
            type Truth = S::m64s;
            const LANES: usize = S::F64_LANES;

            #[inline(always)]
            fn load(self, cells: &[f64]) -> S::f64s {
                S::as_simd_f64s(&cells[..S::F64_LANES]).0[0]
            }

            $(
                #[inline(always)]
                fn $method(self, $($argument: Self::$kind),*) -> Self::$out {
                    self.$lanes($($argument),*)
                }
            )*

            #[inline(always)]
            fn splat(self, value: f64) -> S::f64s {
                self.splat_f64s(value)
            }
        }
    };
}
registers! {
    add(a: Number, b: Number) -> Number = add_f64s;
    sub(a: Number, b: Number) -> Number = sub_f64s;
    mul(a: Number, b: Number) -> Number = mul_f64s;
    div(a: Number, b: Number) -> Number = div_f64s;
    abs(a: Number) -> Number = abs_f64s;
    less(a: Number, b: Number) -> Truth = less_than_f64s;
    less_or_equal(a: Number, b: Number) -> Truth = less_than_or_equal_f64s;
    equal(a: Number, b: Number) -> Truth = equal_f64s;
    select(truth: Truth, yes: Number, no: Number) -> Number = select_f64s;
    and(a: Truth, b: Truth) -> Truth = and_m64s;
    or(a: Truth, b: Truth) -> Truth = or_m64s;
    xor(a: Truth, b: Truth) -> Truth = xor_m64s;
    not(a: Truth) -> Truth = not_m64s;
}

/// One price, or one distance between prices, a lane.
#[derive(Clone, Copy)]
pub(super) struct Price<J: Judge> {
    judge: J,
    lanes: J::Number,
}

/// One yes or no a lane.
#[derive(Clone, Copy)]
pub(super) struct Is<J: Judge> {
    judge: J,
    lanes: J::Truth,
}

impl<S: Simd> Price<S> {
    /// The first lanes of `cells` become these.
    #[inline(always)]
    pub(super) fn store(self, cells: &mut [f64]) {
        S::as_mut_simd_f64s(&mut cells[..S::F64_LANES]).0[0] = self.lanes;
    }
}

impl<J: Judge> Price<J> {
    /// The numbers themselves.
    #[inline(always)]
    pub(super) fn lanes(self) -> J::Number {
        self.lanes
    }

    /// The first lanes of `cells`.
    #[inline(always)]
    pub(super) fn load(judge: J, cells: &[f64]) -> Self {
        Self { judge, lanes: judge.load(cells) }
    }

    #[inline(always)]
    pub(super) fn splat(judge: J, value: f64) -> Self {
        Self { judge, lanes: judge.splat(value) }
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        Self { judge: self.judge, lanes: self.judge.abs(self.lanes) }
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
    pub(super) fn lt(self, other: Self) -> Is<J> {
        Is { judge: self.judge, lanes: self.judge.less(self.lanes, other.lanes) }
    }

    #[inline(always)]
    pub(super) fn le(self, other: Self) -> Is<J> {
        Is { judge: self.judge, lanes: self.judge.less_or_equal(self.lanes, other.lanes) }
    }

    #[inline(always)]
    pub(super) fn gt(self, other: Self) -> Is<J> {
        other.lt(self)
    }

    #[inline(always)]
    pub(super) fn ge(self, other: Self) -> Is<J> {
        other.le(self)
    }

    #[inline(always)]
    pub(super) fn eq(self, other: Self) -> Is<J> {
        Is { judge: self.judge, lanes: self.judge.equal(self.lanes, other.lanes) }
    }

    /// Strictly between the two.
    #[inline(always)]
    pub(super) fn between(self, low: Self, high: Self) -> Is<J> {
        self.gt(low) & self.lt(high)
    }

    /// At most `tolerance` from `other`, judged as TA-Lib does: by the two ends, not by the distance.
    #[inline(always)]
    pub(super) fn near(self, other: Self, tolerance: Self) -> Is<J> {
        self.le(other + tolerance) & self.ge(other - tolerance)
    }
}

impl<J: Judge> Is<J> {
    #[inline(always)]
    pub(super) fn select(self, yes: Price<J>, no: Price<J>) -> Price<J> {
        Price { judge: self.judge, lanes: self.judge.select(self.lanes, yes.lanes, no.lanes) }
    }

    /// The answers themselves.
    #[inline(always)]
    pub(super) fn lanes(self) -> J::Truth {
        self.lanes
    }
}

impl<S: Simd> Is<S> {
    /// `bits` one place higher, with the lowest set in the lanes that say yes.
    #[inline(always)]
    pub(super) fn push(self, bits: S::u64s) -> S::u64s {
        let Self { judge: simd, lanes } = self;
        let yes = simd.select_u64s(lanes, simd.splat_u64s(1), simd.splat_u64s(0));
        simd.add_u64s(simd.add_u64s(bits, bits), yes)
    }

    /// `bits` with `bit` set in the lanes that say yes.
    #[inline(always)]
    pub(super) fn set(self, bits: S::u64s, bit: u64) -> S::u64s {
        let Self { judge: simd, lanes } = self;
        simd.or_u64s(bits, simd.select_u64s(lanes, simd.splat_u64s(bit), simd.splat_u64s(0)))
    }
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident),*) => {$(
        impl<J: Judge> $trait for Price<J> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self { judge: self.judge, lanes: self.judge.$method(self.lanes, other.lanes) }
            }
        }
    )*};
}
arithmetic!(Add add, Sub sub);

macro_rules! scaling {
    ($($trait:ident $method:ident),*) => {$(
        impl<J: Judge> $trait<f64> for Price<J> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                Self { judge: self.judge, lanes: self.judge.$method(self.lanes, self.judge.splat(other)) }
            }
        }
    )*};
}
scaling!(Mul mul, Div div);

macro_rules! logic {
    ($($trait:ident $method:ident $of:ident),*) => {$(
        impl<J: Judge> $trait for Is<J> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self { judge: self.judge, lanes: self.judge.$of(self.lanes, other.lanes) }
            }
        }
    )*};
}
logic!(BitAnd bitand and, BitOr bitor or, BitXor bitxor xor);

impl<J: Judge> Not for Is<J> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self { judge: self.judge, lanes: self.judge.not(self.lanes) }
    }
}
