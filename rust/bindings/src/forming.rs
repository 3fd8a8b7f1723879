//! What forms, as columns.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tickstockpl_kernel::figure::quality;
use tickstockpl_kernel::history::Formed;
use tickstockpl_kernel::symbol::SymbolId;

use crate::columns::{Forming, frozen};
use crate::output::Named;

/// The columns of these rows.
pub(crate) fn forming(
    py: Python<'_>,
    rows: &[(SymbolId, Formed)],
    (symbols, symbol): Named,
    patterns: Py<PyTuple>,
) -> PyResult<Forming> {
    let each = || rows.iter().map(|(_, formed)| formed);
    let figures = || each().map(|formed| &formed.figure);
    let points = || figures().flat_map(|figure| &figure.points[..figure.count]);
    let begins = figures().scan(0, |next, figure| {
        let here = *next;
        *next += figure.count as i32;
        Some(here)
    });
    Ok(Forming {
        symbols,
        symbol: frozen(py, symbol)?,
        ts_us: frozen(py, each().map(|formed| formed.bar.ts_us).collect())?,
        timeframe: frozen(py, each().map(|formed| formed.timeframe as u8).collect())?,
        end_us: frozen(py, each().map(|formed| formed.end_us).collect())?,
        pattern: frozen(py, each().map(|formed| i32::from(formed.pattern)).collect())?,
        direction: frozen(py, figures().map(|figure| figure.direction as i32).collect())?,
        trigger: frozen(py, figures().map(|figure| figure.trigger).collect())?,
        slope: frozen(py, figures().map(|figure| figure.slope).collect())?,
        stop: frozen(py, figures().map(|figure| figure.stop).collect())?,
        target: frozen(py, figures().map(|figure| figure.target).collect())?,
        confidence: frozen(py, figures().map(|figure| 0.5 + 0.5 * quality(&figure.margins)).collect())?,
        close: frozen(py, each().map(|formed| formed.bar.close).collect())?,
        atr: frozen(py, each().map(|formed| formed.atr).collect())?,
        waited: frozen(py, figures().map(|figure| figure.waited as i32).collect())?,
        left: frozen(py, figures().map(|figure| figure.left as i32).collect())?,
        point_row: frozen(py, begins.collect())?,
        n_points: frozen(py, figures().map(|figure| figure.count as u8).collect())?,
        point_us: frozen(py, points().map(|&(ts_us, _)| ts_us).collect())?,
        point_price: frozen(py, points().map(|&(_, price)| price).collect())?,
        patterns,
    })
}
