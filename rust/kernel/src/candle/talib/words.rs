//! Yes and no of many bars in words of bits: as many bars an operation as a register has bits.

use pulp::Simd;

use super::aligned::Aligned;
use super::draft::At;
use super::plan::{Gate, Kind, Plan, Term};

/// Bars of a word; the first one's bit is the lowest.
pub(super) const WORD: usize = 64;

/// Words of a row.
pub(super) const WORDS: usize = 32;

/// In front of a row's own words stands the last one before them, and in front of that nothing but room.
const BEFORE: usize = 8;

const ROW: usize = BEFORE + WORDS;

/// Vectors that are worked on together, so that choosing what to do is cheap beside doing it.
const SIDE: usize = 4;

/// The rows of a plan's comparisons and gates.
pub(super) struct Words<'a, S: Simd> {
    simd: S,
    plan: &'a Plan,
    cells: &'a mut [u64],
}

impl<'a, S: Simd> Words<'a, S> {
    /// Words that are worked on together.
    pub(super) const TOGETHER: usize = SIDE * S::U64_LANES;

    pub(super) fn new(simd: S, plan: &'a Plan, cells: &'a mut Aligned<u64>) -> Self {
        cells.resize(plan.bits * ROW);
        Self { simd, plan, cells }
    }

    /// Sets the words of a row from `at` on.
    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, at: usize, words: S::u64s) {
        let row = &mut self.cells[row.wrapping_mul(ROW).wrapping_add(BEFORE + at)..];
        S::as_mut_simd_u64s(row).0[0] = words;
    }

    /// Makes room for the words after the first `count` of all rows.
    pub(super) fn next(&mut self, count: usize) {
        for row in self.cells.chunks_exact_mut(ROW) {
            row[BEFORE - 1] = row[BEFORE - 1 + count];
        }
    }

    /// Fills the words of the gates from `at` on.
    #[inline(always)]
    pub(super) fn combine(&mut self, at: usize) {
        for Gate { kind, row } in &self.plan.gates {
            match kind {
                Kind::Older(of) => self.older(*of, *row, at),
                Kind::All(terms) => {
                    let all = self.all(terms, at);
                    self.put(*row, at, all);
                }
                Kind::Differ([a, b]) => {
                    let mut differ = self.vectors(*a, at);
                    for (a, b) in differ.iter_mut().zip(self.vectors(*b, at)) {
                        *a = self.simd.xor_u64s(*a, b);
                    }
                    self.put(*row, at, differ);
                }
            }
        }
    }

    /// Writes what all of the terms say, from word `at` on.
    #[inline(always)]
    pub(super) fn write(&self, terms: &[Term], at: usize, to: &mut [u64]) {
        S::as_mut_simd_u64s(&mut to[..Self::TOGETHER]).0.copy_from_slice(&self.all(terms, at));
    }

    /// What all of the terms say.
    #[inline(always)]
    fn all(&self, terms: &[Term], at: usize) -> [S::u64s; SIDE] {
        let simd = self.simd;
        let mut all = [simd.splat_u64s(!0); SIDE];
        for Term { row, denied } in terms {
            let words = self.vectors(*row, at);
            if *denied {
                for (all, words) in all.iter_mut().zip(words) {
                    *all = simd.and_u64s(*all, simd.not_u64s(words));
                }
            } else {
                for (all, words) in all.iter_mut().zip(words) {
                    *all = simd.and_u64s(*all, words);
                }
            }
        }
        all
    }

    #[inline(always)]
    fn vectors(&self, row: usize, at: usize) -> [S::u64s; SIDE] {
        let words = &self.cells[row.wrapping_mul(ROW).wrapping_add(BEFORE + at)..];
        *S::as_simd_u64s(words).0.first_chunk().expect("a row has as many words")
    }

    #[inline(always)]
    fn put(&mut self, row: usize, at: usize, vectors: [S::u64s; SIDE]) {
        let words = &mut self.cells[row * ROW + BEFORE + at..][..Self::TOGETHER];
        S::as_mut_simd_u64s(words).0.copy_from_slice(&vectors);
    }

    /// Fills a row with what was true so many bars earlier, 1 to 63.
    #[inline(always)]
    fn older(&mut self, At { place, ago }: At, row: usize, at: usize) {
        let (of, row) = self.cells.split_at_mut(row * ROW);
        let of = &of[place * ROW + BEFORE - 1 + at..][..=Self::TOGETHER];
        let row = &mut row[BEFORE + at..][..Self::TOGETHER];
        let (left, right) = (ago as u32 & 63, (WORD - ago) as u32 & 63);
        for ((older, before), word) in row.iter_mut().zip(of).zip(&of[1..]) {
            *older = (word << left) | (before >> right);
        }
    }
}
