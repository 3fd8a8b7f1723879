//! Patterns of one bar, with at most one more as context.

use super::answer::Answer;
use super::lanes::Judge;
use super::view::{Layout, View};

impl<J: Judge, L: Layout> View<'_, J, L> {
    #[inline(always)]
    pub(super) fn cdl_doji(self) -> Answer<J> {
        self.doji(0).bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_dragonfly_doji(self) -> Answer<J> {
        let very_short = self.shadow_very_short(0);
        (self.doji(0) & self.upper(0).lt(very_short) & self.lower(0).gt(very_short)).bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_gravestone_doji(self) -> Answer<J> {
        let very_short = self.shadow_very_short(0);
        (self.doji(0) & self.lower(0).lt(very_short) & self.upper(0).gt(very_short)).bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_long_legged_doji(self) -> Answer<J> {
        let long = self.shadow_long(0);
        (self.doji(0) & (self.lower(0).gt(long) | self.upper(0).gt(long))).bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_rickshaw_man(self) -> Answer<J> {
        let (long, middle) = (self.shadow_long(0), self.low(0) + self.range(0) / 2.0);
        (self.doji(0)
            & self.lower(0).gt(long)
            & self.upper(0).gt(long)
            & self.bottom(0).le(middle + self.near(0))
            & self.top(0).ge(middle - self.near(0)))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_takuri(self) -> Answer<J> {
        (self.doji(0) & self.upper(0).lt(self.shadow_very_short(0)) & self.lower(0).gt(self.shadow_very_long(0)))
            .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_high_wave(self) -> Answer<J> {
        let very_long = self.shadow_very_long(0);
        (self.short(0) & self.upper(0).gt(very_long) & self.lower(0).gt(very_long)).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_spinning_top(self) -> Answer<J> {
        (self.short(0) & self.upper(0).gt(self.body(0)) & self.lower(0).gt(self.body(0))).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_marubozu(self) -> Answer<J> {
        (self.long(0) & self.shaven(0)).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_closing_marubozu(self) -> Answer<J> {
        let at_close = self.white(0).select(self.upper(0), self.lower(0));
        (self.long(0) & at_close.lt(self.shadow_very_short(0))).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_belt_hold(self) -> Answer<J> {
        let at_open = self.white(0).select(self.lower(0), self.upper(0));
        (self.long(0) & at_open.lt(self.shadow_very_short(0))).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_long_line(self) -> Answer<J> {
        let short = self.shadow_short(0);
        (self.long(0) & self.upper(0).lt(short) & self.lower(0).lt(short)).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_short_line(self) -> Answer<J> {
        let short = self.shadow_short(0);
        (self.short(0) & self.upper(0).lt(short) & self.lower(0).lt(short)).bearish_where(self.black(0))
    }

    #[inline(always)]
    pub(super) fn cdl_hammer(self) -> Answer<J> {
        (self.short(0)
            & self.lower(0).gt(self.shadow_long(0))
            & self.upper(0).lt(self.shadow_very_short(0))
            & self.bottom(0).le(self.low(1) + self.near(1)))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_hanging_man(self) -> Answer<J> {
        (self.short(0)
            & self.lower(0).gt(self.shadow_long(0))
            & self.upper(0).lt(self.shadow_very_short(0))
            & self.bottom(0).ge(self.high(1) - self.near(1)))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_inverted_hammer(self) -> Answer<J> {
        (self.short(0)
            & self.upper(0).gt(self.shadow_long(0))
            & self.lower(0).lt(self.shadow_very_short(0))
            & self.gap_down(0, 1))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_shooting_star(self) -> Answer<J> {
        (self.short(0)
            & self.upper(0).gt(self.shadow_long(0))
            & self.lower(0).lt(self.shadow_very_short(0))
            & self.gap_up(0, 1))
        .bearish()
    }
}
