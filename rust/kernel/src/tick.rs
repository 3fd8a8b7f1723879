//! One tick, and why a tick is refused.

use serde::{Deserialize, Serialize};

use crate::condition::Rights;

/// What a tick stands for: `event_type` of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// An aggregate of a second or a minute, stamped with the END of its window.
    A = b'A',
    /// A trade.
    T = b'T',
    /// A quote: read and counted, never part of a bar.
    Q = b'Q',
}

impl Kind {
    /// The letter of `event_type`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        self as u8
    }
}

/// A decoded tick that passed every check; it borrows its ticker from the message.
///
/// Prices are finite and above 0, in the currency of the feed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick<'a> {
    /// 1 to 20 bytes of UTF-8, none of them a space, a control or DEL.
    pub ticker: &'a [u8],
    /// What the tick stands for.
    pub kind: Kind,
    /// `timestamp` in microseconds.
    pub ts_us: i64,
    /// `tick_start_timestamp` in microseconds: the START of the window.
    pub start_us: Option<i64>,
    /// `price`.
    pub price: f64,
    /// `tick_open`.
    pub open: Option<f64>,
    /// `tick_high`.
    pub high: Option<f64>,
    /// `tick_low`.
    pub low: Option<f64>,
    /// `tick_close`.
    pub close: Option<f64>,
    /// `tick_vwap`.
    pub vwap: Option<f64>,
    /// `tick_volume`, else `volume`, else (quotes only) 0; at most 2⁵³.
    pub volume: i64,
    /// `seq`: the feed's own number of the tick.
    pub seq: Option<i64>,
    /// `accumulated_volume`: shares of the day up to and with this tick.
    pub accumulated_volume: Option<i64>,
    /// `source` is `simulated`.
    pub simulated: bool,
    /// What the trade `conditions` let this tick set.
    pub rights: Rights,
}

/// Why a tick (or a whole message) is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not JSON as Python's `json.loads` reads it, nested over 128 deep, or not UTF-8.
    BadJson,
    /// JSON, but neither an object nor an array; or an element of the array is not an object.
    NotAnObject,
    /// A message of more than 65,536 bytes.
    TooLarge,
    /// A field that every tick has is absent or null.
    MissingField,
    /// A field holds another JSON type than its own.
    WrongType,
    /// The ticker is empty, longer than 20 bytes or holds a space or control character.
    BadTicker,
    /// A price is not finite or not above 0.
    BadPrice,
    /// A count is negative, fractional, not finite or too large.
    BadVolume,
    /// A stamp is not finite, outside 2000 to 2100, or the window's start is not within the minute before its end.
    BadTimestamp,
    /// `event_type` is none of A, T, Q.
    UnknownKind,
}

impl Reason {
    /// Every reason, in the order of its discriminant.
    pub const ALL: [Self; 10] = [
        Self::BadJson,
        Self::NotAnObject,
        Self::TooLarge,
        Self::MissingField,
        Self::WrongType,
        Self::BadTicker,
        Self::BadPrice,
        Self::BadVolume,
        Self::BadTimestamp,
        Self::UnknownKind,
    ];

    /// The name in counters and dead letters, such as `bad_json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::NotAnObject => "not_an_object",
            Self::TooLarge => "too_large",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::BadTicker => "bad_ticker",
            Self::BadPrice => "bad_price",
            Self::BadVolume => "bad_volume",
            Self::BadTimestamp => "bad_timestamp",
            Self::UnknownKind => "unknown_kind",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_the_order_of_their_discriminants() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }
}
