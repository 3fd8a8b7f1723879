//! Events as JSON texts: columns in, a text for each wanted row out.

use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tickstockpl_kernel::copy::Copy;
use tickstockpl_kernel::encode::{Encoder, Event, Member, Naming, Rates, push_publish, quoted};

use tickstockpl_kernel::timeframe::Timeframe;

use crate::columns::IdText;

/// Of a message there is room for so much: more is seldom, and moved.
const MESSAGE_BYTES: usize = 1280;

/// Declares the columns of events, and the cells of one row of them.
macro_rules! event_columns {
    ($($column:ident: $cell:ty),* $(,)?) => {
        /// Any object that has them as attributes, such as `EventColumns` of the module `events`.
        #[derive(FromPyObject)]
        pub(crate) struct Columns<'py> {
            #[pyo3(attribute)]
            symbols: Bound<'py, PyAny>,
            #[pyo3(attribute)]
            point_us: PyReadonlyArray1<'py, i64>,
            #[pyo3(attribute)]
            point_price: PyReadonlyArray1<'py, f64>,
            #[pyo3(attribute)]
            margin: PyReadonlyArray1<'py, f64>,
            #[pyo3(attribute)]
            member_pattern: PyReadonlyArray1<'py, i32>,
            #[pyo3(attribute)]
            member_direction: PyReadonlyArray1<'py, i8>,
            #[pyo3(attribute)]
            member_confidence: PyReadonlyArray1<'py, f64>,
            #[pyo3(attribute)]
            member_timeframe: PyReadonlyArray1<'py, u8>,
            #[pyo3(attribute)]
            member_us: PyReadonlyArray1<'py, i64>,
            #[pyo3(attribute)]
            member_end_us: PyReadonlyArray1<'py, i64>,
            #[pyo3(attribute)]
            member_id: PyReadonlyArray1<'py, IdText>,
            #[pyo3(attribute)]
            hit_lo: PyReadonlyArray1<'py, f64>,
            #[pyo3(attribute)]
            hit_hi: PyReadonlyArray1<'py, f64>,
            #[pyo3(attribute)]
            n: PyReadonlyArray1<'py, i32>,
            #[pyo3(attribute)]
            base_rate: PyReadonlyArray1<'py, f64>,
            #[pyo3(attribute)]
            edge: PyReadonlyArray1<'py, i8>,
            #[pyo3(attribute)]
            match_quality: PyReadonlyArray1<'py, f64>,
            $(#[pyo3(attribute)] $column: PyReadonlyArray1<'py, $cell>,)*
        }

        struct Cells {
            $($column: $cell,)*
        }

        impl Columns<'_> {
            /// `None` if a column has no such row.
            fn cells(&self, row: usize) -> Option<Cells> {
                Some(Cells { $($column: *self.$column.get(row)?,)* })
            }
        }
    };
}
event_columns! {
    symbol: i32, ts_us: i64, timeframe: u8, end_us: i64, pattern: i32, direction: i32, confidence: f64, revision: i32, event_id: IdText,
    supersedes: IdText, first_us: i64, bars: i32, entry: f64, stop: f64, target: f64, open: f64, high: f64, low: f64,
    close: f64, volume: i64, price_change: f64, relative_volume: f64, rsi: f64, relative_strength: f64, quality: u8,
    talib_value: i32, invalidation: f64, point_row: i32, n_points: u8, margin_row: i32, n_margins: u8,
    member_row: i32, n_members: u8,
    hit_rate: f64, muted: u8, conflict: bool, atr: f64,
}

/// A bit of the column `muted`: the event's pattern is switched off.
const SWITCHED_OFF: u8 = 1;

impl Columns<'_> {
    /// What was measured of the like of a row with this hit rate; `None` if a column has no such row.
    fn rates(&self, row: usize, hit_rate: f64) -> Option<Rates> {
        if hit_rate.is_nan() {
            // most runs have no table, and six more columns would be read for nothing
            return Some(Rates::UNKNOWN);
        }
        Some(Rates {
            hit_rate,
            interval: [*self.hit_lo.get(row)?, *self.hit_hi.get(row)?],
            n: *self.n.get(row)?,
            base_rate: *self.base_rate.get(row)?,
            edge: *self.edge.get(row)?,
            match_quality: *self.match_quality.get(row)?,
        })
    }
}

