//! What a call of the engine made, as columns.

use std::hint::black_box;
use std::iter::repeat_n;
use std::ops::{BitXor, Range};
use std::sync::Arc;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use tickstockpl_kernel::detections::Detections as Found;
use tickstockpl_kernel::engine;
use tickstockpl_kernel::event::{EventIds, PARAMETERS};
use tickstockpl_kernel::indicator::gauges::Reading;
use tickstockpl_kernel::made::{Longer, Row};
use tickstockpl_kernel::offset::Span;
use tickstockpl_kernel::output;
use tickstockpl_kernel::pattern::PATTERNS;
use tickstockpl_kernel::rule::{MadeOf, Ruleset};
use tickstockpl_kernel::symbol::SymbolId;
use tickstockpl_kernel::timeframe::Timeframe;

use crate::columns::{Bars, Detections, IdText, LongerBars, Readings, Scanned, frozen};
use crate::to_py;
use crate::whole::{Whole, whole};

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Output {
    /// `None` stands for no rows: most calls close nothing, and forty empty arrays cost more than the call.
    bars: Option<Py<Bars>>,
    longer: Option<Py<LongerBars>>,
    detections: Option<Py<Detections>>,
    readings: Option<Py<Readings>>,
    /// First and last message of each bar.
    spans: Vec<Span>,
    #[pyo3(get)]
    ticks: u64,
    refused: Vec<output::Sample>,
    dead: Vec<output::Dead>,
    #[pyo3(get)]
    reached_us: Option<i64>,
    /// Symbol and pattern.
    broken: Vec<(String, &'static str)>,
    patterns: Py<PyTuple>,
    jumps: Vec<output::Jump>,
    /// Symbol, the minutes that may lack them, shares.
    short: Vec<(String, i64, i64, i64)>,
    channels: Arc<[String]>,
}

impl Output {
    pub(crate) fn new(
        py: Python<'_>,
        made: output::Output,
        engine: &engine::Engine,
        names: &mut Names,
        channels: &Arc<[String]>,
        patterns: &Py<PyTuple>,
    ) -> PyResult<Self> {
        let (mut closed, mut rolled, mut found, mut read) = (None, None, None, None);
        if !made.bars.is_empty() {
            let named = names.of(py, made.bars.iter().map(|(id, _)| *id), engine)?;
            closed = Some(Py::new(py, bars(py, &made.bars, named)?)?);
        }
        if !made.longer.is_empty() {
            let named = names.of(py, made.longer.iter().map(|(id, _)| *id), engine)?;
            rolled = Some(Py::new(py, longer(py, &made.longer, named)?)?);
        }
        if !made.detections.is_empty() {
            let named = names.of(py, made.detections.symbol.iter().copied(), engine)?;
            let ids = Ids { symbol: |id| engine.symbol_name(id), rules: engine.rules(), text: EventIds::default() };
            found = Some(Py::new(py, detections(py, made.detections, named, ids, patterns)?)?);
        }
        if !made.readings.is_empty() {
            let named = names.of(py, made.readings.iter().map(|(id, _)| *id), engine)?;
            read = Some(Py::new(py, readings(py, &made.readings, named)?)?);
        }
        let spans = made.bars.iter().map(|(_, row)| row.span).collect();
        let broken = made.broken.iter();
        let broken = broken.map(|&(id, at)| (engine.symbol_name(id).to_owned(), PATTERNS[usize::from(at)].id()));
        let short = made.short.iter();
        let short = short.map(|(id, lack)| (engine.symbol_name(*id).to_owned(), lack.from_us, lack.to_us, lack.volume));
        Ok(Self {
            broken: broken.collect(),
            jumps: made.jumps,
            short: short.collect(),
            spans,
            bars: closed,
            longer: rolled,
            detections: found,
            readings: read,
            ticks: made.ticks,
            refused: made.refused,
            dead: made.dead,
            reached_us: made.reached_us,
            channels: Arc::clone(channels),
            patterns: patterns.clone_ref(py),
        })
    }
}

#[pymethods]
impl Output {
    fn __bool__(&self) -> bool {
        self.bars.is_some()
            || self.longer.is_some()
            || self.detections.is_some()
            || self.readings.is_some()
            || !self.refused.is_empty()
            || !self.dead.is_empty()
            || !self.broken.is_empty()
            || !self.jumps.is_empty()
            || !self.short.is_empty()
    }

    #[getter]
    fn bars(&self, py: Python<'_>) -> PyResult<Py<Bars>> {
        self.bars.as_ref().map_or_else(|| Py::new(py, bars(py, &[], no_names(py))?), |rows| Ok(rows.clone_ref(py)))
    }

    #[getter]
    fn first_src(&self, py: Python<'_>) -> PyResult<Py<PyArray1<i64>>> {
        frozen(py, self.spans.iter().map(|span| span.first).collect())
    }

    #[getter]
    fn last_src(&self, py: Python<'_>) -> PyResult<Py<PyArray1<i64>>> {
        frozen(py, self.spans.iter().map(|span| span.last).collect())
    }

    #[getter]
    fn longer(&self, py: Python<'_>) -> PyResult<Py<LongerBars>> {
        self.longer.as_ref().map_or_else(|| Py::new(py, longer(py, &[], no_names(py))?), |rows| Ok(rows.clone_ref(py)))
    }

    #[getter]
    fn detections(&self, py: Python<'_>) -> PyResult<Py<Detections>> {
        let none = || {
            let rules = Ruleset::default();
            let ids = Ids { symbol: |_| "", rules: &rules, text: EventIds::default() };
            Py::new(py, detections(py, Found::default(), no_names(py), ids, &self.patterns)?)
        };
        self.detections.as_ref().map_or_else(none, |rows| Ok(rows.clone_ref(py)))
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
    fn broken(&self) -> Vec<(String, &'static str)> {
        self.broken.clone()
    }

    #[getter]
    fn jumps(&self) -> Vec<(&str, i64, i64, i64)> {
        let named = |jump: &output::Jump| self.channels[usize::from(jump.channel)].as_str();
        self.jumps.iter().map(|jump| (named(jump), jump.ticks, jump.from_us, jump.to_us)).collect()
    }

    #[getter]
    fn short(&self) -> Vec<(String, i64, i64, i64)> {
        self.short.clone()
    }

    #[getter]
    fn dead<'py>(&self, py: Python<'py>) -> Vec<(&str, &str, i64, Bound<'py, PyBytes>)> {
        let named = |dead: &output::Dead| self.channels[usize::from(dead.channel)].as_str();
        self.dead.iter().map(|dead| (&*dead.ticker, named(dead), dead.ts_us, PyBytes::new(py, &dead.bytes))).collect()
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
    pub(crate) fn of(
        &mut self,
        py: Python<'_>,
        rows: impl ExactSizeIterator<Item = SymbolId>,
        engine: &engine::Engine,
    ) -> PyResult<Named> {
        if self.renamed != engine.symbols_renamed() {
            self.renamed = engine.symbols_renamed();
            self.known.clear();
        }
        let mut ids: Vec<SymbolId> = Vec::new();
        let mut indices = Vec::with_capacity(rows.len());
        for id in rows {
            if id.index() >= self.place.len() {
                self.place.resize(id.index() + 1, ABSENT);
            }
            let place = &mut self.place[id.index()];
            if *place == ABSENT {
                *place = ids.len() as i32;
                ids.push(id);
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
pub(crate) type Named = (Py<PyTuple>, Vec<i32>);

fn no_names(py: Python<'_>) -> Named {
    (PyTuple::empty(py).unbind(), Vec::new())
}

/// Rows that are turned into columns at once: so many stay in the first cache while each column takes its own.
const BLOCK_ROWS: usize = 64;

/// Makes a column set of rows: a vector for each column, filled block by block of the rows.
///
/// Column by column, each would read all rows again: a minute's bars of a market are more than the second cache holds.
macro_rules! columns {
    ($py:ident, $rows:ident, $set:ident { $($column:ident: $read:expr,)* } $($given:ident: $array:expr),* $(,)?) => {{
        $(let mut $column = Vec::with_capacity($rows.len());)*
        for block in $rows.chunks(BLOCK_ROWS) {
            $($column.extend(block.iter().map($read));)*
        }
        Ok($set { $($column: frozen($py, $column)?,)* $($given: $array,)* })
    }};
}

fn bars(py: Python<'_>, rows: &[(SymbolId, Row)], (symbols, symbol): Named) -> PyResult<Bars> {
    columns! { py, rows, Bars {
        ts_us: |(_, row)| row.bar.ts_us,
        open: |(_, row)| row.bar.open,
        high: |(_, row)| row.bar.high,
        low: |(_, row)| row.bar.low,
        close: |(_, row)| row.bar.close,
        volume: |(_, row)| row.bar.volume,
        vwap: |(_, row)| row.bar.vwap,
        trades: |(_, row)| row.bar.trades,
        revision: |(_, row)| row.revision as i32,
        quality: |(_, row)| row.bar.quality,
        open_us: |(_, row)| row.bar.open_us,
        close_us: |(_, row)| row.bar.close_us,
    } symbols: symbols, symbol: frozen(py, symbol)? }
}

fn longer(py: Python<'_>, rows: &[(SymbolId, Longer)], (symbols, symbol): Named) -> PyResult<LongerBars> {
    columns! { py, rows, LongerBars {
        ts_us: |(_, row)| row.rolled.bar.ts_us,
        timeframe: |(_, row)| row.rolled.timeframe as u8,
        end_us: |(_, row)| row.rolled.end_us,
        open: |(_, row)| row.rolled.bar.open,
        high: |(_, row)| row.rolled.bar.high,
        low: |(_, row)| row.rolled.bar.low,
        close: |(_, row)| row.rolled.bar.close,
        volume: |(_, row)| row.rolled.bar.volume,
        vwap: |(_, row)| row.rolled.bar.vwap,
        trades: |(_, row)| row.rolled.bar.trades,
        revision: |(_, row)| row.revision as i32,
        quality: |(_, row)| row.rolled.bar.quality,
    } symbols: symbols, symbol: frozen(py, symbol)? }
}

#[pyfunction]
#[pyo3(signature = (symbol, ts_us, pattern_id, revision=0, timeframe="1min", *, parameters=None))]
pub(crate) fn event_id(
    symbol: &str,
    ts_us: i64,
    pattern_id: &str,
    revision: Whole,
    timeframe: &str,
    parameters: Option<&str>,
) -> PyResult<String> {
    let known = || PATTERNS.iter().find(|pattern| pattern.id() == pattern_id).map_or(PARAMETERS, |it| it.parameters());
    let parameters = parameters.unwrap_or_else(known);
    let timeframe = timeframe.parse().map_err(to_py)?;
    let revision = whole("revision", "at least 0 and below 2^32", revision)?;
    let id = EventIds::default().of(symbol, timeframe, ts_us, pattern_id, parameters, revision);
    Ok(IdText::from(id.text()).to_string())
}

/// Makes the ids of events in bulk.
struct Ids<'a, N> {
    /// The name of a symbol.
    symbol: N,
    /// The ids of patterns and rules.
    rules: &'a Ruleset,
    text: EventIds,
}

impl<'a, N: Fn(SymbolId) -> &'a str> Ids<'a, N> {
    /// The id of the event that `pattern` made, at this evaluation, of a bar of this timeframe that starts then.
    fn of(&mut self, symbol: SymbolId, timeframe: Timeframe, ts_us: i64, pattern: u16, revision: u32) -> IdText {
        let (id, parameters) = (self.rules.pattern_id(pattern), self.rules.parameters(pattern));
        IdText::from(self.text.of((self.symbol)(symbol), timeframe, ts_us, id, parameters, revision).text())
    }
}

/// The columns of what was found, with the ids of events.
fn detections<'a>(
    py: Python<'_>,
    found: Found,
    (symbols, symbol): Named,
    mut ids: Ids<'a, impl Fn(SymbolId) -> &'a str>,
    patterns: &Py<PyTuple>,
) -> PyResult<Detections> {
    // The names lie about in cold memory: read in a row their misses overlap, read one after another below they do not.
    let first = |symbol: &SymbolId| (ids.symbol)(*symbol).as_bytes().first().copied().unwrap_or(0);
    black_box(found.symbol.iter().map(first).fold(0, BitXor::bitxor));
    let supersedes = superseded_ids(py, &found, &mut ids)?;
    let rows =
        found.symbol.iter().zip(&found.timeframe).zip(&found.ts_us).zip(found.pattern.iter().zip(&found.revision));
    let event_id = rows.map(|(((&symbol, &timeframe), &ts_us), (&pattern, &revision))| {
        ids.of(symbol, timeframe_of(timeframe), ts_us, pattern as u16, revision as u32)
    });
    let event_id = frozen(py, event_id.collect())?;
    let member = || found.member.iter();
    let member_id = found
        .symbol
        .iter()
        .zip(&found.members.count)
        .flat_map(|(&symbol, &count)| repeat_n(symbol, usize::from(count)));
    let member_id = member_id.zip(member()).map(|(symbol, member)| {
        let &MadeOf { pattern, timeframe, ts_us, evaluation, .. } = member;
        let id = evaluation.map(|evaluation| ids.of(symbol, timeframe, ts_us, pattern, evaluation));
        id.unwrap_or_else(|| IdText::from([0; _]))
    });
    let member_id = frozen(py, member_id.collect())?;
    Ok(Detections {
        symbols,
        symbol: frozen(py, symbol)?,
        event_id,
        supersedes,
        member_pattern: frozen(py, member().map(|member| i32::from(member.pattern)).collect())?,
        member_direction: frozen(py, member().map(|member| member.direction as i8).collect())?,
        member_confidence: frozen(py, member().map(|member| member.confidence).collect())?,
        member_timeframe: frozen(py, member().map(|member| member.timeframe as u8).collect())?,
        member_us: frozen(py, member().map(|member| member.ts_us).collect())?,
        member_end_us: frozen(py, member().map(|member| member.end_us).collect())?,
        member_id,
        ts_us: frozen(py, found.ts_us)?,
        timeframe: frozen(py, found.timeframe)?,
        end_us: frozen(py, found.end_us)?,
        pattern: frozen(py, found.pattern)?,
        direction: frozen(py, found.direction)?,
        confidence: frozen(py, found.confidence)?,
        held: frozen(py, found.held)?,
        revision: frozen(py, found.revision)?,
        conflict: frozen(py, found.conflict)?,
        superseded_pattern: frozen(py, found.superseded_pattern)?,
        superseded_revision: frozen(py, found.superseded_revision)?,
        first_us: frozen(py, found.first_us)?,
        bars: frozen(py, found.bars)?,
        entry: frozen(py, found.entry)?,
        stop: frozen(py, found.stop)?,
        target: frozen(py, found.target)?,
        invalidation: frozen(py, found.invalidation)?,
        atr: frozen(py, found.atr)?,
        open: frozen(py, found.open)?,
        high: frozen(py, found.high)?,
        low: frozen(py, found.low)?,
        close: frozen(py, found.close)?,
        volume: frozen(py, found.volume)?,
        price_change: frozen(py, found.price_change)?,
        relative_volume: frozen(py, found.relative_volume)?,
        rsi: frozen(py, found.rsi)?,
        relative_strength: frozen(py, found.relative_strength)?,
        quality: frozen(py, found.quality)?,
        talib_value: frozen(py, found.talib_value)?,
        point_row: frozen(py, found.points.first)?,
        n_points: frozen(py, found.points.count)?,
        margin_row: frozen(py, found.margins.first)?,
        n_margins: frozen(py, found.margins.count)?,
        member_row: frozen(py, found.members.first)?,
        n_members: frozen(py, found.members.count)?,
        point_us: frozen(py, found.point_us)?,
        point_price: frozen(py, found.point_price)?,
        margin: frozen(py, found.margin)?,
        patterns: patterns.clone_ref(py),
        scanned: Scanned::unknown(),
    })
}

/// The ids of the events that rows replace.
fn superseded_ids<'a>(
    py: Python<'_>,
    found: &Found,
    ids: &mut Ids<'a, impl Fn(SymbolId) -> &'a str>,
) -> PyResult<Py<PyArray1<IdText>>> {
    // All but a few are NUL, and memory that comes zeroed need not be written.
    let column = PyArray1::zeros(py, found.len(), false);
    let mut cells = column.try_readwrite()?;
    for (at, cell) in cells.as_slice_mut()?.iter_mut().enumerate() {
        if let Ok(pattern) = u16::try_from(found.superseded_pattern[at]) {
            let (timeframe, revision) = (timeframe_of(found.timeframe[at]), found.superseded_revision[at] as u32);
            *cell = ids.of(found.symbol[at], timeframe, found.ts_us[at], pattern, revision);
        }
    }
    cells.make_nonwriteable();
    Ok(column.unbind())
}

fn timeframe_of(place: u8) -> Timeframe {
    Timeframe::ALL[usize::from(place)]
}

/// A pattern's id, the timeframe and the START of the bar on which it held, and the id of its event.
pub(crate) type Member<'py> = (Bound<'py, PyAny>, &'static str, i64, String);

fn readings(py: Python<'_>, rows: &[(SymbolId, Reading)], (symbols, symbol): Named) -> PyResult<Readings> {
    columns! { py, rows, Readings {
        ts_us: |(_, row)| row.bar.ts_us,
        close: |(_, row)| row.bar.close,
        alerts: |(_, row)| row.alerts,
        fresh: |(_, row)| row.fresh,
        sma: |(_, row)| row.values.sma,
        ema_12: |(_, row)| row.values.ema_12,
        ema_26: |(_, row)| row.values.ema_26,
        rsi: |(_, row)| row.values.rsi,
        macd: |(_, row)| row.values.macd,
        macd_signal: |(_, row)| row.values.macd_signal,
        macd_histogram: |(_, row)| row.values.macd_histogram,
        bollinger_upper: |(_, row)| row.values.bollinger_upper,
        bollinger_middle: |(_, row)| row.values.bollinger_middle,
        bollinger_lower: |(_, row)| row.values.bollinger_lower,
        atr: |(_, row)| row.values.atr,
        adx: |(_, row)| row.values.adx,
        plus_di: |(_, row)| row.values.plus_di,
        minus_di: |(_, row)| row.values.minus_di,
        obv: |(_, row)| row.values.obv,
        stochastic_k: |(_, row)| row.values.stochastic_k,
        stochastic_d: |(_, row)| row.values.stochastic_d,
        vwap: |(_, row)| row.values.vwap,
        vwap_sigma: |(_, row)| row.values.vwap_sigma,
        relative_volume: |(_, row)| row.values.relative_volume,
    } symbols: symbols, symbol: frozen(py, symbol)? }
}

/// A role, the START of a bar and a price at it.
pub(crate) type Point = (&'static str, i64, f64);

/// The points of a row, by columns that say where each row's begin and how many they are, and the points of all rows.
pub(crate) fn points_of(
    py: Python<'_>,
    row: isize,
    patterns: &Py<PyArray1<i32>>,
    (first, count): (&Py<PyArray1<i32>>, &Py<PyArray1<u8>>),
    (ts_us, prices): (&Py<PyArray1<i64>>, &Py<PyArray1<f64>>),
) -> PyResult<Vec<Point>> {
    let (place, range) = parts(py, row, patterns, first, count)?;
    let (ts_us, prices) = (ts_us.bind(py).readonly(), prices.bind(py).readonly());
    let (ts_us, prices) = (&ts_us.as_slice()?[range.clone()], &prices.as_slice()?[range]);
    // A rule has none.
    let names = PATTERNS.get(place).map_or(&[][..], |pattern| pattern.points()).iter();
    Ok(names.zip(ts_us).zip(prices).map(|((&name, &ts_us), &price)| (name, ts_us, price)).collect())
}

/// The pattern of a row, counted from the end if negative, and which of all points or margins are its own.
fn parts(
    py: Python<'_>,
    row: isize,
    patterns: &Py<PyArray1<i32>>,
    first: &Py<PyArray1<i32>>,
    count: &Py<PyArray1<u8>>,
) -> PyResult<(usize, Range<usize>)> {
    let patterns = patterns.bind(py).readonly();
    let patterns = patterns.as_slice()?;
    let rows = patterns.len();
    let at = if row < 0 { row.checked_add_unsigned(rows) } else { Some(row) };
    let at = at.and_then(|at| usize::try_from(at).ok()).filter(|&at| at < rows);
    let at = at.ok_or_else(|| PyIndexError::new_err(format!("there are {rows} rows, asked was {row}")))?;
    let first = first.bind(py).readonly().as_slice()?[at] as usize;
    let count = usize::from(count.bind(py).readonly().as_slice()?[at]);
    Ok((patterns[at] as usize, first..first + count))
}

impl Detections {
    /// The margin of each condition of a row.
    pub(crate) fn margins_of<'py>(&self, py: Python<'py>, row: isize) -> PyResult<Bound<'py, PyDict>> {
        let (place, range) = parts(py, row, &self.pattern, &self.margin_row, &self.n_margins)?;
        let margins = self.margin.bind(py).readonly();
        let dict = PyDict::new(py);
        let names = PATTERNS.get(place).map_or(&[][..], |pattern| pattern.conditions());
        for (name, margin) in names.iter().zip(&margins.as_slice()?[range]) {
            dict.set_item(name, margin)?;
        }
        Ok(dict)
    }

    /// A row's members; the event's id is empty where the pattern is off.
    pub(crate) fn members_of<'py>(&self, py: Python<'py>, row: isize) -> PyResult<Vec<Member<'py>>> {
        let (_, range) = parts(py, row, &self.pattern, &self.member_row, &self.n_members)?;
        let (pattern, ts_us) = (self.member_pattern.bind(py).readonly(), self.member_us.bind(py).readonly());
        let (timeframe, event_id) = (self.member_timeframe.bind(py).readonly(), self.member_id.bind(py).readonly());
        let (pattern, ts_us, event_id) = (pattern.as_slice()?, ts_us.as_slice()?, event_id.as_slice()?);
        let timeframe = timeframe.as_slice()?;
        let known = self.patterns.bind(py);
        let member = |at: usize| {
            let id = known.get_item(pattern[at] as usize)?.get_item("id")?;
            Ok((id, Timeframe::ALL[usize::from(timeframe[at])].name(), ts_us[at], event_id[at].to_string()))
        };
        range.map(member).collect()
    }
}
