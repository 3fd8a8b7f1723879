//! What the objects of a block hold, side by side.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]
#![expect(clippy::needless_bitwise_bool, reason = "a jump for each of many checks costs more than the checks")]

use crate::block::LANES;
use crate::condition::Rights;
use crate::course::LOST;
use crate::eights::{Eights, TWO_52};
use crate::field::{Field, Row, start_us};
use crate::json::{Scanner, Text, Value};
use crate::number::Decimal;
use crate::sixteen::{Sixteen, load};
use crate::tick::{Kind, Tick};
use crate::time::micros;

const NO_TEXT: Text = Text { start: 0, end: 0, escaped: false };
const NO_STAMP: i64 = i64::MIN;

/// Values that are the same in all objects of a course.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usual {
    pub(crate) kind: Option<Kind>,
    pub(crate) simulated: bool,
}

/// What the objects of a block hold.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    numbers: [Eights; Self::NUMBERS],
    /// The field whose numbers are this field's too, in every object.
    twins: [Option<Field>; Self::NUMBERS],
    ts_us: [i64; LANES],
    start_s: [f64; LANES],
    start_us: [i64; LANES],
    tickers: [Text; LANES],
    kinds: [Option<Kind>; LANES],
    simulated: [bool; LANES],
    rights: [Rights; LANES],
    stamp: Known<i64>,
    source: Known<bool>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            numbers: [const { Eights::NONE }; Self::NUMBERS],
            twins: [None; Self::NUMBERS],
            ts_us: [NO_STAMP; LANES],
            start_s: [f64::NAN; LANES],
            start_us: [NO_STAMP; LANES],
            tickers: [NO_TEXT; LANES],
            kinds: [None; LANES],
            simulated: [false; LANES],
            rights: [Rights::REGULAR_SALE; LANES],
            stamp: Known::default(),
            source: Known::default(),
        }
    }
}

/// A short text that was read before, and what it means: most objects of a second bear the same stamp and source. What
/// follows it must be looked at by who goes on reading there.
#[derive(Clone, Copy, Debug, Default)]
struct Known<T> {
    text: Sixteen,
    /// Bits of what must be the same.
    bits: u32,
    len: u32,
    value: T,
}

impl<T: Copy> Known<T> {
    #[inline(always)]
    fn get(&self, text: Sixteen) -> Option<(T, u32)> {
        (self.bits != 0 && text.same(self.text) & self.bits == self.bits).then_some((self.value, self.len))
    }

    /// Remembers a text of `len` bytes, unless it is too long.
    fn set(&mut self, text: Sixteen, len: u32, value: T) {
        if len <= 16 {
            *self = Self { text, bits: !(u32::MAX << len), len, value };
        }
    }
}

impl Lanes {
    const NUMBERS: usize = Field::PRICES + Field::COUNTS;

    #[inline(always)]
    pub(crate) fn clear(&mut self, usual: Usual) {
        for numbers in &mut self.numbers {
            numbers.clear();
        }
        self.twins = [None; Self::NUMBERS];
        self.ts_us = [NO_STAMP; LANES];
        self.start_s = [f64::NAN; LANES];
        self.start_us = [NO_STAMP; LANES];
        self.tickers = [NO_TEXT; LANES];
        self.kinds = [usual.kind; LANES];
        self.simulated = [usual.simulated; LANES];
        self.rights = [Rights::REGULAR_SALE; LANES];
    }

    pub(crate) fn clear_one(&mut self, lane: usize) {
        for numbers in &mut self.numbers {
            numbers.clear_one(lane);
        }
        self.twins = [None; Self::NUMBERS];
        self.ts_us[lane] = NO_STAMP;
        self.start_s[lane] = f64::NAN;
        self.start_us[lane] = NO_STAMP;
        self.tickers[lane] = NO_TEXT;
        self.kinds[lane] = None;
        self.simulated[lane] = false;
        self.rights[lane] = Rights::REGULAR_SALE;
    }

    /// Turns the numbers' texts into numbers. `bad` gets a bit set for objects one of whose numbers is not good.
    #[inline(always)]
    pub(crate) fn convert(&mut self, bad: &mut [u64; LANES]) {
        for (slot, numbers) in self.numbers.iter_mut().enumerate() {
            if self.twins[slot].is_none() {
                numbers.convert(bad);
                if slot < Field::PRICES {
                    numbers.check_prices(bad);
                } else {
                    numbers.check_counts(bad);
                }
            }
        }
        for slot in 0..Self::NUMBERS {
            if let Some(twin) = self.twins[slot] {
                let values = *self.numbers[twin as usize].values();
                self.numbers[slot].set_values(values);
            }
        }
    }

