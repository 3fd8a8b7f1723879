//! Timeframes of bars, and which bucket of each a minute belongs to.
//!
//! A bucket is fixed by the calendar before its first trade: it starts when it is scheduled to, whoever trades in it. All
//! buckets nest: one of a shorter timeframe lies within one of each longer.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::KernelError;
use crate::session::{Session, Sessions};
use crate::snapshot::is_near;
use crate::time::{DAY_US, HOUR_US, MINUTE_US};

/// The market's weekday is read from where its midnight lies: UTC offsets from −10:00 to +13:30 are told apart.
const FARTHEST_EAST_US: i64 = 13 * HOUR_US + HOUR_US / 2;

/// 1970-01-01 was the fourth day of a week that begins on Monday.
const DAYS_BEFORE_1970: i64 = 3;

/// How long a bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Timeframe {
    /// One minute.
    Min1,
    /// 5 minutes.
    Min5,
    /// 15 minutes.
    Min15,
    /// 30 minutes.
    Min30,
    /// One hour.
    Hour1,
    /// 4 hours.
    Hour4,
    /// One session.
    Daily,
    /// The sessions of one week.
    Weekly,
}

impl Timeframe {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// All of them, the shortest first.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Min1, Self::Min5, Self::Min15, Self::Min30, Self::Hour1, Self::Hour4, Self::Daily, Self::Weekly];

    /// Its name, as `AppV2` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Min1 => "1min",
            Self::Min5 => "5min",
            Self::Min15 => "15min",
            Self::Min30 => "30min",
            Self::Hour1 => "1hour",
            Self::Hour4 => "4hour",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
        }
    }

    /// Whether its bars lie within one session.
    #[must_use]
    pub fn is_intraday(self) -> bool {
        self < Self::Daily
    }

    /// The consumer's tier of what is found on its bars.
    #[must_use]
    pub fn tier(self) -> &'static str {
        if self.is_intraday() { "intraday" } else { "daily" }
    }

    /// The length of a whole bucket, µs; `None` where the calendar decides.
    #[must_use]
    pub fn length_us(self) -> Option<i64> {
        match self {
            Self::Min1 => Some(MINUTE_US),
            Self::Min5 => Some(5 * MINUTE_US),
            Self::Min15 => Some(15 * MINUTE_US),
            Self::Min30 => Some(30 * MINUTE_US),
            Self::Hour1 => Some(HOUR_US),
            Self::Hour4 => Some(4 * HOUR_US),
            Self::Daily | Self::Weekly => None,
        }
    }
}

impl FromStr for Timeframe {
    type Err = KernelError;

    /// # Errors
    /// [`KernelError::Word`] if no timeframe has this name.
    fn from_str(word: &str) -> Result<Self, KernelError> {
        Self::ALL.into_iter().find(|timeframe| timeframe.name() == word).ok_or_else(|| KernelError::Word {
            name: "timeframe",
            rule: "1min, 5min, 15min, 30min, 1hour, 4hour, daily or weekly",
            word: word.into(),
        })
    }
}

/// Where buckets shorter than a session are counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Align {
    /// The session's open.
    #[default]
    Session,
    /// The market's midnight.
    Clock,
}

impl FromStr for Align {
    type Err = KernelError;

    /// # Errors
    /// [`KernelError::Word`] unless it is `session` or `clock`.
    fn from_str(word: &str) -> Result<Self, KernelError> {
        match word {
            "session" => Ok(Self::Session),
            "clock" => Ok(Self::Clock),
            _ => Err(KernelError::Word { name: "align", rule: "session or clock", word: word.into() }),
        }
    }
}

/// The time of one bar, `[start_us, end_us)` in µs UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// When it starts by the calendar.
    pub start_us: i64,
    /// The first instant after it.
    pub end_us: i64,
    /// Minutes that start in it while the market is open, at most `u32::MAX`.
    pub minutes: u32,
}

impl Bucket {
    fn of(start_us: i64, end_us: i64) -> Self {
        let started = |us: i64| (us - 1).div_euclid(MINUTE_US);
        let minutes = u32::try_from(started(end_us) - started(start_us)).unwrap_or(u32::MAX);
        Self { start_us, end_us, minutes }
    }
}

