//! The candlestick state of `N` symbols side by side; of one symbol alone if `N` is 1.

use pulp::Simd;

use super::lanes::{Is, Price};
use super::total::{self, Range, TOTALS};
use super::view::{Field, Layout, View};
use super::{ANSWERING, Hits, WARM, evaluate};

/// Bars of history: the eleventh bar back leaves the totals of ten.
const BARS: usize = 11;

/// Rows of the means: of each total as many as patterns look back on.
const MEANS: usize = {
    let (mut rows, mut at) = (0, 0);
    while at < total::COUNT {
        rows += TOTALS[at].depth;
        at += 1;
    }
    rows
};

/// The first row of each total's means.
const MEAN: [usize; total::COUNT] = {
    let mut first = [4 * BARS; total::COUNT];
    let mut at = 1;
    while at < total::COUNT {
        first[at] = first[at - 1] + TOTALS[at - 1].depth;
        at += 1;
    }
    first
};

/// The first row of the totals.
const TOTAL: usize = 4 * BARS + MEANS;

/// The row that counts bars, up to [`WARM`] before the newest.
const SEEN: usize = TOTAL + total::COUNT;

/// Values of one symbol.
pub(super) const ROWS: usize = SEEN + 1;

/// Open, high, low and close of `N` symbols, one bar each; four NaN say that a symbol has none.
pub type Bars<const N: usize> = [[f64; N]; 4];

/// What `N` symbols remember: 107 values each, newest bar first, symbol beside symbol.
///
/// To step costs the same whatever came before: O(1) a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<const N: usize> {
    pub(super) rows: [[f64; N]; ROWS],
    /// Some symbol has not yet [`WARM`] bars before its newest.
    cold: bool,
}

/// Symbols side by side in a [`Block`].
#[derive(Clone, Copy)]
struct BySymbol<const N: usize>;

impl<const N: usize> Layout for BySymbol<N> {
    #[inline(always)]
    fn span(lanes: usize) -> usize {
        (ROWS - 1) * N + lanes
    }

    #[inline(always)]
    fn bar(field: Field, ago: usize) -> usize {
        (field as usize * BARS + ago) * N
    }

    #[inline(always)]
    fn mean(total: usize, ago: usize) -> usize {
        assert!(ago < TOTALS[total].depth, "no function looks that far back");
        (MEAN[total] + ago) * N
    }
}

impl<const N: usize> Default for Block<N> {
    fn default() -> Self {
        Self { rows: [[0.0; N]; ROWS], cold: true }
    }
}

impl Block<1> {
    /// All values, row by row.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.rows.into_iter().flatten()
    }

    /// The state of these values, asked for row by row.
    pub(super) fn from_values(mut next: impl FnMut() -> f64) -> Self {
        let mut alone = Self { rows: std::array::from_fn(|_| [next()]), cold: true };
        alone.cold = alone.is_cold();
        alone
    }

    /// Takes in the next bar of a symbol alone, and says what it completes.
    pub fn update(&mut self, open: f64, high: f64, low: f64, close: f64) -> Hits {
        let [hits] = self.step(pulp::Scalar::new(), &[[open], [high], [low], [close]]);
        hits
    }
}

impl<const N: usize> Block<N> {
    /// The state of one of the symbols.
    pub(super) fn take(&self, symbol: usize) -> Block<1> {
        let mut alone = Block { rows: self.rows.map(|row| [row[symbol]]), cold: true };
        alone.cold = alone.is_cold();
        alone
    }

    /// Gives one of the symbols this state.
    pub(super) fn put(&mut self, symbol: usize, alone: &Block<1>) {
        for (row, [value]) in self.rows.iter_mut().zip(alone.rows) {
            row[symbol] = value;
        }
        self.cold = self.is_cold();
    }

    fn is_cold(&self) -> bool {
        self.rows[SEEN].iter().any(|seen| *seen <= WARM as f64)
    }

