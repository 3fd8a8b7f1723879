//! What a call of the engine made, as columns.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tickstockpl_kernel::engine;
use tickstockpl_kernel::history::{Detail, Detection, Row};
use tickstockpl_kernel::symbol::SymbolId;

use crate::columns::{Bars, Detections, frozen};

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Output {
    /// `None` stands for no rows: most calls close nothing, and forty empty arrays cost more than the call.
    bars: Option<Py<Bars>>,
    detections: Option<Py<Detections>>,
    #[pyo3(get)]
    ticks: u64,
    refused: Vec<engine::Sample>,
    dead: Vec<engine::Dead>,
    channels: Arc<[String]>,
}

impl Output {
    pub(crate) fn new(
        py: Python<'_>,
        made: engine::Output,
        engine: &engine::Engine,
        channels: &Arc<[String]>,
    ) -> PyResult<Self> {
        let name = |id| engine.symbol_name(id);
        let closed = !made.bars.is_empty();
        let found = !made.detections.is_empty();
        Ok(Self {
            bars: closed.then(|| Py::new(py, bars(py, &made.bars, &name)?)).transpose()?,
            detections: found.then(|| Py::new(py, detections(py, &made.detections, &name)?)).transpose()?,
            ticks: made.ticks,
            refused: made.refused,
            dead: made.dead,
            channels: Arc::clone(channels),
        })
    }
}

#[pymethods]
impl Output {
    fn __bool__(&self) -> bool {
        self.bars.is_some() || self.detections.is_some() || !self.refused.is_empty() || !self.dead.is_empty()
    }

    #[getter]
    fn bars(&self, py: Python<'_>) -> PyResult<Py<Bars>> {
        self.bars.as_ref().map_or_else(|| Py::new(py, bars(py, &[], &|_| "")?), |rows| Ok(rows.clone_ref(py)))
    }

    #[getter]
    fn detections(&self, py: Python<'_>) -> PyResult<Py<Detections>> {
        self.detections
            .as_ref()
            .map_or_else(|| Py::new(py, detections(py, &[], &|_| "")?), |rows| Ok(rows.clone_ref(py)))
    }

    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> Vec<(&'static str, &str, Bound<'py, PyBytes>)> {
        let sample = |s: &engine::Sample| (s.reason, s.channel, PyBytes::new(py, &s.bytes));
        self.refused
            .iter()
            .map(sample)
            .map(|(why, at, raw)| (why, self.channels[usize::from(at)].as_str(), raw))
            .collect()
    }

    #[getter]
    fn dead<'py>(&self, py: Python<'py>) -> Vec<(&str, &str, i64, Bound<'py, PyBytes>)> {
        let row = |dead: &engine::Dead| (dead.channel, dead.ts_us, PyBytes::new(py, &dead.bytes));
        let named = |dead: &engine::Dead| self.channels[usize::from(dead.channel)].as_str();
        self.dead.iter().map(|dead| (&*dead.ticker, named(dead), row(dead).1, row(dead).2)).collect()
    }
}

/// The ticker of an id.
type Names<'a> = &'a dyn Fn(SymbolId) -> &'a str;

/// The names behind a column of ids, each once, and the column's indices into them.
fn named<T>(py: Python<'_>, rows: &[(SymbolId, T)], name: Names<'_>) -> PyResult<(Py<PyTuple>, Vec<i32>)> {
    let mut place: HashMap<SymbolId, i32> = HashMap::new();
    let mut names = Vec::new();
    let mut indices = Vec::with_capacity(rows.len());
    for (id, _) in rows {
        indices.push(*place.entry(*id).or_insert_with(|| {
            names.push(name(*id));
            names.len() as i32 - 1
        }));
    }
    Ok((PyTuple::new(py, names)?.unbind(), indices))
}

