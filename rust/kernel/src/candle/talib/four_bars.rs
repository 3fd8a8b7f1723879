//! Patterns of four and five bars.

use super::answer::Answer;
use super::lanes::{Is, Judge};
use super::view::{Layout, View};

/// How far into the first body the small bars of mat hold may come: TA-Lib's default.
const PENETRATION: f64 = 0.5;

impl<J: Judge, L: Layout> View<'_, J, L> {
    #[inline(always)]
    fn lower_very_short(self, ago: usize) -> Is<J> {
        self.lower(ago).lt(self.shadow_very_short(ago))
    }

    #[inline(always)]
    pub(super) fn cdl_three_black_crows(self) -> Answer<J> {
        (self.white(3)
            & self.black(2)
            & self.lower_very_short(2)
            & self.black(1)
            & self.lower_very_short(1)
            & self.black(0)
            & self.lower_very_short(0)
            & self.open(1).between(self.close(2), self.open(2))
            & self.open(0).between(self.close(1), self.open(1))
            & self.high(3).gt(self.close(2))
            & self.close(2).gt(self.close(1))
            & self.close(1).gt(self.close(0)))
        .bearish()
    }

    /// The bar opens within or near the body before it.
    #[inline(always)]
    fn opens_within_or_near(self, ago: usize) -> Is<J> {
        let before = ago + 1;
        self.open(ago).ge(self.bottom(before) - self.near(before))
            & self.open(ago).le(self.top(before) + self.near(before))
    }

    #[inline(always)]
    pub(super) fn cdl_three_line_strike(self) -> Answer<J> {
        let rising = self.white(1)
            & self.close(1).gt(self.close(2))
            & self.close(2).gt(self.close(3))
            & self.open(0).gt(self.close(1))
            & self.close(0).lt(self.open(3));
        let falling = self.black(1)
            & self.close(1).lt(self.close(2))
            & self.close(2).lt(self.close(3))
            & self.open(0).lt(self.close(1))
            & self.close(0).gt(self.open(3));
        (self.alike(3, 2)
            & self.alike(2, 1)
            & self.opposite(1, 0)
            & self.opens_within_or_near(2)
            & self.opens_within_or_near(1)
            & (rising | falling))
            .bearish_where(self.black(1))
    }

    #[inline(always)]
    pub(super) fn cdl_concealing_baby_swallow(self) -> Answer<J> {
        (self.black(3)
            & self.black(2)
            & self.black(1)
            & self.black(0)
            & self.shaven(3)
            & self.shaven(2)
            & self.gap_down(1, 2)
            & self.upper(1).gt(self.shadow_very_short(1))
            & self.high(1).gt(self.close(2))
            & self.high(0).gt(self.high(1))
            & self.low(0).lt(self.low(1)))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_breakaway(self) -> Answer<J> {
        let down = self.black(4)
            & self.gap_down(3, 4)
            & self.high(2).lt(self.high(3))
            & self.low(2).lt(self.low(3))
            & self.high(1).lt(self.high(2))
            & self.low(1).lt(self.low(2))
            & self.close(0).between(self.open(3), self.close(4));
        let up = self.white(4)
            & self.gap_up(3, 4)
            & self.high(2).gt(self.high(3))
            & self.low(2).gt(self.low(3))
            & self.high(1).gt(self.high(2))
            & self.low(1).gt(self.low(2))
            & self.close(0).between(self.close(4), self.open(3));
        (self.long(4) & self.alike(4, 3) & self.alike(3, 1) & self.opposite(1, 0) & (down | up))
            .bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_ladder_bottom(self) -> Answer<J> {
        (self.black(4)
            & self.black(3)
            & self.black(2)
            & self.open(4).gt(self.open(3))
            & self.open(3).gt(self.open(2))
            & self.close(4).gt(self.close(3))
            & self.close(3).gt(self.close(2))
            & self.black(1)
            & self.upper(1).gt(self.shadow_very_short(1))
            & self.white(0)
            & self.open(0).gt(self.open(1))
            & self.close(0).gt(self.high(1)))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_mat_hold(self) -> Answer<J> {
        let floor = self.close(4) - self.body(4) * PENETRATION;
        (self.long(4)
            & self.short(3)
            & self.short(2)
            & self.short(1)
            & self.white(4)
            & self.black(3)
            & self.white(0)
            & self.gap_up(3, 4)
            & self.bottom(2).between(floor, self.close(4))
            & self.bottom(1).between(floor, self.close(4))
            & self.top(2).lt(self.open(3))
            & self.top(1).lt(self.top(2))
            & self.open(0).gt(self.close(1))
            & self.close(0).gt(self.high(3).max(self.high(2)).max(self.high(1))))
        .bullish()
    }

    /// The body reaches into the range of the first of five bars.
    #[inline(always)]
    fn overlaps_first(self, ago: usize) -> Is<J> {
        self.bottom(ago).lt(self.high(4)) & self.top(ago).gt(self.low(4))
    }

    #[inline(always)]
    pub(super) fn cdl_rise_fall_three_methods(self) -> Answer<J> {
        let rising = self.white(4)
            & self.close(2).lt(self.close(3))
            & self.close(1).lt(self.close(2))
            & self.open(0).gt(self.close(1))
            & self.close(0).gt(self.close(4));
        let falling = self.black(4)
            & self.close(2).gt(self.close(3))
            & self.close(1).gt(self.close(2))
            & self.open(0).lt(self.close(1))
            & self.close(0).lt(self.close(4));
        (self.long(4)
            & self.short(3)
            & self.short(2)
            & self.short(1)
            & self.long(0)
            & self.opposite(4, 3)
            & self.alike(3, 2)
            & self.alike(2, 1)
            & self.opposite(1, 0)
            & self.overlaps_first(3)
            & self.overlaps_first(2)
            & self.overlaps_first(1)
            & (rising | falling))
            .bearish_where(self.black(4))
    }
}