#[derive(FromPyObject)]
struct Pattern {
    #[pyo3(item)]
    id: String,
    #[pyo3(item)]
    name: String,
    #[pyo3(item)]
    tier: String,
    #[pyo3(item)]
    talib_name: Option<String>,
    #[pyo3(item)]
    points: Vec<String>,
    #[pyo3(item)]
    conditions: Vec<String>,
}

/// Writes the events of a list of patterns.
#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct EventEncoder {
    patterns: Vec<Naming>,
}

type Rows<'py> = PyReadonlyArray1<'py, i64>;

impl EventEncoder {
    /// What `write` makes of each of the rows, in their order. With the GIL: the symbols are Python's texts, and a
    /// hundred rows take a tenth of a millisecond.
    fn each<T>(
        &self,
        columns: &Columns<'_>,
        rows: &Rows<'_>,
        mut write: impl FnMut(&mut Encoder, &Event<'_>) -> PyResult<T>,
    ) -> PyResult<Vec<T>> {
        let mut encoder = Encoder::default();
        let (point_us, point_price) = (columns.point_us.as_slice()?, columns.point_price.as_slice()?);
        let margin = columns.margin.as_slice()?;
        let text = |row: &i64| {
            let found = usize::try_from(*row).ok().and_then(|row| {
                let cells = columns.cells(row)?;
                let rates = columns.rates(row, cells.hit_rate)?;
                Some((cells, rates))
            });
            let (cells, rates) = found.ok_or_else(|| PyIndexError::new_err(format!("there is no row {row}")))?;
            let members = self.members(columns, &cells)?;
            let symbol = columns.symbols.get_item(cells.symbol)?.cast_into::<PyString>()?;
            let event = Event {
                symbol: symbol.to_str()?,
                pattern: self.pattern(cells.pattern)?,
                event_id: text_of(&cells.event_id)?,
                supersedes: text_of(&cells.supersedes)?,
                timeframe: timeframe(cells.timeframe)?,
                ts_us: cells.ts_us,
                end_us: cells.end_us,
                first_us: cells.first_us,
                bars: cells.bars,
                revision: cells.revision,
                direction: cells.direction,
                confidence: cells.confidence,
                atr: cells.atr,
                conflict: cells.conflict,
                levels: [cells.entry, cells.stop, cells.target, cells.invalidation],
                point_us: part(point_us, cells.point_row, cells.n_points)?,
                point_price: part(point_price, cells.point_row, cells.n_points)?,
                margins: part(margin, cells.margin_row, cells.n_margins)?,
                members: &members,
                prices: [cells.open, cells.high, cells.low, cells.close],
                volume: cells.volume,
                price_change: cells.price_change,
                indicators: [cells.relative_volume, cells.rsi, cells.relative_strength],
                quality: cells.quality,
                talib_value: cells.talib_value,
                rates,
                shown: cells.muted & SWITCHED_OFF == 0,
            };
            write(&mut encoder, &event)
        };
        rows.as_slice()?.iter().map(text).collect()
    }

    fn pattern(&self, place: i32) -> PyResult<&Naming> {
        let found = usize::try_from(place).ok().and_then(|at| self.patterns.get(at));
        found.ok_or_else(|| PyIndexError::new_err(format!("there is no pattern {place}")))
    }

    /// What the rule, or the agreement, of a row was made of.
    fn members<'a>(&'a self, columns: &'a Columns<'_>, cells: &Cells) -> PyResult<Vec<Member<'a>>> {
        let (row, count) = (cells.member_row, cells.n_members);
        let places = part(columns.member_pattern.as_slice()?, row, count)?;
        let directions = part(columns.member_direction.as_slice()?, row, count)?;
        let confidences = part(columns.member_confidence.as_slice()?, row, count)?;
        let timeframes = part(columns.member_timeframe.as_slice()?, row, count)?;
        let starts = part(columns.member_us.as_slice()?, row, count)?;
        let ends = part(columns.member_end_us.as_slice()?, row, count)?;
        let ids = part(columns.member_id.as_slice()?, row, count)?;
        let member = |at: usize| {
            Ok(Member {
                pattern: self.pattern(places[at])?,
                direction: i32::from(directions[at]),
                confidence: confidences[at],
                timeframe: timeframe(timeframes[at])?,
                ts_us: starts[at],
                end_us: ends[at],
                event_id: text_of(&ids[at])?,
            })
        };
        (0..places.len()).map(member).collect()
    }

    /// Commands that publish on `channel` what `message` says of each of the rows; the first one's number is `seq`.
    fn published<'py>(
        &self,
        py: Python<'py>,
        columns: &Columns<'py>,
        rows: &Rows<'py>,
        channel: &str,
        seq: u64,
        message: impl for<'a> Fn(&'a mut Encoder, &Event<'_>, u64) -> &'a [u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut commands = Vec::with_capacity(rows.len()? * MESSAGE_BYTES);
        let mut numbers = seq..;
        self.each(columns, rows, |encoder, event| {
            let seq = numbers.next().unwrap_or(u64::MAX);
            push_publish(&mut commands, channel, message(encoder, event, seq));
            Ok(())
        })?;
        Ok(PyBytes::new(py, &commands))
    }
}