fn bars(py: Python<'_>, rows: &[(SymbolId, Row)], name: Names<'_>) -> PyResult<Bars> {
    let (symbols, symbol) = named(py, rows, name)?;
    Ok(Bars {
        symbols,
        symbol: frozen(py, symbol)?,
        ts_us: frozen(py, rows.iter().map(|(_, row)| row.bar.ts_us).collect())?,
        open: frozen(py, rows.iter().map(|(_, row)| row.bar.open).collect())?,
        high: frozen(py, rows.iter().map(|(_, row)| row.bar.high).collect())?,
        low: frozen(py, rows.iter().map(|(_, row)| row.bar.low).collect())?,
        close: frozen(py, rows.iter().map(|(_, row)| row.bar.close).collect())?,
        volume: frozen(py, rows.iter().map(|(_, row)| row.bar.volume).collect())?,
        vwap: frozen(py, rows.iter().map(|(_, row)| row.bar.vwap).collect())?,
        trades: frozen(py, rows.iter().map(|(_, row)| row.bar.trades).collect())?,
        revision: frozen(py, rows.iter().map(|(_, row)| row.revision as i32).collect())?,
        quality: frozen(py, rows.iter().map(|(_, row)| row.bar.quality).collect())?,
        open_us: frozen(py, rows.iter().map(|(_, row)| row.bar.open_us).collect())?,
        close_us: frozen(py, rows.iter().map(|(_, row)| row.bar.close_us).collect())?,
    })
}

fn detections(py: Python<'_>, rows: &[(SymbolId, Detection)], name: Names<'_>) -> PyResult<Detections> {
    let (symbols, symbol) = named(py, rows, name)?;
    let detail = |read: fn(&Detail) -> f64| {
        frozen(py, rows.iter().map(|(_, row)| row.detail.as_ref().map_or(f64::NAN, read)).collect())
    };
    let superseded =
        |read: fn((u16, u32)) -> i32| frozen(py, rows.iter().map(|(_, row)| row.supersedes.map_or(-1, read)).collect());
    Ok(Detections {
        symbols,
        symbol: frozen(py, symbol)?,
        ts_us: frozen(py, rows.iter().map(|(_, row)| row.bar.ts_us).collect())?,
        pattern: frozen(py, rows.iter().map(|(_, row)| i32::from(row.pattern)).collect())?,
        direction: frozen(py, rows.iter().map(|(_, row)| row.direction as i32).collect())?,
        confidence: detail(|detail| detail.matched.confidence)?,
        held: frozen(py, rows.iter().map(|(_, row)| row.held).collect())?,
        revision: frozen(py, rows.iter().map(|(_, row)| row.revision as i32).collect())?,
        superseded_pattern: superseded(|(pattern, _)| i32::from(pattern))?,
        superseded_revision: superseded(|(_, revision)| revision as i32)?,
        first_us: frozen(py, rows.iter().map(|(_, row)| row.detail.map_or(row.bar.ts_us, |d| d.first_us)).collect())?,
        bars: frozen(py, rows.iter().map(|(_, row)| row.detail.map_or(0, |d| i32::from(d.matched.bars))).collect())?,
        entry: detail(|detail| detail.matched.levels.entry)?,
        stop: detail(|detail| detail.matched.levels.stop.unwrap_or(f64::NAN))?,
        target: detail(|detail| detail.matched.levels.target.unwrap_or(f64::NAN))?,
        open: frozen(py, rows.iter().map(|(_, row)| row.bar.open).collect())?,
        high: frozen(py, rows.iter().map(|(_, row)| row.bar.high).collect())?,
        low: frozen(py, rows.iter().map(|(_, row)| row.bar.low).collect())?,
        close: frozen(py, rows.iter().map(|(_, row)| row.bar.close).collect())?,
        volume: frozen(py, rows.iter().map(|(_, row)| row.bar.volume).collect())?,
        price_change: detail(|detail| detail.price_change)?,
        relative_volume: detail(|detail| detail.relative_volume.unwrap_or(f64::NAN))?,
        quality: frozen(py, rows.iter().map(|(_, row)| row.detail.map_or(0, |d| d.quality)).collect())?,
    })
}
