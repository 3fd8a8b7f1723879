//! The running totals behind TA-Lib's candle settings.
//!
//! TA-Lib compares a bar with the mean range of the n bars before it. Each of its functions keeps, for each setting and
//! bar of its pattern, a total of its own: at first the sum of the n ranges before bar `start`, oldest first; then, bar
//! by bar, total += range(new) − range(old), the difference taken first. Floats remember in which order they were
//! summed, so only totals of one range, one n and one start agree for ever; `start` is the function's lookback less the
//! bars between the one that is judged and the newest. The 61 functions use [`TOTALS`] and no others.

use pulp::Scalar;

use super::lanes::{Judge, Price};
use super::{Prices, WARM};

/// What is summed, and over how many bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// Σ|c − o| of 10 bars.
    Body10,
    /// Σ(h − l) of 10 bars.
    HighLow10,
    /// Σ(upper + lower shadow) of 10 bars.
    Shadows10,
    /// Σ(h − l) of 5 bars.
    HighLow5,
}

/// One running total.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    pub(super) range: Range,
    /// The first bar for which it is used, counted from the symbol's first; its window before that is `start − n..start`.
    pub(super) start: usize,
    /// How many bars back the patterns look at it, the newest included.
    pub(super) depth: usize,
}

const fn total(range: Range, start: usize, depth: usize) -> Total {
    Total { range, start, depth }
}

/// How many totals there are.
pub(super) const COUNT: usize = 16;

/// All totals that the 61 functions need.
pub(super) const TOTALS: [Total; COUNT] = [
    total(Range::Body10, 10, 5),
    total(Range::Body10, 11, 4),
    total(Range::Body10, 12, 3),
    total(Range::Body10, 13, 2),
    total(Range::Body10, 14, 1),
    total(Range::HighLow10, 10, 4),
    total(Range::HighLow10, 11, 3),
    total(Range::HighLow10, 12, 2),
    total(Range::HighLow10, 13, 2),
    total(Range::Shadows10, 10, 3),
    total(Range::Shadows10, 11, 2),
    total(Range::Shadows10, 12, 1),
    total(Range::HighLow5, 5, 6),
    total(Range::HighLow5, 6, 3),
    total(Range::HighLow5, 10, 3),
    total(Range::HighLow5, 11, 2),
];

impl Range {
    /// How many bars are summed.
    pub(super) const fn bars(self) -> usize {
        match self {
            Self::Body10 | Self::HighLow10 | Self::Shadows10 => 10,
            Self::HighLow5 => 5,
        }
    }

    /// The range of one bar.
    #[inline(always)]
    pub(super) fn of<J: Judge>(self, open: Price<J>, high: Price<J>, low: Price<J>, close: Price<J>) -> Price<J> {
        let white = close.ge(open);
        let (top, bottom) = (white.select(close, open), white.select(open, close));
        match self {
            Self::Body10 => (close - open).abs(),
            Self::HighLow10 | Self::HighLow5 => high - low,
            Self::Shadows10 => (high - top) + (bottom - low),
        }
    }
}

/// Where in [`TOTALS`] the total of `range` that starts at `start` stands.
#[inline(always)]
pub(super) const fn find(range: Range, start: usize) -> usize {
    match (range, start) {
        (Range::Body10, 10..=14) => start - 10,
        (Range::HighLow10, 10..=13) => start - 5,
        (Range::Shadows10, 10..=12) => start - 1,
        (Range::HighLow5, 5..=6) => start + 7,
        (Range::HighLow5, 10..=11) => start + 4,
        _ => panic!("no function uses this total"),
    }
}

/// Whether each total of these bars is, from its own first bar on, what the one of its range is that begins first: then
/// that one will stand for all of them, for ever. So it is where prices have a common unit and a size that leave room for
/// exact sums.
pub(super) fn agree_at_once(prices: Prices<'_>) -> bool {
    let bars = prices[0].len().min(WARM + 1);
    let price = |field: usize, bar: usize| Price::splat(Scalar::new(), prices[field][bar]);
    [Range::Body10, Range::HighLow10, Range::Shadows10, Range::HighLow5].into_iter().all(|range| {
        let of = |bar: usize| range.of(price(0, bar), price(1, bar), price(2, bar), price(3, bar)).lanes();
        let ranges: Vec<f64> = (0..bars).map(of).collect();
        let begun = |start: usize| ranges[start - range.bars()..start].iter().fold(0.0, |sum, range| sum + range);
        let mut starts =
            TOTALS.iter().filter(|total| total.range == range && total.start <= bars).map(|total| total.start);
        let Some(first) = starts.next() else { return true };
        let (mut at, mut total) = (first, begun(first));
        starts.all(|start| {
            for bar in at..start {
                total += ranges[bar] - ranges[bar - range.bars()];
            }
            at = start;
            begun(start) == total
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{TOTALS, find};

    #[test]
    fn every_total_is_found_where_it_stands() {
        for (at, total) in TOTALS.iter().enumerate() {
            assert_eq!(find(total.range, total.start), at);
        }
    }
}
