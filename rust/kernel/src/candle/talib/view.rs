//! The bars of a pattern, bar 0 the newest, and what TA-Lib measures them by.
//!
//! All expressions are TA-Lib's, term by term: a setting's average is factor · (total / n) / divisor, the divisor 2 for
//! shadows and else 1. Multiplying by 1 and dividing by 1 are left out, as they change no bit.

use super::lanes::{Is, Judge, Price};
use super::total::{Range, find};

/// A column of a bar.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Open,
    High,
    Low,
    Close,
}

/// Where the values of `ago` bars back stand, for the first lane; the other lanes follow it.
pub(super) trait Layout: Copy {
    /// How many cells a view of `lanes` lanes covers.
    fn span(lanes: usize) -> usize;
    /// A column of the bar `ago` back.
    fn bar(field: Field, ago: usize) -> usize;
    /// The mean range of the bars before the bar `ago` back, by the total's place in `TOTALS`.
    fn mean(total: usize, ago: usize) -> usize;
}

/// What a pattern sees.
#[derive(Clone, Copy)]
pub(super) struct View<'a, J: Judge, L: Layout> {
    judge: J,
    cells: &'a [f64],
    /// Of the function that looks: with it start its totals.
    lookback: usize,
    layout: std::marker::PhantomData<L>,
}

impl<'a, J: Judge, L: Layout> View<'a, J, L> {
    /// The lanes whose first stands at the start of `cells`.
    #[inline(always)]
    pub(super) fn new(judge: J, cells: &'a [f64]) -> Self {
        Self { judge, cells: &cells[..L::span(J::LANES)], lookback: 0, layout: std::marker::PhantomData }
    }

    /// The same bars as a function of this lookback sees them.
    #[inline(always)]
    pub(super) fn by(self, lookback: usize) -> Self {
        Self { lookback, ..self }
    }

    #[inline(always)]
    fn price(self, field: Field, ago: usize) -> Price<J> {
        Price::load(self.judge, &self.cells[L::bar(field, ago)..])
    }

    #[inline(always)]
    pub(super) fn open(self, ago: usize) -> Price<J> {
        self.price(Field::Open, ago)
    }

    #[inline(always)]
    pub(super) fn high(self, ago: usize) -> Price<J> {
        self.price(Field::High, ago)
    }

    #[inline(always)]
    pub(super) fn low(self, ago: usize) -> Price<J> {
        self.price(Field::Low, ago)
    }

    #[inline(always)]
    pub(super) fn close(self, ago: usize) -> Price<J> {
        self.price(Field::Close, ago)
    }

    /// c ≥ o.
    #[inline(always)]
    pub(super) fn white(self, ago: usize) -> Is<J> {
        self.close(ago).ge(self.open(ago))
    }

    /// c < o.
    #[inline(always)]
    pub(super) fn black(self, ago: usize) -> Is<J> {
        !self.white(ago)
    }

    /// Whether the two bars have one colour.
    #[inline(always)]
    pub(super) fn alike(self, a: usize, b: usize) -> Is<J> {
        !self.opposite(a, b)
    }

    /// Whether the two bars have opposite colours.
    #[inline(always)]
    pub(super) fn opposite(self, a: usize, b: usize) -> Is<J> {
        self.white(a) ^ self.white(b)
    }

    /// The body's upper end.
    #[inline(always)]
    pub(super) fn top(self, ago: usize) -> Price<J> {
        self.white(ago).select(self.close(ago), self.open(ago))
    }

    /// The body's lower end.
    #[inline(always)]
    pub(super) fn bottom(self, ago: usize) -> Price<J> {
        self.white(ago).select(self.open(ago), self.close(ago))
    }

    /// |c − o|.
    #[inline(always)]
    pub(super) fn body(self, ago: usize) -> Price<J> {
        (self.close(ago) - self.open(ago)).abs()
    }

    /// The upper shadow.
    #[inline(always)]
    pub(super) fn upper(self, ago: usize) -> Price<J> {
        self.high(ago) - self.top(ago)
    }

    /// The lower shadow.
    #[inline(always)]
    pub(super) fn lower(self, ago: usize) -> Price<J> {
        self.bottom(ago) - self.low(ago)
    }

