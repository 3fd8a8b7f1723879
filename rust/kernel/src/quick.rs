//! Usual objects, quickly: every field at most once, texts without escapes, numbers without sign and exponent.
//!
//! Nothing is refused here: whatever is not a good tick for sure is `None`, and the object is read again with care.

use crate::condition::Rights;
use crate::field::{Field, Row, start_us};
use crate::json::{Scanner, Text, Value, plain_end};
use crate::number::{plain_number, word};
use crate::tick::{Kind, Tick};
use crate::time::micros;

/// What an object holds so far. Numbers are not negative; NaN is absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quick {
    numbers: [f64; Field::NUMBERS],
    ticker: Text,
    kind: Option<Kind>,
    simulated: bool,
    rights: Rights,
}

impl Default for Quick {
    fn default() -> Self {
        Self {
            numbers: [f64::NAN; Field::NUMBERS],
            ticker: Text { start: 0, end: 0, escaped: false },
            kind: None,
            simulated: false,
            rights: Rights::REGULAR_SALE,
        }
    }
}

const NULL: u64 = 0x6c6c_756e;

#[inline]
fn is_null(word: u64) -> bool {
    word & 0xffff_ffff == NULL
}

/// Behind the value from `at` on, of any kind.
#[inline]
pub(crate) fn skip(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    if is_null(word(bytes, at)) {
        return Some(at + 4);
    }
    let mut scanner = Scanner { bytes, at };
    scanner.skip(depth).ok()?;
    Some(scanner.at)
}

#[inline]
fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Reads an object in any order from `start` on: its tick and where it ends.
#[inline]
pub(crate) fn any_order(bytes: &[u8], start: usize, depth: usize) -> Option<(Row, usize)> {
    let mut quick = Quick::default();
    let mut seen = 0_u32;
    let mut at = space(bytes, start + 1);
    loop {
        let key = at + 1;
        let end = plain_end(bytes, key);
        if bytes.get(at) != Some(&b'"') || bytes.get(end) != Some(&b'"') {
            return None;
        }
        let colon = space(bytes, end + 1);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        at = space(bytes, colon + 1);
        at = match Field::of(bytes.get(key..end)?) {
            None => skip(bytes, at, depth)?,
            Some(field) => {
                let bit = 1 << field as u32;
                if seen & bit != 0 {
                    return None;
                }
                seen |= bit;
                quick.take(field, bytes, at, depth)?
            }
        };
        at = space(bytes, at);
        match bytes.get(at) {
            Some(b',') => at = space(bytes, at + 1),
            Some(b'}') => return Some((quick.row()?, at + 1)),
            _ => return None,
        }
    }
}

impl Quick {
    /// Takes the value of `field` from `at` on; where it ends.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call a number is a tenth of the cost of a message")]
    pub(crate) fn take(&mut self, field: Field, bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
        if let Some(number) = self.numbers.get_mut(field as usize) {
            if is_null(word(bytes, at)) {
                *number = f64::NAN;
                return Some(at + 4);
            }
            let (value, end) = plain_number(bytes, at)?;
            *number = value;
            return Some(end);
        }
        self.take_other(field, bytes, at, depth)
    }

    fn take_other(&mut self, field: Field, bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
        match field {
            Field::Ticker => self.take_ticker(bytes, at),
            Field::EventType => {
                self.kind = Some(match word(bytes, at) & 0x00ff_ffff {
                    0x22_41_22 => Kind::A,
                    0x22_54_22 => Kind::T,
                    0x22_51_22 => Kind::Q,
                    _ => return None,
                });
                Some(at + 3)
            }
            Field::Source => {
                let end = plain_end(bytes, at + 1);
                if bytes.get(at) != Some(&b'"') || bytes.get(end) != Some(&b'"') {
                    return None;
                }
                self.simulated = bytes.get(at + 1..end) == Some(b"simulated");
                Some(end + 1)
            }
            Field::Conditions => {
                let mut scanner = Scanner { bytes, at };
                self.rights = match scanner.conditions(depth).ok()? {
                    Value::Rights(rights) => rights,
                    Value::Absent => Rights::REGULAR_SALE,
                    _ => return None,
                };
                Some(scanner.at)
            }
            // What stands in for an absent field is read with care.
            _ => None,
        }
    }

    #[inline]
    fn take_ticker(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        let start = at + 1;
        let mut end = start;
        loop {
            let word = word(bytes, end);
            let byte = |byte: u8| {
                let zero = word ^ (ONES * u64::from(byte));
                zero.wrapping_sub(ONES) & !zero
            };
            let low = word.wrapping_sub(ONES * 0x21) & !word;
            let flags = (low | byte(b'"') | byte(b'\\') | byte(0x7f)) & (ONES << 7);
            if flags != 0 {
                let shift = flags.trailing_zeros() / 8;
                end += shift as usize;
                let good = (word >> (8 * shift)) as u8 == b'"' && (1..=20).contains(&(end - start));
                self.ticker = Text { start: start as u32, end: end as u32, escaped: false };
                return (good && bytes.get(at) == Some(&b'"')).then_some(end + 1);
            }
            end += 8;
            if end - start > 20 {
                return None;
            }
        }
    }

    #[inline]
    fn price(&self, field: Field) -> Option<f64> {
        let price = self.numbers[field as usize];
        if price.is_nan() { None } else { Some(price) }
    }

    /// A count, if there is one; `Err` for a number that is none or too large.
    #[inline]
    fn count(&self, field: Field) -> Result<Option<i64>, ()> {
        let number = self.numbers[field as usize];
        if number.is_nan() {
            return Ok(None);
        }
        let count = number as i64;
        if count as f64 == number && count <= 1 << 53 { Ok(Some(count)) } else { Err(()) }
    }

    /// The tick, if it is good.
    #[inline]
    pub(crate) fn row(&self) -> Option<Row> {
        let numbers = &self.numbers;
        let prices = &numbers[Field::Price as usize..=Field::Vwap as usize];
        // An absent price is NaN, which is not below or equal to anything.
        let bad = prices.iter().filter(|&&price| price <= 0.0).count();
        if bad > 0 || numbers[Field::Price as usize].is_nan() {
            return None;
        }
        let ts_us = micros(numbers[Field::Timestamp as usize])?;
        let kind = self.kind?;
        let tick_volume = self.count(Field::TickVolume).ok()?;
        let volume = self.count(Field::Volume).ok()?;
        let volume = match tick_volume.or(volume) {
            Some(volume) => volume,
            None if kind == Kind::Q => 0,
            None => return None,
        };
        let start = self.price(Field::Start).map_or(Value::Absent, Value::Float);
        if self.ticker.end == 0 {
            return None;
        }
        let tick = Tick {
            ticker: b"",
            kind,
            ts_us,
            start_us: start_us(start, ts_us).ok()?,
            price: numbers[Field::Price as usize],
            open: self.price(Field::Open),
            high: self.price(Field::High),
            low: self.price(Field::Low),
            close: self.price(Field::Close),
            vwap: self.price(Field::Vwap),
            volume,
            seq: self.count(Field::Seq).ok()?,
            accumulated_volume: self.count(Field::Accumulated).ok()?,
            simulated: self.simulated,
            rights: self.rights,
        };
        Some(Row { ticker: self.ticker, tick })
    }
}
