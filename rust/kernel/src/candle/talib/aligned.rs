//! Memory for vectors.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Cells of which the first begins a cache line, so that no vector in them lies across two, let alone two pages.
#[derive(Default)]
pub(super) struct Aligned<T> {
    cells: Vec<T>,
    start: usize,
    count: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Room for so many cells, which hold anything.
    pub(super) fn resize(&mut self, count: usize) {
        let spare = LINE / size_of::<T>();
        if self.cells.len() < count + spare {
            self.cells = vec![T::default(); count + spare];
            // A line may begin nowhere, as far as is known where this is not run but evaluated; any place is right.
            self.start = self.cells.as_ptr().align_offset(LINE).min(spare);
        }
        self.count = count;
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.cells[self.start..self.start + self.count]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.cells[self.start..self.start + self.count]
    }
}
