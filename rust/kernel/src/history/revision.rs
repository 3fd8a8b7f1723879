//! The newest bars, which late ticks may revise: how they are let go of, and how all goes back to before them.

use super::History;
use crate::bar::Fold;
use crate::detection::Detection;
use crate::rules::{MOST_REVISABLE, Reach, Rules};
use crate::sealed::Sealed;
use crate::window::WindowBar;

impl History {
    /// Lets go of bars that can no longer be revised: those up to the newest one that is behind its revise window by
    /// `event_us` of its fold. No `event_us` is later than `newest_us`: what that leaves revisable is not looked at.
    /// From `open_us` on, the oldest minute that is open, they wait: that bar's place is before them.
    pub fn trim(&mut self, newest_us: i64, event_us: impl Fn(&Fold) -> i64, open_us: i64, rules: &Rules) {
        let last_us = |sealed: &Sealed| sealed.fold.end_us() + rules.revise_us;
        let candidates = self.sealed.iter().take_while(|sealed| last_us(sealed) < newest_us);
        let behind = candidates.enumerate().filter(|(_, sealed)| last_us(sealed) < event_us(&sealed.fold));
        if let Some((_, newest)) = behind.last() {
            self.behind_us = self.behind_us.max(newest.fold.minute_us);
        }
        let leaves_us = self.behind_us.min(open_us.saturating_sub(1));
        while self.sealed.front().is_some_and(|oldest| oldest.fold.minute_us <= leaves_us) {
            self.drop_oldest(rules);
        }
        if let (Some(longer), Some(rules)) = (&mut self.longer, &rules.longer) {
            longer.trim(leaves_us, rules);
        }
    }

    /// Lets go of bars that end at `until_us` or before.
    pub(crate) fn let_go(&mut self, until_us: i64, rules: &Rules) {
        while self.sealed.front().is_some_and(|oldest| oldest.end_us <= until_us) {
            self.drop_oldest(rules);
        }
    }

    /// The end of the oldest bar that may be revised, µs.
    pub(crate) fn oldest_end_us(&self) -> Option<i64> {
        self.sealed.front().map(|sealed| sealed.end_us)
    }

    /// Makes room for as many bars as there will ever be: doubled step by step, it would end at twice that, and a minute
    /// that closes thousands of symbols would wade through all of it.
    pub(super) fn reserve(&mut self) {
        if self.sealed.capacity() < MOST_REVISABLE {
            self.sealed.reserve_exact(MOST_REVISABLE - self.sealed.len());
        }
    }

    pub(super) fn drop_oldest(&mut self, rules: &Rules) {
        let Some(oldest) = self.sealed.pop_front() else {
            return;
        };
        self.base_minute_us = self.base_minute_us.max(oldest.fold.minute_us);
        self.behind_us = self.behind_us.max(self.base_minute_us);
        if let Some(bar) = oldest.window_bar(rules) {
            let open_us = oldest.open_us();
            let bar = bar.opening(self.base.enter(rules.stands_in(oldest.session)));
            let newer = self.in_window_after(&bar);
            if let Some(candles) = &mut self.candles {
                candles.settle(open_us, self.window.view().before(newer), &());
            }
            if let Some(study) = &mut self.study {
                study.settle(open_us, self.window.view().before(newer), &rules.study);
            }
            if let Some(volumes) = &mut self.volumes {
                volumes.settle();
            }
            self.base.push(&bar, oldest.end_us, &oldest.found, &rules.combined);
            if let Some(on) = &rules.indicators {
                self.gauges.settle(open_us, newer, &self.window, on);
            }
        }
        let rolled = oldest.rolled_from(rules);
        if let (Some((bar, session)), Some(longer), Some(rules)) = (rolled, &mut self.longer, &rules.longer) {
            longer.settle(&bar, session, rules);
        }
        self.spare = oldest.found.in_place_of();
    }

    /// Bars in the window after `bar`, which was the oldest revisable one.
    pub(super) fn in_window_after(&self, bar: &WindowBar) -> usize {
        // To count is to read every one of them; as a rule all are in the window, and it holds the bar where they end.
        let all = self.sealed.len();
        let is_there = self.window.view().bar(all).is_some_and(|held| held.ts_us == bar.ts_us);
        if is_there { all } else { self.in_window_from(0) }
    }

    /// Bars of the window among the revisable ones from `at` on.
    pub(super) fn in_window_from(&self, at: usize) -> usize {
        self.sealed.iter().skip(at).filter(|sealed| sealed.session.is_some()).count()
    }

    /// Goes back before an inserted bar and on from there.
    pub(super) fn rebuild(&mut self, at: usize, rules: Reach<'_>, detections: &mut Vec<Detection>) {
        let held = self.in_window_from(0) - usize::from(self.sealed[at].session.is_some());
        self.refold(held, at, rules, detections);
    }

    /// Takes `held` bars back from the window, then folds all revisable bars again, looking for patterns from `at` on.
    pub(super) fn refold(&mut self, held: usize, at: usize, rules: Reach<'_>, detections: &mut Vec<Detection>) {
        // Loud: with bars that are pushed twice every pattern and indicator of the symbol would be wrong from here on.
        assert!(self.window.rewind(held), "a window keeps its revisable bars");
        self.now.clone_from(&self.base);
        if let Some(candles) = &mut self.candles {
            candles.rewind(&self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.rewind(&self.window, &rules.study);
        }
        if let Some(volumes) = &mut self.volumes {
            volumes.rewind();
        }
        if let Some(on) = &rules.indicators {
            self.gauges.rewind(&self.window, on);
        }
        let mut sealed = std::mem::take(&mut self.sealed);
        for (index, each) in sealed.iter_mut().enumerate() {
            each.evaluation += u32::from(index > at);
            let Some(bar) = each.window_bar(&rules) else {
                continue;
            };
            if index < at {
                let bar = self.enter(each.session, bar, &rules);
                self.now.push(&bar, each.end_us, &each.found, &rules.combined);
                if let Some(on) = &rules.indicators {
                    self.gauges.push(&bar, &self.window, on);
                }
            } else {
                self.evaluate(bar, each, rules, Some(&mut *detections));
            }
        }
        self.sealed = sealed;
    }
}
