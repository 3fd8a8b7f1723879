//! All bars of one symbol at once: lanes are consecutive bars.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::Price;
use super::total::{self, Range, TOTALS};
use super::view::{Field, Layout, View};
use super::{ANSWERING, CANDLESTICKS, COUNT, Hits, Prices, WARM, evaluate, rows};
use crate::error::KernelError;

/// Bars of one pass, few enough for their rows to stay in the first cache.
const PASS: usize = 128;

/// Bars before those of the pass that stand in front of them: what ten-bar totals look back on, in whole lanes.
const BEFORE: usize = 16;

/// Cells of a row.
const ROW: usize = BEFORE + PASS;

/// Rows: open, high, low, close, then the mean of each total.
const ROWS: usize = 4 + total::COUNT;

/// Bars side by side in rows.
#[derive(Clone, Copy)]
struct ByBar;

impl Layout for ByBar {
    #[inline(always)]
    fn span(lanes: usize) -> usize {
        (ROWS - 1) * ROW + BEFORE + lanes
    }

    #[inline(always)]
    fn bar(field: Field, ago: usize) -> usize {
        field as usize * ROW + BEFORE - ago
    }

    #[inline(always)]
    fn mean(total: usize, ago: usize) -> usize {
        (4 + total) * ROW + BEFORE - ago
    }
}

/// Calls `each` with every row at which some function hits, oldest first, as TA-Lib answers for these bars alone.
///
/// Open, high, low and close of one symbol, oldest bar first. A row of four NaN is no bar: the bars around it are
/// neighbours. Open and close may lie outside of low to high. O(1) a bar.
///
/// # Errors
/// [`KernelError::Length`] unless all columns are as long as the first; [`KernelError::Row`] naming the first row that
/// is neither finite nor four NaN, or whose high is below its low.
pub fn candlesticks(prices: Prices<'_>, each: &mut dyn FnMut(usize, Hits)) -> Result<(), KernelError> {
    let rows = prices[0].len();
    if rows::check(prices, rows)? {
        Arch::new().dispatch(Batch { prices, taker: &mut Each(each) });
        return Ok(());
    }
    let bars: Vec<usize> = (0..rows).filter(|row| !rows::is_absent(prices.map(|column| column[*row]))).collect();
    let packed = prices.map(|column| bars.iter().map(|row| column[*row]).collect::<Vec<_>>());
    let prices = packed.each_ref().map(Vec::as_slice);
    Arch::new().dispatch(Batch { prices, taker: &mut Each(&mut |bar, hits| each(bars[bar], hits)) });
    Ok(())
}

/// Writes TA-Lib's values of the functions `columns` into `cells`: a row of bars a function, which held zeros.
///
/// # Errors
/// Those of [`candlesticks`]; [`KernelError::Length`] unless `cells` has a row of bars for each function.
///
/// # Panics
/// If a column is not below [`COUNT`].
pub fn fill(prices: Prices<'_>, columns: &[usize], cells: &mut [i32]) -> Result<(), KernelError> {
    let rows = prices[0].len();
    if cells.len() != columns.len() * rows {
        return Err(KernelError::Length { column: "cells", rows: cells.len(), expected: columns.len() * rows });
    }
    let whole = rows::check(prices, rows)?;
    if rows == 0 {
        return Ok(());
    }
    let waiting = Vec::with_capacity(WAITING.min(rows.div_ceil(WORD)));
    let mut answers = Answers { columns: std::array::from_fn(|_| [].as_mut_slice()), waiting, from: 0 };
    for (column, row) in columns.iter().zip(cells.chunks_exact_mut(rows)) {
        answers.columns[*column] = row;
    }
    if whole {
        Arch::new().dispatch(Batch { prices, taker: &mut answers });
        answers.write();
        return Ok(());
    }
    candlesticks(prices, &mut |row, hits| {
        for (column, value) in hits.values() {
            if let Some(cell) = answers.columns[column].get_mut(row) {
                *cell = value;
            }
        }
    })
}

