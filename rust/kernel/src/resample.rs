//! Columns of 1-minute bars to columns of a higher timeframe: the batch form of [`crate::rollup`].
//!
//! One pass in the order of the rows where each symbol's bars come in order of time, whatever lies between them; else in an
//! order that is made first. O(1) a bar.

use crate::bar::{Bar, quality};
use crate::error::KernelError;
use crate::rollup::{Rolled, Rollup};
use crate::session::{Session, Sessions};
use crate::time::MINUTE_US;
use crate::timeframe::{Grid, Timeframe};

/// Ids are rows of a table: one far out would allocate everything below it.
const MAX_SYMBOLS: i32 = 1 << 24;

/// Stamps below this leave room to count on from them.
const MAX_US: i64 = 1 << 60;

/// More ticks than a bar can have; past it sums could overflow.
const MAX_TRADES: i64 = 1 << 53;

/// 1-minute bars of many symbols: columns of one length, in any order.
#[derive(Clone, Copy, Debug)]
pub struct Minutes<'a> {
    /// Whose bar it is.
    pub symbol: &'a [i32],
    /// Start of the minute, µs.
    pub ts_us: &'a [i64],
    /// Open, high, low, close.
    pub prices: [&'a [f64]; 4],
    /// Shares.
    pub volume: &'a [i64],
    /// Mean price by volume; NaN if unknown.
    pub vwap: &'a [f64],
    /// Ticks.
    pub trades: &'a [i64],
    /// Bits of [`quality`].
    pub quality: &'a [u8],
    /// Event time of the open; -1 if unknown.
    pub open_us: &'a [i64],
    /// Event time of the close; -1 if unknown.
    pub close_us: &'a [i64],
}

/// Bars of a higher timeframe: columns of one length, in order of time, then symbol.
#[derive(Debug, Default)]
pub struct Resampled {
    /// Whose bar it is.
    pub symbol: Vec<i32>,
    /// Start of the bucket, µs.
    pub ts_us: Vec<i64>,
    /// Open, high, low, close.
    pub prices: [Vec<f64>; 4],
    /// Σ volume.
    pub volume: Vec<i64>,
    /// Mean price by volume; NaN if no minute's is known.
    pub vwap: Vec<f64>,
    /// Σ trades.
    pub trades: Vec<i64>,
    /// Every flag of the minutes.
    pub quality: Vec<u8>,
    /// Event time of the open.
    pub open_us: Vec<i64>,
    /// Event time of the close.
    pub close_us: Vec<i64>,
}

/// Rolls 1-minute bars up to `timeframe`. Those that start in no session, or are flagged [`quality::PROVISIONAL`], are left
/// out.
///
/// The end of the newest bar, in a session or not, is as far as the data goes, for all symbols, or `until_us` if that is
/// later: buckets that end after it are still forming and are left out.
///
/// # Errors
/// [`KernelError::Length`] if columns differ in length; [`KernelError::Row`] names the first row that is no bar of a minute,
/// [`KernelError::Twice`] one that is there twice.
pub fn resample(
    minutes: &Minutes<'_>,
    timeframe: Timeframe,
    sessions: &Sessions,
    grid: &Grid,
    until_us: Option<i64>,
) -> Result<Resampled, KernelError> {
    minutes.check()?;
    let rows = minutes.symbol.len();
    let end_us = until_us.unwrap_or(i64::MIN);
    let mut run = Run { timeframe, sessions, grid, end_us, session: None, slots: Vec::new(), symbols: Vec::new() };
    let mut made = Resampled::default();
    if minutes.are_in_order() {
        run.fold(minutes, 0..rows, &mut made);
    } else {
        let order = minutes.order()?;
        run.fold(minutes, order.iter().map(|&(_, row)| row as usize), &mut made);
    }
    made.sort();
    Ok(made)
}

