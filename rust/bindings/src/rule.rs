//! Rules as Python hands them over: plain values, any object with these attributes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tickstockpl_kernel::pattern::Direction;
use tickstockpl_kernel::rule;

use crate::to_py;
use crate::whole::{Whole, whole};

#[derive(FromPyObject)]
pub(crate) struct Rule {
    id: String,
    parameters: String,
    timeframe: String,
    direction: Option<String>,
    cooldown: Whole,
    all: Vec<Operand>,
    any: Vec<Operand>,
    told: bool,
}

#[derive(FromPyObject)]
enum Operand {
    Held { pattern: String, direction: Option<String>, within: Whole, timeframe: Option<String> },
    Compared { left: Side, relation: String, right: Side },
}

/// A factor and the name of a value each.
type Side = Vec<(f64, Option<String>)>;

impl Rule {
    pub(crate) fn read(self) -> PyResult<rule::Rule> {
        let all = |operands: Vec<Operand>| operands.into_iter().map(Operand::read).collect::<PyResult<Vec<_>>>();
        Ok(rule::Rule {
            id: self.id,
            parameters: self.parameters,
            timeframe: self.timeframe.parse().map_err(to_py)?,
            direction: self.direction.map(direction).transpose()?,
            cooldown: whole("cooldown", "0 to 10,000", self.cooldown)?,
            all: all(self.all)?,
            any: all(self.any)?,
            told: self.told,
        })
    }
}

impl Operand {
    fn read(self) -> PyResult<rule::Operand> {
        Ok(match self {
            Self::Held { pattern, direction: way, within, timeframe } => rule::Operand::Held(rule::Member {
                pattern,
                direction: way.map(direction).transpose()?,
                within: whole("within", "1 to 10,000", within)?,
                timeframe: timeframe.map(|name| name.parse()).transpose().map_err(to_py)?,
            }),
            Self::Compared { left, relation, right } => rule::Operand::Compared(rule::Comparison {
                left: side(left)?,
                relation: rule::Relation::of(&relation).ok_or_else(|| {
                    PyValueError::new_err(format!("a relation must be <, <=, > or >=, was {relation}"))
                })?,
                right: side(right)?,
            }),
        })
    }
}

fn side(terms: Side) -> PyResult<rule::Side> {
    let value = |name: String| {
        rule::Value::named(&name).ok_or_else(|| PyValueError::new_err(format!("no value of a bar is called {name:?}")))
    };
    let terms = terms.into_iter().map(|(factor, name)| Ok((factor, name.map(value).transpose()?)));
    terms.collect::<PyResult<_>>().map(rule::Side)
}

fn direction(name: String) -> PyResult<Direction> {
    let all = [Direction::Bullish, Direction::Bearish, Direction::Neutral];
    let found = all.into_iter().find(|direction| direction.name() == name);
    found.ok_or_else(|| PyValueError::new_err(format!("a direction must be bullish, bearish or neutral, was {name}")))
}
