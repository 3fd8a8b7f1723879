//! The indicators for Python: columns in, columns out.

use std::sync::{Mutex, MutexGuard};

use numpy::{IntoPyArray, PyReadonlyArray1, PyReadwriteArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tickstockpl_kernel::error::KernelError;
use tickstockpl_kernel::indicator::Seed;
use tickstockpl_kernel::indicator::adx::Adx;
use tickstockpl_kernel::indicator::atr::Atr;
use tickstockpl_kernel::indicator::bollinger::Bollinger;
use tickstockpl_kernel::indicator::ema::Ema;
use tickstockpl_kernel::indicator::macd::Macd;
use tickstockpl_kernel::indicator::obv::Obv;
use tickstockpl_kernel::indicator::pivots::{Kind, Pivots};
use tickstockpl_kernel::indicator::rsi::Rsi;
use tickstockpl_kernel::indicator::sma::Sma;
use tickstockpl_kernel::indicator::stochastic::Stochastic;
use tickstockpl_kernel::indicator::stream::{self, NAMES, Settings};
use tickstockpl_kernel::indicator::volume_ratio::VolumeRatio;
use tickstockpl_kernel::indicator::vwap::Vwap;

use crate::to_py;
use crate::whole::{Whole, period as period_of, symbols, whole};

type Given<'py> = PyReadonlyArray1<'py, f64>;
/// High, low and close.
type Bars<'py> = (Given<'py>, Given<'py>, Given<'py>);
/// Where the columns go: as many rows as columns, each as long as the series.
type Out<'py> = PyReadwriteArray2<'py, f64>;

fn seed_of(name: &str) -> PyResult<Seed> {
    match name {
        "sma" => Ok(Seed::Sma),
        "first" => Ok(Seed::First),
        _ => Err(PyValueError::new_err(format!("seed must be sma or first, was {name}"))),
    }
}

/// Their values, where they lie.
fn columns<'a>((high, low, close): &'a Bars<'_>) -> PyResult<[&'a [f64]; 3]> {
    Ok([high.as_slice()?, low.as_slice()?, close.as_slice()?])
}

/// Hands the rows of `out` to a kernel as its columns, with the interpreter released.
fn fill<const N: usize>(
    py: Python<'_>,
    mut out: Out<'_>,
    kernel: impl FnOnce([&mut [f64]; N]) -> Result<(), KernelError> + Send,
) -> PyResult<()> {
    let [columns, rows] = [out.shape()[0], out.shape()[1]];
    if columns != N {
        return Err(PyValueError::new_err(format!("out must have {N} rows, had {columns}")));
    }
    let mut rest = out.as_slice_mut()?;
    let columns = [(); N].map(|()| {
        let (column, after) = std::mem::take(&mut rest).split_at_mut(rows);
        rest = after;
        column
    });
    py.detach(|| kernel(columns)).map_err(to_py)
}

#[pyfunction]
pub(crate) fn sma(py: Python<'_>, values: Given<'_>, period: Whole, out: Out<'_>) -> PyResult<()> {
    let (x, kernel) = (values.as_slice()?, Sma::new(period_of("period", period)?).map_err(to_py)?);
    fill(py, out, |[means]| kernel.fill(x, means))
}

#[pyfunction]
pub(crate) fn ema(py: Python<'_>, values: Given<'_>, period: Whole, seed: &str, out: Out<'_>) -> PyResult<()> {
    let (x, kernel) = (values.as_slice()?, Ema::new(period_of("period", period)?, seed_of(seed)?).map_err(to_py)?);
    fill(py, out, |[averages]| kernel.fill(x, averages))
}

#[pyfunction]
pub(crate) fn rsi(py: Python<'_>, values: Given<'_>, period: Whole, seed: &str, out: Out<'_>) -> PyResult<()> {
    let (x, kernel) = (values.as_slice()?, Rsi::new(period_of("period", period)?, seed_of(seed)?).map_err(to_py)?);
    fill(py, out, |[index]| kernel.fill(x, index))
}

