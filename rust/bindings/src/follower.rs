//! What becomes of events: columns of bars and detections in, columns of outcomes out.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard};

use numpy::PyReadonlyArray1;
use pyo3::Borrowed;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PySequence, PyString, PyTuple};
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::event::EventId;
use tickstockpl_kernel::follower::{self, Place};
use tickstockpl_kernel::outcome::{Bar, Event, Levels, Outcome, Terms};
use tickstockpl_kernel::time::DAY_US;
use tickstockpl_kernel::timeframe::Timeframe;

use crate::columns::{IdText, Outcomes, frozen};
use crate::encoder::text_of;
use crate::given::sessions;
use crate::to_py;

/// Any object that has them as attributes, such as `Detections`.
#[derive(FromPyObject)]
pub(crate) struct Found<'py> {
    #[pyo3(attribute)]
    symbols: Bound<'py, PyAny>,
    #[pyo3(attribute)]
    symbol: PyReadonlyArray1<'py, i32>,
    #[pyo3(attribute)]
    ts_us: PyReadonlyArray1<'py, i64>,
    #[pyo3(attribute)]
    direction: PyReadonlyArray1<'py, i32>,
    #[pyo3(attribute)]
    held: PyReadonlyArray1<'py, bool>,
    #[pyo3(attribute)]
    event_id: PyReadonlyArray1<'py, IdText>,
    #[pyo3(attribute)]
    close: PyReadonlyArray1<'py, f64>,
    #[pyo3(attribute)]
    atr: PyReadonlyArray1<'py, f64>,
    #[pyo3(attribute)]
    entry: PyReadonlyArray1<'py, f64>,
    #[pyo3(attribute)]
    stop: PyReadonlyArray1<'py, f64>,
    #[pyo3(attribute)]
    target: PyReadonlyArray1<'py, f64>,
}

/// The same of bars.
#[derive(FromPyObject)]
pub(crate) struct Closed<'py> {
    #[pyo3(attribute)]
    symbols: Bound<'py, PyAny>,
    #[pyo3(attribute)]
    symbol: PyReadonlyArray1<'py, i32>,
    #[pyo3(attribute)]
    ts_us: PyReadonlyArray1<'py, i64>,
    #[pyo3(attribute)]
    high: PyReadonlyArray1<'py, f64>,
    #[pyo3(attribute)]
    low: PyReadonlyArray1<'py, f64>,
    #[pyo3(attribute)]
    close: PyReadonlyArray1<'py, f64>,
}

impl Found<'_> {
    /// Symbol, event and whether it holds of each row.
    fn rows(&self) -> PyResult<Vec<(usize, Event, bool)>> {
        let (symbol, ts_us, held) = (self.symbol.as_slice()?, self.ts_us.as_slice()?, self.held.as_slice()?);
        let (direction, ids) = (self.direction.as_slice()?, self.event_id.as_slice()?);
        let prices = [&self.close, &self.atr, &self.entry, &self.stop, &self.target].map(PyReadonlyArray1::as_slice);
        let [close, atr, entry, stop, target] = prices;
        let prices = [close?, atr?, entry?, stop?, target?];
        let rows = symbol.len();
        let lengths = prices.iter().map(|column| column.len());
        if lengths.chain([ts_us.len(), held.len(), direction.len(), ids.len()]).any(|len| len != rows) {
            return Err(PyValueError::new_err("events must have columns of one length"));
        }
        let row = |row: usize| {
            let text = text_of(&ids[row])?;
            let id = EventId::parse(text);
            let [close, atr, entry, stop, target] = prices.map(|column| column[row]);
            let event = Event {
                id: id.ok_or_else(|| PyValueError::new_err(format!("{text} is no event id")))?,
                ts_us: ts_us[row],
                direction: direction[row],
                close,
                atr,
                levels: Levels { entry, stop, target },
            };
            Ok((symbol[row] as usize, event, held[row]))
        };
        (0..rows).map(row).collect()
    }
}

impl Closed<'_> {
    /// Symbol and bar of each row.
    fn rows(&self) -> PyResult<Vec<(usize, Bar)>> {
        let (symbol, ts_us) = (self.symbol.as_slice()?, self.ts_us.as_slice()?);
        let (high, low, close) = (self.high.as_slice()?, self.low.as_slice()?, self.close.as_slice()?);
        if [ts_us.len(), high.len(), low.len(), close.len()].iter().any(|&len| len != symbol.len()) {
            return Err(PyValueError::new_err("bars must have columns of one length"));
        }
        let row = |row: usize| {
            let bar = Bar { ts_us: ts_us[row], high: high[row], low: low[row], close: close[row] };
            (symbol[row] as usize, bar)
        };
        Ok((0..symbol.len()).map(row).collect())
    }
}

/// Follows the events of one timeframe.
#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Follower {
    inner: Mutex<Named>,
}

/// A follower, and the places of names by where they lie: an engine names a symbol by the same object each time, and to
/// look one up by its letters would be to wait for them.
struct Named {
    follower: follower::Follower,
    known: HashMap<usize, (Place, Py<PyString>)>,
    forgotten: u64,
}

/// Names that are remembered: more than symbols of a market.
const MOST_NAMES: usize = 1 << 17;

impl Named {
    /// Where each of these symbols stands.
    fn places(&mut self, symbols: &Bound<'_, PyAny>) -> PyResult<Vec<Place>> {
        if self.forgotten != self.follower.forgotten() || self.known.len() > MOST_NAMES {
            self.forgotten = self.follower.forgotten();
            self.known.clear();
        }
        let symbols = symbols.cast::<PySequence>()?.to_tuple()?;
        let place = |symbol: Borrowed<'_, '_, PyAny>| {
            let lies = symbol.as_ptr() as usize;
            if let Some((place, _)) = self.known.get(&lies) {
                return Ok(*place);
            }
            let symbol = symbol.to_owned().cast_into::<PyString>()?;
            let place = self.follower.place(symbol.to_str()?);
            self.known.insert(lies, (place, symbol.unbind()));
            Ok(place)
        };
        symbols.iter_borrowed().map(place).collect()
    }
}

