//! Usual objects, many at once: every field at most once, plain texts, numbers without sign and exponent.
//!
//! The objects of a block go through their course side by side, step by step, and then their numbers are converted
//! side by side. Nothing is refused here: whatever is not a good tick for sure is `None`, and is read again with care.
//! Only ASCII is read, so the bytes need not be known to be UTF-8.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]
#![expect(clippy::needless_range_loop, reason = "a loop over lanes reads many columns")]
#![expect(clippy::needless_bitwise_bool, reason = "a jump for each of many checks costs more than the checks")]

use crate::course::{Course, LOST};
use crate::eights::{Digits, Portable};
use crate::field::{Field, Row};
use crate::lanes::{Lanes, Usual};
use crate::pack::widest;
use crate::places::Places;
use crate::sixteen::load;
use crate::stride::{Nothing, Stride, Take, Twin, with_take};

/// Objects in a block.
pub(crate) const LANES: usize = 16;

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
    /// Reads the objects that the first [`LANES`] texts start with; `depth` containers are open in them.
    pub(crate) fn read(&mut self, texts: &[&[u8]], depth: usize) {
        let count = texts.len().min(LANES);
        let texts = &texts[..count];
        self.lanes.clear(if self.course.is_short() { self.usual } else { Usual::default() });
        self.ends = [0; LANES];
        self.bad = [0; LANES];
        let is_likely = self.course.is_likely();
        if is_likely {
            self.follow(texts, depth);
        } else {
            self.ends = [LOST; LANES];
        }
        if self.ends[..count].contains(&LOST) {
            let reader = &mut *self;
            widest!(<'a> |reader: &'a mut Reader, texts: &'a [&'a [u8]], depth: usize, is_likely: bool| -> () {
                reader.wander(texts, depth, is_likely);
            });
        } else if self.course.take(count as u32) {
            self.shorten(texts, depth);
        }
        let (lanes, bad) = (&mut self.lanes, &mut self.bad);
        #[cfg(target_arch = "x86_64")]
        if let Some(digits) = pulp::x86::V3::try_new() {
            return digits.vectorize(Judging { lanes, bad, digits });
        }
        pulp::Arch::new().dispatch(Judging { lanes, bad, digits: Portable });
    }

    /// Whether all objects of the block are good ticks without rare fields, and end where these texts end, of which
    /// none is longer than `most` bytes.
    pub(crate) fn is_plain(&self, texts: &[&[u8]], most: usize) -> bool {
        let lanes = texts.iter().zip(&self.ends).zip(&self.bad);
        let odd = lanes.fold(0, |odd, ((text, end), bad)| {
            odd | (u64::from(*end) ^ text.len() as u64) | *bad | u64::from(text.len() > most)
        });
        odd == 0 && texts.len() <= LANES && !self.lanes.has_start()
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
    fn follow(&mut self, texts: &[&[u8]], depth: usize) {
        let Self { course, lanes, .. } = self;
        let mut differs = [false; LANES];
        let (mut before, mut ends) = (&mut [0; LANES], &mut [0; LANES]);
        for step in course.steps() {
            if differs[..texts.len()].iter().all(|differs| *differs) {
                break;
            }
            std::mem::swap(&mut before, &mut ends);
            macro_rules! go {
                ($take:expr) => {{
                    let take = $take;
                    Stride { step, take, texts, before, lanes, ends, differs: &mut differs }.go();
                }};
            }
            match (step.field, step.twin) {
                (None, _) => go!(Nothing()),
                (Some(field), Some(twin)) => {
                    lanes.pair(field, twin);
                    go!(Twin(field, twin));
                }
                (Some(field), None) => {
                    lanes.expect(field);
                    with_take!(field, depth, |take| go!(take));
                }
            }
        }
        for (lane, text) in texts.iter().enumerate() {
            let at = ends[lane];
            let here = text.get(at as usize).copied().unwrap_or(0);
            let is_end = (here == b'}') & !differs[lane] & (at > 0);
            self.ends[lane] = if is_end { at.wrapping_add(1) } else { LOST };
        }
    }

    /// Reads the objects whose keys are not the expected ones. `is_marred`: their lanes may hold something already.
    #[inline(always)]
    fn wander(&mut self, given: &[&[u8]], depth: usize, is_marred: bool) {
        let count = given.len().min(LANES);
        let mut texts: [&[u8]; LANES] = [&[]; LANES];
        texts[..count].copy_from_slice(&given[..count]);
        let texts = &texts;
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
            lanes.expect(field);
            with_take!(field, depth, |take| for lane in 0..count {
                let (text, from) = (texts[lane], froms[lane]);
                if from != 0 && take.take(lanes, lane, text, from, load(text, from)) != behind[lane] {
                    ends[lane] = LOST;
                }
            });
        }
    }
}

/// The numbers of a block's objects, and then what objects lack.
struct Judging<'a, D> {
    lanes: &'a mut Lanes,
    bad: &'a mut [u64; LANES],
    digits: D,
}

impl<D: Digits> pulp::NullaryFnOnce for Judging<'_, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.lanes.convert(self.digits, self.bad);
        self.lanes.judge(self.bad);
    }
}