#[pyfunction]
pub(crate) fn macd(
    py: Python<'_>,
    values: Given<'_>,
    fast: Whole,
    slow: Whole,
    signal: Whole,
    seed: &str,
    out: Out<'_>,
) -> PyResult<()> {
    let [fast, slow] = [period_of("fast", fast)?, period_of("slow", slow)?];
    let kernel = Macd::new(fast, slow, period_of("signal", signal)?, seed_of(seed)?).map_err(to_py)?;
    let x = values.as_slice()?;
    fill(py, out, |lines| kernel.fill(x, lines))
}

#[pyfunction]
pub(crate) fn bollinger(
    py: Python<'_>,
    values: Given<'_>,
    period: Whole,
    deviations: f64,
    ddof: Whole,
    out: Out<'_>,
) -> PyResult<()> {
    let [period, ddof] = [period_of("period", period)?, whole("ddof", "0 or 1", ddof)?];
    let (x, kernel) = (values.as_slice()?, Bollinger::new(period, deviations, ddof).map_err(to_py)?);
    fill(py, out, |bands| kernel.fill(x, bands))
}

#[pyfunction]
pub(crate) fn atr(py: Python<'_>, bars: Bars<'_>, period: Whole, seed: &str, out: Out<'_>) -> PyResult<()> {
    let bars = columns(&bars)?;
    let kernel = Atr::new(period_of("period", period)?, seed_of(seed)?).map_err(to_py)?;
    fill(py, out, |[averages]| kernel.fill(bars, averages))
}

#[pyfunction]
pub(crate) fn adx(py: Python<'_>, bars: Bars<'_>, period: Whole, seed: &str, out: Out<'_>) -> PyResult<()> {
    let bars = columns(&bars)?;
    let kernel = Adx::new(period_of("period", period)?, seed_of(seed)?).map_err(to_py)?;
    fill(py, out, |[adx]| kernel.fill_adx(bars, adx))
}

#[pyfunction]
pub(crate) fn directional(py: Python<'_>, bars: Bars<'_>, period: Whole, seed: &str, out: Out<'_>) -> PyResult<()> {
    let bars = columns(&bars)?;
    let kernel = Adx::new(period_of("period", period)?, seed_of(seed)?).map_err(to_py)?;
    fill(py, out, |lines| kernel.fill(bars, lines))
}

#[pyfunction]
pub(crate) fn obv(py: Python<'_>, close: Given<'_>, volume: Given<'_>, out: Out<'_>) -> PyResult<()> {
    let (close, volume) = (close.as_slice()?, volume.as_slice()?);
    fill(py, out, |[balance]| Obv.fill(close, volume, balance))
}

#[pyfunction]
pub(crate) fn stochastic(
    py: Python<'_>,
    bars: Bars<'_>,
    k: Whole,
    slow_k: Whole,
    slow_d: Whole,
    out: Out<'_>,
) -> PyResult<()> {
    let bars = columns(&bars)?;
    let [k, slow_k, slow_d] = [period_of("k", k)?, period_of("slow_k", slow_k)?, period_of("slow_d", slow_d)?];
    let kernel = Stochastic::new(k, slow_k, slow_d).map_err(to_py)?;
    fill(py, out, |lines| kernel.fill(bars, lines))
}

#[pyfunction]
pub(crate) fn vwap(
    py: Python<'_>,
    bars: Bars<'_>,
    volume: Given<'_>,
    session: Option<PyReadonlyArray1<'_, i64>>,
    out: Out<'_>,
) -> PyResult<()> {
    let (bars, volume) = (columns(&bars)?, volume.as_slice()?);
    let session = session.as_ref().map(PyReadonlyArray1::as_slice).transpose()?;
    fill(py, out, |values| Vwap.fill(bars, volume, session, values))
}

