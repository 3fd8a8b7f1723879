//! Columns of decoded trades to bars: the batch form of the fold, for history and notebooks.
//!
//! One pass, one open bar a symbol, O(1) a tick. A tick that belongs to an older bar is folded into it, so that the
//! input may come in any order; only then is an index of the bars built.

use hashbrown::HashMap;

use crate::error::KernelError;

/// Ids are rows of a table: one far out would allocate everything below it.
const MAX_SYMBOLS: i32 = 1 << 24;

/// Times and intervals below this keep every difference of two of them within 64 bits.
const MAX_US: i64 = 1 << 62;

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

/// The bars of [`aggregate`], in order of time, then symbol.
///
/// They lie as they were made: to move them all once more would cost as much memory again.
#[derive(Debug)]
pub struct Aggregates {
    bars: Vec<Aggregate>,
    order: Vec<u32>,
}

impl Aggregates {
    /// The bars in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Aggregate> {
        self.order.iter().map(|&at| &self.bars[at as usize])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bars.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }
}

/// Folds trades into bars of `interval_us`, sorted by time, then symbol. `symbol` is `None` for one symbol.
///
/// A tick belongs to the bar that starts at floor(ts / interval)·interval: the rule of kind T. Σ size wraps.
///
/// # Errors
/// [`KernelError::Row`] names the first price that is not finite and positive, negative size or symbol, or time 146,000
/// years away; [`KernelError::Setting`]: the interval is not positive, or as long as that, or the columns' lengths differ.
pub fn aggregate(
    ts_us: &[i64],
    price: &[f64],
    size: &[i64],
    symbol: Option<&[i32]>,
    interval_us: i64,
) -> Result<Aggregates, KernelError> {
    if !(1..MAX_US).contains(&interval_us) {
        return Err(KernelError::Setting {
            name: "interval_s",
            rule: "positive and below 2^62 µs",
            value: interval_us as f64 / 1e6,
        });
    }
    let rows = ts_us.len();
    for (name, len) in [("price", price.len()), ("size", size.len()), ("symbol", symbol.map_or(rows, <[i32]>::len))] {
        if len != rows {
            return Err(KernelError::Setting { name, rule: "as long as ts_us", value: len as f64 });
        }
    }
    let trades = Trades { ts_us, price, size };
    let mut fold = Fold::new(interval_us);
    let good = match symbol {
        Some(ids) => fold.many(&trades, ids),
        None => fold.one(&trades),
    };
    if good { Ok(fold.finish()) } else { Err(first_fault(&trades, symbol.unwrap_or(&[]))) }
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

    fn add(&mut self, ts_us: i64, price: f64, size: i64) {
        self.high = self.high.max(price);
        self.low = self.low.min(price);
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

/// The columns, of equal length.
struct Trades<'a> {
    ts_us: &'a [i64],
    price: &'a [f64],
    size: &'a [i64],
}

impl<'a> Trades<'a> {
    /// Rows from `from` on.
    fn rows(&self, from: usize) -> impl Iterator<Item = (i64, f64, i64)> + use<'a> {
        let columns = self.ts_us[from..].iter().zip(&self.price[from..]).zip(&self.size[from..]);
        columns.map(|((&ts_us, &price), &size)| (ts_us, price, size))
    }
}

/// Negative unless |ts| < 2^62, that is unless the two highest bits are equal.
fn time_fault(ts_us: i64) -> i64 {
    ts_us ^ ts_us.wrapping_add(ts_us)
}

/// Negative unless the price is finite and positive, that is unless its bits lie from 1 up to those of infinity.
fn price_fault(price: f64) -> i64 {
    const ABOVE: i64 = i64::MAX - f64::INFINITY.to_bits() as i64 + 1;
    let bits = price.to_bits() as i64;
    bits.wrapping_sub(1) | bits.wrapping_add(ABOVE)
}

