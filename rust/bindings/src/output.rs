//! What a call of the engine made, as columns.

use std::hint::black_box;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use tickstockpl_kernel::detection::{Detail, Detection};
use tickstockpl_kernel::engine;
use tickstockpl_kernel::event::{EventId, EventIds};
use tickstockpl_kernel::history::Row;
use tickstockpl_kernel::indicator::gauges::Reading;
use tickstockpl_kernel::indicator::live::Values;
use tickstockpl_kernel::output;
use tickstockpl_kernel::pattern::PATTERNS;
use tickstockpl_kernel::symbol::SymbolId;
use tickstockpl_kernel::window::WindowBar;

use crate::columns::{Bars, Detections, IdText, Readings, frozen};
use crate::whole::{Whole, whole};

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Output {
    /// `None` stands for no rows: most calls close nothing, and forty empty arrays cost more than the call.
    bars: Option<Py<Bars>>,
    detections: Option<Py<Detections>>,
    readings: Option<Py<Readings>>,
    #[pyo3(get)]
    ticks: u64,
    refused: Vec<output::Sample>,
    dead: Vec<output::Dead>,
    channels: Arc<[String]>,
}

impl Output {
    pub(crate) fn new(
        py: Python<'_>,
        made: output::Output,
        engine: &engine::Engine,
        names: &mut Names,
        channels: &Arc<[String]>,
    ) -> PyResult<Self> {
        let (mut closed, mut found, mut read) = (None, None, None);
        if !made.bars.is_empty() {
            let named = names.of(py, &made.bars, engine)?;
            closed = Some(Py::new(py, bars(py, &made.bars, named)?)?);
        }
        if !made.detections.is_empty() {
            let named = names.of(py, &made.detections, engine)?;
            let ids = event_ids(&made.detections, engine);
            found = Some(Py::new(py, detections(py, &made.detections, named, ids)?)?);
        }
        if !made.readings.is_empty() {
            let named = names.of(py, &made.readings, engine)?;
            read = Some(Py::new(py, readings(py, &made.readings, named)?)?);
        }
        Ok(Self {
            bars: closed,
            detections: found,
            readings: read,
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
        self.bars.is_some()
            || self.detections.is_some()
            || self.readings.is_some()
            || !self.refused.is_empty()
            || !self.dead.is_empty()
    }

    #[getter]
    fn bars(&self, py: Python<'_>) -> PyResult<Py<Bars>> {
        self.bars.as_ref().map_or_else(|| Py::new(py, bars(py, &[], no_names(py))?), |rows| Ok(rows.clone_ref(py)))
    }

    #[getter]
    fn detections(&self, py: Python<'_>) -> PyResult<Py<Detections>> {
        self.detections.as_ref().map_or_else(
            || Py::new(py, detections(py, &[], no_names(py), <_>::default())?),
            |rows| Ok(rows.clone_ref(py)),
        )
    }

    #[getter]
    fn readings(&self, py: Python<'_>) -> PyResult<Py<Readings>> {
        self.readings
            .as_ref()
            .map_or_else(|| Py::new(py, readings(py, &[], no_names(py))?), |rows| Ok(rows.clone_ref(py)))
    }

    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> Vec<(&'static str, &str, Bound<'py, PyBytes>)> {
        let sample = |s: &output::Sample| (s.reason, s.channel, PyBytes::new(py, &s.bytes));
        self.refused
            .iter()
            .map(sample)
            .map(|(why, at, raw)| (why, self.channels[usize::from(at)].as_str(), raw))
            .collect()
    }

    #[getter]
    fn dead<'py>(&self, py: Python<'py>) -> Vec<(&str, &str, i64, Bound<'py, PyBytes>)> {
        let row = |dead: &output::Dead| (dead.channel, dead.ts_us, PyBytes::new(py, &dead.bytes));
        let named = |dead: &output::Dead| self.channels[usize::from(dead.channel)].as_str();
        self.dead.iter().map(|dead| (&*dead.ticker, named(dead), row(dead).1, row(dead).2)).collect()
    }
}

/// Names as Python's strings, each made once: a minute's close names every symbol.
#[derive(Default)]
pub(crate) struct Names {
    known: Vec<Option<Py<PyString>>>,
    /// Where a symbol stands in the output that is being made; `ABSENT` between outputs.
    place: Vec<i32>,
    renamed: u64,
}

const ABSENT: i32 = -1;

impl Names {
    /// The names behind a column of ids, each once, and the column's indices into them.
    fn of<T>(&mut self, py: Python<'_>, rows: &[(SymbolId, T)], engine: &engine::Engine) -> PyResult<Named> {
        if self.renamed != engine.symbols_renamed() {
            self.renamed = engine.symbols_renamed();
            self.known.clear();
        }
        let mut ids: Vec<SymbolId> = Vec::new();
        let mut indices = Vec::with_capacity(rows.len());
        for (id, _) in rows {
            if id.index() >= self.place.len() {
                self.place.resize(id.index() + 1, ABSENT);
            }
            let place = &mut self.place[id.index()];
            if *place == ABSENT {
                *place = ids.len() as i32;
                ids.push(*id);
            }
            indices.push(*place);
        }
        self.known.resize_with(self.known.len().max(self.place.len()), || None);
        let names = ids.iter().map(|id| {
            self.place[id.index()] = ABSENT;
            let made = || PyString::new(py, engine.symbol_name(*id)).unbind();
            self.known[id.index()].get_or_insert_with(made).clone_ref(py)
        });
        Ok((PyTuple::new(py, names.collect::<Vec<_>>())?.unbind(), indices))
    }
}

/// A column set's symbols: their names, and each row's index into them.
type Named = (Py<PyTuple>, Vec<i32>);

fn no_names(py: Python<'_>) -> Named {
    (PyTuple::empty(py).unbind(), Vec::new())
}

fn bars(py: Python<'_>, rows: &[(SymbolId, Row)], (symbols, symbol): Named) -> PyResult<Bars> {
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

#[pyfunction]
#[pyo3(signature = (symbol, ts_us, pattern_id, revision=0))]
pub(crate) fn event_id(symbol: &str, ts_us: i64, pattern_id: &str, revision: Whole) -> PyResult<String> {
    let revision = whole("revision", "at least 0 and below 2^32", revision)?;
    Ok(IdText::from(EventIds::default().of(symbol, ts_us, pattern_id, revision).text()).to_string())
}

/// The ids of rows' events, and of those that they replace.
fn event_ids(rows: &[(SymbolId, Detection)], engine: &engine::Engine) -> (Vec<IdText>, Vec<IdText>) {
    let names: Vec<&str> = rows.iter().map(|(symbol, _)| engine.symbol_name(*symbol)).collect();
    // The names lie about in cold memory: read in a row their misses overlap, read one after another below they do not.
    black_box(names.iter().fold(0, |sum, name| sum ^ name.as_bytes().first().copied().unwrap_or(0)));
    let mut ids = EventIds::default();
    let mut id = |name, bar: &WindowBar, pattern: u16, revision| {
        IdText::from(ids.of(name, bar.ts_us, PATTERNS[usize::from(pattern)].id(), revision).text())
    };
    let none = IdText::from([0; EventId::TEXT_BYTES]);
    let pairs = rows.iter().zip(names).map(|((_, row), name)| {
        let replaced = row.supersedes.map_or(none, |(pattern, revision)| id(name, &row.bar, pattern, revision));
        (id(name, &row.bar, row.pattern, row.revision), replaced)
    });
    pairs.unzip()
}

fn detections(
    py: Python<'_>,
    rows: &[(SymbolId, Detection)],
    (symbols, symbol): Named,
    (event_id, supersedes): (Vec<IdText>, Vec<IdText>),
) -> PyResult<Detections> {
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
        rsi: detail(|detail| detail.rsi.unwrap_or(f64::NAN))?,
        relative_strength: detail(|detail| detail.relative_strength.unwrap_or(f64::NAN))?,
        quality: frozen(py, rows.iter().map(|(_, row)| row.detail.map_or(0, |d| d.quality)).collect())?,
        talib_value: frozen(py, rows.iter().map(|(_, row)| row.detail.map_or(0, |d| d.matched.talib_value)).collect())?,
        event_id: frozen(py, event_id)?,
        supersedes: frozen(py, supersedes)?,
    })
}

