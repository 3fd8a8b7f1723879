//! All bars of one symbol at once.
//!
//! The statements are read once, into a plan ([`plan`](super::plan)). A batch then carries it out: the numbers of a few
//! hundred bars, each of their comparisons as words of 64 bars, and what the functions make of these, 64 bars and more
//! an operation.

use std::sync::Mutex;

use pulp::{Arch, Simd, WithSimd};

use super::aligned::Aligned;
use super::columns::{Columns, Waiting};
use super::plan::{ALIKE, APART, Plan};
use super::sheet::Sheet;
use super::total;
use super::words::{WORDS, Words};
use super::{Prices, rows};
use crate::error::KernelError;

/// Writes TA-Lib's values of the functions `columns` into `cells`: a row of bars a function, which held zeros.
///
/// Open, high, low and close of one symbol, oldest bar first. A row of four NaN is no bar: the bars around it are
/// neighbours. Open and close may lie outside of low to high. O(1) a bar.
///
/// # Errors
/// [`KernelError::Length`] unless all columns are as long as the first, and `cells` has a row of bars for each function;
/// [`KernelError::Row`] naming the first row that is neither finite nor four NaN, or whose high is below its low.
///
/// # Panics
/// If a column is not below [`COUNT`](super::COUNT).
pub fn fill(prices: Prices<'_>, columns: &[usize], cells: &mut [i32]) -> Result<(), KernelError> {
    let rows = prices[0].len();
    if cells.len() != columns.len() * rows {
        return Err(KernelError::Length { column: "cells", rows: cells.len(), expected: columns.len() * rows });
    }
    if rows::check(prices, rows)? {
        answer(prices, columns, cells);
        return Ok(());
    }
    let bars: Vec<usize> = (0..rows).filter(|row| !rows::is_absent(prices.map(|column| column[*row]))).collect();
    let packed = prices.map(|column| bars.iter().map(|row| column[*row]).collect::<Vec<_>>());
    let mut answers = vec![0; columns.len() * bars.len()];
    answer(packed.each_ref().map(Vec::as_slice), columns, &mut answers);
    for (cells, answers) in cells.chunks_exact_mut(rows).zip(answers.chunks_exact(bars.len().max(1))) {
        bars.iter().zip(answers).for_each(|(row, value)| cells[*row] = *value);
    }
    Ok(())
}

/// The same of bars without gaps.
fn answer(prices: Prices<'_>, columns: &[usize], cells: &mut [i32]) {
    let bars = prices[0].len();
    if bars == 0 {
        return;
    }
    let mut memory = KEPT.try_lock().ok().and_then(|mut kept| kept.take()).unwrap_or_default();
    let Memory { numbers, bits, waiting } = &mut *memory;
    let columns = Columns::new(columns, cells, bars, waiting);
    Arch::new().dispatch(Batch { prices, columns, numbers, bits });
    if let Ok(mut kept) = KEPT.try_lock() {
        *kept = Some(memory);
    }
}

/// What a batch works in: half a megabyte, which to get anew from the system would take as long as 10,000 bars.
#[derive(Default)]
struct Memory {
    numbers: Aligned<f64>,
    bits: Aligned<u64>,
    waiting: Vec<Waiting>,
}

/// The memory of the batch before.
static KEPT: Mutex<Option<Box<Memory>>> = Mutex::new(None);

struct Batch<'a> {
    prices: Prices<'a>,
    columns: Columns<'a>,
    numbers: &'a mut Aligned<f64>,
    bits: &'a mut Aligned<u64>,
}

impl WithSimd for Batch<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let at_once = total::agree_at_once(self.prices);
        let agreed = if at_once { Some((0, Vec::new())) } else { self.follow(simd, &APART, 0, Vec::new()) };
        if let Some((first, totals)) = agreed {
            self.follow(simd, &ALIKE, first, totals);
        }
        self.columns.write();
    }
}

