//! The way through a producer's objects: which field comes when, and the bytes between two values.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]

use crate::field::Field;
use crate::json::Scanner;
use crate::sixteen::{Sixteen, load, padded};

/// Where the reading of an object is that was given up: behind the end of every text.
pub(crate) const LOST: u32 = u32::MAX;

/// What stands from the end of one value to the start of the next, such as `, "price": `, and what that value is.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The first 16 bytes of the text, then zeros.
    pub(crate) first: Sixteen,
    /// The bits of `first` that count.
    pub(crate) mask: Sixteen,
    pub(crate) len: u32,
    /// Of a text of more than 16 bytes: the 16 that start at each place.
    pub(crate) further: Vec<(u32, Sixteen)>,
    /// So many bytes are looked at: the text and the 16 behind it, with which a value starts.
    pub(crate) reach: u32,
    /// `None`: no value follows.
    pub(crate) field: Option<Field>,
    /// An earlier number that has been the same each time.
    pub(crate) twin: Option<Field>,
}

/// Longer texts are not worth remembering, nor are more of them.
const MAX_TEXT: usize = 128;
const MAX_STEPS: usize = 32;

impl Step {
    fn new(text: &[u8], field: Option<Field>, twin: Option<Field>) -> Option<Self> {
        let last = text.len().saturating_sub(16);
        let places = (16..last).step_by(16).chain((last > 0).then_some(last));
        (1..=MAX_TEXT).contains(&text.len()).then(|| Self {
            first: padded(text),
            mask: Sixteen::from([0xff; 16]).through(text.len().min(16) as u32 - 1),
            len: text.len() as u32,
            further: places.map(|place| (place as u32, padded(&text[place..]))).collect(),
            reach: if field.is_some() { text.len() + 16 } else { text.len().max(16) } as u32,
            field,
            twin,
        })
    }

    /// Whether anything but the text stands at `at`.
    pub(crate) fn differs(&self, bytes: &[u8], at: u32) -> bool {
        let further = self.further.iter().fold(Sixteen::default(), |differs, (place, text)| {
            differs.joined(load(bytes, at.wrapping_add(*place)).differing(*text))
        });
        load(bytes, at).differing(self.first).masked(self.mask).joined(further).any()
    }

    /// Sets `differs` for the objects in which anything but the text stands at their place.
    #[inline(never)]
    pub(crate) fn find_differing(&self, texts: &[&[u8]], places: &[u32], differs: &mut [bool]) {
        for ((text, at), differs) in texts.iter().zip(places).zip(differs) {
            *differs |= self.differs(text, *at);
        }
    }

    /// Where the value starts, if the text stands at `at`.
    pub(crate) fn from(&self, at: u32) -> u32 {
        at.wrapping_add(self.len)
    }
}

/// The steps that the last objects took: a guess for the next ones. A wrong one costs time, not truth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    /// One a field; no field twice, but for those that nobody reads.
    steps: Vec<Step>,
    /// The same, with all that has been the same each time made part of the text; empty if that led astray.
    short: Vec<Step>,
    /// Objects that took this course, since one did not.
    taken: u32,
    /// Objects that took another one, since one took this.
    missed: u32,
}

/// So many objects in a row show what stays the same.
const SETTLED: u32 = 256;

impl Course {
    /// Whether the next objects may take this course: after many that did not, only now and then a new guess is tried.
    #[inline]
    pub(crate) fn is_likely(&self) -> bool {
        self.missed < 64 || (self.missed / 64).is_power_of_two()
    }

    /// Whether values that stay the same are part of the steps' texts.
    pub(crate) fn is_short(&self) -> bool {
        !self.short.is_empty()
    }

    /// The steps to take, in order.
    pub(crate) fn steps(&self) -> &[Step] {
        if self.short.is_empty() { &self.steps } else { &self.short }
    }

    /// So many objects took this course; whether it is time to [shorten](Self::shorten) it.
    #[inline]
    pub(crate) fn take(&mut self, count: u32) -> bool {
        let before = self.taken;
        self.missed = 0;
        self.taken = before.saturating_add(count);
        before < SETTLED && self.taken >= SETTLED
    }

    /// An object took another course; whether to learn that one.
    ///
    /// Two producers on one channel take turns, so a course is given up only when it has led nowhere for a while, and
    /// a producer without any course is seldom asked for one.
    pub(crate) fn miss(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        self.taken = 0;
        self.short.clear();
        self.steps.is_empty() || (self.missed >= 4 && self.missed.is_power_of_two())
    }