impl Follower {
    fn lock(&self) -> PyResult<MutexGuard<'_, Named>> {
        self.inner.lock().map_err(|_| PyRuntimeError::new_err("the follower panicked before"))
    }
}

#[pymethods]
impl Follower {
    #[new]
    #[pyo3(signature = (timeframe, *, horizon, barrier, revise_us, sessions, days))]
    fn new(
        timeframe: &str,
        horizon: u32,
        barrier: f64,
        revise_us: i64,
        sessions: &Bound<'_, PyAny>,
        days: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let timeframe: Timeframe = timeframe.parse().map_err(to_py)?;
        let simulated = self::sessions(days, "days")?.unwrap_or_default();
        let window = self::sessions(sessions, "sessions")?.unwrap_or_else(|| simulated.clone());
        let is_intraday = timeframe < Timeframe::Daily;
        let terms = Terms {
            horizon,
            barrier,
            interval_us: timeframe.length_us().unwrap_or(DAY_US),
            revise_us,
            calendar: is_intraday.then_some(Calendar { window, simulated, regular: None }),
        };
        let follower = follower::Follower::new(terms);
        Ok(Self { inner: Mutex::new(Named { follower, known: HashMap::new(), forgotten: 0 }) })
    }

    /// With the GIL: names are Python's texts, and a minute of ten thousand symbols takes some milliseconds.
    #[pyo3(signature = (found, bars, reached_us=None))]
    fn follow(
        &self,
        py: Python<'_>,
        found: Found<'_>,
        bars: Closed<'_>,
        reached_us: Option<i64>,
    ) -> PyResult<Option<Outcomes>> {
        let mut named = self.lock()?;
        let (of_events, of_bars) = (named.places(&found.symbols)?, named.places(&bars.symbols)?);
        let follower = &mut named.follower;
        black_box(follower.touch(&of_bars));
        for (symbol, event, held) in found.rows()? {
            let place = place(&of_events, symbol)?;
            if held {
                follower.begin(place, &event);
            } else {
                follower.withdraw(place, event.id);
            }
        }
        for (symbol, bar) in bars.rows()? {
            follower.bar(place(&of_bars, symbol)?, bar);
        }
        if let Some(reached_us) = reached_us {
            follower.hear(reached_us);
        }
        said(py, follower)
    }

    fn load(&self, py: Python<'_>, found: Found<'_>, bars: Closed<'_>) -> PyResult<Option<Outcomes>> {
        let follower = &mut self.lock()?.follower;
        let mut events = Vec::new();
        for symbol in found.symbols.try_iter()? {
            let symbol = symbol?.cast_into::<PyString>()?;
            events.push((follower.place(symbol.to_str()?), Vec::new(), Vec::new()));
        }
        let strange = || PyValueError::new_err("symbol must index symbols, the same of events and bars");
        for (symbol, event, held) in found.rows()? {
            let (_, of_symbol, _) = events.get_mut(symbol).ok_or_else(strange)?;
            if held {
                of_symbol.push(event);
            }
        }
        for (symbol, bar) in bars.rows()? {
            let (_, _, of_symbol) = events.get_mut(symbol).ok_or_else(strange)?;
            of_symbol.push(bar);
        }
        for (place, events, bars) in events {
            follower.load(place, &events, &bars);
        }
        said(py, follower)
    }

    fn loaded(&self) -> PyResult<()> {
        self.lock()?.follower.loaded();
        Ok(())
    }

    #[getter]
    fn open(&self) -> PyResult<usize> {
        Ok(self.lock()?.follower.open())
    }
}

fn place(places: &[Place], symbol: usize) -> PyResult<Place> {
    let known = places.get(symbol).copied();
    known.ok_or_else(|| PyValueError::new_err(format!("symbol must index symbols, was {symbol}")))
}

/// What there is to say; `None` for nothing, as after most bars.
fn said(py: Python<'_>, follower: &mut follower::Follower) -> PyResult<Option<Outcomes>> {
    let mut symbols: Vec<Py<PyString>> = Vec::new();
    let mut last = String::new();
    let mut symbol = Vec::new();
    let rows: Vec<Outcome> = follower.end_batch(|name, outcome| {
        // what is said of one symbol comes together
        if symbols.is_empty() || last != name {
            name.clone_into(&mut last);
            symbols.push(PyString::new(py, name).unbind());
        }
        symbol.push(symbols.len() as i32 - 1);
        *outcome
    });
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(Outcomes {
        symbols: PyTuple::new(py, symbols)?.unbind(),
        symbol: frozen(py, symbol)?,
        event_id: frozen(py, rows.iter().map(|row| IdText::from(row.id.text())).collect())?,
        ts_us: frozen(py, rows.iter().map(|row| row.ts_us).collect())?,
        end: frozen(py, rows.iter().map(|row| row.end as i32).collect())?,
        at_us: frozen(py, rows.iter().map(|row| row.at_us).collect())?,
        bars: frozen(py, rows.iter().map(|row| row.bars as i32).collect())?,
        price: frozen(py, rows.iter().map(|row| row.price).collect())?,
        result: frozen(py, rows.iter().map(|row| row.verdict as i32).collect())?,
        result_bars: frozen(py, rows.iter().map(|row| row.verdict_bars as i32).collect())?,
    }))
}