impl Minutes<'_> {
    fn check(&self) -> Result<(), KernelError> {
        let expected = self.ts_us.len();
        let [open, high, low, close] = self.prices;
        let lengths = [
            ("symbol", self.symbol.len()),
            ("open", open.len()),
            ("high", high.len()),
            ("low", low.len()),
            ("close", close.len()),
            ("volume", self.volume.len()),
            ("vwap", self.vwap.len()),
            ("trades", self.trades.len()),
            ("quality", self.quality.len()),
            ("open_us", self.open_us.len()),
            ("close_us", self.close_us.len()),
        ];
        if let Some((column, rows)) = lengths.into_iter().find(|&(_, rows)| rows != expected) {
            return Err(KernelError::Length { column, rows, expected });
        }
        all("symbol", "0 to 16,777,215", self.symbol, f64::from, |id| (0..MAX_SYMBOLS).contains(&id))?;
        let starts = |us: i64| us % MINUTE_US == 0 && us.unsigned_abs() < MAX_US as u64;
        all("ts_us", "whole minutes within 2^60 µs of 1970", self.ts_us, |us| us as f64, starts)?;
        for (column, prices) in [("open", open), ("high", high), ("low", low), ("close", close)] {
            all(column, "finite and positive", prices, |price| price, |price| price > 0.0 && price < f64::INFINITY)?;
        }
        if let Some(row) = low.iter().zip(high).position(|(low, high)| low > high) {
            return Err(KernelError::Row { column: "low", rule: "at most high", row, value: low[row] });
        }
        all("volume", "0 or more", self.volume, |shares| shares as f64, |shares| shares >= 0)?;
        all("trades", "0 to 2^53", self.trades, |trades| trades as f64, |trades| (0..=MAX_TRADES).contains(&trades))
    }

    /// Whether a row was open still when it was written.
    #[inline]
    fn is_open(&self, row: usize) -> bool {
        self.quality[row] & quality::PROVISIONAL != 0
    }

    /// Whether each symbol's bars come in order of time, no two of one minute.
    fn are_in_order(&self) -> bool {
        let mut newest: Vec<i64> = Vec::new();
        for (row, (&id, &ts_us)) in self.symbol.iter().zip(self.ts_us).enumerate() {
            if id as usize >= newest.len() {
                newest.resize(id as usize + 1, i64::MIN);
            }
            let newest_us = &mut newest[id as usize];
            if self.is_open(row) {
                continue;
            }
            if *newest_us >= ts_us {
                return false;
            }
            *newest_us = ts_us;
        }
        true
    }

    /// The rows that count, each with its stamp, by symbol, then time.
    ///
    /// Each symbol's are laid together first (Knuth, The Art of Computer Programming 3, 5.2, algorithm D): what is sorted
    /// then stays in the cache.
    fn order(&self) -> Result<Vec<(i64, u32)>, KernelError> {
        let counted = || (0..self.ts_us.len()).filter(|&row| !self.is_open(row));
        let mut ends: Vec<usize> = Vec::new();
        for row in counted() {
            let id = self.symbol[row] as usize;
            if id >= ends.len() {
                ends.resize(id + 1, 0);
            }
            ends[id] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += std::mem::replace(end, total);
        }
        let mut order = vec![(0, 0); total];
        for row in counted() {
            let end = &mut ends[self.symbol[row] as usize];
            order[*end] = (self.ts_us[row], row as u32);
            *end += 1;
        }
        let mut twice: Option<u32> = None;
        let mut from = 0;
        for end in ends {
            let own = &mut order[from..end];
            own.sort_unstable();
            let again = own.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
            twice = twice.into_iter().chain(again).min();
            from = end;
        }
        twice.map_or(Ok(order), |row| Err(KernelError::Twice { row: row as usize }))
    }

    #[inline]
    fn bar(&self, row: usize) -> Bar {
        let [open, high, low, close] = self.prices;
        Bar {
            ts_us: self.ts_us[row],
            open: open[row],
            high: high[row],
            low: low[row],
            close: close[row],
            volume: self.volume[row],
            vwap: self.vwap[row],
            trades: self.trades[row],
            quality: self.quality[row],
            open_us: self.open_us[row],
            close_us: self.close_us[row],
        }
    }
}

/// That a rule holds for each value of a column.
fn all<T: Copy>(
    column: &'static str,
    rule: &'static str,
    values: &[T],
    number: impl Fn(T) -> f64,
    holds: impl Fn(T) -> bool,
) -> Result<(), KernelError> {
    // Without an early end the loop is one of vectors; only a fault asks for the row.
    if values.iter().fold(true, |all, &value| all & holds(value)) {
        return Ok(());
    }
    let row = values.iter().position(|&value| !holds(value)).unwrap_or(0);
    Err(KernelError::Row { column, rule, row, value: number(values[row]) })
}

