//! When nobody listened: of that minutes tell only where they have a bar, and longer bars hold more time than their minutes
//! do.

use serde::{Deserialize, Serialize};

use crate::channel::Flagged;
use crate::session::Session;
use crate::snapshot::is_near;
use crate::time::MINUTE_US;

/// Stretches that are remembered; of more, the two oldest become one.
const MOST: usize = 256;

/// Stretches of minutes in which ticks may be missing, by their end; those of one flag neither overlap nor touch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Missed(Vec<Flagged>);

impl Missed {
    /// Notes a stretch, of which what is before `passed_us` is taken to be there: bars that were over by then may have closed,
    /// and are not flagged afterwards. So flags follow from what is noted, whenever a bar is made.
    pub(crate) fn learn(&mut self, stretch: Flagged, passed_us: i64) {
        let from_us = stretch.from_us.max(passed_us.div_euclid(MINUTE_US).saturating_mul(MINUTE_US));
        self.note(Flagged { from_us, to_us: stretch.to_us.max(from_us), ..stretch });
    }

    /// What is noted.
    pub(crate) fn stretches(&self) -> &[Flagged] {
        &self.0
    }

    /// Notes a stretch. What is known of it already is not noted twice.
    pub(crate) fn note(&mut self, stretch: Flagged) {
        let Flagged { mut from_us, mut to_us, flag } = stretch;
        self.0.retain(|known| {
            let apart =
                known.to_us.saturating_add(MINUTE_US) < from_us || to_us.saturating_add(MINUTE_US) < known.from_us;
            let stays = known.flag != flag || apart;
            if !stays {
                (from_us, to_us) = (from_us.min(known.from_us), to_us.max(known.to_us));
            }
            stays
        });
        let at = self.0.partition_point(|known| known.to_us <= to_us);
        self.0.insert(at, Flagged { from_us, to_us, flag });
        if self.0.len() > MOST {
            let oldest = self.0.remove(0);
            let next = &mut self.0[0];
            next.from_us = next.from_us.min(oldest.from_us);
            next.flag |= oldest.flag;
        }
    }

    /// The flags of a bar that holds this time. Of a bar of today what is older costs no more than a search.
    pub(crate) fn flags(&self, held: Session) -> u8 {
        let Session { open_us, close_us } = held;
        let first = self.0.partition_point(|stretch| stretch.to_us.saturating_add(MINUTE_US) <= open_us);
        let of = |stretch: &&Flagged| stretch.from_us < close_us;
        self.0[first..].iter().filter(of).fold(0, |flags, stretch| flags | stretch.flag)
    }

    /// Whether its times can be counted on from.
    pub(crate) fn is_sound(&self) -> bool {
        let near = self.0.iter().all(|stretch| is_near(stretch.from_us) && is_near(stretch.to_us));
        near && self.0.len() <= MOST && self.0.is_sorted_by_key(|stretch| stretch.to_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::quality;

    fn stretch(from: i64, to: i64) -> Flagged {
        Flagged { from_us: from * MINUTE_US, to_us: to * MINUTE_US, flag: quality::GAP }
    }

    fn flags(missed: &Missed, start: i64, end: i64) -> u8 {
        missed.flags(Session { open_us: start * MINUTE_US, close_us: end * MINUTE_US })
    }

    #[test]
    fn a_bar_that_holds_a_minute_of_a_stretch_is_flagged_and_its_neighbours_are_not() {
        let mut missed = Missed::default();
        missed.note(stretch(20, 24));
        let held = [(0, 20), (0, 21), (24, 30), (25, 30)].map(|(start, end)| flags(&missed, start, end));
        assert_eq!(held, [0, quality::GAP, quality::GAP, 0]);
    }

    #[test]
    fn stretches_that_touch_are_one_and_those_of_other_flags_stay_apart() {
        let mut missed = Missed::default();
        missed.note(stretch(20, 24));
        missed.note(stretch(25, 26));
        missed.note(stretch(10, 12));
        missed.note(Flagged { flag: quality::PARTIAL_START, ..stretch(9, 9) });
        assert_eq!(missed.0.len(), 3);
        assert_eq!(flags(&missed, 0, 30), quality::GAP | quality::PARTIAL_START);
        missed.note(stretch(0, 40));
        assert_eq!(missed.0.len(), 2);
    }

    #[test]
    fn what_is_learnt_late_is_said_of_the_bar_that_is_forming_and_of_none_that_was_over() {
        let mut missed = Missed::default();
        missed.learn(stretch(20, 24), 30 * MINUTE_US + 1);
        let held = [(0, 30), (30, 35), (31, 35)].map(|(start, end)| flags(&missed, start, end));
        assert_eq!(held, [0, quality::GAP, 0]);
        missed.learn(stretch(33, 36), i64::MIN);
        assert_eq!(flags(&missed, 36, 40), quality::GAP);
    }

    #[test]
    fn of_stretches_within_others_that_last_longer_none_is_passed_over() {
        let mut missed = Missed::default();
        missed.note(Flagged { flag: quality::PARTIAL_START, ..stretch(10, 50) });
        missed.note(stretch(20, 24));
        assert_eq!(flags(&missed, 30, 40), quality::PARTIAL_START);
        assert_eq!(flags(&missed, 24, 25), quality::PARTIAL_START | quality::GAP);
        assert!(missed.is_sound());
    }

    #[test]
    fn of_too_many_the_oldest_become_one_and_none_is_forgotten() {
        let mut missed = Missed::default();
        let all = 2 * MOST as i64;
        (0..all).for_each(|number| missed.note(stretch(3 * number, 3 * number)));
        assert_eq!(missed.0.len(), MOST);
        assert!((0..all).all(|number| flags(&missed, 3 * number, 3 * number + 1) == quality::GAP));
        assert_eq!(flags(&missed, 3 * all - 2, 3 * all - 1), 0, "between the newest there is time that was heard");
        assert!(missed.is_sound());
    }
}
