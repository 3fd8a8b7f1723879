//! The closed bars of one symbol and timeframe: the window patterns look at, and the newest, which late ticks may revise.
//!
//! State stands at two places: after the newest bar, and (`base`) before the oldest revisable one. A revision goes
//! back to `base` and folds the revised bars again, so that it ends in the same bits as if the tick had been in time.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::bar::{Bar, Fold, quality};
use crate::candle::talib::Candles;
use crate::detection::{About, Detail, Detection, On};
use crate::footing::Footing;
use crate::found::Found;
use crate::indicator::gauges::Gauges;
use crate::longer::Longer;
use crate::made::{Made, Row};
use crate::pattern::days::Day;
use crate::pattern::{self, Agreement, Closing, Direction, Match, Pattern};
use crate::rule::MOST_RULES;
use crate::rules::{MOST_REVISABLE, Reach, Rules};
use crate::sealed::Sealed;
use crate::session::Session;
use crate::snapshot::{Sound, holds, is_near};
use crate::study::Study;
use crate::timeframe::Timeframe;
use crate::trail::Trail;
use crate::window::{Window, WindowBar};

/// The closed bars of one symbol and timeframe.
#[derive(Debug, Serialize, Deserialize)]
pub struct History {
    window: Window,
    now: Footing,
    base: Footing,
    /// TA-Lib's functions; `None` if none of them is on.
    candles: Option<Box<Trail<Candles>>>,
    /// What the bars have come to; `None` if no pattern that is on asks for it.
    study: Option<Box<Trail<Study>>>,
    /// Start of the newest bar that was let go of.
    base_minute_us: i64,
    /// Start of the newest bar that can no longer be revised; it may wait for an older one that is still open.
    behind_us: i64,
    sealed: VecDeque<Sealed>,
    /// What held on the bar that was last let go of: its memory is the next one's.
    #[serde(skip)]
    spare: Found,
    gauges: Gauges,
    /// Patterns that are switched off here, and how many of them have been told.
    broken: Vec<u16>,
    told: usize,
    /// The bars that minutes are rolled up to; `None` if nobody asks for longer ones.
    longer: Option<Box<Longer>>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self {
            window: Window::new(rules.window_bars),
            now: Footing::default(),
            base: Footing::default(),
            candles: rules.has_candles().then(Box::default),
            study: rules.has_study().then(Box::default),
            base_minute_us: i64::MIN,
            behind_us: i64::MIN,
            sealed: VecDeque::new(),
            spare: Found::default(),
            gauges: Gauges::default(),
            broken: Vec::new(),
            told: 0,
            longer: rules.longer.as_ref().map(|longer| Box::new(Longer::new(longer))),
        }
    }

    /// Reads all indicators of the symbol from now on.
    pub fn watch(&mut self) {
        self.gauges.watch();
    }

    /// Makes one that was read from a snapshot fit what all have in common.
    ///
    /// # Errors
    /// What about it cannot have come of these rules.
    pub(crate) fn fit(&mut self, rules: &Rules, watched: bool) -> Sound {
        let patterns = self.broken.iter().all(|&pattern| usize::from(pattern) < pattern::COUNT);
        holds(patterns && self.broken.len() <= pattern::COUNT, "patterns")?;
        holds(
            self.sealed.len() <= MOST_REVISABLE && self.sealed.iter().all(|sealed| sealed.is_sound(rules)),
            "closed bars",
        )?;
        holds([&self.now, &self.base].iter().all(|at| at.memory.is_sound(&rules.combined)), "rules")?;
        holds([&self.now, &self.base].iter().all(|at| at.recent.is_sound() && is_near(at.end_us)), "chart patterns")?;
        holds(self.candles.is_some() == rules.has_candles(), "candlesticks")?;
        holds(self.study.is_some() == rules.has_study(), "studies")?;
        holds(self.gauges.is_watched() == watched, "indicators")?;
        let window = self.window.resized(rules.window_bars, self.in_window_from(0));
        self.window = window.ok_or("a window")?;
        match (&mut self.longer, &rules.longer) {
            (Some(longer), Some(rules)) => longer.fit(rules),
            (longer, rules) => holds(longer.is_none() && rules.is_none(), "timeframes"),
        }
    }

    /// The minute at `minute_us` of `session` has opened, if it is of one: prepares what its close would have to do where a
    /// session begins.
    pub fn foresee(&mut self, minute_us: i64, session: Option<Session>, rules: &Rules) {
        let Some(session) = session else { return };
        self.prepare(Some(session.open_us), rules);
        if let (Some(longer), Some(rules)) = (&mut self.longer, &rules.longer) {
            longer.foresee(minute_us, rules);
        }
    }

    /// The next bar will be carried on from `session`'s open.
    pub(crate) fn prepare(&mut self, session: Option<i64>, rules: &Rules) {
        if let Some(candles) = &mut self.candles {
            candles.foresee(session, &self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.foresee(session, &self.window, &rules.study);
        }
        if let Some(on) = &rules.indicators {
            self.gauges.foresee(session, &self.window, on);
        }
    }

    /// The rolling window.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The closed minute that a late tick would revise.
    #[must_use]
    pub fn sealed(&self, minute_us: i64) -> Option<&Fold> {
        self.sealed.iter().rev().find(|sealed| sealed.fold.minute_us == minute_us).map(|sealed| &sealed.fold)
    }

    /// The start of its newest bar, µs.
    #[must_use]
    pub fn newest_us(&self) -> i64 {
        self.sealed.back().map_or(self.base_minute_us, |sealed| sealed.fold.minute_us)
    }

    /// Whether a minute lies behind everything that can be revised.
    #[must_use]
    pub fn is_behind(&self, minute_us: i64) -> bool {
        minute_us <= self.behind_us
    }

    /// Reads what [`History::close`] will read of a minute that ends at `end_us`, and gives a value that must be kept alive.
    ///
    /// A minute closes thousands of symbols whose state has left the cache, each with a chain of misses that the
    /// processor cannot look past; those of several symbols read in a row overlap.
    #[must_use]
    pub fn touch(&self, end_us: i64) -> u64 {
        let candles = self.candles.as_ref().map_or(0, |candles| candles.touch());
        let kept = candles ^ self.gauges.touch() ^ self.study.as_ref().map_or(0, |study| study.touch());
        let ends = [self.sealed.front(), self.sealed.back()].map(|sealed| sealed.map_or(0, Sealed::touch));
        // The oldest one leaves, and `trim` asks the next whether it is the last to do so.
        let second = self.sealed.get(1).map_or(0, |sealed| sealed.fold.minute_us as u64);
        let longer = self.longer.as_ref().map_or(0, |longer| longer.touch(end_us));
        let far = if self.study.is_some() { self.window.touch_far() } else { 0 };
        self.window.touch() ^ far ^ kept ^ ends[0] ^ ends[1] ^ second ^ longer
    }

    /// Closes a minute. `session` is the one its window belongs to, if it belongs to one; `is_late` says that its first tick
    /// came when it was final: it is then no more news than a revision is.
    ///
    /// `O(1)` for the newest bar; an older one costs the bars after it again.
    pub fn close(&mut self, fold: Fold, session: Option<Session>, is_late: bool, rules: &Rules, made: &mut Made) {
        made.clear();
        let end_us = fold.end_us();
        let (row, is_newest) = self.put(fold, end_us, session, is_late, rules.into(), made);
        made.row = row;
        made.readings = self.gauges.take();
        made.readings.iter_mut().for_each(|reading| reading.fresh = is_newest && !is_late);
        made.order();
    }

    /// Puts a closed bar, which ends at `end_us`, in its place among the others: its row, and whether it is the newest. Longer
    /// bars that it ends, or changes, come first: it sees them.
    pub(crate) fn put(
        &mut self,
        fold: Fold,
        end_us: i64,
        session: Option<Session>,
        is_late: bool,
        rules: Reach<'_>,
        made: &mut Made,
    ) -> (Option<Row>, bool) {
        while self.sealed.len() >= MOST_REVISABLE {
            self.drop_oldest(&rules);
        }
        let at = self.sealed.iter().rposition(|sealed| sealed.fold.minute_us < fold.minute_us).map_or(0, |at| at + 1);
        let bar = fold.bar(rules.price_scale);
        // A bar that was open for longer than others may wait has no place in the window any more, only its row.
        let session = session.filter(|_| bar.is_some() && fold.minute_us > self.base_minute_us);
        let row = bar.map(|bar| Row { bar, revision: 0, span: fold.span() });
        let evaluation = u32::from(is_late);
        let found = std::mem::take(&mut self.spare);
        let mut sealed = Sealed { fold, revision: 0, written: bar.is_some(), evaluation, session, end_us, found };
        let is_newest = at == self.sealed.len();
        if is_newest {
            let rolled = sealed.rolled_from(&rules);
            if rolled.is_some_and(|rolled| !self.roll(rolled, &rules, made)) {
                self.roll_again(rolled, &rules, made);
            }
            // Looked at before it is put away: its place has left the cache, and to read it there would be to wait.
            if let Some(bar) = bar.filter(|_| session.is_some()) {
                self.evaluate(WindowBar::from(bar), &mut sealed, rules, Some(&mut made.detections));
            }
            self.reserve();
            self.sealed.push_back(sealed);
        } else {
            self.reserve();
            self.sealed.insert(at, sealed);
            self.roll_again(None, &rules, made);
            self.rebuild(at, rules, &mut made.detections);
        }
        self.tell(made);
        (row, is_newest)
    }

    /// Folds a late tick into the closed bar of its minute through `add`. False, and nothing made, if there is none.
    pub fn revise(
        &mut self,
        minute_us: i64,
        session: Option<Session>,
        rules: &Rules,
        add: impl FnOnce(&mut Fold),
        made: &mut Made,
    ) -> bool {
        made.clear();
        let Some(sealed) = self.sealed.iter().rfind(|sealed| sealed.fold.minute_us == minute_us) else {
            return false;
        };
        let flag = if sealed.written { quality::LATE_REVISED } else { 0 };
        let add = |fold: &mut Fold| {
            add(fold);
            fold.quality |= flag;
        };
        made.row = self.change(minute_us, session, rules.into(), add, made);
        made.readings = self.gauges.take();
        made.order();
        true
    }

    /// Changes a closed bar through `add`, and longer bars with it, and looks at it and those after it again: its row, if it
    /// has a price.
    pub(crate) fn change(
        &mut self,
        start_us: i64,
        session: Option<Session>,
        rules: Reach<'_>,
        add: impl FnOnce(&mut Fold),
        made: &mut Made,
    ) -> Option<Row> {
        let at = self.sealed.iter().rposition(|sealed| sealed.fold.minute_us == start_us)?;
        let held = self.in_window_from(0);
        let sealed = &mut self.sealed[at];
        add(&mut sealed.fold);
        sealed.revision += u32::from(sealed.written);
        sealed.evaluation += 1;
        let bar = sealed.fold.bar(rules.price_scale)?;
        if !sealed.written {
            sealed.session = session;
        }
        sealed.written = true;
        let row = Row { bar, revision: sealed.revision, span: sealed.fold.span() };
        self.roll_again(None, &rules, made);
        self.refold(held, at, rules, &mut made.detections);
        self.tell(made);
        Some(row)
    }

    /// Takes a minute into the longer bars, if there are any, and closes those that it ends; false if that cannot be done without
    /// going back.
    fn roll(&mut self, (bar, session): (Bar, Session), rules: &Rules, made: &mut Made) -> bool {
        match (&mut self.longer, &rules.longer) {
            (Some(longer), Some(rules)) => longer.push(&bar, session, rules, made),
            _ => true,
        }
    }

    /// Rolls the minutes that may be revised up again, and one that is to be put behind them: of the longer bars that closed,
    /// those that differ are revised.
    fn roll_again(&mut self, newest: Option<(Bar, Session)>, rules: &Rules, made: &mut Made) {
        if let (Some(longer), Some(rules_of)) = (&mut self.longer, &rules.longer) {
            let minutes = self.sealed.iter().filter_map(|sealed| sealed.rolled_from(rules));
            longer.refold(minutes.chain(newest), rules_of, made);
        }
    }

    /// Closes the longer bars whose bucket is over at `end_us`: no minute that ends by then comes in time any more.
    pub(crate) fn close_longer(&mut self, end_us: i64, rules: &Rules, made: &mut Made) {
        made.clear();
        if let (Some(longer), Some(rules)) = (&mut self.longer, &rules.longer) {
            longer.close_up_to(end_us, rules, made);
            made.order();
        }
    }

    /// When the first of the buckets that are forming is over, µs; `i64::MAX` if none is.
    #[must_use]
    pub(crate) fn longer_end_us(&self) -> i64 {
        self.longer.as_ref().map_or(i64::MAX, |longer| longer.end_us())
    }

    /// Notes the returns of its bars, as those that others are measured against.
    pub(crate) fn note_returns(&self, rules: &mut Rules) {
        rules.benchmark.note(&self.window);
        if let (Some(longer), Some(rules)) = (&self.longer, &mut rules.longer) {
            longer.note_returns(rules);
        }
    }

    /// The bars that may be revised, and where it stood before them.
    pub(crate) fn closed(&self) -> (&VecDeque<Sealed>, &Footing) {
        (&self.sealed, &self.base)
    }

    /// The closed bars of a timeframe; `None` if nobody asks for it.
    #[must_use]
    pub fn of(&self, timeframe: Timeframe, rules: &Rules) -> Option<&Self> {
        if timeframe == rules.timeframe {
            return Some(self);
        }
        self.longer.as_ref()?.track(timeframe, rules.longer.as_ref()?)
    }

    /// Feeds a minute of history through the same path and says nothing.
    pub fn warm(&mut self, fold: Fold, revision: u32, session: Option<Session>, rules: &Rules) -> bool {
        let end_us = fold.end_us();
        if let (Some(longer), Some(rules)) = (&mut self.longer, &rules.longer) {
            longer.begin(rules);
        }
        self.feed(fold, end_us, revision, session, rules.into())
    }

    /// Puts a bar of history behind the others, longer bars that it ends first, and says nothing; false if it is not newer than
    /// they.
    pub(crate) fn feed(
        &mut self,
        fold: Fold,
        end_us: i64,
        revision: u32,
        session: Option<Session>,
        rules: Reach<'_>,
    ) -> bool {
        if fold.minute_us <= self.newest_us() {
            return false;
        }
        while self.sealed.len() >= MOST_REVISABLE {
            self.drop_oldest(&rules);
        }
        let found = Found::default();
        let mut sealed = Sealed { fold, revision, written: true, evaluation: revision, session, end_us, found };
        if let Some(rolled) = sealed.rolled_from(&rules) {
            self.roll(rolled, &rules, &mut Made::default());
        }
        if let Some(bar) = sealed.window_bar(&rules) {
            self.evaluate(bar, &mut sealed, rules, None);
            self.gauges.take();
        }
        self.reserve();
        self.sealed.push_back(sealed);
        true
    }

    /// Feeds a bar of a longer timeframe; see [`Longer::warm`].
    pub(crate) fn warm_longer(&mut self, timeframe: Timeframe, bar: &Bar, session: Session, rules: &Rules) -> bool {
        match (&mut self.longer, &rules.longer) {
            (Some(longer), Some(rules)) => longer.warm(timeframe, bar, session, rules),
            _ => false,
        }
    }

    /// Tells of a finished session before all that were seen; false if bars were, and nothing is changed.
    pub fn know(&mut self, day: Day) -> bool {
        if !self.window.is_empty() {
            return false;
        }
        self.now.range.know(day);
        self.base.range.know(day);
        if let Some(longer) = &mut self.longer {
            longer.know(day);
        }
        true
    }

    /// Tells of a fed bar at which evaluation an event of it was made, as the stored event says: no later one may bear
    /// that number again. Of one that was not withdrawn, `event` is its pattern; whether that holds.
    pub fn recall(&mut self, start_us: i64, event: Option<(u16, Direction)>, evaluation: u32) -> bool {
        let Some(sealed) = self.sealed.iter_mut().rfind(|sealed| sealed.fold.minute_us == start_us) else {
            return false;
        };
        sealed.evaluation = sealed.evaluation.max(evaluation);
        event.is_some_and(|(pattern, direction)| sealed.found.recall(pattern, direction, evaluation))
    }

    /// The same of a bar of any timeframe.
    pub(crate) fn recall_of(
        &mut self,
        timeframe: Timeframe,
        start_us: i64,
        event: Option<(u16, Direction)>,
        evaluation: u32,
        rules: &Rules,
    ) -> bool {
        match (&mut self.longer, &rules.longer) {
            _ if timeframe == rules.timeframe => self.recall(start_us, event, evaluation),
            (Some(longer), Some(rules)) => longer.recall(timeframe, start_us, event, evaluation, rules),
            _ => false,
        }
    }

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
    fn reserve(&mut self) {
        if self.sealed.capacity() < MOST_REVISABLE {
            self.sealed.reserve_exact(MOST_REVISABLE - self.sealed.len());
        }
    }

    fn drop_oldest(&mut self, rules: &Rules) {
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
    fn in_window_after(&self, bar: &WindowBar) -> usize {
        // To count is to read every one of them; as a rule all are in the window, and it holds the bar where they end.
        let all = self.sealed.len();
        let is_there = self.window.view().bar(all).is_some_and(|held| held.ts_us == bar.ts_us);
        if is_there { all } else { self.in_window_from(0) }
    }

    /// Bars of the window among the revisable ones from `at` on.
    fn in_window_from(&self, at: usize) -> usize {
        self.sealed.iter().skip(at).filter(|sealed| sealed.session.is_some()).count()
    }

    /// Goes back before an inserted bar and on from there.
    fn rebuild(&mut self, at: usize, rules: Reach<'_>, detections: &mut Vec<Detection>) {
        let held = self.in_window_from(0) - usize::from(self.sealed[at].session.is_some());
        self.refold(held, at, rules, detections);
    }

    /// Takes `held` bars back from the window, then folds all revisable bars again, looking for patterns from `at` on.
    fn refold(&mut self, held: usize, at: usize, rules: Reach<'_>, detections: &mut Vec<Detection>) {
        // Loud: with bars that are pushed twice every pattern and indicator of the symbol would be wrong from here on.
        assert!(self.window.rewind(held), "a window keeps its revisable bars");
        self.now.clone_from(&self.base);
        if let Some(candles) = &mut self.candles {
            candles.rewind(&self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.rewind(&self.window, &rules.study);
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

    /// Says which patterns have been switched off since it was last asked.
    fn tell(&mut self, made: &mut Made) {
        made.broken.extend(self.broken.iter().skip(self.told));
        self.told = self.broken.len();
    }

    /// Makes a bar the window's newest, and moves what is kept beside the window on.
    fn enter(&mut self, stretch: Option<Session>, bar: WindowBar, rules: &Rules) -> WindowBar {
        let bar = bar.opening(self.now.enter(rules.stands_in(stretch)));
        let session = stretch.map(|stretch| stretch.open_us);
        if let Some(candles) = &mut self.candles {
            candles.enter(session, &self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.enter(session, &self.window, &rules.study);
        }
        if let Some(on) = &rules.indicators {
            self.gauges.enter(session, &self.window, on);
        }
        self.window.push(bar);
        if let Some(candles) = &mut self.candles {
            candles.push(&bar, &self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.push(&bar, &self.window, &rules.study);
        }
        bar
    }

    /// Puts the bar of a sealed one into the window and says which patterns came and went with it. `None`: nobody is told, of
    /// a bar that is looked at for the first time.
    fn evaluate(
        &mut self,
        bar: WindowBar,
        sealed: &mut Sealed,
        rules: Reach<'_>,
        detections: Option<&mut Vec<Detection>>,
    ) {
        let bar = self.enter(sealed.session, bar, &rules);
        if let Some(on) = &rules.indicators {
            self.gauges.read(&bar, &self.window, on);
        }
        let mut matches: Matches = ArrayVec::new();
        let candles = self.candles.as_deref().map(Trail::now);
        let study = self.study.as_deref().map(Trail::now);
        let above = match (&self.longer, &rules.rules.longer) {
            (Some(longer), Some(rules)) => longer.above(rules),
            _ => rules.above,
        };
        let above = above.at(sealed.end_us, sealed.open_us());
        let at = Closing { window: &self.window, session: &self.now.range, candles, study, held: &[], above };
        if bar.quality & quality::PARTIAL == 0 {
            let (broken, rests) = (&self.broken, &self.now.rests);
            let on = || rules.detectors.on(candles, study).filter(|(id, _)| !broken.contains(id) && !rests.has(*id));
            let all = AssertUnwindSafe(|| {
                for &(id, pattern) in on() {
                    matches.extend(pattern.detect(&at).map(|matched| (id, matched)));
                }
            });
            if panic::catch_unwind(all).is_err() {
                let guilty = guilty(on(), &at, &mut matches);
                self.broken.extend(guilty);
            }
            for &(id, pattern) in rules.detectors.last().iter().filter(|(id, _)| !self.now.rests.has(*id)) {
                let found = pattern.detect(&Closing { held: &matches, ..at });
                matches.extend(found.map(|found| (id, found)));
            }
            rules.combined.extend(&mut matches, &at, &self.now.memory, &rules.study);
        }
        let Some(detections) = detections else {
            sealed.found.hold(&matches, sealed.evaluation);
            self.now.push(&bar, sealed.end_us, &sealed.found, &rules.combined);
            return;
        };
        let about = OnceCell::new();
        let newest = || About::newest(&self.window, self.gauges.rsi(), rules.benchmark.strength(&self.window));
        let detail = |pattern, matched| {
            let flags = rules.combined.flags(pattern, &at);
            Detail::of(&at, pattern, matched, flags, about.get_or_init(newest))
        };
        let on = On { bar, timeframe: rules.timeframe, end_us: sealed.end_us };
        let before = detections.len();
        sealed.found.renew(&matches, sealed.evaluation, on, &rules.combined, detail, detections);
        self.now.push(&bar, sealed.end_us, &sealed.found, &rules.combined);
        let said = &mut detections[before..];
        rules.combined.explain(said, &self.now.memory, above);
        Agreement::explain(said, &sealed.found, above, &rules.combined);
    }
}

/// The patterns that hold on a bar.
type Matches = ArrayVec<(u16, Match), { pattern::COUNT + MOST_RULES }>;

/// Looks for patterns one by one after a panic among them: `matches` become those of the others, the guilty ones come
/// back. A panic is a bug of ours; it costs the symbol a pattern and nobody else anything.
fn guilty<'a>(
    on: impl Iterator<Item = &'a (u16, &'static dyn Pattern)>,
    at: &Closing<'_>,
    matches: &mut Matches,
) -> Vec<u16> {
    matches.clear();
    let mut guilty = Vec::new();
    for &(id, pattern) in on {
        match panic::catch_unwind(AssertUnwindSafe(|| pattern.detect(at))) {
            Ok(found) => matches.extend(found.map(|matched| (id, matched))),
            Err(_) => guilty.push(id),
        }
    }
    guilty
}
