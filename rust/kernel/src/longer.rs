//! The bars of longer timeframes of one symbol: rolled up from its closed minutes, each with its own window and patterns.
//!
//! They close with the minutes, or when the feed's time has passed their bucket. A minute that comes late, or changes, goes
//! back to the minutes that cannot: from there all are rolled up again, and of the bars that had closed those that differ are
//! revised. So the bars are at any time those that minutes in order of time give, to the bit.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::above::Above;
use crate::bar::{Bar, Fold};
use crate::history::History;
use crate::ladder::Ladder;
use crate::made::{self, Made, Row};
use crate::offset::Span;
use crate::pattern::Direction;
use crate::pattern::days::Day;
use crate::rollup::{Rolled, Rollup};
use crate::rules::{LongerRules, Reach, Rules};
use crate::session::Session;
use crate::snapshot::{Sound, holds, is_near};
use crate::tick::Kind;
use crate::time::{DAY_US, MINUTE_US};
use crate::timeframe::Timeframe;

/// Weeks of weekly bars that are carried on through, as days of a week are: a quarter.
const QUARTER_US: i64 = 13 * 7 * DAY_US;

/// Closed bars, each with the session it lies in.
type Closed = Vec<(Rolled, Session)>;

/// What minutes have come to, and the session of the newest.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Place {
    ladder: Ladder,
    session: Option<Session>,
}

impl Place {
    /// Takes in the next minute and hands on each bar that it closes, with the session it lies in.
    fn push(
        &mut self,
        bar: &Bar,
        session: Session,
        rules: &LongerRules,
        mut closed: impl FnMut(Rolled, Session),
    ) -> bool {
        let before = self.session.unwrap_or(session);
        let of = |rolled: &Rolled| if before.holds(rolled.bar.ts_us) { before } else { session };
        let taken = self.ladder.push(bar, session, &rules.grid, |rolled| closed(rolled, of(&rolled))).is_ok();
        if taken {
            self.session = Some(session);
        }
        taken
    }

    /// Hands on the bars whose bucket is over at `end_us`.
    fn close_up_to(&mut self, end_us: i64, mut closed: impl FnMut(Rolled, Session)) {
        let Some(session) = self.session else { return };
        self.ladder.close_up_to(end_us, |rolled| closed(rolled, session));
    }
}

/// The longer bars of one symbol.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Longer {
    /// After the newest minute.
    now: Place,
    /// After the newest minute that cannot change any more; it knows no watermark.
    base: Place,
    /// The closed bars of each timeframe, the shortest first.
    tracks: Vec<History>,
    /// Minutes before this one are in bars that were fed whole.
    from_us: i64,
    /// When the first of the buckets that are forming is over.
    end_us: i64,
    /// When the oldest closed bar ends that may be revised.
    oldest_us: i64,
}

impl Longer {
    /// No bars yet.
    pub(crate) fn new(rules: &LongerRules) -> Self {
        let timeframes: Vec<Timeframe> = rules.each.iter().map(|rules| rules.timeframe).collect();
        let place = Place { ladder: Ladder::new(&timeframes), session: None };
        let tracks = rules.each.iter().map(History::new).collect();
        Self { now: place, base: place, tracks, from_us: i64::MIN, end_us: i64::MAX, oldest_us: i64::MAX }
    }

    /// Makes those that were read from a snapshot fit what all have in common.
    ///
    /// # Errors
    /// What about them cannot have come of these rules.
    pub(crate) fn fit(&mut self, rules: &LongerRules) -> Sound {
        let of = |timeframe: Timeframe| rules.each.iter().any(|rules| rules.timeframe == timeframe);
        let sound = |place: &Place| place.ladder.is_sound(of) && place.session.is_none_or(Session::is_sound);
        let near = self.from_us == i64::MIN || is_near(self.from_us);
        let whole = near && self.tracks.len() == rules.each.len();
        holds(sound(&self.now) && sound(&self.base) && whole, "longer bars")?;
        self.tracks.iter_mut().zip(&rules.each).try_for_each(|(track, rules)| track.fit(rules, false))?;
        self.note_ends();
        Ok(())
    }

