//! Minutes to bars of a higher timeframe: columns in, columns out.

use numpy::{Element, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tickstockpl_kernel::resample::{self as kernel, Minutes};
use tickstockpl_kernel::timeframe::{Align, Grid, Timeframe};

use crate::columns::{Bars, frozen};
use crate::given::sessions;
use crate::to_py;

/// bars: an object with the columns of `Bars`, C-contiguous, read where they lie. Ids without names are bare.
#[pyfunction]
pub(crate) fn resample(
    py: Python<'_>,
    bars: &Bound<'_, PyAny>,
    timeframe: &str,
    sessions: &Bound<'_, PyAny>,
    days: &Bound<'_, PyAny>,
    align: &str,
    until_us: Option<i64>,
) -> PyResult<Bars> {
    let (timeframe, align): (Timeframe, Align) = (timeframe.parse().map_err(to_py)?, align.parse().map_err(to_py)?);
    let days = self::sessions(days, "days")?.unwrap_or_default();
    let sessions = self::sessions(sessions, "sessions")?.unwrap_or_else(|| days.clone());
    let grid = Grid::new(&sessions, days, align).map_err(to_py)?;

    let symbols = bars.getattr("symbols")?.extract::<Vec<String>>()?;
    let (symbol, quality) = (column::<i32>(bars, "symbol")?, column::<u8>(bars, "quality")?);
    let (whole, price) = (|name| column::<i64>(bars, name), |name| column::<f64>(bars, name));
    let (ts_us, volume, trades) = (whole("ts_us")?, whole("volume")?, whole("trades")?);
    let (open, high, low, close) = (price("open")?, price("high")?, price("low")?, price("close")?);
    let (open_us, close_us, vwap) = (whole("open_us")?, whole("close_us")?, price("vwap")?);
    let minutes = Minutes {
        symbol: symbol.as_slice()?,
        ts_us: ts_us.as_slice()?,
        prices: [open.as_slice()?, high.as_slice()?, low.as_slice()?, close.as_slice()?],
        volume: volume.as_slice()?,
        vwap: vwap.as_slice()?,
        trades: trades.as_slice()?,
        quality: quality.as_slice()?,
        open_us: open_us.as_slice()?,
        close_us: close_us.as_slice()?,
    };
    let names = if symbols.is_empty() { i32::MAX as usize } else { symbols.len() };
    if let Some(row) = minutes.symbol.iter().position(|&id| usize::try_from(id).is_ok_and(|id| id >= names)) {
        let id = minutes.symbol[row];
        return Err(PyValueError::new_err(format!("symbol must index symbols, row {row} is {id}")));
    }
    let made = py.detach(|| kernel::resample(&minutes, timeframe, &sessions, &grid, until_us)).map_err(to_py)?;
    let rows = made.len();
    let [open, high, low, close] = made.prices;
    Ok(Bars {
        symbols: PyTuple::new(py, symbols)?.unbind(),
        symbol: frozen(py, made.symbol)?,
        ts_us: frozen(py, made.ts_us)?,
        open: frozen(py, open)?,
        high: frozen(py, high)?,
        low: frozen(py, low)?,
        close: frozen(py, close)?,
        volume: frozen(py, made.volume)?,
        vwap: frozen(py, made.vwap)?,
        trades: frozen(py, made.trades)?,
        revision: frozen(py, vec![0; rows])?,
        quality: frozen(py, made.quality)?,
        open_us: frozen(py, made.open_us)?,
        close_us: frozen(py, made.close_us)?,
    })
}

fn column<'py, T: Element>(bars: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray1<'py, T>> {
    bars.getattr(name)?.extract()
}
