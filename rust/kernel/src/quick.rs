//! Usual objects, quickly: every field at most once, plain texts, numbers without sign and exponent.
//!
//! Nothing is refused here: whatever is not a good tick for sure is `None`, and is read again with care. Only ASCII is
//! read, so the bytes need not be known to be UTF-8.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]

use crate::condition::Rights;
use crate::field::{Field, Row, start_us};
use crate::json::{Scanner, Text, Value, space_end};
use crate::number::{Decimal, window, word};
use crate::tick::{Kind, Tick};
use crate::time::micros;

/// Reads the objects of one producer, who writes the same bytes between two values each time.
///
/// The bytes expected are a guess: a wrong one costs time, not truth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// No field twice.
    steps: Vec<Step>,
    /// Objects that took another course, since one took this.
    misses: u32,
    stamp: Stamp,
}

/// The last stamp with what followed it: most ticks of a second bear the same.
#[derive(Clone, Copy, Debug, Default)]
struct Stamp {
    near: [u8; 16],
    /// Less than 16, so that the number's end has been seen.
    len: usize,
    seconds: f64,
}

impl Stamp {
    /// The stamp that `rest` starts with, and what follows it.
    #[inline(always)]
    fn read<'a>(&mut self, rest: &'a [u8]) -> Option<(f64, &'a [u8])> {
        let near = rest.first_chunk::<16>();
        if self.len > 0 && near == Some(&self.near) {
            return Some((self.seconds, rest.get(self.len..)?));
        }
        let (number, after) = Decimal::read(rest)?;
        let seconds = number.value()?;
        let len = rest.len() - after.len();
        if let Some(near) = near.filter(|_| len < 16) {
            *self = Self { near: *near, len, seconds };
        }
        Some((seconds, after))
    }
}

/// What stands from the end of one value to the start of the next, such as `, "price": `, and what that value is.
#[derive(Clone, Copy, Debug)]
struct Step {
    text: [u8; MAX_TEXT],
    /// The last 8 bytes.
    last: [u8; 8],
    len: usize,
    field: Field,
}

/// Longer keys than a tick has are not worth remembering, nor are more of them.
const MAX_TEXT: usize = 32;
const MAX_STEPS: usize = 32;

impl Step {
    fn new(bytes: &[u8], field: Field) -> Option<Self> {
        let mut text = [0; MAX_TEXT];
        text.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { text, last: bytes.last_chunk().copied().unwrap_or_default(), len: bytes.len(), field })
    }

    /// What follows, if this comes first.
    #[inline(always)]
    fn strip<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (text, rest) = rest.split_at_checked(self.len)?;
        // In words that overlap: comparing slices is a call.
        let same = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (Some(first), Some(last)) if self.len <= 24 => {
                first[..] == self.text[..8]
                    && *last == self.last
                    && (self.len <= 16 || text.get(8..16)? == &self.text[8..16])
            }
            _ => text == self.text.get(..self.len)?,
        };
        same.then_some(rest)
    }
}

impl Reader {
    /// Reads the object that starts at `start`: its tick and where it ends.
    ///
    /// `depth` containers are open, this one included.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], start: usize, depth: usize) -> Option<(Row, usize)> {
        let mut object = Object::default();
        let mut rest = bytes.get(start..).filter(|rest| rest.starts_with(b"{"))?;
        let mut steps = self.steps.iter();
        while let Some(step) = steps.next() {
            let Some(value) = step.strip(rest) else {
                let index = self.steps.len() - steps.len() - 1;
                return self.detour(bytes, rest, depth, object, index);
            };
            rest = object.take(step.field, bytes, value, depth, &mut self.stamp)?;
        }
        if self.steps.is_empty() || rest.first() != Some(&b'}') {
            return self.detour(bytes, rest, depth, object, self.steps.len());
        }
        self.misses = 0;
        Some((object.row()?, bytes.len() - rest.len() + 1))
    }

    /// The rest of an object whose keys are not the expected ones from step `index` on.
    ///
    /// Two producers on one channel take turns, so a course is given up only when it has led nowhere for a while, and a
    /// producer without any course is seldom asked for one.
    #[inline(never)]
    fn detour<'a>(
        &mut self,
        bytes: &'a [u8],
        mut rest: &'a [u8],
        depth: usize,
        mut object: Object,
        index: usize,
    ) -> Option<(Row, usize)> {
        self.misses = self.misses.saturating_add(1);
        let mut learning = self.steps.is_empty() || (self.misses >= 4 && self.misses.is_power_of_two());
        let bit = |field: Field| 1_u32 << field as u32 & !(1 << Field::Ignored as u32);
        let mut seen = self.steps.iter().take(index).fold(0_u32, |seen, step| seen | bit(step.field));
        if learning {
            self.steps.truncate(index);
        }
        let mut opening = if index == 0 { b'{' } else { b',' };
        loop {
            let before = rest;
            let Some((field, value)) = key(rest, opening).or_else(|| any_key(rest, opening)) else {
                rest = space(rest).strip_prefix(b"}")?;
                return Some((object.row()?, bytes.len() - rest.len()));
            };
            opening = b',';
            if seen & bit(field) != 0 {
                return None;
            }
            seen |= bit(field);
            if learning {
                let step = before.get(..before.len() - value.len()).and_then(|bytes| Step::new(bytes, field));
                learning = step.is_some() && self.steps.len() < MAX_STEPS;
                self.steps.extend(step.filter(|_| learning));
            }
            rest = object.take(field, bytes, value, depth, &mut self.stamp)?;
        }
    }
}

