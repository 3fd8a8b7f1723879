//! Speculation: a producer writes its keys in one order, so the bytes between two values are always the same.

use crate::field::{Field, Row};
use crate::number::word;
use crate::quick::{self, Quick};

/// The longest run of bytes between two values that is worth comparing in words.
const MAX_STEP: usize = 32;

/// The bytes from the end of one value to the start of the next, such as `, "price": `.
#[derive(Clone, Debug)]
struct Step {
    words: [u64; 4],
    masks: [u64; 4],
    len: usize,
    /// What the value behind it is; `None` for a key that is not looked at.
    field: Option<Field>,
}

impl Step {
    fn new(bytes: &[u8], field: Option<Field>) -> Option<Self> {
        if bytes.len() > MAX_STEP {
            return None;
        }
        let mut step = Self { words: [0; 4], masks: [0; 4], len: bytes.len(), field };
        for (at, &byte) in bytes.iter().enumerate() {
            step.words[at / 8] |= u64::from(byte) << (at % 8 * 8);
            step.masks[at / 8] |= 0xff << (at % 8 * 8);
        }
        Some(step)
    }

    #[inline]
    fn matches(&self, bytes: &[u8], at: usize) -> bool {
        let differs = |index: usize, word: u64| (word ^ self.words[index]) & self.masks[index];
        if let Some(near) = bytes.get(at..).and_then(|rest| rest.first_chunk::<MAX_STEP>()) {
            let first = differs(0, word(near, 0)) | differs(1, word(near, 8));
            return first == 0 && (self.len <= 16 || differs(2, word(near, 16)) | differs(3, word(near, 24)) == 0);
        }
        (0..4).all(|index| differs(index, word(bytes, at + 8 * index)) == 0)
    }
}

/// Where one value of an object stood, and what it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) field: Option<Field>,
}

/// A producer's key order and spacing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    steps: Vec<Step>,
    /// From the end of the last value to the closing brace.
    tail: Vec<u8>,
}

impl Order {
    /// The order of the object in `bytes[start..end]`; empty, so never followed, if a field occurs twice.
    pub(crate) fn learn(bytes: &[u8], start: usize, end: usize, marks: &[Mark]) -> Self {
        let repeated = |index: usize, mark: &Mark| {
            mark.field.is_some() && marks.iter().take(index).any(|earlier| earlier.field == mark.field)
        };
        let mut from = start;
        let mut steps = Vec::with_capacity(marks.len());
        for (index, mark) in marks.iter().enumerate() {
            let step = bytes.get(from..mark.start).and_then(|between| Step::new(between, mark.field));
            match step {
                Some(step) if !repeated(index, mark) => steps.push(step),
                _ => return Self::default(),
            }
            from = mark.end;
        }
        Self { steps, tail: bytes.get(from..end).unwrap_or_default().to_vec() }
    }

    /// Reads an object in this order from `start` on: its tick and where it ends; `None` if it is not, or not surely so.
    #[inline]
    pub(crate) fn follow(&self, bytes: &[u8], start: usize, depth: usize) -> Option<(Row, usize)> {
        let mut quick = Quick::default();
        let mut at = start;
        for step in &self.steps {
            if !step.matches(bytes, at) {
                return None;
            }
            at += step.len;
            at = match step.field {
                Some(field) => quick.take(field, bytes, at, depth)?,
                None => quick::skip(bytes, at, depth)?,
            };
        }
        let end = at + self.tail.len();
        if self.steps.is_empty() || bytes.get(at..end) != Some(&self.tail[..]) {
            return None;
        }
        Some((quick.row()?, end))
    }
}
