//! Columns of decoded trades to bars: the batch form of the fold, for history and notebooks.
//!
//! One pass, one open bar a symbol. A tick that belongs to an older bar is folded into it, so that the input may
//! come in any order; only then is an index of the bars built.

use hashbrown::HashMap;

use crate::error::KernelError;

/// Ids are rows of a table: one far out would allocate everything below it.
const MAX_SYMBOLS: i32 = 1 << 24;

/// One bar of [`aggregate`]. Columns of it are what people see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregate {
    /// Start of the bar, µs.
    pub ts_us: i64,
    /// Price of the earliest tick; ties go to the first in the input.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of the latest tick; ties go to the last in the input.
    pub close: f64,
    /// Σ size.
    pub volume: i64,
    /// Σ price·size.
    pub notional: f64,
    /// Event time of the open.
    pub open_us: i64,
    /// Event time of the close.
    pub close_us: i64,
    /// Ticks.
    pub trades: i64,
    /// Whose bar it is.
    pub symbol: i32,
}

impl Aggregate {
    fn new(start_us: i64, symbol: i32, ts_us: i64, price: f64, size: i64) -> Self {
        Self {
            ts_us: start_us,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: size,
            notional: price * size as f64,
            open_us: ts_us,
            close_us: ts_us,
            trades: 1,
            symbol,
        }
    }

    #[inline]
    fn add(&mut self, ts_us: i64, price: f64, size: i64) {
        self.high = if price > self.high { price } else { self.high };
        self.low = if price < self.low { price } else { self.low };
        self.volume = self.volume.wrapping_add(size);
        self.notional += price * size as f64;
        self.trades += 1;
        if ts_us >= self.close_us {
            (self.close, self.close_us) = (price, ts_us);
        } else if ts_us < self.open_us {
            (self.open, self.open_us) = (price, ts_us);
        }
    }
}

/// Folds trades into bars of `interval_us`, sorted by time, then symbol. `symbol` is `None` for one symbol.
///
/// A tick belongs to the bar that starts at floor(ts / interval)·interval: the rule of kind T.
///
/// # Errors
/// [`KernelError::Row`] names the first price that is not finite and positive, or size or symbol that is negative;
/// [`KernelError::Setting`] if the interval is not positive or the columns differ in length.
pub fn aggregate(
    ts_us: &[i64],
    price: &[f64],
    size: &[i64],
    symbol: Option<&[i32]>,
    interval_us: i64,
) -> Result<Vec<Aggregate>, KernelError> {
    if interval_us <= 0 {
        return Err(KernelError::Setting { name: "interval_s", rule: "positive", value: interval_us as f64 / 1e6 });
    }
    let rows = ts_us.len();
    for (name, len) in [("price", price.len()), ("size", size.len()), ("symbol", symbol.map_or(rows, <[i32]>::len))] {
        if len != rows {
            return Err(KernelError::Setting { name, rule: "as long as ts_us", value: len as f64 });
        }
    }
    let highest = check(price, size, symbol)?;
    let mut fold = BatchFold { interval_us, done: Vec::new(), index: None };
    match symbol {
        None => fold.one_symbol(ts_us, price, size),
        Some(ids) => fold.many_symbols(ts_us, price, size, ids, highest as usize + 1),
    }
    let mut bars = fold.done;
    bars.sort_unstable_by_key(|bar| (bar.ts_us, bar.symbol));
    Ok(bars)
}

