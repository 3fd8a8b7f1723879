//! The array functions: messages to columns, columns to bars.

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyTuple};
use tickstockpl_kernel::batch;
use tickstockpl_kernel::decode::Decoder;
use tickstockpl_kernel::symbol::Symbols;
use tickstockpl_kernel::tick::{Kind, Reason, Tick};

use crate::columns::{Bars, Ticks, frozen};
use crate::to_py;

#[derive(Default)]
struct Decoded {
    symbols: Symbols,
    symbol: Vec<i32>,
    ts_us: Vec<i64>,
    kind: Vec<u8>,
    price: Vec<f64>,
    volume: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    vwap: Vec<f64>,
    start_us: Vec<i64>,
    seq: Vec<i64>,
    refused: [u64; Reason::ALL.len()],
}

impl Decoded {
    fn reserve(&mut self, rows: usize) {
        self.symbol.reserve(rows);
        self.ts_us.reserve(rows);
        self.kind.reserve(rows);
        self.volume.reserve(rows);
        self.start_us.reserve(rows);
        self.seq.reserve(rows);
        for column in [&mut self.price, &mut self.open, &mut self.high, &mut self.low, &mut self.close, &mut self.vwap]
        {
            column.reserve(rows);
        }
    }

    fn push(&mut self, tick: &Tick<'_>) {
        // Without a cap only a ticker that is no UTF-8 has no id, and such a message is refused before.
        let Some(id) = self.symbols.intern(tick.ticker, usize::MAX) else {
            return;
        };
        let or_nan = |price: Option<f64>| price.unwrap_or(f64::NAN);
        self.symbol.push(id.0 as i32);
        self.ts_us.push(tick.ts_us);
        self.kind.push(match tick.kind {
            Kind::A => b'A',
            Kind::T => b'T',
            Kind::Q => b'Q',
        });
        self.price.push(tick.price);
        self.volume.push(tick.volume);
        self.open.push(or_nan(tick.open));
        self.high.push(or_nan(tick.high));
        self.low.push(or_nan(tick.low));
        self.close.push(or_nan(tick.close));
        self.vwap.push(or_nan(tick.vwap));
        self.start_us.push(tick.start_us.unwrap_or(-1));
        self.seq.push(tick.seq.unwrap_or(-1));
    }
}

#[pyfunction]
pub(crate) fn decode(py: Python<'_>, payloads: Vec<PyBackedBytes>) -> PyResult<Ticks> {
    let decoded = py.detach(|| {
        let mut decoded = Decoded::default();
        decoded.reserve(payloads.len());
        let mut decoder = Decoder::default();
        for payload in &payloads {
            decoder.decode(payload, |tick, _| match tick {
                Ok(tick) => decoded.push(&tick),
                Err(reason) => decoded.refused[reason as usize] += 1,
            });
        }
        decoded
    });
    let refused = PyDict::new(py);
    for (reason, count) in Reason::ALL.iter().zip(decoded.refused).filter(|(_, count)| *count > 0) {
        refused.set_item(reason.name(), count)?;
    }
    let symbols = decoded.symbols.ids().map(|id| decoded.symbols.name(id));
    Ok(Ticks {
        symbols: PyTuple::new(py, symbols.collect::<Vec<_>>())?.unbind(),
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
    let vwap = |bar: &batch::Aggregate| {
        if bar.volume > 0 { bar.notional / bar.volume as f64 } else { f64::NAN }
    };
    Ok(Bars {
        symbols: PyTuple::empty(py).unbind(),
        symbol: frozen(py, bars.iter().map(|bar| bar.symbol).collect())?,
        ts_us: frozen(py, bars.iter().map(|bar| bar.ts_us).collect())?,
        open: frozen(py, bars.iter().map(|bar| bar.open).collect())?,
        high: frozen(py, bars.iter().map(|bar| bar.high).collect())?,
        low: frozen(py, bars.iter().map(|bar| bar.low).collect())?,
        close: frozen(py, bars.iter().map(|bar| bar.close).collect())?,
        volume: frozen(py, bars.iter().map(|bar| bar.volume).collect())?,
        vwap: frozen(py, bars.iter().map(vwap).collect())?,
        trades: frozen(py, bars.iter().map(|bar| bar.trades).collect())?,
        revision: frozen(py, vec![0; bars.len()])?,
        quality: frozen(py, vec![0; bars.len()])?,
        open_us: frozen(py, bars.iter().map(|bar| bar.open_us).collect())?,
        close_us: frozen(py, bars.iter().map(|bar| bar.close_us).collect())?,
    })
}
