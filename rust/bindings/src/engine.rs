//! The engine for Python: settings in, messages in, columns out.

use std::sync::{Arc, Mutex, MutexGuard};

use numpy::{IntoPyArray, PyArray1};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use tickstockpl_kernel::aggregate::Settled;
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::engine;
use tickstockpl_kernel::indicator::gauges::Watch;
use tickstockpl_kernel::offset::Arrival;
use tickstockpl_kernel::output;
use tickstockpl_kernel::pattern::Direction;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::timeframe::Timeframe;

use crate::columns::{Bars, Forming, frozen};
use crate::forming::forming;
use crate::framer::Frames;
use crate::given::{self, FARTHEST_US, Given, Volumes, sessions};
use crate::output::{Names, Output};
use crate::rule::Rule;
use crate::to_py;
use crate::whole::{Whole, revision, whole, within};

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Engine {
    inner: Mutex<engine::Engine>,
    names: Mutex<Names>,
    channels: Arc<[String]>,
    /// What is said of each pattern and rule, in the order of their places.
    patterns: Py<PyTuple>,
}

impl Engine {
    fn lock(&self) -> PyResult<MutexGuard<'_, engine::Engine>> {
        self.inner.lock().map_err(|_| PyRuntimeError::new_err("the engine panicked before"))
    }

    /// Runs one call with the interpreter released and turns what it made into columns. One call at a time: the next one
    /// may give a forgotten symbol's id to another.
    fn run(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut engine::Engine) -> PyResult<output::Output> + Send,
    ) -> PyResult<Output> {
        let names = self.names.lock_py_attached(py);
        let mut names = names.map_err(|_| PyRuntimeError::new_err("the engine panicked before"))?;
        let made = py.detach(|| call(&mut *self.lock()?))?;
        Output::new(py, made, &*self.lock()?, &mut names, &self.channels, &self.patterns)
    }
}

#[pymethods]
impl Engine {
    #[new]
    fn new(settings: &Bound<'_, PyAny>) -> PyResult<Self> {
        let channels: Vec<String> = settings.getattr("channels")?.extract()?;
        let micros = |name: &str| -> PyResult<i64> {
            let seconds: f64 = settings.getattr(name)?.extract()?;
            if seconds.is_finite() {
                Ok((seconds * 1e6).round() as i64)
            } else {
                Err(PyValueError::new_err(format!("{name} must be finite, was {seconds}")))
            }
        };
        let window = match settings.getattr("session_mode")?.extract::<String>()?.as_str() {
            "always" => "days",
            "regular" | "extended" => "sessions",
            other => {
                return Err(PyValueError::new_err(format!(
                    "session_mode must be regular, extended or always, was {other}"
                )));
            }
        };
        let calendar = Calendar {
            window: sessions(&settings.getattr(window)?, window)?.unwrap_or_default(),
            simulated: sessions(&settings.getattr("days")?, "days")?.unwrap_or_default(),
            regular: sessions(&settings.getattr("regular")?, "regular")?,
        };
        let rules: Vec<Rule> = settings.getattr("rules")?.extract()?;
        let patterns = settings.getattr("known_patterns")?.cast_into::<PyTuple>()?.unbind();
        let settings = Settings {
            channels: channels.len(),
            lateness: Lateness { a_us: micros("lateness_a_s")?, t_us: micros("lateness_t_s")? },
            revise_us: micros("revise_s")?,
            window_bars: whole("window", "1 to 100,000", settings.getattr("window")?.extract()?)?,
            symbols: whole("max_symbols", "at least 1", settings.getattr("max_symbols")?.extract()?)?,
            price_scale: decimals(settings.getattr("price_scale")?.extract()?)?,
            patterns: settings.getattr("patterns")?.extract()?,
            rules: rules.into_iter().map(Rule::read).collect::<PyResult<_>>()?,
            seq_counts: settings.getattr("seq_counts")?.extract()?,
            volume_checked: settings.getattr("volume_checked")?.extract()?,
            calendar,
            timeframes: timeframes(settings.getattr("timeframes")?.extract()?)?,
            align: settings.getattr("align")?.extract::<String>()?.parse().map_err(to_py)?,
            watch: settings.getattr("indicators")?.extract::<Option<Vec<String>>>()?.map(watch),
            rsi_bounds: settings.getattr("rsi_bounds")?.extract()?,
            benchmark: settings.getattr("benchmark")?.extract()?,
        };
        let inner = Mutex::new(engine::Engine::new(settings).map_err(to_py)?);
        Ok(Self { inner, names: Mutex::default(), channels: channels.into(), patterns })
    }

