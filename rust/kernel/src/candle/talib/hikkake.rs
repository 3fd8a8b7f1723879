//! Hikkake and modified hikkake: a false break out of an inside bar, and its confirmation within three bars.
//!
//! TA-Lib remembers the newest set-up and forgets it once confirmed. That memory is written here as a function of the
//! last bars: the newest set-up of the three bars before, if none of the bars between has confirmed it.

use super::answer::Answer;
use super::lanes::{Is, Judge, Price};
use super::total::Range;
use super::view::{Layout, View};

/// A set-up at one bar.
#[derive(Clone, Copy)]
struct Setup<J: Judge> {
    bull: Is<J>,
    bear: Is<J>,
    /// A close above it confirms a bullish set-up.
    high: Price<J>,
    /// A close below it confirms a bearish set-up.
    low: Price<J>,
}

impl<J: Judge> Setup<J> {
    #[inline(always)]
    fn any(self) -> Is<J> {
        self.bull | self.bear
    }

    #[inline(always)]
    fn confirmed_by(self, close: Price<J>) -> Is<J> {
        (self.bull & close.gt(self.high)) | (self.bear & close.lt(self.low))
    }
}

impl<J: Judge, L: Layout> View<'_, J, L> {
    /// The range of the bar lies within that of the bar before it.
    #[inline(always)]
    fn inside(self, ago: usize) -> Is<J> {
        self.high(ago).lt(self.high(ago + 1)) & self.low(ago).gt(self.low(ago + 1))
    }

    /// Lower high and lower low than the bar before.
    #[inline(always)]
    fn breaks_down(self, ago: usize) -> Is<J> {
        self.high(ago).lt(self.high(ago + 1)) & self.low(ago).lt(self.low(ago + 1))
    }

    /// Higher high and higher low than the bar before.
    #[inline(always)]
    fn breaks_up(self, ago: usize) -> Is<J> {
        self.high(ago).gt(self.high(ago + 1)) & self.low(ago).gt(self.low(ago + 1))
    }

    #[inline(always)]
    fn hikkake_setup(self, ago: usize) -> Setup<J> {
        let inside = self.inside(ago + 1);
        Setup {
            bull: inside & self.breaks_down(ago),
            bear: inside & self.breaks_up(ago),
            high: self.high(ago + 1),
            low: self.low(ago + 1),
        }
    }

    /// The second of four bars, itself inside the first, closes near its end opposite to the set-up's direction.
    #[inline(always)]
    fn modified_setup(self, ago: usize) -> Setup<J> {
        let (second, setup) = (ago + 2, self.hikkake_setup(ago));
        // Bar 10, the first with an answer, needs the set-ups of bars 7 to 9: the total starts for the second bar of 7's.
        let near = self.mean_from(5, Range::HighLow5, second) * 0.2;
        let inside = self.inside(second);
        Setup {
            bull: setup.bull & inside & self.close(second).le(self.low(second) + near),
            bear: setup.bear & inside & self.close(second).ge(self.high(second) - near),
            ..setup
        }
    }

    #[inline(always)]
    fn judged(self, setups: [Setup<J>; 4]) -> Answer<J> {
        let [now, one, two, three] = setups;
        let (c0, c1, c2) = (self.close(0), self.close(1), self.close(2));
        // Whether the set-up of so many bars ago is the newest and was not confirmed before now.
        let open_one = one.any();
        let open_two = two.any() & !one.any() & !two.confirmed_by(c1);
        let open_three = three.any() & !two.any() & !one.any() & !three.confirmed_by(c2) & !three.confirmed_by(c1);
        let confirmed = (open_one & one.confirmed_by(c0))
            | (open_two & two.confirmed_by(c0))
            | (open_three & three.confirmed_by(c0));
        let confirms_bear = (open_one & one.bear) | (open_two & two.bear) | (open_three & three.bear);
        let bearish = (now.any() & now.bear) | (!now.any() & confirms_bear);
        (now.any() | confirmed).bearish_where(bearish).other_where(!now.any())
    }

    /// 200 where a set-up is confirmed.
    #[inline(always)]
    pub(super) fn cdl_hikkake(self) -> Answer<J> {
        self.judged([self.hikkake_setup(0), self.hikkake_setup(1), self.hikkake_setup(2), self.hikkake_setup(3)])
    }

    /// 200 where a set-up is confirmed.
    #[inline(always)]
    pub(super) fn cdl_modified_hikkake(self) -> Answer<J> {
        self.judged([self.modified_setup(0), self.modified_setup(1), self.modified_setup(2), self.modified_setup(3)])
    }
}
