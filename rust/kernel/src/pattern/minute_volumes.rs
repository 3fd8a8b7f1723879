//! What each minute of the session traded on other days: the largest volume of it, week by week.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::days::{Day, Days, week};
use super::session_range::SessionRange;
use crate::bar::quality;
use crate::rules::MOST_REVISABLE;
use crate::snapshot::{Sound, holds, is_near};
use crate::time::MINUTE_US;
use crate::window::WindowBar;

/// Weeks that are looked at: that of the session, and so many before it less one.
const WEEKS: usize = 4;

/// Room for minutes is made so many at a time: a regular session.
const STEP: usize = 390;

/// Minutes of a session that are kept: 26 hours.
const MOST_MINUTES: usize = 4 * STEP;

/// A number of shares, and in the two highest bits the flags of [`quality::PARTIAL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cell(u32);

const FLAGS_AT: u32 = 30;
const _: () = assert!(quality::PARTIAL == 3, "flags that fit in two bits");

/// A minute in which more is traded counts as this.
const MOST_VOLUME: u32 = (1 << FLAGS_AT) - 1;

impl Cell {
    fn new(volume: i64, flags: u8) -> Self {
        Self(volume.clamp(0, i64::from(MOST_VOLUME)) as u32 | u32::from(flags & quality::PARTIAL) << FLAGS_AT)
    }

    fn volume(self) -> u32 {
        self.0 & MOST_VOLUME
    }

    fn flags(self) -> u8 {
        (self.0 >> FLAGS_AT) as u8
    }

    /// The larger volume, with the flags of both.
    fn with(self, other: Self) -> Self {
        Self(self.volume().max(other.volume()) | (self.0 | other.0) & !MOST_VOLUME)
    }
}

/// A week's sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Week {
    number: i64,
    sessions: u32,
    /// By minute of the session.
    cells: Vec<Cell>,
}

impl Week {
    fn cell(&self, minute: u16) -> Cell {
        self.cells.get(usize::from(minute)).copied().unwrap_or_default()
    }

    fn add(&mut self, minute: u16, cell: Cell) {
        let minute = usize::from(minute);
        if minute >= MOST_MINUTES {
            return;
        }
        if minute >= self.cells.len() {
            let room = (minute + 1).next_multiple_of(STEP);
            self.cells.reserve_exact(room - self.cells.len());
            self.cells.resize(room, Cell::default());
        }
        self.cells[minute] = self.cells[minute].with(cell);
    }
}

/// A bar that may still be revised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Recent {
    /// When its session opened, µs.
    open_us: i64,
    cell: Cell,
    minute: u16,
    /// Its session is one of those that count.
    counts: bool,
    /// Its session opened so far from the last close that what lies before it is not comparable.
    splits: bool,
}

/// What one minute of the session traded on the days before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Sessions that are known.
    pub sessions: u32,
    /// The largest volume, in shares, of at most 2^30 − 1; 0 where nothing was traded on any of them.
    pub volume: u32,
    /// The bits of [`quality::PARTIAL`] of those of its bars that may lack ticks.
    pub flags: u8,
}

impl Usual {
    /// Whether so many shares are no less than was traded on any of the days.
    #[must_use]
    pub fn is_reached(&self, volume: i64) -> bool {
        Cell::new(volume, 0).volume() >= self.volume
    }
}

/// The largest volume of each minute of the sessions before the one that is on: of that week's and of the three weeks
/// before it, 15 to 19 where a week has five.
///
/// Sessions count as those of [`Days`] do, and are forgotten with a split as those are. A minute that comes as late as a
/// 27th hour of a session is not kept.
///
/// Weeks hold only what can no longer be revised, the newest bars stand beside them: so what is revised is taken back by
/// taking these back. A bar is O(1); 6 KB for regular sessions, 25 KB for days of 24 hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MinuteVolumes {
    /// At most four, the oldest first.
    weeks: Vec<Week>,
    /// The bars that may be revised, the oldest first.
    recent: VecDeque<Recent>,
    /// The opens of the first session and of the newest one in `weeks`, µs.
    span_us: Option<(i64, i64)>,
    /// The open of the newest session that was told of, µs.
    told_us: Option<i64>,
}

impl MinuteVolumes {
    /// Takes in the window's next bar, of this session, which has not taken it in yet.
    pub(crate) fn push(&mut self, bar: &WindowBar, session: &SessionRange) {
        if self.recent.capacity() < MOST_REVISABLE {
            self.recent.reserve_exact(MOST_REVISABLE);
        }
        let open_us = session.opened_us().unwrap_or(0);
        // A session that was told of may be fed in part only: it counts as it was told.
        let is_told = self.told_us.is_some_and(|told_us| open_us <= told_us);
        let counts_as_told = self.since_us().is_some_and(|since_us| since_us <= open_us);
        self.recent.push_back(Recent {
            open_us,
            cell: Cell::new(bar.volume, bar.quality),
            minute: minute(bar.ts_us, open_us),
            counts: if is_told { counts_as_told } else { session.counts_with(bar) },
            splits: !is_told && session.splits_with(bar),
        });
    }

    /// The oldest bar that may be revised no longer may.
    pub(crate) fn settle(&mut self) {
        let Some(bar) = self.recent.pop_front().filter(|bar| bar.counts) else {
            return;
        };
        let is_first = self.begin(bar.open_us, bar.splits);
        if let Some(week) = self.week(bar.open_us) {
            week.sessions = week.sessions.saturating_add(u32::from(is_first));
            week.add(bar.minute, bar.cell);
        }
    }

