//! Usual objects, many at once: every field at most once, plain texts, numbers without sign and exponent.
//!
//! The objects of a block go through their course side by side, step by step, and then their numbers are converted
//! side by side. Nothing is refused here: whatever is not a good tick for sure is `None`, and is read again with care.
//! Only ASCII is read, so the bytes need not be known to be UTF-8.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]
#![expect(clippy::needless_range_loop, reason = "a loop over lanes reads many columns")]
#![expect(clippy::needless_bitwise_bool, reason = "a jump for each of many checks costs more than the checks")]

use crate::course::{Course, LOST};
use crate::field::{Field, Row};
use crate::lanes::{Lanes, Usual, ignored};
use crate::places::Places;

/// Objects in a block.
pub(crate) const LANES: usize = 16;

/// Does `$each` with what takes a value of `$field`. The match stands outside of the loop over lanes, so that each loop
/// does one thing.
macro_rules! for_field {
    ($field:expr, $depth:expr, $each:ident) => {
        match $field {
            field if field.is_number() => {
                $each!(|lanes: &mut Lanes, lane, text, from| lanes.number(field, lane, text, from))
            }
            Field::Ignored => $each!(|_: &mut Lanes, _, text, from| ignored(text, from, $depth)),
            Field::Ticker => $each!(Lanes::ticker),
            Field::EventType => $each!(Lanes::kind),
            Field::Source => $each!(Lanes::source),
            Field::Timestamp => $each!(Lanes::timestamp),
            field => $each!(|lanes: &mut Lanes, lane, text, from| {
                lanes.rare(field, lane, text, from, $depth).unwrap_or(LOST)
            }),
        }
    };
}

/// Reads the objects of one producer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    course: Course,
    lanes: Lanes,
    /// Where each object's reading is, and at last where it ends.
    ends: [u32; LANES],
    /// Not 0: a number of the object is none.
    bad: [u64; LANES],
    /// What a short course does not read.
    usual: Usual,
}

impl Reader {
    /// Reads the objects that the first `count` texts start with; `depth` containers are open in them.
    pub(crate) fn read(&mut self, texts: &[&[u8]; LANES], count: usize, depth: usize) {
        pulp::Arch::new().dispatch(Reading { reader: self, texts, count, depth });
    }

    #[inline(always)]
    fn read_inlined(&mut self, texts: &[&[u8]; LANES], count: usize, depth: usize) {
        self.lanes.clear(if self.course.is_short() { self.usual } else { Usual::default() });
        self.ends = [0; LANES];
        self.bad = [0; LANES];
        let is_likely = self.course.is_likely();
        if is_likely {
            self.follow(texts, count, depth);
        } else {
            self.ends = [LOST; LANES];
        }
        if self.ends[..count].contains(&LOST) {
            self.wander(texts, count, depth, is_likely);
        } else if self.course.take(count as u32) {
            self.shorten(&texts[..count], depth);
        }
        self.lanes.convert(&mut self.bad);
        self.lanes.judge(&mut self.bad);
    }

    /// Whether all objects of the block are good ticks without rare fields, and end where these texts end.
    pub(crate) fn is_plain(&self, texts: &[&[u8]]) -> bool {
        let lanes = texts.iter().zip(&self.ends).zip(&self.bad);
        let good = lanes.fold(true, |good, ((text, end), bad)| good & (*end as usize == text.len()) & (*bad == 0));
        good && !self.lanes.has_start()
    }

    /// What the block's objects hold; right only for good ones.
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Looks for what stays the same in these objects, which took the course.
    #[inline(never)]
    fn shorten(&mut self, texts: &[&[u8]], depth: usize) {
        self.usual = self.lanes.usual();
        let mut lanes = self.lanes.clone();
        self.course.shorten(texts, |field, text, from| lanes.take(field, 0, text, from, depth));
    }

    /// Where the object in `lane` ends, if it is a good tick.
    #[inline(always)]
    pub(crate) fn end(&self, lane: usize) -> Option<usize> {
        let (end, bad) = (self.ends[lane % LANES], self.bad[lane % LANES]);
        (end != LOST && bad == 0).then_some(end as usize)
    }

    /// The good tick in `lane`.
    #[inline(always)]
    pub(crate) fn row(&self, lane: usize) -> Row {
        self.lanes.row(lane % LANES)
    }

    /// Takes all objects along the course, one step after the other.
    #[inline(always)]
    fn follow(&mut self, texts: &[&[u8]; LANES], count: usize, depth: usize) {
        let Self { course, lanes, ends, .. } = self;
        let count = count.min(LANES);
        let mut differs = [0; LANES];
        for step in course.steps() {
            if differs.iter().take(count).all(|differs| *differs != 0) {
                break;
            }
            macro_rules! each {
                ($take:expr) => {
                    if step.is_near() { each!(differs_near, $take) } else { each!(differs, $take) }
                };
                ($differs:ident, $take:expr) => {
                    for lane in 0..count {
                        let (text, at) = (texts[lane], ends[lane]);
                        // An object that is on another course is read on: to look each time costs more.
                        differs[lane] |= step.$differs(text, at);
                        ends[lane] = $take(lanes, lane, text, step.from(at));
                    }
                };
            }
            match (step.field, step.twin) {
                (None, _) => each!(|_: &mut Lanes, _, _, from| from),
                (Some(field), Some(twin)) => {
                    lanes.pair(field, twin);
                    each!(|lanes: &mut Lanes, lane, text, from| lanes.twin(field, twin, lane, text, from));
                }
                (Some(field), None) => for_field!(field, depth, each),
            }
        }
        for ((text, at), differs) in texts.iter().zip(ends).zip(differs) {
            let is_end = differs == 0 && *at > 0 && text.get(*at as usize) == Some(&b'}');
            *at = if is_end { *at + 1 } else { LOST };
        }
    }

    /// Reads the objects whose keys are not the expected ones. `is_marred`: their lanes may hold something already.
    #[inline(always)]
    fn wander(&mut self, texts: &[&[u8]; LANES], count: usize, depth: usize, is_marred: bool) {
        let count = count.min(LANES);
        for lane in 0..count {
            if self.ends[lane] == LOST {
                if self.course.miss() {
                    let lanes = &mut self.lanes;
                    self.course.learn(texts[lane], |field, text, from| lanes.take(field, lane, text, from, depth));
                    self.lanes.clear_one(lane);
                } else if is_marred {
                    self.lanes.clear_one(lane);
                }
            } else {
                self.course.take(1);
            }
        }
        let Self { lanes, ends, .. } = self;
        let places = Places::find(texts, ends, depth);
        for (field, froms, behind) in places.by_field() {
            macro_rules! each {
                ($take:expr) => {
                    for lane in 0..count {
                        if froms[lane] != 0 && $take(lanes, lane, texts[lane], froms[lane]) != behind[lane] {
                            ends[lane] = LOST;
                        }
                    }
                };
            }
            for_field!(field, depth, each);
        }
    }
}

/// One call of [`Reader::read`], for code that is made once a kind of processor.
struct Reading<'a, 'b> {
    reader: &'a mut Reader,
    texts: &'a [&'b [u8]; LANES],
    count: usize,
    depth: usize,
}

impl pulp::NullaryFnOnce for Reading<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.reader.read_inlined(self.texts, self.count, self.depth);
    }
}
