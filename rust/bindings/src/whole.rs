//! Whole numbers of callers. Python's have no bounds: one that no number of ours holds is a wrong value like any other.

use std::ops::RangeInclusive;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A number as it was given, wide enough for the wrong ones that are met.
pub(crate) type Whole = i128;

/// The most symbols of a stream: more would not find memory, and to be refused it ends the process.
const MOST_SYMBOLS: Whole = 1_000_000;

/// The number, if it is in `range`; else a `ValueError` that says so in the words of `rule`.
pub(crate) fn within<T: TryFrom<Whole>>(
    name: &str,
    rule: &str,
    value: Whole,
    range: RangeInclusive<Whole>,
) -> PyResult<T> {
    let number = T::try_from(value).ok().filter(|_| range.contains(&value));
    number.ok_or_else(|| PyValueError::new_err(format!("{name} must be {rule}, was {value}")))
}

/// A number whose range the kernel looks at, in the words of `rule`.
pub(crate) fn whole<T: TryFrom<Whole>>(name: &str, rule: &str, value: Whole) -> PyResult<T> {
    within(name, rule, value, Whole::MIN..=Whole::MAX)
}

/// A period, the least of which the kernel knows.
pub(crate) fn period(name: &str, value: Whole) -> PyResult<usize> {
    whole(name, "positive and at most 100,000", value)
}

/// How many symbols a stream has.
pub(crate) fn symbols(value: Whole) -> PyResult<usize> {
    within("n_symbols", "from 0 to 1,000,000", value, 0..=MOST_SYMBOLS)
}

/// The evaluation of a bar: far from where counting on would end.
pub(crate) fn revision(value: Whole) -> PyResult<u32> {
    within("revision", "from 0 to 1,000,000,000", value, 0..=MOST_REVISIONS)
}

/// The highest revision of a bar or an event that is taken from outside.
pub(crate) const MOST_REVISIONS: Whole = 1_000_000_000;
