//! Column sets: numpy arrays of one length, frozen, and the same as an Arrow stream.

use std::convert::Infallible;
use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, RecordBatchIterator,
    RecordBatchReader, StringArray, UInt8Array,
};
use arrow_schema::{Field, Schema};
use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyFixedString};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCapsule, PyDict, PyTuple};
use tickstockpl_kernel::event::EventId;

use crate::output::{Member, Point, points_of};

/// A column type that numpy and Arrow both have.
pub(crate) trait Cell: numpy::Element + Clone {
    fn arrow(cells: Vec<Self>) -> ArrayRef;
}

macro_rules! cell {
    ($($rust:ty => $arrow:ident),*) => {$(
        impl Cell for $rust {
            fn arrow(cells: Vec<Self>) -> ArrayRef {
                Arc::new($arrow::from(cells))
            }
        }
    )*};
}
/// An event's id in text, or all NUL for none.
pub(crate) type IdText = PyFixedString<{ EventId::TEXT_BYTES }>;

impl Cell for IdText {
    fn arrow(cells: Vec<Self>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(cells.iter().map(ToString::to_string)))
    }
}

cell!(i32 => Int32Array, i64 => Int64Array, f64 => Float64Array, u8 => UInt8Array, bool => BooleanArray);

/// One column's copy for Arrow, whose memory must not depend on Python's.
pub(crate) fn arrow_column<T: Cell>(py: Python<'_>, column: &Py<PyArray1<T>>) -> PyResult<ArrayRef> {
    Ok(T::arrow(column.bind(py).readonly().as_slice()?.to_vec()))
}

/// A read-only numpy array that takes the vector over.
pub(crate) fn frozen<T: numpy::Element>(py: Python<'_>, cells: Vec<T>) -> PyResult<Py<PyArray1<T>>> {
    let array = cells.into_pyarray(py);
    array.try_readwrite()?.make_nonwriteable();
    Ok(array.unbind())
}

/// The symbol column: names behind their ids, or bare ids where there are no names.
pub(crate) fn arrow_symbols(py: Python<'_>, ids: &Py<PyArray1<i32>>, names: &Py<PyTuple>) -> PyResult<ArrayRef> {
    let names: Vec<String> = names.bind(py).extract()?;
    let keys = Int32Array::from(ids.bind(py).readonly().as_slice()?.to_vec());
    if names.is_empty() {
        return Ok(Arc::new(keys));
    }
    let named = DictionaryArray::try_new(keys, Arc::new(StringArray::from(names))).map_err(fault)?;
    Ok(Arc::new(named))
}

/// A stream of one record batch, in the capsule of the Arrow PyCapsule interface.
pub(crate) fn arrow_stream<'py>(
    py: Python<'py>,
    columns: Vec<(&'static str, ArrayRef)>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let field = |(name, column): &(&'static str, ArrayRef)| Field::new(*name, column.data_type().clone(), false);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(fault)?;
    let reader: Box<dyn RecordBatchReader + Send> = Box::new(RecordBatchIterator::new([Ok(batch)], schema));
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), c"arrow_array_stream")
}

fn fault(error: arrow_schema::ArrowError) -> PyErr {
    PyRuntimeError::new_err(format!("arrow: {error}"))
}

/// Declares a frozen column set: the class, its length, `to_dict` and the Arrow stream.
macro_rules! column_set {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $cell:ty),* $(,)? } $($extra:ident: $extra_type:ty),* $(,)? $(; $($method:item)*)?) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "tickstockpl")]
        pub(crate) struct $name {
            #[pyo3(get)]
            pub(crate) symbols: Py<PyTuple>,
            #[pyo3(get)]
            pub(crate) symbol: Py<PyArray1<i32>>,
            $(#[pyo3(get)] pub(crate) $column: Py<PyArray1<$cell>>,)*
            $(#[pyo3(get)] pub(crate) $extra: $extra_type,)*
        }

        #[pymethods]
        impl $name {
            fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
                self.symbol.bind(py).len()
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                Ok(format!("<{}: {} rows>", stringify!($name), self.symbol.bind(py).len()?))
            }

            fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let dict = PyDict::new(py);
                dict.set_item("symbol", &self.symbol)?;
                $(dict.set_item(stringify!($column), &self.$column)?;)*
                Ok(dict)
            }

            #[pyo3(signature = (requested_schema=None))]
            fn __arrow_c_stream__<'py>(
                &self,
                py: Python<'py>,
                requested_schema: Option<Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyCapsule>> {
                // The interface lets a producer ignore a schema that it cannot cast to.
                drop(requested_schema);
                arrow_stream(py, vec![
                    ("symbol", arrow_symbols(py, &self.symbol, &self.symbols)?),
                    $((stringify!($column), arrow_column(py, &self.$column)?),)*
                ])
            }

            $($($method)*)?
        }
    };
}

column_set! {
    /// Decoded ticks.
    Ticks {
        ts_us: i64, kind: u8, price: f64, volume: i64, open: f64, high: f64, low: f64, close: f64, vwap: f64,
        start_us: i64, seq: i64,
    }
    refused: Py<PyDict>
}

column_set! {
    /// Bars, in closing order.
    Bars {
        ts_us: i64, open: f64, high: f64, low: f64, close: f64, volume: i64, vwap: f64, trades: i64, revision: i32,
        quality: u8, open_us: i64, close_us: i64,
    }
}

