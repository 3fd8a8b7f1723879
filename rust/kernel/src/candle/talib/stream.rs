//! Many symbols at once, one bar each: lanes are symbols.

use pulp::{Arch, Simd, WithSimd};

use super::block::{Bars, Block};
use super::{Hits, Prices, rows};
use crate::error::KernelError;

/// Symbols side by side: whole registers of every width.
const SIDE: usize = 8;

/// So few symbols are better kept each alone: in a block of them most lanes would be idle, at the cost of all.
const FEW: usize = 2;

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
    /// The first symbols, eight a block.
    blocks: Vec<Side>,
    /// The last ones, if they are few: to take one out of a block and put it back costs a cache line a value.
    rest: Vec<Block<1>>,
}

impl CandlestickStream {
    /// The state of `symbols` symbols that have no bars yet.
    #[must_use]
    pub fn new(symbols: usize) -> Self {
        let rest = if symbols % SIDE <= FEW { symbols % SIDE } else { 0 };
        Self {
            symbols,
            blocks: vec![Side::default(); (symbols - rest).div_ceil(SIDE)],
            rest: vec![<_>::default(); rest],
        }
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
        let (side, alone) = found.split_at_mut(self.symbols - self.rest.len());
        let (first, blocks) = (side.len(), &mut self.blocks);
        Arch::new().dispatch(Update { blocks, prices: prices.map(|column| &column[..first]), found: side });
        for (at, (block, found)) in self.rest.iter_mut().zip(alone).enumerate() {
            let [open, high, low, close] = prices.map(|column| column[first + at]);
            *found = block.update(open, high, low, close);
        }
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
        rows::check_row([open, high, low, close], 0)?;
        match self.place(symbol) {
            Place::Side(block, lane) => {
                let side = &mut self.blocks[block].0;
                let mut alone = side.take(lane);
                let hits = alone.update(open, high, low, close);
                side.put(lane, &alone);
                Ok(hits)
            }
            Place::Alone(at) => Ok(self.rest[at].update(open, high, low, close)),
        }
    }

    /// The state of one symbol.
    ///
    /// # Panics
    /// If there is no such symbol.
    #[must_use]
    pub fn symbol(&self, symbol: usize) -> Block<1> {
        match self.place(symbol) {
            Place::Side(block, lane) => self.blocks[block].0.take(lane),
            Place::Alone(at) => self.rest[at],
        }
    }

    /// Gives one symbol this state.
    ///
    /// # Panics
    /// If there is no such symbol.
    pub fn set_symbol(&mut self, symbol: usize, state: &Block<1>) {
        match self.place(symbol) {
            Place::Side(block, lane) => self.blocks[block].0.put(lane, state),
            Place::Alone(at) => self.rest[at] = *state,
        }
    }

    fn place(&self, symbol: usize) -> Place {
        assert!(symbol < self.symbols, "there are {} symbols, {symbol} is not one of them", self.symbols);
        match symbol.checked_sub(self.symbols - self.rest.len()) {
            Some(at) => Place::Alone(at),
            None => Place::Side(symbol / SIDE, symbol % SIDE),
        }
    }
}

/// Where a symbol's state is kept.
#[derive(Clone, Copy)]
enum Place {
    /// In a block, in a lane of it.
    Side(usize, usize),
    /// By itself.
    Alone(usize),
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