    #[getter]
    fn patterns(&self, py: Python<'_>) -> Py<PyTuple> {
        self.patterns.clone_ref(py)
    }

    #[pyo3(signature = (payloads, now_us, channel=0))]
    fn ingest(&self, py: Python<'_>, payloads: Vec<PyBackedBytes>, now_us: i64, channel: usize) -> PyResult<Output> {
        self.run(py, |engine| {
            engine.ingest(payloads.iter().map(|payload| (channel, payload.as_ref())), now_us).map_err(to_py)
        })
    }

    #[pyo3(signature = (frames, now_us, src=None))]
    fn ingest_frames(
        &self,
        py: Python<'_>,
        frames: &Bound<'_, Frames>,
        now_us: i64,
        src: Option<i64>,
    ) -> PyResult<Output> {
        let frames = frames.get();
        self.run(py, |engine| {
            if let Some(src) = src {
                engine.continue_at(src);
            }
            engine.ingest(frames.inner.messages(), now_us).map_err(to_py)
        })
    }

    fn ingest_stamped(&self, py: Python<'_>, entries: Vec<(usize, i64, i64, PyBackedBytes)>) -> PyResult<Output> {
        self.run(py, |engine| {
            let messages = entries.iter().map(|(channel, src, now_us, payload)| {
                (*channel, Arrival { src: *src, now_us: *now_us }, payload.as_ref())
            });
            engine.ingest_stamped(messages).map_err(to_py)
        })
    }

    #[getter]
    fn low_src(&self) -> PyResult<i64> {
        Ok(self.lock()?.low_src())
    }

    fn revisable(&self) -> PyResult<(i64, i64)> {
        Ok(self.lock()?.revisable())
    }

    #[getter]
    fn next_src(&self) -> PyResult<i64> {
        Ok(self.lock()?.next_src())
    }

    fn continue_at(&self, src: i64) -> PyResult<()> {
        self.lock()?.continue_at(src);
        Ok(())
    }

    /// Each channel's standing by its name.
    fn standing(&self) -> PyResult<Vec<(String, String)>> {
        Ok(self.channels.iter().cloned().zip(self.lock()?.standing()).collect())
    }

    fn settle(&self, minute_us: i64, src: i64) -> PyResult<()> {
        self.lock()?.settle(Settled { minute_us, src });
        Ok(())
    }

    fn resume(&self, standing: Vec<(String, String)>) -> PyResult<()> {
        let mut engine = self.lock()?;
        for (name, text) in standing {
            if let Some(channel) = self.channels.iter().position(|known| *known == name) {
                engine.resume(channel, &text).map_err(to_py)?;
            }
        }
        Ok(())
    }

