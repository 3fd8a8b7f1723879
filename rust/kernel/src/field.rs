//! The fields of a tick's object, and the judgement over them.

use crate::condition::Rights;
use crate::json::{Text, Value, unescape};
use crate::tick::{Kind, Reason, Tick};
use crate::time::{EARLIEST_S, LATEST_S, MINUTE_US, micros, nearest_us};

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    Price,
    Open,
    High,
    Low,
    Close,
    Vwap,
    TickVolume,
    Volume,
    Seq,
    Accumulated,
    Timestamp,
    Start,
    Ignored,
    Ticker,
    Symbol,
    EventType,
    Type,
    Source,
    Conditions,
}

impl Field {
    pub(crate) const COUNT: usize = 19;
    /// The first so many are prices, then so many counts.
    pub(crate) const PRICES: usize = 6;
    pub(crate) const COUNTS: usize = 4;

    /// Every field, in the order of its discriminant.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Price,
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Vwap,
        Self::TickVolume,
        Self::Volume,
        Self::Seq,
        Self::Accumulated,
        Self::Timestamp,
        Self::Start,
        Self::Ignored,
        Self::Ticker,
        Self::Symbol,
        Self::EventType,
        Self::Type,
        Self::Source,
        Self::Conditions,
    ];

    const NAMES: [(&str, Self); 20] = [
        ("price", Self::Price),
        ("tick_open", Self::Open),
        ("tick_high", Self::High),
        ("tick_low", Self::Low),
        ("tick_close", Self::Close),
        ("tick_vwap", Self::Vwap),
        ("tick_volume", Self::TickVolume),
        ("volume", Self::Volume),
        ("seq", Self::Seq),
        ("accumulated_volume", Self::Accumulated),
        ("timestamp", Self::Timestamp),
        ("tick_start_timestamp", Self::Start),
        ("ticker", Self::Ticker),
        ("symbol", Self::Symbol),
        ("event_type", Self::EventType),
        ("type", Self::Type),
        ("source", Self::Source),
        ("conditions", Self::Conditions),
        ("bid", Self::Ignored),
        ("ask", Self::Ignored),
    ];

    /// Whether it is a price or a count.
    pub(crate) fn is_number(self) -> bool {
        (self as usize) < Self::PRICES + Self::COUNTS
    }

    /// Whether it is a price.
    pub(crate) fn is_price(self) -> bool {
        (self as usize) < Self::PRICES
    }

    /// The field with this key.
    pub(crate) fn of(key: &[u8]) -> Self {
        let mut names = Self::NAMES.iter();
        let found = names.find(|(name, _)| name.as_bytes() == key);
        found.map_or(Self::Ignored, |&(_, field)| field)
    }

    /// The field whose key, with its closing quote and then zeros behind it, is these 16 bytes; `None` unless it is one
    /// of the names. The quote ends it: a name with zeros of its own behind it is another name.
    ///
    /// One probe and no branch on the length, so that random order costs few mispredictions.
    #[inline]
    pub(crate) fn known(key: u128) -> Option<Self> {
        let (known, field) = SLOTS[slot(key)];
        (known == key).then_some(field)
    }
}

/// No two of the keys share a slot; the factor was found by trial.
const fn slot(key: u128) -> usize {
    let mixed = key as u64 ^ ((key >> 64) as u64) << 1;
    (mixed.wrapping_mul(0xc2ce_6f44_7ed4_d57b) >> 58) as usize
}

/// The names of up to 15 bytes with their closing quotes; the empty slots hold nothing that ends with one.
static SLOTS: [(u128, Field); 64] = {
    let mut slots = [(0, Field::Ignored); 64];
    let mut row = 0;
    while row < Field::NAMES.len() {
        let (name, field) = Field::NAMES[row];
        let name = name.as_bytes();
        let mut key = b'"' as u128;
        let mut at = name.len();
        while at > 0 {
            at -= 1;
            key = key << 8 | name[at] as u128;
        }
        if name.len() <= 15 {
            assert!(slots[slot(key)].0 == 0, "two keys share a slot");
            slots[slot(key)] = (key, field);
        }
        row += 1;
    }
    slots
};

