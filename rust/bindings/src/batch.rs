//! The array functions: messages to columns, columns to bars.

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySequence, PyTuple};
use tickstockpl_kernel::batch;
use tickstockpl_kernel::tick::Reason;
use tickstockpl_kernel::ticks;

use crate::columns::{Bars, Ticks, frozen};
use crate::to_py;

#[pyfunction]
pub(crate) fn decode(py: Python<'_>, payloads: &Bound<'_, PyAny>) -> PyResult<Ticks> {
    // The tuple keeps the bytes alive and unchanged while the interpreter runs other threads.
    let payloads = payloads.cast::<PySequence>()?.to_tuple()?;
    let mut texts = Vec::with_capacity(payloads.len());
    for payload in payloads.iter_borrowed() {
        texts.push(<&[u8]>::extract(payload)?);
    }
    let decoded = py.detach(|| ticks::Ticks::read(&texts));
    let refused = PyDict::new(py);
    for (reason, count) in Reason::ALL.iter().zip(decoded.refused).filter(|(_, count)| *count > 0) {
        refused.set_item(reason.name(), count)?;
    }
    Ok(Ticks {
        symbols: PyTuple::new(py, decoded.symbols.names())?.unbind(),
        symbol: frozen(py, decoded.symbol)?,
        ts_us: frozen(py, decoded.ts_us)?,
        kind: frozen(py, decoded.kind)?,
        price: frozen(py, decoded.price)?,
        volume: frozen(py, decoded.volume)?,
        open: frozen(py, decoded.open)?,
        high: frozen(py, decoded.high)?,
        low: frozen(py, decoded.low)?,
        close: frozen(py, decoded.close)?,
        vwap: frozen(py, decoded.vwap)?,
        start_us: frozen(py, decoded.start_us)?,
        seq: frozen(py, decoded.seq)?,
        refused: refused.unbind(),
    })
}

#[pyfunction]
pub(crate) fn aggregate(
    py: Python<'_>,
    ts_us: PyReadonlyArray1<'_, i64>,
    price: PyReadonlyArray1<'_, f64>,
    size: PyReadonlyArray1<'_, i64>,
    symbol: Option<PyReadonlyArray1<'_, i32>>,
    interval_us: i64,
) -> PyResult<Bars> {
    let (ts_us, price, size) = (ts_us.as_slice()?, price.as_slice()?, size.as_slice()?);
    let symbol = symbol.as_ref().map(PyReadonlyArray1::as_slice).transpose()?;
    let bars = py.detach(|| batch::aggregate(ts_us, price, size, symbol, interval_us)).map_err(to_py)?;
    let columns = py.detach(|| Columns::new(&bars));
    Ok(Bars {
        symbols: PyTuple::empty(py).unbind(),
        symbol: frozen(py, columns.symbol)?,
        ts_us: frozen(py, columns.ts_us)?,
        open: frozen(py, columns.open)?,
        high: frozen(py, columns.high)?,
        low: frozen(py, columns.low)?,
        close: frozen(py, columns.close)?,
        volume: frozen(py, columns.volume)?,
        vwap: frozen(py, columns.vwap)?,
        trades: frozen(py, columns.trades)?,
        revision: frozen(py, vec![0; bars.len()])?,
        quality: frozen(py, vec![0; bars.len()])?,
        open_us: frozen(py, columns.open_us)?,
        close_us: frozen(py, columns.close_us)?,
    })
}

/// Bars column by column, made in one pass: their order is not that in which they lie.
struct Columns {
    symbol: Vec<i32>,
    ts_us: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<i64>,
    vwap: Vec<f64>,
    trades: Vec<i64>,
    open_us: Vec<i64>,
    close_us: Vec<i64>,
}

impl Columns {
    fn new(bars: &batch::Aggregates) -> Self {
        let rows = bars.len();
        let (whole, price) = (|| Vec::with_capacity(rows), || Vec::with_capacity(rows));
        let mut columns = Self {
            symbol: Vec::with_capacity(rows),
            ts_us: whole(),
            open: price(),
            high: price(),
            low: price(),
            close: price(),
            volume: whole(),
            vwap: price(),
            trades: whole(),
            open_us: whole(),
            close_us: whole(),
        };
        for bar in bars.iter() {
            columns.symbol.push(bar.symbol);
            columns.ts_us.push(bar.ts_us);
            columns.open.push(bar.open);
            columns.high.push(bar.high);
            columns.low.push(bar.low);
            columns.close.push(bar.close);
            columns.volume.push(bar.volume);
            columns.vwap.push(if bar.volume > 0 { bar.notional / bar.volume as f64 } else { f64::NAN });
            columns.trades.push(bar.trades);
            columns.open_us.push(bar.open_us);
            columns.close_us.push(bar.close_us);
        }
        columns
    }
}