    fn advance(&self, py: Python<'_>, now_us: i64) -> PyResult<Output> {
        self.run(py, |engine| Ok(engine.advance(now_us)))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<Output> {
        self.run(py, |engine| Ok(engine.flush()))
    }

    fn provisional(&self, py: Python<'_>) -> PyResult<Output> {
        self.run(py, |engine| Ok(engine.provisional()))
    }

    fn recall(&self, events: Vec<(String, String, Whole, Option<String>, Whole, Whole)>) -> PyResult<usize> {
        let mut engine = self.lock()?;
        let mut held = 0;
        for (symbol, timeframe, ts_us, pattern, direction, evaluation) in events {
            let timeframe = timeframe.parse().map_err(to_py)?;
            let ts_us = within("ts_us", "within 2^60 µs of 1970", ts_us, -FARTHEST_US..=FARTHEST_US)?;
            let evaluation = revision(evaluation)?;
            let direction = match direction.signum() {
                -1 => Direction::Bearish,
                0 => Direction::Neutral,
                _ => Direction::Bullish,
            };
            let event = pattern.as_deref().map(|pattern| (pattern, direction));
            held += usize::from(engine.recall(symbol.as_bytes(), timeframe, ts_us, event, evaluation));
        }
        Ok(held)
    }

    fn know(&self, py: Python<'_>, sessions: &Bound<'_, PyAny>) -> PyResult<usize> {
        let given = Given::new(sessions)?;
        py.detach(|| {
            let mut engine = self.lock()?;
            Ok(given.rows().filter(|(name, session, _)| engine.know(name, session)).count())
        })
    }

    #[getter]
    fn needs_volumes(&self) -> PyResult<bool> {
        Ok(self.lock()?.needs_volumes())
    }

    fn volumes_since<'py>(&self, py: Python<'py>, symbols: Vec<String>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let since = py.detach(|| {
            let engine = self.lock()?;
            let since = symbols.iter().map(|name| engine.volumes_since_us(name.as_bytes()).unwrap_or(i64::MAX));
            PyResult::Ok(since.collect::<Vec<_>>())
        })?;
        Ok(since.into_pyarray(py))
    }

    fn know_volumes(&self, py: Python<'_>, volumes: &Bound<'_, PyAny>) -> PyResult<usize> {
        let given = Volumes::new(volumes)?;
        py.detach(|| {
            let mut engine = self.lock()?;
            let rows = given.rows();
            Ok(rows.filter(|&(name, us, at, volume, flags)| engine.know_volume(name, us, at, volume, flags)).count())
        })
    }

    fn longer_from(&self, us: i64) -> PyResult<()> {
        self.lock()?.longer_from(us);
        Ok(())
    }

    fn missed(&self, from_us: i64, to_us: i64) -> PyResult<()> {
        self.lock()?.missed(from_us, to_us);
        Ok(())
    }

    fn warm_longer(&self, py: Python<'_>, timeframe: &str, bars: &Bound<'_, PyAny>) -> PyResult<usize> {
        let timeframe: Timeframe = timeframe.parse().map_err(to_py)?;
        let given = Given::new(bars)?;
        py.detach(|| {
            let mut engine = self.lock()?;
            Ok(given.rows().filter(|(name, bar, _)| engine.warm_longer(name, timeframe, bar)).count())
        })
    }

    fn warm(&self, py: Python<'_>, bars: &Bound<'_, PyAny>) -> PyResult<usize> {
        let given = Given::new(bars)?;
        let spans = given::spans(bars, given.len())?;
        py.detach(|| {
            let mut engine = self.lock()?;
            let rows = given.rows().zip(spans);
            Ok(rows.filter(|((name, bar, revision), span)| engine.warm(name, bar, *revision, *span)).count())
        })
    }

    #[pyo3(signature = (bars, last=false))]
    fn replay(&self, py: Python<'_>, bars: &Bound<'_, PyAny>, last: bool) -> PyResult<Output> {
        let given = Given::new(bars)?;
        self.run(py, |engine| {
            let (output, taken) = engine.replay(given.rows().map(|(name, bar, _)| (name, bar)), last);
            if taken < given.len() {
                let left = given.len() - taken;
                return Err(PyValueError::new_err(format!(
                    "bars must have finite, positive prices and be newer than their symbol's last, of at most \
                     max_symbols symbols: {left} are not so"
                )));
            }
            Ok(output)
        })
    }