/// Hit, bearish and other of the bars of a pass.
type Bits = [[u64; PASS]; 3];

/// Takes the answers of a pass, `count` bars from row `first` on.
trait Taker {
    fn take(&mut self, first: usize, count: usize, bits: &Bits);
}

/// Not generic over what is done with the answers, so that the functions are compiled once, in this crate.
struct Batch<'a> {
    prices: Prices<'a>,
    taker: &'a mut dyn Taker,
}

impl WithSimd for Batch<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.prices[0].len();
        let mut pass = Pass::new();
        let mut bits = [[0; PASS]; 3];
        for first in (0..rows).step_by(PASS) {
            let count = PASS.min(rows - first);
            pass.load(self.prices.map(|column| &column[first..first + count]), first == 0);
            pass.average(simd, first == 0);
            for lane in (0..count).step_by(S::F64_LANES) {
                let cells = &pass.rows.as_flattened()[lane..];
                let answers = evaluate(simd, View::<S, ByBar>::new(simd, cells));
                for (bits, lanes) in bits.iter_mut().zip([answers.hit, answers.bearish, answers.other]) {
                    S::as_mut_simd_u64s(&mut bits[lane..lane + S::U64_LANES]).0[0] = lanes;
                }
            }
            if first == 0 {
                for (hit, answering) in bits[0].iter_mut().zip(&ANSWERING[..WARM]) {
                    *hit &= answering;
                }
            }
            bits[0][count..].fill(0);
            self.taker.take(first, count, &bits);
        }
    }
}

/// Calls for every bar that some function hits.
struct Each<'a>(&'a mut dyn FnMut(usize, Hits));

impl Taker for Each<'_> {
    fn take(&mut self, first: usize, count: usize, [hit, bearish, other]: &Bits) {
        for (at, ((&hit, &bearish), &other)) in hit.iter().zip(bearish).zip(other).take(count).enumerate() {
            if hit != 0 {
                (self.0)(first + at, Hits { hit, bearish, other });
            }
        }
    }
}

/// Bars whose answers turn into columns at once.
const WORD: usize = 64;

/// Words of bars that wait to be written. A column then gets 32 KB at a time: 256 bytes here and there in 61 columns would
/// be more places than the processor fetches ahead for.
const WAITING: usize = 128;

/// A column of values for each function, of no length for those that are not wanted.
struct Answers<'a> {
    columns: [&'a mut [i32]; COUNT],
    /// Hit, bearish and other of 64 bars after another: of each a word a column, the first bar's bit the lowest.
    waiting: Vec<[[u64; WORD]; 3]>,
    /// The row of the first bar that waits.
    from: usize,
}

impl Answers<'_> {
    /// Writes what waits.
    fn write(&mut self) {
        Arch::new().dispatch(Write(self));
    }
}

impl Taker for Answers<'_> {
    fn take(&mut self, _: usize, count: usize, bits: &Bits) {
        Arch::new().dispatch(Turn { waiting: &mut self.waiting, count, bits });
        if self.waiting.len() >= WAITING {
            self.write();
        }
    }
}

/// Turns a word a bar into a word a column.
struct Turn<'a> {
    waiting: &'a mut Vec<[[u64; WORD]; 3]>,
    count: usize,
    bits: &'a Bits,
}

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for start in (0..self.count).step_by(WORD) {
            let mut words = [[0; WORD]; 3];
            for (words, bits) in words.iter_mut().zip(self.bits) {
                words.copy_from_slice(&bits[start..start + WORD]);
                transpose(words);
            }
            self.waiting.push(words);
        }
    }
}

struct Write<'a, 'b>(&'a mut Answers<'b>);

