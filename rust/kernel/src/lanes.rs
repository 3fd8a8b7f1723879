//! What the objects of a block hold, side by side.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]
#![expect(clippy::needless_range_loop, reason = "a loop over lanes reads many columns")]

use crate::block::LANES;
use crate::condition::Rights;
use crate::course::LOST;
use crate::eights::{Digits, Eights, TWO_52, equal};
use crate::field::{Field, Row, start_us};
use crate::json::{Scanner, Text, Value};
use crate::number::Decimal;
use crate::sixteen::{Sixteen, load};
use crate::text::{ignored, text_end};
use crate::tick::{Kind, Tick};
use crate::time::micros;

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
    /// A bit for each field that any object may have: of the others there is no number.
    expected: u32,
    /// The field whose numbers are this field's too, in every object.
    twins: [Option<Field>; Self::NUMBERS],
    ts_us: [i64; LANES],
    start_s: [f64; LANES],
    start_us: [i64; LANES],
    ticker_starts: [u32; LANES],
    ticker_ends: [u32; LANES],
    /// The first 16 bytes of each ticker with the quote before it, then zeros.
    names: [Sixteen; LANES],
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
            expected: 0,
            twins: [None; Self::NUMBERS],
            ts_us: [NO_STAMP; LANES],
            start_s: [f64::NAN; LANES],
            start_us: [NO_STAMP; LANES],
            ticker_starts: [0; LANES],
            ticker_ends: [0; LANES],
            names: [Sixteen::default(); LANES],
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
        for (slot, numbers) in self.numbers.iter_mut().enumerate() {
            if self.expected & 1 << slot != 0 {
                numbers.clear();
            }
        }
        self.expected = 0;
        self.twins = [None; Self::NUMBERS];
        self.ts_us = [NO_STAMP; LANES];
        self.start_s = [f64::NAN; LANES];
        self.start_us = [NO_STAMP; LANES];
        self.ticker_starts = [0; LANES];
        self.ticker_ends = [0; LANES];
        self.kinds = [usual.kind; LANES];
        self.simulated = [usual.simulated; LANES];
        self.rights = [Rights::REGULAR_SALE; LANES];
    }

    pub(crate) fn clear_one(&mut self, lane: usize) {
        for slot in 0..Self::NUMBERS {
            self.part(slot);
            self.numbers[slot].clear_one(lane);
        }
        self.ts_us[lane] = NO_STAMP;
        self.start_s[lane] = f64::NAN;
        self.start_us[lane] = NO_STAMP;
        self.ticker_starts[lane] = 0;
        self.ticker_ends[lane] = 0;
        self.kinds[lane] = None;
        self.simulated[lane] = false;
        self.rights[lane] = Rights::REGULAR_SALE;
    }

    /// Turns the numbers' texts into numbers. `bad` gets a bit set for objects one of whose numbers is not good.
    #[inline(always)]
    pub(crate) fn convert(&mut self, digits: impl Digits, bad: &mut [u64; LANES]) {
        for slot in 0..Self::NUMBERS {
            if self.expected & 1 << slot != 0 && self.twins[slot].is_none() {
                self.numbers[slot].convert(digits, bad);
                self.numbers[slot].check(slot < Field::PRICES, bad);
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
            let is_quote = equal(self.kinds[lane].map_or(0, Kind::letter).into(), Kind::Q.letter().into());
            bad[lane] |= missing(price[lane]) | missing(tick_volume[lane]) & missing(volume[lane]) & !is_quote;
        }
        for lane in 0..LANES {
            let no_kind = equal(self.kinds[lane].map_or(0, Kind::letter).into(), 0);
            let no_ticker = equal(self.ticker_ends[lane].into(), 0);
            bad[lane] |= no_kind | no_ticker | equal(self.ts_us[lane] as u64, NO_STAMP as u64);
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

    /// Any of the objects may have the field.
    #[inline(always)]
    pub(crate) fn expect(&mut self, field: Field) {
        self.expected |= 1 << field as u32;
    }

    /// The numbers of `field` are those of `twin`, unless one of them turns out not to be.
    #[inline(always)]
    pub(crate) fn pair(&mut self, field: Field, twin: Field) {
        self.expect(field);
        self.twins[field as usize] = Some(twin);
    }

    /// Gives a number of its own to each object that had its twin's.
    #[inline(never)]
    fn part(&mut self, slot: usize) {
        if let Some(twin) = self.twins[slot].take() {
            let Eights { words, lens, .. } = self.numbers[twin as usize];
            self.numbers[slot].set_texts(words, lens);
        }
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
    #[inline]
    pub(crate) fn seqs(&self) -> [i64; LANES] {
        if self.expected & 1 << Field::Seq as u32 == 0 {
            return [-1; LANES];
        }
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

    /// The place of the ticker in its object.
    #[inline(always)]
    pub(crate) fn ticker(&self, lane: usize) -> Text {
        Text { start: self.ticker_starts[lane], end: self.ticker_ends[lane], escaped: false }
    }

    /// A ticker of at most 15 bytes: the first of them lowest, then zeros; and how many they are.
    #[inline(always)]
    pub(crate) fn short_ticker(&self, lane: usize) -> Option<(u128, u32)> {
        let len = self.ticker_ends[lane].wrapping_sub(self.ticker_starts[lane]);
        (len <= 15).then(|| (self.names[lane].wide() >> 8, len))
    }

    // Each of these takes the value at `from` and says where it ends; `value` is its first 16 bytes.

    #[inline(always)]
    pub(crate) fn take(&mut self, field: Field, lane: usize, bytes: &[u8], from: u32, depth: usize) -> u32 {
        let value = load(bytes, from);
        match field {
            _ if field.is_number() => {
                self.expect(field);
                self.number(field, lane, bytes, from, value)
            }
            Field::Ignored => ignored(bytes, from, depth),
            Field::Ticker => self.name(lane, bytes, from, value),
            Field::EventType => self.kind(lane, bytes, from),
            Field::Source => self.source(lane, bytes, from, value),
            Field::Timestamp => self.timestamp(lane, bytes, from, value),
            _ => self.rare(field, lane, bytes, from, depth).unwrap_or(LOST),
        }
    }

    /// A number that is likely to be that of an earlier field.
    #[inline(always)]
    pub(crate) fn twin(
        &mut self,
        field: Field,
        twin: Field,
        lane: usize,
        bytes: &[u8],
        from: u32,
        value: Sixteen,
    ) -> u32 {
        let (word, len) = (self.numbers[twin as usize].words[lane], self.numbers[twin as usize].lens[lane]);
        let differs = (value.word() ^ word) << (64_u64.wrapping_sub(len << 3) & 63);
        if differs == 0 && len != 0 {
            return from.wrapping_add(len as u32);
        }
        self.part(field as usize);
        self.numbers[field as usize].clear_one(lane);
        self.number(field, lane, bytes, from, value)
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, field: Field, lane: usize, bytes: &[u8], from: u32, value: Sixteen) -> u32 {
        let len = value.number_len();
        let numbers = &mut self.numbers[field as usize];
        if !(1..=8).contains(&len) {
            return self.long_number(field, lane, bytes, from).unwrap_or(LOST);
        }
        numbers.words[lane] = value.word();
        numbers.lens[lane] = u64::from(len);
        from.wrapping_add(len)
    }

    /// A number of more than 8 bytes, or no number.
    #[inline(never)]
    fn long_number(&mut self, field: Field, lane: usize, bytes: &[u8], from: u32) -> Option<u32> {
        let rest = bytes.get(from as usize..)?;
        if rest.starts_with(b"null") {
            return Some(from + 4);
        }
        let (number, len) = Decimal::read(load(bytes, from), rest)?;
        self.numbers[field as usize].known[lane] = number.value()?;
        Some(from + len)
    }

    #[inline(always)]
    pub(crate) fn timestamp(&mut self, lane: usize, bytes: &[u8], from: u32, value: Sixteen) -> u32 {
        let known = match self.stamp.get(value) {
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
    pub(crate) fn name(&mut self, lane: usize, bytes: &[u8], from: u32, value: Sixteen) -> u32 {
        let Some(end) = text_end(value, bytes, from, b'!') else {
            return LOST;
        };
        let len = end.wrapping_sub(from);
        self.ticker_starts[lane] = from.wrapping_add(1);
        self.ticker_ends[lane] = end;
        self.names[lane] = value.through(len.wrapping_sub(1).min(15));
        if (2..=21).contains(&len) { end.wrapping_add(1) } else { LOST }
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
    pub(crate) fn source(&mut self, lane: usize, bytes: &[u8], from: u32, value: Sixteen) -> u32 {
        let known = match self.source.get(value) {
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
        Row { ticker: self.ticker(lane), tick }
    }
}

/// All ones if there is no number.
#[inline(always)]
fn missing(number: f64) -> u64 {
    u64::from(number.is_nan()).wrapping_neg()
}

/// A whole number below 2⁵², as all counts of a good object are; `None` for NaN.
#[inline(always)]
fn whole(number: f64) -> Option<i64> {
    // The sum has no fraction bits: they are the number.
    (!number.is_nan()).then_some(((number + TWO_52).to_bits() - TWO_52.to_bits()) as i64)
}
