//! The PyO3 face of the kernel: columns in, columns out; no logic, no `unsafe`.
#![forbid(unsafe_code)]
#![allow(clippy::needless_pass_by_value, reason = "PyO3 extracts arguments by value, and map_err hands errors over so")]

mod batch;
mod candles;
mod columns;
mod encoder;
mod engine;
mod follower;
mod forming;
mod framer;
mod given;
mod indicators;
mod output;
mod resample;
mod rule;
mod whole;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickstockpl_kernel::error::KernelError;

/// A caller's fault is a `ValueError`; the kernel has no other.
fn to_py(error: KernelError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pymodule]
mod _kernel {
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyTuple};
    use tickstockpl_kernel::bar::quality;
    use tickstockpl_kernel::candle::talib;
    use tickstockpl_kernel::indicator::gauges::ALERTS;
    use tickstockpl_kernel::outcome::End;
    use tickstockpl_kernel::pattern::PATTERNS;
    use tickstockpl_kernel::rule::Value;
    use tickstockpl_kernel::tick::Reason;
    use tickstockpl_kernel::timeframe::Timeframe;

    #[pymodule_export]
    use super::batch::{aggregate, decode};
    #[pymodule_export]
    use super::candles::{CandlestickStream, candlesticks};
    #[pymodule_export]
    use super::columns::{Bars, Detections, Forming, LongerBars, Outcomes, Readings, Ticks};
    #[pymodule_export]
    use super::encoder::EventEncoder;
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::follower::Follower;
    #[pymodule_export]
    use super::framer::{Framer, Frames};
    #[pymodule_export]
    use super::indicators::{
        IndicatorStream, adx, atr, bollinger, directional, ema, macd, obv, pivots, rsi, sma, stochastic, volume_ratio,
        vwap,
    };
    #[pymodule_export]
    use super::output::{Output, event_id};
    #[pymodule_export]
    use super::resample::resample;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("REASONS", PyTuple::new(py, Reason::ALL.map(Reason::name))?)?;
        module.add("CANDLESTICKS", PyTuple::new(py, talib::CANDLESTICKS.map(|candlestick| candlestick.name))?)?;
        module.add("TIMEFRAMES", PyTuple::new(py, Timeframe::ALL.map(Timeframe::name))?)?;
        module.add("PanicException", py.get_type::<pyo3::panic::PanicException>())?;
        module.add("ENDS", PyTuple::new(py, End::NAMES)?)?;
        module.add("ALERTS", PyTuple::new(py, ALERTS)?)?;
        let values = PyDict::new(py);
        for value in Value::ALL {
            values.set_item(value.name(), value.bars_needed())?;
        }
        module.add("VALUES", values)?;
        module.add("PARTIAL_START", quality::PARTIAL_START)?;
        module.add("GAP", quality::GAP)?;
        module.add("PROVISIONAL", quality::PROVISIONAL)?;
        module.add("LATE_REVISED", quality::LATE_REVISED)?;
        module.add("HANDOVER", quality::HANDOVER)?;
        module.add("AMBIGUOUS", quality::AMBIGUOUS)?;
        module.add("REPAIRED", quality::REPAIRED)?;
        let entry = |pattern: &&dyn tickstockpl_kernel::pattern::Pattern| -> PyResult<_> {
            let dict = PyDict::new(py);
            dict.set_item("id", pattern.id())?;
            dict.set_item("name", pattern.name())?;
            dict.set_item("bars", pattern.bars_needed())?;
            dict.set_item("tier", pattern.tier())?;
            dict.set_item("longest", pattern.longest().name())?;
            let directions = pattern.directions().iter().map(|direction| direction.name());
            dict.set_item("directions", PyTuple::new(py, directions.collect::<Vec<_>>())?)?;
            dict.set_item("source", pattern.source())?;
            dict.set_item("talib_name", pattern.talib_name())?;
            dict.set_item("points", PyTuple::new(py, pattern.points())?)?;
            dict.set_item("conditions", PyTuple::new(py, pattern.conditions())?)?;
            dict.set_item("parameters", pattern.parameters())?;
            Ok(dict)
        };
        let patterns = PATTERNS.iter().map(entry).collect::<PyResult<Vec<_>>>()?;
        module.add("PATTERNS", PyTuple::new(py, patterns)?)
    }
}