    /// Reads a word of each cache line that the minute which ends at `end_us` will ask for; see `History::touch`.
    pub(crate) fn touch(&self, end_us: i64) -> u64 {
        let ladders = self.now.ladder.touch() ^ self.base.ladder.touch();
        if self.end_us > end_us {
            return ladders;
        }
        // Their own state is as far away as that of minutes.
        let each = self.tracks.iter().zip(self.now.ladder.ends_us());
        let closing = each.filter(|(_, over_us)| over_us.is_some_and(|over_us| over_us <= end_us));
        closing.fold(ladders, |bits, (track, _)| bits ^ track.touch(end_us))
    }

    /// When the first of the buckets that are forming is over, µs; `i64::MAX` if none is.
    pub(crate) fn end_us(&self) -> i64 {
        self.end_us
    }

    /// All of them, as shorter bars see them.
    pub(crate) fn above<'a>(&'a self, rules: &'a LongerRules) -> Above<'a> {
        Above::of(&self.tracks, &rules.each)
    }

    /// The closed bars of a timeframe, if it is one of these.
    pub(crate) fn track(&self, timeframe: Timeframe, rules: &LongerRules) -> Option<&History> {
        self.tracks.get(rules.place(timeframe)?)
    }

    /// The closed bars of each timeframe with its rules, the shortest first.
    pub(crate) fn each<'a>(&'a self, rules: &'a LongerRules) -> impl Iterator<Item = (&'a History, &'a Rules)> {
        self.tracks.iter().zip(&rules.each)
    }

    /// Takes in the next minute and closes the bars that it ends; false, and nothing is changed, if the bucket of the minute
    /// had been told to be over.
    pub(crate) fn push(&mut self, bar: &Bar, session: Session, rules: &LongerRules, made: &mut Made) -> bool {
        if bar.ts_us < self.from_us {
            return true;
        }
        let mut closed = Closed::new();
        if !self.now.push(bar, session, rules, |rolled, of| closed.push((rolled, of))) {
            return false;
        }
        self.close(closed, false, rules, made);
        true
    }

    /// Closes the bars whose bucket is over at `end_us`.
    pub(crate) fn close_up_to(&mut self, end_us: i64, rules: &LongerRules, made: &mut Made) {
        let mut closed = Closed::new();
        self.now.close_up_to(end_us, |rolled, of| closed.push((rolled, of)));
        self.close(closed, false, rules, made);
    }

    /// Goes back to the minutes that cannot change, rolls up those that can, in order, and corrects what comes out otherwise.
    pub(crate) fn refold(
        &mut self,
        minutes: impl Iterator<Item = (Bar, Session)>,
        rules: &LongerRules,
        made: &mut Made,
    ) {
        let passed_us = self.now.ladder.passed_us();
        let mut closed = Closed::new();
        self.now = self.base;
        let from_us = self.from_us;
        for (bar, session) in minutes.filter(|(bar, _)| bar.ts_us >= from_us) {
            self.now.push(&bar, session, rules, |rolled, of| closed.push((rolled, of)));
        }
        self.now.close_up_to(passed_us, |rolled, of| closed.push((rolled, of)));
        for (rolled, session) in longest_first(closed) {
            self.correct(&rolled, session, rules, made);
        }
        self.note_ends();
    }

    /// History is fed: what of it is in bars that are fed whole is no minute of others.
    pub(crate) fn begin(&mut self, rules: &LongerRules) {
        self.from_us = rules.from_us;
    }

    /// A minute can no longer change.
    pub(crate) fn settle(&mut self, bar: &Bar, session: Session, rules: &LongerRules) {
        if bar.ts_us >= self.from_us {
            self.base.push(bar, session, rules, |_, _| ());
        }
    }

    /// Lets go of closed bars all of whose minutes start at `behind_us` or before: those cannot change.
    pub(crate) fn trim(&mut self, behind_us: i64, rules: &LongerRules) {
        let until_us = behind_us.saturating_add(MINUTE_US);
        if self.oldest_us <= until_us {
            self.tracks.iter_mut().zip(&rules.each).for_each(|(track, rules)| track.let_go(until_us, rules));
            self.note_ends();
        }
    }

    /// A minute has opened: if it is the last of a bucket, prepares what that one's close would have to do where a session, or
    /// what stands for it, begins.
    pub(crate) fn foresee(&mut self, minute_us: i64, rules: &LongerRules) {
        let next_us = minute_us + MINUTE_US;
        if self.end_us > next_us {
            return;
        }
        let Some(session) = self.now.session else { return };
        for (track, own) in self.tracks.iter_mut().zip(&rules.each) {
            let rung = self.now.ladder.rung(own.timeframe);
            if let Some(rolled) = rung.and_then(Rollup::forming).filter(|rolled| rolled.end_us <= next_us) {
                track.prepare(Some(rules.stretch(&rolled, session).open_us), own);
            }
        }
    }

    /// Feeds a bar that closed before the first minute, silently; false if it is none of these, or not newer than the last.
    ///
    /// A day of a week that goes on with the minutes goes into that week.
    pub(crate) fn warm(&mut self, timeframe: Timeframe, bar: &Bar, session: Session, rules: &LongerRules) -> bool {
        self.begin(rules);
        let bucket = rules.grid.bucket(timeframe, bar.ts_us, session);
        if bucket.start_us != bar.ts_us || bucket.end_us > rules.from_us {
            return false;
        }
        let week = rules.grid.bucket(Timeframe::Weekly, bar.ts_us, session);
        let mut goes_on = timeframe == Timeframe::Daily && week.end_us > rules.from_us;
        if goes_on {
            for place in [&mut self.now, &mut self.base] {
                goes_on &= place.ladder.go_on(Timeframe::Weekly, bar, session, &rules.grid);
                place.session = Some(session);
            }
        }
        let rolled = Rolled { timeframe, bar: *bar, end_us: bucket.end_us, minutes: 0, expected: bucket.minutes };
        let rolled = rules.flagged(&rolled, session);
        let fed = rules.place(timeframe).is_some_and(|at| {
            let (track, reach) = self.reach(at, rules);
            track.feed(folded(&rolled.bar), bucket.end_us, 0, Some(rules.stretch(&rolled, session)), reach)
        });
        self.note_ends();
        fed || goes_on
    }

    /// Tells of a finished session before all that were seen; see [`History::know`].
    pub(crate) fn know(&mut self, day: Day) {
        for track in &mut self.tracks {
            track.know(day);
        }
    }

    /// Notes the returns of its bars, as those that others are measured against.
    pub(crate) fn note_returns(&self, rules: &mut LongerRules) {
        self.tracks.iter().zip(&mut rules.each).for_each(|(track, rules)| track.note_returns(rules));
    }

    /// See [`History::recall`].
    pub(crate) fn recall(
        &mut self,
        timeframe: Timeframe,
        start_us: i64,
        event: Option<(u16, Direction)>,
        evaluation: u32,
        rules: &LongerRules,
    ) -> bool {
        rules.place(timeframe).is_some_and(|at| self.tracks[at].recall(start_us, event, evaluation))
    }

    /// Closes bars, the first time each.
    fn close(&mut self, closed: Closed, is_late: bool, rules: &LongerRules, made: &mut Made) {
        for (rolled, session) in longest_first(closed) {
            self.put(&rolled, session, is_late, rules, made);
        }
        self.note_ends();
    }

    /// Closes a bar. One that was over when history ended is no news.
    fn put(&mut self, rolled: &Rolled, session: Session, is_late: bool, rules: &LongerRules, made: &mut Made) {
        let Some(at) = rules.place(rolled.timeframe) else { return };
        let (track, reach) = self.reach(at, rules);
        let rolled = &rules.flagged(rolled, session);
        let (fold, stretch) = (folded(&rolled.bar), Some(rules.stretch(rolled, session)));
        if rolled.end_us <= rules.known_us && !is_late {
            track.feed(fold, rolled.end_us, 0, stretch, reach);
            return;
        }
        let (row, _) = track.put(fold, rolled.end_us, stretch, is_late, reach, made);
        made.longer.extend(row.map(|row| said(rolled, &row)));
    }

    /// Makes a closed bar what its minutes come to now: one that is there already is revised if it differs.
    fn correct(&mut self, rolled: &Rolled, session: Session, rules: &LongerRules, made: &mut Made) {
        let Some(at) = rules.place(rolled.timeframe) else { return };
        let (track, reach) = self.reach(at, rules);
        let rolled = &rules.flagged(rolled, session);
        let start_us = rolled.bar.ts_us;
        match track.sealed(start_us) {
            Some(known) if is_same(known, &rolled.bar) => {}
            Some(_) => {
                let stretch = Some(rules.stretch(rolled, session));
                let row = track.change(start_us, stretch, reach, |fold| *fold = folded(&rolled.bar), made);
                made.longer.extend(row.map(|row| said(rolled, &row)));
            }
            None if track.is_behind(start_us) => {}
            None => self.put(rolled, session, true, rules, made),
        }
    }

    /// One of the tracks, with its rules and those that it sees.
    fn reach<'a>(&'a mut self, at: usize, rules: &'a LongerRules) -> (&'a mut History, Reach<'a>) {
        let (upto, above) = self.tracks.split_at_mut(at + 1);
        (&mut upto[at], Reach { rules: &rules.each[at], above: Above::of(above, &rules.each[at + 1..]) })
    }

    fn note_ends(&mut self) {
        self.end_us = self.now.ladder.end_us();
        self.oldest_us = self.tracks.iter().filter_map(History::oldest_end_us).min().unwrap_or(i64::MAX);
    }
}