    /// Takes in the next bar of each symbol that has one, and says what it completes. `N` is a multiple of the lanes.
    #[inline(always)]
    pub(super) fn step<S: Simd>(&mut self, simd: S, bars: &Bars<N>) -> [Hits; N] {
        let mut hits = [Hits::default(); N];
        let here: [bool; N] = std::array::from_fn(|symbol| !bars[0][symbol].is_nan());
        let all = here.iter().all(|here| *here);
        if !all && here.iter().all(|here| !here) {
            return hits;
        }
        let careful = self.cold || !all;
        let cells = self.rows.as_flattened_mut();
        for lane in (0..N).step_by(S::F64_LANES) {
            let cells = &mut cells[lane..];
            let new = bars.each_ref().map(|row| Price::load(simd, &row[lane..]));
            if careful {
                advance::<S, N, true>(simd, cells, new);
            } else {
                advance::<S, N, false>(simd, cells, new);
            }
            let answers = evaluate(simd, View::<S, BySymbol<N>>::new(simd, cells));
            let mut bits = [[0; 8]; 3];
            for (bits, lanes) in bits.iter_mut().zip([answers.hit, answers.bearish, answers.other]) {
                S::as_mut_simd_u64s(&mut bits[..S::U64_LANES]).0[0] = lanes;
            }
            for (at, hits) in hits[lane..].iter_mut().take(S::F64_LANES).enumerate() {
                *hits = Hits { hit: bits[0][at], bearish: bits[1][at], other: bits[2][at] };
            }
        }
        if careful {
            self.cold = self.is_cold();
            for ((hits, here), seen) in hits.iter_mut().zip(here).zip(self.rows[SEEN]) {
                hits.hit &= if here { ANSWERING[seen as usize - 1] } else { 0 };
            }
        }
        hits
    }
}

/// Moves every row one bar back and puts the new bar, the means before it and the totals after it in place.
///
/// `CAREFUL`: some symbol has no bar now and keeps all rows as they are, or has totals that have not yet started.
#[inline(always)]
fn advance<S: Simd, const N: usize, const CAREFUL: bool>(simd: S, cells: &mut [f64], new: [Price<S>; 4]) {
    let cells = &mut cells[..(ROWS - 1) * N + S::F64_LANES];
    let zero = Price::splat(simd, 0.0);
    let here = new[0].eq(new[0]);
    let keep = |row: usize, new: Price<S>, cells: &[f64]| {
        if CAREFUL { here.select(new, Price::load(simd, &cells[row * N..])) } else { new }
    };
    for (field, new) in new.into_iter().enumerate() {
        shift::<S, N, CAREFUL>(simd, cells, here, field * BARS, BARS, new);
    }
    for (at, total) in TOTALS.iter().enumerate() {
        let mean = Price::load(simd, &cells[(TOTAL + at) * N..]) / total.range.bars() as f64;
        shift::<S, N, CAREFUL>(simd, cells, here, MEAN[at], total.depth, mean);
    }
    let seen = Price::load(simd, &cells[SEEN * N..]);
    let ranges = |ago: usize, cells: &[f64]| {
        let [o, h, l, c] = [Field::Open, Field::High, Field::Low, Field::Close]
            .map(|field| Price::load(simd, &cells[BySymbol::<N>::bar(field, ago)..]));
        [Range::Body10, Range::HighLow10, Range::Shadows10].map(|range| range.of(o, h, l, c))
    };
    let (entering, five_ago, ten_ago) = (ranges(0, cells), ranges(5, cells), ranges(10, cells));
    for (at, total) in TOTALS.iter().enumerate() {
        let (entering, leaving) = match total.range {
            Range::Body10 => (entering[0], ten_ago[0]),
            Range::HighLow10 => (entering[1], ten_ago[1]),
            Range::Shadows10 => (entering[2], ten_ago[2]),
            Range::HighLow5 => (entering[1], five_ago[1]),
        };
        let row = TOTAL + at;
        let before = Price::load(simd, &cells[row * N..]);
        let after = if CAREFUL {
            // `seen` bars came before this one: it is bar number `seen`, the first one is bar 0.
            let started = seen.ge(Price::splat(simd, total.start as f64));
            let filling = seen.ge(Price::splat(simd, (total.start - total.range.bars()) as f64));
            let after = before + (entering - started.select(leaving, zero));
            keep(row, filling.select(after, zero), cells)
        } else {
            before + (entering - leaving)
        };
        after.store(&mut cells[row * N..]);
    }
    if CAREFUL {
        let counted = (seen + Price::splat(simd, 1.0)).min(Price::splat(simd, (WARM + 1) as f64));
        keep(SEEN, counted, cells).store(&mut cells[SEEN * N..]);
    }
}

/// Moves `count` rows from row `first` on one row back, the last one out, and puts `new` into the first.
#[inline(always)]
fn shift<S: Simd, const N: usize, const CAREFUL: bool>(
    simd: S,
    cells: &mut [f64],
    here: Is<S>,
    first: usize,
    count: usize,
    new: Price<S>,
) {
    let mut next = new;
    for row in first..first + count {
        let cells = &mut cells[row * N..];
        let old = Price::load(simd, cells);
        (if CAREFUL { here.select(next, old) } else { next }).store(cells);
        next = old;
    }
}