impl WithSimd for Write<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Answers { columns, waiting, from } = self.0;
        for (column, cells) in columns.iter_mut().enumerate().filter(|(_, cells)| !cells.is_empty()) {
            for (at, [hit, bearish, other]) in waiting.iter().enumerate() {
                let (hit, bearish, other) = (hit[column], bearish[column], other[column]);
                if hit == 0 {
                    continue;
                }
                let cells = &mut cells[*from + at * WORD..];
                if let Some(cells) = cells.first_chunk_mut() {
                    spread(hit, bearish, cells);
                } else {
                    let mut tail = [0; WORD];
                    spread(hit, bearish, &mut tail);
                    cells.copy_from_slice(&tail[..cells.len()]);
                }
                let mut left = hit & other;
                while left != 0 {
                    let cell = &mut cells[left.trailing_zeros() as usize];
                    *cell = cell.signum() * CANDLESTICKS[column].other;
                    left &= left.wrapping_sub(1);
                }
            }
        }
        *from += waiting.len() * WORD;
        waiting.clear();
    }
}

/// What a hit is worth, and what lies between that and its negative.
const BULLISH: i32 = 100;
const SWING: i32 = 2 * BULLISH;

/// ±100 where `hit` has a bit, negative where `bearish` has it too, else 0.
#[inline(always)]
fn spread(hit: u64, bearish: u64, cells: &mut [i32; WORD]) {
    let (low, high) = cells.split_at_mut(WORD / 2);
    for (half, cells) in [low, high].into_iter().enumerate() {
        let (hit, bearish) = ((hit >> (32 * half)) as u32, (bearish >> (32 * half)) as u32);
        for (bit, cell) in (0_u32..).zip(cells) {
            let (yes, negative) = (((hit >> (bit & 31)) & 1) as i32, ((bearish >> (bit & 31)) & 1) as i32);
            *cell = yes.wrapping_neg() & BULLISH.wrapping_sub(negative.wrapping_neg() & SWING);
        }
    }
}

/// Bit c of word r becomes bit r of word c.
///
/// Source: Warren, Hacker's Delight (2nd ed.), section 7-3, for 64 bits.
#[inline(always)]
fn transpose(words: &mut [u64; WORD]) {
    swap::<32>(words, 0x0000_0000_ffff_ffff);
    swap::<16>(words, 0x0000_ffff_0000_ffff);
    swap::<8>(words, 0x00ff_00ff_00ff_00ff);
    swap::<4>(words, 0x0f0f_0f0f_0f0f_0f0f);
    swap::<2>(words, 0x3333_3333_3333_3333);
    swap::<1>(words, 0x5555_5555_5555_5555);
}

/// Swaps the upper right and lower left quarter of every square of 2 · `SIDE` words and bits.
#[inline(always)]
fn swap<const SIDE: usize>(words: &mut [u64; WORD], low: u64) {
    for square in words.chunks_exact_mut(2 * SIDE) {
        let (upper, lower) = square.split_at_mut(SIDE);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            let both = ((*upper >> SIDE) ^ *lower) & low;
            *upper ^= both << SIDE;
            *lower ^= both;
        }
    }
}

/// The rows of one pass, and what the next one needs.
///
/// Aligned, so that no vector lies across two cache lines, let alone two pages; the frame that holds it, and so the
/// registers spilled there, is aligned with it.
#[repr(align(64))]
struct Pass {
    rows: [[f64; ROW]; ROWS],
    /// Bodies, ranges from high to low, shadows.
    ranges: [[f64; ROW]; 3],
    /// For body, high–low and shadows of ten bars and high–low of five: what enters less what leaves.
    changes: [[f64; PASS]; 4],
    totals: [f64; total::COUNT],
}

impl Pass {
    #[allow(clippy::large_stack_arrays, reason = "30 KB, of which every byte is used again for every pass")]
    fn new() -> Self {
        Self {
            rows: [[0.0; ROW]; ROWS],
            ranges: [[0.0; ROW]; 3],
            changes: [[0.0; PASS]; 4],
            totals: [0.0; total::COUNT],
        }
    }

    /// Puts the bars in place behind the last ones of the pass before.
    #[inline(always)]
    fn load(&mut self, prices: [&[f64]; 4], first: bool) {
        if !first {
            for row in self.rows.iter_mut().chain(&mut self.ranges) {
                row.copy_within(PASS.., 0);
            }
        }
        for (row, prices) in self.rows.iter_mut().zip(prices) {
            row[BEFORE..BEFORE + prices.len()].copy_from_slice(prices);
        }
    }