/// The highest symbol id; the first bad row otherwise.
fn check(price: &[f64], size: &[i64], symbol: Option<&[i32]>) -> Result<i32, KernelError> {
    let good_prices = price.iter().all(|&p| p > 0.0 && p < f64::INFINITY);
    let good_sizes = size.iter().all(|&v| v >= 0);
    if !good_prices {
        let row = price.iter().position(|&p| !(p > 0.0 && p < f64::INFINITY)).unwrap_or(0);
        return Err(KernelError::Row { column: "price", rule: "finite and positive", row, value: price[row] });
    }
    if !good_sizes {
        let row = size.iter().position(|&v| v < 0).unwrap_or(0);
        return Err(KernelError::Row { column: "size", rule: "0 or more", row, value: size[row] as f64 });
    }
    let (lowest, highest) = symbol.unwrap_or(&[]).iter().fold((0, 0), |(low, high), &id| (id.min(low), id.max(high)));
    if lowest < 0 {
        let ids = symbol.unwrap_or(&[]);
        let row = ids.iter().position(|&id| id < 0).unwrap_or(0);
        return Err(KernelError::Row { column: "symbol", rule: "0 or more", row, value: f64::from(ids[row]) });
    }
    if highest >= MAX_SYMBOLS {
        let ids = symbol.unwrap_or(&[]);
        let row = ids.iter().position(|&id| id >= MAX_SYMBOLS).unwrap_or(0);
        return Err(KernelError::Row { column: "symbol", rule: "below 16,777,216", row, value: f64::from(ids[row]) });
    }
    Ok(highest)
}

struct BatchFold {
    interval_us: i64,
    done: Vec<Aggregate>,
    /// Where each finished bar lies; built when the first tick out of order comes.
    index: Option<HashMap<(i32, i64), usize>>,
}

impl BatchFold {
    fn one_symbol(&mut self, ts_us: &[i64], price: &[f64], size: &[i64]) {
        let mut open: Option<Aggregate> = None;
        for ((&ts, &price), &size) in ts_us.iter().zip(price).zip(size) {
            match &mut open {
                Some(bar) if (ts.wrapping_sub(bar.ts_us) as u64) < self.interval_us as u64 => {
                    bar.add(ts, price, size);
                }
                bar => *bar = Some(self.turn(bar.take(), 0, ts, price, size)),
            }
        }
        self.done.extend(open);
    }

    fn many_symbols(&mut self, ts_us: &[i64], price: &[f64], size: &[i64], symbol: &[i32], symbols: usize) {
        let mut open: Vec<Option<Aggregate>> = vec![None; symbols];
        for (((&ts, &price), &size), &id) in ts_us.iter().zip(price).zip(size).zip(symbol) {
            match &mut open[id as usize] {
                Some(bar) if (ts.wrapping_sub(bar.ts_us) as u64) < self.interval_us as u64 => {
                    bar.add(ts, price, size);
                }
                bar => *bar = Some(self.turn(bar.take(), id, ts, price, size)),
            }
        }
        self.done.extend(open.into_iter().flatten());
    }

    /// The open bar after a tick that lies outside of it: a new one, or the same after an older one was mended.
    #[cold]
    fn turn(&mut self, open: Option<Aggregate>, symbol: i32, ts_us: i64, price: f64, size: i64) -> Aggregate {
        let start_us = ts_us.div_euclid(self.interval_us) * self.interval_us;
        let fresh = Aggregate::new(start_us, symbol, ts_us, price, size);
        match open {
            Some(bar) if start_us < bar.ts_us => {
                self.mend(fresh);
                bar
            }
            Some(bar) => {
                self.finish(bar);
                fresh
            }
            None => fresh,
        }
    }

    fn finish(&mut self, bar: Aggregate) {
        if let Some(index) = &mut self.index {
            index.insert((bar.symbol, bar.ts_us), self.done.len());
        }
        self.done.push(bar);
    }

    fn mend(&mut self, tick: Aggregate) {
        let done = &mut self.done;
        let index = self
            .index
            .get_or_insert_with(|| done.iter().enumerate().map(|(at, bar)| ((bar.symbol, bar.ts_us), at)).collect());
        if let Some(&at) = index.get(&(tick.symbol, tick.ts_us)) {
            done[at].add(tick.open_us, tick.open, tick.volume);
        } else {
            index.insert((tick.symbol, tick.ts_us), done.len());
            done.push(tick);
        }
    }
}