/// The first bad row, column by column.
#[cold]
fn first_fault(trades: &Trades<'_>, ids: &[i32]) -> KernelError {
    let Trades { ts_us, price, size } = *trades;
    let fault = |column, rule, row, value| KernelError::Row { column, rule, row, value };
    if let Some(row) = price.iter().position(|&p| price_fault(p) < 0) {
        return fault("price", "finite and positive", row, price[row]);
    }
    if let Some(row) = size.iter().position(|&v| v < 0) {
        return fault("size", "0 or more", row, size[row] as f64);
    }
    if let Some(row) = ids.iter().position(|&id| id < 0) {
        return fault("symbol", "0 or more", row, f64::from(ids[row]));
    }
    if let Some(row) = ids.iter().position(|&id| id >= MAX_SYMBOLS) {
        return fault("symbol", "below 16,777,216", row, f64::from(ids[row]));
    }
    let row = ts_us.iter().position(|&ts| time_fault(ts) < 0).unwrap_or(0);
    fault("ts_us", "below 2^62 either way", row, ts_us[row] as f64)
}

/// What a tick of an open bar reads and writes: one cache line a symbol.
///
/// No two neighbours are of one kind: the compiler would join high and low, or volume and count, in one vector, and a
/// maximum that is one instruction alone takes nine there.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Hot {
    start_us: i64,
    high: f64,
    close_us: i64,
    low: f64,
    volume: i64,
    close: f64,
    /// 0: there is no bar.
    trades: i64,
    notional: f64,
}

impl Hot {
    /// Whether the tick is simply the next one: in this bar, and in order of time.
    #[inline]
    fn takes(&self, ts_us: i64, interval_us: i64) -> bool {
        (ts_us.wrapping_sub(self.start_us) as u64) < interval_us as u64 && ts_us >= self.close_us
    }

    #[inline]
    fn add(&mut self, ts_us: i64, price: f64, size: i64) {
        self.close_us = ts_us;
        self.close = price;
        self.high = if price > self.high { price } else { self.high }; // one instruction; `f64::max` looks for NaN
        self.low = if price < self.low { price } else { self.low };
        self.notional += price * size as f64;
        self.volume = self.volume.wrapping_add(size);
        self.trades = self.trades.wrapping_add(1);
    }
}

/// What only the first tick of a bar writes, or an earlier one that comes after it.
#[derive(Clone, Copy)]
struct Cold {
    open_us: i64,
    open: f64,
}

const NO_BAR: (Hot, Cold) = (
    Hot {
        start_us: i64::MIN,
        close_us: i64::MAX, // after every tick, so that none is simply the next one
        high: 0.0,
        low: 0.0,
        close: 0.0,
        notional: 0.0,
        volume: 0,
        trades: 0,
    },
    Cold { open_us: 0, open: 0.0 },
);

struct Fold {
    interval_us: i64,
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    done: Vec<Aggregate>,
    /// Where each finished bar lies; built when the first tick out of order comes.
    index: Option<HashMap<(i32, i64), usize>>,
}

impl Fold {
    fn new(interval_us: i64) -> Self {
        Self { interval_us, hot: vec![NO_BAR.0], cold: vec![NO_BAR.1], done: Vec::new(), index: None }
    }

    /// Ticks of many symbols: each goes to its symbol's own bar. False: some row is bad.
    #[inline(never)] // so that the loop has all registers
    fn many(&mut self, trades: &Trades<'_>, ids: &[i32]) -> bool {
        let interval_us = self.interval_us;
        let mut fault = 0;
        for ((ts_us, price, size), &id) in trades.rows(0).zip(ids) {
            fault |= price_fault(price) | size;
            match self.hot.get_mut(id as u32 as usize) {
                Some(bar) if bar.takes(ts_us, interval_us) => bar.add(ts_us, price, size),
                _ => {
                    if !self.turn(id, ts_us, price, size) {
                        return false;
                    }
                }
            }
        }
        fault >= 0
    }

    /// Ticks of one symbol: its bar stays in registers. False: some row is bad.
    fn one(&mut self, trades: &Trades<'_>) -> bool {
        let interval_us = self.interval_us;
        let mut fault = 0;
        let mut from = 0;
        while from < trades.ts_us.len() {
            let mut bar = self.hot[0];
            let mut next = None;
            for (ts_us, price, size) in trades.rows(from) {
                fault |= price_fault(price) | size;
                from += 1;
                if !bar.takes(ts_us, interval_us) {
                    next = Some((ts_us, price, size));
                    break;
                }
                bar.add(ts_us, price, size);
            }
            self.hot[0] = bar;
            if let Some((ts_us, price, size)) = next {
                if !self.turn(0, ts_us, price, size) {
                    return false;
                }
            }
        }
        fault >= 0
    }

