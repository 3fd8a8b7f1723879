//! Where in its source a message stands.
//!
//! A source numbers its messages upwards: by the row of a spool, the id of a stream's entry, the line of a file. What is
//! kept of a bar names the first and the last number that went into it, so that a message which comes again is known.

use serde::{Deserialize, Serialize};

/// A message's number in its source, and when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number: 0 or more, and never less than that of the message before.
    pub src: i64,
    /// When it came, µs.
    pub now_us: i64,
}

/// The numbers of the first and the last message that went into a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first; -1 if that is not known in this source.
    pub first: i64,
    /// The last; -1 likewise.
    pub last: i64,
}

impl Span {
    /// Of a bar without a message of this source.
    pub const NONE: Self = Self { first: -1, last: -1 };

    /// Takes one more message in.
    pub fn extend(&mut self, src: i64) {
        if self.first < 0 {
            self.first = src;
        }
        self.last = self.last.max(src);
    }
}