impl From<Session> for Bucket {
    fn from(session: Session) -> Self {
        Self::of(session.open_us, session.close_us)
    }
}

/// The buckets of every timeframe, by one calendar.
#[derive(Clone, Debug)]
pub struct Grid {
    align: Align,
    days: Sessions,
    sessions: Sessions,
    /// One a week that has a session; `None` without a table of sessions.
    weeks: Option<Vec<Bucket>>,
}

impl Grid {
    /// The grid of `sessions`, in a market whose days are `days`, midnight to midnight (where these end, days of 24 hours
    /// go on). A session belongs to the day that it ends on, and to that day's week, which begins on Monday.
    ///
    /// # Errors
    /// [`KernelError::Row`] names the first session or day that is not within 2^60 µs of 1970.
    pub fn new(sessions: &Sessions, days: Sessions, align: Align) -> Result<Self, KernelError> {
        check("days", &days)?;
        check("sessions", sessions)?;
        let weeks = sessions.rows().map(|rows| {
            let mut weeks: Vec<Bucket> = Vec::new();
            let mut newest = None;
            for session in rows {
                let week = week_of(days.day_at(session.close_us - 1));
                let bucket = Bucket::from(session);
                match weeks.last_mut().filter(|_| newest == Some(week)) {
                    Some(begun) => {
                        begun.end_us = bucket.end_us;
                        begun.minutes = begun.minutes.saturating_add(bucket.minutes);
                    }
                    None => weeks.push(bucket),
                }
                newest = Some(week);
            }
            weeks
        });
        Ok(Self { align, days, sessions: sessions.clone(), weeks })
    }

    /// The bucket of a minute that starts in `session`. `O(1)` but for a look-up of the day or the week, `O(log n)`.
    ///
    /// A session of another table, that of a simulated symbol, has the calendar's week, from midnight to midnight.
    #[must_use]
    pub fn bucket(&self, timeframe: Timeframe, minute_us: i64, session: Session) -> Bucket {
        match (timeframe.length_us(), self.align) {
            (Some(length_us), Align::Session) => {
                let start_us = minute_us - (minute_us - session.open_us).rem_euclid(length_us);
                Bucket::of(start_us, session.close_us.min(start_us + length_us))
            }
            (Some(length_us), Align::Clock) => {
                let (start_us, end_us) = self.by_clock(length_us, minute_us);
                Bucket::of(session.open_us.max(start_us), session.close_us.min(end_us))
            }
            (None, _) if timeframe == Timeframe::Daily => session.into(),
            (None, _) => self.week(session),
        }
    }

    /// Counted back from the day's end: where clocks change, they do so in the day's first hours, and hours of the day
    /// are those of the clock again after that. Of buckets longer than an hour the first takes in what the change makes.
    fn by_clock(&self, length_us: i64, minute_us: i64) -> (i64, i64) {
        let day = self.days.day_at(minute_us);
        let most = if length_us > HOUR_US { DAY_US / length_us - 1 } else { i64::MAX };
        let back = most.min((day.close_us - 1 - minute_us) / length_us);
        let end_us = day.close_us - back * length_us;
        let start_us = if back == most { day.open_us } else { day.open_us.max(end_us - length_us) };
        (start_us, end_us)
    }

    /// When minutes can start in a week of `session`'s table: in its sessions. Of another table nothing is known but the week.
    pub(crate) fn open_within(&self, week: Session, session: Session) -> impl Iterator<Item = Session> + '_ {
        let listed = self.weeks_of(session).map(|_| self.sessions.within(week.open_us, week.close_us));
        let whole = listed.is_none().then_some(week);
        listed.into_iter().flatten().chain(whole)
    }

    /// The weeks of the table that a session is of.
    fn weeks_of(&self, session: Session) -> Option<&[Bucket]> {
        self.weeks.as_deref().filter(|_| self.sessions.at(session.open_us) == Some(session))
    }

    fn week(&self, session: Session) -> Bucket {
        let Some(weeks) = self.weeks_of(session) else { return self.calendar_week(session) };
        let after = weeks.partition_point(|week| week.start_us <= session.open_us);
        after.checked_sub(1).map_or_else(|| session.into(), |at| weeks[at])
    }

    /// The week of a session from the midnight before its Monday to the one after its Sunday.
    fn calendar_week(&self, session: Session) -> Bucket {
        let day = self.days.day_at(session.close_us - 1);
        // Counted from noon: a day is an hour longer or shorter where clocks change.
        let monday = self.days.day_at(day.open_us + DAY_US / 2 - weekday(day) * DAY_US);
        let next = self.days.day_at(monday.open_us + DAY_US / 2 + 7 * DAY_US);
        Bucket::of(monday.open_us, next.open_us)
    }
}