/// The field of the key that `rest` starts with, behind `opening`, and what follows its colon; `None` unless both the
/// key and the space around it are usual.
#[inline(always)]
fn key(rest: &[u8], opening: u8) -> Option<(Field, &[u8])> {
    let (first, rest) = rest.split_first()?;
    // Not a sum of comparisons: where the next value starts should be guessed, not computed.
    let rest = match rest.strip_prefix(b" \"") {
        Some(rest) => rest,
        None => rest.strip_prefix(b"\"")?,
    };
    let mut padded = [0; 16];
    let window = window(rest, &mut padded);
    let words = [word(window), word(&window[8..])];
    let [low, high] = words.map(|word| zero(word ^ (ONES * u64::from(b'"'))) & (ONES << 7));
    // Not one half, then the other: which it is cannot be guessed.
    let quotes = u128::from(low) | u128::from(high) << 64;
    let before = ((quotes & quotes.wrapping_neg()) >> 7).wrapping_sub(1);
    let key = (u128::from(words[0]) | u128::from(words[1]) << 64) & before;
    let field = Field::known(key).filter(|_| *first == opening)?;
    let rest = rest.get(quotes.trailing_zeros() as usize / 8..)?;
    let rest = match rest.strip_prefix(b"\": ") {
        Some(rest) => rest,
        None => rest.strip_prefix(b"\":")?,
    };
    Some((field, rest))
}

/// The same for any key and space.
#[inline(never)]
fn any_key(rest: &[u8], opening: u8) -> Option<(Field, &[u8])> {
    let rest = space(rest).strip_prefix(&[opening])?;
    let rest = space(rest);
    let end = text_end(rest, b' ')?;
    let field = Field::of(rest.get(1..end)?);
    let rest = space(rest.get(end + 1..)?).strip_prefix(b":")?;
    Some((field, space(rest)))
}

/// What an object holds so far.
#[derive(Clone, Copy, Debug)]
struct Object {
    prices: [Option<f64>; Field::PRICES],
    counts: [Option<i64>; Field::COUNTS],
    timestamp: Option<f64>,
    start: Option<f64>,
    ticker: Text,
    kind: Option<Kind>,
    simulated: bool,
    rights: Rights,
}

impl Default for Object {
    fn default() -> Self {
        Self {
            prices: [None; Field::PRICES],
            counts: [None; Field::COUNTS],
            timestamp: None,
            start: None,
            ticker: Text { start: 0, end: 0, escaped: false },
            kind: None,
            simulated: false,
            rights: Rights::REGULAR_SALE,
        }
    }
}