#[pyfunction]
pub(crate) fn volume_ratio(py: Python<'_>, volume: Given<'_>, period: Whole, out: Out<'_>) -> PyResult<()> {
    let (x, kernel) = (volume.as_slice()?, VolumeRatio::new(period_of("period", period)?).map_err(to_py)?);
    fill(py, out, |[ratios]| kernel.fill(x, ratios))
}

#[pyfunction]
pub(crate) fn pivots(py: Python<'_>, bars: Bars<'_>, kind: &str, out: Out<'_>) -> PyResult<()> {
    let bars = columns(&bars)?;
    let kind = match kind {
        "standard" => Kind::Standard,
        "fibonacci" => Kind::Fibonacci,
        _ => return Err(PyValueError::new_err(format!("kind must be standard or fibonacci, was {kind}"))),
    };
    fill(py, out, |levels| Pivots::new(kind).fill(bars, levels))
}

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct IndicatorStream {
    inner: Mutex<stream::IndicatorStream>,
}

impl IndicatorStream {
    fn lock(&self) -> PyResult<MutexGuard<'_, stream::IndicatorStream>> {
        self.inner.lock().map_err(|_| PyRuntimeError::new_err("the stream panicked before"))
    }
}

#[pymethods]
impl IndicatorStream {
    #[new]
    #[pyo3(signature = (
        n_symbols, *, sma = 20, ema = (12, 26), rsi = 14, macd = (12, 26, 9), bollinger = (20, 2.0), atr = 14, adx = 14,
        stochastic = (14, 3, 3), seed = "sma", ddof = 0
    ))]
    #[allow(clippy::too_many_arguments, reason = "one keyword a setting")]
    fn new(
        n_symbols: Whole,
        sma: Whole,
        ema: (Whole, Whole),
        rsi: Whole,
        macd: (Whole, Whole, Whole),
        bollinger: (Whole, f64),
        atr: Whole,
        adx: Whole,
        stochastic: (Whole, Whole, Whole),
        seed: &str,
        ddof: Whole,
    ) -> PyResult<Self> {
        let seed = seed_of(seed)?;
        let three = |name, (a, b, c)| Ok::<_, PyErr>((period_of(name, a)?, period_of(name, b)?, period_of(name, c)?));
        let settings = Settings {
            sma: period_of("sma", sma)?,
            ema: (period_of("ema", ema.0)?, period_of("ema", ema.1)?),
            rsi: period_of("rsi", rsi)?,
            macd: three("macd", macd)?,
            bollinger: (period_of("bollinger", bollinger.0)?, bollinger.1),
            atr: period_of("atr", atr)?,
            adx: period_of("adx", adx)?,
            stochastic: three("stochastic", stochastic)?,
            seed,
            ddof: whole("ddof", "0 or 1", ddof)?,
        };
        let stream = stream::IndicatorStream::new(symbols(n_symbols)?, settings).map_err(to_py)?;
        Ok(Self { inner: Mutex::new(stream) })
    }

    fn update<'py>(
        &self,
        py: Python<'py>,
        open: Given<'py>,
        high: Given<'py>,
        low: Given<'py>,
        close: Given<'py>,
        volume: Given<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let columns = [open.as_slice()?, high.as_slice()?, low.as_slice()?, close.as_slice()?, volume.as_slice()?];
        let made = py.detach(|| self.lock()?.update(columns).map_err(to_py))?;
        let dict = PyDict::new(py);
        for (name, column) in NAMES.into_iter().zip(made) {
            dict.set_item(name, column.into_pyarray(py))?;
        }
        Ok(dict)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| Ok::<_, PyErr>(self.lock()?.snapshot()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn restore(&self, py: Python<'_>, snapshot: &[u8]) -> PyResult<()> {
        py.detach(|| self.lock()?.restore(snapshot).map_err(to_py))
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.lock()?.symbols())
    }
}
