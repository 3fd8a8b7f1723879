//! Patterns of two bars.

use super::answer::Answer;
use super::lanes::{Is, Judge, Price};
use super::view::{Layout, View};

/// How far into the first body the second bar must close: TA-Lib's default, and fixed in two of the three.
const PENETRATION: f64 = 0.5;

impl<J: Judge, L: Layout> View<'_, J, L> {
    /// 80 where the two bodies share an end.
    #[inline(always)]
    pub(super) fn cdl_engulfing(self) -> Answer<J> {
        let (o0, c0, o1, c1) = (self.open(0), self.close(0), self.open(1), self.close(1));
        let rising = self.white(0) & self.black(1) & ((c0.ge(o1) & o0.lt(c1)) | (c0.gt(o1) & o0.le(c1)));
        let falling = self.black(0) & self.white(1) & ((o0.ge(c1) & c0.lt(o1)) | (o0.gt(c1) & c0.le(o1)));
        (rising | falling).bearish_where(self.black(0)).other_where(o0.eq(c1) | c0.eq(o1))
    }

    #[inline(always)]
    fn harami(self, small: Is<J>) -> Answer<J> {
        let inside = self.top(0).lt(self.top(1)) & self.bottom(0).gt(self.bottom(1));
        let within = self.top(0).le(self.top(1)) & self.bottom(0).ge(self.bottom(1));
        (self.long(1) & small & within).bearish_where(self.white(1)).other_where(!inside)
    }

    /// 80 where the two bodies share an end.
    #[inline(always)]
    pub(super) fn cdl_harami(self) -> Answer<J> {
        self.harami(self.short_or_equal(0))
    }

    /// 80 where the two bodies share an end.
    #[inline(always)]
    pub(super) fn cdl_harami_cross(self) -> Answer<J> {
        self.harami(self.doji(0))
    }

    #[inline(always)]
    pub(super) fn cdl_doji_star(self) -> Answer<J> {
        let away = (self.white(1) & self.gap_up(0, 1)) | (self.black(1) & self.gap_down(0, 1));
        (self.long(1) & self.doji(0) & away).bearish_where(self.white(1))
    }

    #[inline(always)]
    pub(super) fn cdl_dark_cloud_cover(self) -> Answer<J> {
        (self.white(1)
            & self.long(1)
            & self.black(0)
            & self.open(0).gt(self.high(1))
            & self.close(0).gt(self.open(1))
            & self.close(0).lt(self.close(1) - self.body(1) * PENETRATION))
        .bearish()
    }

    /// A long black bar, then a white one that opens below its low.
    #[inline(always)]
    fn opens_below_long_black(self) -> Is<J> {
        self.black(1) & self.long(1) & self.white(0) & self.open(0).lt(self.low(1))
    }

    /// The close that reaches the middle of the body before.
    #[inline(always)]
    fn middle_of_black(self) -> Price<J> {
        self.close(1) + self.body(1) * PENETRATION
    }

    #[inline(always)]
    pub(super) fn cdl_piercing(self) -> Answer<J> {
        (self.opens_below_long_black()
            & self.long(0)
            & self.close(0).lt(self.open(1))
            & self.close(0).gt(self.middle_of_black()))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_in_neck(self) -> Answer<J> {
        (self.opens_below_long_black()
            & self.close(0).le(self.close(1) + self.equal(1))
            & self.close(0).ge(self.close(1)))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_on_neck(self) -> Answer<J> {
        (self.opens_below_long_black() & self.close(0).near(self.low(1), self.equal(1))).bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_thrusting(self) -> Answer<J> {
        (self.opens_below_long_black()
            & self.close(0).gt(self.close(1) + self.equal(1))
            & self.close(0).le(self.middle_of_black()))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_counterattack(self) -> Answer<J> {
        (self.opposite(0, 1) & self.long(1) & self.long(0) & self.close(0).near(self.close(1), self.equal(1)))
            .bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_separating_lines(self) -> Answer<J> {
        let at_open = self.white(0).select(self.lower(0), self.upper(0));
        (self.opposite(0, 1)
            & self.open(0).near(self.open(1), self.equal(1))
            & self.long(0)
            & at_open.lt(self.shadow_very_short(0)))
        .bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_matching_low(self) -> Answer<J> {
        (self.black(1) & self.black(0) & self.close(0).near(self.close(1), self.equal(1))).bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_homing_pigeon(self) -> Answer<J> {
        (self.black(1)
            & self.black(0)
            & self.long(1)
            & self.short_or_equal(0)
            & self.open(0).lt(self.open(1))
            & self.close(0).gt(self.close(1)))
        .bullish()
    }

    #[inline(always)]
    fn kicks(self) -> Is<J> {
        let away = (self.black(1) & self.candle_gap_up(0, 1)) | (self.white(1) & self.candle_gap_down(0, 1));
        self.opposite(0, 1) & self.long(1) & self.shaven(1) & self.long(0) & self.shaven(0) & away
    }

    #[inline(always)]
    pub(super) fn cdl_kicking(self) -> Answer<J> {
        self.kicks().bearish_where(self.black(0))
    }

    /// The sign is the colour of the longer body, of the older one if they are equal.
    #[inline(always)]
    pub(super) fn cdl_kicking_by_length(self) -> Answer<J> {
        let newer = self.body(0).gt(self.body(1));
        self.kicks().bearish_where((newer & self.black(0)) | (!newer & self.black(1)))
    }
}