    /// Fills the rows of the means.
    #[inline(always)]
    fn average<S: Simd>(&mut self, simd: S, first: bool) {
        for at in (BEFORE..ROW).step_by(S::F64_LANES) {
            let [o, h, l, c, ..] = &self.rows;
            let (o, h) = (Price::load(simd, &o[at..]), Price::load(simd, &h[at..]));
            let (l, c) = (Price::load(simd, &l[at..]), Price::load(simd, &c[at..]));
            for (row, range) in self.ranges.iter_mut().zip([Range::Body10, Range::HighLow10, Range::Shadows10]) {
                range.of(o, h, l, c).store(&mut row[at..]);
            }
        }
        let [body, high_low, shadows] = &self.ranges;
        for (changes, (ranges, bars)) in
            self.changes.iter_mut().zip([(body, 10), (high_low, 10), (shadows, 10), (high_low, 5)])
        {
            let (entering, leaving) = (&ranges[BEFORE..], &ranges[BEFORE - bars..]);
            for ((change, entering), leaving) in changes.iter_mut().zip(entering).zip(leaving) {
                *change = entering - leaving;
            }
        }
        let [b10, b11, b12, b13, b14, h10, h11, h12, h13, s10, s11, s12, f5, f6, f10, f11] = {
            let [_, _, _, _, means @ ..] = &mut self.rows;
            means
        };
        let [tb10, tb11, tb12, tb13, tb14, th10, th11, th12, th13, ts10, ts11, ts12, tf5, tf6, tf10, tf11] =
            &mut self.totals;
        let [body, high_low, shadows, five] = &self.changes;
        run(body, [b10, b11, b12, b13, b14], [tb10, tb11, tb12, tb13, tb14]);
        run(high_low, [h10, h11, h12, h13], [th10, th11, th12, th13]);
        run(shadows, [s10, s11, s12], [ts10, ts11, ts12]);
        run(five, [f5, f6, f10, f11], [tf5, tf6, tf10, tf11]);
        if first {
            self.start();
        }
        for (row, total) in self.rows[4..].iter_mut().zip(&TOTALS) {
            for at in (BEFORE..ROW).step_by(S::F64_LANES) {
                (Price::load(simd, &row[at..]) / total.range.bars() as f64).store(&mut row[at..]);
            }
        }
    }

    /// Begins each total anew at its own first bar: the run over the first pass began them all at bar 0.
    fn start(&mut self) {
        for (at, total) in TOTALS.iter().enumerate() {
            let (ranges, changes) = match total.range {
                Range::Body10 => (&self.ranges[0], &self.changes[0]),
                Range::HighLow10 => (&self.ranges[1], &self.changes[1]),
                Range::Shadows10 => (&self.ranges[2], &self.changes[2]),
                Range::HighLow5 => (&self.ranges[1], &self.changes[3]),
            };
            let start = BEFORE + total.start;
            let mut sum = ranges[start - total.range.bars()..start].iter().fold(0.0, |sum, range| sum + range);
            let row = &mut self.rows[4 + at][start..];
            for (cell, change) in row.iter_mut().zip(&changes[total.start..]) {
                *cell = sum;
                sum += change;
            }
            self.totals[at] = sum;
        }
    }
}

/// Writes the totals before each bar, and steps them by it: the one part that is serial, side by side where it can be.
#[inline(always)]
fn run<const N: usize>(changes: &[f64; PASS], mut rows: [&mut [f64; ROW]; N], totals: [&mut f64; N]) {
    let mut sums = totals.each_ref().map(|total| **total);
    for (at, change) in changes.iter().enumerate() {
        for (row, sum) in rows.iter_mut().zip(&mut sums) {
            row[BEFORE + at] = *sum;
            *sum += change;
        }
    }
    for (total, sum) in totals.into_iter().zip(sums) {
        *total = sum;
    }
}