/// What one object holds, by field; of a repeated key the last value.
#[derive(Clone, Debug)]
pub(crate) struct Fields([Value; Field::COUNT]);

impl Default for Fields {
    fn default() -> Self {
        Self([Value::Absent; Field::COUNT])
    }
}

impl Fields {
    #[inline]
    pub(crate) fn set(&mut self, field: Field, value: Value) {
        self.0[field as usize] = value;
    }

    #[inline]
    pub(crate) fn get(&self, field: Field) -> Value {
        self.0[field as usize]
    }
}

/// A tick whose ticker is still an offset, so that rows outlive their scanner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Into the message, or if `escaped` into the scratch text.
    pub(crate) ticker: Text,
    pub(crate) tick: Tick<'static>,
}

impl Row {
    #[inline]
    pub(crate) fn tick<'a>(&self, bytes: &'a [u8], scratch: &'a [u8]) -> Tick<'a> {
        Tick { ticker: self.ticker.raw(if self.ticker.escaped { scratch } else { bytes }), ..self.tick }
    }
}

/// The tick that the fields make, or the first check that fails, in the order of the fields of `Row::tick`.
///
/// Unescaped text is appended to `scratch`.
#[inline]
pub(crate) fn judge(fields: &Fields, bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Row, Reason> {
    let ticker = ticker(fields, bytes, scratch)?;
    let kind = kind(fields, bytes)?;
    let ts_us = match number(fields.get(Field::Timestamp))? {
        Some(seconds) => micros(seconds).ok_or(Reason::BadTimestamp)?,
        None => return Err(Reason::MissingField),
    };
    let Some(price) = price(fields.get(Field::Price))? else {
        return Err(Reason::MissingField);
    };
    let open = self::price(fields.get(Field::Open))?;
    let high = self::price(fields.get(Field::High))?;
    let low = self::price(fields.get(Field::Low))?;
    let close = self::price(fields.get(Field::Close))?;
    let vwap = self::price(fields.get(Field::Vwap))?;
    let volume = volume(fields, kind)?;
    let start_us = start_us(fields.get(Field::Start), ts_us)?;
    let seq = count(fields.get(Field::Seq), i64::MAX)?;
    let accumulated_volume = count(fields.get(Field::Accumulated), i64::MAX)?;
    let simulated = match fields.get(Field::Source) {
        Value::Absent => false,
        Value::Text(source) => text_is(source, bytes, b"simulated"),
        _ => return Err(Reason::WrongType),
    };
    let rights = match fields.get(Field::Conditions) {
        Value::Absent => Rights::REGULAR_SALE,
        Value::Rights(rights) => rights,
        _ => return Err(Reason::WrongType),
    };
    let tick = Tick {
        ticker: b"",
        kind,
        ts_us,
        start_us,
        price,
        open,
        high,
        low,
        close,
        vwap,
        volume,
        seq,
        accumulated_volume,
        simulated,
        rights,
    };
    Ok(Row { ticker, tick })
}

#[inline]
fn ticker(fields: &Fields, bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Text, Reason> {
    let value = match fields.get(Field::Ticker) {
        Value::Absent => fields.get(Field::Symbol),
        value => value,
    };
    let text = match value {
        Value::Absent => return Err(Reason::MissingField),
        Value::Text(text) => text,
        _ => return Err(Reason::WrongType),
    };
    let (text, ticker) = if text.escaped {
        let start = scratch.len();
        if !unescape(text.raw(bytes), scratch) {
            return Err(Reason::BadTicker);
        }
        (Text { start: start as u32, end: scratch.len() as u32, escaped: true }, &scratch[start..])
    } else {
        (text, text.raw(bytes))
    };
    let good = (1..=20).contains(&ticker.len()) && ticker.iter().all(|&byte| byte > 0x20 && byte != 0x7f);
    if good { Ok(text) } else { Err(Reason::BadTicker) }
}

#[inline]
fn kind(fields: &Fields, bytes: &[u8]) -> Result<Kind, Reason> {
    match fields.get(Field::EventType) {
        Value::Absent => match fields.get(Field::Type) {
            Value::Text(name) if text_is(name, bytes, b"market_tick") => Ok(Kind::A),
            _ => Err(Reason::MissingField),
        },
        Value::Text(name) if !name.escaped => match name.raw(bytes) {
            b"A" => Ok(Kind::A),
            b"T" => Ok(Kind::T),
            b"Q" => Ok(Kind::Q),
            _ => Err(Reason::UnknownKind),
        },
        Value::Text(name) => [Kind::A, Kind::T, Kind::Q]
            .into_iter()
            .find(|kind| text_is(name, bytes, &[kind.letter()]))
            .ok_or(Reason::UnknownKind),
        _ => Err(Reason::WrongType),
    }
}

/// Compares after unescaping; equal text with an escape is rare enough to pay for a copy.
#[inline]
fn text_is(text: Text, bytes: &[u8], expected: &[u8]) -> bool {
    if !text.escaped {
        return text.raw(bytes) == expected;
    }
    let mut plain = Vec::new();
    unescape(text.raw(bytes), &mut plain) && plain == expected
}

#[inline]
fn number(value: Value) -> Result<Option<f64>, Reason> {
    match value {
        Value::Float(number) | Value::Big(number) => Ok(Some(number)),
        Value::Int(number) => Ok(Some(number as f64)),
        Value::Absent => Ok(None),
        Value::Text(_) | Value::Rights(_) | Value::Other => Err(Reason::WrongType),
    }
}

#[inline]
fn price(value: Value) -> Result<Option<f64>, Reason> {
    let price = number(value)?;
    match price {
        Some(price) if !(price > 0.0 && price < f64::INFINITY) => Err(Reason::BadPrice),
        _ => Ok(price),
    }
}

/// A count of 0 to `most`, compared as the exact number that was written.
#[inline]
fn count(value: Value, most: i64) -> Result<Option<i64>, Reason> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    let count = match value {
        Value::Int(count) => count,
        Value::Float(number) if (0.0..TWO_63).contains(&number) && number == number.trunc() => number as i64,
        Value::Float(_) | Value::Big(_) => -1,
        Value::Absent => return Ok(None),
        Value::Text(_) | Value::Rights(_) | Value::Other => return Err(Reason::WrongType),
    };
    if (0..=most).contains(&count) { Ok(Some(count)) } else { Err(Reason::BadVolume) }
}

#[inline]
fn volume(fields: &Fields, kind: Kind) -> Result<i64, Reason> {
    let tick_volume = count(fields.get(Field::TickVolume), 1 << 53)?;
    let volume = count(fields.get(Field::Volume), 1 << 53)?;
    match tick_volume.or(volume) {
        Some(volume) => Ok(volume),
        None if kind == Kind::Q => Ok(0),
        None => Err(Reason::MissingField),
    }
}

/// The window's start, which lies within the minute before its end; it may lie before 2000 itself.
#[inline]
pub(crate) fn start_us(value: Value, ts_us: i64) -> Result<Option<i64>, Reason> {
    let Some(seconds) = number(value)? else {
        return Ok(None);
    };
    if !(EARLIEST_S - 61.0..=LATEST_S).contains(&seconds) {
        return Err(Reason::BadTimestamp);
    }
    let start_us = nearest_us(seconds);
    if (ts_us - MINUTE_US..=ts_us).contains(&start_us) { Ok(Some(start_us)) } else { Err(Reason::BadTimestamp) }
}
