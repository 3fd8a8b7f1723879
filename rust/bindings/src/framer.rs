//! RESP2 framing for Python: socket bytes in, raw messages out.

use std::sync::{Mutex, MutexGuard};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tickstockpl_kernel::resp;

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Framer {
    inner: Mutex<resp::Framer>,
    channels: usize,
}

#[pyclass(frozen, module = "tickstockpl")]
pub(crate) struct Frames {
    pub(crate) inner: resp::Frames,
    channels: usize,
}

impl Framer {
    fn lock(&self) -> PyResult<MutexGuard<'_, resp::Framer>> {
        self.inner.lock().map_err(|_| PyRuntimeError::new_err("the framer panicked before"))
    }
}

#[pymethods]
impl Framer {
    #[new]
    fn new(channels: Vec<String>) -> PyResult<Self> {
        if channels.is_empty() || channels.len() > 64 {
            return Err(PyValueError::new_err(format!("channels must be 1 to 64, were {}", channels.len())));
        }
        let count = channels.len();
        let names = channels.into_iter().map(String::into_bytes).collect();
        Ok(Self { inner: Mutex::new(resp::Framer::new(names)), channels: count })
    }

    fn feed(&self, py: Python<'_>, chunk: &Bound<'_, PyAny>) -> PyResult<Frames> {
        let fed = if let Ok(bytes) = chunk.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            py.detach(|| Ok::<_, PyErr>(self.lock()?.feed(bytes)))?
        } else {
            let bytes = PyBuffer::<u8>::get(chunk)?.to_vec(py)?;
            py.detach(|| Ok::<_, PyErr>(self.lock()?.feed(&bytes)))?
        };
        let inner = fed.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Frames { inner, channels: self.channels })
    }

    #[getter]
    fn pending(&self) -> PyResult<usize> {
        Ok(self.lock()?.pending())
    }
}

#[pymethods]
impl Frames {
    fn __len__(&self) -> usize {
        self.inner.len()
    }

    #[getter]
    fn control(&self) -> Vec<(&'static str, String, i64)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let describe = |control: &resp::Control| match control {
            resp::Control::Subscribed { channel, count } => ("subscribe", text(channel), *count),
            resp::Control::Unsubscribed { channel, count } => ("unsubscribe", text(channel), *count),
            resp::Control::Pong(answer) => ("pong", text(answer), 0),
            resp::Control::Error(error) => ("error", text(error), 0),
            resp::Control::Foreign(channel) => ("foreign", text(channel), 0),
            resp::Control::Other => ("other", String::new(), 0),
        };
        self.inner.control.iter().map(describe).collect()
    }

    #[getter]
    fn payload_bytes(&self) -> usize {
        self.inner.payload_bytes()
    }

    /// The frames as they came: a new framer makes the same of them.
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.raw())
    }

    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.channels];
        for (channel, _) in self.inner.messages() {
            counts[channel] += 1;
        }
        counts
    }

    /// Channel and payload of each message, in order.
    fn messages<'py>(&self, py: Python<'py>) -> Vec<(usize, Bound<'py, PyBytes>)> {
        self.inner.messages().map(|(channel, payload)| (channel, PyBytes::new(py, payload))).collect()
    }

    fn payloads<'py>(&self, py: Python<'py>, channel: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        if channel >= self.channels {
            return Err(PyIndexError::new_err(format!("channel must be below {}, was {channel}", self.channels)));
        }
        let own = self.inner.messages().filter(|(from, _)| *from == channel);
        Ok(own.map(|(_, payload)| PyBytes::new(py, payload)).collect())
    }
}
