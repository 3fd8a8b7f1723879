//! The candlestick state of `N` symbols side by side; of one symbol alone if `N` is 1.

use pulp::{Arch, Scalar, Simd, WithSimd};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::grade::Grading;
use super::lanes::{Is, Price};
use super::total::{self, Range, TOTALS};
use super::view::{Field, Layout, View};
use super::{ANSWERING, GRADED, Hits, WARM, evaluate};

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
pub(super) struct BySymbol<const N: usize>;

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

/// The values of one symbol.
impl Serialize for Block<1> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.rows.as_flattened().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Block<1> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let values: Vec<f64> = Vec::deserialize(from)?;
        let counts = |seen: &f64| (0..=WARM + 1).any(|bars| *seen == bars as f64);
        if values.len() != ROWS || !values.get(SEEN).is_some_and(counts) {
            return Err(Error::custom("candlesticks have other values"));
        }
        let mut values = values.into_iter();
        Ok(Self::from_values(|| values.next().unwrap_or_default()))
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

    /// Reads a value of each cache line.
    pub(crate) fn touch(&self) -> u64 {
        self.rows.iter().step_by(8).fold(0, |sum, [value]| sum ^ value.to_bits())
    }

    /// How clearly the function of `column`, which hits the newest bar, does so: 0 by a hair, 1 by all that is asked.
    #[must_use]
    pub fn quality(&self, column: usize) -> f64 {
        let seen = (self.rows[SEEN][0] as usize).min(BARS);
        let range = |ago: usize| {
            self.rows[Field::High as usize * BARS + ago][0] - self.rows[Field::Low as usize * BARS + ago][0]
        };
        let before = seen.saturating_sub(1);
        let noise = if before == 0 { range(0) } else { (1..=before).map(range).sum::<f64>() / before as f64 };
        let view = View::new(Grading { noise }, self.rows.as_flattened());
        GRADED.get(column).map_or(0.0, |statement| statement(view).hit.lanes().quality())
    }

    /// Takes in the next bar of a symbol alone, and says what it completes.
    pub fn update(&mut self, open: f64, high: f64, low: f64, close: f64) -> Hits {
        Arch::new().dispatch(Alone { block: self, bars: [[open], [high], [low], [close]] })
    }

    /// Takes in the next bar of a symbol alone, and asks no function about it: a fraction of what `update` costs.
    pub(super) fn pass(&mut self, open: f64, high: f64, low: f64, close: f64) {
        Arch::new().dispatch(Passing { block: self, bars: [[open], [high], [low], [close]] });
    }
}

/// The next bar of a symbol alone.
struct Alone<'a> {
    block: &'a mut Block<1>,
    bars: Bars<1>,
}

impl WithSimd for Alone<'_> {
    type Output = Hits;

    /// One number at a time, whatever the processor's registers hold; but with its newer instructions, which take three
    /// operands and choose between two numbers without a branch.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Hits {
        let [hits] = self.block.step(Scalar::new(), &self.bars);
        hits
    }
}

/// A bar of a symbol alone that no function is asked about.
struct Passing<'a> {
    block: &'a mut Block<1>,
    bars: Bars<1>,
}

impl WithSimd for Passing<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.block.take_in(Scalar::new(), &self.bars, !self.bars[0][0].is_nan());
    }
}

impl<const N: usize> Block<N> {
    /// The state of one of the symbols.
    pub(super) fn take(&self, symbol: usize) -> Block<1> {
        let mut alone = Block { rows: std::array::from_fn(|row| [self.rows[row][symbol]]), cold: true };
        alone.cold = alone.is_cold();
        alone
    }