    fn subscribed(&self, now_us: i64, first: bool) -> PyResult<()> {
        self.lock()?.subscribed(now_us, first);
        Ok(())
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| Ok::<_, PyErr>(self.lock()?.snapshot()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn restore(&self, py: Python<'_>, snapshot: &[u8]) -> PyResult<()> {
        let names = self.names.lock_py_attached(py);
        let mut names = names.map_err(|_| PyRuntimeError::new_err("the engine panicked before"))?;
        py.detach(|| self.lock()?.restore(snapshot).map_err(to_py))?;
        *names = Names::default();
        Ok(())
    }

    fn set_price_scale(&self, scale: Option<Whole>) -> PyResult<()> {
        self.lock()?.set_price_scale(decimals(scale)?).map_err(to_py)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, count) in self.lock()?.counters() {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    fn event_time_us(&self) -> PyResult<Vec<i64>> {
        Ok(self.lock()?.event_time_us().into_iter().map(|us| us.unwrap_or(-1)).collect())
    }

    fn clock_skew_us(&self) -> PyResult<Option<i64>> {
        Ok(self.lock()?.clock_skew_us())
    }

    fn symbols(&self) -> PyResult<Vec<String>> {
        Ok(self.lock()?.symbol_names().map(str::to_owned).collect())
    }

    #[pyo3(signature = (symbol=None))]
    fn forming(&self, py: Python<'_>, symbol: Option<&str>) -> PyResult<Forming> {
        let names = self.names.lock_py_attached(py);
        let mut names = names.map_err(|_| PyRuntimeError::new_err("the engine panicked before"))?;
        let rows = py.detach(|| Ok::<_, PyErr>(self.lock()?.forming(symbol.map(str::as_bytes))))?;
        let named = names.of(py, rows.iter().map(|(id, _)| *id), &*self.lock()?)?;
        forming(py, &rows, named, self.patterns.clone_ref(py))
    }

    #[pyo3(signature = (symbol, timeframe="1min"))]
    fn window(&self, py: Python<'_>, symbol: &str, timeframe: &str) -> PyResult<Bars> {
        let timeframe = timeframe.parse().map_err(to_py)?;
        let bars: Vec<_> =
            self.lock()?.window(symbol.as_bytes(), timeframe).map(|window| window.iter().collect()).unwrap_or_default();
        let rows = bars.len();
        Ok(Bars {
            symbols: PyTuple::new(py, [symbol])?.unbind(),
            symbol: frozen(py, vec![0; rows])?,
            ts_us: frozen(py, bars.iter().map(|bar| bar.ts_us).collect())?,
            open: frozen(py, bars.iter().map(|bar| bar.open).collect())?,
            high: frozen(py, bars.iter().map(|bar| bar.high).collect())?,
            low: frozen(py, bars.iter().map(|bar| bar.low).collect())?,
            close: frozen(py, bars.iter().map(|bar| bar.close).collect())?,
            volume: frozen(py, bars.iter().map(|bar| bar.volume).collect())?,
            vwap: frozen(py, vec![f64::NAN; rows])?,
            trades: frozen(py, vec![0; rows])?,
            revision: frozen(py, vec![0; rows])?,
            quality: frozen(py, bars.iter().map(|bar| bar.quality).collect())?,
            open_us: frozen(py, vec![-1; rows])?,
            close_us: frozen(py, vec![-1; rows])?,
        })
    }
}

/// Timeframes by their names.
fn timeframes(names: Vec<String>) -> PyResult<Vec<Timeframe>> {
    names.iter().map(|name| name.parse().map_err(to_py)).collect()
}

/// Decimals of prices.
fn decimals(scale: Option<Whole>) -> PyResult<Option<u32>> {
    scale.map(|scale| whole("price_scale", "0 to 12", scale)).transpose()
}

/// Who is watched: symbols by name, `*` for all.
fn watch(symbols: Vec<String>) -> Watch {
    let all = symbols.iter().any(|name| name == "*");
    Watch { all, symbols: symbols.into_iter().map(|name| name.into_bytes().into()).collect() }
}
