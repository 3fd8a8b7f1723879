//! Many symbols at once, one bar each: lanes are symbols.

use pulp::{Arch, Simd, WithSimd};

use super::block::{Bars, Block};
use super::{Hits, Prices, rows};
use crate::error::KernelError;

/// Symbols side by side: whole registers of every width.
const SIDE: usize = 8;

/// As many symbols as a cache line has prices: one row, one line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(align(64))]
struct Side(Block<SIDE>);

/// One bar of each of them. It aligns the frame that holds it, and so the registers spilled there.
#[repr(align(64))]
struct SideBars(Bars<SIDE>);

/// The candlestick state of many symbols, each with its own history.
#[derive(Clone, Debug, PartialEq)]
pub struct CandlestickStream {
    symbols: usize,
    blocks: Vec<Side>,
}

impl CandlestickStream {
    /// The state of `symbols` symbols that have no bars yet.
    #[must_use]
    pub fn new(symbols: usize) -> Self {
        Self { symbols, blocks: vec![Side::default(); symbols.div_ceil(SIDE)] }
    }

    /// How many symbols there are.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.symbols
    }

    /// Takes in one bar of each symbol, and writes what it completes into `found`, by symbol.
    ///
    /// Open, high, low and close, by symbol; four NaN: no bar, the symbol's state stays as it was. Open and close may
    /// lie outside of low to high.
    ///
    /// # Errors
    /// [`KernelError::Length`] unless all four and `found` have a row a symbol; [`KernelError::Row`] naming the first row that
    /// is neither finite nor four NaN, or whose high is below its low. Nothing is taken in then.
    pub fn update(&mut self, prices: Prices<'_>, found: &mut [Hits]) -> Result<(), KernelError> {
        rows::check(prices, self.symbols)?;
        if found.len() != self.symbols {
            return Err(KernelError::Length { column: "found", rows: found.len(), expected: self.symbols });
        }
        Arch::new().dispatch(Update { blocks: &mut self.blocks, prices, found });
        Ok(())
    }

    /// What [`Self::update`] would say, without taking the bars in: for bars that are still open.
    ///
    /// # Errors
    /// Those of [`Self::update`].
    pub fn peek(&self, prices: Prices<'_>, found: &mut [Hits]) -> Result<(), KernelError> {
        self.clone().update(prices, found)
    }

    /// Takes in the next bar of one symbol, as [`Self::update`] does with all others absent.
    ///
    /// # Errors
    /// [`KernelError::Row`] if the bar is none.
    ///
    /// # Panics
    /// If there is no such symbol.
    pub fn update_one(&mut self, symbol: usize, [open, high, low, close]: [f64; 4]) -> Result<Hits, KernelError> {
        rows::check([&[open], &[high], &[low], &[close]], 1)?;
        if open.is_nan() {
            return Ok(Hits::default());
        }
        let mut alone = self.symbol(symbol);
        let hits = alone.update(open, high, low, close);
        self.set_symbol(symbol, &alone);
        Ok(hits)
    }

    /// The state of one symbol.
    ///
    /// # Panics
    /// If there is no such symbol.
    #[must_use]
    pub fn symbol(&self, symbol: usize) -> Block<1> {
        assert!(symbol < self.symbols, "there are {} symbols, {symbol} is not one of them", self.symbols);
        self.blocks[symbol / SIDE].0.take(symbol % SIDE)
    }

    /// Gives one symbol this state.
    ///
    /// # Panics
    /// If there is no such symbol.
    pub fn set_symbol(&mut self, symbol: usize, state: &Block<1>) {
        assert!(symbol < self.symbols, "there are {} symbols, {symbol} is not one of them", self.symbols);
        self.blocks[symbol / SIDE].0.put(symbol % SIDE, state);
    }
}

struct Update<'a> {
    blocks: &'a mut [Side],
    prices: Prices<'a>,
    found: &'a mut [Hits],
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (at, (block, found)) in self.blocks.iter_mut().zip(self.found.chunks_mut(SIDE)).enumerate() {
            let first = at * SIDE;
            let mut bars = SideBars([[f64::NAN; SIDE]; 4]);
            for (bars, prices) in bars.0.iter_mut().zip(self.prices) {
                match prices[first..].first_chunk() {
                    Some(whole) => *bars = *whole,
                    None => bars[..found.len()].copy_from_slice(&prices[first..]),
                }
            }
            found.copy_from_slice(&block.0.step(simd, &bars.0)[..found.len()]);
        }
    }
}
