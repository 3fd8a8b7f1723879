//! The numbers of a plan for consecutive bars, a row each, and the words of its comparisons.
//!
//! A lane holds the 64 bars of a word, and the next lane the 64 after them. So a vector is made of bars that are 64
//! apart, bars further back are whole vectors further back, and what a lane says of its bars is a word.

use pulp::Simd;

use super::Prices;
use super::aligned::Aligned;
use super::draft::{At, Comparison, FIRST_TOTAL, Formula, Order};
use super::plan::{Compared, Plan, RANGES, REACH, Step, Work};
use super::total::{Range, TOTALS};
use super::words::{WORD, Words};

/// Bars in front of each lane's own, which the numbers of its first ones look back on.
const BEFORE: usize = 16;

/// Vectors of a row.
const ROW: usize = BEFORE + WORD;

/// More lanes than any processor has.
const MOST_LANES: usize = 8;

/// The rows of a plan for the bars that its vectors hold, one sheet of bars after another.
pub(super) struct Sheet<'a, S: Simd> {
    simd: S,
    plan: &'a Plan,
    cells: &'a mut [f64],
    /// What enters each of the totals less what leaves it.
    changes: &'a mut [f64],
    /// The totals before the next bar.
    totals: Vec<f64>,
}

impl<'a, S: Simd> Sheet<'a, S> {
    /// Bars side by side.
    pub(super) const BARS: usize = S::F64_LANES * WORD;
    const CELLS: usize = S::F64_LANES * ROW;
    /// The first cell of a row that is not in front of it.
    const OWN: usize = S::F64_LANES * BEFORE;

    /// `totals`: those before the first bar to come, if any came before.
    pub(super) fn new(simd: S, plan: &'a Plan, totals: Vec<f64>, cells: &'a mut Aligned<f64>) -> Self {
        cells.resize(RANGES.len() * Self::BARS + plan.rows * Self::CELLS);
        let (changes, cells) = cells.split_at_mut(RANGES.len() * Self::BARS);
        Self { simd, plan, cells, changes, totals }
    }

    /// Takes in the bars from `first` on; after the last one come zeros.
    #[inline(always)]
    pub(super) fn load(&mut self, prices: Prices<'_>, first: usize) {
        let rows = self.cells.chunks_exact_mut(Self::CELLS);
        for (row, prices) in rows.zip(prices) {
            let mut copy;
            let bars =
                if let Some(bars) = first.checked_sub(BEFORE).and_then(|from| prices.get(from..first + Self::BARS)) {
                    bars
                } else {
                    copy = [0.0; BEFORE + MOST_LANES * WORD];
                    let missing = BEFORE.saturating_sub(first);
                    let bars = &prices[first + missing - BEFORE..prices.len().min(first + Self::BARS)];
                    copy[missing..missing + bars.len()].copy_from_slice(bars);
                    &copy[..BEFORE + Self::BARS]
                };
            for (at, cells) in row.chunks_exact_mut(S::F64_LANES).enumerate() {
                for (lane, cell) in cells.iter_mut().enumerate() {
                    *cell = bars[lane * WORD + at];
                }
            }
        }
        for step in &self.plan.before_totals {
            self.step::<ROW>(step);
        }
        self.change();
        self.keep();
        if first == 0 {
            self.begin();
        } else {
            self.run();
        }
        self.lead_in();
    }

    /// Makes the numbers that follow from the totals, and writes a word a lane for each comparison, from word `at` on.
    #[inline(always)]
    pub(super) fn compare(&mut self, words: &mut Words<'_, S>, at: usize) {
        for work in &self.plan.after_totals {
            match work {
                Work::Step(step) => self.step::<{ REACH + WORD }>(step),
                Work::Compare(compared) => {
                    let [a, b, c, d] = self.compared(compared);
                    let [to_a, to_b, to_c, to_d] = compared.rows;
                    words.set(to_a, at, a);
                    words.set(to_b, at, b);
                    words.set(to_c, at, c);
                    words.set(to_d, at, d);
                }
            }
        }
    }

    /// The last `N` vectors of a row, seen so much later.
    #[inline(always)]
    fn vectors<const N: usize>(cells: &[f64], At { place, ago }: At) -> &[S::f64s; N] {
        let vectors = S::as_simd_f64s(cells).0;
        let from = place.wrapping_mul(ROW).wrapping_add(ROW - N).wrapping_sub(ago);
        vectors[from..].first_chunk().expect("a row has as many vectors")
    }

