//! Where the values of objects lie whose keys come in any order.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]

use crate::block::LANES;
use crate::course::{LOST, key};
use crate::field::Field;
use crate::json::Scanner;
use crate::sixteen::load;

/// Values of an object that nobody reads; one with more is read with care.
const IGNORED: usize = 8;
const SLOTS: usize = Field::COUNT + IGNORED;

/// The places of the values of a block's objects, by field: first all of them are found, whatever they are, and then
/// the values of one field are read together. To ask for each value what it is would be a guess each time.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Where each value starts; 0 where there is none.
    froms: [[u32; LANES]; SLOTS],
    /// Where it ends.
    behind: [[u32; LANES]; SLOTS],
}

impl Places {
    /// The places in the objects whose reading was given up; `ends` gets where each of them ends.
    #[inline(always)]
    pub(crate) fn find(texts: &[&[u8]; LANES], ends: &mut [u32; LANES], depth: usize) -> Self {
        let mut places = Self { froms: [[0; LANES]; SLOTS], behind: [[0; LANES]; SLOTS] };
        let mut places_at = ends.map(|end| if end == LOST { 0 } else { LOST });
        let mut ignored = [Field::COUNT as u32; LANES];
        let mut opening = b'{';
        // A value of each in turn: what one has to wait for, the others do not.
        while places_at != [LOST; LANES] {
            for lane in 0..LANES {
                let at = places_at[lane];
                if at == LOST {
                    continue;
                }
                let (end, is_last) = places.next(lane, texts[lane], at, opening, &mut ignored[lane], depth);
                places_at[lane] = if is_last { LOST } else { end };
                ends[lane] = if is_last { end.wrapping_add(1) } else { LOST };
            }
            opening = b',';
        }
        places
    }

    /// Finds the value whose key is at `at`: where it ends, and whether the object does.
    #[inline(always)]
    fn next(&mut self, lane: usize, text: &[u8], at: u32, opening: u8, ignored: &mut u32, depth: usize) -> (u32, bool) {
        let Some((field, from)) = key(text, at, opening) else {
            return (LOST, false);
        };
        let is_ignored = field == Field::Ignored;
        let slot = if is_ignored { *ignored as usize } else { field as usize };
        *ignored = ignored.wrapping_add(u32::from(is_ignored));
        if slot >= SLOTS || self.froms[slot][lane] != 0 {
            return (LOST, false);
        }
        let (end, is_last) = value_end(text, from, depth);
        self.froms[slot][lane] = from;
        self.behind[slot][lane] = end;
        (end, is_last)
    }

    /// The places that were found: of each field that any object has.
    pub(crate) fn by_field(&self) -> impl Iterator<Item = (Field, &[u32; LANES], &[u32; LANES])> {
        let fields = Field::ALL.into_iter().chain([Field::Ignored; IGNORED]);
        let places = fields.zip(&self.froms).zip(&self.behind).map(|((field, froms), behind)| (field, froms, behind));
        places.filter(|(_, froms, _)| **froms != [0; LANES])
    }
}

/// Where the value at `from` ends, if it is a number, a word, or a text without comma and brace; else anywhere. And
/// whether a brace follows it.
#[inline(always)]
fn value_end(text: &[u8], from: u32, depth: usize) -> (u32, bool) {
    let near = load(text, from);
    let (commas, braces) = (near.marks(b','), near.marks(b'}'));
    let ends = commas | braces;
    if ends == 0 || matches!(near.word() as u8, b'[' | b'{') {
        return far_end(text, from, depth);
    }
    (from.wrapping_add(ends.trailing_zeros()), braces & ends & ends.wrapping_neg() != 0)
}

/// The same for long texts, objects and arrays.
#[inline(never)]
fn far_end(text: &[u8], from: u32, depth: usize) -> (u32, bool) {
    let rest = text.get(from as usize..).unwrap_or_default();
    let end = if matches!(rest, [b'[' | b'{', ..]) {
        let mut scanner = Scanner { bytes: text, at: from as usize };
        scanner.skip(depth).ok().map(|()| scanner.at as u32)
    } else {
        memchr::memchr2(b',', b'}', rest).map(|len| from + len as u32)
    };
    end.map_or((LOST, false), |end| (end, text.get(end as usize) == Some(&b'}')))
}