impl Object {
    /// Takes the value of `field`, which `rest` starts with; what follows it.
    #[inline(always)]
    fn take<'a>(
        &mut self,
        field: Field,
        bytes: &[u8],
        rest: &'a [u8],
        depth: usize,
        stamp: &mut Stamp,
    ) -> Option<&'a [u8]> {
        let slot = field as usize;
        if slot < Field::PRICES + Field::COUNTS {
            let Some((number, rest)) = Decimal::read(rest) else {
                return rest.strip_prefix(b"null");
            };
            if let Some(price) = self.prices.get_mut(slot) {
                *price = Some(number.value()?);
                return (number.mantissa > 0).then_some(rest);
            }
            self.counts[slot - Field::PRICES] = Some(number.count()?);
            return Some(rest);
        }
        if let Some(rest) = rest.strip_prefix(b"null") {
            return Some(rest);
        }
        match field {
            Field::Timestamp => {
                let (seconds, rest) = stamp.read(rest)?;
                self.timestamp = Some(seconds);
                Some(rest)
            }
            Field::Start => {
                let (number, rest) = Decimal::read(rest)?;
                self.start = Some(number.value()?);
                Some(rest)
            }
            Field::Ticker => {
                let end = text_end(rest, b'!')?;
                let start = bytes.len() - rest.len();
                self.ticker = Text { start: (start + 1) as u32, end: (start + end) as u32, escaped: false };
                if !(2..=21).contains(&end) {
                    return None;
                }
                rest.get(end + 1..)
            }
            Field::EventType => {
                let (name, rest) = rest.split_first_chunk()?;
                self.kind = Some(match name {
                    b"\"A\"" => Kind::A,
                    b"\"T\"" => Kind::T,
                    b"\"Q\"" => Kind::Q,
                    _ => return None,
                });
                Some(rest)
            }
            Field::Source => {
                let end = text_end(rest, b' ')?;
                self.simulated = rest.get(1..end) == Some(b"simulated");
                rest.get(end + 1..)
            }
            Field::Conditions => {
                let mut scanner = Scanner { bytes: rest, at: 0 };
                match scanner.conditions(depth).ok()? {
                    Value::Rights(rights) => self.rights = rights,
                    _ => return None,
                }
                rest.get(scanner.at..)
            }
            Field::Ignored => skip(rest, depth),
            // What stands in for an absent field is read with care.
            _ => None,
        }
    }

    /// The tick, if it is good.
    #[inline(always)]
    fn row(&self) -> Option<Row> {
        let [price, open, high, low, close, vwap] = self.prices;
        let [tick_volume, volume, seq, accumulated_volume] = self.counts;
        let kind = self.kind?;
        let ts_us = micros(self.timestamp?)?;
        if self.ticker.end == 0 {
            return None;
        }
        let volume = match tick_volume.or(volume) {
            Some(volume) => volume,
            None if kind == Kind::Q => 0,
            None => return None,
        };
        let start_us = match self.start {
            Some(seconds) => start_us(Value::Float(seconds), ts_us).ok()?,
            None => None,
        };
        let tick = Tick {
            ticker: b"",
            kind,
            ts_us,
            start_us,
            price: price?,
            open,
            high,
            low,
            close,
            vwap,
            volume,
            seq,
            accumulated_volume,
            simulated: self.simulated,
            rights: self.rights,
        };
        Some(Row { ticker: self.ticker, tick })
    }
}

#[inline]
fn space(rest: &[u8]) -> &[u8] {
    rest.get(space_end(rest, 0)..).unwrap_or_default()
}

/// What follows the value that `rest` starts with, of any kind.
#[inline(never)]
fn skip(rest: &[u8], depth: usize) -> Option<&[u8]> {
    if let Some((_, rest)) = Decimal::read(rest) {
        return Some(rest);
    }
    let mut scanner = Scanner { bytes: rest, at: 0 };
    scanner.skip(depth).ok()?;
    let (value, rest) = rest.split_at_checked(scanner.at)?;
    value.is_ascii().then_some(rest)
}

const ONES: u64 = u64::from_le_bytes([1; 8]);

/// Has the high bit of each zero byte set; wrongly of others only behind one.
#[inline]
fn zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// Where the text whose opening quote `rest` starts with has its closing one; `None` if a byte of it is a backslash,
/// DEL, not ASCII or below `floor`.
///
/// Eight bytes at a time, as in `json::plain_end`.
#[inline(always)]
fn text_end(rest: &[u8], floor: u8) -> Option<usize> {
    let mut padded = [0; 9];
    let window = window(rest, &mut padded);
    if window[0] != b'"' {
        return None;
    }
    let mut end = 1;
    let mut word = word(&window[1..]);
    let mut flags = marks(word, floor);
    while flags == 0 {
        end += 8;
        word = self::word(rest.get(end..)?);
        flags = marks(word, floor);
    }
    let bits = flags.trailing_zeros() & 0x38;
    let closed = (word >> bits) as u8 == b'"';
    closed.then_some(end + bits as usize / 8)
}

/// Has the high bit set of each byte that ends a plain text; of others only behind one.
#[inline]
fn marks(word: u64, floor: u8) -> u64 {
    let low = word.wrapping_sub(ONES * u64::from(floor)) & !word;
    let high = word | word.wrapping_add(ONES);
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let backslash = zero(word ^ (ONES * u64::from(b'\\')));
    (low | high | quote | backslash) & (ONES << 7)
}