#[pymethods]
impl EventEncoder {
    #[new]
    fn py_new(patterns: Vec<Pattern>) -> Self {
        let name = |each: &Pattern| {
            let naming = Naming::new(&each.id, &each.name, &each.tier, each.talib_name.as_deref());
            naming.explained(&each.points, &each.conditions)
        };
        Self { patterns: patterns.iter().map(name).collect() }
    }

    fn universal<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        rows: Rows<'py>,
        channel: &str,
        lifetime_us: i64,
        seq: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.published(py, &columns, &rows, channel, seq, |encoder, event, seq| {
            encoder.universal(event, lifetime_us, seq)
        })
    }

    fn streaming<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        rows: Rows<'py>,
        channel: &str,
        session_id: &str,
        seq: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let session_id = quoted(session_id);
        self.published(py, &columns, &rows, channel, seq, |encoder, event, seq| {
            encoder.streaming(event, &session_id, seq)
        })
    }

    fn cached<'py>(
        &self,
        py: Python<'py>,
        columns: Columns<'py>,
        rows: Rows<'py>,
        lifetime_us: i64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        self.each(&columns, &rows, |encoder, event| Ok(PyBytes::new(py, encoder.cached(event, lifetime_us))))
    }

    fn staged<'py>(&self, py: Python<'py>, columns: Columns<'py>, rows: Rows<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut staged = Copy::default();
        self.each(&columns, &rows, |encoder, event| {
            let is_written = encoder.stage(event, &mut staged);
            is_written.then_some(()).ok_or_else(|| PyValueError::new_err(format!("{} is no event id", event.event_id)))
        })?;
        Ok(PyBytes::new(py, &staged.end()))
    }
}

/// The timeframe of a place among all.
fn timeframe(place: u8) -> PyResult<Timeframe> {
    let found = Timeframe::ALL.get(usize::from(place));
    found.copied().ok_or_else(|| PyIndexError::new_err(format!("there is no timeframe {place}")))
}

/// Those of one row among all.
fn part<T>(all: &[T], row: i32, count: u8) -> PyResult<&[T]> {
    let part = usize::try_from(row).ok().and_then(|from| all.get(from..from + usize::from(count)));
    part.ok_or_else(|| PyIndexError::new_err(format!("there are no {count} parts from {row} on")))
}

/// A text of fixed length up to its first NUL.
pub(crate) fn text_of(cell: &IdText) -> PyResult<&str> {
    let end = cell.0.iter().position(|byte| *byte == 0).unwrap_or(cell.0.len());
    utf8(&cell.0[..end])
}

fn utf8(text: &[u8]) -> PyResult<&str> {
    std::str::from_utf8(text).map_err(|error| PyValueError::new_err(error.to_string()))
}