impl Batch<'_> {
    /// Answers by `plan` to the last bar; or until totals that began apart have agreed for a sheet of bars, and then
    /// says from which row on they do, and the totals there.
    ///
    /// If the row `first`, before which the totals are these, is not the first of all, the sheet that begins with it is
    /// answered already, and only says what came before the next.
    #[inline(always)]
    fn follow<S: Simd>(&mut self, simd: S, plan: &Plan, first: usize, totals: Vec<f64>) -> Option<(usize, Vec<f64>)> {
        let bars = self.prices[0].len();
        let mut sheet = Sheet::new(simd, plan, totals, self.numbers);
        let mut words = Words::new(simd, plan, self.bits);
        let (mut from, mut agreed) = (first, None);
        while from < bars && agreed.is_none() {
            let (leads_in, mut count) = (first > 0 && from == first, 0);
            while count < WORDS && from < bars && agreed.is_none() {
                if from > first && from + Sheet::<S>::BARS < bars {
                    agreed = sheet.agreed().map(|totals| (from, totals));
                }
                sheet.load(self.prices, from);
                sheet.compare(&mut words, count);
                count += S::U64_LANES;
                from += Sheet::<S>::BARS;
                if leads_in {
                    break;
                }
            }
            for at in (0..count).step_by(Words::<S>::TOGETHER) {
                words.combine(at);
            }
            if !leads_in {
                self.columns.take(plan, &words, count);
            }
            words.next(count);
        }
        agreed
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;
    use crate::candle::talib::COUNT;
    use crate::candle::talib::block::Block;

    /// Prices of many sizes, whose sums are not exact, so that totals depend on where they began; from bar 300 to 320 they
    /// are so large that the difference is lost, and the totals agree.
    fn bars(count: usize) -> [Vec<f64>; 4] {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut columns = [const { Vec::new() }; 4];
        for bar in 0..count {
            let size = if (300..320).contains(&bar) { 1e6 } else { 1.0 };
            let (open, close) = (size * random(), size * random());
            let (high, low) = (open.max(close) + size * random() * 0.2, open.min(close) * random());
            columns.iter_mut().zip([open, high, low, close]).for_each(|(column, price)| column.push(price));
        }
        columns
    }

    fn answered(prices: Prices<'_>, run: impl FnOnce(Batch<'_>)) -> Vec<i32> {
        let (wanted, bars) = ((0..COUNT).collect::<Vec<_>>(), prices[0].len());
        let (mut cells, mut memory) = (vec![0; COUNT * bars], Memory::default());
        let columns = Columns::new(&wanted, &mut cells, bars, &mut memory.waiting);
        run(Batch { prices, columns, numbers: &mut memory.numbers, bits: &mut memory.bits });
        cells
    }

    #[test]
    fn totals_that_begin_apart_and_agree_later_answer_as_one_symbol_alone() {
        for count in [1, 64, 255, 256, 257, 300, 512, 513, 777, 2_047, 2_048, 2_049, 2_400, 9_000] {
            let columns = bars(count);
            let prices = columns.each_ref().map(Vec::as_slice);
            assert!(count < 64 || !total::agree_at_once(prices));
            let mut alone = Block::<1>::default();
            let mut expected = vec![0; COUNT * count];
            for bar in 0..count {
                let hits = alone.update(prices[0][bar], prices[1][bar], prices[2][bar], prices[3][bar]);
                hits.values().for_each(|(column, value)| expected[column * count + bar] = value);
            }
            let widest = answered(prices, |batch| Arch::new().dispatch(batch));
            assert_eq!(widest, expected, "{count} bars");
            let narrowest = answered(prices, |batch| batch.with_simd(Scalar::new()));
            assert_eq!(narrowest, expected, "{count} bars, one lane");
        }
    }

    #[test]
    fn the_totals_of_the_test_come_to_agree() {
        let columns = bars(2_400);
        let prices = columns.each_ref().map(Vec::as_slice);
        answered(prices, |mut batch| {
            let agreed = batch.follow(Scalar::new(), &APART, 0, Vec::new());
            assert!(agreed.is_some_and(|(first, _)| (320..1_000).contains(&first)));
        });
    }
}