    /// Makes the last `N` vectors of a row.
    #[inline(always)]
    fn step<const N: usize>(&mut self, step: &Step) {
        let simd = self.simd;
        let (before, row) = self.cells.split_at_mut(step.row * Self::CELLS);
        let (row, after) = row.split_at_mut(Self::CELLS);
        let made = S::as_mut_simd_f64s(&mut row[(ROW - N) * S::F64_LANES..]).0;
        let made: &mut [S::f64s; N] = made.first_chunk_mut().expect("as many cells as the vectors have");
        macro_rules! each {
            ($($numbers:ident),+; $made:expr) => {{
                $(let $numbers = match $numbers.place.checked_sub(step.row + 1) {
                    None => Self::vectors::<N>(before, $numbers),
                    Some(place) => Self::vectors::<N>(after, At { place, ..$numbers }),
                };)+
                for at in 0..N {
                    $(let $numbers = $numbers[at];)+
                    made[at] = $made;
                }
            }};
        }
        match step.formula {
            Formula::Given => {}
            Formula::Sum(a, b) => each!(a, b; simd.add_f64s(a, b)),
            Formula::Difference(a, b) => each!(a, b; simd.sub_f64s(a, b)),
            Formula::Size(a) => each!(a; simd.abs_f64s(a)),
            Formula::Times(a, factor) => {
                let factor = simd.splat_f64s(f64::from_bits(factor));
                each!(a; simd.mul_f64s(a, factor));
            }
            Formula::Over(a, divisor) => {
                let divisor = simd.splat_f64s(f64::from_bits(divisor));
                each!(a; simd.div_f64s(a, divisor));
            }
            Formula::Choice(Comparison { order, sides: [a, b] }, yes, no) => match order {
                Order::Less => each!(a, b, yes, no; simd.select_f64s(simd.less_than_f64s(a, b), yes, no)),
                Order::LessOrEqual => {
                    each!(a, b, yes, no; simd.select_f64s(simd.less_than_or_equal_f64s(a, b), yes, no));
                }
                Order::Equal => each!(a, b, yes, no; simd.select_f64s(simd.equal_f64s(a, b), yes, no)),
            },
        }
    }

    /// What each bar changes of the totals that sum a range.
    #[inline(always)]
    fn change(&mut self) {
        let cells = &*self.cells;
        let changes = self.changes.chunks_exact_mut(Self::BARS);
        for ((range, place), changes) in RANGES.iter().zip(self.plan.ranges).zip(changes) {
            let new = Self::vectors::<WORD>(cells, At { place, ago: 0 });
            let old = Self::vectors::<WORD>(cells, At { place, ago: range.bars() });
            let changes = S::as_mut_simd_f64s(changes).0;
            for ((change, new), old) in changes.iter_mut().zip(new).zip(old) {
                *change = self.simd.sub_f64s(*new, *old);
            }
        }
    }

    /// What each bar changes of the total in `TOTALS`.
    #[inline(always)]
    fn changes(changes: &[f64], total: usize) -> &[f64] {
        &changes[TOTALS[total].range as usize * Self::BARS..][..Self::BARS]
    }

    /// Writes the totals before each bar, and steps them by it: the one part that is serial, four side by side.
    #[inline(always)]
    fn run(&mut self) {
        let rows = self.cells[FIRST_TOTAL * Self::CELLS..].chunks_exact_mut(4 * Self::CELLS);
        for ((rows, of), totals) in rows.zip(self.plan.totals.chunks_exact(4)).zip(self.totals.chunks_exact_mut(4)) {
            let (ab, cd) = rows.split_at_mut(2 * Self::CELLS);
            let ((a, b), (c, d)) = (ab.split_at_mut(Self::CELLS), cd.split_at_mut(Self::CELLS));
            let (a, b) = (&mut a[Self::OWN..Self::CELLS], &mut b[Self::OWN..Self::CELLS]);
            let (c, d) = (&mut c[Self::OWN..Self::CELLS], &mut d[Self::OWN..Self::CELLS]);
            let (change_a, change_b) = (Self::changes(self.changes, of[0]), Self::changes(self.changes, of[1]));
            let (change_c, change_d) = (Self::changes(self.changes, of[2]), Self::changes(self.changes, of[3]));
            let [mut now_a, mut now_b, mut now_c, mut now_d] = [totals[0], totals[1], totals[2], totals[3]];
            for lane in 0..S::F64_LANES {
                for at in 0..WORD {
                    let at = at * S::F64_LANES + lane;
                    (a[at], b[at], c[at], d[at]) = (now_a, now_b, now_c, now_d);
                    now_a += change_a[at];
                    now_b += change_b[at];
                    now_c += change_c[at];
                    now_d += change_d[at];
                }
            }
            totals.copy_from_slice(&[now_a, now_b, now_c, now_d]);
        }
    }

