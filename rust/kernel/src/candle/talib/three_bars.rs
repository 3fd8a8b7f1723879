//! Patterns of three bars.

use super::answer::Answer;
use super::lanes::{Is, Judge, Price};
use super::view::{Layout, View};

/// How far into the first body the third bar of a star must close: TA-Lib's default.
const PENETRATION: f64 = 0.3;

impl<J: Judge, L: Layout> View<'_, J, L> {
    #[inline(always)]
    pub(super) fn cdl_two_crows(self) -> Answer<J> {
        (self.white(2)
            & self.long(2)
            & self.black(1)
            & self.gap_up(1, 2)
            & self.black(0)
            & self.open(0).between(self.close(1), self.open(1))
            & self.close(0).between(self.open(2), self.close(2)))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_upside_gap_two_crows(self) -> Answer<J> {
        (self.white(2)
            & self.long(2)
            & self.black(1)
            & self.short_or_equal(1)
            & self.gap_up(1, 2)
            & self.black(0)
            & self.open(0).gt(self.open(1))
            & self.close(0).lt(self.close(1))
            & self.close(0).gt(self.close(2)))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_three_inside(self) -> Answer<J> {
        let turned = (self.white(2) & self.black(0) & self.close(0).lt(self.open(2)))
            | (self.black(2) & self.white(0) & self.close(0).gt(self.open(2)));
        (self.long(2)
            & self.short_or_equal(1)
            & self.top(1).lt(self.top(2))
            & self.bottom(1).gt(self.bottom(2))
            & turned)
            .bearish_where(self.white(2))
    }

    #[inline(always)]
    pub(super) fn cdl_three_outside(self) -> Answer<J> {
        let rising = self.white(1)
            & self.black(2)
            & self.close(1).gt(self.open(2))
            & self.open(1).lt(self.close(2))
            & self.close(0).gt(self.close(1));
        let falling = self.black(1)
            & self.white(2)
            & self.open(1).gt(self.close(2))
            & self.close(1).lt(self.open(2))
            & self.close(0).lt(self.close(1));
        (rising | falling).bearish_where(self.black(1))
    }

    #[inline(always)]
    pub(super) fn cdl_three_stars_in_the_south(self) -> Answer<J> {
        (self.black(2)
            & self.black(1)
            & self.black(0)
            & self.long(2)
            & self.lower(2).gt(self.shadow_long(2))
            & self.body(1).lt(self.body(2))
            & self.open(1).gt(self.close(2))
            & self.open(1).le(self.high(2))
            & self.low(1).lt(self.close(2))
            & self.low(1).ge(self.low(2))
            & self.lower(1).gt(self.shadow_very_short(1))
            & self.short(0)
            & self.shaven(0)
            & self.low(0).gt(self.low(1))
            & self.high(0).lt(self.high(1)))
        .bullish()
    }

    /// Three white bars, each closing above the one before.
    #[inline(always)]
    fn three_white_rising(self) -> Is<J> {
        self.white(2)
            & self.white(1)
            & self.white(0)
            & self.close(0).gt(self.close(1))
            & self.close(1).gt(self.close(2))
    }

    /// The bar opens above the open before it, and not far above the close before it.
    #[inline(always)]
    fn opens_in_or_near(self, ago: usize) -> Is<J> {
        let before = ago + 1;
        self.open(ago).gt(self.open(before)) & self.open(ago).le(self.close(before) + self.near(before))
    }

    #[inline(always)]
    fn upper_very_short(self, ago: usize) -> Is<J> {
        self.upper(ago).lt(self.shadow_very_short(ago))
    }

    #[inline(always)]
    pub(super) fn cdl_three_white_soldiers(self) -> Answer<J> {
        (self.three_white_rising()
            & self.upper_very_short(2)
            & self.upper_very_short(1)
            & self.upper_very_short(0)
            & self.opens_in_or_near(1)
            & self.opens_in_or_near(0)
            & self.body(1).gt(self.body(2) - self.far(2))
            & self.body(0).gt(self.body(1) - self.far(1))
            & self.long(0))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_advance_block(self) -> Answer<J> {
        let (b0, b1, b2) = (self.body(0), self.body(1), self.body(2));
        let tires = (b1.lt(b2 - self.far(2)) & b0.lt(b1 + self.near(1)))
            | b0.lt(b1 - self.far(1))
            | (b0.lt(b1)
                & b1.lt(b2)
                & (self.upper(0).gt(self.shadow_short(0)) | self.upper(1).gt(self.shadow_short(1))))
            | (b0.lt(b1) & self.upper(0).gt(self.shadow_long(0)));
        (self.three_white_rising()
            & self.opens_in_or_near(1)
            & self.opens_in_or_near(0)
            & self.long(2)
            & self.upper(2).lt(self.shadow_short(2))
            & tires)
            .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_stalled_pattern(self) -> Answer<J> {
        (self.three_white_rising()
            & self.long(2)
            & self.long(1)
            & self.upper_very_short(1)
            & self.opens_in_or_near(1)
            & self.short(0)
            & self.open(0).ge(self.close(1) - self.body(0) - self.near(1)))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_identical_three_crows(self) -> Answer<J> {
        (self.black(2)
            & self.black(1)
            & self.black(0)
            & self.lower(2).lt(self.shadow_very_short(2))
            & self.lower(1).lt(self.shadow_very_short(1))
            & self.lower(0).lt(self.shadow_very_short(0))
            & self.close(2).gt(self.close(1))
            & self.close(1).gt(self.close(0))
            & self.open(1).near(self.close(2), self.equal(2))
            & self.open(0).near(self.close(1), self.equal(1)))
        .bearish()
    }

    /// How far the third bar of a star must come back.
    #[inline(always)]
    fn into_first(self) -> Price<J> {
        self.body(2) * PENETRATION
    }

    #[inline(always)]
    fn morning(self, star: Is<J>) -> Answer<J> {
        (self.long(2)
            & self.black(2)
            & star
            & self.gap_down(1, 2)
            & self.long(0)
            & self.white(0)
            & self.close(0).gt(self.close(2) + self.into_first()))
        .bullish()
    }

    #[inline(always)]
    fn evening(self, star: Is<J>) -> Answer<J> {
        (self.long(2)
            & self.white(2)
            & star
            & self.gap_up(1, 2)
            & self.long(0)
            & self.black(0)
            & self.close(0).lt(self.close(2) - self.into_first()))
        .bearish()
    }

    #[inline(always)]
    pub(super) fn cdl_morning_star(self) -> Answer<J> {
        self.morning(self.short_or_equal(1))
    }

    #[inline(always)]
    pub(super) fn cdl_evening_star(self) -> Answer<J> {
        self.evening(self.short_or_equal(1))
    }

    #[inline(always)]
    pub(super) fn cdl_morning_doji_star(self) -> Answer<J> {
        self.morning(self.doji(1))
    }

    #[inline(always)]
    pub(super) fn cdl_evening_doji_star(self) -> Answer<J> {
        self.evening(self.doji(1))
    }

    #[inline(always)]
    pub(super) fn cdl_abandoned_baby(self) -> Answer<J> {
        let top = self.white(2)
            & self.black(0)
            & self.close(0).lt(self.close(2) - self.into_first())
            & self.candle_gap_up(1, 2)
            & self.candle_gap_down(0, 1);
        let bottom = self.black(2)
            & self.white(0)
            & self.close(0).gt(self.close(2) + self.into_first())
            & self.candle_gap_down(1, 2)
            & self.candle_gap_up(0, 1);
        (self.long(2) & self.doji(1) & self.long(0) & (top | bottom)).bearish_where(self.black(0))
    }

    /// All three are judged by the average before the first.
    #[inline(always)]
    pub(super) fn cdl_tristar(self) -> Answer<J> {
        let doji = self.shadow_very_short(2);
        let top = self.gap_up(1, 2) & self.top(0).lt(self.top(1));
        let bottom = self.gap_down(1, 2) & self.bottom(0).gt(self.bottom(1));
        (self.body(2).le(doji) & self.body(1).le(doji) & self.body(0).le(doji) & (top | bottom)).bearish_where(top)
    }

    #[inline(always)]
    pub(super) fn cdl_gap_side_by_side_white(self) -> Answer<J> {
        let up = self.gap_up(1, 2) & self.gap_up(0, 2);
        let down = self.gap_down(1, 2) & self.gap_down(0, 2);
        ((up | down)
            & self.white(1)
            & self.white(0)
            & self.body(0).near(self.body(1), self.near(1))
            & self.open(0).near(self.open(1), self.equal(1)))
        .bearish_where(!self.gap_up(1, 2))
    }

    #[inline(always)]
    pub(super) fn cdl_tasuki_gap(self) -> Answer<J> {
        let up = self.gap_up(1, 2)
            & self.white(1)
            & self.black(0)
            & self.open(0).between(self.open(1), self.close(1))
            & self.close(0).between(self.top(2), self.open(1));
        let down = self.gap_down(1, 2)
            & self.black(1)
            & self.white(0)
            & self.open(0).between(self.close(1), self.open(1))
            & self.close(0).between(self.open(1), self.bottom(2));
        ((up | down) & (self.body(1) - self.body(0)).abs().lt(self.near(1))).bearish_where(self.black(1))
    }

    #[inline(always)]
    pub(super) fn cdl_side_gap_three_methods(self) -> Answer<J> {
        let gap = (self.white(2) & self.gap_up(1, 2)) | (self.black(2) & self.gap_down(1, 2));
        (self.alike(2, 1)
            & self.opposite(1, 0)
            & self.open(0).between(self.bottom(1), self.top(1))
            & self.close(0).between(self.bottom(2), self.top(2))
            & gap)
            .bearish_where(self.black(2))
    }

    #[inline(always)]
    pub(super) fn cdl_stick_sandwich(self) -> Answer<J> {
        (self.black(2)
            & self.white(1)
            & self.black(0)
            & self.low(1).gt(self.close(2))
            & self.close(0).near(self.close(2), self.equal(2)))
        .bullish()
    }

    #[inline(always)]
    pub(super) fn cdl_unique_three_river(self) -> Answer<J> {
        (self.long(2)
            & self.black(2)
            & self.black(1)
            & self.close(1).gt(self.close(2))
            & self.open(1).le(self.open(2))
            & self.low(1).lt(self.low(2))
            & self.short(0)
            & self.white(0)
            & self.open(0).gt(self.low(1)))
        .bullish()
    }
}