    /// Learns the course of one object; `end` tells where the value of a field ends that starts at a place of the text.
    pub(crate) fn learn(&mut self, text: &[u8], mut end: impl FnMut(Field, &[u8], u32) -> u32) {
        self.steps.clear();
        let (mut at, mut seen) = (0, 0_u32);
        while self.steps.len() < MAX_STEPS && text.get(at as usize) != Some(&b'}') {
            let opening = if at == 0 { b'{' } else { b',' };
            let step = key(text, at, opening).and_then(|(field, from)| {
                let step = Step::new(text.get(at as usize..from as usize)?, Some(field), None)?;
                let bit = 1 << field as u32 & !(1 << Field::Ignored as u32);
                let again = seen & bit != 0;
                seen |= bit;
                (!again).then_some(())?;
                Some((step, end(field, text, from)))
            });
            let Some((step, behind)) = step else { break };
            self.steps.push(step);
            at = behind;
        }
    }

    /// Makes values that are the same in all of these objects part of the text between the others, unless it would be
    /// too long to remember.
    ///
    /// `end` tells where the value of a field ends that starts at a place of a text. The objects took this course.
    pub(crate) fn shorten(&mut self, texts: &[&[u8]], end: impl FnMut(Field, &[u8], u32) -> u32) {
        self.short = self.shortened(texts, end).unwrap_or_default();
    }

    fn shortened(&self, texts: &[&[u8]], mut end: impl FnMut(Field, &[u8], u32) -> u32) -> Option<Vec<Step>> {
        let first = *texts.first()?;
        let mut places = vec![0; texts.len()];
        let mut short = Vec::new();
        let mut earlier: Vec<(Field, Vec<&[u8]>)> = Vec::new();
        let mut behind = 0;
        for step in &self.steps {
            let field = step.field?;
            let mut values = Vec::new();
            for (text, at) in texts.iter().zip(&mut places) {
                let from = step.from(*at);
                *at = end(field, text, from);
                values.push(text.get(from as usize..*at as usize)?);
            }
            let value = *values.first()?;
            let is_fixed = matches!(field, Field::EventType | Field::Source | Field::Ignored);
            let from = places[0] as usize - value.len();
            if is_fixed && values.iter().all(|other| *other == value) && places[0] as usize - behind + 32 <= MAX_TEXT {
                continue;
            }
            let is_twin = |(other, others): &&(Field, _)| other.is_price() == field.is_price() && *others == values;
            let twin = earlier.iter().find(is_twin).filter(|_| field.is_number()).map(|(field, _)| *field);
            short.push(Step::new(first.get(behind..from)?, Some(field), twin)?);
            behind = places[0] as usize;
            if field.is_number() {
                earlier.push((field, values));
            }
        }
        if behind < places[0] as usize {
            short.push(Step::new(first.get(behind..places[0] as usize)?, None, None)?);
        }
        Some(short)
    }
}

/// The field of the key at `at`, behind `opening`, and where its value starts; `None` unless both the key and the space
/// around it are usual.
#[inline(always)]
fn usual_key(bytes: &[u8], at: u32, opening: u8) -> Option<(Field, u32)> {
    let four = |at: u32| {
        let four: Option<&[u8; 4]> = bytes.get(at as usize..at as usize + 4)?.first_chunk();
        four.copied().map(u32::from_le_bytes)
    };
    // Not a sum of comparisons: where the next value starts should be guessed, not computed.
    let before = four(at)?;
    let start = if before & 0xff_ffff == u32::from_le_bytes([opening, b' ', b'"', 0]) {
        at.wrapping_add(3)
    } else if before & 0xffff == u32::from_le_bytes([opening, b'"', 0, 0]) {
        at.wrapping_add(2)
    } else {
        return None;
    };
    let text = load(bytes, start);
    let quotes = text.marks(b'"');
    let len = quotes.trailing_zeros();
    let field = Field::known(text.through(len).wide()).filter(|_| quotes != 0)?;
    let end = start.wrapping_add(len);
    let behind = four(end)?;
    if behind & 0xff_ffff == u32::from_le_bytes(*b"\": \0") {
        Some((field, end.wrapping_add(3)))
    } else if behind & 0xffff == u32::from_le_bytes(*b"\":\0\0") {
        Some((field, end.wrapping_add(2)))
    } else {
        None
    }
}

/// The same for any plain key and any space.
#[inline(always)]
pub(crate) fn key(bytes: &[u8], at: u32, opening: u8) -> Option<(Field, u32)> {
    match usual_key(bytes, at, opening) {
        None => any_key(bytes, at, opening),
        usual => usual,
    }
}

#[inline(never)]
fn any_key(bytes: &[u8], at: u32, opening: u8) -> Option<(Field, u32)> {
    let mut scanner = Scanner { bytes, at: at as usize };
    scanner.space();
    scanner.expect(opening).ok()?;
    scanner.space();
    let key = scanner.key().ok().filter(|key| !key.escaped)?.raw(bytes);
    key.is_ascii().then(|| (Field::of(key), scanner.at as u32))
}
