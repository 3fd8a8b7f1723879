//! What a caller can do wrong. Data faults are counted instead, see [`crate::tick::Reason`].

use std::borrow::Cow;

use thiserror::Error;

/// A caller's fault, with the facts.
#[derive(Debug, Error, PartialEq)]
pub enum KernelError {
    /// A setting is out of its range.
    #[error("{name} must be {rule}, was {value}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What is allowed.
        rule: &'static str,
        /// What was given.
        value: f64,
    },
    /// A table of sessions is out of order.
    #[error("sessions must be ascending and not empty, row {row} is not")]
    Sessions {
        /// The first bad row.
        row: usize,
    },
    /// A row of a column holds what cannot be a price or a size.
    #[error("{column} must be {rule}, row {row} is {value}")]
    Row {
        /// The column's name.
        column: &'static str,
        /// What is allowed.
        rule: &'static str,
        /// The first bad row.
        row: usize,
        /// What stands there.
        value: f64,
    },
    /// Columns of one table differ in length.
    #[error("{column} must have {expected} rows, had {rows}")]
    Length {
        /// The column's name.
        column: &'static str,
        /// How many it has.
        rows: usize,
        /// How many it must have.
        expected: usize,
    },
    /// A snapshot that is not of this object.
    #[error("the snapshot {0}")]
    Snapshot(Cow<'static, str>),
    /// A text that is no channel's standing.
    #[error("the standing of a channel cannot be read: {0}")]
    Standing(String),
    /// A word that is none of those that are understood.
    #[error("{name} must be {rule}, was {word:?}")]
    Word {
        /// The argument's name.
        name: &'static str,
        /// What is allowed.
        rule: &'static str,
        /// What was given.
        word: String,
    },
    /// A bar that is given twice.
    #[error("each bar must be there once; row {row} is not the first of its minute")]
    Twice {
        /// The first row whose minute its symbol had before.
        row: usize,
    },
    /// A pattern id that does not exist.
    #[error("no pattern is called {0:?}")]
    UnknownPattern(String),
    /// A pattern that was asked for needs more bars than there will be.
    #[error("{pattern} needs a window of at least {bars} bars, was {window}")]
    Window {
        /// Its id.
        pattern: &'static str,
        /// How many it needs.
        bars: usize,
        /// How many there are.
        window: usize,
    },
    /// A pattern that was asked for is on no bars that are looked at.
    #[error("{pattern} is on bars of {longest} or shorter, and of timeframes there are only longer ones")]
    Timeframes {
        /// Its id.
        pattern: &'static str,
        /// The longest bars that it is on.
        longest: &'static str,
    },
    /// There are fewer channels than one or more than 64, or a message names one past them.
    #[error("there are {channels} channels, {channel} is not one of them")]
    Channel {
        /// How many there are.
        channels: usize,
        /// The index that was used.
        channel: usize,
    },
}
