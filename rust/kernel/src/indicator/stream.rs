//! The indicators of many symbols, one bar of each in one call.

use self::column::{
    ADX, ATR, EMA_FAST, EMA_SLOW, LOWER, MACD, MACD_HISTOGRAM, MACD_SIGNAL, MIDDLE, MINUS_DI, OBV, PLUS_DI, RSI, SMA,
    STOCHASTIC_D, STOCHASTIC_K, UPPER,
};
use super::Seed;
use super::adx::Adx;
use super::atr::Atr;
use super::block::{Bars, Block, Turn};
use super::bollinger::Bollinger;
use super::ema::Ema;
use super::macd::Macd;
use super::rsi::Rsi;
use super::sma::Sma;
use super::stochastic::Stochastic;
use crate::error::KernelError;
use crate::pack::{NONE, Pack, Real, WIDTH, widest};

/// Places of the columns in what [`IndicatorStream::update`] gives.
pub(super) mod column {
    pub(in super::super) const SMA: usize = 0;
    pub(in super::super) const EMA_FAST: usize = 1;
    pub(in super::super) const EMA_SLOW: usize = 2;
    pub(in super::super) const RSI: usize = 3;
    pub(in super::super) const MACD: usize = 4;
    pub(in super::super) const MACD_SIGNAL: usize = 5;
    pub(in super::super) const MACD_HISTOGRAM: usize = 6;
    pub(in super::super) const UPPER: usize = 7;
    pub(in super::super) const MIDDLE: usize = 8;
    pub(in super::super) const LOWER: usize = 9;
    pub(in super::super) const ATR: usize = 10;
    pub(in super::super) const ADX: usize = 11;
    pub(in super::super) const PLUS_DI: usize = 12;
    pub(in super::super) const MINUS_DI: usize = 13;
    pub(in super::super) const OBV: usize = 14;
    pub(in super::super) const STOCHASTIC_K: usize = 15;
    pub(in super::super) const STOCHASTIC_D: usize = 16;
}

/// How many columns [`IndicatorStream::update`] gives.
pub const COLUMNS: usize = column::STOCHASTIC_D + 1;

/// Their names, in order.
pub const NAMES: [&str; COLUMNS] = [
    "sma",
    "ema_fast",
    "ema_slow",
    "rsi",
    "macd",
    "macd_signal",
    "macd_histogram",
    "bollinger_upper",
    "bollinger_middle",
    "bollinger_lower",
    "atr",
    "adx",
    "plus_di",
    "minus_di",
    "obv",
    "stochastic_k",
    "stochastic_d",
];

/// Periods and conventions; the defaults are those that charts show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Period of the simple average.
    pub sma: usize,
    /// Spans of the two exponential averages.
    pub ema: (usize, usize),
    /// Period of RSI.
    pub rsi: usize,
    /// Fast, slow and signal span.
    pub macd: (usize, usize, usize),
    /// Period and width of the bands.
    pub bollinger: (usize, f64),
    /// Period of ATR.
    pub atr: usize,
    /// Period of ADX and the directional indicators.
    pub adx: usize,
    /// k, slow k, slow d.
    pub stochastic: (usize, usize, usize),
    /// How recursive averages begin.
    pub seed: Seed,
    /// 0 or 1: what σ divides by, n − ddof.
    pub ddof: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sma: 20,
            ema: (12, 26),
            rsi: 14,
            macd: (12, 26, 9),
            bollinger: (20, 2.0),
            atr: 14,
            adx: 14,
            stochastic: (14, 3, 3),
            seed: Seed::Sma,
            ddof: 0,
        }
    }
}

/// The settings as kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    pub(super) sma: Sma,
    pub(super) fast: Ema,
    pub(super) slow: Ema,
    pub(super) rsi: Rsi,
    pub(super) macd: Macd,
    pub(super) bollinger: Bollinger,
    pub(super) atr: Atr,
    pub(super) adx: Adx,
    pub(super) stochastic: Stochastic,
    /// Bars after which every recursive kernel takes its step in steady state.
    pub(super) warm: usize,
}

impl Kernels {
    fn new(settings: &Settings) -> Result<Self, KernelError> {
        let seed = settings.seed;
        let (k, slow_k, slow_d) = settings.stochastic;
        let (fast, slow) = (Ema::new(settings.ema.0, seed)?, Ema::new(settings.ema.1, seed)?);
        let rsi = Rsi::new(settings.rsi, seed)?;
        let macd = Macd::new(settings.macd.0, settings.macd.1, settings.macd.2, seed)?;
        let (atr, adx) = (Atr::new(settings.atr, seed)?, Adx::new(settings.adx, seed)?);
        let lookbacks =
            [fast.lookback(), slow.lookback(), rsi.lookback(), macd.lookback(), atr.lookback(), adx.lookback()];
        Ok(Self {
            sma: Sma::new(settings.sma)?,
            fast,
            slow,
            rsi,
            macd,
            bollinger: Bollinger::new(settings.bollinger.0, settings.bollinger.1, settings.ddof)?,
            atr,
            adx,
            stochastic: Stochastic::new(k, slow_k, slow_d)?,
            warm: lookbacks.into_iter().max().unwrap_or(0) + 1,
        })
    }
}

