//! What a caller hands in: bars, as an object with the columns of `Bars`, and tables of sessions.

use numpy::{PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use tickstockpl_kernel::bar::Bar;
use tickstockpl_kernel::offset::Span;
use tickstockpl_kernel::session::Sessions;

use crate::to_py;
use crate::whole::MOST_REVISIONS;

/// The farthest stamp from 1970 that is taken: 36,000 years, which leaves room to add a minute to it.
pub(crate) const FARTHEST_US: i128 = 1 << 60;

/// More ticks than a minute can have; past it the sum with those that come could overflow.
const MOST_TRADES: i64 = 1 << 53;

/// Columns of one length, copied: the interpreter is released while they are read.
pub(crate) struct Given {
    names: Vec<String>,
    symbol: Vec<i32>,
    /// `ts_us`, `volume`, `trades`, `open_us`, `close_us`.
    whole: [Vec<i64>; 5],
    /// `open`, `high`, `low`, `close`, `vwap`.
    prices: [Vec<f64>; 5],
    revision: Vec<i32>,
    quality: Vec<u8>,
}

impl Given {
    /// Reads the columns; a `ValueError` if they differ in length, a symbol is none of `symbols`, or a stamp or a number
    /// of trades is out of reach.
    pub(crate) fn new(bars: &Bound<'_, PyAny>) -> PyResult<Self> {
        let [symbol] = columns(bars, ["symbol"])?;
        let [revision] = columns(bars, ["revision"])?;
        let [quality] = columns(bars, ["quality"])?;
        let given = Self {
            names: bars.getattr("symbols")?.extract()?,
            symbol,
            whole: columns(bars, ["ts_us", "volume", "trades", "open_us", "close_us"])?,
            prices: columns(bars, ["open", "high", "low", "close", "vwap"])?,
            revision,
            quality,
        };
        let lengths = given.whole.iter().map(Vec::len).chain(given.prices.iter().map(Vec::len));
        if lengths.chain([given.revision.len(), given.quality.len()]).any(|len| len != given.len()) {
            return Err(PyValueError::new_err("bars must have columns of one length"));
        }
        name_known(&given.symbol, &given.names)?;
        let [ts_us, _, trades, ..] = &given.whole;
        if let Some(row) = ts_us.iter().position(|&us| i128::from(us).abs() > FARTHEST_US) {
            let us = ts_us[row];
            return Err(PyValueError::new_err(format!("ts_us must be within 2^60 µs of 1970, row {row} is {us}")));
        }
        if let Some(row) = trades.iter().position(|&trades| trades > MOST_TRADES) {
            let count = trades[row];
            return Err(PyValueError::new_err(format!("trades must be at most 2^53, row {row} is {count}")));
        }
        Ok(given)
    }

    pub(crate) fn len(&self) -> usize {
        self.symbol.len()
    }

    /// Symbol, bar and revision of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], Bar, u32)> {
        let [ts_us, volume, trades, open_us, close_us] = &self.whole;
        let [open, high, low, close, vwap] = &self.prices;
        (0..self.len()).map(move |row| {
            let bar = Bar {
                ts_us: ts_us[row],
                open: open[row],
                high: high[row],
                low: low[row],
                close: close[row],
                volume: volume[row],
                vwap: vwap[row],
                trades: trades[row],
                quality: self.quality[row],
                open_us: open_us[row],
                close_us: close_us[row],
            };
            (
                self.names[self.symbol[row] as usize].as_bytes(),
                bar,
                self.revision[row].clamp(0, MOST_REVISIONS as i32) as u32,
            )
        })
    }
}

/// What minutes of finished sessions traded at most: columns of one length, copied.
pub(crate) struct Volumes {
    names: Vec<String>,
    symbol: Vec<i32>,
    open_us: Vec<i64>,
    minute: Vec<i32>,
    volume: Vec<i64>,
    quality: Vec<u8>,
}

impl Volumes {
    /// Reads the columns; a `ValueError` if they differ in length, or a symbol is none of `symbols`.
    pub(crate) fn new(volumes: &Bound<'_, PyAny>) -> PyResult<Self> {
        let [symbol, minute] = columns(volumes, ["symbol", "minute"])?;
        let [open_us, volume] = columns(volumes, ["open_us", "volume"])?;
        let [quality] = columns(volumes, ["quality"])?;
        let names = volumes.getattr("symbols")?.extract()?;
        let given = Self { names, symbol, open_us, minute, volume, quality };
        let lengths = [given.open_us.len(), given.minute.len(), given.volume.len(), given.quality.len()];
        if lengths.iter().any(|&len| len != given.symbol.len()) {
            return Err(PyValueError::new_err("volumes must have columns of one length"));
        }
        name_known(&given.symbol, &given.names)?;
        Ok(given)
    }

    /// Symbol, open of a session of the week in µs, minute, volume and flags of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], i64, i64, i64, u8)> {
        let names = self.symbol.iter().map(|&id| self.names[id as usize].as_bytes());
        let numbers = self.open_us.iter().zip(&self.minute).zip(&self.volume).zip(&self.quality);
        names.zip(numbers).map(|(name, (((&open_us, &minute), &volume), &quality))| {
            (name, open_us, i64::from(minute), volume, quality)
        })
    }
}

/// A `ValueError` if one of these indexes none of the names.
fn name_known(symbol: &[i32], names: &[String]) -> PyResult<()> {
    let strange = |&id: &i32| usize::try_from(id).map_or(true, |id| id >= names.len());
    symbol.iter().position(strange).map_or(Ok(()), |row| {
        let id = symbol[row];
        Err(PyValueError::new_err(format!("symbol must index symbols, row {row} is {id}")))
    })
}

/// `first_src` and `last_src` of so many bars, if the object has these columns: which messages went into each.
pub(crate) fn spans(bars: &Bound<'_, PyAny>, rows: usize) -> PyResult<Vec<Span>> {
    if !bars.hasattr("first_src")? {
        return Ok(vec![Span::NONE; rows]);
    }
    let [first, last] = columns::<i64, 2>(bars, ["first_src", "last_src"])?;
    if first.len() != rows || last.len() != rows {
        return Err(PyValueError::new_err("bars must have columns of one length"));
    }
    Ok(first.into_iter().zip(last).map(|(first, last)| Span { first, last }).collect())
}

/// Columns of one type, by name.
fn columns<T: numpy::Element + Clone, const N: usize>(
    bars: &Bound<'_, PyAny>,
    names: [&str; N],
) -> PyResult<[Vec<T>; N]> {
    let read = |name: &str| -> PyResult<Vec<T>> {
        let column: PyReadonlyArray1<'_, T> = bars.getattr(name)?.extract()?;
        Ok(column.as_slice()?.to_vec())
    };
    let read = names.map(read).into_iter().collect::<PyResult<Vec<_>>>()?;
    read.try_into().map_err(|_| PyRuntimeError::new_err("as many columns as names"))
}

/// A table of sessions, `(n, 2)` int64, or `None`.
pub(crate) fn sessions(table: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Sessions>> {
    if table.is_none() {
        return Ok(None);
    }
    let rows: PyReadonlyArray2<'_, i64> = table.cast::<PyArray2<i64>>()?.readonly();
    let rows = rows.as_array();
    if rows.ncols() != 2 {
        return Err(PyValueError::new_err(format!("{name} must have 2 columns, had {}", rows.ncols())));
    }
    let rows: Vec<(i64, i64)> = rows.rows().into_iter().map(|row| (row[0], row[1])).collect();
    Sessions::new(&rows).map(Some).map_err(to_py)
}