    /// Gives one of the symbols this state.
    pub(super) fn put(&mut self, symbol: usize, alone: &Block<1>) {
        for (row, [value]) in self.rows.iter_mut().zip(&alone.rows) {
            row[symbol] = *value;
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
        let careful = self.take_in(simd, bars, all);
        let mut bits = [[0; N]; 3];
        for lane in (0..N).step_by(S::F64_LANES) {
            let answers = evaluate(simd, View::<S, BySymbol<N>>::new(simd, &self.rows.as_flattened()[lane..]));
            for (bits, lanes) in bits.iter_mut().zip([answers.hit, answers.bearish, answers.other]) {
                S::as_mut_simd_u64s(&mut bits[lane..lane + S::U64_LANES]).0[0] = lanes;
            }
        }
        for (at, hits) in hits.iter_mut().enumerate() {
            *hits = Hits { hit: bits[0][at], bearish: bits[1][at], other: bits[2][at] };
        }
        if careful {
            for ((hits, here), seen) in hits.iter_mut().zip(here).zip(self.rows[SEEN]) {
                hits.hit &= if here { ANSWERING[seen as usize - 1] } else { 0 };
            }
        }
        hits
    }

    /// Takes in the next bar of each symbol that has one, `all` of them or not. Whether with care; see [`Self::advance`].
    #[inline(always)]
    fn take_in<S: Simd>(&mut self, simd: S, bars: &Bars<N>, all: bool) -> bool {
        let careful = self.cold || !all;
        if careful {
            self.advance::<S, true>(simd, bars);
            self.cold = self.is_cold();
        } else {
            self.advance::<S, false>(simd, bars);
        }
        careful
    }

    /// Moves every row one bar back and puts the new bars, the means before them and the totals after them in place.
    ///
    /// `CAREFUL`: some symbol has no bar now and keeps all rows as they are, or has totals that have not yet started.
    ///
    /// Written without closures: one that is not inlined would fall back to the oldest instruction set.
    #[inline(always)]
    fn advance<S: Simd, const CAREFUL: bool>(&mut self, simd: S, bars: &Bars<N>) {
        let cells = self.rows.as_flattened_mut();
        if !CAREFUL {
            // The first row of each kind gets a row of another kind, and is overwritten below.
            cells.copy_within(..(TOTAL - 1) * N, N);
        }
        for lane in (0..N).step_by(S::F64_LANES) {
            let here = Price::load(simd, &bars[0][lane..]);
            let mut lanes = Lanes::<S, N, CAREFUL> { simd, here: here.eq(here), cells: &mut cells[lane..] };
            if CAREFUL {
                for row in (1..TOTAL).rev() {
                    let newer = lanes.row(row - 1);
                    lanes.put(row, newer);
                }
            }
            for (field, prices) in bars.iter().enumerate() {
                lanes.put(field * BARS, Price::load(simd, &prices[lane..]));
            }
            lanes.step_totals();
        }
    }
}

/// The rows of as many symbols as there are lanes, from the first one's cell.
struct Lanes<'a, S: Simd, const N: usize, const CAREFUL: bool> {
    simd: S,
    here: Is<S>,
    cells: &'a mut [f64],
}

impl<S: Simd, const N: usize, const CAREFUL: bool> Lanes<'_, S, N, CAREFUL> {
    #[inline(always)]
    fn row(&self, row: usize) -> Price<S> {
        Price::load(self.simd, &self.cells[row * N..])
    }

    /// Replaces the row where a symbol has a bar now.
    #[inline(always)]
    fn put(&mut self, row: usize, new: Price<S>) {
        let new = if CAREFUL { self.here.select(new, self.row(row)) } else { new };
        new.store(&mut self.cells[row * N..]);
    }

    #[inline(always)]
    fn range(&self, range: Range, ago: usize) -> Price<S> {
        range.of(self.row(ago), self.row(BARS + ago), self.row(2 * BARS + ago), self.row(3 * BARS + ago))
    }

    #[inline(always)]
    fn step_totals(&mut self) {
        let seen = self.row(SEEN);
        let changes = [Range::Body10, Range::HighLow10, Range::Shadows10, Range::HighLow5];
        let new = [self.range(changes[0], 0), self.range(changes[1], 0), self.range(changes[2], 0)];
        let old = [self.range(changes[0], 10), self.range(changes[1], 10), self.range(changes[2], 10)];
        let old_five = self.range(changes[3], 5);
        let change = [new[0] - old[0], new[1] - old[1], new[2] - old[2], new[1] - old_five];
        let (new, old) = ([new[0], new[1], new[2], new[1]], [old[0], old[1], old[2], old_five]);
        for (at, total) in TOTALS.iter().enumerate() {
            let (row, of) = (TOTAL + at, total.range as usize);
            let before = self.row(row);
            self.put(MEAN[at], before / total.range.bars() as f64);
            let after = if CAREFUL {
                // `seen` bars came before this one: the first is bar 0, this one bar number `seen`.
                let (zero, start) = (Price::splat(self.simd, 0.0), total.start);
                let leaving = seen.ge(Price::splat(self.simd, start as f64)).select(old[of], zero);
                let filling = seen.ge(Price::splat(self.simd, (start - total.range.bars()) as f64));
                filling.select(before + (new[of] - leaving), zero)
            } else {
                before + change[of]
            };
            self.put(row, after);
        }
        if CAREFUL {
            let most = Price::splat(self.simd, (WARM + 1) as f64);
            self.put(SEEN, (seen + Price::splat(self.simd, 1.0)).min(most));
        }
    }
}