/// One kernel over all blocks: its columns, put at their places.
macro_rules! pass {
    ($stream:ident, $out:ident, $kernel:ident, $columns:expr) => {{
        let (blocks, kernels, turns) = (&mut $stream.blocks[..], &$stream.kernels, &$stream.turns[..]);
        let made = widest!(<'a> |
            blocks: &'a mut [Block], kernels: &'a Kernels, turns: &'a [Turn],
        | -> [Vec<f64>; $columns.len()] {
            let mut made = [(); $columns.len()].map(|()| Vec::with_capacity(blocks.len() * WIDTH));
            for (block, turn) in blocks.iter_mut().zip(turns) {
                let values = if turn.has == NONE {
                    [Pack::all(f64::NAN); $columns.len()]
                } else {
                    block.$kernel(kernels, turn)
                };
                for (column, values) in made.iter_mut().zip(&values) {
                    column.extend_from_slice(&values.0);
                }
            }
            made
        });
        for (place, made) in $columns.into_iter().zip(made) {
            $out[place] = made;
        }
    }};
}

/// Ten indicators of many symbols. A call costs the same for each symbol, however long it has run.
///
/// Bit for bit what the batches give of the symbol's own bars, however they are spread over calls.
#[derive(Clone, Debug)]
pub struct IndicatorStream {
    settings: Settings,
    kernels: Kernels,
    symbols: usize,
    blocks: Vec<Block>,
    /// The bar that is being taken in, a block; between calls of no meaning.
    turns: Vec<Turn>,
}

impl IndicatorStream {
    /// A stream of `symbols` symbols that have seen nothing.
    ///
    /// # Errors
    /// [`KernelError::Setting`] for a period out of its range.
    pub fn new(symbols: usize, settings: Settings) -> Result<Self, KernelError> {
        let kernels = Kernels::new(&settings)?;
        let blocks = vec![Block::new(&kernels); symbols.div_ceil(WIDTH)];
        Ok(Self { settings, kernels, symbols, blocks, turns: Vec::new() })
    }