impl LongerRules {
    /// Where among its timeframes one stands.
    fn place(&self, timeframe: Timeframe) -> Option<usize> {
        self.each.iter().position(|rules| rules.timeframe == timeframe)
    }

    /// A bar with the flags of all time that it holds: its minutes have only those of minutes with a bar. What lies between the
    /// sessions of a week is no part of it.
    fn flagged(&self, rolled: &Rolled, session: Session) -> Rolled {
        let whole = Session { open_us: rolled.bar.ts_us, close_us: rolled.end_us };
        let missed = match rolled.timeframe {
            Timeframe::Weekly => {
                let held = self.grid.open_within(whole, session);
                held.fold(0, |flags, held| flags | self.missed.flags(held))
            }
            _ => self.missed.flags(whole),
        };
        Rolled { bar: Bar { quality: rolled.bar.quality | missed, ..rolled.bar }, ..*rolled }
    }

    /// The stretch at whose open what is carried from bar to bar begins anew: the session, for days their week, for weeks a
    /// quarter of a year. Longer ones would ask a restart for more bars than it reads.
    fn stretch(&self, rolled: &Rolled, session: Session) -> Session {
        match rolled.timeframe {
            Timeframe::Weekly => {
                let open_us = rolled.bar.ts_us.div_euclid(QUARTER_US) * QUARTER_US;
                Session { open_us, close_us: open_us + QUARTER_US }
            }
            Timeframe::Daily => {
                let week = self.grid.bucket(Timeframe::Weekly, rolled.bar.ts_us, session);
                Session { open_us: week.start_us, close_us: week.end_us }
            }
            _ => session,
        }
    }
}

/// Bars in the order in which they are looked at: one sees those of longer timeframes that end with it.
fn longest_first(mut closed: Closed) -> Closed {
    closed.sort_by_key(|(rolled, _)| Reverse(rolled.timeframe));
    closed
}

/// A bar as histories keep it.
fn folded(bar: &Bar) -> Fold {
    Fold::from_bar(bar, Span::NONE, Fold::NO_CHANNEL, Kind::T)
}

/// Whether a closed bar is what its minutes come to.
fn is_same(known: &Fold, bar: &Bar) -> bool {
    let of =
        |bar: &Bar| ([bar.open, bar.high, bar.low, bar.close].map(f64::to_bits), bar.volume, bar.trades, bar.quality);
    known.bar(None).is_some_and(|known| of(&known) == of(bar))
}

/// A bar as it is told.
fn said(rolled: &Rolled, row: &Row) -> made::Longer {
    made::Longer { rolled: *rolled, revision: row.revision }
}