    /// `bad` gets a bit set for objects that lack what every tick has.
    #[inline(always)]
    pub(crate) fn judge(&mut self, bad: &mut [u64; LANES]) {
        let price = self.numbers(Field::Price);
        let (tick_volume, volume) = (self.numbers(Field::TickVolume), self.numbers(Field::Volume));
        for lane in 0..LANES {
            let no_volume = tick_volume[lane].is_nan() & volume[lane].is_nan() & (self.kinds[lane] != Some(Kind::Q));
            let lacks = price[lane].is_nan()
                | no_volume
                | self.kinds[lane].is_none()
                | (self.ts_us[lane] == NO_STAMP)
                | (self.tickers[lane].end == 0);
            bad[lane] |= u64::from(lacks);
        }
        if self.has_start() {
            self.judge_starts(bad);
        }
    }

    /// The same for `tick_start_timestamp`, which few producers send.
    #[inline(never)]
    fn judge_starts(&mut self, bad: &mut [u64; LANES]) {
        let lanes = self.start_s.iter().zip(&self.ts_us).zip(&mut self.start_us).zip(bad);
        for (((&start_s, &ts_us), to), bad) in lanes.filter(|(((start_s, _), _), bad)| !start_s.is_nan() && **bad == 0)
        {
            match start_us(Value::Float(start_s), ts_us) {
                Ok(Some(start_us)) => *to = start_us,
                _ => *bad = 1,
            }
        }
    }

    /// What the first object says where all say the same.
    pub(crate) fn usual(&self) -> Usual {
        Usual { kind: self.kinds[0], simulated: self.simulated[0] }
    }

    /// The numbers of `field` are those of `twin`, unless one of them turns out not to be.
    #[inline(always)]
    pub(crate) fn pair(&mut self, field: Field, twin: Field) {
        self.twins[field as usize] = Some(twin);
    }

    /// Whether any object has `tick_start_timestamp`.
    pub(crate) fn has_start(&self) -> bool {
        !self.start_s.iter().all(|start_s| start_s.is_nan())
    }

    // Columns of good objects.

    pub(crate) fn numbers(&self, field: Field) -> &[f64; LANES] {
        self.numbers[field as usize].values()
    }

    /// -1 where there is none.
    pub(crate) fn seqs(&self) -> [i64; LANES] {
        self.numbers[Field::Seq as usize].values().map(|seq| whole(seq).unwrap_or(-1))
    }

    pub(crate) fn volumes(&self) -> [i64; LANES] {
        let mut volumes = [0; LANES];
        let both = self.numbers(Field::TickVolume).iter().zip(self.numbers(Field::Volume));
        for (to, (tick_volume, volume)) in volumes.iter_mut().zip(both) {
            let volume = if tick_volume.is_nan() { volume } else { tick_volume };
            *to = whole(*volume).unwrap_or(0);
        }
        volumes
    }

    pub(crate) fn ts_us(&self) -> &[i64; LANES] {
        &self.ts_us
    }

    pub(crate) fn kinds(&self) -> [u8; LANES] {
        self.kinds.map(|kind| kind.map_or(0, Kind::letter))
    }

    pub(crate) fn tickers(&self) -> &[Text; LANES] {
        &self.tickers
    }

    // Each of these takes the value at `from` and says where it ends.

    #[inline(always)]
    pub(crate) fn take(&mut self, field: Field, lane: usize, bytes: &[u8], from: u32, depth: usize) -> u32 {
        match field {
            _ if field.is_number() => self.number(field, lane, bytes, from),
            Field::Ignored => ignored(bytes, from, depth),
            Field::Ticker => self.ticker(lane, bytes, from),
            Field::EventType => self.kind(lane, bytes, from),
            Field::Source => self.source(lane, bytes, from),
            Field::Timestamp => self.timestamp(lane, bytes, from),
            _ => self.rare(field, lane, bytes, from, depth).unwrap_or(LOST),
        }
    }