    /// How many symbols there are.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.symbols
    }

    /// One bar a symbol, as columns: `[open, high, low, close, volume]`. Values after it, in the order of [`NAMES`].
    ///
    /// A row of NaN is no bar: the symbol's state stays as it was, its values are NaN. Open is looked at, not used.
    ///
    /// # Errors
    /// [`KernelError::Length`] for a column that has not one row a symbol; [`KernelError::Row`] for the first row that
    /// is neither a bar nor NaN throughout: not finite, or its high below its low. The state is then as it was.
    pub fn update(&mut self, columns: [&[f64]; 5]) -> Result<[Vec<f64>; COLUMNS], KernelError> {
        self.check(&columns)?;
        let mut out = [const { Vec::new() }; COLUMNS];
        let (blocks, kernels, turns) = (&mut self.blocks[..], &self.kernels, &mut self.turns);
        widest!(<'a> |
            blocks: &'a mut [Block], kernels: &'a Kernels, columns: [&'a [f64]; 5], turns: &'a mut Vec<Turn>,
        | -> () {
            let [_, high, low, close, volume] = columns;
            turns.clear();
            for (at, block) in blocks.iter_mut().enumerate() {
                let from = at * WIDTH;
                let bars = Bars {
                    high: Pack::padded(&high[from..], f64::NAN),
                    low: Pack::padded(&low[from..], f64::NAN),
                    close: Pack::padded(&close[from..], f64::NAN),
                    volume: Pack::padded(&volume[from..], f64::NAN),
                };
                turns.push(block.begin(kernels, bars));
            }
        });
        let (blocks, kernels, turns) = (&self.blocks[..], &self.kernels, &mut self.turns[..]);
        widest!(<'a> |blocks: &'a [Block], kernels: &'a Kernels, turns: &'a mut [Turn]| -> () {
            for (block, turn) in blocks.iter().zip(turns) {
                block.scan(kernels, turn);
            }
        });
        // One pass a kernel: the compiler makes vectors of a short body, and a tangle of a long one.
        pass!(self, out, bands, [SMA, UPPER, MIDDLE, LOWER]);
        pass!(self, out, stochastic, [STOCHASTIC_K, STOCHASTIC_D]);
        pass!(self, out, averages, [EMA_FAST, EMA_SLOW]);
        pass!(self, out, macd, [MACD, MACD_SIGNAL, MACD_HISTOGRAM]);
        pass!(self, out, rsi, [RSI]);
        pass!(self, out, range_and_balance, [ATR, OBV]);
        pass!(self, out, directional, [ADX, PLUS_DI, MINUS_DI]);
        for (at, (block, turn)) in self.blocks.iter_mut().zip(&self.turns).enumerate() {
            if turn.warm == turn.has {
                continue;
            }
            for lane in (0..WIDTH).filter(|&lane| turn.has[lane] & !turn.warm[lane] != 0) {
                for (column, value) in block.warming(&self.kernels, lane, turn) {
                    out[column][at * WIDTH + lane] = value;
                }
            }
        }
        for column in &mut out {
            column.truncate(self.symbols);
        }
        Ok(out)
    }

    fn check(&self, columns: &[&[f64]; 5]) -> Result<(), KernelError> {
        const LABELS: [&str; 5] = ["open", "high", "low", "close", "volume"];
        for (column, label) in columns.iter().zip(LABELS) {
            if column.len() != self.symbols {
                return Err(KernelError::Length { column: label, rows: column.len(), expected: self.symbols });
            }
        }
        let [open, high, low, close, volume] = *columns;
        let mut good = true;
        for row in 0..self.symbols {
            let bar = [open[row], high[row], low[row], close[row], volume[row]];
            let is_bar = bar.iter().fold(high[row] >= low[row], |all, x| all & x.is_finite());
            good &= is_bar | bar.iter().fold(true, |all, x| all & x.is_nan());
        }
        let fault = if good { None } else { (0..self.symbols).find_map(|row| fault(columns, &LABELS, row)) };
        fault.map_or(Ok(()), Err)
    }

    /// The state, to continue from elsewhere or later: little-endian, of this version and these settings.
    ///
    /// Equal states give equal bytes, whatever calls they came from.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let mut bytes = self.head();
        for block in &mut self.blocks {
            block.visit(&mut |pack| pack.0.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes())));
        }
        bytes
    }

    /// Become what a snapshot holds.
    ///
    /// # Errors
    /// [`KernelError::Snapshot`] if it is of another version, other settings or another number of symbols, or cut
    /// short. The state is then as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), KernelError> {
        let head = self.head();
        let Some(numbers) = bytes.strip_prefix(&head[..]) else {
            return Err(KernelError::Snapshot("is of another version, of other settings or of other symbols".into()));
        };
        let mut expected = 0;
        let mut blocks = vec![Block::new(&self.kernels); self.blocks.len()];
        for block in &mut blocks {
            block.visit(&mut |_| expected += WIDTH * size_of::<f64>());
        }
        if numbers.len() != expected {
            return Err(KernelError::Snapshot("is cut short or too long".into()));
        }
        let mut numbers = numbers.chunks_exact(size_of::<f64>());
        for block in &mut blocks {
            block.visit(&mut |pack| {
                for (lane, number) in pack.0.iter_mut().zip(&mut numbers) {
                    *lane = f64::from_le_bytes(number.try_into().unwrap_or_default());
                }
            });
        }
        self.blocks = blocks;
        Ok(())
    }

    /// Version, settings and size: what must be equal for the numbers behind it to mean the same.
    fn head(&self) -> Vec<u8> {
        let settings = &self.settings;
        let mut head = b"tickstockpl indicators 1\n".to_vec();
        let (macd, stochastic) = (settings.macd, settings.stochastic);
        for number in [
            self.symbols,
            settings.sma,
            settings.ema.0,
            settings.ema.1,
            settings.rsi,
            macd.0,
            macd.1,
            macd.2,
            settings.bollinger.0,
            settings.atr,
            settings.adx,
            stochastic.0,
            stochastic.1,
            stochastic.2,
            settings.seed as usize,
            settings.ddof,
        ] {
            head.extend_from_slice(&(number as u64).to_le_bytes());
        }
        head.extend_from_slice(&settings.bollinger.1.to_le_bytes());
        head
    }
}

/// What is wrong with a row, if anything is.
fn fault(columns: &[&[f64]; 5], labels: &[&'static str; 5], row: usize) -> Option<KernelError> {
    let bar = columns.map(|column| column[row]);
    if bar.iter().all(|x| x.is_nan()) {
        return None;
    }
    if let Some((&value, column)) = bar.iter().zip(labels).find(|(x, _)| !x.is_finite()) {
        return Some(KernelError::Row { column, rule: "finite, or NaN in the whole row", row, value });
    }
    let [_, high, low, ..] = bar;
    (high < low).then_some(KernelError::Row { column: "high", rule: "at least the low", row, value: high })
}