    /// h − l.
    #[inline(always)]
    pub(super) fn range(self, ago: usize) -> Price<J> {
        self.high(ago) - self.low(ago)
    }

    /// The body of bar `a` lies wholly above that of bar `b`.
    #[inline(always)]
    pub(super) fn gap_up(self, a: usize, b: usize) -> Is<J> {
        self.bottom(a).gt(self.top(b))
    }

    /// The body of bar `a` lies wholly below that of bar `b`.
    #[inline(always)]
    pub(super) fn gap_down(self, a: usize, b: usize) -> Is<J> {
        self.top(a).lt(self.bottom(b))
    }

    /// Bar `a`, shadows included, lies wholly above bar `b`.
    #[inline(always)]
    pub(super) fn candle_gap_up(self, a: usize, b: usize) -> Is<J> {
        self.low(a).gt(self.high(b))
    }

    /// Bar `a`, shadows included, lies wholly below bar `b`.
    #[inline(always)]
    pub(super) fn candle_gap_down(self, a: usize, b: usize) -> Is<J> {
        self.high(a).lt(self.low(b))
    }

    /// The mean of `range` before the bar `ago` back, by the total that starts at bar `start`.
    #[inline(always)]
    pub(super) fn mean_from(self, start: usize, range: Range, ago: usize) -> Price<J> {
        Price::load(self.judge, &self.cells[L::mean(find(range, start), ago)..])
    }

    #[inline(always)]
    fn mean(self, range: Range, ago: usize) -> Price<J> {
        self.mean_from(self.lookback - ago, range, ago)
    }

    /// Body longer than the average of the ten before.
    #[inline(always)]
    pub(super) fn long(self, ago: usize) -> Is<J> {
        self.body(ago).gt(self.mean(Range::Body10, ago))
    }

    /// Body shorter than the average of the ten before.
    #[inline(always)]
    pub(super) fn short(self, ago: usize) -> Is<J> {
        self.body(ago).lt(self.mean(Range::Body10, ago))
    }

    /// Body not longer than the average of the ten before.
    #[inline(always)]
    pub(super) fn short_or_equal(self, ago: usize) -> Is<J> {
        self.body(ago).le(self.mean(Range::Body10, ago))
    }

    /// Body at most a tenth of the average range of the ten before.
    #[inline(always)]
    pub(super) fn doji(self, ago: usize) -> Is<J> {
        self.body(ago).le(self.mean(Range::HighLow10, ago) * 0.1)
    }

    /// A shadow below this is short: half of the average of both shadows of the ten before.
    #[inline(always)]
    pub(super) fn shadow_short(self, ago: usize) -> Price<J> {
        self.mean(Range::Shadows10, ago) / 2.0
    }

    /// A shadow below this is very short: a tenth of the average range of the ten before.
    #[inline(always)]
    pub(super) fn shadow_very_short(self, ago: usize) -> Price<J> {
        self.mean(Range::HighLow10, ago) * 0.1
    }

    /// A shadow above this is long: the bar's own body.
    #[inline(always)]
    pub(super) fn shadow_long(self, ago: usize) -> Price<J> {
        self.body(ago)
    }

    /// A shadow above this is very long: twice the bar's own body.
    #[inline(always)]
    pub(super) fn shadow_very_long(self, ago: usize) -> Price<J> {
        self.body(ago) * 2.0
    }

    /// Both shadows very short.
    #[inline(always)]
    pub(super) fn shaven(self, ago: usize) -> Is<J> {
        self.upper(ago).lt(self.shadow_very_short(ago)) & self.lower(ago).lt(self.shadow_very_short(ago))
    }

    /// Prices this close are near: a fifth of the average range of the five before.
    #[inline(always)]
    pub(super) fn near(self, ago: usize) -> Price<J> {
        self.mean(Range::HighLow5, ago) * 0.2
    }

    /// Prices this far apart are far: 0.6 of the average range of the five before.
    #[inline(always)]
    pub(super) fn far(self, ago: usize) -> Price<J> {
        self.mean(Range::HighLow5, ago) * 0.6
    }

    /// Prices this close are equal: a twentieth of the average range of the five before.
    #[inline(always)]
    pub(super) fn equal(self, ago: usize) -> Price<J> {
        self.mean(Range::HighLow5, ago) * 0.05
    }
}