fn readings(py: Python<'_>, rows: &[(SymbolId, Reading)], (symbols, symbol): Named) -> PyResult<Readings> {
    let value = |read: fn(&Values) -> f64| frozen(py, rows.iter().map(|(_, row)| read(&row.values)).collect());
    Ok(Readings {
        symbols,
        symbol: frozen(py, symbol)?,
        ts_us: frozen(py, rows.iter().map(|(_, row)| row.bar.ts_us).collect())?,
        close: frozen(py, rows.iter().map(|(_, row)| row.bar.close).collect())?,
        alerts: frozen(py, rows.iter().map(|(_, row)| row.alerts).collect())?,
        fresh: frozen(py, rows.iter().map(|(_, row)| row.fresh).collect())?,
        sma: value(|values| values.sma)?,
        ema_12: value(|values| values.ema_12)?,
        ema_26: value(|values| values.ema_26)?,
        rsi: value(|values| values.rsi)?,
        macd: value(|values| values.macd)?,
        macd_signal: value(|values| values.macd_signal)?,
        macd_histogram: value(|values| values.macd_histogram)?,
        bollinger_upper: value(|values| values.bollinger_upper)?,
        bollinger_middle: value(|values| values.bollinger_middle)?,
        bollinger_lower: value(|values| values.bollinger_lower)?,
        atr: value(|values| values.atr)?,
        adx: value(|values| values.adx)?,
        plus_di: value(|values| values.plus_di)?,
        minus_di: value(|values| values.minus_di)?,
        obv: value(|values| values.obv)?,
        stochastic_k: value(|values| values.stochastic_k)?,
        stochastic_d: value(|values| values.stochastic_d)?,
        vwap: value(|values| values.vwap)?,
        vwap_sigma: value(|values| values.vwap_sigma)?,
        relative_volume: value(|values| values.relative_volume)?,
    })
}