/// Weeks of a market's day since that of 1970-01-01.
fn week_of(day: Session) -> i64 {
    since_monday(day).div_euclid(7)
}

/// Days of a market's day since its Monday.
fn weekday(day: Session) -> i64 {
    since_monday(day).rem_euclid(7)
}

/// Days of a market's day since the Monday before 1970-01-01.
fn since_monday(day: Session) -> i64 {
    (day.open_us + FARTHEST_EAST_US).div_euclid(DAY_US) + DAYS_BEFORE_1970
}

/// That times can be counted on from each row's edges.
fn check(column: &'static str, table: &Sessions) -> Result<(), KernelError> {
    let far = |session: Session| [session.open_us, session.close_us].into_iter().find(|&us| !is_near(us));
    let found = table.rows().and_then(|rows| rows.enumerate().find_map(|(row, session)| Some((row, far(session)?))));
    found.map_or(Ok(()), |(row, us)| {
        Err(KernelError::Row { column, rule: "within 2^60 µs of 1970", row, value: us as f64 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: i64 = 1_773_619_200 * crate::time::SECOND_US; // 2026-03-16, midnight UTC

    /// Minutes of a day, as an instant of Monday's week.
    fn at(day: i64, hour: i64, minute: i64) -> i64 {
        MONDAY + day * DAY_US + hour * HOUR_US + minute * MINUTE_US
    }

    /// 09:30 to 16:00, to 13:00 on the day after a holiday: Monday, Tuesday, Wednesday, Friday and next Tuesday.
    fn sessions() -> Sessions {
        let rows = [(0, 16), (1, 16), (2, 16), (4, 13), (8, 16)];
        Sessions::new(&rows.map(|(day, close)| (at(day, 9, 30), at(day, close, 0)))).unwrap()
    }

    fn buckets(timeframe: Timeframe, align: Align, day: i64) -> Vec<(i64, i64, u32)> {
        let (sessions, grid) = (sessions(), Grid::new(&sessions(), Sessions::default(), align).unwrap());
        let minutes = (0..24 * 60).map(|minute| at(day, 0, minute));
        let inside = minutes.filter_map(|us| Some((us, sessions.at(us)?)));
        let mut found: Vec<_> = inside.map(|(us, session)| grid.bucket(timeframe, us, session)).collect();
        found.dedup();
        let since = |us: i64| (us - at(day, 0, 0)) / MINUTE_US;
        found.into_iter().map(|bucket| (since(bucket.start_us), since(bucket.end_us), bucket.minutes)).collect()
    }

    #[test]
    fn names_are_read_back_and_others_are_refused_with_all_that_there_are() {
        for timeframe in Timeframe::ALL {
            assert_eq!(timeframe.name().parse(), Ok(timeframe));
        }
        let said = "3min".parse::<Timeframe>().unwrap_err().to_string();
        assert_eq!(said, "timeframe must be 1min, 5min, 15min, 30min, 1hour, 4hour, daily or weekly, was \"3min\"");
        assert_eq!("clock".parse(), Ok(Align::Clock));
        assert!("utc".parse::<Align>().is_err());
    }

    #[test]
    fn buckets_count_from_the_open_and_the_last_one_is_cut_by_the_close() {
        let hours = buckets(Timeframe::Hour1, Align::Session, 0);
        assert_eq!((hours[0], hours[5], hours.len()), ((570, 630, 60), (870, 930, 60), 7));
        assert_eq!(hours[6], (930, 960, 30));
        assert_eq!(buckets(Timeframe::Hour4, Align::Session, 0), [(570, 810, 240), (810, 960, 150)]);
        assert_eq!(buckets(Timeframe::Daily, Align::Session, 0), [(570, 960, 390)]);
    }

    #[test]
    fn a_half_day_closes_its_last_hour_early() {
        assert_eq!(buckets(Timeframe::Hour1, Align::Session, 4).last(), Some(&(750, 780, 30)));
        assert_eq!(buckets(Timeframe::Hour1, Align::Clock, 4).last(), Some(&(720, 780, 60)));
        assert_eq!(buckets(Timeframe::Daily, Align::Clock, 4), [(570, 780, 210)]);
    }

    #[test]
    fn by_the_clock_the_open_cuts_the_first_hour() {
        assert_eq!(buckets(Timeframe::Hour1, Align::Clock, 0)[..2], [(570, 600, 30), (600, 660, 60)]);
        assert_eq!(buckets(Timeframe::Hour4, Align::Clock, 0), [(570, 720, 150), (720, 960, 240)]);
    }

    #[test]
    fn a_week_reaches_from_its_first_session_to_its_last_whatever_lies_between() {
        let (sessions, grid) = (sessions(), Grid::new(&sessions(), Sessions::default(), Align::Session).unwrap());
        let week = |day| grid.bucket(Timeframe::Weekly, at(day, 10, 0), sessions.at(at(day, 10, 0)).unwrap());
        let first = Bucket { start_us: at(0, 9, 30), end_us: at(4, 13, 0), minutes: 3 * 390 + 210 };
        assert_eq!([0, 1, 2, 4].map(week), [first; 4]);
        assert_eq!(week(8), Bucket { start_us: at(8, 9, 30), end_us: at(8, 16, 0), minutes: 390 });
    }

    #[test]
    fn of_a_week_only_its_sessions_are_open_and_all_of_one_that_is_in_no_table() {
        let grid = Grid::new(&sessions(), Sessions::default(), Align::Session).unwrap();
        let week = Session { open_us: at(0, 9, 30), close_us: at(4, 13, 0) };
        let open = |session| grid.open_within(week, session).collect::<Vec<_>>();
        let own: Vec<Session> = sessions().rows().unwrap().take(4).collect();
        assert_eq!(open(own[0]), own);
        assert_eq!(open(Session { close_us: at(0, 20, 0), ..own[0] }), [week]);
    }

    #[test]
    fn without_tables_a_session_is_a_utc_day_and_a_week_begins_on_its_monday() {
        let grid = Grid::new(&Sessions::default(), Sessions::default(), Align::Session).unwrap();
        let week = |us| grid.bucket(Timeframe::Weekly, us, Session::utc_day(us));
        let whole = Bucket { start_us: MONDAY, end_us: MONDAY + 7 * DAY_US, minutes: 10_080 };
        assert_eq!([at(0, 0, 0), at(6, 23, 59)].map(week), [whole; 2]);
        assert_eq!(week(-1).end_us, 4 * DAY_US, "1970-01-01 was a Thursday");
    }

    #[test]
    fn a_session_that_is_not_in_the_table_has_the_week_of_the_calendar() {
        let days: Vec<_> = (-7..14).map(|day| (at(day, 4, 0), at(day + 1, 4, 0))).collect();
        let grid = Grid::new(&sessions(), Sessions::new(&days).unwrap(), Align::Session).unwrap();
        let week = |day: i64| {
            let session = Session { open_us: at(day, 4, 0), close_us: at(day + 1, 4, 0) };
            let bucket = grid.bucket(Timeframe::Weekly, at(day, 12, 0), session);
            (bucket.start_us, bucket.end_us)
        };
        assert_eq!([0, 3, 6].map(week), [(at(0, 4, 0), at(7, 4, 0)); 3]);
        assert_eq!(week(7).0, at(7, 4, 0));
    }

    #[test]
    fn a_session_belongs_to_the_market_day_it_ends_on() {
        // Sunday 18:00 to Monday 17:00 in New York, which is UTC-4 here; and Friday's, which ends on Saturday by UTC.
        let days: Vec<_> = (-3..10).map(|day| (at(day, 4, 0), at(day + 1, 4, 0))).collect();
        let nights = [(at(-3, 22, 0), at(-2, 3, 0)), (at(-1, 22, 0), at(0, 21, 0)), (at(4, 22, 0), at(5, 3, 0))];
        let (sessions, days) = (Sessions::new(&nights).unwrap(), Sessions::new(&days).unwrap());
        let grid = Grid::new(&sessions, days, Align::Session).unwrap();
        let weeks = nights.map(|(open_us, _)| grid.bucket(Timeframe::Weekly, open_us, sessions.at(open_us).unwrap()));
        assert_eq!((weeks[0].start_us, weeks[0].end_us), nights[0]);
        assert_eq!((weeks[1], weeks[1].start_us, weeks[1].end_us), (weeks[2], nights[1].0, nights[2].1));
    }

    #[test]
    fn the_weekday_of_a_midnight_is_that_of_its_own_zone() {
        for minutes_east in (-600..=810).step_by(15) {
            let midnight_us = MONDAY - minutes_east * MINUTE_US;
            let day = |from_us| Session { open_us: from_us, close_us: from_us + DAY_US };
            assert_eq!(week_of(day(midnight_us)), week_of(day(midnight_us + 6 * DAY_US)), "{minutes_east}");
            assert_eq!(week_of(day(midnight_us)), week_of(day(midnight_us - DAY_US)) + 1, "{minutes_east}");
        }
    }

    #[test]
    fn four_hours_follow_the_clock_on_days_whose_clocks_change() {
        // New York: midnights are UTC-5 up to 2026-03-08 and UTC-4 after it; the other way round on 2026-11-01.
        let spring = Session { open_us: at(-8, 5, 0), close_us: at(-7, 4, 0) };
        let autumn = Session { open_us: at(230, 4, 0), close_us: at(231, 5, 0) };
        let table = [spring, autumn].map(|day| (day.open_us, day.close_us));
        let days = Sessions::new(&table).unwrap();
        let grid = Grid::new(&days, days.clone(), Align::Clock).unwrap();
        let hours = |timeframe, day: Session| {
            let all = (day.open_us..day.close_us).step_by(MINUTE_US as usize);
            let mut buckets: Vec<_> = all.map(|us| grid.bucket(timeframe, us, day)).collect();
            buckets.dedup();
            assert!(buckets.windows(2).all(|pair| pair[0].end_us == pair[1].start_us), "no time lies between them");
            buckets.iter().map(|bucket| i64::from(bucket.minutes) / 60).collect::<Vec<_>>()
        };
        assert_eq!(hours(Timeframe::Hour4, spring), [3, 4, 4, 4, 4, 4], "04:00 comes after three hours");
        assert_eq!(hours(Timeframe::Hour4, autumn), [5, 4, 4, 4, 4, 4], "04:00 comes after five hours");
        assert_eq!(hours(Timeframe::Hour1, autumn), [1; 25]);
    }

    #[test]
    fn a_quarter_zone_counts_hours_from_its_own_midnight() {
        let day = Session { open_us: at(0, 18, 15), close_us: at(1, 18, 15) }; // Kathmandu, UTC+5:45
        let days = Sessions::new(&[(day.open_us, day.close_us)]).unwrap();
        let grid = Grid::new(&days, days.clone(), Align::Clock).unwrap();
        assert_eq!(grid.bucket(Timeframe::Hour1, at(0, 20, 0), day).start_us, at(0, 19, 15));
    }

    #[test]
    fn a_table_too_far_away_is_refused_by_row() {
        let far = Sessions::new(&[(0, 10), (20, i64::MAX)]).unwrap();
        for (sessions, days, column) in
            [(far.clone(), Sessions::default(), "sessions"), (Sessions::default(), far.clone(), "days")]
        {
            let error = Grid::new(&sessions, days, Align::Clock).unwrap_err();
            assert!(matches!(error, KernelError::Row { column: named, row: 1, .. } if named == column), "{error}");
        }
    }
}