    /// Goes back to before the oldest bar that may be revised.
    pub(crate) fn rewind(&mut self) {
        self.recent.clear();
    }

    /// Tells of a finished session before all bars; `days` are those before it.
    pub(crate) fn know(&mut self, day: &Day, days: &Days) {
        if self.told_us.is_some_and(|told_us| told_us >= day.open_us) {
            return;
        }
        self.told_us = Some(day.open_us);
        self.begin(day.open_us, days.is_unadjusted(day.open));
        if let Some(week) = self.week(day.open_us) {
            week.sessions = week.sessions.saturating_add(1);
        }
    }

    /// Tells what a minute of the sessions of a week traded at most, of those since [`MinuteVolumes::since_us`]; `open_us` is the
    /// open of any of them. False if none of that week was told of that is still looked at.
    pub(crate) fn tell(&mut self, open_us: i64, minute: i64, volume: i64, flags: u8) -> bool {
        let number = week(open_us);
        let minute = u16::try_from(minute).ok().filter(|&minute| usize::from(minute) < MOST_MINUTES);
        let week = self.weeks.iter_mut().find(|week| week.number == number);
        let Some((week, minute)) = week.zip(minute) else {
            return false;
        };
        week.add(minute, Cell::new(volume, flags));
        true
    }

    /// The open of the first session that counts, µs: those before it are of before a split. `None` if none does.
    #[must_use]
    pub fn since_us(&self) -> Option<i64> {
        self.span_us.map(|(since_us, _)| since_us)
    }

    /// What this minute traded on the days before; `session` is that of the bar, which it has not taken in yet.
    #[must_use]
    pub fn usual(&self, bar: &WindowBar, session: &SessionRange) -> Usual {
        let mut usual = Usual { sessions: 0, volume: 0, flags: 0 };
        let Some(open_us) = session.opened_us().filter(|_| !session.splits_with(bar)) else {
            return usual;
        };
        let (minute, number) = (minute(bar.ts_us, open_us), week(open_us));
        let is_read = |other: i64| number.saturating_sub(other) < WEEKS as i64;
        let split_us =
            self.recent.iter().rev().find(|bar| bar.counts && bar.splits).map_or(i64::MIN, |bar| bar.open_us);
        let mut cell = Cell::default();
        let mut newest_us = i64::MIN;
        if let Some((_, settled_us)) = self.span_us.filter(|(since_us, _)| split_us <= *since_us) {
            for week in self.weeks.iter().filter(|week| is_read(week.number)) {
                usual.sessions = usual.sessions.saturating_add(week.sessions);
                cell = cell.with(week.cell(minute));
            }
            usual.sessions = usual.sessions.saturating_sub(u32::from(settled_us == open_us));
            newest_us = settled_us;
        }
        let counts =
            |bar: &&Recent| bar.counts && (split_us..open_us).contains(&bar.open_us) && is_read(week(bar.open_us));
        for bar in self.recent.iter().filter(counts) {
            usual.sessions = usual.sessions.saturating_add(u32::from(bar.open_us > newest_us));
            newest_us = newest_us.max(bar.open_us);
            if bar.minute == minute {
                cell = cell.with(bar.cell);
            }
        }
        Usual { volume: cell.volume(), flags: cell.flags(), ..usual }
    }

    /// Reads a word of what a bar asks for; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        let leaving = self.recent.front();
        let cell = leaving.zip(self.weeks.last()).map_or(Cell(0), |(bar, week)| week.cell(bar.minute));
        let ends = [leaving, self.recent.back()].into_iter().flatten();
        ends.fold(u64::from(cell.0), |bits, bar| bits ^ u64::from(bar.cell.0))
    }

    /// Whether it can be of a window of which so many bars may be revised.
    pub(crate) fn is_sound(&self, revisable: usize) -> Sound {
        let of_weeks = self.weeks.iter().all(|week| week.cells.len() <= MOST_MINUTES && is_near(week.number));
        let near = self.recent.iter().all(|bar| is_near(bar.open_us));
        let ascend = self.weeks.is_sorted_by(|one, next| one.number < next.number);
        holds(of_weeks && near && ascend && self.weeks.len() <= WEEKS && self.recent.len() == revisable, "volumes")
    }

    /// A session's first bar, or another one, settles; whether it is the first.
    fn begin(&mut self, open_us: i64, splits: bool) -> bool {
        if self.span_us.is_some_and(|(_, newest_us)| open_us <= newest_us) {
            return false;
        }
        if splits {
            self.weeks.clear();
            self.span_us = None;
        }
        self.span_us = Some((self.span_us.map_or(open_us, |(since_us, _)| since_us), open_us));
        true
    }

    /// The week of a session, which takes the place of one that is no longer looked at; `None` if it is itself none of those.
    fn week(&mut self, open_us: i64) -> Option<&mut Week> {
        let number = week(open_us);
        let newest = self.weeks.last().map(|week| week.number);
        if newest.is_none_or(|newest| newest < number) {
            // What it has room for stays.
            let mut next = if self.weeks.len() < WEEKS { Week::default() } else { self.weeks.remove(0) };
            next.cells.fill(Cell::default());
            (next.number, next.sessions) = (number, 0);
            self.weeks.push(next);
        }
        self.weeks.iter_mut().rev().find(|week| week.number == number)
    }
}

/// Which minute of its session a bar is; one that is not kept where it is none that can be.
fn minute(ts_us: i64, open_us: i64) -> u16 {
    u16::try_from(ts_us.saturating_sub(open_us).div_euclid(MINUTE_US)).unwrap_or(u16::MAX)
}
