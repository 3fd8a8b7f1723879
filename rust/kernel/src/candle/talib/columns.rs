//! Answers as columns of TA-Lib's values.

use pulp::{Arch, Simd, WithSimd};

use super::answer::Sign;
use super::plan::Plan;
use super::words::{WORD, WORDS, Words};
use super::{CANDLESTICKS, COUNT};

/// Words of bars that wait to be written. A column then gets 32 KB at a time: 256 bytes here and there in 61 columns would
/// be more places than the processor fetches ahead for.
const WAITING: usize = 128;

/// Bits of a column that wait.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    hit: [u64; WAITING],
    bearish: [u64; WAITING],
    other: [u64; WAITING],
}

/// A column of values for each function, of no length for those that are not wanted.
pub(super) struct Columns<'a> {
    cells: [&'a mut [i32]; COUNT],
    waiting: &'a mut Vec<Waiting>,
    words: usize,
    /// The row of the first bar that waits.
    from: usize,
}

impl<'a> Columns<'a> {
    /// `cells` holds zeros, a row of `bars` for each of `columns`.
    pub(super) fn new(columns: &[usize], cells: &'a mut [i32], bars: usize, waiting: &'a mut Vec<Waiting>) -> Self {
        let mut of = std::array::from_fn(|_| [].as_mut_slice());
        for (column, row) in columns.iter().zip(cells.chunks_exact_mut(bars)) {
            of[*column] = row;
        }
        waiting.resize(COUNT, Waiting { hit: [0; WAITING], bearish: [0; WAITING], other: [0; WAITING] });
        Self { cells: of, waiting, words: 0, from: 0 }
    }

    /// Takes in the answers that `count` of the words make.
    #[inline(always)]
    pub(super) fn take<S: Simd>(&mut self, plan: &Plan, words: &Words<'_, S>, count: usize) {
        let first = self.from == 0 && self.words == 0;
        let wanted = plan.answers.iter().zip(&mut *self.waiting).zip(&self.cells).enumerate();
        for (column, ((answer, waiting), _)) in wanted.filter(|(_, (_, cells))| !cells.is_empty()) {
            for at in (0..count).step_by(Words::<S>::TOGETHER) {
                let place = self.words + at;
                words.write(&answer.hit, at, &mut waiting.hit[place..]);
                match &answer.sign {
                    Sign::Bullish => {}
                    Sign::Bearish => waiting.bearish[place..][..Words::<S>::TOGETHER].fill(!0),
                    Sign::BearishWhere(terms) => words.write(terms, at, &mut waiting.bearish[place..]),
                }
                if let Some(terms) = &answer.other {
                    words.write(terms, at, &mut waiting.other[place..]);
                }
            }
            if first {
                waiting.hit[0] &= !0 << CANDLESTICKS[column].lookback;
            }
        }
        self.words += count;
        if self.words + WORDS > WAITING {
            self.write();
        }
    }

    /// Writes what waits.
    pub(super) fn write(&mut self) {
        Arch::new().dispatch(Write(self));
    }
}

/// By itself: within a larger function its loops would not become vectors.
struct Write<'a, 'b>(&'a mut Columns<'b>);

impl WithSimd for Write<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Columns { cells, waiting, words, from } = self.0;
        for (column, (cells, waiting)) in cells.iter_mut().zip(&**waiting).enumerate() {
            let Some(cells) = cells.get_mut(*from..) else { continue };
            for at in 0..(*words).min(cells.len().div_ceil(WORD)) {
                let (hit, bearish, other) = (waiting.hit[at], waiting.bearish[at], waiting.other[at]);
                if hit == 0 {
                    continue;
                }
                let cells = &mut cells[at * WORD..];
                let mut left = hit & other;
                if let Some(cells) = cells.first_chunk_mut() {
                    spread(hit, bearish, cells);
                } else {
                    let mut tail = [0; WORD];
                    spread(hit, bearish, &mut tail);
                    cells.copy_from_slice(&tail[..cells.len()]);
                    left &= !(!0 << cells.len());
                }
                while left != 0 {
                    let cell = &mut cells[left.trailing_zeros() as usize];
                    *cell = cell.signum() * CANDLESTICKS[column].other;
                    left &= left.wrapping_sub(1);
                }
            }
        }
        *from += *words * WORD;
        *words = 0;
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