    /// Begins each total at its own first bar.
    #[inline(always)]
    fn begin(&mut self) {
        let cell = |bar: usize| Self::OWN + (bar % WORD) * S::F64_LANES + bar / WORD;
        self.totals.clear();
        for (at, (of, total)) in self.plan.totals.iter().map(|of| (*of, &TOTALS[*of])).enumerate() {
            let changes = Self::changes(self.changes, of);
            let ranges = &self.cells[self.plan.ranges[total.range as usize] * Self::CELLS..][..Self::CELLS];
            let mut sum = (total.start - total.range.bars()..total.start).fold(0.0, |sum, bar| sum + ranges[cell(bar)]);
            let row = &mut self.cells[(FIRST_TOTAL + at) * Self::CELLS..][..Self::CELLS];
            for bar in total.start..Self::BARS {
                row[cell(bar)] = sum;
                sum += changes[cell(bar) - Self::OWN];
            }
            self.totals.push(sum);
        }
    }

    /// Keeps the last totals of the last lane for the first one of the bars to come.
    #[inline(always)]
    fn keep(&mut self) {
        for row in self.cells.chunks_exact_mut(Self::CELLS).skip(FIRST_TOTAL).take(self.plan.totals.len()) {
            for at in BEFORE - REACH..BEFORE {
                row[at * S::F64_LANES] = row[(at + WORD + 1) * S::F64_LANES - 1];
            }
        }
    }

    /// Puts the last totals of each lane in front of the next lane's.
    #[inline(always)]
    fn lead_in(&mut self) {
        for row in self.cells.chunks_exact_mut(Self::CELLS).skip(FIRST_TOTAL).take(self.plan.totals.len()) {
            let (before, last) = row.split_at_mut(WORD * S::F64_LANES);
            let rows = before.chunks_exact_mut(S::F64_LANES).zip(last.chunks_exact(S::F64_LANES));
            for (before, last) in rows.take(BEFORE).skip(BEFORE - REACH) {
                before[1..].copy_from_slice(&last[..S::F64_LANES - 1]);
            }
        }
    }

    /// The totals of [`RANGES`], if those of one range began apart and now agree: they will for ever.
    pub(super) fn agreed(&self) -> Option<Vec<f64>> {
        let of = |range: &Range| {
            let totals = self.plan.totals.iter().zip(&self.totals).filter(|(total, _)| TOTALS[**total].range == *range);
            let mut sums = totals.map(|(_, sum)| *sum);
            let first = sums.next()?;
            sums.all(|sum| sum == first).then_some(first)
        };
        if self.plan.totals.len() == RANGES.len() { None } else { RANGES.iter().map(of).collect() }
    }

    #[inline(always)]
    fn compared(&self, Compared { order, sides, .. }: &Compared) -> [S::u64s; 4] {
        let (simd, cells) = (self.simd, &*self.cells);
        let (a, b) = (Self::vectors::<WORD>(cells, sides[0][0]), Self::vectors::<WORD>(cells, sides[0][1]));
        let (c, d) = (Self::vectors::<WORD>(cells, sides[1][0]), Self::vectors::<WORD>(cells, sides[1][1]));
        let (e, f) = (Self::vectors::<WORD>(cells, sides[2][0]), Self::vectors::<WORD>(cells, sides[2][1]));
        let (g, h) = (Self::vectors::<WORD>(cells, sides[3][0]), Self::vectors::<WORD>(cells, sides[3][1]));
        let (mut bit, mut bits) = (simd.splat_u64s(1), [simd.splat_u64s(0); 4]);
        macro_rules! each {
            ($compare:ident) => {
                for at in 0..WORD {
                    let truths = [
                        simd.$compare(a[at], b[at]),
                        simd.$compare(c[at], d[at]),
                        simd.$compare(e[at], f[at]),
                        simd.$compare(g[at], h[at]),
                    ];
                    for (bits, truth) in bits.iter_mut().zip(truths) {
                        *bits = simd.or_u64s(*bits, simd.and_u64s(all_bits(simd, truth), bit));
                    }
                    bit = simd.add_u64s(bit, bit);
                }
            };
        }
        match order {
            Order::Less => each!(less_than_f64s),
            Order::LessOrEqual => each!(less_than_or_equal_f64s),
            Order::Equal => each!(equal_f64s),
        }
        bits
    }
}

/// All bits of the lanes that say yes.
#[inline(always)]
fn all_bits<S: Simd>(simd: S, truth: S::m64s) -> S::u64s {
    if const { size_of::<S::m64s>() == size_of::<S::u64s>() } {
        // A choice between all bits and none would be another instruction: what the lanes hold is that already.
        pulp::bytemuck::cast(truth)
    } else {
        simd.select_u64s(truth, simd.splat_u64s(!0), simd.splat_u64s(0))
    }
}