    /// A number that is likely to be that of an earlier field.
    #[inline(always)]
    pub(crate) fn twin(&mut self, field: Field, twin: Field, lane: usize, bytes: &[u8], from: u32) -> u32 {
        let (slot, twin) = (field as usize, twin as usize);
        let (word, len) = (self.numbers[twin].words[lane], self.numbers[twin].lens[lane]);
        let from = from as usize;
        if let Some(here) = bytes.get(from..from + 8).and_then(|bytes| bytes.first_chunk()) {
            let differs = (u64::from_le_bytes(*here) ^ word) << (64_u64.wrapping_sub(len << 3) & 63);
            if differs == 0 && len != 0 {
                let numbers = &mut self.numbers[slot];
                numbers.words[lane] = word;
                numbers.lens[lane] = len;
                return (from as u32).wrapping_add(len as u32);
            }
        }
        self.twins[slot] = None;
        self.number(field, lane, bytes, from as u32)
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, field: Field, lane: usize, bytes: &[u8], from: u32) -> u32 {
        let len = load(bytes, from).number_len();
        let word = bytes.get(from as usize..from as usize + 8).and_then(|word| word.first_chunk());
        let numbers = &mut self.numbers[field as usize];
        let Some(word) = word.filter(|_| (1..=8).contains(&len)) else {
            return long_number(&mut numbers.known[lane], bytes, from).unwrap_or(LOST);
        };
        numbers.words[lane] = u64::from_le_bytes(*word);
        numbers.lens[lane] = u64::from(len);
        from.wrapping_add(len)
    }

    #[inline(always)]
    pub(crate) fn timestamp(&mut self, lane: usize, bytes: &[u8], from: u32) -> u32 {
        let text = load(bytes, from);
        let known = match self.stamp.get(text) {
            Some(known) => Some(known),
            None => self.new_stamp(bytes, from),
        };
        let Some((ts_us, len)) = known else {
            return LOST;
        };
        self.ts_us[lane] = ts_us;
        from.wrapping_add(len)
    }

    #[inline(never)]
    fn new_stamp(&mut self, bytes: &[u8], from: u32) -> Option<(i64, u32)> {
        let text = load(bytes, from);
        let (number, len) = Decimal::read(text, bytes.get(from as usize..)?)?;
        let ts_us = micros(number.value()?)?;
        self.stamp.set(text, len, ts_us);
        Some((ts_us, len))
    }

    #[inline(always)]
    pub(crate) fn ticker(&mut self, lane: usize, bytes: &[u8], from: u32) -> u32 {
        let Some(end) = text_end(load(bytes, from), bytes, from, b'!') else {
            return LOST;
        };
        let ticker = Text { start: from.wrapping_add(1), end, escaped: false };
        self.tickers[lane] = ticker;
        if (1..=20).contains(&ticker.end.wrapping_sub(ticker.start)) { end.wrapping_add(1) } else { LOST }
    }

    #[inline(always)]
    pub(crate) fn kind(&mut self, lane: usize, bytes: &[u8], from: u32) -> u32 {
        self.kinds[lane] = match bytes.get(from as usize..).and_then(|rest| rest.first_chunk()) {
            Some(b"\"A\"") => Some(Kind::A),
            Some(b"\"T\"") => Some(Kind::T),
            Some(b"\"Q\"") => Some(Kind::Q),
            _ => return LOST,
        };
        from.wrapping_add(3)
    }

    #[inline(always)]
    pub(crate) fn source(&mut self, lane: usize, bytes: &[u8], from: u32) -> u32 {
        let text = load(bytes, from);
        let known = match self.source.get(text) {
            Some(known) => Some(known),
            None => self.new_source(bytes, from),
        };
        let Some((simulated, len)) = known else {
            return LOST;
        };
        self.simulated[lane] = simulated;
        from.wrapping_add(len)
    }

    #[inline(never)]
    fn new_source(&mut self, bytes: &[u8], from: u32) -> Option<(bool, u32)> {
        if bytes.get(from as usize..)?.starts_with(b"null") {
            return Some((false, 4));
        }
        let text = load(bytes, from);
        let end = text_end(text, bytes, from, b' ')?;
        let simulated = bytes.get(from as usize + 1..end as usize)? == b"simulated";
        let len = end + 1 - from;
        self.source.set(text, len, simulated);
        Some((simulated, len))
    }

