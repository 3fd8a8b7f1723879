//! The candlestick functions: columns of bars to columns of answers, and the same one bar a symbol at a time.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard};

use numpy::{AllowTypeChange, PyArray1, PyArray2, PyArrayLike1, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickstockpl_kernel::candle::talib::stream::CandlestickStream as Stream;
use tickstockpl_kernel::candle::talib::{COUNT, Hits, Prices, batch};
use tickstockpl_kernel::error::KernelError;

use crate::to_py;
use crate::whole::{Whole, symbols};

/// One row of values a wanted column; `columns` are indices into `CANDLESTICKS`.
#[pyfunction]
pub(crate) fn candlesticks<'py>(
    py: Python<'py>,
    open: PyReadonlyArray1<'py, f64>,
    high: PyReadonlyArray1<'py, f64>,
    low: PyReadonlyArray1<'py, f64>,
    close: PyReadonlyArray1<'py, f64>,
    columns: Vec<usize>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    let prices = [open.as_slice()?, high.as_slice()?, low.as_slice()?, close.as_slice()?];
    let rows = prices[0].len();
    let answers = PyArray2::<i32>::zeros(py, [columns.len(), rows], false);
    let mut writable = answers.readwrite();
    let cells = writable.as_slice_mut()?;
    py.detach(|| batch::fill(prices, &columns, cells)).map_err(to_py)?;
    Ok(answers)
}

type Column<'py> = PyArrayLike1<'py, f64, AllowTypeChange>;

/// The candlestick state of many symbols.
#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct CandlestickStream {
    stream: Mutex<Stream>,
}

impl CandlestickStream {
    fn new(stream: Stream) -> Self {
        Self { stream: Mutex::new(stream) }
    }

    fn lock(&self) -> PyResult<MutexGuard<'_, Stream>> {
        self.stream.lock().map_err(|_| PyRuntimeError::new_err("an earlier call panicked: the stream's state is lost"))
    }

    /// Has `call` write the hits of each symbol into a row of its own.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        columns: [&Column<'py>; 4],
        call: impl Fn(&mut Stream, Prices<'_>, &mut [Hits]) -> Result<(), KernelError> + Sync,
    ) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let columns = columns.map(|column| match column.as_slice() {
            Ok(cells) => Cow::Borrowed(cells),
            Err(_) => Cow::Owned(column.as_array().to_vec()),
        });
        let prices = columns.each_ref().map(|column| &**column);
        let symbols = self.lock()?.symbols();
        let answers = PyArray2::<i32>::zeros(py, [symbols, COUNT], false);
        let mut writable = answers.readwrite();
        let cells = writable.as_slice_mut()?;
        py.detach(|| {
            let mut found = vec![Hits::default(); symbols];
            call(&mut *self.lock()?, prices, &mut found).map_err(to_py)?;
            for (hits, row) in found.into_iter().zip(cells.chunks_exact_mut(COUNT)) {
                hits.values().for_each(|(column, value)| row[column] = value);
            }
            PyResult::Ok(())
        })?;
        Ok(answers)
    }
}

#[pymethods]
impl CandlestickStream {
    #[new]
    fn py_new(n_symbols: Whole) -> PyResult<Self> {
        Ok(Self::new(Stream::new(symbols(n_symbols)?)))
    }

    fn update<'py>(
        &self,
        py: Python<'py>,
        open: Column<'py>,
        high: Column<'py>,
        low: Column<'py>,
        close: Column<'py>,
    ) -> PyResult<Bound<'py, PyArray2<i32>>> {
        self.answer(py, [&open, &high, &low, &close], Stream::update)
    }

    fn peek<'py>(
        &self,
        py: Python<'py>,
        open: Column<'py>,
        high: Column<'py>,
        low: Column<'py>,
        close: Column<'py>,
    ) -> PyResult<Bound<'py, PyArray2<i32>>> {
        self.answer(py, [&open, &high, &low, &close], |stream, prices, found| stream.peek(prices, found))
    }

    fn update_one<'py>(
        &self,
        py: Python<'py>,
        symbol: Whole,
        open: f64,
        high: f64,
        low: f64,
        close: f64,
    ) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let mut stream = self.lock()?;
        let symbols = stream.symbols();
        let known = usize::try_from(symbol).ok().filter(|&symbol| symbol < symbols);
        let unknown = || PyIndexError::new_err(format!("symbol must be at least 0 and below {symbols}, was {symbol}"));
        let symbol = known.ok_or_else(unknown)?;
        let mut answers = [0; COUNT];
        for (column, value) in stream.update_one(symbol, [open, high, low, close]).map_err(to_py)?.values() {
            answers[column] = value;
        }
        Ok(PyArray1::from_slice(py, &answers))
    }

    fn copy(&self) -> PyResult<Self> {
        Ok(Self::new(self.lock()?.clone()))
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.lock().map(|stream| stream.snapshot()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn restore(snapshot: &[u8]) -> PyResult<Self> {
        Stream::restore(snapshot).map(Self::new).map_err(to_py)
    }

    #[getter]
    fn n_symbols(&self) -> PyResult<usize> {
        Ok(self.lock()?.symbols())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<CandlestickStream: {} symbols>", self.lock()?.symbols()))
    }
}
