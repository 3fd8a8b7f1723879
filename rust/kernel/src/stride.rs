//! One step of a course, taken by all objects of a block side by side.
#![expect(clippy::inline_always, reason = "inlined into code for the processor that it runs on")]

use crate::block::LANES;
use crate::course::{LOST, Step};
use crate::field::Field;
use crate::lanes::Lanes;
use crate::sixteen::{Sixteen, head, load};
use crate::text::ignored;

/// What takes the values of one field. A type a kind of field, so that each loop over objects does one thing.
pub(crate) trait Take: Copy {
    /// Takes the value at `from`, whose first 16 bytes are `value`, and says where it ends.
    fn take(self, lanes: &mut Lanes, lane: usize, bytes: &[u8], from: u32, value: Sixteen) -> u32;
}

macro_rules! take {
    ($(#[$doc:meta])* $name:ident($($part:ident: $type:ty),*): |$lanes:pat_param, $lane:pat_param, $bytes:ident, $from:ident, $value:pat_param| $body:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name($(pub(crate) $type),*);

        impl Take for $name {
            #[inline(always)]
            fn take(self, $lanes: &mut Lanes, $lane: usize, $bytes: &[u8], $from: u32, $value: Sixteen) -> u32 {
                let Self($($part),*) = self;
                $body
            }
        }
    };
}

take! {
    /// A price or a count.
    Number(field: Field): |lanes, lane, bytes, from, value| lanes.number(field, lane, bytes, from, value)
}
take! {
    /// A number that is likely to be that of an earlier field.
    Twin(field: Field, twin: Field): |lanes, lane, bytes, from, value| lanes.twin(field, twin, lane, bytes, from, value)
}
take! {
    /// The ticker.
    Ticker(): |lanes, lane, bytes, from, value| lanes.name(lane, bytes, from, value)
}
take! {
    /// The time.
    Timestamp(): |lanes, lane, bytes, from, value| lanes.timestamp(lane, bytes, from, value)
}
take! {
    /// What the tick stands for.
    Kind(): |lanes, lane, bytes, from, _| lanes.kind(lane, bytes, from)
}
take! {
    /// Where the tick comes from.
    Source(): |lanes, lane, bytes, from, value| lanes.source(lane, bytes, from, value)
}
take! {
    /// A field that few producers send, in so many open containers.
    Rare(field: Field, depth: usize): |lanes, lane, bytes, from, _| {
        lanes.rare(field, lane, bytes, from, depth).unwrap_or(LOST)
    }
}
take! {
    /// A value that nobody reads, in so many open containers.
    Ignored(depth: usize): |_, _, bytes, from, _| ignored(bytes, from, depth)
}
take! {
    /// No value: the object ends.
    Nothing(): |_, _, _bytes, from, _| from
}

/// Does `$body` with what takes the values of `$field`.
macro_rules! with_take {
    ($field:expr, $depth:expr, |$take:ident| $body:expr) => {
        with_take!(@ $field, $take, $body, {
            Field::Ignored => $crate::stride::Ignored($depth),
            Field::Ticker => $crate::stride::Ticker(),
            Field::EventType => $crate::stride::Kind(),
            Field::Source => $crate::stride::Source(),
            Field::Timestamp => $crate::stride::Timestamp(),
            field if field.is_number() => $crate::stride::Number(field),
            field => $crate::stride::Rare(field, $depth),
        })
    };
    (@ $field:expr, $take:ident, $body:expr, { $($pattern:pat $(if $guard:expr)? => $made:expr,)* }) => {
        match $field {
            $($pattern $(if $guard)? => {
                let $take = $made;
                $body
            })*
        }
    };
}
pub(crate) use with_take;

/// One step of all objects. Each kind is compiled as a function of its own: in a long one its loop has no registers.
pub(crate) struct Stride<'a, 'b, T> {
    pub(crate) step: &'a Step,
    pub(crate) take: T,
    pub(crate) texts: &'a [&'b [u8]],
    /// Where each object's reading is.
    pub(crate) before: &'a [u32; LANES],
    pub(crate) lanes: &'a mut Lanes,
    /// Where it is then.
    pub(crate) ends: &'a mut [u32; LANES],
    /// Objects that are on another course. They are read on: to look each time costs more.
    pub(crate) differs: &'a mut [bool; LANES],
}

impl<T: Take> Stride<'_, '_, T> {
    /// Takes the step; texts are compared all at once, and only if there is another one it is asked where.
    #[inline(always)]
    pub(crate) fn go(self) {
        let Self { step, take, texts, before, lanes, ends, differs } = self;
        let stride = Stride { step, take, texts, before, lanes, ends, differs: &mut *differs };
        if pulp::Arch::new().dispatch(stride) {
            step.find_differing(texts, before, differs);
        }
    }

    /// Whether there is another text than the step's before any value; `differing` says so of the bytes of one object.
    #[inline(always)]
    fn each(&mut self, differing: impl Fn(&[u8]) -> Sixteen) -> bool {
        let (step, take, texts, before) = (self.step, self.take, self.texts, self.before);
        // Copies, since what is written in the loops might be the step for all that the compiler knows.
        let (len, reach) = (step.len, step.reach.max(16) as usize);
        let mut off = Sixteen::default();
        for lane in 0..texts.len().min(LANES) {
            let (text, at) = (texts[lane], before[lane]);
            // In 64 bits, so that one comparison tells whether all of them are there.
            let Some(here) = text.get(at as usize..at as usize + reach) else {
                self.ends[lane] = near_end(step, take, self.lanes, lane, text, at, &mut self.differs[lane]);
                continue;
            };
            off = off.joined(differing(here));
            self.ends[lane] = take.take(self.lanes, lane, text, at.wrapping_add(len), head(&here[reach - 16..]));
        }
        for (place, further) in step.further.iter().skip(1) {
            for (text, at) in texts.iter().zip(before) {
                off = off.joined(load(text, at.wrapping_add(*place)).differing(*further));
            }
        }
        off.any()
    }
}

impl<T: Take> pulp::NullaryFnOnce for Stride<'_, '_, T> {
    type Output = bool;

    #[inline(always)]
    fn call(mut self) -> bool {
        let (first, mask) = (self.step.first, self.step.mask);
        let reach = self.step.reach.max(16) as usize;
        match self.step.further.first() {
            None => self.each(
                #[inline(always)]
                |here| head(here).differing(first).masked(mask),
            ),
            Some(&(place, second)) => {
                let place = (place as usize).min(reach - 16);
                self.each(
                    #[inline(always)]
                    |here| head(here).differing(first).joined(head(&here[place..place + 16]).differing(second)),
                )
            }
        }
    }
}

/// A step so near to the end of the text that not all bytes are there that are looked at.
#[cold]
#[inline(never)]
fn near_end(
    step: &Step,
    take: impl Take,
    lanes: &mut Lanes,
    lane: usize,
    text: &[u8],
    at: u32,
    differs: &mut bool,
) -> u32 {
    *differs |= step.differs(text, at);
    let from = step.from(at);
    take.take(lanes, lane, text, from, load(text, from))
}