    /// Fields that few producers send.
    #[inline(never)]
    pub(crate) fn rare(&mut self, field: Field, lane: usize, bytes: &[u8], from: u32, depth: usize) -> Option<u32> {
        let rest = bytes.get(from as usize..)?;
        if rest.starts_with(b"null") {
            return Some(from + 4);
        }
        match field {
            Field::Start => {
                let (number, len) = Decimal::read(load(bytes, from), rest)?;
                self.start_s[lane] = number.value()?;
                Some(from + len)
            }
            Field::Conditions => {
                let mut scanner = Scanner { bytes, at: from as usize };
                let Value::Rights(rights) = scanner.conditions(depth).ok()? else {
                    return None;
                };
                self.rights[lane] = rights;
                Some(scanner.at as u32)
            }
            // What stands in for an absent field is read with care.
            _ => None,
        }
    }

    /// The tick of one object, which must be good, and the place of its ticker.
    #[inline(always)]
    pub(crate) fn row(&self, lane: usize) -> Row {
        let number = |field: Field| self.numbers[field as usize].value(lane);
        let price = |field: Field| Some(number(field)).filter(|price| !price.is_nan());
        let count = |field: Field| whole(number(field));
        let tick = Tick {
            ticker: b"",
            kind: self.kinds[lane].unwrap_or(Kind::Q),
            ts_us: self.ts_us[lane],
            start_us: Some(self.start_us[lane]).filter(|&start_us| start_us != NO_STAMP),
            price: number(Field::Price),
            open: price(Field::Open),
            high: price(Field::High),
            low: price(Field::Low),
            close: price(Field::Close),
            vwap: price(Field::Vwap),
            volume: count(Field::TickVolume).or(count(Field::Volume)).unwrap_or(0),
            seq: count(Field::Seq),
            accumulated_volume: count(Field::Accumulated),
            simulated: self.simulated[lane],
            rights: self.rights[lane],
        };
        Row { ticker: self.tickers[lane], tick }
    }
}

/// A whole number below 2⁵², as all counts of a good object are; `None` for NaN.
#[inline(always)]
fn whole(number: f64) -> Option<i64> {
    // The sum has no fraction bits: they are the number.
    (!number.is_nan()).then_some(((number + TWO_52).to_bits() - TWO_52.to_bits()) as i64)
}

/// A number of more than 8 bytes, or no number.
#[inline(never)]
fn long_number(value: &mut f64, bytes: &[u8], from: u32) -> Option<u32> {
    let rest = bytes.get(from as usize..)?;
    if rest.starts_with(b"null") {
        return Some(from + 4);
    }
    let (number, len) = Decimal::read(load(bytes, from), rest)?;
    *value = number.value()?;
    Some(from + len)
}

/// Where a value ends that nobody reads.
#[inline(always)]
pub(crate) fn ignored(bytes: &[u8], from: u32, depth: usize) -> u32 {
    if bytes.get(from as usize..).is_some_and(|rest| rest.starts_with(b"null")) {
        return from.wrapping_add(4);
    }
    skip(bytes, from, depth).unwrap_or(LOST)
}

#[inline(never)]
fn skip(bytes: &[u8], from: u32, depth: usize) -> Option<u32> {
    let mut scanner = Scanner { bytes, at: from as usize };
    scanner.skip(depth).ok()?;
    bytes.get(from as usize..scanner.at)?.is_ascii().then_some(scanner.at as u32)
}

/// Where the text at `from` has its closing quote; `None` if a byte of it is a backslash, DEL, not ASCII or below `floor`.
#[inline(always)]
fn text_end(text: Sixteen, bytes: &[u8], from: u32, floor: u8) -> Option<u32> {
    let quotes = text.marks(b'"');
    let closing = quotes & quotes.wrapping_sub(1);
    let inside = closing.wrapping_sub(1) & !closing;
    if quotes & 1 == 0 || closing == 0 {
        return long_text_end(bytes, from, floor);
    }
    (text.plain(floor) & inside == inside).then_some(from.wrapping_add(closing.trailing_zeros()))
}

#[inline(never)]
fn long_text_end(bytes: &[u8], from: u32, floor: u8) -> Option<u32> {
    let inner = bytes.get(from as usize..)?.strip_prefix(b"\"")?;
    let is_plain = |&byte: &u8| byte >= floor && byte < 0x7f && byte != b'\\' && byte != b'"';
    let len = inner.iter().position(|byte| !is_plain(byte))?;
    (inner[len] == b'"').then_some(from + 1 + len as u32)
}
