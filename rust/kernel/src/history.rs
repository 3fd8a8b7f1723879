//! The closed bars of one symbol and timeframe: the window patterns look at, and the newest, which late ticks may revise.
//!
//! Where it stands is known at two places: after the newest bar, and (`base`) before the oldest revisable one. A revision
//! goes back to `base`, and what is carried beside it to its mark ([`crate::trail`]), and folds the revised bars again, so that
//! it ends in the same bits as if the tick had been in time.

mod evaluation;
mod formed;
mod known;
mod revision;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::bar::{Bar, Fold, quality};
use crate::candle::talib::Candles;
use crate::footing::Footing;
use crate::found::Found;
use crate::indicator::gauges::Gauges;
use crate::longer::Longer;
use crate::made::{Made, Row};
use crate::pattern::{self, Direction, MinuteVolumes};
use crate::rules::{MOST_REVISABLE, Reach, Rules};
use crate::sealed::Sealed;
use crate::session::Session;
use crate::snapshot::{Sound, holds, is_near};
use crate::study::Study;
use crate::timeframe::Timeframe;
use crate::trail::Trail;
use crate::window::{Window, WindowBar};
pub use formed::Formed;

/// The closed bars of one symbol and timeframe.
#[derive(Debug, Serialize, Deserialize)]
pub struct History {
    window: Window,
    now: Footing,
    base: Footing,
    /// The end of what the newest bar stands in, µs: its session, or of longer bars what stands for one.
    closes_us: i64,
    /// TA-Lib's functions; `None` if none of them is on.
    candles: Option<Box<Trail<Candles>>>,
    /// What the bars have come to; `None` if no pattern that is on asks for it.
    study: Option<Box<Trail<Study>>>,
    /// What the minutes of other sessions traded; `None` if no pattern that is on asks for it.
    volumes: Option<Box<MinuteVolumes>>,
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
            closes_us: i64::MAX,
            candles: rules.has_candles().then(Box::default),
            study: rules.has_study().then(Box::default),
            volumes: rules.has_volumes().then(Box::default),
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
        holds(self.volumes.is_some() == rules.has_volumes(), "volumes")?;
        let revisable = self.in_window_from(0);
        self.volumes.as_ref().map_or(Ok(()), |volumes| volumes.is_sound(revisable))?;
        holds(self.gauges.is_watched() == watched, "indicators")?;
        let window = self.window.resized(rules.window_bars, revisable);
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
        let kept = kept ^ self.volumes.as_ref().map_or(0, |volumes| volumes.touch());
        let ends = [self.sealed.front(), self.sealed.back()].map(|sealed| sealed.map_or(0, Sealed::touch));
        // The oldest one leaves, and `trim` asks the next whether it is the last to do so.
        let second = self.sealed.get(1).map_or(0, |sealed| sealed.fold.minute_us as u64);
        let stands = self.now.touch() ^ self.base.touch();
        let longer = self.longer.as_ref().map_or(0, |longer| longer.touch(end_us));
        // Who looks at a study looks at days as well.
        let far = if self.study.is_some() { self.window.touch_far() ^ self.now.range.days().touch() } else { 0 };
        self.window.touch() ^ far ^ kept ^ stands ^ ends[0] ^ ends[1] ^ second ^ longer
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

    /// Says which patterns have been switched off since it was last asked.
    fn tell(&mut self, made: &mut Made) {
        made.broken.extend(self.broken.iter().skip(self.told));
        self.told = self.broken.len();
    }
}