    /// A tick that is not simply the next one of its symbol's open bar. False: symbol or time is bad.
    #[cold]
    fn turn(&mut self, id: i32, ts_us: i64, price: f64, size: i64) -> bool {
        if !(0..MAX_SYMBOLS).contains(&id) || time_fault(ts_us) < 0 {
            return false;
        }
        let at = id as usize;
        if at >= self.hot.len() {
            self.hot.resize(at + 1, NO_BAR.0);
            self.cold.resize(at + 1, NO_BAR.1);
        }
        let start_us = ts_us.div_euclid(self.interval_us) * self.interval_us;
        let fresh = Aggregate::new(start_us, id, ts_us, price, size);
        let mut open = self.open(at);
        if open.trades == 0 {
            self.set_open(at, &fresh);
        } else if start_us > open.ts_us {
            self.close(open);
            self.set_open(at, &fresh);
        } else if start_us == open.ts_us {
            open.add(ts_us, price, size);
            self.set_open(at, &open);
        } else {
            self.mend(fresh);
        }
        true
    }

    fn open(&self, at: usize) -> Aggregate {
        let (hot, cold) = (self.hot[at], self.cold[at]);
        Aggregate {
            ts_us: hot.start_us,
            open: cold.open,
            high: hot.high,
            low: hot.low,
            close: hot.close,
            volume: hot.volume,
            notional: hot.notional,
            open_us: cold.open_us,
            close_us: hot.close_us,
            trades: hot.trades,
            symbol: at as i32,
        }
    }

    fn set_open(&mut self, at: usize, bar: &Aggregate) {
        self.hot[at] = Hot {
            start_us: bar.ts_us,
            close_us: bar.close_us,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            notional: bar.notional,
            volume: bar.volume,
            trades: bar.trades,
        };
        self.cold[at] = Cold { open_us: bar.open_us, open: bar.open };
    }

    fn close(&mut self, bar: Aggregate) {
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

    /// Every bar, in order.
    fn finish(mut self) -> Aggregates {
        for at in 0..self.hot.len() {
            if self.hot[at].trades > 0 {
                self.done.push(self.open(at));
            }
        }
        let order = order(&self.done, self.hot.len(), self.interval_us);
        Aggregates { order, bars: self.done }
    }
}

/// Where the bars lie in order of time, then symbol.
///
/// O(bars + symbols + intervals): a place is counted twice, by symbol and then by time. Bars that are few in a long time
/// are compared instead.
fn order(bars: &[Aggregate], symbols: usize, interval_us: i64) -> Vec<u32> {
    let first_us = bars.iter().map(|bar| bar.ts_us).min().unwrap_or(0);
    let rank = |bar: &Aggregate| bar.ts_us.wrapping_sub(first_us) as u64 / interval_us as u64;
    let order: Vec<u32> = (0..bars.len() as u32).collect();
    let ranks = bars.iter().map(rank).max().unwrap_or(0) + 1;
    if ranks > 4 * bars.len() as u64 + 1_000 {
        let mut order = order;
        order.sort_unstable_by_key(|&at| (bars[at as usize].ts_us, bars[at as usize].symbol));
        return order;
    }
    let by_symbol: Vec<u32> = bars.iter().map(|bar| bar.symbol as u32).collect();
    let by_time: Vec<u32> = bars.iter().map(|bar| rank(bar) as u32).collect();
    sorted(&sorted(&order, &by_symbol, symbols), &by_time, ranks as usize)
}

/// The places in the order of their keys, which are below `keys_end`; those of one key keep theirs.
///
/// Source: Knuth, The Art of Computer Programming 3, 5.2, algorithm D (distribution counting).
fn sorted(places: &[u32], keys: &[u32], keys_end: usize) -> Vec<u32> {
    let mut next = vec![0_u32; keys_end + 1];
    for &key in keys {
        next[key as usize + 1] += 1;
    }
    for key in 1..next.len() {
        next[key] += next[key - 1];
    }
    let mut sorted = vec![0; places.len()];
    for &place in places {
        let at = &mut next[keys[place as usize] as usize];
        sorted[*at as usize] = place;
        *at += 1;
    }
    sorted
}