column_set! {
    /// Closed and revised bars of longer timeframes.
    LongerBars {
        ts_us: i64, timeframe: u8, end_us: i64, open: f64, high: f64, low: f64, close: f64, volume: i64, vwap: f64,
        trades: i64, revision: i32, quality: u8,
    }
}

/// The bars that were looked through, once somebody has said which: an object of Python's, or `None`.
pub(crate) struct Scanned(PyOnceLock<Py<PyAny>>);

impl Scanned {
    /// Nobody has said it yet.
    pub(crate) fn unknown() -> Self {
        Self(PyOnceLock::new())
    }
}

impl<'py> IntoPyObject<'py> for &Scanned {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Infallible> {
        let none = || py.None().into_bound(py);
        Ok(self.0.get(py).map_or_else(none, |bars| bars.bind(py).clone()))
    }
}

column_set! {
    /// Patterns that came and went.
    Detections {
        ts_us: i64, timeframe: u8, end_us: i64, pattern: i32, direction: i32, confidence: f64, held: bool, revision: i32,
        conflict: bool, superseded_pattern: i32, superseded_revision: i32, first_us: i64, bars: i32, entry: f64, stop: f64,
        target: f64, invalidation: f64, atr: f64, open: f64, high: f64, low: f64, close: f64, volume: i64, price_change: f64, relative_volume: f64,
        rsi: f64, relative_strength: f64, quality: u8, talib_value: i32, point_row: i32, n_points: u8,
        margin_row: i32, n_margins: u8, member_row: i32, n_members: u8, event_id: IdText, supersedes: IdText,
    }
    point_us: Py<PyArray1<i64>>,
    point_price: Py<PyArray1<f64>>,
    margin: Py<PyArray1<f64>>,
    member_pattern: Py<PyArray1<i32>>,
    member_direction: Py<PyArray1<i8>>,
    member_confidence: Py<PyArray1<f64>>,
    member_timeframe: Py<PyArray1<u8>>,
    member_us: Py<PyArray1<i64>>,
    member_end_us: Py<PyArray1<i64>>,
    member_id: Py<PyArray1<IdText>>,
    patterns: Py<PyTuple>,
    scanned: Scanned;

    #[pyo3(signature = (row, bars=None, *, timezone=None))]
    fn plot<'py>(
        this: &Bound<'py, Self>,
        row: isize,
        bars: Option<Bound<'py, PyAny>>,
        timezone: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let scanned = || this.get().scanned.0.get(py).map(|bars| bars.bind(py).clone());
        let bars = bars.or_else(scanned).ok_or_else(|| {
            PyValueError::new_err("only what scan has returned knows its bars: give them, as in plot(row, bars)")
        })?;
        let named = PyDict::new(py);
        if let Some(timezone) = timezone {
            named.set_item("timezone", timezone)?;
        }
        py.import("tickstockpl.drawing")?.call_method("plot", (this, row, bars), Some(&named))
    }

    fn _keep(&self, py: Python<'_>, bars: Py<PyAny>) {
        self.scanned.0.get_or_init(py, || bars);
    }

    fn points(&self, py: Python<'_>, row: isize) -> PyResult<Vec<Point>> {
        points_of(py, row, &self.pattern, (&self.point_row, &self.n_points), (&self.point_us, &self.point_price))
    }

    fn margins<'py>(&self, py: Python<'py>, row: isize) -> PyResult<Bound<'py, PyDict>> {
        self.margins_of(py, row)
    }

    fn members<'py>(&self, py: Python<'py>, row: isize) -> PyResult<Vec<Member<'py>>> {
        self.members_of(py, row)
    }
}

column_set! {
    /// Figures that have formed and that no close has confirmed yet.
    Forming {
        ts_us: i64, timeframe: u8, end_us: i64, pattern: i32, direction: i32, trigger: f64, slope: f64, stop: f64,
        target: f64, confidence: f64, close: f64, atr: f64, waited: i32, left: i32, point_row: i32, n_points: u8,
    }
    point_us: Py<PyArray1<i64>>,
    point_price: Py<PyArray1<f64>>,
    patterns: Py<PyTuple>;

    fn points(&self, py: Python<'_>, row: isize) -> PyResult<Vec<Point>> {
        points_of(py, row, &self.pattern, (&self.point_row, &self.n_points), (&self.point_us, &self.point_price))
    }
}

column_set! {
    /// What became of events.
    Outcomes {
        event_id: IdText, ts_us: i64, end: i32, at_us: i64, bars: i32, price: f64, result: i32, result_bars: i32,
    }
}

column_set! {
    /// The indicators of watched symbols at the close of a bar.
    Readings {
        ts_us: i64, close: f64, alerts: u8, fresh: bool,
        sma: f64, ema_12: f64, ema_26: f64, rsi: f64, macd: f64, macd_signal: f64, macd_histogram: f64,
        bollinger_upper: f64, bollinger_middle: f64, bollinger_lower: f64, atr: f64, adx: f64, plus_di: f64,
        minus_di: f64, obv: f64, stochastic_k: f64, stochastic_d: f64, vwap: f64, vwap_sigma: f64,
        relative_volume: f64,
    }
}