/// The roll-ups of all symbols.
struct Run<'a> {
    timeframe: Timeframe,
    sessions: &'a Sessions,
    grid: &'a Grid,
    /// How far the data goes.
    end_us: i64,
    /// The session of the last minute: as a rule that of the next one, too.
    session: Option<Session>,
    /// Where each symbol's roll-up lies, by id.
    slots: Vec<u32>,
    symbols: Vec<(i32, Rollup)>,
}

impl Run<'_> {
    /// Takes rows in, each symbol's in order of time, then closes what is over when the last of all ends.
    fn fold(&mut self, minutes: &Minutes<'_>, rows: impl Iterator<Item = usize>, made: &mut Resampled) {
        for row in rows {
            if minutes.is_open(row) {
                continue;
            }
            let bar = minutes.bar(row);
            self.end_us = self.end_us.max(bar.ts_us + MINUTE_US);
            let Some(session) = self.session_of(bar.ts_us) else { continue };
            let id = minutes.symbol[row];
            let slot = self.slot(id);
            let pushed = self.symbols[slot].1.push(&bar, session, self.grid, |rolled| made.push(id, &rolled));
            pushed.expect("minutes come in order, and nothing else has closed a bucket");
        }
        for (id, rollup) in &mut self.symbols {
            if let Some(rolled) = rollup.close_up_to(self.end_us) {
                made.push(*id, &rolled);
            }
        }
    }

    #[inline]
    fn session_of(&mut self, us: i64) -> Option<Session> {
        if !self.session.is_some_and(|session| session.holds(us)) {
            self.session = self.sessions.at(us);
        }
        self.session
    }

    #[inline]
    fn slot(&mut self, id: i32) -> usize {
        match self.slots.get(id as usize) {
            Some(&slot) if slot != u32::MAX => slot as usize,
            _ => self.begin(id),
        }
    }

    #[cold]
    fn begin(&mut self, id: i32) -> usize {
        if id as usize >= self.slots.len() {
            self.slots.resize(id as usize + 1, u32::MAX);
        }
        self.slots[id as usize] = self.symbols.len() as u32;
        self.symbols.push((id, Rollup::new(self.timeframe)));
        self.symbols.len() - 1
    }
}

impl Resampled {
    /// How many bars there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.symbol.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.symbol.is_empty()
    }

    fn push(&mut self, id: i32, rolled: &Rolled) {
        let bar = &rolled.bar;
        self.symbol.push(id);
        self.ts_us.push(bar.ts_us);
        for (column, price) in self.prices.iter_mut().zip([bar.open, bar.high, bar.low, bar.close]) {
            column.push(price);
        }
        self.volume.push(bar.volume);
        self.vwap.push(bar.vwap);
        self.trades.push(bar.trades);
        self.quality.push(bar.quality);
        self.open_us.push(bar.open_us);
        self.close_us.push(bar.close_us);
    }

    /// Puts the rows in order of time, then symbol.
    fn sort(&mut self) {
        let keys = self.ts_us.iter().zip(&self.symbol);
        if keys.clone().is_sorted() {
            return;
        }
        let mut order: Vec<(i64, i32, u32)> = keys.zip(0..).map(|((&ts_us, &id), row)| (ts_us, id, row)).collect();
        order.sort_unstable();
        let order: Vec<u32> = order.into_iter().map(|(.., row)| row).collect();
        arrange(&mut self.symbol, &order);
        let whole = [&mut self.ts_us, &mut self.volume, &mut self.trades, &mut self.open_us, &mut self.close_us];
        for column in whole {
            arrange(column, &order);
        }
        for column in self.prices.iter_mut().chain([&mut self.vwap]) {
            arrange(column, &order);
        }
        arrange(&mut self.quality, &order);
    }
}

/// A column in another order of its rows.
fn arrange<T: Copy>(column: &mut Vec<T>, order: &[u32]) {
    *column = order.iter().map(|&row| column[row as usize]).collect();
}
